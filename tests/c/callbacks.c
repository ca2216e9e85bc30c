/* Callbacks: which run, how often, in which order and on which thread, what may be called inside, and what free waits
 * for. */
#include "callback.h"
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

#include <sched.h>

/* Registers all four while it is still connecting. */
static wsstream *open_with_diary(const char *path, struct diary *diary) {
  wsstream *stream = check_begin_open(path, NULL);
  diary->stream = stream;
  CHECK_OK(wsstream_on_opened(stream, note_opened, diary));
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  return stream;
}

static void opened_messages_end_closed_and_freed_come_in_this_order(void) {
  struct diary *diary = diary_new();
  wsstream *stream = open_with_diary("/count?n=3", diary);
  expect_diary(diary, "ommmdc");
  CHECK_OK(diary->opened);
  CHECK_STATUS(WSSTREAM_DONE, diary->ended);
  CHECK_OK(diary->closed);
  wsstream_free(stream);
  expect_diary(diary, "ommmdcf");
  diary_free(diary);
}

static void an_unclean_end_is_told_to_every_callback(void) {
  struct diary *diary = diary_new();
  wsstream *stream = open_with_diary("/abrupt", diary);
  expect_diary(diary, "odc");
  CHECK_OK(diary->opened);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, diary->ended);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, diary->closed);
  wsstream_free(stream);
  expect_diary(diary, "odcf");
  diary_free(diary);
}

static void a_failed_opening_is_told_to_every_callback(void) {
  struct diary *diary = diary_new();
  wsstream *stream = open_with_diary("/handshake?status=503", diary);
  expect_diary(diary, "odc");
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, diary->opened);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, diary->ended);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, diary->closed);
  wsstream_free(stream);
  expect_diary(diary, "odcf");
  diary_free(diary);
}

/* One of several registrations, which are told apart by what was registered with them. */
struct registration {
  struct diary *diary;
  char letter;
};

static void note_opened_of(wsstream *stream, wsstream_status status, void *user_data) {
  const struct registration *registration = user_data;
  CHECK_STATUS(status, wsstream_wait_opened(stream, 0));
  note(registration->diary, registration->letter);
}

static void note_closed_of(wsstream *stream, wsstream_status status, const wsstream_close_info *info,
                           void *user_data) {
  const struct registration *registration = user_data;
  CHECK(info != NULL && status == wsstream_wait_closed(stream, 0, NULL));
  note(registration->diary, registration->letter);
}

static void every_registration_runs_once_in_order_late_ones_too(void) {
  struct diary *diary = diary_new();
  struct registration registrations[] = {{diary, '1'}, {diary, '2'}, {diary, '3'}, {diary, '4'}};
  wsstream *stream = check_begin_open("/handshake?delay_ms=20", NULL);
  int i;
  for (i = 0; i < 3; i++) CHECK_OK(wsstream_on_opened(stream, note_opened_of, &registrations[i]));
  expect_diary(diary, "123");
  CHECK_OK(wsstream_on_opened(stream, note_opened_of, &registrations[3]));
  expect_diary(diary, "1234");
  CHECK_OK(wsstream_on_opened(stream, note_opened_of, &registrations[0]));
  expect_diary(diary, "12341");
  for (i = 0; i < 3; i++) CHECK_OK(wsstream_on_closed(stream, note_closed_of, &registrations[i]));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  expect_diary(diary, "12341123");
  CHECK_OK(wsstream_on_closed(stream, note_closed_of, &registrations[3]));
  expect_diary(diary, "123411234");
  CHECK_OK(wsstream_on_opened(stream, note_opened_of, &registrations[1]));
  expect_diary(diary, "1234112342");
  wsstream_free(stream);
  expect_diary(diary, "1234112342");
  diary_free(diary);
}

/* What frees its own stream still has its handle, info and message, and is the last but on_freed. */
static void free_in_opened(wsstream *stream, wsstream_status status, void *user_data) {
  CHECK_OK(status);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_wait_opened(stream, 0));
  CHECK(wsstream_url(stream)[0] == 'w');
  note(user_data, 'O');
}

static uint32_t free_in_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                                void *user_data) {
  wsstream_free(stream);
  CHECK_OK(status);
  CHECK_MESSAGE(WSSTREAM_TEXT, "abcd", 4, message);
  note(user_data, 'M');
  return WSSTREAM_CONTINUE;
}

