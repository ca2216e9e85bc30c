//! The listening sockets, a thread for each connection, and what the connections share.

use crate::certificate::{Authorities, Folder};
use crate::connection;
use crate::host::Hosts;
use crate::record::Registry;
use crate::token::Tokens;
use socket2::Socket;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Buffers are on the heap, so a connection's stack can be small and a benchmark have thousands.
const STACK_BYTES: usize = 256 * 1024;
/// The cryptography wants more.
const TLS_STACK_BYTES: usize = 1024 * 1024;

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
    listeners: Vec<Listener>,
    port: u16,
    shared: Arc<Shared>,
}

struct Listener {
    socket: Socket,
    /// With hosts, it speaks TLS.
    hosts: Option<Arc<Hosts>>,
}

/// What a server has besides its first port. The files go with it.
pub struct Secure {
    folder: Folder,
    port: u16,
    unix: PathBuf,
}

impl Secure {
    /// A line for each: the port of wss, the Unix socket, and the files.
    pub fn lines(&self) -> String {
        let files = self.folder.files().iter();
        let files: String = files.map(|(what, path)| format!("{what} at {}\n", path.display())).collect();
        format!("wss on 127.0.0.1:{}\nunix on {}\n{files}", self.port, self.unix.display())
    }
}

impl Server {
    /// Listens on `port` of 127.0.0.1, and of `::1` if that can be had; 0 takes any free port.
    pub fn bind(port: u16) -> io::Result<Server> {
        let (sockets, port) = listen(port)?;
        let listeners = sockets.map(|socket| Listener { socket, hosts: None }).collect();
        Ok(Server { listeners, port, shared: Arc::default() })
    }

    /// Listens for wss on a port of its own, and on a Unix socket, too.
    pub fn bind_secure(&mut self) -> io::Result<Secure> {
        let authorities = Authorities::new()?;
        let hosts = Arc::new(Hosts::new(&authorities)?);
        let folder = Folder::new(&authorities)?;
        let (sockets, port) = listen(0)?;
        let hosts = |socket| Listener { socket, hosts: Some(hosts.clone()) };
        self.listeners.extend(sockets.map(hosts));
        let unix = folder.path().join("socket");
        let socket = OwnedFd::from(UnixListener::bind(&unix)?).into();
        self.listeners.push(Listener { socket, hosts: None });
        Ok(Secure { folder, port, unix })
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

/// Sockets that listen on loopback, and their port.
fn listen(port: u16) -> io::Result<(impl Iterator<Item = Socket>, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    let mut listeners = vec![listener];
    listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)));
    Ok((listeners.into_iter().map(Socket::from), port))
}

fn accept(listener: &Listener, shared: &Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.socket.accept() else {
            // Out of descriptors, most likely: they come back as connections end.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let (hosts, shared) = (listener.hosts.clone(), shared.clone());
        let stack_bytes = if hosts.is_some() { TLS_STACK_BYTES } else { STACK_BYTES };
        // Without a thread the socket is dropped, and the client sees its end.
        let _ = thread::Builder::new().stack_size(stack_bytes).spawn(move || {
            // Errors are the client's leaving; its record says how.
            let _ = connection::serve(socket, hosts.as_deref(), &shared);
        });
    }
}
