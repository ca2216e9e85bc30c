//! From the URL to open, and every way in which it fails.

mod support;

use std::net::TcpListener;
use support::{
    CLOSED, Call, Cause, FOREVER, Initiator, OPENED, Options, Phase, Status, Stream, TEXT, WRITABLE,
    is_secure, option, server,
};

fn refused(url: &str) -> Status {
    Stream::try_open(url, None).expect_err(url)
}

#[test]
fn urls_that_are_not_websocket_urls_are_syntax_errors() {
    for url in [
        "",
        "/relative",
        "ws://",
        "ws://h:99999/",
        "ws://[::1",
        "invalid:",
        "ftp://h/",
        "mailto:a@b",
        "ws://h/#",
        "ws://h/#a",
        "http://h/x#",
        "ws:// h/",
        "wss://h/#",
    ] {
        assert_eq!(refused(url), Status::Syntax, "{url}");
    }
}

#[test]
fn the_scheme_of_the_url_is_what_the_server_sees() {
    let stream = Stream::opened(&server().url("/tls"));
    let told = stream.read(FOREVER).unwrap();
    assert_eq!(told.text().starts_with("version=TLSv1.3 "), is_secure(), "{}", told.text());
    assert_eq!(told.text() == "version=none", !is_secure());
}

#[test]
fn a_url_that_is_not_utf8_is_an_argument_error() {
    let url = [b'w', b's', b':', b'/', b'/', 0xFF];
    // Only the C function takes bytes that are no text.
    let mut out = std::ptr::null_mut();
    let status = unsafe_open(&url, &mut out);
    assert_eq!((status, out.is_null()), (Status::Argument as i32, true));
}

fn unsafe_open(url: &[u8], out: &mut *mut wsstream::ffi::stream::wsstream) -> i32 {
    // SAFETY: the bytes are readable and `out` is a variable of the caller.
    unsafe { wsstream::ffi::stream::wsstream_open(url.as_ptr().cast(), url.len(), std::ptr::null(), out) }
}

#[test]
fn http_stands_for_ws_and_the_url_is_serialised() {
    let url = server().url("/echo?a b").replace("wss://", "HTTPS://").replace("ws://", "HTTP://");
    let url = url.replace("/echo?a b", "/./x/../a b?c d");
    let stream = Stream::open(&url);
    assert_eq!(stream.url(), server().url("/a%20b?c%20d"));
    let stream = Stream::open("ws://LOCALHOST:80");
    assert_eq!(stream.url(), "ws://localhost/");
    assert_eq!((stream.protocol(), stream.extensions()), (String::new(), String::new()));
}

#[test]
fn names_are_resolved() {
    let url = server().url("/echo").replace("127.0.0.1", "localhost");
    let stream = Stream::opened(&url);
    stream.writes_text("hi");
    stream.reads_text("hi");
}

#[test]
fn userinfo_becomes_basic_authorization_unless_the_options_carry_one() {
    let (url, id) = server().recorded("/echo");
    let url = url.replace("://", "://user:p%40ss@");
    Stream::opened(&url).free();
    let record = server().record(&id).lawful();
    assert_eq!(record.header("authorization"), Some("Basic dXNlcjpwQHNz"));
    let (url, id) = server().recorded("/echo");
    let options = Options::new();
    assert_eq!(options.add_header("Authorization", "Bearer x"), Status::Ok);
    Stream::opened_with(&url.replace("://", "://user@"), &options).free();
    let record = server().record(&id).lawful();
    let lines = record.request.iter().filter(|line| line.to_lowercase().starts_with("authorization"));
    assert_eq!(lines.count(), 1);
    assert_eq!(record.header("authorization"), Some("Bearer x"));
}

