//! Compressed messages of the peer, lawful and not.

use super::calls::{cancel, read_some, statistics};
use super::support::alone::{Held, alone, hold_internal};
use super::support::peer::{Connection, frame};
use super::support::{
    BINARY, Cause, FOREVER, NO_CODE, Options, READABLE, Status, Stream, TEXT, option, server, until,
};
use super::zlib::{
    BINARY_FRAME, Compressor, DEFLATE, TAIL, TEXT_FRAME, compressed, compressing, compressing_with, mixture,
    noise, stored, words,
};
use std::sync::mpsc::channel;

const READABLE_SOME: u32 = 16;

/// A frame of a compressed message; `first` without RSV1 is a continuation or its end.
fn send(connection: &mut Connection, first: u8, payload: &[u8]) {
    connection.send(&frame(first, payload));
}

#[track_caller]
fn reads(stream: &Stream, kind: u32, data: &[u8]) {
    match stream.read(FOREVER) {
        Ok(message) => {
            assert_eq!((message.kind(), message.bytes().len()), (kind, data.len()));
            assert!(message.bytes() == data);
        }
        Err(status) => panic!("{status:?}: {:?}", stream.wait_closed(0)),
    }
}

#[test]
fn empty_messages_are_empty_however_they_are_said() {
    let (stream, mut connection) = compressing();
    let mut compressor = Compressor::new();
    let text = words(1, 1000);
    let one_more = [stored(false, b""), vec![0]].concat();
    for payload in [&[0][..], &[], &[2, 0], &[3, 0], &[3, 0, 0], &one_more, &stored(true, b"")] {
        for _ in 0..2 {
            send(&mut connection, TEXT_FRAME, payload);
            reads(&stream, TEXT, b"");
        }
        // In two frames.
        send(&mut connection, 0x42, b"");
        send(&mut connection, 0x80, payload);
        reads(&stream, BINARY, b"");
        // The window is what it was.
        send(&mut connection, TEXT_FRAME, &compressor.message(text.as_bytes()));
        reads(&stream, TEXT, text.as_bytes());
    }
}

#[test]
fn the_window_is_kept_over_messages_that_are_not_compressed() {
    let (stream, mut connection) = compressing();
    let mut compressor = Compressor::new();
    for round in 0..4 {
        let payload = compressor.message(&noise(1, 1000));
        assert!(round == 0 || payload.len() < 100, "it refers to the one before");
        send(&mut connection, BINARY_FRAME, &payload);
        reads(&stream, BINARY, &noise(1, 1000));
        send(&mut connection, 0x82, &noise(2, 100_000));
        reads(&stream, BINARY, &noise(2, 100_000));
        send(&mut connection, 0x81, b"");
        reads(&stream, TEXT, b"");
    }
}

#[test]
fn a_stream_may_end_within_a_message_and_the_window_stays() {
    let (stream, mut connection) = compressing();
    let mut compressor = Compressor::new();
    let data = noise(1, 1000);
    send(&mut connection, BINARY_FRAME, &compressor.message(&data));
    reads(&stream, BINARY, &data);
    // Two streams that end, and one that goes on.
    let payload = [stored(true, b"one, "), stored(true, b"two, "), stored(false, b"three"), vec![0]].concat();
    send(&mut connection, TEXT_FRAME, &payload);
    reads(&stream, TEXT, b"one, two, three");
    // All of the payload.
    send(&mut connection, TEXT_FRAME, &stored(true, b"alone"));
    reads(&stream, TEXT, b"alone");
    // Its end in the first of two frames.
    send(&mut connection, 0x42, &stored(true, b"he"));
    send(&mut connection, 0x80, &[stored(false, b"llo"), vec![0]].concat());
    reads(&stream, BINARY, b"hello");
}

#[test]
fn a_window_outlives_a_stream_that_ends() {
    let (stream, mut connection) = compressing();
    let data = noise(1, 400);
    // RFC 1951 §3.2.6, fixed codes: length 3 at distance 2, then the end of the block.
    send(&mut connection, BINARY_FRAME, &stored(true, &data));
    reads(&stream, BINARY, &data);
    send(&mut connection, BINARY_FRAME, &[0x02, 0x42, 0, 0]);
    let expected = [data[398], data[399], data[398]];
    reads(&stream, BINARY, &expected);
}

