//! What ends a stream from this side, and what it does to all that is under way then: close in every phase and from many
//! threads, its timeout, and free.

#[path = "support/halves.rs"]
mod calls;
#[path = "support/ends.rs"]
mod ending;
mod support;

use calls::{connected, connected_with, part, read_some};
use ending::{
    LARGE, blocked, close_of, end_tcp, ended, is_close, messages_before_close, rest_of, takes_close,
};
use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::alone::{alone, hold_internal};
use support::peer::{Connection, Peer, Received, frame, whole_frames};
use support::{
    BINARY, CLOSED, Call, Cause, FIN, FOREVER, Initiator, MORE, Options, Phase, READABLE, Status, Stream,
    TEXT, option, plain_only, server,
};

// Rows: C12, K11
#[test]
fn close_while_connecting_fails_the_opening_and_sends_nothing() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.accept();
    assert_eq!(stream.close(4000, "ignored"), Status::Ok);
    let info = stream.never_opens();
    assert_eq!((info.code, info.reason.as_str(), info.sent_code), (1006, "", 0));
    assert_eq!(rest_of(&mut connection), b"");
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(stream.never_opens(), info, "whatever is called later");
}

#[test]
fn a_failure_drops_what_the_peer_did_not_take() {
    let (stream, mut connection) = connected();
    assert_eq!(stream.write(BINARY, &vec![7; LARGE], 0), Status::Queued);
    connection.send(&frame(0x83, b""));
    stream.closed_uncleanly();
    support::until(|| calls::statistics(&stream).unsent == 0);
}

// Rows: C15, K01, D02
#[test]
fn a_close_behind_the_peers_close_sends_no_second_one_and_changes_nothing() {
    let (stream, mut connection) = connected();
    connection.send(&close_of(4567, "theirs"));
    takes_close(&mut connection, 4567);
    // TCP goes on: only the Close has been seen.
    assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
    for code in [4000, 1000, support::NO_CODE] {
        assert_eq!(stream.close(code, ""), Status::Ok);
    }
    assert_eq!(stream.close(4001, "mine"), Status::Ok);
    end_tcp(&connection);
    let info = ended(&stream, Status::Ok, Status::Done, Status::State);
    assert_eq!((info.code, info.reason.as_str(), info.sent_code), (4567, "theirs", 4567));
    assert_eq!((info.initiator, info.phase, info.cause), (Initiator::Remote, Phase::Closing, Cause::None));
    assert_eq!(connection.receive(), None);
}

// Rows: C14, C15
#[test]
fn closes_from_both_sides_and_from_many_threads_put_one_close_on_the_wire() {
    for round in 0..40 {
        let (url, id) = server().recorded("/close?code=4567&reason=theirs&after=1");
        let stream = Stream::opened(&url);
        stream.writes_text("go");
        let calls: Vec<_> = (4000..4003)
            .map(|code| {
                let share = stream.reference();
                Call::begun(move || share.close(code, "mine"))
            })
            .collect();
        assert!(calls.into_iter().all(|call| call.join() == Status::Ok));
        let info = ended(&stream, Status::Ok, Status::Done, Status::State);
        assert_eq!((info.code, info.reason.as_str()), (4567, "theirs"), "round {round}");
        let is_ours = (4000..4003).contains(&info.sent_code);
        assert!(is_ours || info.sent_code == 4567, "{info:?}");
        assert_eq!(info.initiator == Initiator::Local, is_ours, "{info:?}");
        let record = server().record(&id).lawful();
        assert_eq!((record.count("close"), record.count("frames_after_close")), (1, 0), "{}", record.text);
        assert_eq!(record.close().0, info.sent_code.to_string());
    }
}

