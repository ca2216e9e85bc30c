/* The scenarios of tests/scenarios.toml, which says what each shows; C++ and Python run the same ones. */
#include "check.h"
#include "self.h"
#include "server.h"
#include "tally.h"

#define SCENARIO(name) static void name(void)

enum { LARGE = 3 << 20, MESSAGES = 1000, STREAMS = 50, WRITTEN = 100 };

static void write_message(wsstream *stream, uint32_t type, const void *data, size_t size) {
  const wsstream_status status = wsstream_write(stream, type, data, size, SOON);
  if (status != WSSTREAM_QUEUED) CHECK_OK(status);
}

static void read_message(wsstream *stream, uint32_t type, const void *data, size_t size) {
  wsstream_message message = check_read(stream);
  CHECK_MESSAGE(type, data, size, &message);
  wsstream_message_release(&message);
}

static void write_and_read_back(wsstream *stream, uint32_t type, const void *data, size_t size) {
  write_message(stream, type, data, size);
  read_message(stream, type, data, size);
}

static void read_the_end(wsstream *stream, wsstream_status status) {
  wsstream_message message;
  CHECK_STATUS(status, wsstream_read(stream, SOON, &message));
}

static void close_and_free(wsstream *stream) {
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* How an opening failed; the stream is still to be freed. */
static const wsstream_close_info *expect_no_opening(wsstream *stream, wsstream_status status, uint32_t cause) {
  const wsstream_close_info *info = NULL;
  CHECK_STATUS(status, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(status, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(cause, info->cause);
  CHECK_NUMBER(1006, info->code);
  CHECK(!info->clean);
  return info;
}

static wsstream *open_with_number(const char *path, uint32_t option, int64_t value) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, option, value));
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  return stream;
}

/* The head of the request that opened the stream, which /request sends as its first message. */
static char *read_request(wsstream *stream) {
  wsstream_message message = check_read(stream);
  char *head = calloc(1, message.size + 1);
  CHECK(head != NULL);
  memcpy(head, message.data, message.size);
  wsstream_message_release(&message);
  return head;
}

static wsstream_statistics statistics_of(wsstream *stream) {
  wsstream_statistics now;
  CHECK_OK(wsstream_statistics_get(stream, &now, sizeof now));
  return now;
}

/* ---- Messages. */

SCENARIO(hello_is_echoed) {
  wsstream *stream = check_open("/echo");
  write_and_read_back(stream, WSSTREAM_TEXT, "hello, gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x8c\x8d", 24);
  write_and_read_back(stream, WSSTREAM_BINARY, "\0\x01\xfe\xff", 4);
  close_and_free(stream);
}

SCENARIO(an_empty_message_is_a_message) {
  wsstream *stream = check_open("/echo");
  write_and_read_back(stream, WSSTREAM_TEXT, "", 0);
  write_and_read_back(stream, WSSTREAM_BINARY, "", 0);
  close_and_free(stream);
}

SCENARIO(a_large_message_comes_whole) {
  wsstream *stream = check_open("/echo");
  uint8_t *data = malloc(LARGE);
  wsstream_status status;
  size_t i;
  CHECK(data != NULL);
  for (i = 0; i < LARGE; i++) data[i] = (uint8_t)(i * 31 + i / 251);
  /* Without waiting for room behind it, which there is once the echo is read: by this thread. */
  status = wsstream_write(stream, WSSTREAM_BINARY, data, LARGE, 0);
  CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
  read_message(stream, WSSTREAM_BINARY, data, LARGE);
  free(data);
  close_and_free(stream);
}

SCENARIO(a_fragmented_message_comes_whole) {
  static const char text[] = "one two \xc3\xa9\xc3\xa9\xc3\xa9 \xf0\x9f\x98\x80\xf0\x9f\x98\x80 three";
  wsstream *stream = check_open("/echo?frame=7");
  write_and_read_back(stream, WSSTREAM_TEXT, text, sizeof text - 1);
  close_and_free(stream);
}

