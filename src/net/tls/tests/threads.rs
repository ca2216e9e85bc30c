//! A reader and a writer at once, each of which processes what the other one has received.

use super::*;
use rustls::version::{TLS12, TLS13};
use std::thread;

const SIZE: usize = 6 << 20;

/// Echoes nothing: sends a pattern, takes one, and asks for new keys now and then.
fn serve(config: ServerConfig, mut socket: TcpStream, rekeys: bool) -> Vec<u8> {
    socket.set_nonblocking(true).unwrap();
    let mut server = Server {
        tls: ServerConnection::new(Arc::new(config)).unwrap(),
        socket: socket.try_clone().unwrap(),
        wire: Vec::new(),
        received: Vec::new(),
        error: None,
        is_closed: false,
        is_ended: false,
    };
    let bytes = pattern(SIZE);
    let (mut written, mut round) = (0, 0);
    let start = Instant::now();
    while server.received.len() < SIZE || written < SIZE || !server.wire.is_empty() {
        assert!(start.elapsed() < DEADLINE, "the server is not done");
        assert_eq!(server.error, None);
        server.take_in();
        if written < SIZE && !server.tls.is_handshaking() && server.wire.len() < 100_000 {
            round += 1;
            // Records of every size.
            let size = (1 << (round % 15)).min(SIZE - written);
            server.write(&bytes[written..written + size]);
            written += size;
            if rekeys && round % 50 == 0 {
                server.tls.refresh_traffic_keys().unwrap();
            }
        }
        if server.deliver(usize::MAX) == 0 && (written == SIZE || server.wire.len() >= 100_000) {
            let interest = sys::poll_fd(socket.as_raw_fd(), true, !server.wire.is_empty());
            sys::poll(&mut [interest], 50).unwrap();
        }
    }
    socket.flush().unwrap();
    server.received
}

fn write(transport: &Transport) {
    let bytes = pattern(SIZE);
    let (mut taken, mut left, mut round) = (0, 0, 0);
    let start = Instant::now();
    while taken < SIZE || left > 0 {
        assert!(start.elapsed() < DEADLINE, "the writer is not done");
        round += 1;
        let size = (3 << (round % 16)).min(SIZE - taken);
        let sent = transport.send(&bytes[taken..taken + size]).unwrap();
        taken += sent.taken;
        left = sent.left;
        if sent.blocked {
            sys::poll(&mut [sys::poll_fd(transport.descriptor(), false, true)], 50).unwrap();
        }
    }
}

fn read(transport: &Transport, mut received: Vec<u8>) -> Vec<u8> {
    let start = Instant::now();
    let mut round = 0;
    while received.len() < SIZE {
        assert!(start.elapsed() < DEADLINE, "the reader is not done: {}", received.len());
        round += 1;
        let mut chunk = Chunk::with_capacity(100 << (round % 8)).unwrap();
        match transport.receive(&mut chunk, usize::MAX).unwrap() {
            Received::Bytes { .. } => received.extend_from_slice(chunk.filled()),
            Received::Nothing => {
                assert!(!transport.has_input() || chunk.spare() > 0);
                sys::poll(&mut [sys::poll_fd(transport.descriptor(), true, false)], 50).unwrap();
            }
            Received::End => panic!("the server ended"),
        }
    }
    received
}

fn transfer(version: &'static SupportedProtocolVersion, rekeys: bool) {
    let authority = Authority::new();
    let mut config = authority.issue("localhost", |_| {}).server(&[version]);
    config.max_fragment_size = rekeys.then_some(700);
    let (client, socket) = connected();
    let transport =
        Transport::secure(client.into(), &authority.trusting(), server_name("localhost").unwrap()).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(move || serve(config, socket, rekeys));
        let (mut early, start) = (Vec::new(), Instant::now());
        while !transport.is_secured() {
            assert!(start.elapsed() < DEADLINE, "no handshake");
            transport.send(&[]).unwrap();
            let mut chunk = Chunk::with_capacity(1).unwrap();
            transport.receive(&mut chunk, 1).unwrap();
            // In TLS 1.2 the server's first bytes may come with the end of its handshake.
            early.extend_from_slice(chunk.filled());
            sys::poll(&mut [sys::poll_fd(transport.descriptor(), true, false)], 5).unwrap();
        }
        let writer = scope.spawn(|| write(&transport));
        let received = read(&transport, early);
        writer.join().unwrap();
        assert!(received == pattern(SIZE), "what the client has received");
        assert!(server.join().unwrap() == pattern(SIZE), "what the server has received");
    });
}

#[test]
fn a_reader_and_a_writer_go_on_at_once() {
    transfer(&TLS13, false);
}

#[test]
fn a_reader_and_a_writer_go_on_at_once_while_keys_change() {
    transfer(&TLS13, true);
}

#[test]
fn a_reader_and_a_writer_go_on_at_once_in_tls_1_2() {
    transfer(&TLS12, false);
}
