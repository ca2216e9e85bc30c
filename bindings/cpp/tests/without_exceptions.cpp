// The same header without exceptions and RTTI, beside files that have both: errors are values.
#include "check.hpp"

#if WS_STREAM_EXCEPTIONS
#error "this file is for a build without exceptions"
#endif

using ws_stream::errc;
using ws_stream::stream;

SCENARIO(without_exceptions_errors_are_values) {
  auto opened = stream::try_open(check::url("/echo"), ws_stream::options().open_timeout(check::soon));
  CHECK(opened.ok());
  const stream s = *std::move(opened);
  CHECK(s.try_opened().ok());
  CHECK(s.try_write("no exceptions").ok());
  auto got = s.try_read(check::soon);
  CHECK(got.ok() && *got);
  auto& message = **got;
  CHECK_EQUAL("no exceptions", message.text());
  CHECK(s.try_close(1001).error().code() == errc::access);
  CHECK(s.try_close(1000, "bye").ok());
  auto closed = s.try_closed();
  CHECK(closed.ok());
  CHECK_EQUAL("bye", closed->reason);
  CHECK_EQUAL("InvalidStateError", std::string_view(s.try_write("too late").error().name()));
  auto end = s.try_read();
  CHECK(end.ok() && end->done());
}

SCENARIO(without_exceptions_callbacks_run) {
  check::tally ends;
  auto s = stream::try_open(check::url("/close?code=3001")).value();
  CHECK(s.try_on_closed([&](const ws_stream::result<ws_stream::close_info>& end) {
           if (end.ok()) ends.add();
         }).ok());
  ends.await(1);
}
