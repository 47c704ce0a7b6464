use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, list, source_field};
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Witness};

rule! {
    /// The capture shows one direction of a hop only.
    ///
    /// ## What it says
    /// Messages went both ways between two neighbours, and the capture holds those of one way only. What it does not
    /// hold is not missing from the call.
    ///
    /// ## Why it happens
    /// The two directions take different routes or interfaces, a mirror port copies one of them, or the capture filter
    /// names only a source or only a destination.
    ///
    /// ## Evidence
    /// A response without any message in the direction of its request, an ACK or BYE whose answer went unseen, or
    /// credentials for a challenge that did: they prove that there was something to answer. At least two messages one
    /// way, none of the whole capture the other.
    ///
    /// ## How to fix
    /// Capture where both directions pass, without `src` and `dst` in the filter.
    ///
    /// ## When it would be wrong
    /// A request that was answered to another address than the one it came from. The port and address of the response
    /// then tell.
    ///
    /// ## References
    /// RFC 3261 §18.2.2, §13.2.2.4
    "J2" "capture-one-sided", capture check
}

/// Messages one way that are wanted before a hop is called one-sided.
const ENOUGH: u64 = 2;
/// Hops that are named.
const MOST_HOPS: usize = 5;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let mut hops: Vec<&Witness> = Vec::new();
    for witness in &case.tally.one_way {
        let (from, to) = (witness.path.source.ip(), witness.path.destination.ip());
        let enough = case.surroundings.hop(from, to).is_some_and(|seen| seen.count >= ENOUGH);
        let known = hops.iter().any(|hop| hop.path.source.ip() == from && hop.path.destination.ip() == to);
        if enough && !known && case.is_one_way(from, to) && hops.len() < MOST_HOPS {
            hops.push(witness);
        }
    }
    let first = hops.first()?;
    let names: Vec<String> =
        hops.iter().map(|hop| format!("{} to {}", hop.path.source.ip(), hop.path.destination.ip())).collect();
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .because(format!(
            "Of the hop from {} only this direction is in the capture, although messages went the other way too. \
             Nothing is said here to be missing because it is not seen.",
            list(&names)
        ))
        .fix("Capture where both directions pass, with a filter that names neither source nor destination.")
        .next_capture(capture_at(first.path.destination.ip(), first.path));
    for hop in hops {
        let (from, to) = (hop.path.source.ip(), hop.path.destination.ip());
        finding = finding
            .claim_at(
                hop.place,
                source_field(from),
                from.to_string(),
                "this message belongs to an exchange that went both ways",
            )
            .claim_absent(
                hop.place,
                format!("SIP from {to} to {from}"),
                "no message of the whole capture went this way",
            );
    }
    Some(finding)
}
