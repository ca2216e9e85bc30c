// The limit: hand-made frames on a blocking socket. It does what any client has to do (RFC 6455, section 5) and nothing
// else: no state, no other thread, no error that could be told apart.

#define _GNU_SOURCE
#include "client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_MAX 14
#define BUFFER_SIZE (256 << 10)
// Messages from this size on are received alone.
#define LARGE (16 << 10)

struct socket {
  int descriptor;
  uint64_t spin_ns;
  uint64_t random;
  unsigned char *in;
  size_t capacity, begin, end;
  unsigned char *out;
};

static uint64_t next_random(struct socket *socket) {
  socket->random ^= socket->random << 13;
  socket->random ^= socket->random >> 7;
  socket->random ^= socket->random << 17;
  return socket->random;
}

static void send_bytes(struct socket *socket, const void *bytes, size_t size) {
  const char *at = bytes;
  while (size > 0) {
    ssize_t sent = send(socket->descriptor, at, size, MSG_NOSIGNAL);
    if (sent <= 0) bench_fail("send: %s", strerror(errno));
    at += sent;
    size -= (size_t)sent;
  }
}

// At most `size` bytes; looks for a while before it sleeps where it is told to.
static size_t receive_bytes(struct socket *socket, void *bytes, size_t size) {
  ssize_t received = -1;
  if (socket->spin_ns > 0) {
    uint64_t until = bench_now_ns() + socket->spin_ns;
    do {
      received = recv(socket->descriptor, bytes, size, MSG_DONTWAIT);
    } while (received < 0 && bench_now_ns() < until);
  }
  if (received < 0) received = recv(socket->descriptor, bytes, size, 0);
  if (received <= 0) bench_fail("recv: %s", received < 0 ? strerror(errno) : "the end");
  return (size_t)received;
}

__attribute__((target_clones("avx2", "default"))) static void mask(unsigned char *to, const unsigned char *from,
                                                                   size_t size, uint32_t key) {
  uint64_t word, wide = key | (uint64_t)key << 32;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    memcpy(&word, from + at, 8);
    word ^= wide;
    memcpy(to + at, &word, 8);
  }
  for (; at < size; at++) to[at] = from[at] ^ (unsigned char)(key >> (at % 4 * 8));
}

// One frame in `out`; its size.
static size_t frame(struct socket *socket, unsigned char *out, int first, const void *payload, size_t size) {
  uint32_t key = (uint32_t)next_random(socket);
  size_t header = 2;
  out[0] = (unsigned char)first;
  if (size < 126) {
    out[1] = (unsigned char)(0x80 | size);
  } else if (size < 65536) {
    out[1] = 0x80 | 126;
    out[2] = (unsigned char)(size >> 8);
    out[3] = (unsigned char)size;
    header = 4;
  } else {
    out[1] = 0x80 | 127;
    for (int index = 0; index < 8; index++) out[2 + index] = (unsigned char)((uint64_t)size >> (56 - 8 * index));
    header = 10;
  }
  memcpy(out + header, &key, 4);
  mask(out + header + 4, payload, size, key);
  return header + 4 + size;
}

static int first_byte(const struct bench *bench) { return 0x80 | (bench->text ? 1 : 2); }

static void write_one(const struct bench *bench, struct socket *socket) {
  send_bytes(socket, socket->out, frame(socket, socket->out, first_byte(bench), bench->payload, bench->size));
}

static void write_many(const struct bench *bench, struct socket *socket, uint64_t count) {
  if (!bench->gather) {
    while (count--) write_one(bench, socket);
    return;
  }
  size_t size = 0;
  while (count--) {
    size += frame(socket, socket->out + size, first_byte(bench), bench->payload, bench->size);
    if (size >= BUFFER_SIZE || count == 0) {
      send_bytes(socket, socket->out, size);
      size = 0;
    }
  }
}

// Makes `size` bytes of input contiguous and there; of a large message no more than it and the next header is received.
static void need(struct socket *socket, size_t size) {
  if (socket->end - socket->begin >= size) return;
  if (socket->begin + size > socket->capacity) {
    memmove(socket->in, socket->in + socket->begin, socket->end - socket->begin);
    socket->end -= socket->begin;
    socket->begin = 0;
  }
  while (socket->end - socket->begin < size) {
    size_t room = socket->capacity - socket->end;
    size_t wanted = socket->begin + size + 10 - socket->end;
    if (size > LARGE && wanted < room) room = wanted;
    socket->end += receive_bytes(socket, socket->in + socket->end, room);
  }
}

// The next frame: its payload and first byte.
static const unsigned char *read_frame(struct socket *socket, size_t *size, int *first) {
  size_t header = 2;
  if (socket->begin == socket->end) socket->begin = socket->end = 0;
  need(socket, 2);
  const unsigned char *in = socket->in + socket->begin;
  *size = in[1];
  if (in[1] == 126) {
    need(socket, header = 4);
    in = socket->in + socket->begin;
    *size = (size_t)in[2] << 8 | in[3];
  } else if (in[1] == 127) {
    need(socket, header = 10);
    in = socket->in + socket->begin;
    *size = 0;
    for (int index = 0; index < 8; index++) *size = *size << 8 | in[2 + index];
  } else if (in[1] > 127) {
    bench_fail("a masked frame");
  }
  need(socket, header + *size);
  in = socket->in + socket->begin;
  socket->begin += header + *size;
  *first = in[0];
  return in + header;
}

