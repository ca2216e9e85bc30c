//! The two directions of permessage-deflate (RFC 7692 §7.2): payloads of messages in, payloads of messages out.
//!
//! Knows windows and the end of a message. Refuses to know frames, thresholds and limits: who calls says how much may come
//! out, and nothing beyond that is held. Memory is asked for when the first message needs it.

mod deflater;
mod inflater;

pub use deflater::Deflater;
pub use inflater::{Corrupt, Inflated, Inflater, Next};
