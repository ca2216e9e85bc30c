//! `/echo`, `/slow_write`, `/sink`, `/slow_read`, `/request`, `/tls`: what a client sends comes back, or does not.
//!
//! A message is echoed when it is complete, so a client may send all of it before it reads. One that
//! came in a single frame is copied once.

use super::{Behaviour, Made, Setting, message_opcode};
use crate::frame::{FrameHeader, append_header, opcode};
use crate::session::Conversation;
use crate::wire::{Ending, How, Pace};

/// A message above it is refused with 1009: a test server need not hold more.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// Echoes messages.
#[derive(Default)]
pub struct Echo {
    greeting: Option<(u8, Vec<u8>)>,
    frame_bytes_max: usize,
    pings: Option<Vec<u8>>,
    write_pace: Option<Pace>,
    message: Vec<u8>,
    opcode: u8,
    /// Whether the message came in more than one frame, or is to leave so.
    is_held: bool,
}

impl Echo {
    /// `/echo`.
    pub fn make(setting: &Setting) -> Made {
        Ok(Box::new(Echo { frame_bytes_max: setting.query.number_or("frame", 0)?, ..Echo::default() }))
    }

    /// `/ping_echo`.
    pub fn make_pinging(setting: &Setting) -> Made {
        let payload = setting.query.payload("payload")?.unwrap_or_default();
        Ok(Box::new(Echo { pings: Some(payload), ..Echo::default() }))
    }

    /// `/request`.
    pub fn make_request(setting: &Setting) -> Made {
        let head = setting.request.lines.join("\r\n").into_bytes();
        Ok(Box::new(Echo { greeting: Some((opcode::TEXT, head)), ..Echo::default() }))
    }

    /// `/tls`.
    pub fn make_tls(setting: &Setting) -> Made {
        let text = setting.tls.as_bytes().to_vec();
        Ok(Box::new(Echo { greeting: Some((opcode::TEXT, text)), ..Echo::default() }))
    }

    /// `/slow_write`.
    pub fn make_slow(setting: &Setting) -> Made {
        let opcode = message_opcode(setting.query)?;
        let greeting = setting.query.payload("message")?.map(|message| (opcode, message));
        let write_pace = Some(Pace::from_query(setting.query)?);
        Ok(Box::new(Echo { greeting, write_pace, ..Echo::default() }))
    }
}

impl Echo {
    /// Whether the message may have so many bytes more; else the connection ends.
    fn has_room(&self, more: u64, conversation: &mut Conversation) -> bool {
        let has_room = self.message.len() as u64 + more <= MESSAGE_BYTES_MAX;
        if !has_room {
            conversation.send_close(&1009u16.to_be_bytes());
            conversation.end(Ending::now(How::Fin));
        }
        has_room
    }
}

impl Behaviour for Echo {
    fn opened(&mut self, conversation: &mut Conversation) {
        let Some((opcode, message)) = self.greeting.take() else { return };
        if self.write_pace.is_none() {
            return conversation.send_message(opcode, &message, 0);
        }
        let mut frame = Vec::new();
        conversation.wire.append_message(&mut frame, opcode, &message, 0);
        conversation.feed(move |wire| {
            wire.feed(&frame)?;
            Ok(None)
        });
    }

    fn frame_begun(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if header.opcode != opcode::CONTINUATION {
            self.opcode = header.opcode;
            self.message.clear();
            self.is_held = !header.fin || self.frame_bytes_max > 0 || conversation.wire.deflates();
        }
        if !self.has_room(header.size, conversation) {
            return;
        }
        if header.opcode != opcode::CONTINUATION {
            if let Some(payload) = &self.pings {
                conversation.send(opcode::PING, payload);
            }
        }
        if !self.is_held {
            let size = usize::try_from(header.size).expect("bounded above");
            append_header(&mut conversation.out, true, self.opcode, size);
        }
    }

    fn payload(&mut self, bytes: &[u8], conversation: &mut Conversation) {
        if !self.is_held {
            return conversation.out.extend_from_slice(bytes);
        }
        // What is compressed may stand for more than its frame has.
        if self.has_room(bytes.len() as u64, conversation) {
            self.message.extend_from_slice(bytes);
        }
    }

    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        if self.is_held && header.fin {
            conversation.send_message(self.opcode, &self.message, self.frame_bytes_max);
            self.message = Vec::new();
        } else if header.fin {
            conversation.out_whole = conversation.out.len();
        }
    }

    fn write_pace(&self) -> Option<Pace> {
        self.write_pace
    }
}

/// Discards messages, and says how many it has seen if asked to.
#[derive(Default)]
pub struct Sink {
    read_pace: Option<Pace>,
    ack: u64,
    seen: u64,
}

impl Sink {
    /// `/sink`.
    pub fn make(setting: &Setting) -> Made {
        Ok(Box::new(Sink { ack: setting.query.number_or("ack", 0)?, ..Sink::default() }))
    }
}

impl Behaviour for Sink {
    fn frame_ended(&mut self, header: &FrameHeader, conversation: &mut Conversation) {
        self.seen += u64::from(header.fin);
        if header.fin && self.ack > 0 && self.seen % self.ack == 0 {
            conversation.send(opcode::TEXT, self.seen.to_string().as_bytes());
        }
    }

    fn wants_payload(&self) -> bool {
        false
    }

    fn read_pace(&self) -> Option<Pace> {
        self.read_pace
    }
}

/// The behaviour of `then=sink|echo`.
pub fn make_then(setting: &Setting) -> Made {
    Ok(match setting.query.choice("then", &["sink", "echo"])? {
        "sink" => Box::new(Sink::default()),
        _ => Box::new(Echo::default()),
    })
}

/// `/slow_read`.
pub fn make_slow_read(setting: &Setting) -> Made {
    Ok(Box::new(Sink { read_pace: Some(Pace::from_query(setting.query)?), ..Sink::default() }))
}
