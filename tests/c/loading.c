/* The library as a plugin has it: loaded and unloaded while the program runs, and loaded twice under two names.
 *
 *     c.loading LIBRARY
 *
 * This program is linked without it: every function is looked up in a copy of its own. */
#include "self.h"
#include "server.h"
#include "tally.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

/* One copy of the library, with the functions that are used here. */
struct library {
  void *handle;
  wsstream_status (*open)(const char *, size_t, const wsstream_options *, wsstream **);
  wsstream_status (*wait_opened)(wsstream *, int64_t);
  wsstream_status (*write)(wsstream *, uint32_t, const void *, size_t, int64_t);
  wsstream_status (*read)(wsstream *, int64_t, wsstream_message *);
  void (*message_release)(wsstream_message *);
  wsstream_status (*close)(wsstream *, int32_t, const char *, size_t);
  wsstream_status (*wait_closed)(wsstream *, int64_t, const wsstream_close_info **);
  void (*free)(wsstream *);
};

static const char *library_path;

static void look_up(void *handle, const char *name, void *function) {
  void *const found = dlsym(handle, name);
  if (found == NULL) CHECK_FAIL("%s", dlerror());
  memcpy(function, &found, sizeof found);
}

static struct library load(const char *path) {
  struct library library;
  library.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library.handle == NULL) CHECK_FAIL("%s", dlerror());
  look_up(library.handle, "wsstream_open", &library.open);
  look_up(library.handle, "wsstream_wait_opened", &library.wait_opened);
  look_up(library.handle, "wsstream_write", &library.write);
  look_up(library.handle, "wsstream_read", &library.read);
  look_up(library.handle, "wsstream_message_release", &library.message_release);
  look_up(library.handle, "wsstream_close", &library.close);
  look_up(library.handle, "wsstream_wait_closed", &library.wait_closed);
  look_up(library.handle, "wsstream_free", &library.free);
  return library;
}

static void unload(const struct library *library) {
  CHECK_NUMBER(0, dlclose(library->handle));
}

static wsstream *open_stream(const struct library *library, const char *path) {
  const char *server = getenv("WSSTREAM_TEST_URL");
  wsstream *stream = NULL;
  char url[256];
  if (server == NULL) CHECK_FAIL("WSSTREAM_TEST_URL is not set: run it through scripts/with-server");
  snprintf(url, sizeof url, "%s%s", server, path);
  CHECK_NUMBER(WSSTREAM_OK, library->open(url, WSSTREAM_NUL, NULL, &stream));
  CHECK_NUMBER(WSSTREAM_OK, library->wait_opened(stream, SOON));
  return stream;
}

static void echo(const struct library *library, wsstream *stream, const char *text) {
  wsstream_message message;
  CHECK_NUMBER(WSSTREAM_OK, library->write(stream, WSSTREAM_TEXT, text, strlen(text), SOON));
  CHECK_NUMBER(WSSTREAM_OK, library->read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, text, strlen(text), &message);
  library->message_release(&message);
}

static void close_and_free(const struct library *library, wsstream *stream) {
  const wsstream_close_info *info = NULL;
  CHECK_NUMBER(WSSTREAM_OK, library->close(stream, 1000, "done", WSSTREAM_NUL));
  CHECK_NUMBER(WSSTREAM_OK, library->wait_closed(stream, SOON, &info));
  CHECK_NUMBER(1000, info->code);
  CHECK_TEXT("done", info->reason);
  library->free(stream);
}

/* It stays in memory, where a thread may be inside whenever somebody unloads it; loading alone starts none. */
static void the_library_is_loaded_once_and_for_all(void) {
  struct library library = load(library_path);
  void *again;
  unload(&library);
  again = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
  CHECK(again != NULL);
  CHECK_NUMBER(0, dlclose(again));
  CHECK_NUMBER(0, self_library_thread_count());
}

static void the_library_works_each_time_it_is_loaded(void) {
  int i;
  for (i = 0; i < 5; i++) {
    struct library library = load(library_path);
    wsstream *stream = open_stream(&library, "/echo");
    echo(&library, stream, "loaded");
    close_and_free(&library, stream);
    unload(&library);
  }
}

