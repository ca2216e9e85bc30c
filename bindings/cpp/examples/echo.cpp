// Says hello to a WebSocket server that echoes, shows what comes back and closes.
//
//   c++ -std=c++17 echo.cpp -lwsstream -o echo && ./echo ws://127.0.0.1:9000/echo
#include <cstdlib>
#include <iostream>
#include <wsstream.hpp>

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " ws://HOST[:PORT]/PATH\n";
    return EXIT_FAILURE;
  }
  try {
    ws_stream::stream stream(argv[1], ws_stream::options().open_timeout(10s));
    stream.opened();
    std::cout << "url:      " << stream.url() << '\n';

    stream.write("hello");
    if (auto message = stream.read()) std::cout << "message:  \"" << message->text() << "\"\n";

    stream.close(1000, "bye");
    const ws_stream::close_info closed = stream.closed();
    std::cout << "closed:   code " << closed.code << ", reason \"" << closed.reason << "\"\n";
  } catch (const ws_stream::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
