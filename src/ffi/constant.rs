//! The sentinels and the small enumerations of the header, which C gets as macros and enumerators.
//!
//! Those of the close info, the statuses and the options come straight from the lists of `stream`. What the numbers
//! mean to a C program is said here; what they do, and their values where `stream` has a use for them, is known below.

use crate::stream::{self, Kind};

/// The version of this interface: same upper 16 bits and not smaller than the program's is compatible.
pub const WSSTREAM_ABI_VERSION: u32 = 0x0000_0100;

/// As the size of a string: it is NUL-terminated.
pub const WSSTREAM_NUL: usize = usize::MAX;
/// As a timeout: wait for ever.
pub const WSSTREAM_FOREVER: i64 = -1;
/// As a close code: none, which sends an empty Close frame.
pub const WSSTREAM_NO_CODE: i32 = -1;

/// One enumerator: name without the prefix, value, what it means.
pub type Enumerator = (&'static str, u32, &'static str);

macro_rules! enumeration {
    ($(#[doc = $doc:literal])+ $list:ident { $(#[doc = $text:literal] $name:ident = $value:expr,)+ }) => {
        $(#[doc = $doc])+
        pub const $list: &[Enumerator] = &[$((stringify!($name), $value, $text),)+];
        $(#[doc = $text] pub const $name: u32 = $value;)+
    };
}

enumeration! {
    /// The type of a message.
    TYPE {
        /// UTF-8 text.
        TEXT = Kind::Text as u32,
        /// Bytes.
        BINARY = Kind::Binary as u32,
    }
}

enumeration! {
    /// Flags of a part of a message.
    FLAG {
        /// The last part of its message.
        FIN = stream::FLAG_FIN,
        /// More will be written soon: bytes may be held back for up to 5 ms.
        MORE = stream::FLAG_MORE,
        /// Do not compress this message. In its first part, later it is ignored; with WSSTREAM_FIN for a whole one.
        NO_COMPRESS = stream::FLAG_NO_COMPRESS,
    }
}

enumeration! {
    /// Events, to be combined with `|`. One holds when its call with timeout 0 would not return AGAIN.
    EVENT {
        /// wsstream_wait_opened has its answer.
        OPENED = stream::OPENED,
        /// wsstream_read has a whole message, the end or an error.
        READABLE = stream::READABLE,
        /// A write would have room, or meets the end of the half.
        WRITABLE = stream::WRITABLE,
        /// wsstream_wait_closed has its answer.
        CLOSED = stream::CLOSED,
        /// Bytes of a message are here, the end or an error: for wsstream_read_some.
        READABLE_SOME = stream::READABLE_SOME,
    }
}

enumeration! {
    /// What a message callback answers.
    NEXT {
        /// Go on with the next message.
        CONTINUE = 0,
        /// This message counts as delivered; the next one waits for wsstream_resume.
        PAUSE = 1,
    }
}

enumeration! {
    /// How much is logged: a level includes those above it.
    LOG {
        /// Nothing.
        LOG_OFF = 0,
        /// A stream failed or ended uncleanly, other than by this side's will.
        LOG_ERROR = 1,
        /// Something was wrong that the library could go on from.
        LOG_WARN = 2,
        /// Streams that open and close.
        LOG_INFO = 3,
        /// Each step of opening and closing.
        LOG_DEBUG = 4,
        /// Each message and control frame.
        LOG_TRACE = 5,
    }
}

/// Every bit that is a flag.
pub(super) const FLAGS: u32 = FIN | MORE | NO_COMPRESS;
/// Every bit that is an event.
pub(super) const EVENTS: u32 = OPENED | READABLE | WRITABLE | CLOSED | READABLE_SOME;
