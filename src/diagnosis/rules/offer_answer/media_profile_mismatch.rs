use crate::call::Heard;
use crate::diagnosis::elsewhere::Elsewhere;
use crate::diagnosis::encryption::OfEncryption;
use crate::diagnosis::offers::{audio, intersect};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::media_keying_mismatch::{enable_dtls, is_dtls, own_fault};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::{Media, Sdp};
use crate::sip::{StatusCode, Warning};

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
    /// A 488 or 606 with Warning 302, or whose own description names another profile while the codecs intersect, and
    /// whose Warning names nothing else.
    /// Likely, where no Warning speaks against it: the same side used a codec of the offer in another call with the
    /// same client, only ever in the other profile; with other media beside the audio, or a Warning of its own, that is
    /// only possible. An offer of nothing but SRTP with ordinary codecs makes it possible. A refusal that speaks of
    /// SRTP or media encryption in words makes it likely: to an offer of plain RTP, or to one of nothing but SRTP if it
    /// does not demand it.
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

/// Warnings that name something else than a profile or a codec: then a list of what is possible is no more than that.
const OF_OTHERS: [u16; 8] = [300, 301, 303, 306, 307, 330, 331, 370];
/// Words of a refusal that speak of codecs.
const OF_CODECS: &[&str] = &["codec", "payload", "media type", "media format"];

fn check(case: &Case<'_>) -> Option<Finding> {
    let refusal = Refusal::of(case)?;
    let Refusal { request, response, offered, .. } = refusal;
    let confidence = refusal.confidence(case)?;
    let mut finding = Finding::of(&RULE, confidence)
        .explains(Some(refusal.code))
        .sender(Role::Uas, response)
        .because(refusal.explanation(case))
        .fix(refusal.cure(case))
        .claim(request, "sdp.media", offered.line.clone(), "the profile that is offered")
        .claim_status(response, "refused");
    if let Some((heard, theirs)) = refusal.differs {
        finding = finding.claim(heard, "sdp.media", theirs.line.clone(), "the profile of the callee's side");
    }
    if refusal.warned.is_some() {
        finding = finding.claim_header(response, "Warning", "the media transport is the reason");
    }
    if let Some(known) = &refusal.elsewhere
        && let Some(line) = known.line()
    {
        finding = finding.claim_at(known.sample.place, "sdp.media", line, known.says());
    }
    if refusal.is_told_by_words() {
        finding = finding.claim_own_words(case, response);
    }
    Some(finding.refuted("no-common-codec", refusal.why_no_codec()).refuted("bandwidth-insufficient", "no Warning 370"))
}

/// A refused offer of audio, and what speaks for it that its profile is the reason.
struct Refusal<'a> {
    request: &'a Heard,
    response: &'a Heard,
    code: StatusCode,
    offer: &'a Sdp,
    /// The audio in it.
    offered: &'a Media,
    /// The Warning that names the transport of the media.
    warned: Option<Warning>,
    /// Audio of the callee's side in the other profile, whose codecs would fit.
    differs: Option<(&'a Heard, &'a Media)>,
    /// Another call, in which that side used a codec of the offer in the other profile.
    elsewhere: Option<Elsewhere<'a>>,
    /// True if the refusal speaks of encryption, where none is offered, or where nothing else is.
    in_words: bool,
    /// True if nothing but SRTP is offered, with ordinary codecs, and nothing names another reason.
    is_unsaid: bool,
}

