//! The tests' scripted server, its bytes cut in every way, and small random numbers of their own. Every loop
//! is bounded by the size of its input, which is the deadline of tests that cannot wait.

#[path = "../../../fuzz/claims/mod.rs"]
mod claims;
mod close;
mod closing;
mod decoder;
mod deflate;
mod differential;
mod encoder;
mod extension;
mod grammar;
mod handshake;
mod outgoing;
mod properties;
mod random;
mod refusals;
mod session;
mod utf8;

use super::decoder::{Decoder, Event};
use super::handshake::Agreement;
use super::opcode::Kind;
use claims::reader::{Choices as Random, Manner, Reader, Seen};

pub fn text(text: &str) -> Seen {
    Seen::Message(Kind::Text, text.as_bytes().to_vec())
}

pub fn binary(bytes: &[u8]) -> Seen {
    Seen::Message(Kind::Binary, bytes.to_vec())
}

/// A caller that decodes all that there is at a time.
pub fn reader(max_message_size: u64, agreement: Option<&Agreement>) -> Reader {
    Reader::new(max_message_size, agreement, Manner::Whole)
}

/// Decodes in every manner; all must say the same.
pub fn decode_limited(input: &[u8], max_message_size: u64) -> Vec<Seen> {
    claims::read_in_any_manner(input, max_message_size, None, 0)
}

/// The same, permessage-deflate being agreed.
pub fn decode_agreed(input: &[u8], max_message_size: u64, agreement: &Agreement) -> Vec<Seen> {
    claims::read_in_any_manner(input, max_message_size, Some(agreement), 0)
}

pub fn decode(input: &[u8]) -> Vec<Seen> {
    decode_limited(input, 0)
}

/// A frame as a server sends it, the length as short as it can be.
pub fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::from(fin) << 7 | opcode];
    match payload.len() {
        size @ 0..=125 => bytes.push(size as u8),
        size @ 126..=0xFFFF => {
            bytes.push(126);
            bytes.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            bytes.push(127);
            bytes.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
