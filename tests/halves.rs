//! How either half ends, for those inside and for those that come later, and what the two halves leave each other: every
//! call that reads, every call that writes, over each end there is.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::{abort, cancel, connected, connected_with, part, read_some, statistics, writable_close};
use std::time::{Duration, Instant};
use support::alone::{Held, alone, hold_internal};
use support::peer::{Connection, frame, reset};
use support::{
    BINARY, CLOSED, Call, Cause, FIN, FOREVER, Initiator, MORE, NO_CODE, Options, READABLE, Status, Stream,
    TEXT, WRITABLE, option, server,
};

/// More than all buffers on the way hold.
const LARGE: usize = 8 << 20;
const READABLE_SOME: u32 = 16;
const EVERYTHING: u32 = 31;
/// Long enough never to run out.
const LONG: i64 = 60_000;

fn blocked<T: Send + 'static>(stream: &Stream, call: impl FnOnce(&Stream) -> T + Send + 'static) -> Call<T> {
    let share = stream.reference();
    Call::blocked(move || call(&share))
}

fn close_of(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// Whether the client may have ended TCP itself: K17 gives the peer a second.
fn is_over(since: Instant) -> bool {
    since.elapsed() >= Duration::from_secs(1)
}

/// Takes the client's Close, answers it and ends TCP.
#[track_caller]
fn answer_close(connection: &mut Connection, expected: &[u8]) {
    let close = connection.receive().expect("a Close");
    assert_eq!((close.first, close.payload.as_slice()), (0x88, expected));
    connection.send(&frame(0x88, expected));
    connection.socket.shutdown(std::net::Shutdown::Write).expect("the end of TCP");
}

type End = fn(&Stream);
type Read = fn(&Stream) -> Status;

/// The four ways to end the writing half from this side, all with an empty Close.
const LOCAL_ENDS: [(&str, End); 4] = [
    ("close", |stream| assert_eq!(stream.close(NO_CODE, ""), Status::Ok)),
    ("writable_close", |stream| assert_eq!(writable_close(stream, 0), Status::Again)),
    ("writable_abort", |stream| assert_eq!(abort(stream, NO_CODE, ""), Status::Ok)),
    ("readable_cancel", |stream| assert_eq!(cancel(stream, NO_CODE, ""), Status::Ok)),
];

/// Every call that writes answers this, whatever its time.
#[track_caller]
fn writes_answer(stream: &Stream, expected: Status) {
    for timeout in [0, 1, FOREVER] {
        assert_eq!(stream.write(TEXT, b"x", timeout), expected);
        assert_eq!(stream.write(BINARY, &[7; 100_000], timeout), expected);
        assert_eq!(stream.write(TEXT, &[0xFF], timeout), expected, "its UTF-8 is not looked at");
        assert_eq!(stream.write_some(TEXT, b"x", 0, timeout), expected);
        assert_eq!(stream.write_some(BINARY, b"", FIN | MORE, timeout), expected);
        assert_eq!(stream.flush(timeout), expected);
        assert_eq!(writable_close(stream, timeout), expected);
        assert_eq!(stream.write(3, b"x", timeout), Status::Argument, "what is wrong in any state");
    }
    assert_eq!(stream.poll(WRITABLE, 0), Ok(WRITABLE), "it is writable for ever");
}

/// Every call that reads answers this, whatever its time.
#[track_caller]
fn reads_answer(stream: &Stream, expected: Status) {
    for timeout in [0, 1, FOREVER] {
        assert_eq!(stream.refused_read(timeout), expected);
        assert_eq!(stream.read_many(timeout, 5).err(), Some(expected));
        assert_eq!(read_some(stream, 10, timeout), Err(expected));
        assert_eq!(read_some(stream, 0, timeout), Err(expected));
        assert_eq!(stream.read_many(timeout, 0).err(), Some(Status::Argument));
    }
    let both = READABLE | READABLE_SOME;
    assert_eq!(stream.poll(both, 0), Ok(both), "it is readable for ever");
}

// Rows: D01, W15, W16, W19, C19
#[test]
fn a_local_end_is_the_status_of_every_later_write_whatever_comes_after_it() {
    for (name, end) in LOCAL_ENDS {
        for is_clean in [true, false] {
            let (stream, mut connection) = connected();
            end(&stream);
            writes_answer(&stream, Status::State);
            assert_eq!(stream.wait_closed(0).0, Status::Again, "{name}: only the half has ended");
            if is_clean {
                answer_close(&mut connection, b"");
                let info = stream.closed_cleanly();
                assert_eq!((info.code, info.sent_code, info.initiator), (1005, 1005, Initiator::Local));
            } else {
                drop(connection);
                assert_eq!(stream.closed_uncleanly().code, 1006, "{name}");
            }
            writes_answer(&stream, Status::State);
        }
    }
}

// Rows: W15, R06, R08
#[test]
fn the_peers_close_ends_writing_when_it_is_seen_and_reading_when_tcp_ends() {
    let (stream, mut connection) = connected();
    let since = Instant::now();
    connection.send(&[frame(0x81, b"last"), close_of(4001)].concat());
    assert_eq!(connection.receive().expect("the reply").payload, 4001u16.to_be_bytes());
    writes_answer(&stream, Status::State);
    stream.reads_text("last");
    let answers = (stream.poll(CLOSED, 0), stream.refused_read(0), read_some(&stream, 1, 0));
    let expected = (Err(Status::Again), Status::Again, Err(Status::Again));
    assert!(answers == expected || is_over(since), "{answers:?}");
    let read = blocked(&stream, |stream| stream.refused_read(FOREVER));
    assert!(!read.is_finished() || is_over(since), "TCP has not ended");
    connection.socket.shutdown(std::net::Shutdown::Write).expect("the end of TCP");
    assert_eq!(read.join(), Status::Done);
    assert_eq!(stream.closed_cleanly().code, 4001);
    reads_answer(&stream, Status::Done);
    writes_answer(&stream, Status::State);
}

// Rows: W16, R07
#[test]
fn a_failed_connection_is_the_status_of_every_later_call_and_discards_what_was_received() {
    let mistake = frame(0x83, b"");
    for bytes in [&[][..], &mistake] {
        let (stream, mut connection) = connected();
        connection.send(&[frame(0x81, b"lost"), frame(0x01, b"half")].concat());
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE), "it is here");
        connection.send(bytes);
        drop(connection);
        assert_eq!(stream.closed_uncleanly().code, 1006);
        reads_answer(&stream, Status::Connection);
        writes_answer(&stream, Status::Connection);
        // What would have ended it otherwise comes too late.
        assert_eq!(stream.close(1000, ""), Status::Ok);
        assert_eq!((abort(&stream, NO_CODE, ""), cancel(&stream, NO_CODE, "")), (Status::Ok, Status::Ok));
        reads_answer(&stream, Status::Connection);
        writes_answer(&stream, Status::Connection);
    }
}

