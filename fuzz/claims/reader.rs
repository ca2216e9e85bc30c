//! A caller of the decoder that reads in any manner: pieces, budgets, room. It holds every event to its promise; what it has
//! seen in the end must not depend on the manner.

use crate::proto::decoder::{Broken, Decoder, Event};
use crate::proto::failure::Failure;
use crate::proto::handshake::Agreement;
use crate::proto::opcode::Kind;

/// Room for what is decompressed, where the manner asks for no less.
const ROOM: usize = 1 << 14;
/// So often may a call bring nothing, one behind the other, before it is a loop: once without a budget, once where the inflater
/// had less to write than it seemed.
const IDLE_COUNT_MAX: u32 = 2;

/// What a caller has in the end, whatever pieces it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole message.
    Message(Kind, Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The peer's Close.
    Close(Option<u16>, String),
    /// The peer's mistake.
    Fail(Failure),
    /// What there was of a message when the input ended.
    Unfinished(Kind, Vec<u8>),
}

/// Numbers that follow from a seed: xorshift64*.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Any number of 48 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 17) as usize % end
    }

    /// So many.
    pub fn bytes(&mut self, size: usize) -> Vec<u8> {
        (0..size).map(|_| self.next() as u8).collect()
    }

    /// Mostly small, sometimes up to `max`; never 0.
    pub fn size(&mut self, max: usize) -> usize {
        let max = max.max(1);
        1 + match self.below(4) {
            0 => self.below(max.min(3)),
            1 | 2 => self.below(max.min(40)),
            _ => self.below(max),
        }
    }
}

/// How a caller reads.
#[derive(Clone, Debug)]
pub enum Manner {
    /// All that there is at a time.
    Whole,
    /// One byte of input at a time.
    Bytewise,
    /// All of the input, but one byte of payload at a time.
    Poor,
    /// As the numbers say.
    Random(Choices),
}

/// The caller.
pub struct Reader {
    /// What is asked of it between two inputs is the caller's own matter.
    pub decoder: Decoder,
    /// Whole events, in order.
    pub seen: Vec<Seen>,
    manner: Manner,
    /// What the decoder has not used.
    rest: Vec<u8>,
    message: Option<(Kind, Vec<u8>)>,
    is_discarding: bool,
    /// Calls without progress, one behind the other.
    idle_count: u32,
}

impl Reader {
    /// Before the first byte.
    pub fn new(max_message_size: u64, agreement: Option<&Agreement>, manner: Manner) -> Self {
        let mut decoder = Decoder::new(max_message_size);
        if let Some(agreement) = agreement {
            decoder.agree(agreement);
        }
        let (seen, rest) = (Vec::new(), Vec::new());
        Self { decoder, seen, manner, rest, message: None, is_discarding: false, idle_count: 0 }
    }

    /// All of the input, and what was seen of it in the end.
    pub fn read(mut self, input: &[u8]) -> Vec<Seen> {
        let mut rest = input;
        while !rest.is_empty() {
            let size = match &mut self.manner {
                Manner::Whole | Manner::Poor => rest.len(),
                Manner::Bytewise => 1,
                Manner::Random(choices) => choices.size(rest.len()).min(rest.len()),
            };
            self.feed(&rest[..size]);
            rest = &rest[size..];
        }
        self.finish()
    }

    /// The next piece of input, decoded as far as it goes.
    pub fn feed(&mut self, input: &[u8]) {
        self.rest.extend_from_slice(input);
        loop {
            let before = (self.rest.len(), self.seen.len(), self.size());
            let is_over = self.step();
            let is_idle = before == (self.rest.len(), self.seen.len(), self.size());
            self.idle_count = if is_idle && !is_over { self.idle_count + 1 } else { 0 };
            assert!(self.idle_count <= IDLE_COUNT_MAX, "the decoder goes round in circles");
            if is_over {
                return;
            }
        }
    }

    /// No data is wanted any more.
    pub fn discard_data(&mut self) {
        self.decoder.discard_data();
        self.is_discarding = true;
        self.message = None;
        assert!(!self.decoder.is_in_message() && !self.decoder.has_output());
    }

    /// What was seen, with what there is of an open message.
    pub fn finish(mut self) -> Vec<Seen> {
        if let Some((kind, bytes)) = self.message.take() {
            self.see(Seen::Unfinished(kind, bytes));
        }
        self.seen
    }

    fn size(&self) -> usize {
        self.message.as_ref().map_or(0, |(_, bytes)| bytes.len())
    }

    fn budget(&mut self) -> usize {
        match &mut self.manner {
            Manner::Whole | Manner::Bytewise => usize::MAX,
            Manner::Poor => 1,
            Manner::Random(choices) => match choices.below(8) {
                0 if self.idle_count == 0 => 0,
                1 | 2 => choices.size(8),
                3 => choices.size(2000),
                _ => usize::MAX,
            },
        }
    }

