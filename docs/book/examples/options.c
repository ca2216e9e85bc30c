/* Opens a stream over TLS with options: an own root, a sub-protocol, a header field, limits, pings. */
#include <stdio.h>
#include <stdlib.h>
#include <wsstream.h>

/* The file's bytes, which the caller frees; NULL where there are none. */
static char *read_file(const char *path, size_t *size) {
  enum { MOST = 1 << 20 };
  FILE *file = fopen(path, "rb");
  char *bytes = malloc(MOST);
  *size = file != NULL && bytes != NULL ? fread(bytes, 1, MOST, file) : 0;
  if (file != NULL) fclose(file);
  if (*size > 0) return bytes;
  free(bytes);
  return NULL;
}

/* Answers the first status that is not OK. */
static wsstream_status fill(wsstream_options *options, const char *pem, size_t pem_size) {
  wsstream_status status;
  /* ANCHOR: options */
  status = wsstream_options_set_text(options, WSSTREAM_OPTION_CA_PEM, pem, pem_size);
  if (status != WSSTREAM_OK) return status;
  status = wsstream_options_add_protocol(options, "chat.v2", WSSTREAM_NUL);
  if (status != WSSTREAM_OK) return status;
  status = wsstream_options_add_header(options, "Authorization", WSSTREAM_NUL, "Bearer 1234", WSSTREAM_NUL);
  if (status != WSSTREAM_OK) return status;
  status = wsstream_options_set_number(options, WSSTREAM_OPTION_OPEN_TIMEOUT_MS, 5000);
  if (status != WSSTREAM_OK) return status;
  status = wsstream_options_set_number(options, WSSTREAM_OPTION_PING_INTERVAL_MS, 30000);
  /* ANCHOR_END: options */
  return status;
}

int main(int argc, char **argv) {
  wsstream_options *options = wsstream_options_new();
  wsstream *stream = NULL;
  wsstream_status status;
  const wsstream_close_info *closed = NULL;
  size_t size = 0;
  char *pem = argc == 3 ? read_file(argv[2], &size) : NULL;

  if (pem == NULL) {
    fprintf(stderr, "usage: %s wss://HOST[:PORT]/PATH ROOTS.pem\n", argv[0]);
    return EXIT_FAILURE;
  }
  status = fill(options, pem, size);
  if (status == WSSTREAM_OK) status = wsstream_open(argv[1], WSSTREAM_NUL, options, &stream);
  /* The stream has its own copy. */
  wsstream_options_free(options);
  free(pem);
  if (status == WSSTREAM_OK) status = wsstream_wait_opened(stream, WSSTREAM_FOREVER);
  printf("%s\n", wsstream_status_name(status));
  if (status == WSSTREAM_OK) {
    printf("protocol: %s\n", wsstream_protocol(stream));
    wsstream_close(stream, 1000, NULL, 0);
  }
  wsstream_wait_closed(stream, WSSTREAM_FOREVER, &closed);
  if (status != WSSTREAM_OK && closed != NULL) printf("%s\n", closed->detail);
  wsstream_free(stream);
  return status == WSSTREAM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
