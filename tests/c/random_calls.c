/* Random calls from eight threads on shared streams that end in every way. The ledger checks each answer; here each
 * callback that was accepted has run as often as it may, every stream that nobody frees settles, and at the end nothing
 * is left behind: no thread, no descriptor, no memory.
 *
 * The seed is printed; WSSTREAM_TEST_SEED repeats a run as far as threads can be repeated, WSSTREAM_TEST_STEPS sets how
 * many calls a thread makes. */
#include "ledger.h"
#include "self.h"

#include <poll.h>

enum { THREADS = WRITERS - 1, SLOTS = 6, HAND = 4, STREAMS_MAX = 4096, SIZE_MAX_SENT = 300000, MAILBOXES = 4 };

/* A reference of one thread, and what that thread has seen through it. */
struct held {
  struct ledger *ledger;
  uint32_t last[WRITERS];
  wsstream_statistics statistics;
};

struct actor {
  uint64_t seed;
  uint32_t number;
  struct held hand[HAND];
};

static const char *const paths[] = {
  "/echo", "/echo", "/echo?deflate", "/echo?deflate&frame=1000", "/count?deflate&n=300&size=3000",
  "/count?n=0&size=16&type=binary",
  "/close?code=4001&reason=bye&after=3&echo=1", "/abrupt?after=2&echo=1", "/abrupt?after=2&end=reset", "/stall", "/sink",
  "/ping_echo?payload=p", "/close_reply?missing=1", "/slow_read?bytes=20000&tick_ms=1", "/handshake?status=404",
  "/handshake?stall=1", "/raw?hex=c1026869&after=1"
};
enum { PATHS = sizeof paths / sizeof paths[0], ECHOES = 4 };

static pthread_mutex_t slots_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ledger *slots[SLOTS];
static struct ledger *ledgers[STREAMS_MAX];
static int ledger_count;
static wsstream_message *mailboxes[MAILBOXES];
static uint64_t first_seed;
static int steps = 1500;
/* The threads are done: callbacks hold nothing back any more. */
static int is_ending;
static int lines_logged;

/* A generator of its own: the same sequence on every system. */
static uint32_t pick(uint64_t *seed, uint32_t below) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*seed >> 33) % below;
}

/* Often none at all, else a short time. */
static int64_t pick_timeout(uint64_t *seed) { return pick(seed, 2) == 0 ? 0 : (int64_t)pick(seed, 3); }

/* Somebody else may release it, also after the stream is gone. */
static void post(uint64_t *seed, wsstream_message *message) {
  wsstream_message *kept = malloc(sizeof *kept);
  CHECK(kept != NULL);
  CHECK_OK(wsstream_message_retain(message, kept));
  CHECK(kept->data == message->data && kept->size == message->size);
  kept = SWAP(&mailboxes[pick(seed, MAILBOXES)], kept);
  wsstream_message_release(kept);
  free(kept);
}

static void take(struct ledger *ledger, uint64_t *seed, uint32_t *last, wsstream_message *message) {
  CHECK(message->data != NULL && message->flags == WSSTREAM_FIN);
  CHECK(message->type == WSSTREAM_TEXT || message->type == WSSTREAM_BINARY);
  if (ledger->is_echo) check_brought_back(ledger, message->type, message->data, message->size, last);
  if (pick(seed, 8) == 0) post(seed, message);
  wsstream_message_release(message);
  wsstream_message_release(message);
  CHECK(message->data == NULL && message->size == 0);
}

/* What a read may answer: after the end nothing but that, or that another one is inside. */
static uint32_t reading(struct ledger *ledger) {
  const wsstream_status ended = LOAD(&ledger->reading);
  const uint32_t end = DONE | CONNECTION | ABORTED | STATE | BUSY;
  return ended == NO_ANSWER ? OK | AGAIN | end : as_set(ended) | FREED | BUSY;
}

static void keep_reading(struct ledger *ledger, wsstream_status status) {
  if ((as_set(status) & (DONE | CONNECTION | ABORTED)) != 0) keep_latch("reading", ledger, &ledger->reading, status);
}

