//! `/stall`, `/stall_then_read`, `/stall_until`: a server that does not read, for a while or for good.

use super::{Behaviour, Made, Setting, echo};
use crate::frame::FrameHeader;
use crate::query::Refusal;
use crate::server::Shared;
use crate::session::{Conversation, STALL_MAX};
use crate::wire::{Ending, How};
use std::sync::Arc;
use std::time::Duration;

/// `/stall`: neither reads nor writes.
pub struct Stall;

impl Stall {
    /// Makes it.
    pub fn make(_setting: &Setting) -> Made {
        Ok(Box::new(Stall))
    }
}

impl Behaviour for Stall {
    fn opened(&mut self, conversation: &mut Conversation) {
        conversation.end(Ending::now(How::Stall));
    }
}

enum Until {
    Passed(Duration),
    Released(Arc<Shared>, String),
}

/// Reads nothing until its time has come, then behaves as another.
pub struct StallUntil {
    until: Until,
    then: Box<dyn Behaviour>,
}

impl StallUntil {
    /// `/stall_then_read`.
    pub fn make_timed(setting: &Setting) -> Made {
        let after = Duration::from_millis(setting.query.number_or("after_ms", 1000)?);
        Ok(Box::new(StallUntil { until: Until::Passed(after), then: echo::make_then(setting)? }))
    }

    /// `/stall_until`.
    pub fn make_released(setting: &Setting) -> Made {
        let token = setting.query.text("token").ok_or_else(|| Refusal("token is missing".to_owned()))?;
        let until = Until::Released(setting.shared.clone(), token);
        Ok(Box::new(StallUntil { until, then: echo::make_then(setting)? }))
    }
}

impl Behaviour for StallUntil {
    fn opened(&mut self, conversation: &mut Conversation) {
        conversation.wire.note("stalled");
        match &self.until {
            Until::Passed(after) => std::thread::sleep(*after),
            Until::Released(shared, token) => shared.tokens.wait(token, STALL_MAX),
        }
        conversation.wire.note("resumed");
        self.then.opened(conversation);
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.then.frame_begun(header, conversation);
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        self.then.payload(bytes, conversation);
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.then.frame_ended(header, conversation);
    }

    fn wants_payload(&self) -> bool {
        self.then.wants_payload()
    }
}
