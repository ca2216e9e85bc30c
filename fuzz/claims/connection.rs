//! A whole connection without a socket, driven by a script of bytes: what the server sends, what the program asks for, what the
//! socket takes, when time is over. The driver does what `closing` says and nothing by itself.
//!
//! Whatever the script: nothing goes out behind our Close, nothing is delivered behind the peer's or behind ours, `closed`
//! settles once and cleanly only where both have passed; and a peer that is as strict as we are reads what was written as it was.

use super::reader::{Choices, Manner, Reader, Seen};
use super::{ACCEPT, KEY, offer, server_frame};
use crate::proto::close::{CloseRequest, check_close};
use crate::proto::closing::{Action, Input, State, step};
use crate::proto::deflate::Deflater;
use crate::proto::encoder::{HEADER_SIZE_MAX, Header, close_payload};
use crate::proto::handshake::{Agreement, Offer, Progress, ResponseReader};
use crate::proto::opcode::{Kind, Opcode};
use crate::proto::outgoing::{Outgoing, Refusal};

/// Bounds what a script can make of a few bytes.
const MESSAGE_SIZE_MAX: u64 = 1 << 16;
const MASK: [u8; 4] = [0x1D, 0xE2, 0x00, 0xFF];
const REASON: &str = "a reason of \u{20AC}";

/// The script: two bytes that choose, then commands until it ends.
pub fn connection(input: &[u8]) {
    let Some((&[options, second, seed], script)) = input.split_first_chunk() else { return };
    let offered = (options & 1 != 0).then(|| offer(options, second));
    let mut connection = Connection::new(offered, seed);
    if options & 2 != 0 {
        connection.receive(&accepting(offered.filter(|_| options & 4 != 0)));
    }
    let mut script = Script { rest: script };
    while let Some(command) = script.byte() {
        connection.obey(command, &mut script);
    }
    connection.end(u64::from(seed));
}

/// The answer that accepts, with all of the offer.
fn accepting(agreed: Option<Offer>) -> Vec<u8> {
    // RFC 7692 §7.1.2.2: an answer has a value; an offer may have none.
    let extensions = agreed.map_or(String::new(), |offer| {
        let value = offer.header().replace("client_max_window_bits;", "client_max_window_bits=15;");
        let value = value
            .strip_suffix("client_max_window_bits")
            .map_or(value.clone(), |front| front.to_owned() + "client_max_window_bits=15");
        format!("Sec-WebSocket-Extensions: {value}\r\n")
    });
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{extensions}\r\n"
    )
    .into_bytes()
}

struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.take(1).first().copied()
    }

    /// So many bytes, or what there is.
    fn take(&mut self, size: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(size.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// As many as the next byte says.
    fn counted(&mut self) -> &'a [u8] {
        let size = self.byte().unwrap_or_default();
        self.take(usize::from(size))
    }
}

struct Connection {
    state: State,
    choices: Choices,
    settled: Option<bool>,
    has_close: (bool, bool),
    /// This side reads.
    response: ResponseReader,
    reader: Option<Reader>,
    agreement: Option<Agreement>,
    handled: usize,
    /// This side writes.
    outgoing: Outgoing,
    deflater: Option<Deflater>,
    is_compressing: bool,
    /// What is framed, and how much of it is with the system.
    framed: Vec<u8>,
    sent: usize,
    /// What the program asked to close with.
    asked: CloseRequest,
    /// Where our Close ends.
    close_end: Option<usize>,
    /// What the peer must read, and the message that is open.
    written: Vec<Seen>,
    open: Option<(Kind, Vec<u8>)>,
}

impl Connection {
    fn new(offered: Option<Offer>, seed: u8) -> Self {
        Self {
            state: State::Connecting,
            choices: Choices::new(u64::from(seed)),
            settled: None,
            has_close: (false, false),
            response: ResponseReader::new(KEY, Vec::new(), offered, 2000),
            reader: None,
            agreement: None,
            handled: 0,
            outgoing: Outgoing::new(),
            deflater: None,
            is_compressing: false,
            framed: Vec::new(),
            sent: 0,
            asked: CloseRequest::default(),
            close_end: None,
            written: Vec::new(),
            open: None,
        }
    }

    fn obey(&mut self, command: u8, script: &mut Script) {
        let detail = command >> 3;
        match command % 8 {
            0 => self.receive(script.take(usize::from(detail))),
            1 => self.receive(script.counted()),
            2 => self.write(detail, script.counted()),
            3 => {
                let size = 1 + usize::from(script.byte().unwrap_or_default()) * 40;
                self.write(detail, &b"again and ".repeat(size.div_ceil(10))[..size]);
            }
            4 => self.close(detail, script),
            5 => self.flush(if detail == 31 { usize::MAX } else { usize::from(detail) }),
            6 => {
                let opcode = [0, 1, 2, 8, 9, 10, 1, 2][usize::from(detail % 8)];
                let (fin, rsv1) = ((detail & 8) << 4, (detail & 16) << 2);
                self.receive(&server_frame(fin | rsv1 | opcode, script.counted()));
            }
            _ => match detail % 4 {
                0 => self.input(Input::TransportEnded),
                1 => self.input(Input::TimedOut),
                2 if self.outgoing.is_open() => {}
                2 => self.deflater = None,
                _ => self.receive(&accepting(None)),
            },
        }
    }

