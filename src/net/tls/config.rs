//! What the TLS connections of one options object have in common: whom they trust and who they are.
//!
//! The provider of the cryptography is always passed explicitly, none is installed for the process: the program may
//! use rustls itself.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::net::Ipv6Addr;
use std::sync::Arc;

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("wss needs one of the features `ring` and `aws-lc-rs`");

/// What can be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsOptions<'a> {
    /// These issuers are trusted instead of the platform's.
    pub ca_pem: Option<&'a [u8]>,
    /// Our own certificate, behind it those that lead to its issuer.
    pub certificate_pem: Option<&'a [u8]>,
    /// The key of our own certificate.
    pub key_pem: Option<&'a [u8]>,
    /// Whatever certificate the server shows is accepted.
    pub accept_invalid_certificates: bool,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsConfigError {
    /// A certificate or key that was given cannot be used, they do not belong together, or one of them is missing.
    Unusable,
    /// What this system trusts cannot be found out: a sentence.
    NoTrustStore(String),
}

/// The configuration of TLS connections; they share what it learned from earlier ones to resume them sooner.
#[derive(Clone, Debug)]
pub struct TlsConfig(pub(super) Arc<ClientConfig>);

impl TlsConfig {
    /// Reads what was given, and the platform's store where that is trusted.
    pub fn new(options: &TlsOptions<'_>) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(provider());
        let verifier = verifier(options, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsConfigError::Unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match (options.certificate_pem, options.key_pem) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsConfigError::Unusable)?;
                builder
                    .with_client_auth_cert(certificates(chain)?, key)
                    .map_err(|_| TlsConfigError::Unusable)?
            }
            _ => return Err(TlsConfigError::Unusable),
        };
        // RFC 6455 §4.1 rests on HTTP/1.1; a server that would choose HTTP/2 is told so.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// Whether text in PEM has at least one certificate that can be read.
#[must_use]
pub fn check_certificates_pem(pem: &[u8]) -> bool {
    certificates(pem).is_ok_and(|found| found.iter().any(|one| ParsedCertificate::try_from(one).is_ok()))
}

/// Whether text in PEM has a private key (PKCS #8, PKCS #1 or SEC 1) of a kind that can be used.
#[must_use]
pub fn check_key_pem(pem: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(pem).is_ok_and(|key| provider().key_provider.load_private_key(key).is_ok())
}

/// What a server is to be called in its certificate: a name, or an address, that of IPv6 also in brackets.
#[must_use]
pub fn server_name(text: &str) -> Option<ServerName<'static>> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match inner {
        Some(inner) => Some(ServerName::from(std::net::IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?))),
        None => ServerName::try_from(text.to_owned()).ok(),
    }
}

#[cfg(feature = "aws-lc-rs")]
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(not(feature = "aws-lc-rs"))]
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// Every certificate of a text in PEM; what else there is in it does not matter.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsConfigError::Unusable)
}

fn verifier(
    options: &TlsOptions<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsConfigError> {
    if options.accept_invalid_certificates {
        return Ok(Arc::new(AcceptsAnyone(provider.signature_verification_algorithms)));
    }
    let Some(pem) = options.ca_pem else {
        return Ok(platform_verifier(provider)?);
    };
    let mut roots = RootCertStore::empty();
    // A bundle may have a certificate in it that is too old to be understood; the others count.
    if roots.add_parsable_certificates(certificates(pem)?).0 == 0 {
        return Err(TlsConfigError::Unusable);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(verifier.build().map_err(|_| TlsConfigError::Unusable)?)
}

/// The verifier of the platform: reading its store takes some milliseconds, so one serves the process.
fn platform_verifier(
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<rustls_platform_verifier::Verifier>, TlsConfigError> {
    // Not a cell that one thread fills while others wait: that thread might be missing in the child of a fork.
    static VERIFIER: once_cell::race::OnceBox<Arc<rustls_platform_verifier::Verifier>> =
        once_cell::race::OnceBox::new();
    let verifier = VERIFIER.get_or_try_init(|| {
        rustls_platform_verifier::Verifier::new(Arc::clone(provider))
            .map(|verifier| Box::new(Arc::new(verifier)))
            .map_err(|error| TlsConfigError::NoTrustStore(no_trust_store(&error)))
    })?;
    Ok(Arc::clone(verifier))
}

fn no_trust_store(error: &Error) -> String {
    match error {
        Error::General(text) => format!("The certificates that this system trusts cannot be read: {text}."),
        error => format!("The certificates that this system trusts cannot be read: {error}."),
    }
}

/// Takes every certificate for the server's, but insists that the server has its key.
#[derive(Debug)]
struct AcceptsAnyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptsAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
