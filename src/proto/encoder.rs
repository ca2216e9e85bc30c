//! Frames as a client writes them: the header, and the body of a Close frame. Always masked, always the
//! shortest length encoding. Knows neither where masks come from nor who masks the payload.

use super::close::REASON_SIZE_MAX;
use super::opcode::Opcode;

/// Two bytes, eight of length, four of mask.
pub const HEADER_SIZE_MAX: usize = 14;

// RFC 6455 §5.3: a client masks every frame.
const MASKED: u8 = 0x80;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// Reserved for an extension; false where none is agreed.
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The mask that the payload is, or will be, xored with.
    pub mask: [u8; 4],
    /// Bytes of payload.
    pub payload_size: u64,
}

impl Header {
    /// What stands before the mask in front of at most 125 bytes.
    #[inline]
    pub fn encode_short(&self) -> [u8; 2] {
        debug_assert!(self.is_short());
        [self.first_byte(), MASKED | self.payload_size as u8]
    }

    /// Whether the payload is of at most 125 bytes.
    #[inline]
    pub const fn is_short(&self) -> bool {
        self.payload_size <= 125
    }

    #[inline]
    fn first_byte(&self) -> u8 {
        u8::from(self.fin) << 7 | u8::from(self.rsv1) << 6 | self.opcode as u8
    }

    /// Writes the header and says how many bytes it took.
    #[inline]
    pub fn encode(&self, out: &mut [u8; HEADER_SIZE_MAX]) -> usize {
        debug_assert!(self.payload_size >> 63 == 0, "RFC 6455 §5.2: the highest bit of the length is 0");
        // RFC 6455 §5.2: the minimal number of bytes encodes the length.
        match self.payload_size {
            0..=125 => {
                out[..2].copy_from_slice(&self.encode_short());
                out[2..6].copy_from_slice(&self.mask);
                6
            }
            size @ 126..=0xFFFF => {
                out[..2].copy_from_slice(&[self.first_byte(), MASKED | 126]);
                out[2..4].copy_from_slice(&(size as u16).to_be_bytes());
                out[4..8].copy_from_slice(&self.mask);
                8
            }
            size => {
                out[..2].copy_from_slice(&[self.first_byte(), MASKED | 127]);
                out[2..10].copy_from_slice(&size.to_be_bytes());
                out[10..14].copy_from_slice(&self.mask);
                14
            }
        }
    }
}

/// Writes the body of a Close frame and says how many bytes it took.
///
/// No code and no reason make an empty body, a reason without a code gets 1000. A reason that is too long is
/// cut before the character that does not fit.
pub fn close_payload(code: Option<u16>, reason: &str, out: &mut [u8; 125]) -> usize {
    let code = match code {
        Some(code) => code,
        None if reason.is_empty() => return 0,
        None => 1000,
    };
    let mut reason_size = reason.len().min(REASON_SIZE_MAX);
    while !reason.is_char_boundary(reason_size) {
        reason_size -= 1;
    }
    // RFC 6455 §5.5.1: two bytes of code in network order, then the reason.
    out[..2].copy_from_slice(&code.to_be_bytes());
    out[2..2 + reason_size].copy_from_slice(&reason.as_bytes()[..reason_size]);
    2 + reason_size
}
