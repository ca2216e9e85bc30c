//! The library as a whole.

use super::status::wsstream_status;
use crate::stream::{Status, is_in_callback};

/// Ends the library's threads when no stream exists; the next open starts them again.
///
/// Ownership: nothing changes hands.
/// Threads:   any.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    ERR_DEADLOCK, ERR_UNSUPPORTED (always, in this version).
/// Lifetime:  nothing to release.
/// Since:     0.1, as a symbol
///
/// This version does not have it yet.
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_runtime_stop(timeout_ms: i64) -> wsstream_status {
    enter!(|_call| {
        if timeout_ms != 0 && is_in_callback() { Err(Status::Deadlock) } else { Err(Status::Unsupported) }
    })
}
