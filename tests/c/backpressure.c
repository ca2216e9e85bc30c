/* Backpressure, measured. Reading: a peer that sends without end is stopped by the read buffer, whatever it sends. Writing:
 * for a peer that reads nothing the write buffer and one message are held. Resident memory stays where it was over a
 * gigabyte in each direction (over wss 256 MiB), also with a side that is always a little behind.
 *
 * How much the library has taken from the system and given to it is the system's number (TCP_INFO), not the library's. */
#include "check.h"
#include "measure.h"
#include "server.h"
#include "tally.h"

#include <sched.h>

/* What is held beyond READ_BUFFER_SIZE: the last receive, which is of 257 KiB at most, one of TLS of 64 KiB and a record
 * of 16 KiB that was not whole; the answer to the opening handshake, TLS's included, is in the numbers as well. */
enum { RECEIVE = (257 + 64 + 16 + 16) << 10 };

/* What may be resident more: the library's pool keeps 2 MiB of used memory, what is held has copies on its way (the last
 * receive, twice a message that grows), and a new thread has its heap. Together below 4 MiB; the rest is the allocator's. */
#define FLAT (8 * MIB)

static wsstream *open_with(const char *path, uint32_t option, int64_t value) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  measure_await_no_connection();
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_MAX_MESSAGE_SIZE, 0));
  CHECK_OK(wsstream_options_set_number(options, option, value));
  stream = check_begin_open(path, options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  return stream;
}

static wsstream_statistics statistics_of(wsstream *stream) {
  wsstream_statistics now;
  CHECK_OK(wsstream_statistics_get(stream, &now, sizeof now));
  return now;
}

static int64_t sent_by_server(const char *id) {
  char target[128], *record;
  int64_t sent;
  snprintf(target, sizeof target, "/record/%s?wait_ms=0", id);
  record = server_ask(target);
  sent = server_count(record, "sent_bytes");
  free(record);
  return sent;
}

/* ---- Reading. */

/* `wire`: bytes that come for one that counts. */
static void expect_stopped(const char *what, const char *flood, int64_t mark, int64_t wire) {
  struct connection connection;
  struct resident resident;
  wsstream_statistics now;
  wsstream *stream;
  const char *id = server_fresh_word();
  char path[512];
  int64_t sent, before = -1;
  int socket, look;
  snprintf(path, sizeof path, "/flood?id=%s&%s", id, flood);
  resident_begin(&resident);
  stream = open_with(path, WSSTREAM_OPTION_READ_BUFFER_SIZE, mark);
  socket = measure_find_connection();
  /* A machine that stands still looks like a server that is stopped: it is only if it has sent no more at the next look. */
  for (sent = 0; sent != before;) {
    before = sent;
    measure_stuck(socket, &connection);
    sent = sent_by_server(id);
  }
  /* It goes on trying. Who waits for something else takes nothing: READABLE would ask for the message at the head. */
  for (look = 0; look < 5; look++) {
    uint32_t events;
    resident_look(&resident);
    CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_CLOSED, 10, &events));
    measure_connection(socket, &connection);
    if (connection.taken > mark * wire + RECEIVE)
      CHECK_FAIL("%s: %" PRId64 " bytes were taken with a read buffer of %" PRId64, what, connection.taken, mark);
  }
  CHECK(connection.waits > 0);
  now = statistics_of(stream);
  CHECK((int64_t)now.unread_messages * 64 <= mark + 64);
  CHECK((int64_t)now.unread <= mark + RECEIVE);
  resident_check(&resident, FLAT, what);
  wsstream_free(stream);
}

