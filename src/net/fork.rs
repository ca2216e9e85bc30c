//! Sections that no fork cuts in two: a lock that another thread held at a fork would stay locked in the child for ever.
//!
//! For the few locks that the child goes on using: they are taken inside a section, for some instructions. A fork waits until
//! nobody is in one. Everything else of the parent's is never touched in the child.

use super::sys;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// A fork waits, or is under way: nobody enters.
const FORKING: u32 = 1 << 31;
/// How often a fork looks whether everybody has left; then it goes on. Only a fork in a signal handler that has interrupted
/// a section waits for itself.
const LOOKS_MAX: u32 = 100_000;

/// How many threads are inside, and `FORKING`.
static INSIDE: AtomicU32 = AtomicU32::new(0);
static HANDLERS: Once = Once::new();

/// The time in which no fork happens.
#[must_use]
pub struct Section(());

/// Begins a section; not inside another one.
pub fn section() -> Section {
    HANDLERS.call_once(|| sys::on_fork(prepare, end));
    loop {
        let inside = INSIDE.load(Ordering::Relaxed);
        let is_free = inside & FORKING == 0;
        if is_free
            && INSIDE.compare_exchange(inside, inside + 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return Section(());
        }
        std::thread::yield_now();
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::Release);
    }
}

/// Before a fork, on the thread that forks.
extern "C" fn prepare() {
    INSIDE.fetch_or(FORKING, Ordering::Relaxed);
    for _ in 0..LOOKS_MAX {
        if INSIDE.load(Ordering::Acquire) == FORKING {
            return;
        }
        std::thread::yield_now();
    }
}

/// After it, in the parent and in the child.
extern "C" fn end() {
    INSIDE.fetch_and(!FORKING, Ordering::Release);
}
