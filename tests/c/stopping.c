/* The end of the library as a whole: wsstream_runtime_stop ends its threads where no stream is left, and the next open
 * starts them again. */
#include "callback.h"
#include "self.h"
#include "tally.h"

#include <sched.h>

static void use_a_stream(void) {
  wsstream *stream = check_open_and_sleep("/echo");
  check_echo(stream);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* A thread that has ended is on the system's list for a moment longer. */
static void no_thread_is_left(void) {
  while (self_library_thread_count() > 0) sched_yield();
}

static void a_stop_before_the_first_open_is_ok(void) {
  CHECK_OK(wsstream_runtime_stop(0));
  CHECK_OK(wsstream_runtime_stop(SOON));
  CHECK_NUMBER(0, self_library_thread_count());
}

static void a_stream_that_is_not_freed_keeps_the_threads(void) {
  wsstream *stream = check_open("/echo");
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_runtime_stop(0));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_runtime_stop(SOON));
  check_echo(stream);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_runtime_stop(SOON));
  while (self_library_thread_count() < 1) sched_yield();
  wsstream_free(stream);
  CHECK_OK(wsstream_runtime_stop(SOON));
  no_thread_is_left();
}

/* Resolving has threads of its own. */
static void the_threads_that_resolve_end_too(void) {
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open("ws://localhost:1/", WSSTREAM_NUL, NULL, &stream));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
  CHECK_OK(wsstream_runtime_stop(SOON));
  no_thread_is_left();
}

static void the_next_open_starts_them_again(void) {
  int i, descriptors = 0;
  for (i = 0; i < 30; i++) {
    use_a_stream();
    CHECK_OK(wsstream_runtime_stop(SOON));
    no_thread_is_left();
    if (i == 0) descriptors = self_descriptor_count();
  }
  CHECK_NUMBER(descriptors, self_descriptor_count());
  CHECK_OK(wsstream_runtime_stop(SOON));
  use_a_stream();
}

/* Freed with its Close on the way, with unread messages, before it was open: each goes in its own time. */
static void streams_that_were_freed_are_waited_for(void) {
  static const char *const paths[] = {"/echo", "/close_reply?missing=1", "/count?n=1000&close=none", "/abrupt"};
  int i;
  for (i = 0; i < 40; i++) {
    wsstream *stream = i % 3 == 0 ? check_begin_open(paths[i % 4], NULL) : check_open(paths[i % 4]);
    wsstream_free(stream);
    CHECK_OK(wsstream_runtime_stop(SOON));
    no_thread_is_left();
  }
}

static void a_stop_that_does_not_wait_is_finished_by_a_later_one(void) {
  wsstream_status status;
  use_a_stream();
  while ((status = wsstream_runtime_stop(0)) == WSSTREAM_AGAIN) sched_yield();
  CHECK_STATUS(WSSTREAM_OK, status);
  no_thread_is_left();
}

static void pass_freed(void *user_data) { pass(user_data); }

static void a_stop_whose_time_runs_out_is_finished_by_a_later_one(void) {
  struct gate gate = GATE_ZERO;
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_freed(stream, pass_freed, &gate));
  wsstream_free(stream);
  tally_await(&gate.entered, 1);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_runtime_stop(0));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_runtime_stop(20));
  tally_add(&gate.let_go);
  CHECK_OK(wsstream_runtime_stop(SOON));
  CHECK_NUMBER(1, tally_count(&gate.left));
  no_thread_is_left();
}

static struct tally called = TALLY_ZERO;
static struct tally freed = TALLY_ZERO;

static void stop_inside(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)stream, (void)status, (void)info, (void)user_data;
  CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, wsstream_runtime_stop(1));
  CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, wsstream_runtime_stop(WSSTREAM_FOREVER));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_runtime_stop(0));
  tally_add(&called);
}

static void stop_at_the_very_end(void *user_data) {
  CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, wsstream_runtime_stop(WSSTREAM_FOREVER));
  tally_add(user_data);
}

static void a_stop_inside_a_callback_never_waits(void) {
  wsstream *stream = check_open("/close");
  CHECK_OK(wsstream_on_freed(stream, stop_at_the_very_end, &freed));
  CHECK_OK(wsstream_on_closed(stream, stop_inside, NULL));
  tally_await(&called, 1);
  wsstream_free(stream);
  /* What was freed has told so before the threads are gone. */
  CHECK_OK(wsstream_runtime_stop(SOON));
  CHECK_NUMBER(1, tally_count(&freed));
  no_thread_is_left();
}

static struct tally over = TALLY_ZERO;

static void *open_often(void *unused) {
  while (tally_count(&over) == 0) use_a_stream();
  return unused;
}

static void *stop_often(void *unused) {
  while (tally_count(&over) == 0) {
    const wsstream_status status = wsstream_runtime_stop(tally_count(&called) % 2 == 0 ? 0 : 5);
    CHECK(status == WSSTREAM_OK || status == WSSTREAM_AGAIN || status == WSSTREAM_ERR_STATE);
    tally_add(&called);
  }
  return unused;
}

/* Whoever comes first: a stream that was opened works, and a stop that did not fit has done nothing. */
static void opens_and_stops_at_once_leave_every_stream_whole(void) {
  pthread_t threads[4];
  int i;
  for (i = 0; i < 4; i++) threads[i] = check_thread(i < 2 ? open_often : stop_often, NULL);
  for (i = 0; i < 100; i++) use_a_stream();
  tally_add(&over);
  for (i = 0; i < 4; i++) check_join(threads[i]);
  CHECK_OK(wsstream_runtime_stop(SOON));
  no_thread_is_left();
}

int main(void) {
  check_begin();
  RUN(a_stop_before_the_first_open_is_ok);
  RUN(a_stream_that_is_not_freed_keeps_the_threads);
  RUN(the_threads_that_resolve_end_too);
  RUN(the_next_open_starts_them_again);
  RUN(streams_that_were_freed_are_waited_for);
  RUN(a_stop_that_does_not_wait_is_finished_by_a_later_one);
  RUN(a_stop_whose_time_runs_out_is_finished_by_a_later_one);
  RUN(a_stop_inside_a_callback_never_waits);
  RUN(opens_and_stops_at_once_leave_every_stream_whole);
  return EXIT_SUCCESS;
}
