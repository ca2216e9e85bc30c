//! Writing: calls of the program, and what whoever holds the write word does before it lets go.
//!
//! Nobody sleeps or compresses with the lock. A writer that has to wait, or has another frame to make, keeps its seat and lets
//! the lock go, so control frames of other threads pass between its frames.

use super::compression::Compression;
use super::read::{Slept, Socket};
use super::serve::Locked;
use super::status::{Initiator, Status};
use super::timeout::{Deadline, Timeout};
use super::write_side::{PIECE_SIZE, Refused, WriteSide};
use super::write_word::{CONNECTING, CTRL, ENDED, FREED, LOCKED, WRITER, Writing};
use super::{Ending, FLAG_FIN, FLAG_MORE, FLAG_NO_COMPRESS, Stream, WRITABLE, log};
use crate::net::sys;
use crate::proto::opcode::{Kind, Opcode};
use crate::proto::outgoing::{Frames, Refusal};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// A message in parts counts as one that is not small, but for a threshold beyond every size.
const UNKNOWN_SIZE: usize = isize::MAX as usize - 1;

/// One call's part of a message.
#[derive(Clone, Copy, Debug)]
pub struct ToWrite<'d> {
    pub(super) kind: Kind,
    pub(super) data: &'d [u8],
    pub(super) fin: bool,
    pub(super) whole: bool,
    pub(super) more: bool,
    /// The message may be compressed.
    pub(super) compress: bool,
}

impl<'d> ToWrite<'d> {
    /// A whole message.
    #[inline]
    #[must_use]
    pub const fn whole(kind: Kind, data: &'d [u8], compress: bool) -> Self {
        Self { kind, data, fin: true, whole: true, more: false, compress }
    }
}

/// How a write call comes back from its sleep.
enum SleptWriting<'a> {
    /// Look again.
    Woken(Locked<'a>),
    /// The time is over, or `wake` was called.
    Over(Locked<'a>),
    /// The system has no descriptor to sleep on.
    Resource(Locked<'a>),
    /// The stream has ended, the seat is given up.
    Ended,
}

/// How far framing has come.
enum Pushed {
    /// All of it is framed.
    All,
    /// The socket takes nothing now.
    Blocked,
    /// A frame is whole and another one follows.
    Between,
}

/// The seat of a write call that does not hold the lock.
struct WriterSeat<'a>(&'a Stream);

impl Drop for WriterSeat<'_> {
    fn drop(&mut self) {
        self.0.write.rise();
    }
}

/// A frame that was begun: its mask, and what is left of its payload.
type FrameRest = ([u8; 4], Range<usize>);

/// How far a message has been framed.
struct Progress<'d> {
    data: &'d [u8],
    frames: Frames,
    /// The frame that comes next, where the message is compressed: opcode, fin, and the size of its payload before.
    next: Option<(Opcode, bool, usize)>,
    frame: Option<FrameRest>,
    /// The payload of that frame, or of the one that was begun, if the message is compressed.
    compressed: Option<Vec<u8>>,
    has_begun: bool,
}

impl Progress<'_> {
    /// What the payload of the frame that was begun is cut from.
    fn source(&self) -> &[u8] {
        self.compressed.as_deref().unwrap_or(self.data)
    }

    /// Whether the lock is to be let go before anything else is framed.
    fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.next.is_none() && (self.has_begun || self.compressed.is_some())
    }

    /// Compresses the payload of the next frame.
    fn compress(&mut self, compression: &mut Compression) -> Result<(), Refused> {
        let (Some(compressed), Some((opcode, fin, payload))) = (&mut self.compressed, self.frames.next())
        else {
            return Ok(());
        };
        compressed.clear();
        compression.compress(&self.data[payload.clone()], fin, compressed)?;
        self.next = Some((opcode, fin, payload.len()));
        Ok(())
    }

    /// Begins the next frame; None: there is none.
    fn begin_frame(&mut self, side: &mut WriteSide) -> Result<Option<FrameRest>, Refused> {
        self.has_begun = true;
        if let (Some(compressed), Some((opcode, fin, size))) = (&self.compressed, self.next.take()) {
            side.unframed = side.unframed - size + compressed.len();
            let mask = side.frame_compressed(opcode, fin, compressed.len())?;
            return Ok(Some((mask, 0..compressed.len())));
        }
        let Some((opcode, fin, payload)) = self.frames.next() else { return Ok(None) };
        let mask = side.frame(opcode, fin, payload.len())?;
        Ok(Some((mask, payload)))
    }
}

