// Callbacks: what they are given, and that each callable is destroyed exactly once and in time.
#include "check.hpp"
#include "counted.hpp"

using namespace std::chrono_literals;
using check::counted;
using check::lives;
using check::tally;
using ws_stream::close_info;
using ws_stream::delivery;
using ws_stream::errc;
using ws_stream::events;
using ws_stream::message;
using ws_stream::result;
using ws_stream::stream;

SCENARIO(every_message_comes_to_the_callback_and_then_the_end) {
  std::vector<message> kept;
  tally ends;
  {
    stream s(check::url("/count?n=100&size=16"));
    s.on_message([&](message each) { kept.push_back(std::move(each)); },
                 [&](const result<void>& end) {
                   CHECK(end.ok());
                   ends.add();
                 });
    ends.await(1);
    CHECK_EQUAL(1000, s.closed().code);
  }
  CHECK_EQUAL(100u, kept.size());
  for (std::size_t i = 0; i < kept.size(); i++) CHECK_EQUAL(static_cast<char>('a' + i % 26), kept[i].text()[0]);
}

SCENARIO(a_paused_callback_waits_for_resume) {
  tally messages;
  stream s(check::url("/count?n=3&size=16"));
  s.on_message([&](const message&) {
    messages.add();
    return delivery::pause;
  });
  for (int i = 1; i <= 3; i++) {
    messages.await(i);
    check::let_pass(10ms);
    CHECK_EQUAL(i, messages.count());
    s.resume();
  }
  CHECK(s.closed().clean);
}

SCENARIO(the_read_half_belongs_to_the_message_callback_until_it_is_removed) {
  lives of;
  stream s(check::url("/echo"));
  s.opened();
  s.on_message([life = counted(of)](const message&) {});
  CHECK(s.try_read(1ms).error().code() == errc::busy);
  CHECK(s.try_on_message(nullptr).ok());
  CHECK_EQUAL(0, of.alive());
  s.write("for read");
  CHECK_EQUAL("for read", (*s.read(check::soon)).copy());
}

SCENARIO(opened_and_closed_are_told_once_and_in_order) {
  lives of;
  std::string order;
  tally closed;
  stream s(check::url("/close?code=3001&reason=enough"));
  s.on_opened([&order, life = counted(of)](const result<void>& end) {
    CHECK(end.ok());
    order += "o";
  });
  s.on_closed([&order, life = counted(of)](const result<close_info>& end) {
    CHECK_EQUAL("enough", end.value().reason);
    order += "c";
  });
  s.on_closed([&, life = counted(of)](const result<close_info>&) {
    order += "d";
    closed.add();
  });
  closed.await(1);
  CHECK_EQUAL("ocd", order);
  of.await_none();
  const check::silent_port port;
  stream refused(port.url());
  refused.on_closed([&](const result<close_info>& end) {
    CHECK(end.error().code() == errc::connection);
    CHECK(end.error().closed()->os_error == std::errc::connection_refused);
    closed.add();
  });
  closed.await(2);
}

SCENARIO(a_generic_callable_is_given_what_it_is_set_for) {
  tally runs;
  stream s(check::url("/close?code=3001"));
  s.on_opened([&](const auto& end) {
    static_assert(std::is_same<decltype(end), const result<void>&>::value, "opened has no value");
    CHECK(end.ok());
    runs.add();
  });
  s.on_closed([&](const auto& end) {
    CHECK_EQUAL(3001, end->code);
    runs.add();
  });
  runs.await(2);
}

SCENARIO(a_callable_that_never_ran_is_destroyed_by_free) {
  lives of;
  stream s(check::url("/handshake?stall=1"));
  s.on_opened([life = counted(of)](const result<void>&) { CHECK(false); });
  s.on_closed([life = counted(of)](const result<close_info>&) { CHECK(false); });
  s.on_message([life = counted(of)](const message&) { CHECK(false); });
  s.on_event(events::readable, [life = counted(of)](events) { CHECK(false); });
  CHECK_EQUAL(4, of.alive());
  s.reset();
  CHECK_EQUAL(0, of.alive());
}

SCENARIO(a_refused_callable_is_destroyed_at_once) {
  lives of;
  stream s(check::url("/echo"));
  const ws_stream::reference freed = s.ref();
  s.on_freed([life = counted(of)] {});
  s.reset();
  of.await_none();
  CHECK(freed.try_on_opened([life = counted(of)](const result<void>&) {}).error().code() == errc::state);
  CHECK(freed.try_on_message([life = counted(of)](const message&) {}).error().code() == errc::state);
  CHECK(freed.try_on_event(events::closed, [life = counted(of)](events) {}).error().code() == errc::state);
  CHECK(freed.try_on_event(events::none, [life = counted(of)](events) {}).error().code() == errc::argument);
  CHECK(freed.try_on_freed([life = counted(of)] {}).error().code() == errc::state);
  CHECK_EQUAL(0, of.alive());
}

