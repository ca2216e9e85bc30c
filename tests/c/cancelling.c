/* Ending one half: cancelling what is read, closing and aborting what is written, and what each leaves of the other. */
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

#include <sched.h>

static char reason_of_124_bytes[125];

/* Opens `path` with a recorded id. */
static wsstream *open_recorded(const char *path, const char *id) {
  char full[256];
  snprintf(full, sizeof full, "%s%sid=%s", path, strchr(path, '?') != NULL ? "&" : "?", id);
  return check_open(full);
}

#define EXPECT_RECORDED(record, text)                                          \
  do {                                                                         \
    if (strstr((record), (text)) == NULL)                                      \
      CHECK_FAIL("no \"%s\" in the record:\n%s", (text), (record));            \
  } while (0)

/* The three functions with a code and a reason have one shape, and so do the claims about what they send. */
typedef wsstream_status end_fn(wsstream *, int32_t, const char *, size_t);

static void await_readable(wsstream *stream) {
  uint32_t events = 0;
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
}

static void expect_read(wsstream *stream, wsstream_status status) {
  wsstream_message message;
  CHECK_STATUS(status, wsstream_read(stream, SOON, &message));
  CHECK(message.owner == NULL);
}

static void expect_text(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  wsstream_message_release(&message);
}

static void expect_closed(wsstream *stream, uint16_t code, const char *reason, uint16_t sent_code) {
  const wsstream_close_info *info = NULL;
  CHECK_OK(wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1, info->clean);
  CHECK_NUMBER(code, info->code);
  CHECK_NUMBER(sent_code, info->sent_code);
  CHECK_NUMBER(WSSTREAM_INITIATOR_LOCAL, info->initiator);
  CHECK_TEXT(reason, info->reason);
}

/* What is on the wire and in `closed` for one code and reason. */
static void expect_sent(end_fn *end, int32_t code, const char *reason, uint16_t expected_code,
                        const char *expected_reason) {
  const char *id = server_fresh_word();
  wsstream *stream = open_recorded("/echo", id);
  char expected[256], *record;
  CHECK_OK(end(stream, code, reason, reason == NULL ? 0 : WSSTREAM_NUL));
  expect_closed(stream, expected_code, expected_reason, expected_code);
  wsstream_free(stream);
  record = server_record(id, 0);
  if (expected_code == 1005) snprintf(expected, sizeof expected, " size=0 code=none");
  else snprintf(expected, sizeof expected, " code=%d reason=\"%s\"", expected_code, expected_reason);
  EXPECT_RECORDED(record, expected);
  CHECK_NUMBER(1, server_count(record, "close"));
  CHECK_NUMBER(0, server_count(record, "violations"));
  free(record);
}

static void code_and_reason_are_sent_by(end_fn *end) {
  expect_sent(end, WSSTREAM_NO_CODE, NULL, 1005, "");
  expect_sent(end, 1000, NULL, 1000, "");
  expect_sent(end, 4001, "enough", 4001, "enough");
  expect_sent(end, WSSTREAM_NO_CODE, "because", 1000, "because");
}

static void a_refused_code_or_reason_becomes_an_empty_close_by(end_fn *end) {
  static const int32_t refused[] = {0, 1, 999, 1001, 1002, 1004, 1005, 1006, 1011, 1015, 2999, 5000, 65535};
  size_t i;
  for (i = 0; i < sizeof refused / sizeof refused[0]; i++) expect_sent(end, refused[i], "dropped too", 1005, "");
  expect_sent(end, 1006, NULL, 1005, "");
  expect_sent(end, 4000, reason_of_124_bytes, 1005, "");
  expect_sent(end, 4000, reason_of_124_bytes + 1, 4000, reason_of_124_bytes + 1);
  expect_sent(end, WSSTREAM_NO_CODE, reason_of_124_bytes, 1005, "");
}

static void bad_arguments_change_nothing_in(end_fn *end) {
  static const int32_t no_codes[] = {-2, 65536, INT32_MAX, INT32_MIN};
  wsstream *stream = check_open("/echo");
  size_t i;
  for (i = 0; i < sizeof no_codes / sizeof no_codes[0]; i++)
    CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, end(stream, no_codes[i], NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, end(stream, 1000, "\xc3(", 2));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, end(stream, 1000, NULL, 3));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "on", 2, SOON));
  expect_text(stream, "on");
  wsstream_free(stream);
}

