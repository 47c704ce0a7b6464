//! How long something takes: the best of several rounds, so that what else the machine does counts least.
//!
//! Under `cargo bench` each round lasts a while; run in any other way, everything runs once, to show that it runs.

use std::fs;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Rounds of which the best counts.
const ROUNDS: u32 = 7;
/// How long a round lasts at least.
const ROUND: Duration = Duration::from_millis(40);

/// True under `cargo bench`.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The shortest time that one run of `work` took.
pub fn time<T>(mut work: impl FnMut() -> T) -> Duration {
    let first = round(&mut work, 1).max(Duration::from_nanos(1));
    if !is_measuring() {
        return first;
    }
    let repeats = (ROUND.as_nanos() / first.as_nanos()).clamp(1, 1_000_000) as u32;
    (0..ROUNDS).map(|_| round(&mut work, repeats)).min().unwrap_or(first).max(Duration::from_nanos(1))
}

/// What one of so many runs took.
fn round<T>(work: &mut impl FnMut() -> T, repeats: u32) -> Duration {
    let start = now();
    for _ in 0..repeats {
        black_box(work());
    }
    now().saturating_sub(start) / repeats
}

/// The time that this thread has had a processor for, where the system tells (Linux), else the time of day.
fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.as_deref().and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}
