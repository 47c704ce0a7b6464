use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity};
use crate::oddity::Oddity;

rule! {
    /// The capture cut the packets short.
    ///
    /// ## What it says
    /// The capture kept only the first bytes of each packet. Headers and bodies behind them were on the wire and are
    /// not in the file; nothing is said of them.
    ///
    /// ## Why it happens
    /// The capture was made with a snap length (`-s`), as by default in old versions of tcpdump (68 or 96 bytes).
    ///
    /// ## Evidence
    /// Frames whose captured length is less than their length on the wire.
    ///
    /// ## How to fix
    /// Capture whole packets: `tcpdump -s 0`.
    ///
    /// ## When it would be wrong
    /// Only media may be cut, where a capture program shortens RTP on purpose; then the signalling is whole.
    ///
    /// ## References
    /// RFC 3261 §18.3
    "J4" "capture-truncated", capture check
}

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let count = case.count("capture-truncated");
    let (_, noted) = case.earliest("capture-truncated")?;
    let frames = counted(count, "frame", "frames");
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .severity(Severity::Warning)
        .because(format!(
            "The capture kept only the beginning of {frames} (snap length). Headers and bodies behind the cut are not \
             judged, and are not called malformed."
        ))
        .fix("Capture whole packets: tcpdump -s 0")
        .next_capture("tcpdump -i any -s0 -w next.pcap 'udp port 5060 or tcp port 5060 or (ip[6:2] & 0x1fff != 0)'");
    let first = case.first("capture-truncated", 1);
    if let (Oddity::CutBySnapLength { wanted, had }, Some(place)) = (&noted.example, first.first().copied()) {
        finding = finding.claim_at(place, "frame.len", wanted.to_string(), "bytes on the wire").claim_at(
            place,
            "frame.cap_len",
            had.to_string(),
            "bytes in the file",
        );
    }
    Some(finding)
}
