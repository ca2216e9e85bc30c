//! What the holder of the write word works with: the bytes on their way out, and where the message stands.
//!
//! Whole frames and the beginning of one at most; leftovers keep a head and never move. Nothing here waits.

use super::compression::Compression;
use super::looking::Looking;
use crate::memory::mask::{mask_behind, mask_into};
use crate::memory::random::Masks;
use crate::net::{Transport, sys};
use crate::proto::close::CloseRequest;
use crate::proto::encoder::{HEADER_SIZE_MAX, Header, close_payload};
use crate::proto::opcode::{Kind, Opcode};
use crate::proto::outgoing::Outgoing;
use std::io;
use std::sync::Arc;

/// A message leaves in pieces of this size, masked one after the other: it fits the level-2 cache and a socket's
/// buffer; a multiple of four, so that every piece begins with the mask's first byte.
pub(super) const PIECE_SIZE: usize = 64 * 1024;
/// A buffer up to this size is kept while the stream is in use.
const KEPT_SIZE: usize = 2 * PIECE_SIZE;

/// What was sent, counted by the holder of the write word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub messages: u64,
    pub payload: u64,
    pub wire: u64,
}

/// The writing half.
#[derive(Default)]
pub(super) struct WriteSide {
    pub transport: Option<Arc<Transport>>,
    out: Vec<u8>,
    head: usize,
    /// Bytes that TLS has made of what was framed, and the socket has not taken.
    sealed: usize,
    pub sent: Given,
    /// One, or none while the stream is idle.
    masks: Vec<Masks>,
    pub outgoing: Outgoing,
    /// permessage-deflate, where it was agreed; a write call takes it along while it compresses without the lock.
    pub compression: Option<Box<Compression>>,
    /// The message that is open is compressed.
    pub is_compressing: bool,
    /// Between the header of a frame and the end of its payload: nothing else may be framed.
    pub in_frame: bool,
    /// A writer is inside a message that is not framed to its end.
    pub in_message: bool,
    /// Bytes of that message which are not framed yet.
    pub unframed: usize,
    /// Something was posted while `in_frame` forbade to frame it.
    pub is_deferred: bool,
    /// The socket did not take everything the last time.
    pub is_blocked: bool,
    /// Whether a thread looks before it sleeps here.
    pub looking: Looking,
    /// The socket has taken nothing yet, so it may not be connected.
    pub is_connecting: bool,
    /// The code of our Close, from the time it is framed.
    pub close_framed: Option<u16>,
    /// The socket has refused bytes: what was sent has a hole, so nothing is sent any more.
    pub broken: Option<io::Error>,
    /// Somebody sees to the end that comes of it.
    pub is_broken_told: bool,
}

/// A buffer up to this size stays with a stream that only writes, whose small messages need no sweep then.
const IDLE_SIZE: usize = 4 * 1024;

