//! What a server may answer to the opening handshake: a table of what opens, a table of what does not and what is said of it,
//! and what a program learns of either.
//!
//! The answers are the test server's, as `/handshake` is told to give them; each is sent whole and byte by byte.

mod support;

use std::ffi::CStr;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use support::peer::{Peer, frame, reset};
use support::{
    CLOSED, Call, Cause, FOREVER, Info, OPENED, Options, Phase, READABLE, Status, Stream, TEXT, WRITABLE,
    is_secure, option, pattern, server,
};
use wsstream::ffi::about::{wsstream_response_header, wsstream_statistics, wsstream_statistics_get};
use wsstream::ffi::stream::wsstream_wait_closed;

fn offering(protocols: &[&str]) -> Options {
    let options = Options::new();
    for protocol in protocols {
        assert_eq!(options.add_protocol(protocol), Status::Ok, "{protocol}");
    }
    options
}

/// The index-th value of a field of the response.
fn response_header(stream: &Stream, name: &str, index: usize) -> Option<String> {
    // SAFETY: the stream lives, and the name is readable for as long as is said.
    let value = unsafe { wsstream_response_header(stream.handle(), name.as_ptr().cast(), name.len(), index) };
    // SAFETY: what is not NULL ends in NUL and is valid while the stream is.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_str().expect("UTF-8").to_owned())
}

/// Answers that open the connection: what is offered, how the server answers, what was agreed on.
const GOOD: &[(&[&str], &str, &str)] = &[
    (&[], "", ""),
    // RFC 6455 §4.1: Upgrade and Connection have no case, and Connection is a list.
    (&[], "upgrade=WebSocket", ""),
    (&[], "upgrade=WEBSOCKET", ""),
    (&[], "upgrade=h2c,%20websocket", ""),
    (&[], "upgrade=double", ""),
    (&[], "upgrade=h2c&header=uPGRADE:websocket", ""),
    (&[], "connection=upgrade", ""),
    (&[], "connection=UPGRADE", ""),
    (&[], "connection=keep-alive,%20Upgrade", ""),
    (&[], "connection=Upgrade,keep-alive", ""),
    (&[], "connection=,%20,%09upgrade%09,", ""),
    (&[], "connection=double", ""),
    (&[], "connection=keep-alive&header=Connection:upgrade", ""),
    // Fields that mean nothing here.
    (&[], "header=Set-Cookie:a=b&header=Set-Cookie:c=d&header=X-Empty:&header=X:%C3%BC", ""),
    (&[], "header=Content-Length:0", ""),
    (&[], "header=Sec-WebSocket-Version:13", ""),
    // An empty list of extensions agrees on none.
    (&[], "extensions=", ""),
    (&[], "extensions=,%20,", ""),
    // Interim responses, any number, with fields or without.
    (&[], "before=100", ""),
    (&[], "before=102&before=103&before=103", ""),
    (
        &[],
        "before=103%20Early%0D%0ALink:%20%3C/a%3E%0D%0AUpgrade:%20h2c%0D%0ASec-WebSocket-Accept:%20x%0D%0AX:",
        "",
    ),
    (&[], "before=199", ""),
    // One of the sub-protocols asked for, exactly.
    (&["one"], "", "one"),
    (&["superChat"], "", "superChat"),
    (&["one", "two", "three"], "protocol=one", "one"),
    (&["one", "two", "three"], "protocol=three", "three"),
    (&["one", "two", "three"], "protocol=%20%09two%09%20", "two"),
    (&["!#$%&'*+-.^_`|~09azAZ"], "", "!#$%&'*+-.^_`|~09azAZ"),
];

