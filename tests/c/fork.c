/* What a stream is in the child of a fork, and that the parent's goes on. */
#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `act` in a child; it has to return. The child ends by a signal of its own: at an exit memcheck would look for what
 * the parent's threads held, which no child can give back. */
static void in_child(void (*act)(wsstream *), wsstream *stream) {
  int status = 0;
  pid_t child;
  fflush(NULL);
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    act(stream);
    raise(SIGKILL);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void echo(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, text, strlen(text), SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  wsstream_message_release(&message);
}

static void call_everything(wsstream *stream) {
  const wsstream_close_info *info;
  wsstream_message messages[2];
  uint32_t events;
  size_t count;
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_wait_opened(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_read(stream, SOON, messages));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_read_many(stream, SOON, messages, 2, &count));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_write(stream, WSSTREAM_TEXT, "a", 1, SOON));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_write_some(stream, WSSTREAM_TEXT, "a", 1, WSSTREAM_FIN, SOON));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_flush(stream, SOON));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_poll(stream, WSSTREAM_READABLE, SOON, &events));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_wake(stream, WSSTREAM_READABLE));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_close(stream, 1000, NULL, 0));
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_wait_closed(stream, SOON, &info));
  CHECK(info == NULL);
  wsstream_free(stream);
}

static void open_another(wsstream *stream) {
  wsstream *own = check_open("/echo");
  echo(own, "from the child");
  /* The parent's stays dead although this process has streams of its own now. */
  CHECK_STATUS(WSSTREAM_ERR_FORKED, wsstream_wait_opened(stream, 0));
  CHECK_OK(wsstream_close(own, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(own, 1000, "");
}

static void a_stream_from_before_a_fork_is_dead_in_the_child(void) {
  wsstream *stream = check_open("/echo");
  in_child(call_everything, stream);
  echo(stream, "the parent's goes on");
  CHECK_OK(wsstream_close(stream, 4000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 4000, "");
}

static void the_child_opens_streams_of_its_own(void) {
  wsstream *stream = check_open("/echo");
  in_child(open_another, stream);
  echo(stream, "the parent's goes on");
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static void the_parents_stream_is_watched_after_a_fork(void) {
  wsstream *stream = check_open("/close?code=4001&reason=bye&after=1");
  in_child(call_everything, stream);
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "go", 2, SOON));
  CHECK_CLOSED_AND_FREE(stream, 4001, "bye");
}

int main(void) {
  check_begin();
  RUN(a_stream_from_before_a_fork_is_dead_in_the_child);
  RUN(the_child_opens_streams_of_its_own);
  RUN(the_parents_stream_is_watched_after_a_fork);
  return EXIT_SUCCESS;
}
