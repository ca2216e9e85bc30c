//! `/raw`, and clients that break the rules.

use crate::client::*;
use std::io::Write;

#[test]
fn raw_sends_the_bytes_whole_split_and_repeated() {
    for split in [0, 1] {
        let mut client = Client::open(&format!("/raw?hex=c1ff00&repeat=3&split={split}"));
        assert_eq!(client.rest(), ([0xc1, 0xff, 0].repeat(3), End::Fin));
    }
}

#[test]
fn raw_ends_as_told() {
    assert_eq!(Client::open("/raw?hex=8100&end=close").rest(), (vec![0x81, 0], End::Fin));
    assert_eq!(Client::open("/raw?hex=8100&end=reset&end_delay_ms=100").rest(), (vec![0x81, 0], End::Reset));
    let mut client = Client::open("/raw?hex=8100&end=stall");
    assert_eq!(client.receive(), Frame::new(TEXT, b""));
    assert!(client.is_silent());
}

#[test]
fn raw_answers_nothing_but_records() {
    let mut client = Client::open("/raw?hex=8900&end=never&id=raw-never");
    assert_eq!(client.receive(), Frame::new(PING, b""));
    client.send(PONG, b"");
    client.send(PING, b"?");
    client.send(CLOSE, b"");
    assert!(client.is_silent());
    drop(client);
    let record = http_get("/record/raw-never");
    assert!(record.contains("\npong fin=1"), "{record}");
    assert!(record.contains("\nclose fin=1"), "{record}");
}

#[test]
fn raw_comes_after_the_counted_message_and_may_go_on_as_echo() {
    let mut client = Client::open("/raw?hex=8900&after=1&end=echo");
    client.send(TEXT, b"swallowed");
    assert_eq!(client.receive(), Frame::new(PING, b""));
    client.send(TEXT, b"echoed");
    assert_eq!(client.receive(), Frame::new(TEXT, b"echoed"));
    client.send(CLOSE, b"");
    assert_eq!(client.receive(), Frame::new(CLOSE, b""));
    assert_eq!(client.rest(), (vec![], End::Fin));
}

/// Sends `bytes` to a sink and gives the violations it records.
fn violations(id: &str, bytes: &[u8]) -> Vec<String> {
    let mut client = Client::open(&format!("/sink?id={id}"));
    client.stream.write_all(bytes).unwrap();
    client.finish();
    client.rest();
    let record = http_get(&format!("/record/{id}"));
    let lines = record.lines().filter_map(|line| line.strip_prefix("violation: "));
    lines.map(|line| line.split(" at_ms=").next().unwrap().to_owned()).collect()
}

#[test]
fn the_record_names_each_rule_a_client_breaks() {
    let mut lawful = masked(false, TEXT, "é".as_bytes());
    lawful.extend(masked(true, PING, b""));
    lawful.extend(masked(true, 0, "è".as_bytes()));
    lawful.extend(masked(true, CLOSE, &[3, 0xe8]));
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("v-lawful", lawful, &[]),
        ("v-unmasked", vec![0x81, 0], &["a frame is not masked"]),
        ("v-rsv", masked(true, 0x40 | TEXT, b""), &["a reserved bit is set"]),
        ("v-opcode", masked(true, 3, b""), &["an opcode is reserved"]),
        ("v-length", vec![0x81, 0xfe, 0, 0, 1, 2, 3, 4], &["a size is not in its shortest form"]),
        ("v-stray", masked(true, 0, b""), &["a continuation has no message"]),
        (
            "v-nested",
            [masked(false, TEXT, b""), masked(true, TEXT, b"")].concat(),
            &["a message begins inside another"],
        ),
        ("v-control", masked(true, PING, &[0; 126]), &["a control frame is over 125 bytes"]),
        ("v-fragment", masked(false, PING, b""), &["a control frame is fragmented"]),
        ("v-utf8", masked(true, TEXT, b"a\xff"), &["a text message is not UTF-8"]),
        ("v-cut", masked(true, TEXT, b"a\xc3"), &["a text message is not UTF-8"]),
        ("v-one", masked(true, CLOSE, b"1"), &["a Close body is one byte"]),
        ("v-code", masked(true, CLOSE, &[3, 0xee]), &["a close code may not be sent"]),
        ("v-reason", masked(true, CLOSE, &[3, 0xe8, 0xff]), &["a close reason is not UTF-8"]),
        (
            "v-after",
            [masked(true, CLOSE, b""), masked(true, TEXT, b"late")].concat(),
            &["a frame follows the Close"],
        ),
    ];
    for (id, bytes, expected) in cases {
        assert_eq!(violations(id, bytes), *expected, "{id}");
    }
}
