//! From the URL to open: what is asked of the internal thread and of the peer, and what comes of it.

use super::compression::Compression;
use super::control::Control;
use super::fields::Fields;
use super::log::Log;
use super::options::Options;
use super::pump::Goal;
use super::read::{Driving, Patience, Slept};
use super::read_side::ReadSide;
use super::read_word::{CALLER, INTERNAL};
use super::serve::Locked;
use super::status::{Cause, Phase, Status};
use super::timeout::{Timeout, after_ms};
use super::{Ending, OPENED, Stream, log};
use crate::memory::random;
use crate::net::{TlsConfig, TlsConfigError, Transport, sys, url};
use crate::proto::closing::{Input, State};
use crate::proto::failure;
use crate::proto::handshake::{
    Agreement, Progress, Refusal, Request, Response, ResponseReader, encode_request,
};
use crate::runtime::{self, ConnectError, Destination, Place, Runtime};
use ::url::Host;
use data_encoding::BASE64;
use rustls::pki_types::ServerName;
use std::ffi::CString;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};

/// What is known of an accepted handshake.
#[derive(Debug)]
pub(super) struct Opened {
    /// None where there is none.
    pub protocol: Option<CString>,
    /// The same.
    pub extensions: Option<CString>,
}

/// Whether the system had no descriptor, memory or thread for it.
fn is_refusal(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
        || matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory)
}

/// What is told of a connection that there is none of.
fn unconnected(ConnectError { resolving, error, detail }: ConnectError) -> Ending {
    let cause = match resolving {
        _ if is_refusal(&error) => Cause::Resource,
        true => Cause::Name,
        false => Cause::System,
    };
    Ending { os_error: error.raw_os_error().unwrap_or(0), ..Ending::new(cause, detail) }
}

/// A string of the handshake for C. Its checks let no U+0000 through.
fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}

/// How TLS is made, where the URL asks for it.
pub(super) struct Security {
    config: TlsConfig,
    server_name: ServerName<'static>,
}

/// How TLS is made for a target, if it is; or why nobody can be trusted there, which is for the latches to tell.
fn security(target: &url::Target, options: &Options) -> Result<(Option<Security>, Option<String>), Status> {
    if !target.secure {
        return Ok((None, None));
    }
    let Some(server_name) = options.server_name(&target.host) else {
        return Ok((None, Some(format!("{} is a name that no certificate can have.", target.host))));
    };
    match options.tls() {
        Ok(config) => Ok((Some(Security { config, server_name }), None)),
        Err(TlsConfigError::Unusable) => Err(Status::Argument),
        Err(TlsConfigError::NoTrustStore(detail)) => Ok((None, Some(detail))),
    }
}

/// A stream that its program does not have yet: a panic frees it, as nobody else would.
struct Unborn(Arc<Stream>);

impl Drop for Unborn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.free();
        }
    }
}

impl Stream {
    /// `wsstream_open`: checks everything that can be checked now, then starts.
    pub fn open(text: &str, options: &Options) -> Result<Arc<Stream>, Status> {
        super::panic::set_hook();
        if options.contradicts_itself() {
            return Err(Status::Argument);
        }
        sys::begin_generation().map_err(|_| Status::Resource)?;
        let target = url::parse(text, options.base_url().as_ref()).map_err(|_| Status::Syntax)?;
        let (security, refused) = security(&target, options)?;
        let nonce = random::handshake_nonce().map_err(|_| Status::Resource)?;
        // RFC 6455 §4.1: a nonce of 16 bytes in base64.
        let key = BASE64.encode(&nonce);
        let limits = options.limits();
        let offer = options.deflate_offer();
        let request = encode_request(&Request {
            host: &target.authority,
            target: &target.target,
            key: &key,
            protocols: options.protocols(),
            headers: options.headers(),
            authorization: target.authorization.as_deref(),
            extensions: offer.map(|offer| offer.header()).as_deref(),
        });
        let opening = ResponseReader::new(&key, options.protocols().to_vec(), offer, limits.max_header_size);
        // From here on the runtime counts this stream.
        let runtime = Runtime::running().map_err(|_| Status::Resource)?;
        let mut stream = Stream::new(
            c_string(target.url),
            limits,
            runtime,
            ReadSide::new(opening, limits.max_message_size),
            Control::new(after_ms(limits.open_timeout_ms)),
            request,
        );
        stream.log = options.log().map(Log::new).map(Box::new);
        stream.security = security.map(Box::new);
        stream.is_traced = stream.has_trace();
        let stream = Arc::new(stream);
        #[cfg(feature = "dump")]
        super::dump::list(&stream);
        let _unborn = Unborn(Arc::clone(&stream));
        stream.runtime.insert_as(stream.key, Arc::clone(&stream) as _);
        if stream.runtime.is_dead() {
            stream.free();
            return Err(Status::Resource);
        }
        // A01: the object is made and nothing else.
        if options.aborter().is_some_and(|aborter| !aborter.watch(Arc::downgrade(&stream))) {
            stream.abort_opening();
            return Ok(stream);
        }
        if let Some(detail) = refused {
            let ending = Ending { phase: Some(Phase::Tls), ..Ending::new(Cause::Certificate, detail) };
            stream.fail(ending, None);
            return Ok(stream);
        }
        // Neither user, password nor query: a log is no place for what they may hold.
        let path = target.target.split('?').next().unwrap_or_default();
        let scheme = if target.secure { "wss" } else { "ws" };
        let name = format!("{scheme}://{}{path}", target.authority);
        stream.start(target.host, target.port, options.unix_socket(), &name);
        Ok(stream)
    }

