//! The claims of the fuzz targets, held on every run for inputs that follow from seeds: legal, changed and hostile ones, which
//! no fuzzer must find first.

use super::super::deflate::Deflater;
use super::{Random, claims, grammar};

/// The bytes that choose, then what they are about.
fn input<const SIZE: usize>(random: &mut Random, rest: &[u8]) -> Vec<u8> {
    [&random.bytes(SIZE), rest].concat()
}

/// Bytes with some repetition in them, or with none.
fn data(random: &mut Random, size: usize) -> Vec<u8> {
    match random.below(3) {
        0 => random.bytes(size),
        1 => (0..size).map(|_| b"abcd"[random.below(4)]).collect(),
        _ => (0..size).map(|at| b"some words "[at % 11]).collect(),
    }
}

fn change(random: &mut Random, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        let place = random.below(bytes.len());
        bytes[place] = random.next() as u8;
    }
}

#[test]
fn any_frames_in_any_pieces_with_any_budget_make_the_same_events() {
    let mut random = Random::new(11);
    for round in 0..900 {
        let bytes = match round % 4 {
            0 => grammar::legal(&mut random),
            1 => grammar::mutated(&mut random),
            _ => grammar::hostile(&mut random),
        };
        if bytes.len() < 2000 {
            claims::frames(&input::<2>(&mut random, &bytes));
        }
    }
}

#[test]
fn any_compressed_messages_in_any_pieces_into_any_room_make_the_same_events() {
    let mut random = Random::new(12);
    for round in 0..240 {
        let mut deflater = Deflater::new(9 + round % 7, 1 + round % 9, true).expect("there is memory");
        let mut messages = Vec::new();
        for _ in 0..1 + random.below(4) {
            let size = random.below(400);
            let mut payload = Vec::new();
            let data = data(&mut random, size);
            deflater.deflate(&data, true, &mut payload).expect("there is memory");
            if random.below(3) == 0 {
                change(&mut random, &mut payload);
            }
            payload.truncate(255);
            messages.extend([random.next() as u8, payload.len() as u8]);
            messages.extend(payload);
        }
        let mut input = input::<3>(&mut random, &messages);
        input[0] &= 0x7F;
        claims::inflate(&input);
    }
}

#[test]
fn what_is_deflated_in_any_parts_is_read_as_it_was() {
    let mut random = Random::new(13);
    for _ in 0..60 {
        let size = random.below(1500);
        let data = data(&mut random, size);
        let mut input = input::<3>(&mut random, &data);
        input[0] |= 0x80;
        claims::inflate(&input);
    }
}

/// Commands that write a message, mostly as it may be: whole or in parts, of which some are empty or end inside a character.
fn writes(random: &mut Random) -> Vec<u8> {
    let text = "na\u{EF}ve \u{20AC} \u{1F600} text".as_bytes();
    let (kind, message) = if random.below(2) == 0 { (0, text.to_vec()) } else { (1, data(random, 40)) };
    let (mut rest, mut commands) = (&message[..], Vec::new());
    let detail = kind | (random.next() as u8 & 0x18);
    if random.below(3) > 0 {
        for _ in 0..1 + random.below(3) {
            let (part, later) = rest.split_at(random.below(rest.len().min(9) + 1));
            commands.extend([2 | detail << 3, part.len() as u8]);
            commands.extend(part);
            rest = later;
        }
    }
    let end = [0, 2, 2, 2, 4, 6][random.below(6)];
    commands.extend([2 | (detail | end) << 3, rest.len() as u8]);
    commands.extend(rest);
    commands
}

#[test]
fn any_commands_and_any_input_keep_a_connection_to_the_rules() {
    let mut random = Random::new(14);
    for round in 0..700 {
        let mut script = Vec::new();
        for _ in 0..random.below(12) {
            match random.below(4) {
                0 => {
                    let bytes = match random.below(3) {
                        0 => grammar::legal(&mut random),
                        1 => grammar::mutated(&mut random),
                        _ => grammar::hostile(&mut random),
                    };
                    for piece in bytes.chunks(255).take(8) {
                        script.extend([1, piece.len() as u8]);
                        script.extend(piece);
                    }
                }
                1 => script.extend(writes(&mut random)),
                _ => script.extend(random.bytes(2)),
            }
        }
        let mut input = input::<3>(&mut random, &script);
        input[0] |= if round % 8 == 0 { 0 } else { 2 };
        claims::connection(&input);
    }
}

#[test]
fn any_answer_to_the_handshake_in_any_pieces_comes_to_the_same() {
    let mut random = Random::new(15);
    let lines = [
        "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\n",
        "Upgrade: websocket\r\n",
        "Connection: keep-alive,Upgrade\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
        "Sec-WebSocket-Protocol: chat\r\n",
        " folded\r\n",
        "\r\n",
    ];
    let accept = format!("Sec-WebSocket-Accept: {}\r\n", claims::ACCEPT);
    for _ in 0..1500 {
        let mut answer = lines[0].to_owned();
        for _ in 0..random.below(6) {
            answer.push_str(lines[random.below(lines.len())]);
        }
        if random.below(2) == 0 {
            answer =
                [lines[0], lines[3], lines[4], &accept, &answer[lines[0].len()..], "\r\nbehind"].concat();
        }
        let mut answer = answer.into_bytes();
        if random.below(2) == 0 {
            change(&mut random, &mut answer);
        }
        claims::response(&input::<4>(&mut random, &answer));
    }
}

#[test]
fn any_answer_to_an_offer_keeps_to_it() {
    let mut random = Random::new(16);
    let words = [
        "permessage-deflate",
        "; server_no_context_takeover",
        "; client_no_context_takeover",
        ";server_max_window_bits=",
        "; client_max_window_bits = ",
        "8",
        "12",
        "\"15\"",
        "\"\\9\"",
        ", ",
        " ",
        "; Client_Max_Window_Bits=10",
        "x",
    ];
    for _ in 0..6000 {
        let mut answer = if random.below(8) == 0 { String::new() } else { words[0].to_owned() };
        for _ in 0..random.below(7) {
            answer.push_str(words[random.below(words.len())]);
        }
        claims::extensions(&input::<2>(&mut random, answer.as_bytes()));
    }
}
