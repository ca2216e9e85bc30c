//! The server as a process, seen by a raw client of a few lines, plain and by rustls, and by tungstenite.
//!
//! Every socket has a time limit, so every test has one.

mod client;
mod closing;
mod deflate;
mod handshake;
mod hostile;
mod lawful;
mod process;
mod record;
mod tls;
