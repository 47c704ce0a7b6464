use std::time::Duration;

use crate::call::{Heard, Kind, timer};
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{Method, StatusCode};

rule! {
    /// The first response comes late.
    ///
    /// ## What it says
    /// The next hop took so long to confirm the request that its sender repeated it.
    ///
    /// ## Why it happens
    /// The next hop is under load, or waits for DNS or a database before it sends 100.
    ///
    /// ## Evidence
    /// A request over UDP that was repeated, and a first response more than 200 ms after the latest copy before it; or
    /// at once after it, if as many responses come then as copies were sent, so that none of them was lost.
    ///
    /// ## How to fix
    /// Look at the load and the look-ups of the next hop; it should send 100 at once (RFC 3261 §17.2.1).
    ///
    /// ## When it would be wrong
    /// If the copies before it were lost, the answer comes at once after the one that arrived: `request-lost-on-path`.
    /// A 408 is no late response, but the end of a wait behind its sender. Of a BYE it is not said: nothing goes on
    /// after it.
    ///
    /// ## References
    /// RFC 3261 §17.2.1, §8.2.6.1
    "B8" "first-response-slow" needs [REPEATED], check
}

/// A server has to confirm an INVITE within this (RFC 3261 §17.2.1).
pub(crate) const PROMPT: Duration = Duration::from_millis(200);

/// A timer that is set short (T1 of 100 ms in a local network) sends no copy sooner than this.
const SOONEST: Duration = Duration::from_millis(50);

fn check(case: &Case<'_>) -> Option<Finding> {
    let (request, response) = repeated_and_answered(case)?;
    // After a BYE nothing goes on; and a proxy that waited for the next hop in vain says so at the end of its own
    // timer.
    let is_given_up = response.message.status().is_some_and(|status| status.get() == 408);
    if request.message.method() == Some(&Method::Bye) || is_given_up {
        return None;
    }
    let latest = copies_before(request, response).last()?;
    let waited = response.place.time.since(request.place.time);
    let is_each_answered = is_each_copy_answered(case, request, response);
    let may_answer_the_latest = response.place.time.since(latest) <= PROMPT && !is_each_answered;
    if may_answer_the_latest || waited <= timer::T1 {
        return None;
    }
    // Beyond 100, which only says that the next hop has the request, something came that let the call go on.
    let lets_go_on = |heard: &Heard| heard.message.status().is_some_and(|status| (101..300).contains(&status.get()));
    let is_own = |heard: &&Heard| heard.transaction == request.transaction;
    let went_on = case.call.messages.iter().filter(is_own).any(lets_go_on);
    let is_call = case.call.kind == Kind::Call;
    let went_on = if went_on && is_call { " The call went on." } else { "" };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .party(Role::Nobody, Some(response.path.source))
            .because(format!(
                "{} sent its first response {} after the {}, which had to be sent {}.{went_on}",
                response.path.source,
                length(waited),
                request.message.method()?,
                times(request.repeated.saturating_add(1))
            ))
            .fix(format!(
                "Look at the load of {} and at what it waits for (DNS, a database) before it {}.",
                response.path.source,
                if is_call { "sends 100" } else { "answers" }
            ))
            .claim_method(request, "the first copy of the request")
            .claim_status(response, "the first response")
            .refuted(
                "request-lost-on-path",
                match is_each_answered {
                    true => "each copy of the request got a response",
                    false => "the response does not come at once after a copy",
                },
            ),
    )
}

/// The first request of the call that was repeated and then answered, with its first response.
pub(crate) fn repeated_and_answered<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'a Heard)> {
    case.call.transactions.iter().filter(|transaction| transaction.upstream.is_none()).find_map(|transaction| {
        let request = case.call.request_of(transaction)?;
        let response =
            case.provisionals(transaction).chain(case.finals(transaction)).min_by_key(|heard| heard.place)?;
        let first = *request.repeats.first()?;
        // No timer of RFC 3261 sends a copy so soon: something doubled the packet, and nothing was lost.
        if request.repeats.iter().all(|repeat| repeat.time.since(request.place.time) < SOONEST) {
            return None;
        }
        let goes_on = !request.repeats.iter().any(|repeat| *repeat > response.place);
        // A copy that an ICMP error answered was neither lost nor waited on.
        let was_refused = case.call.icmp.iter().any(|icmp| icmp.message == request.id && icmp.place < response.place);
        let is_repeated = first < response.place && goes_on && !request.path.transport.is_reliable();
        (is_repeated && !was_refused).then_some((request, response))
    })
}

/// True if as many responses came at once as copies of the request were sent before the first of them: so none of the
/// copies was lost. A transaction answers each copy with its last response again, and a server that keeps none makes a
/// new one (RFC 3261 §17.2.1, §17.2.2, §8.2.7); to an INVITE several that differ may come of a fork, and a 2xx repeats
/// itself.
pub(crate) fn is_each_copy_answered(case: &Case<'_>, request: &Heard, first: &Heard) -> bool {
    let transaction = case.call.transaction(request.transaction);
    let is_invite = transaction.method == Method::Invite;
    if is_invite && first.message.status().is_some_and(StatusCode::is_success) {
        return false;
    }
    let is_at_once = |place: &Place| place.time.since(first.place.time) <= PROMPT;
    let alike = case.provisionals(transaction).chain(case.finals(transaction)).filter(|heard| {
        let is_made_anew = heard.message.status() == first.message.status() && heard.path.source == first.path.source;
        heard.id == first.id || is_made_anew && !is_invite
    });
    let places = alike.flat_map(|heard| std::iter::once(heard.place).chain(heard.repeats.iter().copied()));
    places.filter(is_at_once).count() >= copies_before(request, first).count()
}

/// When the copies of a request were sent that stand before its response.
pub(crate) fn copies_before<'a>(
    request: &'a Heard,
    response: &Heard,
) -> impl Iterator<Item = crate::capture::Timestamp> + 'a {
    let until = response.place;
    std::iter::once(request.place)
        .chain(request.repeats.iter().copied())
        .filter(move |place| *place < until)
        .map(|place| place.time)
}
