/* Sends a line, prints the answer, closes. With libcurl 8.11 or newer. */
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void wait_for(CURL *curl, short events) {
  struct pollfd entry = {.events = events};
  curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &entry.fd);
  poll(&entry, 1, -1);
}

/* A frame may leave in several calls. */
static CURLcode send_all(CURL *curl, const char *data, size_t size, unsigned flags) {
  CURLcode code;
  do {
    size_t sent = 0;
    code = curl_ws_send(curl, data, size, &sent, 0, flags);
    data += sent;
    size -= sent;
    if (code == CURLE_AGAIN) wait_for(curl, POLLOUT);
  } while (code == CURLE_AGAIN || (code == CURLE_OK && size > 0));
  return code;
}

/* A frame may come in several pieces, and a message in several frames. */
static CURLcode receive_all(CURL *curl, char *buffer, size_t capacity, size_t *size) {
  const struct curl_ws_frame *meta = NULL;
  CURLcode code;
  *size = 0;
  do {
    size_t received = 0;
    code = curl_ws_recv(curl, buffer + *size, capacity - *size, &received, &meta);
    if (code == CURLE_AGAIN) {
      wait_for(curl, POLLIN);
    } else if (code == CURLE_OK && !(meta->flags & (CURLWS_PING | CURLWS_PONG))) {
      *size += received;
      if (*size == capacity) return CURLE_TOO_LARGE;
    }
  } while (code == CURLE_AGAIN ||
           (code == CURLE_OK && (meta->bytesleft > 0 || (meta->flags & (CURLWS_CONT | CURLWS_PING | CURLWS_PONG)))));
  return code;
}

int main(int argc, char **argv) {
  static char buffer[65536];
  const char *text = argc == 3 ? argv[2] : "hello";
  static const char normal[] = {1000 >> 8, (char)(1000 & 0xff)};
  size_t size = 0;
  CURL *curl = curl_easy_init();
  CURLcode code;

  if (argc < 2 || curl == NULL) return EXIT_FAILURE;
  curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
  curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 2L);
  code = curl_easy_perform(curl);
  if (code == CURLE_OK) code = send_all(curl, text, strlen(text), CURLWS_TEXT);
  if (code == CURLE_OK) code = receive_all(curl, buffer, sizeof buffer, &size);
  if (code == CURLE_OK) {
    printf("%.*s\n", (int)size, buffer);
    code = send_all(curl, normal, sizeof normal, CURLWS_CLOSE);
  }
  /* The answer to the Close is a message with the flag CURLWS_CLOSE; its two first bytes are the code. */
  if (code == CURLE_OK) code = receive_all(curl, buffer, sizeof buffer, &size);
  if (code != CURLE_OK) fprintf(stderr, "%s\n", curl_easy_strerror(code));
  curl_easy_cleanup(curl);
  return code == CURLE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
