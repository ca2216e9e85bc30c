//! The process-wide pool of chunks in a few sizes, so that a busy process does not go to the allocator
//! for every read and an idle stream can give its buffer away.
//!
//! Refuses to know who takes and why. Nobody ever waits here: a shelf that is locked, by another
//! thread or for ever in the child of a fork, counts as empty to takers and as full to givers.

use std::sync::{Mutex, MutexGuard, TryLockError};

use super::chunk::{Block, Chunk, is_refused};

/// A size of chunks and how many of them may lie unused.
struct Class {
    bytes: usize,
    count_max: usize,
}

/// Smallest first. Each class has its own share, so that a burst of one size cannot push out the others;
/// together they keep 2 MiB at most, about one processor's second-level cache: what lies longer comes back cold
/// and is worth no more than fresh memory, and a process keeps no more than this after a burst.
const CLASSES: [Class; 4] = [
    // A page: streams with small messages, whose reads seldom find more.
    Class { bytes: 4 << 10, count_max: 63 },
    // The most plaintext one TLS record carries.
    Class { bytes: 16 << 10, count_max: 32 },
    // A fast stream: beyond this the price of the system call no longer shows in the price of a byte.
    Class { bytes: 64 << 10, count_max: 8 },
    // Large messages, and chunks of several with their headers. Allocators map and unmap such sizes, page faults included,
    // unless they are kept.
    Class { bytes: 257 << 10, count_max: 3 },
];

const PLACES: usize = 64;

/// The unused chunks of one class; last in, first out, because the last one is still in the caches.
struct Shelf {
    blocks: [Option<Block>; PLACES],
    count: usize,
}

impl Shelf {
    const fn new() -> Mutex<Shelf> {
        Mutex::new(Shelf { blocks: [const { None }; PLACES], count: 0 })
    }

    fn put(&mut self, block: Block, count_max: usize) -> Result<(), Block> {
        if self.count >= count_max.min(PLACES) {
            return Err(block);
        }
        self.blocks[self.count] = Some(block);
        self.count += 1;
        Ok(())
    }

    fn take(&mut self) -> Option<Block> {
        self.count = self.count.checked_sub(1)?;
        self.blocks[self.count].take()
    }
}

/// One shelf per class, under one lock each.
static SHELVES: [Mutex<Shelf>; CLASSES.len()] = [const { Shelf::new() }; CLASSES.len()];

/// The lock if nobody has it. A panic cannot leave a shelf half changed, so poison means nothing.
fn try_lock(shelf: &Mutex<Shelf>) -> Option<MutexGuard<'_, Shelf>> {
    match shelf.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// An empty chunk with room for `wanted` bytes: of the smallest class that has it, or of exactly that
/// size when no class has. `None` when the memory is refused.
pub fn take(wanted: usize) -> Option<Chunk> {
    if is_refused() {
        return None;
    }
    take_from(&SHELVES, wanted).map(Chunk::adopt)
}

/// Keeps a block for the next taker, or gives it back when it is of no class or its shelf has no place.
pub(super) fn keep(block: Block) -> Result<(), Block> {
    keep_in(&SHELVES, block)
}

fn take_from(shelves: &[Mutex<Shelf>; CLASSES.len()], wanted: usize) -> Option<Block> {
    let Some(index) = CLASSES.iter().position(|class| wanted <= class.bytes) else {
        return Block::allocate(wanted);
    };
    let kept = try_lock(&shelves[index]).and_then(|mut shelf| shelf.take());
    kept.or_else(|| Block::allocate(CLASSES[index].bytes))
}

