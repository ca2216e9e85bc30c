/* Bad arguments for every function of the header: each is refused as the interface says and none crashes. A test beside
 * this one compares the functions called here with those the header declares. */
#include "check.h"

/* One past the largest payload. */
#define TOO_LARGE ((size_t)PTRDIFF_MAX + 1)

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

static void never_log(uint32_t level, const char *text, size_t size, void *user_data) {
  (void)level, (void)text, (void)size, (void)user_data;
  CHECK(!"called");
}

/* The program was compiled with a header of this library: same upper 16 bits, not larger. */
static void the_library_is_the_one_of_the_header(void) {
  CHECK(wsstream_abi_version() >> 16 == WSSTREAM_ABI_VERSION >> 16);
  CHECK(wsstream_abi_version() >= WSSTREAM_ABI_VERSION);
  CHECK(wsstream_version() != NULL && wsstream_version()[0] != '\0');
}

static void every_number_has_a_status_name_and_text(void) {
  wsstream_status status;
  CHECK_TEXT("WSSTREAM_OK", wsstream_status_name(WSSTREAM_OK));
  CHECK_TEXT("WSSTREAM_ERR_BUSY", wsstream_status_name(WSSTREAM_ERR_BUSY));
  CHECK_TEXT("WSSTREAM_ERR_INTERNAL", wsstream_status_name(WSSTREAM_ERR_INTERNAL));
  for (status = -200; status <= 200; status++) {
    CHECK(wsstream_status_name(status) != NULL);
    CHECK(wsstream_status_text(status) != NULL && wsstream_status_text(status)[0] != '\0');
  }
  CHECK(wsstream_status_name(INT32_MIN) != NULL && wsstream_status_text(INT32_MAX) != NULL);
}

static void freeing_null_does_nothing(void) {
  wsstream_options_free(NULL);
  wsstream_aborter_free(NULL);
  wsstream_aborter_abort(NULL);
  wsstream_free(NULL);
  wsstream_unref(NULL);
  wsstream_message_release(NULL);
  CHECK(wsstream_ref(NULL) == NULL);
}

static void strings_of_null_are_empty_or_null(void) {
  CHECK_TEXT("", wsstream_url(NULL));
  CHECK_TEXT("", wsstream_protocol(NULL));
  CHECK_TEXT("", wsstream_extensions(NULL));
  CHECK(wsstream_response_header(NULL, "Date", WSSTREAM_NUL, 0) == NULL);
}

