//! The decoder and tungstenite's reader of frames see the same bytes, in pieces of any size, and say the same of each frame;
//! but for the differences in docs/differences.toml, each of which occurs.

use super::claims::reader::{Choices, Manner, Reader, Seen};
use super::{Random, grammar};
use std::collections::BTreeSet;
use std::io::{self, Cursor, Read, Write};
use tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

const TABLE: &str = include_str!("../../../docs/differences.toml");

/// A difference that is known, and what decides it.
#[derive(Debug, Default)]
struct Difference {
    name: &'static str,
    sends: &'static str,
    limit: u64,
    ours: &'static str,
    theirs: &'static str,
    detail: &'static str,
    clause: &'static str,
}

fn differences() -> Vec<Difference> {
    let mut differences = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line == "[[difference]]" {
            differences.push(Difference::default());
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no field: {line}"));
        let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        let value = value.unwrap_or_else(|| panic!("no literal string: {line}"));
        let difference: &mut Difference = differences.last_mut().expect("fields are those of a difference");
        match key {
            "name" => difference.name = value,
            "sends" => difference.sends = value,
            "limit" => difference.limit = value.parse().expect("a number"),
            "ours" => difference.ours = value,
            "theirs" => difference.theirs = value,
            "detail" => difference.detail = value,
            "clause" => difference.clause = value,
            _ => panic!("{line}: there is no such field"),
        }
    }
    differences
}

impl Difference {
    fn bytes(&self) -> Vec<u8> {
        let term = |term: &str| {
            let (count, byte) = term.split_once('*').unwrap_or(("1", term));
            let byte = u8::from_str_radix(byte, 16).expect("hexadecimal");
            vec![byte; count.parse().expect("a count")]
        };
        self.sends.split(' ').flat_map(term).collect()
    }

    fn is(&self, difference: &(Verdict, Verdict)) -> bool {
        let (ours, theirs) = difference;
        let detail = if let Verdict::Fails(_, detail) = ours { detail } else { "" };
        let takes = matches!(theirs, Verdict::Takes | Verdict::Sees(_));
        ours.label() == self.ours
            && detail.contains(self.detail)
            && (theirs.label() == self.theirs || takes && self.theirs == "takes it")
    }
}

/// What is said of one frame, or of what there is of it.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// It is not whole.
    Waits,
    /// It goes on with a message that is not whole.
    Takes,
    /// It is behind a Close and means nothing.
    Ignores,
    Sees(Seen),
    /// With a close code and a sentence.
    Fails(u16, &'static str),
}

impl Verdict {
    fn label(&self) -> String {
        match self {
            Self::Waits => "waits".to_owned(),
            Self::Takes => "takes it".to_owned(),
            Self::Ignores => "ignores".to_owned(),
            Self::Sees(Seen::Close(code, _)) => format!("closes {}", code.unwrap_or(1005)),
            Self::Sees(seen) => format!("{seen:?}"),
            Self::Fails(code, _) => format!("fails {code}"),
        }
    }

    fn is_end(&self) -> bool {
        matches!(self, Self::Fails(..) | Self::Sees(Seen::Close(..)))
    }

    /// Sentences do not count.
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fails(code, _), Self::Fails(other, _)) => code == other,
            _ => self == other,
        }
    }
}

/// A socket that brings what it was given in pieces and then has nothing yet.
struct Socket {
    input: Vec<u8>,
    choices: Choices,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let size = self.choices.size(self.input.len()).min(self.input.len()).min(buffer.len());
        buffer[..size].copy_from_slice(&self.input[..size]);
        self.input.drain(..size);
        Ok(size)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both readers of one conversation.
struct Readers {
    ours: Reader,
    theirs: WebSocket<Socket>,
    choices: Choices,
}

impl Readers {
    fn new(limit: u64, mut choices: Choices) -> Self {
        let manner = Manner::Random(choices.clone());
        let size = usize::try_from(limit).expect("a limit for tests");
        let config = WebSocketConfig::default()
            .read_buffer_size(512)
            .max_message_size(Some(size))
            // A limit on messages is none on control frames.
            .max_frame_size(Some(size.max(125)));
        let socket = Socket { input: Vec::new(), choices: Choices::new(choices.below(1000) as u64) };
        Self {
            ours: Reader::new(limit, None, manner),
            theirs: WebSocket::from_raw_socket(socket, Role::Client, Some(config)),
            choices,
        }
    }

    fn judge(&mut self, piece: &[u8], nothing: fn() -> Verdict) -> (Verdict, Verdict) {
        let before = self.ours.seen.len();
        let mut rest = piece;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.choices.size(rest.len()).min(rest.len()));
            self.ours.feed(now);
            rest = later;
        }
        let ours = match &self.ours.seen[before..] {
            [] => nothing(),
            [Seen::Fail(failure)] => Verdict::Fails(failure.close_code, failure.detail),
            [seen] => Verdict::Sees(seen.clone()),
            more => panic!("one frame, but {more:?}"),
        };
        self.theirs.get_mut().input.extend_from_slice(piece);
        let theirs = match self.theirs.read() {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => nothing(),
            Err(Error::Protocol(_)) => Verdict::Fails(1002, ""),
            Err(Error::Utf8(_)) => Verdict::Fails(1007, ""),
            Err(Error::Capacity(_)) => Verdict::Fails(1009, ""),
            Err(error) => panic!("{error:?}"),
            Ok(message) => Verdict::Sees(seen(message)),
        };
        (ours, theirs)
    }
}

