//! The C functions as the tests call them: handles that are freed when dropped, statuses and closed infos by name.

use super::{deadline, is_secure, server};
use ::wsstream::ffi::about::{wsstream_extensions, wsstream_protocol, wsstream_url};
use ::wsstream::ffi::close_info::wsstream_close_info;
use ::wsstream::ffi::options::{
    wsstream_options, wsstream_options_add_header, wsstream_options_add_protocol, wsstream_options_free,
    wsstream_options_new, wsstream_options_set_number, wsstream_options_set_text,
};
pub use ::wsstream::ffi::read::wsstream_message;
use ::wsstream::ffi::read::{
    wsstream_message_release, wsstream_message_retain, wsstream_read, wsstream_read_many,
};
use ::wsstream::ffi::stream::{
    wsstream, wsstream_close, wsstream_free, wsstream_open, wsstream_ref, wsstream_unref,
    wsstream_wait_closed, wsstream_wait_opened,
};
use ::wsstream::ffi::wait::{wsstream_on_closed, wsstream_on_message, wsstream_poll, wsstream_wake};
use ::wsstream::ffi::write::{wsstream_flush, wsstream_write, wsstream_write_many, wsstream_write_some};
use ::wsstream::stream::{Cause, Initiator, Phase, Status};
use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

pub const TEXT: u32 = 1;
pub const BINARY: u32 = 2;
pub const FIN: u32 = 1;
pub const MORE: u32 = 2;
pub const NO_CODE: i32 = -1;

/// The numbers of the options.
pub mod option {
    pub const OPEN_TIMEOUT_MS: u32 = 1;
    pub const CLOSE_TIMEOUT_MS: u32 = 2;
    pub const PING_INTERVAL_MS: u32 = 3;
    pub const MAX_MESSAGE_SIZE: u32 = 5;
    pub const MAX_HEADER_SIZE: u32 = 6;
    pub const READ_BUFFER_SIZE: u32 = 7;
    pub const WRITE_BUFFER_SIZE: u32 = 8;
    pub const TCP_NODELAY: u32 = 9;
    pub const CA_PEM: u32 = 103;
    pub const UNIX_SOCKET: u32 = 107;
}

macro_rules! c {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the wrapper keeps the header's promises: handles that live, pointers to variables of its own.
        unsafe { $function($($argument),*) }
    };
}

#[track_caller]
fn status(number: i32) -> Status {
    let found = Status::ALL.iter().find(|status| **status as i32 == number);
    *found.unwrap_or_else(|| panic!("{number} is no status"))
}

/// A whole message to be written; the owner of one that was read is not looked at.
pub fn whole(kind: u32, data: &[u8], flags: u32) -> wsstream_message {
    let owner = std::ptr::dangling_mut();
    wsstream_message { r#type: kind, flags, data: data.as_ptr(), size: data.len(), owner }
}

/// `wsstream_write_many`: the status, and how many were taken.
pub fn write_many(stream: *mut wsstream, messages: &[wsstream_message], timeout_ms: i64) -> (i32, usize) {
    let (first, count, mut taken) = (messages.as_ptr(), messages.len(), 99);
    let status = c!(wsstream_write_many(stream, first, count, timeout_ms, &raw mut taken));
    (status, taken)
}

/// What streams are opened with; over wss with the test's root.
pub struct Options(*mut wsstream_options);
// SAFETY: the header lets options be read and changed from any thread, also at once.
unsafe impl Sync for Options {}

impl Options {
    pub fn new() -> Self {
        deadline::begin();
        let options = Self(wsstream_options_new());
        if is_secure() {
            assert_eq!(options.set_text(option::CA_PEM, &server().pem("ca")), Status::Ok);
        }
        options
    }

    /// With one number set.
    #[track_caller]
    pub fn with(option: u32, value: i64) -> Self {
        Self::new().and(option, value)
    }

    /// And one more.
    #[track_caller]
    pub fn and(self, option: u32, value: i64) -> Self {
        assert_eq!(self.set_number(option, value), Status::Ok);
        self
    }

    pub fn handle(&self) -> *mut wsstream_options {
        self.0
    }

    pub fn set_number(&self, option: u32, value: i64) -> Status {
        status(c!(wsstream_options_set_number(self.0, option, value)))
    }

    pub fn set_text(&self, option: u32, text: &str) -> Status {
        status(c!(wsstream_options_set_text(self.0, option, text.as_ptr().cast(), text.len())))
    }

    pub fn add_protocol(&self, protocol: &str) -> Status {
        status(c!(wsstream_options_add_protocol(self.0, protocol.as_ptr().cast(), protocol.len())))
    }

    pub fn add_header(&self, name: &str, value: &str) -> Status {
        status(c!(wsstream_options_add_header(
            self.0,
            name.as_ptr().cast(),
            name.len(),
            value.as_ptr().cast(),
            value.len()
        )))
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        c!(wsstream_options_free(self.0));
    }
}

/// A received message, released when dropped.
#[derive(Debug)]
pub struct Message(Raw);

struct Raw(wsstream_message);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "type {} of {} bytes", self.0.r#type, self.0.size)
    }
}

