/* What a stream tells about itself: the headers of its response, its counters and its log. */
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

static const char *header_of(wsstream *stream, const char *name, size_t index) {
  return wsstream_response_header(stream, name, WSSTREAM_NUL, index);
}

static void headers_of_the_response_are_found_without_case_and_by_index(void) {
  wsstream *stream = check_begin_open("/handshake?header=X-Fruit:apple&header=Other:1&header=x-fruit:%20pear%20", NULL);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("apple", header_of(stream, "X-Fruit", 0));
  CHECK_TEXT("pear", header_of(stream, "X-Fruit", 1));
  CHECK_TEXT("apple", header_of(stream, "x-fRUIT", 0));
  CHECK_TEXT("1", header_of(stream, "other", 0));
  CHECK_TEXT("websocket", header_of(stream, "Upgrade", 0));
  CHECK(header_of(stream, "Sec-WebSocket-Accept", 0) != NULL);
  CHECK_TEXT("apple", wsstream_response_header(stream, "X-FruitSalad", 7, 0));
  CHECK(header_of(stream, "X-Fruit", 2) == NULL);
  CHECK(header_of(stream, "X-Fruit", SIZE_MAX) == NULL);
  CHECK(header_of(stream, "X-Frui", 0) == NULL);
  CHECK(header_of(stream, "X-Fruit:", 0) == NULL);
  CHECK(header_of(stream, "", 0) == NULL);
  CHECK(wsstream_response_header(stream, NULL, 0, 0) == NULL);
  CHECK(wsstream_response_header(stream, NULL, 5, 0) == NULL);
  wsstream_free(stream);
}

/* The texts belong to the stream: they are the same after its end. */
static void headers_stay_valid_until_the_stream_is_freed(void) {
  wsstream *stream = check_begin_open("/handshake?header=X-Kept:for%20ever", NULL);
  const char *value;
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  value = header_of(stream, "X-Kept", 0);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_TEXT("for ever", value);
  CHECK_TEXT("for ever", header_of(stream, "X-Kept", 0));
  wsstream_free(stream);
}

/* Rows: O05, D09 */
static void headers_of_a_refused_upgrade_are_known(void) {
  wsstream *stream = check_begin_open("/handshake?status=503&header=Retry-After:120&body=later", NULL);
  const wsstream_close_info *info = NULL;
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(503, info->http_status);
  CHECK_TEXT("120", header_of(stream, "retry-after", 0));
  CHECK_TEXT("5", header_of(stream, "Content-Length", 0));
  CHECK(header_of(stream, "Sec-WebSocket-Accept", 0) == NULL);
  wsstream_free(stream);
}

/* An answer that is refused for what it says has been read, too. */
static void headers_of_a_bad_acceptance_are_known(void) {
  wsstream *stream = check_begin_open("/handshake?accept=wrong&header=X-Server:broken", NULL);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("broken", header_of(stream, "X-Server", 0));
  wsstream_free(stream);
}

static void without_a_response_there_are_no_headers(void) {
  const char *token = server_fresh_word();
  wsstream *stream;
  char path[128];
  snprintf(path, sizeof path, "/handshake?token=%s&header=X-A:1", token);
  stream = check_begin_open(path, NULL);
  CHECK(header_of(stream, "X-A", 0) == NULL);
  server_release(token);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("1", header_of(stream, "X-A", 0));
  wsstream_free(stream);
  CHECK_OK(wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, NULL, &stream));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK(header_of(stream, "X-A", 0) == NULL);
  wsstream_free(stream);
}

/* Rows: D15 */
static void interim_responses_are_not_the_response(void) {
  wsstream *stream = check_begin_open("/handshake?before=103&header=X-A:real", NULL);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("real", header_of(stream, "X-A", 0));
  CHECK(header_of(stream, "X-A", 1) == NULL);
  wsstream_free(stream);
}

static wsstream_statistics statistics_of(wsstream *stream) {
  wsstream_statistics statistics;
  memset(&statistics, 0x55, sizeof statistics);
  CHECK_OK(wsstream_statistics_get(stream, &statistics, sizeof statistics));
  return statistics;
}

static void read_text(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  wsstream_message_release(&message);
}

