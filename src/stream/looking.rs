//! Looking again and again for a short while before a thread sleeps: three times as fast as sleeping where the peer answers
//! within that while, and processor time for nothing where it does not. So one half of a stream looks only after its last
//! waits were short, and each time that looking turned out to be in vain it asks for twice as many of them.

use crate::net::sys;
use std::sync::OnceLock;
use std::time::Duration;

/// How long a stream looks where the program leaves that to the library.
const BOUND_US: u64 = 50;
/// So much later than something came may a thread that sleeps see it: 10 microseconds on a machine of its own, 100 on a virtual
/// one whose idle processor has to be asked for. Where it was not as much, a look in vain tells.
const WAKING: Duration = Duration::from_micros(100);
/// Short waits in a row after which looking begins.
const STREAK_MIN: u16 = 4;
/// The most that failures make of it: a try in a thousand waits costs nothing.
const STREAK_MAX: u16 = 1024;
/// Looks in a row that may just miss what comes: the first of them meet a peer whose processor has gone to sleep, as it does
/// where both sides sleep, and does not where they look.
const MISSES_MAX: u8 = 7;

/// How long a stream may look, by the number of its option; None: it never does.
pub(super) fn bound(option: i64) -> Option<Duration> {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let us = u64::try_from(option).unwrap_or(BOUND_US);
    // On one processor whoever is waited for could not come.
    if us == 0 || *PROCESSORS.get_or_init(sys::processors) == 1 {
        None
    } else {
        Some(Duration::from_micros(us))
    }
}

/// What the recent waits of one half were like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looking {
    /// Short waits in a row.
    streak: u16,
    /// As many have to be.
    needed: u16,
    /// Looks in a row that have just missed.
    misses: u8,
}

impl Default for Looking {
    fn default() -> Self {
        Self { streak: 0, needed: STREAK_MIN, misses: 0 }
    }
}

impl Looking {
    /// Whether to look before this wait.
    pub const fn pays(self) -> bool {
        self.streak >= self.needed
    }

    /// A wait is over that ended in a sleep; `took`: until what was waited for was seen, None: it did not come.
    pub fn note_slept(&mut self, took: Option<Duration>, bound: Duration) {
        let is_short = took.is_some_and(|took| took <= bound.saturating_add(WAKING));
        if !self.pays() {
            self.streak = if is_short { self.streak + 1 } else { 0 };
        } else if is_short && self.misses < MISSES_MAX {
            self.misses += 1;
        } else {
            *self = Self { streak: 0, needed: self.needed.saturating_mul(2).min(STREAK_MAX), misses: 0 };
        }
    }

    /// A wait for the rest of a message, before which no thread looks: such waits are short, and say nothing of others.
    pub fn note_piece(&mut self) {
        (self.streak, self.misses) = (0, 0);
    }

    /// Looking was enough. A stream that goes on like that is forgiven what was before.
    pub fn note_found(&mut self) {
        self.misses = 0;
        self.streak = self.streak.saturating_add(1);
        if self.streak >= self.needed.saturating_mul(4) {
            self.needed = (self.needed / 2).max(STREAK_MIN);
            self.streak = self.needed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Looking, MISSES_MAX, STREAK_MIN, WAKING, bound};
    use std::time::Duration;

    const BOUND: Duration = Duration::from_micros(50);

    /// Of so many waits, how many were looked before; each one is `short` or not.
    fn looks(waits: usize, is_short: impl Fn(usize) -> bool) -> (usize, usize) {
        let mut looking = Looking::default();
        let (mut found, mut failed) = (0, 0);
        for wait in 0..waits {
            let took = if is_short(wait) { BOUND } else { BOUND + WAKING * 2 };
            match (looking.pays(), is_short(wait)) {
                (false, _) => looking.note_slept(Some(took), BOUND),
                (true, true) => {
                    found += 1;
                    looking.note_found();
                }
                (true, false) => {
                    failed += 1;
                    looking.note_slept(Some(took), BOUND);
                }
            }
        }
        (found, failed)
    }

    #[test]
    fn a_peer_that_is_near_is_looked_for_from_the_fifth_wait_on() {
        assert_eq!(looks(1000, |_| true), (1000 - usize::from(STREAK_MIN), 0));
    }

    #[test]
    fn a_peer_that_is_far_is_never_looked_for() {
        assert_eq!(looks(1000, |_| false), (0, 0));
        let mut looking = Looking::default();
        (0..1000).for_each(|_| looking.note_slept(None, BOUND));
        assert!(!looking.pays());
    }

    #[test]
    fn looking_in_vain_becomes_rare_whatever_the_pattern() {
        for period in 2..2000 {
            let (found, failed) = looks(100_000, |wait| wait % period != 0);
            // A try in vain costs what looking saves four times.
            assert!(
                failed <= 20 + found / 20,
                "every {period}th wait is long: {failed} in vain, {found} not"
            );
        }
    }

    #[test]
    fn a_peer_that_has_come_near_again_is_looked_for_again() {
        let (found, failed) = looks(100_000, |wait| wait >= 1000 || wait % 5 != 0);
        assert!(failed < 10, "{failed} in vain");
        assert!(found > 97_000, "{found} found");
    }

    #[test]
    fn what_comes_just_too_late_is_looked_for_seldom_and_a_few_times_in_a_row() {
        let mut looking = Looking::default();
        let (mut waits, mut looks) = (0, Vec::new());
        while waits < 100_000 {
            if looking.pays() {
                looks.push(waits);
            }
            looking.note_slept(Some(BOUND + WAKING), BOUND);
            waits += 1;
        }
        assert_eq!((looks[0], looks[7], looks[8], looks[15]), (4, 11, 20, 27));
        assert!(looks.len() < 1000, "{}", looks.len());
        // Not for ever: a peer that has come nearer is found.
        assert!(looks.len() > 700, "{}", looks.len());
    }

    #[test]
    fn a_look_that_finds_something_forgives_those_that_just_missed() {
        let mut looking = Looking::default();
        (0..STREAK_MIN).for_each(|_| looking.note_slept(Some(BOUND), BOUND));
        for _ in 0..1000 {
            assert!(looking.pays());
            (0..MISSES_MAX).for_each(|_| looking.note_slept(Some(BOUND + WAKING), BOUND));
            looking.note_found();
        }
    }

    #[test]
    fn the_option_bounds_it_and_zero_forbids_it() {
        assert_eq!(bound(0), None);
        if crate::net::sys::processors() > 1 {
            assert_eq!(bound(-1), Some(Duration::from_micros(50)));
            assert_eq!(bound(7), Some(Duration::from_micros(7)));
        }
    }
}
