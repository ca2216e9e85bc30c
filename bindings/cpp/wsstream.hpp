// wsstream for C++: the web's WebSocketStream with RAII, views that cannot dangle unseen, exceptions or error values,
// std::chrono, and coroutines where C++20 is on. One header over <wsstream.h>; C++17, also without exceptions and RTTI.
//
//     ws_stream::stream stream("ws://127.0.0.1:9000/echo");
//     stream.write("hello");
//     if (auto message = stream.read()) std::cout << message->text() << '\n';
//     stream.close(1000, "bye");
//     stream.closed();
//
// What a call means, what it may answer and how long what it gives is valid is said in wsstream.h at the function that
// is named here; this header says what C++ adds. The conventions:
//
// Errors     Each call that can fail has two forms over one body. `read` throws ws_stream::exception; `try_read`
//            answers result<T>, which has a value or an `error`. Without exceptions only the second form is declared.
//            What is expected is never an error: the end of reading, a time that ran out, a write still on its way.
// Wrong use  that the compiler can see does not compile: a view of a temporary, a result that is tested as if it were
//            its value, a timeout that is a bare number, text that is meant as bytes. What it cannot see, such as the
//            value of what has none, ends the program with a message. A moved-from object refuses calls with
//            errc::argument.
// Ownership  `stream` frees in its destructor; `reference` keeps the pointer valid, not the connection. A `message`
//            owns its bytes and gives them back in its destructor, on any thread, also after the stream is gone.
//            What is given in is read during the call only; callables are owned.
// Threads    as in wsstream.h: the const member functions of one object may be called on any thread at once, one at a
//            time in each half (else errc::busy). Moving, resetting and destroying an object is for one thread alone,
//            while no other is inside a call of it: threads that may be have a `reference` of their own, whose calls
//            answer errc::state from then on.
// Time       is a std::chrono::duration, rounded up to whole milliseconds; `forever` and `no_wait` have names. What is
//            negative, such as a deadline that has passed, is no_wait and never for ever. A call without a timeout
//            waits for ever, and a wake does not end it; with one, `forever` too, it may end early by `wake`.
// Callbacks  run on a thread of the library: return soon, every timeout but no_wait is errc::deadlock there. A callable
//            is destroyed exactly once: after its only run, when it is replaced or removed, or when the stream is
//            freed; where it runs at that time, as soon as it returns. An exception out of one ends the process by
//            std::terminate, which names it.
//
// Since: 0.1, all of it.

#ifndef WSSTREAM_HPP
#define WSSTREAM_HPP

#include <wsstream.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define WS_STREAM_EXCEPTIONS 1
// Files with and without exceptions are different programs that share a process: their types have different names.
#define WS_STREAM_VERSION v0
#else
#define WS_STREAM_EXCEPTIONS 0
#define WS_STREAM_VERSION v0_without_exceptions
#endif

#if defined(__cpp_impl_coroutine)
#include <coroutine>
#define WS_STREAM_COROUTINES 1
#else
#define WS_STREAM_COROUTINES 0
#endif

#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define WS_STREAM_LIFETIMEBOUND [[clang::lifetimebound]]
#elif __has_cpp_attribute(msvc::lifetimebound)
#define WS_STREAM_LIFETIMEBOUND [[msvc::lifetimebound]]
#endif
#endif
#ifndef WS_STREAM_LIFETIMEBOUND
#define WS_STREAM_LIFETIMEBOUND
#endif