/* Two bytes of header without a mask, six with one. */
static void messages_and_bytes_are_counted_in_both_directions(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const wsstream_statistics before = statistics_of(stream);
  wsstream_statistics after;
  CHECK_NUMBER(0, before.messages_received);
  CHECK_NUMBER(0, before.messages_sent);
  CHECK_NUMBER(0, before.payload_received);
  CHECK_NUMBER(0, before.payload_sent);
  CHECK_NUMBER(0, before.unread_messages);
  CHECK_NUMBER(0, before.unread);
  CHECK_NUMBER(0, before.unsent);
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, SOON));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, "par", 3, 0, SOON));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, "ts", 2, WSSTREAM_FIN, SOON));
  PEER_EXPECT(&peer, PEER_TEXT, "hello", 5);
  PEER_EXPECT(&peer, PEER_BINARY, "", 0);
  after = statistics_of(stream);
  CHECK_NUMBER(3, after.messages_sent);
  CHECK_NUMBER(10, after.payload_sent);
  CHECK_NUMBER(0, after.unsent);
  CHECK(after.wire_sent >= before.wire_sent + 10 + 3 * 6);
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "");
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "fo", 2);
  peer_send_frame(&peer, PEER_LAST, "ur", 2);
  read_text(stream, "one");
  read_text(stream, "");
  read_text(stream, "four");
  after = statistics_of(stream);
  CHECK_NUMBER(3, after.messages_received);
  CHECK_NUMBER(7, after.payload_received);
  CHECK_NUMBER(before.wire_received + 7 + 4 * 2, after.wire_received);
  CHECK_NUMBER(0, after.unread_messages);
  CHECK_NUMBER(0, after.unread);
  peer_free(&peer, stream);
}

/* The second and the third are there when the first is read: they take the short way. */
static void messages_of_one_packet_are_counted_each(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  const wsstream_statistics before = statistics_of(stream);
  wsstream_statistics after;
  peer_send(&peer, "\x81\x01" "a" "\x81\x02" "bc" "\x81\x03" "def", 12);
  read_text(stream, "a");
  read_text(stream, "bc");
  read_text(stream, "def");
  after = statistics_of(stream);
  CHECK_NUMBER(before.messages_received + 3, after.messages_received);
  CHECK_NUMBER(before.payload_received + 6, after.payload_received);
  peer_free(&peer, stream);
}

static void what_is_received_and_not_read_is_unread(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_statistics statistics;
  uint32_t events;
  peer_send_text(&peer, "12345");
  peer_send_text(&peer, "1234567890");
  do {
    CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
    statistics = statistics_of(stream);
    /* Whoever asks all the time keeps the library from reading on. */
    let_pass_ms(20);
  } while (statistics.unread_messages < 2);
  CHECK_NUMBER(2, statistics.unread_messages);
  CHECK_NUMBER(15, statistics.unread);
  CHECK_NUMBER(2, statistics.messages_received);
  CHECK_NUMBER(15, statistics.payload_received);
  read_text(stream, "12345");
  statistics = statistics_of(stream);
  CHECK_NUMBER(1, statistics.unread_messages);
  CHECK_NUMBER(10, statistics.unread);
  CHECK_NUMBER(2, statistics.messages_received);
  read_text(stream, "1234567890");
  statistics = statistics_of(stream);
  CHECK_NUMBER(0, statistics.unread_messages);
  CHECK_NUMBER(0, statistics.unread);
  peer_free(&peer, stream);
}

static void what_the_system_does_not_take_is_unsent(void) {
  static const uint8_t data[1 << 20];
  enum { COUNT = 32 };
  const char *token = server_fresh_word();
  wsstream_options *options = wsstream_options_new();
  wsstream_statistics statistics;
  wsstream *stream;
  char path[128];
  int i;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_WRITE_BUFFER_SIZE, (int64_t)COUNT << 21));
  snprintf(path, sizeof path, "/stall_until?token=%s", token);
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  for (i = 0; i < COUNT; i++) CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 0));
  statistics = statistics_of(stream);
  CHECK_NUMBER(COUNT, statistics.messages_sent);
  CHECK_NUMBER(COUNT * sizeof data, statistics.payload_sent);
  CHECK(statistics.unsent > sizeof data && statistics.unsent < (COUNT + 1) * sizeof data);
  server_release(token);
  CHECK_OK(wsstream_flush(stream, SOON));
  statistics = statistics_of(stream);
  CHECK_NUMBER(0, statistics.unsent);
  CHECK(statistics.wire_sent >= COUNT * sizeof data);
  wsstream_free(stream);
}

