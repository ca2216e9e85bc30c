//! permessage-deflate (RFC 7692) on zlib: what the server answers to an offer, and both directions.
//!
//! Knows messages, not frames. It is strict with the client: a window larger than agreed, or one that was to be let go, shows
//! as corrupt data.

use crate::query::{Query, Refusal};
use crate::request::Request;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::fmt::Write;

/// RFC 7692 §7.2.1: what a sync flush ends with, and what the end of a message leaves out.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const WINDOW_BITS_MAX: u8 = 15;
/// The smallest window that zlib has. With it no distance is over 250, so it does for 8 bits, too.
const WINDOW_BITS_MIN: u8 = 9;

/// What both sides keep to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    server_takeover: bool,
    client_takeover: bool,
    server_bits: u8,
    client_bits: u8,
    answer: String,
}

impl Agreement {
    /// The parameters `deflate`, `server_no_context_takeover` and so on, and the client's first offer of permessage-deflate.
    pub fn from_query(query: &Query, request: &Request) -> Result<Option<Agreement>, Refusal> {
        let wanted = Offer {
            server_no_takeover: query.flag_or("server_no_context_takeover", false)?,
            client_no_takeover: query.flag_or("client_no_context_takeover", false)?,
            server_bits: bits(query, "server_max_window_bits")?,
            client_bits: bits(query, "client_max_window_bits")?,
        };
        if !query.flag_or("deflate", false)? {
            return match wanted {
                Offer {
                    server_no_takeover: false,
                    client_no_takeover: false,
                    server_bits: None,
                    client_bits: None,
                } => Ok(None),
                _ => Err(Refusal("a parameter of permessage-deflate needs deflate".to_owned())),
            };
        }
        let offers = request.headers("Sec-WebSocket-Extensions").flat_map(|value| value.split(','));
        Ok(offers.filter_map(Offer::parse).next().map(|offer| offer.answer(&wanted)))
    }

    /// The value of Sec-WebSocket-Extensions in the response.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// The window that the server compresses with, as zlib counts it.
    pub fn server_bits(&self) -> u8 {
        self.server_bits.max(WINDOW_BITS_MIN)
    }
}

fn bits(query: &Query, name: &str) -> Result<Option<u8>, Refusal> {
    match query.number(name)? {
        Some(8..=WINDOW_BITS_MAX) | None => query.number(name),
        Some(_) => Err(Refusal(format!("{name} is not from 8 to 15"))),
    }
}

/// The limits of an offer, or of an answer to it.
#[derive(Default)]
struct Offer {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Option<u8>,
}

impl Offer {
    fn parse(text: &str) -> Option<Offer> {
        let mut words = text.split(';').map(str::trim);
        let mut offer = Offer::default();
        if words.next() != Some("permessage-deflate") {
            return None;
        }
        for word in words {
            let (name, value) =
                word.split_once('=').map_or((word, None), |(name, value)| (name, value.parse().ok()));
            match name {
                "server_no_context_takeover" => offer.server_no_takeover = true,
                "client_no_context_takeover" => offer.client_no_takeover = true,
                "server_max_window_bits" => offer.server_bits = value,
                "client_max_window_bits" => offer.client_bits = value,
                _ => return None,
            }
        }
        Some(offer)
    }

    /// Accepts all that is asked for, and says so; what is wanted beyond that goes before it.
    fn answer(&self, wanted: &Offer) -> Agreement {
        let server_takeover = !(self.server_no_takeover || wanted.server_no_takeover);
        let client_takeover = !(self.client_no_takeover || wanted.client_no_takeover);
        let server_bits = wanted.server_bits.or(self.server_bits);
        let client_bits = wanted.client_bits.or(self.client_bits);
        let mut answer = "permessage-deflate".to_owned();
        for (is_said, name) in [
            (!server_takeover, "server_no_context_takeover"),
            (!client_takeover, "client_no_context_takeover"),
        ] {
            if is_said {
                let _ = write!(answer, "; {name}");
            }
        }
        for (bits, name) in [(server_bits, "server_max_window_bits"), (client_bits, "client_max_window_bits")]
        {
            if let Some(bits) = bits {
                let _ = write!(answer, "; {name}={bits}");
            }
        }
        Agreement {
            server_takeover,
            client_takeover,
            server_bits: server_bits.unwrap_or(WINDOW_BITS_MAX),
            client_bits: client_bits.unwrap_or(WINDOW_BITS_MAX),
            answer,
        }
    }
}

/// Compresses what the server sends.
pub struct Deflater {
    compress: Compress,
    takeover: bool,
}

impl Deflater {
    /// With the window agreed.
    pub fn new(agreement: &Agreement) -> Deflater {
        let compress = Compress::new_with_window_bits(Compression::fast(), false, agreement.server_bits());
        Deflater { compress, takeover: agreement.server_takeover }
    }

    /// The payload of a whole message.
    pub fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = flush(&mut self.compress, payload, FlushCompress::Sync);
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if out.is_empty() {
            // RFC 7692 §7.2.3.6: behind a flush there is nothing to flush.
            out.push(0);
        }
        if !self.takeover {
            self.compress.reset();
        }
        out
    }
}

/// All that a compressor has to say of these bytes.
pub fn flush(compress: &mut Compress, mut bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        out.reserve(bytes.len() + bytes.len() / 64 + 64);
        let before = compress.total_in();
        let status = compress.compress_vec(bytes, &mut out, flush);
        let used = usize::try_from(compress.total_in() - before).expect("a part of a slice");
        bytes = &bytes[used..];
        // With room left, nothing is left to say.
        if status.is_err() || bytes.is_empty() && out.len() < out.capacity() {
            return out;
        }
    }
}

/// Decompresses what the client sends.
pub struct Inflater {
    inflate: Decompress,
    takeover: bool,
    buffer: Vec<u8>,
}

/// It is no compressed message, or keeps not to the agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl Inflater {
    /// With the window agreed.
    pub fn new(agreement: &Agreement) -> Inflater {
        let bits = agreement.client_bits.max(WINDOW_BITS_MIN);
        // zlib refuses a distance only beyond its window and what it has written in the call.
        let buffer = vec![0; 1 << (bits - 1)];
        let inflate = Decompress::new_with_window_bits(false, bits);
        Inflater { inflate, takeover: agreement.client_takeover, buffer }
    }

    /// Gives what a part of a message stands for.
    pub fn part(&mut self, mut bytes: &[u8], mut give: impl FnMut(&[u8])) -> Result<(), Corrupt> {
        loop {
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(bytes, &mut self.buffer, FlushDecompress::Sync);
            let used = usize::try_from(self.inflate.total_in() - before.0).expect("a part of a slice");
            let made = usize::try_from(self.inflate.total_out() - before.1).expect("a part of a slice");
            give(&self.buffer[..made]);
            bytes = &bytes[used..];
            match status {
                Ok(Status::Ok | Status::BufError) if bytes.is_empty() && made < self.buffer.len() => {
                    return Ok(());
                }
                Ok(Status::Ok) => {}
                // This server knows no client that ends its stream.
                _ => return Err(Corrupt),
            }
        }
    }

    /// The message has come to its end.
    pub fn end(&mut self, give: impl FnMut(&[u8])) -> Result<(), Corrupt> {
        self.part(&TAIL, give)?;
        if !self.takeover {
            self.inflate.reset(false);
        }
        Ok(())
    }
}
