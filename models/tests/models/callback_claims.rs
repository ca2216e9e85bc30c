//! What holds of callbacks: each message comes once and in order, each callback runs once, none after `free`.

use super::calling::{CLOSED_NOTE, EVENT_NOTE, FREED_NOTE, LAST_NOTE, OPENED_NOTE};
use super::check::{fails, holds};
use super::driving::{Actor, assert_watched, run};
use super::kernel::{Command, Interest};
use super::stream::{Bug, READABLE, Setup, Status, Stream, Timeout, WRITABLE};
use super::writing::SMALL;

fn calling(bug: Bug) -> Setup {
    Setup { bug, calls_back: true, ..Setup::default() }
}

/// What the callbacks have noted at rest; an open stream is watched and its seat is the callback's.
fn calls(setup: Setup, actors: &'static [Actor], notes: &'static [u8]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        let noted = stream.noted();
        assert_eq!(noted, notes, "each callback runs once and in order");
        if !stream.has_settled() {
            assert_watched(&stream);
        }
    }
}

fn note_next(stream: &Stream, next: Result<u8, Status>) -> bool {
    stream.note(next.unwrap_or(LAST_NOTE));
    true
}

fn deliver(stream: &Stream) {
    assert_eq!(stream.on_message(Some(note_next)), Status::Ok);
}

const DELIVER: Actor = deliver;

const PEER_SENDS_TWO: Actor = |stream| {
    stream.kernel().peer_sends(b"1");
    stream.kernel().peer_sends(b"2");
};

const DELIVER_TWO: &[Actor] = &[PEER_SENDS_TWO, DELIVER];

/// Another thread has the reading half meanwhile.
const DELIVER_BESIDE_A_POLL: &[Actor] = &[PEER_SENDS_TWO, DELIVER, |stream| {
    stream.poll(2, READABLE, Timeout::Zero);
}];

/// It asks for a message that the callback may have got before: somebody sends until it has returned.
const DELIVER_BESIDE_A_SLEEPER: &[Actor] = &[DELIVER, |stream| {
    stream.poll(2, READABLE | WRITABLE, Timeout::Never);
    stream.kernel().peer_sends(b"1");
}];

#[test]
fn a_callback_gets_every_message_once_and_in_order() {
    holds(calls(calling(Bug::None), DELIVER_TWO, b"12"));
}

#[test]
fn a_callback_gets_what_another_thread_has_decoded() {
    holds(calls(calling(Bug::None), DELIVER_BESIDE_A_POLL, b"12"));
    holds(calls(calling(Bug::None), DELIVER_BESIDE_A_SLEEPER, b"1"));
}

#[test]
fn a_registration_that_is_not_posted_is_not_looked_at() {
    const LATE: &[Actor] = &[|stream| assert_eq!(stream.on_event(Some(WRITABLE)), Status::Ok)];
    holds(calls(calling(Bug::None), LATE, &[EVENT_NOTE]));
    fails("runs once", calls(calling(Bug::RegistrationNotPosted), LATE, &[EVENT_NOTE]));
}

#[test]
fn a_delivery_that_keeps_its_chunk_is_swept_for_ever() {
    fails("stays on the list", calls(calling(Bug::DeliveryKeepsChunk), DELIVER_TWO, b"12"));
}

/// Each message is handed to a worker, who lets the next one come.
const PAUSES: &[Actor] = &[
    |stream| {
        let callback = |stream: &Stream, next: Result<u8, Status>| {
            stream.note(next.unwrap_or(LAST_NOTE));
            stream.kernel().signal(2);
            false
        };
        assert_eq!(stream.on_message(Some(callback)), Status::Ok);
    },
    |stream| {
        stream.kernel().poll(2, Interest::default());
        stream.kernel().clear(2);
        assert_eq!(stream.resume(), Status::Ok);
    },
];

/// The same, but only the first one stops: meanwhile reading stops at the mark.
const PAUSES_AT_THE_MARK: &[Actor] = &[
    |stream| {
        let callback = |stream: &Stream, next: Result<u8, Status>| {
            stream.note(next.unwrap_or(LAST_NOTE));
            if next == Ok(b'1') {
                stream.kernel().signal(2);
            }
            next != Ok(b'1')
        };
        assert_eq!(stream.on_message(Some(callback)), Status::Ok);
    },
    PAUSES[1],
];

#[test]
fn a_delivery_that_goes_on_below_the_mark_gets_the_stream_watched_again() {
    let setup = Setup { arrived: b"123", read_mark: 1, receive_size: 2, ..calling(Bug::None) };
    holds(calls(setup, PAUSES_AT_THE_MARK, b"123"));
}

