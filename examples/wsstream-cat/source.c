/* What is sent. A line is held whole, because the peer gets it as one message of good UTF-8 or not at all; everything else
 * goes on in parts as it is read, so that memory does not grow with it. */
#include "cat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a call of a sender did: a status of the stream, or that it needs more to read. */
enum { MORE_INPUT = 1000 };

static int has_lines(const struct source *source) {
  return source->settings->send_path == NULL && !source->settings->is_binary;
}

int source_begin(struct source *source, const struct settings *settings, wsstream *stream) {
  const char *path = settings->send_path;
  struct stat status;
  memset(source, 0, sizeof *source);
  source->settings = settings;
  source->stream = stream;
  source->name = path != NULL && strcmp(path, "-") != 0 ? path : "standard input";
  source->fd = path != NULL && strcmp(path, "-") != 0 ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
  source->size = -1;
  source->capacity = CAT_BUFFER_SIZE;
  source->buffer = malloc(source->capacity);
  if (source->fd < 0 || source->buffer == NULL || fstat(source->fd, &status) != 0) {
    say("%s: %s", source->name, strerror(errno));
    return 0;
  }
  if (S_ISDIR(status.st_mode)) {
    say("%s: %s", source->name, strerror(EISDIR));
    return 0;
  }
  if (path != NULL && S_ISREG(status.st_mode)) source->size = (int64_t)status.st_size;
  return 1;
}

void source_end(struct source *source) {
  if (source->fd > STDERR_FILENO) close(source->fd);
  free(source->buffer);
}

static void lose_line(struct source *source, const char *why) {
  say("line %llu %s and is not sent", (unsigned long long)source->line + 1, why);
  source->is_lost = 1;
}

/* Makes room behind what is not sent yet. A line that is longer than may be held is passed over. */
static void make_room(struct source *source) {
  const size_t held = source->end - source->begin;
  const size_t size_max = (size_t)source->settings->line_size_max;
  char *larger;
  memmove(source->buffer, source->buffer + source->begin, held);
  source->searched -= source->begin;
  source->begin = 0;
  source->end = held;
  if (held < source->capacity) return;
  larger = held > size_max ? NULL : realloc(source->buffer, source->capacity * 2);
  if (larger != NULL) {
    source->buffer = larger;
    source->capacity *= 2;
    return;
  }
  if (!source->is_skipping) lose_line(source, "is too long (--max-line)");
  source->is_skipping = 1;
  source->end = source->searched = 0;
}

void source_read(struct source *source) {
  ssize_t size;
  if (has_lines(source)) make_room(source);
  else source->begin = source->end = 0;
  size = read(source->fd, source->buffer + source->end, source->capacity - source->end);
  if (size > 0) {
    source->end += (size_t)size;
    return;
  }
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
  /* EIO: a terminal that has gone. */
  if (size < 0 && errno != EIO) {
    say("%s: %s", source->name, strerror(errno));
    source->is_lost = 1;
  }
  source->is_at_end = 1;
}

static int is_taken(wsstream_status status) { return status == WSSTREAM_OK || status == WSSTREAM_QUEUED; }

/* Sends the next line, also the last one that has no end. MORE: another line is behind it, so they leave together. */
static int send_line(struct source *source) {
  const char *line = source->buffer + source->begin;
  const char *found = memchr(source->buffer + source->searched, '\n', source->end - source->searched);
  const char *end = found != NULL ? found : source->buffer + source->end;
  const size_t size = (size_t)(end - line), behind = (size_t)(source->buffer + source->end - end);
  const int is_more = behind > 1 && memchr(end + 1, '\n', behind - 1) != NULL;
  wsstream_status status = WSSTREAM_OK;
  if (found == NULL) source->searched = source->end;
  if (found == NULL && (!source->is_at_end || size == 0)) return MORE_INPUT;
  if (!source->is_skipping && size > (size_t)source->settings->line_size_max) lose_line(source, "is too long (--max-line)");
  else if (!source->is_skipping)
    status = wsstream_write_some(source->stream, WSSTREAM_TEXT, line, size, WSSTREAM_FIN | (is_more ? WSSTREAM_MORE : 0), 0);
  if (status == WSSTREAM_AGAIN) source->searched = source->begin;
  if (status == WSSTREAM_ERR_ARGUMENT) lose_line(source, "is not UTF-8");
  else if (!is_taken(status)) return status;
  source->is_skipping = 0;
  source->line++;
  source->sent += size;
  source->begin = source->searched = (size_t)(end - source->buffer) + (found != NULL);
  return WSSTREAM_OK;
}

/* Sends what was read as the next part of a message; the end of a file is known only behind it. */
static int send_part(struct source *source) {
  const int is_file = source->settings->send_path != NULL;
  const uint32_t type = is_file && source->settings->is_text ? WSSTREAM_TEXT : WSSTREAM_BINARY;
  size_t size = source->end - source->begin;
  uint32_t flags = WSSTREAM_MORE;
  wsstream_status status;
  if (size == 0 && !source->is_at_end) return MORE_INPUT;
  if (size == 0 && !source->is_inside && !(is_file && source->line == 0)) return MORE_INPUT;
  if (size == 0) flags = WSSTREAM_FIN;
  else if (!is_file && (int64_t)size >= source->settings->message_size - source->message_bytes) {
    size = (size_t)(source->settings->message_size - source->message_bytes);
    flags = WSSTREAM_FIN;
  }
  status = wsstream_write_some(source->stream, type, source->buffer + source->begin, size, flags, 0);
  if (!is_taken(status)) return status;
  source->begin += size;
  source->sent += size;
  source->message_bytes += (int64_t)size;
  source->is_inside = (flags & WSSTREAM_FIN) == 0;
  if (!source->is_inside) source->message_bytes = 0, source->line++;
  return WSSTREAM_OK;
}

int source_wants_input(const struct source *source) {
  return !source->is_over && !source->is_at_end && !source->is_waiting;
}

uint32_t source_send(struct source *source) {
  int status = WSSTREAM_OK;
  while (!source->is_over && status == WSSTREAM_OK) status = has_lines(source) ? send_line(source) : send_part(source);
  source->is_waiting = status == WSSTREAM_AGAIN;
  if (source->is_waiting) return WSSTREAM_WRITABLE;
  if (status == MORE_INPUT && !source->is_at_end) return 0;
  if (status == WSSTREAM_ERR_ARGUMENT || status == WSSTREAM_ERR_RESOURCE) {
    if (status == WSSTREAM_ERR_ARGUMENT) say("%s is not UTF-8 and is not sent to its end", source->name);
    else say("%s is not sent to its end: %s", source->name, wsstream_status_text(status));
    source->is_lost = source->is_refused = 1;
  } else if (status < 0) {
    source_stop(source);
  }
  source->is_over = 1;
  return 0;
}

void source_stop(struct source *source) {
  if (!source->is_over && source->settings->send_path != NULL) {
    say("%s is not sent to its end", source->name);
    source->is_lost = 1;
  }
  source->is_over = 1;
}
