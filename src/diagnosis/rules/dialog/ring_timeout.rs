use std::time::Duration;

use crate::call::{Heard, timer};
use crate::diagnosis::early_end::EarlyEnd;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

rule! {
    /// Nobody answered, and a timer on the way ended the ringing.
    ///
    /// ## What it says
    /// The callee's side rang, and a system between caller and callee stopped waiting. Neither caller nor callee ended
    /// the call.
    ///
    /// ## Why it happens
    /// Every proxy and exchange has a no-answer timer; voice mail or forwarding often hangs on it.
    ///
    /// ## Evidence
    /// After a 180 or 183: a CANCEL only behind the system that rings, while the caller sent none; or a 408 to the
    /// INVITE; or an end after more than three minutes, which is timer C.
    ///
    /// ## How to fix
    /// If the time is too short, raise the no-answer timer of that system, or let it forward to voice mail.
    ///
    /// ## When it would be wrong
    /// If the caller cancelled and the capture does not hold that hop. A CANCEL because another device answered is
    /// `answered-elsewhere`.
    ///
    /// ## References
    /// RFC 3261 §16.6, §16.8, §13.3.1.1
    "C18" "ring-timeout", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.is_answered() {
        return None;
    }
    match case.early_end() {
        Some(EarlyEnd::InnerCancel { invite, cancel }) => {
            let ring = case.ringing(invite.id).filter(|ring| ring.place < cancel.place)?;
            let rang = cancel.place.time.since(ring.place.time);
            let finding = tell(case, ring, cancel, rang).claim_method(cancel, "this hop cancels");
            let place = case.deciding().and_then(|deciding| case.call.request_of(deciding))?.place;
            Some(finding.claim_absent(place, "a CANCEL of the caller's side", "the caller did not give up"))
        }
        Some(EarlyEnd::Cancel(_) | EarlyEnd::Bye(_)) => None,
        Some(EarlyEnd::Unknown(_)) | None => by_code(case),
    }
}

/// Without any CANCEL in the capture: a 408 after ringing, or timer C.
fn by_code(case: &Case<'_>) -> Option<Finding> {
    let failure = case.outer_failure()?;
    let response = case.response(failure);
    let ring = case.ringing(failure.transaction).filter(|ring| ring.place < response.place)?;
    let rang = response.place.time.since(ring.place.time);
    let is_timeout = failure.status.get() == 408;
    let is_timer_c = rang >= timer::C && matches!(failure.status.get(), 408 | 480 | 487 | 504);
    if !is_timeout && !is_timer_c {
        return None;
    }
    let arose = case.failure().map_or(response, |arose| case.response(arose));
    Some(tell(case, ring, arose, rang).claim_status(arose, "the end of the ringing"))
}

/// `end` was sent by the system whose timer ran out.
fn tell(case: &Case<'_>, ring: &Heard, end: &Heard, rang: Duration) -> Finding {
    let hop = end.path.source;
    let status = case.call.final_status;
    let told = status.map(|status| format!(" and told the caller {status}")).unwrap_or_default();
    let finding = Finding::of(&RULE, Confidence::Likely);
    let finding = match status.map(StatusCode::get) {
        Some(487) | None => finding.explains_calmly(status),
        Some(_) => finding.explains(status),
    };
    finding
        .sender(Role::Proxy, end)
        .because(format!(
            "It rang for {} without an answer; then {hop} stopped waiting{told}. Neither side gave up: the no-answer timer \
             of {hop} is about {}.",
            length(rang),
            length(Duration::from_secs((rang.as_millis() as u64 + 500) / 1000))
        ))
        .fix(format!("If the callee needs longer, raise the no-answer timer of {hop}."))
        .fix("To catch such calls, forward them to voice mail or to another number when nobody answers.")
        .claim_status(ring, "the callee's side rings")
        .refuted("caller-abandoned", "the caller's side sent neither CANCEL nor BYE")
        .refuted("answered-elsewhere", "no branch was answered")
        .refuted("callee-did-not-answer", "it was the timer of a system on the way, and not the callee's device, that ended it")
}
