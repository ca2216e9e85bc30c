//! What holds of the write word: no frame is stranded or inside another, no writer sleeps for ever.

use super::check::{fails, holds};
use super::driving::{Actor, run};
use super::kernel::Command;
use super::stream::{Bug, OUR_CLOSE, PONG, Setup, Status, Stream, Timeout};
use super::writing::{COMPRESSED, SMALL, TWO_FRAMES, TWO_PIECES};
use wsstream_models::stream::write_word::{CTRL, HELD, LOCKED, OUTARMED, WRITER};

const DEADLOCK: &str = "deadlock";
const STRANDED: &str = "is stranded";

/// What has gone out at rest is this, in any order that frames allow.
fn sends(setup: Setup, actors: &'static [Actor], bytes: &'static [u8]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        let wire = stream.system().wire();
        let (mut sent, mut expected) = (wire.clone(), bytes.to_vec());
        sent.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sent, expected, "a frame is stranded");
        let place = |byte| wire.iter().position(|&sent| sent == byte);
        if let Some(begin) = place(b'[') {
            assert_eq!(wire.get(begin + 1), Some(&b']'), "a frame is inside another: {wire:?}");
        }
        if let Some(end) = place(OUR_CLOSE) {
            assert_eq!(end + 1, wire.len(), "a frame is behind our Close: {wire:?}");
        }
        let word = stream.write.load();
        assert!(word & (LOCKED | WRITER | CTRL | OUTARMED | HELD) == 0, "at rest nothing is left: {word:b}");
        assert!(!stream.system().watched().is_some_and(|watched| watched.write), "room is not watched for");
    }
}

fn write(stream: &Stream, place: usize, message: super::writing::Message) {
    assert_eq!(stream.write(place, message, false, Timeout::Never), Status::Ok);
}

/// As the reading half does for a ping.
const POST_PONG: Actor = |stream| {
    stream.control().pongs += 1;
    stream.serve_posted();
};

const CLOSE: Actor = |stream| assert_eq!(stream.close(), Status::Ok);

fn with(bug: Bug) -> Setup {
    Setup { bug, ..Setup::default() }
}

const WRITE_AND_POST: &[Actor] = &[
    |stream| {
        write(stream, 1, SMALL);
        write(stream, 1, SMALL);
    },
    POST_PONG,
];

const WRITE_PIECES_AND_POST: &[Actor] = &[|stream| write(stream, 1, TWO_PIECES), POST_PONG];

#[test]
fn a_posted_frame_goes_out_beside_writes() {
    holds(sends(with(Bug::None), WRITE_AND_POST, &[b'm', b'm', PONG]));
}

#[test]
fn a_posted_frame_does_not_go_inside_another() {
    holds(sends(with(Bug::None), WRITE_PIECES_AND_POST, &[b'[', b']', PONG]));
}

#[test]
fn a_flag_beside_the_lock_strands_a_posted_frame() {
    fails(STRANDED, sends(with(Bug::FlagBesideLock), WRITE_AND_POST, &[b'm', b'm', PONG]));
}

#[test]
fn bytes_that_are_sent_after_the_lock_was_let_go_come_out_of_order() {
    const TWO_WRITERS: &[Actor] = &[
        |stream| {
            let mut locked = super::serving::Locked::new(stream, stream.lock_write(), false);
            locked.side().out.extend_from_slice(b"[]");
            locked.side().is_deferred = true;
            locked.side().in_frame = true;
            let half = locked.side().out.pop();
            locked.side().send(stream);
            locked.side().out.extend(half);
            locked.side().in_frame = false;
            locked.unlock(false);
        },
        POST_PONG,
    ];
    holds(sends(with(Bug::None), TWO_WRITERS, &[b'[', b']', PONG]));
    fails("inside another", sends(with(Bug::SentAfterUnlock), TWO_WRITERS, &[b'[', b']', PONG]));
}

/// A second write while one blocks.
fn two_writers(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            let status = stream.write(1, SMALL, false, Timeout::Never);
            assert!(matches!(status, Status::Busy | Status::Ok));
        },
        |stream| {
            let status = stream.write(2, SMALL, false, Timeout::Zero);
            assert!(matches!(status, Status::Busy | Status::Ok | Status::Again | Status::Queued));
            stream.system().peer_takes(4);
        },
    ];
    move || {
        let stream = Stream::new(Setup { bug, room: 0, ..Setup::default() });
        run(&stream, ACTORS);
        assert!(stream.write.load() & (LOCKED | WRITER) == 0);
    }
}

