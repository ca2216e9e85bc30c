//! What holds at the end of a stream: who wakes, who lets the socket go, and when the memory may be given back.

use super::check::{fails, fails_within, holds};
use super::driving::{Actor, assert_watched, run};
use super::stream::{Bug, CLOSED, Cause, OUR_CLOSE, READABLE, Setup, Status, Stream, Timeout};
use super::writing::{SMALL, TWO_FRAMES};
use loom::sync::atomic::Ordering;
use wsstream_models::stream::read_word::{CALLER, OWNER, QUEUED};

const GIVEN_BACK: &str = "memory that was given back";

/// A stream that ends; at rest its socket was shut down once and the poller has let go of it.
fn ends(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        assert_eq!(stream.ends.load(Ordering::Relaxed), 1, "the socket is shut down once");
        assert!(!stream.system().is_known(), "the poller has let go");
    }
}

fn read_until_end(stream: &Stream, expected: Status) {
    assert_eq!(stream.read(1, Timeout::Never), Err(expected), "what ends a blocked read");
}

const CLOSED_BY_PEER: &[Actor] = &[
    |stream| {
        stream.kernel().peer_sends(b"C");
        stream.kernel().peer_ends();
    },
    |stream| read_until_end(stream, Status::Ended),
];

const CLOSED_HERE: &[Actor] = &[
    |stream| {
        assert_eq!(stream.close(), Status::Ok);
        stream.system().peer_sends(b"C");
        stream.system().peer_ends();
    },
    |stream| read_until_end(stream, Status::Ended),
];

#[test]
fn a_blocked_read_ends_with_the_peers_close() {
    holds(ends(Setup::default(), CLOSED_BY_PEER));
}

#[test]
fn a_blocked_read_ends_with_a_local_close() {
    holds(ends(Setup::default(), CLOSED_HERE));
}

#[test]
fn an_end_that_is_not_marked_leaves_a_read_asleep() {
    fails("", ends(Setup { bug: Bug::EndNotMarked, ..Setup::default() }, CLOSED_HERE));
}

const FAILED: &[Actor] = &[|stream| stream.fail(), |stream| read_until_end(stream, Status::Ended)];

#[test]
fn a_blocked_read_ends_with_a_failure() {
    holds(ends(Setup::default(), FAILED));
}

/// Our Close after a failure is to reach the peer: what it still sends is discarded until it ends.
const LINGERING: &[Actor] = &[
    |stream| stream.fail(),
    |stream| stream.system().peer_sends(b"1"),
    |stream| {
        stream.system().peer_ends();
    },
];

#[test]
fn a_stream_that_lingers_is_let_go_when_the_peer_ends() {
    holds(ends(Setup { lingers: true, ..Setup::default() }, LINGERING));
}

#[test]
fn a_lingering_stream_that_asks_for_itself_keeps_the_internal_thread_busy() {
    const NEVER_ENDS: &[Actor] = &[|stream| stream.fail()];
    let setup = Setup { bug: Bug::LingerNudges, lingers: true, ..Setup::default() };
    fails("maximum number of branches", ends(setup, NEVER_ENDS));
}

#[test]
fn an_end_that_nobody_is_told_of_keeps_the_socket() {
    const FAILED_BESIDE_NOBODY: &[Actor] = &[|stream| {
        let mut control = stream.control();
        stream.settle(&mut control, false, false, Cause::Other);
    }];
    holds(ends(Setup::default(), FAILED_BESIDE_NOBODY));
    fails("shut down once", ends(Setup { bug: Bug::EndNotNudged, ..Setup::default() }, FAILED_BESIDE_NOBODY));
}

/// A caller drives a stream that it has opened to its end, and lets the socket go.
const CLOSED_AND_WAITED_FOR: &[Actor] = &[
    |stream| {
        assert_eq!(stream.close(), Status::Ok);
        assert_eq!(stream.wait_closed(1), Status::Ended, "what ends a wait for the end");
    },
    |stream| {
        stream.system().peer_sends(b"C");
        stream.system().peer_ends();
    },
];

/// The same beside a write that left a rest, for which the internal thread watches.
const CLOSED_BESIDE_A_REST: &[Actor] = &[
    |stream| {
        stream.write(1, SMALL, false, Timeout::Zero);
        stream.close();
        assert_eq!(stream.wait_closed(1), Status::Ended, "what ends a wait for the end");
    },
    |stream| {
        stream.system().peer_takes(4);
        stream.system().peer_sends(b"C");
        stream.system().peer_ends();
    },
];

