//! How a call ended: its outcome, its final status, its failures.

use serde::{Deserialize, Serialize};

use crate::call::model::{Call, Failure, Heard, Kind, Transaction};
use crate::call::timer;
use crate::sip::{Method, StatusCode, Via, auth};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The callee answered.
    Answered,
    /// Answered, and then ended against the parties' will. Told by diagnosis.
    Dropped,
    /// Refused with a final response of 400 or more, or never answered by the one who took it over.
    Failed,
    /// The callee was busy: 486 or 600.
    Busy,
    /// The caller gave up before an answer.
    Cancelled,
    /// Sent elsewhere by a 3xx that was not followed.
    Redirected,
    /// No final response in all the time that RFC 3261 allows.
    Unanswered,
    /// The capture ends before the call does.
    Unfinished,
    /// A registration that was accepted.
    Registered,
    /// Another request that was accepted.
    Accepted,
}

impl Outcome {
    /// True if the call counts among the failed ones.
    pub fn is_failed(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Redirected | Outcome::Unanswered)
    }

    /// True if the call failed, or was answered and then dropped.
    pub fn went_wrong(self) -> bool {
        self.is_failed() || self == Outcome::Dropped
    }

    /// True if a rule should explain the outcome.
    pub fn wants_a_cause(self) -> bool {
        self.went_wrong() || self == Outcome::Busy
    }
}

impl Call {
    /// Judges the call as it stands at `self.until`.
    pub(crate) fn judge(&mut self) {
        self.failures = self.find_failures();
        let (outcome, status) = match self.kind {
            Kind::Call => self.judge_call(),
            _ => self.judge_other(),
        };
        self.outcome = outcome;
        self.final_status = status;
    }

    fn find_failures(&self) -> Vec<Failure> {
        let mut failures: Vec<Failure> = Vec::new();
        for transaction in &self.transactions {
            for response in transaction.finals.iter().map(|id| self.message(*id)) {
                let Some(status) = response.message.status().filter(|status| status.is_failure()) else { continue };
                let normal = self.normal_step(transaction, response);
                failures.push(Failure { response: response.id, transaction: transaction.id, status, normal });
            }
        }
        failures.sort_by_key(|failure| failure.response);
        failures
    }

    fn judge_call(&self) -> (Outcome, Option<StatusCode>) {
        let Some(last) = self.attempts().last() else { return self.judge_without_attempt() };
        let success = self.attempts().find_map(|attempt| self.answer_to(attempt));
        if let Some(status) = success.and_then(|success| success.message.status()) {
            return (Outcome::Answered, Some(status));
        }
        let status = self.last_status(last);
        if self.goes_on_unseen(last) {
            return (Outcome::Answered, None);
        }
        if self.is_tried_again_unseen(last) {
            return (Outcome::Unfinished, None);
        }
        let cancelled = self.was_cancelled_in_time(last);
        let ends_cancelled = |failure: &Failure| failure.transaction == last.id && failure.only_ends_cancelled();
        let outcome = match status.map(StatusCode::get) {
            Some(_) if self.failures.iter().any(ends_cancelled) => Outcome::Cancelled,
            Some(486 | 600) => Outcome::Busy,
            Some(487) => Outcome::Cancelled,
            Some(_) if cancelled => Outcome::Cancelled,
            Some(300..=399) => Outcome::Redirected,
            Some(_) => Outcome::Failed,
            None if self.was_answered_unseen(last) => Outcome::Answered,
            None if cancelled => Outcome::Cancelled,
            None if self.was_refused_unseen(last) => Outcome::Failed,
            None => self.judge_silence(last),
        };
        (outcome, status)
    }

    /// The 2xx by which an INVITE was answered for its client.
    pub(crate) fn answer_to(&self, attempt: &Transaction) -> Option<&Heard> {
        let mut finals = attempt.finals.iter().map(|id| self.message(*id));
        finals.find(|heard| {
            heard.message.status().is_some_and(StatusCode::is_success) && self.refused_before(attempt, heard).is_none()
        })
    }

