//! The end of a stream, as `src/stream/control.rs` and `mod.rs` have it.

use super::kernel::Command;
use super::serving::Locked;
use super::stream::{Bug, Cause, Control, Status, Stream};
use wsstream_models::proto::closing::{Action, Input, State};
use wsstream_models::stream::read_word::{self, THROTTLED};
use wsstream_models::stream::write_word;

impl Stream {
    /// `mark(ENDED)` of the writing half: before anybody can frame our Close, so that nothing is framed behind it.
    fn mark_end_of_writing(&self, is_late: bool) {
        if self.has(Bug::EndMarkedLate) == is_late && !self.has(Bug::WriteEndNotMarked) {
            self.write.mark(write_word::ENDED);
        }
    }

    /// The peer's Close was decoded.
    pub fn handle_close_received(&self) {
        let mut control = self.control();
        if !control.is_open() || control.peer_close {
            return;
        }
        control.peer_close = true;
        self.end_writing();
        self.mark_end_of_writing(false);
        if control.step(Input::CloseReceived) == Action::QueueReply {
            control.close = true;
        }
        drop(control);
        self.mark_end_of_writing(true);
        self.serve_posted();
    }

    /// TCP has ended, or broke.
    pub fn handle_transport_ended(&self, broke: bool) {
        let mut control = self.control();
        let is_sending = !control.send_failed;
        if !broke && is_sending && control.state != State::Closed {
            // Another thread may have the write word. A reply that was left to it goes out, and what the socket has told it
            // is known, before the end is judged.
            let is_reply_due = control.state == State::ReplyDue;
            drop(control);
            if is_reply_due && !self.has(Bug::ReplyNotServed) {
                self.serve_now();
            } else if !is_reply_due && !self.has(Bug::SenderUnawaited) {
                Locked::new(self, self.lock_write(), false).unlock(false);
            }
            control = self.control();
        }
        let has_failed = broke || control.send_failed;
        let input = if has_failed { Input::Failed } else { Input::TransportEnded };
        let action = control.step(input);
        let cause = if has_failed { Cause::System } else { Cause::Other };
        self.settle_by(&mut control, action, false, cause);
    }

    /// Settles where the table says so.
    pub fn settle_by(&self, control: &mut Control, action: Action, linger: bool, cause: Cause) {
        match action {
            Action::SettleClean => self.settle(control, true, linger, cause),
            Action::SettleUnclean | Action::GiveUp => self.settle(control, false, linger, cause),
            _ => {}
        }
    }

    /// TCP ended before the handshake was accepted.
    pub fn handle_opening_ended(&self) {
        self.control().send_failed = false;
        self.fail();
    }

    /// `Stream::fail`.
    pub fn fail(&self) {
        let mut control = self.control();
        match control.state {
            State::Closed => return,
            State::Connecting => {
                control.step(Input::Failed);
                self.settle(&mut control, false, false, Cause::Failure);
                return;
            }
            _ => control.failing = true,
        }
        drop(control);
        self.serve_posted();
    }

    /// `Stream::close`.
    pub fn close(&self) -> Status {
        let _inside = self.inside();
        if self.is_freed() {
            return Status::State;
        }
        self.start_closing();
        Status::Ok
    }

    /// `Stream::cancel`.
    pub fn cancel(&self) -> Status {
        let _inside = self.inside();
        if self.is_freed() {
            return Status::State;
        }
        let control = self.control();
        if !self.has_settled() && !self.has(Bug::CancelNotMarked) {
            self.read.mark(read_word::CANCELLED | read_word::DISCARD);
        }
        drop(control);
        self.start_closing();
        self.notify(u32::MAX);
        if !self.has(Bug::CancelNotTakenOver) {
            self.kernel().ask(Command::TakeOver);
        }
        Status::Ok
    }

    fn start_closing(&self) {
        let mut control = self.control();
        match control.step(Input::LocalClose) {
            Action::GiveUp => {
                self.end_writing();
                self.settle(&mut control, false, false, Cause::Other);
            }
            Action::QueueClose => {
                self.end_writing();
                control.is_local = true;
                self.mark_end_of_writing(false);
                control.close = true;
                self.read.mark(read_word::DISCARD);
                drop(control);
                self.mark_end_of_writing(true);
                self.serve_posted();
                self.notify(u32::MAX);
                // `watch_again`.
                if self.read_word() & THROTTLED != 0 && !self.has(Bug::NudgeForgotten) {
                    self.kernel().ask(Command::Nudge);
                }
            }
            _ => {}
        }
    }

    /// `Stream::wake`.
    pub fn interrupt(&self, events: u32) -> Status {
        let _inside = self.inside();
        if self.is_freed() {
            return Status::State;
        }
        self.kernel().interrupt(events, self.setup.bug);
        Status::Ok
    }

    /// `Stream::free`.
    pub fn free(&self) {
        let _inside = self.inside();
        if !self.has(Bug::FreedNotMarked) && self.read.mark(read_word::FREED) & read_word::FREED != 0 {
            return;
        }
        let freed = if self.has(Bug::WriteFreedNotMarked) { 0 } else { write_word::FREED };
        self.write.mark(freed | write_word::ENDED);
        if self.setup.calls_back {
            self.free_callbacks();
        }
        self.fail();
        self.notify(u32::MAX);
        self.kernel().ask(Command::Freed);
    }
}
