//! Waiting for more than one thing, and for the end.

use super::pump::Goal;
use super::read::{Driving, Patience, Slept, can_own};
use super::read_word::{CANCELLED, DISCARD, ENDED, FREED, QUEUED};
use super::status::Status;
use super::timeout::{Deadline, Timeout};
use super::{CLOSED, EVENTS, OPENED, READABLE, READABLE_SOME, Stream, WRITABLE};

/// Events that only the owner of the read word brings about.
pub(super) const DRIVEN: u32 = READABLE | READABLE_SOME | OPENED;

/// What to pump for.
pub(super) fn goal_of(events: u32) -> Goal {
    if events & READABLE_SOME != 0 {
        Goal::Part { room: 0 }
    } else if events & READABLE != 0 {
        Goal::Queue
    } else {
        Goal::Open
    }
}

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
        let mut patience = Patience::default();
        loop {
            // What the words say needs no ownership, which would keep the internal thread from reading on.
            let said = self.events_holding(events, false, false);
            if said != 0 && said & DRIVEN == events & DRIVEN {
                return self.polled(said);
            }
            let slept = match self.own_for(events) {
                Some(mut driving) => {
                    let side = driving.side();
                    let pumped = self.pump(side, goal_of(events), is_last_look || !side.is_drained);
                    let holding = self.events_in_hand(events, side, &pumped);
                    if holding != 0 || is_last_look {
                        driving.leave();
                        return self.polled(holding);
                    }
                    let is_there = || self.note_writable(events);
                    let slept = self.sleep_as_owner(side, events, &mut deadline, timeout, is_there);
                    driving.leave();
                    slept
                }
                None => {
                    let holding = self.events_holding(events, false, false);
                    if holding != 0 {
                        return self.polled(holding);
                    }
                    let is_driven = events & DRIVEN != 0 && self.is_at_work(self.read.load());
                    if is_driven && patience.outwaits() {
                        // What the other thread has found may be what is asked for.
                        continue;
                    }
                    if is_last_look {
                        return self.polled(0);
                    }
                    let deadline = *deadline.get_or_insert_with(|| {
                        if events & DRIVEN == 0 {
                            self.hand_over();
                        }
                        timeout.deadline()
                    });
                    self.wait_for(events, events | CLOSED, None, deadline, || self.note_waiting(events))
                }
            };
            match slept {
                Slept::Woken => {}
                Slept::Over => is_last_look = true,
                Slept::Resource => return (Status::Resource, 0),
            }
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

    /// The right to drive, where the events ask for it and nobody else does.
    fn own_for(&self, events: u32) -> Option<Driving<'_>> {
        if events & DRIVEN == 0 { None } else { self.try_own() }
    }

    /// Where WRITABLE is asked for: says that somebody waits for it, and whether it holds.
    pub(super) fn note_writable(&self, events: u32) -> bool {
        if events & WRITABLE == 0 {
            return false;
        }
        self.write.wait();
        self.is_writable()
    }

    /// Says what is waited for, and whether to look again at once.
    pub(super) fn note_waiting(&self, events: u32) -> bool {
        if events & DRIVEN != 0 {
            self.read.wait();
        }
        self.note_writable(events)
            || self.events_holding(events, false, false) != 0
            || (events & DRIVEN != 0 && can_own(self.read.load()))
    }

    /// Which of the events hold now. Who owns the read word says what it has found.
    pub(super) fn events_holding(&self, events: u32, has_message: bool, has_part: bool) -> u32 {
        let word = self.read.load();
        let is_said = word & (QUEUED | CANCELLED | ENDED | FREED) != 0;
        let mut holding = 0;
        let mut note = |event: u32, holds: bool| holding |= if holds { event } else { 0 };
        note(OPENED, self.opened_status().is_some());
        note(READABLE, is_said || has_message);
        note(READABLE_SOME, is_said || has_part);
        note(WRITABLE, self.is_writable());
        note(CLOSED, self.settled().is_some());
        holding & events
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

    /// `wsstream_wait_closed`. It takes no message.
    pub fn wait_closed(&self, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let status = self.wait_for_end(timeout);
        if status == Status::Again {
            self.quieten_descriptor();
        }
        status
    }

    fn wait_for_end(&self, timeout: Timeout) -> Status {
        let mut deadline = None;
        loop {
            if self.is_freed() {
                return Status::State;
            }
            if let Some(info) = self.settled() {
                return info.status;
            }
            if timeout.is_zero() {
                return Status::Again;
            }
            let slept = match self.drive_to_end(&mut deadline, timeout) {
                Some(slept) => slept,
                None => {
                    let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
                    self.hand_over();
                    let is_there = || self.closed.info().is_some() || self.is_freed();
                    self.wait_for(CLOSED, CLOSED, None, deadline, is_there)
                }
            };
            match slept {
                Slept::Woken => {}
                Slept::Over => return self.settled().map_or(Status::Again, |info| info.status),
                Slept::Resource => return Status::Resource,
            }
        }
    }

    /// After a local close what arrives is dropped, so whoever waits for the end can drive towards it and sleep, and keeps no
    /// reader from a message. None: another thread drives, or is to.
    fn drive_to_end(&self, deadline: &mut Option<Deadline>, timeout: Timeout) -> Option<Slept> {
        if self.read.load() & DISCARD == 0 {
            return None;
        }
        let mut driving = self.try_own()?;
        let side = driving.side();
        // What came before the close is kept for a reader, who has to find it.
        let is_for_nobody = (side.is_discarding || side.is_over) && !side.has_queued();
        self.pump(side, Goal::Mark, !side.is_drained);
        let slept = if self.closed.info().is_some() {
            Some(Slept::Woken)
        } else if is_for_nobody {
            Some(self.sleep_as_owner(side, CLOSED, deadline, timeout, || false))
        } else if side.has_queued() {
            None
        } else {
            Some(Slept::Woken)
        };
        driving.leave();
        slept
    }
}
