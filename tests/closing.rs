//! How a stream ends: close from this side and from the peer's, with and without the closing handshake.

mod support;

use support::peer::{self, Peer};
use support::{
    Call, Cause, FOREVER, Initiator, MORE, NO_CODE, Options, Phase, READABLE, Status, Stream, TEXT,
    close_frame, frame, option, server,
};

fn echoes(stream: &Stream) {
    stream.writes_text("still here");
    stream.reads_text("still here");
}

/// 123 bytes, the most that a Close has room for, in characters of one to four bytes.
fn longest_reasons() -> Vec<String> {
    let units = ["r", "é", "€", "😀"];
    units.map(|unit| unit.repeat(123 / unit.len()) + &"x".repeat(123 % unit.len())).into()
}

// Rows: C05, C08, C09, C10, C11, K01, K02
#[test]
fn close_sends_its_code_and_reason_and_the_answer_is_told() {
    let mut cases = vec![
        (1000, String::new(), (1000, "")),
        (3000, String::new(), (3000, "")),
        (3000, "bye".to_owned(), (3000, "bye")),
        (4999, "a\0\u{feff}ähm".to_owned(), (4999, "a\0\u{feff}ähm")),
        (NO_CODE, String::new(), (1005, "")),
        (NO_CODE, "why".to_owned(), (1000, "why")),
    ];
    let long = longest_reasons();
    cases.extend(long.iter().map(|reason| (4000, reason.clone(), (4000, reason.as_str()))));
    cases.extend(long.iter().map(|reason| (NO_CODE, reason.clone(), (1000, reason.as_str()))));
    for (code, reason, (wire_code, wire_reason)) in cases {
        let (url, id) = server().recorded("/echo");
        let stream = Stream::opened(&url);
        assert_eq!(stream.close(code, &reason), Status::Ok);
        let info = stream.closed_cleanly();
        assert_eq!((info.code, info.reason.as_str()), (wire_code, wire_reason));
        assert_eq!((info.sent_code, info.initiator), (wire_code, Initiator::Local));
        let record = server().record(&id).lawful();
        assert_eq!(record.end, "fin");
        let body = match wire_code {
            1005 => Vec::new(),
            _ => [&wire_code.to_be_bytes(), wire_reason.as_bytes()].concat(),
        };
        let [close] = record.frames.as_slice() else { panic!("one frame: {}", record.text) };
        assert_eq!((close.opcode.as_str(), close.size), ("close", body.len()), "{}", record.text);
        assert_eq!(close.payload, body[..body.len().min(64)], "{}", record.text);
    }
}

/// Every code there is, and reasons of every sort: what is refused, and with which status. `good`: what close answers
/// to what may be sent, where that is to be tried.
#[track_caller]
fn judges_arguments(state: &str, stream: &Stream, good: Option<Status>) {
    let too_long: Vec<String> = longest_reasons().into_iter().map(|reason| reason + "x").collect();
    for code in (-70..70_000).chain([i32::MIN, i32::MAX, 1 << 24, (1 << 16) + 1000, 1000 - (1 << 16)]) {
        let expected = match code {
            NO_CODE | 1000 | 3000..=4999 => Status::Ok,
            0..=65535 => Status::Access,
            _ => Status::Argument,
        };
        if expected != Status::Ok {
            assert_eq!(stream.close(code, ""), expected, "{state}: {code}");
            assert_eq!(stream.close(code, &too_long[0]), expected, "{state}: the code comes first: {code}");
            continue;
        }
        for reason in &too_long {
            assert_eq!(stream.close(code, reason), Status::Syntax, "{state}: {code} {reason}");
        }
        if let Some(good) = good {
            assert_eq!(stream.close(code, ""), good, "{state}: {code}");
        }
    }
    for bytes in
        [&b"\xFF"[..], b"a\xC3", b"\xED\xA0\x80", b"\xC0\x80", &[b"r".repeat(124), vec![0xFF]].concat()]
    {
        assert_eq!(stream.close_bytes(1000, bytes), Status::Argument, "{state}: no UTF-8");
        assert_eq!(stream.close_bytes(999, bytes), Status::Argument, "{state}: no UTF-8 and a bad code");
    }
    for reason in longest_reasons() {
        if let Some(good) = good {
            assert_eq!(stream.close(NO_CODE, &reason), good, "{state}: {reason}");
        }
    }
}

