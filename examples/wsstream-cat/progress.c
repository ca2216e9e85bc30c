/* How far a file has come: one line on a terminal, drawn again and again. */
#include "cat.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { PERIOD_MS = 200 };

void progress_begin(struct progress *progress, const struct settings *settings) {
  const int has_file = settings->send_path != NULL || settings->receive_path != NULL;
  progress->is_shown = has_file && !settings->is_quiet && isatty(STDERR_FILENO);
  progress->began_ms = now_ms();
  progress->drawn_ms = progress->began_ms;
}

static void draw_bytes(const char *what, uint64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double amount = (double)bytes;
  int unit = 0;
  while (amount >= 1000 && unit < 4) amount /= 1024, unit++;
  fprintf(stderr, "%s%.*f %s", what, unit == 0 ? 0 : 1, amount, units[unit]);
}

static void draw_direction(const char *name, uint64_t bytes, int64_t size, int64_t passed_ms) {
  const uint64_t rate = bytes * 1000 / (uint64_t)(passed_ms > 0 ? passed_ms : 1);
  draw_bytes(name, bytes);
  if (size > 0) {
    draw_bytes(" of ", (uint64_t)size);
    fprintf(stderr, " (%d %%)", (int)((double)bytes * 100 / (double)size));
  }
  draw_bytes(", ", rate);
  fputs("/s", stderr);
  if (size > (int64_t)bytes && rate > 0) {
    const uint64_t left_s = ((uint64_t)size - bytes) / rate;
    fprintf(stderr, ", %" PRIu64 ":%02d left", left_s / 60, (int)(left_s % 60));
  }
}

int progress_draw(struct progress *progress, const struct source *source, const struct sink *sink, int is_end) {
  const struct settings *settings = source->settings;
  const int64_t now = now_ms(), passed_ms = now - progress->began_ms;
  if (!progress->is_shown) return -1;
  if (!is_end && now - progress->drawn_ms < PERIOD_MS) return (int)(PERIOD_MS - (now - progress->drawn_ms));
  progress->drawn_ms = now;
  fputc('\r', stderr);
  if (settings->send_path != NULL) {
    wsstream_statistics now_known;
    uint64_t sent = source->sent;
    /* What the library still has is not sent. Compressed it may be less than it will have been: never below none. */
    if (wsstream_statistics_get(source->stream, &now_known, sizeof now_known) == WSSTREAM_OK)
      sent -= now_known.unsent < sent ? now_known.unsent : sent;
    draw_direction("sent ", sent, source->size, passed_ms);
  }
  if (settings->send_path != NULL && settings->receive_path != NULL) fputs("; ", stderr);
  if (settings->receive_path != NULL) draw_direction("received ", sink->received, -1, passed_ms);
  fputs("\033[K", stderr);
  if (is_end) fputc('\n', stderr);
  return PERIOD_MS;
}
