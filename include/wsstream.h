// Made by `cargo xtask header` from src/ffi; do not edit.
//
// wsstream: the web's WebSocketStream for C and every language that can call C.
//
// A stream is one WebSocket connection of a client: messages are read from it and written to it, on any thread, with
// backpressure in both directions. The smallest complete program, examples/echo.c:
//
//     /* Says hello to a WebSocket server that echoes, shows what comes back and closes.
//      *
//      *   cc echo.c -lwsstream -o echo && ./echo ws://127.0.0.1:9000/echo
//      */
//     #include <stdio.h>
//     #include <stdlib.h>
//     #include <wsstream.h>
//
//     /* Ends the program unless `status` is OK, and says what failed and why. */
//     static void check(const char *call, wsstream_status status, wsstream *stream) {
//       const wsstream_close_info *closed;
//       if (status == WSSTREAM_OK) return;
//       fprintf(stderr, "%s: %s\n", call, wsstream_status_text(status));
//       wsstream_wait_closed(stream, 0, &closed);
//       if (closed != NULL) fprintf(stderr, "%s\n", closed->detail);
//       wsstream_free(stream);
//       exit(EXIT_FAILURE);
//     }
//
//     int main(int argc, char **argv) {
//       wsstream *stream = NULL;
//       wsstream_message message;
//       const wsstream_close_info *closed;
//       wsstream_status status;
//
//       if (argc != 2) {
//         fprintf(stderr, "usage: %s ws://HOST[:PORT]/PATH\n", argv[0]);
//         return EXIT_FAILURE;
//       }
//       status = wsstream_open(argv[1], WSSTREAM_NUL, NULL, &stream);
//       check("open", status, stream);
//       check("wait_opened", wsstream_wait_opened(stream, WSSTREAM_FOREVER), stream);
//       printf("url:      %s\n", wsstream_url(stream));
//       printf("protocol: \"%s\"\n", wsstream_protocol(stream));
//
//       status = wsstream_write(stream, WSSTREAM_TEXT, "hello", 5, WSSTREAM_FOREVER);
//       check("write", status, stream);
//       check("read", wsstream_read(stream, WSSTREAM_FOREVER, &message), stream);
//       printf("message:  \"%.*s\"\n", (int)message.size, (const char *)message.data);
//       wsstream_message_release(&message);
//
//       check("close", wsstream_close(stream, 1000, "bye", WSSTREAM_NUL), stream);
//       status = wsstream_wait_closed(stream, WSSTREAM_FOREVER, &closed);
//       check("wait_closed", status, stream);
//       printf("closed:   code %d, reason \"%s\", %s\n", closed->code, closed->reason,
//              closed->clean ? "clean" : "unclean");
//       wsstream_free(stream);
//       return EXIT_SUCCESS;
//     }
//
// THE CONVENTIONS
//
// Status     A call that can fail answers a wsstream_status: 0 is WSSTREAM_OK, positive an expected outcome, negative
//            an error. Below, ERR_STATE stands for WSSTREAM_ERR_STATE, and so on. Checks come in this order:
//            ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, the end of the half (also: freed), AGAIN. errno after
//            a call is unspecified.
// Handles    are opaque and good on any thread. NULL where a handle is needed is ERR_ARGUMENT ("" or NULL from
//            functions that return texts), never a crash; freeing NULL does nothing. Output arguments are not NULL
//            and are zeroed on every status but OK, unless a function says otherwise.
// Texts      go in as pointer and size in bytes, UTF-8; for const char * the size WSSTREAM_NUL says "NUL-terminated".
//            NULL is allowed where the size is 0, and only there. Payloads and buffers never take WSSTREAM_NUL
//            (strlen them): a size over PTRDIFF_MAX is ERR_ARGUMENT. Texts come out NUL-terminated and stay valid
//            until the handle is freed. Message data is not NUL-terminated.
// Time       timeout_ms is in milliseconds. Negative (WSSTREAM_FOREVER) waits for ever; 0 never waits for the
//            network. When time runs out the answer is AGAIN: reads and writes have then taken nothing; what a wait
//            waits for goes on. wsstream_wake makes it run out early, WSSTREAM_FOREVER too; a signal does not.
// Halves     Reading is one half, writing the other: one call at a time in each, a second one is ERR_BUSY at once.
//            Everything else is welcome at any time from any thread.
// Callbacks  run on a thread of the library and never inside a call of the program. Return soon: the callbacks and
//            openings of every stream wait meanwhile; give longer work to another thread. In them every timeout other
//            than 0 is ERR_DEADLOCK. They must not throw, longjmp or pthread_exit: an exception ends the process with
//            a message. Do not pthread_cancel a thread inside a call.
// Bugs       of the library end that one stream with ERR_INTERNAL.
// Manners    No signal handler, no SIGPIPE, nothing printed, no call to initialise. Descriptors are close-on-exec.
//            The library's threads are named wsstream... and block every signal. It is never unloaded. A process may
//            exit with streams open, and a thread may end with one; calls may be made in the destructors of a thread.
//            Where the system has no descriptor, thread or memory left, the call answers ERR_RESOURCE, or the stream
//            ends with WSSTREAM_CAUSE_RESOURCE. The header is C99 and C++11.
// fork       In the child, streams made before are dead: calls answer ERR_FORKED (after ERR_ARGUMENT, before anything
//            else), their callbacks never run, wsstream_free sends nothing and releases memory and the child's
//            descriptors; texts and infos that were given out stay valid until then. Options, aborters and messages
//            go on working, and new streams may be opened. Fork no process inside a callback but to exec: in its
//            child every timeout other than 0 stays ERR_DEADLOCK.
// Growth     wsstream_message and wsstream_chunk never change their size. What the library fills carries or takes a
//            size and grows at its end only. Later versions may add statuses and enumerators.
//
// Every function says who owns what, which threads may call it, whether it may block, what it answers, how long what
// it gives is valid, and which version brought it.

#ifndef WSSTREAM_H
#define WSSTREAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// -------------------------------------------------------------------------------------------------------------------
// STATUS

// What a call answers: 0 is OK, positive an expected outcome, negative an error.
//
// Later versions may add some: treat an unknown negative one as WSSTREAM_ERR_CONNECTION, an unknown positive one as
// WSSTREAM_AGAIN.
typedef int32_t wsstream_status;

// The values of wsstream_status; they never change.
enum {
  // The call did what it was asked to do.
  WSSTREAM_OK = 0,
  // The readable side has ended; there is no further message.
  WSSTREAM_DONE = 1,
  // Not yet: a read or write has taken nothing, what a wait waits for goes on.
  WSSTREAM_AGAIN = 2,
  // The write was taken whole and is still on its way; never send it again.
  WSSTREAM_QUEUED = 3,
  // An argument is NULL, unknown, out of range or not UTF-8.
  WSSTREAM_ERR_ARGUMENT = -1,
  // The URL, the sub-protocol list or the close reason is not legal.
  WSSTREAM_ERR_SYNTAX = -2,
  // The close code is one that may not be sent.
  WSSTREAM_ERR_ACCESS = -3,
  // This half of the stream has ended, or the call does not fit its state now.
  WSSTREAM_ERR_STATE = -4,
  // The opening was aborted.
  WSSTREAM_ERR_ABORTED = -5,
  // The connection failed or ended uncleanly.
  WSSTREAM_ERR_CONNECTION = -6,
  // Another call is in the same half of the stream.
  WSSTREAM_ERR_BUSY = -7,
  // The stream is from before a fork.
  WSSTREAM_ERR_FORKED = -8,
  // A call with a timeout other than 0 was made inside a callback.
  WSSTREAM_ERR_DEADLOCK = -9,
  // Not in this build, or an unknown option number.
  WSSTREAM_ERR_UNSUPPORTED = -10,
  // The system refused a thread, a descriptor or memory; nothing has changed.
  WSSTREAM_ERR_RESOURCE = -11,
  // A bug in the library has ended this stream.
  WSSTREAM_ERR_INTERNAL = -99
};

// Answers the name of a status, such as "WSSTREAM_ERR_BUSY".
//
// Ownership: the text belongs to the library.
// Threads:   any.
// Blocking:  never.
// Errors:    none; "WSSTREAM_UNKNOWN" for a number this version does not know, never NULL.
// Lifetime:  valid for ever.
// Since:     0.1
const char *wsstream_status_name(wsstream_status status);

