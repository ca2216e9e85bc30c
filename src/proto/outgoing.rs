//! The message being written: which kind is open, where its text stopped inside a character, whether its first
//! frame has gone, and how a part is cut into frames. Refuses to know masks, buffers and sockets. What `check`
//! answers changes nothing; only `accept` does, so a write that is refused leaves the message as it was.

use std::ops::Range;

use super::opcode::{Kind, Opcode};
use super::utf8::{self, Utf8};

/// A part above this size leaves as several frames, so that a control frame can go between them. Up to it the
/// longest wait of a control frame, some milliseconds on a slow line, costs less than more headers and masks.
pub const FRAME_SPLIT_MIN: usize = 1024 * 1024;

/// The size of those frames: large enough that header, mask and system call vanish beside the payload, small
/// enough that a pong behind one goes out soon.
pub const FRAME_SIZE_MAX: usize = 256 * 1024;

/// Why a write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not the kind of the open message, text that is not UTF-8, or an end inside a character.
    Argument,
    /// A whole message while another one is open.
    State,
}

/// A part that `check` has found good; good only for the `Outgoing` it was checked against, before any other.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    kind: Kind,
    fin: bool,
    size: usize,
    utf8: Utf8,
}

#[derive(Clone, Copy, Debug)]
struct OpenMessage {
    kind: Kind,
    utf8: Utf8,
    has_sent_frame: bool,
}

/// The message being written in parts, if there is one.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    open: Option<OpenMessage>,
}

impl Outgoing {
    /// No message is open.
    pub const fn new() -> Self {
        Self { open: None }
    }

    /// Whether a message has been begun and not ended.
    #[inline]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether this part may be written now. A `whole` message is also its own end.
    #[inline]
    pub fn check(&self, kind: Kind, data: &[u8], fin: bool, whole: bool) -> Result<Accepted, Refusal> {
        if whole && self.open.is_none() {
            if kind == Kind::Text && !utf8::is_valid(data) {
                return Err(Refusal::Argument);
            }
            return Ok(Accepted { kind, fin: true, size: data.len(), utf8: Utf8::new() });
        }
        self.check_part(kind, data, fin, whole)
    }

    #[inline(never)]
    fn check_part(&self, kind: Kind, data: &[u8], fin: bool, whole: bool) -> Result<Accepted, Refusal> {
        if whole {
            return Err(Refusal::State);
        }
        let mut utf8 = Utf8::new();
        if let Some(open) = &self.open {
            if open.kind != kind {
                return Err(Refusal::Argument);
            }
            utf8 = open.utf8;
        }
        if kind == Kind::Text {
            // RFC 6455 §5.6: a fragment may end inside a character, the whole message may not.
            utf8.feed(data).map_err(|_| Refusal::Argument)?;
            if fin && !utf8.is_complete() {
                return Err(Refusal::Argument);
            }
        }
        Ok(Accepted { kind, fin, size: data.len(), utf8 })
    }

    /// Takes the part as written and says which frames it leaves as.
    ///
    /// An empty part that does not end the message leaves as no frame, but the message counts as open: the
    /// first frame, with the opcode, is then still to come.
    #[inline]
    pub fn accept(&mut self, accepted: Accepted) -> Frames {
        let Accepted { kind, fin, size, utf8 } = accepted;
        let has_sent_frame = self.open.is_some_and(|open| open.has_sent_frame);
        let frame_size_max = if size > FRAME_SPLIT_MIN { FRAME_SIZE_MAX } else { FRAME_SPLIT_MIN };
        let frames = Frames {
            // RFC 6455 §5.4: the first frame names the kind, the others are continuations.
            opcode: if has_sent_frame { Opcode::Continuation } else { kind.into() },
            fin,
            position: 0,
            size,
            frame_size_max,
            is_finished: size == 0 && !fin,
        };
        self.open = if fin {
            None
        } else {
            Some(OpenMessage { kind, utf8, has_sent_frame: has_sent_frame || size > 0 })
        };
        frames
    }

    /// Forgets the open message: nothing but a Close frame may be written after that.
    pub fn give_up(&mut self) {
        self.open = None;
    }
}

/// The frames of one part, in order: opcode, FIN, and which bytes of the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    opcode: Opcode,
    fin: bool,
    position: usize,
    size: usize,
    frame_size_max: usize,
    is_finished: bool,
}

impl Iterator for Frames {
    type Item = (Opcode, bool, Range<usize>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_finished {
            return None;
        }
        let payload = self.position..self.size.min(self.position + self.frame_size_max);
        self.is_finished = payload.end == self.size;
        self.position = payload.end;
        let opcode = std::mem::replace(&mut self.opcode, Opcode::Continuation);
        Some((opcode, self.fin && self.is_finished, payload))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = match self.size - self.position {
            _ if self.is_finished => 0,
            rest => rest.div_ceil(self.frame_size_max).max(1),
        };
        (count, Some(count))
    }
}

impl ExactSizeIterator for Frames {}
impl std::iter::FusedIterator for Frames {}
