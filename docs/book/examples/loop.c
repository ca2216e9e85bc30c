/* A stream in a loop of epoll beside a timer: each tick sends a message, each answer is counted. No call waits. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <wsstream.h>

enum { TICKS = 5 };

/* ANCHOR: state */
struct client {
  wsstream *stream;
  int to_write; /* ticks that are not written yet */
  int written, received;
};

/* What the descriptor has to stand for: what has answered AGAIN and is still wanted, nothing else. */
static void watch(struct client *client) {
  uint32_t events = WSSTREAM_READABLE;
  if (client->to_write > 0) events |= WSSTREAM_WRITABLE;
  wsstream_fd_watch(client->stream, events);
}
/* ANCHOR_END: state */

/* ANCHOR: step */
static void write_ticks(struct client *client) {
  while (client->to_write > 0) {
    const wsstream_status status = wsstream_write(client->stream, WSSTREAM_TEXT, "tick", 4, 0);
    if (status != WSSTREAM_OK && status != WSSTREAM_QUEUED) return; /* AGAIN: later; an end: the reader meets it */
    client->to_write--;
    client->written++;
  }
}

/* Answers what the read half has come to: AGAIN while there is more to wait for. */
static wsstream_status read_answers(struct client *client) {
  wsstream_message message;
  wsstream_status status;
  while ((status = wsstream_read(client->stream, 0, &message)) == WSSTREAM_OK) {
    wsstream_message_release(&message);
    if (++client->received == TICKS) wsstream_close(client->stream, 1000, NULL, 0);
  }
  return status;
}
/* ANCHOR_END: step */

static int timer_every(long ms) {
  const struct itimerspec each = {{0, ms * 1000000}, {0, ms * 1000000}};
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  timerfd_settime(timer, 0, &each, NULL);
  return timer;
}

static void add(int loop, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  event.data.fd = fd;
  if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
  struct client client = {NULL, 0, 0, 0};
  const int loop = epoll_create1(EPOLL_CLOEXEC), timer = timer_every(10);
  struct epoll_event event;
  wsstream_status status = WSSTREAM_AGAIN;
  int fd;

  /* ANCHOR: loop */
  if (argc != 2 || wsstream_open(argv[1], WSSTREAM_NUL, NULL, &client.stream) != WSSTREAM_OK) return EXIT_FAILURE;
  if (wsstream_fd(client.stream, &fd) != WSSTREAM_OK) return EXIT_FAILURE;
  add(loop, fd);
  add(loop, timer);
  while (status == WSSTREAM_AGAIN) {
    uint64_t ticks;
    if (epoll_wait(loop, &event, 1, -1) != 1) continue;
    if (event.data.fd == timer && read(timer, &ticks, sizeof ticks) > 0 && client.written + client.to_write < TICKS)
      client.to_write++;
    write_ticks(&client);
    status = read_answers(&client);
    watch(&client);
  }
  epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL); /* out of the loop first, then freed */
  printf("sent %d, received %d, then %s\n", client.written, client.received, wsstream_status_name(status));
  wsstream_free(client.stream);
  /* ANCHOR_END: loop */
  close(timer);
  close(loop);
  return status == WSSTREAM_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
}
