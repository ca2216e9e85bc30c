/* Aborters: what they give up and when, and that they do nothing to a stream that is open. */
#include "check.h"
#include "peer.h"
#include "server.h"
#include "tally.h"

static wsstream_options *options_with(wsstream_aborter *aborter) {
  wsstream_options *options = wsstream_options_new();
  CHECK(aborter != NULL && options != NULL);
  CHECK_OK(wsstream_options_set_aborter(options, aborter));
  return options;
}

/* Both latches and both halves say ABORTED, and the info where it was. */
static void expect_aborted(wsstream *stream, uint32_t phase) {
  const uint32_t all = WSSTREAM_OPENED | WSSTREAM_READABLE | WSSTREAM_READABLE_SOME | WSSTREAM_WRITABLE | WSSTREAM_CLOSED;
  const wsstream_close_info *info = NULL;
  wsstream_message message;
  wsstream_chunk chunk;
  uint32_t events = 0;
  size_t count;
  char byte;
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_closed(stream, 0, &info));
  CHECK(info != NULL);
  CHECK_NUMBER(1006, info->code);
  CHECK_NUMBER(0, info->clean);
  CHECK_NUMBER(0, info->sent_code);
  CHECK_NUMBER(phase, info->phase);
  CHECK_NUMBER(WSSTREAM_CAUSE_ABORTED, info->cause);
  CHECK_NUMBER(WSSTREAM_INITIATOR_NONE, info->initiator);
  CHECK_NUMBER(0, info->os_error);
  CHECK_TEXT("", info->reason);
  CHECK(info->detail_size > 0);
  CHECK_NUMBER(phase == WSSTREAM_PHASE_START, strstr(info->detail, "before it began") != NULL);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_read_many(stream, SOON, &message, 1, &count));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_read_some(stream, &byte, 1, SOON, &chunk));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_flush(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_writable_close(stream, SOON));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_readable_cancel(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_OK(wsstream_writable_abort(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_OK(wsstream_poll(stream, all, 0, &events));
  CHECK_NUMBER(all, events);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, 0));
}

/* A connection to a listening socket would be there as soon as the second, which is not aborted, has come. */
/* Rows: A01 */
static void an_aborted_aborter_keeps_the_network_out_of_it(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  char url[64], second_url[80];
  const int listener = peer_listen(8, url);
  struct pollfd waiting = {.fd = listener, .events = POLLIN};
  wsstream *stream = NULL, *second = NULL;
  struct peer peer;
  wsstream_aborter_abort(aborter);
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  CHECK(stream != NULL);
  CHECK_TEXT(url, wsstream_url(stream));
  expect_aborted(stream, WSSTREAM_PHASE_START);
  snprintf(second_url, sizeof second_url, "%ssecond", url);
  CHECK_OK(wsstream_open(second_url, WSSTREAM_NUL, NULL, &second));
  peer_accept(&peer, listener);
  CHECK(strncmp(peer.request, "GET /second ", 12) == 0);
  CHECK_NUMBER(0, poll(&waiting, 1, 0));
  close(listener);
  peer_free(&peer, second);
  wsstream_free(stream);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* Rows: U07 */
static void mistakes_in_the_url_and_the_options_come_first(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  wsstream *stream = (wsstream *)aborter;
  wsstream_aborter_abort(aborter);
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open("ws://h/#", WSSTREAM_NUL, options, &stream));
  CHECK(stream == NULL);
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open("ftp://h/", WSSTREAM_NUL, options, &stream));
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open(NULL, 4, options, &stream));
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* Rows: A02 */
static void an_abort_in_the_handshake_ends_the_connection(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  char url[64];
  const int listener = peer_listen(8, url);
  wsstream *stream = NULL;
  struct peer peer;
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  peer_accept(&peer, listener);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 5));
  wsstream_aborter_abort(aborter);
  expect_aborted(stream, WSSTREAM_PHASE_HANDSHAKE);
  peer_receive_end(&peer);
  close(listener);
  peer_free(&peer, stream);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* Fills the queue of a listening socket that nobody accepts from, so that a further connection gets no answer. */
static int blackhole(char *url, int *fillers, int capacity) {
  const int listener = peer_listen(0, url);
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  int i;
  CHECK_NUMBER(0, getsockname(listener, (struct sockaddr *)&address, &size));
  for (i = 0; i < capacity; i++) {
    struct pollfd waiting = {.events = POLLOUT};
    fillers[i] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fillers[i] >= 0);
    CHECK_NUMBER(0, fcntl(fillers[i], F_SETFL, O_NONBLOCK));
    if (connect(fillers[i], (struct sockaddr *)&address, size) == 0) continue;
    CHECK_NUMBER(EINPROGRESS, errno);
    waiting.fd = fillers[i];
    if (poll(&waiting, 1, 200) == 0) {
      while (++i < capacity) fillers[i] = -1;
      return listener;
    }
  }
  CHECK_FAIL("the queue of a listening socket is never full");
}

