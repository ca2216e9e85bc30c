/* The ways a stream ends and what `closed` says of each: codes, reasons, who began, and what the calls answer then. */
#include "check.h"
#include "server.h"

/* 123 bytes, the longest reason a Close frame has room for, and one more. */
static char reason_of_123_bytes[124];
static char reason_of_124_bytes[125];

static const wsstream_close_info *closed_cleanly(wsstream *stream) {
  const wsstream_close_info *info = NULL;
  CHECK_OK(wsstream_wait_closed(stream, SOON, &info));
  CHECK(info->clean);
  CHECK_NUMBER(WSSTREAM_CAUSE_NONE, info->cause);
  CHECK_NUMBER(0, info->os_error);
  CHECK_NUMBER(0, info->http_status);
  CHECK(info->detail != NULL && info->response_body != NULL);
  CHECK(WSSTREAM_HAS(wsstream_close_info, info, response_body_size));
  return info;
}

/* Rows: C11, K01 */
static void close_with_code_and_reason_settles_closed_with_both(void) {
  wsstream *stream = check_open("/echo");
  const wsstream_close_info *info;
  CHECK_OK(wsstream_close(stream, 4321, "see you", WSSTREAM_NUL));
  info = closed_cleanly(stream);
  CHECK_NUMBER(4321, info->code);
  CHECK_NUMBER(4321, info->sent_code);
  CHECK_NUMBER(WSSTREAM_INITIATOR_LOCAL, info->initiator);
  CHECK_TEXT("see you", info->reason);
  CHECK_NUMBER(7, info->reason_size);
  wsstream_free(stream);
}

/* Rows: K02 */
static void close_without_a_code_settles_closed_with_1005(void) {
  wsstream *stream = check_open("/echo");
  const wsstream_close_info *info;
  CHECK_OK(wsstream_close(stream, WSSTREAM_NO_CODE, NULL, 0));
  info = closed_cleanly(stream);
  CHECK_NUMBER(1005, info->code);
  CHECK_NUMBER(1005, info->sent_code);
  CHECK_TEXT("", info->reason);
  wsstream_free(stream);
}

/* Rows: C09 */
static void a_reason_without_a_code_is_sent_with_1000(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_close(stream, WSSTREAM_NO_CODE, "because", WSSTREAM_NUL));
  CHECK_CLOSED_AND_FREE(stream, 1000, "because");
}

/* Rows: C05 */
static void a_reason_of_123_bytes_is_legal(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_close(stream, 1000, reason_of_123_bytes, 123));
  CHECK_CLOSED_AND_FREE(stream, 1000, reason_of_123_bytes);
}

/* Rows: C03, C04, C05, C06 */
static void a_refused_close_leaves_the_connection_as_it_was(void) {
  static const int32_t forbidden[] = {0, 999, 1001, 1005, 1006, 1015, 2999, 5000, 65535};
  static const int32_t no_codes[] = {-2, 65536, INT32_MAX, INT32_MIN};
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  size_t i;
  for (i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
    CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, forbidden[i], NULL, 0));
  for (i = 0; i < sizeof no_codes / sizeof no_codes[0]; i++)
    CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_close(stream, no_codes[i], NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_close(stream, 1000, reason_of_124_bytes, WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, 999, reason_of_124_bytes, WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_close(stream, 1000, "\xc3(", WSSTREAM_NUL));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "open", 4, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "open", 4, &message);
  wsstream_message_release(&message);
  wsstream_free(stream);
}

/* Rows: C01, C14 */
static void a_second_close_is_validated_and_changes_nothing(void) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_close(stream, 3000, "first", WSSTREAM_NUL));
  CHECK_OK(wsstream_close(stream, 3001, "second", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, 999, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_OK(wsstream_close(stream, 3002, "third", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, 999, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 3000, "first");
}

/* Rows: C19, K13, D01 */
static void both_halves_end_with_a_local_close(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  int i;
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
  for (i = 0; i < 2; i++) CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, SOON, &message));
  CHECK(message.owner == NULL);
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "later", 5, SOON));
  wsstream_free(stream);
}

