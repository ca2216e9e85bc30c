//! The protocol core built alone. There is nothing above it in this crate, so a path that leads upward does
//! not compile; `clippy.toml` beside it forbids clocks, threads, locks and sockets. Its tests run here.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

#[path = "../../../src/proto/mod.rs"]
pub mod proto;

/// The test hook of the whole library, which does nothing here.
pub mod fault {
    /// Marks a place where a test of the whole library may fail or panic.
    #[inline(always)]
    pub fn point(_: &'static str) {}

    /// Whether memory is to be refused there.
    #[inline(always)]
    pub fn fails(_: &'static str) -> bool {
        false
    }
}
