//! The one function that pumps a stream: decodes, receives, and sees to what is no message. Whoever owns the read word
//! calls it; it never waits, and one turn of it is bounded whatever the peer sends.

use super::read::Driving;
use super::read_side::{Decoded, MESSAGE_COST, Message, Part, ReadSide};
use super::read_word::{CANCELLED, DISCARD, ENDED, FREED, Reading};
use super::{Ending, READABLE, Stream, log};
use crate::memory::{Loan, Slice};
use crate::net::transport::Received;
use crate::proto::failure::Failure;
use std::sync::atomic::Ordering;

/// How many receives one turn makes: then the internal thread has others to serve, and a caller looks at its time. What is
/// left is reported at once by whatever waits for it.
const RECEIVES_MAX: usize = 32;
/// How many frames beside whole messages one turn sees to, for the same reason: a chunk may hold a hundred thousand. It takes
/// about a millisecond.
const FRAMES_MAX: usize = 8 * 1024;
/// Received bytes that count as one of those frames: so a turn takes in two mebibytes at most.
const BYTES_PER_FRAME: usize = 256;

/// What the owner of the read word pumps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// A message, to be handed out at once.
    Message,
    /// A message at the head of the queue.
    Queue,
    /// A part of a message, or a message; the caller lends so much memory for it.
    Part { room: usize },
    /// The message at the head whole, then what fits below the mark: an event asks for it, but no thread.
    Head,
    /// What fits below the mark: nobody asks for it now.
    Mark,
    /// The end of the opening handshake.
    Open,
}

/// What pumping has led to.
pub(super) enum Pumped {
    Message(Message),
    /// The goal is reached.
    Reached,
    /// What the socket has next goes straight into what the caller lends.
    Lent,
    /// The socket has nothing now.
    Starved,
    /// No more may be held.
    Throttled,
    /// The stream has ended.
    Ended,
}

impl Stream {
    /// Decodes and receives until the goal is reached or the socket has nothing. The caller owns the read word.
    pub(super) fn pump(&self, side: &mut ReadSide, goal: Goal, receives: bool) -> Pumped {
        crate::fault::point("stream.pump");
        let mut left = RECEIVES_MAX;
        let mut frames_left = FRAMES_MAX;
        loop {
            let decoded = self.pump_decoded(side, goal, &mut frames_left);
            if side.has_pongs {
                side.has_pongs = false;
                self.serve_posted();
            }
            if let Some(pumped) = decoded {
                return pumped;
            }
            if side.transport.is_none() || !receives || left == 0 {
                return Pumped::Starved;
            }
            left -= 1;
            if matches!(goal, Goal::Part { room } if side.is_for_lent(room)) {
                return Pumped::Lent;
            }
            let budget = self.budget(side, goal);
            let received = side.receive(budget);
            self.note_reception(side, received.as_ref().map(|(received, _)| received));
            match received {
                Ok((Received::Bytes { size, .. }, Decoded::Starved)) => {
                    // Empty fragments are decoded without a word, two bytes each.
                    frames_left = frames_left.saturating_sub(size / BYTES_PER_FRAME);
                }
                Ok((Received::Nothing, Decoded::Starved)) => return Pumped::Starved,
                // Both are met again when they are asked for again.
                Ok((Received::End, _) | (_, Decoded::Fail(_))) if side.defers_end() => {
                    return Pumped::Starved;
                }
                Ok((Received::End, _)) => {
                    self.see_to_end(side, None);
                    return Pumped::Ended;
                }
                Ok((_, Decoded::Message(message))) => {
                    if let Some(pumped) = self.take_message(side, goal, message) {
                        return pumped;
                    }
                }
                Ok((_, decoded)) => self.see_to(side, decoded),
                Err(error) if side.defers_end() => {
                    // The system tells each reason once.
                    self.control().send_failed.get_or_insert_with(|| Box::new(Ending::broken(&error)));
                    return Pumped::Starved;
                }
                Err(error) => {
                    self.see_to_end(side, Some(&error));
                    return Pumped::Ended;
                }
            }
            if side.is_drained {
                // What was received last has emptied the socket: no second receive to be told so.
                left = 0;
            }
        }
    }

