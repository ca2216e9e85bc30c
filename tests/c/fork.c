/* What a stream is in the child of a fork, and that the parent's goes on as if there had been none. */
#include "child.h"
#include "self.h"
#include "server.h"
#include "tally.h"

#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>

/* A child has no thread to let go of the allocator; that of the C library sees to it, AddressSanitizer's does not. */
#ifdef __SANITIZE_ADDRESS__
enum { ALLOCATOR_SURVIVES_A_FORK = 0 };
#else
enum { ALLOCATOR_SURVIVES_A_FORK = 1 };
#endif

#define FORKED(call) CHECK_STATUS(WSSTREAM_ERR_FORKED, call)
#define REFUSED(call) CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, call)

static void never_opened(wsstream *stream, wsstream_status status, void *user_data) {
  (void)stream, (void)status, (void)user_data;
  CHECK(!"called");
}

static void never_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)stream, (void)status, (void)info, (void)user_data;
  CHECK(!"called");
}

static uint32_t never_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                              void *user_data) {
  (void)stream, (void)status, (void)message, (void)user_data;
  CHECK(!"called");
  return WSSTREAM_CONTINUE;
}

static void never_event(wsstream *stream, uint32_t events, void *user_data) {
  (void)stream, (void)events, (void)user_data;
  CHECK(!"called");
}

static void never_freed(void *user_data) {
  (void)user_data;
  CHECK(!"called");
}

static void echo(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, text, strlen(text), SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  wsstream_message_release(&message);
}

