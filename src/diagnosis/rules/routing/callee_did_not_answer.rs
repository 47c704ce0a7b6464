use crate::call::{Failure, Heard};
use crate::diagnosis::announced::Told;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::callee_unreachable::says_absent;
use crate::diagnosis::rules::routing::caller_identity_refused::rejects_anonymous;
use crate::diagnosis::words::{a_code, alerts, length, shows};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The callee's device rang, and nobody answered.
    ///
    /// ## What it says
    /// The call reached the callee and was ended because nobody took it.
    ///
    /// ## Why it happens
    /// The callee was away, or the time that the device or the network lets it ring is short.
    ///
    /// ## Evidence
    /// A 180, or a 183 to 189, and 480 after it; or the Q.850 cause 19. A 181 or 182 says that the call is forwarded or
    /// waits in a queue, and not that anything rings: it counts where the 480 comes more than five seconds later.
    ///
    /// ## How to fix
    /// Nothing is wrong with the signalling. Let the call ring longer, or divert it to a voicemail.
    ///
    /// ## When it would be wrong
    /// If a timer of a server ended the ringing: `ring-timeout`. If nothing rang: `callee-unreachable`.
    ///
    /// ## References
    /// RFC 3261 §21.4.18; RFC 3398 §7.2.4.1
    "E4" "callee-did-not-answer" needs [480] [REFUSED REASON], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let unanswered = Unanswered::of(case)?;
    let (failure, response) = (unanswered.failure, unanswered.response);
    let finding =
        Finding::of(&RULE, unanswered.confidence()).explains(Some(failure.status)).sender(Role::Uas, response);
    if !case.wants_words() {
        return Some(finding);
    }
    let finding = finding
        .because(unanswered.explanation())
        .fix("Ask the callee: the signalling is sound, the call was only not taken.")
        .fix(format!(
            "If it should ring longer, raise the time without an answer on {}, or on the callee's device.",
            response.path.source
        ))
        .fix("If nobody may be there, divert unanswered calls to a voicemail or another number.");
    Some(
        unanswered
            .proved(finding)
            .refuted("callee-unreachable", unanswered.why_reachable())
            .refuted("ring-timeout", "no hop cancelled the ringing while the caller still waited")
            .refuted("rejected-by-callee", format!("{} is not the code of a refusal by the callee", failure.status)),
    )
}

/// A call that was ended because nobody answered it.
struct Unanswered<'a> {
    failure: &'a Failure,
    response: &'a Heard,
    told: Option<Told<'a>>,
    /// What shows that there was time to answer.
    ringing: Option<&'a Heard>,
}

impl<'a> Unanswered<'a> {
    fn of(case: &Case<'a>) -> Option<Unanswered<'a>> {
        let failure = case.failure().filter(|failure| failure.status.get() >= 400)?;
        let response = case.response(failure);
        let told = case.told(response);
        // It speaks of the caller: `refused-by-policy`, `caller-identity-refused`.
        let is_of_caller = case.says_caller_unregistered(response) || case.is_refused_for_account(failure);
        if is_of_caller || rejects_anonymous(case, failure) {
            return None;
        }
        let says_no_answer = told.is_some_and(says_no_answer);
        let ringing = match says_no_answer {
            true => case.alerting_or_progress(failure.transaction),
            false => case.rang_or_waited(failure),
        };
        if !says_no_answer && (case.code(failure) != 480 || ringing.is_none()) {
            return None;
        }
        // Who is absent was not rung: what came before was an announcement.
        if !says_no_answer && says_absent(case, response) && !case.was_alerting() {
            return None;
        }
        if case.telling_cause(response).is_some_and(|cause| !matches!(cause, 19 | 20)) || is_cut_by_a_server(case) {
            return None;
        }
        Some(Unanswered { failure, response, told, ringing })
    }

    fn confidence(&self) -> Confidence {
        let said = self.told.filter(|told| says_no_answer(*told));
        said.map_or(Confidence::Likely, |told| told.confidence())
    }

    fn explanation(&self) -> String {
        let (responder, status) = (self.response.path.source, self.failure.status);
        let Some(ringing) = self.ringing else {
            return format!("{responder} says with Q.850 cause 19 that the callee's device rang and nobody answered.");
        };
        let waited = length(self.response.place.time.since(ringing.place.time));
        let cause = match self.told.is_some_and(says_no_answer) {
            true => ", Q.850 cause 19 (no answer from the user)",
            false => "",
        };
        match alerts(ringing) {
            true => format!(
                "The call rang for {waited} and nobody answered; then {responder} ended it with {status}{cause}."
            ),
            false => format!(
                "Nobody answered in the {waited} after {}, which does not say that a device rings; then {responder} \
                 ended it with {status}{cause}.",
                a_code(ringing)
            ),
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let finding = match self.ringing {
            Some(ringing) => finding.claim_status(ringing, shows(ringing)),
            None => finding,
        };
        let finding = finding.claim_status(self.response, "it ends without an answer");
        match self.told {
            Some(told) => told.claimed(finding, "the network's own cause"),
            None => finding,
        }
    }

    fn why_reachable(&self) -> String {
        match self.ringing {
            Some(progress) if !alerts(progress) => {
                format!("{} came before it: the call was on its way", a_code(progress))
            }
            _ => "a device rang".to_owned(),
        }
    }
}

/// True of the cause that the user was alerted and did not answer.
fn says_no_answer(told: Told<'_>) -> bool {
    told.cause == 19
}

/// True if a server cancelled the ringing on its own: a CANCEL behind a hop whose caller sent none (C18).
fn is_cut_by_a_server(case: &Case<'_>) -> bool {
    case.call.transactions.iter().any(|inner| {
        let is_cut = |upstream| case.call.transaction(upstream).cancelled_by.is_none();
        inner.cancelled_by.is_some() && inner.upstream.is_some_and(is_cut)
    })
}