    fn input(&mut self, input: Input) {
        let before = self.state;
        let (next, action) = step(self.state, input);
        self.state = next;
        self.has_close.0 |= input == Input::CloseReceived;
        self.has_close.1 |= input == Input::CloseWritten;
        match action {
            Action::Nothing | Action::AwaitEnd => {}
            Action::GiveUp => self.settle(false),
            Action::QueueClose => {
                if let Some(reader) = &mut self.reader {
                    reader.discard_data();
                }
                let CloseRequest { code, reason } = std::mem::take(&mut self.asked);
                self.frame_close(code, &reason);
            }
            Action::QueueReply => {
                let reader = self.reader.as_ref().expect("a Close was decoded");
                let Some(Seen::Close(code, _)) = reader.seen.last() else { panic!("no Close") };
                self.frame_close(*code, "");
            }
            Action::SettleClean => self.settle(true),
            Action::SettleUnclean => self.settle(false),
        }
        assert_eq!(self.settled.is_some(), self.state == State::Closed, "{before:?} {input:?}");
    }

    fn settle(&mut self, clean: bool) {
        assert_eq!(self.settled, None, "settled twice");
        assert!(!clean || self.has_close == (true, true), "clean without both Close frames");
        self.settled = Some(clean);
    }

    fn close(&mut self, detail: u8, script: &mut Script) {
        let code = match detail % 4 {
            0 => -1,
            1 => 1000,
            2 => 4999,
            _ => i32::from(script.byte().unwrap_or_default()) * 20,
        };
        let reason = if detail & 4 != 0 { REASON } else { "" };
        let Ok(request) = check_close(code, reason) else {
            assert!(!matches!(code, -1 | 1000 | 3000..=4999), "{code} is for programs");
            return;
        };
        self.asked = request;
        self.input(Input::LocalClose);
    }

    /// What the socket brings, in pieces.
    fn receive(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && self.state != State::Closed {
            let (piece, _) = rest.split_at(self.choices.size(rest.len()).min(rest.len()));
            let used = if self.reader.is_some() { self.read(piece) } else { self.read_response(piece) };
            rest = &rest[used..];
        }
    }

    fn read_response(&mut self, piece: &[u8]) -> usize {
        let (used, progress) = self.response.read(piece);
        match progress {
            Progress::Starved => {}
            Progress::Accepted(response) => {
                self.agreement = response.deflate;
                let manner = Manner::Random(self.choices.clone());
                self.reader = Some(Reader::new(MESSAGE_SIZE_MAX, self.agreement.as_ref(), manner));
                self.input(Input::Opened);
            }
            Progress::Refused(_) => self.input(Input::Failed),
        }
        used
    }

    fn read(&mut self, piece: &[u8]) -> usize {
        let reader = self.reader.as_mut().expect("the connection is open");
        reader.feed(piece);
        let seen = reader.seen[self.handled..].to_vec();
        self.handled += seen.len();
        for seen in seen {
            assert_ne!(self.state, State::Closed, "{seen:?} behind the end");
            match seen {
                // RFC 6455 §5.5.2: a ping is answered unless a Close is on its way.
                Seen::Ping(payload) if self.close_end.is_none() => {
                    self.frame(true, false, Opcode::Pong, &payload);
                    self.written.push(Seen::Pong(payload));
                }
                Seen::Ping(_) | Seen::Pong(_) | Seen::Unfinished(..) => {}
                Seen::Message(..) => assert_eq!(self.state, State::Open, "delivered behind a Close"),
                Seen::Close(..) => self.input(Input::CloseReceived),
                Seen::Fail(failure) => {
                    self.input(Input::Failed);
                    if self.close_end.is_none() {
                        self.frame_close(Some(failure.close_code), "");
                    }
                }
            }
        }
        piece.len()
    }

