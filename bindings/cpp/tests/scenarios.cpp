// The scenarios of tests/scenarios.toml, which says what each shows, in C++17 with exceptions.
#include "check.hpp"

#include <algorithm>

using namespace std::chrono_literals;
using ws_stream::errc;
using ws_stream::events;
using ws_stream::flags;
using ws_stream::forever;
using ws_stream::no_wait;
using ws_stream::options;
using ws_stream::stream;
using ws_stream::waited;
using ws_stream::written;

// The messages of /count and /verify.
static std::string count_text(std::size_t index, std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t j = 0; j < size; j++) text[j] = static_cast<char>('a' + (index + j) % 26);
  return text;
}

static std::vector<std::uint8_t> count_bytes(std::size_t index, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t j = 0; j < size; j++) bytes[j] = static_cast<std::uint8_t>((31 * index + j) % 251);
  return bytes;
}

static ws_stream::message read_one(const stream& from) {
  auto got = from.read(check::soon);
  CHECK(got);
  return *std::move(got);
}

static void check_echo(const stream& through, std::string_view text) {
  through.write(text);
  const auto message = read_one(through);
  CHECK(message.is_text());
  CHECK_EQUAL(text, message.text());
}

SCENARIO(hello_is_echoed) {
  stream s(check::url("/echo"));
  check_echo(s, "hello, w\u00f6rld \u2603");
  const std::vector<std::uint8_t> bytes = {0, 1, 0xfe, 0xff, 0x80};
  s.write(bytes);
  const auto message = read_one(s);
  CHECK(message.type() == ws_stream::message_type::binary);
  CHECK(std::equal(bytes.begin(), bytes.end(), message.bytes().begin(), message.bytes().end()));
}

SCENARIO(an_empty_message_is_a_message) {
  stream s(check::url("/echo"));
  check_echo(s, "");
  s.write(std::vector<std::uint8_t>());
  const auto message = read_one(s);
  CHECK(!message.is_text());
  CHECK(message.empty() && message.bytes().empty());
}

SCENARIO(a_large_message_comes_whole) {
  stream s(check::url("/echo"));
  const auto bytes = count_bytes(0, 3 << 20);
  s.write(bytes);
  const auto message = read_one(s);
  CHECK(std::equal(bytes.begin(), bytes.end(), message.bytes().begin(), message.bytes().end()));
}

SCENARIO(a_fragmented_message_comes_whole) {
  stream s(check::url("/echo?frame=7"));
  std::string text;
  for (int i = 0; i < 100; i++) text += "\u00e4\u20ac\U0001f600";
  check_echo(s, text);
}

SCENARIO(messages_come_in_order_and_then_the_end) {
  stream s(check::url("/count?n=1000&size=16"));
  std::size_t count = 0;
  for (auto& message : s.messages()) CHECK_EQUAL(count_text(count++, 16), message.text());
  CHECK_EQUAL(1000u, count);
  CHECK(s.read().done());
  const auto closed = s.closed();
  CHECK(closed.clean);
  CHECK_EQUAL(1000, closed.code);
}

SCENARIO(parts_make_one_message) {
  stream s(check::url("/echo"));
  const std::string whole = "in parts: \u00e4\u20ac";
  for (std::size_t at = 0; at < whole.size(); at += 4) {
    const bool last = at + 4 >= whole.size();
    CHECK(s.write_some(whole.substr(at, 4), last ? flags::fin : flags::none, forever) == written::taken);
  }
  std::string got;
  for (bool fin = false; !fin;) {
    char buffer[5];
    const auto part = *s.read_some(buffer, sizeof buffer, check::soon);
    CHECK(part.type == ws_stream::message_type::text && part.size <= sizeof buffer);
    got.append(buffer, part.size);
    fin = part.fin;
  }
  CHECK_EQUAL(whole, got);
}

SCENARIO(the_close_code_and_reason_are_the_peers) {
  stream s(check::url("/close?code=3001&reason=enough"));
  const auto closed = s.closed();
  CHECK_EQUAL(3001, closed.code);
  CHECK_EQUAL("enough", closed.reason);
  CHECK(closed.clean);
  CHECK(closed.initiator == ws_stream::initiator::remote);
}

SCENARIO(a_close_without_a_code_is_1005) {
  stream s(check::url("/close"));
  const auto closed = s.closed();
  CHECK_EQUAL(1005, closed.code);
  CHECK_EQUAL("", closed.reason);
  CHECK(closed.clean);
}

