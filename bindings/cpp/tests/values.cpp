// What does not compile, and what needs no server: times, results, errors, options. In C++17.
#include <array>
#include <limits>

#include "check.hpp"
#include "values.hpp"

using namespace std::chrono_literals;
using ws_stream::bytes_view;
using ws_stream::errc;
using ws_stream::maybe;
using ws_stream::message;
using ws_stream::options;
using ws_stream::outgoing;
using ws_stream::received;
using ws_stream::result;
using ws_stream::stream;
using ws_stream::timeout;
using ws_stream::waited;
using ws_stream::written;

namespace {

template <template <class> class Expression, class T, class = void>
struct compiles_with : std::false_type {};
template <template <class> class Expression, class T>
struct compiles_with<Expression, T, std::void_t<Expression<T>>> : std::true_type {};
template <template <class> class Expression, class T>
constexpr bool compiles = compiles_with<Expression, T>::value;

template <class T>
using text_of = decltype(std::declval<T>().text());
template <class T>
using bytes_of = decltype(std::declval<T>().bytes());
template <class T>
using arrow_of = decltype(std::declval<T>().operator->());
template <class T>
using url_of = decltype(std::declval<T>().url());
template <class T>
using header_of = decltype(std::declval<T>().response_header("name"));
template <class T>
using messages_of = decltype(std::declval<T>().messages());
template <class T>
using read_with = decltype(std::declval<stream&>().read(std::declval<T>()));
template <class T>
using write_of = decltype(std::declval<stream&>().write(std::declval<T>()));

// No view of a temporary.
static_assert(compiles<text_of, message&> && !compiles<text_of, message> && !compiles<text_of, const message>);
static_assert(compiles<bytes_of, message&> && !compiles<bytes_of, message>);
static_assert(compiles<arrow_of, received<message>&> && !compiles<arrow_of, received<message>>);
static_assert(compiles<arrow_of, result<stream>&> && !compiles<arrow_of, result<stream>>);
static_assert(!std::is_reference<decltype(*std::declval<received<message>>())>::value);
static_assert(!std::is_reference<decltype(std::declval<result<message>>().value())>::value);
static_assert(compiles<url_of, stream&> && !compiles<url_of, stream>);
static_assert(compiles<header_of, stream&> && !compiles<header_of, stream>);
static_assert(compiles<messages_of, stream&> && !compiles<messages_of, stream>);

// One owner.
static_assert(!std::is_copy_constructible<message>::value && !std::is_copy_assignable<message>::value);
static_assert(!std::is_copy_constructible<stream>::value && !std::is_copy_assignable<stream>::value);
static_assert(!std::is_copy_constructible<options>::value && !std::is_copy_constructible<ws_stream::aborter>::value);
static_assert(std::is_nothrow_move_constructible<message>::value && std::is_nothrow_move_assignable<message>::value);
static_assert(std::is_nothrow_move_constructible<stream>::value && std::is_nothrow_move_assignable<stream>::value);
static_assert(std::is_copy_constructible<ws_stream::reference>::value);
static_assert(!std::is_reference<decltype(options().deflate(false))>::value);

// A result is not its value, and a bare number is no time.
static_assert(!std::is_constructible<bool, result<waited>>::value && !std::is_constructible<bool, result<void>>::value);
static_assert(!std::is_constructible<bool, result<received<message>>>::value);
static_assert(!std::is_convertible<waited, bool>::value && !std::is_convertible<written, bool>::value);
static_assert(std::is_constructible<bool, received<message>>::value && !std::is_convertible<received<message>, bool>::value);
static_assert(compiles<read_with, std::chrono::hours> && !compiles<read_with, int> && !compiles<read_with, bool>);
static_assert(!std::is_convertible<int, ws_stream::time_limit>::value);

// char is text, std::byte and uint8_t are bytes; what may be either is neither.
static_assert(compiles<write_of, const char*> && compiles<write_of, std::string> && compiles<write_of, std::string_view>);
static_assert(compiles<write_of, std::vector<std::byte>> && compiles<write_of, std::array<std::uint8_t, 3>>);
static_assert(compiles<write_of, bytes_view> && compiles<write_of, message&>);
static_assert(!compiles<write_of, std::vector<char>> && !compiles<write_of, std::vector<int>> && !compiles<write_of, int>);

static_assert(timeout(1ns).ms() == 1 && timeout(1ms).ms() == 1 && timeout(1000001ns).ms() == 2);
static_assert(timeout(-1ms).ms() == 0 && timeout(std::chrono::hours::min()).ms() == 0);
static_assert(timeout(std::chrono::hours::max()).ms() == std::numeric_limits<std::int64_t>::max());
static_assert(ws_stream::forever.ms() == WSSTREAM_FOREVER && ws_stream::no_wait.ms() == 0);

// What std::expected is, as far as a result looks at it.
template <class T, class E>
struct expectation {
  using value_type = T;
  using error_type = E;
  struct unexpected_type {
    explicit unexpected_type(E wrong) : error(std::move(wrong)) {}
    E error;
  };
  explicit expectation(T value) : value_or_code(std::to_string(value)) {}
  explicit expectation(unexpected_type wrong) : value_or_code(wrong.error.name()) {}
  std::string value_or_code;
};

}  // namespace

std::string url_in_17(const ws_stream::stream& stream) { return std::string(stream.url()); }

