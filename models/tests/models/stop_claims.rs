//! Stopping the runtime, as `src/runtime/mod.rs` and `internal.rs` have it: no stream comes to a thread that has ended, and
//! a thread that is told to end does so.

use super::check::{fails, holds};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread::JoinHandle;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    CountedLate,
    LooksOutside,
    LeavesStreams,
    StopForgotten,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Insert,
    Freed,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    Stopped,
    InUse,
}

struct Runtime {
    commands: Mutex<VecDeque<Command>>,
    told: Condvar,
    /// Streams that were not freed.
    streams: AtomicUsize,
    bug: Bug,
}

impl Runtime {
    fn send(&self, command: Command) {
        self.commands.lock().unwrap().push_back(command);
        self.told.notify_one();
    }

    /// `Internal::run`.
    fn live(&self) {
        let (mut is_stopping, mut streams, mut deserting) = (false, 0, 0);
        loop {
            let mut commands = self.commands.lock().unwrap();
            if is_stopping && (streams == 0 || self.bug == Bug::LeavesStreams) && commands.is_empty() {
                assert_eq!(streams, 0, "a thread ends before its streams");
                return;
            }
            if commands.is_empty() && deserting > 0 {
                // A sweep: what was freed has ended meanwhile.
                streams -= std::mem::take(&mut deserting);
                continue;
            }
            while commands.is_empty() {
                commands = self.told.wait(commands).unwrap();
            }
            match commands.pop_front() {
                Some(Command::Insert) => streams += 1,
                Some(Command::Freed) => deserting += 1,
                Some(Command::Stop) => is_stopping = true,
                None => {}
            }
        }
    }
}

/// `Slot`, and the threads that were started.
#[derive(Default)]
struct Slot {
    running: Option<Arc<Runtime>>,
    threads: Vec<(Arc<Runtime>, JoinHandle<()>)>,
}

struct Process {
    slot: Mutex<Slot>,
    bug: Bug,
}

impl Process {
    /// `Runtime::running`.
    fn running(&self) -> Arc<Runtime> {
        let mut slot = self.slot.lock().unwrap();
        if slot.running.is_none() {
            let runtime = Arc::new(Runtime {
                commands: Mutex::default(),
                told: Condvar::new(),
                streams: AtomicUsize::new(0),
                bug: self.bug,
            });
            let living = Arc::clone(&runtime);
            slot.threads.push((Arc::clone(&runtime), loom::thread::spawn(move || living.live())));
            slot.running = Some(runtime);
        }
        let runtime = Arc::clone(slot.running.as_ref().unwrap());
        if self.bug == Bug::CountedLate {
            drop(slot);
        }
        runtime.streams.fetch_add(1, Ordering::Relaxed);
        runtime
    }

    /// A stream from `open` to `free`.
    fn open_and_free(&self) {
        let runtime = self.running();
        runtime.send(Command::Insert);
        runtime.send(Command::Freed);
        runtime.streams.fetch_sub(1, Ordering::Release);
    }

    fn stop(&self) -> Stopped {
        let looked = self.slot.lock().unwrap().running.as_ref().map(|runtime| is_in_use(runtime));
        let mut slot = self.slot.lock().unwrap();
        let Some(runtime) = slot.running.take() else { return Stopped::Stopped };
        let is_in_use =
            if self.bug == Bug::LooksOutside { looked == Some(true) } else { is_in_use(&runtime) };
        if is_in_use {
            slot.running = Some(runtime);
            return Stopped::InUse;
        }
        if self.bug != Bug::StopForgotten {
            runtime.send(Command::Stop);
        }
        Stopped::Stopped
    }
}

fn is_in_use(runtime: &Runtime) -> bool {
    runtime.streams.load(Ordering::Acquire) != 0
}

/// One thread opens and frees, one stops; in the end all is stopped.
fn stops(bug: Bug) -> impl Fn() + Send + Sync {
    move || {
        let process = Arc::new(Process { slot: Mutex::default(), bug });
        process.open_and_free();
        let opening = Arc::clone(&process);
        let program = loom::thread::spawn(move || opening.open_and_free());
        let first = process.stop();
        program.join().unwrap();
        let last = process.stop();
        assert_eq!(last, Stopped::Stopped, "with no stream left it stops, after {first:?} too");
        let threads = std::mem::take(&mut process.slot.lock().unwrap().threads);
        for (runtime, thread) in threads {
            thread.join().unwrap();
            assert!(runtime.commands.lock().unwrap().is_empty(), "a stream comes to a thread that has ended");
        }
    }
}

#[test]
fn a_stream_that_is_opened_beside_a_stop_has_a_thread() {
    holds(stops(Bug::None));
}

#[test]
fn a_stream_that_is_counted_late_comes_to_a_thread_that_has_ended() {
    fails("has ended", stops(Bug::CountedLate));
}

#[test]
fn a_stop_that_looks_outside_the_lock_ends_a_thread_that_is_in_use() {
    fails("has ended", stops(Bug::LooksOutside));
}

#[test]
fn a_thread_that_does_not_wait_for_its_streams_ends_before_them() {
    fails("before its streams", stops(Bug::LeavesStreams));
}

#[test]
fn a_thread_that_nobody_tells_does_not_end() {
    fails("deadlock", stops(Bug::StopForgotten));
}
