//! The system under the models: one socket, the poller's registration of it, the wake descriptors, the waiters and the
//! way to the internal thread. Each call is one step, as a system call is.
//!
//! Nothing sent to the internal thread is lost here: that is what `runtime.rs` models.

use super::stream::Bug;
use loom::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;

/// The internal thread's place among those that sleep; threads of the program have the places after it.
pub const INTERNAL_PLACE: usize = 0;
const PLACES: usize = 4;

/// What the poller watches for; errors always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

/// What is asked of the internal thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Connected,
    Nudge,
    TakeOver,
    List,
    CallBack,
    Freed,
}

/// What the internal thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Event {
        error: bool,
    },
    Command(Command),
    /// The time of a sweep has come.
    Sweep,
    /// Nobody is left and nothing is to be done.
    Rest,
}

/// What a receive has given.
#[derive(Debug)]
pub enum Received {
    /// `drained`: it has emptied the socket.
    Bytes {
        bytes: VecDeque<u8>,
        drained: bool,
    },
    Nothing,
    End,
    Broken,
}

/// The socket has refused bytes.
#[derive(Debug)]
pub struct Refused;

/// `NoSleep::Interrupted`.
#[derive(Debug)]
pub struct Interrupted;

/// Events that are waited for without a thread that sleeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    pub called: u32,
    pub watched: u32,
}

/// What a thread of the program sleeps on.
#[derive(Clone, Copy)]
enum Sleep {
    /// `sys::poll` on its wake descriptor and the socket; the internal thread sleeps on its own things.
    Poll(Interest),
    /// The descriptor for event loops.
    Set,
}

struct Waiter {
    place: usize,
    asked: u32,
    events: u32,
    interrupted: bool,
}

#[derive(Default)]
struct State {
    arrived: VecDeque<u8>,
    has_ended: bool,
    is_broken: bool,
    room: usize,
    /// How many sends are refused before the next that is not.
    refusals: usize,
    is_reset: bool,
    wire: Vec<u8>,
    watched: Option<Interest>,
    /// The socket is in the poller's set, watched for now or not.
    is_known: bool,
    waiters: Vec<Waiter>,
    /// Events that `interrupt` was called for while nobody waited for them.
    pending: u32,
    raised: [bool; PLACES],
    asleep: [Option<Sleep>; PLACES],
    standing: Standing,
    /// The descriptor for event loops: its eventfd, and whether the socket is in the set.
    is_alarmed: bool,
    is_in_set: bool,
    commands: VecDeque<Command>,
    actors: usize,
}

impl State {
    fn is_ready(&self, interest: Interest) -> bool {
        let readable = !self.arrived.is_empty() || self.has_ended || self.is_broken || self.is_reset;
        (interest.read && readable) || (interest.write && self.room > 0)
    }

    fn has_event(&self) -> bool {
        // EPOLLERR needs no interest.
        self.watched.is_some_and(|watched| self.is_ready(watched) || self.is_broken)
    }

    fn is_set_ready(&self) -> bool {
        self.is_alarmed || (self.is_in_set && self.is_ready(Interest { read: true, write: false }))
    }

    fn is_awake(&self, place: usize) -> bool {
        if place == INTERNAL_PLACE {
            return self.has_event() || !self.commands.is_empty() || self.actors == 0;
        }
        match self.asleep[place] {
            Some(Sleep::Poll(interest)) => self.raised[place] || self.is_ready(interest),
            Some(Sleep::Set) => self.is_set_ready(),
            None => false,
        }
    }
}

/// The system.
pub struct Kernel {
    state: Mutex<State>,
    sleepers: [Condvar; PLACES],
}

