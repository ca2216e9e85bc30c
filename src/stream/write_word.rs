//! The write word: lock and seat of the writing half of one stream.
//!
//! The holder frames, masks and sends, and holds it for work that does not wait. A thread that only has a control
//! frame posts it and sets CTRL; whoever unlocks sees CTRL in the same word, so no frame is stranded.

use crate::memory::seat::{Held, Seat};

/// Somebody frames or sends.
pub const LOCKED: u64 = 1;
/// A write call is inside; a second one is refused.
pub const WRITER: u64 = 1 << 1;
/// Something was posted that the holder has to see to.
pub const CTRL: u64 = 1 << 2;
/// Somebody waits for room or for the end of what is unsent.
pub const WAITERS: u64 = 1 << 3;
/// The internal thread sends the rest: the poller watches for room in the socket, or is about to.
pub const OUTARMED: u64 = 1 << 4;
/// The stream was freed.
pub const FREED: u64 = 1 << 5;
/// The half has ended for the program.
pub const ENDED: u64 = 1 << 6;
/// Not open yet.
pub const CONNECTING: u64 = 1 << 7;
/// The stream is on the sweep list for what MORE holds back.
pub const HELD: u64 = 1 << 8;

/// States in which a write takes its longer way.
const SLOW: u64 = LOCKED | WRITER | FREED | ENDED | CONNECTING;

/// States in which a holder that unlocks has something to do.
const LOUD: u64 = CTRL | WAITERS | FREED | ENDED;

/// The writing half's word with what it guards.
#[derive(Debug)]
pub struct WriteWord<T> {
    seat: Seat<T, LOCKED>,
}

/// The right to the writing half.
pub type Writing<'a, T> = Held<'a, T, LOCKED>;

/// What the holder says when it unlocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlock {
    /// The write call that was inside leaves with it.
    pub writer: bool,
    /// Bytes are left that the socket did not take, and nobody inside waits to send them.
    pub out: bool,
    /// Bytes are held back by MORE.
    pub held: bool,
    /// There is room, or the half has ended: those who wait are to be woken.
    pub wake: bool,
}

/// What is left to do for the holder that has unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlocked {
    /// Tell the internal thread to watch for room in the socket.
    pub arm: bool,
    /// Put the stream on the sweep list.
    pub list: bool,
    /// Wake those who waited.
    pub wake: bool,
}

impl<T> WriteWord<T> {
    /// The word of a stream that is not open.
    pub fn new(value: T) -> Self {
        Self { seat: Seat::new(CONNECTING, value) }
    }

    /// Any word.
    #[cfg(test)]
    pub fn with(word: u64, value: T) -> Self {
        Self { seat: Seat::with(word, value) }
    }

    /// The word as it is now.
    #[inline]
    pub fn load(&self) -> u64 {
        self.seat.load()
    }

    /// A write call takes seat and lock at once where nothing is special; else the word that speaks against it.
    #[inline]
    pub fn enter(&self) -> Result<Writing<'_, T>, u64> {
        self.seat.take(|word| (word & SLOW == 0).then_some(word | LOCKED | WRITER))
    }

    /// A write call takes the seat without the lock; refused with the word while another one has it.
    pub fn sit(&self) -> Result<u64, u64> {
        self.seat.update(|word| (word & WRITER == 0).then_some(word | WRITER))
    }

    /// The write call leaves its seat without having the lock.
    pub fn rise(&self) {
        self.seat.clear(WRITER);
    }

    /// Takes the lock where nobody has it.
    pub fn lock(&self) -> Result<Writing<'_, T>, u64> {
        self.seat.take(|word| (word & LOCKED == 0).then_some(word | LOCKED))
    }

    /// Says that something was posted; the lock where nobody has it, for the poster to see to it itself.
    pub fn post(&self) -> Option<Writing<'_, T>> {
        if self.seat.set(CTRL) & LOCKED != 0 {
            return None;
        }
        self.lock().ok()
    }

    /// Says that somebody waits for room. Look once more after this, then sleep.
    pub fn wait(&self) -> u64 {
        self.seat.set(WAITERS)
    }

    /// Sets state bits (FREED, ENDED); answers the word before.
    pub fn mark(&self, bits: u64) -> u64 {
        debug_assert!(bits & !(FREED | ENDED) == 0);
        self.seat.set(bits)
    }

    /// The handshake is done.
    pub fn open(&self) {
        self.seat.clear(CONNECTING);
    }

    /// An event came: the poller no longer watches for room.
    pub fn disarm(&self) {
        self.seat.clear(OUTARMED);
    }

    /// The stream has left the sweep list.
    pub fn unlist(&self) {
        self.seat.clear(HELD);
    }

    /// The write call unlocks and leaves its seat where nothing is left to do for anybody; else it keeps both and has
    /// to `unlock`. Nothing of the stream may be touched after it has left so.
    #[inline(always)]
    pub fn unlock_quietly<'a>(
        &'a self,
        held: Writing<'a, T>,
        out: bool,
        held_back: bool,
    ) -> Result<(), Writing<'a, T>> {
        held.release(|word| {
            let seen_to = (!out || word & OUTARMED != 0) && (!held_back || word & HELD != 0);
            let quiet = word & LOUD == 0 && seen_to;
            quiet.then_some(word & !(LOCKED | WRITER))
        })
        .map(drop)
    }

    /// Unlocks, or gets the right back where something was posted meanwhile: see to it, then unlock again.
    pub fn unlock<'a>(&'a self, held: Writing<'a, T>, unlock: Unlock) -> Result<Unlocked, Writing<'a, T>> {
        let mut new = 0;
        let released = held.release(|word| {
            if word & CTRL != 0 {
                return None;
            }
            new = after_unlock(word, unlock);
            Some(new)
        });
        match released {
            Ok(word) => Ok(Unlocked {
                arm: new & !word & OUTARMED != 0,
                list: new & !word & HELD != 0,
                wake: word & !new & WAITERS != 0,
            }),
            Err(held) => {
                // Before the holder looks at what was posted: a later post sets it again.
                self.seat.clear(CTRL);
                Err(held)
            }
        }
    }
}

fn after_unlock(word: u64, unlock: Unlock) -> u64 {
    let mut new = word & !LOCKED;
    if unlock.writer {
        new &= !WRITER;
    }
    if unlock.out {
        new |= OUTARMED;
    }
    if unlock.held {
        new |= HELD;
    }
    if unlock.wake {
        new &= !WAITERS;
    }
    new
}
