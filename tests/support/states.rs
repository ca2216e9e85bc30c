//! Every state that a stream can be in, how to bring one there, and what each call answers in it, as c-api.md has it.
//!
//! A scene keeps its stream in the state for as long as it lives.

use super::calls::{self, EVERY_EVENT, ROWS, Row, named};
use super::support::peer::{self, Connection, Peer};
use super::support::{
    BINARY, Call, FOREVER, OPENED, Options, READABLE, Status, Stream, TEXT, WRITABLE, close_frame, frame,
    hex, option, server, until,
};
use ::wsstream::ffi::aborter::{
    wsstream_aborter, wsstream_aborter_abort, wsstream_aborter_free, wsstream_aborter_new,
};
use ::wsstream::ffi::options::wsstream_options_set_aborter;
use std::sync::mpsc::channel;

pub const SOME: u32 = 16;
/// More than the system takes for a peer that does not read.
const LARGE: usize = 4 << 20;

/// A stream in a state, with what keeps it there.
pub struct Scene {
    pub stream: Option<Stream>,
    calls: Vec<Call<Status>>,
    _peer: Option<(Peer, Connection)>,
}

impl Scene {
    pub fn stream(&self) -> &Stream {
        self.stream.as_ref().expect("until it is dropped")
    }

    /// With a thread inside a call.
    fn with(mut self, call: impl FnOnce(Stream) -> Status + Send + 'static) -> Self {
        let share = self.stream().reference();
        self.calls.push(Call::blocked(move || call(share)));
        self
    }
}

impl From<Stream> for Scene {
    fn from(stream: Stream) -> Self {
        Self { stream: Some(stream), calls: Vec::new(), _peer: None }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stream = None;
        for call in self.calls.drain(..) {
            call.join();
        }
    }
}

/// How long a state lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Until a call changes it.
    Untouched,
    /// A second: the library waits no longer for the end of TCP (K17).
    Second,
    /// No call changes it any more, but one that sets a message callback.
    ForEver,
}

pub use Lasts::{ForEver, Second, Untouched};
pub use Status::{Aborted as X, Again as A, Busy as B, Connection as C, Done as D, Ok as O, State as S};

pub struct State {
    pub name: &'static str,
    pub make: fn() -> Scene,
    pub lasts: Lasts,
    /// Which events hold. An event holds when the matching call with timeout 0 would not return AGAIN; a call of another
    /// thread in that half is not the matching call.
    pub events: u32,
    /// Of the calls with a timeout, poll left out, and of on_message, in the order of `ROWS`. Of all others: OK.
    pub cells: [Status; 10],
}

const fn state(
    name: &'static str,
    make: fn() -> Scene,
    lasts: Lasts,
    events: u32,
    cells: [Status; 10],
) -> State {
    State { name, make, lasts, events, cells }
}

/// Every event: an ended half is readable and writable for ever.
const ALL: u32 = EVERY_EVENT;
/// Open, and nothing to read.
const OPEN: u32 = OPENED | WRITABLE;

