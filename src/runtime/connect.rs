//! Making a stream's connection: to an address at once, by the thread that asks for it; to a name's addresses, or a path, on
//! tokio. What comes out is a plain socket, non-blocking and close-on-exec, that tokio has nothing to do with any more.
//! Dropped, it gives up at once and closes whatever it had begun.

use super::race::{self, Failed, most_telling, race};
use super::resolve::Names;
use std::fmt::Write;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// How many addresses the detail of a failure names: a line of a log, whatever a name server has answered.
const ADDRESSES_TOLD: usize = 6;
/// A Unix socket's listener whose queue is full refuses without a sign of when it is not: it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Where a stream connects to, if it is no address: that is what `begin` is for.
#[derive(Clone, Debug)]
pub enum Place {
    /// A TCP port of a host.
    Name {
        /// The host's name.
        name: String,
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

/// Begins to connect to an address, without waiting: the socket is connected, or will be, or will say why it is not.
pub fn begin(address: SocketAddr, no_delay: bool) -> Result<OwnedFd, ConnectError> {
    race::begin(address, no_delay).map_err(|error| ConnectError::of_address(address, error))
}

impl ConnectError {
    /// There is no connection to an address.
    #[must_use]
    pub fn of_address(address: SocketAddr, error: Error) -> Self {
        Self { resolving: false, detail: format!("TCP connection to {address} failed: {error}."), error }
    }
}

/// Connects; `resolved` is called when a name's addresses are known.
pub(super) async fn connect(
    names: &Names,
    destination: Destination,
    resolved: impl FnOnce(),
) -> Result<OwnedFd, ConnectError> {
    let Destination { place, no_delay } = destination;
    let (name, port) = match place {
        Place::Name { name, port } => (name, port),
        Place::Unix(path) => return connect_unix(&path).await,
    };
    let addresses = names.resolve(&name, port).await.map_err(|error| unresolved(&name, error))?;
    resolved();
    race(addresses, no_delay).await.map_err(|failed| unconnected(&name, failed))
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
fn unconnected(name: &str, mut failed: Vec<Failed>) -> ConnectError {
    let Some(told) = most_telling(&failed) else {
        return unresolved(name, Error::new(ErrorKind::NotFound, "it has no address"));
    };
    let mut detail = format!("No TCP connection to {name}: ");
    for (place, (address, error)) in failed.iter().take(ADDRESSES_TOLD).enumerate() {
        let joint = if place == 0 { "" } else { "; " };
        // A String takes everything.
        let _ = write!(detail, "{joint}{address}: {error}");
    }
    match failed.len().saturating_sub(ADDRESSES_TOLD) {
        0 => detail.push('.'),
        more => {
            let _ = write!(detail, "; and {more} more.");
        }
    }
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
