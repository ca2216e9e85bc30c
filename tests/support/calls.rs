//! Every C function that has a stream and answers a status, as the rows of one table.
//!
//! Each is called with outputs full of rubbish, which are zero on every status but OK. Knows no state of a stream.

#![allow(dead_code, reason = "every test program uses a part of it")]

use super::support::stream::{whole, write_many};
use super::support::{FIN, FOREVER, Status, TEXT};
use ::wsstream::ffi::about::wsstream_statistics_get;
use ::wsstream::ffi::close_info::wsstream_close_info;
use ::wsstream::ffi::read::{
    wsstream_message, wsstream_message_release, wsstream_read, wsstream_read_many, wsstream_read_some,
    wsstream_readable_cancel,
};
use ::wsstream::ffi::stream::{wsstream, wsstream_close, wsstream_wait_closed, wsstream_wait_opened};
use ::wsstream::ffi::wait::{
    wsstream_fd, wsstream_fd_watch, wsstream_on_closed, wsstream_on_event, wsstream_on_freed,
    wsstream_on_message, wsstream_on_opened, wsstream_poll, wsstream_resume, wsstream_wake,
};
use ::wsstream::ffi::write::{
    wsstream_flush, wsstream_writable_abort, wsstream_writable_close, wsstream_write, wsstream_write_many,
    wsstream_write_some,
};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

pub const EVERY_EVENT: u32 = 31;

type Handle = *mut wsstream;

pub struct Row {
    pub name: &'static str,
    /// It has a timeout; the others are called with any.
    pub waits: bool,
    pub call: fn(Handle, i64) -> i32,
    /// The same with arguments that are never good.
    pub bad: fn(Handle, i64) -> Vec<i32>,
}

macro_rules! c {
    ($($call:tt)*) => {
        // SAFETY: the handle lives or is NULL, the pointers are to variables of this call or NULL, as the header allows.
        unsafe { $($call)* }
    };
}

/// A variable full of rubbish.
struct Place<T>(MaybeUninit<T>);

impl<T> Place<T> {
    fn new() -> Self {
        let mut place = MaybeUninit::<T>::uninit();
        // SAFETY: the bytes of this variable.
        unsafe { place.as_mut_ptr().write_bytes(0xA5, 1) };
        Self(place)
    }

    fn out(&mut self) -> *mut T {
        self.0.as_mut_ptr()
    }

    /// The types of outputs have no padding, so every byte is written above or by the library.
    fn bytes(&self) -> &[u8] {
        // SAFETY: as said.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), size_of::<T>()) }
    }

    /// Passes the status on; on every one but OK the output must be zero.
    #[track_caller]
    fn zero_unless_ok(&self, status: i32) -> i32 {
        assert_eq!(status != 0, self.bytes().iter().all(|byte| *byte == 0), "the output with {status}");
        status
    }
}

fn is_live(status: i32) -> bool {
    [Status::Ok, Status::Connection, Status::Aborted].iter().any(|live| *live as i32 == status)
}

fn none(_: Handle, _: i64) -> Vec<i32> {
    Vec::new()
}

fn wait_closed(stream: Handle, timeout_ms: i64) -> i32 {
    let mut info: Place<*const wsstream_close_info> = Place::new();
    let status = c!(wsstream_wait_closed(stream, timeout_ms, info.out()));
    // c-api: `*out` is set in all three and NULL on AGAIN and on call errors.
    assert_eq!(is_live(status), info.bytes().iter().any(|byte| *byte != 0), "the info with {status}");
    if is_live(status) {
        // `out` may be NULL.
        assert_eq!(status, c!(wsstream_wait_closed(stream, timeout_ms, null_mut())));
    }
    status
}

/// All events, and those of them that hold.
pub fn poll(stream: Handle, events: u32, timeout_ms: i64) -> (i32, u32) {
    let mut holding = Place::new();
    let status = c!(wsstream_poll(stream, events, timeout_ms, holding.out()));
    holding.zero_unless_ok(status);
    // SAFETY: it was written above or by the call.
    (status, unsafe { holding.0.assume_init() })
}