// Rows: C17
#[test]
fn what_was_taken_goes_out_whole_before_the_close_wherever_it_stands() {
    let large = support::pattern(LARGE);
    type Write = fn(&Stream, &[u8]) -> Option<Call<Status>>;
    let ways: [(&str, Write, usize); 4] = [
        (
            "gathered",
            |stream, _| {
                for _ in 0..3 {
                    assert_eq!(stream.write_some(TEXT, b"gathered", FIN | MORE, 0), Status::Ok);
                }
                None
            },
            3,
        ),
        (
            "queued",
            |stream, large| {
                assert_eq!(stream.write(BINARY, large, 0), Status::Queued);
                None
            },
            1,
        ),
        (
            "queued behind others and gathered",
            |stream, large| {
                assert_eq!(stream.write_some(TEXT, b"gathered", FIN | MORE, 0), Status::Ok);
                assert_eq!(stream.write_some(BINARY, large, FIN | MORE, 0), Status::Queued);
                None
            },
            2,
        ),
        (
            "under way",
            |stream, large| {
                let large = large.to_vec();
                Some(blocked(stream, move |stream| stream.write(BINARY, &large, FOREVER)))
            },
            1,
        ),
    ];
    for (way, write, count) in ways {
        let (stream, mut connection) = connected();
        let call = write(&stream, &large);
        assert_eq!(stream.close(4000, "bye"), Status::Ok);
        let mut frames = Vec::new();
        while !frames.last().is_some_and(is_close) {
            frames.push(connection.receive().expect(way));
        }
        let (messages, close) = messages_before_close(&frames);
        assert_eq!(messages.len(), count, "{way}");
        assert!(messages.iter().all(|message| *message == large || message == b"gathered"), "{way}");
        assert_eq!(close.payload, b"\x0F\xA0bye", "{way}");
        connection.send(&close_of(4000, ""));
        end_tcp(&connection);
        assert_eq!(call.map_or(Status::Ok, Call::join), Status::Ok, "{way}");
        ended(&stream, Status::Ok, Status::Done, Status::State);
        assert_eq!(connection.receive(), None);
    }
}

// Rows: C18, C24, D01
#[test]
fn close_works_while_both_halves_are_taken_and_what_waits_for_room_is_not_sent() {
    let (stream, mut connection) = connected();
    let large = support::pattern(LARGE);
    assert_eq!(stream.write(BINARY, &large, 0), Status::Queued);
    let read = blocked(&stream, |stream| stream.refused_read(FOREVER));
    let write = blocked(&stream, |stream| stream.write(TEXT, b"never", FOREVER));
    assert_eq!((stream.read(0).unwrap_err(), stream.flush(0)), (Status::Busy, Status::Busy));
    assert_eq!(stream.close(4000, ""), Status::Ok);
    assert_eq!(write.join(), Status::State);
    assert!(!read.is_finished(), "reading goes on until the end");
    let mut frames = Vec::new();
    while !frames.last().is_some_and(is_close) {
        frames.push(connection.receive().expect("all of it"));
    }
    assert!(messages_before_close(&frames).0 == [large], "only what was taken");
    assert!(!read.is_finished());
    connection.send(&close_of(4000, ""));
    end_tcp(&connection);
    assert_eq!(read.join(), Status::Done);
    ended(&stream, Status::Ok, Status::Done, Status::State);
}

