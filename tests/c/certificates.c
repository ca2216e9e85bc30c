/* TLS as a program meets it: which certificates are taken and which refused, with what said, and that streams live and
 * end over every way in which servers do TLS. The name that is asked for picks the way: server/README.md lists them. */
#include "check.h"
#include "child.h"
#include "server.h"

/* A file that the environment names, NUL-terminated; the caller frees it. */
static char *file_of(const char *variable) {
  const char *path = getenv(variable);
  char *text = calloc(1, 65536);
  FILE *file;
  if (path == NULL) CHECK_FAIL("%s is not set: run it through scripts/with-server", variable);
  file = fopen(path, "r");
  CHECK(file != NULL && text != NULL);
  CHECK(fread(text, 1, 65535, file) > 0);
  fclose(file);
  return text;
}

static void set_file(wsstream_options *options, uint32_t option, const char *variable) {
  char *text = file_of(variable);
  CHECK_OK(wsstream_options_set_text(options, option, text, WSSTREAM_NUL));
  free(text);
}

/* Options that trust the CA of the test and ask for this name. */
static wsstream_options *options_for(const char *name) {
  wsstream_options *options = wsstream_options_new();
  set_file(options, WSSTREAM_OPTION_CA_PEM, "WSSTREAM_TEST_CA");
  CHECK_OK(wsstream_options_set_text(options, WSSTREAM_OPTION_SERVER_NAME, name, WSSTREAM_NUL));
  return options;
}

static wsstream *begin_open(const char *path, const wsstream_options *options) {
  const char *server = getenv("WSSTREAM_TEST_WSS_URL");
  wsstream *stream = NULL;
  char url[256];
  if (server == NULL) CHECK_FAIL("WSSTREAM_TEST_WSS_URL is not set: run it through scripts/with-server");
  snprintf(url, sizeof url, "%s%s", server, path);
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  return stream;
}

static wsstream *open_with(const char *path, const wsstream_options *options) {
  wsstream *stream = begin_open(path, options);
  const wsstream_close_info *info = NULL;
  const wsstream_status status = wsstream_wait_opened(stream, SOON);
  (void)wsstream_wait_closed(stream, 0, &info);
  if (status != WSSTREAM_OK) CHECK_FAIL("it does not open: %s", info != NULL ? info->detail : "no info");
  return stream;
}

/* The same, and frees the options. */
static wsstream *open_over(const char *path, wsstream_options *options) {
  wsstream *stream = open_with(path, options);
  wsstream_options_free(options);
  return stream;
}

