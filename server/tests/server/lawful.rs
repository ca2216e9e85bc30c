//! `/echo`, `/count`, `/sink`, `/ping` and what is slow but correct.

use crate::client::*;
use std::io::Write;
use wsstream_test_server::behaviour::count::Pattern;

#[test]
fn echo_returns_texts_and_binaries_of_every_length_form() {
    let mut client = Client::open("/echo");
    for size in [0, 1, 125, 126, 65535, 65536, 300_000] {
        let payload: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        client.send(BINARY, &payload);
        assert_eq!(client.receive(), Frame::new(BINARY, &payload), "{size}");
    }
    client.send(TEXT, "é".as_bytes());
    assert_eq!(client.receive(), Frame::new(TEXT, "é".as_bytes()));
}

#[test]
fn echo_waits_for_the_whole_of_a_fragmented_message_and_answers_pings_inside_it() {
    let mut client = Client::open("/echo");
    client.send_part(false, TEXT, b"one ");
    client.send(PING, b"inside");
    assert_eq!(client.receive(), Frame::new(PONG, b"inside"));
    client.send_part(false, 0, b"two ");
    client.send_part(true, 0, b"three");
    assert_eq!(client.receive(), Frame::new(TEXT, b"one two three"));
}

#[test]
fn echo_takes_bytes_one_by_one_and_many_frames_at_once() {
    let mut client = Client::open("/echo");
    client.stream.set_nodelay(true).unwrap();
    for byte in masked(true, TEXT, &[b'x'; 200]) {
        client.stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.receive(), Frame::new(TEXT, &[b'x'; 200]));
    let many = masked(true, TEXT, b"m").repeat(1000);
    client.stream.write_all(&many).unwrap();
    for _ in 0..1000 {
        assert_eq!(client.receive(), Frame::new(TEXT, b"m"));
    }
}

#[test]
fn echo_answers_close_with_the_same_body_and_ends_tcp() {
    let mut client = Client::open("/echo");
    client.send(CLOSE, &Frame::close(4001, "bye").payload);
    assert_eq!(client.receive(), Frame::close(4001, "bye"));
    assert_eq!(client.rest(), (vec![], End::Fin));
}

#[test]
fn echo_fragments_on_demand() {
    let mut client = Client::open("/echo?frame=2");
    client.send(TEXT, b"abcde");
    assert_eq!(client.receive(), Frame { fin: false, opcode: TEXT, payload: b"ab".to_vec() });
    assert_eq!(client.receive(), Frame { fin: false, opcode: 0, payload: b"cd".to_vec() });
    assert_eq!(client.receive(), Frame { fin: true, opcode: 0, payload: b"e".to_vec() });
}

#[test]
fn tungstenite_understands_the_server() {
    let url = format!("ws://127.0.0.1:{}/echo", server().port());
    let (mut socket, _) = tungstenite::client(url, tcp()).unwrap();
    for message in [tungstenite::Message::text("text"), tungstenite::Message::binary(vec![7; 70_000])] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.close(None).unwrap();
    assert!(socket.read().unwrap().is_close());
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
}

#[test]
fn request_comes_back_as_the_first_message() {
    let mut client = Client::request("/request?id=r", "X-Own: one\r\n");
    let text = String::from_utf8(client.receive().payload).unwrap();
    assert!(text.starts_with("GET /request?id=r HTTP/1.1\r\nHost: test\r\n"), "{text}");
    assert!(text.ends_with("X-Own: one"), "{text}");
}

#[test]
fn count_sends_the_documented_bytes_then_close() {
    for (kind, opcode) in [("text", TEXT), ("binary", BINARY)] {
        let mut client = Client::open(&format!("/count?n=600&size=700&type={kind}&close=4000"));
        let pattern = Pattern::new(kind == "text", 700);
        for index in 0..600 {
            let frame = client.receive();
            assert_eq!(frame, Frame::new(opcode, pattern.message(index)), "{kind} {index}");
            for (at, byte) in frame.payload.iter().enumerate() {
                let (i, j) = (index as usize, at);
                let expected = if kind == "text" { b'a' as usize + (i + j) % 26 } else { (31 * i + j) % 251 };
                assert_eq!(usize::from(*byte), expected);
            }
        }
        assert_eq!(client.receive(), Frame::new(CLOSE, &4000u16.to_be_bytes()));
        client.send(CLOSE, &4000u16.to_be_bytes());
        assert_eq!(client.rest(), (vec![], End::Fin));
    }
}

#[test]
fn count_waits_for_a_message_fragments_and_stays_open_on_demand() {
    let mut client = Client::open("/count?n=1&size=5&frame=3&wait=1&close=none");
    assert!(client.is_silent());
    client.send(TEXT, b"go");
    assert_eq!(client.receive(), Frame { fin: false, opcode: TEXT, payload: b"abc".to_vec() });
    assert_eq!(client.receive(), Frame { fin: true, opcode: 0, payload: b"de".to_vec() });
    assert!(client.is_silent());
}