impl<'a> Refusal<'a> {
    fn of(case: &Case<'a>) -> Option<Refusal<'a>> {
        let failure = case.refused_opening(&[488, 606])?;
        let (response, request) = (case.response(failure), case.request(failure)?);
        let offer = Sdp::of(&request.message)?;
        let offered = audio(offer)?;
        let theirs = case.abilities(response).and_then(|(heard, sdp)| Some((heard, audio(sdp)?)));
        let differs = |(_, theirs): &(&Heard, &Media)| {
            theirs.is_secure() != offered.is_secure() && intersect(&theirs.main_codecs(), &offered.main_codecs())
        };
        let known = match theirs {
            None => case.elsewhere(request, response, &offered.main_codecs()),
            Some(_) => Vec::new(),
        };
        let fits = known.iter().any(|known| takes(offer, known));
        let names_other = case.warned(response, &OF_OTHERS).is_some();
        let of_encryption = case.of_encryption(response);
        let may_be_unsaid = of_encryption.is_none() && !case.says_any(response, OF_CODECS);
        let is_silent = may_be_unsaid && case.warnings(response).is_empty() && theirs.is_none() && !fits;
        Some(Refusal {
            request,
            response,
            code: failure.status,
            offer,
            offered,
            warned: case.warned(response, &[302]),
            differs: theirs.filter(differs).filter(|_| !names_other),
            elsewhere: known.into_iter().next().filter(|_| !fits && may_be_profile(case, response, offer)),
            in_words: theirs.is_none() && of_encryption.is_some_and(|says| is_of_profile(says, offer)),
            is_unsaid: is_silent && wants_encryption_alone(offer, offered),
        })
    }

    /// How sure it is that the profile is the reason; `None` if nothing speaks for it.
    fn confidence(&self, case: &Case<'_>) -> Option<Confidence> {
        match () {
            () if self.warned.is_some() || self.differs.is_some() => Some(Confidence::Proven),
            () if self.in_words => Some(Confidence::Likely),
            () if self.elsewhere.is_some() && is_plain(case, self.response, self.offer) => Some(Confidence::Likely),
            () if self.elsewhere.is_some() => Some(Confidence::Possible),
            () if self.is_unsaid => Some(Confidence::Possible),
            () => None,
        }
    }

    fn explanation(&self, case: &Case<'_>) -> String {
        let (server, code, mine) = (self.response.path.source, self.code, &self.offered.protocol);
        match (&self.warned, self.differs, &self.elsewhere) {
            (_, Some((_, theirs)), _) => format!(
                "The offer wants {mine}, and {server} can only do {}; it answered {code}. The codecs would fit.",
                theirs.protocol
            ),
            (Some(warning), None, _) => format!(
                "{server} refused the offer ({mine}) with {code} and Warning 302 ({:?}): the transport of the media \
                 does not fit.",
                warning.text
            ),
            (None, None, _) if self.in_words => format!(
                "The offer allows nothing but {mine} ({}), and {server} refused it with {code} and speaks of \
                 encryption{}.",
                if self.offered.is_secure() { "encrypted media" } else { "not encrypted" },
                case.quotation(self.response).map(|words| format!(": {words}")).unwrap_or_default()
            ),
            (None, None, Some(known)) => format!(
                "The offer allows nothing but {mine}, and {server} refused it with {code}. {}: the codecs would fit, \
                 and the profile differs.",
                known.sentence_with_profile()
            ),
            (None, None, None) => format!(
                "The offer allows nothing but {mine} (encrypted media) with ordinary codecs, and {server} refused it \
                 with {code}{}. If it does not do {}, that is why.",
                case.quotation(self.response)
                    .map_or_else(|| " without a reason".to_owned(), |words| format!("; {words}")),
                if is_dtls(self.offered) { "SRTP with keys by DTLS" } else { "SRTP" }
            ),
        }
    }

    /// True if nothing but what the refusal says tells of the reason.
    fn is_told_by_words(&self) -> bool {
        self.in_words || self.is_unsaid && self.elsewhere.is_none()
    }

    fn cure(&self, case: &Case<'_>) -> String {
        let server = self.response.path.source;
        let is_offered =
            |before: &Heard| Sdp::of(&before.message).and_then(audio).is_some_and(|audio| audio == self.offered);
        let client = case.first_with(self.request, is_offered).path.source;
        match self.offered.is_secure() {
            true if is_dtls(self.offered) => enable_dtls(server, client),
            true => format!("Enable SRTP on {server}, or let the caller's side offer plain RTP/AVP as well."),
            false => format!("Offer SRTP (RTP/SAVP) to {server}, or let it take plain RTP."),
        }
    }

    /// Why it is not that the codecs do not fit.
    fn why_no_codec(&self) -> &'static str {
        match self.differs {
            None if self.in_words && self.warned.is_none() => "the refusal speaks of encryption",
            Some(_) => "both sides have a codec in common",
            None if self.elsewhere.is_some() && self.warned.is_none() => {
                "the callee's side used a codec of the offer in another call"
            }
            None => "neither Warning 304 or 305 nor a list of the callee's codecs says so",
        }
    }
}

/// True if nothing but encrypted audio is offered, with codecs that nearly all can do.
fn wants_encryption_alone(offer: &Sdp, offered: &Media) -> bool {
    let only_secure = offer.media.iter().filter(|media| media.kind == "audio").all(|media| media.is_secure());
    let ordinary = offered.main_codecs().iter().any(|codec| ORDINARY.contains(&codec.name.as_str()));
    // An offer of encryption without its keys is wrong by itself.
    only_secure && ordinary && own_fault(offer).is_none()
}

/// True if what a refusal says of encryption speaks against the profile of the offer. Who offers nothing but plain RTP
/// can only have been asked for it; who offers it with keys all the same (RFC 8643), if the refusal demands it.
fn is_of_profile(says: OfEncryption, offer: &Sdp) -> bool {
    let mut wanted = offer.media.iter().filter(|media| media.port != 0).peekable();
    let has_keys = |media: &Media| media.attribute("crypto").chain(media.attribute("fingerprint")).next().is_some();
    match says {
        _ if wanted.peek().is_none() => false,
        OfEncryption::Named if wanted.clone().all(Media::is_secure) => own_fault(offer).is_none(),
        OfEncryption::Demanded => wanted.all(|media| !media.is_secure()),
        _ => wanted.all(|media| !media.is_secure() && !has_keys(media)),
    }
}

/// True if the profile of another call is among those of the audio that is offered.
fn takes(offer: &Sdp, known: &Elsewhere<'_>) -> bool {
    let mut audio = offer.media.iter().filter(|media| media.kind == "audio" && media.port != 0);
    audio.any(|media| media.is_secure() == known.is_secure())
}

/// True if nothing in a refusal, nor in the offer, names another reason than the profile.
fn may_be_profile(case: &Case<'_>, response: &Heard, offer: &Sdp) -> bool {
    let names_other = case.warnings(response).iter().any(|warning| (300..399).contains(&warning.code));
    let speaks_of_keys = case.of_encryption(response) == Some(OfEncryption::Keys);
    !names_other && !speaks_of_keys && case.telling_cause(response).is_none() && own_fault(offer).is_none()
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
