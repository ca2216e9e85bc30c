//! The callbacks of a stream: registered from any thread, run by the internal one only, one at a time, without a lock.
//!
//! What they wait for stands in the waiters beside the sleeping threads; whoever changes a stream posts them, and the internal
//! thread looks anew, as a thread in `poll` would. A callback is taken out of its place before it runs, so none runs twice.

use super::close_info::CloseInfo;
use super::log::Line;
use super::poll::goal_of;
use super::pump::{Goal, Pumped};
use super::read::{Driving, can_own};
use super::read_side::{Message, ReadSide};
use super::read_word::{CANCELLED, INTERNAL};
use super::status::Status;
use super::{CLOSED, EVENTS, OPENED, READABLE, Stream};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// Runs once, when the stream is open or can no longer become so.
pub type OpenedCallback = Box<dyn FnOnce(&Stream, Status) + Send>;
/// Runs once, after the end.
pub type ClosedCallback = Box<dyn FnOnce(&Stream, &CloseInfo) + Send>;
/// Runs for each message, and once for the end. Answers whether the next one may come at once.
pub type MessageCallback = Box<dyn FnMut(&Stream, Result<Message, Status>) -> bool + Send>;
/// Runs once, when one of its events holds.
pub type EventCallback = Box<dyn FnOnce(&Stream, u32) + Send>;
/// Runs once, after all others.
pub type FreedCallback = Box<dyn FnOnce() + Send>;

/// Messages that one stream's callback gets in one turn: then others have theirs.
const DELIVERIES_MAX: usize = 64;
/// Other callbacks of one stream in one turn, for the same reason.
const CALLBACKS_MAX: usize = 64;
/// Lines of its log in one turn.
const LINES_MAX: usize = 256;

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
    static IN_LOG: Cell<bool> = const { Cell::new(false) };
}

/// How many threads are inside callbacks, so that a call need not look at its thread's own flags while none is.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether a call of this thread has to be refused: in the log function every one, in a callback one that may wait.
#[inline]
#[must_use]
pub fn is_refused(may_wait: bool) -> bool {
    RUNNING.load(Ordering::Relaxed) != 0 && (is_own(&IN_LOG) || (may_wait && is_own(&IN_CALLBACK)))
}

/// Apart, so that the address of the flag is not computed before it is known to be needed.
#[cold]
#[inline(never)]
fn is_own(flag: &'static thread::LocalKey<Cell<bool>>) -> bool {
    flag.try_with(Cell::get).unwrap_or(false)
}

/// Calls code of the program that must not wait for this library.
fn call_program<T>(flag: &'static thread::LocalKey<Cell<bool>>, call: impl FnOnce() -> T) -> T {
    struct Inside(&'static thread::LocalKey<Cell<bool>>, bool);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.set(self.1);
            RUNNING.fetch_sub(1, Ordering::Relaxed);
        }
    }
    RUNNING.fetch_add(1, Ordering::Relaxed);
    let _inside = Inside(flag, flag.replace(true));
    call()
}

/// The message callback and how far it is.
#[derive(Default)]
struct Delivery {
    /// Not there while it runs.
    callback: Option<MessageCallback>,
    /// It holds the seat of the reading half.
    is_set: bool,
    /// Counts what was set: who put it back must not undo a change.
    generation: u64,
    is_paused: bool,
    /// `resume` came while it ran.
    is_resumed: bool,
    /// It has been told the end.
    is_over: bool,
}

impl Delivery {
    fn waits(&self) -> bool {
        self.is_set && !self.is_paused && !self.is_over
    }
}

#[derive(Default)]
struct Registered {
    opened: VecDeque<OpenedCallback>,
    delivery: Delivery,
    event: Option<(u32, EventCallback)>,
    closed: VecDeque<ClosedCallback>,
    freed: VecDeque<FreedCallback>,
    running: Option<Run>,
    /// Counts what has run.
    runs: u64,
    is_freed: bool,
}

