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
pub mod memory {
    #[path = "../../../src/memory/seat.rs"]
    pub mod seat;
}

/// The two words.
pub mod stream {
    #[path = "../../../src/stream/read_word.rs"]
    pub mod read_word;
    #[path = "../../../src/stream/write_word.rs"]
    pub mod write_word;
}

/// The table of the closing handshake.
pub mod proto {
    #[path = "../../../src/proto/closing.rs"]
    pub mod closing;
}
