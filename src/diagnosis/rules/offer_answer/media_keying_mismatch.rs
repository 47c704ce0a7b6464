use std::net::SocketAddr;
use std::time::Duration;

use crate::call::Heard;
use crate::capture::{Place, Timestamp};
use crate::catalogue::tls_alert;
use crate::diagnosis::encryption::OfEncryption;
use crate::diagnosis::media::{candidates, ends};
use crate::diagnosis::offers::body_names;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::answer_malformed::names_media;
use crate::diagnosis::words::{length, list};
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::StatusCode;
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// Both sides want encrypted media, and cannot agree on the keys.
    ///
    /// ## What it says
    /// The profile fits, and the way to the keys does not: no crypto suite in common, a missing fingerprint, or two
    /// sides that both wait, or both begin, with DTLS.
    ///
    /// ## Why it happens
    /// The suites that are switched on differ; a box on the way removed lines; one side does SDES and the other
    /// DTLS-SRTP.
    ///
    /// ## Evidence
    /// `a=crypto` suites of both sides without one in common; an answer that gives another suite under the tag of an
    /// offered one, and a BYE of the caller's side within two seconds (likely); a DTLS description without
    /// `a=fingerprint` or `a=setup`; an answer with `setup:actpass`, or the same role as the offer; a refusal of an
    /// encrypted offer that speaks of crypto suites, DTLS or fingerprints in words (likely); or a fatal alert of DTLS
    /// between the addresses of the media of an answered call without media both ways.
    ///
    /// ## How to fix
    /// Switch one suite on on both sides (AES_CM_128_HMAC_SHA1_80 is the usual one); let both use the same of SDES and
    /// DTLS.
    ///
    /// ## When it would be wrong
    /// Lines that the capture cut off are not missing.
    ///
    /// ## References
    /// RFC 4568 §5.1, §5.1.2, §6.2, §7.3; RFC 5763 §5; RFC 8842 §5; RFC 8446 §6.2
    "D3" "media-keying-mismatch" needs [BODY], check
}

/// A BYE so soon after the answer is because of it.
const SOON: Duration = Duration::from_secs(10);
/// A BYE so soon after an answer that some would have taken is because of it.
const AT_ONCE: Duration = Duration::from_secs(2);

fn check(case: &Case<'_>) -> Option<Finding> {
    refused(case).or_else(|| refused_in_words(case)).or_else(|| answered(case)).or_else(|| alerted(case))
}

/// Warnings that name something else in the session description.
const OF_OTHERS: [u16; 6] = [300, 301, 302, 304, 305, 370];

/// The offer was refused, and its keys do not fit those of the callee.
fn refused(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[488, 606])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if request.message.is_cut() || case.warned(response, &OF_OTHERS).is_some() {
        return None;
    }
    let offer = Sdp::of(&request.message)?;
    let theirs = case.abilities(response);
    let fault = own_fault(offer).map(|says| (says, None)).or_else(|| {
        let (heard, sdp) = theirs.as_ref()?;
        // Who refuses may well say what it can with port 0 (RFC 3261 §21.4.26).
        let says = disjoint(secure(offer)?, encrypted(sdp)?)?;
        Some((says, Some(*heard)))
    })?;
    let (says, other) = fault;
    // What an offer lacks by itself it lacked before it was passed on, or lost on the way.
    let lacks_the_same = |before: &Heard| {
        let lacks = || Sdp::of(&before.message).and_then(own_fault);
        other.is_none() && !before.message.is_cut() && lacks().as_ref() == Some(&says)
    };
    let request = case.first_with(request, lacks_the_same);
    let mut finding = Finding::of(&RULE, if other.is_some() { Confidence::Proven } else { Confidence::Likely })
        .explains(Some(failure.status));
    // What an offer lacks by itself nobody could answer (RFC 4568 §5.1; RFC 8842 §5).
    finding = match other {
        Some(_) => finding.sender(Role::Uas, response).fix(fix(offer)),
        None => finding.sender(case.role_of_sender(request), request).fix(own_fix(offer)),
    };
    finding = finding
        .because(format!("{} refused the offer with {}: {says}.", response.path.source, failure.status))
        .claim(request, "sdp.media", secure(offer)?.line.clone(), "encrypted media are offered");
    finding = claim_keys(finding, request, offer, secure(offer));
    finding = finding.claim_status(response, "refused");
    if let (Some(other), Some((_, sdp))) = (other, &theirs) {
        finding =
            claim_keys(finding, other, sdp, encrypted(sdp)).refuted("media-profile-mismatch", "both sides encrypt");
    }
    Some(finding.refuted("no-common-codec", "the keys do not fit, whatever the codec is"))
}

