//! A thousand streams, freed in each phase of their lives, leave no descriptor, no thread and no memory behind.

#[path = "support/calls.rs"]
mod calls;
#[allow(dead_code, reason = "the tests of addresses use the rest")]
#[path = "support/names.rs"]
mod names;
mod support;

use ::wsstream::ffi::aborter::{wsstream_aborter_abort, wsstream_aborter_free, wsstream_aborter_new};
use ::wsstream::ffi::options::wsstream_options_set_aborter;
use socket2::{Domain, Socket, Type};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Once;
use std::time::Duration;
use support::alone::alone;
use support::heap::{Heap, live_with_full_pool};
use support::peer::{Connection, Peer, frame};
use support::{
    BINARY, FOREVER, Options, READABLE, Status, Stream, TEXT, descriptor_count, is_secure, option, server,
    thread_count, turn, until,
};

#[global_allocator]
static HEAP: Heap = Heap;

const COUNT: usize = 1000;
/// So many at once.
const BATCH: usize = 50;

/// Descriptors, and threads of the library.
fn counts() -> (usize, usize) {
    (descriptor_count(), thread_count("wsstream"))
}

/// The first streams start the internal thread, which stays, and make its tables as large as the others need them.
fn warm_up() {
    let empty = descriptor_count();
    let peer = Peer::of_scheme(None);
    drop(opened(&peer, &Options::new(), b""));
    // What stays is the internal thread's own; the library lingers for a second at most.
    let mut before = empty;
    until(|| {
        let now = descriptor_count();
        std::thread::sleep(Duration::from_millis(1200));
        std::mem::replace(&mut before, now) == now && now < empty + BATCH
    });
}

/// `batch` makes a batch of `count` streams and frees them, with what `begin` has made for all. `own`: bytes that the test
/// itself keeps of each.
#[track_caller]
fn leave_nothing_behind<T>(
    count: usize,
    own: usize,
    begin: impl FnOnce() -> T + Send,
    batch: impl Fn(&T) + Sync,
) {
    static WARM: Once = Once::new();
    let _turn = turn();
    server();
    // On threads of their own: what the library keeps for a thread of the program goes with the thread.
    WARM.call_once(|| std::thread::spawn(warm_up).join().expect("it ends"));
    let (empty, bytes_before) = (counts(), live_with_full_pool());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let world = begin();
            (0..count / BATCH).for_each(|_| batch(&world));
        });
    });
    until(|| counts() == empty);
    // A small part of what each has; the tables of the library may have grown.
    until(|| live_with_full_pool() < bytes_before + COUNT * (64 + own));
    #[cfg(feature = "fault-injection")]
    until(|| ::wsstream::memory::chunk::live_bytes() == 0);
}

fn open_all(url: &str, options: &Options) -> Vec<Stream> {
    (0..BATCH).map(|_| Stream::open_with(url, options)).collect()
}

/// Open streams and their peers, each of which has sent this behind the handshake.
fn opened(peer: &Peer, options: &Options, first: &[u8]) -> (Vec<Stream>, Vec<Connection>) {
    let streams = open_all(&peer.url(), options);
    let mut connections: Vec<_> = streams.iter().map(|_| peer.accept()).collect();
    connections.iter_mut().for_each(|connection| connection.switch(first));
    streams.iter().for_each(|stream| assert_eq!(stream.wait_opened(FOREVER), Status::Ok));
    (streams, connections)
}

/// Streams that are open, freed while their peers are there when `then` has seen each.
#[track_caller]
fn open_ones(first: &[u8], then: impl Fn(&Stream) + Sync) {
    open_ones_with_peers(COUNT, first, |streams, _| streams.iter().for_each(&then));
}

#[track_caller]
fn open_ones_with_peers(
    count: usize,
    first: &[u8],
    then: impl Fn(&mut Vec<Stream>, &mut Vec<Connection>) + Sync,
) {
    let begin = || (Peer::of_scheme(Some(4096)), Options::with(option::WRITE_BUFFER_SIZE, 0));
    leave_nothing_behind(count, 0, begin, |(peer, options)| {
        let (mut streams, mut connections) = opened(peer, options, first);
        then(&mut streams, &mut connections);
        drop(streams);
    });
}

