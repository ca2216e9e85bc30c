//! Good and spoilt opening handshakes.

use crate::client::*;
use std::io::Write;

fn head(query: &str) -> String {
    Client::request(&format!("/handshake?{query}"), "").head
}

#[test]
fn a_good_handshake_has_the_accept_of_the_rfc() {
    let expected = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    assert_eq!(Client::open("/echo").head, expected);
    assert_eq!(head(""), expected);
}

#[test]
fn the_first_protocol_is_picked_unless_told() {
    let offer = "Sec-WebSocket-Protocol: one, two\r\n";
    assert!(Client::request("/echo", offer).head.contains("\r\nSec-WebSocket-Protocol: one\r\n"));
    assert!(
        Client::request("/echo?protocol=two", offer).head.contains("\r\nSec-WebSocket-Protocol: two\r\n")
    );
    assert!(!Client::request("/echo?protocol=missing", offer).head.contains("Protocol: "));
    assert_eq!(Client::request("/echo?protocol=double", offer).head.matches("Protocol: one").count(), 2);
}

#[test]
fn each_header_can_be_changed_left_out_and_doubled() {
    assert!(!head("accept=wrong").contains(ACCEPT));
    assert!(!head("accept=missing").contains("Sec-WebSocket-Accept"));
    assert_eq!(head("accept=double").matches(ACCEPT).count(), 2);
    assert!(head("upgrade=h2c").contains("\r\nUpgrade: h2c\r\n"));
    assert!(!head("upgrade=missing").contains("Upgrade: "));
    assert!(head("connection=keep-alive,%20Upgrade").contains("\r\nConnection: keep-alive, Upgrade\r\n"));
    assert!(head("extensions=a&extensions=b").contains("Extensions: a\r\nSec-WebSocket-Extensions: b\r\n"));
    assert!(head("header=X-A:%201&header=X-B:2").contains("\r\nX-A: 1\r\nX-B:2\r\n"));
    assert!(head("version=1.0").starts_with("HTTP/1.0 101 "));
}

#[test]
fn another_status_carries_a_body_and_ends() {
    let mut client = Client::request("/handshake?status=404&body=gone&header=X-A:1", "");
    assert!(
        client.head.starts_with("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-A:1\r\n"),
        "{}",
        client.head
    );
    assert_eq!(client.rest(), (b"gone".to_vec(), End::Fin));
}

#[test]
fn interim_responses_come_first() {
    let mut client = Client::request("/handshake?before=100&before=103", "");
    assert!(client.head.starts_with("HTTP/1.1 100 "));
    client.read_head();
    assert!(client.head.starts_with("HTTP/1.1 103 "));
    client.read_head();
    assert!(client.head.starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_spoilt_switch_is_followed_by_echo_and_frames_may_come_with_it() {
    let mut client = Client::open("/handshake?accept=wrong&split=1&with=810268698100");
    assert_eq!(client.receive(), Frame::new(TEXT, b"hi"));
    assert_eq!(client.receive(), Frame::new(TEXT, b""));
    client.send(TEXT, b"still there");
    assert_eq!(client.receive(), Frame::new(TEXT, b"still there"));
}

#[test]
fn a_response_can_be_cut_garbage_or_missing() {
    let mut client = Client::send_request("/handshake?cut=12", "");
    assert_eq!(client.rest(), (b"HTTP/1.1 101".to_vec(), End::Fin));
    let mut client = Client::send_request("/handshake?garbage=00ff0a&end=reset", "");
    assert_eq!(client.rest().1, End::Reset);
    let mut client = Client::send_request("/handshake?stall=1&id=handshake-stall", "");
    assert!(client.is_silent());
    drop(client);
    assert!(http_get("/record/handshake-stall").starts_with("end: fin"));
}

#[test]
fn a_held_response_comes_when_released() {
    let mut client = Client::send_request("/handshake?token=held-response", "");
    assert!(client.is_silent());
    http_get("/release?token=held-response");
    client.read_head();
    assert!(client.head.starts_with("HTTP/1.1 101 "));
}

#[test]
fn endless_responses_do_not_end() {
    for kind in ["headers", "line", "interim", "body&status=500"] {
        let mut client = Client::send_request(&format!("/handshake?endless={kind}&id=endless"), "");
        let mut bytes = vec![0; 1 << 20];
        std::io::Read::read_exact(&mut client.stream, &mut bytes).unwrap();
        drop(client);
        assert!(http_get("/record/endless").starts_with("end: reset"), "{kind}");
    }
}

#[test]
fn unlawful_requests_are_refused_with_the_reason() {
    let mut client = Client { stream: tcp(), head: String::new() };
    client.stream.write_all(b"GET /echo HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\r\n").unwrap();
    let (bytes, end) = client.rest();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.ends_with("Connection does not list Upgrade\n"), "{text}");
    assert_eq!(end, End::Fin);
}

#[test]
fn misspelled_parameters_are_refused() {
    for (path, reason) in [
        ("/echo?framed=1", "/echo knows no parameter framed"),
        ("/echo?frame=x", "frame is not a number in range"),
        ("/echo?frame=1&frame=2", "frame is given twice"),
        ("/raw?hex=0", "hex is not hexadecimal"),
        ("/close?end=soon", "end is none of fin, close, reset, stall, never"),
        ("/close?code=70000", "code is neither a number below 65536 nor none"),
        ("/handshake?status=x", "status is not a number in range"),
    ] {
        let mut client = Client::request(path, "");
        assert!(client.head.starts_with("HTTP/1.1 400 "), "{path}: {}", client.head);
        let (body, _) = client.rest();
        assert_eq!(String::from_utf8(body).unwrap().trim_end(), reason);
    }
    assert!(Client::request("/nowhere", "").head.starts_with("HTTP/1.1 404 "));
}