// Answers one English sentence on a status, for a log.
//
// Ownership: the text belongs to the library.
// Threads:   any.
// Blocking:  never.
// Errors:    none; a sentence that says so for a number this version does not know, never NULL.
// Lifetime:  valid for ever.
// Since:     0.1
const char *wsstream_status_text(wsstream_status status);

// -------------------------------------------------------------------------------------------------------------------
// OPEN, WRITE, READ, CLOSE

// A WebSocketStream.
typedef struct wsstream wsstream;

// What streams are opened with. One object can open many streams, also at once, and be changed meanwhile from any
// thread: a stream has what was set when it was opened. What was set can be replaced, but not be taken back.
typedef struct wsstream_options wsstream_options;

// As the size of a text: it is NUL-terminated.
#define WSSTREAM_NUL ((size_t)-1)

// As a timeout: wait for ever.
#define WSSTREAM_FOREVER ((int64_t)-1)

// As a close code: none, which sends an empty Close frame.
#define WSSTREAM_NO_CODE ((int32_t)-1)

// The type of a message.
enum {
  // UTF-8 text.
  WSSTREAM_TEXT = 1,
  // Bytes.
  WSSTREAM_BINARY = 2
};

// Flags of a message and its parts.
enum {
  // The last part of its message.
  WSSTREAM_FIN = 1,
  // More will be written soon: bytes may be held back for up to 5 ms.
  WSSTREAM_MORE = 2,
  // Do not compress this message. In its first part, later it is ignored; with WSSTREAM_FIN for a whole one.
  WSSTREAM_NO_COMPRESS = 4
};

// A whole message, received by reference. Copying the struct moves ownership; never changes its size.
typedef struct wsstream_message {
  // WSSTREAM_TEXT or WSSTREAM_BINARY; 0 in one that was released.
  uint32_t type;
  // WSSTREAM_FIN.
  uint32_t flags;
  // The bytes, not NUL-terminated. Never NULL in a message, not even in an empty one.
  const uint8_t *data;
  // Bytes at data.
  size_t size;
  // What keeps the bytes alive; leave it alone.
  void *owner;
} wsstream_message;

// How a stream ended. Written once before anybody can see it, never changed, readable from any thread until the
// stream is freed and every wsstream_ref is given up.
typedef struct wsstream_close_info {
  // Bytes that this library filled; later versions append fields: ask with WSSTREAM_HAS.
  size_t struct_size;
  // Of the peer's Close. 1005: it carried none; 1006: no Close was received.
  uint16_t code;
  // 1 when both sides sent a Close and no write was unfinished, else 0; what wsstream_close gave up or dropped, and a
  // message that the peer left unfinished, do not count. Never derive it from the code.
  uint8_t clean;
  // Who began the end: WSSTREAM_INITIATOR_*; LOCAL also where this side failed the connection.
  uint8_t initiator;
  // Where it ended: WSSTREAM_PHASE_*; after a clean end WSSTREAM_PHASE_CLOSING.
  uint32_t phase;
  // Why it ended, for decisions: WSSTREAM_CAUSE_*
  uint32_t cause;
  // errno of the system call that failed, else 0.
  int32_t os_error;
  // The HTTP status of an upgrade that failed, else 0; 101 where the server agreed to it and this side refused.
  int32_t http_status;
  // The code in the Close that was sent; 0: none was sent, 1005: it was sent without a code.
  uint16_t sent_code;
  // Always 0.
  uint16_t reserved;
  // The reason in the peer's Close, UTF-8, NUL-terminated; may contain U+0000. Never NULL.
  const char *reason;
  // Bytes of reason, without the NUL at its end.
  size_t reason_size;
  // One English sentence for a log, never for a decision. Never NULL.
  const char *detail;
  // Bytes of detail, without the NUL at its end.
  size_t detail_size;
  // What had come of a refused upgrade's body, at most 4096 bytes, NUL-terminated. Never NULL.
  const char *response_body;
  // Bytes of response_body, without the NUL at its end.
  size_t response_body_size;
} wsstream_close_info;

// Whether the library that filled *pointer knows this field: WSSTREAM_HAS(wsstream_close_info, info, response_body).
#define WSSTREAM_HAS(type, pointer, field) \
  ((pointer)->struct_size >= offsetof(type, field) + sizeof((pointer)->field))

// Begins to connect to a WebSocket server and gives the stream at once.
//
// Ownership: url is copied; options are read during the call and may be NULL, which means every default;
//            the caller ends the stream in out with wsstream_free.
// Threads:   any, also many at once with the same options.
// Blocking:  never; connecting goes on by itself, wsstream_wait_opened waits for it.
// Errors:    ERR_ARGUMENT (also: options that contradict each other, a client key that is not its certificate's),
//            ERR_SYNTAX (the URL), ERR_RESOURCE, ERR_DEADLOCK (in the log function).
// Lifetime:  the stream is valid until wsstream_free.
// Since:     0.1
//
// The URL is ws: or wss: (http: and https: mean the same two), has no fragment and is made canonical, as
// wsstream_url then shows, user and password included: these are sent as Authorization: Basic, unless the options
// have a field of that name. A relative one needs WSSTREAM_OPTION_BASE_URL, else it is ERR_SYNTAX. What the network
// and the server have against it comes from wsstream_wait_opened. A redirect is not followed: it is a refused upgrade
// with its http_status, and wsstream_response_header has its Location. wss speaks TLS 1.2 and 1.3.
wsstream_status wsstream_open(const char *url,
                              size_t size,
                              const wsstream_options *options,
                              wsstream **out);

// Waits until the stream is open or can no longer become so.
//
// Ownership: nothing changes hands.
// Threads:   any number of threads at once.
// Blocking:  up to timeout_ms; not with 0.
// Errors:    AGAIN, ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_CONNECTION (it could not be opened, or was closed
//            before it was), ERR_ABORTED (by an aborter), ERR_STATE (freed), ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  once it is OK, ERR_CONNECTION, ERR_ABORTED or ERR_INTERNAL it stays so until the stream is freed.
// Since:     0.1
//
// It waits and is no predicate: OK is 0. OK also where the stream has ended since. When it is an error,
// wsstream_wait_closed has the answer already and says why.
wsstream_status wsstream_wait_opened(wsstream *stream, int64_t timeout_ms);

// Sends one whole message.
//
// Ownership: data is read during the call only; what cannot be sent at once is copied.
// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
// Blocking:  up to timeout_ms, while connecting and while more than WRITE_BUFFER_SIZE bytes are on their way;
//            not with 0.
// Errors:    AGAIN (nothing was taken), QUEUED (taken whole: do not send it again), ERR_ARGUMENT (also: text that is
//            not UTF-8), ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, ERR_STATE (closed from either side, freed, or inside a
//            message of wsstream_write_some), ERR_CONNECTION (the connection failed), ERR_ABORTED, ERR_RESOURCE,
//            ERR_INTERNAL.
// Lifetime:  nothing to release.
// Since:     0.1
//
// type is WSSTREAM_TEXT or WSSTREAM_BINARY.
//
// OK:     taken, and there is room for the next one.
// QUEUED: taken, but the time ran out while more than WRITE_BUFFER_SIZE bytes were on their way: no room for now.
// AGAIN:  not taken, the time ran out before the stream was open or had room: write it again later.
// ERR_STATE, ERR_CONNECTION: not taken; or taken and then lost in part when the stream ended during the call.
//
// With room a message of any size is taken, and the library sends it by itself; that is not delivery. With
// WSSTREAM_FOREVER, QUEUED and AGAIN come only from wsstream_wake. After ERR_ARGUMENT, and after ERR_STATE inside a
// message of wsstream_write_some, the stream goes on; any other ERR_STATE and ERR_CONNECTION is for ever. data may be
// NULL when size is 0: an empty message. Many small messages in few system calls: WSSTREAM_MORE, see
// wsstream_write_some.
wsstream_status wsstream_write(wsstream *stream,
                               uint32_t type,
                               const void *data,
                               size_t size,
                               int64_t timeout_ms);