/// Streams that are not open: `reached` returns when all are where they are to be, with what keeps them there.
#[track_caller]
fn unopened_ones<T, K>(
    begin: impl FnOnce() -> (T, String) + Send,
    reached: impl Fn(&T, &[Stream]) -> Vec<K> + Sync,
) {
    let secured = || {
        let options = Options::new();
        // Also where the scheme under test is not wss.
        assert_eq!(options.set_text(option::CA_PEM, &server().pem("ca")), Status::Ok);
        options
    };
    leave_nothing_behind(
        COUNT,
        0,
        || (begin(), secured()),
        |((world, url), options)| {
            let streams = open_all(url, options);
            let _peers = reached(world, &streams);
            streams.iter().for_each(|stream| assert_eq!(stream.wait_opened(0), Status::Again));
            drop(streams);
        },
    );
}

#[test]
fn a_thousand_aborted_before_they_start_leave_nothing_behind() {
    let begin = || {
        let options = Options::new();
        let aborter = wsstream_aborter_new();
        // SAFETY: both live, and the options keep a share of their own.
        unsafe {
            assert_eq!(wsstream_options_set_aborter(options.handle(), aborter), 0);
            wsstream_aborter_abort(aborter);
            wsstream_aborter_free(aborter);
        }
        options
    };
    leave_nothing_behind(COUNT, 0, begin, |options| {
        let streams = open_all(&server().url("/echo"), options);
        streams.iter().for_each(|stream| assert_eq!(stream.wait_opened(0), Status::Aborted));
    });
}

#[test]
fn a_thousand_freed_while_resolving_leave_nothing_behind() {
    // The resolver of this test notes each lookup.
    leave_nothing_behind(COUNT, 128, Options::new, |options| {
        names::hangs("leaks.test", &["127.0.0.1"]);
        let streams = open_all("ws://leaks.test/", options);
        until(|| thread_count("wsstream-names") == BATCH);
        drop(streams);
        names::release("leaks.test");
        until(|| thread_count("wsstream-names") == 0);
    });
}

#[test]
fn a_thousand_freed_while_connecting_leave_nothing_behind() {
    // Its queue is full: nobody answers, not even with a refusal.
    let begin = || {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        listener.bind(&any.into()).expect("a free port");
        listener.listen(0).expect("listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        let filler = TcpStream::connect(address).expect("room for one");
        let before = descriptor_count();
        ((listener, filler, before), format!("ws://{address}/"))
    };
    unopened_ones(begin, |(_, _, before), _| -> Vec<()> {
        until(|| descriptor_count() >= before + BATCH);
        Vec::new()
    });
}

#[test]
fn a_thousand_freed_within_the_tls_handshake_leave_nothing_behind() {
    let begin = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        (listener, format!("wss://localhost:{port}/"))
    };
    let accepted = |listener: &TcpListener| {
        let (mut tcp, _) = listener.accept().expect("a client");
        let mut first = [0];
        tcp.read_exact(&mut first).expect("a ClientHello");
        assert_eq!(first, [22]);
        tcp
    };
    unopened_ones(begin, |listener, streams| streams.iter().map(|_| accepted(listener)).collect());
}

#[test]
fn a_thousand_freed_within_the_handshake_leave_nothing_behind() {
    let begin = || {
        let peer = Peer::of_scheme(None);
        let url = peer.url();
        (peer, url)
    };
    unopened_ones(begin, |peer, streams| streams.iter().map(|_| peer.accept()).collect());
}

#[test]
fn a_thousand_refused_leave_nothing_behind() {
    leave_nothing_behind(COUNT, 0, Options::new, |options| {
        for stream in open_all("ws://127.0.0.1:1/", options) {
            stream.never_opens();
        }
    });
}

