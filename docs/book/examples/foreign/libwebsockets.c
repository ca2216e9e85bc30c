/* Sends a line, prints the answer, closes. With libwebsockets 4.1 or newer. */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text = "hello";
static char answer[65536];
static size_t answer_size;
static int is_over, is_answered, is_failed;

static int handle(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *data, size_t size) {
  static unsigned char outgoing[LWS_PRE + 4096];
  (void)user;
  switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      if (is_answered) {
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        return -1; /* this closes */
      }
      memcpy(outgoing + LWS_PRE, text, strlen(text)); /* lws_write needs LWS_PRE bytes before the message */
      if (lws_write(wsi, outgoing + LWS_PRE, strlen(text), LWS_WRITE_TEXT) < (int)strlen(text)) return -1;
      break;
    case LWS_CALLBACK_CLIENT_RECEIVE: /* a piece of a message */
      if (size > sizeof answer - answer_size) return -1;
      memcpy(answer + answer_size, data, size);
      answer_size += size;
      if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0) break;
      printf("%.*s\n", (int)answer_size, answer);
      is_answered = 1;
      lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
      fprintf(stderr, "%s\n", data != NULL ? (const char *)data : "no connection");
      is_over = is_failed = 1;
      break;
    case LWS_CALLBACK_CLIENT_CLOSED:
      is_over = 1;
      break;
    default:
      break;
  }
  return 0;
}

int main(int argc, char **argv) {
  static const struct lws_protocols protocols[] = {{.name = "line", .callback = handle}, {0}};
  struct lws_context_creation_info creation = {
      .port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .gid = -1, .uid = -1};
  struct lws_client_connect_info connect = {.local_protocol_name = "line"};
  if (argc < 4) return EXIT_FAILURE;
  if (argc == 5 && strlen(argv[4]) <= 4096) text = argv[4];
  lws_set_log_level(0, NULL);
  connect.context = lws_create_context(&creation);
  if (connect.context == NULL) return EXIT_FAILURE;
  connect.address = connect.host = argv[1]; /* a URL is the program's to take apart */
  connect.port = atoi(argv[2]);
  connect.path = argv[3];
  is_over = is_failed = lws_client_connect_via_info(&connect) == NULL;
  while (!is_over && lws_service(connect.context, 0) >= 0) {}
  lws_context_destroy(connect.context);
  return is_failed || !is_answered ? EXIT_FAILURE : EXIT_SUCCESS;
}
