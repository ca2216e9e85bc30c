//! Bytes of a connection, with or without TLS. Knows nothing of WebSocket.

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

pub struct Transport {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

/// What a read or a write came to.
pub enum Moved {
    Bytes(usize),
    /// The system has nothing more, or takes nothing more, until it reports.
    Blocked,
    Over,
}

fn moved(result: io::Result<usize>) -> Moved {
    match result {
        Ok(0) => Moved::Over,
        Ok(size) => Moved::Bytes(size),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Moved::Blocked,
        Err(_) => Moved::Over,
    }
}

impl Transport {
    pub fn new(socket: TcpStream, config: Option<Arc<ServerConfig>>) -> Self {
        let tls = config.map(|config| Box::new(ServerConnection::new(config).expect("a good configuration")));
        Self { socket, tls }
    }

    /// Receives; after a short read of a plain socket the system reports what comes next.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Moved {
        let Some(tls) = &mut self.tls else { return moved(self.socket.read(buffer)) };
        loop {
            match tls.reader().read(buffer) {
                Ok(0) => return Moved::Over,
                Ok(size) => return Moved::Bytes(size),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Moved::Over,
            }
            let moved = moved(tls.read_tls(&mut self.socket));
            if !matches!(moved, Moved::Bytes(_)) {
                return moved;
            }
            if tls.process_new_packets().is_err() {
                return Moved::Over;
            }
            if tls.wants_write() {
                let _ = tls.write_tls(&mut self.socket);
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Moved {
        let Some(tls) = &mut self.tls else { return moved(self.socket.write(bytes)) };
        while tls.wants_write() {
            let moved = moved(tls.write_tls(&mut self.socket));
            if !matches!(moved, Moved::Bytes(_)) {
                return moved;
            }
        }
        // What rustls has taken counts as sent; the rest leaves with `finish`.
        moved(tls.writer().write(bytes))
    }

    /// Sends what TLS has kept back; `ends`: and its end.
    pub fn finish(&mut self, ends: bool) -> Moved {
        let Some(tls) = &mut self.tls else { return Moved::Bytes(0) };
        if ends {
            tls.send_close_notify();
        }
        while tls.wants_write() {
            let moved = moved(tls.write_tls(&mut self.socket));
            if !matches!(moved, Moved::Bytes(_)) {
                return moved;
            }
        }
        Moved::Bytes(0)
    }

    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}
