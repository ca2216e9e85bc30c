//! Places where a test may make the library panic or fail, by name; empty functions without the feature
//! `fault-injection`, so a release holds none of it.

/// What a test asked to happen at a place.
#[cfg(feature = "fault-injection")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The thread that comes by panics.
    Panic,
    /// The operation answers an error, where it can.
    Fail,
}

/// Which thread a fault waits for.
#[cfg(feature = "fault-injection")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A thread of the program.
    Caller,
    /// A thread of the library.
    Internal,
}

/// Panics where a test has armed this place with [`Fault::Panic`].
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Whether a test has armed this place with [`Fault::Fail`].
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn fails(_name: &'static str) -> bool {
    false
}

#[cfg(feature = "fault-injection")]
pub use armed::{arm, disarm, fails, fired, point};

#[cfg(feature = "fault-injection")]
mod armed {
    use super::{Fault, On};
    use std::sync::{Mutex, PoisonError};

    struct Armed {
        name: String,
        fault: Fault,
        on: On,
        skip: usize,
        fired: bool,
    }

    static ARMED: Mutex<Vec<Armed>> = Mutex::new(Vec::new());

    fn list() -> std::sync::MutexGuard<'static, Vec<Armed>> {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the place `name` fail once, for the pass after `skip` others by that kind of thread.
    pub fn arm(name: &str, fault: Fault, on: On, skip: usize) {
        list().push(Armed { name: name.to_owned(), fault, on, skip, fired: false });
    }

    /// Forgets all that was armed.
    pub fn disarm() {
        list().clear();
    }

    /// Whether a fault armed at `name` has happened.
    pub fn fired(name: &str) -> bool {
        list().iter().any(|armed| armed.name == name && armed.fired)
    }

    fn take(name: &str, fault: Fault) -> bool {
        let internal = std::thread::current().name().is_some_and(|n| n.starts_with("wsstream"));
        let on = if internal { On::Internal } else { On::Caller };
        let mut armed = list();
        let Some(hit) =
            armed.iter_mut().find(|a| a.name == name && a.fault == fault && a.on == on && !a.fired)
        else {
            return false;
        };
        if hit.skip > 0 {
            hit.skip -= 1;
            return false;
        }
        hit.fired = true;
        true
    }

    /// Panics where a test has armed this place with [`Fault::Panic`].
    pub fn point(name: &'static str) {
        assert!(!take(name, Fault::Panic), "fault injected at {name}");
    }

    /// Whether a test has armed this place with [`Fault::Fail`].
    pub fn fails(name: &'static str) -> bool {
        take(name, Fault::Fail)
    }
}
