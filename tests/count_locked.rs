//! Small messages stay cheap: the locked instructions of one read are counted, not timed.
#![cfg(feature = "count-locked")]

mod support;

use support::{FOREVER, Status, Stream, frame, server};
use wsstream::sync::locked;

#[test]
fn a_small_message_in_the_chunk_costs_four_locked_instructions_from_read_to_release() {
    let messages = frame(0x81, b"small").repeat(200);
    let stream = Stream::opened(&server().url(&format!("/raw?hex={messages}&after=1&end=echo")));
    stream.writes_text("go");
    // The first is received; those behind it lie in the same chunk.
    stream.reads_text("small");
    let mut costs = Vec::new();
    for _ in 0..199 {
        let before = locked();
        let message = stream.read(0).expect("it is there");
        drop(message);
        costs.push(locked() - before);
    }
    // The sweep may take the rest over in between; what nobody disturbs has the price.
    let cheap = costs.iter().filter(|cost| **cost <= 4).count();
    assert!(cheap >= 100, "{costs:?}");
    assert!(costs.iter().all(|cost| *cost > 0), "they are counted");
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(stream.refused_read(FOREVER), Status::Done);
}