    fn write(&mut self, detail: u8, data: &[u8]) {
        // A program writes while the connection is open and at no other time.
        if self.state != State::Open {
            return;
        }
        let kind = if detail & 1 == 0 { Kind::Text } else { Kind::Binary };
        let (fin, whole) = (detail & 2 != 0, detail & 4 != 0);
        let checked = self.outgoing.check(kind, data, fin, whole);
        assert_eq!(checked.err(), self.refusal(kind, data, fin, whole));
        let Ok(accepted) = checked else { return };
        let window_bits = self.agreement.and_then(|agreement| agreement.client_window_bits);
        if self.open.is_none() {
            self.is_compressing = detail & 8 != 0 && window_bits.is_some();
        }
        let frames = self.outgoing.accept(accepted);
        for (opcode, fin, range) in frames {
            if !self.is_compressing {
                self.frame(fin, false, opcode, &data[range]);
                continue;
            }
            let takeover = self.agreement.is_some_and(|agreement| agreement.client_context_takeover);
            let bits = window_bits.expect("compression was agreed");
            let new = || Deflater::new(bits, 1 + detail % 9, takeover).expect("there is memory");
            let deflater = self.deflater.get_or_insert_with(new);
            let mut payload = Vec::new();
            deflater.deflate(&data[range], fin, &mut payload).expect("there is memory");
            self.frame(fin, opcode != Opcode::Continuation, opcode, &payload);
        }
        self.open.get_or_insert((kind, Vec::new())).1.extend_from_slice(data);
        assert_eq!(self.outgoing.is_open(), !(fin || whole));
        if fin || whole {
            let (kind, bytes) = self.open.take().expect("it was begun");
            self.written.push(Seen::Message(kind, bytes));
        }
    }

    /// Why a part must be refused, of all that the message is made of.
    fn refusal(&self, kind: Kind, data: &[u8], fin: bool, whole: bool) -> Option<Refusal> {
        let all = match &self.open {
            Some(_) if whole => return Some(Refusal::State),
            Some((open, _)) if *open != kind => return Some(Refusal::Argument),
            Some((_, before)) => [before, data].concat(),
            None => data.to_vec(),
        };
        let is_good = kind == Kind::Binary
            || match std::str::from_utf8(&all) {
                Ok(_) => true,
                Err(error) => error.error_len().is_none() && !fin && !whole,
            };
        (!is_good).then_some(Refusal::Argument)
    }

    fn frame(&mut self, fin: bool, rsv1: bool, opcode: Opcode, payload: &[u8]) {
        assert_eq!(self.close_end, None, "a frame behind our Close");
        let mut bytes = [0; HEADER_SIZE_MAX];
        let header = Header { fin, rsv1, opcode, mask: MASK, payload_size: payload.len() as u64 };
        let size = header.encode(&mut bytes);
        self.framed.extend_from_slice(&bytes[..size]);
        self.framed.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }

    fn frame_close(&mut self, code: Option<u16>, reason: &str) {
        let mut body = [0; 125];
        let size = close_payload(code, reason, &mut body);
        self.frame(true, false, Opcode::Close, &body[..size]);
        self.close_end = Some(self.framed.len());
        self.outgoing.give_up();
        self.open = None;
        let code = if reason.is_empty() { code } else { code.or(Some(1000)) };
        self.written.push(Seen::Close(code, reason.to_owned()));
    }

    /// The socket takes so many bytes.
    fn flush(&mut self, size: usize) {
        let before = self.sent;
        self.sent += size.min(self.framed.len() - self.sent);
        if self.close_end.is_some_and(|end| before < end && self.sent == end) {
            self.input(Input::CloseWritten);
        }
    }

    /// TCP ends, whatever state it meets; then the peer reads.
    fn end(&mut self, seed: u64) {
        let is_both_sent = self.state == State::BothSent;
        if self.state != State::Closed {
            self.input(Input::TransportEnded);
            assert_eq!(self.settled, Some(is_both_sent));
        }
        assert!(self.close_end.is_none_or(|end| end == self.framed.len()), "a frame behind our Close");
        let agreement = self.agreement.map(|agreement| Agreement {
            server_window_bits: agreement.client_window_bits.unwrap_or(8),
            server_context_takeover: agreement.client_context_takeover,
            ..agreement
        });
        let mut expected = std::mem::take(&mut self.written);
        expected.extend(
            self.open
                .take()
                .filter(|(_, bytes)| !bytes.is_empty())
                .map(|(kind, bytes)| Seen::Unfinished(kind, bytes)),
        );
        let peer = Reader::new(0, agreement.as_ref(), Manner::Random(Choices::new(seed)));
        let seen = peer.read(&unmasked(&self.framed));
        assert!(seen == expected, "the peer reads {seen:?}\nbut what was written is {expected:?}");
    }
}

/// Whole frames of a client as if a server had sent them. Each must be masked (RFC 6455 §5.3).
fn unmasked(mut rest: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [first, second, behind @ ..] = rest {
        assert!(second & 0x80 != 0, "a frame without a mask");
        let length_size = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (length, behind) = behind.split_at(length_size);
        let size = match length {
            [] => usize::from(second & 0x7F),
            length => length.iter().fold(0, |size, &byte| size << 8 | usize::from(byte)),
        };
        let (mask, behind) = behind.split_at(4);
        let (payload, behind) = behind.split_at(size);
        frames.extend_from_slice(&[*first, second & 0x7F]);
        frames.extend_from_slice(length);
        frames.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        rest = behind;
    }
    assert!(rest.is_empty(), "half a header");
    frames
}
