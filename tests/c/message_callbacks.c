/* The message callback: what it is given, how it is paused, replaced and removed, and that it holds the read half. */
#include "callback.h"
#include "check.h"
#include "peer.h"
#include "tally.h"

#include <sched.h>

struct counting {
  struct tally messages, ends;
  uint32_t next;
  int pause;           /* what to answer from now on */
  int resume_before;   /* resume inside, before PAUSE is returned */
  wsstream_status end;
};

#define COUNTING_ZERO {TALLY_ZERO, TALLY_ZERO, 0, 0, 0, 0}

/* The messages of /count: byte j of message i is (31 * i + j) % 251. */
static uint32_t count_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                              void *user_data) {
  struct counting *counting = user_data;
  size_t j;
  if (status != WSSTREAM_OK) {
    counting->end = status;
    tally_add(&counting->ends);
    return WSSTREAM_CONTINUE;
  }
  for (j = 0; j < message->size; j++) CHECK_NUMBER((31 * counting->next + j) % 251, message->data[j]);
  counting->next++;
  if (counting->resume_before) CHECK_OK(wsstream_resume(stream));
  tally_add(&counting->messages);
  return counting->pause ? WSSTREAM_PAUSE : WSSTREAM_CONTINUE;
}

static void each_message_comes_once_and_in_order(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=3000&size=50&type=binary&frame=20", NULL);
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  tally_await(&counting.ends, 1);
  CHECK_NUMBER(3000, tally_count(&counting.messages));
  CHECK_STATUS(WSSTREAM_DONE, counting.end);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  CHECK_NUMBER(1, tally_count(&counting.ends));
}

static void messages_that_were_here_before_come_to_a_late_callback(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=5&size=50&type=binary", NULL);
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  tally_await(&counting.ends, 1);
  CHECK_NUMBER(5, tally_count(&counting.messages));
  CHECK_STATUS(WSSTREAM_DONE, counting.end);
  wsstream_free(stream);
  CHECK_NUMBER(1, tally_count(&counting.ends));
}

