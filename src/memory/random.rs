//! Random bytes that a peer or a proxy must not be able to guess: frame masks and the handshake's key.
//!
//! Knows nothing of frames. Everything comes from the system's generator, no key is given out twice, and
//! none can be read from memory after it was given out.

use std::io;
use std::ptr;

use crate::fault;

/// Keys per call of the system's generator: what costs a system call per message costs a sixty-fourth of
/// one, and a batch is still small enough (four cache lines) to lie beside each stream's send buffer.
const KEYS_PER_BATCH: usize = 64;

/// A key before it is drawn and after it is used.
const NO_KEY: [u8; 4] = [0; 4];

/// The masks of one stream, drawn in batches.
pub struct Masks {
    /// Keys from `left` on are used and wiped.
    keys: [[u8; 4]; KEYS_PER_BATCH],
    left: usize,
    /// The fork generation of the process that drew the batch.
    generation: u32,
}

impl Masks {
    /// Draws nothing yet.
    pub const fn new() -> Masks {
        Masks { keys: [NO_KEY; KEYS_PER_BATCH], left: 0, generation: 0 }
    }

    /// The next mask, for a process of fork generation `generation`. A batch of another generation is
    /// thrown away: parent and child would both use its keys.
    ///
    /// RFC 6455 §5.3: a fresh key for each frame, unpredictable, from a strong source of entropy.
    #[inline]
    pub fn next(&mut self, generation: u32) -> io::Result<[u8; 4]> {
        if self.left == 0 || self.generation != generation {
            self.draw(generation)?;
        }
        self.left -= 1;
        let place = &mut self.keys[self.left % KEYS_PER_BATCH];
        let key = *place;
        // Volatile, or the compiler may drop a store that nothing reads.
        // SAFETY: a reference is valid for a write.
        unsafe { ptr::write_volatile(place, NO_KEY) };
        Ok(key)
    }

    #[cold]
    #[inline(never)]
    fn draw(&mut self, generation: u32) -> io::Result<()> {
        // First, so that a failing generator does not leave the old batch in use.
        self.left = 0;
        fill(self.keys.as_flattened_mut())?;
        self.generation = generation;
        self.left = KEYS_PER_BATCH;
        Ok(())
    }
}

impl Default for Masks {
    fn default() -> Masks {
        Masks::new()
    }
}

/// RFC 6455 §4.1 item 7: sixteen bytes chosen at random for each connection, before their base64.
pub fn handshake_nonce() -> io::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    fill(&mut nonce)?;
    Ok(nonce)
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    fault::point("memory.random");
    if fault::fails("memory.random") {
        return Err(io::ErrorKind::Other.into());
    }
    getrandom::fill(bytes).map_err(|error| match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::ErrorKind::Other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn masks_do_not_repeat_within_or_across_batches() {
        let mut masks = Masks::new();
        let mut seen = HashSet::new();
        let count = 3 * KEYS_PER_BATCH + 1;
        for _ in 0..count {
            seen.insert(masks.next(0).unwrap());
        }
        // Two equal ones among 193 by chance: once in 230,000 runs; three pairs never.
        assert!(seen.len() + 2 >= count, "{} of {count} differ", seen.len());
    }

    #[test]
    fn a_batch_serves_as_many_frames_as_it_has_keys() {
        let mut masks = Masks::new();
        masks.next(0).unwrap();
        let batch = masks.keys;
        for key in batch[..KEYS_PER_BATCH - 1].iter().rev() {
            assert_eq!(masks.next(0).unwrap(), *key);
        }
        assert_eq!(masks.left, 0);
        masks.next(0).unwrap();
        assert_eq!(masks.left, KEYS_PER_BATCH - 1);
    }

    #[test]
    fn used_keys_cannot_be_read_later() {
        let mut masks = Masks::new();
        for used in 1..=KEYS_PER_BATCH {
            masks.next(0).unwrap();
            assert!(masks.keys[KEYS_PER_BATCH - used..].iter().all(|key| *key == NO_KEY), "{used}");
        }
    }

    #[test]
    fn another_generation_gets_none_of_the_batch() {
        let mut parent = Masks::new();
        parent.next(4).unwrap();
        let batch = parent.keys;
        let mut child = Masks { keys: parent.keys, left: parent.left, generation: parent.generation };
        let reused = (0..KEYS_PER_BATCH).filter(|_| batch.contains(&child.next(5).unwrap())).count();
        // One by chance: once in a million runs.
        assert!(reused <= 1, "{reused}");
        assert_eq!((child.left, child.generation), (0, 5));
        assert_eq!(parent.next(4).unwrap(), batch[KEYS_PER_BATCH - 2]);
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(handshake_nonce().unwrap(), handshake_nonce().unwrap());
        assert_ne!(handshake_nonce().unwrap(), [0; 16]);
    }
}
