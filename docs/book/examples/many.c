/* Sends a thousand small messages in one call and takes what has come in few. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsstream.h>

enum { COUNT = 1000 };

/* ANCHOR: writing */
static wsstream_status write_all(wsstream *stream, const wsstream_message *messages, size_t count) {
  size_t taken = 0;
  return wsstream_write_many(stream, messages, count, WSSTREAM_FOREVER, &taken);
}
/* ANCHOR_END: writing */

/* ANCHOR: reading */
static wsstream_status read_all(wsstream *stream, size_t wanted) {
  wsstream_message messages[64];
  size_t count = 0, i;
  wsstream_status status = WSSTREAM_OK;
  for (; wanted > 0 && status == WSSTREAM_OK; wanted -= count) {
    const size_t capacity = wanted < 64 ? wanted : 64;
    status = wsstream_read_many(stream, WSSTREAM_FOREVER, messages, capacity, &count);
    for (i = 0; i < count; i++) wsstream_message_release(&messages[i]);
  }
  return status;
}
/* ANCHOR_END: reading */

int main(int argc, char **argv) {
  static wsstream_message messages[COUNT];
  wsstream_statistics statistics;
  wsstream *stream = NULL;
  wsstream_status status;
  int i;

  if (argc != 2 || wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE;
  for (i = 0; i < COUNT; i++) {
    messages[i].type = WSSTREAM_TEXT;
    messages[i].flags = WSSTREAM_FIN;
    messages[i].data = (const uint8_t *)"tick";
    messages[i].size = 4;
  }
  status = write_all(stream, messages, COUNT);
  if (status == WSSTREAM_OK) status = read_all(stream, COUNT);
  if (wsstream_statistics_get(stream, &statistics, sizeof statistics) == WSSTREAM_OK)
    printf("sent %lu, received %lu messages\n", (unsigned long)statistics.messages_sent,
           (unsigned long)statistics.messages_received);
  wsstream_close(stream, 1000, NULL, 0);
  wsstream_wait_closed(stream, WSSTREAM_FOREVER, NULL);
  wsstream_free(stream);
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