// Rows: C01, C03, C04, C05, C06
#[test]
fn close_judges_its_arguments_in_every_state_and_what_is_refused_changes_nothing() {
    let connecting = Stream::open(&server().url("/handshake?stall=1"));
    judges_arguments("connecting", &connecting, None);
    assert_eq!(connecting.wait_opened(0), Status::Again, "still connecting");
    assert_eq!(connecting.wait_closed(0).0, Status::Again, "still connecting");
    let (url, id) = server().recorded("/close_reply?delay_ms=300");
    let stream = Stream::opened(&url);
    judges_arguments("open", &stream, None);
    echoes(&stream);
    assert_eq!(stream.close(4000, "good"), Status::Ok);
    judges_arguments("closing", &stream, Some(Status::Ok));
    assert_eq!((stream.closed_cleanly().code, stream.closed_cleanly().reason.as_str()), (4000, "good"));
    judges_arguments("closed", &stream, Some(Status::Ok));
    let held = stream.reference();
    stream.free();
    judges_arguments("freed", &held, Some(Status::State));
    assert_eq!(server().record(&id).lawful().count("close"), 1);
    let failed = Stream::opened(&server().url("/abrupt"));
    let info = failed.closed_uncleanly();
    judges_arguments("failed", &failed, Some(Status::Ok));
    assert_eq!(failed.closed_uncleanly(), info);
    let refused = Stream::open(&server().url("/handshake?status=404"));
    let info = refused.never_opens();
    judges_arguments("never opened", &refused, Some(Status::Ok));
    assert_eq!(refused.never_opens(), info);
}

// Rows: C14
#[test]
fn a_second_close_does_nothing_and_the_first_code_stays() {
    let (url, id) = server().recorded("/echo");
    let stream = Stream::opened(&url);
    assert_eq!(stream.close(4001, "first"), Status::Ok);
    assert_eq!(stream.close(4002, "second"), Status::Ok);
    assert_eq!(stream.closed_cleanly().code, 4001);
    assert_eq!(stream.close(4003, "third"), Status::Ok);
    let record = server().record(&id).lawful();
    assert_eq!((record.close(), record.count("close")), (("4001", "first"), 1));
}

// Rows: C13, C19, D01
#[test]
fn close_ends_writing_at_once_and_for_ever() {
    let stream = Stream::opened(&server().url("/echo"));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    for _ in 0..2 {
        assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
        assert_eq!(stream.write(TEXT, b"x", FOREVER), Status::State);
        assert_eq!(stream.write_some(TEXT, b"x", 0, FOREVER), Status::State);
        assert_eq!(stream.flush(FOREVER), Status::State);
        stream.closed_cleanly();
    }
}

// Rows: C16, C17
#[test]
fn what_was_written_goes_out_before_the_close() {
    let token = server().token();
    let (url, id) = server().recorded(&format!("/stall_until?token={token}"));
    let stream = Stream::opened(&url);
    let data = vec![b'a'; 16 << 20];
    assert_eq!(stream.write(TEXT, b"before", 0), Status::Ok);
    assert_eq!(stream.write(TEXT, &data, 0), Status::Queued);
    // It neither waits nor sends a frame inside another.
    assert_eq!(stream.close(4000, "after"), Status::Ok);
    assert_eq!(stream.wait_closed(0).0, Status::Again);
    server().release(&token);
    assert_eq!(stream.closed_cleanly().sent_code, 4000);
    let record = server().record(&id).lawful();
    assert_eq!(record.count("payload_bytes"), (16 << 20) + 6 + 2 + 5);
    assert_eq!(
        (record.frames.last().unwrap().opcode.as_str(), record.count("frames_after_close")),
        ("close", 0)
    );
}