static void act_read(struct actor *actor, struct held *held) {
  const uint32_t legal = reading(held->ledger);
  wsstream_message message;
  wsstream_status status;
  JUDGED(status, held->ledger, legal, wsstream_read(held->ledger->stream, pick_timeout(&actor->seed), &message));
  keep_reading(held->ledger, status);
  if (status == WSSTREAM_OK) take(held->ledger, &actor->seed, held->last, &message);
  else CHECK(message.data == NULL && message.owner == NULL);
}

static void act_read_many(struct actor *actor, struct held *held) {
  const uint32_t legal = reading(held->ledger);
  wsstream_message messages[8];
  wsstream_status status;
  size_t count, i;
  JUDGED(status, held->ledger, legal,
         wsstream_read_many(held->ledger->stream, pick_timeout(&actor->seed), messages, 8, &count));
  keep_reading(held->ledger, status);
  CHECK((status == WSSTREAM_OK) == (count > 0) && count <= 8);
  for (i = 0; i < count; i++) take(held->ledger, &actor->seed, held->last, &messages[i]);
}

/* A message may be read in parts by several threads, one after the other. */
static void act_read_some(struct actor *actor, struct held *held) {
  struct ledger *ledger = held->ledger;
  const size_t capacity = pick(&actor->seed, 4) == 0 ? pick(&actor->seed, 2) : pick(&actor->seed, 40000);
  const uint32_t legal = reading(ledger);
  wsstream_chunk chunk;
  wsstream_status status;
  if (SWAP(&ledger->reads_parts, 1)) return;
  if (ledger->gathering == NULL) ledger->gathering = malloc(SIZE_MAX_SENT + 40000);
  CHECK(ledger->gathering != NULL && ledger->gathered <= SIZE_MAX_SENT);
  JUDGED(status, ledger, legal,
         wsstream_read_some(ledger->stream, ledger->gathering + ledger->gathered, capacity, pick_timeout(&actor->seed),
                            &chunk));
  keep_reading(ledger, status);
  if (status == WSSTREAM_OK) {
    CHECK(chunk.size <= capacity && (chunk.flags & ~(uint32_t)WSSTREAM_FIN) == 0);
    CHECK(chunk.flags == 0 || chunk.available == 0);
    CHECK(ledger->gathered == 0 || ledger->gathered_type == chunk.type);
    ledger->gathered_type = chunk.type;
    ledger->gathered += chunk.size;
    if (chunk.flags == WSSTREAM_FIN) {
      if (ledger->is_echo)
        check_brought_back(ledger, chunk.type, ledger->gathering, ledger->gathered, ledger->last_gathered);
      ledger->gathered = 0;
    }
  }
  SWAP(&ledger->reads_parts, 0);
}

/* --- writing --- */

/* What a write may answer. ERR_STATE is no end for sure: a message in parts may be in the way. */
static uint32_t writing(struct ledger *ledger) {
  const wsstream_status ended = LOAD(&ledger->writing);
  const uint32_t all = OK | QUEUED | AGAIN | STATE | BUSY | CONNECTION | ABORTED;
  return ended == NO_ANSWER ? all : as_set(ended) | FREED | BUSY;
}

static void keep_writing(struct ledger *ledger, wsstream_status status) {
  if ((as_set(status) & (CONNECTION | ABORTED)) != 0) keep_latch("writing", ledger, &ledger->writing, status);
}

static uint32_t pick_size(uint64_t *seed) {
  switch (pick(seed, 16)) {
  case 0: return HEADER + pick(seed, SIZE_MAX_SENT - HEADER);
  case 1: case 2: return HEADER + pick(seed, 20000);
  default: return HEADER + pick(seed, 200);
  }
}

/* Whether the number of a message is used up: it was taken, or may have been. */
static int is_used(wsstream_status status) { return status != WSSTREAM_AGAIN && status != WSSTREAM_ERR_BUSY; }

static void act_write(struct actor *actor, struct held *held) {
  struct ledger *ledger = held->ledger;
  const uint32_t count = LOAD(&ledger->written[actor->number]), size = pick_size(&actor->seed);
  const uint32_t legal = writing(ledger);
  uint8_t *data;
  wsstream_status status;
  if (count + 1 >= COUNT_MAX) return;
  data = malloc(size + 1);
  CHECK(data != NULL);
  compose(data, actor->number, count, size);
  JUDGED(status, ledger, legal,
         wsstream_write(ledger->stream, type_of(count), data, size, pick_timeout(&actor->seed)));
  keep_writing(ledger, status);
  free(data);
  if (is_used(status)) STORE(&ledger->written[actor->number], count + 1);
}

