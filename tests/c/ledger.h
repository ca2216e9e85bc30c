/* What all threads of a test know of one stream together, and what must hold of it whatever the order of their calls:
 * each answer is one that its call may give, a latch never changes, what an echo brings back was sent and is whole.
 *
 * Counters are relaxed atomics: what orders the threads is to be the library alone. */
#ifndef WSSTREAM_TESTS_LEDGER_H
#define WSSTREAM_TESTS_LEDGER_H

#include "check.h"

/* The writers are threads with their number, and one for the messages that several threads write in parts. */
enum { WRITERS = 9, PARTS = WRITERS - 1, COUNT_MAX = 8192, HEADER = 24 };

#define LOAD(place) __atomic_load_n((place), __ATOMIC_RELAXED)
#define STORE(place, value) __atomic_store_n((place), (value), __ATOMIC_RELAXED)
#define ADD(place) __atomic_add_fetch((place), 1, __ATOMIC_RELAXED)
/* For what the test itself hands from thread to thread. */
#define SWAP(place, value) __atomic_exchange_n((place), (value), __ATOMIC_ACQ_REL)

/* Answers as a set. */
enum { OK = 1, DONE = 2, AGAIN = 4, QUEUED = 8, STATE = 16, ABORTED = 32, CONNECTION = 64, BUSY = 128,
       /* ERR_STATE, but only because the stream was freed. */
       FREED = 256 };
#define NO_ANSWER ((wsstream_status)99)

/* How often a kind of callback was accepted and how often it has run. */
struct runs {
  int accepted, run;
};

/* A stream with all that is known of it, by every thread. */
struct ledger {
  wsstream *stream;
  wsstream_aborter *aborter;
  int is_echo;
  int claimed; /* somebody frees it, or has */
  int freed;   /* wsstream_free has returned */
  wsstream_status opened, closed; /* what the latches answered first */
  wsstream_status reading, writing; /* how the halves have ended, where that can be told */
  const wsstream_close_info *info;
  int descriptor;
  struct runs on_opened, on_closed, on_freed;
  /* Echo: how many messages each writer has begun, and which came back. */
  uint32_t written[WRITERS];
  uint8_t seen[WRITERS][COUNT_MAX / 8];
  /* Whoever has the flag writes, or reads, in parts. */
  int writes_parts, reads_parts;
  uint32_t part_size, part_left;
  size_t gathered;
  uint32_t gathered_type;
  uint8_t *gathering;
  uint32_t last_gathered[WRITERS];
  /* Touched by callbacks alone, which never overlap: plain on purpose. */
  int in_callback, has_opened, messages_ended, is_gone;
  uint64_t callback_seed;
  uint32_t last_called[WRITERS];
};

static inline uint32_t as_set(wsstream_status status) {
  switch (status) {
  case WSSTREAM_OK: return OK;
  case WSSTREAM_DONE: return DONE;
  case WSSTREAM_AGAIN: return AGAIN;
  case WSSTREAM_QUEUED: return QUEUED;
  case WSSTREAM_ERR_STATE: return STATE;
  case WSSTREAM_ERR_ABORTED: return ABORTED;
  case WSSTREAM_ERR_CONNECTION: return CONNECTION;
  case WSSTREAM_ERR_BUSY: return BUSY;
  default: return 0;
  }
}

