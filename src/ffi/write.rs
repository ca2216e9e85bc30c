//! The write half: whole messages, and messages in parts.

use std::ffi::{c_char, c_void};

use super::constant::{BINARY, FIN, FLAGS, NO_COMPRESS, TEXT};
use super::handle::Call;
use super::read::wsstream_message;
use super::status::wsstream_status;
use super::stream::{check_code, wsstream};
use crate::stream::{Kind, Status, ToWrite};

#[inline(always)]
fn kind(r#type: u32) -> Result<Kind, Status> {
    match r#type {
        TEXT => Ok(Kind::Text),
        BINARY => Ok(Kind::Binary),
        _ => Err(Status::Argument),
    }
}

/// Sends one whole message.
///
/// Ownership: data is read during the call only; what cannot be sent at once is copied.
/// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
/// Blocking:  up to timeout_ms, while connecting and while more than WRITE_BUFFER_SIZE bytes are on their way;
///            not with 0.
/// Errors:    AGAIN (nothing was taken), QUEUED (taken whole: do not send it again), ERR_ARGUMENT (also: text that is
///            not UTF-8), ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, ERR_STATE (closed from either side, freed, or inside a
///            message of wsstream_write_some), ERR_CONNECTION (the connection failed), ERR_ABORTED, ERR_RESOURCE,
///            ERR_INTERNAL.
/// Lifetime:  nothing to release.
/// Since:     0.1
///
/// type is WSSTREAM_TEXT or WSSTREAM_BINARY.
///
/// OK:     taken, and there is room for the next one.
/// QUEUED: taken, but the time ran out while more than WRITE_BUFFER_SIZE bytes were on their way: no room for now.
/// AGAIN:  not taken, the time ran out before the stream was open or had room: write it again later.
/// ERR_STATE, ERR_CONNECTION: not taken; or taken and then lost in part when the stream ended during the call.
///
/// With room a message of any size is taken, and the library sends it by itself; that is not delivery. With
/// WSSTREAM_FOREVER, QUEUED and AGAIN come only from wsstream_wake. After ERR_ARGUMENT, and after ERR_STATE inside a
/// message of wsstream_write_some, the stream goes on; any other ERR_STATE and ERR_CONNECTION is for ever. data may be
/// NULL when size is 0: an empty message. Many small messages in few system calls: WSSTREAM_MORE, see
/// wsstream_write_some.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_write(
    stream: *mut wsstream,
    r#type: u32,
    data: *const c_void,
    size: usize,
    timeout_ms: i64,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        let (kind, data) = (kind(r#type)?, call.bytes(data, size)?);
        let (stream, timeout) = stream.live_within(timeout_ms)?;
        Ok(stream.write(kind, data, timeout))
    })
}

/// Sends whole messages, in order, in as few system calls as they need.
///
/// Ownership: the array and its data are read during the call only; owner is not looked at, and messages that
///            wsstream_read gave are still the caller's to release. taken is set on every status.
/// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
/// Blocking:  as with wsstream_write, up to timeout_ms in all.
/// Errors:    as with wsstream_write; ERR_ARGUMENT also for count 0 and for flags other than WSSTREAM_FIN and
///            WSSTREAM_NO_COMPRESS.
/// Lifetime:  nothing to release.
/// Since:     0.1
///
/// Of each message type, flags, data and size count; flags may be 0: each is whole anyway.
///
/// taken says how many were taken, from the first on, and so with which one to go on. With OK it is all of them, and
/// there is room. QUEUED: the time ran out behind at least one, and there is no room for now. AGAIN: none was taken.
/// With an error the one behind those taken was refused: ERR_ARGUMENT for text that is not UTF-8 leaves the stream as
/// it is; anything else in the arguments is refused before a message is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_write_many(
    stream: *mut wsstream,
    messages: *const wsstream_message,
    count: usize,
    timeout_ms: i64,
    taken: *mut usize,
) -> wsstream_status {
    enter!(|call| {
        let (mut taken, messages) = (call.output(taken)?, call.messages(messages, count)?);
        let stream = call.stream(stream)?;
        messages.iter().try_for_each(|message| to_write(call, message).map(drop))?;
        let (stream, timeout) = stream.live_within(timeout_ms)?;
        // All of them are good.
        let messages = messages.iter().filter_map(|message| to_write(call, message).ok());
        let (status, count) = stream.write_many(messages, timeout);
        taken.put(count);
        Ok(status)
    })
}

