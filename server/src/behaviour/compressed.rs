//! `/compressed`: compressed messages of any size, made as they go from one block that is compressed once.

use super::count::Pattern;
use super::feeder::Feeder;
use super::{Made, Setting, close_at_end, message_opcode};
use crate::deflate::{Agreement, flush};
use crate::frame::{RSV1, append_header, opcode};
use crate::query::Refusal;
use crate::wire::{Ending, Wire};
use flate2::{Compress, Compression, FlushCompress};
use std::io;

/// Both periods of the pattern, so that block follows block as if it were one message.
const BLOCK_BYTES: usize = 251 * 26 * 160;
/// Frames of this many bytes are gathered for one write.
const BATCH_BYTES: usize = 64 * 1024;
const TAIL_BYTES: usize = 4;

struct Plan {
    /// One that reads nothing before it, so that it may be repeated.
    block: Vec<u8>,
    block_count: u64,
    /// What is behind the blocks, without the tail of a message.
    rest: Vec<u8>,
    opcode: u8,
    count: u64,
    close: Option<Vec<u8>>,
}

/// Sends the messages, then Close.
pub fn make(setting: &Setting) -> Made {
    let query = setting.query;
    let Some(agreement) = Agreement::from_query(query, setting.request)? else {
        return Err(Refusal("it needs deflate, and a client that offers it".to_owned()));
    };
    let kind = message_opcode(query)?;
    let size: u64 = query.number_or("size", 1 << 20)?;
    let (block_count, rest) = (size / BLOCK_BYTES as u64, size % BLOCK_BYTES as u64);
    let pattern = Pattern::new(kind == opcode::TEXT, BLOCK_BYTES);
    let rest = &pattern.message(0)[..usize::try_from(rest).expect("below a block")];
    let block = |bytes| {
        let level = Compression::fast();
        let mut compress = Compress::new_with_window_bits(level, false, agreement.server_bits());
        // What follows a full flush reads nothing before it.
        flush(&mut compress, bytes, FlushCompress::Full)
    };
    let mut rest = block(rest);
    rest.truncate(rest.len() - TAIL_BYTES);
    let plan = Plan {
        block: block(pattern.message(0)),
        block_count,
        rest,
        opcode: kind,
        count: query.number_or("n", 1)?,
        close: close_at_end(query, Some(1000))?,
    };
    Feeder::make(query, move |wire| plan.feed(wire))
}

impl Plan {
    fn feed(self, wire: &Wire) -> io::Result<Option<Ending>> {
        let mut batch = Vec::with_capacity(2 * BATCH_BYTES);
        for _ in 0..self.count {
            // RFC 7692 §6: the first frame says that the message is compressed.
            let mut first = RSV1 | self.opcode;
            for _ in 0..self.block_count {
                append_header(&mut batch, false, first, self.block.len());
                batch.extend_from_slice(&self.block);
                first = opcode::CONTINUATION;
                if batch.len() >= BATCH_BYTES {
                    wire.feed(&batch)?;
                    batch.clear();
                }
            }
            append_header(&mut batch, true, first, self.rest.len());
            batch.extend_from_slice(&self.rest);
        }
        wire.feed(&batch)?;
        if let Some(body) = &self.close {
            wire.send_close(body)?;
        }
        Ok(None)
    }
}