namespace ws_stream {
inline namespace WS_STREAM_VERSION {

// -------------------------------------------------------------------------------------------------------------------
// NUMBERS, each that of wsstream.h, where its meaning is said

// The errors of wsstream_status. An unknown negative status of a later library counts as `connection`.
enum class errc : int {
  argument = WSSTREAM_ERR_ARGUMENT,
  syntax = WSSTREAM_ERR_SYNTAX,
  access = WSSTREAM_ERR_ACCESS,
  state = WSSTREAM_ERR_STATE,
  aborted = WSSTREAM_ERR_ABORTED,
  connection = WSSTREAM_ERR_CONNECTION,
  busy = WSSTREAM_ERR_BUSY,
  forked = WSSTREAM_ERR_FORKED,
  deadlock = WSSTREAM_ERR_DEADLOCK,
  unsupported = WSSTREAM_ERR_UNSUPPORTED,
  resource = WSSTREAM_ERR_RESOURCE,
  internal = WSSTREAM_ERR_INTERNAL
};

enum class message_type : std::uint32_t { text = WSSTREAM_TEXT, binary = WSSTREAM_BINARY };

// Combined with |.
enum class flags : std::uint32_t {
  none = 0,
  fin = WSSTREAM_FIN,
  more = WSSTREAM_MORE,
  no_compress = WSSTREAM_NO_COMPRESS
};

// Combined with |; `has` asks for one.
enum class events : std::uint32_t {
  none = 0,
  opened = WSSTREAM_OPENED,
  readable = WSSTREAM_READABLE,
  writable = WSSTREAM_WRITABLE,
  closed = WSSTREAM_CLOSED,
  readable_some = WSSTREAM_READABLE_SOME
};

enum class initiator : std::uint8_t {
  none = WSSTREAM_INITIATOR_NONE,
  local = WSSTREAM_INITIATOR_LOCAL,
  remote = WSSTREAM_INITIATOR_REMOTE,
  transport = WSSTREAM_INITIATOR_TRANSPORT
};

enum class phase : std::uint32_t {
  start = WSSTREAM_PHASE_START,
  resolve = WSSTREAM_PHASE_RESOLVE,
  connect = WSSTREAM_PHASE_CONNECT,
  proxy = WSSTREAM_PHASE_PROXY,
  tls = WSSTREAM_PHASE_TLS,
  handshake = WSSTREAM_PHASE_HANDSHAKE,
  open = WSSTREAM_PHASE_OPEN,
  closing = WSSTREAM_PHASE_CLOSING
};

enum class cause : std::uint32_t {
  none = WSSTREAM_CAUSE_NONE,
  aborted = WSSTREAM_CAUSE_ABORTED,
  timeout = WSSTREAM_CAUSE_TIMEOUT,
  name = WSSTREAM_CAUSE_NAME,
  system = WSSTREAM_CAUSE_SYSTEM,
  proxy = WSSTREAM_CAUSE_PROXY,
  certificate = WSSTREAM_CAUSE_CERTIFICATE,
  tls = WSSTREAM_CAUSE_TLS,
  http = WSSTREAM_CAUSE_HTTP,
  protocol = WSSTREAM_CAUSE_PROTOCOL,
  utf8 = WSSTREAM_CAUSE_UTF8,
  too_big = WSSTREAM_CAUSE_TOO_BIG,
  truncated = WSSTREAM_CAUSE_TRUNCATED,
  unsent = WSSTREAM_CAUSE_UNSENT,
  resource = WSSTREAM_CAUSE_RESOURCE,
  internal = WSSTREAM_CAUSE_INTERNAL
};

enum class log_level : std::uint32_t {
  off = WSSTREAM_LOG_OFF,
  error = WSSTREAM_LOG_ERROR,
  warn = WSSTREAM_LOG_WARN,
  info = WSSTREAM_LOG_INFO,
  debug = WSSTREAM_LOG_DEBUG,
  trace = WSSTREAM_LOG_TRACE
};

// What a message callback answers; one that answers nothing goes on.
enum class delivery : std::uint32_t { go_on = WSSTREAM_CONTINUE, pause = WSSTREAM_PAUSE };

// What came of a write that may run out of time. `taken` and `queued` both mean: never send it again.
enum class written { taken = WSSTREAM_OK, again = WSSTREAM_AGAIN, queued = WSSTREAM_QUEUED };

// What came of a wait that may run out of time.
enum class waited { settled = WSSTREAM_OK, timed_out = WSSTREAM_AGAIN };

// As a close code: none.
inline constexpr std::int32_t no_code = WSSTREAM_NO_CODE;

namespace detail {
template <class Flags>
constexpr bool is_flags = std::is_same<Flags, flags>::value || std::is_same<Flags, events>::value;

template <class Enumeration>
constexpr std::underlying_type_t<Enumeration> number(Enumeration value) noexcept {
  return static_cast<std::underlying_type_t<Enumeration>>(value);
}

// What the compiler could not see: there is no sensible way on.
[[noreturn]] inline void misuse(const char* what) noexcept {
  std::fprintf(stderr, "ws_stream: %s\n", what);
  std::abort();
}
}  // namespace detail

template <class Flags, class = std::enable_if_t<detail::is_flags<Flags>>>
constexpr Flags operator|(Flags one, Flags other) noexcept {
  return static_cast<Flags>(detail::number(one) | detail::number(other));
}

template <class Flags, class = std::enable_if_t<detail::is_flags<Flags>>>
constexpr Flags operator&(Flags one, Flags other) noexcept {
  return static_cast<Flags>(detail::number(one) & detail::number(other));
}

template <class Flags, class = std::enable_if_t<detail::is_flags<Flags>>>
constexpr bool has(Flags set, Flags one) noexcept {
  return (set & one) == one;
}

// -------------------------------------------------------------------------------------------------------------------
// TIME

// How long a call may wait: any duration, `no_wait`, `forever`, or until a point in time.
class timeout {
 public:
  template <class Rep, class Period>
  constexpr timeout(std::chrono::duration<Rep, Period> duration) noexcept : ms_(up(duration)) {}

  // What is left until then; no_wait where that has passed.
  template <class Clock, class Duration>
  static timeout until(std::chrono::time_point<Clock, Duration> end) noexcept {
    return timeout(end - Clock::now());
  }

  static constexpr timeout never() noexcept { return timeout(WSSTREAM_FOREVER); }

  // As wsstream.h takes it.
  constexpr std::int64_t ms() const noexcept { return ms_; }

 private:
  constexpr explicit timeout(std::int64_t ms) noexcept : ms_(ms) {}

  // In floating point, since multiplying to milliseconds can overflow the representation of either side.
  template <class Rep, class Period>
  static constexpr std::int64_t up(std::chrono::duration<Rep, Period> duration) noexcept {
    using wide = std::chrono::duration<long double, std::milli>;
    const long double ms = std::chrono::duration_cast<wide>(duration).count();
    if (!(ms > 0)) return 0;
    if (ms >= 9.2e18L) return std::numeric_limits<std::int64_t>::max();
    const std::int64_t whole = static_cast<std::int64_t>(ms);
    return static_cast<long double>(whole) < ms ? whole + 1 : whole;
  }

  std::int64_t ms_;
};

inline constexpr timeout forever = timeout::never();
inline constexpr timeout no_wait = timeout(std::chrono::milliseconds(0));

// -------------------------------------------------------------------------------------------------------------------
// BYTES AND MESSAGES

namespace detail {
template <class Element>
constexpr bool is_byte = std::is_same<std::remove_cv_t<Element>, std::byte>::value ||
                         std::is_same<std::remove_cv_t<Element>, std::uint8_t>::value;

template <class Range>
using element_of = std::remove_pointer_t<decltype(std::data(std::declval<Range&>()))>;

template <class Range, class = void>
struct is_byte_range : std::false_type {};
template <class Range>
struct is_byte_range<Range, std::enable_if_t<is_byte<element_of<Range>>>> : std::true_type {};

template <class Text>
constexpr bool is_text = std::is_convertible<const Text&, std::string_view>::value;
}  // namespace detail

// Bytes of somebody else: what std::string_view is to text. Made of a pointer and a size, or of a range of std::byte
// or uint8_t (char is text); converts to std::span where that exists.
class bytes_view {
 public:
  constexpr bytes_view() noexcept = default;
  constexpr bytes_view(const std::uint8_t* data, std::size_t size) noexcept : data_(data), size_(size) {}
  bytes_view(const void* data, std::size_t size) noexcept
      : data_(static_cast<const std::uint8_t*>(data)), size_(size) {}

  template <class Range, class = std::enable_if_t<detail::is_byte_range<const Range>::value>>
  bytes_view(const Range& range WS_STREAM_LIFETIMEBOUND) noexcept
      : bytes_view(static_cast<const void*>(std::data(range)), std::size(range)) {}

  constexpr const std::uint8_t* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr const std::uint8_t* begin() const noexcept { return data_; }
  constexpr const std::uint8_t* end() const noexcept { return data_ + size_; }
  constexpr std::uint8_t operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

// A received message, owned: its bytes are given back when the object goes (wsstream_message_release). The views are
// of the object: one of a temporary does not compile.
class message {
 public:
  message() noexcept = default;
  // Takes what wsstream_read or its like has filled.
  explicit message(const wsstream_message& owned) noexcept : raw_(owned) {}
  message(message&& other) noexcept : raw_(std::exchange(other.raw_, wsstream_message{})) {}
  message& operator=(message&& other) noexcept {
    const wsstream_message taken = std::exchange(other.raw_, wsstream_message{});
    reset();
    raw_ = taken;
    return *this;
  }
  ~message() { reset(); }

  // `binary` for one that holds nothing.
  message_type type() const noexcept { return is_text() ? message_type::text : message_type::binary; }
  bool is_text() const noexcept { return raw_.type == WSSTREAM_TEXT; }
  std::size_t size() const noexcept { return raw_.size; }
  bool empty() const noexcept { return raw_.size == 0; }

  // The bytes as characters: UTF-8 in a text message, whatever came in a binary one.
  std::string_view text() const& noexcept WS_STREAM_LIFETIMEBOUND {
    return {reinterpret_cast<const char*>(raw_.data), raw_.size};
  }
  std::string_view text() const&& = delete;

  bytes_view bytes() const& noexcept WS_STREAM_LIFETIMEBOUND { return {raw_.data, raw_.size}; }
  bytes_view bytes() const&& = delete;

  // A copy, which is also welcome from a temporary, and is what to keep for long: see wsstream_read.
  std::string copy() const { return raw_.data == nullptr ? std::string() : std::string(text()); }

  // One more owner of the same bytes (wsstream_message_retain); nothing is copied.
  message retain() const noexcept {
    wsstream_message another = {};
    if (raw_.data != nullptr) wsstream_message_retain(&raw_, &another);
    return message(another);
  }

  // Gives the bytes back now.
  void reset() noexcept { wsstream_message_release(&raw_); }

  // Hands the message to C, which then has to release it.
  wsstream_message detach() noexcept { return std::exchange(raw_, wsstream_message{}); }

 private:
  wsstream_message raw_ = {};
};

// What a write is given: what converts to std::string_view is text, a range of bytes or a bytes_view is binary, a
// message is what it was. It owns nothing and is meant as an argument.
class outgoing {
 public:
  template <class Text, class = std::enable_if_t<detail::is_text<Text>>>
  outgoing(const Text& text WS_STREAM_LIFETIMEBOUND) noexcept : outgoing(WSSTREAM_TEXT, std::string_view(text)) {}

  template <class Range, class = std::enable_if_t<detail::is_byte_range<const Range>::value && !detail::is_text<Range>>,
            class = void>
  outgoing(const Range& range WS_STREAM_LIFETIMEBOUND) noexcept : outgoing(WSSTREAM_BINARY, bytes_view(range)) {}

  outgoing(const message& message WS_STREAM_LIFETIMEBOUND) noexcept
      : outgoing(detail::number(message.type()), message.bytes()) {}

  // The same, never compressed (WSSTREAM_NO_COMPRESS).
  outgoing uncompressed() const noexcept {
    outgoing same = *this;
    same.raw_.flags |= WSSTREAM_NO_COMPRESS;
    return same;
  }

  const wsstream_message& raw() const noexcept { return raw_; }

 private:
  template <class View>
  outgoing(std::uint32_t type, View view) noexcept : raw_{} {
    raw_.type = type;
    raw_.flags = WSSTREAM_FIN;
    raw_.data = reinterpret_cast<const std::uint8_t*>(view.data());
    raw_.size = view.size();
  }

  wsstream_message raw_;
};

// What `read_some` gave: wsstream_chunk.
struct chunk {
  message_type type = message_type::binary;
  // These were the last bytes of the message.
  bool fin = false;
  std::size_t size = 0;
  std::size_t available = 0;
};

// -------------------------------------------------------------------------------------------------------------------
// HOW A STREAM ENDED, AND WHAT WENT WRONG

// How a stream ended, as a value of its own: wsstream_close_info. What a library does not fill stays as here.
struct close_info {
  std::uint16_t code = 1006;
  bool clean = false;
  ws_stream::initiator initiator = ws_stream::initiator::none;
  ws_stream::phase phase = ws_stream::phase::start;
  ws_stream::cause cause = ws_stream::cause::none;
  // Of std::system_category; empty where no system call failed.
  std::error_code os_error;
  int http_status = 0;
  std::uint16_t sent_code = 0;
  std::string reason;
  // One English sentence for a log, never for a decision.
  std::string detail;
  std::string response_body;
};

namespace detail {
inline close_info copy(const wsstream_close_info* info) {
  close_info own;
  if (info == nullptr) return own;
#define WS_STREAM_KNOWN(field) WSSTREAM_HAS(wsstream_close_info, info, field)
  if (WS_STREAM_KNOWN(code)) own.code = info->code;
  if (WS_STREAM_KNOWN(clean)) own.clean = info->clean != 0;
  if (WS_STREAM_KNOWN(initiator)) own.initiator = static_cast<initiator>(info->initiator);
  if (WS_STREAM_KNOWN(phase)) own.phase = static_cast<phase>(info->phase);
  if (WS_STREAM_KNOWN(cause)) own.cause = static_cast<cause>(info->cause);
  if (WS_STREAM_KNOWN(os_error)) own.os_error = std::error_code(info->os_error, std::system_category());
  if (WS_STREAM_KNOWN(http_status)) own.http_status = info->http_status;
  if (WS_STREAM_KNOWN(sent_code)) own.sent_code = info->sent_code;
  if (WS_STREAM_KNOWN(reason_size)) own.reason.assign(info->reason, info->reason_size);
  if (WS_STREAM_KNOWN(detail_size)) own.detail.assign(info->detail, info->detail_size);
  if (WS_STREAM_KNOWN(response_body_size)) own.response_body.assign(info->response_body, info->response_body_size);
#undef WS_STREAM_KNOWN
  return own;
}

// What the web calls it; where it has no such error, the name of the status.
inline const char* web_name(errc code) noexcept {
  switch (code) {
    case errc::argument:
    case errc::busy: return "TypeError";
    case errc::syntax: return "SyntaxError";
    case errc::access: return "InvalidAccessError";
    case errc::state: return "InvalidStateError";
    case errc::aborted: return "AbortError";
    case errc::connection: return "WebSocketError";
    case errc::unsupported: return "NotSupportedError";
    case errc::forked:
    case errc::deadlock:
    case errc::resource:
    case errc::internal: break;
  }
  return wsstream_status_name(number(code));
}

class category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "wsstream"; }
  std::string message(int status) const override { return wsstream_status_text(status); }
  std::error_condition default_error_condition(int status) const noexcept override {
    switch (status) {
      case WSSTREAM_ERR_ARGUMENT:
      case WSSTREAM_ERR_SYNTAX:
      case WSSTREAM_ERR_ACCESS: return std::errc::invalid_argument;
      case WSSTREAM_ERR_ABORTED: return std::errc::operation_canceled;
      case WSSTREAM_ERR_BUSY: return std::errc::device_or_resource_busy;
      case WSSTREAM_ERR_DEADLOCK: return std::errc::resource_deadlock_would_occur;
      case WSSTREAM_ERR_UNSUPPORTED: return std::errc::not_supported;
      default: return {status, *this};
    }
  }
};

inline errc error_of(wsstream_status status) noexcept {
  const bool known = status >= WSSTREAM_ERR_RESOURCE || status == WSSTREAM_ERR_INTERNAL;
  return known ? static_cast<errc>(status) : errc::connection;
}
}  // namespace detail

// The category of errc. Some compare equal to conditions of std::errc: argument, syntax and access to
// invalid_argument, aborted to operation_canceled, and so on.
inline const std::error_category& category() noexcept {
  static const detail::category the_one;
  return the_one;
}

inline std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), category()}; }

// What a call answers that has failed: which call, why, and how the stream ended where that is why.
class [[nodiscard]] error {
 public:
  error(const char* call, errc code, std::shared_ptr<const close_info> closed = nullptr, std::string_view why = {})
      : code_(code), closed_(std::move(closed)), message_(std::string(call) + ": " + detail::web_name(code) + ": ") {
    message_.append(why.empty() ? std::string_view(wsstream_status_text(detail::number(code))) : why);
    if (closed_ == nullptr) return;
    message_.append(" (code ").append(std::to_string(closed_->code)).append(", ").append(closed_->detail).append(")");
  }

