/* The descriptor of a stream in poll(2): what makes it readable, what quietens it, and what it costs. */
#include "callback.h"
#include "check.h"
#include "descriptor.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

static void expect_again(wsstream *stream) {
  wsstream_message message;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 0, &message));
}

static void the_descriptor_is_one_number_nonblocking_and_close_on_exec(void) {
  wsstream *stream = check_begin_open("/handshake?delay_ms=20", NULL);
  const int fd = fd_of(stream);
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_NUMBER(fd, fd_of(stream));
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_CLOSED));
  CHECK_NUMBER(fd, fd_of(stream));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_NUMBER(fd, fd_of(stream));
  wsstream_free(stream);
}

static void it_stands_for_readable_until_something_else_is_watched(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  expect_quiet(stream, fd, WSSTREAM_READABLE);
  peer_send_text(&peer, "hello");
  EXPECT_READABLE(fd);
  EXPECT_READABLE(fd);
  expect_text(stream, "hello");
  expect_again(stream);
  expect_quiet(stream, fd, WSSTREAM_READABLE);
  peer_send_text(&peer, "again");
  EXPECT_READABLE(fd);
  expect_text(stream, "again");
  peer_free(&peer, stream);
}

static void a_message_that_was_here_before_makes_it_readable(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  uint32_t events;
  int fd;
  peer_send_text(&peer, "early");
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  fd = fd_of(stream);
  EXPECT_READABLE(fd);
  expect_text(stream, "early");
  peer_free(&peer, stream);
}

/* Keeps the internal thread inside a callback until the gate is let go. */
static wsstream *hold_the_library(struct gate *gate) {
  wsstream *other = check_open("/echo");
  CHECK_OK(wsstream_on_event(other, WSSTREAM_WRITABLE, pass_event, gate));
  tally_await(&gate->entered, 1);
  return other;
}

static void let_the_library_go(struct gate *gate, wsstream *other) {
  tally_add(&gate->let_go);
  wsstream_free(other);
}

/* Before the opening or after it: the socket itself is behind the descriptor, and no other thread has to come by. */
static void it_tells_of_a_message_without_the_library(void) {
  int i;
  for (i = 0; i < 2; i++) {
    struct gate gate = GATE_ZERO;
    wsstream *stream = check_begin_open("/echo", NULL), *other;
    wsstream_message message;
    wsstream_status status;
    int fd;
    if (i == 0) fd_of(stream);
    CHECK_OK(wsstream_wait_opened(stream, SOON));
    fd = fd_of(stream);
    other = hold_the_library(&gate);
    CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
    do EXPECT_READABLE(fd);
    while ((status = wsstream_read(stream, 0, &message)) == WSSTREAM_AGAIN);
    CHECK_OK(status);
    wsstream_message_release(&message);
    let_the_library_go(&gate, other);
    wsstream_free(stream);
  }
}

/* The second has left the socket with the first, and no call has decoded it: only the descriptor tells of it. */
static void again_of_another_call_leaves_it_readable_for_a_message(void) {
  static const uint32_t each[] = {WSSTREAM_READABLE, WSSTREAM_READABLE_SOME,
                                  WSSTREAM_READABLE | WSSTREAM_READABLE_SOME};
  size_t i;
  for (i = 0; i < sizeof each / sizeof each[0]; i++) {
    struct gate gate = GATE_ZERO;
    struct peer peer;
    wsstream *stream = peer_open(&peer, NULL), *other = hold_the_library(&gate);
    const int fd = fd_of(stream);
    wsstream_message message;
    CHECK_OK(wsstream_fd_watch(stream, each[i]));
    peer_send(&peer, "\x81\x03" "one" "\x81\x03" "two", 10);
    CHECK_OK(wsstream_read(stream, SOON, &message));
    CHECK_MESSAGE(WSSTREAM_TEXT, "one", 3, &message);
    wsstream_message_release(&message);
    CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
    EXPECT_READABLE(fd);
    expect_text(stream, "two");
    let_the_library_go(&gate, other);
    peer_free(&peer, stream);
  }
}

static void opened_alone_is_watched(void) {
  const char *token = server_fresh_word();
  wsstream *stream;
  char path[128];
  int fd;
  snprintf(path, sizeof path, "/handshake?token=%s", token);
  stream = check_begin_open(path, NULL);
  fd = fd_of(stream);
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_OPENED));
  expect_quiet(stream, fd, WSSTREAM_OPENED);
  server_release(token);
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_wait_opened(stream, 0));
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE));
  expect_quiet(stream, fd, WSSTREAM_READABLE);
  wsstream_free(stream);
}

