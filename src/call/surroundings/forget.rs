//! What is forgotten of the surroundings in a run that may last for months: what is too old to explain a call of now.

use crate::call::surroundings::{Seen, Surroundings};
use crate::capture::Timestamp;

impl Surroundings {
    /// Forgets what is older than this moment, and of registrations all but the last ones. Counts stay, as do addresses
    /// and what they were seen to do.
    pub fn forget(&mut self, before: Timestamp) {
        self.hops.seen.iter_mut().for_each(|seen| seen.forget(before));
        self.back_offs.retain(|_, asked| {
            asked.retain(|back_off| back_off.until >= before);
            !asked.is_empty()
        });
        self.registering.retain(|_, rows| {
            rows.retain(|row| row.place.time >= before);
            !rows.is_empty()
        });
        self.closed_ports.retain(|_, closed| {
            closed.retain(|closed| closed.place.time >= before);
            !closed.is_empty()
        });
        self.accepted.forget(before);
        self.registrations.forget(before);
        self.neighbours.forget(before);
    }
}

impl Seen {
    /// Forgets spans that ended before this moment; the last one stays.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        let old = self.spans.partition_point(|(_, last)| *last < before).min(self.spans.len().saturating_sub(1));
        if old > 0 {
            self.spans.drain(..old);
            self.spans.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_spans_are_forgotten_and_the_last_one_stays() {
        let minutes = |count: i64| Timestamp(count * 60_000_000_000);
        let mut seen = Seen::default();
        (0..10).for_each(|minute| seen.note(minutes(minute)));
        seen.forget(minutes(4));
        assert_eq!((seen.first_and_last(), seen.count), (Some((minutes(4), minutes(9))), 10));
        seen.forget(minutes(100));
        assert_eq!(seen.first_and_last(), Some((minutes(9), minutes(9))));
    }
}
