//! The boundary alone: arguments, outputs, panics, ownership. No peer is needed: the streams here connect to a port
//! where nobody listens, and what becomes of that does not matter.

use std::ffi::{CStr, c_char, c_void};
use std::os::unix::process::ExitStatusExt;
use std::ptr::{null, null_mut};

use super::about::{wsstream_protocol, wsstream_statistics, wsstream_statistics_get, wsstream_url};
use super::close_info::CloseRecord;
use super::constant::{EVENTS, FIN, WSSTREAM_NO_CODE, WSSTREAM_NUL};
use super::handle::{answer, caught, without_unwinding};
use super::options::{
    wsstream_options, wsstream_options_add_header, wsstream_options_add_protocol, wsstream_options_free,
    wsstream_options_new, wsstream_options_set_log, wsstream_options_set_number,
};
use super::read::{
    wsstream_chunk, wsstream_message, wsstream_message_release, wsstream_message_retain, wsstream_read,
    wsstream_read_many, wsstream_read_some,
};
use super::status::{name, wsstream_status_name, wsstream_status_text};
use super::stream::{
    wsstream, wsstream_close, wsstream_free, wsstream_open, wsstream_ref, wsstream_unref,
    wsstream_wait_closed,
};
use super::wait::{wsstream_fd, wsstream_on_closed, wsstream_poll, wsstream_wake};
use super::write::{wsstream_write, wsstream_write_some};
use crate::memory::{Chunk, Slice};
use crate::stream::{Cause, CloseInfo, Initiator, Kind, Message, Phase, Status};

const ARGUMENT: i32 = Status::Argument as i32;
/// Far beyond what any call here takes.
const TOO_LARGE: usize = isize::MAX as usize + 1;

fn text(text: &CStr) -> *const c_char {
    text.as_ptr()
}

/// A stream that never opens, freed at the end.
struct Opened(*mut wsstream);

impl Opened {
    fn new() -> Self {
        Self::at("ws://127.0.0.1:1/")
    }

    fn at(url: &str) -> Self {
        let mut stream = null_mut();
        assert_eq!(as_c!(wsstream_open; url.as_ptr().cast(), url.len(), null(), &raw mut stream), 0);
        Self(stream)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        as_c!(wsstream_free; self.0);
    }
}

struct Set(*mut wsstream_options);

impl Set {
    fn new() -> Self {
        Self(wsstream_options_new())
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        as_c!(wsstream_options_free; self.0);
    }
}