static uint32_t free_in_end(wsstream *stream, wsstream_status status, const wsstream_message *message,
                            void *user_data) {
  if (status == WSSTREAM_OK) return WSSTREAM_CONTINUE;
  CHECK(message == NULL);
  wsstream_free(stream);
  note(user_data, 'D');
  return WSSTREAM_CONTINUE;
}

static void free_in_event(wsstream *stream, uint32_t events, void *user_data) {
  CHECK_NUMBER(WSSTREAM_WRITABLE, events);
  wsstream_free(stream);
  note(user_data, 'E');
}

static void free_in_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info,
                           void *user_data) {
  wsstream_free(stream);
  CHECK_OK(status);
  CHECK_NUMBER(1000, info->code);
  CHECK_TEXT("", info->reason);
  CHECK(wsstream_url(stream)[0] == 'w');
  note(user_data, 'C');
}

static void freed_in_on_opened_nothing_else_runs(void) {
  struct diary *diary = diary_new();
  const char *token = server_fresh_word();
  wsstream *stream;
  char path[128];
  snprintf(path, sizeof path, "/handshake?with=81026869&token=%s", token);
  stream = check_begin_open(path, NULL);
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  CHECK_OK(wsstream_on_opened(stream, free_in_opened, diary));
  server_release(token);
  expect_diary(diary, "Of");
  let_pass_ms(30);
  expect_diary(diary, "Of");
  diary_free(diary);
}

static void freed_in_on_message_nothing_else_runs(void) {
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  CHECK_OK(wsstream_on_message(stream, free_in_message, diary));
  peer_send(&peer, "\x81\x04" "abcd" "\x81\x02hi", 10);
  expect_diary(diary, "Mf");
  peer_end(&peer);
  let_pass_ms(30);
  expect_diary(diary, "Mf");
  diary_free(diary);
}

static void freed_in_the_last_on_message_nothing_else_runs(void) {
  struct diary *diary = diary_new();
  wsstream *stream = check_open("/count?n=2&wait=1");
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  CHECK_OK(wsstream_on_message(stream, free_in_end, diary));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "start", 5, SOON));
  expect_diary(diary, "Df");
  let_pass_ms(30);
  expect_diary(diary, "Df");
  diary_free(diary);
}

static void freed_in_on_event_nothing_else_runs(void) {
  struct diary *diary = diary_new();
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, free_in_event, diary));
  expect_diary(diary, "Ef");
  let_pass_ms(30);
  expect_diary(diary, "Ef");
  diary_free(diary);
}

static void freed_in_on_closed_nothing_else_runs(void) {
  struct diary *diary = diary_new();
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_closed(stream, free_in_closed, diary));
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  expect_diary(diary, "Cf");
  let_pass_ms(30);
  expect_diary(diary, "Cf");
  diary_free(diary);
}

/* While connecting, while open and after the end: on_freed comes once and last, and the callbacks that are due at that
 * moment run before it or not at all. */
static void on_freed_is_the_last_whenever_free_comes(void) {
  static const char *const paths[] = {"/handshake?stall=1", "/echo", "/count?n=100", "/abrupt", "/handshake?status=404"};
  int i;
  for (i = 0; i < 300; i++) {
    struct diary *diary = diary_new();
    wsstream *stream = open_with_diary(paths[i % 5], diary);
    struct timespec pause = {0, (long)(i % 60) * 20000};
    char *freed;
    nanosleep(&pause, NULL);
    wsstream_free(stream);
    pthread_mutex_lock(&diary->mutex);
    while ((freed = strchr(diary->text, 'f')) == NULL) pthread_cond_wait(&diary->changed, &diary->mutex);
    CHECK_TEXT("f", freed);
    CHECK(strchr(diary->text, 'c') == NULL || freed[-1] == 'c');
    pthread_mutex_unlock(&diary->mutex);
    diary_free(diary);
  }
}

static void on_freed_alone_runs_when_the_stream_is_freed(void) {
  struct diary *diary = diary_new();
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_freed(stream, note_freed, diary));
  CHECK_NUMBER(0, diary->size);
  wsstream_free(stream);
  expect_diary(diary, "f");
  diary_free(diary);
}