SCENARIO(messages_come_in_order_and_then_the_end) {
  wsstream *stream = check_open("/count?n=1000&size=16");
  int i, j;
  for (i = 0; i < MESSAGES; i++) {
    char expected[16];
    for (j = 0; j < 16; j++) expected[j] = (char)('a' + (i + j) % 26);
    read_message(stream, WSSTREAM_TEXT, expected, sizeof expected);
  }
  read_the_end(stream, WSSTREAM_DONE);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

SCENARIO(parts_make_one_message) {
  static const char text[] = "one, two, three";
  wsstream *stream = check_open("/echo");
  wsstream_chunk chunk = {0, 0, 0, 0};
  char read[sizeof text];
  size_t size = 0;
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, text, 5, 0, SOON));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, text + 5, 5, WSSTREAM_MORE, SOON));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, text + 10, 5, WSSTREAM_FIN, SOON));
  while ((chunk.flags & WSSTREAM_FIN) == 0) {
    char part[5];
    CHECK_OK(wsstream_read_some(stream, part, sizeof part, SOON, &chunk));
    CHECK_NUMBER(WSSTREAM_TEXT, chunk.type);
    CHECK(chunk.size <= sizeof part && size + chunk.size < sizeof read);
    memcpy(read + size, part, chunk.size);
    size += chunk.size;
  }
  read[size] = '\0';
  CHECK_TEXT(text, read);
  close_and_free(stream);
}

/* ---- The end. */

SCENARIO(the_close_code_and_reason_are_the_peers) {
  wsstream *stream = check_open("/close?code=3001&reason=enough");
  const wsstream_close_info *info = NULL;
  CHECK_OK(wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(WSSTREAM_INITIATOR_REMOTE, info->initiator);
  CHECK_CLOSED_AND_FREE(stream, 3001, "enough");
}

SCENARIO(a_close_without_a_code_is_1005) {
  wsstream *stream = check_open("/close");
  CHECK_CLOSED_AND_FREE(stream, 1005, "");
}

SCENARIO(our_close_is_answered) {
  wsstream *stream = check_open("/echo");
  const wsstream_close_info *info = NULL;
  CHECK_OK(wsstream_close(stream, 3002, "done", WSSTREAM_NUL));
  CHECK_OK(wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(WSSTREAM_INITIATOR_LOCAL, info->initiator);
  CHECK_NUMBER(3002, info->sent_code);
  CHECK_CLOSED_AND_FREE(stream, 3002, "done");
}

/* The echo may have been read by then, or be lost with the connection. */
SCENARIO(a_dropped_connection_is_no_clean_end) {
  wsstream *stream = check_open("/abrupt?after=1&echo=1");
  const wsstream_close_info *info = NULL;
  wsstream_message message;
  wsstream_status status;
  write_message(stream, WSSTREAM_TEXT, "hello", 5);
  while ((status = wsstream_read(stream, SOON, &message)) == WSSTREAM_OK) wsstream_message_release(&message);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, status);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK(!info->clean);
  wsstream_free(stream);
}

SCENARIO(a_close_code_that_may_not_be_sent_is_refused) {
  wsstream *stream = check_open("/echo");
  char reason[124];
  memset(reason, 'r', sizeof reason);
  CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, 1001, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_close(stream, 1000, reason, sizeof reason));
  check_echo(stream);
  close_and_free(stream);
}

SCENARIO(what_was_written_precedes_the_close) {
  wsstream *stream = check_open("/verify?size=1000&type=binary");
  uint8_t data[1000];
  int i, j;
  for (i = 0; i < WRITTEN; i++) {
    for (j = 0; j < 1000; j++) data[j] = (uint8_t)((31 * i + j) % 251);
    write_message(stream, WSSTREAM_BINARY, data, sizeof data);
  }
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "100 messages");
}