fn seen(message: Message) -> Seen {
    use super::Kind::{Binary, Text};
    match message {
        Message::Text(text) => Seen::Message(Text, text.as_bytes().to_vec()),
        Message::Binary(bytes) => Seen::Message(Binary, bytes.to_vec()),
        Message::Ping(payload) => Seen::Ping(payload.to_vec()),
        Message::Pong(payload) => Seen::Pong(payload.to_vec()),
        Message::Close(None) => Seen::Close(None, String::new()),
        Message::Close(Some(CloseFrame { code, reason })) => {
            Seen::Close(Some(code.into()), reason.to_string())
        }
        Message::Frame(frame) => panic!("a raw frame: {frame:?}"),
    }
}

/// The first whole frame, as tungstenite counts, or what there is of one.
fn first_frame(bytes: &[u8]) -> (&[u8], bool) {
    let mut cursor = Cursor::new(bytes);
    let Ok(Some((_, size))) = FrameHeader::parse(&mut cursor) else { return (bytes, false) };
    let end = cursor.position().checked_add(size).and_then(|end| usize::try_from(end).ok());
    match end.filter(|&end| end <= bytes.len()) {
        Some(end) => (&bytes[..end], true),
        None => (bytes, false),
    }
}

/// Where the two first say something else of the bytes.
fn difference(bytes: &[u8], limit: u64, seed: u64) -> Option<(Verdict, Verdict)> {
    let mut readers = Readers::new(limit, Choices::new(seed));
    let mut rest = bytes;
    let difference = loop {
        if rest.is_empty() {
            break None;
        }
        let (frame, is_whole) = first_frame(rest);
        rest = &rest[frame.len()..];
        let (ours, theirs) =
            readers.judge(frame, if is_whole { || Verdict::Takes } else { || Verdict::Waits });
        if !ours.agrees(&theirs) {
            break Some((ours, theirs));
        }
        if ours.is_end() {
            let is_closed = matches!(ours, Verdict::Sees(_));
            let behind = is_closed.then(|| readers.judge(rest, || Verdict::Ignores));
            break behind.filter(|(ours, theirs)| !ours.agrees(theirs));
        }
    };
    if difference.is_none() {
        // Frame by frame is one way to cut the input; any other brings the same.
        let any = Reader::new(limit, None, Manner::Random(Choices::new(seed + 1))).read(bytes);
        assert_eq!(any, readers.ours.finish());
    }
    difference
}

/// The one that is known, if there is one.
fn name(known: &[Difference], difference: &(Verdict, Verdict)) -> Option<&'static str> {
    let mut names = known.iter().filter(|known| known.is(difference)).map(|known| known.name);
    let name = names.next();
    assert_eq!(names.next(), None, "{difference:?} is {name:?} and another one");
    name
}

#[test]
fn every_known_difference_is_shown_by_its_input_and_decided_by_a_clause() {
    let known = differences();
    assert!(!known.is_empty());
    for row in &known {
        assert!(row.clause.starts_with("RFC 6455 §"), "{}: no clause decides it", row.name);
        let difference = difference(&row.bytes(), row.limit, 1);
        let found = difference.as_ref().and_then(|difference| name(&known, difference));
        assert_eq!(found, Some(row.name), "{difference:?}");
    }
}

#[test]
fn random_conversations_differ_from_tungstenite_only_as_is_known_and_in_every_known_way() {
    let known = differences();
    let mut random = Random::new(6455);
    let mut found = BTreeSet::new();
    for round in 0..4000 {
        let bytes = match round % 8 {
            0 => grammar::legal(&mut random),
            1 | 2 => grammar::mutated(&mut random),
            _ => grammar::hostile(&mut random),
        };
        let limit = [20, 125, 400, 1 << 17][random.below(4)];
        let Some(difference) = difference(&bytes, limit, round) else { continue };
        let Some(name) = name(&known, &difference) else {
            panic!("not in docs/differences.toml: {difference:?}, limit {limit}, input {bytes:02x?}");
        };
        found.insert(name);
    }
    let all: BTreeSet<_> = known.iter().map(|known| known.name).collect();
    assert_eq!(found, all, "left: what occurred, right: what is known");
}

#[test]
fn legal_conversations_do_not_differ_from_tungstenite() {
    let mut random = Random::new(3);
    for round in 0..1000 {
        let bytes = grammar::legal(&mut random);
        assert_eq!(difference(&bytes, 1 << 17, round), None, "{bytes:02x?}");
    }
}
