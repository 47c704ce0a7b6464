use crate::call::{AnsweredBefore, Heard, Transaction};
use crate::capture::Place;
use crate::diagnosis::early_end::{CancelSays, EarlyEnd, cancel_says, reason_line, says_elsewhere};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

rule! {
    /// The call was answered at another place.
    ///
    /// ## What it says
    /// The call was offered to several devices, one answered, and the others were cancelled. This is how forking works,
    /// and no fault.
    ///
    /// ## Why it happens
    /// A proxy or exchange rang several devices at once.
    ///
    /// ## Evidence
    /// A CANCEL whose Reason says so (`SIP;cause=200`, or Q.850 26), or a 2xx on another branch of the same fork before
    /// the CANCEL, and no 2xx on the branch that is cancelled. It is likely if the CANCEL gives no reason and its
    /// sender got a 2xx to another INVITE for the same caller at most half a second before: an exchange may ring
    /// several telephones with a Call-ID for each. It is proven if its sender had just answered an INVITE whose
    /// Replaces names the dialog that it cancels: the call was picked up.
    ///
    /// ## How to fix
    /// Nothing has to be done.
    ///
    /// ## When it would be wrong
    /// A CANCEL without such a Reason on a hop whose other branches are not in the capture cannot be told from a caller
    /// who gave up.
    ///
    /// ## References
    /// RFC 3261 §16.7; RFC 3326 §3.1; RFC 3891 §3
    "C10b" "answered-elsewhere" needs [CANCEL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if let Some(EarlyEnd::Cancel(cancel)) = case.early_end() {
        return of_the_whole_call(case, cancel).or_else(|| after_another_answer(case, cancel));
    }
    let (branch, cancel) = cancelled_branch(case)?;
    let answer = case.answered_on_another_branch(branch);
    let terminated = case.finals(branch).any(|heard| heard.message.status().is_some_and(|status| status.get() == 487));
    let end = if terminated { "; its 487 is no failure" } else { "" };
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Nobody, Some(cancel.path.source))
        .because(match answer {
            Some(answer) => format!(
                "The call was offered to several devices. {} answered, so {} cancelled the one at {}{end}.",
                answer.path.source, cancel.path.source, cancel.path.destination
            ),
            None => format!(
                "{} cancelled the branch to {} because the call was answered elsewhere{end}.",
                cancel.path.source, cancel.path.destination
            ),
        })
        .claim_method(cancel, "this branch is cancelled")
        .claim_header_with(
            cancel,
            "Reason",
            &reason_line(cancel, says_elsewhere).unwrap_or_default(),
            "why, as its sender says",
        );
    if let Some(answer) = answer {
        finding = finding.claim_status(answer, "another branch is answered");
    }
    Some(finding.refuted("caller-abandoned", "the call was answered on another branch"))
}

/// The only hop in the capture is the one that was cancelled.
fn of_the_whole_call(case: &Case<'_>, cancel: &Heard) -> Option<Finding> {
    if cancel_says(case.reasons(cancel)) != CancelSays::Elsewhere {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains_calmly(case.call.final_status)
            .party(Role::Nobody, Some(cancel.path.source))
            .because(format!(
                "{} cancelled this leg because the call was answered elsewhere, as the Reason of its CANCEL says. \
                 Nothing is wrong with that.",
                cancel.path.source
            ))
            .fix("Nothing has to be done.")
            .claim_method(cancel, "this leg is cancelled")
            .claim_header_with(
                cancel,
                "Reason",
                &reason_line(cancel, says_elsewhere).unwrap_or_default(),
                "answered elsewhere",
            )
            .refuted("caller-abandoned", "the Reason of the CANCEL says that the call was answered elsewhere")
            .refuted("ring-timeout", "the Reason of the CANCEL says that the call was answered elsewhere"),
    )
}

/// Its sender had just got an answer to another INVITE for the same caller, with a Call-ID of its own.
fn after_another_answer(case: &Case<'_>, cancel: &Heard) -> Option<Finding> {
    let answer = match case.answered_before(cancel)? {
        AnsweredBefore::ForTheSameCaller(answer) => answer,
        AnsweredBefore::ToWhoReplacesIt { invite, answer } => return Some(picked_up(case, cancel, invite, answer)),
        AnsweredBefore::ToAFeatureCode(_) => return None,
    };
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains_calmly(case.call.final_status)
            .party(Role::Nobody, Some(cancel.path.source))
            .because(format!(
                "{} cancelled this call without a reason, {} after it got the answer to another one that it had \
                 placed for the same caller. So it most likely rang several devices, and another one answered; \
                 nothing is wrong with that.",
                cancel.path.source,
                length(cancel.place.time.since(answer.time))
            ))
            .fix("Nothing has to be done.")
            .claim_method(cancel, "this call is cancelled")
            .claim_at(answer, "sip.Status-Code", "200", "another call for the same caller is answered")
            .refuted("caller-abandoned", "an answer to another call for the same caller came just before"),
    )
}

/// Its sender had just answered an INVITE that took the place of this call (RFC 3891 §3).
fn picked_up(case: &Case<'_>, cancel: &Heard, invite: Place, answer: Place) -> Finding {
    Finding::of(&RULE, Confidence::Proven)
        .explains_calmly(case.call.final_status)
        .party(Role::Nobody, Some(cancel.path.source))
        .because(format!(
            "The call was picked up: somebody sent {} an INVITE whose Replaces names this call while it rang, {} \
             answered that one, and cancelled this one {} later. Nothing is wrong with that.",
            cancel.path.source,
            cancel.path.source,
            length(cancel.place.time.since(answer.time))
        ))
        .fix("Nothing has to be done.")
        .claim_at(invite, "sip.Method", "INVITE", "its Replaces names this call: somebody else takes it")
        .claim_at(answer, "sip.Status-Code", "200", "and is answered")
        .claim_method(cancel, "this leg is cancelled for that")
        .refuted("caller-abandoned", "who called had just answered the one who took the call")
        .refuted("ring-timeout", "who called had just answered the one who took the call")
}

/// A branch of a fork that was cancelled because another one was answered, and was not answered itself.
fn cancelled_branch<'a>(case: &Case<'a>) -> Option<(&'a Transaction, &'a Heard)> {
    case.call.transactions.iter().filter(|branch| branch.is_initial_invite()).find_map(|branch| {
        let cancel = case.cancel_of(branch)?;
        if case.finals(branch).any(|heard| heard.message.status().is_some_and(StatusCode::is_success)) {
            return None;
        }
        let answered_first = case.answered_on_another_branch(branch).is_some_and(|answer| answer.place < cancel.place);
        let says_so = cancel_says(case.reasons(cancel)) == CancelSays::Elsewhere;
        (answered_first || says_so).then_some((branch, cancel))
    })
}
