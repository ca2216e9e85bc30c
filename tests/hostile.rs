//! Peers that mean harm and a system that has nothing left: memory stays bounded, calls keep their time, other streams
//! go on, and no message is completed with bytes that are not its own.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::alone::{alone, without_descriptors};
use support::flood::Flood;
use support::heap::{Heap, live, more_than};
use support::peer::{Connection, Peer, frame, whole_frames};
use support::thread::cost_of_internal_thread;
use support::{
    BINARY, CLOSED, Cause, FOREVER, Options, READABLE, Status, Stream, WRITABLE, option, server, turn, until,
    until_spinning,
};

#[global_allocator]
static HEAP: Heap = Heap;

/// An open stream and the peer's end of it.
fn pair(peer: &Peer, options: &Options) -> (Stream, Connection) {
    let stream = Stream::open_with(&peer.url(), options);
    let connection = peer.open();
    assert_eq!(stream.wait_opened(FOREVER), Status::Ok);
    (stream, connection)
}

/// Sends on, from the byte `begun` of what is repeated, until the client takes no more for a while; how many bytes it took
/// in all.
fn fill(connection: &mut Connection, bytes: &[u8], begun: usize) -> usize {
    connection.socket.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut sent = begun;
    loop {
        // More than the system's buffers hold.
        assert!(sent - begun < 16 << 20, "{} bytes were taken", sent - begun);
        match connection.socket.write(&bytes[sent % bytes.len()..]) {
            Ok(size) => sent += size,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn memory_stays_flat_while_the_peer_is_always_a_little_behind() {
    const MARK: usize = 4 << 20;
    let _turn = turn();
    let peer = Peer::new(Some(65536));
    let options = Options::with(option::WRITE_BUFFER_SIZE, MARK as i64);
    let (stream, mut connection) = pair(&peer, &options);
    let (message, mut piece) = (vec![7; 20_000], vec![0; 256 << 10]);
    let (before, mut most, mut received) = (live(), 0, 0);
    while received < 80 << 20 {
        match stream.write(BINARY, &message, 0) {
            Status::Ok | Status::Queued => {}
            // More than the mark is unsent, and the peer makes room for a part of it.
            Status::Again => received += connection.socket.read(&mut piece).unwrap(),
            status => panic!("{status:?}"),
        }
        most = most.max(more_than(before));
    }
    // As much again that was sent, and what capacity exceeds content by.
    assert!(most <= 4 * MARK + (1 << 20), "{most} bytes for a mark of {MARK}");
}

#[test]
fn an_idle_stream_keeps_no_write_buffer_and_wakes_nobody() {
    alone("an_idle_stream_keeps_no_write_buffer_and_wakes_nobody", || {
        let (stream, mut connection) = pair(&Peer::new(None), &Options::new());
        let mut writes = |data: &[u8]| {
            assert_eq!(stream.write(BINARY, data, FOREVER), Status::Ok);
            assert_eq!(connection.receive().expect("it comes").payload.len(), data.len());
        };
        writes(b"small");
        assert_eq!(stream.wait_closed(100).0, Status::Again);
        let before = live();
        writes(&[7; 50_000]);
        until(|| more_than(before) < 10 << 10);
        until(|| {
            let before = cost_of_internal_thread().0;
            std::thread::sleep(Duration::from_millis(200));
            cost_of_internal_thread().0 - before < 5
        });
    });
}

/// What a peer can send for ever without one message: name, first bytes, repeated bytes, whether it takes answers.
fn floods() -> [(&'static str, Vec<u8>, Vec<u8>, bool); 4] {
    let (ping, pong) = (frame(0x89, b""), frame(0x8A, b""));
    let (first, empty) = (frame(0x02, b""), frame(0x00, b""));
    [
        ("pings", vec![], ping.clone(), true),
        ("pings whose pongs are not taken", vec![], ping, false),
        ("pongs", vec![], pong, true),
        ("empty fragments", first, empty, true),
    ]
}

/// Makes a call that has so many ms: it does not return before. A flood has no end: a call that it keeps meets the
/// deadline of the test.
#[track_caller]
fn keeps_time(name: &str, timeout_ms: i64, call: impl FnOnce(i64)) {
    let begun = Instant::now();
    call(timeout_ms);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(timeout_ms.unsigned_abs()), "{name}: {took:?} of {timeout_ms} ms");
}

#[test]
fn a_flood_without_messages_keeps_no_call_beyond_its_time_and_memory_stays_bounded() {
    let _turn = turn();
    for (name, first, unit, takes) in floods() {
        let before = live();
        let peer = Peer::new(None);
        let (stream, connection) = pair(&peer, &Options::new());
        let flood = Flood::begin(connection, &first, &unit, takes);
        flood.goes_on(1 << 20);
        for timeout_ms in [0, 100, 0] {
            flood.goes_on(1);
            keeps_time(name, timeout_ms, |ms| assert_eq!(stream.refused_read(ms), Status::Again, "{name}"));
            keeps_time(name, timeout_ms, |ms| assert_eq!(stream.poll(READABLE, ms), Err(Status::Again)));
            keeps_time(name, timeout_ms, |ms| assert_eq!(stream.poll(CLOSED, ms), Err(Status::Again)));
            keeps_time(name, timeout_ms, |ms| assert_eq!(stream.wait_closed(ms).0, Status::Again, "{name}"));
        }
        flood.goes_on(1);
        assert!(more_than(before) < 2 << 20, "{name}: {} bytes", more_than(before));
    }
}

/// Others connect by address and by name, echo, and run out of time; in a flood without end all of it before its end.
#[track_caller]
fn others_live(name: &str) {
    let url = server().url("/echo");
    for url in [url.replace("127.0.0.1", "localhost"), url] {
        let other = Stream::open(&url);
        assert_eq!(other.wait_opened(FOREVER), Status::Ok, "{name}: {url}");
        other.writes_text("goes on");
        assert_eq!(other.read(FOREVER).expect(name).text(), "goes on");
    }
    let options = Options::with(option::OPEN_TIMEOUT_MS, 50);
    let late = Stream::open_with(&server().url("/handshake?stall=1"), &options);
    assert_eq!(late.wait_opened(FOREVER), Status::Connection, "{name}");
    assert_eq!(late.never_opens().cause, Cause::Timeout);
}

#[test]
fn while_one_stream_is_flooded_others_open_echo_and_time_out() {
    let _turn = turn();
    for (name, first, unit, takes) in floods() {
        let peer = Peer::new(None);
        let (stream, connection) = pair(&peer, &Options::new());
        let flood = Flood::begin(connection, &first, &unit, takes);
        // Nobody reads: the internal thread drives it.
        flood.goes_on(1 << 20);
        others_live(name);
        flood.goes_on(1);
        stream.free();
    }
}

#[test]
fn while_a_closing_stream_is_flooded_with_messages_others_live_and_it_times_out() {
    let _turn = turn();
    let peer = Peer::new(None);
    let options = Options::with(option::CLOSE_TIMEOUT_MS, 1500);
    let (stream, connection) = pair(&peer, &options);
    let flood = Flood::begin(connection, b"", &frame(0x82, b""), true);
    let before = live();
    assert_eq!(stream.close(1000, ""), Status::Ok);
    flood.goes_on(1 << 20);
    others_live("messages");
    assert_eq!(stream.closed_uncleanly().cause, Cause::Timeout);
    assert!(more_than(before) < 16 << 20, "{} bytes", more_than(before));
}

/// How a stream is ended in the middle of what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Free,
    Close,
    PeerClose,
}

/// The peer sends Close and ends its direction of TCP.
fn ends(connection: &mut Connection) {
    connection.send(&frame(0x88, &[3, 232]));
    connection.socket.shutdown(Shutdown::Write).unwrap();
}

/// Ends a stream after so many calls of a thread that writes without pause; what the peer received.
fn cut(peer: &Peer, end: End, message: &Arc<Vec<u8>>, timeout_ms: i64, calls: usize) -> Vec<u8> {
    let (stream, mut connection) = pair(peer, &Options::new());
    let mut from = connection.socket.try_clone().unwrap();
    let received = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // An end that is not in order leaves what came before.
        let _ = from.read_to_end(&mut bytes);
        bytes
    });
    let (share, message, made) = (stream.reference(), Arc::clone(message), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&made);
    let writer = std::thread::spawn(move || {
        loop {
            count.fetch_add(1, Relaxed);
            match share.write(BINARY, &message, timeout_ms) {
                Status::Ok | Status::Queued | Status::Again => {}
                status => return status,
            }
        }
    });
    until_spinning(|| made.load(Relaxed) > calls);
    match end {
        End::Free => stream.free(),
        End::Close => {
            assert_eq!(stream.close(1000, ""), Status::Ok);
            assert_eq!(writer.join().unwrap(), Status::State);
            ends(&mut connection);
            stream.wait_closed(FOREVER);
            return received.join().unwrap();
        }
        End::PeerClose => {
            ends(&mut connection);
            let (_, info) = stream.wait_closed(FOREVER);
            assert!(matches!(info.unwrap().cause, Cause::None | Cause::Unsent));
        }
    }
    assert!(matches!(writer.join().unwrap(), Status::State | Status::Connection));
    received.join().unwrap()
}

