use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::identity::blocked_by_analytics;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::identity::Passport;

rule! {
    /// The caller's network vouches only in part for the caller.
    ///
    /// ## What it says
    /// The call is signed, but with a low attestation, and it was declined or blocked. Networks and their analytics
    /// trust such calls less.
    ///
    /// ## Why it happens
    /// The signing network does not know that the caller may use this number (B), or only where the call came in (C):
    /// the number is of another carrier, or the call came over a gateway.
    ///
    /// ## Evidence
    /// An Identity header whose token says `attest` B or C, and a 603 or 608. Not where a device rang before a 603 that
    /// names no analytics: the networks had let the call through, and who declined it is the callee.
    ///
    /// ## How to fix
    /// Let the originating carrier sign with attestation A: prove to it that the number is yours, or call with one of
    /// its own numbers.
    ///
    /// ## When it would be wrong
    /// A person may have declined without a 180 before it; many calls with low attestation are let through.
    ///
    /// ## References
    /// RFC 8588 §4, §5; RFC 8688 §3
    "F5" "attestation-low" needs [603 608], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[603, 608])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if case.alerting(failure.transaction).is_some() && blocked_by_analytics::mark(case, response).is_none() {
        return None;
    }
    let mut tokens = request.message.header_lines("Identity");
    let attestation = tokens
        .find_map(|value| Passport::read(&value).map(|token| token.attestation).filter(|level| !level.is_empty()))?;
    let meaning = match attestation.to_ascii_uppercase().as_str() {
        "B" => "the network knows its customer, and not whether the number may be used",
        "C" => "the network only knows where the call came in",
        _ => return None,
    };
    let code = failure.status;
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .about(code)
            .severity(Severity::Warning)
            .sender(Role::Uac, request)
            .because(format!(
                "The call is signed with attestation {attestation}: {meaning}. It was refused with {code}; a low \
                 attestation may have weighed in."
            ))
            .fix("Ask the originating carrier for attestation A: show it that the calling number is yours.")
            .claim_header(request, "Identity", format!("the signature says attest {attestation}"))
            .claim_status(response, "declined or blocked")
            .refuted("identity-rejected", "the signature itself was not refused"),
    )
}
