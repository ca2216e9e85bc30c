//! What holds where one way of doing a thing ends and another begins: the memory that is received into, the order of the
//! first callbacks, the words about a Close that was not sent.

#[path = "support/halves.rs"]
mod calls;
#[path = "support/ends.rs"]
mod ending;
mod support;

use ::wsstream::ffi::stream::wsstream;
use ::wsstream::ffi::wait::wsstream_on_opened;
use calls::{cancel, connected, connected_with, statistics};
use ending::{LARGE, close_of, end_tcp, takes_close};
use std::ffi::c_void;
use std::sync::mpsc::{Sender, channel};
use support::peer::{Peer, frame, reset};
use support::{BINARY, Cause, FOREVER, Options, Status, Stream, TEXT, option, until};

const READABLE_SOME: u32 = 16;

// Rows: F02
#[test]
fn text_that_is_received_straight_into_its_message_is_judged_as_it_comes() {
    let (stream, mut connection) = connected();
    let whole = frame(0x81, &[b'a'; 100_000]);
    connection.send(&whole[..4096]);
    assert_eq!(stream.poll(READABLE_SOME, FOREVER), Ok(READABLE_SOME));
    // So much is missing that it is received into the message's own memory. Nothing comes behind the bad byte.
    connection.send(&[&[b'a'; 30_000][..], &[0xFF]].concat());
    assert_eq!(stream.refused_read(FOREVER), Status::Connection);
    takes_close(&mut connection, 1007);
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.sent_code, info.cause), (1006, 1007, Cause::Utf8), "{info:?}");
}

// Rows: O08
#[test]
fn a_message_that_comes_with_the_response_waits_for_on_opened_and_is_not_lost() {
    unsafe extern "C-unwind" fn opened(_: *mut wsstream, status: i32, user_data: *mut c_void) {
        // SAFETY: `user_data` is the sender below, which outlives the stream.
        let told = unsafe { &*user_data.cast::<Sender<(&str, Status)>>() };
        let _ = told.send(("opened", if status == 0 { Status::Ok } else { Status::Internal }));
    }
    let peer = Peer::of_scheme(None);
    let (told, calls) = channel::<(&str, Status)>();
    let stream = Stream::open(&peer.url());
    let mut connection = peer.accept();
    let messages = told.clone();
    assert_eq!(
        stream.on_message(move |status| messages.send(("message", status)).expect("the test waits")),
        Status::Ok
    );
    // SAFETY: the stream lives, and `told` lives longer.
    let registered =
        unsafe { wsstream_on_opened(stream.handle(), Some(opened), (&raw const told).cast_mut().cast()) };
    assert_eq!(registered, Status::Ok as i32);
    // An empty one takes its place in the queue as well.
    connection.switch(&[frame(0x81, b""), frame(0x81, b"second"), close_of(1000, "")].concat());
    assert_eq!(calls.recv(), Ok(("opened", Status::Ok)));
    assert_eq!(calls.recv(), Ok(("message", Status::Ok)));
    assert_eq!(calls.recv(), Ok(("message", Status::Ok)));
    end_tcp(&connection);
    assert_eq!(calls.recv(), Ok(("message", Status::Done)));
    stream.closed_cleanly();
}

// Rows: D09
#[test]
fn a_close_timeout_says_whether_the_close_was_sent() {
    for (size, words) in [(1, "did not answer"), (LARGE, "could not be sent")] {
        let (stream, _connection) = connected_with(&Options::with(option::CLOSE_TIMEOUT_MS, 50));
        let kind = if size == 1 { TEXT } else { BINARY };
        let written = stream.write(kind, &vec![b'x'; size], 0);
        assert_eq!(written, if size == 1 { Status::Ok } else { Status::Queued });
        assert_eq!(stream.close(4000, ""), Status::Ok);
        let info = stream.closed_uncleanly();
        assert_eq!(info.cause, Cause::Timeout);
        assert!(info.detail.contains(words), "{info:?}");
    }
}

// Rows: R07
#[test]
fn a_connection_that_breaks_while_reading_has_stopped_at_the_mark_ends_without_a_reader() {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 1000));
    connection.send(&frame(0x82, &[7; 500]).repeat(4));
    // Nobody reads, so the library has come as far as it goes.
    until(|| statistics(&stream).unread > 0);
    reset(connection.socket.tcp);
    let info = stream.closed_uncleanly();
    assert_eq!((info.cause, info.os_error), (Cause::System, libc::ECONNRESET), "{info:?}");
    assert_eq!(stream.refused_read(0), Status::Connection);
}

// Rows: O08
#[test]
fn a_message_callback_that_replaces_another_keeps_the_reading_half() {
    // Before the stream, which is gone first then: it calls as long as it is there.
    let (told, calls) = channel();
    let (stream, mut connection) = connected();
    for name in ["first", "second"] {
        let told = told.clone();
        let callback = move |status| told.send((name, status)).expect("it is awaited");
        assert_eq!(stream.on_message(callback), Status::Ok);
    }
    assert_eq!(stream.refused_read(0), Status::Busy);
    connection.send(&frame(0x81, b"for the second"));
    assert_eq!(calls.recv(), Ok(("second", Status::Ok)));
}

// Rows: R13
#[test]
fn a_cancel_tells_the_message_callback_although_the_peer_answers_nothing() {
    let (told, calls) = channel();
    let (stream, _connection) = connected_with(&Options::with(option::CLOSE_TIMEOUT_MS, 0));
    assert_eq!(stream.on_message(move |status| told.send(status).expect("it is awaited")), Status::Ok);
    assert_eq!(cancel(&stream, 1000, ""), Status::Ok);
    assert_eq!(calls.recv(), Ok(Status::Done));
    assert_eq!(stream.wait_closed(0).0, Status::Again);
}

// Rows: R13
#[test]
fn a_message_callback_that_comes_after_a_cancel_and_a_failure_is_told_of_the_cancel() {
    let (told, calls) = channel();
    let (stream, connection) = connected();
    assert_eq!(cancel(&stream, 1000, ""), Status::Ok);
    drop(connection);
    stream.closed_uncleanly();
    assert_eq!(stream.on_message(move |status| told.send(status).expect("it is awaited")), Status::Ok);
    assert_eq!(calls.recv(), Ok(Status::Done));
}