/// A callback that runs.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Run {
    thread: ThreadId,
    kind: Kind,
    count: u64,
}

/// Which place it was taken from: who removes one waits for that one alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Event,
    Other,
}

impl Registered {
    fn begin_run(&mut self, kind: Kind) {
        self.runs += 1;
        self.running = Some(Run { thread: thread::current().id(), kind, count: self.runs });
    }

    fn running_of(&self, kind: Kind) -> Option<Run> {
        self.running.filter(|run| run.kind == kind)
    }

    fn awaited(&self) -> u32 {
        let flag = |is_awaited: bool, event: u32| if is_awaited { event } else { 0 };
        flag(!self.opened.is_empty(), OPENED)
            | flag(self.delivery.waits(), READABLE)
            | self.event.as_ref().map_or(0, |(events, _)| *events)
            | flag(!self.closed.is_empty(), CLOSED)
    }
}

/// The callbacks of one stream.
#[derive(Default)]
pub(super) struct Callbacks {
    registered: Mutex<Registered>,
    idle: Condvar,
    /// The internal thread was asked to look, and has not begun to.
    is_posted: AtomicBool,
}

/// What is to be run next.
enum Due {
    Opened(OpenedCallback, Status),
    Event(EventCallback, u32),
    Closed(ClosedCallback),
}

impl Callbacks {
    fn registered(&self) -> MutexGuard<'_, Registered> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this callback has run, if that is on another thread. Not for one that has begun since.
    fn outwait(&self, run: Option<Run>) {
        let Some(run) = run.filter(|run| run.thread != thread::current().id()) else { return };
        let mut registered = self.registered();
        while registered.running == Some(run) {
            registered = self.idle.wait(registered).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the lock is free and no callback runs, for the child of a fork.
    pub fn is_intact(&self) -> bool {
        self.registered.try_lock().is_ok_and(|registered| registered.running.is_none())
    }
}

/// The time in which a callback runs.
struct Running<'a>(&'a Callbacks);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.registered().running = None;
        self.0.idle.notify_all();
    }
}

/// The message callback, taken out of its place; goes back there, in unwinding too, unless it was changed meanwhile.
struct Claim<'a> {
    stream: &'a Stream,
    callback: Option<MessageCallback>,
    generation: u64,
    pauses: bool,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let callbacks = self.stream.callbacks();
        let mut registered = callbacks.registered();
        registered.running = None;
        let delivery = &mut registered.delivery;
        if delivery.is_set && delivery.generation == self.generation {
            delivery.callback = self.callback.take();
            delivery.is_paused = self.pauses && !delivery.is_resumed;
        }
        self.stream.stand(registered);
        callbacks.idle.notify_all();
    }
}

impl Stream {
    /// Made when the program asks for something, or frees the stream.
    fn callbacks(&self) -> &Callbacks {
        self.callbacks.get_or_init(Box::default)
    }

    /// Changes the registrations and what they wait for, then lets the internal thread look.
    fn register(&self, change: impl FnOnce(&mut Registered)) -> Status {
        let _inside = self.inside();
        let mut registered = self.callbacks().registered();
        if registered.is_freed {
            return Status::State;
        }
        change(&mut registered);
        self.stand(registered);
        self.post_callbacks();
        Status::Ok
    }

    /// The same for what nobody may be driving towards: as whoever waits without driving.
    fn register_for_latch(&self, change: impl FnOnce(&mut Registered)) -> Status {
        let _inside = self.inside();
        self.hand_over();
        self.register(change)
    }

    /// Lets the internal thread look at the callbacks: one request is on its way at a time, whatever happens meanwhile.
    pub(super) fn post_callbacks(&self) {
        if !self.callbacks().is_posted.swap(true, Ordering::AcqRel) {
            self.runtime.call_back(self.key);
        }
    }

    /// The request has come: what happens from now on needs another.
    pub(super) fn take_post(&self) {
        self.callbacks().is_posted.swap(false, Ordering::AcqRel);
    }

