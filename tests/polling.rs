//! Waiting for events, `wake`, and the callbacks of `closed`.

#[path = "support/halves.rs"]
mod calls;
mod support;

use calls::connected;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{
    BINARY, CLOSED, Call, FOREVER, OPENED, Options, READABLE, Status, Stream, TEXT, WRITABLE, frame,
    is_again_after, is_again_at_once, option, peer, reads_what_is_here, server,
};

const READABLE_SOME: u32 = 16;
const LARGE: usize = 16 << 20;

#[test]
fn no_event_or_an_unknown_one_is_an_argument_error() {
    let stream = Stream::opened(&server().url("/echo"));
    for events in [0, 32, 1 << 31, CLOSED | 64] {
        assert_eq!(stream.poll(events, 0), Err(Status::Argument));
        assert_eq!(stream.poll(events, FOREVER), Err(Status::Argument));
        assert_eq!(stream.wake(events), Status::Argument);
    }
}

#[test]
fn while_connecting_nothing_holds_and_afterwards_opened_and_writable_do() {
    let token = server().token();
    let stream = Stream::open(&server().url(&format!("/handshake?token={token}")));
    assert_eq!(stream.poll(31, 0), Err(Status::Again));
    assert_eq!(stream.poll(31, 10), Err(Status::Again));
    let waits: Vec<_> = [OPENED, WRITABLE, OPENED | WRITABLE | CLOSED]
        .map(|events| {
            let share = stream.reference();
            Call::blocked(move || share.poll(events, FOREVER))
        })
        .into();
    server().release(&token);
    let seen: Vec<_> = waits.into_iter().map(Call::join).collect();
    assert_eq!(seen[..2], [Ok(OPENED), Ok(WRITABLE)]);
    assert!(matches!(seen[2], Ok(events) if events & CLOSED == 0));
    assert_eq!(stream.poll(31, 0), Ok(OPENED | WRITABLE));
}

#[test]
fn after_the_end_everything_holds_for_ever() {
    let stream = Stream::opened(&server().url("/close?code=1000"));
    assert_eq!(stream.poll(CLOSED, FOREVER), Ok(CLOSED));
    let failed = Stream::open(&server().url("/handshake?status=404"));
    assert_eq!(failed.poll(CLOSED, FOREVER), Ok(CLOSED));
    for _ in 0..3 {
        assert_eq!(stream.poll(31, 0), Ok(31));
        assert_eq!(failed.poll(31, FOREVER), Ok(31));
        assert_eq!((stream.refused_read(0), stream.write(TEXT, b"x", 0)), (Status::Done, Status::State));
    }
}

#[test]
fn close_makes_the_stream_writable_at_once_and_readable_with_the_end() {
    let stream = Stream::opened(&server().url("/close_reply?delay_ms=50"));
    let readable = blocked(&stream, |share| share.poll(READABLE, FOREVER));
    let closed = blocked(&stream, |share| share.poll(CLOSED, FOREVER));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(stream.poll(WRITABLE, 0), Ok(WRITABLE));
    assert_eq!((readable.join(), closed.join()), (Ok(READABLE), Ok(CLOSED)));
}

#[test]
fn readable_means_that_a_read_does_not_answer_again() {
    let stream = Stream::opened(&server().url("/count?n=3000&size=50"));
    for index in 0..3000 {
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        let message = stream.read(0).unwrap_or_else(|status| panic!("{status:?} for {index}"));
        assert_eq!(message.bytes(), support::counted_text(index, 50));
    }
    assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
    assert_eq!(stream.refused_read(0), Status::Done);
}

#[test]
fn readable_with_an_echo_never_misses_a_message() {
    let stream = Stream::opened(&server().url("/echo"));
    for round in 0..2000 {
        stream.writes_text("ping pong");
        if round % 2 == 0 {
            while stream.poll(READABLE, 0) == Err(Status::Again) {}
        } else {
            assert_eq!(stream.poll(READABLE | CLOSED, FOREVER), Ok(READABLE));
        }
        stream.read(0).expect("poll said so");
        assert_eq!(stream.poll(READABLE, 0), Err(Status::Again));
    }
}

