//! Compressed messages: the examples of RFC 7692, what our own deflater makes of anything, and what a server may do wrong.

use super::super::decoder::Broken;
use super::super::deflate::{Deflater, Inflater, Next};
use super::super::failure::Cause;
use super::super::handshake::Agreement;
use super::*;

const RSV1: u8 = 0x40;
const AGREED: Agreement = Agreement {
    client_window_bits: Some(15),
    server_window_bits: 15,
    client_context_takeover: true,
    server_context_takeover: true,
};
/// RFC 7692 §7.2.3.1.
const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

fn agreed(input: &[&[u8]]) -> Vec<Seen> {
    decode_agreed(&input.concat(), 0, &AGREED)
}

fn fails(input: &[&[u8]], code: u16, cause: Cause) {
    let seen = agreed(input);
    let Some(Seen::Fail(failure)) = seen.last() else { panic!("{seen:?}") };
    assert_eq!((failure.close_code, failure.cause), (code, cause), "{failure:?}");
}

fn compressed(deflater: &mut Deflater, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    deflater.deflate(data, true, &mut payload).expect("there is memory");
    payload
}

fn deflater() -> Deflater {
    Deflater::new(15, 6, true).expect("there is memory")
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    // §7.2.3.1, whole and in two fragments.
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &HELLO)]), [text("Hello")]);
    let (first, second) = HELLO.split_at(3);
    let fragments = [frame(false, RSV1 | TEXT, first), frame(true, CONTINUATION, second)];
    assert_eq!(
        agreed(&[&fragments[0], &frame(true, PING, b"p"), &fragments[1]]),
        [Seen::Ping(b"p".to_vec()), text("Hello")]
    );
    // §7.2.3.2, with the window of the first.
    let again = frame(true, RSV1 | TEXT, &[0xF2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &HELLO), &again]), [text("Hello"), text("Hello")]);
    // §7.2.3.3: a block without compression.
    let stored = [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &stored)]), [text("Hello")]);
    // §7.2.3.4: a block that says that it is the last.
    let last = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &last), &again]), [text("Hello"), text("Hello")]);
    // §7.2.3.5: two blocks.
    let two = [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &two)]), [text("Hello")]);
    // §7.2.3.6: an empty message.
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &[0x00])]), [text("")]);
}

#[test]
fn a_message_may_go_uncompressed_between_compressed_ones() {
    let hello = frame(true, RSV1 | TEXT, &HELLO);
    let again = frame(true, RSV1 | TEXT, &[0xF2, 0x00, 0x11, 0x00, 0x00]);
    let plain = frame(true, TEXT, b"plain");
    assert_eq!(agreed(&[&hello, &plain, &again]), [text("Hello"), text("plain"), text("Hello")]);
}

#[test]
fn what_our_deflater_makes_is_what_went_in() {
    let mut random = Random::new(7692);
    for round in 0..42 {
        let (bits, level, takeover) = (9 + round % 7, 1 + round % 9, round % 2 == 0);
        let mut deflater = Deflater::new(bits, level, takeover).expect("there is memory");
        let agreement = Agreement { server_window_bits: bits, server_context_takeover: takeover, ..AGREED };
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let size = [0, 1, 20, 300, 5000, 40_000][random.below(6)];
            let data = match random.below(3) {
                0 => random.bytes(size),
                1 => vec![b'x'; size],
                _ => (0..size).map(|_| b"abcdefgh"[random.below(8)]).collect(),
            };
            let mut rest = &data[..];
            let mut opcode = RSV1 | BINARY;
            while random.below(3) > 0 && !rest.is_empty() {
                let (part, after) = rest.split_at(1 + random.below(rest.len()));
                let mut payload = Vec::new();
                deflater.deflate(part, false, &mut payload).expect("there is memory");
                input.extend(frame(false, opcode, &payload));
                (rest, opcode) = (after, CONTINUATION);
            }
            input.extend(frame(true, opcode, &compressed(&mut deflater, rest)));
            expected.push(binary(&data));
        }
        let seen = decode_agreed(&input, 0, &agreement);
        assert!(seen == expected, "round {round}");
    }
}

