//! yawc: a sink of frames, `feed` and `flush`, and `next_frame`.

use bench::{Client, Expected, Failure, Job, Result, failed};
use bytes::Bytes;
use futures_util::SinkExt;
use std::process::ExitCode;
use yawc::close::CloseCode;
use yawc::{CompressionLevel, Frame, MAX_PAYLOAD_READ, OpCode, Options, TcpWebSocket, WebSocket};

struct Yawc {
    socket: TcpWebSocket,
    frame: Frame,
}

impl Client for Yawc {
    const NAME: &str = "yawc";

    async fn open(job: &Job) -> Result<Self> {
        let mut options = Options::default().with_no_delay();
        if job.payload.len() >= MAX_PAYLOAD_READ {
            options = options.with_max_payload_read(job.payload.len() + 1);
        }
        if job.deflate && job.payload.is_empty() {
            // With zlib-rs the library waits for output that never comes.
            return Err(Failure::Unsupported("an empty message with permessage-deflate"));
        }
        if job.deflate {
            options = options.with_compression_level(CompressionLevel::default());
        }
        let mut builder = WebSocket::connect(job.url.parse()?).with_options(options);
        if let Some(tls) = &job.tls {
            builder = builder.with_connector(tls.clone().into());
        }
        let payload = Bytes::from_static(job.payload);
        let frame = if job.is_text { Frame::text(payload) } else { Frame::binary(payload) };
        Ok(Self { socket: builder.await?, frame })
    }

    async fn feed(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.socket.feed(self.frame.clone()).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(SinkExt::<Frame>::flush(&mut self.socket).await?)
    }

    async fn receive(&mut self, count: u64, expected: &Expected) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let frame = self.socket.next_frame().await?;
            match frame.opcode() {
                OpCode::Text => expected.check(true, frame.payload())?,
                OpCode::Binary => expected.check(false, frame.payload())?,
                OpCode::Close => return failed("closed by the server"),
                _ => continue,
            }
            left -= 1;
        }
        Ok(())
    }

    /// The library tells of no end behind the answer, which it would answer in its turn.
    async fn close(mut self) -> Result<()> {
        self.socket.send(Frame::close(CloseCode::Normal, "")).await?;
        while self.socket.next_frame().await?.opcode() != OpCode::Close {}
        Ok(())
    }
}

fn main() -> ExitCode {
    bench::main_tokio::<Yawc>()
}
