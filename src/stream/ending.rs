//! The other ways to start the closing handshake: cancelling the readable side, closing or aborting the writable one.
//!
//! Their codes and reasons never fail: what `close` would refuse becomes an empty Close (R12, W14).

use super::Stream;
use super::read_word::{CANCELLED, DISCARD};
use super::status::Status;
use super::timeout::Timeout;
use super::write_word::FREED;
use crate::proto::close::{CloseRefusal, CloseRequest, check_close};

/// What goes into the Close; None where the code is no 16-bit number.
fn request_of(code: i32, reason: &str) -> Option<CloseRequest> {
    match check_close(code, reason) {
        Ok(request) => Some(request),
        Err(CloseRefusal::Argument) => None,
        Err(CloseRefusal::Access | CloseRefusal::Syntax) => Some(CloseRequest::default()),
    }
}

impl Stream {
    /// `wsstream_readable_cancel` (R10 to R15).
    pub fn cancel(&self, code: i32, reason: &str) -> Status {
        let _inside = self.inside();
        let Some(request) = request_of(code, reason) else { return Status::Argument };
        if self.is_freed() {
            return Status::State;
        }
        {
            let _control = self.control();
            // Under the lock that settles: an end that readers were told already stays what it was.
            if self.closed.info().is_none_or(|info| info.clean) {
                self.read.mark(CANCELLED | DISCARD);
            }
        }
        self.start_closing(request);
        self.notify(u32::MAX);
        // What is queued goes with the next owner.
        self.runtime.take_over(self.key);
        Status::Ok
    }

    /// `wsstream_writable_abort` (W12 to W14).
    pub fn abort_writing(&self, code: i32, reason: &str) -> Status {
        let _inside = self.inside();
        let Some(request) = request_of(code, reason) else { return Status::Argument };
        if self.is_freed() {
            return Status::State;
        }
        self.start_closing(request);
        Status::Ok
    }

    /// `wsstream_writable_close` (W10, W11): a Close without a body behind what was written, then the end.
    pub fn close_writing(&self, timeout: Timeout) -> Status {
        let _inside = self.inside();
        if self.write.load() & FREED != 0 {
            return Status::State;
        }
        match self.write_end() {
            Status::Ok => {}
            status => return status,
        }
        let held = self.lock_write();
        let is_open = held.outgoing.is_open();
        super::serve::Locked::new(self, held, false).unlock(false);
        if is_open {
            return Status::State;
        }
        self.start_closing(CloseRequest::default());
        self.wait_closed(timeout)
    }
}
