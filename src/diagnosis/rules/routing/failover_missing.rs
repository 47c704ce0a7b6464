use std::net::IpAddr;
use std::time::Duration;

use crate::call::Kind;
use crate::diagnosis::failover::asks_for_next_server;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Platform, Role, Severity};

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
    "E11" "failover-missing", check
}

/// A client that goes on to another server does so within this time.
const SOON: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.outer_failure().filter(|failure| asks_for_next_server(failure.status))?;
    if !matches!(case.call.kind, Kind::Call | Kind::Message) || case.ringing(failure.transaction).is_some() {
        return None;
    }
    let (request, response) = (case.request(failure)?, case.response(failure));
    let (client, server) = (request.path.source, request.path.destination);
    let host = &case.target(failure)?.host;
    // A request to an address names its server itself.
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    // The next try may have a Call-ID of its own: whatever went there right after may be it.
    let after = (response.place.time, response.place.time.plus(SOON));
    let tried = |address: IpAddr| {
        let hop = case.surroundings.hop(client.ip(), address);
        hop.is_some_and(|seen| seen.within(after.0, after.1))
            || case.call.transactions.iter().any(|known| known.path.destination.ip() == address)
    };
    let mut others = case.surroundings.accepted().servers(client.ip(), host).filter(|other| !tried(other.ip()));
    let other = others.next()?;
    let because = format!(
        "{server} failed with {}, and {client} did not try {other}, which accepted its requests to {host} in \
            this capture.",
        failure.status
    );
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .about(failure.status)
            .party(Role::Uac, Some(client))
            .because(because)
            .fix(format!("Let {client} go on to {other} after {} of \
                {server}{}.", failure.status, words(case.platform(request))))
            .claim_request_uri(request, "the request")
            .claim_status(response, "the server fails")
            .claim_absent(response.place, format!("request to {other}"), "the next server is not tried"),
    )
}

fn words(platform: Option<Platform>) -> &'static str {
    match platform {
        Some(Platform::Asterisk) => " (Asterisk: further `contact` entries or a second `Dial()`)",
        Some(Platform::FreeSwitch) => " (FreeSWITCH: the next gateway behind `|` in the dial string, \
            `failure_causes`)",
        Some(Platform::Kamailio) => " (Kamailio: `ds_next_dst()` in a failure route)",
        Some(Platform::OpenSips) => " (OpenSIPS: `ds_next_dst()` or `use_next_gw()` in a failure route)",
        None => "",
    }
}