// Receives one whole message, by reference.
//
// Ownership: the caller releases the message in out with wsstream_message_release.
// Threads:   any; one at a time in the read half, a second one answers ERR_BUSY at once.
// Blocking:  up to timeout_ms for a whole message, also while connecting; not with 0.
// Errors:    AGAIN (nothing was taken), DONE (the readable side has ended), ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK,
//            ERR_BUSY, ERR_STATE (freed, or inside a message begun with wsstream_read_some), ERR_CONNECTION (the
//            end was not clean), ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  the bytes stay valid until the message is released, on any thread, also after wsstream_free.
// Since:     0.1
//
// After a clean end, and after an unclean one with a Close of the peer, what was received before is read first, then
// comes DONE or ERR_CONNECTION. After any other end unread messages are thrown away: ERR_CONNECTION at once.
//
// A message keeps the larger piece of memory alive that it was received into: copy what you keep for long. out is
// overwritten, so release the message of the last call first.
//
// The peer's pings are no messages: the library answers them, also while nobody reads; only one behind more than
// READ_BUFFER_SIZE unread bytes waits for a reader.
wsstream_status wsstream_read(wsstream *stream, int64_t timeout_ms, wsstream_message *out);

// Gives a message's bytes back and zeroes it.
//
// Ownership: takes what the message owns; the struct stays the caller's.
// Threads:   any, also after wsstream_free and in the child of a fork.
// Blocking:  never.
// Errors:    none; NULL and a message that was released already do nothing.
// Lifetime:  the bytes are invalid afterwards unless another owner was added.
// Since:     0.1
void wsstream_message_release(wsstream_message *message);

// Starts the closing handshake.
//
// Ownership: reason is read during the call only.
// Threads:   any, also inside callbacks and while other calls are in the stream.
// Blocking:  never; wsstream_wait_closed waits for the end.
// Errors:    ERR_ARGUMENT (also: a code outside 0 to 65535), ERR_FORKED, ERR_ACCESS (a code other than 1000 and
//            3000 to 4999), ERR_SYNTAX (a reason over 123 bytes), ERR_STATE (freed). None of them changes anything.
// Lifetime:  a closed stream may be closed again, which does nothing; it is not freed.
// Since:     0.1
//
// Messages that the library had received whole before the call stay readable (it receives up to READ_BUFFER_SIZE
// ahead of the reader); what comes later is dropped, answers to earlier writes too, and the end may still be clean.
// To get every answer, read it before you close.
//
// What was written before goes out before the Close, as far as CLOSE_TIMEOUT_MS allows, which counts from this call.
// A message of wsstream_write_some without its WSSTREAM_FIN is given up; the end may still be clean.
//
// WSSTREAM_NO_CODE without a reason (NULL, 0) sends a Close without a body; with a reason it means 1000. While
// connecting, this gives up the opening: code and reason are not used, waits and reads answer ERR_CONNECTION, writes
// ERR_STATE, and the cause is WSSTREAM_CAUSE_ABORTED; ERR_ABORTED comes from an aborter only.
wsstream_status wsstream_close(wsstream *stream, int32_t code, const char *reason, size_t size);

// Waits for the end of the connection and says how it ended.
//
// Ownership: the info in out belongs to the stream; out may be NULL.
// Threads:   any number of threads at once.
// Blocking:  up to timeout_ms; not with 0.
// Errors:    AGAIN, ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_CONNECTION (not clean), ERR_ABORTED (the opening was
//            given up by an aborter), ERR_STATE (freed), ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  the info never changes and is valid until the stream is freed, or longer with wsstream_ref; the answer
//            stays the same until then.
// Since:     0.1
//
// OK means a clean end. The info is set with OK, ERR_CONNECTION, ERR_ABORTED and ERR_INTERNAL alike, NULL otherwise;
// ERR_RESOURCE is of this call alone: a stream that ended for want of resources answers ERR_CONNECTION. It reads no
// messages: before a wsstream_close of this side, a Close of the peer behind more unread bytes than READ_BUFFER_SIZE
// waits for a reader; after it nothing waits, as what comes is dropped.
wsstream_status wsstream_wait_closed(wsstream *stream,
                                     int64_t timeout_ms,
                                     const wsstream_close_info **out);

// Ends the stream for everybody and gives its handle up.
//
// Ownership: takes the caller's reference, the one from wsstream_open: call it once.
// Threads:   any, also inside the stream's own callbacks; no call may begin on the pointer afterwards without a
//            reference.
// Blocking:  never for the network; waits for a callback of this stream that runs on another thread: hold no lock
//            that the callback takes.
// Errors:    none; NULL does nothing. Calls blocked in the stream answer ERR_STATE.
// Lifetime:  the handle, its texts and its info are invalid afterwards, unless a wsstream_ref is held; messages stay
//            valid until released.
// Since:     0.1
//
// Still connecting: that is given up. Open: a Close with code 1001 is sent if that needs no waiting. Unread messages
// are lost and written data may be; to be sure of both, see the order of an end below. In the child of a fork
// it releases memory and the child's descriptors, sends nothing and touches nothing of the parent's; what another
// thread of the parent was inside at the fork stays in memory.
void wsstream_free(wsstream *stream);

// -------------------------------------------------------------------------------------------------------------------
// THE LIFE OF A STREAM
//
//   wsstream_open        gives the stream at once and begins to connect. Calls in both halves may be made from here
//                        on; they wait for the opening inside their own timeout.
//   wsstream_wait_opened answers OK once it is open. When it answers an error, wsstream_wait_closed has the reason.
//   wsstream_read        gives one message after the other, each released with wsstream_message_release. DONE is the
//                        end after a clean close; an unclean one is ERR_CONNECTION, and throws unread messages away
//                        unless the peer's Close had come.
//   wsstream_write       OK and QUEUED both mean "taken": never send it again. AGAIN and errors mean "not taken", but
//                        for ERR_STATE and ERR_CONNECTION to a write that was already on its way.
//   wsstream_close       starts the closing handshake and returns. What was taken goes out first. What the library
//                        had received before stays readable, what comes later is dropped: read the answers you want
//                        before you close. Writing is over: ERR_STATE.
//   wsstream_wait_closed answers once both sides are done: the peer has CLOSE_TIMEOUT_MS from wsstream_close on to
//                        answer, and a second more to end TCP.
//   wsstream_free        ends what is left and gives the handle up, once. Messages outlive it.
//
// The order of an end: wsstream_close, then wsstream_wait_closed (or wsstream_read until DONE or an error, to have
// what is unread), then wsstream_free.
//
// One thread that never blocks writes so, and reads alike with WSSTREAM_READABLE:
//
//     while (i < count) {
//       status = wsstream_write(stream, WSSTREAM_BINARY, data[i], size[i], 0);
//       if (status == WSSTREAM_OK || status == WSSTREAM_QUEUED) i++;   /* taken: on to the next */
//       else if (status != WSSTREAM_AGAIN) break;                      /* the half has ended */
//       else if (wsstream_poll(stream, WSSTREAM_WRITABLE, 0, &events) != WSSTREAM_OK) other_work();
//     }
//
// At the end it closes, reads until DONE or an error, and polls for WSSTREAM_CLOSED. It polls only for what has
// answered AGAIN: an ended half is readable and writable for ever.
//
// A thread that is blocked in wsstream_read is let go from another one by
//
//   wsstream_close       with DONE or ERR_CONNECTION, once the stream has ended: at the latest as said above at
//                        wsstream_wait_closed. Join that thread before wsstream_free.
//   wsstream_wake        at once, with AGAIN; the stream goes on.
//   wsstream_free        at once, with ERR_STATE; what is unread is lost.
//
// In an event loop (examples/event_loop.c) the loop waits for the descriptor of wsstream_fd to be readable, whatever
// the stream waits for:
//
//     wsstream_fd(stream, &fd);                         /* add fd to poll, epoll, libuv, asyncio, ... for reading */
//     wsstream_fd_watch(stream, WSSTREAM_READABLE | WSSTREAM_OPENED | WSSTREAM_CLOSED);
//     /* and whenever fd is readable: */
//     while ((status = wsstream_read(stream, 0, &message)) == WSSTREAM_OK) use_and_release(&message);
//     if (status != WSSTREAM_AGAIN) end(stream);        /* take fd out of the loop, then wsstream_free */
//
// Watch WSSTREAM_WRITABLE, too, from a write that has answered AGAIN until one is taken. An ended half and a settled
// opening stay true for ever: watch what you still wait for, 0 for nothing.
//
// With callbacks instead (examples/on_closed.c) nobody waits: wsstream_on_opened, wsstream_on_message in the place of
// reading, wsstream_on_closed, wsstream_on_event for room to write. Release what they use in wsstream_on_freed.
//
// Two threads, one that reads and one that writes, need nothing else. A thread that only writes to a peer that
// answers can wait for ever once the answers exceed the read buffer: read on another thread, or poll for both events.
//
// Where one thread frees while others may still begin calls, the others hold a wsstream_ref each. A thread that is
// inside a call at that time and begins no other needs none.
//
// -------------------------------------------------------------------------------------------------------------------
// OPTIONS

