//! What compression costs in memory, and that all of it is given back. Each test is a process of its own: bytes are counted for
//! all of it.

use super::calls::{abort, cancel, statistics};
use super::support::alone::alone;
use super::support::heap::{live, live_with_full_pool, more_than};
use super::support::peer::{Connection, Peer, frame};
use super::support::{
    BINARY, Cause, FIN, FOREVER, NO_CODE, Options, Status, Stream, is_secure, option, pattern, server, until,
};
use super::zlib::{
    BINARY_FRAME, CLIENT_WINDOW_BITS, Decompressor, SERVER_WINDOW_BITS, compressed, compressing_to, mixture,
    noise, received, words,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use wsstream::ffi::read::{wsstream_chunk, wsstream_read_some};

/// What the mark is where nothing is set, and what may be held beyond it: chunks, the inflater, a compressor.
const MARK: usize = 512 << 10;
const BEYOND: usize = 1 << 20;

/// What the library keeps for the next stream: chunks, and the tables of the internal thread.
const KEPT: usize = 1 << 20;

/// Looks at what is live until it is dropped.
struct Watch {
    most: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    fn begin() -> Self {
        let (most, is_over) = (Arc::new(AtomicUsize::new(live())), Arc::new(AtomicBool::new(false)));
        let (shared, over) = (Arc::clone(&most), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while !over.load(Relaxed) {
                shared.fetch_max(live(), Relaxed);
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
        });
        Self { most, is_over, thread: Some(thread) }
    }

    fn end(mut self) -> usize {
        self.is_over.store(true, Relaxed);
        self.thread.take().expect("once").join().expect("it ends");
        self.most.load(Relaxed)
    }
}

#[test]
fn a_compressed_message_of_any_size_is_read_in_parts_within_bounded_memory() {
    alone("memory::a_compressed_message_of_any_size_is_read_in_parts_within_bounded_memory", || {
        let size: usize = if is_secure() { 64 << 20 } else { 1 << 30 };
        let url = server().url(&format!("/compressed?deflate&type=binary&size={size}"));
        let options = Options::with(option::MAX_MESSAGE_SIZE, 0);
        let mut buffer = vec![0; 256 << 10];
        let expected = pattern(buffer.len() + 251);
        let before = live();
        let stream = Stream::opened_with(&url, &options);
        let (mut position, mut most) = (0, 0);
        loop {
            let mut part = wsstream_chunk { r#type: 9, flags: 9, size: 9, available: 9 };
            let (data, capacity) = (buffer.as_mut_ptr().cast(), buffer.len());
            // SAFETY: the stream lives, and the buffer has so many bytes.
            let status =
                unsafe { wsstream_read_some(stream.handle(), data, capacity, FOREVER, &raw mut part) };
            assert_eq!(status, 0, "{:?}", stream.wait_closed(0));
            assert!(buffer[..part.size] == expected[position % 251..][..part.size], "at {position}");
            position += part.size;
            most = most.max(live());
            if part.flags == FIN {
                break;
            }
        }
        assert_eq!(position, size);
        println!("{} bytes at most", most - before);
        assert!(most - before < 2 * MARK + BEYOND, "{}", most - before);
        assert_eq!(stream.closed_cleanly().code, 1000);
    });
}

#[test]
fn a_compressed_message_that_nobody_reads_is_held_to_the_mark() {
    alone("memory::a_compressed_message_that_nobody_reads_is_held_to_the_mark", || {
        server();
        let before = live();
        for mark in [64 << 10, MARK] {
            let options =
                Options::with(option::MAX_MESSAGE_SIZE, 0).and(option::READ_BUFFER_SIZE, mark as i64);
            // Several: what a step that goes beyond the mark may hold counts once each.
            for query in ["size=1073741824", "size=2000000&n=500", "size=300&n=100000"] {
                let watch = Watch::begin();
                let stream =
                    Stream::opened_with(&server().url(&format!("/compressed?deflate&{query}")), &options);
                // Each message counts for more than its payload.
                until(|| statistics(&stream).unread >= mark as u64 / 2);
                // Time to go wrong.
                assert_eq!(stream.wait_closed(200).0, Status::Again);
                let most = watch.end() - before;
                println!("{query} with {mark}: {most} bytes at most");
                assert!(most < 2 * mark + BEYOND + KEPT, "{query}: {most}");
                drop(stream);
                until(|| more_than(before) < KEPT);
            }
        }
    });
}

// Rows: F03
#[test]
fn a_bomb_ends_at_the_limit_and_costs_no_more() {
    alone("memory::a_bomb_ends_at_the_limit_and_costs_no_more", || {
        let limit = 1 << 20;
        let options = Options::with(option::MAX_MESSAGE_SIZE, limit as i64);
        let (url, id) = server().recorded("/compressed?deflate&size=1000000000000");
        let before = live();
        let watch = Watch::begin();
        let stream = Stream::opened_with(&url, &options);
        assert_eq!(stream.refused_read(FOREVER), Status::Connection);
        let info = stream.closed_uncleanly();
        assert_eq!((info.cause, info.sent_code), (Cause::TooBig, 1009), "{info:?}");
        let most = watch.end() - before;
        println!("{most} bytes at most");
        assert!(most < 2 * limit + BEYOND, "{most}");
        assert_eq!(server().record(&id).lawful().close().0, "1009");
    });
}

#[test]
fn a_compressor_that_is_not_used_is_given_back_and_the_next_begins_anew() {
    alone("memory::a_compressor_that_is_not_used_is_given_back_and_the_next_begins_anew", || {
        let peer = Peer::of_scheme(None);
        let (stream, mut connection) = compressing_to(&peer, &Options::new(), "");
        let text = words(1, 3000).into_bytes();
        let mut carried = Decompressor::new();
        for _ in 0..2 {
            let before = live();
            assert_eq!(stream.write(BINARY, &text, FOREVER), Status::Ok);
            let (_, payload) = received(&mut connection);
            assert!(carried.message(&payload) == text, "one who keeps the window reads it");
            assert!(Decompressor::new().message(&payload) == text, "it refers to nothing before");
            drop(payload);
            // More than half of it, whatever else is made meanwhile.
            until(|| live() < before + (100 << 10));
        }
        // Within a message it is kept.
        assert_eq!(stream.write_some(BINARY, &text, 0, FOREVER), Status::Ok);
        let first = connection.receive().expect("a part").payload;
        std::thread::sleep(std::time::Duration::from_millis(2500));
        assert_eq!(stream.write_some(BINARY, &text, FIN, FOREVER), Status::Ok);
        let last = connection.receive().expect("a part").payload;
        assert!(last.len() < 200, "it refers to the part before: {}", last.len());
        assert!(carried.message(&[first, last].concat()) == [&text[..], &text].concat());
    });
}

#[test]
fn an_idle_connection_keeps_an_inflater_at_most() {
    alone("memory::an_idle_connection_keeps_an_inflater_at_most", || {
        const COUNT: usize = 20;
        let text = words(1, 5000);
        let used = |query: &str| -> Vec<Stream> {
            let one = |_| {
                let stream = Stream::opened(&server().url(&format!("/echo?deflate{query}")));
                stream.writes_text(&text);
                stream.reads_text(&text);
                stream
            };
            (0..COUNT).map(one).collect()
        };
        drop(used(""));
        until(is_quiet);
        let before = live_with_full_pool();
        for (query, bound) in [("", 100 << 10), ("&server_no_context_takeover", 20 << 10)] {
            let bound = bound + if is_secure() { 40 << 10 } else { 0 };
            let streams = used(query);
            let in_use = more_than(before) / COUNT;
            until(|| more_than(before) / COUNT < bound);
            println!("{query}: {in_use} bytes in use, {} idle", more_than(before) / COUNT);
            drop(streams);
            until(|| more_than(before) < COUNT << 10);
        }
    });
}

#[test]
fn compressing_and_decompressing_cost_what_the_header_says() {
    alone("memory::compressing_and_decompressing_cost_what_the_header_says", || {
        let peer = Peer::of_scheme(None);
        let text = words(1, 3000).into_bytes();
        let is_near = |found: usize, stated: usize| found.abs_diff(stated) <= stated / 20;
        let cost =
            |stated: usize, client_bits: i64, server_bits: i64, used: &dyn Fn(&Stream, &mut Connection)| {
                let options =
                    Options::with(CLIENT_WINDOW_BITS, client_bits).and(SERVER_WINDOW_BITS, server_bits);
                let answer = format!("; server_max_window_bits={server_bits}");
                let (stream, mut connection) = compressing_to(&peer, &options, &answer);
                let before = live_with_full_pool();
                used(&stream, &mut connection);
                // The sweep gives back what was only needed to receive.
                let mut found = 0;
                for _ in 0..20 {
                    found = live_with_full_pool().saturating_sub(before);
                    if is_near(found, stated) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                found
            };
        // The rest of the message is still to come: it is not given back.
        let sends: &dyn Fn(&Stream, &mut Connection) = &|stream, connection| {
            assert_eq!(stream.write_some(BINARY, &text, 0, FOREVER), Status::Ok);
            connection.receive().expect("a part");
        };
        let receives: &dyn Fn(&Stream, &mut Connection) = &|stream, connection| {
            connection.send(&frame(BINARY_FRAME, &compressed(b"hello")));
            assert_eq!(stream.read(FOREVER).expect("a message").bytes(), b"hello");
        };
        for (stated, client_bits, server_bits, used) in [
            (265_000, 12, 15, sends),
            (380_000, 15, 15, sends),
            (48_000 + (32 << 10), 12, 15, receives),
            (48_000 + (1 << 10), 12, 10, receives),
        ] {
            // The internal thread may give something back meanwhile.
            let found: Vec<_> = (0..20).map(|_| cost(stated, client_bits, server_bits, used)).collect();
            assert!(found.iter().any(|found| is_near(*found, stated)), "{stated}: {found:?}");
        }
    });
}

#[test]
fn streams_that_are_freed_or_end_within_compressed_messages_leave_nothing_behind() {
    alone("memory::streams_that_are_freed_or_end_within_compressed_messages_leave_nothing_behind", || {
        let peer = Peer::of_scheme(Some(4096));
        let options = Options::with(option::WRITE_BUFFER_SIZE, 0);
        let large = noise(1, 1 << 20);
        let sent = compressed(&mixture(1, 100_000));
        let round = |end: &dyn Fn(Stream)| {
            let (stream, mut connection) = compressing_to(&peer, &options, "");
            // Inside a message both ways.
            connection.send(&[frame(0x42, &sent[..sent.len() / 2]), frame(0x89, b"")].concat());
            assert_eq!(connection.receive().expect("a pong").first, 0x8A);
            assert_eq!(stream.write_some(BINARY, &large[..1000], 0, FOREVER), Status::Ok);
            while stream.write_some(BINARY, &large, 0, 0) == Status::Ok {}
            end(stream);
        };
        let ends: [&dyn Fn(Stream); 5] = [
            &drop,
            &|stream| assert_eq!(stream.close(1000, ""), Status::Ok),
            &|stream| assert_eq!(abort(&stream, NO_CODE, ""), Status::Ok),
            &|stream| assert_eq!(cancel(&stream, NO_CODE, ""), Status::Ok),
            &|stream| drop(stream.read(1)),
        ];
        let all = |count: usize| (0..count).for_each(|_| ends.iter().for_each(|end| round(end)));
        all(1);
        // The library lingers for a second at most.
        until(is_quiet);
        let before = live_with_full_pool();
        all(4);
        until(|| live_with_full_pool() < before + (50 << 10));
    });
}

#[test]
fn an_end_of_any_kind_gives_the_inflater_back() {
    alone("memory::an_end_of_any_kind_gives_the_inflater_back", || {
        const COUNT: usize = 20;
        let peer = Peer::of_scheme(None);
        let sent = frame(BINARY_FRAME, &compressed(&mixture(3, 40_000)));
        let ended = |end: &[u8]| -> Vec<Stream> {
            let one = |_| {
                let (stream, mut connection) = compressing_to(&peer, &Options::new(), "");
                connection.send(&sent);
                assert_eq!(stream.read(FOREVER).expect("a message").bytes().len(), 40_000);
                connection.send(end);
                drop(connection);
                assert_ne!(stream.wait_closed(FOREVER).0, Status::Again);
                stream
            };
            (0..COUNT).map(one).collect()
        };
        drop(ended(b""));
        until(is_quiet);
        let before = live_with_full_pool();
        // An inflater with its window is 80 KiB. The other side of TLS is the test's own.
        let bound = if is_secure() { 40 << 10 } else { 8 << 10 };
        for end in [&b""[..], b"\x80", &frame(0x88, b"")] {
            let streams = ended(end);
            until(|| more_than(before) / COUNT < bound);
            drop(streams);
            until(|| more_than(before) < COUNT << 10);
        }
    });
}

/// What is live stays for a while what it is.
fn is_quiet() -> bool {
    let before = live();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    live() == before
}
