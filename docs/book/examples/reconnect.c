/* Keeps a connection: looks at why one has ended, waits longer each time, and gives up where trying again cannot help. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wsstream.h>

enum { FIRST_WAIT_MS = 50, MOST_WAIT_MS = 30000, ATTEMPTS = 4 };

/* ANCHOR: decision */
/* Whether another attempt may come to something else. What this version does not know is tried again. */
static int is_worth_another(const wsstream_close_info *info) {
  if (info->clean) return info->code == 1001 || info->code == 1012 || info->code == 1013; /* away, restart, later */
  switch (info->cause) {
    case WSSTREAM_CAUSE_ABORTED:     /* this program wanted it so */
    case WSSTREAM_CAUSE_CERTIFICATE: /* somebody has to look at that */
    case WSSTREAM_CAUSE_PROTOCOL:
    case WSSTREAM_CAUSE_UTF8:
    case WSSTREAM_CAUSE_TOO_BIG:
      return 0;
    case WSSTREAM_CAUSE_HTTP: /* a refusal; 429 and the servers' own faults pass */
      return info->http_status == 429 || info->http_status >= 500;
    default: return 1;
  }
}
/* ANCHOR_END: decision */

/* ANCHOR: backoff */
/* Waits between half of the time and all of it, so that a thousand clients do not come back at once. */
static void wait_about(long ms) {
  struct timespec pause;
  ms = ms / 2 + rand() % (ms / 2 + 1);
  pause.tv_sec = ms / 1000;
  pause.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&pause, NULL);
}

/* One connection from its opening to its end. Answers whether it was open. */
static int run(wsstream *stream, const wsstream_close_info **closed) {
  wsstream_message message;
  const int was_open = wsstream_wait_opened(stream, WSSTREAM_FOREVER) == WSSTREAM_OK;
  while (wsstream_read(stream, WSSTREAM_FOREVER, &message) == WSSTREAM_OK) {
    printf("message of %lu bytes\n", (unsigned long)message.size);
    wsstream_message_release(&message);
  }
  wsstream_wait_closed(stream, WSSTREAM_FOREVER, closed);
  return was_open;
}

int main(int argc, char **argv) {
  long wait_ms = FIRST_WAIT_MS;
  int attempt, again = 1;
  srand((unsigned)time(NULL));
  for (attempt = 1; again && attempt <= ATTEMPTS && argc == 2; attempt++) {
    const wsstream_close_info *closed = NULL;
    wsstream *stream = NULL;
    if (wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE; /* the program's fault */
    if (run(stream, &closed)) wait_ms = FIRST_WAIT_MS;
    if (closed == NULL) return EXIT_FAILURE; /* this process has no thread or descriptor left to wait with */
    again = is_worth_another(closed);
    printf("attempt %d: code %d, cause %u, HTTP status %d: %s\n", attempt, closed->code, (unsigned)closed->cause,
           closed->http_status, again ? "once more" : "no more");
    wsstream_free(stream);
    if (again) wait_about(wait_ms);
    wait_ms = wait_ms * 2 < MOST_WAIT_MS ? wait_ms * 2 : MOST_WAIT_MS;
  }
  return EXIT_SUCCESS;
}
/* ANCHOR_END: backoff */
