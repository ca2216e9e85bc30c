//! What `/record/ID` answers.

use crate::client::*;
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn a_record_shows_request_frames_events_and_end() {
    let mut client = Client::request("/echo?id=full", "X-Own: one\r\n");
    client.send(TEXT, b"hi");
    client.send(PING, b"");
    client.send(CLOSE, &Frame::close(4001, "b\"ye").payload);
    client.rest();
    drop(client);
    let record = http_get("/record/full");
    let lines: Vec<&str> = record.lines().map(|line| line.split(" at_ms=").next().unwrap()).collect();
    let expected = [
        "end: fin",
        "request: GET /echo?id=full HTTP/1.1",
        "request: Host: test",
        "request: Upgrade: websocket",
        "request: Connection: Upgrade",
        "request: Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "request: Sec-WebSocket-Version: 13",
        "request: X-Own: one",
        "counts: frames=3 text=1 binary=0 continuation=0 close=1 ping=1 pong=0 payload_bytes=8 frames_after_close=0 payload_bytes_after_close=0 compressed=0 inflated_bytes=0 bytes=26 unparsed_bytes=0 violations=0 lines_dropped=0 sent_bytes=143",
        "text fin=1 masked=1 mask=11223344 rsv=0 size=2 payload_hex=6869",
        "ping fin=1 masked=1 mask=11223344 rsv=0 size=0 payload_hex=",
        "close fin=1 masked=1 mask=11223344 rsv=0 size=6 code=4001 reason=\"b\\\"ye\" payload_hex=0fa162227965",
        "event: close_sent",
        "event: fin_sent",
    ];
    assert_eq!(lines, expected);
    assert!(record.lines().skip(9).all(|line| line.contains(" at_ms=")), "{record}");
}

#[test]
fn a_reset_by_the_client_is_recorded() {
    let client = Client::open("/echo?id=client-reset");
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert!(http_get("/record/client-reset?wait_ms=60000").starts_with("end: reset"));
}

#[test]
fn a_record_of_an_open_connection_answers_when_its_time_is_up() {
    let mut client = Client::open("/echo?id=open");
    client.stream.write_all(&masked(true, TEXT, b"partial")[..9]).unwrap();
    let asked = Instant::now();
    let record = http_get("/record/open?wait_ms=200");
    assert!(asked.elapsed() >= Duration::from_millis(190));
    assert!(record.starts_with("end: open\n"), "{record}");
    assert!(
        record
            .contains("partial text fin=1 masked=1 mask=11223344 rsv=0 size=7 payload_hex=706172 received=3")
    );
}

#[test]
fn a_record_answers_as_soon_as_enough_frames_have_come() {
    let mut client = Client::open("/sink?id=enough");
    let asking = std::thread::spawn(|| http_get("/record/enough?frames=2&wait_ms=60000"));
    client.send(TEXT, b"one");
    client.send(TEXT, b"two");
    let record = asking.join().unwrap();
    assert!(record.starts_with("end: open\n"), "{record}");
    assert!(record.contains("payload_hex=74776f"), "{record}");
}

#[test]
fn a_record_may_be_asked_for_before_its_connection() {
    let asking = std::thread::spawn(|| http_get("/record/early?wait_ms=60000"));
    let client = Client::open("/echo?id=early");
    drop(client);
    assert!(asking.join().unwrap().starts_with("end: fin"));
    assert_eq!(http_get("/record/nobody?wait_ms=0"), "no connection has had the id nobody\n");
}

#[test]
fn a_long_record_keeps_its_first_lines_and_counts_on() {
    let mut client = Client::open("/sink?id=long");
    client.stream.write_all(&masked(true, BINARY, &[7; 64]).repeat(5000)).unwrap();
    client.finish();
    client.rest();
    let record = http_get("/record/long");
    assert!(record.contains("counts: frames=5000 text=0 binary=5000"), "{}", &record[..900]);
    assert!(record.contains(" lines_dropped=904 "), "{}", &record[..900]);
    assert!(record.len() < 2 << 20);
}

#[test]
fn a_refused_connection_has_a_record() {
    let client = Client::request("/handshake?status=401&id=refused", "");
    drop(client);
    assert!(http_get("/record/refused").starts_with("end: fin"));
}
