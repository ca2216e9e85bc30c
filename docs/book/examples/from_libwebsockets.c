/* Sends a line, prints the answer, closes: the same callbacks as with libwebsockets, and no loop to turn. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsstream.h>

static const char *text = "hello";
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_over, is_failed;

static void handle_opened(wsstream *stream, wsstream_status status, void *user_data) {
  (void)user_data;
  if (status == WSSTREAM_OK) wsstream_write(stream, WSSTREAM_TEXT, text, strlen(text), 0);
}

/* A whole message. */
static uint32_t handle_message(wsstream *stream, wsstream_status status, const wsstream_message *message, void *user) {
  (void)status;
  (void)user;
  if (message == NULL) return WSSTREAM_CONTINUE;
  printf("%.*s\n", (int)message->size, (const char *)message->data);
  wsstream_close(stream, 1000, NULL, 0);
  return WSSTREAM_CONTINUE;
}

static void handle_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)stream;
  (void)user_data;
  pthread_mutex_lock(&mutex);
  is_failed = status != WSSTREAM_OK;
  if (is_failed) fprintf(stderr, "%s\n", info->detail);
  is_over = 1;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&mutex);
}

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  if (argc < 2) return EXIT_FAILURE;
  if (argc == 3) text = argv[2];
  if (wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE;
  if (wsstream_on_opened(stream, handle_opened, NULL) != WSSTREAM_OK ||
      wsstream_on_message(stream, handle_message, NULL) != WSSTREAM_OK ||
      wsstream_on_closed(stream, handle_closed, NULL) != WSSTREAM_OK) {
    wsstream_free(stream);
    return EXIT_FAILURE;
  }
  pthread_mutex_lock(&mutex);
  while (!is_over) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
  wsstream_free(stream);
  return is_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
