use std::net::{IpAddr, SocketAddr};

use crate::call::timer::OVERDUE;
use crate::call::{FailedConnection, Heard, HowFailed, Lookups, Surroundings};
use crate::capture::{Place, Timestamp};
use crate::catalogue::tls_alert;
use crate::diagnosis::branches::{USUAL_OF_SILENCE, may_be_of_silence};
use crate::diagnosis::certificates;
use crate::diagnosis::certificates::CertificateFault;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::connection_failed::{RIGHT_AFTER, decides};
use crate::diagnosis::words::{counted, length};
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};
use crate::net::{Alert, ConnectionEvent, Ended, HandshakeFailure, TlsConnection, Transport, version_name};
use crate::sip::{Method, StatusCode};

rule! {
    /// The TLS handshake failed.
    ///
    /// ## What it says
    /// One side ended the handshake of TLS, so no SIP could pass: by a fatal alert, which says why, or without one. Or
    /// the handshake went well although the certificate of the server is not valid.
    ///
    /// ## Why it happens
    /// The certificate has expired, is not trusted or bears another name; the two have no version or cipher in common;
    /// the server wants a certificate of the client and gets none; or one side speaks TLS and the other plain SIP.
    ///
    /// ## Evidence
    /// An alert of level 2 before anything else had passed; the end of the connection after the client's hello, or
    /// after the certificate; no answer to that hello within 32 s; the dates and names of the server's certificate,
    /// which TLS 1.3 shows only to those who have the secrets; the name that the client asked for, in its hello or by
    /// DNS before it; the versions that it offered; plain SIP to the port of TLS; a response in plain SIP to the first
    /// bytes of TLS.
    ///
    /// ## How to fix
    /// As the alert says: `sipwhy explain tls-NUMBER` has each. Who sent the alert is the one who was not content.
    /// Where one side speaks plain SIP, name the transport that both speak: `;transport=tls` and port 5061, or neither.
    ///
    /// ## When it would be wrong
    /// A close_notify is no failure. Connections of other protocols than SIP are not looked at: only those to the ports
    /// of SIP, and between hosts that exchange SIP.
    ///
    /// ## References
    /// RFC 8446 §6; RFC 5246 §7.2; RFC 5922 §7; RFC 3261 §26.2.1
    "B6" "tls-handshake-failed" needs [UNANSWERED BROKEN] [REFUSED BROKEN], check, each of capture check_capture
}

/// The ports of SIP (RFC 3261 §19.1.1).
const SIP_PORTS: [u16; 2] = [5060, 5061];
/// The port of SIP over TLS.
const TLS_PORT: u16 = 5061;
/// The port of plain SIP.
const PLAIN_PORT: u16 = 5060;
/// Findings about the capture at most.
const MOST: usize = 8;

fn check(case: &Case<'_>) -> Option<Finding> {
    plain_to_tls(case).or_else(|| tls_to_plain(case)).or_else(|| behind(case))
}

/// A response that answers no request, but the first bytes of TLS on its connection.
fn tls_to_plain(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[400])?;
    let response = case.response(failure);
    if case.request(failure).is_some() || response.path.transport != Transport::Tcp {
        return None;
    }
    let (server, client) = (response.path.source, response.path.destination);
    let known = case.surroundings.failed_connections().of_client(client.ip());
    let begun = known.iter().find(|failed| {
        (failed.client, failed.server) == (client, server)
            && matches!(failed.how, HowFailed::Handshake(_))
            && failed.place <= response.place
    })?;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .titled(TO_PLAIN)
            .explains(Some(failure.status))
            .party(Role::Uac, Some(client))
            .because(format!(
                "{client} began TLS with {server}, which took the first bytes for a broken request: it answered {} in \
                 clear. It speaks plain SIP on that port.",
                failure.status
            ))
            .fix(cure_of_plain(server))
            .fix(format!("Or let {server} speak TLS; look at its transport in its configuration."))
            .claim_at(begun.asked, "tcp.dstport", server.port().to_string(), "the client's hello goes to this port")
            .claim_status(response, "it is answered in clear")
            .refuted("syntax-rejected", "what was refused is no SIP at all, but the beginning of TLS"),
    )
}

/// The title of findings about TLS that nobody speaks on that port.
const TO_PLAIN: &str = "TLS was begun towards a port of plain SIP";

