//! From the URL to open, and every way in which it fails.

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{
    CLOSED, Call, Cause, FOREVER, Initiator, OPENED, Options, Phase, Status, Stream, TEXT, WRITABLE,
    is_secure, option, server,
};

/// WSSTREAM_OPTION_BASE_URL.
const BASE_URL: u32 = 101;

fn refused(url: &str) -> Status {
    Stream::try_open(url, None).expect_err(url)
}

#[test]
fn options_that_change_while_a_stream_is_opened_keep_all_that_was_set() {
    let options = Options::new();
    assert_eq!(options.add_protocol("chat"), Status::Ok);
    let is_over = AtomicBool::new(false);
    let opens = std::thread::scope(|scope| {
        let opens = scope.spawn(|| {
            let open = || Stream::try_open("ws://127.0.0.1:1/", Some(&options));
            let count = (0..500).filter(|_| open().is_ok()).count();
            is_over.store(true, Ordering::Relaxed);
            count
        });
        for number in 1.. {
            assert_eq!(options.set_number(option::OPEN_TIMEOUT_MS, 1000 + number), Status::Ok);
            if is_over.load(Ordering::Relaxed) {
                break;
            }
        }
        opens.join().expect("it opens")
    });
    assert_eq!(opens, 500);
    let stream = Stream::opened_with(&server().url("/echo?protocol=chat"), &options);
    assert_eq!(stream.protocol(), "chat");
}

// Rows: U01, U02, U04, U05
#[test]
fn urls_that_are_not_websocket_urls_are_syntax_errors() {
    for url in [
        "",
        "/relative",
        "relative",
        "?",
        "//h/",
        "://h/",
        "ws",
        "ws:",
        "ws://",
        "ws:///",
        "ws://?x",
        "ws://:80/",
        "ws://u:p@/",
        "ws://h:99999/",
        "ws://h:65536/",
        "ws://h:-1/",
        "ws://h:8o/",
        "ws://[::1",
        "ws://::1/",
        "ws://[::g]/",
        "ws://[::1%25lo]/",
        "ws://1.2.3.4.5/",
        "ws://256.1.1.1/",
        "ws://1.2.3.0x100/",
        "ws://4294967296/",
        "ws:// h/",
        "ws://a b/",
        "ws://a%20b/",
        "ws://a%00b/",
        "ws://h%0d%0aX-Injected:%201/",
        "ws://a%b/",
        "ws://a<b/",
        "ws://a^b/",
        "ws://a|b/",
        "ws://a\0b/",
        "ws://\u{AD}/",
        "ws://xn--/",
        "ws://xn--\u{FC}/",
        "invalid:",
        "invalid://h/",
        "ftp://h/",
        "file:///x",
        "mailto:a@b",
        "about:blank",
        "data:,x",
        "javascript:0",
        "blob:ws://h/",
        "wsx://h/",
        "ws+unix://h/",
        "w\u{17F}://h/",
        "ws://h/#",
        "ws://h#",
        "ws://h/#a",
        "ws://h/?x#",
        "ws://h/#?x",
        "ws://h/\\#",
        "ws://h/#\n",
        " ws://h/# ",
        "wss://h/#",
        "http://h/x#",
        "https://h/x#y",
        "ftp://h/#",
    ] {
        assert_eq!(refused(url), Status::Syntax, "{url:?}");
    }
}

