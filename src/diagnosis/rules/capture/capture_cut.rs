use crate::diagnosis::rule::rule;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity};

rule! {
    /// The capture file is damaged, or ends inside a record.
    ///
    /// ## What it says
    /// The file could not be read to its end. What stood behind the damage is not judged.
    ///
    /// ## Why it happens
    /// The capture was stopped hard, is still being written, or was not copied whole.
    ///
    /// ## Evidence
    /// A record that needs more bytes than the file has, or that contradicts itself.
    ///
    /// ## How to fix
    /// Stop the capture with an interrupt (Ctrl-C), write with `tcpdump -U`, and compare the checksums after copying.
    ///
    /// ## When it would be wrong
    /// Bytes behind the last record may be harmless: some programs pad their files.
    ///
    /// ## References
    /// RFC 3261 §17
    "J10" "capture-cut", capture check
}

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let (_, noted) = case.noted("capture-cut").next()?;
    let says = noted.example.says();
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .severity(Severity::Warning)
        .because(format!("The capture could not be read whole: {says}. What stood there is not judged."))
        .fix("Copy the file again, and compare the checksums of both copies.")
        .fix("Stop a capture with Ctrl-C, or write it with tcpdump -U, so that its last record is whole.");
    for (input, _) in case.noted("capture-cut") {
        let last = input.packets;
        if last > 0 {
            let place = case.place(input, last);
            finding = finding.claim_at(place, "frame.number", last.to_string(), "the last packet that could be read");
        }
    }
    Some(finding)
}