    /// Starts resolving and connecting.
    fn start(&self, host: Host<String>, port: u16, unix_socket: Option<&str>, name: &str) {
        let address = url::address(&host, port);
        let is_named = unix_socket.is_none() && address.is_none();
        let deadline = {
            let mut control = self.control();
            if control.state != State::Connecting {
                return;
            }
            control.phase = if is_named { Phase::Resolve } else { Phase::Connect };
            control.deadline
        };
        self.log(log::INFO, || format!("opening {name}"));
        if let Some(at) = deadline {
            self.runtime.wake_at(self.key, at);
        }
        let no_delay = self.limits.no_delay;
        let connect = |place| self.runtime.connect(self.key, Destination { place, no_delay });
        match (unix_socket, address) {
            (None, Some(address)) => match runtime::begin(address, no_delay) {
                Ok(socket) => self.attach(socket, CALLER),
                Err(error) => self.handle_unconnected(error),
            },
            (Some(path), _) => connect(Place::Unix(path.into())),
            (None, None) => connect(Place::Name { name: host.to_string(), port }),
        }
        if self.closed.info().is_some() {
            // An aborter came in between.
            self.runtime.give_up(self.key);
        }
    }

    /// The name's addresses are known (on the internal thread).
    pub(super) fn handle_resolved(&self) {
        let mut control = self.control();
        if control.phase == Phase::Resolve {
            control.phase = Phase::Connect;
            self.log(log::DEBUG, || "its name is resolved".to_owned());
        }
    }

    /// The connection stands, or will not (on the internal thread).
    pub(super) fn handle_connected(&self, outcome: Result<OwnedFd, ConnectError>) {
        match outcome {
            Ok(socket) => self.attach(socket, INTERNAL),
            Err(error) => self.handle_unconnected(error),
        }
    }

    fn handle_unconnected(&self, error: ConnectError) {
        self.control().phase = if error.resolving { Phase::Resolve } else { Phase::Connect };
        self.fail(unconnected(error), None);
    }

    /// Makes a socket the stream's own and sends what can be sent. One that `who` has begun to connect may not be connected
    /// yet: then it takes nothing, and says what comes of it like one that breaks.
    fn attach(&self, socket: OwnedFd, who: u64) {
        let transport = match self.security.as_deref() {
            Some(Security { config, server_name }) => Transport::secure(socket, config, server_name.clone()),
            None => Transport::new(socket),
        };
        let transport = match transport {
            Ok(transport) => Arc::new(transport),
            Err(error) => {
                self.fail(Ending::broken(&error), None);
                return;
            }
        };
        // Without a socket no other thread drives (see `can_own`); whoever has the read word sees to the end.
        let Ok(held) = self.read.own(who) else { return };
        let mut driving = Driving::new(self, held, false);
        let is_wanted = {
            let mut control = self.control();
            let is_wanted = control.state == State::Connecting;
            control.phase = Phase::Connect;
            if who == INTERNAL {
                self.note_connected(&mut control, transport.is_secure());
            }
            if is_wanted {
                self.attach_socket(&mut control, transport.descriptor());
            }
            is_wanted
        };
        if !is_wanted {
            driving.leave();
            return;
        }
        let _ = self.transport.set(Arc::downgrade(&transport));
        let side = driving.side();
        side.is_secure = transport.is_secure();
        side.is_traced = self.is_traced;
        side.awaits_security = true;
        side.transport = Some(Arc::clone(&transport));
        // Before anything is sent: what the socket does not take is watched for only where there is one.
        self.read.attach();
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().is_connecting = who == CALLER;
        locked.side().transport = Some(transport);
        if side.is_secure {
            // The first bytes of TLS.
            self.serve(locked.side());
        }
        locked.unlock(false);
        self.see_to_security(side);
        if who == INTERNAL {
            driving.leave_as(true, false);
        } else {
            if self.control().send_failed.is_some() {
                // It was refused already, as this machine does.
                self.pump(driving.side(), Goal::Open, true);
            }
            driving.leave();
        }
    }

    /// The socket has taken what it was given, so it is connected (by the holder of the write word).
    pub(super) fn note_connected(&self, control: &mut Control, is_secure: bool) {
        if control.phase == Phase::Connect {
            control.phase = if is_secure { Phase::Tls } else { Phase::Handshake };
            self.log(log::DEBUG, || "connected".to_owned());
        }
    }

