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
    let begun_here: Vec<bool> = tally.answered_unseen.iter().map(|call_id| is_begun(case, call_id)).collect();
    let in_fragments = begun_here.iter().filter(|is_begun| **is_begun).count() as u64;
    let before = tally.without_start_count.saturating_sub(elsewhere).saturating_sub(in_fragments);
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
    let mut begun_here = begun_here.into_iter();
    let is_fragment = |witness: &&Witness| witness.of_way_back && begun_here.next() == Some(true);
    let (_, witnesses): (Vec<&Witness>, Vec<&Witness>) = tally.without_start.iter().partition(is_fragment);
    for witness in witnesses.into_iter().filter(|witness| !is_one_way(witness)).take(CITED) {
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

/// True if the first fragment of a request with this Call-ID is in the capture.
fn is_begun(case: &CaptureCase<'_>, call_id: &[u8]) -> bool {
    let mut begun = case.surroundings.cut_short().begun().iter();
    begun.any(|begun| begun.method.is_some() && begun.call_id.as_bytes() == call_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Begun, CutShort, Surroundings};
    use crate::capture::Place;
    use crate::diagnosis::Tally;

    #[test]
    fn a_request_in_fragments_had_not_begun_before_the_capture() {
        let path = crate::net::Path {
            source: ([192, 0, 2, 9], 5060).into(),
            destination: ([192, 0, 2, 1], 5060).into(),
            transport: crate::net::Transport::Udp,
        };
        let witness = |frame| Witness { place: Place { frame, ..Place::default() }, path, of_way_back: true };
        let mut tally = Tally::default();
        tally.without_start.extend([witness(2), witness(7)]);
        tally.answered_unseen.extend([b"a7"[..].into(), b"b9"[..].into()]);
        tally.without_start_count += 2;
        let said = |call_ids: &[&str]| {
            let mut known = CutShort::default();
            for call_id in call_ids {
                known.note_begun(Begun {
                    place: Place::default(),
                    source: path.destination.ip(),
                    destination: path.source.ip(),
                    method: Some("INVITE".to_owned()),
                    call_id: (*call_id).to_owned(),
                });
            }
            let mut surroundings = Surroundings::default();
            surroundings.cut_short_mut().merge(&known);
            check(&CaptureCase { inputs: &[], surroundings: &surroundings, tally: &tally, tls: &[], clocks: &[] })
        };
        assert!(said(&["a7", "b9"]).is_none());
        let finding = said(&["a7"]).unwrap();
        assert!(finding.explanation.raw().starts_with("1 call had begun before the capture"), "{finding:?}");
        assert!(finding.claims.iter().all(|claim| claim.place.frame == 7), "{finding:?}");
    }
}
