//! Streams without number, freed in every phase, leave no descriptor and no thread behind.

mod support;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use support::{Status, Stream, TEXT, descriptor_count, server, thread_count, until};

/// Descriptors are counted for the whole process: the tests take turns.
static COUNTING: Mutex<()> = Mutex::new(());

/// Whether nothing is being closed right now: the library lingers for a second at most.
fn is_steady() -> bool {
    let before = descriptor_count();
    std::thread::sleep(Duration::from_millis(1200));
    descriptor_count() == before
}

fn leaves_nothing_behind(one: impl Fn()) {
    let _turn = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    server();
    // The first opens what stays: the internal thread's own descriptors, and this thread's, made when it first sleeps.
    let first = Stream::opened(&server().url("/echo"));
    assert_eq!(first.refused_read(1), Status::Again);
    first.free();
    one();
    until(|| thread_count("wsstream-names") == 0 && is_steady());
    let before = descriptor_count();
    for _ in 0..1000 {
        one();
    }
    until(|| descriptor_count() <= before);
    assert!(thread_count("wsstream") <= 8, "{} threads", thread_count("wsstream"));
}

#[test]
fn a_thousand_streams_freed_while_connecting_leave_nothing_behind() {
    leaves_nothing_behind(|| Stream::open(&server().url("/handshake?stall=1")).free());
}

#[test]
fn a_thousand_streams_refused_leave_nothing_behind() {
    leaves_nothing_behind(|| {
        Stream::open("ws://127.0.0.1:1/").never_opens();
    });
}

#[test]
fn a_thousand_streams_freed_while_open_leave_nothing_behind() {
    leaves_nothing_behind(|| {
        let stream = Stream::opened(&server().url("/echo"));
        assert_eq!(stream.write(TEXT, b"hi", 0), Status::Ok);
    });
}

#[test]
fn a_thousand_streams_freed_while_closing_leave_nothing_behind() {
    leaves_nothing_behind(|| {
        let stream = Stream::opened(&server().url("/echo"));
        assert_eq!(stream.close(1000, ""), Status::Ok);
    });
}

#[test]
fn a_thousand_streams_closed_leave_nothing_behind() {
    leaves_nothing_behind(|| {
        let stream = Stream::opened(&server().url("/echo"));
        assert_eq!(stream.close(1000, ""), Status::Ok);
        stream.closed_cleanly();
    });
}
