//! What a legal server may send.

use super::super::decoder::{Decoder, Event, Span};
use super::super::opcode::Kind;
use super::*;

#[test]
fn messages_of_every_length_encoding_arrive_whole() {
    for size in [0, 1, 7, 8, 9, 124, 125, 126, 127, 128, 4096, 65535, 65536, 70000] {
        let bytes = vec![b'x'; size];
        let input = [frame(true, TEXT, &bytes), frame(true, BINARY, &bytes)].concat();
        let (used, event) = Decoder::new(0).decode(&input, usize::MAX);
        let header_size = input.len() / 2 - size;
        let payload = Span { start: header_size, end: header_size + size };
        assert_eq!((used, event), (payload.end, Event::Message { kind: Kind::Text, payload }), "{size}");
        let text = Seen::Message(Kind::Text, bytes.clone());
        assert_eq!(decode(&input), [text, binary(&bytes)], "{size}");
    }
}

#[test]
fn several_frames_in_one_input_come_in_order() {
    let input = [
        frame(true, TEXT, b"one"),
        frame(true, PING, b"p"),
        frame(true, BINARY, b"\x00\xFF"),
        frame(true, PONG, b""),
        frame(true, TEXT, "zwei \u{20AC}".as_bytes()),
    ]
    .concat();
    let expected = [
        text("one"),
        Seen::Ping(b"p".to_vec()),
        binary(b"\x00\xFF"),
        Seen::Pong(vec![]),
        text("zwei \u{20AC}"),
    ];
    assert_eq!(decode(&input), expected);
}

#[test]
fn fragments_make_one_message_with_control_frames_between_them() {
    let euro = "\u{20AC}".as_bytes();
    let input = [
        frame(false, TEXT, &euro[..1]),
        frame(true, PING, b"a"),
        frame(false, CONTINUATION, &euro[1..2]),
        frame(true, PONG, b"b"),
        frame(true, CONTINUATION, &euro[2..]),
        frame(true, TEXT, b"next"),
    ]
    .concat();
    let expected = [Seen::Ping(b"a".to_vec()), Seen::Pong(b"b".to_vec()), text("\u{20AC}"), text("next")];
    assert_eq!(decode(&input), expected);
}

#[test]
fn empty_fragments_make_no_events_and_an_empty_message_makes_one() {
    let empty = frame(false, CONTINUATION, b"");
    let input = [&frame(false, TEXT, b"")[..], &empty.repeat(1000), &frame(true, CONTINUATION, b"")].concat();
    assert_eq!(decode(&input), [text("")]);

    let mut decoder = Decoder::new(0);
    let begun = &input[..input.len() - 2];
    assert_eq!(decoder.decode(begun, 0), (begun.len(), Event::Starved));
    assert!(decoder.is_in_message());
}

#[test]
fn a_close_between_fragments_ends_everything() {
    let input = [
        frame(false, BINARY, b"half"),
        frame(true, CLOSE, b"\x03\xE8bye"),
        frame(true, CONTINUATION, b"late"),
        b"\xFF\xFF garbage".to_vec(),
    ]
    .concat();
    assert_eq!(decode(&input), [Seen::Close(Some(1000), "bye".to_owned())]);
}

#[test]
fn close_without_a_body_has_no_code() {
    assert_eq!(decode(&frame(true, CLOSE, b"")), [Seen::Close(None, String::new())]);
}

#[test]
fn close_reason_keeps_its_bom_and_its_last_byte() {
    let reason = format!("\u{FEFF}{}", "r".repeat(120));
    let body = [&1012u16.to_be_bytes()[..], reason.as_bytes()].concat();
    assert_eq!(decode(&frame(true, CLOSE, &body)), [Seen::Close(Some(1012), reason)]);
}

