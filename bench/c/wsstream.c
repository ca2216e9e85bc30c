// The client of wsstream, through its header.

#define _GNU_SOURCE
#include "client.h"

#include <unistd.h>
#include <wsstream.h>

// Messages in one call.
#define MANY 2048

static void must(wsstream_status status, const char *call) {
  if (status != WSSTREAM_OK) bench_fail("%s: %s", call, wsstream_status_name(status));
}

static wsstream_options *make_options(const struct bench *bench) {
  wsstream_options *options = wsstream_options_new();
  if (!options) bench_fail("wsstream_options_new");
  must(wsstream_options_set_number(options, WSSTREAM_OPTION_DEFLATE, bench->deflate), "DEFLATE");
  if (bench->spin_us != BENCH_DEFAULT)
    must(wsstream_options_set_number(options, WSSTREAM_OPTION_SPIN_US, (int64_t)bench->spin_us), "SPIN_US");
  if (bench->ca) {
    size_t size;
    char *pem = bench_read_file(bench->ca, &size);
    must(wsstream_options_set_text(options, WSSTREAM_OPTION_CA_PEM, pem, size), "CA_PEM");
    free(pem);
  }
  return options;
}

static wsstream *open_stream(const struct bench *bench, const wsstream_options *options) {
  wsstream *stream = NULL;
  must(wsstream_open(bench->url, WSSTREAM_NUL, options, &stream), "wsstream_open");
  must(wsstream_wait_opened(stream, WSSTREAM_FOREVER), "wsstream_wait_opened");
  return stream;
}

static void close_stream(wsstream *stream) {
  const wsstream_close_info *info;
  must(wsstream_close(stream, 1000, NULL, 0), "wsstream_close");
  must(wsstream_wait_closed(stream, WSSTREAM_FOREVER, &info), "wsstream_wait_closed");
  if (info->code != 1000 || !info->clean) bench_fail("the end is not clean: %s", info->detail);
  wsstream_free(stream);
}

static void write_one(const struct bench *bench, wsstream *stream) {
  uint32_t type = bench->text ? WSSTREAM_TEXT : WSSTREAM_BINARY;
  must(wsstream_write(stream, type, bench->payload, bench->size, WSSTREAM_FOREVER), "wsstream_write");
}

static void write_many(const struct bench *bench, wsstream *stream, uint64_t count) {
  uint32_t type = bench->text ? WSSTREAM_TEXT : WSSTREAM_BINARY;
  if (!bench->gather) {
    while (count--) write_one(bench, stream);
    return;
  }
  wsstream_message messages[MANY];
  size_t taken;
  for (size_t index = 0; index < MANY; index++)
    messages[index] = (wsstream_message){.type = type, .data = bench->payload, .size = bench->size};
  while (count > 0) {
    size_t size = count < MANY ? (size_t)count : MANY;
    must(wsstream_write_many(stream, messages, size, WSSTREAM_FOREVER, &taken), "wsstream_write_many");
    count -= size;
  }
}

static void take(const struct bench *bench, wsstream_message *message) {
  bench_check(bench, message->data, message->size, message->type == WSSTREAM_TEXT);
  wsstream_message_release(message);
}

static void read_one(const struct bench *bench, wsstream *stream) {
  wsstream_message message;
  must(wsstream_read(stream, WSSTREAM_FOREVER, &message), "wsstream_read");
  take(bench, &message);
}

static void read_many(const struct bench *bench, wsstream *stream, uint64_t count) {
  wsstream_message messages[MANY];
  while (count > 0) {
    size_t capacity = count < MANY ? (size_t)count : MANY, read;
    must(wsstream_read_many(stream, WSSTREAM_FOREVER, messages, capacity, &read), "wsstream_read_many");
    for (size_t index = 0; index < read; index++) take(bench, &messages[index]);
    count -= read;
  }
}

static void echo(struct bench *bench, wsstream *stream) {
  for (uint64_t index = bench_warm(bench); index > 0; index--) {
    write_one(bench, stream);
    read_one(bench, stream);
  }
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) {
    uint64_t begun = bench_now_ns();
    write_one(bench, stream);
    read_one(bench, stream);
    bench_note_latency(bench, bench_now_ns() - begun);
  }
  bench_end(bench);
}

