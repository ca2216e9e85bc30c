//! TLS against a server of rustls over a real connection. Both are driven by the thread of the test, so that it decides
//! which bytes arrive when; `until` has a deadline.

mod ending;
mod options;
mod threads;
mod traffic;
mod trust;

use super::{TlsConfig, TlsOptions, server_name};
use crate::memory::Chunk;
use crate::net::transport::{Received, Sent, Transport};
use crate::net::{TlsFailure, sys};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = format!("Authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    pub fn trusting(&self) -> TlsConfig {
        TlsConfig::new(&TlsOptions { ca_pem: Some(self.pem.as_bytes()), ..TlsOptions::default() }).unwrap()
    }
}

impl Identity {
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// A server that has this certificate.
    pub fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(super::config::provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain(), self.private_key())
            .unwrap()
    }
}

/// The server: what it has to send waits in `wire` until it is delivered.
pub struct Server {
    pub tls: ServerConnection,
    pub socket: TcpStream,
    pub wire: Vec<u8>,
    pub received: Vec<u8>,
    pub error: Option<rustls::Error>,
    pub is_closed: bool,
    pub is_ended: bool,
}

impl Server {
    /// Takes in what has come, without waiting.
    pub fn take_in(&mut self) {
        while self.tls.wants_read() && self.error.is_none() && !self.is_ended {
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => self.is_ended = true,
                Ok(_) => self.process(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The client has closed a socket with bytes in it.
                Err(_) => self.is_ended = true,
            }
        }
        self.make();
    }

    fn process(&mut self) {
        match self.tls.process_new_packets() {
            Ok(state) => self.is_closed |= state.peer_has_closed(),
            Err(error) => self.error = Some(error),
        }
        let mut plaintext = [0; 16 * 1024];
        while let Ok(size @ 1..) = self.tls.reader().read(&mut plaintext) {
            self.received.extend_from_slice(&plaintext[..size]);
        }
    }

    /// Makes records of what is to be sent.
    pub fn make(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.wire).unwrap();
        }
    }

    /// A record of its own.
    pub fn write(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
        self.make();
    }

    /// Gives the client so many bytes of the wire, as far as its socket takes them.
    pub fn deliver(&mut self, size_max: usize) -> usize {
        let size = self.wire.len().min(size_max);
        match self.socket.write(&self.wire[..size]) {
            Ok(size) => {
                self.wire.drain(..size);
                size
            }
            Err(_) => 0,
        }
    }
}

/// The client: a transport and what came out of it.
pub struct Client {
    pub transport: Transport,
    pub received: Vec<u8>,
    pub is_ended: bool,
    pub error: Option<std::io::Error>,
}

impl Client {
    /// One receive with room for so many bytes.
    pub fn receive(&mut self, room: usize) -> Result<Received> {
        let mut chunk = Chunk::with_capacity(room).unwrap();
        let received = self.transport.receive(&mut chunk, room);
        self.received.extend_from_slice(chunk.filled());
        match &received {
            Ok(Received::Bytes { size, .. }) => assert_eq!(*size, chunk.len()),
            _ => assert_eq!(chunk.len(), 0),
        }
        received
    }

    /// Sends what TLS has to send and takes in what has come.
    pub fn go_on(&mut self) {
        if self.transport.has_output() && self.transport.send(&[]).is_err() {
            return;
        }
        if self.is_ended || self.error.is_some() {
            return;
        }
        match self.receive(64 * 1024) {
            Ok(Received::End) => self.is_ended = true,
            Ok(_) => {}
            Err(error) => self.error = Some(error),
        }
    }

    pub fn failure(&self) -> TlsFailure {
        let error = self.error.as_ref().expect("it has failed");
        error.get_ref().expect("by TLS").downcast_ref::<TlsFailure>().expect("by TLS").clone()
    }

    /// Sends something small, which the socket takes.
    pub fn send(&mut self, bytes: &[u8]) {
        let sent = self.transport.send(bytes).unwrap();
        assert_eq!(sent, Sent { taken: bytes.len(), left: 0, blocked: false });
    }
}

pub struct Pair {
    pub client: Client,
    pub server: Server,
}

impl Pair {
    pub fn new(config: &TlsConfig, name: &str, server: ServerConfig) -> Self {
        let (client, socket) = connected();
        let transport = Transport::secure(client.into(), config, server_name(name).unwrap()).unwrap();
        Self {
            client: Client { transport, received: Vec::new(), is_ended: false, error: None },
            server: Server {
                tls: ServerConnection::new(Arc::new(server)).unwrap(),
                socket,
                wire: Vec::new(),
                received: Vec::new(),
                error: None,
                is_closed: false,
                is_ended: false,
            },
        }
    }

    /// Lets both go on until something is so.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < DEADLINE, "not within the deadline: {what}");
            self.client.go_on();
            self.server.take_in();
            self.server.deliver(usize::MAX);
            self.wait();
        }
    }

    /// Until one of them has something to receive, or soon.
    pub fn wait(&self) {
        let client = sys::poll_fd(self.client.transport.descriptor(), true, false);
        let server = sys::poll_fd(self.server.socket.as_raw_fd(), true, false);
        sys::poll(&mut [client, server], 5).unwrap();
    }

    /// Receives until the client has what was delivered and `is_so`.
    pub fn client_until(&mut self, what: &str, room: usize, is_so: impl Fn(&Client) -> bool) {
        let start = Instant::now();
        while !is_so(&self.client) {
            assert!(start.elapsed() < DEADLINE, "not within the deadline: {what}");
            if self.client.receive(room).unwrap() == Received::Nothing {
                let client = sys::poll_fd(self.client.transport.descriptor(), true, false);
                sys::poll(&mut [client], 5).unwrap();
            }
        }
    }
}

/// Two sockets that are connected; the second does not wait.
pub fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

/// A pair whose handshake is done, session tickets and all.
pub fn opened(
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut ServerConfig),
) -> Pair {
    let authority = Authority::new();
    let mut server = authority.issue("localhost", |_| {}).server(versions);
    change(&mut server);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.until("the handshake", |pair| {
        pair.client.transport.is_secured() && !pair.server.tls.is_handshaking() && pair.server.wire.is_empty()
    });
    pair
}

/// Bytes that are easily told from each other.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

impl Transport {
    fn inner(&self) -> &super::Tls {
        self.tls().expect("with TLS")
    }

    fn tls_memory(&self) -> usize {
        self.inner().memory()
    }

    /// As a bug in rustls would.
    fn panic_in_tls(&self) {
        let panic = std::panic::AssertUnwindSafe(|| {
            let _locked = self.inner().lock();
            std::panic::resume_unwind(Box::new("a bug"));
        });
        assert!(std::panic::catch_unwind(panic).is_err());
    }
}
