//! The read half: whole messages by reference, parts of them by copy.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use super::constant::{BINARY, FIN, TEXT};
use super::status::wsstream_status;
use super::stream::{check_code, wsstream};
use crate::stream::{Message, Status};

/// A whole message, received by reference. Copying the struct moves ownership; never changes its size.
#[repr(C)]
pub struct wsstream_message {
    /// WSSTREAM_TEXT or WSSTREAM_BINARY; 0 in one that was released.
    pub r#type: u32,
    /// WSSTREAM_FIN.
    pub flags: u32,
    /// The bytes, not NUL-terminated. Never NULL in a message, not even in an empty one.
    pub data: *const u8,
    /// Bytes at data.
    pub size: usize,
    /// What keeps the bytes alive; leave it alone.
    pub owner: *mut c_void,
}

impl wsstream_message {
    /// One that holds nothing.
    pub(super) const ZERO: Self = Self { r#type: 0, flags: 0, data: null(), size: 0, owner: null_mut() };
}

impl From<Message> for wsstream_message {
    #[inline(always)]
    fn from(message: Message) -> Self {
        let raw = message.payload.into_raw();
        Self { r#type: message.kind as u32, flags: FIN, data: raw.data, size: raw.size, owner: raw.owner }
    }
}

/// What wsstream_read_some gave. Never changes its size.
#[repr(C)]
pub struct wsstream_chunk {
    /// WSSTREAM_TEXT or WSSTREAM_BINARY.
    pub r#type: u32,
    /// WSSTREAM_FIN with the last bytes of the message when its end is known.
    pub flags: u32,
    /// Bytes written to the caller's buffer.
    pub size: usize,
    /// Bytes of the message that are decoded and did not fit.
    pub available: usize,
}

/// Receives one whole message, by reference.
///
/// Ownership: the caller releases the message in out with wsstream_message_release.
/// Threads:   any; one at a time in the read half, a second one answers ERR_BUSY at once.
/// Blocking:  up to timeout_ms for a whole message, also while connecting; not with 0.
/// Errors:    AGAIN (nothing was taken), DONE (the readable side has ended), ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK,
///            ERR_BUSY, ERR_STATE (freed, or inside a message begun with wsstream_read_some), ERR_CONNECTION (the
///            end was not clean), ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  the bytes stay valid until the message is released, on any thread, also after wsstream_free.
/// Since:     0.1
///
/// After a clean end, and after an unclean one with a Close of the peer, what was received before is read first, then
/// comes DONE or ERR_CONNECTION. After any other end unread messages are thrown away: ERR_CONNECTION at once.
///
/// A message keeps the larger piece of memory alive that it was received into: copy what you keep for long. out is
/// overwritten, so release the message of the last call first.
///
/// The peer's pings are no messages: the library answers them, also while nobody reads; only one behind more than
/// READ_BUFFER_SIZE unread bytes waits for a reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_read(
    stream: *mut wsstream,
    timeout_ms: i64,
    out: *mut wsstream_message,
) -> wsstream_status {
    enter!(|call| {
        let out = call.output(out)?;
        let (stream, timeout) = call.stream(stream)?.live_within(timeout_ms)?;
        Ok(stream.read(timeout, |message| out.set(message.into())))
    })
}

/// Waits for one message and takes those that are here already, up to capacity.
///
/// Ownership: the caller releases each of the count messages; the array is the caller's.
/// Threads:   any; one at a time in the read half, a second one answers ERR_BUSY at once.
/// Blocking:  up to timeout_ms for the first message; not with 0.
/// Errors:    AGAIN, DONE, ERR_ARGUMENT (also: capacity 0), ERR_FORKED, ERR_DEADLOCK, ERR_BUSY, ERR_STATE,
///            ERR_CONNECTION, ERR_ABORTED, ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  as with wsstream_read.
/// Since:     0.1
///
/// OK exactly when count is over 0. Entries past count are not written with OK; all of them are zeroed otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_read_many(
    stream: *mut wsstream,
    timeout_ms: i64,
    out: *mut wsstream_message,
    capacity: usize,
    count: *mut usize,
) -> wsstream_status {
    enter!(|call| {
        let (count, batch) = (call.output(count), call.batch(out, capacity));
        let (count, mut batch) = (count?, batch?);
        let (stream, timeout) = call.stream(stream)?.live_within(timeout_ms)?;
        let status = stream.read_many(timeout, capacity, &mut |message| batch.push(message.into()));
        if status == Status::Ok {
            count.set(batch.keep());
        }
        Ok(status)
    })
}