#[test]
fn no_message_compresses_to_nothing() {
    let mut deflater = deflater();
    assert_eq!(compressed(&mut deflater, b""), [0]);
    assert_eq!(compressed(&mut deflater, b""), [0]);
    let mut parts = Vec::new();
    deflater.deflate(b"part", false, &mut parts).expect("there is memory");
    assert!(parts.ends_with(&[0, 0, 0xFF, 0xFF]), "a part ends with a flush");
    assert_eq!(compressed(&mut deflater, b""), [0]);
}

#[test]
fn without_takeover_each_message_stands_alone() {
    let mut fresh = Deflater::new(15, 6, false).expect("there is memory");
    let first = compressed(&mut fresh, b"the same words");
    assert_eq!(compressed(&mut fresh, b"the same words"), first);
    let mut kept = deflater();
    assert_eq!(compressed(&mut kept, b"the same words"), first);
    let second = compressed(&mut kept, b"the same words");
    assert!(second.len() < first.len(), "the window is used");

    // A server that agreed to have none and refers to its window is not understood, nor in another stream of the message.
    let none = Agreement { server_context_takeover: false, ..AGREED };
    for second in [second.clone(), [&LAST[..], &second].concat()] {
        let frames = [frame(true, RSV1 | BINARY, &first), frame(true, RSV1 | BINARY, &second)].concat();
        let seen = decode_agreed(&frames, 0, &none);
        assert_eq!(seen[0], binary(b"the same words"));
        assert!(matches!(seen[1], Seen::Fail(failure) if failure.close_code == 1007), "{seen:?}");
    }
}

#[test]
fn the_window_outlives_a_stream_that_ends_inside_a_message() {
    // Random bytes, so that only the window explains them; more than one window of them.
    let mut random = Random::new(1);
    for (bits, size) in [(9, 300), (9, 5000), (15, 300), (15, 40_000), (15, 100_000)] {
        let data = random.bytes(size);
        let agreement = Agreement { server_window_bits: bits, ..AGREED };
        let mut deflater = Deflater::new(bits, 6, true).expect("there is memory");
        let first = compressed(&mut deflater, &data);
        // Refers to the last 200 bytes, in another stream.
        let second = compressed(&mut deflater, &data[size - 200..]);
        assert!(second.len() < 60, "it refers to what was before");
        let ended = [&second[..], &[0, 0, 0xFF, 0xFF], &[0x03, 0x00], &[0x00]].concat();
        let frames = [
            frame(true, RSV1 | BINARY, &first),
            frame(true, RSV1 | BINARY, &ended),
            frame(true, RSV1 | BINARY, &second),
            // The end of a stream is the end of its message, without the header of an empty block behind it.
            frame(true, RSV1 | BINARY, &ended[..ended.len() - 1]),
            frame(true, RSV1 | BINARY, &second),
        ]
        .concat();
        let tail = binary(&data[size - 200..]);
        let seen = reader(0, Some(&agreement)).read(&frames);
        assert_eq!(seen.len(), 5, "{bits} {size}: {:?}", seen.last());
        assert!(
            seen[0] == binary(&data) && seen[1..] == [tail.clone(), tail.clone(), tail.clone(), tail],
            "{bits} {size}"
        );
    }
}

#[test]
fn rsv1_stands_on_the_first_frame_of_a_message_alone() {
    fails(&[&frame(false, TEXT, b"a"), &frame(true, RSV1 | CONTINUATION, b"b")], 1002, Cause::Protocol);
    fails(
        &[&frame(false, RSV1 | TEXT, &HELLO), &frame(true, RSV1 | CONTINUATION, b"")],
        1002,
        Cause::Protocol,
    );
    for opcode in [CLOSE, PING, PONG] {
        fails(&[&frame(true, RSV1 | opcode, b"")], 1002, Cause::Protocol);
    }
    for bit in [0x20, 0x10] {
        fails(&[&frame(true, bit | TEXT, b"a")], 1002, Cause::Protocol);
        fails(&[&frame(true, bit | RSV1 | TEXT, &HELLO)], 1002, Cause::Protocol);
    }
    let unasked = decode(&frame(true, RSV1 | TEXT, &HELLO));
    assert!(matches!(unasked[..], [Seen::Fail(failure)] if failure.close_code == 1002), "{unasked:?}");
}

