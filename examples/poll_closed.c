/* Does its own work in slices, tells the server of each, and asks between two slices whether the stream has ended.
 *
 *   cc poll_closed.c -lwsstream -o poll_closed && ./poll_closed ws://127.0.0.1:9000/echo
 *
 * No call here waits for the network: a game, a simulation or a measurement can run so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wsstream.h>

enum { SLICE_MS = 10, SLICES = 25, PRIMES_PER_SLICE = 100 };

/* A slice of work that has nothing to do with the stream: finds the next few prime numbers. */
static unsigned work(unsigned prime) {
  int found;
  for (found = 0; found < PRIMES_PER_SLICE; found++) {
    unsigned divisor = 0;
    while (divisor != prime)
      for (prime++, divisor = 2; divisor < prime && prime % divisor != 0;) divisor++;
  }
  return prime;
}

/* The pace: the processor is free for others between two slices. */
static void rest(void) {
  const struct timespec pause = {0, SLICE_MS * 1000000L};
  nanosleep(&pause, NULL);
}

/* Tells the server how far the work is; at the end of the work, that this was all. */
static wsstream_status report(wsstream *stream, int slices, unsigned prime) {
  char text[64];
  int size;
  if (slices > SLICES) return WSSTREAM_OK;
  if (slices == SLICES) return wsstream_close(stream, 1000, "the work is done", WSSTREAM_NUL);
  size = snprintf(text, sizeof text, "prime number %d is %u", slices * PRIMES_PER_SLICE, prime);
  return wsstream_write(stream, WSSTREAM_TEXT, text, (size_t)size, 0);
}

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  const wsstream_close_info *closed = NULL;
  wsstream_status status;
  unsigned prime = 1;
  int slices = 0, skipped = 0;

  if (argc != 2) {
    fprintf(stderr, "usage: %s ws://HOST[:PORT]/PATH\n", argv[0]);
    return EXIT_FAILURE;
  }
  status = wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream);
  if (status != WSSTREAM_OK) {
    fprintf(stderr, "open: %s\n", wsstream_status_text(status));
    return EXIT_FAILURE;
  }
  while ((status = wsstream_wait_closed(stream, 0, &closed)) == WSSTREAM_AGAIN) {
    prime = work(prime);
    slices++;
    status = report(stream, slices, prime);
    /* Not open yet, no room, or ended a moment ago: this report is left out, and the loop sees to the rest. */
    if (status != WSSTREAM_OK && status != WSSTREAM_QUEUED) skipped++;
    rest();
  }
  printf("slices:   %d, reports left out: %d, last prime: %u\n", slices, skipped, prime);
  printf("closed:   %s\n", wsstream_status_name(status));
  if (closed != NULL) printf("          code %d, reason \"%s\"\n", closed->code, closed->reason);
  wsstream_free(stream);
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
