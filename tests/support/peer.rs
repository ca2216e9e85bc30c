//! A server whose every byte a test decides, for what the test server cannot be asked to do.

pub use super::frame_bytes as frame;
use super::{deadline, hex, is_secure, server, until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

pub struct Peer {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Peer {
    /// A peer of the scheme under test: its bytes are those inside TLS, its ends those of TCP.
    pub fn of_scheme(receive_buffer: Option<usize>) -> Self {
        Self { tls: is_secure().then(tls_config), ..Self::new(receive_buffer) }
    }

    /// Listens, always plain; its connections receive into a small buffer if `receive_buffer` says so.
    pub fn new(receive_buffer: Option<usize>) -> Self {
        deadline::begin();
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).expect("a small buffer");
        }
        let address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&address.into()).expect("a free port");
        socket.listen(64).expect("listens");
        Self { listener: socket.into(), tls: None }
    }

    pub fn url(&self) -> String {
        let address = self.listener.local_addr().expect("bound");
        match &self.tls {
            Some(_) => format!("wss://{address}/"),
            None => format!("ws://{address}/"),
        }
    }

    /// A connection of which nothing has been read, and the TLS that is to be spoken on it.
    pub fn accept_raw(&self) -> (TcpStream, Option<ServerConnection>) {
        let (tcp, _) = self.listener.accept().expect("a client");
        tcp.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        tcp.set_nodelay(true).expect("no delay");
        let tls = self.tls.clone().map(|config| ServerConnection::new(config).expect("a session"));
        (tcp, tls)
    }

    /// Whether a client is there that was not accepted.
    pub fn has_client(&self) -> bool {
        self.listener.set_nonblocking(true).expect("does not wait");
        let is_there = self.listener.accept().is_ok();
        self.listener.set_nonblocking(false).expect("waits again");
        is_there
    }

    /// A connection whose request has been read.
    pub fn accept(&self) -> Connection {
        let (tcp, tls) = self.accept_raw();
        let mut socket = Socket { tcp, tls };
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            socket.read_exact(&mut byte).expect("a request");
            request.push(byte[0]);
        }
        Connection { socket, request: String::from_utf8(request).expect("ASCII") }
    }

    /// An open connection.
    pub fn open(&self) -> Connection {
        let mut connection = self.accept();
        connection.switch(b"");
        connection
    }
}

/// What a peer speaks TLS with.
pub fn tls_config() -> Arc<ServerConfig> {
    #[cfg(not(feature = "ring"))]
    use rustls::crypto::aws_lc_rs as cryptography;
    #[cfg(feature = "ring")]
    use rustls::crypto::ring as cryptography;
    let certificate = server().pem("server certificate");
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(server().pem("server key").as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(cryptography::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key));
    Arc::new(config.expect("a configuration"))
}

pub struct Connection {
    pub socket: Socket,
    request: String,
}

/// Reads and writes go through TLS if there is any. All else is TCP's.
pub struct Socket {
    pub tcp: TcpStream,
    tls: Option<ServerConnection>,
}

impl std::ops::Deref for Socket {
    type Target = TcpStream;
    fn deref(&self) -> &TcpStream {
        &self.tcp
    }
}

impl Read for Socket {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(tls) = &mut self.tls {
            match tls.reader().read(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            // Nothing read is the end for the session as well.
            tls.read_tls(&mut self.tcp)?;
            let processed = tls.process_new_packets().map(|_| ());
            self.flush()?;
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        self.tcp.read(out)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let Some(tls) = &mut self.tls else { return self.tcp.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        // What does not go now goes before the next.
        let _ = self.flush();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

impl Socket {
    /// Says close_notify, if TLS is spoken; TCP goes on.
    pub fn end_tls(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        // A client that is gone needs not be told.
        let _ = self.flush();
    }
}

/// Resets TCP.
pub fn reset(tcp: TcpStream) {
    socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).expect("lingers not");
}

/// Returns when the client's system has all that was sent.
pub fn arrived(tcp: &TcpStream) {
    until(|| {
        let mut unacknowledged: libc::c_int = 1;
        // SAFETY: the pointer is to a variable of that type.
        let answer = unsafe { libc::ioctl(tcp.as_raw_fd(), libc::TIOCOUTQ, &raw mut unacknowledged) };
        assert_eq!(answer, 0, "{}", io::Error::last_os_error());
        unacknowledged == 0
    });
}

/// What `Sec-WebSocket-Accept` has to answer to this request.
pub fn accept_key(request: &str) -> String {
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    tungstenite::handshake::derive_accept_key(key.expect("a key").as_bytes())
}

/// A frame of the client, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Connection {
    /// One whose request has been read through this TLS.
    pub fn secured(tcp: TcpStream, tls: ServerConnection, request: String) -> Self {
        Self { socket: Socket { tcp, tls: Some(tls) }, request }
    }

    /// What has to answer the request's key.
    pub fn accept_key(&self) -> String {
        accept_key(&self.request)
    }

    /// The value of a header field in the request.
    pub fn requested(&self, name: &str) -> Option<&str> {
        self.request.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Answers the handshake, with more bytes in the same write.
    pub fn switch(&mut self, more: &[u8]) {
        self.switch_with("", more);
    }

    /// The same with further header lines, each with its end.
    pub fn switch_with(&mut self, lines: &str, more: &[u8]) {
        let accept = self.accept_key();
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
        );
        self.send(&[head.as_bytes(), more].concat());
    }

    /// All that comes up to the end of TCP.
    pub fn receive_rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // An end that is not in order leaves what came before.
        let _ = self.socket.read_to_end(&mut bytes);
        bytes
    }

    /// Takes bytes until none comes for a while. Were it less, the client would still not know of the rest.
    pub fn take_what_is_here(&mut self) {
        self.socket.tcp.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
        while self.socket.read(&mut [0; 65536]).is_ok_and(|size| size > 0) {}
        self.socket.tcp.set_read_timeout(None).expect("no time");
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).and_then(|()| self.socket.flush()).expect("the client takes it");
    }

    /// The next frame; None at the end of TCP.
    pub fn receive(&mut self) -> Option<Received> {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).ok()?;
        assert!(head[1] & 0x80 != 0, "masked: {}", hex(&head));
        let size = match head[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(self.exactly())),
            127 => u64::from_be_bytes(self.exactly()),
            size => u64::from(size),
        };
        let mask: [u8; 4] = self.exactly();
        let mut payload = vec![0; usize::try_from(size).expect("a size")];
        self.socket.read_exact(&mut payload).ok()?;
        // Zipped in fours: large payloads in a build without optimisation.
        for four in payload.chunks_mut(4) {
            four.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        Some(Received { first: head[0], payload })
    }

    fn exactly<const SIZE: usize>(&mut self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        self.socket.read_exact(&mut bytes).expect("a whole header");
        bytes
    }
}

/// The whole frames in what a client has sent behind its handshake; what is cut off at the end is left out.
pub fn whole_frames(mut bytes: &[u8]) -> Vec<Received> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(second & 0x80 != 0, "masked: {}", hex(&bytes[..2]));
        let digits = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((size, rest)) = rest.split_at_checked(digits) else { break };
        let size = match digits {
            0 => usize::from(second & 0x7F),
            _ => size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte)),
        };
        let Some((mask, rest)) = rest.split_at_checked(4) else { break };
        let Some((payload, rest)) = rest.split_at_checked(size) else { break };
        let mut payload = payload.to_vec();
        for four in payload.chunks_mut(4) {
            four.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        frames.push(Received { first: *first, payload });
        bytes = rest;
    }
    frames
}
