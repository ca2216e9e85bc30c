//! A socket that refuses bytes once and lives on: what was sent has a hole, and nothing goes out behind it.
#![cfg(feature = "fault-injection")]

mod support;

use std::io::Read;
use std::sync::MutexGuard;
use support::peer::{Connection, Peer, frame, whole_frames};
use support::{BINARY, Call, FIN, FOREVER, MORE, Options, Status, Stream, TEXT, option, until};
use wsstream::fault::{Fault, On, arm, disarm, fired};

/// Long for a machine that is busy, short for what would never come.
const LATE_MS: i64 = 5000;

/// Faults are the process's: the tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    let turn = support::turn();
    disarm();
    turn
}

fn pair(peer: &Peer, options: &Options) -> (Stream, Connection) {
    let stream = Stream::open_with(&peer.url(), options);
    let connection = peer.open();
    assert_eq!(stream.wait_opened(FOREVER), Status::Ok);
    (stream, connection)
}

/// All that the peer receives up to the end of TCP, which comes before the stream is freed.
fn received(mut connection: Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = connection.socket.read_to_end(&mut bytes);
    bytes
}

/// The stream has failed: every write says so, `closed` settles, and the peer gets no byte more than `sent`.
#[track_caller]
fn nothing_follows(stream: &Stream, connection: Connection, sent: &[&[u8]], name: &str) {
    let later = |round| match round % 4 {
        0 => stream.write(TEXT, b"behind the hole", 0),
        1 => stream.write(TEXT, b"behind the hole", LATE_MS),
        2 => stream.write(BINARY, &vec![7; 200_000], LATE_MS),
        _ => stream.write_some(TEXT, b"behind the hole", FIN | MORE, LATE_MS),
    };
    for round in 0..8 {
        assert_eq!(later(round), Status::Connection, "{name}: write {round}");
    }
    assert_eq!(stream.wait_closed(LATE_MS).0, Status::Connection, "{name}");
    assert_eq!(later(0), Status::Connection, "{name}");
    assert_eq!(stream.flush(LATE_MS), Status::Connection, "{name}");
    let bytes = received(connection);
    let frames = whole_frames(&bytes);
    let payloads: Vec<_> = frames.iter().map(|frame| &frame.payload[..]).collect();
    assert_eq!(payloads, sent, "{name}");
    let size: usize = sent.iter().map(|payload| payload.len() + 6).sum();
    assert_eq!(bytes.len(), size, "{name}: bytes behind the hole");
}

#[test]
fn after_a_send_that_failed_once_every_write_fails_and_nothing_is_sent_behind_the_hole() {
    type Write = fn(&Stream) -> Status;
    let writes: [(&str, Write); 4] = [
        ("small", |stream| stream.write(TEXT, b"lost", LATE_MS)),
        ("small without waiting", |stream| stream.write(TEXT, b"lost", 0)),
        ("large", |stream| stream.write(BINARY, &vec![7; 1 << 20], LATE_MS)),
        ("part", |stream| stream.write_some(TEXT, b"lost", 0, LATE_MS)),
    ];
    let _turn = turn();
    for is_read in [false, true] {
        for (name, write) in writes {
            let peer = Peer::new(None);
            let (stream, connection) = pair(&peer, &Options::new());
            stream.writes_text("before");
            let share = stream.reference();
            let read = is_read.then(|| Call::blocked(move || share.refused_read(FOREVER)));
            arm("net.send", Fault::Fail, On::Caller, 0);
            let name = format!("{name}, is read: {is_read}");
            assert_eq!(write(&stream), Status::Connection, "{name}");
            assert!(fired("net.send"), "{name}");
            disarm();
            nothing_follows(&stream, connection, &[b"before"], &name);
            assert!(read.is_none_or(|read| read.join() == Status::Connection), "{name}");
        }
    }
}

#[test]
fn after_a_pong_that_could_not_be_sent_every_write_fails_and_closed_settles() {
    let _turn = turn();
    for on in [On::Caller, On::Internal] {
        let peer = Peer::new(None);
        let (stream, mut connection) = pair(&peer, &Options::new());
        stream.writes_text("before");
        let share = stream.reference();
        let read = (on == On::Caller).then(|| Call::blocked(move || share.refused_read(FOREVER)));
        arm("net.send", Fault::Fail, on, 0);
        connection.send(&frame(0x89, b"lost"));
        until(|| fired("net.send"));
        disarm();
        assert_eq!(stream.wait_closed(LATE_MS).0, Status::Connection, "{on:?}");
        nothing_follows(&stream, connection, &[b"before"], &format!("{on:?}"));
        assert!(read.is_none_or(|read| read.join() == Status::Connection), "{on:?}");
    }
}

#[test]
fn a_send_that_fails_ends_a_stream_that_stands_at_its_mark() {
    let _turn = turn();
    for round in 0..20 {
        let peer = Peer::new(None);
        let (stream, mut connection) = pair(&peer, &Options::with(option::READ_BUFFER_SIZE, 1));
        stream.writes_text("before");
        connection.send(&frame(0x82, &[7; 1000]).repeat(200));
        // Half of the rounds before it stands, half when the sweep has come by.
        if round % 2 == 0 {
            assert_eq!(stream.poll(support::READABLE, LATE_MS), Ok(support::READABLE));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        arm("net.send", Fault::Fail, On::Caller, 0);
        assert_eq!(stream.write(TEXT, b"lost", LATE_MS), Status::Connection);
        disarm();
        nothing_follows(&stream, connection, &[b"before"], &format!("round {round}"));
    }
}