#[test]
fn a_wait_for_the_end_drives_towards_it_and_lets_the_socket_go() {
    holds(ends(Setup { is_callers: true, ..Setup::default() }, CLOSED_AND_WAITED_FOR));
    holds(ends(Setup::default(), CLOSED_AND_WAITED_FOR));
}

#[test]
fn a_socket_that_is_watched_for_room_is_let_go_by_both() {
    holds(ends(Setup { is_callers: true, room: 0, ..Setup::default() }, CLOSED_BESIDE_A_REST));
}

#[test]
fn a_watched_socket_that_a_caller_lets_go_alone_stays_with_the_poller() {
    fails("the poller has let go", ends(with(Bug::WatchedUnseen), CLOSED_AND_WAITED_FOR));
}

#[test]
fn a_socket_that_is_watched_for_room_without_a_word_stays_with_the_poller() {
    let setup = Setup { is_callers: true, room: 0, ..with(Bug::RoomUnwatched) };
    fails_within(1, "the poller has let go", ends(setup, CLOSED_BESIDE_A_REST));
}

/// What came before a local close is kept for a reader, whoever waits for the end.
const READ_BESIDE_A_WAIT: &[Actor] = &[
    |stream| {
        stream.close();
        // One that ends at once, and has begun to drop what arrives.
        stream.interrupt(CLOSED);
        stream.wait_closed(1);
        assert_eq!(stream.wait_closed(1), Status::Ended, "what ends a wait for the end");
    },
    |stream| {
        assert_eq!(stream.read(2, Timeout::Never), Ok(b'1'), "what came before the close is read");
        stream.system().peer_sends(b"C");
        stream.system().peer_ends();
    },
];

#[test]
fn what_came_before_a_close_is_read_beside_a_wait_for_the_end() {
    holds(ends(queued(Bug::None), READ_BESIDE_A_WAIT));
}

#[test]
fn a_wait_for_the_end_that_sleeps_on_a_queue_keeps_the_reader_from_it() {
    fails_within(1, "deadlock", ends(queued(Bug::KeptForNobody), READ_BESIDE_A_WAIT));
}

/// The socket refuses one send, and would take those after it: what was sent has a hole.
fn broken(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        stream.system().refuses();
        run(&stream, actors);
        assert_eq!(stream.system().wire(), b"", "nothing passes behind a hole");
        assert_eq!(stream.ends.load(Ordering::Relaxed), 1, "the socket is shut down once");
        assert!(!stream.system().is_known(), "the poller has let go");
    }
}

const WRITE_BROKEN: Actor = |stream| {
    for _ in 0..2 {
        assert_eq!(stream.write(2, SMALL, false, Timeout::Never), Status::Ended, "what ends a write");
    }
};

const READ_AND_WRITE_BROKEN: &[Actor] = &[|stream| read_until_end(stream, Status::Ended), WRITE_BROKEN];

const POST_AND_WRITE_BROKEN: &[Actor] = &[
    |stream| {
        stream.control().pongs += 1;
        stream.serve_posted();
    },
    |stream| {
        stream.write(2, SMALL, false, Timeout::Never);
        stream.write(2, SMALL, false, Timeout::Never);
    },
];

const READ_PING: &[Actor] = &[|stream| read_until_end(stream, Status::Ended)];

#[test]
fn a_send_that_is_refused_ends_the_read_beside_it() {
    holds(broken(with(Bug::None), READ_AND_WRITE_BROKEN));
}

#[test]
fn nothing_passes_behind_a_send_that_was_refused() {
    holds(broken(with(Bug::None), POST_AND_WRITE_BROKEN));
}

#[test]
fn a_pong_that_is_refused_ends_the_read_that_sends_it() {
    holds(broken(Setup { arrived: b"P", ..Setup::default() }, READ_PING));
}

#[test]
fn a_refused_send_that_is_told_to_nobody_leaves_a_read_asleep() {
    fails("deadlock", broken(with(Bug::BrokenUntold), READ_AND_WRITE_BROKEN));
}

#[test]
fn a_hole_that_is_forgotten_lets_a_later_write_pass() {
    fails_within(1, "behind a hole", broken(with(Bug::HoleForgotten), POST_AND_WRITE_BROKEN));
}

