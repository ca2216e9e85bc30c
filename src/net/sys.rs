//! The system calls of the library, each in a safe wrapper: owns no state but the fork page.
//!
//! No call here blocks but `poll`, and none is retried beyond EINTR.

use crate::memory::Source;
use std::io::{Error, ErrorKind, Result};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn check_size(result: libc::ssize_t) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::last_os_error())
}

/// Calls again while a signal handler interrupts.
fn uninterrupted<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A non-blocking descriptor that can be closed before it is dropped, and is then not closed again.
///
/// Unlike an `OwnedFd` it may hold no descriptor: every call here then fails with EBADF and touches nobody's.
#[derive(Debug)]
pub struct Descriptor(AtomicI32);

/// What stands in the place of one that was closed.
const NO_DESCRIPTOR: RawFd = -1;

impl Descriptor {
    /// Takes over a descriptor.
    pub fn new(descriptor: OwnedFd) -> Result<Self> {
        set_nonblocking(descriptor.as_fd())?;
        Ok(Self(AtomicI32::new(descriptor.into_raw_fd())))
    }

    /// The number while it is open, else -1.
    #[inline]
    #[must_use]
    pub fn number(&self) -> RawFd {
        // Relaxed: it is closed early only in the child of a fork, where no other thread uses it.
        self.0.load(Ordering::Relaxed)
    }

