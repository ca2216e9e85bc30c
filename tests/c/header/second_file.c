/* The second file of a program that includes the header: nothing in it is defined twice. */
#include "second_file.h"

#include <wsstream.h>

const char *second_file_name_of_busy(void) {
  return wsstream_status_name(WSSTREAM_ERR_BUSY);
}

size_t second_file_message_size(void) {
  return sizeof(wsstream_message);
}
