//! What holds of the read word while the stream is open or opening.

use super::check::{fails, holds};
use super::driving::{Actor, Internal, assert_watched, run};
use super::kernel::Command;
use super::stream::{Bug, OPENED, PING, PONG, READABLE, Setup, Status, Stream, Timeout, internal_leave};
use super::writing::SMALL;
use std::sync::Arc;
use wsstream_models::stream::read_word::{
    CANCELLED, CONNECTING, INTERNAL, Leave, OWNER, QUEUED, ReadWord, THROTTLED,
};

const DEADLOCK: &str = "deadlock";
const UNWATCHED: &str = "an idle stream is not watched";

fn note_read(stream: &Stream, place: usize) {
    match stream.read(place, Timeout::Never) {
        Ok(message) => stream.note(message),
        Err(status) => panic!("a read of an open stream answers {status:?}"),
    }
}

/// One caller reads, the peer sends; the pings are answered and the stream is watched at the end.
fn one_caller(
    bug: Bug,
    actors: &'static [Actor],
    messages: &'static [u8],
    pings: usize,
) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, ..Setup::default() });
        run(&stream, actors);
        assert_eq!(stream.noted(), messages, "messages come in order");
        assert_eq!(stream.system().wire(), vec![PONG; pings], "every ping is answered");
        assert_watched(&stream);
    }
}

const MESSAGE_THEN_PING: &[Actor] = &[
    |stream| {
        stream.kernel().peer_sends(b"1");
        stream.kernel().peer_sends(&[PING]);
    },
    |stream| note_read(stream, 1),
];

const PING_THEN_MESSAGE: &[Actor] = &[
    |stream| {
        stream.kernel().peer_sends(&[PING]);
        stream.kernel().peer_sends(b"1");
    },
    |stream| note_read(stream, 1),
];

const TWO_MESSAGES: &[Actor] = &[
    |stream| {
        stream.kernel().peer_sends(b"1");
        stream.kernel().peer_sends(b"2");
    },
    |stream| {
        note_read(stream, 1);
        note_read(stream, 1);
    },
];

#[test]
fn a_ping_behind_a_message_is_answered_though_the_reader_has_left() {
    holds(one_caller(Bug::None, MESSAGE_THEN_PING, b"1", 1));
}

#[test]
fn a_ping_before_a_message_is_answered() {
    holds(one_caller(Bug::None, PING_THEN_MESSAGE, b"1", 1));
}

#[test]
fn two_messages_come_in_order_whoever_decodes_them() {
    holds(one_caller(Bug::None, TWO_MESSAGES, b"12", 0));
}

#[test]
fn a_release_that_does_not_list_leaves_the_stream_unwatched() {
    fails("ping", one_caller(Bug::ListForgotten, MESSAGE_THEN_PING, b"1", 1));
}

#[test]
fn a_reader_that_does_not_say_what_it_left_undecoded_leaves_it_for_ever() {
    fails("every ping", one_caller(Bug::PendingNotSaid, MESSAGE_THEN_PING, b"1", 1));
}

/// A read takes what is queued while the socket has something: an event that it keeps the internal thread from.
fn short_read(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| note_read(stream, 1), |stream| stream.kernel().peer_sends(b"2")];
    move || {
        let stream = Stream::new(Setup { bug, queued: Some(b'1'), ..Setup::default() });
        run(&stream, ACTORS);
        assert_eq!(stream.noted(), b"1");
        assert_watched(&stream);
    }
}

#[test]
fn a_read_that_keeps_an_event_from_the_internal_thread_gets_the_stream_watched_again() {
    holds(short_read(Bug::None));
}

#[test]
fn a_caller_that_says_armed_leaves_the_stream_unwatched() {
    fails(UNWATCHED, short_read(Bug::CallerSaysArmed));
}

#[test]
fn a_sweep_that_keeps_linger_leaves_the_stream_unwatched() {
    fails(UNWATCHED, one_caller(Bug::SweepKeepsLinger, TWO_MESSAGES, b"12", 0));
}

#[test]
fn a_sweep_that_does_not_remember_the_counter_never_takes_over() {
    fails("stays on the list", one_caller(Bug::SweepForgetsCount, TWO_MESSAGES, b"12", 0));
}

#[test]
fn a_turn_in_passing_that_counts_as_a_callers_keeps_the_stream_on_the_list() {
    fails("stays on the list", one_caller(Bug::PassingCounts, TWO_MESSAGES, b"12", 0));
}

/// What a sweep finds that nobody else sees to it does not leave to the next one.
fn swept(bug: Bug) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, sees_sweeps: true, ..Setup::default() });
        run(&stream, MESSAGE_THEN_PING);
        assert_eq!(stream.system().wire(), [PONG]);
        assert_watched(&stream);
    }
}

