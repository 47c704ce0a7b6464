use std::net::SocketAddr;
use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::answered_legs::AnsweredLeg;
use crate::diagnosis::media::candidates;
use crate::diagnosis::offers::{Exchange, asks_for_nothing};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::answer_malformed::{breaks_rfc_3264, names_media};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// The call was answered, and the answer left the caller nothing to speak over.
    ///
    /// ## What it says
    /// Offer and answer are as RFC 3264 allows, and yet the caller's side ended the call at once: every stream was
    /// refused with port 0, or stands at no address, or the caller's side says itself that it cannot use what was
    /// agreed on.
    ///
    /// ## Why it happens
    /// The side that answers has nothing in common with the offer and answers all the same, in place of 488; it answers
    /// before it has a media port; or the caller's side cannot do what it offered (a codec, a crypto suite, a
    /// transport).
    ///
    /// ## Evidence
    /// A BYE of the caller's side within two seconds of the answer, without a Reason or with one that speaks of media
    /// (Q.850 65, 79 or 88, SIP 415, 488 or 606), and: port 0 for every stream that was offered; or 0.0.0.0 as the
    /// address of every stream that was accepted; or that Reason, and for it an answer whose addresses are all of the
    /// other IP version than the offer's, or a word of the fingerprint. A BYE that follows at once and says nothing,
    /// behind an answer that can be used, tells nothing.
    ///
    /// ## How to fix
    /// Make both sides able to use one codec, profile and address. Let the side that cannot take a call refuse it (488)
    /// in place of answering: so the other one learns why, and nothing is billed.
    ///
    /// ## When it would be wrong
    /// Somebody may have hung up at once by chance. An answer that RFC 3264 forbids is `answer-malformed`, keys that do
    /// not fit are `media-keying-mismatch`; where the call goes on without audio, `stream-refused` holds. Behind a
    /// B2BUA each leg has an offer and an answer of its own: the innermost on which this holds is told, with who
    /// answered there.
    ///
    /// ## References
    /// RFC 3264 §6, §8.4; RFC 3261 §13.2.2.4; RFC 3326; RFC 6157 §4; RFC 5763 §5
    "D19" "answer-unusable" needs [ANSWERED BYE BODY], check
}

/// A BYE so soon after the answer is because of it.
const SOON: Duration = Duration::from_secs(2);

