//! Watches the frames of one client: a line for each, counters, and the rules of RFC 6455 it broke.
//!
//! It sees every frame in order and holds at most 64 bytes of each (125 of a Close).

use crate::frame::{CONTROL_BYTES_MAX, FrameHeader, opcode};
use crate::query::to_hex;
use std::fmt::Write;

/// Payload bytes shown in a line.
const SHOWN_BYTES_MAX: usize = 64;

/// The state of the watch.
#[derive(Default)]
pub struct Audit {
    frame: Option<Frame>,
    /// The opcode of the message that lacks its last frame.
    message: Option<u8>,
    /// permessage-deflate was agreed.
    may_compress: bool,
    /// That message is compressed.
    is_compressed: bool,
    compressed_count: u64,
    inflated_byte_count: u64,
    utf8: Utf8,
    is_close_seen: bool,
    counts: [u64; 16],
    payload_byte_count: u64,
    frames_after_close: u64,
    bytes_after_close: u64,
}

struct Frame {
    header: FrameHeader,
    received: u64,
    prefix: Vec<u8>,
    is_text: bool,
}

impl Audit {
    /// RSV1 has a meaning from now on.
    pub fn allow_compression(&mut self) {
        self.may_compress = true;
    }

    /// A frame begins; gives the rules its header breaks.
    pub fn begin(&mut self, header: FrameHeader) -> Vec<&'static str> {
        let mut violations = Vec::new();
        let mut require = |holds: bool, text| {
            if !holds {
                violations.push(text);
            }
        };
        require(header.mask.is_some(), "a frame is not masked");
        let is_compressed = self.may_compress && header.begins_compressed();
        require(header.rsv == 0 || is_compressed, "a reserved bit is set");
        require(header.is_minimal, "a size is not in its shortest form");
        require(header.size >> 63 == 0, "a size has its highest bit set");
        require(matches!(header.opcode, 0..=2 | 8..=10), "an opcode is reserved");
        require(!self.is_close_seen, "a frame follows the Close");
        if header.is_control() {
            require(header.fin, "a control frame is fragmented");
            require(header.size <= CONTROL_BYTES_MAX, "a control frame is over 125 bytes");
        } else if header.opcode == opcode::CONTINUATION {
            require(self.message.is_some(), "a continuation has no message");
        } else {
            require(self.message.is_none(), "a message begins inside another");
        }
        if matches!(header.opcode, opcode::TEXT | opcode::BINARY) {
            self.message = Some(header.opcode);
            self.is_compressed = is_compressed;
            self.compressed_count += u64::from(is_compressed);
            self.utf8 = Utf8::default();
        }
        if self.is_close_seen {
            self.frames_after_close += 1;
        }
        let is_text = header.is_data() && self.message == Some(opcode::TEXT);
        self.frame = Some(Frame { header, received: 0, prefix: Vec::new(), is_text });
        violations
    }

    /// A part of the payload came.
    pub fn payload(&mut self, bytes: &[u8]) -> Option<&'static str> {
        let frame = self.frame.as_mut()?;
        frame.received += bytes.len() as u64;
        self.payload_byte_count += bytes.len() as u64;
        if self.is_close_seen {
            self.bytes_after_close += bytes.len() as u64;
        }
        let kept_max = if frame.header.opcode == opcode::CLOSE { 125 } else { SHOWN_BYTES_MAX };
        let room = kept_max - frame.prefix.len();
        frame.prefix.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if frame.is_text && !self.is_compressed && !self.utf8.take(bytes) {
            return Some("a text message is not UTF-8");
        }
        None
    }

    /// What a part of a compressed message stands for came.
    pub fn inflated(&mut self, bytes: &[u8]) -> Option<&'static str> {
        self.inflated_byte_count += bytes.len() as u64;
        let is_text = self.message == Some(opcode::TEXT);
        (is_text && !self.utf8.take(bytes)).then_some("a text message is not UTF-8")
    }

    /// The frame is complete; gives its line and the rules it breaks as a whole.
    pub fn end(&mut self) -> (String, Vec<&'static str>) {
        let Some(frame) = self.frame.take() else { return (String::new(), Vec::new()) };
        let mut violations = Vec::new();
        self.counts[usize::from(frame.header.opcode & 15)] += 1;
        if frame.header.is_data() && frame.header.fin {
            if frame.is_text && self.utf8.is_inside() {
                violations.push("a text message is not UTF-8");
            }
            self.message = None;
        }
        if frame.header.opcode == opcode::CLOSE {
            self.is_close_seen = true;
            violations.extend(close_violation(&frame.prefix));
        }
        (frame.line(), violations)
    }

    /// Frames received whole.
    pub fn frame_count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The line of a frame that is not complete.
    pub fn partial(&self) -> Option<String> {
        let frame = self.frame.as_ref()?;
        Some(format!("partial {} received={}", frame.line(), frame.received))
    }

    /// The counters, in the words of a record.
    pub fn counts(&self) -> String {
        let mut text = format!("frames={}", self.frame_count());
        for code in [1, 2, 0, 8, 9, 10] {
            let _ = write!(text, " {}={}", opcode_name(code), self.counts[usize::from(code)]);
        }
        let _ = write!(
            text,
            " payload_bytes={} frames_after_close={} payload_bytes_after_close={} compressed={} inflated_bytes={}",
            self.payload_byte_count,
            self.frames_after_close,
            self.bytes_after_close,
            self.compressed_count,
            self.inflated_byte_count
        );
        text
    }
}

