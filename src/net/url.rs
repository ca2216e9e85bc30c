//! The URL of a stream: parsed as the web does it, and what the connection and the handshake need of it.
//!
//! WHATWG WebSockets, "obtain the WebSocket URL": http and https stand for ws and wss, no fragment. Opens nothing.

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
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

/// Parses an absolute URL.
pub fn parse(text: &str) -> Result<Target, NotWebSocket> {
    let mut url = Url::parse(text).map_err(|_| NotWebSocket)?;
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
        let target = parse("HTTP://ExAmple.com:80/a b?q").unwrap();
        assert_eq!(target.url, "ws://example.com/a%20b?q");
        assert_eq!((target.authority.as_str(), target.port, target.secure), ("example.com", 80, false));
        assert_eq!(target.target, "/a%20b?q");
        assert!(parse("https://h").unwrap().secure);
    }

    #[test]
    fn a_fragment_or_another_scheme_is_refused() {
        for text in
            ["ws://h/#", "ws://h/#a", "ftp://h/", "invalid:", "/relative", "ws://", "", "ws://h:99999/"]
        {
            assert_eq!(parse(text), Err(NotWebSocket), "{text}");
        }
    }

    #[test]
    fn literals_and_foreign_ports_stand_in_the_authority() {
        let target = parse("ws://[::1]:8080").unwrap();
        assert_eq!((target.authority.as_str(), target.target.as_str()), ("[::1]:8080", "/"));
        assert_eq!(parse("ws://bücher.example/").unwrap().authority, "xn--bcher-kva.example");
    }

    #[test]
    fn userinfo_becomes_basic_authorization() {
        let target = parse("ws://user:p%40ss@h/").unwrap();
        assert_eq!(target.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(parse("ws://h/").unwrap().authorization, None);
    }
}
