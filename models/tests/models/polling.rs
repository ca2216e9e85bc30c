//! Waiting for more than one thing, as `src/stream/poll.rs` and the waiting half of `opening.rs` have it.

use super::kernel::Interest;
use super::reading::{Driving, Goal, Pumped, Slept, can_own};
use super::stream::{Bug, CLOSED, OPENED, READABLE, Status, Stream, Timeout, WRITABLE};
use wsstream_models::stream::read_word::{CANCELLED, DISCARD, ENDED, FREED, QUEUED};

/// Events that only the owner of the read word brings about.
pub const DRIVEN: u32 = READABLE | OPENED;

impl Stream {
    /// `Stream::poll`.
    pub fn poll(&self, place: usize, events: u32, timeout: Timeout) -> (Status, u32) {
        let Some(_inside) = self.begin() else { return (Status::State, 0) };
        if self.is_freed() {
            return (Status::State, 0);
        }
        let mut is_last_look = timeout == Timeout::Zero;
        let mut is_handed_over = events & DRIVEN != 0;
        loop {
            let slept = match self.own_for(events) {
                Some(mut driving) => {
                    let side = driving.side();
                    if !self.has(Bug::PollSleepsUnlooked) {
                        let goal = if events & READABLE != 0 { Goal::Queue } else { Goal::Open };
                        let pumped = self.pump(side, goal, is_last_look || !side.is_drained);
                        let ended = if pumped == Pumped::Ended { events & READABLE } else { 0 };
                        let holding = self.events_holding(events, !side.queue.is_empty()) | ended;
                        if holding != 0 || is_last_look {
                            driving.leave();
                            return self.polled(holding);
                        }
                    }
                    let slept = self.sleep_as_owner(place, side, events, || self.note_writable(events));
                    driving.leave();
                    slept
                }
                None => {
                    let holding = self.events_holding(events, false);
                    if holding != 0 {
                        return self.polled(holding);
                    }
                    // It may have left, with what is asked for, since the look above.
                    if events & DRIVEN != 0 && self.is_at_work(self.read_word()) {
                        loom::thread::yield_now();
                        continue;
                    }
                    if is_last_look {
                        return self.polled(0);
                    }
                    if !std::mem::replace(&mut is_handed_over, true) {
                        self.hand_over();
                    }
                    self.wait_for(place, events, events | CLOSED, Interest::default(), || {
                        self.note_waiting(events)
                    })
                }
            };
            is_last_look |= slept == Slept::Over;
        }
    }

    fn polled(&self, holding: u32) -> (Status, u32) {
        match holding {
            _ if self.is_freed() => (Status::State, 0),
            0 => {
                self.quieten_descriptor();
                (Status::Again, 0)
            }
            holding => (Status::Ok, holding),
        }
    }

    fn own_for(&self, events: u32) -> Option<Driving<'_>> {
        if events & DRIVEN == 0 { None } else { self.try_own() }
    }

    pub fn note_writable(&self, events: u32) -> bool {
        if events & WRITABLE == 0 {
            return false;
        }
        self.write.wait();
        self.is_writable()
    }

    pub fn note_waiting(&self, events: u32) -> bool {
        if events & DRIVEN != 0 {
            self.read.wait();
        }
        self.note_writable(events)
            || self.events_holding(events, false) != 0
            || (events & DRIVEN != 0 && can_own(self.read_word()))
    }

    pub fn events_holding(&self, events: u32, has_message: bool) -> u32 {
        let word = self.read_word();
        let has_message = has_message || word & (QUEUED | CANCELLED | ENDED | FREED) != 0;
        let mut holding = if has_message { READABLE } else { 0 };
        // Only what is asked for: the others are loads that change nothing.
        if events & OPENED != 0 && self.opened_status().is_some() {
            holding |= OPENED;
        }
        if events & WRITABLE != 0 && self.is_writable() {
            holding |= WRITABLE;
        }
        if events & CLOSED != 0 && self.has_told() {
            holding |= CLOSED;
        }
        holding & events
    }

    /// `wait_closed`.
    pub fn wait_closed(&self, place: usize) -> Status {
        let Some(_inside) = self.begin() else { return Status::State };
        loop {
            if self.is_freed() {
                return Status::State;
            }
            if self.has_told() {
                return Status::Ended;
            }
            let slept = match self.drive_to_end(place) {
                Some(slept) => slept,
                None => {
                    self.hand_over();
                    self.wait_for(place, CLOSED, CLOSED, Interest::default(), || {
                        self.has_settled() || self.is_freed()
                    })
                }
            };
            if slept == Slept::Over {
                return if self.has_told() { Status::Ended } else { Status::Again };
            }
        }
    }

    fn drive_to_end(&self, place: usize) -> Option<Slept> {
        if self.read_word() & DISCARD == 0 {
            return None;
        }
        let mut driving = self.try_own()?;
        let side = driving.side();
        let is_for_nobody =
            (side.is_discarding || side.is_over) && (side.queue.is_empty() || self.has(Bug::KeptForNobody));
        self.pump(side, Goal::Mark, !side.is_drained);
        let slept = if self.has_settled() {
            Some(Slept::Woken)
        } else if is_for_nobody {
            Some(self.sleep_as_owner(place, side, CLOSED, || false))
        } else if side.queue.is_empty() {
            Some(Slept::Woken)
        } else {
            None
        };
        driving.leave();
        slept
    }

    /// `wait_opened`.
    pub fn wait_opened(&self, place: usize, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let mut is_last_look = timeout == Timeout::Zero;
        loop {
            if let Some(status) = self.opened_status() {
                return status;
            }
            let slept = match self.try_own() {
                Some(mut driving) => {
                    self.pump(driving.side(), Goal::Open, true);
                    let slept = if self.opened_status().is_some() {
                        Slept::Woken
                    } else if is_last_look {
                        driving.leave();
                        return Status::Again;
                    } else {
                        self.sleep_as_owner(place, driving.side(), OPENED, || false)
                    };
                    driving.leave();
                    slept
                }
                None => self.follow(place, OPENED, is_last_look, || {
                    !self.has(Bug::OpenedUnseen) && self.opened_status().is_some()
                }),
            };
            if slept == Slept::Over && is_last_look {
                return self.opened_status().unwrap_or(Status::Again);
            }
            is_last_look |= slept == Slept::Over;
        }
    }

    pub fn opened_status(&self) -> Option<Status> {
        if self.is_freed() {
            return Some(Status::State);
        }
        if self.has_opened() {
            return Some(Status::Ok);
        }
        self.has_told().then_some(Status::Ended)
    }
}
