/* Shows how streams end: for each URL, everything that is known about the end.
 *
 *   cc close_reason.c -lwsstream -o close_reason && ./close_reason ws://127.0.0.1:9000/echo
 *
 * The server gets a second to end the stream; then this side does, with code 4000 and a reason.
 */
#include <stdio.h>
#include <stdlib.h>
#include <wsstream.h>

enum { PATIENCE_MS = 1000 };

/* The number's word. A later library may know more words than this program. */
static const char *word(const char *const *words, size_t count, uint32_t number) {
  return number < count ? words[number] : "unknown";
}
#define WORD(words, number) word(words, sizeof(words) / sizeof((words)[0]), number)

static const char *const initiators[] = {"none", "local", "remote", "transport"};
static const char *const phases[] = {"start", "resolve", "connect", "proxy", "tls", "handshake", "open", "closing"};
static const char *const causes[] = {"none", "aborted", "timeout", "name", "system", "proxy", "certificate", "tls",
                                     "http", "protocol", "utf8", "too big", "truncated", "unsent", "resource",
                                     "internal"};

/* Whether the end was clean is a fact of its own: no code says it. */
static void show(wsstream_status status, const wsstream_close_info *info) {
  printf("  status    %s\n", wsstream_status_name(status));
  printf("  clean     %s\n", info->clean ? "yes" : "no");
  printf("  code      %d\n", info->code);
  printf("  reason    \"%.*s\"\n", (int)info->reason_size, info->reason);
  printf("  sent_code %d\n", info->sent_code);
  printf("  initiator %s\n", WORD(initiators, info->initiator));
  printf("  phase     %s\n", WORD(phases, info->phase));
  printf("  cause     %s\n", WORD(causes, info->cause));
  printf("  detail    %s\n", info->detail);
}

/* Answers what wsstream_wait_closed does, or the error that kept the stream from its end. */
static wsstream_status run(wsstream *stream, const wsstream_close_info **info) {
  wsstream_status status = wsstream_wait_opened(stream, WSSTREAM_FOREVER);
  if (status == WSSTREAM_OK) {
    status = wsstream_wait_closed(stream, PATIENCE_MS, info);
    if (status != WSSTREAM_AGAIN) return status;
    status = wsstream_close(stream, 4000, "that is all", WSSTREAM_NUL);
    if (status != WSSTREAM_OK) return status;
  }
  /* A stream that could not be opened has ended as well. */
  return wsstream_wait_closed(stream, WSSTREAM_FOREVER, info);
}

int main(int argc, char **argv) {
  int i, failed = argc < 2;
  if (failed) fprintf(stderr, "usage: %s ws://HOST[:PORT]/PATH...\n", argv[0]);
  for (i = 1; i < argc; i++) {
    wsstream *stream = NULL;
    const wsstream_close_info *info = NULL;
    wsstream_status status = wsstream_open(argv[i], WSSTREAM_NUL, NULL, &stream);
    if (status == WSSTREAM_OK) status = run(stream, &info);
    printf("%s\n", argv[i]);
    if (info != NULL) {
      show(status, info);
    } else {
      fprintf(stderr, "%s: %s\n", argv[i], wsstream_status_text(status));
      failed = 1;
    }
    wsstream_free(stream);
  }
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
