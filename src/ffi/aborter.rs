//! The aborter: an AbortController and its signal in one.

use std::ptr::null_mut;
use std::sync::Arc;

use super::handle::into_object;
use crate::stream::Aborter;

/// Gives up openings: an AbortController and its signal in one.
///
/// Shared by any number of openings, acts on a stream only until it is open: then wsstream_wait_opened and
/// wsstream_wait_closed answer ERR_ABORTED. It is not a POSIX signal. Nothing else makes a call answer ERR_ABORTED.
pub struct wsstream_aborter {
    pub(super) aborter: Arc<Aborter>,
}

/// Makes an aborter.
///
/// Ownership: the caller frees it with wsstream_aborter_free.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    NULL when the library has a bug.
/// Lifetime:  until freed; streams and options that use it keep what they need of it.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_aborter_new() -> *mut wsstream_aborter {
    enter_or!(null_mut(), |_call| into_object(wsstream_aborter { aborter: Arc::default() }))
}

/// Gives up every opening that uses this aborter, and those that will.
///
/// Ownership: nothing changes hands.
/// Threads:   any, also inside callbacks.
/// Blocking:  never.
/// Errors:    none; NULL does nothing.
/// Lifetime:  an aborted aborter stays aborted: a stream opened with it has ended when wsstream_open returns.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_aborter_abort(aborter: *mut wsstream_aborter) {
    enter_or!((), |call| {
        if let (Ok(aborter), Ok(())) = (call.object(aborter), call.allowed(false)) {
            aborter.aborter.abort();
        }
    });
}

/// Frees an aborter without aborting anything.
///
/// Ownership: takes the aborter.
/// Threads:   any, once no other call uses it.
/// Blocking:  never.
/// Errors:    none; NULL does nothing.
/// Lifetime:  the pointer is invalid afterwards; options and streams that use it go on.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_aborter_free(aborter: *mut wsstream_aborter) {
    enter_or!((), |call| drop(call.take(aborter)));
}