  errc code() const noexcept { return code_; }
  // Such as "WebSocketError".
  const char* name() const noexcept { return detail::web_name(code_); }
  // For people: the call, the name and the reason.
  const std::string& message() const& noexcept WS_STREAM_LIFETIMEBOUND { return message_; }
  std::string message() const&& { return message_; }
  // How the stream had ended at that time; NULL where it had not, or has nothing to do with it.
  const close_info* closed() const noexcept WS_STREAM_LIFETIMEBOUND { return closed_.get(); }

 private:
  errc code_;
  std::shared_ptr<const close_info> closed_;
  std::string message_;
};

inline std::error_code make_error_code(const error& error) noexcept { return make_error_code(error.code()); }

#if WS_STREAM_EXCEPTIONS
// What is thrown: a std::system_error, so that a handler that knows nothing of this library sees its code and text.
class exception : public std::system_error {
 public:
  explicit exception(class error error) : std::system_error(make_error_code(error)), error_(std::move(error)) {}

  const char* what() const noexcept override { return error_.message().c_str(); }
  const class error& error() const noexcept { return error_; }
  // As the web's DOMException and WebSocketError have it. 1006 and "" where no Close was received.
  const char* name() const noexcept { return error_.name(); }
  std::uint16_t close_code() const noexcept { return closed() == nullptr ? std::uint16_t{1006} : closed()->code; }
  std::string_view reason() const noexcept { return closed() == nullptr ? std::string_view() : closed()->reason; }
  const close_info* closed() const noexcept { return error_.closed(); }

 private:
  class error error_;
};
#endif

namespace detail {
[[noreturn]] inline void raise(const error& error) {
#if WS_STREAM_EXCEPTIONS
  throw exception(error);
#else
  misuse(error.message().c_str());
#endif
}
}  // namespace detail

// A value or an error. There is no conversion to bool: a value may itself say "not yet". Converts to
// std::expected<T, error> where that exists.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(class error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }

  // The value, or an exception; without exceptions the program ends with the error's message.
  T& value() & WS_STREAM_LIFETIMEBOUND { return checked(*this); }
  const T& value() const& WS_STREAM_LIFETIMEBOUND { return checked(*this); }
  T value() && { return std::move(checked(*this)); }

  // The value of what is known to be ok; otherwise the program ends.
  T& operator*() & noexcept WS_STREAM_LIFETIMEBOUND { return sure(*this); }
  const T& operator*() const& noexcept WS_STREAM_LIFETIMEBOUND { return sure(*this); }
  T operator*() && noexcept { return std::move(sure(*this)); }
  T* operator->() & noexcept WS_STREAM_LIFETIMEBOUND { return &sure(*this); }
  const T* operator->() const& noexcept WS_STREAM_LIFETIMEBOUND { return &sure(*this); }
  const T* operator->() const&& = delete;

  const class error& error() const& noexcept WS_STREAM_LIFETIMEBOUND {
    if (ok()) detail::misuse("the error of a result that is ok");
    return *std::get_if<1>(&state_);
  }
  class error error() && noexcept { return static_cast<const result&>(*this).error(); }

  template <class Expected, class Unexpected = typename Expected::unexpected_type,
            class = std::enable_if_t<std::is_same<typename Expected::value_type, T>::value &&
                                     std::is_same<typename Expected::error_type, class error>::value>>
  operator Expected() && {
    if (ok()) return Expected(std::move(sure(*this)));
    return Expected(Unexpected(std::move(*std::get_if<1>(&state_))));
  }

 private:
  template <class Self>
  static auto& checked(Self& self) {
    if (!self.ok()) detail::raise(self.error());
    return *std::get_if<0>(&self.state_);
  }
  template <class Self>
  static auto& sure(Self& self) noexcept {
    if (!self.ok()) detail::misuse(self.error().message().c_str());
    return *std::get_if<0>(&self.state_);
  }

  std::variant<T, class error> state_;
};

template <>
class [[nodiscard]] result<void> {
 public:
  result() noexcept = default;
  result(class error error) : error_(std::move(error)) {}

  bool ok() const noexcept { return !error_.has_value(); }
  void value() const {
    if (error_) detail::raise(*error_);
  }
  const class error& error() const& noexcept WS_STREAM_LIFETIMEBOUND {
    if (ok()) detail::misuse("the error of a result that is ok");
    return *error_;
  }
  class error error() && noexcept { return static_cast<const result&>(*this).error(); }

  template <class Expected, class Unexpected = typename Expected::unexpected_type,
            class = std::enable_if_t<std::is_void<typename Expected::value_type>::value &&
                                     std::is_same<typename Expected::error_type, class error>::value>>
  operator Expected() && {
    if (ok()) return Expected();
    return Expected(Unexpected(std::move(*error_)));
  }

 private:
  std::optional<class error> error_;
};

// A value, or the time ran out. The value of one that has none ends the program; of a temporary there is only the
// value itself, no pointer to it.
template <class T>
class [[nodiscard]] maybe {
 public:
  maybe() noexcept = default;
  maybe(T value) : value_(std::move(value)) {}

  explicit operator bool() const noexcept { return value_.has_value(); }
  bool timed_out() const noexcept { return !value_.has_value(); }

  T& operator*() & noexcept WS_STREAM_LIFETIMEBOUND { return sure(*this); }
  const T& operator*() const& noexcept WS_STREAM_LIFETIMEBOUND { return sure(*this); }
  T operator*() && noexcept { return std::move(sure(*this)); }
  T* operator->() & noexcept WS_STREAM_LIFETIMEBOUND { return &sure(*this); }
  const T* operator->() const& noexcept WS_STREAM_LIFETIMEBOUND { return &sure(*this); }
  const T* operator->() const&& = delete;

 private:
  template <class Self>
  static auto& sure(Self& self) noexcept {
    if (!self.value_) detail::misuse("the value of a wait or read that has none");
    return *self.value_;
  }

  std::optional<T> value_;
};

// What reading gives: a value, the end, or the time ran out. `while (auto message = stream.read())` reads to the end.
template <class T>
class [[nodiscard]] received : public maybe<T> {
 public:
  // The time ran out.
  received() noexcept = default;
  received(T value) : maybe<T>(std::move(value)) {}
  static received end() noexcept {
    received ended;
    ended.done_ = true;
    return ended;
  }

  // The readable side has ended: WSSTREAM_DONE.
  bool done() const noexcept { return done_; }
  bool timed_out() const noexcept { return maybe<T>::timed_out() && !done_; }

 private:
  bool done_ = false;
};

// -------------------------------------------------------------------------------------------------------------------
// OPTIONS AND ABORTERS

// Gives up openings: an AbortController and its signal in one (wsstream_aborter).
class aborter {
 public:
  aborter() noexcept : raw_(wsstream_aborter_new()) {}
  aborter(aborter&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  aborter& operator=(aborter&& other) noexcept {
    wsstream_aborter_free(std::exchange(raw_, std::exchange(other.raw_, nullptr)));
    return *this;
  }
  ~aborter() { wsstream_aborter_free(raw_); }

  // Any thread, never blocks: every opening that uses it, and those that will, ends as errc::aborted.
  void abort() const noexcept { wsstream_aborter_abort(raw_); }

  wsstream_aborter* native() const noexcept { return raw_; }

 private:
  wsstream_aborter* raw_;
};

// A limit among the options: any duration, rounded up to whole milliseconds. 0 means what wsstream.h says at the
// option, mostly "no limit"; what is negative is refused.
class time_limit {
 public:
  template <class Rep, class Period>
  constexpr time_limit(std::chrono::duration<Rep, Period> duration) noexcept
      : ms_(duration < duration.zero() ? -1 : timeout(duration).ms()) {}
  constexpr std::int64_t ms() const noexcept { return ms_; }

 private:
  std::int64_t ms_;
};

namespace detail {
class log_function {
 public:
  virtual ~log_function() = default;
  virtual void log(log_level level, std::string_view text) = 0;

