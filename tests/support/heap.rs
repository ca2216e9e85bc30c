//! An allocator that knows how many bytes are in use: the library's and the test's, which run in one process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wsstream::memory::pool;

/// For `#[global_allocator]` of a test program.
pub struct Heap;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// How often memory was asked for.
pub fn allocations() -> usize {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes in use.
pub fn live() -> usize {
    LIVE.load(Relaxed)
}

/// Bytes in use while the library keeps as many unused chunks as it ever does: how many it had kept tells nothing.
pub fn live_with_full_pool() -> usize {
    for size in [4 << 10, 16 << 10, 64 << 10, 257 << 10] {
        // More than it keeps of a size.
        let chunks: Vec<_> = (0..100).map(|_| pool::take(size)).collect();
        assert!(chunks.iter().all(Option::is_some), "there is memory");
    }
    live()
}

/// How many bytes are in use beyond those of before.
pub fn more_than(before: usize) -> usize {
    live().saturating_sub(before)
}

// SAFETY: all is the system's; counting touches no memory of it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size.wrapping_sub(layout.size()), Relaxed);
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}
