//! Every transition of the two words, out of every word that it can meet: which bits it changes, which it leaves, what it
//! answers. The models show that these transitions together are right; this shows that they are these.

use super::read_word::{self as read, Leave, ReadWord};
use super::write_word::{self as write, Unlock, WriteWord};

/// A count that has been raised before.
const COUNTED: u64 = 7 * read::COUNT;

/// All combinations of these bits.
fn combinations(bits: u64) -> impl Iterator<Item = u64> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let word = next?;
        next = ((word | !bits).wrapping_add(1) & bits != 0).then(|| (word | !bits).wrapping_add(1) & bits);
        Some(word)
    })
}

/// Every word that nobody owns.
fn free_read_words() -> impl Iterator<Item = u64> {
    combinations(((read::WATCHED << 1) - 1) & !read::OWNER).map(|bits| bits | COUNTED)
}

/// Every word, whoever owns it.
fn read_words() -> impl Iterator<Item = u64> {
    free_read_words().flat_map(|word| [0, read::CALLER, read::INTERNAL].map(|owner| word | owner))
}

fn write_words() -> impl Iterator<Item = u64> {
    combinations((write::HELD << 1) - 1)
}

/// The bit of a flag.
fn bit(bit: u64, is_set: bool) -> u64 {
    if is_set { bit } else { 0 }
}

#[test]
fn each_bit_of_a_word_has_its_own_place() {
    use read::*;
    let bits = [
        CALLER, INTERNAL, READER, WAITER, ARMED, LINGER, THROTTLED, QUEUED, CANCELLED, FREED, ENDED,
        CONNECTING, DETACHED, DISCARD, DESCRIPTOR, WATCHED,
    ];
    assert_eq!(bits.iter().sum::<u64>(), WATCHED * 2 - 1);
    assert!(bits.iter().all(|bit| bit.is_power_of_two()) && COUNT.is_power_of_two() && COUNT > WATCHED);
    assert_eq!(OWNER, CALLER | INTERNAL);
    let bits = [
        write::LOCKED,
        write::WRITER,
        write::CTRL,
        write::WAITERS,
        write::OUTARMED,
        write::FREED,
        write::ENDED,
        write::CONNECTING,
        write::HELD,
    ];
    assert_eq!(bits.iter().sum::<u64>(), write::HELD * 2 - 1);
    assert!(bits.iter().all(|bit| bit.is_power_of_two()));
    assert_eq!(ReadWord::new(()).load(), CONNECTING | DETACHED);
    assert_eq!(WriteWord::new(()).load(), write::CONNECTING);
}

#[test]
fn a_read_enters_at_once_only_where_nothing_is_special() {
    let special = [
        read::CALLER,
        read::INTERNAL,
        read::READER,
        read::CANCELLED,
        read::FREED,
        read::ENDED,
        read::CONNECTING,
        read::DISCARD,
    ];
    for before in read_words() {
        let word = ReadWord::with(before, ());
        let entered = word.enter().map(std::mem::forget);
        if special.iter().any(|bit| before & bit != 0) {
            assert_eq!((entered, word.load()), (Err(before), before));
        } else {
            let after = (before | read::CALLER | read::READER) + read::COUNT;
            assert_eq!((entered, word.load()), (Ok(()), after));
        }
    }
}

#[test]
fn the_readers_seat_is_for_one_whoever_owns_the_half() {
    for before in read_words() {
        let word = ReadWord::with(before, ());
        let is_taken = before & read::READER != 0;
        assert_eq!(word.sit(), if is_taken { Err(before) } else { Ok(before) });
        assert_eq!(word.load(), before | read::READER);
        word.rise();
        assert_eq!(word.load(), before & !read::READER);
    }
}

#[test]
fn the_reading_half_is_owned_where_nobody_has_it_and_the_count_says_who_drives() {
    for before in read_words() {
        let is_free = before & read::OWNER == 0;
        let result = if is_free { Ok(()) } else { Err(before) };
        for who in [read::CALLER, read::INTERNAL] {
            let word = ReadWord::with(before, ());
            assert_eq!(word.own(who).map(std::mem::forget), result);
            assert_eq!(word.load(), if is_free { (before | who) + read::COUNT } else { before });
        }
        let word = ReadWord::with(before, ());
        assert_eq!(word.own_to_look().map(std::mem::forget), result);
        assert_eq!(word.load(), if is_free { before | read::CALLER } else { before });
        let word = ReadWord::with(before, ());
        assert_eq!(word.own_in_passing().map(std::mem::forget), result);
        assert_eq!(word.load(), if is_free { before | read::INTERNAL } else { before });
    }
}

#[test]
fn an_event_and_a_sweep_take_their_bit_away_whoever_owns_the_half() {
    for before in read_words() {
        let own = |gone: u64, own: fn(&ReadWord<()>) -> Result<read::Reading<'_, ()>, u64>| {
            let word = ReadWord::with(before, ());
            let owned = own(&word).map(std::mem::forget);
            if before & read::OWNER == 0 {
                let after = ((before & !gone) | read::INTERNAL) + read::COUNT;
                assert_eq!((owned, word.load()), (Ok(()), after));
            } else {
                assert_eq!((owned, word.load()), (Err(before), before & !gone));
            }
        };
        own(read::ARMED, ReadWord::own_after_event);
        own(read::LINGER, ReadWord::own_after_sweep);
    }
}

