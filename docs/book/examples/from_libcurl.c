/* Sends a line, prints the answer, closes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsstream.h>

int main(int argc, char **argv) {
  const char *text = argc == 3 ? argv[2] : "hello";
  const wsstream_close_info *closed = NULL;
  wsstream *stream = NULL;
  wsstream_message message;
  wsstream_status status;

  if (argc < 2) return EXIT_FAILURE;
  status = wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream);
  if (status == WSSTREAM_OK) status = wsstream_write(stream, WSSTREAM_TEXT, text, strlen(text), WSSTREAM_FOREVER);
  if (status == WSSTREAM_OK) status = wsstream_read(stream, WSSTREAM_FOREVER, &message);
  if (status == WSSTREAM_OK) {
    printf("%.*s\n", (int)message.size, (const char *)message.data);
    wsstream_message_release(&message);
    wsstream_close(stream, 1000, NULL, 0);
  }
  status = wsstream_wait_closed(stream, WSSTREAM_FOREVER, &closed);
  if (status != WSSTREAM_OK) fprintf(stderr, "%s\n", closed != NULL ? closed->detail : wsstream_status_text(status));
  wsstream_free(stream);
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