/// What a URL becomes, as the URL Standard parses and serialises it.
const SERIALISED: &[(&str, &str)] = &[
    ("ws://h", "ws://h/"),
    ("ws://h/", "ws://h/"),
    ("ws://h?x", "ws://h/?x"),
    ("ws://h/?", "ws://h/?"),
    ("ws://h//a//", "ws://h//a//"),
    // http and https stand for ws and wss, whose default port is not shown.
    ("WS://h", "ws://h/"),
    ("wSs://h", "wss://h/"),
    ("http://h/a?b", "ws://h/a?b"),
    ("https://h/a?b", "wss://h/a?b"),
    ("HTTP://H", "ws://h/"),
    ("ws://h:80/", "ws://h/"),
    ("ws://h:0080/", "ws://h/"),
    ("ws://h:/", "ws://h/"),
    ("http://h:80/", "ws://h/"),
    ("wss://h:443/", "wss://h/"),
    ("https://h:443/", "wss://h/"),
    ("ws://h:443/", "ws://h:443/"),
    ("wss://h:80/", "wss://h:80/"),
    ("http://h:443/", "ws://h:443/"),
    ("https://h:80/", "wss://h:80/"),
    ("ws://h:65535/", "ws://h:65535/"),
    ("ws://h:0/", "ws://h:0/"),
    // Slashes, backslashes, and what is not there for the parser.
    ("ws:h/x", "ws://h/x"),
    ("ws:/h/x", "ws://h/x"),
    ("ws:////h/x", "ws://h/x"),
    ("ws:\\\\h\\x\\y", "ws://h/x/y"),
    ("ws://h\\@x", "ws://h/@x"),
    ("ws://h/?a\\b", "ws://h/?a\\b"),
    ("w\ns\t:/\r/h/\ta\r\nb\n", "ws://h/ab"),
    (" \0\u{1F}ws://h/ \n", "ws://h/"),
    // Dots.
    ("ws://h/./a/../b", "ws://h/b"),
    ("ws://h/a/%2e%2E/b/%2E", "ws://h/b/"),
    ("ws://h/../..", "ws://h/"),
    ("ws://h/a/..", "ws://h/"),
    // Percent-encoding: what has to be, and nothing that is already.
    ("ws://h/a b?c d", "ws://h/a%20b?c%20d"),
    ("ws://h/%7e%zz%?%7e", "ws://h/%7e%zz%?%7e"),
    ("ws://h/\u{FC}?\u{FC}", "ws://h/%C3%BC?%C3%BC"),
    ("ws://h/\"<>`{}?\"<>'`", "ws://h/%22%3C%3E%60%7B%7D?%22%3C%3E%27`"),
    ("ws://h/\u{7F}\u{1}x", "ws://h/%7F%01x"),
    ("ws://h/:@!$&'()*+,;=-._~", "ws://h/:@!$&'()*+,;=-._~"),
    // User and password.
    ("ws://u:p@h/", "ws://u:p@h/"),
    ("ws://u:@h/", "ws://u@h/"),
    ("ws://:p@h/", "ws://:p@h/"),
    ("ws://@h/", "ws://h/"),
    ("ws://:@h/", "ws://h/"),
    ("ws://a@b:c:d@h/", "ws://a%40b:c%3Ad@h/"),
    // Hosts: names, in ASCII, and addresses, each written in one way.
    ("ws://ExAmPlE.test", "ws://example.test/"),
    ("ws://e%78ample.test", "ws://example.test/"),
    ("ws://B\u{DC}CHER.test/", "ws://xn--bcher-kva.test/"),
    ("ws://b%C3%BCcher.test/", "ws://xn--bcher-kva.test/"),
    ("ws://fa\u{DF}.test/", "ws://xn--fa-hia.test/"),
    ("ws://\u{FF41}\u{3002}test/", "ws://a.test/"),
    ("ws://a\u{AD}b.test/", "ws://ab.test/"),
    ("ws://h./", "ws://h./"),
    ("ws://a_b!$&'()*+,;=~-.test/", "ws://a_b!$&'()*+,;=~-.test/"),
    ("ws://127.1/", "ws://127.0.0.1/"),
    ("ws://0x7F.0.0.01/", "ws://127.0.0.1/"),
    ("ws://2130706433/", "ws://127.0.0.1/"),
    ("ws://127.0.0.1./", "ws://127.0.0.1/"),
    ("ws://[0:0:0:0:0:0:0:1]:80/", "ws://[::1]/"),
    ("ws://[::FFFF:1.2.3.4]:81/", "ws://[::ffff:102:304]:81/"),
];

/// Options with which nothing is looked up and no connection comes about.
fn offline() -> Options {
    let options = Options::new();
    assert_eq!(options.set_text(option::UNIX_SOCKET, "/nonexistent/socket"), Status::Ok);
    options
}

// Rows: U03, U08
#[test]
fn the_url_is_told_as_the_web_serialises_it() {
    for (given, told) in SERIALISED {
        let stream = Stream::open_with(given, &offline());
        assert_eq!(stream.url(), *told, "{given:?}");
        stream.never_opens();
        assert_eq!(stream.url(), *told, "{given:?}");
        // What was serialised is what it says.
        assert_eq!(Stream::open_with(told, &offline()).url(), *told);
    }
}

