/* Waits, but never for ever: each call has its own limit.
 *
 * The server of this example takes every message and says nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <wsstream.h>

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  wsstream_message message;
  wsstream_status status;
  const wsstream_close_info *closed;
  uint32_t events = 0;

  if (argc != 2 || wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE;

  /* ANCHOR: opening */
  status = wsstream_wait_opened(stream, 5000);
  if (status == WSSTREAM_AGAIN) printf("not open after five seconds; it goes on trying\n");
  /* ANCHOR_END: opening */
  printf("opening:      %s\n", wsstream_status_name(status));

  status = wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, 1000);
  printf("writing:      %s\n", wsstream_status_name(status));

  /* ANCHOR: reading */
  status = wsstream_read(stream, 100, &message);
  if (status == WSSTREAM_AGAIN) {
    /* Nothing was taken and nothing is lost: the next call goes on where this one stopped. */
    status = wsstream_read(stream, 0, &message); /* looks, and does not wait at all */
  }
  /* ANCHOR_END: reading */
  printf("reading:      %s\n", wsstream_status_name(status));

  /* ANCHOR: poll */
  status = wsstream_poll(stream, WSSTREAM_READABLE | WSSTREAM_WRITABLE, 1000, &events);
  if (status == WSSTREAM_OK && (events & WSSTREAM_WRITABLE)) printf("there is room to write\n");
  if (status == WSSTREAM_OK && (events & WSSTREAM_READABLE)) printf("there is a message to read\n");
  /* ANCHOR_END: poll */

  wsstream_close(stream, 1000, NULL, 0);
  status = wsstream_wait_closed(stream, 5000, &closed);
  printf("wait_closed:  %s\n", wsstream_status_name(status));
  wsstream_free(stream);
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