/* A message may be written in parts by several threads, one after the other, and then often with MORE. */
static void act_write_some(struct actor *actor, struct held *held) {
  static uint8_t nothing[1];
  struct ledger *ledger = held->ledger;
  const uint32_t legal = writing(ledger);
  uint32_t count, flags, part;
  uint8_t *data;
  wsstream_status status;
  if (SWAP(&ledger->writes_parts, 1)) return;
  count = LOAD(&ledger->written[PARTS]);
  if (count + 1 < COUNT_MAX) {
    if (ledger->part_left == 0) ledger->part_left = ledger->part_size = pick_size(&actor->seed);
    part = pick(&actor->seed, 3) == 0 ? ledger->part_left : pick(&actor->seed, ledger->part_left + 1);
    flags = pick(&actor->seed, 2) == 0 ? 0 : WSSTREAM_MORE;
    if (part == ledger->part_left) flags |= WSSTREAM_FIN;
    data = malloc(ledger->part_size + 1);
    CHECK(data != NULL);
    compose(data, PARTS, count, ledger->part_size);
    JUDGED(status, ledger, legal,
           wsstream_write_some(ledger->stream, type_of(count),
                               part == 0 ? nothing : data + ledger->part_size - ledger->part_left, part, flags,
                               pick_timeout(&actor->seed)));
    keep_writing(ledger, status);
    free(data);
    if (status == WSSTREAM_OK || status == WSSTREAM_QUEUED) {
      ledger->part_left -= part;
      if ((flags & WSSTREAM_FIN) != 0) STORE(&ledger->written[PARTS], count + 1);
    }
  }
  SWAP(&ledger->writes_parts, 0);
}

static void act_flush(struct actor *actor, struct held *held) {
  wsstream_status status;
  JUDGED(status, held->ledger, OK | AGAIN | STATE | BUSY | CONNECTION | ABORTED,
         wsstream_flush(held->ledger->stream, pick_timeout(&actor->seed)));
}

/* --- waiting --- */

static void act_poll(struct actor *actor, struct held *held) {
  const uint32_t asked = 1 + pick(&actor->seed, 31);
  uint32_t events;
  wsstream_status status;
  JUDGED(status, held->ledger, OK | AGAIN | FREED,
         wsstream_poll(held->ledger->stream, asked, pick_timeout(&actor->seed), &events));
  CHECK((status == WSSTREAM_OK) == (events != 0) && (events & ~asked) == 0);
}

static void act_wait(struct actor *actor, struct held *held) {
  if (pick(&actor->seed, 2) == 0) ask_opened(held->ledger, pick_timeout(&actor->seed));
  else ask_closed(held->ledger, pick_timeout(&actor->seed));
}

static void act_wake(struct actor *actor, struct held *held) {
  wsstream_status status;
  JUDGED(status, held->ledger, OK | FREED, wsstream_wake(held->ledger->stream, 1 + pick(&actor->seed, 31)));
}

