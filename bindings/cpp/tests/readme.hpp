// What the blocks of README.md take for granted.
using namespace std::chrono_literals;
using ws_stream::events;
using ws_stream::no_wait;
using ws_stream::options;
using ws_stream::written;
using ws_stream::stream;

struct task {
  struct promise_type {
    task get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

inline void use(std::string_view) {}
inline void use(ws_stream::bytes_view) {}
inline void post_to_my_loop(std::function<void()>) {}
inline void wait_until_readable(int) {}
