/* Waiting: what poll reports, what wakes it from another thread, and the callback of the end. */
#include "check.h"

static void an_open_quiet_stream_is_writable_and_opened_only(void) {
  const uint32_t all = WSSTREAM_OPENED | WSSTREAM_READABLE | WSSTREAM_WRITABLE | WSSTREAM_CLOSED;
  wsstream *stream = check_open("/echo");
  uint32_t events = 0;
  CHECK_OK(wsstream_poll(stream, all, SOON, &events));
  CHECK_NUMBER(WSSTREAM_OPENED | WSSTREAM_WRITABLE, events);
  events = all;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE | WSSTREAM_CLOSED, 0, &events));
  CHECK_NUMBER(0, events);
  wsstream_free(stream);
}

static void poll_reports_a_message_and_read_takes_it(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  uint32_t events = 0;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "ready", 5, SOON));
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  CHECK_NUMBER(WSSTREAM_READABLE, events);
  CHECK_OK(wsstream_read(stream, 0, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "ready", 5, &message);
  wsstream_message_release(&message);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE, 0, &events));
  wsstream_free(stream);
}

static void ended_halves_are_readable_writable_and_closed(void) {
  const uint32_t all = WSSTREAM_READABLE | WSSTREAM_WRITABLE | WSSTREAM_CLOSED;
  wsstream *stream = check_open("/echo");
  uint32_t events = 0;
  CHECK_OK(wsstream_close(stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_OK(wsstream_poll(stream, all, 0, &events));
  CHECK_NUMBER(all, events);
  wsstream_free(stream);
}

static void *poll_until_woken(void *argument) {
  uint32_t events = 0;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(argument, WSSTREAM_READABLE, WSSTREAM_FOREVER, &events));
  return NULL;
}

/* A wake is kept for the next call where none is blocked, so whoever comes first the poll ends. */
static void wake_ends_a_poll_on_another_thread(void) {
  wsstream *stream = check_open("/echo");
  int i;
  for (i = 0; i < 200; i++) {
    pthread_t poller = check_thread(poll_until_woken, stream);
    CHECK_OK(wsstream_wake(stream, WSSTREAM_READABLE));
    check_join(poller);
  }
  wsstream_free(stream);
}

static void wake_before_a_read_ends_it_once(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  CHECK_OK(wsstream_wake(stream, WSSTREAM_READABLE));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, WSSTREAM_FOREVER, &message));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "next", 4, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  wsstream_free(stream);
}

static void *write_once(void *argument) {
  CHECK_OK(wsstream_write(argument, WSSTREAM_TEXT, "from there", 10, SOON));
  return NULL;
}

static void a_message_ends_a_poll_that_another_thread_made_possible(void) {
  wsstream *stream = check_open("/echo");
  pthread_t writer = check_thread(write_once, stream);
  wsstream_message message;
  uint32_t events = 0;
  CHECK_OK(wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  CHECK_OK(wsstream_read(stream, 0, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "from there", 10, &message);
  wsstream_message_release(&message);
  check_join(writer);
  wsstream_free(stream);
}

static void time_that_runs_out_is_again_and_opening_goes_on(void) {
  wsstream *stream = check_begin_open("/handshake?delay_ms=100", NULL);
  uint32_t events = 1;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 0));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 5));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_OPENED | WSSTREAM_WRITABLE, 5, &events));
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
}

static void the_open_timeout_fails_the_opening(void) {
  wsstream_options *options = wsstream_options_new();
  const wsstream_close_info *info = NULL;
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 50));
  stream = check_begin_open("/handshake?stall=1", options);
  wsstream_options_free(options);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, 0, &info));
  CHECK_NUMBER(WSSTREAM_CAUSE_TIMEOUT, info->cause);
  wsstream_free(stream);
}

