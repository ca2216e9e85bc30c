/* The command line. What the library refuses among the options is a mistake of the caller, and told with what was given. */
#include "cat.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
  "usage: wsstream-cat [OPTIONS] URL\n"
  "\n"
  "Sends the lines of standard input as text messages to a WebSocket server and writes the messages that come as lines.\n"
  "\n"
  "  -b, --binary[=SIZE]      send the input in binary messages of SIZE bytes (65536), write messages as they are\n"
  "      --send FILE          send FILE as one binary message instead of the input; - is the input\n"
  "      --text               send FILE as text\n"
  "      --receive FILE       write the first message to FILE and end\n"
  "  -1, --one                end after the first message\n"
  "      --linger SECONDS     end so long after the last message when the input has ended (1); forever: the server ends\n"
  "  -c, --close CODE[:REASON]  close with this code, 1000 or 3000 to 4999, and reason\n"
  "      --max-line BYTES     the longest line that is sent (16777216)\n"
  "  -H, --header 'NAME: VALUE'  add a field to the request\n"
  "  -p, --protocol NAME      offer a sub-protocol\n"
  "      --timeout SECONDS    give the opening up after so long (30)\n"
  "      --ping SECONDS       ping the server so often (1); 0: never\n"
  "      --no-compress        do not offer compression\n"
  "      --unix PATH          connect to a Unix socket\n"
  "      --server-name NAME   ask for this name and check the certificate for it, instead of the URL's host\n"
  "      --ca FILE            trust these certificates in place of the system's\n"
  "      --cert FILE, --key FILE  show this certificate\n"
  "      --insecure           take any certificate: anybody can read and change what is sent\n"
  "  -v, --verbose            tell about the opening; -vv and -vvv tell more\n"
  "  -q, --quiet              tell mistakes only\n"
  "      --help, --version\n"
  "\n"
  "Exit status: 0 clean end, 1 arguments, 2 not opened, 3 unclean end, 4 closed with another code than 1000, 1001 or none,\n"
  "5 something was not sent or not written, 128 and the number of a signal.\n";

enum {
  SEND = 256, AS_TEXT, RECEIVE, LINGER, MAX_LINE, TIMEOUT, PING, NO_COMPRESS, UNIX, SERVER_NAME, CA, CERT, KEY, INSECURE,
  HELP, VERSION
};

static const struct option long_options[] = {
  {"binary", optional_argument, NULL, 'b'},
  {"send", required_argument, NULL, SEND},
  {"text", no_argument, NULL, AS_TEXT},
  {"receive", required_argument, NULL, RECEIVE},
  {"one", no_argument, NULL, '1'},
  {"linger", required_argument, NULL, LINGER},
  {"close", required_argument, NULL, 'c'},
  {"max-line", required_argument, NULL, MAX_LINE},
  {"header", required_argument, NULL, 'H'},
  {"protocol", required_argument, NULL, 'p'},
  {"timeout", required_argument, NULL, TIMEOUT},
  {"ping", required_argument, NULL, PING},
  {"no-compress", no_argument, NULL, NO_COMPRESS},
  {"unix", required_argument, NULL, UNIX},
  {"server-name", required_argument, NULL, SERVER_NAME},
  {"ca", required_argument, NULL, CA},
  {"cert", required_argument, NULL, CERT},
  {"key", required_argument, NULL, KEY},
  {"insecure", no_argument, NULL, INSECURE},
  {"verbose", no_argument, NULL, 'v'},
  {"quiet", no_argument, NULL, 'q'},
  {"help", no_argument, NULL, HELP},
  {"version", no_argument, NULL, VERSION},
  {NULL, 0, NULL, 0},
};

static int refuse(const char *what, const char *given, const char *why) {
  say("%s %s: %s", what, given, why);
  return 0;
}

static int read_bytes(const char *what, const char *given, int64_t *bytes) {
  char *end;
  const long long number = strtoll(given, &end, 10);
  if (end == given || *end != '\0' || number < 1 || number > (1LL << 40)) return refuse(what, given, "not a number of bytes");
  *bytes = (int64_t)number;
  return 1;
}

/* What is over 0 stays so: the library takes 0 for never or without end. */
static int read_seconds(const char *what, const char *given, int64_t *ms) {
  char *end;
  const double seconds = strtod(given, &end);
  if (end == given || *end != '\0' || !(seconds >= 0 && seconds <= 1e9)) return refuse(what, given, "not a number of seconds");
  *ms = (int64_t)(seconds * 1000 + 0.5);
  if (*ms == 0 && seconds > 0) *ms = 1;
  return 1;
}

static int read_close(struct settings *settings, const char *given) {
  char *end;
  const long code = strtol(given, &end, 10);
  if (end == given || (*end != '\0' && *end != ':') || (code != 1000 && (code < 3000 || code > 4999)))
    return refuse("--close", given, "the code is 1000 or 3000 to 4999");
  if (*end == ':' && strlen(end + 1) > 123) return refuse("--close", given, "the reason is over 123 bytes long");
  settings->close_code = (int32_t)code;
  settings->close_reason = *end == ':' ? end + 1 : NULL;
  return 1;
}

static int add_header(struct settings *settings, const char *given) {
  const char *colon = strchr(given, ':');
  const size_t size = colon != NULL ? (size_t)(colon - given) : 0;
  const char *value = colon != NULL ? colon + 1 + strspn(colon + 1, " \t") : NULL;
  if (value == NULL) return refuse("--header", given, "not NAME: VALUE");
  return wsstream_options_add_header(settings->options, given, size, value, WSSTREAM_NUL) == WSSTREAM_OK ||
         refuse("--header", given, "not a field of HTTP, or one of the handshake's own");
}

