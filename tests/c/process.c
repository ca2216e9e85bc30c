/* What the library does to the process it is in: the program ends as it wants, no signal of the system comes to it,
 * nothing is printed. Each claim runs this program again in a mode and looks at it from outside. */
#define _ISOC11_SOURCE
#include "child.h"
#include "self.h"
#include "server.h"
#include "tally.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

enum { ITS_OWN_STATUS = 7 };

static const char *program;

/* ---- Modes: how a program may end. Each answers or exits with ITS_OWN_STATUS. */

/* One open, one with messages that nobody reads, one that is on its way, one that is closing. */
static void leave_streams(void) {
  wsstream *unread = check_open("/count?n=100&size=1000&close=none");
  wsstream *closing = check_open("/close_reply?missing=1");
  wsstream_message message = check_read(unread);
  wsstream_message_release(&message);
  check_echo(check_open("/echo"));
  check_begin_open("/handshake?stall=1", NULL);
  CHECK_OK(wsstream_close(closing, 1000, NULL, 0));
}

static int return_with_open_streams(void) {
  leave_streams();
  return ITS_OWN_STATUS;
}

static int exit_with_open_streams(void) {
  leave_streams();
  exit(ITS_OWN_STATUS);
}

static int quick_exit_with_open_streams(void) {
  leave_streams();
  quick_exit(ITS_OWN_STATUS);
}

static struct tally inside = TALLY_ZERO;

static void *block_in_read(void *stream) {
  wsstream_message message;
  tally_add(&inside);
  while (wsstream_read(stream, WSSTREAM_FOREVER, &message) == WSSTREAM_ERR_BUSY) continue;
  return NULL;
}

static void *block_in_wait_closed(void *stream) {
  tally_add(&inside);
  wsstream_wait_closed(stream, WSSTREAM_FOREVER, NULL);
  return NULL;
}

static void *block_in_wait_opened(void *stream) {
  tally_add(&inside);
  wsstream_wait_opened(stream, WSSTREAM_FOREVER);
  return NULL;
}

static void *block_in_write(void *stream) {
  static uint8_t data[1 << 16];
  wsstream_status status;
  tally_add(&inside);
  do status = wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, WSSTREAM_FOREVER);
  while (status == WSSTREAM_OK);
  return NULL;
}

static int exit_with_blocked_threads(void) {
  wsstream *quiet = check_open("/echo");
  check_thread(block_in_read, quiet);
  check_thread(block_in_wait_closed, quiet);
  check_thread(block_in_write, check_open("/stall?receive_buffer=4096"));
  check_thread(block_in_wait_opened, check_begin_open("/handshake?stall=1", NULL));
  tally_await(&inside, 4);
  let_pass_ms(20);
  exit(ITS_OWN_STATUS);
}

static void exit_here(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)stream, (void)status, (void)info, (void)user_data;
  exit(ITS_OWN_STATUS);
}

static int exit_in_a_callback(void) {
  leave_streams();
  CHECK_OK(wsstream_on_closed(check_open("/close"), exit_here, NULL));
  for (;;) pause();
}

static void stay(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)stream, (void)status, (void)info, (void)user_data;
  tally_add(&inside);
  for (;;) pause();
}

static int exit_while_a_callback_runs(void) {
  CHECK_OK(wsstream_on_closed(check_open("/close"), stay, NULL));
  tally_await(&inside, 1);
  exit(ITS_OWN_STATUS);
}

static wsstream *left_for_the_exit;

static void end_it_in_order(void) {
  check_echo(left_for_the_exit);
  CHECK_OK(wsstream_close(left_for_the_exit, 1000, "exit", WSSTREAM_NUL));
  CHECK_CLOSED_AND_FREE(left_for_the_exit, 1000, "exit");
}

static int streams_end_in_order_inside_an_exit_handler(void) {
  CHECK_NUMBER(0, atexit(end_it_in_order));
  left_for_the_exit = check_open("/echo");
  return ITS_OWN_STATUS;
}

static void *end_the_process(void *unused) {
  (void)unused;
  while (self_thread_state((int)getpid()) != 'Z') sched_yield();
  check_echo(left_for_the_exit);
  end_it_in_order();
  exit(ITS_OWN_STATUS);
}

static int the_main_thread_ends_first(void) {
  left_for_the_exit = check_open("/echo");
  check_echo(left_for_the_exit);
  check_thread(end_the_process, NULL);
  pthread_exit(NULL);
}

static void exit_of_a_child(int quick) {
  wsstream *stream = check_open("/echo");
  int status = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0 && quick) _exit(ITS_OWN_STATUS);
  if (child == 0) exit(ITS_OWN_STATUS);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == ITS_OWN_STATUS);
  check_echo(stream);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* The streams of the parent are left as they are by a child that ends with them. */
static int a_child_ends_with_the_parents_streams(void) {
  exit_of_a_child(0);
  exit_of_a_child(1);
  return ITS_OWN_STATUS;
}

