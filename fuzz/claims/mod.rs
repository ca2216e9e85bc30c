//! What must hold for any bytes at all: one function for each fuzz target. The fuzzer calls them, the committed corpora are
//! replayed through them as ordinary tests, and random bytes go through them on every run of the core's tests.
//!
//! Each input begins with some bytes that choose (limits, offers, how it is cut); the rest is what a server says. Where
//! something does not hold, they panic.

mod connection;
pub mod reader;

use crate::proto::deflate::Deflater;
use crate::proto::failure::Cause;
use crate::proto::handshake::{Agreement, BODY_SIZE_MAX, Offer, Progress, Refusal, Response, ResponseReader};
use crate::proto::opcode::Kind;
pub use connection::connection;
use reader::{Choices, Manner, Reader, Seen};

/// RFC 6455 §1.3, the example; so an input may bring the answer that accepts.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What answers it.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const RSV1: u8 = 0x40;
/// A message of one byte in a block without compression.
const STORED: &[u8] = &[0x00, 0x01, 0x00, 0xFE, 0xFF, b'x', 0x00];

/// An offer of all that two bytes can choose.
pub fn offer(first: u8, second: u8) -> Offer {
    Offer {
        client_window_bits: 9 + first % 7,
        server_window_bits: 8 + second % 8,
        client_context_takeover: first & 0x80 == 0,
        server_context_takeover: second & 0x80 == 0,
    }
}

/// The answer to the handshake, in any pieces, comes to the same; what is accepted has all that accepts and nothing that was not
/// asked for.
pub fn response(input: &[u8]) {
    let Some((&[options, first, second, seed], answer)) = input.split_first_chunk() else { return };
    let offered = (options & 1 != 0).then(|| offer(first, second));
    let protocols =
        if options & 2 != 0 { vec!["chat".to_owned(), "superchat".to_owned()] } else { Vec::new() };
    let limit = [1 << 16, 1000, 200, 40][usize::from(options >> 6)];
    let reader = || ResponseReader::new(KEY, protocols.clone(), offered, limit);

    let mut choices = Choices::new(u64::from(seed));
    let whole = outcome(reader(), answer, |rest| rest);
    let bytewise = outcome(reader(), answer, |_| 1);
    assert_eq!(bytewise, whole, "one byte at a time differs from whole");
    let random = outcome(reader(), answer, |rest| choices.size(rest).min(rest));
    assert_eq!(random, whole, "pieces differ from whole");

    let Answered::Accepted(used, response) = whole else { return };
    assert!(used <= limit && answer[..used].ends_with(b"\n"));
    assert_eq!(response.status, 101);
    assert!(response.headers.iter().any(|(_, value)| value.trim_ascii() == ACCEPT.as_bytes()));
    assert_eq!(response.protocol.is_empty(), protocols.is_empty());
    assert!(response.protocol.is_empty() || protocols.contains(&response.protocol));
    assert_eq!(response.extensions.is_empty(), response.deflate.is_none());
    match (offered, response.deflate) {
        (Some(_), None) => {}
        (None, None) => {
            let is_extension = |name: &str| name.eq_ignore_ascii_case("Sec-WebSocket-Extensions");
            let mut chosen = response.headers.iter().filter(|(name, _)| is_extension(name));
            assert!(
                chosen.all(|(_, value)| value.trim_ascii().is_empty()),
                "an extension that was not offered"
            );
        }
        (Some(offer), Some(agreement)) => assert_kept(&offer, &agreement),
        (None, Some(agreement)) => panic!("{agreement:?} without an offer"),
    }
}

/// What a response comes to, but for what depends on its pieces: the body of a refusal, and how much a sentence quotes.
#[derive(Debug, PartialEq)]
enum Answered {
    Accepted(usize, Response),
    Refused(u16, Cause, Vec<(String, Vec<u8>)>),
    Unfinished(bool, u16, Cause),
}

fn outcome(mut reader: ResponseReader, answer: &[u8], mut piece: impl FnMut(usize) -> usize) -> Answered {
    let mut position = 0;
    while position < answer.len() {
        let input = &answer[position..][..piece(answer.len() - position)];
        let (used, progress) = reader.read(input);
        assert!(used <= input.len());
        assert!(used == input.len() || matches!(progress, Progress::Accepted(_)), "input left");
        position += used;
        match progress {
            Progress::Starved => {}
            Progress::Accepted(response) => return Answered::Accepted(position, response),
            Progress::Refused(Refusal { status, cause, detail, headers, body }) => {
                assert!(!detail.is_empty() && body.len() <= BODY_SIZE_MAX);
                assert!(body.len() == BODY_SIZE_MAX || input.ends_with(&body));
                return Answered::Refused(status, cause, headers);
            }
        }
    }
    let is_refused = reader.is_refused();
    let Refusal { status, cause, .. } = reader.end();
    Answered::Unfinished(is_refused, status, cause)
}