/* Twice, after close and after the end: no error, and the first code stays. */
static void a_later_end_is_without_effect(end_fn *end) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(end(stream, 4000, "first", WSSTREAM_NUL));
  CHECK_OK(end(stream, 4001, "second", WSSTREAM_NUL));
  CHECK_OK(wsstream_close(stream, 4002, "third", WSSTREAM_NUL));
  expect_closed(stream, 4000, "first", 4000);
  CHECK_OK(end(stream, 4003, "fourth", WSSTREAM_NUL));
  wsstream_free(stream);

  stream = check_open("/echo");
  CHECK_OK(wsstream_close(stream, 4000, "first", WSSTREAM_NUL));
  CHECK_OK(end(stream, 4001, "second", WSSTREAM_NUL));
  expect_closed(stream, 4000, "first", 4000);
  CHECK_OK(end(stream, 4003, "third", WSSTREAM_NUL));
  wsstream_free(stream);

  stream = check_open("/abrupt");
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  CHECK_OK(end(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  wsstream_free(stream);
}

static void while_connecting_it_gives_up(end_fn *end) {
  const wsstream_close_info *info = NULL;
  wsstream *stream = check_begin_open("/handshake?stall=1", NULL);
  CHECK_OK(end(stream, 4000, "ignored", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(0, info->clean);
  CHECK_NUMBER(0, info->sent_code);
  CHECK_TEXT("", info->reason);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  wsstream_free(stream);
}

static void on_a_freed_stream_it_is_state(end_fn *end) {
  wsstream *stream = check_open("/echo");
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, end(stream, WSSTREAM_NO_CODE, NULL, 0));
  wsstream_unref(stream);
}

/* Messages that were taken whole precede the Close, those that MORE holds back too. */
static void written_messages_precede_the_close_of(end_fn *end) {
  const char *id = server_fresh_word();
  wsstream *stream = open_recorded("/echo", id);
  char *record, *text, *close;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "before", 6, SOON));
  CHECK_OK(end(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "after", 5, SOON));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write_some(stream, WSSTREAM_TEXT, "after", 5, 0, SOON));
  expect_closed(stream, 1005, "", 1005);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "after", 5, SOON));
  wsstream_free(stream);
  record = server_record(id, 0);
  text = strstr(record, "\ntext fin=1"), close = strstr(record, "\nclose fin=1");
  CHECK(text != NULL && close != NULL && text < close);
  CHECK_NUMBER(2, server_count(record, "frames"));
  free(record);
}

/* A message of write_some without FIN is given up: the Close follows the last whole frame. */
static void an_open_message_is_given_up_by(end_fn *end) {
  const char *id = server_fresh_word();
  wsstream *stream = open_recorded("/echo", id);
  char *record;
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, "part", 4, 0, SOON));
  CHECK_OK(wsstream_flush(stream, SOON));
  CHECK_OK(end(stream, 4000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write_some(stream, WSSTREAM_BINARY, "rest", 4, WSSTREAM_FIN, SOON));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  wsstream_free(stream);
  record = server_record(id, 0);
  EXPECT_RECORDED(record, " code=4000 ");
  CHECK_NUMBER(2, server_count(record, "frames"));
  CHECK_NUMBER(4 + 2, server_count(record, "payload_bytes"));
  free(record);
}

struct writer {
  wsstream *stream;
  wsstream_status status;
};

static void *write_for_ever(void *argument) {
  static const uint8_t data[65536];
  struct writer *writer = argument;
  do writer->status = wsstream_write(writer->stream, WSSTREAM_BINARY, data, sizeof data, WSSTREAM_FOREVER);
  while (writer->status == WSSTREAM_OK || writer->status == WSSTREAM_ERR_BUSY);
  return NULL;
}

/* A writer that waits for room has taken nothing and answers STATE. */
static void a_blocked_writer_is_let_go_by(end_fn *end) {
  wsstream *stream = check_open("/stall?receive_buffer=4096");
  struct writer writer = {.stream = stream};
  pthread_t thread;
  peer_fill(stream);
  thread = check_thread(write_for_ever, &writer);
  while (wsstream_flush(stream, 0) != WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_OK(end(stream, WSSTREAM_NO_CODE, NULL, 0));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_ERR_STATE, writer.status);
  wsstream_free(stream);
}

