/* Nobody waits: the library calls when the stream is open, for each message, and at the end. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wsstream.h>

/* What the callbacks share. Those of one stream never overlap, so `received` needs no lock. */
struct client {
  int received;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int is_freed;
};

/* ANCHOR: callbacks */
/* Timeout 0 in every call from here: a callback may not wait. */
static void on_opened(wsstream *stream, wsstream_status status, void *user_data) {
  (void)user_data;
  printf("opened: %s\n", wsstream_status_name(status));
  if (status == WSSTREAM_OK) wsstream_write(stream, WSSTREAM_TEXT, "tick", 4, 0);
}

static uint32_t on_message(wsstream *stream, wsstream_status status, const wsstream_message *message, void *user_data) {
  struct client *client = user_data;
  if (message == NULL) {
    printf("no more messages: %s\n", wsstream_status_name(status));
  } else if (++client->received < 3) {
    wsstream_write(stream, message->type, message->data, message->size, 0);
  } else {
    wsstream_close(stream, 1000, "enough", WSSTREAM_NUL);
  }
  return WSSTREAM_CONTINUE; /* the message is released by the library */
}

static void on_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct client *client = user_data;
  printf("closed: %s, code %d, after %d messages\n", wsstream_status_name(status), info->code, client->received);
  wsstream_free(stream);
}

/* The last callback: nothing of the stream uses `client` after it. */
static void on_freed(void *user_data) {
  struct client *client = user_data;
  pthread_mutex_lock(&client->mutex);
  client->is_freed = 1;
  pthread_cond_signal(&client->changed);
  pthread_mutex_unlock(&client->mutex);
}
/* ANCHOR_END: callbacks */

int main(int argc, char **argv) {
  static struct client client = {0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
  wsstream *stream = NULL;

  if (argc != 2 || wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream) != WSSTREAM_OK) return EXIT_FAILURE;
  /* ANCHOR: registering */
  /* on_closed frees the stream, so it is registered last: after that this thread begins no call on it. */
  if (wsstream_on_freed(stream, on_freed, &client) != WSSTREAM_OK) return EXIT_FAILURE;
  if (wsstream_on_opened(stream, on_opened, &client) != WSSTREAM_OK) return EXIT_FAILURE;
  if (wsstream_on_message(stream, on_message, &client) != WSSTREAM_OK) return EXIT_FAILURE;
  if (wsstream_on_closed(stream, on_closed, &client) != WSSTREAM_OK) return EXIT_FAILURE;
  /* ANCHOR_END: registering */

  pthread_mutex_lock(&client.mutex);
  while (!client.is_freed) pthread_cond_wait(&client.changed, &client.mutex);
  pthread_mutex_unlock(&client.mutex);
  return EXIT_SUCCESS;
}