static void null_handles_are_refused(void) {
  const wsstream_close_info *info = NULL;
  wsstream_message message;
  wsstream_chunk chunk;
  wsstream_statistics statistics;
  uint8_t buffer[8] = {0};
  size_t count = 1;
  uint32_t events = 1;
  int fd = 0;
  REFUSED(wsstream_options_add_protocol(NULL, "echo", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_header(NULL, "X-A", WSSTREAM_NUL, "b", WSSTREAM_NUL));
  REFUSED(wsstream_options_set_number(NULL, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 1));
  REFUSED(wsstream_options_set_text(NULL, WSSTREAM_OPTION_BASE_URL, "ws://h/", WSSTREAM_NUL));
  REFUSED(wsstream_options_set_aborter(NULL, NULL));
  REFUSED(wsstream_options_set_log(NULL, never_log, WSSTREAM_LOG_INFO, NULL));
  REFUSED(wsstream_wait_opened(NULL, 0));
  REFUSED(wsstream_close(NULL, 1000, "", 0));
  REFUSED(wsstream_wait_closed(NULL, 0, &info));
  REFUSED(wsstream_read(NULL, 0, &message));
  REFUSED(wsstream_read_many(NULL, 0, &message, 1, &count));
  REFUSED(wsstream_read_some(NULL, buffer, sizeof buffer, 0, &chunk));
  REFUSED(wsstream_message_retain(NULL, &message));
  REFUSED(wsstream_readable_cancel(NULL, WSSTREAM_NO_CODE, NULL, 0));
  REFUSED(wsstream_write(NULL, WSSTREAM_TEXT, "a", 1, 0));
  REFUSED(wsstream_write_many(NULL, &message, 1, 0, &count));
  REFUSED(wsstream_write_some(NULL, WSSTREAM_TEXT, "a", 1, WSSTREAM_FIN, 0));
  REFUSED(wsstream_flush(NULL, 0));
  REFUSED(wsstream_writable_close(NULL, 0));
  REFUSED(wsstream_writable_abort(NULL, WSSTREAM_NO_CODE, NULL, 0));
  REFUSED(wsstream_poll(NULL, WSSTREAM_READABLE, 0, &events));
  REFUSED(wsstream_wake(NULL, WSSTREAM_READABLE));
  REFUSED(wsstream_fd(NULL, &fd));
  REFUSED(wsstream_fd_watch(NULL, WSSTREAM_READABLE));
  REFUSED(wsstream_on_opened(NULL, never_opened, NULL));
  REFUSED(wsstream_on_closed(NULL, never_closed, NULL));
  REFUSED(wsstream_on_message(NULL, never_message, NULL));
  REFUSED(wsstream_on_event(NULL, WSSTREAM_READABLE, never_event, NULL));
  REFUSED(wsstream_on_freed(NULL, never_freed, NULL));
  REFUSED(wsstream_resume(NULL));
  REFUSED(wsstream_statistics_get(NULL, &statistics, sizeof statistics));
}

static void outputs_are_zeroed_where_a_call_fails(void) {
  const wsstream_close_info *info = (const wsstream_close_info *)&info;
  wsstream *stream = (wsstream *)&info;
  wsstream_message message;
  uint32_t events = 1;
  size_t count = 1;
  REFUSED(wsstream_open(NULL, 4, NULL, &stream));
  CHECK(stream == NULL);
  REFUSED(wsstream_wait_closed(NULL, 0, &info));
  CHECK(info == NULL);
  memset(&message, 0x55, sizeof message);
  REFUSED(wsstream_read(NULL, 0, &message));
  CHECK(message.owner == NULL && message.size == 0 && message.type == 0);
  REFUSED(wsstream_read_many(NULL, 0, &message, 1, &count));
  CHECK_NUMBER(0, count);
  REFUSED(wsstream_poll(NULL, WSSTREAM_READABLE, 0, &events));
  CHECK_NUMBER(0, events);
}

/* Rows: U01, U02, U04, U05 */
static void urls_that_cannot_be_opened_make_no_stream(void) {
  static const char *const bad[] = {"",           "//host/",     "invalid:", "ftp://host/", "ws://",
                                    "ws://h/#",   "ws://h/#x",   "relative", "ws://h:99999/", "ws://[::g]/"};
  wsstream *stream;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const wsstream_status status = wsstream_open(bad[i], WSSTREAM_NUL, NULL, &stream);
    if (status != WSSTREAM_ERR_SYNTAX) CHECK_FAIL("\"%s\": %s", bad[i], wsstream_status_name(status));
    CHECK(stream == NULL);
  }
  REFUSED(wsstream_open("ws://\xff/", WSSTREAM_NUL, NULL, &stream));
  REFUSED(wsstream_open("ws://h/", TOO_LARGE, NULL, &stream));
  REFUSED(wsstream_open("ws://h/", WSSTREAM_NUL, NULL, NULL));
  REFUSED(wsstream_open(NULL, WSSTREAM_NUL, NULL, &stream));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open(NULL, 0, NULL, &stream));
}

/* Rows: P01, P02, P03 */
static void bad_sub_protocols_are_refused(void) {
  wsstream_options *options = wsstream_options_new();
  CHECK(options != NULL);
  CHECK_OK(wsstream_options_add_protocol(options, "echo", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_options_add_protocol(options, "echo", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_options_add_protocol(options, "eCho", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_options_add_protocol(options, "", 0));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_options_add_protocol(options, "a b", WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_options_add_protocol(options, "a,b", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_protocol(options, NULL, 4));
  wsstream_options_free(options);
}

static void bad_headers_are_refused(void) {
  static const char *const owned[] = {"Host", "connection", "UPGRADE", "Sec-WebSocket-Key", "sec-websocket-protocol"};
  wsstream_options *options = wsstream_options_new();
  size_t i;
  CHECK_OK(wsstream_options_add_header(options, "X-Token", WSSTREAM_NUL, "value", WSSTREAM_NUL));
  for (i = 0; i < sizeof owned / sizeof owned[0]; i++)
    REFUSED(wsstream_options_add_header(options, owned[i], WSSTREAM_NUL, "value", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_header(options, "", 0, "value", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_header(options, "X A", WSSTREAM_NUL, "value", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_header(options, "X-A", WSSTREAM_NUL, "one\r\nX-B: two", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_header(options, NULL, 3, "value", WSSTREAM_NUL));
  REFUSED(wsstream_options_add_header(options, "X-A", WSSTREAM_NUL, NULL, 5));
  wsstream_options_free(options);
}

static void bad_options_are_refused(void) {
  wsstream_options *options = wsstream_options_new();
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 1000));
  CHECK_STATUS(WSSTREAM_ERR_UNSUPPORTED, wsstream_options_set_number(options, 0, 0));
  CHECK_STATUS(WSSTREAM_ERR_UNSUPPORTED, wsstream_options_set_number(options, UINT32_MAX, 0));
  CHECK_STATUS(WSSTREAM_ERR_UNSUPPORTED, wsstream_options_set_text(options, 0, "", 0));
  REFUSED(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, -1));
  REFUSED(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, 0));
  REFUSED(wsstream_options_set_number(options, WSSTREAM_OPTION_BASE_URL, 1));
  REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, "1", 1));
  REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_BASE_URL, NULL, 5));
  wsstream_options_free(options);
}

