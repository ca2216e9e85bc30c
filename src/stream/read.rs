//! Reading: the calls that take messages from a stream, and how a thread of the program owns the read word, follows
//! another owner, and sleeps.
//!
//! An owner that sleeps does so in `poll` on the socket and its own wake descriptor, never inside a receive.

use super::looking::Looking;
use super::pump::{Goal, Pumped};
use super::read_side::{Decoded, Message, ReadSide};
use super::read_word::{
    CALLER, CANCELLED, DETACHED, DISCARD, ENDED, FREED, Leave, OWNER, QUEUED, READER, ReadWord, Reading,
    THROTTLED,
};
use super::status::Status;
use super::timeout::{Deadline, Timeout};
use super::waiters::{NoSleep, Ticket};
use super::{CLOSED, OPENED, READABLE, READABLE_SOME, Stream};
use crate::net::sys;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a call that must not wait yields to the thread that is at work, and for how many milliseconds it sleeps after
/// that, before it goes without what that thread may be about to find.
const YIELDS_MAX: u32 = 64;
const SLEEPS_MAX: u32 = 10;

/// The ownership of the read word; dropped in unwinding it fails the stream.
pub(super) struct Driving<'a> {
    stream: &'a Stream,
    held: Option<Reading<'a, ReadSide>>,
    /// The read call's seat goes with it.
    reader: bool,
}

impl<'a> Driving<'a> {
    #[inline]
    pub fn new(stream: &'a Stream, held: Reading<'a, ReadSide>, reader: bool) -> Self {
        Self { stream, held: Some(held), reader }
    }

    #[inline]
    pub fn side(&mut self) -> &mut ReadSide {
        self.held.as_mut().expect("held until it is left")
    }

    /// Leaves with the seat where nothing is left to do: the short way of a read.
    #[inline(always)]
    fn leave_quietly(mut self, queued: bool) {
        let Some(held) = self.held.take() else { return };
        let pending = held.has_chunk();
        match self.stream.read.leave_quietly(held, queued, pending) {
            // Nothing is left that a drop would have to do.
            Ok(()) => std::mem::forget(self),
            Err(held) => {
                self.held = Some(held);
                self.leave();
            }
        }
    }

    /// Leaves; the stream is put on the sweep list if nothing else watches it.
    #[inline(never)]
    pub fn leave(self) {
        self.leave_as(false, false);
    }

    /// Leaves. `armed`: the internal thread is about to watch the socket, only for errors where `throttled`.
    pub fn leave_as(mut self, armed: bool, throttled: bool) {
        let stream = self.stream;
        let _inside = stream.inside();
        if let Some(held) = &mut self.held {
            if !armed && stream.closed.info().is_some() {
                stream.let_socket_go(held);
            }
        }
        let Some(mut held) = self.held.take() else { return };
        if stream.read.load() & CANCELLED != 0 {
            held.clear_queue();
        }
        stream.is_parted.store(held.is_parted(), Ordering::Release);
        let leave = Leave {
            reader: self.reader,
            queued: held.has_queued(),
            throttled: !stream.waiters.is_calling(READABLE)
                && (throttled
                    || (stream.read.load() & THROTTLED != 0 && stream.budget(&held, Goal::Mark) == 0)),
            armed,
            detached: held.transport.is_none(),
            pending: held.is_pending(),
        };
        let waiters = &stream.waiters;
        let has_left = held.has_left(waiters.is_demanded(READABLE_SOME));
        // A part is for nobody who waits for whole messages: looking for it again and again would not make it one.
        let has_called = (waiters.is_calling(READABLE) && held.has_left(false))
            || (waiters.is_calling(READABLE_SOME) && held.has_left(true));
        let left = stream.read.leave(held, leave);
        if left.list {
            stream.runtime.list(stream.key);
        }
        if left.wake {
            stream.notify(OPENED | READABLE | READABLE_SOME);
        } else if has_called {
            stream.post_callbacks();
        }
        if left.cancelled && leave.queued {
            // Cancelled between the look above and the leaving: what is queued goes with the next owner.
            stream.runtime.take_over(stream.key);
        }
        if left.descriptor && has_left {
            stream.raise_descriptor();
        }
        if left.ended && !armed && (!leave.detached || left.watched) {
            stream.runtime.nudge(stream.key);
        }
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            let _inside = self.stream.inside();
            // First: nobody goes on with what the panic has left.
            self.stream.fail_internal();
            drop(held);
            if self.reader {
                self.stream.read.rise();
            }
            // Again, for those who found it held.
            self.stream.notify(u32::MAX);
            // Where it had ended before, whoever was to let the socket go is this one.
            self.stream.runtime.nudge(self.stream.key);
        }
    }
}