  static void called(std::uint32_t level, const char* text, std::size_t size, void* self) noexcept {
    static_cast<log_function*>(self)->log(static_cast<log_level>(level), {text, size});
  }
  // Of wsstream_on_freed: the last line of that stream has been told.
  static void freed(void* kept) noexcept { delete static_cast<std::shared_ptr<log_function>*>(kept); }
};
}  // namespace detail

// What streams are opened with (wsstream_options): `options().protocol("chat").open_timeout(5s)`. One object can
// open many streams, also at once. Setting is for one thread at a time, while none opens with it. A setter never fails
// by itself: the first refusal is kept, names its setter, and is what opening with these options answers.
class options {
 public:
  options() noexcept : raw_(wsstream_options_new()) {}
  options(options&& other) noexcept
      : raw_(std::exchange(other.raw_, nullptr)),
        log_(std::move(other.log_)),
        refusal_(std::exchange(other.refusal_, std::nullopt)) {}
  options& operator=(options&& other) noexcept {
    wsstream_options_free(std::exchange(raw_, std::exchange(other.raw_, nullptr)));
    log_ = std::move(other.log_);
    refusal_ = std::exchange(other.refusal_, std::nullopt);
    return *this;
  }
  ~options() { wsstream_options_free(raw_); }

// A setter of an object gives the object back, one of a temporary a value: neither dangles.
#define WS_STREAM_SETTER(name, parameter, call)                                          \
  options& name(parameter) & WS_STREAM_LIFETIMEBOUND { return record("options::" #name, call); } \
  options name(parameter) && { return std::move(record("options::" #name, call)); }
#define WS_STREAM_NUMBER(name, type, option, number) \
  WS_STREAM_SETTER(name, type value, wsstream_options_set_number(raw_, option, number))
#define WS_STREAM_LIMIT(name, option) WS_STREAM_NUMBER(name, time_limit, option, value.ms())
#define WS_STREAM_SIZE(name, option) WS_STREAM_NUMBER(name, std::uint64_t, option, clamp(value))
#define WS_STREAM_SWITCH(name, option) WS_STREAM_NUMBER(name, bool, option, value ? 1 : 0)
#define WS_STREAM_INT(name, option) WS_STREAM_NUMBER(name, int, option, value)
#define WS_STREAM_TEXT(name, option) \
  WS_STREAM_SETTER(name, std::string_view value, wsstream_options_set_text(raw_, option, value.data(), value.size()))

  // Times.
  WS_STREAM_LIMIT(open_timeout, WSSTREAM_OPTION_OPEN_TIMEOUT_MS)
  WS_STREAM_LIMIT(close_timeout, WSSTREAM_OPTION_CLOSE_TIMEOUT_MS)
  WS_STREAM_LIMIT(ping_interval, WSSTREAM_OPTION_PING_INTERVAL_MS)
  WS_STREAM_LIMIT(pong_timeout, WSSTREAM_OPTION_PONG_TIMEOUT_MS)
  WS_STREAM_NUMBER(spin, std::chrono::microseconds, WSSTREAM_OPTION_SPIN_US, value.count())

  // Sizes in bytes.
  WS_STREAM_SIZE(max_message_size, WSSTREAM_OPTION_MAX_MESSAGE_SIZE)
  WS_STREAM_SIZE(max_header_size, WSSTREAM_OPTION_MAX_HEADER_SIZE)
  WS_STREAM_SIZE(read_buffer_size, WSSTREAM_OPTION_READ_BUFFER_SIZE)
  WS_STREAM_SIZE(write_buffer_size, WSSTREAM_OPTION_WRITE_BUFFER_SIZE)
  WS_STREAM_SWITCH(tcp_nodelay, WSSTREAM_OPTION_TCP_NODELAY)

  // Compression.
  WS_STREAM_SWITCH(deflate, WSSTREAM_OPTION_DEFLATE)
  WS_STREAM_INT(deflate_level, WSSTREAM_OPTION_DEFLATE_LEVEL)
  WS_STREAM_SIZE(deflate_threshold, WSSTREAM_OPTION_DEFLATE_THRESHOLD)
  WS_STREAM_INT(deflate_client_window_bits, WSSTREAM_OPTION_DEFLATE_CLIENT_WINDOW_BITS)
  WS_STREAM_INT(deflate_server_window_bits, WSSTREAM_OPTION_DEFLATE_SERVER_WINDOW_BITS)
  WS_STREAM_SWITCH(deflate_client_context_takeover, WSSTREAM_OPTION_DEFLATE_CLIENT_CONTEXT_TAKEOVER)
  WS_STREAM_SWITCH(deflate_server_context_takeover, WSSTREAM_OPTION_DEFLATE_SERVER_CONTEXT_TAKEOVER)

  // Where to connect to, and who is trusted.
  WS_STREAM_TEXT(base_url, WSSTREAM_OPTION_BASE_URL)
  WS_STREAM_TEXT(server_name, WSSTREAM_OPTION_SERVER_NAME)
  WS_STREAM_TEXT(ca_pem, WSSTREAM_OPTION_CA_PEM)
  WS_STREAM_TEXT(client_certificate_pem, WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM)
  WS_STREAM_TEXT(client_key_pem, WSSTREAM_OPTION_CLIENT_KEY_PEM)
  WS_STREAM_TEXT(proxy, WSSTREAM_OPTION_PROXY)
  WS_STREAM_TEXT(unix_socket, WSSTREAM_OPTION_UNIX_SOCKET)
  WS_STREAM_SWITCH(danger_accept_invalid_certificates, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES)

  // One more sub-protocol that is offered.
  WS_STREAM_SETTER(protocol, std::string_view name, wsstream_options_add_protocol(raw_, name.data(), name.size()))

  // The aborter may go at once.
  WS_STREAM_SETTER(aborted_by, const aborter& by, wsstream_options_set_aborter(raw_, by.native()))

#undef WS_STREAM_TEXT
#undef WS_STREAM_INT
#undef WS_STREAM_SWITCH
#undef WS_STREAM_SIZE
#undef WS_STREAM_LIMIT
#undef WS_STREAM_NUMBER
#undef WS_STREAM_SETTER

  // One more field of the request's head.
  options& header(std::string_view name, std::string_view value) & WS_STREAM_LIFETIMEBOUND {
    const char* call = "options::header";
    return record(call, wsstream_options_add_header(raw_, name.data(), name.size(), value.data(), value.size()));
  }
  options header(std::string_view name, std::string_view value) && { return std::move(header(name, value)); }

  // `function(log_level, std::string_view)` gets what there is to say, on any thread, and may call nothing of this
  // library. It is owned by the options and by every stream that was opened with it.
  template <class Function>
  options& log(log_level level, Function function) & WS_STREAM_LIFETIMEBOUND {
    class owned final : public detail::log_function {
     public:
      explicit owned(Function&& given) : function_(std::move(given)) {}
      void log(log_level line_level, std::string_view text) override { function_(line_level, text); }

     private:
      Function function_;
    };
    auto kept = std::make_shared<owned>(std::move(function));
    const wsstream_status status =
        wsstream_options_set_log(raw_, detail::log_function::called, detail::number(level),
                                 static_cast<detail::log_function*>(kept.get()));
    // The one before is used no more: streams that were opened with it have their own share of it.
    if (status == WSSTREAM_OK) log_ = std::move(kept);
    return record("options::log", status);
  }
  template <class Function>
  options log(log_level level, Function function) && {
    return std::move(log(level, std::move(function)));
  }

  // The first refusal, NULL where there is none.
  const error* refusal() const noexcept WS_STREAM_LIFETIMEBOUND { return refusal_ ? &*refusal_ : nullptr; }

  wsstream_options* native() const noexcept { return raw_; }

 private:
  friend class stream;

  static std::int64_t clamp(std::uint64_t size) noexcept {
    constexpr std::uint64_t max = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(size < max ? size : max);
  }

  options& record(const char* setter, wsstream_status status) {
    if (status < 0 && !refusal_) refusal_.emplace(setter, detail::error_of(status));
    return *this;
  }

  wsstream_options* raw_;
  std::shared_ptr<detail::log_function> log_;
  std::optional<error> refusal_;
};

// -------------------------------------------------------------------------------------------------------------------
// WHAT STREAMS AND THEIR CALLBACKS SHARE

namespace detail {
class core;
class executor;

// One that waits for events: a callback or a suspended coroutine. It is in its stream's list until it is fired, once.
class waiter : public std::enable_shared_from_this<waiter> {
 public:
  waiter(events waits_for, bool is_reader) noexcept : wanted(waits_for), reader(is_reader) {}
  virtual ~waiter() = default;
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  // `holding` are the events that do; none where the stream was freed, or after a wake. A coroutine goes on by `where`,
  // on this thread where there is none.
  virtual void fire(events holding, executor* where) noexcept = 0;
  // What a resumption does.
  virtual void resume() noexcept {}

  const events wanted;
  // Whether a wake means it. Changed only while it is in no list.
  bool reader;
  std::atomic<bool> woken{false};
};
}  // namespace detail

// What an executor is given: call it once, on any thread, and a coroutine goes on. Where the coroutine was destroyed
// meanwhile that does nothing; where it is never called the coroutine stays suspended until it is destroyed.
class resumption {
 public:
  explicit resumption(std::shared_ptr<detail::waiter> waiter) noexcept : waiter_(std::move(waiter)) {}
  void operator()() const noexcept { waiter_->resume(); }

 private:
  std::shared_ptr<detail::waiter> waiter_;
};

namespace detail {
class executor {
 public:
  virtual ~executor() = default;
  virtual void post(resumption resume) = 0;
};

// Whom an event or a wake has met, taken out of their stream's list, and where coroutines go on.
struct batch {
  std::shared_ptr<waiter> event;
  std::vector<std::shared_ptr<waiter>> coroutines;
  std::shared_ptr<executor> where;

  void fire(events holding) noexcept {
    // First of all, and dropped when it has run: a coroutine may remove it, or free the stream.
    if (const auto first = std::exchange(event, nullptr)) first->fire(first->wanted & holding, nullptr);
    for (const auto& each : coroutines) each->fire(each->wanted & holding, where.get());
  }
};

class message_function {
 public:
  virtual ~message_function() = default;
  virtual delivery on_message(message&& message) = 0;
  virtual void on_end(result<void> end) = 0;
};

// A callback that runs once: user_data of the library while it is in its stream's list.
class once {
 public:
  explicit once(std::shared_ptr<core> stream) noexcept : owner(std::move(stream)) {}
  virtual ~once() = default;
  virtual void run(wsstream_status status, const wsstream_close_info* info) = 0;
  const std::shared_ptr<core> owner;
};

inline error failure(wsstream* stream, const char* call, wsstream_status status) {
  const errc code = error_of(status);
  const wsstream_close_info* info = nullptr;
  // These are what the end of a stream answers.
  const bool ended = code == errc::connection || code == errc::aborted || code == errc::state || code == errc::internal;
  if (ended) wsstream_wait_closed(stream, 0, &info);
  return error(call, code, info == nullptr ? nullptr : std::make_shared<const close_info>(copy(info)));
}

inline result<void> answer(wsstream* stream, const char* call, wsstream_status status) {
  if (status < 0) return failure(stream, call, status);
  return {};
}

inline result<close_info> answer(wsstream* stream, wsstream_status status, const wsstream_close_info* info) {
  if (status < 0) return failure(stream, "closed", status);
  return copy(info);
}

constexpr bool are_events(events which) noexcept {
  constexpr events known =
      events::opened | events::readable | events::writable | events::closed | events::readable_some;
  return which != events::none && (which & known) == which;
}

// What a stream, its references and its callbacks share. It holds a wsstream_ref, so that the pointer is valid as
// long as the core is. It refuses to know what callables do. No call of the library that may wait is made under the
// lock.
class core final : public std::enable_shared_from_this<core> {
 public:
  explicit core(wsstream* opened) noexcept : stream(wsstream_ref(opened)) {}
  ~core() { wsstream_unref(stream); }
  core(const core&) = delete;
  core& operator=(const core&) = delete;

  wsstream* const stream;
  // Halves that a coroutine is in: bits of `half`.
  std::atomic<unsigned> halves{0};
  // Answers without a suspension, by `half`, for the coroutine that is in it.
  unsigned answers_in_a_row[3] = {};

  // As many messages as a message callback gets in one turn.
  static constexpr unsigned answers_max = 64;

  bool is_forked() const noexcept { return wsstream_wait_opened(stream, 0) == WSSTREAM_ERR_FORKED; }

  // Of the stream's own thread, behind wsstream_free: no callback begins any more. Coroutines go on with
  // errc::state. In the child of a fork it does not wait for the lock, which nobody there may hold: false.
  bool end(bool forked) noexcept {
    batch waiters;
    std::vector<std::unique_ptr<once>> onces;
    std::shared_ptr<message_function> wished, active;
    {
      std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
      if (!forked) lock.lock();
      else if (!lock.try_lock()) return false;
      ended_ = true;
      waiters.event.swap(event_);
      waiters.coroutines.swap(waiters_);
      waiters.where.swap(executor_);
      onces.swap(onces_);
      wished.swap(wished_);
      active.swap(active_);
    }
    waiters.fire(events::none);
    return true;
  }

  wsstream_status set_message(std::shared_ptr<message_function> function) {
    // Destroyed behind the lock: it is made after them.
    std::shared_ptr<message_function> gone, replaced, refused;
    const message_function* told = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      // The one that goes may have been told of already: what comes meanwhile is its own.
      if (function == nullptr && active_ == nullptr) active_ = wished_;
      replaced = std::exchange(wished_, function);
    }
    const wsstream_status status = settle(
        messages_,
        [&] {
          told = wished_.get();
          return told != nullptr;
        },
        [this](bool set) { return wsstream_on_message(stream, set ? message_called : nullptr, this); },
        [&](bool is_own) {
          // One that is set is replaced without a refusal: so there is none. A wish that another thread is about to tell stays.
          const bool is_told = told != nullptr && wished_.get() == told;
          if (is_told && (!is_own || wished_ == function)) refused = std::exchange(wished_, nullptr);
        });
    const std::lock_guard<std::mutex> lock(mutex_);
    if (messages_.in_flight == 0) gone = std::exchange(active_, wished_);
    return status;
  }

  wsstream_status set_event(std::shared_ptr<waiter> function) {
    std::shared_ptr<waiter> gone;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (function != nullptr) waiters_.push_back(function);
      gone = std::exchange(event_, function);
      forget(gone.get());
    }
    const wsstream_status status = arm();
    if (status == WSSTREAM_OK || function == nullptr) return status;
    const std::lock_guard<std::mutex> lock(mutex_);
    forget(function.get());
    if (event_ == function) event_ = nullptr;
    return status;
  }

  template <class Install>
  wsstream_status add_once(std::unique_ptr<once> function, Install install) {
    once* const added = function.get();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      onces_.push_back(std::move(function));
    }
    const wsstream_status status = install(added);
    if (status != WSSTREAM_OK) take_once(added);
    return status;
  }

  enum class addition { waits, woken, ended };

  // Whoever it is may be fired before this returns.
  addition add(std::shared_ptr<waiter> waits) {
    // Nothing is ever fired in the child of a fork.
    if (is_forked()) return addition::ended;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (ended_) return addition::ended;
      if (waits->reader && std::exchange(wake_reader_, false)) return addition::woken;
      waiters_.push_back(std::move(waits));
    }
    // Where that is refused the stream is being freed, and `end` lets it go on.
    arm();
    return addition::waits;
  }

  void remove(const waiter* waits) noexcept {
    // What is armed stays so, for this must not wait: at worst it fires once for nobody.
    const auto lock = lock_unless_lost();
    if (lock.owns_lock()) forget(waits);
  }

  wsstream_status wake(events which) {
    if (!are_events(which)) return WSSTREAM_ERR_ARGUMENT;
    batch woken;
    if (has(which, events::readable)) {
      const std::lock_guard<std::mutex> lock(mutex_);
      woken = take([](const waiter& each) { return each.reader; });
      for (const auto& each : woken.coroutines) each->woken = true;
      // Under the same lock, so that one that comes now is either met or finds it.
      if (woken.coroutines.empty()) wake_reader_ = true;
    }
    const bool has_met = !woken.coroutines.empty();
    woken.fire(events::none);
    if (has_met) which = static_cast<events>(number(which) & ~number(events::readable));
    if (which == events::none) return WSSTREAM_OK;
    return wsstream_wake(stream, number(which));
  }

  void resume_on(std::shared_ptr<executor> next) noexcept {
    const auto lock = lock_unless_lost();
    // One that has a reference would keep what was freed for ever.
    if (lock.owns_lock() && !ended_) executor_.swap(next);
    // The old one is destroyed behind the lock with the parameter.
  }

  static void opened_called(wsstream*, wsstream_status status, void* self) noexcept {
    once_called(self, status, nullptr);
  }

  static void closed_called(wsstream*, wsstream_status status, const wsstream_close_info* info, void* self) noexcept {
    once_called(self, status, info);
  }

 private:
  // How many threads are about to tell the library a wish. In which order their calls come is known to the library
  // alone, and the lock may not be held meanwhile: so whoever ends last tells it once more, alone.
  struct telling {
    unsigned in_flight = 0;
    bool overlapped = false;
  };

  // Answers what the thread's own call did. `refused(is_own)` takes back a wish in the step that has seen its refusal, so
  // that nobody tells it again.
  template <class Wish, class Tell, class Refused>
  wsstream_status settle(telling& state, Wish wish, Tell tell, Refused refused) {
    std::unique_lock<std::mutex> lock(mutex_);
    wsstream_status own = WSSTREAM_OK;
    for (bool is_own = true;; is_own = false) {
      if (state.in_flight++ != 0) state.overlapped = true;
      const auto wished = wish();
      lock.unlock();
      const wsstream_status status = tell(wished);
      lock.lock();
      if (status != WSSTREAM_OK) refused(is_own);
      if (is_own) own = status;
      if (--state.in_flight != 0) return own;
      if (!std::exchange(state.overlapped, false) && wish() == wished) return own;
    }
  }

  wsstream_status arm() {
    return settle(
        arming_,
        [this] {
          events all = events::none;
          for (const auto& each : waiters_) all = all | each->wanted;
          return number(all);
        },
        [this](std::uint32_t all) {
          if (all == 0) return wsstream_on_event(stream, WSSTREAM_CLOSED, nullptr, nullptr);
          return wsstream_on_event(stream, all, event_called, this);
        },
        [](bool) {});
  }

  // In the child of a fork a thread of the parent may have taken the lock with it: then it is not owned.
  std::unique_lock<std::mutex> lock_unless_lost() noexcept {
    std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
    if (!is_forked()) {
      lock.lock();
    } else {
      (void)lock.try_lock();
    }
    return lock;
  }

  // Under the lock.
  void forget(const waiter* waits) noexcept {
    for (auto each = waiters_.begin(); each != waiters_.end(); ++each) {
      if (each->get() != waits) continue;
      waiters_.erase(each);
      return;
    }
  }

  // Under the lock, the executor as well: `end` takes that away.
  template <class Which>
  batch take(Which which) {
    batch taken;
    taken.coroutines.reserve(waiters_.size());
    taken.where = executor_;
    auto left = waiters_.begin();
    for (auto& each : waiters_) {
      if (!which(*each)) {
        std::swap(*left++, each);
      } else if (each == event_) {
        taken.event.swap(event_);
      } else {
        taken.coroutines.push_back(std::move(each));
      }
    }
    waiters_.erase(left, waiters_.end());
    return taken;
  }

  std::unique_ptr<once> take_once(const once* function) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto each = onces_.begin(); each != onces_.end(); ++each) {
      if (each->get() != function) continue;
      std::unique_ptr<once> taken = std::move(*each);
      onces_.erase(each);
      return taken;
    }
    return nullptr;
  }