/// A URL against a base; None: it is no URL of a WebSocket.
const RESOLVED: &[(&str, &str, Option<&str>)] = &[
    ("ws://h/a/b?c", "", Some("ws://h/a/b?c")),
    ("ws://h/a/b?c", "d", Some("ws://h/a/d")),
    ("ws://h/a/b?c", "./d", Some("ws://h/a/d")),
    ("ws://h/a/b?c", "../../../d", Some("ws://h/d")),
    ("ws://h/a/b?c", "/d", Some("ws://h/d")),
    ("ws://h/a/b?c", "\\d", Some("ws://h/d")),
    ("ws://h/a/b?c", "?d", Some("ws://h/a/b?d")),
    ("ws://h/a/b?c", "//i", Some("ws://i/")),
    ("ws://h/a/b?c", "\\\\i", Some("ws://i/")),
    ("ws://h/a/b?c", "ws:d", Some("ws://h/a/d")),
    ("ws://h/a/b?c", " \td\n ", Some("ws://h/a/d")),
    ("ws://u:p@h/a", "b", Some("ws://u:p@h/b")),
    ("http://h/a/", "b", Some("ws://h/a/b")),
    ("https://h/a/", "b", Some("wss://h/a/b")),
    ("https://h/a/", "//i:443/", Some("wss://i/")),
    ("https://h/a/", "http:b", Some("ws://b/")),
    ("https://h/a/", "https:b", Some("wss://h/a/b")),
    ("wss://h/a/", "ws://i/b", Some("ws://i/b")),
    // A fragment of the base is none of the result.
    ("ws://h/a#x", "", Some("ws://h/a")),
    ("ws://h/a#x", "b", Some("ws://h/b")),
    ("ws://h/a", "#", None),
    ("ws://h/a", "#x", None),
    ("ws://h/a", "b#", None),
    ("ws://h/a", "ws://h#x", None),
    ("http://h/a", "ws://i/#", None),
    ("ws://h/a", "ftp://h/", None),
    ("ws://h/a", "mailto:a@b", None),
    ("ws://h/a", "//", None),
    ("ws://h/a", "//i:99999/", None),
];

// Rows: U02, U03, U04, U05, U06
#[test]
fn a_url_is_resolved_against_the_base_before_it_is_judged() {
    for (base, url, told) in RESOLVED {
        let options = offline();
        assert_eq!(options.set_text(BASE_URL, base), Status::Ok, "{base}");
        match (Stream::try_open(url, Some(&options)), told) {
            (Ok(stream), Some(told)) => assert_eq!(stream.url(), *told, "{url:?} against {base}"),
            (Err(status), None) => assert_eq!(status, Status::Syntax, "{url:?} against {base}"),
            (Ok(stream), None) => panic!("{url:?} against {base} is {}", stream.url()),
            (Err(status), Some(_)) => panic!("{url:?} against {base} is {status:?}"),
        }
    }
}