// Options: numbers up to 99 are set with wsstream_options_set_number, from 100 on with wsstream_options_set_text.
enum {
  // Milliseconds from resolving to open, 0 or more; 0: no limit. Default 30000.
  WSSTREAM_OPTION_OPEN_TIMEOUT_MS = 1,
  // Milliseconds from the call of wsstream_close to the peer's Close, sending what was written included, 0 or more;
  // then the stream ends with code 1006, and what was not sent is lost; 0: no limit. Default 10000.
  WSSTREAM_OPTION_CLOSE_TIMEOUT_MS = 2,
  // Milliseconds between pings of this side while the stream is open, 0 or more; 0: none are sent. Default 0.
  WSSTREAM_OPTION_PING_INTERVAL_MS = 3,
  // Milliseconds that the peer gets to show life after such a ping has left, 0 or more; any byte counts, and the time
  // stands still while reading is above READ_BUFFER_SIZE or data is unsent; then the stream ends with code 1006 and
  // WSSTREAM_CAUSE_TIMEOUT; 0: no limit. Default 20000.
  WSSTREAM_OPTION_PONG_TIMEOUT_MS = 4,
  // Bytes of one received message, after decompression, 0 or more; a longer one fails the connection with Close 1009;
  // 0: no limit. Default 67108864.
  WSSTREAM_OPTION_MAX_MESSAGE_SIZE = 5,
  // Bytes of the answer to the opening handshake, 1 or more; it has at most 128 fields whatever this says. Default
  // 65536.
  WSSTREAM_OPTION_MAX_HEADER_SIZE = 6,
  // Bytes received ahead of the reader, after decompression and with 64 for each message, 1 or more. What is decoded
  // last may go beyond it, and a message that a reader of whole messages waits for is received whole. Default 262144.
  WSSTREAM_OPTION_READ_BUFFER_SIZE = 7,
  // Bytes taken and not yet given to the system, after compression, up to which there is room for a further write, 0
  // or more. Default 65536.
  WSSTREAM_OPTION_WRITE_BUFFER_SIZE = 8,
  // 1: small messages leave at once; 0: the system may gather them. Default 1.
  WSSTREAM_OPTION_TCP_NODELAY = 9,
  // Microseconds that a call may look again and again before it sleeps, up to 1000000; -1: 50; 0: none. It does so
  // only where the stream's last waits were that short, and never on one processor. Default -1.
  WSSTREAM_OPTION_SPIN_US = 10,
  // 1: offers permessage-deflate (RFC 7692), and where the server agrees messages are compressed; wsstream_extensions
  // tells what it agreed to. 0: does not. Whoever can choose a part of what you send can guess secrets that you send
  // beside it from the compressed sizes: send those with WSSTREAM_NO_COMPRESS. Default 1.
  WSSTREAM_OPTION_DEFLATE = 20,
  // How hard to compress: 1, fastest, to 9, smallest. Default 6.
  WSSTREAM_OPTION_DEFLATE_LEVEL = 21,
  // A message that is written in one piece of fewer bytes goes uncompressed, 0 or more; one in several parts is
  // compressed whatever its size. INT64_MAX: this side compresses nothing, the server still may. Default 128.
  WSSTREAM_OPTION_DEFLATE_THRESHOLD = 22,
  // Window of what this side compresses, 9 to 15 bits; a server may ask for a smaller one, and where it asks for 8
  // bits this side compresses nothing. Compressing takes 265 KB of memory with 12 bits, 380 KB with 15, given back
  // after a second without a compressed message. Default 12.
  WSSTREAM_OPTION_DEFLATE_CLIENT_WINDOW_BITS = 23,
  // Window that the server may use, 8 to 15 bits. Below 15 a server that agrees to compression but not to this limit
  // fails the opening with WSSTREAM_CAUSE_HTTP. Decompressing takes 48 KB of memory and the window, from the first
  // compressed message to the end. Default 15.
  WSSTREAM_OPTION_DEFLATE_SERVER_WINDOW_BITS = 24,
  // 1: this side keeps its window between messages; 0: it does not. Default 1.
  WSSTREAM_OPTION_DEFLATE_CLIENT_CONTEXT_TAKEOVER = 25,
  // 1: the server may keep its window between messages. 0: it is asked to begin each message anew, and one that
  // agrees to compression without that fails the opening with WSSTREAM_CAUSE_HTTP; then an idle stream keeps no
  // decompressor. Default 1.
  WSSTREAM_OPTION_DEFLATE_SERVER_CONTEXT_TAKEOVER = 26,
  // 1: any certificate is taken, and then anybody can read and change what is sent; 0: only good ones. Default 0.
  WSSTREAM_OPTION_DANGER_ACCEPT_INVALID_CERTIFICATES = 90,
  // The URL that relative ones are resolved against: absolute, ws, wss, http or https.
  WSSTREAM_OPTION_BASE_URL = 101,
  // The name, or address, that the server is asked for (SNI) and its certificate is checked for, instead of the URL's
  // host.
  WSSTREAM_OPTION_SERVER_NAME = 102,
  // Certificates in PEM, one behind the other, that are trusted in place of the system's roots. (Those are found as
  // the system's programs do; the environment variables SSL_CERT_FILE and SSL_CERT_DIR replace them.)
  WSSTREAM_OPTION_CA_PEM = 103,
  // This side's certificate in PEM, the chain above it behind it; only with CLIENT_KEY_PEM.
  WSSTREAM_OPTION_CLIENT_CERTIFICATE_PEM = 104,
  // The private key of this side's certificate in PEM; only with CLIENT_CERTIFICATE_PEM.
  WSSTREAM_OPTION_CLIENT_KEY_PEM = 105,
  // Not in this version. The URL of a proxy; empty: none.
  WSSTREAM_OPTION_PROXY = 106,
  // The path of a Unix socket to connect to, instead of the URL's host and port.
  WSSTREAM_OPTION_UNIX_SOCKET = 107
};

// How much is logged: a level includes those before it.
enum {
  // Nothing.
  WSSTREAM_LOG_OFF = 0,
  // A stream failed or ended uncleanly, other than by this side's will.
  WSSTREAM_LOG_ERROR = 1,
  // Something was wrong that the library could go on from.
  WSSTREAM_LOG_WARN = 2,
  // Streams that open and close.
  WSSTREAM_LOG_INFO = 3,
  // Each step of opening and closing.
  WSSTREAM_LOG_DEBUG = 4,
  // Each message and control frame.
  WSSTREAM_LOG_TRACE = 5
};

// Called:   when something happens that the level asks for.
// Thread:   any, also several at once; in this version one of the library, in the order of each stream.
// Valid:    text, which is NUL-terminated, until it returns; user_data until the on_freed of every stream opened with
//           these options.
// May call: nothing of this library: every call that can fail answers ERR_DEADLOCK.
// Returns:  nothing.
typedef void (*wsstream_log_fn)(uint32_t level, const char *text, size_t size, void *user_data);

// Gives up openings: an AbortController and its signal in one.
//
// Shared by any number of openings, acts on a stream only until it is open: then wsstream_wait_opened and
// wsstream_wait_closed answer ERR_ABORTED. It is not a POSIX signal. Nothing else makes a call answer ERR_ABORTED.
typedef struct wsstream_aborter wsstream_aborter;

// Makes options with every default.
//
// Ownership: the caller frees them with wsstream_options_free.
// Threads:   any.
// Blocking:  never.
// Errors:    NULL when the library has a bug.
// Lifetime:  until freed; an open stream needs them no more.
// Since:     0.1
wsstream_options *wsstream_options_new(void);

// Frees options.
//
// Ownership: takes the options.
// Threads:   any, once no other call uses them.
// Blocking:  never.
// Errors:    none; NULL does nothing.
// Lifetime:  the pointer is invalid afterwards; streams opened with it go on.
// Since:     0.1
void wsstream_options_free(wsstream_options *options);

