//! The callbacks, as `src/stream/callbacks.rs` has them: what a program registers, and what the internal thread runs.

use super::driving::Wanted;
use super::kernel::Command;
use super::reading::{Driving, Goal, Pumped, can_own};
use super::stream::{Bug, CLOSED, OPENED, READABLE, Status, Stream};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread::{self, ThreadId};
use std::sync::atomic::AtomicBool as Plain;
use wsstream_models::stream::read_word::INTERNAL;

/// What the callbacks of a model note: beside messages.
pub const OPENED_NOTE: u8 = b'<';
pub const LAST_NOTE: u8 = b'!';
pub const EVENT_NOTE: u8 = b'*';
pub const CLOSED_NOTE: u8 = b'>';
pub const FREED_NOTE: u8 = b'.';

/// The message callback of a model: answers whether the next one may come at once.
pub type MessageCallback = fn(&Stream, Result<u8, Status>) -> bool;

/// `Delivery`.
#[derive(Default)]
struct Delivery {
    callback: Option<MessageCallback>,
    is_set: bool,
    generation: u64,
    is_paused: bool,
    is_resumed: bool,
    is_over: bool,
}

impl Delivery {
    fn waits(&self) -> bool {
        self.is_set && !self.is_paused && !self.is_over
    }
}

/// `Registered`.
#[derive(Default)]
pub struct Registered {
    opened: usize,
    delivery: Delivery,
    event: Option<u32>,
    closed: usize,
    freed: usize,
    running: Option<Run>,
    runs: usize,
    is_freed: bool,
}

/// `Run`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Run {
    thread: ThreadId,
    count: usize,
}

impl Registered {
    fn begin_run(&mut self) {
        self.runs += 1;
        self.running = Some(Run { thread: thread::current().id(), count: self.runs });
    }

    fn awaited(&self) -> u32 {
        let flag = |is_awaited: bool, event: u32| if is_awaited { event } else { 0 };
        flag(self.opened > 0, OPENED)
            | flag(self.delivery.waits(), READABLE)
            | self.event.unwrap_or(0)
            | flag(self.closed > 0, CLOSED)
    }
}

/// `Callbacks`.
#[derive(Default)]
pub struct Callbacks {
    registered: Mutex<Registered>,
    idle: Condvar,
    /// What `Waiters` keeps of it for a look without the lock.
    called: AtomicU32,
    /// User code runs; loom does not see these.
    runs: Plain,
    is_free: Plain,
}

/// `Due`.
enum Due {
    Opened,
    Event,
    Closed,
}

