/* Reading in parts: what read_some gives of a message, when its end is known, and what may come after parts. */
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

#include <sched.h>

/* Takes one part and checks what it says; answers its size. */
#define EXPECT_PART(stream, capacity, expected_type, expected, expected_size, expected_flags, expected_available)      \
  do {                                                                                                                 \
    char check_buffer[256];                                                                                            \
    wsstream_chunk check_chunk;                                                                                        \
    CHECK((capacity) <= sizeof check_buffer);                                                                          \
    CHECK_OK(wsstream_read_some((stream), check_buffer, (capacity), SOON, &check_chunk));                              \
    CHECK_NUMBER(expected_type, check_chunk.type);                                                                     \
    CHECK_NUMBER(expected_size, check_chunk.size);                                                                     \
    CHECK(memcmp((expected), check_buffer, check_chunk.size) == 0);                                                    \
    CHECK_NUMBER(expected_flags, check_chunk.flags);                                                                   \
    CHECK_NUMBER(expected_available, check_chunk.available);                                                           \
  } while (0)

#define EXPECT_NO_PART(expected_status, stream, timeout_ms)                                                            \
  do {                                                                                                                 \
    char check_buffer[256];                                                                                            \
    wsstream_chunk check_chunk;                                                                                        \
    memset(&check_chunk, 0x55, sizeof check_chunk);                                                                    \
    CHECK_STATUS(expected_status,                                                                                      \
                 wsstream_read_some((stream), check_buffer, sizeof check_buffer, (timeout_ms), &check_chunk));         \
    CHECK(check_chunk.type == 0 && check_chunk.flags == 0 && check_chunk.size == 0 && check_chunk.available == 0);     \
  } while (0)

static void await_event(wsstream *stream, uint32_t event) {
  uint32_t events = 0;
  CHECK_OK(wsstream_poll(stream, event, SOON, &events));
  CHECK_NUMBER(event, events);
}

static void expect_message(wsstream *stream, uint32_t type, const char *expected) {
  wsstream_message message;
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(type, expected, strlen(expected), &message);
  wsstream_message_release(&message);
}

static void a_message_larger_than_the_buffer_comes_in_parts(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "0123456789", 10, SOON));
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 4, WSSTREAM_TEXT, "0123", 4, 0, 6);
  EXPECT_PART(stream, 4, WSSTREAM_TEXT, "4567", 4, 0, 2);
  EXPECT_PART(stream, 4, WSSTREAM_TEXT, "89", 2, WSSTREAM_FIN, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 0);
  wsstream_free(stream);
}

static void a_message_that_fits_comes_with_its_fin(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "small", 5, SOON));
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "small", 5, WSSTREAM_FIN, 0);
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "exact", 5, SOON));
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 5, WSSTREAM_BINARY, "exact", 5, WSSTREAM_FIN, 0);
  wsstream_free(stream);
}

static void capacity_0_takes_nothing_and_tells_type_and_size(void) {
  wsstream *stream = check_open("/echo");
  wsstream_chunk chunk;
  int i;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read_some(stream, NULL, 0, 0, &chunk));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "abcdef", 6, SOON));
  await_event(stream, WSSTREAM_READABLE);
  for (i = 0; i < 3; i++) {
    CHECK_OK(wsstream_read_some(stream, NULL, 0, SOON, &chunk));
    CHECK_NUMBER(WSSTREAM_BINARY, chunk.type);
    CHECK_NUMBER(0, chunk.size);
    CHECK_NUMBER(6, chunk.available);
    CHECK_NUMBER(0, chunk.flags);
  }
  EXPECT_PART(stream, 2, WSSTREAM_BINARY, "ab", 2, 0, 4);
  CHECK_OK(wsstream_read_some(stream, NULL, 0, SOON, &chunk));
  CHECK_NUMBER(4, chunk.available);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "cdef", 4, WSSTREAM_FIN, 0);
  wsstream_free(stream);
}

/* A look is no beginning: the message may still be read whole. */
static void capacity_0_does_not_begin_a_message(void) {
  wsstream *stream = check_open("/echo");
  wsstream_chunk chunk;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "whole", 5, SOON));
  await_event(stream, WSSTREAM_READABLE);
  CHECK_OK(wsstream_read_some(stream, NULL, 0, SOON, &chunk));
  CHECK_NUMBER(5, chunk.available);
  expect_message(stream, WSSTREAM_TEXT, "whole");
  wsstream_free(stream);
}

