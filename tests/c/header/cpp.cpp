// The header in strict C++11, twice and beside a file of C: names are C's, types are the same.
#include <wsstream.h>
#include <wsstream.h>

#include "second_file.h"

#include <cstring>
#include <type_traits>

static_assert(std::is_same<wsstream_status, int32_t>::value, "a status is an int32_t in C++ too");
static_assert(std::is_standard_layout<wsstream_message>::value, "a message is a plain structure");

extern "C" {
static void closed(wsstream *, wsstream_status, const wsstream_close_info *, void *) {}
}

int main() {
  const wsstream_closed_fn callback = closed;
  wsstream *stream = nullptr;
  if (std::strcmp(second_file_name_of_busy(), wsstream_status_name(WSSTREAM_ERR_BUSY)) != 0) return 1;
  if (wsstream_on_closed(nullptr, callback, nullptr) != WSSTREAM_ERR_ARGUMENT) return 2;
  if (wsstream_open("not a url", WSSTREAM_NUL, nullptr, &stream) != WSSTREAM_ERR_SYNTAX) return 3;
  return stream == nullptr ? 0 : 4;
}