// SAFETY: the header lets a message be used and released on any thread.
unsafe impl Send for Message {}
// SAFETY: as above; its bytes are never written.
unsafe impl Sync for Message {}

impl Message {
    pub fn kind(&self) -> u32 {
        self.0.0.r#type
    }

    pub fn flags(&self) -> u32 {
        self.0.0.flags
    }

    pub fn bytes(&self) -> &[u8] {
        assert!(!self.0.0.data.is_null(), "data is never NULL");
        // SAFETY: so many bytes are there until the message is released.
        unsafe { std::slice::from_raw_parts(self.0.0.data, self.0.0.size) }
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        assert_eq!(self.kind(), TEXT);
        std::str::from_utf8(self.bytes()).expect("text is UTF-8")
    }

    /// One more owner of the same bytes.
    pub fn retain(&self) -> Self {
        let mut out = empty();
        assert_eq!(status(c!(wsstream_message_retain(&raw const self.0.0, &raw mut out))), Status::Ok);
        assert_eq!(out.data, self.0.0.data, "by reference");
        Self(Raw(out))
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        c!(wsstream_message_release(&raw mut self.0.0));
        assert!(self.0.0.data.is_null() && self.0.0.owner.is_null() && self.0.0.size == 0);
        c!(wsstream_message_release(&raw mut self.0.0));
    }
}

fn empty() -> wsstream_message {
    wsstream_message { r#type: 0, flags: 0, data: null(), size: 0, owner: null_mut() }
}

/// How a stream ended, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub code: u16,
    pub clean: bool,
    pub initiator: Initiator,
    pub phase: Phase,
    pub cause: Cause,
    pub os_error: i32,
    pub http_status: i32,
    pub sent_code: u16,
    pub reason: String,
    pub detail: String,
    pub response_body: String,
}

impl Info {
    fn new(info: &wsstream_close_info) -> Self {
        let text = |data: *const std::ffi::c_char, size: usize| {
            // SAFETY: the info's texts have so many bytes and a NUL behind them, and live as long as the stream.
            let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size + 1) };
            assert_eq!(bytes[size], 0, "texts end in NUL");
            String::from_utf8_lossy(&bytes[..size]).into_owned()
        };
        assert_eq!(info.struct_size, size_of::<wsstream_close_info>());
        assert_eq!(info.reserved, 0);
        Self {
            code: info.code,
            clean: info.clean != 0,
            initiator: *Initiator::ALL
                .iter()
                .find(|row| **row as u8 == info.initiator)
                .expect("an initiator"),
            phase: *Phase::ALL.iter().find(|row| **row as u32 == info.phase).expect("a phase"),
            cause: *Cause::ALL.iter().find(|row| **row as u32 == info.cause).expect("a cause"),
            os_error: info.os_error,
            http_status: info.http_status,
            sent_code: info.sent_code,
            reason: text(info.reason, info.reason_size),
            detail: text(info.detail, info.detail_size),
            response_body: text(info.response_body, info.response_body_size),
        }
    }
}

/// A stream: freed when dropped, or unreferenced where it is a reference.
#[derive(Debug)]
pub struct Stream {
    handle: *mut wsstream,
    is_reference: bool,
}

// SAFETY: the header lets a stream be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.is_reference {
            c!(wsstream_unref(self.handle));
        } else {
            c!(wsstream_free(self.handle));
        }
    }
}

impl Stream {
    /// Begins to connect.
    #[track_caller]
    pub fn open(url: &str) -> Self {
        Self::try_open(url, None).expect("the URL is good")
    }

    #[track_caller]
    pub fn open_with(url: &str, options: &Options) -> Self {
        Self::try_open(url, Some(options)).expect("the URL is good")
    }

    pub fn try_open(url: &str, options: Option<&Options>) -> Result<Self, Status> {
        deadline::begin();
        let mut handle = null_mut();
        // The test server's certificate is nobody's who asks the system.
        let own = (options.is_none() && is_secure() && url.starts_with("wss://")).then(Options::new);
        let options = options.or(own.as_ref()).map_or(null(), |options| options.0.cast_const());
        let answer = c!(wsstream_open(url.as_ptr().cast(), url.len(), options, &raw mut handle));
        match status(answer) {
            Status::Ok => Ok(Self { handle, is_reference: false }),
            refused => {
                assert!(handle.is_null(), "out is zeroed");
                Err(refused)
            }
        }
    }

