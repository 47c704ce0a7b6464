use crate::call::{TlsFailure, TlsFault};
use crate::catalogue::tls_alert;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};
use crate::net::Transport;

rule! {
    /// TLS did not come about.
    ///
    /// ## What it says
    /// The two sides could not agree on an encrypted connection, so no SIP was exchanged over it.
    ///
    /// ## Why it happens
    /// A certificate is expired, unknown, or for another name; versions or ciphers do not fit; a client certificate is
    /// missing; or one side speaks TLS and the other plain SIP.
    ///
    /// ## Evidence
    /// A fatal TLS alert on a port of SIP; TLS on port 5060, and the connection ended; or plain SIP sent to port 5061.
    ///
    /// ## How to fix
    /// As the alert says: renew or complete the certificate, trust its authority, allow a common version, send a client
    /// certificate; or use the right port and transport.
    ///
    /// ## When it would be wrong
    /// `close_notify` is the ordinary end of a connection. Under TLS 1.3 the certificate itself cannot be seen.
    ///
    /// ## References
    /// RFC 8446 §6; RFC 5246 §7.2; RFC 5922 §7; RFC 3261 §26.2
    "B6" "tls-handshake-failed", check, capture of_capture
}

/// The port of SIP over TLS (RFC 3261 §19.1.2).
const SECURE: u16 = 5061;

/// Plain SIP over TCP to the port for TLS, without an answer.
fn check(case: &Case<'_>) -> Option<Finding> {
    let deciding = case.deciding()?;
    let request = case.call.request_of(deciding)?;
    let is_plain = request.path.transport == Transport::Tcp && request.path.destination.port() == SECURE;
    if !is_plain || case.has_response(deciding) {
        return None;
    }
    let (path, until) = (request.path, case.capture.until);
    let broken = case.surroundings.failed_connections().broken(path, request.place.time, until);
    let alert = case.surroundings.neighbours().tls_failures().iter().find(|failure| {
        failure.from == path.destination && failure.to == path.source && failure.place > request.place
    });
    if broken.is_none() && alert.is_none() {
        return None;
    }
    let server = path.destination;
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(None)
        .sender(Role::Uac, request)
        .because(format!(
            "{} sent plain SIP to {server}, where TLS is expected, and {server} ended the connection without an answer.",
            path.source
        ))
        .fix(format!("Use TLS to {server} (transport=tls), or plain TCP to its port 5060."))
        .claim_method(request, "SIP that can be read, so it is not encrypted")
        .claim(request, "tcp.dstport", SECURE.to_string(), "the port for SIP over TLS");
    if let Some(alert) = alert {
        finding = claim(finding, alert);
    }
    Some(finding.refuted("connection-failed", "the connection came about, and plain SIP was sent to the port for TLS"))
}

/// What failed without any SIP.
fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    let failures = case.surroundings.neighbours().tls_failures();
    let first = failures.first()?;
    let same = failures.iter().filter(|one| (one.from.ip(), one.fault) == (first.from.ip(), first.fault)).count();
    let often = if same > 1 { format!(" It happened {}.", counted(same as u64, "time", "times")) } else { String::new() };
    let others = match failures.len() - same {
        0 => String::new(),
        more => format!(" {} failed otherwise.", counted(more as u64, "more connection", "more connections")),
    };
    let finding = Finding::of(&RULE, Confidence::Proven).severity(Severity::Error);
    let finding = match first.fault {
        TlsFault::Alert(number) => {
            let known = tls_alert(number);
            let name = known.map_or_else(|| format!("alert {number}"), |known| known.name.clone());
            let meaning = known.map(|known| known.meaning.clone()).unwrap_or_default();
            let step = known.map(|known| known.fix.clone()).unwrap_or_default();
            let finding = finding.party(Role::Network, Some(first.to)).because(format!(
                "{} ended TLS with {} by the alert {number} ({name}). {meaning}{often}{others}",
                first.from, first.to
            ));
            if step.is_empty() { finding } else { finding.fix(step) }
        }
        TlsFault::OnPlainPort => finding
            .party(Role::Uac, Some(first.from))
            .because(format!(
                "{} began TLS with {}, the port for plain SIP, and {} ended the connection.{often}{others}",
                first.from, first.to, first.to
            ))
            .fix(format!("Use port {SECURE} for TLS, or plain TCP to port 5060.")),
    };
    Some(failures.iter().take(4).fold(finding, claim))
}

fn claim(finding: Finding, failure: &TlsFailure) -> Finding {
    match failure.fault {
        TlsFault::Alert(number) => finding
            .claim_at(failure.place, "tls.alert_message.level", "2", "a fatal alert")
            .claim_at(failure.place, "tls.alert_message.desc", number.to_string(), "what is wrong"),
        TlsFault::OnPlainPort => {
            finding.claim_at(failure.place, "tcp.dstport", failure.to.port().to_string(), "TLS on the port for plain SIP")
        }
    }
}
