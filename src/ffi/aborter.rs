//! The aborter: an AbortController and its signal in one.

use std::ptr::null_mut;

/// Gives up openings: an AbortController and its signal in one.
///
/// Shared by any number of openings, acts on a stream only until it is open. It is not a POSIX signal. Nothing else
/// makes a call answer ERR_ABORTED, so this version, which has no aborters yet, never does.
pub struct wsstream_aborter {
    _opaque: (),
}

/// Makes an aborter.
///
/// Ownership: the caller frees it with wsstream_aborter_free.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    NULL, always in this version.
/// Lifetime:  until freed; streams and options that use it keep what they need of it.
/// Since:     0.1, as a symbol
///
/// This version does not have aborters yet.
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_aborter_new() -> *mut wsstream_aborter {
    null_mut()
}

/// Gives up every opening that uses this aborter, and those that will.
///
/// Ownership: nothing changes hands.
/// Threads:   any, also inside callbacks.
/// Blocking:  never.
/// Errors:    none; NULL does nothing.
/// Lifetime:  an aborted aborter stays aborted.
/// Since:     0.1, as a symbol
///
/// This version does not have aborters yet: it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_aborter_abort(aborter: *mut wsstream_aborter) {
    let _ = aborter;
}

/// Frees an aborter without aborting anything.
///
/// Ownership: takes the aborter.
/// Threads:   any, once no other call uses it.
/// Blocking:  never.
/// Errors:    none; NULL does nothing.
/// Lifetime:  the pointer is invalid afterwards; options and streams that use it go on.
/// Since:     0.1, as a symbol
///
/// This version does not have aborters yet: it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_aborter_free(aborter: *mut wsstream_aborter) {
    let _ = aborter;
}