static void the_latches_give_the_same_answer_for_ever(void) {
  wsstream *stream = check_open("/echo");
  const wsstream_close_info *first = NULL;
  const wsstream_close_info *again = NULL;
  CHECK_OK(wsstream_wait_opened(stream, 0));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, &again));
  CHECK(again == NULL);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, &first));
  CHECK_OK(wsstream_wait_closed(stream, 0, &again));
  CHECK(first == again);
  CHECK_OK(wsstream_wait_opened(stream, 0));
  wsstream_free(stream);
}

/* Rows: K01, K13 */
static void the_peers_close_settles_closed_with_its_code_and_reason(void) {
  wsstream *stream = check_open("/close?code=4001&reason=going");
  const wsstream_close_info *info;
  wsstream_message message;
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, SOON, &message));
  info = closed_cleanly(stream);
  CHECK_NUMBER(4001, info->code);
  CHECK_NUMBER(4001, info->sent_code);
  CHECK_NUMBER(WSSTREAM_INITIATOR_REMOTE, info->initiator);
  CHECK_TEXT("going", info->reason);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
  wsstream_free(stream);
}

/* The server says what its messages hold: byte j of message i is (31 * i + j) % 251. */
/* Rows: D02, D03 */
static void messages_before_the_peers_close_are_read_first(void) {
  enum { COUNT = 500, SIZE = 100 };
  wsstream *stream = check_open("/count?n=500&size=100&type=binary");
  uint8_t expected[SIZE];
  wsstream_message message;
  size_t i, j;
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  for (i = 0; i < COUNT; i++) {
    for (j = 0; j < SIZE; j++) expected[j] = (uint8_t)((31 * i + j) % 251);
    CHECK_OK(wsstream_read(stream, 0, &message));
    CHECK_MESSAGE(WSSTREAM_BINARY, expected, SIZE, &message);
    wsstream_message_release(&message);
  }
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, 0, &message));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Rows: K06, K14 */
static void an_end_of_tcp_without_close_settles_closed_with_1006(void) {
  wsstream *stream = check_open("/abrupt");
  const wsstream_close_info *info = NULL;
  wsstream_message message;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK(!info->clean);
  CHECK_NUMBER(WSSTREAM_CAUSE_TRUNCATED, info->cause);
  CHECK_NUMBER(WSSTREAM_INITIATOR_TRANSPORT, info->initiator);
  CHECK_NUMBER(WSSTREAM_PHASE_OPEN, info->phase);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
  wsstream_free(stream);
}

/* Rows: K16 */
static void a_close_without_an_answer_ends_with_the_close_timeout(void) {
  wsstream_options *options = wsstream_options_new();
  const wsstream_close_info *info = NULL;
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_CLOSE_TIMEOUT_MS, 50));
  stream = check_begin_open("/close_reply?missing=1", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(1000, info->sent_code);
  CHECK(!info->clean);
  CHECK_NUMBER(WSSTREAM_CAUSE_TIMEOUT, info->cause);
  CHECK_NUMBER(WSSTREAM_PHASE_CLOSING, info->phase);
  wsstream_free(stream);
}

/* Rows: K11 */
static void a_refused_upgrade_tells_its_http_status(void) {
  wsstream *stream = check_begin_open("/handshake?status=404", NULL);
  const wsstream_close_info *info = NULL;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, 0, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(404, info->http_status);
  CHECK_NUMBER(WSSTREAM_CAUSE_HTTP, info->cause);
  CHECK_NUMBER(WSSTREAM_PHASE_HANDSHAKE, info->phase);
  wsstream_free(stream);
}

