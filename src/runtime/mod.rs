//! The internal thread: connects, keeps time, watches and sweeps what nobody drives, and runs callbacks.
//!
//! It knows a stream as a key and a [`Driven`], never a frame; whatever it calls may be called by other threads at
//! the same time, and it holds no borrow of its own tables while it calls.

mod connect;
mod internal;
mod race;
mod resolve;

pub use connect::{ConnectError, Destination, Place, begin};

use crate::net::{Transport, Wake, poller::Interest, sys};
use crossbeam_channel::Sender;
use std::io::Result;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a stream that nobody drives may go unwatched, and what MORE holds back be kept. A ping is to be answered within
/// 10 ms; this, rounded up by the clock, is when the next sweep looks.
const SWEEP_PERIOD: Duration = Duration::from_millis(5);

/// Tests may ask for another one, so that the internal thread takes over all the time.
#[cfg(feature = "dump")]
fn sweep_period() -> Duration {
    static PERIOD: std::sync::OnceLock<Duration> = std::sync::OnceLock::new();
    let asked = || std::env::var("WSSTREAM_TEST_SWEEP_MS").ok()?.parse().ok().map(Duration::from_millis);
    *PERIOD.get_or_init(|| asked().unwrap_or(SWEEP_PERIOD))
}

#[cfg(not(feature = "dump"))]
const fn sweep_period() -> Duration {
    SWEEP_PERIOD
}

/// What a stream wants of the poller after it was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: another thread sees to it.
    Nothing,
    /// One event; errors are always watched.
    Watch(Interest),
    /// The poller is to let go of the socket.
    LetGo,
}

/// Why the internal thread gives a stream up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A bug was met in serving it.
    Bug,
    /// The system refuses to watch its socket.
    Refused,
}

/// A stream, as far as the internal thread knows it. Every call is made on that thread, none may wait.
pub trait Driven: Send + Sync {
    /// The addresses of its host's name are known; they are connected to now.
    fn resolved(&self);
    /// The connection stands, or will not.
    fn connected(&self, outcome: std::result::Result<OwnedFd, ConnectError>) -> Wanted;
    /// The socket, while there is one: the share that the poller keeps.
    fn transport(&self) -> Option<Arc<Transport>>;
    /// An event came (`error`: the connection is broken), or `nudge` was called.
    fn ready(&self, event: bool, error: bool) -> Wanted;
    /// A thread is about to wait for what only driving brings about, without driving: takes over if nobody drives.
    fn take_over(&self) -> Wanted;
    /// A sweep has come by, and sees to what nobody else sees to. `seen` is what it saw the last time; true keeps the stream
    /// on the list, since somebody may be back before the next.
    fn sweep(&self, seen: &mut u64) -> (bool, Wanted);
    /// A deadline may have passed: sees to it, answers the next one.
    fn deadline(&self, now: Instant) -> Option<Instant>;
    /// Runs the callbacks that are due.
    fn call_back(&self) -> Wanted;
    /// The stream was freed, and whatever that meant is done: the last callbacks.
    fn freed(&self);
    /// After free: whether no call is inside, so that the last share may go.
    fn is_deserted(&self) -> bool;
    /// The stream cannot be served any more.
    fn fail(&self, failure: Failure);
}

/// What other threads ask of the internal one.
enum Command {
    Insert(u64, Arc<dyn Driven>),
    Connect(u64, Destination),
    Resolved(u64),
    Connected(u64, std::result::Result<OwnedFd, ConnectError>),
    GiveUp(u64),
    Nudge(u64),
    TakeOver(u64),
    List(u64),
    Deadline(u64, Instant),
    CallBack(u64),
    Freed(u64),
    Stop,
}

/// The way to the internal thread, from any thread.
pub struct Runtime {
    commands: Sender<Command>,
    wake: Arc<Wake>,
    /// A wake-up is on its way.
    notified: AtomicBool,
    /// The sweep list is not empty, so what is put on it needs no wake-up.
    sweeping: AtomicBool,
    dead: AtomicBool,
    keys: AtomicU64,
    generation: u32,
    /// Streams that were not freed. Raised under the lock of its slot, where `stop` looks.
    streams: AtomicUsize,
    thread: Mutex<Thread>,
    ended: Condvar,
}

/// The internal thread, as far as others see it.
#[derive(Default)]
struct Thread {
    has_ended: bool,
    /// Until it was joined.
    handle: Option<JoinHandle<()>>,
}

/// The runtimes of one process generation.
struct Slot {
    running: Option<Arc<Runtime>>,
    /// Those that were stopped and may not have ended.
    ending: Vec<Arc<Runtime>>,
}

/// How stopping went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// No thread of the library is left, but for lookups that hang in the system.
    Done,
    /// A stream was not freed.
    InUse,
    /// Not yet: what streams that were freed still have to do goes on.
    NotYet,
}

/// The runtime of this process, in the slot of its generation. A thread of the parent may have been inside a lock at the
/// fork; the child, being of another generation, takes another one.
static SLOTS: [Mutex<Slot>; 64] = [const { Mutex::new(Slot { running: None, ending: Vec::new() }) }; 64];