impl Stream {
    /// `wsstream_write`.
    #[inline]
    pub fn write(&self, kind: Kind, data: &[u8], timeout: Timeout) -> Status {
        self.write_part(ToWrite::whole(kind, data, true), timeout)
    }

    /// `wsstream_write_some`.
    #[inline]
    pub fn write_some(&self, kind: Kind, data: &[u8], flags: u32, timeout: Timeout) -> Status {
        if flags & !(FLAG_FIN | FLAG_MORE | FLAG_NO_COMPRESS) != 0 {
            return Status::Argument;
        }
        let (fin, more) = (flags & FLAG_FIN != 0, flags & FLAG_MORE != 0);
        let (whole, compress) = (false, flags & FLAG_NO_COMPRESS == 0);
        self.write_part(ToWrite { kind, data, fin, whole, more, compress }, timeout)
    }

    #[inline(always)]
    fn write_part(&self, part: ToWrite<'_>, timeout: Timeout) -> Status {
        let Ok(held) = self.write.enter() else { return self.write_slowly(None, part, timeout) };
        let mut locked = Locked::new(self, held, true);
        let side = locked.side();
        if !self.is_short(side, &part) {
            return self.write_slowly(Some(locked), part, timeout);
        }
        if side.outgoing.check(part.kind, part.data, true, true).is_err() {
            locked.unlock(false);
            return Status::Argument;
        }
        if side.frame_message(part.kind, part.data).is_err() {
            return self.fail_write(locked);
        }
        if !part.more || side.unsent() > self.limits.write_buffer_size {
            side.send();
        }
        if !self.has_room(side) {
            return self.finish_write(locked, timeout);
        }
        if locked.unlock_quietly() {
            // Nothing is left that a drop would have to do.
            std::mem::forget(locked);
        } else {
            locked.unlock(false);
        }
        Status::Ok
    }

    /// Whether it is framed at once: the end of a message that is not in parts and not compressed, small, and there is room.
    #[inline(always)]
    pub(super) fn is_short(&self, side: &WriteSide, part: &ToWrite<'_>) -> bool {
        side.unsent() <= self.limits.write_buffer_size
            && part.data.len() <= PIECE_SIZE
            && part.fin
            && !side.outgoing.is_open()
            && !(part.compress && side.compresses(part.data.len()))
            && !self.is_traced
    }

    /// Whether nothing keeps a write whose message was framed.
    #[inline(always)]
    pub(super) fn has_room(&self, side: &WriteSide) -> bool {
        side.unsent() <= self.limits.write_buffer_size && side.broken.is_none()
    }

