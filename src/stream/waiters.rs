//! The threads that sleep in calls on one stream: each with its own wake descriptor and the events it waits for.
//!
//! Who sleeps enters first and looks once more after that; who changes something changes it first and wakes after
//! that. So no wake-up is lost. The lock is a leaf and held for a few instructions.

use crate::net::{Wake, sys};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    /// This thread's wake descriptor and the process generation it was made in: a child of a fork shares its
    /// parent's and must not wake it.
    static WAKE: RefCell<Option<(u32, Arc<Wake>)>> = const { RefCell::new(None) };
}

/// This thread's wake descriptor, made on its first wait.
fn own_wake() -> std::io::Result<Arc<Wake>> {
    if crate::fault::fails("stream.wake") {
        return Err(std::io::ErrorKind::OutOfMemory.into());
    }
    let made = WAKE.try_with(|own| {
        let mut own = own.borrow_mut();
        match &*own {
            Some((generation, wake)) if *generation == sys::generation() => Ok(Arc::clone(wake)),
            _ => {
                let wake = Wake::new()?;
                *own = Some((sys::generation(), Arc::clone(&wake)));
                Ok(wake)
            }
        }
    });
    // A thread that is ending has lost its own already: one for this wait alone.
    made.unwrap_or_else(|_| Wake::new())
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
}

/// The sleeping threads of one stream.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<List>);

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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters this thread, about to sleep: its call was asked for some events, and looks again at others too.
    pub fn enter(&self, asked: u32, events: u32) -> Result<Ticket, NoSleep> {
        let wake = own_wake().map_err(|_| NoSleep::Resource)?;
        let mut list = self.list();
        if list.pending & asked != 0 {
            list.pending &= !asked;
            return Err(NoSleep::Interrupted);
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

    /// Wakes who waits for any of these events.
    pub fn wake(&self, events: u32) {
        for waiter in &self.list().waiters {
            if waiter.events & events != 0 {
                waiter.wake.raise();
            }
        }
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
