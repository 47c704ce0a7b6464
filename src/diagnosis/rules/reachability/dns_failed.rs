use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Failure, Heard, Lookup, Transaction};
use crate::capture::Timestamp;
use crate::diagnosis::branches::USUAL_OF_SILENCE;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{layer, length, times};
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};
use crate::net::{DnsRecord, Transport, without_service};
use crate::sip::NameAddr;

rule! {
    /// The name of the next server could not be found, or led to another one than it should.
    ///
    /// ## What it says
    /// Somebody asked the DNS for the name that the request was to go to, and got an error or no answer; or got it
    /// late; or the request went to another server than the one that its SRV records put first.
    ///
    /// ## Why it happens
    /// The name is mistyped or was removed, its records for SIP (NAPTR, SRV) are missing, or the resolver is down. Some
    /// clients take SRV records in the order of the answer, or take the highest priority number for the first.
    ///
    /// ## Evidence
    /// A query for the domain of the request, by the one who sent or refused it, answered with NXDOMAIN or SERVFAIL, or
    /// not at all; or of any other name, while a server had the request that it then refused with 478, or with a code
    /// that it may make of that, and it sent the request nowhere. An answer that
    /// took more than a second made the call late. An SRV answer with a server of a lower priority number than the one
    /// to which the request went, and no packet to that server; or with another port of the host to which the request
    /// went, from where nothing came.
    ///
    /// ## How to fix
    /// Correct the name, publish its SRV and A records, or give the server another resolver. Let the client begin with
    /// the lowest priority number.
    ///
    /// ## When it would be wrong
    /// A missing NAPTR or SRV record alone does no harm if an A record was found afterwards. A client that has found
    /// its first server dead, before the capture began, rightly goes to the second for a while.
    ///
    /// ## References
    /// RFC 3263 §4.1, §4.2; RFC 1035 §4.1.1; RFC 2782
    "B10" "dns-failed" needs [LOOKUPS], check, capture of_capture
}

/// Before a request its names are looked up within this time.
const BEFORE: Duration = Duration::from_secs(40);
/// A look-up that takes longer than this makes a call late.
const SLOW: Duration = Duration::from_secs(1);
/// A query without an answer for this long is lost (RFC 1035 §4.2.1).
const LOST: Duration = Duration::from_secs(5);

/// Codes of those who find no way on. Any other one was made by somebody who was reached.
const OF_LOST_WAY: [u16; 14] = [400, 404, 408, 410, 416, 430, 477, 478, 480, 500, 502, 503, 504, 604];

/// Causes of Q.850 that go with that: no route, no subscriber, a destination or network out of order, or none at all.
const OF_NO_WAY: [u32; 10] = [0, 2, 3, 16, 20, 27, 31, 38, 41, 127];

/// A refusal that comes of a look-up comes within this time after its end.
const RIGHT_AFTER: Duration = Duration::from_secs(2);

/// What Kamailio answers when it cannot resolve the name of the next hop.
const UNRESOLVABLE: u16 = 478;

/// How a look-up failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Code(u8),
    Silent,
    Slow,
}

fn check(case: &Case<'_>) -> Option<Finding> {
    not_found(case).or_else(|| out_of_order(case))
}

