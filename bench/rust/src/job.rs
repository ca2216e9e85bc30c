//! What a client is to do: its arguments, and how a connection to the server begins.

use crate::{Expected, Failure, Result, failed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

/// A connection without WebSocket, for libraries that are given one.
pub type Transport = Either<TcpStream, TlsStream<TcpStream>>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Echo,
    Pipeline,
    Receive,
    Send,
    Open,
    Idle,
}

/// The arguments, taken apart.
pub struct Job {
    pub work: Work,
    /// Whole, with the path of the work.
    pub url: String,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// For a Host header: host and port.
    pub authority: String,
    /// For a request: path and query.
    pub target: String,
    /// For wss: the certificate of `ca` is the only root.
    pub tls: Option<Arc<ClientConfig>>,
    pub count: u64,
    /// Of each message. It lives as long as the process, so that libraries can share it without counting.
    pub payload: &'static [u8],
    pub is_text: bool,
    pub gather: bool,
    pub window: u64,
    pub deflate: bool,
}

impl Job {
    /// CLIENT WORK URL KEY=VALUE...
    pub fn from_arguments() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [work, url, options @ ..] = arguments.as_slice() else {
            return failed("usage: CLIENT WORK URL KEY=VALUE...");
        };
        let work = match work.as_str() {
            "echo" => Work::Echo,
            "pipeline" => Work::Pipeline,
            "receive" => Work::Receive,
            "send" => Work::Send,
            "open" => Work::Open,
            "idle" => Work::Idle,
            _ => return failed(format!("{work} is no work")),
        };
        let (mut count, mut window, mut size) = (0, 64, None);
        let (mut gather, mut deflate) = (false, false);
        let (mut file, mut ca) = (None, None);
        for option in options {
            let Some((key, value)) = option.split_once('=') else {
                return failed(format!("{option}: not KEY=VALUE"));
            };
            match key {
                "count" => count = number(key, value)?,
                "size" => size = Some(number(key, value)?),
                "window" => window = number(key, value)?,
                "gather" => gather = flag(key, value)?,
                "deflate" => deflate = flag(key, value)?,
                "payload" => file = Some(value),
                "ca" => ca = Some(value),
                _ => return failed(format!("{key} is no key")),
            }
        }
        if count == 0 || window == 0 {
            return failed("no count or no window");
        }
        let payload = match (file, size) {
            (Some(_), Some(_)) => return failed("both size and payload"),
            (Some(path), None) => match std::fs::read_to_string(path) {
                Ok(text) => text.into_bytes(),
                Err(error) => return failed(format!("{path}: {error}")),
            },
            (None, size) => vec![b'x'; usize::try_from(size.unwrap_or(16))?],
        };
        let place = Place::parse(url, work, count)?;
        Ok(Self {
            work,
            url: format!("{}://{}{}", place.scheme, place.authority, place.target),
            host: place.host,
            port: place.port,
            authority: place.authority,
            target: place.target,
            tls: (place.scheme == "wss").then(|| configure(ca)).transpose()?,
            count,
            payload: payload.leak(),
            is_text: file.is_some(),
            gather,
            window,
            deflate,
        })
    }

    /// What comes back.
    pub fn expected(&self) -> Expected {
        Expected { is_text: self.is_text, payload: self.payload }
    }

    /// The payload as text, if that is its kind.
    pub fn text(&self) -> Option<&'static str> {
        self.is_text.then(|| str::from_utf8(self.payload).expect("the file was read as text"))
    }

    /// For libraries without permessage-deflate.
    pub fn refuse_deflate(&self) -> Result<()> {
        if self.deflate { Err(Failure::Unsupported("permessage-deflate")) } else { Ok(()) }
    }

    /// For libraries that leave it to the program to connect.
    pub async fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// For libraries that leave TLS to the program, too.
    pub async fn connect_tls(&self) -> Result<Transport> {
        let stream = self.connect().await?;
        let Some(tls) = &self.tls else { return Ok(Either::Left(stream)) };
        let name = ServerName::try_from(self.host.clone())?;
        Ok(Either::Right(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
    }
}

/// A URL, taken apart.
struct Place<'a> {
    scheme: &'a str,
    authority: String,
    host: String,
    port: u16,
    target: String,
}

impl<'a> Place<'a> {
    /// A URL without a path gets the path of the work.
    fn parse(url: &'a str, work: Work, count: u64) -> Result<Self> {
        let Some((scheme @ ("ws" | "wss"), rest)) = url.split_once("://") else {
            return failed(format!("{url}: neither ws:// nor wss://"));
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse()?),
            _ => (authority, if scheme == "ws" { 80 } else { 443 }),
        };
        let target = match (path, work) {
            ("" | "/", Work::Receive) => format!("/flood?count={count}"),
            ("" | "/", Work::Send) => format!("/sink?count={count}"),
            ("" | "/", _) => "/echo".to_owned(),
            _ => path.to_owned(),
        };
        let authority = format!("{host}:{port}");
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Self { scheme, authority, host, port, target })
    }
}

fn number(key: &str, value: &str) -> Result<u64> {
    value.parse().or_else(|_| failed(format!("{key}={value} is not a number")))
}

fn flag(key: &str, value: &str) -> Result<bool> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => failed(format!("{key}={value} is neither 0 nor 1")),
    }
}

fn configure(ca: Option<&str>) -> Result<Arc<ClientConfig>> {
    let Some(path) = ca else { return failed("wss without ca") };
    let mut roots = RootCertStore::empty();
    match CertificateDer::from_pem_file(path) {
        Ok(certificate) => roots.add(certificate)?,
        Err(error) => return failed(format!("{path}: {error}")),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
