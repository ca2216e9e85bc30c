/* Random calls from several threads on streams that end in every way. It checks what holds whatever the order: each
 * answer is one that its call may give, a write that was refused was not taken, and `closed` settles. The seed is
 * printed where something does not hold; WSSTREAM_STRESS_SEED and WSSTREAM_STRESS_ROUNDS repeat or lengthen a run. */
#include "check.h"

enum { THREADS = 4, CALLS = 60 };

static const char *const paths[] = {
  "/echo", "/echo?deflate", "/count?n=0&size=16&type=binary", "/count?deflate&n=300&size=3000",
  "/close?code=4001&reason=bye&after=3&echo=1",
  "/abrupt?after=2&echo=1", "/abrupt?after=2&end=reset", "/stall", "/sink", "/ping_echo?payload=p",
  "/close_reply?missing=1", "/slow_read?bytes=20000&tick_ms=1", "/handshake?status=404", "/handshake?stall=1",
  "/raw?hex=c1026869&after=1"
};
enum { PATHS = sizeof paths / sizeof paths[0] };

struct actor {
  wsstream *stream;
  uint64_t seed;
};

/* A generator of its own: the same sequence on every system. */
static uint32_t pick(uint64_t *seed, uint32_t below) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*seed >> 33) % below;
}

static void check_among(const char *call, wsstream_status status, const wsstream_status *allowed, size_t count) {
  size_t i;
  for (i = 0; i < count; i++)
    if (allowed[i] == status) return;
  CHECK_FAIL("%s answers %s", call, wsstream_status_name(status));
}
#define CHECK_AMONG(call, ...)                                                                     \
  do {                                                                                             \
    const wsstream_status check_allowed[] = {__VA_ARGS__};                                         \
    check_among(#call, (call), check_allowed, sizeof check_allowed / sizeof check_allowed[0]);     \
  } while (0)

static int64_t short_timeout(uint64_t *seed) { return pick(seed, 4) == 0 ? 0 : (int64_t)pick(seed, 8); }

static void read_randomly(wsstream *stream, uint64_t *seed) {
  wsstream_message messages[8];
  size_t count = 0, i;
  wsstream_status status = pick(seed, 2) == 0
                             ? (count = 1, wsstream_read(stream, short_timeout(seed), messages))
                             : wsstream_read_many(stream, short_timeout(seed), messages, 8, &count);
  if (status != WSSTREAM_OK) count = 0;
  CHECK_AMONG(status, WSSTREAM_OK, WSSTREAM_AGAIN, WSSTREAM_DONE, WSSTREAM_ERR_BUSY, WSSTREAM_ERR_STATE,
              WSSTREAM_ERR_CONNECTION);
  for (i = 0; i < count; i++) {
    wsstream_message second;
    CHECK(messages[i].data != NULL);
    if (pick(seed, 4) == 0) {
      CHECK_OK(wsstream_message_retain(&messages[i], &second));
      wsstream_message_release(&messages[i]);
      wsstream_message_release(&second);
    }
    wsstream_message_release(&messages[i]);
  }
}

static void write_randomly(wsstream *stream, uint64_t *seed) {
  static const char data[300000];
  const size_t size = pick(seed, 8) == 0 ? sizeof data : pick(seed, 200);
  const int64_t timeout_ms = short_timeout(seed);
  if (pick(seed, 3) == 0)
    CHECK_AMONG(wsstream_write_some(stream, WSSTREAM_BINARY, data, size, WSSTREAM_FIN | WSSTREAM_MORE, timeout_ms),
                WSSTREAM_OK, WSSTREAM_QUEUED, WSSTREAM_AGAIN, WSSTREAM_ERR_BUSY, WSSTREAM_ERR_STATE,
                WSSTREAM_ERR_CONNECTION);
  else
    CHECK_AMONG(wsstream_write(stream, WSSTREAM_TEXT, data, size, timeout_ms), WSSTREAM_OK, WSSTREAM_QUEUED,
                WSSTREAM_AGAIN, WSSTREAM_ERR_BUSY, WSSTREAM_ERR_STATE, WSSTREAM_ERR_CONNECTION);
}

static void wait_randomly(wsstream *stream, uint64_t *seed) {
  const wsstream_close_info *info;
  uint32_t events = 1 + pick(seed, 15), holding;
  const wsstream_status polled = wsstream_poll(stream, events, short_timeout(seed), &holding);
  CHECK_AMONG(polled, WSSTREAM_OK, WSSTREAM_AGAIN, WSSTREAM_ERR_STATE);
  CHECK((polled == WSSTREAM_OK) == (holding != 0) && (holding & ~events) == 0);
  CHECK_AMONG(wsstream_wait_opened(stream, short_timeout(seed)), WSSTREAM_OK, WSSTREAM_AGAIN, WSSTREAM_ERR_STATE,
              WSSTREAM_ERR_CONNECTION);
  CHECK_AMONG(wsstream_wait_closed(stream, short_timeout(seed), &info), WSSTREAM_OK, WSSTREAM_AGAIN,
              WSSTREAM_ERR_STATE, WSSTREAM_ERR_CONNECTION);
  CHECK_AMONG(wsstream_flush(stream, short_timeout(seed)), WSSTREAM_OK, WSSTREAM_AGAIN, WSSTREAM_ERR_BUSY,
              WSSTREAM_ERR_STATE, WSSTREAM_ERR_CONNECTION);
}

static void *act(void *argument) {
  struct actor *actor = argument;
  int i;
  for (i = 0; i < CALLS; i++) {
    switch (pick(&actor->seed, 32)) {
    case 0: CHECK_AMONG(wsstream_close(actor->stream, 4000, "random", WSSTREAM_NUL), WSSTREAM_OK, WSSTREAM_ERR_STATE); break;
    case 1: CHECK_AMONG(wsstream_wake(actor->stream, 1 + pick(&actor->seed, 31)), WSSTREAM_OK, WSSTREAM_ERR_STATE); break;
    case 2: wsstream_unref(wsstream_ref(actor->stream)); break;
    case 3: case 4: case 5: wait_randomly(actor->stream, &actor->seed); break;
    case 6: CHECK(wsstream_url(actor->stream)[0] == 'w' && wsstream_protocol(actor->stream) != NULL); break;
    default:
      if (pick(&actor->seed, 2) == 0) read_randomly(actor->stream, &actor->seed);
      else write_randomly(actor->stream, &actor->seed);
    }
  }
  wsstream_unref(actor->stream);
  return NULL;
}

static void count_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *counter) {
  CHECK(stream != NULL && info != NULL && status != WSSTREAM_AGAIN);
  __atomic_fetch_add((int *)counter, 1, __ATOMIC_SEQ_CST);
}