// Adds a sub-protocol to those that are offered, in the order of the calls.
//
// Ownership: protocol is copied.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT, ERR_SYNTAX (empty, a character no token has, or one that was added already in any case).
// Lifetime:  counts for streams opened afterwards.
// Since:     0.1
//
// When at least one is offered, a server that picks none fails the opening.
wsstream_status wsstream_options_add_protocol(wsstream_options *options, const char *protocol, size_t size);

// Adds a header field to the HTTP request of the opening handshake.
//
// Ownership: name and value are copied.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: not a legal HTTP field, or one of the handshake's own).
// Lifetime:  counts for streams opened afterwards.
// Since:     0.1
//
// The handshake's own are Host, Connection, Upgrade and every Sec-WebSocket-*. A name that is added several times is
// sent several times; Authorization takes the place of the URL's user and password.
wsstream_status wsstream_options_add_header(wsstream_options *options,
                                            const char *name,
                                            size_t name_size,
                                            const char *value,
                                            size_t value_size);

// Sets an option that is a number; the list of WSSTREAM_OPTION_* has units, ranges and defaults.
//
// Ownership: nothing changes hands.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: a value out of range, or an option that is a text), ERR_UNSUPPORTED (an unknown
//            option, or one that the list marks as not in this version; its default has no effect either).
// Lifetime:  counts for streams opened afterwards; a later call replaces the value.
// Since:     0.1
wsstream_status wsstream_options_set_number(wsstream_options *options, uint32_t option, int64_t value);

// Sets an option that is a text; the list of WSSTREAM_OPTION_* says what each means.
//
// Ownership: text is copied.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: not a legal value, or an option that is a number), ERR_UNSUPPORTED (an unknown
//            option, or one that the list marks as not in this version).
// Lifetime:  counts for streams opened afterwards; a later call replaces the text.
// Since:     0.1
wsstream_status wsstream_options_set_text(wsstream_options *options,
                                          uint32_t option,
                                          const char *text,
                                          size_t size);

// Lets an aborter give up the openings that use these options.
//
// Ownership: the caller keeps the aborter and may free it at once.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT.
// Lifetime:  counts for streams opened afterwards; a later call replaces the aborter, none takes it back.
// Since:     0.1
wsstream_status wsstream_options_set_aborter(wsstream_options *options, wsstream_aborter *aborter);

// Lets a function have what the library has to say about streams opened with these options.
//
// Ownership: user_data stays the caller's and is handed to the function.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: an unknown level, and NULL for the function at a level other than WSSTREAM_LOG_OFF).
// Lifetime:  counts for streams opened afterwards; user_data until the on_freed of every such stream.
// Since:     0.1
//
// The last line of a stream comes before its on_freed; a wsstream_open that fails logs nothing after it has returned.
// level is the highest that is told; WSSTREAM_LOG_OFF tells nothing. The text is one line in English without its line
// end, for people: its wording may change.
wsstream_status wsstream_options_set_log(wsstream_options *options,
                                         wsstream_log_fn log,
                                         uint32_t level,
                                         void *user_data);

// Makes an aborter.
//
// Ownership: the caller frees it with wsstream_aborter_free.
// Threads:   any.
// Blocking:  never.
// Errors:    NULL when the library has a bug.
// Lifetime:  until freed; streams and options that use it keep what they need of it.
// Since:     0.1
wsstream_aborter *wsstream_aborter_new(void);

// Gives up every opening that uses this aborter, and those that will.
//
// Ownership: nothing changes hands.
// Threads:   any, also inside callbacks.
// Blocking:  never.
// Errors:    none; NULL does nothing.
// Lifetime:  an aborted aborter stays aborted: a stream opened with it has ended when wsstream_open returns.
// Since:     0.1
void wsstream_aborter_abort(wsstream_aborter *aborter);

// Frees an aborter without aborting anything.
//
// Ownership: takes the aborter.
// Threads:   any, once no other call uses it.
// Blocking:  never.
// Errors:    none; NULL does nothing.
// Lifetime:  the pointer is invalid afterwards; options and streams that use it go on.
// Since:     0.1
void wsstream_aborter_free(wsstream_aborter *aborter);

// -------------------------------------------------------------------------------------------------------------------
// REFERENCES

// Adds a reference, which keeps the handle valid but not the connection.
//
// Ownership: the caller gives the reference up with wsstream_unref.
// Threads:   any; take it for a thread that may begin calls while another one frees the stream, before it starts.
// Blocking:  never.
// Errors:    NULL for NULL.
// Lifetime:  the same pointer, valid until wsstream_unref.
// Since:     0.1
//
// After wsstream_free a reference keeps the handle, its texts and an info that was given out valid; every call that
// answers a status answers ERR_STATE, wsstream_wait_closed too: ask for the info before.
wsstream *wsstream_ref(wsstream *stream);

// Gives up a reference that wsstream_ref added.
//
// Ownership: takes that reference; the one from wsstream_open is for wsstream_free.
// Threads:   any.
// Blocking:  never.
// Errors:    none; NULL does nothing.
// Lifetime:  the handle is invalid once the stream is freed and every reference is given up.
// Since:     0.1
void wsstream_unref(wsstream *stream);

// -------------------------------------------------------------------------------------------------------------------
// HOW A STREAM ENDED

// Who began the end of a connection.
enum {
  // Nobody: it was never open.
  WSSTREAM_INITIATOR_NONE = 0,
  // This side sent its Close first.
  WSSTREAM_INITIATOR_LOCAL = 1,
  // The peer sent its Close first.
  WSSTREAM_INITIATOR_REMOTE = 2,
  // The transport ended without a Close.
  WSSTREAM_INITIATOR_TRANSPORT = 3
};

// Where a stream was when it ended.
enum {
  // Before anything was started.
  WSSTREAM_PHASE_START = 0,
  // Resolving the host's name.
  WSSTREAM_PHASE_RESOLVE = 1,
  // Making the TCP connection.
  WSSTREAM_PHASE_CONNECT = 2,
  // Asking a proxy for the way.
  WSSTREAM_PHASE_PROXY = 3,
  // Making TLS.
  WSSTREAM_PHASE_TLS = 4,
  // Exchanging the opening handshake.
  WSSTREAM_PHASE_HANDSHAKE = 5,
  // Open.
  WSSTREAM_PHASE_OPEN = 6,
  // In the closing handshake.
  WSSTREAM_PHASE_CLOSING = 7
};

// Why a stream ended, for decisions.
enum {
  // It ended cleanly.
  WSSTREAM_CAUSE_NONE = 0,
  // It was given up from this side.
  WSSTREAM_CAUSE_ABORTED = 1,
  // A time limit ran out.
  WSSTREAM_CAUSE_TIMEOUT = 2,
  // The host's name has no address.
  WSSTREAM_CAUSE_NAME = 3,
  // A system call failed; os_error says how.
  WSSTREAM_CAUSE_SYSTEM = 4,
  // The proxy refused.
  WSSTREAM_CAUSE_PROXY = 5,
  // The peer's certificate is not good.
  WSSTREAM_CAUSE_CERTIFICATE = 6,
  // TLS failed otherwise.
  WSSTREAM_CAUSE_TLS = 7,
  // The answer to the opening handshake was not an acceptance.
  WSSTREAM_CAUSE_HTTP = 8,
  // The peer broke the protocol.
  WSSTREAM_CAUSE_PROTOCOL = 9,
  // The peer sent text that is not UTF-8.
  WSSTREAM_CAUSE_UTF8 = 10,
  // A message or a header was over its limit.
  WSSTREAM_CAUSE_TOO_BIG = 11,
  // TCP ended without a Close.
  WSSTREAM_CAUSE_TRUNCATED = 12,
  // The peer's Close came while a write was unfinished.
  WSSTREAM_CAUSE_UNSENT = 13,
  // The system refused memory, a thread or a descriptor.
  WSSTREAM_CAUSE_RESOURCE = 14,
  // A bug in the library.
  WSSTREAM_CAUSE_INTERNAL = 15
};

// -------------------------------------------------------------------------------------------------------------------
// MORE ABOUT READING

