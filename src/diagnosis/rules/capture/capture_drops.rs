use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity};

rule! {
    /// The capturing system dropped packets.
    ///
    /// ## What it says
    /// Packets were on the wire and not written. What is missing in this capture may not have been missing in the call.
    ///
    /// ## Why it happens
    /// The disk or the processor could not keep up, or the buffer of the capture was small.
    ///
    /// ## Evidence
    /// The count of drops that the capturing system wrote into the file (pcapng interface statistics) or reports live.
    ///
    /// ## How to fix
    /// Filter on signalling only, give the capture a larger buffer (`tcpdump -B 65536`), and write to a fast disk.
    ///
    /// ## When it would be wrong
    /// The drops may all have been media or other traffic. So statements about what is missing are kept, and less sure.
    ///
    /// ## References
    /// RFC 3261 §17
    "J9" "capture-drops", capture check
}

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let count = case.count("capture-drops");
    if count == 0 {
        return None;
    }
    let packets = counted(count, "packet", "packets");
    let finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .severity(Severity::Warning)
        .because(format!(
            "The capturing system says that it dropped {packets}. Whatever this report says is missing may have been \
             among them, so it is said with less certainty."
        ))
        .fix("Capture signalling only, with a larger buffer: tcpdump -B 65536 -s0 'udp port 5060 or tcp port 5060'")
        .next_capture(
            "tcpdump -i any -s0 -B 65536 -w next.pcap 'udp port 5060 or tcp port 5060 or (ip[6:2] & 0x1fff != 0)'",
        );
    Some(finding)
}
