//! TLS over one connection (RFC 8446, RFC 5246), by rustls's unbuffered interface: no thread of its own, no waiting.
//!
//! The rustls connection, the received bytes that it has not discarded, the plaintext that nobody took and the outgoing
//! bytes are one object under one leaf lock. Whoever lets rustls process records, the reader or a writer, hands it those
//! received bytes; what it makes is appended to the outgoing bytes before the lock is let go.

mod buffer;
mod config;
mod failure;
mod record;
#[cfg(test)]
mod tests;

pub use config::{TlsConfig, TlsConfigError, TlsOptions, check_certificates_pem, check_key_pem, server_name};
pub use failure::TlsFailure;

use super::sys::{self, Descriptor};
use super::transport::{Received, Sent};
use crate::memory::Room;
use buffer::Buffer;
use record::{Done, RECORD_SIZE, RECORD_SIZE_MAX, Trouble};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use std::io::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The first receive is of this size; larger where the last one was filled.
const RECEIVE_SIZE_MIN: usize = 4 * 1024;
/// Four records: beyond this a larger receive saves nothing.
const RECEIVE_SIZE_MAX: usize = 64 * 1024;
/// A handshake message cut into many records stays in the input until it is whole; rustls refuses one above 64 KiB.
const INPUT_SIZE_MAX: usize = 64 * 1024 + RECORD_SIZE_MAX;
/// How many receives one call makes for a record that comes in pieces.
const RECEIVES_MAX: usize = 4;
/// How much plaintext is encrypted before the socket gets it: a piece of a writer with the frame's header, and not so
/// much that a socket that is full lets ciphertext pile up.
const ROUND_SIZE: usize = 5 * RECORD_SIZE;

/// The TLS handshake is done.
const SECURED: u8 = 1;
/// A further receive has something to tell without the socket.
const INPUT: u8 = 2;
/// Bytes wait to be sent.
const OUTPUT: u8 = 4;

/// One connection's TLS.
pub(super) struct Tls {
    state: Mutex<State>,
    /// What of the state is asked for all the time; written under the lock.
    flags: AtomicU8,
    /// Bytes received, as they came; written under the lock.
    raw_received: AtomicU64,
}

struct State {
    /// Gone in the child of a fork, with its memory: what the poller's share keeps there for ever is small.
    connection: Option<Box<UnbufferedClientConnection>>,
    server_name: ServerName<'static>,
    /// Received, and not discarded by rustls.
    input: Buffer,
    /// The input has grown, or begins with a whole record: there is something to process.
    is_processable: bool,
    receive_size: usize,
    raw_received: u64,
    /// The last receive has emptied the socket.
    is_drained: bool,
    /// Decrypted and taken by nobody: a writer has met it, or the reader had no room.
    plaintext: Buffer,
    outgoing: Buffer,
    /// The socket has refused a part of what is outgoing.
    is_blocked: bool,
    /// Our close_notify was made, or the socket refuses bytes: nothing is sent any more.
    is_over: bool,
    /// What still comes is thrown away as it is.
    is_discarding: bool,
    is_secured: bool,
    /// The peer's close_notify came, or its end of TCP.
    is_ended: bool,
    failure: Option<TlsFailure>,
    /// The reader knows of the end or the failure.
    is_end_told: bool,
}

