use std::net::IpAddr;

use crate::call::{Failure, Heard};
use crate::diagnosis::media::candidates;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Warning;
use crate::sip::sdp::Sdp;

rule! {
    /// The address of the media is of a kind that the other side cannot use.
    ///
    /// ## What it says
    /// The session description names an IPv6 address to a side that has only IPv4, or the reverse, or a multicast
    /// address that is not available.
    ///
    /// ## Why it happens
    /// One side of the call is IPv6-only, or prefers IPv6 although the way to the peer is IPv4.
    ///
    /// ## Evidence
    /// Warning 300, 301, 330 or 331 in the response. Without any word of why, it is possible only: an offer that asks
    /// for media at IPv6 addresses alone, without ICE, came over IPv4 and was refused with 488 or 606.
    ///
    /// ## How to fix
    /// Offer an address of the other family, let ICE offer both (RFC 8445), or relay the media.
    ///
    /// ## When it would be wrong
    /// Some gateways send Warning 300 or 301 for an address that they cannot route to: so it is likely where the
    /// address is of the version of IP over which the offer came. Who speaks both versions of IP may have refused the
    /// codecs.
    ///
    /// ## References
    /// RFC 3261 §20.43; RFC 6157 §3, §4
    "D4" "address-family-mismatch" needs [400 488 606 BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[400, 488, 606])?;
    let response = case.response(failure);
    let Some(warning) = case.warned(response, &[300, 301, 330, 331]) else { return of_version(case, failure) };
    let request = case.request(failure)?;
    let sdp = Sdp::of(&request.message)?;
    let connection = sdp
        .media
        .first()
        .filter(|media| !media.connection.is_empty())
        .map_or(&sdp.connection, |media| &media.connection);
    if let (300 | 301, Some(address)) = (warning.code, of_same_version(request, sdp)) {
        return Some(not_usable(failure, (request, response), &warning, address));
    }
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

/// The address of the media, if that of each is of the version of IP over which the offer came.
fn of_same_version<'a>(request: &Heard, sdp: &'a Sdp) -> Option<&'a str> {
    let mut wanted = sdp.media.iter().filter(|media| media.port != 0).map(|media| sdp.address_of(media)).peekable();
    let first = *wanted.peek()?;
    let is_same =
        |address: &str| address.parse::<IpAddr>().is_ok_and(|known| known.is_ipv4() == request.path.source.is_ipv4());
    wanted.all(is_same).then_some(first)
}

/// The Warning speaks of the network or the address, and its version is that of the signalling: it cannot be used there
/// for another reason.
fn not_usable(failure: &Failure, (request, response): (&Heard, &Heard), warning: &Warning, address: &str) -> Finding {
    let (client, server) = (request.path.source, response.path.source);
    Finding::of(&RULE, Confidence::Likely)
        .titled("The callee's side cannot use the address of the media")
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(format!(
            "{server} refused the offer with {} and Warning {} ({:?}). The offer asks for media to {address}, of the \
             version of IP over which it came: another version is not what is wanted. {server} may have no route to \
             it, or not allow it.",
            failure.status, warning.code, warning.text
        ))
        .fix(format!("Look on {server} whether it has a route to {address}, and may send media there."))
        .fix(format!("If it has not, let {client} offer an address that {server} reaches, or relay the media."))
        .claim(request, "sdp.connection_info.address", address, "where media are asked for")
        .claim_status(response, "refused")
        .claim_header(response, "Warning", "the address is the reason")
        .refuted("no-common-codec", "the Warning names the address, not the codecs")
}

/// The offer has only IPv6 for its media, was signalled over IPv4, and was refused without a word of why: who has no
/// IPv6 can use none of it (RFC 6157 §4).
fn of_version(case: &Case<'_>, failure: &Failure) -> Option<Finding> {
    let (request, response) = (case.request(failure)?, case.response(failure));
    let says_more =
        !case.warnings(response).is_empty() || !case.reasons(response).is_empty() || case.abilities(response).is_some();
    if failure.status.get() == 400 || says_more || request.message.is_cut() || request.path.source.is_ipv6() {
        return None;
    }
    let sdp = Sdp::of(&request.message)?;
    let mut wanted = sdp.media.iter().filter(|media| media.port != 0).peekable();
    let first = wanted.peek()?;
    let address = sdp.address_of(first);
    if !wanted.all(|media| sdp.address_of(media).contains(':')) || !candidates(sdp).is_empty() {
        return None;
    }
    let server = response.path.source;
    let wants_the_same = |before: &Heard| {
        let sdp = Sdp::of(&before.message).filter(|_| !before.path.source.is_ipv6());
        sdp.is_some_and(|sdp| sdp.media.iter().any(|media| media.port != 0 && sdp.address_of(media) == address))
    };
    let request = case.first_with(request, wants_the_same);
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .explains(Some(failure.status))
            .sender(case.role_of_sender(request), request)
            .because(format!(
                "{server} refused the offer with {}. The offer asks for media only to {address}, by IPv6, and came \
                 over IPv4: if {server} has no IPv6, that is the reason. Otherwise it may want another codec or \
                 profile.",
                failure.status
            ))
            .fix(format!(
                "Let {} offer a media address of IPv4 too, or relay its media between the two.",
                request.path.source
            ))
            .fix(format!("If {server} has IPv6, compare the codecs that it allows with the offer."))
            .claim(request, "sdp.connection_info.address", address, "where media are asked for")
            .claim_status(response, "refused"),
    )
}