#[test]
fn the_time_limit_of_an_opening_goes_with_its_stream() {
    alone("the_time_limit_of_an_opening_goes_with_its_stream", || {
        let options = Options::with(option::OPEN_TIMEOUT_MS, 3_600_000);
        let some = |batches: usize| {
            for _ in 0..batches {
                open_all("ws://127.0.0.1:1/", &options)
                    .iter()
                    .for_each(|stream| assert_eq!(stream.wait_opened(FOREVER), Status::Connection));
            }
        };
        some(10);
        let before = live_with_full_pool();
        some(80);
        // No more than what is there at once asks for.
        until(|| live_with_full_pool() < before + (16 << 10));
    });
}

#[test]
fn a_thousand_freed_while_open_leave_nothing_behind() {
    open_ones(b"", |_| ());
}

#[test]
fn a_thousand_freed_with_unread_messages_leave_nothing_behind() {
    let messages = [frame(0x81, b"hi"), frame(0x82, &[7; 3000])].concat().repeat(3);
    open_ones(&messages, |stream| {
        assert_eq!(stream.poll(READABLE, FOREVER), Ok(READABLE));
        stream.reads_text("hi");
    });
}

#[test]
fn a_thousand_freed_with_bytes_unsent_leave_nothing_behind() {
    let data = vec![7; 64 << 10];
    // What the system takes of each goes through TLS first, in a build without optimisation.
    let count = if is_secure() { COUNT / 5 } else { COUNT };
    open_ones_with_peers(count, b"", |streams, _| {
        streams.iter().for_each(|stream| while stream.write(BINARY, &data, 0) == Status::Ok {});
    });
}

#[test]
fn a_thousand_freed_inside_messages_both_ways_leave_nothing_behind() {
    open_ones(&frame(0x01, b"part"), |stream| {
        assert_eq!(calls::read_one_byte(stream.handle()), 0);
        assert_eq!(stream.write_some(TEXT, b"part", 0, FOREVER), Status::Ok);
    });
}

#[test]
fn a_thousand_freed_while_closing_leave_nothing_behind() {
    open_ones(b"", |stream| assert_eq!(stream.close(1000, ""), Status::Ok));
}

#[test]
fn a_thousand_closed_leave_nothing_behind() {
    open_ones_with_peers(COUNT, b"", |streams, connections| {
        streams.iter().for_each(|stream| assert_eq!(stream.close(1000, ""), Status::Ok));
        for mut connection in connections.drain(..) {
            assert_eq!(connection.receive().expect("a frame").first, 0x88);
            connection.send(&frame(0x88, &[3, 232]));
        }
        streams.iter().for_each(|stream| drop(stream.closed_cleanly()));
    });
}

#[test]
fn a_thousand_freed_behind_both_closes_while_tcp_goes_on_leave_nothing_behind() {
    open_ones_with_peers(COUNT, &frame(0x88, &[3, 232]), |_, connections| {
        connections.iter_mut().for_each(|connection| {
            assert_eq!(connection.receive().expect("the reply").first, 0x88);
        });
    });
}

#[test]
fn a_thousand_that_end_uncleanly_leave_nothing_behind() {
    open_ones_with_peers(COUNT, &frame(0x81, b"hi"), |streams, connections| {
        connections.clear();
        streams.iter().for_each(|stream| drop(stream.closed_uncleanly()));
    });
}

#[test]
fn a_thousand_that_are_held_when_freed_leave_nothing_behind() {
    open_ones_with_peers(COUNT, &frame(0x81, b"hi"), |streams, _| {
        let held: Vec<_> = streams.iter().map(Stream::reference).collect();
        streams.clear();
        held.iter().for_each(|stream| assert_eq!(stream.refused_read(FOREVER), Status::State));
    });
}

#[test]
fn a_thousand_with_callbacks_leave_nothing_behind() {
    let names = ["opened", "closed", "message", "event", "freed"].map(|name| format!("wsstream_on_{name}"));
    open_ones(&frame(0x81, b"hi"), move |stream| {
        for name in &names {
            assert_eq!(calls::call(name, stream.handle(), 0), Status::Ok);
        }
    });
}

#[test]
fn a_thousand_with_a_watched_descriptor_leave_nothing_behind() {
    open_ones(b"", |stream| {
        for name in ["wsstream_fd", "wsstream_fd_watch"] {
            assert_eq!(calls::call(name, stream.handle(), 0), Status::Ok);
        }
    });
}
