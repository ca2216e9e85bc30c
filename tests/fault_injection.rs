//! Bugs and refusals inside the library, made on purpose: one stream ends with them, the others go on.
#![cfg(feature = "fault-injection")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Duration;
use support::{
    BINARY, Call, Cause, FIN, FOREVER, MORE, Options, READABLE, Status, Stream, TEXT, WRITABLE,
    descriptor_count, option, server, thread_count, turn, until,
};
use wsstream::fault::{Fault, On, arm, disarm, fired};
use wsstream::memory::chunk::live_bytes;

/// Faults are the process's: the tests take turns.
struct Turn(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Turn {
    fn take() -> Self {
        let turn = turn();
        disarm();
        server();
        Self(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        disarm();
    }
}

const POINTS: [&str; 14] = [
    "ffi.call",
    "net.receive",
    "net.send",
    "proto.decode",
    "proto.handshake",
    "runtime.connected",
    "runtime.ready",
    "runtime.sweep",
    "stream.pump",
    "stream.read",
    "stream.serve",
    "stream.write",
    "memory.chunk",
    "memory.random",
];

/// Places that a test of their own comes by.
const ELSEWHERE: [&str; 7] = [
    "net.tls",
    "proto.inflate",
    "runtime.call_back",
    "runtime.deadline",
    "runtime.loop",
    "runtime.take_over",
    "stream.compress",
];

fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the source is here").map(|entry| entry.expect("an entry"))
    {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        let named = text.split("fault::point(\"").skip(1).filter_map(|rest| rest.split_once('"'));
        found.extend(named.map(|(name, _)| name.to_owned()));
    }
}

#[test]
fn every_place_in_the_source_is_tried() {
    let mut found = BTreeSet::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let tried: BTreeSet<String> = POINTS.iter().chain(&ELSEWHERE).map(|name| (*name).to_owned()).collect();
    assert_eq!(found, tried);
}

#[test]
fn a_panic_in_a_hand_over_settles_the_stream_that_is_waited_for() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    arm("runtime.take_over", Fault::Panic, On::Internal, 0);
    // A read has just driven the stream, so the wait finds it on the sweep list; on a machine that is held up between the
    // two calls it finds it watched, and the next round tries again.
    until(|| {
        stream.write(TEXT, b"drive", 5000);
        let _ = stream.read(5000);
        stream.wait_closed(50).0 == Status::Internal
    });
    assert!(fired("runtime.take_over"));
}

#[test]
fn a_panic_before_a_callback_settles_the_stream_and_the_callback_still_runs() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    let (sender, told) = std::sync::mpsc::channel();
    arm("runtime.call_back", Fault::Panic, On::Internal, 0);
    let run = move |_: &support::stream::Borrowed, status: Status, _: support::Info| {
        sender.send(status).expect("the test waits");
    };
    assert_eq!(stream.on_closed(run), Status::Ok);
    assert_eq!(stream.wait_closed(FOREVER).0, Status::Internal);
    assert_eq!(told.recv(), Ok(Status::Internal));
}

#[test]
fn a_panic_while_a_message_is_fetched_for_a_callback_still_lets_the_callbacks_know() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    let (sender, told) = std::sync::mpsc::channel();
    let ended = sender.clone();
    assert_eq!(stream.on_message(move |status| sender.send(status).expect("the test waits")), Status::Ok);
    let run = move |_: &support::stream::Borrowed, status: Status, _: support::Info| {
        ended.send(status).expect("the test waits");
    };
    assert_eq!(stream.on_closed(run), Status::Ok);
    stream.writes_text("before");
    assert_eq!(told.recv(), Ok(Status::Ok));
    arm("stream.pump", Fault::Panic, On::Internal, 0);
    stream.writes_text("fetched");
    // The end to the one, then to the other.
    assert_eq!(told.recv(), Ok(Status::Internal));
    assert_eq!(told.recv(), Ok(Status::Internal));
}

