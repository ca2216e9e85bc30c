//! What both halves share about the end of a stream: the closing handshake, the frames it owes the peer, the
//! deadlines. One leaf lock, taken only where a control frame, a close or an end is at hand.

use super::Stream;
use super::close_info::{CloseInfo, Ending};
use super::keepalive::Keepalive;
use super::log;
use super::read_word;
use super::serve::Locked;
use super::status::{Cause, Initiator, Phase, Status};
use super::timeout::after_ms;
use super::write_word;
use crate::proto::close::CloseRequest;
use crate::proto::closing::{self, Action, Input, State};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pongs that wait for a socket that takes nothing; beyond it the oldest is dropped (RFC 6455 §5.5.3 lets the newest
/// answer for all).
const PONGS_MAX: usize = 16;
/// How long the peer may take to end TCP after the closing handshake (RFC 6455 §7.1.1).
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// A pong that is due.
pub(super) struct Pong {
    pub size: usize,
    pub payload: [u8; 125],
}

/// What is due for the holder of the write word, and what is known of the end.
pub(super) struct Control {
    pub state: State,
    pub phase: Phase,
    pub pongs: VecDeque<Pong>,
    /// Our Close, due and not framed.
    pub close: Option<Box<CloseRequest>>,
    /// The connection is to fail, with a Close of that code if it can go out without waiting.
    pub failing: Option<Box<(Ending, Option<u16>)>>,
    /// The peer's Close.
    pub peer_close: Option<Box<(Option<u16>, String)>>,
    /// The code in the Close that was given to the system.
    pub sent_code: u16,
    /// The upgrade is refused, as its status line says, and the header has not ended.
    pub refused: Option<Box<Ending>>,
    /// Why the socket took no bytes; the end that a reader meets is that one's.
    pub send_failed: Option<Box<Ending>>,
    pub initiator: Initiator,
    /// The closing handshake has begun, from either side.
    pub is_closing: bool,
    /// The open timeout, the close timeout, or the wait for the end of TCP.
    pub deadline: Option<Instant>,
    /// After the end: how long what the peer still sends is discarded, so that our Close is not lost.
    pub linger_until: Option<Instant>,
    pub keepalive: Keepalive,
    /// When to see whether the compressor is still used.
    pub compressor_look: Option<Instant>,
    /// The socket, while something may be received from it: for the descriptor of event loops.
    pub socket: Option<RawFd>,
}

impl Control {
    pub fn new(deadline: Option<Instant>) -> Self {
        Self {
            state: State::Connecting,
            phase: Phase::Start,
            pongs: VecDeque::new(),
            close: None,
            failing: None,
            peer_close: None,
            sent_code: 0,
            refused: None,
            send_failed: None,
            initiator: Initiator::None,
            is_closing: false,
            deadline,
            linger_until: None,
            keepalive: Keepalive::default(),
            compressor_look: None,
            socket: None,
        }
    }

    /// One step of the closing handshake.
    pub fn step(&mut self, input: Input) -> Action {
        let (state, action) = closing::step(self.state, input);
        self.state = state;
        action
    }

    /// Whether the opening handshake is done and `closed` has not settled.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Connecting | State::Closed)
    }

    /// Whether a frame is due that was not framed.
    pub fn is_due(&self) -> bool {
        !self.pongs.is_empty() || self.close.is_some() || self.keepalive.is_due
    }

    /// Why the connection broke, if it did: `error` is what a receive was told.
    pub fn take_broken(&mut self, error: Option<&std::io::Error>) -> Option<Ending> {
        match (self.send_failed.take().map(|ending| *ending), error) {
            // That only says that the connection was broken before, and the system tells each reason once.
            (Some(sending), Some(error)) if sending.os_error == libc::EPIPE => Some(Ending::broken(error)),
            (None, Some(error)) => Some(Ending::broken(error)),
            (sending, _) => sending,
        }
    }

    /// Whether a further pong costs the oldest.
    pub fn has_all_pongs(&self) -> bool {
        self.pongs.len() == PONGS_MAX
    }

    /// Keeps a pong until the holder of the write word frames it.
    pub fn push_pong(&mut self, payload: &[u8]) {
        if self.has_all_pongs() {
            self.pongs.pop_front();
        }
        let mut pong = Pong { size: payload.len(), payload: [0; 125] };
        pong.payload[..payload.len()].copy_from_slice(payload);
        self.pongs.push_back(pong);
    }
}

