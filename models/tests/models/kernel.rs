//! The system under the models: one socket, the poller's registration of it, the wake descriptors, the waiters and the
//! way to the internal thread. Each call is one step, as a system call is.
//!
//! Nothing sent to the internal thread is lost here: that is what `runtime.rs` models.

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
    List,
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

#[derive(Default)]
struct State {
    arrived: VecDeque<u8>,
    has_ended: bool,
    is_broken: bool,
    room: usize,
    wire: Vec<u8>,
    watched: Option<Interest>,
    waiters: Vec<(usize, u32)>,
    raised: [bool; PLACES],
    asleep: [Option<Interest>; PLACES],
    commands: VecDeque<Command>,
    actors: usize,
}

impl State {
    fn is_ready(&self, interest: Interest) -> bool {
        let readable = !self.arrived.is_empty() || self.has_ended || self.is_broken;
        (interest.read && readable) || (interest.write && self.room > 0)
    }

    fn has_event(&self) -> bool {
        // EPOLLERR needs no interest.
        self.watched.is_some_and(|watched| self.is_ready(watched) || self.is_broken)
    }

    fn is_awake(&self, place: usize) -> bool {
        if place == INTERNAL_PLACE {
            return self.has_event() || !self.commands.is_empty() || self.actors == 0;
        }
        self.raised[place] || self.asleep[place].is_some_and(|interest| self.is_ready(interest))
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

    fn sleep(&self, place: usize, interest: Interest) -> MutexGuard<'_, State> {
        let mut state = self.state();
        loop {
            state.asleep[place] = Some(interest);
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

    /// What has been sent so far.
    pub fn wire(&self) -> Vec<u8> {
        self.state().wire.clone()
    }

    /// What the poller watches.
    pub fn watched(&self) -> Option<Interest> {
        self.state().watched
    }

    // The socket. A receive empties it; a send gives what there is room for.

    /// None: the peer has ended, or the connection broke; else what came, which may be nothing.
    pub fn receive(&self) -> Option<VecDeque<u8>> {
        self.change(|state| {
            if state.arrived.is_empty() && (state.has_ended || state.is_broken) {
                return None;
            }
            Some(std::mem::take(&mut state.arrived))
        })
    }

    pub fn send(&self, bytes: &[u8]) -> usize {
        self.change(|state| {
            let size = bytes.len().min(state.room);
            state.room -= size;
            state.wire.extend_from_slice(&bytes[..size]);
            size
        })
    }

    /// `sys::poll` on the thread's wake descriptor and the socket, for ever.
    pub fn poll(&self, place: usize, interest: Interest) {
        drop(self.sleep(place, interest));
    }

    /// `Wake::clear`.
    pub fn clear(&self, place: usize) {
        self.change(|state| state.raised[place] = false);
    }

    // `Waiters`: its lock is held while it raises, so each call is one step.

    pub fn enter(&self, place: usize, events: u32) {
        self.change(|state| state.waiters.push((place, events)));
    }

    pub fn leave(&self, place: usize) {
        self.change(|state| state.waiters.retain(|waiter| waiter.0 != place));
    }

    pub fn wake(&self, events: u32) {
        self.change(|state| {
            for (place, waited) in std::mem::take(&mut state.waiters) {
                state.raised[place] |= waited & events != 0;
                state.waiters.push((place, waited));
            }
        });
    }

    // The poller and the internal thread.

    pub fn arm(&self, interest: Interest) {
        self.change(|state| state.watched = Some(interest));
    }

    pub fn remove(&self) {
        self.change(|state| state.watched = None);
    }

    pub fn ask(&self, command: Command) {
        self.change(|state| state.commands.push_back(command));
    }

    /// `Internal::run`: events, then commands, then time.
    pub fn next(&self, is_sweeping: bool) -> Work {
        let mut state =
            if is_sweeping { self.state() } else { self.sleep(INTERNAL_PLACE, Interest::default()) };
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
