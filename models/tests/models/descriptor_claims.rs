//! What holds of the descriptor for event loops: no wake-up is lost, none comes for ever.

use super::check::{fails, fails_within, holds};
use super::driving::{Actor, assert_watched, run};
use super::kernel::Command;
use super::stream::{Bug, CLOSED, OPENED, PONG, READABLE, Setup, Status, Stream, Timeout, WRITABLE};
use super::writing::SMALL;
use wsstream_models::stream::read_word::DESCRIPTOR;

const DEADLOCK: &str = "deadlock";

/// A program with an event loop, and others; at rest the descriptor is quiet where nothing holds that is watched.
fn looped(setup: Setup, actors: &'static [Actor], messages: usize) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        assert_eq!(stream.noted().len(), messages, "every message comes");
        assert!(stream.noted().is_sorted(), "messages come in order");
        assert_watched(&stream);
        // One false alarm is allowed: the next call quietens it.
        assert_eq!(stream.read(1, Timeout::Zero), Err(Status::Again));
        assert!(!stream.system().is_set_ready(), "an idle stream alarms its event loop");
    }
}

fn watching(bug: Bug, events: u32) -> Setup {
    Setup { bug, watched: Some(events), ..Setup::default() }
}

/// Reads what is there, `most` messages at a wake-up.
fn loop_until(stream: &Stream, messages: usize, most: usize) {
    while stream.noted().len() < messages {
        stream.kernel().poll_set(1);
        for _ in 0..most {
            match stream.read(1, Timeout::Zero) {
                Ok(message) => stream.note(message),
                Err(status) => {
                    assert_eq!(status, Status::Again);
                    break;
                }
            }
        }
    }
}

const PEER_SENDS_TWO: Actor = |stream| {
    stream.kernel().peer_sends(b"1");
    stream.kernel().peer_sends(b"2");
};

const ALL_AT_ONCE: &[Actor] = &[PEER_SENDS_TWO, |stream| loop_until(stream, 2, 9)];
const ONE_BY_ONE: &[Actor] = &[PEER_SENDS_TWO, |stream| loop_until(stream, 2, 1)];

/// Another thread decodes, and leaves what it has found.
const BESIDE_A_POLL: &[Actor] = &[
    PEER_SENDS_TWO,
    |stream| loop_until(stream, 2, 1),
    |stream| {
        stream.poll(2, READABLE, Timeout::Zero);
    },
];

#[test]
fn an_event_loop_gets_every_message() {
    holds(looped(watching(Bug::None, READABLE), ALL_AT_ONCE, 2));
    holds(looped(watching(Bug::None, READABLE), ONE_BY_ONE, 2));
}

#[test]
fn an_event_loop_gets_what_another_thread_has_decoded() {
    holds(looped(watching(Bug::None, READABLE), BESIDE_A_POLL, 2));
}

#[test]
fn a_bit_that_is_not_marked_leaves_an_event_loop_asleep() {
    fails(DEADLOCK, looped(watching(Bug::DescriptorNotMarked, READABLE), ALL_AT_ONCE, 2));
}

#[test]
fn what_is_left_behind_and_told_to_nobody_leaves_an_event_loop_asleep() {
    fails(DEADLOCK, looped(watching(Bug::LeftUntold, READABLE), BESIDE_A_POLL, 2));
}

/// What comes when the loop has just found nothing more is decoded by another thread; either may come first.
const BESIDE_A_LATE_POLL: &[Actor] = &[
    |stream| {
        stream.kernel().peer_sends(b"1");
        loop_until(stream, 2, 2);
    },
    |stream| {
        stream.kernel().peer_sends(b"1");
        stream.poll(2, READABLE, Timeout::Zero);
    },
];

#[test]
fn an_event_loop_gets_what_another_thread_decodes_while_it_goes_to_sleep() {
    holds(looped(watching(Bug::None, READABLE), BESIDE_A_LATE_POLL, 2));
}

#[test]
fn a_look_before_the_descriptor_is_quiet_loses_a_wake_up() {
    fails_within(1, DEADLOCK, looped(watching(Bug::LookBeforeQuiet, READABLE), BESIDE_A_LATE_POLL, 2));
}

