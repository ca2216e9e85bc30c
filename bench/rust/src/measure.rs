//! What is measured, and the line that tells it.

use crate::{Result, failed};
use std::fmt;
use std::io;
use std::time::Instant;

/// A measurement that has begun.
pub struct Measure {
    cpu_us: u64,
    wall: Instant,
}

impl Measure {
    pub fn begin() -> Self {
        Self { cpu_us: cpu_us(), wall: Instant::now() }
    }

    pub fn end(self) -> Outcome {
        let wall_us = self.wall.elapsed().as_micros() as u64;
        Outcome { cpu_us: cpu_us() - self.cpu_us, wall_us, ..Outcome::default() }
    }
}

/// The result of a work; displayed, its line.
#[derive(Default)]
pub struct Outcome {
    library: &'static str,
    count: u64,
    cpu_us: u64,
    wall_us: u64,
    /// Median and 99th percentile of a round trip.
    latency_ns: Option<(u64, u64)>,
    /// Of a connection.
    memory: Option<u64>,
}

impl Outcome {
    pub fn of(self, library: &'static str, count: u64) -> Self {
        Self { library, count, ..self }
    }

    pub fn with_latencies(self, mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        let count = latencies.len();
        Self { latency_ns: Some((latencies[count / 2], latencies[(count - 1) * 99 / 100])), ..self }
    }

    pub fn with_memory(self, memory: u64) -> Self {
        Self { memory: Some(memory), ..self }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { library, count, cpu_us, wall_us, .. } = self;
        write!(line, "count={count} cpu_us={cpu_us} wall_us={wall_us}")?;
        if let Some((median, p99)) = self.latency_ns {
            write!(line, " median_ns={median} p99_ns={p99}")?;
        }
        if let Some(memory) = self.memory {
            write!(line, " memory={memory}")?;
        }
        write!(line, " version={library}/{}", locked_version(library))
    }
}

/// The version of a crate that this was built with.
fn locked_version(library: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{library}\"\n")));
    let version = entry.and_then(|entry| entry.split_once("version = \"")?.1.split_once('"'));
    version.expect("the lock file has every library").0
}

/// Processor time of the process: user and system, all threads.
fn cpu_us() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a variable of this function, and all zeros are a value of its type.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    us(usage.ru_utime) + us(usage.ru_stime)
}

/// Private memory of the process in bytes.
pub fn private_memory() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")?.strip_suffix("kB"));
    match kilobytes {
        Some(kilobytes) => Ok(kilobytes.trim().parse::<u64>()? * 1024),
        None => failed("no Private_Dirty in /proc/self/smaps_rollup"),
    }
}

/// Sees to it that the process may have so many open files.
pub fn allow_files(count: u64) -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to a variable of this function.
    let is_allowed = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_cur.max(count);
            limit.rlim_max = limit.rlim_max.max(count);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if is_allowed { Ok(()) } else { failed(format!("{count} open files: {}", io::Error::last_os_error())) }
}