static void close_and_free(wsstream *stream) {
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* The path with an id that no other claim has, under which the server keeps its record. */
static const char *with_id(const char *path, const char *id) {
  static char text[128];
  snprintf(text, sizeof text, "%s?id=%s", path, id);
  return text;
}

static void free_it(void *stream) {
  wsstream_free(stream);
}

/* A test beside this one looks that every function of the header that has a stream and a status is called here. */
static void every_call_is_forked(void *argument) {
  wsstream *stream = argument;
  const wsstream_close_info *info = (const wsstream_close_info *)stream;
  wsstream_statistics statistics;
  wsstream_message messages[2];
  wsstream_chunk chunk;
  uint32_t events = 1;
  size_t count = 1;
  char buffer[8];
  int descriptor = 0;
  FORKED(wsstream_wait_opened(stream, SOON));
  FORKED(wsstream_close(stream, 1000, NULL, 0));
  FORKED(wsstream_wait_closed(stream, SOON, &info));
  CHECK(info == NULL);
  FORKED(wsstream_read(stream, SOON, messages));
  CHECK(messages[0].owner == NULL && messages[0].data == NULL);
  FORKED(wsstream_read_many(stream, SOON, messages, 2, &count));
  CHECK_NUMBER(0, count);
  FORKED(wsstream_read_some(stream, buffer, sizeof buffer, SOON, &chunk));
  CHECK_NUMBER(0, chunk.type);
  FORKED(wsstream_readable_cancel(stream, 1000, NULL, 0));
  FORKED(wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  memset(messages, 0, sizeof messages);
  messages[0].type = messages[1].type = WSSTREAM_TEXT;
  count = 1;
  FORKED(wsstream_write_many(stream, messages, 2, SOON, &count));
  CHECK_NUMBER(0, count);
  FORKED(wsstream_write_some(stream, WSSTREAM_TEXT, "a", 1, WSSTREAM_FIN, SOON));
  FORKED(wsstream_flush(stream, SOON));
  FORKED(wsstream_writable_close(stream, SOON));
  FORKED(wsstream_writable_abort(stream, 1000, NULL, 0));
  FORKED(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  CHECK_NUMBER(0, events);
  FORKED(wsstream_wake(stream, WSSTREAM_READABLE));
  FORKED(wsstream_fd(stream, &descriptor));
  CHECK_NUMBER(-1, descriptor);
  FORKED(wsstream_fd_watch(stream, WSSTREAM_READABLE));
  FORKED(wsstream_on_opened(stream, never_opened, NULL));
  FORKED(wsstream_on_closed(stream, never_closed, NULL));
  FORKED(wsstream_on_message(stream, never_message, NULL));
  FORKED(wsstream_on_event(stream, WSSTREAM_READABLE, never_event, NULL));
  FORKED(wsstream_on_freed(stream, never_freed, NULL));
  FORKED(wsstream_resume(stream));
  FORKED(wsstream_statistics_get(stream, &statistics, sizeof statistics));
  CHECK_NUMBER(0, statistics.messages_sent);
  wsstream_free(stream);
}

static void bad_arguments_are_said_first(void *argument) {
  wsstream *stream = argument;
  wsstream_message message;
  wsstream_chunk chunk;
  uint32_t events;
  size_t count;
  REFUSED(wsstream_close(stream, 70000, NULL, 0));
  REFUSED(wsstream_read(stream, 0, NULL));
  REFUSED(wsstream_read_many(stream, 0, &message, 0, &count));
  REFUSED(wsstream_read_some(stream, NULL, 1, 0, &chunk));
  REFUSED(wsstream_readable_cancel(stream, 70000, NULL, 0));
  REFUSED(wsstream_write(stream, 3, "a", 1, 0));
  memset(&message, 0, sizeof message);
  REFUSED(wsstream_write_many(stream, &message, 1, 0, &count));
  REFUSED(wsstream_write_some(stream, WSSTREAM_TEXT, "a", 1, 64, 0));
  REFUSED(wsstream_writable_abort(stream, -2, NULL, 0));
  REFUSED(wsstream_poll(stream, 0, 0, &events));
  REFUSED(wsstream_wake(stream, 0));
  REFUSED(wsstream_fd(stream, NULL));
  REFUSED(wsstream_fd_watch(stream, 1u << 31));
  REFUSED(wsstream_on_opened(stream, NULL, NULL));
  REFUSED(wsstream_on_closed(stream, NULL, NULL));
  REFUSED(wsstream_on_event(stream, 0, never_event, NULL));
  REFUSED(wsstream_on_freed(stream, NULL, NULL));
  REFUSED(wsstream_statistics_get(stream, NULL, sizeof(wsstream_statistics)));
  wsstream_free(stream);
}

static void every_call_in_the_child_answers_forked(void) {
  wsstream *stream = check_open("/echo");
  child_run(every_call_is_forked, stream);
  child_run(bad_arguments_are_said_first, stream);
  echo(stream, "the parent's goes on");
  CHECK_OK(wsstream_close(stream, 4000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 4000, "");
}

struct known {
  wsstream *stream;
  char url[512], upgrade[64];
};

static void the_texts_are_known(void *argument) {
  const struct known *known = argument;
  const char *upgrade = wsstream_response_header(known->stream, "upgrade", WSSTREAM_NUL, 0);
  CHECK_TEXT(known->url, wsstream_url(known->stream));
  CHECK_TEXT("chat", wsstream_protocol(known->stream));
  CHECK(wsstream_extensions(known->stream) != NULL);
  CHECK_TEXT(known->upgrade, upgrade);
  CHECK(wsstream_response_header(known->stream, "upgrade", WSSTREAM_NUL, 1) == NULL);
  CHECK(wsstream_ref(known->stream) == known->stream);
  wsstream_free(known->stream);
  CHECK_TEXT(known->url, wsstream_url(known->stream));
  wsstream_unref(known->stream);
}

static void texts_and_references_go_on_in_the_child(void) {
  static struct known known;
  wsstream_options *options = wsstream_options_new();
  const char *upgrade;
  CHECK_OK(wsstream_options_add_protocol(options, "chat", WSSTREAM_NUL));
  known.stream = check_begin_open("/echo", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(known.stream, SOON));
  upgrade = wsstream_response_header(known.stream, "Upgrade", WSSTREAM_NUL, 0);
  CHECK(upgrade != NULL);
  snprintf(known.url, sizeof known.url, "%s", wsstream_url(known.stream));
  snprintf(known.upgrade, sizeof known.upgrade, "%s", upgrade);
  child_run(the_texts_are_known, &known);
  close_and_free(known.stream);
}

struct held {
  wsstream *stream;
  struct self_descriptors before, after;
};

static struct held open_and_look(const char *path) {
  struct held held;
  int descriptor = -1;
  self_look_at_descriptors(&held.before);
  held.stream = check_open(path);
  CHECK_OK(wsstream_fd(held.stream, &descriptor));
  CHECK(descriptor >= 0);
  echo(held.stream, "open");
  self_look_at_descriptors(&held.after);
  return held;
}

static void free_gives_the_descriptors_back(void *argument) {
  const struct held *held = argument;
  int i, given_back = 0;
  wsstream_free(held->stream);
  for (i = 0; i < SELF_MAX; i++) {
    if (held->before.open[i] || !held->after.open[i]) continue;
    if (fcntl(i, F_GETFD) != -1) CHECK_FAIL("descriptor %d of the stream is still open", i);
    given_back++;
  }
  /* The socket and what stands for it in event loops. */
  CHECK(given_back >= 2);
}

/* The first stream brings what belongs to the runtime and to this thread. */
static void free_in_the_child_gives_its_descriptors_back(void) {
  wsstream *first = check_open("/echo");
  struct held held = open_and_look("/echo");
  child_run(free_gives_the_descriptors_back, &held);
  echo(held.stream, "the parent's goes on");
  close_and_free(held.stream);
  close_and_free(first);
}

/* Bytes that malloc has given out; 0 where another allocator took its place. */
static size_t bytes_in_use(void) {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

enum { MANY = 64 };

struct many {
  wsstream *streams[MANY];
  int told[2];
};

static void free_and_tell_what_is_left(void *argument) {
  const struct many *many = argument;
  size_t i, left;
  for (i = 0; i < MANY; i++) wsstream_free(many->streams[i]);
  left = bytes_in_use();
  CHECK_NUMBER(sizeof left, write(many->told[1], &left, sizeof left));
}

/* As much as in the parent, where free gives all of it back. What the process keeps for later streams is in both. */
static void free_in_the_child_gives_memory_back(void) {
  static struct many many;
  size_t i, before, left, left_in_child;
  CHECK_NUMBER(0, pipe(many.told));
  for (i = 0; i < MANY; i++) many.streams[i] = check_open("/echo");
  before = bytes_in_use();
  child_run(free_and_tell_what_is_left, &many);
  CHECK_NUMBER(sizeof left, read(many.told[0], &left_in_child, sizeof left_in_child));
  for (i = 0; i < MANY; i++) close_and_free(many.streams[i]);
  let_pass_ms(50);
  left = bytes_in_use();
  if (before > left && left_in_child > left + (before - left) / 4)
    CHECK_FAIL("of %zu bytes free leaves %zu, and %zu in the child", before, left, left_in_child);
  close(many.told[0]);
  close(many.told[1]);
}

static void free_in_the_child_sends_nothing(void) {
  const char *id = server_fresh_word();
  wsstream *stream = check_open(with_id("/echo", id));
  char *record;
  child_run(free_it, stream);
  echo(stream, "after the child");
  close_and_free(stream);
  record = server_record(id, 0);
  CHECK_NUMBER(2, server_count(record, "frames"));
  CHECK_NUMBER(1, server_count(record, "text"));
  CHECK_NUMBER(1, server_count(record, "close"));
  CHECK_NUMBER(0, server_count(record, "violations"));
  CHECK(strstr(record, "end: fin") != NULL);
  free(record);
}

/* One round with a stream fresh from a call and one that has lain for a while: two ways to watch it. */
static void the_parents_stream_is_watched_after_a_fork(void) {
  const char *id = server_fresh_word();
  wsstream *stream = check_open(with_id("/ping_echo", id));
  wsstream_message message;
  int round, descriptor = -1;
  struct epoll_event event = {.events = EPOLLIN};
  const int loop = epoll_create1(EPOLL_CLOEXEC);
  CHECK_OK(wsstream_fd(stream, &descriptor));
  CHECK_NUMBER(0, epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event));
  for (round = 1; round <= 4; round++) {
    char *record;
    if (round % 2 == 0) let_pass_ms(50);
    child_run(every_call_is_forked, stream);
    CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "ping me", 7, SOON));
    /* Nobody reads, and the pong of this round comes. */
    record = server_record(id, 2 * round);
    CHECK_NUMBER(round, server_count(record, "pong"));
    free(record);
    CHECK_NUMBER(1, epoll_wait(loop, &event, 1, (int)SOON));
    CHECK_OK(wsstream_read(stream, 0, &message));
    CHECK_MESSAGE(WSSTREAM_TEXT, "ping me", 7, &message);
    wsstream_message_release(&message);
  }
  close(loop);
  close_and_free(stream);
}

static void the_peers_close_is_seen_after_a_fork(void) {
  wsstream *stream = check_open("/close?code=4001&reason=bye&after=1");
  child_run(every_call_is_forked, stream);
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "go", 2, SOON));
  CHECK_CLOSED_AND_FREE(stream, 4001, "bye");
}