// What wsstream_read_some gave. Never changes its size.
typedef struct wsstream_chunk {
  // WSSTREAM_TEXT or WSSTREAM_BINARY.
  uint32_t type;
  // WSSTREAM_FIN with the last bytes of the message when its end is known.
  uint32_t flags;
  // Bytes written to the caller's buffer.
  size_t size;
  // Bytes of the message that are decoded and did not fit.
  size_t available;
} wsstream_chunk;

// Waits for one message and takes those that are here already, up to capacity.
//
// Ownership: the caller releases each of the count messages; the array is the caller's.
// Threads:   any; one at a time in the read half, a second one answers ERR_BUSY at once.
// Blocking:  up to timeout_ms for the first message; not with 0.
// Errors:    AGAIN, DONE, ERR_ARGUMENT (also: capacity 0), ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, ERR_STATE,
//            ERR_CONNECTION, ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  as with wsstream_read.
// Since:     0.1
//
// OK exactly when count is over 0. Entries past count are not written with OK; all of them are zeroed otherwise.
wsstream_status wsstream_read_many(wsstream *stream,
                                   int64_t timeout_ms,
                                   wsstream_message *out,
                                   size_t capacity,
                                   size_t *count);

// Copies the next bytes of the current message into the caller's buffer.
//
// Ownership: buffer is written during the call only; its contents are undefined unless the answer is OK.
// Threads:   any; one at a time in the read half, a second one answers ERR_BUSY at once.
// Blocking:  up to timeout_ms for the first byte, or the end of the message; not with 0.
// Errors:    AGAIN (nothing was taken), DONE (the readable side has ended), ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK,
//            ERR_BUSY, ERR_STATE (freed), ERR_CONNECTION (the end was not clean), ERR_ABORTED, ERR_RESOURCE,
//            ERR_INTERNAL.
// Lifetime:  nothing to release.
// Since:     0.1
//
// out->size bytes were copied. WSSTREAM_FIN comes with the last bytes of a message where its end is known by then,
// else in a chunk of size 0; until it has come wsstream_read and wsstream_read_many answer ERR_STATE. A chunk may
// be smaller than capacity at any time. out->available bytes more are decoded; where it is 0, too, more may have
// been received. With capacity 0 nothing is taken: out tells type and available. Parts of a text may split a
// character. An error or DONE may follow parts, DONE also where a Close came inside the message, and then bytes of
// it that were here are gone: without WSSTREAM_FIN there was no message.
//
// This bounds memory whatever the size of a message: about READ_BUFFER_SIZE of it are held. MAX_MESSAGE_SIZE holds
// for the whole message here, too; set it to 0 for messages without limit.
wsstream_status wsstream_read_some(wsstream *stream,
                                   void *buffer,
                                   size_t capacity,
                                   int64_t timeout_ms,
                                   wsstream_chunk *out);

// Adds an owner to a message: out gets the same bytes and is released on its own.
//
// Ownership: the caller releases both messages, in any order.
// Threads:   any, several at once on the same message.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: a message that was released, or out being the message itself, which is then
//            left as it is).
// Lifetime:  the bytes stay valid until the last owner is released.
// Since:     0.1
wsstream_status wsstream_message_retain(const wsstream_message *message, wsstream_message *out);

// Ends the readable side: what is unread is thrown away and the closing handshake starts.
//
// Ownership: reason is read during the call only.
// Threads:   any, also inside callbacks and while another call is in the read half: that one answers DONE.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: a code outside 0 to 65535), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  the stream stays valid until wsstream_free; every later read answers DONE.
// Since:     0.1
//
// A code or reason that wsstream_close would refuse becomes an empty Close. Otherwise it is wsstream_close for the
// writable side and for a stream that is connecting. After an unclean end reads keep its answer.
wsstream_status wsstream_readable_cancel(wsstream *stream, int32_t code, const char *reason, size_t size);

// -------------------------------------------------------------------------------------------------------------------
// MORE ABOUT WRITING

// Sends whole messages, in order, in as few system calls as they need.
//
// Ownership: the array and its data are read during the call only; owner is not looked at, and messages that
//            wsstream_read gave are still the caller's to release. taken is set on every status.
// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
// Blocking:  as with wsstream_write, up to timeout_ms in all.
// Errors:    as with wsstream_write; ERR_ARGUMENT also for count 0 and for flags other than WSSTREAM_FIN and
//            WSSTREAM_NO_COMPRESS.
// Lifetime:  nothing to release.
// Since:     0.1
//
// Of each message type, flags, data and size count; flags may be 0: each is whole anyway.
//
// taken says how many were taken, from the first on, and so with which one to go on. With OK it is all of them, and
// there is room. QUEUED: the time ran out behind at least one, and there is no room for now. AGAIN: none was taken.
// With an error the one behind those taken was refused: ERR_ARGUMENT for text that is not UTF-8 leaves the stream as
// it is; anything else in the arguments is refused before a message is taken.
wsstream_status wsstream_write_many(wsstream *stream,
                                    const wsstream_message *messages,
                                    size_t count,
                                    int64_t timeout_ms,
                                    size_t *taken);

// Sends a part of a message; the part with WSSTREAM_FIN is its last.
//
// Ownership: data is read during the call only.
// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
// Blocking:  as with wsstream_write.
// Errors:    as with wsstream_write; ERR_ARGUMENT also for a type other than that of the parts before, for unknown
//            flags and for WSSTREAM_FIN inside a character.
// Lifetime:  a message that was begun stays open until its WSSTREAM_FIN, also when a part was refused.
// Since:     0.1
//
// Parts may be empty and may split a character. Each leaves in a frame of its own and is compressed as far as it
// goes: parts of a few bytes cost more than compression saves. wsstream_close and wsstream_free give an unfinished
// message up.
//
// WSSTREAM_MORE lets the library hold bytes back until a write without it, wsstream_flush, WRITE_BUFFER_SIZE bytes or
// 5 ms; it never changes the answer. So many small messages leave in one system call: write each with
// WSSTREAM_FIN | WSSTREAM_MORE, then call wsstream_flush.
wsstream_status wsstream_write_some(wsstream *stream,
                                    uint32_t type,
                                    const void *data,
                                    size_t size,
                                    uint32_t flags,
                                    int64_t timeout_ms);

// Waits until the system has every byte that was written.
//
// Ownership: nothing changes hands.
// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
// Blocking:  up to timeout_ms; not with 0.
// Errors:    AGAIN (not all; sending goes on), ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, ERR_STATE,
//            ERR_CONNECTION, ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  nothing to release.
// Since:     0.1
//
// It ends what WSSTREAM_MORE holds back at once. OK is not delivery. No event stands for it: WSSTREAM_WRITABLE holds
// earlier. Before wsstream_close it is not needed.
wsstream_status wsstream_flush(wsstream *stream, int64_t timeout_ms);

// Ends the writable side after what was written, with a Close without a code, and waits for the end.
//
// Ownership: nothing changes hands.
// Threads:   any, also inside callbacks with timeout 0; it is in no half, so never ERR_BUSY.
// Blocking:  up to timeout_ms; not with 0.
// Errors:    AGAIN (started, goes on: wait further with wsstream_wait_closed, not with this), ERR_ARGUMENT,
//            ERR_FORKED, ERR_DEADLOCK, ERR_STATE (freed, the half has ended before, or a message of
//            wsstream_write_some is open: nothing was started), ERR_CONNECTION (the end was not clean),
//            ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  the stream stays valid until wsstream_free.
// Since:     0.1
//
// OK means that the connection has ended cleanly, as with wsstream_wait_closed, which goes on waiting after an AGAIN.
// Messages that arrive meanwhile are dropped, as after wsstream_close.
wsstream_status wsstream_writable_close(wsstream *stream, int64_t timeout_ms);

// Ends the writable side: a write that waits for room takes nothing, and the closing handshake starts.
//
// Ownership: reason is read during the call only.
// Threads:   any, also inside callbacks and while another call is in the write half.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: a code outside 0 to 65535), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  the stream stays valid until wsstream_free.
// Since:     0.1
//
// A code or reason that wsstream_close would refuse becomes an empty Close. What was taken before precedes the
// Close; a message of wsstream_write_some without its WSSTREAM_FIN is given up. Messages that arrive later are
// dropped, as after wsstream_close. After the end of the half it does nothing.
wsstream_status wsstream_writable_abort(wsstream *stream, int32_t code, const char *reason, size_t size);

