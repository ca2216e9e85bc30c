//! How a stream ends: close from this side and from the peer's, with and without the closing handshake.

mod support;

use support::{
    Call, Cause, FOREVER, Initiator, MORE, NO_CODE, Options, Phase, READABLE, Status, Stream, TEXT,
    close_frame, frame, option, server,
};

fn echoes(stream: &Stream) {
    stream.writes_text("still here");
    stream.reads_text("still here");
}

#[test]
fn close_sends_its_code_and_reason_and_the_answer_is_told() {
    let long = "é".repeat(61) + "x";
    for (code, reason, wire) in [
        (1000, "", ("1000", "")),
        (3000, "bye", ("3000", "bye")),
        (4999, "ähm", ("4999", "ähm")),
        (NO_CODE, "", ("none", "")),
        (NO_CODE, "why", ("1000", "why")),
        (4000, long.as_str(), ("4000", long.as_str())),
    ] {
        let (url, id) = server().recorded("/echo");
        let stream = Stream::opened(&url);
        assert_eq!(stream.close(code, reason), Status::Ok);
        let info = stream.closed_cleanly();
        let expected = if wire.0 == "none" { 1005 } else { wire.0.parse().unwrap() };
        assert_eq!((info.code, info.reason.as_str()), (expected, wire.1));
        assert_eq!((info.sent_code, info.initiator), (expected, Initiator::Local));
        let record = server().record(&id).lawful();
        assert_eq!(record.close(), wire);
        assert_eq!(record.end, "fin");
    }
}

#[test]
fn an_empty_close_frame_has_an_empty_body() {
    let (url, id) = server().recorded("/echo");
    let stream = Stream::opened(&url);
    assert_eq!(stream.close(NO_CODE, ""), Status::Ok);
    stream.closed_cleanly();
    assert_eq!(server().record(&id).lawful().frames[0].size, 0);
}

#[test]
fn close_refuses_bad_arguments_in_order_and_leaves_the_stream_alone() {
    let stream = Stream::opened(&server().url("/echo"));
    let too_long = "x".repeat(124);
    let check = |stream: &Stream| {
        for code in [-2, 65536, 70000, i32::MAX, i32::MIN] {
            assert_eq!(stream.close(code, ""), Status::Argument, "{code}");
            assert_eq!(stream.close(code, &too_long), Status::Argument, "{code}");
        }
        assert_eq!(stream.close_bytes(999, &[0xFF]), Status::Argument);
        for code in [0, 999, 1001, 1005, 1006, 1011, 1015, 2999, 5000, 65535] {
            assert_eq!(stream.close(code, ""), Status::Access, "{code}");
            assert_eq!(stream.close(code, &too_long), Status::Access, "{code}");
        }
        for code in [NO_CODE, 1000, 3000, 4999] {
            assert_eq!(stream.close(code, &too_long), Status::Syntax, "{code}");
            assert_eq!(stream.close(code, &"ä".repeat(62)), Status::Syntax, "{code}");
        }
    };
    check(&stream);
    echoes(&stream);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    check(&stream);
    stream.closed_cleanly();
    check(&stream);
}

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

#[test]
fn a_close_without_code_is_1005_and_answered_with_an_empty_one() {
    let (url, id) = server().recorded("/close");
    let info = Stream::opened(&url).closed_cleanly();
    assert_eq!((info.code, info.sent_code, info.reason.as_str()), (1005, 1005, ""));
    assert_eq!(server().record(&id).lawful().close().0, "none");
}

#[test]
fn a_reason_comes_byte_by_byte_with_its_mark_and_its_nul() {
    for (bytes, reason) in [("efbbbfc3a4", "\u{feff}ä"), ("610062", "a\0b"), ("f09f9880", "😀")] {
        let stream = Stream::opened(&server().url(&format!("/close?code=4000&reason_hex={bytes}")));
        assert_eq!(stream.closed_cleanly().reason, reason);
    }
}

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

#[test]
fn an_unclean_end_discards_what_was_not_read() {
    for end in ["fin", "reset"] {
        let messages = frame(0x81, b"lost").repeat(10);
        let stream = Stream::opened(&server().url(&format!("/raw?hex={messages}&end={end}")));
        stream.closed_uncleanly();
        assert_eq!(stream.refused_read(0), Status::Connection);
    }
}

#[test]
fn close_keeps_what_came_before_and_drops_what_comes_later() {
    let messages = frame(0x81, b"kept").repeat(3);
    let stream = Stream::opened(&server().url(&format!("/raw?hex={messages}&end=echo")));
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    stream.writes_text("echoed too late");
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    for _ in 0..3 {
        assert_eq!(stream.read(0).expect("kept").text(), "kept");
    }
    assert!(matches!(stream.read(0), Err(Status::Done)) || stream.refused_read(0) == Status::Done);
}

#[test]
fn close_drops_the_message_that_is_half_received() {
    let begun = frame(0x01, b"half");
    let stream = Stream::opened(&server().url(&format!("/raw?hex={begun}&end=echo")));
    assert_eq!(stream.refused_read(20), Status::Again);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    assert_eq!(stream.refused_read(0), Status::Done);
}

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

#[test]
fn a_close_of_the_peer_during_a_write_is_unclean_with_its_code() {
    assert!((0..20).any(|_| meets_a_close_while_writing(32 << 20)), "the Close always came first");
}

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
