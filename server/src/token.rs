//! Tokens by which one connection lets another go on, so that tests order events without sleeping.
//!
//! A token once released stays released: the order of release and wait does not matter.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Tokens remembered; the oldest goes first.
const TOKENS_MAX: usize = 4096;

/// The released tokens.
#[derive(Default)]
pub struct Tokens {
    released: Mutex<VecDeque<String>>,
    changed: Condvar,
}

impl Tokens {
    /// Lets everybody go on who waits for `token`, now or later.
    pub fn release(&self, token: String) {
        let mut released = self.released.lock().expect("no holder of the tokens panics");
        if released.len() >= TOKENS_MAX {
            released.pop_front();
        }
        released.push_back(token);
        drop(released);
        self.changed.notify_all();
    }

    /// Waits until `token` is released, at most for `wait`.
    pub fn wait(&self, token: &str, wait: Duration) {
        let released = self.released.lock().expect("no holder of the tokens panics");
        let is_held = |released: &mut VecDeque<String>| !released.iter().any(|word| word == token);
        let _released = self.changed.wait_timeout_while(released, wait, is_held);
    }
}