// Rows: O01, O02, P07, P08, D11, D15
#[test]
fn what_accepts_the_upgrade_opens_the_stream() {
    for (offered, query, protocol) in GOOD {
        for split in ["", "&split=1"] {
            let told = format!("{offered:?} {query}{split}");
            let url = server().url(&format!("/handshake?{query}{split}"));
            let stream = Stream::open_with(&url, &offering(offered));
            assert_eq!(stream.wait_opened(FOREVER), Status::Ok, "{told}: {:?}", stream.wait_closed(0));
            assert_eq!((stream.protocol().as_str(), stream.extensions().as_str()), (*protocol, ""), "{told}");
            assert_eq!(
                stream.poll(OPENED | WRITABLE | READABLE | CLOSED, 0),
                Ok(OPENED | WRITABLE),
                "{told}"
            );
            assert_eq!(stream.write(TEXT, told.as_bytes(), 0), Status::Ok, "{told}");
            stream.reads_text(&told);
        }
    }
}

/// Whole and byte by byte. Over TLS, where each byte is a record, whole: what reads the answer is the same.
fn paces() -> &'static [&'static str] {
    if is_secure() { &[""] } else { &["", "&split=1"] }
}

/// A 101 that is wrong, in what; each part of the sentence that must name it.
const BAD_SWITCHES: &[(&[&str], &str, &[&str])] = &[
    // Upgrade has to list websocket.
    (&[], "upgrade=missing", &["no Upgrade header"]),
    (&[], "upgrade=", &["Upgrade header is \"\""]),
    (&[], "upgrade=h2c", &["Upgrade header is \"h2c\"", "without \"websocket\""]),
    (&[], "upgrade=websockets", &["Upgrade header is \"websockets\""]),
    (&[], "upgrade=websocket/13", &["Upgrade header is \"websocket/13\""]),
    (&[], "upgrade=web%20socket", &["Upgrade header is \"web socket\""]),
    (&[], "upgrade=%22websocket%22", &["Upgrade header"]),
    // Connection has to list Upgrade.
    (&[], "connection=missing", &["no Connection header"]),
    (&[], "connection=", &["Connection header is \"\""]),
    (&[], "connection=close", &["Connection header is \"close\"", "without \"Upgrade\""]),
    (&[], "connection=keep-alive", &["Connection header is \"keep-alive\""]),
    (&[], "connection=Upgraded", &["Connection header is \"Upgraded\""]),
    (&[], "connection=keep-alive%20Upgrade", &["Connection header is \"keep-alive Upgrade\""]),
    // The one accept that answers our key, once.
    (&[], "accept=missing", &["no Sec-WebSocket-Accept"]),
    (&[], "accept=", &["Sec-WebSocket-Accept is \"\"", "our key"]),
    (&[], "accept=x", &["Sec-WebSocket-Accept is \"x\"", "our key"]),
    (&[], "accept=wrong", &["Sec-WebSocket-Accept is \"", "our key"]),
    (&[], "accept=double", &["repeated its Sec-WebSocket-Accept"]),
    (&[], "header=sec-websocket-accept:x", &["repeated its Sec-WebSocket-Accept"]),
    (&[], "accept=x&header=Sec-WebSocket-Accept:y", &["repeated its Sec-WebSocket-Accept"]),
    // No extension that was not offered.
    (&[], "extensions=permessage-deflate;%20unknown", &["parameter unknown of permessage-deflate"]),
    (&[], "extensions=permessage-deflate,%20x-unknown", &["extension \"x-unknown\"", "permessage-deflate"]),
    (&[], "extensions=x-unknown", &["extension \"x-unknown\"", "not offered"]),
    (&[], "header=sEC-wEBSOCKET-eXTENSIONS:foo", &["extension \"foo\"", "not offered"]),
    (&[], "extensions=%3B", &["Sec-WebSocket-Extensions header is malformed"]),
    (&[], "extensions=foo&extensions=bar", &["repeated its Sec-WebSocket-Extensions"]),
    (&[], "extensions=&extensions=", &["repeated its Sec-WebSocket-Extensions"]),
    // No sub-protocol that was not offered, not in another case, not two.
    (&[], "protocol=one", &["sub-protocol \"one\"", "not offered"]),
    (&["one"], "protocol=other", &["sub-protocol \"other\"", "not offered"]),
    (&["one"], "protocol=ONE", &["sub-protocol \"ONE\"", "not offered"]),
    (&["one", "two"], "protocol=one,%20two", &["sub-protocol \"one, two\"", "not offered"]),
    (&["one", "two"], "protocol=one%20two", &["sub-protocol \"one two\"", "not offered"]),
    (&["one"], "protocol=on", &["sub-protocol \"on\"", "not offered"]),
    (&["one"], "protocol=%22one%22", &["not offered"]),
    // One of those offered.
    (&["one"], "protocol=missing", &["chose none of the sub-protocols", "no Sec-WebSocket-Protocol"]),
    (&["one", "two"], "protocol=missing", &["chose none of the sub-protocols"]),
    (&["one"], "protocol=", &["chose none of the sub-protocols", "empty"]),
    (&["one"], "protocol=%20", &["chose none of the sub-protocols", "empty"]),
    // Once.
    (&["one"], "protocol=double", &["repeated its Sec-WebSocket-Protocol"]),
    (
        &["one", "two"],
        "protocol=one&header=Sec-WebSocket-Protocol:two",
        &["repeated its Sec-WebSocket-Protocol"],
    ),
    (&["one"], "protocol=one&header=sec-websocket-protocol:", &["repeated its Sec-WebSocket-Protocol"]),
    (&[], "protocol=&header=Sec-WebSocket-Protocol:", &["repeated its Sec-WebSocket-Protocol"]),
    // RFC 9110 §7.8: there is no Upgrade in HTTP/1.0.
    (&[], "version=1.0", &["HTTP/1.0"]),
    // What an interim response says counts for nothing.
    (
        &["one"],
        "before=103%20Early%0D%0ASec-WebSocket-Protocol:%20one&protocol=missing",
        &["chose none of the sub-protocols"],
    ),
];