fn cure_of_plain(server: SocketAddr) -> String {
    let other =
        if server.port() == TLS_PORT { "the port on which it speaks TLS".into() } else { format!("port {TLS_PORT}") };
    format!("Send TLS to {other} of {}, or plain SIP to port {}.", server.ip(), server.port())
}

/// Plain SIP was sent to a port of TLS.
fn plain_to_tls(case: &Case<'_>) -> Option<Finding> {
    let mut waiting = case.call.transactions.iter().filter_map(|transaction| {
        let request = case.call.request_of(transaction)?;
        let is_plain = request.path.transport == Transport::Tcp && transaction.method != Method::Ack;
        let is_silent = transaction.finals.is_empty() && transaction.provisionals.is_empty();
        if !is_plain || !is_silent {
            return None;
        }
        Some((transaction, request, refusal(case, request)?))
    });
    let (transaction, request, failed) = waiting.next()?;
    let server = request.path.destination;
    let finding = match failed.how {
        HowFailed::Handshake(Some(alert)) => Finding::of(&RULE, Confidence::Proven)
            .because(format!(
                "The {} went to {server} in plain text over TCP, and {server} answered with an alert of TLS \
                 ({alert}): TLS is spoken on that port.",
                transaction.method
            ))
            .claim_at(failed.place, "tls.alert_message.desc", alert.to_string(), "the server answers in TLS"),
        _ => {
            let (did, field) = ended(failed.how);
            Finding::of(&RULE, Confidence::Likely)
                .because(format!(
                    "The {} went to {server} in plain text over TCP. That is the port of SIP over TLS, and {server} \
                     {did} the connection {} later without a word.",
                    transaction.method,
                    length(failed.place.time.since(request.place.time))
                ))
                .claim_at(failed.place, field, "1", "the server ends the connection")
        }
    };
    let finding = if decides(case, transaction) { finding.explains(None) } else { finding.severity(Severity::Warning) };
    Some(
        finding
            .titled("Plain SIP was sent to a port of TLS")
            .party(Role::Uac, Some(request.path.source))
            .fix(format!("Let {} speak TLS to {server}: `;transport=tls`, or a `sips:` URI.", request.path.source.ip()))
            .fix(format!("Or send to port {PLAIN_PORT}, if the server takes plain SIP there."))
            .claim(request, "tcp.dstport", server.port().to_string(), "the port of SIP over TLS")
            .claim_method(request, "a request that everybody can read")
            .refuted("connection-failed", "the connection came about, and ended at the first bytes")
            .refuted("next-hop-silent", "the end of the connection is an answer of its kind"),
    )
}

/// How a server refused what came in plain text.
fn refusal<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a FailedConnection> {
    let known = case.surroundings.failed_connections();
    let (client, server) = (request.path.source, request.path.destination);
    let alert = known.of_client(client.ip()).iter().find(|failed| {
        (failed.client, failed.server) == (client, server)
            && matches!(failed.how, HowFailed::Handshake(Some(_)))
            && failed.place >= request.place
    });
    let until = request.place.time.plus(crate::call::timer::GIVE_UP);
    alert.or_else(|| known.broken(request.path, request.place.time, until).filter(|_| server.port() == TLS_PORT))
}

fn ended(how: HowFailed) -> (&'static str, &'static str) {
    match how {
        HowFailed::Closed => ("closed", "tcp.flags.fin"),
        _ => ("reset", "tcp.flags.reset"),
    }
}

