//! The write half: what each call answers in each state, row by row, and what goes over the wire.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::{connected, connected_with, read_some, statistics};
use std::collections::HashSet;
use std::net::Shutdown;
use std::time::{Duration, Instant};
use support::alone::hold_internal;
use support::held_up::held_up;
use support::peer::Connection;
use support::{
    BINARY, Call, FIN, FOREVER, Frame, MORE, Options, READABLE, Record, Status, Stream, TEXT, WRITABLE,
    option, pattern, peer, server, until,
};

/// More than all buffers on the way hold.
const LARGE: usize = 8 << 20;
/// Long enough never to run out.
const LONG: i64 = 30_000;
const NO_COMPRESS: u32 = 4;

/// An open stream whose server reads nothing before it is released.
struct Stalled {
    stream: Stream,
    token: String,
    id: String,
}

impl Stalled {
    fn new(options: Options) -> Self {
        let token = server().token();
        let (url, id) = server().recorded(&format!("/stall_until?token={token}"));
        Self { stream: Stream::opened_with(&url, &options), token, id }
    }

    /// One that has no room.
    fn full() -> Self {
        let stalled = Self::new(Options::new());
        assert_eq!(stalled.stream.write(BINARY, &vec![1; LARGE], 0), Status::Queued);
        stalled
    }

    /// Lets the server read on, closes, answers what it received.
    fn finish(self) -> Record {
        server().release(&self.token);
        assert_eq!(self.stream.close(1000, ""), Status::Ok);
        self.stream.closed_cleanly();
        server().record(&self.id).lawful()
    }
}

fn messages(record: &Record) -> u64 {
    record.count("text") + record.count("binary")
}

// Rows: W06, W08, B06
#[test]
fn without_room_a_write_takes_nothing_and_answers_again() {
    let stalled = Stalled::full();
    for timeout in [0, 20] {
        let started = Instant::now();
        assert_eq!(stalled.stream.write(TEXT, b"not taken", timeout), Status::Again);
        assert_eq!(stalled.stream.write_some(TEXT, b"not taken", 0, timeout), Status::Again);
        assert!(started.elapsed().as_millis() >= 2 * timeout as u128);
    }
    assert_eq!(messages(&stalled.finish()), 1);
}

// Rows: W06, W08, B06
#[test]
fn without_room_a_write_waits_for_it() {
    for timeout in [FOREVER, LONG] {
        let stalled = Stalled::full();
        let share = stalled.stream.reference();
        let write = Call::blocked(move || share.write(TEXT, b"waited", timeout));
        assert!(!write.is_finished());
        server().release(&stalled.token);
        assert_eq!(write.join(), Status::Ok);
        let record = stalled.finish();
        assert_eq!(messages(&record), 2);
    }
}

// Rows: W06
#[test]
fn with_room_a_write_that_stays_within_the_mark_is_ok_whatever_the_time() {
    for timeout in [0, 20, FOREVER] {
        let stalled = Stalled::new(Options::new());
        assert_eq!(stalled.stream.write(TEXT, b"small", timeout), Status::Ok);
        assert_eq!(stalled.finish().frames[0].payload, b"small");
        // Within the mark it is taken whether it leaves or not.
        let stalled = Stalled::new(Options::with(option::WRITE_BUFFER_SIZE, 2 * LARGE as i64));
        assert_eq!(stalled.stream.write(BINARY, &vec![7; LARGE], timeout), Status::Ok);
        assert!(statistics(&stalled.stream).unsent > 0);
        assert_eq!(stalled.finish().count("payload_bytes"), LARGE as u64 + 2);
    }
}

#[test]
fn a_write_that_goes_over_the_mark_is_queued_at_once_or_after_its_time() {
    for timeout in [0, 20] {
        let stalled = Stalled::new(Options::new());
        let data = vec![7; LARGE];
        let started = std::time::Instant::now();
        assert_eq!(stalled.stream.write(BINARY, &data, timeout), Status::Queued);
        assert!(started.elapsed().as_millis() >= timeout as u128);
        assert_eq!(stalled.stream.write(TEXT, b"x", 0), Status::Again);
        let record = stalled.finish();
        assert_eq!((messages(&record), record.count("payload_bytes")), (1, LARGE as u64 + 2));
    }
}