static void act_descriptor(struct actor *actor, struct held *held) {
  struct pollfd ready = {-1, POLLIN, 0};
  wsstream_status status;
  JUDGED(status, held->ledger, OK | FREED, wsstream_fd(held->ledger->stream, &ready.fd));
  CHECK((status == WSSTREAM_OK) == (ready.fd >= 0));
  if (status == WSSTREAM_OK) {
    int before = -1;
    if (!__atomic_compare_exchange_n(&held->ledger->descriptor, &before, ready.fd, 0, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
      CHECK_NUMBER(before, ready.fd);
    poll(&ready, 1, (int)pick_timeout(&actor->seed));
  }
  JUDGED(status, held->ledger, OK | FREED,
         wsstream_fd_watch(held->ledger->stream, pick(&actor->seed, 32)));
}

static void act_ask(struct actor *actor, struct held *held) {
  wsstream *stream = held->ledger->stream;
  wsstream_statistics now;
  wsstream_status status;
  wsstream *second = wsstream_ref(stream);
  CHECK(second == stream);
  wsstream_unref(second);
  CHECK(wsstream_url(stream)[0] == 'w' && wsstream_protocol(stream) != NULL && wsstream_extensions(stream) != NULL);
  wsstream_response_header(stream, "upgrade", WSSTREAM_NUL, pick(&actor->seed, 2));
  JUDGED(status, held->ledger, OK | FREED, wsstream_statistics_get(stream, &now, sizeof now));
  if (status != WSSTREAM_OK) return;
  CHECK(now.messages_received >= held->statistics.messages_received);
  CHECK(now.messages_sent >= held->statistics.messages_sent);
  CHECK(now.wire_received >= held->statistics.wire_received && now.wire_sent >= held->statistics.wire_sent);
  held->statistics = now;
}

/* --- callbacks --- */

/* Frees the stream where nobody else does. */
static int free_once(struct ledger *ledger) {
  if (SWAP(&ledger->claimed, 1)) return 0;
  wsstream_free(ledger->stream);
  STORE(&ledger->freed, 1);
  return 1;
}

static void enter_callback(struct ledger *ledger, wsstream *stream) {
  uint32_t events;
  CHECK(stream == ledger->stream && !ledger->is_gone && !ledger->in_callback);
  ledger->in_callback = 1;
  CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, wsstream_poll(stream, WSSTREAM_CLOSED, 1, &events));
}

static void leave_callback(struct ledger *ledger) {
  if (!LOAD(&is_ending) && pick(&ledger->callback_seed, 64) == 0) free_once(ledger);
  ledger->in_callback = 0;
}

static void opened(wsstream *stream, wsstream_status status, void *user_data) {
  struct ledger *ledger = user_data;
  enter_callback(ledger, stream);
  ledger->has_opened = 1;
  keep_latch("opened", ledger, &ledger->opened, status);
  ask_opened(ledger, 0);
  ADD(&ledger->on_opened.run);
  leave_callback(ledger);
}

static void closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct ledger *ledger = user_data;
  enter_callback(ledger, stream);
  CHECK(ledger->has_opened);
  keep_latch("closed", ledger, &ledger->closed, status);
  check_info(ledger, status, info);
  CHECK(ask_closed(ledger, 0) != WSSTREAM_AGAIN);
  ADD(&ledger->on_closed.run);
  leave_callback(ledger);
}

static uint32_t called(wsstream *stream, wsstream_status status, const wsstream_message *message, void *user_data) {
  struct ledger *ledger = user_data;
  uint32_t answer = WSSTREAM_CONTINUE;
  enter_callback(ledger, stream);
  CHECK((status == WSSTREAM_OK) == (message != NULL));
  if (!ledger->has_opened) CHECK_FAIL("%s comes before on_opened", wsstream_status_name(status));
  if (status == WSSTREAM_OK) {
    wsstream_message own;
    CHECK(!ledger->messages_ended);
    CHECK_OK(wsstream_message_retain(message, &own));
    take(ledger, &ledger->callback_seed, ledger->last_called, &own);
    if (!LOAD(&is_ending) && pick(&ledger->callback_seed, 8) == 0) answer = WSSTREAM_PAUSE;
  } else {
    CHECK((as_set(status) & (DONE | CONNECTION | ABORTED | STATE)) != 0);
    keep_reading(ledger, status);
    ledger->messages_ended = 1;
  }
  leave_callback(ledger);
  return answer;
}

static void happened(wsstream *stream, uint32_t events, void *user_data) {
  struct ledger *ledger = user_data;
  wsstream_status status;
  enter_callback(ledger, stream);
  CHECK(events != 0 && events < 32);
  if (!LOAD(&is_ending) && pick(&ledger->callback_seed, 2) == 0)
    JUDGED(status, ledger, OK | STATE,
           wsstream_on_event(stream, 1 + pick(&ledger->callback_seed, 31), happened, ledger));
  leave_callback(ledger);
}

static void gone(void *user_data) {
  struct ledger *ledger = user_data;
  CHECK(!ledger->in_callback && LOAD(&ledger->claimed));
  ledger->is_gone = 1;
  __atomic_add_fetch(&ledger->on_freed.run, 1, __ATOMIC_RELEASE);
}

