//! Random frames cut at random say the same as whole ones; random bytes do no harm.

use super::super::handshake::{Progress, ResponseReader};
use super::*;

fn random_text(random: &mut Random, size: usize) -> Vec<u8> {
    let characters = ['a', 'b', ' ', '\u{E9}', '\u{20AC}', '\u{1F600}'];
    let mut text = String::new();
    while text.len() < size {
        text.push(characters[random.below(characters.len())]);
    }
    text.into_bytes()
}

fn random_size(random: &mut Random) -> usize {
    match random.below(8) {
        0 => 0,
        1..=4 => random.below(126),
        5 | 6 => random.below(2000),
        _ => 65_500 + random.below(100),
    }
}

/// Legal messages, fragmented at any byte, with control frames anywhere between; and what they are.
fn random_conversation(random: &mut Random) -> (Vec<u8>, Vec<Seen>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..1 + random.below(6) {
        let size = random_size(random);
        let (opcode, kind, payload) = match random.below(2) {
            0 => (TEXT, Kind::Text, random_text(random, size)),
            _ => (BINARY, Kind::Binary, random.bytes(size)),
        };
        let mut rest = &payload[..];
        let mut next = opcode;
        for _ in 0..random.below(4) {
            let (fragment, after) = rest.split_at(random.below(rest.len() + 1));
            bytes.extend(frame(false, next, fragment));
            (rest, next) = (after, CONTINUATION);
            if random.below(3) == 0 {
                let size = random.below(126);
                let body = random.bytes(size);
                bytes.extend(frame(true, PING, &body));
                expected.push(Seen::Ping(body));
            }
        }
        bytes.extend(frame(true, next, rest));
        expected.push(Seen::Message(kind, payload));
    }
    (bytes, expected)
}

#[test]
fn random_conversations_cut_at_random_arrive_as_they_were_sent() {
    let mut random = Random::new(2);
    for _ in 0..300 {
        let (bytes, expected) = random_conversation(&mut random);
        let manner = Manner::Random(random.clone());
        assert_eq!(Reader::new(0, None, manner).read(&bytes), expected);
    }
}

#[test]
fn random_mistakes_fail_the_same_whole_and_in_pieces() {
    let mut random = Random::new(3);
    for _ in 0..2000 {
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(5) {
            let size = random.below(20);
            let payload =
                if random.below(2) == 0 { random_text(&mut random, size) } else { random.bytes(size) };
            let opcode = [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG][random.below(6)];
            bytes.extend(frame(random.below(4) != 0, opcode, &payload));
        }
        let place = random.below(bytes.len());
        bytes[place] ^= 1 << random.below(8);
        decode_limited(&bytes, 30);
    }
}

#[test]
fn random_bytes_never_panic_and_never_loop() {
    let mut random = Random::new(4);
    for round in 0..5000 {
        let size = random.below(200);
        let mut bytes = random.bytes(size);
        if round % 2 == 0 {
            // Few random bytes begin a legal frame, so help them.
            bytes.splice(0..0, [0x81 + (round / 2 % 2) as u8, random.below(126) as u8]);
        }
        decode_limited(&bytes, 1000);
    }
}

#[test]
fn random_bytes_never_panic_the_response_reader() {
    let mut random = Random::new(5);
    let lines: [&[u8]; 8] = [
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.1 404 Not Found\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\n",
        b"Sec-WebSocket-Accept: x\r\n",
        b"\r\n",
        b"\n",
    ];
    for _ in 0..5000 {
        let mut bytes = lines[random.below(3)].to_vec();
        for _ in 0..random.below(8) {
            bytes.extend_from_slice(lines[random.below(lines.len())]);
        }
        for _ in 0..random.below(3) {
            let place = random.below(bytes.len());
            bytes[place] = random.next() as u8;
        }
        let mut reader = ResponseReader::new("dGhlIHNhbXBsZSBub25jZQ==", vec![], None, 300);
        let mut is_over = false;
        for piece in bytes.chunks(1 + random.below(bytes.len())) {
            let (used, progress) = reader.read(piece);
            assert!(used <= piece.len());
            is_over = progress != Progress::Starved;
            if is_over {
                break;
            }
            assert_eq!(used, piece.len());
        }
        if !is_over {
            reader.end();
        }
    }
}
