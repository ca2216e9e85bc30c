/* Threads of the program that come and go while streams stay: what they leave behind, and calls at their very end. */
#include "self.h"
#include "tally.h"

#include <sched.h>

static void close_and_free(wsstream *stream) {
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Waits in every half, in vain, so that the thread has left its marks everywhere. */
static void *open_use_and_end(void *unused) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  uint32_t events;
  (void)unused;
  check_echo(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 2, &message));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE | WSSTREAM_CLOSED, 2, &events));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_closed(stream, 2, NULL));
  return stream;
}

static void a_stream_outlives_the_thread_that_opened_it(void) {
  int i;
  for (i = 0; i < 50; i++) {
    void *stream = NULL;
    CHECK_NUMBER(0, pthread_join(check_thread(open_use_and_end, NULL), &stream));
    check_echo(stream);
    if (i % 2 == 0) wsstream_free(stream);
    else close_and_free(stream);
  }
}

static void *echo_and_end(void *stream) {
  wsstream_message message;
  check_echo(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 2, &message));
  return NULL;
}

static wsstream *shared;
static struct tally noticed = TALLY_ZERO;

static void *wait_for_its_end(void *unused) {
  CHECK_OK(wsstream_wait_closed(shared, SOON, NULL));
  tally_add(&noticed);
  return unused;
}

static void the_others_go_on_when_a_thread_ends(void) {
  pthread_t waiters[4];
  int i;
  shared = check_open("/echo");
  for (i = 0; i < 4; i++) waiters[i] = check_thread(wait_for_its_end, NULL);
  for (i = 0; i < 100; i++) check_join(check_thread(echo_and_end, shared));
  CHECK_NUMBER(0, tally_count(&noticed));
  CHECK_OK(wsstream_close(shared, 1000, NULL, 0));
  for (i = 0; i < 4; i++) check_join(waiters[i]);
  wsstream_free(shared);
}

static pthread_key_t key;

/* Runs after the destructors of the library's own thread-locals. */
static void end_the_stream_of_the_thread(void *stream) {
  wsstream *last;
  check_echo(stream);
  last = check_open("/echo");
  check_echo(last);
  close_and_free(last);
  close_and_free(stream);
  tally_add(&noticed);
}

static void *keep_a_stream_for_the_end(void *unused) {
  wsstream *stream = check_open("/echo");
  check_echo(stream);
  CHECK_NUMBER(0, pthread_setspecific(key, stream));
  return unused;
}

static void *keep_a_stream_of_another_thread(void *stream) {
  CHECK_NUMBER(0, pthread_setspecific(key, stream));
  return NULL;
}

/* Threads that have used the library before, and threads whose destructor is the first to use it. */
static void calls_work_in_the_destructors_of_a_thread(void) {
  const int before = tally_count(&noticed);
  int i, descriptors;
  close_and_free(check_open_and_sleep("/echo"));
  CHECK_NUMBER(0, pthread_key_create(&key, end_the_stream_of_the_thread));
  descriptors = self_descriptor_count();
  for (i = 0; i < 10; i++) check_join(check_thread(keep_a_stream_for_the_end, NULL));
  while (self_descriptor_count() > descriptors) sched_yield();
  for (i = 0; i < 10; i++) check_join(check_thread(keep_a_stream_of_another_thread, check_open("/echo")));
  CHECK_NUMBER(before + 20, tally_count(&noticed));
  CHECK_NUMBER(0, pthread_key_delete(key));
}

static void *free_and_end(void *stream) {
  wsstream_free(stream);
  return NULL;
}

/* A call may be the first and the last that a thread makes. */
static void a_thread_may_end_with_any_call(void) {
  int i;
  for (i = 0; i < 50; i++) check_join(check_thread(free_and_end, check_open("/echo")));
}

int main(void) {
  check_begin();
  RUN(a_stream_outlives_the_thread_that_opened_it);
  RUN(the_others_go_on_when_a_thread_ends);
  RUN(calls_work_in_the_destructors_of_a_thread);
  RUN(a_thread_may_end_with_any_call);
  return EXIT_SUCCESS;
}
