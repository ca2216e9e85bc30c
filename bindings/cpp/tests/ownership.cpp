// Who owns what, and for how long: messages, streams, references and the log function.
#include <type_traits>

#include "check.hpp"
#include "counted.hpp"
#include "values.hpp"

using namespace std::chrono_literals;
using ws_stream::errc;
using ws_stream::message;
using ws_stream::options;
using ws_stream::stream;

static message echoed(const stream& s, std::string_view text) {
  s.write(text);
  return *s.read(check::soon);
}

SCENARIO(a_message_outlives_its_stream) {
  message kept;
  {
    stream s(check::url("/echo"));
    kept = echoed(s, "longer than the stream");
  }
  CHECK_EQUAL("longer than the stream", kept.text());
}

SCENARIO(moving_a_message_moves_its_bytes) {
  stream s(check::url("/echo"));
  message one = echoed(s, "one"), two = echoed(s, "two");
  const char* const bytes = one.text().data();
  message taken = std::move(one);
  CHECK(bytes == taken.text().data());
  CHECK(one.empty() && one.text().empty() && one.copy().empty());  // NOLINT: moved from
  two = std::move(taken);
  CHECK_EQUAL("one", two.text());
  message& self = two;
  two = std::move(self);
  CHECK_EQUAL("one", two.text());
  two.reset();
  two.reset();
  CHECK(two.empty());
}

SCENARIO(a_retained_message_has_the_same_bytes) {
  stream s(check::url("/echo"));
  message another;
  {
    const message one = echoed(s, "shared");
    another = one.retain();
    CHECK(one.text().data() == another.text().data());
  }
  CHECK_EQUAL("shared", another.text());
  CHECK(message().retain().empty());
}

SCENARIO(a_message_goes_to_c_and_back) {
  stream s(check::url("/echo"));
  message one = echoed(s, "to C");
  wsstream_message raw = one.detach();
  CHECK(one.empty());
  const message back(raw);
  CHECK_EQUAL("to C", back.text());
}

SCENARIO(a_message_is_written_as_what_it_was) {
  stream s(check::url("/echo"));
  const message text = echoed(s, "text");
  s.write(text);
  CHECK((*s.read(check::soon)).is_text());
  s.write(text.bytes());
  CHECK(!(*s.read(check::soon)).is_text());
}

SCENARIO(moving_a_stream_moves_the_connection) {
  stream one(check::url("/echo"));
  wsstream* const native = one.native();
  stream two = std::move(one);
  CHECK(native == two.native() && one.native() == nullptr);  // NOLINT: moved from
  stream& self = two;
  two = std::move(self);
  CHECK_EQUAL("still open", echoed(two, "still open").copy());
  CHECK(one.try_read().error().code() == errc::argument);  // NOLINT: moved from
}

SCENARIO(assigning_to_a_stream_frees_the_old_one) {
  stream s(check::url("/echo"));
  const ws_stream::reference old = s.ref();
  s = stream(check::url("/echo"));
  CHECK(old.try_read().error().code() == errc::state);
  CHECK_EQUAL("the new one", echoed(s, "the new one").copy());
}

SCENARIO(a_reference_keeps_texts_and_answers_state) {
  ws_stream::reference kept;
  std::string_view url;
  {
    stream s(check::url("/echo"));
    kept = s.ref();
    url = kept.url();
    CHECK_EQUAL(url_in_17(s), url);
    s.opened();
  }
  const ws_stream::reference copy = kept;
  CHECK_EQUAL(check::url("/echo"), url);
  CHECK(copy.try_write("too late").error().code() == errc::state);
  CHECK(copy.try_on_closed([](const ws_stream::result<ws_stream::close_info>&) {}).error().code() == errc::state);
}

SCENARIO(a_blocked_call_is_let_go_by_free) {
  stream s(check::url("/echo"));
  s.opened();
  const ws_stream::reference other = s.ref();
  std::thread reader([other] { CHECK_THROWS(errc::state, other.read()); });
  (void)s.closed(10ms);
  s.reset();
  reader.join();
}

SCENARIO(a_wake_ends_a_call_with_a_timeout_only) {
  stream s(check::url("/echo"));
  s.opened();
  std::thread reader([&s] { CHECK(s.read(ws_stream::forever).timed_out()); });
  s.wake(ws_stream::events::readable);
  reader.join();
  s.wake(ws_stream::events::readable);
  s.write("through the wake");
  CHECK_EQUAL("through the wake", (*s.read()).copy());
}

