//! The listening sockets, a thread for each connection, and what the connections share.

use crate::connection;
use crate::record::Registry;
use crate::token::Tokens;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Buffers are on the heap, so a connection's stack can be small and a benchmark have thousands.
const STACK_BYTES: usize = 256 * 1024;

/// What connections share.
#[derive(Default)]
pub struct Shared {
    /// The records of connections with an id.
    pub registry: Registry,
    /// The released tokens.
    pub tokens: Tokens,
}

/// A server that listens, on loopback only.
pub struct Server {
    listeners: Vec<TcpListener>,
    port: u16,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens on `port` of 127.0.0.1, and of `::1` if that can be had; 0 takes any free port.
    pub fn bind(port: u16) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        let mut listeners = vec![listener];
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)));
        Ok(Server { listeners, port, shared: Arc::default() })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves in threads of its own until the process ends.
    pub fn start(self) {
        for listener in self.listeners {
            let shared = self.shared.clone();
            thread::spawn(move || accept(&listener, &shared));
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, most likely: they come back as connections end.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let shared = shared.clone();
        // Without a thread the socket is dropped, and the client sees its end.
        let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            // Errors are the client's leaving; its record says how.
            let _ = connection::serve(stream, &shared);
        });
    }
}
