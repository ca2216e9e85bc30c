//! `/count`: many messages whose bytes both sides can compute, as fast as the client takes them.

use super::feeder::Feeder;
use super::{Made, Setting, close_at_end, message_opcode};
use crate::frame::opcode;
use crate::wire::{Ending, Wire};
use std::io;
use std::time::{Duration, Instant};

/// Frames of this many bytes are gathered for one write.
const BATCH_BYTES: usize = 128 * 1024;
/// A prime, so that a shift by a power of two shows.
const BINARY_PERIOD: usize = 251;
const TEXT_PERIOD: usize = 26;

/// The deterministic payloads.
///
/// Byte j of message i is `(31 * i + j) % 251` in a binary and `'a' + (i + j) % 26` in a text message.
pub struct Pattern {
    bytes: Vec<u8>,
    is_text: bool,
    size: usize,
}

impl Pattern {
    /// The payloads of `size` bytes.
    pub fn new(is_text: bool, size: usize) -> Pattern {
        let period = if is_text { TEXT_PERIOD } else { BINARY_PERIOD };
        let base = if is_text { b'a' } else { 0 };
        let one: Vec<u8> = (0..=250).take(period).map(|byte| base + byte).collect();
        let bytes = one.iter().copied().cycle().take(size + period).collect();
        Pattern { bytes, is_text, size }
    }

    /// The payload of message `index`.
    pub fn message(&self, index: u64) -> &[u8] {
        let (factor, period) = if self.is_text { (1, TEXT_PERIOD) } else { (31, BINARY_PERIOD) };
        let period = period as u64;
        let start = usize::try_from(index % period * factor % period).expect("below the period");
        &self.bytes[start..start + self.size]
    }
}

struct Plan {
    pattern: Pattern,
    opcode: u8,
    /// 0 is for ever.
    count: u64,
    duration: Option<Duration>,
    frame_bytes_max: usize,
    close: Option<Vec<u8>>,
}

/// Sends the messages, then Close.
pub fn make(setting: &Setting) -> Made {
    let query = setting.query;
    let opcode = message_opcode(query)?;
    let seconds: Option<u64> = query.number("seconds")?;
    let plan = Plan {
        pattern: Pattern::new(opcode == opcode::TEXT, query.number_or("size", 16)?),
        opcode,
        count: query.number_or("n", if seconds.is_some() { 0 } else { 100 })?,
        duration: seconds.map(Duration::from_secs),
        frame_bytes_max: query.number_or("frame", 0)?,
        close: close_at_end(query, Some(1000))?,
    };
    Feeder::make(query, move |wire| plan.feed(wire))
}

impl Plan {
    fn feed(self, wire: &Wire) -> io::Result<Option<Ending>> {
        let deadline = self.duration.map(|duration| Instant::now() + duration);
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        let mut index = 0;
        while self.count == 0 || index < self.count {
            wire.append_message(&mut batch, self.opcode, self.pattern.message(index), self.frame_bytes_max);
            index += 1;
            if batch.len() >= BATCH_BYTES {
                wire.feed(&batch)?;
                batch.clear();
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    break;
                }
            }
        }
        wire.feed(&batch)?;
        if let Some(body) = &self.close {
            wire.send_close(body)?;
        }
        Ok(None)
    }
}
