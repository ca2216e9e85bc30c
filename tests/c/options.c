/* The options that name places: the base of relative URLs and the Unix socket. And what every option of text refuses. */
#include "check.h"
#include "peer.h"
#include "server.h"

#include <sys/un.h>

static wsstream_options *options_with_text(uint32_t option, const char *text) {
  wsstream_options *options = wsstream_options_new();
  CHECK_OK(wsstream_options_set_text(options, option, text, WSSTREAM_NUL));
  return options;
}

/* What a URL becomes against a base; nothing needs to listen there. */
static void expect_url(const char *base, const char *url, const char *expected) {
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_BASE_URL, base);
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  CHECK_TEXT(expected, wsstream_url(stream));
  wsstream_free(stream);
  wsstream_options_free(options);
}

/* Rows: U06, U08 */
static void relative_urls_are_resolved_against_the_base(void) {
  expect_url("ws://127.0.0.1:1/a/b?c", "d", "ws://127.0.0.1:1/a/d");
  expect_url("ws://127.0.0.1:1/a/b?c", "/d", "ws://127.0.0.1:1/d");
  expect_url("ws://127.0.0.1:1/a/b?c", "?d", "ws://127.0.0.1:1/a/b?d");
  expect_url("ws://127.0.0.1:1/a/b?c", "", "ws://127.0.0.1:1/a/b?c");
  expect_url("ws://127.0.0.1:1/a/b/", "../c", "ws://127.0.0.1:1/a/c");
  expect_url("ws://127.0.0.1:1/a", "//127.0.0.1:2/b", "ws://127.0.0.1:2/b");
}

/* Rows: U03, U06 */
static void the_scheme_of_the_base_counts_too(void) {
  expect_url("http://127.0.0.1:1/a/", "b", "ws://127.0.0.1:1/a/b");
  expect_url("https://127.0.0.1:1/a/", "b", "wss://127.0.0.1:1/a/b");
  expect_url("https://127.0.0.1:1/a/", "//127.0.0.1:2/", "wss://127.0.0.1:2/");
}

/* Rows: U03, U06, U08 */
static void absolute_urls_do_not_look_at_the_base(void) {
  expect_url("wss://127.0.0.1:1/a/", "ws://127.0.0.1:2/c", "ws://127.0.0.1:2/c");
  expect_url("ws://127.0.0.1:1/a/", "http://127.0.0.1:80", "ws://127.0.0.1/");
  expect_url("ws://127.0.0.1:1/a/", "ws://127.0.0.1:80/%7e/\xc3\xbc", "ws://127.0.0.1/%7e/%C3%BC");
}

/* As for absolute ones: the fragment, also an empty one, and the scheme are judged after resolving. */
/* Rows: U02, U04, U05, U06 */
static void what_comes_of_a_relative_url_is_judged(void) {
  static const struct { const char *base, *url; } bad[] = {
    {"ws://127.0.0.1:1/", "a#b"}, {"ws://127.0.0.1:1/", "a#"}, {"ws://127.0.0.1:1/", "ftp://h/"},
    {"ws://127.0.0.1:1/", "//"},  {"ws://127.0.0.1:1/", "//h:99999/"},
  };
  size_t i;
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    wsstream_options *options = options_with_text(WSSTREAM_OPTION_BASE_URL, bad[i].base);
    wsstream *stream = (wsstream *)options;
    CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open(bad[i].url, WSSTREAM_NUL, options, &stream));
    CHECK(stream == NULL);
    wsstream_options_free(options);
  }
}

/* A fragment of the base is not one of the result, but where nothing is left to resolve. */
/* Rows: U05, U06 */
static void a_fragment_of_the_base_does_not_count(void) {
  expect_url("ws://127.0.0.1:1/a#b", "c", "ws://127.0.0.1:1/c");
  expect_url("ws://127.0.0.1:1/a#b", "", "ws://127.0.0.1:1/a");
}

/* Rows: U02, U06 */
static void without_a_base_a_relative_url_is_no_url(void) {
  wsstream *stream = NULL;
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open("/echo", WSSTREAM_NUL, NULL, &stream));
  CHECK(stream == NULL);
}

static void echo_over(wsstream *stream) {
  wsstream_message message;
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "there", 5, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "there", 5, &message);
  wsstream_message_release(&message);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Rows: U06 */
static void a_stream_is_opened_relative_to_its_base(void) {
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_BASE_URL, getenv("WSSTREAM_TEST_URL"));
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open("/echo", WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
  echo_over(stream);
}

