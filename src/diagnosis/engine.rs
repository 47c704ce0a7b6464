//! Holds ended calls back for a while, so that what the capture tells later is known when they are diagnosed.

use std::collections::VecDeque;

use crate::call::{Call, Surroundings};
use crate::diagnosis::capture_case::Tally;
use crate::diagnosis::case::{CaptureSeen, Case};
use crate::diagnosis::diagnose::{Diagnosis, Verdict, diagnose};
use crate::diagnosis::questions::Questions;

/// Diagnoses calls in the order in which they ended.
///
/// A small capture is diagnosed when all of it is known. Of a large one, calls are held back as long as their messages
/// fit into the bound; live, the bound is 0 and every call is diagnosed at once.
#[derive(Debug)]
pub struct Engine {
    held: VecDeque<(Box<Call>, usize)>,
    bytes: usize,
    bound: usize,
    tally: Tally,
    questions: Questions,
}

impl Engine {
    /// Bytes of messages that are held back at most, by default.
    pub const HELD_BACK: usize = 5 << 20;

    /// An engine that holds back this many bytes.
    pub fn new(bound: usize) -> Engine {
        Engine { held: VecDeque::new(), bytes: 0, bound, tally: Tally::default(), questions: Questions::default() }
    }

    /// Takes in a call that has ended.
    pub fn add(&mut self, call: impl Into<Box<Call>>) {
        let call = call.into();
        self.tally.add(&call);
        let bytes = call.footprint();
        self.bytes += bytes;
        self.held.push_back((call, bytes));
    }

    /// Counts a plain good call that is not diagnosed.
    pub fn add_good(&mut self) {
        self.tally.calls += 1;
    }

    /// The next call whose turn it is while the input goes on; `None` while all fit into the bound.
    pub fn next(&mut self, surroundings: &Surroundings, capture: CaptureSeen) -> Option<(Box<Call>, Diagnosis)> {
        self.is_over_bound().then(|| self.next_at_end(surroundings, capture))?
    }

    /// The next call when the input has ended.
    pub fn next_at_end(&mut self, surroundings: &Surroundings, capture: CaptureSeen) -> Option<(Box<Call>, Diagnosis)> {
        let call = self.release()?;
        let diagnosis = diagnose(&Case::new(&call, surroundings, capture).beside(&self.tally));
        Some((call, diagnosis))
    }

    /// True if not all calls that wait fit into the bound.
    pub(crate) fn is_over_bound(&self) -> bool {
        self.bytes > self.bound || self.bound == 0
    }

    /// The same when the input has ended. Live, all calls that were open end then, and may know of each other.
    pub(crate) fn is_full_at_end(&self) -> bool {
        self.bytes > if self.bound == 0 { Engine::HELD_BACK } else { self.bound }
    }

    /// The next call when the input has ended, put into words only if somebody reads them.
    pub(crate) fn next_for(
        &mut self,
        reads_words: impl FnOnce(&Call, &Diagnosis) -> bool,
        surroundings: &Surroundings,
        capture: CaptureSeen,
    ) -> Option<(Box<Call>, Diagnosis)> {
        let call = self.release()?;
        let case = Case::new(&call, surroundings, capture).beside(&self.tally);
        let verdict = Verdict::asking(self.questions.of(&case), &case);
        let diagnosis = if reads_words(&call, verdict.diagnosis()) { verdict.told(&case) } else { verdict.untold() };
        Some((call, diagnosis))
    }

    fn release(&mut self) -> Option<Box<Call>> {
        let (call, bytes) = self.held.pop_front()?;
        self.bytes -= bytes;
        Some(call)
    }

    /// What was counted over all calls.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}
