//! Writing, as `src/stream/write.rs` has it. A message is a list of frames, a frame a list of pieces, a piece a byte.

use super::kernel::{Command, Interest};
use super::stream::{Bug, OUR_CLOSE, PONG, Status, Stream, Timeout, WRITABLE, WriteSide};
use loom::sync::atomic::Ordering;
use wsstream_models::proto::closing::{Action, Input, State};
use wsstream_models::stream::write_word::{
    CONNECTING, CTRL, ENDED, FREED, HELD, LOCKED, Unlock, WRITER, Writing,
};

/// A message's frames with their pieces.
pub type Message = &'static [&'static [u8]];

/// A message of one frame of one piece.
pub const SMALL: Message = &[b"m"];
/// A message of one frame of two pieces.
pub const TWO_PIECES: Message = &[b"[]"];
/// A message of two frames of one piece each.
pub const TWO_FRAMES: Message = &[b"f", b"m"];

impl WriteSide {
    pub fn leftover(&self) -> usize {
        self.out.len()
    }

    fn unsent(&self) -> usize {
        self.leftover() + self.unframed
    }

    /// `WriteSide::send`.
    pub fn send(&mut self, stream: &Stream) {
        self.is_blocked = false;
        if self.out.is_empty() || self.transport.is_none() {
            return;
        }
        let size = stream.kernel().send(&self.out);
        self.out.drain(..size);
        self.is_blocked = !self.out.is_empty();
    }

    pub fn drop_unsent(&mut self) {
        self.out.clear();
        self.unframed = 0;
        self.is_blocked = false;
    }
}

/// `Locked`.
pub struct Locked<'a> {
    stream: &'a Stream,
    held: Option<Writing<'a, WriteSide>>,
    writer: bool,
}

impl Drop for Locked<'_> {
    /// Only in unwinding, when the model has failed already.
    fn drop(&mut self) {
        std::mem::forget(self.held.take());
    }
}

impl<'a> Locked<'a> {
    pub fn new(stream: &'a Stream, held: Writing<'a, WriteSide>, writer: bool) -> Self {
        Self { stream, held: Some(held), writer }
    }

    pub fn side(&mut self) -> &mut WriteSide {
        self.held.as_mut().expect("held until it is let go")
    }

    fn assert_seated(&self) {
        assert!(!self.writer || self.stream.write_word() & WRITER != 0, "a write call has lost its seat");
    }

    fn unlock_quietly(mut self) -> Result<(), Self> {
        let stream = self.stream;
        self.assert_seated();
        let Some(held) = self.held.take() else { return Ok(()) };
        let unsent = held.unsent();
        stream.unsent.store(unsent, Ordering::Relaxed);
        let (out, held_back) = (held.is_blocked, unsent > 0 && !held.is_blocked);
        stream.assert_alive();
        if held.is_deferred {
            self.held = Some(held);
            return Err(self);
        }
        stream.write.unlock_quietly(held, out, held_back).map_err(|held| {
            self.held = Some(held);
            self
        })
    }