static void a_failed_opening_makes_it_readable(void) {
  static const uint32_t each[] = {WSSTREAM_OPENED, WSSTREAM_READABLE, WSSTREAM_READABLE_SOME, WSSTREAM_WRITABLE,
                                  WSSTREAM_CLOSED};
  size_t i;
  for (i = 0; i < sizeof each / sizeof each[0]; i++) {
    wsstream *stream = check_begin_open("/handshake?status=404&delay_ms=10", NULL);
    uint32_t events = 0;
    int fd = fd_of(stream);
    CHECK_OK(wsstream_fd_watch(stream, each[i]));
    do EXPECT_READABLE(fd);
    while (wsstream_poll(stream, each[i], 0, &events) == WSSTREAM_AGAIN);
    CHECK_NUMBER(each[i], events);
    CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, 0));
    wsstream_free(stream);
  }
}

static void writable_alone_is_watched(void) {
  static uint8_t sink[65536];
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  uint32_t events = 0;
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_WRITABLE));
  EXPECT_READABLE(fd);
  peer_fill(stream);
  expect_quiet(stream, fd, WSSTREAM_WRITABLE);
  peer_send_text(&peer, "not this");
  expect_quiet(stream, fd, WSSTREAM_WRITABLE);
  do {
    while (recv(peer.socket, sink, sizeof sink, MSG_DONTWAIT) > 0) continue;
    (void)is_readable(fd, 1);
  } while (wsstream_poll(stream, WSSTREAM_WRITABLE, 0, &events) == WSSTREAM_AGAIN);
  EXPECT_READABLE(fd);
  peer_free(&peer, stream);
}

static wsstream_status wait_closed_now(wsstream *stream) { return wsstream_wait_closed(stream, 0, NULL); }
static wsstream_status flush_now(wsstream *stream) { return wsstream_flush(stream, 0); }
static wsstream_status write_now(wsstream *stream) { return wsstream_write(stream, WSSTREAM_TEXT, "x", 1, 0); }

/* What raised it, the library having come before the program, is gone. */
static void again_of_any_call_quietens_it(void) {
  static wsstream_status (*const calls[])(wsstream *) = {wait_closed_now, flush_now, write_now};
  size_t i;
  for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    struct peer peer;
    wsstream *stream = peer_open(&peer, NULL);
    const int fd = fd_of(stream);
    int tries = 0;
    peer_queue(stream);
    peer_send_text(&peer, "taken by the library");
    EXPECT_READABLE(fd);
    let_pass_ms(50);
    expect_text(stream, "taken by the library");
    do {
      CHECK_STATUS(WSSTREAM_AGAIN, calls[i](stream));
      CHECK(tries++ < 100);
    } while (is_readable(fd, 10));
    peer_free(&peer, stream);
  }
}

static void closed_alone_is_watched(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_CLOSED));
  peer_send_text(&peer, "a message is not the end");
  expect_quiet(stream, fd, WSSTREAM_CLOSED);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  PEER_EXPECT(&peer, PEER_CLOSE, "\x03\xe8", 2);
  expect_quiet(stream, fd, WSSTREAM_CLOSED);
  peer_send_frame(&peer, PEER_CLOSE, "\x03\xe8", 2);
  peer_end(&peer);
  do EXPECT_READABLE(fd);
  while (wsstream_wait_closed(stream, 0, NULL) == WSSTREAM_AGAIN);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static void half_a_message_is_for_readable_some_only(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  wsstream_chunk chunk;
  char bytes[16];
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "half", 4);
  let_pass_ms(20);
  expect_quiet(stream, fd, WSSTREAM_READABLE);
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE_SOME));
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_read_some(stream, bytes, sizeof bytes, 0, &chunk));
  CHECK_NUMBER(4, chunk.size);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read_some(stream, bytes, sizeof bytes, 0, &chunk));
  expect_quiet(stream, fd, WSSTREAM_READABLE_SOME);
  peer_send_frame(&peer, PEER_LAST, "", 0);
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_read_some(stream, bytes, sizeof bytes, 0, &chunk));
  CHECK_NUMBER(WSSTREAM_FIN, chunk.flags);
  peer_free(&peer, stream);
}