/// What every failed handshake comes to, on every thread and for ever.
#[track_caller]
fn expect_failed(stream: &Stream, told: &str) -> Info {
    assert_eq!(stream.wait_opened(FOREVER), Status::Connection, "{told}");
    let info = stream.never_opens();
    assert_eq!((info.phase, info.os_error), (Phase::Handshake, 0), "{told}: {info:?}");
    assert_eq!((stream.protocol().as_str(), stream.extensions().as_str()), ("", ""), "{told}");
    assert_eq!(stream.write(TEXT, b"x", 0), Status::Connection, "{told}");
    assert_eq!(stream.flush(0), Status::Connection, "{told}");
    let all = OPENED | READABLE | WRITABLE | CLOSED;
    assert_eq!(stream.poll(all, 0), Ok(all), "{told}");
    assert_eq!(stream.close(1000, ""), Status::Ok, "{told}");
    assert_eq!(stream.never_opens(), info, "{told}");
    info
}

#[track_caller]
fn expect_words(info: &Info, words: &[&str], told: &str) {
    for word in words {
        assert!(info.detail.contains(word), "{told}: no {word:?} in {:?}", info.detail);
    }
}

// Rows: O03, O05, P05, P06, D09, D11
#[test]
fn a_switch_that_is_wrong_fails_the_handshake_and_the_sentence_says_in_what() {
    for (offered, query, words) in BAD_SWITCHES {
        for split in paces() {
            let told = format!("{offered:?} {query}{split}");
            // Frames behind it are nobody's.
            let url = server().url(&format!("/handshake?{query}{split}&with=81026869"));
            let stream = Stream::open_with(&url, &offering(offered));
            let info = expect_failed(&stream, &told);
            assert_eq!((info.cause, info.http_status), (Cause::Http, 101), "{told}: {info:?}");
            assert_eq!(info.response_body, "", "{told}");
            expect_words(&info, words, &told);
        }
    }
}

// Rows: D11
#[test]
fn no_field_of_the_handshake_may_be_repeated_not_even_an_unknown_one() {
    let query = "header=Sec-WebSocket-Other:a&header=sec-websocket-oTHER:a";
    let stream = Stream::open(&server().url(&format!("/handshake?{query}")));
    let info = expect_failed(&stream, query);
    assert_eq!((info.cause, info.http_status), (Cause::Http, 101), "{info:?}");
    expect_words(&info, &["repeated its Sec-WebSocket-Other"], query);
}