  static void once_called(void* function, wsstream_status status, const wsstream_close_info* info) noexcept {
    once* const called = static_cast<once*>(function);
    const std::shared_ptr<core> keep = called->owner;
    const std::unique_ptr<once> mine = keep->take_once(called);
    mine->run(status, info);
  }

  static void event_called(wsstream*, std::uint32_t holding, void* self) noexcept {
    const std::shared_ptr<core> keep = static_cast<core*>(self)->shared_from_this();
    const events hold = static_cast<events>(holding);
    batch fired;
    bool others_wait = false;
    {
      const std::lock_guard<std::mutex> lock(keep->mutex_);
      fired = keep->take([hold](const waiter& each) { return (each.wanted & hold) != events::none; });
      others_wait = !keep->waiters_.empty();
    }
    if (others_wait) keep->arm();
    fired.fire(hold);
  }

  static std::uint32_t message_called(wsstream*, wsstream_status status, const wsstream_message* lent,
                                      void* self) noexcept {
    const std::shared_ptr<core> keep = static_cast<core*>(self)->shared_from_this();
    const std::shared_ptr<message_function> function = keep->message_target();
    if (function == nullptr) return WSSTREAM_CONTINUE;
    if (lent == nullptr) {
      function->on_end(answer(keep->stream, "on_message", status));
      return WSSTREAM_CONTINUE;
    }
    wsstream_message kept = {};
    wsstream_message_retain(lent, &kept);
    return number(function->on_message(message(kept)));
  }

  // While the last one is being removed its messages are still its own.
  std::shared_ptr<message_function> message_target() noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    return wished_ != nullptr ? wished_ : active_;
  }

  std::mutex mutex_;
  bool ended_ = false;
  bool wake_reader_ = false;
  std::vector<std::unique_ptr<once>> onces_;
  std::vector<std::shared_ptr<waiter>> waiters_;
  std::shared_ptr<waiter> event_;
  std::shared_ptr<message_function> wished_, active_;
  std::shared_ptr<executor> executor_;
  telling messages_, arming_;
};

// The operations that a coroutine awaits, and what it awaits them with; complete where coroutines are.
struct opening;
struct closing;
struct reading;
struct writing;
template <class Operation, bool Throws>
class awaiter;
}  // namespace detail

#if WS_STREAM_EXCEPTIONS
class message_range;
#endif
class reference;

// -------------------------------------------------------------------------------------------------------------------
// STREAMS

// All that can be done with a stream: the base of `stream`, which owns one, and of `reference`.
class handle {
 public:
  // For calls of wsstream.h; NULL in a moved-from one. Do not set callbacks there that are set here as well.
  wsstream* native() const noexcept { return core_ == nullptr ? nullptr : core_->stream; }

  // Keeps the pointer and what was given out valid, not the connection: wsstream_ref. Take it for threads and
  // callbacks that may outlive the stream.
  inline reference ref() const noexcept;

  // wsstream_wait_opened.
  result<void> try_opened() const {
    return detail::answer(native(), "opened", insist([this](auto ms) { return wsstream_wait_opened(native(), ms); }));
  }
  result<waited> try_opened(timeout limit) const {
    return waiting("opened", wsstream_wait_opened(native(), limit.ms()));
  }

  // wsstream_wait_closed: how the stream ended, if that was clean; else an error that has it.
  result<close_info> try_closed() const {
    const wsstream_close_info* info = nullptr;
    const wsstream_status status = insist([&](auto ms) { return wsstream_wait_closed(native(), ms, &info); });
    return detail::answer(native(), status, info);
  }
  result<maybe<close_info>> try_closed(timeout limit) const {
    const wsstream_close_info* info = nullptr;
    const wsstream_status status = wsstream_wait_closed(native(), limit.ms(), &info);
    if (status > 0) return maybe<close_info>();
    auto ended = detail::answer(native(), status, info);
    if (!ended.ok()) return std::move(ended).error();
    return maybe<close_info>(*std::move(ended));
  }