/// Fails unless every message that is complete is the one that was written, and nothing follows a Close.
#[track_caller]
fn is_whole_or_cut(received: &[u8], message: &[u8], end: End, round: &str) {
    let (mut content, mut is_closed) = (Vec::new(), false);
    for frame in whole_frames(received) {
        assert!(!is_closed, "{round}: a frame behind a Close");
        match frame.first & 0x0F {
            8 => is_closed = true,
            opcode => {
                assert_eq!(opcode == 0, !content.is_empty(), "{round}: {opcode}");
                content.extend(frame.payload);
                if frame.first & 0x80 != 0 {
                    assert!(content == message, "{round}: {} bytes, another message", content.len());
                    content.clear();
                }
            }
        }
    }
    // Only what gives up may say so between the frames of a message.
    assert!(!is_closed || content.is_empty() || end == End::Free, "{round}: a Close inside a message");
}

#[test]
fn a_message_that_the_end_cuts_is_never_completed_with_foreign_bytes() {
    let _turn = turn();
    // The last piece of the first is as short as a Close.
    for size in [(64 << 10) + 4, (1 << 20) + 8] {
        let message = Arc::new(vec![b'A'; size]);
        for end in [End::Free, End::Close, End::PeerClose] {
            for timeout_ms in [0, FOREVER] {
                for round in 0..10 {
                    let peer = Peer::new(None);
                    let received = cut(&peer, end, &message, timeout_ms, round % 5);
                    let round = format!("{end:?} of {size} with {timeout_ms}, round {round}");
                    is_whole_or_cut(&received, &message, end, &round);
                }
            }
        }
    }
}