#[rustfmt::skip]
pub const STATES: &[State] = &[
    //                                                  wait_opened    read              write                writable_close
    //                                                     wait_closed    read_many         write_some           on_message
    //                                                                       read_some            flush
    // "While connecting, reads, writes and flush wait for open"; writable_close gives up connecting, which ends it.
    state("connecting", connecting, Untouched, 0,          [A, A,         A, A, A,          A, A, A,             C, O]),
    // writable_close is wait_closed after it has started: AGAIN, and "what was started goes on".
    state("idle", idle, Untouched, OPEN,                   [O, A,         A, A, A,          O, O, O,             A, O]),
    state("a message is here", message_here, Untouched, OPEN | READABLE | SOME,
                                                           [O, A,         O, O, O,          O, O, O,             A, O]),
    // "READABLE read (a whole message, the end, an error)", "READABLE_SOME read_some".
    state("a part of a message is here", part_here, Untouched, OPEN | SOME,
                                                           [O, A,         A, A, O,          O, O, O,             A, O]),
    // "there is room when U ≤ M"; flush: "OK means U = 0".
    state("no room", no_room, Untouched, OPENED,           [O, A,         A, A, A,          A, A, A,             A, O]),
    // QUEUED below the mark: room, and something to flush.
    state("room, and bytes unsent", unsent, Untouched, OPEN, [O, A,       A, A, A,          O, O, A,             A, O]),
    // "`write` between them is ERR_STATE", "In an open message writable_close is ERR_STATE".
    state("inside a write_some message", writing_parts, Untouched, OPEN,
                                                           [O, A,         A, A, A,          S, O, O,             S, O]),
    // "Inside a message begun so, read and read_many are ERR_STATE until FIN": not AGAIN, so READABLE holds. A message
    // callback gets whole messages, too: "the call does not fit now".
    state("inside a read_some message", reading_parts, Untouched, OPEN | READABLE | SOME,
                                                           [O, A,         S, S, O,          O, O, O,             A, S]),
    state("inside a read_some message of which no more is here", reading_dry, Untouched, OPEN | READABLE,
                                                           [O, A,         S, S, A,          O, O, O,             A, S]),
    // "A second one at the same time is BUSY at once, whatever its timeout"; "Setting one while a thread is in the read half
    // is BUSY"; "Everything else belongs to no half".
    state("another thread reads", read_busy, Untouched, OPEN, [O, A,      B, B, B,          O, O, O,             A, B]),
    state("another thread reads many", read_many_busy, Untouched, OPEN, [O, A, B, B, B,     O, O, O,             A, B]),
    state("another thread reads parts", read_some_busy, Untouched, OPEN, [O, A, B, B, B,    O, O, O,             A, B]),
    state("another thread reads while connecting", read_busy_connecting, Untouched, 0,
                                                           [A, A,         B, B, B,          A, A, A,             C, B]),
    state("another thread writes", write_busy, Untouched, OPENED, [O, A,  A, A, A,          B, B, B,             A, O]),
    state("another thread writes many", write_many_busy, Untouched, OPENED, [O, A, A, A, A, B, B, B,            A, O]),
    state("another thread writes parts", write_some_busy, Untouched, OPENED, [O, A, A, A, A, B, B, B,            A, O]),
    state("another thread flushes", flush_busy, Untouched, OPENED, [O, A, A, A, A,          B, B, B,             A, O]),
    // "In the read half: … a message callback that is set."
    state("a message callback is set", called_back, Untouched, OPEN, [O, A, B, B, B,        O, O, O,             A, O]),
    // The write half "ends once, by the first of: local close, writable_close, writable_abort, readable_cancel, the peer's
    // Close seen → ERR_STATE". The read half ends "when closed settles" (C20), but by readable_cancel "DONE at once".
    state("closed, no answer yet", closing, Untouched, OPEN, [O, A,       A, A, A,          S, S, S,             S, O]),
    // C21: what was queued stays readable.
    state("closed, a message is here", closing_with_message, Untouched, OPEN | READABLE | SOME,
                                                           [O, A,         O, O, O,          S, S, S,             S, O]),
    state("writable_close began", closing_writable, Untouched, OPEN, [O, A, A, A, A,        S, S, S,             S, O]),
    state("aborted writing", aborted_writing, Untouched, OPEN, [O, A,     A, A, A,          S, S, S,             S, O]),
    state("cancelled, no answer yet", cancelled, Untouched, OPEN | READABLE | SOME,
                                                           [O, A,         D, D, D,          S, S, S,             S, O]),
    state("closed with no room", closing_without_room, Untouched, OPEN, [O, A, A, A, A,     S, S, S,             S, O]),
    state("the peer's Close is answered", remote_closing, Second, OPEN, [O, A, A, A, A,     S, S, S,             S, O]),
    state("the peer's Close is answered, a message is here", remote_closing_with_message, Second,
          OPEN | READABLE | SOME,                          [O, A,         O, O, O,          S, S, S,             S, O]),
    // "clean → what is queued, then DONE".
    state("closed locally", closed, ForEver, ALL,          [O, O,         D, D, D,          S, S, S,             S, O]),
    state("closed remotely", closed_remotely, ForEver, ALL, [O, O,        D, D, D,          S, S, S,             S, O]),
    state("closed remotely, a message is here", closed_with_message, Untouched, ALL,
                                                           [O, O,         O, O, O,          S, S, S,             S, O]),
    state("writable_close is done", closed_writable, ForEver, ALL, [O, O, D, D, D,          S, S, S,             S, O]),
    state("cancelled and closed", cancelled_and_closed, ForEver, ALL, [O, O, D, D, D,       S, S, S,             S, O]),
    // "While it is set, also after the end, the read half is its own".
    state("a message callback was told the end", told_the_end, ForEver, ALL, [O, O, B, B, B, S, S, S,            S, O]),
    // "unclean although the peer's Close was received (K08) → what is queued, then ERR_CONNECTION"; W17: the writes' end is
    // the peer's Close.
    state("closed with a write unfinished", unfinished, ForEver, ALL, [O, C, C, C, C,       S, S, S,             S, O]),
    state("closed with a write unfinished, a message is here", unfinished_with_message, Untouched, ALL,
                                                           [O, C,         O, O, O,          S, S, S,             S, O]),
    // "connection failed → ERR_CONNECTION"; "unclean without one → the queue is discarded, ERR_CONNECTION".
    state("protocol error", failed, ForEver, ALL,          [O, C,         C, C, C,          C, C, C,             C, O]),
    state("protocol error behind a message", failed_behind_message, ForEver, ALL, [O, C, C, C, C, C, C, C,       C, O]),
    state("truncated", truncated, ForEver, ALL,            [O, C,         C, C, C,          C, C, C,             C, O]),
    state("truncated inside a read_some message", truncated_inside, ForEver, ALL, [O, C, C, C, C, C, C, C,       C, O]),
    // K07, and the first end of the write half is the local one.
    state("closed and not answered in time", unanswered, ForEver, ALL, [O, C, C, C, C,      S, S, S,             S, O]),
    // The readable side was closed before (R13).
    state("cancelled and not answered in time", cancelled_unanswered, ForEver, ALL, [O, C, D, D, D, S, S, S,     S, O]),
    // "ERR_CONNECTION (O03)", "aborted → ERR_ABORTED".
    state("refused by the host", refused, ForEver, ALL,    [C, C,         C, C, C,          C, C, C,             C, O]),
    state("answered 404", not_found, ForEver, ALL,         [C, C,         C, C, C,          C, C, C,             C, O]),
    state("not opened in time", too_late, ForEver, ALL,    [C, C,         C, C, C,          C, C, C,             C, O]),
    state("aborted before", aborted_before, ForEver, ALL,  [X, X,         X, X, X,          X, X, X,             X, O]),
    state("aborted while connecting", aborted, ForEver, ALL, [X, X,       X, X, X,          X, X, X,             X, O]),
    // O06: as O03, but the write half was ended by the call.
    state("closed while connecting", given_up, ForEver, ALL, [C, C,       C, C, C,          S, S, S,             S, O]),
    state("writable_close while connecting", given_up_writable, ForEver, ALL, [C, C, C, C, C, S, S, S,           S, O]),
    state("writable_abort while connecting", given_up_aborting, ForEver, ALL, [C, C, C, C, C, S, S, S,           S, O]),
    state("cancelled while connecting", given_up_reading, ForEver, ALL, [C, C, D, D, D,     S, S, S,             S, O]),
];

