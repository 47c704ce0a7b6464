use std::time::Duration;

use crate::call::{Heard, Transaction, timer};
use crate::capture::Place;
use crate::diagnosis::branches::{TIMEOUTS, Waited};
use crate::diagnosis::case::ENOUGH_COPIES;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::Method;

rule! {
    /// The responses come back, and the sender of the request ignores them.
    ///
    /// ## What it says
    /// A request is answered and repeated all the same: the response differs from the request in a field by which it
    /// must be matched, so its receiver throws it away.
    ///
    /// ## Why it happens
    /// The responder, or something on the way, changes the branch or sent-by of Via, the CSeq or the From tag.
    ///
    /// ## Evidence
    /// Two or more copies of a request after its first response, and a response with the same Call-ID whose branch,
    /// sent-by, CSeq or From tag is not that of the request. Behind a proxy that made a 408 or 504, such responses right
    /// after three copies and more: that is likely.
    ///
    /// ## How to fix
    /// Compare the field that differs at the responder itself: if it is right there, look at what lies between.
    ///
    /// ## When it would be wrong
    /// If the field is right, the responses get lost behind the capture: `return-path-lost`.
    ///
    /// ## References
    /// RFC 3261 §17.1.3, §18.1.2, §8.2.6.2
    "B9" "response-ignored" needs [REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (ignored, sure) = match ignored(case) {
        Some(ignored) => (ignored, Confidence::Proven),
        // Behind a proxy another branch may have gone the same way, unseen.
        None => (ignored_behind(case)?, Confidence::Likely),
    };
    let difference = ignored.difference?;
    let (request, response) = (ignored.request, ignored.response);
    Some(
        Finding::of(&RULE, sure)
            .explains(case.call.final_status)
            .sender(Role::Uas, response)
            .because(format!(
                "{} answered the {} of {}, which went on repeating it ({} copies): {} in the response is {:?} and in \
                 the request {:?}, so the response cannot be matched.",
                response.path.source,
                request.message.method()?,
                request.path.source,
                request.repeated + 1,
                difference.what,
                difference.answered,
                difference.asked
            ))
            .fix(format!(
                "Let {} copy {} from the request as it is (RFC 3261 §8.2.6.2).",
                response.path.source, difference.what
            ))
            .fix("If it does, look for what rewrites it on the way (an ALG, an SBC).")
            .claim(request, difference.field, difference.asked, "in the request")
            .claim(response, difference.field, difference.answered, "in the response")
            .refuted("next-hop-silent", "responses do come back")
            .refuted("return-path-lost", "a field differs by which the response must be matched"),
    )
}

/// A request that was repeated although a response to it had passed the capture.
pub(crate) struct Ignored<'a> {
    pub request: &'a Heard,
    pub response: &'a Heard,
    pub difference: Option<Difference>,
}

/// Where a response differs from its request.
pub(crate) struct Difference {
    what: &'static str,
    field: &'static str,
    asked: String,
    answered: String,
}

/// Gaps shorter than T2 between copies that show that no response came.
const ENOUGH_FAST: usize = 2;

/// The deciding request, if it was repeated on and on after its first response.
pub(crate) fn ignored<'a>(case: &Case<'a>) -> Option<Ignored<'a>> {
    let deciding = case.deciding().filter(|deciding| !deciding.in_dialog)?;
    let request = case.call.request_of(deciding)?;
    if request.path.transport.is_reliable() {
        return None;
    }
    let response = own_response(case, deciding).or_else(|| stray_response(case, request))?;
    let after = request.repeats.iter().filter(|repeat| **repeat > response.place).count();
    if after < ENOUGH_COPIES {
        return None;
    }
    // A response that the sender acts on did arrive.
    let acted = !deciding.acks.is_empty() || deciding.cancelled_by.is_some();
    (!acted).then(|| Ignored { request, response, difference: difference(request, response) })
}

/// The request that a proxy sent on and repeated until it told its caller of a silence, although each copy got a response
/// at once: one that cannot be matched with it.
pub(in crate::diagnosis::rules) fn ignored_behind<'a>(case: &Case<'a>) -> Option<Ignored<'a>> {
    let outer = case.outer_failure().filter(|failure| TIMEOUTS.contains(&failure.status.get()))?;
    case.waited_for(outer).filter(Waited::is_silent).find_map(|waited| {
        let request = waited.sent;
        let response = stray_response(case, request).filter(|_| !request.path.transport.is_reliable())?;
        let difference = difference(request, response)?;
        let copies = || std::iter::once(request.place).chain(request.repeats.iter().copied());
        let is_to_copy = |place: &Place| copies().any(|copy| copy < *place && place.time.since(copy.time) < AT_ONCE);
        let answered = std::iter::once(&response.place).chain(&response.repeats).filter(|place| is_to_copy(place));
        (answered.count() > ENOUGH_FAST).then_some(Ignored { request, response, difference: Some(difference) })
    })
}

