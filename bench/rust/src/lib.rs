//! What the clients in Rust share; ../README.md is the contract. A client tells how its library opens, sends,
//! receives and closes; the works, their checks and what is measured are here, once for all.

mod job;
mod measure;

pub use job::{Job, Transport, Work};

use measure::{Measure, Outcome};
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How much is gathered before it has to leave.
const GATHERED_MAX: usize = 1 << 16;

/// How long idle connections rest.
const REST: Duration = Duration::from_secs(2);

/// Why a client has no result.
pub enum Failure {
    /// The library has no such thing.
    Unsupported(&'static str),
    /// The library, the system or a check has failed.
    Failed(String),
}

pub type Result<T> = std::result::Result<T, Failure>;

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A failure of a check.
pub fn failed<T>(text: impl Into<String>) -> Result<T> {
    Err(Failure::Failed(text.into()))
}

/// What a received message has to be.
pub struct Expected {
    is_text: bool,
    payload: &'static [u8],
}

impl Expected {
    /// Whether a whole message counts: its kind, its size, its first and its last byte.
    #[inline(always)]
    pub fn check(&self, is_text: bool, payload: &[u8]) -> Result<()> {
        let Self { is_text: expected_text, payload: expected } = *self;
        if payload.len() == expected.len()
            && is_text == expected_text
            && payload.first() == expected.first()
            && payload.last() == expected.last()
        {
            return Ok(());
        }
        self.tell(is_text, payload.len())
    }

    #[cold]
    fn tell(&self, is_text: bool, size: usize) -> Result<()> {
        let expected = self.payload.len();
        if size != expected {
            failed(format!("a message of {size} bytes, not {expected}"))
        } else if is_text != self.is_text {
            failed("a message of the wrong kind")
        } else {
            failed("a message with other bytes")
        }
    }
}

/// One connection of a library. It always sends the message of its job. What is done often is a loop of the
/// client, as a program would have it: nothing of the benchmark is between two messages but the check.
#[expect(async_fn_in_trait, reason = "one thread, and only the clients here implement it")]
pub trait Client: Sized {
    /// The name of the library's crate.
    const NAME: &str;

    async fn open(job: &Job) -> Result<Self>;

    /// Sends messages that may wait for others until `flush`.
    async fn feed(&mut self, count: u64) -> Result<()>;

    async fn flush(&mut self) -> Result<()>;

    /// Sends a message that leaves at once.
    async fn send(&mut self) -> Result<()> {
        self.feed(1).await?;
        self.flush().await
    }

    /// Receives messages and checks each.
    async fn receive(&mut self, count: u64, expected: &Expected) -> Result<()>;

    /// Closes with 1000 and waits for the end.
    async fn close(self) -> Result<()>;

    async fn rest(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The whole `main` of a client whose library needs tokio: one runtime in this thread.
pub fn main_tokio<C: Client>() -> ExitCode {
    finish(Job::from_arguments().and_then(|job| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(perform::<C>(&job))
    }))
}

/// The whole `main` of a client whose library blocks.
pub fn main_blocking<C: Client>() -> ExitCode {
    finish(Job::from_arguments().and_then(|job| {
        let mut work = pin!(perform::<C>(&job));
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => failed("a blocking library has waited"),
        }
    }))
}

fn finish(result: Result<Outcome>) -> ExitCode {
    let (text, status) = match result {
        Ok(outcome) => {
            println!("{outcome}");
            return ExitCode::SUCCESS;
        }
        Err(Failure::Unsupported(what)) => (format!("unsupported: {what}"), 3),
        Err(Failure::Failed(why)) => (format!("failed: {why}"), 1),
    };
    eprintln!("{}", text.replace('\n', " "));
    ExitCode::from(status)
}

async fn perform<C: Client>(job: &Job) -> Result<Outcome> {
    let outcome = match job.work {
        Work::Echo => echo::<C>(job).await?,
        Work::Pipeline => pipeline::<C>(job).await?,
        Work::Receive => receive::<C>(job).await?,
        Work::Send => send::<C>(job).await?,
        Work::Open => open::<C>(job).await?,
        Work::Idle => idle::<C>(job).await?,
    };
    Ok(outcome.of(C::NAME, job.count))
}

async fn echo<C: Client>(job: &Job) -> Result<Outcome> {
    let mut client = C::open(job).await?;
    for _ in 0..job.count / 10 {
        round_trip(job, &mut client).await?;
    }
    // Filled, so that no page is new while it is measured.
    let mut latencies = vec![u64::MAX; usize::try_from(job.count)?];
    let measure = Measure::begin();
    let mut before = Instant::now();
    for latency in &mut latencies {
        round_trip(job, &mut client).await?;
        let now = Instant::now();
        *latency = (now - before).as_nanos() as u64;
        before = now;
    }
    let outcome = measure.end().with_latencies(latencies);
    client.close().await?;
    Ok(outcome)
}

async fn pipeline<C: Client>(job: &Job) -> Result<Outcome> {
    let mut client = C::open(job).await?;
    let measure = Measure::begin();
    let mut left = job.count;
    while left > 0 {
        let batch = left.min(job.window);
        send_many(job, &mut client, batch).await?;
        client.receive(batch, &job.expected()).await?;
        left -= batch;
    }
    let outcome = measure.end();
    client.close().await?;
    Ok(outcome)
}

async fn receive<C: Client>(job: &Job) -> Result<Outcome> {
    let mut client = C::open(job).await?;
    let measure = Measure::begin();
    client.send().await?;
    client.receive(job.count, &job.expected()).await?;
    let outcome = measure.end();
    client.close().await?;
    Ok(outcome)
}

async fn send<C: Client>(job: &Job) -> Result<Outcome> {
    let mut client = C::open(job).await?;
    let measure = Measure::begin();
    send_many(job, &mut client, job.count).await?;
    client.receive(1, &Expected { is_text: false, payload: b"x" }).await?;
    let outcome = measure.end();
    client.close().await?;
    Ok(outcome)
}

async fn open<C: Client>(job: &Job) -> Result<Outcome> {
    let measure = Measure::begin();
    for _ in 0..job.count {
        C::open(job).await?.close().await?;
    }
    Ok(measure.end())
}

async fn idle<C: Client>(job: &Job) -> Result<Outcome> {
    let count = usize::try_from(job.count)?;
    measure::allow_files(job.count + 64)?;
    let memory = measure::private_memory()?;
    let measure = Measure::begin();
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = C::open(job).await?;
        round_trip(job, &mut client).await?;
        clients.push(client);
    }
    C::rest(REST).await;
    let outcome = measure.end();
    Ok(outcome.with_memory(measure::private_memory()?.saturating_sub(memory) / job.count))
}

async fn round_trip<C: Client>(job: &Job, client: &mut C) -> Result<()> {
    client.send().await?;
    client.receive(1, &job.expected()).await
}

async fn send_many<C: Client>(job: &Job, client: &mut C, count: u64) -> Result<()> {
    if !job.gather {
        for _ in 0..count {
            client.send().await?;
        }
        return Ok(());
    }
    let at_once = GATHERED_MAX.div_ceil(job.payload.len().max(1)) as u64;
    let mut left = count;
    while left > 0 {
        let fed = left.min(at_once);
        client.feed(fed).await?;
        client.flush().await?;
        left -= fed;
    }
    Ok(())
}