/// What a thread wants of a connection that processes records.
enum Wish<'a> {
    /// Plaintext, so many bytes at most.
    Read(&'a mut dyn Room, usize),
    /// To encrypt these bytes, if the handshake is done.
    Encrypt(&'a [u8]),
    /// To tell the peer that nothing more comes.
    Close,
    /// That it goes as far as it can.
    Advance,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl Tls {
    /// A connection that has its ClientHello ready.
    pub fn new(config: &TlsConfig, server_name: ServerName<'static>) -> Result<Self> {
        let connection = UnbufferedClientConnection::new(Arc::clone(&config.0), server_name.clone())
            .map_err(|error| TlsFailure::met(&error, &server_name))?;
        let mut state = State {
            connection: Some(Box::new(connection)),
            server_name,
            input: Buffer::default(),
            is_processable: false,
            receive_size: RECEIVE_SIZE_MIN,
            raw_received: 0,
            is_drained: false,
            plaintext: Buffer::default(),
            outgoing: Buffer::default(),
            is_blocked: false,
            is_over: false,
            is_discarding: false,
            is_secured: false,
            is_ended: false,
            failure: None,
            is_end_told: false,
        };
        state.process(Wish::Advance);
        if let Some(failure) = state.failure {
            return Err(failure.into());
        }
        let flags = AtomicU8::new(state.flags());
        Ok(Self { state: Mutex::new(state), flags, raw_received: AtomicU64::new(0) })
    }

    #[inline]
    pub fn is_secured(&self) -> bool {
        self.flags.load(Ordering::Acquire) & SECURED != 0
    }

    #[inline]
    pub fn has_input(&self) -> bool {
        self.flags.load(Ordering::Acquire) & INPUT != 0
    }

    #[inline]
    pub fn has_output(&self) -> bool {
        self.flags.load(Ordering::Acquire) & OUTPUT != 0
    }

    /// In the child of a fork: gives its memory back, where no thread of the parent was at it.
    pub fn close_in_child(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.connection = None;
            state.failure.get_or_insert_with(|| TlsFailure::new("The connection is the parent's."));
            state.input = Buffer::default();
            state.plaintext = Buffer::default();
            state.outgoing = Buffer::default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // A panic came out of the midst of it: the connection cannot be relied on.
            let mut state = poisoned.into_inner();
            self.state.clear_poison();
            state.input = Buffer::default();
            state.is_processable = false;
            state.failure.get_or_insert_with(|| TlsFailure::new("A bug was met in TLS."));
            state
        })
    }

    pub fn raw_received(&self) -> u64 {
        self.raw_received.load(Ordering::Relaxed)
    }

    fn unlock(&self, state: MutexGuard<'_, State>) {
        self.flags.store(state.flags(), Ordering::Release);
        self.raw_received.store(state.raw_received, Ordering::Relaxed);
        drop(state);
    }

    /// As `Transport::receive`.
    pub fn receive(&self, socket: &Descriptor, room: &mut dyn Room, at_most: usize) -> Result<Received> {
        let mut state = self.lock();
        let received = state.receive(socket, room, at_most);
        self.unlock(state);
        received
    }

    /// As `Transport::send`. After a failure what is outgoing still goes, the bytes are refused.
    pub fn send(&self, socket: &Descriptor, bytes: &[u8]) -> Result<Sent> {
        let mut taken = 0;
        let mut state = self.lock();
        loop {
            // What the socket has refused goes first and alone, so that what is held stays bounded; a handshake's last
            // message and the first bytes leave together.
            if state.outgoing.is_empty() || !state.is_blocked {
                taken += state.encrypt(&bytes[taken..]);
            }
            if state.outgoing.is_empty() {
                state.is_blocked = false;
                break;
            }
            state = self.flush(state, socket)?;
            if state.is_blocked {
                break;
            }
        }
        let refusal = if taken < bytes.len() { state.refusal() } else { None };
        let sent = Sent { taken, left: state.outgoing.len(), blocked: state.is_blocked };
        self.unlock(state);
        refusal.map_or(Ok(sent), Err)
    }

    /// Gives the socket the outgoing bytes in one call, without the lock: only the holder of the write word sends, the
    /// reader may append meanwhile.
    fn flush<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        socket: &Descriptor,
    ) -> Result<MutexGuard<'a, State>> {
        let outgoing = std::mem::take(&mut state.outgoing);
        drop(state);
        let result = match sys::send(socket, outgoing.filled()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            result => result,
        };
        let mut state = self.lock();
        match state.put_back(outgoing, result) {
            Ok(()) => Ok(state),
            Err(error) => {
                self.unlock(state);
                Err(error)
            }
        }
    }

    /// Says close_notify, and sends it as far as the socket takes it (RFC 8446 §6.1: before our end of TCP).
    pub fn end_sending(&self, socket: &Descriptor) {
        let mut state = self.lock();
        if state.failure.is_none() && !state.is_over {
            state.process(Wish::Close);
        }
        state.is_over = true;
        state.is_discarding = true;
        if !state.outgoing.is_empty() {
            match self.flush(state, socket) {
                Ok(flushed) => state = flushed,
                Err(_) => return,
            }
        }
        state.outgoing = Buffer::default();
        self.unlock(state);
    }

    /// Bytes of memory in its buffers.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        let state = self.lock();
        state.input.memory() + state.plaintext.memory() + state.outgoing.memory()
    }

    /// Gives back the memory that an idle connection need not have.
    pub fn release_memory(&self) {
        let mut state = self.lock();
        state.input.release();
        state.plaintext.release();
        state.outgoing.release();
        state.receive_size = RECEIVE_SIZE_MIN;
        self.unlock(state);
    }
}