#[test]
fn a_panic_or_a_failure_inside_tls_ends_its_stream_alone() {
    let _turn = Turn::take();
    let options = Options::new();
    assert_eq!(options.set_text(option::CA_PEM, &server().pem("ca")), Status::Ok);
    let url = server().wss_url("/ping_echo");
    let open = || Stream::open_with(&url, &options);
    assert_eq!(live_with(&open()), (Status::Ok, Cause::None));
    let mut reached = Vec::new();
    for fault in [Fault::Panic, Fault::Fail] {
        for on in [On::Caller, On::Internal] {
            for skip in [0, 2, 8] {
                // The stream before has said its close_notify when no thread is left.
                assert_eq!(wsstream::ffi::runtime::wsstream_runtime_stop(FOREVER), Status::Ok as i32);
                arm("net.tls", fault, on, skip);
                let opened = Stream::try_open(&url, Some(&options));
                opened.iter().for_each(talk);
                // What happens to close_notify later finds the stream ended.
                let has_fired = fired("net.tls");
                // The caller's own first bytes of TLS may be what is hit.
                let end = opened.map_or_else(|status| (status, Cause::None), |stream| end(&stream));
                disarm();
                if has_fired {
                    reached.push((fault, on));
                    assert!(end.0 != Status::Ok, "{fault:?} {on:?} {skip}: {end:?}");
                }
                assert_eq!(live_with(&open()), (Status::Ok, Cause::None), "after {fault:?} {on:?} {skip}");
            }
        }
    }
    assert!(reached.iter().any(|(_, on)| *on == On::Caller), "{reached:?}");
    assert!(reached.iter().any(|(_, on)| *on == On::Internal), "{reached:?}");
}

#[test]
fn a_panic_or_refused_memory_inside_compression_ends_its_stream_alone() {
    let _turn = Turn::take();
    for place in ["stream.compress", "proto.inflate"] {
        for (fault, cause) in [(Fault::Panic, Cause::Internal), (Fault::Fail, Cause::Resource)] {
            for on in [On::Caller, On::Internal] {
                if (place, on) == ("stream.compress", On::Internal) {
                    // Only writers compress.
                    continue;
                }
                let stream = Stream::opened(&server().url("/echo?deflate"));
                arm(place, fault, on, 0);
                stream.write(BINARY, &vec![7; 2 << 20], FOREVER);
                if on == On::Caller {
                    let _ = stream.read(FOREVER);
                } else {
                    until(|| fired(place));
                }
                assert_eq!(end(&stream).1, cause, "{place} {fault:?} {on:?}");
                assert!(fired(place), "{place} {fault:?} {on:?}");
                disarm();
                assert_eq!(live(), (Status::Ok, Cause::None), "after {place} {fault:?} {on:?}");
            }
        }
    }
}

/// A life that comes by every place on both threads, whatever happens on the way; how it ended.
fn live() -> (Status, Cause) {
    live_at(&server().url("/ping_echo"))
}

/// The internal thread connects to a name, the caller itself to an address.
fn live_by_name() -> (Status, Cause) {
    live_at(&server().url("/ping_echo").replace("127.0.0.1", "localhost"))
}

fn live_at(url: &str) -> (Status, Cause) {
    let options = Options::with(option::CLOSE_TIMEOUT_MS, 2000);
    let Ok(stream) = Stream::try_open(url, Some(&options)) else {
        return (Status::Resource, Cause::Resource);
    };
    live_with(&stream)
}

fn live_with(stream: &Stream) -> (Status, Cause) {
    talk(stream);
    end(stream)
}

fn talk(stream: &Stream) {
    stream.wait_opened(5000);
    stream.write(TEXT, b"small", 5000);
    let _ = stream.read(500);
    stream.write_some(TEXT, b"gathered", FIN | MORE, 5000);
    let _ = stream.read(500);
    stream.write(BINARY, &vec![7; 2 << 20], 5000);
    let _ = stream.read(2000);
    // Nobody reads: the sweep and the poller take over.
    stream.write(TEXT, b"read ahead", 5000);
    let _ = stream.poll(WRITABLE, 5000);
    std::thread::sleep(Duration::from_millis(20));
    let _ = stream.poll(READABLE, 500);
    let _ = stream.read(500);
    stream.flush(5000);
}

fn end(stream: &Stream) -> (Status, Cause) {
    stream.close(1000, "");
    let (status, info) = stream.wait_closed(FOREVER);
    (status, info.expect("it has settled").cause)
}

fn is_internal(end: (Status, Cause)) -> bool {
    end == (Status::Internal, Cause::Internal)
}

#[test]
fn a_panic_anywhere_ends_one_stream_and_no_other() {
    let _turn = Turn::take();
    assert_eq!(live(), (Status::Ok, Cause::None));
    let mut reached = Vec::new();
    for point in POINTS {
        for on in [On::Caller, On::Internal] {
            for skip in [0, 1] {
                let bystander = Stream::opened(&server().url("/echo"));
                arm(point, Fault::Panic, on, skip);
                let end = live();
                let has_fired = fired(point);
                disarm();
                if has_fired {
                    reached.push(point);
                }
                // The next life is undisturbed, and so is who looked on, unless it was the one that was hit.
                let next = live();
                assert_eq!(next, (Status::Ok, Cause::None), "after {point} {on:?} {skip}");
                let is_hit = bystander.wait_closed(0).0 == Status::Internal;
                let ended = u32::from(is_internal(end) || end.1 == Cause::Resource) + u32::from(is_hit);
                assert!(ended <= 1, "{point} {on:?} {skip}: {end:?}");
                if !is_hit {
                    bystander.writes_text("goes on");
                    bystander.reads_text("goes on");
                }
            }
        }
    }
    // Which of the two comes by is decided anew in each life.
    for point in POINTS.iter().filter(|point| !reached.contains(point)) {
        until(|| {
            [On::Caller, On::Internal].into_iter().any(|on| {
                arm(point, Fault::Panic, on, 0);
                live_by_name();
                let has_fired = fired(point);
                disarm();
                has_fired
            })
        });
    }
}

