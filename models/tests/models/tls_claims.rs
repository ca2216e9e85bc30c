//! TLS between both halves, as `src/net/tls.rs` has it: one leaf lock over what was received, what was decrypted and what
//! is to be sent. The reader alone receives, the holder of the write word alone sends, both decrypt.

use super::check::{fails, holds};
use loom::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use wsstream_models::stream::write_word::{CTRL, LOCKED, Unlock, WriteWord, Writing};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    SleepsWithInput,
    PlaintextUnseen,
    LockLetGo,
    AnswerNotPosted,
}

/// Records of a peer: a message, and a key update that wants an answer. What is sent: the answer, a message.
const MESSAGE: u8 = b'M';
const UPDATE: u8 = b'U';
const ANSWER: u8 = b'u';
const WRITTEN: u8 = b'm';

#[derive(Default)]
struct Tls {
    input: VecDeque<u8>,
    plaintext: VecDeque<u8>,
    output: Vec<u8>,
}

impl Tls {
    /// `process_tls_records`, for at most so many messages. True: an answer is to be sent.
    fn process(&mut self, most: usize) -> bool {
        let mut answers = false;
        while self.plaintext.len() < most {
            match self.input.pop_front() {
                Some(UPDATE) => {
                    self.output.push(ANSWER);
                    answers = true;
                }
                Some(record) => self.plaintext.push_back(record),
                None => break,
            }
        }
        answers
    }
}

struct Connection {
    socket: Mutex<VecDeque<u8>>,
    arrived: Condvar,
    tls: Mutex<Tls>,
    word: WriteWord<()>,
    wire: Mutex<Vec<u8>>,
    bug: Bug,
}

impl Connection {
    fn peer_sends(&self, records: &[u8]) {
        self.socket.lock().unwrap().extend(records);
        self.arrived.notify_one();
    }

    /// `sys::poll`.
    fn poll(&self) {
        let mut socket = self.socket.lock().unwrap();
        while socket.is_empty() {
            socket = self.arrived.wait(socket).unwrap();
        }
    }

    /// `Transport::receive` into a chunk with room for one message; whether nothing is left that could become one.
    fn receive(&self) -> (Option<u8>, bool) {
        let mut tls = self.tls.lock().unwrap();
        let mut records = std::mem::take(&mut *self.socket.lock().unwrap());
        tls.input.append(&mut records);
        if self.bug == Bug::LockLetGo {
            // A writer may decrypt what has just come.
            drop(tls);
            tls = self.tls.lock().unwrap();
            if tls.input.is_empty() {
                return (None, true);
            }
        }
        let answers = tls.process(1);
        let message = tls.plaintext.pop_front();
        // In the same hold of the lock.
        let has_plaintext = !tls.plaintext.is_empty() && self.bug != Bug::PlaintextUnseen;
        let is_drained = (tls.input.is_empty() && !has_plaintext) || self.bug == Bug::SleepsWithInput;
        drop(tls);
        if answers && self.bug != Bug::AnswerNotPosted {
            self.serve_posted();
        }
        (message, is_drained)
    }

    /// A read call that waits; a socket that was emptied is not asked again before it shows something.
    fn read(&self, is_drained: &mut bool) {
        loop {
            if *is_drained {
                self.poll();
            }
            let (message, drained) = self.receive();
            *is_drained = drained;
            if message.is_some() {
                return;
            }
        }
    }

    fn serve_posted(&self) {
        if let Some(held) = self.word.post() {
            self.unlock(held);
        }
    }

    fn unlock(&self, held: Writing<'_, ()>) {
        let mut held = held;
        while let Err(again) = self.word.unlock(held, Unlock::default()) {
            self.send();
            held = again;
        }
    }

    /// `Transport::send`: what TLS has to send, from the front.
    fn send(&self) {
        let output = std::mem::take(&mut self.tls.lock().unwrap().output);
        self.wire.lock().unwrap().extend(output);
    }

    fn write(&self) {
        let held = loop {
            match self.word.lock() {
                Ok(held) => break held,
                Err(_) => loom::thread::yield_now(),
            }
        };
        let mut tls = self.tls.lock().unwrap();
        // Whoever encrypts processes what was received and is whole, too.
        tls.process(usize::MAX);
        tls.output.push(WRITTEN);
        drop(tls);
        self.send();
        self.unlock(held);
    }
}

/// A reader, a writer and a peer.
fn secured(bug: Bug, records: &'static [&'static [u8]], sent: &'static [u8]) -> impl Fn() + Send + Sync {
    move || {
        let connection = Arc::new(Connection {
            socket: Mutex::default(),
            arrived: Condvar::new(),
            tls: Mutex::default(),
            word: WriteWord::new(()),
            wire: Mutex::default(),
            bug,
        });
        let reading = Arc::clone(&connection);
        let messages = records.concat().iter().filter(|&&record| record == MESSAGE).count();
        let reader = loom::thread::spawn(move || {
            let mut is_drained = true;
            (0..messages).for_each(|_| reading.read(&mut is_drained));
        });
        let writing = Arc::clone(&connection);
        let writer = loom::thread::spawn(move || writing.write());
        for records in records {
            connection.peer_sends(records);
        }
        reader.join().unwrap();
        writer.join().unwrap();
        let mut wire = connection.wire.lock().unwrap().clone();
        wire.sort_unstable();
        assert_eq!(wire, sent, "what TLS has to send is stranded");
        assert!(connection.tls.lock().unwrap().output.is_empty());
        assert!(connection.word.load() & (LOCKED | CTRL) == 0);
    }
}

const TWO_MESSAGES: &[&[u8]] = &[b"MM"];
const ONE_BY_ONE: &[&[u8]] = &[b"M", b"M"];
const UPDATED: &[&[u8]] = &[b"UM"];

#[test]
fn a_reader_gets_what_a_writer_has_decrypted() {
    holds(secured(Bug::None, TWO_MESSAGES, b"m"));
    holds(secured(Bug::None, &[b"MMM"], b"m"));
    holds(secured(Bug::None, ONE_BY_ONE, b"m"));
}

#[test]
fn an_answer_to_a_key_update_goes_out_beside_a_write() {
    holds(secured(Bug::None, UPDATED, b"mu"));
}

#[test]
fn a_reader_that_sleeps_on_what_its_chunk_had_no_room_for_sleeps_for_ever() {
    fails("deadlock", secured(Bug::SleepsWithInput, TWO_MESSAGES, b"m"));
}

#[test]
fn a_reader_that_does_not_see_what_a_writer_has_decrypted_sleeps_for_ever() {
    fails("deadlock", secured(Bug::PlaintextUnseen, &[b"MMM"], b"m"));
}

#[test]
fn a_reader_that_lets_the_lock_go_between_receiving_and_decrypting_sleeps_for_ever() {
    fails("deadlock", secured(Bug::LockLetGo, &[b"M"], b"m"));
}

#[test]
fn an_answer_that_is_not_posted_is_stranded() {
    fails("is stranded", secured(Bug::AnswerNotPosted, UPDATED, b"mu"));
}
