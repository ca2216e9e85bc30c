//! `wsstream_read_some`: messages handed out in parts, so that memory stays bounded whatever the size of a message.

use super::Stream;
use super::pump::{Goal, Pumped};
use super::read_side::{Part, ReadSide};
use super::status::Status;
use super::timeout::Timeout;

impl Stream {
    /// `wsstream_read_some`: `copy` gets the bytes, at most `capacity`; with 0 nothing is taken.
    pub fn read_some(
        &self,
        timeout: Timeout,
        capacity: usize,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<Part, Status> {
        let mut take_some = |side: &mut ReadSide| side.take_some(capacity, copy);
        self.read_with(None, timeout, Goal::Part, |side, pumped| match pumped {
            Pumped::Ended => self.take_last_with(side, &mut take_some),
            _ => take_some(side).map(Ok),
        })
    }
}
