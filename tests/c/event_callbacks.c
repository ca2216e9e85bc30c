/* The event callback: poll as a callback, which runs once and is armed again by the next call. */
#include "callback.h"
#include "check.h"
#include "peer.h"
#include "tally.h"

static void removal_of_an_event_waits_for_the_callback_too(void) {
  struct gate gate = GATE_ZERO;
  wsstream *stream = check_open("/echo");
  pthread_t thread;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, pass_event, &gate));
  tally_await(&gate.entered, 1);
  thread = check_thread(let_go_soon, &gate.let_go);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, NULL, NULL));
  CHECK_NUMBER(1, tally_count(&gate.left));
  check_join(thread);
  wsstream_free(stream);
}

struct events {
  struct tally runs;
  uint32_t events;
};

static void keep_events(wsstream *stream, uint32_t events, void *user_data) {
  struct events *kept = user_data;
  CHECK(stream != NULL);
  kept->events = events;
  tally_add(&kept->runs);
}

/* Runs no more by itself, although what it waited for still holds. */
static void expect_event(struct events *kept, int run, uint32_t events) {
  CHECK_NUMBER(run, tally_await(&kept->runs, run));
  CHECK_NUMBER(events, kept->events);
  let_pass_ms(20);
  CHECK_NUMBER(run, tally_count(&kept->runs));
}

static void on_event_runs_once_and_is_armed_again_by_the_next_call(void) {
  struct events kept = {TALLY_ZERO, 0};
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED, keep_events, &kept));
  expect_event(&kept, 1, WSSTREAM_OPENED);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, keep_events, &kept));
  expect_event(&kept, 2, WSSTREAM_WRITABLE);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &kept));
  let_pass_ms(20);
  CHECK_NUMBER(2, tally_count(&kept.runs));
  peer_send_text(&peer, "readable");
  expect_event(&kept, 3, WSSTREAM_READABLE);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &kept));
  expect_event(&kept, 4, WSSTREAM_READABLE);
  CHECK_OK(wsstream_read(stream, 0, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE_SOME, keep_events, &kept));
  peer_send_frame(&peer, PEER_TEXT_BEGIN, "half", 4);
  expect_event(&kept, 5, WSSTREAM_READABLE_SOME);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE | WSSTREAM_CLOSED, keep_events, &kept));
  let_pass_ms(20);
  CHECK_NUMBER(5, tally_count(&kept.runs));
  peer_send_frame(&peer, PEER_LAST, "", 0);
  expect_event(&kept, 6, WSSTREAM_READABLE);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_CLOSED, keep_events, &kept));
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  PEER_EXPECT_CLOSE_AND_ANSWER(&peer, "\x03\xe8", 2);
  expect_event(&kept, 7, WSSTREAM_CLOSED);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_CLOSED | WSSTREAM_WRITABLE, keep_events, &kept));
  expect_event(&kept, 8, WSSTREAM_CLOSED | WSSTREAM_WRITABLE);
  peer_free(&peer, stream);
}

static void on_event_waits_while_connecting(void) {
  struct events kept = {TALLY_ZERO, 0};
  wsstream *stream = check_begin_open("/handshake?delay_ms=50", NULL);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_OPENED | WSSTREAM_WRITABLE, keep_events, &kept));
  CHECK_NUMBER(1, tally_await(&kept.runs, 1));
  CHECK((kept.events & WSSTREAM_OPENED) != 0);
  CHECK_OK(wsstream_wait_opened(stream, 0));
  wsstream_free(stream);
}

/* A peer that reads nothing makes it unwritable; when the peer reads, the event comes. */
static void on_event_comes_when_there_is_room_again(void) {
  static uint8_t sink[65536];
  struct events kept = {TALLY_ZERO, 0};
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  peer_fill(stream);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, keep_events, &kept));
  let_pass_ms(20);
  CHECK_NUMBER(0, tally_count(&kept.runs));
  while (tally_count(&kept.runs) == 0)
    if (recv(peer.socket, sink, sizeof sink, MSG_DONTWAIT) <= 0) let_pass_ms(1);
  CHECK_NUMBER(WSSTREAM_WRITABLE, kept.events);
  peer_free(&peer, stream);
}