// Rows: W06
#[test]
fn a_small_write_that_goes_over_the_mark_is_queued_and_the_next_one_not_taken() {
    for timeout in [0, 20] {
        let stalled = Stalled::new(Options::with(option::WRITE_BUFFER_SIZE, 0));
        let (mut taken, mut last) = (0, Status::Ok);
        loop {
            match stalled.stream.write(BINARY, &[7; 1000], timeout) {
                Status::Again => break,
                status => (taken, last) = (taken + 1, status),
            }
        }
        assert_eq!(last, Status::Queued);
        assert_eq!(messages(&stalled.finish()), taken);
    }
}

// Rows: W07
#[test]
fn a_write_that_goes_over_the_mark_waits_until_it_is_within() {
    for timeout in [FOREVER, LONG] {
        let stalled = Stalled::new(Options::new());
        let share = stalled.stream.reference();
        let write = Call::blocked(move || share.write(BINARY, &vec![7; LARGE], timeout));
        assert!(!write.is_finished());
        assert!(statistics(&stalled.stream).unsent < LARGE as u64, "the system has taken some");
        server().release(&stalled.token);
        assert_eq!(write.join(), Status::Ok);
        assert_eq!(messages(&stalled.finish()), 1);
    }
}

/// The next message, put together.
fn received(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let frame = connection.receive().expect("a frame");
        bytes.extend(frame.payload);
        if frame.first & 0x80 != 0 {
            return bytes;
        }
    }
}

// Rows: W01
#[test]
fn what_was_taken_is_the_librarys_and_its_bytes_may_be_changed() {
    for timeout in [0, 20] {
        let (stream, mut connection) = connected();
        let mut held = *b"held back";
        assert_eq!(stream.write_some(TEXT, &held, FIN | MORE, FOREVER), Status::Ok);
        held.fill(b'x');
        let mut data = pattern(8 << 20);
        assert_eq!(stream.write(BINARY, &data, timeout), Status::Queued);
        data.fill(0);
        assert_eq!(received(&mut connection), b"held back");
        assert!(received(&mut connection) == pattern(8 << 20));
    }
}

// Rows: C18
#[test]
fn close_lets_a_write_that_waits_for_room_go_with_nothing_taken() {
    let stalled = Stalled::full();
    let share = stalled.stream.reference();
    let write = Call::blocked(move || share.write(TEXT, b"never", FOREVER));
    assert_eq!(stalled.stream.close(1000, ""), Status::Ok);
    assert_eq!(write.join(), Status::State);
    assert_eq!(messages(&stalled.finish()), 1);
}

// Rows: C17
#[test]
fn a_write_that_was_taken_goes_on_after_close_and_precedes_it() {
    for timeout in [FOREVER, 60_000] {
        let stalled = Stalled::new(Options::new());
        let share = stalled.stream.reference();
        let write = Call::blocked(move || share.write(BINARY, &vec![7; LARGE], timeout));
        assert_eq!(stalled.stream.close(4000, ""), Status::Ok);
        assert!(!write.is_finished());
        server().release(&stalled.token);
        assert_eq!(write.join(), Status::Ok);
        let record = stalled.finish();
        assert_eq!((messages(&record), record.count("payload_bytes")), (1, LARGE as u64 + 2));
        assert_eq!((record.close().0, record.count("frames_after_close")), ("4000", 0));
    }
}

/// A stream whose next writer waits with all of its message framed: there is no room, and little within the mark.
fn nearly_full(options: Options) -> (Stream, Connection) {
    let (stream, connection) = connected_with(&options.and(option::WRITE_BUFFER_SIZE, 65536));
    // The system takes some more after it has taken nothing.
    until(|| {
        while statistics(&stream).unsent <= 60_000 {
            assert_eq!(stream.write(BINARY, &[7; 1000], 0), Status::Ok);
        }
        stream.wait_closed(50);
        statistics(&stream).unsent > 60_000
    });
    (stream, connection)
}

// Rows: C17
#[test]
fn a_write_that_learns_late_of_an_end_that_came_behind_its_message_is_ok() {
    // The system may come to take all that was written; then nobody sleeps, and it is tried again.
    let (stream, mut connection, (write, held_up)) = loop {
        let (stream, connection) = nearly_full(Options::new());
        let share = stream.reference();
        if let Some(held_up) = held_up(move || share.write(BINARY, &[7; 65536], FOREVER)) {
            break (stream, connection, held_up);
        }
    };
    // The socket has room again, but the writer does not know.
    connection.take_what_is_here();
    assert_eq!(stream.close(4000, ""), Status::Ok);
    connection.take_what_is_here();
    connection.send(&peer::frame(0x88, &4000_u16.to_be_bytes()));
    connection.socket.shutdown(Shutdown::Write).expect("the end of TCP");
    stream.closed_cleanly();
    drop(held_up);
    assert_eq!(write.join(), Status::Ok);
}

