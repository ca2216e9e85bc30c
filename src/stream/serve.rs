//! What whoever holds the write word sees to before letting go: pongs, our Close, the end of a connection that fails.
//!
//! A thread that has only such a thing posts it in `control` and sets CTRL; it never waits for the lock. Control frames go
//! between frames, never inside one, and our Close behind the last whole message.

use super::control::Control;
use super::status::Cause;
use super::write_side::WriteSide;
use super::write_word::{Unlock, Writing};
use super::{Ending, Stream, WRITABLE, log};
use crate::net::Transport;
use crate::proto::close::CloseRequest;
use crate::proto::closing::State;
use crate::proto::opcode::Opcode;
use std::sync::atomic::Ordering;

/// The lock of the write word; dropped in unwinding it fails the stream.
pub(super) struct Locked<'a> {
    stream: &'a Stream,
    held: Option<Writing<'a, WriteSide>>,
    /// The write call's seat goes with the lock.
    writer: bool,
}

impl<'a> Locked<'a> {
    pub fn new(stream: &'a Stream, held: Writing<'a, WriteSide>, writer: bool) -> Self {
        Self { stream, held: Some(held), writer }
    }

    #[inline]
    pub fn side(&mut self) -> &mut WriteSide {
        self.held.as_mut().expect("held until it is let go")
    }

    /// Lets go where nothing is left to do; the short way of a small write. False: it is still held.
    #[inline(always)]
    pub fn unlock_quietly(&mut self) -> bool {
        let stream = self.stream;
        let held = self.side();
        let unsent = held.unsent();
        stream.unsent.store(unsent, Ordering::Relaxed);
        let (out, held_back) = (held.is_blocked, (unsent > 0 && !held.is_blocked) || held.has_memory());
        if held.broken.is_some() || held.is_deferred {
            return false;
        }
        let Some(held) = self.held.take() else { return true };
        self.held = stream.write.unlock_quietly(held, out, held_back).err();
        self.held.is_none()
    }

    /// Lets go after what was posted has been seen to. `stays`: the write call keeps its seat and sends the rest.
    pub fn unlock(mut self, stays: bool) {
        let stream = self.stream;
        let _inside = stream.inside();
        let mut is_broken = false;
        let mut transport = None;
        while let Some(mut held) = self.held.take() {
            if held.is_deferred && !held.in_frame && held.leftover() == 0 {
                self.held = Some(held);
                stream.serve(self.side());
                let Some(served) = self.held.take() else { return };
                held = served;
            }
            if let (Some(error), false) = (&held.broken, held.is_broken_told) {
                // Before the word is let go: the reader may meet the end at once, and this says why.
                stream.control().send_failed.get_or_insert_with(|| Box::new(Ending::broken(error)));
                is_broken = true;
                held.is_broken_told = true;
                transport = held.transport.clone();
            }
            if stream.closed.info().is_some() {
                held.drop_unsent();
            }
            let unsent = held.unsent();
            let has_socket = held.transport.is_some();
            stream.unsent.store(unsent, Ordering::Relaxed);
            let unlock = Unlock {
                writer: self.writer && !stays,
                out: held.is_blocked && !stays,
                held: (held.leftover() > 0 && !held.is_blocked) || held.has_memory(),
                wake: unsent <= stream.limits.write_buffer_size,
            };
            match stream.write.unlock(held, unlock) {
                Ok(unlocked) => {
                    if unlocked.wake {
                        stream.notify(WRITABLE);
                    }
                    if unlocked.list {
                        stream.runtime.list(stream.key);
                    }
                    if unlocked.arm || (has_socket && stream.closed.info().is_some()) {
                        stream.runtime.nudge(stream.key);
                    }
                }
                Err(held) => {
                    self.held = Some(held);
                    stream.serve(self.side());
                }
            }
        }
        if is_broken {
            stream.handle_send_failed(transport.as_deref());
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take() {
            let _inside = self.stream.inside();
            // First: nobody goes on with what the panic has left, nor sends it.
            self.stream.fail_internal();
            held.drop_unsent();
            drop(held);
            if self.writer {
                self.stream.write.rise();
            }
            // Again, for those who found it locked.
            self.stream.notify(u32::MAX);
        }
    }
}

impl Stream {
    /// Sees to what was posted, or leaves it to the holder of the write word.
    pub(super) fn serve_posted(&self) {
        if let Some(held) = self.write.post() {
            Locked::new(self, held, false).unlock(false);
        }
    }

    /// Sees to what was posted without leaving it to another holder of the write word: waits for that one to let go.
    pub(super) fn serve_now(&self) {
        let mut locked = Locked::new(self, self.lock_write(), false);
        self.serve(locked.side());
        locked.unlock(false);
    }

