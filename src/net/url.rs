//! The URL of a stream: parsed as the web does it, and what the connection and the handshake need of it.
//!
//! WHATWG WebSockets, "obtain the WebSocket URL": http and https stand for ws and wss, no fragment. Opens nothing.

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use std::net::SocketAddr;
use url::{Host, Url};

/// A URL that a stream can be opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The serialised URL.
    pub url: String,
    /// wss.
    pub secure: bool,
    /// The host's name, or None where `address` says it.
    pub host: Host<String>,
    /// The port, also where it is the scheme's own.
    pub port: u16,
    /// The value of the Host field: no port where it is the scheme's own (RFC 6455 §4.1).
    pub authority: String,
    /// Path and query, as in the request line.
    pub target: String,
    /// The value of an Authorization field for the URL's userinfo (RFC 7617).
    pub authorization: Option<String>,
}

/// The URL is not one of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWebSocket;

/// A URL that relative ones are resolved against; None where it is none, or nothing can be relative to it.
#[must_use]
pub fn parse_base(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (!url.cannot_be_a_base() && matches!(url.scheme(), "ws" | "wss" | "http" | "https")).then_some(url)
}

/// Parses a URL, which is absolute where there is no base.
pub fn parse(text: &str, base: Option<&Url>) -> Result<Target, NotWebSocket> {
    let mut url = Url::options().base_url(base).parse(text).map_err(|_| NotWebSocket)?;
    let mapped = match url.scheme() {
        "http" => Some("ws"),
        "https" => Some("wss"),
        _ => None,
    };
    if let Some(scheme) = mapped {
        url.set_scheme(scheme).map_err(|()| NotWebSocket)?;
    }
    let secure = match url.scheme() {
        "ws" => false,
        "wss" => true,
        _ => return Err(NotWebSocket),
    };
    // An empty fragment is one, too: `ws://host/#` is refused.
    if url.fragment().is_some() {
        return Err(NotWebSocket);
    }
    let host = url.host().ok_or(NotWebSocket)?.to_owned();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    Ok(Target {
        secure,
        host,
        port: url.port_or_known_default().ok_or(NotWebSocket)?,
        authority,
        target,
        authorization: authorization(&url),
        url: url.into(),
    })
}

/// The one address that a host is, if it is one.
#[must_use]
pub fn address(host: &Host<String>, port: u16) -> Option<SocketAddr> {
    match host {
        Host::Ipv4(address) => Some(SocketAddr::from((*address, port))),
        Host::Ipv6(address) => Some(SocketAddr::from((*address, port))),
        Host::Domain(_) => None,
    }
}

/// RFC 7617 §2: the user's name and the password, a colon between them, in base64.
fn authorization(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64.encode(&credentials)))
}

#[cfg(test)]
mod tests {
    use super::{NotWebSocket, parse};

    #[test]
    fn http_stands_for_ws_and_the_url_is_normalised() {
        let target = parse("HTTP://ExAmple.com:80/a b?q", None).unwrap();
        assert_eq!(target.url, "ws://example.com/a%20b?q");
        assert_eq!((target.authority.as_str(), target.port, target.secure), ("example.com", 80, false));
        assert_eq!(target.target, "/a%20b?q");
        assert!(parse("https://h", None).unwrap().secure);
    }

    #[test]
    fn a_fragment_or_another_scheme_is_refused() {
        for text in
            ["ws://h/#", "ws://h/#a", "ftp://h/", "invalid:", "/relative", "ws://", "", "ws://h:99999/"]
        {
            assert_eq!(parse(text, None), Err(NotWebSocket), "{text}");
        }
    }

    #[test]
    fn a_relative_url_is_resolved_before_its_scheme_is_mapped() {
        let base = super::parse_base("https://example.com/a/b?c#d").unwrap();
        assert_eq!(parse("../e", Some(&base)).unwrap().url, "wss://example.com/e");
        assert_eq!(parse("//other/", Some(&base)).unwrap().url, "wss://other/");
        assert_eq!(parse("ws://h/", Some(&base)).unwrap().url, "ws://h/");
        assert_eq!(parse("#", Some(&base)), Err(NotWebSocket));
        for text in ["data:,", "ftp://h/", "relative", ""] {
            assert_eq!(super::parse_base(text), None, "{text}");
        }
    }

    #[test]
    fn literals_and_foreign_ports_stand_in_the_authority() {
        let target = parse("ws://[::1]:8080", None).unwrap();
        assert_eq!((target.authority.as_str(), target.target.as_str()), ("[::1]:8080", "/"));
        assert_eq!(parse("ws://bücher.example/", None).unwrap().authority, "xn--bcher-kva.example");
    }

    #[test]
    fn userinfo_becomes_basic_authorization() {
        let target = parse("ws://user:p%40ss@h/", None).unwrap();
        assert_eq!(target.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(parse("ws://h/", None).unwrap().authorization, None);
    }
}
