//! The internal thread's own side: its tables, its loop, its clock. Nothing here is reached by another thread.

use super::connect::{self, ConnectError};
use super::resolve::Names;
use super::{Command, Driven, Failure, Runtime, Wanted, sweep_period};
use crate::net::poller::{Epoll, Event, Interest, Poller};
use crate::net::{Transport, Wake, sys};
use crossbeam_channel::{Receiver, unbounded};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::Result;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

/// The key of the wake descriptor; streams count from 1.
const WAKE_KEY: u64 = 0;
/// How long the loop sleeps where nothing is due.
const LONG: Duration = Duration::from_secs(3600);
/// So many deadlines that are over may wait for their time in any case.
const DEADLINES_KEPT: usize = 64;

struct Entry {
    driven: Arc<dyn Driven>,
    /// Keeps the descriptor open while the poller knows it; true once the poller does.
    socket: Option<(Arc<Transport>, bool)>,
    connecting: Option<AbortHandle>,
    listed: bool,
    /// The counter that the last sweep saw.
    seen: u64,
    /// The deadline that counts; others of this stream in the heap are over.
    due: Option<Instant>,
    freed: bool,
}

impl Entry {
    fn new(driven: Arc<dyn Driven>) -> Self {
        Self { driven, socket: None, connecting: None, listed: false, seen: 0, due: None, freed: false }
    }
}

/// Tells the outcome of connecting when it is dropped, which it also is where the task panics.
struct Told {
    runtime: Arc<Runtime>,
    key: u64,
    outcome: Option<std::result::Result<OwnedFd, ConnectError>>,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            self.runtime.send(Command::Connected(self.key, outcome));
        }
    }
}

/// Tells who waits for the end of the thread, however that comes.
struct End(Arc<Runtime>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.note_end();
    }
}

struct Internal {
    runtime: Arc<Runtime>,
    commands: Receiver<Command>,
    /// Boxed, so that the table's free places are small.
    streams: HashMap<u64, Box<Entry>>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    list: Vec<u64>,
    next_sweep: Option<Instant>,
    /// Freed streams with a call inside: looked at again at every sweep.
    deserting: Vec<u64>,
    /// How many streams are resolving or connecting.
    connecting: usize,
    is_stopping: bool,
    names: Arc<Names>,
}

/// Starts the thread. Everything that can be refused is asked for before it runs.
pub(super) fn start(generation: u32) -> Result<Arc<Runtime>> {
    if crate::fault::fails("runtime.start") {
        return Err(std::io::ErrorKind::WouldBlock.into());
    }
    let (sender, commands) = unbounded();
    let runtime = Arc::new(Runtime {
        commands: sender,
        wake: Wake::new()?,
        notified: AtomicBool::new(false),
        sweeping: AtomicBool::new(false),
        dead: AtomicBool::new(false),
        keys: AtomicU64::new(WAKE_KEY + 1),
        generation,
        streams: AtomicUsize::new(0),
        thread: Mutex::default(),
        ended: Condvar::new(),
    });
    let poller = Epoll::new()?;
    poller.add(runtime.wake.descriptor(), WAKE_KEY)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let internal = Internal {
        runtime: Arc::clone(&runtime),
        commands,
        streams: HashMap::new(),
        deadlines: BinaryHeap::new(),
        list: Vec::new(),
        next_sweep: None,
        deserting: Vec::new(),
        connecting: 0,
        is_stopping: false,
        names: Arc::new(Names::new()),
    };
    let thread = sys::with_signals_blocked(|| {
        std::thread::Builder::new().name("wsstream".to_owned()).spawn(move || internal.live(tokio, poller))
    })?;
    runtime.thread().handle = Some(thread);
    Ok(runtime)
}

impl Internal {
    /// Runs until it is told to stop, the process ends, or a bug in the loop itself ends every stream.
    fn live(mut self, tokio: tokio::runtime::Runtime, poller: Epoll) {
        let _end = End(Arc::clone(&self.runtime));
        let _ = catch_unwind(AssertUnwindSafe(|| tokio.block_on(self.run(poller))));
        self.runtime.dead.store(true, Ordering::Release);
        drop(tokio);
        self.outlive();
    }

