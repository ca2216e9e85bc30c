//! The atomics of the words and the chunks, named in one place.
//!
//! The loom models compile the same files over loom's types, and the feature `count-locked` over types that
//! count every locked instruction; so nothing in `memory` or the words names `std::sync::atomic` itself.

#[cfg(not(feature = "count-locked"))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};
pub use std::sync::atomic::{Ordering, fence};

#[cfg(feature = "count-locked")]
pub use counting::{AtomicU32, AtomicU64, AtomicUsize, locked};

/// A cell whose content only the owner named in a word may touch; loom's has the same two functions.
pub mod cell {
    /// See [`std::cell::UnsafeCell`].
    #[derive(Debug)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps a value.
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Lends the address of the value for the length of a call.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(feature = "count-locked")]
mod counting {
    use super::Ordering;
    use std::cell::Cell;

    thread_local! { static LOCKED: Cell<u64> = const { Cell::new(0) }; }

    /// How many locked instructions this thread has executed on counted words so far.
    pub fn locked() -> u64 {
        LOCKED.get()
    }

    macro_rules! counted {
        ($name:ident, $inner:ty, $value:ty) => {
            /// An atomic that counts its read-modify-write operations.
            #[derive(Debug)]
            pub struct $name($inner);

            impl $name {
                /// See the standard library's.
                pub const fn new(value: $value) -> Self {
                    Self(<$inner>::new(value))
                }
                /// Not locked.
                pub fn load(&self, order: Ordering) -> $value {
                    self.0.load(order)
                }
                /// Locked where it is sequentially consistent, as on x86-64.
                pub fn store(&self, value: $value, order: Ordering) {
                    LOCKED.set(LOCKED.get() + u64::from(order == Ordering::SeqCst));
                    self.0.store(value, order);
                }
                /// Locked.
                pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    LOCKED.set(LOCKED.get() + 1);
                    self.0.fetch_add(value, order)
                }
                /// Locked.
                pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    LOCKED.set(LOCKED.get() + 1);
                    self.0.fetch_sub(value, order)
                }
                /// Locked.
                pub fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    LOCKED.set(LOCKED.get() + 1);
                    self.0.fetch_or(value, order)
                }
                /// Locked.
                pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                    LOCKED.set(LOCKED.get() + 1);
                    self.0.fetch_and(value, order)
                }
                /// Locked.
                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    LOCKED.set(LOCKED.get() + 1);
                    self.0.swap(value, order)
                }
                /// Locked, also where it fails.
                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    LOCKED.set(LOCKED.get() + 1);
                    self.0.compare_exchange(current, new, success, failure)
                }
            }
        };
    }
    counted!(AtomicU32, std::sync::atomic::AtomicU32, u32);
    counted!(AtomicU64, std::sync::atomic::AtomicU64, u64);
    counted!(AtomicUsize, std::sync::atomic::AtomicUsize, usize);
}