#[test]
fn the_sweep_after_a_ping_answers_it_though_a_reader_was_there_before() {
    holds(swept(Bug::None));
}

#[test]
fn a_sweep_that_only_remembers_the_counter_leaves_a_ping_to_the_next() {
    fails("what nobody sees to", swept(Bug::PassingForgotten));
}

/// A read and a poll at the same time; the second message stays for the poll.
fn two_callers(bug: Bug, arrived: &'static [u8], actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, arrived, ..Setup::default() });
        run(&stream, actors);
        assert_watched(&stream);
    }
}

fn poll_readable(stream: &Stream, place: usize) {
    assert_eq!(stream.poll(place, READABLE, Timeout::Never), (Status::Ok, READABLE));
}

const READ_AND_POLL: &[Actor] = &[
    |stream| {
        note_read(stream, 1);
        stream.kernel().peer_sends(b"2");
    },
    |stream| poll_readable(stream, 2),
];

const POLL_AND_PEER: &[Actor] =
    &[|stream| stream.kernel().peer_sends(b"1"), |stream| poll_readable(stream, 1)];

#[test]
fn a_read_and_a_poll_both_return_though_one_of_them_drives() {
    holds(two_callers(Bug::None, b"1", READ_AND_POLL));
}

#[test]
fn a_poll_returns_for_a_message_that_the_internal_thread_queued() {
    holds(two_callers(Bug::None, b"", POLL_AND_PEER));
}

#[test]
fn a_follower_that_does_not_say_that_it_waits_sleeps_for_ever() {
    fails(
        DEADLOCK,
        two_callers(
            Bug::WaiterNotSaid,
            b"1",
            &[
                |stream| {
                    poll_readable(stream, 1);
                    stream.kernel().peer_sends(b"2");
                },
                |stream| {
                    note_read(stream, 2);
                    note_read(stream, 2);
                },
            ],
        ),
    );
}

#[test]
fn an_owner_that_wakes_nobody_leaves_a_follower_asleep() {
    fails(DEADLOCK, two_callers(Bug::WokenByNobody, b"1", READ_AND_POLL));
}

#[test]
fn a_poll_that_does_not_look_again_as_owner_sleeps_on_a_queued_message() {
    fails(DEADLOCK, two_callers(Bug::PollSleepsUnlooked, b"", POLL_AND_PEER));
}

/// Two reads at once: one of them may be busy, and neither loses its seat to the other.
fn two_readers(bug: Bug) -> impl Fn() + Send + Sync {
    const READ: fn(&Stream, usize) = |stream, place| match stream.read(place, Timeout::Never) {
        Ok(message) => stream.note(message),
        Err(status) => assert_eq!(status, Status::Busy),
    };
    const ACTORS: &[Actor] = &[|stream| READ(stream, 1), |stream| READ(stream, 2)];
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"12", ..Setup::default() });
        run(&stream, ACTORS);
        let mut noted = stream.noted();
        noted.sort_unstable();
        assert!(noted == b"1" || noted == b"12");
        assert_watched(&stream);
    }
}

#[test]
fn a_second_read_is_busy_and_leaves_the_seat_alone() {
    holds(two_readers(Bug::None));
}

#[test]
fn a_second_read_that_sits_down_takes_the_seat_away() {
    fails("lost its seat", two_readers(Bug::SecondReaderSits));
}

/// Reading stops at the mark of one message; a reader takes three.
fn throttled(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| stream.kernel().peer_sends(b"3P"),
        |stream| {
            for _ in 0..3 {
                note_read(stream, 1);
            }
        },
    ];
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"12", read_mark: 1, ..Setup::default() });
        run(&stream, ACTORS);
        assert_eq!(stream.noted(), b"123");
        assert_eq!(stream.system().wire(), [PONG], "what comes below the mark is seen");
        assert_watched(&stream);
        assert!(stream.read.load() & THROTTLED == 0);
    }
}

#[test]
fn a_reader_that_gets_below_the_mark_gets_the_stream_watched_again() {
    holds(throttled(Bug::None));
}

#[test]
fn input_that_counts_at_the_mark_hides_a_ping_in_it() {
    fails("is seen", throttled(Bug::InputThrottles));
}

#[test]
fn a_stream_that_stays_throttled_is_not_read_on() {
    fails("is seen", throttled(Bug::ThrottledForEver));
}

