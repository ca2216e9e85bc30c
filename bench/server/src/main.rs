//! The server of the benchmark: server CERTIFICATE-FILE
//!
//! Prints the addresses of ws and wss and leaves the certificate of the latter in the file. One thread; a connection that
//! breaks the protocol is closed, as this is no peer for tests.

mod connection;
mod frames;
mod handshake;
mod transport;

use connection::Connection;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use transport::Transport;

const PLAIN: Token = Token(0);
const SECURE: Token = Token(1);
const FIRST: usize = 2;

/// How many events are taken at once.
const EVENTS_MAX: usize = 1024;

fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).expect("usage: server CERTIFICATE-FILE");
    raise_descriptor_limit();
    let config = configure(&path)?;
    let mut poll = Poll::new()?;
    let mut listeners = [listen()?, listen()?];
    for (token, listener) in [PLAIN, SECURE].into_iter().zip(&mut listeners) {
        poll.registry().register(listener, token, Interest::READABLE)?;
    }
    let [plain, secure] = [listeners[0].local_addr()?, listeners[1].local_addr()?];
    writeln!(io::stdout(), "ws://{plain} wss://localhost:{}", secure.port())?;
    serve(&mut poll, &listeners, &config)
}

fn listen() -> io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0".parse().expect("an address"))
}

fn serve(poll: &mut Poll, listeners: &[TcpListener; 2], config: &Arc<ServerConfig>) -> io::Result<()> {
    let mut connections: HashMap<usize, Connection> = HashMap::new();
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut next = FIRST;
    let mut scratch = vec![0; connection::SCRATCH_SIZE];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(number) = event.token();
            if number < FIRST {
                while let Ok((mut socket, _)) = listeners[number].accept() {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut socket, Token(next), interest)?;
                    socket.set_nodelay(true)?;
                    let config = (event.token() == SECURE).then(|| Arc::clone(config));
                    connections.insert(next, Connection::new(Transport::new(socket, config)));
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&number) {
                if !connection.ready(&mut scratch) {
                    connections.remove(&number);
                }
            }
        }
    }
}

/// A fresh certificate for `localhost` and 127.0.0.1, left in the file at `path`.
fn configure(path: &str) -> io::Result<Arc<ServerConfig>> {
    let names = ["localhost", "127.0.0.1"].map(String::from).to_vec();
    let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
    std::fs::write(path, certified.cert.pem())?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("the key is of the certificate");
    Ok(Arc::new(config))
}

/// Ten thousand connections need as many descriptors.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a variable of this function.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