/* Rows: B02, B03 */
static void a_peer_that_sends_without_end_is_stopped_at_the_read_buffer(void) {
  static const int64_t marks[] = {1, 16 << 10, 256 << 10, 1 << 20};
  size_t i;
  for (i = 0; i < sizeof marks / sizeof marks[0]; i++) {
    expect_stopped("empty messages", "hex=8200", marks[i], 1);
    expect_stopped("messages of 1 byte", "hex=810141", marks[i], 1);
    expect_stopped("messages of 16 bytes", "hex=821000112233445566778899aabbccddeeff", marks[i], 1);
    expect_stopped("a message without end", "before=827f7fffffffffffffff&hex=00", marks[i], 1);
    expect_stopped("a message without end in fragments of 1 byte", "before=0200&hex=000158", marks[i], 3);
  }
}

static void expect_stopped_at(const char *path, int64_t mark) {
  struct connection connection;
  wsstream *stream = open_with(path, WSSTREAM_OPTION_READ_BUFFER_SIZE, mark);
  const int socket = measure_find_connection();
  measure_stuck(socket, &connection);
  CHECK(connection.waits > 0 && connection.taken <= mark + RECEIVE);
  wsstream_free(stream);
}

/* Rows: B03 */
static void sixteen_messages_of_a_mebibyte_are_not_swallowed(void) {
  expect_stopped_at("/count?n=0&size=1048576&type=binary", 256 << 10);
  expect_stopped_at("/count?n=16&size=1048576&type=binary", 256 << 10);
}

/* Byte j of message i as /count makes it. */
static void check_pattern(const wsstream_message *message, uint64_t index, size_t size) {
  static uint8_t bytes[251 + (1 << 16)];
  const uint8_t *data = message->data;
  size_t i;
  if (bytes[1] == 0)
    for (i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 251);
  CHECK_NUMBER(size, message->size);
  CHECK(size <= 1 << 16);
  if (memcmp(data, bytes + index % 251 * 31 % 251, size) != 0) CHECK_FAIL("message %" PRIu64 " differs", index);
}

/* Makes sure that the reader is behind: bytes wait in the system, and at every sixteenth MiB the library has read ahead to
 * half of the mark, too. The last of `total` bytes are not waited for. */
static void stay_behind(wsstream *stream, int socket, int64_t mark, int64_t total, int64_t *next) {
  struct connection connection;
  wsstream_statistics now;
  for (;;) {
    measure_connection(socket, &connection);
    if (connection.taken + connection.waits >= total) return;
    if (connection.waits > 0) break;
    sched_yield();
  }
  if (connection.taken < *next) return;
  *next = connection.taken + 16 * MIB;
  for (;;) {
    now = statistics_of(stream);
    measure_connection(socket, &connection);
    if ((int64_t)(now.unread + now.unread_messages * 64) >= mark / 2) return;
    if (connection.taken + connection.waits >= total) return;
    let_pass_ms(12);
  }
}

/* Rows: B02 */
static void a_reader_that_is_always_behind_gets_a_gigabyte_whole_in_flat_memory(void) {
  enum { SIZE = 4096, MARK = 256 << 10, AT_ONCE = MARK / 2 / SIZE };
  const uint64_t count = (uint64_t)measure_amount(1024, 256) / SIZE;
  const int64_t begin = now_ms();
  struct resident resident;
  wsstream *stream;
  uint64_t index = 0;
  int64_t next = 0;
  char path[128];
  int socket;
  snprintf(path, sizeof path, "/count?n=%" PRIu64 "&size=%d&type=binary&close=none", count, SIZE);
  resident_begin(&resident);
  stream = open_with(path, WSSTREAM_OPTION_READ_BUFFER_SIZE, MARK);
  socket = measure_find_connection();
  while (index < count) {
    wsstream_message messages[AT_ONCE];
    size_t got, i;
    stay_behind(stream, socket, MARK, (int64_t)count * SIZE, &next);
    CHECK_OK(wsstream_read_many(stream, SOON, messages, AT_ONCE, &got));
    for (i = 0; i < got; i++) {
      check_pattern(&messages[i], index++, SIZE);
      wsstream_message_release(&messages[i]);
    }
    if (index % 256 == 0) resident_look(&resident);
  }
  printf("   %" PRIu64 " messages in %" PRId64 " ms\n", count, now_ms() - begin);
  resident_check(&resident, FLAT, "a reader that is always behind");
  wsstream_free(stream);
}

