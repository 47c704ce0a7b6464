use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// There is not enough bandwidth for the call.
    ///
    /// ## What it says
    /// The session description was refused because the bandwidth that it needs is not to be had.
    ///
    /// ## Why it happens
    /// A call admission control counts the calls on a link, or a gateway limits the bit rate of a call.
    ///
    /// ## Evidence
    /// Warning 370 in the response.
    ///
    /// ## How to fix
    /// Raise the limit of the admission control, or offer codecs that need less (G.729, Opus at a low rate).
    ///
    /// ## When it would be wrong
    /// Hardly: the responder says so itself. It does not say which link is full.
    ///
    /// ## References
    /// RFC 3261 §20.43, §21.6.4
    "D5" "bandwidth-insufficient" needs [400 403 480 488 500 503 580 606], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[400, 403, 480, 488, 500, 503, 580, 606])?;
    let response = case.response(failure);
    let warning = case.warned(response, &[370])?;
    let server = response.path.source;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "{server} refused the call with {} and Warning 370 ({:?}): there is not enough bandwidth for it.",
                failure.status, warning.text
            ))
            .fix(format!(
                "Look at the bandwidth limit (call admission control) that {server} applies, and at the calls it \
                 counts."
            ))
            .fix("Offer a codec that needs less, and no video.")
            .claim_status(response, "refused")
            .claim_header(response, "Warning", "not enough bandwidth, as the responder says")
            .refuted("no-common-codec", "the Warning names the bandwidth, not the codecs")
            .refuted("media-profile-mismatch", "the Warning names the bandwidth, not the profile"),
    )
}
