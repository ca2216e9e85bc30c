//! The server's part of the opening handshake (RFC 6455 §4.2.2), good or spoilt on demand.
//!
//! It writes the response and says what is to follow; it parses no frame.

use crate::deflate::Agreement;
use crate::query::{Query, Refusal};
use crate::request::Request;
use crate::server::Shared;
use crate::session::{self, STALL_MAX};
use crate::wire::{Ending, How, Pace, Wire};
use std::fmt::Write;
use std::io;
use tungstenite::handshake::derive_accept_key;

/// How long the name in an early hint is.
const HINT_BYTES: usize = 1000;

/// A handshake as the query wants it.
pub struct Handshake<'a> {
    query: &'a Query,
    request: &'a Request,
    /// permessage-deflate, if both want it.
    agreement: Option<&'a Agreement>,
    /// Whether the route has the parameters that spoil a response.
    is_spoilt: bool,
}

impl<'a> Handshake<'a> {
    /// A good handshake, but for the sub-protocol; or that of `/handshake`, which may be spoilt.
    pub fn new(
        query: &'a Query,
        request: &'a Request,
        agreement: Option<&'a Agreement>,
        is_spoilt: bool,
    ) -> Handshake<'a> {
        Handshake { query, request, agreement, is_spoilt }
    }

    /// Works out the response; refuses parameters that make none.
    pub fn plan(&self) -> Result<Plan, Refusal> {
        if !self.is_spoilt {
            return Ok(Plan { bytes: self.head(101, "")?.into_bytes(), ..Plan::default() });
        }
        let query = self.query;
        let status = query.number_or("status", 101)?;
        let body = query.text("body").unwrap_or_default();
        let mut plan = Plan {
            token: query.text("token"),
            delay: query.milliseconds("delay_ms")?,
            pace: query.flag_or("split", false)?.then_some(Pace::SPLIT),
            ..Plan::default()
        };
        if status != 101 {
            plan.ending = Some(Ending::from_query(query, How::Fin)?);
        }
        if query.flag_or("stall", false)? {
            plan.ending = Some(Ending::from_query(query, How::Never)?);
            return Ok(plan);
        }
        if let Some(garbage) = query.hex("garbage")? {
            plan.bytes = garbage;
            plan.ending = Some(Ending::from_query(query, How::Fin)?);
            return Ok(plan);
        }
        for code in query.all("before") {
            let code = String::from_utf8_lossy(code);
            plan.bytes.extend_from_slice(format!("HTTP/1.1 {code} Interim\r\n\r\n").as_bytes());
        }
        let head = self.head(status, &body)?;
        if query.text("endless").is_some() {
            plan.make_endless(query, &head)?;
            return Ok(plan);
        }
        plan.bytes.extend_from_slice(head.as_bytes());
        plan.bytes.extend_from_slice(body.as_bytes());
        plan.bytes.extend(query.hex("with")?.unwrap_or_default());
        if let Some(size) = query.number("cut")? {
            plan.bytes.truncate(size);
            plan.ending = Some(Ending::from_query(query, How::Fin)?);
        }
        Ok(plan)
    }

    fn head(&self, status: u16, body: &str) -> Result<String, Refusal> {
        let version = self.option("version").unwrap_or_else(|| "1.1".to_owned());
        let mut head = format!("HTTP/{version} {status} {}\r\n", status_text(status));
        if status == 101 {
            self.append_switch(&mut head);
        }
        if status != 101 || !body.is_empty() {
            let length = self.option("length").unwrap_or_else(|| body.len().to_string());
            if length != "missing" {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
        }
        if self.is_spoilt {
            for header in self.query.all("header") {
                let _ = write!(head, "{}\r\n", String::from_utf8_lossy(header));
            }
        }
        head.push_str("\r\n");
        Ok(head)
    }

    /// The headers of RFC 6455 §4.2.2 step 5.
    fn append_switch(&self, head: &mut String) {
        self.append(head, "Upgrade", self.option("upgrade"), Some("websocket".to_owned()));
        self.append(head, "Connection", self.option("connection"), Some("Upgrade".to_owned()));
        let key = self.request.header("Sec-WebSocket-Key").unwrap_or_default();
        let mut accept = self.option("accept");
        if accept.as_deref() == Some("wrong") {
            accept = Some(derive_accept_key(b"not the key"));
        }
        self.append(head, "Sec-WebSocket-Accept", accept, Some(derive_accept_key(key.as_bytes())));
        let first = self.request.first_protocol().map(str::to_owned);
        self.append(head, "Sec-WebSocket-Protocol", self.query.text("protocol"), first);
        let spoilt = self.is_spoilt.then(|| self.query.all("extensions").map(String::from_utf8_lossy));
        let mut extensions: Vec<_> = spoilt.into_iter().flatten().collect();
        if extensions.is_empty() {
            extensions.extend(self.agreement.map(|agreement| agreement.answer().into()));
        }
        for value in extensions {
            let _ = write!(head, "Sec-WebSocket-Extensions: {value}\r\n");
        }
    }

    /// Appends a header: `missing` leaves it out, `double` repeats it, any other word is its value.
    fn append(&self, head: &mut String, name: &str, wanted: Option<String>, default: Option<String>) {
        let (value, count) = match wanted.as_deref() {
            Some("missing") => (None, 0),
            Some("double") => (default, 2),
            Some(_) => (wanted, 1),
            None => (default, 1),
        };
        for _ in 0..count {
            if let Some(value) = &value {
                let _ = write!(head, "{name}: {value}\r\n");
            }
        }
    }

    fn option(&self, name: &str) -> Option<String> {
        if self.is_spoilt { self.query.text(name) } else { None }
    }
}