impl Stream {
    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer's Close was decoded (by the owner of the read word).
    pub(super) fn handle_close_received(&self, code: Option<u16>, reason: &str) {
        let mut control = self.control();
        if !control.is_open() || control.peer_close.is_some() {
            return;
        }
        self.log(log::DEBUG, || format!("received Close {} {reason:?}", code.unwrap_or(1005)));
        control.peer_close = Some(Box::new((code, reason.to_owned())));
        control.is_closing = true;
        self.end_writing(Status::State);
        let action = control.step(Input::CloseReceived);
        match action {
            Action::QueueReply => {
                control.initiator = Initiator::Remote;
                // RFC 6455 §5.5.1: the reply typically echoes the status code.
                control.close = Some(Box::new(CloseRequest { code, reason: String::new() }));
            }
            Action::AwaitEnd => self.await_end(&mut control),
            _ => {}
        }
        // Before anybody can frame our Close: no message may follow it.
        self.write.mark(write_word::ENDED);
        drop(control);
        self.serve_posted();
    }

    /// Our Close was given to the system (by the holder of the write word).
    pub(super) fn handle_close_written(&self, control: &mut Control, code: u16) {
        if control.sent_code != 0 {
            // There is one Close only; who serves the write word later finds it framed and sent.
            return;
        }
        control.sent_code = code;
        self.log(log::DEBUG, || format!("sent Close {code}"));
        if control.step(Input::CloseWritten) == Action::AwaitEnd {
            self.await_end(control);
        }
    }

    fn await_end(&self, control: &mut Control) {
        let at = Instant::now() + END_TIMEOUT;
        control.deadline = Some(at);
        self.runtime.wake_at(self.key, at);
    }

    /// TCP has ended, or broke (by the owner of the read word).
    pub(super) fn handle_transport_ended(&self, error: Option<&std::io::Error>) {
        let mut control = self.control();
        let is_sending = control.send_failed.is_none();
        if error.is_none() && is_sending && control.state != State::Closed {
            // Another thread may have the write word. A reply that was left to it goes out, and what the socket has told it
            // is known, before the end is judged.
            let is_reply_due = control.state == State::ReplyDue;
            drop(control);
            if is_reply_due {
                self.serve_now();
            } else {
                Locked::new(self, self.lock_write(), false).unlock(false);
            }
            control = self.control();
        }
        let has_failed = error.is_some() || control.send_failed.is_some();
        let input = if has_failed { Input::Failed } else { Input::TransportEnded };
        match control.step(input) {
            Action::SettleClean => self.settle(&mut control, None, false),
            Action::SettleUnclean => {
                let ending = control
                    .take_broken(error)
                    .unwrap_or_else(|| Ending::new(Cause::Truncated, "The peer ended TCP without a Close."));
                if control.initiator == Initiator::None {
                    control.initiator = Initiator::Transport;
                }
                self.settle(&mut control, Some(ending), false);
            }
            _ => {}
        }
    }

    /// Fails the connection with a Close of that code (RFC 6455 §7.1.7), sent if that needs no waiting.
    pub(super) fn fail(&self, ending: Ending, close_code: Option<u16>) {
        let mut control = self.control();
        match control.state {
            State::Closed => return,
            State::Connecting => {
                control.step(Input::Failed);
                self.settle(&mut control, Some(ending), false);
                return;
            }
            _ => {}
        }
        if control.failing.is_none() {
            control.failing = Some(Box::new((ending, close_code)));
        }
        drop(control);
        self.serve_posted();
    }

    /// Settles after a failure: what the holder of the write word does once it has tried to send the Close.
    pub(super) fn settle_failed(&self, control: &mut Control, ending: Ending, linger: bool) {
        match control.step(Input::Failed) {
            Action::SettleClean => self.settle(control, None, linger),
            Action::SettleUnclean => {
                if control.initiator == Initiator::None {
                    control.initiator = Initiator::Local;
                }
                self.settle(control, Some(ending), linger);
            }
            _ => {}
        }
    }

    /// Settles `closed`, once; the state is Closed already. `linger`: the peer is still to read our Close.
    pub(super) fn settle(&self, control: &mut Control, ending: Option<Ending>, linger: bool) {
        let phase = if control.is_closing { Phase::Closing } else { control.phase };
        let clean = ending.is_none();
        let ending = match (ending, control.failing.take().map(|failing| *failing)) {
            // What failed first is the cause, also where the thread that has the write word has not come to it.
            (Some(_), Some((first, _))) => first,
            (Some(ending), None) => ending,
            (None, _) => Ending {
                status: Status::Ok,
                ..Ending::new(Cause::None, "The connection was closed cleanly.")
            },
        };
        let (code, reason) = match control.peer_close.take().map(|close| *close) {
            Some((code, reason)) => (code.unwrap_or(1005), reason),
            None => (1006, String::new()),
        };
        let status = ending.status;
        let info = CloseInfo {
            status,
            code,
            clean,
            initiator: control.initiator,
            phase: ending.phase.unwrap_or(phase),
            cause: ending.cause,
            os_error: ending.os_error,
            http_status: ending.http_status,
            sent_code: control.sent_code,
            reason,
            detail: ending.detail,
            response_body: ending.response_body,
        };
        control.state = State::Closed;
        control.deadline = None;
        control.pongs.clear();
        control.close = None;
        control.linger_until = linger.then(|| Instant::now() + END_TIMEOUT);
        if let Some(until) = control.linger_until {
            self.runtime.wake_at(self.key, until);
        }
        // Before the latch: a writer that finds the stream ended finds out why, too.
        self.end_writing(if clean { Status::State } else { status });
        self.log_end(&info);
        self.closed.settle(info);
        self.write.mark(write_word::ENDED);
        // The last of the three: see `settled`.
        let word = self.read.mark(read_word::ENDED);
        self.detach_socket(control);
        self.notify(u32::MAX);
        if word & read_word::OWNER != read_word::CALLER {
            // Else that one sees to the socket when it leaves.
            self.runtime.nudge(self.key);
        }
    }

