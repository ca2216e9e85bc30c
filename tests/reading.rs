//! The read half: whole messages by reference, in order, and what the peer may not send.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::{connected, read_some, statistics};
use std::sync::mpsc::{TryRecvError, channel};
use support::alone::{alone, hold_internal};
use support::reader::read_all;
use support::{
    BINARY, CLOSED, Call, Cause, FIN, FOREVER, Options, READABLE, Status, Stream, TEXT, close_frame,
    counted_text, frame, has_what_is_here, option, pattern, peer, reads_what_is_here, server, until,
};

// Rows: R02, R04, W20
#[test]
fn text_and_binary_come_back_as_they_went_in_order() {
    let stream = Stream::opened(&server().url("/echo"));
    let large = pattern(70_000);
    for (kind, data) in [
        (TEXT, "grüße 😀 \0".as_bytes()),
        (BINARY, &[0, 255, 128][..]),
        (TEXT, b""),
        (BINARY, b""),
        (BINARY, &large[..125]),
        (BINARY, &large[..126]),
        (BINARY, &large[..65535]),
        (BINARY, &large[..65536]),
        (BINARY, &large),
    ] {
        assert_eq!(stream.write(kind, data, FOREVER), Status::Ok);
    }
    for (kind, size) in [(TEXT, 14), (BINARY, 3), (TEXT, 0), (BINARY, 0)] {
        let message = stream.read(FOREVER).unwrap();
        assert_eq!((message.kind(), message.bytes().len(), message.flags()), (kind, size, FIN));
    }
    for size in [125, 126, 65535, 65536, 70_000] {
        assert_eq!(stream.read(FOREVER).unwrap().bytes(), &large[..size]);
    }
}

// Rows: R01, R04, R05
#[test]
fn fragments_become_one_message_with_control_frames_between_them() {
    let ping = frame(0x89, b"now");
    let parts = [
        frame(0x01, "ä".as_bytes().split_at(1).0),
        ping.clone(),
        frame(0x00, b""),
        frame(0x00, "ä".as_bytes().split_at(1).1),
        frame(0x8A, b"unasked"),
        frame(0x80, b"!"),
        frame(0x02, b""),
        ping,
        frame(0x80, b""),
    ];
    let (url, id) = server().recorded(&format!("/raw?hex={}&end=echo", parts.concat()));
    let stream = Stream::opened(&url);
    stream.reads_text("ä!");
    let message = stream.read(FOREVER).unwrap();
    assert_eq!((message.kind(), message.bytes()), (BINARY, &b""[..]));
    stream.writes_text("last");
    stream.reads_text("last");
    stream.free();
    let record = server().record(&id).lawful();
    assert_eq!(record.count("pong"), 2, "{}", record.text);
    assert!(record.frames.iter().filter(|frame| frame.opcode == "pong").all(|frame| frame.payload == b"now"));
}

