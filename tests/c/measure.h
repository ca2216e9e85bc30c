/* What the system says of this process: the memory that is resident, and how far a connection's bytes have come. It knows
 * nothing of streams. The system counts memory in batches of pages, so a number here is off by half a MiB at times. */
#ifndef WSSTREAM_TESTS_MEASURE_H
#define WSSTREAM_TESTS_MEASURE_H

#include "check.h"
#include "self.h"
#include "tally.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)

/* A sanitizer keeps what was freed and makes everything many times slower: under one, amounts are small and resident
 * memory is not judged. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEASURE_IS_SANITIZED = 1 };
#else
enum { MEASURE_IS_SANITIZED = 0 };
#endif

static inline int measure_is_secure(void) {
  const char *url = getenv("WSSTREAM_TEST_URL");
  return url != NULL && strncmp(url, "wss:", 4) == 0;
}

/* How many bytes a flood has: so many MiB over ws, so many over wss; WSSTREAM_TEST_FLOOD_PERCENT scales it. */
static inline int64_t measure_amount(int64_t ws_mib, int64_t wss_mib) {
  const char *percent = getenv("WSSTREAM_TEST_FLOOD_PERCENT");
  int64_t mib = measure_is_secure() ? wss_mib : ws_mib;
  if (MEASURE_IS_SANITIZED && mib > 2) mib = 2;
  else if (percent != NULL) mib = mib * strtoll(percent, NULL, 10) / 100;
  return (mib > 0 ? mib : 1) * MIB;
}

/* ---- Resident memory. */

struct resident {
  int64_t before, most;
};

static inline int64_t resident_now(void) {
  FILE *file = fopen("/proc/self/statm", "re");
  long long pages = 0;
  CHECK(file != NULL);
  CHECK_NUMBER(1, fscanf(file, "%*d %lld", &pages));
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static inline void resident_begin(struct resident *resident) {
  resident->before = resident->most = resident_now();
}

static inline void resident_look(struct resident *resident) {
  const int64_t now = resident_now();
  if (now > resident->most) resident->most = now;
}

/* Looks once more: at no look was there more than `bound` beyond what there was before. */
static inline void resident_check(struct resident *resident, int64_t bound, const char *what) {
  int64_t growth;
  resident_look(resident);
  growth = resident->most - resident->before;
  printf("   %s: %" PRId64 " KiB more resident\n", what, growth / KIB);
  if (growth >= bound && !MEASURE_IS_SANITIZED)
    CHECK_FAIL("%s: %" PRId64 " KiB more are resident, not below %" PRId64, what, growth / KIB, bound / KIB);
}

/* ---- The one connection to the test server. */

static inline int measure_server_port(void) {
  const char *url = getenv("WSSTREAM_TEST_URL");
  CHECK(url != NULL && strrchr(url, ':') != NULL);
  return atoi(strrchr(url, ':') + 1);
}

/* Its descriptor, or -1: for looking at, it stays the library's. */
static inline int measure_find_connection(void) {
  struct self_descriptors seen;
  int number, found = -1;
  self_look_at_descriptors(&seen);
  for (number = 0; number < SELF_MAX; number++) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int port;
    if (!seen.open[number] || getpeername(number, (struct sockaddr *)&peer, &size) != 0) continue;
    if (peer.ss_family == AF_INET) port = ntohs(((struct sockaddr_in *)&peer)->sin_port);
    else if (peer.ss_family == AF_INET6) port = ntohs(((struct sockaddr_in6 *)&peer)->sin6_port);
    else continue;
    if (port != measure_server_port()) continue;
    CHECK_NUMBER(-1, found);
    found = number;
  }
  return found;
}

/* A freed stream's connection may still be ending: waits until there is none. */
static inline void measure_await_no_connection(void) {
  while (measure_find_connection() >= 0) let_pass_ms(1);
}

/* Bytes of a connection, those of TLS included. */
struct connection {
  int64_t taken; /* received, and taken by the library from the system */
  int64_t waits; /* received, and not taken */
  int64_t given; /* given by the library to the system */
  int64_t unacknowledged; /* of these, the peer's system has not acknowledged them */
};

static inline void measure_connection(int socket, struct connection *connection) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  int incoming, outgoing;
  memset(&info, 0, sizeof info);
  CHECK_NUMBER(0, getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size));
  CHECK_NUMBER(0, ioctl(socket, SIOCINQ, &incoming));
  CHECK_NUMBER(0, ioctl(socket, SIOCOUTQ, &outgoing));
  connection->waits = incoming;
  connection->taken = (int64_t)info.tcpi_bytes_received - incoming;
  connection->unacknowledged = outgoing;
  connection->given = (int64_t)info.tcpi_bytes_acked + outgoing;
}

/* Far more than a buffer holds: whatever comes as far has no bound, and is stopped before it takes the machine's memory. */
#define MEASURE_ENDLESS (32 * MIB)

/* Waits until nothing moves although bytes wait, in either direction; how far it has come then. A look too early can only
 * see less than there will be, so what is claimed is looked at again later. */
static inline void measure_stuck(int socket, struct connection *connection) {
  struct connection before;
  int looks = 0;
  measure_connection(socket, &before);
  while (looks < 5) {
    let_pass_ms(10);
    measure_connection(socket, connection);
    if (connection->taken > MEASURE_ENDLESS) CHECK_FAIL("%" PRId64 " bytes were taken without an end", connection->taken);
    if (connection->waits + connection->unacknowledged > 0 && memcmp(&before, connection, sizeof before) == 0) looks++;
    else looks = 0;
    before = *connection;
  }
}

#endif
