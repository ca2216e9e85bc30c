/* Once wsstream_free has returned, on another thread than the callbacks', no callback of that stream runs: each kind in its
 * turn, while it runs all the time on this stream and on others. What the callbacks use is freed at once. */
#include "check.h"

enum { STREAMS = 3 };

#define LOAD(place) __atomic_load_n((place), __ATOMIC_RELAXED)
#define STORE(place, value) __atomic_store_n((place), (value), __ATOMIC_RELAXED)

/* A stream whose callbacks run. It stays until the library has no thread any more, so that what comes too late is told. */
struct slot {
  wsstream *stream;
  int is_over; /* wsstream_free has returned */
  int run;
  int *own; /* plain on purpose: free orders what callbacks did before what follows it */
  pthread_t thread;
  struct slot *before;
};

static struct slot *slots;

/* Lets other threads run. */
static void give_way(void) {
  const struct timespec time = {0, 100000};
  nanosleep(&time, NULL);
}

static void enter(struct slot *slot) {
  CHECK(!LOAD(&slot->is_over));
  ++*slot->own;
  /* So that free mostly comes while one is inside. */
  give_way();
}

static void leave(struct slot *slot) {
  CHECK(!LOAD(&slot->is_over));
  ++*slot->own;
  __atomic_add_fetch(&slot->run, 1, __ATOMIC_RELAXED);
}

static void opened(wsstream *stream, wsstream_status status, void *slot) {
  enter(slot);
  CHECK(stream != NULL && status == WSSTREAM_OK);
  leave(slot);
}

static void closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *slot) {
  enter(slot);
  CHECK(stream != NULL && info != NULL && status == WSSTREAM_OK);
  leave(slot);
}

static uint32_t message(wsstream *stream, wsstream_status status, const wsstream_message *message, void *slot) {
  enter(slot);
  CHECK(stream != NULL && (status != WSSTREAM_OK || message->size == 16));
  leave(slot);
  return WSSTREAM_CONTINUE;
}

/* Comes again and again, as the event goes on to hold. */
static void event(wsstream *stream, uint32_t events, void *slot) {
  wsstream_status status;
  enter(slot);
  CHECK_NUMBER(WSSTREAM_WRITABLE, events);
  status = wsstream_on_event(stream, WSSTREAM_WRITABLE, event, slot);
  CHECK(status == WSSTREAM_OK || status == WSSTREAM_ERR_STATE);
  leave(slot);
}

/* Registers late ones until the stream is freed, never many more than have run. */
static void *register_opened(void *argument) {
  struct slot *slot = argument;
  wsstream_status status = WSSTREAM_OK;
  int count = 0;
  while (status == WSSTREAM_OK)
    if (count > LOAD(&slot->run) + 20) give_way(), status = wsstream_wait_opened(slot->stream, 0);
    else status = wsstream_on_opened(slot->stream, opened, slot), count++;
  CHECK_STATUS(WSSTREAM_ERR_STATE, status);
  wsstream_unref(slot->stream);
  return NULL;
}

static void *register_closed(void *argument) {
  struct slot *slot = argument;
  wsstream_status status = WSSTREAM_OK;
  int count = 0;
  while (status == WSSTREAM_OK)
    if (count > LOAD(&slot->run) + 20) give_way(), status = wsstream_wait_closed(slot->stream, 0, NULL);
    else status = wsstream_on_closed(slot->stream, closed, slot), count++;
  CHECK_STATUS(WSSTREAM_ERR_STATE, status);
  wsstream_unref(slot->stream);
  return NULL;
}

static void begin_opened(struct slot *slot) {
  slot->stream = wsstream_ref(check_open("/echo"));
  slot->thread = check_thread(register_opened, slot);
}

static void begin_closed(struct slot *slot) {
  slot->stream = wsstream_ref(check_open("/close?code=1000"));
  CHECK_OK(wsstream_wait_closed(slot->stream, SOON, NULL));
  slot->thread = check_thread(register_closed, slot);
}

static void begin_message(struct slot *slot) {
  slot->stream = check_open("/count?n=0&size=16");
  CHECK_OK(wsstream_on_message(slot->stream, message, slot));
}

static void begin_event(struct slot *slot) {
  slot->stream = check_open("/echo");
  CHECK_OK(wsstream_on_event(slot->stream, WSSTREAM_WRITABLE, event, slot));
}

static void free_in_the_middle(struct slot *slot, int has_thread) {
  wsstream_free(slot->stream);
  STORE(&slot->is_over, 1);
  free(slot->own);
  if (has_thread) check_join(slot->thread);
}

static void play(void (*begin)(struct slot *), int has_thread) {
  const long rounds = getenv("WSSTREAM_TEST_STEPS") != NULL ? 5 : 20;
  long round;
  int i;
  for (round = 0; round < rounds; round++) {
    struct slot *now[STREAMS];
    for (i = 0; i < STREAMS; i++) {
      now[i] = calloc(1, sizeof *now[i]);
      CHECK(now[i] != NULL && (now[i]->own = calloc(1, sizeof *now[i]->own)) != NULL);
      now[i]->before = slots;
      slots = now[i];
      begin(now[i]);
    }
    for (i = 0; i < STREAMS; i++) {
      const int goal = LOAD(&now[i]->run) + 1 + (int)(round * 7 + i) % 8;
      while (LOAD(&now[i]->run) < goal) give_way();
      free_in_the_middle(now[i], has_thread);
    }
  }
}

static void once_free_has_returned_no_on_opened_runs(void) { play(begin_opened, 1); }
static void once_free_has_returned_no_on_closed_runs(void) { play(begin_closed, 1); }
static void once_free_has_returned_no_on_message_runs(void) { play(begin_message, 0); }
static void once_free_has_returned_no_on_event_runs(void) { play(begin_event, 0); }

int main(void) {
  check_begin();
  RUN(once_free_has_returned_no_on_opened_runs);
  RUN(once_free_has_returned_no_on_closed_runs);
  RUN(once_free_has_returned_no_on_message_runs);
  RUN(once_free_has_returned_no_on_event_runs);
  CHECK_OK(wsstream_runtime_stop(SOON));
  while (slots != NULL) {
    struct slot *before = slots->before;
    free(slots);
    slots = before;
  }
  return 0;
}