/* Rows: R10, R11 */
static void cancel_sends_code_and_reason(void) { code_and_reason_are_sent_by(wsstream_readable_cancel); }
/* Rows: W12, W13 */
static void abort_sends_code_and_reason(void) { code_and_reason_are_sent_by(wsstream_writable_abort); }

/* Rows: R12 */
static void cancel_with_a_refused_code_sends_an_empty_close(void) {
  a_refused_code_or_reason_becomes_an_empty_close_by(wsstream_readable_cancel);
}
/* Rows: W14 */
static void abort_with_a_refused_code_sends_an_empty_close(void) {
  a_refused_code_or_reason_becomes_an_empty_close_by(wsstream_writable_abort);
}

static void cancel_with_bad_arguments_changes_nothing(void) {
  bad_arguments_change_nothing_in(wsstream_readable_cancel);
}
static void abort_with_bad_arguments_changes_nothing(void) {
  bad_arguments_change_nothing_in(wsstream_writable_abort);
}

/* Rows: R15 */
static void cancel_twice_or_after_the_end_is_without_effect(void) {
  a_later_end_is_without_effect(wsstream_readable_cancel);
}
static void abort_twice_or_after_the_end_is_without_effect(void) {
  a_later_end_is_without_effect(wsstream_writable_abort);
}

static void cancel_while_connecting_gives_up(void) { while_connecting_it_gives_up(wsstream_readable_cancel); }
static void abort_while_connecting_gives_up(void) { while_connecting_it_gives_up(wsstream_writable_abort); }

static void cancel_on_a_freed_stream_is_state(void) { on_a_freed_stream_it_is_state(wsstream_readable_cancel); }
static void abort_on_a_freed_stream_is_state(void) { on_a_freed_stream_it_is_state(wsstream_writable_abort); }

/* Rows: C17, W19 */
static void written_messages_precede_the_close_of_a_cancel(void) {
  written_messages_precede_the_close_of(wsstream_readable_cancel);
}
/* Rows: C17, W19 */
static void sent_messages_precede_the_close_of_an_abort(void) {
  written_messages_precede_the_close_of(wsstream_writable_abort);
}

static void cancel_gives_an_open_message_up(void) { an_open_message_is_given_up_by(wsstream_readable_cancel); }
static void abort_gives_an_open_message_up(void) { an_open_message_is_given_up_by(wsstream_writable_abort); }

static void cancel_lets_a_blocked_writer_go(void) { a_blocked_writer_is_let_go_by(wsstream_readable_cancel); }
/* Rows: W12 */
static void abort_lets_a_blocked_writer_go(void) { a_blocked_writer_is_let_go_by(wsstream_writable_abort); }

/* The peer has not answered the Close: only the readable side is over. */
/* Rows: R10, R13, R14 */
static void cancel_is_done_at_once_and_throws_away_what_is_queued(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  wsstream_chunk chunk;
  uint32_t events = 0;
  size_t count;
  char byte;
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  await_readable(stream);
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, WSSTREAM_FOREVER, &message));
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, 0, &message));
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read_many(stream, WSSTREAM_FOREVER, &message, 1, &count));
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read_some(stream, &byte, 1, WSSTREAM_FOREVER, &chunk));
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE | WSSTREAM_READABLE_SOME, 0, &events));
  CHECK_NUMBER(WSSTREAM_READABLE | WSSTREAM_READABLE_SOME, events);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
  peer_send_text(&peer, "late");
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "", 0);
  expect_closed(stream, 1005, "", 1005);
  expect_read(stream, WSSTREAM_DONE);
  peer_free(&peer, stream);
}

/* DONE stays the answer of the half when the end turns out unclean. */
/* Rows: R13 */
static void cancel_stays_done_when_the_end_is_not_clean(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  peer_end(&peer);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  expect_read(stream, WSSTREAM_DONE);
  peer_free(&peer, stream);
}

static void cancel_while_connecting_is_done_for_readers(void) {
  wsstream *stream = check_begin_open("/handshake?stall=1", NULL);
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  expect_read(stream, WSSTREAM_DONE);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  expect_read(stream, WSSTREAM_DONE);
  wsstream_free(stream);
}

