//! A correct conversation that ends after each of its bytes: by a reset, the end of the stream, a stall; and the whole of
//! it in two pieces, cut at each byte, and one byte at a time. What must come of it is computed from the size of the prefix
//! alone and compared with all that C can see. Nothing is left behind.

mod support;

#[path = "prefixes/model.rs"]
mod model;
#[path = "prefixes/raw_tls.rs"]
mod raw_tls;

use model::{End, Known, OWN_CODE, PROTOCOL, conversation, conversation_size};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};
use support::heap::{Heap, live_with_full_pool};
use support::peer::{Connection, Peer, reset, whole_frames};
use support::reader::{Reader, read_all};
use support::{
    FOREVER, Info, Message, Options, Status, Stream, TEXT, descriptor_count, is_secure, option, thread_count,
    turn, until, until_spinning,
};

#[global_allocator]
static HEAP: Heap = Heap;

/// For what never opens: long enough to come as far as its bytes let it, on a machine that is busy, too.
const OPEN_TIMEOUT_MS: i64 = 1000;
const CLOSE_TIMEOUT_MS: i64 = 300;
/// How many streams stall at once: two descriptors each and one for a thread that reads, of the thousand that a process has.
const AT_ONCE: usize = 340;
/// What may be kept of a thousand streams: the internal thread's tables at their largest.
const KEPT: usize = 64 << 10;

fn options() -> Options {
    let options = Options::with(option::CLOSE_TIMEOUT_MS, CLOSE_TIMEOUT_MS);
    assert_eq!(options.add_protocol(PROTOCOL), Status::Ok);
    options
}

/// For what stalls before it is open.
fn impatient_options() -> Options {
    options().and(option::OPEN_TIMEOUT_MS, OPEN_TIMEOUT_MS)
}

/// For every prefix, all of them, on two threads; then descriptors and memory are what they were. A few come first, for what
/// stays: the internal thread, tables at their size.
fn for_each_size(sizes: usize, one: impl Fn(&Peer, &Options, usize) + Sync) {
    let _turn = turn();
    let every = |step: usize| {
        let run = |from: usize| {
            let (peer, options) = (Peer::of_scheme(None), options());
            (from..sizes).step_by(2 * step).for_each(|size| one(&peer, &options, size));
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(step));
            run(0);
            other.join().expect("its cases hold");
        });
    };
    leaves_nothing_behind(|| every(20), || every(1));
}

/// Each on a thread of its own, whose wake descriptor goes with it.
fn leaves_nothing_behind(first: impl FnOnce() + Send, all: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(first).join()).expect("its cases hold");
    let (mut before, mut since) = (descriptor_count(), Instant::now());
    // Nothing is being closed any more.
    until(|| {
        let now = descriptor_count();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300) && thread_count("wsstream-names") == 0
    });
    let memory = live_with_full_pool();
    std::thread::scope(|scope| scope.spawn(all).join()).expect("its cases hold");
    until(|| descriptor_count() <= before);
    until(|| live_with_full_pool() <= memory + KEPT);
}

/// Whether and how a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Nobody reads before the stream has ended; the server sends and ends at once.
    Nobody,
    /// A thread reads; the server sends and ends at once.
    Hurried,
    /// A thread reads; the server ends when it has received all it can expect, and the reader all messages.
    Patient,
}

type Kept = (u32, Vec<u8>);

fn whole(message: &Message) -> Kept {
    (message.kind(), message.bytes().to_vec())
}

/// What must come of a stream.
struct Outcome {
    name: String,
    known: Known,
    end: End,
    reading: Reading,
    closed: (Status, Info),
}

impl Outcome {
    fn new(name: String, known: Known, end: End, reading: Reading) -> Self {
        let closed = known.closed(end);
        Self { name: format!("{name}, then {end:?}, {reading:?} reading"), known, end, reading, closed }
    }

    /// All that C can see, twice: an end never changes.
    fn check(&self, stream: &Stream, reader: Option<Reader<Kept>>) {
        let (name, known) = (&self.name, &self.known);
        let info = self.check_closed(stream);
        let (messages, status) = match reader {
            Some(reader) => reader.end(),
            None => read_all(stream, 0, whole),
        };
        let is_unclean = known.is_closed && !info.clean;
        assert_eq!(status, if is_unclean { Status::Connection } else { known.read_end() }, "{name}");
        match self.reading {
            // An end without the peer's Close discards what nobody has read.
            Reading::Nobody if info.code == 1006 => assert!(messages.is_empty(), "{name}: {messages:?}"),
            Reading::Hurried if info.code == 1006 => {
                assert!(known.messages.starts_with(&messages), "{name}: {messages:?}");
            }
            _ => assert_eq!(messages, known.messages, "{name}"),
        }
        let write_end = if info.code == 1006 { known.write_end(self.end) } else { Status::State };
        for _ in 0..2 {
            assert_eq!(stream.wait_opened(0), known.opened(), "{name}");
            assert_eq!(stream.refused_read(0), status, "{name}");
            assert_eq!(stream.write(TEXT, b"late", 0), write_end, "{name}");
            assert_eq!(stream.flush(0), write_end, "{name}");
            assert_eq!(stream.close(1000, ""), Status::Ok, "{name}");
            assert_eq!(stream.wait_closed(0).1.as_ref(), Some(&info), "{name}");
        }
        assert_eq!(stream.protocol(), if known.is_open { PROTOCOL } else { "" }, "{name}");
    }

