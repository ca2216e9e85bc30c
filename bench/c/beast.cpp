// Boost.Beast: synchronous streams, one frame a message. It cannot gather.

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/version.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <memory>
#include <string>
#include <vector>

#include "client.h"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using error_code = beast::error_code;

using Plain = websocket::stream<tcp::socket>;
using Secure = websocket::stream<beast::ssl_stream<tcp::socket>>;

static struct bench bench;
static asio::io_context io(1);
static asio::ssl::context tls(asio::ssl::context::tls_client);
static tcp::resolver::results_type addresses;

template <class Stream>
struct Connection {
  Stream stream;
  beast::flat_buffer buffer;

  Connection() : stream(make()) {
    auto &socket = beast::get_lowest_layer(stream);
    asio::connect(socket, addresses);
    socket.set_option(tcp::no_delay(true));
    if constexpr (std::is_same_v<Stream, Secure>) {
      auto &layer = stream.next_layer();
      SSL_set_tlsext_host_name(layer.native_handle(), bench.host);
      layer.set_verify_callback(asio::ssl::host_name_verification(bench.host));
      layer.handshake(asio::ssl::stream_base::client);
    }
    if (bench.deflate) {
      websocket::permessage_deflate option;
      option.client_enable = true;
      stream.set_option(option);
    }
    // Else each 4 KiB leaves in a write of its own. The server repeats a frame, so what is repeated must be one.
    auto whole = bench.size + bench.size / 1000 + 4096;
    if (bench.size > 4096 && bench.work != BENCH_IDLE)
      stream.write_buffer_bytes(bench.work == BENCH_RECEIVE ? whole : std::min<size_t>(whole, 128 << 10));
    stream.binary(!bench.text);
    stream.auto_fragment(false);
    if (stream.read_message_max() < bench.size) stream.read_message_max(bench.size);
    stream.handshake(bench.authority, bench.target);
  }

  static Stream make() {
    if constexpr (std::is_same_v<Stream, Secure>) return Stream(io, tls);
    else return Stream(io);
  }

  void send() { stream.write(asio::buffer(bench.payload, bench.size)); }

  void receive() {
    stream.read(buffer);
    bench_check(&bench, buffer.data().data(), buffer.size(), stream.got_text());
    buffer.clear();
  }

  void close() {
    error_code error;
    stream.close(websocket::close_code::normal, error);
    bool is_closed = stream.reason().code == websocket::close_code::normal;
    // Behind the close frame it is harmless if the server does not wait for TLS to end.
    if (error && !(is_closed && bench.tls)) throw beast::system_error(error);
    if (!is_closed) bench_fail("not closed with 1000");
  }
};

template <class Stream>
static void echo(Connection<Stream> &connection) {
  for (uint64_t left = bench_warm(&bench); left; left--) {
    connection.send();
    connection.receive();
  }
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) {
    uint64_t start = bench_now_ns();
    connection.send();
    connection.receive();
    bench_note_latency(&bench, bench_now_ns() - start);
  }
  bench_end(&bench);
}

template <class Stream>
static void pipeline(Connection<Stream> &connection) {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left;) {
    uint64_t window = left < bench.window ? left : bench.window;
    for (uint64_t index = 0; index < window; index++) connection.send();
    for (uint64_t index = 0; index < window; index++) connection.receive();
    left -= window;
  }
  bench_end(&bench);
}

template <class Stream>
static void receive(Connection<Stream> &connection) {
  bench_begin(&bench);
  connection.send();
  for (uint64_t left = bench.count; left; left--) connection.receive();
  bench_end(&bench);
}

template <class Stream>
static void send(Connection<Stream> &connection) {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) connection.send();
  bench_check_answer(connection.stream.read(connection.buffer));
  bench_end(&bench);
}

template <class Stream>
static void open() {
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) Connection<Stream>().close();
  bench_end(&bench);
}

// While they rest, all wait for a message that does not come.
template <class Stream>
static void idle() {
  std::vector<std::unique_ptr<Connection<Stream>>> connections;
  connections.reserve(bench.count);
  bool is_over = false;
  bench_begin(&bench);
  for (uint64_t left = bench.count; left; left--) {
    auto &connection = *connections.emplace_back(std::make_unique<Connection<Stream>>());
    connection.send();
    connection.receive();
    connection.stream.async_read(connection.buffer, [&](error_code error, std::size_t) {
      if (!is_over) bench_fail("no rest: %s", error.message().c_str());
    });
  }
  io.run_for(std::chrono::seconds(2));
  bench_end(&bench);
  is_over = true;
}

template <class Stream>
static void work() {
  if (bench.work == BENCH_OPEN) return open<Stream>();
  if (bench.work == BENCH_IDLE) return idle<Stream>();
  Connection<Stream> connection;
  if (bench.work == BENCH_ECHO) echo(connection);
  else if (bench.work == BENCH_PIPELINE) pipeline(connection);
  else if (bench.work == BENCH_RECEIVE) receive(connection);
  else send(connection);
  connection.close();
}

int main(int argc, char **argv) {
  bench_parse(argc, argv, &bench);
  if (bench.work == BENCH_SCALE) bench_unsupported("scale");
  try {
    addresses = tcp::resolver(io).resolve(bench.host, bench.port);
    if (bench.tls) {
      tls.set_verify_mode(asio::ssl::verify_peer);
      if (bench.ca) tls.load_verify_file(bench.ca);
      else tls.set_default_verify_paths();
      work<Secure>();
    } else {
      work<Plain>();
    }
  } catch (const std::exception &error) {
    bench_fail("%s", error.what());
  }
  int boost = BOOST_VERSION;
  std::string version = "Boost.Beast " + std::to_string(boost / 100000) + "." +
                        std::to_string(boost / 100 % 1000) + "." + std::to_string(boost % 100);
  bench_print(&bench, version.c_str());
}
