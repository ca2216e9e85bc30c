//! The C interface: one file per noun of `include/wsstream.h`, which is made from these functions' documentation.
//!
//! Knows no sockets and no frames and has no behaviour: each function converts, asks `stream`, converts back. Only
//! `handle` has unsafe blocks, and nothing reaches a stream but through its `Call`, which makes the checks in order.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]
#![allow(clippy::missing_safety_doc, reason = "the six lines of each function say what its caller promises")]

#[macro_use]
mod handle;

pub mod aborter;
pub mod about;
pub mod close_info;
pub mod constant;
pub mod options;
pub mod read;
pub mod runtime;
pub mod status;
pub mod stream;
pub mod version;
pub mod wait;
pub mod write;

#[cfg(test)]
mod tests;
