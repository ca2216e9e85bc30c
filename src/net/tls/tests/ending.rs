//! How a connection ends, from either side.

use super::*;
use rustls::AlertDescription;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuiteCommon, ClientConfig, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use std::net::Shutdown;

#[test]
fn close_notify_of_the_peer_is_the_end() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(b"last");
    pair.server.tls.send_close_notify();
    pair.server.make();
    pair.server.wire.extend_from_slice(b"what follows is ignored");
    pair.server.deliver(usize::MAX);
    pair.wait();
    // The end is told after the bytes before it.
    assert_eq!(pair.client.receive(4096).unwrap(), Received::Bytes { size: 4, drained: false });
    assert!(pair.client.transport.has_input());
    assert_eq!(pair.client.receive(4096).unwrap(), Received::End);
    assert!(!pair.client.transport.has_input());
    assert_eq!(pair.client.receive(4096).unwrap(), Received::End);
    pair.client.transport.release_memory();
    assert_eq!(pair.client.transport.tls_memory(), 0);
    // The other direction goes on.
    pair.client.send(b"still");
    pair.until("the bytes", |pair| pair.server.received == b"still");
}

#[test]
fn an_end_of_tcp_without_close_notify_is_the_end_too() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(b"last");
    // Half a record before it changes nothing.
    pair.server.write(b"cut");
    let size = pair.server.wire.len() - 3;
    pair.server.deliver(size);
    pair.server.socket.shutdown(Shutdown::Write).unwrap();
    pair.until("the end", |pair| pair.client.is_ended);
    assert_eq!(pair.client.received, b"last");
    pair.client.send(b"still");
    pair.until("the bytes", |pair| pair.server.received == b"still");
}

#[test]
fn an_end_of_tcp_during_the_handshake_is_a_failure() {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.server.socket.shutdown(Shutdown::Write).unwrap();
    pair.until("the failure", |pair| pair.client.error.is_some());
    let failure = pair.client.failure();
    assert_eq!(failure.detail, "The peer ended TCP during the TLS handshake.");
    assert!(!failure.certificate);
}

#[test]
fn a_peer_without_tls_is_told() {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.server.socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    pair.client_failure();
    assert_eq!(pair.client.failure().detail, "The peer has sent what is not TLS.");
    assert!(!pair.client.failure().certificate);
}

#[test]
fn a_handshake_message_that_never_ends_is_refused() {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    // A ServerHello of 60000 bytes, one byte in each record.
    pair.server.wire.extend_from_slice(&[22, 3, 3, 0, 4, 2, 0, 0xea, 0x60]);
    for _ in 0..60_000 {
        pair.server.wire.extend_from_slice(&[22, 3, 3, 0, 1, 0]);
    }
    let start = Instant::now();
    while pair.client.error.is_none() {
        assert!(start.elapsed() < DEADLINE, "no failure");
        pair.server.deliver(usize::MAX);
        pair.client.go_on();
        pair.wait();
    }
    let detail = "The peer has sent a TLS handshake message that is too large.";
    assert_eq!(pair.client.failure().detail, detail);
    assert!(!pair.client.transport.has_input());
}

impl Pair {
    /// Lets the client alone go on until it fails.
    fn client_failure(&mut self) {
        let start = Instant::now();
        while self.client.error.is_none() {
            assert!(start.elapsed() < DEADLINE, "no failure");
            self.client.go_on();
            self.wait();
        }
    }
}

#[test]
fn a_forged_record_ends_the_connection_with_an_alert() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(b"true");
    pair.server.write(b"forged");
    *pair.server.wire.last_mut().unwrap() ^= 1;
    pair.server.deliver(usize::MAX);
    pair.wait();
    assert_eq!(pair.client.receive(4096).unwrap(), Received::Bytes { size: 4, drained: false });
    assert!(pair.client.transport.has_input() && pair.client.transport.has_output());
    pair.client_failure();
    assert_eq!(pair.client.failure().detail, "A TLS record was damaged or forged on its way.");
    // Bytes are refused, the alert goes.
    assert!(pair.client.transport.send(b"more").is_err());
    assert!(!pair.client.transport.has_output());
    assert_eq!(pair.client.transport.send(&[]).unwrap(), Sent { taken: 0, left: 0, blocked: false });
    assert!(pair.client.receive(4096).is_err());
    pair.until("the alert", |pair| pair.server.error.is_some());
    assert_eq!(pair.server.error, Some(rustls::Error::AlertReceived(AlertDescription::BadRecordMac)));
}

#[test]
fn a_writer_that_meets_a_forged_record_leaves_the_failure_to_the_reader() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.server.write(b"true");
    pair.server.write(b"forged");
    *pair.server.wire.last_mut().unwrap() ^= 1;
    pair.server.deliver(usize::MAX);
    pair.wait();
    assert_eq!(pair.client.receive(4).unwrap(), Received::Bytes { size: 4, drained: false });
    assert!(pair.client.transport.send(b"more").is_err());
    assert!(pair.client.transport.has_input());
    assert!(pair.client.receive(4).is_err());
    assert!(!pair.client.transport.has_input());
}

