//! Waiting for more than one thing, and for the end.

use super::read::{Driving, Goal, Slept, can_own};
use super::status::Status;
use super::timeout::Timeout;
use super::{CLOSED, EVENTS, OPENED, READABLE, READABLE_SOME, Stream, WRITABLE};

/// Events that only the owner of the read word brings about.
const DRIVEN: u32 = READABLE | READABLE_SOME | OPENED;

impl Stream {
    /// `wsstream_poll`.
    pub fn poll(&self, events: u32, timeout: Timeout) -> (Status, u32) {
        if events == 0 || events & !EVENTS != 0 {
            return (Status::Argument, 0);
        }
        let _inside = self.inside();
        if self.is_freed() {
            return (Status::State, 0);
        }
        let mut deadline = None;
        let mut is_last_look = timeout.is_zero();
        loop {
            let holding = self.events_holding(events);
            if self.is_freed() {
                return (Status::State, 0);
            }
            if holding != 0 {
                return (Status::Ok, holding);
            }
            if is_last_look {
                return (Status::Again, 0);
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
            let slept = match self.own_for(events) {
                Some(mut driving) => {
                    let mut deadline = Some(deadline);
                    let is_there = || self.note_writable(events);
                    let slept = self.sleep_as_owner(driving.side(), events, &mut deadline, timeout, is_there);
                    driving.leave();
                    slept
                }
                None => self.wait_for(events | CLOSED, None, deadline, || {
                    if events & DRIVEN != 0 {
                        self.read.wait();
                    }
                    self.note_writable(events)
                        || self.events_holding_passively(events) != 0
                        || (events & DRIVEN != 0 && can_own(self.read.load()))
                }),
            };
            match slept {
                Slept::Woken => {}
                Slept::Over => is_last_look = true,
                Slept::Resource => return (Status::Resource, 0),
            }
        }
    }

    /// The right to drive, where the events ask for it and nobody else does.
    fn own_for(&self, events: u32) -> Option<Driving<'_>> {
        if events & DRIVEN == 0 { None } else { self.try_own() }
    }

    /// Where WRITABLE is asked for: says that somebody waits for it, and whether it holds.
    fn note_writable(&self, events: u32) -> bool {
        if events & WRITABLE == 0 {
            return false;
        }
        self.write.wait();
        self.is_writable()
    }

    /// Which of the events hold now; drives the reading half for those that need it.
    fn events_holding(&self, events: u32) -> u32 {
        let mut holding = self.events_holding_passively(events);
        if events & READABLE != 0 && self.is_readable(Goal::Queue) {
            holding |= READABLE;
        }
        if events & READABLE_SOME != 0 && self.is_readable(Goal::Part) {
            holding |= READABLE_SOME;
        }
        if events & OPENED != 0 && holding & OPENED == 0 && self.wait_opened(Timeout(0)) != Status::Again {
            holding |= OPENED;
        }
        holding
    }

    fn events_holding_passively(&self, events: u32) -> u32 {
        let mut holding = 0;
        if events & OPENED != 0 && self.opened_status().is_some() {
            holding |= OPENED;
        }
        if events & WRITABLE != 0 && self.is_writable() {
            holding |= WRITABLE;
        }
        if events & CLOSED != 0 && self.closed.info().is_some() {
            holding |= CLOSED;
        }
        holding
    }

    /// `wsstream_wake`.
    pub fn wake(&self, events: u32) -> Status {
        if events == 0 || events & !EVENTS != 0 {
            return Status::Argument;
        }
        let _inside = self.inside();
        if self.is_freed() {
            return Status::State;
        }
        self.waiters.interrupt(events);
        Status::Ok
    }

    /// `wsstream_wait_closed`. It reads nothing.
    pub fn wait_closed(&self, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let mut deadline = None;
        loop {
            if self.is_freed() {
                return Status::State;
            }
            if let Some(info) = self.closed.info() {
                return info.status;
            }
            if timeout.is_zero() {
                return Status::Again;
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
            match self.wait_for(CLOSED, None, deadline, || self.closed.info().is_some() || self.is_freed()) {
                Slept::Woken => {}
                Slept::Over => return self.closed.info().map_or(Status::Again, |info| info.status),
                Slept::Resource => return Status::Resource,
            }
        }
    }
}
