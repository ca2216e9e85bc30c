/* wsstream-cat: the terminal, a pipe or a file at the end of a WebSocket. --help and wsstream-cat(1) say how. */
#include "cat.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  flockfile(stderr);
  fputs("wsstream-cat: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  funlockfile(stderr);
  va_end(arguments);
}

void say_quoted(const char *text, size_t size) {
  size_t i;
  fputc('"', stderr);
  for (i = 0; i < size; i++) {
    const unsigned char byte = (unsigned char)text[i];
    /* C2 80 to C2 9F are the control characters above ASCII. */
    if (byte == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0)
      fprintf(stderr, "\\u00%02x", (unsigned char)text[++i]);
    else if (byte < 0x20 || byte == 0x7f) fprintf(stderr, "\\x%02x", byte);
    else fputc(byte, stderr);
  }
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
      say_quoted(info->response_body, info->response_body_size);
      fputc('\n', stderr);
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
