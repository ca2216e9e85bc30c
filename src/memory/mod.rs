//! The memory a stream works in: receive chunks and the slices cut from them, the pool chunks come
//! from, the kernels that mask and the keys they mask with.
//!
//! Knows nothing of sockets and frames. Nothing here zeroes memory that is about to be filled, waits
//! for a lock, or aborts when memory is refused.

pub mod chunk;
pub mod mask;
pub mod pool;
pub mod random;
pub mod room;
pub mod seat;

pub use chunk::{Chunk, Slice, Source};
pub use room::{Loan, Room};