    /// TLS may have come further: sends what it has to say, and the request once it is done (by the owner of the read
    /// word).
    pub(super) fn see_to_security(&self, side: &mut ReadSide) {
        let Some(transport) = &side.transport else { return };
        if transport.has_output() {
            self.serve_posted();
        }
        if !side.awaits_security || !transport.is_secured() {
            return;
        }
        side.awaits_security = false;
        {
            let mut control = self.control();
            if control.state != State::Connecting {
                return;
            }
            if side.is_secure {
                control.phase = Phase::Handshake;
                self.log(log::DEBUG, || "TLS is done".to_owned());
            }
        }
        let request = std::mem::take(&mut *self.request.lock().unwrap_or_else(PoisonError::into_inner));
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().append(&request);
        self.serve(locked.side());
        locked.unlock(false);
    }

    /// Gives what came to the opening handshake (by the owner of the read word); true: something was decided.
    pub(super) fn pump_opening(&self, side: &mut ReadSide) -> bool {
        match side.read_opening() {
            None | Some(Progress::Starved) => {
                if side.opening.as_ref().is_some_and(|opening| opening.is_refused()) {
                    self.note_refused(side);
                }
                false
            }
            Some(Progress::Accepted(response)) => {
                if let Some(agreement) = &response.deflate {
                    self.agree(side, agreement);
                }
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

    /// The upgrade is refused, as the status line says (decision 15): should the header never end, that is what is told.
    fn note_refused(&self, side: &ReadSide) {
        let mut control = self.control();
        if control.refused.is_none() {
            let refused = |opening: &ResponseReader| Box::new(Ending::refused(opening.refusal()));
            control.refused = side.opening.as_deref().map(refused);
        }
    }

    /// Both directions may compress from their first message on (by the owner of the read word).
    fn agree(&self, side: &mut ReadSide, agreement: &Agreement) {
        side.decoder.agree(agreement);
        let mut locked = Locked::new(self, self.lock_write(), false);
        locked.side().compression = Compression::agreed(agreement, &self.limits).map(Box::new);
        locked.unlock(false);
    }

    fn handle_accepted(&self, response: Response) {
        let mut control = self.control();
        control.step(Input::Opened);
        if control.state != State::Open {
            return;
        }
        control.phase = Phase::Open;
        control.deadline = None;
        self.keep_response(response.headers);
        self.start_pinging(&mut control);
        // Before the latch: who finds it set writes at once.
        self.read.open();
        self.write.open();
        let kept = |text: String| (!text.is_empty()).then(|| c_string(text));
        let opened = Opened { protocol: kept(response.protocol), extensions: kept(response.extensions) };
        let _ = self.opened.set(opened);
        drop(control);
        self.log(log::INFO, || "open".to_owned());
        self.notify(u32::MAX);
    }

    /// Keeps the fields for `response_header`.
    fn keep_response(&self, headers: Vec<(String, Vec<u8>)>) {
        let _ = self.response.set(Fields::new(&headers));
    }

    fn handle_refused(&self, mut refusal: Refusal) {
        self.keep_response(std::mem::take(&mut refusal.headers));
        self.fail(Ending::refused(refusal), None);
    }

    /// TCP ended before the handshake was accepted (by the owner of the read word).
    pub(super) fn handle_opening_ended(&self, side: &mut ReadSide, error: Option<&std::io::Error>) {
        let refusal = side.opening.as_deref_mut().map(ResponseReader::end);
        if error.is_none_or(|error| error.raw_os_error().is_none()) {
            // The system tells a reason once, and may have told it to who has the write word.
            Locked::new(self, self.lock_write(), false).unlock(false);
        }
        let (has_sent, is_connected, broken) = {
            let mut control = self.control();
            let has_sent = control.send_failed.is_none();
            let broken = control.take_broken(error);
            // Only a connection that was established is reset, or ended.
            if broken
                .as_ref()
                .is_none_or(|broken| matches!(broken.os_error, 0 | libc::ECONNRESET | libc::EPIPE))
            {
                self.note_connected(&mut control, side.is_secure);
            }
            (has_sent, control.phase != Phase::Connect, broken)
        };
        let broken = match broken {
            Some(broken) if !is_connected => {
                self.fail(self.refused(broken.os_error), None);
                return;
            }
            Some(ending) if !has_sent => {
                self.fail(ending, None);
                return;
            }
            broken => broken,
        };
        let Some(refusal) = refusal else { return };
        if refusal.cause == failure::Cause::Http {
            // Its status line was enough (decision 15).
            self.handle_refused(refusal);
            return;
        }
        self.keep_response(refusal.headers);
        self.fail(broken.unwrap_or_else(|| Ending::new(Cause::Truncated, refusal.detail)), None);
    }

    /// Why the address that the URL names has not let itself be connected to.
    fn refused(&self, os_error: i32) -> Ending {
        let error = Error::from_raw_os_error(os_error);
        let target = self.url.to_str().ok().and_then(|text| url::parse(text, None).ok());
        match target.and_then(|target| url::address(&target.host, target.port)) {
            Some(address) => unconnected(ConnectError::of_address(address, error)),
            None => Ending::broken(&error),
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
                        self.quieten_descriptor();
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
                    return self.opened_status().unwrap_or_else(|| {
                        self.quieten_descriptor();
                        Status::Again
                    });
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
        self.settled().map(|info| info.status)
    }
}