// Rows: B04
#[test]
fn readable_asks_for_the_whole_message_above_the_mark() {
    let options = Options::with(option::READ_BUFFER_SIZE, 1000);
    let stream = Stream::opened_with(&server().url("/count?n=2&size=1000000&close=none"), &options);
    for _ in 0..2 {
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        assert_eq!(stream.read(0).expect("all of it is here").bytes().len(), 1_000_000);
    }
}

// Rows: R01, B04
#[test]
fn a_part_of_a_message_is_readable_some_and_not_readable() {
    let stream = Stream::opened(&server().url(&format!("/raw?hex={}&end=echo", frame(0x01, b"part"))));
    assert_eq!(stream.poll(READABLE_SOME, FOREVER), Ok(READABLE_SOME));
    assert_eq!(stream.poll(READABLE, 0), Err(Status::Again));
    assert_eq!(stream.poll(READABLE | READABLE_SOME, 0), Ok(READABLE_SOME));
    assert_eq!(stream.refused_read(0), Status::Again);
}

#[test]
fn a_read_keeps_its_time_beside_a_blocked_poll() {
    let stream = Stream::opened(&server().url("/echo"));
    let poll = blocked(&stream, |share| share.poll(READABLE, FOREVER));
    is_again_at_once(|| stream.refused_read(0));
    is_again_after(30, |ms| stream.refused_read(ms));
    assert!(!poll.is_finished());
    assert_eq!((stream.wake(READABLE), poll.join()), (Status::Ok, Err(Status::Again)));
}

#[test]
fn a_poll_that_may_not_wait_does_not() {
    let stream = Stream::opened(&server().url("/echo"));
    is_again_at_once(|| stream.poll(CLOSED, 0).unwrap_err());
    let read = blocked(&stream, |share| share.refused_read(FOREVER));
    is_again_at_once(|| stream.poll(READABLE, 0).unwrap_err());
    assert_eq!((stream.wake(READABLE), read.join()), (Status::Ok, Status::Again));
}

#[test]
fn a_read_gives_the_internal_thread_a_moment_for_what_it_is_decoding() {
    let (stream, mut connection) = connected();
    let (pings, pongs) = (peer::frame(0x89, b"").repeat(16), peer::frame(0x8A, b"").repeat(2000));
    let bytes = [peer::frame(0x81, b"here"), pings, pongs].concat();
    for _ in 0..50 {
        connection.send(&bytes);
        // So many are answered at once: what comes behind them is still being decoded.
        for _ in 0..16 {
            assert_eq!(connection.receive().expect("a pong").first, 0x8A);
        }
        assert_eq!(reads_what_is_here(&stream).text(), "here");
    }
}

#[test]
fn polling_for_what_holds_keeps_nobody_from_reading_on() {
    let (stream, mut connection) = connected();
    for _ in 0..20 {
        let read = blocked(&stream, |share| share.reads_text("m"));
        connection.send(&[peer::frame(0x81, b"m"), peer::frame(0x89, b"p")].concat());
        read.join();
        // The reader took what it asked for. Who is to answer the ping has to get at it.
        let pong = Call::begun(move || {
            assert_eq!(connection.receive().expect("a pong").payload, b"p");
            connection
        });
        while !pong.is_finished() {
            assert_eq!(stream.poll(OPENED | WRITABLE, 0), Ok(OPENED | WRITABLE));
        }
        connection = pong.join();
    }
}

// Rows: W06, B06
#[test]
fn a_poll_that_drives_alone_is_told_of_room() {
    let token = server().token();
    let stream = Stream::opened(&server().url(&format!("/stall_until?token={token}")));
    assert_eq!(stream.write(BINARY, &vec![0; LARGE], 0), Status::Queued);
    let poll = blocked(&stream, |share| share.poll(READABLE | WRITABLE, FOREVER));
    server().release(&token);
    assert_eq!(poll.join(), Ok(WRITABLE));
}

