//! Frames we write, read back by another implementation.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::super::encoder::{HEADER_SIZE_MAX, Header, close_payload};
use super::super::opcode::Opcode;

#[test]
fn headers_read_back_as_they_were_meant_and_are_minimal() {
    let opcodes = [
        (Opcode::Continuation, OpCode::Data(Data::Continue)),
        (Opcode::Text, OpCode::Data(Data::Text)),
        (Opcode::Binary, OpCode::Data(Data::Binary)),
        (Opcode::Close, OpCode::Control(Control::Close)),
        (Opcode::Ping, OpCode::Control(Control::Ping)),
        (Opcode::Pong, OpCode::Control(Control::Pong)),
    ];
    let mask = [0x12, 0x00, 0xFF, 0x80];
    for (opcode, expected) in opcodes {
        for (payload_size, header_size) in
            [(0, 6), (1, 6), (125, 6), (126, 8), (65535, 8), (65536, 14), (u64::MAX >> 1, 14)]
        {
            for (fin, rsv1) in [(false, false), (true, false), (true, true)] {
                let mut out = [0xAA; HEADER_SIZE_MAX];
                let size = Header { fin, rsv1, opcode, mask, payload_size }.encode(&mut out);
                assert_eq!(size, header_size);
                assert!(out[size..].iter().all(|&byte| byte == 0xAA), "wrote beyond the header");
                let (header, length) = FrameHeader::parse(&mut Cursor::new(&out[..size])).unwrap().unwrap();
                assert_eq!(
                    (header.is_final, header.rsv1, header.rsv2, header.rsv3),
                    (fin, rsv1, false, false)
                );
                assert_eq!((header.opcode, header.mask, length), (expected, Some(mask), payload_size));
            }
        }
    }
}

fn close(code: Option<u16>, reason: &str) -> Vec<u8> {
    let mut out = [0; 125];
    let size = close_payload(code, reason, &mut out);
    out[..size].to_vec()
}

#[test]
fn close_bodies_have_a_code_only_where_there_is_something_to_say() {
    assert_eq!(close(None, ""), b"");
    assert_eq!(close(None, "why"), b"\x03\xE8why");
    assert_eq!(close(Some(1000), ""), b"\x03\xE8");
    assert_eq!(close(Some(4999), "b\u{E4}h"), b"\x13\x87b\xC3\xA4h");
}

#[test]
fn a_reason_too_long_is_cut_before_a_whole_character() {
    assert_eq!(close(Some(1000), &"x".repeat(123)).len(), 125);
    assert_eq!(close(Some(1000), &"x".repeat(500)).len(), 125);
    for lead in 0..4 {
        let reason = format!("{}{}", "x".repeat(lead), "\u{1F600}".repeat(40));
        let body = close(Some(1000), &reason);
        let kept = std::str::from_utf8(&body[2..]).unwrap();
        assert!(reason.starts_with(kept) && kept.len() > 119, "{kept}");
    }
}