#[test]
fn headers_are_sent_and_those_of_the_handshake_are_refused() {
    let (url, id) = server().recorded("/echo");
    let options = Options::new();
    assert_eq!(options.add_header("X-One", "1"), Status::Ok);
    assert_eq!(options.add_header("X-Two", "a b"), Status::Ok);
    for (name, value) in [
        ("Host", "x"),
        ("connection", "x"),
        ("UPGRADE", "x"),
        ("Sec-WebSocket-Key", "x"),
        ("sec-websocket-protocol", "x"),
        ("X Y", "x"),
        ("", "x"),
        ("X", "a\r\nb"),
        ("X", "a\nb"),
        ("X", "a\0b"),
    ] {
        assert_eq!(options.add_header(name, value), Status::Argument, "{name:?}: {value:?}");
    }
    Stream::opened_with(&url, &options).free();
    let record = server().record(&id).lawful();
    assert_eq!((record.header("x-one"), record.header("x-two")), (Some("1"), Some("a b")));
}

#[test]
fn protocols_that_are_no_tokens_or_repeated_are_syntax_errors() {
    let options = Options::new();
    assert_eq!(options.add_protocol("echo"), Status::Ok);
    for protocol in ["", " ", "a b", "a,b", "a/b", "ü", "a\x7f", "a\0", "{", "echo", "eCho", "ECHO"] {
        assert_eq!(options.add_protocol(protocol), Status::Syntax, "{protocol:?}");
    }
}

#[test]
fn protocols_are_sent_in_order_and_the_one_picked_is_told() {
    let (url, id) = server().recorded("/echo?protocol=two");
    let options = Options::new();
    for protocol in ["one", "two", "three"] {
        assert_eq!(options.add_protocol(protocol), Status::Ok);
    }
    let stream = Stream::opened_with(&url, &options);
    assert_eq!(stream.protocol(), "two");
    stream.free();
    let record = server().record(&id).lawful();
    assert_eq!(record.header("sec-websocket-protocol"), Some("one, two, three"));
}

#[test]
fn without_protocols_none_is_asked_for_and_none_is_told() {
    let (url, id) = server().recorded("/echo");
    let stream = Stream::opened(&url);
    assert_eq!((stream.protocol(), stream.extensions()), (String::new(), String::new()));
    stream.free();
    assert_eq!(server().record(&id).lawful().header("sec-websocket-protocol"), None);
}

#[test]
fn a_protocol_missing_doubled_empty_or_not_offered_fails_the_handshake() {
    for (offered, answer) in
        [(true, "missing"), (true, "other"), (true, "ONE"), (true, "double"), (true, ""), (false, "one")]
    {
        let options = Options::new();
        if offered {
            assert_eq!(options.add_protocol("one"), Status::Ok);
        }
        let stream = Stream::open_with(&server().url(&format!("/echo?protocol={answer}")), &options);
        let info = stream.never_opens();
        assert_eq!(info.phase, Phase::Handshake, "{offered} {answer}: {info:?}");
        assert_eq!(stream.protocol(), "");
    }
}

#[test]
fn a_response_that_is_no_acceptance_fails_the_handshake() {
    for query in [
        "status=200",
        "status=301&header=Location:/echo",
        "status=401",
        "status=404",
        "status=407",
        "status=500",
        "status=204",
        "status=304",
        "accept=wrong",
        "accept=missing",
        "accept=x",
        "upgrade=missing",
        "upgrade=h2c",
        "connection=missing",
        "connection=close",
        "extensions=permessage-deflate",
        "extensions=unknown",
        "version=1.0",
        "version=2.0",
        "version=9",
        "garbage=00",
        "garbage=48545450",
        "garbage=ff00ff0d0a0d0a",
        "cut=0",
        "cut=1",
        "cut=20",
        "cut=60",
        "header=Sec-WebSocket-Accept:x",
        "header=bad%20name:x",
        "header=nocolon",
    ] {
        let stream = Stream::open(&server().url(&format!("/handshake?{query}")));
        let info = stream.never_opens();
        assert_eq!(info.phase, Phase::Handshake, "{query}: {info:?}");
        let cause = [Cause::Http, Cause::Protocol, Cause::Truncated, Cause::System];
        assert!(cause.contains(&info.cause), "{query}: {info:?}");
    }
}

#[test]
fn a_repeated_accept_field_fails_the_handshake() {
    Stream::open(&server().url("/handshake?accept=double")).never_opens();
}