fn not_found(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure();
    let (request, response) = match failure {
        Some(failure) => (case.request(failure)?, Some(case.response(failure))),
        None => (case.call.request_of(case.deciding()?)?, None),
    };
    let from = Timestamp(request.place.time.0.saturating_sub(BEFORE.as_nanos() as i64));
    let lookups = case.surroundings.neighbours().lookups();
    if let Some(response) = response {
        if !failure.is_some_and(|failure| OF_LOST_WAY.contains(&failure.status.get())) {
            return None;
        }
        // The one who refused the request had to find the next server.
        let of_request =
            for_names(lookups.of_client(response.path.source.ip(), request.place.time, response.place.time), request);
        let Some(lookup) = decided(&of_request) else { return asked_meanwhile(case, failure?) };
        let fault = fault(lookup, case.capture.until).filter(|fault| *fault != Fault::Slow)?;
        let finding = found(lookup, fault).explains(failure.map(|failure| failure.status));
        return Some(
            claim(finding, lookup, fault)
                .claim_request_uri(request, "where the request has to go")
                .claim_status(response, "refused")
                .refuted("server-fault", "the server could not find the name of the next one"),
        );
    }
    let of_request = for_names(lookups.of_client(request.path.source.ip(), from, request.place.time), request);
    let slow = of_request.into_iter().find(|one| {
        one.answer
            .is_some_and(|(place, ..)| place.time <= request.place.time && place.time.since(one.asked.time) > SLOW)
    })?;
    let mut finding =
        found(slow, Fault::Slow).titled("The name of the next server was found late.").severity(Severity::Warning);
    let answered = slow.answer.map(|(place, ..)| place.time)?;
    let waited = request.place.time.since(answered);
    // What goes out much later did not wait for the answer alone.
    if waited < SLOW {
        let said = finding.explanation.raw().trim_end_matches('.').to_owned();
        finding = finding.because(format!("{said}: the {} waited for it.", request.message.method()?));
    }
    Some(claim(finding, slow, Fault::Slow).claim_request_uri(request, "the request came after it"))
}

/// The server that refused a request had asked for another name in vain while it had the request, and sent it nowhere.
fn asked_meanwhile(case: &Case<'_>, failure: &Failure) -> Option<Finding> {
    let (request, response) = (case.request(failure)?, case.response(failure));
    if !case.arose_here(failure) {
        return None;
    }
    let lookups = case.surroundings.neighbours().lookups();
    let all = lookups.between(request.place.time, response.place.time).filter(|one| one.is_for_sip());
    let all: Vec<&Lookup> = all.collect();
    // Who says that it could not resolve a name may have asked from another of its addresses.
    let lookup = match failure.status.get() {
        UNRESOLVABLE => decided(&all),
        code if USUAL_OF_SILENCE.contains(&code) => ended_by_lookup(case, failure, &all),
        _ => None,
    }?;
    let fault = fault(lookup, case.capture.until).filter(|fault| *fault != Fault::Slow)?;
    let finding = found(lookup, fault).explains(Some(failure.status));
    let said = finding.explanation.raw().trim_end_matches('.').to_owned();
    let server = response.path.source;
    let finding = Finding { confidence: Confidence::Likely, ..finding }.because(format!(
        "{said}. {server} had the {} meanwhile; it is not seen to send it on, and answered {}.",
        request.message.method()?,
        failure.status
    ));
    Some(
        claim(finding, lookup, fault)
            .claim_method(request, "the request that the server had meanwhile")
            .claim_status(response, "refused right after that")
            .refuted("server-fault", "the server could not find the name of the next one"),
    )
}

/// The look-up of a server by which the sender of a refusal went on to nowhere: no name for SIP that it asked for was
/// found, and the refusal came right after, with no word of another ground.
fn ended_by_lookup<'a>(case: &Case<'a>, failure: &Failure, all: &[&'a Lookup]) -> Option<&'a Lookup> {
    let response = case.response(failure);
    let own = all.iter().copied().filter(|one| one.client == response.path.source.ip());
    let mut by_name: BTreeMap<&str, Vec<&Lookup>> = BTreeMap::new();
    for one in own {
        by_name.entry(without_service(&one.name)).or_default().push(one);
    }
    // The address of any host may be asked for other reasons: only these are known to be of SIP.
    by_name.retain(|_, of_name| of_name.iter().any(|one| one.name.starts_with("_sip")));
    let decided: Option<Vec<&Lookup>> = by_name.values().map(|of_name| decided(of_name)).collect();
    let last = decided?.into_iter().max()?;
    let is_right_after = last.answer.is_none_or(|(at, ..)| response.place.time.since(at.time) <= RIGHT_AFTER);
    let names_another = case.q850(response).is_some_and(|cause| !OF_NO_WAY.contains(&cause));
    let rang = case.ringing(failure.transaction).is_some();
    (is_right_after && !names_another && !rang).then_some(last)
}

/// Those of the look-ups that are for a name which a request has to find. Most requests go to addresses, and nobody
/// looked anything up: the names are read only where somebody did.
fn for_names<'a>(lookups: impl Iterator<Item = &'a Lookup>, request: &Heard) -> Vec<&'a Lookup> {
    let mut lookups = lookups.peekable();
    if lookups.peek().is_none() {
        return Vec::new();
    }
    let names = names(request);
    lookups.filter(|one| is_for(one, &names)).collect()
}