struct before {
  wsstream_options *options;
  wsstream_aborter *aborter;
  wsstream_message message;
};

static void use_what_is_from_before(void *argument) {
  struct before *before = argument;
  wsstream_message retained;
  wsstream *stream = check_begin_open("/echo", before->options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("chat", wsstream_protocol(stream));
  close_and_free(stream);
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &before->message);
  CHECK_OK(wsstream_message_retain(&before->message, &retained));
  wsstream_message_release(&before->message);
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &retained);
  wsstream_message_release(&retained);
  wsstream_aborter_abort(before->aborter);
  stream = check_begin_open("/echo", before->options);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
  wsstream_aborter_free(before->aborter);
  wsstream_options_free(before->options);
}

static void options_aborters_and_messages_go_on_in_the_child(void) {
  struct before before = {wsstream_options_new(), wsstream_aborter_new(), {0}};
  wsstream *stream;
  CHECK_OK(wsstream_options_add_protocol(before.options, "chat", WSSTREAM_NUL));
  CHECK_OK(wsstream_options_set_aborter(before.options, before.aborter));
  stream = check_begin_open("/echo", before.options);
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "kept", 4, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &before.message));
  child_run(use_what_is_from_before, &before);
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &before.message);
  wsstream_message_release(&before.message);
  close_and_free(stream);
  /* What the child aborted is aborted there alone. */
  stream = check_begin_open("/echo", before.options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  close_and_free(stream);
  wsstream_aborter_free(before.aborter);
  wsstream_options_free(before.options);
}

