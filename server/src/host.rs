//! The one table of TLS hosts: a client picks one by the name it sends (SNI), and the README is written from it.
//!
//! It says what a host shows and how it behaves; `tls` carries that out.

use crate::certificate::{Authorities, CLIENT_NAME, Kind, LOCAL_NAMES};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, RootCertStore, SupportedProtocolVersion};
use std::io;
use std::sync::Arc;

/// How a host answers a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a handshake.
    Handshake,
    /// Not at all, until the client has gone.
    Stall,
    /// With bytes that are no TLS, then the end of TCP.
    Garbage,
    /// With the alert handshake_failure, then the end of TCP.
    Alert,
    /// With the end of TCP.
    Gone,
}

/// One host.
pub struct Host {
    /// The name that picks it.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its certificate.
    pub kind: Kind,
    /// Its answer.
    pub answer: Answer,
    /// What is written to the socket at once.
    pub write_bytes_max: usize,
    /// The most plaintext in one record.
    pub record_bytes_max: usize,
    /// Keys are updated after so many records; 0 is never.
    pub update_every: usize,
    /// Whether TCP is ended without a close_notify.
    pub ends_silently: bool,
    versions: &'static [&'static SupportedProtocolVersion],
    asks_for_certificate: bool,
    resumes: bool,
    tickets: usize,
    fragment_bytes_max: Option<usize>,
    retries: bool,
}

/// RFC 8446 §5.1: the most plaintext in one record.
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Both versions that are left.
const ANY: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

const GOOD: Host = Host {
    name: "good.test",
    summary: "nothing is wrong",
    kind: Kind::Good,
    answer: Answer::Handshake,
    write_bytes_max: usize::MAX,
    record_bytes_max: RECORD_BYTES_MAX,
    update_every: 0,
    ends_silently: false,
    versions: ANY,
    asks_for_certificate: false,
    resumes: true,
    tickets: 2,
    fragment_bytes_max: None,
    retries: false,
};

/// Every host. The first is everybody's who sends no name, or one that is not here.
pub static HOSTS: &[Host] = &[
    Host {
        name: "localhost",
        summary: "nothing is wrong; also without a name, with any name not listed, and for 127.0.0.1 and ::1",
        ..GOOD
    },
    GOOD,
    Host { name: "expired.test", summary: "the certificate has expired", kind: Kind::Expired, ..GOOD },
    Host { name: "early.test", summary: "the certificate is not valid yet", kind: Kind::Early, ..GOOD },
    Host { name: "wrong.test", summary: "the certificate is other.test's", kind: Kind::Wrong, ..GOOD },
    Host {
        name: "unknown.test",
        summary: "the certificate is of a CA that is not the test's",
        kind: Kind::Unknown,
        ..GOOD
    },
    Host { name: "self.test", summary: "the certificate is self-signed", kind: Kind::SelfSigned, ..GOOD },
    Host {
        name: "chain.test",
        summary: "an intermediate certificate leads to the CA, and is sent",
        kind: Kind::Chained,
        ..GOOD
    },
    Host {
        name: "unchained.test",
        summary: "the same, but the intermediate certificate is not sent",
        kind: Kind::Unchained,
        ..GOOD
    },
    Host {
        name: "client.test",
        summary: "requires a client certificate of the test CA",
        asks_for_certificate: true,
        ..GOOD
    },
    Host { name: "tls12.test", summary: "TLS 1.2 only", versions: &[&TLS12], ..GOOD },
    Host {
        name: "client12.test",
        summary: "TLS 1.2 only, requires a client certificate of the test CA",
        versions: &[&TLS12],
        asks_for_certificate: true,
        ..GOOD
    },
    Host { name: "tls13.test", summary: "TLS 1.3 only", versions: &[&TLS13], ..GOOD },
    Host { name: "resumed.test", summary: "resumes sessions, as every host does but fresh.test", ..GOOD },
    Host { name: "fresh.test", summary: "never resumes a session", resumes: false, tickets: 0, ..GOOD },
    Host {
        name: "retry.test",
        summary: "answers the first ClientHello with a HelloRetryRequest (only secp384r1)",
        retries: true,
        ..GOOD
    },
    Host {
        name: "tickets.test",
        summary: "TLS 1.3 with eight session tickets; records of at most 59 bytes, so that each is split",
        versions: &[&TLS13],
        tickets: 8,
        fragment_bytes_max: Some(64),
        ..GOOD
    },
    Host {
        name: "bytes.test",
        summary: "each byte of application data is in a record of its own",
        record_bytes_max: 1,
        ..GOOD
    },
    Host {
        name: "split.test",
        summary: "all it sends, the handshake too, leaves byte by byte",
        write_bytes_max: 1,
        ..GOOD
    },
    Host {
        name: "updates.test",
        summary: "TLS 1.3; after every third record a KeyUpdate that asks for one",
        versions: &[&TLS13],
        update_every: 3,
        ..GOOD
    },
    Host { name: "silent.test", summary: "ends TCP without a close_notify", ends_silently: true, ..GOOD },
    Host {
        name: "garbage.test",
        summary: "answers the ClientHello with bytes that are no TLS, then ends TCP",
        answer: Answer::Garbage,
        ..GOOD
    },
    Host {
        name: "alert.test",
        summary: "answers the ClientHello with the alert handshake_failure, then ends TCP",
        answer: Answer::Alert,
        ..GOOD
    },
    Host {
        name: "gone.test",
        summary: "ends TCP when the ClientHello has come",
        answer: Answer::Gone,
        ..GOOD
    },
    Host {
        name: "stall.test",
        summary: "never answers the ClientHello, until the client ends TCP",
        answer: Answer::Stall,
        ..GOOD
    },
];

