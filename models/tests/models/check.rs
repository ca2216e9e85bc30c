//! Runs a model through loom, for a claim that holds and for a seeded mistake that loom has to find.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many changes of thread that nothing forced one execution may have.
const PREEMPTIONS: usize = 2;
/// How long one claim is explored; `WSSTREAM_MODEL_SECONDS` says otherwise. Most are through long before.
const TIME_MAX: Duration = Duration::from_secs(6);
/// A seeded mistake is found in a moment; a slow machine may take longer.
const MISTAKE_TIME_MAX: Duration = Duration::from_secs(120);
/// How many executions pass between two looks at the clock.
const CLOCK_INTERVAL: usize = 500;
/// More steps than any execution has that comes to an end.
const BRANCHES_MAX: usize = 3_000;

thread_local! { static IS_QUIET: Cell<bool> = const { Cell::new(false) }; }

fn time_max() -> Duration {
    let seconds = std::env::var("WSSTREAM_MODEL_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or(TIME_MAX, Duration::from_secs_f64)
}

fn explore(preemptions: usize, time_max: Duration, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = BRANCHES_MAX;
    builder.max_duration = Some(time_max);
    builder.checkpoint_interval = CLOCK_INTERVAL;
    builder.check(model);
}

/// The model holds in every execution.
pub fn holds(model: impl Fn() + Send + Sync + 'static) {
    holds_within(PREEMPTIONS, model);
}

/// The same with another bound.
pub fn holds_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    let begin = Instant::now();
    explore(preemptions, time_max(), move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let count = count.load(Ordering::Relaxed);
    let time = begin.elapsed();
    let extent = if time < time_max() { "all" } else { "the first" };
    println!("{extent} {count} executions within {preemptions} forced switches, in {time:?}");
    assert!(count > 1, "a model with one execution shows nothing");
}

/// Some execution of the model fails, with a message that contains `expected`.
pub fn fails(expected: &str, model: impl Fn() + Send + Sync + 'static) {
    fails_within(PREEMPTIONS, expected, model);
}

/// The same with another bound.
pub fn fails_within(preemptions: usize, expected: &str, model: impl Fn() + Send + Sync + 'static) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                told(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| explore(preemptions, MISTAKE_TIME_MAX, model)));
    IS_QUIET.set(false);
    let panic = outcome.expect_err("loom did not find the seeded mistake");
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("");
    assert!(said.contains(expected), "the model fails with {said:?} instead of {expected:?}");
}
