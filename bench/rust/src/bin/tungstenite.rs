//! tungstenite: blocking, `write` and `flush`.

use bench::{Client, Expected, Job, Result, failed};
use bytes::Bytes;
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Connector, Message, Utf8Bytes, WebSocket, client_tls_with_config};

struct Tungstenite {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    message: Message,
}

impl Client for Tungstenite {
    const NAME: &str = "tungstenite";

    async fn open(job: &Job) -> Result<Self> {
        job.refuse_deflate()?;
        let stream = TcpStream::connect((job.host.as_str(), job.port))?;
        stream.set_nodelay(true)?;
        let connector = job.tls.clone().map_or(Connector::Plain, Connector::Rustls);
        let (socket, _) = client_tls_with_config(&job.url, stream, None, Some(connector))?;
        let message = match job.text() {
            Some(text) => Message::Text(Utf8Bytes::from_static(text)),
            None => Message::Binary(Bytes::from_static(job.payload)),
        };
        Ok(Self { socket, message })
    }

    async fn feed(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.socket.write(self.message.clone())?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.socket.flush()?)
    }

    async fn receive(&mut self, count: u64, expected: &Expected) -> Result<()> {
        let mut left = count;
        while left > 0 {
            match self.socket.read()? {
                Message::Text(text) => expected.check(true, text.as_bytes())?,
                Message::Binary(payload) => expected.check(false, &payload)?,
                Message::Close(_) => return failed("closed by the server"),
                _ => continue,
            }
            left -= 1;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        self.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))?;
        let mut is_answered = false;
        loop {
            match self.socket.read() {
                Ok(message) => is_answered |= message.is_close(),
                Err(_) if is_answered => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn rest(time: Duration) {
        std::thread::sleep(time);
    }
}

fn main() -> ExitCode {
    bench::main_blocking::<Tungstenite>()
}