// Rows: D09
#[test]
fn a_write_whose_message_is_left_when_the_close_runs_out_of_time_is_told_of_the_close() {
    // The system may come to take all of it; then it is tried again.
    loop {
        let (stream, _connection) = nearly_full(Options::with(option::CLOSE_TIMEOUT_MS, 100));
        let share = stream.reference();
        let write = Call::blocked(move || share.write(BINARY, &[7; 65536], FOREVER));
        assert_eq!(stream.close(4000, ""), Status::Ok);
        if stream.closed_uncleanly().sent_code == 0 {
            assert_eq!(write.join(), Status::State);
            return;
        }
    }
}

// Rows: W16
#[test]
fn a_failing_connection_ends_a_write_with_connection() {
    for end in ["reset", "close"] {
        let stream = Stream::opened(&server().url(&format!("/abrupt?after=1&end={end}")));
        stream.writes_text("go");
        let status = loop {
            match stream.write(BINARY, &vec![7; LARGE], FOREVER) {
                Status::Ok => {}
                status => break status,
            }
        };
        assert_eq!(status, Status::Connection);
        stream.closed_uncleanly();
        assert_eq!(stream.write(TEXT, b"x", 0), Status::Connection);
        assert_eq!(stream.write_some(TEXT, b"x", MORE, FOREVER), Status::Connection);
    }
}

#[test]
fn free_ends_a_write_with_state_whether_it_was_taken_or_not() {
    for is_full in [true, false] {
        let stalled = if is_full { Stalled::full() } else { Stalled::new(Options::new()) };
        let (share, after) = (stalled.stream.reference(), stalled.stream.reference());
        let write = Call::blocked(move || share.write(BINARY, &vec![7; LARGE], FOREVER));
        stalled.stream.free();
        assert_eq!(write.join(), Status::State);
        assert_eq!(after.write(TEXT, b"x", FOREVER), Status::State);
        assert_eq!(after.write_some(TEXT, b"x", 0, 0), Status::State);
        assert_eq!(after.flush(FOREVER), Status::State);
    }
}

// Rows: W08
#[test]
fn a_second_writer_is_busy_at_once() {
    let stalled = Stalled::full();
    let share = stalled.stream.reference();
    let write = Call::blocked(move || share.write(TEXT, b"first", FOREVER));
    for timeout in [0, 10, FOREVER] {
        assert_eq!(stalled.stream.write(TEXT, b"x", timeout), Status::Busy);
        assert_eq!(stalled.stream.write_some(TEXT, b"x", 0, timeout), Status::Busy);
        assert_eq!(stalled.stream.flush(timeout), Status::Busy);
    }
    server().release(&stalled.token);
    assert_eq!(write.join(), Status::Ok);
    assert_eq!(messages(&stalled.finish()), 2);
}

#[test]
fn flush_is_ok_when_the_system_has_everything() {
    let stalled = Stalled::full();
    assert_eq!(stalled.stream.flush(0), Status::Again);
    assert_eq!(stalled.stream.flush(20), Status::Again);
    let share = stalled.stream.reference();
    let flush = Call::blocked(move || share.flush(FOREVER));
    assert_eq!(stalled.stream.flush(0), Status::Busy);
    server().release(&stalled.token);
    assert_eq!(flush.join(), Status::Ok);
    assert_eq!(stalled.stream.flush(0), Status::Ok);
}

