//! Decompression of one message after another (RFC 7692 §7.2.2), as much at a time as there is room for.

use zlib_rs::{Inflate, InflateFlush, Status};

/// What the decompressor itself holds, in bytes, about.
const MEMORY_SIZE: usize = 48 * 1024;
/// RFC 1951 §2: no distance is longer than such a window, so it reads what was made with any smaller one.
const WINDOW_BITS_MAX: u8 = 15;

/// The payload is no deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// What is needed to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More of the message's payload.
    Input,
    /// Room for more of what it stands for.
    Room,
    /// Nothing: the message is at its end.
    Nothing,
}

/// What one call has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// Bytes of the input that were used.
    pub consumed: usize,
    /// Bytes of the output that were written.
    pub produced: usize,
    /// Bytes of the window that were copied for a new stream within the message.
    pub copied: usize,
    /// What the next call is to bring.
    pub next: Next,
}

/// The server's direction.
pub struct Inflater {
    inflate: Inflate,
    /// The window stays for the next message.
    context_takeover: bool,
    history: History,
    /// The stream was given payload of this message.
    has_payload: bool,
    /// More may be written than there was room for.
    has_output: bool,
    /// What came before a mistake is written first, so that it is judged the same in whatever pieces it comes.
    is_corrupt: bool,
}

impl Inflater {
    /// For a window of so many bits, 8 to 15. None: the system refused memory.
    pub fn new(window_bits: u8, context_takeover: bool) -> Option<Self> {
        // The decompressor panics where the system refuses, so it is asked before.
        Vec::<u8>::new().try_reserve_exact(MEMORY_SIZE).ok()?;
        let history = History::new(1 << window_bits)?;
        let inflate = Inflate::new(false, WINDOW_BITS_MAX);
        Some(Self {
            inflate,
            context_takeover,
            history,
            has_payload: false,
            has_output: false,
            is_corrupt: false,
        })
    }

    /// Decompresses payload of a message into `output`, which has room. With `is_last` the input ends the message, and
    /// behind `Next::Nothing` the next call begins another one. Where a stream ends within the message the call is over: two
    /// bytes of input may make each of them, and a new stream costs as much as writing a window.
    pub fn inflate(&mut self, input: &[u8], output: &mut [u8], is_last: bool) -> Result<Inflated, Corrupt> {
        let mut consumed = 0;
        let mut produced = 0;
        while produced < output.len() && !(self.is_corrupt && produced > 0) {
            if self.is_corrupt {
                return Err(Corrupt);
            }
            let rest = &input[consumed..];
            self.has_payload |= !rest.is_empty();
            if rest.is_empty() && is_last && !self.has_output {
                // RFC 7692 §7.2.2: behind the payload comes the tail that every message leaves out.
                self.take_tail(&mut output[produced..]);
                if !self.is_corrupt {
                    self.end_message();
                    return Ok(Inflated { consumed, produced, copied: 0, next: Next::Nothing });
                }
                continue;
            }
            let (used, made, status) = self.step(rest, &mut output[produced..], InflateFlush::NoFlush);
            consumed += used;
            produced += made;
            self.has_output = produced == output.len();
            if status == Status::StreamEnd {
                // RFC 7692 §7.2.3.4: a block may say that it is the last one. What follows is another stream, with the window.
                let copied = self.begin_stream();
                self.has_output = false;
                let is_used_up = consumed == input.len() && !is_last && !self.is_corrupt;
                let next = if is_used_up { Next::Input } else { Next::Room };
                return Ok(Inflated { consumed, produced, copied, next });
            } else if !self.has_output {
                // There was room, so all of the rest is used.
                self.is_corrupt |= used < rest.len();
                if !is_last && !self.is_corrupt {
                    return Ok(Inflated { consumed, produced, copied: 0, next: Next::Input });
                }
            }
        }
        Ok(Inflated { consumed, produced, copied: 0, next: Next::Room })
    }

    /// Ends the empty block that the payload has begun. A payload that ends elsewhere takes the tail for something else, and
    /// would take the next message for its own.
    fn take_tail(&mut self, room: &mut [u8]) {
        if !self.has_payload {
            return;
        }
        // At the end of a block the stream stops, before the last byte of each. The second has it end a block of its own, which
        // bits that were left over would change.
        const ENDS: [&[u8]; 2] = [&[0, 0, 0xFF, 0xFF, 0], &[0, 0, 0, 0xFF, 0xFF, 0]];
        for end in ENDS {
            let (used, made, status) = self.step(end, room, InflateFlush::Block);
            self.is_corrupt |= used != end.len() - 1 || made > 0 || status == Status::StreamEnd;
            if self.is_corrupt {
                return;
            }
        }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8], flush: InflateFlush) -> (usize, usize, Status) {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, flush);
        let used = (self.inflate.total_in() - before_in) as usize;
        let made = (self.inflate.total_out() - before_out) as usize;
        self.history.record(&output[..made]);
        self.is_corrupt = status.is_err();
        (used, made, status.unwrap_or(Status::Ok))
    }

    /// How many bytes of the window that copies.
    fn begin_stream(&mut self) -> usize {
        self.inflate.reset(false);
        self.has_payload = false;
        for part in self.history.parts().into_iter().filter(|part| !part.is_empty()) {
            self.is_corrupt |= self.inflate.set_dictionary(part).is_err();
        }
        self.history.bytes.len()
    }

    fn end_message(&mut self) {
        self.has_payload = false;
        if !self.context_takeover {
            self.history.clear();
            self.inflate.reset(false);
        }
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inflater")
            .field("context_takeover", &self.context_takeover)
            .finish_non_exhaustive()
    }
}

/// The last bytes that were decompressed, up to a window of them: the decompressor forgets its own at the end of a stream.
struct History {
    /// Its capacity is what it may hold.
    bytes: Vec<u8>,
    size: usize,
    /// Where the next byte goes once it is full.
    next: usize,
}

impl History {
    fn new(size: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).ok()?;
        Some(Self { bytes, size, next: 0 })
    }

    fn record(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.size)..];
        let room = self.size - self.bytes.len();
        let (appended, rest) = bytes.split_at(bytes.len().min(room));
        self.bytes.extend_from_slice(appended);
        let (first, second) = rest.split_at(rest.len().min(self.size - self.next));
        self.bytes[self.next..][..first.len()].copy_from_slice(first);
        self.bytes[..second.len()].copy_from_slice(second);
        self.next = (self.next + rest.len()) % self.size;
    }

    /// What it holds, the older part first.
    fn parts(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.next);
        [older, newer]
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.next = 0;
    }
}