/* Rows: A02 */
static void an_abort_while_tcp_connects_is_answered_at_once(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  char url[64];
  int fillers[16], i;
  const int listener = blackhole(url, fillers, 16);
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 50));
  wsstream_aborter_abort(aborter);
  expect_aborted(stream, WSSTREAM_PHASE_CONNECT);
  wsstream_free(stream);
  for (i = 0; i < 16; i++)
    if (fillers[i] >= 0) close(fillers[i]);
  close(listener);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

struct waiter {
  wsstream *stream;
  struct tally *begun;
};

static void *read_still(void *argument) {
  struct waiter *waiter = argument;
  wsstream_message message;
  tally_add(waiter->begun);
  CHECK_OK(wsstream_read(waiter->stream, WSSTREAM_FOREVER, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "still", 5, &message);
  wsstream_message_release(&message);
  return NULL;
}

/* Rows: A03 */
static void an_abort_after_the_opening_does_nothing(void) {
  struct tally begun = TALLY_ZERO;
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  wsstream *stream = check_begin_open("/echo", options);
  struct waiter waiter = {stream, &begun};
  pthread_t reading;
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  reading = check_thread(read_still, &waiter);
  tally_await(&begun, 1);
  wsstream_aborter_abort(aborter);
  wsstream_aborter_abort(aborter);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "still", 5, SOON));
  check_join(reading);
  CHECK_OK(wsstream_wait_opened(stream, 0));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* Rows: A02, A03 */
static void one_aborter_gives_up_every_opening_that_uses_it(void) {
  enum { COUNT = 40 };
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter), *others = options_with(aborter);
  wsstream *streams[COUNT], *open = check_begin_open("/echo", options), *unaffected;
  int i;
  CHECK_OK(wsstream_wait_opened(open, SOON));
  unaffected = check_begin_open("/handshake?delay_ms=200", NULL);
  for (i = 0; i < COUNT; i++) streams[i] = check_begin_open("/handshake?stall=1", i % 2 == 0 ? options : others);
  wsstream_aborter_abort(aborter);
  for (i = 0; i < COUNT; i++) {
    CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(streams[i], SOON));
    CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_closed(streams[i], SOON, NULL));
    wsstream_free(streams[i]);
  }
  streams[0] = check_begin_open("/echo", options);
  expect_aborted(streams[0], WSSTREAM_PHASE_START);
  wsstream_free(streams[0]);
  CHECK_OK(wsstream_wait_opened(unaffected, SOON));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(open, 0, NULL));
  wsstream_free(unaffected);
  wsstream_free(open);
  wsstream_options_free(options);
  wsstream_options_free(others);
  wsstream_aborter_free(aborter);
}

/* Whoever is freed first, what is left of them goes on. */
static void aborter_options_and_streams_are_freed_in_any_order(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  wsstream *stream;
  wsstream_aborter_free(aborter);
  stream = check_begin_open("/echo", options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  wsstream_options_free(options);
  wsstream_free(stream);

  aborter = wsstream_aborter_new();
  options = options_with(aborter);
  wsstream_aborter_abort(aborter);
  wsstream_aborter_free(aborter);
  stream = check_begin_open("/echo", options);
  wsstream_options_free(options);
  expect_aborted(stream, WSSTREAM_PHASE_START);
  wsstream_free(stream);

  aborter = wsstream_aborter_new();
  options = options_with(aborter);
  stream = check_begin_open("/handshake?stall=1", options);
  wsstream_options_free(options);
  wsstream_aborter_abort(aborter);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
  wsstream_aborter_free(aborter);

  aborter = wsstream_aborter_new();
  options = options_with(aborter);
  wsstream_free(check_begin_open("/handshake?stall=1", options));
  wsstream_aborter_abort(aborter);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
  wsstream_aborter_free(wsstream_aborter_new());
}

static void a_later_aborter_replaces_the_first(void) {
  wsstream_aborter *first = wsstream_aborter_new(), *second = wsstream_aborter_new();
  wsstream_options *options = options_with(first);
  wsstream *stream;
  wsstream_aborter_abort(first);
  CHECK_OK(wsstream_options_set_aborter(options, second));
  stream = check_begin_open("/echo", options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
  wsstream_options_free(options);
  wsstream_aborter_free(first);
  wsstream_aborter_free(second);
}

static void *wait_for_the_end(void *argument) {
  struct waiter *waiter = argument;
  tally_add(waiter->begun);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_closed(waiter->stream, WSSTREAM_FOREVER, NULL));
  return NULL;
}

static void *read_until_aborted(void *argument) {
  struct waiter *waiter = argument;
  wsstream_message message;
  tally_add(waiter->begun);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_read(waiter->stream, WSSTREAM_FOREVER, &message));
  return NULL;
}

static void *write_until_aborted(void *argument) {
  struct waiter *waiter = argument;
  tally_add(waiter->begun);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_write(waiter->stream, WSSTREAM_TEXT, "a", 1, WSSTREAM_FOREVER));
  return NULL;
}

