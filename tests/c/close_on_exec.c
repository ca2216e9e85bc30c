/* The descriptors of the library: no program that is started gets one, and none is left behind. */
#define _GNU_SOURCE
#include "self.h"
#include "server.h"
#include "tally.h"

#include <sched.h>
#include <sys/wait.h>

/* Opens by number and by name, waits in every way and ends, so that everything has been made that ever is. */
static void use_a_stream(void) {
  wsstream *stream = check_open("/echo"), *named = NULL;
  wsstream_message message;
  uint32_t events;
  int descriptor = -1;
  CHECK_OK(wsstream_fd(stream, &descriptor));
  CHECK_OK(wsstream_fd_watch(stream, WSSTREAM_READABLE | WSSTREAM_CLOSED));
  check_echo(stream);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 1, &message));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, WSSTREAM_READABLE, 1, &events));
  CHECK_OK(wsstream_open("ws://localhost:1/", WSSTREAM_NUL, NULL, &named));
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_opened(named, SOON));
  wsstream_free(named);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* Those of the program itself, which may be without the mark: what is looked for came later. */
static struct self_descriptors own;
static struct tally over = TALLY_ZERO;
static struct tally looks = TALLY_ZERO;

/* A descriptor may be closed while this looks at it, which then says nothing. */
static void *look_for_descriptors_without_the_mark(void *unused) {
  struct self_descriptors now;
  while (tally_count(&over) == 0) {
    int i;
    self_look_at_descriptors(&now);
    for (i = 0; i < SELF_MAX; i++) {
      char path[64], what[128] = "";
      int flags;
      if (!now.open[i] || own.open[i] || (flags = fcntl(i, F_GETFD)) == -1 || (flags & FD_CLOEXEC)) continue;
      snprintf(path, sizeof path, "/proc/self/fd/%d", i);
      if (readlink(path, what, sizeof what - 1) > 0) CHECK_FAIL("descriptor %d, %s, is not close-on-exec", i, what);
    }
    tally_add(&looks);
  }
  return unused;
}

static void every_descriptor_is_close_on_exec(void) {
  pthread_t looker;
  int i;
  looker = check_thread(look_for_descriptors_without_the_mark, NULL);
  for (i = 0; i < 20; i++) use_a_stream();
  tally_await(&looks, tally_count(&looks) + 2);
  tally_add(&over);
  check_join(looker);
}

/* What a stream had is closed soon after it was freed; what the runtime and this thread have stays. */
static void a_freed_stream_leaves_no_descriptor(void) {
  wsstream *streams[20];
  int before, i, descriptor;
  use_a_stream();
  before = self_descriptor_count();
  for (i = 0; i < 20; i++) {
    streams[i] = check_open("/echo");
    CHECK_OK(wsstream_fd(streams[i], &descriptor));
  }
  CHECK(self_descriptor_count() >= before + 40);
  for (i = 0; i < 20; i++) wsstream_free(streams[i]);
  while (self_descriptor_count() > before) sched_yield();
}

static void *wait_here(void *unused) {
  use_a_stream();
  return unused;
}

static void a_thread_that_has_ended_leaves_no_descriptor(void) {
  int before, i;
  use_a_stream();
  before = self_descriptor_count();
  for (i = 0; i < 10; i++) check_join(check_thread(wait_here, NULL));
  while (self_descriptor_count() > before) sched_yield();
}

/* A program that is started sees its three descriptors and the folder that it looks into. What this one was itself
 * started with does not count. */
static void a_program_that_is_started_gets_no_descriptor(void) {
  char *const list[] = {"ls", "/proc/self/fd", NULL};
  wsstream *stream = check_open("/echo");
  char found[64] = "";
  int answer[2], descriptor, status, i;
  size_t size = 0;
  ssize_t got;
  pid_t child;
  CHECK_OK(wsstream_fd(stream, &descriptor));
  CHECK_NUMBER(0, pipe2(answer, O_CLOEXEC));
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(answer[1], STDOUT_FILENO);
    for (i = 3; i < SELF_MAX; i++)
      if (own.open[i]) close(i);
    execvp(list[0], list);
    _exit(127);
  }
  close(answer[1]);
  while ((got = read(answer[0], found + size, sizeof found - 1 - size)) > 0) size += (size_t)got;
  close(answer[0]);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_TEXT("0\n1\n2\n3\n", found);
  check_echo(stream);
  wsstream_free(stream);
}

int main(void) {
  check_begin();
  self_look_at_descriptors(&own);
  RUN(every_descriptor_is_close_on_exec);
  RUN(a_freed_stream_leaves_no_descriptor);
  RUN(a_thread_that_has_ended_leaves_no_descriptor);
  RUN(a_program_that_is_started_gets_no_descriptor);
  return EXIT_SUCCESS;
}