// -------------------------------------------------------------------------------------------------------------------
// WAITING AND EVENT LOOPS

// Events, combined with |. One holds when its call with timeout 0 would not answer AGAIN.
enum {
  // wsstream_wait_opened has its answer.
  WSSTREAM_OPENED = 1,
  // wsstream_read has a whole message, the end or an error.
  WSSTREAM_READABLE = 2,
  // A write would have room, or meets the end of the half.
  WSSTREAM_WRITABLE = 4,
  // wsstream_wait_closed has its answer.
  WSSTREAM_CLOSED = 8,
  // Bytes of a message are here, the end or an error: for wsstream_read_some.
  WSSTREAM_READABLE_SOME = 16
};

// Waits until at least one of the events asked for holds and answers those of them that do.
//
// Ownership: nothing changes hands.
// Threads:   any number of threads at once; never ERR_BUSY.
// Blocking:  up to timeout_ms; not with 0.
// Errors:    AGAIN (none holds), ERR_ARGUMENT (also: no event or an unknown one), ERR_FORKED, ERR_DEADLOCK,
//            ERR_STATE (freed), ERR_RESOURCE, ERR_INTERNAL.
// Lifetime:  an event may cease to hold when another thread takes what it stood for.
// Since:     0.1
//
// An event holds when its call with timeout 0 would not answer AGAIN; ended halves are readable and writable for
// ever, so ask no more for a half whose end you have seen. Asking for WSSTREAM_READABLE lets the message at the head
// be received whole, up to MAX_MESSAGE_SIZE. Inside a message begun with wsstream_read_some it holds once the rest of
// that is here: wait for WSSTREAM_READABLE_SOME there.
wsstream_status wsstream_poll(wsstream *stream, uint32_t events, int64_t timeout_ms, uint32_t *out);

// Lets the calls that wait for these events return as if their time had run out.
//
// Ownership: nothing changes hands.
// Threads:   any, also inside callbacks.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: no event or an unknown one), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  where no call waits for an event, the next one that has to wait for it returns at once, that one only.
// Since:     0.1
//
// WSSTREAM_OPENED is for wsstream_wait_opened; WSSTREAM_READABLE for wsstream_read and wsstream_read_many,
// WSSTREAM_READABLE_SOME for wsstream_read_some; WSSTREAM_WRITABLE for wsstream_write, wsstream_write_some and
// wsstream_flush; WSSTREAM_CLOSED for wsstream_wait_closed and wsstream_writable_close; each of them also for a
// wsstream_poll that asks for it. The calls answer AGAIN, a write that was taken QUEUED, with WSSTREAM_FOREVER too. A
// call with timeout 0 does not wait and leaves the wake to the next.
// It is not async-signal-safe: call it from a thread, not from a signal handler.
wsstream_status wsstream_wake(wsstream *stream, uint32_t events);

// Answers a descriptor for poll, epoll, kqueue and event loops, readable while a watched event holds.
//
// Ownership: the descriptor belongs to the stream: never close it; it may be dup()ed.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_STATE (freed), ERR_RESOURCE; out is then -1.
// Lifetime:  the same number every time, from wsstream_open on, valid until wsstream_free is called: take it out of
//            the loop before that.
// Since:     0.1
//
// Wait until it is readable, then make the calls for the watched events with timeout 0, until each answers AGAIN. It
// is level-triggered: as long as a watched event holds it stays readable, so a loop may also take one message at a
// time. After an AGAIN the next change is a new edge, for edge-triggered loops. False alarms are allowed:
// wsstream_poll with timeout 0, or the call itself, answers AGAIN and quietens it. Only ever wait for it to be
// readable, also for WSSTREAM_WRITABLE; read no bytes from it. After wsstream_fd_watch(stream, 0) it is silent.
wsstream_status wsstream_fd(wsstream *stream, int *out);

// Sets the events that the stream's descriptor stands for; WSSTREAM_READABLE at first, 0 silences it.
//
// Ownership: nothing changes hands.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (an unknown event), ERR_FORKED, ERR_STATE (freed), ERR_RESOURCE.
// Lifetime:  until the next call; it counts at once.
// Since:     0.1
//
// Watch WSSTREAM_WRITABLE only while a write has answered AGAIN, and WSSTREAM_READABLE only while you want to read:
// an event that holds and is not used keeps the descriptor readable, the end of a half for ever. With
// wsstream_read_some watch WSSTREAM_READABLE_SOME instead: inside a message that it has begun WSSTREAM_READABLE
// holds.
wsstream_status wsstream_fd_watch(wsstream *stream, uint32_t events);

// -------------------------------------------------------------------------------------------------------------------
// CALLBACKS

// What a message callback answers.
enum {
  // Go on with the next message.
  WSSTREAM_CONTINUE = 0,
  // This message counts as delivered; the next one waits for wsstream_resume.
  WSSTREAM_PAUSE = 1
};

// Called:   once, when wsstream_wait_opened has its answer, which is status; before every message and on_closed.
// Thread:   one of the library, no lock held; those of one stream never overlap.
// Valid:    stream until it returns, also after a wsstream_free in it; user_data: see wsstream_on_opened.
// May call: everything with timeout 0, also wsstream_free; a timeout other than 0 is ERR_DEADLOCK.
// Returns:  nothing; it must not throw.
typedef void (*wsstream_opened_fn)(wsstream *stream, wsstream_status status, void *user_data);

// Called:   at most once, after the stream has ended; status and info are those of wsstream_wait_closed.
// Thread:   one of the library, no lock held; those of one stream never overlap.
// Valid:    stream and info until it returns, also after a wsstream_free in it; user_data: see wsstream_on_closed.
// May call: everything with timeout 0, also wsstream_free; a timeout other than 0 is ERR_DEADLOCK.
// Returns:  nothing; it must not throw.
typedef void (*wsstream_closed_fn)(wsstream *stream,
                                   wsstream_status status,
                                   const wsstream_close_info *info,
                                   void *user_data);

// Called:   for each message with OK; then once with DONE or an error and message NULL, before on_closed; never again
//           after wsstream_free.
// Thread:   one of the library, no lock held; those of one stream never overlap.
// Valid:    stream and message until it returns, also after a wsstream_free in it; wsstream_message_retain keeps the
//           message; user_data: see wsstream_on_message.
// May call: everything with timeout 0, also wsstream_free; a timeout other than 0 is ERR_DEADLOCK.
// Returns:  WSSTREAM_CONTINUE or WSSTREAM_PAUSE, which is ignored with message NULL; it must not throw.
typedef uint32_t (*wsstream_message_fn)(wsstream *stream,
                                        wsstream_status status,
                                        const wsstream_message *message,
                                        void *user_data);

// Called:   once, when at least one of the events it was set for holds; events are those that do.
// Thread:   one of the library, no lock held; those of one stream never overlap.
// Valid:    stream until it returns, also after a wsstream_free in it; user_data: see wsstream_on_event.
// May call: everything with timeout 0, also wsstream_free; wsstream_on_event arms it again.
// Returns:  nothing; it must not throw.
typedef void (*wsstream_event_fn)(wsstream *stream, uint32_t events, void *user_data);

// Called:   once, after the last callback of a stream that was freed; none of its user_data is used again.
// Thread:   one of the library, no lock held.
// Valid:    user_data until it returns.
// May call: everything with timeout 0 on other streams.
// Returns:  nothing; it must not throw.
typedef void (*wsstream_freed_fn)(void *user_data);

// Adds a function that runs once when the stream is open or can no longer become so.
//
// Ownership: user_data stays the caller's and is handed to the function.
// Threads:   any, also inside callbacks.
// Blocking:  never; the function never runs inside this call.
// Errors:    ERR_ARGUMENT (also: NULL for the function), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  user_data until the function has run or wsstream_free has returned, whichever comes first.
// Since:     0.1
//
// Each registration runs once, in order, also when it comes after the opening, or never where wsstream_free comes
// first.
wsstream_status wsstream_on_opened(wsstream *stream, wsstream_opened_fn callback, void *user_data);