  // wsstream_read: one whole message.
  result<received<message>> try_read() const {
    wsstream_message raw = {};
    const wsstream_status status = insist([&](auto ms) { return wsstream_read(native(), ms, &raw); });
    return reading("read", status, message(raw));
  }
  result<received<message>> try_read(timeout limit) const {
    wsstream_message raw = {};
    const wsstream_status status = wsstream_read(native(), limit.ms(), &raw);
    return reading("read", status, message(raw));
  }

  // wsstream_read_many: waits for one message, appends it and those that are here already to `into`, 64 at most, and
  // answers how many.
  result<received<std::size_t>> try_read_many(std::vector<message>& into, timeout limit) const {
    wsstream_message raw[64];
    std::size_t count = 0;
    into.reserve(into.size() + std::size(raw));
    const wsstream_status status = wsstream_read_many(native(), limit.ms(), raw, std::size(raw), &count);
    for (std::size_t i = 0; i < count; i++) into.emplace_back(raw[i]);
    return reading("read_many", status, std::size_t{count});
  }

  // wsstream_read_some: the next bytes of a message into a buffer of the caller's, for messages of any size.
  result<received<chunk>> try_read_some(void* buffer, std::size_t capacity, timeout limit) const {
    wsstream_chunk raw = {};
    const wsstream_status status = wsstream_read_some(native(), buffer, capacity, limit.ms(), &raw);
    const auto type = raw.type == WSSTREAM_TEXT ? message_type::text : message_type::binary;
    return reading("read_some", status, chunk{type, (raw.flags & WSSTREAM_FIN) != 0, raw.size, raw.available});
  }

  // wsstream_write: one whole message. Without a timeout it has been taken when the call returns.
  result<void> try_write(outgoing what) const {
    return detail::answer(native(), "write", insist([&](auto ms) { return write_one(what, ms); }));
  }
  result<written> try_write(outgoing what, timeout limit) const {
    return writing("write", write_one(what, limit.ms()));
  }

  // wsstream_write_many: whole messages, in order. `taken` says how many were taken, also where it fails.
  template <class Range>
  result<written> try_write_many(const Range& messages, std::size_t& taken, timeout limit) const {
    std::vector<wsstream_message> raw;
    raw.reserve(std::size(messages));
    for (const auto& each : messages) raw.push_back(outgoing(each).raw());
    return writing("write_many", wsstream_write_many(native(), raw.data(), raw.size(), limit.ms(), &taken));
  }
  result<written> try_write_many(std::initializer_list<outgoing> messages, std::size_t& taken, timeout limit) const {
    return try_write_many<std::initializer_list<outgoing>>(messages, taken, limit);
  }

  // wsstream_write_some: a part of a message, the last one with flags::fin.
  result<written> try_write_some(outgoing part, flags how, timeout limit) const {
    const wsstream_message& raw = part.raw();
    // A message in parts has its end where `how` says so.
    const std::uint32_t bits = detail::number(how) | (raw.flags & WSSTREAM_NO_COMPRESS);
    return writing("write_some", wsstream_write_some(native(), raw.type, raw.data, raw.size, bits, limit.ms()));
  }

  // wsstream_flush.
  result<waited> try_flush(timeout limit) const { return waiting("flush", wsstream_flush(native(), limit.ms())); }

  // wsstream_close: starts the closing handshake; `closed` waits for its end.
  result<void> try_close(std::int32_t code = no_code, std::string_view reason = {}) const {
    return answer("close", wsstream_close(native(), code, reason.data(), reason.size()));
  }

  // wsstream_readable_cancel.
  result<void> try_readable_cancel(std::int32_t code = no_code, std::string_view reason = {}) const {
    return answer("readable_cancel", wsstream_readable_cancel(native(), code, reason.data(), reason.size()));
  }

  // wsstream_writable_close.
  result<waited> try_writable_close(timeout limit) const {
    return waiting("writable_close", wsstream_writable_close(native(), limit.ms()));
  }

  // wsstream_writable_abort.
  result<void> try_writable_abort(std::int32_t code = no_code, std::string_view reason = {}) const {
    return answer("writable_abort", wsstream_writable_abort(native(), code, reason.data(), reason.size()));
  }

  // wsstream_poll: those of the events that hold.
  result<maybe<events>> try_poll(events which, timeout limit) const {
    std::uint32_t holding = 0;
    const wsstream_status status = wsstream_poll(native(), detail::number(which), limit.ms(), &holding);
    if (status < 0) return detail::failure(native(), "poll", status);
    return status > 0 ? maybe<events>() : maybe<events>(static_cast<events>(holding));
  }

  // wsstream_wake: calls with a timeout that wait for these end as if it had run out, and so does an `async_read`.
  // Where none of those is suspended the next one that has to wait does, also where a call has ended by the same wake.
  result<void> try_wake(events which) const {
    return through_core("wake", [&](detail::core& core) { return core.wake(which); });
  }

  // wsstream_fd: becomes readable while a watched event holds. Never close it.
  result<int> try_descriptor() const {
    int fd = -1;
    const wsstream_status status = wsstream_fd(native(), &fd);
    if (status < 0) return detail::failure(native(), "descriptor", status);
    return fd;
  }

  // wsstream_fd_watch.
  result<void> try_watch(events which) const {
    return answer("watch", wsstream_fd_watch(native(), detail::number(which)));
  }

  // wsstream_on_opened: `function(result<void>)`, once.
  template <class Function>
  result<void> try_on_opened(Function function) const {
    return add_once<void>("on_opened", std::move(function), [](wsstream* stream, detail::once* self) {
      return wsstream_on_opened(stream, detail::core::opened_called, self);
    });
  }

  // wsstream_on_closed: `function(result<close_info>)`, once.
  template <class Function>
  result<void> try_on_closed(Function function) const {
    return add_once<close_info>("on_closed", std::move(function), [](wsstream* stream, detail::once* self) {
      return wsstream_on_closed(stream, detail::core::closed_called, self);
    });
  }

  // wsstream_on_message: `function(message)` gets every message, as its owner, in place of `read`; it may answer a
  // `delivery`. `end(result<void>)` is told the end once, DONE as ok. nullptr removes both.
  template <class Function, class End>
  result<void> try_on_message(Function function, End end) const {
    class owned final : public detail::message_function {
     public:
      owned(Function&& given, End&& end_given) : function_(std::move(given)), end_(std::move(end_given)) {}
      delivery on_message(message&& message) override {
        if constexpr (std::is_convertible<decltype(function_(std::move(message))), delivery>::value) {
          return function_(std::move(message));
        } else {
          function_(std::move(message));
          return delivery::go_on;
        }
      }
      void on_end(result<void> result) override { end_(std::move(result)); }

     private:
      Function function_;
      End end_;
    };
    return set_message(std::make_shared<owned>(std::move(function), std::move(end)));
  }
  template <class Function>
  result<void> try_on_message(Function function) const {
    return try_on_message(std::move(function), [](const result<void>&) {});
  }
  result<void> try_on_message(std::nullptr_t) const { return set_message(nullptr); }

  // wsstream_on_event: `function(events)`, once, with those that hold; nullptr removes it.
  template <class Function>
  result<void> try_on_event(events which, Function function) const {
    class owned final : public detail::waiter {
     public:
      owned(events waits_for, Function&& given) : waiter(waits_for, false), function_(std::move(given)) {}
      void fire(events holding, detail::executor*) noexcept override {
        if (holding != events::none) function_(holding);
      }

     private:
      Function function_;
    };
    // Together with what others wait for, one that is refused would pass or would have others refused.
    if (!detail::are_events(which)) return answer("on_event", WSSTREAM_ERR_ARGUMENT);
    return set_event(std::make_shared<owned>(which, std::move(function)));
  }
  result<void> try_on_event(std::nullptr_t) const { return set_event(nullptr); }

  // wsstream_on_freed: `function()`, once, on a thread of the library, soon after the stream was freed.
  template <class Function>
  result<void> try_on_freed(Function function) const {
    auto kept = std::make_unique<Function>(std::move(function));
    const auto run = [](void* self) noexcept { (*std::unique_ptr<Function>(static_cast<Function*>(self)))(); };
    return through_core("on_freed", [&](detail::core& core) {
      const wsstream_status status = wsstream_on_freed(core.stream, run, kept.get());
      if (status == WSSTREAM_OK) kept.release();
      return status;
    });
  }

  // wsstream_resume: lets a message callback that answered delivery::pause have the next message.
  result<void> try_resume() const { return answer("resume", wsstream_resume(native())); }

  // wsstream_statistics_get.
  result<wsstream_statistics> try_statistics() const {
    wsstream_statistics counters = {};
    const wsstream_status status = wsstream_statistics_get(native(), &counters, sizeof counters);
    if (status < 0) return detail::failure(native(), "statistics", status);
    return counters;
  }

  // Texts of the stream, "" where there is none: valid until it is freed and every reference is gone.
  std::string_view url() const& noexcept WS_STREAM_LIFETIMEBOUND { return wsstream_url(native()); }
  std::string_view protocol() const& noexcept WS_STREAM_LIFETIMEBOUND { return wsstream_protocol(native()); }
  std::string_view extensions() const& noexcept WS_STREAM_LIFETIMEBOUND { return wsstream_extensions(native()); }
  std::string_view url() const&& = delete;
  std::string_view protocol() const&& = delete;
  std::string_view extensions() const&& = delete;

  // wsstream_response_header: the index-th value of a field of the response, nullopt where there is none.
  std::optional<std::string_view> response_header(std::string_view name, std::size_t index = 0) const& noexcept
      WS_STREAM_LIFETIMEBOUND {
    const char* const value = wsstream_response_header(native(), name.data(), name.size(), index);
    return value == nullptr ? std::nullopt : std::optional<std::string_view>(value);
  }
  std::optional<std::string_view> response_header(std::string_view, std::size_t = 0) const&& = delete;

  // For coroutines, in C++20: `co_await stream.async_read()` is `read` that suspends instead of waiting. One
  // coroutine at a time in each half, else errc::busy. They go on inside a callback of the library, where `co_await`
  // is the only way to wait, or where `resume_on` says. A suspended coroutine may be destroyed where it goes on; on
  // any other thread only once it cannot be about to go on. When the stream is freed, those that are suspended go on
  // with errc::state. They have no timeout of their own: a `wake(events::readable)` lets an async_read go on with
  // timed_out(). After 64 reads or writes in a row that did not have to wait the next one suspends all the same, so
  // that others have their turn. To suspend waits for a callback of the stream that runs on another thread: hold no
  // lock that it takes.
  detail::awaiter<detail::opening, false> async_try_opened() const;
  detail::awaiter<detail::closing, false> async_try_closed() const;
  detail::awaiter<detail::reading, false> async_try_read() const;
  detail::awaiter<detail::writing, false> async_try_write(outgoing what WS_STREAM_LIFETIMEBOUND) const;

