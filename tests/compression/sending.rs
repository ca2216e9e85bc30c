//! What this side compresses, and what goes over the wire; writers that wait.

use super::calls::{abort, statistics};
use super::support::held_up::held_up;
use super::support::peer::Connection;
use super::support::{
    BINARY, Call, Cause, FIN, FOREVER, Frame, MORE, Options, Record, Status, Stream, TEXT, WRITABLE, option,
    server, until,
};
use super::zlib::{
    CLIENT_TAKEOVER, DEFLATE, DEFLATE_LEVEL, DEFLATE_THRESHOLD, Decompressor, NO_COMPRESS, compressing,
    compressing_with, mixture, noise, received, words,
};
use std::time::{Duration, Instant};

/// Data frames that the server received, `write` having written them.
fn recorded(options: &Options, write: impl FnOnce(&Stream)) -> Record {
    let (url, id) = server().recorded("/sink?deflate");
    let stream = Stream::opened_with(&url, options);
    write(&stream);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    server().record(&id).lawful()
}

fn is_data(frame: &&Frame) -> bool {
    frame.opcode != "close"
}

/// RSV1 of each data frame.
fn rsv1(record: &Record) -> Vec<bool> {
    record.frames.iter().filter(is_data).map(|frame| frame.rsv == 4).collect()
}

#[test]
fn messages_below_the_threshold_go_uncompressed() {
    for (threshold, expected) in [
        (None, [false, false, false, true, true, true]),
        (Some(0), [true; 6]),
        (Some(1), [false, true, true, true, true, true]),
        (Some(1000), [false, false, false, false, true, true]),
        (Some(i64::MAX), [false; 6]),
    ] {
        let options = Options::new();
        if let Some(threshold) = threshold {
            assert_eq!(options.set_number(DEFLATE_THRESHOLD, threshold), Status::Ok);
        }
        let record = recorded(&options, |stream| {
            for size in [0, 1, 127, 128, 1000] {
                assert_eq!(stream.write(TEXT, words(0, size).as_bytes(), FOREVER), Status::Ok);
            }
            // In parts it may become as large as any.
            assert_eq!(stream.write_some(TEXT, b"x", 0, FOREVER), Status::Ok);
            assert_eq!(stream.write_some(TEXT, b"", FIN, FOREVER), Status::Ok);
        });
        assert_eq!(rsv1(&record)[..6], expected, "{threshold:?}");
    }
}

// RFC 7692 §7.2.3.6: behind a flush there is nothing to flush.
#[test]
fn empty_messages_are_compressed_where_nothing_is_too_small() {
    for takeover in [0, 1] {
        let options = Options::with(DEFLATE_THRESHOLD, 0).and(CLIENT_TAKEOVER, takeover);
        let stream = Stream::opened_with(&server().url("/echo?deflate"), &options);
        for text in ["", "", "x", "", "", "xx", ""] {
            stream.writes_text(text);
            stream.reads_text(text);
        }
        let record = recorded(&options, |stream| (0..3).for_each(|_| stream.writes_text("")));
        assert_eq!(rsv1(&record), [true; 3]);
        assert!(record.frames.iter().filter(is_data).all(|frame| frame.payload == [0]), "{}", record.text);
    }
}

#[test]
fn without_an_agreement_nothing_is_compressed() {
    let text = words(0, 5000);
    for (path, deflate) in [("/sink", 1), ("/sink?deflate", 0)] {
        let (url, id) = server().recorded(path);
        let stream = Stream::opened_with(&url, &Options::with(DEFLATE, deflate));
        stream.writes_text(&text);
        stream.free();
        let record = server().record(&id).lawful();
        assert_eq!((record.frames[0].rsv, record.frames[0].size), (0, 5000));
    }
}

