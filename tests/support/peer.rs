//! A server whose every byte a test decides, for what the test server cannot be asked to do.

use super::{deadline, hex};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

pub struct Peer {
    listener: TcpListener,
}

impl Peer {
    /// Listens; its connections receive into a small buffer if `receive_buffer` says so.
    pub fn new(receive_buffer: Option<usize>) -> Self {
        deadline::begin();
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).expect("a small buffer");
        }
        let address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&address.into()).expect("a free port");
        socket.listen(64).expect("listens");
        Self { listener: socket.into() }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/", self.listener.local_addr().expect("bound"))
    }

    /// A connection whose request has been read.
    pub fn accept(&self) -> Connection {
        let (mut socket, _) = self.listener.accept().expect("a client");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        socket.set_nodelay(true).expect("no delay");
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            socket.read_exact(&mut byte).expect("a request");
            request.push(byte[0]);
        }
        Connection { socket, request: String::from_utf8(request).expect("ASCII") }
    }

    /// An open connection.
    pub fn open(&self) -> Connection {
        let mut connection = self.accept();
        connection.switch(b"");
        connection
    }
}

pub struct Connection {
    pub socket: TcpStream,
    request: String,
}

/// A frame of the client, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Connection {
    /// Answers the handshake, with more bytes in the same write.
    pub fn switch(&mut self, more: &[u8]) {
        let key = self.request.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
        });
        let accept = tungstenite::handshake::derive_accept_key(key.expect("a key").as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), more].concat());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the client takes it");
    }

    /// The next frame; None at the end of TCP.
    pub fn receive(&mut self) -> Option<Received> {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).ok()?;
        assert!(head[1] & 0x80 != 0, "masked: {}", hex(&head));
        let size = match head[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(self.exactly())),
            127 => u64::from_be_bytes(self.exactly()),
            size => u64::from(size),
        };
        let mask: [u8; 4] = self.exactly();
        let mut payload = vec![0; usize::try_from(size).expect("a size")];
        self.socket.read_exact(&mut payload).ok()?;
        // Zipped in fours: large payloads in a build without optimisation.
        for four in payload.chunks_mut(4) {
            four.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        Some(Received { first: head[0], payload })
    }

    fn exactly<const SIZE: usize>(&mut self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        self.socket.read_exact(&mut bytes).expect("a whole header");
        bytes
    }
}

/// The whole frames in what a client has sent behind its handshake; what is cut off at the end is left out.
pub fn whole_frames(mut bytes: &[u8]) -> Vec<Received> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(second & 0x80 != 0, "masked: {}", hex(&bytes[..2]));
        let digits = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((size, rest)) = rest.split_at_checked(digits) else { break };
        let size = match digits {
            0 => usize::from(second & 0x7F),
            _ => size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte)),
        };
        let Some((mask, rest)) = rest.split_at_checked(4) else { break };
        let Some((payload, rest)) = rest.split_at_checked(size) else { break };
        let mut payload = payload.to_vec();
        for four in payload.chunks_mut(4) {
            four.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        frames.push(Received { first: *first, payload });
        bytes = rest;
    }
    frames
}

/// A frame as a server sends it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let text = super::frame(first, payload);
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}
