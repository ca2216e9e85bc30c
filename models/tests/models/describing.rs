//! The descriptor for event loops, as `src/stream/descriptor.rs` and `src/net/readiness.rs` have it.

use super::kernel::Command;
use super::stream::{Bug, Control, READABLE, Stream};
use loom::sync::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool as Plain, Ordering};
use wsstream_models::stream::read_word::DESCRIPTOR;

/// Events for which the program itself receives.
const RECEIVED: u32 = READABLE;

/// `readiness::Socket`.
#[derive(Default)]
pub struct Socket {
    is_there: bool,
    is_wanted: bool,
    is_in: bool,
}

/// `Readiness`.
#[derive(Default)]
pub struct Readiness {
    /// It was asked for.
    is_made: Plain,
    is_raised: Mutex<bool>,
    /// The lock of the waiters, for more than one step.
    changing: Mutex<()>,
    socket: Mutex<Socket>,
}

impl Readiness {
    fn is_made(&self) -> bool {
        self.is_made.load(Ordering::Relaxed)
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap()
    }
}

impl Stream {
    /// `Readiness::raise`.
    fn raise(&self) {
        let mut is_raised = self.readiness.is_raised.lock().unwrap();
        if std::mem::replace(&mut *is_raised, true) {
            return;
        }
        if self.has(Bug::RaisedBesideEvent) {
            drop(is_raised);
            self.kernel().raise_event();
        } else {
            self.kernel().raise_event();
        }
    }

    /// `Readiness::quieten`.
    fn quieten(&self) {
        let mut is_raised = self.readiness.is_raised.lock().unwrap();
        if std::mem::replace(&mut *is_raised, false) {
            self.kernel().clear_event();
        }
    }

    /// `Readiness::update`.
    fn update(&self, socket: &mut Socket) {
        if socket.is_there && socket.is_wanted != socket.is_in {
            socket.is_in = socket.is_wanted;
            self.kernel().put_in_set(socket.is_in);
        }
    }

    /// `Stream::watch_descriptor` with `descriptor` and `watch`.
    pub fn watch_descriptor(&self, events: u32) {
        let _inside = self.inside();
        if !self.readiness.is_made.swap(true, Ordering::Relaxed) {
            let mut control = self.control();
            if control.has_socket {
                self.attach_socket(&mut control);
            }
        }
        let is_wanted = events & RECEIVED != 0;
        let mark = || match is_wanted {
            _ if self.has(Bug::DescriptorNotMarked) => {}
            true => drop(self.read.mark(DESCRIPTOR)),
            false => self.read.unwatch(),
        };
        let want = || {
            let mut socket = self.readiness.socket();
            socket.is_wanted = is_wanted;
            self.update(&mut socket);
        };
        // One after the other: word, set and mask say the same.
        let changing = self.readiness.changing.lock().unwrap();
        if self.has(Bug::WatchedInTwoSteps) {
            drop(changing);
        }
        want();
        self.kernel().stand(|standing| standing.watched = events);
        mark();
        self.quieten();
        self.look_for_descriptor();
    }

    /// The connection stands.
    pub fn attach_socket(&self, control: &mut Control) {
        control.has_socket = true;
        if self.readiness.is_made() {
            let mut socket = self.readiness.socket();
            socket.is_there = true;
            self.update(&mut socket);
        }
    }

    /// Nothing more is to be received.
    pub fn detach_socket(&self, control: &mut Control) {
        control.has_socket = false;
        if self.readiness.is_made() {
            let mut socket = self.readiness.socket();
            let is_wanted = std::mem::replace(&mut socket.is_wanted, false);
            self.update(&mut socket);
            *socket = Socket { is_wanted, ..Socket::default() };
            drop(socket);
            if !self.has(Bug::NotRaisedAtEnd) {
                self.raise_descriptor();
            }
        }
    }

    pub fn quieten_descriptor(&self) {
        if !self.readiness.is_made() {
            return;
        }
        if self.has(Bug::LookBeforeQuiet) {
            self.look_for_descriptor();
            self.quieten();
            return;
        }
        self.quieten();
        if self.has(Bug::WaiterRaises) {
            self.read.wait();
        }
        self.look_for_descriptor();
    }

    fn look_for_descriptor(&self) {
        let watched = self.kernel().standing().watched;
        if !self.has(Bug::RoomNotNoted) {
            self.note_writable(watched);
        }
        let mut holding = self.events_holding(watched, false);
        if watched & RECEIVED != 0 && holding & RECEIVED == 0 && !self.has(Bug::LeftUnlooked) {
            // What is received and not decoded no word tells.
            if let Some(mut driving) = self.try_own() {
                if driving.side().has_left() {
                    holding |= RECEIVED;
                }
                driving.leave();
            }
        }
        if holding != 0 {
            self.raise();
        }
    }

    /// `Waiters::watched`.
    pub fn is_watching(&self, events: u32) -> bool {
        self.readiness.is_made() && self.kernel().standing().watched & events != 0
    }

    pub fn raise_descriptor(&self) {
        if self.readiness.is_made() && self.kernel().standing().watched != 0 {
            self.raise();
        }
    }

    /// Something has changed: wakes who sleeps for these events, and tells callbacks and descriptor.
    pub fn notify(&self, events: u32) {
        let standing = self.kernel().wake(events);
        if standing.called != 0 {
            self.kernel().ask(Command::CallBack);
        }
        if standing.watched != 0 && !self.has(Bug::NotRaisedAtEnd) {
            self.raise_descriptor();
        }
    }
}
