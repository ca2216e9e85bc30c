//! Bytes in both directions, whatever the records look like.

use super::*;
use rustls::version::{TLS12, TLS13};

/// The size of a record as it lies on the wire.
fn record_size(wire: &[u8]) -> usize {
    5 + usize::from(u16::from_be_bytes([wire[3], wire[4]]))
}

#[test]
fn the_first_bytes_wait_to_be_sent_at_once() {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    let transport = &pair.client.transport;
    assert!(transport.is_secure() && !transport.is_secured() && transport.has_output());
    // Bytes are not taken before the TLS handshake is done.
    assert_eq!(transport.send(b"early").unwrap(), Sent { taken: 0, left: 0, blocked: false });
    assert!(!transport.has_output());
    pair.until("the handshake", |pair| pair.client.transport.is_secured());
}

#[test]
fn bytes_go_both_ways_in_either_version() {
    for version in [&TLS12, &TLS13] {
        let mut pair = opened(&[version], |_| {});
        assert_eq!(pair.server.tls.protocol_version(), Some(version.version));
        pair.client.send(b"to the server");
        pair.server.write(b"to the client");
        pair.until("both", |pair| {
            pair.server.received == b"to the server" && pair.client.received == b"to the client"
        });
    }
}

#[test]
fn http_1_1_is_offered() {
    let pair = opened(&[&TLS13], |server| server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(pair.server.tls.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn the_last_handshake_message_leaves_with_the_first_bytes() {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.client.send(b"");
    let start = Instant::now();
    while !pair.client.transport.is_secured() {
        assert!(start.elapsed() < DEADLINE);
        pair.server.take_in();
        pair.server.deliver(usize::MAX);
        assert_eq!(pair.client.receive(4096).unwrap(), Received::Nothing);
        pair.wait();
    }
    assert!(pair.client.transport.has_output());
    pair.client.send(b"first");
    pair.until("the bytes", |pair| pair.server.received == b"first");
}

/// A server whose tickets are cut into records of 64 bytes, with the first of them delivered.
fn with_half_a_ticket() -> Pair {
    let authority = Authority::new();
    let mut server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    server.max_fragment_size = Some(64);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.until("the client's side", |pair| pair.client.transport.is_secured());
    pair.client.send(b"");
    let start = Instant::now();
    while pair.server.tls.is_handshaking() {
        assert!(start.elapsed() < DEADLINE);
        pair.server.take_in();
        pair.wait();
    }
    let size = record_size(&pair.server.wire);
    assert!(pair.server.wire.len() > 2 * size, "the ticket is in several records");
    pair.server.deliver(size);
    pair.wait();
    assert_eq!(pair.client.receive(4096).unwrap(), Received::Nothing);
    pair
}

#[test]
fn a_writer_goes_on_while_half_a_session_ticket_is_here() {
    let mut pair = with_half_a_ticket();
    assert!(!pair.client.transport.has_input());
    pair.client.transport.release_memory();
    pair.client.send(b"in between");
    // Half of the next record, too.
    pair.server.deliver(30);
    pair.wait();
    assert_eq!(pair.client.receive(4096).unwrap(), Received::Nothing);
    pair.client.send(b", twice");
    pair.server.write(b"after the ticket");
    pair.until("both", |pair| {
        pair.server.received == b"in between, twice" && pair.client.received == b"after the ticket"
    });
}

#[test]
fn records_of_one_byte_come_in_order() {
    let bytes = pattern(500);
    for room in [1, 7, 4096] {
        let mut pair = opened(&[&TLS13], |_| {});
        for byte in &bytes {
            pair.server.write(&[*byte]);
        }
        pair.server.deliver(usize::MAX);
        pair.client_until("all records", room, |client| client.received.len() == bytes.len());
        assert_eq!(pair.client.received, bytes);
        assert!(!pair.client.transport.has_input());
        assert_eq!(pair.client.receive(room).unwrap(), Received::Nothing);
    }
}

#[test]
fn what_comes_byte_by_byte_comes_whole() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(b"one");
    pair.server.write(b"two");
    while pair.server.deliver(1) == 1 {
        pair.wait();
        pair.client.receive(4096).unwrap();
    }
    pair.client_until("both", 4096, |client| client.received == b"onetwo");
}

#[test]
fn what_a_writer_meets_is_the_readers() {
    let mut pair = opened(&[&TLS13], |_| {});
    for part in [&b"first"[..], b"second", b"third"] {
        pair.server.write(part);
    }
    pair.server.deliver(usize::MAX);
    pair.wait();
    // The reader has room for the first record only: the others stay in the input, where the writer meets them.
    assert_eq!(pair.client.receive(5).unwrap(), Received::Bytes { size: 5, drained: false });
    assert!(pair.client.transport.has_input());
    pair.client.send(b"written");
    assert!(pair.client.transport.has_input());
    assert_eq!(pair.client.receive(8).unwrap(), Received::Bytes { size: 8, drained: false });
    assert_eq!(pair.client.receive(8).unwrap(), Received::Bytes { size: 3, drained: true });
    assert!(!pair.client.transport.has_input());
    assert_eq!(pair.client.received, b"firstsecondthird");
    pair.until("the bytes", |pair| pair.server.received == b"written");
}

#[test]
fn a_record_larger_than_the_room_stays_for_the_next_receive() {
    let bytes = pattern(16 * 1024);
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(&bytes);
    pair.server.deliver(usize::MAX);
    pair.client_until("a part", 1000, |client| !client.received.is_empty());
    assert!(pair.client.transport.has_input());
    // Nothing further comes, and the socket is not needed.
    while pair.client.transport.has_input() {
        assert!(matches!(pair.client.receive(1000).unwrap(), Received::Bytes { size: 1..=1000, .. }));
    }
    assert_eq!(pair.client.received, bytes);
}

#[test]
fn a_receive_into_a_chunk_keeps_to_its_limit() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(b"0123456789");
    pair.server.deliver(usize::MAX);
    pair.wait();
    let mut chunk = Chunk::with_capacity(8).unwrap();
    chunk.append(b"ab");
    let first = pair.client.transport.receive(&mut chunk, 4).unwrap();
    assert_eq!(first, Received::Bytes { size: 4, drained: false });
    let second = pair.client.transport.receive(&mut chunk, usize::MAX).unwrap();
    assert_eq!(second, Received::Bytes { size: 2, drained: false });
    assert_eq!(chunk.filled(), b"ab012345");
}

#[test]
fn one_receive_takes_in_many_records() {
    let mut pair = opened(&[&TLS13], |_| {});
    for _ in 0..20 {
        pair.server.write(&[7; 100]);
    }
    pair.server.deliver(usize::MAX);
    pair.wait();
    assert_eq!(pair.client.receive(4096).unwrap(), Received::Bytes { size: 2000, drained: true });
}

#[test]
fn new_keys_of_the_server_are_taken_in_the_midst_of_traffic() {
    let mut pair = opened(&[&TLS13], |_| {});
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    for round in 0..20u8 {
        pair.server.write(&[round; 900]);
        pair.server.tls.refresh_traffic_keys().unwrap();
        pair.server.write(&[round; 70]);
        to_client.extend_from_slice(&[round; 970]);
        // Half of it, so that the writer meets what is left and the request for new keys in it.
        pair.server.deliver(950);
        pair.wait();
        pair.client.receive(800).unwrap();
        pair.client.send(&[round; 333]);
        to_server.extend_from_slice(&[round; 333]);
        let (client, server) = (to_client.clone(), to_server.clone());
        pair.until("the round", |pair| pair.client.received == client && pair.server.received == server);
    }
}

#[test]
fn an_idle_connection_owns_no_buffer() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(&pattern(30_000));
    pair.client.send(&pattern(5000));
    pair.until("both", |pair| pair.client.received.len() == 30_000 && pair.server.received.len() == 5000);
    let owned = |pair: &Pair| pair.client.transport.tls_memory();
    assert!(owned(&pair) > 0);
    pair.client.transport.release_memory();
    assert_eq!(owned(&pair), 0);
    pair.server.write(b"again");
    pair.until("more", |pair| pair.client.received.ends_with(b"again"));
}