/// Every status but 101, with the phrase that the test server gives it.
const REFUSING: &[u16] = &[
    200, 201, 202, 204, 205, 206, 226, 300, 301, 302, 303, 304, 305, 307, 308, 399, 400, 401, 402, 403, 404,
    405, 406, 407, 408, 410, 413, 421, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 511, 599,
    600, 999,
];

// Rows: O03, O05, D09, D11, D15
#[test]
fn a_status_other_than_101_fails_the_handshake_and_is_told() {
    for status in REFUSING {
        // All else is as in a good answer, and what is said before it counts for nothing.
        let good = "header=Upgrade:websocket&header=Connection:Upgrade&before=100";
        let url = server().url(&format!("/handshake?status={status}&{good}"));
        let told = status.to_string();
        let stream = Stream::open(&url);
        let info = expect_failed(&stream, &told);
        assert_eq!((info.cause, info.http_status), (Cause::Http, i32::from(*status)), "{told}: {info:?}");
        expect_words(&info, &["refused the upgrade", &format!("HTTP/1.1 {status} ")], &told);
        assert_eq!(response_header(&stream, "upgrade", 0).as_deref(), Some("websocket"), "{told}");
    }
}

/// What is no HTTP, or not all of it: which cause that is, which status was read, and what is said.
const BROKEN: &[(&str, Cause, i32, &[&str])] = &[
    ("version=2.0", Cause::Protocol, 0, &["not HTTP/1.1", "HTTP/2"]),
    ("version=1.2", Cause::Protocol, 0, &["not HTTP/1.1", "HTTP/1.2"]),
    ("version=9", Cause::Protocol, 0, &["not HTTP/1.1"]),
    ("status=99", Cause::Protocol, 0, &["status line", "99"]),
    ("status=1010", Cause::Protocol, 0, &["status line", "1010"]),
    ("garbage=00", Cause::Protocol, 0, &["not HTTP/1.1", "\\x00"]),
    ("garbage=0d0a0d0a", Cause::Protocol, 0, &["not HTTP/1.1"]),
    ("garbage=ff00ff0d0a0d0a", Cause::Protocol, 0, &["not HTTP/1.1", "\\xff"]),
    // "SSH-2.0-OpenSSH_9.6", and frames without any answer.
    (
        "garbage=5353482d322e302d4f70656e5353485f392e360d0a",
        Cause::Protocol,
        0,
        &["not HTTP/1.1", "begins with \"S"],
    ),
    ("garbage=81026869", Cause::Protocol, 0, &["not HTTP/1.1"]),
    // "http/1.1 101 X"
    ("garbage=687474702f312e312031303120580d0a0d0a", Cause::Protocol, 0, &["not HTTP/1.1"]),
    // "HTTP/1.1 abc X"
    ("garbage=485454502f312e312061626320580d0a0d0a", Cause::Protocol, 0, &["status line"]),
    ("header=bad%20name:x", Cause::Protocol, 101, &["header"]),
    ("header=nocolon", Cause::Protocol, 101, &["header"]),
    ("header=:x", Cause::Protocol, 101, &["header"]),
    ("header=X%20:x", Cause::Protocol, 101, &["header"]),
    ("header=%20folded:x", Cause::Http, 101, &["Sec-WebSocket-Accept", "folded:x"]),
    ("header=X:a%00b", Cause::Protocol, 101, &["header"]),
    ("header=X:a%0Db", Cause::Protocol, 101, &["header"]),
    ("header=X:a%1Bb", Cause::Protocol, 101, &["header"]),
    ("before=100%20X%0D%0Anocolon", Cause::Protocol, 100, &["header"]),
    ("cut=0", Cause::Truncated, 0, &["without an answer"]),
    ("garbage=", Cause::Truncated, 0, &["without an answer"]),
    ("cut=1", Cause::Truncated, 0, &["status line"]),
    ("cut=20", Cause::Truncated, 0, &["status line"]),
    ("before=100&cut=24", Cause::Truncated, 0, &["without an answer"]),
    ("cut=34", Cause::Truncated, 0, &["within the header"]),
    ("cut=60", Cause::Truncated, 0, &["within the header"]),
    // A refusal is known by its status line.
    ("status=403&header=X-A:b&cut=26", Cause::Http, 403, &["403 Forbidden"]),
    ("status=403&header=X-A:b&cut=50", Cause::Http, 403, &["403 Forbidden"]),
];

