//! What is known about a stream: its URL, what was negotiated, the response, the counters.

use std::ffi::{CStr, c_char};
use std::ptr::null;

use super::status::wsstream_status;
use super::stream::wsstream;
use crate::stream::{Status, Stream};

/// What a stream has done so far; good until it is freed. Grows at its end only.
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
    /// Bytes received from the connection, the opening handshake's included, without those of TLS.
    pub wire_received: u64,
    /// Bytes given to the connection, the opening handshake's included, without those of TLS.
    pub wire_sent: u64,
    /// Messages received, decoded and not read yet.
    pub unread_messages: u64,
    /// Bytes received and not read yet; those that the system still has do not count.
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
///
/// With compression it is such as "permessage-deflate; client_max_window_bits=12". Of a window there and the one of
/// the options the smaller counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_extensions(stream: *mut wsstream) -> *const c_char {
    text(stream, Stream::extensions)
}

/// Answers the index-th value, from 0, of a header field in the HTTP response, also of a refused upgrade.
///
/// Ownership: name is read during the call only; the text belongs to the stream.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; NULL where there is no such value, before there is a response, and for bad arguments.
/// Lifetime:  valid until the stream is freed.
/// Since:     0.1
///
/// Names are compared without case. A field that came several times has a value for each, in order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_response_header(
    stream: *mut wsstream,
    name: *const c_char,
    size: usize,
    index: usize,
) -> *const c_char {
    enter_or!(null(), |call| {
        let (Ok(handle), Ok(name)) = (call.stream(stream), call.text(name, size)) else { return null() };
        handle.even_forked().response_header(name, index).map_or(null(), CStr::as_ptr)
    })
}

/// Fills out with the stream's counters.
///
/// Ownership: out is the caller's; out_size is its size in bytes, as the program was compiled.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT, ERR_FORKED, ERR_STATE (freed).
/// Lifetime:  nothing to release.
/// Since:     0.1
///
/// Bytes of out that the library does not know are zeroed. While another thread reads or writes, the counters of
/// that half may be those of a moment ago.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_statistics_get(
    stream: *mut wsstream,
    out: *mut wsstream_statistics,
    out_size: usize,
) -> wsstream_status {
    enter!(|call| {
        let out = call.sized_output(out, out_size)?;
        let counted = call.stream(stream)?.live()?.statistics()?;
        out.set(&wsstream_statistics {
            messages_received: counted.messages_received,
            messages_sent: counted.messages_sent,
            payload_received: counted.payload_received,
            payload_sent: counted.payload_sent,
            wire_received: counted.wire_received,
            wire_sent: counted.wire_sent,
            unread_messages: counted.unread_messages,
            unread: counted.unread,
            unsent: counted.unsent,
            pings_received: counted.pings_received,
            pings_sent: counted.pings_sent,
            pongs_received: counted.pongs_received,
            round_trip_us: counted.round_trip_us,
        });
        Ok(Status::Ok)
    })
}
