//! Every end a server can make.

use crate::client::*;
use std::io::Write;
use std::time::{Duration, Instant};

const BYE: u16 = 4001;

#[test]
fn close_sends_code_and_reason_and_waits_for_the_answer() {
    let mut client = Client::open("/close?code=4001&reason=b%C3%BCe");
    assert_eq!(client.receive(), Frame::close(BYE, "büe"));
    assert!(client.is_silent());
    client.send(CLOSE, &BYE.to_be_bytes());
    assert_eq!(client.rest(), (vec![], End::Fin));
}

#[test]
fn close_comes_after_the_counted_message() {
    let mut client = Client::open("/close?code=1001&after=2&echo=1");
    for text in [b"a", b"b"] {
        client.send(TEXT, text);
        assert_eq!(client.receive(), Frame::new(TEXT, text));
    }
    assert_eq!(client.receive(), Frame::close(1001, ""));
}

#[test]
fn close_bodies_may_be_unlawful() {
    let long = "x".repeat(200);
    let bodies = [
        ("code=none".to_owned(), vec![]),
        ("code=none&reason_hex=07".to_owned(), vec![7]),
        ("code=1006".to_owned(), vec![3, 0xee]),
        ("code=0&reason_hex=ff".to_owned(), vec![0, 0, 0xff]),
        (format!("code=1000&reason={long}"), [&[3, 0xe8], long.as_bytes()].concat()),
    ];
    for (query, body) in bodies {
        assert_eq!(Client::open(&format!("/close?{query}")).receive(), Frame::new(CLOSE, &body), "{query}");
    }
}

#[test]
fn close_without_waiting_ends_tcp_behind_the_frame() {
    let mut client = Client::open("/close?code=1000&wait=0");
    assert_eq!(client.receive(), Frame::close(1000, ""));
    assert_eq!(client.rest(), (vec![], End::Fin));
}

#[test]
fn close_delays_the_end_of_tcp() {
    let mut client = Client::open("/close?code=1000&end_delay_ms=300");
    client.receive();
    client.send(CLOSE, b"");
    let sent = Instant::now();
    assert_eq!(client.rest(), (vec![], End::Fin));
    assert!(sent.elapsed() >= Duration::from_millis(290));
}

#[test]
fn close_may_never_end_tcp() {
    let mut client = Client::open("/close?code=1000&end=never&id=close-never");
    client.receive();
    client.send(CLOSE, b"");
    assert!(client.is_silent());
    client.finish();
    assert_eq!(client.rest(), (vec![], End::Fin));
    assert!(http_get("/record/close-never").starts_with("end: fin"));
}

#[test]
fn close_reply_may_differ_be_late_or_be_missing() {
    let mut client = Client::open("/close_reply?code=4999&reason=other&delay_ms=200");
    let sent = Instant::now();
    client.send(CLOSE, &BYE.to_be_bytes());
    assert_eq!(client.receive(), Frame::close(4999, "other"));
    assert!(sent.elapsed() >= Duration::from_millis(190));

    let mut client = Client::open("/close_reply?missing=1");
    client.send(CLOSE, &BYE.to_be_bytes());
    assert!(client.is_silent());

    let mut client = Client::open("/close_reply?missing=1&end=fin");
    client.send(CLOSE, &BYE.to_be_bytes());
    assert_eq!(client.rest(), (vec![], End::Fin));

    let mut client = Client::open("/close_reply?missing=1&end=reset");
    client.send(CLOSE, &BYE.to_be_bytes());
    assert_eq!(client.rest(), (vec![], End::Reset));

    let mut client = Client::open("/close_reply");
    client.send(TEXT, b"echoed");
    assert_eq!(client.receive(), Frame::new(TEXT, b"echoed"));
    client.send(CLOSE, &BYE.to_be_bytes());
    assert_eq!(client.receive(), Frame::close(BYE, ""));
}

#[test]
fn abrupt_ends_without_a_close_frame() {
    assert_eq!(Client::open("/abrupt").rest(), (vec![], End::Fin));
    assert_eq!(Client::open("/abrupt?end=close").rest(), (vec![], End::Fin));
    assert_eq!(Client::open("/abrupt?end=reset").rest(), (vec![], End::Reset));
    let mut client = Client::open("/abrupt?after=1&echo=1&end=fin");
    client.send(TEXT, b"last");
    assert_eq!(client.receive(), Frame::new(TEXT, b"last"));
    assert_eq!(client.rest(), (vec![], End::Fin));
}

#[test]
fn stall_keeps_the_client_from_sending() {
    let mut client = Client::open("/stall_until?token=stall-release&id=stall");
    client.stream.set_nonblocking(true).unwrap();
    let frame = masked(true, BINARY, &[1; 1000]);
    let mut bytes = frame.repeat(16_000);
    let sent = client.stream.write(&bytes).unwrap();
    assert!(sent < bytes.len(), "16 MB fit into a stalled connection");
    client.stream.set_nonblocking(false).unwrap();
    assert_eq!(http_get("/release?token=stall-release"), "released\n");
    bytes.drain(..sent);
    client.stream.write_all(&bytes).unwrap();
    client.send(CLOSE, b"");
    assert_eq!(client.receive(), Frame::new(CLOSE, b""));
    drop(client);
    let record = http_get("/record/stall");
    assert!(record.contains("counts: frames=16001 text=0 binary=16000"), "{}", &record[..600]);
    assert!(record.contains("event: resumed"));
}
