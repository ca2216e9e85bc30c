//! The way to the internal thread, as `src/runtime/mod.rs` and `internal.rs` have it: `notified`, `sweeping`, the
//! wake descriptor and the queue. Nothing that was sent or listed stays unseen while the thread sleeps for long.
//!
//! A store that is sequentially consistent there is a swap here: loom takes such a store for a release.

use super::check::{fails, holds};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    StoresBeforeClear,
    StoresAfterCommands,
    SweepDoesNotLookAgain,
    FlagIsNotTakenBack,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Nudge,
    List { known: bool },
}

struct Runtime {
    commands: Mutex<VecDeque<Command>>,
    notified: AtomicBool,
    sweeping: AtomicBool,
    /// The wake descriptor, and how many threads may still ask.
    wake: Mutex<(bool, usize)>,
    raised: Condvar,
    bug: Bug,
}

impl Runtime {
    fn notify(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) {
            self.wake.lock().unwrap().0 = true;
            self.raised.notify_one();
        }
    }

    fn nudge(&self) {
        self.commands.lock().unwrap().push_back(Command::Nudge);
        self.notify();
    }

    fn list(&self, known: bool) {
        self.commands.lock().unwrap().push_back(Command::List { known });
        if !self.sweeping.swap(true, Ordering::SeqCst) {
            self.notify();
        }
    }

    fn leave(&self) {
        self.wake.lock().unwrap().1 -= 1;
        self.raised.notify_one();
    }
}

struct Internal {
    runtime: Arc<Runtime>,
    /// `next_sweep` is set.
    sweeps: bool,
    listed: usize,
    swept: usize,
    nudged: usize,
}

impl Internal {
    /// `run`: sleeps only where no sweep is due; true: woken or it is time.
    fn run(&mut self) {
        loop {
            let mut wake = self.runtime.wake.lock().unwrap();
            while !wake.0 && !self.sweeps && wake.1 > 0 {
                wake = self.runtime.raised.wait(wake).unwrap();
            }
            if !wake.0 && !self.sweeps {
                return;
            }
            let is_raised = wake.0;
            drop(wake);
            if is_raised {
                self.handle_wake();
            }
            self.handle_commands();
            if is_raised && self.runtime.bug == Bug::StoresAfterCommands {
                self.runtime.notified.swap(false, Ordering::SeqCst);
            }
            if std::mem::take(&mut self.sweeps) {
                self.sweep();
            }
        }
    }

    fn handle_wake(&mut self) {
        match self.runtime.bug {
            Bug::StoresBeforeClear => {
                self.runtime.notified.swap(false, Ordering::SeqCst);
                self.runtime.wake.lock().unwrap().0 = false;
            }
            Bug::StoresAfterCommands => self.runtime.wake.lock().unwrap().0 = false,
            _ => {
                self.runtime.wake.lock().unwrap().0 = false;
                self.runtime.notified.swap(false, Ordering::SeqCst);
            }
        }
    }

    fn handle_commands(&mut self) {
        let count = self.runtime.commands.lock().unwrap().len();
        for _ in 0..count {
            let Some(command) = self.runtime.commands.lock().unwrap().pop_front() else { return };
            match command {
                Command::Nudge => self.nudged += 1,
                Command::List { known } => self.enlist(known),
            }
        }
        let is_empty = self.runtime.commands.lock().unwrap().is_empty();
        if !is_empty {
            self.runtime.notify();
        }
        // Who lists a stream raises the flag after that: it may have been lowered in between.
        if !self.sweeps
            && self.runtime.sweeping.load(Ordering::SeqCst)
            && self.runtime.bug != Bug::FlagIsNotTakenBack
        {
            self.start_sweeping();
        }
    }

    fn enlist(&mut self, known: bool) {
        if known {
            self.listed += 1;
        }
        self.start_sweeping();
    }

    fn start_sweeping(&mut self) {
        self.runtime.sweeping.swap(true, Ordering::SeqCst);
        self.sweeps = true;
    }

    fn sweep(&mut self) {
        self.swept += std::mem::take(&mut self.listed);
        self.runtime.sweeping.swap(false, Ordering::SeqCst);
        if self.runtime.bug != Bug::SweepDoesNotLookAgain {
            // Who listed a stream before that store did not wake this thread: look once more.
            self.handle_commands();
        }
    }
}

type Actor = fn(&Runtime);

/// What the actors send and list is seen, though the thread sleeps for ever where nothing is due.
fn seen(bug: Bug, actors: &'static [Actor], nudges: usize, lists: usize) -> impl Fn() + Send + Sync {
    move || {
        let runtime = Arc::new(Runtime {
            commands: Mutex::new(VecDeque::new()),
            notified: AtomicBool::new(false),
            sweeping: AtomicBool::new(false),
            wake: Mutex::new((false, actors.len())),
            raised: Condvar::new(),
            bug,
        });
        for &actor in actors {
            let runtime = Arc::clone(&runtime);
            loom::thread::spawn(move || {
                actor(&runtime);
                runtime.leave();
            });
        }
        let mut internal = Internal { runtime, sweeps: false, listed: 0, swept: 0, nudged: 0 };
        internal.run();
        assert_eq!(internal.nudged, nudges, "what is sent is seen");
        assert_eq!(internal.swept, lists, "what is listed is swept");
    }
}

const NUDGES: &[Actor] = &[
    |runtime| {
        runtime.nudge();
        runtime.nudge();
    },
    |runtime| runtime.nudge(),
];

const LISTS: &[Actor] = &[
    |runtime| {
        runtime.list(true);
        runtime.list(true);
    },
    |runtime| runtime.list(true),
];

const LISTS_OF_THE_GONE: &[Actor] = &[|runtime| {
    runtime.list(false);
    runtime.list(true);
}];

const BOTH: &[Actor] = &[
    |runtime| {
        runtime.list(true);
        runtime.nudge();
    },
    |runtime| {
        runtime.nudge();
        runtime.list(true);
    },
];

#[test]
fn what_is_sent_is_seen() {
    holds(seen(Bug::None, NUDGES, 3, 0));
}

#[test]
fn what_is_listed_is_swept() {
    holds(seen(Bug::None, LISTS, 0, 3));
}

#[test]
fn what_is_sent_and_listed_together_is_seen() {
    holds(seen(Bug::None, BOTH, 2, 2));
}

#[test]
fn a_stream_that_has_gone_does_not_keep_others_from_the_sweep() {
    holds(seen(Bug::None, LISTS_OF_THE_GONE, 0, 1));
}

#[test]
fn a_flag_that_falls_before_the_descriptor_is_cleared_loses_a_wake_up() {
    fails("is seen", seen(Bug::StoresBeforeClear, NUDGES, 3, 0));
}

#[test]
fn a_flag_that_falls_after_the_commands_loses_a_wake_up() {
    fails("is seen", seen(Bug::StoresAfterCommands, NUDGES, 3, 0));
}

#[test]
fn a_sweep_that_does_not_look_again_leaves_a_stream_listed() {
    fails("is swept", seen(Bug::SweepDoesNotLookAgain, LISTS, 0, 3));
}

#[test]
fn a_flag_that_is_set_after_its_sweep_and_not_taken_back_keeps_others_from_the_sweep() {
    fails("is swept", seen(Bug::FlagIsNotTakenBack, LISTS, 0, 3));
}
