//! `/close`, `/close_reply`, `/abrupt`: every way a connection can end, lawful or not.

use super::{After, Behaviour, Made, Setting, close_body};
use crate::frame::FrameHeader;
use crate::session::Conversation;
use crate::wire::{Ending, How};
use std::time::Duration;

/// `/close`: the server begins the closing handshake.
pub struct Close {
    after: After,
    body: Vec<u8>,
    waits: bool,
    ending: Ending,
}

impl Close {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        Ok(Box::new(Close {
            after: After::from_query(query)?,
            body: close_body(query)?.unwrap_or_default(),
            waits: query.flag_or("wait", true)?,
            ending: Ending::from_query(query, How::Fin)?,
        }))
    }

    fn close(&self, conversation: &mut Conversation) {
        conversation.send_close(&self.body);
        if !self.waits {
            conversation.end(self.ending.clone());
        }
    }
}

impl Behaviour for Close {
    fn opened(&mut self, conversation: &mut Conversation) {
        if self.after.is_at_once() {
            self.close(conversation);
        }
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.after.frame_begun(header, conversation);
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        self.after.payload(bytes, conversation);
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if self.after.frame_ended(header, conversation) {
            self.close(conversation);
        }
    }

    fn close_received(&mut self, body: &[u8], conversation: &mut Conversation) {
        conversation.send_close(body);
        conversation.end(self.ending.clone());
    }
}

/// `/close_reply`: the client begins the closing handshake and gets an odd answer.
pub struct CloseReply {
    body: Option<Vec<u8>>,
    is_missing: bool,
    delay: Duration,
    ending: Ending,
    echo: super::echo::Echo,
}

impl CloseReply {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        let is_missing = query.flag_or("missing", false)?;
        Ok(Box::new(CloseReply {
            body: close_body(query)?,
            is_missing,
            delay: query.milliseconds("delay_ms")?,
            ending: Ending::from_query(query, if is_missing { How::Never } else { How::Fin })?,
            echo: super::echo::Echo::default(),
        }))
    }
}

impl Behaviour for CloseReply {
    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.echo.frame_begun(header, conversation);
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        self.echo.payload(bytes, conversation);
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.echo.frame_ended(header, conversation);
    }

    fn close_received(&mut self, body: &[u8], conversation: &mut Conversation) {
        let mut ending = self.ending.clone();
        if !self.is_missing {
            let body = self.body.clone().unwrap_or_else(|| body.to_vec());
            ending.reply = Some((self.delay, body));
        }
        conversation.end(ending);
    }
}

/// `/abrupt`: TCP ends without a Close frame.
pub struct Abrupt {
    after: After,
    ending: Ending,
}

impl Abrupt {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let ending = Ending::from_query(setting.query, How::Fin)?;
        Ok(Box::new(Abrupt { after: After::from_query(setting.query)?, ending }))
    }
}

impl Behaviour for Abrupt {
    fn opened(&mut self, conversation: &mut Conversation) {
        if self.after.is_at_once() {
            conversation.end(self.ending.clone());
        }
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.after.frame_begun(header, conversation);
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        self.after.payload(bytes, conversation);
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if self.after.frame_ended(header, conversation) {
            conversation.end(self.ending.clone());
        }
    }
}
