//! The table of docs/malformed.toml. Knows how it is written, not what its rows stand for.

use super::support::{BINARY, Cause, TEXT};

const TABLE: &str = include_str!("../../docs/malformed.toml");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Instead of the answer to the handshake.
    Answer,
    /// Behind it, and behind a text message.
    Open,
}

/// One malformed input and what must come of it.
pub struct Input {
    pub name: String,
    pub rows: Vec<String>,
    pub when: When,
    sends: String,
    pub cause: Cause,
    /// The code in the client's Close, if it sends one.
    pub close: Option<u16>,
    pub http_status: i32,
    pub asks: Vec<String>,
    pub limit: Option<i64>,
    /// The server ends TCP behind it.
    pub ends: bool,
    /// Type and size of the messages that a program gets.
    pub delivers: Vec<(u32, usize)>,
    pub pong: Option<Vec<u8>>,
    pub detail: Vec<String>,
}

/// All of them, in order.
pub fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line == "[[input]]" {
            inputs.push(Input::new());
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no field: {line}"));
        let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        let input = inputs.last_mut().expect("fields are those of an input");
        input.set(key, value.unwrap_or_else(|| panic!("no literal string: {line}")));
    }
    inputs
}

fn list(value: &str) -> Vec<String> {
    value.split(", ").map(str::to_owned).collect()
}

impl Input {
    fn new() -> Self {
        Self {
            name: String::new(),
            rows: Vec::new(),
            when: When::Open,
            sends: String::new(),
            cause: Cause::None,
            close: None,
            http_status: 0,
            asks: Vec::new(),
            limit: None,
            ends: false,
            delivers: Vec::new(),
            pong: None,
            detail: Vec::new(),
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let number = || value.parse().unwrap_or_else(|_| panic!("{}: {value} is no number", self.name));
        match key {
            "name" => self.name = value.to_owned(),
            "rows" => self.rows = list(value),
            "when" => self.when = if value == "answer" { When::Answer } else { When::Open },
            "sends" => self.sends = value.to_owned(),
            "cause" => self.cause = cause(value),
            "close" if value == "none" => self.close = None,
            "close" => self.close = Some(u16::try_from(number()).expect("a close code")),
            "http_status" => self.http_status = i32::try_from(number()).expect("a status"),
            "asks" => self.asks = list(value),
            "limit" => self.limit = Some(number()),
            "ends" => self.ends = value == "fin",
            "delivers" => self.delivers = list(value).iter().map(|message| delivered(message)).collect(),
            "pong" => self.pong = Some(bytes(value, "")),
            "detail" => self.detail = list(value),
            _ => panic!("{}: there is no {key}", self.name),
        }
    }

    /// Whether the connection fails of it.
    pub fn fails(&self) -> bool {
        self.cause != Cause::None
    }

    /// What the server sends, where this accepts the key.
    pub fn bytes(&self, accept: &str) -> Vec<u8> {
        bytes(&self.sends, accept)
    }
}

fn cause(name: &str) -> Cause {
    match name {
        "NONE" => Cause::None,
        "HTTP" => Cause::Http,
        "PROTOCOL" => Cause::Protocol,
        "UTF8" => Cause::Utf8,
        "TOO_BIG" => Cause::TooBig,
        "TRUNCATED" => Cause::Truncated,
        _ => panic!("{name} is none of the causes"),
    }
}

fn delivered(message: &str) -> (u32, usize) {
    let (kind, size) = message.split_once(' ').expect("type and size");
    (if kind == "text" { TEXT } else { BINARY }, size.parse().expect("a size"))
}

fn bytes(text: &str, accept: &str) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let counted = rest.split_once('*').and_then(|(count, term)| Some((count.parse().ok()?, term)));
        let (count, start) = counted.unwrap_or((1, rest));
        let (term, behind) = term(start, accept);
        all.extend(term.repeat(count));
        rest = behind.trim_start();
    }
    all
}

/// The bytes of the first term, and what is behind it.
fn term<'a>(text: &'a str, accept: &str) -> (Vec<u8>, &'a str) {
    if let Some(inside) = text.strip_prefix('"') {
        return quoted(inside);
    }
    let end = text.find(' ').unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    let accepts =
        || format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n");
    let bytes = match word {
        "<101>" => b"HTTP/1.1 101 Switching Protocols\r\n".to_vec(),
        "<accepts>" => accepts().into_bytes(),
        "<accept>" => accept.into(),
        "<ACCEPT>" => accept.to_ascii_uppercase().into(),
        "<aCCEPT>" => accept.to_ascii_lowercase().into(),
        digits => hexadecimal(digits),
    };
    (bytes, behind)
}

fn hexadecimal(digits: &str) -> Vec<u8> {
    assert!(digits.len() % 2 == 0, "{digits}: half a byte");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|_| panic!("{digits}"));
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn quoted(text: &str) -> (Vec<u8>, &str) {
    let (mut bytes, mut characters) = (Vec::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        let escaped = if character == '\\' { characters.next().map(|(_, escaped)| escaped) } else { None };
        bytes.push(match (character, escaped) {
            ('"', _) => return (bytes, &text[at + 1..]),
            ('\\', Some('r')) => b'\r',
            ('\\', Some('n')) => b'\n',
            ('\\', Some('t')) => b'\t',
            ('\\', Some('"')) => b'"',
            (character, None) if character.is_ascii() => character as u8,
            _ => panic!("{text}: what no text has"),
        });
    }
    panic!("{text}: no end");
}