fn bad_poll(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    let mut bad = vec![c!(wsstream_poll(stream, 1, timeout_ms, null_mut()))];
    bad.extend([0, 32, EVERY_EVENT | 64].map(|events| poll(stream, events, timeout_ms).0));
    bad
}

fn read(stream: Handle, timeout_ms: i64) -> i32 {
    let mut message: Place<wsstream_message> = Place::new();
    let status = c!(wsstream_read(stream, timeout_ms, message.out()));
    message.zero_unless_ok(status);
    c!(wsstream_message_release(message.out()));
    status
}

fn bad_read(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    vec![c!(wsstream_read(stream, timeout_ms, null_mut()))]
}

fn read_many(stream: Handle, timeout_ms: i64) -> i32 {
    let (mut messages, mut count) = (Place::<[wsstream_message; 3]>::new(), Place::<usize>::new());
    let status = c!(wsstream_read_many(stream, timeout_ms, messages.out().cast(), 3, count.out()));
    // OK exactly when `*count` > 0.
    count.zero_unless_ok(messages.zero_unless_ok(status));
    if status == 0 {
        // SAFETY: written by the call.
        for index in 0..unsafe { count.0.assume_init() } {
            // SAFETY: so many are messages.
            c!(wsstream_message_release(messages.out().cast::<wsstream_message>().add(index)));
        }
    }
    status
}

fn bad_read_many(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    let (mut messages, mut count) = (Place::<[wsstream_message; 3]>::new(), Place::<usize>::new());
    let (out, count) = (messages.out().cast(), count.out());
    vec![
        c!(wsstream_read_many(stream, timeout_ms, null_mut(), 3, count)),
        c!(wsstream_read_many(stream, timeout_ms, out, 3, null_mut())),
        c!(wsstream_read_many(stream, timeout_ms, out, 0, count)),
    ]
}

fn read_some(stream: Handle, timeout_ms: i64) -> i32 {
    let (mut buffer, mut chunk) = ([0_u8; 64], Place::new());
    let buffer = buffer.as_mut_ptr().cast();
    let status = c!(wsstream_read_some(stream, buffer, 64, timeout_ms, chunk.out()));
    chunk.zero_unless_ok(status)
}

fn bad_read_some(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    let (mut buffer, mut chunk) = ([0_u8; 64], Place::new());
    let (buffer, out) = (buffer.as_mut_ptr().cast::<c_void>(), chunk.out());
    vec![
        c!(wsstream_read_some(stream, buffer, 64, timeout_ms, null_mut())),
        c!(wsstream_read_some(stream, null_mut(), 64, timeout_ms, out)),
        c!(wsstream_read_some(stream, buffer, usize::MAX, timeout_ms, out)),
    ]
}

fn bad_write(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    let data = b"x".as_ptr().cast();
    vec![
        c!(wsstream_write(stream, 0, data, 1, timeout_ms)),
        c!(wsstream_write(stream, 3, data, 1, timeout_ms)),
        c!(wsstream_write(stream, TEXT, null(), 1, timeout_ms)),
        c!(wsstream_write(stream, TEXT, data, usize::MAX, timeout_ms)),
    ]
}

fn write_one_of_many(stream: Handle, data: &[u8], timeout_ms: i64) -> i32 {
    let (status, taken) = write_many(stream, &[whole(TEXT, data, FIN)], timeout_ms);
    assert_eq!(taken, usize::from(matches!(named(status), Status::Ok | Status::Queued)), "{status}");
    status
}

fn bad_write_many(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    let (good, mut taken) = (whole(TEXT, b"x", 0), 0);
    let null_data = wsstream_message { data: null(), ..whole(TEXT, b"x", 0) };
    let too_large = wsstream_message { size: usize::MAX, ..whole(TEXT, b"x", 0) };
    let mut bad: Vec<i32> =
        [whole(0, b"x", 0), whole(TEXT, b"x", 2), whole(TEXT, b"x", 8), null_data, too_large]
            .into_iter()
            .map(|bad| {
                let messages = [whole(TEXT, b"x", 0), bad];
                let (status, taken) = write_many(stream, &messages, timeout_ms);
                assert_eq!(taken, 0);
                status
            })
            .collect();
    bad.push(c!(wsstream_write_many(stream, null(), 1, timeout_ms, &raw mut taken)));
    bad.push(c!(wsstream_write_many(stream, &raw const good, 0, timeout_ms, &raw mut taken)));
    bad.push(c!(wsstream_write_many(stream, &raw const good, usize::MAX, timeout_ms, &raw mut taken)));
    bad.push(c!(wsstream_write_many(stream, &raw const good, 1, timeout_ms, null_mut())));
    bad
}