// Rows: C14, C20, K13, K14
#[test]
fn every_thread_that_waits_goes_on_waiting_after_close_until_the_peer_has_answered() {
    for is_clean in [true, false] {
        let (stream, mut connection) = connected();
        let read = blocked(&stream, |stream| stream.refused_read(FOREVER));
        let polls =
            [READABLE, CLOSED].map(|events| blocked(&stream, move |stream| stream.poll(events, FOREVER)));
        let wait = blocked(&stream, |stream| stream.wait_closed(FOREVER).0);
        let closes: Vec<_> = (4000..4004)
            .map(|code| {
                let share = stream.reference();
                Call::begun(move || share.close(code, "mine"))
            })
            .collect();
        assert!(closes.into_iter().all(|call| call.join() == Status::Ok));
        let close = connection.receive().expect("a Close");
        assert!(is_close(&close) && close.payload.starts_with(&[0x0F]) && close.payload.ends_with(b"mine"));
        assert!(!read.is_finished() && !wait.is_finished() && !polls.iter().any(Call::is_finished));
        if is_clean {
            connection.send(&close_of(4000, ""));
        }
        end_tcp(&connection);
        let (end, last) =
            if is_clean { (Status::Ok, Status::Done) } else { (Status::Connection, Status::Connection) };
        assert_eq!((read.join(), wait.join()), (last, end));
        assert_eq!(polls.map(Call::join), [Ok(READABLE), Ok(CLOSED)]);
        ended(&stream, end, last, Status::State);
        assert_eq!(connection.receive(), None, "one Close for all of them");
    }
}

const READABLE_SOME: u32 = 16;

/// Who drives a stream while it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Nobody,
    Poll,
    WaitClosed,
    ReadMany,
}

// Rows: C21, C22, C23, D14
#[test]
fn after_a_local_close_what_was_here_is_kept_and_the_rest_is_dropped_whoever_drives() {
    for driver in [Driver::Nobody, Driver::Poll, Driver::WaitClosed, Driver::ReadMany] {
        let options = Options::with(option::READ_BUFFER_SIZE, 2000);
        let (stream, mut connection) = connected_with(&options);
        connection.send(&[frame(0x81, b"kept"), frame(0x82, b"kept, too"), frame(0x01, b"half")].concat());
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        // A pong tells that all of it was seen.
        connection.send(&frame(0x89, b"?"));
        assert_eq!(connection.receive().expect("a pong").payload, b"?");
        if driver == Driver::ReadMany {
            assert_eq!(stream.read_many(FOREVER, 5).expect("both").len(), 2);
        }
        let call = match driver {
            Driver::Nobody => None,
            Driver::Poll => Some(blocked(&stream, |stream| stream.poll(CLOSED, FOREVER).map(|_| 0))),
            Driver::WaitClosed => Some(blocked(&stream, |stream| Err(stream.wait_closed(FOREVER).0))),
            Driver::ReadMany => {
                Some(blocked(&stream, |stream| stream.read_many(FOREVER, 5).map(|some| some.len() as u32)))
            }
        };
        assert_eq!(stream.close(4000, ""), Status::Ok);
        takes_close(&mut connection, 4000);
        connection.send(&[frame(0x80, b"late"), frame(0x81, b"later"), frame(0x89, b"!")].concat());
        for _ in 0..100 {
            connection.send(&frame(0x82, &[7; 1000]));
        }
        connection.send(&[frame(0x01, b"\xFF"), frame(0x80, b""), close_of(4001, "done")].concat());
        end_tcp(&connection);
        let expected = match driver {
            Driver::Nobody | Driver::Poll => Ok(0),
            Driver::WaitClosed => Err(Status::Ok),
            Driver::ReadMany => Err(Status::Done),
        };
        assert_eq!(call.map_or(Ok(0), Call::join), expected, "{driver:?}");
        assert_eq!(stream.closed_cleanly().code, 4001);
        if driver != Driver::ReadMany {
            assert_eq!(stream.read(0).expect("kept").bytes(), b"kept");
            assert_eq!(stream.read(0).expect("kept").bytes(), b"kept, too");
        }
        ended(&stream, Status::Ok, Status::Done, Status::State);
        assert_eq!(connection.receive(), None, "nothing is answered behind our Close");
    }
}

