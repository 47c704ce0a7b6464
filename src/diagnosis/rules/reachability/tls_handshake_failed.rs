use std::net::IpAddr;

use crate::capture::{Digits, Timestamp};
use crate::catalogue::tls_alert;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity};
use crate::net::{Alert, Certificate, TlsConnection, version_name};

rule! {
    /// The TLS handshake failed.
    ///
    /// ## What it says
    /// One side ended the handshake of TLS with a fatal alert, so no SIP could pass. The alert says why, and who sent it.
    ///
    /// ## Why it happens
    /// The certificate has expired, is not trusted or bears another name; the two have no version or cipher in common;
    /// the server wants a certificate of the client and gets none; or something that is not TLS talks to the port.
    ///
    /// ## Evidence
    /// An alert of level 2 before anything else had passed; the dates and names of the server's certificate, which TLS 1.3
    /// shows only to those who have the secrets; the name that the client asked for; the versions that it offered.
    ///
    /// ## How to fix
    /// As the alert says: `sipwhy explain tls-NUMBER` has each. Who sent the alert is the one who was not content.
    ///
    /// ## When it would be wrong
    /// A close_notify is no failure. Connections of other protocols than SIP are not looked at: only those to the ports of
    /// SIP, and between hosts that exchange SIP.
    ///
    /// ## References
    /// RFC 8446 §6; RFC 5246 §7.2; RFC 5922 §7; RFC 3261 §26.2.1
    "B6" "tls-handshake-failed", capture check
}

/// The ports of SIP (RFC 3261 §19.1.2).
const SIP_PORTS: [u16; 2] = [5060, 5061];
/// Records that are marked as application data while TLS 1.3 still shakes hands.
const MOST_OF_HANDSHAKE: u64 = 8;
const FATAL: u8 = 2;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let failed = || case.tls.iter().filter(|seen| is_for_sip(case, seen)).filter_map(|seen| Some((seen, fatal(seen)?)));
    let (seen, alert) = failed().min_by_key(|(_, alert)| alert.place)?;
    let kind = |seen: &TlsConnection, alert: Alert| (ends(seen), alert.path.source.ip(), alert.description);
    let count = failed().filter(|(other, of)| kind(other, *of) == kind(seen, alert)).count() as u64;
    let others = failed().count() as u64 - count;
    let also = match others {
        0 => String::new(),
        more => format!(" {} failed too, between other hosts or by other alerts.", counted(more, "handshake", "handshakes")),
    };
    let (sender, other) = (alert.path.source, alert.path.destination);
    let number = alert.description;
    let known = tls_alert(number);
    let name = known.map_or_else(|| format!("alert {number}"), |known| format!("{} ({number})", known.name));
    let meaning = known.map(|known| format!(" {}", known.meaning)).unwrap_or_default();
    let role = if sender == seen.path.source { Role::Uac } else { Role::Uas };
    let handshakes = counted(count, "TLS handshake", "TLS handshakes");
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .titled(format!("The TLS handshake failed: {name}"))
        .severity(Severity::Error)
        .party(role, Some(sender))
        .because(format!(
            "{sender} ended {handshakes} with {other} by the fatal alert {name}.{meaning}{}{also}",
            facts(seen, alert)
        ))
        .claim_at(alert.place, "tls.alert_message.level", FATAL.to_string(), "the alert is fatal")
        .claim_at(alert.place, "tls.alert_message.desc", number.to_string(), "what the sender was not content with")
        .refuted("connection-failed", "the TCP connection came about, and TLS began on it");
    for step in steps(seen, alert) {
        finding = finding.fix(step);
    }
    if let Some(known) = known {
        finding = finding.fix(known.fix.as_str());
    }
    Some(finding)
}

fn ends(seen: &TlsConnection) -> (IpAddr, IpAddr) {
    (seen.path.source.ip(), seen.path.destination.ip())
}

fn is_for_sip(case: &CaptureCase<'_>, seen: &TlsConnection) -> bool {
    let (client, server) = ends(seen);
    SIP_PORTS.contains(&seen.path.destination.port())
        || case.surroundings.hop(client, server).is_some()
        || case.surroundings.hop(server, client).is_some()
}