#[test]
fn payload_that_is_no_deflate_stream_fails_with_1007() {
    // A block of type 3; a distance beyond what was; lengths of a stored block that do not agree.
    for payload in [&[0x07_u8][..], &[0x02, 0x88, 0x00], &[0x00, 0x05, 0x00, 0x00, 0x00, b'x']] {
        fails(&[&frame(true, RSV1 | BINARY, payload)], 1007, Cause::Protocol);
    }
    // A stored block that ends before its bytes do: the tail is none of them.
    fails(&[&frame(true, RSV1 | BINARY, &[0x00, 0x05, 0x00, 0xFA, 0xFF, b'H', b'e'])], 1007, Cause::Protocol);
    fails(&[&frame(true, RSV1 | BINARY, &[0x00, 0x05, 0x00])], 1007, Cause::Protocol);
    // Behind what can be read.
    fails(&[&frame(true, RSV1 | TEXT, &[&HELLO[..6], &[0x07, 0xFF]].concat())], 1007, Cause::Protocol);
}

#[test]
fn text_is_judged_as_it_comes_out() {
    let mut deflater = deflater();
    let euro = "\u{20AC}".as_bytes();
    let whole = compressed(&mut deflater, euro);
    assert_eq!(agreed(&[&frame(true, RSV1 | TEXT, &whole)]), [text("\u{20AC}")]);
    // It ends inside a character.
    let mut deflater = self::deflater();
    fails(&[&frame(true, RSV1 | TEXT, &compressed(&mut deflater, &euro[..2]))], 1007, Cause::Utf8);
    // The first byte that is none fails, though the message is not here to its end.
    let mut part = Vec::new();
    self::deflater().deflate(b"ok \xFF and more", false, &mut part).expect("there is memory");
    fails(&[&frame(false, RSV1 | TEXT, &part)], 1007, Cause::Utf8);
    assert_eq!(
        agreed(&[&frame(false, RSV1 | BINARY, &part)]),
        [Seen::Unfinished(Kind::Binary, b"ok \xFF and more".to_vec())]
    );
}

#[test]
fn the_limit_is_one_on_what_comes_out() {
    let payload = compressed(&mut deflater(), &[b'x'; 1000]);
    assert!(payload.len() < 30);
    let input = frame(true, RSV1 | TEXT, &payload);
    let message = text(&"x".repeat(1000));
    assert_eq!(decode_agreed(&input, 1000, &AGREED), [message]);
    let seen = decode_agreed(&input, 999, &AGREED);
    assert!(matches!(seen[..], [Seen::Fail(failure)] if failure.close_code == 1009), "{seen:?}");

    // What does not fit any more is not even decompressed.
    let bomb = compressed(&mut deflater(), &vec![0; 10 << 20]);
    let input = frame(true, RSV1 | BINARY, &bomb);
    let mut decoder = reader(1000, Some(&AGREED)).decoder;
    let (used, event) = decoder.decode(&input, usize::MAX);
    let Event::Compressed { payload, .. } = event else { panic!("{event:?}") };
    let mut output = vec![1; 1 << 20];
    let broken = decoder.inflate(&input[payload.range()], &mut output);
    assert!(matches!(broken, Err(Broken::Fail(failure)) if failure.close_code == 1009), "{used} {broken:?}");
    assert!(output[1001..].iter().all(|&byte| byte == 1), "one byte beyond the limit is written at most");
}

#[test]
fn what_is_discarded_is_not_decompressed() {
    let mut reader = reader(0, Some(&AGREED));
    reader.feed(&frame(false, RSV1 | TEXT, &HELLO[..4]));
    reader.discard_data();
    reader.feed(&frame(true, CONTINUATION, b"no deflate stream"));
    reader.feed(&[frame(true, RSV1 | TEXT, &[7; 9]), frame(true, PING, b"")].concat());
    assert!(!reader.decoder.has_output());
    assert_eq!(reader.seen, [Seen::Ping(vec![])]);
}