// Rows: U03, U06
#[test]
fn http_and_https_and_relative_urls_lead_where_they_say() {
    let here = server().url("/echo");
    let http = here.replacen("ws", "http", 1);
    let base = Options::new();
    assert_eq!(base.set_text(BASE_URL, &http.replace("/echo", "/nowhere/x?y#z")), Status::Ok);
    for (url, options) in [(http.as_str(), &Options::new()), ("../echo", &base)] {
        let stream = Stream::opened_with(url, options);
        assert_eq!(stream.url(), here);
        stream.writes_text(url);
        stream.reads_text(url);
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
fn names_are_resolved() {
    let url = server().url("/echo").replace("127.0.0.1", "localhost");
    let stream = Stream::opened(&url);
    stream.writes_text("hi");
    stream.reads_text("hi");
}

// Rows: D15
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
    for (name, value) in [("X-One", "1"), ("X-Two", "a b"), ("X-One", "\t\u{FC}~!"), ("x-empty", "")] {
        assert_eq!(options.add_header(name, value), Status::Ok, "{name}: {value:?}");
    }
    for name in [
        "Host",
        "hOST",
        "connection",
        "UPGRADE",
        "Sec-WebSocket-Key",
        "sec-websocket-protocol",
        "Sec-WebSocket-Version",
        "SEC-WEBSOCKET-EXTENSIONS",
        "Sec-WebSocket-Anything",
        "Sec-WebSocket-",
        "",
    ] {
        assert_eq!(options.add_header(name, "x"), Status::Argument, "{name:?}");
    }
    // RFC 9110 §5.1, §5.5: names are tokens, and no control character but a tab is in a value.
    for code in (0..=0x20).chain([0x7F]).chain("\"(),/:;<=>?@[\\]{}\u{FC}".chars().map(u32::from)) {
        let character = char::from_u32(code).expect("a character");
        for name in [format!("X{character}"), format!("{character}X"), format!("Host{character}")] {
            assert_eq!(options.add_header(&name, "x"), Status::Argument, "{name:?}");
        }
        let is_value = character == '\t' || !character.is_control();
        let expected = if is_value { Status::Ok } else { Status::Argument };
        for value in [format!("a{character}b"), format!("{character}"), format!("a{character}")] {
            assert_eq!(Options::new().add_header("X", &value), expected, "{value:?}");
        }
    }
    assert_eq!(options.add_header("X", "a\r\nX-Injected: 1"), Status::Argument);
    Stream::opened_with(&url, &options).free();
    let record = server().record(&id).lawful();
    let own = |line: &&String| line.to_lowercase().starts_with('x');
    let own: Vec<_> = record.request.iter().filter(own).map(|line| line.trim_end()).collect();
    assert_eq!(own, ["X-One: 1", "X-Two: a b", "X-One: \t\u{FC}~!", "x-empty:"]);
}

/// A URL, and what of it the request says: target, Host, Authorization.
const REQUESTED: &[(&str, &str, &str, &str)] = &[
    ("ws://h", "/", "h", ""),
    ("ws://H:80?x", "/?x", "h", ""),
    ("http://h:80/", "/", "h", ""),
    ("ws://h:81/?", "/?", "h:81", ""),
    ("ws://h:443/", "/", "h:443", ""),
    ("ws://h//a/../b?c d", "//b?c%20d", "h", ""),
    ("ws://h./", "/", "h.", ""),
    ("ws://[0::1]:8080/x", "/x", "[::1]:8080", ""),
    ("ws://127.1/", "/", "127.0.0.1", ""),
    ("ws://B\u{DC}CHER.test/\u{FC}?\u{FC}", "/%C3%BC?%C3%BC", "xn--bcher-kva.test", ""),
    ("ws://h/\r\nX-Injected: 1\r\n\r\nx", "/X-Injected:%201x", "h", ""),
    ("ws://h/?a HTTP/1.1\r\nX-Injected: 1", "/?a%20HTTP/1.1X-Injected:%201", "h", ""),
    ("ws://h/%0d%0aX-Injected:%201", "/%0d%0aX-Injected:%201", "h", ""),
    // RFC 7617: user, a colon, password; decoded, in base64.
    ("ws://user:p%40ss@h/", "/", "h", "Basic dXNlcjpwQHNz"),
    ("ws://user@h/", "/", "h", "Basic dXNlcjo="),
    ("ws://:pass@h/", "/", "h", "Basic OnBhc3M="),
    ("ws://%C3%BC%0d%0a:%FF@h/", "/", "h", "Basic w7wNCjr/"),
    ("ws://@h/", "/", "h", ""),
    ("ws://:@h/", "/", "h", ""),
];

// Rows: D15
#[test]
fn the_request_is_what_the_url_says_and_nothing_else() {
    let path = std::env::temp_dir().join(format!("wsstream-opening-{}", std::process::id()));
    let listener = UnixListener::bind(&path).expect("listens");
    let options = Options::new();
    assert_eq!(options.set_text(option::UNIX_SOCKET, path.to_str().expect("UTF-8")), Status::Ok);
    for (url, target, host, authorization) in REQUESTED {
        let stream = Stream::open_with(url, &options);
        let mut lines = BufReader::new(listener.accept().expect("a client").0).lines();
        let mut lines: Vec<_> =
            lines.by_ref().map(|line| line.expect("UTF-8")).take_while(|line| !line.is_empty()).collect();
        stream.free();
        let key = lines.iter().position(|line| line.starts_with("Sec-WebSocket-Key: ")).expect("a key");
        assert_eq!(lines.remove(key).len(), "Sec-WebSocket-Key: ".len() + 24);
        assert_eq!(lines.remove(0), format!("GET {target} HTTP/1.1"), "{url:?}");
        let mut expected = vec![
            format!("Host: {host}"),
            "Connection: Upgrade".to_owned(),
            "Upgrade: websocket".to_owned(),
            "Sec-WebSocket-Version: 13".to_owned(),
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12".to_owned(),
        ];
        if !authorization.is_empty() {
            expected.push(format!("Authorization: {authorization}"));
        }
        assert_eq!(lines, expected, "{url:?}");
    }
    let _ = std::fs::remove_file(path);
}

// Rows: P01
#[test]
fn a_protocol_that_is_no_token_is_a_syntax_error() {
    let options = Options::new();
    assert_eq!(options.add_protocol(""), Status::Syntax);
    for code in 0..=0x17F {
        let candidate = char::from_u32(code).expect("a character");
        let is_good = ('!'..='~').contains(&candidate) && !"\"(),/:;<=>?@[\\]{}".contains(candidate);
        let expected = if is_good { Status::Ok } else { Status::Syntax };
        for protocol in
            [format!("a{code}{candidate}b"), format!("b{code}{candidate}"), format!("{candidate}c{code}")]
        {
            assert_eq!(options.add_protocol(&protocol), expected, "{protocol:?}");
        }
    }
    for protocol in ["\u{2028}", "\u{1F600}", "a\r\nX-Injected: 1", "a, b", "a\0"] {
        assert_eq!(options.add_protocol(protocol), Status::Syntax, "{protocol:?}");
    }
}

// Rows: P02, P03, D06
#[test]
fn a_protocol_that_is_there_already_in_any_case_is_a_syntax_error_and_is_not_sent_twice() {
    let options = Options::new();
    for (protocol, expected) in [
        ("echo", Status::Ok),
        ("echo", Status::Syntax),
        ("eCho", Status::Syntax),
        ("ECHO", Status::Syntax),
        ("echo2", Status::Ok),
        ("ech", Status::Ok),
        ("Chat", Status::Ok),
        ("chat", Status::Syntax),
        ("echo", Status::Syntax),
        ("", Status::Syntax),
        ("a,b", Status::Syntax),
    ] {
        assert_eq!(options.add_protocol(protocol), expected, "{protocol:?}");
    }
    let (url, id) = server().recorded("/echo");
    Stream::opened_with(&url, &options).free();
    let record = server().record(&id).lawful();
    assert_eq!(record.header("sec-websocket-protocol"), Some("echo, echo2, ech, Chat"));
}

// Rows: P04, P08
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

// Rows: P07, O02
#[test]
fn without_protocols_none_is_asked_for_and_none_is_told() {
    let (url, id) = server().recorded("/echo");
    let stream = Stream::opened(&url);
    assert_eq!((stream.protocol(), stream.extensions()), (String::new(), String::new()));
    stream.free();
    assert_eq!(server().record(&id).lawful().header("sec-websocket-protocol"), None);
}

// Rows: D15
#[test]
fn a_refused_upgrade_waits_for_no_body_and_keeps_4_kib_of_it() {
    for query in ["status=503&body=x&length=1000000&end=never", "status=503&endless=body"] {
        let info = Stream::open(&server().url(&format!("/handshake?{query}"))).never_opens();
        assert_eq!((info.cause, info.http_status), (Cause::Http, 503), "{query}: {info:?}");
        assert!(info.response_body.len() <= 4096);
    }
}

// Rows: D15
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

// Rows: A05
#[test]
fn the_open_timeout_ends_with_open() {
    let options = Options::with(option::OPEN_TIMEOUT_MS, 1500);
    let stream = Stream::opened_with(&server().url("/echo"), &options);
    assert_eq!(stream.refused_read(1600), Status::Again);
    stream.writes_text("still here");
    stream.reads_text("still here");
}

// Rows: U11, O03, O05, D09
#[test]
fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let info = Stream::open(&format!("ws://127.0.0.1:{port}/")).never_opens();
    assert_eq!((info.cause, info.phase), (Cause::System, Phase::Connect), "{info:?}");
    assert_eq!(info.os_error, libc::ECONNREFUSED);
}