/* ---- Modes: what may reach the program. */

/* A peer that ends TCP and then answers with a reset is the one to whom a careless write is fatal. */
static int write_to_peers_that_reset(void) {
  static const char *const paths[] = {"/abrupt?after=1&end=close", "/abrupt?after=1&end=reset"};
  static uint8_t data[1 << 14];
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigset_t none;
  int i;
  sigemptyset(&none);
  CHECK_NUMBER(0, sigaction(SIGPIPE, &action, NULL));
  CHECK_NUMBER(0, pthread_sigmask(SIG_SETMASK, &none, NULL));
  for (i = 0; i < 200; i++) {
    wsstream *stream = check_open(paths[i % 2]);
    wsstream_status status;
    do status = wsstream_write(stream, WSSTREAM_BINARY, data, sizeof data, SOON);
    while (status == WSSTREAM_OK);
    CHECK_STATUS(WSSTREAM_ERR_CONNECTION, status);
    wsstream_free(stream);
  }
  return ITS_OWN_STATUS;
}

/* The first open of the process finds no descriptor left. */
static void meet_resource(void) {
  const int next = dup(STDERR_FILENO);
  struct rlimit before, limit;
  wsstream *stream = NULL;
  CHECK(next > 0);
  close(next);
  CHECK_NUMBER(0, getrlimit(RLIMIT_NOFILE, &before));
  limit = before;
  limit.rlim_cur = (rlim_t)next;
  CHECK_NUMBER(0, setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_STATUS(WSSTREAM_ERR_RESOURCE, wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, NULL, &stream));
  CHECK_NUMBER(0, setrlimit(RLIMIT_NOFILE, &before));
}

static void meet_connection(const char *path) {
  wsstream *stream = check_begin_open(path, NULL);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
  wsstream_free(stream);
}

/* TLS with a peer that knows none, and a name that nobody has, where the system takes its time to say so. */
static void meet_connection_elsewhere(void) {
  char secure[64];
  const char *const urls[] = {secure, "ws://name.invalid/"};
  wsstream_options *options = wsstream_options_new();
  size_t i;
  snprintf(secure, sizeof secure, "wss://127.0.0.1:%d/", ntohs(server_address().sin_port));
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 1000));
  for (i = 0; i < 2; i++) {
    wsstream *stream = NULL;
    CHECK_OK(wsstream_open(urls[i], WSSTREAM_NUL, options, &stream));
    CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(stream, SOON, NULL));
    wsstream_free(stream);
  }
  wsstream_options_free(options);
}

static void meet_deadlock(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  (void)status, (void)info;
  CHECK_STATUS(WSSTREAM_ERR_DEADLOCK, wsstream_wait_closed(stream, SOON, NULL));
  tally_add(user_data);
}

static void meet_forked(void *stream) {
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_wait_opened(stream, 0));
}

static void meet_aborted(void) {
  wsstream_aborter *aborter = wsstream_aborter_new();
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_set_aborter(options, aborter));
  wsstream_aborter_abort(aborter);
  stream = check_begin_open("/echo", options);
  CHECK_STATUS(WSSTREAM_ERR_ABORTED, wsstream_wait_opened(stream, SOON));
  wsstream_free(stream);
  wsstream_options_free(options);
  wsstream_aborter_free(aborter);
}

static void meet_what_a_stream_answers(void) {
  static struct tally called = TALLY_ZERO;
  static uint8_t data[1 << 20];
  wsstream *stream = check_open("/echo"), *stalled = check_open("/stall?receive_buffer=4096");
  wsstream_message message;
  pthread_t reader = check_thread(block_in_read, stream);
  while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) continue;
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_write(stream, WSSTREAM_TEXT, "\xff", 1, SOON));
  CHECK_STATUS(WSSTREAM_ERR_ACCESS, wsstream_close(stream, 1001, NULL, 0));
  child_run(meet_forked, stream);
  CHECK_OK(wsstream_on_closed(stream, meet_deadlock, &called));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  check_join(reader);
  CHECK_STATUS(WSSTREAM_DONE, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, SOON));
  tally_await(&called, 1);
  wsstream_free(stream);
  while (wsstream_write(stalled, WSSTREAM_BINARY, data, sizeof data, 0) != WSSTREAM_QUEUED) continue;
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_write(stalled, WSSTREAM_BINARY, data, sizeof data, 0));
  wsstream_free(stalled);
}