#[test]
fn a_mark_of_zero_has_room_when_nothing_is_on_its_way() {
    let stalled = Stalled::new(Options::with(option::WRITE_BUFFER_SIZE, 0));
    for _ in 0..10 {
        assert_eq!(stalled.stream.write(TEXT, b"small", FOREVER), Status::Ok);
    }
    assert_eq!(stalled.stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    assert_eq!(stalled.stream.write(TEXT, b"small", 0), Status::Again);
    let share = stalled.stream.reference();
    let write = Call::blocked(move || share.write(TEXT, b"last", FOREVER));
    server().release(&stalled.token);
    assert_eq!(write.join(), Status::Ok);
    assert_eq!(messages(&stalled.finish()), 12);
}

#[test]
fn a_non_blocking_writer_sends_everything_in_order() {
    let (url, id) = server().recorded("/sink?receive_buffer=65536");
    let stream = Stream::opened(&url);
    let mut data = vec![7; 100_000];
    for index in 0..100 {
        data[0] = index;
        loop {
            match stream.write(BINARY, &data, 0) {
                Status::Again => assert_eq!(stream.poll(WRITABLE, FOREVER), Ok(WRITABLE)),
                Status::Ok | Status::Queued => break,
                status => panic!("{status:?}"),
            }
        }
    }
    assert_eq!(stream.flush(FOREVER), Status::Ok);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    let record = server().record(&id).lawful();
    let order: Vec<u8> = record.frames[..100].iter().map(|frame| frame.payload[0]).collect();
    assert_eq!(order, (0..100).collect::<Vec<u8>>());
}

// Rows: D10
#[test]
fn a_bad_argument_takes_nothing_and_the_stream_goes_on() {
    let (url, id) = server().recorded("/echo");
    let stream = Stream::opened(&url);
    for kind in [0, 3, 8, u32::MAX] {
        assert_eq!(stream.write(kind, b"x", FOREVER), Status::Argument);
        assert_eq!(stream.write_some(kind, b"x", FIN, FOREVER), Status::Argument);
    }
    let long = [vec![b'a'; 100_000], vec![0xFF]].concat();
    for bytes in [&[0xFF][..], &[0xC3], &[0xC0, 0x80], &[0xED, 0xA0, 0x80], &[0xF4, 0x90, 0x80, 0x80], &long]
    {
        assert_eq!(stream.write(TEXT, bytes, FOREVER), Status::Argument);
        assert_eq!(stream.write_some(TEXT, bytes, FIN, FOREVER), Status::Argument);
    }
    for flags in [8, 16, u32::MAX] {
        assert_eq!(stream.write_some(TEXT, b"x", flags, FOREVER), Status::Argument);
    }
    stream.writes_text("good");
    stream.reads_text("good");
    stream.free();
    assert_eq!(messages(&server().record(&id).lawful()), 1);
}

fn seen(frame: &Frame) -> (&str, bool, &[u8]) {
    (&frame.opcode, frame.fin, &frame.payload)
}

// Rows: W20
#[test]
fn parts_become_one_message_of_several_frames() {
    let (url, id) = server().recorded("/echo");
    let stream = Stream::opened(&url);
    let euro = "€".as_bytes();
    assert_eq!(stream.write_some(TEXT, b"", 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, &euro[..1], 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, &euro[1..2], NO_COMPRESS, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, &euro[2..], FIN, FOREVER), Status::Ok);
    stream.reads_text("€");
    assert_eq!(stream.write_some(BINARY, b"a", MORE, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(BINARY, b"", FIN, FOREVER), Status::Ok);
    assert_eq!(stream.read(FOREVER).unwrap().bytes(), b"a");
    assert_eq!(stream.write_some(BINARY, b"", FIN, FOREVER), Status::Ok);
    assert_eq!(stream.read(FOREVER).unwrap().bytes(), b"");
    stream.free();
    let record = server().record(&id).lawful();
    let frames: Vec<_> = record.frames.iter().map(seen).collect();
    assert_eq!(
        frames[..6],
        [
            ("text", false, &euro[..1]),
            ("continuation", false, &euro[1..2]),
            ("continuation", true, &euro[2..]),
            ("binary", false, b"a"),
            ("continuation", true, b""),
            ("binary", true, b""),
        ]
    );
}

#[test]
fn a_refused_part_was_not_taken_and_the_message_stays_open() {
    let stream = Stream::opened(&server().url("/echo"));
    assert_eq!(stream.write_some(TEXT, "a€".as_bytes().split_at(2).0, 0, FOREVER), Status::Ok);
    assert_eq!(stream.write(TEXT, b"between", FOREVER), Status::State);
    assert_eq!(stream.write(TEXT, b"between", 0), Status::State);
    assert_eq!(stream.write_some(BINARY, b"x", FIN, FOREVER), Status::Argument);
    assert_eq!(stream.write_some(TEXT, b"", FIN, FOREVER), Status::Argument);
    assert_eq!(stream.write_some(TEXT, b"x", FIN, FOREVER), Status::Argument);
    assert_eq!(stream.write_some(TEXT, "€".as_bytes().split_at(1).1, 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, &[0xFF], FIN, FOREVER), Status::Argument);
    assert_eq!(stream.flush(FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, b"!", FIN, FOREVER), Status::Ok);
    stream.reads_text("a€!");
    stream.writes_text("whole again");
    stream.reads_text("whole again");
}

// Rows: W20
#[test]
fn an_empty_first_part_begins_a_message_and_may_be_all_of_it() {
    let (stream, mut connection) = connected();
    for kind in [TEXT, BINARY] {
        assert_eq!(stream.write_some(kind, b"", 0, FOREVER), Status::Ok);
        assert_eq!(stream.write(kind, b"between", FOREVER), Status::State);
        assert_eq!(stream.write_some(TEXT + BINARY - kind, b"", FIN, FOREVER), Status::Argument);
        assert_eq!(stream.write_some(kind, b"", MORE, FOREVER), Status::Ok);
        assert_eq!(stream.write_some(kind, b"", FIN, FOREVER), Status::Ok);
        assert_eq!(received(&mut connection), b"");
    }
    stream.writes_text("whole");
    assert_eq!(received(&mut connection), b"whole");
}

#[test]
fn a_part_without_room_was_not_taken_and_the_message_stays_open() {
    let stalled = Stalled::new(Options::new());
    let stream = &stalled.stream;
    assert_eq!(stream.write_some(BINARY, b"first", 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(BINARY, &vec![7; LARGE], 0, 0), Status::Queued);
    for timeout in [0, 5] {
        assert_eq!(stream.write_some(BINARY, b"refused", FIN, timeout), Status::Again);
        assert_eq!(stream.write_some(BINARY, b"", 0, timeout), Status::Again);
    }
    server().release(&stalled.token);
    assert_eq!(stream.write_some(BINARY, b"last", FIN, FOREVER), Status::Ok);
    let record = stalled.finish();
    assert_eq!((messages(&record), record.count("payload_bytes")), (1, 5 + LARGE as u64 + 4 + 2));
}

#[test]
fn text_is_looked_at_when_it_would_be_taken() {
    let stalled = Stalled::full();
    assert_eq!(stalled.stream.write(TEXT, &[0xFF], 0), Status::Again);
    assert_eq!(stalled.stream.write_some(TEXT, &[0xC3], FIN, 1), Status::Again);
    assert_eq!(stalled.stream.write(3, b"x", 0), Status::Argument);
    let token = server().token();
    let stream = Stream::open(&server().url(&format!("/handshake?token={token}")));
    assert_eq!(stream.write(TEXT, &[0xFF], 0), Status::Again);
    assert_eq!(
        (stream.write_some(TEXT, b"x", 8, 0), stream.write(0, b"x", 0)),
        (Status::Argument, Status::Argument)
    );
    server().release(&token);
    assert_eq!(stream.write(TEXT, &[0xFF], FOREVER), Status::Argument);
    stream.writes_text("good");
    stream.reads_text("good");
}

#[test]
fn close_gives_an_open_message_up_behind_its_last_whole_frame() {
    for frees in [false, true] {
        let (url, id) = server().recorded("/echo");
        let stream = Stream::opened(&url);
        assert_eq!(stream.write_some(TEXT, b"begun", 0, FOREVER), Status::Ok);
        if frees {
            stream.free();
        } else {
            assert_eq!(stream.close(1000, ""), Status::Ok);
            stream.closed_cleanly();
        }
        let record = server().record(&id);
        let frames: Vec<_> = record.frames.iter().map(|frame| (frame.opcode.as_str(), frame.fin)).collect();
        assert_eq!(frames, [("text", false), ("close", true)], "{}", record.text);
    }
}

// Rows: W09
#[test]
fn messages_over_a_mebibyte_are_split_and_others_are_not() {
    for (size, frames) in [(1 << 20, 1), ((1 << 20) + 1, 5), (3 << 20, 12)] {
        let (url, id) = server().recorded("/sink");
        let stream = Stream::opened(&url);
        let data = pattern(size);
        assert_eq!(stream.write(BINARY, &data, FOREVER), Status::Ok);
        assert_eq!(stream.close(1000, ""), Status::Ok);
        stream.closed_cleanly();
        let record = server().record(&id).lawful();
        assert_eq!(record.frames.len(), frames + 1, "{size}");
        let mut at = 0;
        for (index, frame) in record.frames[..frames].iter().enumerate() {
            let opcode = if index == 0 { "binary" } else { "continuation" };
            assert_eq!((frame.opcode.as_str(), frame.fin), (opcode, index + 1 == frames));
            assert!(frames == 1 || frame.size <= 256 << 10);
            assert_eq!(frame.payload, data[at..at + frame.size.min(64)]);
            at += frame.size;
        }
        assert_eq!(at, size);
    }
}

#[test]
fn every_frame_is_masked_with_a_mask_of_its_own() {
    let (url, id) = server().recorded("/sink");
    let stream = Stream::opened(&url);
    for _ in 0..2000 {
        stream.writes_text("same");
    }
    stream.free();
    let record = server().record(&id).lawful();
    assert!(record.frames.iter().all(|frame| frame.masked));
    let masks: HashSet<_> = record.frames.iter().map(|frame| &frame.mask).collect();
    assert!(masks.len() >= record.frames.len() - 1, "they are drawn at random");
}

#[test]
fn a_write_that_may_not_wait_sends_what_is_left_itself() {
    let (stream, mut connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, 0));
    let held = hold_internal();
    while stream.write(BINARY, &[7; 1000], 0) != Status::Queued {}
    let reads = Call::begun(move || connection.receive_rest());
    until(|| stream.write(TEXT, b"room", 0) == Status::Ok);
    drop(held);
    stream.free();
    reads.join();
}

#[track_caller]
fn gathers(stream: &Stream, texts: &[&str]) {
    for text in texts {
        assert_eq!(stream.write_some(TEXT, text.as_bytes(), FIN | MORE, FOREVER), Status::Ok);
    }
    assert!(statistics(stream).unsent > 0, "it is held back");
}

// Rows: D05, C17
#[test]
fn what_more_holds_back_leaves_with_a_write_a_flush_a_reader_about_to_sleep_a_close_or_the_mark() {
    let texts = ["held 0", "held 1", "held 2"];
    for how in ["write", "flush", "read", "read_many", "read_some", "poll", "close", "mark"] {
        let (url, id) = server().recorded("/echo");
        let stream = Stream::opened(&url);
        let held = hold_internal();
        gathers(&stream, &texts);
        match how {
            "write" => stream.writes_text("and this"),
            "flush" => {
                assert_eq!(stream.flush(FOREVER), Status::Ok);
                assert_eq!(statistics(&stream).unsent, 0);
            }
            "read" => assert_eq!(stream.read(LONG).unwrap().text(), "held 0"),
            "read_many" => assert!(stream.read_many(LONG, 5).is_ok()),
            "read_some" => assert!(read_some(&stream, 9, LONG).is_ok()),
            "poll" => assert_eq!(stream.poll(READABLE, LONG), Ok(READABLE)),
            "close" => assert_eq!(stream.close(1000, ""), Status::Ok),
            _ => {
                let large = vec![b'a'; 70_000];
                assert_eq!(stream.write_some(TEXT, &large, FIN | MORE, FOREVER), Status::Ok);
            }
        }
        let record = server().record_of_frames(&id, 3).lawful();
        drop(held);
        let seen: Vec<_> = record.frames[..3].iter().map(|frame| frame.payload.as_slice()).collect();
        assert_eq!(seen, texts.map(str::as_bytes), "{how}");
    }
}

// Rows: D05
#[test]
fn a_control_frame_makes_what_more_holds_back_leave_before_it() {
    for reads in [true, false] {
        let (stream, mut connection) = connected();
        let share = stream.reference();
        // Asleep before anything is held back, or away: then a look that does not sleep meets the ping.
        let read = reads.then(|| Call::blocked(move || share.refused_read(FOREVER)));
        let held = hold_internal();
        for round in 1..4 {
            gathers(&stream, &["one", "two"]);
            connection.send(&peer::frame(0x89, &[round]));
            while !reads && statistics(&stream).pings_received < u64::from(round) {
                assert_eq!(stream.refused_read(0), Status::Again);
            }
            assert_eq!(
                (received(&mut connection), received(&mut connection)),
                (b"one".into(), b"two".into())
            );
            let pong = connection.receive().expect("a pong");
            assert_eq!((pong.first, pong.payload), (0x8A, vec![round]));
        }
        drop(held);
        stream.free();
        assert!(read.is_none_or(|read| read.join() == Status::State));
    }
}

#[test]
fn what_more_holds_back_leaves_by_itself_within_moments() {
    let (stream, mut connection) = connected();
    let mut took: Vec<_> = (0..25)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(stream.write_some(TEXT, b"held", FIN | MORE, FOREVER), Status::Ok);
            assert_eq!(received(&mut connection), b"held");
            started.elapsed()
        })
        .collect();
    took.sort();
    // At most 5 ms; the rest, and the slower three quarters, are for a machine that has other things to do.
    assert!(took[6] < Duration::from_millis(20), "{took:?}");
}