static void *abort_soon(void *argument) {
  let_pass_ms(20);
  wsstream_aborter_abort(argument);
  return NULL;
}

/* Rows: A02 */
static void an_abort_on_another_thread_lets_every_blocked_call_go(void) {
  struct tally begun = TALLY_ZERO;
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  wsstream *stream = check_begin_open("/handshake?stall=1", options);
  struct waiter waiter = {stream, &begun};
  pthread_t waiting = check_thread(wait_for_the_end, &waiter);
  pthread_t reading = check_thread(read_until_aborted, &waiter);
  pthread_t writing = check_thread(write_until_aborted, &waiter);
  pthread_t aborting;
  tally_await(&begun, 3);
  aborting = check_thread(abort_soon, aborter);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, WSSTREAM_FOREVER));
  check_join(aborting);
  check_join(waiting);
  check_join(reading);
  check_join(writing);
  wsstream_free(stream);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* The first of close and abort decides, and the other one changes nothing. */
/* Rows: O07 */
static void an_abort_after_a_close_while_connecting_does_nothing(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  wsstream *stream = check_begin_open("/handshake?stall=1", options);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  wsstream_aborter_abort(aborter);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, 0));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  wsstream_free(stream);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

/* At whatever moment it comes, a stream is either aborted or open, and stays what it is. */
/* Rows: A02, A03, O07 */
static void an_abort_at_any_moment_leaves_one_answer(void) {
  enum { ROUNDS = 300 };
  int i, aborted = 0;
  for (i = 0; i < ROUNDS; i++) {
    wsstream_aborter *aborter = wsstream_aborter_new();
    wsstream_options *options = options_with(aborter);
    wsstream *stream = check_begin_open("/echo", options);
    struct timespec pause = {0, (long)(i % 100) * 10000};
    wsstream_message message;
    wsstream_status status;
    nanosleep(&pause, NULL);
    wsstream_aborter_abort(aborter);
    status = wsstream_wait_opened(stream, SOON);
    if (status == WSSTREAM_OK) {
      CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "open", 4, SOON));
      CHECK_OK(wsstream_read(stream, SOON, &message));
      wsstream_message_release(&message);
      CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 0, NULL));
    } else {
      CHECK_STATUS(WSSTREAM_ERR_ABORTED, status);
      CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_closed(stream, 0, NULL));
      aborted++;
    }
    wsstream_free(stream);
    wsstream_options_free(options);
    wsstream_aborter_free(aborter);
  }
  CHECK(aborted > 0);
}

struct ends {
  struct tally opened, closed;
  wsstream_status opened_status, closed_status;
  uint32_t cause;
};

static void note_opened(wsstream *stream, wsstream_status status, void *user_data) {
  struct ends *ends = user_data;
  CHECK(stream != NULL);
  ends->opened_status = status;
  tally_add(&ends->opened);
}

static void note_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct ends *ends = user_data;
  CHECK(stream != NULL);
  CHECK_NUMBER(1, tally_count(&ends->opened));
  ends->closed_status = status;
  ends->cause = info->cause;
  tally_add(&ends->closed);
}

/* Rows: A02, O07 */
static void callbacks_are_told_of_an_abort_once(void) {
  struct ends ends = {TALLY_ZERO, TALLY_ZERO, 0, 0, 0};
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = options_with(aborter);
  wsstream *stream = check_begin_open("/handshake?stall=1", options);
  CHECK_OK(wsstream_on_opened(stream, note_opened, &ends));
  CHECK_OK(wsstream_on_closed(stream, note_closed, &ends));
  wsstream_aborter_abort(aborter);
  tally_await(&ends.closed, 1);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, ends.opened_status);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, ends.closed_status);
  CHECK_NUMBER(WSSTREAM_CAUSE_ABORTED, ends.cause);
  wsstream_aborter_abort(aborter);
  wsstream_free(stream);
  CHECK_NUMBER(1, tally_count(&ends.opened));
  CHECK_NUMBER(1, tally_count(&ends.closed));
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

int main(void) {
  check_begin();
  RUN(an_aborted_aborter_keeps_the_network_out_of_it);
  RUN(mistakes_in_the_url_and_the_options_come_first);
  RUN(an_abort_in_the_handshake_ends_the_connection);
  RUN(an_abort_while_tcp_connects_is_answered_at_once);
  RUN(an_abort_after_the_opening_does_nothing);
  RUN(one_aborter_gives_up_every_opening_that_uses_it);
  RUN(aborter_options_and_streams_are_freed_in_any_order);
  RUN(a_later_aborter_replaces_the_first);
  RUN(an_abort_on_another_thread_lets_every_blocked_call_go);
  RUN(an_abort_after_a_close_while_connecting_does_nothing);
  RUN(an_abort_at_any_moment_leaves_one_answer);
  RUN(callbacks_are_told_of_an_abort_once);
  return 0;
}