    /// The refusal that had ended an INVITE for its client when this 2xx came. The client acknowledged it, and to a
    /// later 2xx, which a proxy passes on all the same (RFC 3261 §16.7, item 5), no transaction is left that could take
    /// it (§17.1.1.2); an ACK to it would show that the client did, if no BYE comes right after that: so it takes what it
    /// does not want any more (§13.2.2.4). Who cancels waits for such a 2xx.
    pub(crate) fn refused_before(&self, attempt: &Transaction, success: &Heard) -> Option<&Heard> {
        let first = self.final_of(attempt).filter(|first| first.place < success.place)?;
        let is_refusal = first.message.status().is_some_and(|status| status.is_failure() && !status.is_challenge());
        let is_ended = || self.has_ack(attempt, |branch| *branch == *attempt.branch);
        // Some stacks give the ACK to a 2xx the branch of its INVITE: there the tag tells.
        let has_tag = |ack: &Heard| ack.place > success.place && ack.message.tag_of_to() == success.message.tag_of_to();
        let is_confirmed = || {
            self.has_ack(attempt, |branch| *branch != *attempt.branch)
                || attempt.acks.iter().any(|id| has_tag(self.message(*id)))
        };
        let is_taken = || is_confirmed() && !self.is_released_at_once(success);
        (is_refusal && attempt.cancelled_by.is_none() && is_ended() && !is_taken()).then_some(first)
    }

    /// True if whoever got a 2xx ended its dialog right after it.
    fn is_released_at_once(&self, success: &Heard) -> bool {
        let byes = self.transactions.iter().filter(|known| known.method == Method::Bye && known.in_dialog);
        byes.filter_map(|known| self.request_of(known)).any(|bye| {
            let tags = (bye.message.tag_of_from(), bye.message.tag_of_to());
            let is_of_client = tags == (success.message.tag_of_from(), success.message.tag_of_to());
            is_of_client && success.place < bye.place && bye.place.time.since(success.place.time) < timer::T1
        })
    }

    /// True if an INVITE was cancelled before its final response was seen: after it a CANCEL has no effect (RFC 3261
    /// §9.1, §9.2).
    fn was_cancelled_in_time(&self, attempt: &Transaction) -> bool {
        let Some(cancel) = attempt.cancelled_by.map(|id| self.transaction(id)) else { return false };
        let came_late = |sent: &Heard| self.final_of(attempt).is_some_and(|heard| heard.place < sent.place);
        !self.request_of(cancel).is_some_and(came_late)
    }

    /// True if a later request shows that an INVITE, or a try after it, was answered, although the capture holds neither
    /// that answer nor its ACK: a BYE or a re-INVITE was accepted. A refusal makes no dialog, so after one it is inside
    /// that of a later try; and the caller's own comes two numbers after that of the refused one at least, for the try
    /// has the one between (RFC 3261 §12.2.1.1). Without a refusal it is the other side's, which sends neither before it
    /// has answered, nor leaves an INVITE without an end (§14.2, §15, §15.1.2).
    pub(crate) fn goes_on_unseen(&self, attempt: &Transaction) -> bool {
        let Some(invite) = self.request_of(attempt).filter(|_| attempt.is_initial_invite()) else { return false };
        let refusal = attempt.finals.last().map(|id| self.message(*id).place);
        let goes_on = |later: &&Transaction| match later.method {
            Method::Bye => later.in_dialog || later.request.is_none(),
            Method::Invite => later.in_dialog,
            _ => false,
        };
        self.transactions.iter().filter(goes_on).any(|later| {
            let Some(first) = self.first_of(later).map(|first| self.message(first)) else { return false };
            let caller = invite.message.tag_of_from();
            let shows_answer = match first.message.tag_of_from() == caller {
                true => refusal.is_some() && later.cseq > attempt.cseq.saturating_add(1),
                false => first.message.tag_of_to() == caller,
            };
            shows_answer
                && refusal.is_none_or(|refusal| refusal < first.place)
                && first.message.call_id() == invite.message.call_id()
                && self.final_status_of(later).is_some_and(StatusCode::is_success)
        })
    }

