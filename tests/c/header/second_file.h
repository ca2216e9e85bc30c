/* What the second file of the program answers. */
#ifndef SECOND_FILE_H
#define SECOND_FILE_H

#include <wsstream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library's name of a status that this file sees by its enumerator. */
const char *second_file_name_of_busy(void);
/* The size of a message as this file sees it. */
size_t second_file_message_size(void);

#ifdef __cplusplus
}
#endif

#endif