// Adds a function that runs once after the stream has ended.
//
// Ownership: user_data stays the caller's and is handed to the function.
// Threads:   any, also inside callbacks.
// Blocking:  never; the function never runs inside this call.
// Errors:    ERR_ARGUMENT (also: NULL for the function), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  user_data until the function has run or wsstream_free has returned, whichever comes first.
// Since:     0.1
//
// Each registration runs once, in order, also when it comes after the end, or never where wsstream_free comes first.
// So release user_data in one place: in its only run, where the stream is not freed before that, or else after
// wsstream_free: once that has returned no callback of the stream runs, but the one it was called in, and those of
// wsstream_on_freed. As with wsstream_wait_closed, a Close behind more unread bytes than READ_BUFFER_SIZE waits for a
// reader; and where a message callback is set it is told the end first, so a paused one holds this up.
wsstream_status wsstream_on_closed(wsstream *stream, wsstream_closed_fn callback, void *user_data);

// Sets the function that gets every message, in place of wsstream_read; NULL removes it.
//
// Ownership: user_data stays the caller's and is handed to the function.
// Threads:   any, also inside callbacks.
// Blocking:  waits for the old function if that runs on another thread: hold no lock that it takes.
// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_BUSY (a call is in the read half), ERR_STATE (freed, or inside a message
//            begun with wsstream_read_some).
// Lifetime:  user_data until the function has been told the end, or was replaced or removed (inside the function
//            itself: until it returns), or until on_freed.
// Since:     0.1
//
// While it is set, also after the end, the read half is its own: wsstream_read and its like answer ERR_BUSY. It may
// be set before the stream is open. Once it was removed wsstream_read goes on with the next message.
wsstream_status wsstream_on_message(wsstream *stream, wsstream_message_fn callback, void *user_data);

// Sets the function that runs once when at least one of the events holds: wsstream_poll as a callback; NULL removes
// it.
//
// Ownership: user_data stays the caller's and is handed to the function.
// Threads:   any, also inside callbacks.
// Blocking:  waits for the old function if that runs on another thread: hold no lock that it takes.
// Errors:    ERR_ARGUMENT (also: no event or an unknown one), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  user_data until the function has run, or was replaced or removed, or until on_freed.
// Since:     0.1
//
// It runs once for each call of this; call it again in the function to go on. There is one such function at a time:
// a later call replaces it. With NULL the events are not looked at.
wsstream_status wsstream_on_event(wsstream *stream,
                                  uint32_t events,
                                  wsstream_event_fn callback,
                                  void *user_data);

// Adds a function that runs once after the last callback of the stream, when it is freed.
//
// Ownership: user_data stays the caller's and is handed to the function.
// Threads:   any, also inside callbacks.
// Blocking:  never.
// Errors:    ERR_ARGUMENT (also: NULL for the function), ERR_FORKED, ERR_STATE (freed).
// Lifetime:  user_data until the function has run.
// Since:     0.1
//
// It runs soon after wsstream_free, which does not wait for it: the place to release what all callbacks of a stream
// and its log function share.
wsstream_status wsstream_on_freed(wsstream *stream, wsstream_freed_fn callback, void *user_data);

// Lets a message callback that answered WSSTREAM_PAUSE have the next message.
//
// Ownership: nothing changes hands.
// Threads:   any, also inside callbacks.
// Blocking:  never.
// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_STATE (freed).
// Lifetime:  when it comes while the function runs, a WSSTREAM_PAUSE of that run has no effect.
// Since:     0.1
//
// Where nothing is paused it does nothing.
wsstream_status wsstream_resume(wsstream *stream);

// -------------------------------------------------------------------------------------------------------------------
// WHAT IS KNOWN ABOUT A STREAM

// What a stream has done so far; good until it is freed. Grows at its end only.
typedef struct wsstream_statistics {
  // Messages given to the program or queued for it.
  uint64_t messages_received;
  // Messages taken from the program.
  uint64_t messages_sent;
  // Bytes of received messages, after decompression.
  uint64_t payload_received;
  // Bytes of sent messages, before compression.
  uint64_t payload_sent;
  // Bytes received from the connection, the opening handshake's included, without those of TLS.
  uint64_t wire_received;
  // Bytes given to the connection, the opening handshake's included, without those of TLS.
  uint64_t wire_sent;
  // Messages received, decoded and not read yet.
  uint64_t unread_messages;
  // Bytes received and not read yet; those that the system still has do not count.
  uint64_t unread;
  // Bytes taken and not given to the system yet: the web's bufferedAmount.
  uint64_t unsent;
  // Pings of the peer.
  uint64_t pings_received;
  // Pings of the library.
  uint64_t pings_sent;
  // Pongs of the peer.
  uint64_t pongs_received;
  // Microseconds that the last pong took; 0 before the first.
  uint64_t round_trip_us;
} wsstream_statistics;

// Answers the URL of the stream, as it was made canonical.
//
// Ownership: the text belongs to the stream.
// Threads:   any.
// Blocking:  never.
// Errors:    none; "" for NULL, never NULL.
// Lifetime:  from wsstream_open on, valid until the stream is freed.
// Since:     0.1
const char *wsstream_url(wsstream *stream);

// Answers the sub-protocol that the server picked.
//
// Ownership: the text belongs to the stream.
// Threads:   any.
// Blocking:  never.
// Errors:    none; "" until the stream is open, when there is none, and for NULL; never NULL.
// Lifetime:  valid until the stream is freed.
// Since:     0.1
const char *wsstream_protocol(wsstream *stream);

// Answers the extensions that were agreed on, as in the response.
//
// Ownership: the text belongs to the stream.
// Threads:   any.
// Blocking:  never.
// Errors:    none; "" until the stream is open, when there is none, and for NULL; never NULL.
// Lifetime:  valid until the stream is freed.
// Since:     0.1
//
// With compression it is such as "permessage-deflate; client_max_window_bits=12". Of a window there and the one of
// the options the smaller counts.
const char *wsstream_extensions(wsstream *stream);

// Answers the index-th value, from 0, of a header field in the HTTP response, also of a refused upgrade.
//
// Ownership: name is read during the call only; the text belongs to the stream.
// Threads:   any.
// Blocking:  never.
// Errors:    none; NULL where there is no such value, before there is a response, and for bad arguments.
// Lifetime:  valid until the stream is freed.
// Since:     0.1
//
// Names are compared without case. A field that came several times has a value for each, in order.
const char *wsstream_response_header(wsstream *stream, const char *name, size_t size, size_t index);

// Fills out with the stream's counters.
//
// Ownership: out is the caller's; out_size is its size in bytes, as the program was compiled.
// Threads:   any.
// Blocking:  never.
// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_STATE (freed).
// Lifetime:  nothing to release.
// Since:     0.1
//
// Bytes of out that the library does not know are zeroed. While another thread reads or writes, the counters of
// that half may be those of a moment ago.
wsstream_status wsstream_statistics_get(wsstream *stream, wsstream_statistics *out, size_t out_size);

// -------------------------------------------------------------------------------------------------------------------
// THE LIBRARY

// The version of this interface: a library fits when its upper 16 bits are the same and it is not smaller.
#define WSSTREAM_ABI_VERSION 0x00000100u

// Answers the version of the interface this library has, to be compared with WSSTREAM_ABI_VERSION.
//
// Ownership: nothing changes hands.
// Threads:   any.
// Blocking:  never.
// Errors:    none.
// Lifetime:  the number of a loaded library never changes.
// Since:     0.1
//
// The library fits the program when the upper 16 bits are the same and the number is not smaller than the one the
// program was compiled with.
uint32_t wsstream_abi_version(void);

// Answers the version of the library as text, such as "0.1.0".
//
// Ownership: the text belongs to the library.
// Threads:   any.
// Blocking:  never.
// Errors:    none; never NULL.
// Lifetime:  valid for ever.
// Since:     0.1
const char *wsstream_version(void);

// Ends the library's threads when no stream exists; the next open starts them again.
//
// Ownership: nothing changes hands.
// Threads:   any.
// Blocking:  up to timeout_ms; not with 0.
// Errors:    AGAIN (streams that were freed are still ending; that goes on), ERR_STATE (a stream was not freed),
//            ERR_DEADLOCK.
// Lifetime:  OK also where no thread was running.
// Since:     0.1
//
// No program has to call it: it is for those that count threads or descriptors. A thread that looks up a name and
// hangs in the system ends when the system lets it. Inside a callback, wsstream_on_freed's too, the answer is AGAIN
// at best. In the child of a fork it is about the child's own threads. A thread of the program that has waited in a
// call keeps one descriptor until it ends.
wsstream_status wsstream_runtime_stop(int64_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
