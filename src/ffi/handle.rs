//! Where C's pointers become Rust's types and back: handles, strings, buffers, output arguments, callbacks.
//!
//! Knows nothing of what a call does. The one file of `ffi` with unsafe blocks; all of them rest on one promise, that
//! the arguments of an exported function are what the header asks for, and `Call` is the proof that it was given.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::close_info::{CloseRecord, wsstream_close_info};
use super::constant::{CONTINUE, WSSTREAM_NUL};
use super::options::wsstream_log_fn;
use super::read::wsstream_message;
use super::status::wsstream_status;
use super::stream::wsstream;
use super::wait::{
    wsstream_closed_fn, wsstream_event_fn, wsstream_freed_fn, wsstream_message_fn, wsstream_opened_fn,
};
use crate::memory::chunk::RawSlice;
use crate::memory::{Loan, Slice};
use crate::stream::{Message, Status, Stream, Timeout, is_refused};

/// The body of an exported function that answers a status: it gets a [`Call`] and ends with `Result<Status, Status>`.
macro_rules! enter {
    (|$call:ident| $body:expr) => {
        $crate::ffi::handle::answer(|| {
            // SAFETY: stands in an exported function only, whose caller keeps the header's promises.
            let $call = &unsafe { $crate::ffi::handle::Call::new() };
            $body
        })
    };
}

/// The body of an exported function that answers something else; `fallback` is the answer if the body panics.
macro_rules! enter_or {
    ($fallback:expr, |$call:ident| $body:expr) => {
        $crate::ffi::handle::caught(|| {
            // SAFETY: stands in an exported function only, whose caller keeps the header's promises.
            let $call = &unsafe { $crate::ffi::handle::Call::new() };
            $body
        })
        .unwrap_or($fallback)
    };
}

/// A call as a C program would make it, for tests.
#[cfg(test)]
macro_rules! as_c {
    ($function:path; $($argument:expr),* $(,)?) => {
        // SAFETY: the test keeps the header's promises: live handles, and pointers to variables of its own.
        unsafe { $function($($argument),*) }
    };
}

/// Runs the body of an exported function. The stream layer has ended the stream of a panic by the time it comes here;
/// it crosses to nobody.
#[inline(always)]
pub(super) fn answer(body: impl FnOnce() -> Result<Status, Status>) -> wsstream_status {
    match caught(body) {
        Some(Ok(status) | Err(status)) => status as wsstream_status,
        None => Status::Internal as wsstream_status,
    }
}

/// Runs the body of an exported function; `None` when it panicked.
#[inline(always)]
pub(super) fn caught<T>(body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(panic) => {
            // Dropping what was thrown is code that may throw again.
            std::mem::forget(panic);
            None
        }
    }
}

/// A size of memory: C's objects are no larger, and the sentinel for strings is no size either.
const SIZE_MAX: usize = isize::MAX as usize;

/// The proof that the arguments at hand come from C and are what the header asks for. Its methods are safe since
/// nothing but `enter!` makes one; what they lend ends with it.
pub(super) struct Call(PhantomData<*const ()>);

impl Call {
    /// # Safety
    ///
    /// Every pointer given to the methods is an argument of an exported function that is running on this thread, and
    /// its caller keeps the header's promises until the value is dropped.
    #[inline(always)]
    pub(super) const unsafe fn new() -> Self {
        Self(PhantomData)
    }

