/* What the system knows of this process, from /proc: its descriptors and its threads. It knows nothing of streams. */
#ifndef WSSTREAM_TESTS_SELF_H
#define WSSTREAM_TESTS_SELF_H

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum { SELF_MAX = 1024, SELF_NAME_SIZE = 32 };

/* Which descriptors are open: [n] is 1 where descriptor n is. A memory checker has its own from SELF_MAX on. */
struct self_descriptors {
  char open[SELF_MAX];
  int count;
};

static inline void self_look_at_descriptors(struct self_descriptors *seen) {
  DIR *folder = opendir("/proc/self/fd");
  const struct dirent *entry;
  memset(seen, 0, sizeof *seen);
  CHECK(folder != NULL);
  while ((entry = readdir(folder)) != NULL) {
    const int number = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || number == dirfd(folder) || number >= SELF_MAX) continue;
    seen->open[number] = 1;
    seen->count++;
  }
  closedir(folder);
}

static inline int self_descriptor_count(void) {
  struct self_descriptors now;
  self_look_at_descriptors(&now);
  return now.count;
}

/* A thread of this process: number, name, and the signals that it blocks, bit n - 1 for signal n. */
struct self_thread {
  int number;
  char name[SELF_NAME_SIZE];
  uint64_t blocked;
};

/* Fills `threads` and answers how many there are; one that ends meanwhile is left out. */
static inline int self_look_at_threads(struct self_thread *threads, int capacity) {
  DIR *folder = opendir("/proc/self/task");
  const struct dirent *entry;
  int count = 0;
  CHECK(folder != NULL);
  while ((entry = readdir(folder)) != NULL) {
    struct self_thread thread = {0, "", 0};
    int is_alive = 0, is_complete = 0;
    char line[256];
    FILE *file;
    if (entry->d_name[0] == '.') continue;
    snprintf(line, sizeof line, "/proc/self/task/%.20s/status", entry->d_name);
    if ((file = fopen(line, "re")) == NULL) continue;
    while (fgets(line, sizeof line, file) != NULL) {
      if (sscanf(line, "Name: %31[^\n]", thread.name) == 1) continue;
      /* Of one that is ending the system counts no threads, and knows no signals. */
      if (strncmp(line, "Threads:", 8) == 0) is_alive = atoi(line + 8) > 0;
      if (strncmp(line, "SigBlk:", 7) == 0) thread.blocked = strtoull(line + 7, NULL, 16), is_complete = is_alive;
    }
    fclose(file);
    if (!is_complete) continue;
    CHECK(count < capacity);
    thread.number = atoi(entry->d_name);
    threads[count++] = thread;
  }
  closedir(folder);
  return count;
}

/* What a thread does, in the system's letters: R runs, S sleeps, Z has ended as the main thread does; 0: it is gone. */
static inline char self_thread_state(int number) {
  char path[64], state = 0;
  FILE *file;
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", number);
  if ((file = fopen(path, "re")) == NULL) return 0;
  if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 0;
  fclose(file);
  return state;
}

/* How many threads have a name that begins with "wsstream". */
static inline int self_library_thread_count(void) {
  struct self_thread threads[SELF_MAX];
  const int count = self_look_at_threads(threads, SELF_MAX);
  int i, found = 0;
  for (i = 0; i < count; i++) found += strncmp(threads[i].name, "wsstream", 8) == 0;
  return found;
}

#endif
