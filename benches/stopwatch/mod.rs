//! How long something takes: the best of several rounds, so that what else the machine does counts least.
//!
//! Under `cargo bench` each round lasts a while; run in any other way, everything runs once, to show that it runs.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of which the best counts.
const ROUNDS: u32 = 5;
/// How long a round lasts at least.
const ROUND: Duration = Duration::from_millis(60);

/// True under `cargo bench`.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The shortest time that one run of `work` took.
pub fn time<T>(mut work: impl FnMut() -> T) -> Duration {
    let first = once(&mut work);
    if !is_measuring() {
        return first;
    }
    let repeats = (ROUND.as_nanos() / first.as_nanos().max(1)).clamp(1, 1_000_000) as u32;
    let mut best = first;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..repeats {
            black_box(work());
        }
        best = best.min(start.elapsed() / repeats);
    }
    best
}

fn once<T>(work: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed().max(Duration::from_nanos(1))
}