/// An offer of nothing but encrypted media was refused in words that speak of the keys.
struct Refused<'a> {
    request: &'a Heard,
    response: &'a Heard,
    status: StatusCode,
    /// Who made the offer, as far as it was passed on as it is.
    client: SocketAddr,
    offer: &'a Sdp,
    /// The first encrypted medium in it.
    offered: &'a Media,
}

impl<'a> Refused<'a> {
    fn of(case: &Case<'a>) -> Option<Refused<'a>> {
        let failure = case.refused_opening(&[488, 606])?;
        let (request, response) = (case.request(failure)?, case.response(failure));
        let speaks_of_keys = case.of_encryption(response) == Some(OfEncryption::Keys);
        if !speaks_of_keys || case.warned(response, &OF_OTHERS).is_some() || case.abilities(response).is_some() {
            return None;
        }
        let offer = Sdp::of(&request.message)?;
        let is_encrypted = offer.media.iter().filter(|media| media.port != 0).all(Media::is_secure);
        let offered = secure(offer).filter(|_| is_encrypted)?;
        let is_offered = |before: &Heard| Sdp::of(&before.message).and_then(secure) == Some(offered);
        let client = case.first_with(request, is_offered).path.source;
        Some(Refused { request, response, status: failure.status, client, offer, offered })
    }

    /// The way to the keys that the offer names.
    fn way(&self) -> String {
        let suites = suites(self.offered);
        match is_dtls(self.offered) {
            true => "keys by DTLS".to_owned(),
            false if suites.is_empty() => "keys by a=fingerprint".to_owned(),
            false => format!("the crypto suites {}", list(&suites)),
        }
    }

    fn advised(&self, finding: Finding, case: &Case<'_>) -> Finding {
        let (client, server) = (self.client, self.response.path.source);
        let suites = suites(self.offered);
        if is_dtls(self.offered) || suites.is_empty() {
            let finding = match case.says_any(self.response, &["fingerprint"]) {
                true => finding.fix(format!(
                    "Look at {server} for why it does not take the a=fingerprint of the offer, and which hash \
                     functions it knows."
                )),
                false => finding,
            };
            return finding.fix(enable_dtls(server, client));
        }
        let common = match suites.iter().any(|suite| suite == USUAL) {
            true => "allow one of them on both sides".to_owned(),
            false => format!("allow one of them on both sides, or {USUAL}, which all must know"),
        };
        finding
            .fix(format!(
                "Compare the crypto suites that {server} allows with those of the offer ({}), and {common}.",
                list(&suites)
            ))
            .fix(format!("If {server} wants its keys by DTLS, let both sides use the same of SDES and DTLS."))
    }
}

/// The suite that every implementation knows (RFC 4568 §6.2).
const USUAL: &str = "AES_CM_128_HMAC_SHA1_80";

fn refused_in_words(case: &Case<'_>) -> Option<Finding> {
    let refused = Refused::of(case)?;
    let Refused { request, response, status, offer, offered, .. } = refused;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .titled("The way to the keys of encrypted media that was offered is refused.")
        .explains(Some(status))
        .sender(Role::Uas, response)
        .because(format!(
            "{} refused the offer ({} with {}) with {status} and speaks of the keys for encrypted media{}.",
            response.path.source,
            offered.protocol,
            refused.way(),
            case.quotation(response).map(|words| format!(": {words}")).unwrap_or_default()
        ))
        .claim(request, "sdp.media", offered.line.clone(), "encrypted media are offered");
    let finding = claim_keys(refused.advised(finding, case), request, offer, Some(offered));
    Some(
        finding
            .claim_status(response, "refused")
            .claim_own_words(case, response)
            .refuted("media-profile-mismatch", "the refusal speaks of the keys")
            .refuted("no-common-codec", "the refusal speaks of the keys"),
    )
}

/// What to do where one side does not take the keys by DTLS: WebRTC knows no other way (RFC 8827).
pub(super) fn enable_dtls(server: SocketAddr, client: SocketAddr) -> String {
    format!(
        "Enable DTLS-SRTP on {server}. If it cannot do that, let {client} offer its keys by SDES (a=crypto), or plain \
         RTP/AVP; for a browser (WebRTC), which can do neither, put a gateway between the two."
    )
}

/// The call was answered, and the answer's keys do not fit the offer.
fn answered(case: &Case<'_>) -> Option<Finding> {
    let (invite, success) = case.answer()?;
    let request = case.call.request_of(invite)?;
    let is_secure = body_names(&request.message, "SAVP");
    if !is_secure || request.message.is_cut() || success.message.is_cut() {
        return None;
    }
    let (offer, answer) = (Sdp::of(&request.message)?, Sdp::of(&success.message)?);
    let bye = case.first_bye();
    let ended = bye.map(|bye| bye.request).filter(|bye| bye.place.time.since(success.place.time) <= SOON);
    // Some take an answer by its suite, whatever its tag says: that it ended the call has to show.
    let at_once = ended.filter(|bye| {
        let is_silent_or_says = case.reasons(bye).is_empty() || names_media(case, bye);
        is_silent_or_says && case.side(bye) == Side::Caller && bye.place.time.since(success.place.time) <= AT_ONCE
    });
    let by_tag = at_once.and_then(|_| mistaken_tag(secure(offer)?, secure(answer)?));
    let (says, sure) = match unfitting(offer, answer) {
        Some(says) => (says, Confidence::Proven),
        None => (by_tag?, Confidence::Likely),
    };
    let is_other_suite = secure(offer).zip(secure(answer)).and_then(|(mine, theirs)| disjoint(mine, theirs)).is_some();
    let erred = match is_other_suite {
        true => {
            format!(" {} answered with a suite that was not offered, which an answer must not do.", success.path.source)
        }
        false => String::new(),
    };
    let finding = Finding::of(&RULE, sure).explains(success.message.status());
    let finding = if ended.is_some() { finding.drops_the_call() } else { finding };
    let end = match ended {
        Some(bye) => {
            format!(" The call was ended {} after the answer.", length(bye.place.time.since(success.place.time)))
        }
        None => String::new(),
    };
    let finding = finding
        .sender(Role::Uas, success)
        .because(match sure {
            Confidence::Proven => {
                format!("The call was answered, and its media cannot be decrypted: {says}.{erred}{end}")
            }
            _ => format!("The call was answered, and the keys of the answer do not fit: {says}.{end}"),
        })
        .fix(answer_fix(offer, success))
        .claim(request, "sdp.media", secure(offer)?.line.clone(), "encrypted media are offered");
    let finding = claim_keys(finding, request, offer, secure(offer));
    Some(
        claim_answer(finding, success, answer)
            .refuted("media-profile-mismatch", "both sides encrypt")
            .refuted("one-way-media", "neither side can read the media of the other"),
    )
}

/// The keys of an answer, or that it has no fingerprint.
fn claim_answer(finding: Finding, success: &Heard, answer: &Sdp) -> Finding {
    let lacks_fingerprint = |media: &&Media| is_dtls(media) && attribute(answer, media, "fingerprint").is_none();
    match secure(answer).filter(lacks_fingerprint) {
        Some(media) => finding.claim(success, "sdp.media", media.line.clone(), "the answer").claim_absent(
            success.place,
            "a=fingerprint",
            "the answer has none",
        ),
        None => claim_keys(finding, success, answer, secure(answer)),
    }
}

/// The call was answered, and one side gave up the handshake of DTLS for its media with a fatal alert.
fn alerted(case: &Case<'_>) -> Option<Finding> {
    let (invite, success) = case.answer()?;
    if case.surroundings.media().alerts().is_empty() {
        return None;
    }
    let mine = Sdp::of(&case.call.request_of(invite)?.message).map(named).unwrap_or_default();
    let bye = case.first_bye().map(|bye| bye.request);
    let alert = Alert::of(case, bye.map_or(case.call.ended(), |bye| bye.place.time))?;
    if case.talk().is_some_and(|talk| talk.caller.packets() > 0 && talk.callee.packets() > 0) {
        return None; // Another handshake came to an end.
    }
    let ended = bye.filter(|bye| bye.place.time.since(alert.place.time) <= SOON);
    let finding = Finding::of(&RULE, Confidence::Proven)
        .titled("The sides could not agree on keys for the media by DTLS.")
        .explains(success.message.status());
    let finding = if ended.is_some() { finding.drops_the_call() } else { finding };
    let end = match ended {
        Some(bye) => {
            format!(" {} ended the call {} later.", bye.path.source, length(bye.place.time.since(alert.place.time)))
        }
        None => String::new(),
    };
    let Alert { sender, receiver, description, .. } = alert;
    let by_caller = mine.contains(&sender) || !mine.contains(&receiver) && sender.ip() == invite.path.source.ip();
    let role = if by_caller == alert.is_of_certificate() { Role::Uas } else { Role::Uac };
    let name = tls_alert(description).map(|known| format!(" ({})", known.name)).unwrap_or_default();
    let finding = finding
        .party(role, Some(alert.culprit()))
        .because(format!(
            "The call was answered, and the DTLS handshake for its media failed: {sender} gave it up with the fatal \
             alert {description}{name}, which it sent to {receiver}. Without it there are no keys for SRTP.{end}"
        ))
        .fix(alert.cure())
        .claim_at(alert.place, "dtls.alert_message.desc", description.to_string(), "the alert that ends the handshake");
    let finding = match ended {
        Some(bye) => {
            finding.claim_method(bye, "the end of the call").claim_header(bye, "Reason", "why, as its sender says")
        }
        None => finding,
    };
    Some(finding.refuted("one-way-media", "without keys neither side can read the media of the other"))
}

/// The fatal alert that ended a handshake of DTLS (RFC 8446 §6.2).
struct Alert {
    place: Place,
    sender: SocketAddr,
    receiver: SocketAddr,
    description: u8,
}

impl Alert {
    /// The first to or from an address that the call asks for media at, until it ended.
    fn of(case: &Case<'_>, until: Timestamp) -> Option<Alert> {
        let all: Vec<SocketAddr> =
            case.call.messages.iter().filter_map(|heard| Sdp::of(&heard.message)).flat_map(named).collect();
        let alert = case.surroundings.media().alerts().iter().find(|alert| {
            let is_of_call = all.contains(&alert.path.source) || all.contains(&alert.path.destination);
            is_of_call && case.call.started() <= alert.place.time && alert.place.time <= until
        })?;
        let (sender, receiver) = (alert.path.source, alert.path.destination);
        Some(Alert { place: alert.place, sender, receiver, description: alert.description })
    }

