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

use super::decoder::{Broken, Decoder, Event, Part};
use super::failure::Failure;
use super::handshake::Agreement;
use super::opcode::Kind;

/// What a caller of the decoder has in the end, whatever pieces it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Fail(Failure),
    /// What there was of a message when the input ended.
    Unfinished(Kind, Vec<u8>),
}

pub fn text(text: &str) -> Seen {
    Seen::Message(Kind::Text, text.as_bytes().to_vec())
}

pub fn binary(bytes: &[u8]) -> Seen {
    Seen::Message(Kind::Binary, bytes.to_vec())
}

/// What a caller has room for at a time, whatever its budget.
const ROOM: usize = 4096;

/// A caller: keeps what the decoder has not used, puts parts together, checks what every event promises.
pub struct Reader {
    pub decoder: Decoder,
    pub seen: Vec<Seen>,
    input: Vec<u8>,
    message: Option<(Kind, Vec<u8>)>,
}

impl Reader {
    pub fn new(max_message_size: u64) -> Self {
        Self { decoder: Decoder::new(max_message_size), seen: Vec::new(), input: Vec::new(), message: None }
    }

    pub fn agreed(max_message_size: u64, agreement: &Agreement) -> Self {
        let mut reader = Self::new(max_message_size);
        reader.decoder.agree(agreement);
        reader
    }

    /// Decodes all of it with the given budget in every call.
    pub fn feed(&mut self, input: &[u8], budget: usize) {
        self.input.extend_from_slice(input);
        let mut turns = 2 * self.input.len() + 2;
        loop {
            turns = turns.checked_sub(1).expect("the decoder goes round in circles");
            let (used, event) = self.decoder.decode(&self.input, budget);
            if let Event::Compressed { kind, payload, first } = event {
                assert_eq!(used, payload.start, "compressed payload is used up by `inflate`");
                assert_eq!(first, self.message.is_none());
                let payload = self.input[payload.range()].to_vec();
                let part = self.inflate(kind, &payload, budget);
                self.input.drain(..used + part.consumed);
                turns += usize::from(part.produced > 0);
                continue;
            }
            let is_last = self.take(used, event, budget);
            self.input.drain(..used);
            if is_last {
                return;
            }
        }
    }

    fn inflate(&mut self, kind: Kind, payload: &[u8], budget: usize) -> Part {
        let mut output = vec![0; budget.min(ROOM)];
        match self.decoder.inflate(payload, &mut output) {
            Ok(part) => {
                let (open, bytes) = self.message.get_or_insert((kind, Vec::new()));
                assert_eq!(*open, kind);
                bytes.extend_from_slice(&output[..part.produced]);
                assert_eq!(self.decoder.is_in_message(), !part.fin);
                if part.fin {
                    let (kind, bytes) = self.message.take().unwrap();
                    self.seen.push(Seen::Message(kind, bytes));
                }
                part
            }
            Err(Broken::Fail(failure)) => {
                self.message = None;
                self.seen.push(Seen::Fail(failure));
                Part::default()
            }
            Err(Broken::NoMemory) => panic!("there is memory"),
        }
    }

    fn take(&mut self, used: usize, event: Event, budget: usize) -> bool {
        match event {
            Event::Compressed { .. } => unreachable!("seen to by `feed`"),
            Event::Starved => {
                assert_eq!(used, self.input.len(), "starved with input left");
                return true;
            }
            Event::Exhausted => panic!("exhausted with a budget"),
            Event::Message { kind, payload } => {
                assert!(self.message.is_none(), "a message within a message");
                assert!(payload.len() <= budget && payload.end <= used);
                self.seen.push(Seen::Message(kind, self.input[payload.range()].to_vec()));
            }
            Event::Part { kind, payload, first, fin } => {
                assert!(payload.len() <= budget && payload.end <= used);
                assert!(!payload.is_empty() || fin, "an empty part that ends nothing");
                assert!(!(first && fin), "a whole message as a part");
                assert_eq!(first, self.message.is_none());
                let (open, bytes) = self.message.get_or_insert((kind, Vec::new()));
                assert_eq!(*open, kind);
                bytes.extend_from_slice(&self.input[payload.range()]);
                assert_eq!(self.decoder.is_in_message(), !fin);
                if fin {
                    let (kind, bytes) = self.message.take().unwrap();
                    self.seen.push(Seen::Message(kind, bytes));
                }
            }
            Event::Ping => self.seen.push(Seen::Ping(self.decoder.control_payload().to_vec())),
            Event::Pong => self.seen.push(Seen::Pong(self.decoder.control_payload().to_vec())),
            Event::Close { code } => {
                self.message = None;
                self.seen.push(Seen::Close(code, self.decoder.close_reason().to_owned()));
            }
            Event::Fail(failure) => {
                assert_eq!(used, self.input.len(), "input left after a failure");
                self.message = None;
                if self.seen.last() != Some(&Seen::Fail(failure)) {
                    self.seen.push(Seen::Fail(failure));
                }
                return true;
            }
        }
        false
    }

    pub fn finish(mut self) -> Vec<Seen> {
        if let Some((kind, bytes)) = self.message.take() {
            self.seen.push(Seen::Unfinished(kind, bytes));
        }
        self.seen
    }
}

/// Decodes whole, one byte at a time, and whole with a budget of one byte; all must say the same.
pub fn decode_limited(input: &[u8], max_message_size: u64) -> Vec<Seen> {
    decode_with(input, || Reader::new(max_message_size))
}

/// The same, permessage-deflate being agreed.
pub fn decode_agreed(input: &[u8], max_message_size: u64, agreement: &Agreement) -> Vec<Seen> {
    decode_with(input, || Reader::agreed(max_message_size, agreement))
}

fn decode_with(input: &[u8], new: impl Fn() -> Reader) -> Vec<Seen> {
    let mut whole = new();
    whole.feed(input, usize::MAX);
    let whole = whole.finish();

    let mut bytewise = new();
    input.chunks(1).for_each(|byte| bytewise.feed(byte, usize::MAX));
    assert_eq!(bytewise.finish(), whole, "one byte at a time differs from whole");

    let mut poor = new();
    poor.feed(input, 1);
    assert_eq!(poor.finish(), whole, "a budget of one byte differs from none");
    whole
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

/// xorshift64*: the same numbers on every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    pub fn bytes(&mut self, size: usize) -> Vec<u8> {
        (0..size).map(|_| self.next() as u8).collect()
    }
}
