//! The status of every call in every state of a stream, as c-api.md has it.

#[path = "support/calls.rs"]
mod calls;
#[path = "support/states.rs"]
mod states;
mod support;

use ::wsstream::ffi::stream::wsstream;
use ::wsstream::ffi::wait::wsstream_on_opened;
use calls::{EVERY_EVENT, ROWS, Row, TIMEOUTS, named};
use states::{
    A, C, ForEver, O, S, SOME, STATES, Scene, Second, State, Untouched, closed, closing, connecting, failed,
    idle, message_here, no_room, not_found, open, open_with, read_busy, write_busy,
};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{CLOSED, Call, FOREVER, READABLE, Status, Stream, TEXT, server};

type Handle = *mut wsstream;

/// Makes the call inside a callback of another stream.
fn inside_a_callback<T: Send + 'static>(other: &Stream, call: impl FnOnce() -> T + Send + 'static) -> T {
    unsafe extern "C-unwind" fn run(_: Handle, _: i32, user_data: *mut c_void) {
        // SAFETY: the box made below; a registration runs once.
        let call = unsafe { Box::from_raw(user_data.cast::<Box<dyn FnOnce()>>()) };
        call();
    }
    let (sender, result) = channel();
    let call: Box<dyn FnOnce()> = Box::new(move || {
        // No panic may go through the library.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(call)));
    });
    let call = Box::into_raw(Box::new(call)).cast();
    // SAFETY: the stream is open, so that the callback runs.
    assert_eq!(unsafe { wsstream_on_opened(other.handle(), Some(run), call) }, 0);
    result.recv().expect("the callback runs").unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// One call, with what its other arguments and other answers must be in the same state.
#[track_caller]
fn ask(state: &State, row: &Row, handle: Handle, timeout_ms: i64) -> Status {
    let at = |what: &str| format!("{} with {timeout_ms} ms: {}{what}", row.name, state.name);
    for bad in (row.bad)(handle, timeout_ms) {
        assert_eq!(named(bad), Status::Argument, "{}", at(", a bad argument"));
    }
    if row.name == "wsstream_close" {
        // C01, C04 to C06: in every state.
        let expected = [Status::Access, Status::Syntax, Status::Access];
        assert_eq!(calls::refused_closes(handle).map(named), expected, "{}", at(""));
    }
    if row.name == "wsstream_write" {
        // "UTF-8 is checked when the text would be taken."
        let rows = ["wsstream_write", "wsstream_write_many", "wsstream_write_some"];
        let rows = rows.map(|name| ROWS.iter().find(|row| row.name == name).expect("a row"));
        let expected = rows.map(|row| state.expected(row)).map(|status| match status {
            O => Status::Argument,
            status => status,
        });
        assert_eq!(calls::writes_not_utf8(handle).map(named), expected, "{}", at(", not UTF-8"));
    }
    if row.name == "wsstream_poll" {
        for event in [1, 2, 4, 8, 16] {
            let holding = state.events & event;
            let expected = (if holding == 0 { A } else { O }, holding);
            let (status, events) = calls::poll(handle, event, 0);
            assert_eq!((named(status), events), expected, "{}", at(&format!(", event {event}")));
        }
        let (status, events) = calls::poll(handle, EVERY_EVENT, timeout_ms);
        assert_eq!(events, state.events, "{}", at(""));
        return named(status);
    }
    named((row.call)(handle, timeout_ms))
}

/// A handle on its way to another thread.
#[derive(Clone, Copy)]
struct Sent(Handle);
// SAFETY: the header lets a stream be used from any thread.
unsafe impl Send for Sent {}

impl Sent {
    fn handle(self) -> Handle {
        self.0
    }
}

/// Every row of every state, on a thread that `place` chooses.
fn walk(with_timeouts: bool, place: impl Fn(&'static State, &'static Row, Sent, i64) -> Status) {
    let mut wrong = Vec::new();
    for state in STATES {
        let mut kept: Option<Scene> = None;
        for row in ROWS {
            let expected = state.expected(row);
            // What answers AGAIN may not be waited for without end; all else answers at once.
            let later = (row.waits && with_timeouts).then_some(if expected == A { 10 } else { FOREVER });
            for timeout_ms in [0].into_iter().chain(later) {
                loop {
                    let scene = kept.take().unwrap_or_else(state.make);
                    let begun = Instant::now();
                    let handle = Sent(scene.stream().handle());
                    let status = catch_unwind(AssertUnwindSafe(|| place(state, row, handle, timeout_ms)));
                    if state.lasts == Second && scene.stream().wait_closed(0).0 != A {
                        continue;
                    }
                    let Ok(status) = status else {
                        wrong.push(format!("{} with {timeout_ms} ms: {}", row.name, state.name));
                        break;
                    };
                    if status != expected {
                        let (name, state) = (row.name, state.name);
                        wrong.push(format!(
                            "{name} with {timeout_ms} ms: {state}: {status:?}, not {expected:?}"
                        ));
                        break;
                    }
                    if expected == A && timeout_ms > 0 {
                        assert!(begun.elapsed() >= Duration::from_millis(timeout_ms as u64), "it waits");
                    }
                    kept = state.is_same_after(row, status).then_some(scene);
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_function_that_has_a_stream_and_a_status_has_a_row() {
    let header = concat!(env!("CARGO_MANIFEST_DIR"), "/include/wsstream.h");
    let header = std::fs::read_to_string(header).expect("the header");
    let declared = header.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("wsstream_status ")?.split_once('(')?;
        rest.starts_with("wsstream *").then(|| name.to_owned())
    });
    let mut declared: Vec<_> = declared.collect();
    let mut rows: Vec<_> = ROWS.iter().map(|row| row.name.to_owned()).collect();
    declared.sort();
    rows.sort();
    assert_eq!(declared, rows);
}

// Rows: C01, C19, R06, R07, W15, W16, W19, D01
#[test]
fn every_call_answers_in_every_state_as_the_interface_says() {
    walk(true, |state, row, handle, timeout_ms| ask(state, row, handle.0, timeout_ms));
}

#[test]
fn every_call_with_timeout_0_answers_the_same_inside_a_callback() {
    let other = open("/echo");
    walk(false, |state, row, handle, timeout_ms| {
        inside_a_callback(&other, move || ask(state, row, handle.handle(), timeout_ms))
    });
}

#[test]
fn a_call_that_may_wait_is_deadlock_inside_a_callback_whatever_the_state() {
    let other = open("/echo");
    let free = STATES.iter().map(|state| (state.name, state.make)).chain([("freed", freed as fn() -> Scene)]);
    for (name, make) in free {
        let scene = make();
        let handle = Sent(scene.stream().handle());
        inside_a_callback(&other, move || {
            for row in ROWS.iter().filter(|row| row.waits) {
                for timeout_ms in TIMEOUTS {
                    let status = named((row.call)(handle.handle(), timeout_ms));
                    assert_eq!(status, Status::Deadlock, "{} with {timeout_ms} ms: {name}", row.name);
                    let bad = (row.bad)(handle.handle(), timeout_ms);
                    assert!(bad.iter().all(|status| named(*status) == Status::Argument), "{}", row.name);
                }
            }
        });
    }
}

/// Freed; the scene's stream is a reference.
fn freed() -> Scene {
    freed_of(open_with(""))
}

fn freed_of(stream: Stream) -> Scene {
    let reference = stream.reference();
    stream.free();
    reference.into()
}

#[test]
fn every_call_on_a_freed_stream_that_is_held_is_a_state_error() {
    let of: [fn() -> Scene; 8] =
        [connecting, idle, message_here, no_room, closing, closed, failed, not_found];
    for mut scene in of.map(|make| make()) {
        let scene = freed_of(scene.stream.take().expect("a stream"));
        let handle = scene.stream().handle();
        for _ in 0..2 {
            for row in ROWS {
                for timeout_ms in [0, 10, FOREVER] {
                    assert_eq!(named((row.call)(handle, timeout_ms)), S, "{} with {timeout_ms} ms", row.name);
                    let bad = (row.bad)(handle, timeout_ms);
                    assert!(bad.iter().all(|status| named(*status) == Status::Argument), "{}", row.name);
                }
            }
            // "Order: ARGUMENT … → ACCESS → SYNTAX → state".
            let expected = [Status::Access, Status::Syntax, Status::Access];
            assert_eq!(calls::refused_closes(handle).map(named), expected);
            assert_eq!(calls::writes_not_utf8(handle).map(named), [S; 3]);
        }
    }
}

#[test]
fn no_stream_is_an_argument_error_in_every_call() {
    let other = open("/echo");
    let all = || {
        for row in ROWS {
            for timeout_ms in [0, 10, FOREVER] {
                assert_eq!(named((row.call)(null_mut(), timeout_ms)), Status::Argument, "{}", row.name);
            }
        }
    };
    all();
    inside_a_callback(&other, all);
}

/// What a child of a fork finds wrong with these calls.
fn wrong_in_child(handles: &[Sent]) -> Option<&'static str> {
    handles.iter().flat_map(|handle| ROWS.iter().map(move |row| (handle, row))).find_map(|(handle, row)| {
        let is_right = [0, 10, FOREVER].iter().all(|timeout_ms| {
            named((row.call)(handle.0, *timeout_ms)) == Status::Forked
                && (row.bad)(handle.0, *timeout_ms).iter().all(|bad| named(*bad) == Status::Argument)
        });
        (!is_right).then_some(row.name)
    })
}

fn is_right_in_a_child(handles: &[Sent]) -> bool {
    // SAFETY: the child calls what the header allows there, and ends without a return.
    match unsafe { libc::fork() } {
        0 => {
            let wrong = catch_unwind(AssertUnwindSafe(|| wrong_in_child(handles))).unwrap_or(Some("a panic"));
            if let Some(name) = wrong {
                // SAFETY: the bytes of a string. The harness's way out may be locked.
                unsafe { libc::write(2, name.as_ptr().cast(), name.len()) };
            }
            // SAFETY: nothing else is to happen in the child.
            unsafe { libc::_exit(i32::from(wrong.is_some())) };
        }
        child => {
            let mut status = 0;
            // SAFETY: this thread's own child and variable.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            status == 0
        }
    }
}

#[test]
fn in_the_child_of_a_fork_forked_comes_before_everything_but_bad_arguments() {
    let other = open("/echo");
    // DEADLOCK, BUSY, the end of a half and AGAIN would be next.
    let of: [fn() -> Scene; 8] = [connecting, idle, read_busy, write_busy, closing, closed, failed, freed];
    let scenes = of.map(|make| make());
    let handles: Vec<_> = scenes.iter().map(|scene| Sent(scene.stream().handle())).collect();
    assert!(is_right_in_a_child(&handles));
    assert!(inside_a_callback(&other, move || is_right_in_a_child(&handles)));
}

#[test]
fn freed_by_another_thread_every_call_that_waits_is_a_state_error() {
    for state in STATES.iter().filter(|state| state.lasts == Untouched) {
        for row in ROWS.iter().filter(|row| row.waits && state.expected(row) == A) {
            for timeout_ms in [FOREVER, 60_000] {
                let mut scene = (state.make)();
                let share = scene.stream().reference();
                let call = Call::blocked(move || named((row.call)(share.handle(), timeout_ms)));
                scene.stream = None;
                assert_eq!(call.join(), S, "{} with {timeout_ms} ms: {}", row.name, state.name);
            }
        }
    }
    // A poll for what does not hold, where something else does.
    for event in [READABLE, SOME, CLOSED, READABLE | CLOSED] {
        let mut scene = idle();
        let share = scene.stream().reference();
        let call = Call::blocked(move || named(calls::poll(share.handle(), event, FOREVER).0));
        scene.stream = None;
        assert_eq!(call.join(), S, "poll for {event}");
    }
}

#[test]
fn latches_answer_the_same_for_ever_and_to_everybody() {
    for state in STATES.iter().filter(|state| state.lasts == ForEver) {
        let scene = (state.make)();
        let first = scene.stream().wait_closed(FOREVER);
        let opened = scene.stream().wait_opened(FOREVER);
        assert_eq!((opened, first.0), (state.cells[0], state.cells[1]), "{}", state.name);
        let ask = |stream: &Stream| {
            for timeout_ms in [0, 10, FOREVER] {
                assert_eq!(stream.wait_closed(timeout_ms), first, "{}", state.name);
                assert_eq!(stream.wait_opened(timeout_ms), opened, "{}", state.name);
            }
        };
        // Nothing that is called changes what was answered.
        for row in ROWS {
            (row.call)(scene.stream().handle(), 0);
            ask(scene.stream());
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20).for_each(|_| ask(scene.stream())));
            }
        });
    }
}

#[test]
fn once_closed_has_settled_every_half_has_ended() {
    let begin: [fn() -> Stream; 3] = [
        || Stream::open("ws://127.0.0.1:1/"),
        || Stream::open(&server().url("/handshake?status=404")),
        || Stream::open(&server().url("/abrupt")),
    ];
    for round in 0..300 {
        let stream = begin[round % begin.len()]();
        // Without a sleep, which would come back late.
        while stream.wait_closed(0).0 == A {
            std::hint::spin_loop();
        }
        assert_eq!((stream.refused_read(0), stream.write(TEXT, b"x", 0)), (C, C), "round {round}");
        assert_eq!(stream.poll(EVERY_EVENT, 0), Ok(EVERY_EVENT), "round {round}");
    }
}
