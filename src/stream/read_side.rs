//! What the owner of the read word works with: the bytes that came, the decoder, and the messages decoded ahead.
//!
//! Memory grows with what was received, never with what a header claims. Nothing here waits, and nothing knows of
//! threads.

use super::looking::Looking;
use crate::memory::{Chunk, Loan, Room, Slice, pool};
use crate::net::Transport;
use crate::net::transport::Received as Reception;
use crate::proto::decoder::{Broken, Decoder, Event, Span};
use crate::proto::failure::Failure;
use crate::proto::handshake::{Progress, ResponseReader};
use crate::proto::opcode::Kind;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// What a queued message costs beside its payload: the mark counts it, so that a flood of empty ones has an end.
pub(super) const MESSAGE_COST: usize = 64;
/// An empty queue with room for more messages than this gives its memory back.
const QUEUE_KEPT: usize = 64;
/// The first receive of a stream is of this size; more where the last one was filled.
const CHUNK_SIZE_MIN: usize = 4 * 1024;
/// Beyond this a larger receive saves nothing. With the kibibyte, messages whose size is a power of two fill it with their
/// headers to the end: of the one that is cut there is little to be copied.
const CHUNK_SIZE_MAX: usize = 257 * 1024;
/// From so many missing bytes on, a message is received straight into its own memory.
const DIRECT_SIZE_MIN: u64 = 16 * 1024;
/// From so much on, the memory that a caller of `read_some` lends is received into: for less, one receive into a chunk serves
/// many calls.
const LENT_SIZE_MIN: usize = 16 * 1024;
/// Its memory grows by so much at least, so that no message up to this size is moved; pages are touched as it comes.
const DIRECT_ROOM_MIN: usize = 1024 * 1024;
/// From so many bytes on, one of two messages in a chunk is cut, and what came of it has to be copied. What follows such a
/// message is likely to be another.
const LARGE_SIZE_MIN: usize = CHUNK_SIZE_MAX / 2;
/// So no more of that one is received where it has to be copied.
const BEHIND_LARGE_SIZE: usize = 16 * 1024;

/// Room for what a compressed message stands for is made in steps between these, by what was received of it.
const INFLATE_SIZE_MIN: usize = 512;
const INFLATE_SIZE_MAX: usize = 64 * 1024;
/// One step uses up so many bytes at most, as they may stand for nothing: it takes less than a millisecond.
const INFLATE_INPUT_MAX: usize = 8 * 1024;
/// Compressed bytes, and bytes of messages they stand for, that count as one frame.
const COMPRESSED_PER_FRAME: usize = 8;
const INFLATED_PER_FRAME: usize = 64;

/// A message as it is handed out.
#[derive(Debug)]
pub struct Message {
    /// Text or binary.
    pub kind: Kind,
    /// All of its bytes.
    pub payload: Slice,
}

impl Message {
    /// Puts it into memory of its own where it is a small part of what it keeps; None: the system refused memory.
    fn compact(&mut self) -> Option<()> {
        if self.payload.owner_capacity() > 2 * self.payload.len() {
            self.payload = Slice::copy_of(&self.payload)?;
        }
        Some(())
    }
}

/// A message that is not all here.
#[derive(Debug)]
struct Partial {
    kind: Kind,
    bytes: Chunk,
    /// What of the bytes was handed out in parts.
    given: usize,
}

impl Partial {
    /// The bytes that were not handed out.
    fn rest(&self) -> &[u8] {
        &self.bytes.filled()[self.given..]
    }
}

/// A part of a message as `read_some` hands it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Text or binary.
    pub kind: Kind,
    /// It is the last of its message.
    pub fin: bool,
    /// Its bytes.
    pub size: usize,
    /// Further bytes of the message that are here.
    pub available: usize,
}

/// What was received, counted by the owner of the read word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub messages: u64,
    pub payload: u64,
    pub pings: u64,
}

