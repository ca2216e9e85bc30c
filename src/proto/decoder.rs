//! Frames as a client reads them: bytes in, events out. Owns every check of RFC 6455 §5 on what a server sends,
//! the message that is half here as far as its kind, size and UTF-8 go, and the payload of control frames.
//! Holds no data payload and allocates nothing but the inflater of compressed messages: events point into the
//! input of the very call. Whether bytes come whole or one at a time, the messages and failures are the same.

use std::ops::Range;

use super::close;
use super::deflate::{Inflated, Inflater, Next};
use super::failure::Failure;
use super::handshake::Agreement;
use super::opcode::{Kind, Opcode};
use super::utf8::{self, Utf8};

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const SIZE_16: u8 = 126;
const SIZE_64: u8 = 127;
/// A server does not mask, so its longest header is two bytes and eight of length.
const HEADER_SIZE_MAX: usize = 10;
/// RFC 6455 §5.5: what a control frame may carry.
const CONTROL_SIZE_MAX: usize = 125;

const TOO_BIG: Failure = Failure::too_big("The server sent a message beyond MAX_MESSAGE_SIZE.");
const NOT_UTF8: Failure = Failure::utf8("The server sent a text message that is not UTF-8.");

const WHOLE_TEXT: u8 = FIN | Opcode::Text as u8;
const WHOLE_BINARY: u8 = FIN | Opcode::Binary as u8;

/// A piece of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// One beyond its last byte.
    pub end: usize,
}

impl Span {
    /// For indexing.
    #[inline]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Its size.
    #[inline]
    pub const fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it has no byte.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// What was found in the input. Spans point into the input of the very call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All of the input was used; more is needed.
    Starved,
    /// Payload is next, and the budget is 0: call again with a budget.
    Exhausted,
    /// A whole message, all of its payload in one piece within the budget.
    Message {
        /// Text or binary.
        kind: Kind,
        /// Where it is; may be empty.
        payload: Span,
    },
    /// The next piece of a message of which not all is here. Never both `first` and `fin`.
    Part {
        /// Of the whole message.
        kind: Kind,
        /// Where it is; empty only with `fin`.
        payload: Span,
        /// The first piece of its message.
        first: bool,
        /// The last one.
        fin: bool,
    },
    /// The next piece of a compressed message, which `Decoder::inflate` uses up, as often as it takes. Nothing of it was used
    /// up yet; it is empty where only the rest of what came before is to be written.
    Compressed {
        /// Of the whole message.
        kind: Kind,
        /// Where it is.
        payload: Span,
        /// Nothing of its message was written yet.
        first: bool,
    },
    /// A ping; see `Decoder::control_payload`.
    Ping,
    /// A pong; see `Decoder::control_payload`.
    Pong,
    /// The peer's Close, a legal one; see `Decoder::close_reason`. Later input is used up without an event.
    Close {
        /// None if the frame was empty.
        code: Option<u16>,
    },
    /// The peer broke the protocol or a limit. Every later call answers the same.
    Fail(Failure),
}

/// What `Decoder::inflate` has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the compressed payload that were used up.
    pub consumed: usize,
    /// Bytes of the message that were written.
    pub produced: usize,
    /// Bytes of the window that were copied beside that.
    pub copied: usize,
    /// The message is at its end.
    pub fin: bool,
}

/// Why a compressed message cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer broke the protocol or a limit.
    Fail(Failure),
    /// The system refused memory.
    NoMemory,
}

/// permessage-deflate, the server's direction.
#[derive(Debug)]
struct Compression {
    window_bits: u8,
    context_takeover: bool,
    /// From the first compressed message on.
    inflater: Option<Box<Inflater>>,
    /// More of what was used up is to be written than there was room for.
    has_output: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Within a header, or before its first byte.
    Header,
    /// Within the payload of a data frame, or after its last byte.
    Payload,
    /// The same of a control frame.
    Control(Opcode),
    /// The peer's Close has come.
    Ended,
    Failed(Failure),
}