// Rows: R07, R08
#[test]
fn an_unclean_end_behind_the_peers_close_gives_what_is_queued_and_then_the_error() {
    let (stream, mut connection) = connected();
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    connection
        .send(&[frame(0x81, b"one"), frame(0x82, b"two"), frame(0x01, b"half"), close_of(4567)].concat());
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.cause, info.initiator), (4567, Cause::Unsent, Initiator::Remote), "{info:?}");
    stream.reads_text("one");
    assert_eq!(read_some(&stream, 2, FOREVER), part(BINARY, b"tw", false, 1));
    assert_eq!(read_some(&stream, 2, FOREVER), part(BINARY, b"o", true, 0));
    reads_answer(&stream, Status::Connection);
    writes_answer(&stream, Status::State);
}

/// Each way to wait for a message.
const READS: [(&str, Read); 3] = [
    ("read", |stream| stream.refused_read(FOREVER)),
    ("read_many", |stream| stream.read_many(FOREVER, 3).map(|_| ()).expect_err("no message")),
    ("read_some", |stream| read_some(stream, 3, FOREVER).expect_err("no part")),
];

// Rows: R06, R07, R13
#[test]
fn a_read_that_waits_answers_what_the_half_ends_with() {
    type PeerEnd = fn(&Stream, Connection);
    let ends: [(&str, PeerEnd, Status); 5] = [
        (
            "a Close of the peer",
            |_, mut connection| {
                connection.send(&close_of(1000));
                // The client's Close, and TCP ends.
                assert_eq!(connection.receive().expect("the reply").first, 0x88);
            },
            Status::Done,
        ),
        (
            "a mistake of the peer",
            |_, mut connection| {
                connection.send(&frame(0x83, b""));
                assert_eq!(connection.receive().expect("a Close").payload, 1002u16.to_be_bytes());
            },
            Status::Connection,
        ),
        ("an end without Close", |_, _| (), Status::Connection),
        (
            "a local close",
            |stream, mut connection| {
                assert_eq!(stream.close(1000, ""), Status::Ok);
                answer_close(&mut connection, &1000u16.to_be_bytes());
            },
            Status::Done,
        ),
        (
            "a local close without an answer",
            |stream, _| {
                assert_eq!(stream.close(1000, ""), Status::Ok);
            },
            Status::Connection,
        ),
    ];
    for (call, read) in READS {
        for (name, end, expected) in ends {
            let (stream, connection) = connected();
            let read = blocked(&stream, read);
            end(&stream, connection);
            assert_eq!(read.join(), expected, "{call}: {name}");
        }
        // A cancel does not wait for the peer, and free for nobody.
        let (stream, _connection) = connected();
        let first = blocked(&stream, read);
        assert_eq!(cancel(&stream, 4000, ""), Status::Ok);
        assert_eq!(first.join(), Status::Done, "{call}");
        assert_eq!(stream.wait_closed(0).0, Status::Again, "{call}");
        let (stream, _connection) = connected();
        let second = blocked(&stream, read);
        stream.free();
        assert_eq!(second.join(), Status::State, "{call}");
    }
}