/* Its thread answers a ping after dlclose, and the next dlopen finds the streams where they were. */
static void unloading_with_an_open_stream_ends_nothing(void) {
  const char *id = server_fresh_word();
  struct library before = load(library_path), after;
  wsstream_message message;
  wsstream *stream;
  char path[64], *record;
  snprintf(path, sizeof path, "/ping_echo?id=%s", id);
  stream = open_stream(&before, path);
  CHECK_NUMBER(WSSTREAM_OK, before.write(stream, WSSTREAM_TEXT, "kept", 4, SOON));
  unload(&before);
  while (self_library_thread_count() < 1) sched_yield();
  record = server_record(id, 2);
  CHECK_NUMBER(1, server_count(record, "pong"));
  free(record);
  after = load(library_path);
  CHECK(after.read == before.read);
  CHECK_NUMBER(WSSTREAM_OK, after.read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "kept", 4, &message);
  echo(&after, stream, "loaded again");
  close_and_free(&after, stream);
  unload(&after);
  after.message_release(&message);
}

struct blocked {
  struct library library;
  wsstream *stream;
};

static void *read_until_the_end(void *argument) {
  const struct blocked *blocked = argument;
  wsstream_message message;
  CHECK_NUMBER(WSSTREAM_DONE, blocked->library.read(blocked->stream, WSSTREAM_FOREVER, &message));
  return NULL;
}

static void unloading_under_a_blocked_thread_ends_nothing(void) {
  struct blocked blocked = {load(library_path), NULL};
  wsstream_message message;
  pthread_t reader;
  blocked.stream = open_stream(&blocked.library, "/echo");
  reader = check_thread(read_until_the_end, &blocked);
  unload(&blocked.library);
  let_pass_ms(20);
  blocked.library = load(library_path);
  CHECK_NUMBER(WSSTREAM_OK, blocked.library.close(blocked.stream, 1000, "done", WSSTREAM_NUL));
  check_join(reader);
  CHECK_NUMBER(WSSTREAM_DONE, blocked.library.read(blocked.stream, SOON, &message));
  close_and_free(&blocked.library, blocked.stream);
  unload(&blocked.library);
}

/* A second file with the same bytes; the caller removes it. */
static void copy_the_library(char *path) {
  static char bytes[1 << 16];
  const int to = mkstemp(path), from = open(library_path, O_RDONLY | O_CLOEXEC);
  ssize_t size;
  CHECK(to >= 0 && from >= 0);
  while ((size = read(from, bytes, sizeof bytes)) > 0) CHECK_NUMBER(size, write(to, bytes, (size_t)size));
  CHECK_NUMBER(0, size);
  close(to);
  close(from);
}

static void use_both(const struct library *libraries, wsstream *const *streams) {
  int i;
  for (i = 0; i < 100; i++) echo(&libraries[i % 2], streams[i % 2], i % 2 == 0 ? "one" : "two");
}

/* In the child of a fork each copy has to notice it by itself. */
static void both_work_in_a_child(const struct library *libraries, wsstream *const *streams) {
  int status;
  pid_t child;
  fflush(NULL);
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    wsstream *own[2];
    int i;
    alarm(40);
    for (i = 0; i < 2; i++) CHECK_NUMBER(WSSTREAM_ERR_FORKED, libraries[i].wait_opened(streams[i], 0));
    for (i = 0; i < 2; i++) own[i] = open_stream(&libraries[i], "/echo");
    use_both(libraries, own);
    raise(SIGKILL);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void two_copies_work_in_one_process(void) {
  char path[] = "/tmp/wsstream-copy-XXXXXX";
  struct library libraries[2];
  wsstream *streams[2];
  int i;
  copy_the_library(path);
  libraries[0] = load(library_path);
  libraries[1] = load(path);
  CHECK_NUMBER(0, unlink(path));
  CHECK(libraries[0].open != libraries[1].open);
  for (i = 0; i < 2; i++) streams[i] = open_stream(&libraries[i], "/echo");
  while (self_library_thread_count() < 2) sched_yield();
  use_both(libraries, streams);
  both_work_in_a_child(libraries, streams);
  use_both(libraries, streams);
  close_and_free(&libraries[1], streams[1]);
  unload(&libraries[1]);
  echo(&libraries[0], streams[0], "the first goes on without the second");
  close_and_free(&libraries[0], streams[0]);
  unload(&libraries[0]);
}

int main(int count, char **words) {
  if (count != 2) {
    fputs("usage: c.loading LIBRARY\n", stderr);
    return EXIT_FAILURE;
  }
  library_path = words[1];
  check_begin();
  RUN(the_library_is_loaded_once_and_for_all);
  RUN(the_library_works_each_time_it_is_loaded);
  RUN(unloading_with_an_open_stream_ends_nothing);
  RUN(unloading_under_a_blocked_thread_ends_nothing);
  RUN(two_copies_work_in_one_process);
  return EXIT_SUCCESS;
}
