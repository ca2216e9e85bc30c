//! The aborter: AbortController and AbortSignal in one, shared by any number of openings.

use super::Stream;
use super::close_info::Ending;
use super::status::{Cause, Phase, Status};
use crate::net::fork::section;
use crate::proto::closing::{Input, State};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

/// How many openings are kept before those that are over are looked for.
const SWEPT_MIN: usize = 16;

#[derive(Default)]
struct Openings {
    is_aborted: bool,
    streams: Vec<Weak<Stream>>,
    /// Those that are over are dropped when the list has grown to this.
    swept_at: usize,
}

/// Gives up every opening that uses it, from the time it is aborted on.
#[derive(Default)]
pub struct Aborter(Mutex<Openings>);

impl Aborter {
    fn openings(&self) -> MutexGuard<'_, Openings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a stream in mind that is opening; false: it is aborted already.
    pub(super) fn watch(&self, stream: Weak<Stream>) -> bool {
        let _section = section();
        let mut openings = self.openings();
        if openings.is_aborted {
            return false;
        }
        if openings.streams.len() >= openings.swept_at.max(SWEPT_MIN) {
            openings.streams.retain(|stream| stream.upgrade().is_some_and(|stream| stream.is_opening()));
            openings.swept_at = 2 * openings.streams.len();
        }
        openings.streams.push(stream);
        true
    }

    /// `wsstream_aborter_abort`.
    pub fn abort(&self) {
        let streams = {
            let _section = section();
            let mut openings = self.openings();
            openings.is_aborted = true;
            std::mem::take(&mut openings.streams)
        };
        for stream in streams.iter().filter_map(Weak::upgrade).filter(|stream| !stream.is_forked()) {
            stream.abort_opening();
        }
    }
}

impl Stream {
    fn is_opening(&self) -> bool {
        self.opened.get().is_none() && self.closed.info().is_none()
    }

    /// A01, A02: both latches answer ABORTED; after open nothing happens (A03).
    pub(super) fn abort_opening(&self) {
        let _inside = self.inside();
        let mut control = self.control();
        if control.state != State::Connecting {
            return;
        }
        control.step(Input::Failed);
        self.runtime.give_up(self.key);
        let detail = match control.phase {
            Phase::Start => "The opening was aborted before it began.",
            _ => "The opening was aborted.",
        };
        let ending = Ending { status: Status::Aborted, ..Ending::new(Cause::Aborted, detail) };
        self.settle(&mut control, Some(ending), false);
    }
}
