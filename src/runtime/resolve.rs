//! Names to addresses: getaddrinfo, each call on a thread of its own that ends with it. Knows no socket.
//!
//! A call may hang in the system for as long as it likes: whoever asked can stop waiting at any time, and the thread's
//! answer then goes nowhere. What such threads hold of the bounds below never keeps another name waiting for ever.

use std::collections::HashMap;
use std::io::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Lookups at a time, for all streams: as many as the system is likely to give threads for. Beyond it they stand in
/// line.
const LOOKUPS_MAX: usize = 512;
/// Lookups of one name at a time, so that a name whose servers are gone, asked for again and again, leaves room for the
/// others. Who wants the same name waits for them: one more call would hang as well.
const LOOKUPS_OF_NAME_MAX: usize = 64;
/// Whoever is first in line and has waited so long goes beyond `LOOKUPS_MAX`: if that many calls hang, and be it for
/// ever, the others are slowed down and not stopped. The threads grow no faster than this, and only while names are
/// asked for that do not hang yet; where the system has no more of them it says so.
const TURN_MAX: Duration = Duration::from_millis(50);

/// The lookups of one internal thread. (A child of a fork has its own: it inherits no thread that would let go.)
#[derive(Debug)]
pub(super) struct Names {
    places: Arc<Semaphore>,
    /// Locked by whoever is first in line; tokio's is first come, first served.
    first: Mutex<()>,
    /// The places of each name that is being looked up.
    of_name: std::sync::Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The right to one lookup; given back when the thread ends. The second is None beyond `LOOKUPS_MAX`.
type Turn = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Names {
    pub fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            first: Mutex::new(()),
            of_name: std::sync::Mutex::new(HashMap::new()),
        }
    }

    /// The addresses of a name in the system's order (RFC 6724), with the port. Dropped, it gives up at once.
    pub async fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>> {
        if is_localhost(name) {
            // In the order of RFC 6724 as well.
            let loopback: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            return Ok(loopback.map(|address| SocketAddr::new(address, port)).to_vec());
        }
        let turn = self.turn(name).await?;
        let (sender, answer) = oneshot::channel();
        let name = name.to_owned();
        // It inherits the signal mask of the internal thread, where every signal is blocked.
        std::thread::Builder::new().name("wsstream-names".to_owned()).spawn(move || {
            let addresses = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
            drop(turn);
            // Nobody waits any more where the stream was given up.
            let _ = sender.send(addresses);
        })?;
        answer.await.unwrap_or_else(|_| Err(Error::other("the lookup broke off")))
    }

    async fn turn(&self, name: &str) -> Result<Turn> {
        let of_name = self.places_of(name).acquire_owned().await.map_err(Error::other)?;
        let _first = self.first.lock().await;
        match timeout(TURN_MAX, Arc::clone(&self.places).acquire_owned()).await {
            Ok(place) => Ok((of_name, Some(place.map_err(Error::other)?))),
            Err(_) => Ok((of_name, None)),
        }
    }

    fn places_of(&self, name: &str) -> Arc<Semaphore> {
        let mut of_name = self.of_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = of_name.get(name).and_then(Weak::upgrade) {
            return places;
        }
        of_name.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(LOOKUPS_OF_NAME_MAX));
        of_name.insert(name.to_owned(), Arc::downgrade(&places));
        places
    }
}

/// RFC 6761 §6.3: these names are the loopback's, and nobody is asked. Resolvers differ: many know `localhost` only from
/// a file that containers are without, send the names below it to the network, or wait there for an answer.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::{LOOKUPS_MAX, LOOKUPS_OF_NAME_MAX, Names, Turn, is_localhost};
    use std::future::Future;
    use tokio::time::Instant;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// As many as there are, each name with as many as it gets.
    async fn all_turns(names: &Names) -> Vec<Turn> {
        let mut turns = Vec::new();
        for index in 0..LOOKUPS_MAX {
            turns.push(names.turn(&format!("hung-{}", index / LOOKUPS_OF_NAME_MAX)).await.unwrap());
        }
        assert!(turns.iter().all(|(_, place)| place.is_some()));
        turns
    }

    #[test]
    fn names_below_localhost_are_the_loopback() {
        for name in ["localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.localhost."] {
            assert!(is_localhost(name), "{name}");
        }
        for name in ["", ".", "localhost.example", "notlocalhost", "localhost..", "a"] {
            assert!(!is_localhost(name), "{name}");
        }
    }

    #[test]
    fn where_every_place_hangs_others_still_get_their_turn() {
        run(async {
            let names = Names::new();
            let hung = all_turns(&names).await;
            for index in 0..3 {
                let (_, place) = names.turn(&format!("other-{index}")).await.unwrap();
                assert!(place.is_none());
            }
            drop(hung);
            assert!(names.turn("other").await.unwrap().1.is_some());
        });
    }

    #[test]
    fn one_name_that_hangs_leaves_the_places_to_others() {
        run(async {
            let names = Names::new();
            let mut hung = Vec::new();
            for _ in 0..LOOKUPS_OF_NAME_MAX {
                hung.push(names.turn("hung").await.unwrap());
            }
            // It waits, and giving up leaves nothing behind.
            for _ in 0..2 {
                let soon = Instant::now();
                assert!(tokio::time::timeout_at(soon, names.turn("hung")).await.is_err());
            }
            assert!(names.turn("other").await.unwrap().1.is_some());
            hung.pop();
            assert!(names.turn("hung").await.unwrap().1.is_some());
        });
    }

    #[test]
    fn names_that_nobody_looks_up_are_forgotten() {
        run(async {
            let names = Names::new();
            for index in 0..10 {
                drop(names.turn(&format!("name-{index}")).await.unwrap());
            }
            assert_eq!(names.of_name.lock().unwrap().len(), 1);
        });
    }
}