/// The one who refused the call had failed to agree on TLS with the next hop.
fn behind(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure().filter(|failure| case.arose_here(failure))?;
    if !may_be_of_silence(failure.status) {
        return None;
    }
    let (request, response) = (case.request(failure)?, case.response(failure));
    let proxy: SocketAddr = response.path.source;
    let caller = request.path.source.ip();
    let mut fitting = case.surroundings.failed_connections().of_client(proxy.ip()).iter().filter_map(|failed| {
        let HowFailed::Handshake(alert) = failed.how else { return None };
        let in_time = request.place < failed.asked && failed.place < response.place;
        let is_for_sip = is_for_sip(case.surroundings, proxy.ip(), failed.server);
        (in_time && is_for_sip && failed.server.ip() != caller).then_some((failed, alert))
    });
    let (failed, alert) = fitting.next()?;
    // Attempts at several servers show that more than this call was at work.
    if fitting.any(|(other, _)| other.server != failed.server) {
        return None;
    }
    let server = failed.server;
    let sure = sure_of(failure.status, failed, response)?;
    let how = match alert {
        Some(alert) => format!("which ended with the fatal alert {}", name(alert)),
        None => "and it ended before it was done".to_owned(),
    };
    let mut finding = Finding::of(&RULE, sure)
        .explains(case.outer_failure().map(|outer| outer.status))
        .party(Role::Network, Some(server))
        .because(format!(
            "While {proxy} had the {}, it began a TLS handshake with {server}, {how}; then it answered {}.",
            case.call.transaction(failure.transaction).method,
            failure.status
        ))
        .claim_status(response, "the answer that followed")
        .refuted("server-fault", "the response followed a handshake that failed")
        .refuted("connection-failed", "the TCP connection came about, and TLS began on it");
    if let Some(alert) = alert {
        finding = finding.claim_at(failed.place, "tls.alert_message.desc", alert.to_string(), "why it failed");
    }
    if let Some(known) = alert.and_then(tls_alert) {
        finding = finding.fix(known.fix.as_str());
    }
    Some(
        finding.fix(format!(
            "Look at the TLS connection by itself: `openssl s_client -connect {server}` on {}.",
            proxy.ip()
        )),
    )
}

/// How sure it is that a response tells of a handshake that failed before it. What else it says goes first, unless it
/// was made right after that; and a code that hardly anybody makes of a silence counts only then.
fn sure_of(status: StatusCode, failed: &FailedConnection, response: &Heard) -> Option<Confidence> {
    let is_usual = USUAL_OF_SILENCE.contains(&status.get());
    let says_why = ["Reason", "Retry-After"].into_iter().any(|name| response.message.header(name).is_some());
    match response.place.time.since(failed.place.time) <= RIGHT_AFTER {
        true => Some(Confidence::Likely),
        false if is_usual => Some(if says_why { Confidence::Possible } else { Confidence::Likely }),
        false => None,
    }
}

fn name(alert: u8) -> String {
    tls_alert(alert).map_or_else(|| format!("alert {alert}"), |known| format!("{} ({alert})", known.name))
}

/// What makes two connections the same case: between whom, and what went wrong.
type Kind = (IpAddr, IpAddr, Option<(u8, Option<u8>)>, Option<CertificateFault>);

fn check_capture(case: &CaptureCase<'_>) -> Vec<Finding> {
    let mut kinds: Vec<(Kind, &TlsConnection, u64)> = Vec::new();
    let is_of_sip = |seen: &&TlsConnection| is_for_sip(case.surroundings, seen.path.source.ip(), seen.path.destination);
    let of_sip = case.tls.iter().filter(is_of_sip);
    for (seen, kind) in of_sip.filter_map(|seen| Some((seen, kind(case, seen)?))) {
        match kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, _, count)) => *count += 1,
            None => kinds.push((kind, seen, 1)),
        }
    }
    let findings = kinds.into_iter().filter_map(|(_, seen, count)| {
        let finding = match seen.failure() {
            Some(HandshakeFailure::Alert(alert)) => of_alert(case, seen, alert, count),
            Some(HandshakeFailure::InClear(place)) => of_clear(seen, place, count),
            Some(HandshakeFailure::NoAnswer(ended)) => of_silence(case, seen, Some(ended), count),
            Some(HandshakeFailure::Left(ended)) => of_leaving(case, seen, ended, count),
            None if waits_in_vain(case, seen) => of_silence(case, seen, None, count),
            None => of_acceptance(case, seen, count)?,
        };
        Some(finding.naming(certificates::names(seen, lookups(case))))
    });
    findings.take(MOST).collect()
}

fn kind(case: &CaptureCase<'_>, seen: &TlsConnection) -> Option<Kind> {
    let (client, server) = ends(seen);
    let how = seen.failure().map(|failure| match failure {
        HandshakeFailure::Alert(alert) => (0, Some(alert.description)),
        HandshakeFailure::NoAnswer(_) => (1, None),
        HandshakeFailure::Left(_) => (2, None),
        HandshakeFailure::InClear(_) => (3, None),
    });
    let how = how.or_else(|| waits_in_vain(case, seen).then_some((4, None)));
    let fault = certificates::fault(seen, lookups(case)).map(|(_, fault)| fault);
    (how.is_some() || fault.is_some()).then_some((client, server, how, fault))
}

