//! A correct conversation of a server, and what must come of each prefix of it. Knows no socket: what ends the
//! conversation is a word here.

use super::support::peer::{Received, frame};
use super::support::{BINARY, Cause, Info, Initiator, Phase, Status, TEXT};

/// What the client asks for and the server chooses.
pub const PROTOCOL: &str = "chat";
/// The client's own Close, where it gives up.
pub const OWN_CODE: u16 = 4000;
const PEER_CODE: u16 = 4001;
const REASON: &str = "bye";

/// What a piece of the conversation is for the client once its last byte has come.
pub enum Meaning {
    Opened,
    Message(u32, Vec<u8>),
    Ping(Vec<u8>),
    /// A fragment that is not the last.
    Fragment,
    Close,
}

/// All pieces, in order: the answer to the handshake and the frames.
pub fn pieces(accept: &str) -> Vec<(Vec<u8>, Meaning)> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nX-Other: y\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
    );
    // The cuts between fragments and inside them fall into characters, too.
    let text = "häß".as_bytes();
    let large: Vec<u8> = (0..126).collect();
    let close = [&PEER_CODE.to_be_bytes(), REASON.as_bytes()].concat();
    vec![
        (head.into_bytes(), Meaning::Opened),
        (frame(0x81, "né".as_bytes()), Meaning::Message(TEXT, "né".into())),
        (frame(0x89, b"p1"), Meaning::Ping(b"p1".into())),
        (frame(0x01, &text[..2]), Meaning::Fragment),
        (frame(0x89, b"p2"), Meaning::Ping(b"p2".into())),
        (frame(0x00, &text[2..4]), Meaning::Fragment),
        (frame(0x80, &text[4..]), Meaning::Message(TEXT, text.into())),
        (frame(0x82, b""), Meaning::Message(BINARY, Vec::new())),
        (frame(0x82, &large), Meaning::Message(BINARY, large)),
        (frame(0x88, &close), Meaning::Close),
    ]
}

/// All bytes of it.
pub fn conversation(accept: &str) -> Vec<u8> {
    pieces(accept).into_iter().flat_map(|(bytes, _)| bytes).collect()
}

/// How many those are; every accept key is as long as any other.
pub fn conversation_size() -> usize {
    conversation(&"k".repeat(28)).len()
}

/// How the server ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A reset of TCP.
    Reset,
    /// The end of its direction of TCP, without close_notify where TLS is spoken.
    Fin,
    /// close_notify, then that.
    Notified,
    /// Nothing ever again; where the stream is open the client gives up with a Close of its own.
    Stall,
}

/// What the client has to know once so many bytes have come.
#[derive(Default)]
pub struct Known {
    pub is_open: bool,
    /// Type and bytes.
    pub messages: Vec<(u32, Vec<u8>)>,
    pub pings: Vec<Vec<u8>>,
    pub is_closed: bool,
}

impl Known {
    /// By the prefix of so many bytes.
    pub fn by(size: usize) -> Self {
        let (mut known, mut end) = (Self::default(), 0);
        for (bytes, meaning) in pieces(&"k".repeat(28)) {
            end += bytes.len();
            match meaning {
                _ if end > size => break,
                Meaning::Opened => known.is_open = true,
                Meaning::Message(kind, bytes) => known.messages.push((kind, bytes)),
                Meaning::Ping(bytes) => known.pings.push(bytes),
                Meaning::Fragment => {}
                Meaning::Close => known.is_closed = true,
            }
        }
        known
    }

    /// What `wait_opened` answers in the end.
    pub fn opened(&self) -> Status {
        if self.is_open { Status::Ok } else { Status::Connection }
    }

    /// What the server has to receive behind the request: a pong for each whole ping, and one Close or none.
    pub fn sent(&self, end: End) -> Vec<Received> {
        let pongs = self.pings.iter().map(|payload| Received { first: 0x8A, payload: payload.clone() });
        let code = match end {
            _ if self.is_closed => Some(PEER_CODE),
            End::Stall if self.is_open => Some(OWN_CODE),
            _ => None,
        };
        let close = code.map(|code| Received { first: 0x88, payload: code.to_be_bytes().into() });
        pongs.chain(close).collect()
    }

    /// What `wait_closed` answers, but for the sentence.
    pub fn closed(&self, end: End) -> (Status, Info) {
        let (cause, os_error) = match end {
            _ if self.is_closed => (Cause::None, 0),
            End::Reset => (Cause::System, libc::ECONNRESET),
            End::Fin | End::Notified => (Cause::Truncated, 0),
            End::Stall => (Cause::Timeout, 0),
        };
        let (phase, initiator, sent_code) = match end {
            _ if self.is_closed => (Phase::Closing, Initiator::Remote, PEER_CODE),
            _ if !self.is_open => (Phase::Handshake, Initiator::None, 0),
            End::Stall => (Phase::Closing, Initiator::Local, OWN_CODE),
            _ => (Phase::Open, Initiator::Transport, 0),
        };
        let info = Info {
            code: if self.is_closed { PEER_CODE } else { 1006 },
            clean: self.is_closed,
            initiator,
            phase,
            cause,
            os_error,
            http_status: 0,
            sent_code,
            reason: if self.is_closed { REASON.to_owned() } else { String::new() },
            detail: String::new(),
            response_body: String::new(),
        };
        (if self.is_closed { Status::Ok } else { Status::Connection }, info)
    }

    /// What a read answers behind the last message.
    pub fn read_end(&self) -> Status {
        if self.is_closed { Status::Done } else { Status::Connection }
    }

    /// What a write answers once the stream has ended.
    pub fn write_end(&self, end: End) -> Status {
        let is_own = end == End::Stall && self.is_open;
        if self.is_closed || is_own { Status::State } else { Status::Connection }
    }
}
