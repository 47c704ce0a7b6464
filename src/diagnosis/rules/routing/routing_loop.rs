use std::net::SocketAddr;

use crate::call::{Failure, Heard, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::hop_limit_too_low::passes_a_host_twice;
use crate::diagnosis::rules::transfer::diversion_loop;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The request goes round in a circle between servers.
    ///
    /// ## What it says
    /// A server got the same request again that it had sent on before.
    ///
    /// ## Why it happens
    /// Two servers each take the other for the one that knows the callee: a wrong route, a domain that neither serves,
    /// a diversion to oneself.
    ///
    /// ## Evidence
    /// 482 or 483, and a host that stands more than once in Via, or to which the same request went more than once with
    /// falling Max-Forwards. Or 483 although 20 hops or more were left at the last server that was captured: then
    /// the circle itself is not seen, and it is only possible.
    ///
    /// ## How to fix
    /// Break the circle at the server whose route for this callee is wrong.
    ///
    /// ## When it would be wrong
    /// A spiral is legal: the request comes back with another Request-URI and moves on.
    ///
    /// ## References
    /// RFC 3261 §16.3, §21.4.20, §21.4.21; RFC 5393
    "E7" "routing-loop" needs [482 483], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[482, 483])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let Some((first, again)) = passed_twice(case, request).or_else(|| via_twice(request)) else {
        return behind(case, failure, request, response);
    };
    let cycle = cycle(case, first, again);
    let uri = request.message.request_uri()?.into_owned();
    let passes = case
        .call
        .transactions
        .iter()
        .filter(|known| known.path.destination == again.path.destination)
        .filter(|known| known.method == case.call.transaction(again.transaction).method)
        .count();
    let because = format!(
        "The request for {uri} went round: {}. {} got it {passes} times, until {} ended it with {}.",
        cycle.join(" → "),
        again.path.destination,
        response.path.source,
        failure.status
    );
    let callee = case.callee(failure);
    let upstream = case.call.transaction(again.transaction).upstream;
    let before = upstream.and_then(|id| case.call.request_of(case.call.transaction(id))).unwrap_or(first);
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .party(Role::Proxy, Some(again.path.source))
        .because(because)
        .fix(format!("Look on {} where it sends \"{callee}\" and why: it had got the request from \
            {}.", again.path.source, before.path.source))
        .fix(format!("Make one of the servers of the circle the one that knows \"{callee}\", or let it answer 404."))
        .claim_request_uri(first, "the request")
        .claim_header(first, "Max-Forwards", "on its first pass");
    if again.id != first.id {
        finding = finding
            .claim_request_uri(again, "the same request again, to the same server")
            .claim_header(again, "Max-Forwards", "with fewer hops left");
    }
    Some(
        finding
            .claim_header(request, "Via", "the way it has come")
            .claim_status(response, "where it ended")
            .refuted("hop-limit-too-low", "the hops were used up by passing the same servers again")
            .refuted("request-merged", "the request did not arrive by two ways: it came back"),
    )
}

/// No circle is visible, but more hops were used up behind the responder than an honest way has.
fn behind(case: &Case<'_>, failure: &Failure, request: &Heard, response: &Heard) -> Option<Finding> {
    let hops: u32 = request.message.header("Max-Forwards")?.trim().parse().ok()?;
    // A chain of forwardings that comes back says what the circle is.
    if failure.status.get() != 483 || hops < MANY || diversion_loop::is_shown(case) {
        return None;
    }
    let (callee, server) = (case.callee(failure), response.path.source);
    let because = format!(
        "{server} got the request with {hops} hops left and answered 483: they were used up behind it, as where a request \
         goes round. This capture shows no server twice, so the circle itself is not seen."
    );
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .explains(Some(failure.status))
            .sender(Role::Proxy, response)
            .because(because)
            .fix(format!("Look on {server} where it sends \"{callee}\", and follow the way from there until a \
                server comes twice."))
            .fix(format!("Capture on {server} towards what is behind it: Via names the servers of the circle."))
            .claim_header(request, "Max-Forwards", "the hops that were left")
            .claim_status(response, "they were used up")
            .refuted("hop-limit-too-low", format!("{hops} hops are enough for any honest way")),
    )
}

/// More hops than an honest way has.
const MANY: u32 = 20;

/// The first two passes of the same request to the same server, the second with fewer hops left.
fn passed_twice<'a>(case: &Case<'a>, request: &'a Heard) -> Option<(&'a Heard, &'a Heard)> {
    let uri = request.message.request_uri()?;
    let transaction = case.call.transaction(request.transaction);
    let is_same = |known: &&Transaction| known.method == transaction.method && known.cseq == transaction.cseq;
    let passes: Vec<&Heard> = case
        .call
        .transactions
        .iter()
        .filter(is_same)
        .filter_map(|known| case.call.request_of(known))
        .filter(|heard| heard.message.request_uri().is_some_and(|known| known == uri))
        .collect();
    let hops = |heard: &Heard| heard.message.header("Max-Forwards").and_then(|value| value.trim().parse::<u32>().ok());
    passes.iter().enumerate().find_map(|(at, first)| {
        let again = passes.iter().skip(at + 1).find(|again| {
            let is_later = hops(again).zip(hops(first)).is_some_and(|(later, before)| later < before);
            is_later && again.path.destination == first.path.destination
        })?;
        Some((*first, *again))
    })
}

/// A request in whose Via a host stands twice.
fn via_twice(request: &Heard) -> Option<(&Heard, &Heard)> {
    let is_repeated = passes_a_host_twice(&request.message.vias());
    is_repeated.then_some((request, request))
}

/// The servers of the circle, in order; the last is the first again.
fn cycle(case: &Case<'_>, first: &Heard, again: &Heard) -> Vec<String> {
    if first.id == again.id {
        let vias = first.message.vias();
        return vias.iter().rev().map(|via| via.host.clone()).collect();
    }
    let mut hops: Vec<SocketAddr> = vec![again.path.destination, again.path.source];
    let mut next = case.call.transaction(again.transaction).upstream;
    while let Some(id) = next {
        let transaction = case.call.transaction(id);
        if transaction.path.source == again.path.destination || hops.len() > 16 {
            break;
        }
        hops.push(transaction.path.source);
        next = transaction.upstream;
    }
    if hops.last() != Some(&again.path.destination) {
        hops.push(again.path.destination);
    }
    hops.iter().rev().map(SocketAddr::to_string).collect()
}
