//! TLS of one connection, shared by the thread that reads and a thread that feeds.
//!
//! Neither waits for the other's socket: the session is locked for computing only, and records leave it under a lock of
//! their own, in order. What the session itself has to send (tickets, key updates, alerts) goes with whoever sends next.

use crate::host::{Answer, Host, Hosts};
use rustls::server::{Acceptor, ServerConnection};
use socket2::Socket;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard};

/// One read takes at most this much.
const READ_BYTES_MAX: usize = 32 * 1024;
/// How much is encrypted before it is sent.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// RFC 8446 §6: an alert record of TLS 1.2's number, fatal, handshake_failure.
const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
const GARBAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nthis is no TLS\n";

/// The session of a connection.
pub struct Tls {
    host: &'static Host,
    description: String,
    session: Mutex<ServerConnection>,
    /// Records sent since the last key update; held while records are taken out of the session and sent.
    sending: Mutex<usize>,
    /// The reading thread's.
    incoming: Mutex<Incoming>,
}

struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_close_notify_received: bool,
    is_close_notify_told: bool,
}

impl Tls {
    /// Shakes hands as the host does whose name the client sends; `None` when that was all.
    pub fn accept(socket: &Socket, hosts: &Hosts) -> io::Result<Option<Tls>> {
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            if acceptor.read_tls(&mut { socket })? == 0 {
                return Ok(None);
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => break accepted,
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let _ = alert.write_all(&mut { socket });
                    linger(socket);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        };
        let (host, config) = hosts.find(accepted.client_hello().server_name());
        match host.answer {
            Answer::Handshake => {}
            Answer::Stall => {
                while { socket }.read(&mut [0; 1024])? > 0 {}
                return Ok(None);
            }
            Answer::Garbage => { socket }.write_all(GARBAGE)?,
            Answer::Alert => { socket }.write_all(HANDSHAKE_FAILURE)?,
            Answer::Gone => {}
        }
        if host.answer != Answer::Handshake {
            linger(socket);
            return Ok(None);
        }
        let mut pieces = Pieces { socket, bytes_max: host.write_bytes_max };
        let shaken = accepted.into_connection(config).map_err(|(error, mut alert)| {
            let _ = alert.write_all(&mut pieces);
            io::Error::new(io::ErrorKind::InvalidData, error)
        });
        let shaken = shaken.and_then(|mut session| {
            // A piece is encrypted at once, however many records it makes.
            session.set_buffer_limit(None);
            while session.is_handshaking() || session.wants_write() {
                session.complete_io(&mut pieces)?;
            }
            Ok(session)
        });
        match shaken {
            Ok(session) => Ok(Some(Tls::new(host, hosts.describe(&session), session))),
            Err(error) => {
                linger(socket);
                Err(error)
            }
        }
    }

    fn new(host: &'static Host, description: String, session: ServerConnection) -> Tls {
        let incoming = Incoming {
            buffer: vec![0; READ_BYTES_MAX],
            start: 0,
            end: 0,
            is_close_notify_received: false,
            is_close_notify_told: false,
        };
        Tls {
            host,
            description,
            session: Mutex::new(session),
            sending: Mutex::new(0),
            incoming: Mutex::new(incoming),
        }
    }

    /// What the handshake has come to.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Plaintext; 0 at the end of TCP, and once before it at a close_notify.
    pub fn read(&self, socket: &Socket, out: &mut [u8]) -> io::Result<usize> {
        let mut incoming = self.incoming.lock().expect("no reader panics");
        let incoming = &mut *incoming;
        while !incoming.is_close_notify_received {
            let mut session = self.session();
            match session.reader().read(out) {
                Ok(0) => {
                    incoming.is_close_notify_received = true;
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if incoming.start == incoming.end {
                drop(session);
                incoming.start = 0;
                incoming.end = 0;
                incoming.end = { socket }.read(&mut incoming.buffer)?;
                session = self.session();
            }
            // Nothing read is the end of TCP for the session as well.
            incoming.start += session.read_tls(&mut &incoming.buffer[incoming.start..incoming.end])?;
            let processed = session.process_new_packets();
            drop(session);
            // A dead socket shows itself in the next read.
            let _ = self.flush(socket);
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        // RFC 8446 §6.1: what follows a close_notify is ignored. How TCP ends is still to be seen.
        while { socket }.read(&mut incoming.buffer)? > 0 {}
        Ok(0)
    }

    /// Whether a close_notify has come since this was asked last.
    pub fn take_close_notify(&self) -> bool {
        let mut incoming = self.incoming.lock().expect("no reader panics");
        let is_news = incoming.is_close_notify_received && !incoming.is_close_notify_told;
        incoming.is_close_notify_told |= is_news;
        is_news
    }

    /// Sends plaintext.
    pub fn write_all(&self, socket: &Socket, bytes: &[u8]) -> io::Result<()> {
        let mut sending = self.sending.lock().expect("no sender panics");
        for piece in bytes.chunks(PIECE_BYTES_MAX) {
            let mut session = self.session();
            for record in piece.chunks(self.host.record_bytes_max) {
                session.writer().write_all(record)?;
                *sending += 1;
                if *sending == self.host.update_every {
                    // RFC 8446 §4.6.3: with update_requested, so that the client has to answer.
                    session.refresh_traffic_keys().map_err(io::Error::other)?;
                    *sending = 0;
                }
            }
            let records = take_records(&mut session)?;
            drop(session);
            self.send(socket, &records)?;
        }
        drop(sending);
        self.flush(socket)
    }

    /// Sends a close_notify, if the host does that, behind all that is being sent.
    pub fn end_sending(&self, socket: &Socket) -> io::Result<()> {
        let _sending = self.sending.lock().expect("no sender panics");
        self.send_close_notify();
        let records = take_records(&mut self.session())?;
        self.send(socket, &records)
    }

    /// The same, but never waits for another thread.
    pub fn answer_end(&self, socket: &Socket) -> io::Result<()> {
        self.send_close_notify();
        self.flush(socket)
    }

    fn send_close_notify(&self) {
        if !self.host.ends_silently {
            self.session().send_close_notify();
        }
    }

    /// Sends what the session has, unless another thread sends and so will do it.
    fn flush(&self, socket: &Socket) -> io::Result<()> {
        while self.session().wants_write() {
            let Ok(_sending) = self.sending.try_lock() else { return Ok(()) };
            let records = take_records(&mut self.session())?;
            self.send(socket, &records)?;
        }
        Ok(())
    }

    fn send(&self, socket: &Socket, records: &[u8]) -> io::Result<()> {
        Pieces { socket, bytes_max: self.host.write_bytes_max }.write_all(records)
    }

    fn session(&self) -> MutexGuard<'_, ServerConnection> {
        self.session.lock().expect("no holder of a session panics")
    }
}

fn take_records(session: &mut ServerConnection) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records)?;
    }
    Ok(records)
}

/// Ends TCP so that the client surely sees what was sent: a socket closed with unread bytes would reset it.
fn linger(socket: &Socket) {
    let _ = socket.shutdown(Shutdown::Write);
    while matches!({ socket }.read(&mut [0; 1024]), Ok(1..)) {}
}

/// The socket, written to in pieces.
struct Pieces<'a> {
    socket: &'a Socket,
    bytes_max: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.socket.read(out)
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(&bytes[..bytes.len().min(self.bytes_max)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
