//! The set of sockets that the internal thread watches, one registration each, disarmed by its first event.
//!
//! Four calls and no state beside the kernel's; only the internal thread calls them.

use super::sys;
use std::io::Result;
use std::os::fd::{AsRawFd, RawFd};

/// What to watch a descriptor for. Errors are always reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Something can be received.
    pub read: bool,
    /// The socket takes bytes.
    pub write: bool,
}

/// What was seen on the descriptor of a key.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The key it was added with.
    pub key: u64,
    /// The connection has failed, or both directions have ended.
    pub error: bool,
}

/// A set of watched descriptors.
pub trait Poller: AsRawFd + Send {
    /// Begins to watch a descriptor, level-triggered, until it is removed.
    fn add(&self, descriptor: RawFd, key: u64) -> Result<()>;
    /// Watches a descriptor for one event; `new` the first time.
    fn arm(&self, descriptor: RawFd, key: u64, interest: Interest, new: bool) -> Result<()>;
    /// Lets go of a descriptor.
    fn remove(&self, descriptor: RawFd) -> Result<()>;
    /// Moves what is to be reported now into `events`, without waiting.
    fn take(&mut self, events: &mut Vec<Event>) -> Result<()>;
}

/// How many events one call takes: a busy set is asked again.
const EVENTS_MAX: usize = 64;

/// The poller of Linux.
pub struct Epoll {
    set: sys::Descriptor,
    buffer: [libc::epoll_event; EVENTS_MAX],
}

impl Epoll {
    /// An empty set.
    pub fn new() -> Result<Self> {
        Ok(Self { set: sys::epoll()?, buffer: [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX] })
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.set.number()
    }
}

/// The flags of the system are small positive numbers of a signed type.
fn bits(flag: bool, value: libc::c_int) -> u32 {
    if flag { u32::from_ne_bytes(value.to_ne_bytes()) } else { 0 }
}

impl Poller for Epoll {
    fn add(&self, descriptor: RawFd, key: u64) -> Result<()> {
        let events = bits(true, libc::EPOLLIN);
        sys::epoll_control(&self.set, libc::EPOLL_CTL_ADD, descriptor, events, key)
    }

    fn arm(&self, descriptor: RawFd, key: u64, interest: Interest, new: bool) -> Result<()> {
        let operation = if new { libc::EPOLL_CTL_ADD } else { libc::EPOLL_CTL_MOD };
        let events = bits(true, libc::EPOLLONESHOT)
            | bits(interest.read, libc::EPOLLIN | libc::EPOLLRDHUP)
            | bits(interest.write, libc::EPOLLOUT);
        sys::epoll_control(&self.set, operation, descriptor, events, key)
    }

    fn remove(&self, descriptor: RawFd) -> Result<()> {
        sys::epoll_control(&self.set, libc::EPOLL_CTL_DEL, descriptor, 0, 0)
    }

    fn take(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let broken = bits(true, libc::EPOLLERR | libc::EPOLLHUP);
        for event in sys::epoll_take(&self.set, &mut self.buffer)? {
            events.push(Event { key: event.u64, error: event.events & broken != 0 });
        }
        Ok(())
    }
}
