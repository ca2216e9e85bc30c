//! Another static library of Rust, with the same standard library inside: threads, memory and unwinding are used on this side too.

/// 42, on a thread of its own and past a panic.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour() -> i32 {
    std::panic::set_hook(Box::new(|_| ()));
    let thread = std::thread::spawn(|| {
        let parts = vec![40, 2];
        let caught = std::panic::catch_unwind(|| panic!("{parts:?}"));
        if caught.is_err() { parts.iter().sum() } else { 0 }
    });
    thread.join().unwrap_or(0)
}
