//! What a stream says of itself to a test that hangs, and the list of live streams. Only with the feature `dump`.
//!
//! It reads the words and what it gets without waiting, never what a word guards. The names of the bits are taken
//! from the source of the words: a new bit has its name here without a line here.

use super::{Stream, read_word};
use std::fmt::{Result, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};
use std::time::Instant;

const READ_WORD: &str = include_str!("read_word.rs");
const WRITE_WORD: &str = include_str!("write_word.rs");

/// How often a lock is tried: the child of a fork may have it from a thread that it does not have.
const TRIES: usize = 100_000;

static LIVE: Mutex<Vec<(u64, Weak<Stream>)>> = Mutex::new(Vec::new());
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A stream's place in the list, which it leaves before its memory goes.
#[derive(Debug)]
pub(super) struct Listed(u64);

impl Listed {
    pub fn new() -> Self {
        Self(NUMBERS.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(mut live) = patiently(&LIVE) {
            live.retain(|(number, _)| *number != self.0);
        }
    }
}

/// Puts a stream on the list.
pub(super) fn list(stream: &Arc<Stream>) {
    if let Some(mut live) = patiently(&LIVE) {
        live.push((stream.listed.0, Arc::downgrade(stream)));
    }
}

fn at_once<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn patiently<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    (0..TRIES).find_map(|_| {
        at_once(mutex).or_else(|| {
            std::thread::yield_now();
            None
        })
    })
}

/// Writes what every live stream stands on.
pub fn dump(out: &mut dyn Write) -> Result {
    let Some(live) = at_once(&LIVE) else { return writeln!(out, "wsstream: the list of streams is locked") };
    writeln!(out, "wsstream: {} live streams", live.len())?;
    for (number, stream) in live.iter() {
        if let Some(stream) = stream.upgrade() {
            let written = stream.dump(*number, out);
            // With the last share memory would go, which may wait for locks: the program is about to end anyway.
            if Arc::strong_count(&stream) == 1 {
                std::mem::forget(stream);
            }
            written?;
        }
    }
    Ok(())
}

impl Stream {
    fn dump(&self, number: u64, out: &mut dyn Write) -> Result {
        writeln!(out, "stream {number} {}", self.url.to_str().unwrap_or_default())?;
        let read = self.read.load();
        write!(out, "  read word   ")?;
        write_bits(out, READ_WORD, read & (read_word::COUNT - 1))?;
        writeln!(out, " ({read:#x}), acquired {} times", read / read_word::COUNT)?;
        let write = self.write.load();
        write!(out, "  write word  ")?;
        write_bits(out, WRITE_WORD, write)?;
        writeln!(out, " ({write:#x}), {} bytes unsent", self.unsent.load(Ordering::Relaxed))?;
        writeln!(
            out,
            "  inside      {} calls without a word; internal thread {}",
            self.inside.load(Ordering::Relaxed),
            if self.runtime.is_dead() { "has ended" } else { "runs" }
        )?;
        writeln!(
            out,
            "  opened      {}; closed {:?}; writing has ended with {:?}",
            self.opened.get().is_some(),
            self.closed.info().map(|info| (info.status, info.code, info.cause)),
            self.write_end.get()
        )?;
        self.dump_control(out)?;
        // Its lock is tried only.
        writeln!(out, "  waiting     {:?}", self.waiters)
    }

    fn dump_control(&self, out: &mut dyn Write) -> Result {
        let Some(control) = at_once(&self.control) else { return writeln!(out, "  control     is locked") };
        let now = Instant::now();
        let left = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
        writeln!(
            out,
            "  control     {:?}, phase {:?}, is_closing {}, {} pongs due, Close due {:?}, Close sent {}, \
             peer's Close {:?}",
            control.state,
            control.phase,
            control.is_closing,
            control.pongs.len(),
            control.close,
            control.sent_code,
            control.peer_close
        )?;
        writeln!(
            out,
            "              failing {:?}, send failed {:?}, deadline in {:?}, lingers for {:?}",
            control.failing,
            control.send_failed,
            left(control.deadline),
            left(control.linger_until)
        )
    }
}

