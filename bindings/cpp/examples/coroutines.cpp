// Ten coroutines on one thread, each with a stream of its own that echoes what it writes. The program's loop is the smallest
// there is: a queue of what goes on next.
//
//   c++ -std=c++20 coroutines.cpp -lwsstream -o coroutines && ./coroutines ws://127.0.0.1:9000/echo
#include <condition_variable>
#include <coroutine>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <mutex>
#include <wsstream.hpp>

namespace {

// What the library's thread posts, the program's thread runs.
class loop {
 public:
  void post(ws_stream::resumption resume) {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(resume));
    changed_.notify_one();
  }

  void run_one() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty(); });
    const ws_stream::resumption next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    next();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ws_stream::resumption> queue_;
};

// A coroutine that begins at once and ends by itself.
struct detached {
  struct promise_type {
    detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

struct outcome {
  int running = 0;
  int echoed = 0;
  int failed = 0;
};

// The parameters live in the coroutine's frame: the outcome and the loop outlive it.
detached talk(const char* url, loop& where, outcome& all) {
  all.running++;
  try {
    ws_stream::stream stream(url);
    stream.resume_on([&where](ws_stream::resumption resume) { where.post(std::move(resume)); });
    co_await stream.async_opened();
    co_await stream.async_write("hello");
    if (auto message = co_await stream.async_read()) all.echoed += message->text() == "hello" ? 1 : 0;
    stream.close(1000);
    co_await stream.async_closed();
  } catch (const ws_stream::exception& error) {
    std::cerr << error.what() << '\n';
    all.failed++;
  }
  all.running--;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " ws://HOST[:PORT]/PATH\n";
    return EXIT_FAILURE;
  }
  loop here;
  outcome all;
  for (int i = 0; i < 10; i++) talk(argv[1], here, all);
  while (all.running > 0) here.run_one();
  std::cout << "echoed " << all.echoed << ", failed " << all.failed << '\n';
  return all.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
