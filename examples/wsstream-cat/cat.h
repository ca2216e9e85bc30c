/* What the files of wsstream-cat share: what it was told to do, what is read and sent (the source), what is received and
 * written (the sink), and how it ends. One thread and one poll; no call on the stream waits. */
#ifndef WSSTREAM_CAT_H
#define WSSTREAM_CAT_H

#include <stddef.h>
#include <stdint.h>
#include <wsstream.h>

/* Exit statuses; a signal's is 128 and its number. */
enum {
  CAT_CLEAN = 0,
  CAT_USAGE = 1,
  CAT_NOT_OPENED = 2,
  CAT_UNCLEAN = 3,
  CAT_OTHER_CODE = 4,
  CAT_LOST = 5
};

enum { CAT_BUFFER_SIZE = 65536 };

/* What the command line asked for. */
struct settings {
  const char *url;
  wsstream_options *options;
  const char *send_path, *receive_path;
  const char *close_reason;
  int32_t close_code;
  int64_t linger_ms, message_size, line_size_max;
  int64_t ping_ms; /* 0: there are none */
  int is_binary, is_text, is_single, is_quiet, verbosity;
};

/* Reads the command line; answers whether to go on. Otherwise the status to exit with is in `status`. */
int settings_read(struct settings *settings, int argc, char **argv, int *status);
void settings_free(struct settings *settings);

/* What is sent: a line for each message, parts of one size, or a file as one message. */
struct source {
  const struct settings *settings;
  wsstream *stream;
  const char *name;
  int fd;
  char *buffer;
  size_t capacity, begin, end, searched;
  int64_t message_bytes, size; /* in the open message; of the file, or -1 */
  uint64_t line, sent;
  int is_inside, is_skipping, is_at_end;
  int is_over;    /* nothing will be sent any more */
  int is_refused; /* and the open message will have no end */
  int is_waiting; /* the stream has no room for what was read */
  int is_lost;    /* something could not be sent */
};

int source_begin(struct source *source, const struct settings *settings, wsstream *stream);
void source_end(struct source *source);

/* Whether all that was read is on its way, and there may be more. */
int source_wants_input(const struct source *source);

/* Takes what can be read now, where more is wanted. */
void source_read(struct source *source);

/* Sends what was read as far as it is taken; answers the event to wait for, 0 when it wants more to read or is over. */
uint32_t source_send(struct source *source);

/* The stream takes nothing any more. */
void source_stop(struct source *source);

/* What is received, on its way to the output: a line for each message, or its bytes. */
struct sink {
  const struct settings *settings;
  wsstream *stream;
  const char *name;
  int fd;
  char buffer[CAT_BUFFER_SIZE];
  size_t begin, end, step;
  uint64_t messages, received;
  int is_inside;
  int is_untouched; /* a file that has what it had before */
  int is_dropping;  /* the one message that was wanted has come */
  int is_over;      /* nothing will be read any more */
  int is_broken;    /* nobody takes the output */
  int is_lost;      /* something could not be written, or did not come whole */
};

int sink_begin(struct sink *sink, const struct settings *settings, wsstream *stream);

/* Closes the output; what is not kept of it is lost. Only behind a sink_begin that answered yes. */
void sink_end(struct sink *sink);

/* Reads what has come, if what came before is written; answers the event to wait for. */
uint32_t sink_receive(struct sink *sink);

/* Whether something waits to be written. */
int sink_is_pending(const struct sink *sink);

/* Writes what needs no waiting. */
void sink_write(struct sink *sink);

/* Gives up what is not written. */
void sink_break(struct sink *sink);

/* How far a file has come, on standard error where that is a terminal. */
struct progress {
  int is_shown;
  int64_t began_ms, drawn_ms;
};

void progress_begin(struct progress *progress, const struct settings *settings);

/* Draws it when it is time, or at the end; answers the milliseconds until the next time, -1 for never. */
int progress_draw(struct progress *progress, const struct source *source, const struct sink *sink, int is_end);

/* From here on a signal asks cat_run for the end; answers whether that could be set up. */
int cat_catch_signals(void);

/* Carries messages both ways until the stream has ended; answers the number of the signal that asked for the end, or 0. */
int cat_run(const struct settings *settings, struct source *source, struct sink *sink, wsstream *stream);

/* Tells about an open stream, where that was asked for. */
void tell_opened(const struct settings *settings, wsstream *stream);

/* Says something on standard error, behind the program's name, with what a terminal might obey made visible. */
void say(const char *format, ...);

/* Writes a text of the peer to standard error in the same manner, between quotes. */
void say_quoted(const char *text, size_t size);

int64_t now_ms(void);

#endif