#[test]
fn a_second_write_is_busy_and_leaves_the_seat_alone() {
    holds(two_writers(Bug::None));
}

#[test]
fn a_second_write_that_sits_down_takes_the_seat_away() {
    fails("lost its seat", two_writers(Bug::SecondWriterSits));
}

/// The socket takes nothing at first; one byte may be left over.
fn blocked(bug: Bug) -> Setup {
    Setup { bug, room: 0, write_mark: 1, ..Setup::default() }
}

const LEAVE_REST: &[Actor] = &[|stream| write(stream, 1, SMALL), |stream| stream.system().peer_takes(4)];

/// The peer takes one byte: whoever sends it, the writer has room after that.
const WAIT_FOR_ROOM: &[Actor] = &[
    |stream| {
        write(stream, 1, SMALL);
        write(stream, 1, SMALL);
        stream.system().peer_takes(4);
    },
    |stream| stream.system().peer_takes(1),
];

const FLUSH: &[Actor] = &[
    |stream| {
        write(stream, 1, SMALL);
        assert_eq!(stream.flush(1), Status::Ok);
        assert_eq!(stream.system().wire(), b"m", "what is flushed has gone out");
        stream.system().peer_takes(4);
    },
    |stream| stream.system().peer_takes(1),
];

#[test]
fn the_internal_thread_sends_what_a_write_left_over() {
    holds(sends(blocked(Bug::None), LEAVE_REST, b"m"));
}

#[test]
fn a_blocked_write_gets_the_room_that_the_internal_thread_made() {
    holds(sends(blocked(Bug::None), WAIT_FOR_ROOM, b"mm"));
}

#[test]
fn a_flush_returns_once_all_has_gone_whoever_sent_it() {
    holds(sends(blocked(Bug::None), FLUSH, b"m"));
}

#[test]
fn a_rest_that_is_not_armed_is_stranded() {
    fails(STRANDED, sends(blocked(Bug::RestNotArmed), LEAVE_REST, b"m"));
}

#[test]
fn an_event_that_keeps_outarmed_keeps_the_internal_thread_busy() {
    fails("", sends(blocked(Bug::EventKeepsOutarmed), LEAVE_REST, b"m"));
}

#[test]
fn a_writer_that_does_not_say_that_it_waits_sleeps_for_ever() {
    fails(DEADLOCK, sends(blocked(Bug::SleepsUnsaid), WAIT_FOR_ROOM, b"mm"));
}

/// Bytes that wait for more.
fn held_back(bug: Bug) -> Setup {
    Setup { bug, write_mark: 4, ..Setup::default() }
}

const WRITE_MORE: &[Actor] = &[|stream| {
    assert_eq!(stream.write(1, SMALL, true, Timeout::Never), Status::Ok);
    assert_eq!(stream.write(1, SMALL, true, Timeout::Never), Status::Ok);
}];

#[test]
fn what_more_holds_back_leaves_with_the_sweep() {
    holds(sends(held_back(Bug::None), WRITE_MORE, b"mm"));
}

#[test]
fn a_sweep_that_keeps_held_strands_what_is_held_back_next() {
    fails("at rest nothing is left", sends(held_back(Bug::HeldKept), WRITE_MORE, b"mm"));
}

/// A writer blocked between two frames; something is due meanwhile.
fn between_frames(bug: Bug) -> Setup {
    Setup { bug, room: 0, ..Setup::default() }
}

const CLOSE_BETWEEN_FRAMES: &[Actor] = &[
    |stream| {
        stream.write(1, TWO_FRAMES, false, Timeout::Never);
    },
    |stream| {
        stream.system().peer_takes(1);
        CLOSE(stream);
        stream.system().peer_takes(8);
    },
];

const PONG_BETWEEN_FRAMES: &[Actor] = &[
    |stream| write(stream, 1, TWO_FRAMES),
    |stream| {
        POST_PONG(stream);
        stream.system().peer_takes(1);
        stream.system().peer_takes(8);
    },
];

/// Either the Close went first, then nothing follows it, or all of the message did.
fn closes(setup: Setup, actors: &'static [Actor]) -> impl Fn() + Send + Sync {
    move || {
        let stream = Stream::new(setup);
        run(&stream, actors);
        let wire = stream.system().wire();
        assert_eq!(wire.last(), Some(&OUR_CLOSE), "our Close is stranded or not the last: {wire:?}");
        assert_eq!(wire.iter().filter(|&&byte| byte == OUR_CLOSE).count(), 1);
        assert!(wire.first() != Some(&b'f') || wire == [b'f', b'm', OUR_CLOSE], "half a message: {wire:?}");
    }
}