    /// True if the answer to an INVITE was not captured, and its ACK was: the ACK to a 2xx is a transaction of its own,
    /// with another branch (RFC 3261 §13.2.2.4, §17.1.1.3).
    fn was_answered_unseen(&self, attempt: &Transaction) -> bool {
        attempt.finals.is_empty()
            && attempt.branch.starts_with(Via::COOKIE.as_bytes())
            && self.has_ack(attempt, |branch| *branch != *attempt.branch)
    }

    /// True if the refusal of an INVITE was not captured, and its ACK was: only that to a refusal has the branch of its
    /// INVITE (RFC 3261 §17.1.1.3). Where something else was sent in a dialog, the branch may be an old stack's.
    fn was_refused_unseen(&self, attempt: &Transaction) -> bool {
        let goes_on = |transaction: &Transaction| transaction.in_dialog && transaction.method != Method::Ack;
        attempt.finals.is_empty()
            && self.has_ack(attempt, |branch| *branch == *attempt.branch)
            && !self.transactions.iter().any(goes_on)
    }

    /// True if an INVITE has an ACK with such a branch. One that RFC 3261 did not make (§8.1.1.7) tells nothing.
    fn has_ack(&self, attempt: &Transaction, is_such: impl Fn(&[u8]) -> bool) -> bool {
        attempt.acks.iter().any(|id| {
            let via = self.message(*id).message.vias();
            let branch = via.first().map(|via| via.branch().as_bytes().to_vec()).unwrap_or_default();
            branch.starts_with(Via::COOKIE.as_bytes()) && is_such(&branch)
        })
    }

    /// The final status that the caller got for its last try; of several the last that could reach it.
    fn last_status(&self, attempt: &Transaction) -> Option<StatusCode> {
        let finals = attempt.finals.iter().rev().map(|id| self.message(*id));
        let status = |heard: &Heard| heard.message.status();
        let is_late = |heard: &&Heard| {
            status(heard).is_some_and(StatusCode::is_success) && self.refused_before(attempt, heard).is_some()
        };
        finals.filter(|heard| !is_late(heard)).find_map(status)
    }

    /// Nothing final came: too late, or the capture ended too early to tell. Where it cut the INVITE off before its
    /// Call-ID ends, what answered it may not have been known for that.
    fn judge_silence(&self, attempt: &Transaction) -> Outcome {
        let is_cut = self.request_of(attempt).is_some_and(|request| request.message.has_cut_call_id());
        if is_cut || self.was_challenged_unseen(attempt) {
            return Outcome::Unfinished;
        }
        let waited = self.until.since(attempt.last);
        if !self.is_kept_waiting(attempt) {
            let first = self.request_of(attempt).map_or(attempt.last, |request| request.place.time);
            let icmp = self.icmp.iter().any(|icmp| Some(icmp.message) == attempt.request);
            let given_up = icmp || self.until.since(first) >= timer::OVERDUE;
            return if given_up { Outcome::Unanswered } else { Outcome::Unfinished };
        }
        if waited >= timer::C { Outcome::Unanswered } else { Outcome::Unfinished }
    }

    /// True if the challenge was not captured for which a request shows credentials, and neither was anything else of
    /// the call that went back to where it came from, though the try before is there: an answer would not have been
    /// seen either. Who repeats its request has got none (RFC 3261 §17.1.2.2).
    pub(crate) fn was_challenged_unseen(&self, attempt: &Transaction) -> bool {
        let Some(request) = self.request_of(attempt) else { return false };
        let (client, server) = (request.path.source.ip(), request.path.destination.ip());
        let went = |heard: &Heard, from, to| heard.path.source.ip() == from && heard.path.destination.ip() == to;
        let shown = auth::credentials(&request.message);
        let is_first_try = |earlier: &Heard| {
            let known = auth::credentials(&earlier.message);
            earlier.place < request.place
                && earlier.message.method() == Some(&attempt.method)
                && went(earlier, client, server)
                && !shown.iter().any(|own| known.iter().any(|other| other.nonce == own.nonce))
        };
        !shown.is_empty()
            && request.repeats.is_empty()
            && !self.messages.iter().any(|heard| went(heard, server, client))
            && self.messages.iter().any(is_first_try)
    }

