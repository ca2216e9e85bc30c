//! The life of a stream: open, opened, close, closed, free, and the references that keep its handle valid.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::sync::OnceLock;

use super::close_info::{record_of, wsstream_close_info};
use super::constant::WSSTREAM_NO_CODE;
use super::handle::into_handle;
use super::options::wsstream_options;
use super::status::wsstream_status;
use crate::stream::{Options, Status, Stream};

/// A WebSocketStream.
pub struct wsstream {
    _opaque: (),
}

/// Begins to connect to a WebSocket server and gives the stream at once.
///
/// Ownership: url is copied; options are read during the call and may be NULL, which means every default;
///            the caller ends the stream in out with wsstream_free.
/// Threads:   any, also many at once with the same options.
/// Blocking:  never; connecting goes on by itself, wsstream_wait_opened waits for it.
/// Errors:    ERR_ARGUMENT (also: options that contradict each other, a client key that is not its certificate's),
///            ERR_SYNTAX (the URL), ERR_RESOURCE, ERR_DEADLOCK (in the log function).
/// Lifetime:  the stream is valid until wsstream_free.
/// Since:     0.1
///
/// The URL is ws: or wss: (http: and https: mean the same two), has no fragment and is made canonical, as
/// wsstream_url then shows, user and password included: these are sent as Authorization: Basic, unless the options
/// have a field of that name. A relative one needs WSSTREAM_OPTION_BASE_URL, else it is ERR_SYNTAX. What the network
/// and the server have against it comes from wsstream_wait_opened. A redirect is not followed: it is a refused upgrade
/// with its http_status, and wsstream_response_header has its Location. wss speaks TLS 1.2 and 1.3.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_open(
    url: *const c_char,
    size: usize,
    options: *const wsstream_options,
    out: *mut *mut wsstream,
) -> wsstream_status {
    static DEFAULTS: OnceLock<Options> = OnceLock::new();
    enter!(|call| {
        let out = call.output(out)?;
        let url = call.text(url, size)?;
        call.allowed(false)?;
        let stream = match call.object(options) {
            Ok(options) => Stream::open(url, &options.now()),
            Err(_) => Stream::open(url, DEFAULTS.get_or_init(Options::new)),
        }?;
        out.set(into_handle(stream));
        Ok(Status::Ok)
    })
}

/// Waits until the stream is open or can no longer become so.
///
/// Ownership: nothing changes hands.
/// Threads:   any number of threads at once.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    AGAIN, ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_CONNECTION (it could not be opened, or was closed
///            before it was), ERR_ABORTED (by an aborter), ERR_STATE (freed), ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  once it is OK, ERR_CONNECTION, ERR_ABORTED or ERR_INTERNAL it stays so until the stream is freed.
/// Since:     0.1
///
/// It waits and is no predicate: OK is 0. OK also where the stream has ended since. When it is an error,
/// wsstream_wait_closed has the answer already and says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_wait_opened(stream: *mut wsstream, timeout_ms: i64) -> wsstream_status {
    enter!(|call| {
        let (stream, timeout) = call.stream(stream)?.live_within(timeout_ms)?;
        Ok(stream.wait_opened(timeout))
    })
}

/// Starts the closing handshake.
///
/// Ownership: reason is read during the call only.
/// Threads:   any, also inside callbacks and while other calls are in the stream.
/// Blocking:  never; wsstream_wait_closed waits for the end.
/// Errors:    ERR_ARGUMENT (also: a code outside 0 to 65535), ERR_FORKED, ERR_ACCESS (a code other than 1000 and
///            3000 to 4999), ERR_SYNTAX (a reason over 123 bytes), ERR_STATE (freed). None of them changes anything.
/// Lifetime:  a closed stream may be closed again, which does nothing; it is not freed.
/// Since:     0.1
///
/// Messages that the library had received whole before the call stay readable (it receives up to READ_BUFFER_SIZE
/// ahead of the reader); what comes later is dropped, answers to earlier writes too, and the end may still be clean.
/// To get every answer, read it before you close.
///
/// What was written before goes out before the Close, as far as CLOSE_TIMEOUT_MS allows, which counts from this call.
/// A message of wsstream_write_some without its WSSTREAM_FIN is given up; the end may still be clean.
///
/// WSSTREAM_NO_CODE without a reason (NULL, 0) sends a Close without a body; with a reason it means 1000. While
/// connecting, this gives up the opening: code and reason are not used, waits and reads answer ERR_CONNECTION, writes
/// ERR_STATE, and the cause is WSSTREAM_CAUSE_ABORTED; ERR_ABORTED comes from an aborter only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_close(
    stream: *mut wsstream,
    code: i32,
    reason: *const c_char,
    size: usize,
) -> wsstream_status {
    enter!(|call| {
        let stream = call.stream(stream)?;
        let reason = call.text(reason, size)?;
        check_code(code)?;
        Ok(stream.live()?.close(code, reason))
    })
}