// Rows: W06, B06
#[test]
fn writable_ceases_without_room_and_comes_back() {
    let token = server().token();
    let stream = Stream::opened(&server().url(&format!("/stall_until?token={token}")));
    assert_eq!(stream.write(BINARY, &vec![0; LARGE], 0), Status::Queued);
    assert_eq!(stream.poll(WRITABLE, 0), Err(Status::Again));
    assert_eq!(stream.poll(WRITABLE | READABLE, 20), Err(Status::Again));
    let (first, second) = (stream.reference(), stream.reference());
    let first = Call::blocked(move || first.poll(WRITABLE, FOREVER));
    let second = Call::blocked(move || second.poll(WRITABLE | READABLE | CLOSED, FOREVER));
    server().release(&token);
    assert_eq!((first.join(), second.join()), (Ok(WRITABLE), Ok(WRITABLE)));
    assert_eq!(stream.write(TEXT, b"room", 0), Status::Ok);
    assert_eq!(stream.poll(WRITABLE, FOREVER), Ok(WRITABLE));
    let any = stream.write(BINARY, &vec![0; LARGE], 0);
    assert!(matches!(any, Status::Ok | Status::Queued), "a write of any size: {any:?}");
}

#[test]
fn poll_is_never_busy_and_all_who_wait_are_woken() {
    let stream = Stream::opened(&server().url("/echo"));
    let polls: Vec<_> = (0..4)
        .map(|_| {
            let share = stream.reference();
            Call::blocked(move || share.poll(READABLE, FOREVER))
        })
        .collect();
    stream.writes_text("for all");
    for poll in polls {
        assert_eq!(poll.join(), Ok(READABLE));
    }
    stream.reads_text("for all");
    let share = stream.reference();
    let read = Call::blocked(move || share.read(FOREVER).map(|message| message.text().to_owned()));
    assert_eq!(stream.poll(READABLE, 10), Err(Status::Again));
    assert_eq!(stream.poll(WRITABLE, FOREVER), Ok(WRITABLE));
    let share = stream.reference();
    let poll = Call::blocked(move || share.poll(READABLE | CLOSED, FOREVER));
    stream.writes_text("for the reader");
    assert_eq!(read.join().unwrap(), "for the reader");
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert!(poll.join().is_ok());
}

#[test]
fn free_ends_every_wait_with_state() {
    let stream = Stream::opened(&server().url("/echo"));
    let connecting = Stream::open(&server().url("/handshake?stall=1"));
    let waits: Vec<Call<Status>> = vec![
        blocked(&stream, |share| share.poll(READABLE, FOREVER).unwrap_err()),
        blocked(&stream, |share| share.poll(CLOSED, FOREVER).unwrap_err()),
        blocked(&stream, |share| share.wait_closed(FOREVER).0),
        blocked(&connecting, |share| share.poll(OPENED, FOREVER).unwrap_err()),
        blocked(&connecting, |share| share.wait_opened(FOREVER)),
        blocked(&connecting, |share| share.write(TEXT, b"x", FOREVER)),
    ];
    let after = [stream.reference(), connecting.reference()];
    stream.free();
    connecting.free();
    for wait in waits {
        assert_eq!(wait.join(), Status::State);
    }
    for share in after {
        assert_eq!((share.wait_opened(0), share.wait_closed(FOREVER).0), (Status::State, Status::State));
        assert_eq!((share.poll(31, FOREVER), share.wake(31)), (Err(Status::State), Status::State));
        assert_eq!((share.close(1000, ""), share.on_closed(|_, _, _| ())), (Status::State, Status::State));
        assert!(share.url().starts_with(&server().url("/")), "texts are valid as long as the handle");
    }
}

fn blocked<T: Send + 'static>(stream: &Stream, call: impl FnOnce(Stream) -> T + Send + 'static) -> Call<T> {
    let share = stream.reference();
    Call::blocked(move || call(share))
}