SCENARIO(reading_can_be_cancelled) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  read_the_end(stream, WSSTREAM_DONE);
  CHECK_CLOSED_AND_FREE(stream, 1005, "");
}

SCENARIO(writing_can_be_closed) {
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_writable_close(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "more", 4, SOON));
  CHECK_CLOSED_AND_FREE(stream, 1005, "");
}

/* What is left of a stream that was freed ends by itself, its thread and descriptors too. */
SCENARIO(a_stream_can_be_freed_at_any_time) {
  static const char path[] = "/count?n=0&size=1000&close=none";
  wsstream_message message;
  wsstream *stream;
  int i, before;
  CHECK_OK(wsstream_runtime_stop(SOON));
  before = self_descriptor_count();
  for (i = 0; i < 10; i++) {
    stream = check_open(path);
    message = check_read(stream);
    wsstream_free(stream);
    CHECK_NUMBER(1000, message.size);
    wsstream_message_release(&message);
  }
  stream = check_open("/echo");
  check_echo(stream);
  close_and_free(stream);
  CHECK_OK(wsstream_runtime_stop(SOON));
  CHECK_NUMBER(before, self_descriptor_count());
}

/* ---- The opening. */

SCENARIO(a_bad_url_is_a_syntax_error) {
  char url[256];
  wsstream *stream = NULL;
  snprintf(url, sizeof url, "%s/echo#fragment", getenv("WSSTREAM_TEST_URL"));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open(url, WSSTREAM_NUL, NULL, &stream));
  CHECK(stream == NULL);
}

SCENARIO(a_refused_upgrade_says_why) {
  wsstream *stream = check_begin_open("/handshake?status=404&body=nothing%20here", NULL);
  const wsstream_close_info *info = expect_no_opening(stream, WSSTREAM_ERR_CONNECTION, WSSTREAM_CAUSE_HTTP);
  CHECK_NUMBER(404, info->http_status);
  CHECK_TEXT("nothing here", info->response_body);
  wsstream_free(stream);
}

/* A port that is taken and not listened on. */
SCENARIO(a_server_that_is_not_there_is_told) {
  struct sockaddr_in address = server_address();
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  const char *server = getenv("WSSTREAM_TEST_URL");
  socklen_t size = sizeof address;
  wsstream *stream = NULL;
  char url[64];
  address.sin_port = 0;
  CHECK_NUMBER(0, bind(taken, (const struct sockaddr *)&address, sizeof address));
  CHECK_NUMBER(0, getsockname(taken, (struct sockaddr *)&address, &size));
  snprintf(url, sizeof url, "%.*s127.0.0.1:%d/", (int)(strstr(server, "//") + 2 - server), server, ntohs(address.sin_port));
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, NULL, &stream));
  CHECK_NUMBER(ECONNREFUSED, expect_no_opening(stream, WSSTREAM_ERR_CONNECTION, WSSTREAM_CAUSE_SYSTEM)->os_error);
  wsstream_free(stream);
  close(taken);
}

SCENARIO(an_opening_can_time_out) {
  wsstream *stream = open_with_number("/handshake?stall=1", WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 50);
  expect_no_opening(stream, WSSTREAM_ERR_CONNECTION, WSSTREAM_CAUSE_TIMEOUT);
  wsstream_free(stream);
}

SCENARIO(an_opening_can_be_aborted) {
  wsstream_options *options = wsstream_options_new();
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_set_aborter(options, aborter));
  stream = check_begin_open("/handshake?stall=1", options);
  wsstream_options_free(options);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 20));
  wsstream_aborter_abort(aborter);
  wsstream_aborter_free(aborter);
  expect_no_opening(stream, WSSTREAM_ERR_ABORTED, WSSTREAM_CAUSE_ABORTED);
  wsstream_free(stream);
}

SCENARIO(the_server_picks_a_protocol) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_add_protocol(options, "first", WSSTREAM_NUL));
  CHECK_OK(wsstream_options_add_protocol(options, "second", WSSTREAM_NUL));
  stream = check_begin_open("/echo?protocol=second", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("second", wsstream_protocol(stream));
  close_and_free(stream);
}

