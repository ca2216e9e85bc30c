// Included behind wsstream.h and batch.h into the extension.
#include <string.h>

// From here on copying twice costs more than a Python object made from the message itself.
#define PACKED_SIZE_MAX 4096

static uint32_t pack(wsstream_batch *batch, wsstream_message *messages, size_t count) {
  uint32_t at = 0, index = 0;
  batch->types_of_all = 0;
  for (; index < count; index++) {
    wsstream_message *message = &messages[index];
    if (message->size > PACKED_SIZE_MAX || message->size > sizeof batch->bytes - at) break;
    memcpy(batch->bytes + at, message->data, message->size);
    at += (uint32_t)message->size;
    batch->ends[index] = at;
    batch->types[index] = (uint8_t)message->type;
    batch->types_of_all |= message->type;
    wsstream_message_release(message);
  }
  return index;
}

void wsstream_batch_release(wsstream_batch *batch) {
  for (uint32_t index = 0; index < batch->whole; index++) wsstream_message_release(&batch->messages[index]);
  batch->whole = 0;
}

// On the stack first: a call that is refused leaves the batch alone, which another thread may be reading into.
wsstream_status wsstream_batch_read(wsstream *stream, int64_t timeout_ms, wsstream_batch *batch) {
  enum { CAPACITY = sizeof batch->messages / sizeof batch->messages[0] };
  wsstream_message messages[CAPACITY];
  size_t count;
  wsstream_status status = wsstream_read_many(stream, timeout_ms, messages, CAPACITY, &count);
  if (status != WSSTREAM_OK) return status;
  wsstream_batch_release(batch);
  batch->packed = pack(batch, messages, count);
  batch->whole = (uint32_t)count - batch->packed;
  memcpy(batch->messages, messages + batch->packed, batch->whole * sizeof messages[0]);
  batch->serial++;
  return status;
}
