//! RFC 6455 and RFC 7692 as pure state machines: bytes come in, events and bytes go out.
//!
//! Owns the words of the protocol: opcodes, close codes, frames, the two handshakes. Refuses to know sockets,
//! clocks, threads, randomness and everything above it; masks and the passing of time come in as arguments.
//! Reading (`decoder`), writing (`outgoing`, `encoder`) and closing (`closing`) are separate objects, so that
//! two threads may hold them at once. Nothing here allocates by what a peer merely announces.

pub mod close;
pub mod closing;
pub mod decoder;
pub mod deflate;
pub mod encoder;
pub mod failure;
pub mod handshake;
pub mod opcode;
pub mod outgoing;
pub mod utf8;

#[cfg(test)]
mod tests;
