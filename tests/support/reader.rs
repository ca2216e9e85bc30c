//! A thread of a test that reads messages to the end.

use super::{Call, FOREVER, Message, Status, Stream, until_spinning};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// It keeps what a test wants to know of each message.
pub struct Reader<T> {
    call: Call<(Vec<T>, Status)>,
    count: Arc<AtomicUsize>,
}

impl<T: Send + 'static> Reader<T> {
    pub fn begin(stream: &Stream, kept: fn(&Message) -> T) -> Self {
        let (share, count) = (stream.reference(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let count_too = move |message: &Message| {
            let kept = kept(message);
            counted.fetch_add(1, Relaxed);
            kept
        };
        Self { call: Call::begun(move || read_all(&share, FOREVER, count_too)), count }
    }

    /// Returns when it has so many messages.
    #[track_caller]
    pub fn wait_count(&self, count: usize) {
        until_spinning(|| self.call.is_finished() || self.count.load(Relaxed) >= count);
        assert!(self.count.load(Relaxed) >= count, "it has ended before");
    }

    /// The messages, and what ended it.
    #[track_caller]
    pub fn end(self) -> (Vec<T>, Status) {
        self.call.join()
    }
}

/// Reads until there is no message.
pub fn read_all<T>(stream: &Stream, timeout_ms: i64, kept: impl Fn(&Message) -> T) -> (Vec<T>, Status) {
    let mut messages = Vec::new();
    loop {
        match stream.read(timeout_ms) {
            Ok(message) => messages.push(kept(&message)),
            Err(status) => return (messages, status),
        }
    }
}