#[test]
fn connection_and_upgrade_are_lists_compared_without_case() {
    for query in [
        "connection=keep-alive,%20Upgrade",
        "connection=upgrade",
        "connection=UPGRADE,x",
        "upgrade=WebSocket",
        "upgrade=double",
        "connection=double",
        "split=1",
        "before=100",
        "before=103&before=102",
        "header=X:y",
        "status=101&body=",
    ] {
        let stream = Stream::opened(&server().url(&format!("/handshake?{query}")));
        stream.writes_text(query);
        stream.reads_text(query);
    }
}

#[test]
fn a_refused_upgrade_tells_its_status_and_body() {
    let stream = Stream::open(&server().url("/handshake?status=403&body=go%20away"));
    let info = stream.never_opens();
    assert_eq!((info.cause, info.http_status, info.phase), (Cause::Http, 403, Phase::Handshake), "{info:?}");
    // The body may still be on its way when the status line has decided.
    assert!("go away".starts_with(&info.response_body), "{info:?}");
}

#[test]
fn a_refused_upgrade_waits_for_no_body_and_keeps_4_kib_of_it() {
    for query in ["status=503&body=x&length=1000000&end=never", "status=503&endless=body"] {
        let info = Stream::open(&server().url(&format!("/handshake?{query}"))).never_opens();
        assert_eq!((info.cause, info.http_status), (Cause::Http, 503), "{query}: {info:?}");
        assert!(info.response_body.len() <= 4096);
    }
}

#[test]
fn a_response_without_end_fails_at_the_header_limit() {
    for what in ["headers", "line", "interim"] {
        let options = Options::with(option::MAX_HEADER_SIZE, 5000);
        let stream = Stream::open_with(&server().url(&format!("/handshake?endless={what}")), &options);
        let info = stream.never_opens();
        assert_eq!((info.cause, info.phase), (Cause::TooBig, Phase::Handshake), "{what}: {info:?}");
        let info = Stream::open(&server().url(&format!("/handshake?endless={what}"))).never_opens();
        assert_eq!((info.cause, info.phase), (Cause::TooBig, Phase::Handshake), "{what}: {info:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_fails_after_the_open_timeout() {
    let options = Options::with(option::OPEN_TIMEOUT_MS, 50);
    let info = Stream::open_with(&server().url("/handshake?stall=1"), &options).never_opens();
    assert_eq!((info.cause, info.phase), (Cause::Timeout, Phase::Handshake), "{info:?}");
}

#[test]
fn the_open_timeout_ends_with_open() {
    let options = Options::with(option::OPEN_TIMEOUT_MS, 1500);
    let stream = Stream::opened_with(&server().url("/echo"), &options);
    assert_eq!(stream.refused_read(1600), Status::Again);
    stream.writes_text("still here");
    stream.reads_text("still here");
}

#[test]
fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let info = Stream::open(&format!("ws://127.0.0.1:{port}/")).never_opens();
    assert_eq!((info.cause, info.phase), (Cause::System, Phase::Connect), "{info:?}");
    assert_eq!(info.os_error, libc::ECONNREFUSED);
}

#[test]
fn a_name_without_address_says_so() {
    let info = Stream::open("ws://no-such-name.invalid/").never_opens();
    assert_eq!((info.cause, info.phase), (Cause::Name, Phase::Resolve), "{info:?}");
}

#[test]
fn a_server_that_resets_in_the_handshake_fails_it() {
    let info = Stream::open(&server().url("/handshake?garbage=48&end=reset")).never_opens();
    assert_eq!(info.phase, Phase::Handshake, "{info:?}");
}

#[test]
fn frames_in_the_packet_of_the_response_are_the_first_messages() {
    let url = server().url("/handshake?with=81026869820101");
    let stream = Stream::opened(&url);
    stream.reads_text("hi");
    let message = stream.read(FOREVER).unwrap();
    assert_eq!((message.kind(), message.bytes()), (2, &[1u8][..]));
}

#[test]
fn frames_and_a_close_in_the_packet_of_the_response_are_seen_by_nobody_reading() {
    let stream = Stream::open(&server().url("/handshake?with=81026869880203e8"));
    let info = stream.closed_cleanly();
    assert_eq!(info.code, 1000);
    assert_eq!(stream.wait_opened(0), Status::Ok);
    stream.reads_text("hi");
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

#[test]
fn a_response_one_byte_at_a_time_opens_with_and_without_a_caller() {
    let url = server().url("/handshake?split=1&with=81026869");
    Stream::opened(&url).reads_text("hi");
    let stream = Stream::open(&url);
    stream.reads_text("hi");
    let stream = Stream::open(&url);
    assert_eq!(stream.poll(OPENED, FOREVER), Ok(OPENED));
    stream.reads_text("hi");
}

#[test]
fn wait_opened_answers_the_same_for_ever_and_to_everybody() {
    let token = server().token();
    let stream = Stream::open(&server().url(&format!("/handshake?token={token}")));
    assert_eq!(stream.wait_opened(0), Status::Again);
    assert_eq!(stream.wait_opened(10), Status::Again);
    assert_eq!(stream.poll(OPENED | CLOSED | WRITABLE, 0), Err(Status::Again));
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let share = stream.reference();
            Call::blocked(move || share.wait_opened(FOREVER))
        })
        .collect();
    server().release(&token);
    for call in waiting {
        assert_eq!(call.join(), Status::Ok);
    }
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    assert_eq!((stream.wait_opened(0), stream.wait_opened(FOREVER)), (Status::Ok, Status::Ok));
}

