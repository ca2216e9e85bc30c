//! What fails a connection, with which code, and at which byte (F01–F03, decision 12).

use super::super::decoder::{Decoder, Event};
use super::super::failure::{Cause, Failure};
use super::*;

/// All of `input` is legal but its last byte, which fails; whole, and one byte at a time.
#[track_caller]
fn assert_fails_at_last_byte(input: &[u8], max_message_size: u64, close_code: u16) -> Failure {
    let before = decode_limited(&input[..input.len() - 1], max_message_size);
    assert!(!before.iter().any(|seen| matches!(seen, Seen::Fail(_))), "failed too early: {before:?}");
    // What follows a failure must not matter, nor hide it.
    let more = [input, &frame(true, TEXT, b"more")].concat();
    let seen = decode_limited(&more, max_message_size);
    let Some(Seen::Fail(failure)) = seen.last() else { panic!("did not fail: {seen:?}") };
    assert_eq!(failure.close_code, close_code, "{failure:?}");
    assert_eq!(decode_limited(input, max_message_size).last(), seen.last(), "not at this byte");
    let cause = match close_code {
        1002 => Cause::Protocol,
        1007 => Cause::Utf8,
        _ => Cause::TooBig,
    };
    assert_eq!(failure.cause, cause);
    assert!(failure.detail.ends_with('.'));
    *failure
}

#[track_caller]
fn assert_broken(input: &[u8], word: &str) {
    let failure = assert_fails_at_last_byte(input, 0, 1002);
    assert!(failure.detail.contains(word), "{failure:?}");
}

#[test]
fn reserved_bits_fail_on_the_first_byte() {
    for bits in (0x10..=0x70).step_by(0x10) {
        for first in [0x81, 0x82, 0x88, 0x89, 0x8A, 0x01] {
            assert_broken(&[first | bits], "reserved bit");
        }
    }
}

#[test]
fn reserved_opcodes_fail_on_the_first_byte() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_broken(&[0x80 | opcode], "reserved opcode");
        assert_broken(&[opcode], "reserved opcode");
    }
}

#[test]
fn fragmented_control_frames_fail_on_the_first_byte() {
    for opcode in [CLOSE, PING, PONG] {
        assert_broken(&[opcode], "fragmented control");
    }
}

#[test]
fn a_stray_continuation_fails_on_the_first_byte() {
    assert_broken(&[0x00], "no message was open");
    assert_broken(&[&frame(true, TEXT, b"x")[..], &[0x80]].concat(), "no message was open");
    let ended = [frame(false, TEXT, b"x"), frame(true, CONTINUATION, b"y")].concat();
    assert_broken(&[&ended[..], &[0x80]].concat(), "no message was open");
}

#[test]
fn a_missing_continuation_fails_on_the_first_byte() {
    for first in [0x81, 0x82, 0x01, 0x02] {
        assert_broken(&[&frame(false, TEXT, b"x")[..], &[first]].concat(), "before it had ended");
        assert_broken(&[&frame(false, BINARY, b"")[..], &[first]].concat(), "before it had ended");
    }
}

#[test]
fn masked_frames_fail_on_the_second_byte() {
    for first in [0x81, 0x82, 0x01, 0x88, 0x89, 0x8A] {
        for size in [0x80, 0x81, 0xFD, 0xFE, 0xFF] {
            assert_broken(&[first, size], "masked");
        }
    }
}

#[test]
fn long_control_frames_fail_on_the_second_byte() {
    for first in [0x88, 0x89, 0x8A] {
        assert_broken(&[first, 126], "more than 125");
        assert_broken(&[first, 127], "more than 125");
    }
}

#[test]
fn lengths_that_are_not_minimal_fail_at_the_byte_that_shows_it() {
    assert_broken(&[0x82, 126, 0, 0], "fits into 7 bits");
    assert_broken(&[0x81, 126, 0, 125], "fits into 7 bits");
    assert_broken(&[0x82, 127, 0, 0, 0, 0, 0, 0], "fits into 16 bits");
    assert_eq!(decode(&frame(true, BINARY, &[1; 126])), [binary(&[1; 126])]);
    assert_eq!(decode(&frame(true, BINARY, &[1; 65536])), [binary(&[1; 65536])]);
}

#[test]
fn a_length_with_the_top_bit_fails_on_the_third_byte() {
    assert_broken(&[0x82, 127, 0x80], "highest bit");
    assert_broken(&[0x81, 127, 0xFF], "highest bit");
}

