//! `/verify`: a sink that holds each message against that of `/count`, so that none is lost, doubled or torn unnoticed.

use super::count::Pattern;
use super::{Behaviour, Made, Setting, message_opcode};
use crate::frame::{FrameHeader, opcode};
use crate::server::Shared;
use crate::session::{Conversation, STALL_MAX};
use crate::wire::{Ending, How};
use std::sync::Arc;

/// The code of the Close that says which message differs.
const DIFFERS: u16 = 4000;

/// Compares messages.
pub struct Verify {
    pattern: Pattern,
    opcode: u8,
    size: usize,
    release: Option<(Arc<Shared>, String)>,
    /// The message that comes, and how much of it has come.
    index: u64,
    position: usize,
}

impl Verify {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        let (opcode, size) = (message_opcode(query)?, query.number_or("size", 16)?);
        Ok(Box::new(Verify {
            pattern: Pattern::new(opcode == opcode::TEXT, size),
            opcode,
            size,
            release: query.text("token").map(|token| (setting.shared.clone(), token)),
            index: 0,
            position: 0,
        }))
    }

    fn fail(&self, conversation: &mut Conversation) {
        conversation.send_close(&close_body(DIFFERS, &format!("message {} differs", self.index)));
        conversation.end(Ending::now(How::Fin));
    }
}

fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

impl Behaviour for Verify {
    fn opened(&mut self, conversation: &mut Conversation) {
        if let Some((shared, token)) = &self.release {
            conversation.wire.note("stalled");
            shared.tokens.wait(token, STALL_MAX);
            conversation.wire.note("resumed");
        }
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if header.opcode != opcode::CONTINUATION && header.opcode != self.opcode {
            self.fail(conversation);
        }
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        let expected = self.pattern.message(self.index).get(self.position..self.position + bytes.len());
        if expected != Some(bytes) {
            return self.fail(conversation);
        }
        self.position += bytes.len();
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if !header.fin {
            return;
        }
        if self.position != self.size {
            return self.fail(conversation);
        }
        self.index += 1;
        self.position = 0;
    }

    fn close_received(&mut self, _body: &[u8], conversation: &mut Conversation) {
        conversation.send_close(&close_body(1000, &format!("{} messages", self.index)));
        conversation.end(Ending::now(How::Fin));
    }
}
