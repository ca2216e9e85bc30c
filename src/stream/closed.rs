//! The latch `closed` and the callbacks that wait for it.
//!
//! The result is written once and never changes; callbacks are run by the internal thread only, one at a time, with
//! no lock held. Who frees the stream waits for one that runs on another thread.

use super::Stream;
use super::close_info::CloseInfo;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

/// What the program wants to be called with.
pub type ClosedCallback = Box<dyn FnOnce(&Stream, &CloseInfo) + Send>;

thread_local! { static IN_CALLBACK: Cell<bool> = const { Cell::new(false) }; }

/// How many threads are inside callbacks, so that a call need not look at its thread's own flag while none is.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether this thread is inside a callback.
#[inline]
#[must_use]
pub fn is_in_callback() -> bool {
    // A thread that is inside has raised the number itself.
    RUNNING.load(Ordering::Relaxed) != 0 && is_own_callback()
}

/// Apart, so that the address of the flag is not computed before it is known to be needed.
#[cold]
#[inline(never)]
fn is_own_callback() -> bool {
    IN_CALLBACK.get()
}

#[derive(Default)]
struct Callbacks {
    due: VecDeque<ClosedCallback>,
    running: Option<ThreadId>,
    freed: bool,
}

/// The end of a stream.
#[derive(Default)]
pub(super) struct Closed {
    info: OnceLock<CloseInfo>,
    callbacks: Mutex<Callbacks>,
    idle: Condvar,
}

impl Closed {
    fn callbacks(&self) -> MutexGuard<'_, Callbacks> {
        self.callbacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, once it has.
    #[inline]
    pub fn info(&self) -> Option<&CloseInfo> {
        self.info.get()
    }

    /// Settles; true the first time, and then whether callbacks are due.
    pub fn settle(&self, info: CloseInfo) -> bool {
        if self.info.set(info).is_err() {
            return false;
        }
        !self.callbacks().due.is_empty()
    }

    /// Registers a callback; true where it is due at once.
    pub fn register(&self, callback: ClosedCallback) -> bool {
        let mut callbacks = self.callbacks();
        if callbacks.freed {
            return false;
        }
        callbacks.due.push_back(callback);
        // Looked at under the lock: who settles afterwards finds the callback.
        self.info.get().is_some()
    }

    /// Runs what is due, on the internal thread.
    pub fn call_back(&self, stream: &Stream) {
        let Some(info) = self.info.get() else { return };
        loop {
            let mut callbacks = self.callbacks();
            let Some(callback) = callbacks.due.pop_front() else { return };
            callbacks.running = Some(thread::current().id());
            drop(callbacks);
            let running = Running::new(self);
            callback(stream, info);
            drop(running);
        }
    }

    /// No callback begins from now on; waits for one that runs on another thread.
    pub fn free(&self) {
        let mut callbacks = self.callbacks();
        callbacks.freed = true;
        let never_run = std::mem::take(&mut callbacks.due);
        while callbacks.running.is_some_and(|thread| thread != thread::current().id()) {
            callbacks = self.idle.wait(callbacks).unwrap_or_else(PoisonError::into_inner);
        }
        drop(callbacks);
        drop(never_run);
    }
}

/// The time in which a callback runs: blocking calls are forbidden.
struct Running<'a>(&'a Closed);

impl<'a> Running<'a> {
    fn new(closed: &'a Closed) -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        IN_CALLBACK.set(true);
        Self(closed)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        IN_CALLBACK.set(false);
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        self.0.callbacks().running = None;
        self.0.idle.notify_all();
    }
}
