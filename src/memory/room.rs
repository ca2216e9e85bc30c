//! Where received bytes go: the tail of a chunk, or memory that a caller lends for the length of a call.
//!
//! Refuses to know what the bytes mean. Lent memory is read by nobody but through `filled`, which ends where filling did.

use super::chunk::{Chunk, Source};
use std::io;
use std::mem::MaybeUninit;

/// Room for bytes, filled from its front.
pub trait Room {
    /// Bytes in it.
    fn filled_size(&self) -> usize;

    /// Bytes that still fit.
    fn spare(&self) -> usize;

    /// Copies `new` behind what is there.
    ///
    /// # Panics
    ///
    /// When it does not fit.
    fn append(&mut self, new: &[u8]);

    /// Lets `source` fill up to `at_most` bytes of what is spare; there must be some, as `Ok(0)` is the source's end.
    fn fill_from(&mut self, source: &mut dyn Source, at_most: usize) -> io::Result<usize>;
}

impl Room for Chunk {
    #[inline]
    fn filled_size(&self) -> usize {
        self.len()
    }

    #[inline]
    fn spare(&self) -> usize {
        Chunk::spare(self)
    }

    #[inline]
    fn append(&mut self, new: &[u8]) {
        Chunk::append(self, new);
    }

    #[inline]
    fn fill_from(&mut self, source: &mut dyn Source, at_most: usize) -> io::Result<usize> {
        Chunk::fill_from(self, source, at_most)
    }
}

/// Memory of a caller.
pub struct Loan<'a> {
    bytes: &'a mut [MaybeUninit<u8>],
    /// So many of them are initialised.
    len: usize,
}

impl<'a> Loan<'a> {
    /// Nothing of it is filled yet.
    #[must_use]
    pub fn new(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Loan { bytes, len: 0 }
    }

    /// What was filled.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        // SAFETY: `append` and `fill_from` have initialised the first `len` bytes and nobody takes that back.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len) }
    }
}

impl Room for Loan<'_> {
    fn filled_size(&self) -> usize {
        self.len
    }

    fn spare(&self) -> usize {
        self.bytes.len() - self.len
    }

    fn append(&mut self, mut new: &[u8]) {
        assert!(new.len() <= self.spare(), "more bytes than were lent room for");
        let filled = new.fill(&mut self.bytes[self.len..]);
        self.len += filled.unwrap_or(0);
    }

    fn fill_from(&mut self, source: &mut dyn Source, at_most: usize) -> io::Result<usize> {
        let size = self.spare().min(at_most);
        debug_assert!(size > 0, "an empty tail would look like the end of the source");
        let filled = source.fill(&mut self.bytes[self.len..][..size])?;
        assert!(filled <= size, "a source reports more than it was given");
        self.len += filled;
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn lent_memory_is_filled_from_its_front_up_to_what_was_asked_for() {
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut lent = Loan::new(&mut memory);
        assert_eq!(lent.fill_from(&mut b"abcdef".as_slice(), 4).unwrap(), 4);
        lent.append(b"xy");
        assert_eq!((lent.filled(), lent.filled_size(), lent.spare()), (b"abcdxy".as_slice(), 6, 2));
        assert_eq!(lent.fill_from(&mut b"0123".as_slice(), 9).unwrap(), 2);
        assert_eq!((lent.filled(), lent.spare()), (b"abcdxy01".as_slice(), 0));
    }

    #[test]
    fn appending_more_than_was_lent_panics_and_writes_nothing() {
        let mut memory = [MaybeUninit::uninit(); 2];
        let mut lent = Loan::new(&mut memory);
        assert!(catch_unwind(AssertUnwindSafe(|| lent.append(b"abc"))).is_err());
        assert_eq!(lent.filled(), b"");
    }
}