fn dirty() -> wsstream_message {
    wsstream_message { r#type: 9, flags: 9, data: null(), size: 9, owner: null_mut() }
}

fn is_zero(message: &wsstream_message) -> bool {
    message.r#type == 0
        && message.flags == 0
        && message.data.is_null()
        && message.size == 0
        && message.owner.is_null()
}

fn received(kind: Kind, bytes: &[u8]) -> wsstream_message {
    Message { kind, payload: Slice::copy_of(bytes).expect("memory") }.into()
}

#[test]
fn texts_are_pointer_and_size_or_nul_terminated_utf8() {
    let options = Set::new();
    let add = |text: *const c_char, size| as_c!(wsstream_options_add_protocol; options.0, text, size);
    assert_eq!(add(text(c"first"), WSSTREAM_NUL), 0);
    assert_eq!(add(text(c"second and more"), 6), 0);
    assert_eq!(add(null(), 1), ARGUMENT);
    assert_eq!(add(null(), WSSTREAM_NUL), ARGUMENT);
    assert_eq!(add(text(c"a"), TOO_LARGE), ARGUMENT);
    assert_eq!(add(text(c"\xff"), WSSTREAM_NUL), ARGUMENT);
    assert_eq!(add(null(), 0), Status::Syntax as i32, "NULL with size 0 is the empty text");
}

#[test]
fn every_text_of_a_header_is_checked() {
    let options = Set::new();
    let (good, bad) = (text(c"X-A"), text(c"\xff"));
    let add =
        |name, value| as_c!(wsstream_options_add_header; options.0, name, WSSTREAM_NUL, value, WSSTREAM_NUL);
    assert_eq!(add(good, good), 0);
    assert_eq!(add(bad, good), ARGUMENT);
    assert_eq!(add(good, bad), ARGUMENT);
    assert_eq!(add(null(), good), ARGUMENT);
    assert_eq!(add(good, null()), ARGUMENT);
}

#[test]
fn null_options_are_refused_by_setters_and_are_the_defaults_of_open() {
    assert_eq!(as_c!(wsstream_options_set_number; null_mut(), 1, 1), ARGUMENT);
    assert_eq!(as_c!(wsstream_options_add_protocol; null_mut(), text(c"a"), 1), ARGUMENT);
    as_c!(wsstream_options_free; null_mut());
    drop(Opened::new());
}

#[test]
fn a_log_function_needs_a_known_level() {
    unsafe extern "C-unwind" fn log(_: u32, _: *const c_char, _: usize, _: *mut c_void) {}
    let options = Set::new();
    let set = |log, level| as_c!(wsstream_options_set_log; options.0, log, level, null_mut());
    assert_eq!(set(Some(log), 6), ARGUMENT);
    assert_eq!(set(None, 1), ARGUMENT);
    assert_eq!(set(Some(log), 5), Status::Ok as i32);
    assert_eq!(set(None, 0), Status::Ok as i32);
}

#[test]
fn outputs_are_zeroed_where_a_call_fails() {
    let mut stream = 8 as *mut wsstream;
    assert_eq!(as_c!(wsstream_open; null(), 1, null(), &raw mut stream), ARGUMENT);
    assert!(stream.is_null());
    let mut info = std::ptr::dangling();
    assert_eq!(as_c!(wsstream_wait_closed; null_mut(), 0, &raw mut info), ARGUMENT);
    assert!(info.is_null());
    let mut message = dirty();
    assert_eq!(as_c!(wsstream_read; null_mut(), 0, &raw mut message), ARGUMENT);
    assert!(is_zero(&message));
    let (mut many, mut count) = ([dirty(), dirty()], 7);
    assert_eq!(as_c!(wsstream_read_many; null_mut(), 0, many.as_mut_ptr(), 2, &raw mut count), ARGUMENT);
    assert!(many.iter().all(is_zero) && count == 0);
    let mut chunk = wsstream_chunk { r#type: 9, flags: 9, size: 9, available: 9 };
    assert_eq!(as_c!(wsstream_read_some; null_mut(), null_mut(), 0, 0, &raw mut chunk), ARGUMENT);
    assert_eq!((chunk.r#type, chunk.flags, chunk.size, chunk.available), (0, 0, 0, 0));
    let mut events = 9;
    assert_eq!(as_c!(wsstream_poll; null_mut(), 1, 0, &raw mut events), ARGUMENT);
    assert_eq!(events, 0);
    let mut fd = 9;
    assert_eq!(as_c!(wsstream_fd; null_mut(), &raw mut fd), ARGUMENT);
    assert_eq!(fd, -1, "0 would be a descriptor");
}

#[test]
fn outputs_are_zeroed_where_another_argument_is_wrong() {
    let stream = Opened::new();
    let mut count = 7;
    assert_eq!(as_c!(wsstream_read_many; stream.0, 0, null_mut(), 1, &raw mut count), ARGUMENT);
    assert_eq!(count, 0);
    let mut events = 9;
    assert_eq!(as_c!(wsstream_poll; stream.0, 0, 0, &raw mut events), ARGUMENT);
    assert_eq!(events, 0);
}

#[test]
fn statistics_zero_as_many_bytes_as_the_program_knows() {
    let mut room = [0xffu8; 24];
    let out = room.as_mut_ptr().cast::<wsstream_statistics>();
    assert_eq!(as_c!(wsstream_statistics_get; null_mut(), out, 16), ARGUMENT);
    assert_eq!(room[..16], [0; 16]);
    assert_eq!(room[16..], [0xff; 8]);
    assert_eq!(as_c!(wsstream_statistics_get; null_mut(), out, TOO_LARGE), ARGUMENT);
}

#[test]
fn numbers_that_are_no_enumerator_are_refused() {
    let stream = Opened::new();
    for kind in [0, 3, u32::MAX] {
        assert_eq!(as_c!(wsstream_write; stream.0, kind, null(), 0, 0), ARGUMENT, "type {kind}");
    }
    for flags in [8, 1 << 31] {
        assert_eq!(as_c!(wsstream_write_some; stream.0, 1, null(), 0, flags, 0), ARGUMENT, "flags {flags}");
    }
    for events in [0, EVENTS + 1, 1 << 31] {
        let mut out = 0;
        assert_eq!(as_c!(wsstream_poll; stream.0, events, 0, &raw mut out), ARGUMENT, "events {events}");
        assert_eq!(as_c!(wsstream_wake; stream.0, events), ARGUMENT, "events {events}");
    }
}

#[test]
fn payloads_have_a_size_and_no_sentinel() {
    let stream = Opened::new();
    let write = |data: *const c_void, size| as_c!(wsstream_write; stream.0, 2, data, size, 0);
    let byte = text(c"a").cast::<c_void>();
    assert_eq!(write(byte, WSSTREAM_NUL), ARGUMENT);
    assert_eq!(write(byte, TOO_LARGE), ARGUMENT);
    assert_eq!(write(null(), 1), ARGUMENT);
    assert_ne!(write(null(), 0), ARGUMENT);
    assert_ne!(write(byte, 1), ARGUMENT);
}

#[test]
fn a_capacity_is_what_an_array_can_have() {
    let stream = Opened::new();
    let (mut message, mut count) = (dirty(), 7);
    for capacity in [0, usize::MAX, isize::MAX as usize / size_of::<wsstream_message>() + 1] {
        let status = as_c!(wsstream_read_many; stream.0, 0, &raw mut message, capacity, &raw mut count);
        assert_eq!(status, ARGUMENT, "{capacity}");
    }
    assert_eq!(message.size, 9, "an array of an impossible size is not written");
}

#[test]
fn a_close_code_is_sixteen_bits_or_none() {
    let stream = Opened::new();
    let close = |code, reason: *const c_char, size| as_c!(wsstream_close; stream.0, code, reason, size);
    for code in [-2, 65536, i32::MIN, i32::MAX] {
        assert_eq!(close(code, null(), 0), ARGUMENT, "{code}");
    }
    assert_eq!(close(1000, null(), 3), ARGUMENT);
    assert_eq!(close(1000, text(c"\xc3\x28"), WSSTREAM_NUL), ARGUMENT);
    assert_eq!(close(1001, null(), 0), Status::Access as i32);
    assert_eq!(close(WSSTREAM_NO_CODE, text(c"bye"), WSSTREAM_NUL), 0);
}

#[test]
fn a_callback_that_is_missing_is_refused() {
    let stream = Opened::new();
    assert_eq!(as_c!(wsstream_on_closed; stream.0, None, null_mut()), ARGUMENT);
}

#[test]
fn null_handles_have_empty_texts_and_nothing_to_free() {
    for answered in [as_c!(wsstream_url; null_mut()), as_c!(wsstream_protocol; null_mut())] {
        assert_eq!(as_c!(CStr::from_ptr; answered), c"");
    }
    assert!(as_c!(wsstream_ref; null_mut()).is_null());
    as_c!(wsstream_unref; null_mut());
    as_c!(wsstream_free; null_mut());
    as_c!(wsstream_message_release; null_mut());
}

#[test]
fn a_reference_is_the_same_handle_and_outlives_free() {
    let stream = Opened::new();
    let kept = as_c!(wsstream_ref; stream.0);
    assert_eq!(kept, stream.0);
    drop(stream);
    assert_ne!(as_c!(wsstream_wait_closed; kept, 0, null_mut()), ARGUMENT);
    as_c!(wsstream_unref; kept);
}

#[test]
fn a_message_is_released_once_and_then_zero() {
    let mut message = received(Kind::Text, b"hello");
    assert_eq!((message.r#type, message.flags, message.size), (1, FIN, 5));
    as_c!(wsstream_message_release; &raw mut message);
    assert!(is_zero(&message));
    as_c!(wsstream_message_release; &raw mut message);
    assert!(is_zero(&message));
}

#[test]
fn an_empty_message_has_data_and_no_owner() {
    let mut message = received(Kind::Binary, b"");
    assert!(!message.data.is_null() && message.owner.is_null() && message.size == 0);
    let mut other = dirty();
    assert_eq!(as_c!(wsstream_message_retain; &raw const message, &raw mut other), 0);
    assert_eq!((other.r#type, other.data, other.size), (2, message.data, 0));
    as_c!(wsstream_message_release; &raw mut message);
    assert!(is_zero(&message));
}

#[test]
fn a_retained_message_has_the_bytes_after_the_first_is_released() {
    let (mut first, mut second) = (received(Kind::Binary, b"bytes"), dirty());
    assert_eq!(as_c!(wsstream_message_retain; &raw const first, &raw mut second), 0);
    as_c!(wsstream_message_release; &raw mut first);
    let bytes = as_c!(std::slice::from_raw_parts; second.data, second.size);
    assert_eq!(bytes, b"bytes");
    as_c!(wsstream_message_release; &raw mut second);
}

#[test]
fn a_released_message_and_a_message_itself_cannot_be_retained() {
    let (mut message, mut other) = (received(Kind::Text, b"a"), dirty());
    let itself = &raw mut message;
    assert_eq!(as_c!(wsstream_message_retain; itself, itself), ARGUMENT);
    assert_eq!(message.size, 1, "it still has its owner");
    as_c!(wsstream_message_release; &raw mut message);
    assert_eq!(as_c!(wsstream_message_retain; &raw const message, &raw mut other), ARGUMENT);
    assert!(is_zero(&other));
}

#[test]
fn messages_that_nobody_gets_are_released() {
    let mut chunk = Chunk::with_capacity(8).expect("memory");
    chunk.append(b"received");
    let mut array = [dirty(), dirty(), dirty()];
    let place = array.as_mut_ptr();
    let status = answer(|| {
        let call = as_c!(super::handle::Call::new;);
        let mut batch = call.batch(place, 3)?;
        for end in [4, 8] {
            batch.push(Message { kind: Kind::Text, payload: chunk.slice(0, end) }.into());
        }
        assert!(!chunk.is_unshared());
        panic!("after two of three");
    });
    assert_eq!(status, Status::Internal as i32);
    assert!(array.iter().all(is_zero));
    assert!(chunk.is_unshared(), "both were released");
}

#[test]
fn a_panic_becomes_a_status_or_the_fallback() {
    assert_eq!(answer(|| panic!("inside")), Status::Internal as i32);
    assert_eq!(caught::<u8>(|| panic!("inside")), None);
}

#[test]
fn a_close_record_keeps_terminated_copies() {
    let end = CloseInfo {
        status: Status::Connection,
        code: 4567,
        clean: false,
        initiator: Initiator::Remote,
        phase: Phase::Closing,
        cause: Cause::Unsent,
        os_error: 104,
        http_status: 503,
        sent_code: 1005,
        reason: "a\0b".to_owned(),
        detail: "why".to_owned(),
        response_body: b"body".to_vec(),
    };
    let record = CloseRecord::new(&end);
    let info = record.info();
    assert_eq!(info.struct_size, size_of_val(info));
    assert_eq!((info.code, info.clean, info.initiator, info.phase, info.cause), (4567, 0, 2, 7, 13));
    assert_eq!((info.os_error, info.http_status, info.sent_code, info.reserved), (104, 503, 1005, 0));
    let bytes = |data: *const c_char, size: usize| {
        as_c!(std::slice::from_raw_parts; data.cast::<u8>(), size + 1).to_vec()
    };
    assert_eq!(bytes(info.reason, info.reason_size), b"a\0b\0");
    assert_eq!(bytes(info.detail, info.detail_size), b"why\0");
    assert_eq!(bytes(info.response_body, info.response_body_size), b"body\0");
}

#[test]
fn every_status_has_its_name_and_sentence() {
    for &status in Status::ALL {
        let spelt = as_c!(CStr::from_ptr; wsstream_status_name(status as i32));
        assert_eq!(spelt, name(status));
        let prefix = if (status as i32) < 0 { "WSSTREAM_ERR_" } else { "WSSTREAM_" };
        let expected = format!("{prefix}{}", format!("{status:?}").to_uppercase());
        assert_eq!(spelt.to_str(), Ok(expected.as_str()));
        let sentence = as_c!(CStr::from_ptr; wsstream_status_text(status as i32));
        assert_eq!(sentence.to_str(), Ok(status.text()));
    }
    assert_eq!(as_c!(CStr::from_ptr; wsstream_status_name(77)), c"WSSTREAM_UNKNOWN");
}

/// Aborts the process, so it runs in a process of its own: this test program once more.
#[test]
fn what_unwinds_out_of_a_callback_ends_the_process_with_a_message() {
    const CHILD: &str = "WSSTREAM_TEST_UNWINDS";
    if std::env::var_os(CHILD).is_some() {
        without_unwinding(|| panic!("as a C++ exception would"));
    }
    let own = std::env::current_exe().expect("the test program");
    let test = "ffi::tests::what_unwinds_out_of_a_callback_ends_the_process_with_a_message";
    let output = std::process::Command::new(own)
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("a process");
    assert_eq!(output.status.signal(), Some(6), "SIGABRT");
    assert!(String::from_utf8_lossy(&output.stderr).contains("a callback must not throw"));
}