/* The writes fill what the system holds, then the write buffer; a write that is refused was not taken. */
/* Rows: W06 */
static void a_peer_that_does_not_read_makes_the_stream_unwritable(void) {
  static uint8_t data[65536];
  wsstream *stream = check_open("/stall?receive_buffer=4096");
  wsstream_status status = WSSTREAM_OK;
  uint32_t events = 1;
  int queued = 0;
  while (status == WSSTREAM_OK || status == WSSTREAM_QUEUED) {
    status = wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 20);
    queued += status == WSSTREAM_QUEUED;
  }
  CHECK_NUMBER(WSSTREAM_AGAIN, status);
  CHECK(queued > 0);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_WRITABLE, 0, &events));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_write(stream, WSSTREAM_BINARY, data, 1, 5));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_flush(stream, 5));
  wsstream_free(stream);
}

/* What the callback saw, and a condition for the thread that waits for it. */
struct end {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_t thread;
  wsstream *stream;
  wsstream_status status;
  wsstream_status latch;
  wsstream_status blocking;
  uint16_t code;
  int count;
};

static void note_end(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct end *end = user_data;
  const wsstream_close_info *latched = NULL;
  wsstream_message message;
  pthread_mutex_lock(&end->mutex);
  end->thread = pthread_self();
  end->stream = stream;
  end->status = status;
  end->code = info->code;
  end->latch = wsstream_wait_closed(stream, 0, &latched);
  CHECK(latched == info);
  end->blocking = wsstream_read(stream, 1, &message);
  end->count++;
  pthread_cond_signal(&end->changed);
  pthread_mutex_unlock(&end->mutex);
}

static void await_count(struct end *end, int count) {
  pthread_mutex_lock(&end->mutex);
  while (end->count < count) pthread_cond_wait(&end->changed, &end->mutex);
  CHECK_NUMBER(count, end->count);
  pthread_mutex_unlock(&end->mutex);
}

static void on_closed_runs_once_on_a_thread_of_the_library(void) {
  struct end end = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_closed(stream, note_end, &end));
  CHECK_OK(wsstream_close(stream, 3001, "enough", WSSTREAM_NUL));
  await_count(&end, 1);
  CHECK(!pthread_equal(pthread_self(), end.thread));
  CHECK(end.stream == stream);
  CHECK_NUMBER(WSSTREAM_OK, end.status);
  CHECK_NUMBER(WSSTREAM_OK, end.latch);
  CHECK_NUMBER(WSSTREAM_ERR_DEADLOCK, end.blocking);
  CHECK_NUMBER(3001, end.code);
  wsstream_free(stream);
  CHECK_NUMBER(1, end.count);
}

static void on_closed_registered_late_runs_too(void) {
  struct end end = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_OK(wsstream_on_closed(stream, note_end, &end));
  await_count(&end, 1);
  CHECK_OK(wsstream_on_closed(stream, note_end, &end));
  await_count(&end, 2);
  wsstream_free(stream);
}

static void free_in_the_callback(wsstream *stream, wsstream_status status, const wsstream_close_info *info,
                                 void *user_data) {
  struct end *end = user_data;
  wsstream_free(stream);
  pthread_mutex_lock(&end->mutex);
  end->status = status;
  end->code = info->code;
  end->count++;
  pthread_cond_signal(&end->changed);
  pthread_mutex_unlock(&end->mutex);
}

static void a_stream_may_be_freed_in_its_own_callback(void) {
  struct end end = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_closed(stream, free_in_the_callback, &end));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  await_count(&end, 1);
  CHECK_NUMBER(WSSTREAM_OK, end.status);
  CHECK_NUMBER(1000, end.code);
}

int main(void) {
  check_begin();
  RUN(an_open_quiet_stream_is_writable_and_opened_only);
  RUN(poll_reports_a_message_and_read_takes_it);
  RUN(ended_halves_are_readable_writable_and_closed);
  RUN(wake_ends_a_poll_on_another_thread);
  RUN(wake_before_a_read_ends_it_once);
  RUN(a_message_ends_a_poll_that_another_thread_made_possible);
  RUN(time_that_runs_out_is_again_and_opening_goes_on);
  RUN(the_open_timeout_fails_the_opening);
  RUN(a_peer_that_does_not_read_makes_the_stream_unwritable);
  RUN(on_closed_runs_once_on_a_thread_of_the_library);
  RUN(on_closed_registered_late_runs_too);
  RUN(a_stream_may_be_freed_in_its_own_callback);
  return 0;
}
