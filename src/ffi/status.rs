//! The status of a call: its C type, its name and its sentence.
//!
//! Numbers and sentences come from the list in `stream::status`; only the names are spelt here.

use std::ffi::{CStr, c_char};

use crate::stream::Status;

/// What a call answers: 0 is OK, positive an expected outcome, negative an error.
///
/// Later versions may add some: treat an unknown negative one as WSSTREAM_ERR_CONNECTION, an unknown positive one as
/// WSSTREAM_AGAIN.
pub type wsstream_status = i32;

/// The enumerator of a status.
#[must_use]
pub const fn name(status: Status) -> &'static CStr {
    match status {
        Status::Ok => c"WSSTREAM_OK",
        Status::Done => c"WSSTREAM_DONE",
        Status::Again => c"WSSTREAM_AGAIN",
        Status::Queued => c"WSSTREAM_QUEUED",
        Status::Argument => c"WSSTREAM_ERR_ARGUMENT",
        Status::Syntax => c"WSSTREAM_ERR_SYNTAX",
        Status::Access => c"WSSTREAM_ERR_ACCESS",
        Status::State => c"WSSTREAM_ERR_STATE",
        Status::Aborted => c"WSSTREAM_ERR_ABORTED",
        Status::Connection => c"WSSTREAM_ERR_CONNECTION",
        Status::Busy => c"WSSTREAM_ERR_BUSY",
        Status::Forked => c"WSSTREAM_ERR_FORKED",
        Status::Deadlock => c"WSSTREAM_ERR_DEADLOCK",
        Status::Unsupported => c"WSSTREAM_ERR_UNSUPPORTED",
        Status::Resource => c"WSSTREAM_ERR_RESOURCE",
        Status::Internal => c"WSSTREAM_ERR_INTERNAL",
    }
}

const COUNT: usize = Status::ALL.len();
/// Room for the longest sentence and its NUL; a longer one does not compile.
const TEXT_BYTES: usize = 96;
static TEXTS: [[u8; TEXT_BYTES]; COUNT] = texts();

const fn texts() -> [[u8; TEXT_BYTES]; COUNT] {
    let mut texts = [[0; TEXT_BYTES]; COUNT];
    let mut row = 0;
    while row < COUNT {
        let text = Status::ALL[row].text().as_bytes();
        assert!(text.len() < TEXT_BYTES);
        let mut at = 0;
        while at < text.len() {
            texts[row][at] = text[at];
            at += 1;
        }
        row += 1;
    }
    texts
}

fn row(status: wsstream_status) -> Option<usize> {
    Status::ALL.iter().position(|&known| known as wsstream_status == status)
}

/// Answers the name of a status, such as "WSSTREAM_ERR_BUSY".
///
/// Ownership: the text belongs to the library.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; "WSSTREAM_UNKNOWN" for a number this version does not know, never NULL.
/// Lifetime:  valid for ever.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_status_name(status: wsstream_status) -> *const c_char {
    row(status).map_or(c"WSSTREAM_UNKNOWN", |row| name(Status::ALL[row])).as_ptr()
}

/// Answers one English sentence on a status, for a log.
///
/// Ownership: the text belongs to the library.
/// Threads:   any.
/// Blocking:  never.
/// Errors:    none; a sentence that says so for a number this version does not know, never NULL.
/// Lifetime:  valid for ever.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn wsstream_status_text(status: wsstream_status) -> *const c_char {
    row(status).map_or(c"A status this version does not know.".as_ptr(), |row| TEXTS[row].as_ptr().cast())
}
