//! The incremental validator against the standard library.

use super::super::utf8::{Invalid, Utf8, is_valid};
use super::Random;

fn feed_bytewise(bytes: &[u8]) -> Result<Utf8, usize> {
    let mut utf8 = Utf8::new();
    for (place, byte) in bytes.iter().enumerate() {
        utf8.feed(&[*byte]).map_err(|Invalid| place)?;
    }
    Ok(utf8)
}

#[test]
fn every_character_is_accepted_however_it_is_cut() {
    for character in (0..=0x10_FFFF).filter_map(char::from_u32) {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        assert!(is_valid(bytes));
        for cut in 0..=bytes.len() {
            let mut utf8 = Utf8::new();
            utf8.feed(&bytes[..cut]).unwrap();
            assert_eq!(utf8.is_complete(), cut == 0 || cut == bytes.len(), "{character:?} cut at {cut}");
            utf8.feed(&bytes[cut..]).unwrap();
            assert!(utf8.is_complete());
        }
    }
}

#[test]
fn a_byte_that_cannot_go_on_is_refused_at_once() {
    for (bytes, place) in [
        (&b"\x80"[..], 0),
        (b"\xBF", 0),
        (b"\xC0", 0),
        (b"\xC1", 0),
        (b"\xF5", 0),
        (b"\xFF", 0),
        (b"\xC2\x41", 1),
        (b"\xE0\x9F", 1),
        (b"\xED\xA0", 1),
        (b"\xF0\x8F", 1),
        (b"\xF4\x90", 1),
        (b"\xE2\x82\x41", 2),
        (b"\xF0\x9F\x98\xC0", 3),
        (b"ab\xE2\x82\xAC\xFE", 5),
    ] {
        assert_eq!(feed_bytewise(bytes), Err(place), "{bytes:x?}");
        assert_eq!(Utf8::new().feed(bytes), Err(Invalid), "{bytes:x?}");
        assert!(!is_valid(bytes));
    }
}

#[test]
fn every_sequence_of_four_bytes_at_the_edges_agrees_with_the_standard_library() {
    // One byte on each side of every edge in the table of well-formed sequences.
    const EDGES: [u8; 24] = [
        0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
        0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
    ];
    let count = EDGES.len();
    for number in 0..count.pow(4) {
        let bytes = [1, count, count.pow(2), count.pow(3)].map(|unit| EDGES[number / unit % count]);
        let mut utf8 = Utf8::new();
        let is_fine = bytes.iter().try_for_each(|byte| utf8.feed(&[*byte])).is_ok() && utf8.is_complete();
        assert_eq!(is_fine, std::str::from_utf8(&bytes).is_ok(), "{bytes:x?}");
    }
}

#[test]
fn one_bad_byte_is_found_at_every_place_of_every_size() {
    for size in 1..=140 {
        let mut bytes = vec![b'a'; size];
        assert!(is_valid(&bytes));
        for place in 0..size {
            bytes[place] = 0x80;
            assert!(!is_valid(&bytes), "{place} of {size}");
            assert_eq!(Utf8::new().feed(&bytes), Err(Invalid), "{place} of {size}");
            bytes[place] = b'a';
        }
    }
}

#[test]
fn bytes_that_are_their_highest_bit_alone_are_no_text() {
    for size in 1..=140 {
        let bytes = vec![0x80; size];
        assert!(!is_valid(&bytes), "{size}");
        assert_eq!(Utf8::new().feed(&bytes), Err(Invalid), "{size}");
    }
}

#[test]
fn random_text_with_a_random_mistake_agrees_with_the_standard_library() {
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let size = random.below(200);
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let character = match random.below(4) {
                0 => char::from_u32(random.below(0x11_0000) as u32).unwrap_or('x'),
                _ => char::from(b'a' + random.below(26) as u8),
            };
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if random.below(2) == 0 && !bytes.is_empty() {
            let place = random.below(bytes.len());
            bytes[place] = random.next() as u8;
        }
        let expected = std::str::from_utf8(&bytes).is_ok();
        assert_eq!(is_valid(&bytes), expected, "{bytes:x?}");
        let mut utf8 = Utf8::new();
        let mut rest = &bytes[..];
        let mut is_fine = true;
        while !rest.is_empty() && is_fine {
            let (piece, after) = rest.split_at(1 + random.below(rest.len()));
            is_fine = utf8.feed(piece).is_ok();
            rest = after;
        }
        assert_eq!(is_fine && utf8.is_complete(), expected, "{bytes:x?}");
    }
}