    /// A stream's handle; NULL is an error.
    #[inline(always)]
    pub(super) fn stream(&self, handle: *mut wsstream) -> Result<Handle<'_>, Status> {
        // SAFETY: a handle is what `into_handle` gave, and `stream` keeps its memory while a call is inside.
        unsafe { handle.cast::<Stream>().as_ref() }.map(Handle).ok_or(Status::Argument)
    }

    /// Something that lives behind a pointer, such as the options; NULL is an error.
    #[inline(always)]
    pub(super) fn object<T>(&self, object: *const T) -> Result<&T, Status> {
        // SAFETY: it points to a live object of its type, which nobody writes during the call.
        unsafe { object.as_ref() }.ok_or(Status::Argument)
    }

    /// A string: pointer and size, or NUL-terminated where the size is the sentinel; UTF-8.
    pub(super) fn text(&self, text: *const c_char, size: usize) -> Result<&str, Status> {
        let bytes = if size == WSSTREAM_NUL && !text.is_null() {
            // SAFETY: the sentinel says that the text is NUL-terminated.
            unsafe { CStr::from_ptr(text) }.to_bytes()
        } else {
            self.bytes(text.cast(), size)?
        };
        std::str::from_utf8(bytes).map_err(|_| Status::Argument)
    }

    /// A payload: pointer and size.
    #[inline(always)]
    pub(super) fn bytes(&self, data: *const c_void, size: usize) -> Result<&[u8], Status> {
        self.check(data, size)?;
        if data.is_null() {
            return Ok(&[]);
        }
        // SAFETY: `size` bytes are readable there, and nobody writes them during the call.
        Ok(unsafe { std::slice::from_raw_parts(data.cast(), size) })
    }

    /// Whether pointer and size can be those of a payload or a buffer.
    #[inline(always)]
    fn check(&self, data: *const c_void, size: usize) -> Result<(), Status> {
        if size > SIZE_MAX || (data.is_null() && size != 0) { Err(Status::Argument) } else { Ok(()) }
    }

    /// A buffer to be written to.
    pub(super) fn buffer(&self, buffer: *mut c_void, capacity: usize) -> Result<Loan<'_>, Status> {
        self.check(buffer, capacity)?;
        if buffer.is_null() {
            return Ok(Loan::new(&mut []));
        }
        // SAFETY: the caller's own buffer has so many bytes, and during the call it is nobody else's.
        Ok(Loan::new(unsafe { std::slice::from_raw_parts_mut(buffer.cast(), capacity) }))
    }

    /// An output argument, zeroed; NULL is an error.
    #[inline(always)]
    pub(super) fn output<T>(&self, place: *mut T) -> Result<Output<'_, T>, Status> {
        let output = self.optional_output(place);
        if place.is_null() { Err(Status::Argument) } else { Ok(output) }
    }

    /// An output argument that may be NULL, zeroed.
    #[inline(always)]
    pub(super) fn optional_output<T>(&self, place: *mut T) -> Output<'_, T> {
        if !place.is_null() {
            // SAFETY: the caller's own variable, writable during the call; every output type is C's, where zero is
            // a value.
            unsafe { place.write_bytes(0, 1) };
        }
        Output { place, call: PhantomData }
    }

    /// An output argument of as many bytes as its caller knows of, zeroed.
    pub(super) fn sized_output<T>(&self, place: *mut T, size: usize) -> Result<SizedOutput<'_, T>, Status> {
        if place.is_null() || size > SIZE_MAX {
            return Err(Status::Argument);
        }
        // SAFETY: the caller's own variable of `size` bytes, writable during the call.
        unsafe { place.cast::<u8>().write_bytes(0, size) };
        Ok(SizedOutput { place, size, call: PhantomData })
    }

    /// Whether a call without a stream is to be refused: in the log function every one, in a callback one that may wait.
    pub(super) fn allowed(&self, may_wait: bool) -> Result<(), Status> {
        if is_refused(may_wait) { Err(deadlock()) } else { Ok(()) }
    }

    fn check_array(&self, first: *const wsstream_message, count: usize) -> Result<(), Status> {
        let fits = count.checked_mul(size_of::<wsstream_message>()).is_some_and(|size| size <= SIZE_MAX);
        if first.is_null() || count == 0 || !fits { Err(Status::Argument) } else { Ok(()) }
    }

    /// An array of messages to be written; it has at least one.
    pub(super) fn messages(
        &self,
        first: *const wsstream_message,
        count: usize,
    ) -> Result<&[wsstream_message], Status> {
        self.check_array(first, count)?;
        // SAFETY: the caller's own array, which nobody writes during the call.
        Ok(unsafe { std::slice::from_raw_parts(first, count) })
    }

    /// An array of messages to be filled; it has room for at least one.
    pub(super) fn batch(&self, first: *mut wsstream_message, capacity: usize) -> Result<Batch<'_>, Status> {
        self.check_array(first, capacity)?;
        Ok(Batch { first, capacity, count: 0, kept: false, call: PhantomData })
    }

    /// One more owner of what a message holds; the message keeps its own.
    pub(super) fn share(&self, message: &wsstream_message) -> Slice {
        // SAFETY: a message that was not released owns its slice; the copy made here does not give that one up.
        let owned = ManuallyDrop::new(unsafe { Slice::from_raw(raw(message)) });
        Slice::clone(&owned)
    }

    /// Ends what a message owns and zeroes it; nothing to do for NULL and for a zeroed one.
    #[inline(always)]
    pub(super) fn release(&self, message: *mut wsstream_message) {
        // SAFETY: NULL, or the caller's own variable.
        let Some(message) = (unsafe { message.as_mut() }) else { return };
        if message.owner.is_null() {
            // Only an owner is worth taking back: an empty message has none.
            *message = wsstream_message::ZERO;
            return;
        }
        let raw = raw(message);
        *message = wsstream_message::ZERO;
        // SAFETY: a message with an owner was made from a slice and is released once, since it is zeroed now.
        drop(unsafe { Slice::from_raw(raw) });
    }

    /// Takes back an object that [`into_object`] gave away; NULL gives nothing.
    pub(super) fn take<T>(&self, object: *mut T) -> Option<Box<T>> {
        // SAFETY: what is freed came from `into_object`, once, and nobody uses it any more.
        (!object.is_null()).then(|| unsafe { Box::from_raw(object) })
    }

    /// Gives up the reference that the internal thread of the parent had, in the child of a fork.
    pub(super) fn drop_inherited_reference(&self, stream: Handle<'_>) {
        // SAFETY: that thread, which held one reference in its table or its queue until the stream is freed, is not in
        // this process; so it is given up here or never. A stream is freed once.
        unsafe { Arc::decrement_strong_count(std::ptr::from_ref(stream.0)) };
    }

    /// Gives up one reference of a stream; its memory goes with the last one.
    pub(super) fn drop_reference(&self, stream: Handle<'_>) {
        // SAFETY: the handle holds the reference that its caller was given by open or ref, and gives it up here.
        unsafe { Arc::decrement_strong_count(std::ptr::from_ref(stream.0)) };
    }
}