    /// True if its sender does not like the certificate that the other side showed (RFC 5763 §5).
    fn is_of_certificate(&self) -> bool {
        matches!(self.description, 42..=46 | 48)
    }

    fn culprit(&self) -> SocketAddr {
        if self.is_of_certificate() { self.receiver } else { self.sender }
    }

    fn cure(&self) -> String {
        let Alert { sender, receiver, .. } = self;
        match self.is_of_certificate() {
            true => format!(
                "Compare a=fingerprint in the description of {receiver} with the certificate that it shows for its \
                 media; a media server between the two may show one of its own."
            ),
            false => format!(
                "Compare the DTLS versions, cipher suites and SRTP profiles that {sender} and {receiver} allow."
            ),
        }
    }
}

/// Where a description asks for media.
fn named(sdp: &Sdp) -> Vec<SocketAddr> {
    [ends(sdp), candidates(sdp)].concat()
}

/// What to do about an offer that lacks its keys.
fn own_fix(offer: &Sdp) -> &'static str {
    match secure(offer).is_some_and(is_dtls) {
        true => "Let the offer carry a=fingerprint and a=setup:actpass.",
        false => {
            "Let the offer carry a key (a=crypto) for each medium that is to be encrypted, or offer it as RTP/AVP."
        }
    }
}

