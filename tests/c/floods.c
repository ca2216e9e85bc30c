/* Floods of what is small, with one stream flooded among a thousand that are open: resident memory stays where it was, and
 * the other 999 have their echoes meanwhile. Messages have a slow reader; what is no message, nobody reads.
 *
 * Over ws it is a gigabyte on the wire of messages of 0, 1 and 16 bytes, of empty fragments and of interim responses of
 * 1 KiB; over wss a quarter of it. Less, for the sake of time: 256 MiB (over wss 32) of the largest pings and 4 MiB (1) of
 * empty ones from a peer that reads no pongs, 64 MiB (8) of pings that are all answered, 128 MiB (16) of the smallest
 * interim responses. Heads that do not end are no gigabyte at all: each is cut off, fifty times of each kind. */
#include "check.h"
#include "measure.h"
#include "server.h"
#include "tally.h"

#include <sched.h>
#include <sys/resource.h>

/* The others, which echo. A sanitizer makes a thousand of them slow. */
enum { OTHERS = MEASURE_IS_SANITIZED ? 49 : 999, OPENING_AT_ONCE = 50 };

/* What may be resident more than after the first rounds of echoes. The library's pool keeps 2 MiB of used memory; the flooded
 * stream holds its read buffer of 1 MiB, for 16384 messages of one byte as much again for each one's place and allocation,
 * and the last receives: together below 4 MiB, doubled for the allocator. And the others' buffers, 4 KiB of a chunk and as
 * much of TLS each, which may all be there at once where the echoes come slowly: 8 MiB. */
#define FLAT (16 * MIB)
enum { MARK = 1 << 20 };

static wsstream *others[OTHERS];
static int rounds;

/* Each of the others has its own message back; then the flood has a moment alone. */
static void echo_on_all_others(void) {
  int i;
  rounds++;
  for (i = 0; i < OTHERS; i++) {
    char text[64];
    const int size = snprintf(text, sizeof text, "stream %d in round %d", i, rounds);
    CHECK_OK(wsstream_write(others[i], WSSTREAM_TEXT, text, (size_t)size, SOON));
  }
  for (i = 0; i < OTHERS; i++) {
    char text[64];
    const int size = snprintf(text, sizeof text, "stream %d in round %d", i, rounds);
    wsstream_message message = check_read(others[i]);
    CHECK_MESSAGE(WSSTREAM_TEXT, text, (size_t)size, &message);
    wsstream_message_release(&message);
  }
  let_pass_ms(250);
}

static void open_others(void) {
  wsstream_options *options = wsstream_options_new();
  int i, begun = 0;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 0));
  for (i = 0; i < OTHERS; i++) {
    while (begun < OTHERS && begun < i + OPENING_AT_ONCE) others[begun++] = check_begin_open("/echo", options);
    CHECK_OK(wsstream_wait_opened(others[i], WSSTREAM_FOREVER));
  }
  wsstream_options_free(options);
  for (i = 0; i < 3; i++) echo_on_all_others();
}

static void free_others(void) {
  int i;
  for (i = 0; i < OTHERS; i++) wsstream_free(others[i]);
}

static wsstream_statistics statistics_of(wsstream *stream) {
  wsstream_statistics now;
  CHECK_OK(wsstream_statistics_get(stream, &now, sizeof now));
  return now;
}

/* A stream to /flood that waits for a word to begin. */
static wsstream *open_flooded(const char *flood) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  char path[448];
  const int size = snprintf(path, sizeof path, "/flood?wait=1&%s", flood);
  CHECK(size > 0 && (size_t)size < sizeof path);
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, MARK));
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  return stream;
}

/* ---- Messages, and a slow reader of them. */

struct reading {
  wsstream *stream;
  uint64_t count;
  const char *expected;
  size_t size;
  struct tally over;
};

/* At every 32nd MiB the reader waits until the library has read ahead to half of the mark, or all there is. */
static void fall_behind(const struct reading *reading) {
  for (;;) {
    const wsstream_statistics now = statistics_of(reading->stream);
    if ((int64_t)(now.unread + now.unread_messages * 64) >= MARK / 2 || now.messages_received >= reading->count) return;
    let_pass_ms(12);
  }
}

