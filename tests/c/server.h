/* Plain questions to the test server: releases of tokens and records of connections. It knows HTTP as far as one GET;
 * what the routes mean is said in server/README.md. */
#ifndef WSSTREAM_TESTS_SERVER_H
#define WSSTREAM_TESTS_SERVER_H

#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's plain address, whatever scheme the program's own URL has. */
static inline struct sockaddr_in server_address(void) {
  const char *url = getenv("WSSTREAM_TEST_WS_URL");
  struct sockaddr_in address;
  const char *colon;
  if (url == NULL) url = getenv("WSSTREAM_TEST_URL");
  if (url == NULL) CHECK_FAIL("WSSTREAM_TEST_URL is not set: run it through scripts/with-server");
  colon = strrchr(url, ':');
  CHECK(strncmp(url, "ws://", 5) == 0 && colon != NULL);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)atoi(colon + 1));
  return address;
}

/* The body of the answer to a GET, NUL-terminated; the caller frees it. */
static inline char *server_ask(const char *target) {
  const struct sockaddr_in address = server_address();
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  size_t size = 0, capacity = 1 << 16;
  char *answer = malloc(capacity);
  char request[512], *body;
  ssize_t got;
  const int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
  CHECK(fd >= 0 && answer != NULL && length > 0 && (size_t)length < sizeof request);
  CHECK_NUMBER(0, connect(fd, (const struct sockaddr *)&address, sizeof address));
  CHECK_NUMBER(length, send(fd, request, (size_t)length, MSG_NOSIGNAL));
  while ((got = recv(fd, answer + size, capacity - size - 1, 0)) > 0) {
    size += (size_t)got;
    if (size + 1 < capacity) continue;
    capacity *= 2;
    answer = realloc(answer, capacity);
    CHECK(answer != NULL);
  }
  CHECK_NUMBER(0, got);
  close(fd);
  answer[size] = '\0';
  if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) CHECK_FAIL("GET %s: %s", target, answer);
  body = strstr(answer, "\r\n\r\n");
  CHECK(body != NULL);
  memmove(answer, body + 4, size - (size_t)(body + 4 - answer) + 1);
  return answer;
}

/* A word that no other claim and no other run has used: an id or a token. */
static inline const char *server_fresh_word(void) {
  static char words[64][48];
  static int count;
  char *word = words[count % 64];
  snprintf(word, sizeof words[0], "c%ld-%d", (long)getpid(), count++);
  return word;
}

static inline void server_release(const char *token) {
  char target[128];
  snprintf(target, sizeof target, "/release?token=%s", token);
  free(server_ask(target));
}

/* The record of the connection `id` once that is over, or once it has received `frames` frames if that is not 0. */
static inline char *server_record(const char *id, int frames) {
  char target[128];
  if (frames == 0) snprintf(target, sizeof target, "/record/%s?wait_ms=30000", id);
  else snprintf(target, sizeof target, "/record/%s?wait_ms=30000&frames=%d", id, frames);
  return server_ask(target);
}

/* The value of `name=` in the line of counters of a record. */
static inline int64_t server_count(const char *record, const char *name) {
  const char *line = strstr(record, "counts: ");
  char key[64];
  snprintf(key, sizeof key, " %s=", name);
  CHECK(line != NULL);
  line = strstr(line + 7, key);
  if (line == NULL) CHECK_FAIL("the record counts no %s", name);
  return strtoll(line + strlen(key), NULL, 10);
}

#endif
