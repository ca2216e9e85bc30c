//! Threads of a test that are known to sleep inside a call, without a wait that hopes for it.

use super::until;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread::{Builder, JoinHandle};

/// A thread inside a call.
pub struct Call<T> {
    thread: JoinHandle<T>,
    task: String,
}

impl<T: Send + 'static> Call<T> {
    /// Makes the call on a thread of its own and returns when that thread sleeps, or has ended.
    pub fn blocked(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let made = Self::begun(call);
        made.wait_blocked();
        made
    }

    /// Makes the call on a thread of its own.
    pub fn begun(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let thread = Builder::new().spawn(move || {
            let task = std::fs::read_link("/proc/thread-self").expect("Linux names it");
            sender.send(format!("/proc/{}", task.display())).expect("the test waits for it");
            call()
        });
        Self { thread: thread.expect("a thread"), task: receiver.recv().expect("its task") }
    }

    /// Returns when the thread sleeps: seen twice, with nothing done between.
    pub fn wait_blocked(&self) {
        let mut before = None;
        until(|| {
            if self.thread.is_finished() {
                return true;
            }
            let now = asleep(&self.task);
            let is_still = now.is_some() && now == before;
            before = now;
            is_still
        });
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What the call answered.
    #[track_caller]
    pub fn join(self) -> T {
        self.thread.join().expect("the thread does not panic")
    }
}

/// Newer architectures have no system call of that name; the C library makes the other one there.
#[cfg(target_arch = "x86_64")]
const POLL: i64 = libc::SYS_poll;
#[cfg(not(target_arch = "x86_64"))]
const POLL: i64 = libc::SYS_ppoll;

/// How often the thread has gone to sleep, if it sleeps in a system call. (A page that is not there yet may let it sleep
/// as well, long before it makes the call.)
fn asleep(task: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("{task}/status")).ok()?;
    // Where the system does not tell, the state alone has to do.
    if let Ok(system_call) = std::fs::read_to_string(format!("{task}/syscall")) {
        let number: i64 = system_call.split_whitespace().next()?.parse().ok()?;
        if ![POLL, libc::SYS_ppoll, libc::SYS_futex].contains(&number) {
            return None;
        }
    }
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    line("State:")?.contains('S').then(|| line("voluntary_ctxt_switches:"))?
}

/// How often the internal thread has gone to sleep, and its processor time in nanoseconds.
pub fn cost_of_internal_thread() -> (u64, u64) {
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("the thread lives");
    let find = || {
        std::fs::read_dir("/proc/self/task").expect("Linux lists them").find_map(|task| {
            let path = task.expect("a thread").path();
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name == "wsstream\n").then_some(path)
        })
    };
    let mut task = None;
    // A stream was opened, but the thread may not have run until now: it names itself.
    super::until(|| {
        task = find();
        task.is_some()
    });
    let task = task.expect("it was found");
    let status = read(task.join("status"));
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let time = read(task.join("schedstat"));
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok()).expect("a number");
    (number(sleeps), number(time.split_whitespace().next()))
}
