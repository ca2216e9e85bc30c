//! What the internal thread does with a stream: it takes the same two words as any other thread, for work that does
//! not wait, and only when nobody else drives.

use super::pump::Pumped;
use super::read::Driving;
use super::read_side::ReadSide;
use super::read_word::{
    ARMED, CALLER, CANCELLED, COUNT, DESCRIPTOR, DETACHED, DISCARD, ENDED, INTERNAL, LINGER, OWNER,
    THROTTLED, WATCHED,
};
use super::serve::Locked;
use super::write_word::{HELD, OUTARMED};
use super::{Ending, READABLE, READABLE_SOME, Stream};
use crate::net::Transport;
use crate::net::poller::Interest;
use crate::net::transport::Received;
use crate::runtime::{ConnectError, Driven, Failure, Wanted};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// How many receives of a connection that is over are thrown away before others get their turn.
const DISCARDS_MAX: usize = 64;

impl Driven for Stream {
    fn resolved(&self) {
        self.handle_resolved();
    }

    fn connected(&self, outcome: Result<OwnedFd, ConnectError>) -> Wanted {
        crate::fault::point("runtime.connected");
        self.handle_connected(outcome);
        self.wanted()
    }

    fn transport(&self) -> Option<Arc<Transport>> {
        self.transport.get().and_then(Weak::upgrade)
    }

    fn ready(&self, event: bool, error: bool) -> Wanted {
        crate::fault::point("runtime.ready");
        if event && !error && self.is_for_event_loop() {
            return self.leave_to_event_loop();
        }
        let read = if event {
            self.write.disarm();
            Some(self.read.own_after_event())
        } else {
            None
        };
        if self.closed.info().is_some() {
            if let Some(Ok(held)) = read {
                Driving::new(self, held, false).leave();
            }
            return self.reap();
        }
        if event {
            self.send_rest();
        }
        match read {
            Some(Ok(held)) => {
                if error && self.read.load() & THROTTLED != 0 {
                    self.fail_throttled(&held);
                }
                self.drive_internally(held);
            }
            // A local close reads on past the mark.
            None if self.read.load() & (THROTTLED | DISCARD) == THROTTLED | DISCARD => {
                if let Ok(held) = self.read.own(INTERNAL) {
                    self.drive_internally(held);
                }
            }
            _ => {}
        }
        self.wanted()
    }

    fn take_over(&self) -> Wanted {
        crate::fault::point("runtime.take_over");
        if let Ok(held) = self.read.own(INTERNAL) {
            self.drive_internally(held);
        }
        self.wanted()
    }

    fn sweep(&self, seen: &mut u64) -> (bool, Wanted) {
        crate::fault::point("runtime.sweep");
        if self.write.load() & HELD != 0 {
            self.write.unlist();
            self.send_held();
        }
        let word = self.read.load();
        if self.closed.info().is_some() {
            return (false, self.reap());
        }
        if word & LINGER == 0 {
            return (false, self.wanted());
        }
        let count = word >> COUNT.trailing_zeros();
        if count != *seen {
            *seen = count;
            return (true, self.drive_in_passing());
        }
        if let Ok(held) = self.read.own_after_sweep() {
            self.drive_internally(held);
            self.send_held();
        }
        (false, self.wanted())
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        crate::fault::point("runtime.deadline");
        self.handle_deadline(now)
    }

    fn call_back(&self) -> Wanted {
        self.take_post();
        crate::fault::point("runtime.call_back");
        self.run_callbacks();
        if self.closed.info().is_some() { Wanted::Nothing } else { self.wanted() }
    }

    fn freed(&self) {
        self.run_freed();
    }

    fn is_deserted(&self) -> bool {
        let is_lingering = self.control().linger_until.is_some();
        !is_lingering
            && self.read.load() & DETACHED != 0
            && self.closed.info().is_some()
            && !self.has_reader()
            && !self.has_writer()
            // A read-modify-write sees the latest count, whatever the call inside has touched beside it.
            && self.inside.fetch_add(0, Ordering::AcqRel) == 0
    }

    fn fail(&self, failure: Failure) {
        match failure {
            Failure::Bug => self.fail_internal(),
            Failure::Refused => {
                Stream::fail(self, Ending::resource("The system refused to watch the socket."), None)
            }
        }
    }
}

impl Stream {
    /// Whether the program's event loop is the one to receive.
    fn is_for_event_loop(&self) -> bool {
        let kept = DESCRIPTOR | CANCELLED | DISCARD | ENDED | THROTTLED;
        self.read.load() & kept == DESCRIPTOR && !self.waiters.is_calling(READABLE | READABLE_SOME)
    }

    /// An event came, and the program's event loop has seen it, too: it has until the next sweep to come and read.
    fn leave_to_event_loop(&self) -> Wanted {
        self.write.disarm();
        if self.read.linger_after_event() {
            self.runtime.list(self.key);
        }
        self.send_rest();
        self.wanted_for_writing()
    }