// Rows: O03, O05, D09, D11, D15
#[test]
fn an_answer_that_is_no_http_or_not_whole_fails_the_handshake_and_is_told() {
    for (query, cause, status, words) in BROKEN {
        for split in paces() {
            let told = format!("{query}{split}");
            let info = expect_failed(&Stream::open(&server().url(&format!("/handshake?{told}"))), &told);
            assert_eq!((info.cause, info.http_status), (*cause, *status), "{told}: {info:?}");
            expect_words(&info, words, &told);
        }
    }
}

// Rows: D15
#[test]
fn a_refusal_is_known_by_its_status_line_although_its_header_never_ends() {
    let options = Options::with(option::OPEN_TIMEOUT_MS, 1500);
    let queries = ["status=403&cut=24&end=never", "status=403&header=X-A:b&cut=50&end=never"];
    let open = |query| Stream::open_with(&server().url(&format!("/handshake?{query}")), &options);
    for stream in queries.map(open) {
        let info = stream.never_opens();
        assert_eq!((info.http_status, info.phase), (403, Phase::Handshake), "{info:?}");
        expect_words(&info, &["refused the upgrade", "403"], stream.url().as_str());
    }
}

// Rows: D15
#[test]
fn a_reset_behind_the_status_line_of_a_refusal_leaves_it_a_refusal() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.accept();
    connection.send(b"HTTP/1.1 403 Forbidden\r\nX-A: b\r\n");
    reset(connection.socket.tcp);
    let info = stream.never_opens();
    assert_eq!((info.cause, info.http_status, info.phase), (Cause::Http, 403, Phase::Handshake), "{info:?}");
}

#[test]
fn what_is_said_to_a_request_that_was_not_taken_whole_is_no_answer() {
    let peer = Peer::new(Some(4096));
    let options = Options::new();
    assert_eq!(options.add_header("X-Large", &"a".repeat(16 << 20)), Status::Ok);
    let stream = Stream::open_with(&peer.url(), &options);
    let (mut tcp, _) = peer.accept_raw();
    tcp.read_exact(&mut [0]).expect("the client has begun to send");
    tcp.write_all(b"HTTP/1.1 403 Forbidden\r\nX-A: b\r\n").expect("it fits");
    reset(tcp);
    let info = stream.closed_uncleanly();
    assert_eq!((info.cause, info.http_status, info.phase), (Cause::System, 0, Phase::Handshake), "{info:?}");
}

// Rows: D15
#[test]
fn interim_responses_count_for_the_header_limit_and_frames_behind_the_answer_do_not() {
    // A good answer has 129 bytes, an interim one 24.
    let options = Options::with(option::MAX_HEADER_SIZE, 400);
    for (count, opens) in [(0, true), (5, true), (11, true), (12, false), (40, false)] {
        for split in paces() {
            let interim = "before=100&".repeat(count);
            let with = support::frame(0x82, &pattern(2000));
            let url = server().url(&format!("/handshake?{interim}with={with}{split}"));
            let stream = Stream::open_with(&url, &options);
            if opens {
                assert_eq!(stream.wait_opened(FOREVER), Status::Ok, "{count}: {:?}", stream.wait_closed(0));
                assert_eq!(stream.read(FOREVER).unwrap().bytes(), pattern(2000), "{count}");
            } else {
                let info = stream.never_opens();
                assert_eq!((info.cause, info.phase), (Cause::TooBig, Phase::Handshake), "{count}: {info:?}");
            }
        }
    }
}

