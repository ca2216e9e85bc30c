//! Pings of our own: sent every so often, and a peer that shows no life after one fails the connection.
//!
//! Any byte that comes counts as life. The clock is read where a ping leaves and where time has come, never for a message.

use super::Stream;
use super::close_info::Ending;
use super::control::Control;
use super::read_word::THROTTLED;
use super::status::Cause;
use super::timeout::after_ms;
use crate::net::sys;
use crate::proto::closing::State;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Sent with the Close of a connection whose peer shows no life (RFC 6455 §7.4.1: an unexpected condition).
const CLOSE_CODE: u16 = 1011;

/// A ping on its way.
struct Outstanding {
    /// When it was given to the system; None: it waits behind other bytes.
    left_at: Option<Instant>,
    /// What had been received by then.
    received: u64,
}

/// The pings of one stream.
#[derive(Default)]
pub(super) struct Keepalive {
    /// When the next one is due.
    next: Option<Instant>,
    /// When the one on its way is to be looked at.
    look: Option<Instant>,
    outstanding: Option<Outstanding>,
    /// The holder of the write word is to frame one.
    pub is_due: bool,
    /// Counts them; the payload of each, by which its pong is known.
    pub sent: u64,
    pub pongs_received: u64,
    pub round_trip_us: u64,
}

impl Keepalive {
    /// When something is to be seen to.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.next, self.look) {
            (Some(next), Some(look)) => Some(next.min(look)),
            (next, look) => next.or(look),
        }
    }

    /// The payload of the next ping.
    pub fn begin_ping(&mut self) -> [u8; 8] {
        self.is_due = false;
        self.sent += 1;
        self.sent.to_be_bytes()
    }
}

impl Stream {
    /// The stream is open: the first ping is due after one interval.
    pub(super) fn start_pinging(&self, control: &mut Control) {
        control.keepalive.next = after_ms(self.limits.ping_interval_ms);
        if let Some(at) = control.keepalive.next {
            self.runtime.wake_at(self.key, at);
        }
    }

    /// A ping was framed (by the holder of the write word); `left`: nothing of it waits any more.
    pub(super) fn note_ping(&self, control: &mut Control, left: bool) {
        let received = self.life();
        let left_at = left.then(Instant::now);
        control.keepalive.outstanding = Some(Outstanding { left_at, received });
        self.look_at_ping(control, left_at);
    }

    /// Asks for a look at the ping on its way, at the end of the peer's time.
    fn look_at_ping(&self, control: &mut Control, since: Option<Instant>) {
        let timeout_ms = self.limits.pong_timeout_ms;
        control.keepalive.look = match since {
            _ if timeout_ms == 0 => None,
            Some(since) => since.checked_add(Duration::from_millis(timeout_ms)),
            None => after_ms(timeout_ms),
        };
        if let Some(at) = control.keepalive.look {
            self.runtime.wake_at(self.key, at);
        }
    }

    /// A pong was decoded (by the owner of the read word).
    pub(super) fn handle_pong(&self, payload: &[u8]) {
        let mut control = self.control();
        let keepalive = &mut control.keepalive;
        keepalive.pongs_received += 1;
        // RFC 6455 §5.5.3: a pong nobody asked for is no answer; it counts as life like any byte.
        if payload != keepalive.sent.to_be_bytes() {
            return;
        }
        let left_at = keepalive.outstanding.take().and_then(|ping| ping.left_at);
        keepalive.look = None;
        if let Some(left_at) = left_at {
            let us = u64::try_from(left_at.elapsed().as_micros()).unwrap_or(u64::MAX);
            keepalive.round_trip_us = us.max(1);
        }
    }

    /// Time has come (on the internal thread): a ping is due, or the peer's time for one is over. Some: the
    /// connection fails with it.
    pub(super) fn keep_alive(&self, control: &mut Control, now: Instant) -> Option<(Ending, Option<u16>)> {
        if control.state != State::Open {
            control.keepalive.next = None;
            control.keepalive.look = None;
            return None;
        }
        if control.keepalive.look.is_some_and(|at| at <= now) {
            control.keepalive.look = None;
            if let Some(ping) = control.keepalive.outstanding.take() {
                let has_life = self.life() != ping.received;
                if !has_life && !self.is_at_a_stand(control) && ping.left_at.is_some() {
                    let detail = "The peer showed no life within the pong timeout.";
                    return Some((Ending::new(Cause::Timeout, detail), Some(CLOSE_CODE)));
                }
                if !has_life {
                    // The peer's time begins anew: it could not have shown anything.
                    control.keepalive.outstanding = Some(Outstanding { left_at: Some(now), ..ping });
                    self.look_at_ping(control, Some(now));
                }
            }
        }
        if control.keepalive.next.is_some_and(|at| at <= now) {
            control.keepalive.next = now.checked_add(Duration::from_millis(self.limits.ping_interval_ms));
            let has_life =
                control.keepalive.outstanding.as_ref().is_none_or(|ping| self.life() != ping.received);
            // One at a time: what the last one asks is not answered yet.
            control.keepalive.is_due = has_life;
        }
        None
    }

    /// Bytes that have come, also those that TLS has not made anything of.
    fn life(&self) -> u64 {
        let raw =
            self.transport.get().and_then(Weak::upgrade).map_or(0, |transport| transport.raw_received());
        self.wire_received.load(Ordering::Relaxed) + raw
    }

    /// Whether the peer's life could not be seen: reading has stopped at the mark, the ping is behind unsent bytes, or
    /// something has come that nobody has received, as where the whole process stood still.
    fn is_at_a_stand(&self, control: &Control) -> bool {
        let is_waiting = control.socket.is_some_and(|socket| {
            let mut descriptors = [sys::poll_fd(socket, true, false)];
            sys::poll(&mut descriptors, 0).is_ok() && descriptors[0].revents != 0
        });
        is_waiting || self.read.load() & THROTTLED != 0 || self.unsent.load(Ordering::Relaxed) > 0
    }
}