  // Sets how coroutines of this stream go on: `function(ws_stream::resumption)` calls it, or hands it to a loop or a
  // pool that does; a resumption is a `std::function<void()>` where one is needed. nullptr: inside the callback, as
  // at first.
  template <class Function>
  void resume_on(Function function) const {
    class owned final : public detail::executor {
     public:
      explicit owned(Function&& given) : function_(std::move(given)) {}
      void post(resumption resume) override { function_(std::move(resume)); }

     private:
      Function function_;
    };
    if (core_ != nullptr) core_->resume_on(std::make_shared<owned>(std::move(function)));
  }
  void resume_on(std::nullptr_t) const {
    if (core_ != nullptr) core_->resume_on(nullptr);
  }

#if WS_STREAM_EXCEPTIONS
  // The same, where an error is thrown.
  void opened() const { try_opened().value(); }
  [[nodiscard]] waited opened(timeout limit) const { return try_opened(limit).value(); }
  close_info closed() const { return try_closed().value(); }
  maybe<close_info> closed(timeout limit) const { return try_closed(limit).value(); }
  received<message> read() const { return try_read().value(); }
  received<message> read(timeout limit) const { return try_read(limit).value(); }
  received<std::size_t> read_many(std::vector<message>& into, timeout limit) const {
    return try_read_many(into, limit).value();
  }
  received<chunk> read_some(void* buffer, std::size_t capacity, timeout limit) const {
    return try_read_some(buffer, capacity, limit).value();
  }
  void write(outgoing what) const { try_write(what).value(); }
  [[nodiscard]] written write(outgoing what, timeout limit) const { return try_write(what, limit).value(); }
  template <class Range>
  [[nodiscard]] written write_many(const Range& messages, std::size_t& taken, timeout limit) const {
    return try_write_many(messages, taken, limit).value();
  }
  [[nodiscard]] written write_many(std::initializer_list<outgoing> messages, std::size_t& taken, timeout limit) const {
    return try_write_many(messages, taken, limit).value();
  }
  [[nodiscard]] written write_some(outgoing part, flags how, timeout limit) const {
    return try_write_some(part, how, limit).value();
  }
  [[nodiscard]] waited flush(timeout limit) const { return try_flush(limit).value(); }
  void close(std::int32_t code = no_code, std::string_view reason = {}) const { try_close(code, reason).value(); }
  void readable_cancel(std::int32_t code = no_code, std::string_view reason = {}) const {
    try_readable_cancel(code, reason).value();
  }
  [[nodiscard]] waited writable_close(timeout limit) const { return try_writable_close(limit).value(); }
  void writable_abort(std::int32_t code = no_code, std::string_view reason = {}) const {
    try_writable_abort(code, reason).value();
  }
  maybe<events> poll(events which, timeout limit) const { return try_poll(which, limit).value(); }
  void wake(events which) const { try_wake(which).value(); }
  int descriptor() const { return try_descriptor().value(); }
  void watch(events which) const { try_watch(which).value(); }
  template <class Function>
  void on_opened(Function function) const { try_on_opened(std::move(function)).value(); }
  template <class Function>
  void on_closed(Function function) const { try_on_closed(std::move(function)).value(); }
  template <class Function>
  void on_message(Function function) const { try_on_message(std::move(function)).value(); }
  template <class Function, class End>
  void on_message(Function function, End end) const { try_on_message(std::move(function), std::move(end)).value(); }
  template <class Function>
  void on_event(events which, Function function) const { try_on_event(which, std::move(function)).value(); }
  void on_event(std::nullptr_t) const { try_on_event(nullptr).value(); }
  template <class Function>
  void on_freed(Function function) const { try_on_freed(std::move(function)).value(); }
  void resume() const { try_resume().value(); }
  wsstream_statistics statistics() const { return try_statistics().value(); }
  detail::awaiter<detail::opening, true> async_opened() const;
  detail::awaiter<detail::closing, true> async_closed() const;
  detail::awaiter<detail::reading, true> async_read() const;
  detail::awaiter<detail::writing, true> async_write(outgoing what WS_STREAM_LIFETIMEBOUND) const;

  // Every message in turn: `for (auto& message : stream.messages())`. Ends where reading does, and throws where that
  // is an error. A message may be moved out.
  inline message_range messages() const&;
  message_range messages() const&& = delete;
#endif

 protected:
  handle() noexcept = default;
  explicit handle(std::shared_ptr<detail::core> core) noexcept : core_(std::move(core)) {}
  handle(const handle&) = default;
  handle(handle&&) noexcept = default;
  handle& operator=(const handle&) = default;
  handle& operator=(handle&&) noexcept = default;
  ~handle() = default;

  std::shared_ptr<detail::core> core_;

 private:
  template <class Operation, bool Throws>
  friend class detail::awaiter;

  // Waits for ever, through wakes.
  template <class Call>
  static wsstream_status insist(Call call) {
    for (;;) {
      const wsstream_status status = call(WSSTREAM_FOREVER);
      if (status <= 0 || status == WSSTREAM_DONE || status == WSSTREAM_QUEUED) return status;
    }
  }

  wsstream_status write_one(const outgoing& what, std::int64_t ms) const {
    const wsstream_message& raw = what.raw();
    std::size_t taken = 0;
    if (raw.flags != WSSTREAM_FIN) return wsstream_write_many(native(), &raw, 1, ms, &taken);
    return wsstream_write(native(), raw.type, raw.data, raw.size, ms);
  }

  result<void> answer(const char* call, wsstream_status status) const { return detail::answer(native(), call, status); }

  result<waited> waiting(const char* call, wsstream_status status) const {
    if (status < 0) return detail::failure(native(), call, status);
    return status == WSSTREAM_OK ? waited::settled : waited::timed_out;
  }

  result<written> writing(const char* call, wsstream_status status) const {
    if (status < 0) return detail::failure(native(), call, status);
    if (status == WSSTREAM_OK) return written::taken;
    return status == WSSTREAM_QUEUED ? written::queued : written::again;
  }

  template <class T>
  result<received<T>> reading(const char* call, wsstream_status status, T value) const {
    if (status < 0) return detail::failure(native(), call, status);
    if (status == WSSTREAM_OK) return received<T>(std::move(value));
    return status == WSSTREAM_DONE ? received<T>::end() : received<T>();
  }

  // `function(result<Value>)`.
  template <class Value, class Function, class Install>
  result<void> add_once(const char* call, Function function, Install install) const {
    class owned final : public detail::once {
     public:
      owned(std::shared_ptr<detail::core> stream, Function&& given)
          : once(std::move(stream)), function_(std::move(given)) {}
      void run(wsstream_status status, const wsstream_close_info* info) override {
        if constexpr (std::is_void<Value>::value) {
          function_(detail::answer(owner->stream, "opened", status));
        } else {
          function_(detail::answer(owner->stream, status, info));
        }
      }

     private:
      Function function_;
    };
    return through_core(call, [&](detail::core& core) {
      auto node = std::make_unique<owned>(core_, std::move(function));
      return core.add_once(std::move(node), [&](detail::once* self) { return install(core.stream, self); });
    });
  }

  result<void> set_message(std::shared_ptr<detail::message_function> function) const {
    return through_core("on_message", [&](detail::core& core) { return core.set_message(std::move(function)); });
  }

  result<void> set_event(std::shared_ptr<detail::waiter> function) const {
    return through_core("on_event", [&](detail::core& core) { return core.set_event(std::move(function)); });
  }

  // A callback may free the stream, and this object with it, before the call that has set it returns. In the child
  // of a fork another thread of the parent may have taken the lock with it.
  template <class Call>
  result<void> through_core(const char* name, Call call) const {
    const std::shared_ptr<detail::core> core = core_;
    if (core == nullptr) return error(name, errc::argument);
    if (core->is_forked()) return error(name, errc::forked);
    return detail::answer(core->stream, name, call(*core));
  }
};

// Another way to a stream: may be copied, and outlive it. Where the stream was freed every call is errc::state.
class reference final : public handle {
 public:
  reference() noexcept = default;

 private:
  friend class handle;
  explicit reference(std::shared_ptr<detail::core> core) noexcept : handle(std::move(core)) {}
};

inline reference handle::ref() const noexcept { return reference(core_); }

// A WebSocketStream, owned: wsstream_open makes it, wsstream_free ends it when the object goes.
class stream final : public handle {
 public:
  // None: every call is errc::argument.
  stream() noexcept = default;

  // Takes a stream that wsstream_open gave.
  explicit stream(wsstream* opened) {
    std::unique_ptr<wsstream, void (*)(wsstream*)> guard(opened, wsstream_free);
    if (opened != nullptr) core_ = std::make_shared<detail::core>(opened);
    guard.release();
  }

  stream(stream&&) noexcept = default;
  stream& operator=(stream&& other) noexcept {
    if (this != &other) {
      reset();
      handle::operator=(std::move(other));
    }
    return *this;
  }
  ~stream() { reset(); }

  // Begins to connect and gives the stream at once; `opened` waits for it, and so does what reads and writes. A
  // library that does not fit this header is refused.
  static result<stream> try_open(std::string_view url) { return open(url, nullptr); }
  static result<stream> try_open(std::string_view url, const options& options) { return open(url, &options); }

#if WS_STREAM_EXCEPTIONS
  explicit stream(std::string_view url) : stream(open(url, nullptr).value()) {}
  stream(std::string_view url, const options& options) : stream(open(url, &options).value()) {}
#endif

  // Frees it now. Never blocks for the network; waits for a callback of the stream that runs on another thread.
  void reset() noexcept {
    const std::shared_ptr<detail::core> ended = std::move(core_);
    core_ = nullptr;
    if (ended == nullptr) return;
    const bool forked = ended->is_forked();
    wsstream_free(ended->stream);
    // What another thread of the parent was inside at the fork stays in memory, as with wsstream_free.
    if (!ended->end(forked)) new std::shared_ptr<detail::core>(ended);
  }

