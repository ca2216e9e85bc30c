//! The bytes of one connection in both directions, never waiting: plain TCP. Knows no frame; whoever holds a share
//! keeps the descriptor open.

use super::sys;
use crate::memory::Chunk;
use std::io::{ErrorKind, Result};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// A connected non-blocking socket.
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
}

/// What a receive has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// That many bytes were put into the chunk. `drained`: the socket had no more at that time.
    Bytes {
        /// How many.
        size: usize,
        /// A receive that is not filled shows that the socket was emptied.
        drained: bool,
    },
    /// Nothing is there now.
    Nothing,
    /// The peer has ended its direction of TCP.
    End,
}

impl Transport {
    /// Takes over a socket.
    pub fn new(socket: TcpStream) -> Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Receives into the spare part of a chunk, at most so many bytes.
    pub fn receive(&self, chunk: &mut Chunk, at_most: usize) -> Result<Received> {
        crate::fault::point("net.receive");
        if crate::fault::fails("net.receive") {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let room = chunk.spare().min(at_most);
        match chunk.fill_from(&mut sys::Receive(self.socket.as_fd()), room) {
            Ok(0) => Ok(Received::End),
            Ok(size) => Ok(Received::Bytes { size, drained: size < room }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Sends what the socket takes now; 0 where it takes nothing.
    pub fn send(&self, bytes: &[u8]) -> Result<usize> {
        crate::fault::point("net.send");
        if crate::fault::fails("net.send") {
            return Err(ErrorKind::BrokenPipe.into());
        }
        match sys::send(self.socket.as_fd(), bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn end_sending(&self) {
        sys::shutdown(self.socket.as_fd(), false);
    }

    /// Ends TCP in both directions, for every process that has a share of the socket.
    pub fn end(&self) {
        sys::shutdown(self.socket.as_fd(), true);
    }

    /// The error that the socket has pending, 0 if none.
    #[must_use]
    pub fn error(&self) -> i32 {
        sys::socket_error(self.socket.as_fd())
    }

    /// The number, for `sys::poll` and the poller while this is alive.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
