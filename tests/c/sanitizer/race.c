/* Changes a text on one thread that the library reads on another, in this order but without one that the language knows:
 * that has to be found, and only an instrumented library shows its side of it. */
#include <pthread.h>
#include <wsstream.h>

static char text[] = "chat";
static int is_changed;

static void *change(void *unused) {
  text[0] = 'C';
  __atomic_store_n(&is_changed, 1, __ATOMIC_RELAXED);
  return unused;
}

int main(void) {
  wsstream_options *options = wsstream_options_new();
  pthread_t thread;
  if (pthread_create(&thread, NULL, change, NULL) != 0) return 1;
  while (!__atomic_load_n(&is_changed, __ATOMIC_RELAXED)) continue;
  wsstream_options_add_protocol(options, text, sizeof text - 1);
  pthread_join(thread, NULL);
  wsstream_options_free(options);
  return 0;
}
