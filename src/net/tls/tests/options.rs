//! What can be told of certificates, keys and names before there is a connection.

use super::*;
use crate::net::{TlsConfigError, check_certificates_pem, check_key_pem};
use rustls::pki_types::ServerName;

fn refusal(options: &TlsOptions<'_>) -> TlsConfigError {
    TlsConfig::new(options).expect_err("they cannot be used")
}

#[test]
fn what_cannot_be_read_is_refused() {
    let authority = Authority::new();
    let us = authority.issue("us", |_| {});
    let (ca, certificate, key) = (authority.pem.as_str(), us.certificate.as_str(), us.key.as_str());
    let bad = [
        ["no PEM", "", ""],
        [key, "", ""],
        [ca, certificate, ""],
        [ca, "", key],
        [ca, "no PEM", key],
        [ca, certificate, "no PEM"],
    ];
    for pem in bad {
        let [ca_pem, certificate_pem, key_pem] =
            pem.map(|text| Some(text.as_bytes()).filter(|text| !text.is_empty()));
        let options = TlsOptions { ca_pem, certificate_pem, key_pem, accept_invalid_certificates: false };
        assert_eq!(refusal(&options), TlsConfigError::Unusable, "{pem:?}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let (us, other) = (authority.issue("us", |_| {}), authority.issue("us", |_| {}));
    let options = TlsOptions {
        certificate_pem: Some(us.certificate.as_bytes()),
        key_pem: Some(other.key.as_bytes()),
        accept_invalid_certificates: true,
        ..TlsOptions::default()
    };
    assert_eq!(refusal(&options), TlsConfigError::Unusable);
}

#[test]
fn certificates_and_keys_are_told_from_other_text() {
    let authority = Authority::new();
    let us = authority.issue("us", |_| {});
    let bundle = format!("A bundle.\n{}\n{}{}", authority.pem, us.key, us.certificate);
    assert!(check_certificates_pem(us.certificate.as_bytes()));
    assert!(check_certificates_pem(bundle.as_bytes()));
    assert!(check_key_pem(us.key.as_bytes()));
    let hollow = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in [&b""[..], b"no PEM", us.key.as_bytes(), hollow] {
        assert!(!check_certificates_pem(text));
    }
    let hollow = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for text in [&b""[..], b"no PEM", us.certificate.as_bytes(), hollow] {
        assert!(!check_key_pem(text));
    }
}

#[test]
fn a_server_is_called_by_name_or_address() {
    assert!(matches!(server_name("example.com"), Some(ServerName::DnsName(_))));
    for address in ["127.0.0.1", "::1", "[::1]"] {
        assert!(matches!(server_name(address), Some(ServerName::IpAddress(_))), "{address}");
    }
    for text in ["", "[]", "[127.0.0.1]", "[::1", "a b", "-", "http://example.com"] {
        assert_eq!(server_name(text), None, "{text}");
    }
}