fn bad_write_some(stream: Handle, timeout_ms: i64) -> Vec<i32> {
    let data = b"x".as_ptr().cast();
    vec![
        c!(wsstream_write_some(stream, 9, data, 1, FIN, timeout_ms)),
        c!(wsstream_write_some(stream, TEXT, null(), 1, FIN, timeout_ms)),
        c!(wsstream_write_some(stream, TEXT, data, 1, 8, timeout_ms)),
    ]
}

type Ends = unsafe extern "C" fn(Handle, i32, *const c_char, usize) -> i32;

/// Close, cancel and abort have the same arguments.
fn bad_end(end: Ends, stream: Handle) -> Vec<i32> {
    let not_utf8 = b"\xFF".as_ptr().cast();
    vec![
        c!(end(stream, 65536, null(), 0)),
        c!(end(stream, -2, null(), 0)),
        c!(end(stream, 1000, null(), 1)),
        c!(end(stream, 1000, not_utf8, 1)),
        // ARGUMENT comes before ACCESS.
        c!(end(stream, 999, not_utf8, 1)),
    ]
}

fn end(end: Ends, stream: Handle) -> i32 {
    c!(end(stream, 4000, c"bye".as_ptr(), 3))
}

fn descriptor(stream: Handle) -> i32 {
    let mut out = 99;
    let status = c!(wsstream_fd(stream, &raw mut out));
    // 0 is a descriptor: -1 stands for none.
    assert!(if status == 0 { out >= 0 } else { out == -1 }, "{out} with {status}");
    status
}

fn statistics(stream: Handle) -> i32 {
    let mut out = Place::new();
    let size = out.bytes().len();
    let status = c!(wsstream_statistics_get(stream, out.out(), size));
    // A stream that never had a connection has counted nothing.
    if status == 0 { status } else { out.zero_unless_ok(status) }
}

unsafe extern "C-unwind" fn opened(_: Handle, _: i32, _: *mut c_void) {}
unsafe extern "C-unwind" fn closed(_: Handle, _: i32, _: *const wsstream_close_info, _: *mut c_void) {}
unsafe extern "C-unwind" fn message(_: Handle, _: i32, _: *const wsstream_message, _: *mut c_void) -> u32 {
    0
}
unsafe extern "C-unwind" fn event(_: Handle, _: u32, _: *mut c_void) {}
unsafe extern "C-unwind" fn freed(_: *mut c_void) {}

macro_rules! rows {
    ($($name:ident $waits:literal: $call:expr, $bad:expr;)*) => {
        pub const ROWS: &[Row] =
            &[$(Row { name: stringify!($name), waits: $waits, call: $call, bad: $bad },)*];
    };
}

