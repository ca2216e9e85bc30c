//! URLs, sockets, TLS, the poller and wake descriptors: everything that talks to the system, none of it knows a frame.
//!
//! Every call here is non-blocking but `sys::poll`. Unsafe code is in `sys` alone.

#[forbid(unsafe_code)]
pub mod fork;
#[forbid(unsafe_code)]
pub mod poller;
#[forbid(unsafe_code)]
pub mod readiness;
pub mod sys;
#[forbid(unsafe_code)]
pub mod tls;
#[forbid(unsafe_code)]
pub mod transport;
#[forbid(unsafe_code)]
pub mod url;
#[forbid(unsafe_code)]
pub mod wake;

pub use readiness::Readiness;
pub use tls::{
    TlsConfig, TlsConfigError, TlsFailure, TlsOptions, check_certificates_pem, check_key_pem, server_name,
};
pub use transport::{Sent, Transport};
pub use wake::Wake;