#[test]
fn reads_and_writes_wait_for_open_inside_their_time() {
    let token = server().token();
    let stream = Stream::open(&server().url(&format!("/handshake?token={token}")));
    assert_eq!(stream.refused_read(0), Status::Again);
    assert_eq!(stream.refused_read(10), Status::Again);
    assert_eq!(stream.write(TEXT, b"x", 0), Status::Again);
    assert_eq!(stream.write(TEXT, b"x", 10), Status::Again);
    assert_eq!(stream.flush(0), Status::Again);
    assert_eq!(stream.flush(10), Status::Again);
    let (reader, writer) = (stream.reference(), stream.reference());
    let read = Call::blocked(move || reader.read(FOREVER).map(|message| message.bytes().to_vec()));
    let write = Call::blocked(move || writer.write(TEXT, b"first", FOREVER));
    assert_eq!(stream.write(TEXT, b"x", 0), Status::Busy);
    assert_eq!(stream.refused_read(0), Status::Busy);
    server().release(&token);
    assert_eq!(write.join(), Status::Ok);
    assert_eq!(read.join().unwrap(), b"first");
}

#[test]
fn close_while_connecting_gives_up() {
    let (url, id) = server().recorded("/handshake?stall=1");
    let stream = Stream::open(&url);
    let share = stream.reference();
    let waiting = Call::blocked(move || share.wait_opened(FOREVER));
    server().meets(&id);
    assert_eq!(stream.close(4000, "ignored"), Status::Ok);
    assert_eq!(waiting.join(), Status::Connection);
    let info = stream.never_opens();
    assert_eq!(
        (info.cause, info.initiator, info.sent_code),
        (Cause::Aborted, Initiator::None, 0),
        "{info:?}"
    );
    assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    let record = server().record(&id);
    assert_eq!((record.count("frames"), record.count("unparsed_bytes")), (0, 0), "{}", record.text);
}

#[test]
fn close_right_after_open_gives_up_without_a_frame() {
    for _ in 0..50 {
        let stream = Stream::open(&server().url("/echo"));
        assert_eq!(stream.close(1000, ""), Status::Ok);
        let (status, info) = stream.wait_closed(FOREVER);
        let info = info.unwrap();
        // It may have been open already.
        assert_eq!(status == Status::Ok, stream.wait_opened(0) == Status::Ok, "{info:?}");
    }
}

#[test]
fn one_options_object_opens_many_streams_at_once() {
    let options = std::sync::Arc::new(Shared(Options::with(option::WRITE_BUFFER_SIZE, 1)));
    let calls: Vec<_> = (0..8)
        .map(|index| {
            let options = std::sync::Arc::clone(&options);
            Call::begun(move || {
                let stream = Stream::opened_with(&server().url("/echo"), &options.0);
                let text = format!("stream {index}");
                stream.writes_text(&text);
                stream.reads_text(&text);
            })
        })
        .collect();
    calls.into_iter().for_each(Call::join);
}

struct Shared(Options);
// SAFETY: a finished options object can open many streams, also at once.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}
