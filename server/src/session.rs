//! One WebSocket connection after its handshake: reads, records, answers control frames, and asks a
//! `Behaviour` about everything else.
//!
//! Once an end is decided the behaviour is not asked again; bytes that still come are recorded.

use crate::behaviour::Behaviour;
use crate::deflate::{Agreement, Inflater};
use crate::frame::{Event, FrameHeader, Parser, append_frame, opcode};
use crate::record::End;
use crate::wire::{Ending, How, Wire};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One read takes at most this much.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Output kept allocated between two reads.
const OUT_BYTES_KEPT: usize = 1 << 20;
/// How long the client may leave its half open after the server ended its own.
const FIN_WAIT: Duration = Duration::from_secs(10);
/// The longest stall; a client that died meanwhile is not noticed.
pub const STALL_MAX: Duration = Duration::from_secs(600);
/// Control payload kept, were it as long as no control frame may be.
const CONTROL_BYTES_KEPT: usize = 4096;

/// What a behaviour may do.
pub struct Conversation {
    /// The sending side.
    pub wire: Arc<Wire>,
    /// Frames to send when the bytes at hand are worked off.
    pub out: Vec<u8>,
    /// How much of `out` is whole frames.
    pub out_whole: usize,
    ending: Option<Ending>,
    feeder: Option<JoinHandle<()>>,
}

impl Conversation {
    /// Appends a whole frame to the output.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        append_frame(&mut self.out, opcode, payload);
        self.out_whole = self.out.len();
    }

    /// Appends a message to the output, compressed where that was agreed.
    pub fn send_message(&mut self, opcode: u8, payload: &[u8], frame_bytes_max: usize) {
        self.wire.append_message(&mut self.out, opcode, payload, frame_bytes_max);
        self.out_whole = self.out.len();
    }

    /// Sends a Close frame behind the output.
    pub fn send_close(&mut self, body: &[u8]) {
        self.wire.stop();
        self.flush();
        // A dead socket shows itself in the next read.
        let _ = self.wire.send_close(body);
    }

    /// Decides how the connection ends; the first decision counts.
    pub fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// Feeds the wire from a thread of its own, so that reading goes on meanwhile.
    pub fn feed(&mut self, feed: impl FnOnce(&Wire) -> io::Result<Option<Ending>> + Send + 'static) {
        // What was said before the feeder goes out before it.
        self.flush();
        let wire = self.wire.clone();
        let run = move || {
            if let Ok(Some(ending)) = feed(&wire) {
                wire.end_from_feeder(ending);
            }
        };
        self.feeder = std::thread::Builder::new().stack_size(128 * 1024).spawn(run).ok();
    }

    fn flush(&mut self) {
        // A dead socket shows itself in the next read.
        let _ = self.wire.send_soon(&self.out[..self.out_whole]);
        self.out.drain(..self.out_whole);
        self.out_whole = 0;
        if self.out.is_empty() && self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
    }
}

/// Serves a connection until it is over. `early` is what came behind the request head.
pub fn run(wire: Wire, behaviour: &mut dyn Behaviour, early: Vec<u8>, agreement: Option<&Agreement>) {
    let wire = Arc::new(wire);
    let conversation =
        Conversation { wire: wire.clone(), out: Vec::new(), out_whole: 0, ending: None, feeder: None };
    let mut session = Session {
        conversation,
        wire,
        parser: Parser::default(),
        header: None,
        control: Vec::new(),
        buffer: Vec::new(),
        parses: true,
        inflater: agreement.map(Inflater::new),
        is_compressed: false,
    };
    let end = session.converse(behaviour, early);
    session.over(end);
}

/// Carries out an end on a connection whose handshake did not succeed; nothing is parsed.
pub fn finish(wire: Wire, ending: Ending, early: &[u8]) {
    let wire = Arc::new(wire);
    if let Some(record) = &wire.record {
        record.received_unparsed(early.len());
    }
    let conversation =
        Conversation { wire: wire.clone(), out: Vec::new(), out_whole: 0, ending: None, feeder: None };
    let mut session = Session {
        conversation,
        wire,
        parser: Parser::default(),
        header: None,
        control: Vec::new(),
        buffer: vec![0; READ_BYTES_MAX],
        parses: false,
        inflater: None,
        is_compressed: false,
    };
    let end = session.finish(ending);
    session.over(end);
}