static void pause_holds_the_next_message_until_resume(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=5&size=50&type=binary", NULL);
  int i;
  counting.pause = 1;
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  for (i = 1; i <= 5; i++) {
    CHECK_NUMBER(i, tally_await(&counting.messages, i));
    let_pass_ms(30);
    CHECK_NUMBER(i, tally_count(&counting.messages));
    CHECK_OK(wsstream_resume(stream));
  }
  tally_await(&counting.ends, 1);
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static uint32_t note_and_pause(wsstream *stream, wsstream_status status, const wsstream_message *message,
                               void *user_data) {
  (void)note_message(stream, status, message, user_data);
  return WSSTREAM_PAUSE;
}

/* The stream has ended and on_closed still waits: what the program has not been told comes before. */
static void pause_holds_the_end_of_the_stream_too(void) {
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  CHECK_OK(wsstream_on_message(stream, note_and_pause, diary));
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  peer_send_frame(&peer, PEER_CLOSE, "\x03\xe8", 2);
  PEER_EXPECT(&peer, PEER_CLOSE, "\x03\xe8", 2);
  peer_end(&peer);
  CHECK_OK(wsstream_wait_closed(stream, SOON, NULL));
  let_pass_ms(30);
  expect_diary(diary, "m");
  CHECK_OK(wsstream_resume(stream));
  expect_diary(diary, "mm");
  CHECK_OK(wsstream_resume(stream));
  expect_diary(diary, "mmdc");
  CHECK_STATUS(WSSTREAM_DONE, diary->ended);
  peer_free(&peer, stream);
  diary_free(diary);
}

static void resume_before_pause_was_returned_undoes_it(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_begin_open("/count?n=50&size=50&type=binary", NULL);
  counting.pause = 1;
  counting.resume_before = 1;
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  tally_await(&counting.ends, 1);
  CHECK_NUMBER(50, tally_count(&counting.messages));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

static void resume_on_another_thread_while_it_runs_undoes_its_pause(void) {
  struct gate gate = GATE_ZERO;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  gate.answer = WSSTREAM_PAUSE;
  CHECK_OK(wsstream_on_message(stream, pass_message, &gate));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  tally_await(&gate.entered, 1);
  CHECK_OK(wsstream_resume(stream));
  tally_add(&gate.let_go);
  tally_await(&gate.left, 2);
  peer_free(&peer, stream);
}

static void resume_without_pause_is_welcome(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_resume(stream));
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  CHECK_OK(wsstream_resume(stream));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  tally_await(&counting.messages, 1);
  wsstream_free(stream);
}

static void another_message_callback_replaces_the_first(void) {
  struct counting first = COUNTING_ZERO, second = COUNTING_ZERO;
  wsstream *stream = check_open("/answer?n=1&size=4&type=binary");
  CHECK_OK(wsstream_on_message(stream, count_message, &first));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  tally_await(&first.messages, 1);
  CHECK_OK(wsstream_on_message(stream, count_message, &second));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  tally_await(&second.messages, 1);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  tally_await(&second.ends, 1);
  wsstream_free(stream);
  CHECK_NUMBER(1, tally_count(&first.messages));
  CHECK_NUMBER(0, tally_count(&first.ends));
  CHECK_NUMBER(1, tally_count(&second.messages));
  CHECK_NUMBER(1, tally_count(&second.ends));
}

/* It waits for the run that it met, and not for one of its own, which begins at once and stays inside. */
static void a_replacement_waits_for_the_first_callback_only(void) {
  struct gate first = GATE_ZERO, second = GATE_ZERO;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  pthread_t thread;
  CHECK_OK(wsstream_on_message(stream, pass_message, &first));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  tally_await(&first.entered, 1);
  thread = check_thread(let_go_soon, &first.let_go);
  CHECK_OK(wsstream_on_message(stream, pass_message, &second));
  CHECK_NUMBER(1, tally_count(&first.left));
  tally_await(&second.entered, 1);
  tally_add(&second.let_go);
  check_join(thread);
  peer_free(&peer, stream);
}

/* The removal returns after the callback has left, and then reading is the program's again. */
static void removal_waits_for_the_callback_on_another_thread(void) {
  struct gate gate = GATE_ZERO;
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  pthread_t thread;
  CHECK_OK(wsstream_on_message(stream, pass_message, &gate));
  peer_send_text(&peer, "one");
  tally_await(&gate.entered, 1);
  thread = check_thread(let_go_soon, &gate.let_go);
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_NUMBER(1, tally_count(&gate.left));
  peer_send_text(&peer, "two");
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "two", 3, &message);
  wsstream_message_release(&message);
  CHECK_NUMBER(1, tally_count(&gate.entered));
  check_join(thread);
  peer_free(&peer, stream);
}

/* More than a turn of the internal thread delivers, and the end of TCP right behind. */
static void an_end_behind_many_messages_takes_none_of_them(void) {
  enum { COUNT = 200 };
  char frames[3 * COUNT], expected[COUNT + 2] = {0};
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  int i;
  for (i = 0; i < COUNT; i++) memcpy(frames + 3 * i, "\x81\x01" "a", 3);
  memset(expected, 'm', COUNT);
  expected[COUNT] = 'd';
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  let_pass_ms(20);
  peer_send(&peer, frames, sizeof frames);
  peer_end(&peer);
  expect_diary(diary, expected);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, diary->ended);
  peer_free(&peer, stream);
  diary_free(diary);
}

static uint32_t remove_itself(wsstream *stream, wsstream_status status, const wsstream_message *message,
                              void *user_data) {
  CHECK_OK(status);
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_MESSAGE(WSSTREAM_TEXT, "one", 3, message);
  note(user_data, 'm');
  return WSSTREAM_CONTINUE;
}

