//! Which failure responses are normal steps of a healthy exchange.

use serde::{Deserialize, Serialize};

use crate::call::link::LinkedBy;
use crate::call::model::{Call, Failure, Heard, Leg, MessageId, Transaction};
use crate::call::timer;
use crate::sip::auth::{challenges, credentials, shows_credentials};
use crate::sip::{AlternativeService, HeaderName, Message, Method, NameAddr, StatusCode, Uri, q850_cause};

/// Why a response of 300 or more is a step of a healthy exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormalStep {
    /// A 401 or 407 that was answered with credentials (RFC 3261 §22).
    ChallengeAnswered,
    /// A 487 after a CANCEL or BYE of the caller (§9.2, §15.1.2); or another code with which a device ends an INVITE
    /// whose CANCEL it had accepted.
    CancelledByCaller,
    /// A 423 or 422 after which a better value was asked for (§10.3, RFC 4028 §6).
    IntervalRaised,
    /// A 491 after which the request was sent again (§14.1).
    GlareRetried,
    /// A 3xx whose Contact was tried (§8.1.3.4).
    RedirectFollowed,
    /// A branch of a fork that another branch made good (§16.7).
    OtherBranchAnswered,
    /// Refused here, and answered later on another try of the same call.
    LaterTryAnswered,
}

impl NormalStep {
    /// A few words for the report.
    pub fn words(self) -> &'static str {
        match self {
            NormalStep::ChallengeAnswered => "normal: the request is sent again with credentials",
            NormalStep::CancelledByCaller => "normal: the INVITE was cancelled, and this ends it",
            NormalStep::IntervalRaised => "normal: the request is sent again with the value asked for",
            NormalStep::GlareRetried => "normal: both sides asked at once, and one tries again",
            NormalStep::RedirectFollowed => "normal: the redirect is followed",
            NormalStep::OtherBranchAnswered => "normal: another branch of the fork was answered",
            NormalStep::LaterTryAnswered => "no harm: a later try of the same call was answered",
        }
    }
}

impl Failure {
    /// True if it is the end of a cancelled INVITE under a code of its own: that says nothing of why the call failed.
    pub(crate) fn only_ends_cancelled(&self) -> bool {
        self.normal == Some(NormalStep::CancelledByCaller) && self.status.get() != 487
    }
}

impl Call {
    /// Why a failure response is a normal step; `None` if it is a failure.
    pub(crate) fn normal_step(&self, transaction: &Transaction, response: &Heard) -> Option<NormalStep> {
        let status = response.message.status()?;
        let step = match status.get() {
            401 | 407 => self.is_challenge_answered(transaction, response).then_some(NormalStep::ChallengeAnswered),
            487 if self.is_given_up(transaction) || self.ends_with_dialog(transaction, response) => {
                Some(NormalStep::CancelledByCaller)
            }
            400.. if !status.is_challenge() && self.ends_cancelled(transaction, response) => {
                Some(NormalStep::CancelledByCaller)
            }
            422 | 423 => self.is_interval_raised(transaction, response).then_some(NormalStep::IntervalRaised),
            491 => self.is_retried(transaction, response).then_some(NormalStep::GlareRetried),
            300..=399 => self.is_redirect_followed(transaction, response).then_some(NormalStep::RedirectFollowed),
            _ => None,
        };
        step.or_else(|| self.is_made_good(transaction).then_some(NormalStep::OtherBranchAnswered))
            .or_else(|| self.is_tried_again(transaction, response).then_some(NormalStep::LaterTryAnswered))
            .or_else(|| self.goes_on_unseen(transaction).then_some(NormalStep::LaterTryAnswered))
    }

    /// True if requests of these legs are tries of one client: with one Call-ID, or where it went on under another.
    pub(crate) fn are_tries_of_one(&self, one: &Leg, other: &Leg) -> bool {
        let goes_on = |leg: &Leg| leg.linked_by.as_ref().is_none_or(LinkedBy::is_next_try);
        one.call_id == other.call_id
            || goes_on(one) && goes_on(other) && self.legs.iter().any(|leg| leg.linked_by.is_some() && goes_on(leg))
    }

