//! What a stream tells the program's log: lines of text, kept until the internal thread hands them over.
//!
//! Never called where it is written, since a lock may be held there. Bounded: what does not fit is counted, not kept.

use super::Stream;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The program's log function.
pub type LogFunction = Arc<dyn Fn(u32, &str) + Send + Sync>;

/// A stream failed or ended uncleanly, other than by this side's will.
pub(super) const ERROR: u32 = 1;
/// Something was wrong that the library could go on from.
pub(super) const WARN: u32 = 2;
/// Streams that open and close.
pub(super) const INFO: u32 = 3;
/// Each step of opening and closing.
pub(super) const DEBUG: u32 = 4;
/// Each message and control frame.
pub(super) const TRACE: u32 = 5;

/// A log function that hangs must not let the lines of a flood fill the memory.
const LINES_MAX: usize = 4096;

/// Where a stream's lines go.
#[derive(Clone)]
pub struct LogTarget {
    /// The highest level that is told.
    pub level: u32,
    /// Whom it is told.
    pub function: LogFunction,
}

impl std::fmt::Debug for LogTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogTarget").field("level", &self.level).finish_non_exhaustive()
    }
}

/// One line.
pub(super) struct Line {
    pub level: u32,
    pub text: String,
}

#[derive(Default)]
struct Lines {
    lines: VecDeque<Line>,
    lost: u64,
    /// The stream was freed: the program's function is called no more.
    is_over: bool,
}

/// The log of one stream.
pub(super) struct Log {
    target: LogTarget,
    lines: Mutex<Lines>,
}

impl Log {
    pub fn new(target: LogTarget) -> Self {
        Self { target, lines: Mutex::default() }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest line that was not told.
    pub fn pop(&self) -> Option<Line> {
        let mut lines = self.lines();
        if let Some(line) = lines.lines.pop_front() {
            return Some(line);
        }
        let lost = std::mem::take(&mut lines.lost);
        (lost > 0).then(|| Line { level: WARN, text: format!("{lost} lines did not fit and are lost") })
    }

    /// Tells the program.
    pub fn call(&self, level: u32, text: &str) {
        (self.target.function)(level, text);
    }

    /// Nothing is kept from now on; what is left to tell.
    pub fn end(&self) -> VecDeque<Line> {
        let mut lines = self.lines();
        lines.is_over = true;
        lines.lost = 0;
        std::mem::take(&mut lines.lines)
    }

    /// Whether a line of that level is told.
    pub fn has(&self, level: u32) -> bool {
        level <= self.target.level
    }

    /// Whether the lock is free, for the child of a fork.
    pub fn is_intact(&self) -> bool {
        self.lines.try_lock().is_ok()
    }
}

impl Stream {
    /// Logs a line where the program asked for that level; the text is made only then.
    #[inline]
    pub(super) fn log(&self, level: u32, text: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            if log.has(level) {
                self.log_line(log, level, text());
            }
        }
    }

    #[cold]
    fn log_line(&self, log: &Log, level: u32, text: String) {
        let mut lines = log.lines();
        if lines.is_over {
            return;
        }
        if lines.lines.len() == LINES_MAX {
            lines.lost += 1;
            return;
        }
        lines.lines.push_back(Line { level, text: format!("stream {}: {text}", self.key) });
        let is_first = lines.lines.len() == 1;
        drop(lines);
        if is_first {
            self.post_callbacks();
        }
    }

    /// Whether each message is told: then messages take the longer way, where that is done.
    pub(super) fn has_trace(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.has(TRACE))
    }
}
