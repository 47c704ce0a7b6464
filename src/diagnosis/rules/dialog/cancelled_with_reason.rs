use crate::diagnosis::early_end::{CancelSays, EarlyEnd, cancel_says, reason_line, says_other};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The call was cancelled, and the CANCEL says why.
    ///
    /// ## What it says
    /// The side that placed the call cancelled it for a reason that it names.
    ///
    /// ## Why it happens
    /// A timer of the calling system ran out, a better route was found, the call was taken by another rule: the Reason
    /// header tells.
    ///
    /// ## Evidence
    /// A CANCEL on the caller's own hop whose Reason is neither normal clearing nor "answered elsewhere".
    ///
    /// ## How to fix
    /// Look up the reason on the system that sent the CANCEL.
    ///
    /// ## When it would be wrong
    /// Some systems write a fixed Reason into every CANCEL. Compare it with that of calls that people ended.
    ///
    /// ## References
    /// RFC 3326 §2; RFC 3261 §9.1
    "C10c" "cancelled-with-reason" needs [CANCEL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let Some(EarlyEnd::Cancel(cancel)) = case.early_end() else { return None };
    if cancel_says(case.reasons(cancel)) != CancelSays::Other {
        return None;
    }
    let deciding = case.deciding()?;
    let invite = case.call.request_of(deciding)?;
    let reason = reason_line(cancel, says_other).unwrap_or_default().into_owned();
    let source = cancel.path.source;
    let (role, who, cancels, behind) = match case.came_through_proxy() {
        true => (
            Role::Nobody,
            source.to_string(),
            "this hop cancels",
            " The INVITE had passed a proxy before this point (more than one Via): the reason may be that of the \
             caller, or of a proxy.",
        ),
        false => (Role::Uac, format!("The caller's side ({source})"), "the caller's side cancels", ""),
    };
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains_calmly(case.call.final_status)
        .party(role, Some(cancel.path.source))
        .because(format!(
            "{who} cancelled the call {} after the INVITE, and gives the reason {reason}.{behind}",
            length(cancel.place.time.since(invite.place.time))
        ))
        .fix(format!("Look up this reason on {}, which sent the CANCEL.", cancel.path.source))
        .claim_method(cancel, cancels)
        .claim_header_with(cancel, "Reason", &reason, "why, as its sender says")
        .refuted("caller-abandoned", "the Reason is not that of normal clearing");
    Some(match cancel.message.has_cut_head() {
        true => finding, // Another Reason may stand behind the cut.
        false => finding.refuted("answered-elsewhere", "the Reason is neither SIP 200 nor Q.850 26"),
    })
}