    /// One call of the decoder; whether it wants more input than there is.
    fn step(&mut self) -> bool {
        let budget = self.budget();
        let short = self.decoder.decode_short(&self.rest);
        let (used, event) = self.decoder.decode(&self.rest, budget);
        assert!(used <= self.rest.len());
        if let Some((kind, payload)) = short.filter(|(_, payload)| payload.len() <= budget) {
            assert_eq!(
                (used, event),
                (payload.end, Event::Message { kind, payload }),
                "the short way differs"
            );
        }
        if let Event::Compressed { kind, payload, first } = event {
            assert_eq!(used, payload.start, "compressed payload is used up by `inflate`");
            assert!(budget > 0 && !self.is_discarding);
            let payload = self.rest[payload.range()].to_vec();
            let consumed = self.inflate(kind, &payload, first, budget);
            self.rest.drain(..used + consumed);
            return false;
        }
        let is_over = self.take(used, event, budget);
        self.rest.drain(..used);
        if let Manner::Random(choices) = &mut self.manner {
            if choices.below(4) == 0 {
                self.decoder.release_memory();
            }
        }
        is_over
    }

    fn take(&mut self, used: usize, event: Event, budget: usize) -> bool {
        match event {
            Event::Compressed { .. } => unreachable!("seen to by `step`"),
            Event::Starved => {
                assert_eq!(used, self.rest.len(), "starved with input left");
                return true;
            }
            Event::Exhausted => assert_eq!(budget, 0, "exhausted with a budget"),
            Event::Message { kind, payload } => {
                assert!(self.message.is_none(), "a message within a message");
                assert!(payload.len() <= budget && payload.end <= used && !self.is_discarding);
                self.see(Seen::Message(kind, self.rest[payload.range()].to_vec()));
            }
            Event::Part { kind, payload, first, fin } => {
                assert!(payload.len() <= budget && payload.end <= used && !self.is_discarding);
                assert!(!payload.is_empty() || fin, "an empty part that ends nothing");
                assert!(!(first && fin), "a whole message as a part");
                assert_eq!(first, self.message.is_none());
                let payload = payload.range();
                self.message.get_or_insert((kind, Vec::new())).1.extend_from_slice(&self.rest[payload]);
                self.end_part(kind, fin);
            }
            Event::Ping => self.see(Seen::Ping(self.decoder.control_payload().to_vec())),
            Event::Pong => self.see(Seen::Pong(self.decoder.control_payload().to_vec())),
            Event::Close { code } => {
                self.message = None;
                self.see(Seen::Close(code, self.decoder.close_reason().to_owned()));
            }
            Event::Fail(failure) => {
                assert_eq!(used, self.rest.len(), "input left after a failure");
                self.message = None;
                if self.seen.last() != Some(&Seen::Fail(failure)) {
                    self.see(Seen::Fail(failure));
                }
                return true;
            }
        }
        false
    }

    /// How much of the payload was used up.
    fn inflate(&mut self, kind: Kind, payload: &[u8], first: bool, budget: usize) -> usize {
        assert_eq!(first, self.message.is_none());
        let mut output = vec![0; budget.min(ROOM)];
        let part = match self.decoder.inflate(payload, &mut output) {
            Ok(part) => part,
            Err(Broken::Fail(failure)) => {
                self.message = None;
                self.see(Seen::Fail(failure));
                return 0;
            }
            Err(Broken::NoMemory) => panic!("there is memory"),
        };
        assert!(part.consumed <= payload.len() && part.produced <= output.len());
        self.message.get_or_insert((kind, Vec::new())).1.extend_from_slice(&output[..part.produced]);
        self.end_part(kind, part.fin);
        part.consumed
    }

    fn end_part(&mut self, kind: Kind, fin: bool) {
        assert_eq!(self.decoder.is_in_message(), !fin);
        let (open, bytes) = self.message.take().expect("a part belongs to a message");
        assert_eq!(open, kind);
        match fin {
            true => self.see(Seen::Message(kind, bytes)),
            false => self.message = Some((kind, bytes)),
        }
    }

    fn see(&mut self, seen: Seen) {
        // RFC 6455 §1.4, §7.1.7: nothing counts behind the peer's Close or behind its mistake.
        let is_over = matches!(self.seen.last(), Some(Seen::Close(..) | Seen::Fail(_)));
        assert!(!is_over, "{seen:?} behind {:?}", self.seen.last());
        if let Seen::Message(Kind::Text, bytes) = &seen {
            assert!(std::str::from_utf8(bytes).is_ok(), "text that is not UTF-8 was delivered");
        }
        self.seen.push(seen);
    }
}
