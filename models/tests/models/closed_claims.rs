//! The latch `closed` and its callbacks, as `src/stream/closed.rs` has them.

use super::check::{fails, holds};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    RegisterLooksFirst,
    FreeDoesNotWait,
    FreeForgetsDue,
}

#[derive(Default)]
struct Callbacks {
    due: usize,
    is_running: bool,
    freed: bool,
}

struct Closed {
    info: AtomicBool,
    callbacks: Mutex<Callbacks>,
    idle: Condvar,
    /// `Command::CallBack` on its way to the internal thread, and whether more may come.
    asked: Mutex<(usize, bool)>,
    told: Condvar,
    ran: AtomicUsize,
    /// `free` has returned: no callback runs after that.
    is_free: AtomicBool,
    bug: Bug,
}

impl Closed {
    fn new(bug: Bug) -> Arc<Self> {
        Arc::new(Self {
            info: AtomicBool::new(false),
            callbacks: Mutex::new(Callbacks::default()),
            idle: Condvar::new(),
            asked: Mutex::new((0, true)),
            told: Condvar::new(),
            ran: AtomicUsize::new(0),
            is_free: AtomicBool::new(false),
            bug,
        })
    }

    fn ask(&self) {
        self.asked.lock().unwrap().0 += 1;
        self.told.notify_one();
    }

    fn finish(&self) {
        self.asked.lock().unwrap().1 = false;
        self.told.notify_one();
    }

    fn settle(&self) {
        self.info.store(true, Ordering::Release);
        if self.callbacks.lock().unwrap().due > 0 {
            self.ask();
        }
    }

    fn register(&self) {
        let looked = self.info.load(Ordering::Acquire);
        let mut callbacks = self.callbacks.lock().unwrap();
        if callbacks.freed {
            return;
        }
        callbacks.due += 1;
        // Looked at under the lock: who settles afterwards finds the callback.
        let is_due =
            if self.bug == Bug::RegisterLooksFirst { looked } else { self.info.load(Ordering::Acquire) };
        drop(callbacks);
        if is_due {
            self.ask();
        }
    }

    fn call_back(&self) {
        if !self.info.load(Ordering::Acquire) {
            return;
        }
        loop {
            let mut callbacks = self.callbacks.lock().unwrap();
            if callbacks.due == 0 {
                return;
            }
            callbacks.due -= 1;
            callbacks.is_running = true;
            drop(callbacks);
            assert!(!self.is_free.load(Ordering::Acquire), "a callback runs after free has returned");
            self.ran.fetch_add(1, Ordering::AcqRel);
            assert!(!self.is_free.load(Ordering::Acquire), "a callback runs after free has returned");
            self.callbacks.lock().unwrap().is_running = false;
            self.idle.notify_all();
        }
    }

    fn free(&self) {
        let mut callbacks = self.callbacks.lock().unwrap();
        callbacks.freed = true;
        if self.bug != Bug::FreeForgetsDue {
            callbacks.due = 0;
        }
        while callbacks.is_running && self.bug != Bug::FreeDoesNotWait {
            callbacks = self.idle.wait(callbacks).unwrap();
        }
        drop(callbacks);
        self.is_free.store(true, Ordering::Release);
    }

    /// The internal thread, until nobody can ask any more.
    fn live(&self) {
        loop {
            let mut asked = self.asked.lock().unwrap();
            while asked.0 == 0 && asked.1 {
                asked = self.told.wait(asked).unwrap();
            }
            if asked.0 == 0 {
                return;
            }
            asked.0 -= 1;
            drop(asked);
            self.call_back();
        }
    }
}

/// One thread settles, one registers a callback.
fn settles(bug: Bug) -> impl Fn() + Send + Sync {
    move || {
        let closed = Closed::new(bug);
        let registering = Arc::clone(&closed);
        let program = loom::thread::spawn(move || registering.register());
        let internal = Arc::clone(&closed);
        let living = loom::thread::spawn(move || internal.live());
        closed.settle();
        program.join().unwrap();
        closed.finish();
        living.join().unwrap();
        assert_eq!(closed.ran.load(Ordering::Acquire), 1, "a callback runs exactly once");
    }
}

/// A callback is registered; one thread settles, one frees.
fn frees(bug: Bug) -> impl Fn() + Send + Sync {
    move || {
        let closed = Closed::new(bug);
        closed.register();
        let freeing = Arc::clone(&closed);
        let program = loom::thread::spawn(move || freeing.free());
        let internal = Arc::clone(&closed);
        let living = loom::thread::spawn(move || internal.live());
        closed.settle();
        program.join().unwrap();
        closed.finish();
        living.join().unwrap();
        assert!(closed.ran.load(Ordering::Acquire) <= 1);
    }
}

#[test]
fn a_callback_runs_exactly_once_whether_it_was_registered_before_or_after_the_end() {
    holds(settles(Bug::None));
}

#[test]
fn no_callback_runs_once_free_has_returned() {
    holds(frees(Bug::None));
}

#[test]
fn a_registration_that_looks_before_the_lock_is_forgotten() {
    fails("exactly once", settles(Bug::RegisterLooksFirst));
}

#[test]
fn a_free_that_does_not_wait_lets_a_callback_run_on() {
    fails("after free", frees(Bug::FreeDoesNotWait));
}

#[test]
fn a_free_that_forgets_what_is_due_lets_a_callback_begin() {
    fails("after free", frees(Bug::FreeForgetsDue));
}