#[test]
fn the_largest_legal_length_is_only_a_number() {
    let header = [0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    let mut decoder = Decoder::new(0);
    assert_eq!(decoder.decode(&header, 1), (10, Event::Starved));
    assert_eq!(decoder.payload_remaining(), i64::MAX as u64);
}

#[test]
fn half_a_close_code_fails_on_the_second_byte() {
    assert_broken(&[0x88, 1], "half a close code");
}

#[test]
fn an_illegal_close_code_fails_before_its_reason_is_judged() {
    assert_broken(b"\x88\x02\x03\xED", "close code");
    assert_broken(b"\x88\x03\x03\xED\xFF", "close code");
}

#[test]
fn a_close_reason_that_is_not_utf8_fails_with_1007() {
    assert_fails_at_last_byte(b"\x88\x03\x03\xE8\xFF", 0, 1007);
    assert_fails_at_last_byte(b"\x88\x04\x03\xE8\xE2\x82", 0, 1007);
}

#[test]
fn a_bad_byte_fails_the_text_before_its_frame_ends() {
    assert_fails_at_last_byte(b"\x81\x7D fine so far \xFF", 0, 1007);
    assert_fails_at_last_byte(b"\x81\x7E\x10\x00 fine so far \xF4\x90", 0, 1007);
    let long = [&b"\x81\x7E\x10\x00"[..], &[b'a'; 2000], b"\xED\xA0"].concat();
    assert_fails_at_last_byte(&long, 0, 1007);
}

#[test]
fn a_bad_byte_fails_the_text_across_frames() {
    let first = frame(false, TEXT, b"\xF0\x9F");
    assert_fails_at_last_byte(&[&first[..], b"\x00\x05\x41"].concat(), 0, 1007);
    assert_fails_at_last_byte(&[&first[..], &frame(true, PING, b""), b"\x80\x05\x98\xC3"].concat(), 0, 1007);
}

#[test]
fn a_text_that_ends_inside_a_character_fails() {
    assert_fails_at_last_byte(b"\x81\x02\xE2\x82", 0, 1007);
    assert_fails_at_last_byte(&[&frame(false, TEXT, b"\xE2\x82")[..], b"\x80\x00"].concat(), 0, 1007);
    let long = [&b"\x81\x7E\x01\x00"[..], &[b'a'; 255], b"\xC3"].concat();
    assert_fails_at_last_byte(&long, 0, 1007);
}

#[test]
fn binary_messages_may_hold_any_byte() {
    let input = [frame(false, BINARY, b"\xFF\xC0"), frame(true, CONTINUATION, b"\xED\xA0")].concat();
    assert_eq!(decode(&input), [binary(b"\xFF\xC0\xED\xA0")]);
}

#[test]
fn a_message_above_the_limit_fails_with_the_header_that_shows_it() {
    assert_fails_at_last_byte(&[0x82, 101], 100, 1009);
    assert_fails_at_last_byte(&[0x81, 126, 0x10, 0x00], 4095, 1009);
    assert_fails_at_last_byte(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65535, 1009);
    assert_fails_at_last_byte(&[&frame(false, BINARY, &[0; 60])[..], &[0x00, 41]].concat(), 100, 1009);
}

#[test]
fn a_whole_message_above_the_limit_fails_although_all_of_it_is_here() {
    for size in [11, 125, 126, 1000, 65535, 65536] {
        let seen = decode_limited(&frame(true, BINARY, &vec![0; size]), size as u64 - 1);
        assert!(matches!(seen[..], [Seen::Fail(failure)] if failure.close_code == 1009), "{size}: {seen:?}");
    }
}

#[test]
fn a_whole_message_inside_another_fails_although_all_of_it_is_here() {
    for size in [0, 10, 125, 126, 1000] {
        let input = [frame(false, TEXT, b"open"), frame(true, TEXT, &vec![b'x'; size])].concat();
        let seen = decode(&input);
        assert!(matches!(seen[..], [Seen::Fail(failure)] if failure.close_code == 1002), "{size}: {seen:?}");
    }
}

#[test]
fn a_message_at_the_limit_passes_and_control_frames_do_not_count() {
    for limit in [1, 100, 125, 126, 127, 4096, 65536] {
        let bytes = vec![b'l'; limit];
        let half = limit / 2;
        let input = [
            frame(true, TEXT, &bytes),
            frame(false, TEXT, &bytes[..half]),
            frame(true, PING, &[0; 125]),
            frame(true, CONTINUATION, &bytes[half..]),
        ]
        .concat();
        let message = Seen::Message(Kind::Text, bytes);
        let expected = [message.clone(), Seen::Ping(vec![0; 125]), message];
        assert_eq!(decode_limited(&input, limit as u64), expected, "{limit}");
    }
}

#[test]
fn sizes_that_overflow_when_added_still_meet_the_limit() {
    let huge = [0x00, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    let input = [&frame(false, BINARY, b"x")[..], &huge].concat();
    assert_fails_at_last_byte(&input, u64::MAX >> 1, 1009);
}