rows! {
    wsstream_wait_opened true: |s, t| c!(wsstream_wait_opened(s, t)), none;
    wsstream_wait_closed true: wait_closed, none;
    wsstream_poll true: |s, t| poll(s, EVERY_EVENT, t).0, bad_poll;
    wsstream_read true: read, bad_read;
    wsstream_read_many true: read_many, bad_read_many;
    wsstream_read_some true: read_some, bad_read_some;
    wsstream_write true: |s, t| c!(wsstream_write(s, TEXT, b"x".as_ptr().cast(), 1, t)), bad_write;
    wsstream_write_many true: |s, t| write_one_of_many(s, b"x", t), bad_write_many;
    wsstream_write_some true: |s, t| c!(wsstream_write_some(s, TEXT, b"x".as_ptr().cast(), 1, FIN, t)), bad_write_some;
    wsstream_flush true: |s, t| c!(wsstream_flush(s, t)), none;
    wsstream_writable_close true: |s, t| c!(wsstream_writable_close(s, t)), none;
    wsstream_on_message false: |s, _| c!(wsstream_on_message(s, Some(message), null_mut())), none;
    wsstream_close false: |s, _| end(wsstream_close, s), |s, _| bad_end(wsstream_close, s);
    wsstream_readable_cancel false: |s, _| end(wsstream_readable_cancel, s), |s, _| bad_end(wsstream_readable_cancel, s);
    wsstream_writable_abort false: |s, _| end(wsstream_writable_abort, s), |s, _| bad_end(wsstream_writable_abort, s);
    wsstream_wake false: |s, _| c!(wsstream_wake(s, EVERY_EVENT)), |s, _| [0, 32].map(|events| c!(wsstream_wake(s, events))).into();
    wsstream_fd false: |s, _| descriptor(s), |s, _| vec![c!(wsstream_fd(s, null_mut()))];
    wsstream_fd_watch false: |s, _| c!(wsstream_fd_watch(s, EVERY_EVENT)), |s, _| vec![c!(wsstream_fd_watch(s, 32))];
    wsstream_on_opened false: |s, _| c!(wsstream_on_opened(s, Some(opened), null_mut())),
        |s, _| vec![c!(wsstream_on_opened(s, None, null_mut()))];
    wsstream_on_closed false: |s, _| c!(wsstream_on_closed(s, Some(closed), null_mut())),
        |s, _| vec![c!(wsstream_on_closed(s, None, null_mut()))];
    wsstream_on_event false: |s, _| c!(wsstream_on_event(s, EVERY_EVENT, Some(event), null_mut())),
        |s, _| [0, 32].map(|events| c!(wsstream_on_event(s, events, Some(event), null_mut()))).into();
    wsstream_on_freed false: |s, _| c!(wsstream_on_freed(s, Some(freed), null_mut())),
        |s, _| vec![c!(wsstream_on_freed(s, None, null_mut()))];
    wsstream_resume false: |s, _| c!(wsstream_resume(s)), none;
    wsstream_statistics_get false: |s, _| statistics(s), |s, _| vec![c!(wsstream_statistics_get(s, null_mut(), 8))];
}

/// Makes the call of that name.
#[track_caller]
pub fn call(name: &str, stream: Handle, timeout_ms: i64) -> Status {
    let row = ROWS.iter().find(|row| row.name == name).expect("a row");
    named((row.call)(stream, timeout_ms))
}

/// The answer by its name.
#[track_caller]
pub fn named(number: i32) -> Status {
    *Status::ALL.iter().find(|status| **status as i32 == number).expect("a status")
}

/// Each timeout that counts as one, for which the answer may not be waited for.
pub const TIMEOUTS: [i64; 5] = [1, 60_000, FOREVER, i64::MIN, i64::MAX];

/// Text that is not UTF-8, by each way to write.
pub fn writes_not_utf8(stream: Handle) -> [i32; 3] {
    let data = b"\xFF".as_ptr().cast();
    [
        c!(wsstream_write(stream, TEXT, data, 1, 0)),
        write_one_of_many(stream, b"\xFF", 0),
        c!(wsstream_write_some(stream, TEXT, data, 1, FIN, 0)),
    ]
}

/// What close refuses though each argument is good by itself: the code, the reason, both.
pub fn refused_closes(stream: Handle) -> [i32; 3] {
    let reason = [b'r'; 124];
    let close = |code, size| c!(wsstream_close(stream, code, reason.as_ptr().cast(), size));
    [close(1005, 3), close(1000, 124), close(999, 124)]
}

pub fn cancel(stream: Handle) -> i32 {
    end(wsstream_readable_cancel, stream)
}
pub fn abort(stream: Handle) -> i32 {
    end(wsstream_writable_abort, stream)
}
pub fn close_writing(stream: Handle) -> i32 {
    c!(wsstream_writable_close(stream, 0))
}
/// Takes one byte at most of the message at the head.
pub fn read_one_byte(stream: Handle) -> i32 {
    let (mut byte, mut chunk) = ([0_u8], Place::new());
    let status = c!(wsstream_read_some(stream, byte.as_mut_ptr().cast(), 1, FOREVER, chunk.out()));
    chunk.zero_unless_ok(status)
}
