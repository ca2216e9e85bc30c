/* The descriptor of a stream in epoll while messages keep coming: no wake-up is lost, however the program waits and
 * whoever else uses the stream. */
#include "check.h"
#include "descriptor.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

#include <sched.h>
#include <sys/epoll.h>

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
