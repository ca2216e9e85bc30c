//! The response as it arrives: where its head ends, within which limits, and what is refused before that.
//! Each byte is looked at once as it comes and parsed once when its head is whole. Line ends are those that
//! httparse takes: CR LF, or a bare LF. No body is waited for: the status line alone decides (decision 15).

use tungstenite::handshake::derive_accept_key;

use super::super::failure::Cause;
use super::extension::{Agreement, Offer};
use super::upgrade::{Agreed, Expectation};

/// How many header fields one head may have.
pub const HEADER_COUNT_MAX: usize = 128;
/// How much of the body of a refusal is kept: enough to say why.
pub const BODY_SIZE_MAX: usize = 4096;

/// What every response begins with that can be read at all; the minor version follows.
const VERSION: &[u8] = b"HTTP/1.";
/// A switch of protocols, the one status that accepts (RFC 6455 §4.1).
const SWITCHING_PROTOCOLS: u16 = 101;

/// How far the response has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of the input was used; more is needed.
    Starved,
    /// The connection is open. What was not used are the server's first frames.
    Accepted(Response),
    /// It is not, and will not be.
    Refused(Refusal),
}

/// An acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Always 101.
    pub status: u16,
    /// All fields, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The sub-protocol chosen; empty if none was asked for.
    pub protocol: String,
    /// The extensions agreed, as the server wrote them; empty if none.
    pub extensions: String,
    /// permessage-deflate as it was agreed.
    pub deflate: Option<Agreement>,
}

/// Why the connection did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status; 0 if none was read.
    pub status: u16,
    /// `Http` if the server answered in HTTP, `Protocol` if not, `TooBig` beyond a limit.
    pub cause: Cause,
    /// One English sentence.
    pub detail: String,
    /// The fields that were whole.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What came behind the head of a status other than 101, at most `BODY_SIZE_MAX` bytes.
    pub body: Vec<u8>,
}

/// The head of a response, in its parts.
pub(super) struct Head {
    pub(super) minor_version: u8,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// Reads the answer to one request.
#[derive(Debug)]
pub struct ResponseReader {
    expectation: Expectation,
    /// The head that is being read.
    head: Vec<u8>,
    line_start: usize,
    line_count: usize,
    /// Of its status line; 0 before that is whole.
    status: u16,
    /// What all heads together may still take.
    head_room: usize,
    is_over: bool,
}

impl ResponseReader {
    /// Before the first byte. The limit counts the heads of all responses together.
    pub fn new(key: &str, protocols: Vec<String>, offered: Option<Offer>, max_header_size: usize) -> Self {
        let accept = derive_accept_key(key.as_bytes());
        Self {
            expectation: Expectation::new(accept, protocols, offered),
            head: Vec::new(),
            line_start: 0,
            line_count: 0,
            status: 0,
            head_room: max_header_size,
            is_over: false,
        }
    }

    /// Takes the next bytes and says how many of them were used: all, unless the response is accepted.
    /// Must not be called after an acceptance or a refusal.
    pub fn read(&mut self, input: &[u8]) -> (usize, Progress) {
        crate::fault::point("proto.handshake");
        let mut position = 0;
        let outcome = loop {
            let rest = &input[position..];
            if self.is_over {
                break Err(self.refuse(Cause::Protocol, "The opening handshake was over.".to_owned()));
            }
            if rest.is_empty() {
                return (position, Progress::Starved);
            }
            let line_end = rest.iter().position(|&byte| byte == b'\n').map(|place| place + 1);
            let size = line_end.unwrap_or(rest.len()).min(self.head_room);
            self.head.extend_from_slice(&rest[..size]);
            self.head_room -= size;
            position += size;
            match self.take(line_end == Some(size), &input[position..]) {
                Ok(None) => {}
                Ok(Some(response)) => break Ok(response),
                Err(refusal) => break Err(refusal),
            }
        };
        self.is_over = true;
        self.head = Vec::new();
        match outcome {
            Ok(response) => (position, Progress::Accepted(response)),
            Err(refusal) => (input.len(), Progress::Refused(refusal)),
        }
    }

    /// Whether the status line has refused the upgrade.
    pub fn is_refused(&self) -> bool {
        self.status != 0 && is_refusing(self.status)
    }

    /// What is known of a refusal whose header is not whole.
    pub fn refusal(&self) -> Refusal {
        self.refuse_status(&[])
    }

    /// TCP ended where the response was not whole.
    pub fn end(&mut self) -> Refusal {
        self.is_over = true;
        let (cause, sentence) = match self.status {
            0 if self.head.is_empty() => {
                (Cause::Protocol, "The server ended the connection without an answer.")
            }
            0 => (Cause::Protocol, "The server ended the connection within the status line."),
            status if is_refusing(status) => return self.refuse_status(&[]),
            _ => (Cause::Protocol, "The server ended the connection within the header of its answer."),
        };
        self.refuse(cause, sentence.to_owned())
    }

