// What the C and C++ clients of the benchmark share; ../README.md is the contract. C11 or C++17 on Linux;
// C has to define _GNU_SOURCE.
//
//   struct bench bench;
//   bench_parse(argc, argv, &bench);       // fails or fills everything below
//   ... open; for an echo, bench_warm(&bench) round trips that are not measured ...
//   bench_begin(&bench);
//   ... work: bench_check for each message, bench_note_latency(&bench, ns) for each round trip of an echo ...
//   bench_end(&bench);                     // for idle: before the connections close
//   ... close ...
//   bench_print(&bench, "library 1.2.3");  // prints the line of the result
//
// bench_fail and bench_unsupported may be called at any time and do not return.

#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum bench_work {
  BENCH_ECHO, BENCH_PIPELINE, BENCH_RECEIVE, BENCH_SEND, BENCH_OPEN, BENCH_IDLE, BENCH_SCALE
};

struct bench {
  enum bench_work work;
  uint64_t count;           // messages, round trips or connections
  uint64_t rate, seconds;   // of a scale: echoes a second over all connections, and how long
  uint64_t window;          // echoes in flight in a pipeline
  unsigned char *payload;   // of each message; bench_check looks at it, so mask a copy
  size_t size;              // of the payload
  bool text;                // kind of each message
  bool gather;              // messages may share a system call
  bool deflate;             // offer permessage-deflate
  uint64_t spin_us;         // how long to look before sleeping, or BENCH_DEFAULT
  uint64_t limit_spin_us;   // the same of the hand-made limit, which else sleeps at once
  const char *ca;           // PEM file of the roots, or NULL
  bool tls;                 // wss
  char url[1024];           // whole, with the path of the work
  char host[256];           // without brackets
  char port[8];
  char authority[272];      // for a Host header: host:port
  char target[700];         // for a request: path and query

  // Measured, by the functions below.
  uint64_t started_ns, cpu_started_us;
  uint64_t wall_us, cpu_us;
  uint64_t open_us;         // of a scale
  uint64_t memory;          // at the start, then growth
  uint64_t *latencies;      // of an echo
  uint64_t latency_count;
};

#define BENCH_DEFAULT UINT64_MAX

#define BENCH_NORETURN __attribute__((noreturn))
#define BENCH_FORMAT __attribute__((format(printf, 1, 2)))

// One line to standard error, exit status 1.
BENCH_NORETURN BENCH_FORMAT static inline void bench_fail(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (char *at = text; *at; at++)
    if (*at == '\n') *at = ' ';
  fprintf(stderr, "failed: %s\n", text);
  exit(1);
}

// For a work or an option that the library has not: one line, exit status 3.
BENCH_NORETURN static inline void bench_unsupported(const char *what) {
  fprintf(stderr, "unsupported: %s\n", what);
  exit(3);
}

static inline uint64_t bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t bench_cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// Private_Dirty of the process in bytes.
static inline uint64_t bench_memory(void) {
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  if (!file) bench_fail("/proc/self/smaps_rollup: %s", strerror(errno));
  char line[256];
  unsigned long long kilobytes = 0;
  bool found = false;
  while (!found && fgets(line, sizeof line, file))
    found = sscanf(line, "Private_Dirty: %llu", &kilobytes) == 1;
  fclose(file);
  if (!found) bench_fail("no Private_Dirty in /proc/self/smaps_rollup");
  return kilobytes * 1024;
}

static inline uint64_t bench_number(const char *key, const char *value) {
  char *end;
  errno = 0;
  unsigned long long number = strtoull(value, &end, 10);
  if (*value < '0' || *value > '9' || *end || errno) bench_fail("%s=%s is not a number", key, value);
  return number;
}

static inline bool bench_flag(const char *key, const char *value) {
  uint64_t number = bench_number(key, value);
  if (number > 1) bench_fail("%s=%s is neither 0 nor 1", key, value);
  return number == 1;
}

static inline void *bench_allocate(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) bench_fail("no memory for %zu bytes", size);
  return memory;
}

static inline char *bench_read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) bench_fail("%s: %s", path, strerror(errno));
  long length = -1;
  if (!fseek(file, 0, SEEK_END)) length = ftell(file);
  if (length < 0) bench_fail("%s: %s", path, strerror(errno));
  rewind(file);
  *size = (size_t)length;
  char *bytes = (char *)bench_allocate(*size);
  if (fread(bytes, 1, *size, file) != *size) bench_fail("%s: cannot be read", path);
  fclose(file);
  return bytes;
}

