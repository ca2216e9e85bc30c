/* One thread writes, another reads, and neither knows of a lock. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wsstream.h>

enum { COUNT = 10000 };

/* ANCHOR: reader */
/* Reads until the end. Who has the last answer knows that it is time to close. */
static void *read_answers(void *argument) {
  wsstream *stream = argument;
  wsstream_message message;
  wsstream_status status;
  long received = 0;
  while ((status = wsstream_read(stream, WSSTREAM_FOREVER, &message)) == WSSTREAM_OK) {
    wsstream_message_release(&message);
    if (++received == COUNT) wsstream_close(stream, 1000, "have them all", WSSTREAM_NUL);
  }
  printf("reader: %ld messages, then %s\n", received, wsstream_status_name(status));
  return NULL;
}
/* ANCHOR_END: reader */

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  wsstream_status status = WSSTREAM_OK;
  const wsstream_close_info *closed;
  pthread_t reader;
  int i;

  if (argc != 2 || wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE;
  /* ANCHOR: writer */
  if (pthread_create(&reader, NULL, read_answers, stream) != 0) return EXIT_FAILURE;
  for (i = 0; i < COUNT && (status == WSSTREAM_OK || status == WSSTREAM_QUEUED); i++)
    status = wsstream_write(stream, WSSTREAM_BINARY, &i, sizeof i, WSSTREAM_FOREVER);
  pthread_join(reader, NULL);
  status = wsstream_wait_closed(stream, WSSTREAM_FOREVER, &closed);
  printf("closed: %s, code %d, reason \"%s\"\n", wsstream_status_name(status), closed->code, closed->reason);
  wsstream_free(stream); /* after the join: nobody may begin a call on it any more */
  /* ANCHOR_END: writer */
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
