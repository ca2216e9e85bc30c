// What files of different standards and flags, linked into one program, hand each other.
#ifndef WSSTREAM_CPP_TESTS_VALUES_HPP
#define WSSTREAM_CPP_TESTS_VALUES_HPP

#include <string>

#include "../wsstream.hpp"

// In a file of C++17.
std::string url_in_17(const ws_stream::stream& stream);

#endif