// Takes the URL apart. A URL without a path gets the path of the work.
static inline void bench_read_url(struct bench *bench, const char *url) {
  const char *at = url;
  if (!strncmp(at, "wss://", 6)) bench->tls = true, at += 6;
  else if (!strncmp(at, "ws://", 5)) at += 5;
  else bench_fail("%s: neither ws:// nor wss://", url);
  size_t authority = strcspn(at, "/?");
  size_t host = authority;
  const char *begin = at;
  if (*at == '[') {
    const char *end = (const char *)memchr(at, ']', authority);
    if (!end) bench_fail("%s: no ] behind the address", url);
    begin = at + 1;
    host = (size_t)(end - begin);
  } else {
    const char *colon = (const char *)memchr(at, ':', authority);
    if (colon) host = (size_t)(colon - at);
  }
  const char *port = begin + host + (*at == '[');
  size_t digits = (size_t)(at + authority - port);
  if (!host || host >= sizeof bench->host || digits >= sizeof bench->port) bench_fail("%s: no such URL", url);
  memcpy(bench->host, begin, host);
  bench->host[host] = 0;
  if (digits > 1 && *port == ':') {
    memcpy(bench->port, port + 1, digits - 1);
    bench->port[digits - 1] = 0;
  } else {
    strcpy(bench->port, bench->tls ? "443" : "80");
  }
  bool six = *at == '[';
  snprintf(bench->authority, sizeof bench->authority, "%s%s%s:%s", six ? "[" : "", bench->host,
           six ? "]" : "", bench->port);
  at += authority;
  int length;
  if (*at == '?' || (*at == '/' && at[1])) {
    length = snprintf(bench->target, sizeof bench->target, "%s%s", *at == '?' ? "/" : "", at);
  } else if (bench->work == BENCH_RECEIVE || bench->work == BENCH_SEND) {
    length = snprintf(bench->target, sizeof bench->target, "/%s?count=%llu",
                      bench->work == BENCH_RECEIVE ? "flood" : "sink", (unsigned long long)bench->count);
  } else {
    length = snprintf(bench->target, sizeof bench->target, "/echo");
  }
  if (length < 0 || (size_t)length >= sizeof bench->target) bench_fail("%s: too long", url);
  snprintf(bench->url, sizeof bench->url, "%s://%s%s", bench->tls ? "wss" : "ws", bench->authority,
           bench->target);
}

// CLIENT WORK URL KEY=VALUE...
static inline void bench_parse(int argc, char **argv, struct bench *bench) {
  static const char *const works[] = {"echo", "pipeline", "receive", "send", "open", "idle", "scale"};
  memset(bench, 0, sizeof *bench);
  if (argc < 3) bench_fail("usage: %s WORK URL KEY=VALUE...", argv[0]);
  size_t work = 0;
  while (work < sizeof works / sizeof *works && strcmp(argv[1], works[work])) work++;
  if (work == sizeof works / sizeof *works) bench_fail("%s is no work", argv[1]);
  bench->work = (enum bench_work)work;
  bench->size = 16;
  bench->window = 64;
  bench->rate = 10000;
  bench->seconds = 5;
  bench->spin_us = BENCH_DEFAULT;
  bool sized = false;
  const char *payload = NULL;
  for (int index = 3; index < argc; index++) {
    char *value = strchr(argv[index], '=');
    if (!value) bench_fail("%s: not KEY=VALUE", argv[index]);
    *value++ = 0;
    const char *key = argv[index];
    if (!strcmp(key, "count")) bench->count = bench_number(key, value);
    else if (!strcmp(key, "size")) bench->size = bench_number(key, value), sized = true;
    else if (!strcmp(key, "window")) bench->window = bench_number(key, value);
    else if (!strcmp(key, "gather")) bench->gather = bench_flag(key, value);
    else if (!strcmp(key, "rate")) bench->rate = bench_number(key, value);
    else if (!strcmp(key, "seconds")) bench->seconds = bench_number(key, value);
    else if (!strcmp(key, "spin")) bench->spin_us = bench_number(key, value);
    else if (!strcmp(key, "limit_spin")) bench->limit_spin_us = bench_number(key, value);
    else if (!strcmp(key, "deflate")) bench->deflate = bench_flag(key, value);
    else if (!strcmp(key, "payload")) payload = value;
    else if (!strcmp(key, "ca")) bench->ca = value;
    else bench_fail("%s is no key", key);
  }
  if (!bench->count) bench_fail("no count");
  if (!bench->window) bench_fail("no window");
  if (payload && sized) bench_fail("both size and payload");
  if (payload) {
    bench->payload = (unsigned char *)bench_read_file(payload, &bench->size);
    bench->text = true;
  } else {
    bench->payload = (unsigned char *)bench_allocate(bench->size);
    memset(bench->payload, 'x', bench->size);
  }
  bench_read_url(bench, argv[2]);
  if (bench->work == BENCH_ECHO) {
    bench->latencies = (uint64_t *)bench_allocate(bench->count * sizeof *bench->latencies);
    memset(bench->latencies, 0xff, bench->count * sizeof *bench->latencies);  // no page faults later
  }
  struct rlimit limit;
  bool many = bench->work == BENCH_IDLE || bench->work == BENCH_SCALE;
  if (many && !getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < bench->count + 64) {
    limit.rlim_cur = bench->count + 64;
    if (limit.rlim_max < limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &limit))
      bench_fail("%llu open files: %s", (unsigned long long)limit.rlim_cur, strerror(errno));
  }
}