/// What decoding has met.
pub(super) enum Decoded {
    Message(Message),
    Ping,
    Pong,
    /// A frame, or a part of one, that nobody has to know of.
    Unremarkable,
    /// A step of a compressed message, which is not at its end.
    Inflated,
    Close(Option<u16>),
    Fail(Failure),
    /// More has to be received.
    Starved,
    /// More may not be held.
    Full,
    /// The system refused memory.
    NoMemory,
}

/// The reading half.
pub(super) struct ReadSide {
    pub transport: Option<Arc<Transport>>,
    /// Until the opening handshake is done.
    pub opening: Option<Box<ResponseReader>>,
    pub decoder: Decoder,
    chunk: Option<Chunk>,
    /// What of the chunk is decoded.
    start: usize,
    /// The last receive has emptied the socket.
    pub is_drained: bool,
    /// Whether a thread looks before it sleeps here.
    pub looking: Looking,
    chunk_size: usize,
    partial: Option<Partial>,
    queue: VecDeque<Message>,
    queued_size: usize,
    /// What of the first message in the queue was handed out in parts.
    queue_given: usize,
    /// The message at the head was handed out in parts, and not its last one.
    is_parted: bool,
    /// TLS is spoken.
    pub is_secure: bool,
    /// The opening handshake begins when TLS is done.
    pub awaits_security: bool,
    /// Each message is logged, so none takes the short way.
    pub is_traced: bool,
    pub received: Received,
    /// What was done for compressed messages since somebody asked, in frames that would have taken as long.
    effort: usize,
    /// Pongs were kept for the holder of the write word, who was not told yet.
    pub has_pongs: bool,
    /// Messages that arrive are dropped.
    pub is_discarding: bool,
    /// The peer's Close or a failure was met: nothing further is decoded.
    pub is_over: bool,
    /// The turn is one of the internal thread between a reader's calls.
    pub is_in_passing: bool,
}

impl ReadSide {
    pub fn new(opening: ResponseReader, max_message_size: u64) -> Self {
        Self {
            transport: None,
            opening: Some(Box::new(opening)),
            decoder: Decoder::new(max_message_size),
            chunk: None,
            start: 0,
            is_drained: false,
            looking: Looking::default(),
            // The answer of the opening handshake, with what is kept of a refusal's body.
            chunk_size: 2 * CHUNK_SIZE_MIN,
            partial: None,
            queue: VecDeque::new(),
            queued_size: 0,
            queue_given: 0,
            is_parted: false,
            is_secure: false,
            awaits_security: false,
            is_traced: false,
            received: Received::default(),
            effort: 0,
            has_pongs: false,
            is_discarding: false,
            is_in_passing: false,
            is_over: false,
        }
    }

    /// The bytes that came and are not decoded.
    #[inline]
    pub fn input(&self) -> &[u8] {
        self.chunk.as_ref().map_or(&[], |chunk| &chunk.filled()[self.start..])
    }

    /// Whether memory is held that a sweep may give back, and bytes in it that it may have to decode.
    #[inline]
    pub fn has_chunk(&self) -> bool {
        self.chunk.is_some()
    }

    /// The same, with what TLS holds.
    pub fn is_pending(&self) -> bool {
        self.has_chunk() || self.has_input()
    }

    /// Gives what came to the reader of the opening handshake's answer; None: more has to be received.
    pub fn read_opening(&mut self) -> Option<Progress> {
        let input = &self.chunk.as_ref()?.filled()[self.start..];
        let (consumed, progress) = self.opening.as_mut()?.read(input);
        self.start += consumed;
        match progress {
            Progress::Starved => None,
            progress => {
                self.opening = None;
                Some(progress)
            }
        }
    }

    /// Bytes held for a reader: what the mark counts.
    pub fn held(&self) -> usize {
        let partial = self.partial.as_ref().map_or(0, |partial| partial.rest().len());
        self.queued_size + partial + self.input().len()
    }

