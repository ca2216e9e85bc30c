//! What tests of the end of a stream share: frames and ends of a peer that is the test, and what all calls answer once
//! `closed` is settled. A program with this module includes it by its path, beside `support`.

#![allow(dead_code, reason = "every test program uses a part of it")]

use super::support::peer::{Connection, Received, frame};
use super::support::{Call, FOREVER, Info, Status, Stream, TEXT};
use std::io::Read;
use std::net::Shutdown;

/// More than all buffers on the way hold.
pub const LARGE: usize = 8 << 20;

pub fn close_of(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

pub fn blocked<T: Send + 'static>(
    stream: &Stream,
    call: impl FnOnce(&Stream) -> T + Send + 'static,
) -> Call<T> {
    let share = stream.reference();
    Call::blocked(move || call(&share))
}

/// The next frame is a Close with this code and no more; 1005: empty.
#[track_caller]
pub fn takes_close(connection: &mut Connection, code: u16) {
    let Received { first, payload } = connection.receive().expect("a Close");
    let body = if code == 1005 { Vec::new() } else { code.to_be_bytes().to_vec() };
    assert_eq!((first, payload), (0x88, body));
}

pub fn end_tcp(connection: &Connection) {
    connection.socket.shutdown(Shutdown::Write).expect("the end of TCP");
}

/// All that the client sends until it ends TCP, as bytes. A reset ends it as well.
pub fn rest_of(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = connection.socket.read_to_end(&mut bytes);
    bytes
}

pub fn is_close(frame: &Received) -> bool {
    frame.first == 0x88
}

/// What all calls answer once `closed` is settled, and whether they agree with it.
#[track_caller]
pub fn ended(stream: &Stream, closed: Status, read: Status, write: Status) -> Info {
    let (status, info) = stream.wait_closed(FOREVER);
    let info = info.expect("an info");
    assert_eq!((status, info.clean), (closed, closed == Status::Ok), "{info:?}");
    for timeout in [0, FOREVER] {
        assert_eq!(stream.refused_read(timeout), read, "{info:?}");
        assert_eq!(stream.write(TEXT, b"x", timeout), write, "{info:?}");
        assert_eq!(stream.flush(timeout), write, "{info:?}");
    }
    assert_eq!(stream.wait_closed(0), (status, Some(info.clone())), "it never changes");
    info
}

/// The payloads of the messages in the frames before the first Close, and that Close; nothing follows it.
#[track_caller]
pub fn messages_before_close(frames: &[Received]) -> (Vec<Vec<u8>>, Received) {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        match frame.first & 0x0F {
            8 => {
                assert_eq!(index + 1, frames.len(), "nothing follows our Close");
                return (messages, frame.clone());
            }
            0 => messages.last_mut().expect("one was begun").extend(&frame.payload),
            _ => messages.push(frame.payload.clone()),
        }
    }
    panic!("no Close behind {} frames", frames.len());
}

/// What read answers that is no message, once nobody else is inside.
pub fn last_read(stream: &Stream, timeout_ms: i64) -> Status {
    loop {
        match stream.read(timeout_ms) {
            Err(Status::Again | Status::Busy) | Ok(_) => std::thread::yield_now(),
            Err(status) => return status,
        }
    }
}