static void pings_of_the_peer_are_counted(void) {
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_statistics statistics = statistics_of(stream);
  int i;
  CHECK_NUMBER(0, statistics.pings_received);
  for (i = 0; i < 3; i++) peer_send_frame(&peer, PEER_PING, "p", 1);
  peer_send_frame(&peer, PEER_PONG, "nobody asked", 12);
  peer_send_text(&peer, "behind");
  read_text(stream, "behind");
  statistics = statistics_of(stream);
  CHECK_NUMBER(3, statistics.pings_received);
  CHECK_NUMBER(1, statistics.pongs_received);
  CHECK_NUMBER(0, statistics.pings_sent);
  CHECK_NUMBER(0, statistics.round_trip_us);
  CHECK_NUMBER(1, statistics.messages_received);
  CHECK_NUMBER(6, statistics.payload_received);
  peer_free(&peer, stream);
}

/* A program of an older version has a smaller structure, one of a newer version a larger one. */
static void the_size_of_the_structure_is_the_programs(void) {
  struct {
    wsstream_statistics known;
    uint8_t later[64];
  } larger;
  uint64_t smaller[3] = {9, 9, 9};
  wsstream *stream = check_open("/echo");
  size_t i;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "x", 1, SOON));
  CHECK_OK(wsstream_statistics_get(stream, (wsstream_statistics *)smaller, 2 * sizeof smaller[0]));
  CHECK_NUMBER(1, smaller[1]);
  CHECK_NUMBER(9, smaller[2]);
  memset(&larger, 0x55, sizeof larger);
  CHECK_OK(wsstream_statistics_get(stream, &larger.known, sizeof larger));
  CHECK_NUMBER(1, larger.known.messages_sent);
  for (i = 0; i < sizeof larger.later; i++) CHECK_NUMBER(0, larger.later[i]);
  wsstream_free(stream);
}

static void counters_are_known_from_the_beginning_to_the_end(void) {
  wsstream *stream = check_begin_open("/count?n=7&size=11", NULL);
  wsstream_statistics statistics = statistics_of(stream);
  CHECK(statistics.messages_received <= 7);
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  statistics = statistics_of(stream);
  CHECK_NUMBER(7, statistics.messages_received);
  CHECK_NUMBER(77, statistics.payload_received);
  CHECK_NUMBER(7, statistics.unread_messages);
  CHECK(statistics.wire_received >= 7 * 13 && statistics.wire_sent > 0);
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_statistics_get(stream, &statistics, sizeof statistics));
  wsstream_unref(stream);
}

/* What the log function saw. */
struct log {
  struct tally lines, freed;
  uint32_t level_max;
  int counts[6];
  wsstream *other;
  wsstream_options *options;
  int closes_sent;
};

static void keep_line(uint32_t level, const char *text, size_t size, void *user_data) {
  struct log *log = user_data;
  size_t i;
  CHECK(level >= WSSTREAM_LOG_ERROR && level <= log->level_max);
  CHECK(text != NULL && size > 0);
  for (i = 0; i < size; i++) CHECK(text[i] != '\0' && text[i] != '\n');
  if (strstr(text, "secret") != NULL) CHECK_FAIL("a secret is logged: %s", text);
  pthread_mutex_lock(&log->lines.mutex);
  log->counts[level]++;
  if (strstr(text, "sent Close") != NULL) log->closes_sent++;
  pthread_mutex_unlock(&log->lines.mutex);
  tally_add(&log->lines);
}

static void note_freed(void *user_data) { tally_add(user_data); }

static const struct log log_zero = {.lines = TALLY_ZERO, .freed = TALLY_ZERO};

/* One message there and back and a clean end, logged at `level`; after on_freed nothing is logged any more. */
static void live_logged(struct log *log, uint32_t level, const char *path) {
  wsstream_options *options = wsstream_options_new();
  wsstream_message message;
  wsstream *stream;
  int count;
  *log = log_zero;
  log->level_max = level;
  CHECK_OK(wsstream_options_set_log(options, keep_line, level, log));
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &log->freed));
  if (wsstream_wait_opened(stream, SOON) == WSSTREAM_OK) {
    CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, SOON));
    CHECK_OK(wsstream_read(stream, SOON, &message));
    wsstream_message_release(&message);
    CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
    CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  }
  wsstream_free(stream);
  tally_await(&log->freed, 1);
  count = tally_count(&log->lines);
  let_pass_ms(20);
  CHECK_NUMBER(count, tally_count(&log->lines));
}

