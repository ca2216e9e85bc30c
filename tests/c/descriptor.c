/* The descriptor of a stream in poll(2) and epoll: what makes it readable, what quietens it, and that no change is
 * lost, whoever else uses the stream. */
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

#include <sched.h>
#include <sys/epoll.h>

static int fd_of(wsstream *stream) {
  int fd = -1;
  CHECK_OK(wsstream_fd(stream, &fd));
  CHECK(fd >= 0);
  return fd;
}

static int is_readable(int fd, int64_t timeout_ms) {
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  const int count = poll(&waiting, 1, (int)timeout_ms);
  CHECK(count == 0 || (count == 1 && (waiting.revents & POLLNVAL) == 0));
  return count;
}

#define EXPECT_READABLE(fd) CHECK_NUMBER(1, is_readable((fd), SOON))

/* An alarm may be false, but a poll without time quietens it. */
static void expect_quiet(wsstream *stream, int fd, uint32_t watched) {
  int i;
  for (i = 0; i < 100; i++) {
    uint32_t events = 0;
    if (!is_readable(fd, 10)) return;
    CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, watched, 0, &events));
  }
  CHECK_FAIL("the descriptor never gets quiet");
}

static void expect_text(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_read(stream, 0, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  wsstream_message_release(&message);
}

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
  CHECK(last < first + 100);
}

/* What a consumer under load does when it is woken. */
enum way { UNTIL_AGAIN, ONE_PER_WAKE };

struct load {
  struct peer peer;
  uint32_t count;
};

/* Numbered messages with gaps of many lengths, some in one piece with the next, some torn. */
static void *produce(void *argument) {
  struct load *load = argument;
  uint64_t seed = 1;
  uint32_t i;
  for (i = 0; i < load->count; i++) {
    uint8_t frames[12] = {PEER_BINARY, 4, 0, 0, 0, 0, PEER_BINARY, 4, 0, 0, 0, 0};
    memcpy(frames + 2, &i, 4);
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    switch (seed >> 60) {
    case 0: {
      const struct timespec gap = {0, (long)(seed >> 40 & 0x1ffff)};
      nanosleep(&gap, NULL);
      break;
    }
    case 1: case 2: sched_yield(); break;
    case 3:
      if (i + 1 == load->count) break;
      i++;
      memcpy(frames + 8, &i, 4);
      peer_send(&load->peer, frames, 12);
      continue;
    case 4:
      peer_send(&load->peer, frames, 3);
      peer_send(&load->peer, frames + 3, 3);
      continue;
    }
    peer_send(&load->peer, frames, 6);
  }
  peer_send_frame(&load->peer, PEER_CLOSE, "\x03\xe8", 2);
  return NULL;
}

/* Waits in epoll only and reads with 0 only; every message comes, in order, and then the end. */
static void consume(uint32_t edge, enum way way) {
  struct load load = {.count = 20000};
  wsstream *stream = peer_open(&load.peer, NULL);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | edge};
  pthread_t producer = check_thread(produce, &load);
  wsstream_status status = WSSTREAM_AGAIN;
  wsstream_message message;
  uint32_t next = 0;
  CHECK_NUMBER(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of(stream), &event));
  while (status == WSSTREAM_OK || status == WSSTREAM_AGAIN) {
    if (epoll_wait(epoll, &event, 1, (int)SOON) != 1) CHECK_FAIL("no wake-up after %u messages", next);
    do {
      status = wsstream_read(stream, 0, &message);
      if (status != WSSTREAM_OK) break;
      CHECK_MESSAGE(WSSTREAM_BINARY, &next, 4, &message);
      wsstream_message_release(&message);
      next++;
    } while (way == UNTIL_AGAIN);
  }
  CHECK_STATUS(WSSTREAM_DONE, status);
  CHECK_NUMBER(load.count, next);
  check_join(producer);
  close(epoll);
  peer_free(&load.peer, stream);
}

static void no_wake_up_is_lost_level_triggered(void) { consume(0, UNTIL_AGAIN); }
static void no_wake_up_is_lost_edge_triggered(void) { consume(EPOLLET, UNTIL_AGAIN); }
static void no_wake_up_is_lost_with_one_message_per_wake_up(void) { consume(0, ONE_PER_WAKE); }

/* The same of the test server's messages, many in one write: over TLS what is decrypted and not yet taken must wake it. */
static void consume_counted(uint32_t edge, enum way way) {
  enum { COUNT = 20000, SIZE = 20 };
  wsstream *stream = check_begin_open("/count?n=20000&size=20&type=binary", NULL);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | edge};
  wsstream_status status = WSSTREAM_AGAIN;
  wsstream_message message;
  uint32_t next = 0;
  CHECK_NUMBER(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of(stream), &event));
  while (status == WSSTREAM_OK || status == WSSTREAM_AGAIN) {
    if (epoll_wait(epoll, &event, 1, (int)SOON) != 1) CHECK_FAIL("no wake-up after %u messages", next);
    do {
      status = wsstream_read(stream, 0, &message);
      if (status != WSSTREAM_OK) break;
      CHECK_NUMBER(SIZE, message.size);
      CHECK_NUMBER(31 * next % 251, message.data[0]);
      wsstream_message_release(&message);
      next++;
    } while (way == UNTIL_AGAIN);
  }
  CHECK_STATUS(WSSTREAM_DONE, status);
  CHECK_NUMBER(COUNT, next);
  close(epoll);
  wsstream_free(stream);
}

