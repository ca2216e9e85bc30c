//! Making a stream's connection: to an address at once, by the thread that asks for it; to a name's addresses, or a path, on
//! tokio. What comes out is a plain socket, non-blocking and close-on-exec, that tokio has nothing to do with any more.
//! Dropped, it gives up at once and closes whatever it had begun.

use super::race::{Failed, most_telling, race};
use super::resolve::Names;
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt::Write;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use url::Host;

/// How many addresses the detail of a failure names: a line of a log, whatever a name server has answered.
const ADDRESSES_TOLD: usize = 6;
/// A Unix socket's listener whose queue is full refuses without a sign of when it is not: it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Where a stream connects to.
#[derive(Clone, Debug)]
pub enum Place {
    /// A TCP port.
    Host {
        /// The host's name or address.
        host: Host<String>,
        /// Its port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A place, and how the socket to it is set up.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where.
    pub place: Place,
    /// TCP_NODELAY, for TCP.
    pub no_delay: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// The name has no address; else there is no connection to what it stands for.
    pub resolving: bool,
    /// What the system said.
    pub error: Error,
    /// One sentence for a log.
    pub detail: String,
}

impl Destination {
    /// The one address that it is, if it is one: nothing then has to be waited for before a socket is there.
    fn address(&self) -> Option<SocketAddr> {
        match &self.place {
            Place::Host { host: Host::Ipv4(address), port } => Some(SocketAddr::from((*address, *port))),
            Place::Host { host: Host::Ipv6(address), port } => Some(SocketAddr::from((*address, *port))),
            _ => None,
        }
    }

    /// Begins to connect, without waiting, where this is an address: the socket is connected, or will be, or will say why it
    /// is not.
    #[must_use]
    pub fn begin(&self) -> Option<Result<OwnedFd, ConnectError>> {
        let address = self.address()?;
        Some(begin(address, self.no_delay).map_err(|error| ConnectError::of_address(address, error)))
    }
}

impl ConnectError {
    /// There is no connection to an address.
    #[must_use]
    pub fn of_address(address: SocketAddr, error: Error) -> Self {
        Self { resolving: false, detail: format!("TCP connection to {address} failed: {error}."), error }
    }
}

fn begin(address: SocketAddr, no_delay: bool) -> std::io::Result<OwnedFd> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // Before it is connected, when the system has little to do for it.
    socket.set_tcp_nodelay(no_delay)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    // To a port of this machine that nobody listens on, the system may connect a socket with itself.
    if socket.local_addr()?.as_socket() == Some(address) {
        return Err(Error::from_raw_os_error(libc::ECONNREFUSED));
    }
    Ok(socket.into())
}

/// Connects; `resolved` is called when a name's addresses are known.
pub(super) async fn connect(
    names: &Names,
    destination: Destination,
    resolved: impl FnOnce(),
) -> Result<OwnedFd, ConnectError> {
    let Destination { place, no_delay } = destination;
    let (host, port) = match place {
        Place::Host { host, port } => (host, port),
        Place::Unix(path) => return connect_unix(&path).await,
    };
    let addresses = match &host {
        Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
        Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
        Host::Domain(name) => {
            let addresses = names.resolve(name, port).await.map_err(|error| unresolved(name, error))?;
            resolved();
            addresses
        }
    };
    race(addresses, no_delay).await.map_err(|failed| unconnected(&host, failed))
}

/// A bug has ended the attempt.
pub(super) fn broken_off() -> ConnectError {
    let detail = "The connection attempt broke off.".to_owned();
    ConnectError { resolving: false, detail, error: ErrorKind::Other.into() }
}

fn unresolved(name: &str, error: Error) -> ConnectError {
    ConnectError {
        resolving: true,
        detail: format!("The name {name} could not be resolved: {error}."),
        error,
    }
}

/// The error is the most telling one; the detail names the addresses in the order in which they failed.
fn unconnected(host: &Host<String>, mut failed: Vec<Failed>) -> ConnectError {
    let Some(told) = most_telling(&failed) else {
        return unresolved(&host.to_string(), Error::new(ErrorKind::NotFound, "it has no address"));
    };
    let detail = match host {
        Host::Domain(name) => {
            let mut detail = format!("No TCP connection to {name}: ");
            for (place, (address, error)) in failed.iter().take(ADDRESSES_TOLD).enumerate() {
                let joint = if place == 0 { "" } else { "; " };
                // A String takes everything.
                let _ = write!(detail, "{joint}{address}: {error}");
            }
            match failed.len().saturating_sub(ADDRESSES_TOLD) {
                0 => detail + ".",
                more => format!("{detail}; and {more} more."),
            }
        }
        _ => {
            let (address, error) = failed.swap_remove(told);
            return ConnectError::of_address(address, error);
        }
    };
    ConnectError { resolving: false, error: failed.swap_remove(told).1, detail }
}

async fn connect_unix(path: &Path) -> Result<OwnedFd, ConnectError> {
    loop {
        let error = match UnixStream::connect(path).await.and_then(UnixStream::into_std) {
            Ok(socket) => return Ok(socket.into()),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::WouldBlock {
            tokio::time::sleep(ASK_AGAIN).await;
            continue;
        }
        let detail = format!("Connection to the Unix socket {} failed: {error}.", path.display());
        let error = match error.raw_os_error() {
            Some(_) => error,
            // Too long for an address, or with a NUL inside: no system call was made for it.
            None => Error::from_raw_os_error(libc::EINVAL),
        };
        return Err(ConnectError { resolving: false, error, detail });
    }
}
