/* A hundred streams in GLib's main loop: each writes its messages as fast as they are taken, hears them back and closes.
 *
 *   cc glib.c $(pkg-config --cflags --libs glib-2.0) -lwsstream -o glib && ./glib ws://127.0.0.1:9000/echo [STREAMS [MESSAGES]]
 *
 * A stream's descriptor is only ever watched for being readable. What that stands for wsstream_fd_watch says: a message,
 * room to write while a write was refused for want of it, and at last the end.
 */
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsstream.h>

enum { SIZE = 16384 };
static char payload[SIZE];
static int left, written, echoed, closed_cleanly, messages_each = 20;

struct connection {
  wsstream *stream;
  guint source;
  int written, echoed;
};

/* Writes until there is no room; answers the event to wait for. Before the stream is open there is no room either. */
static uint32_t write_messages(struct connection *connection) {
  while (connection->written < messages_each) {
    const wsstream_status status = wsstream_write(connection->stream, WSSTREAM_BINARY, payload, SIZE, 0);
    if (status == WSSTREAM_AGAIN) return WSSTREAM_WRITABLE;
    if (status != WSSTREAM_OK && status != WSSTREAM_QUEUED) return 0; /* reading says why */
    connection->written++, written++;
  }
  return 0;
}

/* Reads until there is nothing, and closes when all have come; after that, too, it reads to the end. */
static uint32_t read_messages(struct connection *connection) {
  wsstream_message message;
  wsstream_status status;
  while ((status = wsstream_read(connection->stream, 0, &message)) == WSSTREAM_OK) {
    if (message.size != SIZE || memcmp(message.data, payload, SIZE) != 0) fputs("this is no echo\n", stderr);
    wsstream_message_release(&message);
    connection->echoed++, echoed++;
    if (connection->echoed == messages_each) wsstream_close(connection->stream, 1000, NULL, 0);
  }
  return status == WSSTREAM_AGAIN ? WSSTREAM_READABLE : 0;
}

/* The source goes first, and the descriptor from the loop with it. */
static gboolean end(struct connection *connection) {
  g_source_remove(connection->source);
  wsstream_free(connection->stream);
  g_free(connection);
  left--;
  return G_SOURCE_REMOVE;
}

static gboolean stream_ready(gint fd, GIOCondition condition, gpointer data) {
  struct connection *connection = data;
  uint32_t awaited = read_messages(connection) | write_messages(connection);
  wsstream_status status = WSSTREAM_AGAIN;
  (void)fd, (void)condition;
  if (awaited == 0) {
    awaited = WSSTREAM_CLOSED;
    status = wsstream_wait_closed(connection->stream, 0, NULL);
  }
  if (status == WSSTREAM_AGAIN && (status = wsstream_fd_watch(connection->stream, awaited)) == WSSTREAM_OK)
    return G_SOURCE_CONTINUE;
  if (status == WSSTREAM_OK) closed_cleanly++;
  else fprintf(stderr, "%s\n", wsstream_status_text(status));
  return end(connection);
}

/* The first calls are made at once: they say what to wait for. */
static int begin(const char *url) {
  struct connection *new = g_new0(struct connection, 1);
  int fd = -1;
  wsstream_status status = wsstream_open(url, WSSTREAM_NUL, NULL, &new->stream);
  if (status == WSSTREAM_OK) status = wsstream_fd(new->stream, &fd);
  if (status != WSSTREAM_OK) {
    fprintf(stderr, "%s: %s\n", url, wsstream_status_text(status));
    wsstream_free(new->stream);
    g_free(new);
    return 0;
  }
  new->source = g_unix_fd_add(fd, G_IO_IN, stream_ready, new);
  left++;
  stream_ready(fd, 0, new);
  return 1;
}

int main(int argc, char **argv) {
  const int streams = argc > 2 ? atoi(argv[2]) : 100;
  int i;
  if (argc > 3) messages_each = atoi(argv[3]);
  for (i = 0; i < streams; i++)
    if (!begin(argc > 1 ? argv[1] : "ws://127.0.0.1:9000/echo")) return EXIT_FAILURE;
  while (left > 0) g_main_context_iteration(NULL, TRUE);
  printf("written %d, echoed %d, closed cleanly %d\n", written, echoed, closed_cleanly);
  return closed_cleanly == streams ? EXIT_SUCCESS : EXIT_FAILURE;
}