/* Rows: B02 */
static void a_message_of_a_gigabyte_is_read_in_parts_in_flat_memory(void) {
  enum { MARK = 256 << 10 };
  const int64_t size = measure_amount(1024, 256), begin = now_ms();
  static uint8_t part[MARK / 4];
  struct resident resident;
  wsstream *stream;
  wsstream_chunk chunk;
  int64_t position = 0, next = 0, i, looks = 0;
  char path[256];
  int socket;
  /* One frame: its header, and sixteen bytes again and again. */
  snprintf(path, sizeof path, "/flood?before=827f%016" PRIx64 "&hex=000102030405060708090a0b0c0d0e0f&n=%" PRId64,
           (uint64_t)size, size / 16);
  resident_begin(&resident);
  stream = open_with(path, WSSTREAM_OPTION_READ_BUFFER_SIZE, MARK);
  socket = measure_find_connection();
  do {
    stay_behind(stream, socket, MARK, size, &next);
    CHECK_OK(wsstream_read_some(stream, part, sizeof part, SOON, &chunk));
    for (i = 0; i < (int64_t)chunk.size; i++)
      if (part[i] != (position + i) % 16) CHECK_FAIL("byte %" PRId64 " differs", position + i);
    position += (int64_t)chunk.size;
    if (++looks % 16 == 0) resident_look(&resident);
  } while ((chunk.flags & WSSTREAM_FIN) == 0);
  CHECK_NUMBER(size, position);
  printf("   %" PRId64 " bytes in %" PRId64 " ms\n", size, now_ms() - begin);
  resident_check(&resident, FLAT, "a message in parts");
  wsstream_free(stream);
}

/* ---- Writing. */

/* The message with this index of those that /verify expects; valid for ever. */
static const uint8_t *pattern(uint64_t index) {
  static uint8_t bytes[251 + (8 << 20)];
  size_t i;
  if (bytes[1] == 0)
    for (i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 251);
  return bytes + index % 251 * 31 % 251;
}

static wsstream *open_verifying(size_t size, const char *token, int64_t mark) {
  char path[256];
  if (token == NULL) snprintf(path, sizeof path, "/verify?size=%zu&type=binary&receive_buffer=262144", size);
  else snprintf(path, sizeof path, "/verify?size=%zu&type=binary&receive_buffer=65536&token=%s", size, token);
  return open_with(path, WSSTREAM_OPTION_WRITE_BUFFER_SIZE, mark);
}

/* Closes, and the server has had so many messages and found each to be the right one. */
static void expect_verified(wsstream *stream, uint64_t count) {
  char reason[64];
  snprintf(reason, sizeof reason, "%" PRIu64 " messages", count);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, reason);
}

/* Writes without waiting, from pattern(count) on, until nothing is taken any more, also after the system has had time;
 * answers how many messages were taken in all then. */
static uint64_t fill(wsstream *stream, size_t size, uint64_t count, int socket, struct connection *connection) {
  uint64_t before;
  do {
    wsstream_status status;
    before = count;
    while ((status = wsstream_write(stream, WSSTREAM_BINARY, pattern(count), size, 0)) != WSSTREAM_AGAIN) {
      CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
      count++;
      if ((int64_t)(count * size) > 2 * MEASURE_ENDLESS) CHECK_FAIL("%" PRIu64 " messages were taken without an end", count);
    }
    measure_stuck(socket, connection);
  } while (count > before);
  return count;
}