// Rows: U11, O03, O05, D09
#[test]
fn a_name_without_address_says_so() {
    let info = Stream::open("ws://no-such-name.invalid/").never_opens();
    assert_eq!((info.cause, info.phase), (Cause::Name, Phase::Resolve), "{info:?}");
}

// Rows: O03
#[test]
fn a_server_that_resets_in_the_handshake_fails_it() {
    let info = Stream::open(&server().url("/handshake?garbage=48&end=reset")).never_opens();
    assert_eq!(info.phase, Phase::Handshake, "{info:?}");
}

// Rows: O08
#[test]
fn frames_in_the_packet_of_the_response_are_the_first_messages() {
    let url = server().url("/handshake?with=81026869820101");
    let stream = Stream::opened(&url);
    stream.reads_text("hi");
    let message = stream.read(FOREVER).unwrap();
    assert_eq!((message.kind(), message.bytes()), (2, &[1u8][..]));
}

// Rows: O08
#[test]
fn frames_and_a_close_in_the_packet_of_the_response_are_seen_by_nobody_reading() {
    let stream = Stream::open(&server().url("/handshake?with=81026869880203e8"));
    let info = stream.closed_cleanly();
    assert_eq!(info.code, 1000);
    assert_eq!(stream.wait_opened(0), Status::Ok);
    stream.reads_text("hi");
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}

// Rows: O08
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

// Rows: O01, O07
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

// Rows: O06
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