    /// True if a provisional response lets the client wait for longer than 64·T1: only one to an INVITE does (RFC 3261
    /// §17.1.1.2, §17.1.2.2).
    pub(crate) fn is_kept_waiting(&self, attempt: &Transaction) -> bool {
        attempt.method == Method::Invite && !attempt.provisionals.is_empty() && !self.was_given_up(attempt)
    }

    /// True if an INVITE was repeated to the end of timer B although a provisional response had come: it ends the
    /// repetitions (RFC 3261 §17.1.1.2), so its client never got one, and gave up.
    fn was_given_up(&self, attempt: &Transaction) -> bool {
        let Some(request) = self.request_of(attempt).filter(|_| attempt.method == Method::Invite) else { return false };
        let Some(provisional) = attempt.provisionals.first().map(|id| self.message(*id)) else { return false };
        let after = request.repeats.iter().filter(|copy| **copy > provisional.place).count();
        let to_the_end = request.last_place().time.since(request.place.time) >= timer::LAST_COPY;
        after > 1 && to_the_end && !request.path.transport.is_reliable()
    }

    /// The INVITE is not in the capture: what happened inside the dialog counts.
    fn judge_without_attempt(&self) -> (Outcome, Option<StatusCode>) {
        let finals = || {
            self.transactions
                .iter()
                .filter(|transaction| transaction.upstream.is_none())
                // A CANCEL says nothing of a dialog, whatever it gets (RFC 3261 §9.1).
                .filter(|transaction| transaction.method != Method::Cancel)
                .filter_map(|transaction| Some((transaction, self.last_status(transaction)?)))
        };
        let worst = finals().rfind(|(_, status)| status.is_failure() && !status.is_challenge());
        match worst {
            Some((transaction, status)) if transaction.method == Method::Invite && !transaction.in_dialog => {
                (Outcome::Failed, Some(status))
            }
            // A dialog existed, or nobody would send BYE in it.
            Some((_, status)) => (Outcome::Answered, Some(status)),
            None => match finals().next_back() {
                Some((_, status)) => (Outcome::Answered, Some(status)),
                None if self.is_released_unseen() => (Outcome::Answered, None),
                None => (Outcome::Unfinished, None),
            },
        }
    }

    /// True if a BYE was sent whose answer is not in the capture, although it goes on for long enough.
    fn is_released_unseen(&self) -> bool {
        let mut byes = self.transactions.iter().filter(|known| known.method == Method::Bye && known.in_dialog);
        byes.any(|bye| self.until.since(bye.last) >= timer::OVERDUE)
    }

    /// True if the final response of a try only asked for the next one: it decides nothing.
    pub(crate) fn is_step(&self, transaction: &Transaction) -> bool {
        let asks_again = self.final_status_of(transaction).is_some_and(StatusCode::is_challenge);
        let of_it = |failure: &Failure| failure.transaction == transaction.id && failure.normal.is_some();
        asks_again || self.failures.iter().any(of_it)
    }

    fn judge_other(&self) -> (Outcome, Option<StatusCode>) {
        let opening = self.transactions.first().map(|transaction| transaction.method.clone());
        let own = || {
            self.transactions
                .iter()
                .filter(|transaction| transaction.upstream.is_none() && Some(&transaction.method) == opening.as_ref())
        };
        let Some(last) = own().next_back() else { return (Outcome::Unfinished, None) };
        let status = self.last_status(last).or_else(|| {
            // The last try may still be open while an earlier one was decided.
            own().rev().skip(1).filter(|earlier| !self.is_step(earlier)).find_map(|earlier| self.last_status(earlier))
        });
        let outcome = match status {
            Some(status) if status.is_success() && self.kind == Kind::Registration => Outcome::Registered,
            Some(status) if status.is_success() => Outcome::Accepted,
            Some(status) if status.get() < 400 => Outcome::Redirected,
            Some(_) => Outcome::Failed,
            None => self.judge_silence(last),
        };
        (outcome, status)
    }
}
