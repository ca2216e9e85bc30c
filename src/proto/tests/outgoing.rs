//! Messages written whole and in parts.

use super::super::opcode::{Kind, Opcode};
use super::super::outgoing::{FRAME_SIZE_MAX, FRAME_SPLIT_MIN, Outgoing, Refusal};

type Frame = (Opcode, bool, std::ops::Range<usize>);

fn write(outgoing: &mut Outgoing, kind: Kind, data: &[u8], fin: bool) -> Result<Vec<Frame>, Refusal> {
    let accepted = outgoing.check(kind, data, fin, false)?;
    Ok(outgoing.accept(accepted).collect())
}

fn write_whole(outgoing: &mut Outgoing, kind: Kind, data: &[u8]) -> Result<Vec<Frame>, Refusal> {
    let accepted = outgoing.check(kind, data, true, true)?;
    let frames = outgoing.accept(accepted);
    let count = frames.len();
    let frames = frames.collect::<Vec<_>>();
    assert_eq!(frames.len(), count);
    Ok(frames)
}

#[test]
fn a_whole_message_is_one_frame() {
    let mut outgoing = Outgoing::new();
    for (kind, opcode) in [(Kind::Text, Opcode::Text), (Kind::Binary, Opcode::Binary)] {
        assert_eq!(write_whole(&mut outgoing, kind, b"abc"), Ok(vec![(opcode, true, 0..3)]));
        assert_eq!(write_whole(&mut outgoing, kind, b""), Ok(vec![(opcode, true, 0..0)]));
        assert!(!outgoing.is_open());
    }
}

#[test]
fn only_messages_above_the_split_leave_as_several_frames() {
    let mut outgoing = Outgoing::new();
    let data = vec![0; FRAME_SPLIT_MIN + 1];
    let exact = write_whole(&mut outgoing, Kind::Binary, &data[1..]).unwrap();
    assert_eq!(exact, [(Opcode::Binary, true, 0..FRAME_SPLIT_MIN)]);

    let frames = write_whole(&mut outgoing, Kind::Binary, &data).unwrap();
    assert_eq!(frames.len(), FRAME_SPLIT_MIN / FRAME_SIZE_MAX + 1);
    let mut position = 0;
    for (place, (opcode, fin, payload)) in frames.iter().enumerate() {
        let expected = if place == 0 { Opcode::Binary } else { Opcode::Continuation };
        assert_eq!((*opcode, *fin), (expected, place + 1 == frames.len()));
        assert_eq!(payload.start, position);
        assert!(payload.len() <= FRAME_SIZE_MAX && !payload.is_empty());
        position = payload.end;
    }
    assert_eq!(position, data.len());
}

#[test]
fn the_frames_that_are_left_are_counted_to_the_last() {
    for (size, fin) in [(0, false), (0, true), (1, false), (FRAME_SPLIT_MIN + 1, true)] {
        let mut outgoing = Outgoing::new();
        let accepted = outgoing.check(Kind::Binary, &vec![0; size], fin, false).unwrap();
        let mut frames = outgoing.accept(accepted);
        let mut left = frames.len();
        while frames.next().is_some() {
            left -= 1;
            assert_eq!(frames.len(), left, "{size}");
        }
        assert_eq!(left, 0, "{size}");
    }
}

#[test]
fn parts_continue_the_message_until_fin() {
    let mut outgoing = Outgoing::new();
    assert_eq!(write(&mut outgoing, Kind::Text, b"a", false), Ok(vec![(Opcode::Text, false, 0..1)]));
    assert!(outgoing.is_open());
    assert_eq!(write(&mut outgoing, Kind::Text, b"bc", false), Ok(vec![(Opcode::Continuation, false, 0..2)]));
    assert_eq!(write(&mut outgoing, Kind::Text, b"", true), Ok(vec![(Opcode::Continuation, true, 0..0)]));
    assert!(!outgoing.is_open());
    assert_eq!(write(&mut outgoing, Kind::Binary, b"d", true), Ok(vec![(Opcode::Binary, true, 0..1)]));
}

#[test]
fn a_large_part_without_fin_ends_with_no_final_frame() {
    let mut outgoing = Outgoing::new();
    let frames = write(&mut outgoing, Kind::Binary, &vec![0; FRAME_SPLIT_MIN + 1], false).unwrap();
    assert!(frames.len() > 1 && frames.iter().all(|(_, fin, _)| !fin));
    assert_eq!(write(&mut outgoing, Kind::Binary, b"", true), Ok(vec![(Opcode::Continuation, true, 0..0)]));
}

#[test]
fn an_empty_first_part_opens_the_message_without_a_frame() {
    let mut outgoing = Outgoing::new();
    assert_eq!(write(&mut outgoing, Kind::Text, b"", false), Ok(vec![]));
    assert!(outgoing.is_open());
    assert_eq!(write(&mut outgoing, Kind::Binary, b"x", false), Err(Refusal::Argument));
    assert_eq!(write(&mut outgoing, Kind::Text, b"x", false), Ok(vec![(Opcode::Text, false, 0..1)]));
    assert_eq!(write(&mut outgoing, Kind::Text, b"", false), Ok(vec![]));
    assert_eq!(write(&mut outgoing, Kind::Text, b"y", true), Ok(vec![(Opcode::Continuation, true, 0..1)]));

    assert_eq!(write(&mut outgoing, Kind::Binary, b"", false), Ok(vec![]));
    assert_eq!(write(&mut outgoing, Kind::Binary, b"", true), Ok(vec![(Opcode::Binary, true, 0..0)]));
}

#[test]
fn a_whole_message_inside_an_open_one_is_refused_as_state() {
    let mut outgoing = Outgoing::new();
    write(&mut outgoing, Kind::Text, b"a", false).unwrap();
    assert_eq!(write_whole(&mut outgoing, Kind::Text, b"b"), Err(Refusal::State));
    assert_eq!(write_whole(&mut outgoing, Kind::Binary, b"\xFF"), Err(Refusal::State));
    outgoing.give_up();
    assert!(!outgoing.is_open());
    assert!(write_whole(&mut outgoing, Kind::Text, b"b").is_ok());
}

#[test]
fn text_that_is_not_utf8_is_refused_and_changes_nothing() {
    let mut outgoing = Outgoing::new();
    let long = [&[b'a'; 1000][..], b"\xC3"].concat();
    for bad in [&b"\xFF"[..], b"abc\xE2\x82", b"12345678\x80", &long] {
        assert_eq!(write_whole(&mut outgoing, Kind::Text, bad), Err(Refusal::Argument));
        assert!(write_whole(&mut outgoing, Kind::Binary, bad).is_ok());
    }
    assert_eq!(write(&mut outgoing, Kind::Text, b"\xE2\x82", true), Err(Refusal::Argument));
    assert!(!outgoing.is_open());

    write(&mut outgoing, Kind::Text, b"\xE2\x82", false).unwrap();
    assert_eq!(write(&mut outgoing, Kind::Text, b"x", false), Err(Refusal::Argument));
    assert_eq!(write(&mut outgoing, Kind::Text, b"", true), Err(Refusal::Argument));
    assert_eq!(write(&mut outgoing, Kind::Text, b"\xAC", true), Ok(vec![(Opcode::Continuation, true, 0..1)]));
}