/// The hosts with their certificates.
pub struct Hosts {
    configs: Vec<Arc<ServerConfig>>,
    client: CertificateDer<'static>,
}

impl Hosts {
    /// Issues a certificate to each.
    pub fn new(authorities: &Authorities) -> io::Result<Hosts> {
        let configs =
            HOSTS.iter().map(|host| host.config(authorities).map(Arc::new)).collect::<io::Result<_>>()?;
        Ok(Hosts { configs, client: authorities.client.chain[0].clone() })
    }

    /// The host of a name, and what it shows.
    pub fn find(&self, name: Option<&str>) -> (&'static Host, Arc<ServerConfig>) {
        let at = HOSTS.iter().position(|host| Some(host.name) == name).unwrap_or(0);
        (&HOSTS[at], self.configs[at].clone())
    }

    /// What a handshake has come to, as `/tls` says it.
    pub fn describe(&self, connection: &ServerConnection) -> String {
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("-");
        let version = version.replace('_', ".");
        let alpn = connection.alpn_protocol().map_or("-".into(), String::from_utf8_lossy);
        let client = match connection.peer_certificates().and_then(<[_]>::first) {
            None => "-",
            Some(certificate) if *certificate == self.client => CLIENT_NAME,
            Some(_) => "unknown",
        };
        format!(
            "version={version} alpn={alpn} sni={} resumed={} client={client}",
            connection.server_name().unwrap_or("-"),
            u8::from(connection.handshake_kind() == Some(HandshakeKind::Resumed)),
        )
    }
}

impl Host {
    fn config(&self, authorities: &Authorities) -> io::Result<ServerConfig> {
        let mut provider: CryptoProvider = ring::default_provider();
        if self.retries {
            provider.kx_groups = vec![ring::kx_group::SECP384R1];
        }
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions)
            .map_err(io::Error::other)?;
        let builder = if self.asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(authorities.root()).map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
        } else {
            builder.with_no_client_auth()
        };
        let names = if self.name == "localhost" { LOCAL_NAMES } else { std::slice::from_ref(&self.name) };
        let issued = authorities.issue(self.kind, names)?;
        let mut config =
            builder.with_single_cert(issued.chain.clone(), issued.key()).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_fragment_size = self.fragment_bytes_max;
        config.send_tls13_tickets = self.tickets;
        if !self.resumes {
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(config)
    }
}