    /// Closes it now. What other processes have of it stays as it is.
    pub fn close(&self) {
        let descriptor = self.0.swap(NO_DESCRIPTOR, Ordering::Relaxed);
        if descriptor != NO_DESCRIPTOR {
            // SAFETY: the descriptor was ours, and the swap has handed it to this call alone.
            drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}

/// The receiving end of a socket, as a source for chunks.
#[derive(Debug)]
pub struct Receive<'a>(pub &'a Descriptor);

// SAFETY: recv initialises exactly as many bytes as it says it has received.
unsafe impl Source for Receive<'_> {
    fn fill(&mut self, buffer: &mut [MaybeUninit<u8>]) -> Result<usize> {
        uninterrupted(|| {
            // SAFETY: the buffer is writable for its whole length; the number is open or -1.
            check_size(unsafe {
                libc::recv(self.0.number(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
            })
        })
    }
}

/// Receives bytes without waiting; 0 is the end of the peer's direction.
pub fn receive(socket: &Descriptor, buffer: &mut [u8]) -> Result<usize> {
    uninterrupted(|| {
        // SAFETY: the buffer is writable for its whole length; the number is open or -1.
        check_size(unsafe {
            libc::recv(socket.number(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
        })
    })
}

/// Gives bytes to a socket without waiting and without SIGPIPE; answers how many it took.
pub fn send(socket: &Descriptor, bytes: &[u8]) -> Result<usize> {
    uninterrupted(|| {
        // SAFETY: the bytes are readable for their whole length; the number is open or -1.
        check_size(unsafe {
            libc::send(
                socket.number(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        })
    })
}

/// Ends TCP in the direction of the peer, or in both.
pub fn shutdown(socket: &Descriptor, both: bool) {
    let how = if both { libc::SHUT_RDWR } else { libc::SHUT_WR };
    // SAFETY: no memory is involved; the number is open or -1. A failure means that it has ended already.
    unsafe { libc::shutdown(socket.number(), how) };
}

/// Writes to a descriptor of somebody else; answers how much it took.
#[cfg(feature = "dump")]
pub fn write(descriptor: RawFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the bytes are readable for their whole length; a number that is not open is an error, nothing else.
    uninterrupted(|| check_size(unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) }))
}

/// The error that a socket has pending, 0 if none.
pub fn socket_error(socket: &Descriptor) -> i32 {
    let mut error: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both pointers are to locals of the sizes given.
    let result = unsafe {
        libc::getsockopt(
            socket.number(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast(),
            &raw mut size,
        )
    };
    if result < 0 { 0 } else { error }
}

/// A descriptor to sleep on and what for; the third field is what was seen.
pub type PollFd = libc::pollfd;

/// What to wait for on a descriptor.
#[must_use]
pub fn poll_fd(descriptor: RawFd, read: bool, write: bool) -> PollFd {
    let events = if read { libc::POLLIN } else { 0 } | if write { libc::POLLOUT } else { 0 };
    PollFd { fd: descriptor, events, revents: 0 }
}

/// Sleeps until a descriptor is ready or the time is over (-1: for ever). A signal handler ends the sleep early.
pub fn poll(descriptors: &mut [PollFd], timeout_ms: i32) -> Result<()> {
    // SAFETY: the array is writable and has that many members; a descriptor that is not open is reported, not used.
    let result =
        unsafe { libc::poll(descriptors.as_mut_ptr(), descriptors.len() as libc::nfds_t, timeout_ms) };
    match check(result) {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        result => result.map(drop),
    }
}

/// Processors that are there to be used, whatever this thread may use of them.
pub fn processors() -> usize {
    // SAFETY: no memory is involved.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1)
}

/// A new counter descriptor, non-blocking and close-on-exec.
pub fn eventfd() -> Result<Descriptor> {
    // SAFETY: no memory is involved.
    let descriptor = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the system has just made it for us.
    Descriptor::new(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Raises a counter descriptor by one, which wakes who polls it.
pub fn eventfd_raise(event: &Descriptor) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: the bytes are readable; the number is open or -1. It fails only where it is raised already.
    unsafe { libc::write(event.number(), one.as_ptr().cast(), one.len()) };
}

/// Sets a counter descriptor back to zero.
pub fn eventfd_clear(event: &Descriptor) {
    let mut count = [0u8; 8];
    // SAFETY: the bytes are writable; the number is open or -1. It fails only where it is zero already.
    unsafe { libc::read(event.number(), count.as_mut_ptr().cast(), count.len()) };
}

/// A new epoll set, non-blocking and close-on-exec.
pub fn epoll() -> Result<Descriptor> {
    // SAFETY: no memory is involved.
    let descriptor = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the system has just made it for us.
    Descriptor::new(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn set_nonblocking(descriptor: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no memory is involved; the descriptor is borrowed, hence open.
    let flags = check(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        // SAFETY: as above.
        check(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    }
    Ok(())
}

/// Adds, changes or removes a descriptor in an epoll set.
pub fn epoll_control(
    set: &Descriptor,
    operation: i32,
    descriptor: RawFd,
    events: u32,
    key: u64,
) -> Result<()> {
    let mut event = libc::epoll_event { events, u64: key };
    // SAFETY: the event is a local; a descriptor that is not open is an error, nothing else.
    check(unsafe { libc::epoll_ctl(set.number(), operation, descriptor, &raw mut event) }).map(drop)
}

/// What an epoll set has to report now, without waiting.
pub fn epoll_take<'a>(
    set: &Descriptor,
    events: &'a mut [libc::epoll_event],
) -> Result<&'a [libc::epoll_event]> {
    let size = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    let count = uninterrupted(|| {
        // SAFETY: the array is writable and has at least that many members.
        check(unsafe { libc::epoll_wait(set.number(), events.as_mut_ptr(), size, 0) })
    })?;
    Ok(&events[..usize::try_from(count).unwrap_or(0)])
}

/// Calls with every signal blocked, so that a thread made in it never runs a handler of the program.
pub fn with_signals_blocked<T>(call: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises `all`, and pthread_sigmask `before`, before either is read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = call();
    // SAFETY: `before` was initialised above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}

/// Calls `prepare` before every fork of this process and `end` after it, in the parent and in the child. A refusal changes
/// nothing: then a fork does not wait.
pub fn on_fork(prepare: extern "C" fn(), end: extern "C" fn()) {
    // SAFETY: the functions stay where they are, as the library is never unloaded, and unwind through nothing.
    unsafe { libc::pthread_atfork(Some(prepare), Some(end), Some(end)) };
}

/// The page that the kernel wipes in the child of a fork; its first word is the generation of this process.
static FORK_PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(&raw const NO_PAGE as *mut AtomicU32);
/// What the page is before there is one: no stream can be older than its making.
static NO_PAGE: AtomicU32 = AtomicU32::new(0);
/// The last generation given out; a child goes on counting where its parent was.
static LAST_GENERATION: AtomicU32 = AtomicU32::new(0);

/// The generation of this process, 0 in a child that has made no stream yet. One load.
#[inline]
pub fn generation() -> u32 {
    // SAFETY: the pointer is either the static above or a page that is never unmapped; both hold an AtomicU32.
    unsafe { &*FORK_PAGE.load(Ordering::Acquire) }.load(Ordering::Acquire)
}

/// The generation of this process, begun if there is none.
pub fn begin_generation() -> Result<u32> {
    if FORK_PAGE.load(Ordering::Acquire).cast_const() == &raw const NO_PAGE {
        make_fork_page()?;
    }
    // SAFETY: as in `generation`.
    let page = unsafe { &*FORK_PAGE.load(Ordering::Acquire) };
    let now = page.load(Ordering::Acquire);
    if now != 0 {
        return Ok(now);
    }
    let next = LAST_GENERATION.fetch_add(1, Ordering::AcqRel) + 1;
    match page.compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(next),
        Err(other) => Ok(other),
    }
}

fn make_fork_page() -> Result<()> {
    const PAGE_SIZE: usize = 4096;
    // SAFETY: a new private mapping touches no memory that anybody else uses.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // SAFETY: the page was mapped above and is ours.
    if let Err(error) = check(unsafe { libc::madvise(page, PAGE_SIZE, libc::MADV_WIPEONFORK) }) {
        // SAFETY: nobody has seen the page.
        unsafe { libc::munmap(page, PAGE_SIZE) };
        return Err(error);
    }
    let none = (&raw const NO_PAGE).cast_mut();
    if FORK_PAGE.compare_exchange(none, page.cast(), Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: another thread's page was taken; nobody has seen this one.
        unsafe { libc::munmap(page, PAGE_SIZE) };
    }
    Ok(())
}

/// A value of each thread, dropped when the thread ends, also where it is made in a destructor that runs at that end: then
/// `thread_local` would leak it.
pub struct PerThread<T: 'static> {
    key: OnceLock<libc::pthread_key_t>,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static> Default for PerThread<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> PerThread<T> {
    /// No thread has one.
    #[must_use]
    pub const fn new() -> Self {
        Self { key: OnceLock::new(), of: PhantomData }
    }

    /// Lends this thread's value, which must not be asked for inside; fails where the system has no place for it.
    pub fn with<R>(&self, call: impl FnOnce(&mut Option<T>) -> R) -> Result<R> {
        let key = match self.key.get() {
            Some(key) => *key,
            None => self.make_key()?,
        };
        // SAFETY: the key was made and is never deleted.
        let mut place = unsafe { libc::pthread_getspecific(key) }.cast::<Option<T>>();
        if place.is_null() {
            place = Box::into_raw(Box::new(None));
            // SAFETY: as above.
            let refused = unsafe { libc::pthread_setspecific(key, place.cast()) };
            if refused != 0 {
                // SAFETY: from `into_raw` above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(place) });
                return Err(Error::from_raw_os_error(refused));
            }
        }
        // SAFETY: this thread's own box, given back by `end` alone, which runs on this thread and not meanwhile; no second
        // borrow, since `call` does not come here again.
        Ok(call(unsafe { &mut *place }))
    }

    fn make_key(&self) -> Result<libc::pthread_key_t> {
        let mut key = 0;
        // SAFETY: the key is a local; `end` takes what `with` has set for it.
        let refused = unsafe { libc::pthread_key_create(&raw mut key, Some(end::<T>)) };
        if refused != 0 {
            return Err(Error::from_raw_os_error(refused));
        }
        let chosen = *self.key.get_or_init(|| key);
        if chosen != key {
            // SAFETY: another thread's was taken; nobody has seen this one.
            unsafe { libc::pthread_key_delete(key) };
        }
        Ok(chosen)
    }
}

/// A thread ends: its value goes.
unsafe extern "C" fn end<T>(place: *mut libc::c_void) {
    // SAFETY: from `into_raw` in `with`; the system calls this once for it, after it has forgotten it.
    drop(unsafe { Box::from_raw(place.cast::<Option<T>>()) });
}
