// libwebsockets in its event loop, an lws_write for each message. It cannot gather.

#define _GNU_SOURCE
#include <libwebsockets.h>

#include "client.h"

struct connection {
  struct lws *wsi;
  uint64_t to_send;
  uint64_t received;
  bool is_open;
  bool wants_close;
  bool is_closing;
  bool is_closed;
  // Of the message that is coming.
  size_t size;
  unsigned char first;
  unsigned char last;
};

static struct bench bench;
static struct lws_context *context;
static unsigned char *outgoing;  // room for LWS_PRE, then the message, which lws_write masks in place
static bool is_answer;           // what comes is the answer of /sink
static bool is_rested;

static void send_messages(struct connection *connection) {
  do {
    memcpy(outgoing + LWS_PRE, bench.payload, bench.size);
    int sent = lws_write(connection->wsi, outgoing + LWS_PRE, bench.size,
                         bench.text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
    if (sent < (int)bench.size) bench_fail("lws_write: %d", sent);
  } while (--connection->to_send && !lws_send_pipe_choked(connection->wsi));
  if (connection->to_send) lws_callback_on_writable(connection->wsi);
}

// Messages come in pieces.
static void receive_piece(struct connection *connection, const unsigned char *piece, size_t size) {
  if (size) {
    if (!connection->size) connection->first = *piece;
    connection->last = piece[size - 1];
    connection->size += size;
  }
  if (!lws_is_final_fragment(connection->wsi) || lws_remaining_packet_payload(connection->wsi)) return;
  bool is_text = !lws_frame_is_binary(connection->wsi);
  if (is_answer) bench_check_answer(connection->size);
  else bench_check_ends(&bench, connection->size, connection->first, connection->last, is_text);
  connection->size = 0;
  connection->received++;
}

// The server repeats a frame, so a compressed message to be repeated must not become several.
static void widen(struct lws *wsi) {
  int bits = 10;
  while (bits < 30 && (size_t)1 << bits < bench.size + bench.size / 1000 + 64) bits++;
  char value[8];
  snprintf(value, sizeof value, "%d", bits);
  if (lws_set_extension_option(wsi, "permessage-deflate", "tx_buf_size", value)) bench_fail("no tx_buf_size");
}

static int begin_close(struct connection *connection) {
  connection->wants_close = false;
  connection->is_closing = true;
  lws_close_reason(connection->wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
  return -1;
}

static int take(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *data, size_t size) {
  struct connection *connection = user;
  switch (reason) {
  case LWS_CALLBACK_CLIENT_ESTABLISHED:
    if (bench.deflate && bench.work == BENCH_RECEIVE) widen(wsi);
    connection->is_open = true;
    break;
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    bench_fail("no connection: %s", data ? (const char *)data : "no reason");
  case LWS_CALLBACK_CLIENT_WRITEABLE:
    if (connection->wants_close) return begin_close(connection);
    if (connection->to_send) send_messages(connection);
    break;
  case LWS_CALLBACK_CLIENT_RECEIVE:
    receive_piece(connection, data, size);
    // A message that is not compressed where compression is agreed upon comes again and again, without end
    // (its issue 2794), so this has to be the last.
    if (is_answer && bench.deflate) return begin_close(connection);
    break;
  case LWS_CALLBACK_CLIENT_CLOSED:
    if (!connection->is_closing) bench_fail("the server closes");
    connection->is_closed = true;
    break;
  default:
    break;
  }
  return 0;
}

static struct lws_protocols protocols[] = {{.name = "bench", .callback = take}, {0}};

static const struct lws_extension extensions[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate; client_max_window_bits"},
    {0},
};

static void serve(void) {
  if (lws_service(context, 0) < 0) bench_fail("lws_service");
}

static void create_context(void) {
  lws_set_log_level(0, NULL);
  // Else each 4 KiB is a step of its own.
  unsigned service_size = bench.work == BENCH_IDLE ? 0 : 64 << 10;
  if (bench.size > 4096 && bench.work != BENCH_IDLE)
    protocols[0].rx_buffer_size = protocols[0].tx_packet_size = bench.size;
  struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN,
      .protocols = protocols,
      .extensions = bench.deflate ? extensions : NULL,
      .options = bench.tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
      .client_ssl_ca_filepath = bench.tls ? bench.ca : NULL,
      .pt_serv_buf_size = service_size,
      .gid = -1,
      .uid = -1,
  };
  context = lws_create_context(&info);
  if (!context) bench_fail("lws_create_context");
}

static void open_connection(struct connection *connection) {
  memset(connection, 0, sizeof *connection);
  struct lws_client_connect_info info = {
      .context = context,
      .address = bench.host,
      .port = atoi(bench.port),
      .path = bench.target,
      .host = bench.authority,
      .ssl_connection = bench.tls ? LCCSCF_USE_SSL : 0,
      .local_protocol_name = protocols[0].name,
      .userdata = connection,
      .pwsi = &connection->wsi,
  };
  if (!lws_client_connect_via_info(&info)) bench_fail("lws_client_connect_via_info");
  while (!connection->is_open) serve();
}

static void close_connection(struct connection *connection) {
  if (!connection->is_closing) {
    connection->wants_close = true;
    lws_callback_on_writable(connection->wsi);
  }
  while (!connection->is_closed) serve();
}

// Sends and receives so many messages.
static void exchange(struct connection *connection, uint64_t to_send, uint64_t to_receive) {
  connection->to_send = to_send;
  connection->received = 0;
  lws_callback_on_writable(connection->wsi);
  while (connection->received < to_receive) serve();
  if (connection->received > to_receive) bench_fail("a message too many");
}

static void echo(struct connection *connection) {
  for (uint64_t left = bench_warm(&bench); left; left--) exchange(connection, 1, 1);
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) {
    uint64_t start = bench_now_ns();
    exchange(connection, 1, 1);
    bench_note_latency(&bench, bench_now_ns() - start);
  }
  bench_end(&bench);
}

