//! `/raw`: any bytes behind a good handshake.

use super::echo::Echo;
use super::{After, Behaviour, Made, Setting};
use crate::frame::FrameHeader;
use crate::query::Refusal;
use crate::session::Conversation;
use crate::wire::{Ending, How, Pace};

/// The most that `hex` and `repeat` may make together.
const RAW_BYTES_MAX: usize = 256 << 20;

/// Sends the bytes, then ends as told. It answers nothing itself, unless `end=echo`.
pub struct Raw {
    after: After,
    bytes: Vec<u8>,
    pace: Option<Pace>,
    /// `None` is `end=echo`.
    ending: Option<Ending>,
    echo: Echo,
}

impl Raw {
    /// Makes it.
    pub fn make(setting: &Setting) -> Made {
        let query = setting.query;
        let hex = query.hex("hex")?.ok_or_else(|| Refusal("hex is missing".to_owned()))?;
        let repeat: usize = query.number_or("repeat", 1)?;
        if hex.len().saturating_mul(repeat) > RAW_BYTES_MAX {
            return Err(Refusal("repeat makes more than 256 MiB".to_owned()));
        }
        let ending = match query.text("end").as_deref() {
            Some("echo") => None,
            _ => Some(Ending::from_query(query, How::Fin)?),
        };
        Ok(Box::new(Raw {
            after: After::from_query(query)?,
            bytes: hex.repeat(repeat),
            pace: query.flag_or("split", false)?.then_some(Pace::SPLIT),
            ending,
            echo: Echo::default(),
        }))
    }

    fn start(&mut self, conversation: &mut Conversation) {
        let (bytes, ending) = (std::mem::take(&mut self.bytes), self.ending.clone());
        conversation.feed(move |wire| {
            wire.feed(&bytes)?;
            Ok(ending)
        });
    }

    /// Messages before the bytes are `after`'s; those behind them go to the echo, if there is one.
    fn echoes(&self) -> bool {
        self.ending.is_none() && self.after.seen >= self.after.count
    }
}

impl Behaviour for Raw {
    fn opened(&mut self, conversation: &mut Conversation) {
        if self.after.is_at_once() {
            self.start(conversation);
        }
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if self.echoes() {
            return self.echo.frame_begun(header, conversation);
        }
        self.after.frame_begun(header, conversation);
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        if self.echoes() {
            return self.echo.payload(bytes, conversation);
        }
        self.after.payload(bytes, conversation);
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if self.echoes() {
            return self.echo.frame_ended(header, conversation);
        }
        if self.after.frame_ended(header, conversation) {
            self.start(conversation);
        }
    }

    fn ping_received(&mut self, payload: &[u8], conversation: &mut Conversation) {
        if self.ending.is_none() {
            self.echo.ping_received(payload, conversation);
        }
    }

    fn close_received(&mut self, body: &[u8], conversation: &mut Conversation) {
        if self.ending.is_none() {
            self.echo.close_received(body, conversation);
        }
    }

    fn write_pace(&self) -> Option<Pace> {
        self.pace
    }
}