/// Sends to all of these until none takes more: each stands at its mark, and the system's buffers are full.
fn fill_all(connections: &[Connection], bytes: &[u8]) {
    for connection in connections {
        let socket = socket2::SockRef::from(&connection.socket.tcp);
        socket.set_send_buffer_size(16 << 10).unwrap();
        socket.set_nonblocking(true).unwrap();
    }
    let (mut sent, mut still) = (vec![0; connections.len()], 0);
    until(|| {
        still += 1;
        for (connection, sent) in connections.iter().zip(&mut sent) {
            if let Ok(size) = (&connection.socket.tcp).write(&bytes[*sent % bytes.len()..]) {
                *sent += size;
                still = 0;
            }
        }
        still == 50
    });
}

#[test]
fn a_stopped_stream_that_is_reset_while_it_writes_settles() {
    let _turn = turn();
    let options = Options::with(option::READ_BUFFER_SIZE, 1);
    let peer = Peer::new(None);
    for _ in 0..4 {
        let (streams, connections): (Vec<_>, Vec<_>) = (0..100).map(|_| pair(&peer, &options)).unzip();
        fill_all(&connections, &frame(0x82, &[7; 16 << 10]).repeat(8));
        for (round, (stream, connection)) in streams.into_iter().zip(connections).enumerate() {
            reset_while_writing(stream, connection, round);
        }
    }
}

