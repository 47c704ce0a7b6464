use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::Sdp;

rule! {
    /// The callee's side does not take an INVITE without an offer.
    ///
    /// ## What it says
    /// The INVITE carries no session description: the callee's side should make the offer, and refused instead.
    ///
    /// ## Why it happens
    /// Some exchanges send INVITEs without an offer (delayed or late offer), and some gateways and carriers do not
    /// accept that, although RFC 3261 demands it.
    ///
    /// ## Evidence
    /// An INVITE without SDP, answered with 400, 415, 488, 500 or 606. Or it was answered with 2xx, and the description
    /// that then has to come is missing: the offer in the 2xx, or the answer in the ACK. It is proven where phrase or
    /// Warning say that it is the missing offer that is refused.
    ///
    /// ## How to fix
    /// Enable early offer on the caller's side (in Cisco CUCM: "Early Offer support" or an MTP), or delayed offer on
    /// the callee's.
    ///
    /// ## When it would be wrong
    /// A 400 or 500 may have another reason, and so has a refusal whose words speak of codecs, ports or licences: who
    /// could not make an offer of its own takes such an INVITE. If the capture cut the message, the body may have been
    /// there.
    ///
    /// ## References
    /// RFC 3261 §13.2.1, §14.2; RFC 6337 §2.2
    "D8" "late-offer-unsupported" needs [ANSWERED] [400 415 488 500 606], check
}

/// A BYE this soon after the answer shows that a side could do nothing with the call.
const SOON: Duration = Duration::from_secs(5);

/// Words of a refusal that miss the offer.
const OF_OFFERS: &[&str] = &["sdp", "offer", "session description", "media", "no body"];

/// Words of a refusal that say that it is the missing offer that is refused.
const OF_NO_OFFER: &[&str] = &[
    "without sdp",
    "without an sdp",
    "without offer",
    "without an offer",
    "no sdp",
    "no offer",
    "missing sdp",
    "missing offer",
    "sdp missing",
    "offer missing",
    "sdp required",
    "offer required",
    "late offer",
    "delayed offer",
];

/// Beginnings of words of another ground: what it can send itself, what it lacks for that, or that it tried.
const OF_OWN_OFFER: &[&str] = &[
    "codec",
    "pcm",
    "g711",
    "g729",
    "g722",
    "amr",
    "opus",
    "licen",
    "port",
    "resource",
    "dsp",
    "transcod",
    "bandwidth",
    "srtp",
    "encrypt",
    "crypto",
    "own",
    "our",
    "creat",
    "generat",
    "build",
    "alloc",
];

/// True if a refusal says that it is the missing offer that is refused: not that there is none of some codec.
fn misses_offer(case: &Case<'_>, response: &Heard) -> bool {
    let said = case.words(response);
    OF_NO_OFFER.iter().any(|words| {
        let mut after = said.match_indices(words).map(|(at, _)| said.get(at + words.len()..).unwrap_or_default());
        after.any(|rest| !rest.starts_with(" of ") && !rest.starts_with(" with "))
    })
}

/// True if a refusal speaks of what its sender could offer itself: who tries that takes an INVITE without an offer.
fn speaks_of_own_offer(case: &Case<'_>, response: &Heard) -> bool {
    let said = case.words(response);
    let mut words = said.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| OF_OWN_OFFER.iter().any(|known| word.starts_with(known)))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    refused(case).or_else(|| answered_without(case))
}

