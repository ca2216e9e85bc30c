//! Random bytes that a peer or a proxy must not be able to guess: frame masks and the handshake's key.
//!
//! Knows nothing of frames. Keys come from the system's generator, masks from ChaCha with such a key (a call of the system
//! costs more than framing a small message). No mask is given out twice, and none can be read from memory after it was
//! given out: what makes a batch is overwritten by it.

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::io;
use std::ptr;

use crate::fault;

/// Four blocks of ChaCha, which lie beside each stream's send buffer.
const WORDS: usize = 64;

/// The first words of a batch are the key of the next one.
const KEY_WORDS: usize = 8;

/// So many batches come of one key of the system's generator.
const BATCHES_PER_KEY: u32 = 256;

/// A mask before it is drawn and after it is used.
const NO_MASK: [u8; 4] = [0; 4];

/// The masks of one stream, drawn in batches.
pub struct Masks {
    /// Masks from `left` on are used and wiped.
    words: [[u8; 4]; WORDS],
    left: usize,
    /// The fork generation of the process that drew the batch.
    generation: u32,
    /// How many batches the key is still good for.
    batches: u32,
}

impl Masks {
    /// Draws nothing yet.
    pub const fn new() -> Masks {
        Masks { words: [NO_MASK; WORDS], left: KEY_WORDS, generation: 0, batches: 0 }
    }

    /// The next mask, for a process of fork generation `generation`. A batch of another generation is
    /// thrown away: parent and child would both use its masks.
    ///
    /// RFC 6455 §5.3: a fresh key for each frame, unpredictable, from a strong source of entropy.
    #[inline]
    pub fn next(&mut self, generation: u32) -> io::Result<[u8; 4]> {
        if self.left == KEY_WORDS || self.generation != generation {
            self.draw(generation)?;
        }
        self.left -= 1;
        let place = &mut self.words[self.left % WORDS];
        let mask = *place;
        // Volatile, or the compiler may drop a store that nothing reads.
        // SAFETY: a reference is valid for a write.
        unsafe { ptr::write_volatile(place, NO_MASK) };
        Ok(mask)
    }

    #[cold]
    #[inline(never)]
    fn draw(&mut self, generation: u32) -> io::Result<()> {
        let mut key = [0; 4 * KEY_WORDS];
        if self.batches == 0 || self.generation != generation {
            // First, so that a failing generator does not leave the old batch in use.
            (self.left, self.batches) = (KEY_WORDS, 0);
            fill(&mut key)?;
            self.batches = BATCHES_PER_KEY;
        } else {
            key.copy_from_slice(&self.words.as_flattened()[..4 * KEY_WORDS]);
        }
        // It wipes what it held when it is dropped.
        ChaCha12Rng::from_seed(key).fill_bytes(self.words.as_flattened_mut());
        self.batches -= 1;
        self.generation = generation;
        self.left = WORDS;
        wipe(&mut key);
        Ok(())
    }
}

fn wipe(key: &mut [u8; 4 * KEY_WORDS]) {
    // SAFETY: a reference is valid for a write.
    unsafe { ptr::write_volatile(key, [0; 4 * KEY_WORDS]) };
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

    const MASKS: usize = WORDS - KEY_WORDS;

    #[test]
    fn masks_do_not_repeat_within_or_across_batches_and_keys() {
        let mut masks = Masks::new();
        let mut seen = HashSet::new();
        let count = MASKS * (BATCHES_PER_KEY as usize + 3);
        for _ in 0..count {
            seen.insert(masks.next(0).unwrap());
        }
        // Of some 14,500 masks 0.02 pairs are equal by chance; three in one of a million runs.
        assert!(seen.len() + 2 >= count, "{} of {count} differ", seen.len());
    }

    #[test]
    fn a_batch_serves_as_many_frames_as_it_has_masks_and_a_key_as_many_batches() {
        let mut masks = Masks::new();
        for batch in (0..BATCHES_PER_KEY).rev().chain([BATCHES_PER_KEY - 1]) {
            masks.next(0).unwrap();
            assert_eq!((masks.left, masks.batches), (WORDS - 1, batch));
            let words = masks.words;
            for mask in words[KEY_WORDS..WORDS - 1].iter().rev() {
                assert_eq!(masks.next(0).unwrap(), *mask);
            }
            assert_eq!(masks.left, KEY_WORDS);
        }
    }

    #[test]
    fn used_masks_and_keys_cannot_be_read_later() {
        let mut masks = Masks::new();
        for used in 1..=MASKS {
            masks.next(0).unwrap();
            assert!(masks.words[WORDS - used..].iter().all(|mask| *mask == NO_MASK), "{used}");
        }
        let key = masks.words[..KEY_WORDS].to_vec();
        masks.next(0).unwrap();
        assert!(masks.words.iter().all(|word| !key.contains(word)), "the key of a batch is not in it");
        let mut key = [7; 4 * KEY_WORDS];
        wipe(&mut key);
        assert_eq!(key, [0; 4 * KEY_WORDS]);
    }

    #[test]
    fn another_generation_gets_none_of_the_batch_and_another_key() {
        let mut parent = Masks::new();
        parent.next(4).unwrap();
        let words = parent.words;
        let mut child = Masks { words, ..parent };
        let reused = (0..MASKS).filter(|_| words.contains(&child.next(5).unwrap())).count();
        // One by chance: once in a million runs.
        assert!(reused <= 1, "{reused}");
        assert_eq!((child.left, child.generation, child.batches), (KEY_WORDS, 5, BATCHES_PER_KEY - 1));
        assert_eq!(parent.next(4).unwrap(), words[WORDS - 2]);
        // What comes of the key that both have is the same, so it must not be used.
        (0..MASKS - 2).for_each(|_| drop(parent.next(4)));
        child = Masks { words: parent.words, ..parent };
        assert_ne!(child.next(5).unwrap(), parent.next(4).unwrap());
    }

    #[test]
    fn the_masks_of_a_key_are_those_of_chacha() {
        // RFC 8439 has twenty rounds; those of twelve are from draft-strombergsson-chacha-test-vectors-01, TC1.
        let mut masks = Masks { left: KEY_WORDS, batches: 1, ..Masks::new() };
        masks.next(0).unwrap();
        assert_eq!(masks.words.as_flattened()[..8], [0x9b, 0xf4, 0x9a, 0x6a, 0x07, 0x55, 0xf9, 0x53]);
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(handshake_nonce().unwrap(), handshake_nonce().unwrap());
        assert_ne!(handshake_nonce().unwrap(), [0; 16]);
    }
}
