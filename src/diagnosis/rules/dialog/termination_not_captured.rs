use crate::call::Outcome;
use crate::diagnosis::early_end::EarlyEnd;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::ring_timeout;
use crate::diagnosis::words::capture_at;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The call was terminated, and what terminated it is not in the capture.
    ///
    /// ## What it says
    /// A 487 says that the INVITE was ended by a CANCEL or BYE. Neither is in the capture.
    ///
    /// ## Why it happens
    /// The CANCEL took another way, was sent on a hop that was not captured, or was lost to the capture. Or a system
    /// further on ended the call by itself and answered 487.
    ///
    /// ## Evidence
    /// A 487 to the INVITE, without a Q.850 cause that says why, and no CANCEL and no BYE on any hop of the call.
    ///
    /// ## How to fix
    /// Capture at the system that sent the 487, on all its interfaces.
    ///
    /// ## When it would be wrong
    /// It says nothing of the call, only of the capture.
    ///
    /// ## References
    /// RFC 3261 §9.2, §15.1.2, §21.4.25
    "C10f" "termination-not-captured" needs [FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.outcome != Outcome::Cancelled {
        return None;
    }
    let Some(EarlyEnd::Unknown(response)) = case.early_end() else { return None };
    if ring_timeout::expired(case).is_some() || case.telling_cause(response).is_some() {
        return None; // The INVITE said itself how long it was good for, or the 487 says why it came.
    }
    if ring_timeout::by_plateau(case).is_some() {
        return None; // Other calls show who ended it.
    }
    let from = response.path.source;
    let cancel = case.deciding().and_then(|invite| invite.cancelled_by);
    let because = match cancel {
        Some(_) => format!(
            "{from} ended the INVITE with 487 after a CANCEL. The answer to the CANCEL is in the capture, and the \
             CANCEL itself is not: whether it gave a reason cannot be said."
        ),
        None => format!(
            "{from} ended the INVITE with 487, which follows a CANCEL or BYE. Neither is in the capture, so it cannot \
             be said who ended the call."
        ),
    };
    Some(
        Finding::of(&RULE, Confidence::Unseen)
            .explains_unseen(response.message.status())
            .party(Role::Capture, None)
            .because(because)
            .fix(format!("Capture at {} on all its interfaces, and look for the CANCEL.", from.ip()))
            .next_capture(capture_at(from.ip(), response.path))
            .claim_status(response, "the INVITE was terminated")
            .claim_absent(response.place, "a CANCEL or BYE before it", "none is in the capture on any hop")
            .refuted("caller-abandoned", "no CANCEL of the caller's side is in the capture")
            .refuted("ring-timeout", "no CANCEL behind a proxy is in the capture"),
    )
}
