//! The library as a whole.

use super::status::wsstream_status;
use crate::stream::{Timeout, stop_runtime};

/// Ends the library's threads when no stream exists; the next open starts them again.
///
/// Ownership: nothing changes hands.
/// Threads:   any.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    AGAIN (streams that were freed are still ending; that goes on), ERR_STATE (a stream was not freed),
///            ERR_DEADLOCK.
/// Lifetime:  OK also where no thread was running.
/// Since:     0.1
///
/// No program has to call it: it is for those that count threads or descriptors. A thread that looks up a name and
/// hangs in the system ends when the system lets it. Inside a callback, wsstream_on_freed's too, the answer is AGAIN
/// at best. In the child of a fork it is about the child's own threads. A thread of the program that has waited in a
/// call keeps one descriptor until it ends.
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_runtime_stop(timeout_ms: i64) -> wsstream_status {
    enter!(|call| {
        call.allowed(timeout_ms != 0)?;
        Ok(stop_runtime(Timeout(timeout_ms)))
    })
}