// Rows: C22, D14
#[test]
fn a_message_callback_is_told_of_no_message_after_a_local_close() {
    let (stream, mut connection) = connected();
    let (sender, told) = channel();
    assert_eq!(stream.on_message(move |status| sender.send(status).expect("it is awaited")), Status::Ok);
    connection.send(&[frame(0x81, b"first"), frame(0x01, b"half")].concat());
    assert_eq!(told.recv(), Ok(Status::Ok));
    assert_eq!(stream.close(4000, ""), Status::Ok);
    takes_close(&mut connection, 4000);
    connection.send(&[frame(0x80, b"late"), frame(0x81, b"later"), close_of(4000, "")].concat());
    end_tcp(&connection);
    assert_eq!(told.recv(), Ok(Status::Done));
    stream.closed_cleanly();
}

// Rows: D14
#[test]
fn a_message_half_received_is_dropped_by_a_local_close_also_what_of_it_was_not_handed_out() {
    for taken in [0, 2, 4] {
        let (stream, mut connection) = connected();
        connection.send(&frame(0x01, b"part"));
        assert_eq!(stream.poll(READABLE_SOME, FOREVER), Ok(READABLE_SOME));
        assert_eq!(read_some(&stream, taken, FOREVER), part(TEXT, &b"part"[..taken], false, 4 - taken));
        assert_eq!(stream.close(4000, ""), Status::Ok);
        assert_eq!(read_some(&stream, 99, 0), Err(Status::Again), "{taken} taken");
        takes_close(&mut connection, 4000);
        connection.send(&[frame(0x80, b"late"), frame(0x81, b"later"), close_of(4000, "")].concat());
        end_tcp(&connection);
        assert_eq!(read_some(&stream, 99, FOREVER), Err(Status::Done), "{taken} taken");
        ended(&stream, Status::Ok, Status::Done, Status::State);
    }
}

// Rows: D14
#[test]
fn bytes_that_nobody_had_read_count_as_not_received() {
    let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 1));
    connection.send(&frame(0x81, b"kept"));
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    // The mark is reached: this stays in the system's buffer, with a ping that nobody answers.
    connection.send(&[frame(0x81, b"not received"), frame(0x89, b"?")].concat());
    assert_eq!(stream.close(4000, ""), Status::Ok);
    takes_close(&mut connection, 4000);
    connection.send(&close_of(4000, ""));
    end_tcp(&connection);
    stream.closed_cleanly();
    assert_eq!(stream.read(0).expect("kept").text(), "kept");
    ended(&stream, Status::Ok, Status::Done, Status::State);
}

// Rows: K16, C14, D03
#[test]
fn the_close_timeout_runs_from_the_first_close_also_while_data_is_unsent() {
    for is_unsent in [false, true] {
        let (stream, mut connection) = connected_with(&Options::with(option::CLOSE_TIMEOUT_MS, 150));
        connection.send(&frame(0x81, b"unread"));
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        if is_unsent {
            assert_eq!(stream.write(BINARY, &support::pattern(LARGE), 0), Status::Queued);
        }
        let since = Instant::now();
        // A close that began the time anew would let this go on for ever.
        while stream.close(4000, "") == Status::Ok && stream.wait_closed(20).0 == Status::Again {}
        assert!(since.elapsed() >= Duration::from_millis(150), "{:?}", since.elapsed());
        let info = ended(&stream, Status::Connection, Status::Connection, Status::State);
        assert_eq!((info.code, info.cause, info.phase), (1006, Cause::Timeout, Phase::Closing), "{info:?}");
        let sent_code = if is_unsent { 0 } else { 4000 };
        assert_eq!((info.initiator, info.sent_code), (Initiator::Local, sent_code), "{info:?}");
        let closes = whole_frames(&rest_of(&mut connection)).iter().filter(|frame| is_close(frame)).count();
        assert_eq!(closes, usize::from(!is_unsent), "no Close inside what was not sent");
    }
}

