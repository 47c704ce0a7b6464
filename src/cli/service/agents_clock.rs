//! What time it is for agents that send copies, whose clocks are not ours.
//!
//! Knows what the last of them said and how long ago that is. Is given the time that an agent says; gives the one that
//! counts, and says when the clock was set. Deliberately does not know who said it: agents are told apart by nothing
//! that could not be made up.
//!
//! What is replayed is judged by its own times, whenever that was; silence in it is silence. What is copied as it
//! happens says what our clock says too, and a clock that disagrees with those that do is not believed while they
//! speak: calls would seem to have waited for hours.

use std::time::{Duration, Instant, SystemTime};

use crate::capture::Timestamp;

/// Up to here clocks differ, and what comes later than it was seen is only late.
const APART: Duration = Duration::from_secs(60);
/// What is still on its way may be so old.
const LAG: Duration = Duration::from_millis(250);
/// How often the clock may be set within a second. Each time every open call has to be looked at.
const MOST_STEPS: u32 = 10;

/// The time of the agents: the latest that one of them gave, and what has passed since.
#[derive(Debug, Default)]
pub(super) struct AgentsClock {
    latest: Option<(Timestamp, Instant)>,
    /// When a second of steps began, and how many there were in it.
    steps: Option<(Instant, u32)>,
}

/// What counts as the time of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// What the agent said, or the time at hand if it said none.
    At(Timestamp),
    /// The time at hand: what was said cannot be, or is contradicted.
    Doubted(Timestamp),
    /// What the agent said: the clock was set by so many nanoseconds since the last copy.
    Set(Timestamp, i64),
}

/// Our own clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    day: Timestamp,
    running: Instant,
}

impl Own {
    /// This moment.
    pub(super) fn now() -> Own {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Own { day: Timestamp::default().plus(since_epoch), running: Instant::now() }
    }
}

impl AgentsClock {
    /// When a packet was captured, by what its agent says.
    pub(super) fn time_of(&mut self, said: Option<Timestamp>, own: Own) -> Heard {
        let heard = self.judge(said, own);
        match heard {
            Heard::At(time) if self.latest.is_none_or(|(latest, _)| time > latest) => {
                self.latest = Some((time, own.running));
            }
            Heard::Set(time, _) => self.latest = Some((time, own.running)),
            Heard::At(_) | Heard::Doubted(_) => {}
        }
        heard
    }

    /// Up to when it is known that nothing happened. Before the first packet nothing is known.
    pub(super) fn quiet_until(&self) -> Timestamp {
        let Some((latest, when)) = self.latest else { return Timestamp::default() };
        latest.plus(when.elapsed().saturating_sub(LAG))
    }

    fn judge(&mut self, said: Option<Timestamp>, own: Own) -> Heard {
        let since_latest = |when: Instant| own.running.saturating_duration_since(when);
        let expected = self.latest.map(|(latest, when)| latest.plus(since_latest(when)));
        let Some(said) = said else { return Heard::At(expected.unwrap_or(own.day)) };
        if said > own.day.plus(APART) {
            return Heard::Doubted(expected.unwrap_or(own.day));
        }
        let Some(expected) = expected else { return Heard::At(said) };
        let (is_ahead, is_behind) = (said > expected.plus(APART), said.plus(APART) < expected);
        let is_now = |time: Timestamp| time.plus(APART) >= own.day;
        match (is_ahead, is_behind) {
            (false, false) => return Heard::At(said),
            // Nothing happened meanwhile in what is replayed.
            (true, _) if !is_now(said) => return Heard::At(said),
            // Others, or the same one a moment ago, say what our clock says.
            (_, true) if is_now(expected) && self.latest.is_some_and(|(_, when)| since_latest(when) < APART) => {
                return Heard::Doubted(expected);
            }
            _ => {}
        }
        match self.may_step(own.running) {
            true => Heard::Set(said, said.0.saturating_sub(expected.0)),
            false => Heard::Doubted(expected),
        }
    }

