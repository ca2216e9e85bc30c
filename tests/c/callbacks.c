/* Callbacks: which run, how often, in which order and on which thread, what may be called inside, and what removal and
 * free wait for. */
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

#include <sched.h>

/* What the callbacks of one stream did, one letter each, in the order in which they ran. */
struct diary {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  char text[4096];
  size_t size;
  pthread_t thread;
  wsstream *stream;
  wsstream_status opened, ended, closed;
};

static struct diary *diary_new(void) {
  struct diary *diary = calloc(1, sizeof *diary);
  CHECK(diary != NULL);
  pthread_mutex_init(&diary->mutex, NULL);
  pthread_cond_init(&diary->changed, NULL);
  return diary;
}

static void diary_free(struct diary *diary) {
  pthread_mutex_destroy(&diary->mutex);
  pthread_cond_destroy(&diary->changed);
  free(diary);
}

static void note(struct diary *diary, char letter) {
  pthread_mutex_lock(&diary->mutex);
  CHECK(diary->size + 1 < sizeof diary->text);
  diary->text[diary->size++] = letter;
  diary->thread = pthread_self();
  pthread_cond_broadcast(&diary->changed);
  pthread_mutex_unlock(&diary->mutex);
}

/* Waits for as many letters as expected, which must be these. */
static void expect_diary(struct diary *diary, const char *expected) {
  pthread_mutex_lock(&diary->mutex);
  while (diary->size < strlen(expected)) pthread_cond_wait(&diary->changed, &diary->mutex);
  if (strcmp(diary->text, expected) != 0) CHECK_FAIL("the callbacks ran as \"%s\", not \"%s\"", diary->text, expected);
  CHECK(!pthread_equal(diary->thread, pthread_self()));
  pthread_mutex_unlock(&diary->mutex);
}

static void note_opened(wsstream *stream, wsstream_status status, void *user_data) {
  struct diary *diary = user_data;
  CHECK(diary->stream == NULL || diary->stream == stream);
  CHECK_STATUS(status, wsstream_wait_opened(stream, 0));
  diary->opened = status;
  note(diary, 'o');
}

static uint32_t note_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                             void *user_data) {
  struct diary *diary = user_data;
  CHECK(diary->stream == NULL || diary->stream == stream);
  if (status == WSSTREAM_OK) {
    CHECK(message != NULL && message->data != NULL && message->owner != NULL);
    CHECK_NUMBER(WSSTREAM_FIN, message->flags);
    note(diary, 'm');
  } else {
    CHECK(message == NULL);
    diary->ended = status;
    note(diary, 'd');
  }
  return WSSTREAM_CONTINUE;
}

static void note_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct diary *diary = user_data;
  const wsstream_close_info *latched = NULL;
  CHECK(diary->stream == NULL || diary->stream == stream);
  CHECK_STATUS(status, wsstream_wait_closed(stream, 0, &latched));
  CHECK(info != NULL && latched == info);
  diary->closed = status;
  note(diary, 'c');
}

static void note_event(wsstream *stream, uint32_t events, void *user_data) {
  struct diary *diary = user_data;
  CHECK(diary->stream == NULL || diary->stream == stream);
  CHECK(events != 0);
  note(diary, 'e');
}

static void note_freed(void *user_data) { note(user_data, 'f'); }

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

struct counting {
  struct tally messages, ends;
  uint32_t next;
  int pause;           /* what to answer from now on */
  int resume_before;   /* resume inside, before PAUSE is returned */
  wsstream_status end;
};

#define COUNTING_ZERO {TALLY_ZERO, TALLY_ZERO, 0, 0, 0, 0}

/* The messages of /count: byte j of message i is (31 * i + j) % 251. */
static uint32_t count_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                              void *user_data) {
  struct counting *counting = user_data;
  size_t j;
  if (status != WSSTREAM_OK) {
    counting->end = status;
    tally_add(&counting->ends);
    return WSSTREAM_CONTINUE;
  }
  for (j = 0; j < message->size; j++) CHECK_NUMBER((31 * counting->next + j) % 251, message->data[j]);
  counting->next++;
  if (counting->resume_before) CHECK_OK(wsstream_resume(stream));
  tally_add(&counting->messages);
  return counting->pause ? WSSTREAM_PAUSE : WSSTREAM_CONTINUE;
}

