/* Signals are the program's: no thread of the library takes one, no call changes what the program has set, none is cut
 * short by one. */
#define _GNU_SOURCE
#include "self.h"
#include "server.h"
#include "tally.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

/* ---- The threads of the library. */

static struct self_thread own_threads[SELF_MAX];
static int own_count;

static int is_own(int number) {
  int i;
  for (i = 0; i < own_count; i++)
    if (own_threads[i].number == number) return 1;
  return 0;
}

/* The signals that can be blocked: all but those of the kernel and the two that the C library keeps to itself. */
static uint64_t every_signal(void) {
  sigset_t all;
  uint64_t bits = 0;
  int number;
  sigfillset(&all);
  for (number = 1; number <= SIGRTMAX; number++)
    if (sigismember(&all, number) == 1) bits |= (uint64_t)1 << (number - 1);
  return bits & ~((uint64_t)1 << (SIGKILL - 1)) & ~((uint64_t)1 << (SIGSTOP - 1));
}

/* Looks at every thread that is not the program's; answers how many there are and how many lack the library's name: a
 * thread that has just begun still has that of the thread that made it. */
static int look_at_the_librarys_threads(int *unnamed) {
  struct self_thread threads[SELF_MAX];
  const int count = self_look_at_threads(threads, SELF_MAX);
  int i, found = 0;
  *unnamed = 0;
  for (i = 0; i < count; i++) {
    const uint64_t open = every_signal() & ~threads[i].blocked;
    if (is_own(threads[i].number)) continue;
    if (open != 0) CHECK_FAIL("thread \"%s\" takes the signals %#" PRIx64, threads[i].name, open);
    *unnamed += strncmp(threads[i].name, "wsstream", 8) != 0;
    found++;
  }
  return found;
}

/* The internal thread, and those that resolve: a name is looked up beside each look at them. */
static void every_thread_of_the_library_blocks_every_signal(void) {
  static const char *const urls[] = {"ws://name.invalid/", "ws://localhost:1/"};
  wsstream *open;
  int i, unnamed, most = 0;
  own_count = self_look_at_threads(own_threads, SELF_MAX);
  open = check_open("/echo");
  for (i = 0; i < 200 || most < 2; i++) {
    wsstream *stream = NULL;
    int found;
    CHECK_OK(wsstream_open(urls[i % 2], WSSTREAM_NUL, NULL, &stream));
    found = look_at_the_librarys_threads(&unnamed);
    if (found > most) most = found;
    wsstream_free(stream);
  }
  while (look_at_the_librarys_threads(&unnamed), unnamed > 0) sched_yield();
  check_echo(open);
  wsstream_free(open);
}

static void nothing_of_the_program_is_changed(void) {
  struct sigaction before[65], after;
  sigset_t mask_before, mask_after;
  wsstream *stream;
  wsstream_message message;
  int number, descriptor;
  sigemptyset(&mask_before);
  sigaddset(&mask_before, SIGUSR1);
  sigaddset(&mask_before, SIGTERM);
  CHECK_NUMBER(0, pthread_sigmask(SIG_BLOCK, &mask_before, NULL));
  CHECK_NUMBER(0, pthread_sigmask(SIG_BLOCK, NULL, &mask_before));
  for (number = 1; number < 65; number++) sigaction(number, NULL, &before[number]);
  raise(SIGUSR1);

  stream = check_open("/echo");
  CHECK_OK(wsstream_fd(stream, &descriptor));
  check_echo(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 20, &message));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");

  CHECK_NUMBER(0, pthread_sigmask(SIG_BLOCK, NULL, &mask_after));
  for (number = 1; number < 65; number++) {
    CHECK_NUMBER(sigismember(&mask_before, number), sigismember(&mask_after, number));
    if (sigaction(number, NULL, &after) != 0) continue;
    CHECK(after.sa_handler == before[number].sa_handler);
    CHECK_NUMBER(before[number].sa_flags, after.sa_flags);
  }
  /* What waited for the program before still does. */
  CHECK_NUMBER(0, sigpending(&mask_after));
  CHECK_NUMBER(1, sigismember(&mask_after, SIGUSR1));
  CHECK_NUMBER(0, sigwait(&mask_after, &number));
  CHECK_NUMBER(SIGUSR1, number);
  CHECK_NUMBER(0, pthread_sigmask(SIG_UNBLOCK, &mask_before, NULL));
}

/* ---- A signal that comes while a call waits. */

static int handled;

