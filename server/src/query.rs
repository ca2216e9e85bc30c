//! The query of a request's URL, held against the parameters its route declares.
//!
//! A parameter that is unknown, repeated without leave, or malformed refuses the request: a test
//! with a misspelled parameter must fail, not test something else.

use crate::grammar::{COMMON, Route};
use std::str::FromStr;
use std::time::Duration;

/// Why a request is refused, for the body of the 400.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(text.into()))
}

/// The parameters of one request.
pub struct Query {
    route: &'static Route,
    pairs: Vec<(String, Vec<u8>)>,
}

impl Query {
    /// Splits `text` at `&` and `=` and decodes both sides; `+` stands for itself.
    pub fn parse(route: &'static Route, text: &str) -> Result<Query, Refusal> {
        let mut query = Query { route, pairs: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
            let name = String::from_utf8_lossy(&percent_decode(name)).into_owned();
            let Some(parameter) = route.parameter(&name) else {
                return refuse(format!("{} knows no parameter {name}", route.path));
            };
            if !parameter.repeats && query.bytes(parameter.name).is_some() {
                return refuse(format!("{name} is given twice"));
            }
            query.pairs.push((name, percent_decode(value)));
        }
        Ok(query)
    }

    /// Every value of a parameter, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        debug_assert!(
            self.route.parameter(name).is_some() || COMMON.iter().any(|common| common.name == name),
            "{} does not declare {name}",
            self.route.path
        );
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| &value[..])
    }

    /// The first value of a parameter.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..])
    }

    /// The value as text, undecodable bytes replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.all(name).next()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// The value as a number, if there is one.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        match self.text(name).map(|text| text.parse()) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => refuse(format!("{name} is not a number in range")),
        }
    }

    /// The value as a number, or `default`.
    pub fn number_or<T: FromStr>(&self, name: &str, default: T) -> Result<T, Refusal> {
        Ok(self.number(name)?.unwrap_or(default))
    }

    /// The value as milliseconds, 0 without one.
    pub fn milliseconds(&self, name: &str) -> Result<Duration, Refusal> {
        Ok(Duration::from_millis(self.number_or(name, 0)?))
    }

    /// The value as yes (`1`, or the bare name) or no (`0`).
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.all(name).next() {
            None => Ok(default),
            Some(b"1") => Ok(true),
            Some(b"0") => Ok(false),
            Some(_) => refuse(format!("{name} is neither 0 nor 1")),
        }
    }

    /// The value, which must be one of `choices`; the first of them is the default.
    pub fn choice(&self, name: &str, choices: &[&'static str]) -> Result<&'static str, Refusal> {
        let Some(text) = self.text(name) else { return Ok(choices[0]) };
        match choices.iter().find(|choice| **choice == text) {
            Some(choice) => Ok(choice),
            None => refuse(format!("{name} is none of {}", choices.join(", "))),
        }
    }

    /// The value as bytes written in hexadecimal.
    pub fn hex(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(value) = self.all(name).next() else { return Ok(None) };
        match from_hex(value) {
            Some(bytes) => Ok(Some(bytes)),
            None => refuse(format!("{name} is not hexadecimal")),
        }
    }

    /// A payload given as `NAME=TEXT` or `NAME_hex=HEX`.
    pub fn payload(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        match self.hex(&format!("{name}_hex"))? {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.all(name).next().map(<[u8]>::to_vec)),
        }
    }
}

/// RFC 3986 §2.1; a `%` that no two digits follow stands for itself.
pub fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(from_hex) {
            Some(byte) => {
                decoded.extend_from_slice(&byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if digits.len() % 2 != 0 {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Bytes in hexadecimal, as `hex` parameters and records write them.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
