//! The clock of this machine, and whether somebody set it.
//!
//! Packets are stamped with the time of day, which may be put forward or back. How long something waits must not depend
//! on that: so the time of day is compared with a clock that only ever runs.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use crate::capture::place::Timestamp;

/// A difference that is no drift: it was set.
const STEP: i64 = 1_000_000_000;

/// The time of day beside a clock that only ever runs.
#[derive(Debug)]
pub(super) struct SteadyClock {
    begun: Instant,
    day: Timestamp,
}

impl SteadyClock {
    pub(super) fn new() -> SteadyClock {
        SteadyClock { begun: Instant::now(), day: time_of_day() }
    }

    /// The time of day, so much earlier.
    pub(super) fn now_less(&self, less: Duration) -> Timestamp {
        let less = i64::try_from(less.as_nanos()).unwrap_or(i64::MAX);
        Timestamp(time_of_day().0.saturating_sub(less))
    }

    /// By how many nanoseconds the time of day was set since this was last asked; `None` if it was not.
    pub(super) fn was_set(&mut self) -> Option<i64> {
        self.compare(Instant::now(), time_of_day())
    }

    fn compare(&mut self, now: Instant, day: Timestamp) -> Option<i64> {
        let expected = self.day.plus(now.saturating_duration_since(self.begun));
        // Compared from time to time only, so that drift does not add up to a step.
        (self.begun, self.day) = (now, day);
        let by = day.0.saturating_sub(expected.0);
        (by.saturating_abs() >= STEP).then_some(by)
    }
}

fn time_of_day() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_and_drift_is_not() {
        let begun = Instant::now();
        let mut clock = SteadyClock { begun, day: Timestamp(5_000_000_000_000) };
        let second = Duration::from_secs(1);
        let mut day = clock.day;
        // A millisecond too fast in each second, for long.
        for turn in 1..3000 {
            day = Timestamp(day.0 + 1_001_000_000);
            assert_eq!(clock.compare(begun + second * turn, day), None);
        }
        let put_back = Timestamp(day.0 - 3_600_000_000_000);
        assert_eq!(clock.compare(begun + second * 2999, put_back), Some(-3_600_000_000_000));
        assert_eq!(clock.compare(begun + second * 3000, put_back.plus(second)), None);
    }
}
