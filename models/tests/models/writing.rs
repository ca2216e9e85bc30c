//! Writing, as `src/stream/write.rs` has it. A message is a list of frames, a frame a list of pieces, a piece a byte.

use super::kernel::{Interest, Refused};
use super::reading::Slept;
use super::serving::Locked;
use super::stream::{Bug, Status, Stream, Timeout, WRITABLE, WriteSide};
use loom::sync::atomic::Ordering;
use wsstream_models::stream::write_word::{CONNECTING, CTRL, ENDED, FREED, HELD, LOCKED, WRITER, Writing};

/// How a write call comes back from its sleep.
enum SleptWriting<'a> {
    Woken(Locked<'a>),
    /// `interrupt` was called.
    Over(Locked<'a>),
    Ended,
}

/// A message's frames with their pieces.
pub type Message = &'static [&'static [u8]];

/// A message of one frame of one piece.
pub const SMALL: Message = &[b"m"];
/// A message of one frame of two pieces.
pub const TWO_PIECES: Message = &[b"[]"];
/// A message of two frames of one piece each.
pub const TWO_FRAMES: Message = &[b"f", b"m"];
/// A message of one frame that is compressed, without the lock.
pub const COMPRESSED: Message = &[b"z"];

/// How far framing has come.
#[derive(PartialEq, Eq)]
enum Pushed {
    All,
    Blocked,
    Between,
}

impl WriteSide {
    pub fn leftover(&self) -> usize {
        self.out.len()
    }

    pub fn unsent(&self) -> usize {
        self.leftover() + self.unframed
    }

    /// `WriteSide::send`.
    pub fn send(&mut self, stream: &Stream) {
        self.is_blocked = false;
        if self.out.is_empty() {
            return;
        }
        if self.broken {
            self.drop_unsent();
            return;
        }
        if self.transport.is_none() {
            return;
        }
        match stream.kernel().send(&self.out) {
            Ok(size) => {
                self.out.drain(..size);
                self.is_blocked = !self.out.is_empty();
            }
            Err(Refused) => {
                self.broken = true;
                self.out.clear();
            }
        }
    }

    pub fn drop_unsent(&mut self) {
        self.out.clear();
        self.unframed = 0;
        self.is_blocked = false;
    }
}

/// `Progress`.
struct Progress {
    message: Message,
    frame: usize,
    piece: usize,
}

impl Stream {
    /// `Stream::write_part`.
    pub fn write(&self, place: usize, message: Message, more: bool, timeout: Timeout) -> Status {
        let status = self.write_part(place, message, more, timeout);
        if status == Status::Again {
            self.quieten_descriptor();
        }
        status
    }

    fn write_part(&self, place: usize, message: Message, more: bool, timeout: Timeout) -> Status {
        let entered = self.write.enter();
        if self.is_given_back() {
            // The program began the call too late.
            std::mem::forget(entered);
            return Status::State;
        }
        let Ok(held) = entered else {
            return self.write_slowly(place, None, message, more, timeout);
        };
        let mut locked = Locked::new(self, held, true);
        let mark = self.setup.write_mark;
        let side = locked.side();
        if side.unsent() > mark || message != SMALL {
            return self.write_slowly(place, Some(locked), message, more, timeout);
        }
        side.out.extend_from_slice(message[0]);
        if (!more || side.unsent() > mark) && !self.has(Bug::SentAfterUnlock) {
            side.send(self);
        }
        if (side.unsent() > mark || side.broken) && !self.has(Bug::SentAfterUnlock) {
            return self.finish_write(place, locked, timeout);
        }
        if let Err(locked) = locked.unlock_quietly() {
            locked.unlock(false);
        }
        Status::Ok
    }