    /// Decodes what is here; None: more has to be received.
    fn pump_decoded(&self, side: &mut ReadSide, goal: Goal, frames_left: &mut usize) -> Option<Pumped> {
        loop {
            let word = self.read.load();
            if word & CANCELLED != 0 {
                // R13: what is queued is thrown away, too.
                side.clear_queue();
            }
            if word & (ENDED | FREED) != 0 {
                return Some(Pumped::Ended);
            }
            if side.opening.is_some() {
                if !self.pump_opening(side) {
                    return None;
                }
                continue;
            }
            if goal == Goal::Open {
                return Some(Pumped::Reached);
            }
            if word & DISCARD != 0 && !side.is_discarding && !side.is_over {
                self.start_discarding(side, word & CANCELLED == 0);
            }
            match goal {
                Goal::Message => {
                    if let Some(message) = side.pop() {
                        return Some(Pumped::Message(message));
                    }
                }
                Goal::Queue if side.has_queued() => return Some(Pumped::Reached),
                Goal::Part { .. } if side.has_queued() || side.has_part() => return Some(Pumped::Reached),
                _ => {}
            }
            if side.is_over {
                side.finish();
                return None;
            }
            let budget = self.budget(side, goal);
            if budget == 0 {
                // Also for empty messages, which take no payload but a place in the queue.
                return Some(Pumped::Throttled);
            }
            if *frames_left == 0 {
                return Some(Pumped::Starved);
            }
            match side.decode(budget) {
                Decoded::Message(message) => {
                    *frames_left = frames_left.saturating_sub(side.take_effort());
                    if let Some(pumped) = self.take_message(side, goal, message) {
                        return Some(pumped);
                    }
                }
                Decoded::Starved => return None,
                Decoded::Full => return Some(Pumped::Throttled),
                Decoded::Inflated => *frames_left = frames_left.saturating_sub(side.take_effort()),
                // It fails again when it is asked again.
                Decoded::Fail(_) if side.defers_end() => return Some(Pumped::Starved),
                decoded => {
                    *frames_left -= 1;
                    self.see_to(side, decoded);
                }
            }
        }
    }

    /// How many bytes of messages may still be taken in: the mark bounds what nobody asked for.
    pub(super) fn budget(&self, side: &ReadSide, goal: Goal) -> usize {
        let is_bounded = match goal {
            Goal::Mark | Goal::Part { .. } => true,
            Goal::Head => side.has_queued(),
            Goal::Message | Goal::Queue | Goal::Open => false,
        };
        if !is_bounded || side.is_discarding || side.is_over {
            return usize::MAX;
        }
        // Input that is not decoded stays held whether it is decoded or not.
        let held = side.held() - side.input().len();
        self.limits.read_buffer_size.saturating_sub(held)
    }

    fn take_message(&self, side: &mut ReadSide, goal: Goal, message: Message) -> Option<Pumped> {
        if side.is_discarding {
            return None;
        }
        self.note_message(side, &message);
        if goal == Goal::Message && !side.has_queued() {
            return Some(Pumped::Message(message));
        }
        if !side.push(message, matches!(goal, Goal::Mark | Goal::Head)) {
            self.see_to(side, Decoded::NoMemory);
        }
        None
    }

    /// Counts and logs a message that took the longer way.
    pub(super) fn note_message(&self, side: &mut ReadSide, message: &Message) {
        side.count(message);
        self.log(log::TRACE, || {
            format!("received a {:?} message of {} bytes", message.kind, message.payload.len())
        });
    }

    /// `pump` has answered `Lent`: receives once into what the caller lends. None: nothing is there now.
    pub(super) fn receive_lent(&self, side: &mut ReadSide, lent: &mut Loan<'_>) -> Option<Part> {
        let received = side.receive_lent(lent);
        self.note_reception(side, received.as_ref().map(|(received, _)| received));
        match received {
            Ok((Received::End, _)) => self.see_to_end(side, None),
            Err(error) => self.see_to_end(side, Some(&error)),
            Ok((_, Err(decoded))) => self.see_to(side, decoded),
            Ok((_, Ok(part))) => {
                if part.fin {
                    side.count(&Message { kind: part.kind, payload: Slice::empty() });
                    self.log(log::TRACE, || format!("received the last {} bytes of a message", part.size));
                }
                return Some(part);
            }
        }
        None
    }

    /// A receive has been made: sees to what TLS wants to send, and counts the bytes that pings are judged by.
    fn note_reception(&self, side: &mut ReadSide, received: Result<&Received, &std::io::Error>) {
        // After a failure of TLS itself its alert goes out; a socket that is broken takes nothing.
        let is_broken = matches!(received, Err(error) if error.raw_os_error().is_some());
        if side.is_secure && !is_broken {
            self.see_to_security(side);
        }
        if let Ok(Received::Bytes { size, .. }) = received {
            // Only the owner of the read word writes it.
            let received = self.wire_received.load(Ordering::Relaxed) + *size as u64;
            self.wire_received.store(received, Ordering::Relaxed);
        }
    }