// Rows: R01
#[test]
fn messages_one_byte_at_a_time_are_whole() {
    let parts = [frame(0x81, "häh".as_bytes()), frame(0x82, &pattern(300)), close_frame(1000)];
    let stream = Stream::opened(&server().url(&format!("/raw?hex={}&split=1", parts.concat())));
    stream.reads_text("häh");
    assert_eq!(stream.read(FOREVER).unwrap().bytes(), pattern(300));
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

// Rows: R01
#[test]
fn a_large_message_comes_whole_in_one_frame_and_in_many() {
    for query in ["", "&frame=1000", "&frame=70000"] {
        let size = 16 << 20;
        let url = server().url(&format!("/count?n=2&type=binary&size={size}{query}"));
        let stream = Stream::opened(&url);
        for index in 0..2 {
            let message = stream.read(FOREVER).unwrap();
            let at = |place: usize| ((31 * index + place) % 251) as u8;
            assert_eq!(message.bytes().len(), size);
            assert!(
                [0, 1, 250, 251, 999, 1000, 65536, size - 1].iter().all(|&p| message.bytes()[p] == at(p))
            );
            let bytes = message.bytes();
            assert!(bytes[251..] == bytes[..size - 251], "its period is 251");
        }
        assert_eq!(stream.refused_read(FOREVER), Status::Done);
    }
}

#[test]
fn a_negative_time_is_for_ever_and_the_longest_is_long() {
    let stream = Stream::opened(&server().url("/echo"));
    for timeout in [-2, i64::MIN, i64::MAX, i64::MAX / 1000] {
        let share = stream.reference();
        let read = Call::blocked(move || share.read(timeout).map(|message| message.text().to_owned()));
        assert!(!read.is_finished(), "{timeout}");
        assert_eq!(stream.write(TEXT, b"at last", timeout), Status::Ok);
        assert_eq!(read.join().unwrap(), "at last");
        assert_eq!(stream.flush(timeout), Status::Ok);
    }
}

#[test]
fn reads_that_find_nothing_answer_again_and_take_nothing() {
    let stream = Stream::opened(&server().url("/echo"));
    assert_eq!(stream.refused_read(0), Status::Again);
    let started = std::time::Instant::now();
    assert_eq!(stream.refused_read(30), Status::Again);
    assert!(started.elapsed().as_millis() >= 30);
    stream.writes_text("hi");
    stream.reads_text("hi");
    assert_eq!(stream.refused_read(0), Status::Again);
}

// Rows: R01, B04
#[test]
fn a_message_in_fragments_is_delivered_with_its_last_and_not_before() {
    let (stream, mut connection) = connected();
    let share = stream.reference();
    let read = Call::blocked(move || share.read(FOREVER).map(|message| message.text().to_owned()));
    for (first, part) in [(0x01, &b"one, "[..]), (0x00, b""), (0x00, b"two, ")] {
        connection.send(&peer::frame(first, part));
        connection.send(&peer::frame(0x89, b"seen"));
        assert_eq!(connection.receive().expect("a pong").payload, b"seen");
        assert!(!read.is_finished());
    }
    connection.send(&peer::frame(0x80, b"three"));
    assert_eq!(read.join().unwrap(), "one, two, three");
    connection.send(&[peer::frame(0x01, b"half"), peer::frame(0x89, b"seen")].concat());
    assert_eq!(connection.receive().expect("a pong").payload, b"seen");
    assert_eq!((stream.refused_read(0), stream.refused_read(5)), (Status::Again, Status::Again));
    assert_eq!(stream.read_many(0, 3).err(), Some(Status::Again));
}

#[test]
fn reads_that_ran_out_of_time_lose_nothing() {
    let texts: Vec<String> = (0..30).map(|index| format!("{index} ").repeat(index)).collect();
    let parts: Vec<String> = texts
        .iter()
        .map(|text| {
            let (begin, end) = text.as_bytes().split_at(text.len() / 2);
            frame(0x01, begin) + &frame(0x89, b"p") + &frame(0x80, end)
        })
        .collect();
    let stream =
        Stream::opened(&server().url(&format!("/raw?hex={}&split=1", parts.concat() + &close_frame(1000))));
    let (mut seen, mut begun, mut turn) = (Vec::new(), String::new(), 0);
    loop {
        turn += 1;
        let answer = match turn % 4 {
            // Inside a message that was begun in parts only the next part is to be had.
            0 => read_some(&stream, 7, turn % 3).map(|part| {
                begun.push_str(std::str::from_utf8(&part.bytes).unwrap());
                if part.fin {
                    seen.push(std::mem::take(&mut begun));
                }
            }),
            1 => stream.read_many(turn % 3, 2).map(|messages| {
                seen.extend(messages.iter().map(|message| message.text().to_owned()));
            }),
            _ => stream.read(turn % 3).map(|message| seen.push(message.text().to_owned())),
        };
        match answer {
            Ok(()) | Err(Status::Again) => {}
            Err(Status::State) => assert!(turn % 4 != 0 && !begun.is_empty()),
            Err(status) => break assert_eq!(status, Status::Done),
        }
    }
    assert_eq!(seen, texts);
}

// Rows: R09, B04
#[test]
fn a_read_buffer_of_one_byte_delivers_everything() {
    let options = Options::with(option::READ_BUFFER_SIZE, 1);
    let stream = Stream::opened_with(&server().url("/count?n=20&size=5000&frame=700"), &options);
    assert_eq!(stream.wait_closed(20).0, Status::Again, "the Close is behind what nobody reads");
    for index in 0..20 {
        let expected = counted_text(index, 5000);
        match index % 3 {
            0 => assert_eq!(stream.read(FOREVER).unwrap().bytes(), expected),
            1 => assert_eq!(stream.read_many(FOREVER, 1).unwrap()[0].bytes(), expected),
            _ => {
                let mut bytes = Vec::new();
                while let Ok(part) = read_some(&stream, 100, FOREVER) {
                    bytes.extend(part.bytes);
                    if part.fin {
                        break;
                    }
                }
                assert_eq!(bytes, expected);
            }
        }
    }
    assert_eq!(stream.closed_cleanly().code, 1000);
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

// Rows: R05
#[test]
fn a_ping_wakes_no_read() {
    let (url, id) = server().recorded("/ping?n=5&payload=p");
    let stream = Stream::opened(&url);
    let share = stream.reference();
    let read = Call::blocked(move || share.read(FOREVER).map(|message| message.text().to_owned()));
    server().record_of_frames(&id, 5);
    assert!(!read.is_finished());
    stream.writes_text("hi");
    assert_eq!(read.join().unwrap(), "hi");
}

// Rows: R05
#[test]
fn pings_and_pongs_are_no_messages_for_anybody() {
    let (stream, mut connection) = connected();
    let both = READABLE | 16;
    for _ in 0..10 {
        connection.send(&[peer::frame(0x89, b"ping"), peer::frame(0x8A, b"unasked")].concat());
        assert_eq!(connection.receive().expect("a pong").payload, b"ping");
        assert_eq!(
            (stream.refused_read(0), stream.read_many(0, 2).err()),
            (Status::Again, Some(Status::Again))
        );
        assert_eq!(
            (read_some(&stream, 9, 0), read_some(&stream, 0, 1)),
            (Err(Status::Again), Err(Status::Again))
        );
        assert_eq!(stream.poll(both, 0), Err(Status::Again));
    }
}

#[test]
fn read_many_takes_what_is_there_without_waiting() {
    let messages = frame(0x81, b"one").repeat(10);
    let stream = Stream::opened(&server().url(&format!("/raw?hex={messages}&after=1&end=echo")));
    assert_eq!(stream.read_many(0, 4).err(), Some(Status::Again));
    assert_eq!(stream.read_many(10, 4).err(), Some(Status::Again));
    assert_eq!(stream.read_many(FOREVER, 0).err(), Some(Status::Argument));
    stream.writes_text("go");
    let mut left = 10;
    while left > 0 {
        let taken = stream.read_many(FOREVER, 4).unwrap();
        assert!(taken.iter().all(|message| message.text() == "one"));
        left -= taken.len();
    }
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(stream.read_many(FOREVER, 4).err(), Some(Status::Done));
}

// Rows: R06, R09, D02, D03
#[test]
fn read_many_gives_all_that_was_received_ahead() {
    let stream = Stream::opened(&server().url("/count?n=50"));
    stream.closed_cleanly();
    let mut taken = Vec::new();
    for (capacity, count) in [(1, 1), (20, 20), (28, 28), (100, 1)] {
        let messages = stream.read_many(0, capacity).unwrap();
        assert_eq!(messages.len(), count);
        taken.extend(messages);
    }
    assert!(taken.iter().enumerate().all(|(index, message)| message.bytes() == counted_text(index, 16)));
    assert_eq!(stream.read_many(0, 100).err(), Some(Status::Done));
}

#[test]
fn a_second_reader_is_busy_at_once_and_changes_nothing() {
    let stream = Stream::opened(&server().url("/echo"));
    let share = stream.reference();
    let read = Call::blocked(move || share.read(FOREVER).map(|message| message.text().to_owned()));
    for timeout in [0, 10, FOREVER] {
        assert_eq!(stream.refused_read(timeout), Status::Busy);
        assert_eq!(stream.read_many(timeout, 3).err(), Some(Status::Busy));
    }
    assert_eq!(stream.poll(READABLE, 0), Err(Status::Again), "poll belongs to no half");
    stream.writes_text("for the first");
    assert_eq!(read.join().unwrap(), "for the first");
    assert_eq!(stream.refused_read(0), Status::Again);
}

#[test]
fn the_library_makes_nobody_busy() {
    let stream = Stream::opened(&server().url("/count?n=0&size=10"));
    for _ in 0..20_000 {
        match stream.read(0) {
            Ok(_) | Err(Status::Again) => {}
            Err(status) => panic!("{status:?}"),
        }
    }
}

#[test]
fn a_read_ends_with_state_when_another_thread_frees() {
    for url in ["/echo", "/handshake?stall=1"] {
        let stream = Stream::open(&server().url(url));
        let share = stream.reference();
        let after = stream.reference();
        let read = Call::blocked(move || share.refused_read(FOREVER));
        stream.free();
        assert_eq!(read.join(), Status::State);
        assert_eq!(after.refused_read(0), Status::State);
        assert_eq!(after.refused_read(FOREVER), Status::State);
        assert_eq!(after.read_many(0, 1).err(), Some(Status::State));
    }
}

#[test]
fn messages_live_longer_than_their_stream_and_on_any_thread() {
    let stream = Stream::opened(&server().url("/count?n=100&close=none"));
    let messages: Vec<_> = (0..100).map(|_| stream.read(FOREVER).unwrap()).collect();
    stream.free();
    let shares: Vec<_> = messages.iter().map(support::Message::retain).collect();
    let check = |messages: Vec<support::Message>| {
        move || {
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(message.retain().bytes(), counted_text(index, 16));
            }
        }
    };
    let threads = [Call::begun(check(messages)), Call::begun(check(shares))];
    threads.into_iter().for_each(Call::join);
}

// Rows: F01, R07
#[test]
fn what_breaks_the_protocol_fails_with_1002() {
    let long = "00".repeat(126);
    let cases = [
        ("a masked frame", "818211223344".to_owned() + "7a4b"),
        ("a reserved opcode", frame(0x83, b"")),
        ("a reserved control opcode", frame(0x8B, b"")),
        ("RSV1", frame(0xC1, b"x")),
        ("RSV2", frame(0xA1, b"x")),
        ("RSV3", frame(0x91, b"x")),
        ("RSV1 on a control frame", frame(0xC9, b"")),
        ("a fragmented ping", frame(0x09, b"")),
        ("a fragmented Close", frame(0x08, b"")),
        ("a ping of 126 bytes", format!("897e007e{long}")),
        ("a stray continuation", frame(0x80, b"x")),
        ("a stray first continuation", frame(0x00, b"x")),
        ("a new message inside one", frame(0x01, b"x") + &frame(0x81, b"y")),
        ("a size with its highest bit", "827f8000000000000000".to_owned()),
        ("a size that is not minimal", "827e000161".to_owned()),
        ("a long size that is not minimal", "827f000000000000000161".to_owned()),
        ("a Close of one byte", frame(0x88, &[3])),
        ("a Close with an illegal code", close_frame(1005)),
    ];
    for (what, bytes) in cases {
        fails_with(what, &bytes, 1002, Cause::Protocol);
    }
}

#[track_caller]
fn fails_with(what: &str, bytes: &str, code: u16, cause: Cause) {
    let sent = frame(0x81, b"before") + bytes;
    let (url, id) = server().recorded(&format!("/raw?hex={sent}&end=never"));
    let stream = Stream::opened(&url);
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.cause, info.sent_code), (1006, cause, code), "{what}: {info:?}");
    assert_eq!(info.reason, "", "{what}");
    assert_eq!(stream.refused_read(0), Status::Connection, "{what}");
    assert_eq!(stream.write(TEXT, b"x", 0), Status::Connection, "{what}");
    let record = server().record(&id).lawful();
    assert_eq!(record.close().0, code.to_string(), "{what}: {}", record.text);
}