static void each_message_comes_once_and_in_order(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=3000&size=50&type=binary&frame=20", NULL);
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  tally_await(&counting.ends, 1);
  CHECK_NUMBER(3000, tally_count(&counting.messages));
  CHECK_STATUS(WSSTREAM_DONE, counting.end);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  CHECK_NUMBER(1, tally_count(&counting.ends));
}

static void messages_that_were_here_before_come_to_a_late_callback(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=5&size=50&type=binary", NULL);
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  tally_await(&counting.ends, 1);
  CHECK_NUMBER(5, tally_count(&counting.messages));
  CHECK_STATUS(WSSTREAM_DONE, counting.end);
  wsstream_free(stream);
  CHECK_NUMBER(1, tally_count(&counting.ends));
}

static void pause_holds_the_next_message_until_resume(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=5&size=50&type=binary", NULL);
  int i;
  counting.pause = 1;
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  for (i = 1; i <= 5; i++) {
    CHECK_NUMBER(i, tally_await(&counting.messages, i));
    let_pass_ms(30);
    CHECK_NUMBER(i, tally_count(&counting.messages));
    CHECK_OK(wsstream_resume(stream));
  }
  tally_await(&counting.ends, 1);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static void resume_before_pause_was_returned_undoes_it(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=50&size=50&type=binary", NULL);
  counting.pause = 1;
  counting.resume_before = 1;
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  tally_await(&counting.ends, 1);
  CHECK_NUMBER(50, tally_count(&counting.messages));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* A callback that stays inside until it is let go. */
struct gate {
  struct tally entered, let_go, left;
  uint32_t answer;
  wsstream_message kept;
};

#define GATE_ZERO {TALLY_ZERO, TALLY_ZERO, TALLY_ZERO, WSSTREAM_CONTINUE, {0, 0, NULL, 0, NULL}}

static void pass(struct gate *gate) {
  tally_add(&gate->entered);
  tally_await(&gate->let_go, 1);
  let_pass_ms(20);
  tally_add(&gate->left);
}

static uint32_t pass_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                             void *user_data) {
  struct gate *gate = user_data;
  CHECK(stream != NULL && (status == WSSTREAM_OK) == (message != NULL));
  pass(gate);
  return gate->answer;
}

static void pass_event(wsstream *stream, uint32_t events, void *user_data) {
  CHECK(stream != NULL && events != 0);
  pass(user_data);
}

static void pass_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  CHECK(stream != NULL && info != NULL && status == WSSTREAM_OK);
  pass(user_data);
  CHECK_NUMBER(1000, info->code);
}

static void pass_opened(wsstream *stream, wsstream_status status, void *user_data) {
  CHECK(stream != NULL && status == WSSTREAM_OK);
  pass(user_data);
}

static void resume_on_another_thread_while_it_runs_undoes_its_pause(void) {
  struct gate gate = GATE_ZERO;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  gate.answer = WSSTREAM_PAUSE;
  CHECK_OK(wsstream_on_message(stream, pass_message, &gate));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  tally_await(&gate.entered, 1);
  CHECK_OK(wsstream_resume(stream));
  tally_add(&gate.let_go);
  tally_await(&gate.left, 2);
  peer_free(&peer, stream);
}

static void resume_without_pause_is_welcome(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_resume(stream));
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  CHECK_OK(wsstream_resume(stream));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  tally_await(&counting.messages, 1);
  wsstream_free(stream);
}