/* What the server knows of TLS, as its first message says, contains this. */
static void expect_tls_with(const wsstream_options *options, const char *expected) {
  wsstream *stream = open_with("/tls", options);
  wsstream_message message;
  char text[256] = {0};
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK(message.size < sizeof text);
  memcpy(text, message.data, message.size);
  wsstream_message_release(&message);
  if (strstr(text, expected) == NULL) CHECK_FAIL("no \"%s\" in \"%s\"", expected, text);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* The same, and frees the options. */
static void expect_tls(wsstream_options *options, const char *expected) {
  expect_tls_with(options, expected);
  wsstream_options_free(options);
}

/* It does not open, for this cause and with a sentence that says this; frees the options. */
static void expect_refused(wsstream_options *options, uint32_t cause, const char *said) {
  wsstream *stream = begin_open("/echo", options);
  const wsstream_close_info *info = NULL;
  wsstream_message message;
  wsstream_options_free(options);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(cause, info->cause);
  CHECK_NUMBER(WSSTREAM_PHASE_TLS, info->phase);
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(0, info->clean);
  CHECK_NUMBER(0, info->sent_code);
  CHECK_NUMBER(0, info->http_status);
  CHECK_NUMBER(WSSTREAM_INITIATOR_NONE, info->initiator);
  CHECK_TEXT("", info->reason);
  if (strstr(info->detail, said) == NULL) CHECK_FAIL("no \"%s\" in \"%s\"", said, info->detail);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  wsstream_free(stream);
}

static void a_good_certificate_is_taken_and_http_1_1_agreed_on(void) {
  expect_tls(options_for("good.test"), "alpn=http/1.1 sni=good.test");
  expect_tls(options_for("good.test"), "version=TLSv1.3");
  expect_tls(options_for("tls12.test"), "version=TLSv1.2 alpn=http/1.1 sni=tls12.test");
  expect_tls(options_for("tls13.test"), "version=TLSv1.3");
  expect_tls(options_for("chain.test"), "sni=chain.test");
}

static void without_a_server_name_the_host_of_the_url_is_asked_for(void) {
  wsstream_options *options = wsstream_options_new();
  set_file(options, WSSTREAM_OPTION_CA_PEM, "WSSTREAM_TEST_CA");
  expect_tls(options, "sni=localhost ");
}

/* An address is no name that could be sent; the certificate is checked for it all the same. */
static void an_address_is_checked_and_not_sent(void) {
  const char *colon = strrchr(getenv("WSSTREAM_TEST_WSS_URL"), ':');
  wsstream_options *options = wsstream_options_new();
  wsstream_message message;
  wsstream *stream = NULL;
  char url[128], text[256] = {0};
  set_file(options, WSSTREAM_OPTION_CA_PEM, "WSSTREAM_TEST_CA");
  snprintf(url, sizeof url, "wss://127.0.0.1%s/tls", colon);
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK(message.size < sizeof text);
  memcpy(text, message.data, message.size);
  wsstream_message_release(&message);
  CHECK(strstr(text, "sni=- ") != NULL);
  wsstream_free(stream);
}

/* Rows: O03, O05, D09 */
static void a_bad_certificate_is_refused_with_a_sentence_that_says_why(void) {
  expect_refused(options_for("expired.test"), WSSTREAM_CAUSE_CERTIFICATE, "expired");
  expect_refused(options_for("early.test"), WSSTREAM_CAUSE_CERTIFICATE, "yet");
  expect_refused(options_for("wrong.test"), WSSTREAM_CAUSE_CERTIFICATE, "another host than wrong.test");
  expect_refused(options_for("unknown.test"), WSSTREAM_CAUSE_CERTIFICATE, "issued");
  expect_refused(options_for("unchained.test"), WSSTREAM_CAUSE_CERTIFICATE, "issued");
  expect_refused(options_for("self.test"), WSSTREAM_CAUSE_CERTIFICATE, "certificate");
}

/* Rows: O03, O05, D09 */
static void tls_that_fails_otherwise_is_no_question_of_certificates(void) {
  expect_refused(options_for("garbage.test"), WSSTREAM_CAUSE_TLS, "not TLS");
  expect_refused(options_for("alert.test"), WSSTREAM_CAUSE_TLS, "alert 40");
}

/* Rows: O03, O05 */
static void an_end_of_tcp_inside_tls_fails_the_opening_there(void) {
  wsstream_options *options = options_for("gone.test");
  wsstream *stream = begin_open("/echo", options);
  const wsstream_close_info *info = NULL;
  wsstream_options_free(options);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(WSSTREAM_PHASE_TLS, info->phase);
  CHECK_NUMBER(1006, info->code);
  CHECK(info->cause != WSSTREAM_CAUSE_CERTIFICATE && info->cause != WSSTREAM_CAUSE_NONE && info->detail_size > 0);
  wsstream_free(stream);
}

/* Rows: A05 */
static void tls_that_never_answers_ends_with_the_open_timeout(void) {
  wsstream_options *options = options_for("stall.test");
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 300));
  expect_refused(options, WSSTREAM_CAUSE_TIMEOUT, "");
}

/* Rows: A02 */
static void an_abort_inside_tls_is_answered_at_once(void) {
  wsstream_options *options = options_for("stall.test");
  wsstream_aborter *aborter = wsstream_aborter_new();
  const wsstream_close_info *info = NULL;
  wsstream *stream;
  CHECK_OK(wsstream_options_set_aborter(options, aborter));
  stream = begin_open("/echo", options);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 200));
  wsstream_aborter_abort(aborter);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_closed(stream, SOON, &info));
  CHECK_NUMBER(WSSTREAM_PHASE_TLS, info->phase);
  wsstream_free(stream);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

static void the_cas_given_replace_all_others(void) {
  wsstream_options *options = options_for("unknown.test");
  char both[131072], *ca, *unknown;
  set_file(options, WSSTREAM_OPTION_CA_PEM, "WSSTREAM_TEST_UNKNOWN_CA");
  expect_tls(options, "sni=unknown.test");
  options = options_for("good.test");
  set_file(options, WSSTREAM_OPTION_CA_PEM, "WSSTREAM_TEST_UNKNOWN_CA");
  expect_refused(options, WSSTREAM_CAUSE_CERTIFICATE, "issued");
  ca = file_of("WSSTREAM_TEST_CA"), unknown = file_of("WSSTREAM_TEST_UNKNOWN_CA");
  snprintf(both, sizeof both, "%s\n%s", ca, unknown);
  free(ca);
  free(unknown);
  options = options_for("good.test");
  CHECK_OK(wsstream_options_set_text(options, WSSTREAM_OPTION_CA_PEM, both, WSSTREAM_NUL));
  expect_tls(options, "sni=good.test");
  options = options_for("unknown.test");
  CHECK_OK(wsstream_options_set_text(options, WSSTREAM_OPTION_CA_PEM, both, WSSTREAM_NUL));
  expect_tls(options, "sni=unknown.test");
}

