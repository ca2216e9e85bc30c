/* The loop: what waits for the stream, the input, the output and a signal in one poll, and when it is time to close.
 *
 * What comes behind our Close is dropped, as a WebSocketStream does. So where the input has ended the Close waits for the
 * answers: until nothing has come for a while, and until a ping that left behind the last message is answered, which is
 * behind the answers of every server that answers in order. */
#include "cat.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { STREAM, INPUT, OUTPUT, SIGNALS, COUNT };
enum { TICK_MS = 50 };

struct loop {
  const struct settings *settings;
  struct source *source;
  struct sink *sink;
  wsstream *stream;
  struct progress progress;
  struct pollfd polled[COUNT];
  uint32_t watched;
  int is_opened, is_closing, signal;
  /* What the answers are awaited with: since when nothing came, and the pings that had left when all was sent. */
  uint64_t moved;
  int64_t quiet_since_ms;
  uint64_t pings;
  int is_all_sent;
};

/* The handler's end of a pipe that the loop polls. */
static int signal_pipe[2] = {-1, -1};
static volatile sig_atomic_t signal_count;

static void handle_signal(int number) {
  const int saved = errno;
  const char byte = (char)number;
  if (++signal_count > 1) _exit(128 + number);
  if (write(signal_pipe[1], &byte, 1) < 0) _exit(128 + number);
  errno = saved;
}

int cat_catch_signals(void) {
  static const int numbers[] = {SIGINT, SIGTERM};
  struct sigaction action, before;
  size_t i;
  memset(&action, 0, sizeof action);
  if (pipe(signal_pipe) != 0) return 0;
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  action.sa_handler = handle_signal;
  for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (sigaction(numbers[i], NULL, &before) != 0) return 0;
    /* What a shell lets a program in the background ignore stays ignored. */
    if (before.sa_handler != SIG_IGN && sigaction(numbers[i], &action, NULL) != 0) return 0;
  }
  return 1;
}

static void close_stream(struct loop *loop) {
  const char *reason = loop->settings->close_reason;
  const int32_t code = loop->settings->close_code;
  if (loop->is_closing) return;
  loop->is_closing = 1;
  source_stop(loop->source);
  if (wsstream_close(loop->stream, code, reason, reason != NULL ? WSSTREAM_NUL : 0) == WSSTREAM_OK) return;
  say("the reason is not UTF-8");
  wsstream_close(loop->stream, code, NULL, 0);
}

/* The input has ended: whether the answers have, too. A slow output or peer is no quiet. */
static int has_waited_enough(struct loop *loop) {
  const uint64_t moved = loop->source->sent + loop->sink->received + loop->sink->messages;
  const int64_t now = now_ms();
  wsstream_statistics known;
  if (loop->settings->linger_ms < 0) return 0;
  if (wsstream_statistics_get(loop->stream, &known, sizeof known) != WSSTREAM_OK) return 1;
  if (moved != loop->moved || known.unsent > 0 || sink_is_pending(loop->sink)) {
    loop->moved = moved;
    loop->quiet_since_ms = now;
  }
  if (!loop->is_all_sent && known.unsent == 0) {
    loop->is_all_sent = 1;
    loop->quiet_since_ms = now;
    loop->pings = known.pings_sent;
  }
  if (!loop->is_all_sent || now - loop->quiet_since_ms < loop->settings->linger_ms) return 0;
  return loop->settings->ping_ms == 0 || known.pongs_received > loop->pings;
}

/* Closes where it is time; answers the milliseconds after which to look again, -1 for never. */
static int look_at_end(struct loop *loop) {
  const int has_single = loop->sink->is_dropping;
  const int is_sent = loop->settings->send_path == NULL || loop->source->is_over;
  if (loop->is_closing || (loop->sink->is_over && !loop->sink->is_broken)) return -1;
  if (loop->sink->is_broken || loop->source->is_refused || (has_single && is_sent)) close_stream(loop);
  else if (loop->source->is_over && !loop->settings->is_single && loop->settings->linger_ms >= 0) {
    if (!has_waited_enough(loop)) return TICK_MS;
    close_stream(loop);
  }
  return -1;
}