    fn may_step(&mut self, now: Instant) -> bool {
        let begun = self.steps.filter(|(begun, _)| now.saturating_duration_since(*begun) < Duration::from_secs(1));
        let (begun, count) = begun.unwrap_or((now, 0));
        self.steps = Some((begun, count.saturating_add(1)));
        count < MOST_STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;
    const LONG_AGO: Timestamp = Timestamp(1_400_000_000_000_000_000);

    fn after(own: Own, seconds: u64) -> Own {
        let passed = Duration::from_secs(seconds);
        Own { day: own.day.plus(passed), running: own.running + passed }
    }

    fn shifted(time: Timestamp, by: i64) -> Timestamp {
        Timestamp(time.0 + by)
    }

    #[test]
    fn what_is_replayed_is_judged_by_its_own_times() {
        let (mut clock, own) = (AgentsClock::default(), Own::now());
        assert_eq!(clock.quiet_until(), Timestamp::default());
        assert_eq!(clock.time_of(Some(LONG_AGO), own), Heard::At(LONG_AGO));
        assert!(clock.quiet_until().since(LONG_AGO) < APART, "years have not passed");
        let earlier = shifted(LONG_AGO, -1);
        assert_eq!(clock.time_of(Some(earlier), own), Heard::At(earlier), "late is not set");
        let later = shifted(LONG_AGO, HOUR);
        assert_eq!(clock.time_of(Some(later), own), Heard::At(later), "an hour of silence");
        assert_eq!(clock.time_of(None, after(own, 2)), Heard::At(shifted(later, 2_000_000_000)));
        let next = after(own, 2);
        assert_eq!(clock.time_of(Some(LONG_AGO), next), Heard::Set(LONG_AGO, -HOUR - 2_000_000_000), "another file");
        assert_eq!(clock.time_of(Some(LONG_AGO), next), Heard::At(LONG_AGO));
    }

    #[test]
    fn what_is_said_of_the_future_is_not_believed() {
        let (mut clock, own) = (AgentsClock::default(), Own::now());
        let ahead = Some(shifted(own.day, HOUR));
        assert_eq!(clock.time_of(ahead, own), Heard::Doubted(own.day));
        assert_eq!(clock.time_of(None, own), Heard::At(own.day));
        let mut clock = AgentsClock::default();
        clock.time_of(Some(LONG_AGO), own);
        assert_eq!(clock.time_of(ahead, own), Heard::Doubted(LONG_AGO), "and what is replayed goes on");
    }

    #[test]
    fn a_clock_that_disagrees_with_those_that_are_right_counts_once_they_are_silent() {
        let (mut clock, own) = (AgentsClock::default(), Own::now());
        clock.time_of(Some(own.day), own);
        let behind = shifted(own.day, -5 * HOUR);
        assert_eq!(clock.time_of(Some(behind), own), Heard::Doubted(own.day));
        let later = after(own, 70);
        assert_eq!(clock.time_of(Some(behind), later), Heard::Set(behind, -5 * HOUR - 70_000_000_000));
        assert_eq!(clock.time_of(Some(behind), later), Heard::At(behind));
        assert_eq!(clock.time_of(Some(later.day), later), Heard::Set(later.day, 5 * HOUR + 70_000_000_000));
    }

    #[test]
    fn a_clock_that_jumps_all_the_time_is_not_followed() {
        let (mut clock, own) = (AgentsClock::default(), Own::now());
        let mut set = 0;
        for turn in 0..1000 {
            let said = shifted(LONG_AGO, -HOUR * turn);
            set += u32::from(matches!(clock.time_of(Some(said), own), Heard::Set(..)));
        }
        assert_eq!(set, MOST_STEPS);
        let said = shifted(LONG_AGO, -HOUR * 5000);
        assert!(matches!(clock.time_of(Some(said), after(own, 2)), Heard::Set(..)), "a second later it is");
    }
}
