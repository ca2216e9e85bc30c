//! What the tests of the C interface share: the server, a thin wrapper over the C functions, threads that are known
//! to be blocked, and a deadline for every test.
//!
//! Knows nothing of the library but its exported functions; the wrapper adds no behaviour of its own.

#![allow(dead_code, unused_imports, reason = "every test program uses a part of it")]

pub mod alone;
pub mod deadline;
pub mod flood;
pub mod heap;
pub mod held_up;
pub mod peer;
pub mod reader;
pub mod record;
pub mod server;
pub mod stream;
pub mod thread;

pub use deadline::turn;
pub use record::{Frame, Record};
pub use server::server;
pub use stream::{BINARY, FIN, Info, MORE, Message, NO_CODE, Options, Stream, TEXT, option};
pub use thread::Call;
pub use wsstream::stream::{Cause, Initiator, Phase, Status};

use std::time::{Duration, Instant};

/// Whether WSSTREAM_TEST_SCHEME asks for wss: the test server's URLs are wss:// then, and so are those of peers that say so.
pub fn is_secure() -> bool {
    match std::env::var("WSSTREAM_TEST_SCHEME").as_deref() {
        Ok("wss") => true,
        Ok("ws" | "") | Err(_) => false,
        Ok(other) => panic!("WSSTREAM_TEST_SCHEME is {other}, neither ws nor wss"),
    }
}

/// Whether to skip what cannot be shown over TLS, for this reason.
pub fn plain_only(why: &str) -> bool {
    if is_secure() {
        println!("skipped over wss: {why}");
    }
    is_secure()
}

pub const FOREVER: i64 = -1;
pub const OPENED: u32 = 1;
pub const READABLE: u32 = 2;
pub const WRITABLE: u32 = 4;
pub const CLOSED: u32 = 8;

/// Descriptors that this process has open.
pub fn descriptor_count() -> usize {
    // The listing itself has one open.
    std::fs::read_dir("/proc/self/fd").expect("Linux lists them").count() - 1
}

/// Threads of this process whose name begins so.
pub fn thread_count(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists them");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.starts_with(name)).count()
}

/// Looks again until it holds: for what the library does in its own time and tells nobody. The deadline of the test
/// ends it.
pub fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same where a millisecond is too long.
pub fn until_spinning(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::yield_now();
    }
}

/// Makes a call 20 times that may not wait and finds nothing: a machine that is busy holds some of them up, not all.
#[track_caller]
pub fn is_again_at_once(mut call: impl FnMut() -> Status) {
    let took = (0..20).map(|_| {
        let begun = Instant::now();
        assert_eq!(call(), Status::Again);
        begun.elapsed()
    });
    let quickest = took.min().expect("20 of them");
    assert!(quickest < Duration::from_millis(5), "{quickest:?}");
}

/// Makes a call that finds nothing in so many ms, which it waits.
#[track_caller]
pub fn is_again_after(timeout_ms: i64, call: impl FnOnce(i64) -> Status) {
    let begun = Instant::now();
    assert_eq!(call(timeout_ms), Status::Again);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(timeout_ms.unsigned_abs()), "{took:?} of {timeout_ms} ms");
}

/// What is here is to be had by a call that may not wait: one that answers AGAIN has let another thread, which the system
/// holds up, go on for a while.
#[track_caller]
pub fn has_what_is_here<T>(call: impl Fn() -> Result<T, Status>) -> T {
    loop {
        let begun = Instant::now();
        match call() {
            Ok(there) => return there,
            Err(status) => assert_eq!(status, Status::Again),
        }
        assert!(begun.elapsed() >= Duration::from_millis(10), "nobody was waited for");
    }
}

/// The same for a message.
#[track_caller]
pub fn reads_what_is_here(stream: &Stream) -> Message {
    has_what_is_here(|| stream.read(0))
}

/// What /count sends in a text message.
pub fn counted_text(index: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + ((index + at) % 26) as u8).collect()
}

/// Bytes that do not repeat with a power of two.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

/// A frame as a server sends it: `first` is FIN, RSV and the opcode.
pub fn frame_bytes(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        size @ 0..=125 => bytes.push(size as u8),
        size @ 126..=0xFFFF => {
            bytes.push(126);
            bytes.extend((size as u16).to_be_bytes());
        }
        size => {
            bytes.push(127);
            bytes.extend((size as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// The same in hexadecimal.
pub fn frame(first: u8, payload: &[u8]) -> String {
    hex(&frame_bytes(first, payload))
}

/// A server's Close frame in hexadecimal.
pub fn close_frame(code: u16) -> String {
    frame(0x88, &code.to_be_bytes())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