    /// Whether a part of a message is here that is not all here.
    pub fn has_part(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| !partial.rest().is_empty())
    }

    /// Whether a further look may find something without the socket.
    pub fn has_input(&self) -> bool {
        !self.input().is_empty()
            || self.decoder.has_output()
            || self.transport.as_ref().is_some_and(|transport| transport.has_input())
    }

    /// Whether something is left behind that the socket does not show; `part`: parts of messages count.
    pub fn has_left(&self, part: bool) -> bool {
        self.has_queued() || self.has_input() || (part && self.has_part())
    }

    /// Whether an end that is met now is for a later turn: what is queued would go with it (R07).
    pub fn defers_end(&self) -> bool {
        self.is_in_passing && self.has_queued()
    }

    /// Whether a message was begun to be handed out in parts.
    #[inline]
    pub fn is_parted(&self) -> bool {
        self.is_parted
    }

    /// Counts a message that is handed out or queued.
    #[inline]
    pub fn count(&mut self, message: &Message) {
        self.received.messages += 1;
        self.received.payload += message.payload.len() as u64;
    }

    /// Messages that were decoded ahead, and bytes that are held for the reader.
    pub fn unread(&self) -> (usize, usize) {
        (self.queue.len(), self.held() - self.queue.len() * MESSAGE_COST)
    }

    /// Whether the next message may be taken the short way.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.queue.is_empty() && !self.is_traced
    }

    #[inline]
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The oldest message that was decoded ahead.
    #[inline]
    pub fn pop(&mut self) -> Option<Message> {
        let message = self.queue.pop_front()?;
        self.queued_size -= message.payload.len() - self.queue_given + MESSAGE_COST;
        self.queue_given = 0;
        self.is_parted = false;
        if self.queue.is_empty() && self.queue.capacity() > QUEUE_KEPT {
            self.queue = VecDeque::new();
        }
        Some(message)
    }

    /// Keeps a message for a later read; false where the system refused memory. `compact`: it may be there for long,
    /// so a small one is copied and pins no chunk.
    pub fn push(&mut self, mut message: Message, compact: bool) -> bool {
        if self.queue.try_reserve(1).is_err() || compact && message.compact().is_none() {
            return false;
        }
        self.queued_size += message.payload.len() + MESSAGE_COST;
        self.queue.push_back(message);
        true
    }

    /// The message is the next one again; its place was never given back.
    pub fn push_front(&mut self, message: Message) {
        self.queued_size += message.payload.len() + MESSAGE_COST;
        self.queue.push_front(message);
    }

    /// Throws away what was decoded ahead.
    pub fn clear_queue(&mut self) {
        self.queue = VecDeque::new();
        self.queued_size = 0;
        self.queue_given = 0;
        self.is_parted = self.is_parted && self.partial.is_some();
    }

    /// Hands out the next bytes of the message at the head, at most so many; with 0 nothing is taken. None: none are here.
    pub fn take_some(&mut self, lent: &mut Loan<'_>) -> Option<Part> {
        let capacity = lent.spare();
        if let Some(Message { kind, payload }) = self.queue.front() {
            let (kind, rest) = (*kind, &payload[self.queue_given..]);
            let size = rest.len().min(capacity);
            let available = rest.len() - size;
            lent.append(&rest[..size]);
            let fin = capacity > 0 && available == 0;
            self.queue_given += size;
            self.queued_size -= size;
            self.is_parted = !fin && (self.is_parted || size > 0);
            if fin {
                self.queue.pop_front();
                self.queued_size -= MESSAGE_COST;
                self.queue_given = 0;
            }
            return Some(Part { kind, fin, size, available });
        }
        let partial = self.partial.as_mut().filter(|partial| !partial.rest().is_empty())?;
        let size = partial.rest().len().min(capacity);
        let available = partial.rest().len() - size;
        lent.append(&partial.rest()[..size]);
        partial.given += size;
        // What is left at the end of the message is counted with it.
        self.received.payload += size as u64;
        self.is_parted |= size > 0;
        let kind = partial.kind;
        if partial.given >= available {
            self.forget_given();
        }
        Some(Part { kind, fin: false, size, available })
    }

    /// Gives back the place of what was handed out. Each byte handed out pays for at most one that moves.
    fn forget_given(&mut self) {
        let Some(partial) = self.partial.as_mut() else { return };
        if partial.rest().is_empty() && partial.bytes.clear() {
            partial.given = 0;
        } else if let Some(mut rest) = pool::take(partial.rest().len()) {
            rest.append(partial.rest());
            *partial = Partial { kind: partial.kind, bytes: rest, given: 0 };
        }
    }

    /// What was done for compressed messages since the last call, in frames that would have taken as long.
    #[inline]
    pub fn take_effort(&mut self) -> usize {
        std::mem::take(&mut self.effort)
    }

    /// Nothing further is decoded: what came and what still comes is thrown away.
    pub fn finish(&mut self) {
        self.is_over = true;
        self.drop_partial();
        self.decoder.finish();
        self.chunk = None;
        self.start = 0;
    }

    /// Messages that arrive from now on are dropped, the one half received among them.
    pub fn discard(&mut self) {
        self.is_discarding = true;
        self.drop_partial();
        self.decoder.discard_data();
    }

    fn drop_partial(&mut self) {
        self.partial = None;
        // What is handed out in parts is at the head: of the queue, else it was this.
        self.is_parted &= self.has_queued();
    }

    /// Gives back what an idle stream need not have.
    pub fn release_memory(&mut self) {
        if self.input().is_empty() {
            self.chunk = None;
            self.start = 0;
        }
        self.decoder.release_memory();
        if let Some(transport) = &self.transport {
            transport.release_memory();
        }
    }

    /// Lets small queued messages let go of the chunks that they were received in.
    pub fn compact_queue(&mut self) {
        for message in &mut self.queue {
            // Without memory it stays where it is.
            let _ = message.compact();
        }
    }

    /// The next message where it is short, whole and here; what else there may be is for `decode` to tell.
    #[inline(always)]
    pub fn take_short(&mut self) -> Option<Message> {
        let chunk = self.chunk.as_ref()?;
        let base = self.start;
        let (kind, payload) = self.decoder.decode_short(chunk.filled().get(base..)?)?;
        self.start = base + payload.end;
        self.received.messages += 1;
        self.received.payload += payload.len() as u64;
        let payload = match payload.is_empty() {
            true => Slice::empty(),
            false => chunk.slice(base + payload.start, base + payload.end),
        };
        Some(Message { kind, payload })
    }

    /// Decodes up to the next thing that somebody has to know; holds at most `budget` more bytes of messages.
    #[inline]
    pub fn decode(&mut self, budget: usize) -> Decoded {
        let Some(chunk) = &self.chunk else { return self.decode_output(budget) };
        let input = &chunk.filled()[self.start..];
        if input.is_empty() {
            return self.decode_output(budget);
        }
        let (consumed, event) = self.decoder.decode(input, budget);
        let base = self.start;
        self.start += consumed;
        match event {
            Event::Message { kind, payload } => {
                let payload = if payload.start == payload.end {
                    Slice::empty()
                } else {
                    chunk.slice(base + payload.start, base + payload.end)
                };
                Decoded::Message(Message { kind, payload })
            }
            event => self.decode_rarely(event, base, budget),
        }
    }

    /// The same without input: a compressed message may stand for more than there was room for.
    #[inline(never)]
    fn decode_output(&mut self, budget: usize) -> Decoded {
        if !self.decoder.has_output() && !self.decoder.has_failed() {
            return Decoded::Starved;
        }
        let (_, event) = self.decoder.decode(&[], budget);
        self.decode_rarely(event, self.start, budget)
    }

    #[inline(never)]
    fn decode_rarely(&mut self, event: Event, base: usize, budget: usize) -> Decoded {
        match event {
            Event::Compressed { kind, payload, first } => {
                let payload = Span { start: base + payload.start, end: base + payload.end };
                match self.inflate(kind, payload, first, budget) {
                    Ok(decoded) => decoded,
                    Err(Broken::Fail(failure)) => Decoded::Fail(failure),
                    Err(Broken::NoMemory) => Decoded::NoMemory,
                }
            }
            Event::Part { kind, payload, first, fin } => {
                let payload = Span { start: base + payload.start, end: base + payload.end };
                match self.take_part(kind, payload, first, fin) {
                    Ok(Some(message)) => Decoded::Message(message),
                    Ok(None) => Decoded::Unremarkable,
                    Err(NoMemory) => Decoded::NoMemory,
                }
            }
            Event::Message { .. } => unreachable!("handed out by decode"),
            Event::Pong => Decoded::Pong,
            Event::Ping => Decoded::Ping,
            Event::Close { code } => Decoded::Close(code),
            Event::Fail(failure) => Decoded::Fail(failure),
            Event::Starved => Decoded::Starved,
            Event::Exhausted => Decoded::Full,
        }
    }

    /// Adds a part in the chunk to the message that it belongs to; the message where that was its last.
    fn take_part(
        &mut self,
        kind: Kind,
        part: Span,
        first: bool,
        fin: bool,
    ) -> Result<Option<Message>, NoMemory> {
        let Some(chunk) = &self.chunk else { return Ok(None) };
        let bytes = &chunk.filled()[part.start..part.end];
        if first {
            let expected = usize::try_from(self.decoder.payload_remaining()).unwrap_or(usize::MAX);
            let capacity = bytes.len() + expected.min(bytes.len().max(CHUNK_SIZE_MIN));
            self.partial = Some(Partial { kind, bytes: pool::take(capacity).ok_or(NoMemory)?, given: 0 });
        }
        let Some(partial) = self.partial.as_mut() else { return Ok(None) };
        reserve(&mut partial.bytes, bytes.len())?;
        partial.bytes.append(bytes);
        Ok(self.finish_partial_if(fin))
    }

    /// One step of the compressed message that this payload in the chunk belongs to; the message where that was its last.
    fn inflate(&mut self, kind: Kind, payload: Span, first: bool, budget: usize) -> Result<Decoded, Broken> {
        let payload = match &self.chunk {
            Some(chunk) => &chunk.filled()[payload.start..payload.end],
            None => &[],
        };
        let payload = &payload[..payload.len().min(INFLATE_INPUT_MAX)];
        let expected = (4 * payload.len()).clamp(INFLATE_SIZE_MIN, INFLATE_SIZE_MAX);
        if first {
            let bytes = pool::take(expected).ok_or(Broken::NoMemory)?;
            self.partial = Some(Partial { kind, bytes, given: 0 });
        }
        let Some(partial) = self.partial.as_mut() else { return Ok(Decoded::Unremarkable) };
        if partial.bytes.spare() == 0 {
            reserve(&mut partial.bytes, expected).map_err(|NoMemory| Broken::NoMemory)?;
        }
        let mut part = crate::proto::decoder::Part::default();
        let decoder = &mut self.decoder;
        partial.bytes.fill_zeroed(expected.min(budget), |room| {
            part = decoder.inflate(payload, room)?;
            Ok(part.produced)
        })?;
        self.start += part.consumed;
        self.effort +=
            1 + part.consumed / COMPRESSED_PER_FRAME + (part.produced + part.copied) / INFLATED_PER_FRAME;
        match self.finish_partial_if(part.fin) {
            Some(mut message) => {
                message.compact().ok_or(Broken::NoMemory)?;
                Ok(Decoded::Message(message))
            }
            None => Ok(Decoded::Inflated),
        }
    }

    fn finish_partial_if(&mut self, fin: bool) -> Option<Message> {
        if fin { self.finish_partial() } else { None }
    }

    fn finish_partial(&mut self) -> Option<Message> {
        let Partial { kind, bytes, given } = self.partial.take()?;
        let size = bytes.len();
        let payload = if size == given { Slice::empty() } else { bytes.into_slice(given, size) };
        Some(Message { kind, payload })
    }

    /// Whether the next receive goes straight into the memory of its message.
    fn is_direct(&self) -> bool {
        self.partial.is_some()
            && self.input().is_empty()
            && self.decoder.payload_remaining() >= DIRECT_SIZE_MIN
    }

    /// Whether the next receive goes straight into so much memory that a caller of `read_some` lends.
    pub fn is_for_lent(&self, room: usize) -> bool {
        room >= LENT_SIZE_MIN
            && self.is_direct()
            && self.partial.as_ref().is_some_and(|partial| partial.rest().is_empty())
            && !self.has_queued()
            && !self.is_over
    }

    /// Receives once into memory of the caller's, where `is_for_lent` said so. The part is what came; else `Decoded` is what
    /// was met.
    pub fn receive_lent(&mut self, lent: &mut Loan<'_>) -> io::Result<(Reception, Result<Part, Decoded>)> {
        let (Some(transport), Some(partial)) = (&self.transport, &self.partial) else {
            return Ok((Reception::End, Err(Decoded::Starved)));
        };
        debug_assert_eq!(lent.filled_size(), 0, "what one receive brings is all that is in it");
        let expected = usize::try_from(self.decoder.payload_remaining()).unwrap_or(usize::MAX);
        let received = transport.receive(lent, expected)?;
        let Reception::Bytes { size, drained } = received else {
            self.is_drained = true;
            return Ok((received, Err(Decoded::Starved)));
        };
        self.is_drained = drained;
        let fin = match self.decoder.decode(lent.filled(), usize::MAX) {
            (_, Event::Part { fin, .. }) => fin,
            (_, Event::Fail(failure)) => return Ok((received, Err(Decoded::Fail(failure)))),
            _ => return Ok((received, Err(Decoded::Starved))),
        };
        let part = Part { kind: partial.kind, fin, size, available: 0 };
        self.received.payload += size as u64;
        self.is_parted = !fin;
        if fin {
            self.partial = None;
        }
        Ok((received, Ok(part)))
    }

    /// Receives once, at most `budget` bytes where they belong to a message. `Decoded` is what a direct receive has
    /// met; else Starved, and the input is to be decoded.
    pub fn receive(&mut self, budget: usize) -> io::Result<(Reception, Decoded)> {
        if self.is_direct() && budget > 0 && !self.is_over {
            return self.receive_direct(budget);
        }
        let Some(transport) = &self.transport else { return Ok((Reception::End, Decoded::Starved)) };
        let transport = Arc::clone(transport);
        if !self.make_room() {
            return Ok((Reception::Nothing, Decoded::NoMemory));
        }
        let Some(chunk) = &mut self.chunk else { return Ok((Reception::Nothing, Decoded::NoMemory)) };
        let room = chunk.spare().min(self.chunk_size);
        let received = transport.receive(chunk, room)?;
        if let Reception::Bytes { size, drained } = received {
            self.is_drained = drained;
            self.chunk_size = adapted(self.chunk_size, size, size == room);
        } else {
            self.is_drained = true;
        }
        if self.is_over {
            self.chunk = None;
            self.start = 0;
        }
        Ok((received, Decoded::Starved))
    }

    fn receive_direct(&mut self, budget: usize) -> io::Result<(Reception, Decoded)> {
        let expected = usize::try_from(self.decoder.payload_remaining()).unwrap_or(usize::MAX);
        let (Some(transport), Some(partial)) = (&self.transport, &mut self.partial) else {
            return Ok((Reception::End, Decoded::Starved));
        };
        let wanted = expected.min(partial.bytes.len().max(DIRECT_ROOM_MIN)).min(budget);
        if partial.bytes.spare() == 0 && reserve(&mut partial.bytes, wanted).is_err() {
            return Ok((Reception::Nothing, Decoded::NoMemory));
        }
        let before = partial.bytes.len();
        let received = transport.receive(&mut partial.bytes, expected.min(budget))?;
        let Reception::Bytes { drained, .. } = received else {
            self.is_drained = true;
            return Ok((received, Decoded::Starved));
        };
        // A receive that was cut at the end of the frame says nothing of what is behind it.
        self.is_drained = drained;
        let (_, event) = self.decoder.decode(&partial.bytes.filled()[before..], usize::MAX);
        let decoded = match event {
            Event::Part { fin: true, .. } => {
                if partial.bytes.len() > LARGE_SIZE_MIN {
                    self.chunk_size = self.chunk_size.min(BEHIND_LARGE_SIZE);
                }
                self.finish_partial().map_or(Decoded::Starved, Decoded::Message)
            }
            Event::Fail(failure) => Decoded::Fail(failure),
            _ => Decoded::Starved,
        };
        Ok((received, decoded))
    }

    /// Sees to it that the chunk has room behind what is not decoded.
    fn make_room(&mut self) -> bool {
        let rest = self.input().len();
        if rest == 0 {
            // Nothing of it is needed any more, but for slices that are out.
            if self.chunk.as_mut().is_some_and(|chunk| chunk.capacity() >= self.chunk_size && chunk.clear()) {
                self.start = 0;
                return true;
            }
        }
        if self.chunk.as_ref().is_some_and(|chunk| chunk.spare() >= self.chunk_size / 2) {
            return true;
        }
        let Some(mut new) = pool::take(self.chunk_size.max(rest * 2)) else { return false };
        new.append(self.input());
        self.chunk = Some(new);
        self.start = 0;
        true
    }
}

