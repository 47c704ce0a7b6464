//! How many calls were up between two addresses when one more was asked for, and whom the calls went to.
//!
//! Is given calls that were accepted or refused; gives the numbers. Deliberately does not know whether they show a
//! limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call::neighbours::add;
use crate::capture::Place;

/// How many calls were up between two addresses when one more was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Occupancy {
    /// The most that were up when one more was accepted.
    pub most_when_accepted: u32,
    /// Calls that were accepted.
    pub accepted: u64,
    /// Where the first of them were accepted, by their 2xx and in order.
    #[serde(default)]
    pub accepted_first: Vec<Place>,
    /// Where the last of them was.
    #[serde(default)]
    pub accepted_last: Option<Place>,
    /// Keys of those who were called when one was accepted, in order; the first few.
    #[serde(default)]
    accepted_callees: Vec<u64>,
    /// Calls that were refused, by code, but for those whose refusal names a ground that is no number of calls.
    pub refused: BTreeMap<u16, RefusedAt>,
}

/// Calls that were refused with one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedAt {
    /// How many.
    pub count: u64,
    /// The fewest calls that were up when one was refused.
    pub fewest: u32,
    /// The first refusal.
    pub first: Place,
    /// The least and the greatest key of those who were called: if they differ, several were.
    callees: (u64, u64),
}

impl Occupancy {
    /// Places that are kept of the first calls that were accepted.
    const MOST_FIRST: usize = 4;
    /// Callees that are kept of those whose calls were accepted.
    const MOST_CALLEES: usize = 16;

    /// Notes a call to somebody, known by a key, that was accepted while so many others were up.
    pub(super) fn note_accepted(&mut self, others: u32, place: Place, callee: u64) {
        self.note_place(place);
        add(&mut self.accepted_callees, callee, Occupancy::MOST_CALLEES);
        self.most_when_accepted = self.most_when_accepted.max(others);
        self.accepted = self.accepted.saturating_add(1);
    }

    /// Notes one that was refused with this code.
    pub(super) fn note_refused(&mut self, code: u16, others: u32, place: Place, callee: u64) {
        self.join(code, &RefusedAt { count: 1, fewest: others, first: place, callees: (callee, callee) });
    }

    /// Puts together what two readers have seen.
    pub(super) fn merge(&mut self, other: &Occupancy) {
        other.accepted_first.iter().chain(&other.accepted_last).for_each(|place| self.note_place(*place));
        self.most_when_accepted = self.most_when_accepted.max(other.most_when_accepted);
        self.accepted = self.accepted.saturating_add(other.accepted);
        for callee in &other.accepted_callees {
            add(&mut self.accepted_callees, *callee, Occupancy::MOST_CALLEES);
        }
        other.refused.iter().for_each(|(code, refused)| self.join(*code, refused));
    }

    fn join(&mut self, code: u16, refused: &RefusedAt) {
        self.refused.entry(code).and_modify(|known| known.join(refused)).or_insert(*refused);
    }

    /// True if all that was refused so went to one callee, and no call to the same was accepted: it may be the callee
    /// who is not there, or wants no calls.
    pub fn is_of_one_callee(&self, refused: &RefusedAt) -> bool {
        !refused.is_of_several() && !self.accepted_callees.contains(&refused.callees.0)
    }

    /// True if calls to more than one callee went here, of which the outcome is known.
    pub fn is_for_several(&self) -> bool {
        self.accepted_callees.len() > 1 || self.refused.values().any(RefusedAt::is_of_several)
    }

    fn note_place(&mut self, place: Place) {
        if let Err(at) = self.accepted_first.binary_search(&place) {
            self.accepted_first.insert(at, place);
            self.accepted_first.truncate(Occupancy::MOST_FIRST);
        }
        self.accepted_last = self.accepted_last.max(Some(place));
    }
}

impl RefusedAt {
    /// True if calls to more than one callee were refused.
    pub fn is_of_several(&self) -> bool {
        self.callees.0 != self.callees.1
    }

    fn join(&mut self, other: &RefusedAt) {
        self.count = self.count.saturating_add(other.count);
        self.fewest = self.fewest.min(other.fewest);
        self.first = self.first.min(other.first);
        let (least, greatest) = other.callees;
        self.callees = (self.callees.0.min(least), self.callees.1.max(greatest));
    }
}
