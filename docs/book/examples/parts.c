/* Sends one large message in parts and reads the answer in pieces: neither side of this program holds it whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsstream.h>

enum { PARTS = 160, PART_BYTES = 65536 };

/* ANCHOR: writing */
static wsstream_status write_parts(wsstream *stream) {
  static unsigned char part[PART_BYTES];
  wsstream_status status = WSSTREAM_OK;
  int i;
  for (i = 0; i < PARTS && (status == WSSTREAM_OK || status == WSSTREAM_QUEUED); i++) {
    const uint32_t flags = i == PARTS - 1 ? WSSTREAM_FIN : 0;
    memset(part, i, sizeof part);
    status = wsstream_write_some(stream, WSSTREAM_BINARY, part, sizeof part, flags, WSSTREAM_FOREVER);
  }
  return status;
}
/* ANCHOR_END: writing */

/* ANCHOR: reading */
static wsstream_status read_parts(wsstream *stream, size_t *total) {
  unsigned char buffer[16384];
  wsstream_chunk chunk;
  wsstream_status status;
  do {
    status = wsstream_read_some(stream, buffer, sizeof buffer, WSSTREAM_FOREVER, &chunk);
    if (status != WSSTREAM_OK) return status; /* DONE, too: the message has no end then */
    *total += chunk.size;
  } while (!(chunk.flags & WSSTREAM_FIN));
  return WSSTREAM_OK;
}
/* ANCHOR_END: reading */

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  wsstream_status status;
  size_t total = 0;

  if (argc != 2 || wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE;
  status = write_parts(stream);
  printf("written: %s\n", wsstream_status_name(status));
  if (status == WSSTREAM_OK) status = read_parts(stream, &total);
  printf("read:    %s, %lu bytes\n", wsstream_status_name(status), (unsigned long)total);
  wsstream_close(stream, 1000, NULL, 0);
  status = wsstream_wait_closed(stream, WSSTREAM_FOREVER, NULL);
  wsstream_free(stream);
  return status == WSSTREAM_OK && total == (size_t)PARTS * PART_BYTES ? EXIT_SUCCESS : EXIT_FAILURE;
}