static void empty_messages_are_empty_parts_with_fin(void) {
  wsstream *stream = check_open("/echo");
  wsstream_chunk chunk;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "", 0, SOON));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "x", 1, SOON));
  CHECK_OK(wsstream_read_some(stream, NULL, 0, SOON, &chunk));
  CHECK_NUMBER(WSSTREAM_TEXT, chunk.type);
  CHECK_NUMBER(0, chunk.available);
  EXPECT_PART(stream, 8, WSSTREAM_TEXT, "", 0, WSSTREAM_FIN, 0);
  EXPECT_PART(stream, 8, WSSTREAM_BINARY, "", 0, WSSTREAM_FIN, 0);
  EXPECT_PART(stream, 1, WSSTREAM_TEXT, "x", 1, WSSTREAM_FIN, 0);
  wsstream_free(stream);
}

static void parts_never_cross_from_one_message_to_the_next(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "one");
  peer_send_frame(&peer, PEER_BINARY, "second", 6);
  peer_send_text(&peer, "3");
  peer_send_text(&peer, "four");
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "one", 3, WSSTREAM_FIN, 0);
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 4, WSSTREAM_BINARY, "seco", 4, 0, 2);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "nd", 2, WSSTREAM_FIN, 0);
  expect_message(stream, WSSTREAM_TEXT, "3");
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "four", 4, WSSTREAM_FIN, 0);
  peer_free(&peer, stream);
}

static void parts_are_given_before_their_fin_has_come(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "one ", 4);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "one ", 4, 0, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 5);
  peer_send_frame(&peer, PEER_MORE, "two", 3);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "two", 3, 0, 0);
  peer_send_frame(&peer, PEER_LAST, "", 0);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "", 0, WSSTREAM_FIN, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 0);
  peer_free(&peer, stream);
}

/* One frame of 10 bytes that comes in two halves, with a ping between two fragments of the next message. */
/* Rows: R05 */
static void half_a_frame_is_a_part_and_control_frames_are_none(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send(&peer, "\x82\x0a" "01234", 7);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "01234", 5, 0, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 0);
  peer_send(&peer, "56789", 5);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "56789", 5, WSSTREAM_FIN, 0);
  peer_send_frame(&peer, PEER_BINARY_BEGIN, "a", 1);
  peer_send_frame(&peer, PEER_PING, "between", 7);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "a", 1, 0, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 0);
  PEER_EXPECT(&peer, PEER_PONG, "between", 7);
  peer_send_frame(&peer, PEER_LAST, "b", 1);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "b", 1, WSSTREAM_FIN, 0);
  peer_free(&peer, stream);
}

static void read_inside_a_message_that_was_begun_is_state(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  size_t count = 7;
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "begun", 5);
  EXPECT_PART(stream, 2, WSSTREAM_TEXT, "be", 2, 0, 3);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_read(stream, 0, &message));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_read_many(stream, SOON, &message, 1, &count));
  CHECK_NUMBER(0, count);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "gun", 3, 0, 0);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_read(stream, SOON, &message));
  peer_send_frame(&peer, PEER_LAST, "", 0);
  peer_send_text(&peer, "next");
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "", 0, WSSTREAM_FIN, 0);
  expect_message(stream, WSSTREAM_TEXT, "next");
  peer_free(&peer, stream);
}

static void half_a_message_is_readable_some_and_not_readable(void) {
  const uint32_t both = WSSTREAM_READABLE | WSSTREAM_READABLE_SOME;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  uint32_t events = 0;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, both, 0, &events));
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "half", 4);
  await_event(stream, WSSTREAM_READABLE_SOME);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE, 0, &events));
  CHECK_OK(wsstream_poll(stream, both, SOON, &events));
  CHECK_NUMBER(WSSTREAM_READABLE_SOME, events);
  peer_send_frame(&peer, PEER_LAST, "", 0);
  await_event(stream, WSSTREAM_READABLE);
  CHECK_OK(wsstream_poll(stream, both, 0, &events));
  CHECK_NUMBER(both, events);
  expect_message(stream, WSSTREAM_TEXT, "half");
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, both, 0, &events));
  peer_free(&peer, stream);
}

/* When all parts that are here are taken, only the next ones make it readable again: an end without bytes too. */
static void readable_some_ends_with_the_last_part_that_is_here(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  uint32_t events = 0;
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "ab", 2);
  await_event(stream, WSSTREAM_READABLE_SOME);
  EXPECT_PART(stream, 1, WSSTREAM_TEXT, "a", 1, 0, 1);
  await_event(stream, WSSTREAM_READABLE_SOME);
  EXPECT_PART(stream, 1, WSSTREAM_TEXT, "b", 1, 0, 0);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE_SOME, 0, &events));
  peer_send_frame(&peer, PEER_LAST, "", 0);
  await_event(stream, WSSTREAM_READABLE_SOME);
  EXPECT_PART(stream, 1, WSSTREAM_TEXT, "", 0, WSSTREAM_FIN, 0);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE_SOME, 0, &events));
  peer_free(&peer, stream);
}

