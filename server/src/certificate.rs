//! The certificates of the TLS hosts, made anew at each start, and the files that clients read them from.
//!
//! It knows what can be wrong with a certificate, not what a host does with it. The files are in a folder of their own,
//! which goes with its value.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The common name of the client's certificate.
pub const CLIENT_NAME: &str = "wsstream-test-client";
/// What the default certificate is good for.
pub const LOCAL_NAMES: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// What is right or wrong with a host's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is wrong.
    Good,
    /// It was good until yesterday.
    Expired,
    /// It is good from tomorrow on.
    Early,
    /// It is another host's.
    Wrong,
    /// Nobody knows its issuer.
    Unknown,
    /// It has no issuer but itself.
    SelfSigned,
    /// Between it and the root is one more, which the host sends too.
    Chained,
    /// The same, but the host does not send it.
    Unchained,
}

/// A certificate with its key.
pub struct Issued {
    /// The certificate, and what leads from it to the root.
    pub chain: Vec<CertificateDer<'static>>,
    key_der: Vec<u8>,
    pem: String,
    key_pem: String,
}

impl Issued {
    /// Its key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.clone()).into()
    }
}

/// The issuers, and the certificate for clients.
pub struct Authorities {
    known: Authority,
    intermediate: Authority,
    unknown: Authority,
    /// What a client shows that a host lets in.
    pub client: Issued,
}

impl Authorities {
    /// New ones, with new keys.
    pub fn new() -> io::Result<Authorities> {
        let known = Authority::root("wsstream test CA")?;
        let intermediate = known.below("wsstream test intermediate CA")?;
        let client = known.issue_to_client(CLIENT_NAME)?;
        Ok(Authorities { known, intermediate, unknown: Authority::root("nobody's CA")?, client })
    }

    /// The root that clients are to trust.
    pub fn root(&self) -> CertificateDer<'static> {
        self.known.0.der().clone()
    }

    /// A certificate of a kind for a host; its first name is the common name.
    pub fn issue(&self, kind: Kind, names: &[&str]) -> io::Result<Issued> {
        let names = if kind == Kind::Wrong { &["other.test"][..] } else { names };
        let mut params = parameters(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        let now =
            date_time_ymd(1970, 1, 1) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Not longer than the strictest platforms allow.
        (params.not_before, params.not_after) = match kind {
            Kind::Expired => (now - 30 * DAY, now - DAY),
            Kind::Early => (now + DAY, now + 30 * DAY),
            _ => (now - DAY, now + 90 * DAY),
        };
        match kind {
            Kind::SelfSigned => {
                let key = KeyPair::generate().map_err(io::Error::other)?;
                let certificate = params.self_signed(&key).map_err(io::Error::other)?;
                Ok(issued(&certificate, &key, &[]))
            }
            Kind::Unknown => self.unknown.issue(params, &[]),
            Kind::Chained => self.intermediate.issue(params, &[self.intermediate.0.der().clone()]),
            Kind::Unchained => self.intermediate.issue(params, &[]),
            _ => self.known.issue(params, &[]),
        }
    }
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn root(name: &str) -> io::Result<Authority> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        CertifiedIssuer::self_signed(authority_parameters(name), key).map(Authority).map_err(io::Error::other)
    }

    fn below(&self, name: &str) -> io::Result<Authority> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let made = CertifiedIssuer::signed_by(authority_parameters(name), key, &self.0);
        made.map(Authority).map_err(io::Error::other)
    }

    fn issue(&self, params: CertificateParams, rest: &[CertificateDer<'static>]) -> io::Result<Issued> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.0).map_err(io::Error::other)?;
        Ok(issued(&certificate, &key, rest))
    }

    fn issue_to_client(&self, name: &str) -> io::Result<Issued> {
        self.issue(parameters(&[name], ExtendedKeyUsagePurpose::ClientAuth)?, &[])
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn parameters(names: &[&str], usage: ExtendedKeyUsagePurpose) -> io::Result<CertificateParams> {
    let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(owned).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn issued(certificate: &rcgen::Certificate, key: &KeyPair, rest: &[CertificateDer<'static>]) -> Issued {
    Issued {
        chain: [&[certificate.der().clone()], rest].concat(),
        key_der: key.serialize_der(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

/// A temporary folder with the files that clients read, removed when dropped.
pub struct Folder {
    path: PathBuf,
    files: Vec<(&'static str, PathBuf)>,
}

impl Folder {
    /// Writes the files.
    pub fn new(authorities: &Authorities) -> io::Result<Folder> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("wsstream-test-{}-{:x}", std::process::id(), since_epoch.as_nanos());
        let path = std::env::temp_dir().join(name);
        // There are private keys in it.
        DirBuilder::new().mode(0o700).create(&path)?;
        let mut folder = Folder { path, files: Vec::new() };
        let stranger = authorities.unknown.issue_to_client("wsstream-test-stranger")?;
        let server = authorities.issue(Kind::Good, LOCAL_NAMES)?;
        folder.add("ca", "ca.pem", &authorities.known.0.pem())?;
        folder.add("unknown ca", "unknown-ca.pem", &authorities.unknown.0.pem())?;
        folder.add("server certificate", "server.pem", &server.pem)?;
        folder.add("server key", "server.key", &server.key_pem)?;
        folder.add("client certificate", "client.pem", &authorities.client.pem)?;
        folder.add("client key", "client.key", &authorities.client.key_pem)?;
        folder.add("stranger certificate", "stranger.pem", &stranger.pem)?;
        folder.add("stranger key", "stranger.key", &stranger.key_pem)?;
        Ok(folder)
    }

    fn add(&mut self, what: &'static str, name: &str, text: &str) -> io::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, text)?;
        self.files.push((what, path));
        Ok(())
    }

    /// What the files hold, and where they are.
    pub fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever clears the temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}