// Rows: R10, R13, R14, C23, D03
#[test]
fn cancel_throws_away_what_was_received_and_what_still_comes_and_returns_at_once() {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 1000));
    connection.send(&[frame(0x81, b"one"), frame(0x82, b"two"), frame(0x01, b"half")].concat());
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    assert_eq!(cancel(&stream, NO_CODE, ""), Status::Ok);
    reads_answer(&stream, Status::Done);
    assert_eq!(stream.wait_closed(0).0, Status::Again);
    // It is drained past the mark, and nobody reads.
    connection.send(&[frame(0x80, b"half"), frame(0x82, &[7; 100_000]).repeat(20)].concat());
    reads_answer(&stream, Status::Done);
    answer_close(&mut connection, b"");
    assert_eq!(stream.closed_cleanly().code, 1005);
    reads_answer(&stream, Status::Done);
}

// Rows: R13
#[test]
fn cancel_stays_done_however_the_connection_ends() {
    for is_parted in [false, true] {
        let (stream, mut connection) = connected();
        if is_parted {
            connection.send(&frame(0x02, b"parts"));
            assert_eq!(read_some(&stream, 2, FOREVER), part(BINARY, b"pa", false, 3));
        }
        assert_eq!(cancel(&stream, 4000, "x"), Status::Ok);
        reads_answer(&stream, Status::Done);
        drop(connection);
        assert_eq!(stream.closed_uncleanly().code, 1006);
        reads_answer(&stream, Status::Done);
        writes_answer(&stream, Status::State);
    }
    let stream = Stream::open(&server().url("/handshake?stall=1"));
    assert_eq!(cancel(&stream, 4000, "x"), Status::Ok);
    reads_answer(&stream, Status::Done);
    assert_eq!(stream.closed_uncleanly().code, 1006);
    reads_answer(&stream, Status::Done);
    writes_answer(&stream, Status::State);
}

