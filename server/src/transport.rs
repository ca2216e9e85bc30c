//! What a connection runs over: TCP or a Unix socket, plain or with TLS in between.
//!
//! Bytes, timeouts and ends only. One thread may read while another writes; ends that are no lawful ends of TLS
//! (closing, resetting) happen to the socket underneath.

use crate::host::Hosts;
use crate::tls::Tls;
use socket2::Socket;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// How long a close_notify nobody asked for may take.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// Shorter ones would mean for ever.
const TIMEOUT_MIN: Duration = Duration::from_micros(1);

/// A connected socket.
pub struct Transport {
    socket: Socket,
    tls: Option<Tls>,
}

impl Transport {
    /// Takes a socket as it was accepted; with hosts, shakes hands by TLS. `None` when the connection is over with that.
    pub fn accept(socket: Socket, hosts: Option<&Hosts>, wait: Duration) -> io::Result<Option<Transport>> {
        // A Unix socket has no such option, and no need for it.
        let _ = socket.set_tcp_nodelay(true);
        let Some(hosts) = hosts else { return Ok(Some(Transport { socket, tls: None })) };
        socket.set_read_timeout(Some(wait))?;
        let tls = Tls::accept(&socket, hosts)?;
        socket.set_read_timeout(None)?;
        Ok(tls.map(|tls| Transport { socket, tls: Some(tls) }))
    }

    /// What TLS has come to, as `/tls` says it.
    pub fn description(&self) -> &str {
        self.tls.as_ref().map_or("version=none", Tls::description)
    }

    /// Some bytes; 0 at the end, and once before it at a close_notify.
    pub fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.read(&self.socket, out),
            None => (&self.socket).read(out),
        }
    }

    /// Whether a close_notify has come since this was asked last.
    pub fn take_close_notify(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::take_close_notify)
    }

    /// Sends all of the bytes.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.tls {
            Some(tls) => tls.write_all(&self.socket, bytes),
            None => (&self.socket).write_all(bytes),
        }
    }

    /// Ends the sending half in order.
    pub fn end_sending(&self) {
        // Whether this succeeds, the next read tells.
        if let Some(tls) = &self.tls {
            let _ = tls.end_sending(&self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Answers the client's end, where that is more than closing the socket.
    pub fn answer_end(&self) {
        if let Some(tls) = &self.tls {
            let _ = self.socket.set_write_timeout(Some(GOODBYE_WAIT));
            let _ = tls.answer_end(&self.socket);
        }
    }

    /// Sends nothing, but makes the reading thread's next read answer 0.
    pub fn end_receiving(&self) {
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Ends whatever a thread is doing with the socket.
    pub fn cut(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Lets closing the socket reset the connection.
    pub fn reset_at_close(&self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// How long a read may wait.
    pub fn set_read_timeout(&self, wait: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(wait.map(|wait| wait.max(TIMEOUT_MIN)))
    }

    /// SO_RCVBUF.
    pub fn set_receive_buffer(&self, size: usize) {
        let _ = self.socket.set_recv_buffer_size(size);
    }

    /// SO_SNDBUF.
    pub fn set_send_buffer(&self, size: usize) {
        let _ = self.socket.set_send_buffer_size(size);
    }
}