static void parts_of_a_text_may_split_a_character(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "\xf0\x9f\x8c\x8d!");
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "\xf0\x9f\x8c", 3, 0, 2);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "\x8d!", 2, WSSTREAM_FIN, 0);
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "\xc3", 1);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "\xc3", 1, 0, 0);
  peer_send_frame(&peer, PEER_LAST, "\xbc", 1);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "\xbc", 1, WSSTREAM_FIN, 0);
  peer_free(&peer, stream);
}

static void expect_failure(wsstream *stream, uint32_t cause, uint16_t sent_code) {
  const wsstream_close_info *info = NULL;
  EXPECT_NO_PART(WSSTREAM_ERR_CONNECTION, stream, SOON);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(cause, info->cause);
  CHECK_NUMBER(sent_code, info->sent_code);
  EXPECT_NO_PART(WSSTREAM_ERR_CONNECTION, stream, SOON);
}

static void parts_of_no_text_end_in_an_error(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "good", 4);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "good", 4, 0, 0);
  peer_send_frame(&peer, PEER_LAST, "\xff", 1);
  PEER_EXPECT(&peer, PEER_CLOSE, "\x03\xef", 2);
  peer_end(&peer);
  expect_failure(stream, WSSTREAM_CAUSE_UTF8, 1007);
  peer_free(&peer, stream);
}

static void an_abrupt_end_after_parts_is_an_error_and_no_fin(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_frame(&peer, PEER_BINARY_BEGIN, "part", 4);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "part", 4, 0, 0);
  peer_end(&peer);
  expect_failure(stream, WSSTREAM_CAUSE_TRUNCATED, 0);
  peer_free(&peer, stream);
}

/* Rows: R07 */
static void an_abrupt_end_throws_away_what_was_not_taken(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "whole");
  peer_send_frame(&peer, PEER_BINARY_BEGIN, "part", 4);
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 2, WSSTREAM_TEXT, "wh", 2, 0, 3);
  peer_end(&peer);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  EXPECT_NO_PART(WSSTREAM_ERR_CONNECTION, stream, SOON);
  peer_free(&peer, stream);
}

static void a_local_close_inside_a_message_is_done_after_its_parts(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_frame(&peer, PEER_BINARY_BEGIN, "part", 4);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "part", 4, 0, 0);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  peer_send_frame(&peer, PEER_LAST, "late", 4);
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "\x03\xe8", 2);
  EXPECT_NO_PART(WSSTREAM_DONE, stream, SOON);
  EXPECT_NO_PART(WSSTREAM_DONE, stream, 0);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Whole messages that were here before the local close stay readable, in parts as well. */
static void messages_before_a_local_close_are_read_in_parts(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "queued");
  await_event(stream, WSSTREAM_READABLE);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "\x03\xe8", 2);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "que", 3, 0, 3);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "ued", 3, WSSTREAM_FIN, 0);
  EXPECT_NO_PART(WSSTREAM_DONE, stream, SOON);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Rows: R06 */
static void the_peers_close_after_messages_is_done_after_their_parts(void) {
  wsstream *stream = check_open("/count?n=2&size=5&type=text");
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "abc", 3, 0, 2);
  EXPECT_PART(stream, 3, WSSTREAM_TEXT, "de", 2, WSSTREAM_FIN, 0);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "bcdef", 5, WSSTREAM_FIN, 0);
  EXPECT_NO_PART(WSSTREAM_DONE, stream, 0);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static void the_peers_close_inside_a_message_is_done_without_fin(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_frame(&peer, PEER_BINARY_BEGIN, "part", 4);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "part", 4, 0, 0);
  peer_send_frame(&peer, PEER_CLOSE, "\x03\xe8", 2);
  PEER_EXPECT(&peer, PEER_CLOSE, "\x03\xe8", 2);
  peer_end(&peer);
  EXPECT_NO_PART(WSSTREAM_DONE, stream, SOON);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static void a_message_over_the_limit_fails_after_its_parts(void) {
  wsstream_options *options = wsstream_options_new();
  struct peer peer;
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_MAX_MESSAGE_SIZE, 10));
  stream = peer_open(&peer, options);
  wsstream_options_free(options);
  peer_send_frame(&peer, PEER_BINARY, "0123456789", 10);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "0123456789", 10, WSSTREAM_FIN, 0);
  peer_send_frame(&peer, PEER_BINARY_BEGIN, "012345", 6);
  EXPECT_PART(stream, 256, WSSTREAM_BINARY, "012345", 6, 0, 0);
  peer_send_frame(&peer, PEER_LAST, "67890", 5);
  PEER_EXPECT(&peer, PEER_CLOSE, "\x03\xf1", 2);
  peer_end(&peer);
  expect_failure(stream, WSSTREAM_CAUSE_TOO_BIG, 1009);
  peer_free(&peer, stream);
}