/* Every status but ERR_INTERNAL, and every way for a connection to fail that the server has. */
static int meet_every_status(void) {
  wsstream_options *options;
  wsstream *stream = NULL;
  meet_resource();
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_open(NULL, 1, NULL, &stream));
  CHECK_STATUS(WSSTREAM_ERR_SYNTAX, wsstream_open("ftp://x/", WSSTREAM_NUL, NULL, &stream));
  options = wsstream_options_new();
  CHECK_STATUS(WSSTREAM_ERR_UNSUPPORTED, wsstream_options_set_number(options, 55, 1));
  wsstream_options_free(options);
  meet_aborted();
  meet_connection("/abrupt");
  meet_connection("/abrupt?end=reset");
  meet_connection("/handshake?status=500&body=sorry");
  meet_connection("/handshake?garbage=00ff00ff");
  meet_connection("/handshake?endless=headers");
  meet_connection("/handshake?accept=wrong");
  meet_connection("/raw?hex=ffff");
  meet_connection("/raw?hex=8101ff");
  meet_connection_elsewhere();
  meet_what_a_stream_answers();
  return ITS_OWN_STATUS;
}

struct mode {
  const char *name;
  int (*run)(void);
};

#define MODE(function) {#function, function}
static const struct mode modes[] = {
    MODE(return_with_open_streams),
    MODE(exit_with_open_streams),
    MODE(quick_exit_with_open_streams),
    MODE(exit_with_blocked_threads),
    MODE(exit_in_a_callback),
    MODE(exit_while_a_callback_runs),
    MODE(streams_end_in_order_inside_an_exit_handler),
    MODE(the_main_thread_ends_first),
    MODE(a_child_ends_with_the_parents_streams),
    MODE(write_to_peers_that_reset),
    MODE(meet_every_status),
};

/* ---- The claims. */

/* Becomes this program in a mode, everything that it prints going to `output`. Streams that a program leaves behind are
 * no leaks of memory that a sanitizer should speak of. */
static void become(const char *mode, int output) {
  const char *given = getenv("ASAN_OPTIONS");
  char options[1024];
  snprintf(options, sizeof options, "%s:detect_leaks=0", given != NULL ? given : "");
  setenv("ASAN_OPTIONS", options, 1);
  setenv("RUST_BACKTRACE", "1", 1);
  setenv("RUST_LOG", "trace", 1);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close(output);
  alarm(CHILD_DEADLINE_S);
  execl(program, program, mode, (char *)NULL);
  _exit(127);
}

static void ends_as_it_wants_and_quietly(const char *mode) {
  char printed[2048];
  size_t size = 0;
  ssize_t got;
  int output[2], status = 0;
  pid_t child;
  fflush(NULL);
  CHECK_NUMBER(0, pipe(output));
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    close(output[0]);
    become(mode, output[1]);
  }
  close(output[1]);
  while (size < sizeof printed - 1 && (got = read(output[0], printed + size, sizeof printed - 1 - size)) > 0)
    size += (size_t)got;
  printed[size] = '\0';
  close(output[0]);
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) CHECK_FAIL("%s ended by signal %d: %s", mode, WTERMSIG(status), printed);
  if (WEXITSTATUS(status) != ITS_OWN_STATUS) CHECK_FAIL("%s ended with %d: %s", mode, WEXITSTATUS(status), printed);
  if (size != 0) CHECK_FAIL("%s printed: %s", mode, printed);
}

static void the_program_ends_as_it_wants_whatever_streams_it_leaves(void) {
  ends_as_it_wants_and_quietly("return_with_open_streams");
  ends_as_it_wants_and_quietly("exit_with_open_streams");
  ends_as_it_wants_and_quietly("quick_exit_with_open_streams");
  ends_as_it_wants_and_quietly("exit_with_blocked_threads");
}

static void the_program_may_end_inside_and_beside_a_callback(void) {
  ends_as_it_wants_and_quietly("exit_in_a_callback");
  ends_as_it_wants_and_quietly("exit_while_a_callback_runs");
}

static void streams_go_on_until_the_process_has_ended(void) {
  ends_as_it_wants_and_quietly("streams_end_in_order_inside_an_exit_handler");
  ends_as_it_wants_and_quietly("the_main_thread_ends_first");
}

static void a_child_that_exits_leaves_the_parents_streams_alone(void) {
  ends_as_it_wants_and_quietly("a_child_ends_with_the_parents_streams");
}

static void no_write_ends_the_program_with_sigpipe(void) {
  ends_as_it_wants_and_quietly("write_to_peers_that_reset");
}

static void nothing_is_printed_whatever_goes_wrong(void) {
  ends_as_it_wants_and_quietly("meet_every_status");
}

int main(int count, char **words) {
  size_t i;
  program = words[0];
  for (i = 0; count == 2 && i < sizeof modes / sizeof modes[0]; i++)
    if (strcmp(modes[i].name, words[1]) == 0) return modes[i].run();
  check_begin();
  RUN(the_program_ends_as_it_wants_whatever_streams_it_leaves);
  RUN(the_program_may_end_inside_and_beside_a_callback);
  RUN(streams_go_on_until_the_process_has_ended);
  RUN(a_child_that_exits_leaves_the_parents_streams_alone);
  RUN(no_write_ends_the_program_with_sigpipe);
  RUN(nothing_is_printed_whatever_goes_wrong);
  return EXIT_SUCCESS;
}
