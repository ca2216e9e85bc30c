/* A hundred streams in one event loop and one thread: each says hello, hears it back and closes.
 *
 *   cc event_loop.c -lwsstream -o event_loop && ./event_loop ws://127.0.0.1:9000/echo
 *
 * A stream's descriptor is readable while the event holds that wsstream_fd_watch set. No call on a stream waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <wsstream.h>

enum { COUNT = 100 };

/* What a stream does next, and the event that the call of that step needs. */
enum step { OPENING, WRITING, READING, CLOSING, STEPS };
static const uint32_t event_of[STEPS] = {WSSTREAM_OPENED, WSSTREAM_WRITABLE, WSSTREAM_READABLE, WSSTREAM_CLOSED};
static int done[STEPS], loop;

struct connection {
  wsstream *stream;
  enum step step;
  int descriptor;
};

static wsstream_status hear_and_close(wsstream *stream) {
  wsstream_message message;
  const wsstream_status status = wsstream_read(stream, 0, &message);
  if (status != WSSTREAM_OK) return status;
  if (message.size != 5 || memcmp(message.data, "hello", 5) != 0) fputs("this is no echo\n", stderr);
  wsstream_message_release(&message);
  return wsstream_close(stream, 1000, NULL, 0);
}

static wsstream_status advance(wsstream *stream, enum step step) {
  wsstream_status status;
  switch (step) {
    case OPENING: return wsstream_wait_opened(stream, 0);
    case WRITING:
      status = wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, 0);
      return status == WSSTREAM_QUEUED ? WSSTREAM_OK : status; /* taken as well */
    case READING: return hear_and_close(stream);
    default: return wsstream_wait_closed(stream, 0, NULL);
  }
}

/* Goes on while nothing has to be waited for; answers whether it is over: out of the loop, then freed, in this order. */
static int handle_event(struct connection *connection) {
  wsstream_status status = WSSTREAM_OK;
  while (connection->step != STEPS && (status = advance(connection->stream, connection->step)) == WSSTREAM_OK)
    done[connection->step++]++;
  if (status == WSSTREAM_AGAIN) status = wsstream_fd_watch(connection->stream, event_of[connection->step]);
  if (status == WSSTREAM_OK && connection->step != STEPS) return 0;
  if (status != WSSTREAM_OK) fprintf(stderr, "%s\n", wsstream_status_text(status));
  if (epoll_ctl(loop, EPOLL_CTL_DEL, connection->descriptor, NULL) != 0) perror("epoll_ctl");
  wsstream_free(connection->stream);
  return 1;
}

int main(int argc, char **argv) {
  static struct connection connections[COUNT];
  struct epoll_event event = {.events = EPOLLIN};
  const char *url = argc == 2 ? argv[1] : "ws://127.0.0.1:9000/echo";
  int i, left = COUNT;
  loop = epoll_create1(EPOLL_CLOEXEC);
  for (i = 0; i < COUNT; i++) {
    struct connection *new = &connections[i];
    wsstream_status status = wsstream_open(url, WSSTREAM_NUL, NULL, &new->stream);
    if (status == WSSTREAM_OK) status = wsstream_fd(new->stream, &new->descriptor);
    if (status != WSSTREAM_OK) fprintf(stderr, "%s: %s\n", url, wsstream_status_text(status));
    event.data.ptr = new;
    if (status != WSSTREAM_OK || epoll_ctl(loop, EPOLL_CTL_ADD, new->descriptor, &event) != 0) return EXIT_FAILURE;
    left -= handle_event(new);
  }
  while (left > 0)
    if (epoll_wait(loop, &event, 1, -1) == 1) left -= handle_event(event.data.ptr);
  printf("opened %d, written %d, echoed %d, closed cleanly %d\n", done[0], done[1], done[2], done[3]);
  return done[CLOSING] == COUNT ? EXIT_SUCCESS : EXIT_FAILURE;
}