SCENARIO(our_close_is_answered) {
  stream s(check::url("/echo"));
  s.opened();
  s.close(3002, "done");
  const auto closed = s.closed();
  CHECK(closed.clean);
  CHECK(closed.initiator == ws_stream::initiator::local);
  CHECK_EQUAL(3002, closed.code);
  CHECK_EQUAL("done", closed.reason);
  CHECK_EQUAL(3002, closed.sent_code);
}

SCENARIO(a_dropped_connection_is_no_clean_end) {
  stream s(check::url("/abrupt?after=1&echo=1"));
  s.write("last words");
  // The echo may be thrown away with the end.
  const auto read = CHECK_THROWS(errc::connection, [&] { while (s.read()) continue; }());
  CHECK_EQUAL(std::string("WebSocketError"), read.name());
  const auto closed = CHECK_THROWS(errc::connection, s.closed());
  CHECK_EQUAL(1006, closed.close_code());
  CHECK_EQUAL("", closed.reason());
  CHECK(!closed.closed()->clean);
}

SCENARIO(a_close_code_that_may_not_be_sent_is_refused) {
  stream s(check::url("/echo"));
  s.opened();
  CHECK_EQUAL(std::string("InvalidAccessError"), CHECK_THROWS(errc::access, s.close(1001)).name());
  CHECK_EQUAL(std::string("SyntaxError"), CHECK_THROWS(errc::syntax, s.close(1000, std::string(124, 'r'))).name());
  check_echo(s, "still here");
}

SCENARIO(a_bad_url_is_a_syntax_error) {
  CHECK_EQUAL(std::string("SyntaxError"), CHECK_THROWS(errc::syntax, stream(check::url("/echo#fragment"))).name());
}

SCENARIO(a_refused_upgrade_says_why) {
  stream s(check::url("/handshake?status=404&body=nothing%20here"));
  const auto refused = CHECK_THROWS(errc::connection, s.opened());
  CHECK_EQUAL(404, refused.closed()->http_status);
  CHECK(refused.closed()->cause == ws_stream::cause::http);
  CHECK_EQUAL("nothing here", refused.closed()->response_body);
}

SCENARIO(a_server_that_is_not_there_is_told) {
  const check::silent_port port;
  stream s(port.url());
  const auto refused = CHECK_THROWS(errc::connection, s.opened());
  CHECK(refused.closed()->cause == ws_stream::cause::system);
  CHECK(refused.closed()->os_error == std::errc::connection_refused);
}

SCENARIO(an_opening_can_time_out) {
  stream s(check::url("/handshake?stall=1"), options().open_timeout(50ms));
  const auto late = CHECK_THROWS(errc::connection, s.opened());
  CHECK(late.closed()->cause == ws_stream::cause::timeout);
}

SCENARIO(an_opening_can_be_aborted) {
  const ws_stream::aborter aborter;
  stream s(check::url("/handshake?stall=1"), options().aborted_by(aborter));
  CHECK(s.opened(no_wait) == waited::timed_out);
  aborter.abort();
  CHECK_EQUAL(std::string("AbortError"), CHECK_THROWS(errc::aborted, s.opened()).name());
  const auto closed = CHECK_THROWS(errc::aborted, s.closed());
  CHECK_EQUAL(1006, closed.close_code());
  CHECK(!closed.closed()->clean);
}

SCENARIO(the_server_picks_a_protocol) {
  stream s(check::url("/echo?protocol=second"), options().protocol("first").protocol("second"));
  s.opened();
  CHECK_EQUAL("second", s.protocol());
}

SCENARIO(request_headers_are_sent) {
  stream s(check::url("/request"), options().header("X-Scenario", "yes"));
  const auto head = read_one(s);
  CHECK(head.text().find("\nX-Scenario: yes") != std::string_view::npos);
}

SCENARIO(response_headers_are_known) {
  stream s(check::url("/handshake?header=X-Answer:%20forty-two"));
  s.opened();
  CHECK_EQUAL("forty-two", *s.response_header("X-Answer"));
  CHECK_EQUAL("forty-two", *s.response_header("x-aNSWER"));
  CHECK(!s.response_header("X-Question"));
  CHECK(!s.response_header("X-Answer", 1));
}

SCENARIO(a_slow_reader_slows_the_peer) {
  stream s(check::url("/count?n=0&size=65536&type=binary&close=none"), options().read_buffer_size(65536));
  s.opened();
  while (s.statistics().unread < 65536) (void)s.closed(1ms);
  for (std::size_t i = 0; i < 100; i++) {
    CHECK(s.statistics().unread < (1u << 20));
    // Time for more to come, if it did.
    if (i % 10 == 0) CHECK(s.closed(10ms).timed_out());
    const auto message = read_one(s);
    const auto expected = count_bytes(i, 65536);
    CHECK(std::equal(expected.begin(), expected.end(), message.bytes().begin(), message.bytes().end()));
  }
}