    /// Judges what the head has become; `behind` is what follows it in the input.
    fn take(&mut self, is_line_end: bool, behind: &[u8]) -> Result<Option<Response>, Refusal> {
        if self.line_count == 0 {
            self.check_version()?;
        }
        if is_line_end {
            let is_blank = matches!(self.head[self.line_start..], [b'\n'] | [b'\r', b'\n']);
            self.line_start = self.head.len();
            self.line_count += 1;
            if self.line_count == 1 {
                self.status = self.parse_status()?;
            } else if is_blank {
                return self.finish_head(behind);
            } else if self.line_count > 1 + HEADER_COUNT_MAX {
                let detail = format!("The server's answer has more than {HEADER_COUNT_MAX} header fields.");
                return Err(self.refuse(Cause::TooBig, detail));
            }
        }
        if self.head_room == 0 {
            let detail = "The header of the server's answer is beyond the limit.".to_owned();
            return Err(self.refuse(Cause::TooBig, detail));
        }
        Ok(None)
    }

    /// Refuses what is no HTTP/1 at the first byte that shows it, for nothing else may ever follow.
    fn check_version(&self) -> Result<(), Refusal> {
        let is_version = self.head.iter().zip(VERSION).all(|(byte, expected)| byte == expected);
        let is_minor = self.head.get(VERSION.len()).is_none_or(|minor| matches!(minor, b'0' | b'1'));
        let is_space = self.head.get(VERSION.len() + 1).is_none_or(|&space| space == b' ');
        if is_version && is_minor && is_space {
            return Ok(());
        }
        let detail = format!("The server's answer is not HTTP/1.1; it begins with {}.", excerpt(&self.head));
        Err(self.refuse(Cause::Protocol, detail))
    }

    fn parse_status(&self) -> Result<u16, Refusal> {
        match parse_head(&[&self.head, &b"\r\n"[..]].concat()) {
            Ok(head) if head.status >= 100 => Ok(head.status),
            _ => {
                let line = excerpt(self.head.trim_ascii_end());
                Err(self.refuse(Cause::Protocol, format!("The server's status line is not HTTP: {line}.")))
            }
        }
    }

    fn finish_head(&mut self, behind: &[u8]) -> Result<Option<Response>, Refusal> {
        if is_refusing(self.status) {
            return Err(self.refuse_status(behind));
        }
        let head = match parse_head(&self.head) {
            Ok(head) => head,
            Err(error) => {
                let detail = format!("The header of the server's answer is not HTTP: {error}.");
                return Err(self.refuse(Cause::Protocol, detail));
            }
        };
        if self.status != SWITCHING_PROTOCOLS {
            // RFC 9110 §15.2: a client reads any number of interim responses before the final one.
            self.head.clear();
            (self.line_start, self.line_count, self.status) = (0, 0, 0);
            return self.take(false, behind);
        }
        match self.expectation.check(&head) {
            Ok(Agreed { protocol, extensions, deflate }) => {
                let Head { status, headers, .. } = head;
                Ok(Some(Response { status, headers, protocol, extensions, deflate }))
            }
            Err(detail) => Err(self.refuse(Cause::Http, detail)),
        }
    }

    fn refuse_status(&self, behind: &[u8]) -> Refusal {
        let line_end = self.head.iter().position(|&byte| byte == b'\n').unwrap_or(self.head.len());
        let line = excerpt(self.head[..line_end].trim_ascii_end());
        let refusal = self.refuse(Cause::Http, format!("The server refused the upgrade with {line}."));
        Refusal { body: behind[..behind.len().min(BODY_SIZE_MAX)].to_vec(), ..refusal }
    }

    fn refuse(&self, cause: Cause, detail: String) -> Refusal {
        let is_whole = self.head[..self.line_start].ends_with(b"\n\n")
            || self.head[..self.line_start].ends_with(b"\n\r\n");
        let end: &[u8] = if is_whole { b"" } else { b"\r\n" };
        let headers = match parse_head(&[&self.head[..self.line_start], end].concat()) {
            Ok(head) => head.headers,
            Err(_) => Vec::new(),
        };
        Refusal { status: self.status, cause, detail, headers, body: Vec::new() }
    }
}

/// Neither the acceptance nor an interim response.
fn is_refusing(status: u16) -> bool {
    !(100..200).contains(&status)
}

fn parse_head(head: &[u8]) -> Result<Head, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; HEADER_COUNT_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    match (config.parse_response(&mut response, head)?, response.version, response.code) {
        (httparse::Status::Complete(_), Some(minor_version), Some(status)) => {
            let headers = response.headers.iter().map(|field| (field.name.to_owned(), unfolded(field.value)));
            Ok(Head { minor_version, status, headers: headers.collect() })
        }
        // The blank line is there, so this is a head that ends where httparse does not see an end.
        _ => Err(httparse::Error::Status),
    }
}

/// RFC 9112 §5.2: a line end inside a value, with the blanks around it, stands for one blank.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.collect::<Vec<_>>().join(&b' ')
}

/// The bytes as printable text in quotes, cut where a log line would get too long.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const SIZE_MAX: usize = 64;
    let shown = bytes[..bytes.len().min(SIZE_MAX)].escape_ascii();
    let rest = if bytes.len() > SIZE_MAX { "..." } else { "" };
    format!("\"{shown}{rest}\"")
}
