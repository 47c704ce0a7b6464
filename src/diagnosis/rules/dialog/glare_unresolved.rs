use std::time::Duration;

use crate::call::{Heard, Transaction};
use crate::diagnosis::dialogs::from_tag;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::times;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::Sdp;
use crate::sip::{Method, StatusCode};

rule! {
    /// Both sides wanted to change the call at once, and nobody tried again.
    ///
    /// ## What it says
    /// A re-INVITE or UPDATE was refused with 491, because another change was under way, and was not tried again: the
    /// change did not happen.
    ///
    /// ## Why it happens
    /// A sender that takes 491 for a final refusal, or retry timers that are the same on both sides.
    ///
    /// ## Evidence
    /// A 491 to a request that changes the call, no later one from the same side, and no change of the other side that
    /// did the same; and the call went on for the four seconds in which the retry is due.
    ///
    /// ## How to fix
    /// Let the sender try again after the times of RFC 3261 §14.1: 2.1 to 4 s for the side that owns the Call-ID, 0 to
    /// 2 s for the other.
    ///
    /// ## When it would be wrong
    /// If the other side's change made it needless in a way that the descriptions do not show.
    ///
    /// ## References
    /// RFC 3261 §14.1, §14.2; RFC 5407 §3.3.1
    "C9" "glare-unresolved" needs [IN_DIALOG FAILURE], check
}

/// The longest wait before the retry (RFC 3261 §14.1). A call that ends sooner leaves none due.
const DUE: Duration = Duration::from_secs(4);
/// Refusals of one side that show timers which do not part, however soon the call ends after the last.
const MANY: usize = 3;

fn check(case: &Case<'_>) -> Option<Finding> {
    let (transaction, request, response) = glares(case).find(|glare| is_unresolved(case, glare))?;
    let method = &transaction.method;
    let side = request.path.source;
    let of_side = glares(case).filter(|(_, other, _)| other.path.source.ip() == side.ip()).count();
    let again = match of_side {
        1 => String::new(),
        more => format!(" ({} in this call)", times(u32::try_from(more).unwrap_or(u32::MAX))),
    };
    let crossed = match crossing(case, request, response) {
        Some(_) => "crossed a change of the other side and was refused with 491",
        None => "was refused with 491, which says that another change is under way (the capture shows none)",
    };
    let mut finding = Finding::of(&RULE, Confidence::Likely)
        .about(response.message.status()?)
        .severity(Severity::Warning)
        .sender(Role::Uac, request)
        .because(format!(
            "The {method} of {side} {crossed}{again}, and it was not tried again: the change that it asked for did \
             not happen."
        ))
        .fix(format!("Let {side} try again after 491, at the times of RFC 3261 §14.1."))
        .claim_method(request, "a change of the call")
        .claim_status(response, "another change is under way, says the other side");
    if let Some(other) = crossing(case, request, response) {
        finding = finding.claim_method(other, "the change of the other side");
    }
    Some(finding.claim_absent(response.place, format!("another {method} of this side"), "it is not tried again"))
}

/// A request that changes a call, with its transaction and the 491 that it got.
pub(crate) type Glare<'a> = (&'a Transaction, &'a Heard, &'a Heard);

/// The requests that change a call and got 491, in order.
pub(crate) fn glares<'a>(case: &Case<'a>) -> impl Iterator<Item = Glare<'a>> {
    changes(case).filter(|transaction| transaction.upstream.is_none()).filter_map(move |transaction| {
        let request = case.call.request_of(transaction)?;
        let response =
            case.finals(transaction).find(|heard| heard.message.status().map(StatusCode::get) == Some(491))?;
        Some((transaction, request, response))
    })
}

/// True if the same side asked again and was accepted.
pub(crate) fn is_retried<'a>(case: &Case<'a>, refused: &'a Transaction) -> bool {
    later_of_side(case, refused).any(|later| case.call.final_status_of(later).is_some_and(StatusCode::is_success))
}

/// True if nobody tried again although it was due, and the change did not come about otherwise.
pub(crate) fn is_unresolved<'a>(case: &Case<'a>, glare: &Glare<'a>) -> bool {
    let (transaction, request, response) = *glare;
    let bye = case.first_bye().map(|bye| bye.request).filter(|bye| bye.place > response.place);
    let went_on = bye.map_or_else(|| case.tail(response.place), |bye| bye.place.time.since(response.place.time));
    let source = transaction.path.source.ip();
    let refused = glares(case).filter(|(other, ..)| other.path.source.ip() == source).count();
    let was_due = went_on >= DUE || bye.is_some() && refused >= MANY;
    let is_last = later_of_side(case, transaction).next().is_none();
    was_due && is_last && !is_needless(case, request) && !case.lacks_requests_after(request, response.place)
}

/// Requests that change a call.
fn changes<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Transaction> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| transaction.in_dialog && matches!(transaction.method, Method::Invite | Method::Update))
}

/// Later changes of the same side; of one whose request was not captured the address alone tells.
fn later_of_side<'a>(case: &Case<'a>, refused: &'a Transaction) -> impl Iterator<Item = &'a Transaction> {
    let (id, source) = (refused.id, refused.path.source.ip());
    let tag = case.call.request_of(refused).and_then(from_tag);
    changes(case).filter(move |later| {
        let is_own = case.call.request_of(later).is_none_or(|request| from_tag(request) == tag);
        later.id > id && later.path.source.ip() == source && is_own
    })
}

/// Changes of the other side in the same dialog, with their final responses.
fn of_other_side<'a>(case: &Case<'a>, request: &'a Heard) -> impl Iterator<Item = (&'a Heard, Option<&'a Heard>)> {
    changes(case).filter_map(move |other| Some((case.call.request_of(other)?, case.finals(other).last()))).filter(
        move |(other, _)| other.message.call_id() == request.message.call_id() && from_tag(other) != from_tag(request),
    )
}

/// The change of the other side that was under way when this one was refused.
fn crossing<'a>(case: &Case<'a>, request: &'a Heard, response: &Heard) -> Option<&'a Heard> {
    let is_under_way = |answer: &Heard| answer.place > request.place;
    let mut others = of_other_side(case, request);
    others.find(|(other, last)| other.place < response.place && last.is_none_or(is_under_way)).map(|(other, _)| other)
}

/// True if the other side was granted since then what this change asked for. A request that changes nothing of the
/// media refreshes the session, and so does each that is accepted (RFC 4028 §7.4).
fn is_needless<'a>(case: &Case<'a>, request: &'a Heard) -> bool {
    let is_refresh = !case.changes_media(request);
    of_other_side(case, request).any(|(other, last)| {
        let is_granted = last.is_some_and(|last| {
            last.place > request.place && last.message.status().is_some_and(StatusCode::is_success)
        });
        is_granted && (is_refresh || asks_for_the_same(request, other))
    })
}

/// True if two offers want the same streams in both directions: fax, video, an end of the hold.
fn asks_for_the_same(one: &Heard, other: &Heard) -> bool {
    let kinds = |heard: &Heard| {
        let sdp = Sdp::of(&heard.message)?;
        let active = || sdp.media.iter().filter(|media| media.port != 0);
        let is_open = active().all(|media| sdp.direction_of(media) == "sendrecv");
        is_open.then(|| active().map(|media| media.kind.clone()).collect::<Vec<_>>())
    };
    kinds(one).is_some_and(|wanted| kinds(other) == Some(wanted))
}