SCENARIO(request_headers_are_sent) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  char *head;
  CHECK_OK(wsstream_options_add_header(options, "X-Scenario", WSSTREAM_NUL, "yes", WSSTREAM_NUL));
  stream = check_begin_open("/request", options);
  wsstream_options_free(options);
  head = read_request(stream);
  CHECK(strstr(head, "\r\nX-Scenario: yes") != NULL);
  free(head);
  close_and_free(stream);
}

SCENARIO(response_headers_are_known) {
  wsstream *stream = check_open("/handshake?header=X-Answer:%20forty-two");
  CHECK_TEXT("forty-two", wsstream_response_header(stream, "X-Answer", WSSTREAM_NUL, 0));
  CHECK_TEXT("forty-two", wsstream_response_header(stream, "x-ANSWER", WSSTREAM_NUL, 0));
  CHECK(wsstream_response_header(stream, "X-Answer", WSSTREAM_NUL, 1) == NULL);
  CHECK(wsstream_response_header(stream, "X-Question", WSSTREAM_NUL, 0) == NULL);
  close_and_free(stream);
}

/* ---- Backpressure and time. */

SCENARIO(a_slow_reader_slows_the_peer) {
  static const char path[] = "/count?n=0&size=65536&type=binary&close=none";
  wsstream *stream = open_with_number(path, WSSTREAM_OPTION_READ_BUFFER_SIZE, 65536);
  wsstream_message message;
  uint32_t events;
  int i;
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  for (i = 0; i < 20; i++) {
    let_pass_ms(10);
    CHECK(statistics_of(stream).unread < 1 << 20);
  }
  for (i = 0; i < 50; i++) {
    message = check_read(stream);
    CHECK_NUMBER(65536, message.size);
    wsstream_message_release(&message);
  }
  wsstream_free(stream);
}

SCENARIO(a_full_write_buffer_is_told) {
  const char *word = server_fresh_word();
  uint8_t *data = calloc(1, 65536);
  char path[160], *record;
  wsstream_status status;
  wsstream *stream;
  uint32_t events;
  int taken = 0;
  CHECK(data != NULL);
  snprintf(path, sizeof path, "/stall_until?receive_buffer=65536&token=%s&id=%s", word, word);
  stream = check_open(path);
  while ((status = wsstream_write(stream, WSSTREAM_BINARY, data, 65536, 0)) != WSSTREAM_AGAIN) {
    if (status != WSSTREAM_QUEUED) CHECK_OK(status);
    taken++;
  }
  CHECK(taken > 0);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_WRITABLE, 0, &events));
  server_release(word);
  CHECK_OK(wsstream_poll(stream, WSSTREAM_WRITABLE, SOON, &events));
  write_message(stream, WSSTREAM_BINARY, data, 65536);
  close_and_free(stream);
  record = server_record(word, 0);
  CHECK_NUMBER(taken + 1, server_count(record, "binary"));
  /* The Close's two bytes count, too. */
  CHECK_NUMBER((int64_t)(taken + 1) * 65536 + 2, server_count(record, "payload_bytes"));
  free(record);
  free(data);
}

SCENARIO(pings_are_answered_unasked) {
  wsstream *stream = check_open("/ping?n=3&payload=p&close=1000");
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_NUMBER(3, statistics_of(stream).pings_received);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

SCENARIO(a_wait_keeps_its_time) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 20, &message));
  check_echo(stream);
  close_and_free(stream);
}

/* ---- Compression and text. */

SCENARIO(compression_is_agreed_and_transparent) {
  wsstream *stream = check_open("/echo?deflate=1");
  wsstream_statistics now;
  char *text = malloc(100000);
  CHECK(text != NULL);
  memset(text, 'e', 100000);
  CHECK(strstr(wsstream_extensions(stream), "permessage-deflate") != NULL);
  write_and_read_back(stream, WSSTREAM_TEXT, text, 100000);
  now = statistics_of(stream);
  CHECK_NUMBER(100000, now.payload_sent);
  CHECK(now.wire_sent + now.wire_received < 10000);
  free(text);
  close_and_free(stream);
}