#[test]
fn without_takeover_each_message_has_a_new_window() {
    let (stream, mut connection) = compressing_with(&Options::new(), "; server_no_context_takeover");
    for _ in 0..3 {
        send(&mut connection, TEXT_FRAME, &compressed(words(1, 3000).as_bytes()));
        reads(&stream, TEXT, words(1, 3000).as_bytes());
    }
    // The second refers to the first, which is in the same packet.
    let mut compressor = Compressor::new();
    let pair = [(); 2].map(|()| frame(BINARY_FRAME, &compressor.message(&noise(1, 300))));
    connection.send(&pair.concat());
    fails(&stream, &mut connection, 1007, Cause::Protocol);
}

#[test]
fn messages_in_frames_of_any_size_are_whole() {
    let (stream, mut connection) = compressing();
    let mut compressor = Compressor::new();
    let text = words(1, 3000);
    for size in [1, 2, 7, 100, 1000] {
        let payload = compressor.message(&[text.as_bytes(), &[b'a' + size as u8 % 26; 50]].concat());
        let mut bytes = frame(0x41, b"");
        for part in payload.chunks(size) {
            bytes.extend(frame(0x00, part));
            bytes.extend(frame(0x89, b"between"));
        }
        bytes.extend(frame(0x80, b""));
        connection.send(&bytes);
        let message = stream.read(FOREVER).unwrap();
        assert_eq!(message.bytes().len(), 3050);
        assert!(message.text().starts_with(&text));
    }
}

#[test]
fn all_that_a_small_frame_stands_for_comes_out() {
    let (stream, mut connection) = compressing();
    let mut compressor = Compressor::new();
    for size in [511, 512, 513, 65_535, 65_536, 65_537, 131_072, 1 << 20, (1 << 20) + 1, 5_000_000] {
        let data = vec![b'z'; size];
        send(&mut connection, TEXT_FRAME, &compressor.message(&data));
        reads(&stream, TEXT, &data);
    }
}

#[test]
fn what_is_left_in_the_inflater_comes_with_a_small_read_buffer_and_nothing_more_from_the_peer() {
    for (mark, size) in [(1, 20_000), (4096, 1 << 20), (512 << 10, 3 << 20)] {
        let payload = compressed(&vec![b'z'; size]);
        let options = Options::with(option::READ_BUFFER_SIZE, mark);
        // A whole message, and parts.
        let (stream, mut connection) = compressing_with(&options, "");
        send(&mut connection, TEXT_FRAME, &payload);
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        reads(&stream, TEXT, &vec![b'z'; size]);
        let (stream, mut connection) = compressing_with(&options, "");
        send(&mut connection, TEXT_FRAME, &payload);
        let mut count = 0;
        loop {
            let part = read_some(&stream, 1000, FOREVER).unwrap();
            assert!(part.kind == TEXT && part.bytes == vec![b'z'; part.bytes.len()]);
            count += part.bytes.len();
            if part.fin {
                break;
            }
            assert!(!part.bytes.is_empty());
        }
        assert_eq!(count, size);
        // By one who asks before each call.
        let (stream, mut connection) = compressing_with(&options, "");
        send(&mut connection, TEXT_FRAME, &payload);
        let mut count = 0;
        while count < size {
            assert_eq!(stream.poll(READABLE_SOME, FOREVER), Ok(READABLE_SOME));
            count += read_some(&stream, 1000, 0).expect("as it was told").bytes.len();
        }
        // The internal thread alone.
        let (stream, mut connection) = compressing_with(&options, "");
        send(&mut connection, TEXT_FRAME, &payload);
        let (sender, receiver) = channel();
        assert_eq!(stream.on_message(move |status| _ = sender.send(status)), Status::Ok);
        assert_eq!(receiver.recv(), Ok(Status::Ok));
    }
}

