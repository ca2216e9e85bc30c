//! The bytes of TLS cut: a server whose ciphertext goes on its way up to some byte and no further. What of the conversation
//! has come is what the records that came whole carry; before the server's last handshake message it is nothing, and the
//! stream is still making TLS.

use super::model::{End, Known, pieces};
use super::support::peer::{Connection, Peer, accept_key, tls_config};
use super::support::reader::Reader;
use super::support::{Cause, Options, Phase, Stream};
use super::{
    AT_ONCE, Case, Outcome, Reading, impatient_options, leaves_nothing_behind, options, turn, whole,
};
use rustls::server::StoresServerSessions;
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Takes every session, so that tickets are sent, and finds none, so that every handshake is a whole one.
#[derive(Debug)]
struct Forgetful;

impl StoresServerSessions for Forgetful {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        true
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// The way to the client: what is beyond its end is lost.
struct Way {
    tcp: TcpStream,
    size: usize,
    /// How much was to go.
    made: usize,
}

impl Way {
    fn is_whole(&self) -> bool {
        self.made <= self.size
    }
}

impl Write for Way {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.size.saturating_sub(self.made).min(bytes.len());
        self.tcp.write_all(&bytes[..left])?;
        self.made += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Server {
    peer: Peer,
    config: Arc<ServerConfig>,
    options: Options,
}

impl Server {
    fn new(options: Options) -> Self {
        let mut config = ServerConfig::clone(&tls_config());
        config.session_storage = Arc::new(Forgetful);
        Self { peer: Peer::of_scheme(None), config: Arc::new(config), options }
    }

    /// A case of which so many bytes of ciphertext are sent, and whether those were all.
    fn begin(&self, size: usize, end: End, reading: Reading) -> (Case, bool) {
        let stream = Stream::open_with(&self.peer.url(), &self.options);
        let reader = (reading != Reading::Nobody).then(|| Reader::begin(&stream, whole));
        let mut way = Way { tcp: self.peer.accept_raw().0, size, made: 0 };
        let mut tls = ServerConnection::new(Arc::clone(&self.config)).expect("a session");
        let request = shake_hands(&mut tls, &mut way);
        let is_secured = request.is_some();
        let request = request.unwrap_or_default();
        let known = if is_secured { converse(&mut tls, &mut way, &request) } else { Known::default() };
        let mut outcome = Outcome::new(format!("{size} bytes of TLS"), known, end, reading);
        if !is_secured {
            outcome.closed.1.phase = Phase::Tls;
            if end == End::Fin {
                outcome.closed.1.cause = Cause::Tls;
            }
        }
        let is_whole = is_secured && way.is_whole();
        (Case { outcome, stream, connection: Connection::secured(way.tcp, tls, request), reader }, is_whole)
    }
}

fn flush(tls: &mut ServerConnection, way: &mut Way) {
    while tls.wants_write() {
        tls.write_tls(way).expect("the client takes it");
    }
}

/// Up to the request; none where the client does not get the server's last handshake message.
fn shake_hands(tls: &mut ServerConnection, way: &mut Way) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        tls.read_tls(&mut way.tcp).expect("a client that speaks TLS");
        tls.process_new_packets().expect("a client that speaks it well");
        // TLS 1.3: the answer to the first flight is all of it but tickets.
        let is_first = way.made == 0;
        flush(tls, way);
        if is_first && !way.is_whole() {
            return None;
        }
        let mut piece = [0; 4096];
        while let Ok(size) = tls.reader().read(&mut piece) {
            request.extend_from_slice(&piece[..size]);
        }
    }
    Some(String::from_utf8(request).expect("ASCII"))
}

/// A record for each piece of the conversation; what of it goes all its way.
fn converse(tls: &mut ServerConnection, way: &mut Way, request: &str) -> Known {
    let mut size = 0;
    for (bytes, _) in pieces(&accept_key(request)) {
        tls.writer().write_all(&bytes).expect("it is buffered");
        flush(tls, way);
        if way.is_whole() {
            size += bytes.len();
        }
    }
    Known::by(size)
}

/// What ends it where the cut is at this byte, and how the program reads; eight bytes have all of it.
fn ending(size: usize) -> (End, Reading) {
    let end = if size / 2 % 2 == 0 { End::Reset } else { End::Fin };
    (end, if size / 4 % 2 == 0 { Reading::Nobody } else { Reading::Hurried })
}

/// Every cut from this one on up to the end, one in so many; where that is.
fn cut(from: usize, step: usize) -> usize {
    let server = Server::new(options());
    let mut size = from;
    loop {
        let (end, reading) = ending(size);
        let (case, is_whole) = server.begin(size, end, reading);
        case.end(0);
        if is_whole {
            return size;
        }
        size += step;
    }
}

fn stall(sizes: impl Iterator<Item = usize>) {
    let (server, sizes) = (Server::new(impatient_options()), sizes.collect::<Vec<_>>());
    for sizes in sizes.chunks(AT_ONCE) {
        let begin = |&size: &usize| {
            let (mut case, _) = server.begin(size, End::Stall, Reading::Nobody);
            case.give_up();
            case
        };
        let cases: Vec<_> = sizes.iter().map(begin).collect();
        for case in cases {
            let before = case.answers();
            case.end(before);
        }
    }
}

/// Cuts and ends on two threads, one byte in so many; a third of those stall on another thread meanwhile, for a stall takes its
/// time. Where the end is.
fn run(step: usize, most: usize) -> usize {
    std::thread::scope(|scope| {
        let stalls = scope.spawn(move || stall((0..=most).step_by(3 * step)));
        let odd = scope.spawn(|| cut(step, 2 * step));
        let even = cut(0, 2 * step);
        stalls.join().expect("its cases hold");
        even.max(odd.join().expect("its cases hold"))
    })
}

pub fn cut_at_each_byte() {
    let _turn = turn();
    let most = AtomicUsize::new(0);
    leaves_nothing_behind(
        || most.store(run(40, 0), Relaxed),
        || assert!(run(1, most.load(Relaxed)) > 1000, "less than TLS needs"),
    );
}