    /// A write that has to wait, is large, or is a part of a message.
    #[cold]
    #[inline(never)]
    pub(super) fn write_slowly<'a>(
        &'a self,
        locked: Option<Locked<'a>>,
        part: ToWrite<'_>,
        timeout: Timeout,
    ) -> Status {
        crate::fault::point("stream.write");
        let _inside = self.inside();
        let status = self.write_waiting(locked, part, timeout);
        if status == Status::Again {
            self.quieten_descriptor();
        }
        status
    }

    fn write_waiting<'a>(
        &'a self,
        locked: Option<Locked<'a>>,
        part: ToWrite<'_>,
        timeout: Timeout,
    ) -> Status {
        let mut locked = match self.wait_for_room(locked, timeout) {
            Ok(locked) => locked,
            Err(status) => return status,
        };
        let side = locked.side();
        let accepted = match side.outgoing.check(part.kind, part.data, part.fin, part.whole) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                locked.unlock(false);
                return if refusal == Refusal::State { Status::State } else { Status::Argument };
            }
        };
        if !side.outgoing.is_open() {
            let size = if part.fin { part.data.len() } else { UNKNOWN_SIZE };
            side.is_compressing = part.compress && side.compresses(size);
        }
        let frames = side.outgoing.accept(accepted);
        let compressed = side.is_compressing.then(Vec::new);
        if side.is_compressing && side.compression.as_deref().is_some_and(Compression::is_idle) {
            self.note_compressor();
        }
        side.sent.messages += u64::from(part.fin);
        side.sent.payload += part.data.len() as u64;
        self.log(log::TRACE, || format!("sends {} bytes of a {:?} message", part.data.len(), part.kind));
        // Where the lock is let go before the end is framed, our Close waits.
        side.in_message = part.data.len() > PIECE_SIZE || side.is_compressing;
        side.unframed = part.data.len();
        let mut progress =
            Progress { data: part.data, frames, next: None, frame: None, compressed, has_begun: false };
        let mark = self.limits.write_buffer_size;
        let mut deadline = None;
        // What is left of the time once all is framed.
        let mut rest = timeout;
        // The socket holds nothing up any more: what it does not take is copied.
        let mut copies = timeout.is_zero();
        loop {
            if progress.is_between_frames() {
                locked = match self.let_others_pass(locked, &mut progress) {
                    Ok(locked) => locked,
                    Err(status) => return status,
                };
            }
            let side = locked.side();
            match self.push(side, &mut progress, part.more, copies) {
                Err(Refused) => return self.fail_write(locked),
                Ok(Pushed::All) => return self.finish_write(locked, rest),
                Ok(Pushed::Between) => continue,
                // The rest fits below the mark: it is copied, and the call is done.
                Ok(Pushed::Blocked) if side.unsent() <= mark => {
                    copies = true;
                    continue;
                }
                Ok(Pushed::Blocked) => {}
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
            locked = match self.sleep_as_writer(locked, mark, deadline) {
                SleptWriting::Woken(locked) => locked,
                SleptWriting::Over(locked) | SleptWriting::Resource(locked) => {
                    // The time is over: the rest is copied and the internal thread sends it.
                    copies = true;
                    rest = Timeout(0);
                    locked
                }
                SleptWriting::Ended => return self.write_end(),
            };
        }
    }

    /// Between two frames: lets the lock go, so that nobody waits for the whole of a large message, compresses what the next
    /// frame carries, and takes the lock again.
    fn let_others_pass<'a>(
        &'a self,
        mut locked: Locked<'a>,
        progress: &mut Progress<'_>,
    ) -> Result<Locked<'a>, Status> {
        let mut compression = None;
        if progress.compressed.is_some() {
            compression = locked.side().compression.take();
        }
        locked.unlock(true);
        let seat = WriterSeat(self);
        let compressed = match &mut compression {
            Some(compression) => progress.compress(compression),
            None => {
                // Who waits for the lock looks again and again.
                std::thread::yield_now();
                Ok(())
            }
        };
        if self.has_ended_writing() {
            return Err(self.write_end());
        }
        let mut locked = Locked::new(self, self.lock_write(), true);
        std::mem::forget(seat);
        if compression.is_some() {
            locked.side().compression = compression;
        }
        if compressed.is_err() {
            return Err(self.fail_write(locked));
        }
        Ok(locked)
    }

    /// Frames and sends, to the end of a frame at most. With `copies` the socket does not hold it up.
    fn push(
        &self,
        side: &mut WriteSide,
        progress: &mut Progress<'_>,
        more: bool,
        copies: bool,
    ) -> Result<Pushed, Refused> {
        loop {
            if self.has_ended_writing() {
                // The end came in between, maybe inside a frame: nothing may be framed behind it any more.
                side.unframed = 0;
                return Ok(Pushed::All);
            }
            let (mask, payload) = match progress.frame.take() {
                Some(frame) => frame,
                None => {
                    // RFC 6455 §5.4: control frames may stand between the frames of a message. Before a message of one
                    // frame nothing is seen to: our Close may be due, and what was taken goes before it.
                    if side.in_message && (side.is_deferred || self.write.load() & CTRL != 0) {
                        self.serve(side);
                        if self.has_ended_writing() {
                            continue;
                        }
                    }
                    let Some(frame) = progress.begin_frame(side)? else { break };
                    frame
                }
            };
            let piece = payload.start..payload.end.min(payload.start + PIECE_SIZE);
            side.mask(&progress.source()[piece.clone()], mask)?;
            side.unframed -= piece.len();
            side.in_frame = piece.end < payload.end;
            if side.in_frame {
                progress.frame = Some((mask, piece.end..payload.end));
            } else if progress.frames.len() == 0 {
                break;
            }
            if !copies || !side.is_blocked {
                side.send();
            }
            if side.broken.is_some() {
                break;
            }
            if side.is_blocked && !copies {
                return Ok(Pushed::Blocked);
            }
            if !side.in_frame {
                return Ok(Pushed::Between);
            }
        }
        side.in_message = false;
        side.in_frame = false;
        side.unframed = 0;
        if side.is_deferred {
            self.serve(side);
        }
        if !(more && side.unsent() <= self.limits.write_buffer_size) {
            side.send();
        }
        Ok(Pushed::All)
    }

    /// What was taken is framed: waits until it is within the mark.
    #[cold]
    #[inline(never)]
    pub(super) fn finish_write<'a>(&'a self, mut locked: Locked<'a>, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let mark = self.limits.write_buffer_size;
        let mut deadline = None;
        loop {
            let side = locked.side();
            if side.broken.is_some() || self.has_ended_writing() {
                locked.unlock(false);
                return self.end_of_taken();
            }
            if side.unsent() <= mark {
                locked.unlock(false);
                return Status::Ok;
            }
            if timeout.is_zero() {
                locked.unlock(false);
                return Status::Queued;
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
            let slept = self.sleep_as_writer(locked, mark, deadline);
            locked = match slept {
                SleptWriting::Woken(mut locked) => {
                    locked.side().send();
                    locked
                }
                SleptWriting::Over(mut locked) | SleptWriting::Resource(mut locked) => {
                    locked.side().send();
                    if locked.side().unsent() > mark {
                        locked.unlock(false);
                        return Status::Queued;
                    }
                    locked
                }
                SleptWriting::Ended => return self.end_of_taken(),
            };
        }
    }

    /// Whether what is unsent was dropped: the connection is over, or the stream was freed.
    fn has_ended_writing(&self) -> bool {
        self.closed.info().is_some() || self.write.load() & FREED != 0
    }

    /// The end of a write whose message was taken. Before a local Close that was answered all of it has left.
    fn end_of_taken(&self) -> Status {
        match self.closed.info() {
            Some(info) if info.clean && info.initiator == Initiator::Local => Status::Ok,
            _ => self.write_end_after_failure(),
        }
    }

    pub(super) fn fail_write(&self, locked: Locked<'_>) -> Status {
        let _inside = self.inside();
        locked.unlock(false);
        self.fail(Ending::resource("The system refused memory or random bytes for a write."), None);
        Status::Connection
    }

    /// Waits until the stream is open and has room; the seat and the lock, or the status that ends the call.
    fn wait_for_room<'a>(
        &'a self,
        locked: Option<Locked<'a>>,
        timeout: Timeout,
    ) -> Result<Locked<'a>, Status> {
        let mut locked = match locked {
            Some(locked) => locked,
            None => {
                if self.write.load() & FREED != 0 {
                    return Err(Status::State);
                }
                self.write.sit().map_err(|_| Status::Busy)?;
                match self.lock_open(timeout)? {
                    Some(locked) => locked,
                    None => return Err(Status::Again),
                }
            }
        };
        let mark = self.limits.write_buffer_size;
        let mut deadline = None;
        loop {
            let side = locked.side();
            if side.unsent() > mark {
                side.send();
            }
            if self.write.load() & (ENDED | FREED) != 0 || side.broken.is_some() {
                locked.unlock(false);
                return Err(self.write_end_after_failure());
            }
            if locked.side().unsent() <= mark {
                return Ok(locked);
            }
            if timeout.is_zero() {
                locked.unlock(false);
                return Err(Status::Again);
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
            let slept = self.sleep_as_writer(locked, mark, deadline);
            locked = match slept {
                SleptWriting::Woken(locked) => locked,
                SleptWriting::Over(locked) => {
                    locked.unlock(false);
                    return Err(Status::Again);
                }
                SleptWriting::Resource(locked) => {
                    locked.unlock(false);
                    return Err(Status::Resource);
                }
                SleptWriting::Ended => return Err(self.write_end()),
            };
        }
    }

    /// With the seat: the lock, once the stream is open; None where the time is over. The seat is given up with an
    /// error or None.
    fn lock_open(&self, timeout: Timeout) -> Result<Option<Locked<'_>>, Status> {
        let seat = WriterSeat(self);
        let mut deadline = None;
        loop {
            let word = self.write.load();
            if word & (ENDED | FREED) != 0 {
                return Err(self.write_end_after_failure());
            }
            if word & CONNECTING == 0 {
                let held = self.lock_write();
                std::mem::forget(seat);
                return Ok(Some(Locked::new(self, held, true)));
            }
            if timeout.is_zero() {
                return Ok(None);
            }
            let deadline = *deadline.get_or_insert_with(|| {
                self.hand_over();
                timeout.deadline()
            });
            let is_there = || self.write.load() & (ENDED | FREED | CONNECTING) != CONNECTING;
            match self.wait_for(WRITABLE, WRITABLE, None, deadline, is_there) {
                Slept::Woken => {}
                Slept::Over => return Ok(None),
                Slept::Resource => return Err(Status::Resource),
            }
        }
    }

    /// Takes the lock from whoever has it: nobody holds it while waiting.
    pub(super) fn lock_write(&self) -> Writing<'_, WriteSide> {
        loop {
            match self.write.lock() {
                Ok(held) => return held,
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// Lets the lock go, sleeps until the socket takes bytes or somebody has sent some, and takes it again. `until`: how
    /// much may be unsent for the sleep to end.
    fn sleep_as_writer<'a>(
        &'a self,
        mut locked: Locked<'a>,
        until: usize,
        deadline: Deadline,
    ) -> SleptWriting<'a> {
        let transport = locked.side().transport.clone();
        let mut looking = locked.side().looking;
        locked.unlock(true);
        let seat = WriterSeat(self);
        let socket = transport.as_ref().map(|transport| Socket {
            descriptor: sys::poll_fd(transport.descriptor(), false, true),
            looking: Some(&mut looking),
        });
        let slept = self.wait_for(WRITABLE, WRITABLE, socket, deadline, || {
            self.write.wait();
            self.has_ended_writing() || self.unsent.load(Ordering::Relaxed) <= until
        });
        if self.has_ended_writing() {
            return SleptWriting::Ended;
        }
        let mut locked = Locked::new(self, self.lock_write(), true);
        std::mem::forget(seat);
        locked.side().looking = looking;
        self.serve(locked.side());
        match slept {
            Slept::Woken => SleptWriting::Woken(locked),
            Slept::Over => SleptWriting::Over(locked),
            Slept::Resource => SleptWriting::Resource(locked),
        }
    }

    /// `wsstream_flush`.
    pub fn flush(&self, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let status = self.flush_waiting(timeout);
        if status == Status::Again {
            self.quieten_descriptor();
        }
        status
    }

    fn flush_waiting(&self, timeout: Timeout) -> Status {
        if self.write.load() & FREED != 0 {
            return Status::State;
        }
        if self.write.sit().is_err() {
            return Status::Busy;
        }
        let mut locked = match self.lock_open(timeout) {
            Ok(Some(locked)) => locked,
            Ok(None) => return Status::Again,
            Err(status) => return status,
        };
        let mut deadline = None;
        loop {
            let side = locked.side();
            side.send();
            if side.broken.is_some() {
                locked.unlock(false);
                return self.write_end_after_failure();
            }
            if side.unsent() == 0 {
                locked.unlock(false);
                return Status::Ok;
            }
            if timeout.is_zero() {
                locked.unlock(false);
                return Status::Again;
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
            let slept = self.sleep_as_writer(locked, 0, deadline);
            locked = match slept {
                SleptWriting::Woken(locked) => locked,
                SleptWriting::Resource(locked) => {
                    locked.unlock(false);
                    return Status::Resource;
                }
                SleptWriting::Over(mut locked) => {
                    locked.side().send();
                    let is_done = locked.side().unsent() == 0;
                    locked.unlock(false);
                    return if is_done { Status::Ok } else { Status::Again };
                }
                SleptWriting::Ended => return self.write_end(),
            };
        }
    }

    /// Sends what MORE holds back, if anybody does: a caller that is about to sleep in a read.
    pub(super) fn send_held_back(&self) {
        if self.write.load() & super::write_word::HELD == 0 {
            return;
        }
        if let Ok(held) = self.write.lock() {
            let mut locked = Locked::new(self, held, false);
            locked.side().send();
            locked.unlock(false);
        }
    }

    fn write_end_after_failure(&self) -> Status {
        // What is answered now is answered for ever, whatever the reader still meets.
        self.end_writing(Status::Connection);
        self.write_end()
    }

    /// What ended the writing half for the program; OK while nothing did.
    pub(super) fn write_end(&self) -> Status {
        if self.write.load() & FREED != 0 {
            return Status::State;
        }
        self.write_end.get().copied().unwrap_or(Status::Ok)
    }

    /// The writing half ends with this status for ever, if nothing ended it before.
    pub(super) fn end_writing(&self, status: Status) {
        let _ = self.write_end.set(status);
    }

    /// Whether a write call of any size would not answer AGAIN.
    pub(super) fn is_writable(&self) -> bool {
        let word = self.write.load();
        word & (ENDED | FREED) != 0
            || (word & CONNECTING == 0
                && self.unsent.load(Ordering::Relaxed) <= self.limits.write_buffer_size)
    }

    /// Whether a write call is inside.
    pub(super) fn has_writer(&self) -> bool {
        self.write.load() & (WRITER | LOCKED) != 0
    }
}
