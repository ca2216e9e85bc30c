//! Many whole messages in one call: framed under one lock and given to the system together.
//!
//! Small ones are framed here, until the write buffer is full; any other goes the way of a single write.

use super::Stream;
use super::serve::Locked;
use super::status::Status;
use super::timeout::Timeout;
use super::write::ToWrite;
use std::iter::Peekable;

impl Stream {
    /// `wsstream_write_many`: the status, and how many were taken.
    pub fn write_many<'d>(
        &self,
        messages: impl Iterator<Item = ToWrite<'d>>,
        timeout: Timeout,
    ) -> (Status, usize) {
        // Between two takings of the word nothing else keeps the memory.
        let _inside = self.inside();
        let deadline = (timeout.0 > 0).then(|| timeout.deadline());
        let mut messages = messages.peekable();
        let (mut taken, mut rest) = (0, timeout);
        loop {
            let status = match self.write_run(&mut messages, &mut taken, rest) {
                // Also where another thread has taken the seat in between, which the header forbids.
                Status::Again | Status::Busy if taken > 0 => Status::Queued,
                status => status,
            };
            if status != Status::Ok || messages.peek().is_none() {
                return (status, taken);
            }
            if let Some(deadline) = deadline {
                rest = Timeout(deadline.remaining_ms().map_or(0, i64::from));
            }
        }
    }

    /// Takes small messages as long as there is room, or one that is not small.
    fn write_run<'d>(
        &self,
        messages: &mut Peekable<impl Iterator<Item = ToWrite<'d>>>,
        taken: &mut usize,
        timeout: Timeout,
    ) -> Status {
        let Ok(held) = self.write.enter() else { return self.write_next(None, messages, taken, timeout) };
        let mut locked = Locked::new(self, held, true);
        let side = locked.side();
        let before = *taken;
        let mut status = Status::Ok;
        while let Some(part) = messages.next_if(|part| self.is_short(side, part)) {
            if side.outgoing.check(part.kind, part.data, true, true).is_err() {
                status = Status::Argument;
                break;
            }
            if side.frame_message(part.kind, part.data).is_err() {
                return self.fail_write(locked);
            }
            *taken += 1;
        }
        if status == Status::Ok && *taken == before {
            return self.write_next(Some(locked), messages, taken, timeout);
        }
        side.send();
        if status == Status::Ok && !self.has_room(side) {
            return self.finish_write(locked, timeout);
        }
        locked.unlock(false);
        status
    }

    /// One message, as a write of its own.
    fn write_next<'a, 'd>(
        &'a self,
        locked: Option<Locked<'a>>,
        messages: &mut Peekable<impl Iterator<Item = ToWrite<'d>>>,
        taken: &mut usize,
        timeout: Timeout,
    ) -> Status {
        let Some(part) = messages.next() else { return Status::Ok };
        let more = messages.peek().is_some();
        let status = self.write_slowly(locked, ToWrite { more, ..part }, timeout);
        *taken += usize::from(matches!(status, Status::Ok | Status::Queued));
        status
    }
}