#[inline(always)]
fn raw(message: &wsstream_message) -> RawSlice {
    RawSlice { data: message.data, size: message.size, owner: message.owner }
}

/// A stream before the checks that every call on it begins with.
#[derive(Clone, Copy)]
pub(super) struct Handle<'call>(&'call Stream);

/// A stream on its way from the boundary into its own layer; dropped, which it is in unwinding only, it fails.
struct Passing<'call>(&'call Stream);

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.fail_internal();
    }
}

impl<'call> Handle<'call> {
    /// For a call that never waits: FORKED, then DEADLOCK in the log function, then the stream.
    #[inline(always)]
    pub(super) fn live(self) -> Result<&'call Stream, Status> {
        self.live_unless(false)
    }

    #[inline(always)]
    fn live_unless(self, may_wait: bool) -> Result<&'call Stream, Status> {
        if self.0.is_forked() {
            return Err(forked());
        }
        if is_refused(may_wait) {
            return Err(deadlock());
        }
        let passing = Passing(self.0);
        crate::fault::point("ffi.call");
        // From here on the stream layer's own guards see to it.
        std::mem::forget(passing);
        Ok(self.0)
    }

    /// For a call with a timeout: FORKED, then DEADLOCK, then the stream.
    #[inline(always)]
    pub(super) fn live_within(self, timeout_ms: i64) -> Result<(&'call Stream, Timeout), Status> {
        Ok((self.live_unless(timeout_ms != 0)?, Timeout(timeout_ms)))
    }

    /// For what stays true in the child of a fork: strings, references, the end of the handle.
    pub(super) fn even_forked(self) -> &'call Stream {
        self.0
    }

    /// A share of its own, for a call that asks the stream more than once: another thread may free it in between.
    pub(super) fn shared(self) -> Arc<Stream> {
        self.reference();
        // SAFETY: the content of an `Arc`, and the reference is the one just added.
        unsafe { Arc::from_raw(std::ptr::from_ref(self.0)) }
    }

    /// One more reference.
    pub(super) fn reference(self) {
        // SAFETY: the handle is an `Arc`'s content with at least its caller's reference.
        unsafe { Arc::increment_strong_count(std::ptr::from_ref(self.0)) };
    }
}

