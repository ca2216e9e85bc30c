//! The latch `closed`: written once, never changed.

use super::close_info::CloseInfo;
use std::sync::OnceLock;

/// The end of a stream.
#[derive(Default)]
pub(super) struct Closed {
    info: OnceLock<Box<CloseInfo>>,
}

impl Closed {
    /// How it ended, once it has.
    #[inline]
    pub fn info(&self) -> Option<&CloseInfo> {
        self.info.get().map(|info| &**info)
    }

    /// Settles, the first time.
    pub fn settle(&self, info: CloseInfo) {
        let _ = self.info.set(Box::new(info));
    }
}