static void count_signal(int number) {
  (void)number;
  __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

/* A call that is to wait for ever, what it waits on, and what it has answered. */
struct waiting {
  wsstream_status (*call)(wsstream *);
  wsstream *stream;
  wsstream_status status;
  int thread;
  struct tally begun, ended;
};

static void *wait_for_ever(void *argument) {
  struct waiting *waiting = argument;
  waiting->thread = (int)syscall(SYS_gettid);
  tally_add(&waiting->begun);
  waiting->status = waiting->call(waiting->stream);
  tally_add(&waiting->ended);
  return NULL;
}

/* Begins the call on a thread of its own and sends it signals, each once the thread sleeps again. */
static pthread_t begin_and_disturb(struct waiting *waiting) {
  pthread_t thread = check_thread(wait_for_ever, waiting);
  int i;
  tally_await(&waiting->begun, 1);
  for (i = 0; i < 50; i++) {
    const int before = __atomic_load_n(&handled, __ATOMIC_RELAXED);
    char state;
    while ((state = self_thread_state(waiting->thread)) != 'S') {
      if (state == 0) CHECK_FAIL("the call has ended, and nothing but signals has come");
      sched_yield();
    }
    CHECK_NUMBER(0, pthread_kill(thread, SIGUSR2));
    while (__atomic_load_n(&handled, __ATOMIC_RELAXED) == before) sched_yield();
  }
  return thread;
}

static wsstream_status call_wait_opened(wsstream *stream) {
  return wsstream_wait_opened(stream, WSSTREAM_FOREVER);
}

static wsstream_status call_wait_closed(wsstream *stream) {
  return wsstream_wait_closed(stream, WSSTREAM_FOREVER, NULL);
}

static wsstream_status call_read(wsstream *stream) {
  wsstream_message message;
  const wsstream_status status = wsstream_read(stream, WSSTREAM_FOREVER, &message);
  wsstream_message_release(&message);
  return status;
}

static wsstream_status call_poll(wsstream *stream) {
  uint32_t events;
  return wsstream_poll(stream, WSSTREAM_READABLE, WSSTREAM_FOREVER, &events);
}

static wsstream_status call_write(wsstream *stream) {
  return wsstream_write(stream, WSSTREAM_TEXT, "more", 4, WSSTREAM_FOREVER);
}

static wsstream_status call_flush(wsstream *stream) {
  return wsstream_flush(stream, WSSTREAM_FOREVER);
}

static void disturb_until_a_message_comes(wsstream_status (*call)(wsstream *)) {
  struct waiting waiting = {call, check_open("/echo"), WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t thread = begin_and_disturb(&waiting);
  CHECK_OK(wsstream_write(waiting.stream, WSSTREAM_TEXT, "come", 4, SOON));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_OK, waiting.status);
  wsstream_free(waiting.stream);
}

static void disturb_until_the_peer_reads(wsstream_status (*call)(wsstream *)) {
  static uint8_t data[1 << 24]; /* more than the system takes */
  const char *token = server_fresh_word();
  struct waiting waiting = {call, NULL, WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t thread;
  char path[96];
  snprintf(path, sizeof path, "/stall_until?token=%s", token);
  waiting.stream = check_open(path);
  while (wsstream_write(waiting.stream, WSSTREAM_BINARY, data, sizeof data, 0) != WSSTREAM_QUEUED) continue;
  thread = begin_and_disturb(&waiting);
  server_release(token);
  check_join(thread);
  CHECK_STATUS(WSSTREAM_OK, waiting.status);
  wsstream_free(waiting.stream);
}

static void disturb_until_it_is_open(void) {
  const char *token = server_fresh_word();
  struct waiting waiting = {call_wait_opened, NULL, WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t thread;
  char path[96];
  snprintf(path, sizeof path, "/handshake?token=%s", token);
  waiting.stream = check_begin_open(path, NULL);
  thread = begin_and_disturb(&waiting);
  server_release(token);
  check_join(thread);
  CHECK_STATUS(WSSTREAM_OK, waiting.status);
  wsstream_free(waiting.stream);
}

static void disturb_until_it_is_closed(void) {
  struct waiting waiting = {call_wait_closed, check_open("/echo"), WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t thread = begin_and_disturb(&waiting);
  CHECK_OK(wsstream_close(waiting.stream, 1000, NULL, 0));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_OK, waiting.status);
  wsstream_free(waiting.stream);
}

static void a_signal_does_not_end_a_call_that_waits(void) {
  disturb_until_a_message_comes(call_read);
  disturb_until_a_message_comes(call_poll);
  disturb_until_the_peer_reads(call_write);
  disturb_until_the_peer_reads(call_flush);
  disturb_until_it_is_open();
  disturb_until_it_is_closed();
}

static wsstream_status read_for_100_ms(wsstream *stream) {
  const int64_t begin = now_ms();
  wsstream_message message;
  const wsstream_status status = wsstream_read(stream, 100, &message);
  CHECK(now_ms() - begin >= 99);
  return status;
}

/* Signals that come faster than the time runs out do not shorten the wait, and come until it has ended. */
static void a_signal_does_not_change_how_long_a_call_waits(void) {
  struct waiting waiting = {read_for_100_ms, check_open("/echo"), WSSTREAM_OK, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t thread = check_thread(wait_for_ever, &waiting);
  tally_await(&waiting.begun, 1);
  while (tally_count(&waiting.ended) == 0) {
    pthread_kill(thread, SIGUSR2);
    let_pass_ms(5);
  }
  check_join(thread);
  CHECK_STATUS(WSSTREAM_AGAIN, waiting.status);
  wsstream_free(waiting.stream);
}

/* ---- A thread inside a handler stays the one that drives the stream, and what it is told it does not see. */

static int parked, is_let_go;

static void park(int number) {
  (void)number;
  __atomic_store_n(&parked, 1, __ATOMIC_RELAXED);
  while (!__atomic_load_n(&is_let_go, __ATOMIC_RELAXED)) let_pass_ms(1);
}

/* Begins the call on a thread of its own; it sleeps then, or has ended. */
static pthread_t begin(struct waiting *waiting) {
  pthread_t thread = check_thread(wait_for_ever, waiting);
  tally_await(&waiting->begun, 1);
  while (self_thread_state(waiting->thread) != 'S' && tally_count(&waiting->ended) == 0) sched_yield();
  return thread;
}

static pthread_t begin_and_park(struct waiting *waiting) {
  pthread_t thread = begin(waiting);
  __atomic_store_n(&parked, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&is_let_go, 0, __ATOMIC_RELAXED);
  CHECK_NUMBER(0, pthread_kill(thread, SIGUSR1));
  while (!__atomic_load_n(&parked, __ATOMIC_RELAXED)) sched_yield();
  return thread;
}

static void let_go(pthread_t thread) {
  __atomic_store_n(&is_let_go, 1, __ATOMIC_RELAXED);
  check_join(thread);
}

static wsstream_status read_for_20_ms(wsstream *stream) {
  wsstream_message message;
  return wsstream_read(stream, 20, &message);
}

static wsstream_status read_for_300_ms(wsstream *stream) {
  wsstream_message message;
  return wsstream_read(stream, 300, &message);
}

static void a_cancelled_read_is_done_beside_a_driver_that_does_not_come_on(void) {
  struct waiting driver = {call_poll, check_open("/echo"), WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t thread = begin_and_park(&driver);
  wsstream_message message;
  CHECK_OK(wsstream_readable_cancel(driver.stream, WSSTREAM_NO_CODE, NULL, 0));
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read(driver.stream, 0, &message));
  let_go(thread);
  CHECK_OK(driver.status);
  wsstream_free(driver.stream);
}

static wsstream_status free_during_a_read(void) {
  wsstream *stream = check_open("/echo");
  struct waiting driver = {call_poll, wsstream_ref(stream), WSSTREAM_OK, 0, TALLY_ZERO, TALLY_ZERO};
  struct waiting reader = {read_for_300_ms, stream, WSSTREAM_OK, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t driving = begin_and_park(&driver), reading = begin(&reader);
  wsstream_free(stream);
  check_join(reading);
  let_go(driving);
  CHECK_STATUS(WSSTREAM_ERR_STATE, driver.status);
  wsstream_unref(stream);
  return reader.status;
}

/* Where the machine is so busy that the time of the read is over before, it is tried again. */
static void a_read_of_a_freed_stream_ends_beside_a_driver_that_does_not_come_on(void) {
  wsstream_status status;
  int tries = 0;
  while ((status = free_during_a_read()) == WSSTREAM_AGAIN && tries++ < 10) continue;
  CHECK_STATUS(WSSTREAM_ERR_STATE, status);
}

/* The end is for ever, so a read whose time is over meanwhile does not answer that there may be more. */
static void a_read_of_an_ended_stream_tells_the_end_once_the_driver_comes_on(void) {
  wsstream_options *options = wsstream_options_new();
  struct waiting driver = {call_poll, NULL, WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO, TALLY_ZERO};
  struct waiting reader = {read_for_20_ms, NULL, WSSTREAM_OK, 0, TALLY_ZERO, TALLY_ZERO};
  pthread_t driving, reading;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_CLOSE_TIMEOUT_MS, 50));
  driver.stream = reader.stream = check_begin_open("/close_reply?missing=1", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(driver.stream, SOON));
  driving = begin_and_park(&driver);
  CHECK_OK(wsstream_close(driver.stream, 1000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(driver.stream, SOON, NULL));
  reading = check_thread(wait_for_ever, &reader);
  let_pass_ms(50);
  let_go(driving);
  check_join(reading);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, reader.status);
  CHECK_OK(driver.status);
  wsstream_free(driver.stream);
}

int main(void) {
  struct sigaction action = {.sa_handler = count_signal}, parking = {.sa_handler = park};
  check_begin();
  RUN(every_thread_of_the_library_blocks_every_signal);
  RUN(nothing_of_the_program_is_changed);
  CHECK_NUMBER(0, sigaction(SIGUSR2, &action, NULL));
  RUN(a_signal_does_not_end_a_call_that_waits);
  RUN(a_signal_does_not_change_how_long_a_call_waits);
  CHECK_NUMBER(0, sigaction(SIGUSR1, &parking, NULL));
  RUN(a_cancelled_read_is_done_beside_a_driver_that_does_not_come_on);
  RUN(a_read_of_a_freed_stream_ends_beside_a_driver_that_does_not_come_on);
  RUN(a_read_of_an_ended_stream_tells_the_end_once_the_driver_comes_on);
  return EXIT_SUCCESS;
}
