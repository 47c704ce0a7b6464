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
    let failure = case.failure().filter(|failure| failure.status.get() >= 400)?;
    let response = case.response(failure);
    let told = case.told(response);
    // It speaks of the caller: `refused-by-policy`, `caller-identity-refused`.
    if case.says_caller_unregistered(response) || rejects_anonymous(case, failure) {
        return None;
    }
    let says_no_answer = told.is_some_and(|told| told.cause == 19);
    let ringing = match says_no_answer {
        true => case.alerting_or_progress(failure.transaction),
        false => case.rang_or_waited(failure),
    };
    if !says_no_answer && (failure.status.get() != 480 || ringing.is_none()) {
        return None;
    }
    // Who is absent was not rung: what came before was an announcement.
    if !says_no_answer && says_absent(case, response) && !case.was_alerting() {
        return None;
    }
    if case.telling_cause(response).is_some_and(|cause| !matches!(cause, 19 | 20)) || is_cut_by_a_server(case) {
        return None;
    }
    let sure = told.filter(|_| says_no_answer).map_or(Confidence::Likely, |told| told.confidence());
    let finding = Finding::of(&RULE, sure).explains(Some(failure.status)).sender(Role::Uas, response);
    if !case.wants_words() {
        return Some(finding);
    }
    let responder = response.path.source;
    let because = match ringing {
        Some(progress) if !alerts(progress) => format!(
            "Nobody answered in the {} after {}, which does not say that a device rings; then {responder} ended it \
             with {}{}.",
            length(response.place.time.since(progress.place.time)),
            a_code(progress),
            failure.status,
            if says_no_answer { ", Q.850 cause 19 (no answer from the user)" } else { "" }
        ),
        Some(ringing) => format!(
            "The call rang for {} and nobody answered; then {responder} ended it with {}{}.",
            length(response.place.time.since(ringing.place.time)),
            failure.status,
            if says_no_answer { ", Q.850 cause 19 (no answer from the user)" } else { "" }
        ),
        None => format!("{responder} says with Q.850 cause 19 that the callee's device rang and nobody answered."),
    };
    let mut finding = finding
        .because(because)
        .fix("Ask the callee: the signalling is sound, the call was only not taken.")
        .fix(format!(
            "If it should ring longer, raise the time without an answer on {responder}, or on the callee's device."
        ))
        .fix("If nobody may be there, divert unanswered calls to a voicemail or another number.");
    if let Some(ringing) = ringing {
        finding = finding.claim_status(ringing, shows(ringing));
    }
    finding = finding.claim_status(response, "it ends without an answer");
    if let Some(told) = told {
        finding = told.claimed(finding, "the network's own cause");
    }
    Some(
        finding
            .refuted(
                "callee-unreachable",
                match ringing {
                    Some(progress) if !alerts(progress) => {
                        format!("{} came before it: the call was on its way", a_code(progress))
                    }
                    _ => "a device rang".to_owned(),
                },
            )
            .refuted("ring-timeout", "no hop cancelled the ringing while the caller still waited")
            .refuted("rejected-by-callee", format!("{} is not the code of a refusal by the callee", failure.status)),
    )
}

/// True if a server cancelled the ringing on its own: a CANCEL behind a hop whose caller sent none (C18).
fn is_cut_by_a_server(case: &Case<'_>) -> bool {
    case.call.transactions.iter().any(|inner| {
        let is_cut = |upstream| case.call.transaction(upstream).cancelled_by.is_none();
        inner.cancelled_by.is_some() && inner.upstream.is_some_and(is_cut)
    })
}
