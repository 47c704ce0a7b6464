use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::Sdp;

rule! {
    /// The address of the media is of a kind that the other side cannot use.
    ///
    /// ## What it says
    /// The session description names an IPv6 address to a side that has only IPv4, or the reverse, or a multicast address
    /// that is not available.
    ///
    /// ## Why it happens
    /// One side of the call is IPv6-only, or prefers IPv6 although the way to the peer is IPv4.
    ///
    /// ## Evidence
    /// Warning 300, 301, 330 or 331 in the response.
    ///
    /// ## How to fix
    /// Offer an address of the other family, let ICE offer both (RFC 8445), or relay the media.
    ///
    /// ## When it would be wrong
    /// Some gateways send Warning 301 for an address that they cannot route to.
    ///
    /// ## References
    /// RFC 3261 §20.43; RFC 6157 §3
    "D4" "address-family-mismatch" needs [400 488 606 BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[400, 488, 606])?;
    let response = case.response(failure);
    let warning = case.warned(response, &[300, 301, 330, 331])?;
    let request = case.request(failure)?;
    let sdp = Sdp::of(&request.message)?;
    let connection = sdp.media.first().filter(|media| !media.connection.is_empty()).map_or(&sdp.connection, |media| &media.connection);
    let server = response.path.source;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "{server} refused the offer with {} and Warning {} ({:?}). The offer asks for media to {connection:?}.",
                failure.status, warning.code, warning.text
            ))
            .fix(format!("Offer a media address that {server} can use: of the other family, or both through ICE."))
            .claim_status(response, "refused")
            .claim_header(response, "Warning", "the address is the reason")
            .refuted("no-common-codec", "the Warning names the address, not the codecs"),
    )
}