/// Frames in any pieces, with any budget, make the same events.
pub fn frames(input: &[u8]) {
    let Some((&[limit, seed], bytes)) = input.split_first_chunk() else { return };
    let limit = [0, 1 << 16, 125, 20][usize::from(limit % 4)];
    read_in_any_manner(bytes, limit, None, seed);
}

/// What the input comes to, in whatever pieces.
pub fn read_in_any_manner(input: &[u8], limit: u64, agreement: Option<&Agreement>, seed: u8) -> Vec<Seen> {
    let read = |manner| Reader::new(limit, agreement, manner).read(input);
    let whole = read(Manner::Whole);
    let mut choices = Choices::new(u64::from(seed));
    let random = || Manner::Random(Choices::new(choices.below(1 << 30) as u64));
    let other = [Manner::Bytewise, Manner::Poor];
    for manner in other.into_iter().chain(std::iter::repeat_with(random).take(2)) {
        let shown = manner.clone();
        let seen = read(manner);
        assert!(seen == whole, "{shown:?}: {seen:?}\nwhole: {whole:?}");
    }
    whole
}

/// An answer to any offer agrees on nothing that was not offered, whatever else it says.
pub fn extensions(input: &[u8]) {
    let Some((&[first, second], answer)) = input.split_first_chunk() else { return };
    let offer = offer(first, second);
    // The offer itself keeps to the offer, but where it leaves a value to the server.
    let own = offer.judge(offer.header().as_bytes());
    assert_eq!(own.is_ok(), offer.client_window_bits < 15, "{own:?}");

    let judge = |pieces: &[&[u8]]| offer.judge(&pieces.concat());
    let judged = judge(&[answer]);
    assert_eq!(
        judge(&[b" ,\t", answer, b" "]).ok(),
        judged.clone().ok(),
        "blanks and empty elements mean nothing"
    );
    match judged {
        Err(detail) => assert!(detail.ends_with('.'), "{detail}"),
        Ok(None) => {
            assert!(answer.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b','), "{answer:?}")
        }
        Ok(Some(agreement)) => {
            assert_kept(&offer, &agreement);
            // RFC 7692 §7.1: nothing unknown, nothing twice; RFC 6455 §4.1: no extension that was not offered.
            for more in [
                "; unknown",
                "; client_no_context_takeover; client_no_context_takeover",
                ", unknown",
                ", permessage-deflate",
            ] {
                let more = judge(&[answer, more.as_bytes()]);
                assert!(more.is_err(), "{answer:?} and more: {more:?}");
            }
            let mut header = "permessage-deflate".to_owned();
            let mut put = |is_said: bool, parameter: String| {
                if is_said {
                    header.push_str(&format!("; {parameter}"))
                }
            };
            put(!agreement.server_context_takeover, "server_no_context_takeover".to_owned());
            put(!agreement.client_context_takeover, "client_no_context_takeover".to_owned());
            put(true, format!("server_max_window_bits={}", agreement.server_window_bits));
            put(true, format!("client_max_window_bits={}", agreement.client_window_bits.unwrap_or(8)));
            assert_eq!(offer.judge(header.as_bytes()), Ok(Some(agreement)), "{header}");
        }
    }
}

fn assert_kept(offer: &Offer, agreement: &Agreement) {
    assert!((8..=offer.server_window_bits).contains(&agreement.server_window_bits));
    assert!(agreement.client_window_bits.is_none_or(|bits| (9..=offer.client_window_bits).contains(&bits)));
    assert!(offer.client_context_takeover || !agreement.client_context_takeover);
    assert!(offer.server_context_takeover || !agreement.server_context_takeover);
}

