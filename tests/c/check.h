/* What every C test shares: checks that name what differs, claims that run in order, a deadline for the program, and
 * threads. It knows the public header and POSIX, nothing of the library's inside; a failed check ends the program. */
#ifndef WSSTREAM_TESTS_CHECK_H
#define WSSTREAM_TESTS_CHECK_H

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wsstream.h>

/* Long enough for a loaded machine; the deadline of the program ends what hangs. */
#define SOON ((int64_t)30000)

static const char *check_claim = "(before the first claim)";

/* A check that does not hold: says which claim it belonged to and ends the program so that a debugger can look. */
#define CHECK_FAIL(...)                                                        \
  do {                                                                         \
    fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, check_claim);           \
    fprintf(stderr, __VA_ARGS__);                                              \
    fputc('\n', stderr);                                                       \
    abort();                                                                   \
  } while (0)

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) CHECK_FAIL("not true: %s", #condition);                  \
  } while (0)

#define CHECK_NUMBER(expected, actual)                                         \
  do {                                                                         \
    const int64_t check_expected = (int64_t)(expected);                        \
    const int64_t check_actual = (int64_t)(actual);                            \
    if (check_expected != check_actual)                                        \
      CHECK_FAIL("%s is %" PRId64 ", not %" PRId64 " (%s)", #actual,           \
                 check_actual, check_expected, #expected);                     \
  } while (0)

#define CHECK_STATUS(expected, call)                                           \
  do {                                                                         \
    const wsstream_status check_expected = (expected);                         \
    const wsstream_status check_actual = (call);                               \
    if (check_expected != check_actual)                                        \
      CHECK_FAIL("%s answers %s, not %s", #call,                               \
                 wsstream_status_name(check_actual),                           \
                 wsstream_status_name(check_expected));                        \
  } while (0)

#define CHECK_OK(call) CHECK_STATUS(WSSTREAM_OK, call)

#define CHECK_TEXT(expected, actual)                                           \
  do {                                                                         \
    const char *check_actual = (actual);                                       \
    CHECK(check_actual != NULL);                                               \
    if (strcmp((expected), check_actual) != 0)                                 \
      CHECK_FAIL("%s is \"%s\", not \"%s\"", #actual, check_actual,            \
                 (expected));                                                  \
  } while (0)

#define CHECK_MESSAGE(expected_type, expected, expected_size, message)         \
  do {                                                                         \
    const wsstream_message *check_message = (message);                         \
    CHECK_NUMBER(expected_type, check_message->type);                          \
    CHECK_NUMBER(expected_size, check_message->size);                          \
    CHECK(check_message->data != NULL);                                        \
    CHECK(memcmp((expected), check_message->data, check_message->size) == 0);  \
  } while (0)

/* Runs one claim, a function whose name says what it shows. */
#define RUN(claim)                                                             \
  do {                                                                         \
    __atomic_store_n(&check_claim, #claim, __ATOMIC_RELAXED);                  \
    claim();                                                                   \
    printf("ok %s\n", #claim);                                                 \
  } while (0)

/* Writes to a descriptor what every stream stands on. Not in the library that is installed: NULL there. */
static void (*check_dump)(int);

/* Waits for the deadline of the program and then ends it: what hangs is named, and leaves a core. */
static void *check_watch(void *unused) {
  const char *text = getenv("WSSTREAM_TEST_DEADLINE_S");
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t never = PTHREAD_COND_INITIALIZER;
  struct timespec end;
  (void)unused;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += text != NULL ? atoi(text) : 60;
  pthread_mutex_lock(&mutex);
  while (pthread_cond_timedwait(&never, &mutex, &end) != ETIMEDOUT) continue;
  fprintf(stderr, "the deadline of the program is over\n");
  if (check_dump != NULL) check_dump(2);
  fprintf(stderr, "%s did not end\n", __atomic_load_n(&check_claim, __ATOMIC_RELAXED));
  abort();
}

static inline pthread_t check_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  CHECK_NUMBER(0, pthread_create(&thread, NULL, run, argument));
  return thread;
}

static inline void check_join(pthread_t thread) {
  CHECK_NUMBER(0, pthread_join(thread, NULL));
}

static void check_begin(void) {
  void *dump = dlsym(dlopen(NULL, RTLD_LAZY), "wsstream_test_dump");
  pthread_t watch;
  memcpy(&check_dump, &dump, sizeof check_dump);
  setvbuf(stdout, NULL, _IOLBF, 0);
  watch = check_thread(check_watch, NULL);
  pthread_detach(watch);
}

/* Begins to open a stream to `path` of the test server; options may be NULL. */
static inline wsstream *check_begin_open(const char *path, const wsstream_options *options) {
  const char *server = getenv("WSSTREAM_TEST_URL");
  wsstream *stream = NULL;
  char url[512];
  int size;
  if (server == NULL) CHECK_FAIL("WSSTREAM_TEST_URL is not set: run it through scripts/with-server");
  size = snprintf(url, sizeof url, "%s%s", server, path);
  CHECK(size > 0 && (size_t)size < sizeof url);
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  CHECK(stream != NULL);
  return stream;
}

/* Opens a stream to `path` of the test server with the defaults and waits until it is open. */
static inline wsstream *check_open(const char *path) {
  wsstream *stream = check_begin_open(path, NULL);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  return stream;
}

/* An open stream on which this thread has slept: on its first sleep it gets a descriptor of its own. */
static inline wsstream *check_open_and_sleep(const char *path) {
  wsstream *stream = check_open(path);
  uint32_t events;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE, 1, &events));
  return stream;
}

/* Reads one message, which the caller releases. */
static inline wsstream_message check_read(wsstream *stream) {
  wsstream_message message;
  CHECK_OK(wsstream_read(stream, SOON, &message));
  return message;
}

/* One message to /echo and back. */
static inline void check_echo(wsstream *stream) {
  wsstream_message message;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "echo", 4, SOON));
  message = check_read(stream);
  CHECK_MESSAGE(WSSTREAM_TEXT, "echo", 4, &message);
  wsstream_message_release(&message);
}

/* Waits for a clean end with this code and reason, then frees the stream. */
#define CHECK_CLOSED_AND_FREE(stream, expected_code, expected_reason)          \
  do {                                                                         \
    const wsstream_close_info *check_info = NULL;                              \
    CHECK_OK(wsstream_wait_closed((stream), SOON, &check_info));               \
    CHECK_NUMBER(expected_code, check_info->code);                             \
    CHECK_TEXT(expected_reason, check_info->reason);                           \
    CHECK(check_info->clean);                                                  \
    wsstream_free(stream);                                                     \
  } while (0)

#endif