// Rows: F02
#[test]
fn text_that_is_not_utf8_fails_with_1007() {
    for (what, bytes) in [
        ("a bad byte", frame(0x81, &[0xFF])),
        ("an overlong form", frame(0x81, &[0xC0, 0x80])),
        ("a surrogate", frame(0x81, &[0xED, 0xA0, 0x80])),
        ("too high", frame(0x81, &[0xF4, 0x90, 0x80, 0x80])),
        ("an end inside a character", frame(0x81, &[0xC3])),
        ("an end inside a character of the last part", frame(0x01, b"x") + &frame(0x80, &[0xE2, 0x82])),
        ("a bad byte across parts", frame(0x01, &[0xC3]) + &frame(0x80, b"x")),
        ("a bad byte before the end", frame(0x01, &[b'a', 0xFF, b'b'])),
        ("a bad reason", frame(0x88, &[0x03, 0xE8, 0xFF])),
    ] {
        fails_with(what, &bytes, 1007, Cause::Utf8);
    }
}

// Rows: F03
#[test]
fn a_message_over_the_limit_fails_with_1009_before_it_has_come() {
    for (limit, size, fails) in [(1000, 1000, false), (1000, 1001, true), (0, 1 << 20, false)] {
        for fragments in ["", "&frame=100"] {
            let options = Options::with(option::MAX_MESSAGE_SIZE, limit);
            let (url, id) = server().recorded(&format!("/count?n=1&size={size}{fragments}"));
            let stream = Stream::opened_with(&url, &options);
            if !fails {
                assert_eq!(stream.read(FOREVER).unwrap().bytes().len(), size);
                continue;
            }
            assert_eq!(stream.refused_read(FOREVER), Status::Connection);
            let info = stream.closed_uncleanly();
            assert_eq!((info.cause, info.sent_code), (Cause::TooBig, 1009), "{info:?}");
            assert_eq!(server().record(&id).lawful().close().0, "1009");
        }
    }
    // The header alone decides.
    let options = Options::with(option::MAX_MESSAGE_SIZE, 1000);
    let url = server().url("/raw?hex=827f0000000100000000&end=never");
    let stream = Stream::opened_with(&url, &options);
    assert_eq!(stream.closed_uncleanly().cause, Cause::TooBig);
}

