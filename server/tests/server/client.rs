//! The server under test and a client that sees bytes.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// No answer of the server takes so long.
pub const DEADLINE: Duration = Duration::from_secs(20);
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
/// The key of RFC 6455 §1.3 and the answer to it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A server's process and what it said before it was ready.
pub struct Started {
    pub child: Child,
    lines: Vec<String>,
}

pub fn start(arguments: &[&str]) -> Started {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsstream-test-server"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
    let count = if arguments.contains(&"--all") { usize::MAX } else { 1 };
    let lines = lines.by_ref().take(count).take_while(|line| line != "ready").collect();
    Started { child, lines }
}

impl Started {
    /// What follows the word, as in `ca at FILE`.
    pub fn said(&self, word: &str) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix(word)).unwrap()
    }

    pub fn port(&self) -> u16 {
        self.said("listening on 127.0.0.1:").parse().unwrap()
    }
}

/// The server that all tests share; it ends with this process.
pub fn server() -> &'static Started {
    static SERVER: OnceLock<Started> = OnceLock::new();
    SERVER.get_or_init(|| start(&["--all", "--until-stdin-ends"]))
}

pub fn tcp() -> TcpStream {
    tcp_to(server().port())
}

pub fn tcp_to(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The body of a plain GET.
pub fn http_get(path: &str) -> String {
    let mut stream = tcp();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(opcode: u8, payload: &[u8]) -> Frame {
        Frame { fin: true, opcode, payload: payload.to_vec() }
    }

    pub fn close(code: u16, reason: &str) -> Frame {
        Frame::new(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
    }
}

pub struct Client<S = TcpStream> {
    pub stream: S,
    pub head: String,
}

impl Client {
    /// Opens a connection and expects it to switch.
    pub fn open(path: &str) -> Client {
        let client = Client::request(path, "");
        assert!(client.head.starts_with("HTTP/1.1 101 "), "{}", client.head);
        client
    }

    /// Sends a request and reads one response head, or all there is until the end.
    pub fn request(path: &str, headers: &str) -> Client {
        let mut client = Client::send_request(path, headers);
        client.read_head();
        client
    }

    pub fn send_request(path: &str, headers: &str) -> Client {
        Client::send_request_over(tcp(), path, headers)
    }

    /// Whether nothing comes for a moment; only a failure takes less time.
    pub fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let result = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        result.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    /// Opens a connection over any stream of bytes and expects it to switch.
    pub fn open_over(stream: S, path: &str) -> Client<S> {
        let mut client = Client::send_request_over(stream, path, "");
        client.read_head();
        assert!(client.head.starts_with("HTTP/1.1 101 "), "{}", client.head);
        client
    }

    fn send_request_over(mut stream: S, path: &str, headers: &str) -> Client<S> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        Client { stream, head: String::new() }
    }

    pub fn read_head(&mut self) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && self.stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        self.head = String::from_utf8_lossy(&head).into_owned();
    }

    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.send_part(true, opcode, payload);
    }

    pub fn send_part(&mut self, fin: bool, opcode: u8, payload: &[u8]) {
        self.stream.write_all(&masked(fin, opcode, payload)).unwrap();
    }

    pub fn receive(&mut self) -> Frame {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(head[1] & 0x80, 0, "a server's frame is masked");
        let size = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            size => u64::from(size),
        };
        let mut payload = vec![0; size.try_into().unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        Frame { fin: head[0] & 0x80 != 0, opcode: head[0] & 0x7f, payload }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads to the end of TCP.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => (bytes, End::Fin),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (bytes, End::Reset),
            Err(error) => panic!("neither end nor reset: {error}"),
        }
    }
}

pub fn masked(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if fin { 0x80 | opcode } else { opcode }];
    match payload.len() {
        size @ 0..=125 => bytes.push(0x80 | size as u8),
        size @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
