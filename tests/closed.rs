//! What `closed` settles to where the peer says too much, says it wrongly, says it while data is unsent, or never lets go;
//! and that the two halves agree with it at every moment.

#[path = "support/halves.rs"]
mod calls;
#[path = "support/ends.rs"]
mod ending;
mod support;

use calls::connected;
use ending::{
    LARGE, blocked, close_of, end_tcp, ended, is_close, last_read, messages_before_close, rest_of,
    takes_close,
};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::peer::{Connection, Peer, frame, reset, whole_frames};
use support::{
    BINARY, CLOSED, Call, Cause, FIN, FOREVER, Initiator, MORE, Phase, READABLE, Status, Stream, TEXT,
    is_secure, until,
};

// Rows: K01, K04, C20, D02
#[test]
fn what_follows_the_peers_close_is_not_looked_at() {
    let behind =
        [close_of(4002, "second"), frame(0x81, b"late"), frame(0x89, b"?"), vec![0xFF; 3000]].concat();
    for split in [false, true] {
        let (stream, mut connection) = connected();
        let first = [frame(0x81, b"before"), close_of(4001, "first")].concat();
        if split {
            connection.send(&first);
            takes_close(&mut connection, 4001);
            connection.send(&behind);
        } else {
            connection.send(&[first, behind.clone()].concat());
            takes_close(&mut connection, 4001);
        }
        end_tcp(&connection);
        let info = stream.closed_cleanly();
        assert_eq!((info.code, info.reason.as_str(), info.sent_code), (4001, "first", 4001));
        stream.reads_text("before");
        ended(&stream, Status::Ok, Status::Done, Status::State);
        assert_eq!(connection.receive(), None);
    }
}

// Rows: K01, K04, D02
#[test]
fn a_close_inside_a_message_drops_that_message_and_is_clean() {
    let whole = [frame(0x81, b"before"), frame(0x02, b"begun"), frame(0x00, b"on")].concat();
    let mut cut = frame(0x01, "é".as_bytes());
    cut.truncate(cut.len() - 1);
    cut[1] -= 1;
    for begun in [whole, [frame(0x81, b"before"), cut].concat()] {
        let (stream, mut connection) = connected();
        connection.send(&[begun, close_of(4001, "")].concat());
        takes_close(&mut connection, 4001);
        end_tcp(&connection);
        stream.reads_text("before");
        assert_eq!(stream.refused_read(FOREVER), Status::Done);
        ended(&stream, Status::Ok, Status::Done, Status::State);
    }
}

// Rows: K01, K04
#[test]
fn a_close_with_the_end_of_tcp_right_behind_it_is_answered_and_clean() {
    for reads in [false, true].into_iter().cycle().take(20) {
        let (stream, mut connection) = connected();
        let read = reads.then(|| blocked(&stream, |stream| stream.read(FOREVER).map(|_| ())));
        connection.send(&[frame(0x82, &[7; 20_000]), close_of(4567, "theirs")].concat());
        end_tcp(&connection);
        takes_close(&mut connection, 4567);
        let info = stream.closed_cleanly();
        assert_eq!((info.code, info.sent_code, info.initiator), (4567, 4567, Initiator::Remote));
        assert_eq!(read.map_or_else(|| stream.read(0).map(|_| ()), Call::join), Ok(()));
        ended(&stream, Status::Ok, Status::Done, Status::State);
    }
}

// Rows: K04, K17, D02
#[test]
fn closed_settles_when_tcp_has_ended_and_not_before_and_is_clean_however_it_ends() {
    for (is_local, resets) in [(true, false), (true, true), (false, false), (false, true)] {
        let (stream, mut connection) = connected();
        if is_local {
            assert_eq!(stream.close(4000, ""), Status::Ok);
            takes_close(&mut connection, 4000);
        }
        connection.send(&close_of(4000, ""));
        let since = Instant::now();
        if !is_local {
            takes_close(&mut connection, 4000);
        }
        let (early, _) = stream.wait_closed(100);
        // On a machine that stands still the second may be over.
        assert!(early == Status::Again || since.elapsed() > Duration::from_millis(900), "{early:?}");
        if resets {
            reset(connection.socket.tcp);
        } else {
            end_tcp(&connection);
        }
        let info = ended(&stream, Status::Ok, Status::Done, Status::State);
        assert_eq!((info.code, info.sent_code, info.cause), (4000, 4000, Cause::None));
        assert_eq!(info.initiator, if is_local { Initiator::Local } else { Initiator::Remote });
    }
}