static void *read_slowly(void *argument) {
  struct reading *reading = argument;
  enum { AT_ONCE = 4096 };
  static wsstream_message messages[AT_ONCE];
  const uint64_t pause = (32 << 20) / (2 + reading->size);
  uint64_t left = reading->count, next = left;
  while (left > 0) {
    size_t got, i;
    if (left <= next) {
      fall_behind(reading);
      next = left > pause ? left - pause : 0;
    }
    CHECK_OK(wsstream_read_many(reading->stream, SOON, messages, AT_ONCE, &got));
    for (i = 0; i < got; i++) {
      if (messages[i].size != reading->size || memcmp(messages[i].data, reading->expected, reading->size) != 0)
        CHECK_FAIL("a message differs");
      wsstream_message_release(&messages[i]);
    }
    CHECK(got <= left);
    left -= got;
  }
  tally_add(&reading->over);
  return NULL;
}

static void flood_with_messages(const char *what, const char *hex, const char *expected, size_t size, int64_t amount) {
  struct reading reading = {NULL, (uint64_t)amount / (2 + size), expected, size, TALLY_ZERO};
  const int64_t begin = now_ms();
  const int before = rounds;
  struct resident resident;
  pthread_t thread;
  char flood[128];
  snprintf(flood, sizeof flood, "hex=%s&n=%" PRIu64, hex, reading.count);
  resident_begin(&resident);
  reading.stream = open_flooded(flood);
  CHECK_OK(wsstream_write(reading.stream, WSSTREAM_TEXT, "go", 2, SOON));
  thread = check_thread(read_slowly, &reading);
  do {
    echo_on_all_others();
    resident_look(&resident);
  } while (tally_count(&reading.over) == 0);
  check_join(thread);
  printf("   %s: %" PRId64 " MiB in %" PRId64 " ms, %d rounds\n", what, amount / MIB, now_ms() - begin, rounds - before);
  CHECK_NUMBER(reading.count, statistics_of(reading.stream).messages_received);
  resident_check(&resident, FLAT, what);
  wsstream_free(reading.stream);
}

static void a_flood_of_empty_messages_leaves_memory_flat(void) {
  flood_with_messages("empty messages", "8200", "", 0, measure_amount(1024, 256));
}

static void a_flood_of_messages_of_1_byte_leaves_memory_flat(void) {
  flood_with_messages("messages of 1 byte", "810141", "A", 1, measure_amount(1024, 256));
}

static void a_flood_of_messages_of_16_bytes_leaves_memory_flat(void) {
  flood_with_messages("messages of 16 bytes", "821030313233343536373839616263646566", "0123456789abcdef", 16,
                      measure_amount(1024, 256));
}

/* ---- What nobody reads, and what ends in one message. */

static void flood_with_frames(const char *what, const char *flood, int64_t amount, const char *expected) {
  const int64_t begin = now_ms();
  const int before = rounds;
  struct resident resident;
  wsstream_message message;
  wsstream *stream;
  resident_begin(&resident);
  stream = open_flooded(flood);
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "go", 2, SOON));
  do {
    echo_on_all_others();
    resident_look(&resident);
  } while (statistics_of(stream).messages_received == 0);
  printf("   %s: %" PRId64 " MiB in %" PRId64 " ms, %d rounds\n", what, amount / MIB, now_ms() - begin, rounds - before);
  CHECK((int64_t)statistics_of(stream).wire_received >= amount);
  resident_check(&resident, FLAT, what);
  message = check_read(stream);
  CHECK_MESSAGE(WSSTREAM_TEXT, expected, strlen(expected), &message);
  wsstream_message_release(&message);
  wsstream_free(stream);
}

static void flood_with_pings(const char *what, size_t size, int reads, int64_t amount) {
  const int64_t count = amount / (int64_t)(2 + size) + 1;
  char flood[400], payload[251] = "";
  size_t i;
  for (i = 0; i < size; i++) memcpy(payload + 2 * i, "70", 3);
  snprintf(flood, sizeof flood, "hex=89%02zx%s&n=%" PRId64 "&reads=%d&receive_buffer=65536&behind=81046f766572", size,
           payload, count, reads);
  flood_with_frames(what, flood, amount, "over");
}

