//! Why TLS has failed, in sentences. Knows the errors and alerts of TLS, nothing of streams.

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why TLS has failed: the error inside an `io::Error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFailure {
    /// It is about a certificate, the server's or our own.
    pub certificate: bool,
    /// One sentence.
    pub detail: String,
}

impl std::fmt::Display for TlsFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl std::error::Error for TlsFailure {}

impl From<TlsFailure> for std::io::Error {
    fn from(failure: TlsFailure) -> Self {
        Self::other(failure)
    }
}

impl TlsFailure {
    /// One that is not about a certificate.
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self { certificate: false, detail: detail.into() }
    }

    /// What rustls has met.
    pub(super) fn met(error: &Error, server_name: &ServerName<'_>) -> Self {
        let detail = match error {
            Error::InvalidCertificate(error) => {
                return Self { certificate: true, detail: certificate(error, &server_name.to_str()) };
            }
            Error::NoCertificatesPresented => {
                return Self { certificate: true, detail: "The server has shown no certificate.".to_owned() };
            }
            Error::AlertReceived(alert) => return received(*alert),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => "The peer has sent what is not TLS.".to_owned(),
            Error::InvalidMessage(error) => {
                format!("The peer has sent a TLS message that cannot be read ({error:?}).")
            }
            Error::DecryptError => "A TLS record was damaged or forged on its way.".to_owned(),
            Error::PeerSentOversizedRecord => {
                "The peer has sent a larger TLS record than is allowed.".to_owned()
            }
            Error::PeerIncompatible(error) => incompatible(error),
            Error::PeerMisbehaved(error) => format!("The peer has broken a rule of TLS ({error:?})."),
            Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
                "The peer has sent a TLS message out of turn.".to_owned()
            }
            Error::FailedToGetRandomBytes => "The system gave no random bytes for TLS.".to_owned(),
            Error::FailedToGetCurrentTime => "The system does not know the time, which TLS needs.".to_owned(),
            error => format!("TLS has failed: {error}."),
        };
        Self::new(detail)
    }
}

#[expect(deprecated, reason = "a verifier may still answer the older variant")]
fn certificate(error: &CertificateError, name: &str) -> String {
    let what = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return format!("The certificate of the server is for another host than {name}.");
        }
        CertificateError::UnknownIssuer => "was issued by nobody that is trusted here",
        CertificateError::Revoked => "has been revoked",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            "may have been revoked: that could not be found out"
        }
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::BadSignature => "is not signed by the issuer that it names",
        CertificateError::UnhandledCriticalExtension => "demands something that is not understood",
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that is not supported"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for a server"
        }
        CertificateError::InvalidOcspResponse => "comes with a proof of validity that is none",
        error => return format!("The certificate of the server was refused: {error}."),
    };
    format!("The certificate of the server {what}.")
}

fn incompatible(error: &PeerIncompatible) -> String {
    match error {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "The peer knows neither TLS 1.2 nor TLS 1.3.".to_owned()
        }
        error => format!("The peer does not know what this TLS needs ({error:?})."),
    }
}

/// An alert of the peer (RFC 8446 §6.2). Those about certificates are about ours: it has seen no other.
fn received(alert: AlertDescription) -> TlsFailure {
    let certificate = |what: &str| TlsFailure {
        certificate: true,
        detail: format!("The server {what} (alert {}).", u8::from(alert)),
    };
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            certificate("demands a certificate of ours")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::BadCertificateHashValue => certificate("has refused our certificate"),
        AlertDescription::CertificateRevoked => certificate("holds our certificate for revoked"),
        AlertDescription::CertificateExpired => certificate("holds our certificate for expired"),
        AlertDescription::UnknownCA => certificate("does not trust the issuer of our certificate"),
        alert => TlsFailure::new(format!("The server {} (alert {}).", meaning(alert), u8::from(alert))),
    }
}

fn meaning(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "finds no way to agree on TLS, or misses a certificate of ours"
        }
        AlertDescription::ProtocolVersion => "does not know our versions of TLS",
        AlertDescription::UnrecognisedName => "does not know the name that it was asked for",
        AlertDescription::NoApplicationProtocol => "does not speak HTTP/1.1 there",
        AlertDescription::AccessDenied => "has denied access",
        AlertDescription::InternalError => "has failed inside its TLS",
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => "has given the TLS handshake up",
        AlertDescription::UnexpectedMessage
        | AlertDescription::BadRecordMac
        | AlertDescription::RecordOverflow
        | AlertDescription::IllegalParameter
        | AlertDescription::DecodeError
        | AlertDescription::DecryptError
        | AlertDescription::MissingExtension
        | AlertDescription::UnsupportedExtension => "says that our TLS was wrong",
        _ => "has ended TLS",
    }
}
