/* Sends each line that is typed as one message and shows each message that comes.
 *
 *   cc chat.c -lwsstream -lpthread -o chat && ./chat ws://127.0.0.1:9000/echo
 *
 * The main thread reads the terminal and writes to the stream, another one reads the stream. The end of the input
 * (Ctrl-D) closes the stream and gives a line up that has no end; a close by the peer ends the program.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wsstream.h>

/* Shows messages until the readable side ends. It needs no reference: it is joined before the stream is freed. */
static void *show_messages(void *argument) {
  wsstream_message message;
  wsstream_status status;
  while ((status = wsstream_read(argument, WSSTREAM_FOREVER, &message)) == WSSTREAM_OK) {
    printf("< %.*s\n", (int)message.size, (const char *)message.data);
    fflush(stdout);
    wsstream_message_release(&message);
  }
  if (status != WSSTREAM_DONE) fprintf(stderr, "read: %s\n", wsstream_status_text(status));
  return NULL;
}

/* What was typed may end inside a line and inside a character: the message goes on with the next part. */
static wsstream_status write_lines(wsstream *stream, const char *text, size_t size) {
  wsstream_status status = WSSTREAM_OK;
  while (size > 0 && status == WSSTREAM_OK) {
    const char *end = memchr(text, '\n', size);
    const size_t part = end != NULL ? (size_t)(end - text) : size;
    const size_t taken = end != NULL ? part + 1 : part;
    status = wsstream_write_some(stream, WSSTREAM_TEXT, text, part, end != NULL ? WSSTREAM_FIN : 0, WSSTREAM_FOREVER);
    text += taken;
    size -= taken;
  }
  return status;
}

/* Reads the terminal until its end; the stream's descriptor says when the stream has ended before it. */
static wsstream_status read_terminal(wsstream *stream) {
  struct pollfd ready[2] = {{STDIN_FILENO, POLLIN, 0}, {-1, POLLIN, 0}};
  wsstream_status status = wsstream_fd(stream, &ready[1].fd);
  if (status == WSSTREAM_OK) status = wsstream_fd_watch(stream, WSSTREAM_CLOSED);
  while (status == WSSTREAM_OK) {
    char text[4096];
    ssize_t size;
    if (poll(ready, 2, -1) < 0) continue; /* a signal */
    if (ready[1].revents != 0 && wsstream_wait_closed(stream, 0, NULL) != WSSTREAM_AGAIN) break;
    if (ready[0].revents == 0) continue;
    if ((size = read(STDIN_FILENO, text, sizeof text)) <= 0) break;
    status = write_lines(stream, text, (size_t)size);
  }
  return status;
}

int main(int argc, char **argv) {
  wsstream *stream = NULL;
  const wsstream_close_info *closed = NULL;
  pthread_t reader;
  wsstream_status status = WSSTREAM_ERR_ARGUMENT;
  if (argc == 2) status = wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream);
  if (status != WSSTREAM_OK || pthread_create(&reader, NULL, show_messages, stream) != 0) {
    fprintf(stderr, "%s\nusage: %s ws://HOST[:PORT]/PATH\n", wsstream_status_text(status), argv[0]);
    return EXIT_FAILURE;
  }
  status = read_terminal(stream);
  if (status != WSSTREAM_OK) fprintf(stderr, "write: %s\n", wsstream_status_text(status));
  status = wsstream_close(stream, 1000, "bye", WSSTREAM_NUL); /* lets the reader go, after CLOSE_TIMEOUT_MS at most */
  if (status != WSSTREAM_OK) fprintf(stderr, "close: %s\n", wsstream_status_text(status));
  pthread_join(reader, NULL);
  status = wsstream_wait_closed(stream, WSSTREAM_FOREVER, &closed);
  if (closed != NULL) printf("closed: code %d, reason \"%s\"\n", closed->code, closed->reason);
  wsstream_free(stream);
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