    /// How the stream ended, once both words know of it, too: who was told here finds neither half going on.
    pub(super) fn settled(&self) -> Option<&CloseInfo> {
        let info = self.closed.info()?;
        if self.read.load() & read_word::ENDED == 0 {
            // The thread that settles has this lock until the words are marked.
            drop(self.control());
        }
        Some(info)
    }

    fn log_end(&self, info: &CloseInfo) {
        let level = if info.clean || info.cause == Cause::Aborted { log::INFO } else { log::ERROR };
        self.log(level, || {
            let CloseInfo { code, detail, .. } = info;
            format!("closed with {code}: {detail}")
        });
    }

    /// Something has changed: wakes who sleeps for these events, and tells callbacks and descriptor.
    pub(super) fn notify(&self, events: u32) {
        let standing = self.waiters.wake(events);
        if standing.called != 0 {
            self.post_callbacks();
        }
        if standing.watched != 0 {
            self.raise_descriptor();
        }
    }

    /// A deadline may be over: the internal thread asks.
    pub(super) fn handle_deadline(&self, now: Instant) -> Option<Instant> {
        let mut control = self.control();
        if control.deadline.or(control.linger_until).is_some_and(|due| due <= now) {
            self.handle_timed_out(&mut control);
        }
        let failing = self.keep_alive(&mut control, now);
        let is_pinging = control.keepalive.is_due;
        let next = [control.deadline.or(control.linger_until), control.keepalive.deadline()];
        drop(control);
        let compressor = self.look_at_compressor(now);
        match failing {
            Some((ending, code)) => self.fail(ending, code),
            None if is_pinging => self.serve_posted(),
            None => {}
        }
        next.into_iter().chain([compressor]).flatten().min()
    }

    fn handle_timed_out(&self, control: &mut Control) {
        control.deadline = None;
        match (control.state, control.step(Input::TimedOut)) {
            (_, Action::SettleClean) => self.settle(control, None, false),
            (State::Connecting, Action::SettleUnclean) => {
                self.runtime.give_up(self.key);
                let timed_out = || Ending::new(Cause::Timeout, "The open timeout ran out.");
                let ending = control.refused.take().map_or_else(timed_out, |ending| *ending);
                self.settle(control, Some(ending), false);
            }
            (_, Action::SettleUnclean) => {
                let detail = match control.sent_code {
                    0 => {
                        "What was written could not be sent within the close timeout, nor the Close behind it."
                    }
                    _ => "The peer did not answer the Close within the close timeout.",
                };
                self.settle(control, Some(Ending::new(Cause::Timeout, detail)), false);
            }
            // After the end only lingering is left, and it is over.
            _ => {
                control.linger_until = None;
                self.runtime.nudge(self.key);
            }
        }
    }

    /// The closing handshake from this side; the arguments were checked.
    pub(super) fn start_closing(&self, request: CloseRequest) {
        let mut control = self.control();
        match control.step(Input::LocalClose) {
            Action::GiveUp => {
                self.end_writing(Status::State);
                self.runtime.give_up(self.key);
                let ending = Ending::new(Cause::Aborted, "The stream was closed before it was open.");
                self.settle(&mut control, Some(ending), false);
            }
            Action::QueueClose => {
                self.end_writing(Status::State);
                control.initiator = Initiator::Local;
                control.is_closing = true;
                control.close = Some(Box::new(request));
                control.deadline = after_ms(self.limits.close_timeout_ms);
                if let Some(at) = control.deadline {
                    self.runtime.wake_at(self.key, at);
                }
                // Before anybody can frame our Close: no message may follow it.
                self.write.mark(write_word::ENDED);
                self.read.mark(read_word::DISCARD);
                drop(control);
                self.serve_posted();
                // Whoever drives sees that reading goes on past any mark; writers without room see their end.
                self.notify(u32::MAX);
                self.watch_again();
            }
            _ => {}
        }
    }
}
