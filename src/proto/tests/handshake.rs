//! The opening handshake: the request as another implementation reads it, and every refusal of a response.

use tungstenite::handshake::derive_accept_key;

use super::super::failure::Cause;
use super::super::handshake::*;

// RFC 6455 §1.3: the key and the answer of the specification's own example.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const LIMIT: usize = 4096;

fn response(lines: &[&str]) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    lines.iter().for_each(|line| bytes.extend_from_slice(format!("{line}\r\n").as_bytes()));
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn reader(protocols: &[&str], limit: usize) -> ResponseReader {
    ResponseReader::new(KEY, protocols.iter().map(|&protocol| protocol.to_owned()).collect(), None, limit)
}

/// Reads whole and one byte at a time; both must say the same, and use the same.
#[track_caller]
fn read_limited(input: &[u8], protocols: &[&str], limit: usize) -> (usize, Progress) {
    let whole = reader(protocols, limit).read(input);
    let mut bytewise = reader(protocols, limit);
    let mut used = 0;
    let mut progress = Progress::Starved;
    while used < input.len() && progress == Progress::Starved {
        let (one, next) = bytewise.read(&input[used..used + 1]);
        assert!(one <= 1);
        used += one;
        progress = next;
    }
    match (&whole.1, &progress) {
        (Progress::Refused(whole), Progress::Refused(bytewise)) => {
            let differ = Refusal { body: vec![], detail: String::new(), ..whole.clone() };
            let bytewise = Refusal { body: vec![], detail: String::new(), ..bytewise.clone() };
            assert_eq!(differ, bytewise);
        }
        _ => assert_eq!((used, &progress), (whole.0, &whole.1)),
    }
    whole
}

#[track_caller]
fn refusal(input: &[u8], protocols: &[&str]) -> Refusal {
    let (used, progress) = read_limited(input, protocols, LIMIT);
    assert_eq!(used, input.len());
    let Progress::Refused(refusal) = progress else { panic!("{progress:?}") };
    assert!(refusal.detail.ends_with('.') && refusal.detail.len() < 300, "{}", refusal.detail);
    assert!(refusal.detail.bytes().all(|byte| (b' '..0x7F).contains(&byte)), "{}", refusal.detail);
    refusal
}

/// A 101 that is wrong, and the words that must name it.
#[track_caller]
fn assert_wrong(lines: &[&str], protocols: &[&str], words: &[&str]) {
    let refusal = refusal(&response(lines), protocols);
    assert_eq!((refusal.status, refusal.cause), (101, Cause::Http), "{}", refusal.detail);
    assert_eq!(refusal.headers.len(), lines.len());
    for word in words {
        assert!(refusal.detail.contains(word), "{:?} does not say {word:?}", refusal.detail);
    }
}

