//! tokio-websockets: a stream and a sink of messages, `feed` and `flush`.

use bench::{Client, Expected, Job, Result, failed};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::process::ExitCode;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, CloseCode, Connector, MaybeTlsStream, Message, WebSocketStream};

struct TokioWebSockets {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    message: Message,
}

impl Client for TokioWebSockets {
    const NAME: &str = "tokio-websockets";

    async fn open(job: &Job) -> Result<Self> {
        job.refuse_deflate()?;
        let connector = job.tls.clone().map_or(Connector::Plain, |tls| Connector::Rustls(tls.into()));
        let stream = connector.wrap(&job.host, job.connect().await?).await?;
        let (socket, _) = ClientBuilder::new().uri(&job.url)?.connect_on(stream).await?;
        let payload = Bytes::from_static(job.payload);
        let message = if job.is_text { Message::text(payload) } else { Message::binary(payload) };
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
            let message = message?;
            if message.is_text() || message.is_binary() {
                expected.check(message.is_text(), message.as_payload())?;
                left -= 1;
            }
        }
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        self.socket.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await?;
        let mut is_answered = false;
        while let Some(message) = self.socket.next().await {
            is_answered |= message?.is_close();
        }
        if is_answered { Ok(()) } else { failed("an end without a close") }
    }
}

fn main() -> ExitCode {
    bench::main_tokio::<TokioWebSockets>()
}
