use crate::call::Heard;
use crate::diagnosis::offers::{audio, intersect, names};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::{Codec, Sdp};

rule! {
    /// The two sides have no codec in common.
    ///
    /// ## What it says
    /// The callee's side refused the offer because it can use none of the codecs in it.
    ///
    /// ## Why it happens
    /// One side allows too few codecs, or something between them removes some.
    ///
    /// ## Evidence
    /// A 488 or 606 to the INVITE that opens the call, with Warning 304 or 305, or with a list of its own that shares no
    /// codec with the offer. Without such a list it is only possible. telephone-event, comfort noise and redundancy do
    /// not count as codecs.
    ///
    /// ## How to fix
    /// Allow at least one codec of the offer on the callee's side, or add one of the callee's to the offer; PCMA and PCMU
    /// are what nearly all can do.
    ///
    /// ## When it would be wrong
    /// If the codecs fit and only the profile differs (`media-profile-mismatch`), the keys (`media-keying-mismatch`), the
    /// address family (`address-family-mismatch`) or the bandwidth (`bandwidth-insufficient`).
    ///
    /// ## References
    /// RFC 3261 §21.4.26, §20.43; RFC 3264 §6
    "D1" "no-common-codec" needs [488 606 BODY], check
}

/// Warnings that name the media type or its format.
const OF_CODECS: [u16; 2] = [304, 305];
/// Warnings that name something else in the session description.
const OF_OTHERS: [u16; 8] = [300, 301, 302, 303, 306, 330, 331, 370];

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[488, 606])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    if request.message.is_cut() || case.warned(response, &OF_OTHERS).is_some() {
        return None;
    }
    let offer = Sdp::of(&request.message)?;
    let offered = audio(offer)?;
    let codecs = offered.main_codecs();
    let abilities = case.abilities(response);
    let theirs: Option<Vec<Codec>> =
        abilities.as_ref().and_then(|(_, sdp)| audio(sdp)).map(|media| media.main_codecs());
    let warned = case.warned(response, &OF_CODECS);
    let disjoint = theirs.as_ref().map(|theirs| !intersect(&codecs, theirs));
    let confidence = match (&warned, disjoint) {
        (_, Some(true)) => Confidence::Proven,
        (Some(_), _) => Confidence::Proven,
        (None, Some(false)) => return None,
        (None, None) => Confidence::Possible,
    };
    let (server, code) = (response.path.source, failure.status);
    let offers = list(&names(&codecs));
    let because = match (&theirs, &warned) {
        (Some(theirs), _) if disjoint == Some(true) => format!(
            "{server} refused the offer with {code}: offered are {offers}, and it can do {}. They share none.",
            list(&names(theirs))
        ),
        (_, Some(warning)) => format!(
            "{server} refused the offer with {code} and Warning {} ({:?}): it can use none of the offered codecs, {offers}.",
            warning.code, warning.text
        ),
        _ => format!(
            "{server} refused the offer with {code} and does not say what it can do. Offered are {offers} over {}; if it has \
             none of these codecs, that is the reason. Otherwise it may want another profile (SRTP or not) or media \
             format.",
            offered.protocol
        ),
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(Some(code))
        .sender(Role::Uas, response)
        .because(because)
        .fix(format!("Compare the codecs that {server} allows with the offer ({offers}), and allow one of them on both sides."))
        .fix(second_step(&offers))
        .claim(request, "sdp.media", offered.line.clone(), "the offer")
        .claim_status(response, "refused");
    finding = cite(finding, response, abilities, warned.is_some());
    Some(
        finding
            .refuted("media-profile-mismatch", "no Warning 302, and no description of the callee with another profile")
            .refuted("bandwidth-insufficient", "no Warning 370")
            .refuted("late-offer-unsupported", "the INVITE carries an offer"),
    )
}

/// What to do if no codec can be allowed on both sides.
fn second_step(offers: &str) -> &'static str {
    match offers.contains("PCMA") || offers.contains("PCMU") {
        true => "If they cannot share one, let an exchange between them transcode.",
        false => "Add PCMA or PCMU to the offer, or let an exchange between them transcode.",
    }
}

fn cite(finding: Finding, response: &Heard, abilities: Option<(&Heard, &Sdp)>, warned: bool) -> Finding {
    let finding = match abilities.and_then(|(heard, sdp)| Some((heard, audio(sdp)?))) {
        Some((heard, media)) => finding.claim(heard, "sdp.media", media.line.clone(), "what the callee's side can do"),
        None => finding,
    };
    if warned { finding.claim_header(response, "Warning", "the media format is the reason") } else { finding }
}
