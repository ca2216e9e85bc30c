/* Says hello to a WebSocket server that echoes, shows what comes back and closes.
 *
 *   cc echo.c -lwsstream -o echo && ./echo ws://127.0.0.1:9000/echo
 */
#include <stdio.h>
#include <stdlib.h>
#include <wsstream.h>

/* Ends the program unless `status` is OK, and says what failed and why. */
static void check(const char *call, wsstream_status status, wsstream *stream) {
  const wsstream_close_info *closed;
  if (status == WSSTREAM_OK) return;
  fprintf(stderr, "%s: %s\n", call, wsstream_status_text(status));
  wsstream_wait_closed(stream, 0, &closed);
  if (closed != NULL) fprintf(stderr, "%s\n", closed->detail);
  wsstream_free(stream);
  exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  wsstream_message message;
  const wsstream_close_info *closed;
  wsstream_status status;

  if (argc != 2) {
    fprintf(stderr, "usage: %s ws://HOST[:PORT]/PATH\n", argv[0]);
    return EXIT_FAILURE;
  }
  status = wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream);
  check("open", status, stream);
  check("wait_opened", wsstream_wait_opened(stream, WSSTREAM_FOREVER), stream);
  printf("url:      %s\n", wsstream_url(stream));
  printf("protocol: \"%s\"\n", wsstream_protocol(stream));

  status = wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, WSSTREAM_FOREVER);
  check("write", status, stream);
  check("read", wsstream_read(stream, WSSTREAM_FOREVER, &message), stream);
  printf("message:  \"%.*s\"\n", (int)message.size, (const char *)message.data);
  wsstream_message_release(&message);

  check("close", wsstream_close(stream, 1000, "bye", WSSTREAM_NUL), stream);
  status = wsstream_wait_closed(stream, WSSTREAM_FOREVER, &closed);
  check("wait_closed", status, stream);
  printf("closed:   code %d, reason \"%s\", %s\n", closed->code, closed->reason,
         closed->clean ? "clean" : "unclean");
  wsstream_free(stream);
  return EXIT_SUCCESS;
}
