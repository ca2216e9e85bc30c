//! fastwebsockets: `write_frame` and `read_frame`. Each frame is a write of its own, so what gathers is a
//! buffered stream beneath, which `flush` is there for.

use bench::{Client, Expected, Job, Result, failed};
use fastwebsockets::{Frame, OpCode, Payload, WebSocket, handshake};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::process::ExitCode;
use tokio::io::BufWriter;

/// How much the stream beneath gathers.
const BUFFER_SIZE: usize = 1 << 16;

struct FastWebSockets {
    socket: WebSocket<TokioIo<Upgraded>>,
    payload: &'static [u8],
    /// The library masks where the payload lies, so each message is put here anew.
    masked: Vec<u8>,
    opcode: OpCode,
}

impl Client for FastWebSockets {
    const NAME: &str = "fastwebsockets";

    async fn open(job: &Job) -> Result<Self> {
        job.refuse_deflate()?;
        let stream = job.connect_tls().await?;
        let request = Request::get(&job.target)
            .header(HOST, &job.authority)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header(SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::<Bytes>::new())?;
        let executor = TokioExecutor::new();
        let (socket, _) = if job.gather {
            let stream = BufWriter::with_capacity(BUFFER_SIZE, stream);
            handshake::client(&executor, request, stream).await?
        } else {
            handshake::client(&executor, request, stream).await?
        };
        let opcode = if job.is_text { OpCode::Text } else { OpCode::Binary };
        Ok(Self { socket, payload: job.payload, masked: job.payload.to_vec(), opcode })
    }

    async fn feed(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.masked.copy_from_slice(self.payload);
            let frame = Frame::new(true, self.opcode, None, Payload::BorrowedMut(&mut self.masked));
            self.socket.write_frame(frame).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.socket.flush().await?)
    }

    async fn receive(&mut self, count: u64, expected: &Expected) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let frame = self.socket.read_frame().await?;
            match frame.opcode {
                OpCode::Text if frame.fin => expected.check(true, &frame.payload)?,
                OpCode::Binary if frame.fin => expected.check(false, &frame.payload)?,
                OpCode::Close => return failed("closed by the server"),
                OpCode::Ping | OpCode::Pong => continue,
                _ => return failed("a message in fragments"),
            }
            left -= 1;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        self.socket.write_frame(Frame::close(1000, b"")).await?;
        self.flush().await?;
        let mut is_answered = false;
        loop {
            match self.socket.read_frame().await {
                Ok(frame) => is_answered |= frame.opcode == OpCode::Close,
                Err(_) if is_answered => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn main() -> ExitCode {
    bench::main_tokio::<FastWebSockets>()
}
