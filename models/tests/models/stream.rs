//! The stream under the models: the library's words with a small reading half, writing half and end around them.
//!
//! The functions here and in `reading.rs`, `polling.rs`, `writing.rs`, `serving.rs`, `ending.rs`, `describing.rs`,
//! `calling.rs` and `driving.rs` have the names and the order of steps of those in `src/stream`; a [`Bug`] makes one of them deviate.

use super::calling::Callbacks;
use super::describing::Readiness;
use super::kernel::{Command, Kernel};
use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use loom::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool as Plain;
use std::sync::{Arc, Mutex as Notes};
use wsstream_models::proto::closing::{self, Action, Input, State};
use wsstream_models::stream::read_word::{self, ReadWord};
use wsstream_models::stream::write_word::{self, WriteWord};

pub const OPENED: u32 = 1;
pub const READABLE: u32 = 2;
pub const WRITABLE: u32 = 4;
pub const CLOSED: u32 = 8;

/// What a peer sends: the handshake's answer, a ping, a Close; every other byte is a message.
pub const ANSWER: u8 = b'O';
pub const PING: u8 = b'P';
pub const CLOSE: u8 = b'C';

/// What a stream sends beside messages: a pong and a Close. A frame of two pieces is `[` and `]`, of one piece any
/// other byte.
pub const PONG: u8 = b'p';
pub const OUR_CLOSE: u8 = b'c';

/// Pongs that can be kept.
const PONGS_MAX: usize = 2;

/// How `closed` has settled: not yet, in any way, clean after a close from this side.
const OPEN: u8 = 0;
const SETTLED: u8 = 1;
const CLEAN_LOCAL: u8 = 2;

/// A seeded mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    // The reading half.
    ListForgotten,
    CallerSaysArmed,
    PendingNotSaid,
    SweepKeepsLinger,
    SweepForgetsCount,
    PassingCounts,
    PassingForgotten,
    WaiterNotSaid,
    WokenByNobody,
    PollSleepsUnlooked,
    PollLooksTwice,
    SecondReaderSits,
    ThrottledForEver,
    InputThrottles,
    ThrottledWatchesAll,
    NudgeForgotten,
    InternalAsCaller,
    QueuedNotSaid,
    OwnedWhileDetached,
    OpenedUnseen,
    OpenNotSaid,
    PongsUntold,
    FullNotPosted,
    TurnSleeps,
    ArmedPendingNotSaid,
    ChunkUnsaid,
    WorkTakenForSleep,
    // `interrupt`.
    InterruptMeansAll,
    InterruptNotRaised,
    InterruptForgotten,
    InterruptKept,
    // The end.
    EndNotMarked,
    FreedNotMarked,
    EndNotNudged,
    WatchedUnseen,
    KeptForNobody,
    RoomUnwatched,
    LingerNudges,
    CallerAsInternal,
    ReaderUnseen,
    BatchUnpinned,
    CancelNotMarked,
    CancelUnseenAsleep,
    CancelNotTakenOver,
    CancelledLeft,
    StatusAfterLatch,
    ReplyNotServed,
    FailureForgotten,
    SenderUnawaited,
    ToldAfterUnlock,
    MarksUnawaited,
    // The descriptor.
    LookBeforeQuiet,
    RaisedBesideEvent,
    DescriptorNotMarked,
    LeftUntold,
    LeftUnlooked,
    WaiterRaises,
    RoomNotNoted,
    LingerNotSet,
    WatchedInTwoSteps,
    NotRaisedAtEnd,
    // The callbacks.
    RemovalDoesNotWait,
    RegistrationNotPosted,
    ResumeForgotten,
    CalledBackUnarmed,
    EventKept,
    LooksUnsaid,
    DeliveryKeepsChunk,
    TakenBeforeRunning,
    PutBackUnlooked,
    MessageBeforeOpened,
    HeadNotTaken,
    ToldBeforeLatch,
    // The writing half.
    FlagBesideLock,
    SentAfterUnlock,
    SecondWriterSits,
    SleepsUnsaid,
    EventKeepsOutarmed,
    RestNotArmed,
    HeldKept,
    DeferredForgotten,
    LetGoUnsaid,
    SeatLetGo,
    EndMarkedLate,
    WriteOpenNotSaid,
    WriteEndNotMarked,
    WriteFreedNotMarked,
    ServedBeforeSmall,
    HoleForgotten,
    BrokenUntold,
}