/// The call was answered, and the offer in the 2xx or the answer in its ACK is missing: nobody can hear anything.
fn answered_without(case: &Case<'_>) -> Option<Finding> {
    let (invite, success) = case.answer()?;
    let request = case.call.request_of(invite).filter(|request| request.message.body().is_empty())?;
    let ack = case.acks_to(success).find(|ack| ack.path.source.ip() == request.path.source.ip())?;
    let has_offer = Sdp::of(&success.message).is_some();
    let silent = [request, success, ack].into_iter().filter(|heard| heard.id != success.id || !has_offer);
    if silent.clone().any(|heard| heard.message.is_cut() || !heard.message.body().is_empty()) {
        return None;
    }
    // A description may have gone in a reliable provisional response and its PRACK, or later (RFC 3262 §5, RFC 3311).
    let describes = |heard: &&Heard| Sdp::of(&heard.message).is_some();
    let caller = request.path.source.ip();
    let elsewhere =
        case.call.messages.iter().filter(describes).any(|heard| !has_offer || heard.path.source.ip() == caller);
    let bye = case.first_bye().map(|bye| bye.request);
    let soon = bye.is_some_and(|bye| bye.place.time.since(success.place.time) <= SOON);
    if elsewhere || (!has_offer && !soon) {
        return None;
    }
    let (client, server) = (request.path.source, success.path.source);
    let (missing, culprit, role) = match has_offer {
        true => ("the answer is missing in the ACK", ack, Role::Uac),
        false => ("the 2xx makes no offer either", success, Role::Uas),
    };
    let end = bye.filter(|_| soon).map(|bye| {
        format!(
            " {} ended the call {} after the answer.",
            bye.path.source,
            length(bye.place.time.since(success.place.time))
        )
    });
    // A call that goes on all the same may have got its descriptions past the capture.
    let finding = match soon {
        true => Finding::of(&RULE, Confidence::Likely).explains(success.message.status()).drops_the_call(),
        false => Finding::of(&RULE, Confidence::Possible).about(success.message.status()?),
    };
    let finding = finding
        .sender(role, culprit)
        .because(format!(
            "The INVITE of {client} carries no session description (late offer), and {missing}: neither side knows \
             where to send its media.{}",
            end.unwrap_or_default()
        ))
        .fix(format!("Let {client} put its offer into the INVITE (early offer)."));
    let finding = match has_offer {
        true => finding.fix(format!(
            "Have the software of {client} mended: the answer to an offer in a 2xx belongs into its ACK."
        )),
        false => finding.fix(format!("Have {server} make an offer in its 2xx, as RFC 3261 §13.2.1 demands.")),
    };
    let finding = finding
        .claim_method(request, "the INVITE")
        .claim_absent(request.place, "a session description in this INVITE", "its body is empty")
        .claim_status(success, if has_offer { "the answer, with an offer" } else { "the answer" })
        .claim_absent(culprit.place, "a session description in this message", "its body is empty");
    Some(match bye.filter(|_| soon) {
        Some(bye) => finding.claim_method(bye, "the call is given up"),
        None => finding,
    })
}

fn refused(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[400, 415, 488, 500, 606])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    if request.message.is_cut() || Sdp::of(&request.message).is_some() || !request.message.body().is_empty() {
        return None;
    }
    let fits = matches!(case.code(failure), 415 | 488 | 606);
    let speaks_of_own = speaks_of_own_offer(case, response);
    let says_so = case.says_any(response, OF_OFFERS) && !speaks_of_own;
    let confidence = match (misses_offer(case, response), fits || says_so) {
        (true, _) if !speaks_of_own => Confidence::Proven,
        (_, true) if !speaks_of_own => Confidence::Likely,
        _ => Confidence::Possible,
    };
    if !fits && !says_so && case.quotation(response).is_some() {
        return None; // It says what it means, and that is something else.
    }
    let server = response.path.source;
    let has_none = |before: &Heard| !before.message.is_cut() && before.message.body().is_empty();
    let request = case.first_with(request, has_none);
    Some(
        Finding::of(&RULE, confidence)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "The INVITE of {} carries no session description (late offer), and {server} answered {} instead of \
                 making an offer itself.",
                request.path.source, failure.status
            ))
            .fix(format!("Let {} put its offer into the INVITE (early offer).", request.path.source))
            .fix(format!("Or let {server} accept INVITEs without an offer, as RFC 3261 §13.2.1 demands."))
            .claim_method(request, "the INVITE")
            .claim_absent(request.place, "a session description in this INVITE", "its body is empty")
            .claim_status(response, "refused")
            .claim_own_words(case, response)
            .refuted("no-common-codec", "no codec was offered at all"),
    )
}
