//! What a stream is opened with: the table of options, their checks, and the values one stream lives by.
//!
//! Everything is copied in and checked at the setter; an `Options` never changes by being used.

use super::status::Status;
use crate::proto::handshake::{check_header, check_protocol};

/// One option of the C interface.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// Its number, for ever.
    pub number: u32,
    /// Its name without the prefix.
    pub name: &'static str,
    /// What it does, with its unit.
    pub text: &'static str,
    /// What holds where it is not set; None: the option is a text.
    pub default: Option<i64>,
    /// The least and the greatest value.
    pub range: (i64, i64),
    /// Whether this version has it; else its setter answers `ERR_UNSUPPORTED`.
    pub is_supported: bool,
}

const ANY: (i64, i64) = (0, i64::MAX);
const FLAG: (i64, i64) = (0, 1);

const fn number(
    number: u32,
    name: &'static str,
    default: i64,
    range: (i64, i64),
    text: &'static str,
) -> OptionRow {
    OptionRow { number, name, text, default: Some(default), range, is_supported: true }
}

const fn text(number: u32, name: &'static str, text: &'static str) -> OptionRow {
    OptionRow { number, name, text, default: None, range: ANY, is_supported: false }
}

const fn later(row: OptionRow) -> OptionRow {
    OptionRow { is_supported: false, ..row }
}

const OPEN_TIMEOUT_MS: usize = 0;
const CLOSE_TIMEOUT_MS: usize = 1;
const MAX_MESSAGE_SIZE: usize = 4;
const MAX_HEADER_SIZE: usize = 5;
const READ_BUFFER_SIZE: usize = 6;
const WRITE_BUFFER_SIZE: usize = 7;
const TCP_NODELAY: usize = 8;

/// Every option, by number.
pub const OPTIONS: &[OptionRow] = &[
    number(1, "OPEN_TIMEOUT_MS", 30_000, ANY, "Milliseconds from resolving to open, 0 or more; 0: no limit."),
    number(
        2,
        "CLOSE_TIMEOUT_MS",
        10_000,
        ANY,
        "Milliseconds from the call of wsstream_close to the peer's Close, sending what was written included, 0 or more; \
         then the stream ends with code 1006, and what was not sent is lost; 0: no limit.",
    ),
    later(number(
        3,
        "PING_INTERVAL_MS",
        0,
        ANY,
        "Not in this version. Milliseconds between pings, 0 or more; 0: none are sent.",
    )),
    later(number(
        4,
        "PONG_TIMEOUT_MS",
        20_000,
        ANY,
        "Not in this version. Milliseconds that the peer gets to show life after a ping has left, 0 or more.",
    )),
    number(
        5,
        "MAX_MESSAGE_SIZE",
        67_108_864,
        ANY,
        "Bytes of one received message, 0 or more; a longer one fails the connection with Close 1009; 0: no limit.",
    ),
    number(
        6,
        "MAX_HEADER_SIZE",
        65_536,
        (1, i64::MAX),
        "Bytes of the answer to the opening handshake, 1 or more.",
    ),
    number(
        7,
        "READ_BUFFER_SIZE",
        262_144,
        (1, i64::MAX),
        "Bytes received ahead of the reader, counted with 64 for each message, 1 or more.",
    ),
    number(
        8,
        "WRITE_BUFFER_SIZE",
        65_536,
        ANY,
        "Bytes taken and not yet given to the system up to which there is room for a further write, 0 or more.",
    ),
    number(9, "TCP_NODELAY", 1, FLAG, "1: small messages leave at once; 0: the system may gather them."),
    later(number(
        10,
        "SPIN_US",
        -1,
        (-1, 1_000_000),
        "Not in this version. Microseconds that a blocked call looks again before it sleeps, up to 1000000; -1: adaptive; 0: none.",
    )),
    later(number(20, "DEFLATE", 1, FLAG, "Not in this version. 1: offers permessage-deflate; 0: does not.")),
    later(number(21, "DEFLATE_LEVEL", 6, (1, 9), "Not in this version. How hard to compress, 1 to 9.")),
    later(number(
        22,
        "DEFLATE_THRESHOLD",
        128,
        ANY,
        "Not in this version. Bytes below which a message goes uncompressed, 0 or more.",
    )),
    later(number(
        23,
        "DEFLATE_CLIENT_WINDOW_BITS",
        12,
        (9, 15),
        "Not in this version. Window of what this side compresses, 9 to 15 bits.",
    )),
    later(number(
        24,
        "DEFLATE_SERVER_WINDOW_BITS",
        15,
        (8, 15),
        "Not in this version. Window that the peer may use, 8 to 15 bits.",
    )),
    later(number(
        25,
        "DEFLATE_CLIENT_CONTEXT_TAKEOVER",
        1,
        FLAG,
        "Not in this version. 1: this side keeps its window between messages; 0: it does not.",
    )),
    later(number(
        26,
        "DEFLATE_SERVER_CONTEXT_TAKEOVER",
        1,
        FLAG,
        "Not in this version. 1: the peer may keep its window between messages; 0: it may not.",
    )),
    later(number(
        90,
        "DANGER_ACCEPT_INVALID_CERTIFICATES",
        0,
        FLAG,
        "Not in this version. 1: any certificate is taken, and then anybody can read and change what is sent; 0: only good ones.",
    )),
    text(101, "BASE_URL", "Not in this version. The URL that relative ones are resolved against."),
    text(
        102,
        "SERVER_NAME",
        "Not in this version. The name that the server's certificate is checked for, instead of the URL's host.",
    ),
    text(103, "CA_PEM", "Not in this version. Certificates in PEM that replace the system's roots."),
    text(104, "CLIENT_CERTIFICATE_PEM", "Not in this version. This side's certificate chain in PEM."),
    text(105, "CLIENT_KEY_PEM", "Not in this version. The key of this side's certificate in PEM."),
    text(106, "PROXY", "Not in this version. The URL of a proxy; empty: none."),
    text(107, "UNIX_SOCKET", "Not in this version. The path of a Unix socket to connect to."),
];

