//! How long the tracker waits for what may still come of a call, and when it looks at it next.

use crate::call::log::Leisure;
use crate::call::tracker::forget::Forgets;
use crate::call::tracker::{Open, Tracker};
use crate::capture::Timestamp;

impl Open {
    /// The earliest time at which it is to be looked at.
    fn next_look(&self) -> Option<Timestamp> {
        match (self.deadline, self.word.due()) {
            (Some(deadline), Some(word)) => Some(deadline.min(word)),
            (only, None) | (None, only) => only,
        }
    }
}

impl Tracker {
    /// Sets the time at which the call is closed if nothing more comes.
    pub(super) fn reschedule(&mut self, index: u32) {
        let (now, leisure) = (self.now, self.leisure());
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        open.phase = open.log.phase();
        open.moved = now;
        open.deadline = open.log.patience(open.phase, leisure).map(|patience| now.plus(patience));
        let footprint = open.footprint();
        self.bytes = (self.bytes + footprint).saturating_sub(open.bytes);
        open.bytes = footprint;
        let is_queued = open.queued.is_some_and(|queued| open.next_look().is_none_or(|next| queued <= next));
        if !is_queued {
            self.queue(index);
        }
    }

    /// Whoever follows a run without end wants to hear of a call when it has ended, and many calls want their room.
    fn leisure(&self) -> Leisure {
        let has_end = matches!(self.forgets, Forgets::Nothing);
        if has_end && self.bytes < self.limits.call_bytes / 8 { Leisure::Ample } else { Leisure::None }
    }

    /// Puts the call into the queue of deadlines, unless it stands there with an earlier time: then it is looked at
    /// again when that has come.
    pub(super) fn queue(&mut self, index: u32) {
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let Some(next) = open.next_look() else { return };
        if open.queued.is_none_or(|queued| next < queued) {
            open.queued = Some(next);
            self.deadlines.put((next, open.log.number, index), self.now);
        }
    }
}