#[test]
fn an_alert_of_the_peer_is_told() {
    let mut pair = opened(&[&TLS12], |server| {
        server.alpn_protocols = Vec::new();
    });
    // An alert that no handshake has room for: its record is made by hand and hence not what the keys say.
    pair.server.wire.extend_from_slice(&[21, 3, 3, 0, 2, 2, 80]);
    pair.server.deliver(usize::MAX);
    pair.client_failure();
    assert_eq!(pair.client.failure().detail, "A TLS record was damaged or forged on its way.");

    let authority = Authority::new();
    let mut server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.until("the failure", |pair| pair.client.error.is_some());
    assert_eq!(pair.client.failure().detail, "The server does not speak HTTP/1.1 there (alert 120).");
}

#[test]
fn close_notify_goes_before_the_end_of_tcp() {
    for version in [&TLS12, &TLS13] {
        let mut pair = opened(&[version], |_| {});
        pair.client.send(b"last");
        pair.client.transport.end_sending();
        pair.until("the end", |pair| pair.server.is_ended || pair.server.is_closed);
        assert!(pair.server.is_closed);
        assert_eq!(pair.server.received, b"last");
        assert_eq!(pair.client.transport.send(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        // What the peer still sends is thrown away, be it TLS or not.
        pair.server.wire.extend_from_slice(b"anything at all");
        pair.server.deliver(usize::MAX);
        pair.server.socket.shutdown(Shutdown::Write).unwrap();
        pair.until("the end", |pair| pair.client.is_ended);
        assert_eq!(pair.client.received, b"");
    }
}

#[test]
fn an_end_before_the_handshake_says_nothing() {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[&TLS13]);
    let mut pair = Pair::new(&authority.trusting(), "localhost", server);
    pair.client.transport.end_sending();
    pair.until("the end", |pair| pair.server.is_ended);
    assert_eq!(pair.server.error, None);
}

#[test]
fn a_panic_within_fails_the_connection() {
    let mut pair = opened(&[&TLS13], |_| {});
    pair.client.transport.panic_in_tls();
    assert!(pair.client.transport.send(b"more").is_err());
    assert!(pair.client.receive(16).is_err());
    assert_eq!(pair.client.receive(16).unwrap_err().to_string(), "A bug was met in TLS.");
}

/// A provider of one cipher suite whose keys encrypt no more than 10 records.
fn short_lived_keys() -> CryptoProvider {
    let provider = super::super::config::provider();
    let suites = provider.cipher_suites.iter().map(|suite| match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: CipherSuiteCommon { confidentiality_limit: 10, ..suite.common },
                hkdf_provider: suite.hkdf_provider,
                aead_alg: suite.aead_alg,
                quic: suite.quic,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: CipherSuiteCommon { confidentiality_limit: 10, ..suite.common },
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: suite.aead_alg,
            })))
        }
    });
    CryptoProvider { cipher_suites: suites.collect(), ..provider.clone() }
}

fn with_short_lived_keys(version: &'static SupportedProtocolVersion) -> Pair {
    let authority = Authority::new();
    let server = authority.issue("localhost", |_| {}).server(&[version]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(short_lived_keys()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut pair = Pair::new(&TlsConfig(Arc::new(config)), "localhost", server);
    pair.until("the handshake", |pair| {
        pair.client.transport.is_secured() && !pair.server.tls.is_handshaking() && pair.server.wire.is_empty()
    });
    pair
}

#[test]
fn tls_1_3_takes_new_keys_before_the_old_ones_are_used_up() {
    let mut pair = with_short_lived_keys(&TLS13);
    for _ in 0..100 {
        pair.client.send(b"a record");
    }
    pair.until("the records", |pair| pair.server.received.len() == 800);
    // Also where one call makes many records.
    let bytes = pattern(300_000);
    let (mut taken, start) = (0, Instant::now());
    while taken < bytes.len() {
        assert!(start.elapsed() < DEADLINE);
        taken += pair.client.transport.send(&bytes[taken..]).unwrap().taken;
        pair.server.take_in();
    }
    pair.until("the large ones", |pair| pair.server.received.len() == 300_800);
    assert_eq!(pair.server.error, None);
}

#[test]
fn tls_1_2_ends_when_its_keys_are_used_up() {
    let mut pair = with_short_lived_keys(&TLS12);
    let mut sent = 0;
    let error = loop {
        match pair.client.transport.send(b"a record") {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 20, "the keys are never used up");
    };
    assert_eq!(error.to_string(), "The keys of TLS 1.2 have encrypted all they may.");
    pair.until("the end", |pair| pair.server.is_closed);
    assert_eq!(pair.server.received.len(), 8 * sent);
}

#[test]
fn a_socket_closed_early_is_not_closed_again() {
    let mut pair = opened(&[&TLS13], |_| {});
    let descriptor = pair.client.transport.descriptor();
    pair.client.transport.close_in_child();
    assert_eq!(pair.client.transport.descriptor(), -1);
    assert!(pair.client.transport.send(b"more").is_err());
    assert!(pair.client.receive(16).is_err());
    // The number may be anybody's now.
    let others: Vec<_> = (0..8).map(|_| connected()).collect();
    drop(pair.client);
    for (one, other) in &others {
        let mut byte = [0];
        (&*one).write_all(b"x").unwrap();
        sys::poll(&mut [sys::poll_fd(other.as_raw_fd(), true, false)], 5000).unwrap();
        (&*other).read_exact(&mut byte).unwrap();
    }
    let _ = descriptor;
}
