//! Large messages read in parts: what the socket brings goes straight into the reader's memory, and is judged there as anywhere.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::{connected, read_some, statistics};
use support::alone::{alone, hold_internal};
use support::peer::frame;
use support::{Call, Cause, FOREVER, Status, Stream, TEXT, counted_text, server};

/// More than any part.
const LARGE: usize = 3_000_000;

/// Reads a message to its end, in parts of these capacities by turns.
fn read_in_parts(stream: &Stream, capacities: &[usize]) -> Result<Vec<u8>, (Vec<u8>, Status)> {
    let mut bytes = Vec::new();
    for capacity in capacities.iter().cycle() {
        match read_some(stream, *capacity, FOREVER) {
            Ok(part) => {
                assert_eq!(part.kind, TEXT);
                bytes.extend(part.bytes);
                if part.fin {
                    return Ok(bytes);
                }
            }
            Err(status) => return Err((bytes, status)),
        }
    }
    unreachable!("it cycles")
}

// Rows: R01, R09
#[test]
fn parts_of_any_size_make_the_message_that_was_sent() {
    for frame_size in [LARGE, 100_000, 20_000] {
        let path = format!("/count?n=5&size={LARGE}&frame={frame_size}");
        let stream = Stream::opened(&server().url(&path));
        for (index, capacities) in
            [&[16_384][..], &[1_000_000], &[7, 100_000], &[65_536, 20_000, 16_383]].into_iter().enumerate()
        {
            let bytes = read_in_parts(&stream, capacities).expect("it is whole");
            assert!(bytes == counted_text(index, LARGE), "{frame_size} {capacities:?}");
            let counted = statistics(&stream);
            assert_eq!(counted.messages_received - counted.unread_messages, index as u64 + 1);
            assert!(counted.payload_received >= ((index + 1) * LARGE) as u64);
        }
        assert!(stream.read(FOREVER).expect("the last").bytes() == counted_text(4, LARGE));
        assert_eq!(stream.closed_cleanly().code, 1000);
        assert_eq!(statistics(&stream).payload_received, 5 * LARGE as u64);
    }
}

// Rows: R02
#[test]
fn text_in_parts_is_judged_before_its_end() {
    let (stream, mut connection) = connected();
    let reader = stream.reference();
    let read = Call::begun(move || read_in_parts(&reader, &[200_000]));
    let mut bytes = frame(0x81, &vec![b'a'; LARGE]);
    // A character in two receives, then a byte that no text has.
    bytes.truncate(1_000_000);
    bytes.extend("\u{20ac}".as_bytes());
    let (begin, end) = bytes.split_at(1_000_001);
    connection.send(begin);
    connection.send(end);
    connection.send(b"\xff");
    let (read, status) = read.join().expect_err("no text");
    assert_eq!(status, Status::Connection);
    assert!(read.iter().all(|byte| *byte == b'a' || "\u{20ac}".as_bytes().contains(byte)));
    let info = stream.closed_uncleanly();
    assert_eq!((info.sent_code, info.cause), (1007, Cause::Utf8), "{info:?}");
}

// Rows: K06
#[test]
fn an_end_inside_a_part_is_told_and_is_no_end_of_the_message() {
    for timeout_ms in [FOREVER, 0] {
        let (stream, mut connection) = connected();
        connection.send(&frame(0x81, &vec![b'a'; LARGE])[..500_000]);
        drop(connection);
        let mut count = 0;
        let status = loop {
            match read_some(&stream, 100_000, timeout_ms) {
                Ok(part) => {
                    assert!(!part.fin);
                    count += part.bytes.len();
                }
                Err(Status::Again) => assert_eq!(timeout_ms, 0),
                Err(status) => break status,
            }
        };
        assert_eq!(status, Status::Connection);
        assert!(count <= 500_000);
        assert_eq!(stream.closed_uncleanly().code, 1006);
    }
}

#[test]
fn a_part_is_as_large_as_what_has_come() {
    alone("a_part_is_as_large_as_what_has_come", || {
        let (stream, mut connection) = connected();
        // It would read on for a reader that is late.
        let _held = hold_internal();
        let sender = std::thread::spawn(move || {
            connection.send(&frame(0x81, &vec![b'a'; LARGE]));
            connection
        });
        let mut sizes = Vec::new();
        while sizes.iter().sum::<usize>() < LARGE {
            let part = read_some(&stream, LARGE, FOREVER).expect("a part");
            assert_eq!((part.available, statistics(&stream).unread), (0, 0));
            sizes.push(part.bytes.len());
        }
        // Without a place to go straight to, 16 KiB come at a time.
        assert!(sizes.iter().any(|size| *size > 40_000), "{sizes:?}");
        drop(sender.join().expect("all is sent"));
    });
}