/// The system gave no memory or no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl WriteSide {
    /// Bytes that are framed and not given to the system.
    #[inline]
    pub fn leftover(&self) -> usize {
        self.out.len() - self.head + self.sealed
    }

    /// Bytes accepted and not given to the system.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.leftover() + self.unframed
    }

    /// Whether a message has been begun whose end is not framed.
    pub fn is_unfinished(&self) -> bool {
        self.in_message || self.in_frame || self.outgoing.is_open()
    }

    /// Whether a whole message of this size is compressed.
    #[inline]
    pub fn compresses(&self, size: usize) -> bool {
        self.compression.as_ref().is_some_and(|compression| compression.is_worthwhile(size))
    }

    /// Whether the compressor, if there is one, was used of late, or is in the middle of a message; else it is given back.
    pub fn keeps_compressor(&mut self) -> bool {
        let is_within = self.is_compressing && self.is_unfinished();
        match &mut self.compression {
            Some(compression) => is_within && !compression.is_idle() || compression.keep_if_used(),
            // A write call has it.
            None => is_within,
        }
    }

    /// Begins a frame; its payload must follow through `mask`.
    pub fn frame(&mut self, opcode: Opcode, fin: bool, size: usize) -> Result<[u8; 4], Refused> {
        self.frame_as(Header { fin, rsv1: false, opcode, mask: [0; 4], payload_size: size as u64 })
    }

    /// Begins the next frame of a compressed message (RFC 7692 §6).
    pub fn frame_compressed(&mut self, opcode: Opcode, fin: bool, size: usize) -> Result<[u8; 4], Refused> {
        let rsv1 = opcode != Opcode::Continuation;
        self.frame_as(Header { fin, rsv1, opcode, mask: [0; 4], payload_size: size as u64 })
    }

    /// Begins a frame with a mask of its own.
    fn frame_as(&mut self, header: Header) -> Result<[u8; 4], Refused> {
        let mask = self.next_mask()?;
        self.begin_frame(&Header { mask, ..header })?;
        Ok(mask)
    }

    #[inline]
    fn next_mask(&mut self) -> Result<[u8; 4], Refused> {
        if let Some(masks) = self.masks.first_mut() {
            return masks.next(sys::generation()).map_err(|_| Refused);
        }
        self.begin_masks()
    }

    #[cold]
    #[inline(never)]
    fn begin_masks(&mut self) -> Result<[u8; 4], Refused> {
        self.masks.try_reserve_exact(1).map_err(|_| Refused)?;
        self.masks.push(Masks::new());
        self.next_mask()
    }

    /// Appends a header.
    fn begin_frame(&mut self, header: &Header) -> Result<(), Refused> {
        // With the payload that follows it at once, in one reservation.
        let room = HEADER_SIZE_MAX + header.payload_size.min(PIECE_SIZE as u64) as usize;
        self.out.try_reserve(room).map_err(|_| Refused)?;
        let mut bytes = [0; HEADER_SIZE_MAX];
        let used = header.encode(&mut bytes);
        self.out.extend_from_slice(&bytes[..used]);
        Ok(())
    }

    /// Appends payload to the frame that was begun.
    #[inline]
    pub fn mask(&mut self, data: &[u8], mask: [u8; 4]) -> Result<(), Refused> {
        if mask_into(&mut self.out, data, mask) { Ok(()) } else { Err(Refused) }
    }

    /// Frames a whole small message.
    #[inline(always)]
    pub fn frame_message(&mut self, kind: Kind, data: &[u8]) -> Result<(), Refused> {
        let mask = self.next_mask()?;
        let payload_size = data.len() as u64;
        let header = Header { fin: true, rsv1: false, opcode: kind.into(), mask, payload_size };
        if header.is_short() {
            if !mask_behind(&mut self.out, header.encode_short(), data, mask) {
                return Err(Refused);
            }
        } else {
            self.begin_frame(&header)?;
            self.mask(data, mask)?;
        }
        self.sent.messages += 1;
        self.sent.payload += data.len() as u64;
        Ok(())
    }

    /// Frames a control frame.
    pub fn frame_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Refused> {
        let mask = self.frame(opcode, true, payload.len())?;
        self.mask(payload, mask)
    }

    /// Frames our Close, the last frame of all.
    pub fn frame_close(&mut self, close: &CloseRequest) -> Result<(), Refused> {
        let mut payload = [0; 125];
        let size = close_payload(close.code, &close.reason, &mut payload);
        self.frame_control(Opcode::Close, &payload[..size])?;
        self.close_framed = Some(close.code.unwrap_or(1005));
        Ok(())
    }

    /// Appends bytes that are no frame: the request of the opening handshake.
    pub fn append(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Gives the socket what it takes.
    #[inline]
    pub fn send(&mut self) {
        self.is_blocked = false;
        let Some(transport) = &self.transport else { return };
        if self.leftover() == 0 && !transport.has_output() {
            return;
        }
        if self.broken.is_some() {
            self.drop_unsent();
            return;
        }
        loop {
            match transport.send(&self.out[self.head..]) {
                Ok(sent) => {
                    self.head += sent.taken;
                    self.sealed = sent.left;
                    self.sent.wire += sent.taken as u64;
                    self.is_blocked = sent.blocked;
                    if sent.blocked || sent.taken == 0 || self.head == self.out.len() {
                        break;
                    }
                }
                Err(error) => {
                    self.broken = Some(error);
                    self.head = self.out.len();
                    self.sealed = 0;
                    break;
                }
            }
        }
        self.forget_sent();
        if self.head == self.out.len() {
            self.out.clear();
            self.head = 0;
            if self.out.capacity() > KEPT_SIZE {
                self.out = Vec::new();
            }
        }
    }

    /// Gives back the place of what was sent, before it is larger than what is left: a peer that is always a little behind
    /// would let it grow for ever. Each byte sent pays for at most one that moves.
    fn forget_sent(&mut self) {
        if self.head >= PIECE_SIZE && self.head >= self.out.len() - self.head {
            self.out.drain(..self.head);
            self.head = 0;
        }
    }

    /// Forgets what is unsent: the connection is over.
    pub fn drop_unsent(&mut self) {
        self.out = Vec::new();
        self.head = 0;
        self.sealed = 0;
        self.unframed = 0;
        self.is_blocked = false;
    }

    /// Whether more is held than an idle stream may keep: the sweep sees to it.
    #[inline]
    pub fn has_memory(&self) -> bool {
        self.out.capacity() > IDLE_SIZE
    }

    /// Gives the memory of an idle stream back.
    pub fn release_memory(&mut self) {
        if self.leftover() == 0 {
            self.out = Vec::new();
            self.head = 0;
        }
        self.masks = Vec::new();
        if let Some(transport) = &self.transport {
            transport.release_memory();
        }
    }
}