/// A response and what follows it.
#[derive(Default)]
pub struct Plan {
    token: Option<String>,
    delay: std::time::Duration,
    bytes: Vec<u8>,
    pace: Option<Pace>,
    endless: Option<Vec<u8>>,
    /// `None` when frames follow.
    ending: Option<Ending>,
}

impl Plan {
    /// Sends the response; gives the wire back if frames follow, else ends the connection.
    pub fn perform(self, wire: Wire, shared: &Shared, early: &[u8]) -> Option<Wire> {
        if let Some(token) = &self.token {
            shared.tokens.wait(token, STALL_MAX);
        }
        std::thread::sleep(self.delay);
        // A socket that died shows itself in the reads that follow.
        let written = wire.write_handshake(&self.bytes, self.pace);
        if let (Ok(()), Some(pattern)) = (&written, &self.endless) {
            let _ = write_endlessly(&wire, pattern);
        }
        if let Some(record) = &wire.record {
            record.open();
        }
        let Some(ending) = self.ending else { return Some(wire) };
        session::finish(wire, ending, early);
        None
    }

    fn make_endless(&mut self, query: &Query, head: &str) -> Result<(), Refusal> {
        let line_end = head.find("\r\n").map_or(0, |at| at + 2);
        let hints =
            format!("HTTP/1.1 103 Early Hints\r\nLink: </{}>; rel=preload\r\n\r\n", "0".repeat(HINT_BYTES));
        let choices = ["headers", "line", "interim", "hints", "body"];
        let (start, pattern) = match query.choice("endless", &choices)? {
            "headers" => (&head[..line_end], "X-Endless: 0123456789abcdef\r\n"),
            "line" => ("HTTP/1.1 101 Switching Protocols\r\nX-Endless: ", "0123456789abcdef"),
            "interim" => ("", "HTTP/1.1 100 Continue\r\n\r\n"),
            "hints" => ("", &hints[..]),
            _ => (head, "0123456789abcdef"),
        };
        self.bytes.extend_from_slice(start.as_bytes());
        self.endless = Some(pattern.repeat(512).into_bytes());
        self.ending = Some(Ending::now(How::Never));
        Ok(())
    }
}

/// Writes until the client is gone.
fn write_endlessly(wire: &Wire, pattern: &[u8]) -> io::Result<()> {
    loop {
        wire.write_handshake(pattern, None)?;
    }
}

/// The phrase of a status line.
pub fn status_text(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        426 => "Upgrade Required",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