/// What the same writes answer, with or without MORE.
fn statuses_with(more: u32, mark: i64) -> Vec<Status> {
    let stalled = Stalled::new(Options::with(option::WRITE_BUFFER_SIZE, mark));
    let write = |data: &[u8], flags: u32, timeout: i64| {
        stalled.stream.write_some(BINARY, data, flags | more, timeout)
    };
    let mut statuses = Vec::new();
    for timeout in [0, 5, FOREVER] {
        statuses.extend([write(b"small", FIN, timeout), write(&[7; 700], 0, timeout)]);
        statuses.extend([write(&[7; 700], 0, timeout), write(b"", FIN, timeout)]);
    }
    statuses.extend([write(&vec![7; LARGE], 0, 5), write(b"x", FIN, 0), write(b"x", FIN, 5)]);
    server().release(&stalled.token);
    statuses.extend([write(b"x", FIN, FOREVER), write(&vec![7; 100_000], FIN, FOREVER)]);
    let record = stalled.finish();
    assert_eq!(messages(&record), 8);
    statuses
}

#[test]
fn more_changes_no_status() {
    let (ok, again) = (Status::Ok, Status::Again);
    let expected = [&[ok; 12][..], &[Status::Queued, again, again, ok, ok]].concat();
    for mark in [0, 65536] {
        assert_eq!(statuses_with(0, mark), expected);
        assert_eq!(statuses_with(MORE, mark), expected);
    }
}

