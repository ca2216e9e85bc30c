//! Resolving a name and making the TCP connection, on tokio; what comes out is a plain socket that has left it.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use url::Host;

/// Where a stream connects to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The host's name or address.
    pub host: Host<String>,
    /// The TCP port.
    pub port: u16,
    /// TCP_NODELAY.
    pub no_delay: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// The name has no address; else the connection was refused.
    pub resolving: bool,
    /// What the system said.
    pub error: Error,
    /// One sentence for a log.
    pub detail: String,
}

/// Resolves and connects: the addresses one after the other, the last one's failure is told.
pub(super) async fn connect(destination: Destination) -> Result<TcpStream, ConnectError> {
    let Destination { host, port, no_delay } = destination;
    let addresses: Vec<SocketAddr> = match &host {
        Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
        Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
        Host::Domain(name) => resolve(name, port).await?,
    };
    let mut last = None;
    for address in addresses {
        match connect_address(address, no_delay).await {
            Ok(socket) => return Ok(socket),
            Err(error) => {
                let detail = format!("TCP connection to {address} failed: {error}.");
                last = Some(ConnectError { resolving: false, error, detail });
            }
        }
    }
    Err(last.unwrap_or_else(|| unresolved(&host.to_string(), ErrorKind::NotFound.into())))
}

/// The system had no thread or memory to try it.
pub(super) fn refused() -> ConnectError {
    let error = Error::from(ErrorKind::WouldBlock);
    ConnectError {
        resolving: true,
        detail: "The system refused what resolving the name needs.".to_owned(),
        error,
    }
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((name, port)).await.map_err(|error| unresolved(name, error))?.collect();
    if addresses.is_empty() {
        return Err(unresolved(name, ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

fn unresolved(name: &str, error: Error) -> ConnectError {
    ConnectError {
        resolving: true,
        detail: format!("The name {name} could not be resolved: {error}."),
        error,
    }
}

async fn connect_address(address: SocketAddr, no_delay: bool) -> Result<TcpStream, Error> {
    let socket = tokio::net::TcpStream::connect(address).await?.into_std()?;
    socket.set_nodelay(no_delay)?;
    Ok(socket)
}
