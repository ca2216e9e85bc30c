//! The system's resolver as a test decides it: in a program with this module every lookup comes by here, also the
//! library's. Names that no test has set up go to the real one.

use super::support::until;
use libc::{addrinfo, c_char, c_int, sockaddr_in, sockaddr_in6};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, c_void};
use std::net::{IpAddr, SocketAddr};
use std::ptr::{null, null_mut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the resolver does with a name.
#[derive(Clone)]
enum Answer {
    Addresses(Vec<IpAddr>),
    Error(c_int),
    System(i32),
}

#[derive(Clone)]
struct Row {
    answer: Answer,
    is_stuck: bool,
}

/// A lookup that was made.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub name: String,
    pub thread: Option<String>,
    pub blocks_every_signal: bool,
}

#[derive(Default)]
struct Resolver {
    rows: HashMap<String, Row>,
    lookups: Vec<Lookup>,
    /// The lists given out, which the real resolver must not free.
    lists: HashSet<usize>,
}

static RESOLVER: Mutex<Option<Resolver>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

fn resolver<T>(call: impl FnOnce(&mut Resolver) -> T) -> T {
    call(locked().get_or_insert_default())
}

fn locked() -> MutexGuard<'static, Option<Resolver>> {
    RESOLVER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set(name: &str, answer: Answer, is_stuck: bool) {
    resolver(|resolver| resolver.rows.insert(name.to_owned(), Row { answer, is_stuck }));
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| text.parse().expect("an address")).collect())
}

/// The name has these addresses.
pub fn resolves(name: &str, texts: &[&str]) {
    set(name, addresses(texts), false);
}

/// Lookups of the name hang until it is released; then it has these addresses.
pub fn hangs(name: &str, texts: &[&str]) {
    set(name, addresses(texts), true);
}

/// Lookups of the name fail with that EAI number.
pub fn fails(name: &str, number: i32) {
    set(name, Answer::Error(number), false);
}

/// Lookups of the name fail with that errno.
pub fn fails_in_the_system(name: &str, os_error: i32) {
    set(name, Answer::System(os_error), false);
}

/// Lets the lookups of a name go on.
pub fn release(name: &str) {
    resolver(|resolver| resolver.rows.get_mut(name).expect("it hangs").is_stuck = false);
    CHANGED.notify_all();
}

/// The lookups of a name up to now.
pub fn lookups(name: &str) -> Vec<Lookup> {
    resolver(|resolver| resolver.lookups.iter().filter(|lookup| lookup.name == name).cloned().collect())
}

/// Returns when the name is being looked up.
pub fn is_asked_for(name: &str) {
    until(|| !lookups(name).is_empty());
}

/// What the real resolver says to an EAI number.
pub fn text(number: i32) -> String {
    // SAFETY: the answer is a static string.
    unsafe { CStr::from_ptr(libc::gai_strerror(number)) }.to_str().expect("ASCII").to_owned()
}

fn blocks_every_signal() -> bool {
    let mut mask = std::mem::MaybeUninit::uninit();
    // SAFETY: the call initialises the mask.
    let mask = unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, null(), mask.as_mut_ptr());
        mask.assume_init()
    };
    // SAFETY: the mask is initialised.
    let is_blocked = |signal| unsafe { libc::sigismember(&raw const mask, signal) == 1 };
    (1..32).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)).all(is_blocked)
}

/// A list as getaddrinfo gives it out.
fn list(addresses: &[IpAddr]) -> *mut addrinfo {
    let mut next = null_mut();
    for address in addresses.iter().rev() {
        let (family, data, size): (c_int, *mut c_void, usize) = match SocketAddr::new(*address, 0) {
            SocketAddr::V4(address) => {
                // SAFETY: zeroes are a value of it.
                let mut data: sockaddr_in = unsafe { std::mem::zeroed() };
                data.sin_family = libc::AF_INET as libc::sa_family_t;
                data.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                (libc::AF_INET, Box::into_raw(Box::new(data)).cast(), size_of::<sockaddr_in>())
            }
            SocketAddr::V6(address) => {
                // SAFETY: zeroes are a value of it.
                let mut data: sockaddr_in6 = unsafe { std::mem::zeroed() };
                data.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                data.sin6_addr.s6_addr = address.ip().octets();
                (libc::AF_INET6, Box::into_raw(Box::new(data)).cast(), size_of::<sockaddr_in6>())
            }
        };
        next = Box::into_raw(Box::new(addrinfo {
            ai_flags: 0,
            ai_family: family,
            ai_socktype: libc::SOCK_STREAM,
            ai_protocol: libc::IPPROTO_TCP,
            ai_addrlen: size as libc::socklen_t,
            ai_addr: data.cast(),
            ai_canonname: null_mut(),
            ai_next: next,
        }));
    }
    next
}

fn real(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a string.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "{name:?}");
    found
}

/// In the place of the system's.
///
/// # Safety
///
/// As the system's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    out: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: a node that is not NULL is a string.
    let name = if node.is_null() { c"" } else { unsafe { CStr::from_ptr(node) } };
    let name = name.to_str().expect("ASCII").to_owned();
    let lookup = Lookup {
        name: name.clone(),
        thread: std::thread::current().name().map(str::to_owned),
        blocks_every_signal: blocks_every_signal(),
    };
    resolver(|resolver| resolver.lookups.push(lookup));
    let is_stuck = |resolver: &mut Option<Resolver>| {
        resolver.as_ref().and_then(|resolver| resolver.rows.get(&name)).is_some_and(|row| row.is_stuck)
    };
    let mut locked = CHANGED.wait_while(locked(), is_stuck).unwrap_or_else(PoisonError::into_inner);
    let resolver = locked.as_mut().expect("it has this lookup");
    match resolver.rows.get(&name).map(|row| row.answer.clone()) {
        Some(Answer::Addresses(addresses)) => {
            let list = list(&addresses);
            resolver.lists.insert(list.addr());
            // SAFETY: the caller's variable.
            unsafe { *out = list };
            0
        }
        Some(Answer::Error(number)) => number,
        Some(Answer::System(os_error)) => {
            // SAFETY: this thread's errno.
            unsafe { *libc::__errno_location() = os_error };
            libc::EAI_SYSTEM
        }
        None => {
            drop(locked);
            type Call = unsafe extern "C" fn(
                *const c_char,
                *const c_char,
                *const addrinfo,
                *mut *mut addrinfo,
            ) -> c_int;
            // SAFETY: the function of that name has that type; the arguments are the caller's.
            unsafe {
                std::mem::transmute::<*mut c_void, Call>(real(c"getaddrinfo"))(node, service, hints, out)
            }
        }
    }
}

/// In the place of the system's.
///
/// # Safety
///
/// As the system's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freeaddrinfo(list: *mut addrinfo) {
    if !resolver(|resolver| resolver.lists.remove(&list.addr())) {
        type Call = unsafe extern "C" fn(*mut addrinfo);
        // SAFETY: the function of that name has that type; the list is the real resolver's.
        unsafe { std::mem::transmute::<*mut c_void, Call>(real(c"freeaddrinfo"))(list) };
        return;
    }
    let mut next = list;
    while !next.is_null() {
        // SAFETY: both were made by `list` above and are freed once.
        unsafe {
            let row = Box::from_raw(next);
            match row.ai_family {
                libc::AF_INET => drop(Box::from_raw(row.ai_addr.cast::<sockaddr_in>())),
                _ => drop(Box::from_raw(row.ai_addr.cast::<sockaddr_in6>())),
            }
            next = row.ai_next;
        }
    }
}