/// Nobody reads a stream above the mark, and its connection breaks.
fn broken_above_the_mark(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| {
        stream.kernel().peer_sends(b"3");
        stream.kernel().peer_breaks();
    }];
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"12", read_mark: 1, ..Setup::default() });
        run(&stream, ACTORS);
        assert!(stream.has_settled(), "a break is seen above the mark");
    }
}

#[test]
fn a_connection_that_breaks_above_the_mark_settles_closed() {
    holds(broken_above_the_mark(Bug::None));
}

/// The same without a break: what cannot be taken in is not watched for.
fn idle_above_the_mark(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| stream.kernel().peer_sends(b"3")];
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"12", read_mark: 1, ..Setup::default() });
        run(&stream, ACTORS);
        assert_watched(&stream);
        assert!(stream.read.load() & THROTTLED != 0);
        assert!(stream.read.load() & QUEUED != 0, "what is queued is said");
    }
}

#[test]
fn a_throttled_stream_is_watched_for_errors_only() {
    holds(idle_above_the_mark(Bug::None));
}

#[test]
fn a_throttled_stream_that_is_watched_for_reading_keeps_the_internal_thread_busy() {
    fails("maximum number of branches", idle_above_the_mark(Bug::ThrottledWatchesAll));
}

#[test]
fn a_queue_that_is_not_said_looks_empty() {
    fails("is said", idle_above_the_mark(Bug::QueuedNotSaid));
}

/// A close from this side while reading has stopped at the mark: the peer's Close is still received.
fn closed_above_the_mark(bug: Bug, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"12", read_mark: 1, ..Setup::default() });
        run(&stream, actors);
        assert!(stream.has_settled(), "the peer's Close is received above the mark");
    }
}

const CLOSE_ABOVE: &[Actor] = &[|stream| {
    assert_eq!(stream.close(), Status::Ok);
    stream.kernel().peer_sends(b"C");
    stream.kernel().peer_ends();
}];

const CLOSE_AND_READ_ABOVE: &[Actor] = &[CLOSE_ABOVE[0], |stream| {
    let _ = stream.read(1, Timeout::Zero);
}];

#[test]
fn a_local_close_reads_on_above_the_mark() {
    holds(closed_above_the_mark(Bug::None, CLOSE_ABOVE));
}

#[test]
fn a_local_close_reads_on_above_the_mark_beside_a_reader() {
    holds(closed_above_the_mark(Bug::None, CLOSE_AND_READ_ABOVE));
}

#[test]
fn a_local_close_without_a_nudge_stays_above_the_mark() {
    fails("peer's Close", closed_above_the_mark(Bug::NudgeForgotten, CLOSE_ABOVE));
}

/// From no socket to open, with callers inside from the beginning.
fn opening(bug: Bug, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, is_open: false, ..Setup::default() });
        run(&stream, actors);
        assert_watched(&stream);
        assert!(stream.read.load() & CONNECTING == 0, "the short way is open");
    }
}

const CONNECT_AND_ANSWER: Actor = |stream| {
    stream.kernel().ask(Command::Connected);
    stream.kernel().peer_sends(b"O");
};

const WAIT_OPENED: &[Actor] = &[CONNECT_AND_ANSWER, |stream| {
    assert_eq!(stream.wait_opened(1, Timeout::Never), Status::Ok);
}];

const READ_AND_WAIT_OPENED: &[Actor] = &[
    |stream| note_read(stream, 1),
    |stream| {
        stream.kernel().ask(Command::Connected);
        stream.kernel().peer_sends(b"O");
        assert_eq!(stream.wait_opened(2, Timeout::Never), Status::Ok);
        stream.kernel().peer_sends(b"1");
    },
];

const POLL_OPENED: &[Actor] = &[CONNECT_AND_ANSWER, |stream| {
    assert_eq!(stream.poll(1, OPENED, Timeout::Never), (Status::Ok, OPENED));
}];

#[test]
fn a_caller_follows_until_the_socket_is_there_and_then_drives_the_opening() {
    holds(opening(Bug::None, WAIT_OPENED));
}

#[test]
fn a_wait_for_opened_ends_though_a_read_drives_the_opening() {
    holds(opening(Bug::None, READ_AND_WAIT_OPENED));
}

#[test]
fn a_poll_for_opened_ends_whoever_drives() {
    holds(opening(Bug::None, POLL_OPENED));
}

#[test]
fn a_caller_that_owns_without_a_socket_keeps_the_socket_out() {
    fails(DEADLOCK, opening(Bug::OwnedWhileDetached, WAIT_OPENED));
}

#[test]
fn a_follower_that_does_not_look_at_opened_sleeps_behind_a_read() {
    fails(DEADLOCK, opening(Bug::OpenedUnseen, READ_AND_WAIT_OPENED));
}

