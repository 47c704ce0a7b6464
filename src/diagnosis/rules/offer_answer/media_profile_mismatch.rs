use crate::call::Heard;
use crate::diagnosis::offers::{audio, intersect};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::media_keying_mismatch::own_fault;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// One side wants encrypted media, and the other does not.
    ///
    /// ## What it says
    /// The codecs would fit; what does not is the profile: RTP on one side, SRTP on the other.
    ///
    /// ## Why it happens
    /// SRTP is required on one side and switched off, or not available, on the other.
    ///
    /// ## Evidence
    /// A 488 or 606 with Warning 302, or whose own description names another profile while the codecs intersect. An offer
    /// of nothing but SRTP with ordinary codecs makes it possible. A refusal that speaks of SRTP or media encryption in words,
    /// to an offer of plain RTP, makes it likely.
    ///
    /// ## How to fix
    /// Switch SRTP on or off on one side; "optional" SRTP helps only if both sides support it (RFC 4568, RFC 8643).
    ///
    /// ## When it would be wrong
    /// If the codecs do not fit either, allowing SRTP alone will not help: `no-common-codec`.
    ///
    /// ## References
    /// RFC 3264 §6; RFC 4568 §7; RFC 5763 §5; RFC 3261 §20.43
    "D2" "media-profile-mismatch" needs [488 606 BODY], check
}

/// Codecs that nearly all can do.
const ORDINARY: [&str; 2] = ["PCMA", "PCMU"];

/// Words of a refusal that speak of encrypted media.
const ENCRYPTION: &[&str] = &["srtp", "savp", "media encryption", "encryption is required", "encryption required", "encryption level"];

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[488, 606])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let offer = Sdp::of(&request.message)?;
    let offered = audio(offer)?;
    let warned = case.warned(response, &[302]);
    let abilities = case.abilities(response);
    let theirs = abilities.as_ref().and_then(|(heard, sdp)| Some((*heard, audio(sdp)?)));
    let differs = theirs.filter(|(_, theirs)| {
        theirs.is_secure() != offered.is_secure() && intersect(&theirs.main_codecs(), &offered.main_codecs())
    });
    let only_secure = offer.media.iter().filter(|media| media.kind == "audio").all(|media| media.is_secure());
    let ordinary = offered.main_codecs().iter().any(|codec| ORDINARY.contains(&codec.name.as_str()));
    // An offer of encryption without its keys is wrong by itself.
    let unsaid = case.warnings(response).is_empty() && theirs.is_none() && only_secure && ordinary && own_fault(offer).is_none();
    // Who offers nothing but plain RTP and reads of encryption in the refusal can only have been asked for it.
    let plain = offer.media.iter().all(|media| !media.is_secure());
    let in_words = plain && theirs.is_none() && case.says_any(response, ENCRYPTION);
    let confidence = match () {
        () if warned.is_some() || differs.is_some() => Confidence::Proven,
        () if in_words => Confidence::Likely,
        () if unsaid => Confidence::Possible,
        () => return None,
    };
    let (server, code) = (response.path.source, failure.status);
    let mine = &offered.protocol;
    let because = match (&warned, differs) {
        (_, Some((_, theirs))) => {
            format!("The offer wants {mine}, and {server} can only do {}; it answered {code}. The codecs would fit.", theirs.protocol)
        }
        (Some(warning), None) => format!(
            "{server} refused the offer ({mine}) with {code} and Warning 302 ({:?}): the transport of the media does not fit.",
            warning.text
        ),
        (None, None) if in_words => format!(
            "The offer allows nothing but {mine} (not encrypted), and {server} refused it with {code} and speaks of \
             encryption{}.",
            case.quotation(response).map(|words| format!(": {words}")).unwrap_or_default()
        ),
        (None, None) => format!(
            "The offer allows nothing but {mine} (encrypted media) with ordinary codecs, and {server} refused it with {code} \
             without a reason. If it does not do SRTP, that is why."
        ),
    };
    let step = if offered.is_secure() {
        format!("Enable SRTP on {server}, or let the caller's side offer plain RTP/AVP as well.")
    } else {
        format!("Offer SRTP (RTP/SAVP) to {server}, or let it take plain RTP.")
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(Some(code))
        .sender(Role::Uas, response)
        .because(because)
        .fix(step)
        .claim(request, "sdp.media", offered.line.clone(), "the profile that is offered")
        .claim_status(response, "refused");
    if let Some((heard, theirs)) = differs {
        finding = finding.claim(heard, "sdp.media", theirs.line.clone(), "the profile of the callee's side");
    }
    if warned.is_some() {
        finding = finding.claim_header(response, "Warning", "the media transport is the reason");
    }
    if in_words {
        finding = finding.claim_own_words(case, response);
    }
    let codecs = match differs {
        None if in_words && warned.is_none() => "the refusal speaks of encryption",
        Some(_) => "both sides have a codec in common",
        None => "neither Warning 304 or 305 nor a list of the callee's codecs says so",
    };
    Some(finding.refuted("no-common-codec", codecs).refuted("bandwidth-insufficient", "no Warning 370"))
}

/// What rules out that the one who refused this audio wants another profile, as the end of a sentence; `None` if nothing does:
/// that no Warning names the transport rules out nothing.
pub(in crate::diagnosis) fn ruled_out(case: &Case<'_>, response: &Heard, offered: &Media) -> Option<&'static str> {
    if case.warned(response, &[302]).is_some() {
        return None;
    }
    // 399 may be about anything (RFC 3261 §20.43).
    if case.warnings(response).iter().any(|warning| (300..399).contains(&warning.code)) {
        return Some("its Warning names something else than the transport of the media");
    }
    let (_, abilities) = case.abilities(response)?;
    (audio(abilities)?.is_secure() == offered.is_secure()).then_some("the callee's side describes the same profile")
}