static void a_callback_removes_itself_without_waiting(void) {
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  wsstream_status status;
  CHECK_OK(wsstream_on_message(stream, remove_itself, diary));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  expect_diary(diary, "m");
  /* It has removed itself before it wrote into the diary. */
  while ((status = wsstream_read(stream, SOON, &message)) == WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_OK(status);
  CHECK_MESSAGE(WSSTREAM_TEXT, "two", 3, &message);
  wsstream_message_release(&message);
  expect_diary(diary, "m");
  peer_free(&peer, stream);
  diary_free(diary);
}

static uint32_t replace_itself(wsstream *stream, wsstream_status status, const wsstream_message *message,
                               void *user_data) {
  CHECK_OK(status);
  CHECK(message != NULL);
  CHECK_OK(wsstream_on_message(stream, note_message, user_data));
  note(user_data, 'r');
  return WSSTREAM_CONTINUE;
}

static void a_callback_replaces_itself(void) {
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  CHECK_OK(wsstream_on_message(stream, replace_itself, diary));
  peer_send_text(&peer, "one");
  peer_send_text(&peer, "two");
  peer_send_text(&peer, "three");
  expect_diary(diary, "rmm");
  peer_free(&peer, stream);
  diary_free(diary);
}

static void a_message_callback_makes_readers_busy_and_writers_not(void) {
  struct counting counting = COUNTING_ZERO;
  wsstream *stream = check_open("/answer?n=1&size=4&type=binary");
  wsstream_message message;
  wsstream_chunk chunk;
  uint32_t events;
  size_t count;
  char byte;
  CHECK_OK(wsstream_on_message(stream, count_message, &counting));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, 0, &message));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, SOON, &message));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read_many(stream, SOON, &message, 1, &count));
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read_some(stream, &byte, 1, SOON, &chunk));
  CHECK_OK(wsstream_poll(stream, WSSTREAM_OPENED, 0, &events));
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, "", 0, SOON));
  CHECK_OK(wsstream_flush(stream, SOON));
  tally_await(&counting.messages, 1);
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_read(stream, SOON, &message));
  CHECK_OK(wsstream_on_message(stream, NULL, NULL));
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 0, &message));
  wsstream_free(stream);
}

struct reader {
  wsstream *stream;
  wsstream_status status;
};

static void *read_for_ever(void *argument) {
  struct reader *reader = argument;
  wsstream_message message;
  do reader->status = wsstream_read(reader->stream, WSSTREAM_FOREVER, &message);
  while (reader->status == WSSTREAM_ERR_BUSY);
  return NULL;
}

static void a_blocked_reader_makes_a_message_callback_busy(void) {
  wsstream *stream = check_open("/echo");
  struct reader reader = {stream, 0};
  struct diary *diary = diary_new();
  pthread_t thread = check_thread(read_for_ever, &reader);
  wsstream_message message;
  while (wsstream_read(stream, 0, &message) != WSSTREAM_ERR_BUSY) sched_yield();
  CHECK_STATUS(WSSTREAM_ERR_BUSY, wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED, note_event, diary));
  expect_diary(diary, "e");
  CHECK_OK(wsstream_wake(stream, WSSTREAM_READABLE));
  check_join(thread);
  CHECK_STATUS(WSSTREAM_AGAIN, reader.status);
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "for the callback", 16, SOON));
  expect_diary(diary, "em");
  wsstream_free(stream);
  diary_free(diary);
}

static uint32_t retain_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                               void *user_data) {
  struct gate *gate = user_data;
  CHECK(stream != NULL);
  if (status != WSSTREAM_OK) return WSSTREAM_CONTINUE;
  CHECK_OK(wsstream_message_retain(message, &gate->kept));
  tally_add(&gate->left);
  return WSSTREAM_CONTINUE;
}

static void a_retained_message_outlives_callback_and_stream(void) {
  struct gate gate = GATE_ZERO;
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_message(stream, retain_message, &gate));
  CHECK_OK(wsstream_write(stream, WSSTREAM_TEXT, "kept", 4, SOON));
  tally_await(&gate.left, 1);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &gate.kept);
  wsstream_message_release(&gate.kept);
}

int main(void) {
  check_begin();
  RUN(each_message_comes_once_and_in_order);
  RUN(messages_that_were_here_before_come_to_a_late_callback);
  RUN(pause_holds_the_next_message_until_resume);
  RUN(pause_holds_the_end_of_the_stream_too);
  RUN(resume_before_pause_was_returned_undoes_it);
  RUN(resume_on_another_thread_while_it_runs_undoes_its_pause);
  RUN(resume_without_pause_is_welcome);
  RUN(another_message_callback_replaces_the_first);
  RUN(a_replacement_waits_for_the_first_callback_only);
  RUN(removal_waits_for_the_callback_on_another_thread);
  RUN(an_end_behind_many_messages_takes_none_of_them);
  RUN(a_callback_removes_itself_without_waiting);
  RUN(a_callback_replaces_itself);
  RUN(a_message_callback_makes_readers_busy_and_writers_not);
  RUN(a_blocked_reader_makes_a_message_callback_busy);
  RUN(a_retained_message_outlives_callback_and_stream);
  return 0;
}
