//! What a panic of the library leaves behind: a sentence for the close info, nothing on the terminal.

use crate::net::fork::section;
use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! { static LAST: RefCell<String> = const { RefCell::new(String::new()) }; }

static HOOK: Once = Once::new();

/// Sets the hook that keeps panics of the library from being printed. In the shared library every panic is ours; a
/// Rust program that links the crate keeps its own reports.
pub(super) fn set_hook() {
    if HOOK.is_completed() {
        return;
    }
    let _section = section();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let foreign = info.location().is_some_and(|place| {
                ["tests/", "examples/", "benches/"].iter().any(|folder| place.file().starts_with(folder))
            });
            if foreign {
                previous(info);
                return;
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let what = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
            // A thread that is ending has no place left for the sentence.
            let _ = LAST.try_with(|last| {
                if let Ok(mut last) = last.try_borrow_mut() {
                    *last = format!("A bug in the library ended this stream: {what} ({place}).");
                }
            });
        }));
    });
}

/// The sentence for the last panic on this thread.
pub(super) fn last_detail() -> String {
    let last = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| std::mem::take(&mut *last)));
    match last {
        Ok(Ok(text)) if !text.is_empty() => text,
        _ => "A bug in the library ended this stream.".to_owned(),
    }
}
