//! The answers of every call and the words of the close info, each with its number and text: the one list that the
//! C interface, the header and the bindings are made from.

use crate::proto::failure;

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident: $repr:ty { $($(#[doc = $text:literal])+ $variant:ident = $value:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr($repr)]
        pub enum $name { $($(#[doc = $text])+ $variant = $value,)+ }

        impl $name {
            /// Every one, in the order of the list.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Its sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $($name::$variant => concat!($($text),+).trim_ascii(),)+ }
            }
        }
    };
}

numbered! {
    /// What a call answers: 0 is OK, positive an expected outcome, negative an error.
    Status: i32 {
        /// The call did what it was asked to do.
        Ok = 0,
        /// The readable side has ended; there is no further message.
        Done = 1,
        /// Not yet: a read or write has taken nothing, what a wait waits for goes on.
        Again = 2,
        /// The write was taken whole and is still on its way; never send it again.
        Queued = 3,
        /// An argument is NULL, unknown, out of range or not UTF-8.
        Argument = -1,
        /// The URL, the sub-protocol list or the close reason is not legal.
        Syntax = -2,
        /// The close code is one that may not be sent.
        Access = -3,
        /// This half of the stream has ended, or the call does not fit its state now.
        State = -4,
        /// The opening was aborted.
        Aborted = -5,
        /// The connection failed or ended uncleanly.
        Connection = -6,
        /// Another call is in the same half of the stream.
        Busy = -7,
        /// The stream is from before a fork.
        Forked = -8,
        /// A call with a timeout other than 0 was made inside a callback.
        Deadlock = -9,
        /// Not in this build, or an unknown option number.
        Unsupported = -10,
        /// The system refused a thread, a descriptor or memory; nothing has changed.
        Resource = -11,
        /// A bug in the library has ended this stream.
        Internal = -99,
    }
}

numbered! {
    /// Who began the end of a connection.
    Initiator: u8 {
        /// Nobody: it was never open.
        None = 0,
        /// This side sent its Close first.
        Local = 1,
        /// The peer sent its Close first.
        Remote = 2,
        /// The transport ended without a Close.
        Transport = 3,
    }
}

numbered! {
    /// Where a stream was when it ended.
    Phase: u32 {
        /// Before anything was started.
        Start = 0,
        /// Resolving the host's name.
        Resolve = 1,
        /// Making the TCP connection.
        Connect = 2,
        /// Asking a proxy for the way.
        Proxy = 3,
        /// Making TLS.
        Tls = 4,
        /// Exchanging the opening handshake.
        Handshake = 5,
        /// Open.
        Open = 6,
        /// In the closing handshake.
        Closing = 7,
    }
}

numbered! {
    /// Why a stream ended, for decisions.
    Cause: u32 {
        /// It ended cleanly.
        None = 0,
        /// It was given up from this side.
        Aborted = 1,
        /// A time limit ran out.
        Timeout = 2,
        /// The host's name has no address.
        Name = 3,
        /// A system call failed; os_error says how.
        System = 4,
        /// The proxy refused.
        Proxy = 5,
        /// The peer's certificate is not good.
        Certificate = 6,
        /// TLS failed otherwise.
        Tls = 7,
        /// The answer to the opening handshake was not an acceptance.
        Http = 8,
        /// The peer broke the protocol.
        Protocol = 9,
        /// The peer sent text that is not UTF-8.
        Utf8 = 10,
        /// A message or a header was over its limit.
        TooBig = 11,
        /// TCP ended without a Close.
        Truncated = 12,
        /// The peer's Close came while a write was unfinished.
        Unsent = 13,
        /// The system refused memory, a thread or a descriptor.
        Resource = 14,
        /// A bug in the library.
        Internal = 15,
    }
}

impl From<failure::Cause> for Cause {
    fn from(cause: failure::Cause) -> Self {
        match cause {
            failure::Cause::Http => Self::Http,
            failure::Cause::Protocol => Self::Protocol,
            failure::Cause::Utf8 => Self::Utf8,
            failure::Cause::TooBig => Self::TooBig,
        }
    }
}