static void logged(uint32_t level, const char *text, size_t size, void *user_data) {
  CHECK(level >= WSSTREAM_LOG_ERROR && level <= WSSTREAM_LOG_TRACE && text != NULL && size > 0);
  CHECK(user_data == &lines_logged);
  ADD(&lines_logged);
}

/* Counted before, as it may run before the call returns; taken back where it was refused. */
#define REGISTER(runs, ledger, call)                                                              \
  do {                                                                                             \
    wsstream_status check_registered;                                                              \
    ADD(&(runs)->accepted);                                                                       \
    JUDGED(check_registered, (ledger), OK | FREED, (call));                          \
    if (check_registered != WSSTREAM_OK) __atomic_sub_fetch(&(runs)->accepted, 1, __ATOMIC_RELAXED); \
  } while (0)

static void act_register(struct actor *actor, struct held *held) {
  struct ledger *ledger = held->ledger;
  wsstream *stream = ledger->stream;
  wsstream_status status;
  switch (pick(&actor->seed, 8)) {
  case 0: REGISTER(&ledger->on_opened, ledger, wsstream_on_opened(stream, opened, ledger)); break;
  case 1: REGISTER(&ledger->on_closed, ledger, wsstream_on_closed(stream, closed, ledger)); break;
  case 2: REGISTER(&ledger->on_freed, ledger, wsstream_on_freed(stream, gone, ledger)); break;
  case 3:
    JUDGED(status, ledger, OK | STATE | BUSY, wsstream_on_message(stream, called, ledger));
    break;
  case 4: case 5:
    JUDGED(status, ledger, OK | STATE | BUSY, wsstream_on_message(stream, NULL, NULL));
    break;
  case 6:
    JUDGED(status, ledger, OK | STATE,
           wsstream_on_event(stream, 1 + pick(&actor->seed, 31), pick(&actor->seed, 4) == 0 ? NULL : happened, ledger));
    break;
  default: JUDGED(status, ledger, OK | STATE, wsstream_resume(stream));
  }
}

/* --- beginning and ending --- */

static const uint32_t numbers[] = {
  WSSTREAM_OPTION_MAX_MESSAGE_SIZE, WSSTREAM_OPTION_READ_BUFFER_SIZE, WSSTREAM_OPTION_WRITE_BUFFER_SIZE,
  WSSTREAM_OPTION_PING_INTERVAL_MS, WSSTREAM_OPTION_TCP_NODELAY
};

static wsstream_options *pick_options(uint64_t *seed, wsstream_aborter *aborter) {
  const int64_t values[] = {pick(seed, 8) == 0 ? 1000 : 0, 1 + pick(seed, 5000), pick(seed, 5000), 1 + pick(seed, 20),
                            pick(seed, 2)};
  wsstream_options *options = wsstream_options_new();
  size_t i;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_CLOSE_TIMEOUT_MS, 200));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 300));
  for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (pick(seed, 2) == 0)
      CHECK_OK(wsstream_options_set_number(options, numbers[i], values[i]));
  if (pick(seed, 4) == 0) CHECK_OK(wsstream_options_add_protocol(options, "chat", WSSTREAM_NUL));
  if (pick(seed, 4) == 0) CHECK_OK(wsstream_options_add_header(options, "X-Random", WSSTREAM_NUL, "1", 1));
  if (aborter != NULL) CHECK_OK(wsstream_options_set_aborter(options, aborter));
  if (pick(seed, 2) == 0)
    CHECK_OK(wsstream_options_set_log(options, logged, 1 + pick(seed, 5), &lines_logged));
  return options;
}

