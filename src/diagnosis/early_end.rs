//! How a call that was not answered was ended before anybody answered it.

use std::borrow::Cow;

use crate::call::{AnsweredBefore, Begun, Failure, Heard, Outcome, Transaction};
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::{Side, to_tag};
use crate::sip::{Method, Reason, StatusCode};

/// What ended an INVITE before its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EarlyEnd<'a> {
    /// The caller's side sent CANCEL on its own hop.
    Cancel(&'a Heard),
    /// One side sent BYE: the caller's, as it may, or the callee's, as it must not (RFC 3261 §15).
    Bye(&'a Heard),
    /// Only a hop further on sent CANCEL: its own timer, or its own decision.
    InnerCancel,
    /// A 487 came, and nothing in the capture says what ended the call.
    Unknown(&'a Heard),
}

/// What the Reason of a CANCEL says (RFC 3326).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelSays {
    /// Nothing, normal clearing (Q.850 16 and 31), that the user ended the call ([`Reason::says_user_ended`]), or only
    /// that the caller's side cancels ([`says_only_cancelled`]).
    GivenUp,
    /// The call was answered elsewhere: SIP 200, or Q.850 26.
    Elsewhere,
    /// Something else.
    Other,
}

/// Reads what the Reason values of a CANCEL or BYE say together.
pub(crate) fn cancel_says(reasons: &[Reason]) -> CancelSays {
    // A maker's own protocol beside one that is known tells nobody else anything (RFC 3326 §2).
    let all_unknown = !reasons.iter().any(is_known);
    match () {
        () if reasons.is_empty() => CancelSays::GivenUp,
        () if reasons.iter().any(says_elsewhere) => CancelSays::Elsewhere,
        () if all_unknown || reasons.iter().any(says_other) => CancelSays::Other,
        () => CancelSays::GivenUp,
    }
}

/// True if the protocol of a Reason is one that this program knows.
fn is_known(reason: &Reason) -> bool {
    reason.sip().is_some() || reason.q850().is_some() || reason.release_cause().is_some()
}

/// True if a Reason says that the call was answered elsewhere.
pub(crate) fn says_elsewhere(reason: &Reason) -> bool {
    reason.sip() == Some(200) || reason.q850() == Some(26)
}

/// True if a Reason of a known protocol says something else than that the caller gave up.
pub(crate) fn says_other(reason: &Reason) -> bool {
    let given_up = matches!(reason.q850(), Some(16 | 31)) || reason.says_user_ended() || says_only_cancelled(reason);
    is_known(reason) && !given_up
}

/// The first Reason header of a message with a value that says this; the first of all if none does.
pub(crate) fn reason_line<'h>(heard: &'h Heard, says: impl Fn(&Reason) -> bool) -> Option<Cow<'h, str>> {
    let is_meant = |line: &Cow<'h, str>| line.split(',').any(|value| says(&Reason::read(value.trim())));
    heard.message.header_lines("Reason").find(is_meant).or_else(|| heard.message.header_lines("Reason").next())
}

/// True if the Reason of a CANCEL is the code that every CANCEL brings about (RFC 3261 §21.4.25), without more in its
/// text than that: FreeSWITCH writes `SIP;cause=487;text="ORIGINATOR_CANCEL"` when its caller hangs up.
pub(crate) fn says_only_cancelled(reason: &Reason) -> bool {
    const PLAIN: [&str; 5] =
        ["", "ORIGINATOR_CANCEL", "Originator cancelled", "Request Terminated", "Request Cancelled"];
    let text = reason.text.as_deref().unwrap_or_default().trim();
    reason.sip() == Some(487) && PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(text))
}