#[test]
fn a_higher_level_makes_messages_smaller() {
    let data = mixture(1, 60_000);
    let sizes = [1, 6, 9].map(|level| {
        let record = recorded(&Options::with(DEFLATE_LEVEL, level), |stream| {
            assert_eq!(stream.write(BINARY, &data, FOREVER), Status::Ok);
        });
        record.count("payload_bytes")
    });
    assert!(sizes[0] > sizes[1] && sizes[1] >= sizes[2] && sizes[0] < 60_000, "{sizes:?}");
}

#[test]
fn a_message_says_itself_that_it_is_not_to_be_compressed() {
    let data = words(0, 1000);
    let data = data.as_bytes();
    // Parts with their flags, and whether RSV1 is on the first frame.
    let cases: &[(&[(usize, u32)], bool)] = &[
        (&[(1000, FIN)], true),
        (&[(1000, FIN | NO_COMPRESS)], false),
        // A message in parts counts as one that is not small.
        (&[(1, 0), (1, FIN)], true),
        (&[(1, NO_COMPRESS), (999, FIN)], false),
        // The first part says it, and only that.
        (&[(500, 0), (500, FIN | NO_COMPRESS)], true),
        (&[(0, NO_COMPRESS), (1000, FIN)], false),
        (&[(0, 0), (0, 0), (1000, FIN)], true),
        (&[(500, MORE), (0, MORE), (500, FIN)], true),
        // All of a small message.
        (&[(127, FIN)], false),
        (&[(1000, 0), (0, FIN)], true),
    ];
    for (parts, is_compressed) in cases {
        let record = recorded(&Options::new(), |stream| {
            let mut rest = data;
            for (size, flags) in *parts {
                let part;
                (part, rest) = rest.split_at(*size);
                assert_eq!(stream.write_some(BINARY, part, *flags, FOREVER), Status::Ok);
            }
        });
        let seen = rsv1(&record);
        assert_eq!(seen[0], *is_compressed, "{parts:?}");
        assert!(seen[1..].iter().all(|rsv1| !rsv1), "{parts:?}");
        let size: usize = parts.iter().map(|(size, _)| size).sum();
        assert_eq!(record.count("inflated_bytes"), if *is_compressed { size as u64 } else { 0 }, "{parts:?}");
    }
}

#[test]
fn messages_in_parts_of_any_size_come_back() {
    let stream = Stream::opened(&server().url("/echo?deflate"));
    for round in 0..30_u64 {
        let picks = noise(round, 64);
        let (kind, data) = match round % 2 {
            0 => (TEXT, words(round, 20_000).into_bytes()),
            _ => (BINARY, mixture(round, 20_000)),
        };
        let mut rest = data.as_slice();
        let mut flags = if picks[0] % 4 == 0 { NO_COMPRESS } else { 0 };
        for pick in picks.iter().map(|pick| usize::from(*pick)) {
            // Parts end where they like, inside characters too.
            let size = [0, 1, 5 * pick, 1][pick % 4].min(rest.len());
            let part;
            (part, rest) = rest.split_at(size);
            let more = if pick % 3 == 0 { MORE } else { 0 };
            assert_eq!(stream.write_some(kind, part, flags | more, FOREVER), Status::Ok);
            flags = 0;
        }
        assert_eq!(stream.write_some(kind, rest, FIN, FOREVER), Status::Ok);
        let message = stream.read(FOREVER).unwrap_or_else(|_| panic!("{:?}", stream.wait_closed(0)));
        assert!(message.kind() == kind && message.bytes() == data, "round {round}");
    }
}

#[test]
fn the_window_is_kept_over_messages_that_are_not_compressed() {
    let (stream, mut connection) = compressing();
    let mut decompressor = Decompressor::new();
    let data = noise(7, 1000);
    // A compressor that is not used for a second is given back: on a machine that stood still it is tried again.
    loop {
        assert_eq!(stream.write(BINARY, &data, FOREVER), Status::Ok);
        assert_eq!(stream.write(TEXT, b"small", FOREVER), Status::Ok);
        assert_eq!(stream.write_some(BINARY, &noise(8, 2000), FIN | NO_COMPRESS, FOREVER), Status::Ok);
        assert_eq!(stream.write(BINARY, &data, FOREVER), Status::Ok);
        let first = received(&mut connection);
        assert!(first.0 && decompressor.message(&first.1) == data);
        assert_eq!(received(&mut connection), (false, b"small".to_vec()));
        assert_eq!(received(&mut connection), (false, noise(8, 2000)));
        let (is_compressed, payload) = received(&mut connection);
        assert!(is_compressed && decompressor.message(&payload) == data);
        if payload.len() < 100 {
            return;
        }
    }
}

