use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::offers::Exchange;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Severity};
use crate::sip::sdp::Sdp;
use crate::sip::{Method, StatusCode};

rule! {
    /// The call stayed on hold until its end.
    ///
    /// ## What it says
    /// The call was put on hold, and the media were never switched on again in both directions before it ended.
    ///
    /// ## Why it happens
    /// The resume was refused or lost, or was answered with the direction of the hold; or the one who held forgot the
    /// caller.
    ///
    /// ## Evidence
    /// The last description in force says `sendonly`, `recvonly`, `inactive` or `c=0.0.0.0` where an earlier one said
    /// `sendrecv`, and the BYE came at least five seconds later.
    ///
    /// ## How to fix
    /// If a resume was tried, look at how it was answered. An answer to `sendrecv` may say `sendrecv` again.
    ///
    /// ## When it would be wrong
    /// The held party may just have hung up while it heard music. A holder that asks for an offer and answers it with
    /// `sendonly` connects its music, and does not resume.
    ///
    /// ## References
    /// RFC 3264 §8.4, §6.1; RFC 6337 §5.3
    "G5" "hold-stuck" needs [BYE], check
}

/// A hold that lasts this long until the end of the call.
const LONG: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let transferred = case.asked(&Method::Refer).next().is_some();
    let bye = case.first_bye()?.request;
    case.that_may_offer().nth(1)?; // What is put on hold was open before.
    let exchanges: Vec<Exchange<'_>> =
        case.exchanges().into_iter().filter(|one| one.answer.place < bye.place && has_audio(one.offer_sdp)).collect();
    let last = exchanges.last()?;
    let began = exchanges.iter().position(is_held)?;
    let was_open = exchanges.iter().take(began).any(|one| !is_held(one));
    let held_since = exchanges.iter().rposition(|one| !is_held(one)).map_or(began, |open| open + 1);
    let first = exchanges.get(held_since)?;
    let lasted = bye.place.time.since(first.answer.place.time);
    if transferred || !was_open || !is_held(last) || lasted < LONG {
        return None;
    }
    let refused = case.asked_first(&Method::Invite).find_map(|asked| {
        let refusal = case.call.final_of(asked.transaction)?;
        let is_refused = refusal.message.status().is_some_and(StatusCode::is_failure);
        let resumes = Sdp::of(&asked.request.message).is_some_and(|sdp| !is_closed(sdp));
        (asked.transaction.in_dialog && asked.request.place > first.answer.place && is_refused && resumes)
            .then_some((asked.request, refusal))
    });
    let held_by = held_by(first);
    let holder = held_by.path.source;
    // Who holds may ask for an offer, and connect the music in its answer: that is no resume.
    let by_holder = last.answer.path.source.ip() == holder.ip();
    // Both sides may hold; then the answer to one that resumes rightly has the direction of the other's hold.
    let is_held_twice = exchanges
        .iter()
        .skip(held_since)
        .any(|one| is_closed(one.offer_sdp) && one.offer.path.source.ip() != holder.ip());
    let is_wrong_answer = !is_closed(last.offer_sdp) && is_closed(last.answer_sdp) && !by_holder && !is_held_twice;
    let confidence = if refused.is_some() || is_wrong_answer { Confidence::Likely } else { Confidence::Possible };
    let why = match (refused, is_wrong_answer) {
        (Some((_, refusal)), _) => format!(
            " A resume was tried and refused with {}.",
            refusal.message.status().map(|status| status.to_string()).unwrap_or_default()
        ),
        (None, true) => format!(
            " The last offer says sendrecv, and the answer of {} still has the direction of the hold.",
            last.answer.path.source
        ),
        (None, false) if is_held_twice => " Both sides held it, and one of them did not resume.".to_owned(),
        (None, false) => " No resume was tried: it was forgotten, got lost, or the held party gave up.".to_owned(),
    };
    // Who hangs up on hold does nothing wrong; a resume that does not work is a fault.
    let severity = if confidence == Confidence::Likely { Severity::Warning } else { Severity::Info };
    // Who refuses a resume, or answers it so, keeps the call on hold; who sent it did what it should. After a 491 it is
    // for the sender to try again (RFC 3261 §14.1).
    let is_glare = |refusal: &Heard| refusal.message.status() == StatusCode::new(491);
    let (blamed, role) = match refused {
        Some((request, refusal)) if !is_glare(refusal) => (refusal, case.role_of_asked(request)),
        None if is_wrong_answer => (last.answer, case.role_of_asked(last.offer)),
        _ => (held_by, case.role_of_author(held_by)),
    };
    let mut finding = Finding::of(&RULE, confidence)
        .severity(severity)
        .sender(role, blamed)
        .because(format!(
            "{holder} put the call on hold, and it stayed so for {} until the BYE of {}.{why}",
            length(lasted),
            bye.path.source
        ))
        .claim_header(first.offer, "CSeq", "the request that put the call on hold");
    finding = claim_direction(finding, first);
    if let Some((request, refusal)) = refused {
        finding = finding
            .fix(match is_glare(refusal) {
                true => format!(
                    "Let {} try the resume again after the 491, at the times of RFC 3261 §14.1.",
                    request.path.source
                ),
                false => format!("Look at {} for why it refuses a resume in a running call.", refusal.path.source),
            })
            .claim_method(request, "the resume")
            .claim_status(refusal, "refused");
    } else if is_wrong_answer {
        finding = finding
            .fix(format!(
                "Look at {}: it should switch the media on again when it is offered sendrecv.",
                last.answer.path.source
            ))
            .claim_method(last.offer, "the resume")
            .claim_status(last.answer, "answered with the direction of the hold");
    } else {
        finding = finding.fix("See whether the resume was sent; it may get lost, or never be asked for.");
    }
    Some(
        finding
            .claim_method(bye, "the end of the call, still on hold")
            .refuted("one-way-media", "the direction was agreed on"),
    )
}

/// The message that put the call on hold: the offer if it says so, else its answer.
fn held_by<'a>(one: &Exchange<'a>) -> &'a Heard {
    if is_closed(one.offer_sdp) { one.offer } else { one.answer }
}

fn claim_direction(finding: Finding, one: &Exchange<'_>) -> Finding {
    let (heard, sdp) = if is_closed(one.offer_sdp) { (one.offer, one.offer_sdp) } else { (one.answer, one.answer_sdp) };
    let audio = sdp.media.iter().find(|media| media.kind == "audio").filter(|media| sdp.is_without_address(media));
    match audio.map(|media| sdp.address_of(media).to_owned()) {
        Some(address) => finding.claim(heard, "sdp.connection_info.address", address, "no address for media: on hold"),
        None => finding.claim_method(heard, "its description has the direction of a hold"),
    }
}

fn has_audio(sdp: &Sdp) -> bool {
    sdp.media.iter().any(|media| media.kind == "audio" && media.port != 0)
}

fn is_held(one: &Exchange<'_>) -> bool {
    is_closed(one.offer_sdp) || is_closed(one.answer_sdp)
}

/// True if a description does not let audio through in both directions.
fn is_closed(sdp: &Sdp) -> bool {
    let Some(media) = sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0) else { return false };
    sdp.flow_of(media) != "sendrecv"
}