    /// A local close: what came before is kept, what comes later is dropped (decision 14).
    fn start_discarding(&self, side: &mut ReadSide, keeps: bool) {
        if keeps {
            self.keep_those_here(side);
        }
        side.discard();
    }

    fn keep_those_here(&self, side: &mut ReadSide) {
        let mut effort_left = FRAMES_MAX;
        loop {
            let decoded = side.decode(usize::MAX);
            let effort = side.take_effort();
            effort_left = effort_left.saturating_sub(effort);
            match decoded {
                Decoded::Message(message) => {
                    self.note_message(side, &message);
                    if !side.push(message, true) {
                        self.see_to(side, Decoded::NoMemory);
                        return;
                    }
                }
                Decoded::Starved | Decoded::Full => return,
                decoded => {
                    self.see_to(side, decoded);
                    if side.is_over {
                        return;
                    }
                }
            }
            // What is compressed may stand for a thousand times as much: beyond the mark, or a turn, it counts as not here.
            if effort > 0 && (effort_left == 0 || self.budget(side, Goal::Mark) == 0) {
                return;
            }
        }
    }

    /// Sees to what was decoded beside messages.
    #[cold]
    #[inline(never)]
    pub(super) fn see_to(&self, side: &mut ReadSide, decoded: Decoded) {
        match decoded {
            Decoded::Ping => {
                side.received.pings += 1;
                self.log(log::TRACE, || "received a ping".to_owned());
                let mut control = self.control();
                if control.is_open() && control.peer_close.is_none() {
                    // Answered together when the input is used up, or when no further one can be kept. Who was told
                    // then sends them as soon as the socket takes them: a flood costs no look at it for each ping.
                    let were_all = control.has_all_pongs();
                    control.push_pong(side.decoder.control_payload());
                    let are_all = control.has_all_pongs();
                    drop(control);
                    side.has_pongs = !are_all;
                    if are_all && !were_all {
                        self.serve_posted();
                    }
                }
            }
            Decoded::Pong => {
                self.log(log::TRACE, || "received a pong".to_owned());
                self.handle_pong(side.decoder.control_payload());
            }
            Decoded::Close(code) => {
                self.handle_close_received(code, side.decoder.close_reason());
                side.finish();
            }
            Decoded::Fail(Failure { close_code, cause, detail }) => {
                side.finish();
                self.fail(Ending::new(cause.into(), detail), Some(close_code));
            }
            Decoded::NoMemory => {
                side.finish();
                self.fail(Ending::resource("The system refused memory for a message."), Some(1011));
            }
            Decoded::Message(_)
            | Decoded::Unremarkable
            | Decoded::Inflated
            | Decoded::Starved
            | Decoded::Full => {}
        }
    }

    /// TCP has ended or broke.
    fn see_to_end(&self, side: &mut ReadSide, error: Option<&std::io::Error>) {
        if side.opening.is_some() {
            self.handle_opening_ended(side, error);
        } else {
            self.handle_transport_ended(error);
        }
        side.finish();
        self.detach_socket(&mut self.control());
    }

    /// The internal thread drives: decodes and receives up to the mark, then leaves the socket to the poller.
    pub(super) fn drive_internally(&self, held: Reading<'_, ReadSide>) {
        let mut driving = Driving::new(self, held, false);
        if self.is_delivering() {
            // The message callback is the reader: what it is given it has to have asked for.
            driving.side().release_memory();
            driving.leave_as(true, false);
            self.run_callbacks();
            return;
        }
        let side = driving.side();
        let goal = self.internal_goal(side);
        let pumped = self.pump(side, goal, true);
        side.compact_queue();
        side.release_memory();
        if matches!(pumped, Pumped::Starved) && side.has_input() {
            // The turn has ended before the input: the next one, after others had theirs.
            self.runtime.take_over(self.key);
        }
        driving.leave_as(true, matches!(pumped, Pumped::Throttled));
    }

    /// What the internal thread pumps for: of a message that is taken in parts nobody waits for the whole.
    pub(super) fn internal_goal(&self, side: &ReadSide) -> Goal {
        if self.waiters.is_demanded(READABLE) && !side.is_parted() { Goal::Head } else { Goal::Mark }
    }

    /// After a failed send: reads what the peer has still said. False where another thread does.
    pub(super) fn drain_after_send_failed(&self) -> bool {
        let Some(mut driving) = self.try_own() else { return false };
        self.pump(driving.side(), Goal::Mark, true);
        driving.leave();
        true
    }
}

const _: () = assert!(MESSAGE_COST > 0, "a flood of empty messages has to reach the mark");