static void expect_held(size_t size, int64_t mark) {
  const int64_t frame = (int64_t)size + 4 + (size < 126 ? 2 : size < 65536 ? 4 : 10);
  /* A message above 1 MiB goes in frames of 256 KiB. */
  const int64_t frames = size > 1 << 20 ? (int64_t)size / (256 << 10) * 14 : 0;
  const char *token = server_fresh_word();
  struct connection connection;
  struct resident resident;
  wsstream *stream;
  uint64_t count;
  int64_t held;
  int socket;
  pattern(0);
  resident_begin(&resident);
  stream = open_verifying(size, token, mark);
  socket = measure_find_connection();
  count = fill(stream, size, 0, socket, &connection);
  CHECK(count > 0 && connection.unacknowledged > 0);
  /* Over wss what was given to the system has grown by TLS, some hundredths for messages as small as 1 KiB: there the
   * library's own number bounds it. */
  held = (int64_t)count * frame - connection.given;
  if (measure_is_secure()) held = (int64_t)statistics_of(stream).unsent;
  else CHECK((int64_t)statistics_of(stream).unsent <= held + 1024);
  if (held > mark + frame + frames)
    CHECK_FAIL("%" PRId64 " bytes are held for messages of %zu and a write buffer of %" PRId64, held, size, mark);
  resident_check(&resident, FLAT + 2 * (mark + frame), "a peer that never reads");
  server_release(token);
  expect_verified(stream, count);
}

/* Rows: W06, B06 */
static void for_a_peer_that_never_reads_the_write_buffer_and_one_message_are_held(void) {
  static const size_t sizes[] = {1024, 60000, 1 << 20, 8 << 20};
  static const int64_t marks[] = {0, 64 << 10, 1 << 20};
  size_t i, j;
  for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (j = 0; j < sizeof marks / sizeof marks[0]; j++) expect_held(sizes[i], marks[j]);
}

struct writing {
  wsstream *stream;
  wsstream_status status;
  int thread;
  struct tally ended;
};

enum { LARGE = 8 << 20 };

static void *write_large(void *argument) {
  struct writing *writing = argument;
  writing->status = wsstream_write(writing->stream, WSSTREAM_BINARY, pattern(0), LARGE, WSSTREAM_FOREVER);
  tally_add(&writing->ended);
  return NULL;
}

/* Rows: W07, B06 */
static void a_write_of_8_mebibytes_is_pending_until_the_peer_reads(void) {
  const char *token = server_fresh_word();
  struct writing writing = {NULL, WSSTREAM_ERR_INTERNAL, 0, TALLY_ZERO};
  struct connection connection;
  pthread_t thread;
  pattern(0);
  writing.stream = open_verifying(LARGE, token, 64 << 10);
  thread = check_thread(write_large, &writing);
  measure_stuck(measure_find_connection(), &connection);
  CHECK(connection.given < LARGE);
  CHECK_NUMBER(0, tally_count(&writing.ended));
  server_release(token);
  check_join(thread);
  CHECK_STATUS(WSSTREAM_OK, writing.status);
  expect_verified(writing.stream, 1);
}

/* Nobody reads while it is tried, so a call that waited for the peer would never come back. */
/* Rows: W06, B06 */
static void attempts_at_a_gigabyte_without_waiting_are_refused_in_flat_memory(void) {
  enum { SIZE = 65521 };
  const int64_t amount = measure_amount(1024, 1024), begin = now_ms();
  const char *token = server_fresh_word();
  struct connection stuck, connection;
  struct resident resident;
  wsstream *stream;
  uint64_t count, unsent;
  int64_t attempts;
  int socket;
  pattern(0);
  resident_begin(&resident);
  stream = open_verifying(SIZE, token, 64 << 10);
  socket = measure_find_connection();
  count = fill(stream, SIZE, 0, socket, &stuck);
  unsent = statistics_of(stream).unsent;
  for (attempts = 0; attempts < amount / SIZE; attempts++) {
    const wsstream_status status = wsstream_write(stream, WSSTREAM_BINARY, pattern(count), SIZE, 0);
    if (status != WSSTREAM_AGAIN) {
      /* Only where the peer's system found room for more, as it does for a probe now and then. */
      CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
      measure_connection(socket, &connection);
      CHECK(connection.given > stuck.given);
      count = fill(stream, SIZE, count + 1, socket, &stuck);
      unsent = statistics_of(stream).unsent;
    }
    if (attempts % 64 == 0) resident_look(&resident);
  }
  CHECK(statistics_of(stream).unsent <= unsent);
  printf("   %" PRId64 " attempts in %" PRId64 " ms\n", attempts, now_ms() - begin);
  resident_check(&resident, FLAT, "attempts");
  server_release(token);
  expect_verified(stream, count);
}

