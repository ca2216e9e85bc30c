// libcurl: curl_ws_send and curl_ws_recv on a connection made with CURLOPT_CONNECT_ONLY. It cannot gather.

#define _GNU_SOURCE
#include <curl/curl.h>
#include <poll.h>

#include "client.h"

static struct bench bench;
static unsigned char *incoming;  // one message, and a byte more than the largest that is expected
static size_t incoming_size;

static void expect(CURLcode code, const char *what) {
  if (code != CURLE_OK) bench_fail("%s: %s", what, curl_easy_strerror(code));
}

static curl_socket_t socket_of(CURL *curl) {
  curl_socket_t socket;
  expect(curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &socket), "curl_easy_getinfo");
  return socket;
}

static void wait_for(CURL *curl, short events) {
  struct pollfd entry = {.fd = socket_of(curl), .events = events};
  while (poll(&entry, 1, -1) < 0)
    if (errno != EINTR) bench_fail("poll: %s", strerror(errno));
}

static CURL *open_connection(void) {
  CURL *curl = curl_easy_init();
  if (!curl) bench_fail("curl_easy_init");
  expect(curl_easy_setopt(curl, CURLOPT_URL, bench.url), "CURLOPT_URL");
  expect(curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 2L), "CURLOPT_CONNECT_ONLY");
  expect(curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L), "CURLOPT_TCP_NODELAY");
  if (bench.ca) expect(curl_easy_setopt(curl, CURLOPT_CAINFO, bench.ca), "CURLOPT_CAINFO");
  expect(curl_easy_perform(curl), "curl_easy_perform");
  return curl;
}

static void send_frame(CURL *curl, const void *data, size_t size, unsigned flags) {
  const char *at = data;
  for (;;) {
    size_t sent = 0;
    CURLcode code = curl_ws_send(curl, at, size, &sent, 0, flags);
    if (code != CURLE_OK && code != CURLE_AGAIN) expect(code, "curl_ws_send");
    at += sent;
    size -= sent;
    if (code == CURLE_OK && !size) return;
    wait_for(curl, POLLOUT);
  }
}

static void send_message(CURL *curl) {
  send_frame(curl, bench.payload, bench.size, bench.text ? CURLWS_TEXT : CURLWS_BINARY);
}

// Receives a whole message or a close frame, returns its flags.
static int receive_frame(CURL *curl, size_t *size) {
  *size = 0;
  for (;;) {
    const struct curl_ws_frame *meta;
    size_t received = 0;
    CURLcode code = curl_ws_recv(curl, incoming + *size, incoming_size - *size, &received, &meta);
    if (code == CURLE_AGAIN) {
      wait_for(curl, POLLIN);
      continue;
    }
    expect(code, "curl_ws_recv");
    if (meta->flags & CURLWS_PONG) continue;
    *size += received;
    if (!meta->bytesleft && !(meta->flags & CURLWS_CONT)) return meta->flags;
    if (*size == incoming_size) bench_fail("a message of more than %zu bytes", bench.size);
  }
}

static void receive_message(CURL *curl) {
  size_t size;
  int flags = receive_frame(curl, &size);
  if (flags & CURLWS_CLOSE) bench_fail("the server closes");
  bench_check(&bench, incoming, size, flags & CURLWS_TEXT);
}

static void close_connection(CURL *curl) {
  static const unsigned char normal[] = {1000 >> 8, 1000 & 0xff};
  send_frame(curl, normal, sizeof normal, CURLWS_CLOSE);
  size_t size;
  if (!(receive_frame(curl, &size) & CURLWS_CLOSE)) bench_fail("a message behind the end");
  if (size < 2 || memcmp(incoming, normal, sizeof normal)) bench_fail("not closed with 1000");
  for (;;) {
    const struct curl_ws_frame *meta;
    CURLcode code = curl_ws_recv(curl, incoming, incoming_size, &size, &meta);
    if (code == CURLE_GOT_NOTHING) break;
    if (code == CURLE_RECV_ERROR && bench.tls) break;  // an end without close_notify, harmless here
    if (code != CURLE_AGAIN) bench_fail("no end behind the close frame: %s", curl_easy_strerror(code));
    wait_for(curl, POLLIN);
  }
  curl_easy_cleanup(curl);
}

