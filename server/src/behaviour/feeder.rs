//! What sends by itself, at once or from the client's first message on, and answers a Close as any other server.

use super::{Behaviour, Made};
use crate::frame::FrameHeader;
use crate::query::Query;
use crate::session::Conversation;
use crate::wire::{Ending, How, Wire};
use std::io;

/// All that is sent, made as it goes.
type Feed = Box<dyn FnOnce(&Wire) -> io::Result<Option<Ending>> + Send>;

/// Feeds the wire once.
pub struct Feeder {
    feed: Option<Feed>,
    waits: bool,
    ending: Ending,
}

impl Feeder {
    /// For a route that declares `wait` and how TCP ends.
    pub fn make(
        query: &Query,
        feed: impl FnOnce(&Wire) -> io::Result<Option<Ending>> + Send + 'static,
    ) -> Made {
        let waits = query.flag_or("wait", false)?;
        let ending = Ending::from_query(query, How::Fin)?;
        Ok(Box::new(Feeder { feed: Some(Box::new(feed)), waits, ending }))
    }

    fn start(&mut self, conversation: &mut Conversation) {
        if let Some(feed) = self.feed.take() {
            conversation.feed(feed);
        }
    }
}

impl Behaviour for Feeder {
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

    fn close_received(&mut self, body: &[u8], conversation: &mut Conversation) {
        conversation.send_close(body);
        conversation.end(self.ending.clone());
    }

    fn wants_payload(&self) -> bool {
        false
    }
}
