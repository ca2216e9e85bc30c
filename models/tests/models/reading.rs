//! Reading, as `src/stream/read.rs` and `pump.rs` have it.

use super::kernel::{Command, Interest, Received};
use super::stream::{ANSWER, Bug, CLOSE, CLOSED, OPENED, PING, READABLE, ReadSide, Status, Stream, Timeout};
use loom::sync::atomic::Ordering;
use wsstream_models::stream::read_word::{
    CALLER, CANCELLED, DETACHED, DISCARD, ENDED, FREED, INTERNAL, Leave, OWNER, QUEUED, READER, Reading,
    THROTTLED,
};

/// `Goal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Message,
    Queue,
    /// The message at the head, then what fits below the mark.
    Head,
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
}

/// `Slept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    Woken,
    Over,
}

impl ReadSide {
    /// Nobody asks with a budget of nothing.
    fn decode(&mut self) -> Decoded {
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
            Some(_) => Decoded::Message(self.input.pop_front().unwrap()),
        }
    }

    /// `defers_end`.
    fn defers_end(&self) -> bool {
        self.is_in_passing && !self.queue.is_empty()
    }

    /// Whether something is left behind that the socket does not show.
    pub fn has_left(&self) -> bool {
        !self.queue.is_empty() || !self.input.is_empty()
    }

    pub fn finish(&mut self) {
        self.is_over = true;
        self.input.clear();
        self.has_chunk = false;
    }

    pub fn release_memory(&mut self) {
        self.has_chunk &= !self.input.is_empty();
    }

    pub fn receive(&mut self, stream: &Stream) -> Received {
        self.has_chunk = true;
        self.is_drained = true;
        let received = stream.kernel().receive(stream.setup.receive_size);
        if let Received::Bytes { bytes, drained } = &received {
            self.is_drained = *drained;
            self.input.extend(bytes);
        }
        if self.is_over {
            self.finish();
        }
        received
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

    /// Whether the sweep has to look at what is left.
    fn is_pending(&self, held: &ReadSide, armed: bool) -> bool {
        match self.stream.setup.bug {
            Bug::PendingNotSaid => false,
            Bug::ArmedPendingNotSaid => !armed && held.has_chunk,
            Bug::ChunkUnsaid => !held.input.is_empty(),
            _ => held.has_chunk,
        }
    }

    pub fn leave_quietly(mut self, queued: bool) {
        let Some(held) = self.held.take() else { return };
        let pending = self.is_pending(&held, false);
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
        let Some(mut held) = self.held.take() else { return };
        let stream = self.stream;
        let _inside = stream.inside();
        if !armed && stream.has_settled() {
            stream.let_socket_go(&mut held);
        }
        if stream.read_word() & CANCELLED != 0 && !stream.has(Bug::CancelledLeft) {
            held.queue.clear();
        }
        let leave = Leave {
            reader: self.reader,
            queued: !held.queue.is_empty() && !stream.has(Bug::QueuedNotSaid),
            throttled: !stream.is_calling(READABLE)
                && (throttled
                    || (stream.read_word() & THROTTLED != 0
                        && (stream.has(Bug::ThrottledForEver) || stream.budget(&held, Goal::Mark) == 0))),
            armed: armed || self.says_armed(),
            detached: held.transport.is_none(),
            pending: self.is_pending(&held, armed),
        };
        let has_left = held.has_left();
        let left = stream.read.leave(held, leave);
        if left.list && !stream.has(Bug::ListForgotten) {
            stream.kernel().ask(Command::List);
        }
        if left.wake && !stream.has(Bug::WokenByNobody) {
            stream.notify(OPENED | READABLE);
        } else if has_left && stream.is_calling(READABLE) {
            stream.kernel().ask(Command::CallBack);
        }
        if left.cancelled && leave.queued && !stream.has(Bug::CancelledLeft) {
            // Cancelled between the look above and the leaving.
            stream.kernel().ask(Command::TakeOver);
        }
        if left.descriptor && has_left && !stream.has(Bug::LeftUntold) {
            stream.raise_descriptor();
        }
        // The internal thread looks for the end itself once it has left.
        let is_kept = !leave.detached || (left.watched && !stream.has(Bug::WatchedUnseen));
        if left.ended && is_kept && (!armed || stream.has(Bug::LingerNudges)) {
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
        let message = side.queue.pop_front().or_else(|| match side.decode() {
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
            messages.extend(self.take_one_here(place));
        }
        messages
    }

    /// `take_those_here`, for one.
    fn take_one_here(&self, place: usize) -> Option<u8> {
        let entered = self.read.enter();
        self.assert_alive();
        // Refused: the stream has ended or is about to.
        let Ok(held) = entered else { return self.read(place, Timeout::Zero).ok() };
        let mut driving = Driving::new(self, held, true);
        let side = driving.side();
        let message = side.queue.pop_front().or_else(|| match side.decode() {
            Decoded::Message(message) => Some(message),
            decoded => {
                self.see_to(side, decoded);
                None
            }
        });
        self.serve_pongs(side);
        let is_queued = !side.queue.is_empty();
        driving.leave_quietly(is_queued);
        message
    }

    fn read_slowly<'a>(
        &'a self,
        place: usize,
        driving: Option<Driving<'a>>,
        timeout: Timeout,
    ) -> Result<u8, Status> {
        let Some(_inside) = self.begin() else { return Err(Status::State) };
        let result = self.read_inside(place, driving, timeout);
        if result == Err(Status::Again) {
            self.quieten_descriptor();
        }
        result
    }

    fn read_inside<'a>(
        &'a self,
        place: usize,
        mut driving: Option<Driving<'a>>,
        timeout: Timeout,
    ) -> Result<u8, Status> {
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
                    if self.read_word() & (CANCELLED | FREED) == CANCELLED {
                        self.read.rise();
                        return Err(Status::Done);
                    }
                    let is_there = || self.read_word() & CANCELLED != 0 && !self.has(Bug::CancelUnseenAsleep);
                    if self.follow(place, READABLE, is_last_look, is_there) == Slept::Over {
                        self.read.rise();
                        return Err(Status::Again);
                    }
                    continue;
                }
            };
            assert!(self.read_word() & READER != 0, "a read call has lost its seat");
            let receives = is_last_look || !own.side().is_drained;
            let mut result = match self.read_word() & (CANCELLED | FREED) {
                CANCELLED => Some(Err(Status::Done)),
                _ => match self.pump(own.side(), Goal::Message, receives) {
                    Pumped::Message(message) => Some(Ok(message)),
                    Pumped::Ended => self.take_last(own.side()),
                    _ => None,
                },
            };
            if result.is_none() && is_last_look {
                result = Some(Err(Status::Again));
            }
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
    pub fn follow(
        &self,
        place: usize,
        asked: u32,
        is_last_look: bool,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        if is_last_look {
            let word = self.read_word();
            let is_said = word & OWNER != 0 && word & (QUEUED | ENDED | FREED) != 0;
            if !is_said && !self.is_at_work(word) {
                return Slept::Over;
            }
            loom::thread::yield_now();
            return Slept::Woken;
        }
        self.wait_for(place, asked, READABLE | OPENED, Interest::default(), || {
            if !self.has(Bug::WaiterNotSaid) {
                self.read.wait();
            }
            can_own(self.read_word()) || is_there()
        })
    }

    pub fn is_at_work(&self, word: u64) -> bool {
        match word & OWNER {
            0 => can_own(word) && !self.has(Bug::PollLooksTwice),
            CALLER if self.has(Bug::WorkTakenForSleep) => false,
            CALLER => !self.is_owner_asleep.load(Ordering::Acquire),
            _ => true,
        }
    }

    /// `wait_for` with `sleep`.
    pub fn wait_for(
        &self,
        place: usize,
        asked: u32,
        events: u32,
        socket: Interest,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        if self.kernel().enter(place, asked, events, self.setup.bug).is_err() {
            return Slept::Over;
        }
        if !is_there() {
            self.kernel().poll(place, socket);
            self.kernel().clear(place);
        }
        if self.kernel().leave(place) { Slept::Over } else { Slept::Woken }
    }

    pub fn sleep_as_owner(
        &self,
        place: usize,
        side: &mut ReadSide,
        events: u32,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        self.send_held_back();
        // A turn may have ended before the input: then no sleep, but a look at `interrupt`.
        let has_input = !side.input.is_empty() && !self.has(Bug::TurnSleeps);
        let socket = Interest { read: side.transport.is_some(), write: false };
        let discards = side.is_discarding || side.is_over;
        // Who waits for the end goes on waiting where the program wants no further message.
        let stops = if events == CLOSED { ENDED | FREED } else { CANCELLED | ENDED | FREED };
        let slept = self.wait_for(place, events, events | READABLE | CLOSED, socket, || {
            let word = self.read_word();
            let stops = if self.has(Bug::CancelUnseenAsleep) { stops & !CANCELLED } else { stops };
            let is_awake = has_input || word & stops != 0 || (word & DISCARD != 0 && !discards) || is_there();
            self.is_owner_asleep.store(!is_awake, Ordering::Release);
            is_awake
        });
        self.is_owner_asleep.store(false, Ordering::Release);
        side.is_drained = false;
        slept
    }

    pub fn pump(&self, side: &mut ReadSide, goal: Goal, receives: bool) -> Pumped {
        let mut left = self.setup.receives_max;
        loop {
            let decoded = self.pump_decoded(side, goal);
            self.serve_pongs(side);
            if let Some(pumped) = decoded {
                return pumped;
            }
            if side.transport.is_none() || !receives || left == 0 {
                return Pumped::Starved;
            }
            left -= 1;
            match side.receive(self) {
                Received::Bytes { .. } => {}
                Received::Nothing => return Pumped::Starved,
                Received::End if side.defers_end() => return Pumped::Starved,
                Received::Broken if side.defers_end() => {
                    self.control().send_failed = true;
                    return Pumped::Starved;
                }
                Received::End => return self.see_to_end(side, false),
                Received::Broken => return self.see_to_end(side, true),
            }
            if side.is_drained {
                left = 0;
            }
        }
    }

    /// Pongs that were kept for the holder of the write word.
    fn serve_pongs(&self, side: &mut ReadSide) {
        if std::mem::take(&mut side.has_pongs) && !self.has(Bug::PongsUntold) {
            self.serve_posted();
        }
    }

    fn pump_decoded(&self, side: &mut ReadSide, goal: Goal) -> Option<Pumped> {
        let mut controls_left = self.setup.controls_max;
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
            if word & CANCELLED != 0 {
                side.queue.clear();
            }
            if word & DISCARD != 0 && !side.is_discarding && !side.is_over {
                self.start_discarding(side, word & CANCELLED == 0);
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
            if self.budget(side, goal) == 0 {
                return Some(Pumped::Throttled);
            }
            if controls_left == 0 {
                return Some(Pumped::Starved);
            }
            match side.decode() {
                Decoded::Message(message) => {
                    if let Some(pumped) = take_message(side, goal, message) {
                        return Some(pumped);
                    }
                }
                Decoded::Starved => return None,
                decoded => {
                    controls_left -= 1;
                    self.see_to(side, decoded);
                }
            }
        }
    }

    fn budget(&self, side: &ReadSide, goal: Goal) -> usize {
        let is_bounded = match goal {
            Goal::Mark => true,
            Goal::Head => !side.queue.is_empty() || self.has(Bug::HeadNotTaken),
            _ => false,
        };
        if !is_bounded || side.is_discarding || side.is_over {
            return usize::MAX;
        }
        // What is not decoded stays held whether it is decoded or not.
        let input = if self.has(Bug::InputThrottles) { side.input.len() } else { 0 };
        self.setup.read_mark.saturating_sub(side.queue.len() + input)
    }

    fn start_discarding(&self, side: &mut ReadSide, keeps: bool) {
        loop {
            let decoded = if keeps { side.decode() } else { Decoded::Starved };
            match decoded {
                Decoded::Message(message) => side.queue.push_back(message),
                Decoded::Starved => break,
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
                    // Answered together when the input is used up, or when no further one can be kept.
                    let were_all = control.has_all_pongs();
                    control.push_pong();
                    let are_all = control.has_all_pongs();
                    drop(control);
                    side.has_pongs = !are_all;
                    if are_all && !were_all && !self.has(Bug::FullNotPosted) {
                        self.serve_posted();
                    }
                }
            }
            Decoded::Close => {
                self.handle_close_received();
                side.finish();
            }
            Decoded::Message(_) | Decoded::Starved => {}
        }
    }

    fn see_to_end(&self, side: &mut ReadSide, broke: bool) -> Pumped {
        if side.is_opening {
            self.handle_opening_ended();
        } else {
            self.handle_transport_ended(broke);
        }
        side.finish();
        self.detach_socket(&mut self.control());
        Pumped::Ended
    }

    pub fn take_last(&self, side: &mut ReadSide) -> Option<Result<u8, Status>> {
        match self.read_word() {
            word if word & FREED != 0 => return Some(Err(Status::State)),
            word if word & CANCELLED != 0 => return Some(Err(Status::Done)),
            _ => {}
        }
        if !self.has_settled() {
            return None;
        }
        Some(side.queue.pop_front().ok_or(Status::Ended))
    }

    /// `drive_internally`.
    pub fn drive_internally(&self, held: Reading<'_, ReadSide>) {
        let mut driving = Driving::new(self, held, false);
        if self.is_delivering() {
            // The message callback is the reader.
            if !self.has(Bug::DeliveryKeepsChunk) {
                driving.side().release_memory();
            }
            driving.leave_as(true, false);
            self.run_callbacks();
            return;
        }
        let pumped = self.pump(driving.side(), self.internal_goal(), true);
        driving.side().release_memory();
        driving.leave_as(true, pumped == Pumped::Throttled);
    }

    /// `internal_goal`.
    pub fn internal_goal(&self) -> Goal {
        let is_demanded = self.is_calling(READABLE) || self.is_watching(READABLE);
        if is_demanded { Goal::Head } else { Goal::Mark }
    }

    /// `drain_after_send_failed`: false where another thread reads.
    pub fn drain_after_send_failed(&self) -> bool {
        let Some(mut driving) = self.try_own() else { return false };
        self.pump(driving.side(), Goal::Mark, true);
        driving.leave();
        true
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