fn slot(generation: u32) -> MutexGuard<'static, Slot> {
    SLOTS[generation as usize % SLOTS.len()].lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    /// The runtime of this process, for one stream more; started where there is none. Fails where the system refuses a
    /// thread or a descriptor.
    pub fn running() -> Result<Arc<Runtime>> {
        let generation = sys::begin_generation()?;
        let mut slot = slot(generation);
        if let Some(runtime) = slot.running.as_ref() {
            if runtime.generation == generation && !runtime.dead.load(Ordering::Acquire) {
                runtime.streams.fetch_add(1, Ordering::Relaxed);
                return Ok(Arc::clone(runtime));
            }
        }
        let runtime = internal::start(generation)?;
        runtime.streams.fetch_add(1, Ordering::Relaxed);
        match slot.running.replace(Arc::clone(&runtime)) {
            // The runtime of an ancestor is never dropped in a child: its descriptors are shared with the parent.
            Some(old) if old.generation != generation => std::mem::forget(old),
            // A bug has ended its loop, but not its thread while it has streams.
            Some(old) => slot.ending.push(old),
            None => {}
        }
        Ok(runtime)
    }

    /// Ends the thread of this process, if no stream is left that was not freed; waits for that until `deadline`, None:
    /// for ever.
    pub fn stop(deadline: Option<Instant>) -> Stopped {
        let generation = sys::generation();
        if generation == 0 {
            return Stopped::Done;
        }
        {
            let mut slot = slot(generation);
            let is_own = |runtime: &&Arc<Runtime>| runtime.generation == generation;
            let mut own = slot.running.iter().filter(is_own).chain(&slot.ending);
            if own.any(|runtime| runtime.streams.load(Ordering::Acquire) != 0) {
                return Stopped::InUse;
            }
            if let Some(runtime) = slot.running.take_if(|running| running.generation == generation) {
                // Nobody finds it any more, so no stream is inserted behind this.
                runtime.send(Command::Stop);
                slot.ending.push(runtime);
            }
        }
        loop {
            let Some(ending) = slot(generation).ending.first().cloned() else { return Stopped::Done };
            if !ending.outlast(deadline) {
                return Stopped::NotYet;
            }
            slot(generation).ending.retain(|other| !Arc::ptr_eq(other, &ending));
        }
    }

    /// Waits for the end of its thread; false: the time is over.
    fn outlast(&self, deadline: Option<Instant>) -> bool {
        let mut thread = self.thread();
        while !thread.has_ended {
            let Some(at) = deadline else {
                thread = self.ended.wait(thread).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread = self.ended.wait_timeout(thread, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        // It has run its last; a panic in it was seen to there.
        let _ = thread.handle.take().map(JoinHandle::join);
        true
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The internal thread is about to end.
    fn note_end(&self) {
        self.thread().has_ended = true;
        self.ended.notify_all();
    }

    /// The generation of the process that it runs in.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// A key for a stream that is about to be inserted.
    pub fn new_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a stream known under a key of its own; the runtime keeps a share of it until it was freed and is deserted.
    pub fn insert_as(&self, key: u64, driven: Arc<dyn Driven>) {
        self.send_in_time(Command::Insert(key, driven));
    }

    /// Starts resolving and connecting for a stream.
    pub fn connect(&self, key: u64, destination: Destination) {
        self.send(Command::Connect(key, destination));
    }

    /// Stops resolving and connecting.
    pub fn give_up(&self, key: u64) {
        self.send(Command::GiveUp(key));
    }

    /// Lets the internal thread look at a stream: `Driven::ready`.
    pub fn nudge(&self, key: u64) {
        self.send(Command::Nudge(key));
    }

    /// Lets the internal thread drive a stream now instead of at a sweep: `Driven::take_over`.
    pub fn take_over(&self, key: u64) {
        self.send(Command::TakeOver(key));
    }

    /// Lets it call `Driven::deadline` at a time, or soon after.
    pub fn wake_at(&self, key: u64, at: Instant) {
        self.send_in_time(Command::Deadline(key, at));
    }

    /// Lets it run the callbacks that are due.
    pub fn call_back(&self, key: u64) {
        self.send(Command::CallBack(key));
    }

    /// The stream was freed: its share may go as soon as it is deserted. `in_time`: nobody waits for what that means.
    pub fn freed(&self, key: u64, in_time: bool) {
        // Before the count: a runtime without streams is told nothing more.
        let command = Command::Freed(key);
        if in_time {
            self.send_in_time(command)
        } else {
            self.send(command)
        }
        self.streams.fetch_sub(1, Ordering::Release);
    }

    /// Puts a stream on the sweep list.
    pub fn list(&self, key: u64) {
        self.send_in_time(Command::List(key));
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Sends what has time until the next sweep; wakes the internal thread only where none is to come.
    fn send_in_time(&self, command: Command) {
        let sent = self.commands.send(command).is_ok();
        if sent && !self.sweeping.swap(true, Ordering::SeqCst) {
            self.notify();
        }
    }

    fn send(&self, command: Command) {
        // After the internal thread's end every stream has settled and nothing is left to ask for.
        if self.commands.send(command).is_ok() {
            self.notify();
        }
    }

    fn notify(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) {
            self.wake.raise();
        }
    }
}