/// A write blocks when `closed` settles without a closing handshake.
const WRITE_AND_FAIL: &[Actor] = &[
    |stream| {
        let status = stream.write(1, TWO_FRAMES, false, Timeout::Never);
        assert_eq!(status, Status::Ended, "what ends a blocked write");
    },
    |stream| stream.system().peer_ends(),
];

#[test]
fn a_blocked_write_finds_out_why_it_ended() {
    holds(ends(Setup { room: 0, ..Setup::default() }, WRITE_AND_FAIL));
}

#[test]
fn a_status_that_is_set_behind_the_latch_is_missing_in_a_write() {
    let setup = Setup { room: 0, ..with(Bug::StatusAfterLatch) };
    fails("what ends a blocked write", ends(setup, WRITE_AND_FAIL));
}

/// The peer's Close and its end come while another thread has the write word.
fn replied(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            stream.system().peer_sends(b"C");
            stream.system().peer_ends();
        },
        |stream| {
            stream.write(1, SMALL, false, Timeout::Never);
        },
    ];
    move || {
        let stream = Stream::new(with(bug));
        run(&stream, ACTORS);
        let wire = stream.system().wire();
        assert_eq!(wire.last(), Some(&OUR_CLOSE), "the reply goes out before the end is judged: {wire:?}");
    }
}

#[test]
fn a_reply_that_was_left_to_a_writer_goes_out_before_the_end() {
    holds(replied(Bug::None));
}

#[test]
fn a_reply_that_is_sent_before_a_small_message_has_it_behind() {
    fails("the reply goes out", replied(Bug::ServedBeforeSmall));
}

#[test]
fn an_end_that_does_not_wait_for_the_reply_drops_it() {
    fails_within(1, "the reply goes out", replied(Bug::ReplyNotServed));
}

/// The peer resets TCP while one thread reads and another writes: only one of them is told by the system.
fn reset(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            stream.system().peer_resets();
            stream.write(2, SMALL, false, Timeout::Never);
        },
        |stream| read_until_end(stream, Status::Ended),
    ];
    move || {
        let stream = Stream::new(with(bug));
        run(&stream, ACTORS);
        assert_eq!(stream.control().cause, Some(Cause::System), "what the system said is the cause");
    }
}

#[test]
fn a_reset_that_a_writer_is_told_is_the_cause_though_the_reader_meets_the_end() {
    holds(reset(Bug::None));
}

#[test]
fn an_end_that_does_not_wait_for_the_sender_tells_another_cause() {
    fails_within(1, "what the system said", reset(Bug::SenderUnawaited));
}

#[test]
fn a_refusal_that_is_told_behind_the_lock_is_missed() {
    fails_within(1, "what the system said", reset(Bug::ToldAfterUnlock));
}

/// Who was told of the end finds neither half going on.
fn told(bug: Bug, is_open: bool) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| stream.fail(),
        |stream| {
            if stream.poll(1, CLOSED, Timeout::Zero) == (Status::Ok, CLOSED) {
                assert_eq!(stream.read(1, Timeout::Zero), Err(Status::Ended), "reading has ended");
                assert_eq!(stream.write(1, SMALL, false, Timeout::Zero), Status::Ended, "writing has ended");
            }
        },
    ];
    move || run(&Stream::new(Setup { is_open, ..with(bug) }), ACTORS)
}

#[test]
fn who_was_told_of_the_end_meets_it_in_both_halves() {
    holds(told(Bug::None, true));
    holds(told(Bug::None, false));
}

#[test]
fn an_end_that_is_told_before_it_is_marked_lets_a_read_go_on() {
    fails_within(1, "reading has ended", told(Bug::MarksUnawaited, false));
}

/// What was received is wrong, and TCP breaks behind it, while another thread has the write word.
fn failed_and_ended(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            stream.fail();
            stream.handle_transport_ended(true);
        },
        |stream| {
            stream.write(1, SMALL, false, Timeout::Never);
        },
    ];
    move || {
        let stream = Stream::new(with(bug));
        run(&stream, ACTORS);
        assert_eq!(stream.control().cause, Some(Cause::Failure), "what failed first is the cause");
    }
}

#[test]
fn a_failure_that_was_left_to_a_writer_is_the_cause_though_tcp_breaks() {
    holds(failed_and_ended(Bug::None));
}