/* Rows: R13, R15 */
static void close_then_cancel_ends_reading_at_once(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "queued");
  await_readable(stream);
  CHECK_OK(wsstream_close(stream, 4000, "close", WSSTREAM_NUL));
  CHECK_OK(wsstream_readable_cancel(stream, 4001, "cancel", WSSTREAM_NUL));
  expect_read(stream, WSSTREAM_DONE);
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "\x0f\xa0" "close", 7);
  expect_closed(stream, 4000, "close", 4000);
  peer_free(&peer, stream);
}

/* Rows: R15 */
static void cancel_after_the_end_leaves_it_as_it_was(void) {
  wsstream *stream = check_open("/count?n=3&size=5");
  const wsstream_close_info *info = NULL;
  CHECK_OK(wsstream_wait_closed(stream, SOON, &info));
  CHECK_OK(wsstream_readable_cancel(stream, 4000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, 0, &info));
  CHECK_NUMBER(1000, info->code);
  CHECK_NUMBER(1000, info->sent_code);
  wsstream_free(stream);
}

struct reader {
  wsstream *stream;
  wsstream_status status;
  int way;
};

static void *read_for_ever(void *argument) {
  struct reader *reader = argument;
  wsstream_message message;
  wsstream_chunk chunk;
  size_t count;
  char byte;
  do {
    switch (reader->way) {
    case 0: reader->status = wsstream_read(reader->stream, WSSTREAM_FOREVER, &message); break;
    case 1: reader->status = wsstream_read_many(reader->stream, WSSTREAM_FOREVER, &message, 1, &count); break;
    default: reader->status = wsstream_read_some(reader->stream, &byte, 1, WSSTREAM_FOREVER, &chunk);
    }
  } while (reader->status == WSSTREAM_ERR_BUSY);
  return NULL;
}

/* Rows: R13, R14 */
static void cancel_lets_a_blocked_reader_go_with_done(void) {
  int way;
  for (way = 0; way < 3; way++) {
    struct peer peer;
    wsstream *stream = peer_open(&peer, NULL);
    struct reader reader = {.stream = stream, .way = way};
    pthread_t thread = check_thread(read_for_ever, &reader);
    wsstream_message message;
    while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
    CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
    check_join(thread);
    CHECK_STATUS(WSSTREAM_DONE, reader.status);
    CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
    peer_free(&peer, stream);
  }
}

static void *poll_for_ever(void *argument) {
  uint32_t events = 0;
  CHECK_OK(wsstream_poll(argument, WSSTREAM_READABLE, WSSTREAM_FOREVER, &events));
  CHECK_NUMBER(WSSTREAM_READABLE, events);
  return NULL;
}

static void cancel_lets_a_blocked_poll_go(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  pthread_t thread = check_thread(poll_for_ever, stream);
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  check_join(thread);
  peer_free(&peer, stream);
}

static void cancel_inside_parts_of_a_message_is_done(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_chunk chunk;
  char bytes[2];
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "abcd", 4);
  CHECK_OK(wsstream_read_some(stream, bytes, sizeof bytes, SOON, &chunk));
  CHECK_OK(wsstream_readable_cancel(stream, 4000, NULL, 0));
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read_some(stream, bytes, sizeof bytes, SOON, &chunk));
  CHECK_NUMBER(0, chunk.size);
  expect_read(stream, WSSTREAM_DONE);
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "\x0f\xa0", 2);
  expect_closed(stream, 4000, "", 4000);
  peer_free(&peer, stream);
}

/* The peer's Close comes behind much more than the read buffer holds, and nobody reads. */
/* Rows: R13, D03 */
static void cancel_drains_past_the_read_buffer(void) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, 1000));
  stream = check_begin_open("/count?n=100&size=200000", options);
  wsstream_options_free(options);
  await_readable(stream);
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  expect_read(stream, WSSTREAM_DONE);
  wsstream_free(stream);
}

/* Rows: W10, W11 */
static void writable_close_sends_what_was_written_and_an_empty_close(void) {
  const char *id = server_fresh_word();
  wsstream *stream = open_recorded("/echo", id);
  char *record, *close;
  int i;
  for (i = 0; i < 50; i++)
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "gathered", 8, WSSTREAM_FIN | WSSTREAM_MORE, SOON));
  CHECK_OK(wsstream_writable_close(stream, SOON));
  expect_closed(stream, 1005, "", 1005);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
  wsstream_free(stream);
  record = server_record(id, 0);
  CHECK_NUMBER(50, server_count(record, "text"));
  CHECK_NUMBER(51, server_count(record, "frames"));
  close = strstr(record, "\nclose fin=1");
  CHECK(close != NULL && strstr(close, "size=0 code=none") != NULL && strstr(close, "\ntext") == NULL);
  free(record);
}

