//! `/flood`: the same bytes again and again, as fast as the client takes them and for next to no work.
//!
//! The bytes are framed by who asks for them; this file knows of no frame.

use super::{Behaviour, Made, Setting};
use crate::frame::FrameHeader;
use crate::query::Refusal;
use crate::session::Conversation;
use crate::wire::{Ending, Wire};
use std::io;

/// Repetitions of this many bytes leave in one write, or a few more.
const BLOCK_BYTES: usize = 64 * 1024;

/// Sends the bytes, then is a sink.
pub struct Flood {
    plan: Option<Plan>,
    waits: bool,
    reads: bool,
}

struct Plan {
    before: Vec<u8>,
    block: Vec<u8>,
    unit_bytes: usize,
    /// 0 is for ever.
    count: u64,
    behind: Vec<u8>,
}

impl Flood {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        let unit = query.hex("hex")?.filter(|unit| !unit.is_empty());
        let unit = unit.ok_or_else(|| Refusal("hex is missing".to_owned()))?;
        let plan = Plan {
            before: query.hex("before")?.unwrap_or_default(),
            block: unit.repeat(BLOCK_BYTES.div_ceil(unit.len())),
            unit_bytes: unit.len(),
            count: query.number_or("n", 0)?,
            behind: query.hex("behind")?.unwrap_or_default(),
        };
        let (waits, reads) = (query.flag_or("wait", false)?, query.flag_or("reads", true)?);
        Ok(Box::new(Flood { plan: Some(plan), waits, reads }))
    }

    fn start(&mut self, conversation: &mut Conversation) {
        let Some(plan) = self.plan.take() else { return };
        if self.reads {
            return conversation.feed(move |wire| plan.feed(wire));
        }
        // A client that is gone shows itself in the next read.
        let _ = plan.feed(&conversation.wire);
    }
}

impl Plan {
    fn feed(self, wire: &Wire) -> io::Result<Option<Ending>> {
        wire.feed(&self.before)?;
        let units = (self.block.len() / self.unit_bytes) as u64;
        let mut left = self.count;
        while self.count == 0 || left > units {
            wire.feed(&self.block)?;
            left = left.saturating_sub(units);
        }
        let rest = usize::try_from(left).expect("a block at most") * self.unit_bytes;
        wire.feed(&self.block[..rest])?;
        wire.feed(&self.behind)?;
        Ok(None)
    }
}

impl Behaviour for Flood {
    fn opened(&mut self, conversation: &mut Conversation) {
        if !self.waits {
            self.start(conversation);
        }
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if header.fin {
            self.start(conversation);
        }
    }

    fn wants_payload(&self) -> bool {
        false
    }
}
