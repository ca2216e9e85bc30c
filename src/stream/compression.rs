//! What this side compresses with: when a message is, the compressor's life, and the memory that it costs.
//!
//! The compressor belongs to the holder of the write word, who takes it along while a write call compresses without the word. It
//! is made for the first message that needs it and given back after a second in which none did: a sender need not use the
//! window that it may keep (RFC 7692 §7.1.1.2).

use super::Stream;
use super::options::Limits;
use super::serve::Locked;
use super::write_side::Refused;
use crate::proto::deflate::Deflater;
use crate::proto::handshake::Agreement;
use std::time::{Duration, Instant};

/// How long a compressor is kept that nobody uses.
const KEPT: Duration = Duration::from_secs(1);

/// permessage-deflate, this side's direction.
#[derive(Debug)]
pub(super) struct Compression {
    window_bits: u8,
    level: u8,
    context_takeover: bool,
    /// Smaller messages go uncompressed.
    threshold: usize,
    deflater: Option<Deflater>,
    /// A message was compressed since the internal thread last looked.
    is_used: bool,
}

impl Compression {
    /// None: the server wants a window that raw deflate cannot have, so nothing is compressed.
    pub fn agreed(agreement: &Agreement, limits: &Limits) -> Option<Self> {
        Some(Self {
            window_bits: agreement.client_window_bits?,
            level: limits.deflate_level,
            context_takeover: agreement.client_context_takeover,
            threshold: limits.deflate_threshold,
            deflater: None,
            is_used: false,
        })
    }

    /// Whether a whole message of this size is compressed.
    #[inline]
    pub fn is_worthwhile(&self, size: usize) -> bool {
        size >= self.threshold
    }

    /// Whether no compressor is there.
    pub fn is_idle(&self) -> bool {
        self.deflater.is_none()
    }

    /// Gives the compressor back if it was not used since the last call; whether it is there.
    pub fn keep_if_used(&mut self) -> bool {
        if !std::mem::take(&mut self.is_used) {
            self.deflater = None;
        }
        !self.is_idle()
    }

    /// Compresses a part of a message into `output`, which is empty before.
    pub fn compress(&mut self, data: &[u8], fin: bool, output: &mut Vec<u8>) -> Result<(), Refused> {
        crate::fault::point("stream.compress");
        if crate::fault::fails("stream.compress") {
            return Err(Refused);
        }
        self.is_used = true;
        let deflater = match &mut self.deflater {
            Some(deflater) => deflater,
            none => {
                let new = Deflater::new(self.window_bits, self.level, self.context_takeover);
                none.insert(new.map_err(|_| Refused)?)
            }
        };
        deflater.deflate(data, fin, output).map_err(|_| Refused)
    }
}

impl Stream {
    /// A compressor is about to be made (by the holder of the write word).
    pub(super) fn note_compressor(&self) {
        let mut control = self.control();
        if control.compressor_look.is_none() {
            let at = Instant::now() + KEPT;
            control.compressor_look = Some(at);
            self.runtime.wake_at(self.key, at);
        }
    }

    /// Time may have come (on the internal thread): gives the compressor back if nobody has used it since the last look.
    /// When to look again.
    pub(super) fn look_at_compressor(&self, now: Instant) -> Option<Instant> {
        let look = self.control().compressor_look?;
        if look > now {
            return Some(look);
        }
        let next = now + KEPT;
        let Ok(held) = self.write.lock() else {
            // Who has the word may be using it.
            self.control().compressor_look = Some(next);
            return Some(next);
        };
        let mut locked = Locked::new(self, held, false);
        // After the end a writer that has it drops it.
        let is_kept = self.closed.info().is_none() && locked.side().keeps_compressor();
        // With the word: nobody makes another one meanwhile.
        let look = is_kept.then_some(next);
        self.control().compressor_look = look;
        locked.unlock(false);
        look
    }
}
