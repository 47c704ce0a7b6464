//! A word on calls that have not ended: that one was answered, or has failed as it stands now.
//!
//! A file is read to its end, and each call told when it is over. Live, nobody wants to wait for late copies and for a
//! retry that may come under the same Call-ID: a call is told as soon as its failure is there, and again when it ends.

use std::time::Duration;

use crate::call::log::{EarlyWord, Phase};
use crate::call::tracker::{Ended, Tracker};
use crate::capture::Timestamp;

/// Calls that are told early in one second: in a flood the others are told when they have ended.
const MOST_IN_A_SECOND: u32 = 200;

/// Whether a word is wanted before a call has ended, and how many were said in this second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Early {
    /// None is.
    #[default]
    Unwanted,
    /// One is.
    Wanted {
        /// The second.
        second: i64,
        /// How many were said in it.
        said: u32,
    },
}

/// What was said of a call before it has ended, and what is to be said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word {
    /// When it is looked at for that.
    due: Option<Timestamp>,
    /// How far it had come when it was last told that it has failed.
    told_at: Option<(u32, u32)>,
    /// How often it was told that it was answered.
    answers_told: u32,
}

impl Word {
    /// When the call is to be looked at.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The clock was set.
    pub(super) fn shift(&mut self, nanoseconds: i64) {
        self.due = self.due.map(|due| Timestamp(due.0.saturating_add(nanoseconds)));
    }
}

impl Tracker {
    /// Asks for a word on each call that is answered or has failed, before it has ended ([`Ended::SoFar`]).
    pub fn tell_early(&mut self) {
        self.early = Early::Wanted { second: 0, said: 0 };
    }

    /// The clock by which packets are stamped was set, and nobody waited: what waits goes on waiting for as long.
    pub fn clock_set(&mut self, nanoseconds: i64) {
        let shifted = |time: Timestamp| Timestamp(time.0.saturating_add(nanoseconds));
        self.now = shifted(self.now);
        for open in self.open.iter_mut().flatten() {
            // What has its end keeps the times at which it was seen.
            if open.phase != Phase::Settled {
                open.log.clock_set(nanoseconds);
            }
            open.moved = shifted(open.moved);
            open.word.shift(nanoseconds);
        }
        self.move_deadlines(shifted);
    }

    /// Says what is known of a call at once, or decides when to look at it again.
    pub(super) fn consider_a_word(&mut self, index: u32) {
        if matches!(self.early, Early::Unwanted) {
            return;
        }
        let now = self.now;
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let wait = match open.log.early_word(open.phase) {
            EarlyWord::None => {
                open.word.due = None;
                return;
            }
            EarlyWord::Answered if open.word.answers_told > 0 => return,
            EarlyWord::Failed(_) if open.word.told_at == Some(open.log.progress()) => return,
            EarlyWord::Answered => Duration::ZERO,
            EarlyWord::Failed(wait) => wait,
            EarlyWord::Silent => {
                let due = open.log.started().map(|started| started.plus(crate::call::timer::OVERDUE));
                due.map_or(Duration::ZERO, |due| due.since(now))
            }
        };
        if wait.is_zero() {
            return self.say(index);
        }
        open.word.due = Some(now.plus(wait));
        self.queue(index);
    }

    /// Says what is known of a call whose moment has come.
    pub(super) fn say_what_is_due(&mut self, index: u32) {
        let now = self.now;
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        if open.word.due.is_none_or(|due| due > now) {
            return;
        }
        open.word.due = None;
        let is_new = match open.log.early_word(open.phase) {
            EarlyWord::None => false,
            EarlyWord::Answered => open.word.answers_told == 0,
            EarlyWord::Failed(_) | EarlyWord::Silent => open.word.told_at != Some(open.log.progress()),
        };
        if is_new {
            self.say(index);
        }
    }

    fn say(&mut self, index: u32) {
        let Early::Wanted { second, said } = &mut self.early else { return };
        let now = self.now.0.div_euclid(1_000_000_000);
        if *second != now {
            (*second, *said) = (now, 0);
        }
        if *said >= MOST_IN_A_SECOND {
            return;
        }
        *said += 1;
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        match open.log.early_word(open.phase) {
            EarlyWord::Answered => open.word.answers_told += 1,
            _ => open.word.told_at = Some(open.log.progress()),
        }
        let call = open.log.assemble(self.now, &self.pool);
        self.closed.push_back(Ended::SoFar(Box::new(call)));
    }
}
