//! permessage-deflate: what is answered to which offer, and messages both ways.

use crate::client::*;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// RSV1 beside the opcode.
const COMPRESSED: u8 = 0x40;

fn open(path: &str, offer: &str) -> Client {
    Client::request(path, &format!("Sec-WebSocket-Extensions: {offer}\r\n"))
}

fn answer(path: &str, offer: &str) -> Option<String> {
    let head = open(path, offer).head;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let line = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    line.map(str::to_owned)
}

fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 22);
    let payload = [payload, &TAIL].concat();
    Decompress::new(false).decompress_vec(&payload, &mut out, FlushDecompress::Sync).unwrap();
    out
}

fn deflate(compress: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 100);
    compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - 4);
    out
}

#[test]
fn it_agrees_where_told_to_and_to_what_is_asked_for() {
    let plain = "permessage-deflate";
    let full = "permessage-deflate; client_max_window_bits; server_max_window_bits=10; \
                client_no_context_takeover; server_no_context_takeover";
    let same = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10";
    for (path, offer, expected) in [
        ("/echo", plain, None),
        ("/echo?deflate", "x-other", None),
        ("/echo?deflate", plain, Some(plain)),
        ("/echo?deflate", "x-other, permessage-deflate; unknown, permessage-deflate", Some(plain)),
        ("/handshake?deflate", full, Some(same)),
        (
            "/echo?deflate",
            "permessage-deflate; client_max_window_bits=12",
            Some("permessage-deflate; client_max_window_bits=12"),
        ),
        (
            "/echo?deflate&client_max_window_bits=8&server_max_window_bits=9&server_no_context_takeover",
            full,
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8",
            ),
        ),
        ("/handshake?deflate&extensions=any;%20thing", plain, Some("any; thing")),
    ] {
        assert_eq!(answer(path, offer).as_deref(), expected, "{path} {offer}");
    }
    for path in ["/echo?server_no_context_takeover", "/echo?deflate&server_max_window_bits=16", "/compressed"]
    {
        assert!(open(path, plain).head.starts_with("HTTP/1.1 400 "), "{path}");
    }
}

#[test]
fn it_inflates_what_comes_and_compresses_what_it_sends() {
    let mut client = open("/echo?deflate&id=deflate-echo&frame=5", "permessage-deflate");
    let mut compress = Compress::new(Compression::new(6), false);
    let text = "twice and twice again and twice".repeat(3);
    for _ in 0..2 {
        client.send(COMPRESSED | TEXT, &deflate(&mut compress, text.as_bytes()));
    }
    client.send(TEXT, "grüße".as_bytes());
    // One decompressor for all: its window is carried over.
    let mut inflate = Decompress::new(false);
    for expected in [text.as_bytes(), text.as_bytes(), "grüße".as_bytes()] {
        let (mut payload, mut opcode) = (Vec::new(), COMPRESSED | TEXT);
        loop {
            let frame = client.receive();
            assert!(frame.opcode == opcode && frame.payload.len() <= 5, "{frame:?}");
            payload.extend(frame.payload);
            opcode = 0;
            if frame.fin {
                break;
            }
        }
        let mut out = Vec::with_capacity(1000);
        payload.extend(TAIL);
        inflate.decompress_vec(&payload, &mut out, FlushDecompress::Sync).unwrap();
        assert_eq!(out, expected);
    }
    client.finish();
    let record = http_get("/record/deflate-echo");
    let inflated = 2 * text.len();
    assert!(record.contains(&format!(" compressed=2 inflated_bytes={inflated} ")), "{record}");
    assert!(record.contains(" violations=0 "), "{record}");
}

#[test]
fn a_window_that_was_to_be_let_go_or_kept_small_is_a_violation() {
    let far: Vec<u8> = (0..6000_u32).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 13) as u8).collect();
    for (query, offer) in [
        ("", "permessage-deflate; client_no_context_takeover"),
        ("&client_max_window_bits=9", "permessage-deflate; client_max_window_bits"),
    ] {
        let id = format!("deflate-violation{}", query.len());
        let mut client = open(&format!("/sink?deflate&id={id}{query}"), offer);
        let mut compress = Compress::new(Compression::new(6), false);
        client.send(COMPRESSED | BINARY, &deflate(&mut compress, &far));
        client.send(COMPRESSED | BINARY, &deflate(&mut compress, &far));
        assert_eq!(client.receive(), Frame::close(1007, ""));
        drop(client);
        assert!(http_get(&format!("/record/{id}")).contains("violation: a compressed message is corrupt"));
    }
}

#[test]
fn compressed_messages_have_the_bytes_of_count() {
    let size = 2_500_000;
    let path = format!("/compressed?deflate&n=2&type=binary&size={size}");
    let mut client = open(&path, "permessage-deflate; server_max_window_bits=8");
    let expected: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    for _ in 0..2 {
        let frames = [client.receive(), client.receive(), client.receive()];
        let heads = frames.each_ref().map(|frame| (frame.fin, frame.opcode));
        assert_eq!(heads, [(false, COMPRESSED | BINARY), (false, 0), (true, 0)]);
        assert!(inflate(&frames.map(|frame| frame.payload).concat()) == expected);
    }
    assert_eq!(client.receive(), Frame::close(1000, ""));
}