#[test]
fn what_is_made_while_bytes_are_sent_goes_behind_them() {
    let pair = opened(&[&TLS13], |_| {});
    let mut state = pair.client.transport.inner().lock();
    state.outgoing.append(b"sent, left").unwrap();
    let outgoing = std::mem::take(&mut state.outgoing);
    state.outgoing.append(b", made").unwrap();
    state.put_back(outgoing, Ok(6)).unwrap();
    assert_eq!(state.outgoing.filled(), b"left, made");
    assert!(state.is_blocked);
}

#[test]
fn a_full_socket_bounds_what_is_held() {
    let bytes = pattern(8 << 20);
    let mut pair = opened(&[&TLS13], |_| {});
    let mut taken = 0;
    loop {
        let sent = pair.client.transport.send(&bytes[taken..]).unwrap();
        taken += sent.taken;
        assert!(sent.left <= super::super::ROUND_SIZE + 1024, "{} held", sent.left);
        assert_eq!(sent.left > 0, pair.client.transport.has_output());
        if sent.blocked {
            // A second attempt takes no more.
            let again = pair.client.transport.send(&bytes[taken..]).unwrap();
            assert_eq!(again.taken, 0);
            assert!(again.left > 0 && again.blocked);
            break;
        }
        assert!(taken < bytes.len(), "the socket takes everything");
    }
    let start = Instant::now();
    while pair.server.received.len() < bytes.len() {
        assert!(start.elapsed() < DEADLINE);
        pair.server.take_in();
        taken += pair.client.transport.send(&bytes[taken..]).unwrap().taken;
    }
    assert!(pair.server.received == bytes);
}
