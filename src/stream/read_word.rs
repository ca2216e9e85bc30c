//! The read word: lock, seat and pin of the reading half of one stream, and how it is watched.
//!
//! Only the owner touches the decoder, the input and the queue, or receives. While nobody owns it, the word has
//! ARMED, LINGER or DETACHED, or an event is on its way to the internal thread: a stream is never unwatched.

use crate::memory::seat::{Held, Seat};

/// Who has the reading half.
pub const OWNER: u64 = 0b11;
/// A thread of the program has it.
pub const CALLER: u64 = 1;
/// The internal thread has it.
pub const INTERNAL: u64 = 2;
/// A read call is inside; a second one is refused.
pub const READER: u64 = 1 << 2;
/// Somebody waits for the owner's progress.
pub const WAITER: u64 = 1 << 3;
/// The poller watches the socket, or is about to.
pub const ARMED: u64 = 1 << 4;
/// The stream is on the sweep list.
pub const LINGER: u64 = 1 << 5;
/// Reading has stopped at the mark; ARMED is then for errors only.
pub const THROTTLED: u64 = 1 << 6;
/// The queue of decoded messages is not empty.
pub const QUEUED: u64 = 1 << 7;
/// The program wants no further message.
pub const CANCELLED: u64 = 1 << 8;
/// The stream was freed.
pub const FREED: u64 = 1 << 9;
/// `closed` has settled.
pub const ENDED: u64 = 1 << 10;
/// Not open yet.
pub const CONNECTING: u64 = 1 << 11;
/// There is no socket, not yet or no longer: nothing to watch.
pub const DETACHED: u64 = 1 << 12;
/// Messages that arrive are dropped: the closing handshake was started from this side.
pub const DISCARD: u64 = 1 << 13;
/// An event loop receives by its descriptor: whoever leaves something behind that the socket does not show says so there.
pub const DESCRIPTOR: u64 = 1 << 14;
/// The poller knows the socket, or is about to: only the internal thread lets it go then.
pub const WATCHED: u64 = 1 << 15;
/// What one acquisition that drives adds to the counter in the upper bits, by which a sweep sees that somebody was there.
pub const COUNT: u64 = 1 << 16;

/// States in which a read takes its longer way.
const SLOW: u64 = OWNER | READER | CANCELLED | FREED | ENDED | CONNECTING | DISCARD;

/// States in which an owner that leaves has something to do.
const LOUD: u64 = WAITER | THROTTLED | CANCELLED | FREED | ENDED | DISCARD | DESCRIPTOR;

/// The reading half's word with what it guards.
#[derive(Debug)]
pub struct ReadWord<T> {
    seat: Seat<T, OWNER>,
}

/// The right to the reading half.
pub type Reading<'a, T> = Held<'a, T, OWNER>;

/// What the owner says when it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// The read call that was inside leaves with it.
    pub reader: bool,
    /// The queue is not empty.
    pub queued: bool,
    /// Reading has stopped at the mark.
    pub throttled: bool,
    /// The poller is about to watch the socket (said by the internal thread only).
    pub armed: bool,
    /// The socket is gone.
    pub detached: bool,
    /// A caller leaves a chunk: the poller reports no more what lies in it, so the sweep has to look.
    pub pending: bool,
}

/// What is left to do for the owner that has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Put the stream on the sweep list.
    pub list: bool,
    /// Wake those who waited for progress.
    pub wake: bool,
    /// `closed` has settled: the socket is to be let go.
    pub ended: bool,
    /// A caller leaves, and the poller knows the socket.
    pub watched: bool,
    /// The program wants no further message.
    pub cancelled: bool,
    /// An event loop is to be told of what is left behind.
    pub descriptor: bool,
}

impl<T> ReadWord<T> {
    /// The word of a stream that is not open and has no socket.
    pub fn new(value: T) -> Self {
        Self { seat: Seat::new(CONNECTING | DETACHED, value) }
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

    /// A read call takes seat and ownership at once where nothing is special; else the word that speaks against it.
    #[inline]
    pub fn enter(&self) -> Result<Reading<'_, T>, u64> {
        self.seat.take(|word| (word & SLOW == 0).then(|| (word | CALLER | READER).wrapping_add(COUNT)))
    }

    /// A read call takes the seat without the ownership; refused with the word while another one has it.
    pub fn sit(&self) -> Result<u64, u64> {
        self.seat.update(|word| (word & READER == 0).then_some(word | READER))
    }

    /// The read call leaves its seat without having the ownership.
    pub fn rise(&self) {
        self.seat.clear(READER);
    }

