//! What a server may send and what it may not, made at random: legal conversations, the same with one byte changed, and
//! conversations with each kind of mistake that the grammar of frames allows. Knows nothing of who reads them.

use super::*;

const RSV1: u8 = 0x40;

/// What no text has, or not at the place where it is put.
const NOT_UTF8: [&[u8]; 10] = [
    b"\xFF",
    b"\x80",
    b"\xC0\xAF",
    b"\xC3",
    b"\xE0\x80\x80",
    b"\xED\xA0\x80",
    b"\xE2\x82",
    b"\xF0\x80\x80\x80",
    b"\xF4\x90\x80\x80",
    b"\xF0\x9F\x98",
];

/// Close codes beside the limits of what may be sent, and some within.
const CODES: [u16; 22] = [
    0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1014, 1015, 1016, 2999, 3000, 3999,
    4000, 4999, 5000, 65535,
];

/// A conversation in the making.
struct Conversation<'a> {
    random: &'a mut Random,
    bytes: Vec<u8>,
    /// The open message: whether it is text, and what is still to come of it.
    open: Option<(bool, Vec<u8>)>,
}

/// A conversation without a mistake; it may end anywhere.
pub fn legal(random: &mut Random) -> Vec<u8> {
    let mut conversation = Conversation { random, bytes: Vec::new(), open: None };
    for _ in 0..1 + conversation.random.below(8) {
        conversation.say();
    }
    if conversation.random.below(4) == 0 {
        conversation.close();
    }
    conversation.bytes
}

/// A legal conversation of which some bytes are not as they were.
pub fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = legal(random);
    for _ in 0..1 + random.below(3) {
        let place = random.below(bytes.len().max(1));
        match random.below(4) {
            0 => bytes.truncate(place),
            1 => bytes.insert(place.min(bytes.len()), random.next() as u8),
            2 if place < bytes.len() => drop(bytes.remove(place)),
            _ if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
            _ => {}
        }
    }
    bytes
}

/// A conversation with a mistake that somebody could make on purpose; something may follow it.
pub fn hostile(random: &mut Random) -> Vec<u8> {
    let mut conversation = Conversation { random, bytes: Vec::new(), open: None };
    for _ in 0..conversation.random.below(4) {
        conversation.say();
    }
    conversation.mistake();
    for _ in 0..conversation.random.below(4) {
        conversation.say();
    }
    let mut bytes = conversation.bytes;
    if random.below(4) == 0 {
        bytes.truncate(1 + random.below(bytes.len().max(1)));
    }
    bytes
}

impl Conversation<'_> {
    fn size(&mut self) -> usize {
        match self.random.below(100) {
            0 => 65_536,
            1..=9 => 126 + self.random.below(300),
            10..=19 => 0,
            _ => self.random.below(20),
        }
    }

    fn text(&mut self) -> Vec<u8> {
        let characters = ['a', 'b', ' ', '\u{E9}', '\u{20AC}', '\u{FEFF}', '\u{1F600}', '\u{10FFFF}'];
        let (size, mut text) = (self.size(), String::new());
        while text.len() < size {
            text.push(characters[self.random.below(characters.len())]);
        }
        text.into_bytes()
    }

    fn put(&mut self, first: u8, payload: &[u8]) {
        self.bytes.extend(frame(false, first, payload));
    }

    /// A legal frame.
    fn say(&mut self) {
        if self.random.below(3) == 0 {
            let size = [0, 3, 125][self.random.below(3)];
            let payload = self.random.bytes(size);
            let opcode = [PING, PONG][self.random.below(2)];
            return self.put(0x80 | opcode, &payload);
        }
        let (opcode, is_text, mut rest) = match self.open.take() {
            Some((is_text, rest)) => (CONTINUATION, is_text, rest),
            None if self.random.below(2) == 0 => (TEXT, true, self.text()),
            None => {
                let size = self.size();
                (BINARY, false, self.random.bytes(size))
            }
        };
        if self.random.below(2) == 0 {
            return self.put(0x80 | opcode, &rest);
        }
        let later = rest.split_off(self.random.below(rest.len() + 1));
        self.put(opcode, &rest);
        self.open = Some((is_text, later));
    }

    fn close(&mut self) {
        let reasons: [&[u8]; 5] = [b"", b"\x03\xE8", b"\x03\xE8bye", b"\x0F\xA0\xE2\x82\xAC", b"\x0B\xB8"];
        let body = reasons[self.random.below(reasons.len())];
        self.put(0x80 | CLOSE, body);
    }

    fn mistake(&mut self) {
        let data = if self.open.is_some() { CONTINUATION } else { [TEXT, BINARY][self.random.below(2)] };
        let control = [CLOSE, PING, PONG][self.random.below(3)];
        let opcode = [data, control][self.random.below(2)];
        let fin = 0x80 * u8::from(opcode == control || self.random.below(2) == 0);
        match self.random.below(15) {
            0 => {
                let reserved = [RSV1, 0x20, 0x10][self.random.below(3)];
                self.put(fin | opcode | reserved, b"");
            }
            1 => {
                let reserved = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15][self.random.below(10)];
                self.put(fin | reserved, b"x");
            }
            2 => self.bytes.extend([fin | opcode, 126, 0, 2, b'o', b'k']),
            3 => self.bytes.extend([fin | data, 127, 0, 0, 0, 0, 0, 0, 0, 2, b'o', b'k']),
            4 => self.bytes.extend([fin | opcode, 0x82, 1, 2, 3, 4, b'o' ^ 1, b'k' ^ 2]),
            5 => self.put(control, b""),
            6 => {
                let size = 126 + self.random.below(100);
                self.put(0x80 | control, &b"y".repeat(size));
            }
            7 | 8 => self.coded_close(),
            9 => self.put(0x80 | CLOSE, b"\x03"),
            10 => self.broken_text(),
            11 => {
                let other = if self.open.is_some() { TEXT } else { CONTINUATION };
                self.put(fin | other, b"z");
            }
            12 => {
                let high = [0x80, 0x00, 0x7F][self.random.below(3)];
                self.bytes.extend([fin | data, 127, high, 0, 0, 1, 0, 0, 0, 0]);
            }
            13 => self.close(),
            _ => {
                let size = self.random.below(30);
                let bytes = self.random.bytes(size);
                self.bytes.extend(bytes);
            }
        }
    }

    fn coded_close(&mut self) {
        let code = match self.random.below(3) {
            0 => self.random.next() as u16,
            _ => CODES[self.random.below(CODES.len())],
        };
        let reason = match self.random.below(3) {
            0 => NOT_UTF8[self.random.below(NOT_UTF8.len())],
            1 => b"why",
            _ => b"",
        };
        self.put(0x80 | CLOSE, &[&code.to_be_bytes(), reason].concat());
    }

    /// A text with a wrong sequence anywhere, in one frame or in some.
    fn broken_text(&mut self) {
        let mut text = self.text();
        let place = self.random.below(text.len() + 1);
        text.splice(place..place, NOT_UTF8[self.random.below(NOT_UTF8.len())].iter().copied());
        if self.open.is_some() {
            self.put(0x80, b"");
            self.open = None;
        }
        let (mut rest, mut opcode) = (&text[..], TEXT);
        for _ in 0..self.random.below(4) {
            let (fragment, later) = rest.split_at(self.random.below(rest.len() + 1));
            self.put(opcode, fragment);
            (rest, opcode) = (later, CONTINUATION);
        }
        self.put(0x80 | opcode, rest);
    }
}
