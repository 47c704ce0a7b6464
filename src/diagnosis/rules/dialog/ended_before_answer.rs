use crate::diagnosis::early_end::EarlyEnd;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The caller's side ended the call with a BYE before it was answered.
    ///
    /// ## What it says
    /// The side that placed the call gave up while it rang, and did so with BYE instead of CANCEL.
    ///
    /// ## Why it happens
    /// Some systems end an early dialog with BYE. RFC 3261 allows it to the caller, and CANCEL is what most peers expect.
    ///
    /// ## Evidence
    /// A BYE of the caller's side after a 1xx and before any final response to the INVITE.
    ///
    /// ## How to fix
    /// Nothing has to be done. If the peer goes on ringing, let the caller's system send CANCEL.
    ///
    /// ## When it would be wrong
    /// A BYE that leaves just after a 2xx that was not captured. The 487 to the INVITE refutes that.
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
    let mut finding = Finding::of(&RULE, confidence)
        .explains_calmly(case.call.final_status)
        .party(Role::Uac, Some(bye.path.source))
        .because(format!(
            "The caller's side ({}) ended the call with BYE {} after the INVITE, before any answer. It gave up; nothing was \
             refused.",
            bye.path.source,
            length(bye.place.time.since(invite.place.time))
        ))
        .fix("Nothing has to be done. If the callee goes on ringing, let the caller's system send CANCEL.")
        .claim_method(bye, "the caller's side ends the early dialog")
        .claim_header(bye, "Reason", "why, as its sender says");
    if let Some(last) = last {
        finding = finding.claim_status(last, "the INVITE ends because of it");
    }
    Some(finding.refuted("caller-abandoned", "there is no CANCEL").refuted("released-by", "the call was not answered"))
}
