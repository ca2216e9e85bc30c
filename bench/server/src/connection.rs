//! What the server does with a connection: it echoes, repeats or swallows messages. It never compresses: what came
//! compressed goes back as it came.

use crate::frames::{Frames, Piece, push_header};
use crate::handshake;
use crate::transport::{Moved, Transport};

/// How much is received at once.
pub const SCRATCH_SIZE: usize = 1 << 20;

/// How large a block of repeated messages is at least.
const BLOCK_SIZE: usize = 1 << 20;

/// What is not sent keeps the server from receiving more.
const OUTPUT_MAX: usize = 1 << 23;

/// How much later a late echo goes out.
const LATENESS: std::time::Duration = std::time::Duration::from_millis(1);

const OPCODE: u8 = 0x0F;
const FIN: u8 = 0x80;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

pub struct Connection {
    transport: Transport,
    frames: Frames,
    session: Session,
    /// The beginning of a request that is not whole.
    request: Vec<u8>,
}

enum Work {
    Handshake,
    Echo,
    /// The same, `LATENESS` later.
    Late,
    /// The first message comes back so often.
    Flood(u64),
    /// So many messages are swallowed.
    Sink(u64),
}

/// What goes out, and why.
struct Session {
    work: Work,
    /// The first byte of the frame that is coming.
    first: u8,
    /// Payload of a control frame, or of the message that is to be repeated.
    kept: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    /// Messages that go out again and again, how many a block has, and how many are still to be sent.
    block: Vec<u8>,
    in_block: u64,
    repeats: u64,
    is_closing: bool,
}

impl Connection {
    pub fn new(transport: Transport) -> Self {
        let session = Session {
            work: Work::Handshake,
            first: 0,
            kept: Vec::new(),
            out: Vec::new(),
            sent: 0,
            block: Vec::new(),
            in_block: 0,
            repeats: 0,
            is_closing: false,
        };
        Self { transport, frames: Frames::default(), session, request: Vec::new() }
    }

    /// The system has reported something; false: the connection is over.
    pub fn ready(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            if !self.flush() {
                return false;
            }
            if self.session.out.len() > OUTPUT_MAX || self.session.repeats > 0 {
                return true;
            }
            let size = match self.transport.receive(scratch) {
                Moved::Bytes(size) => size,
                Moved::Blocked => return true,
                Moved::Over => return false,
            };
            if !self.take(&mut scratch[..size]) {
                return false;
            }
            // A plain socket that gave less than was asked for is empty, and reports what comes next.
            if size < scratch.len() && !self.transport.is_secure() {
                return self.flush();
            }
        }
    }

    fn take(&mut self, input: &mut [u8]) -> bool {
        let Self { frames, session, request, .. } = self;
        if !matches!(session.work, Work::Handshake) {
            return frames.feed(input, |piece| session.take(piece));
        }
        request.extend_from_slice(input);
        let Some(asked) = handshake::parse(request) else { return request.len() < 1 << 16 };
        session.out.extend(asked.response);
        session.work = work_of(&asked.path);
        let mut rest = std::mem::take(request).split_off(asked.size);
        frames.feed(&mut rest, |piece| session.take(piece))
    }

    /// Sends until the system takes nothing more; false: the connection is over.
    fn flush(&mut self) -> bool {
        let session = &mut self.session;
        loop {
            let (bytes, is_block) = session.next();
            if session.sent == bytes.len() {
                session.sent = 0;
                if is_block {
                    session.repeats -= session.repeats.min(session.in_block);
                } else {
                    session.out.clear();
                }
                if session.repeats == 0 {
                    break;
                }
                continue;
            }
            match self.transport.send(&bytes[session.sent..]) {
                Moved::Bytes(size) => session.sent += size,
                Moved::Blocked => return true,
                Moved::Over => return false,
            }
        }
        let is_sent = matches!(self.transport.finish(session.is_closing), Moved::Bytes(_));
        !(session.is_closing && is_sent)
    }
}

fn work_of(path: &str) -> Work {
    let count = path.split_once("count=").and_then(|(_, count)| count.parse().ok()).unwrap_or(1);
    match path {
        _ if path.starts_with("/flood") => Work::Flood(count),
        _ if path.starts_with("/sink") => Work::Sink(count),
        _ if path.starts_with("/late") => Work::Late,
        _ => Work::Echo,
    }
}

impl Session {
    /// What goes out next, and whether it is of the repeated messages.
    fn next(&self) -> (&[u8], bool) {
        if !self.out.is_empty() || self.repeats == 0 {
            return (&self.out, false);
        }
        let messages = self.repeats.min(self.in_block);
        (&self.block[..self.block.len() / self.in_block as usize * messages as usize], true)
    }

    fn take(&mut self, piece: Piece<'_>) {
        let is_control = |first: u8| first & 0x08 != 0;
        match piece {
            Piece::Begin(first, size) => {
                self.first = first;
                if !is_control(first) && matches!(self.work, Work::Echo | Work::Late) {
                    push_header(&mut self.out, first, size);
                }
            }
            Piece::Payload(payload) => match self.work {
                _ if is_control(self.first) => self.kept.extend_from_slice(payload),
                Work::Echo | Work::Late => self.out.extend_from_slice(payload),
                Work::Flood(_) => self.kept.extend_from_slice(payload),
                Work::Sink(_) | Work::Handshake => {}
            },
            Piece::End if is_control(self.first) => self.end_control(),
            Piece::End => self.end_frame(),
        }
    }

    fn end_control(&mut self) {
        let answer = match self.first & OPCODE {
            CLOSE if !self.is_closing => CLOSE,
            PING => PONG,
            _ => 0,
        };
        if answer != 0 {
            push_header(&mut self.out, FIN | answer, self.kept.len() as u64);
            self.out.append(&mut self.kept);
        }
        self.is_closing |= answer == CLOSE;
        self.kept.clear();
    }

    /// Messages to be repeated have one frame.
    fn end_frame(&mut self) {
        let is_last = self.first & FIN != 0;
        match &mut self.work {
            // It serves nobody else meanwhile.
            Work::Late => std::thread::sleep(LATENESS),
            Work::Flood(count) => {
                self.repeats = *count;
                let mut frame = Vec::new();
                push_header(&mut frame, self.first, self.kept.len() as u64);
                frame.append(&mut self.kept);
                self.in_block = (BLOCK_SIZE / frame.len()).max(1) as u64;
                self.block = frame.repeat(self.in_block as usize);
            }
            Work::Sink(left) if is_last => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    push_header(&mut self.out, FIN | 2, 1);
                    self.out.push(b'x');
                }
            }
            _ => {}
        }
    }
}