#[test]
fn wake_lets_blocked_calls_return_as_if_their_time_had_run_out() {
    let token = server().token();
    let stream = Stream::opened(&server().url(&format!("/stall_until?token={token}")));
    let read = blocked(&stream, |share| share.refused_read(FOREVER));
    let poll = blocked(&stream, |share| share.poll(CLOSED, FOREVER));
    let closed = blocked(&stream, |share| share.wait_closed(FOREVER).0);
    let write = blocked(&stream, |share| share.write(BINARY, &vec![0; LARGE], FOREVER));
    assert_eq!(stream.wake(READABLE), Status::Ok);
    assert_eq!(read.join(), Status::Again);
    assert!(!poll.is_finished() && !closed.is_finished() && !write.is_finished());
    assert_eq!(stream.wake(CLOSED), Status::Ok);
    assert_eq!((poll.join(), closed.join()), (Err(Status::Again), Status::Again));
    assert!(!write.is_finished());
    assert_eq!(stream.wake(WRITABLE), Status::Ok);
    assert_eq!(write.join(), Status::Queued);
    let write = blocked(&stream, |share| share.write(TEXT, b"x", FOREVER));
    let waited = stream.wake(WRITABLE);
    assert_eq!((waited, write.join()), (Status::Ok, Status::Again));
    let flush = blocked(&stream, |share| share.flush(FOREVER));
    assert_eq!((stream.wake(WRITABLE), flush.join()), (Status::Ok, Status::Again));
    let connecting = Stream::open(&server().url("/handshake?stall=1"));
    let opened = blocked(&connecting, |share| share.wait_opened(FOREVER));
    assert_eq!((connecting.wake(OPENED), opened.join()), (Status::Ok, Status::Again));
}

#[test]
fn wake_where_nobody_waits_lets_the_next_call_return_once() {
    let stream = Stream::opened(&server().url("/echo"));
    assert_eq!(stream.wake(READABLE | CLOSED), Status::Ok);
    assert_eq!(stream.refused_read(FOREVER), Status::Again);
    assert_eq!(stream.wait_closed(FOREVER).0, Status::Again);
    let started = Instant::now();
    assert_eq!((stream.refused_read(30), stream.wait_closed(30).0), (Status::Again, Status::Again));
    assert!(started.elapsed() >= Duration::from_millis(60), "once only");
}

#[test]
fn a_wake_that_met_somebody_leaves_nothing_and_one_that_met_nobody_no_other_event() {
    let stream = Stream::opened(&server().url("/echo"));
    let read = blocked(&stream, |share| share.refused_read(FOREVER));
    assert_eq!((stream.wake(READABLE), read.join()), (Status::Ok, Status::Again));
    is_again_after(30, |ms| stream.refused_read(ms));
    assert_eq!(stream.wake(READABLE), Status::Ok);
    is_again_after(30, |ms| stream.wait_closed(ms).0);
    assert_eq!(stream.refused_read(FOREVER), Status::Again, "it is still to come");
}

#[test]
fn wake_leaves_calls_alone_that_wait_for_another_event() {
    let stream = Stream::opened(&server().url("/echo"));
    let read = blocked(&stream, |share| share.read(FOREVER).map(|message| message.text().to_owned()));
    assert_eq!(stream.wake(CLOSED | WRITABLE | OPENED), Status::Ok);
    read.wait_blocked();
    assert!(!read.is_finished(), "a read waits for READABLE alone");
    assert_eq!(stream.wait_closed(FOREVER).0, Status::Again, "the next that waits for CLOSED returns");
    stream.writes_text("hi");
    assert_eq!(read.join().unwrap(), "hi");
    let connecting = Stream::open(&server().url("/handshake?stall=1"));
    let opened = blocked(&connecting, |share| share.wait_opened(FOREVER));
    assert_eq!(connecting.wake(READABLE | CLOSED | WRITABLE), Status::Ok);
    opened.wait_blocked();
    assert!(!opened.is_finished());
    assert_eq!((connecting.wake(OPENED), opened.join()), (Status::Ok, Status::Again));
}

#[test]
fn callbacks_run_once_each_in_order_whenever_they_were_registered() {
    let stream = Stream::opened(&server().url("/close_reply?code=4001&reason=x"));
    let (sender, receiver) = channel();
    let register = |index: i32| {
        let sender = sender.clone();
        let status = stream.on_closed(move |stream, status, info| {
            let same = stream.wait_closed(0).1.as_ref() == Some(&info);
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            sender.send((index, status, info.code, same, name)).unwrap();
        });
        assert_eq!(status, Status::Ok);
    };
    (0..5).for_each(register);
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    (5..10).for_each(register);
    for index in 0..10 {
        let (place, status, code, same, name) = receiver.recv().unwrap();
        assert_eq!((place, status, code, same), (index, Status::Ok, 4001, true));
        assert!(name.starts_with("wsstream"), "{name}");
    }
    stream.free();
    drop(sender);
    assert!(receiver.recv().is_err(), "each has run once and is gone");
}

