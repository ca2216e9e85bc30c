//! What one connection received, kept for the tests that ask `/record/ID`.
//!
//! A record is written by the connection's own threads and read by control requests. Its memory is
//! bounded: beyond the limits only the counters go on.

use crate::audit::Audit;
use crate::frame::FrameHeader;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Lines kept of one connection.
const LINES_MAX: usize = 4096;
/// Bytes of lines kept of one connection.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Violations kept of one connection.
const VIOLATIONS_MAX: usize = 64;
/// Records kept; the oldest goes first.
const RECORDS_MAX: usize = 1024;

/// How a connection ended, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client ended TCP in order.
    Fin,
    /// The client, or the system for it, reset TCP.
    Reset,
    /// The server closed its socket without waiting for the client.
    Local,
}

/// The record of one connection.
pub struct Record {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    origin: Instant,
    request: Vec<String>,
    lines: Vec<String>,
    line_bytes: usize,
    lines_dropped: u64,
    violations: Vec<String>,
    violation_count: u64,
    byte_count: u64,
    unparsed_byte_count: u64,
    sent_byte_count: u64,
    audit: Audit,
    end: Option<(End, Duration)>,
}

impl Record {
    /// A record whose clock starts now.
    pub fn new(request: &[String]) -> Record {
        let state = State {
            origin: Instant::now(),
            request: request.to_vec(),
            lines: Vec::new(),
            line_bytes: 0,
            lines_dropped: 0,
            violations: Vec::new(),
            violation_count: 0,
            byte_count: 0,
            unparsed_byte_count: 0,
            sent_byte_count: 0,
            audit: Audit::default(),
            end: None,
        };
        Record { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of a record panics")
    }

    /// The response has been sent: times count from here.
    pub fn open(&self) {
        self.state().origin = Instant::now();
    }

    /// Bytes came from the socket.
    pub fn received(&self, size: usize) {
        self.state().byte_count += size as u64;
    }

    /// Bytes came that are not parsed, for want of a finished handshake.
    pub fn received_unparsed(&self, size: usize) {
        let mut state = self.state();
        state.byte_count += size as u64;
        state.unparsed_byte_count += size as u64;
    }

    /// The system has taken all bytes of a write.
    pub fn sent(&self, size: usize) {
        self.state().sent_byte_count += size as u64;
    }

    /// A frame begins.
    pub fn begin_frame(&self, header: FrameHeader) {
        let mut state = self.state();
        let violations = state.audit.begin(header);
        for text in violations {
            state.add_violation(text);
        }
    }

    /// A part of its unmasked payload came.
    pub fn payload(&self, bytes: &[u8]) {
        let mut state = self.state();
        if let Some(text) = state.audit.payload(bytes) {
            state.add_violation(text);
        }
    }

    /// What a part of a compressed message stands for.
    pub fn inflated(&self, bytes: &[u8]) {
        let mut state = self.state();
        if let Some(text) = state.audit.inflated(bytes) {
            state.add_violation(text);
        }
    }

    /// The client may compress.
    pub fn allow_compression(&self) {
        self.state().audit.allow_compression();
    }

    /// The frame is complete.
    pub fn end_frame(&self) {
        let mut state = self.state();
        let (line, violations) = state.audit.end();
        for text in violations {
            state.add_violation(text);
        }
        state.add_line(line);
        drop(state);
        self.changed.notify_all();
    }

    /// The client broke a rule.
    pub fn violate(&self, text: &str) {
        self.state().add_violation(text);
    }

    /// The server did something worth ordering against the frames.
    pub fn note(&self, text: &str) {
        self.state().add_line(format!("event: {text}"));
    }

    /// The connection was over at `at`; the first end counts.
    pub fn end(&self, end: End, at: Instant) {
        let mut state = self.state();
        let at = at.saturating_duration_since(state.origin);
        state.end.get_or_insert((end, at));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the end, or for `frame_count` frames if that is not 0, and writes all as text.
    pub fn wait(&self, frame_count: u64, deadline: Instant) -> String {
        let is_pending = |state: &mut State| {
            state.end.is_none() && (frame_count == 0 || state.audit.frame_count() < frame_count)
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), wait, is_pending)
            .expect("no holder of a record panics");
        state.render()
    }
}

impl State {
    fn at_ms(&self) -> String {
        format!("at_ms={:.3}", self.origin.elapsed().as_secs_f64() * 1e3)
    }

    fn add_line(&mut self, line: String) {
        if self.lines.len() >= LINES_MAX || self.line_bytes + line.len() > LINE_BYTES_MAX {
            self.lines_dropped += 1;
            return;
        }
        let line = format!("{line} {}", self.at_ms());
        self.line_bytes += line.len();
        self.lines.push(line);
    }

    fn add_violation(&mut self, text: &str) {
        self.violation_count += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(format!("{text} {}", self.at_ms()));
        }
    }

    fn render(&self) -> String {
        let mut text = String::new();
        match self.end {
            None => text.push_str("end: open\n"),
            Some((end, at)) => {
                let word = match end {
                    End::Fin => "fin",
                    End::Reset => "reset",
                    End::Local => "local",
                };
                let _ = writeln!(text, "end: {word} at_ms={:.3}", at.as_secs_f64() * 1e3);
            }
        }
        for line in &self.request {
            let _ = writeln!(text, "request: {line}");
        }
        let _ = writeln!(
            text,
            "counts: {} bytes={} unparsed_bytes={} violations={} lines_dropped={} sent_bytes={}",
            self.audit.counts(),
            self.byte_count,
            self.unparsed_byte_count,
            self.violation_count,
            self.lines_dropped,
            self.sent_byte_count
        );
        for violation in &self.violations {
            let _ = writeln!(text, "violation: {violation}");
        }
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        if let Some(line) = self.audit.partial() {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// The records of all connections that carry an id.
#[derive(Default)]
pub struct Registry {
    records: Mutex<VecDeque<(String, Arc<Record>)>>,
    changed: Condvar,
}

impl Registry {
    /// Begins the record of a connection; an older one of the same id is forgotten.
    pub fn begin(&self, id: &str, request: &[String]) -> Arc<Record> {
        let record = Arc::new(Record::new(request));
        let mut records = self.records.lock().expect("no holder of the registry panics");
        records.retain(|(key, _)| key != id);
        if records.len() >= RECORDS_MAX {
            records.pop_front();
        }
        records.push_back((id.to_owned(), record.clone()));
        drop(records);
        self.changed.notify_all();
        record
    }

    /// The record of `id`, as soon as there is one.
    pub fn wait(&self, id: &str, deadline: Instant) -> Option<Arc<Record>> {
        let find = |records: &VecDeque<(String, Arc<Record>)>| {
            records.iter().find(|(key, _)| key == id).map(|(_, record)| record.clone())
        };
        let records = self.records.lock().expect("no holder of the registry panics");
        let wait = deadline.saturating_duration_since(Instant::now());
        let (records, _) = self
            .changed
            .wait_timeout_while(records, wait, |records| find(records).is_none())
            .expect("no holder of the registry panics");
        find(&records)
    }
}
