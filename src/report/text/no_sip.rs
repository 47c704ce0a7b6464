//! What is said of a capture in which there is no SIP: why, as far as its packets tell.

use std::io;

use crate::catalogue::{Phrases, Word};
use crate::net::Transport;
use crate::report::gatherer::Gathered;
use crate::report::record::FindingRecord;
use crate::report::text::lines::{Line, Lines};
use crate::report::text::notes::sentence;
use crate::report::text::style::Ink;
use crate::report::text::words::{counted, grouped};

/// Ports that are listed.
const MOST_PORTS: usize = 6;
/// Servers of TLS that are named.
const MOST_SERVERS: usize = 3;
/// Where SIP over TLS is listened for (RFC 3261 §19.1.2).
const SIPS_PORT: u16 = 5061;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    lines.empty()?;
    let all: u64 = gathered.inputs.iter().map(|input| input.packets).sum();
    let words = lines.style.words;
    let heading = Line::new().ink(Ink::Doubtful, words.word(Word::NoSip));
    if all == 0 && noted(gathered, "capture-cut") > 0 {
        return lines.line(heading.plain(words.word(Word::NoSipCut)));
    }
    if all == 0 {
        lines.line(heading.plain(words.word(Word::NoSipEmpty)))?;
        return said(lines, words.word(Word::WasFilterRight));
    }
    let packets = counted(&words, Word::Packets, all);
    lines.line(heading.plain(words.fill(Word::NoSipIn, &[("packets", &packets)])))?;
    let told: Vec<&FindingRecord> = gathered.notes.iter().filter(|note| is_reason(gathered, note)).collect();
    for note in &told {
        said(lines, &sentence(&words, note))?;
        for step in note.fix.iter().take(1).chain(&note.next_capture) {
            lines.wrapped(Line::new().plain("  → "), &Line::new().plain("    "), &step.for_terminal())?;
        }
    }
    let reasons = reasons(&words, gathered);
    for reason in &reasons {
        said(lines, reason)?;
    }
    if gathered.filtered_out > 0 {
        let through = all.saturating_sub(gathered.filtered_out);
        said(lines, &words.fill(Word::FilterLeftOut, &[("count", &grouped(through)), ("packets", &packets)]))?;
    } else if told.is_empty() && reasons.is_empty() {
        said(lines, words.word(Word::CaptureElsewhere))?;
    }
    let ports = ports(&words, gathered);
    if !ports.is_empty() {
        said(lines, &words.fill(Word::Seen, &[("ports", &ports.join(words.word(Word::Comma)))]))?;
    }
    Ok(())
}

/// True if a finding about a capture without SIP says why there is none: what was to carry it did not come about.
pub(crate) fn is_reason(gathered: &Gathered, note: &FindingRecord) -> bool {
    const REASONS: [&str; 2] = ["connection-failed", "tls-handshake-failed"];
    REASONS.contains(&note.rule.as_str()) && gathered.inputs.iter().all(|input| input.sip_messages == 0)
}

fn said(lines: &mut Lines<'_>, text: &str) -> io::Result<()> {
    lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), text)
}

/// Why there is none, as far as oddities and ports tell.
fn reasons(words: &Phrases, gathered: &Gathered) -> Vec<String> {
    let mut reasons = Vec::new();
    let cut = noted(gathered, "capture-truncated");
    if cut > 0 {
        reasons.push(counted(words, Word::CutShort, cut));
    }
    let encrypted = noted(gathered, "payload-unreadable");
    let tls_port = gathered.census.ports.keys().any(|(_, port)| *port == SIPS_PORT);
    if let Some(connections) = connections(words, gathered) {
        reasons.push(connections);
    }
    if encrypted > 0 || tls_port {
        reasons.push(words.word(Word::Encrypted).into());
    }
    if noted(gathered, "unsupported-link-type") > 0 {
        reasons.push(words.word(Word::LinkType).into());
    }
    reasons
}

/// How often an oddity was noted.
fn noted(gathered: &Gathered, kind: &str) -> u64 {
    let oddities = gathered.inputs.iter().flat_map(|input| &input.oddities);
    oddities.filter(|oddity| oddity.kind == kind).map(|oddity| oddity.count).fold(0, u64::saturating_add)
}

/// Which TLS connections there are: `2 TLS connections, with 45 records, to sip.example.com (192.0.2.20:5061).`
fn connections(words: &Phrases, gathered: &Gathered) -> Option<String> {
    let census = &gathered.census;
    let secrets = gathered.privacy.of_nobody();
    let mut servers: Vec<String> = Vec::new();
    for seen in &census.tls {
        let server = secrets.naming(seen.server_name.as_slice()).hide(&seen.server());
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    if servers.is_empty() {
        return None;
    }
    let records = census.tls.iter().map(|seen| seen.records).sum();
    let others = servers.len().saturating_sub(MOST_SERVERS);
    servers.truncate(MOST_SERVERS);
    let mut named = servers.join(words.word(Word::Comma));
    if others > 0 {
        named.push_str(&counted(words, Word::AndOthers, others as u64));
    }
    let connections = counted(words, Word::TlsConnections, census.tls_connections);
    let records = counted(words, Word::TlsRecords, records);
    Some(words.fill(Word::TlsSeen, &[("connections", &connections), ("records", &records), ("servers", &named)]))
}

/// What payloads and SYNs there were, most first: `UDP 53 (DNS) 12`.
fn ports(words: &Phrases, gathered: &Gathered) -> Vec<String> {
    let census = &gathered.census;
    let mut seen = census.ports.clone();
    census.asked.iter().for_each(|(port, count)| *seen.entry(*port).or_default() += count);
    let mut ports: Vec<(u64, (Transport, u16))> = seen.into_iter().map(|(port, count)| (count, port)).collect();
    ports.sort_by_key(|(count, port)| (std::cmp::Reverse(*count), *port));
    let named = ports.iter().take(MOST_PORTS).map(|(count, (transport, port))| {
        let name = service(*port).map(|name| format!(" ({name})")).unwrap_or_default();
        let packets = counted(words, Word::Packets, *count);
        let values: [(&str, &dyn std::fmt::Display); 4] =
            [("transport", transport), ("port", port), ("name", &name), ("packets", &packets)];
        words.fill(Word::PortSeen, &values)
    });
    let mut named: Vec<String> = named.collect();
    if ports.len() > MOST_PORTS {
        named.push(counted(words, Word::OtherPorts, (ports.len() - MOST_PORTS) as u64));
    }
    named
}

/// What usually uses a port (IANA service names).
fn service(port: u16) -> Option<&'static str> {
    let name = match port {
        22 => "SSH",
        53 => "DNS",
        67 | 68 => "DHCP",
        80 => "HTTP",
        123 => "NTP",
        137..=139 => "NetBIOS",
        161 | 162 => "SNMP",
        443 => "HTTPS",
        514 => "syslog",
        1720 => "H.323",
        2000 => "SCCP",
        2427 | 2727 => "MGCP",
        3478 | 5349 => "STUN",
        4569 => "IAX2",
        5060 => "SIP",
        5061 => "SIP over TLS",
        5353 => "mDNS",
        _ => return None,
    };
    Some(name)
}
