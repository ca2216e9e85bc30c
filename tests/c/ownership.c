/* Who may hold what for how long: messages that outlive their stream and cross threads, and streams that are freed
 * while other threads are inside. */
#include "check.h"

#include <sched.h>

static wsstream_message echoed(wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, text, strlen(text), SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  return message;
}

static void a_message_outlives_its_stream(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message = echoed(stream, "kept");
  wsstream_free(stream);
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &message);
  wsstream_message_release(&message);
}

static void a_released_message_is_zeroed_and_may_be_released_again(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message = echoed(stream, "once");
  wsstream_message_release(&message);
  CHECK(message.owner == NULL);
  CHECK_NUMBER(0, message.size);
  CHECK_NUMBER(0, message.type);
  wsstream_message_release(&message);
  wsstream_free(stream);
}

static void *release_elsewhere(void *argument) {
  wsstream_message *message = argument;
  CHECK_MESSAGE(WSSTREAM_TEXT, "shared", 6, message);
  wsstream_message_release(message);
  return NULL;
}

static void a_retained_message_is_released_on_another_thread(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message first = echoed(stream, "shared");
  wsstream_message second;
  pthread_t thread;
  CHECK_OK(wsstream_message_retain(&first, &second));
  CHECK(first.data == second.data);
  thread = check_thread(release_elsewhere, &second);
  CHECK_MESSAGE(WSSTREAM_TEXT, "shared", 6, &first);
  wsstream_message_release(&first);
  check_join(thread);
  wsstream_free(stream);
}

static void *retain_and_release_often(void *argument) {
  const wsstream_message *message = argument;
  int i;
  for (i = 0; i < 1000; i++) {
    wsstream_message mine;
    CHECK_OK(wsstream_message_retain(message, &mine));
    CHECK_MESSAGE(WSSTREAM_TEXT, "contended", 9, &mine);
    wsstream_message_release(&mine);
  }
  return NULL;
}

static void two_threads_retain_one_message_at_once(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message = echoed(stream, "contended");
  pthread_t other = check_thread(retain_and_release_often, &message);
  retain_and_release_often(&message);
  check_join(other);
  CHECK_MESSAGE(WSSTREAM_TEXT, "contended", 9, &message);
  wsstream_message_release(&message);
  wsstream_free(stream);
}

/* It is BUSY itself while the other thread looks whether it is inside. */
static void *read_until_freed(void *argument) {
  wsstream *stream = argument;
  wsstream_message message;
  wsstream_status status;
  do status = wsstream_read(stream, WSSTREAM_FOREVER, &message);
  while (status == WSSTREAM_ERR_BUSY);
  CHECK_STATUS(WSSTREAM_ERR_STATE, status);
  CHECK(message.owner == NULL);
  wsstream_unref(stream);
  return NULL;
}

/* BUSY says that the other thread is inside its read: only then is there anything to show. */
static void free_answers_a_blocked_read_with_state(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  pthread_t reader;
  CHECK(wsstream_ref(stream) == stream);
  reader = check_thread(read_until_freed, stream);
  while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
  wsstream_free(stream);
  check_join(reader);
}

static void every_call_on_a_freed_stream_that_is_held_answers_state(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  uint32_t events;
  CHECK(wsstream_ref(stream) == stream);
  wsstream_free(stream);
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_read(stream, WSSTREAM_FOREVER, &message));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "late", 4, WSSTREAM_FOREVER));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_flush(stream, WSSTREAM_FOREVER));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_close(stream, 1000, "", 0));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_wait_opened(stream, WSSTREAM_FOREVER));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_wait_closed(stream, WSSTREAM_FOREVER, NULL));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_poll(stream, WSSTREAM_READABLE, WSSTREAM_FOREVER, &events));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_wake(stream, WSSTREAM_READABLE));
  wsstream_unref(stream);
}

static void a_second_reader_is_busy_and_a_writer_is_not(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  pthread_t reader;
  CHECK(wsstream_ref(stream) == stream);
  reader = check_thread(read_until_freed, stream);
  while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, WSSTREAM_FOREVER, &message));
  CHECK_OK(wsstream_flush(stream, SOON));
  wsstream_free(stream);
  check_join(reader);
}

static void free_while_connecting_gives_up(void) {
  wsstream_free(check_begin_open("/handshake?stall=1", NULL));
}

int main(void) {
  check_begin();
  RUN(a_message_outlives_its_stream);
  RUN(a_released_message_is_zeroed_and_may_be_released_again);
  RUN(a_retained_message_is_released_on_another_thread);
  RUN(two_threads_retain_one_message_at_once);
  RUN(free_answers_a_blocked_read_with_state);
  RUN(every_call_on_a_freed_stream_that_is_held_answers_state);
  RUN(a_second_reader_is_busy_and_a_writer_is_not);
  RUN(free_while_connecting_gives_up);
  return 0;
}