// Rows: R15
#[test]
fn cancel_after_close_and_close_after_cancel_send_one_close() {
    let ends: [End; 3] = [
        |stream| assert_eq!(cancel(stream, 4001, "cancel"), Status::Ok),
        |stream| assert_eq!(stream.close(4001, "close"), Status::Ok),
        |stream| assert_eq!(abort(stream, 4001, "abort"), Status::Ok),
    ];
    for first in ends {
        for second in ends {
            let (url, id) = server().recorded("/echo");
            let stream = Stream::opened(&url);
            first(&stream);
            second(&stream);
            let info = stream.closed_cleanly();
            second(&stream);
            first(&stream);
            assert_eq!(stream.closed_cleanly(), info);
            let record = server().record(&id).lawful();
            assert_eq!((record.count("close"), record.close()), (1, ("4001", info.reason.as_str())));
        }
    }
    // After the peer's Close: no second end either, and what was received before it is still thrown away.
    let stream = Stream::opened(&server().url("/count?n=3&size=5"));
    stream.closed_cleanly();
    assert_eq!(cancel(&stream, 4000, ""), Status::Ok);
    reads_answer(&stream, Status::Done);
    assert_eq!(stream.closed_cleanly().code, 1000);
}

// Rows: W10, W11
#[test]
fn writable_close_waits_for_the_end_of_the_connection() {
    for timeout in [FOREVER, LONG] {
        let (stream, mut connection) = connected();
        let close = blocked(&stream, move |stream| writable_close(stream, timeout));
        assert_eq!(connection.receive().expect("a Close").payload, b"");
        assert_eq!(stream.poll(CLOSED, 20), Err(Status::Again));
        let since = Instant::now();
        connection.send(&frame(0x88, b""));
        assert!(stream.poll(CLOSED, 20) == Err(Status::Again) || is_over(since));
        assert!(!close.is_finished() || is_over(since), "TCP has not ended");
        connection.socket.shutdown(std::net::Shutdown::Write).expect("the end of TCP");
        assert_eq!(close.join(), Status::Ok);
        let info = stream.closed_cleanly();
        assert_eq!((info.code, info.sent_code, info.initiator), (1005, 1005, Initiator::Local));
    }
}

// Rows: W11
#[test]
fn writable_close_tells_an_unclean_end_and_goes_on_when_its_time_is_over() {
    let (stream, mut connection) = connected();
    let close = blocked(&stream, |stream| writable_close(stream, FOREVER));
    assert_eq!(connection.receive().expect("a Close").payload, b"");
    drop(connection);
    assert_eq!(close.join(), Status::Connection);
    for timeout in [0, 10] {
        let (stream, mut connection) = connected();
        assert_eq!(writable_close(&stream, timeout), Status::Again);
        assert_eq!(writable_close(&stream, timeout), Status::State, "it has begun");
        answer_close(&mut connection, b"");
        stream.closed_cleanly();
    }
}

/// Whole messages that come before the client's Close: their sizes.
fn sizes_until_close(connection: &mut Connection) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut size = 0;
    loop {
        let frame = connection.receive().expect("a frame");
        if frame.first & 0x0F == 8 {
            assert_eq!(size, 0, "no message is cut off");
            return sizes;
        }
        size += frame.payload.len();
        if frame.first & 0x80 != 0 {
            sizes.push(std::mem::take(&mut size));
        }
    }
}

