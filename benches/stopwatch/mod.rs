//! How long something takes: the shortest of several rounds, so that what else the machine does counts least.
//!
//! Under `cargo bench` each round lasts a while; run in any other way, everything runs once, to show that it runs.
#![allow(dead_code, reason = "each bench uses its own part")]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of which the shortest counts.
const ROUNDS: u32 = 9;
/// How long a round lasts at least.
const ROUND: Duration = Duration::from_millis(5);

/// True under `cargo bench`.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The shortest time that one run of `work` took.
pub fn time<T>(work: impl FnMut() -> T) -> Duration {
    let mut rounds = Rounds::of(work);
    for _ in 1..ROUNDS {
        if !is_measuring() {
            break;
        }
        rounds.another();
    }
    rounds.shortest
}

/// Rounds of one piece of work.
pub struct Rounds<W> {
    work: W,
    /// Runs in each round.
    runs: u32,
    /// The shortest time that one run took.
    pub shortest: Duration,
}

impl<T, W: FnMut() -> T> Rounds<W> {
    /// Finds out how many runs make a round.
    pub fn of(work: W) -> Rounds<W> {
        let mut rounds = Rounds { work, runs: 1, shortest: Duration::MAX };
        while rounds.another() * rounds.runs < ROUND && is_measuring() {
            rounds.runs *= 2;
        }
        rounds
    }

    /// One more round; gives what one run took in it.
    pub fn another(&mut self) -> Duration {
        let start = Instant::now();
        for _ in 0..self.runs {
            black_box((self.work)());
        }
        // Nothing takes no time, and ratios are made of this.
        let one = (start.elapsed() / self.runs).max(Duration::from_nanos(1));
        self.shortest = self.shortest.min(one);
        one
    }
}
