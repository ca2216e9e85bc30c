//! Bytes in a row, appended behind and consumed in front. Nothing of it is uninitialised, so that what fills it needs
//! no unsafe code; it keeps its memory until `release`.

use std::io::{ErrorKind, Result};

#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    head: usize,
    end: usize,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.end - self.head
    }

    pub fn is_empty(&self) -> bool {
        self.head == self.end
    }

    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.head..self.end]
    }

    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.head..self.end]
    }

    /// The place behind what is filled, at least so large; fails where the system refuses memory.
    pub fn spare(&mut self, size_min: usize) -> Result<&mut [u8]> {
        if self.bytes.len() - self.end < size_min && self.head > 0 {
            self.bytes.copy_within(self.head..self.end, 0);
            self.end -= self.head;
            self.head = 0;
        }
        let wanted = self.end + size_min;
        if self.bytes.len() < wanted {
            let more = wanted - self.bytes.len();
            self.bytes.try_reserve_exact(more).map_err(|_| ErrorKind::OutOfMemory)?;
            self.bytes.resize(wanted, 0);
        }
        Ok(&mut self.bytes[self.end..])
    }

    /// The front of the spare place has been filled.
    pub fn extend(&mut self, size: usize) {
        assert!(size <= self.bytes.len() - self.end, "more bytes than there was place for");
        self.end += size;
    }

    pub fn append(&mut self, new: &[u8]) -> Result<()> {
        self.spare(new.len())?[..new.len()].copy_from_slice(new);
        self.extend(new.len());
        Ok(())
    }

    pub fn consume(&mut self, size: usize) {
        assert!(size <= self.len(), "more bytes than there are");
        self.head += size;
        if self.is_empty() {
            self.head = 0;
            self.end = 0;
        }
    }

    /// Bytes of memory that it has.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives the memory back if nothing is in it.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}