// Rows: W12, C17, C18
#[test]
fn a_local_end_lets_a_write_that_waits_for_room_go_with_nothing_taken() {
    for (index, (name, end)) in LOCAL_ENDS.into_iter().enumerate() {
        let (stream, mut connection) = connected();
        assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
        let timeout = [FOREVER, LONG][index % 2];
        let write = blocked(&stream, move |stream| stream.write(TEXT, b"never", timeout));
        assert!(!write.is_finished(), "{name}");
        end(&stream);
        assert_eq!(write.join(), Status::State, "{name}");
        assert_eq!(sizes_until_close(&mut connection), [LARGE], "{name}");
    }
}

// Rows: W12, C17
#[test]
fn a_write_that_was_taken_goes_on_after_a_local_end_and_precedes_the_close() {
    for (index, (name, end)) in LOCAL_ENDS.into_iter().enumerate() {
        let (stream, mut connection) = connected();
        let timeout = [LONG, FOREVER][index % 2];
        let write = blocked(&stream, move |stream| stream.write(BINARY, &vec![7; LARGE], timeout));
        end(&stream);
        write.wait_blocked();
        assert!(!write.is_finished(), "{name}");
        assert_eq!(sizes_until_close(&mut connection), [LARGE], "{name}");
        assert_eq!(write.join(), Status::Ok, "{name}");
    }
    // Its time runs out behind the local end: it is on its way like any other.
    let (stream, mut connection) = connected();
    let write = blocked(&stream, |stream| stream.write(BINARY, &vec![7; LARGE], 200));
    assert_eq!(stream.close(NO_CODE, ""), Status::Ok);
    assert_eq!(write.join(), Status::Queued);
    assert_eq!(sizes_until_close(&mut connection), [LARGE]);
}

/// A writer inside its call: the first has been taken and waits, the second waits for room.
fn inside_a_write(stream: &Stream, is_taken: bool, timeout: i64) -> Call<Status> {
    if is_taken {
        return blocked(stream, move |stream| stream.write(BINARY, &vec![7; LARGE], timeout));
    }
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    blocked(stream, move |stream| stream.write(TEXT, b"never", timeout))
}

// Rows: W17, W18
#[test]
fn the_peers_close_ends_a_write_under_way_with_state_and_the_connection_uncleanly() {
    for (is_taken, timeout) in [(true, FOREVER), (true, LONG), (false, FOREVER), (false, LONG)] {
        let (stream, mut connection) = connected();
        let write = inside_a_write(&stream, is_taken, timeout);
        assert!(!write.is_finished());
        connection.send(&close_of(4567));
        assert_eq!(write.join(), Status::State);
        writes_answer(&stream, Status::State);
        let info = stream.closed_uncleanly();
        assert_eq!((info.code, info.cause, info.sent_code), (4567, Cause::Unsent, 0), "{info:?}");
        writes_answer(&stream, Status::State);
        reads_answer(&stream, Status::Connection);
    }
    let (stream, mut connection) = connected();
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    let flush = blocked(&stream, |stream| stream.flush(FOREVER));
    connection.send(&close_of(4567));
    assert_eq!(flush.join(), Status::State);
    assert_eq!(stream.closed_uncleanly().code, 4567);
}

// Rows: W17
#[test]
fn a_close_of_the_peer_that_crosses_ours_behind_an_unfinished_write_is_unclean() {
    let (stream, mut connection) = connected();
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    assert_eq!(stream.close(4000, "ours"), Status::Ok);
    connection.send(&close_of(4567));
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.cause, info.sent_code), (4567, Cause::Unsent, 0), "{info:?}");
    writes_answer(&stream, Status::State);
}

