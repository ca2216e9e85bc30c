/* What the recorded figures measure: COUNT small messages received, sent or echoed, and nothing else that grows with
 * COUNT. It prints nothing: the figures are the difference between two runs of different length.
 *
 *   workload receive|send|send_many|echo URL COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsstream.h>

enum { PAYLOAD_SIZE = 16, BATCHES = 200, MANY = 100 };

static const char payload[PAYLOAD_SIZE + 1] = "sixteen bytes...";

static void check(const char *call, wsstream_status status) {
  if (status == WSSTREAM_OK) return;
  fprintf(stderr, "%s: %s\n", call, wsstream_status_name(status));
  exit(EXIT_FAILURE);
}

static void read_one(wsstream *stream) {
  wsstream_message message;
  check("read", wsstream_read(stream, WSSTREAM_FOREVER, &message));
  if (message.size != PAYLOAD_SIZE) {
    fprintf(stderr, "read: a message of %zu bytes\n", message.size);
    exit(EXIT_FAILURE);
  }
  wsstream_message_release(&message);
}

/* Batches that the server sends in one write for each message it gets: what a message costs beside the receive is the
 * difference between batches of two sizes. */
static void receive(wsstream *stream, long count) {
  long round, i;
  for (round = 0; round < BATCHES; round++) {
    check("write", wsstream_write(stream, WSSTREAM_BINARY, payload, PAYLOAD_SIZE, WSSTREAM_FOREVER));
    for (i = 0; i < count / BATCHES; i++) read_one(stream);
  }
}

static void send_gathered(wsstream *stream, long count) {
  while (count-- > 0)
    check("write_some", wsstream_write_some(stream, WSSTREAM_BINARY, payload, PAYLOAD_SIZE,
                                            WSSTREAM_FIN | WSSTREAM_MORE, WSSTREAM_FOREVER));
  check("flush", wsstream_flush(stream, WSSTREAM_FOREVER));
}

static void send_many(wsstream *stream, long count) {
  wsstream_message messages[MANY];
  size_t i, taken;
  memset(messages, 0, sizeof messages);
  for (i = 0; i < MANY; i++) {
    messages[i].type = WSSTREAM_BINARY;
    messages[i].data = (const uint8_t *)payload;
    messages[i].size = PAYLOAD_SIZE;
  }
  for (; count > 0; count -= MANY)
    check("write_many", wsstream_write_many(stream, messages, MANY, WSSTREAM_FOREVER, &taken));
}

static void echo(wsstream *stream, long count) {
  while (count-- > 0) {
    check("write", wsstream_write(stream, WSSTREAM_BINARY, payload, PAYLOAD_SIZE, WSSTREAM_FOREVER));
    read_one(stream);
  }
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(wsstream *, long);
  } works[] = {{"receive", receive}, {"send", send_gathered}, {"send_many", send_many}, {"echo", echo}};
  wsstream *stream = NULL;
  wsstream_options *options;
  size_t i;

  for (i = 0; argc == 4 && i < sizeof works / sizeof works[0]; i++) {
    if (strcmp(argv[1], works[i].name) != 0) continue;
    // Whether a look comes before a sleep is a matter of time.
    options = wsstream_options_new();
    check("options", wsstream_options_set_number(options, WSSTREAM_OPTION_SPIN_US, 0));
    check("open", wsstream_open(argv[2], WSSTREAM_NUL, options, &stream));
    wsstream_options_free(options);
    check("wait_opened", wsstream_wait_opened(stream, WSSTREAM_FOREVER));
    works[i].run(stream, strtol(argv[3], NULL, 10));
    wsstream_free(stream);
    return EXIT_SUCCESS;
  }
  fprintf(stderr, "usage: %s receive|send|send_many|echo URL COUNT\n", argv[0]);
  return EXIT_FAILURE;
}