/* A file in PEM as the text of an option. */
static int set_file(struct settings *settings, const char *what, uint32_t option, const char *path) {
  enum { SIZE_MAX_READ = 1 << 22 };
  FILE *file = fopen(path, "rb");
  char *text = malloc(SIZE_MAX_READ);
  wsstream_status status = WSSTREAM_ERR_RESOURCE;
  if (file == NULL) refuse(what, path, strerror(errno));
  else if (text != NULL) {
    const size_t size = fread(text, 1, SIZE_MAX_READ, file);
    status = wsstream_options_set_text(settings->options, option, text, size);
    if (status != WSSTREAM_OK) refuse(what, path, "not good PEM");
  }
  if (file != NULL) fclose(file);
  free(text);
  return status == WSSTREAM_OK;
}

static int set_seconds(struct settings *settings, const char *what, uint32_t option, const char *given, int64_t *ms) {
  if (!read_seconds(what, given, ms)) return 0;
  return wsstream_options_set_number(settings->options, option, *ms) == WSSTREAM_OK ||
         refuse(what, given, "out of range");
}

static int set_flag(struct settings *settings, uint32_t option, int64_t value) {
  return wsstream_options_set_number(settings->options, option, value) == WSSTREAM_OK;
}

static int read_linger(struct settings *settings, const char *given) {
  settings->linger_ms = -1;
  return strcmp(given, "forever") == 0 || read_seconds("--linger", given, &settings->linger_ms);
}

/* The options that are the library's. */
static int set_option(struct settings *settings, int option, const char *given) {
  int64_t timeout_ms;
  switch (option) {
    case 'H': return add_header(settings, given);
    case 'p':
      return wsstream_options_add_protocol(settings->options, given, WSSTREAM_NUL) == WSSTREAM_OK ||
             refuse("--protocol", given, "not a token, or given twice");
    case TIMEOUT: return set_seconds(settings, "--timeout", WSSTREAM_OPTION_OPEN_TIMEOUT_MS, given, &timeout_ms);
    case PING: return set_seconds(settings, "--ping", WSSTREAM_OPTION_PING_INTERVAL_MS, given, &settings->ping_ms);
    case NO_COMPRESS: return set_flag(settings, WSSTREAM_OPTION_DEFLATE, 0);
    case UNIX:
      return wsstream_options_set_text(settings->options, WSSTREAM_OPTION_UNIX_SOCKET, given, WSSTREAM_NUL) == WSSTREAM_OK ||
             refuse("--unix", given, "not the path of a socket");
    case SERVER_NAME:
      return wsstream_options_set_text(settings->options, WSSTREAM_OPTION_SERVER_NAME, given, WSSTREAM_NUL) == WSSTREAM_OK ||
             refuse("--server-name", given, "neither a name nor an address");
    case CA: return set_file(settings, "--ca", WSSTREAM_OPTION_CA_PEM, given);
    case CERT: return set_file(settings, "--cert", WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM, given);
    case KEY: return set_file(settings, "--key", WSSTREAM_OPTION_CLIENT_KEY_PEM, given);
    case INSECURE: return set_flag(settings, WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES, 1);
    default: return 0; /* getopt has said why */
  }
}

static int set(struct settings *settings, int option, const char *given) {
  switch (option) {
    case 'b': settings->is_binary = 1; return given == NULL || read_bytes("--binary", given, &settings->message_size);
    case SEND: settings->send_path = given; return 1;
    case AS_TEXT: settings->is_text = 1; return 1;
    case RECEIVE: settings->receive_path = given; settings->is_single = 1; return 1;
    case '1': settings->is_single = 1; return 1;
    case LINGER: return read_linger(settings, given);
    case 'c': return read_close(settings, given);
    case MAX_LINE: return read_bytes("--max-line", given, &settings->line_size_max);
    case 'v': settings->verbosity++; return 1;
    case 'q': settings->is_quiet = 1; return 1;
    default: return set_option(settings, option, given);
  }
}

/* Pings show that a server is alive, and where its answers end: see cat.c. Messages go on in parts, so any size is good. */
static void set_defaults(struct settings *settings) {
  memset(settings, 0, sizeof *settings);
  settings->options = wsstream_options_new();
  settings->close_code = 1000;
  settings->linger_ms = 1000;
  settings->ping_ms = 1000;
  settings->message_size = CAT_BUFFER_SIZE;
  settings->line_size_max = 1 << 24;
  wsstream_options_set_number(settings->options, WSSTREAM_OPTION_PING_INTERVAL_MS, settings->ping_ms);
  wsstream_options_set_number(settings->options, WSSTREAM_OPTION_MAX_MESSAGE_SIZE, 0);
}

int settings_read(struct settings *settings, int argc, char **argv, int *status) {
  int option, is_good = 1;
  set_defaults(settings);
  *status = CAT_USAGE;
  while (is_good && (option = getopt_long(argc, argv, "b1c:H:p:vq", long_options, NULL)) != -1) {
    if (option == HELP || option == VERSION) {
      if (option == HELP) fputs(usage, stdout);
      else printf("wsstream-cat %s\n", wsstream_version());
      *status = CAT_CLEAN;
      return 0;
    }
    is_good = set(settings, option, optarg);
  }
  if (is_good && settings->is_text && settings->send_path == NULL) {
    say("--text is for --send");
    is_good = 0;
  }
  if (is_good && argc - optind == 1) {
    settings->url = argv[optind];
    return 1;
  }
  if (is_good) say(argc == optind ? "a URL is missing" : "one URL is enough");
  fputs("Try wsstream-cat --help.\n", stderr);
  return 0;
}

void settings_free(struct settings *settings) { wsstream_options_free(settings->options); }