    /// Later requests with the method of a transaction, from the same client.
    fn later<'a>(&'a self, transaction: &'a Transaction, after: MessageId) -> impl Iterator<Item = &'a Heard> {
        let leg = self.leg(transaction.leg);
        self.transactions
            .iter()
            .filter(move |later| later.method == transaction.method && later.id != transaction.id)
            .filter(move |later| self.are_tries_of_one(self.leg(later.leg), leg))
            .filter(move |later| later.path.source.ip() == transaction.path.source.ip())
            .filter_map(|later| self.request_of(later))
            .filter(move |request| request.id > after)
    }

    fn is_challenge_answered(&self, transaction: &Transaction, response: &Heard) -> bool {
        if self.refuses_credentials(transaction, response) {
            return false;
        }
        let answered = |request: &Heard| shows_credentials(&request.message);
        if self.later(transaction, response.id).any(answered) {
            return true;
        }
        // A proxy passes the challenge of the next hop back: it is answered where the caller answers it.
        transaction.upstream.is_some_and(|upstream| {
            let upstream = self.transaction(upstream);
            self.later(upstream, response.id).any(answered)
        })
    }

    /// True if a challenge refuses credentials: the request carried a nonce that this realm had given in this call, and
    /// it is not called stale.
    fn refuses_credentials(&self, transaction: &Transaction, response: &Heard) -> bool {
        let Some(request) = self.request_of(transaction) else { return false };
        let shown = credentials(&request.message);
        if shown.is_empty() {
            return false;
        }
        let is_given = |nonce: &str| {
            let earlier = self.transactions.iter().flat_map(|known| &known.finals).map(|id| self.message(*id));
            earlier
                .filter(|known| known.id < request.id && known.message.status().is_some_and(StatusCode::is_challenge))
                .any(|known| challenges(&known.message).iter().any(|challenge| challenge.nonce == nonce))
        };
        challenges(&response.message)
            .iter()
            .any(|again| !again.stale && shown.iter().any(|shown| shown.realm == again.realm && is_given(&shown.nonce)))
    }

    /// True if a response ends an INVITE soon after the CANCEL for it was accepted. By RFC 3261 §9.2 its code is 487,
    /// but devices send 486, 480 or 603 there as well.
    fn ends_cancelled(&self, transaction: &Transaction, response: &Heard) -> bool {
        let cancel = transaction.cancelled_by.map(|id| self.transaction(id));
        let answers = cancel.into_iter().flat_map(|cancel| &cancel.finals).map(|id| self.message(*id));
        answers.filter(|answer| answer.message.status().is_some_and(StatusCode::is_success)).any(|accepted| {
            accepted.place < response.place && response.place.time.since(accepted.place.time) <= timer::T2
        })
    }

    /// The caller sent CANCEL, or BYE before an answer, on this hop or further up.
    fn is_given_up(&self, transaction: &Transaction) -> bool {
        let mut next = Some(transaction);
        let mut steps = 0;
        while let Some(here) = next {
            if here.cancelled_by.is_some() || self.has_bye_before_answer(here) {
                return true;
            }
            steps += 1;
            next = here.upstream.filter(|_| steps < 32).map(|id| self.transaction(id));
        }
        false
    }

    fn has_bye_before_answer(&self, invite: &Transaction) -> bool {
        self.transactions.iter().any(|bye| {
            bye.method == Method::Bye
                && self.leg(bye.leg).call_id == self.leg(invite.leg).call_id
                && bye.path.source.ip() == invite.path.source.ip()
        })
    }

    /// A BYE of either side ends a re-INVITE that is under way (§15.1.2).
    fn ends_with_dialog(&self, invite: &Transaction, response: &Heard) -> bool {
        let mut byes = self
            .transactions
            .iter()
            .filter(|bye| bye.method == Method::Bye && self.leg(bye.leg).call_id == self.leg(invite.leg).call_id);
        invite.in_dialog && byes.any(|bye| self.first_of(bye).is_some_and(|first| first < response.id))
    }

    fn is_interval_raised(&self, transaction: &Transaction, response: &Heard) -> bool {
        let wanted = seconds(&response.message, HeaderName::MinExpires)
            .or_else(|| seconds(&response.message, HeaderName::MinSe));
        self.later(transaction, response.id).any(|request| {
            let asked = asked_interval(&request.message);
            wanted.is_none_or(|wanted| asked.is_some_and(|asked| asked >= wanted || asked == 0))
        })
    }

