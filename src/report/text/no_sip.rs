//! What is said of a capture in which there is no SIP: why, as far as its packets tell.

use std::io;

use crate::analysis::Census;
use crate::net::Transport;
use crate::report::gatherer::Gathered;
use crate::report::text::lines::{Line, Lines};
use crate::report::text::style::Ink;
use crate::report::text::words::counted;

/// Ports that are listed.
const MOST_PORTS: usize = 6;
/// Servers of TLS that are named.
const MOST_SERVERS: usize = 3;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    lines.empty()?;
    let packets: u64 = gathered.inputs.iter().map(|input| input.packets).sum();
    if packets == 0 {
        lines.line(Line::new().ink(Ink::Doubtful, "No SIP found").plain(": the capture holds no packets (empty)."))?;
        return said(lines, "Was the filter right, and did anything pass while it ran?");
    }
    let heading = Line::new().ink(Ink::Doubtful, "No SIP found");
    lines.line(heading.plain(format!(" in {}.", counted(packets, "packet"))))?;
    for reason in reasons(gathered) {
        said(lines, &reason)?;
    }
    let ports = ports(gathered);
    if !ports.is_empty() {
        said(lines, &format!("What was seen: {}.", ports.join(", ")))?;
    }
    Ok(())
}

fn said(lines: &mut Lines<'_>, text: &str) -> io::Result<()> {
    lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), text)
}

/// Why there is none, as far as oddities and ports tell.
fn reasons(gathered: &Gathered) -> Vec<String> {
    let mut reasons = Vec::new();
    let noted = |kind: &str| -> u64 {
        let oddities = gathered.inputs.iter().flat_map(|input| &input.oddities);
        oddities.filter(|oddity| oddity.kind == kind).map(|oddity| oddity.count).sum()
    };
    let cut = noted("capture-truncated");
    if cut > 0 {
        reasons.push(format!(
            "{} cut by the snap length, so SIP may have been cut away: capture again with -s 0.",
            were(cut, "packet")
        ));
    }
    let encrypted = noted("payload-unreadable");
    let tls_port = gathered.census.ports.keys().any(|(_, port)| *port == 5061);
    if let Some(connections) = connections(&gathered.census) {
        reasons.push(connections);
    }
    if encrypted > 0 || tls_port {
        reasons.push(
            "Traffic is encrypted (TLS, usually on port 5061): give the secrets with --keylog, or capture where it is \
             decrypted, on the PBX or SBC itself, or let it log its SIP messages."
                .into(),
        );
    }
    if noted("unsupported-link-type") > 0 {
        reasons.push("Packets of a link type that is not supported were not read.".into());
    }
    if reasons.is_empty() {
        reasons.push(
            "SIP is found on any port, so it did not pass here: capture on the PBX or SBC itself, with \
             tcpdump -i any -s 0 -w sip.pcap, and check that the filter lets UDP, TCP and fragments through."
                .into(),
        );
    }
    reasons
}

/// Which TLS connections there are: `2 TLS connections, with 45 records, to sip.example.com (192.0.2.20:5061).`
fn connections(census: &Census) -> Option<String> {
    let mut servers: Vec<String> = Vec::new();
    for seen in &census.tls {
        let server = seen.server();
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
    let mut named = servers.join(", ");
    if others > 0 {
        named.push_str(&format!(" and {}", counted(others as u64, "other")));
    }
    let connections = counted(census.tls_connections, "TLS connection");
    Some(format!("{connections}, with {}, to {named}.", counted(records, "record")))
}

fn were(count: u64, one: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, one))
}

/// What the payloads were, most first: `UDP 53 (DNS) 12`.
fn ports(gathered: &Gathered) -> Vec<String> {
    let mut ports: Vec<(u64, (Transport, u16))> =
        gathered.census.ports.iter().map(|(port, count)| (*count, *port)).collect();
    ports.sort_by_key(|(count, port)| (std::cmp::Reverse(*count), *port));
    let named = ports.iter().take(MOST_PORTS).map(|(count, (transport, port))| {
        let name = service(*port).map(|name| format!(" ({name})")).unwrap_or_default();
        format!("{transport} port {port}{name}: {}", counted(*count, "packet"))
    });
    let mut named: Vec<String> = named.collect();
    if ports.len() > MOST_PORTS {
        named.push(counted((ports.len() - MOST_PORTS) as u64, "other port"));
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