/// What to do about an answer that does not fit an offer which names its suites: the answer has to take one of them
/// (RFC 4568 §5.1.2).
fn answer_fix(offer: &Sdp, success: &Heard) -> String {
    let offered = secure(offer).filter(|media| !is_dtls(media)).map(suites).unwrap_or_default();
    match offered.is_empty() {
        true => fix(offer).to_owned(),
        false => format!(
            "Let {} answer with one of the suites that were offered ({}), under its tag and with a key of its own, or \
             refuse the call with 488 if it has none of them.",
            success.path.source,
            list(&offered)
        ),
    }
}

fn fix(offer: &Sdp) -> &'static str {
    let is_dtls = secure(offer).is_some_and(is_dtls);
    match is_dtls {
        true => "Let the offer carry a=fingerprint and a=setup:actpass, and the answer a=setup:active.",
        false => "Enable a common crypto suite on both sides; AES_CM_128_HMAC_SHA1_80 is the one that all must know.",
    }
}

/// The first medium that is encrypted and not refused.
fn secure(sdp: &Sdp) -> Option<&Media> {
    sdp.media.iter().find(|media| media.port != 0 && media.is_secure())
}

/// The same, else one that is refused: it tells what its author can.
fn encrypted(sdp: &Sdp) -> Option<&Media> {
    secure(sdp).or_else(|| sdp.media.iter().find(|media| media.is_secure()))
}

