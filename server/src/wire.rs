//! The sending side of one connection, shared by the thread that reads and a thread that feeds.
//!
//! Whole frames go out in turns. The reading thread never waits behind the feeding one: what it
//! answers meanwhile is queued, and whoever has the turn sends it. How a connection ends is here too.

use crate::deflate::{Agreement, Deflater};
use crate::frame::{RSV1, append_frame, append_message, opcode};
use crate::query::{Query, Refusal};
use crate::record::Record;
use crate::transport::Transport;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

/// Answers held while another thread sends; beyond it they are dropped and the record says so.
const QUEUED_BYTES_MAX: usize = 1 << 20;

/// Sends or receives in pieces of `bytes` with a pause of `tick` between two.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The size of a piece.
    pub bytes: usize,
    /// The pause.
    pub tick: Duration,
}

impl Pace {
    /// One byte per write, without pauses.
    pub const SPLIT: Pace = Pace { bytes: 1, tick: Duration::ZERO };

    /// The parameters `bytes` and `tick_ms`.
    pub fn from_query(query: &Query) -> Result<Pace, Refusal> {
        let bytes = query.number_or("bytes", 1)?;
        if bytes == 0 {
            return Err(Refusal("bytes is 0".to_owned()));
        }
        Ok(Pace { bytes, tick: Duration::from_millis(query.number_or("tick_ms", 1)?) })
    }
}

/// How the server ends the connection underneath: TCP, or the Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Ends its sending half and reads on until the client's end.
    Fin,
    /// Closes the socket at once.
    Close,
    /// Resets the connection.
    Reset,
    /// Keeps the socket open and reads nothing.
    Stall,
    /// Reads on until the client ends it.
    Never,
}

/// The end of a connection, step by step.
#[derive(Clone, Debug)]
pub struct Ending {
    /// A Close frame to send first, after a pause.
    pub reply: Option<(Duration, Vec<u8>)>,
    /// The pause before TCP is ended.
    pub delay: Duration,
    /// How TCP is ended.
    pub how: How,
}

impl Ending {
    /// At once, without a Close frame.
    pub fn now(how: How) -> Ending {
        Ending { reply: None, delay: Duration::ZERO, how }
    }

    /// The parameters `end` and `end_delay_ms`.
    pub fn from_query(query: &Query, default: How) -> Result<Ending, Refusal> {
        let words = [
            ("fin", How::Fin),
            ("close", How::Close),
            ("reset", How::Reset),
            ("stall", How::Stall),
            ("never", How::Never),
        ];
        let how = match query.text("end") {
            None => default,
            Some(text) => match words.iter().find(|(word, _)| *word == text) {
                Some((_, how)) => *how,
                None => return Err(Refusal("end is none of fin, close, reset, stall, never".to_owned())),
            },
        };
        Ok(Ending { reply: None, delay: query.milliseconds("end_delay_ms")?, how })
    }
}

/// The sending side.
pub struct Wire {
    /// The connection, for whoever reads.
    pub transport: Transport,
    /// The record, if the connection has an id.
    pub record: Option<Arc<Record>>,
    pace: Option<Pace>,
    /// permessage-deflate, where it was agreed.
    deflater: Option<Mutex<Deflater>>,
    turn: Mutex<()>,
    queued: Mutex<Vec<u8>>,
    is_stopping: Mutex<bool>,
    stopped: Condvar,
    is_close_sent: AtomicBool,
    is_reset: AtomicBool,
    hand_over: Mutex<Option<Ending>>,
}

impl Wire {
    /// The sending side of a connection.
    pub fn new(transport: Transport, record: Option<Arc<Record>>, pace: Option<Pace>) -> Wire {
        Wire {
            transport,
            record,
            pace,
            deflater: None,
            turn: Mutex::new(()),
            queued: Mutex::new(Vec::new()),
            is_stopping: Mutex::new(false),
            stopped: Condvar::new(),
            is_close_sent: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
            hand_over: Mutex::new(None),
        }
    }

    /// The same, compressing as was agreed.
    pub fn deflating(self, agreement: Option<&Agreement>) -> Wire {
        Wire { deflater: agreement.map(|agreement| Mutex::new(Deflater::new(agreement))), ..self }
    }

    /// Whether messages are compressed.
    pub fn deflates(&self) -> bool {
        self.deflater.is_some()
    }

    /// Appends a message in frames of at most `frame_bytes_max` (0 means one frame), compressed where that was agreed.
    ///
    /// Messages must be sent in the order in which they were appended: each may refer to those before it.
    pub fn append_message(&self, out: &mut Vec<u8>, opcode: u8, payload: &[u8], frame_bytes_max: usize) {
        match &self.deflater {
            None => append_message(out, opcode, payload, frame_bytes_max),
            Some(deflater) => {
                let payload = deflater.lock().expect("no holder of the compressor panics").message(payload);
                append_message(out, RSV1 | opcode, &payload, frame_bytes_max);
            }
        }
    }

