/* What the tests of a stream's descriptor share: its number, whether it is readable, and that it gets quiet. */
#ifndef WSSTREAM_TESTS_DESCRIPTOR_H
#define WSSTREAM_TESTS_DESCRIPTOR_H

#include "check.h"

#include <poll.h>

static inline int fd_of(wsstream *stream) {
  int fd = -1;
  CHECK_OK(wsstream_fd(stream, &fd));
  CHECK(fd >= 0);
  return fd;
}

static inline int is_readable(int fd, int64_t timeout_ms) {
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  const int count = poll(&waiting, 1, (int)timeout_ms);
  CHECK(count == 0 || (count == 1 && (waiting.revents & POLLNVAL) == 0));
  return count;
}

#define EXPECT_READABLE(fd) CHECK_NUMBER(1, is_readable((fd), SOON))

/* An alarm may be false, but a poll without time quietens it. */
static inline void expect_quiet(wsstream *stream, int fd, uint32_t watched) {
  int i;
  for (i = 0; i < 100; i++) {
    uint32_t events = 0;
    if (!is_readable(fd, 10)) return;
    CHECK_STATUS(WSSTREAM_AGAIN, wsstream_poll(stream, watched, 0, &events));
  }
  CHECK_FAIL("the descriptor never gets quiet");
}

static inline void expect_text(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_read(stream, 0, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  wsstream_message_release(&message);
}

#endif
