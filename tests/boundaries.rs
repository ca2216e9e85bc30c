//! What holds where one way of doing a thing ends and another begins: the memory that is received into, the order of the
//! first callbacks, the words about a Close that was not sent.

#[path = "support/halves.rs"]
mod calls;
#[path = "support/ends.rs"]
mod ending;
mod support;

use ::wsstream::ffi::stream::wsstream;
use ::wsstream::ffi::wait::{wsstream_fd, wsstream_on_opened};
use calls::{cancel, connected, connected_with, read_some, statistics};
use ending::{LARGE, blocked, close_of, end_tcp, last_read, takes_close};
use std::ffi::c_void;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use support::alone::alone;
use support::peer::{Connection, Peer, frame, reset};
use support::thread::cost_of_internal_thread;
use support::{BINARY, Call, Cause, FOREVER, Options, Status, Stream, TEXT, option, until};

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

/// A stream that has stopped at its read mark with two messages, and whose socket takes no more.
fn stopped_and_full() -> (Stream, Connection) {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 1000));
    connection.send(&frame(0x82, &[7; 500]).repeat(4));
    until(|| statistics(&stream).unread > 0);
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    (stream, connection)
}

#[test]
fn a_break_behind_unsent_bytes_says_what_the_system_said_first() {
    let (stream, connection) = stopped_and_full();
    reset(connection.socket.tcp);
    let info = stream.closed_uncleanly();
    assert_eq!((info.cause, info.os_error), (Cause::System, libc::ECONNRESET), "{info:?}");
    // Behind the end of TCP a send is only told that the connection is broken, a receive that it is over.
    let (stream, connection) = stopped_and_full();
    end_tcp(&connection);
    reset(connection.socket.tcp);
    let info = stream.closed_uncleanly();
    assert_eq!(info.cause, Cause::System, "{info:?}");
    assert!([0, libc::EPIPE].contains(&info.os_error), "{info:?}");
}

// Rows: W07
#[test]
fn a_stream_that_has_stopped_reading_at_the_mark_still_sends() {
    let (stream, mut connection) = stopped_and_full();
    let mut received = 0;
    while received < LARGE {
        received += connection.receive().expect("all of it").payload.len();
    }
    for _ in 0..4 {
        assert_eq!(stream.read(FOREVER).expect("it is open").bytes(), [7; 500]);
    }
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

#[test]
fn the_rest_of_a_small_message_behind_a_full_socket_leaves_by_itself() {
    for is_read in [false, true] {
        let (stream, mut connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, 0));
        let read = is_read.then(|| blocked(&stream, |stream| last_read(stream, FOREVER)));
        if let Some(read) = &read {
            connection.send(&frame(0x81, b"first"));
            until(|| statistics(&stream).messages_received == 1);
            read.wait_blocked();
        }
        // What still sweeps the stream would send as well: it is over by now.
        std::thread::sleep(Duration::from_millis(50));
        let mut count = 1;
        let last = loop {
            match stream.write(BINARY, &[7; 1000], 0) {
                Status::Ok => count += 1,
                other => break other,
            }
        };
        assert_eq!(last, Status::Queued);
        for _ in 0..count {
            let received = connection.receive().expect("all of them");
            assert_eq!((received.first, received.payload), (0x82, vec![7; 1000]));
        }
        drop(connection);
        assert_eq!(read.map_or(Status::Connection, Call::join), Status::Connection);
    }
}

#[test]
fn a_stream_on_which_nothing_happens_costs_the_internal_thread_nothing() {
    alone("a_stream_on_which_nothing_happens_costs_the_internal_thread_nothing", || {
        let rests = || {
            let before = cost_of_internal_thread();
            std::thread::sleep(Duration::from_millis(500));
            let now = cost_of_internal_thread();
            now.0 - before.0 < 20 && now.1 - before.1 < 5_000_000
        };
        let (stream, mut connection) = connected();
        stream.writes_text("echo");
        let echo = connection.receive().expect("a message");
        connection.send(&frame(echo.first, &echo.payload));
        stream.reads_text("echo");
        // It sweeps for some time.
        assert!((0..10).any(|_| rests()), "while it is open");
        drop(connection);
        stream.closed_uncleanly();
        assert!((0..10).any(|_| rests()), "after its end");
    });
}