/// What is not usable about an answer.
enum Fault<'a> {
    /// Every stream was refused with port 0.
    Refused(&'a Media),
    /// What was accepted stands at no address.
    NoAddress(&'a str),
    /// What was accepted stands at addresses of the other IP version only, and the one who ended the call says so.
    OtherVersion(&'a str),
    /// The keys of the one who answered do not fit its fingerprint, as the one who ended the call says (RFC 5763 §5).
    Keys(&'a Heard),
    /// The one who ended the call says so.
    Said(&'a Heard),
}

/// True if the caller's side ended the call at once because of an answer like that.
pub(super) fn holds(case: &Case<'_>) -> bool {
    unusable(case).is_some()
}

/// What to do where a side refuses a stream.
pub(super) fn compare_abilities(who: SocketAddr) -> String {
    format!("Compare the codecs and the profile of the offer with what {who} allows.")
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let seen = unusable(case)?;
    let Unusable { exchange, bye, .. } = &seen;
    let offered = exchange.offer_sdp.media.first()?;
    let finding = Finding::of(&RULE, seen.confidence(case)).explains(case.call.final_status).drops_the_call();
    let finding = seen.blame(case, finding).because(seen.explanation(case));
    let finding = seen.steps(case).into_iter().fold(finding, Finding::fix);
    Some(
        seen.claim_fault(finding)
            .claim(exchange.offer, "sdp.media", offered.line.clone(), "the offer")
            .claim_method(bye, "the caller's side ends the call at once")
            .claim_header(bye, "Reason", "why, as its sender says")
            .refuted("no-common-codec", "the call was answered, not refused")
            .refuted("answer-malformed", "the answer is one that RFC 3264 allows"),
    )
}

/// A leg whose answer left nothing to speak over.
struct Unusable<'a> {
    leg: AnsweredLeg<'a>,
    exchange: Exchange<'a>,
    /// The BYE that ended it.
    bye: &'a Heard,
    fault: Fault<'a>,
}

impl<'a> Unusable<'a> {
    fn confidence(&self, case: &Case<'_>) -> Confidence {
        match self.fault {
            // It may also be an old way of holding the call from the start.
            Fault::NoAddress(_) if case.reasons(self.bye).is_empty() => Confidence::Possible,
            _ => Confidence::Likely,
        }
    }

    /// True if the offer came in the 2xx, and the answer in the ACK to it.
    fn is_late(&self) -> bool {
        self.exchange.answer.message.is_request()
    }

    /// The answer as its author sent it.
    fn written(&self, case: &Case<'a>) -> &'a Heard {
        if self.is_late() { self.exchange.answer } else { case.as_written(self.exchange.answer) }
    }

    /// The author of the answer is responsible, unless the one who ended the call cannot use what it offered itself.
    fn blame(&self, case: &Case<'a>, finding: Finding) -> Finding {
        match &self.fault {
            Fault::Said(bye) if !lacks_multiplexing(&self.exchange) => finding.sender(Role::Uac, bye),
            _ => finding.sender(if self.is_late() { Role::Uac } else { Role::Uas }, self.written(case)),
        }
    }

    fn explanation(&self, case: &Case<'a>) -> String {
        let who = self.written(case).path.source;
        let after = length(self.bye.place.time.since(self.leg.success.place.time));
        let ended = format!("{} ended the call {after} after it was answered.", self.bye.path.source);
        match &self.fault {
            Fault::Refused(media) => format!(
                "{who} refused every stream that was offered with port 0 ({:?}). Such an answer is legal, and leaves \
                 nothing to speak over: {ended}",
                media.line
            ),
            Fault::NoAddress(address) => format!(
                "{who} named {address} as the address of its media: that is legal and means hold, but at the start of \
                 a call nobody knows where to send. {ended}"
            ),
            Fault::OtherVersion(address) => format!(
                "{who} named {address} as the address of its media, and the offer has none of that version of IP: who \
                 has no other cannot send there. {ended}"
            ),
            Fault::Keys(bye) => format!(
                "{ended} Its BYE says why ({}): the DTLS certificate for the media is not the one that the \
                 description of {who} names.",
                bye.message.header("Reason").unwrap_or_default()
            ),
            Fault::Said(bye) => format!(
                "{ended} Its BYE says why ({}): it cannot use what was agreed on ({:?}), although the answer fits the \
                 offer.{}",
                bye.message.header("Reason").unwrap_or_default(),
                self.exchange.answer_sdp.media.first().map(|media| media.line.as_str()).unwrap_or_default(),
                if lacks_multiplexing(&self.exchange) { NOT_MULTIPLEXED } else { "" }
            ),
        }
    }

    /// What to do, most likely first.
    fn steps(&self, case: &Case<'a>) -> Vec<String> {
        let who = self.written(case).path.source;
        let cure = match &self.fault {
            Fault::Refused(_) => compare_abilities(who),
            Fault::NoAddress(_) => format!(
                "Let {who} name the address of its media when it answers: its media server may not be ready so soon."
            ),
            Fault::OtherVersion(_) => format!(
                "Let {who} answer with an address of the version that is offered, or relay the media between the two."
            ),
            Fault::Keys(_) => format!(
                "Compare a=fingerprint in the answer of {who} with the certificate that is shown for its media; a \
                 media server between the two may show one of its own."
            ),
            Fault::Said(_) if lacks_multiplexing(&self.exchange) => {
                format!("Let {who} answer with a=rtcp-mux (Asterisk: `rtcp_mux=yes`, or `webrtc=yes`).")
            }
            Fault::Said(_) => format!(
                "Look at {} for what it cannot use of its own offer: a codec, packet time, crypto suite or transport \
                 that it names and does not really have.",
                self.bye.path.source
            ),
        };
        // Who was offered something in the answer has no other way to say no (RFC 3261 §13.2.2.4).
        match self.fault {
            Fault::Refused(_) if !self.is_late() => vec![
                cure,
                format!(
                    "Let {who} refuse such a call with 488 in place of answering it: so the other side learns why."
                ),
            ],
            _ => vec![cure],
        }
    }

    fn claim_fault(&self, finding: Finding) -> Finding {
        let answer = self.exchange.answer;
        let address = "sdp.connection_info.address";
        match self.fault {
            Fault::Refused(media) => finding.claim(answer, "sdp.media", media.line.clone(), "refused with port 0"),
            Fault::NoAddress(none) => finding.claim(answer, address, none, "no address for the media"),
            Fault::OtherVersion(other) => {
                finding.claim(answer, address, other, "an address of the other version of IP")
            }
            Fault::Keys(_) | Fault::Said(_) => finding,
        }
    }
}

/// What is wrong besides where [`lacks_multiplexing`].
const NOT_MULTIPLEXED: &str = " The offer wants RTP and RTCP on one port (a=rtcp-mux) and the answer does not agree: \
                               browsers take no such answer.";

/// On the innermost leg on which it holds: a B2BUA may pass on what it was answered there.
fn unusable<'a>(case: &Case<'a>) -> Option<Unusable<'a>> {
    case.answered_legs().into_iter().rev().find_map(|leg| unusable_on(case, leg))
}

fn unusable_on<'a>(case: &Case<'a>, leg: AnsweredLeg<'a>) -> Option<Unusable<'a>> {
    let bye = case.bye_on(&leg)?;
    if bye.place.time.since(leg.success.place.time) > SOON || case.side(bye) != Side::Caller {
        return None; // So are most calls, and their descriptions need not be read.
    }
    let says = !case.reasons(bye).is_empty();
    if says && !names_media(case, bye) {
        return None;
    }
    let is_cut = |heard: &Heard| heard.message.is_cut();
    let exchange = case.exchanges_on(leg.call_id).into_iter().rfind(|one| one.answer.place < bye.place)?;
    if is_cut(exchange.offer) || is_cut(exchange.answer) || asks_for_nothing(exchange.offer_sdp) {
        return None;
    }
    if breaks_rfc_3264(exchange.offer_sdp, exchange.answer_sdp).is_some() {
        return None; // answer-malformed, or the answer to an offer that came late.
    }
    let accepted: Vec<&Media> = exchange.answer_sdp.media.iter().filter(|media| media.port != 0).collect();
    let fault = match accepted.first() {
        None => Fault::Refused(exchange.answer_sdp.media.first()?),
        Some(first) => {
            let nowhere = |media: &&Media| exchange.answer_sdp.is_without_address(media);
            let is_offered =
                exchange.offer_sdp.media.iter().any(|media| exchange.offer_sdp.direction_of(media) == "sendrecv");
            // Who asked for an offer, names no address in its ACK and ends the call gives it up of its own will (RFC
            // 3725).
            let gives_up = exchange.answer.message.is_request();
            match accepted.iter().all(nowhere) && is_offered && !gives_up {
                true => Fault::NoAddress(exchange.answer_sdp.address_of(first)),
                // Of what a B2BUA only passes on from the leg on which the call ended, it says nothing itself.
                false => said(case, &exchange, Some(bye).filter(|_| says && is_first(case, bye))?),
            }
        }
    };
    Some(Unusable { leg, exchange, bye, fault })
}

/// True if a BYE is the one with which the call began to end.
fn is_first(case: &Case<'_>, bye: &Heard) -> bool {
    case.first_bye().is_some_and(|first| first.request.id == bye.id)
}

/// What the one who ended the call and says why cannot use.
fn said<'a>(case: &Case<'a>, exchange: &Exchange<'a>, bye: &'a Heard) -> Fault<'a> {
    if case.says_any(bye, &["fingerprint"]) {
        return Fault::Keys(bye);
    }
    let has_six = |sdp: &'a Sdp| {
        let accepted = sdp.media.iter().filter(|media| media.port != 0);
        accepted
            .map(|media| sdp.address_of(media))
            .filter(|address| !address.is_empty())
            .map(|address| address.contains(':'))
    };
    // Candidates of ICE may name addresses of both versions.
    let uses_ice = [exchange.offer_sdp, exchange.answer_sdp].iter().any(|sdp| !candidates(sdp).is_empty());
    let offered: Vec<bool> = has_six(exchange.offer_sdp).collect();
    let is_other = !offered.is_empty() && has_six(exchange.answer_sdp).all(|six| !offered.contains(&six));
    let first = exchange
        .answer_sdp
        .media
        .iter()
        .find(|media| media.port != 0)
        .map(|media| exchange.answer_sdp.address_of(media));
    match first.filter(|address| is_other && !uses_ice && !address.is_empty()) {
        Some(address) => Fault::OtherVersion(address),
        None => Fault::Said(bye),
    }
}

/// True if an offer of a browser, with its keys by DTLS, wants RTCP on the port of RTP, and the answer does not say yes
/// (RFC 5761 §5.1.1; RFC 8834 §4.5).
fn lacks_multiplexing(exchange: &Exchange<'_>) -> bool {
    let multiplexes = |media: &&Media| media.attributes.iter().any(|attribute| attribute.trim() == "rtcp-mux");
    let wants = |media: &&Media| media.protocol.contains("TLS") && media.port != 0 && multiplexes(media);
    exchange.offer_sdp.media.iter().any(|media| wants(&media))
        && !exchange.answer_sdp.media.iter().any(|media| multiplexes(&media))
}
