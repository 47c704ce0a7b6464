use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::glare_unresolved::{glare, is_retried};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// Both sides wanted to change the call at once, and one tried again.
    ///
    /// ## What it says
    /// Two re-INVITEs or UPDATEs crossed. The 491 is the normal answer to that, and the retry was accepted.
    ///
    /// ## Why it happens
    /// Hold, resume, transfer or a session refresh on both sides in the same moment.
    ///
    /// ## Evidence
    /// A 491 to a request that changes the call, and a later accepted one from the same side.
    ///
    /// ## How to fix
    /// Nothing has to be done.
    ///
    /// ## When it would be wrong
    /// Hardly. Many of them in one call point to wrong retry timers.
    ///
    /// ## References
    /// RFC 3261 §14.1
    "C9" "glare-resolved" needs [IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (transaction, request, response) = glare(case)?;
    if !is_retried(case, transaction) {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .about(response.message.status()?)
            .party(Role::Nobody, None)
            .because(format!(
                "The {} of {} crossed a change of the other side. It was refused with 491, tried again and accepted: nothing \
                 is wrong with that.",
                transaction.method, request.path.source
            ))
            .claim_method(request, "a change of the call")
            .claim_status(response, "both sides asked at once")
            .refuted("glare-unresolved", "it was tried again and accepted"),
    )
}
