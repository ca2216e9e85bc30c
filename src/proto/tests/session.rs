//! A whole connection without a socket: a scripted server, the core in a small driver, and a clock that is a
//! counter of milliseconds.

use super::super::close::check_close;
use super::super::closing::{Action, Input, State, step};
use super::super::encoder::{HEADER_SIZE_MAX, Header, close_payload};
use super::super::opcode::Opcode;
use super::*;

const CLOSE_TIMEOUT: u64 = 10_000;
const END_TIMEOUT: u64 = 1_000;

/// The driver: does what `closing` says and nothing by itself.
struct Session {
    reader: Reader,
    state: State,
    now: u64,
    deadline: Option<u64>,
    /// The body of our Close, once it is due.
    close: Option<Vec<u8>>,
    /// What the server got.
    sent: Vec<u8>,
    settled: Option<(bool, u64)>,
}

impl Session {
    fn open() -> Self {
        let mut session = Self {
            reader: reader(0, None),
            state: State::Connecting,
            now: 0,
            deadline: None,
            close: None,
            sent: Vec::new(),
            settled: None,
        };
        session.input(Input::Opened);
        session
    }

    fn input(&mut self, input: Input) {
        let (next, action) = step(self.state, input);
        self.state = next;
        match action {
            Action::Nothing | Action::GiveUp => {}
            Action::QueueClose => {
                self.reader.discard_data();
                self.deadline = Some(self.now + CLOSE_TIMEOUT);
            }
            Action::QueueReply => {
                let Some(Seen::Close(code, _)) = self.reader.seen.last() else { panic!("no Close") };
                let mut body = [0; 125];
                let size = close_payload(*code, "", &mut body);
                self.close = Some(body[..size].to_vec());
                self.deadline = Some(self.now + CLOSE_TIMEOUT);
            }
            Action::AwaitEnd => self.deadline = Some(self.now + END_TIMEOUT),
            Action::SettleClean => self.settled = Some((true, self.now)),
            Action::SettleUnclean => self.settled = Some((false, self.now)),
        }
    }

    fn close(&mut self, code: i32, reason: &str) {
        let request = check_close(code, reason).unwrap();
        let mut body = [0; 125];
        let size = close_payload(request.code, &request.reason, &mut body);
        if self.state == State::Open {
            self.close = Some(body[..size].to_vec());
        }
        self.input(Input::LocalClose);
    }

    /// The socket takes our Close.
    fn flush(&mut self) {
        let body = self.close.take().expect("a Close is due");
        let mut header = [0; HEADER_SIZE_MAX];
        let frame = Header {
            fin: true,
            rsv1: false,
            opcode: Opcode::Close,
            mask: [0; 4],
            payload_size: body.len() as u64,
        };
        let size = frame.encode(&mut header);
        self.sent = [&header[..size], &body].concat();
        self.input(Input::CloseWritten);
    }

    /// The server sends; one byte at a time.
    fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(1) {
            let before = self.reader.seen.len();
            self.reader.feed(byte);
            let input = match self.reader.seen[before..] {
                [] => continue,
                [Seen::Close(..)] => Input::CloseReceived,
                [Seen::Fail(_)] => Input::Failed,
                _ => continue,
            };
            self.input(input);
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        if self.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.deadline = None;
            self.input(Input::TimedOut);
        }
    }
}

#[test]
fn local_close_with_an_answer_settles_clean() {
    let mut session = Session::open();
    session.close(4000, "done");
    session.flush();
    assert_eq!(session.sent, b"\x88\x86\0\0\0\0\x0F\xA0done");
    session.receive(&[frame(true, TEXT, b"late"), frame(true, CLOSE, b"\x0F\xA1")].concat());
    assert_eq!(session.reader.seen, [Seen::Close(Some(4001), String::new())]);
    assert_eq!((session.state, session.settled), (State::BothSent, None));
    session.input(Input::TransportEnded);
    assert_eq!(session.settled, Some((true, 0)));
}

#[test]
fn local_close_without_an_answer_settles_unclean_after_the_close_timeout() {
    let mut session = Session::open();
    session.pass(500);
    session.close(-1, "");
    session.flush();
    assert_eq!(session.sent, b"\x88\x80\0\0\0\0");
    session.pass(CLOSE_TIMEOUT - 1);
    assert_eq!(session.settled, None);
    session.pass(1);
    assert_eq!(session.settled, Some((false, 500 + CLOSE_TIMEOUT)));
}

#[test]
fn remote_close_is_answered_with_its_code_and_waits_a_second_for_the_end() {
    let mut session = Session::open();
    session.receive(&[frame(true, TEXT, b"first"), frame(true, CLOSE, b"\x03\xF3bye")].concat());
    assert_eq!(session.reader.seen, [text("first"), Seen::Close(Some(1011), "bye".to_owned())]);
    session.flush();
    assert_eq!(session.sent, b"\x88\x82\0\0\0\0\x03\xF3");
    session.pass(END_TIMEOUT - 1);
    assert_eq!(session.settled, None);
    session.pass(1);
    assert_eq!(session.settled, Some((true, END_TIMEOUT)));
}

#[test]
fn close_frames_that_cross_are_one_handshake() {
    let mut session = Session::open();
    session.close(3000, "");
    session.receive(&frame(true, CLOSE, b"\x03\xE8"));
    assert_eq!(session.state, State::ReplyDue);
    session.close(4000, "too late");
    session.flush();
    assert_eq!(session.sent, b"\x88\x82\0\0\0\0\x0B\xB8", "the Close that was queued, not a second one");
    session.input(Input::TransportEnded);
    assert_eq!(session.settled, Some((true, 0)));
}

#[test]
fn an_end_of_tcp_before_our_reply_is_unclean() {
    let mut session = Session::open();
    session.receive(&frame(true, CLOSE, b"\x03\xE8"));
    session.input(Input::TransportEnded);
    assert_eq!(session.settled, Some((false, 0)));
}

#[test]
fn a_broken_frame_settles_unclean_and_nothing_after_it_counts() {
    let mut session = Session::open();
    session.receive(&[frame(true, 3, b""), frame(true, CLOSE, b"\x03\xE8")].concat());
    assert_eq!(session.settled, Some((false, 0)));
    assert!(matches!(session.reader.seen[..], [Seen::Fail(_)]));
}