static void a_later_base_replaces_the_first(void) {
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_BASE_URL, "ws://127.0.0.1:1/");
  wsstream *stream = NULL;
  CHECK_OK(wsstream_options_set_text(options, WSSTREAM_OPTION_BASE_URL, "ws://127.0.0.1:2/xx", 18));
  CHECK_OK(wsstream_open("a", WSSTREAM_NUL, options, &stream));
  CHECK_TEXT("ws://127.0.0.1:2/a", wsstream_url(stream));
  wsstream_free(stream);
  wsstream_options_free(options);
}

/* The path of the test server's Unix socket. */
static const char *unix_path(void) {
  const char *path = getenv("WSSTREAM_TEST_UNIX");
  if (path == NULL) CHECK_FAIL("WSSTREAM_TEST_UNIX is not set: run it through scripts/with-server");
  return path;
}

/* The URL says what is asked for and the socket where: its host is not looked up. */
static void a_unix_socket_takes_the_place_of_host_and_port(void) {
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_UNIX_SOCKET, unix_path());
  const char *id = server_fresh_word();
  char url[128], *record;
  wsstream *stream = NULL;
  snprintf(url, sizeof url, "ws://nowhere.invalid/echo?id=%s", id);
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  CHECK_TEXT(url, wsstream_url(stream));
  wsstream_options_free(options);
  echo_over(stream);
  record = server_record(id, 0);
  CHECK(strstr(record, "request: Host: nowhere.invalid\n") != NULL);
  CHECK_NUMBER(0, server_count(record, "violations"));
  free(record);
}

static void large_messages_cross_a_unix_socket(void) {
  static uint8_t data[3000000];
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_UNIX_SOCKET, unix_path());
  wsstream *stream = NULL;
  wsstream_message message;
  wsstream_status status;
  size_t i;
  for (i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 13 + i / 255);
  CHECK_OK(wsstream_open("ws://localhost/echo", WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  status = wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 0);
  CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_BINARY, data, sizeof data, &message);
  wsstream_message_release(&message);
  wsstream_free(stream);
}

/* Rows: O03, O05, D09 */
static void a_unix_socket_that_is_not_there_fails_the_opening(void) {
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_UNIX_SOCKET, "/nonexistent/socket");
  const wsstream_close_info *info = NULL;
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open("ws://localhost/echo", WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(WSSTREAM_PHASE_CONNECT, info->phase);
  CHECK_NUMBER(WSSTREAM_CAUSE_SYSTEM, info->cause);
  CHECK_NUMBER(ENOENT, info->os_error);
  wsstream_free(stream);
}

/* A backlog that is full makes connect(2) of a Unix socket wait: that is not the program's time. */
static void a_unix_socket_that_nobody_accepts_from_ends_with_the_open_timeout(void) {
  wsstream_options *options = wsstream_options_new();
  const wsstream_close_info *info = NULL;
  struct sockaddr_un address;
  wsstream *stream = NULL;
  int fillers[8], i;
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/wsstream-options-%ld", (long)getpid());
  CHECK(listener >= 0);
  CHECK_NUMBER(0, bind(listener, (struct sockaddr *)&address, sizeof address));
  CHECK_NUMBER(0, listen(listener, 0));
  for (i = 0; i < 8; i++) {
    fillers[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_NUMBER(0, fcntl(fillers[i], F_SETFL, O_NONBLOCK));
    (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
  }
  CHECK_OK(wsstream_options_set_text(options, WSSTREAM_OPTION_UNIX_SOCKET, address.sun_path, WSSTREAM_NUL));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 200));
  CHECK_OK(wsstream_open("ws://localhost/", WSSTREAM_NUL, options, &stream));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK(info->cause == WSSTREAM_CAUSE_TIMEOUT || info->cause == WSSTREAM_CAUSE_SYSTEM);
  wsstream_free(stream);
  wsstream_options_free(options);
  for (i = 0; i < 8; i++) close(fillers[i]);
  close(listener);
  CHECK_NUMBER(0, unlink(address.sun_path));
}

#define REFUSED(call) CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, call)