#[test]
fn a_good_message_before_the_mistake_is_delivered_to_who_reads_in_time() {
    let url = server().url(&format!("/raw?hex={}&after=1&echo=1&end=never", frame(0x83, b"")));
    let stream = Stream::opened(&url);
    stream.writes_text("first");
    stream.reads_text("first");
    assert_eq!(stream.refused_read(FOREVER), Status::Connection);
}

// Rows: D03, D05
#[test]
fn what_comes_behind_a_read_message_in_the_same_packet_is_seen_without_a_reader() {
    for round in 0..200 {
        let bytes = frame(0x81, b"hi") + &frame(0x89, b"p") + &close_frame(4000);
        let (url, id) = server().recorded(&format!("/raw?hex={bytes}&after=1"));
        let stream = Stream::opened(&url);
        stream.writes_text("go");
        stream.reads_text("hi");
        assert_eq!(stream.poll(CLOSED, 20_000), Ok(CLOSED), "round {round}");
        assert_eq!(stream.closed_cleanly().code, 4000);
        if round % 20 == 0 {
            assert_eq!(server().record(&id).lawful().count("pong"), 1);
        }
    }
}

/// Another thread calls without end while `read` runs.
fn beside(stream: &Stream, call: fn(&Stream), read: impl FnOnce()) {
    let (share, (stop, is_over)) = (stream.reference(), channel::<()>());
    let calls = Call::begun(move || {
        while is_over.try_recv() == Err(TryRecvError::Empty) {
            call(&share);
        }
    });
    read();
    drop(stop);
    calls.join();
}