static void bad_arguments_of_an_open_stream_are_refused_and_it_goes_on(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  uint32_t events;
  size_t count;
  REFUSED(wsstream_close(stream, 1000, NULL, 5));
  REFUSED(wsstream_close(stream, 1000, "bye", TOO_LARGE));
  REFUSED(wsstream_read(stream, 0, NULL));
  REFUSED(wsstream_read_many(stream, 0, NULL, 1, &count));
  REFUSED(wsstream_read_many(stream, 0, &message, 0, &count));
  REFUSED(wsstream_read_many(stream, 0, &message, 1, NULL));
  REFUSED(wsstream_write(stream, 0, "a", 1, 0));
  REFUSED(wsstream_write(stream, 3, "a", 1, 0));
  REFUSED(wsstream_write(stream, WSSTREAM_BINARY, NULL, 1, 0));
  REFUSED(wsstream_write(stream, WSSTREAM_BINARY, "a", TOO_LARGE, 0));
  REFUSED(wsstream_write(stream, WSSTREAM_TEXT, "a", WSSTREAM_NUL, 0));
  memset(&message, 0, sizeof message);
  REFUSED(wsstream_write_many(stream, &message, 1, 0, &count));
  message.type = WSSTREAM_TEXT;
  REFUSED(wsstream_write_many(stream, NULL, 1, 0, &count));
  REFUSED(wsstream_write_many(stream, &message, 0, 0, &count));
  REFUSED(wsstream_write_many(stream, &message, 1, 0, NULL));
  REFUSED(wsstream_write_some(stream, WSSTREAM_TEXT, "a", 1, 1u << 31, 0));
  REFUSED(wsstream_poll(stream, 0, 0, &events));
  REFUSED(wsstream_poll(stream, 1u << 31, 0, &events));
  REFUSED(wsstream_poll(stream, WSSTREAM_READABLE, 0, NULL));
  REFUSED(wsstream_wake(stream, 0));
  REFUSED(wsstream_wake(stream, 1u << 31));
  REFUSED(wsstream_on_closed(stream, NULL, NULL));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "fine", 4, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  REFUSED(wsstream_message_retain(&message, NULL));
  wsstream_message_release(&message);
  REFUSED(wsstream_message_retain(&message, &message));
  wsstream_free(stream);
}

/* A bad argument is refused before anything happens: the stream goes on and no callback is registered. */
static void bad_arguments_of_the_other_functions_are_refused_and_it_goes_on(void) {
  wsstream *stream = check_open("/echo");
  wsstream_statistics statistics;
  wsstream_message message;
  wsstream_chunk chunk;
  uint8_t buffer[8];
  int fd = 5;
  REFUSED(wsstream_read_some(stream, NULL, 1, 0, &chunk));
  CHECK(chunk.type == 0 && chunk.flags == 0 && chunk.size == 0 && chunk.available == 0);
  REFUSED(wsstream_read_some(stream, buffer, TOO_LARGE, 0, &chunk));
  REFUSED(wsstream_read_some(stream, buffer, WSSTREAM_NUL, 0, &chunk));
  REFUSED(wsstream_read_some(stream, buffer, sizeof buffer, 0, NULL));
  REFUSED(wsstream_readable_cancel(stream, -2, NULL, 0));
  REFUSED(wsstream_readable_cancel(stream, 65536, NULL, 0));
  REFUSED(wsstream_readable_cancel(stream, 1000, NULL, 5));
  REFUSED(wsstream_readable_cancel(stream, 1000, "bye", TOO_LARGE));
  REFUSED(wsstream_readable_cancel(stream, 1000, "\xff", 1));
  REFUSED(wsstream_writable_abort(stream, -2, NULL, 0));
  REFUSED(wsstream_writable_abort(stream, 65536, NULL, 0));
  REFUSED(wsstream_writable_abort(stream, 1000, NULL, 5));
  REFUSED(wsstream_writable_abort(stream, 1000, "bye", TOO_LARGE));
  REFUSED(wsstream_writable_abort(stream, 1000, "\xff", 1));
  REFUSED(wsstream_fd(stream, NULL));
  REFUSED(wsstream_fd(NULL, &fd));
  CHECK_NUMBER(-1, fd);
  REFUSED(wsstream_fd_watch(stream, 32));
  REFUSED(wsstream_fd_watch(stream, 1u << 31));
  REFUSED(wsstream_on_opened(stream, NULL, NULL));
  REFUSED(wsstream_on_freed(stream, NULL, NULL));
  REFUSED(wsstream_on_event(stream, 0, never_event, NULL));
  REFUSED(wsstream_on_event(stream, 32, never_event, NULL));
  REFUSED(wsstream_on_event(stream, WSSTREAM_WRITABLE | 1u << 31, never_event, NULL));
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, NULL, NULL));
  REFUSED(wsstream_statistics_get(stream, NULL, sizeof statistics));
  REFUSED(wsstream_statistics_get(stream, &statistics, TOO_LARGE));
  CHECK(wsstream_response_header(stream, "Date", TOO_LARGE, 0) == NULL);
  CHECK(wsstream_response_header(stream, "\xff", 1, 0) == NULL);
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "fine", 4, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_BINARY, "fine", 4, &message);
  wsstream_message_release(&message);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_runtime_stop(0));
  wsstream_free(stream);
}