/* Rows: C12 */
static void close_before_open_settles_closed_with_1006(void) {
  wsstream *stream = check_begin_open("/handshake?stall=1", NULL);
  const wsstream_close_info *info = NULL;
  CHECK_OK(wsstream_close(stream, 4000, "ignored", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(0, info->sent_code);
  CHECK_TEXT("", info->reason);
  wsstream_free(stream);
}

/* Nothing listens on port 1 of the loopback address. */
static void a_refused_connection_settles_closed_with_1006(void) {
  const wsstream_close_info *info = NULL;
  wsstream *stream = NULL;
  wsstream_message message;
  CHECK_OK(wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, NULL, &stream));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, 0, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK(!info->clean);
  CHECK_NUMBER(WSSTREAM_PHASE_CONNECT, info->phase);
  CHECK_NUMBER(WSSTREAM_CAUSE_SYSTEM, info->cause);
  CHECK_NUMBER(ECONNREFUSED, info->os_error);
  CHECK_NUMBER(0, info->sent_code);
  CHECK_TEXT("", info->reason);
  CHECK(info->detail_size > 0);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_write(stream, WSSTREAM_TEXT, "no", 2, SOON));
  wsstream_free(stream);
}

static void a_failed_stream_without_a_reader_is_freed_quietly(void) {
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, NULL, &stream));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  wsstream_free(stream);
}

/* The server answers the handshake after the abort. */
/* Rows: C01, K12 */
static void an_aborted_stream_judges_a_close_and_stays_aborted_whatever_comes_later(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = wsstream_options_new();
  const char *token = server_fresh_word();
  const wsstream_close_info *first = NULL, *again = NULL;
  wsstream_message message;
  wsstream *stream;
  char path[160];
  int i;
  CHECK_OK(wsstream_options_set_aborter(options, aborter));
  snprintf(path, sizeof path, "/handshake?token=%s", token);
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  wsstream_aborter_abort(aborter);
  for (i = 0; i < 3; i++) {
    CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, SOON));
    CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_closed(stream, SOON, i == 0 ? &first : &again));
    CHECK(i == 0 || first == again);
    CHECK_NUMBER(1006, first->code);
    CHECK_NUMBER(0, first->clean);
    CHECK_NUMBER(0, first->sent_code);
    CHECK_TEXT("", first->reason);
    CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_read(stream, SOON, &message));
    CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
    CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_close(stream, 65536, reason_of_124_bytes, WSSTREAM_NUL));
    CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, 999, reason_of_124_bytes, WSSTREAM_NUL));
    CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_close(stream, 1000, reason_of_124_bytes, WSSTREAM_NUL));
    CHECK_OK(wsstream_close(stream, 4000, "late", WSSTREAM_NUL));
    wsstream_aborter_abort(aborter);
    if (i == 1) server_release(token);
  }
  wsstream_free(stream);
  wsstream_aborter_free(aborter);
}

int main(void) {
  memset(reason_of_123_bytes, 'r', 123);
  memset(reason_of_124_bytes, 'r', 124);
  check_begin();
  RUN(close_with_code_and_reason_settles_closed_with_both);
  RUN(close_without_a_code_settles_closed_with_1005);
  RUN(a_reason_without_a_code_is_sent_with_1000);
  RUN(a_reason_of_123_bytes_is_legal);
  RUN(a_refused_close_leaves_the_connection_as_it_was);
  RUN(a_second_close_is_validated_and_changes_nothing);
  RUN(both_halves_end_with_a_local_close);
  RUN(the_latches_give_the_same_answer_for_ever);
  RUN(the_peers_close_settles_closed_with_its_code_and_reason);
  RUN(messages_before_the_peers_close_are_read_first);
  RUN(an_end_of_tcp_without_close_settles_closed_with_1006);
  RUN(a_close_without_an_answer_ends_with_the_close_timeout);
  RUN(a_refused_upgrade_tells_its_http_status);
  RUN(close_before_open_settles_closed_with_1006);
  RUN(an_aborted_stream_judges_a_close_and_stays_aborted_whatever_comes_later);
  RUN(a_refused_connection_settles_closed_with_1006);
  RUN(a_failed_stream_without_a_reader_is_freed_quietly);
  return 0;
}
