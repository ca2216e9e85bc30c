//! Many messages in one call: in order, in few system calls, and how many were taken whatever comes in between.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::{connected, connected_with, statistics};
use std::time::{Duration, Instant};
use support::alone::{alone, hold_internal};
use support::peer::Connection;
use support::stream::{whole, wsstream_message};
use support::{
    BINARY, Call, FIN, FOREVER, MORE, Options, Status, Stream, TEXT, option, pattern, server, until,
};

const NO_COMPRESS: u32 = 4;
/// More than all buffers on the way hold.
const LARGE: usize = 8 << 20;

fn of(data: &[u8], count: usize) -> Vec<wsstream_message> {
    (0..count).map(|_| whole(BINARY, data, FIN)).collect()
}

fn small(count: usize) -> Vec<wsstream_message> {
    of(b"small", count)
}

/// What the peer receives, message by message.
fn receives(connection: &mut Connection, count: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut message = Vec::new();
    while messages.len() < count {
        let frame = connection.receive().expect("a frame");
        message.extend(frame.payload);
        if frame.first & 0x80 != 0 {
            messages.push(std::mem::take(&mut message));
        }
    }
    messages
}

// Rows: W09, D05
#[test]
fn messages_of_every_kind_and_size_come_in_order() {
    let large = pattern(300_000);
    let texts = [&b"first"[..], b"", "grüße".as_bytes(), &[b'a'; 125], &[b'a'; 126], &[b'a'; 2000]];
    let messages: Vec<_> = texts
        .iter()
        .map(|text| whole(TEXT, text, 0))
        .chain([&large[..], &large[..1], b"", &large[..70_000]].map(|data| whole(BINARY, data, FIN)))
        .chain(texts.iter().map(|text| whole(TEXT, text, FIN | NO_COMPRESS)))
        .collect();
    for path in ["/echo", "/echo?deflate=1"] {
        let stream = Stream::opened(&server().url(path));
        let share = stream.reference();
        let reads = Call::begun(move || {
            let read = || share.read(FOREVER).map(|message| (message.kind(), message.bytes().to_vec()));
            (0..48).map(|_| read().expect("a message")).collect::<Vec<_>>()
        });
        for _ in 0..3 {
            assert_eq!(stream.write_many(&messages, FOREVER), (Status::Ok, messages.len()));
        }
        let sent: Vec<_> = messages
            .iter()
            // SAFETY: of a slice that lives.
            .map(|one| (one.r#type, unsafe { std::slice::from_raw_parts(one.data, one.size) }.to_vec()))
            .collect();
        let read = reads.join();
        assert!((0..3).all(|round| read[16 * round..16 * (round + 1)] == sent), "{path}");
        let counted = statistics(&stream);
        let payload: usize = messages.iter().map(|message| message.size).sum();
        assert_eq!((counted.messages_sent, counted.payload_sent), (48, 3 * payload as u64));
    }
}

#[test]
fn small_messages_leave_together_and_at_once() {
    alone("small_messages_leave_together_and_at_once", || {
        let (stream, mut connection) = connected();
        // Nobody else sends what is left.
        let held = hold_internal();
        assert_eq!(stream.write_many(&small(1000), 0), (Status::Ok, 1000));
        assert_eq!(statistics(&stream).unsent, 0);
        assert!(receives(&mut connection, 1000).iter().all(|payload| payload == b"small"));
        drop(held);
    });
}

// Rows: W06, W08, B06
#[test]
fn without_room_it_says_how_many_were_taken() {
    let (stream, mut connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, 1000));
    let large = vec![7; LARGE];
    let messages = [whole(BINARY, b"before", FIN), whole(BINARY, &large, FIN), whole(BINARY, b"after", FIN)];
    assert_eq!(stream.write_many(&messages, 0), (Status::Queued, 2));
    for timeout in [0, 20] {
        let begun = Instant::now();
        assert_eq!(stream.write_many(&messages[2..], timeout), (Status::Again, 0));
        assert_eq!(stream.write_many(&small(3), timeout), (Status::Again, 0));
        assert!(begun.elapsed() >= Duration::from_millis(2 * timeout as u64));
    }
    let share = stream.reference();
    let rest = Call::blocked(move || share.write_many(&small(2000), FOREVER));
    let mut payloads = receives(&mut connection, 2);
    assert!(payloads.pop().unwrap() == large && payloads.pop().unwrap() == b"before");
    assert!(receives(&mut connection, 2000).iter().all(|payload| payload == b"small"));
    assert_eq!(rest.join(), (Status::Ok, 2000));
}

#[test]
fn the_time_is_that_of_the_call_and_not_of_each_message() {
    let (stream, connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, 0));
    // Each of these waits for room behind the last.
    let (large, begun) = (vec![7; 1 << 20], Instant::now());
    let messages = of(&large, 200);
    let (status, taken) = stream.write_many(&messages, 200);
    assert!(status == Status::Queued && taken > 0 && taken < 200, "{status:?} {taken}");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert_eq!(stream.write_many(&messages, 0), (Status::Again, 0));
    drop(connection);
}

