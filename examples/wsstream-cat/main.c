/* wsstream-cat: the terminal, a pipe or a file at the end of a WebSocket. --help and wsstream-cat(1) say how. */
#include "cat.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The bytes of the printable character of UTF-8 that the text begins with, 0 where it is none. */
static size_t printable_size(const unsigned char *text, size_t size) {
  /* By the first byte: the least second one. C2: the control characters above ASCII go up to 9F. */
  const unsigned char first = text[0], least = first == 0xc2 || first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  /* ED: surrogates begin at A0; F4: behind 8F nothing is left. */
  const unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  const size_t needed = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  size_t i;
  if (first < 0x20 || first == 0x7f || (first >= 0x80 && first < 0xc2) || first > 0xf4 || needed > size) return 0;
  if (needed > 1 && (text[1] < least || text[1] > most)) return 0;
  for (i = 2; i < needed; i++)
    if (text[i] < 0x80 || text[i] > 0xbf) return 0;
  return needed;
}

/* Everything that is said passes here, because much of it is a peer's: any bytes, with what is not printable made visible. */
static void put(const char *text, size_t size) {
  const unsigned char *at = (const unsigned char *)text, *end = at + size;
  while (at < end) {
    const unsigned char *begin = at;
    size_t shown;
    while (at < end && (shown = printable_size(at, (size_t)(end - at))) > 0) at += shown;
    fwrite(begin, 1, (size_t)(at - begin), stderr);
    if (at < end) fprintf(stderr, "\\x%02x", *at++);
  }
}

void say(const char *format, ...) {
  char line[512], *text = line;
  va_list arguments;
  int size;
  va_start(arguments, format);
  size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (size >= (int)sizeof line && (text = malloc((size_t)size + 1)) != NULL) {
    va_start(arguments, format);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
  }
  flockfile(stderr);
  fputs("wsstream-cat: ", stderr);
  if (text != NULL) put(text, size > 0 ? (size_t)size : 0);
  else put(line, sizeof line - 1);
  fputc('\n', stderr);
  funlockfile(stderr);
  if (text != line) free(text);
}

void say_quoted(const char *text, size_t size) {
  fputc('"', stderr);
  put(text, size);
  fputc('"', stderr);
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell_log(uint32_t level, const char *text, size_t size, void *user_data) {
  (void)level, (void)user_data;
  say("%.*s", (int)size, text);
}

void tell_opened(const struct settings *settings, wsstream *stream) {
  static const char *const fields[] = {"Server", "Date", "Via", "Set-Cookie", "Sec-WebSocket-Protocol",
                                       "Sec-WebSocket-Extensions"};
  size_t i, index;
  for (i = 0; settings->verbosity > 0 && i < sizeof fields / sizeof fields[0]; i++) {
    const char *value;
    for (index = 0; (value = wsstream_response_header(stream, fields[i], WSSTREAM_NUL, index)) != NULL; index++)
      say("%s: %s", fields[i], value);
  }
}

/* Tells how it ended, and what that makes the exit status. */
static int tell_end(const struct settings *settings, wsstream *stream) {
  const wsstream_close_info *info = NULL;
  const int is_opened = wsstream_wait_opened(stream, 0) == WSSTREAM_OK;
  int result = CAT_UNCLEAN;
  wsstream_wait_closed(stream, 0, &info);
  if (info == NULL) return CAT_UNCLEAN;
  if (!is_opened) {
    say("not opened: %s", info->detail);
    if (settings->verbosity > 0 && info->response_body_size > 0) {
      flockfile(stderr); /* the log has its own thread */
      say_quoted(info->response_body, info->response_body_size);
      fputc('\n', stderr);
      funlockfile(stderr);
    }
    return CAT_NOT_OPENED;
  }
  if (info->clean) {
    const int is_ours = info->initiator == WSSTREAM_INITIATOR_LOCAL && info->code == info->sent_code;
    const int is_usual = info->code == 1000 || info->code == 1001 || info->code == 1005;
    result = is_ours || is_usual ? CAT_CLEAN : CAT_OTHER_CODE;
  }
  if (!settings->is_quiet || result != CAT_CLEAN) {
    flockfile(stderr);
    fprintf(stderr, "closed %d ", info->code);
    say_quoted(info->reason, info->reason_size);
    if (info->clean) fputs(", clean\n", stderr);
    else fprintf(stderr, ", not clean: %s\n", info->detail);
    funlockfile(stderr);
  }
  return result;
}

static int run(const struct settings *settings) {
  static struct source source;
  static struct sink sink;
  wsstream *stream = NULL;
  int signal, result = CAT_USAGE;
  wsstream_status status = WSSTREAM_ERR_RESOURCE;
  if (cat_catch_signals()) status = wsstream_open(settings->url, WSSTREAM_NUL, settings->options, &stream);
  if (status != WSSTREAM_OK) {
    if (status == WSSTREAM_ERR_ARGUMENT) say("the options contradict each other, or the key is not the certificate's");
    else say("%s: %s", settings->url, status == WSSTREAM_ERR_SYNTAX ? "not a URL of ws or wss" : wsstream_status_text(status));
    return status == WSSTREAM_ERR_RESOURCE ? CAT_NOT_OPENED : CAT_USAGE;
  }
  if (source_begin(&source, settings, stream) && sink_begin(&sink, settings, stream)) {
    signal = cat_run(settings, &source, &sink, stream);
    result = tell_end(settings, stream);
    if (result == CAT_CLEAN && settings->is_single && sink.messages == 0 && !sink.is_lost && signal == 0) {
      say("no message came");
      result = CAT_LOST;
    }
    sink_end(&sink);
    if (result == CAT_CLEAN && (source.is_lost || sink.is_lost)) result = CAT_LOST;
    if (signal != 0) result = 128 + signal;
  }
  source_end(&source);
  wsstream_free(stream);
  if (settings->verbosity > 0) wsstream_runtime_stop(1000); /* the last lines of the log come before it */
  return result;
}

int main(int argc, char **argv) {
  const uint32_t levels[] = {WSSTREAM_LOG_OFF, WSSTREAM_LOG_INFO, WSSTREAM_LOG_DEBUG, WSSTREAM_LOG_TRACE};
  struct settings settings;
  int fd, status;
  /* No descriptor of the library is to be taken for one of these. */
  while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO) continue;
  if (fd >= 0) close(fd);
  if (settings_read(&settings, argc, argv, &status)) {
    if (settings.verbosity > 0)
      wsstream_options_set_log(settings.options, tell_log, levels[settings.verbosity < 3 ? settings.verbosity : 3], NULL);
    status = run(&settings);
  }
  settings_free(&settings);
  return status;
}