#[test]
fn after_a_panic_every_call_answers_internal_and_nothing_hangs() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    let share = stream.reference();
    let closed = Call::blocked(move || share.wait_closed(FOREVER).0);
    arm("stream.write", Fault::Panic, On::Caller, 0);
    assert_eq!(stream.write(BINARY, &vec![0; 2 << 20], FOREVER), Status::Internal);
    assert_eq!(closed.join(), Status::Internal);
    let (status, info) = stream.wait_closed(0);
    let info = info.unwrap();
    assert_eq!((status, info.cause, info.clean, info.code), (Status::Internal, Cause::Internal, false, 1006));
    assert!(info.detail.contains("stream.write"), "{info:?}");
    assert_eq!((stream.refused_read(0), stream.refused_read(FOREVER)), (Status::Internal, Status::Internal));
    assert_eq!(stream.write(TEXT, b"x", FOREVER), Status::Internal);
    assert_eq!(stream.flush(FOREVER), Status::Internal);
    assert_eq!((stream.wait_opened(0), stream.close(1000, "")), (Status::Ok, Status::Ok));
    assert_eq!(stream.poll(31, FOREVER), Ok(31));
}

#[test]
fn a_panic_of_the_internal_thread_wakes_a_blocked_reader() {
    let _turn = Turn::take();
    // The reader waits for a stream that another thread drives.
    let options = Options::with(option::OPEN_TIMEOUT_MS, 50);
    let stream = Stream::open_with(&server().url("/handshake?stall=1"), &options);
    arm("runtime.deadline", Fault::Panic, On::Internal, 0);
    assert_eq!(stream.refused_read(FOREVER), Status::Internal);
    assert_eq!(stream.wait_opened(FOREVER), Status::Internal);
}

#[test]
fn a_panic_of_a_blocked_reader_ends_its_read() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    let share = stream.reference();
    let read = Call::blocked(move || share.refused_read(FOREVER));
    arm("stream.pump", Fault::Panic, On::Caller, 0);
    assert_eq!(stream.write(TEXT, b"x", 0), Status::Ok);
    assert_eq!(read.join(), Status::Internal);
    assert_eq!(stream.refused_read(0), Status::Internal, "its place is free");
}

#[test]
fn the_end_of_the_internal_loop_settles_every_stream_and_the_next_open_starts_anew() {
    let _turn = Turn::take();
    for _ in 0..3 {
        let streams: Vec<_> = (0..10).map(|_| Stream::opened(&server().url("/echo"))).collect();
        let connecting = Stream::open(&server().url("/handshake?stall=1"));
        let share = streams[0].reference();
        let read = Call::blocked(move || share.refused_read(FOREVER));
        arm("runtime.loop", Fault::Panic, On::Internal, 0);
        // Something for the loop to come round. Where it has come round before, this one is in the next loop.
        let _more = Stream::try_open(&server().url("/echo"), None);
        for stream in streams.iter().chain([&connecting]) {
            let (status, info) = stream.wait_closed(FOREVER);
            assert_eq!(status, Status::Internal);
            assert!(info.is_some_and(|info| info.detail.contains("bug in the library")));
        }
        assert_eq!(read.join(), Status::Internal);
        assert!(fired("runtime.loop"));
        disarm();
        assert_eq!(live(), (Status::Ok, Cause::None));
    }
}

#[test]
fn callbacks_run_after_a_panic() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    let (sender, receiver) = std::sync::mpsc::channel();
    stream.on_closed(move |_, status, info| sender.send((status, info.cause)).unwrap());
    arm("stream.write", Fault::Panic, On::Caller, 0);
    stream.write(BINARY, &vec![0; 2 << 20], FOREVER);
    assert_eq!(receiver.recv().unwrap(), (Status::Internal, Cause::Internal));
}

