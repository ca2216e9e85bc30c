//! From the URL to open: what is asked of the internal thread and of the peer, and what comes of it.

use super::control::Control;
use super::options::Options;
use super::pump::Goal;
use super::read::{Driving, Patience, Slept};
use super::read_side::ReadSide;
use super::read_word::INTERNAL;
use super::serve::Locked;
use super::status::{Cause, Phase, Status};
use super::timeout::{Timeout, after_ms};
use super::{Ending, OPENED, Stream};
use crate::memory::random;
use crate::net::{Transport, url};
use crate::proto::closing::{Input, State};
use crate::proto::handshake::{Progress, Refusal, Request, Response, ResponseReader, encode_request};
use crate::runtime::{ConnectError, Destination, Runtime};
use data_encoding::BASE64;
use std::ffi::CString;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of an accepted handshake.
#[derive(Debug)]
pub(super) struct Opened {
    pub protocol: CString,
    pub extensions: CString,
}

/// Whether the system had no descriptor, memory or thread for it.
fn is_refusal(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
        || matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory)
}

/// A string of the handshake for C. Its checks let no U+0000 through.
fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}

impl Stream {
    /// `wsstream_open`: checks everything that can be checked now, then starts.
    pub fn open(text: &str, options: &Options) -> Result<Arc<Stream>, Status> {
        super::panic::set_hook();
        let target = url::parse(text).map_err(|_| Status::Syntax)?;
        if target.secure {
            return Err(Status::Unsupported);
        }
        let runtime = Runtime::running().map_err(|_| Status::Resource)?;
        let nonce = random::handshake_nonce().map_err(|_| Status::Resource)?;
        // RFC 6455 §4.1: a nonce of 16 bytes in base64.
        let key = BASE64.encode(&nonce);
        let limits = options.limits();
        let request = encode_request(&Request {
            host: &target.authority,
            target: &target.target,
            key: &key,
            protocols: options.protocols(),
            headers: options.headers(),
            authorization: target.authorization.as_deref(),
            extensions: None,
        });
        let opening = ResponseReader::new(&key, options.protocols().to_vec(), limits.max_header_size);
        let deadline = after_ms(limits.open_timeout_ms);
        let stream = Arc::new(Stream::new(
            c_string(target.url),
            limits,
            runtime,
            ReadSide::new(opening, limits.max_message_size),
            Control::new(deadline),
            Mutex::new(request),
        ));
        let (runtime, stream_key) = (&stream.runtime, stream.key);
        stream.control().phase =
            if matches!(target.host, ::url::Host::Domain(_)) { Phase::Resolve } else { Phase::Connect };
        runtime.insert_as(stream_key, Arc::clone(&stream) as _);
        if runtime.is_dead() {
            stream.free();
            return Err(Status::Resource);
        }
        if let Some(at) = deadline {
            runtime.wake_at(stream_key, at);
        }
        runtime.connect(
            stream_key,
            Destination { host: target.host, port: target.port, no_delay: limits.no_delay },
        );
        Ok(stream)
    }

    /// The TCP connection stands, or will not (on the internal thread).
    pub(super) fn handle_connected(
        &self,
        outcome: Result<TcpStream, ConnectError>,
    ) -> Option<Arc<Transport>> {
        let socket = match outcome {
            Ok(socket) => socket,
            Err(ConnectError { resolving, error, detail }) => {
                self.control().phase = if resolving { Phase::Resolve } else { Phase::Connect };
                let cause = match resolving {
                    _ if is_refusal(&error) => Cause::Resource,
                    true => Cause::Name,
                    false => Cause::System,
                };
                let os_error = error.raw_os_error().unwrap_or(0);
                self.fail(Ending { os_error, ..Ending::new(cause, detail) }, None);
                return None;
            }
        };
        let transport = match Transport::new(socket) {
            Ok(transport) => Arc::new(transport),
            Err(error) => {
                self.fail(Ending::system(&error), None);
                return None;
            }
        };
        // Without a socket no other thread takes the read word (see `can_own`).
        let held = self.read.own(INTERNAL).ok()?;
        let mut driving = Driving::new(self, held, false);
        let is_wanted = {
            let mut control = self.control();
            control.phase = Phase::Handshake;
            control.state == State::Connecting
        };
        if !is_wanted {
            driving.leave();
            return None;
        }
        driving.side().transport = Some(Arc::clone(&transport));
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().transport = Some(Arc::clone(&transport));
        let request = std::mem::take(&mut *self.request.lock().unwrap_or_else(PoisonError::into_inner));
        locked.side().append(&request);
        locked.side().send();
        locked.unlock(false);
        self.read.attach();
        driving.leave_as(true, false);
        Some(transport)
    }