static void another_message_callback_replaces_the_first(void) {
  struct counting first = COUNTING_ZERO, second = COUNTING_ZERO;
  wsstream *stream = check_open("/answer?n=1&size=4&type=binary");
  CHECK_OK(wsstream_on_message(stream, count_message, &first));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  tally_await(&first.messages, 1);
  CHECK_OK(wsstream_on_message(stream, count_message, &second));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  tally_await(&second.messages, 1);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  tally_await(&second.ends, 1);
  wsstream_free(stream);
  CHECK_NUMBER(1, tally_count(&first.messages));
  CHECK_NUMBER(0, tally_count(&first.ends));
  CHECK_NUMBER(1, tally_count(&second.messages));
  CHECK_NUMBER(1, tally_count(&second.ends));
}

static void *let_go_soon(void *argument) {
  let_pass_ms(50);
  tally_add(argument);
  return NULL;
}

/* The removal returns after the callback has left, and then reading is the program's again. */
static void removal_waits_for_the_callback_on_another_thread(void) {
  struct gate gate = GATE_ZERO;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  pthread_t thread;
  CHECK_OK(wsstream_on_message(stream, pass_message, &gate));
  peer_send_text(&peer, "one");
  tally_await(&gate.entered, 1);
  thread = check_thread(let_go_soon, &gate.let_go);
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_NUMBER(1, tally_count(&gate.left));
  peer_send_text(&peer, "two");
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "two", 3, &message);
  wsstream_message_release(&message);
  CHECK_NUMBER(1, tally_count(&gate.entered));
  check_join(thread);
  peer_free(&peer, stream);
}

static void removal_of_an_event_waits_for_the_callback_too(void) {
  struct gate gate = GATE_ZERO;
  wsstream *stream = check_open("/echo");
  pthread_t thread;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, pass_event, &gate));
  tally_await(&gate.entered, 1);
  thread = check_thread(let_go_soon, &gate.let_go);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, NULL, NULL));
  CHECK_NUMBER(1, tally_count(&gate.left));
  check_join(thread);
  wsstream_free(stream);
}

static uint32_t remove_itself(wsstream *stream, wsstream_status status, const wsstream_message *message,
                              void *user_data) {
  CHECK_OK(status);
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_MESSAGE(WSSTREAM_TEXT, "one", 3, message);
  note(user_data, 'm');
  return WSSTREAM_CONTINUE;
}

static void a_callback_removes_itself_without_waiting(void) {
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  wsstream_status status;
  CHECK_OK(wsstream_on_message(stream, remove_itself, diary));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  expect_diary(diary, "m");
  /* It has removed itself before it wrote into the diary. */
  while ((status = wsstream_read(stream, SOON, &message)) == WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_OK(status);
  CHECK_MESSAGE(WSSTREAM_TEXT, "two", 3, &message);
  wsstream_message_release(&message);
  expect_diary(diary, "m");
  peer_free(&peer, stream);
  diary_free(diary);
}

static uint32_t replace_itself(wsstream *stream, wsstream_status status, const wsstream_message *message,
                               void *user_data) {
  CHECK_OK(status);
  CHECK(message != NULL);
  CHECK_OK(wsstream_on_message(stream, note_message, user_data));
  note(user_data, 'r');
  return WSSTREAM_CONTINUE;
}

static void a_callback_replaces_itself(void) {
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  CHECK_OK(wsstream_on_message(stream, replace_itself, diary));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  peer_send_text(&peer, "three");
  expect_diary(diary, "rmm");
  peer_free(&peer, stream);
  diary_free(diary);
}

static void a_message_callback_makes_readers_busy_and_writers_not(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_open("/answer?n=1&size=4&type=binary");
  wsstream_message message;
  wsstream_chunk chunk;
  uint32_t events;
  size_t count;
  char byte;
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, 0, &message));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read_many(stream, SOON, &message, 1, &count));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read_some(stream, &byte, 1, SOON, &chunk));
  CHECK_OK(wsstream_poll(stream, WSSTREAM_OPENED, 0, &events));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  CHECK_OK(wsstream_flush(stream, SOON));
  tally_await(&counting.messages, 1);
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, SOON, &message));
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 0, &message));
  wsstream_free(stream);
}