    /// After the loop's end: settles every stream, runs the callbacks that are due, and keeps the memory of each
    /// stream until it was freed and is deserted.
    fn outlive(&mut self) {
        let keys: Vec<u64> = self.streams.keys().copied().collect();
        for key in keys {
            self.settle_dead(key);
        }
        while !self.streams.is_empty() || !self.commands.is_empty() {
            let patience = if self.deserting.is_empty() { LONG } else { sweep_period() };
            match self.commands.recv_timeout(patience) {
                Ok(Command::Insert(key, driven)) => {
                    self.streams.insert(key, Box::new(Entry::new(driven)));
                    self.settle_dead(key);
                }
                Ok(Command::CallBack(key)) => {
                    self.call(key, |driven| driven.call_back());
                }
                Ok(Command::Nudge(key)) => {
                    self.call(key, |driven| driven.ready(false, false));
                }
                Ok(Command::Freed(key)) => {
                    self.call(key, |driven| driven.freed());
                    self.deserting.push(key);
                }
                Ok(_) | Err(_) => {}
            }
            for key in self.deserting.clone() {
                // No poller tells any more when the peer has ended what it still sends.
                self.call(key, |driven| driven.ready(false, false));
            }
            let streams = &mut self.streams;
            self.deserting.retain(|key| match streams.get(key) {
                Some(entry) if !entry.driven.is_deserted() => true,
                _ => {
                    streams.remove(key);
                    false
                }
            });
        }
    }

    fn settle_dead(&mut self, key: u64) {
        self.call(key, |driven| driven.fail(Failure::Bug));
        if let Some(entry) = self.streams.get_mut(&key) {
            // The poller is gone, and with it what it knew.
            entry.socket = None;
            if entry.freed {
                self.deserting.push(key);
            }
        }
    }