/* The program does not come to read: the library takes what has come, which no socket shows any more. */
static void half_a_message_that_the_library_took_keeps_it_readable(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  wsstream_chunk chunk;
  char bytes[16];
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE_SOME));
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "half", 4);
  let_pass_ms(50);
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_read_some(stream, bytes, sizeof bytes, 0, &chunk));
  CHECK_NUMBER(4, chunk.size);
  peer_free(&peer, stream);
}

static void watching_nothing_silences_and_watching_counts_at_once(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  peer_send_text(&peer, "waiting");
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_fd_watch(stream, 0));
  CHECK_NUMBER(0, is_readable(fd, 50));
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE));
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_CLOSED));
  expect_quiet(stream, fd, WSSTREAM_CLOSED);
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE | WSSTREAM_CLOSED));
  EXPECT_READABLE(fd);
  expect_text(stream, "waiting");
  peer_free(&peer, stream);
}

static void *watch_soon(void *argument) {
  let_pass_ms(30);
  CHECK_OK(wsstream_fd_watch(argument, WSSTREAM_OPENED));
  return NULL;
}

static void watching_on_another_thread_wakes_who_waits(void) {
  wsstream *stream = check_open("/echo");
  const int fd = fd_of(stream);
  pthread_t thread;
  CHECK_OK(wsstream_fd_watch(stream, 0));
  thread = check_thread(watch_soon, stream);
  EXPECT_READABLE(fd);
  check_join(thread);
  wsstream_free(stream);
}

/* Ended halves are readable for ever; silenced, it neither wakes the program nor keeps the library busy. */
static void after_the_end_it_stays_readable_until_it_is_silenced(void) {
  static const char *const paths[] = {"/count?n=2", "/abrupt"};
  int i;
  for (i = 0; i < 2; i++) {
    wsstream *stream = check_open(paths[i]);
    const int fd = fd_of(stream);
    wsstream_message message;
    wsstream_status status;
    clock_t begin;
    do {
      EXPECT_READABLE(fd);
      status = wsstream_read(stream, 0, &message);
      wsstream_message_release(&message);
    } while (status == WSSTREAM_OK || status == WSSTREAM_AGAIN);
    CHECK_STATUS(i == 0 ? WSSTREAM_DONE : WSSTREAM_ERR_CONNECTION, status);
    EXPECT_READABLE(fd);
    CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_CLOSED));
    EXPECT_READABLE(fd);
    CHECK_OK(wsstream_fd_watch(stream, 0));
    begin = clock();
    CHECK_NUMBER(0, is_readable(fd, 300));
    CHECK(clock() - begin < CLOCKS_PER_SEC / 5);
    wsstream_free(stream);
  }
}

/* Unread messages and an end of TCP behind them: nobody reads, and nothing spins. */
static void an_idle_program_costs_nothing_while_messages_wait(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  clock_t begin;
  peer_send_text(&peer, "unread");
  EXPECT_READABLE(fd);
  CHECK_OK(wsstream_fd_watch(stream, 0));
  begin = clock();
  let_pass_ms(150);
  peer_end(&peer);
  let_pass_ms(150);
  CHECK(clock() - begin < CLOCKS_PER_SEC / 5);
  CHECK_NUMBER(0, is_readable(fd, 0));
  peer_free(&peer, stream);
}

/* Demand, like a thread inside read: the message is received whole, whatever the read buffer holds. */
static void a_message_beyond_the_read_buffer_arrives_through_it(void) {
  enum { SIZE = 5000000 };
  wsstream_options *options = wsstream_options_new();
  wsstream_message message;
  wsstream_status status;
  wsstream *stream;
  size_t i;
  int fd;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, 1000));
  stream = check_begin_open("/count?n=1&size=5000000&type=binary", options);
  wsstream_options_free(options);
  fd = fd_of(stream);
  do {
    EXPECT_READABLE(fd);
    status = wsstream_read(stream, 0, &message);
  } while (status == WSSTREAM_AGAIN);
  CHECK_OK(status);
  CHECK_NUMBER(SIZE, message.size);
  for (i = 0; i < SIZE; i += 997) CHECK_NUMBER(i % 251, message.data[i]);
  wsstream_message_release(&message);
  wsstream_free(stream);
}