impl State {
    pub fn expected(&self, row: &Row) -> Status {
        let own = |row: &&Row| !["wsstream_poll", "wsstream_write_many"].contains(&row.name);
        let timed = ROWS.iter().filter(own).filter(|row| row.waits);
        let mut named = timed.map(|row| row.name).chain(["wsstream_on_message"]).zip(self.cells);
        match row.name {
            "wsstream_poll" if self.events == 0 => A,
            // A message alone is answered as by `write`.
            "wsstream_write_many" => {
                named.find(|(name, _)| *name == "wsstream_write").map_or(O, |(_, status)| status)
            }
            _ => named.find(|(name, _)| *name == row.name).map_or(O, |(_, status)| status),
        }
    }

    /// Whether the stream is as before when the call has given this answer.
    pub fn is_same_after(&self, row: &Row, status: Status) -> bool {
        match row.name {
            "wsstream_on_message" => status == B,
            "wsstream_writable_close" => status == S || self.lasts == ForEver,
            "wsstream_wake" => false,
            _ => status != O || self.lasts == ForEver,
        }
    }
}

pub fn open(path: &str) -> Stream {
    Stream::opened(&server().url(path))
}

/// Open, and the peer, which sends this first, answers no Close.
pub fn open_with(first: &str) -> Stream {
    open(&format!("/raw?hex={first}&end=never"))
}

fn opening() -> Stream {
    Stream::open(&server().url("/handshake?stall=1"))
}

pub fn connecting() -> Scene {
    opening().into()
}

pub fn idle() -> Scene {
    open_with("").into()
}

pub fn message_here() -> Scene {
    let stream = open_with(&frame(0x81, b"hi"));
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    stream.into()
}

fn part_here() -> Scene {
    let stream = open_with(&frame(0x01, b"part"));
    assert_eq!(stream.poll(SOME, FOREVER), Ok(SOME));
    stream.into()
}

