/* A peer that the test plays itself: a server in this process that sends what the claim says when the claim says it.
 * It knows the frames of RFC 6455 and no rule of theirs; every wait of it has a limit. Always plain, never TLS. */
#ifndef WSSTREAM_TESTS_PEER_H
#define WSSTREAM_TESTS_PEER_H

#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The first byte of a frame, with FIN. */
enum { PEER_MORE = 0x00, PEER_TEXT = 0x81, PEER_BINARY = 0x82, PEER_LAST = 0x80, PEER_CLOSE = 0x88, PEER_PING = 0x89,
       PEER_PONG = 0x8a, PEER_TEXT_BEGIN = 0x01, PEER_BINARY_BEGIN = 0x02 };

struct peer {
  int socket;
  char request[8192]; /* its head, NUL-terminated */
};

struct peer_frame {
  uint8_t first;
  size_t size;
  uint8_t payload[4096]; /* what of it there is room for, unmasked */
};

/* A listening socket on the loopback address; `url` has room for 64 bytes and gets what leads there. */
static inline int peer_listen(int backlog, char *url) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(listener >= 0);
  CHECK_NUMBER(0, bind(listener, (struct sockaddr *)&address, sizeof address));
  CHECK_NUMBER(0, listen(listener, backlog));
  CHECK_NUMBER(0, getsockname(listener, (struct sockaddr *)&address, &size));
  snprintf(url, 64, "ws://127.0.0.1:%d/", ntohs(address.sin_port));
  return listener;
}

static inline void peer_receive(struct peer *peer, void *buffer, size_t size) {
  size_t got = 0;
  while (got < size) {
    const ssize_t more = recv(peer->socket, (char *)buffer + got, size - got, 0);
    if (more <= 0) CHECK_FAIL("the peer waits for %zu bytes and gets %zu", size, got);
    got += (size_t)more;
  }
}

