//! The descriptor of one stream for event loops: an epoll set of its own that holds an eventfd and, while the program
//! itself is to receive, the stream's socket.
//!
//! Level-triggered: readable while the eventfd is raised or the socket has something. Who raises has changed something
//! before; who quietens looks once more after it, so nothing is lost between the two.

use super::sys;
use std::io::Result;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the set knows of the socket.
#[derive(Debug, Default)]
struct Socket {
    /// There is one, and its end was not seen.
    descriptor: Option<RawFd>,
    /// The program wants to receive.
    is_wanted: bool,
    /// It is in the set.
    is_in: bool,
}

/// A descriptor that is readable while something waits for the program.
#[derive(Debug)]
pub struct Readiness {
    set: sys::Descriptor,
    event: sys::Descriptor,
    /// The flag and the system call are one step: a flag beside it could say quiet of an event that is raised.
    is_raised: Mutex<bool>,
    socket: Mutex<Socket>,
}

impl Readiness {
    /// A quiet one without a socket; fails where the system refuses a descriptor.
    pub fn new() -> Result<Self> {
        let (set, event) = (sys::epoll()?, sys::eventfd()?);
        sys::epoll_control(&set, libc::EPOLL_CTL_ADD, event.number(), READ, 0)?;
        Ok(Self { set, event, is_raised: Mutex::default(), socket: Mutex::default() })
    }

    /// The number for the program.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.set.number()
    }

    /// In the child of a fork: lets go of this process's descriptors and touches nothing of the parent's.
    pub fn close_in_child(&self) {
        self.set.close();
        self.event.close();
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.is_raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it readable; a system call only where it was quiet.
    pub fn raise(&self) {
        let mut is_raised = self.flag();
        if !std::mem::replace(&mut is_raised, true) {
            sys::eventfd_raise(&self.event);
        }
    }

    /// Makes it quiet but for the socket; what is to be seen has to be looked for after this.
    pub fn quieten(&self) {
        let mut is_raised = self.flag();
        if std::mem::replace(&mut is_raised, false) {
            sys::eventfd_clear(&self.event);
        }
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection stands.
    pub fn attach(&self, descriptor: RawFd) -> Result<()> {
        let mut socket = self.socket();
        socket.descriptor = Some(descriptor);
        self.update(&mut socket)
    }

    /// Nothing more is to be received: at its end a socket would be readable for ever.
    pub fn detach(&self) {
        let mut socket = self.socket();
        let is_wanted = socket.is_wanted;
        socket.is_wanted = false;
        // Removal fails only where it is in no set, which is what is wanted.
        let _ = self.update(&mut socket);
        *socket = Socket { is_wanted, ..Socket::default() };
    }

    /// Whether the program itself receives.
    pub fn want(&self, is_wanted: bool) -> Result<()> {
        let mut socket = self.socket();
        socket.is_wanted = is_wanted;
        self.update(&mut socket)
    }

    fn update(&self, socket: &mut Socket) -> Result<()> {
        let Some(descriptor) = socket.descriptor else { return Ok(()) };
        if socket.is_wanted == socket.is_in {
            return Ok(());
        }
        let operation = if socket.is_wanted { libc::EPOLL_CTL_ADD } else { libc::EPOLL_CTL_DEL };
        sys::epoll_control(&self.set, operation, descriptor, READ, 1)?;
        socket.is_in = socket.is_wanted;
        Ok(())
    }
}

/// Bytes to be received, or the end of them.
const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