// Rows: D04, K16
#[test]
fn a_close_that_is_not_answered_is_given_up_after_ten_seconds_where_no_option_says_otherwise() {
    if plain_only("the time has nothing to do with TLS, and is long") {
        return;
    }
    let none = Options::with(option::CLOSE_TIMEOUT_MS, 0);
    let peers = [connected(), connected_with(&none)];
    let since = Instant::now();
    assert!(peers.iter().all(|(stream, _)| stream.close(4000, "") == Status::Ok));
    let info = ended(&peers[0].0, Status::Connection, Status::Connection, Status::State);
    assert_eq!((info.code, info.cause), (1006, Cause::Timeout));
    let waited = since.elapsed();
    assert!((Duration::from_millis(9_990)..Duration::from_secs(17)).contains(&waited), "{waited:?}");
    assert_eq!(peers[1].0.wait_closed(0).0, Status::Again, "0 is no limit");
}

/// Frees the stream, which is a matter of moments; what the peer then gets to read.
#[track_caller]
fn freed(stream: Stream, connection: &mut Connection) -> Vec<Received> {
    let since = Instant::now();
    stream.free();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    whole_frames(&rest_of(connection))
}

// Rows: L02, D08
#[test]
fn free_sends_1001_where_the_stream_is_open_and_nothing_waits_and_else_no_close() {
    const GOING: [u8; 2] = 1001_u16.to_be_bytes();
    type Prepare = fn(&Stream, &mut Connection);
    let ways: [(&str, Prepare, usize, Option<[u8; 2]>); 9] = [
        ("open", |_, _| (), 0, Some(GOING)),
        (
            "messages behind each other",
            |stream, _| {
                assert_eq!(stream.write(TEXT, b"sent", FOREVER), Status::Ok);
                assert_eq!(stream.write_some(TEXT, b"gathered", FIN | MORE, 0), Status::Ok);
            },
            2,
            Some(GOING),
        ),
        (
            "inside a message",
            |stream, _| {
                assert_eq!(stream.write_some(TEXT, b"begun", 0, FOREVER), Status::Ok);
            },
            1,
            Some(GOING),
        ),
        (
            "something is unread",
            |stream, connection| {
                connection.send(&[frame(0x81, b"unread"), frame(0x01, b"half")].concat());
                assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
            },
            0,
            Some(GOING),
        ),
        (
            "no room",
            |stream, _| {
                assert_eq!(stream.write(BINARY, &support::pattern(LARGE), 0), Status::Queued);
            },
            0,
            None,
        ),
        (
            "closing",
            |stream, connection| {
                assert_eq!(stream.close(4000, ""), Status::Ok);
                takes_close(connection, 4000);
            },
            0,
            None,
        ),
        (
            "closing without room",
            |stream, _| {
                assert_eq!(stream.write(BINARY, &support::pattern(LARGE), 0), Status::Queued);
                assert_eq!(stream.close(4000, ""), Status::Ok);
            },
            0,
            None,
        ),
        (
            "closed by the peer, whose TCP goes on",
            |_, connection| {
                connection.send(&close_of(4567, ""));
                takes_close(connection, 4567);
            },
            0,
            None,
        ),
        (
            "ended",
            |stream, connection| {
                connection.send(&close_of(4567, ""));
                takes_close(connection, 4567);
                end_tcp(connection);
                stream.closed_cleanly();
            },
            0,
            None,
        ),
    ];
    for (way, prepare, count, close) in ways {
        let (stream, mut connection) = connected();
        prepare(&stream, &mut connection);
        let frames = freed(stream, &mut connection);
        let (closes, others): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| is_close(frame));
        let expected: Vec<_> = close.iter().map(|body| body.to_vec()).collect();
        assert_eq!(closes.iter().map(|close| close.payload.clone()).collect::<Vec<_>>(), expected, "{way}");
        assert!(close.is_none() || is_close(frames.last().expect("a Close")), "{way}: it is the last");
        assert!(close.is_none() || others.len() == count, "{way}: {} frames before", others.len());
    }
}