/// A close code is 16 bits or none; which of them may be sent is for the stream to say.
pub(super) fn check_code(code: i32) -> Result<(), Status> {
    let legal = code == WSSTREAM_NO_CODE || u16::try_from(code).is_ok();
    if legal { Ok(()) } else { Err(Status::Argument) }
}

/// Waits for the end of the connection and says how it ended.
///
/// Ownership: the info in out belongs to the stream; out may be NULL.
/// Threads:   any number of threads at once.
/// Blocking:  up to timeout_ms; not with 0.
/// Errors:    AGAIN, ERR_ARGUMENT, ERR_FORKED, ERR_DEADLOCK, ERR_CONNECTION (not clean), ERR_ABORTED (the opening was
///            given up by an aborter), ERR_STATE (freed), ERR_RESOURCE, ERR_INTERNAL.
/// Lifetime:  the info never changes and is valid until the stream is freed, or longer with wsstream_ref; the answer
///            stays the same until then.
/// Since:     0.1
///
/// OK means a clean end. The info is set with OK, ERR_CONNECTION, ERR_ABORTED and ERR_INTERNAL alike, NULL otherwise;
/// ERR_RESOURCE is of this call alone: a stream that ended for want of resources answers ERR_CONNECTION. It reads no
/// messages: before a wsstream_close of this side, a Close of the peer behind more unread bytes than READ_BUFFER_SIZE
/// waits for a reader; after it nothing waits, as what comes is dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_wait_closed(
    stream: *mut wsstream,
    timeout_ms: i64,
    out: *mut *const wsstream_close_info,
) -> wsstream_status {
    enter!(|call| {
        let out = call.optional_output(out);
        let handle = call.stream(stream)?;
        let (_, timeout) = handle.live_within(timeout_ms)?;
        let stream = handle.shared();
        let status = stream.wait_closed(timeout);
        if let Some(end) = stream.closed_info().filter(|end| end.status == status) {
            out.set(record_of(&stream, end));
        }
        Ok(status)
    })
}

/// Ends the stream for everybody and gives its handle up.
///
/// Ownership: takes the caller's reference, the one from wsstream_open: call it once.
/// Threads:   any, also inside the stream's own callbacks; no call may begin on the pointer afterwards without a
///            reference.
/// Blocking:  never for the network; waits for a callback of this stream that runs on another thread: hold no lock
///            that the callback takes.
/// Errors:    none; NULL does nothing. Calls blocked in the stream answer ERR_STATE.
/// Lifetime:  the handle, its texts and its info are invalid afterwards, unless a wsstream_ref is held; messages stay
///            valid until released.
/// Since:     0.1
///
/// Still connecting: that is given up. Open: a Close with code 1001 is sent if that needs no waiting. Unread messages
/// are lost and written data may be; to be sure of both, see the order of an end below. In the child of a fork
/// it releases memory and the child's descriptors, sends nothing and touches nothing of the parent's; what another
/// thread of the parent was inside at the fork stays in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_free(stream: *mut wsstream) {
    enter_or!((), |call| {
        let Ok(handle) = call.stream(stream) else { return };
        let stream = handle.even_forked();
        if stream.is_forked() {
            if stream.free_forked() {
                call.drop_reference(handle);
                call.drop_inherited_reference(handle);
            }
            return;
        }
        stream.free();
        call.drop_reference(handle);
    });
}

/// Adds a reference, which keeps the handle valid but not the connection.
///
/// Ownership: the caller gives the reference up with wsstream_unref.
/// Threads:   any; take it for a thread that may begin calls while another one frees the stream, before it starts.
/// Blocking:  never.
/// Errors:    NULL for NULL.
/// Lifetime:  the same pointer, valid until wsstream_unref.
/// Since:     0.1
///
/// After wsstream_free a reference keeps the handle, its texts and an info that was given out valid; every call that
/// answers a status answers ERR_STATE, wsstream_wait_closed too: ask for the info before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_ref(stream: *mut wsstream) -> *mut wsstream {
    enter_or!(null_mut(), |call| {
        let Ok(handle) = call.stream(stream) else { return null_mut() };
        handle.reference();
        stream
    })
}

/// Gives up a reference that wsstream_ref added.
///
/// Ownership: takes that reference; the one from wsstream_open is for wsstream_free.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; NULL does nothing.
/// Lifetime:  the handle is invalid once the stream is freed and every reference is given up.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsstream_unref(stream: *mut wsstream) {
    enter_or!((), |call| {
        let Ok(handle) = call.stream(stream) else { return };
        let stream = handle.even_forked();
        // In the child of a fork as in wsstream_free.
        if !stream.is_forked() || stream.free_forked() {
            call.drop_reference(handle);
        }
    });
}