static void bad_aborters_and_logs_are_refused(void) {
  wsstream_options *options = wsstream_options_new();
  wsstream_aborter *aborter = wsstream_aborter_new();
  CHECK(aborter != NULL);
  REFUSED(wsstream_options_set_aborter(options, NULL));
  REFUSED(wsstream_options_set_aborter(NULL, aborter));
  CHECK_OK(wsstream_options_set_aborter(options, aborter));
  REFUSED(wsstream_options_set_log(options, never_log, WSSTREAM_LOG_TRACE + 1, NULL));
  REFUSED(wsstream_options_set_log(options, never_log, UINT32_MAX, NULL));
  REFUSED(wsstream_options_set_log(options, NULL, WSSTREAM_LOG_ERROR, NULL));
  CHECK_OK(wsstream_options_set_log(options, NULL, WSSTREAM_LOG_OFF, NULL));
  CHECK_OK(wsstream_options_set_log(options, never_log, WSSTREAM_LOG_OFF, NULL));
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* Compression is in every build; each of its options has a range. */
static void options_of_compression_are_taken_within_their_ranges(void) {
  static const struct { uint32_t option; int64_t min, max; } ranges[] = {
    {WSSTREAM_OPTION_DEFLATE, 0, 1},
    {WSSTREAM_OPTION_DEFLATE_LEVEL, 1, 9},
    {WSSTREAM_OPTION_DEFLATE_THRESHOLD, 0, INT64_MAX},
    {WSSTREAM_OPTION_DEFLATE_CLIENT_WINDOW_BITS, 9, 15},
    {WSSTREAM_OPTION_DEFLATE_SERVER_WINDOW_BITS, 8, 15},
    {WSSTREAM_OPTION_DEFLATE_CLIENT_CONTEXT_TAKEOVER, 0, 1},
    {WSSTREAM_OPTION_DEFLATE_SERVER_CONTEXT_TAKEOVER, 0, 1},
  };
  wsstream_options *options = wsstream_options_new();
  size_t i;
  for (i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    CHECK_OK(wsstream_options_set_number(options, ranges[i].option, ranges[i].min));
    CHECK_OK(wsstream_options_set_number(options, ranges[i].option, ranges[i].max));
    REFUSED(wsstream_options_set_number(options, ranges[i].option, ranges[i].min - 1));
    if (ranges[i].max < INT64_MAX)
      REFUSED(wsstream_options_set_number(options, ranges[i].option, ranges[i].max + 1));
  }
  wsstream_options_free(options);
}

static void what_is_not_built_says_unsupported(void) {
  wsstream_options *options = wsstream_options_new();
  CHECK_STATUS(WSSTREAM_ERR_UNSUPPORTED,
               wsstream_options_set_text(options, WSSTREAM_OPTION_PROXY, "http://127.0.0.1:1/", WSSTREAM_NUL));
  wsstream_options_free(options);
}

int main(void) {
  check_begin();
  RUN(the_library_is_the_one_of_the_header);
  RUN(every_number_has_a_status_name_and_text);
  RUN(freeing_null_does_nothing);
  RUN(strings_of_null_are_empty_or_null);
  RUN(null_handles_are_refused);
  RUN(outputs_are_zeroed_where_a_call_fails);
  RUN(urls_that_cannot_be_opened_make_no_stream);
  RUN(bad_sub_protocols_are_refused);
  RUN(bad_headers_are_refused);
  RUN(bad_options_are_refused);
  RUN(bad_arguments_of_an_open_stream_are_refused_and_it_goes_on);
  RUN(bad_arguments_of_the_other_functions_are_refused_and_it_goes_on);
  RUN(bad_aborters_and_logs_are_refused);
  RUN(options_of_compression_are_taken_within_their_ranges);
  RUN(what_is_not_built_says_unsupported);
  return 0;
}
