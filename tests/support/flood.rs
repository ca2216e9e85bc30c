//! A peer that sends the same bytes as fast as they are taken.

use super::peer::Connection;
use super::until;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;

pub struct Flood {
    socket: TcpStream,
    sent: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Sends `first`, then `unit` over and over. `takes`: receives what the client sends as well.
    pub fn begin(connection: Connection, first: &[u8], unit: &[u8], takes: bool) -> Self {
        let mut socket = connection.socket.tcp;
        socket.write_all(first).expect("the client takes it");
        let share = || socket.try_clone().expect("a descriptor");
        let sent = Arc::new(AtomicUsize::new(0));
        let (mut to, count, batch) = (share(), Arc::clone(&sent), unit.repeat(1 + (64 << 10) / unit.len()));
        let mut threads = vec![std::thread::spawn(move || {
            while to.write_all(&batch).is_ok() {
                count.fetch_add(batch.len(), Relaxed);
            }
        })];
        if takes {
            let (mut from, mut bytes) = (share(), vec![0; 64 << 10]);
            from.set_read_timeout(None).expect("no time limit");
            threads
                .push(std::thread::spawn(move || while from.read(&mut bytes).is_ok_and(|size| size > 0) {}));
        }
        Self { socket, sent, threads }
    }

    /// How many bytes the system took.
    pub fn sent(&self) -> usize {
        self.sent.load(Relaxed)
    }

    /// Returns when so many more were taken.
    pub fn goes_on(&self, size: usize) {
        let before = self.sent();
        until(|| self.sent() - before >= size);
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
