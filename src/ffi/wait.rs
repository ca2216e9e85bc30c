//! Waiting for a stream: poll, wake, the descriptor for event loops, callbacks.

use std::ffi::{c_int, c_void};

use super::close_info::{record_of, wsstream_close_info};
use super::constant::EVENTS;
use super::constant::PAUSE;
use super::handle::Callback;
use super::read::wsstream_message;
use super::status::wsstream_status;
use super::stream::wsstream;
use crate::stream::{Status, Stream};

fn check_events(events: u32) -> Result<(), Status> {
    if events == 0 || events & !EVENTS != 0 { Err(Status::Argument) } else { Ok(()) }
}

fn present<T>(callback: &Option<T>) -> Result<(), Status> {
    if callback.is_some() { Ok(()) } else { Err(Status::Argument) }
}

/// Called:   once, when wsstream_wait_opened has its answer, which is status; before every message and on_closed.
/// Thread:   one of the library, no lock held; those of one stream never overlap.
/// Valid:    stream until it returns, also after a wsstream_free in it; user_data: see wsstream_on_opened.
/// May call: everything with timeout 0, also wsstream_free; a timeout other than 0 is ERR_DEADLOCK.
/// Returns:  nothing; it must not throw.
pub type wsstream_opened_fn = Option<
    unsafe extern "C-unwind" fn(stream: *mut wsstream, status: wsstream_status, user_data: *mut c_void),
>;

/// Called:   at most once, after the stream has ended; status and info are those of wsstream_wait_closed.
/// Thread:   one of the library, no lock held; those of one stream never overlap.
/// Valid:    stream and info until it returns, also after a wsstream_free in it; user_data: see wsstream_on_closed.
/// May call: everything with timeout 0, also wsstream_free; a timeout other than 0 is ERR_DEADLOCK.
/// Returns:  nothing; it must not throw.
pub type wsstream_closed_fn = Option<
    unsafe extern "C-unwind" fn(
        stream: *mut wsstream,
        status: wsstream_status,
        info: *const wsstream_close_info,
        user_data: *mut c_void,
    ),
>;

/// Called:   for each message with OK; then once with DONE or an error and message NULL, before on_closed; never again
///           after wsstream_free.
/// Thread:   one of the library, no lock held; those of one stream never overlap.
/// Valid:    stream and message until it returns, also after a wsstream_free in it; wsstream_message_retain keeps the
///           message; user_data: see wsstream_on_message.
/// May call: everything with timeout 0, also wsstream_free; a timeout other than 0 is ERR_DEADLOCK.
/// Returns:  WSSTREAM_CONTINUE or WSSTREAM_PAUSE, which is ignored with message NULL; it must not throw.
pub type wsstream_message_fn = Option<
    unsafe extern "C-unwind" fn(
        stream: *mut wsstream,
        status: wsstream_status,
        message: *const wsstream_message,
        user_data: *mut c_void,
    ) -> u32,
>;

/// Called:   once, when at least one of the events it was set for holds; events are those that do.
/// Thread:   one of the library, no lock held; those of one stream never overlap.
/// Valid:    stream until it returns, also after a wsstream_free in it; user_data: see wsstream_on_event.
/// May call: everything with timeout 0, also wsstream_free; wsstream_on_event arms it again.
/// Returns:  nothing; it must not throw.
pub type wsstream_event_fn =
    Option<unsafe extern "C-unwind" fn(stream: *mut wsstream, events: u32, user_data: *mut c_void)>;

/// Called:   once, after the last callback of a stream that was freed; none of its user_data is used again.
/// Thread:   one of the library, no lock held.
/// Valid:    user_data until it returns.
/// May call: everything with timeout 0 on other streams.
/// Returns:  nothing; it must not throw.
pub type wsstream_freed_fn = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// Waits until at least one of the events asked for holds and answers those of them that do.
///
/// Ownership: nothing changes hands.
/// Threads:   any number of threads at once; never ERR_BUSY.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    AGAIN (none holds), ERR_ARGUMENT (also: no event or an unknown one), ERR_FORKED, ERR_DEADLOCK,
///            ERR_STATE (freed), ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  an event may cease to hold when another thread takes what it stood for.
/// Since:     0.1
///
/// An event holds when its call with timeout 0 would not answer AGAIN; ended halves are readable and writable for
/// ever, so ask no more for a half whose end you have seen. Asking for WSSTREAM_READABLE lets the message at the head
/// be received whole, up to MAX_MESSAGE_SIZE. Inside a message begun with wsstream_read_some it holds once the rest of
/// that is here: wait for WSSTREAM_READABLE_SOME there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_poll(
    stream: *mut wsstream,
    events: u32,
    timeout_ms: i64,
    out: *mut u32,
) -> wsstream_status {
    enter!(|call| {
        let out = call.output(out)?;
        let stream = call.stream(stream)?;
        check_events(events)?;
        let (stream, timeout) = stream.live_within(timeout_ms)?;
        let (status, holding) = stream.poll(events, timeout);
        if status == Status::Ok {
            out.set(holding);
        }
        Ok(status)
    })
}