impl Frame {
    fn line(&self) -> String {
        let header = &self.header;
        let mut line = format!("{} fin={} masked={}", opcode_name(header.opcode), u8::from(header.fin), {
            u8::from(header.mask.is_some())
        });
        let mask = header.mask.map_or("-".to_owned(), |mask| to_hex(&mask));
        let _ = write!(line, " mask={mask} rsv={} size={}", header.rsv, header.size);
        if header.opcode == opcode::CLOSE {
            match self.prefix.split_first_chunk::<2>() {
                None => line.push_str(" code=none reason=\"\""),
                Some((code, reason)) => {
                    let code = u16::from_be_bytes(*code);
                    let _ = write!(line, " code={code} reason={:?}", String::from_utf8_lossy(reason));
                }
            }
        }
        let shown = &self.prefix[..self.prefix.len().min(SHOWN_BYTES_MAX)];
        let _ = write!(line, " payload_hex={}", to_hex(shown));
        line
    }
}

/// The word for an opcode.
fn opcode_name(code: u8) -> &'static str {
    match code {
        opcode::CONTINUATION => "continuation",
        opcode::TEXT => "text",
        opcode::BINARY => "binary",
        opcode::CLOSE => "close",
        opcode::PING => "ping",
        opcode::PONG => "pong",
        _ => "reserved",
    }
}

/// RFC 6455 §5.5.1, §7.4: a body is empty, or a code that may be sent and a reason in UTF-8.
fn close_violation(body: &[u8]) -> Option<&'static str> {
    let Some((code, reason)) = body.split_first_chunk::<2>() else {
        return (!body.is_empty()).then_some("a Close body is one byte");
    };
    if !matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Some("a close code may not be sent");
    }
    std::str::from_utf8(reason).is_err().then_some("a close reason is not UTF-8")
}

/// Checks text that comes in pieces.
#[derive(Default)]
struct Utf8 {
    rest: Vec<u8>,
    is_bad: bool,
}

impl Utf8 {
    /// Takes a piece; false at the piece that shows the text to be bad, and only then.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        if self.is_bad {
            return true;
        }
        while let (false, Some((&first, more))) = (self.rest.is_empty(), bytes.split_first()) {
            self.rest.push(first);
            bytes = more;
            match std::str::from_utf8(&self.rest) {
                Ok(_) => self.rest.clear(),
                Err(error) => self.is_bad = error.error_len().is_some(),
            }
            if self.is_bad {
                return false;
            }
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            self.is_bad = error.error_len().is_some();
            self.rest
                .extend_from_slice(&bytes[error.valid_up_to()..][..3.min(bytes.len() - error.valid_up_to())]);
        }
        !self.is_bad
    }

    /// Whether a character lacks bytes.
    fn is_inside(&self) -> bool {
        !self.is_bad && !self.rest.is_empty()
    }
}