static void free_waits_for_each_kind_of_callback_on_another_thread(void) {
  int kind;
  for (kind = 0; kind < 4; kind++) {
    struct gate gate = GATE_ZERO;
    wsstream *stream = check_open("/echo");
    pthread_t thread;
    if (kind == 0) CHECK_OK(wsstream_on_opened(stream, pass_opened, &gate));
    if (kind == 1) CHECK_OK(wsstream_on_message(stream, pass_message, &gate));
    if (kind == 2) CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED, pass_event, &gate));
    if (kind == 3) CHECK_OK(wsstream_on_closed(stream, pass_closed, &gate));
    if (kind == 1) CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "run", 3, SOON));
    if (kind == 3) CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
    tally_await(&gate.entered, 1);
    thread = check_thread(let_go_soon, &gate.let_go);
    wsstream_free(stream);
    CHECK_NUMBER(1, tally_count(&gate.left));
    check_join(thread);
    CHECK_NUMBER(1, tally_count(&gate.entered));
  }
}

/* What the calls answer inside a callback, for the stream itself and for others. */
struct inside {
  struct tally done;
  wsstream *ended, *connecting;
};

#define DEADLOCK(call) CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, call)

static void every_blocking_call_is_refused(wsstream *stream) {
  static const int64_t timeouts[] = {1, SOON, WSSTREAM_FOREVER, INT64_MIN, INT64_MAX};
  const wsstream_close_info *info;
  wsstream_message message;
  wsstream_chunk chunk;
  uint32_t events;
  size_t count, i;
  char byte;
  for (i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
    const int64_t timeout_ms = timeouts[i];
    DEADLOCK(wsstream_wait_opened(stream, timeout_ms));
    DEADLOCK(wsstream_wait_closed(stream, timeout_ms, &info));
    CHECK(info == NULL);
    DEADLOCK(wsstream_read(stream, timeout_ms, &message));
    DEADLOCK(wsstream_read_many(stream, timeout_ms, &message, 1, &count));
    DEADLOCK(wsstream_read_some(stream, &byte, 1, timeout_ms, &chunk));
    DEADLOCK(wsstream_write(stream, WSSTREAM_TEXT, "a", 1, timeout_ms));
    memset(&message, 0, sizeof message);
    message.type = WSSTREAM_TEXT;
    DEADLOCK(wsstream_write_many(stream, &message, 1, timeout_ms, &count));
    DEADLOCK(wsstream_write_some(stream, WSSTREAM_TEXT, "a", 1, WSSTREAM_FIN, timeout_ms));
    DEADLOCK(wsstream_flush(stream, timeout_ms));
    DEADLOCK(wsstream_writable_close(stream, timeout_ms));
    DEADLOCK(wsstream_poll(stream, WSSTREAM_OPENED, timeout_ms, &events));
    DEADLOCK(wsstream_runtime_stop(timeout_ms));
  }
}

static void blocking_calls_in_opened(wsstream *stream, wsstream_status status, void *user_data) {
  struct inside *inside = user_data;
  CHECK_OK(status);
  every_blocking_call_is_refused(stream);
  every_blocking_call_is_refused(inside->ended);
  every_blocking_call_is_refused(inside->connecting);
  tally_add(&inside->done);
}

static uint32_t blocking_calls_in_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                                          void *user_data) {
  CHECK((status == WSSTREAM_OK) == (message != NULL));
  blocking_calls_in_opened(stream, WSSTREAM_OK, user_data);
  return WSSTREAM_CONTINUE;
}

static void blocking_calls_in_event(wsstream *stream, uint32_t events, void *user_data) {
  CHECK(events != 0);
  blocking_calls_in_opened(stream, WSSTREAM_OK, user_data);
}

static void blocking_calls_in_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info,
                                     void *user_data) {
  CHECK(info != NULL && status == WSSTREAM_OK);
  blocking_calls_in_opened(stream, WSSTREAM_OK, user_data);
}

static void blocking_calls_in_freed(void *user_data) {
  struct inside *inside = user_data;
  blocking_calls_in_opened(inside->ended, WSSTREAM_OK, user_data);
}

