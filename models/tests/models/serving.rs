//! What the holder of the write word sees to before letting go, as `src/stream/serve.rs` has it.

use super::kernel::Command;
use super::stream::{Bug, Cause, Control, OUR_CLOSE, PONG, Stream, WRITABLE, WriteSide};
use loom::sync::atomic::Ordering;
use wsstream_models::proto::closing::{Input, State};
use wsstream_models::stream::write_word::{Unlock, WRITER, Writing};

/// `Locked`.
pub struct Locked<'a> {
    stream: &'a Stream,
    held: Option<Writing<'a, WriteSide>>,
    writer: bool,
}

impl Drop for Locked<'_> {
    /// Only in unwinding, when the model has failed already.
    fn drop(&mut self) {
        std::mem::forget(self.held.take());
    }
}

impl<'a> Locked<'a> {
    pub fn new(stream: &'a Stream, held: Writing<'a, WriteSide>, writer: bool) -> Self {
        Self { stream, held: Some(held), writer }
    }

    pub fn side(&mut self) -> &mut WriteSide {
        self.held.as_mut().expect("held until it is let go")
    }

    pub fn assert_seated(&self) {
        assert!(!self.writer || self.stream.write_word() & WRITER != 0, "a write call has lost its seat");
    }

    pub fn unlock_quietly(mut self) -> Result<(), Self> {
        let stream = self.stream;
        self.assert_seated();
        let Some(held) = self.held.take() else { return Ok(()) };
        let unsent = held.unsent();
        stream.unsent.store(unsent, Ordering::Relaxed);
        let (out, held_back) = (held.is_blocked, unsent > 0 && !held.is_blocked);
        stream.assert_alive();
        if held.broken || held.is_deferred {
            self.held = Some(held);
            return Err(self);
        }
        stream.write.unlock_quietly(held, out, held_back).map_err(|held| {
            self.held = Some(held);
            self
        })
    }

    pub fn unlock(mut self, stays: bool) {
        let stream = self.stream;
        let _inside = stream.inside();
        let mut broken = false;
        while let Some(mut held) = self.held.take() {
            if held.is_deferred && !held.in_frame && held.leftover() == 0 {
                stream.serve(&mut held);
            }
            if held.broken && !held.is_broken_told {
                // Before the word is let go: the reader may meet the end at once, and this says why.
                stream.control().send_failed |= !stream.has(Bug::ToldAfterUnlock);
                broken = true;
                held.is_broken_told = true;
            }
            if stream.has(Bug::HoleForgotten) {
                held.broken = false;
            }
            if stream.has_settled() {
                held.drop_unsent();
            }
            let has_socket = held.transport.is_some();
            let unsent = held.unsent();
            stream.unsent.store(unsent, Ordering::Relaxed);
            let unlock = Unlock {
                writer: self.writer && !stays,
                out: held.is_blocked && !stays && !stream.has(Bug::RestNotArmed),
                held: held.leftover() > 0 && !held.is_blocked,
                wake: unsent <= stream.setup.write_mark,
            };
            let unsent_bytes = stream.has(Bug::SentAfterUnlock).then(|| std::mem::take(&mut held.out));
            match stream.write.unlock(held, unlock) {
                Ok(unlocked) => {
                    if let Some(bytes) = unsent_bytes {
                        let _ = stream.kernel().send(&bytes);
                    }
                    if unlocked.wake {
                        stream.notify(WRITABLE);
                    }
                    if unlocked.list {
                        stream.kernel().ask(Command::List);
                    }
                    if unlocked.arm || (has_socket && stream.has_settled()) {
                        stream.kernel().ask(Command::Nudge);
                    }
                }
                Err(held) => {
                    self.held = Some(held);
                    stream.serve(self.side());
                }
            }
        }
        if broken {
            stream.handle_send_failed();
        }
    }
}

impl Stream {
    pub fn serve_posted(&self) {
        self.assert_alive();
        if self.has(Bug::FlagBesideLock) {
            // What is due is in `control`; who holds the lock may have looked there already.
            if let Ok(held) = self.write.lock() {
                let mut locked = Locked::new(self, held, false);
                self.serve(locked.side());
                locked.unlock(false);
            }
            return;
        }
        if let Some(held) = self.write.post() {
            Locked::new(self, held, false).unlock(false);
        }
    }

    pub fn serve_now(&self) {
        let mut locked = Locked::new(self, self.lock_write(), false);
        self.serve(locked.side());
        locked.unlock(false);
    }

    pub fn serve(&self, side: &mut WriteSide) {
        side.send(self);
        let mut control = self.control();
        if std::mem::take(&mut control.failing) {
            if !side.in_frame && side.leftover() == 0 && !side.close_framed {
                frame_pongs(side, &mut control);
            }
            self.serve_failure(side, &mut control);
            return;
        }
        if side.in_frame {
            side.is_deferred = control.is_due();
            if control.state == State::ReplyDue {
                self.serve_close(side, &mut control);
            }
            return;
        }
        if side.close_framed {
            // Nothing follows our Close.
            control.pongs = 0;
        }
        while side.leftover() == 0 && !side.broken && !side.close_framed && control.pongs > 0 {
            frame_pongs(side, &mut control);
            side.send(self);
        }
        self.serve_close(side, &mut control);
        // What could not be framed now is seen to when the bytes before it have gone.
        side.is_deferred = control.is_due() && !self.has(Bug::DeferredForgotten);
    }

    fn serve_close(&self, side: &mut WriteSide, control: &mut Control) {
        let is_reply = control.state == State::ReplyDue;
        if is_reply && side.in_message {
            self.end_unsent(side, control);
            return;
        }
        if !side.in_message && !side.broken && std::mem::take(&mut control.close) {
            // RFC 6455 §5.5.2: only a Close that was received excuses from answering a ping.
            if !is_reply {
                frame_pongs(side, control);
            }
            side.out.push(OUR_CLOSE);
            side.close_framed = true;
            side.send(self);
        }
        if side.close_framed && side.leftover() == 0 && !side.broken {
            // `handle_close_written`; the wait for the end of TCP is bounded by a deadline.
            control.step(Input::CloseWritten);
        } else if is_reply && !side.broken {
            self.end_unsent(side, control);
        }
    }

    fn end_unsent(&self, side: &mut WriteSide, control: &mut Control) {
        side.drop_unsent();
        self.settle_failed(control, false, Cause::Other);
    }

    fn serve_failure(&self, side: &mut WriteSide, control: &mut Control) {
        if !side.in_frame && !side.close_framed && !side.broken {
            side.out.push(OUR_CLOSE);
            side.close_framed = true;
            side.send(self);
        }
        let linger = self.setup.lingers && !side.in_frame && side.leftover() == 0 && !side.broken;
        self.settle_failed(control, linger, Cause::Failure);
        side.drop_unsent();
    }

    fn settle_failed(&self, control: &mut Control, linger: bool, cause: Cause) {
        let action = control.step(Input::Failed);
        self.settle_by(control, action, linger, cause);
    }

    /// The socket refuses bytes: the reading half says why the connection ended.
    fn handle_send_failed(&self) {
        self.control().send_failed |= self.has(Bug::ToldAfterUnlock);
        if !self.drain_after_send_failed() {
            // Another thread reads, or this one further up: it meets the end, whatever the socket knows of it.
            if !self.has(Bug::BrokenUntold) {
                self.kernel().shut_down();
            }
        } else if !self.has_settled() {
            self.handle_transport_ended(false);
        }
    }
}

fn frame_pongs(side: &mut WriteSide, control: &mut Control) {
    side.out.extend(vec![PONG; std::mem::take(&mut control.pongs)]);
}
