/* Says one thing to an echo server and checks what comes back: talk URL. C and C++. */
#include <stdio.h>
#include <string.h>
#include <wsstream.h>

#ifdef NEIGHBOUR
int neighbour(void);
#else
static int neighbour(void) { return 42; }
#endif

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  wsstream_message message;
  const wsstream_close_info *closed = NULL;
  int same;

  if (argc != 2 || neighbour() != 42) return 2;
  if (wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return 3;
  if (wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, 10000) != WSSTREAM_OK) return 4;
  if (wsstream_read(stream, 10000, &message) != WSSTREAM_OK) return 5;
  same = message.size == 5 && memcmp(message.data, "hello", 5) == 0;
  wsstream_message_release(&message);
  wsstream_close(stream, 1000, "bye", WSSTREAM_NUL);
  if (wsstream_wait_closed(stream, 10000, &closed) != WSSTREAM_OK || !closed->clean) return 6;
  wsstream_free(stream);
  printf("%s\n", wsstream_version());
  return same ? 0 : 7;
}