    pub fn unlock(mut self, stays: bool) {
        let stream = self.stream;
        let _inside = stream.inside();
        while let Some(mut held) = self.held.take() {
            if held.is_deferred && !held.in_frame && held.leftover() == 0 {
                stream.serve(&mut held);
            }
            if stream.has_settled() {
                held.drop_unsent();
            }
            let has_socket = held.transport.is_some() || stream.has(Bug::SocketUnseen);
            let unsent = held.unsent();
            stream.unsent.store(unsent, Ordering::Relaxed);
            let unlock = Unlock {
                writer: self.writer && !stays,
                out: held.is_blocked && !stays && !stream.has(Bug::RestNotArmed),
                held: held.leftover() > 0 && !held.is_blocked,
                wake: unsent <= stream.setup.write_mark,
            };
            let unsent_bytes = stream.has(Bug::SentAfterUnlock).then(|| std::mem::take(&mut held.out));
            match stream.write.unlock(held, unlock) {
                Ok(unlocked) => {
                    if let Some(bytes) = unsent_bytes {
                        stream.kernel().send(&bytes);
                    }
                    if unlocked.wake {
                        stream.kernel().wake(WRITABLE);
                    }
                    if unlocked.list {
                        stream.kernel().ask(Command::List);
                    }
                    if unlocked.arm || (has_socket && stream.has_settled()) {
                        stream.kernel().ask(Command::Nudge);
                    }
                }
                Err(held) => {
                    self.held = Some(held);
                    stream.serve(self.side());
                }
            }
        }
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
        if side.unsent() > mark && !self.has(Bug::SentAfterUnlock) {
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
        side.in_message = size > 1;
        side.unframed = size;
        let mut progress = Progress { message, frame: 0, piece: 0 };
        let mark = self.setup.write_mark;
        loop {
            let side = locked.side();
            if self.push(side, &mut progress, more, timeout == Timeout::Zero) {
                return self.finish_write(place, locked, timeout);
            }
            if side.unsent() <= mark {
                self.push(side, &mut progress, more, true);
                return self.finish_write(place, locked, timeout);
            }
            match self.sleep_as_writer(place, locked, mark) {
                Some(again) => locked = again,
                None => return self.write_end(),
            }
        }
    }

    /// `push`; true: all of it is framed.
    fn push(&self, side: &mut WriteSide, progress: &mut Progress, more: bool, copies: bool) -> bool {
        while !self.has_ended_writing() {
            let Some(frame) = progress.message.get(progress.frame) else { break };
            if progress.piece == 0 && (side.is_deferred || self.write_word() & CTRL != 0) {
                self.serve(side);
                if self.has_ended_writing() {
                    break;
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
            if side.is_blocked && !copies {
                return false;
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
        true
    }

    fn finish_write<'a>(&'a self, place: usize, mut locked: Locked<'a>, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let mark = self.setup.write_mark;
        loop {
            if self.has_ended_writing() {
                locked.unlock(false);
                return self.write_end();
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
                Some(mut again) => {
                    again.side().send(self);
                    locked = again;
                }
                None => return self.write_end(),
            }
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
            if self.write_word() & (ENDED | FREED) != 0 {
                locked.unlock(false);
                return Err(self.write_end());
            }
            if locked.side().unsent() <= mark {
                return Ok(locked);
            }
            if timeout == Timeout::Zero {
                locked.unlock(false);
                return Err(Status::Again);
            }
            match self.sleep_as_writer(place, locked, mark) {
                Some(again) => locked = again,
                None => return Err(self.write_end()),
            }
        }
    }

    fn lock_open(&self, place: usize, timeout: Timeout) -> Result<Locked<'_>, Status> {
        loop {
            let word = self.write_word();
            if word & (ENDED | FREED) != 0 {
                self.write.rise();
                return Err(self.write_end());
            }
            if word & CONNECTING == 0 {
                return Ok(Locked::new(self, self.lock_write(), true));
            }
            if timeout == Timeout::Zero {
                self.write.rise();
                return Err(Status::Again);
            }
            self.wait_for(place, WRITABLE, Interest::default(), || {
                self.write_word() & (ENDED | FREED | CONNECTING) != CONNECTING
            });
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

    fn sleep_as_writer<'a>(
        &'a self,
        place: usize,
        mut locked: Locked<'a>,
        until: usize,
    ) -> Option<Locked<'a>> {
        let has_transport = locked.side().transport.is_some();
        locked.unlock(true);
        self.kernel().enter(place, WRITABLE);
        if !self.has(Bug::SleepsUnsaid) {
            self.write.wait();
        }
        if !(self.has_settled() || self.unsent.load(Ordering::Relaxed) <= until) {
            self.kernel().poll(place, Interest { read: false, write: has_transport });
            self.kernel().clear(place);
        }
        self.kernel().leave(place);
        if self.has_settled() || self.write_word() & FREED != 0 {
            self.write.rise();
            return None;
        }
        let mut locked = Locked::new(self, self.lock_write(), true);
        locked.assert_seated();
        self.serve(locked.side());
        Some(locked)
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
            if side.unsent() == 0 {
                locked.unlock(false);
                return Status::Ok;
            }
            match self.sleep_as_writer(place, locked, 0) {
                Some(again) => locked = again,
                None => return self.write_end(),
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

    pub fn serve_posted(&self) {
        self.assert_alive();
        if self.has(Bug::FlagBesideLock) {
            // What is due is in `control`; who holds the lock may have looked there already.
            if let Ok(held) = self.write.lock() {
                let mut locked = Locked::new(self, held, false);
                self.serve(locked.side());
                locked.unlock(false);
            }
            return;
        }
        if let Some(held) = self.write.post() {
            Locked::new(self, held, false).unlock(false);
        }
    }

    pub fn serve_now(&self) {
        let mut locked = Locked::new(self, self.lock_write(), false);
        self.serve(locked.side());
        locked.unlock(false);
    }

    pub fn serve(&self, side: &mut WriteSide) {
        side.send(self);
        let mut control = self.control();
        if std::mem::take(&mut control.failing) {
            self.serve_failure(side, &mut control);
            return;
        }
        if side.in_frame {
            side.is_deferred = control.pongs > 0 || control.close;
            if control.state == State::ReplyDue {
                self.serve_close(side, &mut control);
            }
            return;
        }
        while side.leftover() == 0 && !side.close_framed && control.pongs > 0 {
            side.out.extend(vec![PONG; std::mem::take(&mut control.pongs)]);
            side.send(self);
        }
        self.serve_close(side, &mut control);
        side.is_deferred = (control.close || control.pongs > 0) && !self.has(Bug::DeferredForgotten);
    }

    fn serve_close(&self, side: &mut WriteSide, control: &mut super::stream::Control) {
        let is_reply = control.state == State::ReplyDue;
        if is_reply && side.in_message {
            side.drop_unsent();
            self.settle_failed(control, false);
            return;
        }
        if !side.in_message && std::mem::take(&mut control.close) {
            // RFC 6455 §5.5.2: only a Close that was received excuses from answering a ping.
            if !is_reply {
                side.out.extend(vec![PONG; std::mem::take(&mut control.pongs)]);
            }
            side.out.push(OUR_CLOSE);
            side.close_framed = true;
            side.send(self);
        }
        if side.close_framed && side.leftover() == 0 {
            // `handle_close_written`; the wait for the end of TCP is bounded by a deadline.
            control.step(Input::CloseWritten);
        } else if is_reply {
            side.drop_unsent();
            self.settle_failed(control, false);
        }
    }

    fn serve_failure(&self, side: &mut WriteSide, control: &mut super::stream::Control) {
        let mut linger = false;
        if !side.in_frame && !side.close_framed {
            side.out.push(OUR_CLOSE);
            side.close_framed = true;
            side.send(self);
            linger = self.setup.lingers && side.leftover() == 0;
        }
        self.settle_failed(control, linger);
        side.drop_unsent();
    }

    fn settle_failed(&self, control: &mut super::stream::Control, linger: bool) {
        if let Action::SettleClean | Action::SettleUnclean = control.step(Input::Failed) {
            self.settle(control, linger);
        }
    }

    fn write_end(&self) -> Status {
        if self.write_word() & FREED != 0 { Status::State } else { Status::Ended }
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
