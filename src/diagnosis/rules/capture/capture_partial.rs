use crate::diagnosis::capture_case::Witness;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role};

rule! {
    /// The capture begins or ends in the middle of calls.
    ///
    /// ## What it says
    /// Some calls had begun before the first packet, or were not over at the last one. What lies outside is not judged.
    ///
    /// ## Why it happens
    /// The capture was started when the fault was already there, was stopped early, or was cut into files.
    ///
    /// ## Evidence
    /// A first message that carries a To tag or answers a request that is not there; a transaction or dialog that is
    /// still open at the last packet.
    ///
    /// ## How to fix
    /// Give all files of a ring buffer at once; let the next capture run until 40 seconds after the call.
    ///
    /// ## When it would be wrong
    /// Both directions of a hop may take different ways, so that the beginning passed elsewhere (`capture-one-sided`).
    ///
    /// ## References
    /// RFC 3261 §12.2, §17
    "J3" "capture-partial", capture check
}

/// Frames that are cited for each end.
const CITED: usize = 5;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let tally = case.tally;
    let is_one_way = |witness: &&Witness| {
        witness.of_way_back && case.is_one_way(witness.path.source.ip(), witness.path.destination.ip())
    };
    // What passed elsewhere is not what came before.
    let passed_elsewhere = tally.without_request.iter().filter(|((from, to), _)| case.is_one_way(*from, *to));
    let elsewhere: u64 = passed_elsewhere.map(|(_, count)| count).sum();
    let before = tally.without_start_count.saturating_sub(elsewhere);
    let after = tally.without_end_count;
    let words = match (before, after) {
        (0, 0) => return None,
        (before, 0) => format!("{} had begun before the capture", counted(before, "call", "calls")),
        (0, after) => format!("{} had not ended when the capture did", counted(after, "call", "calls")),
        (before, after) => format!(
            "{} had begun before the capture, and {} had not ended when it did",
            counted(before, "call", "calls"),
            counted(after, "call", "calls")
        ),
    };
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .because(format!("{words} (registrations and other exchanges count too). What lies outside is not judged."))
        .fix("If there are more files of this capture, give them all at once: sipwhy *.pcap")
        .fix("Let the next capture start before the call and run on for 40 s after it.");
    for witness in tally.without_start.iter().filter(|witness| !is_one_way(witness)).take(CITED) {
        finding = finding.claim_at(
            witness.place,
            "frame.number",
            witness.place.frame.to_string(),
            "the first message of its call, and it belongs to something that had begun before",
        );
    }
    let mut without_end = tally.without_end.clone();
    without_end.sort_unstable();
    for place in without_end.into_iter().take(CITED) {
        finding = finding.claim_absent(place, "the end of the call", "the last message of its call");
    }
    Some(finding)
}