#[test]
fn what_came_before_the_close_is_read_after_it() {
    let (stream, mut connection) = compressing();
    let size = 100_000;
    send(&mut connection, TEXT_FRAME, &compressed(&vec![b'z'; size]));
    connection.send(&frame(0x88, &[3, 232]));
    assert_eq!(connection.receive().expect("a Close").first, 0x88);
    drop(connection);
    stream.closed_cleanly();
    reads(&stream, TEXT, &vec![b'z'; size]);
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

#[test]
fn reads_of_every_kind_take_turns() {
    let stream = Stream::opened(&server().url("/count?deflate&n=60&size=20000&type=binary&frame=50"));
    for index in 0..60 {
        let expected = |at: usize| ((31 * index + at) % 251) as u8;
        let is_good = |bytes: &[u8]| bytes.iter().enumerate().all(|(at, byte)| *byte == expected(at));
        let bytes = match index % 3 {
            0 => stream.read(FOREVER).unwrap().bytes().to_vec(),
            1 => stream.read_many(FOREVER, 1).unwrap()[0].bytes().to_vec(),
            _ => {
                let mut bytes = Vec::new();
                loop {
                    let part = read_some(&stream, 7000, FOREVER).unwrap();
                    bytes.extend(part.bytes);
                    if part.fin {
                        break bytes;
                    }
                }
            }
        };
        assert!(bytes.len() == 20_000 && is_good(&bytes), "message {index} of {} bytes", bytes.len());
    }
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

#[track_caller]
fn fails(stream: &Stream, connection: &mut Connection, code: u16, cause: Cause) {
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.sent_code, info.cause), (1006, code, cause), "{info:?}");
    let close = connection.receive().expect("a Close");
    assert_eq!((close.first, &close.payload[..2]), (0x88, &code.to_be_bytes()[..]));
    assert_eq!(stream.refused_read(0), Status::Connection);
}

// Rows: F01
#[test]
fn rsv1_anywhere_but_on_the_first_frame_of_a_message_fails_with_1002() {
    let text = compressed(b"text");
    for frames in [
        [frame(0x41, &text), frame(0xC0, b"")].concat(),
        [frame(0x01, b"x"), frame(0xC0, b"")].concat(),
        [frame(0x01, b"x"), frame(0x40, b"")].concat(),
        frame(0xC9, b""),
        frame(0xCA, b""),
        frame(0xC8, &[3, 232]),
        frame(0xE1, &text),
        frame(0xD1, &text),
        frame(0xA1, b"x"),
    ] {
        let (stream, mut connection) = compressing();
        connection.send(&frames);
        fails(&stream, &mut connection, 1002, Cause::Protocol);
    }
}

// Rows: F01
#[test]
fn rsv1_without_an_agreement_fails_with_1002() {
    let sent = super::support::frame(TEXT_FRAME, &compressed(b"text"));
    for options in [Options::with(DEFLATE, 0), Options::new()] {
        let url = server().url(&format!("/raw?hex={sent}&end=never"));
        let info = Stream::opened_with(&url, &options).closed_uncleanly();
        assert_eq!((info.sent_code, info.cause), (1002, Cause::Protocol), "{info:?}");
    }
}

// Rows: F02
#[test]
fn text_that_is_not_utf8_fails_with_1007_before_its_frame_ends() {
    for bad in [&[0xFF][..], &[0xC0, 0x80], &[0xED, 0xA0, 0x80], &[0xF4, 0x90, 0x80, 0x80], b"\xC3x"] {
        for good in [&b""[..], "grüße".as_bytes(), &[b'x'; 5000]] {
            let (stream, mut connection) = compressing();
            let part = Compressor::new().part(&[good, bad].concat());
            // A frame of which more is to come, which never does.
            connection.send(&[&[TEXT_FRAME, 127], &[0, 0, 0, 0, 0, 16, 0, 0][..], &part].concat());
            fails(&stream, &mut connection, 1007, Cause::Utf8);
        }
    }
}