static void each_level_includes_those_before_it(void) {
  struct log log;
  int info, debug;
  live_logged(&log, WSSTREAM_LOG_ERROR, "/echo");
  CHECK_NUMBER(0, tally_count(&log.lines));
  live_logged(&log, WSSTREAM_LOG_WARN, "/echo");
  CHECK_NUMBER(0, tally_count(&log.lines));
  live_logged(&log, WSSTREAM_LOG_INFO, "/echo");
  info = log.counts[WSSTREAM_LOG_INFO];
  CHECK(info >= 2); /* it opens and it closes */
  live_logged(&log, WSSTREAM_LOG_DEBUG, "/echo");
  debug = log.counts[WSSTREAM_LOG_DEBUG];
  CHECK(debug > 0);
  CHECK_NUMBER(1, log.closes_sent);
  CHECK_NUMBER(info, log.counts[WSSTREAM_LOG_INFO]);
  live_logged(&log, WSSTREAM_LOG_TRACE, "/echo");
  CHECK_NUMBER(info, log.counts[WSSTREAM_LOG_INFO]);
  CHECK(log.counts[WSSTREAM_LOG_TRACE] >= 2); /* a message there and one back */
}

static void messages_of_one_packet_are_logged_each(void) {
  wsstream_options *options = wsstream_options_new();
  struct log log = log_zero;
  struct peer peer;
  wsstream *stream;
  log.level_max = WSSTREAM_LOG_TRACE;
  CHECK_OK(wsstream_options_set_log(options, keep_line, WSSTREAM_LOG_TRACE, &log));
  stream = peer_open(&peer, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &log.freed));
  peer_send(&peer, "\x81\x01" "a" "\x81\x02" "bc" "\x81\x03" "def", 12);
  read_text(stream, "a");
  read_text(stream, "bc");
  read_text(stream, "def");
  peer_free(&peer, stream);
  tally_await(&log.freed, 1);
  CHECK_NUMBER(3, log.counts[WSSTREAM_LOG_TRACE]);
}

static void off_logs_nothing(void) {
  struct log log;
  live_logged(&log, WSSTREAM_LOG_OFF, "/echo");
  CHECK_NUMBER(0, tally_count(&log.lines));
  live_logged(&log, WSSTREAM_LOG_OFF, "/handshake?status=500");
  CHECK_NUMBER(0, tally_count(&log.lines));
}

/* The password of the URL and its query, which may hold a token. */
static void a_log_holds_no_secret_of_the_url(void) {
  const char *server = getenv("WSSTREAM_TEST_URL"), *host = strstr(server, "://") + 3;
  wsstream_options *options = wsstream_options_new();
  struct log log = log_zero;
  wsstream *stream;
  char url[512];
  snprintf(url, sizeof url, "%.*suser:secret@%s/echo?id=secret", (int)(host - server), server, host);
  log.level_max = WSSTREAM_LOG_TRACE;
  CHECK_OK(wsstream_options_set_log(options, keep_line, WSSTREAM_LOG_TRACE, &log));
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &log.freed));
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
  tally_await(&log.freed, 1);
  CHECK(tally_count(&log.lines) > 0);
}

static void a_failed_opening_is_an_error_in_the_log(void) {
  struct log log;
  live_logged(&log, WSSTREAM_LOG_ERROR, "/handshake?status=500");
  CHECK(log.counts[WSSTREAM_LOG_ERROR] >= 1);
}

/* Nothing else of the stream needs the internal thread afterwards. */
static void a_single_line_is_told_at_once(void) {
  struct log log = log_zero;
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  log.level_max = WSSTREAM_LOG_ERROR;
  CHECK_OK(wsstream_options_set_log(options, keep_line, WSSTREAM_LOG_ERROR, &log));
  stream = check_begin_open("/handshake?status=500", options);
  wsstream_options_free(options);
  tally_await(&log.lines, 1);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &log.freed));
  wsstream_free(stream);
  tally_await(&log.freed, 1);
}

/* A log function that does not return from its first message, and what it is told once it has. */
struct hanging {
  struct tally entered, let_go, warned, freed;
  int messages, lost;
};

#define HANGING_ZERO {TALLY_ZERO, TALLY_ZERO, TALLY_ZERO, TALLY_ZERO, 0, 0}

