//! Which of its INVITEs another one, with a Call-ID of its own, may carry on.

use crate::call::link::LinkedBy;
use crate::call::log::{EntryId, Link, Log, Step, StepId};
use crate::net::Path;

impl Log {
    /// The INVITE that another one on this path continues: it waits for its answer and was on another hop.
    pub(crate) fn continued_by(&self, path: Path) -> Option<StepId> {
        let waits = |step: &&(usize, &Step)| {
            step.1.is_attempt() && step.1.status == 0 && self.path(step.1.way).is_some_and(|known| known != path)
        };
        let candidates: Vec<(usize, &Step)> = self.steps.iter().enumerate().collect();
        let arrives = |step: &Step| self.path(step.way).is_some_and(|known| known.destination.ip() == path.source.ip());
        let here = candidates.iter().rev().filter(waits).find(|(_, step)| arrives(step));
        // What the same host sends to another one besides is no continuation: it is the next try, or another branch.
        let is_other = |step: &Step| self.path(step.way).is_some_and(|known| known.source.ip() != path.source.ip());
        let elsewhere = || candidates.iter().rev().filter(waits).find(|(_, step)| is_other(step));
        here.or_else(elsewhere).map(|(index, _)| StepId(*index as u32))
    }

    /// True if a step is an INVITE on this path that waits and that nothing continues yet.
    pub(crate) fn waits(&self, step: StepId, path: Path) -> bool {
        self.steps.get(step.0 as usize).is_some_and(|step| {
            step.is_attempt() && step.status == 0 && !step.forwarded && self.path(step.way) == Some(path)
        })
    }

    /// The next message opens a leg that continues a step.
    pub(crate) fn link(&mut self, by: LinkedBy, upstream: StepId) {
        if let Some(step) = self.steps.get_mut(upstream.0 as usize) {
            step.forwarded = true;
        }
        self.links.push(Link { entry: EntryId(self.entries.len() as u32), by, upstream });
    }
}
