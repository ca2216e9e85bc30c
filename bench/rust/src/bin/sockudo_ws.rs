//! sockudo-ws: a stream and a sink of messages, `feed` and `flush`. Its client offers no permessage-deflate,
//! so for that the handshake is put together of the parts that the library has.

use bench::{Client, Expected, Job, Result, Transport, failed};
use bytes::{Bytes, BytesMut};
use futures_util::future::Either;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::client::WebSocketClient;
use sockudo_ws::deflate::parse_deflate_offer;
use sockudo_ws::error::CloseReason;
use sockudo_ws::{
    CompressedWebSocketStream, Config, DeflateConfig, Http1, Message, WebSocketStream, handshake,
};
use std::process::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Compressed = CompressedWebSocketStream<Transport>;

struct Sockudo {
    socket: Either<WebSocketStream<Transport>, Compressed>,
    message: Message,
}

impl Client for Sockudo {
    const NAME: &str = "sockudo-ws";

    async fn open(job: &Job) -> Result<Self> {
        let stream = job.connect_tls().await?;
        let socket = if job.deflate {
            Either::Right(open_compressed(stream, job).await?)
        } else {
            let client = WebSocketClient::<Http1>::default_config();
            let (socket, _) = client.connect_raw(stream, &job.authority, &job.target, None).await?;
            Either::Left(socket)
        };
        let payload = Bytes::from_static(job.payload);
        let message = if job.is_text { Message::Text(payload) } else { Message::Binary(payload) };
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
                Message::Text(payload) => expected.check(true, &payload)?,
                Message::Binary(payload) => expected.check(false, &payload)?,
                _ => continue,
            }
            left -= 1;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        self.socket.send(Message::Close(Some(CloseReason::new(1000, "")))).await?;
        let mut is_answered = false;
        while let Some(message) = self.socket.next().await {
            is_answered |= message?.is_close();
        }
        if is_answered { Ok(()) } else { failed("an end without a close") }
    }
}

async fn open_compressed(mut stream: Transport, job: &Job) -> Result<Compressed> {
    let key = handshake::generate_key();
    let offer = Some("permessage-deflate; client_max_window_bits");
    let request = handshake::build_request(&job.authority, &job.target, &key, None, offer);
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut input = BytesMut::new();
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return failed("an end before the handshake");
        }
        let Some((response, size)) = handshake::parse_response(&input)? else { continue };
        if !response.accept.is_some_and(|accept| handshake::validate_accept_key(&key, accept)) {
            return failed("a wrong Sec-WebSocket-Accept");
        }
        let Some(parameters) = response.extensions.and_then(parse_deflate_offer) else {
            return failed("no permessage-deflate");
        };
        let deflate = DeflateConfig::from_params(&parameters)?;
        let rest = input.split_off(size).freeze();
        return Ok(Compressed::client_with_leftover(stream, Config::default(), deflate, Some(rest)));
    }
}

fn main() -> ExitCode {
    sockudo_ws::init_clock();
    bench::main_tokio::<Sockudo>()
}
