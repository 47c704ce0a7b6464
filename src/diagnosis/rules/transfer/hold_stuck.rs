use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::offers::Exchange;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
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
    let hold = Hold::of(case)?;
    let resume = Resume::of(case, &hold);
    let confidence = match resume {
        Resume::Refused { .. } | Resume::AnsweredClosed => Confidence::Likely,
        Resume::Missing => Confidence::Possible,
    };
    // Who hangs up on hold does nothing wrong; a resume that does not work is a fault.
    let severity = if confidence == Confidence::Likely { Severity::Warning } else { Severity::Info };
    let (role, blamed) = resume.blamed(case, &hold);
    let finding = Finding::of(&RULE, confidence)
        .severity(severity)
        .sender(role, blamed)
        .because(format!(
            "{} put the call on hold, and it stayed so for {} until the BYE of {}.{}",
            hold.by.path.source,
            length(hold.lasted),
            hold.bye.path.source,
            resume.told(&hold)
        ))
        .fix(resume.cure(&hold))
        .claim_header(hold.first.offer, "CSeq", "the request that put the call on hold");
    let finding = resume.claim(claim_direction(finding, &hold.first), &hold);
    Some(
        finding
            .claim_method(hold.bye, "the end of the call, still on hold")
            .refuted("one-way-media", "the direction was agreed on"),
    )
}

/// A hold that lasted until the end of the call.
struct Hold<'a> {
    /// The exchange that put the call on hold.
    first: Exchange<'a>,
    /// The one in force at the end.
    last: Exchange<'a>,
    /// The message that put the call on hold.
    by: &'a Heard,
    /// True if the other side held it, too.
    is_twice: bool,
    bye: &'a Heard,
    /// From the first exchange to the BYE.
    lasted: Duration,
}

impl<'a> Hold<'a> {
    fn of(case: &Case<'a>) -> Option<Hold<'a>> {
        let transferred = case.asked(&Method::Refer).next().is_some();
        let bye = case.first_bye()?.request;
        case.that_may_offer().nth(1)?; // What is put on hold was open before.
        let mut exchanges = case.exchanges();
        exchanges.retain(|one| one.answer.place < bye.place && has_audio(one.offer_sdp));
        let last = exchanges.last()?;
        let began = exchanges.iter().position(is_held)?;
        let was_open = exchanges.iter().take(began).any(|one| !is_held(one));
        let held_since = exchanges.iter().rposition(|one| !is_held(one)).map_or(began, |open| open + 1);
        let first = exchanges.get(held_since)?;
        let lasted = bye.place.time.since(first.answer.place.time);
        // The resume may be among what the capture lacks of either side.
        let may_be_open = [bye, last.offer].iter().any(|request| case.lacks_requests_after(request, last.answer.place));
        if transferred || !was_open || !is_held(last) || lasted < LONG || may_be_open {
            return None;
        }
        let by = held_by(first);
        let is_of_other =
            |one: &Exchange<'_>| is_closed(one.offer_sdp) && one.offer.path.source.ip() != by.path.source.ip();
        let is_twice = exchanges.iter().skip(held_since).any(is_of_other);
        Some(Hold { first: first.clone(), last: last.clone(), by, is_twice, bye, lasted })
    }
}

/// What became of the resume.
enum Resume<'a> {
    /// It was refused.
    Refused { request: &'a Heard, refusal: &'a Heard },
    /// It was answered with the direction of the hold.
    AnsweredClosed,
    /// None was tried.
    Missing,
}

impl<'a> Resume<'a> {
    fn of(case: &Case<'a>, hold: &Hold<'a>) -> Resume<'a> {
        let refused = case.asked_first(&Method::Invite).find_map(|asked| {
            let refusal = case.call.final_of(asked.transaction)?;
            let is_refused = refusal.message.status().is_some_and(StatusCode::is_failure);
            let resumes = Sdp::of(&asked.request.message).is_some_and(|sdp| !is_closed(sdp));
            let is_inside = asked.transaction.in_dialog && asked.request.place > hold.first.answer.place;
            (is_inside && is_refused && resumes).then_some(Resume::Refused { request: asked.request, refusal })
        });
        let last = &hold.last;
        // Who holds may ask for an offer, and connect the music in its answer: that is no resume.
        let by_holder = last.answer.path.source.ip() == hold.by.path.source.ip();
        // Both sides may hold; then the answer to one that resumes rightly has the direction of the other's hold.
        let is_wrong_answer = !is_closed(last.offer_sdp) && is_closed(last.answer_sdp) && !by_holder && !hold.is_twice;
        refused.unwrap_or(if is_wrong_answer { Resume::AnsweredClosed } else { Resume::Missing })
    }

    /// Who refuses a resume, or answers it so, keeps the call on hold; who sent it did what it should. After a 491 it
    /// is for the sender to try again (RFC 3261 §14.1).
    fn blamed(&self, case: &Case<'_>, hold: &Hold<'a>) -> (Role, &'a Heard) {
        match *self {
            Resume::Refused { request, refusal } if !is_glare(refusal) => (case.role_of_asked(request), refusal),
            Resume::AnsweredClosed => (case.role_of_asked(hold.last.offer), hold.last.answer),
            _ => (case.role_of_author(hold.by), hold.by),
        }
    }

    /// The sentence about it.
    fn told(&self, hold: &Hold<'_>) -> String {
        match self {
            Resume::Refused { refusal, .. } => format!(
                " A resume was tried and refused with {}.",
                refusal.message.status().map(|status| status.to_string()).unwrap_or_default()
            ),
            Resume::AnsweredClosed => format!(
                " The last offer says sendrecv, and the answer of {} still has the direction of the hold.",
                hold.last.answer.path.source
            ),
            Resume::Missing if hold.is_twice => " Both sides held it, and one of them did not resume.".to_owned(),
            Resume::Missing => {
                " No resume was tried: it was forgotten, got lost, or the held party gave up.".to_owned()
            }
        }
    }

    fn cure(&self, hold: &Hold<'_>) -> String {
        match self {
            Resume::Refused { request, refusal } if is_glare(refusal) => format!(
                "Let {} try the resume again after the 491, at the times of RFC 3261 §14.1.",
                request.path.source
            ),
            Resume::Refused { refusal, .. } => {
                format!("Look at {} for why it refuses a resume in a running call.", refusal.path.source)
            }
            Resume::AnsweredClosed => format!(
                "Look at {}: it should switch the media on again when it is offered sendrecv.",
                hold.last.answer.path.source
            ),
            Resume::Missing => "See whether the resume was sent; it may get lost, or never be asked for.".to_owned(),
        }
    }

    fn claim(&self, finding: Finding, hold: &Hold<'_>) -> Finding {
        match self {
            Resume::Refused { request, refusal } => {
                finding.claim_method(request, "the resume").claim_status(refusal, "refused")
            }
            Resume::AnsweredClosed => finding
                .claim_method(hold.last.offer, "the resume")
                .claim_status(hold.last.answer, "answered with the direction of the hold"),
            Resume::Missing => finding,
        }
    }
}

/// True of a 491: both sides asked for a change at once.
fn is_glare(refusal: &Heard) -> bool {
    refusal.message.status() == StatusCode::new(491)
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