/// Compressed messages of any payload come to the same in any pieces, with any budget, into any room, and to no more than the
/// limit; what is not compressed goes between them. Or, where the first byte says so: what our deflater makes of the input
/// is read as it was.
pub fn inflate(input: &[u8]) {
    let Some((&[options, limit, seed], bytes)) = input.split_first_chunk() else { return };
    let agreement = Agreement {
        client_window_bits: None,
        server_window_bits: 8 + options % 8,
        client_context_takeover: true,
        server_context_takeover: options & 0x10 != 0,
    };
    if options & 0x80 != 0 {
        return deflate(bytes, &agreement, 1 + limit % 9, seed);
    }
    let limit = [1 << 16, 5000, 100, 1][usize::from(limit % 4)];
    let messages = compressed_messages(bytes);
    let mut all = messages.concat();
    // The last bytes may be missing.
    let missing = if seed & 4 != 0 { usize::from(seed >> 3) } else { 0 };
    all.truncate(all.len().saturating_sub(missing));
    let seen = read_in_any_manner(&all, limit, Some(&agreement), seed);
    for seen in &seen {
        if let Seen::Message(_, bytes) | Seen::Unfinished(_, bytes) = seen {
            assert!(bytes.len() as u64 <= limit, "{} bytes, but the limit is {limit}", bytes.len());
        }
    }
    if missing > 0 {
        return;
    }
    if !seen.iter().any(|seen| matches!(seen, Seen::Fail(_))) {
        // RFC 7692 §7.2.2: what was given out has ended where a block ends, so the next message is read whatever came before.
        let next = [&all[..], &server_frame(0x80 | RSV1 | 2, STORED)].concat();
        let next = Reader::new(limit, Some(&agreement), Manner::Whole).read(&next);
        let (last, before) = next.split_last().expect("a message");
        assert!(before == seen && *last == Seen::Message(Kind::Binary, b"x".to_vec()), "{next:?}");
    }
    if !agreement.server_context_takeover {
        // RFC 7692 §7.1.1.1: no message refers to one before, so each is read as if it were the only one.
        let alone = |message: &Vec<u8>| Reader::new(limit, Some(&agreement), Manner::Whole).read(message);
        let mut each: Vec<_> = messages.iter().flat_map(alone).collect();
        let failed = each.iter().position(|seen| matches!(seen, Seen::Fail(_)));
        each.truncate(failed.map_or(each.len(), |place| place + 1));
        assert!(seen == each, "{seen:?}\nbut each alone: {each:?}");
    }
}

/// Each message says what it is and how long; its payload goes to one frame or two.
fn compressed_messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut messages, mut rest) = (Vec::new(), bytes);
    while let Some((&[shape, size], behind)) = rest.split_first_chunk() {
        let (payload, behind) = behind.split_at(usize::from(size).min(behind.len()));
        rest = behind;
        let (fragment, after) = payload.split_at((usize::from(shape >> 3) * 8).min(payload.len()));
        let opcode = (1 + (shape & 1)) | if shape & 2 == 0 { RSV1 } else { 0 };
        messages.push(match shape & 4 {
            0 => server_frame(0x80 | opcode, payload),
            _ => [server_frame(opcode, fragment), server_frame(0x80, after)].concat(),
        });
    }
    messages
}

fn deflate(bytes: &[u8], agreement: &Agreement, level: u8, seed: u8) {
    let mut choices = Choices::new(u64::from(seed));
    let agreement = Agreement { server_window_bits: agreement.server_window_bits.max(9), ..*agreement };
    let Agreement { server_window_bits: bits, server_context_takeover: takeover, .. } = agreement;
    let mut deflater = Deflater::new(bits, level, takeover).expect("there is memory");
    let (mut sent, mut expected, mut rest) = (Vec::new(), Vec::new(), bytes);
    while !rest.is_empty() {
        let (message, behind) = rest.split_at(choices.below(rest.len() + 1));
        rest = behind;
        expected.push(Seen::Message(Kind::Binary, message.to_vec()));
        let (mut part, mut first) = (message, RSV1 | 2);
        loop {
            let (now, later) = part.split_at(choices.size(part.len()).min(part.len()));
            let fin = later.is_empty();
            let mut payload = Vec::new();
            deflater.deflate(now, fin, &mut payload).expect("there is memory");
            assert!(!payload.is_empty());
            if fin && choices.below(3) == 0 {
                // RFC 7692 §7.2.3.4: what follows is another stream, which may refer to this one.
                payload.extend([0, 0, 0xFF, 0xFF, 0x03, 0x00, 0x00]);
            }
            sent.extend(server_frame(u8::from(fin) << 7 | first, &payload));
            (part, first) = (later, 0);
            if fin {
                break;
            }
        }
        if rest.len() < 3 {
            break;
        }
    }
    let seen = read_in_any_manner(&sent, 0, Some(&agreement), seed);
    assert!(seen == expected, "{seen:?}\nbut what went in is {expected:?}");
}

/// A frame as a server sends it, the length as short as it can be.
pub fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let size = payload.len();
    let length = match size {
        0..=125 => vec![size as u8],
        126..=0xFFFF => [&[126], &(size as u16).to_be_bytes()[..]].concat(),
        _ => [&[127], &(size as u64).to_be_bytes()[..]].concat(),
    };
    [&[first], &length[..], payload].concat()
}