/// True if its keys are to come by DTLS (RFC 5764).
pub(super) fn is_dtls(media: &Media) -> bool {
    media.protocol.to_ascii_uppercase().contains("TLS")
}

/// The crypto suites of a medium, as they were sent (RFC 4568 §9.1): the second word of each a=crypto.
fn suites_as_sent(media: &Media) -> impl Iterator<Item = &str> {
    media.attribute("crypto").filter_map(|value| value.split_ascii_whitespace().nth(1))
}

/// The same in capital letters.
fn suites(media: &Media) -> Vec<String> {
    suites_as_sent(media).map(str::to_ascii_uppercase).collect()
}

/// An attribute of a medium, or of the session.
fn attribute(sdp: &Sdp, media: &Media, name: &str) -> Option<String> {
    let of = |attributes: &[String]| {
        attributes.iter().find_map(|one| Some(one.strip_prefix(name)?.strip_prefix(':')?.trim().to_ascii_lowercase()))
    };
    of(&media.attributes).or_else(|| of(&sdp.attributes))
}

/// What an offer of encrypted media lacks by itself.
pub(in crate::diagnosis::rules) fn own_fault(offer: &Sdp) -> Option<String> {
    let media = secure(offer)?;
    if is_dtls(media) {
        if attribute(offer, media, "fingerprint").is_none() {
            return Some("the offer wants DTLS-SRTP and has no a=fingerprint".into());
        }
        if attribute(offer, media, "setup").is_none() {
            return Some("the offer wants DTLS-SRTP and has no a=setup".into());
        }
        return None;
    }
    let has_keys = !suites(media).is_empty() || attribute(offer, media, "fingerprint").is_some();
    (!has_keys).then(|| "the offer wants SRTP and carries neither a=crypto nor a=fingerprint".into())
}

