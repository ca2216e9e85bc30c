//! Reading, as `src/stream/read.rs`, `poll.rs` and the waiting half of `opening.rs` have it.

use super::kernel::{Command, Interest};
use super::stream::{
    ANSWER, Bug, CLOSE, CLOSED, OPENED, PING, READABLE, ReadSide, Status, Stream, Timeout, WRITABLE,
};
use wsstream_models::stream::read_word::{
    CALLER, DETACHED, DISCARD, ENDED, FREED, INTERNAL, Leave, OWNER, QUEUED, READER, Reading, THROTTLED,
};

/// Events that only the owner of the read word brings about.
const DRIVEN: u32 = READABLE | OPENED;

/// `Goal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Message,
    Queue,
    Mark,
    Open,
}

/// `Pumped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    Message(u8),
    Reached,
    Starved,
    Throttled,
    Ended,
}

/// `Decoded`.
enum Decoded {
    Message(u8),
    Ping,
    Close,
    Starved,
    Full,
}

/// `Slept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    Woken,
    Over,
}

impl ReadSide {
    fn decode(&mut self, budget: usize) -> Decoded {
        match self.input.front() {
            None => Decoded::Starved,
            Some(&PING) => {
                self.input.pop_front();
                Decoded::Ping
            }
            Some(&CLOSE) => {
                self.input.pop_front();
                Decoded::Close
            }
            Some(_) if budget == 0 => Decoded::Full,
            Some(_) => Decoded::Message(self.input.pop_front().unwrap()),
        }
    }

    /// What stops reading at the mark: what `budget` counts, not what is still to be decoded.
    fn held(&self, stream: &Stream) -> usize {
        self.queue.len() + if stream.has(Bug::InputThrottles) { self.input.len() } else { 0 }
    }

    pub fn finish(&mut self) {
        self.is_over = true;
        self.input.clear();
    }

    /// None: the peer has ended.
    pub fn receive(&mut self, stream: &Stream) -> Option<usize> {
        let bytes = stream.kernel().receive()?;
        self.is_drained = true;
        let size = bytes.len();
        if !self.is_over {
            self.input.extend(bytes);
        }
        Some(size)
    }
}

/// `Driving`.
pub struct Driving<'a> {
    stream: &'a Stream,
    held: Option<Reading<'a, ReadSide>>,
    reader: bool,
}

impl Drop for Driving<'_> {
    /// Only in unwinding, when the model has failed already.
    fn drop(&mut self) {
        std::mem::forget(self.held.take());
    }
}

impl<'a> Driving<'a> {
    pub fn new(stream: &'a Stream, held: Reading<'a, ReadSide>, reader: bool) -> Self {
        Self { stream, held: Some(held), reader }
    }

    pub fn side(&mut self) -> &mut ReadSide {
        self.held.as_mut().expect("held until it is left")
    }

    /// Said by the internal thread only; a mistake says it for a caller.
    fn says_armed(&self) -> bool {
        self.stream.has(Bug::CallerSaysArmed) && self.stream.read_word() & OWNER == CALLER
    }

    pub fn leave_quietly(mut self, queued: bool) {
        let Some(held) = self.held.take() else { return };
        let pending = !held.input.is_empty() && !self.stream.has(Bug::PendingNotSaid);
        self.stream.assert_alive();
        if let Err(held) = self.stream.read.leave_quietly(held, queued, pending) {
            self.held = Some(held);
            self.leave();
        }
    }

    pub fn leave(self) {
        self.leave_as(false, false);
    }

    pub fn leave_as(mut self, armed: bool, throttled: bool) {
        let Some(held) = self.held.take() else { return };
        let stream = self.stream;
        let _inside = stream.inside();
        let leave = Leave {
            reader: self.reader,
            queued: !held.queue.is_empty() && !stream.has(Bug::QueuedNotSaid),
            throttled: throttled
                || (stream.read_word() & THROTTLED != 0
                    && (stream.has(Bug::ThrottledForEver) || held.held(stream) >= stream.setup.read_mark)),
            armed: armed || self.says_armed(),
            detached: held.transport.is_none(),
            pending: !armed && !held.input.is_empty() && !stream.has(Bug::PendingNotSaid),
        };
        let left = stream.read.leave(held, leave);
        if left.list && !stream.has(Bug::ListForgotten) {
            stream.kernel().ask(Command::List);
        }
        if left.wake && !stream.has(Bug::WokenByNobody) {
            stream.kernel().wake(OPENED | READABLE);
        }
        // The internal thread looks for the end itself once it has left.
        if left.ended && !leave.detached && (!armed || stream.has(Bug::LingerNudges)) {
            stream.kernel().ask(Command::Nudge);
        }
    }
}