SCENARIO(without_compression_nothing_is_offered) {
  wsstream *stream = open_with_number("/request", WSSTREAM_OPTION_DEFLATE, 0);
  char *head = read_request(stream);
  CHECK(strstr(head, "Sec-WebSocket-Version:") != NULL);
  CHECK(strstr(head, "Sec-WebSocket-Extensions") == NULL);
  CHECK_TEXT("", wsstream_extensions(stream));
  free(head);
  close_and_free(stream);
}

SCENARIO(text_that_is_not_utf8_is_refused) {
  wsstream *stream = check_open("/echo");
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_write(stream, WSSTREAM_TEXT, "\xff", 1, SOON));
  check_echo(stream);
  close_and_free(stream);
}

/* ---- Several at once. */

static void *write_a_thousand(void *stream) {
  int i;
  for (i = 0; i < MESSAGES; i++) write_message(stream, WSSTREAM_BINARY, &i, sizeof i);
  return NULL;
}

SCENARIO(two_directions_at_once) {
  wsstream *stream = check_open("/echo");
  const pthread_t writer = check_thread(write_a_thousand, stream);
  int i;
  for (i = 0; i < MESSAGES; i++) read_message(stream, WSSTREAM_BINARY, &i, sizeof i);
  check_join(writer);
  close_and_free(stream);
}

SCENARIO(many_streams_at_once) {
  wsstream *streams[STREAMS];
  int i;
  for (i = 0; i < STREAMS; i++) streams[i] = check_begin_open("/echo", NULL);
  for (i = 0; i < STREAMS; i++) CHECK_OK(wsstream_wait_opened(streams[i], SOON));
  for (i = 0; i < STREAMS; i++) write_message(streams[i], WSSTREAM_BINARY, &i, sizeof i);
  for (i = 0; i < STREAMS; i++) read_message(streams[i], WSSTREAM_BINARY, &i, sizeof i);
  for (i = 0; i < STREAMS; i++) close_and_free(streams[i]);
}

int main(void) {
  check_begin();
  RUN(hello_is_echoed);
  RUN(an_empty_message_is_a_message);
  RUN(a_large_message_comes_whole);
  RUN(a_fragmented_message_comes_whole);
  RUN(messages_come_in_order_and_then_the_end);
  RUN(parts_make_one_message);
  RUN(the_close_code_and_reason_are_the_peers);
  RUN(a_close_without_a_code_is_1005);
  RUN(our_close_is_answered);
  RUN(a_dropped_connection_is_no_clean_end);
  RUN(a_close_code_that_may_not_be_sent_is_refused);
  RUN(a_bad_url_is_a_syntax_error);
  RUN(a_refused_upgrade_says_why);
  RUN(a_server_that_is_not_there_is_told);
  RUN(an_opening_can_time_out);
  RUN(an_opening_can_be_aborted);
  RUN(the_server_picks_a_protocol);
  RUN(request_headers_are_sent);
  RUN(response_headers_are_known);
  RUN(a_slow_reader_slows_the_peer);
  RUN(a_full_write_buffer_is_told);
  RUN(pings_are_answered_unasked);
  RUN(compression_is_agreed_and_transparent);
  RUN(without_compression_nothing_is_offered);
  RUN(text_that_is_not_utf8_is_refused);
  RUN(reading_can_be_cancelled);
  RUN(writing_can_be_closed);
  RUN(a_wait_keeps_its_time);
  RUN(two_directions_at_once);
  RUN(many_streams_at_once);
  RUN(a_stream_can_be_freed_at_any_time);
  RUN(what_was_written_precedes_the_close);
  return 0;
}