// Rows: O04, O03
#[test]
fn a_redirect_is_never_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let other = elsewhere.local_addr().unwrap();
    for status in [300, 301, 302, 303, 305, 307, 308] {
        // Here it would open; there somebody would come.
        let here = server().url("/echo");
        let there = format!("{}://{other}/", here.split_once(':').unwrap().0);
        for location in ["/echo", &here, &here.replace("ws", "http"), &there, &there.replace("ws", "http")] {
            let url = server().url(&format!("/handshake?status={status}&header=Location:%20{location}"));
            let stream = Stream::open(&url);
            let info = expect_failed(&stream, location);
            assert_eq!((info.cause, info.http_status), (Cause::Http, status), "{info:?}");
            assert!(response_header(&stream, "location", 0).is_some(), "{location}");
            assert_eq!(stream.url(), url);
        }
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

// Rows: O05, D09, D15
#[test]
fn a_refusal_tells_its_fields_and_what_had_come_of_its_body() {
    let fields = "header=Retry-After:120&header=X-Why:%20one%20&header=x-why:two";
    let long = "long".repeat(1500);
    for (status, body) in [(503, "later"), (401, ""), (200, "hi"), (500, &long)] {
        let query = format!("status={status}&body={body}");
        // Status line, fields and body come in one piece.
        let token = server().token();
        let url = server().url(&format!("/handshake?{query}&{fields}&token={token}"));
        let stream = Stream::open(&url);
        assert_eq!(response_header(&stream, "Retry-After", 0), None, "{query}");
        server().release(&token);
        let info = expect_failed(&stream, &query);
        assert_eq!((info.cause, info.http_status), (Cause::Http, status), "{info:?}");
        // Of a long one, as much as was received with the header.
        let kept = if body.len() < 100 { body.len() } else { info.response_body.len() };
        assert_eq!(info.response_body, body[..kept], "{query}");
        assert!(kept <= 4096 && (kept > 0 || body.is_empty()), "{query}: {kept}");
        assert_eq!(response_header(&stream, "rETRY-aFTER", 0).as_deref(), Some("120"), "{query}");
        assert_eq!(response_header(&stream, "X-Why", 0).as_deref(), Some("one"), "{query}");
        assert_eq!(response_header(&stream, "X-Why", 1).as_deref(), Some("two"), "{query}");
        assert_eq!(response_header(&stream, "X-Why", 2), None, "{query}");
        assert_eq!(response_header(&stream, "Content-Length", 0), Some(body.len().to_string()), "{query}");
    }
}

/// Where the info of the end is.
fn info_address(stream: &Stream) -> (i32, usize) {
    let mut out = std::ptr::null();
    // SAFETY: the stream lives, and `out` is a variable of the caller.
    let status = unsafe { wsstream_wait_closed(stream.handle(), 0, &raw mut out) };
    (status, out.addr())
}

// Rows: O07
#[test]
fn opened_and_closed_answer_the_same_for_ever_and_to_everybody_where_it_never_opens() {
    let token = server().token();
    let stream = Stream::open(&server().url(&format!("/handshake?accept=wrong&token={token}")));
    assert_eq!((stream.wait_opened(0), stream.wait_closed(0).0), (Status::Again, Status::Again));
    let calls = |count| {
        let blocked = |which: usize| {
            let share = stream.reference();
            Call::begun(move || match which % 2 {
                0 => (share.wait_opened(FOREVER), None),
                _ => share.wait_closed(FOREVER),
            })
        };
        (0..count).map(blocked).collect::<Vec<_>>()
    };
    let before = calls(8);
    before.iter().for_each(Call::wait_blocked);
    server().release(&token);
    let info = stream.never_opens();
    for call in before.into_iter().chain(calls(8)) {
        let (status, told) = call.join();
        assert_eq!(status, Status::Connection);
        assert!(told.is_none_or(|told| told == info));
    }
    let address = info_address(&stream);
    assert_eq!(stream.close(4000, "too late"), Status::Ok);
    for _ in 0..100 {
        assert_eq!((stream.wait_opened(0), info_address(&stream)), (Status::Connection, address));
    }
    assert_eq!(stream.never_opens(), info);
}

// Rows: O07
#[test]
fn opened_and_closed_answer_the_same_for_ever_after_an_end_of_any_kind() {
    for (path, status) in [("/close?code=4001", Status::Ok), ("/abrupt", Status::Connection)] {
        let stream = Stream::opened(&server().url(path));
        let info = stream.wait_closed(FOREVER);
        assert_eq!(info.0, status, "{path}");
        let address = info_address(&stream);
        for _ in 0..100 {
            assert_eq!((stream.wait_opened(0), info_address(&stream)), (Status::Ok, address), "{path}");
        }
        assert_eq!(stream.close(4000, "too late"), Status::Ok);
        let share = stream.reference();
        assert_eq!(
            Call::begun(move || (share.wait_opened(FOREVER), share.wait_closed(FOREVER))).join(),
            (Status::Ok, info)
        );
    }
}

// Rows: O08
#[test]
fn more_than_the_read_buffer_behind_the_answer_is_read_in_order() {
    let peer = Peer::of_scheme(None);
    let options = Options::with(option::READ_BUFFER_SIZE, 4096).and(option::MAX_HEADER_SIZE, 512);
    let stream = Stream::open_with(&peer.url(), &options);
    let mut connection = peer.accept();
    let sizes = [0, 1, 125, 126, 4095, 4096, 65535, 65536, 200_000, 3];
    let frames: Vec<u8> = sizes.iter().flat_map(|size| frame(0x82, &pattern(*size))).collect();
    let writer = Call::begun(move || {
        connection.switch(&frames);
        connection
    });
    for size in sizes {
        let message = stream.read(FOREVER).unwrap();
        assert_eq!((message.kind(), message.bytes()), (2, pattern(size).as_slice()), "{size}");
    }
    drop(writer.join());
}

// Rows: U11
#[test]
fn connecting_begins_at_once_and_nobody_has_to_wait_for_it() {
    let peer = Peer::of_scheme(None);
    let stream = Stream::open(&peer.url());
    let mut connection = peer.open();
    connection.send(&frame(0x89, b"there?"));
    assert_eq!(connection.receive().map(|pong| (pong.first, pong.payload)), Some((0x8A, b"there?".to_vec())));
    assert_eq!(stream.wait_opened(0), Status::Ok);
}

// Rows: U12
#[test]
fn what_comes_first_waits_for_the_first_read_and_the_peer_is_stopped_until_then() {
    const MARK: usize = 64 << 10;
    let peer = Peer::of_scheme(None);
    let stream = Stream::open_with(&peer.url(), &Options::with(option::READ_BUFFER_SIZE, MARK as i64));
    let mut connection = peer.accept();
    let unit = frame(0x82, &[7; 1020]);
    connection.switch(&frame(0x81, b"first"));
    connection.socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let (batch, mut taken) = (unit.repeat(64), 0);
    while let Ok(size) = connection.socket.write(&batch) {
        taken += size;
        // Both buffers of the system at their largest.
        assert!(taken < (12 << 20), "{taken} bytes were taken");
    }
    // SAFETY: zeroes are a value of it, and it is written for as long as it is.
    let statistics = unsafe {
        let mut statistics: wsstream_statistics = std::mem::zeroed();
        let size = size_of::<wsstream_statistics>();
        assert_eq!(wsstream_statistics_get(stream.handle(), &raw mut statistics, size), 0);
        statistics
    };
    let unread = usize::try_from(statistics.unread).unwrap();
    // What came with the bytes that reached the mark is decoded, too.
    assert!(unread <= 3 * MARK, "{unread} of {taken} bytes");
    stream.reads_text("first");
    assert_eq!(stream.read(FOREVER).unwrap().bytes(), [7; 1020]);
}