    /// A sweep finds that somebody was there since the last one: what has come by now is seen to, since that one may have
    /// left, and the stream is left as it was, since that one may come back.
    fn drive_in_passing(&self) -> Wanted {
        let Ok(held) = self.read.own_in_passing() else { return self.wanted_for_writing() };
        let mut driving = Driving::new(self, held, false);
        if self.is_delivering() {
            driving.leave();
            return self.wanted_for_writing();
        }
        let side = driving.side();
        let (had_chunk, goal) = (side.has_chunk(), self.internal_goal(side));
        side.is_in_passing = true;
        let pumped = self.pump(side, goal, true);
        side.is_in_passing = false;
        if !had_chunk {
            side.release_memory();
        }
        if matches!(pumped, Pumped::Starved) && side.has_input() && !side.has_queued() {
            // The turn has ended before the input, and no reader has anything to come back for.
            self.runtime.take_over(self.key);
        }
        driving.leave();
        self.wanted_for_writing()
    }

    /// Before a wait that does not drive: at a sweep the stream would be taken over some milliseconds later.
    pub(super) fn hand_over(&self) {
        let word = self.read.load();
        if word & LINGER != 0 && word & OWNER != CALLER && word & DETACHED == 0 {
            self.runtime.take_over(self.key);
        }
    }

    /// What the poller is to watch, by the bits of both words.
    fn wanted(&self) -> Wanted {
        if self.closed.info().is_some() {
            return self.reap();
        }
        let read = self.read.load();
        let write = self.write.load() & OUTARMED != 0;
        if read & ARMED == 0 && !write {
            return Wanted::Nothing;
        }
        if read & WATCHED == 0 && !self.read.watch() {
            // It has ended in between, and whoever met that has let the socket go.
            return Wanted::Nothing;
        }
        Wanted::Watch(Interest { read: read & (ARMED | THROTTLED) == ARMED, write })
    }

    /// The same while a thread of the program reads: only what it cannot see to.
    fn wanted_for_writing(&self) -> Wanted {
        if self.write.load() & OUTARMED != 0 { self.wanted() } else { Wanted::Nothing }
    }

    /// Sends what the socket did not take before, or what MORE holds back.
    fn send_rest(&self) {
        if let Ok(held) = self.write.lock() {
            let mut locked = Locked::new(self, held, false);
            self.serve(locked.side());
            locked.unlock(false);
        }
    }

    /// A sweep has come by: sends what is held back, and gives back the memory that is not needed for that.
    fn send_held(&self) {
        if let Ok(held) = self.write.lock() {
            let mut locked = Locked::new(self, held, false);
            self.serve(locked.side());
            locked.side().release_memory();
            locked.unlock(false);
        }
    }

    /// The connection broke while nobody reads: what came before is above the mark and stays unread (R07).
    fn fail_throttled(&self, side: &ReadSide) {
        let error = match side.transport.as_ref().map_or(0, |transport| transport.error()) {
            // A sender was told before.
            0 => std::io::ErrorKind::ConnectionReset.into(),
            error => std::io::Error::from_raw_os_error(error),
        };
        self.handle_transport_ended(Some(&error));
    }

    /// After `closed` has settled: lets the socket go, or first discards what the peer still sends.
    fn reap(&self) -> Wanted {
        let until = self.control().linger_until;
        let is_lingering = until.is_some_and(|until| Instant::now() < until);
        let Ok(held) = self.read.own(INTERNAL) else {
            // Whoever has it leaves soon, as the stream has ended, and asks for this again.
            return Wanted::Nothing;
        };
        let mut driving = Driving::new(self, held, false);
        if is_lingering && let_pass(driving.side()) {
            driving.leave_as(true, false);
            return Wanted::Watch(Interest { read: true, write: false });
        }
        self.control().linger_until = None;
        self.let_socket_go(driving.side());
        self.read.forget();
        driving.leave();
        Wanted::LetGo
    }

    /// Gives this stream's shares of the socket back (by the owner of the read word, once `closed` has settled); not while it
    /// is to be read on, which is for the internal thread.
    pub(super) fn let_socket_go(&self, side: &mut ReadSide) {
        if side.transport.is_none() || self.control().linger_until.is_some() {
            return;
        }
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().drop_unsent();
        locked.side().transport = None;
        locked.side().compression = None;
        if let Some(transport) = side.transport.take() {
            if transport.is_secure() {
                // RFC 8446 §6.1: close_notify goes out before our end of TCP.
                transport.end_sending();
            }
            transport.end();
        }
        locked.unlock(false);
        side.finish();
        side.release_memory();
    }
}

/// Throws away what the peer sends after the end; false: it has ended, too.
fn let_pass(side: &mut ReadSide) -> bool {
    side.finish();
    for _ in 0..DISCARDS_MAX {
        match side.receive(0) {
            Ok((Received::Bytes { .. }, _)) => side.finish(),
            Ok((Received::Nothing, _)) => return true,
            Ok((Received::End, _)) | Err(_) => return false,
        }
    }
    true
}