impl Kernel {
    /// A socket that holds `arrived` and takes `room` bytes.
    pub fn new(arrived: &[u8], room: usize) -> Self {
        let state = State { arrived: arrived.iter().copied().collect(), room, ..State::default() };
        Self { state: Mutex::new(state), sleepers: std::array::from_fn(|_| Condvar::new()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        for place in 0..PLACES {
            if state.asleep[place].is_some() && state.is_awake(place) {
                state.asleep[place] = None;
                self.sleepers[place].notify_one();
            }
        }
        result
    }

    fn sleep(&self, place: usize, on: Sleep) -> MutexGuard<'_, State> {
        let mut state = self.state();
        loop {
            state.asleep[place] = Some(on);
            if state.is_awake(place) {
                state.asleep[place] = None;
                return state;
            }
            state = self.sleepers[place].wait(state).unwrap();
        }
    }

    // The peer.

    pub fn peer_sends(&self, bytes: &[u8]) {
        self.change(|state| state.arrived.extend(bytes));
    }

    pub fn peer_takes(&self, size: usize) {
        self.change(|state| state.room += size);
    }

    pub fn peer_ends(&self) {
        self.change(|state| state.has_ended = true);
    }

    pub fn peer_breaks(&self) {
        self.change(|state| state.is_broken = true);
    }

    /// The system refuses the next send, and takes those after it.
    pub fn refuses(&self) {
        self.change(|state| state.refusals += 1);
    }

    /// The peer resets TCP: the first call that meets it is told, later ones find the end.
    pub fn peer_resets(&self) {
        self.change(|state| state.is_reset = true);
    }

    /// Whether the poller has the socket in its set.
    pub fn is_known(&self) -> bool {
        self.state().is_known
    }

    /// What has been sent so far.
    pub fn wire(&self) -> Vec<u8> {
        self.state().wire.clone()
    }

    /// What the poller watches.
    pub fn watched(&self) -> Option<Interest> {
        self.state().watched
    }

    // The socket. A send gives what there is room for.

    /// `Transport::receive`, of so many bytes at most.
    pub fn receive(&self, size: usize) -> Received {
        self.change(|state| {
            if state.arrived.is_empty() {
                if std::mem::take(&mut state.is_reset) {
                    state.has_ended = true;
                    return Received::Broken;
                }
                return match (state.is_broken, state.has_ended) {
                    (true, _) => Received::Broken,
                    (_, true) => Received::End,
                    _ => Received::Nothing,
                };
            }
            let rest = state.arrived.split_off(size.min(state.arrived.len()));
            let bytes = std::mem::replace(&mut state.arrived, rest);
            Received::Bytes { bytes, drained: state.arrived.is_empty() }
        })
    }

    pub fn send(&self, bytes: &[u8]) -> Result<usize, Refused> {
        self.change(|state| {
            if std::mem::take(&mut state.is_reset) {
                state.has_ended = true;
                return Err(Refused);
            }
            if state.refusals > 0 {
                state.refusals -= 1;
                return Err(Refused);
            }
            let size = bytes.len().min(state.room);
            state.room -= size;
            state.wire.extend_from_slice(&bytes[..size]);
            Ok(size)
        })
    }

    /// `Transport::end` by who lets others find the end: what came before is still received.
    pub fn shut_down(&self) {
        self.change(|state| state.has_ended = true);
    }

    /// `sys::poll` on the thread's wake descriptor and the socket, for ever.
    pub fn poll(&self, place: usize, interest: Interest) {
        drop(self.sleep(place, Sleep::Poll(interest)));
    }

    /// A thread of the program tells another one.
    pub fn signal(&self, place: usize) {
        self.change(|state| state.raised[place] = true);
    }

    /// `Wake::clear`.
    pub fn clear(&self, place: usize) {
        self.change(|state| state.raised[place] = false);
    }

    // `Waiters`: its lock is held while it raises, so each call is one step.

    pub fn enter(&self, place: usize, asked: u32, events: u32, bug: Bug) -> Result<(), Interrupted> {
        self.change(|state| {
            if state.pending & asked != 0 {
                if bug != Bug::InterruptKept {
                    state.pending &= !asked;
                }
                return Err(Interrupted);
            }
            state.waiters.push(Waiter { place, asked, events, interrupted: false });
            Ok(())
        })
    }

    /// True where `interrupt` meant it.
    pub fn leave(&self, place: usize) -> bool {
        self.change(|state| {
            let entered = state.waiters.iter().rposition(|waiter| waiter.place == place);
            entered.is_some_and(|entered| state.waiters.swap_remove(entered).interrupted)
        })
    }

    pub fn wake(&self, events: u32) -> Standing {
        self.change(|state| {
            for waiter in &state.waiters {
                state.raised[waiter.place] |= waiter.events & events != 0;
            }
            let Standing { called, watched } = state.standing;
            Standing { called: called & events, watched: watched & events }
        })
    }

    pub fn stand(&self, change: impl FnOnce(&mut Standing)) {
        self.change(|state| change(&mut state.standing));
    }

    pub fn standing(&self) -> Standing {
        self.state().standing
    }

    pub fn interrupt(&self, events: u32, bug: Bug) {
        self.change(|state| {
            let mut met = 0;
            for waiter in &mut state.waiters {
                let meant = if bug == Bug::InterruptMeansAll { waiter.events } else { waiter.asked };
                if meant & events != 0 {
                    waiter.interrupted = true;
                    state.raised[waiter.place] |= bug != Bug::InterruptNotRaised;
                    met |= waiter.asked;
                }
            }
            if bug != Bug::InterruptForgotten {
                state.pending |= events & !met;
            }
        });
    }

    // The descriptor for event loops.

    /// A program that waits for it: level-triggered.
    pub fn poll_set(&self, place: usize) {
        drop(self.sleep(place, Sleep::Set));
    }

    pub fn is_set_ready(&self) -> bool {
        self.state().is_set_ready()
    }

    pub fn raise_event(&self) {
        self.change(|state| state.is_alarmed = true);
    }

    pub fn clear_event(&self) {
        self.change(|state| state.is_alarmed = false);
    }

    pub fn put_in_set(&self, is_in: bool) {
        self.change(|state| state.is_in_set = is_in);
    }

    // The poller and the internal thread.

    pub fn arm(&self, interest: Interest) {
        self.change(|state| (state.watched, state.is_known) = (Some(interest), true));
    }

    pub fn remove(&self) {
        self.change(|state| (state.watched, state.is_known) = (None, false));
    }

    pub fn ask(&self, command: Command) {
        self.change(|state| state.commands.push_back(command));
    }

    /// How many bytes nobody has received.
    pub fn arrived(&self) -> usize {
        self.state().arrived.len()
    }

    /// `Internal::run`: events, then commands, then time.
    pub fn next(&self, is_sweeping: bool) -> Work {
        let mut state = if is_sweeping {
            self.state()
        } else {
            self.sleep(INTERNAL_PLACE, Sleep::Poll(Interest::default()))
        };
        if state.has_event() {
            // One event, and the registration is disarmed.
            state.watched = None;
            return Work::Event { error: state.is_broken };
        }
        match state.commands.pop_front() {
            Some(command) => Work::Command(command),
            None if is_sweeping => Work::Sweep,
            None => Work::Rest,
        }
    }

    pub fn begin(&self, actors: usize) {
        self.change(|state| state.actors += actors);
    }

    pub fn end(&self) {
        self.change(|state| state.actors -= 1);
    }
}
