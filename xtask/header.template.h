// wsstream: the web's WebSocketStream for C and every language that can call C.
//
// A stream is one WebSocket connection of a client: messages are read from it and written to it, on any thread, with
// backpressure in both directions. The smallest complete program, examples/echo.c:
//
//@file examples/echo.c
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

//@item wsstream_status

//@enum STATUS

//@item wsstream_status_name

//@item wsstream_status_text

// -------------------------------------------------------------------------------------------------------------------
// OPEN, WRITE, READ, CLOSE

//@item wsstream

//@item wsstream_options

// As the size of a text: it is NUL-terminated.
#define WSSTREAM_NUL ((size_t)-1)

// As a timeout: wait for ever.
#define WSSTREAM_FOREVER ((int64_t)-1)

// As a close code: none, which sends an empty Close frame.
#define WSSTREAM_NO_CODE ((int32_t)-1)

//@enum TYPE

//@enum FLAG

//@item wsstream_message

//@item wsstream_close_info

// Whether the library that filled *pointer knows this field: WSSTREAM_HAS(wsstream_close_info, info, response_body).
#define WSSTREAM_HAS(type, pointer, field) \
  ((pointer)->struct_size >= offsetof(type, field) + sizeof((pointer)->field))

//@item wsstream_open

//@item wsstream_wait_opened

//@item wsstream_write

//@item wsstream_read

//@item wsstream_message_release

//@item wsstream_close

//@item wsstream_wait_closed

//@item wsstream_free

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

//@enum OPTION

//@enum LOG

//@item wsstream_log_fn

//@item wsstream_aborter

//@item wsstream_options_new

//@item wsstream_options_free

//@item wsstream_options_add_protocol

//@item wsstream_options_add_header

//@item wsstream_options_set_number

//@item wsstream_options_set_text

//@item wsstream_options_set_aborter

//@item wsstream_options_set_log

//@item wsstream_aborter_new

//@item wsstream_aborter_abort

//@item wsstream_aborter_free

// -------------------------------------------------------------------------------------------------------------------
// REFERENCES

//@item wsstream_ref

//@item wsstream_unref

// -------------------------------------------------------------------------------------------------------------------
// HOW A STREAM ENDED

//@enum INITIATOR

//@enum PHASE

//@enum CAUSE

// -------------------------------------------------------------------------------------------------------------------
// MORE ABOUT READING

//@item wsstream_chunk

//@item wsstream_read_many

//@item wsstream_read_some

//@item wsstream_message_retain

//@item wsstream_readable_cancel

// -------------------------------------------------------------------------------------------------------------------
// MORE ABOUT WRITING

//@item wsstream_write_many

//@item wsstream_write_some

//@item wsstream_flush

//@item wsstream_writable_close

//@item wsstream_writable_abort

// -------------------------------------------------------------------------------------------------------------------
// WAITING AND EVENT LOOPS

//@enum EVENT

//@item wsstream_poll

//@item wsstream_wake

//@item wsstream_fd

//@item wsstream_fd_watch

// -------------------------------------------------------------------------------------------------------------------
// CALLBACKS

//@enum NEXT

//@item wsstream_opened_fn

//@item wsstream_closed_fn

//@item wsstream_message_fn

//@item wsstream_event_fn

//@item wsstream_freed_fn

//@item wsstream_on_opened

//@item wsstream_on_closed

//@item wsstream_on_message

//@item wsstream_on_event

//@item wsstream_on_freed

//@item wsstream_resume

// -------------------------------------------------------------------------------------------------------------------
// WHAT IS KNOWN ABOUT A STREAM

//@item wsstream_statistics

//@item wsstream_url

//@item wsstream_protocol

//@item wsstream_extensions

//@item wsstream_response_header

//@item wsstream_statistics_get

// -------------------------------------------------------------------------------------------------------------------
// THE LIBRARY

// The version of this interface: a library fits when its upper 16 bits are the same and it is not smaller.
#define WSSTREAM_ABI_VERSION 0x00000100u

//@item wsstream_abi_version

//@item wsstream_version

//@item wsstream_runtime_stop

#ifdef __cplusplus
}
#endif

#endif