/* The peer's Close stands behind more than the read buffer holds: demand brings it. */
static void the_end_behind_a_full_read_buffer_comes_through_it(void) {
  wsstream_options *options = wsstream_options_new();
  wsstream_message message;
  wsstream_status status;
  wsstream *stream;
  int fd, count = 0;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, 500));
  stream = check_begin_open("/count?n=2000&size=300", options);
  wsstream_options_free(options);
  fd = fd_of(stream);
  for (;;) {
    EXPECT_READABLE(fd);
    while ((status = wsstream_read(stream, 0, &message)) == WSSTREAM_OK) {
      wsstream_message_release(&message);
      count++;
    }
    if (status != WSSTREAM_AGAIN) break;
  }
  CHECK_STATUS(WSSTREAM_DONE, status);
  CHECK_NUMBER(2000, count);
  wsstream_free(stream);
}

/* Nobody is inside the library. */
static void pings_are_answered_while_the_program_waits_elsewhere(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  int i;
  for (i = 0; i < 50; i++) {
    peer_send_frame(&peer, PEER_PING, "life", 4);
    PEER_EXPECT(&peer, PEER_PONG, "life", 4);
  }
  expect_quiet(stream, fd, WSSTREAM_READABLE);
  peer_free(&peer, stream);
}

static void a_duplicate_tells_the_same(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int copy = dup(fd_of(stream));
  CHECK(copy >= 0);
  expect_quiet(stream, copy, WSSTREAM_READABLE);
  peer_send_text(&peer, "both");
  EXPECT_READABLE(copy);
  expect_text(stream, "both");
  expect_again(stream);
  expect_quiet(stream, copy, WSSTREAM_READABLE);
  peer_free(&peer, stream);
  is_readable(copy, 0);
  CHECK_NUMBER(0, close(copy));
}

static void a_freed_stream_that_is_held_has_no_descriptor(void) {
  wsstream *stream = check_open("/echo");
  int out = fd_of(stream);
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_fd(stream, &out));
  CHECK_NUMBER(-1, out);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_fd_watch(stream, WSSTREAM_READABLE));
  wsstream_unref(stream);
}

/* Descriptors are not used up by streams that come and go. */
static void streams_that_come_and_go_leave_no_descriptors(void) {
  int first = -1, last = -1, i;
  for (i = 0; i < 300; i++) {
    wsstream *stream = check_begin_open("/echo", NULL);
    last = fd_of(stream);
    if (i == 50) first = last;
    if (i % 2 == 0) CHECK_OK(wsstream_wait_opened(stream, SOON));
    wsstream_free(stream);
  }
  /* Connections that were freed end by themselves, soon. */
  while (last >= first + 100) {
    wsstream *stream = check_begin_open("/echo", NULL);
    last = fd_of(stream);
    wsstream_free(stream);
    let_pass_ms(1);
  }
}

int main(void) {
  check_begin();
  RUN(the_descriptor_is_one_number_nonblocking_and_close_on_exec);
  RUN(it_stands_for_readable_until_something_else_is_watched);
  RUN(a_message_that_was_here_before_makes_it_readable);
  RUN(it_tells_of_a_message_without_the_library);
  RUN(again_of_another_call_leaves_it_readable_for_a_message);
  RUN(opened_alone_is_watched);
  RUN(a_failed_opening_makes_it_readable);
  RUN(writable_alone_is_watched);
  RUN(again_of_any_call_quietens_it);
  RUN(closed_alone_is_watched);
  RUN(half_a_message_is_for_readable_some_only);
  RUN(half_a_message_that_the_library_took_keeps_it_readable);
  RUN(watching_nothing_silences_and_watching_counts_at_once);
  RUN(watching_on_another_thread_wakes_who_waits);
  RUN(after_the_end_it_stays_readable_until_it_is_silenced);
  RUN(an_idle_program_costs_nothing_while_messages_wait);
  RUN(a_message_beyond_the_read_buffer_arrives_through_it);
  RUN(the_end_behind_a_full_read_buffer_comes_through_it);
  RUN(pings_are_answered_while_the_program_waits_elsewhere);
  RUN(a_duplicate_tells_the_same);
  RUN(a_freed_stream_that_is_held_has_no_descriptor);
  RUN(streams_that_come_and_go_leave_no_descriptors);
  return 0;
}
