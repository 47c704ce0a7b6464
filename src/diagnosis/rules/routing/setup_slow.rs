use std::time::Duration;

use crate::call::{Heard, Kind, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// It took long until the callee's device rang or answered.
    ///
    /// ## What it says
    /// The caller heard nothing for longer than the 11 s that ITU-T E.721 allows at worst.
    ///
    /// ## Why it happens
    /// A server on the way waits: for a name to resolve, for a database, for a first destination that does not answer.
    ///
    /// ## Evidence
    /// The time from the INVITE to the first response from 180 to 299, and the hop on which most of it passed.
    ///
    /// ## How to fix
    /// Look at the server in which the time passed.
    ///
    /// ## When it would be wrong
    /// A mobile network may need that long to find the callee's phone. Where most of the time passed until another
    /// destination was tried, it is `failover-slow`.
    ///
    /// ## References
    /// ITU-T E.721 §2.4; RFC 6076 §4.3
    "E20" "setup-slow" needs [CALL PROGRESS], check
}

/// The longest delay that E.721 table 2 allows.
const WORST: Duration = Duration::from_secs(11);

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.kind != Kind::Call {
        return None;
    }
    let last = case.call.attempts().last()?;
    let first = case.call.attempts().next().and_then(|attempt| case.call.request_of(attempt))?;
    // Who followed a redirect after it had rung heard of the callee long before.
    let alerted = case.call.attempts().find_map(|attempt| alerted(case, attempt))?;
    let delay = alerted.place.time.since(first.place.time);
    // Where most of it went by before another destination was tried, `failover-slow` tells of whom.
    let waited_for_another = || case.failover().is_some_and(|failover| failover.delay() * 2 >= delay);
    if delay <= WORST || waited_for_another() {
        return None;
    }
    let hops = hops(case, last);
    let slowest = hops.iter().max_by_key(|(_, own)| *own);
    let share = match slowest {
        Some((hop, own)) if hops.len() > 1 => format!(
            "; {} of it passed in {} before it sent the request on or answered",
            length(*own),
            hop.path.destination
        ),
        _ => String::new(),
    };
    let because = format!(
        "It took {} from the first INVITE to the {} of {}{share}.",
        length(delay),
        alerted.message.status()?,
        alerted.path.source
    );
    let place = slowest.map_or(alerted.path.source, |(hop, _)| hop.path.destination);
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .because(because)
            .fix(format!(
                "Look on {place} what it waits for: DNS, a database, a destination that does not answer before the \
                 next one is tried."
            ))
            .claim_method(first, "the call begins")
            .claim_status(alerted, "the caller hears of the callee for the first time"),
    )
}

/// The first response from 180 to 299 of an INVITE.
fn alerted<'a>(case: &Case<'a>, invite: &Transaction) -> Option<&'a Heard> {
    let responses = invite.provisionals.iter().chain(&invite.finals);
    let alerts = |heard: &&Heard| heard.message.status().is_some_and(|status| (180..300).contains(&status.get()));
    responses.map(|id| case.call.message(*id)).filter(alerts).min_by_key(|heard| heard.place)
}

/// The hops from the caller to the callee, each with the time that passed in its server before it went on.
fn hops<'a>(case: &Case<'a>, outer: &'a Transaction) -> Vec<(&'a Transaction, Duration)> {
    let mut hops = Vec::new();
    let mut here = outer;
    while hops.len() < 16 {
        let Some(request) = case.call.request_of(here) else { break };
        let next = case.call.downstream_of(here.id).filter(|inner| alerted(case, inner).is_some()).last();
        let went_on = next.and_then(|inner| case.call.request_of(inner)).or_else(|| alerted(case, here));
        hops.push((here, went_on.map_or(Duration::ZERO, |heard| heard.place.time.since(request.place.time))));
        let Some(inner) = next else { break };
        here = inner;
    }
    hops
}