/* SSL_CERT_FILE stands in for the system's roots; where it is another file, nobody trusts the CA of a test. */
static int systems_roots_are_the_tests(void) {
  const char *roots = getenv("SSL_CERT_FILE");
  return roots != NULL && strcmp(roots, getenv("WSSTREAM_TEST_CA")) == 0;
}

static void without_cas_the_systems_roots_decide(void) {
  if (systems_roots_are_the_tests()) expect_tls(NULL, "sni=localhost");
  else expect_refused(NULL, WSSTREAM_CAUSE_CERTIFICATE, "issued");
}

/* What an opening has made of the options holds until they are changed. */
static void an_option_of_tls_counts_after_an_opening_too(void) {
  wsstream_options *options = options_for("expired.test");
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 1));
  expect_tls_with(options, "sni=expired.test");
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 0));
  expect_refused(options, WSSTREAM_CAUSE_CERTIFICATE, "expired");
  options = options_for("good.test");
  expect_tls_with(options, "sni=good.test");
  set_file(options, WSSTREAM_OPTION_CA_PEM, "WSSTREAM_TEST_UNKNOWN_CA");
  expect_refused(options, WSSTREAM_CAUSE_CERTIFICATE, "issued");
}

static void expect_a_session_of_its_own(void *options) { expect_tls_with(options, "resumed=0"); }

/* Of the same options one session is resumed by the next; a child of a fork has nothing of its parent's. */
static void sessions_are_resumed_within_one_process(void) {
  wsstream_options *options = options_for("resumed.test");
  expect_tls_with(options, "resumed=0");
  expect_tls_with(options, "resumed=1");
  child_run(expect_a_session_of_its_own, options);
  wsstream_options_free(options);
  if (!systems_roots_are_the_tests()) return;
  expect_tls(wsstream_options_new(), "sni=localhost");
  expect_tls(wsstream_options_new(), "resumed=1");
  child_run(expect_a_session_of_its_own, NULL);
}

static void danger_takes_any_certificate(void) {
  static const char *const names[] = {"good.test",    "expired.test", "early.test", "wrong.test",
                                      "unknown.test", "self.test",    "unchained.test"};
  wsstream_options *options;
  size_t i;
  for (i = 0; i < sizeof names / sizeof names[0]; i++) {
    options = options_for(names[i]);
    CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 1));
    expect_tls(options, names[i]);
  }
  options = options_for("garbage.test");
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 1));
  expect_refused(options, WSSTREAM_CAUSE_TLS, "not TLS");
  options = options_for("expired.test");
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 1));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 0));
  expect_refused(options, WSSTREAM_CAUSE_CERTIFICATE, "expired");
}

static wsstream_options *options_with_client(const char *name, const char *certificate, const char *key) {
  wsstream_options *options = options_for(name);
  set_file(options, WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM, certificate);
  set_file(options, WSSTREAM_OPTION_CLIENT_KEY_PEM, key);
  return options;
}

static void a_client_certificate_is_shown_where_it_is_asked_for(void) {
  wsstream_options *options =
    options_with_client("client.test", "WSSTREAM_TEST_CLIENT_CERTIFICATE", "WSSTREAM_TEST_CLIENT_KEY");
  wsstream *stream = open_over("/tls", options);
  wsstream_message message;
  char text[256] = {0}, *client;
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK(message.size < sizeof text);
  memcpy(text, message.data, message.size);
  wsstream_message_release(&message);
  client = strstr(text, "client=");
  CHECK(client != NULL && strcmp(client, "client=-") != 0);
  wsstream_free(stream);
  expect_tls(options_with_client("client12.test", "WSSTREAM_TEST_CLIENT_CERTIFICATE", "WSSTREAM_TEST_CLIENT_KEY"),
             "version=TLSv1.2");
  expect_tls(options_with_client("good.test", "WSSTREAM_TEST_CLIENT_CERTIFICATE", "WSSTREAM_TEST_CLIENT_KEY"),
             "client=-");
}

