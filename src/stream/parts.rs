//! `wsstream_read_some`: messages handed out in parts, so that memory stays bounded whatever the size of a message.

use super::Stream;
use super::pump::{Goal, Pumped};
use super::read_side::Part;
use super::status::Status;
use super::timeout::Timeout;
use crate::memory::{Loan, Room};

impl Stream {
    /// `wsstream_read_some`: fills `lent` from its front; where it has no room nothing is taken.
    pub fn read_some(&self, timeout: Timeout, lent: &mut Loan<'_>) -> Result<Part, Status> {
        let goal = Goal::Part { room: lent.spare() };
        self.read_with(None, timeout, goal, |side, pumped| match pumped {
            Pumped::Lent => self
                .receive_lent(side, lent)
                .map(Ok)
                .or_else(|| self.take_last_with(side, |side| side.take_some(lent))),
            Pumped::Ended => self.take_last_with(side, |side| side.take_some(lent)),
            _ => side.take_some(lent).map(Ok),
        })
    }
}
