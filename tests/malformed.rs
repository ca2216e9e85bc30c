//! Each input of docs/malformed.toml, sent by a server to a program that reads, to one that does not, and one byte at a
//! time: what comes of it is what the table says, and no byte more goes out than is allowed.

mod support;

#[path = "malformed/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use support::peer::{Connection, Peer, Received, frame, whole_frames};
use support::reader::{Reader, read_all};
use support::{Cause, FOREVER, Info, Initiator, Message, Options, Phase, Status, Stream, TEXT, option};
use table::{Input, When, inputs};

/// More than this is not sent one byte at a time.
const SMALL: usize = 700;

/// How the server sends, and whether the program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// In one piece with the message before it, to a program that does not read.
    Unread,
    /// To a program that has read the message before it; the server goes on sending behind the failure.
    Read,
    /// To such a program, one byte at a time.
    ByBytes,
}

/// Runs every input of these rows, on two threads, and names those that do not hold.
fn run(rows: &[&str]) {
    let ours: Vec<_> = inputs().into_iter().filter(|input| rows.contains(&input.rows[0].as_str())).collect();
    assert!(!ours.is_empty(), "there are inputs of {rows:?}");
    let (next, failed) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    let work = || {
        let peer = Peer::of_scheme(None);
        while let Some(input) = ours.get(next.fetch_add(1, Relaxed)) {
            for manner in [Manner::Unread, Manner::Read, Manner::ByBytes] {
                if catch_unwind(AssertUnwindSafe(|| case(&peer, input, manner))).is_err() {
                    failed.lock().expect("no panic here").push(format!("{} ({manner:?})", input.name));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let failed = failed.into_inner().expect("no panic here");
    assert!(failed.is_empty(), "{} do not hold: {failed:#?}", failed.len());
}

fn case(peer: &Peer, input: &Input, manner: Manner) {
    match input.when {
        When::Answer => answer(peer, input, manner),
        When::Open => open(peer, input, manner),
    }
}

fn options(input: &Input) -> Options {
    let options = Options::new();
    for protocol in &input.asks {
        assert_eq!(options.add_protocol(protocol), Status::Ok);
    }
    let limited = match input.when {
        When::Answer => option::MAX_HEADER_SIZE,
        When::Open => option::MAX_MESSAGE_SIZE,
    };
    input.limit.into_iter().fold(options, |options, limit| options.and(limited, limit))
}

/// Sends, as long as the client takes it: it need not take what is behind a mistake.
fn send(connection: &mut Connection, bytes: &[u8], manner: Manner) {
    let size = if manner == Manner::ByBytes && bytes.len() <= SMALL { 1 } else { bytes.len().max(1) };
    for piece in bytes.chunks(size) {
        match connection.socket.write_all(piece).and_then(|()| connection.socket.flush()) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn end_tcp(connection: &Connection) {
    connection.socket.shutdown(Shutdown::Write).expect("connected");
}

#[track_caller]
fn check_detail(input: &Input, info: &Info) {
    for word in &input.detail {
        assert!(info.detail.contains(word), "{}: no {word:?} in {:?}", input.name, info.detail);
    }
}

/// Instead of the answer to the handshake.
fn answer(peer: &Peer, input: &Input, manner: Manner) {
    let name = format!("{} ({manner:?})", input.name);
    let stream = Stream::open_with(&peer.url(), &options(input));
    let mut connection = peer.accept();
    let reader = (manner != Manner::Unread).then(|| Reader::begin(&stream, size));
    let bytes = input.bytes(&connection.accept_key());
    send(&mut connection, &bytes, manner);
    if !input.fails() {
        assert_eq!(stream.wait_opened(FOREVER), Status::Ok, "{name}: {:?}", stream.wait_closed(0));
        let after = [frame(0x81, b"before"), frame(0x88, &1000_u16.to_be_bytes())].concat();
        return closes(&stream, &mut connection, input, &after, reader, &name);
    }
    if input.ends {
        end_tcp(&connection);
    }
    assert_eq!(stream.wait_opened(FOREVER), Status::Connection, "{name}");
    if let Some(reader) = reader {
        assert_eq!(reader.end(), (Vec::new(), Status::Connection), "{name}");
    }
    let info = stream.never_opens();
    assert_eq!((info.cause, info.http_status), (input.cause, input.http_status), "{name}: {info:?}");
    assert_eq!((info.phase, info.os_error), (Phase::Handshake, 0), "{name}: {info:?}");
    check_detail(input, &info);
    assert_eq!(stream.write(TEXT, b"late", 0), Status::Connection, "{name}");
    assert_eq!((stream.protocol(), stream.extensions()), (String::new(), String::new()), "{name}");
    assert_eq!(connection.receive_rest(), b"", "{name}: nothing follows the request");
    assert!(!peer.has_client(), "{name}: nothing is tried again");
}

/// The stream is open: what comes of this and of what was sent before is a clean end.
fn closes(
    stream: &Stream,
    connection: &mut Connection,
    input: &Input,
    bytes: &[u8],
    reader: Option<Reader<Kept>>,
    name: &str,
) {
    let code = input.close.unwrap_or(1000);
    send(connection, bytes, Manner::Unread);
    end_tcp(connection);
    check_sent(connection, &expected_frames(input, Some(code)), name);
    let info = stream.wait_closed(FOREVER).1.unwrap_or_else(|| panic!("{name}: it does not close"));
    let expected = Info {
        code,
        clean: true,
        initiator: Initiator::Remote,
        phase: Phase::Closing,
        cause: Cause::None,
        os_error: 0,
        http_status: 0,
        sent_code: code,
        ..info.clone()
    };
    assert_eq!(info, expected, "{name}");
    let (messages, status) = reader.map_or_else(|| read_all(stream, 0, size), Reader::end);
    assert_eq!((messages, status), (delivered(input), Status::Done), "{name}");
    assert_eq!(stream.write(TEXT, b"late", 0), Status::State, "{name}");
}

/// Type and size of what a program gets that reads in time.
fn delivered(input: &Input) -> Vec<(u32, usize)> {
    [&[(TEXT, 6)], &input.delivers[..]].concat()
}

fn expected_frames(input: &Input, close: Option<u16>) -> Vec<Received> {
    let pong = input.pong.iter().map(|payload| Received { first: 0x8A, payload: payload.clone() });
    let payload = |code: u16| if code == 1005 { Vec::new() } else { code.to_be_bytes().into() };
    pong.chain(close.map(|code| Received { first: 0x88, payload: payload(code) })).collect()
}

/// All that comes up to the end of TCP.
#[track_caller]
fn check_sent(connection: &mut Connection, expected: &[Received], name: &str) {
    let rest = connection.receive_rest();
    let frames = whole_frames(&rest);
    assert_eq!(frames, expected, "{name}");
    let size: usize = frames.iter().map(|frame| frame.payload.len() + 6).sum();
    assert_eq!(rest.len(), size, "{name}: half a frame");
}

/// Behind the answer and a text message.
fn open(peer: &Peer, input: &Input, manner: Manner) {
    let name = format!("{} ({manner:?})", input.name);
    let stream = Stream::open_with(&peer.url(), &options(input));
    let mut connection = peer.open();
    assert_eq!(stream.wait_opened(FOREVER), Status::Ok, "{name}");
    let reader = (manner != Manner::Unread).then(|| Reader::begin(&stream, size));
    let before = frame(0x81, b"before");
    let bytes = input.bytes(&connection.accept_key());
    match &reader {
        None => send(&mut connection, &[before, bytes].concat(), manner),
        Some(reader) => {
            connection.send(&before);
            reader.wait_count(1);
            send(&mut connection, &bytes, manner);
        }
    }
    if !input.fails() {
        let close = frame(0x88, &1000_u16.to_be_bytes());
        return closes(&stream, &mut connection, input, &close, reader, &name);
    }
    if input.ends {
        end_tcp(&connection);
    } else if manner == Manner::Read {
        goes_on(&mut connection, input, &name);
    }
    if manner != Manner::Read || input.ends {
        check_sent(&mut connection, &expected_frames(input, input.close), &name);
    }
    let info = check_failed(&stream, input, &name);
    let (messages, status) = reader.map_or_else(|| read_all(&stream, 0, size), Reader::end);
    assert_eq!(status, Status::Connection, "{name}");
    match manner {
        // R07: what was not read is discarded.
        Manner::Unread => assert_eq!(messages, [], "{name}"),
        _ => assert!(!messages.is_empty() && delivered(input).starts_with(&messages), "{name}: {messages:?}"),
    }
    for _ in 0..2 {
        assert_eq!(stream.write(TEXT, b"late", 0), Status::Connection, "{name}");
        assert_eq!(stream.refused_read(0), Status::Connection, "{name}");
        assert_eq!(stream.close(4000, ""), Status::Ok, "{name}");
        assert_eq!(stream.wait_closed(0).1.as_ref(), Some(&info), "{name}");
    }
}

/// The server goes on behind the failure; nothing more comes for that.
fn goes_on(connection: &mut Connection, input: &Input, name: &str) {
    for expected in expected_frames(input, input.close) {
        assert_eq!(connection.receive(), Some(expected), "{name}");
    }
    let more = [frame(0x89, b"ping"), frame(0x81, b"text"), frame(0x88, &1001_u16.to_be_bytes())].concat();
    send(connection, &more, Manner::Read);
    check_sent(connection, &[], name);
}

fn check_failed(stream: &Stream, input: &Input, name: &str) -> Info {
    let (status, info) = stream.wait_closed(FOREVER);
    let info = info.unwrap_or_else(|| panic!("{name}: {status:?}"));
    let initiator = if input.close.is_some() { Initiator::Local } else { Initiator::Transport };
    let expected = Info {
        code: 1006,
        clean: false,
        initiator,
        phase: Phase::Open,
        cause: input.cause,
        os_error: 0,
        http_status: 0,
        sent_code: input.close.unwrap_or(0),
        reason: String::new(),
        detail: info.detail.clone(),
        response_body: String::new(),
    };
    assert_eq!((status, &info), (Status::Connection, &expected), "{name}");
    check_detail(input, &info);
    info
}

type Kept = (u32, usize);

fn size(message: &Message) -> Kept {
    (message.kind(), message.bytes().len())
}

#[test]
fn every_input_has_a_name_of_its_own_and_a_test() {
    let inputs = inputs();
    let names: BTreeSet<_> = inputs.iter().map(|input| &input.name).collect();
    assert_eq!(names.len(), inputs.len(), "each name once");
    for input in &inputs {
        let run = ["O03", "P05", "P06", "F01", "D12", "F02", "F03", "F04"];
        assert!(run.contains(&input.rows[0].as_str()), "{}: no test runs {:?}", input.name, input.rows);
    }
}

// Rows: O03, O04, K11, D11, D15
#[test]
fn answers_that_are_no_acceptance_fail_the_handshake_as_the_table_says() {
    run(&["O03"]);
}

// Rows: P05, P06, D11
#[test]
fn subprotocols_that_were_not_agreed_fail_the_handshake_as_the_table_says() {
    run(&["P05", "P06"]);
}

// Rows: F01, K15
#[test]
fn frames_that_break_the_protocol_fail_with_1002_as_the_table_says() {
    run(&["F01"]);
}

// Rows: D12, F01
#[test]
fn close_codes_that_may_not_be_sent_fail_with_1002_and_others_do_not_as_the_table_says() {
    run(&["D12"]);
}

// Rows: F02, K15
#[test]
fn what_is_not_utf8_fails_with_1007_as_the_table_says() {
    run(&["F02"]);
}

// Rows: F03, K15
#[test]
fn messages_over_the_limit_fail_with_1009_as_the_table_says() {
    run(&["F03"]);
}

// Rows: F04
#[test]
fn what_follows_a_close_is_ignored_as_the_table_says() {
    run(&["F04"]);
}
