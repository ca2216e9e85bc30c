//! URLs, sockets, the poller and wake descriptors: everything that talks to the system, none of it knows a frame.
//!
//! Every call here is non-blocking but `sys::poll`. Unsafe code is in `sys` alone.

#[forbid(unsafe_code)]
pub mod poller;
pub mod sys;
#[forbid(unsafe_code)]
pub mod transport;
#[forbid(unsafe_code)]
pub mod url;
#[forbid(unsafe_code)]
pub mod wake;

pub use transport::Transport;
pub use wake::Wake;