    async fn run(&mut self, poller: Epoll) -> Result<()> {
        #[expect(
            deprecated,
            reason = "its successor differs by `unsafe` only; an Epoll keeps its descriptor open and the same"
        )]
        let mut poller = AsyncFd::new(poller)?;
        let mut events = Vec::new();
        while !(self.is_stopping && self.streams.is_empty() && self.commands.is_empty()) {
            crate::fault::point("runtime.loop");
            if let Ok(ready) = timeout_at(self.next_time().into(), poller.readable_mut()).await {
                let mut ready = ready?;
                ready.get_inner_mut().take(&mut events)?;
                if events.is_empty() {
                    ready.clear_ready();
                }
            }
            let poller = poller.get_ref();
            for event in events.drain(..) {
                self.handle_event(poller, event);
            }
            self.handle_commands(poller);
            self.handle_time(poller);
            if self.connecting > 0 {
                // A set that always has something to report would keep tokio from its own tasks and sockets.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// When something is due next.
    fn next_time(&self) -> Instant {
        let deadline = self.deadlines.peek().map(|Reverse((at, _))| *at);
        let next = [deadline, self.next_sweep].into_iter().flatten().min();
        next.unwrap_or_else(|| Instant::now() + LONG)
    }

    fn handle_event(&mut self, poller: &Epoll, event: Event) {
        if event.key == WAKE_KEY {
            self.runtime.wake.clear();
            // Before the commands are taken: what is sent later wakes again.
            self.runtime.notified.store(false, Ordering::SeqCst);
        } else {
            self.drive(poller, event.key, |driven| driven.ready(true, event.error));
        }
    }

    fn handle_commands(&mut self, poller: &Epoll) {
        // What is sent meanwhile waits its turn behind events and time.
        for _ in 0..self.commands.len() {
            let Ok(command) = self.commands.try_recv() else { return };
            self.handle_command(poller, command);
        }
        if !self.commands.is_empty() {
            self.runtime.notify();
        }
        // Who lists a stream raises the flag after that: it may have been lowered in between.
        if self.next_sweep.is_none() && self.runtime.sweeping.load(Ordering::SeqCst) {
            self.start_sweeping();
        }
    }

    fn handle_command(&mut self, poller: &Epoll, command: Command) {
        match command {
            Command::Insert(key, driven) => {
                self.streams.insert(key, Box::new(Entry::new(driven)));
            }
            Command::Connect(key, destination) => self.start_connecting(key, destination),
            Command::Resolved(key) => {
                self.call(key, |driven| driven.resolved());
            }
            Command::Connected(key, outcome) => self.handle_connected(poller, key, outcome),
            Command::Stop => self.is_stopping = true,
            Command::GiveUp(key) => {
                if let Some(task) = self.end_connecting(key) {
                    task.abort();
                }
            }
            Command::Nudge(key) => self.drive(poller, key, |driven| driven.ready(false, false)),
            Command::TakeOver(key) => self.drive(poller, key, |driven| driven.take_over()),
            Command::List(key) => self.enlist(key),
            Command::Deadline(key, at) => self.set_deadline(key, at),
            Command::CallBack(key) => self.drive(poller, key, |driven| driven.call_back()),
            Command::Freed(key) => {
                self.call(key, |driven| driven.freed());
                if let Some(entry) = self.streams.get_mut(&key) {
                    entry.freed = true;
                    self.deserting.push(key);
                    self.let_deserted_go(poller);
                }
            }
        }
    }

    fn start_connecting(&mut self, key: u64, destination: connect::Destination) {
        let Some(entry) = self.streams.get_mut(&key) else { return };
        let (runtime, names) = (Arc::clone(&self.runtime), Arc::clone(&self.names));
        let task = tokio::spawn(async move {
            let mut told = Told { runtime, key, outcome: Some(Err(connect::broken_off())) };
            let resolved = || told.runtime.send(Command::Resolved(key));
            told.outcome = Some(connect::connect(&names, destination, resolved).await);
        });
        entry.connecting = Some(task.abort_handle());
        self.connecting += 1;
    }

    fn end_connecting(&mut self, key: u64) -> Option<AbortHandle> {
        let task = self.streams.get_mut(&key)?.connecting.take()?;
        self.connecting -= 1;
        Some(task)
    }

    fn handle_connected(
        &mut self,
        poller: &Epoll,
        key: u64,
        outcome: std::result::Result<OwnedFd, ConnectError>,
    ) {
        self.end_connecting(key);
        self.drive(poller, key, |driven| driven.connected(outcome));
    }

    fn enlist(&mut self, key: u64) {
        if let Some(entry) = self.streams.get_mut(&key) {
            if !entry.listed {
                entry.listed = true;
                self.list.push(key);
            }
        }
        // Also for a stream that has gone: whoever listed it has set `sweeping`, which only a sweep takes back.
        self.start_sweeping();
    }

    fn start_sweeping(&mut self) {
        self.runtime.sweeping.store(true, Ordering::SeqCst);
        self.next_sweep.get_or_insert_with(|| Instant::now() + sweep_period());
    }

    fn handle_time(&mut self, poller: &Epoll) {
        let now = Instant::now();
        while let Some(Reverse((at, key))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            let is_due =
                self.streams.get_mut(&key).is_some_and(|entry| entry.due.take_if(|due| *due == at).is_some());
            if !is_due {
                continue;
            }
            if let Some(Some(next)) = self.call(key, |driven| driven.deadline(now)) {
                self.set_deadline(key, next);
            }
        }
        if self.next_sweep.is_some_and(|at| at <= now) {
            self.next_sweep = None;
            self.sweep(poller);
        }
    }

    /// Calls `Driven::deadline` at that time; an earlier one that is set already asks for the next by itself.
    fn set_deadline(&mut self, key: u64, at: Instant) {
        let Some(entry) = self.streams.get_mut(&key) else { return };
        if entry.due.is_none_or(|due| at < due) {
            entry.due = Some(at);
            self.deadlines.push(Reverse((at, key)));
            self.forget_deadlines();
        }
    }

    /// Gives up the deadlines that are over, those of streams that are gone among them, where they are most of all.
    fn forget_deadlines(&mut self) {
        if self.deadlines.len() <= DEADLINES_KEPT + 4 * self.streams.len() {
            return;
        }
        let streams = &self.streams;
        let counts = |at: Instant, key: u64| streams.get(&key).is_some_and(|entry| entry.due == Some(at));
        self.deadlines.retain(|Reverse((at, key))| counts(*at, *key));
        self.deadlines.shrink_to_fit();
    }

    fn sweep(&mut self, poller: &Epoll) {
        let list = std::mem::take(&mut self.list);
        for key in list {
            let Some(entry) = self.streams.get_mut(&key) else { continue };
            entry.listed = false;
            let mut seen = entry.seen;
            let mut stays = false;
            self.drive(poller, key, |driven| {
                let (listed, wanted) = driven.sweep(&mut seen);
                stays = listed;
                wanted
            });
            if let Some(entry) = self.streams.get_mut(&key) {
                entry.seen = seen;
                if stays && !entry.listed {
                    entry.listed = true;
                    self.list.push(key);
                }
            }
        }
        self.let_deserted_go(poller);
        if self.list.is_empty() && self.deserting.is_empty() {
            self.runtime.sweeping.store(false, Ordering::SeqCst);
            // Who listed a stream before that store did not wake this thread: look once more.
            self.handle_commands(poller);
        } else {
            self.start_sweeping();
        }
    }

    /// Calls a stream and does what it wants of the poller.
    fn drive(&mut self, poller: &Epoll, key: u64, call: impl FnOnce(&dyn Driven) -> Wanted) {
        match self.call(key, call) {
            None | Some(Wanted::Nothing) => {}
            Some(Wanted::Watch(interest)) => self.watch(poller, key, interest),
            Some(Wanted::LetGo) => self.let_go(poller, key),
        }
    }

    /// Calls a stream with no borrow of the tables; a panic ends that stream alone.
    fn call<T>(&mut self, key: u64, call: impl FnOnce(&dyn Driven) -> T) -> Option<T> {
        let driven = Arc::clone(&self.streams.get(&key)?.driven);
        match catch_unwind(AssertUnwindSafe(|| call(&*driven))) {
            Ok(result) => Some(result),
            Err(_) => {
                let _ = catch_unwind(AssertUnwindSafe(|| driven.fail(Failure::Bug)));
                None
            }
        }
    }

    fn watch(&mut self, poller: &Epoll, key: u64, interest: Interest) {
        let Some(entry) = self.streams.get_mut(&key) else { return };
        if entry.socket.is_none() {
            entry.socket = entry.driven.transport().map(|socket| (socket, false));
        }
        let Some((socket, known)) = entry.socket.as_mut() else { return };
        let armed = poller.arm(socket.descriptor(), key, interest, !*known);
        *known |= armed.is_ok();
        if armed.is_err() {
            // A stream that cannot be watched must not wait for ever.
            self.call(key, |driven| driven.fail(Failure::Refused));
        }
    }

    fn let_go(&mut self, poller: &Epoll, key: u64) {
        let Some(entry) = self.streams.get_mut(&key) else { return };
        if let Some((socket, true)) = entry.socket.take() {
            // Fails only where the descriptor is in no set, which is what is wanted.
            let _ = poller.remove(socket.descriptor());
        }
    }

    fn let_deserted_go(&mut self, poller: &Epoll) {
        let mut left = std::mem::take(&mut self.deserting);
        left.retain(|key| {
            let Some(entry) = self.streams.get(key) else { return false };
            if !entry.driven.is_deserted() {
                return true;
            }
            self.let_go(poller, *key);
            if let Some(task) = self.end_connecting(*key) {
                task.abort();
            }
            self.streams.remove(key);
            false
        });
        self.deserting = left;
        self.forget_deadlines();
        if !self.deserting.is_empty() {
            self.start_sweeping();
        }
    }
}