/* Rows: W11 */
static void writable_close_of_an_unclean_end_is_connection(void) {
  wsstream *stream = check_open("/close_reply?missing=1&end=fin");
  const wsstream_close_info *info = NULL;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_writable_close(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, 0, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(1005, info->sent_code);
  wsstream_free(stream);
}

static void writable_close_goes_on_when_its_time_is_over(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_writable_close(stream, 5));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "", 0);
  expect_closed(stream, 1005, "", 1005);
  peer_free(&peer, stream);

  stream = peer_open(&peer, NULL);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_writable_close(stream, 0));
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "", 0);
  expect_closed(stream, 1005, "", 1005);
  peer_free(&peer, stream);
}

/* Its Close waits behind everything that was taken, however long the peer reads nothing. */
/* Rows: W10, W11 */
static void writable_close_waits_for_what_was_taken(void) {
  static const uint8_t data[1 << 20];
  const char *id = server_fresh_word(), *token = server_fresh_word();
  int64_t count = 0;
  wsstream_status status = WSSTREAM_OK;
  wsstream *stream;
  char path[128], *record;
  snprintf(path, sizeof path, "/stall_until?token=%s", token);
  stream = open_recorded(path, id);
  while (status == WSSTREAM_OK) {
    status = wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 0);
    CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
    count++;
  }
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_writable_close(stream, 50));
  server_release(token);
  expect_closed(stream, 1005, "", 1005);
  wsstream_free(stream);
  record = server_record(id, 0);
  CHECK_NUMBER(count * (int64_t)sizeof data, server_count(record, "payload_bytes"));
  CHECK_NUMBER(1, server_count(record, "close"));
  free(record);
}

static void writable_close_inside_an_open_message_is_state(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "be", 2, 0, SOON));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_writable_close(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_writable_close(stream, 0));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "gun", 3, WSSTREAM_FIN, SOON));
  expect_text(stream, "begun");
  CHECK_OK(wsstream_writable_close(stream, SOON));
  expect_closed(stream, 1005, "", 1005);
  wsstream_free(stream);
}

static void writable_close_on_an_ended_half_answers_its_status(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_close(stream, 4000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_writable_close(stream, SOON));
  expect_closed(stream, 4000, "", 4000);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_writable_close(stream, SOON));
  wsstream_free(stream);
  stream = check_open("/close?code=4001");
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_writable_close(stream, SOON));
  wsstream_free(stream);
  stream = check_open("/abrupt");
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_writable_close(stream, SOON));
  wsstream_free(stream);
  stream = check_open("/echo");
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_writable_close(stream, SOON));
  wsstream_unref(stream);
}

static void writable_close_while_connecting_gives_up(void) {
  wsstream *stream = check_begin_open("/handshake?stall=1", NULL);
  const wsstream_close_info *info = NULL;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_writable_close(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(0, info->sent_code);
  wsstream_free(stream);
}

/* What was received before stays readable, as with close; what comes later is dropped. */
/* Rows: R06 */
static void messages_before_a_writable_close_are_read_until_done(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "queued");
  await_readable(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_writable_close(stream, 0));
  peer_send_text(&peer, "late");
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "", 0);
  expect_text(stream, "queued");
  expect_read(stream, WSSTREAM_DONE);
  expect_closed(stream, 1005, "", 1005);
  peer_free(&peer, stream);
}

static void *writable_close_for_ever(void *argument) {
  struct writer *writer = argument;
  writer->status = wsstream_writable_close(writer->stream, WSSTREAM_FOREVER);
  wsstream_unref(writer->stream);
  return NULL;
}

/* The peer has its Close: the other thread is inside. */
static void free_lets_a_blocked_writable_close_go(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  struct writer writer = {.stream = wsstream_ref(stream)};
  pthread_t thread = check_thread(writable_close_for_ever, &writer);
  PEER_EXPECT(&peer, PEER_CLOSE, "", 0);
  wsstream_free(stream);
  check_join(thread);
  CHECK_STATUS(WSSTREAM_ERR_STATE, writer.status);
  peer_end(&peer);
}

