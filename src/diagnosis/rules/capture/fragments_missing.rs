use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity};

rule! {
    /// Fragments of IP datagrams are not in the capture.
    ///
    /// ## What it says
    /// Large messages travelled in pieces, and the capture does not hold all of them.
    ///
    /// ## Why it happens
    /// Only the first fragment carries the ports: the filter `port 5060` drops the others. Or the network lost them.
    ///
    /// ## Evidence
    /// Fragments of a datagram of which others are missing.
    ///
    /// ## How to fix
    /// Capture with `udp port 5060 or (ip[6:2] & 0x1fff != 0)`, which keeps the pieces behind the first.
    ///
    /// ## When it would be wrong
    /// If the filter did keep fragments, the network lost the pieces, and the receiver never had the message:
    /// `large-request-lost`.
    ///
    /// ## References
    /// RFC 791 §3.2; RFC 3261 §18.1.1
    "J5" "fragments-missing", capture check
}

/// Frames that are cited.
const CITED: usize = 5;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let count = case.count("fragments-missing");
    if count == 0 {
        return None;
    }
    let datagrams = counted(count, "IP datagram is", "IP datagrams are");
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .severity(Severity::Warning)
        .because(format!(
            "{datagrams} in the capture in part only: fragments are missing, so the messages in them cannot be read. A \
             filter on the port drops every fragment but the first."
        ))
        .fix("Capture with a filter that keeps fragments: udp port 5060 or (ip[6:2] & 0x1fff != 0)")
        .next_capture("tcpdump -i any -s0 -w next.pcap 'udp port 5060 or (ip[6:2] & 0x1fff != 0)'");
    for place in case.first("fragments-missing", CITED) {
        finding = finding
            .claim_at(place, "frame.number", place.frame.to_string(), "a fragment of a datagram that is not whole")
            .claim_absent(place, "the other fragments of this datagram", "they are not in the capture");
    }
    Some(finding)
}