/// How much to receive the next time, after `size` bytes have come of at most `asked`, or have `filled` the room there was.
fn adapted(asked: usize, size: usize, filled: bool) -> usize {
    if filled {
        (asked * 4).min(CHUNK_SIZE_MAX)
    } else if size < asked / 8 {
        // Pages and no bytes, or the pool would have to give the next larger size for it.
        (asked / 2 / CHUNK_SIZE_MIN * CHUNK_SIZE_MIN).max(CHUNK_SIZE_MIN)
    } else {
        asked
    }
}

/// The system refused memory.
struct NoMemory;

/// Makes room for more bytes of a message: twice what is there, so that all copying together stays linear.
fn reserve(bytes: &mut Chunk, more: usize) -> Result<(), NoMemory> {
    if bytes.spare() >= more {
        return Ok(());
    }
    let capacity = (bytes.len() + more).max(bytes.len() * 2);
    if bytes.grow(capacity) { Ok(()) } else { Err(NoMemory) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receives_grow_while_they_are_filled_and_shrink_to_sizes_that_the_pool_has() {
        let grown: Vec<usize> =
            std::iter::successors(Some(CHUNK_SIZE_MIN), |&asked| Some(adapted(asked, asked, true)))
                .take(5)
                .collect();
        assert_eq!(grown, [4 << 10, 16 << 10, 64 << 10, 256 << 10, CHUNK_SIZE_MAX]);
        let mut asked = CHUNK_SIZE_MAX;
        for _ in 0..8 {
            let given = pool::take(asked).expect("there is memory").capacity();
            assert!(given <= 2 * asked + 4096, "{given} for {asked}");
            asked = adapted(asked, 100, false);
        }
        assert_eq!(asked, CHUNK_SIZE_MIN);
        assert_eq!(adapted(16 << 10, 2 << 10, false), 16 << 10, "an eighth of it is enough");
    }
}