    fn write_slowly<'a>(
        &'a self,
        place: usize,
        locked: Option<Locked<'a>>,
        message: Message,
        more: bool,
        timeout: Timeout,
    ) -> Status {
        let Some(_inside) = self.begin() else { return Status::State };
        let mut locked = match self.wait_for_room(place, locked, timeout) {
            Ok(locked) => locked,
            Err(status) => return status,
        };
        let side = locked.side();
        let size = message.iter().map(|frame| frame.len()).sum();
        let is_compressing = message == COMPRESSED;
        side.in_message = size > 1 || (is_compressing && !self.has(Bug::LetGoUnsaid));
        side.unframed = size;
        let mut progress = Progress { message, frame: 0, piece: 0 };
        let mark = self.setup.write_mark;
        let mut rest = timeout;
        let mut copies = timeout == Timeout::Zero;
        loop {
            if progress.piece == 0 && (progress.frame > 0 || is_compressing) {
                locked = match self.let_others_pass(locked) {
                    Ok(locked) => locked,
                    Err(status) => return status,
                };
            }
            let side = locked.side();
            match self.push(side, &mut progress, more, copies) {
                Pushed::All => return self.finish_write(place, locked, rest),
                Pushed::Between => continue,
                Pushed::Blocked if side.unsent() <= mark => {
                    copies = true;
                    continue;
                }
                Pushed::Blocked => {}
            }
            match self.sleep_as_writer(place, locked, mark) {
                SleptWriting::Woken(again) => locked = again,
                SleptWriting::Over(again) => {
                    // The rest is copied and the internal thread sends it.
                    copies = true;
                    rest = Timeout::Zero;
                    locked = again;
                }
                SleptWriting::Ended => return self.write_end(),
            }
        }
    }

    fn let_others_pass<'a>(&'a self, locked: Locked<'a>) -> Result<Locked<'a>, Status> {
        locked.unlock(!self.has(Bug::SeatLetGo));
        if self.has_ended_writing() {
            self.write.rise();
            return Err(self.write_end());
        }
        let locked = Locked::new(self, self.lock_write(), true);
        locked.assert_seated();
        Ok(locked)
    }

    /// `push`.
    fn push(&self, side: &mut WriteSide, progress: &mut Progress, more: bool, copies: bool) -> Pushed {
        loop {
            if self.has_ended_writing() {
                // The end came in between, maybe inside a frame: nothing may be framed behind it any more.
                side.unframed = 0;
                return Pushed::All;
            }
            let Some(frame) = progress.message.get(progress.frame) else { break };
            // A message of one frame has nothing between its frames.
            let is_between = progress.piece == 0 && (side.in_message || self.has(Bug::ServedBeforeSmall));
            if is_between && (side.is_deferred || self.write_word() & CTRL != 0) {
                self.serve(side);
                if self.has_ended_writing() {
                    continue;
                }
            }
            side.out.push(frame[progress.piece]);
            side.unframed -= 1;
            progress.piece += 1;
            side.in_frame = progress.piece < frame.len();
            if !side.in_frame {
                progress.piece = 0;
                progress.frame += 1;
                if progress.frame == progress.message.len() {
                    break;
                }
            }
            if !copies || !side.is_blocked {
                side.send(self);
            }
            if side.broken {
                break;
            }
            if side.is_blocked && !copies {
                return Pushed::Blocked;
            }
            if !side.in_frame {
                return Pushed::Between;
            }
        }
        side.in_message = false;
        side.in_frame = false;
        side.unframed = 0;
        if side.is_deferred {
            self.serve(side);
        }
        if !(more && side.unsent() <= self.setup.write_mark) {
            side.send(self);
        }
        Pushed::All
    }

    fn finish_write<'a>(&'a self, place: usize, mut locked: Locked<'a>, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let mark = self.setup.write_mark;
        loop {
            if locked.side().broken || self.has_ended_writing() {
                locked.unlock(false);
                return self.end_of_taken();
            }
            if locked.side().unsent() <= mark {
                locked.unlock(false);
                return Status::Ok;
            }
            if timeout == Timeout::Zero {
                locked.unlock(false);
                return Status::Queued;
            }
            match self.sleep_as_writer(place, locked, mark) {
                SleptWriting::Woken(mut again) => {
                    again.side().send(self);
                    locked = again;
                }
                SleptWriting::Over(mut again) => {
                    again.side().send(self);
                    if again.side().unsent() > mark {
                        again.unlock(false);
                        return Status::Queued;
                    }
                    locked = again;
                }
                SleptWriting::Ended => return self.end_of_taken(),
            }
        }
    }

    /// The end of a write whose message was taken.
    fn end_of_taken(&self) -> Status {
        if self.has_closed_here() { Status::Ok } else { self.write_end_after_failure() }
    }

    fn write_end_after_failure(&self) -> Status {
        match self.write_end() {
            Status::Ok => Status::Ended,
            status => status,
        }
    }

    fn has_ended_writing(&self) -> bool {
        self.has_settled() || self.write_word() & FREED != 0
    }

    fn wait_for_room<'a>(
        &'a self,
        place: usize,
        locked: Option<Locked<'a>>,
        timeout: Timeout,
    ) -> Result<Locked<'a>, Status> {
        let mut locked = match locked {
            Some(locked) => locked,
            None => {
                if self.write_word() & FREED != 0 {
                    return Err(Status::State);
                }
                if self.write.sit().is_err() && !self.has(Bug::SecondWriterSits) {
                    return Err(Status::Busy);
                }
                self.lock_open(place, timeout)?
            }
        };
        let mark = self.setup.write_mark;
        loop {
            let side = locked.side();
            if side.unsent() > mark {
                side.send(self);
            }
            if self.write_word() & (ENDED | FREED) != 0 || locked.side().broken {
                locked.unlock(false);
                return Err(self.write_end_after_failure());
            }
            if locked.side().unsent() <= mark {
                return Ok(locked);
            }
            if timeout == Timeout::Zero {
                locked.unlock(false);
                return Err(Status::Again);
            }
            match self.sleep_as_writer(place, locked, mark) {
                SleptWriting::Woken(again) => locked = again,
                SleptWriting::Over(again) => {
                    again.unlock(false);
                    return Err(Status::Again);
                }
                SleptWriting::Ended => return Err(self.write_end()),
            }
        }
    }

    fn lock_open(&self, place: usize, timeout: Timeout) -> Result<Locked<'_>, Status> {
        loop {
            let word = self.write_word();
            if word & (ENDED | FREED) != 0 {
                self.write.rise();
                return Err(self.write_end_after_failure());
            }
            if word & CONNECTING == 0 {
                return Ok(Locked::new(self, self.lock_write(), true));
            }
            if timeout == Timeout::Zero {
                self.write.rise();
                return Err(Status::Again);
            }
            let slept = self.wait_for(place, WRITABLE, WRITABLE, Interest::default(), || {
                self.write_word() & (ENDED | FREED | CONNECTING) != CONNECTING
            });
            if slept == Slept::Over {
                self.write.rise();
                return Err(Status::Again);
            }
        }
    }

    pub fn lock_write(&self) -> Writing<'_, WriteSide> {
        loop {
            match self.write.lock() {
                Ok(held) => return held,
                Err(_) => loom::thread::yield_now(),
            }
        }
    }

    fn sleep_as_writer<'a>(&'a self, place: usize, mut locked: Locked<'a>, until: usize) -> SleptWriting<'a> {
        let has_transport = locked.side().transport.is_some();
        locked.unlock(true);
        let socket = Interest { read: false, write: has_transport };
        let slept = self.wait_for(place, WRITABLE, WRITABLE, socket, || {
            if !self.has(Bug::SleepsUnsaid) {
                self.write.wait();
            }
            self.has_ended_writing() || self.unsent.load(Ordering::Relaxed) <= until
        });
        if self.has_ended_writing() {
            self.write.rise();
            return SleptWriting::Ended;
        }
        let mut locked = Locked::new(self, self.lock_write(), true);
        locked.assert_seated();
        self.serve(locked.side());
        match slept {
            Slept::Woken => SleptWriting::Woken(locked),
            Slept::Over => SleptWriting::Over(locked),
        }
    }

    /// `Stream::flush`, for ever.
    pub fn flush(&self, place: usize) -> Status {
        let _inside = self.inside();
        if self.write_word() & FREED != 0 {
            return Status::State;
        }
        if self.write.sit().is_err() {
            return Status::Busy;
        }
        let mut locked = match self.lock_open(place, Timeout::Never) {
            Ok(locked) => locked,
            Err(status) => return status,
        };
        loop {
            let side = locked.side();
            side.send(self);
            if side.broken {
                locked.unlock(false);
                return self.write_end_after_failure();
            }
            if side.unsent() == 0 {
                locked.unlock(false);
                return Status::Ok;
            }
            match self.sleep_as_writer(place, locked, 0) {
                SleptWriting::Woken(again) => locked = again,
                SleptWriting::Over(mut again) => {
                    again.side().send(self);
                    let is_done = again.side().unsent() == 0;
                    again.unlock(false);
                    return if is_done { Status::Ok } else { Status::Again };
                }
                SleptWriting::Ended => return self.write_end(),
            }
        }
    }

    pub fn send_held_back(&self) {
        if self.write_word() & HELD == 0 {
            return;
        }
        if let Ok(held) = self.write.lock() {
            let mut locked = Locked::new(self, held, false);
            locked.side().send(self);
            locked.unlock(false);
        }
    }

    pub fn is_writable(&self) -> bool {
        let word = self.write_word();
        word & (ENDED | FREED) != 0
            || (word & CONNECTING == 0 && self.unsent.load(Ordering::Relaxed) <= self.setup.write_mark)
    }

    /// `has_writer`.
    pub fn has_writer(&self) -> bool {
        let word = self.write_word();
        word & (WRITER | LOCKED) != 0
    }
}
