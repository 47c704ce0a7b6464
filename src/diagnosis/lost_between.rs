//! Messages that one point of capture saw, and another one further on their way did not.
//!
//! Is asked for a message; gives the two points between which it was lost. Deliberately does not judge what comes of
//! that: a rule says so.

use crate::call::{AtPoint, Heard, TwoPoints};
use crate::diagnosis::{Case, Confidence, Finding, Role};

/// A larger message goes in fragments sooner or later (RFC 3261 §18.1.1), and a filter by ports lets only the first of
/// them into a capture.
const LARGE: usize = 1300;

/// Where a message was lost.
#[derive(Clone, Copy)]
pub(crate) struct LostBetween<'a> {
    heard: &'a Heard,
    points: &'a TwoPoints,
}

impl<'a> Case<'a> {
    /// The two points of capture between which a message was lost with all its copies: one saw them, and the other,
    /// which routers lie before, saw none, though both saw the same datagrams of that way before and after.
    pub(crate) fn lost_between(&self, heard: &'a Heard) -> Option<LostBetween<'a>> {
        let near = heard.place.source;
        let is_there = heard.duplicates == 0 && heard.repeats.iter().all(|repeat| repeat.source == near);
        let is_small = !heard.message.is_cut() && heard.message.bytes().len() <= LARGE;
        if !is_there || !is_small || heard.path.transport.is_reliable() {
            return None;
        }
        let points = self.surroundings.points();
        let mut behind = points.behind(heard.path.source, heard.path.destination, near);
        let points = behind.find(|seen| {
            let (first, last) = points.both_saw(seen);
            first < heard.place.time && heard.last_place().time < last
        })?;
        Some(LostBetween { heard, points })
    }
}

impl LostBetween<'_> {
    /// How sure it is: unless packets are missing in the capture, it is seen.
    pub(crate) fn confidence(&self, case: &Case<'_>) -> Confidence {
        if case.capture.drops == 0 { Confidence::Likely } else { Confidence::Possible }
    }

    /// Routers between the two points, as the TTL tells.
    fn routers(&self) -> String {
        let TwoPoints { near, far, .. } = self.points;
        match near.hop_limit - far.hop_limit {
            1 => "a router".to_owned(),
            routers => format!("{routers} routers"),
        }
    }

    /// What is known of where it was lost: a sentence about what `it` names.
    pub(crate) fn says(&self, it: &str) -> String {
        format!(
            "Of this way there are two points of capture: {it} passed the one and never came to the other, {} further \
             on, which saw other datagrams of {} before and after. Between the two {} lost.",
            self.routers(),
            self.heard.path.source,
            if self.heard.repeated == 0 { "it was" } else { "all of its copies were" }
        )
    }

    /// The finding with who is responsible, what to do and what shows it.
    pub(crate) fn told_in(&self, finding: Finding, what: &str) -> Finding {
        let TwoPoints { near, far, .. } = self.points;
        let field = if self.heard.path.source.is_ipv4() { "ip.ttl" } else { "ipv6.hlim" };
        let claim = |finding: Finding, point: &AtPoint, says: &str| {
            finding.claim_at(point.place, field, point.hop_limit.to_string(), says)
        };
        let finding = finding.party(Role::Network, Some(self.heard.path.destination)).fix(format!(
            "Look between the two points of capture ({}) for what drops {what}: a filter, an ALG, a NAT whose entry is \
             gone, a tunnel, a route.",
            self.routers()
        ));
        let finding = claim(finding, near, "another datagram of this way, at the point that saw it");
        claim(finding, far, "the same datagram at the other point")
    }
}
