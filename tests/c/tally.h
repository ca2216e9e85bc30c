/* A number that callbacks and threads raise and others wait for. It knows nothing of streams; the deadline of the
 * program ends a wait that never comes true. */
#ifndef WSSTREAM_TESTS_TALLY_H
#define WSSTREAM_TESTS_TALLY_H

#include "check.h"

struct tally {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int count;
};

#define TALLY_ZERO {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static inline void tally_add(struct tally *tally) {
  pthread_mutex_lock(&tally->mutex);
  tally->count++;
  pthread_cond_broadcast(&tally->changed);
  pthread_mutex_unlock(&tally->mutex);
}

static inline int tally_count(struct tally *tally) {
  int count;
  pthread_mutex_lock(&tally->mutex);
  count = tally->count;
  pthread_mutex_unlock(&tally->mutex);
  return count;
}

/* Waits until the number has reached `count`, and answers what it is then. */
static inline int tally_await(struct tally *tally, int count) {
  pthread_mutex_lock(&tally->mutex);
  while (tally->count < count) pthread_cond_wait(&tally->changed, &tally->mutex);
  count = tally->count;
  pthread_mutex_unlock(&tally->mutex);
  return count;
}

/* Lets time pass where a claim says that nothing happens: waiting longer can only make such a claim stronger. */
static inline void let_pass_ms(int64_t ms) {
  struct timespec time;
  time.tv_sec = (time_t)(ms / 1000);
  time.tv_nsec = (long)(ms % 1000) * 1000000;
  while (nanosleep(&time, &time) != 0) continue;
}

static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
