//! `/answer`: a fixed number of messages, in one write, for each message that comes: a batch that a client asks for and
//! receives at once.

use super::count::Pattern;
use super::{Behaviour, Made, Setting, message_opcode};
use crate::frame::{FrameHeader, append_message, opcode};
use crate::session::Conversation;
use crate::wire::{Ending, How};

/// Answers each message with a batch.
pub struct Answer {
    batch: Vec<u8>,
}

impl Answer {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        let kind = message_opcode(query)?;
        let pattern = Pattern::new(kind == opcode::TEXT, query.number_or("size", 16)?);
        let count: u64 = query.number_or("n", 100)?;
        let mut batch = Vec::new();
        for index in 0..count {
            append_message(&mut batch, kind, pattern.message(index), 0);
        }
        Ok(Box::new(Answer { batch }))
    }
}

impl Behaviour for Answer {
    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if header.fin {
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