#[test]
fn an_end_that_forgets_the_failure_before_it_tells_another_cause() {
    fails_within(1, "what failed first", failed_and_ended(Bug::FailureForgotten));
}

/// The program wants no further message: a read says so at once, what is queued is thrown away, and the stream ends as
/// after a close.
fn cancelled(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        let word = stream.read.load();
        assert!(word & (QUEUED | OWNER) == 0, "what is queued is thrown away: {word:b}");
        assert_eq!(stream.system().wire(), [OUR_CLOSE]);
        if stream.has_settled() {
            assert!(!stream.system().is_known(), "the poller has let go");
        } else {
            assert_watched(&stream);
            assert!(stream.read.own(CALLER).unwrap().queue.is_empty(), "what is queued is thrown away");
        }
    }
}

const CANCEL: Actor = |stream| assert_eq!(stream.cancel(), Status::Ok);

/// The peer never answers: the read does not wait for it.
const CANCEL_AND_READ: &[Actor] = &[CANCEL, |stream| read_until_end(stream, Status::Done)];

/// A close came before: messages are dropped already.
const CLOSE_AND_CANCEL_AND_READ: &[Actor] = &[
    |stream| {
        assert_eq!(stream.close(), Status::Ok);
        assert_eq!(stream.cancel(), Status::Ok);
    },
    CANCEL_AND_READ[1],
];

const CANCEL_ALONE: &[Actor] = &[CANCEL];

const CANCEL_BESIDE_A_POLL: &[Actor] = &[CANCEL, |stream| {
    assert_eq!(stream.poll(2, READABLE, Timeout::Zero), (Status::Ok, READABLE));
}];

const CANCEL_AND_POLL: &[Actor] = &[CANCEL, |stream| {
    assert_eq!(stream.poll(2, READABLE, Timeout::Never), (Status::Ok, READABLE));
    assert_eq!(stream.read(2, Timeout::Zero), Err(Status::Done));
}];

const CANCEL_TO_THE_END: &[Actor] = &[
    |stream| {
        CANCEL(stream);
        stream.system().peer_sends(b"2C");
        stream.system().peer_ends();
    },
    CANCEL_AND_READ[1],
];

#[test]
fn a_blocked_read_of_a_cancelled_stream_is_done_at_once() {
    holds(cancelled(with(Bug::None), CANCEL_AND_READ));
    holds(cancelled(with(Bug::None), CLOSE_AND_CANCEL_AND_READ));
    holds(cancelled(with(Bug::None), CANCEL_AND_POLL));
}

#[test]
fn a_cancelled_stream_throws_away_what_is_queued() {
    holds(cancelled(queued(Bug::None), CANCEL_ALONE));
    holds(cancelled(queued(Bug::None), CANCEL_BESIDE_A_POLL));
    holds(cancelled(Setup { arrived: b"12", read_mark: 1, ..with(Bug::None) }, CANCEL_ALONE));
}

#[test]
fn a_cancelled_stream_ends_with_the_peers_close() {
    holds(ends(Setup { arrived: b"1", ..with(Bug::None) }, CANCEL_ALONE_TO_THE_END));
    holds(cancelled(with(Bug::None), CANCEL_TO_THE_END));
}

const CANCEL_ALONE_TO_THE_END: &[Actor] = &[CANCEL_TO_THE_END[0]];

#[test]
fn a_cancel_that_is_not_marked_leaves_a_read_asleep() {
    fails("deadlock", cancelled(with(Bug::CancelNotMarked), CANCEL_AND_READ));
}

#[test]
fn a_cancel_that_a_sleeper_does_not_look_at_leaves_it_asleep() {
    fails("deadlock", cancelled(with(Bug::CancelUnseenAsleep), CLOSE_AND_CANCEL_AND_READ));
}

#[test]
fn a_cancel_that_nobody_is_told_of_keeps_what_is_queued() {
    fails("thrown away", cancelled(queued(Bug::CancelNotTakenOver), CANCEL_ALONE));
}

#[test]
fn a_queue_that_is_left_after_the_cancel_is_kept() {
    fails_within(1, "thrown away", cancelled(queued(Bug::CancelledLeft), CANCEL_BESIDE_A_POLL));
}

