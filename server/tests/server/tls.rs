//! What each TLS host shows to a client of rustls, the same routes over wss and over a Unix socket, and their ends.

use crate::client::*;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore,
    StreamOwned,
};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use wsstream_test_server::host::HOSTS;

type Stream = StreamOwned<ClientConnection, Tap>;

/// A socket that remembers what came through it.
struct Tap {
    tcp: TcpStream,
    received: Vec<u8>,
    /// The sizes of reads that gave something.
    reads: Vec<usize>,
}

impl Read for Tap {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = self.tcp.read(out)?;
        self.received.extend_from_slice(&out[..size]);
        self.reads.push(size);
        Ok(size)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

impl Tap {
    /// Type and size of each record that came.
    fn records(&self) -> Vec<(u8, usize)> {
        let mut rest = &self.received[..];
        let mut records = Vec::new();
        while let [kind, _, _, high, low, after @ ..] = rest {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            records.push((*kind, size));
            rest = after.get(size..).unwrap_or_default();
        }
        records
    }
}

fn certificate(word: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(server().said(word)).unwrap()
}

fn config_of(root: &str, client: Option<&str>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(root)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(who) => {
            let key = PrivateKeyDer::from_pem_file(server().said(&format!("{who} key at "))).unwrap();
            builder.with_client_auth_cert(vec![certificate(&format!("{who} certificate at "))], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn config() -> Arc<ClientConfig> {
    Arc::new(config_of("ca at ", None))
}

fn secure(name: &str, config: &Arc<ClientConfig>) -> Stream {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(config.clone(), name).unwrap();
    let tcp = tcp_to(server().said("wss on 127.0.0.1:").parse().unwrap());
    StreamOwned::new(session, Tap { tcp, received: Vec::new(), reads: Vec::new() })
}

fn open(name: &str, path: &str) -> Client<Stream> {
    Client::open_over(secure(name, &config()), path)
}

/// What `/tls` says to a client of this configuration.
fn told(name: &str, config: &Arc<ClientConfig>) -> BTreeMap<String, String> {
    let mut client = Client::open_over(secure(name, config), "/tls");
    let text = String::from_utf8(client.receive().payload).unwrap();
    client.send(TEXT, b"echoed");
    assert_eq!(client.receive(), Frame::new(TEXT, b"echoed"));
    let pairs = text.split(' ').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The error of a handshake that fails.
fn refused_with(name: &str, config: ClientConfig) -> io::Error {
    let mut stream = secure(name, &Arc::new(config));
    // In TLS 1.3 a server refuses a client's certificate after the client's handshake is done.
    let result = stream.write_all(b"GET").and_then(|()| stream.read(&mut [0]));
    result.expect_err("the handshake fails")
}

fn refused(name: &str) -> io::Error {
    refused_with(name, config_of("ca at ", None))
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[track_caller]
fn assert_certificate(error: &io::Error, is_expected: impl Fn(&CertificateError) -> bool) {
    match tls_error(error) {
        Some(Error::InvalidCertificate(found)) if is_expected(found) => {}
        _ => panic!("{error:?}"),
    }
}

#[track_caller]
fn assert_alert(error: &io::Error, expected: AlertDescription) {
    assert_eq!(tls_error(error), Some(&Error::AlertReceived(expected)), "{error:?}");
}

#[test]
fn good_hosts_say_what_was_negotiated() {
    let good = ["localhost", "good.test", "chain.test", "tls13.test", "retry.test", "split.test"];
    for name in good.iter().chain(&["bytes.test", "updates.test", "tickets.test", "silent.test"]) {
        let told = told(name, &config());
        assert_eq!(told["version"], "TLSv1.3", "{name}");
        assert_eq!(told["alpn"], "http/1.1", "{name}");
        assert_eq!(told["sni"], **name);
        assert_eq!((&*told["resumed"], &*told["client"]), ("0", "-"), "{name}");
    }
    assert_eq!(told("tls12.test", &config())["version"], "TLSv1.2");
    for address in ["127.0.0.1", "::1"] {
        assert_eq!(told(address, &config())["sni"], "-", "an address is no server name");
    }
    let mut config = config_of("ca at ", None);
    config.alpn_protocols.clear();
    assert_eq!(told("good.test", &Arc::new(config))["alpn"], "-");
}

#[test]
fn plain_connections_have_no_version() {
    assert_eq!(Client::open("/tls").receive(), Frame::new(TEXT, b"version=none"));
}

#[test]
fn every_host_is_named_once() {
    let mut names: Vec<_> = HOSTS.iter().map(|host| host.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), HOSTS.len());
}

#[test]
fn bad_certificates_are_bad_in_their_own_way() {
    use CertificateError::*;
    assert_certificate(&refused("expired.test"), |found| matches!(found, ExpiredContext { .. }));
    assert_certificate(&refused("early.test"), |found| matches!(found, NotValidYetContext { .. }));
    assert_certificate(&refused("wrong.test"), |found| matches!(found, NotValidForNameContext { .. }));
    assert_certificate(&refused("not-listed.test"), |found| matches!(found, NotValidForNameContext { .. }));
    for name in ["unknown.test", "self.test", "unchained.test"] {
        assert_certificate(&refused(name), |found| *found == UnknownIssuer);
    }
    // Its issuer is known to whoever reads the file.
    assert_eq!(told("unknown.test", &Arc::new(config_of("unknown ca at ", None)))["sni"], "unknown.test");
}

#[test]
fn client_hosts_let_in_who_has_the_right_certificate() {
    for (name, version) in [("client.test", "TLSv1.3"), ("client12.test", "TLSv1.2")] {
        let told = told(name, &Arc::new(config_of("ca at ", Some("client"))));
        assert_eq!((&*told["client"], &*told["version"]), ("wsstream-test-client", version));
        assert_alert(&refused(name), AlertDescription::CertificateRequired);
        let stranger = config_of("ca at ", Some("stranger"));
        assert_alert(&refused_with(name, stranger), AlertDescription::UnknownCA);
    }
    let unasked = Arc::new(config_of("ca at ", Some("client")));
    assert_eq!(told("good.test", &unasked)["client"], "-");
}

#[test]
fn sessions_are_resumed_but_by_the_host_that_never_does() {
    for name in ["resumed.test", "tls12.test", "tickets.test", "good.test"] {
        let config = config();
        assert_eq!(told(name, &config)["resumed"], "0", "{name}");
        assert_eq!(told(name, &config)["resumed"], "1", "{name}");
    }
    let config = config();
    for _ in 0..2 {
        assert_eq!(told("fresh.test", &config)["resumed"], "0");
    }
    let mut forgetful = config_of("ca at ", None);
    forgetful.resumption = Resumption::disabled();
    let forgetful = Arc::new(forgetful);
    for _ in 0..2 {
        assert_eq!(told("resumed.test", &forgetful)["resumed"], "0");
    }
}

#[test]
fn retry_asks_for_another_key() {
    let client = open("retry.test", "/echo");
    assert_eq!(client.stream.conn.handshake_kind(), Some(HandshakeKind::FullWithHelloRetryRequest));
}

#[test]
fn tickets_come_in_many_small_records() {
    let mut client = open("tickets.test", "/echo");
    client.send(TEXT, b"behind the tickets");
    assert_eq!(client.receive(), Frame::new(TEXT, b"behind the tickets"));
    assert_eq!(client.stream.conn.tls13_tickets_received(), 8);
    let records = client.stream.sock.records();
    assert!(records.iter().all(|(_, size)| *size <= 59 + 17), "{records:?}");
    assert!(records.len() > 25, "{records:?}");
}

#[test]
fn bytes_come_in_a_record_each() {
    let mut client = open("bytes.test", "/echo");
    let before = client.stream.sock.records().len();
    client.send(BINARY, &[7; 1000]);
    assert_eq!(client.receive(), Frame::new(BINARY, &[7; 1000]));
    let records = &client.stream.sock.records()[before..];
    // A byte, its type, and what authenticates them; a client that read far enough saw the whole frame.
    assert_eq!(records.iter().filter(|record| **record == (23, 18)).count(), 1004);
}

#[test]
fn split_leaves_byte_by_byte() {
    let ends_inside_a_record = |name| {
        let mut client = open(name, "/echo");
        client.send(TEXT, b"split");
        assert_eq!(client.receive(), Frame::new(TEXT, b"split"));
        let borders = sums(client.stream.sock.records().into_iter().map(|(_, size)| 5 + size));
        sums(client.stream.sock.reads.iter().copied()).iter().any(|end| !borders.contains(end))
    };
    // A client that reads late finds the bytes together.
    assert!((0..50).any(|_| ends_inside_a_record("split.test")));
    assert!(!ends_inside_a_record("good.test"));
}

fn sums(sizes: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut sum = 0;
    let add = |size| {
        sum += size;
        sum
    };
    sizes.map(add).collect()
}

#[test]
fn updates_change_keys_and_ask_for_new_ones() {
    let mut client = open("updates.test", "/echo");
    for round in 0..50_u8 {
        client.send(BINARY, &[round; 100]);
        assert_eq!(client.receive(), Frame::new(BINARY, &[round; 100]));
    }
    // A KeyUpdate is the only record of 5 bytes of plaintext; the client's read would have failed without its own.
    let records = client.stream.sock.records();
    let count = records.iter().filter(|record| **record == (23, 5 + 17)).count();
    assert_eq!(count, 17, "the response and 50 frames are 51 records: {records:?}");
    client.send(BINARY, &[9; 200_000]);
    assert_eq!(client.receive(), Frame::new(BINARY, &[9; 200_000]));
}

#[test]
fn hosts_that_shake_no_hands_say_so_in_their_own_way() {
    assert!(matches!(tls_error(&refused("garbage.test")), Some(Error::InvalidMessage(_))));
    assert_alert(&refused("alert.test"), AlertDescription::HandshakeFailure);
    assert_eq!(refused("gone.test").kind(), ErrorKind::UnexpectedEof);
    let mut stream = secure("stall.test", &config());
    stream.sock.tcp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let stalled = stream.write_all(b"GET").expect_err("no answer comes");
    assert!(matches!(stalled.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stalled}");
    assert!(stream.sock.received.is_empty());
}

#[test]
fn what_is_no_tls_is_answered_with_an_alert() {
    let mut tcp = tcp_to(server().said("wss on 127.0.0.1:").parse().unwrap());
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    assert_eq!(answer[0], 21, "{answer:?}");
}

#[test]
fn fin_is_a_close_notify_before_the_end_of_tcp() {
    for (name, is_silent) in [("good.test", false), ("tls12.test", false), ("silent.test", true)] {
        let mut client = open(name, "/abrupt");
        let mut rest = Vec::new();
        match client.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(!is_silent, "{name}"),
            Err(error) => {
                assert!(is_silent, "{name}: {error}");
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            }
        }
        assert_eq!(client.stream.sock.tcp.read(&mut [0]).unwrap(), 0, "TCP has ended as well");
    }
}

#[test]
fn the_servers_files_serve_a_server_that_a_test_plays() {
    let key = PrivateKeyDer::from_pem_file(server().said("server key at ")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate("server certificate at ")], key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = tcp_to(listener.local_addr().unwrap().port());
    let played = std::thread::spawn(move || {
        let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        StreamOwned::new(session, listener.accept().unwrap().0).write_all(b"played").unwrap();
    });
    let session = ClientConnection::new(config_of("ca at ", None).into(), "localhost".try_into().unwrap());
    let mut played_by = [0; 6];
    StreamOwned::new(session.unwrap(), tcp).read_exact(&mut played_by).unwrap();
    played.join().unwrap();
    assert_eq!(&played_by, b"played");
}

#[test]
fn close_and_reset_happen_to_tcp_underneath() {
    let mut client = open("good.test", "/abrupt?end=close");
    assert_eq!(client.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let mut client = open("good.test", "/abrupt?end=reset");
    assert_eq!(client.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut client = open("good.test", "/raw?hex=8102&end=reset");
    assert_eq!(client.stream.read(&mut [0; 2]).unwrap(), 2);
    assert_eq!(client.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_write_is_a_record() {
    let mut client = open("good.test", "/raw?hex=8102686981026869&split=1");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"\x81\x02hi\x81\x02hi");
    let records = client.stream.sock.records();
    assert_eq!(records.iter().filter(|record| **record == (23, 18)).count(), 8, "{records:?}");
}

/// The record's lines without their times.
fn record(id: &str) -> Vec<String> {
    let text = http_get(&format!("/record/{id}"));
    text.lines().map(|line| line.split(" at_ms=").next().unwrap().to_owned()).collect()
}

#[test]
fn a_record_shows_decrypted_frames_and_the_close_notify() {
    let mut client = open("good.test", "/echo?id=wss-lawful");
    client.send(TEXT, b"hi");
    assert_eq!(client.receive(), Frame::new(TEXT, b"hi"));
    client.send(CLOSE, &Frame::close(4001, "bye").payload);
    assert_eq!(client.receive(), Frame::close(4001, "bye"));
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
    client.stream.conn.send_close_notify();
    client.stream.flush().unwrap();
    drop(client);
    let lines = record("wss-lawful");
    assert_eq!(lines[0], "end: fin");
    let events: Vec<_> = lines.iter().skip_while(|line| !line.starts_with("text ")).collect();
    assert_eq!(events.len(), 5, "{lines:?}");
    assert_eq!(events[0], "text fin=1 masked=1 mask=11223344 rsv=0 size=2 payload_hex=6869");
    assert!(events[1].starts_with("close fin=1 masked=1"));
    assert_eq!(events[2..], ["event: close_sent", "event: fin_sent", "event: close_notify_received"]);
}

#[test]
fn a_record_tells_an_end_without_close_notify_and_a_reset() {
    let client = open("good.test", "/echo?id=wss-truncated");
    client.stream.sock.tcp.shutdown(Shutdown::Both).unwrap();
    drop(client);
    let lines = record("wss-truncated");
    assert_eq!(lines[0], "end: fin");
    assert!(!lines.iter().any(|line| line.contains("close_notify")), "{lines:?}");

    let client = open("good.test", "/echo?id=wss-reset");
    socket2::SockRef::from(&client.stream.sock.tcp).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(record("wss-reset")[0], "end: reset");
}

#[test]
fn a_close_notify_first_is_answered() {
    let mut client = open("good.test", "/sink?id=wss-notify-first");
    client.stream.conn.send_close_notify();
    client.stream.flush().unwrap();
    client.stream.sock.tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0, "with a close_notify");
    let lines = record("wss-notify-first");
    assert_eq!((&*lines[0], &**lines.last().unwrap()), ("end: fin", "event: close_notify_received"));
}

#[test]
fn a_record_says_that_tls_failed() {
    let mut client = open("good.test", "/sink?id=wss-failed");
    // An application data record that nobody has encrypted.
    client.stream.sock.tcp.write_all(&[[23, 3, 3, 0, 32].as_slice(), &[0; 32]].concat()).unwrap();
    assert_alert(&client.stream.read(&mut [0]).unwrap_err(), AlertDescription::BadRecordMac);
    let lines = record("wss-failed");
    assert_eq!(lines[0], "end: local");
    assert!(lines.last().unwrap().starts_with("event: tls_failed reason=\""), "{lines:?}");
}

#[test]
fn a_server_that_feeds_reads_meanwhile() {
    let mut client = open("updates.test", "/count?n=0&size=100000&type=binary&id=wss-feeding");
    client.send(PING, b"while it feeds");
    let mut pongs = 0;
    for _ in 0..300 {
        let frame = client.receive();
        pongs += usize::from(frame.opcode == PONG);
        if pongs > 0 {
            break;
        }
    }
    assert_eq!(pongs, 1);
    drop(client);
    assert!(record("wss-feeding")[0].starts_with("end: "));
}

#[test]
fn tungstenite_speaks_wss() {
    let port = server().said("wss on 127.0.0.1:").to_owned();
    let url = format!("ws://localhost:{port}/echo?id=wss-tungstenite");
    let (mut socket, _) = tungstenite::client(url, secure("localhost", &config())).unwrap();
    for size in [0, 1, 16_384, 16_385, 300_000] {
        let text = "t".repeat(size);
        socket.send(tungstenite::Message::text(text.clone())).unwrap();
        assert_eq!(socket.read().unwrap().into_text().unwrap(), text);
    }
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    drop(socket);
    let lines = record("wss-tungstenite");
    assert!(lines.iter().any(|line| line.starts_with("counts: frames=6 text=5")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(" violations=0 ")), "{lines:?}");
}

#[test]
fn a_unix_socket_serves_the_same_routes() {
    let stream = UnixStream::connect(server().said("unix on ")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut client = Client::open_over(stream, "/tls?id=unix&receive_buffer=65536");
    assert_eq!(client.receive(), Frame::new(TEXT, b"version=none"));
    client.send(CLOSE, &Frame::close(4001, "bye").payload);
    assert_eq!(client.receive(), Frame::close(4001, "bye"));
    assert_eq!(client.rest(), (vec![], End::Fin));
    drop(client);
    assert_eq!(record("unix")[0], "end: fin");
}