#[test]
fn an_inflater_stops_where_there_is_no_room() {
    let data = Random::new(3).bytes(1000).repeat(20);
    let payload = compressed(&mut deflater(), &data);
    let mut inflater = Inflater::new(15, true).expect("there is memory");
    let (mut rest, mut out) = (&payload[..], Vec::new());
    loop {
        let mut room = [0; 7];
        let inflated = inflater.inflate(rest, &mut room, true).expect("a deflate stream");
        out.extend_from_slice(&room[..inflated.produced]);
        rest = &rest[inflated.consumed..];
        match inflated.next {
            Next::Room => assert_eq!(inflated.produced, room.len()),
            Next::Nothing => break,
            Next::Input => panic!("the input ends the message"),
        }
    }
    assert!(out == data && rest.is_empty());
}

/// RFC 7692 §7.2.3.4: two bytes, an empty block that says that it is the last one.
const LAST: [u8; 2] = [0x03, 0x00];

#[test]
fn a_stream_that_ends_within_a_message_ends_the_step_and_says_what_the_window_costs() {
    let mut inflater = Inflater::new(15, true).expect("there is memory");
    let mut room = [0; 4096];
    let payload = compressed(&mut deflater(), &[b'x'; 4095]);
    let inflated = inflater.inflate(&payload, &mut room, true).expect("it is whole");
    assert_eq!((inflated.produced, inflated.copied, inflated.next), (4095, 0, Next::Nothing));
    let input = LAST.repeat(3);
    for (rest, next) in [(6, Next::Room), (4, Next::Room), (2, Next::Input)] {
        let inflated =
            inflater.inflate(&input[input.len() - rest..], &mut room, false).expect("empty blocks");
        assert_eq!((inflated.consumed, inflated.produced), (2, 0));
        assert_eq!((inflated.copied, inflated.next), (4095, next));
    }
    let end = inflater.inflate(&LAST, &mut room, true).expect("an empty block");
    assert_eq!((end.consumed, end.next), (2, Next::Room));
    let end = inflater.inflate(&[], &mut room, true).expect("nothing is left");
    assert_eq!((end.consumed, end.produced, end.copied, end.next), (0, 0, 0, Next::Nothing));
}

#[test]
fn streams_that_end_where_the_payload_does_keep_the_message_whole() {
    let last = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    let payload = [&last[..], &LAST, &LAST].concat();
    for size in 1..payload.len() {
        let (first, second) = payload.split_at(size);
        let fragments = [
            frame(false, RSV1 | TEXT, first),
            frame(false, CONTINUATION, b""),
            frame(true, CONTINUATION, second),
        ];
        assert_eq!(
            agreed(&[&fragments.concat(), &frame(true, TEXT, b"next")]),
            [text("Hello"), text("next")]
        );
    }
}

#[test]
fn nothing_is_written_behind_a_failure() {
    for (limit, input) in [
        (10, frame(true, RSV1 | BINARY, &compressed(&mut deflater(), &[b'x'; 1000]))),
        (0, frame(true, RSV1 | TEXT, &compressed(&mut deflater(), &[0xFF; 1000]))),
        (0, frame(true, RSV1 | BINARY, &[0x07])),
    ] {
        let mut decoder = Decoder::new(limit);
        decoder.agree(&AGREED);
        let (used, Event::Compressed { payload, .. }) = decoder.decode(&input, 1000) else {
            panic!("it is here")
        };
        let mut room = [0; 100];
        let part = decoder.inflate(&input[used..][payload.start - used..payload.end - used], &mut room);
        assert!(matches!(part, Err(Broken::Fail(_))), "{part:?}");
        assert!(!decoder.has_output());
        assert!(matches!(decoder.decode(&[], 1000), (0, Event::Fail(_))));
    }
}
