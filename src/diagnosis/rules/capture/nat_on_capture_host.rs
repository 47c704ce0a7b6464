use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::call::{ChecksumFault, ChecksumsOf};
use crate::capture::SourceId;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{counted, list, source_field};
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity, Witness};

rule! {
    /// The packets show where the capture was made.
    ///
    /// ## What it says
    /// The same request is in the capture before and behind the translation of its addresses: it was sent once, and is
    /// seen twice. Or UDP checksums show that the capture was made on the sending host, or among machines that one host
    /// holds; or they are left out.
    ///
    /// ## Why it happens
    /// The capture was made on the router or host that translates, on all its interfaces. A host leaves checksums to
    /// its network card, and a capture on that host sees the packets before the card does. Between containers and
    /// virtual machines of one machine there is no card, and nobody writes them. Some tunnels and boxes send no checksum
    /// at all.
    ///
    /// ## Evidence
    /// One request, with one branch in its topmost Via, between two pairs of addresses. UDP checksums that are 0, or
    /// that hold the sum of addresses and length alone, which the card was to complete.
    ///
    /// ## How to fix
    /// Capture on one interface only, so that times and counts are those of one side. Checksums that the card was to
    /// complete are no fault; one that is left out over IPv6 is, and the receiver drops the packet.
    ///
    /// ## When it would be wrong
    /// A device that sends a request on to another address without a branch of its own breaks RFC 3261 §16.6. One
    /// packet may hold such a sum by chance.
    ///
    /// ## References
    /// RFC 3261 §17.2.3, §16.6; RFC 3022 §2; RFC 768; RFC 8200 §8.1
    "J8" "nat-on-capture-host", each of capture check
}

/// Packets that make it no chance.
const NO_CHANCE: u64 = 3;
/// Senders of which this is told.
const MOST: usize = 4;

fn check(case: &CaptureCase<'_>) -> Vec<Finding> {
    let checksums = case.surroundings.neighbours().checksums();
    let unwritten = checksums.of(ChecksumFault::NotYetWritten);
    let offloading: Vec<_> = unwritten.filter(|(sender, seen)| is_no_chance(case, *sender, seen)).collect();
    let left_out = checksums.of(ChecksumFault::LeftOut);
    both_sides(case)
        .into_iter()
        .chain(by_input(offloading).values().filter_map(|of_one| captured_at(of_one)))
        .chain(left_out.take(MOST).map(|(sender, seen)| without_checksum(sender, seen)))
        .collect()
}

/// Most of what the sender sent is like that.
fn is_no_chance(case: &CaptureCase<'_>, sender: IpAddr, seen: &ChecksumsOf) -> bool {
    seen.count >= NO_CHANCE && seen.count.saturating_mul(2) >= case.surroundings.sent_by(sender)
}

/// Those of one input together: another one may have been captured elsewhere.
fn by_input(seen: Vec<(IpAddr, &ChecksumsOf)>) -> BTreeMap<SourceId, Vec<(IpAddr, &ChecksumsOf)>> {
    let mut inputs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in seen {
        inputs.entry(one.1.first.source).or_default().push(one);
    }
    inputs
}

/// What unfinished checksums say of where the capture was made. One sender is that host, as a rule; several are
/// machines that no network card parts.
fn captured_at(offloading: &[(IpAddr, &ChecksumsOf)]) -> Option<Finding> {
    let (sender, seen) = offloading.first()?;
    let finding = Finding::of(&RULE, Confidence::Likely).party(Role::Capture, None);
    let finding = match offloading.len() {
        1 => finding.titled(format!("The capture was made on {sender}")).because(format!(
            "{} of {sender} with SIP were captured before any network card had written the UDP checksum: the capture \
             was made on that host, or where it is a container or virtual machine, on the machine that holds it. That \
             other programs call these checksums wrong means nothing; and that a packet of {sender} is in the capture \
             does not prove that it left that machine.",
            counted(seen.count, "packet", "packets")
        )),
        count => finding.titled("The capture was made among hosts of one machine").because(format!(
            "{} of {count} hosts ({}) with SIP were captured before any network card had written the UDP checksum. \
             So they had crossed no wire: these hosts are containers or virtual machines of one machine, and the \
             capture was made there. That other programs call these checksums wrong means nothing.",
            counted(offloading.iter().map(|(_, seen)| seen.count).sum(), "packet", "packets"),
            list(&offloading.iter().take(MOST).map(|(sender, _)| sender.to_string()).collect::<Vec<_>>()),
        )),
    };
    let held = format!("0x{:04x}", seen.held);
    Some(finding.claim_at(seen.first, "udp.checksum", held, "the sum of addresses and length alone"))
}

fn without_checksum(sender: IpAddr, seen: &ChecksumsOf) -> Finding {
    let packets = counted(seen.count, "packet", "packets");
    let carry = if seen.count == 1 { "carries" } else { "carry" };
    let finding = Finding::of(&RULE, Confidence::Proven).titled("UDP checksums are left out").claim_at(
        seen.first,
        "udp.checksum",
        "0x0000",
        "no checksum",
    );
    match sender.is_ipv6() {
        true => finding
            .severity(Severity::Warning)
            .party(Role::Network, None)
            .because(format!(
                "{packets} of {sender} with SIP {carry} no UDP checksum. Over IPv6 a receiver is to drop such packets \
                 (RFC 8200 §8.1)."
            ))
            .fix(format!("Let {sender}, or the tunnel or box that wrote these packets, send checksums.")),
        false => finding.party(Role::Network, None).because(format!(
            "{packets} of {sender} with SIP {carry} no UDP checksum. Over IPv4 that is allowed (RFC 768); damage on \
             the way is not noticed then."
        )),
    }
}

fn both_sides(case: &CaptureCase<'_>) -> Option<Finding> {
    let both = &case.tally.both_sides;
    let (inside, outside) = both.first()?;
    // Of plain good calls nothing is looked at: there may be more.
    let times = counted(case.tally.both_sides_count, "request", "requests");
    let field = |witness: &Witness| source_field(witness.path.source.ip());
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .titled("The capture shows both sides of a NAT")
            .party(Role::Capture, None)
            .because(format!(
                "The capture holds at least {times} twice, with the same branch, the first from {} to {} and from {} \
                 to {}: it was made where addresses are translated. Times and counts of both sides are mixed.",
                inside.path.source, inside.path.destination, outside.path.source, outside.path.destination
            ))
            .fix("Capture on one interface of that host only (`tcpdump -i NAME` in place of `-i any`).")
            .claim_at(inside.place, field(inside), inside.path.source.ip().to_string(), "before the translation")
            .claim_at(outside.place, field(outside), outside.path.source.ip().to_string(), "behind it"),
    )
}
