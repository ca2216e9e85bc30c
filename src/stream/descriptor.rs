//! `wsstream_fd`: the stream's events as one descriptor for event loops.
//!
//! The program's thread does the reading: while it watches READABLE the socket is in the descriptor's set, and the internal
//! thread takes over only where the program does not come. Whoever leaves a watched event true that the socket does not show
//! raises it; a call that answers AGAIN quietens it and looks once more.

use super::control::Control;
use super::read_word::DESCRIPTOR;
use super::status::Status;
use super::{EVENTS, READABLE, READABLE_SOME, Stream};
use crate::net::Readiness;
use std::os::fd::RawFd;

/// Events for which the program itself receives.
const RECEIVED: u32 = READABLE | READABLE_SOME;

impl Stream {
    /// `wsstream_fd`.
    pub fn descriptor(&self) -> Result<RawFd, Status> {
        let _inside = self.inside();
        if self.is_freed() {
            return Err(Status::State);
        }
        let readiness = match self.readiness.get() {
            Some(readiness) => readiness,
            None => {
                let readiness = Readiness::new().map_err(|_| Status::Resource)?;
                let readiness = self.readiness.get_or_init(|| readiness);
                self.attach_descriptor();
                readiness
            }
        };
        self.watch(readiness, None)?;
        Ok(readiness.descriptor())
    }

    /// `wsstream_fd_watch`.
    pub fn watch_descriptor(&self, events: u32) -> Status {
        if events & !EVENTS != 0 {
            return Status::Argument;
        }
        let _inside = self.inside();
        if self.is_freed() {
            return Status::State;
        }
        // What is watched is kept with the descriptor: it is made where there is none.
        if let Err(status) = self.descriptor() {
            return status;
        }
        let Some(readiness) = self.readiness.get() else { return Status::Resource };
        match self.watch(readiness, Some(events)) {
            Ok(()) => Status::Ok,
            Err(status) => status,
        }
    }

    /// Changes what is watched; None: to READABLE, where the program has not chosen.
    fn watch(&self, readiness: &Readiness, events: Option<u32>) -> Result<(), Status> {
        let mut result = Ok(());
        // One after the other: word, set and mask say the same.
        let mut is_changed = true;
        self.waiters.stand(|standing| {
            if events.is_none() && standing.is_chosen {
                is_changed = false;
                return;
            }
            let events = events.unwrap_or(READABLE);
            let receives = events & RECEIVED != 0;
            result = readiness.want(receives);
            if result.is_err() {
                return;
            }
            (standing.watched, standing.is_chosen) = (events, true);
            // In the word itself, so that every owner that leaves after this knows of it.
            if receives {
                self.read.mark(DESCRIPTOR);
            } else {
                self.read.unwatch();
            }
        });
        result.map_err(|_| Status::Resource)?;
        if is_changed {
            self.quieten(readiness);
            if self.waiters.watched() & RECEIVED == 0 {
                // The program waits for what it does not drive towards.
                self.hand_over();
            }
        }
        Ok(())
    }

    /// The connection stands, maybe: the program may receive from it.
    fn attach_descriptor(&self) {
        let mut control = self.control();
        if let Some(descriptor) = control.socket {
            self.attach_socket(&mut control, descriptor);
        }
    }

    /// The connection stands.
    pub(super) fn attach_socket(&self, control: &mut Control, descriptor: RawFd) {
        control.socket = Some(descriptor);
        if let Some(readiness) = self.readiness.get() {
            if readiness.attach(descriptor).is_err() {
                // Then the internal thread receives, and this is raised at each of its sweeps.
                readiness.detach();
            }
        }
    }

    /// Nothing more is to be received.
    pub(super) fn detach_socket(&self, control: &mut Control) {
        control.socket = None;
        if let Some(readiness) = self.readiness.get() {
            readiness.detach();
        }
        self.raise_descriptor();
    }

    /// At the end of a call that answers AGAIN: the descriptor is quiet if nothing holds that is watched.
    #[inline]
    pub(super) fn quieten_descriptor(&self) {
        if let Some(readiness) = self.readiness.get() {
            self.quieten(readiness);
        }
    }

    #[cold]
    #[inline(never)]
    fn quieten(&self, readiness: &Readiness) {
        readiness.quieten();
        self.look_for_descriptor(readiness);
    }

    /// Raises where a watched event holds; where none does, whoever changes that raises.
    fn look_for_descriptor(&self, readiness: &Readiness) {
        let watched = self.waiters.watched();
        self.note_writable(watched);
        let mut holding = self.events_holding(watched, false, false);
        if watched & RECEIVED != 0 && holding & RECEIVED == 0 {
            // What is received and not decoded no word tells. Another owner raises when it leaves something.
            if let Some(mut driving) = self.try_own() {
                let side = driving.side();
                if side.has_left(watched & READABLE_SOME != 0) {
                    holding |= watched & RECEIVED;
                }
                driving.leave();
            }
        }
        if holding != 0 {
            readiness.raise();
        }
    }

    /// The owner of the read word has left something behind that no socket shows.
    #[cold]
    #[inline(never)]
    pub(super) fn raise_descriptor(&self) {
        match self.readiness.get() {
            Some(readiness) if self.waiters.watched() != 0 => readiness.raise(),
            _ => {}
        }
    }
}