SCENARIO(a_log_function_lives_as_long_as_a_stream_may_log) {
  check::lives lives;
  check::tally lines;
  {
    stream s;
    {
      options with;
      with.log(ws_stream::log_level::debug, [&lines, life = check::counted(lives)](ws_stream::log_level, std::string_view text) {
        CHECK(!text.empty());
        lines.add();
      });
      with.log(ws_stream::log_level::debug, [&lines, life = check::counted(lives)](ws_stream::log_level, std::string_view) {
        lines.add();
      });
      s = stream(check::url("/echo"), with);
    }
    s.opened();
    lines.await(1);
    CHECK_EQUAL(1, lives.alive());
  }
  lives.await_none();
}

SCENARIO(a_refused_log_function_leaves_the_one_before) {
  check::lives lives;
  check::tally lines, freed;
  options with;
  with.log(ws_stream::log_level::debug, [&lines, life = check::counted(lives)](ws_stream::log_level, std::string_view) {
    lines.add();
  });
  const auto unknown = static_cast<ws_stream::log_level>(99);
  with.log(unknown, [life = check::counted(lives)](ws_stream::log_level, std::string_view) { CHECK(false); });
  CHECK(with.refusal() != nullptr);
  CHECK_EQUAL(1, lives.alive());
  wsstream* raw = nullptr;
  const std::string url = check::url("/echo");
  CHECK_EQUAL(WSSTREAM_OK, wsstream_open(url.data(), url.size(), with.native(), &raw));
  stream s(raw);
  lines.await(1);
  // Opened through the C header, it has no share of the function.
  s.on_freed([&freed] { freed.add(); });
  s.reset();
  freed.await(1);
}

SCENARIO(many_messages_go_and_come_in_one_call) {
  stream s(check::url("/echo"));
  std::size_t taken = 0;
  const std::vector<std::uint8_t> bytes(300, 7);
  CHECK(s.write_many({"one", bytes, ws_stream::outgoing("three").uncompressed()}, taken, check::soon) ==
        ws_stream::written::taken);
  CHECK_EQUAL(3u, taken);
  std::vector<message> got;
  while (got.size() < 3) CHECK(*s.read_many(got, check::soon) > 0);
  CHECK_EQUAL("one", got[0].text());
  CHECK_EQUAL(300u, got[1].size());
  CHECK_EQUAL("three", got[2].text());
  CHECK(s.try_write_many({"fine", "bad \xff"}, taken, check::soon).error().code() == errc::argument);
  CHECK_EQUAL(1u, taken);
  s.write(ws_stream::outgoing("alone").uncompressed());
  CHECK_EQUAL("fine", (*s.read(check::soon)).copy());
  CHECK_EQUAL("alone", (*s.read(check::soon)).copy());
}

SCENARIO(a_descriptor_is_readable_while_a_watched_event_holds) {
  stream s(check::url("/echo"));
  s.watch(ws_stream::events::readable | ws_stream::events::closed);
  CHECK(s.descriptor() >= 0);
  s.write("event");
  CHECK(*s.poll(ws_stream::events::readable | ws_stream::events::closed, check::soon) == ws_stream::events::readable);
  CHECK(s.flush(check::soon) == ws_stream::waited::settled);
}

SCENARIO(in_the_child_of_a_fork_streams_are_forked_and_what_they_own_goes) {
  check::lives of;
  stream s(check::url("/echo"));
  s.opened();
  s.on_closed([life = check::counted(of)](const ws_stream::result<ws_stream::close_info>&) {});
  const pid_t child = fork();
  if (child == 0) {
    CHECK(s.try_read().error().code() == errc::forked);
    CHECK(s.try_on_message([](const message&) {}).error().code() == errc::forked);
    s.reset();
    CHECK_EQUAL(0, of.alive());
    stream own(check::url("/echo"));
    CHECK_EQUAL("a child's own", echoed(own, "a child's own").copy());
    own.reset();
    _exit(EXIT_SUCCESS);
  }
  int status = 0;
  CHECK_EQUAL(child, waitpid(child, &status, 0));
  CHECK_EQUAL(0, status);
  CHECK_EQUAL("the parent's", echoed(s, "the parent's").copy());
}
