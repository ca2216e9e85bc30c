//! A deadline for every test: one that hangs ends the process with the names of those that run, and with what every
//! stream stands on where the library can tell.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(240);

static RUNNING: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());
static WATCHDOG: Once = Once::new();

struct Running(String);

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(name, _)| *name != self.0);
    }
}

thread_local! { static OWN: Option<Running> = enter(); }

/// The thread of a test has its name; others are a test's own and end with it. With one test at a time all run on
/// the main thread, where the sum of them is not to be limited.
fn enter() -> Option<Running> {
    let name = std::thread::current().name().filter(|name| *name != "main")?.to_owned();
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), Instant::now()));
    Some(Running(name))
}

/// Begins the deadline of the test on this thread.
pub fn begin() {
    OWN.with(|_| ());
    WATCHDOG.call_once(|| {
        std::thread::Builder::new().name("deadline".to_owned()).spawn(watch).expect("a thread");
    });
}

/// The turn of a test that counts or changes what is the whole process's. Its deadline begins with its turn.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    begin();
    turn
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if running.iter().any(|(_, since)| since.elapsed() > LIMIT) {
            for (name, since) in running.iter() {
                // Not through `eprintln`, which the harness captures.
                let line = format!("still running after {} s: {name}\n", since.elapsed().as_secs());
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
            #[cfg(feature = "dump")]
            wsstream::dump::wsstream_test_dump(2);
            std::process::abort();
        }
    }
}