static void hang_in_the_log(uint32_t level, const char *text, size_t size, void *user_data) {
  struct hanging *hanging = user_data;
  CHECK(size > 0);
  if (level == WSSTREAM_LOG_TRACE && hanging->messages++ == 0) {
    tally_add(&hanging->entered);
    tally_await(&hanging->let_go, 1);
  }
  if (level == WSSTREAM_LOG_WARN) {
    CHECK_NUMBER(1, sscanf(text, "%d lines did not fit", &hanging->lost));
    tally_add(&hanging->warned);
  }
}

/* Reads so many messages, of which the log is told while it hangs. */
static wsstream *read_while_the_log_hangs(struct hanging *hanging, struct peer *peer, int count) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  int i;
  CHECK_OK(wsstream_options_set_log(options, hang_in_the_log, WSSTREAM_LOG_TRACE, hanging));
  stream = peer_open(peer, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &hanging->freed));
  for (i = 0; i < count; i++) peer_send(peer, "\x81\x01" "a", 3);
  for (i = 0; i < count; i++) read_text(stream, "a");
  tally_await(&hanging->entered, 1);
  return stream;
}

/* A flood fills no memory: what does not fit is counted, and the count is told once. */
static void lines_that_do_not_fit_are_counted(void) {
  enum { COUNT = 5000 };
  struct hanging hanging = HANGING_ZERO;
  struct peer peer;
  wsstream *stream = read_while_the_log_hangs(&hanging, &peer, COUNT);
  tally_add(&hanging.let_go);
  tally_await(&hanging.warned, 1);
  peer_free(&peer, stream);
  tally_await(&hanging.freed, 1);
  CHECK_NUMBER(1, tally_count(&hanging.warned));
  CHECK(hanging.lost > 0);
  CHECK_NUMBER(COUNT, hanging.messages + hanging.lost);
}

static void lines_from_before_the_free_are_all_told(void) {
  enum { COUNT = 1000 };
  struct hanging hanging = HANGING_ZERO;
  struct peer peer;
  wsstream *stream = read_while_the_log_hangs(&hanging, &peer, COUNT);
  peer_free(&peer, stream);
  tally_add(&hanging.let_go);
  tally_await(&hanging.freed, 1);
  CHECK_NUMBER(COUNT, hanging.messages);
  CHECK_NUMBER(0, tally_count(&hanging.warned));
}

/* The last log counts for the streams that are opened after it. */
static void a_later_log_replaces_the_first(void) {
  struct log first = log_zero, second = log_zero;
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  first.level_max = second.level_max = WSSTREAM_LOG_INFO;
  CHECK_OK(wsstream_options_set_log(options, keep_line, WSSTREAM_LOG_INFO, &first));
  CHECK_OK(wsstream_options_set_log(options, keep_line, WSSTREAM_LOG_INFO, &second));
  stream = check_begin_open("/echo", options);
  wsstream_options_free(options);
  tally_await(&second.lines, 1);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &second.freed));
  wsstream_free(stream);
  tally_await(&second.freed, 1);
  CHECK_NUMBER(0, tally_count(&first.lines));
}

#define DEADLOCK(call) CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, call)

static void call_inside(uint32_t level, const char *text, size_t size, void *user_data) {
  struct log *log = user_data;
  wsstream_statistics statistics;
  wsstream_message message;
  wsstream *opened = NULL;
  uint32_t events;
  int fd;
  CHECK(level == WSSTREAM_LOG_INFO || level == WSSTREAM_LOG_WARN || level == WSSTREAM_LOG_ERROR);
  CHECK(text != NULL && size > 0);
  DEADLOCK(wsstream_wait_opened(log->other, 0));
  DEADLOCK(wsstream_wait_closed(log->other, 0, NULL));
  DEADLOCK(wsstream_read(log->other, 0, &message));
  DEADLOCK(wsstream_write(log->other, WSSTREAM_TEXT, "a", 1, 0));
  DEADLOCK(wsstream_flush(log->other, 0));
  DEADLOCK(wsstream_poll(log->other, WSSTREAM_READABLE, 0, &events));
  DEADLOCK(wsstream_wake(log->other, WSSTREAM_READABLE));
  DEADLOCK(wsstream_close(log->other, 1000, NULL, 0));
  DEADLOCK(wsstream_readable_cancel(log->other, WSSTREAM_NO_CODE, NULL, 0));
  DEADLOCK(wsstream_writable_abort(log->other, WSSTREAM_NO_CODE, NULL, 0));
  DEADLOCK(wsstream_fd(log->other, &fd));
  DEADLOCK(wsstream_fd_watch(log->other, WSSTREAM_READABLE));
  DEADLOCK(wsstream_resume(log->other));
  DEADLOCK(wsstream_on_freed(log->other, note_freed, &log->freed));
  DEADLOCK(wsstream_statistics_get(log->other, &statistics, sizeof statistics));
  DEADLOCK(wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, NULL, &opened));
  CHECK(opened == NULL);
  DEADLOCK(wsstream_runtime_stop(0));
  CHECK(wsstream_abi_version() != 0);
  tally_add(&log->lines);
}