/* One stream, random calls from THREADS threads; freed in the middle, or closed and waited for. */
static void play(uint64_t seed) {
  static const wsstream_status ended[] = {WSSTREAM_OK, WSSTREAM_ERR_CONNECTION};
  wsstream_options *options = wsstream_options_new();
  struct actor actors[THREADS];
  pthread_t threads[THREADS];
  wsstream *stream;
  int i, called = 0;
  const char *path = paths[pick(&seed, PATHS)];

  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_CLOSE_TIMEOUT_MS, 200));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 300));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, 1 + pick(&seed, 5000)));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_WRITE_BUFFER_SIZE, pick(&seed, 5000)));
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_on_closed(stream, count_closed, &called));
  for (i = 0; i < THREADS; i++) {
    actors[i].stream = wsstream_ref(stream);
    actors[i].seed = seed + (uint64_t)i * 7919;
    threads[i] = check_thread(act, &actors[i]);
  }
  if (pick(&seed, 3) != 0) {
    const wsstream_close_info *info;
    wsstream_status status;
    for (i = 0; i < THREADS; i++) check_join(threads[i]);
    CHECK_AMONG(wsstream_close(stream, 1000, NULL, 0), WSSTREAM_OK);
    /* A wake that nobody waited for lets one call return early. */
    status = wsstream_wait_closed(stream, SOON, &info);
    if (status == WSSTREAM_AGAIN) status = wsstream_wait_closed(stream, SOON, &info);
    check_among("wait_closed", status, ended, 2);
    CHECK(info != NULL && (status == WSSTREAM_OK) == (info->clean == 1));
    wsstream_free(stream);
  } else {
    const int64_t patience_ms = pick(&seed, 20);
    CHECK_AMONG(wsstream_wait_closed(stream, patience_ms, NULL), WSSTREAM_OK, WSSTREAM_AGAIN, WSSTREAM_ERR_CONNECTION);
    wsstream_free(stream);
    for (i = 0; i < THREADS; i++) check_join(threads[i]);
  }
  CHECK(called <= 1);
}

int main(void) {
  const char *rounds = getenv("WSSTREAM_STRESS_ROUNDS"), *given = getenv("WSSTREAM_STRESS_SEED");
  const uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;
  const long count = rounds != NULL ? strtol(rounds, NULL, 10) : 60;
  static char name[64];
  long round;

  check_begin();
  for (round = 0; round < count; round++) {
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)(seed + (uint64_t)round));
    check_claim = name;
    play(seed + (uint64_t)round);
  }
  return EXIT_SUCCESS;
}