/* One that could not be opened has no half to read or write. */
static uint32_t look_at_opening(struct loop *loop) {
  const wsstream_status status = wsstream_wait_opened(loop->stream, 0);
  if (status == WSSTREAM_AGAIN) return WSSTREAM_OPENED;
  loop->is_opened = status == WSSTREAM_OK;
  if (loop->is_opened) tell_opened(loop->settings, loop->stream);
  else loop->source->is_over = loop->sink->is_over = 1;
  /* Every other error says that it has ended. */
  if (status == WSSTREAM_ERR_RESOURCE && !loop->is_closing) {
    say("nothing is sent: %s", wsstream_status_text(status));
    loop->source->is_lost = 1;
    close_stream(loop);
  }
  return 0;
}

/* Makes the calls that need no waiting; sets what is waited for. */
static uint32_t advance(struct loop *loop, int *wait_ms) {
  uint32_t events = loop->is_opened ? 0 : look_at_opening(loop);
  *wait_ms = -1;
  if (!loop->is_opened) return events;
  events = sink_receive(loop->sink) | source_send(loop->source);
  *wait_ms = look_at_end(loop);
  return events;
}

static void take_signal(struct loop *loop) {
  char number;
  if (read(signal_pipe[0], &number, 1) != 1) return;
  loop->signal = number;
  sink_break(loop->sink);
  close_stream(loop);
}

/* Waits, and moves what has come in and what may go out. */
static void wait_and_move(struct loop *loop, uint32_t events, int wait_ms) {
  struct pollfd *polled = loop->polled;
  struct source *source = loop->source;
  struct sink *sink = loop->sink;
  const int wants_input = loop->is_opened && source_wants_input(source);
  const int is_pending = sink_is_pending(sink);
  if (events != loop->watched && wsstream_fd_watch(loop->stream, events) == WSSTREAM_OK) loop->watched = events;
  polled[INPUT].fd = wants_input ? source->fd : -1;
  polled[OUTPUT].fd = sink->is_broken ? -1 : sink->fd;
  polled[OUTPUT].events = is_pending ? POLLOUT : 0;
  if (poll(polled, COUNT, wait_ms) <= 0) return;
  if (polled[SIGNALS].revents != 0) take_signal(loop);
  if (polled[INPUT].revents != 0) source_read(source);
  if (polled[OUTPUT].revents == 0 || sink->is_broken) return;
  if (is_pending) sink_write(sink);
  else sink_break(sink); /* nobody will read what is written */
}

int cat_run(const struct settings *settings, struct source *source, struct sink *sink, wsstream *stream) {
  struct loop loop;
  int fd, wait_ms, next_ms;
  memset(&loop, 0, sizeof loop);
  loop.settings = settings;
  loop.source = source;
  loop.sink = sink;
  loop.stream = stream;
  loop.watched = WSSTREAM_READABLE;
  if (wsstream_fd(stream, &fd) != WSSTREAM_OK) return 0;
  loop.polled[STREAM] = (struct pollfd){fd, POLLIN, 0};
  loop.polled[INPUT] = (struct pollfd){-1, POLLIN, 0};
  loop.polled[SIGNALS] = (struct pollfd){signal_pipe[0], POLLIN, 0};
  progress_begin(&loop.progress, settings);
  for (;;) {
    uint32_t events = advance(&loop, &wait_ms);
    if (sink->is_over && !sink_is_pending(sink)) {
      events = WSSTREAM_CLOSED;
      if (wsstream_wait_closed(stream, 0, NULL) != WSSTREAM_AGAIN) break;
    }
    next_ms = progress_draw(&loop.progress, source, sink, 0);
    if (wait_ms < 0 || (next_ms >= 0 && next_ms < wait_ms)) wait_ms = next_ms;
    wait_and_move(&loop, events, wait_ms);
  }
  if (loop.is_opened) progress_draw(&loop.progress, source, sink, 1);
  source_stop(source);
  return loop.signal;
}