// Rows: W16
#[test]
fn a_failing_connection_ends_a_write_under_way_with_connection() {
    for (is_taken, timeout) in [(true, FOREVER), (true, LONG), (false, FOREVER), (false, LONG)] {
        for is_mistake in [false, true] {
            let (stream, mut connection) = connected();
            let write = inside_a_write(&stream, is_taken, timeout);
            if is_mistake {
                connection.send(&frame(0x83, b""));
            }
            drop(connection);
            assert_eq!(write.join(), Status::Connection);
            assert_eq!(stream.closed_uncleanly().code, 1006);
            writes_answer(&stream, Status::Connection);
        }
    }
    let (stream, connection) = connected();
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    let flush = blocked(&stream, |stream| stream.flush(FOREVER));
    drop(connection);
    assert_eq!(flush.join(), Status::Connection);
}

// Rows: W12, W10
#[test]
fn an_open_message_is_given_up_by_every_local_end_but_writable_close() {
    for (name, end) in LOCAL_ENDS.into_iter().filter(|(name, _)| *name != "writable_close") {
        let (stream, mut connection) = connected();
        assert_eq!(stream.write_some(TEXT, b"held", FIN | MORE, FOREVER), Status::Ok);
        assert_eq!(stream.write_some(BINARY, b"begun", 0, FOREVER), Status::Ok);
        assert_eq!(writable_close(&stream, FOREVER), Status::State, "{name}");
        assert_eq!(writable_close(&stream, 0), Status::State, "{name}");
        end(&stream);
        assert_eq!(stream.write_some(BINARY, b"end", FIN, FOREVER), Status::State, "{name}");
        let frames: Vec<_> = (0..3).map(|_| connection.receive().expect("a frame")).collect();
        let seen: Vec<_> = frames.iter().map(|frame| (frame.first, frame.payload.as_slice())).collect();
        assert_eq!(seen, [(0x81, &b"held"[..]), (0x02, b"begun"), (0x88, b"")], "{name}");
    }
}

#[test]
fn parts_come_as_they_are_here_and_their_end_when_it_is_known() {
    let (stream, mut connection) = connected();
    assert_eq!(read_some(&stream, 0, 0), Err(Status::Again));
    assert_eq!(read_some(&stream, 1, 1), Err(Status::Again));
    connection.send(&frame(0x01, "aü".as_bytes().split_at(2).0));
    assert_eq!(stream.poll(READABLE_SOME, FOREVER), Ok(READABLE_SOME));
    for _ in 0..3 {
        // A look takes nothing and begins nothing.
        assert_eq!(read_some(&stream, 0, FOREVER), part(TEXT, b"", false, 2));
        assert_eq!(stream.refused_read(0), Status::Again);
    }
    assert_eq!(read_some(&stream, 1, FOREVER), part(TEXT, b"a", false, 1));
    assert_eq!(read_some(&stream, 0, 0), part(TEXT, b"", false, 1));
    assert_eq!(read_some(&stream, 1, FOREVER), part(TEXT, &[0xC3], false, 0));
    for capacity in [0, 1] {
        assert_eq!(read_some(&stream, capacity, 0), Err(Status::Again));
        assert_eq!(read_some(&stream, capacity, 2), Err(Status::Again));
    }
    for timeout in [0, 1, FOREVER] {
        assert_eq!(stream.refused_read(timeout), Status::State);
        assert_eq!(stream.read_many(timeout, 1).err(), Some(Status::State));
    }
    connection.send(&[frame(0x00, &[0xBC]), frame(0x89, b"p"), frame(0x80, b"")].concat());
    assert_eq!(connection.receive().expect("a pong").first, 0x8A);
    // Its end may be known by now or not.
    let last = read_some(&stream, 1, FOREVER).expect("the last byte");
    assert_eq!((last.kind, last.bytes.as_slice(), last.available), (TEXT, &[0xBC][..], 0));
    if !last.fin {
        assert_eq!(read_some(&stream, 0, FOREVER), part(TEXT, b"", false, 0), "a look does not take the end");
        assert_eq!(stream.refused_read(0), Status::State);
        assert_eq!(read_some(&stream, 1, FOREVER), part(TEXT, b"", true, 0));
    }
    connection.send(&frame(0x02, b"x"));
    assert_eq!(read_some(&stream, 9, FOREVER), part(BINARY, b"x", false, 0));
    connection.send(&frame(0x80, b""));
    assert_eq!(read_some(&stream, 0, FOREVER), part(BINARY, b"", false, 0), "a look does not take the end");
    assert_eq!(stream.refused_read(0), Status::State);
    assert_eq!(read_some(&stream, 9, FOREVER), part(BINARY, b"", true, 0));
    connection.send(&[frame(0x82, b""), frame(0x81, b"whole")].concat());
    assert_eq!(read_some(&stream, 0, FOREVER), part(BINARY, b"", false, 0));
    assert_eq!(read_some(&stream, 1, FOREVER), part(BINARY, b"", true, 0));
    stream.reads_text("whole");
}