    fn check_closed(&self, stream: &Stream) -> Info {
        let (status, info) = stream.wait_closed(FOREVER);
        let info = info.unwrap_or_else(|| panic!("{}: {status:?}", self.name));
        assert!(!info.detail.is_empty(), "{}: {info:?}", self.name);
        let mut expected = self.closed.clone();
        if self.is_race() && status == Status::Connection {
            // The reset has come before our Close was sent.
            let broken = Known::default().closed(End::Reset).1;
            let Info { cause, os_error, .. } = broken;
            expected = (status, Info { clean: false, sent_code: 0, cause, os_error, ..expected.1 });
        }
        expected.1.detail.clone_from(&info.detail);
        assert_eq!((status, &info), (expected.0, &expected.1), "{}", self.name);
        info
    }

    /// Whether the peer's Close is whole and the reset may come before ours is sent.
    fn is_race(&self) -> bool {
        self.known.is_closed && self.end == End::Reset && self.reading != Reading::Patient
    }
}

/// A stream, the peer's end of it and what must come of it.
struct Case {
    outcome: Outcome,
    stream: Stream,
    connection: Connection,
    reader: Option<Reader<Kept>>,
}

impl Case {
    /// The prefix of so many bytes is sent.
    fn begin(peer: &Peer, options: &Options, size: usize, end: End, reading: Reading) -> Self {
        let stream = Stream::open_with(&peer.url(), options);
        let mut connection = peer.accept();
        let reader = (reading != Reading::Nobody).then(|| Reader::begin(&stream, whole));
        let bytes = conversation(&connection.accept_key());
        connection.send(&bytes[..size]);
        let outcome = Outcome::new(format!("{size} bytes"), Known::by(size), end, reading);
        Self { outcome, stream, connection, reader }
    }

    /// The client has done all that these bytes let it do: the reader has its messages, the server what is answered.
    fn wait_answered(&mut self) {
        let Outcome { name, known, .. } = &self.outcome;
        if let Some(reader) = &self.reader {
            reader.wait_count(known.messages.len());
        }
        if known.is_open {
            assert_eq!(self.stream.wait_opened(FOREVER), Status::Ok, "{name}");
        }
        for expected in known.sent(End::Fin) {
            assert_eq!(self.connection.receive(), Some(expected), "{name}");
        }
    }

    /// The server ends the conversation as it is to, receives what the client has still to send, and the stream settles.
    /// So many frames it has received before.
    fn end(mut self, before: usize) {
        match self.outcome.end {
            End::Reset => {
                reset(self.connection.socket.tcp);
                return self.outcome.check(&self.stream, self.reader);
            }
            End::Stall => {}
            End::Fin | End::Notified => {
                if self.outcome.end == End::Notified {
                    self.connection.socket.end_tls();
                }
                self.connection.socket.shutdown(Shutdown::Write).expect("connected");
            }
        }
        let Outcome { name, known, end, .. } = &self.outcome;
        let rest = self.connection.receive_rest();
        let frames = whole_frames(&rest);
        let size: usize = frames.iter().map(|frame| frame.payload.len() + 6).sum();
        assert_eq!(frames, known.sent(*end)[before..], "{name}");
        assert_eq!(rest.len(), size, "{name}: half a frame");
        self.outcome.check(&self.stream, self.reader);
    }

    /// The client gives up what stalls: at once where the stream is open, else when its time is over.
    fn give_up(&mut self) {
        self.wait_answered();
        let Outcome { name, known, .. } = &self.outcome;
        if known.is_open && !known.is_closed {
            assert_eq!(self.stream.wait_closed(0).0, Status::Again, "{name}");
            assert_eq!(self.stream.close(OWN_CODE.into(), ""), Status::Ok, "{name}");
        }
    }

    /// How many frames the client has to send without being asked for an end.
    fn answers(&self) -> usize {
        self.outcome.known.sent(End::Fin).len()
    }
}

/// How a program reads where the prefix is so long: over wss, which takes its time, not in every way.
fn readings(size: usize) -> &'static [Reading] {
    use Reading::{Hurried, Nobody, Patient};
    match (is_secure(), Known::by(size).is_open) {
        (false, _) => &[Nobody, Hurried, Patient],
        (true, true) => &[Nobody, Patient],
        (true, false) if size % 2 == 0 => &[Nobody],
        (true, false) => &[Hurried],
    }
}

