//! WebSocketStream on any thread: the words, the pump, `closed`; what every call of the C interface does.
//!
//! A stream is driven by whoever takes its read word: a thread of the program inside a call, else the internal one.
//! Nothing here knows C types or tokio. Lock order: read word, then write word, then `control`, then the leaves
//! (waiters, callbacks); never the read word while holding the write word.

mod aborter;
mod callbacks;
mod close_info;
mod closed;
mod compression;
mod control;
mod descriptor;
mod drive;
#[cfg(feature = "dump")]
mod dump;
mod ending;
mod fields;
mod keepalive;
pub mod log;
mod looking;
mod opening;
pub mod options;
mod panic;
mod parts;
mod poll;
mod pump;
mod read;
mod read_side;
mod read_word;
mod serve;
mod statistics;
pub mod status;
mod timeout;
mod waiters;
#[cfg(test)]
mod words;
mod write;
mod write_many;
mod write_side;
mod write_word;

pub use crate::proto::opcode::Kind;
pub use aborter::Aborter;
pub use callbacks::{
    ClosedCallback, EventCallback, FreedCallback, MessageCallback, OpenedCallback, is_refused,
};
pub use close_info::CloseInfo;
#[cfg(feature = "dump")]
pub use dump::dump;
pub use options::{OPTIONS, OptionRow, Options};
pub use read_side::{Message, Part};
pub use statistics::Statistics;
pub use status::{Cause, Initiator, Phase, Status};
pub use timeout::Timeout;
pub use write::ToWrite;

use crate::net::{Readiness, Transport, sys};
use crate::proto::close::{CloseRefusal, check_close};
use crate::runtime::{Runtime, Stopped};
use callbacks::Callbacks;
use close_info::Ending;
use closed::Closed;
use control::Control;
use fields::Fields;
use log::Log;
use opening::{Opened, Security};
use options::Limits;
use read_side::ReadSide;
use read_word::ReadWord;
use statistics::Noted;
use std::any::Any;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use waiters::Waiters;
use write_side::WriteSide;
use write_word::WriteWord;

/// `wsstream_wait_opened` would not answer AGAIN.
pub const OPENED: u32 = 1;
/// `wsstream_read` would not answer AGAIN.
pub const READABLE: u32 = 2;
/// A write would not answer AGAIN.
pub const WRITABLE: u32 = 4;
/// `wsstream_wait_closed` would not answer AGAIN.
pub const CLOSED: u32 = 8;
/// `wsstream_read_some` would not answer AGAIN.
pub const READABLE_SOME: u32 = 16;
const EVENTS: u32 = OPENED | READABLE | WRITABLE | CLOSED | READABLE_SOME;

/// `wsstream_write_some`: the message ends with this part.
pub const FLAG_FIN: u32 = 1;
/// `wsstream_write_some`: more follows soon, the bytes may wait for it.
pub const FLAG_MORE: u32 = 2;
/// `wsstream_write_some`: this message is not to be compressed.
pub const FLAG_NO_COMPRESS: u32 = 4;

/// A stream. Shared by the program's handle, its refs, and the runtime's table.
pub struct Stream {
    // Hot: touched by every read and write.
    read: ReadWord<ReadSide>,
    write: WriteWord<WriteSide>,
    /// Bytes accepted and not given to the system: written by the holder of the write word only.
    unsent: AtomicUsize,
    /// The message at the head was handed out in parts: written by the owner of the read word only.
    is_parted: AtomicBool,
    /// A thread of the program that has the reading half found nothing and sleeps.
    is_owner_asleep: AtomicBool,
    /// Bytes that have come: written by the owner of the read word only.
    wire_received: AtomicU64,
    limits: Limits,
    generation: u32,
    key: u64,
    runtime: Arc<Runtime>,
    // Cold: waiting, opening, closing.
    waiters: Waiters,
    /// Made when the program asks for one.
    callbacks: OnceLock<Box<Callbacks>>,
    /// Made when the program asks for the descriptor.
    readiness: OnceLock<Readiness>,
    control: Mutex<Control>,
    closed: Closed,
    opened: OnceLock<Opened>,
    /// The fields of the HTTP response.
    response: OnceLock<Fields>,
    write_end: OnceLock<Status>,
    /// Calls inside beside those that hold a word or a seat of one.
    inside: AtomicUsize,
    /// The opening handshake, until it is sent.
    request: Mutex<Vec<u8>>,
    security: Option<Box<Security>>,
    /// The connection, for as long as somebody uses it.
    transport: OnceLock<Weak<Transport>>,
    url: CString,
    log: Option<Box<Log>>,
    /// Each message is logged, so none takes the short way.
    is_traced: bool,
    /// What the owner of the read word has counted, for anybody.
    noted: Mutex<Noted>,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
    #[cfg(feature = "dump")]
    listed: dump::Listed,
}

/// `wsstream_runtime_stop`.
pub fn stop_runtime(timeout: Timeout) -> Status {
    match Runtime::stop(timeout.instant()) {
        Stopped::Done => Status::Ok,
        Stopped::InUse => Status::State,
        Stopped::NotYet => Status::Again,
    }
}