#[test]
fn an_opening_that_is_not_said_keeps_every_read_on_the_long_way() {
    fails("short way", opening(Bug::OpenNotSaid, WAIT_OPENED));
}

/// A message was decoded ahead; another caller has a look while a read that may not wait comes.
fn read_of_queued(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            stream.poll(2, READABLE, Timeout::Zero);
            stream.poll(2, READABLE, Timeout::Zero);
        },
        |stream| assert_eq!(stream.read(1, Timeout::Zero), Ok(b'1'), "what is queued is found"),
    ];
    move || {
        let stream = Stream::new(Setup { bug, queued: Some(b'1'), ..Setup::default() });
        run(&stream, ACTORS);
        assert!(stream.read.load() & QUEUED == 0);
    }
}

#[test]
fn a_read_that_may_not_wait_finds_what_is_queued_beside_another_caller() {
    holds(read_of_queued(Bug::None));
}

/// A message has arrived; the internal thread decodes it while a poll that may not wait comes.
fn poll_beside_internal(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[|stream| {
        assert_eq!(stream.poll(1, READABLE, Timeout::Zero), (Status::Ok, READABLE), "what has come is seen");
        note_read(stream, 1);
    }];
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"1", ..Setup::default() });
        run(&stream, ACTORS);
        assert_watched(&stream);
    }
}

#[test]
fn a_poll_that_may_not_wait_sees_what_the_internal_thread_is_decoding() {
    holds(poll_beside_internal(Bug::None));
}

#[test]
fn a_poll_that_looks_twice_misses_what_was_queued_in_between() {
    fails("what has come", poll_beside_internal(Bug::PollLooksTwice));
}

#[test]
fn an_internal_thread_that_owns_as_a_caller_keeps_what_it_has_received() {
    fails("keeps what it has received", poll_beside_internal(Bug::InternalAsCaller));
}

/// A poll sleeps as owner; a read that may not wait comes.
fn read_beside_sleeper(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| poll_readable(stream, 1),
        |stream| {
            assert_eq!(stream.read(2, Timeout::Zero), Err(Status::Again));
            stream.kernel().peer_sends(b"1");
        },
    ];
    move || {
        let stream = Stream::new(Setup { bug, ..Setup::default() });
        run(&stream, ACTORS);
        assert_watched(&stream);
    }
}

#[test]
fn a_read_that_may_not_wait_does_not_wait_for_a_caller_that_sleeps() {
    holds(read_beside_sleeper(Bug::None));
}

#[test]
fn a_caller_that_owns_as_the_internal_thread_is_waited_for() {
    fails("maximum number of branches", read_beside_sleeper(Bug::CallerAsInternal));
}

/// A read takes the short way while another thread cancels: one of them sees the other.
fn cancelled(marks: u64) -> impl Fn() + Send + Sync {
    move || {
        let word = Arc::new(ReadWord::new(0_u8));
        word.attach();
        word.open();
        let leave = internal_leave();
        word.leave(word.own(INTERNAL).unwrap(), leave);
        let reader = Arc::clone(&word);
        let reading = loom::thread::spawn(move || {
            let held = reader.enter().ok()?;
            match reader.leave_quietly(held, false, false) {
                Ok(()) => Some(true),
                Err(held) => {
                    reader.leave(held, Leave { reader: true, armed: false, ..leave });
                    Some(false)
                }
            }
        });
        let before = word.mark(marks);
        let left_quietly = reading.join().unwrap();
        let was_inside = before & OWNER != 0;
        assert!(
            !was_inside || left_quietly == Some(false),
            "a cancelled read leaves as if nothing had happened"
        );
    }
}

#[test]
fn a_read_that_is_cancelled_meanwhile_does_not_leave_quietly() {
    holds(cancelled(CANCELLED));
}

#[test]
fn a_cancel_that_is_not_marked_goes_by_unseen() {
    fails("as if nothing", cancelled(0));
}

/// One turn sees to one control frame, and one receive takes one byte.
fn short_turns(bug: Bug, arrived: &'static [u8]) -> Setup {
    Setup { bug, arrived, receive_size: 3, receives_max: 1, controls_max: 1, ..Setup::default() }
}

/// What arrived is answered by whoever drives, though a turn ends before it.
fn in_turns(setup: Setup, pings: usize, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        assert_eq!(stream.system().wire(), vec![PONG; pings], "every ping is answered");
        assert_watched(&stream);
    }
}

const LEAVE_ALONE: &[Actor] = &[|stream| stream.kernel().peer_sends(&[PING, PING])];

