//! How a stream ended, as C sees it.
//!
//! Made once per stream when it is first asked for, kept with the stream, and never changed: its addresses are given
//! to any thread. Knows nothing of how the end came about.

use std::ffi::c_char;

use crate::stream::{CloseInfo, Stream};

/// How a stream ended. Written once before anybody can see it, never changed, readable from any thread until the
/// stream is freed and every wsstream_ref is given up.
#[repr(C)]
pub struct wsstream_close_info {
    /// Bytes that this library filled; later versions append fields: ask with WSSTREAM_HAS.
    pub struct_size: usize,
    /// Of the peer's Close. 1005: it carried none; 1006: no Close was received.
    pub code: u16,
    /// 1 when both sides sent a Close and no write was unfinished, else 0; what wsstream_close gave up or dropped, and a
    /// message that the peer left unfinished, do not count. Never derive it from the code.
    pub clean: u8,
    /// Who began the end: WSSTREAM_INITIATOR_*; LOCAL also where this side failed the connection.
    pub initiator: u8,
    /// Where it ended: WSSTREAM_PHASE_*; after a clean end WSSTREAM_PHASE_CLOSING.
    pub phase: u32,
    /// Why it ended, for decisions: WSSTREAM_CAUSE_*
    pub cause: u32,
    /// errno of the system call that failed, else 0.
    pub os_error: i32,
    /// The HTTP status of an upgrade that failed, else 0; 101 where the server agreed to it and this side refused.
    pub http_status: i32,
    /// The code in the Close that was sent; 0: none was sent, 1005: it was sent without a code.
    pub sent_code: u16,
    /// Always 0.
    pub reserved: u16,
    /// The reason in the peer's Close, UTF-8, NUL-terminated; may contain U+0000. Never NULL.
    pub reason: *const c_char,
    /// Bytes of reason, without the NUL at its end.
    pub reason_size: usize,
    /// One English sentence for a log, never for a decision. Never NULL.
    pub detail: *const c_char,
    /// Bytes of detail, without the NUL at its end.
    pub detail_size: usize,
    /// What had come of a refused upgrade's body, at most 4096 bytes, NUL-terminated. Never NULL.
    pub response_body: *const c_char,
    /// Bytes of response_body, without the NUL at its end.
    pub response_body_size: usize,
}

/// The info with the texts it points to.
pub(super) struct CloseRecord {
    info: wsstream_close_info,
    _texts: [Box<[u8]>; 3],
}

fn terminated(text: &[u8]) -> Box<[u8]> {
    [text, b"\0"].concat().into_boxed_slice()
}

impl CloseRecord {
    pub(super) fn new(end: &CloseInfo) -> Self {
        let texts = [
            terminated(end.reason.as_bytes()),
            terminated(end.detail.as_bytes()),
            terminated(&end.response_body),
        ];
        let [reason, detail, body] = &texts;
        let info = wsstream_close_info {
            struct_size: size_of::<wsstream_close_info>(),
            code: end.code,
            clean: u8::from(end.clean),
            initiator: end.initiator as u8,
            phase: end.phase as u32,
            cause: end.cause as u32,
            os_error: end.os_error,
            http_status: end.http_status,
            sent_code: end.sent_code,
            reserved: 0,
            reason: reason.as_ptr().cast(),
            reason_size: end.reason.len(),
            detail: detail.as_ptr().cast(),
            detail_size: end.detail.len(),
            response_body: body.as_ptr().cast(),
            response_body_size: end.response_body.len(),
        };
        Self { info, _texts: texts }
    }

    pub(super) fn info(&self) -> &wsstream_close_info {
        &self.info
    }
}

/// The info of a stream whose end is known; the same address every time.
pub(super) fn record_of(stream: &Stream, end: &CloseInfo) -> *const wsstream_close_info {
    let kept = stream.attachment().get_or_init(|| Box::new(CloseRecord::new(end)));
    kept.downcast_ref::<CloseRecord>().map_or(std::ptr::null(), |record| std::ptr::from_ref(record.info()))
}