/// An alarm while another thread quietens the last one: whatever stands then, the next call quietens it.
fn alarmed(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| stream.raise_descriptor(), |stream| stream.quieten_descriptor()];
    move || {
        let stream = Stream::new(watching(bug, CLOSED));
        run(&stream, ACTORS);
        stream.quieten_descriptor();
        assert!(!stream.system().is_set_ready(), "an alarm that nobody can quieten");
    }
}

#[test]
fn every_alarm_is_quietened_by_the_next_call() {
    holds(alarmed(Bug::None));
}

#[test]
fn a_flag_beside_the_event_makes_an_alarm_that_nobody_quietens() {
    fails("nobody can quieten", alarmed(Bug::RaisedBesideEvent));
}

#[test]
fn a_waiter_that_raises_the_descriptor_alarms_an_idle_event_loop() {
    fails("alarms its event loop", looped(watching(Bug::WaiterRaises, READABLE), ALL_AT_ONCE, 2));
}

#[test]
fn an_event_that_does_not_put_the_stream_on_the_list_leaves_it_unwatched() {
    fails("is answered", unread(Bug::LingerNotSet));
}

/// Nobody reads: a ping is answered all the same, and the message stays for the program.
fn unread(bug: Bug) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(watching(bug, READABLE));
        run(&stream, &[|stream| stream.kernel().peer_sends(b"1P")]);
        assert_eq!(stream.system().wire(), [PONG], "a ping is answered");
        assert!(stream.system().is_set_ready(), "what was decoded is shown");
        assert_watched(&stream);
    }
}

#[test]
fn a_ping_is_answered_though_the_event_loop_does_not_come() {
    holds(unread(Bug::None));
}

#[test]
fn what_the_internal_thread_decodes_and_does_not_tell_is_not_shown() {
    fails("is shown", unread(Bug::LeftUntold));
}

/// Above the mark what was received lies undecoded: no word tells it, and no sweep comes.
const ABOVE_THE_MARK: Setup = Setup {
    is_callers: false,
    bug: Bug::None,
    arrived: b"12",
    room: 0,
    read_mark: 0,
    write_mark: 0,
    is_open: true,
    pins: false,
    lingers: false,
    queued: None,
    receive_size: 100,
    receives_max: 32,
    controls_max: 1024,
    watched: Some(READABLE | WRITABLE),
    calls_back: false,
    sees_sweeps: false,
};

const READ_AND_FAIL_TO_WRITE: &[Actor] = &[|stream| {
    assert_eq!(stream.write(1, SMALL, false, Timeout::Zero), Status::Queued);
    while stream.noted().len() < 2 {
        stream.kernel().poll_set(1);
        if let Ok(message) = stream.read(1, Timeout::Zero) {
            stream.note(message);
        }
        assert_eq!(stream.write(1, SMALL, false, Timeout::Zero), Status::Again);
    }
    stream.system().peer_takes(4);
}];

#[test]
fn a_write_that_quietens_the_descriptor_keeps_what_lies_undecoded() {
    holds(looped_writing(Bug::None));
}

#[test]
fn a_quiet_that_does_not_look_at_what_lies_undecoded_loses_it() {
    fails(DEADLOCK, looped_writing(Bug::LeftUnlooked));
}

fn looped_writing(bug: Bug) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, ..ABOVE_THE_MARK });
        run(&stream, READ_AND_FAIL_TO_WRITE);
        assert_eq!(stream.noted(), b"12");
        assert_watched(&stream);
    }
}

/// The socket takes nothing at first: whoever sends the rest, there is room after that.
fn filled(bug: Bug, watched: u32) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            assert_ne!(stream.write(1, SMALL, false, Timeout::Zero), Status::Again);
            while stream.write(1, SMALL, false, Timeout::Zero) == Status::Again {
                stream.kernel().poll_set(1);
            }
        },
        |stream| stream.system().peer_takes(2),
    ];
    move || {
        let stream = Stream::new(Setup { bug, room: 0, watched: Some(watched), ..Setup::default() });
        run(&stream, ACTORS);
        assert_eq!(stream.system().wire(), b"mm");
        assert_watched(&stream);
    }
}

#[test]
fn an_event_loop_gets_the_room_that_the_internal_thread_made() {
    holds(filled(Bug::None, WRITABLE));
    holds(filled(Bug::None, WRITABLE | READABLE));
}

