//! What the tracker forgets in a run that may last for months: a table that only fills learns nothing new once it is
//! full.

use std::time::Duration;

use crate::call::tracker::Tracker;
use crate::capture::Timestamp;

/// How often something is forgotten.
const EVERY: Duration = Duration::from_secs(10);
/// Nothing of the surroundings explains a call that begins so much later.
const OLD: Duration = Duration::from_secs(2 * 3600);

/// Calls that are judged now ended within this time: when a hop was seen before it is kept coarsely.
const CLEAR: Duration = Duration::from_secs(600);

/// Whether what is old is forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Forgets {
    /// Nothing is: the input has an end.
    #[default]
    Nothing,
    /// What is too old is, the next time at this moment.
    Next(Timestamp),
}

impl Tracker {
    /// Says that the input has no end: what is too old to explain a call is forgotten from time to time.
    pub fn run_for_ever(&mut self) {
        self.forgets = Forgets::Next(self.now);
    }

    /// Forgets what is old, if it is time for that.
    pub(super) fn forget_what_is_old(&mut self) {
        let Forgets::Next(next) = self.forgets else { return };
        let now = self.now;
        // A clock that was put back leaves the next time far ahead.
        if now < next && next.since(now) <= EVERY {
            return;
        }
        self.forgets = Forgets::Next(now.plus(EVERY));
        let before = |age: Duration| Timestamp(now.0.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
        self.surroundings.forget(before(OLD), before(CLEAR));
    }
}
