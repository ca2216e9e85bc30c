//! `/answer`: a fixed number of messages, in one write, for each message that comes: a batch that a client asks for and
//! receives at once.

use super::count::Pattern;
use super::{Behaviour, Made, Setting, message_opcode};
use crate::frame::{FrameHeader, opcode};
use crate::session::Conversation;
use crate::wire::{Ending, How};

/// Answers each message with a batch.
pub struct Answer {
    pattern: Pattern,
    opcode: u8,
    count: u64,
    /// Made once, unless each is compressed behind those before it.
    batch: Vec<u8>,
}

impl Answer {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        let opcode = message_opcode(query)?;
        let pattern = Pattern::new(opcode == opcode::TEXT, query.number_or("size", 16)?);
        Ok(Box::new(Answer { pattern, opcode, count: query.number_or("n", 100)?, batch: Vec::new() }))
    }
}

impl Behaviour for Answer {
    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if header.fin {
            if self.batch.is_empty() || conversation.wire.deflates() {
                self.batch.clear();
                for index in 0..self.count {
                    let message = self.pattern.message(index);
                    conversation.wire.append_message(&mut self.batch, self.opcode, message, 0);
                }
            }
            conversation.out.extend_from_slice(&self.batch);
            conversation.out_whole = conversation.out.len();
        }
    }

    fn close_received(&mut self, body: &[u8], conversation: &mut Conversation) {
        conversation.send_close(body);
        conversation.end(Ending::now(How::Fin));
    }

    fn wants_payload(&self) -> bool {
        false
    }
}