struct Session {
    conversation: Conversation,
    wire: Arc<Wire>,
    parser: Parser,
    header: Option<FrameHeader>,
    control: Vec<u8>,
    buffer: Vec<u8>,
    parses: bool,
    /// permessage-deflate, where it was agreed.
    inflater: Option<Inflater>,
    /// The message that comes is compressed, and somebody wants to know of it.
    is_compressed: bool,
}

impl Session {
    fn converse(&mut self, behaviour: &mut dyn Behaviour, mut early: Vec<u8>) -> End {
        behaviour.opened(&mut self.conversation);
        self.conversation.flush();
        self.process(&mut early, Some(&mut *behaviour));
        drop(early);
        let pace = behaviour.read_pace();
        self.buffer = vec![0; pace.map_or(READ_BYTES_MAX, |pace| pace.bytes.min(READ_BYTES_MAX))];
        loop {
            if let Some(ending) = self.conversation.ending.take() {
                return self.finish(ending);
            }
            if let Some(pace) = pace {
                std::thread::sleep(pace.tick);
            }
            match self.read() {
                Ok(0) => match self.wire.take_hand_over() {
                    Some(ending) => {
                        // It has nothing left to write, and a shutdown in `over` would send a FIN before the end told.
                        self.conversation.feeder = None;
                        return self.finish(ending);
                    }
                    None => {
                        self.wire.transport.answer_end();
                        return End::Fin;
                    }
                },
                Ok(size) => {
                    let mut buffer = std::mem::take(&mut self.buffer);
                    self.process(&mut buffer[..size], Some(&mut *behaviour));
                    self.buffer = buffer;
                }
                Err(error) => return self.fail(&error),
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        loop {
            match self.wire.transport.read(&mut self.buffer) {
                Ok(0) if self.wire.transport.take_close_notify() => self.wire.note("close_notify_received"),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// The end that a failed read is.
    fn fail(&self, error: &io::Error) -> End {
        if error.kind() != io::ErrorKind::InvalidData {
            return End::Reset;
        }
        self.wire.note(&format!("tls_failed reason={:?}", error.to_string()));
        End::Local
    }

    /// Works off received bytes and sends what came of it. Without a behaviour they are only recorded.
    fn process(&mut self, mut input: &mut [u8], mut behaviour: Option<&mut dyn Behaviour>) {
        if let Some(record) = &self.wire.record {
            if !self.parses {
                return record.received_unparsed(input.len());
            }
            record.received(input.len());
        }
        if !self.parses {
            return;
        }
        let wants_data = self.wire.record.is_some()
            || behaviour.as_ref().is_some_and(|behaviour| behaviour.wants_payload());
        while let Some(event) = self.parser.next(&mut input, wants_data) {
            if self.conversation.ending.is_some() {
                behaviour = None;
            }
            match event {
                Event::Begun(header) => {
                    if header.is_data() && header.opcode != opcode::CONTINUATION {
                        self.is_compressed =
                            wants_data && self.inflater.is_some() && header.begins_compressed();
                    }
                    self.begin(header, &mut behaviour);
                }
                Event::Payload(bytes) => self.payload(bytes, &mut behaviour),
                Event::Ended => self.end_frame(&mut behaviour),
            }
        }
        self.conversation.flush();
    }

    fn begin(&mut self, header: FrameHeader, behaviour: &mut Option<&mut dyn Behaviour>) {
        if let Some(record) = &self.wire.record {
            record.begin_frame(header);
        }
        self.header = Some(header);
        self.control.clear();
        if let (true, Some(behaviour)) = (header.is_data(), behaviour) {
            behaviour.frame_begun(&header, &mut self.conversation);
        }
    }

    fn payload(&mut self, bytes: &[u8], behaviour: &mut Option<&mut dyn Behaviour>) {
        if let Some(record) = &self.wire.record {
            record.payload(bytes);
        }
        let is_control = self.header.is_some_and(|header| header.is_control());
        if is_control {
            let room = CONTROL_BYTES_KEPT - self.control.len();
            self.control.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if self.is_compressed {
            self.inflate(Some(bytes), behaviour);
        } else if let Some(behaviour) = behaviour {
            behaviour.payload(bytes, &mut self.conversation);
        }
    }

    /// Tells what a part of a compressed message stands for; `None` is its end.
    fn inflate(&mut self, part: Option<&[u8]>, behaviour: &mut Option<&mut dyn Behaviour>) {
        let (record, conversation) = (self.wire.record.clone(), &mut self.conversation);
        let give = |bytes: &[u8]| {
            if let Some(record) = &record {
                record.inflated(bytes);
            }
            if let (Some(behaviour), None) = (&mut *behaviour, &conversation.ending) {
                behaviour.payload(bytes, conversation);
            }
        };
        let Some(inflater) = &mut self.inflater else { return };
        let inflated = match part {
            Some(bytes) => inflater.part(bytes, give),
            None => inflater.end(give),
        };
        if inflated.is_err() {
            self.inflater = None;
            self.is_compressed = false;
            if let Some(record) = &record {
                record.violate("a compressed message is corrupt");
            }
            *behaviour = None;
            self.conversation.send_close(&1007u16.to_be_bytes());
            self.conversation.end(Ending::now(How::Fin));
        }
    }

    fn end_frame(&mut self, behaviour: &mut Option<&mut dyn Behaviour>) {
        if self.is_compressed && self.header.is_some_and(|header| header.is_data() && header.fin) {
            self.inflate(None, behaviour);
        }
        if let Some(record) = &self.wire.record {
            record.end_frame();
        }
        let (Some(header), Some(behaviour)) = (self.header.take(), behaviour) else { return };
        let conversation = &mut self.conversation;
        match header.opcode {
            opcode::CONTINUATION..=opcode::BINARY => behaviour.frame_ended(&header, conversation),
            opcode::CLOSE => behaviour.close_received(&self.control, conversation),
            opcode::PING => behaviour.ping_received(&self.control, conversation),
            opcode::PONG => behaviour.pong_received(&self.control, conversation),
            _ => {}
        }
    }

    /// Carries out an end; gives how the connection did end.
    fn finish(&mut self, ending: Ending) -> End {
        self.wire.stop();
        let steps = |session: &mut Session| {
            if let Some((delay, body)) = &ending.reply {
                session.read_on(Some(*delay))?;
                let _ = session.wire.send_close(body);
            }
            session.read_on(Some(ending.delay))?;
            match ending.how {
                How::Fin => {
                    session.wire.end_sending();
                    session.read_on(Some(FIN_WAIT))?;
                }
                How::Close => {}
                How::Reset => {
                    session.wire.note("reset_sent");
                    session.wire.transport.reset_at_close();
                }
                How::Stall => {
                    session.wire.note("stalled");
                    std::thread::sleep(STALL_MAX);
                }
                How::Never => session.read_on(None)?,
            }
            Err::<(), End>(End::Local)
        };
        steps(self).err().unwrap_or(End::Local)
    }

    /// Reads and records for a while, or for ever; the error is the connection's end.
    fn read_on(&mut self, wait: Option<Duration>) -> Result<(), End> {
        let deadline = wait.map(|wait| Instant::now() + wait);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            if self.wire.transport.set_read_timeout(left).is_err() {
                return Err(End::Reset);
            }
            match self.read() {
                Ok(0) => return Err(End::Fin),
                Ok(size) => {
                    let mut buffer = std::mem::take(&mut self.buffer);
                    self.process(&mut buffer[..size], None);
                    self.buffer = buffer;
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }

    /// Records the end and lets go of the socket.
    fn over(mut self, end: End) {
        let over_at = Instant::now();
        self.wire.stop();
        if let Some(feeder) = self.conversation.feeder.take() {
            if !feeder.is_finished() {
                // Frees a feeder that is blocked in a write; a finished one leaves the socket as it is.
                self.wire.transport.cut();
            }
            let _ = feeder.join();
        }
        // Asked last: the feeder's write may be the one that found the reset.
        let end = if end == End::Fin && self.wire.is_reset() { End::Reset } else { end };
        if let Some(record) = &self.wire.record {
            record.end(end, over_at);
        }
    }
}