/// True if the client's hello had no answer when the capture ended, long after it, and nobody had ended the connection.
fn waits_in_vain(case: &CaptureCase<'_>, seen: &TlsConnection) -> bool {
    let is_silent = seen.version.is_none() && seen.alerts.is_empty();
    let is_left = seen.ended.is_none() && seen.records == 0 && !seen.client_went_on;
    is_silent && is_left && !seen.offered_suites.is_empty() && case.until().since(seen.place.time) >= OVERDUE
}

/// What clients had looked up.
fn lookups<'a>(case: &CaptureCase<'a>) -> &'a Lookups {
    case.surroundings.neighbours().lookups()
}

fn ends(seen: &TlsConnection) -> (IpAddr, IpAddr) {
    (seen.path.source.ip(), seen.path.destination.ip())
}

/// True of a connection to a port of SIP, or between hosts that exchange SIP.
fn is_for_sip(surroundings: &Surroundings, client: IpAddr, server: SocketAddr) -> bool {
    SIP_PORTS.contains(&server.port())
        || surroundings.hop(client, server.ip()).is_some()
        || surroundings.hop(server.ip(), client).is_some()
}

/// A fatal alert ended the handshake.
fn of_alert(case: &CaptureCase<'_>, seen: &TlsConnection, alert: Alert, count: u64) -> Finding {
    let (sender, other) = (alert.path.source, alert.path.destination);
    let number = alert.description;
    let known = tls_alert(number);
    let meaning = match seen.hello_place {
        Some(_) => known.map(|known| format!(" {}", known.meaning)).unwrap_or_default(),
        None => " No hello of TLS before it is in the capture: it may answer something that is not TLS.".to_owned(),
    };
    let role = if sender == seen.path.source { Role::Uac } else { Role::Uas };
    // Without a hello before it the alert may be the answer to something that is not TLS.
    let did = match seen.hello_place {
        Some(_) => format!("{sender} ended {} with {other} by", counted(count, "TLS handshake", "TLS handshakes")),
        None => format!("{sender} ended {} with {other} by", counted(count, "connection", "connections")),
    };
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .titled(format!("The TLS handshake failed: {}", name(number)))
        .severity(Severity::Error)
        .party(role, Some(sender))
        .because(format!("{did} the fatal alert {}.{meaning}{}", name(number), facts(case, seen, alert)))
        .claim_at(alert.place, "tls.alert_message.level", alert.level.to_string(), "the alert is fatal")
        .claim_at(alert.place, "tls.alert_message.desc", number.to_string(), "what the sender was not content with")
        .refuted("connection-failed", "the TCP connection came about, and TLS began on it");
    if let Some((_, fault)) = certificates::fault(seen, lookups(case)).filter(|_| is_about_certificate(alert)) {
        finding = certificates::claim(finding, seen, lookups(case), fault);
    }
    for step in steps(case, seen, alert) {
        finding = finding.fix(step);
    }
    match known.filter(|_| seen.hello_place.is_some()) {
        Some(known) => finding.fix(known.fix.as_str()),
        None => finding.fix(format!("Look what {other} sends to {sender} first: TLS must begin with its hello.")),
    }
}

/// The server answered in plain SIP.
fn of_clear(seen: &TlsConnection, place: Place, count: u64) -> Finding {
    let (client, server) = (seen.path.source, seen.path.destination);
    let handshakes = counted(count, "TLS handshake", "TLS handshakes");
    Finding::of(&RULE, Confidence::Proven)
        .titled(TO_PLAIN)
        .severity(Severity::Error)
        .party(Role::Uac, Some(client))
        .because(format!(
            "{client} began {handshakes} with {server}, and {server} answered in plain SIP: it speaks no TLS on that \
             port."
        ))
        .fix(cure_of_plain(server))
        .fix(format!("Or let {server} speak TLS; look at its transport in its configuration."))
        .claim_at(
            seen.hello_place.unwrap_or(seen.place),
            "tcp.dstport",
            server.port().to_string(),
            "the client's hello goes to this port",
        )
        .claim_at(place, "tcp.srcport", server.port().to_string(), "it is answered in clear")
        .refuted("connection-failed", "the TCP connection came about, and TLS began on it")
}