static void every_call_inside_the_log_function_is_deadlock(void) {
  struct log log = log_zero;
  wsstream_options *options = wsstream_options_new();
  wsstream_message message;
  wsstream *stream;
  log.other = check_open("/echo");
  CHECK_OK(wsstream_options_set_log(options, call_inside, WSSTREAM_LOG_INFO, &log));
  stream = check_begin_open("/echo", options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  tally_await(&log.lines, 2);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &log.freed));
  wsstream_free(stream);
  tally_await(&log.freed, 1);
  wsstream_options_free(options);
  CHECK_OK(wsstream_write(log.other, WSSTREAM_TEXT, "as before", 9, SOON));
  CHECK_OK(wsstream_read(log.other, SOON, &message));
  wsstream_message_release(&message);
  wsstream_free(log.other);
}

/* What a program must keep to itself is in no line: neither headers nor what is said. */
struct secrets {
  struct tally freed;
  int found;
};

static int contains(const char *text, size_t size, const char *word) {
  const size_t length = strlen(word);
  size_t i;
  for (i = 0; i + length <= size; i++)
    if (memcmp(text + i, word, length) == 0) return 1;
  return 0;
}

static void look_for_secrets(uint32_t level, const char *text, size_t size, void *user_data) {
  struct secrets *secrets = user_data;
  CHECK(level != WSSTREAM_LOG_OFF);
  if (contains(text, size, "hunter2") || contains(text, size, "confidential")) secrets->found = 1;
}

static void no_secret_is_logged(void) {
  struct secrets secrets = {TALLY_ZERO, 0};
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  wsstream_message message;
  CHECK_OK(wsstream_options_add_header(options, "Authorization", WSSTREAM_NUL, "Bearer hunter2", WSSTREAM_NUL));
  CHECK_OK(wsstream_options_set_log(options, look_for_secrets, WSSTREAM_LOG_TRACE, &secrets));
  stream = check_begin_open("/echo", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "confidential", 12, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_on_freed(stream, note_freed, &secrets.freed));
  wsstream_free(stream);
  tally_await(&secrets.freed, 1);
  CHECK_NUMBER(0, secrets.found);
}

int main(void) {
  check_begin();
  RUN(headers_of_the_response_are_found_without_case_and_by_index);
  RUN(headers_stay_valid_until_the_stream_is_freed);
  RUN(headers_of_a_refused_upgrade_are_known);
  RUN(headers_of_a_bad_acceptance_are_known);
  RUN(without_a_response_there_are_no_headers);
  RUN(interim_responses_are_not_the_response);
  RUN(messages_and_bytes_are_counted_in_both_directions);
  RUN(messages_of_one_packet_are_counted_each);
  RUN(what_is_received_and_not_read_is_unread);
  RUN(what_the_system_does_not_take_is_unsent);
  RUN(pings_of_the_peer_are_counted);
  RUN(the_size_of_the_structure_is_the_programs);
  RUN(counters_are_known_from_the_beginning_to_the_end);
  RUN(each_level_includes_those_before_it);
  RUN(messages_of_one_packet_are_logged_each);
  RUN(off_logs_nothing);
  RUN(a_failed_opening_is_an_error_in_the_log);
  RUN(a_log_holds_no_secret_of_the_url);
  RUN(a_single_line_is_told_at_once);
  RUN(lines_that_do_not_fit_are_counted);
  RUN(lines_from_before_the_free_are_all_told);
  RUN(a_later_log_replaces_the_first);
  RUN(every_call_inside_the_log_function_is_deadlock);
  RUN(no_secret_is_logged);
  return 0;
}