static void a_call_that_may_block_is_deadlock_in_every_callback(void) {
  struct inside inside = {TALLY_ZERO, NULL, NULL};
  wsstream *stream = check_open("/echo");
  inside.ended = check_open("/close?code=1000");
  CHECK_OK(wsstream_wait_closed(inside.ended, SOON, NULL));
  inside.connecting = check_begin_open("/handshake?stall=1", NULL);
  CHECK_OK(wsstream_on_opened(stream, blocking_calls_in_opened, &inside));
  tally_await(&inside.done, 1);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, blocking_calls_in_event, &inside));
  tally_await(&inside.done, 2);
  CHECK_OK(wsstream_on_message(stream, blocking_calls_in_message, &inside));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "run", 3, SOON));
  tally_await(&inside.done, 3);
  CHECK_OK(wsstream_on_closed(stream, blocking_calls_in_closed, &inside));
  CHECK_OK(wsstream_on_freed(stream, blocking_calls_in_freed, &inside));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  /* The end of the messages, the close, and the free. */
  tally_await(&inside.done, 5);
  wsstream_free(stream);
  tally_await(&inside.done, 6);
  wsstream_free(inside.ended);
  wsstream_free(inside.connecting);
}

struct echo {
  struct tally done;
  wsstream *other;
  wsstream_options *options;
  int count;
};

/* Answers each message itself, and closes after ten. */
static uint32_t answer_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                               void *user_data) {
  struct echo *echo = user_data;
  const wsstream_close_info *info;
  wsstream_status written;
  uint32_t events = 0;
  if (status != WSSTREAM_OK) {
    CHECK_STATUS(WSSTREAM_DONE, status);
    tally_add(&echo->done);
    return WSSTREAM_CONTINUE;
  }
  CHECK_OK(wsstream_wait_opened(stream, 0));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, &info));
  CHECK_OK(wsstream_poll(stream, WSSTREAM_OPENED | WSSTREAM_WRITABLE, 0, &events));
  CHECK_NUMBER(WSSTREAM_OPENED | WSSTREAM_WRITABLE, events);
  CHECK_OK(wsstream_wake(stream, WSSTREAM_WRITABLE));
  wsstream_unref(wsstream_ref(stream));
  CHECK_TEXT("", wsstream_protocol(stream));
  if (++echo->count < 10) {
    /* BUSY while the other thread, whose message came back so soon, is still inside its own write. */
    while ((written = wsstream_write(stream, message->type, message->data, message->size, 0)) == WSSTREAM_ERR_BUSY)
      sched_yield();
    CHECK(written == WSSTREAM_OK || written == WSSTREAM_QUEUED);
    return WSSTREAM_CONTINUE;
  }
  wsstream_free(echo->other);
  echo->other = check_begin_open("/echo", NULL);
  CHECK_OK(wsstream_close(stream, 4000, "ten", WSSTREAM_NUL));
  return WSSTREAM_CONTINUE;
}

static void calls_that_do_not_wait_work_inside_a_callback(void) {
  struct echo echo = {TALLY_ZERO, NULL, NULL, 0};
  wsstream *stream = check_open("/echo");
  echo.other = check_begin_open("/handshake?stall=1", NULL);
  CHECK_OK(wsstream_on_message(stream, answer_message, &echo));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "round", 5, SOON));
  tally_await(&echo.done, 1);
  CHECK_NUMBER(10, echo.count);
  CHECK_OK(wsstream_wait_opened(echo.other, SOON));
  wsstream_free(echo.other);
  CHECK_CLOSED_AND_FREE(stream, 4000, "ten");
}

/* Whether two callbacks of one stream were ever inside at once. */
struct overlap {
  pthread_mutex_t inside;
  int events;
  struct tally messages, ends;
};

static void be_alone(struct overlap *overlap) {
  CHECK_NUMBER(0, pthread_mutex_trylock(&overlap->inside));
  sched_yield();
  CHECK_NUMBER(0, pthread_mutex_unlock(&overlap->inside));
}

static void alone_opened(wsstream *stream, wsstream_status status, void *user_data) {
  CHECK(stream != NULL && status == WSSTREAM_OK);
  be_alone(user_data);
}

static uint32_t alone_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                              void *user_data) {
  struct overlap *overlap = user_data;
  CHECK(stream != NULL && (message != NULL) == (status == WSSTREAM_OK));
  be_alone(overlap);
  if (status == WSSTREAM_OK) tally_add(&overlap->messages);
  return WSSTREAM_CONTINUE;
}

static void alone_event(wsstream *stream, uint32_t events, void *user_data) {
  struct overlap *overlap = user_data;
  CHECK(events != 0);
  be_alone(overlap);
  if (++overlap->events < 500) CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, alone_event, overlap));
}

