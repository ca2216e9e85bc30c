//! What bounds memory and time where nobody reads: backpressure, control frames, streams without number.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::{connected, connected_with, statistics};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use support::alone::{alone, hold_internal};
use support::peer::{Connection, Peer, Socket, frame};
use support::{
    BINARY, CLOSED, Call, FOREVER, Options, READABLE, Status, Stream, TEXT, WRITABLE, option, server,
    thread_count, until,
};

/// How much a socket pair can hold beside the library: both buffers at their largest.
const SYSTEM: usize = 12 << 20;

/// A binary message of sevens in one frame.
fn sevens(size: usize) -> Vec<u8> {
    [&[0x82, 127], &(size as u64).to_be_bytes()[..], &vec![7; size]].concat()
}

/// Sends messages of one KiB until the client takes no more for a while; how many bytes it took.
fn flood(socket: &mut Socket, limit: usize) -> usize {
    let batch = frame(0x82, &[7; 1020]).repeat(64);
    socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0;
    while sent < limit {
        match socket.write(&batch[sent % batch.len()..]) {
            Ok(size) => sent += size,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

// Rows: B02
#[test]
fn a_peer_that_floods_is_stopped_while_nobody_reads_and_nothing_is_lost() {
    let peer = Peer::of_scheme(None);
    let options = Options::with(option::READ_BUFFER_SIZE, 64 << 10);
    let stream = Stream::open_with(&peer.url(), &options);
    let mut connection = peer.open();
    let sent = flood(&mut connection.socket, 64 << 20);
    assert!(sent < SYSTEM + (64 << 10), "{sent} bytes were taken");
    // It goes on as soon as somebody reads.
    let reads = Call::begun(move || {
        let mut count = 0;
        while count < 20_000 {
            assert_eq!(stream.read(FOREVER).unwrap().bytes(), [7; 1020]);
            count += 1;
        }
        stream
    });
    connection.socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let batch = frame(0x82, &[7; 1020]);
    let rest = batch.repeat(20_000);
    connection.socket.write_all(&rest[sent..]).unwrap();
    reads.join();
}

// Rows: B02, B03
#[test]
fn sixteen_mebibytes_are_not_swallowed_while_nobody_reads_for_two_seconds() {
    let (stream, mut connection) = connected();
    let until = Instant::now() + Duration::from_secs(2);
    let all = sevens(1 << 20).repeat(16);
    let mut sent = 0;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        connection.socket.set_write_timeout(Some(left)).unwrap();
        if let Ok(size) = connection.socket.write(&all[sent..]) {
            sent += size;
        }
        assert!(sent < all.len(), "all of it was swallowed");
    }
    assert!(statistics(&stream).unread <= 512 << 10, "what is not with the system is within the mark");
    let reads = Call::begun(move || {
        for _ in 0..16 {
            let message = stream.read(FOREVER).unwrap();
            assert!(message.bytes().len() == 1 << 20 && message.bytes().iter().all(|byte| *byte == 7));
        }
    });
    connection.socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    connection.socket.write_all(&all[sent..]).unwrap();
    connection.socket.flush().unwrap();
    reads.join();
}

// Rows: W07, B06
#[test]
fn eight_mebibytes_to_a_peer_that_does_not_read_are_pending_until_it_does() {
    let size = 8 << 20;
    for timeout in [0, 50, FOREVER] {
        let (stream, mut connection) = connected();
        let share = stream.reference();
        let started = Instant::now();
        let mut write = None;
        if timeout == FOREVER {
            write = Some(Call::blocked(move || share.write(BINARY, &vec![7; size], FOREVER)));
        } else {
            assert_eq!(stream.write(BINARY, &vec![7; size], timeout), Status::Queued);
            assert!(started.elapsed().as_millis() >= timeout as u128);
            assert_eq!((stream.write(TEXT, b"x", 0), stream.flush(0)), (Status::Again, Status::Again));
        }
        assert_eq!(stream.poll(WRITABLE, 20), Err(Status::Again));
        assert!(write.as_ref().is_none_or(|write| !write.is_finished()));
        assert_eq!(take(&mut connection, size).0, size);
        if let Some(write) = write {
            assert_eq!(write.join(), Status::Ok);
        }
        assert_eq!(stream.write(TEXT, b"x", FOREVER), Status::Ok, "the peer has read");
    }
}

// Rows: W08, B06
#[test]
fn at_most_one_message_is_held_above_the_mark() {
    let mark = 64 << 10;
    let (stream, mut connection) = connected_with(&Options::with(option::WRITE_BUFFER_SIZE, mark as i64));
    let unsent = || usize::try_from(statistics(&stream).unsent).unwrap();
    let (mut taken, mut refused) = (0, 0);
    let mut sizes = [1000, 300_000, 1 << 20, 70_000].into_iter().cycle();
    while refused < 5 {
        let size = sizes.next().unwrap();
        match stream.write(BINARY, &vec![7; size], 0) {
            Status::Ok => assert!(unsent() <= mark, "it was told that there is room"),
            Status::Queued => {}
            status => {
                assert_eq!(status, Status::Again);
                refused += 1;
                // What the system takes meanwhile makes it less.
                assert!(stream.poll(WRITABLE, 20) == Ok(WRITABLE) || unsent() > mark);
                continue;
            }
        }
        assert!(unsent() <= mark + size + 14, "{} of a message of {size}", unsent());
        (taken, refused) = (taken + size, 0);
    }
    assert!(taken < SYSTEM);
    assert_eq!(take(&mut connection, taken).0, taken);
}

// Rows: B02, B04
#[test]
fn a_message_above_the_mark_is_held_to_the_mark_until_somebody_asks() {
    let peer = Peer::of_scheme(None);
    let options = Options::with(option::READ_BUFFER_SIZE, 64 << 10);
    let stream = Stream::open_with(&peer.url(), &options);
    let mut connection = peer.open();
    let size = 32 << 20;
    let message = sevens(size);
    connection.socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0;
    while let Ok(count) = connection.socket.write(&message[sent..]) {
        sent += count;
        assert!(sent < SYSTEM + (64 << 10), "{sent} bytes were taken");
    }
    let read = Call::begun(move || stream.read(FOREVER).map(|message| message.bytes().len()));
    connection.socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    connection.socket.write_all(&message[sent..]).unwrap();
    assert_eq!(read.join(), Ok(size));
}

// Rows: D05, B05
#[test]
fn pings_are_answered_in_order_when_nobody_reads() {
    let (url, id) = server().recorded("/ping?n=20&payload=p&close=4000");
    let stream = Stream::opened(&url);
    assert_eq!(stream.closed_cleanly().code, 4000);
    let record = server().record(&id).lawful();
    assert_eq!(record.count("pong"), 20);
}

// Rows: D05, B05, R05
#[test]
fn a_ping_is_answered_below_the_mark_and_waits_behind_the_data_beyond_it() {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 4096));
    let message = frame(0x82, &[7; 500]);
    connection.send(&[message.repeat(3), frame(0x89, b"below")].concat());
    let pong = connection.receive().expect("a pong");
    assert_eq!((pong.first, pong.payload.as_slice()), (0x8A, &b"below"[..]));
    connection.send(&[message.repeat(30), frame(0x89, b"beyond"), frame(0x89, b"further")].concat());
    assert_eq!(stream.poll(CLOSED, 50), Err(Status::Again), "time for the internal thread to go wrong");
    assert_eq!(statistics(&stream).pings_received, 1);
    for _ in 0..33 {
        assert_eq!(stream.read(FOREVER).unwrap().bytes().len(), 500);
    }
    // Nobody reads: the internal thread goes on below the mark.
    for payload in [&b"beyond"[..], b"further"] {
        assert_eq!(connection.receive().expect("a pong").payload, payload);
    }
    assert_eq!(stream.refused_read(0), Status::Again);
}

