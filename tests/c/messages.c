/* Messages there and back: what is written to the echo server is what is read, whatever its type and size. */
#include "check.h"

static void write_and_read_back(wsstream *stream, uint32_t type, const void *data, size_t size) {
  wsstream_message message;
  CHECK_OK(wsstream_write(stream, type, data, size, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(type, data, size, &message);
  wsstream_message_release(&message);
}

static void close_normally(wsstream *stream) {
  CHECK_OK(wsstream_close(stream, 1000, "done", WSSTREAM_NUL));
  CHECK_CLOSED_AND_FREE(stream, 1000, "done");
}

static void an_open_stream_knows_its_url_and_protocol(void) {
  wsstream *stream = check_open("/echo");
  const char *url = wsstream_url(stream);
  const char *server = getenv("WSSTREAM_TEST_URL");
  CHECK(strncmp(url, server, strlen(server)) == 0);
  CHECK_TEXT("/echo", url + strlen(server));
  CHECK_TEXT("", wsstream_protocol(stream));
  CHECK_TEXT("", wsstream_extensions(stream));
  close_normally(stream);
}

static void the_protocol_is_the_one_that_the_server_picked(void) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream;
  CHECK_OK(wsstream_options_add_protocol(options, "chat", WSSTREAM_NUL));
  CHECK_OK(wsstream_options_add_protocol(options, "superchat.", 9));
  stream = check_begin_open("/echo?protocol=superchat", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_wait_opened(stream, SOON));
  CHECK_TEXT("superchat", wsstream_protocol(stream));
  close_normally(stream);
}

/* The server sends the head of the request back as its first message. */
static void headers_of_the_options_are_sent(void) {
  wsstream_options *options = wsstream_options_new();
  wsstream_message message;
  wsstream *stream;
  char *head;
  CHECK_OK(wsstream_options_add_header(options, "X-Token", WSSTREAM_NUL, "a b", WSSTREAM_NUL));
  stream = check_begin_open("/request", options);
  wsstream_options_free(options);
  CHECK_OK(wsstream_read(stream, SOON, &message));
  head = calloc(1, message.size + 1);
  CHECK(head != NULL);
  memcpy(head, message.data, message.size);
  CHECK(strncmp(head, "GET /request HTTP/1.1\r\n", 23) == 0);
  CHECK(strstr(head, "\r\nX-Token: a b") != NULL);
  free(head);
  wsstream_message_release(&message);
  close_normally(stream);
}

/* Rows: R02 */
static void text_comes_back_as_text(void) {
  wsstream *stream = check_open("/echo");
  write_and_read_back(stream, WSSTREAM_TEXT, "hello", 5);
  write_and_read_back(stream, WSSTREAM_TEXT, "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x8c\x8d", 17);
  close_normally(stream);
}

static void binary_comes_back_as_binary(void) {
  uint8_t every_byte[256];
  wsstream *stream = check_open("/echo");
  size_t i;
  for (i = 0; i < sizeof every_byte; i++) every_byte[i] = (uint8_t)i;
  write_and_read_back(stream, WSSTREAM_BINARY, every_byte, sizeof every_byte);
  close_normally(stream);
}

/* Rows: R04, W20 */
static void empty_messages_are_messages(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  write_and_read_back(stream, WSSTREAM_TEXT, "", 0);
  CHECK_OK(wsstream_write(stream, WSSTREAM_BINARY, NULL, 0, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_BINARY, "", 0, &message);
  wsstream_message_release(&message);
  close_normally(stream);
}

/* The sizes around which a frame header changes its form, and those of more than one receive chunk and frame. */
static void every_size_of_message_comes_back(void) {
  static const size_t sizes[] = {1, 125, 126, 127, 65535, 65536, 262144, 1048576, 1048577, 5000000};
  const size_t size_max = 5000000;
  wsstream *stream = check_open("/echo");
  uint8_t *data = malloc(size_max);
  size_t i;
  CHECK(data != NULL);
  for (i = 0; i < size_max; i++) data[i] = (uint8_t)(i * 31 + i / 251);
  for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    wsstream_status status = wsstream_write(stream, WSSTREAM_BINARY, data, sizes[i], 0);
    wsstream_message message;
    CHECK(status == WSSTREAM_OK || status == WSSTREAM_QUEUED);
    CHECK_OK(wsstream_read(stream, SOON, &message));
    CHECK_MESSAGE(WSSTREAM_BINARY, data, sizes[i], &message);
    wsstream_message_release(&message);
  }
  free(data);
  close_normally(stream);
}

static void parts_arrive_as_one_message(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "one, ", 5, 0, SOON));
  CHECK_STATUS(WSSTREAM_ERR_STATE, wsstream_write(stream, WSSTREAM_TEXT, "no", 2, SOON));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "", 0, 0, SOON));
  CHECK_OK(wsstream_write_some(stream, WSSTREAM_TEXT, "two", 3, WSSTREAM_FIN, SOON));
  CHECK_OK(wsstream_read(stream, SOON, &message));
  CHECK_MESSAGE(WSSTREAM_TEXT, "one, two", 8, &message);
  wsstream_message_release(&message);
  close_normally(stream);
}