 private:
  static result<stream> open(std::string_view url, const options* with) {
    wsstream* opened = nullptr;
    const std::uint32_t version = wsstream_abi_version();
    if (version >> 16 != WSSTREAM_ABI_VERSION >> 16 || version < WSSTREAM_ABI_VERSION) {
      char why[96];
      std::snprintf(why, sizeof why, "the library's interface is of version 0x%08x, the program's of 0x%08x",
                    static_cast<unsigned>(version), static_cast<unsigned>(WSSTREAM_ABI_VERSION));
      return error("open", errc::unsupported, nullptr, why);
    }
    // Moved-from options are not those with every default.
    if (with != nullptr && with->raw_ == nullptr) return error("open", errc::argument);
    if (with != nullptr && with->refusal_) return *with->refusal_;
    std::unique_ptr<std::shared_ptr<detail::log_function>> log;
    if (with != nullptr && with->log_ != nullptr)
      log = std::make_unique<std::shared_ptr<detail::log_function>>(with->log_);
    const wsstream_status status =
        wsstream_open(url.data(), url.size(), with == nullptr ? nullptr : with->raw_, &opened);
    if (status < 0) return error("open", detail::error_of(status));
    if (log != nullptr && wsstream_on_freed(opened, detail::log_function::freed, log.get()) == WSSTREAM_OK)
      log.release();
    return stream(opened);
  }
};

#if WS_STREAM_EXCEPTIONS
// What `messages` gives: a range for one pass.
class message_range {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = message;
    using difference_type = std::ptrdiff_t;
    using pointer = message*;
    using reference = message&;

    message& operator*() const noexcept { return *range_->current_; }
    message* operator->() const noexcept { return &*range_->current_; }
    iterator& operator++() {
      if (!range_->next()) range_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& one, const iterator& other) noexcept { return one.range_ == other.range_; }
    friend bool operator!=(const iterator& one, const iterator& other) noexcept { return one.range_ != other.range_; }

   private:
    friend class message_range;
    explicit iterator(message_range* range) noexcept : range_(range) {}
    message_range* range_;
  };

  // Reads the first message.
  iterator begin() WS_STREAM_LIFETIMEBOUND { return iterator(next() ? this : nullptr); }
  iterator end() noexcept { return iterator(nullptr); }

 private:
  friend class handle;
  explicit message_range(ws_stream::reference stream) noexcept : stream_(std::move(stream)) {}

  bool next() {
    current_ = received<message>();
    current_ = stream_.read();
    return static_cast<bool>(current_);
  }

  ws_stream::reference stream_;
  received<message> current_;
};

inline message_range handle::messages() const& { return message_range(ref()); }
#endif

// -------------------------------------------------------------------------------------------------------------------
// COROUTINES

#if WS_STREAM_COROUTINES
namespace detail {
// Each tries without waiting; no answer is "not yet". `half` is the bit of the half that it is in.
struct opening {
  using value = void;
  static constexpr events wanted = events::opened;
  static constexpr unsigned half = 0;
  std::optional<result<void>> attempt(const handle& stream) const {
    auto answer = stream.try_opened(no_wait);
    if (!answer.ok()) return std::move(answer).error();
    return *answer == waited::settled ? std::optional<result<void>>(std::in_place) : std::nullopt;
  }
};

struct closing {
  using value = close_info;
  static constexpr events wanted = events::closed;
  static constexpr unsigned half = 0;
  std::optional<result<close_info>> attempt(const handle& stream) const {
    auto answer = stream.try_closed(no_wait);
    if (!answer.ok()) return std::move(answer).error();
    return *answer ? std::optional<result<close_info>>(**std::move(answer)) : std::nullopt;
  }
};

struct reading {
  using value = received<message>;
  static constexpr events wanted = events::readable;
  static constexpr unsigned half = 1;
  std::optional<result<value>> attempt(const handle& stream) const {
    auto answer = stream.try_read(no_wait);
    if (answer.ok() && answer->timed_out()) return std::nullopt;
    return answer;
  }
};

struct writing {
  using value = void;
  static constexpr events wanted = events::writable;
  static constexpr unsigned half = 2;
  outgoing what;
  std::optional<result<void>> attempt(const handle& stream) const {
    auto answer = stream.try_write(what, no_wait);
    if (!answer.ok()) return std::move(answer).error();
    return *answer == written::again ? std::nullopt : std::optional<result<void>>(std::in_place);
  }
};

// What a suspended coroutine shares with those that let it go on. Its frame may be destroyed at any time before it is
// claimed; behind that it belongs to whoever has claimed it.
class suspension final : public waiter {
 public:
  using attempt_function = bool (*)(void* awaiter, bool woken);

  // One that only gives way leaves a wake to who has to wait.
  suspension(std::shared_ptr<core> stream, events waits_for, bool is_reader, bool gives_way,
             std::coroutine_handle<> coroutine, void* awaiter, attempt_function attempt) noexcept
      : waiter(waits_for, is_reader && !gives_way),
        is_reader_(is_reader),
        stream_(std::move(stream)),
        coroutine_(coroutine),
        awaiter_(awaiter),
        attempt_(attempt) {}

  // Whether it waits, or is over already. Where it waits another thread may have gone on with the coroutine by now.
  bool wait() {
    for (;;) {
      claimed_.store(false);
      const core::addition added = stream_->add(shared_from_this());
      if (added == core::addition::waits) return true;
      if (claimed_.exchange(true)) return true;
      if (attempt_(awaiter_, added == core::addition::woken)) return false;
    }
  }

  void fire(events, executor* where) noexcept override {
    if (where == nullptr) return resume();
    where->post(resumption(shared_from_this()));
  }

  void resume() noexcept override {
    if (claimed_.exchange(true)) return;
    if (attempt_(awaiter_, woken.exchange(false))) return coroutine_.resume();
    reader = is_reader_;
    if (!wait()) coroutine_.resume();
  }

  // From the frame that is being destroyed.
  void abandon() noexcept {
    if (!claimed_.exchange(true)) stream_->remove(this);
  }

 private:
  const bool is_reader_;
  const std::shared_ptr<core> stream_;
  const std::coroutine_handle<> coroutine_;
  void* const awaiter_;
  const attempt_function attempt_;
  std::atomic<bool> claimed_{false};
};

// What co_await is given. It lives in the coroutine's frame.
template <class Operation, bool Throws>
class [[nodiscard]] awaiter {
 public:
  awaiter(const awaiter&) = delete;
  awaiter& operator=(const awaiter&) = delete;
  ~awaiter() {
    if (suspension_ != nullptr) suspension_->abandon();
    leave();
  }

  bool await_ready() {
    if (enter()) {
      // Who never has to wait would keep the library's thread from all others.
      gives_way_ = inside_ && ++answers_in_a_row() > core::answers_max;
      return !gives_way_ && attempt(false);
    }
    result_.emplace(error(Operation::half == reading::half ? "read" : "write", errc::busy));
    return true;
  }

  bool await_suspend(std::coroutine_handle<> coroutine) {
    if (inside_) answers_in_a_row() = 0;
    const auto shared = std::make_shared<suspension>(stream_.core_, Operation::wanted, Operation::half == reading::half,
                                                     gives_way_, coroutine, this, [](void* self, bool woken) {
                                                       return static_cast<awaiter*>(self)->attempt(woken);
                                                     });
    suspension_ = shared;
    return shared->wait();
  }

  auto await_resume() {
    leave();
    if constexpr (Throws) {
      return std::move(*result_).value();
    } else {
      return std::move(*result_);
    }
  }

 private:
  friend class ws_stream::handle;
  explicit awaiter(reference stream, Operation operation = {}) noexcept
      : stream_(std::move(stream)), operation_(std::move(operation)) {}

  bool attempt(bool woken) {
    result_ = operation_.attempt(stream_);
    if constexpr (Operation::half == reading::half) {
      if (!result_ && woken) result_.emplace(typename Operation::value());
    }
    return result_.has_value();
  }

  bool enter() noexcept {
    if (Operation::half == 0 || stream_.core_ == nullptr) return true;
    inside_ = (stream_.core_->halves.fetch_or(Operation::half) & Operation::half) == 0;
    return inside_;
  }

  unsigned& answers_in_a_row() noexcept { return stream_.core_->answers_in_a_row[Operation::half]; }

  void leave() noexcept {
    if (std::exchange(inside_, false)) stream_.core_->halves.fetch_and(~Operation::half);
  }

  const reference stream_;
  const Operation operation_;
  std::optional<result<typename Operation::value>> result_;
  std::shared_ptr<suspension> suspension_;
  bool inside_ = false;
  bool gives_way_ = false;
};
}  // namespace detail

#define WS_STREAM_AWAIT(name, operation, ...)                                                                  \
  inline detail::awaiter<detail::operation, false> handle::async_try_##name const {                            \
    return detail::awaiter<detail::operation, false>(ref(), detail::operation __VA_ARGS__);                    \
  }
#define WS_STREAM_AWAIT_THROWING(name, operation, ...)                                                         \
  inline detail::awaiter<detail::operation, true> handle::async_##name const {                                 \
    return detail::awaiter<detail::operation, true>(ref(), detail::operation __VA_ARGS__);                     \
  }
WS_STREAM_AWAIT(opened(), opening, {})
WS_STREAM_AWAIT(closed(), closing, {})
WS_STREAM_AWAIT(read(), reading, {})
WS_STREAM_AWAIT(write(outgoing what), writing, {what})
#if WS_STREAM_EXCEPTIONS
WS_STREAM_AWAIT_THROWING(opened(), opening, {})
WS_STREAM_AWAIT_THROWING(closed(), closing, {})
WS_STREAM_AWAIT_THROWING(read(), reading, {})
WS_STREAM_AWAIT_THROWING(write(outgoing what), writing, {what})
#endif
#undef WS_STREAM_AWAIT_THROWING
#undef WS_STREAM_AWAIT
#endif

// -------------------------------------------------------------------------------------------------------------------
// THE LIBRARY

// wsstream_version, such as "0.1.0".
inline std::string_view library_version() noexcept { return wsstream_version(); }

// wsstream_runtime_stop: ends the library's threads where no stream exists.
inline result<waited> try_runtime_stop(timeout limit) {
  const wsstream_status status = wsstream_runtime_stop(limit.ms());
  if (status < 0) return error("runtime_stop", detail::error_of(status));
  return status == WSSTREAM_OK ? waited::settled : waited::timed_out;
}
#if WS_STREAM_EXCEPTIONS
[[nodiscard]] inline waited runtime_stop(timeout limit) { return try_runtime_stop(limit).value(); }
#endif

}  // namespace WS_STREAM_VERSION
}  // namespace ws_stream

// `error.code() == ws_stream::errc::state` and `std::error_code code = ws_stream::errc::state`.
template <>
struct std::is_error_code_enum<ws_stream::errc> : std::true_type {};

#endif
