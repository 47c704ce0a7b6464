use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role};

rule! {
    /// The capture holds the same packets twice.
    ///
    /// ## What it says
    /// Packets stand in the capture more than once although they were on the wire once. They were counted as one, and
    /// are not called retransmissions.
    ///
    /// ## Why it happens
    /// A mirror port copies a packet when it enters the switch and again when it leaves; `-i any` sees it on the bridge
    /// and on the interface beneath; two captures of neighbouring points were merged.
    ///
    /// ## Evidence
    /// The same addresses, ports and bytes within 10 ms, or with the same IPv4 identification within a second.
    ///
    /// ## How to fix
    /// Nothing has to be done for this report. For the next capture, mirror one direction only or capture on one
    /// interface; `editcap -d` removes the copies from this file.
    ///
    /// ## When it would be wrong
    /// A sender that repeats a message within 10 ms looks the same. No timer of RFC 3261 is that short.
    ///
    /// ## References
    /// RFC 3261 §17.1.1.2
    "J1" "capture-duplicated", capture check
}

/// Frames that are cited.
const CITED: usize = 5;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let count = case.count("capture-duplicated");
    if count == 0 {
        return None;
    }
    let packets = counted(count, "packet", "packets");
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .because(format!(
            "The capture holds second copies of {packets} with SIP: the same addresses, ports and bytes within 10 ms, \
             or with the same IPv4 identification within a second. They were seen at two points, and are not counted \
             as retransmissions."
        ))
        .fix("Capture at one point: one interface instead of `any`, or a mirror port that copies one direction only.")
        .fix("To take the copies out of this file: editcap -d CAPTURE NEW");
    for place in case.first("capture-duplicated", CITED) {
        let says = "this frame repeats a packet that was captured before";
        finding = finding.claim_at(place, "frame.number", place.frame.to_string(), says);
    }
    Some(finding)
}
