/* What is received, and written as it comes: one buffer, and nothing is read while it is not empty, so that a slow output
 * slows the peer. Writing never waits: no more at once than a pipe that is ready has room for. */
#include "cat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many reads are made before others have their turn: what is dropped never fills the buffer. */
enum { TURN_CALLS = 1000 };

int sink_begin(struct sink *sink, const struct settings *settings, wsstream *stream) {
  const char *path = settings->receive_path;
  const int is_file = path != NULL && strcmp(path, "-") != 0;
  struct stat status;
  memset(sink, 0, sizeof *sink);
  sink->settings = settings;
  sink->stream = stream;
  sink->name = is_file ? path : "standard output";
  sink->fd = is_file ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : STDOUT_FILENO;
  if (sink->fd < 0 || fstat(sink->fd, &status) != 0) {
    say("%s: %s", sink->name, strerror(errno));
    return 0;
  }
  sink->is_untouched = is_file && S_ISREG(status.st_mode);
  sink->step = S_ISREG(status.st_mode) ? sizeof sink->buffer : PIPE_BUF;
  return 1;
}

static void tell_error(struct sink *sink) {
  say("%s: %s", sink->name, strerror(errno));
  sink->is_lost = 1;
}

/* Also standard output is closed: a file system of the network may say only then that it has not kept what it took. */
void sink_end(struct sink *sink) {
  if (close(sink->fd) != 0 && errno != EINTR && !sink->is_broken) tell_error(sink);
}

int sink_is_pending(const struct sink *sink) { return sink->begin < sink->end; }

void sink_break(struct sink *sink) {
  sink->begin = sink->end = 0;
  sink->is_broken = sink->is_over = 1;
}

/* The stream goes on, and nobody reads it: that is no end. What was read before is written first, and it is tried again. */
static void note_refusal(struct sink *sink) {
  if (sink_is_pending(sink)) return;
  say("the messages cannot be read: %s", wsstream_status_text(WSSTREAM_ERR_RESOURCE));
  sink->is_lost = 1;
  sink_break(sink);
}

/* A message that has no end any more. */
static void note_end(struct sink *sink, int is_line) {
  sink->is_over = 1;
  if (!sink->is_inside) return;
  say("the last message did not come whole");
  sink->is_lost = 1;
  if (is_line) sink->buffer[sink->end++] = '\n';
}

uint32_t sink_receive(struct sink *sink) {
  const int is_line = sink->settings->receive_path == NULL && !sink->settings->is_binary;
  wsstream_chunk chunk;
  int left = TURN_CALLS;
  if (sink_is_pending(sink)) return 0;
  sink->begin = sink->end = 0;
  /* A byte is left for the end of a line. */
  while (left-- > 0 && !sink->is_over && sink->end + 1 < sizeof sink->buffer) {
    const size_t room = sizeof sink->buffer - 1 - sink->end;
    const wsstream_status status = wsstream_read_some(sink->stream, sink->buffer + sink->end, room, 0, &chunk);
    if (status == WSSTREAM_AGAIN) return sink_is_pending(sink) ? 0 : WSSTREAM_READABLE_SOME;
    if (status == WSSTREAM_ERR_RESOURCE) {
      note_refusal(sink);
      break;
    }
    if (status != WSSTREAM_OK) {
      note_end(sink, is_line);
      break;
    }
    if (sink->is_dropping) continue;
    if (sink->is_untouched && ftruncate(sink->fd, 0) != 0) {
      tell_error(sink);
      sink_break(sink);
      break;
    }
    sink->is_untouched = 0;
    sink->end += chunk.size;
    sink->received += chunk.size;
    sink->is_inside = (chunk.flags & WSSTREAM_FIN) == 0;
    if (sink->is_inside) continue;
    sink->messages++;
    if (is_line) sink->buffer[sink->end++] = '\n';
    if (sink->settings->is_single) sink->is_dropping = 1;
  }
  return sink_is_pending(sink) || sink->is_over ? 0 : WSSTREAM_READABLE_SOME;
}

/* A reader that has gone, as behind `| head`, is the end and no mistake. */
void sink_write(struct sink *sink) {
  const size_t size = sink->end - sink->begin;
  const ssize_t written = write(sink->fd, sink->buffer + sink->begin, size < sink->step ? size : sink->step);
  if (written >= 0) {
    sink->begin += (size_t)written;
    return;
  }
  if (errno == EINTR || errno == EAGAIN) return;
  if (errno != EPIPE) tell_error(sink);
  sink_break(sink);
}
