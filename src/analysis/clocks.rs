//! Several inputs, and the clocks that stamped them.

use crate::analysis::Analysis;
use crate::call::ClockSeen;
use crate::capture::InputFacts;
use crate::oddity::Oddity;

impl Analysis {
    /// Says that there are several inputs: what they tell of each other is gathered from now on.
    pub fn compare_inputs(&mut self) {
        self.stairs.tracker.compare_inputs();
    }

    /// Which clocks of these inputs are not those of the others, as far as it was gathered.
    pub fn clocks_apart(&self, inputs: &[InputFacts]) -> Vec<ClockSeen> {
        self.stairs.tracker.clocks_apart(inputs)
    }

    /// Says which clocks are not those of the others: the report tells it of their inputs.
    pub fn tell_clocks(&mut self, clocks: Vec<ClockSeen>) {
        for ClockSeen { source, ahead, frames: (own, _), is_corrected, .. } in &clocks {
            let frame = Some(own.frame).filter(|_| own.source == *source);
            let oddities = self.of_network.of(*source).at(own.time.0);
            oddities.note(Oddity::ClockDiffers { ahead: *ahead, is_corrected: *is_corrected }, frame);
        }
        self.clocks = clocks;
    }

    /// The clocks that are not those of the others, as far as that was said.
    pub fn clocks(&self) -> &[ClockSeen] {
        &self.clocks
    }
}
