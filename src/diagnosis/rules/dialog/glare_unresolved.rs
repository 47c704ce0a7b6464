use crate::call::{Heard, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{Method, StatusCode};

rule! {
    /// Both sides wanted to change the call at once, and nobody tried again.
    ///
    /// ## What it says
    /// Two re-INVITEs or UPDATEs crossed, one or both were refused with 491, and no later one was accepted: the change did
    /// not happen.
    ///
    /// ## Why it happens
    /// A sender that takes 491 for a final refusal, or retry timers that are the same on both sides.
    ///
    /// ## Evidence
    /// A 491 to a request that changes the call, and no later accepted one from the same side.
    ///
    /// ## How to fix
    /// Let the sender try again after the times of RFC 3261 §14.1: 2.1 to 4 s for the side that owns the Call-ID, 0 to 2 s
    /// for the other.
    ///
    /// ## When it would be wrong
    /// If the other side's change made it needless.
    ///
    /// ## References
    /// RFC 3261 §14.1, §14.2; RFC 5407 §3.3.1
    "C9" "glare-unresolved" needs [IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (transaction, request, response) = glare(case)?;
    if is_retried(case, transaction) {
        return None;
    }
    let method = &transaction.method;
    let over = case.first_bye().is_some_and(|bye| bye.request.place > response.place);
    if !over && case.tail(response.place) < std::time::Duration::from_secs(4) {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .about(response.message.status()?)
            .severity(Severity::Warning)
            .sender(Role::Uac, request)
            .because(format!(
                "The {method} of {} crossed a change of the other side and was refused with 491, and it was not tried again: \
                 the change that it asked for did not happen.",
                request.path.source
            ))
            .fix(format!("Let {} try again after 491, at the times of RFC 3261 §14.1.", request.path.source))
            .claim_method(request, "a change of the call")
            .claim_status(response, "both sides asked at once")
            .claim_absent(response.place, format!("another {method} of this side"), "it is not tried again"),
    )
}

/// A request that changes a call and got 491.
pub(crate) fn glare<'a>(case: &Case<'a>) -> Option<(&'a Transaction, &'a Heard, &'a Heard)> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| {
            transaction.in_dialog
                && transaction.upstream.is_none()
                && matches!(transaction.method, Method::Invite | Method::Update)
        })
        .find_map(|transaction| {
            let request = case.call.request_of(transaction)?;
            let response = case.finals(transaction).find(|heard| heard.message.status().map(StatusCode::get) == Some(491))?;
            Some((transaction, request, response))
        })
}

/// True if the same side asked again and was accepted.
pub(crate) fn is_retried(case: &Case<'_>, refused: &Transaction) -> bool {
    case.call.transactions.iter().any(|later| {
        later.id > refused.id
            && later.in_dialog
            && matches!(later.method, Method::Invite | Method::Update)
            && later.path.source.ip() == refused.path.source.ip()
            && case.call.final_status_of(later).is_some_and(StatusCode::is_success)
    })
}