/// The server did not answer in TLS.
fn of_silence(case: &CaptureCase<'_>, seen: &TlsConnection, end: Option<Ended>, count: u64) -> Finding {
    let (client, server) = (seen.path.source, seen.path.destination);
    let is_plain = server.port() == PLAIN_PORT;
    let speaks_sip = case.surroundings.hop(server.ip(), client.ip()).is_some();
    let handshakes = counted(count, "TLS handshake", "TLS handshakes");
    let since = |time: Timestamp| length(time.since(seen.place.time));
    let said = match end {
        Some(end) if end.by == server => format!(
            "{server} {} the connection after {}, without a word of TLS.",
            if end.how == ConnectionEvent::Reset { "reset" } else { "closed" },
            since(end.place.time)
        ),
        Some(end) => format!("{server} said nothing for {}, and {client} gave up.", since(end.place.time)),
        None => format!("{server} said nothing in the {} until the capture ended.", since(case.until())),
    };
    let (title, confidence, meaning) = match is_plain {
        true => (TO_PLAIN, Confidence::Likely, format!(" Port {PLAIN_PORT} is that of plain SIP.")),
        false => ("The server did not answer the TLS handshake", Confidence::Possible, String::new()),
    };
    let also = if speaks_sip && is_plain { " The two exchange plain SIP besides." } else { "" };
    let hello = seen.hello_place.unwrap_or(seen.place);
    let finding = Finding::of(&RULE, confidence)
        .titled(title)
        .severity(Severity::Error)
        .party(if is_plain { Role::Uac } else { Role::Uas }, Some(if is_plain { client } else { server }))
        .because(format!("{client} began {handshakes} with {server}. {said}{meaning}{also}"))
        .claim_at(hello, "tcp.dstport", server.port().to_string(), "the client's hello goes to this port");
    let finding = match end {
        Some(end) => {
            let field = if end.how == ConnectionEvent::Reset { "tcp.flags.reset" } else { "tcp.flags.fin" };
            finding.claim_at(end.place, field, "1", "the connection ends, and no TLS came from the server")
        }
        None => {
            finding.claim_absent(hello, format!("TLS from {server} on this connection"), "until the end of the capture")
        }
    };
    let finding = finding.refuted("connection-failed", "the TCP connection came about, and TLS began on it");
    match is_plain {
        true => finding
            .fix(format!("Send TLS to port {TLS_PORT} of {}, or plain SIP to port {PLAIN_PORT}.", server.ip()))
            .fix(format!("Or let {server} speak TLS; look at its transport in its configuration.")),
        // Wireshark shows no TLS on the port of plain SIP.
        false => finding
            .claim_at(hello, "tls.handshake.type", "1", "a TLS handshake begins")
            .fix(format!("Look whether {server} speaks TLS on that port: `openssl s_client -connect {server}`."))
            .fix("Look in the log of the server for a certificate or key that it cannot read."),
    }
}

/// The client saw the certificate, and left without an alert.
fn of_leaving(case: &CaptureCase<'_>, seen: &TlsConnection, end: Ended, count: u64) -> Finding {
    let (client, server) = (seen.path.source, seen.path.destination);
    let handshakes = counted(count, "TLS handshake", "TLS handshakes");
    let fault = certificates::fault(seen, lookups(case));
    let (why, confidence) = match (fault, &seen.certificate) {
        (Some((certificate, fault)), _) => {
            (certificates::sentence(seen, lookups(case), certificate, fault), Confidence::Likely)
        }
        (None, Some(certificate)) => (certificates::issued(certificate), Confidence::Possible),
        (None, None) => (String::new(), Confidence::Possible),
    };
    let field = if end.how == ConnectionEvent::Reset { "tcp.flags.reset" } else { "tcp.flags.fin" };
    let mut finding = Finding::of(&RULE, confidence)
        .titled("The client did not go on after the certificate")
        .severity(Severity::Error)
        .party(Role::Uas, Some(server))
        .because(format!(
            "{client} broke off {handshakes} with {server} after it had the certificate, without an alert. {why}"
        ))
        .claim_at(end.place, field, "1", "the client ends the connection")
        .refuted("connection-failed", "the TCP connection came about, and TLS began on it");
    if let Some((_, fault)) = fault {
        finding = certificates::claim(finding, seen, lookups(case), fault).fix(certificates::cure(
            seen,
            lookups(case),
            fault,
        ));
    }
    finding.fix(format!("Look at the certificate: openssl s_client -connect {server} -showcerts"))
}