/// Copies the next bytes of the current message into the caller's buffer.
///
/// Ownership: buffer is written during the call only; its contents are undefined unless the answer is OK.
/// Threads:   any; one at a time in the read half, a second one answers ERR_BUSY at once.
/// Blocking:  up to timeout_ms for the first byte, or the end of the message; not with 0.
/// Errors:    AGAIN (nothing was taken), DONE (the readable side has ended), ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK,
///            ERR_BUSY, ERR_STATE (freed), ERR_CONNECTION (the end was not clean), ERR_ABORTED, ERR_RESOURCE,
///            ERR_INTERNAL.
/// Lifetime:  nothing to release.
/// Since:     0.1
///
/// out->size bytes were copied. WSSTREAM_FIN comes with the last bytes of a message where its end is known by then,
/// else in a chunk of size 0; until it has come wsstream_read and wsstream_read_many answer ERR_STATE. A chunk may
/// be smaller than capacity at any time. out->available bytes more are decoded; where it is 0, too, more may have
/// been received. With capacity 0 nothing is taken: out tells type and available. Parts of a text may split a
/// character. An error or DONE may follow parts, DONE also where a Close came inside the message, and then bytes of
/// it that were here are gone: without WSSTREAM_FIN there was no message.
///
/// This bounds memory whatever the size of a message: about READ_BUFFER_SIZE of it are held. MAX_MESSAGE_SIZE holds
/// for the whole message here, too; set it to 0 for messages without limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_read_some(
    stream: *mut wsstream,
    buffer: *mut c_void,
    capacity: usize,
    timeout_ms: i64,
    out: *mut wsstream_chunk,
) -> wsstream_status {
    enter!(|call| {
        let out = call.output(out)?;
        let mut buffer = call.buffer(buffer, capacity)?;
        let (stream, timeout) = call.stream(stream)?.live_within(timeout_ms)?;
        let part = stream.read_some(timeout, &mut buffer)?;
        let flags = if part.fin { FIN } else { 0 };
        out.set(wsstream_chunk {
            r#type: part.kind as u32,
            flags,
            size: part.size,
            available: part.available,
        });
        Ok(Status::Ok)
    })
}

/// Adds an owner to a message: out gets the same bytes and is released on its own.
///
/// Ownership: the caller releases both messages, in any order.
/// Threads:   any, several at once on the same message.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: a message that was released, or out being the message itself, which is then
///            left as it is).
/// Lifetime:  the bytes stay valid until the last owner is released.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_message_retain(
    message: *const wsstream_message,
    out: *mut wsstream_message,
) -> wsstream_status {
    enter!(|call| {
        if std::ptr::eq(message, out) {
            return Err(Status::Argument);
        }
        let out = call.output(out)?;
        let message = call.object(message)?;
        if message.data.is_null() || !matches!(message.r#type, TEXT | BINARY) {
            return Err(Status::Argument);
        }
        let raw = call.share(message).into_raw();
        out.set(wsstream_message { owner: raw.owner, ..*message });
        Ok(Status::Ok)
    })
}

/// Gives a message's bytes back and zeroes it.
///
/// Ownership: takes what the message owns; the struct stays the caller's.
/// Threads:   any, also after wsstream_free and in the child of a fork.
/// Blocking:  never.
/// Errors:    none; NULL and a message that was released already do nothing.
/// Lifetime:  the bytes are invalid afterwards unless another owner was added.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_message_release(message: *mut wsstream_message) {
    enter_or!((), |call| call.release(message));
}

/// Ends the readable side: what is unread is thrown away and the closing handshake starts.
///
/// Ownership: reason is read during the call only.
/// Threads:   any, also inside callbacks and while another call is in the read half: that one answers DONE.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: a code outside 0 to 65535), ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  the stream stays valid until wsstream_free; every later read answers DONE.
/// Since:     0.1
///
/// A code or reason that wsstream_close would refuse becomes an empty Close. Otherwise it is wsstream_close for the
/// writable side and for a stream that is connecting. After an unclean end reads keep its answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_readable_cancel(
    stream: *mut wsstream,
    code: i32,
    reason: *const c_char,
    size: usize,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        let reason = call.text(reason, size)?;
        check_code(code)?;
        Ok(stream.live()?.cancel(code, reason))
    })
}
