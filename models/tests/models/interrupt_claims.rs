//! What holds of `wake`: who is asked for these events returns once, nobody else does.

use super::check::{fails, holds};
use super::driving::{Actor, assert_watched, run};
use super::stream::{Bug, CLOSED, READABLE, Setup, Status, Stream, Timeout, WRITABLE};
use super::writing::{SMALL, TWO_FRAMES};

const DEADLOCK: &str = "deadlock";

fn with(bug: Bug) -> Setup {
    Setup { bug, ..Setup::default() }
}

fn interrupted(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        assert_watched(&stream);
    }
}

fn wake(stream: &Stream, events: u32) {
    assert_eq!(stream.interrupt(events), Status::Ok);
}

const WAKE_READABLE: Actor = |stream| wake(stream, READABLE);

/// It returns once, and the next one waits for what it is asked for.
const READ_TWICE: Actor = |stream| {
    assert_eq!(stream.read(1, Timeout::Never), Err(Status::Again), "an interrupted read");
    stream.kernel().peer_sends(b"1");
    assert_eq!(stream.read(1, Timeout::Never), Ok(b'1'), "the read after it");
};

const READ_AND_WAKE: &[Actor] = &[READ_TWICE, WAKE_READABLE];

#[test]
fn a_blocked_read_or_the_next_one_returns_once() {
    holds(interrupted(with(Bug::None), READ_AND_WAKE));
}

#[test]
fn a_wake_that_raises_nothing_leaves_a_read_asleep() {
    fails(DEADLOCK, interrupted(with(Bug::InterruptNotRaised), READ_AND_WAKE));
}

#[test]
fn a_wake_that_is_forgotten_with_nobody_blocked_leaves_the_next_read_asleep() {
    fails(DEADLOCK, interrupted(with(Bug::InterruptForgotten), READ_AND_WAKE));
}

#[test]
fn a_wake_that_is_kept_ends_a_second_read() {
    fails("the read after it", interrupted(with(Bug::InterruptKept), READ_AND_WAKE));
}

/// A read looks again at the end, but is not asked for it.
const READ_AND_WAKE_CLOSED: &[Actor] = &[
    |stream| assert_eq!(stream.read(1, Timeout::Never), Ok(b'1'), "no other call is meant"),
    |stream| {
        wake(stream, CLOSED);
        stream.kernel().peer_sends(b"1");
        assert_eq!(stream.poll(2, CLOSED, Timeout::Never), (Status::Again, 0), "the next call that is meant");
    },
];

#[test]
fn a_read_goes_on_waiting_where_others_are_meant() {
    holds(interrupted(with(Bug::None), READ_AND_WAKE_CLOSED));
}

#[test]
fn a_wake_of_all_that_look_again_ends_a_read_that_is_not_meant() {
    fails("no other call is meant", interrupted(with(Bug::InterruptMeansAll), READ_AND_WAKE_CLOSED));
}

/// One of them drives, the other follows.
const READ_AND_POLL_AND_WAKE: &[Actor] = &[
    |stream| {
        let result = stream.read(1, Timeout::Never);
        assert_eq!(result, Err(Status::Again));
        wake(stream, READABLE);
    },
    |stream| {
        assert_eq!(stream.poll(2, READABLE, Timeout::Never), (Status::Again, 0));
        wake(stream, READABLE);
    },
    WAKE_READABLE,
];

#[test]
fn a_call_that_drives_and_one_that_follows_both_return() {
    holds(interrupted(with(Bug::None), READ_AND_POLL_AND_WAKE));
}

/// The message was taken: what the socket did not take is left to the internal thread.
fn left_over(bug: Bug, wire: &'static [u8], actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, room: 0, ..Setup::default() });
        run(&stream, actors);
        assert_eq!(stream.system().wire(), wire, "what was taken goes out");
        assert_watched(&stream);
    }
}

const WRITE_AND_WAKE: &[Actor] = &[
    |stream| {
        assert_eq!(stream.write(1, SMALL, false, Timeout::Never), Status::Queued);
        stream.system().peer_takes(4);
    },
    |stream| wake(stream, WRITABLE),
];

const WRITE_FRAMES_AND_WAKE: &[Actor] = &[
    |stream| {
        assert_eq!(stream.write(1, TWO_FRAMES, false, Timeout::Never), Status::Queued);
        stream.system().peer_takes(4);
    },
    |stream| wake(stream, WRITABLE),
];

#[test]
fn what_an_interrupted_write_leaves_over_is_sent() {
    holds(left_over(Bug::None, b"m", WRITE_AND_WAKE));
    holds(left_over(Bug::None, b"fm", WRITE_FRAMES_AND_WAKE));
}

#[test]
fn what_an_interrupted_write_leaves_over_and_does_not_arm_is_stranded() {
    fails("what was taken", left_over(Bug::RestNotArmed, b"m", WRITE_AND_WAKE));
}