#[test]
fn a_resume_is_never_lost_though_it_comes_before_the_pause() {
    holds(calls(Setup { arrived: b"12", ..calling(Bug::None) }, PAUSES, b"12"));
}

#[test]
fn a_resume_that_is_forgotten_while_the_callback_runs_is_lost() {
    fails("runs once", calls(Setup { arrived: b"12", ..calling(Bug::ResumeForgotten) }, PAUSES, b"12"));
}

/// From before the opening to the end.
const FROM_OPENING_TO_END: &[Actor] = &[
    |stream| {
        assert_eq!(stream.on_opened(), Status::Ok);
        deliver(stream);
        assert_eq!(stream.on_closed(), Status::Ok);
        stream.kernel().ask(Command::Connected);
    },
    |stream| {
        stream.system().peer_sends(b"O1C");
        stream.system().peer_ends();
    },
];

const FROM_OPENING_TO_FAILURE: &[Actor] = &[FROM_OPENING_TO_END[0], |stream| stream.fail()];

#[test]
fn callbacks_run_in_order_from_the_opening_to_the_end() {
    let setup = Setup { is_open: false, ..calling(Bug::None) };
    holds(calls(setup, FROM_OPENING_TO_END, &[OPENED_NOTE, b'1', LAST_NOTE, CLOSED_NOTE]));
    holds(calls(setup, FROM_OPENING_TO_FAILURE, &[OPENED_NOTE, LAST_NOTE, CLOSED_NOTE]));
}

#[test]
fn a_message_that_comes_with_the_opening_comes_before_it_where_nobody_looks() {
    let setup = Setup { is_open: false, ..calling(Bug::MessageBeforeOpened) };
    fails("in order", calls(setup, FROM_OPENING_TO_END, &[OPENED_NOTE, b'1', LAST_NOTE, CLOSED_NOTE]));
}

/// Registered while another thread settles.
const CLOSED_BESIDE_THE_END: &[Actor] =
    &[|stream| assert_eq!(stream.on_closed(), Status::Ok), |stream| stream.fail()];

#[test]
fn a_callback_runs_exactly_once_whether_it_was_registered_before_or_after_the_end() {
    holds(calls(calling(Bug::None), CLOSED_BESIDE_THE_END, &[CLOSED_NOTE]));
}

#[test]
fn an_end_that_is_told_before_it_is_there_is_missed() {
    fails("runs once", calls(calling(Bug::ToldBeforeLatch), CLOSED_BESIDE_THE_END, &[CLOSED_NOTE]));
}

/// The callback is taken back: what it did not get is for a reader.
fn removed(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| {
        let callback = |stream: &Stream, next: Result<u8, Status>| {
            assert!(
                stream.read.load() & wsstream_models::stream::read_word::READER != 0,
                "a callback runs on"
            );
            stream.note(next.unwrap_or(LAST_NOTE));
            true
        };
        assert_eq!(stream.on_message(Some(callback)), Status::Ok);
        assert_eq!(stream.read(1, Timeout::Zero), Err(Status::Busy), "the seat is the callback's");
        assert_eq!(stream.on_message(None), Status::Ok);
        while stream.noted().len() < 2 {
            let message = stream.read(1, Timeout::Never);
            stream.note(message.expect("the stream is open"));
        }
    }];
    move || {
        let stream = Stream::new(Setup { arrived: b"12", ..calling(bug) });
        run(&stream, ACTORS);
        assert_eq!(stream.noted(), b"12", "messages come in order");
        assert_watched(&stream);
    }
}

#[test]
fn what_a_removed_callback_did_not_get_is_read() {
    holds(removed(Bug::None));
}

#[test]
fn a_removal_that_does_not_wait_lets_a_callback_run_on() {
    fails("", removed(Bug::RemovalDoesNotWait));
}

#[test]
fn a_message_that_is_taken_before_the_callback_runs_is_given_to_a_removed_one() {
    fails("", removed(Bug::TakenBeforeRunning));
}

/// The callback sets another one.
fn replaced(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| {
        let callback = |stream: &Stream, next: Result<u8, Status>| {
            stream.note(next.map_or(LAST_NOTE, |message| message + b'a' - b'1'));
            deliver(stream);
            true
        };
        assert_eq!(stream.on_message(Some(callback)), Status::Ok);
    }];
    calls(Setup { arrived: b"12", ..calling(bug) }, ACTORS, b"a2")
}

#[test]
fn a_callback_that_is_set_inside_another_gets_the_next_message() {
    holds(replaced(Bug::None));
}