/* A stream that nobody else knows yet. */
static struct ledger *begin_stream(uint64_t *seed) {
  struct ledger *ledger = calloc(1, sizeof *ledger);
  const uint32_t path = pick(seed, PATHS);
  wsstream_options *options;
  wsstream *none;
  CHECK(ledger != NULL);
  ledger->opened = ledger->closed = ledger->reading = ledger->writing = NO_ANSWER;
  ledger->descriptor = -1;
  ledger->is_echo = path < ECHOES;
  ledger->callback_seed = *seed;
  if (pick(seed, 2) == 0) ledger->aborter = wsstream_aborter_new();
  options = pick_options(seed, ledger->aborter);
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open("no url", WSSTREAM_NUL, options, &none));
  ledger->stream = check_begin_open(paths[path], options);
  wsstream_options_free(options);
  if (pick(seed, 2) == 0) REGISTER(&ledger->on_opened, ledger, wsstream_on_opened(ledger->stream, opened, ledger));
  /* Without one there is nothing that the other callbacks come after. */
  if (LOAD(&ledger->on_opened.accepted) == 0) ledger->has_opened = 1;
  if (pick(seed, 2) == 0) REGISTER(&ledger->on_freed, ledger, wsstream_on_freed(ledger->stream, gone, ledger));
  if (pick(seed, 2) == 0) REGISTER(&ledger->on_closed, ledger, wsstream_on_closed(ledger->stream, closed, ledger));
  return ledger;
}

/* Puts a stream in a place, which has a reference; the one that was there is freed, or kept as it is for the end. */
static void put_stream(struct ledger *ledger, uint32_t slot, int keep) {
  struct ledger *old;
  wsstream_ref(ledger->stream);
  pthread_mutex_lock(&slots_mutex);
  CHECK(ledger_count < STREAMS_MAX);
  ledgers[ledger_count++] = ledger;
  old = slots[slot];
  slots[slot] = ledger;
  pthread_mutex_unlock(&slots_mutex);
  if (old == NULL) return;
  if (!keep) free_once(old);
  wsstream_unref(old->stream);
}

static void drop(struct held *held) {
  if (held->ledger != NULL) wsstream_unref(held->ledger->stream);
  memset(held, 0, sizeof *held);
}

static void change_hand(struct actor *actor, struct held *held) {
  drop(held);
  pthread_mutex_lock(&slots_mutex);
  held->ledger = slots[pick(&actor->seed, SLOTS)];
  wsstream_ref(held->ledger->stream);
  pthread_mutex_unlock(&slots_mutex);
}

static void act_open(struct actor *actor, struct held *held) {
  (void)held;
  if (pick(&actor->seed, 2) == 0)
    put_stream(begin_stream(&actor->seed), pick(&actor->seed, SLOTS), (int)pick(&actor->seed, 2));
}

static void act_end(struct actor *actor, struct held *held) {
  struct ledger *ledger = held->ledger;
  const int32_t code = pick(&actor->seed, 2) == 0 ? WSSTREAM_NO_CODE : 4000 + (int32_t)pick(&actor->seed, 1000);
  wsstream_status status;
  /* Most streams are to live for a while. */
  switch (pick(&actor->seed, 16)) {
  case 0: JUDGED(status, ledger, OK | FREED, wsstream_close(ledger->stream, code, "random", 6)); break;
  case 1: JUDGED(status, ledger, OK | FREED, wsstream_readable_cancel(ledger->stream, code, "random", 6)); break;
  case 2: JUDGED(status, ledger, OK | FREED, wsstream_writable_abort(ledger->stream, code, "random", 6)); break;
  case 3:
    JUDGED(status, ledger, OK | AGAIN | STATE | CONNECTION | ABORTED,
           wsstream_writable_close(ledger->stream, pick_timeout(&actor->seed)));
    break;
  case 4: wsstream_aborter_abort(ledger->aborter); break;
  case 5: free_once(ledger); break;
  default: act_wait(actor, held);
  }
}

/* --- the run --- */

static void *act(void *argument) {
  static void (*const calls[])(struct actor *, struct held *) = {
    act_read, act_read, act_read, act_read_many, act_read_some, act_read_some, act_write, act_write, act_write,
    act_write_some, act_write_some, act_flush, act_poll, act_poll, act_wait, act_wake, act_descriptor, act_ask,
    act_register, act_register, act_open, act_end
  };
  struct actor *actor = argument;
  int i;
  for (i = 0; i < HAND; i++) change_hand(actor, &actor->hand[i]);
  for (i = 0; i < steps; i++) {
    struct held *held = &actor->hand[pick(&actor->seed, HAND)];
    if (pick(&actor->seed, 40) == 0) change_hand(actor, held);
    calls[pick(&actor->seed, sizeof calls / sizeof calls[0])](actor, held);
  }
  for (i = 0; i < HAND; i++) drop(&actor->hand[i]);
  return NULL;
}

