//! wsstream: the web's `WebSocketStream` for C and every language that can call C.
//!
//! The interface is the C header `include/wsstream.h`, generated from [`ffi`]; ARCHITECTURE.md has the map of the
//! layers below it. As a Rust crate this is for the project's own tests only.

#[cfg(feature = "dump")]
pub mod dump;
pub mod fault;
pub mod ffi;
pub mod memory;
pub mod net;
#[forbid(unsafe_code)]
pub mod proto;
#[forbid(unsafe_code)]
pub mod runtime;
#[forbid(unsafe_code)]
pub mod stream;
pub mod sync;
