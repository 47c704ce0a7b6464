//! Which of its INVITEs another one, with a Call-ID of its own, may carry on.

use crate::call::link::LinkedBy;
use crate::call::log::{EntryId, Link, Log, StepId};
use crate::net::Path;

impl Log {
    /// The INVITE that another one on this path continues: it waits for its answer and was on another hop.
    pub(crate) fn continued_by(&self, path: Path) -> Option<StepId> {
        let attempts = || {
            let steps = self.steps.iter().enumerate().rev().filter(|(_, step)| step.is_attempt());
            steps.filter_map(|(index, step)| Some((index, step, self.path(step.way)?)))
        };
        let waiting = || attempts().filter(|(_, step, known)| step.status == 0 && *known != path);
        let here = waiting().find(|(_, _, known)| known.destination.ip() == path.source.ip());
        // A system may send it on from an address of its own that nothing was seen to arrive at. But what a host sends that
        // has sent this call before is no continuation: it is the next try, another branch, or a call of its own; and what
        // arrives at a host where this call was before is another call.
        let is_elsewhere = || {
            attempts().all(|(_, _, known)| {
                known.source.ip() != path.source.ip() && known.destination.ip() != path.destination.ip()
            })
        };
        let continued = here.or_else(|| waiting().next().filter(|_| is_elsewhere()));
        continued.map(|(index, ..)| StepId(index as u32))
    }

    /// True if a step is an INVITE on this path that waits and that nothing continues yet.
    pub(crate) fn waits(&self, step: StepId, path: Path) -> bool {
        self.steps.get(step.0 as usize).is_some_and(|step| {
            step.is_attempt() && step.status == 0 && !step.forwarded && self.path(step.way) == Some(path)
        })
    }

    /// The next message opens a leg that continues a step, or comes in place of an earlier try.
    pub(crate) fn link(&mut self, by: LinkedBy, upstream: Option<StepId>) {
        if let Some(step) = upstream.and_then(|upstream| self.steps.get_mut(upstream.0 as usize)) {
            step.forwarded = true;
        }
        self.links.push(Link { entry: EntryId(self.entries.len() as u32), by, upstream });
    }
}
