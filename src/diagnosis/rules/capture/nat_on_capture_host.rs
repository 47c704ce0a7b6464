use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role};

rule! {
    /// The capture shows both sides of a NAT.
    ///
    /// ## What it says
    /// The same request is in the capture before and behind the translation of its addresses. It was sent once, and is
    /// seen twice.
    ///
    /// ## Why it happens
    /// The capture was made on the router or host that translates, on all its interfaces.
    ///
    /// ## Evidence
    /// One request, with one branch in its topmost Via, between two pairs of addresses.
    ///
    /// ## How to fix
    /// Capture on one interface only, so that times and counts are those of one side.
    ///
    /// ## When it would be wrong
    /// A device that sends a request on to another address without a branch of its own breaks RFC 3261 §16.6.
    ///
    /// ## References
    /// RFC 3261 §17.2.3, §16.6; RFC 3022 §2
    "J8" "nat-on-capture-host", capture check
}

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let both = &case.tally.both_sides;
    let (inside, outside) = both.first()?;
    let times = counted(case.tally.both_sides_count, "request", "requests");
    let field = |witness: &crate::diagnosis::Witness| if witness.path.source.is_ipv4() { "ip.src" } else { "ipv6.src" };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .party(Role::Capture, None)
            .because(format!(
                "The capture holds {times} twice, once from {} to {} and once from {} to {}, with the same branch: it was made \
                 where addresses are translated. Times and counts of both sides are mixed.",
                inside.path.source, inside.path.destination, outside.path.source, outside.path.destination
            ))
            .fix("Capture on one interface of that host only (`tcpdump -i NAME` in place of `-i any`).")
            .claim_at(inside.place, field(inside), inside.path.source.ip().to_string(), "before the translation")
            .claim_at(outside.place, field(outside), outside.path.source.ip().to_string(), "behind it"),
    )
}