static void text_that_is_not_utf8_is_refused_and_the_stream_goes_on(void) {
  wsstream *stream = check_open("/echo");
  CHECK_STATUS(WSSTREAM_ERR_ARGUMENT, wsstream_write(stream, WSSTREAM_TEXT, "\xff", 1, SOON));
  write_and_read_back(stream, WSSTREAM_TEXT, "still here", 10);
  close_normally(stream);
}

static void gathered_messages_leave_with_flush(void) {
  enum { COUNT = 100 };
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  uint32_t i;
  for (i = 0; i < COUNT; i++)
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, &i, sizeof i, WSSTREAM_FIN | WSSTREAM_MORE, SOON));
  CHECK_OK(wsstream_flush(stream, SOON));
  for (i = 0; i < COUNT; i++) {
    CHECK_OK(wsstream_read(stream, SOON, &message));
    CHECK_MESSAGE(WSSTREAM_BINARY, &i, sizeof i, &message);
    wsstream_message_release(&message);
  }
  close_normally(stream);
}

static void read_many_takes_what_is_there_in_order(void) {
  enum { COUNT = 1000, CAPACITY = 64 };
  wsstream *stream = check_open("/echo");
  wsstream_message messages[CAPACITY];
  uint32_t next = 0;
  uint32_t i;
  size_t count;
  for (i = 0; i < COUNT; i++)
    CHECK_OK(wsstream_write_some(stream, WSSTREAM_BINARY, &i, sizeof i, WSSTREAM_FIN | WSSTREAM_MORE, SOON));
  CHECK_OK(wsstream_flush(stream, SOON));
  while (next < COUNT) {
    size_t taken;
    CHECK_OK(wsstream_read_many(stream, SOON, messages, CAPACITY, &count));
    CHECK(count > 0 && count <= CAPACITY);
    for (taken = 0; taken < count; taken++, next++) {
      CHECK_MESSAGE(WSSTREAM_BINARY, &next, sizeof next, &messages[taken]);
      wsstream_message_release(&messages[taken]);
    }
  }
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read_many(stream, 0, messages, CAPACITY, &count));
  CHECK_NUMBER(0, count);
  close_normally(stream);
}

static void nothing_to_read_is_again_and_an_empty_message(void) {
  wsstream *stream = check_open("/echo");
  wsstream_message message;
  memset(&message, 0x55, sizeof message);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 0, &message));
  CHECK(message.owner == NULL);
  CHECK_NUMBER(0, message.size);
  CHECK_STATUS(WSSTREAM_AGAIN, wsstream_read(stream, 1, &message));
  close_normally(stream);
}

int main(void) {
  check_begin();
  RUN(an_open_stream_knows_its_url_and_protocol);
  RUN(the_protocol_is_the_one_that_the_server_picked);
  RUN(headers_of_the_options_are_sent);
  RUN(text_comes_back_as_text);
  RUN(binary_comes_back_as_binary);
  RUN(empty_messages_are_messages);
  RUN(every_size_of_message_comes_back);
  RUN(parts_arrive_as_one_message);
  RUN(text_that_is_not_utf8_is_refused_and_the_stream_goes_on);
  RUN(gathered_messages_leave_with_flush);
  RUN(read_many_takes_what_is_there_in_order);
  RUN(nothing_to_read_is_again_and_an_empty_message);
  return 0;
}
