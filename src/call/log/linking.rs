//! Which of its INVITEs another one, with a Call-ID of its own, may carry on.

use std::net::IpAddr;
use std::time::Duration;

use crate::call::link::LinkedBy;
use crate::call::log::entry::{Entry, What};
use crate::call::log::{EntryId, Link, Log, Pool, Step, StepId};
use crate::call::timer;
use crate::capture::Timestamp;
use crate::net::Path;
use crate::sip::Message;
use crate::sip::auth::{challenges, credentials};

/// An exchange goes on to the next way this soon after one has failed.
const NEXT_TRY: Duration = Duration::from_secs(10);

/// An exchange calls the devices of one callee within this time.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The message of an entry.
fn read_anew(entry: &Entry, pool: &Pool) -> Option<Message<'static>> {
    let What::Message { cut, .. } = entry.what else { return None };
    Message::read_stored(entry.bytes(pool), cut)
}

impl Log {
    /// The INVITE that another one on this path continues: it waits for its answer and was on another hop.
    pub(crate) fn continued_by(&self, path: Path) -> Option<StepId> {
        let attempts = || {
            let steps = self.steps.iter().enumerate().rev().filter(|(_, step)| step.is_attempt());
            steps.filter_map(|(index, step)| Some((index, step, self.path(step.way)?)))
        };
        let waiting = || attempts().filter(|(_, step, known)| step.status == 0 && *known != path);
        let here = waiting().find(|(_, _, known)| known.destination.ip() == path.source.ip());
        // A system may send it on from an address of its own that nothing was seen to arrive at. But what a host sends
        // that has sent this call before is no continuation: it is the next try, another branch, or a call of its own;
        // and what arrives at a host where this call was before is another call.
        let is_elsewhere = || {
            attempts().all(|(_, _, known)| {
                known.source.ip() != path.source.ip() && known.destination.ip() != path.destination.ip()
            })
        };
        let continued = here.or_else(|| waiting().next().filter(|_| is_elsewhere()));
        continued.map(|(index, ..)| StepId(index as u32))
    }

    /// The INVITE that another one continues, if it still waits for its answer.
    pub(crate) fn continued_as(&self, step: StepId) -> Option<StepId> {
        let request = self.steps.get(step.0 as usize)?.request?;
        let upstream = self.links.iter().find(|link| link.entry == request)?.upstream?;
        self.steps.get(upstream.0 as usize).filter(|step| step.status == 0).map(|_| upstream)
    }

    /// The INVITE that waits for the answer of this host, the latest: what the host sends on continues it.
    pub(crate) fn waiting_for(&self, host: IpAddr) -> Option<StepId> {
        let is_waiting = |step: &Step| {
            step.is_attempt()
                && step.status == 0
                && self.path(step.way).is_some_and(|path| path.destination.ip() == host)
        };
        self.steps.iter().rposition(is_waiting).map(|index| StepId(index as u32))
    }

    /// True if a step is an INVITE on this path that waits and that nothing continues yet.
    pub(crate) fn waits(&self, step: StepId, path: Path) -> bool {
        self.steps.get(step.0 as usize).is_some_and(|step| {
            step.is_attempt() && step.status == 0 && !step.forwarded && self.path(step.way) == Some(path)
        })
    }

    /// True if the INVITE of a step was refused a moment before.
    pub(crate) fn was_just_refused(&self, step: StepId, now: Timestamp) -> bool {
        let refused = self.steps.get(step.0 as usize).filter(|step| step.status >= 300);
        let response = refused.and_then(|step| self.entries.get(step.response?.0 as usize));
        response.is_some_and(|response| now.since(response.place.time) <= NEXT_TRY)
    }

    /// True if the INVITE of a step was sent a moment before, as where several devices of one callee are called at
    /// once.
    pub(crate) fn was_just_sent(&self, step: StepId, now: Timestamp) -> bool {
        self.invite_entry(step).is_some_and(|invite| now.since(invite.place.time) <= AT_ONCE)
    }

    /// True if the INVITE of a step has waited for longer than one copy of it, and nothing was said of it.
    pub(crate) fn waits_in_vain(&self, step: StepId, now: Timestamp) -> bool {
        let is_silent = self.steps.get(step.0 as usize).is_some_and(|step| step.status == 0 && !step.provisional);
        is_silent && self.invite_entry(step).is_some_and(|invite| now.since(invite.place.time) >= timer::T1)
    }

    /// The path on which the INVITE of a step came.
    pub(crate) fn path_of(&self, step: StepId) -> Option<Path> {
        self.path(self.invite_entry(step)?.way)
    }

    /// The INVITE of a step, read anew.
    pub(crate) fn invite_of(&self, step: StepId, pool: &Pool) -> Option<Message<'static>> {
        read_anew(self.invite_entry(step)?, pool)
    }

    /// True if a challenge gave this nonce, and nobody has shown credentials yet.
    pub(crate) fn waits_for_credentials(&self, nonce: &str, pool: &Pool) -> bool {
        let is_given = |response: Message<'_>| challenges(&response).iter().any(|challenge| challenge.nonce == nonce);
        self.entries.iter().filter_map(|entry| read_anew(entry, pool)).any(is_given) && self.showed_no_credentials(pool)
    }

    /// True if nobody has shown credentials yet.
    pub(crate) fn showed_no_credentials(&self, pool: &Pool) -> bool {
        let is_shown = |request: Message<'_>| !credentials(&request).is_empty();
        !self.entries.iter().filter_map(|entry| read_anew(entry, pool)).any(is_shown)
    }

    fn invite_entry(&self, step: StepId) -> Option<&Entry> {
        self.entries.get(self.steps.get(step.0 as usize)?.request?.0 as usize)
    }

    /// True if it has legs with Call-IDs of their own.
    pub(crate) fn has_legs(&self) -> bool {
        !self.links.is_empty()
    }

    /// The next message opens a leg that continues a step, or comes in place of an earlier try.
    pub(crate) fn link(&mut self, by: LinkedBy, upstream: Option<StepId>) {
        if let Some(step) = upstream.and_then(|upstream| self.steps.get_mut(upstream.0 as usize)) {
            step.forwarded = true;
        }
        self.links.push(Link { entry: EntryId(self.entries.len() as u32), by, upstream });
    }
}
