use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::glare_unresolved::{glares, is_retried, is_unresolved};
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
    if glares(case).any(|glare| is_unresolved(case, &glare)) {
        return None;
    }
    let (transaction, request, response) = glares(case).find(|(transaction, ..)| is_retried(case, transaction))?;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .about(response.message.status()?)
            .party(Role::Nobody, None)
            .because(format!(
                "The {} of {} was refused with 491, because another change was under way. It was tried again and \
                 accepted: nothing is wrong with that.",
                transaction.method, request.path.source
            ))
            .claim_method(request, "a change of the call")
            .claim_status(response, "both sides asked at once")
            .refuted("glare-unresolved", "it was tried again and accepted"),
    )
}