    /// Says what the callbacks wait for.
    fn stand(&self, registered: MutexGuard<'_, Registered>) {
        let awaited = registered.awaited();
        self.waiters.stand(|standing| standing.called = awaited);
    }

    /// `wsstream_on_opened`.
    pub fn on_opened(&self, callback: OpenedCallback) -> Status {
        self.register_for_latch(|registered| registered.opened.push_back(callback))
    }

    /// `wsstream_on_closed`.
    pub fn on_closed(&self, callback: ClosedCallback) -> Status {
        self.register_for_latch(|registered| registered.closed.push_back(callback))
    }

    /// `wsstream_on_freed`.
    pub fn on_freed(&self, callback: FreedCallback) -> Status {
        self.register(|registered| registered.freed.push_back(callback))
    }

    /// `wsstream_on_event`. Once this has returned on another thread the old one does not run.
    pub fn on_event(&self, event: Option<(u32, EventCallback)>) -> Status {
        if event.as_ref().is_some_and(|(events, _)| *events == 0 || events & !EVENTS != 0) {
            return Status::Argument;
        }
        let _inside = self.inside();
        self.hand_over();
        let (mut old, mut running) = (None, None);
        let status = self.register(|registered| {
            old = std::mem::replace(&mut registered.event, event);
            running = registered.running_of(Kind::Event);
        });
        self.callbacks().outwait(running);
        status
    }

    /// `wsstream_on_message`. Once this has returned on another thread the old one does not run.
    pub fn on_message(&self, callback: Option<MessageCallback>) -> Status {
        let _inside = self.inside();
        let mut registered = self.callbacks().registered();
        if registered.is_freed {
            return Status::State;
        }
        let delivery = &mut registered.delivery;
        let (was_set, is_set) = (delivery.is_set, callback.is_some());
        if !was_set && is_set {
            // The seat is the callback's from now on, and a read call's no more.
            if self.read.sit().is_err() {
                return Status::Busy;
            }
            if self.is_parted.load(Ordering::Acquire) {
                // As for a read: the rest of a message that was handed out in parts is no message.
                self.read.rise();
                return Status::State;
            }
        }
        delivery.is_set = is_set;
        let old = std::mem::replace(&mut delivery.callback, callback);
        delivery.generation += 1;
        (delivery.is_paused, delivery.is_resumed, delivery.is_over) = (false, false, false);
        let running = registered.running_of(Kind::Message);
        self.stand(registered);
        self.post_callbacks();
        self.callbacks().outwait(running);
        if was_set && !is_set {
            self.read.rise();
        }
        drop(old);
        Status::Ok
    }

    /// `wsstream_resume`.
    pub fn resume(&self) -> Status {
        self.register(|registered| {
            let delivery = &mut registered.delivery;
            delivery.is_resumed = delivery.is_set && delivery.callback.is_none();
            delivery.is_paused = false;
        })
    }

    /// Whether the program waits to be told that the stream was freed.
    pub(super) fn has_freed_callbacks(&self) -> bool {
        self.callbacks.get().is_some_and(|callbacks| !callbacks.registered().freed.is_empty())
    }

    /// No callback begins from now on but those of `on_freed`; waits for one that runs on another thread.
    pub(super) fn free_callbacks(&self) {
        let mut registered = self.callbacks().registered();
        registered.is_freed = true;
        let freed = std::mem::take(&mut registered.freed);
        let running = registered.running;
        let runs = registered.runs;
        let never_run = std::mem::replace(
            &mut *registered,
            Registered { freed, running, runs, is_freed: true, ..Registered::default() },
        );
        self.waiters.stand(|standing| standing.called = 0);
        if never_run.delivery.is_set {
            self.read.rise();
        }
        drop(registered);
        self.callbacks().outwait(running);
        drop(never_run);
    }

    /// Whether a message callback waits for messages, and none runs.
    pub(super) fn is_delivering(&self) -> bool {
        self.waiters.is_calling(READABLE) && {
            let registered = self.callbacks().registered();
            registered.delivery.waits() && registered.running.is_none()
        }
    }

