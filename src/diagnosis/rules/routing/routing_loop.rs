use std::net::SocketAddr;

use crate::call::{Failure, Heard, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::hop_limit_too_low::passes_a_host_twice;
use crate::diagnosis::rules::transfer::diversion_loop;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Via;

rule! {
    /// The request goes round in a circle between servers.
    ///
    /// ## What it says
    /// A server got the same request again that it had sent on before.
    ///
    /// ## Why it happens
    /// Two servers each take the other for the one that knows the callee: a wrong route, a domain that neither serves,
    /// a diversion to oneself. Or one server sends to itself: it does not know a domain or an address as its own.
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
    /// A spiral is legal: the request comes back with another Request-URI and moves on. Where the capture shows that, it
    /// is only likely for a 482, and only possible for a 483 although many hops were left.
    ///
    /// ## References
    /// RFC 3261 §16.3, §21.4.20, §21.4.21; RFC 5393
    "E7" "routing-loop" needs [482 483], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[482, 483])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let spiral = spiral(case, request);
    let by_vias =
        || via_twice(request).filter(|_| spiral.is_none() || failure.status.get() == 482 || !has_many(request));
    let Some((first, again)) = passed_twice(case, request).or_else(by_vias) else {
        return behind(case, failure, (request, response), spiral);
    };
    let circle = Circle { case, failure, first, again };
    // Some servers look for themselves in Via alone, and take a spiral for a circle.
    let is_of_spiral = spiral.is_some() || circle.may_be_spiral();
    let confidence = if is_of_spiral { Confidence::Likely } else { Confidence::Proven };
    let finding = Finding::of(&RULE, confidence)
        .explains(Some(failure.status))
        .party(Role::Proxy, Some(again.path.source))
        .because(circle.explanation(&request.message.request_uri()?));
    Some(
        circle
            .proved(circle.advised(finding))
            .claim_header(request, "Via", "the way it has come")
            .claim_status(response, "where it ended")
            .refuted("hop-limit-too-low", "the hops were used up by passing the same servers again")
            .refuted("request-merged", "the request did not arrive by two ways: it came back"),
    )
}

/// A request that came to the same server again, before it failed.
struct Circle<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    first: &'a Heard,
    again: &'a Heard,
}

impl Circle<'_> {
    fn explanation(&self, uri: &str) -> String {
        let (way, status) = (cycle(self.case, self.first, self.again).join(" → "), self.failure.status);
        let server = self.case.response(self.failure).path.source;
        match self.passes() {
            ..2 if self.may_be_spiral() => format!(
                "The request for {uri} passed a server twice, as its Via says: {way}. {server} ended it with {status}. \
                 On its right way it may pass one twice, such as an SBC, each time for another Request-URI (RFC 3261 \
                 §16.3); this capture does not show for which it went there before."
            ),
            ..2 => {
                format!("The request for {uri} went round, as its Via says: {way}. {server} ended it with {status}.")
            }
            passes => format!(
                "The request for {uri} went round: {way}. {} got it {passes} times, until {server} ended it with \
                 {status}.",
                self.again.path.destination
            ),
        }
    }

    /// True if Via alone shows it, one server twice, and nobody says that it is a loop: on its right way a request may
    /// pass an SBC twice, each time for another Request-URI (RFC 3261 §16.3).
    fn may_be_spiral(&self) -> bool {
        self.first.id == self.again.id
            && self.failure.status.get() == 483
            && !passes_a_host_often(&self.first.message.vias())
    }

    /// How often the server got it.
    fn passes(&self) -> usize {
        let method = &self.case.call.transaction(self.again.transaction).method;
        let is_pass =
            |known: &&Transaction| known.path.destination == self.again.path.destination && known.method == *method;
        self.case.call.transactions.iter().filter(is_pass).count()
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (server, callee) = (self.again.path.source, self.case.callee(self.failure));
        if server == self.again.path.destination {
            return finding
                .fix(format!(
                    "Look on {server} why it sends \"{callee}\" to its own address: mostly it does not know a domain, \
                     an address or a port as its own (an alias), and so looks for the server of it."
                ))
                .fix(format!(
                    "Let {server} take it for its own and look up \"{callee}\", or give it a route to another server, \
                     or let it answer 404."
                ));
        }
        finding
            .fix(format!(
                "Look on {server} where it sends \"{callee}\" and why: it had got the request from {}.",
                self.before().path.source
            ))
            .fix(format!(
                "Make one of the servers of the circle the one that knows \"{callee}\", or let it answer 404."
            ))
    }

    /// The request as the server got it that sent it round.
    fn before(&self) -> &Heard {
        let upstream = self.case.call.transaction(self.again.transaction).upstream;
        upstream.and_then(|id| self.case.call.request_of(self.case.call.transaction(id))).unwrap_or(self.first)
    }

    fn proved(&self, finding: Finding) -> Finding {
        let finding = finding.claim_request_uri(self.first, "the request").claim_header(
            self.first,
            "Max-Forwards",
            "on its first pass",
        );
        if self.again.id == self.first.id {
            return finding;
        }
        finding.claim_request_uri(self.again, "the same request again, to the same server").claim_header(
            self.again,
            "Max-Forwards",
            "with fewer hops left",
        )
    }
}