impl State {
    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.is_secured {
            flags |= SECURED;
        }
        if self.has_input() {
            flags |= INPUT;
        }
        if !self.outgoing.is_empty() {
            flags |= OUTPUT;
        }
        flags
    }

    fn has_input(&self) -> bool {
        let has_end = (self.is_ended || self.failure.is_some()) && !self.is_end_told;
        self.is_processable || !self.plaintext.is_empty() || has_end
    }

    /// After so many of the outgoing bytes were sent: what was made meanwhile goes behind the others.
    fn put_back(&mut self, mut outgoing: Buffer, sent: Result<usize>) -> Result<()> {
        let result = sent.and_then(|size| {
            outgoing.consume(size);
            self.is_blocked = !outgoing.is_empty();
            outgoing.append(self.outgoing.filled())
        });
        // Without all of it what was sent has a hole from here on.
        self.is_over |= result.is_err();
        self.outgoing = if result.is_ok() { outgoing } else { Buffer::default() };
        result
    }

    /// Plaintext that lies there, else what whole records give, else what the socket brings: one call of it unless a
    /// record comes in pieces.
    fn receive(&mut self, socket: &Descriptor, room: &mut dyn Room, at_most: usize) -> Result<Received> {
        if self.is_discarding {
            return self.discard(socket);
        }
        let before = room.filled_size();
        self.take_plaintext(room, at_most);
        for left in (0..=RECEIVES_MAX).rev() {
            let size = room.filled_size() - before;
            if self.is_processable && size < at_most {
                self.process(Wish::Read(room, at_most - size));
            }
            let size = room.filled_size() - before;
            if size > 0 {
                return Ok(Received::Bytes { size, drained: self.is_drained && !self.has_input() });
            }
            if self.is_ended || self.failure.is_some() {
                self.is_end_told = true;
                return self.failure.clone().map_or(Ok(Received::End), |failure| Err(failure.into()));
            }
            if left == 0 || at_most == 0 {
                break;
            }
            if self.input.len() >= INPUT_SIZE_MAX {
                self.fail(TlsFailure::new("The peer has sent a TLS handshake message that is too large."));
                continue;
            }
            match self.fill(socket) {
                Ok(0) => self.handle_end_of_tcp(),
                Ok(_) => self.is_processable = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_drained = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Received::Nothing)
    }

    /// After our close_notify nobody asks what the peer says, and rustls need not judge it.
    fn discard(&mut self, socket: &Descriptor) -> Result<Received> {
        self.input = Buffer::default();
        self.plaintext = Buffer::default();
        self.is_processable = false;
        for _ in 0..RECEIVES_MAX {
            match sys::receive(socket, self.input.spare(RECEIVE_SIZE_MAX)?) {
                Ok(0) => {
                    self.is_ended = true;
                    self.is_end_told = true;
                    return Ok(Received::End);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Received::Nothing)
    }

    /// Why bytes are not taken, if they will never be.
    fn refusal(&self) -> Option<Error> {
        match &self.failure {
            Some(failure) => Some(failure.clone().into()),
            None if self.is_over => Some(ErrorKind::BrokenPipe.into()),
            None => None,
        }
    }

    fn take_plaintext(&mut self, room: &mut dyn Room, at_most: usize) {
        let size = self.plaintext.len().min(at_most);
        if size > 0 {
            room.append(&self.plaintext.filled()[..size]);
            self.plaintext.consume(size);
        }
    }

    /// Receives behind the input, once.
    fn fill(&mut self, socket: &Descriptor) -> Result<usize> {
        let pending = self.input.filled();
        let missing = record::record_size(pending).min(RECORD_SIZE_MAX).saturating_sub(pending.len());
        let spare = self.input.spare(self.receive_size.max(missing))?;
        let room = spare.len();
        let size = sys::receive(socket, spare)?;
        self.input.extend(size);
        self.raw_received += size as u64;
        self.is_drained = size < room;
        if !self.is_drained {
            self.receive_size = (self.receive_size * 4).min(RECEIVE_SIZE_MAX);
        }
        Ok(size)
    }

    /// RFC 8446 §6.1 wants close_notify before it. The Close frames decide what it means, but before the end of the
    /// handshake there are none.
    fn handle_end_of_tcp(&mut self) {
        self.is_ended = true;
        if !self.is_secured {
            self.failure
                .get_or_insert_with(|| TlsFailure::new("The peer ended TCP during the TLS handshake."));
        }
    }

    /// Encrypts as much as one round may; answers how much that was.
    fn encrypt(&mut self, bytes: &[u8]) -> usize {
        let round = &bytes[..bytes.len().min(ROUND_SIZE)];
        if round.is_empty() || self.failure.is_some() || self.is_over {
            return 0;
        }
        if self.process(Wish::Encrypt(round)) == Done::All { round.len() } else { 0 }
    }

    /// Lets rustls go on until the wish is fulfilled or it has nothing to go on with; a failure is kept.
    fn process(&mut self, wish: Wish<'_>) -> Done {
        crate::fault::point("net.tls");
        if self.failure.is_some() {
            return Done::Nothing;
        }
        if crate::fault::fails("net.tls") {
            self.fail(TlsFailure::new("TLS was made to fail."));
            return Done::Nothing;
        }
        let result = self.process_records(wish);
        self.is_secured |= self.connection.as_ref().is_some_and(|connection| !connection.is_handshaking());
        match result {
            Ok(done) => done,
            Err(trouble) => {
                let failure = match trouble {
                    Trouble::Tls(error) => TlsFailure::met(&error, &self.server_name),
                    Trouble::KeysUsedUp => {
                        TlsFailure::new("The keys of TLS 1.2 have encrypted all they may.")
                    }
                    Trouble::NoMemory => TlsFailure::new("The system refused memory for TLS."),
                };
                self.fail(failure);
                Done::Nothing
            }
        }
    }

    /// rustls remembers a handshake message that is not all here by its place in the input, and has decrypted it there:
    /// until it discards those bytes, each call needs the same ones in front. So whoever calls passes the whole input,
    /// which is empty exactly where rustls has discarded all of it and remembers no place.
    fn process_records(&mut self, mut wish: Wish<'_>) -> std::result::Result<Done, Trouble> {
        loop {
            let Some(connection) = &mut self.connection else { return Ok(Done::Nothing) };
            let UnbufferedStatus { mut discard, state } =
                connection.process_tls_records(self.input.filled_mut());
            let (mut done, mut is_closed) = (None, false);
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let rest = hand_out(record.payload, &mut wish);
                        self.plaintext.append(rest)?;
                    }
                    if matches!(wish, Wish::Read(_, 0)) {
                        done = Some(Done::All);
                    }
                }
                ConnectionState::EncodeTlsData(data) => record::encode(data, &mut self.outgoing)?,
                // It is as good as transmitted: nothing overtakes what is outgoing.
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {
                    self.is_ended = true;
                    is_closed = true;
                }
                ConnectionState::WriteTraffic(mut traffic) => {
                    done = Some(match wish {
                        Wish::Encrypt(bytes) => record::encrypt(&mut traffic, bytes, &mut self.outgoing)?,
                        Wish::Close => record::say_close_notify(&mut traffic, &mut self.outgoing)?,
                        Wish::Read(..) | Wish::Advance => Done::Nothing,
                    });
                }
                ConnectionState::BlockedHandshake | ConnectionState::Closed => done = Some(Done::Nothing),
                // There is no early data at a client, and what a later version adds is not for it either.
                _ => done = Some(Done::Nothing),
            }
            self.input.consume(discard);
            if is_closed {
                // RFC 8446 §6.1: what follows close_notify is ignored.
                self.input = Buffer::default();
            }
            if let Some(done) = done {
                // Behind application data no handshake message is half processed: what is left begins a record.
                self.is_processable =
                    matches!(wish, Wish::Read(_, 0)) && record::begins_record(self.input.filled());
                return Ok(done);
            }
        }
    }

    /// Ends the connection from this side; the alert for the peer is outgoing then.
    fn fail(&mut self, failure: TlsFailure) {
        // Only while rustls has something to send: beyond that it would look at the record once more that has failed.
        while let Some(connection) = self.connection.as_mut().filter(|connection| connection.wants_write()) {
            let UnbufferedStatus { state, .. } = connection.process_tls_records(self.input.filled_mut());
            let Ok(ConnectionState::EncodeTlsData(data)) = state else { break };
            if record::encode(data, &mut self.outgoing).is_err() {
                break;
            }
        }
        self.input = Buffer::default();
        self.is_processable = false;
        self.failure = Some(failure);
    }
}

/// Gives a reader what it has room for; the rest is for later.
fn hand_out<'a>(payload: &'a [u8], wish: &mut Wish<'_>) -> &'a [u8] {
    let Wish::Read(room, at_most) = wish else { return payload };
    let (fitting, rest) = payload.split_at(payload.len().min(*at_most));
    room.append(fitting);
    *at_most -= fitting.len();
    rest
}
