//! The internal thread, as `src/stream/drive.rs` and `src/runtime/internal.rs` have it.

use super::kernel::{Command, Interest, Received, Work};
use super::reading::{Driving, Pumped};
use super::serving::Locked;
use super::stream::{Bug, Stream, Transport};
use loom::sync::atomic::Ordering;
use std::sync::Arc;
use wsstream_models::proto::closing::State;
use wsstream_models::stream::read_word::{
    ARMED, CALLER, COUNT, DESCRIPTOR, DETACHED, DISCARD, ENDED, INTERNAL, LINGER, OWNER, Reading, THROTTLED,
    WATCHED,
};
use wsstream_models::stream::write_word::{HELD, OUTARMED};

/// `Wanted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Nothing,
    Watch(Interest),
    LetGo,
}

/// More sweeps than a stream needs that nobody touches.
const SWEEPS_MAX: usize = 12;

type Owned<'a> = Result<Reading<'a, super::stream::ReadSide>, u64>;

impl Stream {
    /// `own_after_event` and `own_after_sweep`, or what a mistake makes of them.
    fn own_after(&self, bit: u64) -> Owned<'_> {
        self.assert_alive();
        match (self.setup.bug, bit) {
            (Bug::SweepKeepsLinger, LINGER) => self.read.own(INTERNAL),
            (Bug::InternalAsCaller, _) => self.read.own(CALLER),
            (_, ARMED) => self.read.own_after_event(),
            _ => self.read.own_after_sweep(),
        }
    }

    /// `Driven::ready`.
    fn ready(&self, event: bool, error: bool) -> Wanted {
        if event && !error && self.read_word() & (DESCRIPTOR | ENDED) == DESCRIPTOR {
            return self.leave_to_event_loop();
        }
        let mut read = None;
        if event {
            if !self.has(Bug::EventKeepsOutarmed) {
                self.write.disarm();
            }
            read = Some(self.own_after(ARMED));
        }
        if self.has_settled() {
            if let Some(Ok(held)) = read {
                Driving::new(self, held, false).leave();
            }
            return self.reap();
        }
        if event {
            self.send_rest();
        }
        match read {
            Some(Ok(held)) => {
                if error && self.read_word() & THROTTLED != 0 {
                    // `fail_throttled`.
                    self.handle_transport_ended(true);
                }
                self.drive_internally(held);
            }
            None if self.read_word() & (THROTTLED | DISCARD) == THROTTLED | DISCARD => {
                if let Ok(held) = self.read.own(INTERNAL) {
                    self.drive_internally(held);
                }
            }
            _ => {}
        }
        self.wanted()
    }

    /// The program's event loop has seen it, too, and has its turn first.
    fn leave_to_event_loop(&self) -> Wanted {
        self.write.disarm();
        if self.has(Bug::LingerNotSet) {
            if let Ok(held) = self.own_after(ARMED) {
                std::mem::forget(held.release(|word| Some(word & !OWNER)));
            }
        } else if self.read.linger_after_event() {
            self.kernel().ask(Command::List);
        }
        self.send_rest();
        self.wanted_for_writing()
    }

    fn wanted_for_writing(&self) -> Wanted {
        if self.write_word() & OUTARMED != 0 { self.wanted() } else { Wanted::Nothing }
    }

    /// `Driven::take_over`.
    fn take_over(&self) -> Wanted {
        if let Ok(held) = self.read.own(INTERNAL) {
            self.drive_internally(held);
        }
        self.wanted()
    }

    /// `hand_over`.
    pub fn hand_over(&self) {
        let word = self.read_word();
        if word & LINGER != 0 && word & OWNER != CALLER && word & DETACHED == 0 {
            self.kernel().ask(Command::TakeOver);
        }
    }

    /// `Driven::sweep`.
    fn sweep(&self, seen: &mut u64) -> (bool, Wanted) {
        if self.write_word() & HELD != 0 {
            if !self.has(Bug::HeldKept) {
                self.write.unlist();
            }
            self.send_rest();
        }
        let word = self.read_word();
        if self.has_settled() {
            return (false, self.reap());
        }
        if word & LINGER == 0 {
            return (false, self.wanted());
        }
        let count = word >> COUNT.trailing_zeros();
        if count != *seen {
            if !self.has(Bug::SweepForgetsCount) {
                *seen = count;
            }
            return (true, self.drive_in_passing());
        }
        if let Ok(held) = self.own_after(LINGER) {
            self.drive_internally(held);
        }
        (false, self.wanted())
    }

    /// `drive_in_passing`.
    fn drive_in_passing(&self) -> Wanted {
        self.assert_alive();
        let owned = match self.setup.bug {
            Bug::PassingCounts => self.read.own(INTERNAL),
            Bug::PassingForgotten => return self.wanted_for_writing(),
            _ => self.read.own_in_passing(),
        };
        let Ok(held) = owned else { return self.wanted_for_writing() };
        let mut driving = Driving::new(self, held, false);
        if self.is_delivering() {
            driving.leave();
            return self.wanted_for_writing();
        }
        let side = driving.side();
        let had_chunk = side.has_chunk;
        side.is_in_passing = true;
        let pumped = self.pump(side, self.internal_goal(), true);
        side.is_in_passing = false;
        if !had_chunk {
            side.release_memory();
        }
        if pumped == Pumped::Starved && !side.input.is_empty() && side.queue.is_empty() {
            self.kernel().ask(Command::TakeOver);
        }
        driving.leave();
        self.wanted_for_writing()
    }

    /// `is_deserted`.
    fn is_deserted(&self) -> bool {
        let is_lingering = self.control().lingers;
        !is_lingering
            && (self.has(Bug::ReaderUnseen) || self.read_word() & DETACHED != 0)
            && self.has_settled()
            && !self.has_reader()
            && !self.has_writer()
            && self.inside_count() == 0
    }

    pub fn wanted(&self) -> Wanted {
        if self.has_settled() {
            return self.reap();
        }
        let read = self.read_word();
        let write = self.write_word() & OUTARMED != 0;
        if read & ARMED == 0 && !write {
            return Wanted::Nothing;
        }
        if read & WATCHED == 0 && !self.has(Bug::RoomUnwatched) && !self.read.watch() {
            // It has ended in between, and whoever met that has let the socket go.
            return Wanted::Nothing;
        }
        let read = if self.has(Bug::ThrottledWatchesAll) {
            read & ARMED != 0
        } else {
            read & (ARMED | THROTTLED) == ARMED
        };
        Wanted::Watch(Interest { read, write })
    }

    fn send_rest(&self) {
        if let Ok(held) = self.write.lock() {
            let mut locked = Locked::new(self, held, false);
            self.serve(locked.side());
            locked.unlock(false);
        }
    }

    fn reap(&self) -> Wanted {
        let is_lingering = self.control().lingers;
        let Ok(mut held) = self.read.own(INTERNAL) else { return Wanted::Nothing };
        if is_lingering {
            // `let_pass`.
            held.finish();
            loop {
                match held.receive(self) {
                    Received::Bytes { .. } => held.finish(),
                    Received::Nothing => {
                        Driving::new(self, held, false).leave_as(true, false);
                        return Wanted::Watch(Interest { read: true, write: false });
                    }
                    Received::End | Received::Broken => break,
                }
            }
        }
        self.control().lingers = false;
        self.let_socket_go(&mut held);
        self.read.forget();
        Driving::new(self, held, false).leave();
        Wanted::LetGo
    }

    /// `let_socket_go`, by the owner of the read word.
    pub fn let_socket_go(&self, side: &mut super::stream::ReadSide) {
        if side.transport.is_none() || self.control().lingers {
            return;
        }
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().drop_unsent();
        locked.side().transport = None;
        side.transport = None;
        self.ends.fetch_add(1, Ordering::Relaxed);
        locked.unlock(false);
        side.finish();
        side.release_memory();
    }

    /// `handle_connected`, where TCP stands.
    fn connected(&self) {
        let Ok(held) = self.read.own(INTERNAL) else { return };
        let mut driving = Driving::new(self, held, false);
        if self.control().state != State::Connecting {
            driving.leave();
            return;
        }
        driving.side().transport = Some(Transport);
        self.read.attach();
        self.attach_socket(&mut self.control());
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().transport = Some(Transport);
        locked.unlock(false);
        driving.leave_as(true, false);
    }
}