static void another_event_callback_replaces_and_null_removes(void) {
  struct events first = {TALLY_ZERO, 0}, second = {TALLY_ZERO, 0};
  struct peer peer;
  wsstream *stream = peer_open(&peer, NULL);
  wsstream_message message;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &first));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &second));
  peer_send_text(&peer, "one");
  tally_await(&second.runs, 1);
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &second));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, NULL, NULL));
  peer_send_text(&peer, "two");
  CHECK_OK(wsstream_read(stream, SOON, &message));
  wsstream_message_release(&message);
  let_pass_ms(20);
  CHECK_NUMBER(0, tally_count(&first.runs));
  CHECK_NUMBER(1, tally_count(&second.runs));
  peer_free(&peer, stream);
}

/* One program with on_event only: armed again inside, it reads until AGAIN. */
struct event_reader {
  struct tally messages, ends;
};

static void read_in_event(wsstream *stream, uint32_t events, void *user_data) {
  struct event_reader *reader = user_data;
  wsstream_message message;
  wsstream_status status;
  CHECK_NUMBER(WSSTREAM_READABLE, events);
  while ((status = wsstream_read(stream, 0, &message)) == WSSTREAM_OK) {
    wsstream_message_release(&message);
    tally_add(&reader->messages);
  }
  if (status == WSSTREAM_AGAIN) {
    CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, read_in_event, reader));
  } else {
    CHECK_STATUS(WSSTREAM_DONE, status);
    tally_add(&reader->ends);
  }
}

static void on_event_reads_every_message_to_the_end(void) {
  struct event_reader reader = {TALLY_ZERO, TALLY_ZERO};
  wsstream *stream = check_begin_open("/count?n=3000&size=100", NULL);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, read_in_event, &reader));
  tally_await(&reader.ends, 1);
  CHECK_NUMBER(3000, tally_count(&reader.messages));
  CHECK_CLOSED_AND_FREE(stream, 1000, "");
}

/* An event that holds, asked for again and again: as fast as the library calls. */
static void ask_again(wsstream *stream, uint32_t events, void *user_data) {
  wsstream_status status;
  CHECK_NUMBER(WSSTREAM_WRITABLE, events);
  status = wsstream_on_event(stream, WSSTREAM_WRITABLE, ask_again, user_data);
  /* At the end another thread frees the stream while this runs. */
  CHECK(status == WSSTREAM_OK || status == WSSTREAM_ERR_STATE);
  tally_add(user_data);
}

static void an_event_that_is_asked_for_without_end_leaves_others_their_turn(void) {
  struct tally runs = TALLY_ZERO;
  wsstream *stream = check_open("/echo"), *other;
  wsstream_message message;
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE, ask_again, &runs));
  tally_await(&runs, 1000);
  other = check_open("/echo");
  CHECK_OK(wsstream_write(other, WSSTREAM_TEXT, "a", 1, SOON));
  CHECK_OK(wsstream_read(other, SOON, &message));
  wsstream_message_release(&message);
  CHECK_OK(wsstream_close(other, 1000, NULL, 0));
  CHECK_CLOSED_AND_FREE(other, 1000, "");
  wsstream_free(stream);
}

static uint64_t received_by(wsstream *stream) {
  wsstream_statistics statistics;
  CHECK_OK(wsstream_statistics_get(stream, &statistics, sizeof statistics));
  return statistics.wire_received;
}

/* More than the read buffer holds, and the header of the frame, is received only for who wants to read. */
static void an_event_that_is_not_about_reading_receives_nothing(void) {
  enum { BUFFER = 1000 };
  static const uint8_t data[100000];
  struct events kept = {TALLY_ZERO, 0};
  wsstream_options *options = wsstream_options_new();
  struct peer peer;
  uint64_t begin, full;
  wsstream *stream;
  CHECK_OK(wsstream_options_set_number(options, WSSTREAM_OPTION_READ_BUFFER_SIZE, BUFFER));
  stream = peer_open(&peer, options);
  wsstream_options_free(options);
  begin = received_by(stream);
  peer_send_frame(&peer, PEER_BINARY, data, sizeof data);
  while ((full = received_by(stream)) < begin + BUFFER + 10) let_pass_ms(20);
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_WRITABLE | WSSTREAM_CLOSED, keep_events, &kept));
  expect_event(&kept, 1, WSSTREAM_WRITABLE);
  CHECK_NUMBER(full, received_by(stream));
  peer_free(&peer, stream);
}