/* With TLS 1.3 this side is through with TLS before the server has looked at its certificate. */
static void a_client_certificate_that_is_missing_or_refused_is_said(void) {
  wsstream_options *each[4];
  size_t i;
  each[0] = options_for("client.test");
  each[1] = options_for("client12.test");
  each[2] = options_with_client("client.test", "WSSTREAM_TEST_STRANGER_CERTIFICATE", "WSSTREAM_TEST_STRANGER_KEY");
  each[3] = options_with_client("client12.test", "WSSTREAM_TEST_STRANGER_CERTIFICATE", "WSSTREAM_TEST_STRANGER_KEY");
  for (i = 0; i < 4; i++) {
    wsstream *stream = begin_open("/echo", each[i]);
    const wsstream_close_info *info = NULL;
    wsstream_options_free(each[i]);
    CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
    CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
    CHECK(info->phase == WSSTREAM_PHASE_TLS || (i % 2 == 0 && info->phase == WSSTREAM_PHASE_HANDSHAKE));
    if (strstr(info->detail, "certificate of ours") == NULL && strstr(info->detail, "our certificate") == NULL)
      CHECK_FAIL("%zu: \"%s\"", i, info->detail);
    CHECK(i == 1 || info->cause == WSSTREAM_CAUSE_CERTIFICATE); /* TLS 1.2 has no alert that says so for certain */
    wsstream_free(stream);
  }
}

/* Without TLS, too, although nothing is made of them there. */
static void a_certificate_without_its_key_contradicts_itself(void) {
  wsstream *stream = (wsstream *)&stream;
  wsstream_options *options = options_for("good.test");
  set_file(options, WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM, "WSSTREAM_TEST_CLIENT_CERTIFICATE");
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open("wss://127.0.0.1:1/", WSSTREAM_NUL, options, &stream));
  CHECK(stream == NULL);
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, options, &stream));
  set_file(options, WSSTREAM_OPTION_CLIENT_KEY_PEM, "WSSTREAM_TEST_STRANGER_KEY");
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open("wss://127.0.0.1:1/", WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
  options = options_for("good.test");
  set_file(options, WSSTREAM_OPTION_CLIENT_KEY_PEM, "WSSTREAM_TEST_CLIENT_KEY");
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open("wss://127.0.0.1:1/", WSSTREAM_NUL, options, &stream));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, options, &stream));
  wsstream_options_free(options);
}

static void one_kind_of_pem_is_not_the_other(void) {
  wsstream_options *options = wsstream_options_new();
  char *certificate = file_of("WSSTREAM_TEST_CLIENT_CERTIFICATE"), *key = file_of("WSSTREAM_TEST_CLIENT_KEY");
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT,
               wsstream_options_set_text(options, WSSTREAM_OPTION_CA_PEM, key, WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT,
               wsstream_options_set_text(options, WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM, key, WSSTREAM_NUL));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT,
               wsstream_options_set_text(options, WSSTREAM_OPTION_CLIENT_KEY_PEM, certificate, WSSTREAM_NUL));
  free(certificate);
  free(key);
  wsstream_options_free(options);
}

static void write_and_read_back(wsstream *stream, const uint8_t *data, size_t size) {
  const wsstream_status status = wsstream_write(stream, WSSTREAM_BINARY, data, size, 0);
  wsstream_message message;
  CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_BINARY, data, size, &message);
  wsstream_message_release(&message);
}

/* Single messages, then many at once, then large ones, then a close with a code. */
static void live_over(const char *name, size_t size_max) {
  enum { COUNT = 300 };
  uint8_t *data = malloc(size_max);
  wsstream *stream = open_over("/echo", options_for(name));
  wsstream_message message;
  uint32_t i;
  size_t size;
  CHECK(data != NULL);
  for (size = 0; size < size_max; size++) data[size] = (uint8_t)(size * 31 + size / 251);
  for (i = 0; i < 50; i++) write_and_read_back(stream, data, i);
  for (i = 0; i < COUNT; i++)
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, &i, sizeof i, WSSTREAM_FIN | WSSTREAM_MORE, SOON));
  CHECK_OK(wsstream_flush(stream, SOON));
  for (i = 0; i < COUNT; i++) {
    CHECK_OK(wsstream_read(stream, SOON, &message));
    CHECK_MESSAGE(WSSTREAM_BINARY, &i, sizeof i, &message);
    wsstream_message_release(&message);
  }
  for (size = 1000; size < size_max; size *= 7) write_and_read_back(stream, data, size);
  write_and_read_back(stream, data, size_max);
  CHECK_OK(wsstream_close(stream, 4000, name, WSSTREAM_NUL));
  CHECK_CLOSED_AND_FREE(stream, 4000, name);
  free(data);
}

