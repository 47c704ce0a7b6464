use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role};
use crate::net::{TlsConnection, version_name};
use crate::oddity::{Oddity, Unread};

rule! {
    /// A part of the capture could not be read.
    ///
    /// ## What it says
    /// Some packets are encrypted, or of a link type that this program does not know. There may be SIP in them.
    ///
    /// ## Why it happens
    /// SIP goes over TLS and its secrets were not given, or not for this connection; its cipher is one that this
    /// program does not know; the capture began after the connection did. Or the capture was made on an unusual
    /// interface.
    ///
    /// ## Evidence
    /// TLS records without secrets, with the name of their server and the reason for each; frames of an unknown link
    /// type.
    ///
    /// ## How to fix
    /// For TLS let the client or the server write its secrets (`SSLKEYLOGFILE`) and give them with `--keylog`; or
    /// capture where it is decrypted, on the PBX or SBC itself; or let that log its SIP messages. A connection that is
    /// older than the capture cannot be opened: start the capture first. For the link type capture on another
    /// interface.
    ///
    /// ## When it would be wrong
    /// The encrypted packets may carry something else than SIP, such as the web pages of a telephone.
    ///
    /// ## References
    /// RFC 8446 §5; RFC 3261 §26.2.1
    "J7" "payload-unreadable", capture check
}

/// Frames that are cited of each kind.
const CITED: usize = 3;
/// Servers that are named.
const MOST_GROUPS: usize = 5;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let encrypted = case.count("payload-unreadable");
    let foreign = case.count("unsupported-link-type");
    let unread: Vec<&TlsConnection> = case.tls.iter().filter(|seen| seen.unread.is_some()).collect();
    let mut words = groups(&unread);
    let others = encrypted.saturating_sub(unread.len() as u64);
    if others > 0 {
        words.push(format!("{} encrypted or compressed", counted(others, "connection is", "connections are")));
    }
    if foreign > 0 {
        words.push(format!("{} of a link type that is not supported", counted(foreign, "frame is", "frames are")));
    }
    if words.is_empty() {
        return None;
    }
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .because(format!("Not read: {}. What they carry is not judged.", words.join("; ")))
        .naming(unread.iter().filter_map(|seen| seen.server_name.as_deref()));
    if unread.iter().any(|seen| seen.unread == Some(Unread::NoSecret)) {
        finding = finding.fix(
            "Let the client or the server write its TLS secrets (SSLKEYLOGFILE), and give them with --keylog FILE.",
        );
    }
    if unread.iter().any(|seen| seen.unread == Some(Unread::NotFromStart)) {
        finding =
            finding.fix("Start the capture before the TLS connection is made: its handshake is needed to open it.");
    }
    if encrypted > 0 {
        finding =
            finding.fix("Capture where it is readable: on the PBX or SBC itself, or let that log its SIP messages.");
    }
    for (_, noted) in case.noted("unsupported-link-type") {
        if let Oddity::UnsupportedLinkType { link_type } = noted.example {
            let step = format!("Capture on another interface: link type {link_type} is not supported.");
            finding = finding.fix(step);
        }
    }
    finding = cite(finding, case, "unsupported-link-type", "of a link type that is not supported");
    Some(cite(finding, case, "payload-unreadable", "from here on the connection is encrypted or compressed"))
}

/// The connections by server and reason, in order of their first.
fn groups(unread: &[&TlsConnection]) -> Vec<String> {
    let mut groups: Vec<(String, Unread, u64, u64)> = Vec::new();
    for seen in unread {
        let Some(why) = seen.unread else { continue };
        let version = seen.version.map(|version| format!(", {}", version_name(version))).unwrap_or_default();
        let server = format!("{}{version}", seen.server());
        let known = groups.iter().position(|(known, reason, ..)| (known, *reason) == (&server, why));
        if let Some((_, _, connections, records)) = known.and_then(|at| groups.get_mut(at)) {
            *connections += 1;
            *records += seen.records;
        } else if groups.len() < MOST_GROUPS {
            groups.push((server, why, 1, seen.records));
        }
    }
    let named = groups.iter().map(|(.., connections, _)| connections).sum::<u64>();
    let mut words: Vec<String> = groups
        .into_iter()
        .map(|(server, why, connections, records)| {
            let connections = counted(connections, "TLS connection", "TLS connections");
            let records = counted(records, "record", "records");
            format!("{connections} to {server}, {records}: {}", why.says())
        })
        .collect();
    let rest = (unread.len() as u64).saturating_sub(named);
    if rest > 0 {
        words.push(counted(rest, "other TLS connection", "other TLS connections"));
    }
    words
}

fn cite(finding: Finding, case: &CaptureCase<'_>, kind: &'static str, says: &str) -> Finding {
    case.first(kind, CITED)
        .into_iter()
        .fold(finding, |finding, place| finding.claim_at(place, "frame.number", place.frame.to_string(), says))
}
