// Throws out of a callback. Nobody listens on the port, so the stream ends at once; the process must end before main
// does, with the library's message.
#include <wsstream.h>

#include <chrono>
#include <stdexcept>
#include <thread>

extern "C" {
static void closed(wsstream *, wsstream_status, const wsstream_close_info *, void *) {
  throw std::runtime_error("out of a callback");
}
}

int main() {
  wsstream *stream = nullptr;
  if (wsstream_open("ws://127.0.0.1:1/", WSSTREAM_NUL, nullptr, &stream) != WSSTREAM_OK) return 1;
  if (wsstream_on_closed(stream, closed, nullptr) != WSSTREAM_OK) return 2;
  // Freeing the stream would forget the callback: the process ends while this thread waits, or the test fails.
  std::this_thread::sleep_for(std::chrono::seconds(20));
  wsstream_free(stream);
  return 0;
}