// Rows: L02
#[test]
fn free_while_connecting_ends_tcp_and_sends_nothing() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let held = stream.reference();
    let wait = blocked(&stream, |stream| stream.wait_opened(FOREVER));
    let mut connection = peer.accept();
    assert_eq!(freed(stream, &mut connection), []);
    assert_eq!((wait.join(), held.wait_closed(0).0), (Status::State, Status::State));
}

// Rows: L02, D08
#[test]
fn the_1001_of_free_reaches_a_peer_that_is_still_sending() {
    for _ in 0..10 {
        let (url, id) = server().recorded("/count?n=0&size=1000");
        let stream = Stream::opened(&url);
        stream.read(FOREVER).expect("the first of many");
        stream.free();
        let record = server().record(&id).lawful();
        assert_eq!((record.close(), record.count("close")), (("1001", ""), 1), "{}", record.text);
    }
}

/// Frees a stream; whether its peer, told of it, can go on sending more than any buffer holds.
fn is_listened_to_after_free() -> bool {
    let (stream, mut connection) = connected();
    let tcp = socket2::SockRef::from(&connection.socket.tcp);
    tcp.set_send_buffer_size(16 << 10).expect("a small buffer");
    tcp.set_write_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    stream.free();
    takes_close(&mut connection, 1001);
    let message = frame(0x82, &[7; 64 << 10]);
    let mut socket = connection.socket;
    (0..64).all(|_| socket.write_all(&message).is_ok()) && matches!(socket.read(&mut [0]), Ok(0))
}

// Rows: L02, D08
#[test]
fn after_free_the_peer_can_go_on_sending_for_a_moment() {
    // A machine that stands still may let the moment pass.
    assert!((0..5).any(|_| is_listened_to_after_free()));
}

// Rows: D14
#[test]
fn every_message_that_came_with_the_one_at_the_mark_is_kept_by_a_local_close() {
    alone("every_message_that_came_with_the_one_at_the_mark_is_kept_by_a_local_close", || {
        let (stream, mut connection) = connected_with(&Options::with(option::READ_BUFFER_SIZE, 1));
        let held = hold_internal();
        connection.send(&["one", "two", "three"].map(|text| frame(0x81, text.as_bytes())).concat());
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        assert_eq!(stream.close(4000, ""), Status::Ok);
        for text in ["one", "two", "three"] {
            assert_eq!(stream.read(0).expect("it is here").text(), text);
        }
        assert_eq!(stream.refused_read(0), Status::Again);
        drop(held);
        takes_close(&mut connection, 4000);
        connection.send(&close_of(4000, ""));
        end_tcp(&connection);
        ended(&stream, Status::Ok, Status::Done, Status::State);
    });
}

// Rows: L02
#[test]
fn free_behind_the_end_of_the_connection_sends_nothing() {
    alone("free_behind_the_end_of_the_connection_sends_nothing", || {
        let (stream, mut connection) = connected();
        // It lets the socket of a stream go that has ended.
        let held = hold_internal();
        end_tcp(&connection);
        assert_eq!(stream.refused_read(FOREVER), Status::Connection);
        stream.free();
        drop(held);
        assert_eq!(rest_of(&mut connection), b"");
    });
}

/// A second passes from the peer's Close on until TCP is given up: whoever waits meanwhile has its own time.
#[test]
fn a_wait_for_the_end_keeps_its_time_where_the_peers_close_came_first_and_nothing_more_is_wanted() {
    let keeps_its_time = || {
        let (stream, mut connection) = connected();
        connection.send(&frame(0x88, &[0x03, 0xe8]));
        assert_eq!(connection.receive().expect("the answer").first, 0x88);
        assert_eq!(calls::cancel(&stream, support::NO_CODE, ""), Status::Ok);
        let is_in_time = stream.wait_closed(10).0 == Status::Again;
        drop(connection);
        assert!(stream.wait_closed(FOREVER).0 != Status::Again);
        is_in_time
    };
    assert!((0..5).any(|_| keeps_its_time()));
}