/// A stream that is freed while a call is inside: the memory is given back, and nobody touches it after that.
fn freed(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    let setup = Setup { pins: true, ..setup };
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        assert!(stream.is_given_back(), "the memory is given back");
        assert!(!stream.system().is_known(), "the poller has let go");
    }
}

const FREE: Actor = |stream| stream.free();

const FREE_AND_READ: &[Actor] = &[FREE, |stream| {
    assert_eq!(stream.read(1, Timeout::Never), Err(Status::State), "a freed stream answers STATE");
}];

const FREE_AND_SHORT_READ: &[Actor] = &[FREE, |stream| {
    let _ = stream.read(1, Timeout::Zero);
}];

const FREE_AND_READ_TWO: &[Actor] = &[FREE, |stream| {
    stream.read_two(1, Timeout::Zero);
}];

const FREE_AND_POLL: &[Actor] = &[FREE, |stream| {
    stream.poll(1, READABLE, Timeout::Zero);
}];

/// It changes nothing of the stream but the count of calls inside.
const FREE_AND_POLL_CLOSED: &[Actor] = &[FREE, |stream| {
    stream.poll(1, CLOSED, Timeout::Zero);
}];

/// The reading half settles `closed` without the lock that the write has.
const FREE_AND_WRITE: &[Actor] = &[
    |stream| {
        stream.system().peer_ends();
        stream.poll(2, CLOSED, Timeout::Never);
        stream.free();
    },
    |stream| {
        stream.write(1, SMALL, false, Timeout::Zero);
    },
];

const FREE_AND_BLOCKED_WRITE: &[Actor] = &[FREE, |stream| {
    assert_eq!(
        stream.write(1, TWO_FRAMES, false, Timeout::Never),
        Status::State,
        "a freed stream answers STATE"
    );
}];

fn queued(bug: Bug) -> Setup {
    Setup { bug, queued: Some(b'1'), ..Setup::default() }
}

fn with(bug: Bug) -> Setup {
    Setup { bug, ..Setup::default() }
}

#[test]
fn a_blocked_read_of_a_freed_stream_returns_and_the_memory_goes_after_it() {
    holds(freed(with(Bug::None), FREE_AND_READ));
}

#[test]
fn a_short_read_of_a_freed_stream_leaves_before_the_memory_goes() {
    holds(freed(queued(Bug::None), FREE_AND_SHORT_READ));
}

#[test]
fn a_batch_of_reads_of_a_freed_stream_keeps_the_memory() {
    holds(freed(queued(Bug::None), FREE_AND_READ_TWO));
}

#[test]
fn a_poll_of_a_freed_stream_keeps_the_memory() {
    holds(freed(with(Bug::None), FREE_AND_POLL));
    holds(freed(with(Bug::None), FREE_AND_POLL_CLOSED));
}

#[test]
fn a_short_write_to_a_freed_stream_leaves_before_the_memory_goes() {
    holds(freed(with(Bug::None), FREE_AND_WRITE));
}

#[test]
fn a_blocked_write_to_a_freed_stream_returns_and_the_memory_goes_after_it() {
    holds(freed(Setup { room: 0, ..Setup::default() }, FREE_AND_BLOCKED_WRITE));
}

#[test]
fn a_free_that_is_not_marked_is_not_told_to_a_read() {
    fails("answers STATE", freed(with(Bug::FreedNotMarked), FREE_AND_READ));
}

#[test]
fn a_free_that_is_not_marked_is_not_told_to_a_write() {
    let setup = Setup { room: 0, ..with(Bug::WriteFreedNotMarked) };
    fails("answers STATE", freed(setup, FREE_AND_BLOCKED_WRITE));
}

#[test]
fn a_read_that_is_not_seen_loses_its_memory() {
    fails_within(1, GIVEN_BACK, freed(queued(Bug::ReaderUnseen), FREE_AND_SHORT_READ));
}

#[test]
fn a_batch_of_reads_that_is_not_seen_loses_its_memory() {
    fails_within(1, GIVEN_BACK, freed(queued(Bug::BatchUnpinned), FREE_AND_READ_TWO));
}

#[test]
fn a_freed_stream_lets_its_socket_go_before_its_memory() {
    holds(ends(Setup { pins: true, ..Setup::default() }, FREE_AND_READ));
    holds(ends(Setup { pins: true, ..queued(Bug::None) }, FREE_AND_SHORT_READ));
}
