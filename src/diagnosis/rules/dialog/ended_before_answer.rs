use crate::call::Heard;
use crate::catalogue::q850;
use crate::diagnosis::dialogs::Side;
use crate::diagnosis::early_end::EarlyEnd;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Reason;

rule! {
    /// The caller's side ended the call with a BYE before it was answered.
    ///
    /// ## What it says
    /// The side that placed the call gave up while it rang, and did so with BYE instead of CANCEL. Or the callee's side
    /// did so instead of refusing the INVITE.
    ///
    /// ## Why it happens
    /// Some systems end an early dialog with BYE. RFC 3261 allows it to the caller, and CANCEL is what most peers
    /// expect. It does not allow it to the callee.
    ///
    /// ## Evidence
    /// A BYE of either side after a 1xx and before any final response to the INVITE.
    ///
    /// ## How to fix
    /// Nothing has to be done, unless the Reason of the BYE names a fault. If the peer goes on ringing, let the
    /// caller's system send CANCEL.
    ///
    /// ## When it would be wrong
    /// A BYE that leaves just after a 2xx that was not captured. The 487 to the INVITE refutes that. Where only the
    /// first fragment of a response was captured, that may be the 2xx, and nothing is said.
    ///
    /// ## References
    /// RFC 3261 §15, §9.1
    "C10e" "ended-before-answer" needs [BYE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let Some(EarlyEnd::Bye(bye)) = case.early_end() else { return None };
    let deciding = case.deciding()?;
    let invite = case.call.request_of(deciding)?;
    let last = case.finals(deciding).last();
    // Without the end of the INVITE it is the absence of an answer that tells.
    let confidence = match last {
        Some(_) => Confidence::Proven,
        None if case.capture.drops == 0 => Confidence::Likely,
        None => Confidence::Possible,
    };
    let after = length(bye.place.time.since(invite.place.time));
    if case.side(bye) == Side::Callee {
        return Some(of_callee(case, bye, last, confidence, &after));
    }
    let reason = case.reasons(bye).iter().find(|reason| names_a_ground(reason));
    let why = match reason {
        Some(reason) => format!("It says why in its Reason: {}", told(reason)),
        None => "It gave up; nothing was refused.".to_owned(),
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains_calmly(case.call.final_status)
        .party(Role::Uac, Some(bye.path.source))
        .because(format!(
            "The caller's side ({}) ended the call with BYE {after} after the INVITE, before any answer. {why}",
            bye.path.source
        ));
    finding = match reason {
        Some(_) => finding.fix(format!("Look on {} for what its Reason names.", bye.path.source)),
        None => finding,
    };
    let rest = if reason.is_some() { "" } else { "Nothing has to be done. " };
    let mut finding = finding
        .fix(format!("{rest}If the callee goes on ringing, let the caller's system send CANCEL."))
        .claim_method(bye, "the caller's side ends the early dialog")
        .claim_header(bye, "Reason", "why, as its sender says");
    if let Some(last) = last {
        finding = finding.claim_status(last, "the INVITE ends because of it");
    }
    Some(finding.refuted("caller-abandoned", "there is no CANCEL").refuted("released-by", "the call was not answered"))
}

/// True if a Reason names more than that the call is over.
fn names_a_ground(reason: &Reason) -> bool {
    !matches!(reason.q850(), Some(0 | 16 | 31)) && !matches!(reason.sip(), Some(200 | 487))
}

/// What it names, as the end of a sentence.
fn told(reason: &Reason) -> String {
    let cause = reason.cause.map(|cause| format!(" {cause}")).unwrap_or_default();
    let known = reason.q850().and_then(|cause| q850(u8::try_from(cause).ok()?));
    let text = reason.text.clone().or_else(|| known.map(|known| known.name.clone()));
    format!("{}{cause}{}.", reason.protocol, text.map(|text| format!(" (\"{text}\")")).unwrap_or_default())
}

/// The callee's side may not end a dialog with BYE before it has answered (RFC 3261 §15): it refuses the INVITE.
fn of_callee(case: &Case<'_>, bye: &Heard, last: Option<&Heard>, confidence: Confidence, after: &str) -> Finding {
    let callee = bye.path.source;
    let mut finding = Finding::of(&RULE, confidence)
        .titled("The callee's side ended the call with BYE before it had answered")
        .explains(case.call.final_status)
        .party(Role::Uas, Some(callee))
        .because(format!(
            "The callee's side ({callee}) ended the call with BYE {after} after the INVITE, before it had answered: \
             there it has to refuse the INVITE instead."
        ))
        .fix(format!("Look on {callee} why it ended the call."))
        .fix(format!(
            "Have the software of {callee} mended: before its 2xx the callee's side sends no BYE (RFC 3261 §15)."
        ))
        .claim_method(bye, "the callee's side ends the early dialog")
        .claim_header(bye, "Reason", "why, as its sender says");
    if let Some(last) = last {
        finding = finding.claim_status(last, "the INVITE ends because of it");
    }
    finding.refuted("caller-abandoned", "there is no CANCEL").refuted("released-by", "the call was not answered")
}