static void alone_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct overlap *overlap = user_data;
  CHECK(stream != NULL && info != NULL && status == WSSTREAM_OK);
  be_alone(overlap);
  tally_add(&overlap->ends);
}

static void callbacks_of_one_stream_never_overlap(void) {
  enum { STREAMS = 8, COUNT = 300 };
  static struct overlap overlaps[STREAMS];
  wsstream *streams[STREAMS];
  int i, round;
  for (i = 0; i < STREAMS; i++) {
    const struct overlap zero = {PTHREAD_MUTEX_INITIALIZER, 0, TALLY_ZERO, TALLY_ZERO};
    overlaps[i] = zero;
    streams[i] = check_begin_open("/echo", NULL);
    CHECK_OK(wsstream_on_message(streams[i], alone_message, &overlaps[i]));
    CHECK_OK(wsstream_on_event(streams[i], WSSTREAM_WRITABLE, alone_event, &overlaps[i]));
    CHECK_OK(wsstream_on_closed(streams[i], alone_closed, &overlaps[i]));
  }
  for (round = 0; round < COUNT; round++)
    for (i = 0; i < STREAMS; i++) {
      CHECK_OK(wsstream_write(streams[i], WSSTREAM_TEXT, "x", 1, SOON));
      if (round % 10 == 0) CHECK_OK(wsstream_on_opened(streams[i], alone_opened, &overlaps[i]));
    }
  for (i = 0; i < STREAMS; i++) {
    tally_await(&overlaps[i].messages, COUNT);
    CHECK_OK(wsstream_close(streams[i], 1000, NULL, 0));
    tally_await(&overlaps[i].ends, 1);
    wsstream_free(streams[i]);
  }
}

/* Registering never runs the callback inside the call: it takes a mutex that the caller holds. */
static void a_callback_never_runs_inside_a_call(void) {
  struct diary *diary = diary_new();
  wsstream *stream = check_open("/count?n=2&wait=1");
  pthread_mutex_lock(&diary->mutex);
  CHECK_OK(wsstream_on_opened(stream, note_opened, diary));
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, note_event, diary));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "go", 2, SOON));
  pthread_mutex_unlock(&diary->mutex);
  pthread_mutex_lock(&diary->mutex);
  while (strchr(diary->text, 'd') == NULL) pthread_cond_wait(&diary->changed, &diary->mutex);
  CHECK(!pthread_equal(diary->thread, pthread_self()));
  pthread_mutex_unlock(&diary->mutex);
  wsstream_free(stream);
  diary_free(diary);
}

static void a_freed_stream_that_is_held_takes_no_callbacks(void) {
  wsstream *stream = check_open("/echo");
  struct diary *diary = diary_new();
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_on_opened(stream, note_opened, diary));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_on_closed(stream, note_closed, diary));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_on_message(stream, note_message, diary));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_on_event(stream, WSSTREAM_READABLE, note_event, diary));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_on_freed(stream, note_freed, diary));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_resume(stream));
  wsstream_unref(stream);
  let_pass_ms(20);
  CHECK_NUMBER(0, diary->size);
  diary_free(diary);
}

int main(void) {
  check_begin();
  RUN(opened_messages_end_closed_and_freed_come_in_this_order);
  RUN(an_unclean_end_is_told_to_every_callback);
  RUN(a_failed_opening_is_told_to_every_callback);
  RUN(every_registration_runs_once_in_order_late_ones_too);
  RUN(freed_in_on_opened_nothing_else_runs);
  RUN(freed_in_on_message_nothing_else_runs);
  RUN(freed_in_the_last_on_message_nothing_else_runs);
  RUN(freed_in_on_event_nothing_else_runs);
  RUN(freed_in_on_closed_nothing_else_runs);
  RUN(on_freed_is_the_last_whenever_free_comes);
  RUN(on_freed_alone_runs_when_the_stream_is_freed);
  RUN(free_waits_for_each_kind_of_callback_on_another_thread);
  RUN(a_call_that_may_block_is_deadlock_in_every_callback);
  RUN(calls_that_do_not_wait_work_inside_a_callback);
  RUN(callbacks_of_one_stream_never_overlap);
  RUN(a_callback_never_runs_inside_a_call);
  RUN(a_freed_stream_that_is_held_takes_no_callbacks);
  return 0;
}