#[test]
fn a_callback_that_is_put_back_without_a_look_undoes_the_change() {
    fails("runs once", replaced(Bug::PutBackUnlooked));
}

/// Room that the internal thread makes, and a message, whoever decodes it.
const ROOM: &[Actor] = &[
    |stream| {
        assert_ne!(stream.write(1, SMALL, false, Timeout::Zero), Status::Again);
        assert_eq!(stream.on_event(Some(WRITABLE)), Status::Ok);
    },
    |stream| stream.system().peer_takes(2),
];
const MESSAGE: &[Actor] = &[
    |stream| assert_eq!(stream.on_event(Some(READABLE)), Status::Ok),
    |stream| stream.kernel().peer_sends(b"1"),
    |stream| {
        stream.poll(2, READABLE, Timeout::Zero);
    },
];
const REPLACED_EVENT: &[Actor] = &[|stream| {
    assert_eq!(stream.on_event(Some(READABLE)), Status::Ok);
    assert_eq!(stream.on_event(Some(WRITABLE | READABLE)), Status::Ok);
}];

#[test]
fn an_event_callback_runs_once_whoever_brings_the_event_about() {
    holds(calls(Setup { room: 0, ..calling(Bug::None) }, ROOM, &[EVENT_NOTE]));
    holds(calls(calling(Bug::None), MESSAGE, &[EVENT_NOTE]));
}

#[test]
fn an_event_callback_that_waits_for_a_large_message_gets_it() {
    holds(calls(Setup { read_mark: 0, ..calling(Bug::None) }, &MESSAGE[..2], &[EVENT_NOTE]));
    holds(calls(large(Bug::None), &MESSAGE[..1], &[EVENT_NOTE]));
}

/// It is here, and reading has stopped at the mark.
fn large(bug: Bug) -> Setup {
    Setup { arrived: b"1", read_mark: 0, ..calling(bug) }
}

#[test]
fn a_look_that_does_not_arm_leaves_the_stream_unwatched() {
    fails("is not watched", calls(large(Bug::CalledBackUnarmed), &MESSAGE[..1], &[EVENT_NOTE]));
}

#[test]
fn a_message_above_the_mark_that_is_not_taken_whole_is_no_event() {
    let setup = Setup { read_mark: 0, ..calling(Bug::HeadNotTaken) };
    fails("", calls(setup, &MESSAGE[..2], &[EVENT_NOTE]));
}

#[test]
fn an_event_callback_that_is_kept_runs_twice() {
    fails("", calls(calling(Bug::EventKept), MESSAGE, &[EVENT_NOTE]));
}

#[test]
fn a_look_that_does_not_say_that_it_waits_misses_room() {
    fails("runs once", calls(Setup { room: 0, ..calling(Bug::LooksUnsaid) }, ROOM, &[EVENT_NOTE]));
}

#[test]
fn an_event_callback_that_replaces_another_runs() {
    holds(calls(calling(Bug::None), REPLACED_EVENT, &[EVENT_NOTE]));
}

/// Freed on another thread, or inside a callback: after that only `on_freed` runs, once.
fn freed(bug: Bug, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    let setup = Setup { arrived: b"12", pins: true, ..calling(bug) };
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        assert!(stream.is_given_back(), "the memory is given back");
        let noted = stream.noted();
        assert_eq!(noted.last(), Some(&FREED_NOTE), "what was freed is told last: {noted:?}");
        assert_eq!(noted.iter().filter(|&&note| note == FREED_NOTE).count(), 1, "it is told once");
        assert!(!noted.contains(&CLOSED_NOTE), "a callback runs when free has returned");
    }
}

const FREED_OUTSIDE: &[Actor] = &[|stream| {
    stream.on_freed();
    deliver(stream);
    stream.on_closed();
    stream.free();
}];

const FREED_INSIDE: &[Actor] = &[|stream| {
    stream.on_freed();
    stream.on_closed();
    let callback = |stream: &Stream, next: Result<u8, Status>| {
        stream.note(next.unwrap_or(LAST_NOTE));
        stream.free();
        true
    };
    stream.on_message(Some(callback));
}];

#[test]
fn no_callback_runs_once_free_has_returned() {
    holds(freed(Bug::None, FREED_OUTSIDE));
}

#[test]
fn a_stream_that_is_freed_inside_its_callback_calls_no_other() {
    holds(freed(Bug::None, FREED_INSIDE));
}

#[test]
fn a_free_that_does_not_wait_lets_a_callback_run_on() {
    fails("when free has returned", freed(Bug::RemovalDoesNotWait, FREED_OUTSIDE));
}
