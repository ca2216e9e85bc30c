//! Small messages need no memory of their own, and no other thread: allocations and sleeps are counted, not timed.

mod support;

use std::time::Instant;
use support::alone::alone;
use support::heap::{Heap, allocations};
use support::thread::cost_of_internal_thread;
use support::{BINARY, FIN, FOREVER, MORE, Status, Stream, frame, is_secure, server};

#[global_allocator]
static HEAP: Heap = Heap;

const ROUNDS: usize = 2000;

/// Nearly every round asks for memory so often, whatever the thread: beside it there is what the internal thread does by the
/// clock, and a chunk or a key of masks now and then.
#[track_caller]
fn each_allocates(times: usize, mut round: impl FnMut()) {
    let counts: Vec<usize> = (0..ROUNDS)
        .map(|_| {
            let before = allocations();
            round();
            allocations() - before
        })
        .collect();
    let right = counts.iter().filter(|count| **count <= times).count();
    assert!(
        right >= ROUNDS * 9 / 10,
        "{right} of {ROUNDS} rounds allocate {times} times: {:?}",
        &counts[..20]
    );
}

/// What one TLS record costs, in either direction; without TLS there is none.
fn of_record() -> usize {
    usize::from(is_secure())
}

#[test]
fn a_small_message_is_received_without_an_allocation() {
    alone("a_small_message_is_received_without_an_allocation", || {
        let messages = frame(0x82, b"sixteen bytes it").repeat(ROUNDS);
        let stream = Stream::opened(&server().url(&format!("/raw?hex={messages}&after=1&end=echo")));
        stream.writes_text("go");
        each_allocates(0, || {
            drop(stream.read(FOREVER).expect("it comes"));
        });
    });
}

#[test]
fn a_small_message_is_sent_without_an_allocation() {
    alone("a_small_message_is_sent_without_an_allocation", || {
        let stream = Stream::opened(&server().url("/sink"));
        each_allocates(of_record(), || {
            assert_eq!(stream.write(BINARY, b"sixteen bytes it", FOREVER), Status::Ok);
        });
        each_allocates(of_record(), || {
            assert!(matches!(
                stream.write_some(BINARY, b"sixteen bytes it", FIN | MORE, FOREVER),
                Status::Ok | Status::Queued
            ));
        });
    });
}

#[test]
fn an_echo_costs_no_allocation_and_the_internal_thread_200_sleeps_a_second_at_most() {
    alone("an_echo_costs_no_allocation_and_the_internal_thread_200_sleeps_a_second_at_most", || {
        let stream = Stream::opened(&server().url("/echo"));
        let (begin, before) = (Instant::now(), cost_of_internal_thread().0);
        each_allocates(2 * of_record(), || {
            assert_eq!(stream.write(BINARY, b"sixteen bytes it", FOREVER), Status::Ok);
            drop(stream.read(FOREVER).expect("the echo"));
        });
        let (sleeps, time) = (cost_of_internal_thread().0 - before, begin.elapsed());
        println!("{sleeps} sleeps of the internal thread in {time:?}, {ROUNDS} echoes");
        // A sweep every 5 ms; what was going on before it began is the rest.
        let most = 20 + time.as_millis() as u64 / 5;
        assert!(sleeps <= most, "{sleeps} sleeps in {time:?}");
    });
}
