//! Which library this is.

use std::ffi::c_char;

use super::constant::WSSTREAM_ABI_VERSION;

/// Answers the version of the interface this library has, to be compared with WSSTREAM_ABI_VERSION.
///
/// Ownership: nothing changes hands.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none.
/// Lifetime:  the number of a loaded library never changes.
/// Since:     0.1
///
/// The library fits the program when the upper 16 bits are the same and the number is not smaller than the one the
/// program was compiled with.
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_abi_version() -> u32 {
    WSSTREAM_ABI_VERSION
}

/// Answers the version of the library as text, such as "0.1.0".
///
/// Ownership: the text belongs to the library.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; never NULL.
/// Lifetime:  valid for ever.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