/* It belongs to no half: another thread may be inside a read all the while, and sees the end. */
static void writable_close_beside_a_reader_is_not_busy(void) {
  wsstream *stream = check_open("/echo");
  struct reader reader = {.stream = stream};
  pthread_t thread = check_thread(read_for_ever, &reader);
  wsstream_message message;
  while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_OK(wsstream_writable_close(stream, SOON));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_DONE, reader.status);
  wsstream_free(stream);
}

/* What was taken precedes its Close, however long the peer reads nothing. */
/* Rows: W12, W13 */
static void abort_sends_what_was_taken_before(void) {
  static const uint8_t data[1 << 20];
  enum { COUNT = 16 };
  const char *id = server_fresh_word(), *token = server_fresh_word();
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  char path[160], *record;
  int i;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_WRITE_BUFFER_SIZE, (int64_t)COUNT << 21));
  snprintf(path, sizeof path, "/stall_until?token=%s&id=%s", token, id);
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  for (i = 0; i < COUNT; i++) CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 0));
  CHECK_OK(wsstream_writable_abort(stream, 4000, "no more", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_BINARY, data, 1, 0));
  server_release(token);
  expect_closed(stream, 4000, "no more", 4000);
  wsstream_free(stream);
  record = server_record(id, 0);
  CHECK_NUMBER(COUNT, server_count(record, "binary"));
  CHECK_NUMBER(1, server_count(record, "close"));
  CHECK_NUMBER(0, server_count(record, "violations"));
  free(record);
}

static void abort_leaves_what_was_received_readable(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_send_text(&peer, "queued");
  await_readable(stream);
  CHECK_OK(wsstream_writable_abort(stream, WSSTREAM_NO_CODE, NULL, 0));
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "", 0);
  expect_text(stream, "queued");
  expect_read(stream, WSSTREAM_DONE);
  expect_closed(stream, 1005, "", 1005);
  peer_free(&peer, stream);
}

int main(void) {
  memset(reason_of_124_bytes, 'r', 124);
  check_begin();
  RUN(cancel_sends_code_and_reason);
  RUN(cancel_with_a_refused_code_sends_an_empty_close);
  RUN(cancel_with_bad_arguments_changes_nothing);
  RUN(cancel_twice_or_after_the_end_is_without_effect);
  RUN(cancel_while_connecting_gives_up);
  RUN(cancel_while_connecting_is_done_for_readers);
  RUN(cancel_on_a_freed_stream_is_state);
  RUN(written_messages_precede_the_close_of_a_cancel);
  RUN(cancel_gives_an_open_message_up);
  RUN(cancel_lets_a_blocked_writer_go);
  RUN(cancel_is_done_at_once_and_throws_away_what_is_queued);
  RUN(cancel_stays_done_when_the_end_is_not_clean);
  RUN(close_then_cancel_ends_reading_at_once);
  RUN(cancel_after_the_end_leaves_it_as_it_was);
  RUN(cancel_lets_a_blocked_reader_go_with_done);
  RUN(cancel_lets_a_blocked_poll_go);
  RUN(cancel_inside_parts_of_a_message_is_done);
  RUN(cancel_drains_past_the_read_buffer);
  RUN(writable_close_sends_what_was_written_and_an_empty_close);
  RUN(writable_close_of_an_unclean_end_is_connection);
  RUN(writable_close_goes_on_when_its_time_is_over);
  RUN(writable_close_waits_for_what_was_taken);
  RUN(writable_close_inside_an_open_message_is_state);
  RUN(writable_close_on_an_ended_half_answers_its_status);
  RUN(writable_close_while_connecting_gives_up);
  RUN(messages_before_a_writable_close_are_read_until_done);
  RUN(free_lets_a_blocked_writable_close_go);
  RUN(writable_close_beside_a_reader_is_not_busy);
  RUN(abort_sends_code_and_reason);
  RUN(abort_with_a_refused_code_sends_an_empty_close);
  RUN(abort_with_bad_arguments_changes_nothing);
  RUN(abort_twice_or_after_the_end_is_without_effect);
  RUN(abort_while_connecting_gives_up);
  RUN(abort_on_a_freed_stream_is_state);
  RUN(sent_messages_precede_the_close_of_an_abort);
  RUN(abort_gives_an_open_message_up);
  RUN(abort_lets_a_blocked_writer_go);
  RUN(abort_sends_what_was_taken_before);
  RUN(abort_leaves_what_was_received_readable);
  return 0;
}
