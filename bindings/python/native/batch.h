// Many messages by one call: small ones packed behind one another, so that Python makes its objects from one piece.
#ifndef WSSTREAM_PYTHON_BATCH_H
#define WSSTREAM_PYTHON_BATCH_H

typedef struct {
  // Grows with every batch: whoever unpacked one knows it by this.
  uint64_t serial;
  // Messages that lie in bytes, one behind the other, with the ends and types of each.
  uint32_t packed;
  uint32_t types_of_all;
  uint32_t ends[256];
  uint8_t types[256];
  // Messages behind them, from the first large one on; unpacked ones are released with wsstream_batch_release.
  uint32_t whole;
  wsstream_message messages[256];
  uint8_t bytes[65536];
} wsstream_batch;

// wsstream_read_many into a batch, whose messages have been unpacked; on every status but OK it is as it was.
wsstream_status wsstream_batch_read(wsstream *stream, int64_t timeout_ms, wsstream_batch *batch);

// Releases what a batch holds.
void wsstream_batch_release(wsstream_batch *batch);

#endif