    /// Runs what is due (on the internal thread).
    pub(super) fn run_callbacks(&self) {
        self.run_log();
        for _ in 0..CALLBACKS_MAX {
            let Some(due) = self.next_due() else { return };
            let _running = Running(self.callbacks());
            call_program(&IN_CALLBACK, || match due {
                Due::Opened(callback, status) => callback(self, status),
                Due::Event(callback, events) => callback(self, events),
                Due::Closed(callback) => {
                    if let Some(info) = self.settled() {
                        callback(self, info);
                    }
                }
            });
        }
        // One that arms itself again for what holds would keep all others waiting.
        self.post_callbacks();
    }

    /// Runs the last callbacks of a stream that was freed: none of its others, nor the log function, runs after them.
    pub(super) fn run_freed(&self) {
        if let Some(log) = &self.log {
            for Line { level, text } in log.end() {
                call_program(&IN_LOG, || log.call(level, &text));
            }
        }
        let freed = std::mem::take(&mut self.callbacks().registered().freed);
        for callback in freed {
            call_program(&IN_CALLBACK, callback);
        }
    }

    fn next_due(&self) -> Option<Due> {
        loop {
            let mut registered = self.callbacks().registered();
            if registered.is_freed || self.is_freed() {
                return None;
            }
            if !registered.opened.is_empty() {
                if let Some(status) = self.opened_status() {
                    let take = |registered: &mut Registered| registered.opened.pop_front();
                    return self
                        .take(registered, Kind::Other, take)
                        .map(|callback| Due::Opened(callback, status));
                }
            }
            if registered.delivery.waits() {
                drop(registered);
                if !self.deliver() {
                    // Its end comes before that of the stream.
                    return self.due_event();
                }
                continue;
            }
            if registered.event.is_some() {
                drop(registered);
                if let Some(due) = self.due_event() {
                    return Some(due);
                }
                registered = self.callbacks().registered();
            }
            let is_told = !registered.delivery.is_set || registered.delivery.is_over;
            if registered.is_freed || !is_told || self.closed.info().is_none() {
                return None;
            }
            return self
                .take(registered, Kind::Other, |registered| registered.closed.pop_front())
                .map(Due::Closed);
        }
    }

    /// Takes a callback out to be run.
    fn take<T>(
        &self,
        mut registered: MutexGuard<'_, Registered>,
        kind: Kind,
        take: impl FnOnce(&mut Registered) -> Option<T>,
    ) -> Option<T> {
        if registered.running.is_some() {
            return None;
        }
        let taken = take(&mut registered)?;
        registered.begin_run(kind);
        self.stand(registered);
        Some(taken)
    }

    /// The event callback, where one of its events holds.
    fn due_event(&self) -> Option<Due> {
        let events = self.callbacks().registered().event.as_ref().map(|(events, _)| *events)?;
        let holding = self.look(events);
        if holding == 0 {
            return None;
        }
        let registered = self.callbacks().registered();
        let take = |registered: &mut Registered| {
            // Another one may have been set meanwhile.
            registered.event.take_if(|(asked, _)| *asked & holding != 0)
        };
        self.take(registered, Kind::Event, take)
            .map(|(asked, callback)| Due::Event(callback, asked & holding))
    }

    /// What `poll` would answer, on the internal thread; where nothing holds, whoever changes that posts the callbacks.
    fn look(&self, events: u32) -> u32 {
        match self.own_to_call_back(events) {
            Some(mut driving) => {
                let side = driving.side();
                let pumped = self.pump(side, goal_of(events), true);
                self.note_writable(events);
                let holding = self.events_in_hand(events, side, &pumped);
                side.release_memory();
                driving.leave_as(true, false);
                holding
            }
            None => {
                self.note_waiting(events);
                self.events_holding(events, false, false)
            }
        }
    }