/// A server that SRV records name for a domain.
struct Server<'a> {
    priority: u16,
    port: u16,
    target: &'a str,
}

/// The request went to another server than the one that its SRV records put first (RFC 2782: lowest priority first).
fn out_of_order(case: &Case<'_>) -> Option<Finding> {
    case.call.transactions.iter().filter(|one| !one.in_dialog).find_map(|one| sent_past(case, one))
}

fn sent_past(case: &Case<'_>, transaction: &Transaction) -> Option<Finding> {
    let request = case.call.request_of(transaction)?;
    let (client, to) = (request.path.source.ip(), request.path.destination);
    let now = request.place.time;
    let lookups = case.surroundings.neighbours().lookups();
    let of_transport = for_names(lookups.servers_of_client(client, now), request)
        .into_iter()
        .filter(|one| one.name.starts_with(prefix(request.path.transport)));
    let lookup = of_transport.filter(|one| one.answer.is_some_and(|(place, ..)| place.time <= now)).last()?;
    let servers: Vec<Server<'_>> = lookup.records.iter().filter_map(server).collect();
    let addresses = |server: &Server<'_>| lookups.addresses_of(server.target, client, now);
    let leads_there = |server: &&Server<'_>| server.port == to.port() && addresses(server).contains(&to.ip());
    let Some(taken) = servers.iter().filter(leads_there).min_by_key(|server| server.priority) else {
        let of_host: Vec<&Server<'_>> = servers.iter().filter(|server| addresses(server).contains(&to.ip())).collect();
        return sent_to_other_port(case, transaction, lookup, &of_host);
    };
    let better =
        servers.iter().filter(|server| server.priority < taken.priority).min_by_key(|server| server.priority)?;
    let of_better = addresses(better);
    let was_tried = |address: &IpAddr| {
        let connected = case.surroundings.failed_connections().of_client(client);
        case.surroundings.hop(client, *address).is_some() || connected.iter().any(|one| one.server.ip() == *address)
    };
    if of_better.iter().any(was_tried) {
        return None;
    }
    let (confidence, how) = match of_better.is_empty() {
        false => (Confidence::Proven, "nothing was sent to it"),
        true => (Confidence::Possible, "its address was not asked for"),
    };
    let (answer, ..) = lookup.answer?;
    Some(
        Finding::of(&RULE, confidence)
            .titled("The request went to another server than the one that comes first")
            .severity(Severity::Warning)
            .party(Role::Uac, Some(request.path.source))
            .because(format!(
                "{client} sent the {} to {to}, which is {} with priority {} among the SRV records of {}. {} has \
                 priority {} and comes first, and {how}.",
                transaction.method, taken.target, taken.priority, lookup.name, better.target, better.priority
            ))
            .fix(format!(
                "Let {client} begin with the lowest priority number, and go on only when that server fails (RFC 3263 \
                 §4.3)."
            ))
            .fix(format!("If {} is meant to be the first, give it the lower number in the zone.", taken.target))
            .naming([lookup.name.as_str(), taken.target, better.target])
            .claim_at(answer, "dns.srv.priority", better.priority.to_string(), "the server that comes first")
            .claim_at(answer, "dns.srv.target", better.target, "its name")
            .claim_at(answer, "dns.srv.priority", taken.priority.to_string(), "the server that was taken")
            .claim_request_uri(request, "the request that was sent there"),
    )
}

