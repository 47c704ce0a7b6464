//! Which call is looked at when: rows of entries, one for each quarter of a second.
//!
//! Is given moments; gives the entries whose row has passed, in order. Deliberately does not know what they stand for.
//! A heap of them all would be sorted anew for every message; here an entry is only put into its row.

use std::collections::VecDeque;

use crate::capture::Timestamp;

/// An entry: its moment, the number of its call, and where that is.
pub(super) type Entry = (Timestamp, u32, u32);

/// Length of a row in nanoseconds.
const ROW: i64 = 250_000_000;
/// Rows that are kept: longer than anything waits. What lies beyond stands in the last one.
const MOST_ROWS: usize = 4096;

/// Entries by the time at which they are looked at.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// The number of the first row, counted from the epoch.
    first: i64,
    rows: VecDeque<Vec<Entry>>,
    /// A row that has passed, for the next one that is needed.
    spare: Vec<Entry>,
}

impl Agenda {
    /// Puts an entry into its row. Nothing is put before `now`.
    pub(super) fn put(&mut self, entry: Entry, now: Timestamp) {
        let row = entry.0.0.div_euclid(ROW);
        if self.rows.is_empty() {
            self.first = now.0.div_euclid(ROW);
        }
        let at = usize::try_from(row.saturating_sub(self.first)).unwrap_or(0).min(MOST_ROWS - 1);
        while self.rows.len() <= at {
            self.rows.push_back(std::mem::take(&mut self.spare));
        }
        self.rows[at].push(entry);
    }

    /// The next row that has passed by now, in order of its entries.
    pub(super) fn passed(&mut self, now: Timestamp) -> Option<Vec<Entry>> {
        // A row has passed when the next one has begun.
        while !self.rows.is_empty() && now.0 >= self.first.saturating_add(1).saturating_mul(ROW) {
            let mut row = self.rows.pop_front()?;
            self.first += 1;
            if !row.is_empty() {
                row.sort_unstable();
                return Some(row);
            }
            self.spare = row;
        }
        None
    }

    /// Takes back the room of a row.
    pub(super) fn give_back(&mut self, mut row: Vec<Entry>) {
        row.clear();
        self.spare = row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_entry_comes_once_when_its_row_has_passed(
            steps in prop::collection::vec((0i64..3_000_000_000, 0i64..600_000_000_000), 1..60),
        ) {
            let mut agenda = Agenda::default();
            let (mut now, mut waiting) = (0, Vec::new());
            for (number, (step, ahead)) in (0u32..).zip(steps) {
                now += step;
                while let Some(row) = agenda.passed(Timestamp(now)) {
                    for entry in &row {
                        let at = waiting.iter().position(|known| known == entry);
                        prop_assert!(at.is_some() && entry.0.0 < now);
                        waiting.swap_remove(at.unwrap());
                    }
                    agenda.give_back(row);
                }
                prop_assert!(waiting.iter().all(|(due, ..): &Entry| due.0.div_euclid(ROW) >= now.div_euclid(ROW)));
                let entry = (Timestamp(now + ahead), number, 0);
                agenda.put(entry, Timestamp(now));
                waiting.push(entry);
            }
        }
    }
}
