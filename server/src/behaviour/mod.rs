//! What the server does on an open connection: one trait, one file per kind.
//!
//! A behaviour sees frames, never the socket's reads; it says what to send and when to end.

pub mod answer;
pub mod closing;
pub mod compressed;
pub mod count;
pub mod echo;
mod feeder;
pub mod flood;
pub mod ping;
pub mod raw;
pub mod stall;
pub mod verify;

use crate::frame::{FrameHeader, opcode};
use crate::query::{Query, Refusal};
use crate::request::Request;
use crate::server::Shared;
use crate::session::Conversation;
use crate::wire::{Ending, How, Pace};
use std::sync::Arc;

/// What a behaviour is made from.
pub struct Setting<'a> {
    /// The parameters.
    pub query: &'a Query,
    /// The request.
    pub request: &'a Request,
    /// What all connections share.
    pub shared: &'a Arc<Shared>,
    /// What TLS has come to.
    pub tls: &'a str,
}

/// A behaviour, ready for its connection.
pub type Made = Result<Box<dyn Behaviour>, Refusal>;

/// Answers a client. The defaults are those of a lawful server that has nothing to say.
pub trait Behaviour {
    /// The handshake is done; nothing is read before this returns.
    fn opened(&mut self, _conversation: &mut Conversation) {}

    /// A data frame begins.
    fn frame_begun(&mut self, _header: &FrameHeader, _conversation: &mut Conversation) {}

    /// A part of its payload came.
    fn payload(&mut self, _bytes: &[u8], _conversation: &mut Conversation) {}

    /// A data frame is complete; its message too if the header has FIN.
    fn frame_ended(&mut self, _header: &FrameHeader, _conversation: &mut Conversation) {}

    /// RFC 6455 §5.5.3: a pong carries the ping's payload. After our Close nothing is sent.
    fn ping_received(&mut self, payload: &[u8], conversation: &mut Conversation) {
        if !conversation.wire.is_close_sent() {
            conversation.send(opcode::PONG, payload);
        }
    }

    /// A pong came.
    fn pong_received(&mut self, _payload: &[u8], _conversation: &mut Conversation) {}

    /// RFC 6455 §5.5.1: answers with the same body, unless ours went first; then ends TCP.
    fn close_received(&mut self, body: &[u8], conversation: &mut Conversation) {
        conversation.send_close(body);
        conversation.end(Ending::now(How::Fin));
    }

    /// Whether payloads must be unmasked.
    fn wants_payload(&self) -> bool {
        true
    }

    /// How slowly it reads.
    fn read_pace(&self) -> Option<Pace> {
        None
    }

    /// How slowly it writes.
    fn write_pace(&self) -> Option<Pace> {
        None
    }
}

/// The Close body of `code`, `reason` and `reason_hex`; `None` when there is no `code`.
///
/// `code=none` leaves only the reason's bytes, so a body of one byte can be made. A reason may be
/// longer than the RFC allows.
fn close_body(query: &Query) -> Result<Option<Vec<u8>>, Refusal> {
    let reason = query.payload("reason")?.unwrap_or_default();
    let Some(code) = query.text("code") else {
        return if reason.is_empty() { Ok(None) } else { Err(Refusal("reason needs code".to_owned())) };
    };
    Ok(Some([code_bytes("code", &code)?, reason].concat()))
}

fn code_bytes(name: &str, code: &str) -> Result<Vec<u8>, Refusal> {
    if code == "none" {
        return Ok(Vec::new());
    }
    let code: u16 =
        code.parse().map_err(|_| Refusal(format!("{name} is neither a number below 65536 nor none")))?;
    Ok(code.to_be_bytes().to_vec())
}

/// The body of a Close sent at the end: `close=CODE`, or `close=none` for no Close at all.
fn close_at_end(query: &Query, default: Option<u16>) -> Result<Option<Vec<u8>>, Refusal> {
    match query.text("close") {
        None => Ok(default.map(|code| code.to_be_bytes().to_vec())),
        Some(text) if text == "none" => Ok(None),
        Some(text) => code_bytes("close", &text).map(Some),
    }
}

/// The opcode of `type=text|binary`.
fn message_opcode(query: &Query) -> Result<u8, Refusal> {
    Ok(if query.choice("type", &["text", "binary"])? == "text" { opcode::TEXT } else { opcode::BINARY })
}

/// Waits for the `after`-th message and says when it has come; echoes those before on demand.
struct After {
    count: u64,
    seen: u64,
    echo: Option<echo::Echo>,
}

impl After {
    fn from_query(query: &Query) -> Result<After, Refusal> {
        let echo = query.flag_or("echo", false)?.then(echo::Echo::default);
        Ok(After { count: query.number_or("after", 0)?, seen: 0, echo })
    }

    fn is_at_once(&self) -> bool {
        self.count == 0
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if let Some(echo) = &mut self.echo {
            echo.frame_begun(header, conversation);
        }
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        if let Some(echo) = &mut self.echo {
            echo.payload(bytes, conversation);
        }
    }

    /// True at the end of the awaited message.
    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) -> bool {
        if let Some(echo) = &mut self.echo {
            echo.frame_ended(header, conversation);
        }
        self.seen += u64::from(header.fin);
        let is_due = header.fin && self.seen == self.count;
        if is_due {
            self.echo = None;
        }
        is_due
    }
}