/// A peer of this test that never reads, and a stream that has written more than goes.
fn full(options: &Options) -> Scene {
    let peer = Peer::of_scheme(Some(4096));
    let stream = Stream::open_with(&peer.url(), options);
    let connection = peer.open();
    assert_eq!(stream.wait_opened(FOREVER), O);
    let written = stream.write(BINARY, &vec![0; LARGE], 0);
    assert!(matches!(written, Status::Queued | O), "{written:?}");
    assert_eq!(stream.flush(0), A);
    Scene { stream: Some(stream), calls: Vec::new(), _peer: Some((peer, connection)) }
}

pub fn no_room() -> Scene {
    full(&Options::new())
}

fn unsent() -> Scene {
    full(&Options::with(option::WRITE_BUFFER_SIZE, 4 * LARGE as i64))
}

fn writing_parts() -> Scene {
    let stream = open_with("");
    assert_eq!(stream.write_some(TEXT, b"part", 0, FOREVER), O);
    stream.into()
}

fn reading_parts() -> Scene {
    let scene = message_here();
    assert_eq!(calls::read_one_byte(scene.stream().handle()), 0);
    scene
}

fn reading_dry() -> Scene {
    let stream = open_with(&frame(0x01, b"p"));
    assert_eq!(calls::read_one_byte(stream.handle()), 0);
    stream.into()
}

/// A thread for ever inside the call of that name.
fn busy(scene: Scene, name: &str) -> Scene {
    let name = name.to_owned();
    scene.with(move |share| calls::call(&name, share.handle(), FOREVER))
}

pub fn read_busy() -> Scene {
    busy(idle(), "wsstream_read")
}

fn read_many_busy() -> Scene {
    busy(idle(), "wsstream_read_many")
}

fn read_some_busy() -> Scene {
    busy(idle(), "wsstream_read_some")
}

fn read_busy_connecting() -> Scene {
    busy(connecting(), "wsstream_read")
}

pub fn write_busy() -> Scene {
    busy(no_room(), "wsstream_write")
}

fn write_many_busy() -> Scene {
    busy(no_room(), "wsstream_write_many")
}

fn write_some_busy() -> Scene {
    busy(no_room(), "wsstream_write_some")
}

fn flush_busy() -> Scene {
    busy(no_room(), "wsstream_flush")
}

fn called_back() -> Scene {
    let stream = open_with("");
    assert_eq!(stream.on_message(|_| ()), O);
    stream.into()
}

pub fn closing() -> Scene {
    let stream = open_with("");
    assert_eq!(stream.close(1000, ""), O);
    stream.into()
}

fn closing_with_message() -> Scene {
    let scene = message_here();
    assert_eq!(scene.stream().close(1000, ""), O);
    scene
}

fn closing_writable() -> Scene {
    let stream = open_with("");
    assert_eq!(named(calls::close_writing(stream.handle())), A);
    stream.into()
}

fn aborted_writing() -> Scene {
    let stream = open_with("");
    assert_eq!(calls::abort(stream.handle()), 0);
    stream.into()
}

fn cancelled() -> Scene {
    let scene = message_here();
    assert_eq!(calls::cancel(scene.stream().handle()), 0);
    scene
}

fn closing_without_room() -> Scene {
    let scene = no_room();
    assert_eq!(scene.stream().close(1000, ""), O);
    scene
}

/// The peer's Close, behind this, has been answered, and TCP goes on.
fn answered(first: &[u8]) -> Scene {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.open();
    assert_eq!(stream.wait_opened(FOREVER), O);
    connection.send(&[first, &peer::frame(0x88, &4001_u16.to_be_bytes())].concat());
    assert_eq!(connection.receive().expect("a frame").first, 0x88);
    // It was sent by whoever sees to it next.
    until(|| stream.flush(0) == S);
    Scene { stream: Some(stream), calls: Vec::new(), _peer: Some((peer, connection)) }
}

fn remote_closing() -> Scene {
    answered(b"")
}

fn remote_closing_with_message() -> Scene {
    answered(&peer::frame(0x81, b"hi"))
}

/// A stream that has ended with this status.
#[track_caller]
fn ended(stream: Stream, status: Status) -> Scene {
    let (answer, info) = stream.wait_closed(FOREVER);
    assert_eq!(answer, status, "{info:?}");
    stream.into()
}

pub fn closed() -> Scene {
    let stream = open("/echo");
    assert_eq!(stream.close(1000, ""), O);
    ended(stream, O)
}

fn closed_remotely() -> Scene {
    ended(open("/close?code=4001"), O)
}

fn closed_with_message() -> Scene {
    ended(open(&format!("/raw?hex={}{}&end_delay_ms=100", frame(0x81, b"hi"), close_frame(1000))), O)
}