/// Lets the calls that wait for these events return as if their time had run out.
///
/// Ownership: nothing changes hands.
/// Threads:   any, also inside callbacks.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: no event or an unknown one), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  where no call waits for an event, the next one that has to wait for it returns at once, that one only.
/// Since:     0.1
///
/// WSSTREAM_OPENED is for wsstream_wait_opened; WSSTREAM_READABLE for wsstream_read and wsstream_read_many,
/// WSSTREAM_READABLE_SOME for wsstream_read_some; WSSTREAM_WRITABLE for wsstream_write, wsstream_write_some and
/// wsstream_flush; WSSTREAM_CLOSED for wsstream_wait_closed and wsstream_writable_close; each of them also for a
/// wsstream_poll that asks for it. The calls answer AGAIN, a write that was taken QUEUED, with WSSTREAM_FOREVER too. A
/// call with timeout 0 does not wait and leaves the wake to the next.
/// It is not async-signal-safe: call it from a thread, not from a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_wake(stream: *mut wsstream, events: u32) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        check_events(events)?;
        Ok(stream.live()?.wake(events))
    })
}

/// Answers a descriptor for poll, epoll, kqueue and event loops, readable while a watched event holds.
///
/// Ownership: the descriptor belongs to the stream: never close it; it may be dup()ed.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_STATE (freed), ERR_RESOURCE; out is then -1.
/// Lifetime:  the same number every time, from wsstream_open on, valid until wsstream_free is called: take it out of
///            the loop before that.
/// Since:     0.1
///
/// Wait until it is readable, then make the calls for the watched events with timeout 0, until each answers AGAIN. It
/// is level-triggered: as long as a watched event holds it stays readable, so a loop may also take one message at a
/// time. After an AGAIN the next change is a new edge, for edge-triggered loops. False alarms are allowed:
/// wsstream_poll with timeout 0, or the call itself, answers AGAIN and quietens it. Only ever wait for it to be
/// readable, also for WSSTREAM_WRITABLE; read no bytes from it. After wsstream_fd_watch(stream, 0) it is silent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_fd(stream: *mut wsstream, out: *mut c_int) -> wsstream_status {
    enter!(|call| {
        let mut out = call.output(out)?;
        // 0 is a descriptor.
        out.put(-1);
        out.set(call.stream(stream)?.live()?.descriptor()?);
        Ok(Status::Ok)
    })
}

/// Sets the events that the stream's descriptor stands for; WSSTREAM_READABLE at first, 0 silences it.
///
/// Ownership: nothing changes hands.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (an unknown event), ERR_FORKED, ERR_STATE (freed), ERR_RESOURCE.
/// Lifetime:  until the next call; it counts at once.
/// Since:     0.1
///
/// Watch WSSTREAM_WRITABLE only while a write has answered AGAIN, and WSSTREAM_READABLE only while you want to read:
/// an event that holds and is not used keeps the descriptor readable, the end of a half for ever. With
/// wsstream_read_some watch WSSTREAM_READABLE_SOME instead: inside a message that it has begun WSSTREAM_READABLE
/// holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_fd_watch(stream: *mut wsstream, events: u32) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        if events & !EVENTS != 0 {
            return Err(Status::Argument);
        }
        Ok(stream.live()?.watch_descriptor(events))
    })
}

/// Adds a function that runs once when the stream is open or can no longer become so.
///
/// Ownership: user_data stays the caller's and is handed to the function.
/// Threads:   any, also inside callbacks.
/// Blocking:  never; the function never runs inside this call.
/// Errors:    ERR_ARGUMENT (also: NULL for the function), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  user_data until the function has run or wsstream_free has returned, whichever comes first.
/// Since:     0.1
///
/// Each registration runs once, in order, also when it comes after the opening, or never where wsstream_free comes
/// first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_on_opened(
    stream: *mut wsstream,
    callback: wsstream_opened_fn,
    user_data: *mut c_void,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        present(&callback)?;
        let callback = Callback::new(callback, user_data);
        Ok(stream.live()?.on_opened(Box::new(move |stream, status| callback.call(stream, status))))
    })
}