SCENARIO(a_duration_is_rounded_up_and_never_becomes_for_ever) {
  CHECK_EQUAL(std::int64_t{2}, timeout(std::chrono::duration<double>(0.0011)).ms());
  CHECK_EQUAL(std::int64_t{0}, timeout(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())).ms());
  CHECK_EQUAL(std::numeric_limits<std::int64_t>::max(),
              timeout(std::chrono::duration<double>(std::numeric_limits<double>::infinity())).ms());
  CHECK_EQUAL(std::int64_t{1}, timeout(std::chrono::duration<std::int8_t, std::micro>(3)).ms());
  CHECK_EQUAL(std::int64_t{0}, timeout::until(std::chrono::steady_clock::now() - 1s).ms());
  const std::int64_t left = timeout::until(std::chrono::steady_clock::now() + 1h).ms();
  CHECK(left > 0 && left <= 3600000);
}

SCENARIO(a_result_has_a_value_or_an_error) {
  result<int> good = 7;
  CHECK(good.ok());
  CHECK_EQUAL(7, good.value());
  result<int> bad = ws_stream::error("call", errc::busy);
  CHECK(!bad.ok());
  CHECK(bad.error().code() == errc::busy);
  CHECK_EQUAL("TypeError", std::string_view(bad.error().name()));
  CHECK_EQUAL("call: TypeError: ", bad.error().message().substr(0, 17));
  const auto thrown = CHECK_THROWS(errc::busy, bad.value());
  CHECK_EQUAL(bad.error().message(), thrown.what());
  const expectation<int, ws_stream::error> first = std::move(good), second = std::move(bad);
  CHECK_EQUAL("7", first.value_or_code);
  CHECK_EQUAL("TypeError", second.value_or_code);
  result<message> moved = message();
  const message out = std::move(moved).value();
  CHECK(out.empty());
}

SCENARIO(reading_tells_a_value_the_end_and_time_apart) {
  const received<int> value = 1, end = received<int>::end(), late;
  CHECK(value && !value.done() && !value.timed_out());
  CHECK(!end && end.done() && !end.timed_out());
  CHECK(!late && !late.done() && late.timed_out());
}

SCENARIO(errors_are_error_codes) {
  const std::error_code code = errc::aborted;
  CHECK_EQUAL("wsstream", std::string_view(code.category().name()));
  CHECK_EQUAL(std::string(wsstream_status_text(WSSTREAM_ERR_ABORTED)), code.message());
  CHECK(code == errc::aborted && code != errc::busy);
  CHECK(code == std::errc::operation_canceled);
  CHECK(make_error_code(errc::syntax) == std::errc::invalid_argument);
  CHECK(make_error_code(errc::state) != std::errc::invalid_argument);
  // Of a later library.
  CHECK(ws_stream::detail::error_of(-12) == errc::connection);
  CHECK(ws_stream::detail::error_of(WSSTREAM_ERR_INTERNAL) == errc::internal);
  for (int status = WSSTREAM_ERR_ARGUMENT; status >= WSSTREAM_ERR_RESOURCE; status--)
    CHECK_EQUAL(status, static_cast<int>(ws_stream::detail::error_of(status)));
}

SCENARIO(an_exception_is_a_system_error) {
  try {
    stream s("no url");
    CHECK(false);
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == errc::syntax);
    CHECK_EQUAL(0u, std::string_view(thrown.what()).find("open: SyntaxError: "));
  }
}

SCENARIO(the_first_refusal_of_the_options_is_what_opening_answers) {
  options wrong = options().deflate(true).protocol("not a token").open_timeout(-1s);
  CHECK(wrong.refusal() != nullptr);
  CHECK(wrong.refusal()->code() == errc::syntax);
  CHECK_EQUAL(0u, wrong.refusal()->message().find("options::protocol: SyntaxError: "));
  const auto refused = stream::try_open("ws://127.0.0.1:1", wrong);
  CHECK(!refused.ok());
  CHECK_EQUAL(wrong.refusal()->message(), refused.error().message());
  CHECK(options().open_timeout(-1s).refusal()->code() == errc::argument);
  CHECK(options().proxy("http://proxy").refusal()->code() == errc::unsupported);
  CHECK(options().open_timeout(std::chrono::hours::max()).max_message_size(UINT64_MAX).spin(-1us).refusal() == nullptr);
  const options moved = std::move(wrong);
  CHECK(moved.refusal() != nullptr);
  CHECK(stream::try_open("ws://127.0.0.1:1", wrong).error().code() == errc::argument);  // NOLINT: moved from
}

SCENARIO(an_empty_stream_refuses_every_call) {
  const stream none;
  CHECK(none.native() == nullptr);
  CHECK(none.try_opened().error().code() == errc::argument);
  CHECK(none.try_closed(1ms).error().code() == errc::argument);
  CHECK(none.try_read().error().code() == errc::argument);
  CHECK(none.try_write("text").error().code() == errc::argument);
  CHECK(none.try_wake(ws_stream::events::readable).error().code() == errc::argument);
  CHECK(none.try_on_message([](message&&) {}).error().code() == errc::argument);
  CHECK(none.try_on_opened([](const result<void>&) {}).error().code() == errc::argument);
  CHECK(none.try_on_event(ws_stream::events::closed, [](ws_stream::events) {}).error().code() == errc::argument);
  CHECK(none.try_on_freed([] {}).error().code() == errc::argument);
  CHECK_EQUAL("", none.url());
  none.resume_on([](const ws_stream::resumption&) {});
}
