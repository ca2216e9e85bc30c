/* The client that the Autobahn|Testsuite examines: echoes every message of every case.
 *
 *     autobahn_testee [--agent NAME] [--parallel N] ws://127.0.0.1:9001
 *
 * Owns no protocol: it reads, writes and waits, and leaves every verdict to the server. Invariant: thread k of
 * N runs the cases k, k + N, ..., so the threads share nothing. Exit status 0 when all cases ran. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wsstream.h>

enum { TIMEOUT_MS = 30000, PARALLEL_MAX = 64 };

static const char *server, *agent = "wsstream";
static long case_count, parallel = 1;
static wsstream_options *options;

struct worker {
  pthread_t thread;
  long first;
  bool has_failed;
};

/* Runs one connection to its end. The first message goes to `answer` where one is asked for, all others go back. */
static bool run(const char *command, char *answer, size_t capacity) {
  char url[512];
  wsstream *stream = NULL;
  wsstream_message message;
  const wsstream_close_info *info = NULL;
  snprintf(url, sizeof url, "%s%s", server, command);
  wsstream_status status = wsstream_open(url, WSSTREAM_NUL, options, &stream);
  if (status == WSSTREAM_OK) status = wsstream_wait_opened(stream, TIMEOUT_MS);
  bool is_opened = status == WSSTREAM_OK;
  while (status == WSSTREAM_OK && (status = wsstream_read(stream, TIMEOUT_MS, &message)) == WSSTREAM_OK) {
    if (answer)
      snprintf(answer, capacity, "%.*s", (int)message.size, (const char *)message.data);
    else
      status = wsstream_write(stream, message.type, message.data, message.size, TIMEOUT_MS);
    wsstream_message_release(&message);
  }
  /* Many cases break the protocol, and some close during the echo: all are ends, and the server knows the right one. */
  bool is_end = status == WSSTREAM_DONE || status == WSSTREAM_ERR_STATE || status == WSSTREAM_ERR_CONNECTION;
  bool is_over = is_opened && is_end;
  wsstream_status closed = wsstream_wait_closed(stream, is_over ? TIMEOUT_MS : 0, &info);
  bool is_settled = closed == WSSTREAM_OK || closed == WSSTREAM_ERR_CONNECTION;
  if (!is_over || !is_settled)
    fprintf(stderr, "%s: %s, closed: %s, %s\n", url, wsstream_status_name(status), wsstream_status_name(closed),
            info ? info->detail : "no close info");
  wsstream_free(stream);
  return is_over && is_settled;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  char command[256];
  for (long number = worker->first; number <= case_count; number += parallel) {
    snprintf(command, sizeof command, "/runCase?case=%ld&agent=%s", number, agent);
    if (!run(command, NULL, 0)) worker->has_failed = true;
  }
  return NULL;
}

/* Runs all cases and asks for the report. */
static bool run_all(void) {
  static struct worker workers[PARALLEL_MAX];
  char answer[32] = "", command[256];
  bool all_ran = true;
  if (!run("/getCaseCount", answer, sizeof answer) || (case_count = strtol(answer, NULL, 10)) < 1) return false;
  for (long i = 0; i < parallel; i++) {
    workers[i].first = i + 1;
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return false;
  }
  for (long i = 0; i < parallel; i++)
    if (pthread_join(workers[i].thread, NULL) != 0 || workers[i].has_failed) all_ran = false;
  snprintf(command, sizeof command, "/updateReports?agent=%s", agent);
  return run(command, NULL, 0) && all_ran;
}

int main(int count, char **words) {
  for (int i = 1; i < count; i++) {
    if (i + 1 < count && strcmp(words[i], "--agent") == 0) agent = words[++i];
    else if (i + 1 < count && strcmp(words[i], "--parallel") == 0) parallel = strtol(words[++i], NULL, 10);
    else server = words[i];
  }
  if (!server || strlen(agent) > 100 || strlen(server) > 200 || parallel < 1 || parallel > PARALLEL_MAX) {
    fputs("usage: autobahn_testee [--agent NAME] [--parallel N] ws://127.0.0.1:9001\n", stderr);
    return 2;
  }
  /* The cases of permessage-deflate mean each of their messages to be compressed, small ones, too. */
  options = wsstream_options_new();
  bool all_ran =
      wsstream_options_set_number(options, WSSTREAM_OPTION_DEFLATE_THRESHOLD, 0) == WSSTREAM_OK && run_all();
  wsstream_options_free(options);
  if (!all_ran) fputs("not all cases ran\n", stderr);
  return all_ran ? 0 : 1;
}
