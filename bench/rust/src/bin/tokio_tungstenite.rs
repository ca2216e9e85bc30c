//! tokio-tungstenite: a stream and a sink of messages, `feed` and `flush`.

use bench::{Client, Expected, Job, Result, failed};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::process::ExitCode;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

struct TokioTungstenite {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    message: Message,
}

impl Client for TokioTungstenite {
    const NAME: &str = "tokio-tungstenite";

    async fn open(job: &Job) -> Result<Self> {
        job.refuse_deflate()?;
        let connector = job.tls.clone().map_or(Connector::Plain, Connector::Rustls);
        let (socket, _) = connect_async_tls_with_config(&job.url, None, true, Some(connector)).await?;
        let message = match job.text() {
            Some(text) => Message::Text(Utf8Bytes::from_static(text)),
            None => Message::Binary(Bytes::from_static(job.payload)),
        };
        Ok(Self { socket, message })
    }

    async fn feed(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.socket.feed(self.message.clone()).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.socket.flush().await?)
    }

    async fn receive(&mut self, count: u64, expected: &Expected) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let Some(message) = self.socket.next().await else { return failed("closed by the server") };
            match message? {
                Message::Text(text) => expected.check(true, text.as_bytes())?,
                Message::Binary(payload) => expected.check(false, &payload)?,
                _ => continue,
            }
            left -= 1;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        self.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await?;
        let mut is_answered = false;
        while let Some(message) = self.socket.next().await {
            match message {
                Ok(message) => is_answered |= message.is_close(),
                Err(_) if is_answered => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        if is_answered { Ok(()) } else { failed("an end without a close") }
    }
}

fn main() -> ExitCode {
    bench::main_tokio::<TokioTungstenite>()
}