// Rows: F02
#[test]
fn text_that_ends_inside_a_character_fails_with_1007_and_one_that_is_split_there_does_not() {
    let (stream, mut connection) = compressing();
    let text = "ä€😀".as_bytes();
    let mut compressor = Compressor::new();
    for byte in &text[..text.len() - 1] {
        let first = if byte == &text[0] { 0x41 } else { 0 };
        send(&mut connection, first, &compressor.part(&[*byte]));
    }
    send(&mut connection, 0x80, &compressor.message(&text[text.len() - 1..]));
    reads(&stream, TEXT, text);
    send(&mut connection, TEXT_FRAME, &compressor.message(&text[..text.len() - 1]));
    fails(&stream, &mut connection, 1007, Cause::Utf8);
}

#[test]
fn data_that_is_no_deflate_stream_fails_with_1007() {
    for payload in [
        // A reserved type of block.
        &[0x06][..],
        // A stored block whose size is not repeated.
        &[0, 1, 0, 0, 0, b'x'],
        // A distance behind the beginning.
        &[0x02, 0x5E, 0, 0, 0, 0],
        // Codes that are none.
        &[0x04, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        &noise(9, 5000),
        &[&compressed(b"good")[..], &TAIL, &[0x07]].concat(),
    ] {
        for is_split in [false, true] {
            let (stream, mut connection) = compressing();
            send(&mut connection, TEXT_FRAME, &compressed(b"before"));
            reads(&stream, TEXT, b"before");
            if is_split {
                let (first, rest) = payload.split_at(1);
                send(&mut connection, 0x42, first);
                send(&mut connection, 0x80, rest);
            } else {
                send(&mut connection, BINARY_FRAME, payload);
            }
            fails(&stream, &mut connection, 1007, Cause::Protocol);
        }
    }
}

#[test]
fn a_message_that_ends_inside_its_stream_is_not_given_out() {
    let whole = compressed(&noise(3, 2000));
    let codes = compressed(words(3, 2000).as_bytes());
    for payload in [&whole[..whole.len() - 700], &codes[..codes.len() / 2], &stored(false, b"cut off")[..8]] {
        let (stream, mut connection) = compressing();
        send(&mut connection, BINARY_FRAME, payload);
        assert_eq!(stream.refused_read(FOREVER), Status::Connection);
        fails(&stream, &mut connection, 1007, Cause::Protocol);
    }
}

// Rows: F03
#[test]
fn the_limit_of_a_message_counts_what_comes_out() {
    for (limit, size) in
        [(1000, 1000), (1000, 1001), (1 << 20, 1 << 20), (1 << 20, (1 << 20) + 1), (5, 64 << 20)]
    {
        let options = Options::with(option::MAX_MESSAGE_SIZE, limit);
        let (stream, mut connection) = compressing_with(&options, "");
        send(&mut connection, BINARY_FRAME, &compressed(&vec![0; size]));
        if size <= limit as usize {
            reads(&stream, BINARY, &vec![0; size]);
            continue;
        }
        assert_eq!(stream.refused_read(FOREVER), Status::Connection);
        fails(&stream, &mut connection, 1009, Cause::TooBig);
    }
    // What does not compress may be larger on the wire than its message.
    let (stream, mut connection) = compressing_with(&Options::with(option::MAX_MESSAGE_SIZE, 50_000), "");
    let payload = compressed(&noise(1, 50_000));
    assert!(payload.len() > 50_000);
    send(&mut connection, BINARY_FRAME, &payload);
    reads(&stream, BINARY, &noise(1, 50_000));
}

#[test]
fn a_cancel_within_a_compressed_message_closes_and_the_rest_is_not_looked_at() {
    let (stream, mut connection) = compressing();
    let payload = compressed(&mixture(1, 100_000));
    let (first, rest) = payload.split_at(payload.len() / 2);
    send(&mut connection, 0x42, first);
    assert!(!read_some(&stream, 100, FOREVER).unwrap().bytes.is_empty());
    assert_eq!(cancel(&stream, NO_CODE, ""), Status::Ok);
    assert_eq!(connection.receive().expect("a Close").first, 0x88);
    // Corrupt as it may be.
    send(&mut connection, 0x00, &noise(1, 100_000));
    send(&mut connection, 0x80, rest);
    connection.send(&frame(0x88, b""));
    drop(connection);
    stream.closed_cleanly();
}

#[test]
fn a_large_compressed_message_is_pending_while_nobody_reads() {
    let options = Options::with(option::READ_BUFFER_SIZE, 10_000);
    let (stream, mut connection) = compressing_with(&options, "");
    send(&mut connection, BINARY_FRAME, &compressed(&vec![0; 1 << 20]));
    send(&mut connection, TEXT_FRAME, &compressed(b"behind it"));
    until(|| statistics(&stream).unread >= 10_000);
    assert!(statistics(&stream).unread < 200_000, "{}", statistics(&stream).unread);
    // Who asks for messages asks for all of it.
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    reads(&stream, BINARY, &vec![0; 1 << 20]);
    reads(&stream, TEXT, b"behind it");
}

// Rows: D14, C22
#[test]
fn a_local_close_keeps_of_compressed_messages_that_are_here_what_the_mark_allows() {
    for size in [500, 512, 700] {
        let (stream, mut connection) = compressing_with(&Options::with(option::READ_BUFFER_SIZE, 1000), "");
        // So that receives grow.
        let large = frame(0x82, &[7; 1000]).repeat(1000);
        let mut compressor = Compressor::new();
        let mut small = Vec::new();
        for _ in 0..20_000 {
            small.extend(frame(BINARY_FRAME, &compressor.message(&vec![b'x'; size])));
        }
        let sender = std::thread::spawn(move || {
            connection.send(&large);
            connection.send(&small);
            connection
        });
        for _ in 0..1000 {
            reads(&stream, BINARY, &[7; 1000]);
        }
        reads(&stream, BINARY, &vec![b'x'; size]);
        assert_eq!(stream.close(1000, ""), Status::Ok);
        let mut connection = sender.join().expect("all is taken");
        assert_eq!(connection.receive().expect("a Close").first, 0x88);
        connection.send(&frame(0x88, &1000_u16.to_be_bytes()));
        drop(connection);
        stream.closed_cleanly();
        let mut kept = 0;
        while let Ok(message) = stream.read(FOREVER) {
            assert!(message.bytes() == vec![b'x'; size]);
            kept += 1;
        }
        assert!(kept <= 1000 / size + 1, "{kept} messages of {size} bytes");
    }
}

/// Messages that come together while nobody but the test drives the stream, which then closes it.
fn closed_behind(options: &Options, messages: &[&[u8]]) -> (Stream, Connection, Held) {
    let (stream, mut connection) = compressing_with(options, "; server_no_context_takeover");
    let held = hold_internal();
    connection
        .send(&messages.iter().flat_map(|data| frame(BINARY_FRAME, &compressed(data))).collect::<Vec<_>>());
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    assert_eq!(stream.close(4000, ""), Status::Ok);
    (stream, connection, held)
}

#[test]
fn a_local_close_keeps_what_came_compressed_up_to_the_mark() {
    alone("receiving::a_local_close_keeps_what_came_compressed_up_to_the_mark", || {
        let (stream, _connection, held) = closed_behind(&Options::new(), &[b"one", b"two", b"three"]);
        for data in [&b"one"[..], b"two", b"three"] {
            assert_eq!(stream.read(0).expect("it is here").bytes(), data);
        }
        drop(held);
        let options = Options::with(option::READ_BUFFER_SIZE, 1000);
        let (stream, mut connection, held) = closed_behind(&options, &[b"one", &[b'a'; 100_000]]);
        assert_eq!(stream.read(0).expect("it is here").bytes(), b"one");
        assert_eq!(connection.receive().expect("a Close").payload, 4000_u16.to_be_bytes());
        send(&mut connection, 0x88, &4000_u16.to_be_bytes());
        drop(held);
        drop(connection);
        assert_eq!(stream.refused_read(FOREVER), Status::Done);
    });
}