/// `Internal`, with one stream.
pub struct Internal {
    stream: Arc<Stream>,
    has_socket: bool,
    listed: bool,
    /// It is on the list, and the time of a sweep comes after the first thing that is asked.
    is_listed_late: bool,
    seen: u64,
    deserting: bool,
    sweeps: usize,
}

impl Internal {
    pub fn new(stream: &Arc<Stream>) -> Self {
        Self {
            stream: Arc::clone(stream),
            has_socket: stream.setup.is_open && !stream.setup.is_callers,
            listed: false,
            is_listed_late: stream.setup.is_callers,
            seen: 0,
            deserting: false,
            sweeps: 0,
        }
    }

    /// Until nobody is left and nothing is to be done.
    pub fn run(&mut self) {
        let stream = Arc::clone(&self.stream);
        let kernel = Arc::clone(stream.system());
        loop {
            let work = kernel.next(self.listed || self.deserting);
            if stream.is_given_back() && work != Work::Rest {
                // The key is unknown by now.
                continue;
            }
            if let Work::Command(_) = work {
                self.listed |= std::mem::take(&mut self.is_listed_late);
            }
            match work {
                Work::Event { error } => {
                    self.want(stream.ready(true, error));
                    if !stream.is_given_back() && stream.is_freed() {
                        // Until `free` has settled it, what has come is reported again and again: others go on.
                        loom::thread::yield_now();
                    }
                }
                Work::Command(Command::Nudge) => self.want(stream.ready(false, false)),
                Work::Command(Command::TakeOver) => self.want(stream.take_over()),
                Work::Command(Command::Connected) => {
                    stream.connected();
                    self.want(stream.wanted());
                }
                Work::Command(Command::List) => self.listed = true,
                Work::Command(Command::CallBack) => self.want(stream.call_back()),
                Work::Command(Command::Freed) => {
                    self.deserting = true;
                    self.let_deserted_go();
                }
                Work::Sweep => self.sweep(),
                Work::Rest => return,
            }
        }
    }