/* Checks an answer: one of those that its call may give, and ERR_STATE for sure where the stream was freed before. */
static inline void judge(const char *call, struct ledger *ledger, int was_freed, wsstream_status status,
                         uint32_t legal) {
  const uint32_t got = as_set(status);
  if (was_freed) legal = STATE | (legal & BUSY);
  if ((legal & FREED) != 0 && LOAD(&ledger->claimed)) legal |= STATE;
  if ((got & legal) == 0) {
    const wsstream_close_info *info = NULL;
    wsstream_wait_closed(ledger->stream, 0, &info);
    if (check_dump != NULL) check_dump(2);
    CHECK_FAIL("%s answers %s on %s%s: %s", call, wsstream_status_name(status), wsstream_url(ledger->stream),
               was_freed ? ", which was freed" : "", info != NULL ? info->detail : "it has not ended");
  }
}
#define JUDGED(status, ledger, legal, call)                                                        \
  do {                                                                                             \
    const int check_freed = LOAD(&(ledger)->freed);                                                \
    (status) = (call);                                                                             \
    judge(#call, (ledger), check_freed, (status), (legal));                                        \
  } while (0)

/* --- the latches --- */

/* Keeps the first answer that is for ever; a later one is the same. */
static inline void keep_latch(const char *name, struct ledger *ledger, wsstream_status *latch, wsstream_status status) {
  wsstream_status before = NO_ANSWER;
  if (!__atomic_compare_exchange_n(latch, &before, status, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) && before != status)
    CHECK_FAIL("%s of %s was %s and is %s", name, wsstream_url(ledger->stream), wsstream_status_name(before),
               wsstream_status_name(status));
}

static inline void check_info(struct ledger *ledger, wsstream_status status, const wsstream_close_info *info) {
  const wsstream_close_info *before = NULL;
  CHECK(info != NULL && info->struct_size == sizeof *info);
  CHECK((status == WSSTREAM_OK) == (info->clean == 1));
  CHECK(!info->clean || info->code != 1006);
  CHECK((status == WSSTREAM_ERR_ABORTED) <= (info->code == 1006 && info->cause == WSSTREAM_CAUSE_ABORTED));
  CHECK(info->reason[info->reason_size] == '\0' && info->detail[info->detail_size] == '\0');
  CHECK(info->response_body[info->response_body_size] == '\0');
  if (info->cause == WSSTREAM_CAUSE_INTERNAL || info->cause == WSSTREAM_CAUSE_RESOURCE)
    CHECK_FAIL("%s ended with cause %u: %s", wsstream_url(ledger->stream), info->cause, info->detail);
  if (!__atomic_compare_exchange_n(&ledger->info, &before, info, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    CHECK(before == info);
}

static inline wsstream_status ask_closed(struct ledger *ledger, int64_t timeout_ms) {
  const int was_settled = LOAD(&ledger->closed) != NO_ANSWER;
  const wsstream_close_info *info;
  wsstream_status status;
  JUDGED(status, ledger, OK | ABORTED | CONNECTION | FREED | (was_settled ? 0 : AGAIN),
         wsstream_wait_closed(ledger->stream, timeout_ms, &info));
  if (status == WSSTREAM_AGAIN || status == WSSTREAM_ERR_STATE) {
    CHECK(info == NULL);
  } else {
    keep_latch("closed", ledger, &ledger->closed, status);
    check_info(ledger, status, info);
  }
  return status;
}

static inline void ask_opened(struct ledger *ledger, int64_t timeout_ms) {
  const int was_settled = LOAD(&ledger->opened) != NO_ANSWER;
  wsstream_status status;
  JUDGED(status, ledger, OK | ABORTED | CONNECTION | FREED | (was_settled ? 0 : AGAIN),
         wsstream_wait_opened(ledger->stream, timeout_ms));
  if (status != WSSTREAM_AGAIN && status != WSSTREAM_ERR_STATE)
    keep_latch("opened", ledger, &ledger->opened, status);
  if (status == WSSTREAM_ERR_ABORTED || status == WSSTREAM_ERR_CONNECTION)
    CHECK(ask_closed(ledger, 0) != WSSTREAM_AGAIN);
}

/* --- what an echo brings back --- */

/* The bytes of a message tell who wrote it, as which of its messages, and how long it is. */
static inline void compose(uint8_t *out, uint32_t writer, uint32_t count, uint32_t size) {
  uint32_t i;
  snprintf((char *)out, HEADER + 1, "%02u %08u %08u    ", writer, count, size);
  for (i = HEADER; i < size; i++) out[i] = (uint8_t)('a' + (writer + count + i) % 26);
}

static inline uint32_t type_of(uint32_t count) { return count % 2 == 0 ? WSSTREAM_TEXT : WSSTREAM_BINARY; }

/* Checks a whole message against what was sent. `last` is what the same reader has read before, which came before. */
static inline void check_brought_back(struct ledger *ledger, uint32_t type, const uint8_t *data, size_t size, uint32_t *last) {
  unsigned writer, count, told, i;
  char header[HEADER + 1];
  uint8_t *seen, bit;
  CHECK(size >= HEADER);
  memcpy(header, data, HEADER);
  header[HEADER] = '\0';
  CHECK(sscanf(header, "%2u %8u %8u", &writer, &count, &told) == 3);
  CHECK(writer < WRITERS && count < COUNT_MAX && told == size);
  CHECK_NUMBER(type_of(count), type);
  CHECK(count <= LOAD(&ledger->written[writer]));
  for (i = HEADER; i < size; i++)
    if (data[i] != 'a' + (writer + count + i) % 26) CHECK_FAIL("byte %u of %zu is another one", i, size);
  seen = &ledger->seen[writer][count / 8];
  bit = (uint8_t)(1u << count % 8);
  if ((__atomic_fetch_or(seen, bit, __ATOMIC_RELAXED) & bit) != 0)
    CHECK_FAIL("message %u of writer %u came twice", count, writer);
  if (count < last[writer]) CHECK_FAIL("message %u of writer %u came after %u", count, writer, last[writer]);
  last[writer] = count;
}

#endif