    /// Gives what came to the opening handshake (by the owner of the read word); true: something was decided.
    pub(super) fn pump_opening(&self, side: &mut ReadSide) -> bool {
        match side.read_opening() {
            None | Some(Progress::Starved) => false,
            Some(Progress::Accepted(response)) => {
                self.handle_accepted(response);
                true
            }
            Some(Progress::Refused(refusal)) => {
                self.handle_refused(refusal);
                side.finish();
                true
            }
        }
    }

    fn handle_accepted(&self, response: Response) {
        let mut control = self.control();
        control.step(Input::Opened);
        if control.state != State::Open {
            return;
        }
        control.phase = Phase::Open;
        control.deadline = None;
        let opened =
            Opened { protocol: c_string(response.protocol), extensions: c_string(response.extensions) };
        let _ = self.opened.set(opened);
        drop(control);
        self.read.open();
        self.write.open();
        self.waiters.wake(u32::MAX);
    }

    fn handle_refused(&self, refusal: Refusal) {
        let Refusal { status, cause, detail, body, .. } = refusal;
        self.fail(
            Ending {
                http_status: i32::from(status),
                response_body: body,
                ..Ending::new(cause.into(), detail)
            },
            None,
        );
    }

    /// TCP ended before the handshake was accepted (by the owner of the read word).
    pub(super) fn handle_opening_ended(&self, side: &mut ReadSide, error: Option<&std::io::Error>) {
        let refusal = side.opening.as_mut().map(ResponseReader::end);
        let send_failed = self.control().send_failed.take();
        if let Some(ending) = send_failed {
            self.fail(ending, None);
            return;
        }
        match (error, refusal) {
            (None, Some(refusal)) if refusal.status == 0 => {
                self.fail(Ending::new(Cause::Truncated, refusal.detail), None);
            }
            (None, Some(refusal)) => self.handle_refused(refusal),
            (Some(_), Some(refusal)) if refusal.status != 0 => self.handle_refused(refusal),
            (Some(error), _) => self.fail(Ending::system(error), None),
            (None, None) => {}
        }
    }

    /// `wsstream_wait_opened`.
    pub fn wait_opened(&self, timeout: Timeout) -> Status {
        let _inside = self.inside();
        let mut deadline = None;
        let mut is_last_look = timeout.is_zero();
        let mut patience = Patience::default();
        loop {
            if let Some(status) = self.opened_status() {
                return status;
            }
            let slept = match self.try_own() {
                Some(mut driving) => {
                    self.pump(driving.side(), Goal::Open, true);
                    let slept = if self.opened_status().is_some() {
                        Slept::Woken
                    } else if is_last_look {
                        driving.leave();
                        return Status::Again;
                    } else {
                        self.sleep_as_owner(driving.side(), OPENED, &mut deadline, timeout, || false)
                    };
                    driving.leave();
                    slept
                }
                None => self.follow(OPENED, &mut deadline, timeout, is_last_look, &mut patience, || {
                    self.opened_status().is_some()
                }),
            };
            match slept {
                Slept::Woken => {}
                Slept::Over if is_last_look => {
                    return self.opened_status().unwrap_or(Status::Again);
                }
                Slept::Over => is_last_look = true,
                Slept::Resource => return Status::Resource,
            }
        }
    }

    /// The latch `opened`; None: not yet.
    pub(super) fn opened_status(&self) -> Option<Status> {
        if self.is_freed() {
            return Some(Status::State);
        }
        if self.opened.get().is_some() {
            return Some(Status::Ok);
        }
        self.closed.info().map(|info| info.status)
    }
}