struct both {
  wsstream *stream;
  int opened[2];
};

static void echo_at_once(void *argument) {
  struct both *both = argument;
  wsstream *own = check_open("/echo");
  int i;
  CHECK_NUMBER(1, write(both->opened[1], "o", 1));
  for (i = 0; i < 200; i++) echo(own, "from the child");
  /* The parent's stays dead although this process has streams of its own now. */
  FORKED(wsstream_wait_opened(both->stream, 0));
  wsstream_free(both->stream);
  echo(own, "and goes on");
  close_and_free(own);
}

static void the_child_opens_streams_of_its_own_while_the_parents_go_on(void) {
  struct both both;
  pid_t child;
  char byte;
  int i;
  CHECK_NUMBER(0, pipe(both.opened));
  both.stream = check_open("/echo");
  child = child_begin(echo_at_once, &both);
  CHECK_NUMBER(1, read(both.opened[0], &byte, 1));
  for (i = 0; i < 200; i++) echo(both.stream, "from the parent");
  child_end(child);
  close_and_free(both.stream);
  close(both.opened[0]);
  close(both.opened[1]);
}

static void fork_again(void *argument) {
  wsstream *streams[2] = {argument, check_open("/echo")};
  child_run(every_call_is_forked, streams[0]);
  child_run(every_call_is_forked, streams[1]);
  echo(streams[1], "the child's goes on");
  close_and_free(streams[1]);
  every_call_is_forked(streams[0]);
}