/// No circle is visible, but more hops were used up behind the responder than an honest way has.
fn behind(
    case: &Case<'_>,
    failure: &Failure,
    (request, response): (&Heard, &Heard),
    spiral: Option<(&Heard, &Heard)>,
) -> Option<Finding> {
    let hops = hops_left(request)?;
    // A chain of forwardings that comes back says what the circle is.
    if failure.status.get() != 483 || hops < MANY || diversion_loop::is_shown(case) {
        return None;
    }
    let (callee, server) = (case.callee(failure), response.path.source);
    let seen = match spiral {
        Some((_, again)) => format!(
            "It had come to {} twice before, each time for another Request-URI, which is in order (RFC 3261 §16.3); \
             the circle itself is not seen, and {server} may have counted wrongly.",
            again.path.destination
        ),
        None => "This capture shows no server twice, so the circle itself is not seen.".to_owned(),
    };
    let because = format!(
        "{server} got the request with {hops} hops left and answered 483: they were used up behind it, as where a \
         request goes round. {seen}"
    );
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .explains(Some(failure.status))
            .sender(if spiral.is_some() { case.role_of_responder(response) } else { Role::Proxy }, response)
            .because(because)
            .fix(format!(
                "Look on {server} where it sends \"{callee}\", and follow the way from there until a server comes \
                 twice."
            ))
            .fix(format!("Capture on {server} towards what is behind it: Via names the servers of the circle."))
            .claim_header(request, "Max-Forwards", "the hops that were left")
            .claim_status(response, "they were used up")
            .refuted("hop-limit-too-low", format!("{hops} hops are enough for any honest way")),
    )
}

/// More hops than an honest way has.
const MANY: u32 = 20;

fn hops_left(request: &Heard) -> Option<u32> {
    request.message.header("Max-Forwards")?.trim().parse().ok()
}

/// True if more hops were left than a circle leaves.
fn has_many(request: &Heard) -> bool {
    hops_left(request).is_some_and(|hops| hops >= MANY)
}

/// Two passes of a request to one host that have different Request-URIs: it moved on, as it may (RFC 3261 §16.3).
fn spiral<'a>(case: &Case<'a>, request: &'a Heard) -> Option<(&'a Heard, &'a Heard)> {
    let transaction = case.call.transaction(request.transaction);
    let is_same = |known: &&Transaction| known.method == transaction.method && known.cseq == transaction.cseq;
    let passes: Vec<&Heard> =
        case.call.transactions.iter().filter(is_same).filter_map(|known| case.call.request_of(known)).collect();
    passes.iter().enumerate().find_map(|(at, first)| {
        let moved_on = |again: &&&Heard| {
            again.path.destination.ip() == first.path.destination.ip()
                && again.message.request_uri() != first.message.request_uri()
        };
        Some((*first, *passes.iter().skip(at + 1).find(moved_on)?))
    })
}

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

/// True if three Vias name the same sent-by.
fn passes_a_host_often(vias: &[Via]) -> bool {
    vias.iter().any(|via| {
        let is_same = |other: &&Via| other.host.eq_ignore_ascii_case(&via.host) && other.port == via.port;
        vias.iter().filter(is_same).count() > 2
    })
}

/// The servers of the circle, in order; the last is the first again.
fn cycle(case: &Case<'_>, first: &Heard, again: &Heard) -> Vec<String> {
    if first.id == again.id {
        return cycle_of_vias(&first.message.vias());
    }
    // Each server by the address at which it was asked: it may send from another port. The way to the circle is not of
    // it.
    let server = again.path.destination;
    let mut hops: Vec<SocketAddr> = vec![server];
    let mut at = case.call.transaction(again.transaction);
    while hops.len() <= 16 {
        let before = at.upstream.map(|id| case.call.transaction(id));
        let asked_at = before.map_or(at.path.source, |before| before.path.destination);
        hops.push(asked_at);
        match before {
            Some(before) if asked_at != server && before.id != first.transaction => at = before,
            _ => break,
        }
    }
    if hops.last() != Some(&server) {
        hops.push(server);
    }
    hops.iter().rev().map(SocketAddr::to_string).collect()
}

/// The same by the hosts of Via, from the first that comes twice; Via names the last server first.
fn cycle_of_vias(vias: &[Via]) -> Vec<String> {
    let way: Vec<&Via> = vias.iter().rev().collect();
    let is_same = |one: &Via, other: &Via| one.host.eq_ignore_ascii_case(&other.host) && one.port == other.port;
    let circle = way.iter().enumerate().find_map(|(at, via)| {
        let again = way.iter().skip(at + 1).position(|other| is_same(via, other))?;
        way.get(at..=at + 1 + again)
    });
    circle.unwrap_or(&way).iter().map(|via| via.host.clone()).collect()
}