/// The data message between its first frame and its last; kind and text count only while `is_open`.
#[derive(Clone, Copy, Debug)]
struct Message {
    is_open: bool,
    kind: Kind,
    /// RFC 7692 §6: RSV1 was set on its first frame.
    is_compressed: bool,
    /// What the headers of its frames have announced so far; of a compressed one, what was written.
    size: u64,
    utf8: Utf8,
    /// Some piece was given out.
    is_given: bool,
}

impl Message {
    fn new(kind: Kind, is_compressed: bool) -> Self {
        Self { is_open: true, kind, is_compressed, size: 0, utf8: Utf8::new(), is_given: false }
    }
}

/// The read side of one connection.
#[derive(Debug)]
pub struct Decoder {
    /// A whole data frame of a payload below this takes the short way. 0 unless the decoder stands between two
    /// messages, is fine and delivers; so one comparison answers for all of that, the mask bit, the length
    /// encoding and the limit.
    short_size_end: u8,
    stage: Stage,
    /// The current frame.
    header: [u8; HEADER_SIZE_MAX],
    header_size: usize,
    remaining: u64,
    message: Message,
    message_size_max: u64,
    is_discarding: bool,
    compression: Option<Compression>,
    /// The payload of the control frame that came last: room for the largest once there was one.
    control: Vec<u8>,
}

impl Decoder {
    /// Before the first frame. A `max_message_size` of 0 is no limit.
    pub fn new(max_message_size: u64) -> Self {
        let message_size_max = if max_message_size == 0 { u64::MAX } else { max_message_size };
        let message = Message { is_open: false, ..Message::new(Kind::Binary, false) };
        let mut decoder = Self {
            short_size_end: 0,
            stage: Stage::Header,
            header: [0; HEADER_SIZE_MAX],
            header_size: 0,
            remaining: 0,
            message,
            message_size_max,
            is_discarding: false,
            compression: None,
            control: Vec::new(),
        };
        decoder.open_short_way();
        decoder
    }

    /// The server may compress, as was agreed in the opening handshake (RFC 7692).
    pub fn agree(&mut self, agreement: &Agreement) {
        self.compression = Some(Compression {
            window_bits: agreement.server_window_bits,
            context_takeover: agreement.server_context_takeover,
            inflater: None,
            has_output: false,
        });
    }

    /// Decodes up to the next event and says how many bytes of the input that used up.
    ///
    /// At most `budget` bytes of payload are given out. What was not used must come again, first, in the next
    /// call. Control frames cost no budget.
    #[inline]
    pub fn decode(&mut self, input: &[u8], budget: usize) -> (usize, Event) {
        match self.decode_short(input) {
            Some((kind, payload)) if payload.len() <= budget => {
                (payload.end, Event::Message { kind, payload })
            }
            _ => self.decode_medium(input, budget),
        }
    }

    /// The most frequent thing on a connection: a whole message in one short frame at the begin of the input. It
    /// changes nothing here; what is used up is the input to the end of the payload. None: `decode` tells.
    #[inline(always)]
    pub fn decode_short(&self, input: &[u8]) -> Option<(Kind, Span)> {
        let [first, size, ..] = *input else { return None };
        let payload = Span { start: 2, end: 2 + usize::from(size) };
        if size >= self.short_size_end || payload.end > input.len() {
            return None;
        }
        match first {
            WHOLE_BINARY => Some((Kind::Binary, payload)),
            WHOLE_TEXT if utf8::is_valid(&input[payload.range()]) => Some((Kind::Text, payload)),
            _ => None,
        }
    }

    /// Bytes of the current data frame's payload still to come; 0 outside of one, in a compressed one, and while discarding.
    ///
    /// They can be received straight into the memory of their message and be decoded there.
    pub fn payload_remaining(&self) -> u64 {
        match self.stage {
            Stage::Payload if !self.is_discarding && !self.message.is_compressed => self.remaining,
            _ => 0,
        }
    }

    /// Whether a message has begun that has not been delivered to its end, and will be.
    pub fn is_in_message(&self) -> bool {
        let is_alive = !matches!(self.stage, Stage::Ended | Stage::Failed(_));
        self.message.is_open && is_alive && !self.is_discarding
    }

