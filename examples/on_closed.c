/* Has a function called when the stream ends, and sleeps until then.
 *
 *   cc on_closed.c -lwsstream -lpthread -o on_closed && ./on_closed ws://127.0.0.1:9000/echo
 *
 * The server gets a second to end the stream; then this side does.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wsstream.h>

/* What the callback hands to the main thread. */
struct end {
  pthread_mutex_t mutex;
  pthread_cond_t has_come;
  int is_known;
  wsstream_status status;
  uint16_t code;
  char reason[124]; /* the longest reason there is has 123 bytes */
};

/* Runs on a thread of the library, on which all other streams wait meanwhile: it copies and returns. */
static void handle_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct end *end = user_data;
  (void)stream;
  pthread_mutex_lock(&end->mutex);
  end->status = status;
  end->code = info->code;
  memcpy(end->reason, info->reason, info->reason_size + 1);
  end->is_known = 1;
  pthread_cond_signal(&end->has_come);
  pthread_mutex_unlock(&end->mutex);
}

int main(int argc, char **argv) {
  static struct end end = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, WSSTREAM_AGAIN, 0, ""};
  struct timespec patience;
  wsstream *stream = NULL;
  wsstream_status status;
  int timed_out = 0;

  if (argc != 2) {
    fprintf(stderr, "usage: %s ws://HOST[:PORT]/PATH\n", argv[0]);
    return EXIT_FAILURE;
  }
  status = wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream);
  if (status == WSSTREAM_OK) status = wsstream_on_closed(stream, handle_closed, &end);
  if (status != WSSTREAM_OK) {
    fprintf(stderr, "%s\n", wsstream_status_text(status));
    wsstream_free(stream);
    return EXIT_FAILURE;
  }

  clock_gettime(CLOCK_REALTIME, &patience);
  patience.tv_sec += 1;
  pthread_mutex_lock(&end.mutex);
  while (!end.is_known && !timed_out) timed_out = pthread_cond_timedwait(&end.has_come, &end.mutex, &patience) != 0;
  pthread_mutex_unlock(&end.mutex);
  if (timed_out) status = wsstream_close(stream, 1000, "time is up", WSSTREAM_NUL);

  /* The end comes in any case: the peer's answer, or CLOSE_TIMEOUT_MS. */
  pthread_mutex_lock(&end.mutex);
  while (status == WSSTREAM_OK && !end.is_known) pthread_cond_wait(&end.has_come, &end.mutex);
  printf("on_closed: %s, code %d, reason \"%s\"\n", wsstream_status_name(end.status), end.code, end.reason);
  pthread_mutex_unlock(&end.mutex);

  /* Hold no lock of the callback's in wsstream_free, which waits for a callback that still runs. */
  wsstream_free(stream);
  return end.status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
