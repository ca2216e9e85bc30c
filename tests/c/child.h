/* Children of a fork: each does one thing, has a deadline of its own and is waited for. It knows nothing of streams. */
#ifndef WSSTREAM_TESTS_CHILD_H
#define WSSTREAM_TESTS_CHILD_H

#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_DEADLINE_S = 40 };

/* Starts a child that runs `act` and has to return from it. It ends by a signal of its own: at an exit memcheck would
 * look for what the parent's threads held, which no child can give back. */
static inline pid_t child_begin(void (*act)(void *), void *argument) {
  pid_t child;
  fflush(NULL);
  child = fork();
  CHECK(child >= 0);
  if (child != 0) return child;
  alarm(CHILD_DEADLINE_S);
  act(argument);
  raise(SIGKILL);
  return 0;
}

/* Waits for a child to have come to its end. */
static inline void child_end(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) != child) CHECK_NUMBER(EINTR, errno);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) CHECK_FAIL("the deadline of the child is over");
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) CHECK_FAIL("the child ended with %#x", (unsigned)status);
}

static inline void child_run(void (*act)(void *), void *argument) {
  child_end(child_begin(act, argument));
}

#endif