// The numbers are looked up by place: a row that moves must not compile.
const _: () = {
    assert!(OPTIONS[OPEN_TIMEOUT_MS].number == 1 && OPTIONS[CLOSE_TIMEOUT_MS].number == 2);
    assert!(OPTIONS[MAX_MESSAGE_SIZE].number == 5 && OPTIONS[MAX_HEADER_SIZE].number == 6);
    assert!(OPTIONS[READ_BUFFER_SIZE].number == 7 && OPTIONS[WRITE_BUFFER_SIZE].number == 8);
    assert!(OPTIONS[TCP_NODELAY].number == 9);
};

/// What the program has set.
#[derive(Clone, Debug)]
pub struct Options {
    protocols: Vec<String>,
    headers: Vec<(String, Vec<u8>)>,
    values: Vec<i64>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Every option at its default, no sub-protocol, no header.
    #[must_use]
    pub fn new() -> Self {
        let values = OPTIONS.iter().map(|row| row.default.unwrap_or_default()).collect();
        Self { protocols: Vec::new(), headers: Vec::new(), values }
    }

    /// Offers a sub-protocol after those added before (P01–P04).
    pub fn add_protocol(&mut self, protocol: &str) -> Status {
        if check_protocol(protocol, &self.protocols).is_err() {
            return Status::Syntax;
        }
        self.protocols.push(protocol.to_owned());
        Status::Ok
    }

    /// Adds a field to the opening handshake.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) -> Status {
        let Ok(text) = std::str::from_utf8(name) else { return Status::Argument };
        if check_header(name, value).is_err() {
            return Status::Argument;
        }
        self.headers.push((text.to_owned(), value.to_vec()));
        Status::Ok
    }

    /// Sets a number.
    pub fn set_number(&mut self, option: u32, value: i64) -> Status {
        let Some(place) = OPTIONS.iter().position(|row| row.number == option) else {
            return Status::Unsupported;
        };
        let row = &OPTIONS[place];
        if row.default.is_none() || value < row.range.0 || value > row.range.1 {
            return Status::Argument;
        }
        if !row.is_supported {
            return Status::Unsupported;
        }
        self.values[place] = value;
        Status::Ok
    }

    /// Sets a text. This version has none.
    pub fn set_text(&mut self, option: u32, _text: &str) -> Status {
        match OPTIONS.iter().find(|row| row.number == option) {
            Some(row) if row.default.is_some() => Status::Argument,
            _ => Status::Unsupported,
        }
    }

    pub(super) fn protocols(&self) -> &[String] {
        &self.protocols
    }

    pub(super) fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    pub(super) fn limits(&self) -> Limits {
        let size = |place: usize| usize::try_from(self.values[place]).unwrap_or(usize::MAX);
        let number = |place: usize| self.values[place].unsigned_abs();
        Limits {
            open_timeout_ms: number(OPEN_TIMEOUT_MS),
            close_timeout_ms: number(CLOSE_TIMEOUT_MS),
            max_message_size: number(MAX_MESSAGE_SIZE),
            max_header_size: size(MAX_HEADER_SIZE),
            read_buffer_size: size(READ_BUFFER_SIZE),
            write_buffer_size: size(WRITE_BUFFER_SIZE),
            no_delay: self.values[TCP_NODELAY] != 0,
        }
    }
}

/// The numbers that one stream lives by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub open_timeout_ms: u64,
    pub close_timeout_ms: u64,
    pub max_message_size: u64,
    pub max_header_size: usize,
    pub read_buffer_size: usize,
    pub write_buffer_size: usize,
    pub no_delay: bool,
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, Options};
    use crate::stream::Status;

    #[test]
    fn a_number_is_checked_at_its_setter() {
        let mut options = Options::new();
        assert_eq!(options.set_number(9999, 0), Status::Unsupported);
        assert_eq!(options.set_number(101, 0), Status::Argument);
        assert_eq!(options.set_number(7, 0), Status::Argument);
        assert_eq!(options.set_number(9, 2), Status::Argument);
        assert_eq!(options.set_number(8, 0), Status::Ok);
        assert_eq!(options.limits().write_buffer_size, 0);
    }

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_in_range() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].number < pair[1].number));
        for row in OPTIONS {
            assert!(
                row.default.is_none_or(|value| value >= row.range.0 && value <= row.range.1),
                "{}",
                row.name
            );
        }
    }
}