static void messages_of_one_write_wake_level_triggered(void) { consume_counted(0, UNTIL_AGAIN); }
static void messages_of_one_write_wake_edge_triggered(void) { consume_counted(EPOLLET, UNTIL_AGAIN); }
static void messages_of_one_write_wake_one_by_one(void) { consume_counted(0, ONE_PER_WAKE); }

/* As a loop that reads parts: each wake-up is answered by read_some until AGAIN. */
static void no_wake_up_is_lost_reading_parts(void) {
  struct load load = {.count = 20000};
  wsstream *stream = peer_open(&load.peer, NULL);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  pthread_t producer = check_thread(produce, &load);
  wsstream_status status = WSSTREAM_AGAIN;
  wsstream_chunk chunk;
  uint32_t next = 0, value = 0;
  size_t got = 0;
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE_SOME));
  CHECK_NUMBER(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of(stream), &event));
  while (status == WSSTREAM_AGAIN) {
    if (epoll_wait(epoll, &event, 1, (int)SOON) != 1) CHECK_FAIL("no wake-up after %u messages", next);
    while ((status = wsstream_read_some(stream, (char *)&value + got, 4 - got, 0, &chunk)) == WSSTREAM_OK) {
      got += chunk.size;
      if ((chunk.flags & WSSTREAM_FIN) == 0) continue;
      CHECK_NUMBER(4, got);
      CHECK_NUMBER(next++, value);
      got = 0;
    }
  }
  CHECK_STATUS(WSSTREAM_DONE, status);
  CHECK_NUMBER(load.count, next);
  check_join(producer);
  close(epoll);
  peer_free(&load.peer, stream);
}

struct helper {
  wsstream *stream;
  struct tally *messages;
  pthread_mutex_t mutex;
  int is_over;
};

static int is_over(struct helper *helper) {
  int over;
  pthread_mutex_lock(&helper->mutex);
  over = helper->is_over;
  pthread_mutex_unlock(&helper->mutex);
  return over;
}

/* Reads inside the library, a little while each time, and polls too. */
static void *read_beside(void *argument) {
  struct helper *helper = argument;
  wsstream_message message;
  uint32_t events;
  while (!is_over(helper)) {
    const wsstream_status status = wsstream_read(helper->stream, 2, &message);
    if (status == WSSTREAM_OK) tally_add(helper->messages);
    wsstream_message_release(&message);
    CHECK(status == WSSTREAM_OK || status == WSSTREAM_AGAIN || status == WSSTREAM_ERR_BUSY || status == WSSTREAM_DONE);
    (void)wsstream_poll(helper->stream, WSSTREAM_READABLE, 1, &events);
    let_pass_ms(1);
  }
  return NULL;
}

/* Two threads take the messages, one through the descriptor and one inside the library: none is lost. */
static void it_works_beside_a_thread_that_reads(void) {
  struct tally messages = TALLY_ZERO;
  struct load load = {.count = 20000};
  wsstream *stream = peer_open(&load.peer, NULL);
  struct helper helper = {stream, &messages, PTHREAD_MUTEX_INITIALIZER, 0};
  const int fd = fd_of(stream);
  pthread_t producer = check_thread(produce, &load), beside = check_thread(read_beside, &helper);
  wsstream_status status = WSSTREAM_AGAIN;
  wsstream_message message;
  while (status != WSSTREAM_DONE) {
    EXPECT_READABLE(fd);
    status = wsstream_read(stream, 0, &message);
    if (status == WSSTREAM_OK) tally_add(&messages);
    else if (status == WSSTREAM_ERR_BUSY) sched_yield();
    else CHECK(status == WSSTREAM_AGAIN || status == WSSTREAM_DONE);
    wsstream_message_release(&message);
  }
  pthread_mutex_lock(&helper.mutex);
  helper.is_over = 1;
  pthread_mutex_unlock(&helper.mutex);
  check_join(beside);
  check_join(producer);
  CHECK_NUMBER(load.count, tally_count(&messages));
  peer_free(&load.peer, stream);
}

