/* Pings of the library and what it takes for life. Times here are lower limits, or limits that only a machine which
 * stands still for seconds reaches. */
#include "check.h"
#include "peer.h"
#include "tally.h"

static wsstream *open_with(struct peer *peer, int64_t ping_interval_ms, int64_t pong_timeout_ms,
                           int64_t read_buffer_size) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_PING_INTERVAL_MS, ping_interval_ms));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_PONG_TIMEOUT_MS, pong_timeout_ms));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, read_buffer_size));
  stream = peer_open(peer, options);
  wsstream_options_free(options);
  return stream;
}

static void answer_pings(struct peer *peer, int count) {
  while (count-- > 0) {
    struct peer_frame ping;
    peer_receive_frame(peer, &ping);
    CHECK_NUMBER(PEER_PING, ping.first);
    CHECK(ping.size <= 125);
    peer_send_frame(peer, PEER_PONG, ping.payload, ping.size);
  }
}

/* Nobody is inside the library; the limits allow for a first ping that comes early, and for none that come in heaps. */
static void pings_come_at_their_interval(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 50, 20000, 262144);
  const int64_t begin = now_ms();
  answer_pings(&peer, 10);
  CHECK(now_ms() - begin >= 8 * 50);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
  peer_free(&peer, stream);
}

static void a_pong_tells_the_round_trip(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 20, 20000, 262144);
  wsstream_statistics statistics;
  wsstream_message message;
  answer_pings(&peer, 5);
  peer_send_text(&peer, "behind the pongs");
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "behind the pongs", 16, &message);
  wsstream_message_release(&message);
  CHECK_OK(wsstream_statistics_get(stream, &statistics, sizeof statistics));
  CHECK(statistics.pings_sent >= 5);
  CHECK_NUMBER(5, statistics.pongs_received);
  CHECK(statistics.round_trip_us > 0);
  peer_free(&peer, stream);
}

/* A pong that comes late tells so: the peer waits 50 ms before it answers. */
static void a_slow_pong_tells_a_long_round_trip(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 200, 20000, 262144);
  struct peer_frame ping;
  wsstream_statistics statistics;
  wsstream_message message;
  peer_receive_frame(&peer, &ping);
  CHECK_NUMBER(PEER_PING, ping.first);
  let_pass_ms(50);
  peer_send_frame(&peer, PEER_PONG, ping.payload, ping.size);
  peer_send_text(&peer, "x");
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_statistics_get(stream, &statistics, sizeof statistics));
  CHECK(statistics.round_trip_us >= 45000);
  peer_free(&peer, stream);
}

static void an_interval_of_0_sends_no_pings(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 0, 50, 262144);
  struct pollfd waiting = {.fd = peer.socket, .events = POLLIN};
  CHECK_NUMBER(0, poll(&waiting, 1, 200));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
  peer_free(&peer, stream);
}

static void expect_timeout(wsstream *stream) {
  const wsstream_close_info *info = NULL;
  wsstream_message message;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(0, info->clean);
  CHECK_NUMBER(WSSTREAM_CAUSE_TIMEOUT, info->cause);
  CHECK_NUMBER(WSSTREAM_PHASE_OPEN, info->phase);
  CHECK(strstr(info->detail, "pong") != NULL);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
}

static void without_a_pong_the_connection_fails(void) {
  struct peer peer;
  const int64_t begin = now_ms();
  wsstream *stream = open_with(&peer, 20, 150, 262144);
  expect_timeout(stream);
  CHECK(now_ms() - begin >= 150);
  peer_free(&peer, stream);
}

/* The same where the program is inside a read. */
static void without_a_pong_a_blocked_read_fails(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 20, 150, 262144);
  wsstream_message message;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_read(stream, WSSTREAM_FOREVER, &message));
  expect_timeout(stream);
  peer_free(&peer, stream);
}

static void a_pong_timeout_of_0_waits_for_ever(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 20, 0, 262144);
  struct peer_frame frame;
  peer_receive_frame(&peer, &frame);
  CHECK_NUMBER(PEER_PING, frame.first);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 200, NULL));
  peer_free(&peer, stream);
}

static void pongs_that_stop_coming_fail_the_connection(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 20, 1000, 262144);
  answer_pings(&peer, 5);
  expect_timeout(stream);
  peer_free(&peer, stream);
}

/* Single bytes of a message that never ends, and no pong, for three times the timeout. */
static void any_received_byte_is_life(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 50, 1000, 262144);
  const int64_t end = now_ms() + 3000;
  uint8_t header[10];
  peer_send(&peer, header, peer_frame_header(header, PEER_BINARY, 100000));
  while (now_ms() < end) {
    peer_send(&peer, "x", 1);
    CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 20, NULL));
  }
  peer_free(&peer, stream);
}

