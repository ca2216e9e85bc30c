//! Why the connection is failed: the code that goes into our Close frame, a cause to decide by, a sentence for
//! a log. Knows nothing of what the caller makes of it (RFC 6455 §7.1.7).

/// What kind of mistake the peer made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The answer to the opening handshake was HTTP, but no acceptance.
    Http,
    /// Bytes that break RFC 6455, or that are no HTTP where HTTP was due.
    Protocol,
    /// A text message or a close reason that is not UTF-8.
    Utf8,
    /// Beyond a limit of ours.
    TooBig,
}

/// A failure of the connection after it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code for our Close frame: 1002, 1007 or 1009.
    pub close_code: u16,
    /// What kind of mistake it was.
    pub cause: Cause,
    /// One English sentence.
    pub detail: &'static str,
}

impl Failure {
    // RFC 6455 §7.4.1: 1002 is a protocol error.
    pub(super) const fn protocol(detail: &'static str) -> Self {
        Self { close_code: 1002, cause: Cause::Protocol, detail }
    }

    // RFC 7692 §7.2.2 wants the connection failed; RFC 6455 §7.4.1: 1007 is data that does not fit the message's type.
    pub(super) const fn data(detail: &'static str) -> Self {
        Self { close_code: 1007, cause: Cause::Protocol, detail }
    }

    // RFC 6455 §8.1: text that is not UTF-8 fails the connection; §7.4.1 gives 1007 for it.
    pub(super) const fn utf8(detail: &'static str) -> Self {
        Self { close_code: 1007, cause: Cause::Utf8, detail }
    }

    // RFC 6455 §7.4.1: 1009 is a message too big to process.
    pub(super) const fn too_big(detail: &'static str) -> Self {
        Self { close_code: 1009, cause: Cause::TooBig, detail }
    }
}