#[test]
fn callbacks_run_also_for_what_never_opened_and_what_failed() {
    let urls = ["/handshake?status=404", "/abrupt", "/raw?hex=8300"].map(|path| server().url(path));
    for url in urls.iter().map(String::as_str).chain(["ws://no-such-name.invalid/"]) {
        let stream = Stream::open(url);
        let (sender, receiver) = channel();
        stream.on_closed(move |_, status, info| sender.send((status, info)).unwrap());
        let (status, info) = receiver.recv().unwrap();
        assert_eq!((status, info.code), (Status::Connection, 1006), "{url}");
        assert_eq!(stream.wait_closed(0).1, Some(info));
    }
}

#[test]
fn blocking_calls_in_a_callback_are_deadlocks_and_others_are_not() {
    let stream = Stream::opened(&server().url("/echo"));
    let other = Arc::new(Stream::opened(&server().url("/echo")));
    let (sender, receiver) = channel();
    let of_another = Arc::clone(&other);
    stream.on_closed(move |stream, _, _| {
        for stream in [&**stream, &*of_another] {
            for timeout in [1, FOREVER] {
                assert_eq!(stream.refused_read(timeout), Status::Deadlock);
                assert_eq!(stream.read_many(timeout, 1).err(), Some(Status::Deadlock));
                assert_eq!(stream.write(TEXT, b"x", timeout), Status::Deadlock);
                assert_eq!(stream.write_some(TEXT, b"x", 0, timeout), Status::Deadlock);
                assert_eq!(stream.flush(timeout), Status::Deadlock);
                assert_eq!(stream.wait_opened(timeout), Status::Deadlock);
                assert_eq!(stream.wait_closed(timeout).0, Status::Deadlock);
                assert_eq!(stream.poll(CLOSED, timeout), Err(Status::Deadlock));
            }
        }
        assert_eq!((stream.wait_opened(0), stream.refused_read(0)), (Status::Ok, Status::Done));
        assert_eq!(stream.write(TEXT, b"x", 0), Status::State);
        assert_eq!(of_another.write(TEXT, b"from the callback", 0), Status::Ok);
        assert_eq!(of_another.poll(WRITABLE, 0), Ok(WRITABLE));
        assert_eq!((stream.wake(READABLE), stream.close(1000, "")), (Status::Ok, Status::Ok));
        sender.send(()).unwrap();
    });
    assert_eq!(stream.close(1000, ""), Status::Ok);
    receiver.recv().expect("the callback has not panicked");
    other.reads_text("from the callback");
}

#[test]
fn a_callback_may_free_its_stream_and_nothing_of_it_runs_afterwards() {
    let stream = Stream::opened(&server().url("/close?code=4000"));
    let (sender, receiver) = channel();
    let never = sender.clone();
    let (hold, held) = channel::<()>();
    stream.on_closed(move |stream, _, info| {
        held.recv().unwrap();
        stream.free();
        assert!(!stream.url().is_empty(), "the handle stays valid until it returns");
        sender.send(info.code).unwrap();
    });
    stream.on_closed(move |_, _, _| never.send(1).unwrap());
    std::mem::forget(stream);
    hold.send(()).unwrap();
    assert_eq!(receiver.recv().unwrap(), 4000);
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
}

#[test]
fn free_waits_for_a_callback_that_runs() {
    let stream = Stream::opened(&server().url("/close"));
    let (entered, is_entered) = channel();
    let (leave, left) = channel::<()>();
    let done = Arc::new(Mutex::new(false));
    let mark = Arc::clone(&done);
    stream.on_closed(move |_, _, _| {
        entered.send(()).unwrap();
        left.recv().unwrap();
        *mark.lock().unwrap() = true;
    });
    is_entered.recv().unwrap();
    let free = Call::blocked(move || stream.free());
    assert!(!free.is_finished());
    leave.send(()).unwrap();
    free.join();
    assert!(*done.lock().unwrap());
}

#[test]
fn a_callback_of_a_stream_that_is_freed_first_never_runs() {
    for _ in 0..50 {
        let stream = Stream::opened(&server().url("/echo"));
        let (sender, receiver) = sync_channel(1);
        stream.on_closed(move |_, _, _| sender.send(()).unwrap());
        stream.free();
        assert!(receiver.try_recv().is_err());
    }
}
