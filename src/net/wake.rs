//! A descriptor by which one thread wakes another that sleeps in `poll`: each thread of the program owns one, made
//! when it first waits, and the internal thread another.

use super::sys;
use std::io::Result;
use std::os::fd::RawFd;
use std::sync::Arc;

/// A wake descriptor.
#[derive(Debug)]
pub struct Wake(sys::Descriptor);

impl Wake {
    /// A new one; fails where the system has no descriptor left.
    pub fn new() -> Result<Arc<Wake>> {
        sys::eventfd().map(|descriptor| Arc::new(Wake(descriptor)))
    }

    /// Wakes who sleeps on it, or lets the next sleep end at once.
    pub fn raise(&self) {
        sys::eventfd_raise(&self.0);
    }

    /// Forgets what was raised.
    pub fn clear(&self) {
        sys::eventfd_clear(&self.0);
    }

    /// The number, for `sys::poll` and the poller while this is alive.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.0.number()
    }
}