#[test]
fn text_that_is_not_utf8_ends_the_call_and_not_the_stream() {
    let long = [b'a'; 70_000];
    for size in [1, 65_000, 70_000] {
        let stream = Stream::opened(&server().url("/echo"));
        let bad = [&long[..size - 1], b"\xFF"].concat();
        let messages = [
            whole(TEXT, b"good", FIN),
            whole(TEXT, b"too", FIN),
            whole(TEXT, &bad, FIN),
            whole(TEXT, b"x", FIN),
        ];
        assert_eq!(stream.write_many(&messages, FOREVER), (Status::Argument, 2), "{size}");
        assert_eq!(stream.write_many(&messages[2..], FOREVER), (Status::Argument, 0), "{size}");
        // They did not wait for more.
        stream.reads_text("good");
        stream.reads_text("too");
        stream.writes_text("further");
        stream.reads_text("further");
        assert_eq!(stream.close(1000, ""), Status::Ok);
        stream.closed_cleanly();
    }
}

// Rows: C17, W17
#[test]
fn an_end_that_comes_while_it_waits_is_answered() {
    type End = fn(&Stream, &mut Connection);
    let ends: [(End, Status); 3] = [
        (|stream, _| assert_eq!(stream.close(1000, ""), Status::Ok), Status::State),
        (|_, connection| connection.send(&support::frame_bytes(0x88, &[3, 232])), Status::State),
        (|_, connection| connection.send(&support::frame_bytes(0x83, b"")), Status::Connection),
    ];
    for (end, expected) in ends {
        let (stream, mut connection) = connected();
        assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
        let share = stream.reference();
        let write = Call::blocked(move || share.write_many(&small(3), FOREVER));
        end(&stream, &mut connection);
        assert_eq!(write.join(), (expected, 0));
    }
}

#[test]
fn inside_a_message_in_parts_it_is_a_state_error() {
    let stream = Stream::opened(&server().url("/echo"));
    assert_eq!(stream.write_some(TEXT, b"begun", 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_many(&small(2), FOREVER), (Status::State, 0));
    assert_eq!(stream.write_some(TEXT, b" and ended", FIN | MORE, FOREVER), Status::Ok);
    // What was held back leaves before it.
    assert_eq!(stream.write_many(&small(1), FOREVER), (Status::Ok, 1));
    stream.reads_text("begun and ended");
    assert_eq!(stream.read(FOREVER).unwrap().bytes(), b"small");
}

#[test]
fn before_the_stream_is_open_it_waits_or_takes_nothing() {
    let token = server().token();
    let stream = Stream::open(&server().url(&format!("/handshake?token={token}")));
    assert_eq!(stream.write_many(&small(2), 0), (Status::Again, 0));
    let share = stream.reference();
    let write = Call::blocked(move || share.write_many(&small(2), FOREVER));
    server().release(&token);
    assert_eq!(write.join(), (Status::Ok, 2));
}

// Rows: D03
#[test]
fn pings_are_answered_between_its_messages() {
    let (stream, mut connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, 0));
    let share = stream.reference();
    let write = Call::blocked(move || {
        let large = vec![7; 2 << 20];
        share.write_many(&of(&large, 20), FOREVER)
    });
    connection.send(&support::frame_bytes(0x89, b"now"));
    until(|| statistics(&stream).pings_received == 1);
    let (mut seen, mut pong) = (0, None);
    while seen < 20 {
        let frame = connection.receive().expect("a frame");
        match frame.first {
            0x8A => pong = Some(seen),
            first => seen += usize::from(first & 0x80 != 0),
        }
    }
    assert!(pong.is_some_and(|place| place < 20), "{pong:?}");
    assert_eq!(write.join(), (Status::Ok, 20));
}