    /// Gives the message callback its next message, and again; false: it waits for one, or for its turn.
    fn deliver(&self) -> bool {
        for turn in 0..DELIVERIES_MAX {
            let mut registered = self.callbacks().registered();
            if !registered.delivery.waits() {
                return true;
            }
            // From here on who removes it waits: a message that is taken for it is not lost to a reader after it.
            let Some(callback) = registered.delivery.callback.take() else { return false };
            let generation = registered.delivery.generation;
            registered.begin_run(Kind::Message);
            drop(registered);
            let mut claim = Claim { stream: self, callback: Some(callback), generation, pauses: false };
            let next = self.next_message(turn == 0, generation);
            let is_there = next.is_some();
            if let (Some(next), Some(callback)) = (next, &mut claim.callback) {
                claim.pauses = !call_program(&IN_CALLBACK, || callback(self, next));
            }
            drop(claim);
            if !is_there {
                return false;
            }
        }
        self.post_callbacks();
        false
    }

    /// The next message, or the end, for the callback of that generation; None: the socket has nothing now, the callback
    /// was changed meanwhile, or another thread drives and posts the callbacks when it leaves.
    fn next_message(&self, receives: bool, generation: u64) -> Option<Result<Message, Status>> {
        let mut driving = self.own_to_call_back(READABLE)?;
        let side = driving.side();
        let receives = receives || !side.is_drained;
        let mut next = match self.pump(side, Goal::Message, receives) {
            Pumped::Message(message) => Some(Ok(message)),
            Pumped::Ended => self.take_last(side),
            // R13: at once; what still comes is thrown away.
            _ if self.read.load() & CANCELLED != 0 => Some(Err(Status::Done)),
            _ => None,
        };
        let waits = next.is_none();
        if waits {
            // An idle stream owns no buffer, and is not swept.
            side.release_memory();
        }
        if waits && side.has_input() {
            self.post_callbacks();
        }
        if let Some(taken) = next.take() {
            let mut registered = self.callbacks().registered();
            let delivery = &registered.delivery;
            let is_its = delivery.is_set && delivery.generation == generation && !self.is_freed();
            // What opens the stream may bring the first message with it.
            if is_its && registered.opened.is_empty() {
                let delivery = &mut registered.delivery;
                delivery.is_over = taken.is_err();
                delivery.is_resumed = false;
                next = Some(taken);
            } else {
                if let Ok(message) = taken {
                    side.push_front(message);
                }
                self.post_callbacks();
            }
        }
        driving.leave_as(waits, false);
        next
    }

    /// The reading half for the internal thread, for events that need it. Else the owner's leaving posts the callbacks.
    fn own_to_call_back(&self, events: u32) -> Option<Driving<'_>> {
        if goal_of(events) == Goal::Open && events & OPENED == 0 {
            return None;
        }
        loop {
            if can_own(self.read.load()) {
                if let Ok(held) = self.read.own(INTERNAL) {
                    return Some(Driving::new(self, held, false));
                }
            }
            // Said before the second look: who leaves after it sees that somebody waits.
            if !can_own(self.read.wait()) && !can_own(self.read.load()) {
                return None;
            }
        }
    }

    /// Runs the log function for what was logged (on the internal thread).
    fn run_log(&self) {
        let Some(log) = &self.log else { return };
        for _ in 0..LINES_MAX {
            let Some(Line { level, text }) = log.pop() else { return };
            call_program(&IN_LOG, || log.call(level, &text));
        }
        self.post_callbacks();
    }

    /// Which events hold for who has just pumped.
    pub(super) fn events_in_hand(&self, events: u32, side: &ReadSide, pumped: &Pumped) -> u32 {
        let ended = if matches!(pumped, Pumped::Ended) { super::poll::DRIVEN } else { 0 };
        let is_queued = side.has_queued();
        // Inside a message that is handed out in parts a read has its answer, too.
        let (message, part) = (is_queued || side.is_parted(), is_queued || side.has_part());
        self.events_holding(events, message, part) | (events & ended)
    }
}