fn count(stream: &Stream) {
    statistics(stream);
}

#[test]
fn what_is_queued_is_to_be_had_while_another_thread_counts() {
    for _ in 0..5 {
        let stream = Stream::opened(&server().url("/count?n=2000&size=20&close=none"));
        until(|| statistics(&stream).unread_messages == 2000);
        beside(&stream, count, || {
            for index in 0..2000 {
                assert_eq!(reads_what_is_here(&stream).bytes(), counted_text(index, 20));
            }
        });
    }
}

#[test]
fn what_came_with_a_message_is_to_be_had_while_another_thread_looks() {
    let looks: [fn(&Stream); 2] = [count, |stream| {
        let _ = stream.poll(READABLE, 0);
    }];
    for look in looks {
        let (stream, mut connection) = connected();
        beside(&stream, look, || {
            for _ in 0..100 {
                connection.send(&support::frame_bytes(0x81, b"one of many").repeat(300));
                stream.reads_text("one of many");
                for _ in 1..300 {
                    has_what_is_here(|| stream.poll(READABLE, 0));
                    assert_eq!(reads_what_is_here(&stream).text(), "one of many");
                }
            }
        });
    }
}

#[test]
fn messages_are_received_however_many_the_program_keeps() {
    let stream = Stream::opened(&server().url("/count?n=20000&size=100"));
    let (messages, end) = read_all(&stream, FOREVER, support::Message::retain);
    assert_eq!((messages.len(), end), (20_000, Status::Done));
    assert!(messages.iter().enumerate().all(|(index, kept)| kept.bytes() == counted_text(index, 100)));
}

#[test]
fn threads_that_take_turns_reading_lose_and_double_nothing() {
    let stream = Stream::opened(&server().url("/count?n=20000&size=20"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let share = stream.reference();
            Call::begun(move || {
                let mut count = 0;
                loop {
                    match share.read(if count % 3 == 0 { 0 } else { 5 }) {
                        Ok(message) => {
                            assert_eq!(message.bytes().len(), 20);
                            count += 1;
                        }
                        Err(Status::Again | Status::Busy) => std::thread::yield_now(),
                        Err(Status::Done) => break count,
                        Err(status) => panic!("{status:?}"),
                    }
                }
            })
        })
        .collect();
    assert_eq!(threads.into_iter().map(Call::join).sum::<i32>(), 20_000);
}

#[test]
fn a_message_that_lies_in_the_socket_is_read_without_waiting() {
    alone("a_message_that_lies_in_the_socket_is_read_without_waiting", || {
        let (stream, mut connection) = connected();
        let held = hold_internal();
        connection.send(&support::frame_bytes(0x82, &pattern(100)));
        peer::arrived(&connection.socket.tcp);
        assert_eq!(stream.read(0).map(|message| message.bytes().to_vec()), Ok(pattern(100)));
        drop(held);
    });
}
