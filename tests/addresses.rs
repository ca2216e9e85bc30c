//! From a host to a connection: lookups that hang, several addresses, none that is good, Unix sockets.

#[path = "support/names.rs"]
mod names;
mod support;

use ::wsstream::ffi::aborter::{
    wsstream_aborter, wsstream_aborter_abort, wsstream_aborter_free, wsstream_aborter_new,
};
use ::wsstream::ffi::options::{
    wsstream_options_free, wsstream_options_new, wsstream_options_set_aborter, wsstream_options_set_text,
};
use ::wsstream::ffi::stream::{
    wsstream, wsstream_free, wsstream_open, wsstream_wait_closed, wsstream_wait_opened,
};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, copy};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};
use support::alone::{alone, refuse_threads};
use support::peer::Peer;
use support::{
    Call, Cause, FOREVER, Options, Phase, Status, Stream, descriptor_count, is_again_after, is_again_at_once,
    option, server, thread_count, until,
};

/// Long for a machine that is busy, short for what would never come.
const LATE_MS: i64 = 5000;
const LATE: Duration = Duration::from_millis(LATE_MS.unsigned_abs());

/// The test server at another host.
fn at(host: &str) -> String {
    server().ws_url("/echo").replace("127.0.0.1", host)
}

fn port() -> u16 {
    let url = server().ws_url("");
    url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[track_caller]
fn opens_soon(url: &str) {
    let stream = Stream::open(url);
    assert_eq!(stream.wait_opened(LATE_MS), Status::Ok, "{url}: {:?}", stream.wait_closed(0));
    stream.writes_text(url);
    stream.reads_text(url);
}

/// Streams whose names are being looked up, for as long as nobody releases them.
fn hung(prefix: &str, count: usize) -> Vec<(String, Stream)> {
    let names: Vec<_> = (0..count).map(|index| format!("{prefix}-{index}.test")).collect();
    names.iter().for_each(|name| names::hangs(name, &["127.0.0.1"]));
    names.into_iter().map(|name| (name.clone(), Stream::open(&at(&name)))).collect()
}

/// An address at which nobody answers, not even with a refusal: its queue is full.
struct Blackhole {
    address: SocketAddr,
    _listener: Socket,
    _filler: TcpStream,
}

impl Blackhole {
    fn new(host: &str, port: u16) -> Self {
        let address = SocketAddr::new(host.parse().expect("an address"), port);
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("a free port");
        listener.listen(0).expect("listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        let filler = TcpStream::connect(address).expect("room for one");
        Self { address, _listener: listener, _filler: filler }
    }

    /// Returns when somebody knocks, and everything the library's thread did before that is seen.
    fn is_knocked_at(&self) {
        let IpAddr::V4(host) = self.address.ip() else { panic!("an IPv4 address") };
        // The peer, and behind it 02: a SYN was sent. The table may be long.
        let row = format!(" {:08X}:{:04X} 02 ", u32::from_ne_bytes(host.octets()), self.address.port());
        until(|| std::fs::read_to_string("/proc/net/tcp").expect("Linux lists them").contains(&row));
        Stream::open(&format!("ws://127.0.0.1:{}/", refusing_port())).never_opens();
    }
}

/// A port at which this machine refuses.
fn refusing_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

#[test]
fn while_lookups_hang_others_resolve_and_literals_open() {
    let hung = hung("others", 40);
    hung.iter().for_each(|(name, _)| names::is_asked_for(name));
    names::resolves("prompt.test", &["127.0.0.1"]);
    opens_soon(&at("prompt.test"));
    opens_soon(&at("localhost"));
    opens_soon(&server().ws_url("/echo"));
    for (name, stream) in &hung {
        assert_eq!(stream.wait_opened(0), Status::Again, "{name}");
        names::release(name);
    }
    for (name, stream) in &hung {
        assert_eq!(stream.wait_opened(LATE_MS), Status::Ok, "{name}");
    }
}

#[test]
fn while_more_lookups_hang_than_may_run_others_still_resolve_and_none_leaves_a_thread() {
    alone("while_more_lookups_hang_than_may_run_others_still_resolve_and_none_leaves_a_thread", || {
        let hung = hung("many", 520);
        hung.iter().for_each(|(name, _)| names::is_asked_for(name));
        names::resolves("late.test", &["127.0.0.1"]);
        opens_soon(&at("late.test"));
        let names: Vec<_> = hung.into_iter().map(|(name, _freed)| name).collect();
        assert!(thread_count("wsstream-names") >= 520);
        names.iter().for_each(|name| names::release(name));
        until(|| thread_count("wsstream-names") == 0);
        opens_soon(&at("late.test"));
        until(|| thread_count("wsstream-names") == 0);
    });
}

// Rows: O06
#[test]
fn close_while_resolving_settles_at_once() {
    let hung = hung("closed", 1);
    let (name, stream) = &hung[0];
    names::is_asked_for(name);
    let share = stream.reference();
    let waiting = Call::blocked(move || share.wait_opened(FOREVER));
    assert_eq!(stream.close(1000, ""), Status::Ok);
    assert_eq!(waiting.join(), Status::Connection);
    let info = stream.never_opens();
    assert_eq!((info.cause, info.phase), (Cause::Aborted, Phase::Resolve), "{info:?}");
    // The answer comes to nobody.
    names::release(name);
    names::resolves("closed.test", &["127.0.0.1"]);
    opens_soon(&at("closed.test"));
    assert_eq!(stream.never_opens(), info);
}

#[test]
fn free_while_resolving_settles_at_once() {
    let (name, stream) = hung("freed", 1).remove(0);
    names::is_asked_for(&name);
    let share = stream.reference();
    let waiting = Call::blocked(move || share.wait_opened(FOREVER));
    stream.free();
    assert_eq!(waiting.join(), Status::State);
    names::release(&name);
}

#[test]
fn a_read_and_a_wait_keep_their_time_while_the_lookup_hangs() {
    let (name, stream) = hung("read", 1).remove(0);
    names::is_asked_for(&name);
    is_again_at_once(|| stream.refused_read(0));
    is_again_at_once(|| stream.wait_opened(0));
    is_again_after(30, |ms| stream.refused_read(ms));
    names::release(&name);
}

// Rows: A05
#[test]
fn the_open_timeout_holds_while_resolving() {
    names::hangs("timeout.test", &["127.0.0.1"]);
    let options = Options::with(option::OPEN_TIMEOUT_MS, 50);
    let begun = Instant::now();
    let info = Stream::open_with(&at("timeout.test"), &options).never_opens();
    assert!(begun.elapsed() >= Duration::from_millis(50) && begun.elapsed() < LATE, "{:?}", begun.elapsed());
    assert_eq!((info.cause, info.phase), (Cause::Timeout, Phase::Resolve), "{info:?}");
    names::release("timeout.test");
}

// Rows: O03, O05, D09
#[test]
fn a_name_without_address_tells_what_the_resolver_says() {
    for (name, number) in
        [("nobody.test", libc::EAI_NONAME), ("again.test", libc::EAI_AGAIN), ("fail.test", libc::EAI_FAIL)]
    {
        names::fails(name, number);
        let info = Stream::open(&at(name)).never_opens();
        assert_eq!((info.cause, info.phase, info.os_error), (Cause::Name, Phase::Resolve, 0), "{info:?}");
        assert!(info.detail.contains(name) && info.detail.contains(&names::text(number)), "{info:?}");
    }
    names::resolves("empty.test", &[]);
    let info = Stream::open(&at("empty.test")).never_opens();
    assert_eq!((info.cause, info.phase), (Cause::Name, Phase::Resolve), "{info:?}");
}

// Rows: O05, D09
#[test]
fn a_lookup_that_the_system_refuses_tells_its_errno() {
    for (name, os_error, cause) in
        [("denied.test", libc::EACCES, Cause::Name), ("descriptors.test", libc::EMFILE, Cause::Resource)]
    {
        names::fails_in_the_system(name, os_error);
        let info = Stream::open(&at(name)).never_opens();
        assert_eq!((info.cause, info.phase, info.os_error), (cause, Phase::Resolve, os_error), "{info:?}");
    }
}

#[test]
fn lookups_run_on_threads_of_their_name_with_every_signal_blocked() {
    names::resolves("thread.test", &["127.0.0.1"]);
    opens_soon(&at("thread.test"));
    let lookups = names::lookups("thread.test");
    assert_eq!(lookups.len(), 1);
    assert_eq!(lookups[0].thread.as_deref(), Some("wsstream-names"));
    assert!(lookups[0].blocks_every_signal);
}

#[test]
fn a_name_whose_lookup_gets_no_thread_is_a_resource_error_at_once() {
    alone("a_name_whose_lookup_gets_no_thread_is_a_resource_error_at_once", || {
        let url = server().ws_url("/echo");
        // The internal thread is there; no lookup's is.
        opens_soon(&url);
        refuse_threads();
        let stream = Stream::open_with(&at("thread.test"), &Options::with(option::OPEN_TIMEOUT_MS, 0));
        assert_eq!(stream.wait_opened(LATE_MS), Status::Connection);
        let info = stream.never_opens();
        assert_eq!((info.cause, info.phase), (Cause::Resource, Phase::Resolve), "{info:?}");
        assert!(names::lookups("thread.test").is_empty());
        // These need none.
        opens_soon(&at("localhost"));
        opens_soon(&url);
    });
}

#[test]
fn names_below_localhost_are_the_loopback_and_nobody_is_asked() {
    for name in ["localhost", "LocalHost.", "below.localhost", "a.b.localhost"] {
        names::fails(name, libc::EAI_NONAME);
        opens_soon(&at(name));
        assert!(names::lookups(&name.to_lowercase()).is_empty());
    }
}

#[test]
fn a_good_address_wins_behind_one_that_never_answers() {
    alone("a_good_address_wins_behind_one_that_never_answers", || {
        let _hole = Blackhole::new("127.0.0.2", port());
        names::resolves("hole-then-good.test", &["127.0.0.2", "127.0.0.1"]);
        // Opens what stays: the internal thread's own, this thread's wake descriptor.
        let stream = Stream::opened(&server().ws_url("/echo"));
        until(|| thread_count("wsstream-names") == 0);
        let before = descriptor_count();
        let begun = Instant::now();
        let url = at("hole-then-good.test");
        let other = Stream::open(&url);
        assert_eq!(other.wait_opened(LATE_MS), Status::Ok);
        // RFC 8305: the connection attempt delay, so the other one was tried before.
        assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
        // The attempt that has lost was closed.
        until(|| descriptor_count() == before + 1);
        other.writes_text("hi");
        other.reads_text("hi");
        drop(stream);
    });
}

#[test]
fn an_address_that_refuses_delays_nothing() {
    let mut addresses: Vec<_> = (1..=30).map(|last| format!("127.0.3.{last}")).collect();
    addresses.push("127.0.0.1".to_owned());
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    names::resolves("refused-then-good.test", &addresses);
    // Thirty connection attempt delays are longer.
    opens_soon(&at("refused-then-good.test"));
}

#[test]
fn both_families_are_tried_in_turns_beginning_with_the_first() {
    let port = refusing_port();
    for (name, addresses, tried) in [
        (
            "v6-then-v4.test",
            ["::1", "::ffff:127.0.4.1", "::ffff:127.0.4.2", "127.0.4.3", "127.0.4.4"],
            ["[::1]", "127.0.4.3", "[::ffff:127.0.4.1]", "127.0.4.4", "[::ffff:127.0.4.2]"],
        ),
        (
            "v4-then-v6.test",
            ["127.0.4.3", "127.0.4.4", "127.0.4.5", "::ffff:127.0.4.1", "::1"],
            ["127.0.4.3", "[::ffff:127.0.4.1]", "127.0.4.4", "[::1]", "127.0.4.5"],
        ),
    ] {
        names::resolves(name, &addresses);
        let info = Stream::open(&format!("ws://{name}:{port}/")).never_opens();
        // In the order in which they failed, which each did before the next was tried.
        let mut rest = info.detail.as_str();
        for address in tried {
            let found = rest.split_once(&format!(" {address}:{port}: "));
            rest = found.unwrap_or_else(|| panic!("{address} is not next: {}", info.detail)).1;
        }
    }
}

// Rows: O03, O05, D09
#[test]
fn where_every_address_refuses_the_error_and_the_addresses_are_told() {
    let port = refusing_port();
    let many: Vec<_> = (1..=100).map(|last| Ipv4Addr::new(127, 0, 5, last).to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    names::resolves("refused.test", &["127.0.5.1", "127.0.5.2", "127.0.5.1"]);
    names::resolves("refused-often.test", &many);
    let info = Stream::open(&format!("ws://refused.test:{port}/")).never_opens();
    assert_eq!((info.cause, info.phase), (Cause::System, Phase::Connect), "{info:?}");
    assert_eq!(info.os_error, libc::ECONNREFUSED);
    for part in ["refused.test", &format!("127.0.5.1:{port}"), &format!("127.0.5.2:{port}")] {
        assert_eq!(info.detail.matches(part).count(), 1, "{part}: {info:?}");
    }
    let info = Stream::open(&format!("ws://refused-often.test:{port}/")).never_opens();
    assert_eq!((info.cause, info.os_error), (Cause::System, libc::ECONNREFUSED), "{info:?}");
    assert!(info.detail.len() < 500 && info.detail.contains("and 94 more"), "{info:?}");
}

// Rows: A05
#[test]
fn the_open_timeout_holds_over_resolving_and_connecting() {
    let hole = Blackhole::new("127.0.0.6", 0);
    names::hangs("timeout-hole.test", &["127.0.0.6"]);
    let options = Options::with(option::OPEN_TIMEOUT_MS, 500);
    let begun = Instant::now();
    let url = format!("ws://timeout-hole.test:{}/", hole.address.port());
    let stream = Stream::open_with(&url, &options);
    names::is_asked_for("timeout-hole.test");
    names::release("timeout-hole.test");
    hole.is_knocked_at();
    let info = stream.never_opens();
    assert!(begun.elapsed() >= Duration::from_millis(500) && begun.elapsed() < LATE, "{:?}", begun.elapsed());
    assert_eq!((info.cause, info.phase), (Cause::Timeout, Phase::Connect), "{info:?}");
}

// Rows: O06, A02
#[test]
fn close_abort_and_free_while_connecting_settle_at_once_and_close_the_attempts() {
    alone("close_abort_and_free_while_connecting_settle_at_once_and_close_the_attempts", || {
        let hole = Blackhole::new("127.0.0.7", 0);
        names::resolves("closed-hole.test", &["127.0.0.7"]);
        let _opened = Stream::opened(&server().ws_url("/echo"));
        until(|| thread_count("wsstream-names") == 0);
        let before = descriptor_count();
        for host in ["closed-hole.test", "127.0.0.7"] {
            let stream = Stream::open(&format!("ws://{host}:{}/", hole.address.port()));
            hole.is_knocked_at();
            assert_eq!(stream.close(1000, ""), Status::Ok);
            let info = stream.never_opens();
            assert_eq!((info.cause, info.phase), (Cause::Aborted, Phase::Connect), "{info:?}");
            until(|| descriptor_count() == before);
            let stream = Stream::open(&format!("ws://{host}:{}/", hole.address.port()));
            hole.is_knocked_at();
            stream.free();
            until(|| descriptor_count() == before);
            let aborter = wsstream_aborter_new();
            let stream = open_with_aborter(&format!("ws://{host}:{}/", hole.address.port()), aborter);
            hole.is_knocked_at();
            // SAFETY: both live until they are freed here.
            unsafe {
                wsstream_aborter_abort(aborter);
                expect_aborted(stream, Phase::Connect);
                until(|| descriptor_count() == before);
                wsstream_free(stream);
                wsstream_aborter_free(aborter);
            }
        }
    });
}

#[test]
fn the_socket_is_close_on_exec_non_blocking_and_as_the_option_has_it() {
    alone("the_socket_is_close_on_exec_non_blocking_and_as_the_option_has_it", || {
        for no_delay in [true, false] {
            let peer = Peer::new(None);
            let options = Options::with(option::TCP_NODELAY, i64::from(no_delay));
            let stream = Stream::open_with(&peer.url(), &options);
            let connection = peer.open();
            assert_eq!(stream.wait_opened(FOREVER), Status::Ok);
            let own = connection.socket.peer_addr().expect("it is there");
            let is_own = |number: &i32| {
                // SAFETY: it is asked for its address only, and where it is closed that fails.
                let socket = unsafe { BorrowedFd::borrow_raw(*number) };
                let address = SockRef::from(&socket).local_addr();
                address.is_ok_and(|address| address.as_socket() == Some(own))
            };
            let number = (3..1024).find(is_own).expect("the socket of the stream");
            // SAFETY: the stream keeps it open.
            let socket = unsafe { BorrowedFd::borrow_raw(number) };
            assert_eq!(SockRef::from(&socket).tcp_nodelay().expect("it is TCP"), no_delay);
            // SAFETY: no memory is involved.
            let flags = |command| unsafe { libc::fcntl(number, command) };
            assert_ne!(flags(libc::F_GETFD) & libc::FD_CLOEXEC, 0);
            assert_ne!(flags(libc::F_GETFL) & libc::O_NONBLOCK, 0);
        }
    });
}

/// An opening that hangs: in which phase, its URL, and a call that returns when it hangs there.
type Hanging = (Phase, String, Box<dyn FnMut()>);

/// One for each phase.
fn hanging(word: &str) -> Vec<Hanging> {
    let name = format!("{word}.test");
    names::hangs(&name, &["127.0.0.1"]);
    let url = at(&name);
    let hole = Blackhole::new("127.0.0.8", 0);
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut accepted = Vec::new();
    let (stalled, id) = server().recorded("/handshake?stall=1");
    vec![
        (Phase::Resolve, url, Box::new(move || names::is_asked_for(&name))),
        (Phase::Connect, format!("ws://{}/", hole.address), Box::new(move || hole.is_knocked_at())),
        (
            Phase::Tls,
            format!("wss://{}/", deaf.local_addr().expect("bound")),
            Box::new(move || {
                let (mut client, _) = deaf.accept().expect("a client");
                client.read_exact(&mut [0]).expect("the ClientHello");
                accepted.push(client);
            }),
        ),
        (Phase::Handshake, stalled, Box::new(move || server().meets(&id))),
    ]
}

// Rows: O06
#[test]
fn a_close_in_any_phase_of_connecting_settles_at_once() {
    for (phase, url, mut hangs) in hanging("closed-in-any") {
        let stream = Stream::open_with(&url, &Options::new());
        let share = stream.reference();
        let waiting = Call::blocked(move || share.wait_opened(FOREVER));
        hangs();
        assert_eq!((stream.close(999, ""), stream.wait_opened(0)), (Status::Access, Status::Again));
        assert_eq!(stream.close(4000, "counts for nothing"), Status::Ok);
        assert_eq!(waiting.join(), Status::Connection);
        let info = stream.never_opens();
        assert_eq!((info.cause, info.phase, info.http_status), (Cause::Aborted, phase, 0), "{info:?}");
        names::release("closed-in-any.test");
        assert_eq!(stream.close(4001, ""), Status::Ok);
        assert_eq!(stream.never_opens(), info);
    }
}

// Rows: A05, O05, D09
#[test]
fn the_open_timeout_holds_in_any_phase_of_connecting() {
    const TIMEOUT_MS: u64 = 1500;
    let options = Options::with(option::OPEN_TIMEOUT_MS, TIMEOUT_MS as i64);
    let begun = Instant::now();
    let open = |(phase, url, hangs): Hanging| (phase, Stream::open_with(&url, &options), hangs);
    for (phase, stream, _kept) in hanging("late-in-any").into_iter().map(open).collect::<Vec<_>>() {
        let info = stream.never_opens();
        assert!(begun.elapsed() >= Duration::from_millis(TIMEOUT_MS) && begun.elapsed() < LATE);
        assert_eq!((info.cause, info.phase, info.os_error), (Cause::Timeout, phase, 0), "{info:?}");
    }
    names::release("late-in-any.test");
}

/// Begins to open with an aborter, of which the wrapper knows nothing.
fn open_with_aborter(url: &str, aborter: *mut wsstream_aborter) -> *mut wsstream {
    let (ca, mut stream) = (server().pem("ca"), null_mut());
    let options = wsstream_options_new();
    // SAFETY: options and aborter live, the texts are readable, and `stream` is a variable of the caller.
    unsafe {
        assert_eq!(wsstream_options_set_text(options, option::CA_PEM, ca.as_ptr().cast(), ca.len()), 0);
        assert_eq!(wsstream_options_set_aborter(options, aborter), 0);
        assert_eq!(wsstream_open(url.as_ptr().cast(), url.len(), options, &raw mut stream), 0, "{url}");
        wsstream_options_free(options);
    }
    stream
}

#[track_caller]
fn expect_aborted(stream: *mut wsstream, phase: Phase) {
    const ABORTED: i32 = Status::Aborted as i32;
    let mut out = null();
    // SAFETY: the stream lives, and `out` is a variable of the caller.
    let answers = unsafe {
        let opened = wsstream_wait_opened(stream, LATE_MS);
        (opened, wsstream_wait_closed(stream, 0, &raw mut out), wsstream_wait_opened(stream, 0))
    };
    assert_eq!(answers, (ABORTED, ABORTED, ABORTED), "{phase:?}");
    // SAFETY: it is set where the stream has ended, and lives as long as that.
    let info = unsafe { out.as_ref() }.expect("an info");
    assert_eq!((info.phase, info.cause), (phase as u32, Cause::Aborted as u32));
    assert_eq!((info.code, info.clean, info.sent_code, info.reason_size), (1006, 0, 0, 0), "{phase:?}");
}

// Rows: A02
#[test]
fn an_abort_in_any_phase_of_connecting_settles_at_once_and_for_ever() {
    for (phase, url, mut hangs) in hanging("aborted-in-any") {
        let aborter = wsstream_aborter_new();
        let stream = open_with_aborter(&url, aborter);
        hangs();
        // SAFETY: both live until they are freed here.
        unsafe {
            assert_eq!(wsstream_wait_opened(stream, 0), Status::Again as i32, "{phase:?}");
            wsstream_aborter_abort(aborter);
            expect_aborted(stream, phase);
            names::release("aborted-in-any.test");
            opens_soon(&at("localhost"));
            expect_aborted(stream, phase);
            wsstream_free(stream);
            wsstream_aborter_free(aborter);
        }
    }
}

// Rows: A01, U07
#[test]
fn an_aborted_aborter_asks_for_no_name_and_knocks_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("does not wait");
    let port = listener.local_addr().expect("bound").port();
    names::resolves("not-asked-for.test", &["127.0.0.1"]);
    let aborter = wsstream_aborter_new();
    // SAFETY: aborter and streams live until they are freed here.
    unsafe {
        wsstream_aborter_abort(aborter);
        for host in ["127.0.0.1", "localhost", "not-asked-for.test"] {
            for scheme in ["ws", "wss"] {
                let stream = open_with_aborter(&format!("{scheme}://{host}:{port}/"), aborter);
                expect_aborted(stream, Phase::Start);
                wsstream_free(stream);
            }
        }
        wsstream_aborter_free(aborter);
    }
    // What had been asked of the internal thread before would have been done by now.
    opens_soon(&at("localhost"));
    assert!(names::lookups("not-asked-for.test").is_empty());
    assert_eq!(listener.accept().expect_err("nobody").kind(), ErrorKind::WouldBlock);
}

// Rows: U11, O03
#[test]
fn what_the_network_has_against_a_good_url_comes_from_the_latches() {
    let port = refusing_port();
    for host in ["127.0.0.1", "[::1]", "0.0.0.0", "255.255.255.255", "127.0.0.1:0", "localhost"] {
        for scheme in ["ws", "wss"] {
            let port = if host.ends_with(":0") { String::new() } else { format!(":{port}") };
            let info = Stream::open(&format!("{scheme}://{host}{port}/")).never_opens();
            assert_eq!((info.cause, info.phase), (Cause::System, Phase::Connect), "{host}: {info:?}");
            assert_ne!(info.os_error, 0, "{host}: {info:?}");
        }
    }
}

// Rows: U11, O03
#[test]
fn a_host_that_the_url_allows_and_no_certificate_can_name_comes_from_the_latches() {
    let long = "a".repeat(64);
    let longer = "a.".repeat(130) + "test";
    for host in ["a..b", "a!b", "a*b", "a_b", "-", "~", "a,b", ".", "localhost..", &long, &longer] {
        names::fails(host, libc::EAI_NONAME);
        for scheme in ["ws", "wss"] {
            let opened = Stream::try_open(&format!("{scheme}://{host}/"), None);
            let stream = opened.unwrap_or_else(|status| panic!("{scheme}://{host}/: {status:?}"));
            let info = stream.never_opens();
            // It is not looked up where no certificate could be for it.
            assert!(scheme == "ws" || host != "a..b" || info.phase == Phase::Tls, "{info:?}");
        }
    }
}

/// A path that is removed with its folder.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wsstream-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// With a Unix socket, nothing waits for the host's addresses.
fn open_unix(path: &str, options: &Options) -> Stream {
    names::hangs("host-of-unix.test", &[]);
    assert_eq!(options.set_text(option::UNIX_SOCKET, path), Status::Ok);
    Stream::open_with("ws://host-of-unix.test/echo", options)
}

/// Passes what comes to one connection on to the test server, and back.
fn pass_on(client: UnixStream) {
    let server = TcpStream::connect(("127.0.0.1", port())).expect("the server is there");
    let (mut from, mut to) = (client.try_clone().expect("a share"), server.try_clone().expect("a share"));
    Call::begun(move || {
        let _ = copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    let (mut from, mut to) = (server, client);
    Call::begun(move || {
        let _ = copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
}

#[test]
fn a_stream_over_a_unix_socket_is_like_any_other() {
    let folder = Folder::new("open");
    let listener = UnixListener::bind(folder.socket()).expect("listens");
    let stream = open_unix(folder.socket().to_str().expect("UTF-8"), &Options::new());
    pass_on(listener.accept().expect("a client").0);
    assert_eq!(stream.wait_opened(LATE_MS), Status::Ok, "{:?}", stream.wait_closed(0));
    stream.writes_text("hi");
    stream.reads_text("hi");
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    assert!(names::lookups("host-of-unix.test").is_empty());
}

// Rows: O03, O05, D09
#[test]
fn a_unix_socket_that_cannot_be_connected_to_tells_errno_and_path() {
    let folder = Folder::new("refused");
    let path = folder.socket();
    let path = path.to_str().expect("UTF-8");
    let deaf = folder.0.join("deaf");
    drop(UnixListener::bind(&deaf).expect("it listens until it is dropped"));
    let deaf = deaf.to_str().expect("UTF-8");
    for (path, os_error) in [(path, libc::ENOENT), (deaf, libc::ECONNREFUSED)] {
        let info = open_unix(path, &Options::new()).never_opens();
        assert_eq!((info.cause, info.phase), (Cause::System, Phase::Connect), "{info:?}");
        assert_eq!(info.os_error, os_error, "{info:?}");
        assert!(info.detail.contains(path), "{info:?}");
    }
}

#[test]
fn a_unix_socket_whose_queue_is_full_is_waited_for() {
    let folder = Folder::new("full");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    socket.bind(&socket2::SockAddr::unix(folder.socket()).expect("a path")).expect("a free path");
    socket.listen(0).expect("listens");
    let listener = UnixListener::from(std::os::fd::OwnedFd::from(socket));
    let _filler = UnixStream::connect(folder.socket()).expect("room for one");
    let path = folder.socket();
    let path = path.to_str().expect("UTF-8");
    let info = open_unix(path, &Options::with(option::OPEN_TIMEOUT_MS, 50)).never_opens();
    assert_eq!((info.cause, info.phase), (Cause::Timeout, Phase::Connect), "{info:?}");
    let stream = open_unix(path, &Options::new());
    assert_eq!(stream.wait_opened(50), Status::Again);
    listener.accept().expect("the filler");
    pass_on(listener.accept().expect("the stream").0);
    assert_eq!(stream.wait_opened(LATE_MS), Status::Ok, "{:?}", stream.wait_closed(0));
}