// Rows: D05, R05
#[test]
fn what_lies_beyond_the_mark_is_seen_to_when_nothing_but_reads_has_made_room() {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 4096));
    connection.send(&[frame(0x82, &[7; 500]).repeat(30), frame(0x89, b"behind")].concat());
    assert_eq!(stream.poll(CLOSED, 50), Err(Status::Again), "time to come as far as the mark");
    for _ in 0..30 {
        assert_eq!(stream.read(FOREVER).unwrap().bytes().len(), 500);
    }
    assert_eq!(connection.receive().expect("a pong").payload, b"behind");
}

// Rows: R05, D05
#[test]
fn pings_are_answered_while_a_reader_a_poll_or_a_wait_is_blocked() {
    for how in ["read", "poll", "closed"] {
        let peer = Peer::of_scheme(None);
        let stream = Stream::open(&peer.url());
        let mut connection = peer.open();
        assert_eq!(stream.wait_opened(FOREVER), Status::Ok);
        let share = stream.reference();
        let call = Call::blocked(move || match how {
            "read" => share.refused_read(FOREVER),
            "poll" => share.poll(READABLE, FOREVER).unwrap_err(),
            _ => share.wait_closed(FOREVER).0,
        });
        for round in 0..20 {
            connection.send(&frame(0x89, &[round]));
            let pong = connection.receive().expect("a pong");
            assert_eq!((pong.first, pong.payload), (0x8A, vec![round]), "{how}");
        }
        assert!(!call.is_finished(), "{how}");
        stream.free();
        assert_eq!(call.join(), Status::State);
    }
}