    fn sweep(&mut self) {
        self.sweeps += 1;
        assert!(self.sweeps < SWEEPS_MAX, "a stream that nobody drives stays on the list");
        if std::mem::take(&mut self.listed) {
            let mut seen = self.seen;
            let before = self.see();
            let (stays, wanted) = self.stream.sweep(&mut seen);
            assert!(
                before.is_none() || self.see() != before,
                "a sweep leaves to the next what nobody sees to"
            );
            self.want(wanted);
            self.seen = seen;
            self.listed = stays;
        }
        if self.deserting {
            self.let_deserted_go();
            // Five milliseconds pass.
            loom::thread::yield_now();
        }
    }

    /// Where a model is about that: the word and what has come, if only sweeps see to it.
    fn see(&self) -> Option<(u64, usize)> {
        let seen = self
            .stream
            .setup
            .sees_sweeps
            .then(|| (self.stream.read_word(), self.stream.kernel().arrived()))?;
        let is_for_sweeps = seen.0 & (OWNER | LINGER | THROTTLED | DETACHED | ENDED) == LINGER;
        (is_for_sweeps && seen.1 > 0).then_some(seen)
    }

    fn want(&mut self, wanted: Wanted) {
        match wanted {
            // The share of the socket that it keeps may be the last one, gone from the stream by now.
            Wanted::Watch(interest) => {
                self.has_socket = true;
                self.stream.kernel().arm(interest);
            }
            Wanted::LetGo => self.let_go(),
            Wanted::Nothing => {}
        }
    }

    fn let_go(&mut self) {
        if std::mem::take(&mut self.has_socket) {
            self.stream.kernel().remove();
        }
    }

    fn let_deserted_go(&mut self) {
        if self.stream.is_deserted() {
            self.let_go();
            self.deserting = false;
            self.listed = false;
            self.stream.run_freed();
            self.stream.give_back();
        }
    }
}

/// What a thread of the program or the peer does.
pub type Actor = fn(&Stream);

/// Runs the actors, each on a thread, and the internal thread until everything is at rest.
pub fn run(stream: &Arc<Stream>, actors: &[Actor]) {
    stream.system().begin(actors.len());
    let threads: Vec<_> = actors
        .iter()
        .map(|&actor| {
            let stream = Arc::clone(stream);
            loom::thread::spawn(move || {
                actor(&stream);
                stream.system().end();
            })
        })
        .collect();
    Internal::new(stream).run();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// That a stream which nobody drives and which has not ended is watched for what may come.
pub fn assert_watched(stream: &Stream) {
    let word = stream.read.load();
    assert!(word & OWNER == 0, "nobody is left inside");
    let watched = stream.system().watched();
    let is_watched = watched.is_some_and(|interest| interest.read || word & THROTTLED != 0);
    assert!(is_watched, "an idle stream is not watched: {word:b} {watched:?}");
    if word & THROTTLED == 0 {
        let side = stream.read.own(CALLER).unwrap();
        assert!(side.input.is_empty() && !side.has_chunk, "an idle stream keeps what it has received");
    }
}
