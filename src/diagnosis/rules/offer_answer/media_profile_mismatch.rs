use crate::call::Heard;
use crate::diagnosis::elsewhere::Elsewhere;
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
    /// A 488 or 606 with Warning 302, or whose own description names another profile while the codecs intersect.
    /// Likely, where no Warning speaks against it: the same side used a codec of the offer in another call with the
    /// same client, only ever in the other profile; with other media beside the audio, or a Warning of its own, that is
    /// only possible. An offer of nothing but SRTP with ordinary codecs makes it possible. A refusal that speaks of
    /// SRTP or media encryption in words, to an offer of plain RTP, makes it likely.
    ///
    /// ## How to fix
    /// Switch SRTP on or off on one side; "optional" SRTP helps only if both sides support it (RFC 4568, RFC 8643).
    ///
    /// ## When it would be wrong
    /// If the codecs do not fit either, allowing SRTP alone will not help: `no-common-codec`. Behind one address
    /// another device may refuse than the one that used the other profile in another call.
    ///
    /// ## References
    /// RFC 3264 §6; RFC 4568 §7; RFC 5763 §5; RFC 3261 §20.43
    "D2" "media-profile-mismatch" needs [488 606 BODY], check
}

/// Codecs that nearly all can do.
const ORDINARY: [&str; 2] = ["PCMA", "PCMU"];

/// Words of a refusal that speak of encrypted media.
const ENCRYPTION: &[&str] =
    &["srtp", "savp", "media encryption", "encryption is required", "encryption required", "encryption level"];

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
    let known = match theirs {
        None => case.elsewhere(request, response, &offered.main_codecs()),
        Some(_) => Vec::new(),
    };
    let fits = known.iter().any(|known| takes(offer, known));
    let elsewhere = known.into_iter().next().filter(|_| !fits && may_be_profile(case, response, offer));
    // An offer of encryption without its keys is wrong by itself.
    let unsaid = case.warnings(response).is_empty()
        && theirs.is_none()
        && !fits
        && only_secure
        && ordinary
        && own_fault(offer).is_none();
    // Who offers nothing but plain RTP and reads of encryption in the refusal can only have been asked for it.
    let plain = offer.media.iter().all(|media| !media.is_secure());
    let in_words = plain && theirs.is_none() && case.says_any(response, ENCRYPTION);
    let confidence = match () {
        () if warned.is_some() || differs.is_some() => Confidence::Proven,
        () if in_words => Confidence::Likely,
        () if elsewhere.is_some() && is_plain(case, response, offer) => Confidence::Likely,
        () if elsewhere.is_some() => Confidence::Possible,
        () if unsaid => Confidence::Possible,
        () => return None,
    };
    let (server, code) = (response.path.source, failure.status);
    let mine = &offered.protocol;
    let because = match (&warned, differs, &elsewhere) {
        (_, Some((_, theirs)), _) => {
            format!(
                "The offer wants {mine}, and {server} can only do {}; it answered {code}. The codecs would fit.",
                theirs.protocol
            )
        }
        (Some(warning), None, _) => format!(
            "{server} refused the offer ({mine}) with {code} and Warning 302 ({:?}): the transport of the media does \
             not fit.",
            warning.text
        ),
        (None, None, _) if in_words => format!(
            "The offer allows nothing but {mine} (not encrypted), and {server} refused it with {code} and speaks of \
             encryption{}.",
            case.quotation(response).map(|words| format!(": {words}")).unwrap_or_default()
        ),
        (None, None, Some(known)) => format!(
            "The offer allows nothing but {mine}, and {server} refused it with {code}. {}: the codecs would fit, and \
             the profile differs.",
            known.sentence_with_profile()
        ),
        (None, None, None) => format!(
            "The offer allows nothing but {mine} (encrypted media) with ordinary codecs, and {server} refused it with \
             {code} without a reason. If it does not do SRTP, that is why."
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
    if let Some(known) = &elsewhere
        && let Some(line) = known.line()
    {
        finding = finding.claim_at(known.sample.place, "sdp.media", line, known.says());
    }
    if in_words {
        finding = finding.claim_own_words(case, response);
    }
    let codecs = match differs {
        None if in_words && warned.is_none() => "the refusal speaks of encryption",
        Some(_) => "both sides have a codec in common",
        None if elsewhere.is_some() && warned.is_none() => {
            "the callee's side used a codec of the offer in another call"
        }
        None => "neither Warning 304 or 305 nor a list of the callee's codecs says so",
    };
    Some(finding.refuted("no-common-codec", codecs).refuted("bandwidth-insufficient", "no Warning 370"))
}

/// True if the profile of another call is among those of the audio that is offered.
fn takes(offer: &Sdp, known: &Elsewhere<'_>) -> bool {
    let mut audio = offer.media.iter().filter(|media| media.kind == "audio" && media.port != 0);
    audio.any(|media| media.is_secure() == known.is_secure())
}

/// True if nothing in a refusal, nor in the offer, names another reason than the profile.
fn may_be_profile(case: &Case<'_>, response: &Heard, offer: &Sdp) -> bool {
    let names_other = case.warnings(response).iter().any(|warning| (300..399).contains(&warning.code));
    !names_other && case.telling_cause(response).is_none() && own_fault(offer).is_none()
}

/// True if audio is all that is offered, and the refusal says nothing of its own.
fn is_plain(case: &Case<'_>, response: &Heard, offer: &Sdp) -> bool {
    let mut wanted = offer.media.iter().filter(|media| media.port != 0);
    wanted.all(|media| media.kind == "audio") && case.warnings(response).is_empty()
}

/// What rules out that the one who refused this audio wants another profile, as the end of a sentence; `None` if
/// nothing does: that no Warning names the transport rules out nothing.
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
