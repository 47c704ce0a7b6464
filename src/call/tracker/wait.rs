//! How long the tracker waits for what may still come of a call, and when it looks at it next.

use crate::call::agenda::Agenda;
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
        let (now, leisure) = (self.now, self.leisure);
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
        self.note_leisure();
    }

    /// Whoever follows a run without end wants to hear of a call when it has ended, and many calls want their room: what
    /// waits for long has left the processor's caches when it is told.
    fn note_leisure(&mut self) {
        let has_end = matches!(self.forgets, Forgets::Nothing);
        let (few, some) = (self.limits.call_bytes / 8, self.limits.call_bytes / 4);
        // It comes back when half of the room is free again, so that it does not go to and fro.
        let leisure = match self.leisure {
            _ if self.bytes >= some => Leisure::None,
            Leisure::None if self.bytes >= some / 2 => Leisure::None,
            _ if !has_end || self.bytes >= few => Leisure::Some,
            Leisure::Ample => Leisure::Ample,
            _ if self.bytes >= few / 2 => Leisure::Some,
            _ => Leisure::Ample,
        };
        let is_less = leisure > self.leisure;
        self.leisure = leisure;
        if is_less {
            self.hasten();
        }
    }

    /// What has its end waits no longer than there is leisure for, from its last message on: calls are told in the
    /// order in which they ended.
    fn hasten(&mut self) {
        let leisure = self.leisure;
        for index in 0..self.open.len() as u32 {
            let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { continue };
            let patience = open.log.patience(open.phase, leisure);
            if patience != open.log.patience(open.phase, Leisure::Ample) {
                open.deadline = patience.map(|patience| open.moved.plus(patience));
                self.queue(index);
            }
        }
    }

    /// Moves the time at which each open call is closed if nothing more comes; the queue begins anew.
    pub(super) fn move_deadlines(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        self.deadlines = Agenda::default();
        for index in 0..self.open.len() as u32 {
            let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { continue };
            open.deadline = open.deadline.map(&moved);
            open.queued = None;
            self.queue(index);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tracker::spoken::{Said, hear};
    use crate::call::tracker::{Ended, Limits, Wanted};
    use crate::oddity::OddityLog;

    /// A call that is refused.
    const REFUSED: [Said; 3] = [
        (true, "INVITE sip:b@192.0.2.2 SIP/2.0", "1 INVITE"),
        (false, "SIP/2.0 486 Busy Here", "1 INVITE"),
        (true, "ACK sip:b@192.0.2.2 SIP/2.0", "1 ACK"),
    ];

    /// A tracker that holds so many bytes of messages.
    fn tracker(call_bytes: usize) -> Tracker {
        Tracker::new(Limits { call_bytes, ..Limits::default() }, Wanted::Troubled)
    }

    fn refuse(tracker: &mut Tracker, call: u32, at: i64) {
        for (after, said) in (0..).zip(REFUSED) {
            hear(tracker, call, at + after, said, &mut OddityLog::default());
        }
    }

    /// The numbers of the calls that have ended by a time.
    fn ended(tracker: &mut Tracker, by: i64) -> Vec<u32> {
        tracker.advance(Timestamp(by * 1_000_000));
        let number = |ended| match ended {
            Ended::Call(call) | Ended::SoFar(call) => Some(call.number),
            Ended::Good(_) => None,
        };
        std::iter::from_fn(|| tracker.next_closed()).filter_map(number).collect()
    }

    #[test]
    fn what_has_ended_is_kept_as_long_as_there_is_room() {
        let mut tracker = tracker(16 << 20);
        refuse(&mut tracker, 1, 1000);
        assert!(ended(&mut tracker, 60_000).is_empty());
    }

    #[test]
    fn without_room_it_is_kept_for_the_first_copy_and_then_for_all_of_them() {
        const SCARCE: usize = 6 << 10;
        let mut once = tracker(SCARCE);
        refuse(&mut once, 1, 1000);
        assert!(ended(&mut once, 2400).is_empty());
        assert_eq!(ended(&mut once, 2800), [1]);
        let mut again = tracker(SCARCE);
        refuse(&mut again, 1, 1000);
        for said in &REFUSED[1..] {
            hear(&mut again, 1, 1600, *said, &mut OddityLog::default());
        }
        assert!(ended(&mut again, 6500).is_empty(), "the next copy may come after T2, 4 s");
        assert_eq!(ended(&mut again, 7000), [1]);
    }

    #[test]
    fn calls_that_were_to_wait_for_longer_are_told_in_order_when_room_gets_scarce() {
        let mut tracker = tracker(256 << 10);
        for call in 1..=100 {
            refuse(&mut tracker, call, 1000 + 10 * i64::from(call));
        }
        let told = ended(&mut tracker, 10_000);
        assert!(told.len() > 50 && told.is_sorted(), "{told:?}");
    }
}