#[test]
fn a_compressor_that_is_used_is_kept_whatever_else_the_stream_has_to_do() {
    let (stream, mut connection) = compressing_with(&Options::with(option::PING_INTERVAL_MS, 20), "");
    let data = noise(7, 1000);
    let (begun, mut last) = (Instant::now(), None);
    while begun.elapsed() < Duration::from_secs(2) {
        let now = Instant::now();
        assert_eq!(stream.write(BINARY, &data, FOREVER), Status::Ok);
        let (is_compressed, payload) = received(&mut connection);
        // One that is not used for a second is given back: a machine may have stood still.
        let is_late =
            last.replace(now).is_none_or(|last: Instant| last.elapsed() > Duration::from_millis(900));
        assert!(is_compressed && (is_late || payload.len() < 100), "{} bytes", payload.len());
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn without_takeover_each_message_stands_alone() {
    for (options, answer) in [
        (Options::with(CLIENT_TAKEOVER, 0), ""),
        (Options::with(CLIENT_TAKEOVER, 0), "; client_no_context_takeover"),
        (Options::new(), "; client_no_context_takeover"),
    ] {
        let (stream, mut connection) = compressing_with(&options, answer);
        let data = noise(7, 1000);
        for _ in 0..3 {
            assert_eq!(stream.write(BINARY, &data, FOREVER), Status::Ok);
            let (is_compressed, payload) = received(&mut connection);
            assert!(is_compressed && Decompressor::new().message(&payload) == data);
        }
    }
}

#[test]
fn a_large_compressed_message_leaves_in_frames_so_that_pongs_go_between() {
    let record = recorded(&Options::new(), |stream| {
        assert_eq!(stream.write(BINARY, &mixture(0, (1 << 20) + 1), FOREVER), Status::Ok);
    });
    assert_eq!(rsv1(&record), [true, false, false, false, false]);
    let fin: Vec<_> = record.frames.iter().filter(is_data).map(|frame| frame.fin).collect();
    assert_eq!(fin, [false, false, false, false, true]);
}

#[test]
fn statistics_count_payload_before_compression_and_the_wire_after() {
    let text = "again and ".repeat(1000);
    let stream = Stream::opened(&server().url("/echo?deflate"));
    let before = statistics(&stream);
    for _ in 0..2 {
        stream.writes_text(&text);
        stream.reads_text(&text);
    }
    let after = statistics(&stream);
    assert_eq!((after.messages_sent, after.payload_sent), (2, 20_000));
    assert_eq!((after.messages_received, after.payload_received), (2, 20_000));
    let wire = [after.wire_sent - before.wire_sent, after.wire_received - before.wire_received];
    assert!(wire.iter().all(|bytes| (10..2000).contains(bytes)), "{wire:?}");
    assert_eq!((after.unread, after.unread_messages, after.unsent), (0, 0, 0));
}

/// Reads the messages that are expected, which are these.
fn takes(connection: &mut Connection, decompressor: &mut Decompressor, expected: &[Vec<u8>]) {
    for (index, data) in expected.iter().enumerate() {
        let (is_compressed, payload) = received(connection);
        let payload = if is_compressed { decompressor.message(&payload) } else { payload };
        assert!(payload == *data, "message {index} of {} bytes, {} came", data.len(), payload.len());
    }
}

// Rows: W06, W08, B06
#[test]
fn messages_to_a_peer_that_does_not_read_are_queued_to_the_mark_and_none_is_lost_or_doubled() {
    for timeout in [0, 3] {
        let options = Options::with(option::WRITE_BUFFER_SIZE, 100_000);
        let (stream, mut connection) = compressing_with(&options, "");
        let mut taken = Vec::new();
        let mut refused = 0;
        for index in 0_u64.. {
            let data = noise(index, [200, 300_000, 70_000, 1_300_000][index as usize % 4]);
            match stream.write(BINARY, &data, timeout) {
                Status::Ok => {
                    assert!(statistics(&stream).unsent <= 100_000);
                    taken.push(data);
                }
                Status::Queued => taken.push(data),
                status => {
                    assert_eq!(status, Status::Again);
                    // What the system takes meanwhile makes it less.
                    if statistics(&stream).unsent > 100_000 {
                        refused += 1;
                    }
                }
            }
            let largest = 1_300_000 + 2000;
            assert!(statistics(&stream).unsent <= 100_000 + largest);
            if refused > 5 {
                break;
            }
        }
        assert_eq!(stream.write(TEXT, b"x", 0), Status::Again);
        assert_eq!(stream.poll(WRITABLE, 0), Err(Status::Again));
        let mut decompressor = Decompressor::new();
        takes(&mut connection, &mut decompressor, &taken);
        assert_eq!(stream.write(TEXT, b"the peer has read", FOREVER), Status::Ok);
        takes(&mut connection, &mut decompressor, &[b"the peer has read".to_vec()]);
    }
}

// Rows: W07
#[test]
fn a_compressed_message_waits_until_the_peer_reads() {
    let (stream, mut connection) = compressing();
    let data = noise(3, 7 << 20);
    let (share, copy) = (stream.reference(), data.clone());
    let write = Call::blocked(move || share.write(BINARY, &copy, FOREVER));
    assert!(!write.is_finished());
    assert!(statistics(&stream).unsent < data.len() as u64, "the system has taken some");
    takes(&mut connection, &mut Decompressor::new(), &[data]);
    assert_eq!(write.join(), Status::Ok);
    assert_eq!(statistics(&stream).unsent, 0);
}

// Rows: W16
#[test]
fn a_time_that_is_over_within_a_compressed_message_leaves_the_stream_whole() {
    let (stream, mut connection) = compressing();
    let large = noise(3, 7 << 20);
    let mut decompressor = Decompressor::new();
    assert_eq!(stream.write(BINARY, &large, 20), Status::Queued);
    assert_eq!(stream.write(TEXT, b"not taken", 1), Status::Again);
    let (share, text) = (stream.reference(), words(5, 3000).into_bytes());
    let copy = text.clone();
    let write = Call::blocked(move || share.write(TEXT, &copy, FOREVER));
    takes(&mut connection, &mut decompressor, &[large.clone(), text]);
    assert_eq!(write.join(), Status::Ok);
    // In parts.
    assert_eq!(stream.write_some(BINARY, b"begun", 0, FOREVER), Status::Ok);
    assert_eq!(stream.write_some(BINARY, &large, 0, 1), Status::Queued);
    assert_eq!(stream.write_some(BINARY, b"not taken", FIN, 1), Status::Again);
    let share = stream.reference();
    let write = Call::blocked(move || share.write_some(BINARY, b"ended", FIN, FOREVER));
    takes(&mut connection, &mut decompressor, &[[b"begun", large.as_slice(), b"ended"].concat()]);
    assert_eq!(write.join(), Status::Ok);
}

// Rows: C17
#[test]
fn a_compressed_message_that_was_taken_goes_before_the_close() {
    let (stream, mut connection) = compressing();
    let data = noise(3, 7 << 20);
    assert_eq!(stream.write(BINARY, &data, 0), Status::Queued);
    assert_eq!(stream.close(4000, ""), Status::Ok);
    takes(&mut connection, &mut Decompressor::new(), &[data]);
    let close = connection.receive().expect("a Close");
    assert_eq!((close.first, close.payload.as_slice()), (0x88, &4000_u16.to_be_bytes()[..]));
    connection.send(&super::support::peer::frame(0x88, &4000_u16.to_be_bytes()));
    drop(connection);
    assert_eq!(stream.closed_cleanly().code, 4000);
}

// Rows: C17
#[test]
fn a_close_follows_the_message_that_is_being_compressed() {
    let options = Options::with(DEFLATE_LEVEL, 9).and(option::CLOSE_TIMEOUT_MS, 0);
    let (stream, mut connection) = compressing_with(&options, "");
    let data = mixture(7, 4 << 20);
    let (share, copy) = (stream.reference(), data.clone());
    let write = Call::begun(move || share.write(BINARY, &copy, 0));
    until(|| statistics(&stream).unsent > 0);
    assert_eq!(stream.close(4000, ""), Status::Ok);
    let mut payload = Vec::new();
    let close = loop {
        let frame = connection.receive().expect("a frame");
        if frame.first & 0x08 != 0 {
            break frame;
        }
        payload.extend(frame.payload);
    };
    assert_eq!((close.first, close.payload.as_slice()), (0x88, &4000_u16.to_be_bytes()[..]));
    assert!(Decompressor::new().message(&payload) == data, "it is whole");
    assert!(matches!(write.join(), Status::Ok | Status::Queued));
}

#[test]
fn an_abort_within_a_compressed_message_ends_the_stream() {
    let (stream, mut connection) = compressing();
    assert_eq!(stream.write_some(BINARY, &noise(3, 1000), 0, FOREVER), Status::Ok);
    assert_eq!(abort(&stream, 4001, ""), Status::Ok);
    assert_eq!(connection.receive().expect("a part").first, 0x42);
    assert_eq!(connection.receive().expect("a Close").first, 0x88);
}

// Rows: K08, W17
#[test]
fn the_peers_close_goes_unanswered_inside_a_frame_that_compression_has_made_larger_than_a_piece() {
    let options = Options::with(option::WRITE_BUFFER_SIZE, 65536);
    let (stream, mut connection) = compressing_with(&options, "");
    let write_one =
        || assert_eq!(stream.write_some(BINARY, &noise(1, 1000), FIN | NO_COMPRESS, 0), Status::Ok);
    // Until the system takes not a byte more: the peer's tells what it has taken up to 200 ms later.
    loop {
        while statistics(&stream).unsent < 2000 {
            write_one();
        }
        std::thread::sleep(Duration::from_millis(300));
        let before = statistics(&stream).unsent;
        write_one();
        if statistics(&stream).unsent == before + 1008 {
            break;
        }
    }
    let share = stream.reference();
    let (write, held_up) =
        held_up(move || share.write(BINARY, &noise(9, 65536), FOREVER)).expect("the system takes no more");
    // The socket has room again, but the writer does not know.
    connection.take_what_is_here();
    connection.send(&super::support::peer::frame(0x88, &1000_u16.to_be_bytes()));
    let info = stream.closed_uncleanly();
    assert_eq!((info.code, info.cause, info.sent_code), (1000, Cause::Unsent, 0), "{info:?}");
    drop(held_up);
    assert_eq!(write.join(), Status::State);
}

#[test]
fn nobody_waits_for_the_whole_of_a_large_message_that_is_compressed() {
    let (stream, _connection) = compressing_with(&Options::with(DEFLATE_LEVEL, 9), "");
    let data = mixture(7, 16 << 20);
    let share = stream.reference();
    let write = Call::begun(move || share.write(BINARY, &data, 0));
    let mut seen = std::collections::BTreeSet::new();
    while !write.is_finished() {
        seen.insert(statistics(&stream).unsent);
    }
    assert_eq!(write.join(), Status::Queued);
    // It leaves in 64 frames.
    assert!(seen.len() > 8, "what is unsent was told {} times", seen.len());
}