    /// Whether a call without further input answers `Compressed`.
    pub fn has_output(&self) -> bool {
        self.compression.as_ref().is_some_and(|compression| compression.has_output)
    }

    /// Whether every further call answers `Fail`.
    pub fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed(_))
    }

    /// Gives the inflater back where the next message needs no window of this one.
    pub fn release_memory(&mut self) {
        if let Some(compression) = &mut self.compression {
            if !self.message.is_open && !compression.context_takeover {
                compression.inflater = None;
            }
        }
    }

    /// Nothing further is decompressed: gives the inflater back.
    pub fn finish(&mut self) {
        if let Some(compression) = &mut self.compression {
            compression.inflater = None;
            compression.has_output = false;
        }
    }

    /// Uses up the payload of `Event::Compressed`, or a front of it that is not empty unless the payload is, and writes what
    /// it stands for into `output`, which has room, as far as it has.
    pub fn inflate(&mut self, payload: &[u8], output: &mut [u8]) -> Result<Part, Broken> {
        crate::fault::point("proto.inflate");
        let part = self.inflate_checked(payload, output);
        if let Err(Broken::Fail(failure)) = part {
            self.stage = Stage::Failed(failure);
            self.finish();
        }
        self.open_short_way();
        part
    }

    /// The payload of the ping or pong that the last call answered.
    pub fn control_payload(&self) -> &[u8] {
        &self.control
    }

    /// The reason in the peer's Close; empty before it.
    pub fn close_reason(&self) -> &str {
        match self.stage {
            Stage::Ended => self.control_payload().get(2..).map_or("", |reason| {
                std::str::from_utf8(reason).unwrap_or_default() // a reason that is no UTF-8 has failed
            }),
            _ => "",
        }
    }

    /// From now on data is checked for framing only and makes no events; a message half received is dropped.
    pub fn discard_data(&mut self) {
        self.is_discarding = true;
        self.short_size_end = 0;
        self.finish();
    }

    /// A whole frame with a 16-bit length, the second most frequent thing on a connection.
    #[inline(never)]
    fn decode_medium(&mut self, input: &[u8], budget: usize) -> (usize, Event) {
        if let [first @ (WHOLE_TEXT | WHOLE_BINARY), SIZE_16, high, low, ..] = *input {
            let size = usize::from(u16::from_be_bytes([high, low]));
            let is_minimal = size >= usize::from(SIZE_16);
            let fits = size <= budget && size as u64 <= self.message_size_max;
            let payload = Span { start: 4, end: 4 + size };
            if let (true, true, true, Some(bytes)) =
                (self.short_size_end != 0, is_minimal, fits, input.get(payload.range()))
            {
                if first == WHOLE_BINARY {
                    return (payload.end, Event::Message { kind: Kind::Binary, payload });
                }
                if utf8::is_valid(bytes) {
                    return (payload.end, Event::Message { kind: Kind::Text, payload });
                }
            }
        }
        self.decode_any(input, budget)
    }

    #[cold]
    #[inline(never)]
    fn decode_any(&mut self, input: &[u8], budget: usize) -> (usize, Event) {
        crate::fault::point("proto.decode");
        let mut position = 0;
        // Each turn uses up input or goes on to another stage, so the input bounds the loop.
        let event = loop {
            let step = match self.stage {
                Stage::Header => self.take_header(input, &mut position),
                Stage::Payload => self.take_payload(input, &mut position, budget),
                Stage::Control(opcode) => self.take_control(opcode, input, &mut position),
                Stage::Ended => {
                    position = input.len();
                    Ok(Some(Event::Starved))
                }
                Stage::Failed(failure) => Err(failure),
            };
            match step {
                Ok(None) => {}
                Ok(Some(event)) => break event,
                Err(failure) => {
                    // RFC 6455 §7.1.7: a failed connection processes no more of the peer's data.
                    position = input.len();
                    self.stage = Stage::Failed(failure);
                    break Event::Fail(failure);
                }
            }
        };
        self.open_short_way();
        (position, event)
    }

    /// Whether a part of a message, or of a frame, has come.
    pub fn is_within_message(&self) -> bool {
        !matches!(self.stage, Stage::Header) || self.header_size > 0 || self.message.is_open
    }

    fn open_short_way(&mut self) {
        self.short_size_end = if !self.is_within_message() && !self.is_discarding {
            self.message_size_max.min(u64::from(SIZE_16) - 1) as u8 + 1
        } else {
            0
        };
    }

    fn take_header(&mut self, input: &[u8], position: &mut usize) -> Result<Option<Event>, Failure> {
        while let Some(&byte) = input.get(*position) {
            *position += 1;
            self.header[self.header_size] = byte;
            self.header_size += 1;
            self.check_header()?;
            let length_size = match self.header[1] {
                _ if self.header_size < 2 => continue,
                SIZE_16 => 2,
                SIZE_64 => 8,
                _ => 0,
            };
            if self.header_size == 2 + length_size {
                self.begin_frame()?;
                return Ok(None);
            }
        }
        Ok(Some(Event::Starved))
    }

    /// Judges the header's last byte, so that a mistake fails at the first byte that shows it.
    fn check_header(&self) -> Result<(), Failure> {
        let length = &self.header[2..self.header_size.max(2)];
        match (self.header_size, self.header[1]) {
            (1, _) => self.check_first_byte(self.header[0]),
            (2, second) => check_second_byte(self.header[0], second),
            // RFC 6455 §5.2: the most significant bit of a 64-bit length is 0.
            (3, SIZE_64) if length[0] & 0x80 != 0 => {
                Err(Failure::protocol("The server sent a frame length with its highest bit set."))
            }
            // RFC 6455 §5.2: the minimal number of bytes encodes the length.
            (4, SIZE_16) if u16::from_be_bytes([length[0], length[1]]) < u16::from(SIZE_16) => {
                Err(Failure::protocol("The server sent a 16-bit frame length that fits into 7 bits."))
            }
            (8, SIZE_64) if length.iter().all(|&byte| byte == 0) => {
                Err(Failure::protocol("The server sent a 64-bit frame length that fits into 16 bits."))
            }
            _ => Ok(()),
        }
    }

    fn check_first_byte(&self, first: u8) -> Result<(), Failure> {
        // RFC 6455 §5.2: an unknown opcode fails the connection, and so does a reserved bit to which no
        // agreed extension gives a meaning.
        if first & (RSV2 | RSV3) != 0 {
            return Err(Failure::protocol("The server set a reserved bit in a frame header."));
        }
        let Some(opcode) = Opcode::from_bits(first & OPCODE) else {
            return Err(Failure::protocol("The server sent a frame with a reserved opcode."));
        };
        // RFC 7692 §6: only the first frame of a message says that it is compressed.
        let is_rsv1_allowed = self.compression.is_some() && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & RSV1 != 0 && !is_rsv1_allowed {
            return Err(Failure::protocol("The server set a reserved bit in a frame header."));
        }
        match opcode {
            // RFC 6455 §5.5: control frames are not fragmented.
            Opcode::Close | Opcode::Ping | Opcode::Pong if first & FIN == 0 => {
                Err(Failure::protocol("The server sent a fragmented control frame."))
            }
            // RFC 6455 §5.4: fragments of two messages are not interleaved.
            Opcode::Continuation if !self.message.is_open => {
                Err(Failure::protocol("The server sent a continuation frame where no message was open."))
            }
            Opcode::Text | Opcode::Binary if self.message.is_open => {
                Err(Failure::protocol("The server began a message before it had ended the one before."))
            }
            _ => Ok(()),
        }
    }

    /// The header is whole and legal.
    fn begin_frame(&mut self) -> Result<(), Failure> {
        let size = match self.header[..self.header_size] {
            [_, _, ref length @ ..] if !length.is_empty() => {
                length.iter().fold(0, |size, &byte| size << 8 | u64::from(byte))
            }
            _ => u64::from(self.header[1]),
        };
        self.header_size = 0;
        self.remaining = size;
        let kind = match Opcode::from_bits(self.header[0] & OPCODE) {
            Some(Opcode::Text) => Kind::Text,
            Some(Opcode::Binary) => Kind::Binary,
            Some(opcode) if opcode.is_control() => {
                self.control.clear();
                self.stage = Stage::Control(opcode);
                return Ok(());
            }
            _ => self.message.kind,
        };
        if !self.message.is_open {
            self.message = Message::new(kind, self.header[0] & RSV1 != 0);
        }
        if self.message.is_compressed {
            self.stage = Stage::Payload;
            return Ok(());
        }
        self.message.size = self.message.size.saturating_add(size);
        // RFC 6455 §10.4: a limit on the message put together from all its frames, not only on each frame.
        if self.message.size > self.message_size_max && !self.is_discarding {
            return Err(TOO_BIG);
        }
        self.stage = Stage::Payload;
        Ok(())
    }

    fn take_payload(
        &mut self,
        input: &[u8],
        position: &mut usize,
        budget: usize,
    ) -> Result<Option<Event>, Failure> {
        if self.message.is_compressed && !self.is_discarding {
            return Ok(self.take_compressed(input, *position, budget));
        }
        let available = input.len() - *position;
        if available == 0 && self.remaining > 0 {
            return Ok(Some(Event::Starved));
        }
        let budget = if self.is_discarding { usize::MAX } else { budget };
        if budget == 0 && self.remaining > 0 {
            return Ok(Some(Event::Exhausted));
        }
        let size = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(available).min(budget);
        let payload = Span { start: *position, end: *position + size };
        *position = payload.end;
        self.remaining -= size as u64;
        let is_frame_end = self.remaining == 0;
        let fin = is_frame_end && self.header[0] & FIN != 0;
        if is_frame_end {
            self.stage = Stage::Header;
        }
        if fin {
            self.message.is_open = false;
        }
        if self.is_discarding {
            return Ok(None);
        }

        let message = &mut self.message;
        if message.kind == Kind::Text {
            // RFC 6455 §8.1, §5.6: judged across frames, and at once, not only at the end of the message.
            let is_valid = message.utf8.feed(&input[payload.range()]).is_ok();
            if !is_valid || fin && !message.utf8.is_complete() {
                return Err(NOT_UTF8);
            }
        }
        if payload.is_empty() && !fin {
            return Ok(None); // an empty fragment brings nothing, so it makes no event either
        }
        let (kind, first) = (message.kind, !message.is_given);
        message.is_given = true;
        Ok(Some(match first && fin {
            true => Event::Message { kind, payload },
            false => Event::Part { kind, payload, first, fin },
        }))
    }

    fn take_compressed(&mut self, input: &[u8], position: usize, budget: usize) -> Option<Event> {
        let has_output = self.has_output();
        let is_message_end = self.remaining == 0 && self.header[0] & FIN != 0;
        let available = input.len() - position;
        if available == 0 && self.remaining > 0 && !has_output {
            return Some(Event::Starved);
        }
        if self.remaining == 0 && !is_message_end && !has_output {
            self.stage = Stage::Header;
            return None;
        }
        if budget == 0 {
            return Some(Event::Exhausted);
        }
        let size = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(available);
        let payload = Span { start: position, end: position + size };
        Some(Event::Compressed { kind: self.message.kind, payload, first: !self.message.is_given })
    }

    fn inflate_checked(&mut self, payload: &[u8], output: &mut [u8]) -> Result<Part, Broken> {
        if crate::fault::fails("proto.inflate") {
            return Err(Broken::NoMemory);
        }
        const NOT_COMPRESSED: Failure = Failure::protocol("There is no compressed message.");
        let Some(compression) = &mut self.compression else { return Err(Broken::Fail(NOT_COMPRESSED)) };
        let inflater = match &mut compression.inflater {
            Some(inflater) => inflater,
            none => {
                let new = Inflater::new(compression.window_bits, compression.context_takeover);
                none.insert(Box::new(new.ok_or(Broken::NoMemory)?))
            }
        };
        let message = &mut self.message;
        let is_last_frame = self.header[0] & FIN != 0;
        let is_last = is_last_frame && payload.len() as u64 == self.remaining;
        // RFC 7692 §8: the limit is one on what comes out. One byte beyond it is enough to know.
        let room = usize::try_from((self.message_size_max - message.size).saturating_add(1));
        let room = output.len().min(room.unwrap_or(usize::MAX));
        let inflated = inflater.inflate(payload, &mut output[..room], is_last);
        let Ok(Inflated { consumed, produced, copied, next }) = inflated else {
            return Err(Broken::Fail(Failure::data(
                "The server sent a message that cannot be decompressed.",
            )));
        };
        compression.has_output = next == Next::Room;
        self.remaining -= consumed as u64;
        message.is_given = true;
        let fin = next == Next::Nothing;
        if message.kind == Kind::Text {
            // Up to the limit, so that pieces of any size fail for the same reason.
            let left = usize::try_from(self.message_size_max - message.size).unwrap_or(usize::MAX);
            let is_valid = message.utf8.feed(&output[..produced.min(left)]).is_ok();
            if !is_valid || fin && !message.utf8.is_complete() {
                return Err(Broken::Fail(NOT_UTF8));
            }
        }
        message.size += produced as u64;
        if message.size > self.message_size_max {
            return Err(Broken::Fail(TOO_BIG));
        }
        if fin {
            message.is_open = false;
            self.stage = Stage::Header;
        }
        Ok(Part { consumed, produced, copied, fin })
    }

    fn take_control(
        &mut self,
        opcode: Opcode,
        input: &[u8],
        position: &mut usize,
    ) -> Result<Option<Event>, Failure> {
        // The header was refused if this is more than the array holds.
        let remaining = self.remaining as usize;
        let here = &input[*position..];
        let here = &here[..here.len().min(remaining)];
        if self.control.capacity() == 0 {
            self.control.reserve_exact(CONTROL_SIZE_MAX);
        }
        self.control.extend_from_slice(here);
        self.remaining -= here.len() as u64;
        *position += here.len();
        if self.remaining > 0 {
            return Ok(Some(Event::Starved));
        }
        self.stage = Stage::Header;
        match opcode {
            Opcode::Ping => Ok(Some(Event::Ping)),
            Opcode::Pong => Ok(Some(Event::Pong)),
            _ => self.end_with_close().map(Some),
        }
    }

    fn end_with_close(&mut self) -> Result<Event, Failure> {
        let code = match *self.control_payload() {
            [high, low, ref reason @ ..] => {
                let code = u16::from_be_bytes([high, low]);
                if !close::is_legal_on_wire(code) {
                    return Err(Failure::protocol("The server sent a close code that may not be sent."));
                }
                // RFC 6455 §5.5.1: what follows the code is UTF-8.
                if !utf8::is_valid(reason) {
                    return Err(Failure::utf8("The server sent a close reason that is not UTF-8."));
                }
                Some(code)
            }
            _ => None,
        };
        self.stage = Stage::Ended;
        Ok(Event::Close { code })
    }
}

fn check_second_byte(first: u8, second: u8) -> Result<(), Failure> {
    // RFC 6455 §5.1: a client fails the connection on a masked frame.
    if second & MASKED != 0 {
        return Err(Failure::protocol("The server sent a masked frame."));
    }
    let opcode = Opcode::from_bits(first & OPCODE);
    if opcode.is_some_and(Opcode::is_control) && usize::from(second) > CONTROL_SIZE_MAX {
        return Err(Failure::protocol("The server sent a control frame of more than 125 bytes."));
    }
    // RFC 6455 §5.5.1: a body begins with two bytes of code.
    if opcode == Some(Opcode::Close) && second == 1 {
        return Err(Failure::protocol("The server sent a Close frame with half a close code."));
    }
    Ok(())
}