static void messages_pass_over_tls_1_3(void) { live_over("good.test", 5000000); }
static void messages_pass_over_tls_1_2(void) { live_over("tls12.test", 5000000); }
static void messages_pass_over_a_chain(void) { live_over("chain.test", 100000); }
static void messages_pass_after_a_second_client_hello(void) { live_over("retry.test", 100000); }
static void messages_pass_among_session_tickets_and_small_records(void) { live_over("tickets.test", 1000000); }
static void messages_pass_byte_by_byte(void) { live_over("bytes.test", 30000); }
static void messages_pass_where_all_leaves_byte_by_byte(void) { live_over("split.test", 30000); }
static void messages_pass_while_keys_are_updated(void) { live_over("updates.test", 2000000); }
static void messages_pass_and_the_end_is_clean_without_close_notify(void) { live_over("silent.test", 100000); }

/* Close frames decide, not close_notify; an end without them is the same with and without it. */
static void the_end_over_tls_is_as_over_tcp(void) {
  static const char *const names[] = {"good.test", "silent.test", "tls12.test"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof names[0]; i++) {
    const wsstream_close_info *info = NULL;
    wsstream_message message;
    wsstream *stream = open_over("/close?code=4001&reason=going", options_for(names[i]));
    CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, SOON, &message));
    CHECK_CLOSED_AND_FREE(stream, 4001, "going");
    stream = open_over("/count?n=100&size=500", options_for(names[i]));
    CHECK_OK(wsstream_wait_closed(stream, SOON, &info));
    CHECK_NUMBER(1000, info->code);
    CHECK_OK(wsstream_read(stream, 0, &message));
    wsstream_message_release(&message);
    wsstream_free(stream);
    stream = open_over("/abrupt?after=1&echo=1", options_for(names[i]));
    CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "x", 1, SOON));
    CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
    CHECK_NUMBER(1006, info->code);
    CHECK_NUMBER(0, info->clean);
    CHECK_NUMBER(WSSTREAM_CAUSE_TRUNCATED, info->cause);
    CHECK_NUMBER(WSSTREAM_PHASE_OPEN, info->phase);
    wsstream_free(stream);
  }
}

/* TLS is ended in order, before TCP is. */
static void a_closed_stream_says_close_notify(void) {
  const char *id = server_fresh_word();
  char path[64], *record;
  wsstream *stream;
  snprintf(path, sizeof path, "/echo?id=%s", id);
  stream = open_over(path, options_for("good.test"));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  record = server_record(id, 0);
  CHECK(strstr(record, "event: close_notify_received") != NULL);
  CHECK(strncmp(record, "end: fin ", 9) == 0);
  CHECK_NUMBER(0, server_count(record, "violations"));
  free(record);
}

int main(void) {
  check_begin();
  RUN(a_good_certificate_is_taken_and_http_1_1_agreed_on);
  RUN(without_a_server_name_the_host_of_the_url_is_asked_for);
  RUN(an_address_is_checked_and_not_sent);
  RUN(a_bad_certificate_is_refused_with_a_sentence_that_says_why);
  RUN(tls_that_fails_otherwise_is_no_question_of_certificates);
  RUN(an_end_of_tcp_inside_tls_fails_the_opening_there);
  RUN(tls_that_never_answers_ends_with_the_open_timeout);
  RUN(an_abort_inside_tls_is_answered_at_once);
  RUN(the_cas_given_replace_all_others);
  RUN(without_cas_the_systems_roots_decide);
  RUN(an_option_of_tls_counts_after_an_opening_too);
  RUN(sessions_are_resumed_within_one_process);
  RUN(danger_takes_any_certificate);
  RUN(a_client_certificate_is_shown_where_it_is_asked_for);
  RUN(a_client_certificate_that_is_missing_or_refused_is_said);
  RUN(a_certificate_without_its_key_contradicts_itself);
  RUN(one_kind_of_pem_is_not_the_other);
  RUN(messages_pass_over_tls_1_3);
  RUN(messages_pass_over_tls_1_2);
  RUN(messages_pass_over_a_chain);
  RUN(messages_pass_after_a_second_client_hello);
  RUN(messages_pass_among_session_tickets_and_small_records);
  RUN(messages_pass_byte_by_byte);
  RUN(messages_pass_where_all_leaves_byte_by_byte);
  RUN(messages_pass_while_keys_are_updated);
  RUN(messages_pass_and_the_end_is_clean_without_close_notify);
  RUN(the_end_over_tls_is_as_over_tcp);
  RUN(a_closed_stream_says_close_notify);
  return 0;
}