/* Until it holds: for what the library does in its own time. The deadline of the program ends it. */
#define UNTIL(condition)                                                                           \
  while (!(condition)) {                                                                           \
    const struct timespec check_moment = {0, 1000000};                                             \
    nanosleep(&check_moment, NULL);                                                                \
  }

/* Ends a stream that nobody has freed: `closed` settles, and each callback has run once. */
static void end_stream(struct ledger *ledger) {
  if (LOAD(&ledger->claimed)) return;
  STORE(&check_claim, "every stream that was not freed settles");
  CHECK_OK(wsstream_close(ledger->stream, 1000, NULL, 0));
  /* A wake that nobody waited for lets one call return early. */
  while (ask_closed(ledger, SOON) == WSSTREAM_AGAIN) continue;
  ask_opened(ledger, 0);
  CHECK(LOAD(&ledger->opened) != NO_ANSWER);
  STORE(&check_claim, "each callback of a stream that was not freed runs");
  wsstream_resume(ledger->stream);
  UNTIL(LOAD(&ledger->on_opened.run) == ledger->on_opened.accepted);
  UNTIL(LOAD(&ledger->on_closed.run) == ledger->on_closed.accepted);
  CHECK(free_once(ledger));
}

/* After its last callback nothing of a stream is left but the ledger. */
static void forget_stream(struct ledger *ledger) {
  STORE(&check_claim, "on_freed runs once for each registration");
  UNTIL(__atomic_load_n(&ledger->on_freed.run, __ATOMIC_ACQUIRE) == ledger->on_freed.accepted);
  CHECK(LOAD(&ledger->on_opened.run) <= ledger->on_opened.accepted);
  CHECK(LOAD(&ledger->on_closed.run) <= ledger->on_closed.accepted);
  wsstream_aborter_free(ledger->aborter);
}

/* Waits until the library has ended its threads and given every descriptor back. This thread keeps the one it waits
 * with, so the count is of a time when it had waited already. */
static int stop_library(void) {
  STORE(&check_claim, "the library stops when every stream is freed");
  CHECK_OK(wsstream_runtime_stop(SOON));
  UNTIL(self_library_thread_count() == 0);
  return self_descriptor_count();
}

static void play(void) {
  static struct actor actors[THREADS];
  pthread_t threads[THREADS];
  uint64_t seed = first_seed;
  uint32_t i;
  int k;
  for (i = 0; i < SLOTS; i++) put_stream(begin_stream(&seed), i, 0);
  for (i = 0; i < THREADS; i++) {
    actors[i].number = i;
    actors[i].seed = seed + i * 7919;
    threads[i] = check_thread(act, &actors[i]);
  }
  for (i = 0; i < THREADS; i++) check_join(threads[i]);
  STORE(&is_ending, 1);
  for (k = 0; k < ledger_count; k++) end_stream(ledgers[k]);
  for (i = 0; i < SLOTS; i++) wsstream_unref(slots[i]->stream);
  for (k = 0; k < ledger_count; k++) forget_stream(ledgers[k]);
  for (i = 0; i < MAILBOXES; i++) {
    wsstream_message_release(mailboxes[i]);
    free(mailboxes[i]);
  }
}

int main(void) {
  const char *given_seed = getenv("WSSTREAM_TEST_SEED"), *given_steps = getenv("WSSTREAM_TEST_STEPS");
  int before, k;
  struct timespec now;

  check_begin();
  clock_gettime(CLOCK_REALTIME, &now);
  first_seed = given_seed != NULL ? strtoull(given_seed, NULL, 10) : (uint64_t)now.tv_nsec;
  if (given_steps != NULL) steps = atoi(given_steps);
  printf("WSSTREAM_TEST_SEED=%" PRIu64 " WSSTREAM_TEST_STEPS=%d\n", first_seed, steps);
  wsstream_free(check_open_and_sleep("/echo"));
  before = stop_library();
  STORE(&check_claim, "random calls");
  play();
  CHECK_NUMBER(before, stop_library());
  for (k = 0; k < ledger_count; k++) {
    free(ledgers[k]->gathering);
    free(ledgers[k]);
  }
  printf("ok %d streams, %d lines logged\n", ledger_count, lines_logged);
  return EXIT_SUCCESS;
}