#[track_caller]
fn accepted(input: &[u8], protocols: &[&str]) -> Response {
    match read_limited(input, protocols, LIMIT) {
        (used, Progress::Accepted(response)) => {
            assert_eq!(used, input.len());
            response
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_says_what_was_asked_for_in_order() {
    let protocols = ["chat".to_owned(), "superchat".to_owned()];
    let headers = [("X-One".to_owned(), b"1".to_vec()), ("X-Two".to_owned(), b"caf\xE9".to_vec())];
    let request = Request {
        host: "example.com:81",
        target: "/path?query",
        key: KEY,
        protocols: &protocols,
        headers: &headers,
        authorization: Some("Basic dTpw"),
        extensions: Some("permessage-deflate"),
    };
    let expected = b"GET /path?query HTTP/1.1\r\nHost: example.com:81\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
        Authorization: Basic dTpw\r\nX-One: 1\r\nX-Two: caf\xE9\r\n\r\n";
    assert_eq!(encode_request(&request).escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_bare_request_has_only_what_is_needed_and_the_programs_authorization_wins() {
    let headers = [("authorization".to_owned(), b"Bearer t".to_vec())];
    let request = Request {
        host: "h",
        target: "/",
        key: KEY,
        protocols: &[],
        headers: &headers,
        authorization: Some("Basic dTpw"),
        extensions: None,
    };
    let bytes = encode_request(&request);
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut fields);
    assert_eq!(parsed.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
    let fields = parsed.headers.iter().map(|field| (field.name, field.value)).collect::<Vec<_>>();
    let expected: [(&str, &[u8]); 6] = [
        ("Host", b"h"),
        ("Connection", b"Upgrade"),
        ("Upgrade", b"websocket"),
        ("Sec-WebSocket-Version", b"13"),
        ("Sec-WebSocket-Key", KEY.as_bytes()),
        ("authorization", b"Bearer t"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_protocol_is_a_token_and_unique_whatever_its_case() {
    let earlier = ["echo".to_owned()];
    for good in ["chat", "v1.json", "a+b", "!#$%&'*+-.^_`|~", "echo2"] {
        assert_eq!(check_protocol(good, &earlier), Ok(()), "{good}");
    }
    for bad in ["", " ", "a b", "a,b", "a\t", "a\r\n", "caf\u{E9}", "\u{7F}", "echo", "eCho", "ECHO"] {
        assert_eq!(check_protocol(bad, &earlier), Err(()), "{bad}");
    }
    for separator in "\"(),/:;<=>?@[\\]{}".chars() {
        assert_eq!(check_protocol(&format!("a{separator}"), &[]), Err(()), "{separator}");
    }
}

#[test]
fn a_header_cannot_end_its_line_or_change_the_handshake() {
    for (name, value) in [("X-A", &b"v"[..]), ("x_y", b""), ("Cookie", b"a=b; c=d"), ("X", b"\t\xFF\x80 ~")] {
        assert_eq!(check_header(name.as_bytes(), value), Ok(()), "{name}");
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{E9}", "a\0"] {
        assert_eq!(check_header(name.as_bytes(), b"v"), Err(()), "{name}");
    }
    for value in [&b"a\rb"[..], b"a\nb", b"a\0b", b"\x1F", b"\x7F"] {
        assert_eq!(check_header(b"X-A", value), Err(()), "{value:?}");
    }
    for name in [
        "Host",
        "hOST",
        "Connection",
        "upgrade",
        "Content-Length",
        "Transfer-encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-anything",
    ] {
        assert_eq!(check_header(name.as_bytes(), b"v"), Err(()), "{name}");
    }
}

#[test]
fn an_acceptance_leaves_the_first_frames_alone() {
    let head = response(&["upgrade: WebSocket", "connection: keep-alive, UPGRADE", ACCEPT]);
    let input = [&head[..], b"\x81\x02hi"].concat();
    let (used, progress) = read_limited(&input, &[], LIMIT);
    assert_eq!(used, head.len());
    let Progress::Accepted(response) = progress else { panic!("{progress:?}") };
    assert_eq!((response.status, &response.protocol[..], &response.extensions[..]), (101, "", ""));
    assert_eq!(response.headers[0], ("upgrade".to_owned(), b"WebSocket".to_vec()));
    assert_eq!(response.headers.len(), 3);
}

#[test]
fn tokens_may_stand_in_several_lines_and_lines_may_end_in_a_bare_line_feed() {
    let lines = [
        "Connection: keep-alive",
        "Upgrade: h2c , websocket",
        "Connection:",
        "Connection: foo,upgrade",
        ACCEPT,
    ];
    accepted(&response(&lines), &[]);
    let bare = response(&lines).into_iter().filter(|&byte| byte != b'\r').collect::<Vec<_>>();
    accepted(&bare, &[]);
}

#[test]
fn a_status_line_needs_no_reason_phrase() {
    let input = format!("HTTP/1.1 101\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{ACCEPT}\r\n\r\n");
    accepted(input.as_bytes(), &[]);
}

#[test]
fn a_chosen_protocol_is_reported_exactly() {
    let lines = ["Connection: Upgrade", "Upgrade: websocket", ACCEPT, "Sec-WebSocket-Protocol:  superChat "];
    assert_eq!(accepted(&response(&lines), &["chat", "superChat"]).protocol, "superChat");
}

#[test]
fn interim_responses_are_skipped_within_the_limit() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let last = response(&["Connection: Upgrade", "Upgrade: websocket", ACCEPT]);
    let input = [interim.as_bytes(), &last].concat();
    assert_eq!(accepted(&input, &[]).headers.len(), 3);

    let (_, progress) = read_limited(&input, &[], input.len());
    assert!(matches!(progress, Progress::Accepted(_)), "exactly the limit is within it");
    for limit in [1, interim.len() - 1, interim.len(), interim.len() + 1, input.len() - 1] {
        let (_, progress) = read_limited(&input, &[], limit);
        let Progress::Refused(refusal) = progress else { panic!("{limit}: {progress:?}") };
        assert_eq!(refusal.cause, Cause::TooBig, "{limit}");
    }
}

#[test]
fn a_missing_or_wrong_upgrade_is_named() {
    assert_wrong(&["Connection: Upgrade", ACCEPT], &[], &["no Upgrade header"]);
    assert_wrong(&["Connection: Upgrade", "Upgrade: h2c", ACCEPT], &[], &["Upgrade header", "\"h2c\""]);
    assert_wrong(&["Connection: Upgrade", "Upgrade: websockets", ACCEPT], &[], &["\"websockets\""]);
    assert_wrong(&["Connection: Upgrade", "Upgrade:", ACCEPT], &[], &["Upgrade header is \"\""]);
}

#[test]
fn a_missing_or_wrong_connection_is_named() {
    assert_wrong(&["Upgrade: websocket", ACCEPT], &[], &["no Connection header"]);
    assert_wrong(&["Connection: close", "Upgrade: websocket", ACCEPT], &[], &["Connection", "\"close\""]);
    assert_wrong(&["Connection: up grade", "Upgrade: websocket", ACCEPT], &[], &["\"up grade\""]);
}

#[test]
fn a_missing_wrong_or_repeated_accept_is_named() {
    let base = ["Connection: Upgrade", "Upgrade: websocket"];
    let with = |lines: &[&'static str]| [&base[..], lines].concat();
    assert_wrong(&with(&[]), &[], &["no Sec-WebSocket-Accept"]);
    let wrong = format!("Sec-WebSocket-Accept: {}", derive_accept_key(b"another key"));
    assert_wrong(&[base[0], base[1], &wrong], &[], &["Sec-WebSocket-Accept", "our key", &wrong[22..]]);
    let lower = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
    assert_wrong(&with(&[lower]), &[], &["our key"]);
    assert_wrong(&with(&[ACCEPT, ACCEPT]), &[], &["repeated its Sec-WebSocket-Accept"]);
}

#[test]
fn a_protocol_not_offered_not_chosen_or_repeated_is_named() {
    const CHAT: &str = "Sec-WebSocket-Protocol: chat";
    let base = ["Connection: Upgrade", "Upgrade: websocket", ACCEPT];
    let with = |lines: &[&'static str]| [&base[..], lines].concat();
    assert_wrong(&with(&[CHAT]), &[], &["\"chat\"", "not offered"]);
    assert_wrong(&with(&["Sec-WebSocket-Protocol:"]), &[], &["\"\"", "not offered"]);
    assert_wrong(&with(&[CHAT]), &["Chat"], &["\"chat\"", "not offered"]);
    assert_wrong(
        &with(&["Sec-WebSocket-Protocol: chat, b"]),
        &["chat", "b"],
        &["\"chat, b\"", "not offered"],
    );
    assert_wrong(&with(&[]), &["chat"], &["chose none", "no Sec-WebSocket-Protocol"]);
    assert_wrong(&with(&["Sec-WebSocket-Protocol: "]), &["chat"], &["chose none", "empty"]);
    assert_wrong(&with(&[CHAT, CHAT]), &["chat"], &["repeated its Sec-WebSocket-Protocol"]);
}

#[test]
fn an_extension_not_offered_or_repeated_is_named() {
    let base = ["Connection: Upgrade", "Upgrade: websocket", ACCEPT];
    let with = |lines: &[&'static str]| [&base[..], lines].concat();
    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate";
    assert_wrong(&with(&[DEFLATE]), &[], &["\"permessage-deflate\"", "not offered"]);
    assert_wrong(&with(&[DEFLATE, DEFLATE]), &[], &["repeated its Sec-WebSocket-Extensions"]);
    assert_eq!(accepted(&response(&with(&["Sec-WebSocket-Extensions: "])), &[]).extensions, "");
}

#[test]
fn http_1_0_cannot_switch() {
    let input = response(&["Connection: Upgrade", "Upgrade: websocket", ACCEPT]);
    let input = [b"HTTP/1.0", &input[8..]].concat();
    let refusal = refusal(&input, &[]);
    assert_eq!((refusal.status, refusal.cause), (101, Cause::Http));
    assert!(refusal.detail.contains("HTTP/1.0"), "{}", refusal.detail);
}

#[test]
fn a_wrong_value_is_shown_printable_and_cut() {
    let long = format!("Upgrade: \u{1B}[31m{}", "x".repeat(1000)).replace('\u{1B}', "\u{E9}");
    assert_wrong(&["Connection: Upgrade", &long, ACCEPT], &[], &["\\xc3\\xa9[31mxxx", "xxx...\""]);
}

#[test]
fn another_status_is_refused_with_headers_and_body() {
    let head = b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 5000\r\n\r\n";
    let input = [&head[..], &[b'b'; 5000]].concat();
    let refusal = refusal(&input, &[]);
    assert_eq!((refusal.status, refusal.cause), (403, Cause::Http));
    assert!(refusal.detail.contains("403 Forbidden"), "{}", refusal.detail);
    assert_eq!(refusal.headers[0], ("X-Why".to_owned(), b"no".to_vec()));
    assert_eq!(refusal.body, [b'b'; BODY_SIZE_MAX]);
    for status in [200, 301, 302, 401, 407, 426, 500, 503, 999] {
        let (_, progress) = read_limited(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes(), &[], LIMIT);
        assert!(matches!(progress, Progress::Refused(refusal) if refusal.status == status));
    }
}

#[test]
fn an_end_of_tcp_says_how_far_the_answer_had_come() {
    let mut nothing = reader(&[], LIMIT);
    let refusal = nothing.end();
    assert_eq!((refusal.status, refusal.cause), (0, Cause::Protocol));
    assert!(refusal.detail.contains("without an answer"));

    let mut interim = reader(&[], LIMIT);
    interim.read(b"HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n");
    let refusal = interim.end();
    assert_eq!((refusal.status, refusal.cause, refusal.headers.len()), (0, Cause::Protocol, 0));

    let mut half = reader(&[], LIMIT);
    half.read(b"HTTP/1.1 40");
    let refusal = half.end();
    assert_eq!((refusal.status, refusal.cause), (0, Cause::Protocol));
    assert!(refusal.detail.contains("status line"));

    let mut refused = reader(&[], LIMIT);
    assert_eq!(refused.read(b"HTTP/1.1 404 Not Found\r\nX-A: b\r\nX-B: unfin").1, Progress::Starved);
    let refusal = refused.end();
    assert_eq!((refusal.status, refusal.cause), (404, Cause::Http));
    assert_eq!(refusal.headers, [("X-A".to_owned(), b"b".to_vec())]);

    let mut switching = reader(&[], LIMIT);
    switching.read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
    let refusal = switching.end();
    assert_eq!((refusal.status, refusal.cause, refusal.headers.len()), (101, Cause::Protocol, 1));
}

#[test]
fn bytes_that_are_no_http_are_refused_at_the_first_wrong_one() {
    for (input, wrong) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], 0),
        (b"\x15\x03\x01\x00\x02\x02\x28", 0),
        (b"\r\nHTTP/1.1 101 X\r\n\r\n", 0),
        (b"http/1.1 101 X\r\n\r\n", 0),
        (b"HTTP/2 101 X\r\n\r\n", 5),
        (b"HTTP/1.2 101 X\r\n\r\n", 7),
        (b"HTTP/1.1\t101 X\r\n\r\n", 8),
        (b"HTTP/1.1 abc\r\n", 13),
        (b"HTTP/1.1 099 X\r\n", 15),
        (b"HTTP/1.1 1010 X\r\n", 16),
    ] {
        let refusal = refusal(input, &[]);
        assert_eq!((refusal.status, refusal.cause), (0, Cause::Protocol), "{}", refusal.detail);
        let mut early = reader(&[], LIMIT);
        assert_eq!(early.read(&input[..wrong]).1, Progress::Starved, "{}", input.escape_ascii());
        assert!(
            matches!(early.read(&input[wrong..=wrong]).1, Progress::Refused(_)),
            "{}",
            input.escape_ascii()
        );
    }
    assert!(refusal(b"SSH-2.0-OpenSSH_9.6\r\n", &[]).detail.contains("SSH-2.0-OpenSSH_9.6"));
}

#[test]
fn what_is_no_http_is_shown_whole_up_to_64_bytes() {
    let line = "x".repeat(64);
    assert!(refusal(line.as_bytes(), &[]).detail.ends_with(&format!("\"{line}\".")));
    let more = format!("{line}x");
    assert!(refusal(more.as_bytes(), &[]).detail.ends_with(&format!("\"{line}...\".")));
}

#[test]
fn broken_header_lines_are_refused() {
    for line in ["no colon", "Bad Name: x", "X: a\0b", ": x"] {
        let refusal = refusal(&response(&["Connection: Upgrade", line]), &[]);
        assert_eq!((refusal.status, refusal.cause), (101, Cause::Protocol), "{line}: {}", refusal.detail);
    }
    let input = "HTTP/1.1 404 Not Found\r\nno colon\r\n\r\n";
    assert_eq!(refusal(input.as_bytes(), &[]).cause, Cause::Http, "the status alone decides");
}

#[test]
fn a_value_folded_over_lines_is_one_value() {
    let refusal = refusal(b"HTTP/1.1 403 Forbidden\r\nX-A: one\r\n  two\r\n\tthree \r\nX-B: b\r\n\r\n", &[]);
    let fields = [("X-A", &b"one two three"[..]), ("X-B", b"b")];
    assert_eq!(refusal.headers, fields.map(|(name, value)| (name.to_owned(), value.to_vec())));
}

#[test]
fn a_header_without_end_is_refused_at_the_limit() {
    let endless = [&b"HTTP/1.1 101 X\r\nX-A: "[..], &[b'a'; LIMIT]].concat();
    let refusal = refusal(&endless, &[]);
    assert_eq!((refusal.status, refusal.cause), (101, Cause::TooBig));
    let mut reader = reader(&[], LIMIT);
    assert_eq!(reader.read(&endless[..LIMIT - 1]).1, Progress::Starved);
    assert!(matches!(reader.read(b"a").1, Progress::Refused(_)), "it cannot end within the limit any more");
}

#[test]
fn an_interim_response_that_takes_all_room_is_refused_at_once() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let (_, progress) = read_limited(interim, &[], interim.len());
    assert!(matches!(progress, Progress::Refused(refusal) if refusal.cause == Cause::TooBig));
    assert_eq!(read_limited(interim, &[], interim.len() + 1).1, Progress::Starved);
}

#[test]
fn a_status_line_without_end_is_refused_at_the_limit() {
    let endless = [&b"HTTP/1.1 101 "[..], &[b'a'; LIMIT]].concat();
    assert_eq!(refusal(&endless, &[]).cause, Cause::TooBig);
}

#[test]
fn more_headers_than_the_limit_are_refused() {
    let many = |count: usize| {
        let mut lines = vec!["Connection: Upgrade", "Upgrade: websocket", ACCEPT];
        lines.resize(count, "X-A: b");
        response(&lines)
    };
    assert_eq!(accepted(&many(HEADER_COUNT_MAX), &[]).headers.len(), HEADER_COUNT_MAX);
    let refusal = refusal(&many(HEADER_COUNT_MAX + 1), &[]);
    assert_eq!((refusal.status, refusal.cause), (101, Cause::TooBig));
    assert!(refusal.detail.contains("128"));
}

#[test]
fn a_long_header_one_byte_at_a_time_is_looked_at_once() {
    // Looked at from its start with every byte, this would be a hundred thousand million steps.
    let size = 512 * 1024;
    let mut reader = reader(&[], size);
    let begin = b"HTTP/1.1 101 X\r\nX-A: ";
    reader.read(begin);
    for _ in begin.len()..size - 1 {
        assert_eq!(reader.read(b"a"), (1, Progress::Starved));
    }
    assert!(matches!(reader.read(b"a").1, Progress::Refused(refusal) if refusal.cause == Cause::TooBig));
}

#[test]
fn reading_after_the_end_is_refused() {
    let mut reader = reader(&[], LIMIT);
    assert!(matches!(reader.read(b"SSH").1, Progress::Refused(_)));
    assert!(matches!(reader.read(b"more").1, Progress::Refused(_)));
}