static void expect_whole_behind(int64_t mark, int64_t amount) {
  enum { SIZE = 60000 };
  const uint64_t count = (uint64_t)amount / SIZE;
  const int64_t begin = now_ms();
  struct resident resident;
  wsstream *stream;
  uint64_t index = 0, refused = 0, empty = 0;
  pattern(0);
  resident_begin(&resident);
  stream = open_verifying(SIZE, NULL, mark);
  while (index < count) {
    uint32_t events;
    const wsstream_status status = wsstream_write(stream, WSSTREAM_BINARY, pattern(index), SIZE, 0);
    CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED || status == WSSTREAM_AGAIN);
    if (status != WSSTREAM_AGAIN) {
      index++;
      continue;
    }
    refused++;
    resident_look(&resident);
    CHECK_OK(wsstream_poll(stream, WSSTREAM_WRITABLE, SOON, &events));
    empty += statistics_of(stream).unsent == 0;
  }
  printf("   %" PRIu64 " messages in %" PRId64 " ms; of %" PRIu64 " waits %" PRIu64 " left nothing unsent\n", count,
         now_ms() - begin, refused, empty);
  /* What was sent lies in front of what was not, at most as much of it, in memory that grows twofold. */
  resident_check(&resident, FLAT + 4 * mark, "a peer that is always behind");
  expect_verified(stream, count);
}

/* With a large write buffer there is always something unsent, and the one memory of it is in use all the time. */
/* Rows: W06, B06 */
static void a_gigabyte_for_a_peer_that_is_always_behind_arrives_whole_in_flat_memory(void) {
  expect_whole_behind(64 << 10, measure_amount(128, 32));
  expect_whole_behind(8 << 20, measure_amount(1024, 256));
}

/* A message and a ping lie behind the message that was read: that somebody asks again and again how things stand is no
 * reason to leave them there. */
static void asking_for_statistics_holds_up_nothing(void) {
  wsstream *stream = check_open("/ping_echo");
  uint64_t round;
  for (round = 1; round <= 10; round++) {
    wsstream_message message;
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "one", 3, WSSTREAM_FIN | WSSTREAM_MORE, SOON));
    CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "two", 3, SOON));
    message = check_read(stream);
    wsstream_message_release(&message);
    while (statistics_of(stream).pings_received < 2 * round) sched_yield();
    message = check_read(stream);
    wsstream_message_release(&message);
  }
  wsstream_free(stream);
}

int main(void) {
  check_begin();
  RUN(a_peer_that_sends_without_end_is_stopped_at_the_read_buffer);
  RUN(sixteen_messages_of_a_mebibyte_are_not_swallowed);
  RUN(a_reader_that_is_always_behind_gets_a_gigabyte_whole_in_flat_memory);
  RUN(a_message_of_a_gigabyte_is_read_in_parts_in_flat_memory);
  RUN(for_a_peer_that_never_reads_the_write_buffer_and_one_message_are_held);
  RUN(a_write_of_8_mebibytes_is_pending_until_the_peer_reads);
  RUN(attempts_at_a_gigabyte_without_waiting_are_refused_in_flat_memory);
  RUN(a_gigabyte_for_a_peer_that_is_always_behind_arrives_whole_in_flat_memory);
  RUN(asking_for_statistics_holds_up_nothing);
  return EXIT_SUCCESS;
}
