//! Records on their way between rustls and the buffers. Knows no socket and no reader.

use super::buffer::Buffer;
use rustls::client::ClientConnectionData;
use rustls::unbuffered::{EncodeError, EncodeTlsData, EncryptError, WriteTraffic};
use std::io::Error;

/// RFC 8446 §5.1: no record carries more plaintext.
pub(super) const RECORD_SIZE: usize = 16 * 1024;
/// What a record adds to its plaintext at most: header, explicit nonce and tag of TLS 1.2; TLS 1.3 adds less.
pub(super) const RECORD_OVERHEAD: usize = RECORD_HEADER_SIZE + 8 + 16;
/// RFC 5246 §6.2.3: a record as it comes, header and all, is never larger.
pub(super) const RECORD_SIZE_MAX: usize = RECORD_HEADER_SIZE + RECORD_SIZE + 2048;
pub(super) const RECORD_HEADER_SIZE: usize = 5;

/// What came of a wish.
#[derive(PartialEq, Eq)]
pub(super) enum Done {
    /// All of it: bytes were encrypted, or close_notify was.
    All,
    /// Nothing is left to be processed.
    Nothing,
}

/// What ends a connection from this side.
pub(super) enum Trouble {
    Tls(rustls::Error),
    KeysUsedUp,
    NoMemory,
}

impl From<rustls::Error> for Trouble {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl From<Error> for Trouble {
    fn from(_: Error) -> Self {
        Self::NoMemory
    }
}

/// Takes over a record that rustls has made.
pub(super) fn encode(
    mut data: EncodeTlsData<'_, ClientConnectionData>,
    outgoing: &mut Buffer,
) -> std::result::Result<(), Trouble> {
    let mut room = 0;
    loop {
        match data.encode(&mut outgoing.spare(room)?[..room]) {
            Ok(size) => {
                outgoing.extend(size);
                return Ok(());
            }
            // So it says how large the record is.
            Err(EncodeError::InsufficientSize(error)) if room == 0 => room = error.required_size,
            Err(error) => return Err(rustls::Error::General(error.to_string()).into()),
        }
    }
}

pub(super) fn encrypt(
    traffic: &mut WriteTraffic<'_, ClientConnectionData>,
    bytes: &[u8],
    outgoing: &mut Buffer,
) -> std::result::Result<Done, Trouble> {
    let mut room = bytes.len() + (bytes.len() / RECORD_SIZE + 1) * RECORD_OVERHEAD;
    loop {
        match traffic.encrypt(bytes, outgoing.spare(room)?) {
            Ok(size) => {
                outgoing.extend(size);
                return Ok(Done::All);
            }
            // A key update goes before the bytes.
            Err(EncryptError::InsufficientSize(error)) => room = error.required_size,
            // TLS 1.3 takes new keys in time, TLS 1.2 cannot (RFC 8446 §5.5).
            Err(EncryptError::EncryptExhausted) => return Err(Trouble::KeysUsedUp),
        }
    }
}

pub(super) fn say_close_notify(
    traffic: &mut WriteTraffic<'_, ClientConnectionData>,
    outgoing: &mut Buffer,
) -> std::result::Result<Done, Trouble> {
    match traffic.queue_close_notify(outgoing.spare(RECORD_SIZE_MAX)?) {
        Ok(size) => outgoing.extend(size),
        Err(_) => return Err(Trouble::KeysUsedUp),
    }
    Ok(Done::All)
}

/// How many bytes the record has that begins here; as much as is needed to know it where that is not known.
pub(super) fn record_size(bytes: &[u8]) -> usize {
    match bytes {
        [_, _, _, high, low, ..] => RECORD_HEADER_SIZE + usize::from(u16::from_be_bytes([*high, *low])),
        _ => RECORD_HEADER_SIZE,
    }
}

/// Whether rustls can do something with bytes that begin a record: a whole one, or the header of what is none.
pub(super) fn begins_record(bytes: &[u8]) -> bool {
    let is_header = matches!(bytes, [20..=24, 3, _, _, _, ..]) && record_size(bytes) < RECORD_SIZE_MAX;
    bytes.len() >= RECORD_HEADER_SIZE && (!is_header || bytes.len() >= record_size(bytes))
}