/// The seat of a read call that does not have the ownership.
struct ReaderSeat<'a>(&'a Stream);

impl Drop for ReaderSeat<'_> {
    fn drop(&mut self) {
        self.0.read.rise();
    }
}

/// Whether nobody has the reading half and there is something to be had: before the socket is there only the internal
/// thread owns it, to bring it.
pub(super) fn can_own(word: u64) -> bool {
    word & OWNER == 0 && (word & DETACHED == 0 || word & (ENDED | FREED) != 0)
}

/// What a call that must not wait still does where another thread is at work: that work does not wait either, but under a
/// flood somebody is always at it.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// Lets the other thread go on for a moment; false: it has been at it for too long.
    pub fn outwaits(&mut self) -> bool {
        self.0 += 1;
        if self.0 <= YIELDS_MAX {
            std::thread::yield_now();
        } else {
            // Without descriptors it is a sleep; a failure is a shorter one.
            let _ = sys::poll(&mut [], 1);
        }
        self.0 <= YIELDS_MAX + SLEEPS_MAX
    }
}

/// A socket to sleep on.
pub(super) struct Socket<'l> {
    pub descriptor: sys::PollFd,
    /// What this half's waits were like; None: it is not to look.
    pub looking: Option<&'l mut Looking>,
}

/// `poll` on a wake descriptor and a socket, after looking for a while where that pays. A failure of it ends as a look at
/// what there is.
fn look_and_sleep(
    descriptors: &mut [sys::PollFd; 2],
    mut timeout_ms: i32,
    deadline: Deadline,
    looking: &mut Looking,
    bound: Duration,
) {
    let begin = Instant::now();
    if looking.pays() {
        // What is left of the time is rounded up.
        let ms = u64::try_from(timeout_ms).map_or(u64::MAX, |ms| ms.saturating_sub(1));
        let bound = bound.min(Duration::from_millis(ms));
        while begin.elapsed() < bound {
            let _ = sys::poll(descriptors, 0);
            if descriptors.iter().any(|seen| seen.revents != 0) {
                looking.note_found();
                return;
            }
            std::hint::spin_loop();
        }
        timeout_ms = deadline.remaining_ms().unwrap_or(0);
    }
    let _ = sys::poll(descriptors, timeout_ms);
    let has_come = descriptors[1].revents != 0;
    looking.note_slept(has_come.then(|| begin.elapsed()), bound);
}

/// How a waiting call goes on.
pub(super) enum Slept {
    /// Look again.
    Woken,
    /// The time is over, or `wake` was called.
    Over,
    /// The system has no descriptor to sleep on.
    Resource,
}

impl Stream {
    /// `wsstream_read`.
    #[inline(always)]
    pub fn read(&self, timeout: Timeout, take: impl FnOnce(Message)) -> Status {
        let result = match self.read.enter() {
            Ok(held) => {
                let mut driving = Driving::new(self, held, true);
                let side = driving.side();
                // While the handshake lasts or after the end the word has refused, or there is no chunk.
                if side.is_plain() {
                    if let Some(message) = side.take_short() {
                        driving.leave_quietly(false);
                        take(message);
                        return Status::Ok;
                    }
                }
                self.read_here(driving, timeout)
            }
            Err(_) => self.read_slowly(None, timeout),
        };
        match result {
            Ok(message) => {
                take(message);
                Status::Ok
            }
            Err(status) => status,
        }
    }

    /// The next message where that needs no system call, else the slow way.
    #[inline(never)]
    fn read_here(&self, mut driving: Driving<'_>, timeout: Timeout) -> Result<Message, Status> {
        let side = driving.side();
        if side.is_parted() {
            driving.leave();
            return Err(Status::State);
        }
        let message = side.pop().or_else(|| match side.decode(usize::MAX) {
            Decoded::Message(message) => {
                self.note_message(side, &message);
                Some(message)
            }
            decoded => {
                self.see_to(side, decoded);
                None
            }
        });
        match message {
            Some(message) => {
                let is_queued = side.has_queued();
                driving.leave_quietly(is_queued);
                Ok(message)
            }
            None => self.read_slowly(Some(driving), timeout),
        }
    }