    /// Takes the ownership for `who` where nobody has it; else the word that names the owner.
    pub fn own(&self, who: u64) -> Result<Reading<'_, T>, u64> {
        self.seat.take(|word| (word & OWNER == 0).then(|| (word | who).wrapping_add(COUNT)))
    }

    /// Takes the ownership for a thread of the program that looks and does not drive: it keeps no sweep from taking over.
    pub fn own_to_look(&self) -> Result<Reading<'_, T>, u64> {
        self.seat.take(|word| (word & OWNER == 0).then_some(word | CALLER))
    }

    /// The internal thread has a turn at a sweep: the stream stays on the list, and the counter says what callers did.
    pub fn own_in_passing(&self) -> Result<Reading<'_, T>, u64> {
        self.seat.take(|word| (word & OWNER == 0).then_some(word | INTERNAL))
    }

    /// The internal thread takes over after an event: ARMED is gone whoever has the ownership.
    pub fn own_after_event(&self) -> Result<Reading<'_, T>, u64> {
        self.own_and_clear(ARMED)
    }

    /// The internal thread takes over at a sweep: the stream leaves the list whoever has the ownership.
    pub fn own_after_sweep(&self) -> Result<Reading<'_, T>, u64> {
        self.own_and_clear(LINGER)
    }

    fn own_and_clear(&self, bit: u64) -> Result<Reading<'_, T>, u64> {
        loop {
            match self
                .seat
                .take(|word| (word & OWNER == 0).then(|| ((word & !bit) | INTERNAL).wrapping_add(COUNT)))
            {
                Ok(held) => return Ok(held),
                // The bit goes in the same step that sees the owner: that owner's release then lists the stream.
                Err(_) => {
                    if let Ok(word) = self.seat.update(|word| (word & OWNER != 0).then_some(word & !bit)) {
                        return Err(word);
                    }
                }
            }
        }
    }

    /// Says that somebody waits. Look once more for what you wait for after this, then sleep.
    pub fn wait(&self) -> u64 {
        self.seat.set(WAITER)
    }

    /// An event came while an event loop receives by its descriptor: the stream goes on the sweep list instead of being
    /// taken over, so that the loop has its turn first. Answers whether it has to be put there; where somebody owns it,
    /// that owner's release sees to it.
    pub fn linger_after_event(&self) -> bool {
        let lingers = |word: u64| Some((word & !ARMED) | if word & OWNER == 0 { LINGER } else { 0 });
        self.seat.update(lingers).is_ok_and(|word| word & (OWNER | LINGER) == 0)
    }

    /// No event loop receives any more.
    pub fn unwatch(&self) {
        self.seat.clear(DESCRIPTOR);
    }

    /// Sets state bits (CANCELLED, FREED, ENDED, DISCARD, DESCRIPTOR); answers the word before.
    pub fn mark(&self, bits: u64) -> u64 {
        debug_assert!(bits & !(CANCELLED | FREED | ENDED | DISCARD | DETACHED | DESCRIPTOR) == 0);
        self.seat.set(bits)
    }

    /// The handshake is done.
    pub fn open(&self) {
        self.seat.clear(CONNECTING);
    }

    /// A socket is there from now on; the caller of this must see to it that it gets watched.
    pub fn attach(&self) {
        self.seat.clear(DETACHED);
    }

    /// The poller is about to watch the socket for room; false: it is gone.
    pub fn watch(&self) -> bool {
        self.seat.set(WATCHED) & DETACHED == 0
    }

    /// The internal thread lets go of the socket in the poller; who leaves after this need not ask for it.
    pub fn forget(&self) {
        self.seat.clear(WATCHED);
    }

    /// The read call leaves with ownership and seat where nothing is left to do for anybody; else it keeps them and
    /// has to `leave`. Nothing of the stream may be touched after it has left so.
    #[inline]
    pub fn leave_quietly<'a>(
        &'a self,
        held: Reading<'a, T>,
        queued: bool,
        pending: bool,
    ) -> Result<(), Reading<'a, T>> {
        let queued = if queued { QUEUED } else { 0 };
        let watched = if pending { LINGER } else { ARMED | LINGER };
        held.release(|word| {
            let quiet = word & LOUD == 0 && word & watched != 0;
            quiet.then_some((word & !(OWNER | READER | QUEUED)) | queued)
        })
        .map(drop)
    }

    /// Leaves the reading half.
    pub fn leave(&self, held: Reading<'_, T>, leave: Leave) -> Left {
        let mut new = 0;
        let released = held.release(|word| {
            new = after_leave(word, leave);
            Some(new)
        });
        match released {
            Ok(word) => Left {
                list: new & !word & LINGER != 0,
                wake: word & WAITER != 0,
                ended: word & ENDED != 0,
                watched: word & WATCHED != 0 && word & OWNER == CALLER,
                cancelled: word & CANCELLED != 0,
                descriptor: word & DESCRIPTOR != 0,
            },
            Err(_) => unreachable!("leaving is never refused"),
        }
    }
}

fn after_leave(word: u64, leave: Leave) -> u64 {
    let mut new = word & !(OWNER | WAITER | QUEUED);
    if leave.reader {
        new &= !READER;
    }
    if leave.queued {
        new |= QUEUED;
    }
    // After a local close reading goes on past any mark.
    if leave.throttled && word & DISCARD == 0 {
        new |= THROTTLED;
    } else if new & THROTTLED != 0 {
        // It was armed for errors only: for what can be received now it is not watched.
        new &= !(THROTTLED | ARMED);
    }
    if leave.armed {
        new |= ARMED | WATCHED;
    }
    if leave.detached {
        new |= DETACHED;
    }
    let watched = if leave.pending && new & THROTTLED == 0 { LINGER } else { ARMED | LINGER };
    if new & (watched | DETACHED) == 0 {
        new |= LINGER;
    }
    new
}
