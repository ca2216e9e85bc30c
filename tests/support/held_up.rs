//! A thread that stands still inside a call, for as long as a test wants it to.

use super::{Call, until};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::channel;

/// Where a thread that was sent the signal waits for a byte.
static GATE: AtomicI32 = AtomicI32::new(-1);
static IS_HELD_UP: AtomicBool = AtomicBool::new(false);

extern "C" fn hold_up(_signal: libc::c_int) {
    IS_HELD_UP.store(true, Ordering::Release);
    let mut byte = 0_u8;
    // SAFETY: one byte goes to one byte of this frame; the descriptor is open until the thread was let go.
    unsafe { libc::read(GATE.load(Ordering::Acquire), (&raw mut byte).cast(), 1) };
}

/// Makes a call on a thread of its own, which stands still once it sleeps, until what comes with it is dropped. None: it
/// came back without a sleep. For one test of a program.
pub fn held_up<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<(Call<T>, UnixStream)> {
    let (sender, thread) = channel();
    let call = Call::blocked(move || {
        // SAFETY: it always succeeds.
        sender.send(unsafe { libc::pthread_self() }).expect("it is awaited");
        call()
    });
    if call.is_finished() {
        return None;
    }
    let (reader, writer) = UnixStream::pair().expect("descriptors");
    GATE.store(reader.into_raw_fd(), Ordering::Release);
    // SAFETY: the handler only reads and stores; the thread lives, for it is inside a call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = hold_up as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
        assert_eq!(libc::pthread_kill(thread.recv().expect("a thread"), libc::SIGUSR1), 0);
    }
    until(|| IS_HELD_UP.load(Ordering::Acquire));
    Some((call, writer))
}
