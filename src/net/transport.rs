//! The bytes of one connection in both directions, never waiting: plain, or secured by TLS. Knows no frame; whoever
//! holds a share keeps the descriptor open.
//!
//! `receive` is for the owner of the read word, `send` and `end_sending` are for the holder of the write word; TLS has
//! a leaf lock of its own for what both touch.

use super::sys::{self, Descriptor};
use super::tls::{Tls, TlsConfig};
use crate::memory::Room;
use rustls::pki_types::ServerName;
use std::io::{ErrorKind, Result};
use std::os::fd::{OwnedFd, RawFd};

/// A connected non-blocking socket.
#[derive(Debug)]
pub struct Transport {
    socket: Descriptor,
    tls: Option<Box<Tls>>,
}

/// What a receive has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// That many bytes were put where there was room. `drained`: the socket had no more at that time, and TLS holds nothing
    /// that could still become bytes.
    Bytes {
        /// How many.
        size: usize,
        /// A receive that is not filled shows that the socket was emptied.
        drained: bool,
    },
    /// Nothing is there now.
    Nothing,
    /// The peer has ended its direction.
    End,
}

/// What has become of the bytes that were to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How many of them need not be given again: the socket has them, or TLS has.
    pub taken: usize,
    /// Bytes that TLS has made and the socket has not taken.
    pub left: usize,
    /// The socket did not take everything that it was given.
    pub blocked: bool,
}

impl Transport {
    /// Takes over a socket whose bytes are the connection's own.
    pub fn new(socket: OwnedFd) -> Result<Self> {
        Ok(Self { socket: Descriptor::new(socket)?, tls: None })
    }

    /// Takes over a socket that TLS is spoken on. Its first bytes wait to be sent at once.
    pub fn secure(socket: OwnedFd, config: &TlsConfig, server_name: ServerName<'static>) -> Result<Self> {
        let tls = Tls::new(config, server_name)?;
        Ok(Self { socket: Descriptor::new(socket)?, tls: Some(Box::new(tls)) })
    }

    /// Whether TLS is spoken at all.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether bytes can be sent: with TLS, its handshake is done.
    #[inline]
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_secured())
    }

    /// Whether a further `receive` has something to tell without the socket. Never without TLS.
    #[inline]
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_input())
    }

    /// Whether TLS has bytes to be sent, which a `send` of nothing does.
    #[inline]
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_output())
    }

    /// Bytes that TLS has received, as they came; 0 without TLS.
    #[must_use]
    pub fn raw_received(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.raw_received())
    }

    /// Receives where there is room, at most so many bytes; sees to the TLS handshake, too.
    pub fn receive(&self, room: &mut impl Room, at_most: usize) -> Result<Received> {
        crate::fault::point("net.receive");
        if crate::fault::fails("net.receive") {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let at_most = room.spare().min(at_most);
        if let Some(tls) = &self.tls {
            return tls.receive(&self.socket, room, at_most);
        }
        match room.fill_from(&mut sys::Receive(&self.socket), at_most) {
            Ok(0) => Ok(Received::End),
            Ok(size) => Ok(Received::Bytes { size, drained: size < at_most }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Sends what the socket takes now: first what TLS has to send, then the bytes, which may be none.
    pub fn send(&self, bytes: &[u8]) -> Result<Sent> {
        crate::fault::point("net.send");
        if crate::fault::fails("net.send") {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if let Some(tls) = &self.tls {
            return tls.send(&self.socket, bytes);
        }
        if bytes.is_empty() {
            return Ok(Sent { taken: 0, left: 0, blocked: false });
        }
        let taken = match sys::send(&self.socket, bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result?,
        };
        // A socket that takes a part is full: asking again would only say so.
        Ok(Sent { taken, left: 0, blocked: taken < bytes.len() })
    }

    #[cfg(test)]
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_deref()
    }

    /// Gives back the memory that an idle connection need not have.
    pub fn release_memory(&self) {
        if let Some(tls) = &self.tls {
            tls.release_memory();
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn end_sending(&self) {
        if let Some(tls) = &self.tls {
            tls.end_sending(&self.socket);
        }
        sys::shutdown(&self.socket, false);
    }

    /// Ends TCP in both directions, for every process that has a share of the socket.
    pub fn end(&self) {
        sys::shutdown(&self.socket, true);
    }

    /// The error that the socket has pending, 0 if none.
    #[must_use]
    pub fn error(&self) -> i32 {
        sys::socket_error(&self.socket)
    }

    /// The number, for `sys::poll` and the poller while this is alive.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.socket.number()
    }

    /// In the child of a fork: lets go of this process's share of the socket and of TLS's memory, and touches nothing of the
    /// parent's.
    pub fn close_in_child(&self) {
        self.socket.close();
        if let Some(tls) = &self.tls {
            tls.close_in_child();
        }
    }
}