impl Stream {
    fn registered(&self) -> MutexGuard<'_, Registered> {
        self.assert_alive();
        self.callbacks.registered.lock().unwrap()
    }

    /// `Callbacks::outwait`.
    fn outwait(&self, run: Option<Run>) {
        let Some(run) = run.filter(|run| run.thread != thread::current().id()) else { return };
        let mut registered = self.registered();
        while registered.running == Some(run) && !self.has(Bug::RemovalDoesNotWait) {
            registered = self.callbacks.idle.wait(registered).unwrap();
        }
    }

    fn stand(&self, registered: MutexGuard<'_, Registered>) {
        let awaited = registered.awaited();
        self.stand_called(awaited);
    }

    fn stand_called(&self, events: u32) {
        self.kernel().stand(|standing| {
            standing.called = events;
            self.callbacks.called.store(events, Ordering::Release);
        });
    }

    /// `Waiters::is_calling`.
    pub fn is_calling(&self, events: u32) -> bool {
        self.setup.calls_back && self.callbacks.called.load(Ordering::Acquire) & events != 0
    }

    fn register(&self, change: impl FnOnce(&mut Registered)) -> Status {
        let _inside = self.inside();
        let mut registered = self.registered();
        if registered.is_freed {
            return Status::State;
        }
        change(&mut registered);
        self.stand(registered);
        if !self.has(Bug::RegistrationNotPosted) {
            self.kernel().ask(Command::CallBack);
        }
        Status::Ok
    }

    pub fn on_opened(&self) -> Status {
        self.register(|registered| registered.opened += 1)
    }

    pub fn on_closed(&self) -> Status {
        self.register(|registered| registered.closed += 1)
    }

    pub fn on_freed(&self) -> Status {
        self.register(|registered| registered.freed += 1)
    }

    pub fn on_event(&self, events: Option<u32>) -> Status {
        let mut running = None;
        let status = self.register(|registered| {
            registered.event = events;
            running = registered.running;
        });
        self.outwait(running);
        status
    }

    pub fn on_message(&self, callback: Option<MessageCallback>) -> Status {
        let _inside = self.inside();
        let mut registered = self.registered();
        if registered.is_freed {
            return Status::State;
        }
        let delivery = &mut registered.delivery;
        let (was_set, is_set) = (delivery.is_set, callback.is_some());
        if !was_set && is_set && self.read.sit().is_err() {
            return Status::Busy;
        }
        delivery.is_set = is_set;
        delivery.callback = callback;
        delivery.generation += 1;
        (delivery.is_paused, delivery.is_resumed, delivery.is_over) = (false, false, false);
        let running = registered.running;
        self.stand(registered);
        self.kernel().ask(Command::CallBack);
        self.outwait(running);
        if was_set && !is_set {
            self.read.rise();
        }
        Status::Ok
    }

    pub fn resume(&self) -> Status {
        self.register(|registered| {
            let delivery = &mut registered.delivery;
            let runs = delivery.is_set && delivery.callback.is_none();
            delivery.is_resumed = runs && !self.has(Bug::ResumeForgotten);
            delivery.is_paused = false;
        })
    }

    pub fn free_callbacks(&self) {
        let mut registered = self.registered();
        let Registered { freed, running, runs, .. } = *registered;
        let never_run = std::mem::replace(
            &mut *registered,
            Registered { freed, running, runs, is_freed: true, ..Registered::default() },
        );
        self.stand_called(0);
        if never_run.delivery.is_set {
            self.read.rise();
        }
        drop(registered);
        self.outwait(running);
        if running.is_none_or(|run| run.thread != thread::current().id()) {
            self.callbacks.is_free.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a message callback waits for messages, and none runs.
    pub fn is_delivering(&self) -> bool {
        self.is_calling(READABLE) && {
            let registered = self.registered();
            registered.delivery.waits() && registered.running.is_none()
        }
    }

    /// `Driven::call_back`.
    pub fn call_back(&self) -> Wanted {
        self.run_callbacks();
        if self.has_settled() || self.has(Bug::CalledBackUnarmed) { Wanted::Nothing } else { self.wanted() }
    }

    /// The end of `Running`.
    fn stop_running(&self) {
        self.registered().running = None;
        self.callbacks.idle.notify_all();
    }

    pub fn run_callbacks(&self) {
        while let Some(due) = self.next_due() {
            self.call_program(|| match due {
                Due::Opened => self.note(OPENED_NOTE),
                Due::Event => self.note(EVENT_NOTE),
                Due::Closed => self.note(CLOSED_NOTE),
            });
            self.stop_running();
        }
    }

    /// The last callbacks of a stream that was freed.
    pub fn run_freed(&self) {
        let freed = if self.setup.calls_back { std::mem::take(&mut self.registered().freed) } else { 0 };
        for _ in 0..freed {
            self.call_program(|| self.note(FREED_NOTE));
        }
    }

    /// User code runs, on the internal thread.
    fn call_program<T>(&self, call: impl FnOnce() -> T) -> T {
        let Callbacks { runs, is_free, .. } = &self.callbacks;
        assert!(!runs.swap(true, Ordering::Relaxed), "two callbacks of a stream overlap");
        let is_last = is_free.load(Ordering::Relaxed);
        let answer = call();
        // The program takes its time.
        thread::yield_now();
        assert_eq!(is_last, is_free.load(Ordering::Relaxed), "a callback runs when free has returned");
        runs.store(false, Ordering::Relaxed);
        answer
    }

    fn next_due(&self) -> Option<Due> {
        loop {
            let mut registered = self.registered();
            if registered.is_freed || self.is_freed() {
                return None;
            }
            if registered.opened > 0 && self.opened_status().is_some() {
                return self.take(registered, |registered| {
                    registered.opened -= 1;
                    Some(Due::Opened)
                });
            }
            if registered.delivery.waits() {
                drop(registered);
                if !self.deliver() {
                    return self.due_event();
                }
                continue;
            }
            if registered.event.is_some() {
                drop(registered);
                if let Some(due) = self.due_event() {
                    return Some(due);
                }
                registered = self.registered();
            }
            let is_told = !registered.delivery.is_set || registered.delivery.is_over;
            if registered.is_freed || !is_told || !self.has_settled() {
                return None;
            }
            return self.take(registered, |registered| {
                registered.closed.checked_sub(1).map(|left| registered.closed = left).map(|()| Due::Closed)
            });
        }
    }

    fn take<T>(
        &self,
        mut registered: MutexGuard<'_, Registered>,
        take: impl FnOnce(&mut Registered) -> Option<T>,
    ) -> Option<T> {
        if registered.running.is_some() {
            return None;
        }
        let taken = take(&mut registered)?;
        registered.begin_run();
        self.stand(registered);
        Some(taken)
    }

    fn due_event(&self) -> Option<Due> {
        let events = self.registered().event?;
        let holding = self.look(events);
        if holding == 0 {
            return None;
        }
        let registered = self.registered();
        let keeps = self.has(Bug::EventKept);
        self.take(registered, |registered| {
            // Another one may have been set meanwhile.
            registered.event.filter(|asked| asked & holding != 0)?;
            if !keeps {
                registered.event = None;
            }
            Some(Due::Event)
        })
    }

    /// What `poll` would answer.
    fn look(&self, events: u32) -> u32 {
        match self.own_to_call_back(events) {
            Some(mut driving) => {
                let side = driving.side();
                let goal = if events & READABLE != 0 { Goal::Queue } else { Goal::Open };
                let pumped = self.pump(side, goal, true);
                self.note_writable(events);
                let holding = self.events_in_hand(events, side, pumped);
                self.release(side);
                driving.leave_as(true, false);
                holding
            }
            None => {
                if !self.has(Bug::LooksUnsaid) {
                    self.note_waiting(events);
                }
                self.events_holding(events, false)
            }
        }
    }

    fn release(&self, side: &mut super::stream::ReadSide) {
        if !self.has(Bug::DeliveryKeepsChunk) {
            side.release_memory();
        }
    }

    fn deliver(&self) -> bool {
        loop {
            let mut registered = self.registered();
            if !registered.delivery.waits() {
                return true;
            }
            // From here on who removes it waits.
            let Some(callback) = registered.delivery.callback.take() else { return false };
            let generation = registered.delivery.generation;
            let is_early = !self.has(Bug::TakenBeforeRunning);
            if is_early {
                registered.begin_run();
            }
            drop(registered);
            let next = self.next_message(generation);
            if !is_early {
                self.registered().begin_run();
            }
            let is_there = next.is_some();
            let goes_on = next.is_none_or(|next| self.call_program(|| callback(self, next)));
            let mut registered = self.registered();
            let delivery = &mut registered.delivery;
            if delivery.is_set && (delivery.generation == generation || self.has(Bug::PutBackUnlooked)) {
                delivery.callback = Some(callback);
                delivery.is_paused = !goes_on && !delivery.is_resumed;
            }
            self.stand(registered);
            self.stop_running();
            if !is_there {
                return false;
            }
        }
    }

    fn next_message(&self, generation: u64) -> Option<Result<u8, Status>> {
        let mut driving = self.own_to_call_back(READABLE)?;
        let side = driving.side();
        let mut next = match self.pump(side, Goal::Message, true) {
            Pumped::Message(message) => Some(Ok(message)),
            Pumped::Ended => self.take_last(side),
            _ => None,
        };
        let waits = next.is_none();
        if waits {
            self.release(side);
        }
        if waits && !side.input.is_empty() {
            self.kernel().ask(Command::CallBack);
        }
        if let Some(taken) = next.take() {
            let mut registered = self.registered();
            let is_first = registered.opened == 0 || self.has(Bug::MessageBeforeOpened);
            let delivery = &mut registered.delivery;
            let is_same =
                delivery.is_set && delivery.generation == generation && is_first && !self.is_freed();
            if is_same || self.has(Bug::TakenBeforeRunning) {
                delivery.is_over = taken.is_err();
                delivery.is_resumed = false;
                next = Some(taken);
            } else if let Ok(message) = taken {
                side.queue.push_front(message);
            }
        }
        driving.leave_as(waits, false);
        next
    }

    fn own_to_call_back(&self, events: u32) -> Option<Driving<'_>> {
        if events & (READABLE | OPENED) == 0 {
            return None;
        }
        loop {
            if can_own(self.read_word()) {
                if let Ok(held) = self.read.own(INTERNAL) {
                    return Some(Driving::new(self, held, false));
                }
            }
            if !can_own(self.read.wait()) && !can_own(self.read_word()) {
                return None;
            }
        }
    }

    pub fn events_in_hand(&self, events: u32, side: &super::stream::ReadSide, pumped: Pumped) -> u32 {
        let ended = if pumped == Pumped::Ended { READABLE | OPENED } else { 0 };
        self.events_holding(events, !side.queue.is_empty()) | (events & ended)
    }
}