/* The program does not read and the buffer is above its mark: the pongs that wait behind it are not missed. */
static void a_program_that_does_not_read_keeps_its_connection(void) {
  static const char data[5000];
  struct peer peer;
  wsstream *stream = open_with(&peer, 500, 150, 1000);
  wsstream_message message;
  int i;
  for (i = 0; i < 20; i++) peer_send_frame(&peer, PEER_BINARY, data, sizeof data);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 1500, NULL));
  for (i = 0; i < 20; i++) {
    CHECK_OK(wsstream_read(stream, SOON, &message));
    CHECK_NUMBER(sizeof data, message.size);
    wsstream_message_release(&message);
  }
  expect_timeout(stream);
  peer_free(&peer, stream);
}

/* Many small messages are above the mark and leave nothing in the socket: the peer's time begins anew for the same
 * ping, and once the program has read it runs out. */
static void a_ping_at_the_mark_is_looked_at_again_when_the_program_has_read(void) {
  enum { COUNT = 100 };
  char frames[3 * COUNT];
  struct peer peer;
  wsstream *stream = open_with(&peer, 800, 1000, 1000);
  struct peer_frame frame;
  wsstream_message message;
  uint32_t events;
  int i;
  for (i = 0; i < COUNT; i++) memcpy(frames + 3 * i, "\x81\x01" "a", 3);
  peer_send(&peer, frames, sizeof frames);
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  peer_receive_frame(&peer, &frame);
  CHECK_NUMBER(PEER_PING, frame.first);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 1200, NULL));
  for (i = 0; i < COUNT; i++) {
    CHECK_OK(wsstream_read(stream, SOON, &message));
    wsstream_message_release(&message);
  }
  peer_receive_frame(&peer, &frame);
  CHECK_NUMBER(PEER_CLOSE, frame.first);
  CHECK(memcmp(frame.payload, "\x03\xf3", 2) == 0);
  expect_timeout(stream);
  peer_free(&peer, stream);
}

/* The ping has left, and more behind it that the peer does not take: then it may not have come to the ping either. */
static void unsent_data_behind_a_ping_keeps_its_connection(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 300, 2000, 262144);
  struct peer_frame frame;
  peer_receive_frame(&peer, &frame);
  CHECK_NUMBER(PEER_PING, frame.first);
  peer_fill(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 2300, NULL));
  peer_free(&peer, stream);
}

/* What the peer does not take is not its silence: no ping leaves before it. */
static void unsent_data_keeps_its_connection(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 1000, 300, 262144);
  peer_fill(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 2000, NULL));
  peer_free(&peer, stream);
}

/* After its Close a peer owes no pong: what counts then is the close timeout. */
static void a_closing_stream_is_pinged_no_more(void) {
  struct peer peer;
  wsstream *stream = open_with(&peer, 20, 700, 262144);
  struct peer_frame frame;
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  do {
    peer_receive_frame(&peer, &frame);
    CHECK(frame.first == PEER_PING || frame.first == PEER_CLOSE);
  } while (frame.first != PEER_CLOSE);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 1200, NULL));
  peer_send_frame(&peer, PEER_CLOSE, "\x03\xe8", 2);
  CHECK_NUMBER(1, peer_receive_end(&peer));
  peer_end(&peer);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Pings stand between messages and never inside a frame. */
static void pings_and_messages_go_together(void) {
  enum { COUNT = 300 };
  wsstream_options *options = wsstream_options_new();
  static uint8_t data[30000];
  wsstream_message message;
  wsstream *stream;
  uint32_t i;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_PING_INTERVAL_MS, 1));
  stream = check_begin_open("/echo?frame=3000", options);
  wsstream_options_free(options);
  for (i = 0; i < COUNT; i++) {
    memcpy(data, &i, sizeof i);
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, data, sizeof data / 2, 0, SOON));
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, data + sizeof data / 2, sizeof data / 2, WSSTREAM_FIN, SOON));
    CHECK_OK(wsstream_read(stream, SOON, &message));
    CHECK_MESSAGE(WSSTREAM_BINARY, data, sizeof data, &message);
    wsstream_message_release(&message);
  }
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

int main(void) {
  check_begin();
  RUN(pings_come_at_their_interval);
  RUN(a_pong_tells_the_round_trip);
  RUN(a_slow_pong_tells_a_long_round_trip);
  RUN(an_interval_of_0_sends_no_pings);
  RUN(without_a_pong_the_connection_fails);
  RUN(without_a_pong_a_blocked_read_fails);
  RUN(a_pong_timeout_of_0_waits_for_ever);
  RUN(pongs_that_stop_coming_fail_the_connection);
  RUN(any_received_byte_is_life);
  RUN(a_program_that_does_not_read_keeps_its_connection);
  RUN(a_ping_at_the_mark_is_looked_at_again_when_the_program_has_read);
  RUN(unsent_data_behind_a_ping_keeps_its_connection);
  RUN(unsent_data_keeps_its_connection);
  RUN(a_closing_stream_is_pinged_no_more);
  RUN(pings_and_messages_go_together);
  return 0;
}