struct reader {
  wsstream *stream;
  char buffer[64];
  wsstream_chunk chunk;
  wsstream_status status;
};

/* It is BUSY itself while the other thread looks whether it is inside. */
static void *read_some_for_ever(void *argument) {
  struct reader *reader = argument;
  do
    reader->status = wsstream_read_some(reader->stream, reader->buffer, sizeof reader->buffer, WSSTREAM_FOREVER,
                                        &reader->chunk);
  while (reader->status == WSSTREAM_ERR_BUSY);
  wsstream_unref(reader->stream);
  return NULL;
}

static pthread_t blocked_reader(struct reader *reader, wsstream *stream) {
  wsstream_chunk chunk;
  pthread_t thread;
  char byte;
  reader->stream = wsstream_ref(stream);
  thread = check_thread(read_some_for_ever, reader);
  while (wsstream_read_some(stream, &byte, 1, 0, &chunk) != WSSTREAM_ERR_BUSY) sched_yield();
  return thread;
}

static void a_reader_of_parts_makes_other_readers_busy(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  struct reader reader;
  pthread_t thread = blocked_reader(&reader, stream);
  wsstream_message message;
  uint32_t events;
  size_t count;
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read_many(stream, SOON, &message, 1, &count));
  EXPECT_NO_PART(WSSTREAM_ERR_BUSY, stream, SOON);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE_SOME, 5, &events));
  peer_send_text(&peer, "for it");
  check_join(thread);
  CHECK_OK(reader.status);
  CHECK(memcmp(reader.buffer, "for it", reader.chunk.size) == 0);
  peer_free(&peer, stream);
}

static void free_lets_a_blocked_reader_of_parts_go(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  struct reader reader;
  pthread_t thread = blocked_reader(&reader, stream);
  peer_free(&peer, stream);
  check_join(thread);
  CHECK_STATUS(WSSTREAM_ERR_STATE, reader.status);
  CHECK_NUMBER(0, reader.chunk.size);
}

static void wake_lets_a_blocked_reader_of_parts_go(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  struct reader reader;
  pthread_t thread = blocked_reader(&reader, stream);
  CHECK_OK(wsstream_wake(stream, WSSTREAM_READABLE_SOME));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_AGAIN, reader.status);
  peer_send_text(&peer, "goes on");
  await_event(stream, WSSTREAM_READABLE);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "goes on", 7, WSSTREAM_FIN, 0);
  peer_free(&peer, stream);
}

static void parts_wait_for_the_opening_inside_their_time(void) {
  const char *token = server_fresh_word();
  char path[128];
  wsstream *stream;
  snprintf(path, sizeof path, "/handshake?with=81026869&token=%s", token);
  stream = check_begin_open(path, NULL);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 0);
  EXPECT_NO_PART(WSSTREAM_AGAIN, stream, 5);
  server_release(token);
  EXPECT_PART(stream, 256, WSSTREAM_TEXT, "hi", 2, WSSTREAM_FIN, 0);
  wsstream_free(stream);
}

static void a_freed_stream_that_is_held_gives_no_parts(void) {
  wsstream *stream = check_open("/echo");
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  EXPECT_NO_PART(WSSTREAM_ERR_STATE, stream, WSSTREAM_FOREVER);
  wsstream_unref(stream);
}

/* Messages of many sizes in frames of 1000 bytes, read in parts of many sizes. */
static void every_byte_of_every_message_comes_in_order(void) {
  enum { COUNT = 60, SIZE_MAX_HERE = 60000 };
  static uint8_t data[SIZE_MAX_HERE], buffer[20000];
  wsstream *stream = check_open("/echo?frame=1000");
  size_t i;
  for (i = 0; i < SIZE_MAX_HERE; i++) data[i] = (uint8_t)(i * 7 + i / 253);
  for (i = 0; i < COUNT; i++) {
    const size_t size = i * 997 % SIZE_MAX_HERE;
    const wsstream_status status = wsstream_write(stream, WSSTREAM_BINARY, data, size, SOON);
    size_t got = 0, capacity = 1 + i * 331 % (sizeof buffer - 1);
    wsstream_chunk chunk = {0, 0, 0, 0};
    CHECK_OK(status);
    while ((chunk.flags & WSSTREAM_FIN) == 0) {
      CHECK_OK(wsstream_read_some(stream, buffer, capacity, SOON, &chunk));
      CHECK_NUMBER(WSSTREAM_BINARY, chunk.type);
      CHECK(chunk.size <= capacity && got + chunk.size <= size);
      CHECK(chunk.size > 0 || (chunk.flags & WSSTREAM_FIN) != 0);
      CHECK(memcmp(data + got, buffer, chunk.size) == 0);
      got += chunk.size;
      capacity = 1 + (capacity * 7 + 13) % (sizeof buffer - 1);
    }
    CHECK_NUMBER(size, got);
  }
  wsstream_free(stream);
}