/// What a call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    Again,
    Queued,
    Busy,
    /// The stream was freed, or a half of it has ended for the program.
    State,
    /// The program wants no further message.
    Done,
    /// `closed` has settled.
    Ended,
}

/// Why a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What was received is wrong, or the system refused something.
    Failure,
    /// A system call has failed.
    System,
    /// The end of TCP, a Close, a deadline.
    Other,
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    Zero,
    Never,
}

/// The socket as both halves share it.
pub struct Transport;

/// `ReadSide`.
#[derive(Default)]
pub struct ReadSide {
    pub transport: Option<Transport>,
    pub is_opening: bool,
    pub input: VecDeque<u8>,
    /// Memory of the last receive is held, though all of it may be decoded.
    pub has_chunk: bool,
    pub queue: VecDeque<u8>,
    pub has_pongs: bool,
    pub is_drained: bool,
    pub is_discarding: bool,
    pub is_over: bool,
    /// The turn is one of the internal thread between a reader's calls.
    pub is_in_passing: bool,
}

/// `WriteSide`.
#[derive(Default)]
pub struct WriteSide {
    pub transport: Option<Transport>,
    pub out: Vec<u8>,
    pub in_frame: bool,
    pub in_message: bool,
    pub unframed: usize,
    pub is_deferred: bool,
    pub is_blocked: bool,
    pub close_framed: bool,
    pub broken: bool,
    pub is_broken_told: bool,
}

/// `Control`.
pub struct Control {
    pub state: State,
    pub pongs: usize,
    pub close: bool,
    pub failing: bool,
    pub peer_close: bool,
    pub send_failed: bool,
    /// Our Close was the program's.
    pub is_local: bool,
    pub lingers: bool,
    /// There is a socket to receive from.
    pub has_socket: bool,
    pub settled: usize,
    /// Why it settled.
    pub cause: Option<Cause>,
}

impl Control {
    pub fn step(&mut self, input: Input) -> Action {
        let (state, action) = closing::step(self.state, input);
        self.state = state;
        action
    }

    /// Whether a frame is due that was not framed.
    pub fn is_due(&self) -> bool {
        self.pongs > 0 || self.close
    }

    /// Whether a further pong costs the oldest.
    pub fn has_all_pongs(&self) -> bool {
        self.pongs == PONGS_MAX
    }

    pub fn push_pong(&mut self) {
        self.pongs = (self.pongs + 1).min(PONGS_MAX);
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Connecting | State::Closed)
    }
}

/// How a model's stream begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub bug: Bug,
    /// The bytes that arrived before.
    pub arrived: &'static [u8],
    /// What the socket takes before the peer does.
    pub room: usize,
    /// `READ_BUFFER_SIZE`, in messages.
    pub read_mark: usize,
    /// `WRITE_BUFFER_SIZE`, in bytes.
    pub write_mark: usize,
    /// The stream is open; else it has no socket yet.
    pub is_open: bool,
    /// It was opened by a thread of the program, so it is on the sweep list and the poller does not know it.
    pub is_callers: bool,
    /// The calls inside are counted: where a model frees the stream.
    pub pins: bool,
    /// What is sent after a failure is waited for.
    pub lingers: bool,
    /// A message was decoded ahead.
    pub queued: Option<u8>,
    /// How many bytes one receive takes.
    pub receive_size: usize,
    /// `RECEIVES_MAX`.
    pub receives_max: usize,
    /// `CONTROLS_MAX`.
    pub controls_max: usize,
    /// What the descriptor for event loops watches.
    pub watched: Option<u32>,
    /// Callbacks may be registered.
    pub calls_back: bool,
    /// Whether a sweep leaves anything to the next is looked at.
    pub sees_sweeps: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            bug: Bug::None,
            arrived: b"",
            room: 100,
            read_mark: 100,
            write_mark: 0,
            is_open: true,
            is_callers: false,
            pins: false,
            lingers: false,
            queued: None,
            receive_size: 100,
            receives_max: 32,
            controls_max: 1024,
            watched: None,
            calls_back: false,
            sees_sweeps: false,
        }
    }
}

