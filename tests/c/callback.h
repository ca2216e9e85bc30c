/* What the tests of callbacks share: a diary of which callbacks ran in which order, and a gate that keeps one inside. Both
 * outlive the stream they are registered with. */
#ifndef WSSTREAM_TESTS_CALLBACK_H
#define WSSTREAM_TESTS_CALLBACK_H

#include "check.h"
#include "tally.h"

/* What the callbacks of one stream did, one letter each, in the order in which they ran. */
struct diary {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  char text[4096];
  size_t size;
  pthread_t thread;
  wsstream *stream;
  wsstream_status opened, ended, closed;
};

static inline struct diary *diary_new(void) {
  struct diary *diary = calloc(1, sizeof *diary);
  CHECK(diary != NULL);
  pthread_mutex_init(&diary->mutex, NULL);
  pthread_cond_init(&diary->changed, NULL);
  return diary;
}

static inline void diary_free(struct diary *diary) {
  pthread_mutex_destroy(&diary->mutex);
  pthread_cond_destroy(&diary->changed);
  free(diary);
}

static inline void note(struct diary *diary, char letter) {
  pthread_mutex_lock(&diary->mutex);
  CHECK(diary->size + 1 < sizeof diary->text);
  diary->text[diary->size++] = letter;
  diary->thread = pthread_self();
  pthread_cond_broadcast(&diary->changed);
  pthread_mutex_unlock(&diary->mutex);
}

/* Waits for as many letters as expected, which must be these. */
static inline void expect_diary(struct diary *diary, const char *expected) {
  pthread_mutex_lock(&diary->mutex);
  while (diary->size < strlen(expected)) pthread_cond_wait(&diary->changed, &diary->mutex);
  if (strcmp(diary->text, expected) != 0) CHECK_FAIL("the callbacks ran as \"%s\", not \"%s\"", diary->text, expected);
  CHECK(!pthread_equal(diary->thread, pthread_self()));
  pthread_mutex_unlock(&diary->mutex);
}

/* The latch has the callback's answer, unless another thread has begun to free the stream, which waits for the callback. */
#define CHECK_LATCH(status, call)                                              \
  do {                                                                         \
    const wsstream_status check_latch = (call);                                \
    if (check_latch != WSSTREAM_ERR_STATE) CHECK_STATUS(status, check_latch);  \
  } while (0)

static inline void note_opened(wsstream *stream, wsstream_status status, void *user_data) {
  struct diary *diary = user_data;
  CHECK(diary->stream == NULL || diary->stream == stream);
  CHECK_LATCH(status, wsstream_wait_opened(stream, 0));
  diary->opened = status;
  note(diary, 'o');
}

static inline uint32_t note_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                             void *user_data) {
  struct diary *diary = user_data;
  CHECK(diary->stream == NULL || diary->stream == stream);
  if (status == WSSTREAM_OK) {
    CHECK(message != NULL && message->data != NULL && message->owner != NULL);
    CHECK_NUMBER(WSSTREAM_FIN, message->flags);
    note(diary, 'm');
  } else {
    CHECK(message == NULL);
    diary->ended = status;
    note(diary, 'd');
  }
  return WSSTREAM_CONTINUE;
}

static inline void note_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  struct diary *diary = user_data;
  const wsstream_close_info *latched = NULL;
  CHECK(diary->stream == NULL || diary->stream == stream);
  CHECK_LATCH(status, wsstream_wait_closed(stream, 0, &latched));
  CHECK(info != NULL && (latched == info || latched == NULL));
  diary->closed = status;
  note(diary, 'c');
}

static inline void note_event(wsstream *stream, uint32_t events, void *user_data) {
  struct diary *diary = user_data;
  CHECK(diary->stream == NULL || diary->stream == stream);
  CHECK(events != 0);
  note(diary, 'e');
}

static inline void note_freed(void *user_data) { note(user_data, 'f'); }

/* A callback that stays inside until it is let go. */
struct gate {
  struct tally entered, let_go, left;
  uint32_t answer;
  wsstream_message kept;
};

#define GATE_ZERO {TALLY_ZERO, TALLY_ZERO, TALLY_ZERO, WSSTREAM_CONTINUE, {0, 0, NULL, 0, NULL}}

static inline void pass(struct gate *gate) {
  tally_add(&gate->entered);
  tally_await(&gate->let_go, 1);
  let_pass_ms(20);
  tally_add(&gate->left);
}

static inline uint32_t pass_message(wsstream *stream, wsstream_status status, const wsstream_message *message,
                             void *user_data) {
  struct gate *gate = user_data;
  CHECK(stream != NULL && (status == WSSTREAM_OK) == (message != NULL));
  pass(gate);
  return gate->answer;
}

static inline void pass_event(wsstream *stream, uint32_t events, void *user_data) {
  CHECK(stream != NULL && events != 0);
  pass(user_data);
}

static inline void pass_closed(wsstream *stream, wsstream_status status, const wsstream_close_info *info, void *user_data) {
  CHECK(stream != NULL && info != NULL && status == WSSTREAM_OK);
  pass(user_data);
  CHECK_NUMBER(1000, info->code);
}

static inline void pass_opened(wsstream *stream, wsstream_status status, void *user_data) {
  CHECK(stream != NULL && status == WSSTREAM_OK);
  pass(user_data);
}

static inline void *let_go_soon(void *argument) {
  let_pass_ms(50);
  tally_add(argument);
  return NULL;
}

#endif