/// Who answers a copy of a request does it within this time.
const AT_ONCE: Duration = Duration::from_millis(200);

/// The first response that its client would have acted on: to an INVITE each ends the repetitions; to anything else a
/// final one, and after a 100 the request is repeated every T2 (RFC 3261 §17.1.1.2, §17.1.2.2).
fn own_response<'a>(case: &Case<'a>, deciding: &'a Transaction) -> Option<&'a Heard> {
    let request = case.call.request_of(deciding)?;
    let stays_fast = |provisional: &Heard| {
        let after: Vec<_> = request.repeats.iter().filter(|copy| **copy > provisional.place).collect();
        let gaps = after.iter().zip(after.iter().skip(1)).map(|(one, next)| next.time.since(one.time));
        gaps.filter(|gap| *gap < timer::T2 * 3 / 4).count() >= ENOUGH_FAST
    };
    let is_telling = |provisional: &&Heard| deciding.method == Method::Invite || stays_fast(provisional);
    case.provisionals(deciding).filter(is_telling).chain(case.finals(deciding)).min_by_key(|heard| heard.place)
}

/// A response to this request that cannot be matched with it. The capture may have missed the first copy of the
/// request, and hold a response to that.
pub(crate) fn stray_response<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a Heard> {
    case.call.messages.iter().find(|heard| {
        let transaction = case.call.transaction(heard.transaction);
        !heard.message.is_request()
            && heard.message.call_id() == request.message.call_id()
            && heard.path.destination.ip() == request.path.source.ip()
            && heard.path.source.ip() == request.path.destination.ip()
            && transaction.method == case.call.transaction(request.transaction).method
            && transaction.request.is_none()
            && !case.call.is_unseen(transaction)
    })
}

/// Where a response differs from the request that it answers.
pub(crate) fn difference(request: &Heard, response: &Heard) -> Option<Difference> {
    let (mine, theirs) = (request.message.vias(), response.message.vias());
    let (mine, theirs) = (mine.first()?, theirs.first()?);
    if mine.branch() != theirs.branch() {
        let (asked, answered) = (mine.branch().to_owned(), theirs.branch().to_owned());
        return Some(Difference { what: "the branch of Via", field: "sip.Via.branch", asked, answered });
    }
    if !mine.host.eq_ignore_ascii_case(&theirs.host) {
        let (asked, answered) = (mine.host.clone(), theirs.host.clone());
        return Some(Difference { what: "the sent-by of Via", field: "sip.Via.sent-by.address", asked, answered });
    }
    let (asked, answered) = (request.message.header("CSeq")?, response.message.header("CSeq")?);
    if request.message.cseq() != response.message.cseq() {
        let (asked, answered) = (asked.into_owned(), answered.into_owned());
        return Some(Difference { what: "CSeq", field: "sip.CSeq", asked, answered });
    }
    let tag = |heard: &Heard| heard.message.from().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default();
    let (asked, answered) = (tag(request), tag(response));
    (asked != answered).then_some(Difference { what: "the From tag", field: "sip.from.tag", asked, answered })
}

/// The 2xx after which an INVITE was repeated all the same, if nothing shows that the caller's side got it.
pub(super) fn answer_in_vain<'a>(case: &Case<'a>, invite: &Heard) -> Option<&'a Heard> {
    let (_, success) = case.answer()?;
    let copies = invite.repeats.iter().filter(|copy| **copy > success.place).count();
    let goes_on = case.acks_to(success).next().is_some()
        || case.first_bye().is_some_and(|bye| case.side(bye.request) == Side::Caller);
    (copies >= ENOUGH_COPIES && !goes_on).then_some(success)
}

/// What to capture to see where the responses get lost.
pub(crate) fn capture_at_client(request: &Heard) -> String {
    capture_at(request.path.source.ip(), request.path)
}

/// How long the request was repeated.
pub(crate) fn span(request: &Heard) -> String {
    length(request.last_place().time.since(request.place.time))
}
