//! The head of an HTTP request: read, split and checked as an opening handshake (RFC 6455 §4.2.1).
//!
//! It knows neither routes nor behaviours. Nothing read behind the head is lost.

use crate::query::percent_decode;
use crate::transport::Transport;
use std::io;

/// Enough for any test of long headers, little enough for a client that never ends its head.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// A request head, taken apart.
#[derive(Debug)]
pub struct Request {
    /// The lines as they came, without their ends, undecodable bytes replaced.
    pub lines: Vec<String>,
    /// The method of the request line.
    pub method: String,
    /// The path, percent-decoded.
    pub path: String,
    /// The query, not decoded; empty when there is none.
    pub query: String,
    /// The version of the request line.
    pub version: String,
    headers: Vec<(String, String)>,
}

/// Reads up to the empty line; gives the head and what came behind it, `None` when the client left.
pub fn read_head(transport: &Transport) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while bytes.len() < HEAD_BYTES_MAX {
        let size = match transport.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if size == 0 {
            return Ok(None);
        }
        let searched_from = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(&buffer[..size]);
        if let Some(at) = bytes[searched_from..].windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(searched_from + at + 4);
            return Ok(Some((bytes, rest)));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the request head does not end"))
}

impl Request {
    /// Takes a head apart; `None` when it is no HTTP request.
    pub fn parse(head: &[u8]) -> Option<Request> {
        let text = String::from_utf8_lossy(head);
        let lines: Vec<String> = text.trim_end().split("\r\n").map(str::to_owned).collect();
        let mut words = lines[0].split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines[1..]
            .iter()
            .map(|line| line.split_once(':').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Some(Request {
            method: method.to_owned(),
            path: String::from_utf8_lossy(&percent_decode(path)).into_owned(),
            query: query.to_owned(),
            version: version.to_owned(),
            headers,
            lines,
        })
    }

    /// Every value of a header, in order; names have no case.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| &value[..])
    }

    /// The first value of a header.
    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.headers(name).next()
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        self.headers(name)
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(token))
    }

    /// Whether the client wants to leave HTTP.
    pub fn is_upgrade(&self) -> bool {
        self.header("Upgrade").is_some()
    }

    /// The first sub-protocol the client offers.
    pub fn first_protocol(&self) -> Option<&str> {
        self.headers("Sec-WebSocket-Protocol").flat_map(|value| value.split(',')).map(str::trim).next()
    }

    /// Each rule of RFC 6455 §4.1 that the opening handshake breaks.
    pub fn violations(&self) -> Vec<&'static str> {
        let key = self.header("Sec-WebSocket-Key").unwrap_or("");
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        // 16 bytes in base64 are 22 characters and two of padding.
        let is_key = key.len() == 24 && key.ends_with("==") && key.bytes().take(22).all(is_base64);
        let single = ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version"];
        let rules = [
            (self.method == "GET", "the method is not GET"),
            (self.version == "HTTP/1.1", "the version is not HTTP/1.1"),
            (self.header("Host").is_some_and(|host| !host.is_empty()), "Host is missing"),
            (self.lists("Upgrade", "websocket"), "Upgrade does not list websocket"),
            (self.lists("Connection", "Upgrade"), "Connection does not list Upgrade"),
            (is_key, "Sec-WebSocket-Key is not 16 bytes in base64"),
            (self.header("Sec-WebSocket-Version") == Some("13"), "Sec-WebSocket-Version is not 13"),
            (single.iter().all(|name| self.headers(name).count() <= 1), "a header is repeated"),
            (self.headers("Content-Length").next().is_none(), "the request announces a body"),
        ];
        rules.iter().filter(|(holds, _)| !holds).map(|(_, text)| *text).collect()
    }
}
