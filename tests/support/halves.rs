//! The calls that end a half, read in parts or count, as tests call them; a stream whose peer is the test. Adds no
//! behaviour to them. A program with this module includes it by its path, beside `support`.

#![allow(dead_code, reason = "every test program uses a part of it")]

use super::support::peer::{Connection, Peer};
use super::support::{FIN, FOREVER, Options, Status, Stream};
use std::ffi::c_char;
use wsstream::ffi::about::{wsstream_statistics, wsstream_statistics_get};
use wsstream::ffi::read::{wsstream_chunk, wsstream_read_some, wsstream_readable_cancel};
use wsstream::ffi::write::{wsstream_writable_abort, wsstream_writable_close};

macro_rules! c {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the handle lives, and the pointers are to variables of the wrapper.
        unsafe { $function($($argument),*) }
    };
}

#[track_caller]
fn status(number: i32) -> Status {
    *Status::ALL.iter().find(|status| **status as i32 == number).expect("a status")
}

/// What read_some gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub kind: u32,
    pub bytes: Vec<u8>,
    pub fin: bool,
    pub available: usize,
}

pub fn part(kind: u32, bytes: &[u8], fin: bool, available: usize) -> Result<Part, Status> {
    Ok(Part { kind, bytes: bytes.to_vec(), fin, available })
}

pub fn read_some(stream: &Stream, capacity: usize, timeout_ms: i64) -> Result<Part, Status> {
    let mut buffer = vec![0x55; capacity];
    let mut out = wsstream_chunk { r#type: 9, flags: 9, size: 9, available: 9 };
    let data = if capacity == 0 { std::ptr::null_mut() } else { buffer.as_mut_ptr().cast() };
    match status(c!(wsstream_read_some(stream.handle(), data, capacity, timeout_ms, &raw mut out))) {
        Status::Ok => {
            assert!(out.size <= capacity && buffer[out.size..].iter().all(|byte| *byte == 0x55));
            assert_eq!(out.flags & !FIN, 0);
            buffer.truncate(out.size);
            Ok(Part { kind: out.r#type, bytes: buffer, fin: out.flags == FIN, available: out.available })
        }
        refused => {
            assert_eq!((out.r#type, out.flags, out.size, out.available), (0, 0, 0, 0));
            Err(refused)
        }
    }
}

fn reason_of(reason: &str) -> (*const c_char, usize) {
    (reason.as_ptr().cast(), reason.len())
}

pub fn cancel(stream: &Stream, code: i32, reason: &str) -> Status {
    let (reason, size) = reason_of(reason);
    status(c!(wsstream_readable_cancel(stream.handle(), code, reason, size)))
}

pub fn abort(stream: &Stream, code: i32, reason: &str) -> Status {
    let (reason, size) = reason_of(reason);
    status(c!(wsstream_writable_abort(stream.handle(), code, reason, size)))
}

pub fn writable_close(stream: &Stream, timeout_ms: i64) -> Status {
    status(c!(wsstream_writable_close(stream.handle(), timeout_ms)))
}

pub fn statistics(stream: &Stream) -> wsstream_statistics {
    // SAFETY: it consists of numbers.
    let mut out: wsstream_statistics = unsafe { std::mem::zeroed() };
    let size = size_of::<wsstream_statistics>();
    assert_eq!(status(c!(wsstream_statistics_get(stream.handle(), &raw mut out, size))), Status::Ok);
    out
}

/// An open stream and its peer, which takes little before it reads.
pub fn connected() -> (Stream, Connection) {
    connected_with(&Options::new())
}

pub fn connected_with(options: &Options) -> (Stream, Connection) {
    let peer = Peer::of_scheme(Some(65536));
    let stream = Stream::open_with(&peer.url(), options);
    let connection = peer.open();
    assert_eq!(stream.wait_opened(FOREVER), Status::Ok);
    (stream, connection)
}