#[test]
fn our_close_follows_a_message_of_several_frames_that_blocked() {
    holds(closes(between_frames(Bug::None), CLOSE_BETWEEN_FRAMES));
}

#[test]
fn a_pong_goes_out_though_it_came_while_a_message_blocked() {
    holds(sends(between_frames(Bug::None), PONG_BETWEEN_FRAMES, &[b'f', b'm', PONG]));
}

#[test]
fn a_frame_that_is_put_off_and_forgotten_is_stranded() {
    fails(STRANDED, closes(between_frames(Bug::DeferredForgotten), CLOSE_BETWEEN_FRAMES));
}

const COMPRESS_AND_CLOSE: &[Actor] = &[
    |stream| {
        stream.write(1, COMPRESSED, false, Timeout::Never);
    },
    CLOSE,
];

const COMPRESS_AND_POST: &[Actor] = &[|stream| write(stream, 1, COMPRESSED), POST_PONG];

const COMPRESS_BESIDE_ANOTHER: &[Actor] = &[
    |stream| {
        stream.write(1, COMPRESSED, false, Timeout::Never);
    },
    |stream| {
        stream.write(2, SMALL, false, Timeout::Never);
    },
];

#[test]
fn our_close_follows_a_message_that_is_compressed_without_the_lock() {
    holds(closes(with(Bug::None), COMPRESS_AND_CLOSE));
}

#[test]
fn a_message_that_is_not_said_to_be_under_way_follows_our_close() {
    fails("not the last", closes(with(Bug::LetGoUnsaid), COMPRESS_AND_CLOSE));
}

#[test]
fn a_pong_goes_out_while_a_message_is_compressed() {
    holds(sends(with(Bug::None), COMPRESS_AND_POST, &[b'z', PONG]));
}

#[test]
fn a_writer_that_lets_its_seat_go_with_the_lock_meets_another() {
    fails("seat", sends(with(Bug::SeatLetGo), COMPRESS_BESIDE_ANOTHER, b"zm"));
}

const WRITE_AND_CLOSE: &[Actor] = &[CLOSE, |stream| {
    POST_PONG(stream);
    stream.write(1, SMALL, false, Timeout::Never);
}];

#[test]
fn nothing_follows_our_close() {
    holds(closes(with(Bug::None), WRITE_AND_CLOSE));
}

#[test]
fn an_end_of_writing_that_is_marked_late_lets_a_message_follow_our_close() {
    fails("not the last", closes(with(Bug::EndMarkedLate), WRITE_AND_CLOSE));
}

/// The peer's Close while a write blocks.
fn closed_by_peer(bug: Bug) -> impl Fn() + Send + Sync {
    const ACTORS: &[Actor] = &[
        |stream| {
            assert_eq!(stream.write(1, TWO_FRAMES, false, Timeout::Never), Status::Ended);
            assert_eq!(stream.write(1, SMALL, false, Timeout::Never), Status::Ended, "the half has ended");
        },
        |stream| {
            stream.system().peer_sends(b"C");
            stream.system().peer_ends();
        },
    ];
    move || {
        let stream = Stream::new(Setup { bug, room: 0, ..Setup::default() });
        run(&stream, ACTORS);
        assert!(stream.has_settled());
    }
}

#[test]
fn a_blocked_write_ends_with_the_peers_close() {
    holds(closed_by_peer(Bug::None));
}

#[test]
fn an_end_of_writing_that_is_not_marked_lets_a_write_follow_our_close() {
    const CLOSE_AND_WRITE: &[Actor] = &[|stream| {
        CLOSE(stream);
        stream.write(1, SMALL, false, Timeout::Never);
    }];
    fails("not the last", closes(with(Bug::WriteEndNotMarked), CLOSE_AND_WRITE));
}

/// A write that comes before the stream is open.
fn early_write(bug: Bug) -> Setup {
    Setup { bug, is_open: false, ..Setup::default() }
}

const WRITE_BEFORE_OPEN: &[Actor] = &[
    |stream| write(stream, 1, SMALL),
    |stream| {
        stream.system().ask(Command::Connected);
        stream.system().peer_sends(b"O");
    },
];

#[test]
fn a_write_waits_until_the_stream_is_open() {
    holds(sends(early_write(Bug::None), WRITE_BEFORE_OPEN, b"m"));
}

#[test]
fn an_opening_that_is_not_said_keeps_a_write_waiting() {
    fails(DEADLOCK, sends(early_write(Bug::WriteOpenNotSaid), WRITE_BEFORE_OPEN, b"m"));
}
