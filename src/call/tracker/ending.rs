//! How calls are handed on that have ended, and how those end that are open when the input does.

use crate::call::link::Guesses;
use crate::call::tracker::{Clues, Ended, Tracker};
use crate::keyed::ByHash;

impl Tracker {
    /// Says that the input has ended: every open call ends, in order of its number, when the one before is handed on.
    pub fn finish(&mut self) {
        self.openings.finish(self.now, self.surroundings.failed_connections_mut());
        let mut ending: Vec<(u32, u32)> = (0u32..)
            .zip(&self.open)
            .filter_map(|(index, open)| open.as_ref().map(|open| (open.log.number, index)))
            .collect();
        ending.sort_unstable_by(|one, other| other.cmp(one));
        self.ending = ending.into_iter().map(|(_, index)| index).collect();
        // No message comes any more: what would lead it to its call makes room for what is made of the calls.
        (self.by_call_id, self.links, self.last_on_path) = <(ByHash<_>, ByHash<_>, ByHash<_>)>::default();
        (self.clues, self.guesses, self.spare) = (Clues::default(), Guesses::default(), Vec::new());
    }

    /// True if a call has ended that was not handed on.
    #[inline]
    pub(crate) fn has_closed(&self) -> bool {
        !self.closed.is_empty() || !self.ending.is_empty()
    }

    /// The next call that has ended.
    pub fn next_closed(&mut self) -> Option<Ended> {
        while self.closed.is_empty()
            && let Some(index) = self.ending.pop()
        {
            self.close(index);
            self.spare.clear();
        }
        self.closed.pop_front()
    }
}