/* A blocked reader elsewhere takes each message; when it has gone, the descriptor goes on for the program. */
static void it_goes_on_after_a_reader_on_another_thread_has_left(void) {
  struct tally messages = TALLY_ZERO;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const int fd = fd_of(stream);
  int round;
  for (round = 0; round < 20; round++) {
    struct helper helper = {stream, &messages, PTHREAD_MUTEX_INITIALIZER, 0};
    pthread_t beside = check_thread(read_beside, &helper);
    peer_send_text(&peer, "for the thread");
    tally_await(&messages, round + 1);
    pthread_mutex_lock(&helper.mutex);
    helper.is_over = 1;
    pthread_mutex_unlock(&helper.mutex);
    check_join(beside);
    expect_quiet(stream, fd, WSSTREAM_READABLE);
    peer_send_text(&peer, "for the program");
    do EXPECT_READABLE(fd);
    while (wsstream_poll(stream, WSSTREAM_READABLE, 0, &(uint32_t){0}) == WSSTREAM_AGAIN);
    expect_text(stream, "for the program");
  }
  peer_free(&peer, stream);
}

/* One thread, one epoll, many streams: each sends its next message when its answer has come. */
static void many_streams_share_one_epoll(void) {
  enum { STREAMS = 64, ROUNDS = 50 };
  static struct { wsstream *stream; int rounds; } each[STREAMS];
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event events[16];
  int i, left = STREAMS;
  for (i = 0; i < STREAMS; i++) {
    struct epoll_event event = {.events = EPOLLIN | (i % 2 == 0 ? 0u : (uint32_t)EPOLLET), .data = {.u32 = (uint32_t)i}};
    each[i].stream = check_begin_open("/echo", NULL);
    each[i].rounds = 0;
    CHECK_OK(wsstream_fd_watch(each[i].stream, WSSTREAM_OPENED));
    CHECK_NUMBER(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of(each[i].stream), &event));
  }
  while (left > 0) {
    const int count = epoll_wait(epoll, events, 16, (int)SOON);
    CHECK(count > 0);
    for (i = 0; i < count; i++) {
      const uint32_t index = events[i].data.u32;
      wsstream *stream = each[index].stream;
      wsstream_message message;
      wsstream_status status = wsstream_wait_opened(stream, 0);
      if (status == WSSTREAM_AGAIN) continue;
      CHECK_OK(status);
      if (each[index].rounds == 0) {
        each[index].rounds = 1;
        CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE));
        CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, &index, sizeof index, 0));
      }
      while ((status = wsstream_read(stream, 0, &message)) == WSSTREAM_OK) {
        CHECK_MESSAGE(WSSTREAM_BINARY, &index, sizeof index, &message);
        wsstream_message_release(&message);
        if (each[index].rounds++ < ROUNDS) CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, &index, sizeof index, 0));
        else CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
      }
      if (status == WSSTREAM_AGAIN) continue;
      CHECK_STATUS(WSSTREAM_DONE, status);
      CHECK_NUMBER(0, epoll_ctl(epoll, EPOLL_CTL_DEL, fd_of(stream), NULL));
      wsstream_free(stream);
      left--;
    }
  }
  close(epoll);
}

/* A writer that only waits through the descriptor, against a server that reads slowly. */
static void a_writer_waits_for_room_through_it(void) {
  static const uint8_t data[50000];
  enum { COUNT = 400 };
  const char *id = server_fresh_word();
  wsstream *stream;
  char path[128], *record;
  int fd, sent = 0;
  snprintf(path, sizeof path, "/slow_read?bytes=100000&tick_ms=1&receive_buffer=20000&id=%s", id);
  stream = check_begin_open(path, NULL);
  fd = fd_of(stream);
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_WRITABLE));
  while (sent < COUNT) {
    const wsstream_status status = wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 0);
    if (status == WSSTREAM_OK || status == WSSTREAM_QUEUED) sent++;
    else CHECK_STATUS(WSSTREAM_AGAIN, status);
    if (status == WSSTREAM_AGAIN) EXPECT_READABLE(fd);
  }
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  record = server_record(id, 0);
  CHECK_NUMBER(COUNT, server_count(record, "binary"));
  free(record);
}

int main(void) {
  check_begin();
  RUN(the_descriptor_is_one_number_nonblocking_and_close_on_exec);
  RUN(it_stands_for_readable_until_something_else_is_watched);
  RUN(a_message_that_was_here_before_makes_it_readable);
  RUN(opened_alone_is_watched);
  RUN(a_failed_opening_makes_it_readable);
  RUN(writable_alone_is_watched);
  RUN(closed_alone_is_watched);
  RUN(half_a_message_is_for_readable_some_only);
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
  RUN(no_wake_up_is_lost_level_triggered);
  RUN(no_wake_up_is_lost_edge_triggered);
  RUN(no_wake_up_is_lost_with_one_message_per_wake_up);
  RUN(messages_of_one_write_wake_level_triggered);
  RUN(messages_of_one_write_wake_edge_triggered);
  RUN(messages_of_one_write_wake_one_by_one);
  RUN(no_wake_up_is_lost_reading_parts);
  RUN(it_works_beside_a_thread_that_reads);
  RUN(it_goes_on_after_a_reader_on_another_thread_has_left);
  RUN(many_streams_share_one_epoll);
  RUN(a_writer_waits_for_room_through_it);
  return 0;
}