/// One has read the first of two messages that came at once, another looks what the stream has; asking for the second must
/// not be told that there is none.
fn beside_a_look(bug: Bug, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(Setup { bug, ..Setup::default() });
        run(&stream, actors);
        assert_watched(&stream);
    }
}

fn look(stream: &Stream) {
    if let Some(driving) = stream.try_own() {
        driving.leave();
    }
}

fn read_the_first(stream: &Stream) {
    stream.kernel().peer_sends(b"12");
    note_read(stream, 1);
}

const READ_BESIDE: &[Actor] = &[look, |stream| {
    read_the_first(stream);
    assert_eq!(stream.read(1, Timeout::Zero), Ok(b'2'), "what is here is to be had");
}];

const POLL_BESIDE: &[Actor] = &[look, |stream| {
    read_the_first(stream);
    assert_eq!(stream.poll(1, READABLE, Timeout::Zero), (Status::Ok, READABLE), "what is here is to be had");
}];

#[test]
fn a_read_that_may_not_wait_has_what_is_here_beside_a_thread_that_looks() {
    holds(beside_a_look(Bug::None, READ_BESIDE));
}

#[test]
fn a_poll_that_may_not_wait_says_what_is_here_beside_a_thread_that_looks() {
    holds(beside_a_look(Bug::None, POLL_BESIDE));
}

#[test]
fn an_owner_at_work_that_is_taken_for_one_asleep_hides_what_is_here() {
    fails("to be had", beside_a_look(Bug::WorkTakenForSleep, READ_BESIDE));
    fails("to be had", beside_a_look(Bug::WorkTakenForSleep, POLL_BESIDE));
}

const READ_ONE: &[Actor] = &[|stream| note_read(stream, 1)];

#[test]
fn a_turn_that_ends_before_the_input_is_gone_on_with() {
    holds(in_turns(short_turns(Bug::None, b"P"), 3, LEAVE_ALONE));
}

#[test]
fn a_read_goes_on_behind_a_turn_that_ended_before_the_message() {
    holds(in_turns(short_turns(Bug::None, b"PPP1"), 3, READ_ONE));
}

#[test]
fn input_that_a_turn_leaves_and_does_not_say_is_not_gone_on_with() {
    fails("every ping", in_turns(short_turns(Bug::ArmedPendingNotSaid, b"P"), 3, LEAVE_ALONE));
}

#[test]
fn a_read_that_sleeps_on_input_that_a_turn_left_sleeps_for_ever() {
    let setup = Setup { receive_size: 4, ..short_turns(Bug::TurnSleeps, b"PP1") };
    fails(DEADLOCK, in_turns(setup, 2, READ_ONE));
}

/// More pings than pongs can be kept, while the socket takes nothing and another thread writes.
fn flooded(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| stream.kernel().peer_takes(100),
        |stream| {
            stream.write(1, SMALL, false, Timeout::Never);
        },
    ];
    move || {
        let stream = Stream::new(Setup { bug, arrived: b"PPPP", room: 0, ..Setup::default() });
        run(&stream, ACTORS);
        let pongs = stream.system().wire().iter().filter(|&&byte| byte == PONG).count();
        assert!(pongs >= 2, "what could be kept is answered: {pongs}");
        assert_eq!(stream.control().pongs, 0);
        assert_watched(&stream);
    }
}

#[test]
fn a_flood_of_pings_is_answered_as_far_as_it_was_kept() {
    holds(flooded(Bug::None));
}

#[test]
fn pongs_that_are_all_and_not_posted_are_stranded() {
    fails("what could be kept", flooded(Bug::FullNotPosted));
}

#[test]
fn pongs_that_are_kept_and_told_to_nobody_are_stranded() {
    fails("every ping", one_caller(Bug::PongsUntold, MESSAGE_THEN_PING, b"1", 1));
}

#[test]
fn a_reader_that_does_not_say_its_chunk_leaves_it_to_an_idle_stream() {
    fails("keeps what it has received", one_caller(Bug::ChunkUnsaid, TWO_MESSAGES, b"12", 0));
}

/// The internal thread alone: what it does with a stream that nobody reads.
#[test]
fn a_stream_that_nobody_reads_is_answered_and_watched() {
    holds(|| {
        let stream = Stream::new(Setup { arrived: b"P1P", ..Setup::default() });
        let sender = Arc::clone(stream.system());
        sender.begin(1);
        let peer = loom::thread::spawn(move || {
            sender.peer_sends(b"P");
            sender.end();
        });
        Internal::new(&stream).run();
        peer.join().unwrap();
        assert_eq!(stream.system().wire(), [PONG; 3]);
        assert_watched(&stream);
    });
}