// Rows: D05
#[test]
fn pings_are_answered_within_moments_after_a_read_has_returned() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.open();
    for round in 0..100 {
        connection.send(&frame(0x81, b"message"));
        stream.reads_text("message");
        connection.send(&frame(0x89, &[round]));
        let pong = connection.receive().expect("a pong");
        assert_eq!(pong.payload, [round]);
        if round % 3 == 0 {
            connection.send(&[frame(0x81, b"message"), frame(0x89, b"behind")].concat());
            stream.reads_text("message");
            assert_eq!(connection.receive().expect("a pong").payload, b"behind");
        }
    }
}

/// Takes so many bytes of messages; how many came, and how often a frame of another kind.
fn take(connection: &mut Connection, size: usize) -> (usize, usize) {
    let (mut received, mut others) = (0, 0);
    while received < size {
        let frame = connection.receive().expect("a frame");
        if frame.first & 0x0F < 8 { received += frame.payload.len() } else { others += 1 }
    }
    (received, others)
}

/// What a client that had no room sends: the bytes of its messages, its pongs, whether its Close came.
fn drain(connection: &mut Connection, pongs_max: usize) -> (usize, Vec<u8>, bool) {
    let (mut received, mut pongs) = (0, Vec::new());
    while pongs.len() < pongs_max {
        let frame = connection.receive().expect("a frame");
        match frame.first & 0x0F {
            8 => return (received, pongs, true),
            10 => pongs.extend(frame.payload),
            _ => received += frame.payload.len(),
        }
    }
    (received, pongs, false)
}

// Rows: D05
#[test]
fn of_pings_to_a_peer_that_takes_nothing_the_last_sixteen_are_answered() {
    for closes in [false, true] {
        let peer = Peer::of_scheme(Some(65536));
        let stream = Stream::open(&peer.url());
        let mut connection = peer.open();
        assert_eq!(stream.wait_opened(FOREVER), Status::Ok);
        let size = 16 << 20;
        assert_eq!(stream.write(BINARY, &vec![0; size], 0), Status::Queued);
        for round in 0..40 {
            connection.send(&frame(0x89, &[round]));
        }
        connection.send(&frame(0x81, b"behind the pings"));
        stream.reads_text("behind the pings");
        // RFC 6455 §5.5.2: a ping is answered unless a Close was received, not unless one is about to be sent.
        if closes {
            assert_eq!(stream.close(1000, ""), Status::Ok);
        }
        let last: Vec<u8> = (24..40).collect();
        assert_eq!(drain(&mut connection, 16), (size, last, false), "closes: {closes}");
        assert!(!closes || drain(&mut connection, 1).2);
    }
}

// Rows: D05
#[test]
fn a_pong_goes_between_the_frames_of_a_message_that_is_being_written() {
    for _ in 0..2 {
        let peer = Peer::of_scheme(None);
        let stream = Stream::open(&peer.url());
        let mut connection = peer.open();
        let share = stream.reference();
        let size = 16 << 20;
        let write = Call::blocked(move || share.write(BINARY, &vec![0; size], FOREVER));
        connection.send(&frame(0x89, b"now"));
        until(|| statistics(&stream).pings_received == 1);
        let sent = size - usize::try_from(statistics(&stream).unsent).unwrap();
        let (mut received, mut before) = (0, size);
        while received < size {
            let frame = connection.receive().expect("a frame");
            if frame.first == 0x8A {
                before = received;
            } else {
                received += frame.payload.len();
            }
        }
        assert_eq!(write.join(), Status::Ok);
        // What had left, and the rest of the frame.
        assert!(before <= sent + (256 << 10), "{before} with {sent} sent");
    }
}

#[test]
fn the_socket_of_an_ended_stream_is_closed_before_free() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.open();
    connection.send(&frame(0x88, &[3, 232]));
    stream.closed_cleanly();
    assert_eq!(connection.receive().expect("the reply").first, 0x88);
    let mut rest = Vec::new();
    assert_eq!(connection.socket.read_to_end(&mut rest).expect("an end in order"), 0);
    drop(stream);
}

#[test]
fn many_streams_at_once_take_no_thread_each() {
    let streams: Vec<_> = (0..200).map(|_| Stream::open(&server().url("/echo"))).collect();
    for stream in &streams {
        stream.writes_text("all");
    }
    for stream in &streams {
        stream.reads_text("all");
    }
    assert!(thread_count("wsstream") <= 8, "{} threads", thread_count("wsstream"));
}

// Rows: B02
#[test]
fn who_waits_for_a_message_takes_little_more_than_the_message_from_a_peer_that_floods() {
    alone("who_waits_for_a_message_takes_little_more_than_the_message_from_a_peer_that_floods", || {
        let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 1000));
        let held = hold_internal();
        flood(&mut connection.socket, 64 << 20);
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        let unread = statistics(&stream).unread;
        assert!(unread <= 64 << 10, "{unread} bytes");
        drop(held);
    });
}