/* Waits for a connection and for the head of its request. */
static inline void peer_accept(struct peer *peer, int listener) {
  struct pollfd waiting = {.fd = listener, .events = POLLIN};
  struct timeval limit = {.tv_sec = SOON / 1000};
  const int on = 1;
  size_t size = 0;
  CHECK_NUMBER(1, poll(&waiting, 1, (int)SOON));
  peer->socket = accept(listener, NULL, NULL);
  CHECK(peer->socket >= 0);
  CHECK_NUMBER(0, setsockopt(peer->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  CHECK_NUMBER(0, setsockopt(peer->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  CHECK_NUMBER(0, setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  memset(peer->request, 0, sizeof peer->request);
  while (size < 4 || memcmp(peer->request + size - 4, "\r\n\r\n", 4) != 0) {
    CHECK(size < sizeof peer->request - 1);
    peer_receive(peer, peer->request + size++, 1);
  }
}

/* Sends all of it, while somebody takes it. */
static inline void peer_send(struct peer *peer, const void *bytes, size_t size) {
  size_t sent = 0;
  while (sent < size) {
    const ssize_t more = send(peer->socket, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
    if (more <= 0) CHECK_FAIL("the peer cannot send: %s", strerror(errno));
    sent += (size_t)more;
  }
}

/* Sends what the system takes without waiting; answers how much that was. */
static inline size_t peer_send_some(struct peer *peer, const void *bytes, size_t size) {
  const ssize_t sent = send(peer->socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
  return sent < 0 ? 0 : (size_t)sent;
}

/* The header of an unmasked frame; `header` has room for 10 bytes. */
static inline size_t peer_frame_header(uint8_t *header, uint8_t first, uint64_t size) {
  int i;
  header[0] = first;
  if (size < 126) return header[1] = (uint8_t)size, (size_t)2;
  if (size < 65536) return header[1] = 126, header[2] = (uint8_t)(size >> 8), header[3] = (uint8_t)size, (size_t)4;
  header[1] = 127;
  for (i = 0; i < 8; i++) header[2 + i] = (uint8_t)(size >> (56 - 8 * i));
  return 10;
}

/* Header and payload leave together where they are small. */
static inline void peer_send_frame(struct peer *peer, uint8_t first, const void *payload, size_t size) {
  uint8_t bytes[1024];
  const size_t head = peer_frame_header(bytes, first, size);
  const size_t begin = size < sizeof bytes - head ? size : sizeof bytes - head;
  if (begin > 0) memcpy(bytes + head, payload, begin);
  peer_send(peer, bytes, head + begin);
  peer_send(peer, (const char *)payload + begin, size - begin);
}

static inline void peer_send_text(struct peer *peer, const char *text) {
  peer_send_frame(peer, PEER_TEXT, text, strlen(text));
}

static inline void peer_receive_frame(struct peer *peer, struct peer_frame *frame) {
  uint8_t header[2], length[8], mask[4], byte;
  uint64_t size, i;
  peer_receive(peer, header, 2);
  CHECK((header[1] & 0x80) != 0);
  size = header[1] & 0x7f;
  if (size >= 126) {
    const size_t bytes = size == 126 ? 2 : 8;
    peer_receive(peer, length, bytes);
    for (size = 0, i = 0; i < bytes; i++) size = size << 8 | length[i];
  }
  peer_receive(peer, mask, 4);
  memset(frame, 0, sizeof *frame);
  frame->first = header[0];
  frame->size = (size_t)size;
  for (i = 0; i < size; i++) {
    if (i < sizeof frame->payload && size <= sizeof frame->payload) {
      peer_receive(peer, frame->payload, (size_t)size);
      for (i = 0; i < size; i++) frame->payload[i] ^= mask[i % 4];
      return;
    }
    peer_receive(peer, &byte, 1);
    if (i < sizeof frame->payload) frame->payload[i] = byte ^ mask[i % 4];
  }
}

/* The next frame is this one. */
#define PEER_EXPECT(peer, expected_first, expected, expected_size)             \
  do {                                                                         \
    struct peer_frame check_frame;                                             \
    peer_receive_frame((peer), &check_frame);                                  \
    CHECK_NUMBER(expected_first, check_frame.first);                           \
    CHECK_NUMBER(expected_size, check_frame.size);                             \
    CHECK(memcmp((expected), check_frame.payload, check_frame.size) == 0);     \
  } while (0)

/* Answers the Close that comes next, whose body is this, and ends TCP in order. */
#define PEER_EXPECT_CLOSE_AND_ANSWER(peer, expected, expected_size)            \
  do {                                                                         \
    PEER_EXPECT((peer), PEER_CLOSE, (expected), (expected_size));              \
    peer_send_frame((peer), PEER_CLOSE, (expected), (expected_size));          \
    peer_end(peer);                                                            \
  } while (0)

/* Waits for the end of TCP from the other side; whether it came in order. */
static inline int peer_receive_end(struct peer *peer) {
  char byte;
  const ssize_t got = recv(peer->socket, &byte, 1, 0);
  CHECK(got == 0 || (got < 0 && errno == ECONNRESET));
  return got == 0;
}

static inline void peer_end(struct peer *peer) {
  close(peer->socket);
  peer->socket = -1;
}

/* The value that proves that the key was understood (RFC 6455 §4.2.2): SHA-1 in Base64. `accept` has room for 29. */
static inline void peer_accept_value(const char *key, size_t key_size, char *accept) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint8_t block[128] = {0}, digest[21] = {0};
  const size_t size = key_size + 36, whole = size + 9 <= 64 ? 64 : 128;
  size_t at, i;
  CHECK(size + 9 <= sizeof block);
  memcpy(block, key, key_size);
  memcpy(block + key_size, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
  block[size] = 0x80;
  block[whole - 2] = (uint8_t)(size * 8 >> 8);
  block[whole - 1] = (uint8_t)(size * 8);
#define ROTATED(word, bits) ((word) << (bits) | (word) >> (32 - (bits)))
  for (at = 0; at < whole; at += 64) {
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], next;
    for (i = 0; i < 16; i++)
      words[i] = (uint32_t)block[at + 4 * i] << 24 | (uint32_t)block[at + 4 * i + 1] << 16 |
                 (uint32_t)block[at + 4 * i + 2] << 8 | block[at + 4 * i + 3];
    for (; i < 80; i++) {
      next = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16];
      words[i] = ROTATED(next, 1);
    }
    for (i = 0; i < 80; i++) {
      const uint32_t mixed = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                             : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                             : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                      : (b ^ c ^ d) + 0xca62c1d6;
      next = ROTATED(a, 5) + mixed + e + words[i];
      e = d, d = c, c = ROTATED(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
  }
#undef ROTATED
  for (i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
  for (i = 0; i < 28; i++) {
    const size_t bit = i * 6;
    const uint32_t two = (uint32_t)digest[bit / 8] << 8 | (bit / 8 + 1 < 20 ? digest[bit / 8 + 1] : 0);
    accept[i] = digits[two >> (10 - bit % 8) & 63];
  }
  accept[27] = '=';
  accept[28] = '\0';
}

/* Accepts the upgrade; `bytes` follow in the same write. */
static inline void peer_switch_with(struct peer *peer, const void *bytes, size_t size) {
  static const char name[] = "\r\nSec-WebSocket-Key: ";
  const char *key = strstr(peer->request, name);
  char response[1024], accept[29];
  int length;
  CHECK(key != NULL);
  key += sizeof name - 1;
  peer_accept_value(key, strcspn(key, "\r"), accept);
  length = snprintf(response, sizeof response,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n\r\n",
                    accept);
  CHECK(length > 0 && (size_t)length + size < sizeof response);
  if (size > 0) memcpy(response + length, bytes, size);
  peer_send(peer, response, (size_t)length + size);
}

/* Opens a stream to a peer that is this test, with these options or none. */
static inline wsstream *peer_open(struct peer *peer, const wsstream_options *options) {
  char url[64];
  const int listener = peer_listen(8, url);
  wsstream *stream = NULL;
  CHECK_OK(wsstream_open(url, WSSTREAM_NUL, options, &stream));
  peer_accept(peer, listener);
  close(listener);
  peer_switch_with(peer, NULL, 0);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  return stream;
}

/* To a peer that does not read: far more than the system ever takes, now or later. */
static inline void peer_queue(wsstream *stream) {
  static const uint8_t data[32 << 20];
  CHECK_STATUS(WSSTREAM_QUEUED, wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, 0));
}

/* Leaves no room in a stream whose peer does not read. */
static inline void peer_fill(wsstream *stream) {
  peer_queue(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_write(stream, WSSTREAM_BINARY, "x", 1, 0));
}

/* Ends a claim that does not care how. */
static inline void peer_free(struct peer *peer, wsstream *stream) {
  wsstream_free(stream);
  if (peer->socket >= 0) peer_end(peer);
}

#endif
