//! What a stream is opened with: the table of options, their checks, and the values one stream lives by.
//!
//! Everything is copied in and checked at the setter; an `Options` never changes by being used.

use super::aborter::Aborter;
use super::log::LogTarget;
use super::looking;
use super::status::Status;
use crate::net::{
    TlsConfig, TlsConfigError, TlsOptions, check_certificates_pem, check_key_pem, server_name, sys, url,
};
use crate::proto::handshake::{Offer, check_header, check_protocol};
use ::url::{Host, Url};
use once_cell::sync::OnceCell;
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    OptionRow { number, name, text, default: None, range: ANY, is_supported: true }
}

const fn later(row: OptionRow) -> OptionRow {
    OptionRow { is_supported: false, ..row }
}

/// The numbers of the options that this layer has.
mod option {
    pub const OPEN_TIMEOUT_MS: u32 = 1;
    pub const CLOSE_TIMEOUT_MS: u32 = 2;
    pub const PING_INTERVAL_MS: u32 = 3;
    pub const PONG_TIMEOUT_MS: u32 = 4;
    pub const MAX_MESSAGE_SIZE: u32 = 5;
    pub const MAX_HEADER_SIZE: u32 = 6;
    pub const READ_BUFFER_SIZE: u32 = 7;
    pub const WRITE_BUFFER_SIZE: u32 = 8;
    pub const TCP_NODELAY: u32 = 9;
    pub const SPIN_US: u32 = 10;
    pub const DEFLATE: u32 = 20;
    pub const DEFLATE_LEVEL: u32 = 21;
    pub const DEFLATE_THRESHOLD: u32 = 22;
    pub const DEFLATE_CLIENT_WINDOW_BITS: u32 = 23;
    pub const DEFLATE_SERVER_WINDOW_BITS: u32 = 24;
    pub const DEFLATE_CLIENT_CONTEXT_TAKEOVER: u32 = 25;
    pub const DEFLATE_SERVER_CONTEXT_TAKEOVER: u32 = 26;
    pub const DANGER_ACCEPT_INVALID_CERTIFICATES: u32 = 90;
    pub const BASE_URL: u32 = 101;
    pub const SERVER_NAME: u32 = 102;
    pub const CA_PEM: u32 = 103;
    pub const CLIENT_CERTIFICATE_PEM: u32 = 104;
    pub const CLIENT_KEY_PEM: u32 = 105;
    pub const UNIX_SOCKET: u32 = 107;
}

/// The place of an option in the table.
const fn place(number: u32) -> usize {
    let mut place = 0;
    while OPTIONS[place].number != number {
        place += 1;
    }
    place
}