static void pipeline(struct bench *bench, wsstream *stream) {
  bench_begin(bench);
  for (uint64_t left = bench->count; left > 0;) {
    uint64_t window = left < bench->window ? left : bench->window;
    write_many(bench, stream, window);
    read_many(bench, stream, window);
    left -= window;
  }
  bench_end(bench);
}

static void receive(struct bench *bench, wsstream *stream) {
  write_one(bench, stream);
  bench_begin(bench);
  read_many(bench, stream, bench->count);
  bench_end(bench);
}

static void send_all(struct bench *bench, wsstream *stream) {
  wsstream_message answer;
  bench_begin(bench);
  write_many(bench, stream, bench->count);
  must(wsstream_read(stream, WSSTREAM_FOREVER, &answer), "wsstream_read");
  bench_check_answer(answer.size);
  wsstream_message_release(&answer);
  bench_end(bench);
}

static void open_and_close(struct bench *bench, const wsstream_options *options) {
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) close_stream(open_stream(bench, options));
  bench_end(bench);
}

static void rest(struct bench *bench, const wsstream_options *options) {
  wsstream **streams = bench_allocate(bench->count * sizeof *streams);
  close_stream(open_stream(bench, options));
  bench_begin(bench);
  for (uint64_t index = 0; index < bench->count; index++) {
    streams[index] = open_stream(bench, options);
    write_one(bench, streams[index]);
    read_one(bench, streams[index]);
  }
  sleep(2);
  bench_end(bench);
  for (uint64_t index = 0; index < bench->count; index++) close_stream(streams[index]);
  free(streams);
}

struct counted {
  const struct bench *bench;
  uint64_t echoes;
};

static uint32_t count_echo(wsstream *stream, wsstream_status status, const wsstream_message *message, void *user_data) {
  struct counted *counted = user_data;
  (void)stream;
  if (status == WSSTREAM_OK) {
    bench_check(counted->bench, message->data, message->size, message->type == WSSTREAM_TEXT);
    __atomic_fetch_add(&counted->echoes, 1, __ATOMIC_RELAXED);
  }
  return WSSTREAM_CONTINUE;
}

static void pause_a_millisecond(void) { nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); }

// The internal thread receives; this one writes what is due, each millisecond.
static void scale(struct bench *bench, const wsstream_options *options) {
  wsstream **streams = bench_allocate(bench->count * sizeof *streams);
  uint64_t echoes = bench->rate * bench->seconds, sent = 0;
  struct counted counted = {.bench = bench};
  close_stream(open_stream(bench, options));
  uint64_t memory = bench_memory();
  uint64_t begun = bench_now_ns();
  for (uint64_t index = 0; index < bench->count; index++) {
    streams[index] = open_stream(bench, options);
    must(wsstream_on_message(streams[index], count_echo, &counted), "wsstream_on_message");
  }
  bench->open_us = (bench_now_ns() - begun) / 1000;
  bench_begin(bench);
  for (uint64_t start = bench_now_ns(); sent < echoes;) {
    uint64_t due = (bench_now_ns() - start) * bench->rate / 1000000000;
    for (; sent < due && sent < echoes; sent++) write_one(bench, streams[sent % bench->count]);
    pause_a_millisecond();
  }
  while (__atomic_load_n(&counted.echoes, __ATOMIC_RELAXED) < echoes) pause_a_millisecond();
  bench_end(bench);
  bench->memory = bench_memory() - memory;
  for (uint64_t index = 0; index < bench->count; index++) close_stream(streams[index]);
  free(streams);
}

int main(int argc, char **argv) {
  struct bench bench;
  char version[64];
  bench_parse(argc, argv, &bench);
  wsstream_options *options = make_options(&bench);
  if (bench.work == BENCH_OPEN) {
    open_and_close(&bench, options);
  } else if (bench.work == BENCH_IDLE) {
    rest(&bench, options);
  } else if (bench.work == BENCH_SCALE) {
    scale(&bench, options);
  } else {
    wsstream *stream = open_stream(&bench, options);
    void (*const works[])(struct bench *, wsstream *) = {echo, pipeline, receive, send_all};
    works[bench.work](&bench, stream);
    close_stream(stream);
  }
  wsstream_options_free(options);
  snprintf(version, sizeof version, "wsstream %s", wsstream_version());
  bench_print(&bench, version);
  return 0;
}