/// How the internal thread leaves an idle stream.
pub fn internal_leave() -> read_word::Leave {
    read_word::Leave {
        reader: false,
        queued: false,
        throttled: false,
        armed: true,
        detached: false,
        pending: false,
    }
}

/// A stream with the system that it lives in.
pub struct Stream {
    pub read: ReadWord<ReadSide>,
    pub write: WriteWord<WriteSide>,
    pub unsent: AtomicUsize,
    control: Mutex<Control>,
    pub is_owner_asleep: AtomicBool,
    closed: AtomicU8,
    write_end: AtomicBool,
    opened: AtomicBool,
    inside: AtomicUsize,
    pub readiness: Readiness,
    pub callbacks: Callbacks,
    kernel: Arc<Kernel>,
    pub setup: Setup,
    /// False once its memory would have been given back. No part of the model's order: loom does not see it.
    alive: Plain,
    /// How often the socket was shut down.
    pub ends: AtomicUsize,
    /// What the threads of a model have to tell at its end.
    pub notes: Notes<Vec<u8>>,
}

/// `Inside`.
pub struct Inside<'a>(Option<&'a Stream>);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let (Some(stream), false) = (self.0, std::thread::panicking()) {
            stream.assert_alive();
            stream.inside.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Stream {
    pub fn new(setup: Setup) -> Arc<Self> {
        let stream = Self {
            read: ReadWord::new(ReadSide { is_opening: true, ..ReadSide::default() }),
            write: WriteWord::new(WriteSide::default()),
            unsent: AtomicUsize::new(0),
            control: Mutex::new(Control {
                state: State::Connecting,
                pongs: 0,
                close: false,
                failing: false,
                peer_close: false,
                send_failed: false,
                is_local: false,
                lingers: false,
                has_socket: false,
                settled: 0,
                cause: None,
            }),
            is_owner_asleep: AtomicBool::new(false),
            closed: AtomicU8::new(OPEN),
            write_end: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            readiness: Readiness::default(),
            callbacks: Callbacks::default(),
            kernel: Arc::new(Kernel::new(setup.arrived, setup.room)),
            setup,
            alive: Plain::new(true),
            ends: AtomicUsize::new(0),
            notes: Notes::new(Vec::new()),
        };
        if setup.is_open {
            stream.begin_open();
        }
        if let Some(events) = setup.watched {
            stream.watch_descriptor(events);
        }
        Arc::new(stream)
    }

    /// As the opening leaves it: open, armed by the internal thread.
    fn begin_open(&self) {
        let mut read = self.read.own(read_word::INTERNAL).unwrap();
        read.transport = Some(Transport);
        read.is_opening = false;
        read.queue.extend(self.setup.queued);
        let queued = !read.queue.is_empty();
        self.write.lock().unwrap().transport = Some(Transport);
        self.read.attach();
        let mut control = self.control.lock().unwrap();
        control.step(Input::Opened);
        self.attach_socket(&mut control);
        drop(control);
        self.opened.store(true, Ordering::Release);
        self.read.open();
        self.write.open();
        let armed = !self.setup.is_callers;
        let leave = read_word::Leave { queued, armed, ..internal_leave() };
        self.read.leave(read, leave);
        if armed {
            self.kernel.arm(super::kernel::Interest { read: true, write: false });
        }
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.setup.bug == bug
    }

    pub fn assert_alive(&self) {
        assert!(
            self.alive.load(std::sync::atomic::Ordering::Relaxed) || std::thread::panicking(),
            "memory that was given back is touched"
        );
    }

    /// The last share is dropped.
    pub fn give_back(&self) {
        self.alive.store(false, std::sync::atomic::Ordering::Relaxed);
    }

    pub fn is_given_back(&self) -> bool {
        !self.alive.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub fn kernel(&self) -> &Kernel {
        self.assert_alive();
        &self.kernel
    }

    /// The system outlives the stream.
    pub fn system(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    pub fn control(&self) -> MutexGuard<'_, Control> {
        self.assert_alive();
        self.control.lock().unwrap()
    }

    pub fn read_word(&self) -> u64 {
        self.assert_alive();
        self.read.load()
    }

    pub fn write_word(&self) -> u64 {
        self.assert_alive();
        self.write.load()
    }

    pub fn has_settled(&self) -> bool {
        self.assert_alive();
        self.closed.load(Ordering::Acquire) != OPEN
    }

    /// `settled`.
    pub fn has_told(&self) -> bool {
        let has_settled = self.has_settled();
        if has_settled && self.read.load() & read_word::ENDED == 0 && !self.has(Bug::MarksUnawaited) {
            drop(self.control());
        }
        has_settled
    }

    /// Whether `closed` has settled clean after a close from this side.
    pub fn has_closed_here(&self) -> bool {
        self.assert_alive();
        self.closed.load(Ordering::Acquire) == CLEAN_LOCAL
    }

    /// `end_writing`: why the writing half ended is known from now on.
    pub fn end_writing(&self) {
        self.write_end.store(true, Ordering::Release);
    }

    /// `write_end`: OK while nothing ended it.
    pub fn write_end(&self) -> Status {
        if self.write_word() & write_word::FREED != 0 {
            return Status::State;
        }
        if self.write_end.load(Ordering::Acquire) { Status::Ended } else { Status::Ok }
    }

    pub fn has_opened(&self) -> bool {
        self.assert_alive();
        self.opened.load(Ordering::Acquire)
    }

    pub fn inside(&self) -> Inside<'_> {
        if !self.setup.pins {
            return Inside(None);
        }
        self.assert_alive();
        self.inside.fetch_add(1, Ordering::AcqRel);
        Inside(Some(self))
    }

    /// The first step of a call. None: it came after the memory was given back, so the program began it too late.
    pub fn begin(&self) -> Option<Inside<'_>> {
        if !self.setup.pins {
            return Some(Inside(None));
        }
        self.inside.fetch_add(1, Ordering::AcqRel);
        if self.is_given_back() { None } else { Some(Inside(Some(self))) }
    }