/// Keeps the memory of a stream while a call is inside that holds no word.
struct Inside<'a>(&'a Stream);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Here and not at the boundary: after the count has gone down nothing keeps the memory.
        if std::thread::panicking() {
            self.0.fail_internal();
        }
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Stream {
    fn new(
        url: CString,
        limits: Limits,
        runtime: Arc<Runtime>,
        read: ReadSide,
        control: Control,
        request: Vec<u8>,
    ) -> Self {
        Self {
            read: ReadWord::new(read),
            write: WriteWord::new(WriteSide::default()),
            unsent: AtomicUsize::new(0),
            is_parted: AtomicBool::new(false),
            is_owner_asleep: AtomicBool::new(false),
            wire_received: AtomicU64::new(0),
            limits,
            generation: runtime.generation(),
            key: runtime.new_key(),
            runtime,
            waiters: Waiters::default(),
            callbacks: OnceLock::new(),
            readiness: OnceLock::new(),
            control: Mutex::new(control),
            closed: Closed::default(),
            opened: OnceLock::new(),
            response: OnceLock::new(),
            write_end: OnceLock::new(),
            inside: AtomicUsize::new(0),
            request: Mutex::new(request),
            security: None,
            transport: OnceLock::new(),
            url,
            log: None,
            is_traced: false,
            noted: Mutex::default(),
            attachment: OnceLock::new(),
            #[cfg(feature = "dump")]
            listed: dump::Listed::new(),
        }
    }

    fn inside(&self) -> Inside<'_> {
        self.inside.fetch_add(1, Ordering::AcqRel);
        Inside(self)
    }

    /// Whether it is from before a fork. One load.
    #[inline]
    pub fn is_forked(&self) -> bool {
        self.generation != sys::generation()
    }

    fn is_freed(&self) -> bool {
        self.read.load() & read_word::FREED != 0
    }

    /// `wsstream_close`; -1 is no code.
    pub fn close(&self, code: i32, reason: &str) -> Status {
        let _inside = self.inside();
        let request = match check_close(code, reason) {
            Ok(request) => request,
            Err(CloseRefusal::Argument) => return Status::Argument,
            Err(CloseRefusal::Access) => return Status::Access,
            Err(CloseRefusal::Syntax) => return Status::Syntax,
        };
        if self.is_freed() {
            return Status::State;
        }
        self.start_closing(request);
        Status::Ok
    }

    /// Above the mark reading goes on after a local close: the internal thread is told.
    fn watch_again(&self) {
        if self.read.load() & read_word::THROTTLED != 0 {
            self.runtime.nudge(self.key);
        }
    }

    /// `wsstream_free`, but for the handle's own share of the memory: ends the stream for everybody.
    pub fn free(&self) {
        let _inside = self.inside();
        if self.read.mark(read_word::FREED) & read_word::FREED != 0 {
            return;
        }
        self.write.mark(write_word::FREED | write_word::ENDED);
        self.free_callbacks();
        let is_connecting = self.control().state == crate::proto::closing::State::Connecting;
        if is_connecting {
            self.runtime.give_up(self.key);
        }
        // Decision 8: Close 1001 if that needs no waiting; a closing handshake that has begun gets no second frame.
        self.fail(Ending::new(Cause::Aborted, "The stream was freed."), Some(1001));
        self.notify(u32::MAX);
        self.runtime.freed(self.key, !self.has_freed_callbacks());
    }

    /// `wsstream_free` in the child of a fork: the poller and the threads are the parent's, and so is the connection. Lets go
    /// of this process's descriptors; true: the memory may go, too, with the share that the internal thread had in the
    /// parent.
    pub fn free_forked(&self) -> bool {
        if let Some(transport) = self.transport.get().and_then(Weak::upgrade) {
            transport.close_in_child();
        }
        if let Some(readiness) = self.readiness.get() {
            readiness.close_in_child();
        }
        // What a thread of the parent was changing at the fork nobody finishes here, and nobody may touch.
        self.read.load() & read_word::OWNER == 0
            && self.write.load() & write_word::LOCKED == 0
            && self.waiters.is_intact()
            && self.callbacks.get().is_none_or(|callbacks| callbacks.is_intact())
            && self.log.as_deref().is_none_or(Log::is_intact)
            && self.control.try_lock().is_ok()
            && self.request.try_lock().is_ok()
            && self.noted.try_lock().is_ok()
    }

    /// A panic came out of a call: the stream ends with INTERNAL.
    pub fn fail_internal(&self) {
        let mut control = self.control();
        if control.state == crate::proto::closing::State::Closed {
            return;
        }
        control.state = crate::proto::closing::State::Closed;
        // It is told whatever else was to fail.
        control.failing = None;
        self.settle(&mut control, Some(Ending::internal()), false);
    }

    /// The URL, normalised.
    pub fn url(&self) -> &CStr {
        &self.url
    }

    /// The sub-protocol, "" until opened and where there is none.
    pub fn protocol(&self) -> &CStr {
        self.opened.get().and_then(|opened| opened.protocol.as_deref()).unwrap_or(c"")
    }

    /// The extensions in use, "" until opened and where there are none.
    pub fn extensions(&self) -> &CStr {
        self.opened.get().and_then(|opened| opened.extensions.as_deref()).unwrap_or(c"")
    }

    /// The index-th value of a field of the HTTP response, as it came but for bytes that are U+0000; None where there
    /// is none.
    pub fn response_header(&self, name: &str, index: usize) -> Option<&CStr> {
        self.response.get()?.value(name, index)
    }

    /// How it ended, once it has.
    pub fn closed_info(&self) -> Option<&CloseInfo> {
        self.closed.info()
    }

    /// What the layer above keeps with the stream until it is freed.
    pub fn attachment(&self) -> &OnceLock<Box<dyn Any + Send + Sync>> {
        &self.attachment
    }
}
