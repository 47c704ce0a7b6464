//! Leaps of the capture's clock, and files of other days put together.
//!
//! Nothing of SIP waits for a day. Where the time goes on by so much from one packet to the next, either the clock was
//! set or nothing was captured meanwhile: how long a call waited over that is not known. So what was open before a leap
//! is judged as if the capture had ended there, unless it goes on behind it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::log::Phase;
use crate::call::tracker::Tracker;
use crate::capture::{Place, Timestamp};

/// A step of the time from one packet to the next that is longer than anything waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leap {
    /// The last packet before it.
    pub before: Timestamp,
    /// The first packet behind it.
    pub after: Timestamp,
    /// The first message behind it that goes on with what had begun before and cannot have waited: then the clock was
    /// set.
    pub spanned: Option<Place>,
}

/// What is called a leap: no request waits for its answer as long.
pub const LEAP: Duration = Duration::from_secs(86_400);
/// The same in nanoseconds: every message asks for it.
const LEAP_NS: i64 = LEAP.as_nanos() as i64;

impl Tracker {
    /// Takes in that the time has gone on; what is open is given the time that it had left.
    pub(super) fn leap_from(&mut self, before: Timestamp) {
        let after = self.now;
        if after.0.saturating_sub(before.0) < LEAP_NS || before.0 == i64::MIN {
            return;
        }
        self.openings.finish(before, self.surroundings.failed_connections_mut());
        self.surroundings.neighbours_mut().note_leap(Leap { before, after, spanned: None });
        let by = after.since(before);
        self.move_deadlines(|deadline| deadline.plus(by));
    }

    /// Notes a message of a call that was waiting before the last leap.
    pub(super) fn note_spanned(&mut self, index: u32, place: Place) {
        let Some(leap) = self.surroundings.neighbours().leaps().last().copied() else { return };
        let Some(open) = self.open_at(index) else { return };
        let waited = !matches!(open.phase, Phase::Settled | Phase::Talking);
        if waited && leap.spanned.is_none() && open.moved <= leap.before && leap.after <= place.time {
            self.surroundings.neighbours_mut().note_leap(Leap { spanned: Some(place), ..leap });
        }
    }

    /// Until when what has last moved at a moment could be watched: now, or the next leap.
    pub(super) fn watched_until(&self, moved: Timestamp) -> Timestamp {
        self.surroundings.neighbours().leap_after(moved).map_or(self.now, |leap| leap.before)
    }
}
