//! Time limits of calls: a number from the C interface, made an instant only where a call is about to sleep, so that
//! a call that need not wait reads no clock.

use std::time::{Duration, Instant};

/// Milliseconds as in the C interface: negative for ever, 0 does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub i64);

impl Timeout {
    /// Whether the call must not wait.
    #[inline]
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The time limit of a call that begins to wait now.
    pub(super) fn deadline(self) -> Deadline {
        match u64::try_from(self.0) {
            Ok(ms) => Deadline(Instant::now().checked_add(Duration::from_millis(ms))),
            Err(_) => Deadline(None),
        }
    }
}

impl Timeout {
    /// The same as an instant; None: never.
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        self.deadline().0
    }
}

/// When a waiting call gives up; None: never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// What is left of it in milliseconds for `poll`, rounded up; -1: for ever; None: it is over.
    pub fn remaining_ms(self) -> Option<i32> {
        let Some(at) = self.0 else { return Some(-1) };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let ms = left.as_nanos().div_ceil(1_000_000);
        Some(i32::try_from(ms).unwrap_or(i32::MAX))
    }
}

/// A deadline so many milliseconds from now; 0 or too many: none.
pub(super) fn after_ms(ms: u64) -> Option<Instant> {
    if ms == 0 { None } else { Instant::now().checked_add(Duration::from_millis(ms)) }
}
