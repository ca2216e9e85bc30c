/* Forgets options without freeing them, which has to be found. */
#include <wsstream.h>

static int forget_options(void) {
  wsstream_options *options = wsstream_options_new();
  return wsstream_options_add_protocol(options, "forgotten", WSSTREAM_NUL);
}

int main(void) { return forget_options(); }