/// `can_own`.
pub fn can_own(word: u64) -> bool {
    word & OWNER == 0 && (word & DETACHED == 0 || word & (ENDED | FREED) != 0)
}

impl Stream {
    /// `Stream::read`, by the thread that sleeps at `place`.
    pub fn read(&self, place: usize, timeout: Timeout) -> Result<u8, Status> {
        let entered = self.read.enter();
        if self.is_given_back() {
            // The program began the call too late.
            std::mem::forget(entered);
            return Err(Status::State);
        }
        let Ok(held) = entered else { return self.read_slowly(place, None, timeout) };
        let mut driving = Driving::new(self, held, true);
        let side = driving.side();
        if side.queue.is_empty() {
            // `take_short`: a message and nothing else.
            if side.input.front().is_some_and(|&byte| byte != PING && byte != CLOSE) {
                let message = side.input.pop_front().unwrap();
                driving.leave_quietly(false);
                return Ok(message);
            }
        }
        self.read_here(place, driving, timeout)
    }

    fn read_here(&self, place: usize, mut driving: Driving<'_>, timeout: Timeout) -> Result<u8, Status> {
        let side = driving.side();
        let message = side.queue.pop_front().or_else(|| match side.decode(usize::MAX) {
            Decoded::Message(message) => Some(message),
            decoded => {
                self.see_to(side, decoded);
                None
            }
        });
        match message {
            Some(message) => {
                let is_queued = !side.queue.is_empty();
                driving.leave_quietly(is_queued);
                Ok(message)
            }
            None => self.read_slowly(place, Some(driving), timeout),
        }
    }

    /// `Stream::read_many`, two at most.
    pub fn read_two(&self, place: usize, timeout: Timeout) -> Vec<u8> {
        let mut messages = Vec::new();
        let mut _inside = None;
        if !self.has(Bug::BatchUnpinned) {
            _inside = self.begin();
            if _inside.is_none() {
                return messages;
            }
        }
        if let Ok(message) = self.read(place, timeout) {
            messages.push(message);
            if self.has_decoded() {
                messages.extend(self.read(place, Timeout::Zero));
            }
        }
        messages
    }

