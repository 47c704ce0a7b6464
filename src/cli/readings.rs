//! Why files are read another time: secrets of TLS that came late, and clocks that differ.

use crate::analysis::Analysis;
use crate::call::ClockSeen;
use crate::capture::{InputFacts, SourceId};

/// What the readings so far have shown.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    clocks: Vec<ClockSeen>,
    /// What all of them held was known from the beginning.
    has_all_keys: bool,
    has_right_clocks: bool,
}

/// What another reading is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Another {
    of_keys: bool,
    of_clocks: bool,
}

impl Readings {
    /// What another reading would be for, if it would be of use: with all secrets, and with the times put right.
    pub(crate) fn another(&mut self, analysis: &mut Analysis, inputs: &[InputFacts]) -> Option<Another> {
        if !self.has_right_clocks {
            self.clocks = analysis.clocks_apart(inputs);
        }
        let of_keys = !self.has_all_keys && analysis.keys().came_late();
        let of_clocks = !self.has_right_clocks && !self.ahead().is_empty();
        (of_keys || of_clocks).then_some(Another { of_keys, of_clocks })
    }

    /// Says that it takes place.
    pub(crate) fn begin(&mut self, Another { of_keys, of_clocks }: Another) {
        self.has_all_keys |= of_keys;
        self.has_right_clocks |= of_clocks;
    }

    /// The inputs whose times are to be put right, and by how much each is ahead.
    pub(crate) fn ahead(&self) -> Vec<(SourceId, i64)> {
        self.clocks.iter().filter_map(|clock| Some((clock.source, clock.ahead?))).collect()
    }

    /// Lets the report say which clocks differ.
    pub(crate) fn tell_clocks(mut self, analysis: &mut Analysis) {
        for clock in &mut self.clocks {
            clock.is_corrected = self.has_right_clocks && clock.ahead.is_some();
        }
        analysis.tell_clocks(self.clocks);
    }
}