    /// An open stream.
    #[track_caller]
    pub fn opened(url: &str) -> Self {
        let stream = Self::open(url);
        stream.assert_opens();
        stream
    }

    #[track_caller]
    pub fn opened_with(url: &str, options: &Options) -> Self {
        let stream = Self::open_with(url, options);
        stream.assert_opens();
        stream
    }

    #[track_caller]
    fn assert_opens(&self) {
        let opened = self.wait_opened(-1);
        assert_eq!(opened, Status::Ok, "{:?}", self.wait_closed(0));
    }

    pub fn handle(&self) -> *mut wsstream {
        self.handle
    }

    /// Another share of the handle, which frees nothing.
    pub fn reference(&self) -> Self {
        Self { handle: c!(wsstream_ref(self.handle)), is_reference: true }
    }

    /// wsstream_free.
    pub fn free(self) {
        drop(self);
    }

    pub fn wait_opened(&self, timeout_ms: i64) -> Status {
        status(c!(wsstream_wait_opened(self.handle, timeout_ms)))
    }

    pub fn read(&self, timeout_ms: i64) -> Result<Message, Status> {
        let mut out = wsstream_message { r#type: 9, flags: 9, data: null(), size: 9, owner: null_mut() };
        match status(c!(wsstream_read(self.handle, timeout_ms, &raw mut out))) {
            Status::Ok => Ok(Message(Raw(out))),
            refused => {
                assert!(out.r#type == 0 && out.flags == 0 && out.size == 0 && out.owner.is_null());
                Err(refused)
            }
        }
    }

    /// The next message, which must be this text.
    #[track_caller]
    pub fn reads_text(&self, text: &str) {
        match self.read(-1) {
            Ok(message) => assert_eq!(message.text(), text),
            Err(status) => panic!("{status:?} instead of {text:?}; {:?}", self.wait_closed(0)),
        }
    }

    /// What a read answers that gives no message.
    #[track_caller]
    pub fn refused_read(&self, timeout_ms: i64) -> Status {
        self.read(timeout_ms).map(|message| format!("{message:?}")).expect_err("no message is left")
    }

    pub fn read_many(&self, timeout_ms: i64, capacity: usize) -> Result<Vec<Message>, Status> {
        let mut out: Vec<wsstream_message> = (0..capacity).map(|_| empty()).collect();
        let mut count = 99;
        let answer =
            c!(wsstream_read_many(self.handle, timeout_ms, out.as_mut_ptr(), capacity, &raw mut count));
        match status(answer) {
            Status::Ok => {
                assert!(count > 0 && count <= capacity);
                assert!(out[count..].iter().all(|message| message.owner.is_null()));
                out.truncate(count);
                Ok(out.into_iter().map(|message| Message(Raw(message))).collect())
            }
            refused => {
                assert_eq!(count, 0);
                Err(refused)
            }
        }
    }

    pub fn write(&self, kind: u32, data: &[u8], timeout_ms: i64) -> Status {
        status(c!(wsstream_write(self.handle, kind, data.as_ptr().cast(), data.len(), timeout_ms)))
    }

    /// Writes a text that must be taken.
    #[track_caller]
    pub fn writes_text(&self, text: &str) {
        assert_eq!(self.write(TEXT, text.as_bytes(), -1), Status::Ok, "{:?}", self.wait_closed(0));
    }

    /// The status, and how many were taken.
    pub fn write_many(&self, messages: &[wsstream_message], timeout_ms: i64) -> (Status, usize) {
        let (number, taken) = write_many(self.handle, messages, timeout_ms);
        (status(number), taken)
    }

    pub fn write_some(&self, kind: u32, data: &[u8], flags: u32, timeout_ms: i64) -> Status {
        let (size, data) = (data.len(), data.as_ptr().cast());
        status(c!(wsstream_write_some(self.handle, kind, data, size, flags, timeout_ms)))
    }

    pub fn flush(&self, timeout_ms: i64) -> Status {
        status(c!(wsstream_flush(self.handle, timeout_ms)))
    }

    pub fn close(&self, code: i32, reason: &str) -> Status {
        self.close_bytes(code, reason.as_bytes())
    }

    pub fn close_bytes(&self, code: i32, reason: &[u8]) -> Status {
        status(c!(wsstream_close(self.handle, code, reason.as_ptr().cast(), reason.len())))
    }

    pub fn wait_closed(&self, timeout_ms: i64) -> (Status, Option<Info>) {
        let mut out = null();
        let answer = status(c!(wsstream_wait_closed(self.handle, timeout_ms, &raw mut out)));
        // SAFETY: it lives as long as the stream.
        let info = unsafe { out.as_ref() }.map(Info::new);
        assert_eq!(
            info.is_some(),
            matches!(answer, Status::Ok | Status::Connection | Status::Aborted | Status::Internal),
            "the info is there exactly where it ended: {answer:?}"
        );
        (answer, info)
    }

    /// Waits for the end, which must be clean.
    #[track_caller]
    pub fn closed_cleanly(&self) -> Info {
        let (answer, info) = self.wait_closed(-1);
        let info = info.expect("an info");
        assert_eq!((answer, info.clean), (Status::Ok, true), "{info:?}");
        assert_eq!((info.cause, info.phase), (Cause::None, Phase::Closing), "{info:?}");
        info
    }

    /// Waits for the end, which must not be clean.
    #[track_caller]
    pub fn closed_uncleanly(&self) -> Info {
        let (answer, info) = self.wait_closed(-1);
        let info = info.expect("an info");
        assert_eq!((answer, info.clean), (Status::Connection, false), "{info:?}");
        assert!(!info.detail.is_empty(), "{info:?}");
        info
    }

    /// Waits for the end of what never opened: `opened` and `closed` answer the same.
    #[track_caller]
    pub fn never_opens(&self) -> Info {
        assert_eq!(self.wait_opened(-1), Status::Connection);
        let (answer, info) = self.wait_closed(0);
        let info = info.expect("closed is settled once opened has failed");
        assert_eq!((answer, info.code, info.clean), (Status::Connection, 1006, false), "{info:?}");
        assert_eq!((info.sent_code, info.initiator), (0, Initiator::None), "{info:?}");
        assert_eq!(info.reason, "");
        assert!(!info.detail.is_empty(), "{info:?}");
        assert_eq!(self.refused_read(0), Status::Connection);
        info
    }

    pub fn poll(&self, events: u32, timeout_ms: i64) -> Result<u32, Status> {
        let mut out = 99;
        match status(c!(wsstream_poll(self.handle, events, timeout_ms, &raw mut out))) {
            Status::Ok => {
                assert!(out != 0 && out & !events == 0, "a part of what was asked for: {out}");
                Ok(out)
            }
            refused => {
                assert_eq!(out, 0);
                Err(refused)
            }
        }
    }

    pub fn wake(&self, events: u32) -> Status {
        status(c!(wsstream_wake(self.handle, events)))
    }

    /// Registers a function that runs when the stream has ended. Where it never runs it is not dropped.
    pub fn on_closed(&self, call: impl FnOnce(&Borrowed, Status, Info) + Send + 'static) -> Status {
        type Call = Box<dyn FnOnce(&Borrowed, Status, Info) + Send>;
        unsafe extern "C-unwind" fn run(
            stream: *mut wsstream,
            answer: i32,
            info: *const wsstream_close_info,
            user_data: *mut c_void,
        ) {
            // SAFETY: `user_data` is the box made below, and a registration runs once.
            let call = *unsafe { Box::from_raw(user_data.cast::<Call>()) };
            // SAFETY: the info is valid until the callback returns.
            let info = unsafe { info.as_ref() }.map(Info::new).expect("an info");
            let stream = Stream { handle: stream, is_reference: true };
            call(&Borrowed(std::mem::ManuallyDrop::new(stream)), status(answer), info);
        }
        let call: Box<Call> = Box::new(Box::new(call));
        status(c!(wsstream_on_closed(self.handle, Some(run), Box::into_raw(call).cast())))
    }

    /// Sets a function that is told of each message, and of the end. It is never dropped.
    pub fn on_message(&self, call: impl FnMut(Status) + Send + 'static) -> Status {
        type Call = Box<dyn FnMut(Status) + Send>;
        unsafe extern "C-unwind" fn run(
            _: *mut wsstream,
            answer: i32,
            _: *const wsstream_message,
            user_data: *mut c_void,
        ) -> u32 {
            // SAFETY: `user_data` is the box made below, and one message is delivered at a time.
            let call = unsafe { &mut *user_data.cast::<Call>() };
            call(status(answer));
            0
        }
        let call: Box<Call> = Box::new(Box::new(call));
        status(c!(wsstream_on_message(self.handle, Some(run), Box::into_raw(call).cast())))
    }

    pub fn url(&self) -> String {
        text(c!(wsstream_url(self.handle)))
    }

    pub fn protocol(&self) -> String {
        text(c!(wsstream_protocol(self.handle)))
    }

    pub fn extensions(&self) -> String {
        text(c!(wsstream_extensions(self.handle)))
    }
}

fn text(text: *const std::ffi::c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: NUL-terminated, valid while the stream is.
    unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned()
}

/// The stream inside its callback.
pub struct Borrowed(std::mem::ManuallyDrop<Stream>);

impl std::ops::Deref for Borrowed {
    type Target = Stream;
    fn deref(&self) -> &Stream {
        &self.0
    }
}

impl Borrowed {
    /// wsstream_free inside the callback; the test gives its own handle up with `mem::forget`.
    pub fn free(&self) {
        c!(wsstream_free(self.0.handle));
    }
}