    fn is_retried(&self, transaction: &Transaction, response: &Heard) -> bool {
        self.later(transaction, response.id).next().is_some()
    }

    /// The caller, or the proxy itself, tried one of the Contacts.
    fn is_redirect_followed(&self, transaction: &Transaction, response: &Heard) -> bool {
        let targets: Vec<Uri> =
            response.message.headers("Contact").iter().map(|contact| NameAddr::read(contact).parsed()).collect();
        let names_emergency = AlternativeService::of(&response.message) == Some(AlternativeService::Emergency);
        self.transactions.iter().filter(|later| later.method == transaction.method).any(|later| {
            let Some(request) = self.request_of(later).filter(|request| request.id > response.id) else { return false };
            let uri = Uri::read(&request.message.request_uri().unwrap_or_default());
            names_emergency && uri.calls_for_help() || targets.iter().any(|target| target.is_same_target(&uri))
        })
    }

    /// What was forwarded as this branch, or another branch of it, got a 2xx.
    fn is_made_good(&self, transaction: &Transaction) -> bool {
        let mut next = transaction.upstream;
        let mut steps = 0;
        while let Some(id) = next {
            let upstream = self.transaction(id);
            let has_success = |of: &Transaction| {
                of.finals.iter().any(|id| self.message(*id).message.status().is_some_and(StatusCode::is_success))
            };
            if has_success(upstream) || self.downstream_of(id).any(has_success) {
                return true;
            }
            steps += 1;
            next = upstream.upstream.filter(|_| steps < 32);
        }
        false
    }

    /// A later try of the same initial request, from the same side, got a 2xx; or of any request, where the capture
    /// missed that try and holds its 2xx.
    fn is_tried_again(&self, transaction: &Transaction, response: &Heard) -> bool {
        let accepted = |later: &Transaction| self.final_status_of(later).is_some_and(StatusCode::is_success);
        if self.unseen(&transaction.method).any(|later| accepted(later) && self.is_tried_unseen(transaction, later)) {
            return true;
        }
        if transaction.in_dialog && asks_for_another_try(response) {
            return self.later(transaction, response.id).any(|again| accepted(self.transaction(again.transaction)));
        }
        if transaction.in_dialog || !matches!(transaction.method, Method::Invite | Method::Register) {
            return false;
        }
        self.transactions.iter().any(|later| {
            later.method == transaction.method
                && !later.in_dialog
                && later.path.source.ip() == transaction.path.source.ip()
                && later.request.is_some_and(|request| request > response.id)
                && accepted(later)
        })
    }
}

/// True for a refusal inside a dialog that wants the same request later, or with what it lacks: a request that crossed
/// another one (RFC 3261 §14.2, RFC 3311 §5.2), or a REFER without Referred-By (RFC 3892 §5).
fn asks_for_another_try(response: &Heard) -> bool {
    match response.message.status().map(StatusCode::get) {
        Some(500) => response.message.header("Retry-After").is_some(),
        status => status == Some(429),
    }
}

/// The interval that a request asks for: Session-Expires, or `expires` of Contact, or Expires, in seconds.
pub(crate) fn asked_interval(message: &Message<'_>) -> Option<u32> {
    seconds(message, HeaderName::SessionExpires)
        .or_else(|| message.contact()?.parameters.get("expires")?.trim().parse().ok())
        .or_else(|| seconds(message, HeaderName::Expires))
}

/// The seconds at the start of a header's value.
pub(crate) fn seconds(message: &Message<'_>, header: HeaderName) -> Option<u32> {
    let value = message.header_bytes(header)?.trim_ascii_start();
    let digits = value.get(..value.iter().take_while(|byte| byte.is_ascii_digit()).count())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// True if a refusal itself names a ground that is no number of calls at once: a cause of Q.850 that is none of
/// congestion, or a time at which to come back.
pub(crate) fn names_other_ground(refusal: &Message<'_>) -> bool {
    is_other_ground(q850_cause(refusal)) || refusal.has_key(HeaderName::RetryAfter)
}

/// True for a cause of Q.850 other than those with which a network says that it has no room for a call: no circuit,
/// congestion, no requested circuit.
pub(crate) fn is_other_ground(cause: Option<u32>) -> bool {
    cause.is_some_and(|cause| !matches!(cause, 34 | 42 | 44))
}