/// Each call that stays inside the writing half of a stream without room, until it is woken.
const WRITES: [fn(&Stream) -> Status; 3] = [
    |stream| stream.write(TEXT, b"inside", FOREVER),
    |stream| stream.write_some(TEXT, b"inside", 0, FOREVER),
    |stream| stream.flush(FOREVER),
];

#[track_caller]
fn reads_are_busy(stream: &Stream) {
    for timeout in [0, 1, FOREVER] {
        assert_eq!(stream.refused_read(timeout), Status::Busy);
        assert_eq!(stream.read_many(timeout, 2).err(), Some(Status::Busy));
        assert_eq!(read_some(stream, 2, timeout), Err(Status::Busy));
        assert_eq!(read_some(stream, 0, timeout), Err(Status::Busy));
    }
    assert_eq!(stream.on_message(|_| ()), Status::Busy);
}

#[track_caller]
fn writes_are_busy(stream: &Stream) {
    for timeout in [0, 1, FOREVER] {
        assert_eq!(stream.write(TEXT, b"x", timeout), Status::Busy);
        assert_eq!(stream.write_some(TEXT, b"x", FIN, timeout), Status::Busy);
        assert_eq!(stream.flush(timeout), Status::Busy);
    }
}

#[test]
fn each_call_of_a_half_makes_the_others_of_it_busy_and_no_call_of_the_other_half() {
    for (name, read) in READS {
        let (stream, _connection) = connected();
        let read = blocked(&stream, read);
        reads_are_busy(&stream);
        assert_eq!((stream.write(TEXT, b"x", 0), stream.flush(0)), (Status::Ok, Status::Ok), "{name}");
        assert_eq!(stream.wake(READABLE | READABLE_SOME), Status::Ok);
        assert_eq!(read.join(), Status::Again, "{name}");
        assert_eq!(stream.refused_read(0), Status::Again, "{name}");
    }
    for write in WRITES {
        let (stream, _connection) = connected();
        assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
        let write = blocked(&stream, write);
        writes_are_busy(&stream);
        assert_eq!((stream.refused_read(0), read_some(&stream, 1, 0)), (Status::Again, Err(Status::Again)));
        assert_eq!(stream.wake(WRITABLE), Status::Ok);
        assert_eq!(write.join(), Status::Again);
        assert_eq!(stream.write(TEXT, b"x", 0), Status::Again);
    }
}

// Rows: C24
#[test]
fn what_belongs_to_no_half_is_welcome_while_both_are_busy() {
    for (name, end) in LOCAL_ENDS {
        let (stream, _connection) = connected();
        let read = blocked(&stream, |stream| stream.refused_read(FOREVER));
        let write = blocked(&stream, |stream| stream.write(BINARY, &vec![7; LARGE], FOREVER));
        let closed = blocked(&stream, |stream| stream.wait_closed(FOREVER).0);
        assert_eq!((stream.poll(EVERYTHING, 0), stream.poll(READABLE, 1)), (Ok(1), Err(Status::Again)));
        assert_eq!((stream.wait_opened(0), stream.wait_closed(0).0), (Status::Ok, Status::Again));
        assert!(statistics(&stream).unsent > 0, "{name}");
        assert_eq!((stream.url().is_empty(), stream.protocol().as_str()), (false, ""));
        end(&stream);
        assert_eq!(stream.poll(WRITABLE, 0), Ok(WRITABLE), "{name}");
        assert!(!read.is_finished() || name == "readable_cancel", "{name}");
        stream.free();
        let last = if name == "readable_cancel" { Status::Done } else { Status::State };
        assert!([last, Status::State].contains(&read.join()), "{name}");
        assert_eq!((write.join(), closed.join()), (Status::State, Status::State), "{name}");
    }
}

