// Coroutines: that they go on with the right answer, where the program wants it, and may be destroyed while suspended.
// In C++20.
#include <coroutine>
#include <deque>
#include <functional>

#include "check.hpp"
#include "counted.hpp"
#include "values.hpp"

using namespace std::chrono_literals;
using check::counted;
using check::lives;
using check::tally;
using ws_stream::errc;
using ws_stream::events;
using ws_stream::stream;

namespace {

// Begins at once and belongs to nobody.
struct detached {
  struct promise_type {
    detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

// Begins at once and is destroyed with its object, suspended or at its end.
class owned {
 public:
  struct promise_type {
    // Tells the owner, perhaps on another thread, once nothing of the frame is used any more.
    struct tell {
      std::atomic<bool>& ended;
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<>) noexcept { ended = true; }
      void await_resume() noexcept {}
    };
    std::atomic<bool> ended{false};
    owned get_return_object() noexcept { return owned(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    tell final_suspend() noexcept { return {ended}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  explicit owned(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  owned(owned&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~owned() {
    if (coroutine_) coroutine_.destroy();
  }
  bool done() const { return coroutine_.promise().ended; }
  // Its last word was said; where it goes on on another thread it may not have ended yet.
  void await_end() const {
    while (!done()) std::this_thread::yield();
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

// An event loop's queue: what is posted from any thread runs on one.
class loop {
 public:
  void post(std::function<void()> work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(work));
    changed_.notify_all();
  }
  void run_one() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty(); });
    const auto work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
  }
  void await_one() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
};

auto posts_to(loop& to) {
  return [&to](ws_stream::resumption resume) { to.post(std::move(resume)); };
}

detached echo(stream& s, int count, tally& done) {
  co_await s.async_opened();
  for (int i = 0; i < count; i++) {
    const std::string text = "message " + std::to_string(i);
    co_await s.async_write(text);
    auto got = co_await s.async_read();
    CHECK_EQUAL(text, got->text());
  }
  s.close(1000, "bye");
  const auto closed = co_await s.async_closed();
  CHECK_EQUAL("bye", closed.reason);
  done.add();
}

owned read_to_the_end(const stream& s, std::vector<std::string>& into, tally& done) {
  while (auto message = co_await s.async_read()) into.push_back(message->copy());
  done.add();
}

owned read_one(const stream& s, std::string& into) {
  auto got = co_await s.async_read();
  into = got ? got->copy() : got.done() ? "(done)" : "(timed out)";
}

}  // namespace

SCENARIO(a_coroutine_echoes_and_closes) {
  tally done;
  stream s(check::url("/echo"));
  echo(s, 20, done);
  done.await(1);
}

SCENARIO(coroutines_of_many_streams_go_on_together) {
  tally done;
  std::vector<stream> streams;
  for (int i = 0; i < 100; i++) streams.emplace_back(check::url("/echo"));
  for (auto& each : streams) echo(each, 10, done);
  done.await(100);
}

SCENARIO(a_coroutine_goes_on_where_the_program_wants) {
  loop here;
  std::vector<std::string> got;
  tally done;
  stream s(check::url("/count?n=10&size=16"));
  s.resume_on(posts_to(here));
  const auto main_thread = std::this_thread::get_id();
  const owned reader = [](const stream& from, std::vector<std::string>& into, tally& end, std::thread::id thread) -> owned {
    while (auto message = co_await from.async_read()) {
      into.push_back(message->copy());
      CHECK(std::this_thread::get_id() == thread);
    }
    end.add();
  }(s, got, done, main_thread);
  while (!reader.done()) here.run_one();
  CHECK_EQUAL(10u, got.size());
  CHECK_EQUAL("jklmnopqrstuvwxy", got[9]);
}

SCENARIO(a_reader_and_a_writer_share_a_stream) {
  constexpr int count = 1000;
  tally done;
  stream s(check::url("/echo"));
  const owned reader = [](const stream& from, tally& end) -> owned {
    for (int i = 0; i < count; i++) {
      auto got = co_await from.async_read();
      CHECK_EQUAL(std::to_string(i), got->text());
    }
    end.add();
  }(s, done);
  const owned writer = [](const stream& to, tally& end) -> owned {
    for (int i = 0; i < count; i++) co_await to.async_write(std::to_string(i));
    end.add();
  }(s, done);
  done.await(2);
  reader.await_end();
  writer.await_end();
}

SCENARIO(a_write_suspends_until_there_is_room) {
  const std::string token = check::fresh_word();
  loop here;
  stream s(check::url("/stall_until?then=sink&token=" + token));
  s.opened();
  s.resume_on(posts_to(here));
  const std::vector<std::uint8_t> bytes(65536);
  while (s.write(bytes, ws_stream::no_wait) != ws_stream::written::again) continue;
  const owned writer = [](const stream& to, const std::vector<std::uint8_t>& what) -> owned {
    co_await to.async_write(what);
  }(s, bytes);
  CHECK(!writer.done());
  check::release(token);
  while (!writer.done()) here.run_one();
}

SCENARIO(a_suspended_coroutine_may_be_destroyed) {
  std::string got;
  stream s(check::url("/echo"));
  s.opened();
  for (int i = 0; i < 100; i++) {
    const owned reader = read_one(s, got);
    CHECK(!reader.done());
  }
  s.write("for the next reader");
  CHECK_EQUAL("for the next reader", (*s.read(check::soon)).copy());
  CHECK_EQUAL("", got);
}

SCENARIO(a_coroutine_may_be_destroyed_when_it_is_about_to_go_on) {
  loop here;
  std::string got;
  stream s(check::url("/echo"));
  s.opened();
  s.resume_on(posts_to(here));
  {
    const owned reader = read_one(s, got);
    s.write("comes too late");
    here.await_one();
  }
  here.run_one();
  CHECK_EQUAL("", got);
  CHECK_EQUAL("comes too late", (*s.read(check::soon)).copy());
}

SCENARIO(a_resumption_that_is_dropped_leaves_the_coroutine_suspended) {
  check::lives of;
  tally posted;
  stream s(check::url("/echo"));
  s.opened();
  s.resume_on([&posted, life = check::counted(of)](const ws_stream::resumption&) { posted.add(); });
  std::string got;
  {
    const owned reader = read_one(s, got);
    s.write("nobody goes on");
    posted.await(1);
    CHECK(!reader.done());
  }
  s.resume_on(nullptr);
  of.await_none();
}

SCENARIO(freeing_the_stream_lets_coroutines_go_on_with_state) {
  stream s(check::url("/echo"));
  s.opened();
  tally done;
  const owned reader = [](const stream& from, tally& end) -> owned {
    try {
      (void)co_await from.async_read();
    } catch (const ws_stream::exception& thrown) {
      CHECK(thrown.code() == errc::state);
      end.add();
    }
  }(s, done);
  const owned closing = [](const stream& from, tally& end) -> owned {
    const auto answer = co_await from.async_try_closed();
    CHECK(answer.error().code() == errc::state);
    end.add();
  }(s, done);
  s.reset();
  CHECK_EQUAL(2, done.count());
}

SCENARIO(an_executor_that_comes_after_the_free_is_destroyed_at_once) {
  lives of;
  stream s(check::url("/echo"));
  const ws_stream::reference freed = s.ref();
  s.reset();
  freed.resume_on([me = freed, life = counted(of)](const ws_stream::resumption& resume) { resume(); });
  CHECK_EQUAL(0, of.alive());
}

SCENARIO(a_second_reader_is_busy) {
  std::string got;
  tally done;
  stream s(check::url("/echo"));
  const owned first = read_one(s, got);
  const owned second = [](const stream& from, tally& end) -> owned {
    const auto answer = co_await from.async_try_read();
    CHECK(answer.error().code() == errc::busy);
    end.add();
  }(s, done);
  CHECK_EQUAL(1, done.count());
  const owned writer = [](const stream& to, tally& end) -> owned {
    CHECK((co_await to.async_try_write("the other half")).ok());
    end.add();
  }(s, done);
  done.await(2);
  first.await_end();
  writer.await_end();
  CHECK_EQUAL("the other half", got);
}

SCENARIO(a_wake_lets_a_reader_go_on_without_a_message) {
  std::string got;
  stream s(check::url("/echo"));
  s.opened();
  const owned reader = read_one(s, got);
  s.wake(events::readable);
  CHECK(reader.done());
  CHECK_EQUAL("(timed out)", got);
  // It counts for the next one that has to wait, where nobody does.
  s.wake(events::readable);
  const owned next = read_one(s, got = "");
  CHECK(next.done());
  CHECK_EQUAL("(timed out)", got);
}

SCENARIO(a_coroutine_that_never_has_to_wait_lets_others_run) {
  tally begun, done;
  std::atomic<bool> is_over{false};
  stream s(check::url("/close"));
  // An ended stream is readable for ever.
  s.on_closed([&](const ws_stream::result<ws_stream::close_info>&) {
    begun.add();
    [](const stream& from, const std::atomic<bool>& over, tally& end) -> detached {
      while (!over) CHECK((co_await from.async_read()).done());
      end.add();
    }(s, is_over, done);
  });
  begun.await(1);
  stream other(check::url("/echo"));
  other.on_opened([&](const ws_stream::result<void>&) { is_over = true; });
  done.await(1);
}

SCENARIO(a_reader_that_gives_way_leaves_a_wake_to_one_that_has_to_wait) {
  constexpr int count = 300;
  loop here;
  int got = 0;
  stream s(check::url("/count?n=300&size=16&close=none"));
  while (s.statistics().messages_received < count) (void)s.closed(1ms);
  int resumptions = 0;
  s.resume_on([&](ws_stream::resumption resume) {
    resumptions++;
    here.post(std::move(resume));
  });
  s.wake(events::readable);
  const owned reader = [](const stream& from, int& into) -> owned {
    while (co_await from.async_read()) into++;
  }(s, got);
  while (!reader.done()) here.run_one();
  CHECK_EQUAL(count, got);
  CHECK_EQUAL(4, resumptions);
}

SCENARIO(a_wake_meets_a_reader_that_comes_at_the_same_time) {
  constexpr int count = 2000;
  stream s(check::url("/echo"));
  s.opened();
  std::atomic<int> turn{0};
  std::thread waker([&] {
    for (int i = 1; i <= count; i++) {
      while (turn < i) std::this_thread::yield();
      s.wake(events::readable);
    }
  });
  for (int i = 1; i <= count; i++) {
    std::string got;
    turn = i;
    const owned reader = read_one(s, got);
    reader.await_end();
    CHECK_EQUAL("(timed out)", got);
  }
  waker.join();
}

SCENARIO(an_opening_that_fails_is_thrown) {
  const check::silent_port port;
  tally done;
  stream s(port.url());
  const owned opening = [](const stream& of, tally& end) -> owned {
    try {
      co_await of.async_opened();
    } catch (const ws_stream::exception& thrown) {
      CHECK(thrown.closed()->os_error == std::errc::connection_refused);
      end.add();
    }
  }(s, done);
  done.await(1);
  opening.await_end();
}

SCENARIO(a_coroutine_in_a_callback_may_not_block) {
  tally done;
  stream s(check::url("/echo"));
  const auto main_thread = std::this_thread::get_id();
  const owned reader = [](const stream& of, tally& end, std::thread::id thread) -> owned {
    (void)co_await of.async_read();
    CHECK(std::this_thread::get_id() != thread);
    CHECK(of.try_read().error().code() == errc::deadlock);
    end.add();
  }(s, done, main_thread);
  CHECK(!reader.done());
  s.write("go on");
  done.await(1);
  reader.await_end();
}

SCENARIO(event_callbacks_and_coroutines_do_not_take_each_others_events) {
  std::string got;
  tally events_seen;
  stream s(check::url("/echo"));
  s.opened();
  s.on_event(events::closed, [&](events holding) {
    CHECK(holding == events::closed);
    events_seen.add();
  });
  std::vector<std::string> all;
  tally done;
  const owned reader = read_to_the_end(s, all, done);
  for (int i = 0; i < 10; i++) s.write("message");
  while (s.statistics().messages_received < 10) (void)s.closed(1ms);
  s.close();
  events_seen.await(1);
  done.await(1);
  CHECK(!all.empty());
  reader.await_end();
}

SCENARIO(an_event_callback_never_runs_after_a_coroutine_has_removed_it) {
  lives of;
  tally done;
  stream s(check::url("/echo"));
  s.opened();
  const owned closing = [](const stream& from, lives& callbacks, tally& end) -> owned {
    co_await from.async_closed();
    from.on_event(nullptr);
    CHECK_EQUAL(0, callbacks.alive());
    end.add();
  }(s, of, done);
  s.on_event(events::closed, [&, life = counted(of)](events) { CHECK_EQUAL(0, done.count()); });
  s.close();
  done.await(1);
  closing.await_end();
}

SCENARIO(an_event_callback_never_runs_after_a_coroutine_has_freed_the_stream) {
  lives of;
  tally done;
  stream s(check::url("/echo"));
  s.opened();
  const owned closing = [](stream& from, lives& callbacks, tally& end) -> owned {
    co_await from.async_closed();
    from.reset();
    CHECK_EQUAL(0, callbacks.alive());
    end.add();
  }(s, of, done);
  s.on_event(events::closed, [&, life = counted(of)](events) { CHECK_EQUAL(0, done.count()); });
  // Its own pointer: the coroutine takes the object's.
  s.ref().close();
  done.await(1);
  closing.await_end();
}

SCENARIO(coroutines_that_a_freed_stream_lets_go_on_do_so_where_the_program_wants) {
  loop here;
  tally freed;
  stream s(check::url("/echo"));
  const ws_stream::reference other = s.ref();
  s.opened();
  s.resume_on(posts_to(here));
  const auto main_thread = std::this_thread::get_id();
  // It runs before the coroutine that waits for the same.
  s.on_event(events::closed, [&](events) {
    s.reset();
    freed.add();
  });
  const owned closing = [](const ws_stream::reference& from, std::thread::id thread) -> owned {
    (void)co_await from.async_try_closed();
    CHECK(std::this_thread::get_id() == thread);
  }(other, main_thread);
  other.close();
  freed.await(1);
  while (!closing.done()) here.run_one();
}

SCENARIO(files_of_cpp17_and_cpp20_share_a_stream) {
  const stream s(check::url("/echo"));
  CHECK_EQUAL(check::url("/echo"), url_in_17(s));
}