/// Crypto suites of both sides without one in common.
fn disjoint(offered: &Media, other: &Media) -> Option<String> {
    let (mine, theirs) = (suites(offered), suites(other));
    let differ = !mine.is_empty() && !theirs.is_empty() && !mine.iter().any(|suite| theirs.contains(suite));
    differ.then(|| format!("the offer names the crypto suites {}, and the other side {}", list(&mine), list(&theirs)))
}

/// An answer whose tag is of another suite than it names: it has to repeat both as they were offered (RFC 4568 §5.1.2).
fn mistaken_tag(offered: &Media, answered: &Media) -> Option<String> {
    let read = |media: &Media| -> Vec<(String, String)> {
        let lines = media.attribute("crypto").map(str::split_ascii_whitespace);
        lines.filter_map(|mut words| Some((words.next()?.to_owned(), words.next()?.to_ascii_uppercase()))).collect()
    };
    let (mine, theirs) = (read(offered), read(answered));
    let (tag, suite) = theirs.first().filter(|answered| !mine.contains(answered))?;
    Some(match mine.iter().find(|(known, _)| known == tag) {
        Some((_, other)) => format!("the answer gives {suite} the tag {tag}, under which the offer has {other}"),
        None => format!("the answer gives {suite} the tag {tag}, which the offer does not have"),
    })
}

/// Where the keys of an answer do not fit those of its offer.
fn unfitting(offer: &Sdp, answer: &Sdp) -> Option<String> {
    let (offered, answered) = (secure(offer)?, secure(answer)?);
    if let Some(says) = disjoint(offered, answered) {
        return Some(says);
    }
    if !is_dtls(offered) || !is_dtls(answered) {
        let has_suites = !suites(offered).is_empty();
        let lost = has_suites && suites(answered).is_empty() && attribute(answer, answered, "fingerprint").is_none();
        return lost.then(|| "the offer has a=crypto, and the answer has none".into());
    }
    if attribute(answer, answered, "fingerprint").is_none() {
        return Some("the answer has no a=fingerprint".into());
    }
    let setups = (attribute(offer, offered, "setup"), attribute(answer, answered, "setup"));
    match (setups.0.as_deref(), setups.1.as_deref()) {
        (_, Some("actpass")) => Some("the answer says a=setup:actpass, so nobody begins with DTLS".into()),
        (Some("active"), Some("active")) => Some("both sides say a=setup:active".into()),
        (Some("passive"), Some("passive")) => Some("both sides say a=setup:passive, so nobody begins with DTLS".into()),
        _ => None,
    }
}

/// Suites that are cited of one side.
const MOST_SUITES: usize = 4;

fn role_in_dtls(heard: &Heard) -> String {
    format!("how {} takes part in DTLS", heard.path.source)
}

fn claim_keys<'a>(finding: Finding, heard: &Heard, sdp: &'a Sdp, media: Option<&'a Media>) -> Finding {
    let Some(media) = media else { return finding };
    let setup = |lines: &'a [String]| lines.iter().find(|line| line.starts_with("setup:"));
    let finding = match (setup(&media.attributes), setup(&sdp.attributes)) {
        (Some(line), _) => return finding.claim(heard, "sdp.media_attr", line.clone(), role_in_dtls(heard)),
        (None, Some(line)) => return finding.claim(heard, "sdp.session_attr", line.clone(), role_in_dtls(heard)),
        (None, None) => finding,
    };
    // The key behind the suite is a secret.
    suites_as_sent(media).take(MOST_SUITES).fold(finding, |finding, suite| {
        finding.claim(heard, "sdp.crypto.crypto_suite", suite, format!("a suite of {}", heard.path.source))
    })
}