static void texts_that_cannot_be_are_refused_at_the_setter(void) {
  static const uint32_t every[] = {WSSTREAM_OPTION_BASE_URL,   WSSTREAM_OPTION_SERVER_NAME,
                                   WSSTREAM_OPTION_CA_PEM,     WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM,
                                   WSSTREAM_OPTION_CLIENT_KEY_PEM, WSSTREAM_OPTION_UNIX_SOCKET};
  static const char *const bad_bases[] = {"relative", "/path", "http://", "ws://h:99999/", "://"};
  static const char *const bad_names[] = {"two words", "a..b", ".", "ws://h/", "h:443", "a/b"};
  static const char *const bad_pems[] = {"no PEM", "-----BEGIN CERTIFICATE-----\n",
                                         "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"};
  wsstream_options *options = wsstream_options_new();
  char long_path[300];
  size_t i, j;
  for (i = 0; i < sizeof every / sizeof every[0]; i++) {
    REFUSED(wsstream_options_set_text(options, every[i], "", 0));
    REFUSED(wsstream_options_set_text(options, every[i], NULL, 0));
    REFUSED(wsstream_options_set_text(options, every[i], NULL, 3));
    REFUSED(wsstream_options_set_text(options, every[i], "\xff\xfe", 2));
    REFUSED(wsstream_options_set_number(options, every[i], 1));
  }
  for (j = 0; j < sizeof bad_bases / sizeof bad_bases[0]; j++)
    REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_BASE_URL, bad_bases[j], WSSTREAM_NUL));
  for (j = 0; j < sizeof bad_names / sizeof bad_names[0]; j++)
    REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_SERVER_NAME, bad_names[j], WSSTREAM_NUL));
  for (i = WSSTREAM_OPTION_CA_PEM; i <= WSSTREAM_OPTION_CLIENT_KEY_PEM; i++)
    for (j = 0; j < sizeof bad_pems / sizeof bad_pems[0]; j++)
      REFUSED(wsstream_options_set_text(options, (uint32_t)i, bad_pems[j], WSSTREAM_NUL));
  memset(long_path, 'a', sizeof long_path - 1);
  long_path[0] = '/', long_path[sizeof long_path - 1] = '\0';
  REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_UNIX_SOCKET, long_path, WSSTREAM_NUL));
  REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_UNIX_SOCKET, "/a\0b", 4));
  wsstream_options_free(options);
}

static void numbers_that_cannot_be_are_refused_at_the_setter(void) {
  static const struct { uint32_t option; int64_t low, high; } ranges[] = {
    {WSSTREAM_OPTION_PING_INTERVAL_MS, 0, -1},
    {WSSTREAM_OPTION_PONG_TIMEOUT_MS, 0, -1},
    {WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 0, 1},
  };
  wsstream_options *options = wsstream_options_new();
  size_t i;
  for (i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    CHECK_OK(wsstream_options_set_number(options, ranges[i].option, ranges[i].low));
    REFUSED(wsstream_options_set_number(options, ranges[i].option, ranges[i].low - 1));
    REFUSED(wsstream_options_set_number(options, ranges[i].option, INT64_MIN));
    REFUSED(wsstream_options_set_text(options, ranges[i].option, "1", 1));
    if (ranges[i].high < 0) continue;
    CHECK_OK(wsstream_options_set_number(options, ranges[i].option, ranges[i].high));
    REFUSED(wsstream_options_set_number(options, ranges[i].option, ranges[i].high + 1));
  }
  wsstream_options_free(options);
}

/* What a setter refused changes nothing: the value before it stays. */
static void a_refused_text_leaves_the_one_before(void) {
  wsstream_options *options = options_with_text(WSSTREAM_OPTION_BASE_URL, "ws://127.0.0.1:1/kept/");
  wsstream *stream = NULL;
  REFUSED(wsstream_options_set_text(options, WSSTREAM_OPTION_BASE_URL, "no base", WSSTREAM_NUL));
  CHECK_OK(wsstream_open("x", WSSTREAM_NUL, options, &stream));
  CHECK_TEXT("ws://127.0.0.1:1/kept/x", wsstream_url(stream));
  wsstream_free(stream);
  wsstream_options_free(options);
}

int main(void) {
  check_begin();
  RUN(relative_urls_are_resolved_against_the_base);
  RUN(the_scheme_of_the_base_counts_too);
  RUN(absolute_urls_do_not_look_at_the_base);
  RUN(what_comes_of_a_relative_url_is_judged);
  RUN(a_fragment_of_the_base_does_not_count);
  RUN(without_a_base_a_relative_url_is_no_url);
  RUN(a_stream_is_opened_relative_to_its_base);
  RUN(a_later_base_replaces_the_first);
  RUN(a_unix_socket_takes_the_place_of_host_and_port);
  RUN(large_messages_cross_a_unix_socket);
  RUN(a_unix_socket_that_is_not_there_fails_the_opening);
  RUN(a_unix_socket_that_nobody_accepts_from_ends_with_the_open_timeout);
  RUN(texts_that_cannot_be_are_refused_at_the_setter);
  RUN(numbers_that_cannot_be_are_refused_at_the_setter);
  RUN(a_refused_text_leaves_the_one_before);
  return 0;
}