/// Every option, by number.
pub const OPTIONS: &[OptionRow] = &[
    number(
        option::OPEN_TIMEOUT_MS,
        "OPEN_TIMEOUT_MS",
        30_000,
        ANY,
        "Milliseconds from resolving to open, 0 or more; 0: no limit.",
    ),
    number(
        option::CLOSE_TIMEOUT_MS,
        "CLOSE_TIMEOUT_MS",
        10_000,
        ANY,
        "Milliseconds from the call of wsstream_close to the peer's Close, sending what was written included, 0 or more; \
         then the stream ends with code 1006, and what was not sent is lost; 0: no limit.",
    ),
    number(
        option::PING_INTERVAL_MS,
        "PING_INTERVAL_MS",
        0,
        ANY,
        "Milliseconds between pings of this side while the stream is open, 0 or more; 0: none are sent.",
    ),
    number(
        option::PONG_TIMEOUT_MS,
        "PONG_TIMEOUT_MS",
        20_000,
        ANY,
        "Milliseconds that the peer gets to show life after such a ping has left, 0 or more; any byte counts, and the time \
         stands still while reading is above READ_BUFFER_SIZE or data is unsent; then the stream ends with code 1006 and \
         WSSTREAM_CAUSE_TIMEOUT; 0: no limit.",
    ),
    number(
        option::MAX_MESSAGE_SIZE,
        "MAX_MESSAGE_SIZE",
        67_108_864,
        ANY,
        "Bytes of one received message, after decompression, 0 or more; a longer one fails the connection with Close 1009; \
         0: no limit.",
    ),
    number(
        option::MAX_HEADER_SIZE,
        "MAX_HEADER_SIZE",
        65_536,
        (1, i64::MAX),
        "Bytes of the answer to the opening handshake, 1 or more; it has at most 128 fields whatever this says.",
    ),
    number(
        option::READ_BUFFER_SIZE,
        "READ_BUFFER_SIZE",
        262_144,
        (1, i64::MAX),
        "Bytes received ahead of the reader, after decompression and with 64 for each message, 1 or more. What is decoded \
         last may go beyond it, and a message that a reader of whole messages waits for is received whole.",
    ),
    number(
        option::WRITE_BUFFER_SIZE,
        "WRITE_BUFFER_SIZE",
        65_536,
        ANY,
        "Bytes taken and not yet given to the system, after compression, up to which there is room for a further write, 0 \
         or more.",
    ),
    number(
        option::TCP_NODELAY,
        "TCP_NODELAY",
        1,
        FLAG,
        "1: small messages leave at once; 0: the system may gather them.",
    ),
    number(
        option::SPIN_US,
        "SPIN_US",
        -1,
        (-1, 1_000_000),
        "Microseconds that a call may look again and again before it sleeps, up to 1000000; -1: 50; 0: none. It does so \
         only where the stream's last waits were that short, and never on one processor.",
    ),
    number(
        option::DEFLATE,
        "DEFLATE",
        1,
        FLAG,
        "1: offers permessage-deflate (RFC 7692), and where the server agrees messages are compressed; wsstream_extensions \
         tells what it agreed to. 0: does not. Whoever can choose a part of what you send can guess secrets that you send \
         beside it from the compressed sizes: send those with WSSTREAM_NO_COMPRESS.",
    ),
    number(
        option::DEFLATE_LEVEL,
        "DEFLATE_LEVEL",
        6,
        (1, 9),
        "How hard to compress: 1, fastest, to 9, smallest.",
    ),
    number(
        option::DEFLATE_THRESHOLD,
        "DEFLATE_THRESHOLD",
        128,
        ANY,
        "A message that is written in one piece of fewer bytes goes uncompressed, 0 or more; one in several parts is \
         compressed whatever its size. INT64_MAX: this side compresses nothing, the server still may.",
    ),
    number(
        option::DEFLATE_CLIENT_WINDOW_BITS,
        "DEFLATE_CLIENT_WINDOW_BITS",
        12,
        (9, 15),
        "Window of what this side compresses, 9 to 15 bits; a server may ask for a smaller one, and where it asks for 8 bits \
         this side compresses nothing. Compressing takes 265 KB of memory with 12 bits, 380 KB with 15, given back after a \
         second without a compressed message.",
    ),
    number(
        option::DEFLATE_SERVER_WINDOW_BITS,
        "DEFLATE_SERVER_WINDOW_BITS",
        15,
        (8, 15),
        "Window that the server may use, 8 to 15 bits. Below 15 a server that agrees to compression but not to this limit \
         fails the opening with WSSTREAM_CAUSE_HTTP. Decompressing takes 48 KB of memory and the window, from the first \
         compressed message to the end.",
    ),
    number(
        option::DEFLATE_CLIENT_CONTEXT_TAKEOVER,
        "DEFLATE_CLIENT_CONTEXT_TAKEOVER",
        1,
        FLAG,
        "1: this side keeps its window between messages; 0: it does not.",
    ),
    number(
        option::DEFLATE_SERVER_CONTEXT_TAKEOVER,
        "DEFLATE_SERVER_CONTEXT_TAKEOVER",
        1,
        FLAG,
        "1: the server may keep its window between messages. 0: it is asked to begin each message anew, and one that agrees to \
         compression without that fails the opening with WSSTREAM_CAUSE_HTTP; then an idle stream keeps no decompressor.",
    ),
    number(
        option::DANGER_ACCEPT_INVALID_CERTIFICATES,
        "DANGER_ACCEPT_INVALID_CERTIFICATES",
        0,
        FLAG,
        "1: any certificate is taken, and then anybody can read and change what is sent; 0: only good ones.",
    ),
    text(
        option::BASE_URL,
        "BASE_URL",
        "The URL that relative ones are resolved against: absolute, ws, wss, http or https.",
    ),
    text(
        option::SERVER_NAME,
        "SERVER_NAME",
        "The name, or address, that the server is asked for (SNI) and its certificate is checked for, instead of the \
         URL's host.",
    ),
    text(
        option::CA_PEM,
        "CA_PEM",
        "Certificates in PEM, one behind the other, that are trusted in place of the system's roots. (Those are found as \
         the system's programs do; the environment variables SSL_CERT_FILE and SSL_CERT_DIR replace them.)",
    ),
    text(
        option::CLIENT_CERTIFICATE_PEM,
        "CLIENT_CERTIFICATE_PEM",
        "This side's certificate in PEM, the chain above it behind it; only with CLIENT_KEY_PEM.",
    ),
    text(
        option::CLIENT_KEY_PEM,
        "CLIENT_KEY_PEM",
        "The private key of this side's certificate in PEM; only with CLIENT_CERTIFICATE_PEM.",
    ),
    later(text(106, "PROXY", "Not in this version. The URL of a proxy; empty: none.")),
    text(
        option::UNIX_SOCKET,
        "UNIX_SOCKET",
        "The path of a Unix socket to connect to, instead of the URL's host and port.",
    ),
];