#[cold]
#[inline(never)]
fn forked() -> Status {
    Status::Forked
}

#[cold]
#[inline(never)]
fn deadlock() -> Status {
    Status::Deadlock
}

/// A zeroed place that waits for its value.
pub(super) struct Output<'call, T> {
    place: *mut T,
    call: PhantomData<&'call mut T>,
}

impl<T> Output<'_, T> {
    /// The value for every status but OK, where that is not zero.
    pub(super) fn put(&mut self, value: T) {
        Output { place: self.place, call: PhantomData }.set(value);
    }

    /// Nothing happens where the caller wanted no value.
    #[inline(always)]
    pub(super) fn set(self, value: T) {
        if !self.place.is_null() {
            // SAFETY: the caller's own variable, writable during the call.
            unsafe { self.place.write(value) };
        }
    }
}

/// A zeroed place whose size is that of the program's version.
pub(super) struct SizedOutput<'call, T> {
    place: *mut T,
    size: usize,
    call: PhantomData<&'call mut T>,
}

impl<T> SizedOutput<'_, T> {
    /// Writes as much of the value as the program knows of.
    pub(super) fn set(self, value: &T) {
        let size = self.size.min(size_of::<T>());
        // SAFETY: the caller's own variable of at least `size` bytes, which is no more than the value has.
        unsafe {
            std::ptr::copy_nonoverlapping(std::ptr::from_ref(value).cast::<u8>(), self.place.cast(), size);
        }
    }
}

/// The messages of `read_many`. Unless they are kept they are released again and the array is zeroed.
pub(super) struct Batch<'call> {
    first: *mut wsstream_message,
    capacity: usize,
    count: usize,
    kept: bool,
    call: PhantomData<&'call mut wsstream_message>,
}

impl Batch<'_> {
    /// Adds one. What does not fit is an error of the layer below: it panics, nothing is written.
    #[inline(always)]
    pub(super) fn push(&mut self, message: wsstream_message) {
        assert!(self.count < self.capacity, "more messages than were asked for");
        // SAFETY: below the capacity, which is that of the caller's own array.
        unsafe { self.first.add(self.count).write(message) };
        self.count += 1;
    }

    /// The caller gets them; how many.
    pub(super) fn keep(mut self) -> usize {
        self.kept = true;
        self.count
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // SAFETY: made in an exported function that is still running.
        let call = unsafe { Call::new() };
        for index in 0..self.count {
            // SAFETY: below the count, hence below the capacity of the caller's array.
            call.release(unsafe { self.first.add(index) });
        }
        // SAFETY: the caller's own array, writable during the call.
        unsafe { self.first.write_bytes(0, self.capacity) };
    }
}

/// Hands an object to C.
pub(super) fn into_object<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// Hands a stream and one reference of it to C.
pub(super) fn into_handle(stream: Arc<Stream>) -> *mut wsstream {
    Arc::into_raw(stream).cast_mut().cast()
}

/// The handle of a stream that C already has.
fn handle_of(stream: &Stream) -> *mut wsstream {
    std::ptr::from_ref(stream).cast_mut().cast()
}

// SAFETY: the record's pointers lead to its own heap memory, and nothing writes any of it after it is made.
unsafe impl Send for CloseRecord {}
// SAFETY: as above.
unsafe impl Sync for CloseRecord {}

/// A function of the program with what it gets back.
pub(super) struct Callback<F> {
    function: F,
    user_data: *mut c_void,
}