#[test]
fn after_an_event_for_an_event_loop_the_stream_is_listed_once() {
    for before in read_words() {
        let word = ReadWord::with(before, ());
        let is_free = before & read::OWNER == 0;
        assert_eq!(word.linger_after_event(), is_free && before & read::LINGER == 0);
        assert_eq!(word.load(), (before & !read::ARMED) | bit(read::LINGER, is_free));
    }
}

#[test]
fn what_sets_or_clears_one_bit_of_the_read_word_leaves_the_others() {
    for before in read_words() {
        let word = ReadWord::with(before, ());
        assert_eq!((word.wait(), word.load()), (before, before | read::WAITER));
        let clear = |bit: u64, clear: fn(&ReadWord<()>)| {
            let word = ReadWord::with(before, ());
            clear(&word);
            assert_eq!(word.load(), before & !bit);
        };
        clear(read::DESCRIPTOR, ReadWord::unwatch);
        clear(read::CONNECTING, ReadWord::open);
        clear(read::DETACHED, ReadWord::attach);
        for bits in
            [read::CANCELLED | read::DISCARD, read::FREED, read::ENDED, read::DESCRIPTOR, read::DETACHED]
        {
            let word = ReadWord::with(before, ());
            assert_eq!((word.mark(bits), word.load()), (before, before | bits));
        }
    }
}

#[test]
fn a_read_leaves_quietly_where_the_stream_stays_watched_and_nobody_is_to_be_told() {
    let loud = [
        read::WAITER,
        read::THROTTLED,
        read::CANCELLED,
        read::FREED,
        read::ENDED,
        read::DISCARD,
        read::DESCRIPTOR,
    ];
    for (before, queued, pending) in free_read_words()
        .flat_map(|word| [(word, false, false), (word, false, true), (word, true, false), (word, true, true)])
    {
        let word = ReadWord::with(before, ());
        let held = word.own(read::CALLER).expect("it is free");
        let owned = word.load();
        // What lies in a chunk is reported by no poller.
        let is_watched = before & read::LINGER != 0 || (!pending && before & read::ARMED != 0);
        let is_quiet = is_watched && loud.iter().all(|bit| before & bit == 0);
        let left = word.leave_quietly(held, queued, pending);
        assert_eq!(left.is_ok(), is_quiet);
        left.map_err(std::mem::forget).ok();
        let after = (owned & !(read::OWNER | read::READER | read::QUEUED)) | bit(read::QUEUED, queued);
        assert_eq!(word.load(), if is_quiet { after } else { owned });
    }
}

#[test]
fn whoever_leaves_the_reading_half_leaves_it_watched() {
    for before in free_read_words() {
        for said in 0..64 {
            let leave = Leave {
                reader: said & 1 != 0,
                queued: said & 2 != 0,
                throttled: said & 4 != 0,
                armed: said & 8 != 0,
                detached: said & 16 != 0,
                pending: said & 32 != 0,
            };
            leaves(read::CALLER, before, leave);
            leaves(read::INTERNAL, before, leave);
        }
    }
}

#[track_caller]
fn leaves(who: u64, before: u64, leave: Leave) {
    use read::*;
    let has = |bit: u64| before & bit != 0;
    let word = ReadWord::with(before, ());
    let held = word.own(who).expect("it is free");
    let left = word.leave(held, leave);

    let throttled = leave.throttled && !has(DISCARD);
    // Armed for errors only is not armed for what can be received now.
    let armed = leave.armed || has(ARMED) && (throttled || !has(THROTTLED));
    let detached = leave.detached || has(DETACHED);
    let is_watched = has(LINGER) || (armed && (throttled || !leave.pending));
    let linger = has(LINGER) || (!detached && !is_watched);
    let after = bit(READER, has(READER) && !leave.reader)
        | bit(QUEUED, leave.queued)
        | bit(THROTTLED, throttled)
        | bit(ARMED, armed)
        | bit(LINGER, linger)
        | bit(DETACHED, detached)
        | bit(WATCHED, has(WATCHED) || leave.armed)
        | before & (CANCELLED | FREED | ENDED | CONNECTING | DISCARD | DESCRIPTOR);
    assert_eq!(word.load() & (COUNT - 1), after, "{before:b} {leave:?}");
    assert_eq!(word.load() / COUNT, COUNTED / COUNT + 1);
    let expected = Left {
        list: linger && !has(LINGER),
        wake: has(WAITER),
        ended: has(ENDED),
        watched: who == CALLER && has(WATCHED),
        cancelled: has(CANCELLED),
        descriptor: has(DESCRIPTOR),
    };
    assert_eq!(left, expected, "{before:b} {leave:?}");
    assert!(word.load() & (ARMED | LINGER | DETACHED) != 0, "a stream is never unwatched");
}