static void a_flood_of_pings_from_a_peer_that_reads_no_pongs_leaves_memory_flat(void) {
  flood_with_pings("pings", 125, 0, measure_amount(256, 32));
  flood_with_pings("empty pings", 0, 0, measure_amount(4, 1));
}

static void a_flood_of_pings_that_are_all_answered_leaves_memory_flat(void) {
  flood_with_pings("answered pings", 125, 1, measure_amount(64, 8));
}

static void a_flood_of_empty_fragments_leaves_memory_flat(void) {
  const int64_t amount = measure_amount(1024, 256);
  char flood[128];
  snprintf(flood, sizeof flood, "before=0100&hex=0000&n=%" PRId64 "&behind=8000", amount / 2);
  flood_with_frames("empty fragments", flood, amount, "");
}

/* ---- Heads of responses. */

/* The peer would go on for ever; it is cut off after MAX_HEADER_SIZE, and what the system had taken by then is all that it
 * got rid of. */
static void expect_cut_off(const char *path) {
  const wsstream_close_info *info = NULL;
  wsstream *stream = check_begin_open(path, NULL);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, &info));
  CHECK((int64_t)statistics_of(stream).wire_received <= 65536 + 256 * KIB);
  wsstream_free(stream);
}

static void heads_without_end_are_cut_off_each_time_in_flat_memory(void) {
  static const char *const kinds[] = {"endless=headers", "endless=line", "endless=interim", "endless=hints",
                                      "endless=body&status=404"};
  struct resident resident;
  char path[64];
  int i, kind;
  resident_begin(&resident);
  for (i = 0; i < (MEASURE_IS_SANITIZED ? 3 : 50); i++) {
    for (kind = 0; kind < 5; kind++) {
      snprintf(path, sizeof path, "/handshake?%s", kinds[kind]);
      expect_cut_off(path);
    }
    resident_look(&resident);
  }
  resident_check(&resident, FLAT, "heads without end");
}

static void flood_with_responses(const char *kind, int64_t amount) {
  const int64_t begin = now_ms();
  const int before = rounds;
  wsstream_options *options = wsstream_options_new();
  struct resident resident;
  wsstream *stream;
  char path[64];
  snprintf(path, sizeof path, "/handshake?endless=%s", kind);
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_MAX_HEADER_SIZE, 8192 * MIB));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 0));
  resident_begin(&resident);
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  do {
    echo_on_all_others();
    resident_look(&resident);
  } while ((int64_t)statistics_of(stream).wire_received < amount);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_wait_opened(stream, 0));
  printf("   %s: %" PRId64 " MiB in %" PRId64 " ms, %d rounds\n", kind, amount / MIB, now_ms() - begin, rounds - before);
  resident_check(&resident, FLAT, kind);
  wsstream_free(stream);
}

static void a_flood_of_interim_responses_within_the_limit_leaves_memory_flat(void) {
  flood_with_responses("hints", measure_amount(1024, 256));
  flood_with_responses("interim", measure_amount(128, 16));
}

int main(void) {
  struct rlimit descriptors;
  check_begin();
  check_dump = NULL; /* of a thousand streams it would bury what has failed */
  CHECK_NUMBER(0, getrlimit(RLIMIT_NOFILE, &descriptors));
  descriptors.rlim_cur = descriptors.rlim_max;
  CHECK_NUMBER(0, setrlimit(RLIMIT_NOFILE, &descriptors));
  open_others();
  RUN(a_flood_of_empty_messages_leaves_memory_flat);
  RUN(a_flood_of_messages_of_1_byte_leaves_memory_flat);
  RUN(a_flood_of_messages_of_16_bytes_leaves_memory_flat);
  RUN(a_flood_of_pings_from_a_peer_that_reads_no_pongs_leaves_memory_flat);
  RUN(a_flood_of_pings_that_are_all_answered_leaves_memory_flat);
  RUN(a_flood_of_empty_fragments_leaves_memory_flat);
  RUN(heads_without_end_are_cut_off_each_time_in_flat_memory);
  RUN(a_flood_of_interim_responses_within_the_limit_leaves_memory_flat);
  free_others();
  return EXIT_SUCCESS;
}
