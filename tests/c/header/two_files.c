/* The header in strict C99, twice and from two files: it is complete by itself, and the library knows every status. */
#include <wsstream.h>
#include <wsstream.h>

#include "second_file.h"

#include <stdio.h>
#include <string.h>

struct row {
  wsstream_status status;
  const char *name;
};

#define ROW(status) {status, #status}

static const struct row statuses[] = {
  ROW(WSSTREAM_OK),           ROW(WSSTREAM_DONE),         ROW(WSSTREAM_AGAIN),           ROW(WSSTREAM_QUEUED),
  ROW(WSSTREAM_ERR_ARGUMENT), ROW(WSSTREAM_ERR_SYNTAX),   ROW(WSSTREAM_ERR_ACCESS),      ROW(WSSTREAM_ERR_STATE),
  ROW(WSSTREAM_ERR_ABORTED),  ROW(WSSTREAM_ERR_CONNECTION), ROW(WSSTREAM_ERR_BUSY),      ROW(WSSTREAM_ERR_FORKED),
  ROW(WSSTREAM_ERR_DEADLOCK), ROW(WSSTREAM_ERR_UNSUPPORTED), ROW(WSSTREAM_ERR_RESOURCE), ROW(WSSTREAM_ERR_INTERNAL),
};

static int failures;

static void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "not so: %s\n", what);
  failures++;
}

/* A caller of a later library asks for what an earlier one filled. */
static void a_field_is_known_by_the_size_that_was_filled(void) {
  wsstream_close_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = offsetof(wsstream_close_info, detail);
  check(WSSTREAM_HAS(wsstream_close_info, &info, reason_size), "the field before the end is there");
  check(!WSSTREAM_HAS(wsstream_close_info, &info, detail), "the field behind the end is not");
}

int main(void) {
  size_t i;
  for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    check(strcmp(wsstream_status_name(statuses[i].status), statuses[i].name) == 0, statuses[i].name);
    check(wsstream_status_text(statuses[i].status)[0] != '\0', statuses[i].name);
  }
  check(strcmp(wsstream_status_name(12345), "WSSTREAM_UNKNOWN") == 0, "an unknown status has a name");
  check(strcmp(second_file_name_of_busy(), "WSSTREAM_ERR_BUSY") == 0, "both files see one list");
  check(second_file_message_size() == sizeof(wsstream_message), "both files see one message");
  check(wsstream_abi_version() == WSSTREAM_ABI_VERSION, "header and library are of one version");
  check(WSSTREAM_NUL == SIZE_MAX && WSSTREAM_FOREVER < 0 && WSSTREAM_NO_CODE == -1, "the sentinels");
  a_field_is_known_by_the_size_that_was_filled();
  return failures != 0;
}