static void read_one(const struct bench *bench, struct socket *socket) {
  size_t size;
  int first;
  const unsigned char *payload = read_frame(socket, &size, &first);
  if ((first & 0xF0) != 0x80) bench_fail("not a whole message");
  bench_check(bench, payload, size, (first & 0x0F) == 1);
}

static void open_socket(const struct bench *bench, struct socket *out) {
  char request[1200];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(bench->port))};
  if (inet_pton(AF_INET, bench->host, &address.sin_addr) != 1) bench_fail("%s: no address", bench->host);
  out->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (out->descriptor < 0 || connect(out->descriptor, (struct sockaddr *)&address, sizeof address) != 0)
    bench_fail("connect: %s", strerror(errno));
  setsockopt(out->descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  int size = snprintf(request, sizeof request,
                      "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                      bench->target, bench->authority);
  send_bytes(out, request, (size_t)size);
  out->begin = out->end = 0;
  for (;;) {
    out->end += receive_bytes(out, out->in + out->end, out->capacity - out->end);
    unsigned char *end = memmem(out->in, out->end, "\r\n\r\n", 4);
    if (end) {
      out->begin = (size_t)(end + 4 - out->in);
      break;
    }
  }
  if (!memmem(out->in, out->begin, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) bench_fail("another accept key");
}

static void close_socket(struct socket *socket) {
  size_t size;
  int first;
  unsigned char code[] = {1000 >> 8, 1000 & 0xFF};
  send_bytes(socket, socket->out, frame(socket, socket->out, 0x88, code, 2));
  const unsigned char *payload = read_frame(socket, &size, &first);
  if (first != 0x88 || size != 2 || payload[0] != code[0] || payload[1] != code[1]) bench_fail("another end");
  if (recv(socket->descriptor, socket->in, 1, 0) != 0) bench_fail("no end");
  close(socket->descriptor);
}

static void echo(struct bench *bench, struct socket *socket) {
  for (uint64_t index = bench_warm(bench); index > 0; index--) {
    write_one(bench, socket);
    read_one(bench, socket);
  }
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) {
    uint64_t begun = bench_now_ns();
    write_one(bench, socket);
    read_one(bench, socket);
    bench_note_latency(bench, bench_now_ns() - begun);
  }
  bench_end(bench);
}

static void pipeline(struct bench *bench, struct socket *socket) {
  bench_begin(bench);
  for (uint64_t left = bench->count; left > 0;) {
    uint64_t window = left < bench->window ? left : bench->window;
    write_many(bench, socket, window);
    for (uint64_t index = 0; index < window; index++) read_one(bench, socket);
    left -= window;
  }
  bench_end(bench);
}

static void receive(struct bench *bench, struct socket *socket) {
  write_one(bench, socket);
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) read_one(bench, socket);
  bench_end(bench);
}

static void send_all(struct bench *bench, struct socket *socket) {
  size_t size;
  int first;
  bench_begin(bench);
  write_many(bench, socket, bench->count);
  read_frame(socket, &size, &first);
  bench_check_answer(size);
  bench_end(bench);
}

static void open_and_close(struct bench *bench, struct socket *socket) {
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) {
    open_socket(bench, socket);
    close_socket(socket);
  }
  bench_end(bench);
}

// Between messages a connection needs its descriptor; the buffers are shared.
static void rest(struct bench *bench, struct socket *socket) {
  int *descriptors = bench_allocate(bench->count * sizeof *descriptors);
  memset(descriptors, 0, bench->count * sizeof *descriptors);
  open_socket(bench, socket);
  close_socket(socket);
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) {
    open_socket(bench, socket);
    write_one(bench, socket);
    read_one(bench, socket);
    descriptors[index] = socket->descriptor;
  }
  sleep(2);
  bench_end(bench);
}

int main(int argc, char **argv) {
  struct bench bench;
  struct socket socket = {.random = bench_now_ns() | 1};
  bench_parse(argc, argv, &bench);
  if (bench.tls) bench_unsupported("wss");
  if (bench.work == BENCH_SCALE) bench_unsupported("scale");
  if (bench.deflate) bench_unsupported("deflate");
  socket.spin_ns = bench.limit_spin_us * 1000;
  socket.capacity = BUFFER_SIZE + 2 * bench.size;
  socket.in = bench_allocate(socket.capacity);
  socket.out = bench_allocate(BUFFER_SIZE + HEADER_MAX + bench.size);
  if (bench.work == BENCH_OPEN) {
    open_and_close(&bench, &socket);
  } else if (bench.work == BENCH_IDLE) {
    rest(&bench, &socket);
  } else {
    void (*const works[])(struct bench *, struct socket *) = {echo, pipeline, receive, send_all};
    open_socket(&bench, &socket);
    works[bench.work](&bench, &socket);
    close_socket(&socket);
  }
  bench_print(&bench, "limit");
  return 0;
}