/// The peer resets the connection after so many calls of a thread that writes without pause; the stream settles.
fn reset_while_writing(stream: Stream, connection: Connection, calls: usize) {
    let (share, made) = (stream.reference(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&made);
    let writer = std::thread::spawn(move || {
        while matches!(share.write(BINARY, b"small", 0), Status::Ok | Status::Queued | Status::Again) {
            count.fetch_add(1, Relaxed);
        }
    });
    until_spinning(|| made.load(Relaxed) > calls);
    socket2::SockRef::from(&connection.socket.tcp).set_linger(Some(Duration::ZERO)).unwrap();
    drop(connection);
    writer.join().unwrap();
    let (status, info) = stream.wait_closed(FOREVER);
    assert_eq!(status, Status::Connection, "after {calls}: {info:?}");
}

#[test]
fn a_flood_of_empty_messages_is_held_to_the_mark_and_none_is_lost() {
    let _turn = turn();
    let empty = frame(0x82, b"").repeat(64 << 10);
    for mark in [1, 100_000] {
        let before = live();
        let peer = Peer::new(None);
        let (stream, mut connection) = pair(&peer, &Options::with(option::READ_BUFFER_SIZE, mark));
        socket2::SockRef::from(&connection.socket.tcp).set_send_buffer_size(16 << 10).unwrap();
        let sent = fill(&mut connection, &empty, 0);
        // A reader that comes and goes: the receives are large by then.
        let mut count = 0;
        while count < 200_000 && count < sent / 4 {
            count += stream.read_many(FOREVER, 1000).unwrap().len();
        }
        let sent = fill(&mut connection, &empty, sent);
        // The mark, one receive beyond it, and what capacity exceeds content by.
        let most = 2 * (usize::try_from(mark).unwrap() + (256 << 10));
        assert!(more_than(before) <= most, "{mark}: {} bytes, {sent} sent", more_than(before));
        // The other byte of the last one, if only one was taken.
        let rest = [&[0][..sent % 2], &frame(0x88, &[3, 232])].concat();
        connection.socket.set_write_timeout(None).unwrap();
        let closes = std::thread::spawn(move || {
            connection.send(&rest);
            connection
        });
        while let Ok(messages) = stream.read_many(FOREVER, 1000) {
            count += messages.len();
        }
        assert_eq!(count, sent.div_ceil(2), "{mark}");
        stream.closed_cleanly();
        closes.join().unwrap();
    }
}

/// What calls answer that a new thread makes, which has no descriptor to sleep on yet.
fn calls_of_a_new_thread(stream: &Stream, full: &Stream) -> Vec<Status> {
    std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            vec![
                stream.refused_read(FOREVER),
                stream.read_many(FOREVER, 4).map(|messages| messages.len()).unwrap_err(),
                stream.poll(READABLE | CLOSED, FOREVER).unwrap_err(),
                stream.wait_closed(FOREVER).0,
                full.poll(WRITABLE, FOREVER).unwrap_err(),
                full.write(BINARY, b"no room", FOREVER),
                full.flush(FOREVER),
            ]
        });
        calls.join().unwrap()
    })
}

#[test]
fn without_descriptors_waits_answer_resource_and_all_works_again_afterwards() {
    alone("without_descriptors_waits_answer_resource_and_all_works_again_afterwards", || {
        let url = server().url("/echo");
        // Not even the internal thread can be had.
        let refused = without_descriptors(|| Stream::try_open(&url, None).map(|_| ()));
        assert_eq!(refused, Err(Status::Resource));
        let stream = Stream::opened(&url);
        let token = server().token();
        let full = Stream::opened(&server().url(&format!("/stall_until?token={token}")));
        let size = 16 << 20;
        assert_eq!(full.write(BINARY, &vec![0; size], 0), Status::Queued);
        without_descriptors(|| {
            assert_eq!(calls_of_a_new_thread(&stream, &full), [Status::Resource; 7]);
            // What needs none goes on.
            stream.writes_text("goes on");
            stream.reads_text("goes on");
            let other = Stream::open(&url);
            assert_eq!(other.wait_opened(FOREVER), Status::Connection);
            let info = other.never_opens();
            assert_eq!(info.os_error, libc::EMFILE, "{info:?}");
        });
        server().release(&token);
        assert_eq!(full.flush(FOREVER), Status::Ok);
        for stream in [&stream, &Stream::opened(&url)] {
            stream.writes_text("works again");
            std::thread::scope(|scope| scope.spawn(|| stream.reads_text("works again")).join().unwrap());
        }
    });
}