#[test]
fn a_message_that_was_begun_in_parts_is_ended_in_parts_after_a_local_close() {
    let (stream, mut connection) = connected();
    connection.send(&frame(0x81, b"abcdef"));
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    assert_eq!(read_some(&stream, 2, 0), part(TEXT, b"ab", false, 4));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!((stream.refused_read(0), stream.refused_read(10)), (Status::State, Status::State));
    assert_eq!(read_some(&stream, 9, 0), part(TEXT, b"cdef", true, 0));
}

#[test]
fn what_is_read_in_parts_is_counted_once_and_whole() {
    let (stream, mut connection) = connected();
    connection.send(&frame(0x02, b"abc"));
    assert_eq!(read_some(&stream, 2, FOREVER), part(BINARY, b"ab", false, 1));
    assert_eq!(read_some(&stream, 2, FOREVER), part(BINARY, b"c", false, 0));
    connection.send(&[frame(0x80, b"defg"), frame(0x82, b"whole")].concat());
    assert_eq!(read_some(&stream, 3, FOREVER), part(BINARY, b"def", false, 1));
    assert_eq!(read_some(&stream, 3, FOREVER), part(BINARY, b"g", true, 0));
    assert_eq!(read_some(&stream, 3, FOREVER), part(BINARY, b"who", false, 2));
    assert_eq!(read_some(&stream, 3, FOREVER), part(BINARY, b"le", true, 0));
    let now = statistics(&stream);
    assert_eq!((now.messages_received, now.payload_received, now.unread), (2, 12, 0));
}

/// The last words of a peer that resets, behind so many pings, all of it unseen until `meets` is called, which may let
/// the internal thread go. The end must tell both.
#[track_caller]
fn last_words_of_a_reset(pings: usize, meets: impl FnOnce(&Stream, Held)) {
    let (stream, mut connection) = connected();
    connection.send(&frame(0x89, b"?"));
    // It is watched from now on.
    assert_eq!(connection.receive().expect("a pong").payload, b"?");
    let held = hold_internal();
    connection.send(&[frame(0x89, b"").repeat(pings), frame(0x81, b"last words"), close_of(4567)].concat());
    reset(connection.socket.tcp);
    meets(&stream, held);
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.sent_code), (4567, 0), "{info:?}");
    stream.reads_text("last words");
    reads_answer(&stream, Status::Connection);
}

// Rows: R07, R08
#[test]
fn last_words_before_a_reset_are_heard_with_nobody_inside() {
    alone("last_words_before_a_reset_are_heard_with_nobody_inside", || {
        last_words_of_a_reset(0, |_, held| drop(held));
    });
}

// Rows: R07, R08, W17
#[test]
fn last_words_before_a_reset_are_heard_by_a_write_that_meets_it() {
    alone("last_words_before_a_reset_are_heard_by_a_write_that_meets_it", || {
        last_words_of_a_reset(0, |stream, _| {
            assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
        });
    });
}

// Rows: R07, R08
#[test]
fn last_words_before_a_reset_are_heard_by_a_reader_whose_pongs_meet_it() {
    alone("last_words_before_a_reset_are_heard_by_a_reader_whose_pongs_meet_it", || {
        last_words_of_a_reset(20, |stream, _| {
            assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        });
    });
}