#[test]
fn what_was_sent_and_what_is_unsent_are_all_that_was_taken() {
    if support::is_secure() {
        // There what TLS made of it is unsent.
        return;
    }
    let (stream, mut connection) = connected();
    let handshake = statistics(&stream).wire_sent;
    let frames: u64 = (LARGE as u64).div_ceil(256 << 10);
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    let mut unsent = u64::MAX;
    while unsent > 0 {
        let counted = statistics(&stream);
        assert_eq!(counted.wire_sent - handshake + counted.unsent, LARGE as u64 + 14 * frames);
        if counted.unsent < unsent {
            unsent = counted.unsent;
            // The peer makes room, a frame at a time.
            connection.receive().expect("a frame");
        }
    }
}

/// How long a peer waits for its pong after `prepare` has had a stream of its own. Load makes some of fifty late, but not
/// all; an internal thread that comes one sweep later makes all of them later than ten milliseconds.
fn pongs_come_within_10_ms(mut prepare: impl FnMut(&Stream, &mut Connection)) {
    let mut times = (0..50).map(|_| {
        let (stream, mut connection) = connected();
        prepare(&stream, &mut connection);
        let begin = Instant::now();
        connection.send(&frame(0x89, b"ping"));
        assert_eq!(connection.receive().expect("a pong").first, 0x8a);
        begin.elapsed()
    });
    let soon = Duration::from_millis(10);
    assert!(times.any(|time| time < soon), "none within {soon:?}");
}

#[test]
fn a_ping_is_answered_within_10_ms_though_the_reader_has_just_left() {
    pongs_come_within_10_ms(|stream, connection| {
        connection.send(&frame(0x81, b"message"));
        stream.reads_text("message");
    });
}

#[test]
fn a_ping_is_answered_within_10_ms_though_the_event_loop_does_not_come() {
    pongs_come_within_10_ms(|stream, connection| {
        connection.send(&frame(0x81, b"message"));
        stream.reads_text("message");
        let mut descriptor = -1;
        // SAFETY: the stream lives, and so does the place for the answer.
        let status = unsafe { wsstream_fd(stream.handle(), &raw mut descriptor) };
        assert_eq!(status, Status::Ok as i32);
        // The poller watches it again when the internal thread has answered one.
        connection.send(&frame(0x89, b"ping"));
        assert_eq!(connection.receive().expect("a pong").first, 0x8a);
    });
}

/// How many of forty messages a reader gets that is away for less than a sweep each time, where the connection ends
/// behind them.
fn read_by_one_that_comes_and_goes(mark: i64, end: fn(Connection) -> Option<Connection>) -> usize {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, mark));
    connection.send(&frame(0x82, b"message").repeat(40));
    let connection = end(connection);
    let mut count = 0;
    while stream.read(FOREVER).is_ok() {
        count += 1;
        std::thread::sleep(Duration::from_micros(300));
    }
    assert!(!stream.closed_uncleanly().clean);
    drop(connection);
    count
}

// Rows: R07
#[test]
fn a_reader_that_comes_and_goes_gets_what_came_before_an_unclean_end() {
    let ends: [fn(Connection) -> Option<Connection>; 3] = [
        |connection| {
            end_tcp(&connection);
            Some(connection)
        },
        |mut connection| {
            // A reserved bit.
            connection.send(&[0xC2, 0]);
            Some(connection)
        },
        |connection| {
            reset(connection.socket.tcp);
            None
        },
    ];
    for end in ends {
        for mark in [1 << 10, 1 << 18] {
            // Where load keeps it away for two sweeps the rest is lost, but not each time.
            until(|| read_by_one_that_comes_and_goes(mark, end) == 40);
        }
    }
}

#[test]
fn beside_a_descriptor_a_message_that_is_taken_in_parts_is_held_up_to_the_mark() {
    const MARK: i64 = 64 << 10;
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, MARK));
    let mut descriptor = -1;
    // SAFETY: the stream lives, and so does the place for the answer.
    let status = unsafe { wsstream_fd(stream.handle(), &raw mut descriptor) };
    assert_eq!(status, Status::Ok as i32);
    let sending = std::thread::spawn(move || {
        connection.send(&frame(0x82, &vec![7; LARGE]));
        connection
    });
    let (mut taken, mut most) = (0, 0);
    while taken < LARGE {
        // It comes back within each sweep.
        std::thread::sleep(Duration::from_micros(300));
        match read_some(&stream, if taken < 100_000 { 1000 } else { LARGE }, 0) {
            Ok(part) => taken += part.bytes.len(),
            Err(status) => assert_eq!(status, Status::Again),
        }
        most = most.max(statistics(&stream).unread);
    }
    drop(sending.join());
    // The last receive goes beyond it.
    assert!(most <= MARK as u64 + (257 << 10), "{most} bytes");
}