/* One message of 64 MiB without a limit, while the reader holds back: what the peer can send ahead of it is bounded by
 * the read buffer and what the system buffers, far below the message. */
static void a_huge_message_is_read_in_bounded_memory(void) {
  const size_t size = (size_t)64 << 20, ahead_max = (size_t)24 << 20;
  wsstream_options *options = wsstream_options_new();
  uint8_t header[10], *data = malloc(65536), *buffer = malloc(65536);
  size_t sent = 0, got = 0, i;
  wsstream_chunk chunk = {0, 0, 0, 0};
  int64_t quiet_since;
  struct peer peer;
  wsstream *stream;
  CHECK(data != NULL && buffer != NULL);
  for (i = 0; i < 65536; i++) data[i] = (uint8_t)(i * 31 + i / 251);
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_MAX_MESSAGE_SIZE, 0));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, 65536));
  stream = peer_open(&peer, options);
  wsstream_options_free(options);
  peer_send(&peer, header, peer_frame_header(header, PEER_BINARY, size));
  for (quiet_since = now_ms(); now_ms() - quiet_since < 200;) {
    const size_t more = peer_send_some(&peer, data + sent % 65536, 65536 - sent % 65536);
    sent += more;
    CHECK(sent < ahead_max);
    if (more > 0) quiet_since = now_ms();
    else let_pass_ms(1);
  }
  while ((chunk.flags & WSSTREAM_FIN) == 0) {
    if (sent < size) sent += peer_send_some(&peer, data + sent % 65536, 65536 - sent % 65536);
    CHECK_OK(wsstream_read_some(stream, buffer, 65536, SOON, &chunk));
    for (i = 0; i < chunk.size; i += 977) CHECK_NUMBER(data[(got + i) % 65536], buffer[i]);
    got += chunk.size;
    CHECK(sent - got < ahead_max);
    CHECK(chunk.available <= (size_t)4 << 20);
  }
  CHECK_NUMBER(size, got);
  free(data);
  free(buffer);
  peer_free(&peer, stream);
}

int main(void) {
  check_begin();
  RUN(a_message_larger_than_the_buffer_comes_in_parts);
  RUN(a_message_that_fits_comes_with_its_fin);
  RUN(capacity_0_takes_nothing_and_tells_type_and_size);
  RUN(capacity_0_does_not_begin_a_message);
  RUN(empty_messages_are_empty_parts_with_fin);
  RUN(parts_never_cross_from_one_message_to_the_next);
  RUN(parts_are_given_before_their_fin_has_come);
  RUN(half_a_frame_is_a_part_and_control_frames_are_none);
  RUN(read_inside_a_message_that_was_begun_is_state);
  RUN(half_a_message_is_readable_some_and_not_readable);
  RUN(readable_some_ends_with_the_last_part_that_is_here);
  RUN(parts_of_a_text_may_split_a_character);
  RUN(parts_of_no_text_end_in_an_error);
  RUN(an_abrupt_end_after_parts_is_an_error_and_no_fin);
  RUN(an_abrupt_end_throws_away_what_was_not_taken);
  RUN(a_local_close_inside_a_message_is_done_after_its_parts);
  RUN(messages_before_a_local_close_are_read_in_parts);
  RUN(the_peers_close_after_messages_is_done_after_their_parts);
  RUN(the_peers_close_inside_a_message_is_done_without_fin);
  RUN(a_message_over_the_limit_fails_after_its_parts);
  RUN(a_reader_of_parts_makes_other_readers_busy);
  RUN(free_lets_a_blocked_reader_of_parts_go);
  RUN(wake_lets_a_blocked_reader_of_parts_go);
  RUN(parts_wait_for_the_opening_inside_their_time);
  RUN(a_freed_stream_that_is_held_gives_no_parts);
  RUN(every_byte_of_every_message_comes_in_order);
  RUN(a_huge_message_is_read_in_bounded_memory);
  return 0;
}
