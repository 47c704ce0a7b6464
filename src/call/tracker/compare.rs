//! What several inputs tell of each other: whether their clocks differ, and what two of them saw at two points.

use crate::call::clocks::ClockSeen;
use crate::call::link::Ties;
use crate::call::model::Arrival;
use crate::call::points::AtPoint;
use crate::call::tracker::Tracker;
use crate::call::transaction::Keys;
use crate::capture::InputFacts;
use crate::sip::Message;

impl Tracker {
    /// Says that there are several inputs: what they tell of each other is gathered from now on.
    pub fn compare_inputs(&mut self) {
        self.clocks.get_or_insert_default();
    }

    /// By how much the clocks of the inputs differ, of those that do, as far as that was gathered.
    pub fn clocks_apart(&self, inputs: &[InputFacts]) -> Vec<ClockSeen> {
        self.clocks.as_ref().map(|clocks| clocks.differences(inputs)).unwrap_or_default()
    }

    /// Compares a message with those of other inputs, if there are any: most runs have one.
    #[cold]
    #[inline(never)]
    pub(super) fn compare(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        ties: Option<&Ties<'_>>,
        arrival: &Arrival,
    ) {
        let Some(clocks) = &mut self.clocks else { return };
        if let Some(before) = clocks.note(message, keys, ties, arrival) {
            let (from, to) = (arrival.path.source, arrival.path.destination);
            let now = AtPoint { place: arrival.place, hop_limit: arrival.hop_limit };
            self.surroundings.points_mut().note(from, to, before, now);
        }
    }
}