#[test]
fn what_more_holds_back_counts_towards_the_mark() {
    let (stream, mut connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, 100));
    let held = hold_internal();
    gathers(&stream, &["fifty bytes with their header and their mask: 50"]);
    assert_eq!(stream.write_some(TEXT, &[b'x'; 60], FIN | MORE, 0), Status::Ok);
    assert_eq!(statistics(&stream).unsent, 0, "the mark is behind it");
    assert_eq!((received(&mut connection).len(), received(&mut connection).len()), (48, 60));
    drop(held);
}

#[test]
fn one_thread_writes_while_another_reads_what_comes_back() {
    let stream = Stream::opened(&server().url("/echo"));
    let share = stream.reference();
    let writes = Call::begun(move || {
        for index in 0..64 {
            let data = vec![index; 300_000];
            assert_eq!(share.write(BINARY, &data, FOREVER), Status::Ok);
        }
    });
    for index in 0..64 {
        let message = stream.read(FOREVER).unwrap();
        assert!(message.bytes().len() == 300_000 && message.bytes().iter().all(|&byte| byte == index));
    }
    writes.join();
}

#[test]
fn threads_that_take_turns_writing_never_mix_their_messages() {
    let stream = Stream::opened(&server().url("/echo"));
    let writers: Vec<_> = (0..4u8)
        .map(|writer| {
            let share = stream.reference();
            Call::begun(move || {
                for round in 0..200usize {
                    let data = vec![b'a' + writer; 1 + round * 97];
                    loop {
                        match share.write(BINARY, &data, FOREVER) {
                            Status::Busy => std::thread::yield_now(),
                            status => break assert_eq!(status, Status::Ok),
                        }
                    }
                }
            })
        })
        .collect();
    let mut rounds = [0; 4];
    for _ in 0..800 {
        let message = stream.read(FOREVER).unwrap();
        let bytes = message.bytes();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "one writer's message");
        let writer = usize::from(bytes[0] - b'a');
        assert_eq!(bytes.len(), 1 + rounds[writer] * 97, "in the order of its writer");
        rounds[writer] += 1;
    }
    writers.into_iter().for_each(Call::join);
}
