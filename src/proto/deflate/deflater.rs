//! Compression of one message after another (RFC 7692 §7.2.1).

use zlib_rs::{Deflate, DeflateFlush};

/// RFC 7692 §7.2.1: what a sync flush ends with, and what the end of a message leaves out.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// How much room a call of the compressor gets at least. (A flush wants more than six bytes, or it flushes again.)
const ROOM_MIN: usize = 1024;

/// The system refused memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// This side's direction.
pub struct Deflater {
    deflate: Deflate,
    context_takeover: bool,
}

impl Deflater {
    /// With a window of so many bits, 9 to 15, and a level of 1 to 9. It takes `memory_size(window_bits)` bytes for as long
    /// as it lives.
    pub fn new(window_bits: u8, level: u8, context_takeover: bool) -> Result<Self, Refused> {
        // The compressor panics where the system refuses; so it is asked before.
        Vec::<u8>::new().try_reserve_exact(memory_size(window_bits)).map_err(|_| Refused)?;
        Ok(Self { deflate: Deflate::new(i32::from(level), false, window_bits), context_takeover })
    }

    /// Appends the compressed payload of a part of a message, all of it; with `fin` the message ends. The part is never
    /// empty but with `fin`.
    pub fn deflate(&mut self, data: &[u8], fin: bool, output: &mut Vec<u8>) -> Result<(), Refused> {
        let begin = output.len();
        let mut rest = data;
        loop {
            let room = ROOM_MIN.max(rest.len() / 2);
            let used = output.len();
            output.try_reserve(room).map_err(|_| Refused)?;
            output.resize(used + room, 0);
            let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
            let status = self.deflate.compress(rest, &mut output[used..], DeflateFlush::SyncFlush);
            let made = (self.deflate.total_out() - before_out) as usize;
            rest = &rest[(self.deflate.total_in() - before_in) as usize..];
            output.truncate(used + made);
            status.map_err(|_| Refused)?;
            // With room left, nothing is left to say.
            if rest.is_empty() && made < room {
                break;
            }
        }
        if fin {
            if output[begin..].ends_with(&TAIL) {
                output.truncate(output.len() - TAIL.len());
            }
            if output.len() == begin {
                // RFC 7692 §7.2.3.6: behind a flush there is nothing to flush, so the header of an empty block stands for it.
                output.push(0);
            }
            if !self.context_takeover {
                self.deflate.reset();
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Deflater")
            .field("context_takeover", &self.context_takeover)
            .finish_non_exhaustive()
    }
}

/// What a compressor with such a window holds, in bytes: the window, the chains of it, and room for what was found.
pub const fn memory_size(window_bits: u8) -> usize {
    (1 << (window_bits as usize + 2)) + (1 << 18)
}