    fn read_slowly<'a>(
        &'a self,
        place: usize,
        driving: Option<Driving<'a>>,
        timeout: Timeout,
    ) -> Result<u8, Status> {
        let Some(_inside) = self.begin() else { return Err(Status::State) };
        let mut driving = driving;
        if driving.is_none() {
            match self.read.sit() {
                Err(word) if word & FREED != 0 => return Err(Status::State),
                Err(_) if !self.has(Bug::SecondReaderSits) => return Err(Status::Busy),
                _ => {}
            }
        }
        let mut is_last_look = timeout == Timeout::Zero;
        loop {
            let mut own = match driving.take().or_else(|| self.try_own()) {
                Some(mut own) => {
                    own.reader = true;
                    own
                }
                None => {
                    if self.follow(place, is_last_look, || false) == Slept::Over {
                        self.read.rise();
                        return Err(Status::Again);
                    }
                    continue;
                }
            };
            assert!(self.read_word() & READER != 0, "a read call has lost its seat");
            let receives = is_last_look || !own.side().is_drained;
            let result = match self.pump(own.side(), Goal::Message, receives) {
                Pumped::Message(message) => Some(Ok(message)),
                Pumped::Ended => self.take_last(own.side()),
                _ if is_last_look => Some(Err(Status::Again)),
                _ => None,
            };
            if let Some(result) = result {
                own.leave();
                return result;
            }
            if self.sleep_as_owner(place, own.side(), READABLE, || false) == Slept::Over {
                is_last_look = true;
            }
            driving = Some(own);
        }
    }

    pub fn try_own(&self) -> Option<Driving<'_>> {
        let word = self.read_word();
        let owns_early = self.has(Bug::OwnedWhileDetached) && word & OWNER == 0;
        if !can_own(word) && !owns_early {
            return None;
        }
        let who = if self.has(Bug::CallerAsInternal) { INTERNAL } else { CALLER };
        self.read.own(who).ok().map(|held| Driving::new(self, held, false))
    }

    /// `follow`; `is_there`: what the call waits for beside the ownership.
    fn follow(&self, place: usize, is_last_look: bool, is_there: impl FnOnce() -> bool) -> Slept {
        if is_last_look {
            let word = self.read_word();
            let is_idle = word & OWNER == CALLER && word & (QUEUED | ENDED | FREED) == 0;
            if is_idle || (word & OWNER == 0 && !can_own(word)) {
                return Slept::Over;
            }
            loom::thread::yield_now();
            return Slept::Woken;
        }
        self.wait_for(place, READABLE | OPENED, Interest::default(), || {
            if !self.has(Bug::WaiterNotSaid) {
                self.read.wait();
            }
            can_own(self.read_word()) || is_there()
        })
    }

    /// `wait_for` with `sleep`.
    pub fn wait_for(
        &self,
        place: usize,
        events: u32,
        socket: Interest,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        self.kernel().enter(place, events);
        if !is_there() {
            self.kernel().poll(place, socket);
            self.kernel().clear(place);
        }
        self.kernel().leave(place);
        Slept::Woken
    }

    fn sleep_as_owner(
        &self,
        place: usize,
        side: &mut ReadSide,
        events: u32,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        self.send_held_back();
        let socket = Interest { read: side.transport.is_some(), write: false };
        let discards = side.is_discarding;
        let slept = self.wait_for(place, events | READABLE | CLOSED, socket, || {
            let word = self.read_word();
            word & (ENDED | FREED) != 0 || (word & DISCARD != 0 && !discards) || is_there()
        });
        side.is_drained = false;
        slept
    }

    /// A receive empties the socket, so one is enough.
    pub fn pump(&self, side: &mut ReadSide, goal: Goal, receives: bool) -> Pumped {
        if let Some(pumped) = self.pump_decoded(side, goal) {
            return pumped;
        }
        if side.transport.is_none() || !receives {
            return Pumped::Starved;
        }
        match side.receive(self) {
            None => {
                self.see_to_end(side);
                Pumped::Ended
            }
            Some(0) => Pumped::Starved,
            Some(_) => self.pump_decoded(side, goal).unwrap_or(Pumped::Starved),
        }
    }

    fn pump_decoded(&self, side: &mut ReadSide, goal: Goal) -> Option<Pumped> {
        loop {
            let word = self.read_word();
            if word & (ENDED | FREED) != 0 {
                return Some(Pumped::Ended);
            }
            if side.is_opening {
                // `pump_opening`.
                if side.input.pop_front()? == ANSWER {
                    side.is_opening = false;
                    self.handle_accepted();
                }
                continue;
            }
            if goal == Goal::Open {
                return Some(Pumped::Reached);
            }
            if word & DISCARD != 0 && !side.is_discarding && !side.is_over {
                self.start_discarding(side);
            }
            match goal {
                Goal::Message => {
                    if let Some(message) = side.queue.pop_front() {
                        return Some(Pumped::Message(message));
                    }
                }
                Goal::Queue if !side.queue.is_empty() => return Some(Pumped::Reached),
                _ => {}
            }
            if side.is_over {
                side.finish();
                return None;
            }
            let budget = self.budget(side, goal);
            match side.decode(budget) {
                Decoded::Message(message) => {
                    if let Some(pumped) = take_message(side, goal, message) {
                        return Some(pumped);
                    }
                }
                Decoded::Starved if budget == 0 && goal == Goal::Mark => return Some(Pumped::Throttled),
                Decoded::Starved => return None,
                Decoded::Full => return Some(Pumped::Throttled),
                decoded => self.see_to(side, decoded),
            }
        }
    }

    fn budget(&self, side: &ReadSide, goal: Goal) -> usize {
        if goal != Goal::Mark || side.is_discarding || side.is_over {
            return usize::MAX;
        }
        self.setup.read_mark.saturating_sub(side.queue.len())
    }

    fn start_discarding(&self, side: &mut ReadSide) {
        loop {
            match side.decode(usize::MAX) {
                Decoded::Message(message) => side.queue.push_back(message),
                Decoded::Starved | Decoded::Full => break,
                decoded => {
                    self.see_to(side, decoded);
                    if side.is_over {
                        break;
                    }
                }
            }
        }
        side.is_discarding = true;
    }

    fn see_to(&self, side: &mut ReadSide, decoded: Decoded) {
        match decoded {
            Decoded::Ping => {
                let mut control = self.control();
                if control.is_open() && !control.peer_close {
                    control.pongs += 1;
                    drop(control);
                    self.serve_posted();
                }
            }
            Decoded::Close => {
                self.handle_close_received();
                side.finish();
            }
            Decoded::Message(_) | Decoded::Starved | Decoded::Full => {}
        }
    }

    fn see_to_end(&self, side: &mut ReadSide) {
        self.handle_transport_ended();
        side.finish();
    }

    fn take_last(&self, side: &mut ReadSide) -> Option<Result<u8, Status>> {
        if self.is_freed() {
            return Some(Err(Status::State));
        }
        if !self.has_settled() {
            return None;
        }
        Some(side.queue.pop_front().ok_or(Status::Ended))
    }

    pub fn has_decoded(&self) -> bool {
        self.assert_alive();
        let Ok(held) = self.read.own(CALLER) else { return true };
        let mut driving = Driving::new(self, held, false);
        let side = driving.side();
        let has = !side.queue.is_empty() || !side.input.is_empty();
        driving.leave();
        has
    }

    /// `drive_internally`.
    pub fn drive_internally(&self, held: Reading<'_, ReadSide>) {
        let mut driving = Driving::new(self, held, false);
        let pumped = self.pump(driving.side(), Goal::Mark, true);
        driving.leave_as(true, pumped == Pumped::Throttled);
    }

    /// `Stream::poll`.
    pub fn poll(&self, place: usize, events: u32, timeout: Timeout) -> (Status, u32) {
        let Some(_inside) = self.begin() else { return (Status::State, 0) };
        if self.is_freed() {
            return (Status::State, 0);
        }
        let is_last_look = timeout == Timeout::Zero;
        loop {
            match self.own_for(events) {
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
                    self.sleep_as_owner(place, side, events, || self.note_writable(events));
                    driving.leave();
                }
                None => {
                    let holding = self.events_holding(events, false);
                    if holding != 0 {
                        return self.polled(holding);
                    }
                    let word = self.read_word();
                    // It may have left, with what is asked for, since the look above.
                    let has_left = can_own(word) && !self.has(Bug::PollLooksTwice);
                    if events & DRIVEN != 0 && (word & OWNER == INTERNAL || has_left) {
                        loom::thread::yield_now();
                        continue;
                    }
                    if is_last_look {
                        return self.polled(0);
                    }
                    self.wait_for(place, events | CLOSED, Interest::default(), || self.note_waiting(events));
                }
            }
        }
    }

    fn polled(&self, holding: u32) -> (Status, u32) {
        match holding {
            _ if self.is_freed() => (Status::State, 0),
            0 => (Status::Again, 0),
            holding => (Status::Ok, holding),
        }
    }

    fn own_for(&self, events: u32) -> Option<Driving<'_>> {
        if events & DRIVEN == 0 { None } else { self.try_own() }
    }

    fn note_writable(&self, events: u32) -> bool {
        if events & WRITABLE == 0 {
            return false;
        }
        self.write.wait();
        self.is_writable()
    }

    fn note_waiting(&self, events: u32) -> bool {
        if events & DRIVEN != 0 {
            self.read.wait();
        }
        self.note_writable(events)
            || self.events_holding(events, false) != 0
            || (events & DRIVEN != 0 && can_own(self.read_word()))
    }

    fn events_holding(&self, events: u32, has_message: bool) -> u32 {
        let word = self.read_word();
        let has_message = has_message || word & (QUEUED | ENDED | FREED) != 0;
        let mut holding = if has_message { READABLE } else { 0 };
        // Only what is asked for: the others are loads that change nothing.
        if events & OPENED != 0 && self.opened_status().is_some() {
            holding |= OPENED;
        }
        if events & WRITABLE != 0 && self.is_writable() {
            holding |= WRITABLE;
        }
        if events & CLOSED != 0 && self.has_settled() {
            holding |= CLOSED;
        }
        holding & events
    }

    /// `wait_opened`.
    pub fn wait_opened(&self, place: usize, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let is_last_look = timeout == Timeout::Zero;
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
                None => self.follow(place, is_last_look, || {
                    !self.has(Bug::OpenedUnseen) && self.opened_status().is_some()
                }),
            };
            if slept == Slept::Over {
                return self.opened_status().unwrap_or(Status::Again);
            }
        }
    }

    fn opened_status(&self) -> Option<Status> {
        if self.is_freed() {
            return Some(Status::State);
        }
        if self.has_opened() {
            return Some(Status::Ok);
        }
        self.has_settled().then_some(Status::Ended)
    }

    /// `has_reader`.
    pub fn has_reader(&self) -> bool {
        let word = self.read_word();
        !self.has(Bug::ReaderUnseen) && (word & READER != 0 || word & OWNER == CALLER)
    }
}

fn take_message(side: &mut ReadSide, goal: Goal, message: u8) -> Option<Pumped> {
    if side.is_discarding {
        return None;
    }
    if goal == Goal::Message && side.queue.is_empty() {
        return Some(Pumped::Message(message));
    }
    side.queue.push_back(message);
    None
}
