//! The close info: how a stream ended, written once.

use super::status::{Cause, Initiator, Phase, Status};
use crate::net::TlsFailure;
use crate::proto::handshake::Refusal;

/// How a stream ended.
#[derive(Clone, Debug)]
pub struct CloseInfo {
    /// What `wait_closed` answers.
    pub status: Status,
    /// From the peer's Close; 1005 where it had none, 1006 where no Close was received.
    pub code: u16,
    /// Both Close frames passed and no write was unfinished.
    pub clean: bool,
    /// Who began the end.
    pub initiator: Initiator,
    /// Where it ended.
    pub phase: Phase,
    /// Why, for decisions.
    pub cause: Cause,
    /// errno of the system call that failed, else 0.
    pub os_error: i32,
    /// The HTTP status of a refused upgrade, else 0.
    pub http_status: i32,
    /// In the Close we sent; 0 where none was sent, 1005 where it was empty.
    pub sent_code: u16,
    /// From the peer's Close.
    pub reason: String,
    /// One English sentence for a log.
    pub detail: String,
    /// What had come of a refused upgrade's body.
    pub response_body: Vec<u8>,
}

/// Why `closed` settles, before it is joined with what is known of both Close frames.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub status: Status,
    pub cause: Cause,
    pub phase: Option<Phase>,
    pub os_error: i32,
    pub http_status: i32,
    pub detail: String,
    pub response_body: Vec<u8>,
}

impl Ending {
    /// An unclean end.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Connection,
            cause,
            phase: None,
            os_error: 0,
            http_status: 0,
            detail: detail.into(),
            response_body: Vec::new(),
        }
    }

    /// The connection broke: a system call has failed, or TLS has.
    pub fn broken(error: &std::io::Error) -> Self {
        if let Some(failure) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsFailure>()) {
            let cause = if failure.certificate { Cause::Certificate } else { Cause::Tls };
            return Self::new(cause, failure.detail.clone());
        }
        Self {
            os_error: error.raw_os_error().unwrap_or(0),
            ..Self::new(Cause::System, format!("The connection broke: {error}."))
        }
    }

    /// The server answered the opening handshake otherwise than it must.
    pub fn refused(refusal: Refusal) -> Self {
        let Refusal { status, cause, detail, body, .. } = refusal;
        Self { http_status: i32::from(status), response_body: body, ..Self::new(cause.into(), detail) }
    }

    /// A bug in the library.
    pub fn internal() -> Self {
        Self { status: Status::Internal, ..Self::new(Cause::Internal, super::panic::last_detail()) }
    }

    /// The system refused memory or a descriptor.
    pub fn resource(detail: &str) -> Self {
        Self::new(Cause::Resource, detail)
    }
}