#[test]
fn count_for_ever_ends_when_the_client_closes() {
    let mut client = Client::open("/count?n=0&size=1000&type=binary&id=count-for-ever");
    client.send(CLOSE, &1000u16.to_be_bytes());
    loop {
        let frame = client.receive();
        if frame.opcode == CLOSE {
            assert_eq!(frame, Frame::new(CLOSE, &1000u16.to_be_bytes()));
            break;
        }
    }
    assert_eq!(client.rest(), (vec![], End::Fin));
    drop(client);
    assert!(http_get("/record/count-for-ever").starts_with("end: fin"));
}

#[test]
fn count_for_ever_ends_when_the_client_vanishes() {
    let mut client = Client::open("/count?n=0&size=1000&id=count-vanish");
    client.receive();
    drop(client);
    assert!(http_get("/record/count-vanish").starts_with("end: reset"));
}

#[test]
fn sink_acknowledges_and_answers_control_frames() {
    let mut client = Client::open("/sink?ack=2");
    for _ in 0..4 {
        client.send(BINARY, &[0; 1000]);
    }
    assert_eq!(client.receive(), Frame::new(TEXT, b"2"));
    assert_eq!(client.receive(), Frame::new(TEXT, b"4"));
    client.send(PING, b"p");
    assert_eq!(client.receive(), Frame::new(PONG, b"p"));
}

#[test]
fn ping_closes_when_all_pongs_have_come() {
    let mut client = Client::open("/ping?n=2&payload=x&close=1000");
    for payload in [b"x0", b"x1"] {
        assert_eq!(client.receive(), Frame::new(PING, payload));
    }
    client.send(PONG, b"x0");
    assert!(client.is_silent());
    client.send(PONG, b"x1");
    assert_eq!(client.receive(), Frame::new(CLOSE, &1000u16.to_be_bytes()));
}

#[test]
fn ping_echo_pings_before_every_message() {
    let mut client = Client::open("/ping_echo?payload_hex=00ff");
    for text in [b"one", b"two"] {
        client.send(TEXT, text);
        assert_eq!(client.receive(), Frame::new(PING, &[0, 255]));
        assert_eq!(client.receive(), Frame::new(TEXT, text));
    }
}

#[test]
fn slow_write_and_slow_read_lose_nothing() {
    let mut client = Client::open("/slow_write?bytes=7&tick_ms=1&message=hello");
    assert_eq!(client.receive(), Frame::new(TEXT, b"hello"));
    client.send(BINARY, &[9; 100]);
    assert_eq!(client.receive(), Frame::new(BINARY, &[9; 100]));

    let mut client = Client::open("/slow_read?bytes=10&tick_ms=1&id=slow-read");
    client.send(BINARY, &[9; 200]);
    client.send(CLOSE, b"");
    assert_eq!(client.receive(), Frame::new(CLOSE, b""));
    drop(client);
    assert!(http_get("/record/slow-read").contains("binary fin=1 masked=1 mask=11223344 rsv=0 size=200"));
}

#[test]
fn flood_repeats_its_bytes_so_often_between_those_before_and_behind() {
    let mut client = Client::open("/flood?hex=820158&n=50000&before=8100&behind=8900&id=flood");
    assert_eq!(client.receive(), Frame::new(TEXT, b""));
    for _ in 0..50_000 {
        assert_eq!(client.receive(), Frame::new(BINARY, b"X"));
    }
    assert_eq!(client.receive(), Frame::new(PING, b""));
    client.send(CLOSE, b"");
    assert_eq!(client.receive(), Frame::new(CLOSE, b""));
    assert_eq!(client.rest(), (vec![], End::Fin));
    drop(client);
    let sent = format!(" sent_bytes={}\n", 129 + 2 + 150_000 + 2 + 2);
    let record = http_get("/record/flood");
    assert!(record.contains(&sent), "{record}");
}

#[test]
fn flood_waits_for_a_message_and_reads_nothing_meanwhile_if_it_is_told_so() {
    let mut client = Client::open("/flood?hex=8100&n=100&wait=1&reads=0");
    assert!(client.is_silent());
    client.send(TEXT, b"go");
    client.send(PING, b"behind");
    for _ in 0..100 {
        assert_eq!(client.receive(), Frame::new(TEXT, b""));
    }
    assert_eq!(client.receive(), Frame::new(PONG, b"behind"));
}

#[test]
fn verify_counts_the_right_messages_and_names_a_wrong_one() {
    let pattern = Pattern::new(false, 300);
    let mut client = Client::open("/verify?size=300&type=binary");
    client.send(BINARY, pattern.message(0));
    client.send_part(false, BINARY, &pattern.message(1)[..100]);
    client.send_part(true, 0, &pattern.message(1)[100..]);
    client.send(CLOSE, b"");
    assert_eq!(client.receive(), Frame::close(1000, "2 messages"));
    let wrong: [(u8, &[u8]); 4] = [
        (BINARY, pattern.message(2)),
        (BINARY, &pattern.message(1)[..299]),
        (BINARY, &[pattern.message(1), b"x"].concat()),
        (TEXT, pattern.message(1)),
    ];
    for (opcode, payload) in wrong {
        let mut client = Client::open("/verify?size=300&type=binary&token=verify");
        client.send(BINARY, pattern.message(0));
        client.send(opcode, payload);
        http_get("/release?token=verify");
        assert_eq!(client.receive(), Frame::close(4000, "message 1 differs"));
    }
}
