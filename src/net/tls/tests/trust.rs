//! Whom the client believes, and what it says when it does not.

use super::*;
use rustls::AlertDescription;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

/// How a client that asks for `name` fails at a server with this certificate, and the alert that the server sees.
fn failure_at(config: &TlsConfig, name: &str, identity: &Identity) -> (TlsFailure, Option<rustls::Error>) {
    let mut pair = Pair::new(config, name, identity.server(&[&TLS13]));
    pair.until("the failure and its alert", |pair| {
        pair.client.error.is_some() && pair.server.error.is_some()
    });
    assert!(!pair.client.transport.is_secured());
    (pair.client.failure(), pair.server.error)
}

fn alert(description: AlertDescription) -> Option<rustls::Error> {
    Some(rustls::Error::AlertReceived(description))
}

#[test]
fn an_unknown_issuer_is_told_and_the_server_hears_of_it() {
    let (stranger, trusted) = (Authority::new(), Authority::new());
    let identity = stranger.issue("localhost", |_| {});
    let (failure, seen) = failure_at(&trusted.trusting(), "localhost", &identity);
    assert!(failure.certificate);
    assert_eq!(failure.detail, "The certificate of the server was issued by nobody that is trusted here.");
    assert_eq!(seen, alert(AlertDescription::UnknownCA));
}

#[test]
fn another_host_is_told() {
    let authority = Authority::new();
    let identity = authority.issue("example.com", |_| {});
    let (failure, _) = failure_at(&authority.trusting(), "localhost", &identity);
    assert!(failure.certificate);
    assert_eq!(failure.detail, "The certificate of the server is for another host than localhost.");
    let (failure, _) = failure_at(&authority.trusting(), "::1", &identity);
    assert_eq!(failure.detail, "The certificate of the server is for another host than ::1.");
}

#[test]
fn the_time_of_a_certificate_is_looked_at() {
    let authority = Authority::new();
    let old = authority.issue("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let (failure, seen) = failure_at(&authority.trusting(), "localhost", &old);
    assert!(failure.certificate);
    assert_eq!(failure.detail, "The certificate of the server has expired.");
    assert_eq!(seen, alert(AlertDescription::CertificateExpired));
    let early = authority.issue("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2999, 1, 1);
        params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    });
    let (failure, _) = failure_at(&authority.trusting(), "localhost", &early);
    assert_eq!(failure.detail, "The certificate of the server is not valid yet.");
}

#[test]
fn a_certificate_of_an_address_is_accepted_for_it() {
    for address in ["127.0.0.1", "::1"] {
        let authority = Authority::new();
        let identity = authority.issue(address, |_| {});
        let mut pair = Pair::new(&authority.trusting(), address, identity.server(&[&TLS13]));
        pair.until("the handshake", |pair| pair.client.transport.is_secured());
    }
}

#[test]
fn whoever_accepts_invalid_certificates_accepts_any() {
    let stranger = Authority::new();
    let identity = stranger.issue("example.com", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let options = TlsOptions { accept_invalid_certificates: true, ..TlsOptions::default() };
    for version in [&TLS12, &TLS13] {
        let config = TlsConfig::new(&options).unwrap();
        let mut pair = Pair::new(&config, "localhost", identity.server(&[version]));
        pair.until("the handshake", |pair| pair.client.transport.is_secured());
    }
}

#[test]
fn a_server_without_the_key_is_not_accepted_whatever_its_certificate() {
    let authority = Authority::new();
    let (shown, owned) = (authority.issue("localhost", |_| {}), authority.issue("localhost", |_| {}));
    let options = TlsOptions { accept_invalid_certificates: true, ..TlsOptions::default() };
    for version in [&TLS12, &TLS13] {
        let mut server = owned.server(&[version]);
        let key =
            super::super::config::provider().key_provider.load_private_key(owned.private_key()).unwrap();
        let forged = rustls::sign::CertifiedKey::new(shown.chain(), key);
        server.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(forged));
        let mut pair = Pair::new(&TlsConfig::new(&options).unwrap(), "localhost", server);
        pair.until("the failure", |pair| pair.client.error.is_some());
        assert!(!pair.client.transport.is_secured());
    }
}

/// A server that demands a certificate by `authority`.
fn demanding(authority: &Authority, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(super::super::config::provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let identity = authority.issue("localhost", |_| {});
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.private_key())
        .unwrap()
}

fn known_as(authority: &Authority, identity: &Identity) -> TlsConfig {
    TlsConfig::new(&TlsOptions {
        ca_pem: Some(authority.pem.as_bytes()),
        certificate_pem: Some(identity.certificate.as_bytes()),
        key_pem: Some(identity.key.as_bytes()),
        accept_invalid_certificates: false,
    })
    .unwrap()
}

#[test]
fn our_certificate_is_shown_where_it_is_demanded() {
    let authority = Authority::new();
    let us = authority.issue("us", |_| {});
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(&known_as(&authority, &us), "localhost", demanding(&authority, version));
        pair.until("the handshake", |pair| !pair.server.tls.is_handshaking());
        assert_eq!(pair.server.tls.peer_certificates(), Some(&us.chain()[..]));
    }
}

#[test]
fn a_missing_or_foreign_certificate_of_ours_is_told() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(&authority.trusting(), "localhost", demanding(&authority, version));
        pair.until("the failure", |pair| pair.client.error.is_some());
        let failure = pair.client.failure();
        assert!(failure.certificate);
        assert_eq!(failure.detail, "The server demands a certificate of ours (alert 116).");

        let config = known_as(&authority, &stranger.issue("us", |_| {}));
        let mut pair = Pair::new(&config, "localhost", demanding(&authority, version));
        pair.until("the failure", |pair| pair.client.error.is_some());
        let failure = pair.client.failure();
        assert!(failure.certificate);
        assert_eq!(failure.detail, "The server does not trust the issuer of our certificate (alert 48).");
    }
}

#[test]
fn a_second_connection_resumes_the_first() {
    let authority = Authority::new();
    let server = Arc::new(authority.issue("localhost", |_| {}).server(&[&TLS13]));
    let config = authority.trusting();
    for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let mut pair = Pair::new(&config, "localhost", ServerConfig::clone(&server));
        pair.until("the handshake", |pair| {
            pair.client.transport.is_secured() && !pair.server.tls.is_handshaking()
        });
        assert_eq!(pair.server.tls.handshake_kind(), Some(expected));
        // The ticket comes before the bytes.
        pair.server.write(b"x");
        pair.until("the ticket", |pair| pair.client.received == b"x");
    }
}