/// The request went to the host that the SRV records name, at another port than they give, and nothing answered there.
fn sent_to_other_port(
    case: &Case<'_>,
    transaction: &Transaction,
    lookup: &Lookup,
    of_host: &[&Server<'_>],
) -> Option<Finding> {
    let request = case.call.request_of(transaction)?;
    let named = of_host.iter().min_by_key(|server| server.priority)?;
    // A port in the URI, or a route, goes before what the records say (RFC 3263 §4.2).
    let is_told =
        request.message.target().is_none_or(|uri| uri.port.is_some()) || !request.message.headers("Route").is_empty();
    if is_told || case.has_response(transaction) || case.deciding().is_none_or(|deciding| deciding.id != transaction.id)
    {
        return None;
    }
    let (client, to, (answer, ..)) = (request.path.source, request.path.destination, lookup.answer?);
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .titled("The request went to another port than the one that the SRV records name")
            .explains(None)
            .party(Role::Uac, Some(client))
            .because(format!(
                "{client} sent the {} to {to}, and the SRV records of {} name port {} of {} for it. From port {} came \
                 no response.",
                transaction.method,
                lookup.name,
                named.port,
                named.target,
                to.port()
            ))
            .fix(format!(
                "Let {client} take the port from the SRV records (RFC 3263 §4.2); see whether a port is set there by \
                 hand."
            ))
            .fix(format!("If port {} is meant, correct the records of {}.", to.port(), lookup.name))
            .naming([lookup.name.as_str(), named.target])
            .claim_at(answer, "dns.srv.port", named.port.to_string(), "the port that the records name")
            .claim(
                request,
                &format!("{}.dstport", layer(request)),
                to.port().to_string(),
                "the port that the request went to",
            )
            .claim_request_uri(request, "it names no port"),
    )
}

fn server(record: &DnsRecord) -> Option<Server<'_>> {
    match record {
        DnsRecord::Service { priority, port, target, .. } => Some(Server { priority: *priority, port: *port, target }),
        DnsRecord::Address { .. } => None,
    }
}

/// How the name of an SRV record begins (RFC 3263 §4.1).
fn prefix(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp.",
        Transport::Tls => "_sips._tcp.",
        Transport::Sctp => "_sip._sctp.",
        Transport::Tcp | Transport::Ws | Transport::Wss => "_sip._tcp.",
    }
}

/// Names of SIP that could not be found, in a capture in which nothing came of them.
fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    let until = case.inputs.iter().filter_map(|input| input.first_and_last).map(|(_, last)| last).max()?;
    let lookups = case.surroundings.neighbours().lookups();
    let mut by_name: BTreeMap<(IpAddr, &str), Vec<&Lookup>> = BTreeMap::new();
    for one in lookups.iter() {
        by_name.entry((one.client, without_service(&one.name))).or_default().push(one);
    }
    // Only what is asked for SIP is known to be of SIP: the address of any host may be asked for other reasons.
    let of_sip = by_name.into_values().filter(|of_name| of_name.iter().any(|one| one.name.starts_with("_sip")));
    let decided: BTreeSet<&Lookup> = of_sip.filter_map(|of_name| decided(&of_name)).collect();
    let lookup = lookups.iter().find(|one| decided.contains(one))?;
    let fault = fault(lookup, until).filter(|fault| *fault != Fault::Slow)?;
    Some(claim(found(lookup, fault).severity(Severity::Error), lookup, fault))
}

/// The hosts that a request has to find: of Route, or of the Request-URI.
fn names(request: &Heard) -> Vec<String> {
    let routes = request.message.headers("Route");
    let routes = routes.iter().map(|route| NameAddr::read(route).parsed().host.to_ascii_lowercase());
    let uri = request.message.target().map(|uri| uri.host.to_ascii_lowercase()).unwrap_or_default();
    routes.chain([uri]).filter(|host| !host.is_empty()).collect()
}

