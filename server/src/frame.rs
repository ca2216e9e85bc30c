//! Frames of RFC 6455 §5: the bytes of a server's frame, and a parser for a client's bytes.
//!
//! The parser knows no rule but the layout: whatever a client sends, lawful or not, comes out as
//! frames, so that `record` can say what was wrong. It holds no payload.

/// The opcodes of RFC 6455 §5.2.
pub mod opcode {
    /// A frame that goes on with a message.
    pub const CONTINUATION: u8 = 0;
    /// The first frame of a text message.
    pub const TEXT: u8 = 1;
    /// The first frame of a binary message.
    pub const BINARY: u8 = 2;
    /// The closing handshake.
    pub const CLOSE: u8 = 8;
    /// A ping.
    pub const PING: u8 = 9;
    /// The answer to a ping.
    pub const PONG: u8 = 10;
}

/// RFC 7692 §6: beside the opcode of its first frame, it says that a message is compressed.
pub const RSV1: u8 = 0x40;

/// RFC 6455 §5.5: the longest lawful payload of a control frame.
pub const CONTROL_BYTES_MAX: u64 = 125;

/// Two bytes, eight of length, four of mask.
const HEADER_BYTES_MAX: usize = 14;

/// What stands before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// The three reserved bits, RSV1 the highest.
    pub rsv: u8,
    /// The low four bits of the first byte.
    pub opcode: u8,
    /// The masking key, if the frame is masked.
    pub mask: Option<[u8; 4]>,
    /// The size of the payload as the header claims it.
    pub size: u64,
    /// Whether the size is written in the fewest bytes.
    pub is_minimal: bool,
}

impl FrameHeader {
    /// Whether the opcode is one of the control range.
    pub fn is_control(&self) -> bool {
        self.opcode >= 8
    }

    /// Whether the frame carries a part of a message.
    pub fn is_data(&self) -> bool {
        self.opcode <= opcode::BINARY
    }

    /// RFC 7692 §6: whether the frame begins a compressed message, where that was agreed.
    pub fn begins_compressed(&self) -> bool {
        self.rsv == 4 && matches!(self.opcode, opcode::TEXT | opcode::BINARY)
    }

    /// Reads a header from the front of `bytes`; `None` while it is incomplete, else the header and its size.
    fn parse(bytes: &[u8]) -> Option<(FrameHeader, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (size, mut at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let is_minimal = match at {
            4 => size > 125,
            10 => size > 0xffff,
            _ => true,
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            mask = Some(bytes.get(at..at + 4)?.try_into().ok()?);
            at += 4;
        }
        let header = FrameHeader {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0x0f,
            mask,
            size,
            is_minimal,
        };
        Some((header, at))
    }
}

/// What the parser found next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A header is complete.
    Begun(FrameHeader),
    /// A part of the payload, unmasked if that was wanted.
    Payload(&'a [u8]),
    /// The payload is complete.
    Ended,
}

/// Splits a client's bytes into frames, however the bytes are cut.
#[derive(Default)]
pub struct Parser {
    partial: [u8; HEADER_BYTES_MAX],
    partial_size: usize,
    inside: Option<Inside>,
}

struct Inside {
    mask: Option<[u8; 4]>,
    left: u64,
    unmasks: bool,
}

impl Parser {
    /// Takes the next event from the front of `input`; `None` when the input is used up.
    ///
    /// Payload of data frames is unmasked only if `wants_data`: a sink has no use for it.
    pub fn next<'a>(&mut self, input: &mut &'a mut [u8], wants_data: bool) -> Option<Event<'a>> {
        let Some(inside) = &mut self.inside else {
            let header = self.take_header(input)?;
            let unmasks = wants_data || !header.is_data();
            self.inside = Some(Inside { mask: header.mask, left: header.size, unmasks });
            return Some(Event::Begun(header));
        };
        if inside.left == 0 {
            self.inside = None;
            return Some(Event::Ended);
        }
        if input.is_empty() {
            return None;
        }
        let size = input.len().min(usize::try_from(inside.left).unwrap_or(usize::MAX));
        let (part, rest) = std::mem::take(input).split_at_mut(size);
        *input = rest;
        inside.left -= size as u64;
        if let (Some(mask), true) = (&mut inside.mask, inside.unmasks) {
            apply_mask(part, *mask);
            mask.rotate_left(size % 4);
        }
        Some(Event::Payload(part))
    }

    fn take_header(&mut self, input: &mut &mut [u8]) -> Option<FrameHeader> {
        if self.partial_size == 0 {
            if let Some((header, used)) = FrameHeader::parse(input) {
                *input = &mut std::mem::take(input)[used..];
                return Some(header);
            }
        }
        while !input.is_empty() {
            self.partial[self.partial_size] = input[0];
            self.partial_size += 1;
            *input = &mut std::mem::take(input)[1..];
            if let Some((header, _)) = FrameHeader::parse(&self.partial[..self.partial_size]) {
                self.partial_size = 0;
                return Some(header);
            }
        }
        None
    }
}

/// RFC 6455 §5.3: each byte is combined with the key's byte at its index modulo four.
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let masked = u64::from_ne_bytes((&*chunk).try_into().expect("chunks of eight bytes")) ^ word;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends the header of a server's frame; RFC 6455 §5.1: it is never masked.
pub fn append_header(out: &mut Vec<u8>, fin: bool, opcode: u8, size: usize) {
    out.push(if fin { 0x80 | opcode } else { opcode });
    if let (true, Ok(size)) = (size < 126, u8::try_from(size)) {
        out.push(size);
    } else if let Ok(size) = u16::try_from(size) {
        out.push(126);
        out.extend_from_slice(&size.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(size as u64).to_be_bytes());
    }
}

/// Appends a whole frame.
pub fn append_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    append_header(out, true, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a message in frames of at most `frame_bytes_max`; 0 means one frame.
pub fn append_message(out: &mut Vec<u8>, opcode: u8, payload: &[u8], frame_bytes_max: usize) {
    if frame_bytes_max == 0 || payload.len() <= frame_bytes_max {
        return append_frame(out, opcode, payload);
    }
    let last = payload.len().div_ceil(frame_bytes_max) - 1;
    for (index, part) in payload.chunks(frame_bytes_max).enumerate() {
        let opcode = if index == 0 { opcode } else { opcode::CONTINUATION };
        append_header(out, index == last, opcode, part.len());
        out.extend_from_slice(part);
    }
}
