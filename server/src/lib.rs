//! The server that the tests, examples and benchmarks of wsstream talk to.
//!
//! What it does on a connection is chosen by the URL, and its TLS by the name the client sends; `grammar` and `host` are
//! the tables of all that. It is loopback only, one thread per connection, and no part of the library.

pub mod audit;
pub mod behaviour;
pub mod certificate;
pub mod connection;
pub mod deflate;
pub mod frame;
pub mod grammar;
pub mod handshake;
pub mod host;
pub mod query;
pub mod record;
pub mod request;
pub mod server;
pub mod session;
pub mod tls;
pub mod token;
pub mod transport;
pub mod wire;

pub use server::{Secure, Server};