#[test]
fn room_that_is_not_noted_leaves_an_event_loop_asleep() {
    fails(DEADLOCK, filled(Bug::RoomNotNoted, WRITABLE));
}

/// The end, or the opening, by any thread.
fn told(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        stream.watch_descriptor(0);
        assert!(!stream.system().is_set_ready(), "what is not watched is silent");
    }
}

/// Until one of the events holds.
fn loop_for(stream: &Stream, events: u32) {
    while stream.poll(1, events, Timeout::Zero).0 == Status::Again {
        stream.kernel().poll_set(1);
    }
}

const FAILED: &[Actor] = &[|stream| loop_for(stream, CLOSED), |stream| stream.fail()];
const ENDED: &[Actor] = &[|stream| loop_for(stream, CLOSED | READABLE), |stream| stream.kernel().peer_ends()];
const CANCELLED: &[Actor] = &[
    |stream| {
        while stream.read(1, Timeout::Zero) == Err(Status::Again) {
            stream.kernel().poll_set(1);
        }
    },
    |stream| assert_eq!(stream.cancel(), Status::Ok),
];
const OPENING: &[Actor] = &[
    |stream| loop_until(stream, 1, 9),
    |stream| {
        stream.kernel().ask(Command::Connected);
        stream.kernel().peer_sends(b"O1");
    },
];
const OPENED_HERE: &[Actor] = &[|stream| loop_for(stream, OPENED), OPENING[1]];

/// It is watched from the time it is needed, while other threads settle it or find it.
const WATCHED_LATE: &[Actor] = &[
    |stream| {
        stream.watch_descriptor(CLOSED);
        stream.kernel().poll_set(1);
        assert_eq!(stream.poll(1, CLOSED, Timeout::Zero), (Status::Ok, CLOSED), "what is shown holds");
    },
    |stream| stream.fail(),
];

#[test]
fn an_event_loop_sees_the_end_whoever_finds_it() {
    holds(told(watching(Bug::None, CLOSED), FAILED));
    holds(told(watching(Bug::None, CLOSED | READABLE), ENDED));
    holds(told(Setup::default(), WATCHED_LATE));
}

#[test]
fn an_event_loop_sees_that_reading_was_cancelled() {
    holds(told(watching(Bug::None, READABLE), CANCELLED));
}

#[test]
fn an_event_loop_drives_the_opening() {
    let setup = Setup { is_open: false, ..watching(Bug::None, READABLE) };
    holds(told(setup, OPENING));
    holds(told(Setup { watched: Some(OPENED), ..setup }, OPENED_HERE));
}

#[test]
fn an_end_that_is_not_raised_leaves_an_event_loop_asleep() {
    fails(DEADLOCK, told(watching(Bug::NotRaisedAtEnd, CLOSED), FAILED));
}

/// What another thread leaves while the descriptor is first watched.
const LEFT_AND_WATCHED: &[Actor] = &[
    |stream| {
        stream.poll(2, READABLE, Timeout::Zero);
    },
    |stream| {
        stream.watch_descriptor(READABLE);
        loop_until(stream, 2, 1);
    },
];

#[test]
fn what_is_left_behind_while_the_watch_begins_is_shown() {
    holds(looped(Setup { arrived: b"12", ..Setup::default() }, LEFT_AND_WATCHED, 2));
}

/// Two threads change what is watched: in the end all three places agree.
fn rewatched(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] =
        &[|stream| stream.watch_descriptor(0), |stream| stream.watch_descriptor(READABLE)];
    move || {
        let stream = Stream::new(watching(bug, READABLE));
        run(&stream, ACTORS);
        let is_watched = stream.system().standing().watched & READABLE != 0;
        let is_marked = stream.read.load() & DESCRIPTOR != 0;
        assert_eq!(is_watched, is_marked, "what is watched is marked");
        stream.system().peer_sends(b"1");
        assert_eq!(stream.system().is_set_ready(), is_watched, "what is watched is shown by the socket");
    }
}

#[test]
fn two_threads_that_change_what_is_watched_leave_one_of_both() {
    holds(rewatched(Bug::None));
}

#[test]
fn a_change_of_what_is_watched_in_two_steps_leaves_half_of_each() {
    fails("what is watched is", rewatched(Bug::WatchedInTwoSteps));
}
