//! What is known about a stream: its URL, what was negotiated, the response, the counters.

use std::ffi::{CStr, c_char};
use std::ptr::null;

use super::status::wsstream_status;
use super::stream::wsstream;
use crate::stream::{Status, Stream};

/// What a stream has done so far, since it was opened. Grows at its end only.
#[repr(C)]
pub struct wsstream_statistics {
    /// Messages given to the program or queued for it.
    pub messages_received: u64,
    /// Messages taken from the program.
    pub messages_sent: u64,
    /// Bytes of received messages, after decompression.
    pub payload_received: u64,
    /// Bytes of sent messages, before compression.
    pub payload_sent: u64,
    /// Bytes received from the connection.
    pub wire_received: u64,
    /// Bytes given to the connection.
    pub wire_sent: u64,
    /// Messages received and not read yet.
    pub unread_messages: u64,
    /// Bytes received and not read yet.
    pub unread: u64,
    /// Bytes taken and not given to the system yet: the web's bufferedAmount.
    pub unsent: u64,
    /// Pings of the peer.
    pub pings_received: u64,
    /// Pings of the library.
    pub pings_sent: u64,
    /// Pongs of the peer.
    pub pongs_received: u64,
    /// Microseconds that the last pong took; 0 before the first.
    pub round_trip_us: u64,
}

fn text(stream: *mut wsstream, text: fn(&Stream) -> &CStr) -> *const c_char {
    enter_or!(c"".as_ptr(), |call| {
        call.stream(stream).map_or(c"", |handle| text(handle.even_forked())).as_ptr()
    })
}

/// Answers the URL of the stream, as it was made canonical.
///
/// Ownership: the text belongs to the stream.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; "" for NULL, never NULL.
/// Lifetime:  from wsstream_open on, valid until the stream is freed.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_url(stream: *mut wsstream) -> *const c_char {
    text(stream, Stream::url)
}

/// Answers the sub-protocol that the server picked.
///
/// Ownership: the text belongs to the stream.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; "" until the stream is open, when there is none, and for NULL; never NULL.
/// Lifetime:  valid until the stream is freed.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_protocol(stream: *mut wsstream) -> *const c_char {
    text(stream, Stream::protocol)
}

/// Answers the extensions that were agreed on, as in the response.
///
/// Ownership: the text belongs to the stream.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; "" until the stream is open, when there is none, and for NULL; never NULL.
/// Lifetime:  valid until the stream is freed.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_extensions(stream: *mut wsstream) -> *const c_char {
    text(stream, Stream::extensions)
}

/// Answers the index-th value, from 0, of a header field in the HTTP response, also of a refused upgrade.
///
/// Ownership: name is read during the call only; the text belongs to the stream.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    NULL, always in this version.
/// Lifetime:  valid until the stream is freed.
/// Since:     0.1, as a symbol
///
/// This version does not have it yet. Names are compared without case.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_response_header(
    stream: *mut wsstream,
    name: *const c_char,
    size: usize,
    index: usize,
) -> *const c_char {
    let _ = (stream, name, size, index);
    null()
}

/// Fills out with the stream's counters.
///
/// Ownership: out is the caller's; out_size is its size in bytes, as the program was compiled.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_UNSUPPORTED (always, in this version).
/// Lifetime:  nothing to release.
/// Since:     0.1, as a symbol
///
/// This version does not have it yet. Bytes of out that the library does not know are zeroed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_statistics_get(
    stream: *mut wsstream,
    out: *mut wsstream_statistics,
    out_size: usize,
) -> wsstream_status {
    enter!(|call| {
        call.sized_output(out, out_size)?;
        call.stream(stream)?.live()?;
        Err(Status::Unsupported)
    })
}
