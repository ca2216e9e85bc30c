/* Forgets options without freeing them, which has to be found. On a thread, whose stack goes with it: what a call has left
 * behind there would still point to them. */
#include <pthread.h>
#include <wsstream.h>

static void *forget_options(void *unused) {
  wsstream_options *options = wsstream_options_new();
  wsstream_options_add_protocol(options, "forgotten", WSSTREAM_NUL);
  return unused;
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, forget_options, NULL) != 0) return 1;
  return pthread_join(thread, NULL);
}