#[test]
fn a_write_enters_at_once_only_where_nothing_is_special() {
    let special = [write::LOCKED, write::WRITER, write::FREED, write::ENDED, write::CONNECTING];
    for before in write_words() {
        let word = WriteWord::with(before, ());
        let entered = word.enter().map(std::mem::forget);
        if special.iter().any(|bit| before & bit != 0) {
            assert_eq!((entered, word.load()), (Err(before), before));
        } else {
            assert_eq!((entered, word.load()), (Ok(()), before | write::LOCKED | write::WRITER));
        }
    }
}

#[test]
fn the_writers_seat_is_for_one_and_so_is_the_lock() {
    for before in write_words() {
        let word = WriteWord::with(before, ());
        let is_taken = before & write::WRITER != 0;
        assert_eq!(word.sit(), if is_taken { Err(before) } else { Ok(before) });
        assert_eq!(word.load(), before | write::WRITER);
        word.rise();
        assert_eq!(word.load(), before & !write::WRITER);

        let word = WriteWord::with(before, ());
        let is_locked = before & write::LOCKED != 0;
        assert_eq!(word.lock().map(std::mem::forget), if is_locked { Err(before) } else { Ok(()) });
        assert_eq!(word.load(), before | write::LOCKED);

        // Whoever has the lock sees what was posted; else the poster does.
        let word = WriteWord::with(before, ());
        assert_eq!(word.post().map(std::mem::forget).is_some(), !is_locked);
        assert_eq!(word.load(), before | write::CTRL | write::LOCKED);
    }
}

#[test]
fn what_sets_or_clears_one_bit_of_the_write_word_leaves_the_others() {
    for before in write_words() {
        let word = WriteWord::with(before, ());
        assert_eq!((word.wait(), word.load()), (before, before | write::WAITERS));
        for bits in [write::FREED, write::ENDED] {
            let word = WriteWord::with(before, ());
            assert_eq!((word.mark(bits), word.load()), (before, before | bits));
        }
        let clear = |bit: u64, clear: fn(&WriteWord<()>)| {
            let word = WriteWord::with(before, ());
            clear(&word);
            assert_eq!(word.load(), before & !bit);
        };
        clear(write::CONNECTING, WriteWord::open);
        clear(write::OUTARMED, WriteWord::disarm);
        clear(write::HELD, WriteWord::unlist);
    }
}

#[test]
fn a_write_unlocks_quietly_where_nobody_is_to_be_told_and_what_is_left_is_seen_to() {
    let loud = [write::CTRL, write::WAITERS, write::FREED, write::ENDED];
    for (before, out, held_back) in write_words()
        .filter(|word| word & write::LOCKED == 0)
        .flat_map(|word| [(word, false, false), (word, false, true), (word, true, false), (word, true, true)])
    {
        let word = WriteWord::with(before, ());
        let held = word.lock().expect("it is free");
        let is_seen_to = (!out || before & write::OUTARMED != 0) && (!held_back || before & write::HELD != 0);
        let is_quiet = is_seen_to && loud.iter().all(|bit| before & bit == 0);
        let left = word.unlock_quietly(held, out, held_back);
        assert_eq!(left.is_ok(), is_quiet);
        left.map_err(std::mem::forget).ok();
        assert_eq!(word.load(), if is_quiet { before & !write::WRITER } else { before | write::LOCKED });
    }
}

#[test]
fn nobody_unlocks_past_what_was_posted() {
    for before in write_words().filter(|word| word & write::LOCKED == 0) {
        for said in 0..16 {
            let unlock = Unlock {
                writer: said & 1 != 0,
                out: said & 2 != 0,
                held: said & 4 != 0,
                wake: said & 8 != 0,
            };
            unlocks(before, unlock);
        }
    }
}

#[track_caller]
fn unlocks(before: u64, unlock: Unlock) {
    use write::*;
    let has = |bit: u64| before & bit != 0;
    let word = WriteWord::with(before, ());
    let held = word.lock().expect("it is free");
    let unlocked = word.unlock(held, unlock).map_err(std::mem::forget);
    if has(CTRL) {
        assert!(unlocked.is_err());
        assert_eq!(word.load(), (before | LOCKED) & !CTRL, "the next post is seen again");
        return;
    }
    let after = bit(WRITER, has(WRITER) && !unlock.writer)
        | bit(WAITERS, has(WAITERS) && !unlock.wake)
        | bit(OUTARMED, has(OUTARMED) || unlock.out)
        | bit(HELD, has(HELD) || unlock.held)
        | before & (FREED | ENDED | CONNECTING);
    assert_eq!(word.load(), after, "{before:b} {unlock:?}");
    let expected = Unlocked {
        arm: unlock.out && !has(OUTARMED),
        list: unlock.held && !has(HELD),
        wake: unlock.wake && has(WAITERS),
    };
    assert_eq!(unlocked, Ok(expected), "{before:b} {unlock:?}");
}