/// The handshake went well, and the certificate is not as it should be.
fn of_acceptance(case: &CaptureCase<'_>, seen: &TlsConnection, count: u64) -> Option<Finding> {
    let (certificate, fault) = certificates::fault(seen, lookups(case))?;
    // Of a connection that carried nothing it is not known how it went on.
    if seen.records == 0 {
        return None;
    }
    let severity = match fault {
        CertificateFault::Expired | CertificateFault::NotYetValid => Severity::Warning,
        CertificateFault::OtherName => Severity::Info,
        // Among one's own hosts that is no fault.
        CertificateFault::SelfSigned => return None,
    };
    let (client, server) = (seen.path.source, seen.path.destination);
    let connections = counted(count, "TLS connection", "TLS connections");
    // Where the client named no host, the name is the one that it had looked up.
    let is_told = fault != CertificateFault::OtherName || seen.server_name.is_some();
    let finding = Finding::of(&RULE, if is_told { Confidence::Proven } else { Confidence::Likely })
        .titled("The certificate is not valid, and was accepted")
        .severity(severity)
        .party(Role::Uas, Some(server))
        .because(format!(
            "{} {} accepted it all the same, on {connections} with {server}; a client that looks closer will not.",
            certificates::sentence(seen, lookups(case), certificate, fault),
            client.ip()
        ))
        .fix(certificates::cure(seen, lookups(case), fault));
    Some(certificates::claim(finding, seen, lookups(case), fault))
}

/// What else the handshake shows that fits the alert.
fn facts(case: &CaptureCase<'_>, seen: &TlsConnection, alert: Alert) -> String {
    let mut facts = String::new();
    match (&seen.certificate, certificates::fault(seen, lookups(case))) {
        (Some(certificate), Some((_, fault))) => {
            facts.push_str(&format!(" {}", certificates::sentence(seen, lookups(case), certificate, fault)));
        }
        (Some(certificate), None) => facts.push_str(&format!(" {}", certificates::issued(certificate))),
        (None, _) if is_about_certificate(alert) => {
            facts.push_str(" The certificate is not visible in the capture.");
        }
        (None, _) => {}
    }
    if seen.wants_client_certificate {
        facts.push_str(" The server had asked for a certificate of the client.");
    }
    if seen.version.is_none() && !seen.offered_versions.is_empty() {
        let offered: Vec<String> =
            seen.offered_versions.iter().filter(|it| is_version(**it)).map(|it| version_name(*it)).collect();
        let suites = counted(seen.offered_suites.len() as u64, "cipher suite", "cipher suites");
        facts.push_str(&format!(" The client offered {} and {suites}.", offered.join(", ")));
    }
    facts
}

/// Some numbers are offered only so that servers learn to pass over what they do not know (RFC 8701).
fn is_version(version: u16) -> bool {
    (0x0300..=0x0304).contains(&version)
}

/// Alerts 42 to 46, 48 and 116 speak of a certificate.
fn is_about_certificate(alert: Alert) -> bool {
    matches!(alert.description, 42..=46 | 48 | 116)
}

fn steps(case: &CaptureCase<'_>, seen: &TlsConnection, alert: Alert) -> Vec<String> {
    let server = seen.path.destination;
    let from_server = alert.path.source == server;
    if from_server && seen.wants_client_certificate && matches!(alert.description, 40 | 42 | 116) {
        return vec![format!(
            "Give the client {} a certificate that {server} trusts, or let the server not ask for one.",
            seen.path.source.ip()
        )];
    }
    if is_about_certificate(alert) && !from_server {
        let cure =
            certificates::fault(seen, lookups(case)).map(|(_, fault)| certificates::cure(seen, lookups(case), fault));
        let look = format!("Look at the certificate: openssl s_client -connect {server} -showcerts");
        return cure.into_iter().chain([look]).collect();
    }
    Vec::new()
}