fn closed_writable() -> Scene {
    let stream = open("/echo");
    calls::close_writing(stream.handle());
    ended(stream, O)
}

fn cancelled_and_closed() -> Scene {
    let stream = open("/echo");
    assert_eq!(calls::cancel(stream.handle()), 0);
    ended(stream, O)
}

fn told_the_end() -> Scene {
    let stream = open("/close?code=4001");
    let (sender, told) = channel();
    assert_eq!(stream.on_message(move |status| sender.send(status).expect("it is waited for")), O);
    assert_eq!(told.recv(), Ok(D));
    ended(stream, O)
}

/// K08: the peer's Close, behind this, while a write is on its way.
fn overtaken(first: &[u8]) -> Scene {
    let mut scene = no_room();
    let (_, connection) = scene._peer.as_mut().expect("a peer");
    connection.send(&[first, &peer::frame(0x88, &4567_u16.to_be_bytes())].concat());
    let info = scene.stream().closed_uncleanly();
    assert_eq!(info.code, 4567, "{info:?}");
    scene
}

fn unfinished() -> Scene {
    overtaken(b"")
}

fn unfinished_with_message() -> Scene {
    overtaken(&peer::frame(0x81, b"hi"))
}

pub fn failed() -> Scene {
    ended(open("/raw?hex=8300&end=never"), C)
}

fn failed_behind_message() -> Scene {
    ended(open(&format!("/raw?hex={}8300&end=never", frame(0x81, b"hi"))), C)
}

fn truncated() -> Scene {
    ended(open("/abrupt"), C)
}

fn truncated_inside() -> Scene {
    let stream = open(&format!("/raw?hex={}&echo=0&end=fin", hex(&peer::frame(0x01, b"p"))));
    // The end may have come before the part was read, which then goes with it.
    calls::read_one_byte(stream.handle());
    ended(stream, C)
}

/// The peer does not answer the Close.
fn impatient() -> Stream {
    let options = Options::with(option::CLOSE_TIMEOUT_MS, 20);
    Stream::opened_with(&server().url("/raw?hex=&end=never"), &options)
}

fn unanswered() -> Scene {
    let stream = impatient();
    assert_eq!(stream.close(1000, ""), O);
    ended(stream, C)
}

fn cancelled_unanswered() -> Scene {
    let stream = impatient();
    assert_eq!(calls::cancel(stream.handle()), 0);
    ended(stream, C)
}

fn refused() -> Scene {
    ended(Stream::open("ws://127.0.0.1:1/"), C)
}

pub fn not_found() -> Scene {
    ended(Stream::open(&server().url("/handshake?status=404")), C)
}

fn too_late() -> Scene {
    let options = Options::with(option::OPEN_TIMEOUT_MS, 20);
    ended(Stream::open_with(&server().url("/handshake?stall=1"), &options), C)
}

struct Aborter(*mut wsstream_aborter);

impl Aborter {
    fn of(options: &Options) -> Self {
        let aborter = wsstream_aborter_new();
        // SAFETY: both live.
        assert_eq!(unsafe { wsstream_options_set_aborter(options.handle(), aborter) }, 0);
        Self(aborter)
    }

    fn abort(&self) {
        // SAFETY: it lives.
        unsafe { wsstream_aborter_abort(self.0) };
    }
}

impl Drop for Aborter {
    fn drop(&mut self) {
        // SAFETY: it lives until here.
        unsafe { wsstream_aborter_free(self.0) };
    }
}

fn aborted_before() -> Scene {
    let options = Options::new();
    Aborter::of(&options).abort();
    ended(Stream::open_with(&server().url("/echo"), &options), X)
}

fn aborted() -> Scene {
    let options = Options::new();
    let aborter = Aborter::of(&options);
    let stream = Stream::open_with(&server().url("/handshake?stall=1"), &options);
    aborter.abort();
    ended(stream, X)
}

fn given_up() -> Scene {
    let stream = opening();
    assert_eq!(stream.close(1000, ""), O);
    ended(stream, C)
}

fn given_up_writable() -> Scene {
    let stream = opening();
    calls::close_writing(stream.handle());
    ended(stream, C)
}

fn given_up_aborting() -> Scene {
    let stream = opening();
    assert_eq!(calls::abort(stream.handle()), 0);
    ended(stream, C)
}

fn given_up_reading() -> Scene {
    let stream = opening();
    assert_eq!(calls::cancel(stream.handle()), 0);
    ended(stream, C)
}