struct reader {
  wsstream *stream;
  wsstream_status status;
};

static void *read_for_ever(void *argument) {
  struct reader *reader = argument;
  wsstream_message message;
  do reader->status = wsstream_read(reader->stream, WSSTREAM_FOREVER, &message);
  while (reader->status == WSSTREAM_ERR_BUSY);
  return NULL;
}

static void a_blocked_reader_makes_a_message_callback_busy(void) {
  wsstream *stream = check_open("/echo");
  struct reader reader = {stream, 0};
  struct diary *diary = diary_new();
  pthread_t thread = check_thread(read_for_ever, &reader);
  wsstream_message message;
  while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED, note_event, diary));
  expect_diary(diary, "e");
  CHECK_OK(wsstream_wake(stream, WSSTREAM_READABLE));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_AGAIN, reader.status);
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "for the callback", 16, SOON));
  expect_diary(diary, "em");
  wsstream_free(stream);
  diary_free(diary);
}

static uint32_t retain_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                               void *user_data) {
  struct gate *gate = user_data;
  CHECK(stream != NULL);
  if (status != WSSTREAM_OK) return WSSTREAM_CONTINUE;
  CHECK_OK(wsstream_message_retain(message, &gate->kept));
  tally_add(&gate->left);
  return WSSTREAM_CONTINUE;
}

static void a_retained_message_outlives_callback_and_stream(void) {
  struct gate gate = GATE_ZERO;
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_message(stream, retain_message, &gate));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "kept", 4, SOON));
  tally_await(&gate.left, 1);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &gate.kept);
  wsstream_message_release(&gate.kept);
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

struct events {
  struct tally runs;
  uint32_t events;
};

static void keep_events(wsstream *stream, uint32_t events, void *user_data) {
  struct events *kept = user_data;
  CHECK(stream != NULL);
  kept->events = events;
  tally_add(&kept->runs);
}

/* Runs no more by itself, although what it waited for still holds. */
static void expect_event(struct events *kept, int run, uint32_t events) {
  CHECK_NUMBER(run, tally_await(&kept->runs, run));
  CHECK_NUMBER(events, kept->events);
  let_pass_ms(20);
  CHECK_NUMBER(run, tally_count(&kept->runs));
}

static void on_event_runs_once_and_is_armed_again_by_the_next_call(void) {
  struct events kept = {TALLY_ZERO, 0};
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED, keep_events, &kept));
  expect_event(&kept, 1, WSSTREAM_OPENED);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, keep_events, &kept));
  expect_event(&kept, 2, WSSTREAM_WRITABLE);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &kept));
  let_pass_ms(20);
  CHECK_NUMBER(2, tally_count(&kept.runs));
  peer_send_text(&peer, "readable");
  expect_event(&kept, 3, WSSTREAM_READABLE);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &kept));
  expect_event(&kept, 4, WSSTREAM_READABLE);
  CHECK_OK(wsstream_read(stream, 0, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE_SOME, keep_events, &kept));
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "half", 4);
  expect_event(&kept, 5, WSSTREAM_READABLE_SOME);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE | WSSTREAM_CLOSED, keep_events, &kept));
  let_pass_ms(20);
  CHECK_NUMBER(5, tally_count(&kept.runs));
  peer_send_frame(&peer, PEER_LAST, "", 0);
  expect_event(&kept, 6, WSSTREAM_READABLE);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_CLOSED, keep_events, &kept));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "\x03\xe8", 2);
  expect_event(&kept, 7, WSSTREAM_CLOSED);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_CLOSED | WSSTREAM_WRITABLE, keep_events, &kept));
  expect_event(&kept, 8, WSSTREAM_CLOSED | WSSTREAM_WRITABLE);
  peer_free(&peer, stream);
}

static void on_event_waits_while_connecting(void) {
  struct events kept = {TALLY_ZERO, 0};
  wsstream *stream = check_begin_open("/handshake?delay_ms=50", NULL);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED | WSSTREAM_WRITABLE, keep_events, &kept));
  CHECK_NUMBER(1, tally_await(&kept.runs, 1));
  CHECK((kept.events & WSSTREAM_OPENED) != 0);
  CHECK_OK(wsstream_wait_opened(stream, 0));
  wsstream_free(stream);
}

