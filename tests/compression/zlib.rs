//! The peer's side of permessage-deflate, by zlib in C; data to send, and the options. Knows no stream of the library but to
//! open it.

use super::support::peer::{Connection, Peer};
use super::support::{FOREVER, Options, Status, Stream};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

pub const DEFLATE: u32 = 20;
pub const DEFLATE_LEVEL: u32 = 21;
pub const DEFLATE_THRESHOLD: u32 = 22;
pub const CLIENT_WINDOW_BITS: u32 = 23;
pub const SERVER_WINDOW_BITS: u32 = 24;
pub const CLIENT_TAKEOVER: u32 = 25;
pub const SERVER_TAKEOVER: u32 = 26;
pub const NO_COMPRESS: u32 = 4;

/// RFC 7692 §7.2.1: what a sync flush ends with, and what the end of a message leaves out.
pub const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// The first byte of a frame: RSV1 beside FIN and the opcode, or alone with it.
pub const TEXT_FRAME: u8 = 0xC1;
pub const BINARY_FRAME: u8 = 0xC2;

pub struct Compressor(Compress);

impl Compressor {
    pub fn new() -> Self {
        Self(Compress::new(Compression::new(6), false))
    }

    /// All of a part of a message.
    pub fn part(&mut self, mut data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            out.reserve(data.len() + data.len() / 64 + 64);
            let before = self.0.total_in();
            self.0.compress_vec(data, &mut out, FlushCompress::Sync).expect("zlib compresses anything");
            data = &data[(self.0.total_in() - before) as usize..];
            if data.is_empty() && out.len() < out.capacity() {
                return out;
            }
        }
    }

    /// The payload of a whole message.
    pub fn message(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = self.part(data);
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        // RFC 7692 §7.2.3.6: an empty message is an empty block.
        if out.is_empty() { vec![0] } else { out }
    }
}

/// The payload of a message that stands alone.
pub fn compressed(data: &[u8]) -> Vec<u8> {
    Compressor::new().message(data)
}

/// RFC 1951 §3.2.4: a block that holds its bytes as they are.
pub fn stored(is_last: bool, data: &[u8]) -> Vec<u8> {
    let size = u16::try_from(data.len()).expect("a small block");
    [&[u8::from(is_last)], &size.to_le_bytes()[..], &(!size).to_le_bytes(), data].concat()
}

pub struct Decompressor(Decompress);

impl Decompressor {
    pub fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// What the payload of a whole message stands for.
    pub fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let payload = [payload, &TAIL].concat();
        let (mut rest, mut out) = (payload.as_slice(), Vec::new());
        loop {
            out.reserve(4 * rest.len() + 1024);
            let before = self.0.total_in();
            self.0.decompress_vec(rest, &mut out, FlushDecompress::Sync).expect("a deflate stream");
            rest = &rest[(self.0.total_in() - before) as usize..];
            if rest.is_empty() && out.len() < out.capacity() {
                return out;
            }
        }
    }
}

/// What the client has sent up to the end of a message: RSV1 of its first frame, and its payload.
pub fn received(connection: &mut Connection) -> (bool, Vec<u8>) {
    let (mut payload, mut is_compressed) = (Vec::new(), None);
    loop {
        let frame = connection.receive().expect("a frame");
        if frame.first & 0x08 != 0 {
            continue;
        }
        // RFC 7692 §6: on the first frame alone.
        let has_rsv1 = frame.first & 0x40 != 0;
        assert!(is_compressed.is_none() || !has_rsv1, "{:x}", frame.first);
        is_compressed.get_or_insert(has_rsv1);
        payload.extend(frame.payload);
        if frame.first & 0x80 != 0 {
            return (is_compressed == Some(true), payload);
        }
    }
}

/// An open stream and its peer, which has answered so: what follows `permessage-deflate`.
pub fn compressing_with(options: &Options, answer: &str) -> (Stream, Connection) {
    compressing_to(&Peer::of_scheme(Some(65536)), options, answer)
}

pub fn compressing() -> (Stream, Connection) {
    compressing_with(&Options::new(), "")
}

/// The same with a peer that is there.
pub fn compressing_to(peer: &Peer, options: &Options, answer: &str) -> (Stream, Connection) {
    let stream = Stream::open_with(&peer.url(), options);
    let mut connection = peer.accept();
    connection.switch_with(&format!("Sec-WebSocket-Extensions: permessage-deflate{answer}\r\n"), b"");
    assert_eq!(stream.wait_opened(FOREVER), Status::Ok, "{:?}", stream.wait_closed(0));
    (stream, connection)
}

/// Bytes that do not compress.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).take(size.div_ceil(8)).flatten().collect();
    bytes.truncate(size);
    bytes
}

/// Bytes that compress, some by what was far before.
pub fn mixture(seed: u64, size: usize) -> Vec<u8> {
    let fresh = noise(seed, 255 * 11 + 200);
    let mut bytes = Vec::with_capacity(size + 3000);
    for pick in noise(seed + 1, 2 * size / 100 + 2).chunks_exact(2) {
        let (from, length) = (usize::from(pick[0]) * 11, usize::from(pick[1]) % 190 + 10);
        bytes.extend_from_slice(&fresh[from..][..length]);
        if bytes.len() >= size {
            break;
        }
    }
    bytes.resize(size, b'x');
    bytes
}

/// Text of so many bytes.
pub fn words(seed: u64, size: usize) -> String {
    const WORDS: [&str; 8] = ["grüße ", "and ", "more ", "😀 ", "€ ", "stream ", "of the ", "\0"];
    let mut text = String::with_capacity(size + 10);
    for pick in noise(seed, size / 2 + 1) {
        let word = WORDS[usize::from(pick) % WORDS.len()];
        if text.len() + word.len() > size {
            break;
        }
        text.push_str(word);
    }
    text.extend(std::iter::repeat_n('x', size - text.len()));
    text
}