// Rows: C20
#[test]
fn a_read_that_waits_when_close_is_called_goes_on_waiting_and_ends_with_done() {
    let stream = Stream::opened(&server().url("/close_reply?delay_ms=100"));
    let share = stream.reference();
    let read = Call::blocked(move || share.refused_read(FOREVER));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert!(!read.is_finished());
    assert_eq!(read.join(), Status::Done);
    stream.closed_cleanly();
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

// Rows: C20, K16, D03, D04
#[test]
fn a_peer_that_does_not_answer_is_given_up_after_the_close_timeout() {
    for query in ["missing=1", "missing=1&end=stall"] {
        let options = Options::with(option::CLOSE_TIMEOUT_MS, 50);
        let stream = Stream::opened_with(&server().url(&format!("/close_reply?{query}")), &options);
        let share = stream.reference();
        let read = Call::blocked(move || share.refused_read(FOREVER));
        assert_eq!(stream.close(4000, ""), Status::Ok);
        let info = stream.closed_uncleanly();
        assert_eq!((info.code, info.cause, info.phase), (1006, Cause::Timeout, Phase::Closing), "{info:?}");
        assert_eq!((info.sent_code, info.initiator), (4000, Initiator::Local), "{info:?}");
        assert_eq!(read.join(), Status::Connection);
    }
}

// Rows: K07
#[test]
fn a_peer_that_drops_instead_of_answering_settles_with_1006() {
    for end in ["fin", "close"] {
        let stream = Stream::opened(&server().url(&format!("/close_reply?missing=1&end={end}")));
        assert_eq!(stream.close(4000, "x"), Status::Ok);
        let info = stream.closed_uncleanly();
        assert_eq!((info.code, info.cause, info.phase), (1006, Cause::Truncated, Phase::Closing), "{info:?}");
        assert_eq!((info.sent_code, info.initiator, info.reason.as_str()), (4000, Initiator::Local, ""));
    }
}

// Rows: K02, K03
#[test]
fn the_peers_code_and_reason_are_told_when_they_differ_from_ours() {
    let stream = Stream::opened(&server().url("/close_reply?code=4567&reason=other"));
    assert_eq!(stream.close(4000, "mine"), Status::Ok);
    let info = stream.closed_cleanly();
    assert_eq!((info.code, info.reason.as_str(), info.sent_code), (4567, "other", 4000));
    let stream = Stream::opened(&server().url("/close_reply?code=none"));
    assert_eq!(stream.close(4000, "mine"), Status::Ok);
    let info = stream.closed_cleanly();
    assert_eq!((info.code, info.reason.as_str(), info.sent_code), (1005, "", 4000));
}

// Rows: K01, K09, D07
#[test]
fn a_close_of_the_peer_is_answered_with_its_code_and_is_clean_whatever_the_code() {
    for code in ["1000", "1001", "1003", "1008", "1011", "1012", "1013", "1014", "3000", "4567", "4999"] {
        let (url, id) = server().recorded(&format!("/close?code={code}&reason=b%C3%A4h"));
        let stream = Stream::opened(&url);
        let info = stream.closed_cleanly();
        assert_eq!((info.code.to_string().as_str(), info.reason.as_str()), (code, "bäh"));
        assert_eq!((info.initiator, info.sent_code), (Initiator::Remote, info.code));
        assert_eq!(stream.refused_read(0), Status::Done);
        assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
        let record = server().record(&id).lawful();
        assert_eq!((record.close().0, record.end.as_str()), (code, "fin"));
    }
}

// Rows: K02
#[test]
fn a_close_without_code_is_1005_and_answered_with_an_empty_one() {
    let (url, id) = server().recorded("/close");
    let info = Stream::opened(&url).closed_cleanly();
    assert_eq!((info.code, info.sent_code, info.reason.as_str()), (1005, 1005, ""));
    assert_eq!(server().record(&id).lawful().close().0, "none");
}

// Rows: K10
#[test]
fn a_reason_comes_byte_by_byte_with_its_mark_and_its_nul() {
    for (bytes, reason) in [("efbbbfc3a4", "\u{feff}ä"), ("610062", "a\0b"), ("f09f9880", "😀")] {
        let stream = Stream::opened(&server().url(&format!("/close?code=4000&reason_hex={bytes}")));
        assert_eq!(stream.closed_cleanly().reason, reason);
    }
}

// Rows: K15, D12
#[test]
fn a_close_that_may_not_be_sent_fails_the_connection() {
    let codes = ["0", "1", "999", "1004", "1005", "1006", "1015", "1016", "2000", "2999", "5000", "65535"];
    let illegal = codes.iter().map(|code| (format!("code={code}"), "1002", Cause::Protocol));
    let bodies = [
        ("code=none&reason_hex=03".to_owned(), "1002", Cause::Protocol),
        ("code=1000&reason_hex=ff".to_owned(), "1007", Cause::Utf8),
        ("code=1000&reason_hex=c3".to_owned(), "1007", Cause::Utf8),
    ];
    for (query, sent, cause) in illegal.chain(bodies) {
        let (url, id) = server().recorded(&format!("/close?{query}"));
        let stream = Stream::opened(&url);
        let info = stream.closed_uncleanly();
        assert_eq!((info.code, info.cause, info.reason.as_str()), (1006, cause, ""), "{query}: {info:?}");
        assert_eq!(info.sent_code.to_string(), sent, "{query}: {info:?}");
        assert_eq!(server().record(&id).lawful().close().0, sent, "{query}");
    }
}

// Rows: K06, K14
#[test]
fn an_end_of_tcp_without_close_settles_with_1006() {
    for (end, cause) in [("fin", Cause::Truncated), ("close", Cause::Truncated), ("reset", Cause::System)] {
        let stream = Stream::opened(&server().url(&format!("/abrupt?end={end}&after=1")));
        let share = stream.reference();
        let read = Call::blocked(move || share.refused_read(FOREVER));
        stream.writes_text("go");
        let info = stream.closed_uncleanly();
        assert_eq!((info.code, info.cause, info.phase), (1006, cause, Phase::Open), "{end}: {info:?}");
        assert_eq!((info.initiator, info.sent_code), (Initiator::Transport, 0), "{end}: {info:?}");
        assert_eq!(info.os_error == libc::ECONNRESET, end == "reset", "{end}: {info:?}");
        assert_eq!(read.join(), Status::Connection);
        assert_eq!(stream.refused_read(0), Status::Connection);
        assert_eq!(stream.write(TEXT, b"x", 0), Status::Connection);
        assert_eq!(stream.flush(0), Status::Connection);
        assert_eq!(stream.close(1000, ""), Status::Ok);
        assert_eq!(stream.wait_closed(0).1.unwrap(), info, "it never changes");
    }
}

// Rows: D02, D03
#[test]
fn messages_before_the_peers_close_are_delivered_although_nobody_read_them_in_time() {
    let stream = Stream::opened(&server().url("/count?n=50&close=4000"));
    assert_eq!(stream.closed_cleanly().code, 4000);
    for index in 0..50 {
        let message = stream.read(0).expect("it is queued");
        assert_eq!(message.bytes(), support::counted_text(index, 16));
    }
    assert_eq!(stream.refused_read(0), Status::Done);
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

// Rows: D02
#[test]
fn a_close_behind_more_than_the_read_buffer_waits_for_a_reader() {
    let options = Options::with(option::READ_BUFFER_SIZE, 4096);
    let stream = Stream::opened_with(&server().url("/count?n=1000&size=1000"), &options);
    assert_eq!(stream.wait_closed(100).0, Status::Again);
    for index in 0..1000 {
        let message = stream.read(FOREVER).expect("all are delivered");
        assert_eq!(message.bytes(), support::counted_text(index, 1000));
    }
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
    assert_eq!(stream.closed_cleanly().code, 1000);
}

// Rows: K06
#[test]
fn an_unclean_end_discards_what_was_not_read() {
    for end in ["fin", "reset"] {
        let messages = frame(0x81, b"lost").repeat(10);
        let stream = Stream::opened(&server().url(&format!("/raw?hex={messages}&end={end}")));
        stream.closed_uncleanly();
        assert_eq!(stream.refused_read(0), Status::Connection);
    }
}

// Rows: C21, C22, D03
#[test]
fn close_keeps_what_came_before_and_drops_what_comes_later() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.open();
    connection.send(&peer::frame(0x81, b"kept").repeat(3));
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(connection.receive().expect("a Close").first, 0x88);
    connection.send(&[peer::frame(0x81, b"too late"), peer::frame(0x88, b"")].concat());
    drop(connection);
    stream.closed_cleanly();
    for _ in 0..3 {
        assert_eq!(stream.read(0).expect("kept").text(), "kept");
    }
    assert_eq!(stream.refused_read(0), Status::Done);
}

// Rows: D14
#[test]
fn close_drops_the_message_that_is_half_received() {
    let begun = frame(0x01, b"half");
    let stream = Stream::opened(&server().url(&format!("/raw?hex={begun}&end=echo")));
    assert_eq!(stream.refused_read(20), Status::Again);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    assert_eq!(stream.refused_read(0), Status::Done);
}

// Rows: C23, D03
#[test]
fn close_reads_on_past_the_mark_until_the_peers_close() {
    let options = Options::with(option::READ_BUFFER_SIZE, 4096);
    let stream = Stream::opened_with(&server().url("/count?n=0&size=1000"), &options);
    assert_eq!(stream.wait_closed(50).0, Status::Again);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    let mut count = 0;
    let last = loop {
        match stream.read(0) {
            Ok(message) => assert_eq!(message.bytes(), support::counted_text(count, 1000)),
            Err(status) => break status,
        }
        count += 1;
    };
    assert_eq!(last, Status::Done);
    assert!(count < 2000, "later ones are dropped: {count}");
}

#[test]
fn a_peer_that_never_ends_tcp_is_waited_for_a_second_at_most() {
    let started = std::time::Instant::now();
    let stream = Stream::opened(&server().url("/close_reply?end=never"));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(stream.closed_cleanly().code, 1000);
    let waited = started.elapsed().as_millis();
    assert!(waited >= 900, "the server ends TCP first: {waited} ms");
    assert!(waited < 8000, "{waited} ms");
}

/// Whether the Close met the large write under way; it may come before it begins.
fn meets_a_close_while_writing(large: usize) -> bool {
    let bytes = frame(0x81, b"last") + &close_frame(4567);
    let url = server().url(&format!("/raw?hex={bytes}&after=1&end=stall&receive_buffer=4096"));
    let stream = Stream::opened(&url);
    let data = vec![7; large];
    assert_eq!(stream.write_some(TEXT, b"go", support::FIN | MORE, FOREVER), Status::Ok);
    assert_eq!(stream.write(2, &data, FOREVER), Status::State);
    assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
    let (status, info) = stream.wait_closed(FOREVER);
    let info = info.unwrap();
    assert_eq!(info.code, 4567, "{info:?}");
    stream.reads_text("last");
    if status == Status::Ok {
        assert_eq!(stream.refused_read(0), Status::Done);
        return false;
    }
    assert_eq!(
        (info.clean, info.cause, info.initiator),
        (false, Cause::Unsent, Initiator::Remote),
        "{info:?}"
    );
    assert_eq!(stream.refused_read(0), Status::Connection);
    assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
    true
}

// Rows: K05, K08, D02, D07, D13
#[test]
fn a_close_of_the_peer_during_a_write_is_unclean_with_its_code() {
    assert!((0..20).any(|_| meets_a_close_while_writing(32 << 20)), "the Close always came first");
}

// Rows: K05, K08, D13
#[test]
fn a_close_of_the_peer_behind_a_queued_write_is_unclean_with_its_code() {
    let bytes = close_frame(4567);
    let url = server().url(&format!("/raw?hex={bytes}&after=1&end=stall&receive_buffer=4096"));
    let data = vec![7; 32 << 20];
    let mut met = false;
    for _ in 0..20 {
        let stream = Stream::opened(&url);
        assert_eq!(stream.write_some(TEXT, b"go", support::FIN | MORE, 0), Status::Ok);
        let taken = stream.write(2, &data, 0);
        let (status, info) = stream.wait_closed(FOREVER);
        let info = info.unwrap();
        assert_eq!(info.code, 4567);
        assert!(matches!(taken, Status::Queued | Status::State), "{taken:?}");
        if status == Status::Connection {
            assert_eq!((info.clean, info.cause), (false, Cause::Unsent), "{info:?}");
            met = true;
            break;
        }
    }
    assert!(met);
}

// Rows: K05, K08, D07, D13
#[test]
fn a_close_of_the_peer_inside_an_open_message_is_unclean_with_its_code() {
    let url = server().url("/close?code=4567&after=1");
    let stream = Stream::opened(&url);
    assert_eq!(stream.write_some(TEXT, b"go", support::FIN | MORE, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(TEXT, b"begun", 0, FOREVER), Status::Ok);
    let (status, info) = stream.wait_closed(FOREVER);
    let info = info.unwrap();
    assert_eq!((status, info.clean, info.code), (Status::Connection, false, 4567), "{info:?}");
    assert_eq!((info.cause, info.sent_code), (Cause::Unsent, 0), "{info:?}");
    assert_eq!(stream.write_some(TEXT, b"end", support::FIN, 0), Status::State);
}

// Rows: D13
#[test]
fn messages_gathered_by_more_are_finished_when_the_peers_close_comes() {
    for _ in 0..20 {
        let (url, id) = server().recorded("/close?code=4567&after=1");
        let stream = Stream::opened(&url);
        stream.writes_text("go");
        let mut gathered = 0;
        while stream.write_some(TEXT, b"gathered", support::FIN | MORE, 0) == Status::Ok {
            gathered += 1;
        }
        assert_eq!(stream.closed_cleanly().code, 4567);
        let record = server().record(&id).lawful();
        assert_eq!(record.count("text"), gathered + 1, "{}", record.text);
    }
}
