//! A value that only the owner named in a word may touch: the word is lock, seat and flags at once.
//!
//! Owns the one unsafe idea of the thread protocol: the bits `OWNER` of the word are zero exactly while nobody holds
//! the value. It knows nothing of what the other bits mean; no change made here can set or clear the owner's bits
//! but by taking and releasing.

use crate::sync::{AtomicU64, Ordering, cell::UnsafeCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A word and the value that its owner bits guard.
#[derive(Debug)]
pub struct Seat<T, const OWNER: u64> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached only through `Held`, of which one at a time exists: `take` makes one only in the
// transition of the owner bits from zero, and they become zero only when that `Held` is given up (Release, read by
// the next `take` with Acquire). So the value moves between threads but is never shared: `T: Send` is enough.
unsafe impl<T: Send, const OWNER: u64> Sync for Seat<T, OWNER> {}

impl<T, const OWNER: u64> Seat<T, OWNER> {
    /// A free seat whose other bits start as `word` says.
    ///
    /// # Panics
    /// Where `word` names an owner.
    pub fn new(word: u64, value: T) -> Self {
        assert!(word & OWNER == 0, "a seat starts free");
        Self { word: AtomicU64::new(word), value: UnsafeCell::new(value) }
    }

    /// One whose word is any, an owner in it or none.
    #[cfg(test)]
    pub fn with(word: u64, value: T) -> Self {
        let seat = Self::new(word & !OWNER, value);
        if word & OWNER != 0 {
            std::mem::forget(seat.take(|free| Some(free | word & OWNER)));
        }
        seat
    }

    /// The word as it is now.
    #[inline]
    pub fn load(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    /// Sets bits that are no owner's; answers the word before.
    pub fn set(&self, bits: u64) -> u64 {
        assert!(bits & OWNER == 0, "owners come by take");
        self.word.fetch_or(bits, Ordering::AcqRel)
    }

    /// Clears bits that are no owner's; answers the word before.
    pub fn clear(&self, bits: u64) -> u64 {
        assert!(bits & OWNER == 0, "owners leave by release");
        self.word.fetch_and(!bits, Ordering::AcqRel)
    }

    /// Changes the word unless `change` answers None; Ok is the word before, Err the word that was refused.
    pub fn update(&self, mut change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        let mut word = self.load();
        loop {
            let Some(new) = change(word) else { return Err(word) };
            assert!((word ^ new) & OWNER == 0, "owners come and leave by take and release");
            match self.word.compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(word),
                Err(seen) => word = seen,
            }
        }
    }

    /// Takes the free seat: `change` answers the word with an owner in it, or None to refuse the word it is shown.
    #[inline]
    pub fn take(&self, mut change: impl FnMut(u64) -> Option<u64>) -> Result<Held<'_, T, OWNER>, u64> {
        let mut word = self.load();
        loop {
            let Some(new) = change(word) else { return Err(word) };
            assert!(word & OWNER == 0 && new & OWNER != 0, "only a free seat is taken");
            match self.word.compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(Held { seat: self, lends: PhantomData }),
                Err(seen) => word = seen,
            }
        }
    }
}

/// The right to the value of a seat.
#[derive(Debug)]
pub struct Held<'a, T, const OWNER: u64> {
    seat: &'a Seat<T, OWNER>,
    /// It lends the value out mutably: it is shared between threads only where that could be.
    lends: PhantomData<&'a mut T>,
}

impl<'a, T, const OWNER: u64> Held<'a, T, OWNER> {
    /// Gives the seat up with the word that `change` answers, or gets the value back where it answers None.
    /// Ok is the word before.
    #[inline(always)]
    pub fn release(self, mut change: impl FnMut(u64) -> Option<u64>) -> Result<u64, Self> {
        let mut word = self.seat.load();
        loop {
            let Some(new) = change(word) else { return Err(self) };
            assert!(new & OWNER == 0, "a release leaves the seat free");
            match self.seat.word.compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    std::mem::forget(self);
                    return Ok(word);
                }
                Err(seen) => word = seen,
            }
        }
    }
}

impl<T, const OWNER: u64> Deref for Held<'_, T, OWNER> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this `Held` is the only one of its seat (see `Seat`), and it is borrowed for as long as the value.
        unsafe { &*self.seat.value.with_mut(|value| value) }
    }
}

impl<T, const OWNER: u64> DerefMut for Held<'_, T, OWNER> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; this borrow of the `Held` is exclusive.
        unsafe { &mut *self.seat.value.with_mut(|value| value) }
    }
}

impl<T, const OWNER: u64> Drop for Held<'_, T, OWNER> {
    /// Only in unwinding, or where nothing is to be told to anybody.
    fn drop(&mut self) {
        self.seat.word.fetch_and(!OWNER, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Seat;

    #[test]
    fn a_taken_seat_is_refused_until_it_is_released() {
        let seat: Seat<u32, 1> = Seat::new(2, 7);
        let mut held = seat.take(|word| Some(word | 1)).unwrap();
        *held += 1;
        assert_eq!(seat.take(|word| (word & 1 == 0).then_some(word | 1)).err(), Some(3));
        assert_eq!(held.release(|word| Some((word & !1) | 4)).ok(), Some(3));
        assert_eq!(seat.load(), 6);
        assert_eq!(*seat.take(|word| Some(word | 1)).unwrap(), 8);
        assert_eq!(seat.load() & 1, 0, "a dropped right frees the seat");
    }

    #[test]
    #[should_panic(expected = "owners come by take")]
    fn no_other_call_makes_an_owner() {
        Seat::<(), 1>::new(0, ()).set(1);
    }
}
