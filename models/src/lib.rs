//! The words of the thread protocol over loom's atomics: the library's own files, compiled once more.
//!
//! What is modelled around them (kernel, internal thread, the order of steps in the calls) is in `tests/models`.

/// The atomics of the words, as loom has them.
pub mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering};

    /// Cells that loom watches.
    pub mod cell {
        pub use loom::cell::UnsafeCell;
    }
}

/// The seat that both words are.
#[path = "../../src/memory"]
pub mod memory {
    pub mod seat;
}

/// The two words.
#[path = "../../src/stream"]
pub mod stream {
    pub mod read_word;
    pub mod write_word;
}

/// The table of the closing handshake.
#[path = "../../src/proto"]
pub mod proto {
    pub mod closing;
}
