//! A test in a process of its own, for what is the whole process's: its limits and its user.

use super::{Status, Stream, deadline};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};

const VARIABLE: &str = "WSSTREAM_TEST_ALONE";

/// Runs the test of this name, which is the one that calls this, again in a process of its own: there `body`, here no more
/// than that, which takes descriptors and thus a turn.
#[track_caller]
pub fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(VARIABLE).is_some_and(|name| name == test) {
        deadline::begin();
        return body();
    }
    let _turn = deadline::turn();
    let output = Command::new(std::env::current_exe().expect("the path of this program"))
        .args(["--exact", test, "--nocapture"])
        .env(VARIABLE, test)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(output.status.success() && printed.contains("1 passed"), "{}: {printed}", output.status);
}

/// The internal thread, kept inside a callback until this is dropped.
pub struct Held {
    _go: Sender<()>,
    _stream: Stream,
}

/// Keeps the internal thread from everything: only the calls of a test drive the streams that are open. For a process
/// of its own.
pub fn hold_internal() -> Held {
    let stream = Stream::open("ws://127.0.0.1:1/");
    stream.never_opens();
    let ((inside, told), (go, gone)) = (channel(), channel::<()>());
    let callback = move |_: &_, _, _| {
        inside.send(()).expect("it is awaited");
        let _ = gone.recv();
    };
    assert_eq!(stream.on_closed(callback), Status::Ok);
    told.recv().expect("it is called");
    Held { _go: go, _stream: stream }
}

/// Makes a call while the process can have no further descriptor. For a process of its own.
pub fn without_descriptors<T>(call: impl FnOnce() -> T) -> T {
    let free = File::open("/dev/null").expect("one is free").as_raw_fd();
    let before = limit(libc::RLIMIT_NOFILE);
    // The system gives the lowest number that is free: all below are in use.
    set_limit(libc::RLIMIT_NOFILE, free.try_into().expect("a descriptor"));
    assert!(File::open("/dev/null").is_err(), "no descriptor is left");
    let result = call();
    set_limit(libc::RLIMIT_NOFILE, before.rlim_cur);
    result
}

/// Lets the system refuse every further thread. For a process of its own, which does not get it back.
pub fn refuse_threads() {
    // The limit does not bind root. Where root may become nobody else it is none the limit does not bind.
    // SAFETY: no memory is involved.
    let _ = unsafe { (libc::setgid(65534), libc::setuid(65534)) };
    set_limit(libc::RLIMIT_NPROC, 1);
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "no thread is to be had");
}

fn limit(resource: libc::__rlimit_resource_t) -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a variable of that type.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit
}

fn set_limit(resource: libc::__rlimit_resource_t, soft: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: soft, ..limit(resource) };
    // SAFETY: the pointer is to a variable of that type.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}
