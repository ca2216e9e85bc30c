//! The threads that sleep in calls on one stream: each with its own wake descriptor and the events it waits for.
//!
//! Who sleeps enters first and looks once more after that; who changes something changes it first and wakes after
//! that. So no wake-up is lost. The lock is a leaf and held for a few instructions.

use crate::net::{Wake, sys};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Each thread's wake descriptor and the process generation it was made in: a child of a fork shares its parent's and must
/// not wake it.
static WAKE: sys::PerThread<(u32, Arc<Wake>)> = sys::PerThread::new();

/// This thread's wake descriptor, made on its first wait.
fn own_wake() -> std::io::Result<Arc<Wake>> {
    if crate::fault::fails("stream.wake") {
        return Err(std::io::ErrorKind::OutOfMemory.into());
    }
    WAKE.with(|own| match own {
        Some((generation, wake)) if *generation == sys::generation() => Ok(Arc::clone(wake)),
        _ => {
            let wake = Wake::new()?;
            *own = Some((sys::generation(), Arc::clone(&wake)));
            Ok(wake)
        }
    })?
}

#[derive(Debug)]
struct Waiter {
    wake: Arc<Wake>,
    /// Changes that let it look again.
    events: u32,
    /// What its call was asked to wait for: `interrupt` means no other.
    asked: u32,
    interrupted: bool,
}

#[derive(Debug, Default)]
struct List {
    waiters: Vec<Waiter>,
    /// Events that `interrupt` was called for while nobody waited for them.
    pending: u32,
    standing: Standing,
}

/// Events that are waited for without a thread that sleeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// By callbacks.
    pub called: u32,
    /// By the descriptor for event loops.
    pub watched: u32,
    /// The program has said what the descriptor stands for.
    pub is_chosen: bool,
}

/// The sleeping threads of one stream, and what else waits for its events.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    list: Mutex<List>,
    /// What stands, for a look without the lock.
    called: AtomicU32,
    watched: AtomicU32,
}

/// One thread's place among them.
#[derive(Debug)]
pub(super) struct Ticket(Arc<Wake>);

impl Ticket {
    /// What to sleep on.
    pub fn wake(&self) -> &Wake {
        &self.0
    }
}

/// Why a thread is not to sleep.
pub(super) enum NoSleep {
    /// `interrupt` was called for these events before.
    Interrupted,
    /// The system has no descriptor for it.
    Resource,
}

impl Waiters {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters this thread, about to sleep: its call was asked for some events, and looks again at others too.
    pub fn enter(&self, asked: u32, events: u32) -> Result<Ticket, NoSleep> {
        let wake = own_wake().map_err(|_| NoSleep::Resource)?;
        let mut list = self.list();
        if list.pending & asked != 0 {
            list.pending &= !asked;
            return Err(NoSleep::Interrupted);
        }
        if list.waiters.capacity() == 0 {
            // Mostly there is one.
            list.waiters.reserve_exact(1);
        }
        list.waiters.push(Waiter { wake: Arc::clone(&wake), events, asked, interrupted: false });
        Ok(Ticket(wake))
    }

    /// Takes this thread out again; true where `interrupt` meant it.
    pub fn leave(&self, ticket: Ticket) -> bool {
        let mut list = self.list();
        let place = list.waiters.iter().rposition(|waiter| Arc::ptr_eq(&waiter.wake, &ticket.0));
        place.is_some_and(|place| list.waiters.swap_remove(place).interrupted)
    }

    /// Wakes who sleeps for any of these events; answers which of them are waited for otherwise.
    pub fn wake(&self, events: u32) -> Standing {
        let list = self.list();
        for waiter in &list.waiters {
            if waiter.events & events != 0 {
                waiter.wake.raise();
            }
        }
        let Standing { called, watched, is_chosen } = list.standing;
        Standing { called: called & events, watched: watched & events, is_chosen }
    }

    /// Changes what is waited for without a thread. Who changes a stream takes the same lock after its change, so what
    /// `wake` did not answer is seen by a look after this.
    pub fn stand(&self, change: impl FnOnce(&mut Standing)) {
        let mut list = self.list();
        change(&mut list.standing);
        self.called.store(list.standing.called, Ordering::Release);
        self.watched.store(list.standing.watched, Ordering::Release);
    }

    /// Whether a callback waits for any of these events.
    pub fn is_calling(&self, events: u32) -> bool {
        self.called.load(Ordering::Acquire) & events != 0
    }

    /// Whether a callback or the descriptor asks for any of these events.
    pub fn is_demanded(&self, events: u32) -> bool {
        (self.called.load(Ordering::Acquire) | self.watched()) & events != 0
    }

    /// What the descriptor stands for.
    pub fn watched(&self) -> u32 {
        self.watched.load(Ordering::Acquire)
    }

    /// Whether the lock is free, for the child of a fork: nobody is left there to give it back.
    pub fn is_intact(&self) -> bool {
        self.list.try_lock().is_ok()
    }

    /// Lets the calls that wait for these events return as if their time had run out; where none does, the next.
    pub fn interrupt(&self, events: u32) {
        let mut list = self.list();
        let mut met = 0;
        for waiter in list.waiters.iter_mut().filter(|waiter| waiter.asked & events != 0) {
            waiter.interrupted = true;
            waiter.wake.raise();
            met |= waiter.asked;
        }
        list.pending |= events & !met;
    }
}