    /// Writes an event into the record, if there is one.
    pub fn note(&self, text: &str) {
        if let Some(record) = &self.record {
            record.note(text);
        }
    }

    /// Sends a feeding thread's whole frames when its turn comes; fails once it is to stop.
    pub fn feed(&self, bytes: &[u8]) -> io::Result<()> {
        let turn = self.turn();
        // Asked under the turn: nothing may follow the Close that the reading thread sends in its own.
        if *self.stopping() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.write(bytes)?;
        drop(turn);
        self.flush_queued()
    }

    /// Sends whole frames; if another thread has the turn, leaves them to it.
    pub fn send_soon(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.turn.try_lock() {
            Ok(_turn) => {
                let before = std::mem::take(&mut *self.queued());
                self.write(&before)?;
                self.write(bytes)?;
            }
            Err(TryLockError::WouldBlock) => {
                let mut queued = self.queued();
                if queued.len() + bytes.len() > QUEUED_BYTES_MAX {
                    self.note("answer_dropped");
                } else {
                    queued.extend_from_slice(bytes);
                }
            }
            Err(TryLockError::Poisoned(_)) => unreachable!("no holder of the turn panics"),
        }
        self.flush_queued()
    }

    /// Sends a Close frame soon, once.
    pub fn send_close(&self, body: &[u8]) -> io::Result<()> {
        if self.is_close_sent.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.note("close_sent");
        let mut bytes = Vec::new();
        append_frame(&mut bytes, opcode::CLOSE, body);
        self.send_soon(&bytes)
    }

    /// Whether a Close frame has been sent.
    pub fn is_close_sent(&self) -> bool {
        self.is_close_sent.load(Ordering::SeqCst)
    }

    /// Asks the feeding thread to stop after the frames it is sending.
    pub fn stop(&self) {
        *self.stopping() = true;
        self.stopped.notify_all();
    }

    /// Whether a write found the connection reset.
    ///
    /// The system reports a reset once, to a write or to a read; after the write's the read answers 0.
    pub fn is_reset(&self) -> bool {
        self.is_reset.load(Ordering::SeqCst)
    }

    /// Writes bytes that are no frames, before any other thread knows the wire.
    pub fn write_handshake(&self, bytes: &[u8], pace: Option<Pace>) -> io::Result<()> {
        self.watch(write_paced(&self.transport, bytes, pace), bytes.len())
    }

    /// Ends the sending half behind all that was sent or queued.
    pub fn end_sending(&self) {
        let _turn = self.turn();
        let queued = std::mem::take(&mut *self.queued());
        // Whether this and the shutdown succeed, the next read tells.
        let _ = self.write(&queued);
        self.note("fin_sent");
        self.transport.end_sending();
    }

    /// Carries out the end a feeding thread has come to: itself, or by handing it to the reading thread.
    pub fn end_from_feeder(&self, ending: Ending) {
        let delay =
            self.stopped.wait_timeout_while(self.stopping(), ending.delay, |is_stopping| !*is_stopping);
        drop(delay);
        match ending.how {
            How::Never => {}
            How::Fin => self.end_sending(),
            How::Close | How::Reset | How::Stall => {
                *self.hand_over() = Some(Ending { delay: Duration::ZERO, ..ending });
                self.transport.end_receiving();
            }
        }
    }

    /// The end that a feeding thread has left to the reading one.
    pub fn take_hand_over(&self) -> Option<Ending> {
        self.hand_over().take()
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.watch(write_paced(&self.transport, bytes, self.pace), bytes.len())
    }

    fn watch(&self, written: io::Result<()>, size: usize) -> io::Result<()> {
        if let (Ok(()), Some(record)) = (&written, &self.record) {
            record.sent(size);
        }
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
            self.is_reset.store(true, Ordering::SeqCst);
        }
        written
    }

    fn stopping(&self) -> MutexGuard<'_, bool> {
        self.is_stopping.lock().expect("no holder of the flag panics")
    }

    fn flush_queued(&self) -> io::Result<()> {
        while !self.queued().is_empty() {
            // Who has the turn looks into the queue after it, as this loop does.
            let Ok(_turn) = self.turn.try_lock() else { return Ok(()) };
            let bytes = std::mem::take(&mut *self.queued());
            self.write(&bytes)?;
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().expect("no holder of the turn panics")
    }

    fn queued(&self) -> MutexGuard<'_, Vec<u8>> {
        self.queued.lock().expect("no holder of the queue panics")
    }

    fn hand_over(&self) -> MutexGuard<'_, Option<Ending>> {
        self.hand_over.lock().expect("no holder of the end panics")
    }
}

/// Writes all of `bytes`, in pieces if there is a pace.
fn write_paced(transport: &Transport, bytes: &[u8], pace: Option<Pace>) -> io::Result<()> {
    let Some(pace) = pace else { return transport.write_all(bytes) };
    for (index, piece) in bytes.chunks(pace.bytes).enumerate() {
        if index > 0 && !pace.tick.is_zero() {
            std::thread::sleep(pace.tick);
        }
        transport.write_all(piece)?;
    }
    Ok(())
}