    /// Something to tell at the end.
    pub fn note(&self, note: u8) {
        self.notes.lock().unwrap().push(note);
    }

    pub fn noted(&self) -> Vec<u8> {
        self.notes.lock().unwrap().clone()
    }

    pub fn inside_count(&self) -> usize {
        self.inside.fetch_add(0, Ordering::AcqRel)
    }

    pub fn is_freed(&self) -> bool {
        self.read_word() & read_word::FREED != 0
    }

    /// `handle_accepted`.
    pub fn handle_accepted(&self) {
        let mut control = self.control();
        control.step(Input::Opened);
        if control.state != State::Open {
            return;
        }
        self.opened.store(true, Ordering::Release);
        drop(control);
        if !self.has(Bug::OpenNotSaid) {
            self.read.open();
        }
        if !self.has(Bug::WriteOpenNotSaid) {
            self.write.open();
        }
        self.notify(u32::MAX);
    }

    /// `Closed::settle` with `Stream::settle`.
    pub fn settle(&self, control: &mut Control, clean: bool, linger: bool, cause: Cause) {
        control.state = State::Closed;
        // What failed first is the cause.
        let is_failing = control.failing && !clean && !self.has(Bug::FailureForgotten);
        control.cause = Some(if is_failing { Cause::Failure } else { cause });
        control.pongs = 0;
        control.close = false;
        control.lingers = linger;
        control.settled += 1;
        assert_eq!(control.settled, 1, "closed settles once");
        let settled = if clean && control.is_local { CLEAN_LOCAL } else { SETTLED };
        // Before the latch: a writer that finds the stream ended finds out why, too.
        let is_late = self.has(Bug::StatusAfterLatch);
        if !is_late {
            self.end_writing();
        }
        if self.has(Bug::ToldBeforeLatch) {
            self.notify(u32::MAX);
        }
        self.closed.store(settled, Ordering::Release);
        if is_late {
            self.end_writing();
        }
        if !self.has(Bug::WriteEndNotMarked) {
            self.write.mark(write_word::ENDED);
        }
        // The last of the three: see `has_told`.
        let mut word = self.read.load();
        if !self.has(Bug::EndNotMarked) {
            word = self.read.mark(read_word::ENDED);
        }
        self.detach_socket(control);
        if !self.has(Bug::ToldBeforeLatch) {
            self.notify(u32::MAX);
        }
        // A caller that has the word sees to the socket when it leaves.
        let is_seen_to = word & read_word::OWNER == read_word::CALLER;
        if !is_seen_to && !self.has(Bug::EndNotNudged) {
            self.kernel().ask(Command::Nudge);
        }
    }
}