/// Adds a function that runs once after the stream has ended.
///
/// Ownership: user_data stays the caller's and is handed to the function.
/// Threads:   any, also inside callbacks.
/// Blocking:  never; the function never runs inside this call.
/// Errors:    ERR_ARGUMENT (also: NULL for the function), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  user_data until the function has run or wsstream_free has returned, whichever comes first.
/// Since:     0.1
///
/// Each registration runs once, in order, also when it comes after the end, or never where wsstream_free comes first.
/// So release user_data in one place: in its only run, where the stream is not freed before that, or else after
/// wsstream_free: once that has returned no callback of the stream runs, but the one it was called in, and those of
/// wsstream_on_freed. As with wsstream_wait_closed, a Close behind more unread bytes than READ_BUFFER_SIZE waits for a
/// reader; and where a message callback is set it is told the end first, so a paused one holds this up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_on_closed(
    stream: *mut wsstream,
    callback: wsstream_closed_fn,
    user_data: *mut c_void,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        present(&callback)?;
        let callback = Callback::new(callback, user_data);
        Ok(stream.live()?.on_closed(Box::new(move |stream, end| {
            callback.call(stream, end.status, record_of(stream, end));
        })))
    })
}

/// Sets the function that gets every message, in place of wsstream_read; NULL removes it.
///
/// Ownership: user_data stays the caller's and is handed to the function.
/// Threads:   any, also inside callbacks.
/// Blocking:  waits for the old function if that runs on another thread: hold no lock that it takes.
/// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_BUSY (a call is in the read half), ERR_STATE (freed, or inside a message
///            begun with wsstream_read_some).
/// Lifetime:  user_data until the function has been told the end, or was replaced or removed (inside the function
///            itself: until it returns), or until on_freed.
/// Since:     0.1
///
/// While it is set, also after the end, the read half is its own: wsstream_read and its like answer ERR_BUSY. It may
/// be set before the stream is open. Once it was removed wsstream_read goes on with the next message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_on_message(
    stream: *mut wsstream,
    callback: wsstream_message_fn,
    user_data: *mut c_void,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?.live()?;
        if callback.is_none() {
            return Ok(stream.on_message(None));
        }
        let callback = Callback::new(callback, user_data);
        Ok(stream.on_message(Some(Box::new(move |stream, next| callback.call(stream, next) != PAUSE))))
    })
}

/// Sets the function that runs once when at least one of the events holds: wsstream_poll as a callback; NULL removes
/// it.
///
/// Ownership: user_data stays the caller's and is handed to the function.
/// Threads:   any, also inside callbacks.
/// Blocking:  waits for the old function if that runs on another thread: hold no lock that it takes.
/// Errors:    ERR_ARGUMENT (also: no event or an unknown one), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  user_data until the function has run, or was replaced or removed, or until on_freed.
/// Since:     0.1
///
/// It runs once for each call of this; call it again in the function to go on. There is one such function at a time:
/// a later call replaces it. With NULL the events are not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_on_event(
    stream: *mut wsstream,
    events: u32,
    callback: wsstream_event_fn,
    user_data: *mut c_void,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        if callback.is_none() {
            return Ok(stream.live()?.on_event(None));
        }
        check_events(events)?;
        let callback = Callback::new(callback, user_data);
        let run = move |stream: &Stream, holding| callback.call(stream, holding);
        Ok(stream.live()?.on_event(Some((events, Box::new(run)))))
    })
}

/// Adds a function that runs once after the last callback of the stream, when it is freed.
///
/// Ownership: user_data stays the caller's and is handed to the function.
/// Threads:   any, also inside callbacks.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: NULL for the function), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  user_data until the function has run.
/// Since:     0.1
///
/// It runs soon after wsstream_free, which does not wait for it: the place to release what all callbacks of a stream
/// and its log function share.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_on_freed(
    stream: *mut wsstream,
    callback: wsstream_freed_fn,
    user_data: *mut c_void,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        present(&callback)?;
        let callback = Callback::new(callback, user_data);
        Ok(stream.live()?.on_freed(Box::new(move || callback.call())))
    })
}

/// Lets a message callback that answered WSSTREAM_PAUSE have the next message.
///
/// Ownership: nothing changes hands.
/// Threads:   any, also inside callbacks.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  when it comes while the function runs, a WSSTREAM_PAUSE of that run has no effect.
/// Since:     0.1
///
/// Where nothing is paused it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_resume(stream: *mut wsstream) -> wsstream_status {
    enter!(|call| Ok(call.stream(stream)?.live()?.resume()))
}
