// What the C++ tests share: claims that register themselves and run in order, checks that name what differs, a deadline for
// the program, and the test server. It knows the public headers and POSIX; a failed check ends the program.
#ifndef WSSTREAM_CPP_TESTS_CHECK_HPP
#define WSSTREAM_CPP_TESTS_CHECK_HPP

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../wsstream.hpp"

namespace check {

// Long enough for a loaded machine; the deadline of the program ends what hangs.
inline constexpr std::chrono::seconds soon{30};

struct claim {
  const char* name;
  void (*run)();
};

inline std::vector<claim>& claims() {
  static std::vector<claim> all;
  return all;
}

struct registration {
  registration(const char* name, void (*run)()) { claims().push_back({name, run}); }
};

inline std::atomic<const char*> current{"(before the first claim)"};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s: %s\n", file, line, current.load(), what.c_str());
  std::abort();
}

// Names what a test compares as well as it can.
template <class T>
std::string shown(const T& value) {
  std::ostringstream text;
  if constexpr (std::is_enum<T>::value) {
    text << static_cast<long long>(value);
  } else {
    text << value;
  }
  return text.str();
}

template <class Expected, class Actual>
void equal(const Expected& expected, const Actual& actual, const char* what, const char* file, int line) {
  if (expected == actual) return;
  fail(file, line, std::string(what) + " is `" + shown(actual).substr(0, 300) + "`, not `" + shown(expected) + "`");
}

#define CHECK(condition) \
  do { \
    if (!(condition)) check::fail(__FILE__, __LINE__, "not true: " #condition); \
  } while (0)

#define CHECK_EQUAL(expected, actual) check::equal(expected, actual, #actual, __FILE__, __LINE__)

// The call throws ws_stream::exception with this code; the value is the exception.
#define CHECK_THROWS(expected, call) check::throws(expected, [&] { (void)(call); }, #call, __FILE__, __LINE__)

#if WS_STREAM_EXCEPTIONS
template <class Call>
ws_stream::exception throws(ws_stream::errc expected, Call call, const char* what, const char* file, int line) {
  try {
    call();
  } catch (const ws_stream::exception& thrown) {
    if (thrown.code() == expected) return thrown;
    fail(file, line, std::string(what) + " throws " + thrown.what());
  }
  fail(file, line, std::string(what) + " does not throw");
}
#endif

// A number that threads and callbacks raise and others wait for.
class tally {
 public:
  void add() {
    const std::lock_guard<std::mutex> lock(mutex_);
    count_++;
    changed_.notify_all();
  }
  int count() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_;
  }
  void await(int at_least) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= at_least; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

// Lets time pass where a claim says that nothing happens: waiting longer can only make such a claim stronger.
inline void let_pass(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

inline std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) fail(__FILE__, __LINE__, std::string(name) + " is not set: run it through scripts/with-server");
  return value;
}

// The address of a path of the test server.
inline std::string url(std::string_view path) { return variable("WSSTREAM_TEST_URL").append(path); }

// A word that nobody else has used: an id or a token.
inline std::string fresh_word() {
  static std::atomic<int> count{0};
  return "cpp" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

// A socket on loopback that is bound and does not listen: nobody else gets its port.
class silent_port {
 public:
  silent_port() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQUAL(0, bind(socket_, reinterpret_cast<sockaddr*>(&address), size));
    CHECK_EQUAL(0, getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size));
    port_ = ntohs(address.sin_port);
  }
  ~silent_port() { ::close(socket_); }
  silent_port(const silent_port&) = delete;
  silent_port& operator=(const silent_port&) = delete;
  std::string url() const {
    const std::string scheme = variable("WSSTREAM_TEST_URL").substr(0, 3);
    return (scheme == "wss" ? "wss" : "ws") + std::string("://127.0.0.1:") + std::to_string(port_);
  }

 private:
  int socket_;
  int port_;
};

// Lets those go on that wait for this token at the server.
inline void release(const std::string& token) {
  const std::string plain = variable("WSSTREAM_TEST_WS_URL");
  const int port = std::atoi(plain.c_str() + plain.rfind(':') + 1);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  CHECK_EQUAL(0, connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
  const std::string request = "GET /release?token=" + token + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  CHECK_EQUAL(static_cast<ssize_t>(request.size()), send(fd, request.data(), request.size(), MSG_NOSIGNAL));
  char answer[16] = {};
  CHECK_EQUAL(ssize_t{12}, recv(fd, answer, 12, MSG_WAITALL));
  CHECK_EQUAL(std::string("HTTP/1.1 200"), answer);
  ::close(fd);
}

// Ends the program when its time is over, after what the library has to say for itself: a feature of the tests' build.
inline void watch() {
  const char* const given = std::getenv("WSSTREAM_TEST_DEADLINE_S");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(given == nullptr ? 60 : std::atoi(given));
  std::thread([end] {
    std::this_thread::sleep_until(end);
    std::fprintf(stderr, "the deadline of the program is over\n");
    const auto dump = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "wsstream_test_dump"));
    if (dump != nullptr) dump(STDERR_FILENO);
    std::fprintf(stderr, "%s did not end\n", current.load());
    std::abort();
  }).detach();
}

// Runs the claims that are named, or all of them.
inline int run(int count, char** names) {
  watch();
  for (const claim& each : claims()) {
    bool wanted = count == 1;
    for (int i = 1; i < count; i++) wanted |= std::strcmp(names[i], each.name) == 0;
    if (!wanted) continue;
    current = each.name;
    each.run();
    std::cout << "ok " << each.name << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace check

#define SCENARIO(name) \
  static void name(); \
  static const check::registration registration_of_##name(#name, name); \
  static void name()

#endif
