//! One connection out of several addresses: attempts that overlap, the first established one wins (RFC 8305).
//!
//! What is dropped closes: the attempts that have lost, and all of them where the stream is given up. Knows no name.

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// RFC 8305 §5: the Connection Attempt Delay, as recommended there.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An address that there is no connection to, and why.
pub(super) type Failed = (SocketAddr, Error);

struct Attempt {
    address: SocketAddr,
    connecting: Pin<Box<dyn Future<Output = Result<OwnedFd>> + Send>>,
}

/// Connects to one of the addresses, which are in the order of RFC 6724; or every one has failed.
pub(super) async fn race(
    addresses: Vec<SocketAddr>,
    no_delay: bool,
) -> std::result::Result<OwnedFd, Vec<Failed>> {
    let mut waiting = interleaved(addresses).into_iter();
    let mut running = Vec::new();
    let mut failed = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => {
                running.push(Attempt { address, connecting: Box::pin(connect(address, no_delay)) });
            }
            None if running.is_empty() => return Err(failed),
            None => {}
        }
        let outcome = if waiting.len() > 0 {
            timeout(ATTEMPT_DELAY, next_outcome(&mut running)).await.ok()
        } else {
            Some(next_outcome(&mut running).await)
        };
        match outcome {
            Some((_, Ok(socket))) => return Ok(socket),
            // The next one does not wait for a delay that was to give this one its chance.
            Some((address, Err(error))) => failed.push((address, error)),
            None => {}
        }
    }
}

/// The outcome of whichever attempt has one first.
async fn next_outcome(running: &mut Vec<Attempt>) -> (SocketAddr, Result<OwnedFd>) {
    poll_fn(|context| {
        for place in 0..running.len() {
            if let Poll::Ready(outcome) = running[place].connecting.as_mut().poll(context) {
                return Poll::Ready((running.remove(place).address, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// RFC 8305 §4: the families in turns, beginning with the first address's; each address once.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut known = HashSet::new();
    let once: Vec<SocketAddr> = addresses.into_iter().filter(|address| known.insert(*address)).collect();
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        once.iter().copied().partition(|address| address.is_ipv4() == once[0].is_ipv4());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut sorted = Vec::with_capacity(once.len());
    while sorted.len() < once.len() {
        sorted.extend(first.next().into_iter().chain(second.next()));
    }
    sorted
}

/// Begins to connect: the socket is connected, or will be, or will say why it is not.
pub(super) fn begin(address: SocketAddr, no_delay: bool) -> Result<OwnedFd> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(address), kind, Some(Protocol::TCP))?;
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

async fn connect(address: SocketAddr, no_delay: bool) -> Result<OwnedFd> {
    let socket = TcpStream::from_std(begin(address, no_delay)?.into())?;
    // As soon as it is connected, or has failed.
    socket.writable().await?;
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(socket.into_std()?.into()),
    }
}

/// The place of the most telling of several failures, if there is one: first what the program can do something about
/// and what says nothing of the peer (no descriptor was left), then an answer (refused, reset), then whatever else, then
/// silence, and last that this machine has no way there, as with IPv6 where only names have it. Among equals the
/// earliest.
pub(super) fn most_telling(failed: &[Failed]) -> Option<usize> {
    let rank = |error: &Error| match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => 0,
        Some(libc::ECONNREFUSED | libc::ECONNRESET) => 1,
        Some(
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EADDRNOTAVAIL
            | libc::EAFNOSUPPORT,
        ) => 4,
        _ if error.kind() == ErrorKind::TimedOut => 3,
        _ => 2,
    };
    (0..failed.len()).min_by_key(|place| rank(&failed[*place].1))
}

#[cfg(test)]
mod tests {
    use super::{interleaved, most_telling};
    use std::io::Error;
    use std::net::SocketAddr;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        let sorted = interleaved(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]));
        assert_eq!(sorted, addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]));
        let sorted = interleaved(addresses(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1", "1.1.1.1:1"]));
        assert_eq!(sorted, addresses(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]));
        assert_eq!(interleaved(Vec::new()), []);
    }

    #[test]
    fn an_answer_tells_more_than_silence_and_silence_more_than_no_way() {
        let address = addresses(&["[::1]:1"])[0];
        let ranks = [libc::EMFILE, libc::ECONNREFUSED, libc::EACCES, libc::ETIMEDOUT, libc::ENETUNREACH];
        for best in 0..ranks.len() {
            let mut failed: Vec<_> =
                ranks[best..].iter().map(|number| (address, Error::from_raw_os_error(*number))).collect();
            failed.reverse();
            let told = most_telling(&failed).and_then(|place| failed[place].1.raw_os_error());
            assert_eq!(told, Some(ranks[best]));
        }
        assert!(most_telling(&[]).is_none());
    }
}
