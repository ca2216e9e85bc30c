//! `/ping`: pings, and what comes back.

use super::echo::Echo;
use super::{Behaviour, Made, Setting, close_at_end};
use crate::frame::{FrameHeader, append_frame, opcode};
use crate::session::Conversation;

/// Sends pings at once; echoes messages; sends Close when every pong has come, if asked to.
pub struct Ping {
    payload: Vec<u8>,
    count: u64,
    pong_count: u64,
    close: Option<Vec<u8>>,
    echo: Echo,
}

impl Ping {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        Ok(Box::new(Ping {
            payload: setting.query.payload("payload")?.unwrap_or_default(),
            count: setting.query.number_or("n", 1)?,
            pong_count: 0,
            close: close_at_end(setting.query, None)?,
            echo: Echo::default(),
        }))
    }

    fn payload_of(&self, index: u64) -> Vec<u8> {
        let mut payload = self.payload.clone();
        if self.count > 1 {
            payload.extend_from_slice(index.to_string().as_bytes());
        }
        payload
    }
}

impl Behaviour for Ping {
    fn opened(&mut self, conversation: &mut Conversation) {
        let mut frames = Vec::new();
        for index in 0..self.count {
            append_frame(&mut frames, opcode::PING, &self.payload_of(index));
        }
        conversation.feed(move |wire| {
            wire.feed(&frames)?;
            Ok(None)
        });
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.echo.frame_begun(header, conversation);
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        self.echo.payload(bytes, conversation);
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.echo.frame_ended(header, conversation);
    }

    fn pong_received(&mut self, payload: &[u8], conversation: &mut Conversation) {
        if payload != self.payload_of(self.pong_count) {
            if let Some(record) = &conversation.wire.record {
                record.violate("a pong does not answer the next ping");
            }
            return;
        }
        self.pong_count += 1;
        if let (true, Some(body)) = (self.pong_count == self.count, &self.close) {
            conversation.send_close(body);
        }
    }
}
