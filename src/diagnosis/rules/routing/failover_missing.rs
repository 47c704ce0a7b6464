use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Heard, Kind};
use crate::capture::{Place, Timestamp};
use crate::catalogue::Topic;
use crate::diagnosis::failover::asks_for_next_server;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::next_hop_silent::unanswered;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::net::DnsRecord;

rule! {
    /// A server failed, and the next one was not tried.
    ///
    /// ## What it says
    /// The client knows another server for the same domain and did not send the request there.
    ///
    /// ## Why it happens
    /// The client's list or script has no failover for this response, or it takes the failure for final.
    ///
    /// ## Evidence
    /// 408, 430 or 5xx of one server; no further try of the call; another server that accepted requests of this client
    /// to the same host in this capture.
    ///
    /// ## How to fix
    /// Let the client go on to the next server after such a response.
    ///
    /// ## When it would be wrong
    /// If the other server is not meant for this kind of call.
    ///
    /// ## References
    /// RFC 3263 §4.3; RFC 3261 §16.7
    "E11" "failover-missing" needs [408 430 500 502 503 504] [REFUSED SENT_ON] [UNDECIDED], check
}

/// A client that goes on to another server does so within this time.
const SOON: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let Try { request, end, response } = failed_try(case)?;
    let (client, server) = (request.path.source, request.path.destination);
    let host = &request.message.target()?.host;
    // A request to an address names its server itself.
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    // The next try may have a Call-ID of its own: whatever went there right after may be it.
    let after = (end.time, end.time.plus(SOON));
    let tried = |address: IpAddr| {
        let hop = case.surroundings.hop(client.ip(), address);
        hop.is_some_and(|seen| seen.within(after.0, after.1))
            || case.call.transactions.iter().any(|known| known.path.destination.ip() == address)
    };
    let used = case.surroundings.accepted().servers(client.ip(), host).find(|other| !tried(other.ip()));
    let named = || named_by_dns(case, request, host).into_iter().find(|(address, _)| !tried(*address));
    let (other, why, proof) = match used {
        Some(other) => (other.to_string(), format!("which accepted its requests to {host} in this capture"), None),
        None => {
            let (address, place) = named()?;
            (address.to_string(), format!("which DNS had named to it for {host}"), Some((address, place)))
        }
    };
    let status = response.and_then(|response| response.message.status());
    let (failed, instead_of) = match status {
        Some(status) => (format!("failed with {status}"), format!("{status} of {server}")),
        None => (format!("did not answer {} copies", request.repeated + 1), format!("silence of {server}")),
    };
    let finding = Finding::of(&RULE, Confidence::Likely).severity(Severity::Warning);
    let finding = match status {
        Some(status) => finding.about(status),
        None => finding,
    };
    let mut finding = finding
        .party(Role::Uac, Some(client))
        .because(format!("{server} {failed}, and {client} did not try {other}, {why}."))
        .fix(format!("Let {client} go on to {other} after {instead_of}{}.", case.settings(Topic::NextServer, request)))
        .claim_request_uri(request, "the request");
    finding = match response {
        Some(response) => finding.claim_status(response, "the server fails"),
        None => finding.claim_absent(request.place, format!("a response of {server}"), "the server stays silent"),
    };
    if let Some((address, place)) = proof {
        let field = if address.is_ipv4() { "dns.a" } else { "dns.aaaa" };
        finding = finding.claim_at(place, field, address.to_string(), "another server of the domain");
    }
    Some(finding.claim_absent(end, format!("request to {other}"), "the next server is not tried"))
}

/// A request after which a client should have gone on to another server.
struct Try<'a> {
    request: &'a Heard,
    /// When it had failed.
    end: Place,
    /// What the server answered; `None` for silence.
    response: Option<&'a Heard>,
}

fn failed_try<'a>(case: &Case<'a>) -> Option<Try<'a>> {
    if !matches!(case.call.kind, Kind::Call | Kind::Message) {
        return None;
    }
    if let Some(failure) = case.outer_failure() {
        let fails = asks_for_next_server(failure.status) && case.alerting_or_progress(failure.transaction).is_none();
        let (request, response) = (case.request(failure)?, case.response(failure));
        return fails.then_some(Try { request, end: response.place, response: Some(response) });
    }
    let request = unanswered(case).filter(|request| case.call.transaction(request.transaction).upstream.is_none())?;
    let is_over = case.absence_of_answer(request) != Confidence::Unseen;
    is_over.then_some(Try { request, end: request.last_place(), response: None })
}

/// The addresses that DNS had named to the client for a domain, with the answer that did, where the server that was
/// asked is one of them (RFC 3263 §4.2).
fn named_by_dns(case: &Case<'_>, request: &Heard, host: &str) -> Vec<(IpAddr, Place)> {
    let (client, server) = (request.path.source.ip(), request.path.destination.ip());
    let lookups = case.surroundings.neighbours().lookups();
    let domain = format!(".{}", host.to_ascii_lowercase());
    let known = || lookups.of_client(client, Timestamp::default(), request.place.time);
    let targets =
        known().filter(|one| one.name.starts_with("_sip") && one.name.ends_with(&domain)).flat_map(|one| &one.records);
    let mut hosts = vec![host.to_owned()];
    hosts.extend(targets.filter_map(|record| match record {
        DnsRecord::Service { target, .. } => Some(target.clone()),
        DnsRecord::Address { .. } => None,
    }));
    let mut addresses = Vec::new();
    for one in known() {
        let Some((place, ..)) = one.answer else { continue };
        for record in &one.records {
            if let DnsRecord::Address { host, address } = record
                && hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
            {
                addresses.push((*address, place));
            }
        }
    }
    let is_asked = addresses.iter().any(|(address, _)| *address == server);
    if is_asked { addresses } else { Vec::new() }
}
