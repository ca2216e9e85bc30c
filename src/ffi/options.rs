//! What a stream is opened with.
//!
//! Hands every value to `stream::Options`, which knows which there are and what is legal. A lock makes a setter that
//! races an open a defined thing.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

use super::aborter::wsstream_aborter;
use super::constant::{LOG_OFF, LOG_TRACE};
use super::handle::{Call, Callback, into_object};
use super::status::wsstream_status;
use crate::net::fork::section;
use crate::stream::log::LogTarget;
use crate::stream::{Options, Status};

/// What streams are opened with. One object can open many streams, also at once, and be changed meanwhile from any
/// thread: a stream has what was set when it was opened. What was set can be replaced, but not be taken back.
pub struct wsstream_options {
    /// Locked for some instructions only and inside a section: the child of a fork goes on using it.
    options: Mutex<Arc<Options>>,
}

impl wsstream_options {
    /// What it says now.
    pub(super) fn now(&self) -> Arc<Options> {
        let _section = section();
        Arc::clone(&self.options.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn set(
    call: &Call,
    options: *mut wsstream_options,
    body: impl FnOnce(&mut Options) -> Status,
) -> Result<Status, Status> {
    let options = call.object(options)?;
    call.allowed(false)?;
    let _section = section();
    Ok(body(Arc::make_mut(&mut options.options.lock().unwrap_or_else(PoisonError::into_inner))))
}

/// Called:   when something happens that the level asks for.
/// Thread:   any, also several at once; in this version one of the library, in the order of each stream.
/// Valid:    text, which is NUL-terminated, until it returns; user_data until the on_freed of every stream opened with
///           these options.
/// May call: nothing of this library: every call that can fail answers ERR_DEADLOCK.
/// Returns:  nothing.
pub type wsstream_log_fn =
    Option<unsafe extern "C-unwind" fn(level: u32, text: *const c_char, size: usize, user_data: *mut c_void)>;

/// Makes options with every default.
///
/// Ownership: the caller frees them with wsstream_options_free.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    NULL when the library has a bug.
/// Lifetime:  until freed; an open stream needs them no more.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_options_new() -> *mut wsstream_options {
    enter_or!(null_mut(), |_call| into_object(wsstream_options { options: Mutex::default() }))
}

/// Frees options.
///
/// Ownership: takes the options.
/// Threads:   any, once no other call uses them.
/// Blocking:  never.
/// Errors:    none; NULL does nothing.
/// Lifetime:  the pointer is invalid afterwards; streams opened with it go on.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_free(options: *mut wsstream_options) {
    enter_or!((), |call| drop(call.take(options)));
}

/// Adds a sub-protocol to those that are offered, in the order of the calls.
///
/// Ownership: protocol is copied.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT, ERR_SYNTAX (empty, a character no token has, or one that was added already in any case).
/// Lifetime:  counts for streams opened afterwards.
/// Since:     0.1
///
/// When at least one is offered, a server that picks none fails the opening.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_add_protocol(
    options: *mut wsstream_options,
    protocol: *const c_char,
    size: usize,
) -> wsstream_status {
    enter!(|call| {
        let protocol = call.text(protocol, size)?;
        set(call, options, |options| options.add_protocol(protocol))
    })
}

/// Adds a header field to the HTTP request of the opening handshake.
///
/// Ownership: name and value are copied.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: not a legal HTTP field, or one of the handshake's own).
/// Lifetime:  counts for streams opened afterwards.
/// Since:     0.1
///
/// The handshake's own are Host, Connection, Upgrade and every Sec-WebSocket-*. A name that is added several times is
/// sent several times; Authorization takes the place of the URL's user and password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_add_header(
    options: *mut wsstream_options,
    name: *const c_char,
    name_size: usize,
    value: *const c_char,
    value_size: usize,
) -> wsstream_status {
    enter!(|call| {
        let (name, value) = (call.text(name, name_size)?, call.text(value, value_size)?);
        set(call, options, |options| options.add_header(name.as_bytes(), value.as_bytes()))
    })
}

/// Sets an option that is a number; the list of WSSTREAM_OPTION_* has units, ranges and defaults.
///
/// Ownership: nothing changes hands.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: a value out of range, or an option that is a text), ERR_UNSUPPORTED (an unknown
///            option, or one that the list marks as not in this version; its default has no effect either).
/// Lifetime:  counts for streams opened afterwards; a later call replaces the value.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_set_number(
    options: *mut wsstream_options,
    option: u32,
    value: i64,
) -> wsstream_status {
    enter!(|call| set(call, options, |options| options.set_number(option, value)))
}

/// Sets an option that is a text; the list of WSSTREAM_OPTION_* says what each means.
///
/// Ownership: text is copied.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: not a legal value, or an option that is a number), ERR_UNSUPPORTED (an unknown
///            option, or one that the list marks as not in this version).
/// Lifetime:  counts for streams opened afterwards; a later call replaces the text.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_set_text(
    options: *mut wsstream_options,
    option: u32,
    text: *const c_char,
    size: usize,
) -> wsstream_status {
    enter!(|call| {
        let text = call.text(text, size)?;
        set(call, options, |options| options.set_text(option, text))
    })
}

/// Lets an aborter give up the openings that use these options.
///
/// Ownership: the caller keeps the aborter and may free it at once.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT.
/// Lifetime:  counts for streams opened afterwards; a later call replaces the aborter, none takes it back.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_set_aborter(
    options: *mut wsstream_options,
    aborter: *mut wsstream_aborter,
) -> wsstream_status {
    enter!(|call| {
        let aborter = Arc::clone(&call.object(aborter)?.aborter);
        set(call, options, |options| {
            options.set_aborter(Some(aborter));
            Status::Ok
        })
    })
}

/// Lets a function have what the library has to say about streams opened with these options.
///
/// Ownership: user_data stays the caller's and is handed to the function.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    ERR_ARGUMENT (also: an unknown level, and NULL for the function at a level other than WSSTREAM_LOG_OFF).
/// Lifetime:  counts for streams opened afterwards; user_data until the on_freed of every such stream.
/// Since:     0.1
///
/// The last line of a stream comes before its on_freed; a wsstream_open that fails logs nothing after it has returned.
/// level is the highest that is told; WSSTREAM_LOG_OFF tells nothing. The text is one line in English without its line
/// end, for people: its wording may change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_options_set_log(
    options: *mut wsstream_options,
    log: wsstream_log_fn,
    level: u32,
    user_data: *mut c_void,
) -> wsstream_status {
    enter!(|call| {
        if level > LOG_TRACE || (log.is_none() && level != LOG_OFF) {
            return Err(Status::Argument);
        }
        let callback = Callback::new(log, user_data);
        let function = Arc::new(move |level: u32, text: &str| callback.call(level, text));
        let target = (level != LOG_OFF).then_some(LogTarget { level, function });
        set(call, options, |options| {
            options.set_log(target);
            Status::Ok
        })
    })
}