    /// A whole message, with everything that may be in its way.
    #[cold]
    #[inline(never)]
    fn read_slowly<'a>(&'a self, driving: Option<Driving<'a>>, timeout: Timeout) -> Result<Message, Status> {
        self.read_with(driving, timeout, Goal::Message, |side, pumped| match pumped {
            Pumped::Message(message) => Some(Ok(message)),
            Pumped::Ended => self.take_last(side),
            _ => None,
        })
    }

    /// `wsstream_read_many`.
    pub fn read_many(&self, timeout: Timeout, capacity: usize, take: &mut dyn FnMut(Message)) -> Status {
        if capacity == 0 {
            return Status::Argument;
        }
        // Between the two takings of the word nothing else keeps the memory.
        let _inside = self.inside();
        let status = self.read(timeout, &mut *take);
        if status == Status::Ok {
            self.take_those_here(capacity - 1, take);
        }
        status
    }

    /// Takes further messages where that needs no system call.
    fn take_those_here(&self, capacity: usize, take: &mut dyn FnMut(Message)) {
        let Ok(held) = self.read.enter() else {
            // The stream has ended or is about to: one by one.
            let _ = (0..capacity).try_for_each(|_| match self.read(Timeout(0), &mut *take) {
                Status::Ok => Ok(()),
                status => Err(status),
            });
            return;
        };
        let mut driving = Driving::new(self, held, true);
        let side = driving.side();
        for _ in 0..if side.is_parted() { 0 } else { capacity } {
            let message = match side.pop().or_else(|| if side.is_plain() { side.take_short() } else { None })
            {
                Some(message) => message,
                None => match side.decode(usize::MAX) {
                    Decoded::Message(message) => {
                        self.note_message(side, &message);
                        message
                    }
                    decoded => {
                        // The next call finds what is behind it.
                        self.see_to(side, decoded);
                        break;
                    }
                },
            };
            take(message);
        }
        if side.has_pongs {
            side.has_pongs = false;
            self.serve_posted();
        }
        let is_queued = side.has_queued();
        driving.leave_quietly(is_queued);
    }

    /// The longer way of every call that reads: pumps towards `goal` until `take` has an answer.
    pub(super) fn read_with<'a, T>(
        &'a self,
        driving: Option<Driving<'a>>,
        timeout: Timeout,
        goal: Goal,
        mut take: impl FnMut(&mut ReadSide, Pumped) -> Option<Result<T, Status>>,
    ) -> Result<T, Status> {
        crate::fault::point("stream.read");
        let asked = if matches!(goal, Goal::Part { .. }) { READABLE_SOME } else { READABLE };
        let _inside = self.inside();
        let mut driving = driving;
        let mut seat = None;
        if driving.is_none() {
            self.read.sit().map_err(|word| if word & FREED != 0 { Status::State } else { Status::Busy })?;
            seat = Some(ReaderSeat(self));
        }
        let mut deadline = None;
        let mut is_last_look = timeout.is_zero();
        let mut patience = Patience::default();
        loop {
            let mut own = match driving.take().map_or_else(|| self.try_own(), Some) {
                Some(own) => own,
                None => {
                    self.follow_as_reader(asked, &mut deadline, timeout, &mut is_last_look, &mut patience)?;
                    continue;
                }
            };
            std::mem::forget(seat.take());
            own.reader = true;
            // A socket that was emptied is asked again after `poll` has seen something, not before.
            let receives = is_last_look || !own.side().is_drained;
            let is_parted = goal == Goal::Message && own.side().is_parted() && !self.is_lost();
            let mut result = match self.read.load() & (CANCELLED | FREED) {
                // R13: at once; what is here is no longer to be read.
                CANCELLED => Some(Err(Status::Done)),
                _ if is_parted => Some(Err(Status::State)),
                _ => {
                    let pumped = self.pump(own.side(), goal, receives);
                    take(own.side(), pumped)
                }
            };
            if result.is_none() && is_last_look {
                // `free` may have to leave the end to a writer that has the write word.
                let is_freed = self.read.load() & FREED != 0;
                result = Some(Err(if is_freed { Status::State } else { Status::Again }));
            }
            if let Some(result) = result {
                own.leave();
                if matches!(result, Err(Status::Again)) {
                    self.quieten_descriptor();
                }
                return result;
            }
            match self.sleep_as_owner(own.side(), asked, &mut deadline, timeout, || false) {
                Slept::Woken => {}
                Slept::Over => is_last_look = true,
                Slept::Resource => {
                    own.leave();
                    return Err(Status::Resource);
                }
            }
            driving = Some(own);
        }
    }

    /// Another thread drives while a read call waits: OK is to look again.
    fn follow_as_reader(
        &self,
        asked: u32,
        deadline: &mut Option<Deadline>,
        timeout: Timeout,
        is_last_look: &mut bool,
        patience: &mut Patience,
    ) -> Result<(), Status> {
        let is_cancelled = || self.read.load() & (CANCELLED | FREED) == CANCELLED;
        if is_cancelled() {
            return Err(Status::Done);
        }
        match self.follow(asked, deadline, timeout, *is_last_look, patience, is_cancelled) {
            Slept::Woken => Ok(()),
            Slept::Resource => Err(Status::Resource),
            Slept::Over => match self.read.load() {
                word if word & FREED != 0 => Err(Status::State),
                word if word & ENDED != 0 => {
                    // The end is for ever: it is told although another thread has the word for a moment.
                    *is_last_look = true;
                    Ok(())
                }
                _ => {
                    self.quieten_descriptor();
                    Err(Status::Again)
                }
            },
        }
    }

    /// Takes the read word for a thread of the program, where nobody has it and there is a socket to drive.
    pub(super) fn try_own(&self) -> Option<Driving<'_>> {
        self.try_take(|word| word.own(CALLER))
    }

    /// The same for one that looks and does not drive.
    pub(super) fn try_look(&self) -> Option<Driving<'_>> {
        self.try_take(ReadWord::own_to_look)
    }

    #[inline]
    fn try_take<'a>(
        &'a self,
        take: impl FnOnce(&'a ReadWord<ReadSide>) -> Result<Reading<'a, ReadSide>, u64>,
    ) -> Option<Driving<'a>> {
        if !can_own(self.read.load()) {
            return None;
        }
        take(&self.read).ok().map(|held| Driving::new(self, held, false))
    }

    /// Another thread drives: waits for its progress. With `is_last_look` only for work that does not wait.
    pub(super) fn follow(
        &self,
        asked: u32,
        deadline: &mut Option<Deadline>,
        timeout: Timeout,
        is_last_look: bool,
        patience: &mut Patience,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        let events = READABLE | READABLE_SOME | OPENED;
        if is_last_look {
            let word = self.read.load();
            let is_said = word & OWNER != 0 && word & (QUEUED | ENDED | FREED) != 0;
            if !is_said && !self.is_at_work(word) {
                return Slept::Over;
            }
            // What has ended answers that for ever, and its owner leaves soon.
            return if patience.outwaits() || word & ENDED != 0 { Slept::Woken } else { Slept::Over };
        }
        let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
        self.wait_for(asked, events, None, deadline, || {
            self.read.wait();
            can_own(self.read.load()) || is_there()
        })
    }

    /// Enters the waiters, looks once more, sleeps, leaves them.
    pub(super) fn wait_for(
        &self,
        asked: u32,
        events: u32,
        socket: Option<Socket<'_>>,
        deadline: Deadline,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        let ticket = match self.waiters.enter(asked, events) {
            Ok(ticket) => ticket,
            Err(NoSleep::Interrupted) => return Slept::Over,
            Err(NoSleep::Resource) => return Slept::Resource,
        };
        let woken = is_there() || self.sleep(&ticket, socket, deadline);
        if self.waiters.leave(ticket) || !woken { Slept::Over } else { Slept::Woken }
    }

    /// Sleeps until something is to be received or another thread has changed something, keeping the ownership.
    pub(super) fn sleep_as_owner(
        &self,
        side: &mut ReadSide,
        events: u32,
        deadline: &mut Option<Deadline>,
        timeout: Timeout,
        is_there: impl FnOnce() -> bool,
    ) -> Slept {
        self.send_held_back();
        self.note_statistics(side);
        let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
        // A turn may have ended before the input: then no sleep, but a look at the time and at `wake`.
        let has_input = side.has_input();
        if has_input && deadline.remaining_ms().is_none() {
            return Slept::Over;
        }
        let socket = side.transport.as_ref().map(|transport| Socket {
            descriptor: sys::poll_fd(transport.descriptor(), true, false),
            looking: if side.decoder.is_within_message() {
                // What comes in pieces comes cheaper in large ones.
                side.looking.note_piece();
                None
            } else {
                Some(&mut side.looking)
            },
        });
        let discards = side.is_discarding || side.is_over;
        // Who waits for the end goes on waiting where the program wants no further message.
        let stops = if events == CLOSED { ENDED | FREED } else { CANCELLED | ENDED | FREED };
        let slept = self.wait_for(events, events | READABLE | CLOSED, socket, deadline, || {
            let word = self.read.load();
            let is_awake = has_input || word & stops != 0 || (word & DISCARD != 0 && !discards) || is_there();
            self.is_owner_asleep.store(!is_awake, Ordering::Release);
            is_awake
        });
        self.is_owner_asleep.store(false, Ordering::Release);
        // Even where another thread woke this one, the socket may have something.
        side.is_drained = false;
        slept
    }

    /// Whether whoever has the reading half is about to leave it, or has left it just now; else it sleeps, having found
    /// nothing, or there is no socket yet.
    pub(super) fn is_at_work(&self, word: u64) -> bool {
        match word & OWNER {
            0 => can_own(word),
            CALLER => !self.is_owner_asleep.load(Ordering::Acquire),
            _ => true,
        }
    }

    /// Sleeps on the ticket's wake descriptor and a socket; false: the time is over.
    fn sleep(&self, ticket: &Ticket, socket: Option<Socket<'_>>, deadline: Deadline) -> bool {
        let Some(timeout_ms) = deadline.remaining_ms() else { return false };
        let wake = sys::poll_fd(ticket.wake().descriptor(), true, false);
        // A failure of poll itself ends as a look at what there is.
        let is_woken = match socket {
            None => {
                let mut descriptors = [wake];
                let _ = sys::poll(&mut descriptors, timeout_ms);
                descriptors[0].revents != 0
            }
            Some(Socket { descriptor, looking }) => {
                let mut descriptors = [wake, descriptor];
                match looking.zip(self.limits.look) {
                    Some((looking, bound)) => {
                        look_and_sleep(&mut descriptors, timeout_ms, deadline, looking, bound);
                    }
                    None => {
                        let _ = sys::poll(&mut descriptors, timeout_ms);
                    }
                }
                descriptors[0].revents != 0
            }
        };
        if is_woken {
            ticket.wake().clear();
        }
        true
    }

    /// The stream has ended: the next of what is still to be read, or the status of the end. None: not yet.
    pub(super) fn take_last(&self, side: &mut ReadSide) -> Option<Result<Message, Status>> {
        self.take_last_with(side, ReadSide::pop)
    }

    /// The same for any way of taking what is still to be read.
    pub(super) fn take_last_with<T>(
        &self,
        side: &mut ReadSide,
        take: impl FnOnce(&mut ReadSide) -> Option<T>,
    ) -> Option<Result<T, Status>> {
        match self.read.load() {
            word if word & FREED != 0 => return Some(Err(Status::State)),
            word if word & CANCELLED != 0 => return Some(Err(Status::Done)),
            _ => {}
        }
        let info = self.closed.info()?;
        if self.is_lost() {
            side.clear_queue();
        } else if let Some(taken) = take(side) {
            return Some(Ok(taken));
        }
        Some(Err(if info.clean { Status::Done } else { info.status }))
    }

    /// Whether what is queued is lost: the connection ended without a Close of the peer (R07).
    fn is_lost(&self) -> bool {
        self.closed.info().is_some_and(|info| !info.clean && info.code == 1006)
    }

    /// Whether a read call or a driving thread of the program is inside.
    pub(super) fn has_reader(&self) -> bool {
        let word = self.read.load();
        word & READER != 0 || word & OWNER == CALLER
    }
}