static void pipeline(struct connection *connection) {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left;) {
    uint64_t window = left < bench.window ? left : bench.window;
    exchange(connection, window, window);
    left -= window;
  }
  bench_end(&bench);
}

static void open_and_close(void) {
  struct connection connection;
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) {
    open_connection(&connection);
    close_connection(&connection);
  }
  bench_end(&bench);
}

static void end_rest(lws_sorted_usec_list_t *timer) {
  (void)timer;
  is_rested = true;
  lws_cancel_service(context);  // else lws_service waits for the next event
}

static void idle(void) {
  struct connection *connections = bench_allocate(bench.count * sizeof *connections);
  lws_sorted_usec_list_t timer = {0};
  bench_begin(&bench);
  for (uint64_t index = 0; index < bench.count; index++) {
    open_connection(&connections[index]);
    exchange(&connections[index], 1, 1);
  }
  lws_sul_schedule(context, 0, &timer, end_rest, 2 * LWS_US_PER_SEC);
  while (!is_rested) serve();
  bench_end(&bench);
  for (uint64_t index = 0; index < bench.count; index++) connections[index].is_closing = true;
  lws_context_destroy(context);
  free(connections);
}

int main(int argc, char **argv) {
  bench_parse(argc, argv, &bench);
  if (bench.work == BENCH_SCALE) bench_unsupported("scale");
  if (bench.deflate && !bench.size) bench_unsupported("libwebsockets aborts when it compresses nothing");
  outgoing = bench_allocate(LWS_PRE + bench.size);
  create_context();
  if (bench.work == BENCH_OPEN) {
    open_and_close();
  } else if (bench.work == BENCH_IDLE) {
    idle();
  } else {
    struct connection connection;
    open_connection(&connection);
    if (bench.work == BENCH_ECHO) {
      echo(&connection);
    } else if (bench.work == BENCH_PIPELINE) {
      pipeline(&connection);
    } else {
      is_answer = bench.work == BENCH_SEND;
      bench_begin(&bench);
      if (is_answer) exchange(&connection, bench.count, 1);
      else exchange(&connection, 1, bench.count);
      bench_end(&bench);
    }
    close_connection(&connection);
  }
  char version[64];
  snprintf(version, sizeof version, "libwebsockets %d.%d.%d", LWS_LIBRARY_VERSION_MAJOR,
           LWS_LIBRARY_VERSION_MINOR, LWS_LIBRARY_VERSION_PATCH);
  bench_print(&bench, version);
}