// SAFETY: the library only carries `user_data`; the header says on which thread the function runs with it.
unsafe impl<F: Send> Send for Callback<F> {}

impl<F> Callback<F> {
    pub(super) fn new(function: F, user_data: *mut c_void) -> Self {
        Self { function, user_data }
    }
}

impl Callback<wsstream_opened_fn> {
    /// Runs it.
    pub(super) fn call(self, stream: &Stream, status: Status) {
        let Some(function) = self.function else { return };
        without_unwinding(|| {
            // SAFETY: the program gave the function for exactly this call.
            unsafe { function(handle_of(stream), status as wsstream_status, self.user_data) };
        });
    }
}

impl Callback<wsstream_closed_fn> {
    /// Runs it.
    pub(super) fn call(self, stream: &Stream, status: Status, info: *const wsstream_close_info) {
        let Some(function) = self.function else { return };
        without_unwinding(|| {
            // SAFETY: the program gave the function for exactly this call; `info` lives as long as the stream.
            unsafe { function(handle_of(stream), status as wsstream_status, info, self.user_data) };
        });
    }
}

impl Callback<wsstream_message_fn> {
    /// Runs it with a message, which is released afterwards, or with the end; what it answers.
    pub(super) fn call(&self, stream: &Stream, next: Result<Message, Status>) -> u32 {
        let Some(function) = self.function else { return CONTINUE };
        // Released when this returns, unless the function retained it.
        let mut message = Lent(wsstream_message::ZERO);
        let (status, place) = match next {
            Ok(next) => {
                message.0 = next.into();
                (Status::Ok, &raw const message.0)
            }
            Err(status) => (status, std::ptr::null()),
        };
        let mut answer = CONTINUE;
        without_unwinding(|| {
            // SAFETY: the program gave the function for exactly this call; `place` is valid until it returns.
            answer = unsafe { function(handle_of(stream), status as wsstream_status, place, self.user_data) };
        });
        answer
    }
}

/// A message that the program sees during one call only.
struct Lent(wsstream_message);

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: made on this thread for one callback; the message is this struct's own.
        unsafe { Call::new() }.release(&raw mut self.0);
    }
}

impl Callback<wsstream_event_fn> {
    /// Runs it.
    pub(super) fn call(self, stream: &Stream, events: u32) {
        let Some(function) = self.function else { return };
        without_unwinding(|| {
            // SAFETY: the program gave the function for exactly this call.
            unsafe { function(handle_of(stream), events, self.user_data) };
        });
    }
}

impl Callback<wsstream_freed_fn> {
    /// Runs it.
    pub(super) fn call(self) {
        let Some(function) = self.function else { return };
        without_unwinding(|| {
            // SAFETY: the program gave the function for exactly this call.
            unsafe { function(self.user_data) };
        });
    }
}

// SAFETY: the header says that the log function is called on any thread, also several at once.
unsafe impl Sync for Callback<wsstream_log_fn> {}

impl Callback<wsstream_log_fn> {
    /// Runs it.
    pub(super) fn call(&self, level: u32, text: &str) {
        let Some(function) = self.function else { return };
        // What comes of texts of the peer may hold it; a C program reads up to the first.
        let text = format!("{}\0", text.replace('\0', " "));
        without_unwinding(|| {
            // SAFETY: the program gave the function for exactly this call; the text is valid until it returns.
            unsafe { function(level, text.as_ptr().cast(), text.len() - 1, self.user_data) };
        });
    }
}

/// Runs a function of the program. A C++ exception, `pthread_exit` and the like end the process here, since above
/// are frames that know nothing of them.
pub(super) fn without_unwinding(body: impl FnOnce()) {
    struct Unwinding;
    impl Drop for Unwinding {
        fn drop(&mut self) {
            use std::io::Write;
            let said = b"wsstream: a callback must not throw, longjmp or end its thread\n";
            let _ = std::io::stderr().write_all(said);
            std::process::abort();
        }
    }
    let guard = Unwinding;
    body();
    std::mem::forget(guard);
}