    /// Frames and sends what is due beside messages: pongs, our Close, the end of a connection that fails.
    pub(super) fn serve(&self, side: &mut WriteSide) {
        crate::fault::point("stream.serve");
        side.send();
        let mut control = self.control();
        if side.is_connecting && (!side.is_blocked || side.sent.wire > 0) && side.broken.is_none() {
            side.is_connecting = false;
            self.note_connected(
                &mut control,
                side.transport.as_ref().is_some_and(|transport| transport.is_secure()),
            );
        }
        if let Some((ending, code)) = control.failing.take().map(|failing| *failing) {
            if !side.in_frame && side.leftover() == 0 && side.close_framed.is_none() {
                self.frame_pongs(side, &mut control);
            }
            self.serve_failure(side, &mut control, ending, code);
            return;
        }
        if side.in_frame {
            side.is_deferred = control.is_due();
            if control.state == State::ReplyDue {
                self.serve_close(side, &mut control);
            }
            return;
        }
        if side.close_framed.is_some() {
            // Nothing follows our Close.
            control.pongs.clear();
            control.keepalive.is_due = false;
        }
        if control.keepalive.is_due && side.leftover() == 0 && side.broken.is_none() {
            let payload = control.keepalive.begin_ping();
            if side.frame_control(Opcode::Ping, &payload).is_err() {
                let ending = Ending::resource("The system refused memory or random bytes for a ping.");
                self.serve_failure(side, &mut control, ending, None);
                return;
            }
            self.log(log::TRACE, || "sent a ping".to_owned());
            side.send();
            self.note_ping(&mut control, side.leftover() == 0);
        }
        while side.leftover() == 0 && side.broken.is_none() && side.close_framed.is_none() {
            let Some(pong) = control.pongs.pop_front() else { break };
            if side.frame_control(Opcode::Pong, &pong.payload[..pong.size]).is_err() {
                let ending = Ending::resource("The system refused memory or random bytes for a pong.");
                self.serve_failure(side, &mut control, ending, None);
                return;
            }
            // All that are due leave together.
            if let Some(next) = control.pongs.pop_front() {
                control.pongs.push_front(next);
                self.frame_pongs(side, &mut control);
            }
            side.send();
        }
        self.serve_close(side, &mut control);
        // What could not be framed now is seen to when the bytes before it have gone.
        side.is_deferred = control.is_due();
    }

    fn frame_pongs(&self, side: &mut WriteSide, control: &mut Control) {
        while let Some(pong) = control.pongs.pop_front() {
            if side.frame_control(Opcode::Pong, &pong.payload[..pong.size]).is_err() {
                return;
            }
        }
    }

    fn serve_close(&self, side: &mut WriteSide, control: &mut Control) {
        let is_reply = control.state == State::ReplyDue;
        if is_reply && side.is_unfinished() {
            self.end_unsent(side, control);
            return;
        }
        if !side.in_message && side.broken.is_none() {
            if let Some(close) = control.close.take() {
                side.outgoing.give_up();
                // RFC 6455 §5.5.2: only a Close that was received excuses from answering a ping.
                if !is_reply {
                    self.frame_pongs(side, control);
                }
                if side.frame_close(&close).is_err() {
                    let ending = Ending::resource("The system refused memory or random bytes for the Close.");
                    self.settle_failed(control, ending, false);
                    return;
                }
                side.send();
            }
        }
        if let (Some(code), 0, None) = (side.close_framed, side.leftover(), &side.broken) {
            self.handle_close_written(control, code);
        } else if is_reply && side.broken.is_none() {
            // K08: what the socket does not take now is unfinished; no Close goes inside a frame.
            self.end_unsent(side, control);
        }
    }

    fn end_unsent(&self, side: &mut WriteSide, control: &mut Control) {
        side.drop_unsent();
        let ending = Ending::new(Cause::Unsent, "The peer's Close came while a write was unfinished.");
        self.settle_failed(control, ending, false);
    }

    fn serve_failure(&self, side: &mut WriteSide, control: &mut Control, ending: Ending, code: Option<u16>) {
        if let (Some(code), false, None, None) = (code, side.in_frame, side.close_framed, &side.broken) {
            let close = CloseRequest { code: Some(code), reason: String::new() };
            if side.frame_close(&close).is_ok() {
                side.send();
                if side.leftover() == 0 && side.broken.is_none() {
                    control.sent_code = code;
                }
            }
        }
        // What was sent reaches the peer only if nothing that it sends is left unread when the socket closes.
        let linger = code.is_some() && !side.in_frame && side.leftover() == 0 && side.broken.is_none();
        if linger {
            if let Some(transport) = &side.transport {
                transport.end_sending();
            }
        }
        self.settle_failed(control, ending, linger);
        side.drop_unsent();
    }

    /// The socket refuses bytes: the reading half says why the connection ended, a Close among them.
    fn handle_send_failed(&self, transport: Option<&Transport>) {
        if !self.drain_after_send_failed() {
            // Another thread reads, or this one further up: it meets the end, whatever the socket knows of it.
            if let Some(transport) = transport {
                transport.end();
            }
        } else if self.closed.info().is_none() {
            self.handle_transport_ended(None);
        }
    }
}
