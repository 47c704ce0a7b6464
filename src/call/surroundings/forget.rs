//! What is forgotten of the surroundings in a run that may last for months: what is too old to explain a call of now.

use crate::call::surroundings::Surroundings;
use crate::capture::Timestamp;

impl Surroundings {
    /// Forgets what is older than this moment, and of registrations all but the last ones. Counts stay, as do addresses
    /// and what they were seen to do. When a hop was seen before `clear` is kept coarsely: one span for all of it.
    pub fn forget(&mut self, before: Timestamp, clear: Timestamp) {
        self.hops.seen.iter_mut().for_each(|seen| {
            seen.forget(before);
            seen.blur(clear);
        });
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