fn keep_in(shelves: &[Mutex<Shelf>; CLASSES.len()], block: Block) -> Result<(), Block> {
    // By capacity alone: a chunk that was allocated or grown to a class's size is as good as any.
    let Some(index) = CLASSES.iter().position(|class| class.bytes == block.capacity()) else {
        return Err(block);
    };
    match try_lock(&shelves[index]) {
        Some(mut shelf) => shelf.put(block, CLASSES[index].count_max),
        None => Err(block),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool of the test's own, because the process's is shared with all other tests.
    struct Pool([Mutex<Shelf>; CLASSES.len()]);

    impl Pool {
        fn new() -> Pool {
            Pool([const { Shelf::new() }; CLASSES.len()])
        }

        fn counts(&self) -> [usize; CLASSES.len()] {
            [0, 1, 2, 3].map(|index| try_lock(&self.0[index]).unwrap().count)
        }

        fn keep(&self, block: Block) -> bool {
            keep_in(&self.0, block).map_err(Block::free).is_ok()
        }
    }

    impl Drop for Pool {
        fn drop(&mut self) {
            for shelf in &self.0 {
                while let Some(block) = try_lock(shelf).and_then(|mut shelf| shelf.take()) {
                    block.free();
                }
            }
        }
    }

    #[test]
    fn the_bound_is_two_mebibytes_over_all_classes() {
        // A page goes to the headers that the largest chunks hold.
        let bytes = CLASSES.iter().map(|class| class.bytes * class.count_max).sum::<usize>();
        assert_eq!(bytes, (2 << 20) - (1 << 10));
        assert!(CLASSES.iter().all(|class| class.count_max <= PLACES));
        assert!(CLASSES.is_sorted_by(|small, large| small.bytes < large.bytes));
    }

    #[test]
    fn a_taker_gets_the_smallest_class_that_holds_what_it_wants() {
        let sizes = [0, 1, 4096, 4097, 16384, 16385, 65536, 65537, 263_168, 263_169, 1_000_000];
        let expected = [4096, 4096, 4096, 16384, 16384, 65536, 65536, 263_168, 263_168, 263_169, 1_000_000];
        for (wanted, capacity) in sizes.into_iter().zip(expected) {
            assert_eq!(take(wanted).unwrap().capacity(), capacity, "{wanted}");
        }
    }

    #[test]
    fn refused_memory_gives_no_chunk() {
        assert!(take(usize::MAX).is_none());
    }

    #[test]
    fn the_last_block_kept_is_the_first_taken() {
        let pool = Pool::new();
        let [first, second] = [5000, 5000].map(|wanted| {
            let block = take_from(&pool.0, wanted).unwrap();
            (block.address(), block)
        });
        let expected = [second.0, first.0];
        assert!(pool.keep(first.1) && pool.keep(second.1));
        assert_eq!(pool.counts(), [0, 2, 0, 0]);
        let taken = [16384, 5000].map(|wanted| take_from(&pool.0, wanted).unwrap());
        assert_eq!([taken[0].address(), taken[1].address()], expected);
        assert_eq!(pool.counts(), [0, 0, 0, 0]);
        taken.into_iter().for_each(Block::free);
    }

    #[test]
    fn a_full_class_refuses_and_leaves_the_others_open() {
        let pool = Pool::new();
        for _ in 0..3 {
            assert!(pool.keep(Block::allocate(257 << 10).unwrap()));
        }
        assert!(!pool.keep(Block::allocate(257 << 10).unwrap()));
        assert!(pool.keep(Block::allocate(4 << 10).unwrap()));
        assert_eq!(pool.counts(), [1, 0, 0, 3]);
    }

    #[test]
    fn a_block_of_no_class_is_refused() {
        let pool = Pool::new();
        for size in [0, 4095, 4097, 1 << 20] {
            assert!(!pool.keep(Block::allocate(size).unwrap()), "{size}");
        }
        assert_eq!(pool.counts(), [0, 0, 0, 0]);
    }

    #[test]
    fn a_locked_shelf_is_passed_by() {
        let pool = Pool::new();
        assert!(pool.keep(Block::allocate(4096).unwrap()));
        let held = pool.0[0].lock().unwrap();
        let fresh = take_from(&pool.0, 10).unwrap();
        assert!(!pool.keep(fresh));
        drop(held);
        assert_eq!(pool.counts()[0], 1);
    }

    #[test]
    fn a_panic_under_the_lock_does_not_close_the_shelf() {
        let pool = Pool::new();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = pool.0[0].lock().unwrap();
            panic!("under the lock");
        }));
        assert!(panicked.is_err() && pool.0[0].is_poisoned());
        assert!(pool.keep(Block::allocate(4096).unwrap()));
        assert_eq!(pool.counts()[0], 1);
    }

    #[test]
    fn the_last_reference_brings_a_chunk_back_to_the_pool() {
        let lies_on_shelf = |address: *const u8| {
            let shelf = try_lock(&SHELVES[3]);
            shelf.is_some_and(|shelf| shelf.blocks.iter().flatten().any(|block| block.address() == address))
        };
        // Other tests use the same shelf at the same time, so a few attempts may miss.
        let returned = (0..1000).any(|_| {
            let block = take_from(&SHELVES, 257 << 10).unwrap();
            let address = block.address();
            let mut chunk = Chunk::adopt(block);
            chunk.append(b"abc");
            let slice = chunk.slice(0, 3);
            drop(chunk);
            assert!(!lies_on_shelf(address), "it is still referred to");
            drop(slice);
            lies_on_shelf(address)
        });
        assert!(returned);
    }

    #[test]
    fn a_chunk_comes_from_the_pool_empty_and_unshared() {
        for _ in 0..10 {
            let mut chunk = take(16 << 10).unwrap();
            assert!(chunk.is_unshared() && chunk.is_empty());
            chunk.append(b"abc");
        }
    }
}
