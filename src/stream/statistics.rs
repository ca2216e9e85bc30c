//! What a stream has done so far.
//!
//! Each half counts in memory of its own, without atomics; who asks takes both words for a moment, or takes what an owner
//! that sleeps has noted.

use super::Stream;
use super::read::Patience;
use super::read_side::{ReadSide, Received};
use super::serve::Locked;
use super::status::Status;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Counters of a stream since it was opened, in the words of `wsstream_statistics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the C structure, which documents them")]
pub struct Statistics {
    pub messages_received: u64,
    pub messages_sent: u64,
    pub payload_received: u64,
    pub payload_sent: u64,
    pub wire_received: u64,
    pub wire_sent: u64,
    pub unread_messages: u64,
    pub unread: u64,
    pub unsent: u64,
    pub pings_received: u64,
    pub pings_sent: u64,
    pub pongs_received: u64,
    pub round_trip_us: u64,
}

/// What the owner of the read word has counted, for others.
#[derive(Debug, Default)]
pub(super) struct Noted {
    received: Received,
    unread_messages: usize,
    unread: usize,
}

impl Stream {
    /// `wsstream_statistics_get`.
    pub fn statistics(&self) -> Result<Statistics, Status> {
        let _inside = self.inside();
        if self.is_freed() {
            return Err(Status::State);
        }
        let mut patience = Patience::default();
        loop {
            if let Some(mut driving) = self.try_look() {
                self.note_statistics(driving.side());
                driving.leave();
                break;
            }
            // Before it sleeps the owner notes what it has.
            if !self.is_at_work(self.read.load()) || !patience.outwaits() {
                break;
            }
        }
        let mut locked = Locked::new(self, self.lock_write(), false);
        let sent = locked.side().sent;
        let unsent = locked.side().unsent();
        locked.unlock(false);
        let control = self.control();
        let keepalive = &control.keepalive;
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Statistics {
            messages_received: noted.received.messages,
            payload_received: noted.received.payload,
            pings_received: noted.received.pings,
            unread_messages: noted.unread_messages as u64,
            unread: noted.unread as u64,
            messages_sent: sent.messages,
            payload_sent: sent.payload,
            wire_sent: sent.wire,
            unsent: unsent as u64,
            wire_received: self.wire_received.load(Ordering::Relaxed),
            pings_sent: keepalive.sent,
            pongs_received: keepalive.pongs_received,
            round_trip_us: keepalive.round_trip_us,
        })
    }

    /// The owner of the read word is about to sleep: what it has counted is for anybody from now on.
    pub(super) fn note_statistics(&self, side: &ReadSide) {
        let Ok(mut noted) = self.noted.try_lock() else { return };
        let (unread_messages, unread) = side.unread();
        *noted = Noted { received: side.received, unread_messages, unread };
    }
}