fn is_for(lookup: &Lookup, names: &[String]) -> bool {
    lookup.is_for_sip() && names.iter().any(|name| name == without_service(&lookup.name))
}

/// The look-up that decided: none if one of them found something; else the last that failed, an address before others.
fn decided<'a>(of_name: &[&'a Lookup]) -> Option<&'a Lookup> {
    let found = |one: &&&Lookup| matches!(one.answer, Some((_, 0, answers)) if answers > 0);
    if of_name.iter().any(|one| found(&one)) {
        return None;
    }
    of_name.iter().rfind(|one| is_of_address(one)).or(of_name.last()).copied()
}

/// True for a query for an address: A (RFC 1035 §3.4.1) or AAAA (RFC 3596 §2.2).
fn is_of_address(lookup: &Lookup) -> bool {
    matches!(lookup.kind, 1 | 28)
}

fn fault(lookup: &Lookup, until: Timestamp) -> Option<Fault> {
    match lookup.answer {
        Some((_, 0, _)) => None,
        Some((_, code, _)) => Some(Fault::Code(code)),
        None => (until.since(lookup.asked.time) >= LOST).then_some(Fault::Silent),
    }
}

fn found(lookup: &Lookup, fault: Fault) -> Finding {
    let asked = format!("{} asked {} for {} ({})", lookup.client, lookup.server, lookup.name, lookup.kind_name());
    let (because, confidence) = match fault {
        // Without these records the address of the name itself counts (RFC 3263 §4.2), and it may be known already.
        Fault::Code(3) if !is_of_address(lookup) => (
            format!(
                "{asked} and learned that there is no such name (NXDOMAIN); no address of {} was asked for.",
                without_service(&lookup.name)
            ),
            Confidence::Likely,
        ),
        Fault::Code(3) => (format!("{asked} and learned that there is no such name (NXDOMAIN)."), Confidence::Proven),
        Fault::Code(2) => (format!("{asked}, and the resolver failed (SERVFAIL)."), Confidence::Proven),
        Fault::Code(code) => (format!("{asked}, and the resolver refused with code {code}."), Confidence::Proven),
        Fault::Silent => (format!("{asked} {}, and got no answer.", times(lookup.copies)), Confidence::Likely),
        Fault::Slow => {
            let after =
                lookup.answer.map(|(place, ..)| length(place.time.since(lookup.asked.time))).unwrap_or_default();
            (format!("{asked}, and the answer took {after}."), Confidence::Proven)
        }
    };
    let finding = Finding::of(&RULE, confidence).party(Role::Network, None).because(because).naming([&lookup.name]);
    match fault {
        Fault::Code(3) => finding
            .fix(format!("Correct the name {}, or publish its records (SRV, A, AAAA).", lookup.name))
            .fix(format!("Ask for it by hand: `dig {} {}`.", lookup.name, lookup.kind_name())),
        _ => finding
            .fix(format!("Look at the resolver {}, and give {} a second one.", lookup.server, lookup.client))
            .fix(format!("Ask for the name by hand: `dig @{} {} {}`.", lookup.server, lookup.name, lookup.kind_name())),
    }
}

fn claim(finding: Finding, lookup: &Lookup, fault: Fault) -> Finding {
    let finding = finding.claim_at(lookup.asked, "dns.qry.name", lookup.spelled.clone(), "the name that was asked for");
    match (fault, lookup.answer) {
        (Fault::Code(code), Some((place, ..))) => {
            finding.claim_at(place, "dns.flags.rcode", code.to_string(), "how it was answered")
        }
        (Fault::Silent, _) => finding.claim_absent(lookup.asked, "an answer of the resolver", "nothing came back"),
        (_, Some((place, ..))) => finding.claim_at(place, "dns.qry.name", lookup.spelled.clone(), "the answer"),
        _ => finding,
    }
}
