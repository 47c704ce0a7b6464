use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::Sdp;

rule! {
    /// The callee's side does not take an INVITE without an offer.
    ///
    /// ## What it says
    /// The INVITE carries no session description: the callee's side should make the offer, and refused instead.
    ///
    /// ## Why it happens
    /// Some exchanges send INVITEs without an offer (delayed or late offer), and some gateways and carriers do not accept
    /// that, although RFC 3261 demands it.
    ///
    /// ## Evidence
    /// An INVITE without SDP, answered with 400, 415, 488, 500 or 606.
    ///
    /// ## How to fix
    /// Enable early offer on the caller's side (in Cisco CUCM: "Early Offer support" or an MTP), or delayed offer on the
    /// callee's.
    ///
    /// ## When it would be wrong
    /// A 400 or 500 may have another reason. If the capture cut the message, the body may have been there.
    ///
    /// ## References
    /// RFC 3261 §13.2.1, §14.2; RFC 6337 §2.2
    "D8" "late-offer-unsupported", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[400, 415, 488, 500, 606])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    if request.message.is_cut() || Sdp::of(&request.message).is_some() || !request.message.body().is_empty() {
        return None;
    }
    let fits = matches!(failure.status.get(), 415 | 488 | 606);
    let confidence = if fits { Confidence::Likely } else { Confidence::Possible };
    if !fits && (!case.reasons(response).is_empty() || !case.warnings(response).is_empty()) {
        return None;
    }
    let server = response.path.source;
    Some(
        Finding::of(&RULE, confidence)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "The INVITE of {} carries no session description (late offer), and {server} answered {} instead of making an \
                 offer itself.",
                request.path.source, failure.status
            ))
            .fix(format!("Let {} put its offer into the INVITE (early offer).", request.path.source))
            .fix(format!("Or let {server} accept INVITEs without an offer, as RFC 3261 §13.2.1 demands."))
            .claim_method(request, "the INVITE")
            .claim_absent(request.place, "a session description in this INVITE", "its body is empty")
            .claim_status(response, "refused")
            .refuted("no-common-codec", "no codec was offered at all"),
    )
}