#[test]
fn a_system_call_that_fails_ends_one_stream_with_its_error() {
    let _turn = Turn::take();
    // Where another thread reads, it meets the end that the failed send has made.
    let errors = [Cause::System, Cause::Truncated, Cause::Http, Cause::Protocol];
    for point in ["net.receive", "net.send"] {
        for on in [On::Caller, On::Internal] {
            for skip in [0, 1, 2] {
                let bystander = Stream::opened(&server().url("/echo"));
                arm(point, Fault::Fail, on, skip);
                let end = live();
                let has_fired = fired(point);
                disarm();
                let good = end == (Status::Ok, Cause::None);
                let failed = end.0 == Status::Connection && errors.contains(&end.1);
                assert!(good || (has_fired && failed), "{point} {on:?} {skip}: {end:?}");
                assert_eq!(live(), (Status::Ok, Cause::None));
                if bystander.wait_closed(0).0 == Status::Again {
                    bystander.writes_text("goes on");
                    bystander.reads_text("goes on");
                }
            }
        }
    }
}

#[test]
fn refused_memory_and_random_bytes_are_resource_errors_of_one_stream() {
    let _turn = Turn::take();
    for point in ["memory.chunk", "memory.random"] {
        for on in [On::Caller, On::Internal] {
            for skip in 0..4 {
                arm(point, Fault::Fail, on, skip);
                let end = live();
                disarm();
                let good = end == (Status::Ok, Cause::None);
                assert!(good || end.1 == Cause::Resource, "{point} {on:?} {skip}: {end:?}");
                assert_eq!(live(), (Status::Ok, Cause::None));
            }
        }
    }
}

#[test]
fn a_refused_wake_descriptor_is_a_resource_error_of_the_call_alone() {
    let _turn = Turn::take();
    let stream = Stream::opened(&server().url("/echo"));
    let calls: [fn(&Stream) -> Status; 4] = [
        |stream| stream.refused_read(FOREVER),
        |stream| stream.poll(READABLE, FOREVER).unwrap_err(),
        |stream| stream.wait_closed(FOREVER).0,
        |stream| stream.poll(8, FOREVER).unwrap_err(),
    ];
    for call in calls {
        arm("stream.wake", Fault::Fail, On::Caller, 0);
        assert_eq!(call(&stream), Status::Resource);
        disarm();
    }
    stream.writes_text("goes on");
    stream.reads_text("goes on");
}

/// Runs one test of this program in a process of its own; what that printed.
fn alone(test: &str) -> (bool, String) {
    let program = std::env::current_exe().expect("the path of this program");
    let output =
        Command::new(program).args(["--exact", test, "--nocapture", "-q"]).output().expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_panic_of_the_library_prints_nothing() {
    let _turn = turn();
    let (passed, printed) = alone("after_a_panic_every_call_answers_internal_and_nothing_hangs");
    assert!(passed, "{printed}");
    assert_eq!(printed, "");
}

#[test]
fn panics_leave_no_descriptor_thread_or_memory_behind() {
    let _turn = Turn::take();
    live();
    let steady = || {
        let before = descriptor_count();
        std::thread::sleep(Duration::from_millis(1200));
        (descriptor_count() == before).then_some((before, live_bytes()))
    };
    let mut found = steady();
    until(|| {
        found = found.or_else(steady);
        found.is_some()
    });
    let (descriptors, bytes) = found.expect("the loop ends with it");
    for point in POINTS {
        for on in [On::Caller, On::Internal] {
            arm(point, Fault::Panic, on, 0);
            live();
            disarm();
        }
    }
    until(|| descriptor_count() <= descriptors && live_bytes() <= bytes);
    assert!(thread_count("wsstream") <= 2, "{} threads", thread_count("wsstream"));
}

#[test]
fn what_nobody_reads_is_held_to_the_read_buffer() {
    let _turn = Turn::take();
    until(|| live_bytes() == 0);
    for size in [0, 10, 1000, 100_000, 30_000_000] {
        let options = Options::with(option::READ_BUFFER_SIZE, 100_000);
        let stream = Stream::opened_with(&server().url(&format!("/count?n=0&size={size}")), &options);
        // It has stopped when nothing changes any more.
        let (mut before, mut same) = (usize::MAX, 0);
        until(|| {
            std::thread::sleep(Duration::from_millis(20));
            let now = live_bytes();
            same = if now == before { same + 1 } else { 0 };
            before = now;
            same == 5
        });
        // The mark, one receive beyond it, and what capacity exceeds content by.
        assert!(live_bytes() <= 2 * (100_000 + (257 << 10)), "{size}: {} bytes", live_bytes());
        stream.free();
        until(|| live_bytes() == 0);
    }
}

#[test]
fn an_idle_stream_holds_no_receive_buffer() {
    let _turn = Turn::take();
    until(|| live_bytes() == 0);
    let streams: Vec<_> = (0..50).map(|_| Stream::opened(&server().url("/echo"))).collect();
    for stream in &streams {
        stream.writes_text("hi");
        stream.reads_text("hi");
    }
    until(|| live_bytes() == 0);
}