#[test]
fn every_close_code_is_judged_as_the_wire_allows() {
    for code in 0..=u16::MAX {
        let is_legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        match &reader(0, None).read(&frame(true, CLOSE, &code.to_be_bytes()))[..] {
            [Seen::Close(seen, _)] => assert!(is_legal && *seen == Some(code), "{code}"),
            [Seen::Fail(failure)] => assert!(!is_legal && failure.close_code == 1002, "{code}"),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[test]
fn the_budget_bounds_every_part_and_control_frames_cost_none() {
    let input =
        [frame(true, BINARY, b"0123456789"), frame(true, PING, b"p"), frame(true, TEXT, b"")].concat();
    let mut decoder = Decoder::new(0);
    assert_eq!(decoder.decode(&input, 0), (2, Event::Exhausted));
    assert_eq!(decoder.payload_remaining(), 10);
    let part = |start, end, first, fin| {
        (end, Event::Part { kind: Kind::Binary, payload: Span { start, end }, first, fin })
    };
    assert_eq!(decoder.decode(&input[2..], 4), part(0, 4, true, false));
    assert_eq!(decoder.payload_remaining(), 6);
    assert_eq!(decoder.decode(&input[6..], 0), (0, Event::Exhausted));
    assert_eq!(decoder.decode(&input[6..], 6), part(0, 6, false, true));
    assert_eq!(decoder.payload_remaining(), 0);
    assert_eq!(decoder.decode(&input[12..], 0), (3, Event::Ping));
    let empty = Span { start: 2, end: 2 };
    assert_eq!(decoder.decode(&input[15..], 0), (2, Event::Message { kind: Kind::Text, payload: empty }));
    assert_eq!(decoder.decode(&[], 0), (0, Event::Starved));
}

#[test]
fn a_short_message_beyond_the_budget_comes_in_parts() {
    let input = frame(true, TEXT, b"hello");
    for budget in 1..5 {
        let payload = Span { start: 2, end: 2 + budget };
        let part = Event::Part { kind: Kind::Text, payload, first: true, fin: false };
        assert_eq!(Decoder::new(0).decode(&input, budget), (payload.end, part));
    }
}

#[test]
fn a_message_of_a_16_bit_length_ends_there_however_much_is_behind_it() {
    let input = frame(true, BINARY, &[7; 200]).repeat(6);
    let payload = Span { start: 4, end: 204 };
    let event = Event::Message { kind: Kind::Binary, payload };
    assert_eq!(Decoder::new(0).decode(&input, usize::MAX), (payload.end, event));
}

#[test]
fn a_length_that_looks_like_a_header_is_none() {
    // Its two bytes alone would be the header of a text message of five bytes.
    let input = frame(true, BINARY, &[b'x'; 0x8105]);
    let mut decoder = Decoder::new(0);
    assert_eq!(decoder.decode(&input[..2], usize::MAX), (2, Event::Starved));
    let payload = Span { start: 2, end: 2 + 0x8105 };
    let event = Event::Message { kind: Kind::Binary, payload };
    assert_eq!(decoder.decode(&input[2..], usize::MAX), (payload.end, event));
}

#[test]
fn a_header_alone_announces_payload_that_may_be_received_elsewhere() {
    let input = frame(true, BINARY, &[7; 100_000]);
    let mut decoder = Decoder::new(0);
    assert_eq!(decoder.decode(&input[..10], 1), (10, Event::Starved));
    assert_eq!(decoder.payload_remaining(), 100_000);
    assert!(decoder.is_in_message());
    let payload = Span { start: 0, end: 100_000 };
    let whole = Event::Message { kind: Kind::Binary, payload };
    assert_eq!(decoder.decode(&input[10..], 100_000), (100_000, whole));
    assert!(!decoder.is_in_message());
}

#[test]
fn payload_that_looks_like_frames_is_payload() {
    let inner =
        [frame(true, TEXT, b"inner"), frame(true, BINARY, &[0; 200]), frame(true, CLOSE, b"")].concat();
    let outer = frame(true, BINARY, &inner);
    for cut in 0..outer.len() {
        let mut reader = reader(0, None);
        reader.feed(&outer[..cut]);
        reader.feed(&outer[cut..]);
        assert_eq!(reader.finish(), [binary(&inner)], "cut at {cut}");
    }
}

#[test]
fn discarding_drops_the_message_at_hand_and_later_ones_but_answers_control_frames() {
    let later = [
        frame(true, CONTINUATION, b"\xFF rest"),
        frame(true, TEXT, b"\xFF not even text"),
        frame(true, BINARY, &[0; 300]),
        frame(true, PING, b"still here"),
        frame(true, CLOSE, b"\x03\xE9"),
    ]
    .concat();
    for piece_size in [1, 2, 7, later.len()] {
        let mut reader = reader(200, None);
        reader.feed(&frame(false, TEXT, b"half")[..5]);
        assert!(reader.decoder.is_in_message());
        reader.discard_data();
        assert_eq!(reader.decoder.payload_remaining(), 0);
        reader.feed(b"f");
        for piece in later.chunks(piece_size) {
            // Nothing is given out, so even no budget at all must do.
            let mut piece = piece;
            while !piece.is_empty() {
                let (used, event) = reader.decoder.decode(piece, 0);
                match event {
                    Event::Starved => {}
                    Event::Ping => reader.seen.push(Seen::Ping(reader.decoder.control_payload().to_vec())),
                    Event::Close { code } => reader.seen.push(Seen::Close(code, String::new())),
                    other => panic!("{other:?}"),
                }
                piece = &piece[used..];
            }
        }
        assert_eq!(reader.seen, [Seen::Ping(b"still here".to_vec()), Seen::Close(Some(1001), String::new())]);
    }
}

#[test]
fn discarding_drops_every_later_message_that_is_whole_in_its_call() {
    let input = frame(true, BINARY, b"dropped");
    let mut decoder = Decoder::new(0);
    decoder.discard_data();
    for _ in 0..3 {
        assert_eq!(decoder.decode(&input, usize::MAX), (input.len(), Event::Starved));
    }
}

#[test]
fn discarding_still_fails_on_broken_framing() {
    for broken in [frame(true, CONTINUATION, b""), frame(true, 3, b""), b"\x82\x80".to_vec()] {
        let mut reader = reader(0, None);
        reader.discard_data();
        let seen = reader.read(&[frame(true, TEXT, b"dropped"), broken].concat());
        assert!(matches!(seen[..], [Seen::Fail(failure)] if failure.close_code == 1002));
    }
}