impl<'a> Case<'a> {
    /// What ended the deciding INVITE before an answer; `None` if it was answered, or failed by itself.
    pub(crate) fn early_end(&self) -> Option<EarlyEnd<'a>> {
        let deciding = self.deciding().filter(|deciding| deciding.is_initial_invite())?;
        if self.call.outcome == Outcome::Answered {
            return None;
        }
        if let Some(cancel) = self.cancel_of(deciding) {
            return (self.call.outcome == Outcome::Cancelled).then_some(EarlyEnd::Cancel(cancel));
        }
        // Its answer shows that there was one, and where it was passed on it says the same.
        if deciding.cancelled_by.is_some() && self.call.outcome == Outcome::Cancelled {
            let passed_on = self.inner_cancel(deciding).map(EarlyEnd::Cancel);
            return passed_on.or_else(|| self.finals(deciding).last().map(EarlyEnd::Unknown));
        }
        let last = self.finals(deciding).last();
        let end = last.map_or(self.call.until, |heard| heard.place.time);
        let call_id = &self.call.leg(deciding.leg).call_id;
        let bye = self.asked_first(&Method::Bye).map(|asked| asked.request).find(|bye| {
            let (source, destination) = (bye.path.source.ip(), bye.path.destination.ip());
            let client = deciding.path.source.ip();
            bye.message.call_id() == &**call_id
                && (source == client || destination == client && self.side(bye) == Side::Callee)
                && bye.place.time <= end
        });
        // Without any response in the capture, the answer may have gone unseen. And where messages are cut, or only
        // their first fragment is there, it may be among those.
        let could_see = self.has_response(deciding)
            && self.call.messages.iter().all(|heard| !heard.message.is_cut())
            && !self.has_response_in_part(call_id);
        if let Some(bye) = bye.filter(|_| could_see) {
            return Some(EarlyEnd::Bye(bye));
        }
        if self.inner_cancel(deciding).is_some() {
            return Some(EarlyEnd::InnerCancel);
        }
        let terminated = last.filter(|heard| heard.message.status().map(StatusCode::get) == Some(487))?;
        Some(EarlyEnd::Unknown(terminated))
    }

    /// True if a response of this Call-ID, or one that does not show its own, is in the capture only by its first
    /// fragment: nobody can say then which responses there were.
    pub(crate) fn has_response_in_part(&self, call_id: &[u8]) -> bool {
        let is_of_call = |begun: &&Begun| {
            let is_on_hop = |heard: &Heard| {
                (heard.path.source.ip(), heard.path.destination.ip()) == (begun.destination, begun.source)
            };
            call_id.starts_with(begun.call_id.as_bytes()) && self.call.messages.iter().any(is_on_hop)
        };
        let mut begun = self.surroundings.cut_short().begun().iter().filter(|begun| begun.method.is_none());
        let span = self.call.started()..=self.call.ended();
        begun.any(|begun| span.contains(&begun.place.time) && is_of_call(&begun))
    }

    /// The answer of another call that came just before a CANCEL without a Reason.
    pub(crate) fn answered_before(&self, cancel: &Heard) -> Option<AnsweredBefore> {
        let says_why = !self.reasons(cancel).is_empty() || cancel.message.is_cut();
        self.surroundings.neighbours().answered_before(cancel.place).filter(|_| !says_why)
    }

    /// True if the INVITE that opens the call had passed a proxy before this capture: each adds a Via (RFC 3261 §16.6).
    /// So what comes from its sender need not come from the caller's device.
    pub(crate) fn came_through_proxy(&self) -> bool {
        let invite = self.deciding().and_then(|deciding| self.call.request_of(deciding));
        invite.is_some_and(|invite| invite.message.via_count() > 1)
    }

    /// True if a response is the end of a cancelled INVITE under a code of its own.
    fn only_ends_cancelled(&self, response: &Heard) -> bool {
        let mut failures = self.call.failures.iter().filter(|failure| failure.response == response.id);
        failures.any(Failure::only_ends_cancelled)
    }

    /// True if this code came only from devices that ended with it an INVITE that the one who tells it had cancelled
    /// itself.
    pub(crate) fn only_tells_of_own_cancel(&self, failure: &Failure) -> bool {
        let behind = || self.call.downstream_of(failure.transaction).map(|inner| inner.id);
        let mut told = self
            .call
            .failures
            .iter()
            .filter(|inner| inner.status == failure.status && behind().any(|id| id == inner.transaction))
            .peekable();
        told.peek().is_some() && told.all(Failure::only_ends_cancelled)
    }

    /// The CANCEL of an INVITE on its own hop.
    pub(crate) fn cancel_of(&self, invite: &Transaction) -> Option<&'a Heard> {
        self.call.request_of(self.call.transaction(invite.cancelled_by?))
    }

    /// The transactions behind an INVITE, on every hop.
    fn behind(&self, invite: &Transaction) -> Vec<&'a Transaction> {
        let mut behind: Vec<&'a Transaction> = self.call.downstream_of(invite.id).collect();
        let mut at = 0;
        while let Some(inner) = behind.get(at).copied() {
            at += 1;
            let further: Vec<_> =
                self.call.downstream_of(inner.id).filter(|one| behind.iter().all(|known| known.id != one.id)).collect();
            behind.extend(further);
        }
        behind
    }

    /// The CANCELs behind an INVITE that tell why it ended: of branches that were tried one after the other those of
    /// the last one, for what was begun after a CANCEL was to go on without what it ended. With how many were cancelled
    /// before.
    pub(crate) fn last_cancelled(&self, invite: &Transaction) -> Option<(&'a Transaction, &'a Heard, usize)> {
        let behind = self.behind(invite);
        let begun =
            behind.iter().filter(|inner| inner.is_initial_invite()).filter_map(|inner| self.call.request_of(inner));
        let last_begun = begun.map(|request| request.place).max()?;
        let cancelled = || behind.iter().filter_map(|inner| Some((*inner, self.cancel_of(inner)?)));
        let (inner, cancel) =
            cancelled().filter(|(_, cancel)| cancel.place > last_begun).min_by_key(|(_, cancel)| cancel.place)?;
        let before =
            cancelled().filter(|(other, cancel)| cancel.place < last_begun && other.upstream == inner.upstream);
        Some((inner, cancel, before.count()))
    }

    /// The first CANCEL on a hop behind this INVITE, if no other branch explains it: neither one that answered nor a
    /// 6xx that ended the fork (RFC 3261 §16.7).
    fn inner_cancel(&self, invite: &Transaction) -> Option<&'a Heard> {
        let behind = self.behind(invite);
        let decided = behind.iter().any(|inner| {
            // The final response whose ACK alone was captured may have been a 6xx.
            let is_refused_unseen = inner.finals.is_empty() && self.call.is_concluded(inner);
            is_refused_unseen
                || self.finals(inner).any(|heard| {
                    let ends_fork = |status: StatusCode| status.is_success() || status.get() >= 600;
                    heard.message.status().is_some_and(ends_fork) && !self.only_ends_cancelled(heard)
                })
        });
        if decided {
            return None;
        }
        behind.into_iter().filter_map(|inner| self.cancel_of(inner)).min_by_key(|cancel| cancel.place)
    }

    /// The 2xx on another branch of the fork that this INVITE is a branch of, if there is one.
    pub(crate) fn answered_on_another_branch(&self, branch: &Transaction) -> Option<&'a Heard> {
        let upstream = branch.upstream?;
        self.call
            .downstream_of(upstream)
            .filter(|other| other.id != branch.id)
            .flat_map(|other| self.finals(other))
            .find(|heard| heard.message.status().is_some_and(StatusCode::is_success) && to_tag(heard).is_some())
    }
}