/// The alert that ended the handshake.
fn fatal(seen: &TlsConnection) -> Option<Alert> {
    let most = if seen.version == Some(0x0304) { MOST_OF_HANDSHAKE } else { 0 };
    let alert = seen.alerts.iter().find(|alert| alert.level == FATAL && alert.description != 0)?;
    (seen.records <= most).then_some(*alert)
}

/// What else the handshake shows that fits the alert.
fn facts(seen: &TlsConnection, alert: Alert) -> String {
    let mut facts = String::new();
    match &seen.certificate {
        Some(certificate) => facts.push_str(&of_certificate(certificate, seen, alert)),
        None if is_about_certificate(alert) => facts.push_str(" The certificate is not visible in the capture."),
        None => {}
    }
    if seen.wants_client_certificate {
        facts.push_str(" The server had asked for a certificate of the client.");
    }
    if seen.version.is_none() && !seen.offered_versions.is_empty() {
        let offered: Vec<String> = seen.offered_versions.iter().filter(|it| is_version(**it)).map(|it| version_name(*it)).collect();
        let suites = counted(seen.offered_suites.len() as u64, "cipher suite", "cipher suites");
        facts.push_str(&format!(" The client offered {} and {suites}.", offered.join(", ")));
    }
    facts
}

/// Some numbers are offered only so that servers learn to pass over what they do not know (RFC 8701).
fn is_version(version: u16) -> bool {
    (0x0300..=0x0304).contains(&version)
}

fn of_certificate(certificate: &Certificate, seen: &TlsConnection, alert: Alert) -> String {
    let Certificate { subject, issuer, names, not_before, not_after, .. } = certificate;
    let now = alert.place.time.0.div_euclid(1_000_000_000);
    if *not_after < now {
        return format!(" The certificate of \"{subject}\" was valid until {}.", date(*not_after));
    }
    if *not_before > now {
        return format!(" The certificate of \"{subject}\" is valid only from {} on.", date(*not_before));
    }
    let knows_all = !names.is_empty() && names.len() < Certificate::MOST_NAMES;
    if let Some(wanted) = seen.server_name.as_ref().filter(|wanted| knows_all && !bears(names, wanted)) {
        return format!(" The client asked for {wanted}; the certificate is for {}.", names.join(", "));
    }
    if certificate.is_self_signed {
        return format!(" The certificate of \"{subject}\" is signed by itself.");
    }
    format!(" The certificate of \"{subject}\" was issued by {issuer} and is valid until {}.", date(*not_after))
}

/// Whether one of the names is that of the host; a star stands for its first label (RFC 6125 §6.4.3).
fn bears(names: &[String], host: &str) -> bool {
    names.iter().any(|name| {
        name.eq_ignore_ascii_case(host)
            || name.strip_prefix("*.").zip(host.split_once('.')).is_some_and(|(name, (_, host))| name.eq_ignore_ascii_case(host))
    })
}

fn date(seconds: i64) -> String {
    let nanoseconds = i128::from(seconds) * 1_000_000_000;
    let time = Timestamp(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
    time.rfc3339(Digits::Micro).chars().take(10).collect()
}

/// Alerts 42 to 46, 48 and 116 speak of a certificate.
fn is_about_certificate(alert: Alert) -> bool {
    matches!(alert.description, 42..=46 | 48 | 116)
}

fn steps(seen: &TlsConnection, alert: Alert) -> Vec<String> {
    let server = seen.path.destination;
    let from_server = alert.path.source == server;
    if from_server && seen.wants_client_certificate && matches!(alert.description, 40 | 42 | 116) {
        return vec![format!("Give the client {} a certificate that {server} trusts, or let the server not ask for one.", seen.path.source.ip())];
    }
    if is_about_certificate(alert) && !from_server {
        return vec![format!("Look at the certificate: openssl s_client -connect {server} -showcerts")];
    }
    Vec::new()
}