static void a_stream_of_the_child_is_dead_in_its_own_child(void) {
  wsstream *stream = check_open("/echo");
  child_run(fork_again, stream);
  echo(stream, "the parent's goes on");
  close_and_free(stream);
}

static void *read_one(void *argument) {
  wsstream_message message;
  wsstream_status status;
  do status = wsstream_read(argument, WSSTREAM_FOREVER, &message);
  while (status == WSSTREAM_ERR_BUSY);
  CHECK_OK(status);
  CHECK_MESSAGE(WSSTREAM_TEXT, "for the reader", 14, &message);
  wsstream_message_release(&message);
  return NULL;
}

static void use_both_ways(void *argument) {
  struct held *held = argument;
  wsstream *own = check_open("/echo");
  FORKED(wsstream_wait_opened(held->stream, 0));
  free_gives_the_descriptors_back(held);
  echo(own, "from the child");
  close_and_free(own);
}

/* The child has the reader's marks in the stream, but not the reader. */
static void fork_while_another_thread_reads(void) {
  wsstream *first = check_open("/echo");
  struct held held = open_and_look("/echo");
  pthread_t reader = check_thread(read_one, held.stream);
  wsstream_message message;
  while (wsstream_read(held.stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
  child_run(use_both_ways, &held);
  CHECK_OK(wsstream_write(held.stream, WSSTREAM_TEXT, "for the reader", 14, SOON));
  check_join(reader);
  close_and_free(held.stream);
  close_and_free(first);
}

static struct tally opens = TALLY_ZERO;
static struct tally stop = TALLY_ZERO;
static wsstream_options *shared;

/* Options with roots of their own, so that there is more than the default configuration of TLS. */
static wsstream_options *options_with_roots(void) {
  wsstream_options *options = wsstream_options_new();
  const char *path = getenv("WSSTREAM_TEST_CA");
  char pem[16384];
  FILE *file;
  CHECK_OK(wsstream_options_add_protocol(options, "chat", WSSTREAM_NUL));
  if (path == NULL) return options;
  file = fopen(path, "re");
  CHECK(file != NULL);
  CHECK_OK(wsstream_options_set_text(options, WSSTREAM_OPTION_CA_PEM, pem, fread(pem, 1, sizeof pem, file)));
  fclose(file);
  return options;
}

static void open_and_close(const wsstream_options *options) {
  wsstream *stream = check_begin_open("/echo", options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  close_and_free(stream);
}

static void *open_often(void *unused) {
  while (tally_count(&stop) == 0) {
    open_and_close(NULL);
    open_and_close(shared);
    tally_add(&opens);
  }
  return unused;
}

static void open_own(void *stream) {
  open_and_close(NULL);
  open_and_close(shared);
  every_call_is_forked(stream);
}

static void fork_while_other_threads_open(void) {
  wsstream *stream = check_open("/echo");
  pthread_t openers[2];
  int i;
  shared = options_with_roots();
  for (i = 0; i < 2; i++) openers[i] = check_thread(open_often, NULL);
  for (i = 0; i < 40; i++) child_run(open_own, stream);
  tally_await(&opens, 1);
  tally_add(&stop);
  for (i = 0; i < 2; i++) check_join(openers[i]);
  wsstream_options_free(shared);
  echo(stream, "the parent's goes on");
  close_and_free(stream);
}

static struct tally callbacks = TALLY_ZERO;
static struct tally returns = TALLY_ZERO;

static void stay_until_told(wsstream *stream, wsstream_status status, const wsstream_close_info *info,
                            void *user_data) {
  (void)stream, (void)status, (void)info, (void)user_data;
  tally_add(&callbacks);
  tally_await(&returns, 1);
}

/* The callback has no thread in the child, so free there waits for none. */
static void free_in_the_child_waits_for_no_callback_of_the_parent(void) {
  wsstream *stream = check_open("/close");
  CHECK_OK(wsstream_on_closed(stream, stay_until_told, NULL));
  tally_await(&callbacks, 1);
  child_run(every_call_is_forked, stream);
  tally_add(&returns);
  wsstream_free(stream);
}

static void fork_inside(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)status, (void)info;
  child_run(free_it, stream);
  tally_add(user_data);
}

static void fork_inside_a_callback(void) {
  static struct tally done = TALLY_ZERO;
  wsstream *stream = check_open("/close"), *other = check_open("/echo");
  CHECK_OK(wsstream_on_closed(stream, fork_inside, &done));
  tally_await(&done, 1);
  echo(other, "the thread of the callbacks goes on");
  close_and_free(other);
  wsstream_free(stream);
}

static void the_state_at_the_fork_does_not_matter_to_the_child(void) {
  const char *token = server_fresh_word();
  wsstream *opening, *closing = check_open("/close_reply?missing=1"), *closed = check_open("/close");
  wsstream *failed = check_begin_open("/handshake?status=404", NULL);
  char path[64];
  snprintf(path, sizeof path, "/handshake?token=%s", token);
  opening = check_begin_open(path, NULL);
  CHECK_OK(wsstream_close(closing, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(closed, SOON, NULL));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(failed, SOON, NULL));
  child_run(every_call_is_forked, opening);
  child_run(every_call_is_forked, closing);
  child_run(every_call_is_forked, closed);
  child_run(every_call_is_forked, failed);
  server_release(token);
  CHECK_OK(wsstream_wait_opened(opening, SOON));
  echo(opening, "opened");
  close_and_free(opening);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(closing, 0, NULL));
  wsstream_free(closing);
  wsstream_free(closed);
  wsstream_free(failed);
}

struct bystander {
  int told[2];
};

static void hold_everything(void *argument) {
  const struct bystander *bystander = argument;
  char byte;
  close(bystander->told[1]);
  CHECK_NUMBER(0, read(bystander->told[0], &byte, 1));
}

/* The server waits for the end of TCP and writes down what it was, while a child still holds the sockets. */
static void the_peer_sees_the_parents_end_although_a_child_holds_the_socket(void) {
  const char *closed_id = server_fresh_word(), *freed_id = server_fresh_word();
  wsstream *closed = check_open(with_id("/echo", closed_id)), *freed = check_open(with_id("/echo", freed_id));
  struct bystander bystander;
  pid_t child;
  char *record;
  CHECK_NUMBER(0, pipe(bystander.told));
  child = child_begin(hold_everything, &bystander);
  close_and_free(closed);
  wsstream_free(freed);
  record = server_record(closed_id, 0);
  if (strncmp(record, "end: fin", 8) != 0) CHECK_FAIL("%s", record);
  free(record);
  record = server_record(freed_id, 0);
  if (strncmp(record, "end: fin", 8) != 0) CHECK_FAIL("%s", record);
  CHECK(strstr(record, "code=1001") != NULL);
  free(record);
  close(bystander.told[0]);
  close(bystander.told[1]);
  child_end(child);
}

int main(void) {
  check_begin();
  RUN(every_call_in_the_child_answers_forked);
  RUN(texts_and_references_go_on_in_the_child);
  RUN(free_in_the_child_gives_its_descriptors_back);
  RUN(free_in_the_child_gives_memory_back);
  RUN(free_in_the_child_sends_nothing);
  RUN(the_parents_stream_is_watched_after_a_fork);
  RUN(the_peers_close_is_seen_after_a_fork);
  RUN(options_aborters_and_messages_go_on_in_the_child);
  RUN(the_child_opens_streams_of_its_own_while_the_parents_go_on);
  RUN(a_stream_of_the_child_is_dead_in_its_own_child);
  RUN(fork_while_another_thread_reads);
  if (ALLOCATOR_SURVIVES_A_FORK) RUN(fork_while_other_threads_open);
  RUN(free_in_the_child_waits_for_no_callback_of_the_parent);
  RUN(fork_inside_a_callback);
  RUN(the_state_at_the_fork_does_not_matter_to_the_child);
  RUN(the_peer_sees_the_parents_end_although_a_child_holds_the_socket);
  return EXIT_SUCCESS;
}