/* What other callbacks wait for, too, comes to each. */
static void an_event_of_another_callback_is_told_to_both(void) {
  struct events kept = {TALLY_ZERO, 0};
  struct diary *diary = diary_new();
  struct peer peer;
  wsstream *stream = check_open("/echo");
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_CLOSED, keep_events, &kept));
  CHECK_OK(wsstream_on_closed(stream, note_closed, diary));
  let_pass_ms(20);
  CHECK_OK(wsstream_close(stream, 1000, NULL, 0));
  expect_diary(diary, "c");
  expect_event(&kept, 1, WSSTREAM_CLOSED);
  wsstream_free(stream);
  diary_free(diary);
  diary = diary_new();
  stream = peer_open(&peer, NULL);
  CHECK_OK(wsstream_on_message(stream, note_message, diary));
  CHECK_OK(wsstream_on_event(stream, WSSTREAM_READABLE, keep_events, &kept));
  let_pass_ms(20);
  peer_send_text(&peer, "a message");
  expect_diary(diary, "m");
  peer_free(&peer, stream);
  diary_free(diary);
}

/* Callbacks that wait for what is not here, half a message, what nobody will read, ends: none keeps it busy. */
static void idle_streams_cost_nothing(void) {
  enum { STREAMS = 7 };
  struct diary *diary = diary_new();
  struct peer peers[STREAMS];
  wsstream *streams[STREAMS];
  clock_t begin;
  uint32_t events;
  int i;
  for (i = 0; i < STREAMS; i++) streams[i] = peer_open(&peers[i], NULL);
  CHECK_OK(wsstream_on_message(streams[0], note_message, diary));
  CHECK_OK(wsstream_on_message(streams[1], note_message, diary));
  CHECK_OK(wsstream_on_event(streams[1], WSSTREAM_READABLE, note_event, diary));
  CHECK_OK(wsstream_on_event(streams[2], WSSTREAM_READABLE_SOME, note_event, diary));
  CHECK_OK(wsstream_on_event(streams[3], WSSTREAM_READABLE, note_event, diary));
  peer_send_frame(&peers[3], PEER_TEXT_BEGIN, "half", 4);
  peer_send(&peers[4], "\x81\x03" "one" "\x81\x03" "two", 10);
  CHECK_OK(wsstream_poll(streams[4], WSSTREAM_READABLE, SOON, &events));
  let_pass_ms(20);
  CHECK_OK(wsstream_readable_cancel(streams[4], WSSTREAM_NO_CODE, NULL, 0));
  peer_end(&peers[5]);
  CHECK_STATUS(WSSTREAM_ERR_CONNECTION, wsstream_wait_closed(streams[5], SOON, NULL));
  peer_send_frame(&peers[6], 0x83, "of an unknown kind", 18);
  PEER_EXPECT(&peers[6], PEER_CLOSE, "\x03\xea", 2);
  begin = clock();
  let_pass_ms(300);
  CHECK(clock() - begin < CLOCKS_PER_SEC / 20);
  CHECK_NUMBER(0, diary->size);
  for (i = 0; i < STREAMS; i++) peer_free(&peers[i], streams[i]);
  diary_free(diary);
}

int main(void) {
  check_begin();
  RUN(removal_of_an_event_waits_for_the_callback_too);
  RUN(on_event_runs_once_and_is_armed_again_by_the_next_call);
  RUN(on_event_waits_while_connecting);
  RUN(on_event_comes_when_there_is_room_again);
  RUN(another_event_callback_replaces_and_null_removes);
  RUN(on_event_reads_every_message_to_the_end);
  RUN(an_event_that_is_asked_for_without_end_leaves_others_their_turn);
  RUN(an_event_that_is_not_about_reading_receives_nothing);
  RUN(an_event_of_another_callback_is_told_to_both);
  RUN(idle_streams_cost_nothing);
  return 0;
}