/* A peer that reads nothing makes it unwritable; when the peer reads, the event comes. */
static void on_event_comes_when_there_is_room_again(void) {
  static uint8_t sink[65536];
  struct events kept = {TALLY_ZERO, 0};
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_fill(stream);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, keep_events, &kept));
  let_pass_ms(20);
  CHECK_NUMBER(0, tally_count(&kept.runs));
  while (tally_count(&kept.runs) == 0)
    if (recv(peer.socket, sink, sizeof sink, MSG_DONTWAIT) <= 0) let_pass_ms(1);
  CHECK_NUMBER(WSSTREAM_WRITABLE, kept.events);
  peer_free(&peer, stream);
}

static void another_event_callback_replaces_and_null_removes(void) {
  struct events first = {TALLY_ZERO, 0}, second = {TALLY_ZERO, 0};
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &first));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &second));
  peer_send_text(&peer, "one");
  tally_await(&second.runs, 1);
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &second));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, NULL, NULL));
  peer_send_text(&peer, "two");
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  let_pass_ms(20);
  CHECK_NUMBER(0, tally_count(&first.runs));
  CHECK_NUMBER(1, tally_count(&second.runs));
  peer_free(&peer, stream);
}

/* One program with on_event only: armed again inside, it reads until AGAIN. */
struct event_reader {
  struct tally messages, ends;
};

static void read_in_event(wsstream *stream, uint32_t events, void *user_data) {
  struct event_reader *reader = user_data;
  wsstream_message message;
  wsstream_status status;
  CHECK_NUMBER(WSSTREAM_READABLE, events);
  while ((status = wsstream_read(stream, 0, &message)) == WSSTREAM_OK) {
    wsstream_message_release(&message);
    tally_add(&reader->messages);
  }
  if (status == WSSTREAM_AGAIN) {
    CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, read_in_event, reader));
  } else {
    CHECK_STATUS(WSSTREAM_DONE, status);
    tally_add(&reader->ends);
  }
}

static void on_event_reads_every_message_to_the_end(void) {
  struct event_reader reader = {TALLY_ZERO, TALLY_ZERO};
  wsstream *stream = check_begin_open("/count?n=3000&size=100", NULL);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, read_in_event, &reader));
  tally_await(&reader.ends, 1);
  CHECK_NUMBER(3000, tally_count(&reader.messages));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
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
  RUN(each_message_comes_once_and_in_order);
  RUN(messages_that_were_here_before_come_to_a_late_callback);
  RUN(pause_holds_the_next_message_until_resume);
  RUN(resume_before_pause_was_returned_undoes_it);
  RUN(resume_on_another_thread_while_it_runs_undoes_its_pause);
  RUN(resume_without_pause_is_welcome);
  RUN(another_message_callback_replaces_the_first);
  RUN(removal_waits_for_the_callback_on_another_thread);
  RUN(removal_of_an_event_waits_for_the_callback_too);
  RUN(a_callback_removes_itself_without_waiting);
  RUN(a_callback_replaces_itself);
  RUN(a_message_callback_makes_readers_busy_and_writers_not);
  RUN(a_blocked_reader_makes_a_message_callback_busy);
  RUN(a_retained_message_outlives_callback_and_stream);
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
  RUN(on_event_runs_once_and_is_armed_again_by_the_next_call);
  RUN(on_event_waits_while_connecting);
  RUN(on_event_comes_when_there_is_room_again);
  RUN(another_event_callback_replaces_and_null_removes);
  RUN(on_event_reads_every_message_to_the_end);
  RUN(callbacks_of_one_stream_never_overlap);
  RUN(a_callback_never_runs_inside_a_call);
  RUN(a_freed_stream_that_is_held_takes_no_callbacks);
  return 0;
}