SCENARIO(a_full_write_buffer_is_told) {
  const std::string token = check::fresh_word();
  stream s(check::url("/stall_until?then=echo&token=" + token));
  s.opened();
  std::size_t taken = 0;
  while (s.write(count_bytes(taken, 65536), no_wait) != written::again) taken++;
  CHECK(taken > 0);
  CHECK(s.poll(events::writable, no_wait).timed_out());
  check::release(token);
  for (std::size_t i = 0; i < taken; i++) {
    const auto message = read_one(s);
    const auto expected = count_bytes(i, 65536);
    CHECK(std::equal(expected.begin(), expected.end(), message.bytes().begin(), message.bytes().end()));
  }
  check_echo(s, "there is room");
}

SCENARIO(pings_are_answered_unasked) {
  stream s(check::url("/ping?n=3&payload=p&close=1000"));
  CHECK_EQUAL(1000, s.closed().code);
}

SCENARIO(compression_is_agreed_and_transparent) {
  stream s(check::url("/echo?deflate=1"));
  check_echo(s, std::string(100000, 'e'));
  CHECK(s.extensions().find("permessage-deflate") != std::string_view::npos);
  const auto counters = s.statistics();
  CHECK(counters.wire_sent + counters.wire_received < 10000);
}

SCENARIO(without_compression_nothing_is_offered) {
  stream s(check::url("/request"), options().deflate(false));
  const auto head = read_one(s);
  CHECK(head.text().find("Sec-WebSocket-Extensions") == std::string_view::npos);
  CHECK_EQUAL("", s.extensions());
}

SCENARIO(text_that_is_not_utf8_is_refused) {
  stream s(check::url("/echo"));
  CHECK_THROWS(errc::argument, s.write("not \xff utf-8"));
  check_echo(s, "utf-8");
}

SCENARIO(reading_can_be_cancelled) {
  stream s(check::url("/echo"));
  s.opened();
  s.readable_cancel();
  CHECK(s.read().done());
  CHECK(s.closed().clean);
}

SCENARIO(writing_can_be_closed) {
  stream s(check::url("/echo"));
  s.opened();
  CHECK(s.writable_close(check::soon) == waited::settled);
  CHECK_THROWS(errc::state, s.write("too late"));
  const auto closed = s.closed();
  CHECK(closed.clean);
  CHECK_EQUAL(1005, closed.code);
}

SCENARIO(a_wait_keeps_its_time) {
  stream s(check::url("/echo"));
  s.opened();
  const auto begin = std::chrono::steady_clock::now();
  const auto none = s.read(20ms);
  CHECK(none.timed_out() && !none.done() && !none);
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
  check_echo(s, "on it goes");
}

SCENARIO(two_directions_at_once) {
  stream s(check::url("/echo"));
  std::thread writer([&s] {
    for (std::size_t i = 0; i < 1000; i++) s.write(count_text(i, 100));
  });
  for (std::size_t i = 0; i < 1000; i++) CHECK_EQUAL(count_text(i, 100), read_one(s).copy());
  writer.join();
}

SCENARIO(many_streams_at_once) {
  std::vector<stream> streams;
  for (int i = 0; i < 50; i++) streams.emplace_back(check::url("/echo"));
  for (std::size_t i = 0; i < streams.size(); i++) streams[i].write("message " + std::to_string(i));
  for (std::size_t i = 0; i < streams.size(); i++)
    CHECK_EQUAL("message " + std::to_string(i), read_one(streams[i]).copy());
}

SCENARIO(a_stream_can_be_freed_at_any_time) {
  for (int i = 0; i < 20; i++) {
    stream s(check::url("/count?n=0&size=1000&close=none"));
    for (int count = 0; count < i; count++) CHECK_EQUAL(1000u, read_one(s).size());
  }
  stream next(check::url("/echo"));
  check_echo(next, "undisturbed");
}

SCENARIO(what_was_written_precedes_the_close) {
  stream s(check::url("/verify?size=1000&type=binary"));
  for (std::size_t i = 0; i < 100; i++) s.write(count_bytes(i, 1000));
  s.close();
  const auto closed = s.closed();
  CHECK(closed.clean);
  CHECK_EQUAL("100 messages", closed.reason);
}

int main(int count, char** names) { return check::run(count, names); }