static void echo(CURL *curl) {
  for (uint64_t left = bench_warm(&bench); left; left--) {
    send_message(curl);
    receive_message(curl);
  }
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) {
    uint64_t start = bench_now_ns();
    send_message(curl);
    receive_message(curl);
    bench_note_latency(&bench, bench_now_ns() - start);
  }
  bench_end(&bench);
}

static void pipeline(CURL *curl) {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left;) {
    uint64_t window = left < bench.window ? left : bench.window;
    for (uint64_t index = 0; index < window; index++) send_message(curl);
    for (uint64_t index = 0; index < window; index++) receive_message(curl);
    left -= window;
  }
  bench_end(&bench);
}

static void receive(CURL *curl) {
  bench_begin(&bench);
  send_message(curl);
  for (uint64_t left = bench.count; left; left--) receive_message(curl);
  bench_end(&bench);
}

static void send_all(CURL *curl) {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) send_message(curl);
  size_t size;
  if (receive_frame(curl, &size) & CURLWS_CLOSE) bench_fail("the server closes");
  bench_check_answer(size);
  bench_end(&bench);
}

static void open_and_close(void) {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) close_connection(open_connection());
  bench_end(&bench);
}

// Nothing may come while they rest, but for what TLS does on its own.
static void rest(CURL **connections, struct pollfd *entries) {
  uint64_t end = bench_now_ns() + 2000000000u;
  for (uint64_t now = bench_now_ns(); now < end; now = bench_now_ns()) {
    if (poll(entries, bench.count, (int)((end - now) / 1000000 + 1)) <= 0) continue;
    for (uint64_t index = 0; index < bench.count; index++) {
      if (!entries[index].revents) continue;
      const struct curl_ws_frame *meta;
      size_t size;
      CURLcode code = curl_ws_recv(connections[index], incoming, incoming_size, &size, &meta);
      if (code != CURLE_AGAIN) bench_fail("no rest: %s", curl_easy_strerror(code));
    }
  }
}

static void idle(void) {
  CURL **connections = bench_allocate(bench.count * sizeof *connections);
  struct pollfd *entries = bench_allocate(bench.count * sizeof *entries);
  memset(connections, 0, bench.count * sizeof *connections);
  memset(entries, 0, bench.count * sizeof *entries);
  bench_begin(&bench);
  for (uint64_t index = 0; index < bench.count; index++) {
    CURL *curl = open_connection();
    send_message(curl);
    receive_message(curl);
    connections[index] = curl;
    entries[index].fd = socket_of(curl);
    entries[index].events = POLLIN;
  }
  rest(connections, entries);
  bench_end(&bench);
  for (uint64_t index = 0; index < bench.count; index++) curl_easy_cleanup(connections[index]);
  free(entries);
  free(connections);
}

int main(int argc, char **argv) {
  bench_parse(argc, argv, &bench);
  if (bench.work == BENCH_SCALE) bench_unsupported("scale");
  if (bench.deflate) bench_unsupported("libcurl has no permessage-deflate");
  expect(curl_global_init(CURL_GLOBAL_DEFAULT), "curl_global_init");
  incoming_size = (bench.size < 125 ? 125 : bench.size) + 1;
  incoming = bench_allocate(incoming_size);
  if (bench.work == BENCH_OPEN) {
    open_and_close();
  } else if (bench.work == BENCH_IDLE) {
    idle();
  } else {
    CURL *curl = open_connection();
    if (bench.work == BENCH_ECHO) echo(curl);
    else if (bench.work == BENCH_PIPELINE) pipeline(curl);
    else if (bench.work == BENCH_RECEIVE) receive(curl);
    else send_all(curl);
    close_connection(curl);
  }
  char version[64];
  snprintf(version, sizeof version, "libcurl %s", curl_version_info(CURLVERSION_NOW)->version);
  bench_print(&bench, version);
}