// Rows: K17, D04
#[test]
fn a_peer_that_never_ends_tcp_is_waited_for_a_second_whoever_began_and_whatever_it_still_sends() {
    let cases = [(true, false), (true, true), (false, false), (false, true)];
    let streams = cases.map(|(is_local, sends)| {
        let (stream, mut connection) = connected();
        if is_local {
            assert_eq!(stream.close(4000, ""), Status::Ok);
            takes_close(&mut connection, 4000);
        }
        let since = Instant::now();
        connection.send(&close_of(4000, ""));
        if !is_local {
            takes_close(&mut connection, 4000);
        }
        let flood = std::thread::spawn(move || {
            while sends && connection.socket.write_all(&frame(0x82, &[7; 4096])).is_ok() {}
            // Here its end is not in the way of the client's own, which ends TCP first.
            sends || rest_of(&mut connection).is_empty()
        });
        (stream, flood, since)
    });
    for (stream, flood, since) in streams {
        let info = ended(&stream, Status::Ok, Status::Done, Status::State);
        assert_eq!(info.code, 4000);
        let waited = since.elapsed();
        assert!((Duration::from_millis(990)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
        assert!(flood.join().expect("it ends"), "nothing is sent behind our Close");
    }
}

/// Which codes may be in a Close (RFC 6455 §7.4, and the registry's 1012 to 1014).
fn is_legal(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Over TLS, where a handshake takes its time, those at which something changes, and every 250th.
fn codes() -> Vec<u16> {
    let edges =
        [1000, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1014, 1015, 1016, 2999, 3000, 4999, 5000];
    let high = [5001, 10_000, 32_767, 32_768, 65_534, 65_535];
    let low = (0..=5000).filter(|code| !is_secure() || code % 250 == 0 || edges.contains(code));
    low.chain(high).collect()
}

/// Opens a stream for each code to a peer that sends it; what became of them.
fn judge_codes(codes: &[u16]) {
    let peer = Peer::of_scheme(None);
    let url = peer.url();
    let sent = codes.to_vec();
    let peers = std::thread::spawn(move || {
        for code in sent {
            let mut connection = peer.accept();
            connection.switch(&close_of(code, "r"));
            let answer = if is_legal(code) { code } else { 1002 };
            takes_close(&mut connection, answer);
            end_tcp(&connection);
            assert_eq!(rest_of(&mut connection), b"", "{code}");
        }
    });
    for &code in codes {
        let stream = Stream::opened(&url);
        let (status, info) = stream.wait_closed(FOREVER);
        let info = info.expect("an info");
        let (expected, told, cause, initiator) = match is_legal(code) {
            true => (Status::Ok, (code, "r"), Cause::None, Initiator::Remote),
            false => (Status::Connection, (1006, ""), Cause::Protocol, Initiator::Local),
        };
        assert_eq!((status, info.code, info.reason.as_str()), (expected, told.0, told.1), "{code}: {info:?}");
        assert_eq!((info.cause, info.initiator), (cause, initiator), "{code}: {info:?}");
        assert_eq!(info.sent_code, if is_legal(code) { code } else { 1002 }, "{info:?}");
    }
    peers.join().expect("each was answered as it should be");
}

// Rows: D12, D07, K09, K15
#[test]
fn every_code_in_the_peers_close_is_accepted_or_fails_the_connection() {
    let codes = codes();
    let threads: Vec<_> = codes
        .chunks(codes.len().div_ceil(4))
        .map(|some| {
            let some = some.to_vec();
            std::thread::spawn(move || judge_codes(&some))
        })
        .collect();
    for thread in threads {
        thread.join().expect("all of them");
    }
}

// Rows: K10, K15
#[test]
fn a_reason_is_told_where_it_is_utf8_and_fails_with_1007_where_it_is_not() {
    let long =
        ["r", "é", "€", "😀"].map(|unit| unit.repeat(123 / unit.len()) + &"x".repeat(123 % unit.len()));
    let good = long.iter().map(String::as_str).chain(["\u{feff}", "\0", "\u{fffe}\u{10ffff}\u{7f}"]);
    let good = good.map(|reason| (reason.as_bytes(), true));
    let bad: [&[u8]; 7] =
        [b"\xFF", b"ok\xC3", b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xF0\x9F\x98", b"\x80"];
    for (reason, is_good) in good.chain(bad.map(|reason| (reason, false))) {
        let (stream, mut connection) = connected();
        connection.send(&frame(0x88, &[&[0x0F, 0xA0], reason].concat()));
        takes_close(&mut connection, if is_good { 4000 } else { 1007 });
        end_tcp(&connection);
        if is_good {
            let info = ended(&stream, Status::Ok, Status::Done, Status::State);
            assert_eq!((info.code, info.reason.as_bytes()), (4000, reason));
        } else {
            let info = ended(&stream, Status::Connection, Status::Connection, Status::Connection);
            assert_eq!((info.code, info.reason.as_str(), info.sent_code), (1006, "", 1007), "{reason:?}");
            assert_eq!((info.cause, info.initiator), (Cause::Utf8, Initiator::Local), "{info:?}");
            assert_eq!(info.phase, Phase::Open, "{info:?}");
        }
    }
}

/// The ways to end that the calls are watched at: who does what, and what the calls then answer.
type Way = (&'static str, fn(&Stream, Connection), [Status; 3]);
const WAYS: [Way; 6] = [
    (
        "a local close",
        |stream, mut connection| {
            assert_eq!(stream.close(4000, ""), Status::Ok);
            while !connection.receive().is_some_and(|frame| is_close(&frame)) {}
            connection.send(&close_of(4000, ""));
        },
        [Status::Ok, Status::Done, Status::State],
    ),
    (
        "a local close without an answer",
        |stream, mut connection| {
            assert_eq!(stream.close(4000, ""), Status::Ok);
            while !connection.receive().is_some_and(|frame| is_close(&frame)) {}
        },
        [Status::Connection, Status::Connection, Status::State],
    ),
    (
        "the peer's close",
        |_, mut connection| {
            connection.send(&close_of(4000, ""));
            while !connection.receive().is_some_and(|frame| is_close(&frame)) {}
        },
        [Status::Ok, Status::Done, Status::State],
    ),
    ("the end of TCP", |_, connection| drop(connection), [Status::Connection; 3]),
    ("a reset", |_, connection| reset(connection.socket.tcp), [Status::Connection; 3]),
    (
        "a mistake of the peer",
        |_, mut connection| connection.send(&frame(0x83, b"")),
        [Status::Connection; 3],
    ),
];

/// What write answers, once nobody else is inside.
fn last_write(stream: &Stream) -> Status {
    loop {
        match stream.write(TEXT, b"x", 0) {
            Status::Busy => std::thread::yield_now(),
            status => return status,
        }
    }
}

// Rows: K13, K14
#[test]
fn read_write_and_closed_agree_at_every_moment_of_the_end() {
    for (way, end, expected) in WAYS.iter().cycle().take(WAYS.len() * if is_secure() { 5 } else { 20 }) {
        let (stream, connection) = connected();
        let [closed, read, write] = *expected;
        let watched = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let settled = |stream: &Stream| {
                assert_eq!(stream.wait_closed(0).0, closed, "{way}: closed is behind");
                assert_eq!(last_read(stream, 0), read, "{way}");
                assert_eq!(last_write(stream), write, "{way}");
            };
            for watch in 0..3 {
                let (stream, watched) = (stream.reference(), &watched);
                scope.spawn(move || {
                    watched.fetch_add(1, Ordering::Relaxed);
                    match watch {
                        0 => while stream.wait_closed(0).0 == Status::Again {},
                        1 => assert_eq!(last_read(&stream, 1), read, "{way}"),
                        _ => assert_eq!(stream.poll(CLOSED, FOREVER), Ok(CLOSED)),
                    }
                    settled(&stream);
                });
            }
            let (sender, called) = channel();
            let call = move |stream: &support::stream::Borrowed, status, _| {
                let read = stream.read(0).unwrap_err();
                sender.send((status, read, last_write(stream))).expect("it is awaited");
            };
            assert_eq!(stream.on_closed(call), Status::Ok);
            until(|| watched.load(Ordering::Relaxed) == 3);
            end(&stream, connection);
            let (status, last, refused) = called.recv().expect("it is called");
            assert_eq!((status, refused), (closed, write), "{way}");
            assert!(last == read || last == Status::Busy, "{way}: {last:?}");
            settled(&stream);
        });
    }
}

// Rows: K13, K14, D02
#[test]
fn the_first_answer_of_an_ended_half_is_the_one_for_ever() {
    for round in 0..if is_secure() { 20 } else { 100 } {
        let (stream, mut connection) = connected();
        let read = blocked(&stream, |stream| last_read(stream, FOREVER));
        let write = writes_until_refused(&stream);
        // The Close and a reset: a writer may meet the one before a reader meets the other.
        connection.send(&close_of(4000, ""));
        reset(connection.socket.tcp);
        let (first_read, first_write) = (read.join(), write.join());
        let (status, info) = stream.wait_closed(FOREVER);
        let info = info.expect("an info");
        assert!(status == Status::Connection || info.code == 4000, "{info:?}");
        assert_eq!(stream.refused_read(0), first_read, "round {round}: {info:?}");
        assert_eq!(stream.write(TEXT, b"x", 0), first_write, "round {round}: {info:?}");
        assert_eq!(
            first_read,
            if status == Status::Ok { Status::Done } else { Status::Connection },
            "{info:?}"
        );
        assert!(first_write == Status::Connection || (first_write, info.code) == (Status::State, 4000));
    }
}

/// A thread that writes small messages until that is refused.
fn writes_until_refused(stream: &Stream) -> Call<Status> {
    let share = stream.reference();
    Call::begun(move || {
        loop {
            match share.write(BINARY, &[7; 100], FOREVER) {
                Status::Ok => {}
                status => return status,
            }
        }
    })
}

// Rows: K05, K08, K14, D02, D13
#[test]
fn a_close_of_the_peer_before_an_unfinished_write_is_unclean_whoever_closed_and_is_never_inside_a_frame() {
    type Leave = fn(&Stream, Vec<u8>) -> Option<Call<Status>>;
    let ways: [(&str, Leave); 6] = [
        ("queued", |stream, large| {
            assert_eq!(stream.write(BINARY, &large, 0), Status::Queued);
            None
        }),
        ("under way", |stream, large| {
            Some(blocked(stream, move |stream| stream.write(BINARY, &large, FOREVER)))
        }),
        ("waiting for room", |stream, large| {
            assert_eq!(stream.write(BINARY, &large, 0), Status::Queued);
            Some(blocked(stream, |stream| stream.write(TEXT, b"never", FOREVER)))
        }),
        ("flushing", |stream, large| {
            assert_eq!(stream.write(BINARY, &large, 0), Status::Queued);
            Some(blocked(stream, |stream| stream.flush(FOREVER)))
        }),
        ("a part of a message", |stream, _| {
            assert_eq!(stream.write_some(TEXT, b"begun", 0, FOREVER), Status::Ok);
            None
        }),
        ("a local close behind it", |stream, large| {
            assert_eq!(stream.write(BINARY, &large, 0), Status::Queued);
            assert_eq!(stream.close(4000, "mine"), Status::Ok);
            None
        }),
    ];
    for (way, leave) in ways {
        let (stream, mut connection) = connected();
        let call = leave(&stream, support::pattern(LARGE));
        connection.send(&[frame(0x81, b"before"), close_of(4567, "theirs")].concat());
        assert_eq!(call.map_or(Status::State, Call::join), Status::State, "{way}");
        let (status, info) = stream.wait_closed(FOREVER);
        let info = info.expect("an info");
        assert_eq!((status, info.clean), (Status::Connection, false), "{way}: {info:?}");
        assert_eq!((info.code, info.reason.as_str(), info.sent_code), (4567, "theirs", 0), "{way}: {info:?}");
        assert_eq!((info.cause, info.phase), (Cause::Unsent, Phase::Closing), "{way}: {info:?}");
        let is_local = way == "a local close behind it";
        assert_eq!(info.initiator, if is_local { Initiator::Local } else { Initiator::Remote }, "{way}");
        if !is_local {
            stream.reads_text("before");
        }
        ended(&stream, Status::Connection, Status::Connection, Status::State);
        let frames = whole_frames(&rest_of(&mut connection));
        assert!(!frames.iter().any(is_close), "{way}: no Close behind a cut message");
    }
}

// Rows: D13
#[test]
fn what_is_framed_when_the_peers_close_comes_is_sent_and_our_close_behind_it() {
    let (stream, mut connection) = connected();
    assert_eq!(stream.write_some(TEXT, b"parts", 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, b"", FIN | MORE, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, b"gathered", FIN | MORE, 0), Status::Ok);
    connection.send(&close_of(4567, ""));
    let mut frames = Vec::new();
    while !frames.last().is_some_and(is_close) {
        frames.push(connection.receive().expect("all of it"));
    }
    let (messages, close) = messages_before_close(&frames);
    assert_eq!(messages, [b"parts".as_slice(), b"gathered"]);
    assert_eq!(close.payload, 4567_u16.to_be_bytes());
    end_tcp(&connection);
    assert_eq!(ended(&stream, Status::Ok, Status::Done, Status::State).code, 4567);
}

// Rows: K06, K07, K14
#[test]
fn an_end_without_the_peers_close_is_1006_before_and_after_our_close() {
    for (closes, resets) in [(false, false), (false, true), (true, false), (true, true)] {
        let (stream, mut connection) = connected();
        connection.send(&frame(0x81, b"discarded"));
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        if closes {
            assert_eq!(stream.close(4000, "mine"), Status::Ok);
            assert_eq!(connection.receive().expect("a Close").payload, b"\x0F\xA0mine");
        }
        // Half of a Close is none.
        connection.send(&close_of(4567, "theirs")[..4]);
        if resets {
            reset(connection.socket.tcp);
        } else {
            end_tcp(&connection);
        }
        let write = if closes { Status::State } else { Status::Connection };
        let info = ended(&stream, Status::Connection, Status::Connection, write);
        assert_eq!((info.code, info.reason.as_str()), (1006, ""), "{info:?}");
        let (initiator, phase, sent_code) = match closes {
            true => (Initiator::Local, Phase::Closing, 4000),
            false => (Initiator::Transport, Phase::Open, 0),
        };
        assert_eq!((info.initiator, info.phase, info.sent_code), (initiator, phase, sent_code), "{info:?}");
        assert_eq!(info.cause, if resets { Cause::System } else { Cause::Truncated }, "{info:?}");
    }
}

// Rows: K15
#[test]
fn a_failure_inside_what_is_unsent_sends_no_close_and_says_so() {
    let (stream, mut connection) = connected();
    assert_eq!(stream.write(BINARY, &support::pattern(LARGE), 0), Status::Queued);
    connection.send(&frame(0x83, b""));
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.sent_code, info.cause), (1006, 0, Cause::Protocol), "{info:?}");
    assert!(!whole_frames(&rest_of(&mut connection)).iter().any(is_close));
}