/// What the program has set.
#[derive(Default)]
pub struct Options {
    protocols: Vec<String>,
    headers: Vec<(String, Vec<u8>)>,
    /// What was set, by the place in the table.
    numbers: Vec<(usize, i64)>,
    texts: Vec<(usize, String)>,
    aborter: Option<Arc<Aborter>>,
    log: Option<LogTarget>,
    /// Made when it is first needed, and kept until an option of TLS changes; with the generation of the process that made it.
    tls: Mutex<Option<(u32, TlsConfig)>>,
}

impl Clone for Options {
    /// What was set; what is made of it is made anew.
    fn clone(&self) -> Self {
        Self {
            protocols: self.protocols.clone(),
            headers: self.headers.clone(),
            numbers: self.numbers.clone(),
            texts: self.texts.clone(),
            aborter: self.aborter.clone(),
            log: self.log.clone(),
            tls: Mutex::default(),
        }
    }
}

/// Where no option of TLS is set: one for the process, in the slot of its generation. At a fork another thread may have been
/// inside; the child takes one of its own.
static DEFAULT_TLS: [OnceCell<TlsConfig>; 64] = [const { OnceCell::new() }; 64];

impl Options {
    /// Every option at its default, no sub-protocol, no header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        set(&mut self.numbers, place, value);
        self.forget_tls(option);
        Status::Ok
    }

    /// Sets a text.
    pub fn set_text(&mut self, option: u32, text: &str) -> Status {
        let Some(place) = OPTIONS.iter().position(|row| row.number == option) else {
            return Status::Unsupported;
        };
        let row = &OPTIONS[place];
        if row.default.is_some() {
            return Status::Argument;
        }
        if !row.is_supported {
            return Status::Unsupported;
        }
        let is_good = match option {
            option::BASE_URL => url::parse_base(text).is_some(),
            option::SERVER_NAME => server_name(text).is_some(),
            option::CA_PEM | option::CLIENT_CERTIFICATE_PEM => check_certificates_pem(text.as_bytes()),
            option::CLIENT_KEY_PEM => check_key_pem(text.as_bytes()),
            option::UNIX_SOCKET => is_unix_path(text),
            _ => true,
        };
        if !is_good {
            return Status::Argument;
        }
        set(&mut self.texts, place, text.to_owned());
        self.forget_tls(option);
        Status::Ok
    }

    /// What TLS is made with has changed, if this option is one of its own; else its sessions are kept.
    fn forget_tls(&mut self, option: u32) {
        const OF_TLS: [u32; 4] = [
            option::DANGER_ACCEPT_INVALID_CERTIFICATES,
            option::CA_PEM,
            option::CLIENT_CERTIFICATE_PEM,
            option::CLIENT_KEY_PEM,
        ];
        if OF_TLS.contains(&option) {
            self.tls = Mutex::default();
        }
    }

    /// Uses an aborter for streams opened from now on; None: no more.
    pub fn set_aborter(&mut self, aborter: Option<Arc<Aborter>>) {
        self.aborter = aborter;
    }

    /// Logs streams opened from now on; None: no more.
    pub fn set_log(&mut self, log: Option<LogTarget>) {
        self.log = log;
    }

    pub(super) fn protocols(&self) -> &[String] {
        &self.protocols
    }

    pub(super) fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    pub(super) fn aborter(&self) -> Option<&Arc<Aborter>> {
        self.aborter.as_ref()
    }

    pub(super) fn log(&self) -> Option<LogTarget> {
        self.log.clone()
    }

    pub(super) fn base_url(&self) -> Option<Url> {
        self.text(option::BASE_URL).and_then(url::parse_base)
    }

    pub(super) fn unix_socket(&self) -> Option<&str> {
        self.text(option::UNIX_SOCKET)
    }

    /// Whether options contradict each other.
    pub(super) fn contradicts_itself(&self) -> bool {
        self.text(option::CLIENT_CERTIFICATE_PEM).is_some() != self.text(option::CLIENT_KEY_PEM).is_some()
    }

    /// The name that a server's certificate has to be good for.
    pub(super) fn server_name(&self, host: &Host<String>) -> Option<ServerName<'static>> {
        match (self.text(option::SERVER_NAME), host) {
            (Some(name), _) => server_name(name),
            (None, Host::Domain(name)) => server_name(name),
            (None, Host::Ipv4(address)) => Some(IpAddr::from(*address).into()),
            (None, Host::Ipv6(address)) => Some(IpAddr::from(*address).into()),
        }
    }

    /// What TLS is made with: one for these options, or the one of the process.
    pub(super) fn tls(&self) -> Result<TlsConfig, TlsConfigError> {
        let pem = |number: u32| self.text(number).map(str::as_bytes);
        let options = TlsOptions {
            ca_pem: pem(option::CA_PEM),
            certificate_pem: pem(option::CLIENT_CERTIFICATE_PEM),
            key_pem: pem(option::CLIENT_KEY_PEM),
            accept_invalid_certificates: self.number(option::DANGER_ACCEPT_INVALID_CERTIFICATES) != 0,
        };
        let is_default = options.ca_pem.is_none()
            && options.certificate_pem.is_none()
            && options.key_pem.is_none()
            && !options.accept_invalid_certificates;
        let generation = sys::generation();
        if is_default {
            let made = &DEFAULT_TLS[generation as usize % DEFAULT_TLS.len()];
            return made.get_or_try_init(|| TlsConfig::new(&options)).cloned();
        }
        // Locked, it is being made by another thread, or was at a fork: then one for this stream alone.
        let Ok(mut made) = self.tls.try_lock() else { return TlsConfig::new(&options) };
        match &*made {
            Some((of, config)) if *of == generation => Ok(config.clone()),
            _ => {
                let config = TlsConfig::new(&options)?;
                *made = Some((generation, config.clone()));
                Ok(config)
            }
        }
    }

    fn number(&self, number: u32) -> i64 {
        let place = place(number);
        let set = self.numbers.iter().find(|(at, _)| *at == place);
        set.map_or(OPTIONS[place].default.unwrap_or_default(), |(_, value)| *value)
    }

    fn text(&self, number: u32) -> Option<&str> {
        let place = place(number);
        self.texts.iter().find(|(at, _)| *at == place).map(|(_, text)| text.as_str())
    }

    /// permessage-deflate as it is offered; None: it is not.
    pub(super) fn deflate_offer(&self) -> Option<Offer> {
        let is_set = |number: u32| self.number(number) != 0;
        is_set(option::DEFLATE).then(|| Offer {
            client_window_bits: self.number(option::DEFLATE_CLIENT_WINDOW_BITS) as u8,
            server_window_bits: self.number(option::DEFLATE_SERVER_WINDOW_BITS) as u8,
            client_context_takeover: is_set(option::DEFLATE_CLIENT_CONTEXT_TAKEOVER),
            server_context_takeover: is_set(option::DEFLATE_SERVER_CONTEXT_TAKEOVER),
        })
    }

    pub(super) fn limits(&self) -> Limits {
        let size = |number: u32| usize::try_from(self.number(number)).unwrap_or(usize::MAX);
        let number = |number: u32| self.number(number).unsigned_abs();
        Limits {
            open_timeout_ms: number(option::OPEN_TIMEOUT_MS),
            close_timeout_ms: number(option::CLOSE_TIMEOUT_MS),
            ping_interval_ms: number(option::PING_INTERVAL_MS),
            pong_timeout_ms: number(option::PONG_TIMEOUT_MS),
            max_message_size: number(option::MAX_MESSAGE_SIZE),
            max_header_size: size(option::MAX_HEADER_SIZE),
            read_buffer_size: size(option::READ_BUFFER_SIZE),
            write_buffer_size: size(option::WRITE_BUFFER_SIZE),
            no_delay: self.number(option::TCP_NODELAY) != 0,
            deflate_level: self.number(option::DEFLATE_LEVEL) as u8,
            deflate_threshold: size(option::DEFLATE_THRESHOLD),
            look: looking::bound(self.number(option::SPIN_US)),
        }
    }
}

/// A later value replaces.
fn set<T>(values: &mut Vec<(usize, T)>, place: usize, value: T) {
    match values.iter_mut().find(|(at, _)| *at == place) {
        Some((_, old)) => *old = value,
        None => values.push((place, value)),
    }
}

/// Whether the system takes it as the path of a socket: a field of 108 bytes with the NUL at its end.
fn is_unix_path(path: &str) -> bool {
    const PATH_SIZE_MAX: usize = 107;
    !path.is_empty() && path.len() <= PATH_SIZE_MAX && !path.contains('\0')
}

/// The numbers that one stream lives by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub open_timeout_ms: u64,
    pub close_timeout_ms: u64,
    pub ping_interval_ms: u64,
    pub pong_timeout_ms: u64,
    pub max_message_size: u64,
    pub max_header_size: usize,
    pub read_buffer_size: usize,
    pub write_buffer_size: usize,
    pub no_delay: bool,
    pub deflate_level: u8,
    pub deflate_threshold: usize,
    /// How long a thread may look before it sleeps.
    pub look: Option<Duration>,
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