/// Writes the names of the bits that are set, as the source of the word has them.
fn write_bits(out: &mut dyn Write, source: &str, word: u64) -> Result {
    let mut rest = word;
    for (name, bit) in source.lines().filter_map(bit) {
        if rest & bit != 0 {
            write!(out, "{name} ")?;
            rest &= !bit;
        }
    }
    match rest {
        0 if word == 0 => write!(out, "no bit"),
        0 => Ok(()),
        _ => write!(out, "and bits without a name {rest:#x}"),
    }
}

/// The bit that a line of the source names: `pub const NAME: u64 = 1 << 2;`, or a plain number.
fn bit(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.strip_prefix("pub const ")?.split_once(": u64 = ")?;
    let value = value.strip_suffix(';')?;
    let bit = match value.strip_prefix("1 << ") {
        Some(shift) => 1 << shift.parse::<u32>().ok()?,
        None => value.parse().ok()?,
    };
    Some((name, bit))
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Stream, read_word, write_word};
    use super::{LIVE, READ_WORD, WRITE_WORD, bit, dump, patiently, write_bits};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// A dump may keep a stream for ever: whoever looks at the list takes turns.
    static TURN: Mutex<()> = Mutex::new(());

    fn bits(source: &str, word: u64) -> String {
        let mut text = String::new();
        write_bits(&mut text, source, word).unwrap();
        text.trim_end().to_owned()
    }

    #[test]
    fn every_constant_of_the_words_has_its_name() {
        use read_word::{ARMED, CALLER, DETACHED, DISCARD, INTERNAL, READER};
        assert_eq!(bits(READ_WORD, CALLER | READER), "CALLER READER");
        assert_eq!(bits(READ_WORD, INTERNAL | ARMED), "INTERNAL ARMED");
        assert_eq!(bits(READ_WORD, DETACHED | DISCARD), "DETACHED DISCARD");
        assert_eq!(bits(WRITE_WORD, write_word::LOCKED | write_word::HELD), "LOCKED HELD");
        for source in [READ_WORD, WRITE_WORD] {
            let constants =
                source.lines().filter(|line| line.starts_with("pub const ") && line.contains(": u64"));
            for line in constants.filter(|line| !line.contains("OWNER")) {
                assert!(bit(line).is_some_and(|(_, bit)| bit.is_power_of_two()), "{line}");
            }
        }
    }

    #[test]
    fn bits_without_a_name_are_shown() {
        assert_eq!(bits(WRITE_WORD, 1 << 60), "and bits without a name 0x1000000000000000");
        assert_eq!(bits(WRITE_WORD, 0), "no bit");
    }

    #[test]
    fn a_dump_names_both_words_and_the_control_state_of_a_live_stream() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = Stream::open("ws://127.0.0.1:1/listed", &Options::default()).ok().unwrap();
        let mut text = String::new();
        dump(&mut text).unwrap();
        assert!(text.contains("ws://127.0.0.1:1/listed\n  read word   "), "{text}");
        assert!(text.contains("  write word  ") && text.contains("  control     "), "{text}");
        stream.free();
    }

    #[test]
    fn a_stream_leaves_the_list_with_its_memory() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = Stream::open("ws://127.0.0.1:1/", &Options::default()).ok().unwrap();
        let own = stream.listed.0;
        let is_listed = || patiently(&LIVE).unwrap().iter().any(|(number, _)| *number == own);
        assert!(is_listed());
        stream.free();
        drop(stream);
        let begin = Instant::now();
        while is_listed() {
            assert!(begin.elapsed() < Duration::from_secs(30), "it is listed for ever");
            std::thread::yield_now();
        }
    }
}