// Round trips before the measured ones.
static inline uint64_t bench_warm(const struct bench *bench) {
  return bench->work == BENCH_ECHO ? bench->count / 10 : 0;
}

static inline void bench_begin(struct bench *bench) {
  if (bench->work == BENCH_IDLE) bench->memory = bench_memory();
  bench->cpu_started_us = bench_cpu_us();
  bench->started_ns = bench_now_ns();
}

static inline void bench_end(struct bench *bench) {
  bench->wall_us = (bench_now_ns() - bench->started_ns) / 1000;
  bench->cpu_us = bench_cpu_us() - bench->cpu_started_us;
  if (bench->work == BENCH_IDLE) {
    uint64_t now = bench_memory();
    bench->memory = now > bench->memory ? now - bench->memory : 0;
  }
}

static inline void bench_note_latency(struct bench *bench, uint64_t ns) {
  if (bench->latency_count < bench->count) bench->latencies[bench->latency_count++] = ns;
}

// A received message that came in pieces: its size, its first and its last byte.
static inline void bench_check_ends(const struct bench *bench, size_t size, unsigned char first,
                                    unsigned char last, bool text) {
  if (size != bench->size) bench_fail("a message of %zu bytes, not %zu", size, bench->size);
  if (text != bench->text) bench_fail("a message of the wrong kind");
  if (size && (first != bench->payload[0] || last != bench->payload[size - 1]))
    bench_fail("a message with other bytes");
}

// Each whole message received, other than the answer of /sink.
static inline void bench_check(const struct bench *bench, const void *data, size_t size, bool text) {
  const unsigned char *bytes = (const unsigned char *)data;
  bench_check_ends(bench, size, size ? bytes[0] : 0, size ? bytes[size - 1] : 0, text);
}

// The answer of /sink.
static inline void bench_check_answer(size_t size) {
  if (size != 1) bench_fail("an answer of %zu bytes, not 1", size);
}

static inline int bench_compare(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

// The line of the result. A blank in the version is printed as a slash.
static inline void bench_print(struct bench *bench, const char *version) {
  printf("count=%llu cpu_us=%llu wall_us=%llu", (unsigned long long)bench->count,
         (unsigned long long)bench->cpu_us, (unsigned long long)bench->wall_us);
  if (bench->work == BENCH_ECHO) {
    uint64_t count = bench->latency_count;
    if (count != bench->count) bench_fail("%llu latencies", (unsigned long long)count);
    qsort(bench->latencies, count, sizeof *bench->latencies, bench_compare);
    printf(" median_ns=%llu p99_ns=%llu", (unsigned long long)bench->latencies[count / 2],
           (unsigned long long)bench->latencies[(count - 1) * 99 / 100]);
  }
  if (bench->work == BENCH_SCALE) printf(" open_us=%llu", (unsigned long long)bench->open_us);
  if (bench->work == BENCH_IDLE || bench->work == BENCH_SCALE)
    printf(" memory=%llu", (unsigned long long)(bench->memory / bench->count));
  printf(" version=");
  for (; *version; version++) putchar(*version == ' ' ? '/' : *version);
  putchar('\n');
  if (fflush(stdout)) bench_fail("standard output: %s", strerror(errno));
}

#endif