#[inline(always)]
fn to_write<'call>(call: &'call Call, message: &wsstream_message) -> Result<ToWrite<'call>, Status> {
    let (kind, data) = (kind(message.r#type)?, call.bytes(message.data.cast(), message.size)?);
    if message.flags & !(FIN | NO_COMPRESS) != 0 {
        return Err(Status::Argument);
    }
    Ok(ToWrite::whole(kind, data, message.flags & NO_COMPRESS == 0))
}

/// Sends a part of a message; the part with WSSTREAM_FIN is its last.
///
/// Ownership: data is read during the call only.
/// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
/// Blocking:  as with wsstream_write.
/// Errors:    as with wsstream_write; ERR_ARGUMENT also for a type other than that of the parts before, for unknown
///            flags and for WSSTREAM_FIN inside a character.
/// Lifetime:  a message that was begun stays open until its WSSTREAM_FIN, also when a part was refused.
/// Since:     0.1
///
/// Parts may be empty and may split a character. Each leaves in a frame of its own and is compressed as far as it
/// goes: parts of a few bytes cost more than compression saves. wsstream_close and wsstream_free give an unfinished
/// message up.
///
/// WSSTREAM_MORE lets the library hold bytes back until a write without it, wsstream_flush, WRITE_BUFFER_SIZE bytes or
/// 5 ms; it never changes the answer. So many small messages leave in one system call: write each with
/// WSSTREAM_FIN | WSSTREAM_MORE, then call wsstream_flush.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_write_some(
    stream: *mut wsstream,
    r#type: u32,
    data: *const c_void,
    size: usize,
    flags: u32,
    timeout_ms: i64,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        let (kind, data) = (kind(r#type)?, call.bytes(data, size)?);
        if flags & !FLAGS != 0 {
            return Err(Status::Argument);
        }
        let (stream, timeout) = stream.live_within(timeout_ms)?;
        Ok(stream.write_some(kind, data, flags, timeout))
    })
}

/// Waits until the system has every byte that was written.
///
/// Ownership: nothing changes hands.
/// Threads:   any; one at a time in the write half, a second one answers ERR_BUSY at once.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    AGAIN (not all; sending goes on), ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, ERR_STATE,
///            ERR_CONNECTION, ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  nothing to release.
/// Since:     0.1
///
/// It ends what WSSTREAM_MORE holds back at once. OK is not delivery. No event stands for it: WSSTREAM_WRITABLE holds
/// earlier. Before wsstream_close it is not needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_flush(stream: *mut wsstream, timeout_ms: i64) -> wsstream_status {
    enter!(|call| {
        let (stream, timeout) = call.stream(stream)?.live_within(timeout_ms)?;
        Ok(stream.flush(timeout))
    })
}

/// Ends the writable side after what was written, with a Close without a code, and waits for the end.
///
/// Ownership: nothing changes hands.
/// Threads:   any, also inside callbacks with timeout 0; it is in no half, so never ERR_BUSY.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    AGAIN (started, goes on: wait further with wsstream_wait_closed, not with this), ERR_ARGUMENT,
///            ERR_FORKED, ERR_DEADLOCK, ERR_STATE (freed, the half has ended before, or a message of
///            wsstream_write_some is open: nothing was started), ERR_CONNECTION (the end was not clean),
///            ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  the stream stays valid until wsstream_free.
/// Since:     0.1
///
/// OK means that the connection has ended cleanly, as with wsstream_wait_closed, which goes on waiting after an AGAIN.
/// Messages that arrive meanwhile are dropped, as after wsstream_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_writable_close(stream: *mut wsstream, timeout_ms: i64) -> wsstream_status {
    enter!(|call| {
        let (stream, timeout) = call.stream(stream)?.live_within(timeout_ms)?;
        Ok(stream.close_writing(timeout))
    })
}

/// Ends the writable side: a write that waits for room takes nothing, and the closing handshake starts.
///
/// Ownership: reason is read during the call only.
/// Threads:   any, also inside callbacks and while another call is in the write half.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: a code outside 0 to 65535), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  the stream stays valid until wsstream_free.
/// Since:     0.1
///
/// A code or reason that wsstream_close would refuse becomes an empty Close. What was taken before precedes the
/// Close; a message of wsstream_write_some without its WSSTREAM_FIN is given up. Messages that arrive later are
/// dropped, as after wsstream_close. After the end of the half it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_writable_abort(
    stream: *mut wsstream,
    code: i32,
    reason: *const c_char,
    size: usize,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        let reason = call.text(reason, size)?;
        check_code(code)?;
        Ok(stream.live()?.abort_writing(code, reason))
    })
}