fn for_each_prefix(end: End) {
    for_each_size(conversation_size() + 1, |peer, options, size| {
        for &reading in readings(size) {
            let mut case = Case::begin(peer, options, size, end, reading);
            let mut before = 0;
            if reading == Reading::Patient {
                case.wait_answered();
                before = case.answers();
            }
            case.end(before);
        }
    });
}

// Rows: F04, K06, O03, R06, R07
#[test]
fn a_reset_after_each_byte_settles_as_the_prefix_says() {
    for_each_prefix(End::Reset);
}

// Rows: D03, F04, K01, K04, K06, O03, O08, R05, R06, R07
#[test]
fn an_end_of_tcp_after_each_byte_settles_as_the_prefix_says() {
    for_each_prefix(End::Fin);
}

// Rows: F04, K01, K04, K06, O03, R06, R07
#[test]
fn an_end_of_tls_after_each_byte_settles_as_the_prefix_says() {
    if is_secure() {
        for_each_prefix(End::Notified);
    }
}

// Rows: D04, F04, K16, K17, O03, R07
#[test]
fn a_stall_after_each_byte_settles_as_the_prefix_says() {
    let _turn = turn();
    let all: Vec<_> = (0..=conversation_size())
        .flat_map(|size| [Reading::Nobody, Reading::Patient].map(|reading| (size, reading)))
        .collect();
    let few: Vec<_> = all.iter().copied().step_by(20).collect();
    leaves_nothing_behind(|| stall(&few), || all.chunks(AT_ONCE).for_each(stall));
}

fn stall(cases: &[(usize, Reading)]) {
    let (peer, patient, impatient) = (Peer::of_scheme(None), options(), impatient_options());
    let begin = |&(size, reading): &(usize, Reading)| {
        let options = if Known::by(size).is_open { &patient } else { &impatient };
        let mut case = Case::begin(&peer, options, size, End::Stall, reading);
        case.give_up();
        case
    };
    let cases: Vec<_> = cases.iter().map(begin).collect();
    for case in cases {
        let before = case.answers();
        case.end(before);
    }
}

/// The client's socket at the other end of this one.
fn client_socket(connection: &Connection) -> RawFd {
    let address = connection.socket.peer_addr().expect("connected");
    let listed = std::fs::read_dir("/proc/self/fd").expect("Linux lists them");
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = numbers.into_iter().find(|&number| local_address(number) == Some(address));
    found.expect("it is in this process")
}

fn local_address(socket: RawFd) -> Option<SocketAddr> {
    // SAFETY: the number is borrowed for one question; it may name anything or nothing.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket) };
    socket2::SockRef::from(&socket).local_addr().ok()?.as_socket()
}

/// Returns when the client has received all that was sent to it.
fn wait_received(socket: RawFd) {
    until_spinning(|| {
        let mut waiting: libc::c_int = 1;
        // SAFETY: the answer goes into a variable of that type.
        let answer = unsafe { libc::ioctl(socket, libc::FIONREAD, &raw mut waiting) };
        assert_eq!(answer, 0, "it is open");
        waiting == 0
    });
}

/// The whole conversation in these pieces, each received before the next is sent.
fn in_pieces(peer: &Peer, options: &Options, reading: Reading, cuts: impl Iterator<Item = usize>) {
    let mut case = Case::begin(peer, options, 0, End::Fin, reading);
    let bytes = conversation(&case.connection.accept_key());
    case.outcome = Outcome::new("all bytes".to_owned(), Known::by(bytes.len()), End::Fin, reading);
    let (socket, mut from) = (client_socket(&case.connection), 0);
    for cut in cuts {
        case.connection.send(&bytes[from..cut]);
        wait_received(socket);
        from = cut;
    }
    case.connection.send(&bytes[from..]);
    case.end(0);
}

// Rows: F04, K01, O01, O08, R01, R04, R05, R06
#[test]
fn the_whole_in_two_pieces_cut_at_each_byte_is_the_same() {
    for_each_size(conversation_size(), |peer, options, size| {
        for &reading in readings(size) {
            if reading != Reading::Patient {
                in_pieces(peer, options, reading, std::iter::once(size.max(1)));
            }
        }
    });
}

// Rows: F04, K01, O01, O08, R01, R04, R05, R06
#[test]
fn the_whole_one_byte_at_a_time_is_the_same() {
    for_each_size(20, |peer, options, round| {
        let reading = if round % 4 < 2 { Reading::Nobody } else { Reading::Hurried };
        in_pieces(peer, options, reading, 1..conversation_size());
    });
}

// Rows: O03, F04, K06
#[test]
fn tls_cut_at_each_byte_settles_as_what_was_whole_says() {
    if !is_secure() {
        return;
    }
    raw_tls::cut_at_each_byte();
}