SCENARIO(a_stream_may_be_freed_in_its_own_callback) {
  lives of;
  tally runs;
  auto owner = std::make_unique<stream>(check::url("/echo"));
  owner->on_message([life = counted(of)](const message&) {});
  owner->on_opened([&, life = counted(of)](const result<void>&) {
    owner.reset();
    // This one runs on, and is destroyed when it has returned.
    CHECK_EQUAL(1, of.alive());
    runs.add();
  });
  runs.await(1);
  of.await_none();
}

SCENARIO(a_message_callback_may_replace_itself) {
  lives of;
  tally first, second;
  stream s(check::url("/echo"));
  s.on_message([&, me = s.ref(), life = counted(of)](const message& one) {
    CHECK_EQUAL("one", one.text());
    me.on_message([&, other = counted(of)](const message& two) {
      CHECK_EQUAL("two", two.text());
      second.add();
    });
    CHECK_EQUAL(2, of.alive());
    first.add();
  });
  s.write("one");
  first.await(1);
  s.write("two");
  second.await(1);
  CHECK_EQUAL(1, of.alive());
  s.reset();
  CHECK_EQUAL(0, of.alive());
}

SCENARIO(an_event_callback_runs_once_and_is_armed_again_inside) {
  lives of;
  tally runs;
  struct again {
    const stream& s;
    tally& runs;
    counted life;
    lives& of;
    void operator()(events holding) {
      CHECK(holding == events::writable);
      const bool more = runs.count() < 9;
      if (more) s.on_event(events::writable, again{s, runs, counted(of), of});
      runs.add();
    }
  };
  stream s(check::url("/echo"));
  s.on_event(events::writable, again{s, runs, counted(of), of});
  runs.await(10);
  of.await_none();
  s.on_event(events::readable, [life = counted(of)](events) { CHECK(false); });
  s.on_event(events::writable, [&, life = counted(of)](events) { runs.add(); });
  runs.await(11);
  of.await_none();
  s.on_event(events::readable, [life = counted(of)](events) { CHECK(false); });
  s.on_event(nullptr);
  CHECK_EQUAL(0, of.alive());
}

SCENARIO(callbacks_may_be_replaced_from_many_threads) {
  lives of;
  tally messages, ends;
  stream s(check::url("/count?n=3000&size=16"));
  const auto count = [&] {
    return [&, life = counted(of)](const message&) { messages.add(); };
  };
  const auto end = [&](const result<void>&) { ends.add(); };
  s.on_message(count(), end);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      for (int j = 0; j < 100; j++) {
        s.on_message(count(), end);
        s.on_event(events::writable, [life = counted(of)](events) {});
      }
    });
  }
  for (auto& each : threads) each.join();
  s.on_event(nullptr);
  ends.await(1);
  CHECK_EQUAL(3000, messages.count());
  // The last message function.
  CHECK_EQUAL(1, of.alive());
  s.reset();
  CHECK_EQUAL(0, of.alive());
}

SCENARIO(a_message_goes_to_a_function_or_to_a_read_whatever_was_refused_before) {
  lives of;
  stream s(check::url("/echo"));
  for (int i = 0; i < 500; i++) {
    tally messages;
    std::atomic<int> ready{0};
    const auto together = [&](auto act) {
      return std::thread([&, act] {
        ready++;
        while (ready < 3) std::this_thread::yield();
        act();
      });
    };
    std::thread setting = together(
        [&] { (void)s.try_on_message([&, life = counted(of)](const message&) { messages.add(); }); });
    std::thread removing = together([&] { (void)s.try_on_message(nullptr); });
    std::thread reading = together([&] {
      // While it is inside, a function is refused.
      for (int j = 0; j < 20; j++) (void)s.try_read(ws_stream::no_wait);
    });
    for (std::thread* each : {&setting, &removing, &reading}) each->join();
    s.write("for somebody");
    const auto read = s.try_read(check::soon);
    if (!read.ok()) {
      CHECK(read.error().code() == errc::busy);
      messages.await(1);
    }
    CHECK(s.try_on_message(nullptr).ok());
    CHECK_EQUAL(0, of.alive());
  }
}

SCENARIO(in_a_callback_nothing_may_wait) {
  tally runs;
  stream s(check::url("/echo"));
  s.on_opened([&](const result<void>&) {
    CHECK(s.try_read().error().code() == errc::deadlock);
    CHECK(s.try_closed(1ms).error().code() == errc::deadlock);
    CHECK(s.write("without waiting", ws_stream::no_wait) == ws_stream::written::taken);
    runs.add();
  });
  runs.await(1);
  CHECK_EQUAL("without waiting", (*s.read(check::soon)).copy());
}

SCENARIO(an_exception_out_of_a_callback_ends_the_process_and_is_named) {
  const std::string said = check::last_words([] {
    const check::silent_port port;
    stream s(port.url());
    s.on_closed([](const result<close_info>&) { throw std::runtime_error("out of a callback"); });
    check::let_pass(check::soon);
  });
  CHECK(said.find("out of a callback") != std::string::npos);
}
