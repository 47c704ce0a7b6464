//! Whose clock is right among several inputs, and by how much the others are ahead of it.
//!
//! Inputs whose names differ in digits alone and that follow one another in time are pieces of one capture: they were
//! stamped by one clock. Of the clocks that can be compared with each other, that of most inputs is taken for right; of
//! as many, that of the input that comes first ([`SourceId`]).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::call::clocks::evidence::{Evidence, Same, SentOn, apart};
use crate::call::clocks::fit::{Bound, Fit, HARMLESS_NS, Limit, fit};
use crate::call::clocks::{Ground, Numbering};
use crate::capture::{InputFacts, Place, SourceId, Timestamp};

/// What shows that two clocks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The same datagram in both inputs.
    SameDatagram,
    /// A request, and the request that it was sent on as.
    Request,
    /// The final response to a request, and that to the request which it was sent on as.
    Response,
}

/// An input whose clock is not that of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSeen {
    /// Which.
    pub source: SourceId,
    /// By how many nanoseconds its clock is ahead of that of the others; `None` if that is not always the same.
    pub ahead: Option<i64>,
    /// By how many nanoseconds that may be wrong.
    pub error: u64,
    /// A frame stamped by its clock, and one stamped by that of another input.
    pub frames: (Place, Place),
    /// What the two frames are.
    pub shown: Shown,
    /// True if its times were put right; false where they are as it holds them.
    pub is_corrected: bool,
}

/// How far apart the same datagram may be stamped by equal clocks, in nanoseconds: on some ways it travels for so long.
const TRANSIT_NS: i64 = 500_000_000;
/// What the same datagrams have to be apart by where they are seen in one direction alone.
const BEYOND_TRANSIT_NS: i64 = 2 * TRANSIT_NS;
/// How many datagrams of one direction tell that.
const ENOUGH: usize = 3;
/// A difference that is known no better than this is known from one side, in nanoseconds.
const WIDE_NS: i64 = 2_000_000_000;
/// What a system usually takes to send a request on, in nanoseconds.
const USUAL_NS: i64 = 50_000_000;
/// By so much the differences of three clocks may disagree, in nanoseconds.
const TOLERANCE_NS: i64 = 50_000_000;

/// Two clocks, by their numbers, the lower one first.
type Two = (usize, usize);

/// By how much the clocks of the inputs differ, of those that do.
pub(super) fn differences(all: &[Evidence], inputs: &[InputFacts]) -> Vec<ClockSeen> {
    let clock_of = clocks_of(inputs);
    let mut by_two: BTreeMap<Two, Vec<&Evidence>> = BTreeMap::new();
    for evidence in all {
        let (one, other) = sources(evidence);
        let clocks = clock_of.get(one.0 as usize).zip(clock_of.get(other.0 as usize));
        if let Some((one, other)) = clocks.filter(|(one, other)| one != other) {
            by_two.entry((*one.min(other), *one.max(other))).or_default().push(evidence);
        }
    }
    let mut edges: Vec<Edge> =
        by_two.into_iter().filter_map(|(two, all)| Edge::of(two, &all, &clock_of, inputs)).collect();
    // The narrowest are the surest.
    edges.sort_by_key(|edge| (edge.width(), edge.two));
    Compared::of(edges, clock_of).differences()
}

fn sources(evidence: &Evidence) -> (SourceId, SourceId) {
    match evidence {
        Evidence::Same(same) => (same.one.source, same.other.source),
        Evidence::SentOn(sent_on) => (sent_on.cause.asked.source, sent_on.effect.asked.source),
    }
}

/// The number of the clock that stamped each input.
fn clocks_of(inputs: &[InputFacts]) -> Vec<usize> {
    let stem =
        |input: &InputFacts| -> String { input.name.chars().filter(|letter| !letter.is_ascii_digit()).collect() };
    let mut clocks: Vec<usize> = (0..inputs.len()).collect();
    let mut pieces: BTreeMap<String, Vec<(Timestamp, Timestamp, usize)>> = BTreeMap::new();
    for (at, input) in inputs.iter().enumerate() {
        if let Some((first, last)) = input.first_and_last {
            pieces.entry(stem(input)).or_default().push((first, last, at));
        }
    }
    for mut pieces in pieces.into_values() {
        pieces.sort_unstable();
        let follow = pieces.windows(2).all(|two| matches!(two, [(_, end, _), (begin, ..)] if end <= begin));
        let first = pieces.iter().map(|(_, _, at)| *at).min();
        if let Some(first) = first.filter(|_| follow) {
            for (_, _, at) in pieces {
                clocks[at] = first;
            }
        }
    }
    clocks
}

/// What is known of two clocks.
struct Edge {
    two: Two,
    fit: Fit,
    bounds: Vec<Bound>,
}

impl Edge {
    fn of(two: Two, all: &[&Evidence], clock_of: &[usize], inputs: &[InputFacts]) -> Option<Edge> {
        let is_first = |place: Place| clock_of.get(place.source.0 as usize) == Some(&two.0);
        let mut bounds = Vec::new();
        let mut same = Vec::new();
        let (mut private, mut standard) = (Vec::new(), Vec::new());
        for evidence in all {
            match evidence {
                Evidence::Same(found) if is_first(found.one) => same.push(*found),
                Evidence::Same(found) => same.push(Same { one: found.other, other: found.one, ..*found }),
                Evidence::SentOn(found) => {
                    let of_ground = if found.ground == Ground::Standard { &mut standard } else { &mut private };
                    of_ground.push(bounds_of(found, is_first(found.cause.asked)));
                }
            }
        }
        same.retain(|same| same.numbering == Numbering::Numbered || overlap(inputs, same.one, same.other));
        of_same(&same, &mut bounds);
        bounds.extend(standard.into_iter().flatten());
        // One value in a private header may stand in calls that have nothing to do with each other.
        if private.len() > 1 {
            bounds.extend(private.into_iter().flatten());
        }
        let fit = fit(&bounds);
        (fit != Fit::Unknown && !bounds.is_empty()).then_some(Edge { two, fit, bounds })
    }

    fn width(&self) -> i64 {
        match self.fit {
            Fit::Equal(least, most) | Fit::Differ(least, most) => most.saturating_sub(least),
            Fit::Unsteady | Fit::Unknown => i64::MAX,
        }
    }

    /// By how much the second clock is ahead of the first.
    fn difference(&self) -> Option<i64> {
        match self.fit {
            Fit::Equal(..) => Some(0),
            // Who waits for long before it sends a request on tells little: the least that violates no order.
            Fit::Differ(least, _) if self.width() > WIDE_NS && least > 0 => Some(least.saturating_add(USUAL_NS)),
            Fit::Differ(_, most) if self.width() > WIDE_NS => Some(most.saturating_sub(USUAL_NS)),
            Fit::Differ(least, most) => Some(least.midpoint(most)),
            Fit::Unsteady | Fit::Unknown => None,
        }
    }

    /// How far from that the difference may be.
    fn error(&self) -> u64 {
        match (self.fit, self.difference()) {
            (Fit::Differ(least, most), Some(told)) => told.abs_diff(least).max(told.abs_diff(most)),
            _ => 0,
        }
    }

    /// True if it bears out a difference.
    fn bears_out(&self, difference: i64) -> bool {
        match self.fit {
            Fit::Equal(least, most) | Fit::Differ(least, most) => {
                (least.saturating_sub(TOLERANCE_NS)..=most.saturating_add(TOLERANCE_NS)).contains(&difference)
            }
            Fit::Unsteady | Fit::Unknown => false,
        }
    }

    /// The bound that shows best that the clocks differ, if any does; one with a frame of this input if there is any.
    fn best_shown(&self, source: SourceId) -> Option<&Bound> {
        let beyond = self.bounds.iter().filter(|bound| bound.beyond(0) > 0);
        beyond.max_by_key(|bound| {
            let (first, second) = bound.frames;
            let is_own = first.source == source || second.source == source;
            (is_own, bound.beyond(0), Reverse((first, second)))
        })
    }
}

/// What the same datagrams say. Seen in both directions, one way takes time as the other does: the difference of the
/// clocks lies between what the two say, as for NTP (RFC 5905 §8).
fn of_same(same: &[Same], bounds: &mut Vec<Bound>) {
    let mut by_hop: BTreeMap<(IpAddr, IpAddr), [Vec<&Same>; 2]> = BTreeMap::new();
    for found in same {
        let (from, to) = (found.from.ip(), found.to.ip());
        let direction = usize::from(from > to);
        by_hop.entry((from.min(to), from.max(to))).or_default()[direction].push(found);
    }
    let mut alone: Vec<&Same> = Vec::new();
    for [there, back] in by_hop.into_values() {
        let (Some(later), Some(earlier)) = (middle(&there), middle(&back)) else {
            alone.extend(there.into_iter().chain(back));
            continue;
        };
        let (later, earlier) = if later >= earlier { (there, back) } else { (back, there) };
        bounds.extend(later.into_iter().map(|same| bound_of(same, Limit::AtMost, 0)));
        bounds.extend(earlier.into_iter().map(|same| bound_of(same, Limit::AtLeast, 0)));
    }
    let Some(middle) = middle(&alone).filter(|_| alone.len() >= ENOUGH) else { return };
    if middle.saturating_abs() > BEYOND_TRANSIT_NS {
        for same in alone {
            bounds.push(bound_of(same, Limit::AtMost, TRANSIT_NS));
            bounds.push(bound_of(same, Limit::AtLeast, -TRANSIT_NS));
        }
    }
}

fn bound_of(same: &Same, limit: Limit, margin: i64) -> Bound {
    let by = apart(same.one, same.other).saturating_add(margin);
    Bound { limit, by, frames: (same.one, same.other), shown: Shown::SameDatagram }
}

/// How far apart the datagrams stand, of half of them more.
fn middle(same: &[&Same]) -> Option<i64> {
    let mut all: Vec<i64> = same.iter().map(|same| apart(same.one, same.other)).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// What was sent on left after it had come, and was answered before what had waited for that.
fn bounds_of(SentOn { cause, effect, .. }: &SentOn, cause_is_first: bool) -> [Bound; 2] {
    let bound = |limit, (cause, effect): (Place, Place), shown| match (cause_is_first, limit) {
        (true, limit) => Bound { limit, by: apart(cause, effect), frames: (cause, effect), shown },
        (false, Limit::AtMost) => {
            Bound { limit: Limit::AtLeast, by: apart(effect, cause), frames: (effect, cause), shown }
        }
        (false, Limit::AtLeast) => {
            Bound { limit: Limit::AtMost, by: apart(effect, cause), frames: (effect, cause), shown }
        }
    };
    [
        bound(Limit::AtMost, (cause.asked, effect.asked), Shown::Request),
        bound(Limit::AtLeast, (cause.answered, effect.answered), Shown::Response),
    ]
}

/// True if two inputs hold the same time by their own clocks: what has no number may have been sent again later.
fn overlap(inputs: &[InputFacts], one: Place, other: Place) -> bool {
    let span = |place: Place| inputs.get(place.source.0 as usize)?.first_and_last;
    span(one).zip(span(other)).is_some_and(|((begun, ended), (first, last))| begun <= last && first <= ended)
}

/// The clocks that can be compared with each other.
struct Compared {
    edges: Vec<Edge>,
    clock_of: Vec<usize>,
    /// For each clock: which group of clocks it belongs to, and by how much it is ahead of the first of them.
    ahead: Vec<(usize, i64)>,
}

impl Compared {
    fn of(edges: Vec<Edge>, clock_of: Vec<usize>) -> Compared {
        let mut ahead: Vec<(usize, i64)> = (0..clock_of.len()).map(|clock| (clock, 0)).collect();
        for edge in &edges {
            let (one, other) = edge.two;
            let Some(difference) = edge.difference() else { continue };
            let ((group, base), (joins, own)) = (ahead[one], ahead[other]);
            if group == joins {
                continue;
            }
            let by = base.saturating_add(difference).saturating_sub(own);
            for (of, known) in ahead.iter_mut().filter(|(of, _)| *of == joins) {
                (*of, *known) = (group, known.saturating_add(by));
            }
        }
        Compared { edges, clock_of, ahead }
    }

    fn differences(&self) -> Vec<ClockSeen> {
        let mut found = Vec::new();
        for (source, clock) in (0..).map(SourceId).zip(&self.clock_of) {
            let (group, ahead) = self.ahead[*clock];
            if let Some(edge) = self.contradiction(group, *clock) {
                found.extend(edge.and_then(|edge| self.seen(source, edge, None)));
                continue;
            }
            let ahead = ahead.saturating_sub(self.right_of(group));
            if ahead.saturating_abs() >= HARMLESS_NS {
                found.extend(self.shows(source).and_then(|edge| self.seen(source, edge, Some(ahead))));
            }
        }
        found
    }

    /// Where what is known of a group of clocks contradicts itself: what shows that of this clock, if it is the later
    /// one of the two.
    fn contradiction(&self, group: usize, clock: usize) -> Option<Option<&Edge>> {
        let contradicts = |edge: &&Edge| {
            let ((of, base), (also_of, own)) = (self.ahead[edge.two.0], self.ahead[edge.two.1]);
            (of == group || also_of == group) && (of != also_of || !edge.bears_out(own.saturating_sub(base)))
        };
        let mut contradicting = self.edges.iter().filter(contradicts).peekable();
        contradicting.peek()?;
        Some(contradicting.find(|edge| edge.two.1 == clock))
    }

    /// By how much the clock of most inputs of a group is ahead of the first of it.
    fn right_of(&self, group: usize) -> i64 {
        let mut inputs: BTreeMap<i64, (usize, Reverse<usize>)> = BTreeMap::new();
        for (source, clock) in self.clock_of.iter().enumerate() {
            let (of, ahead) = self.ahead[*clock];
            if of == group {
                inputs.entry(ahead).or_insert((0, Reverse(source))).0 += 1;
            }
        }
        inputs.into_iter().max_by_key(|(_, most)| *most).map_or(0, |(ahead, _)| ahead)
    }

    /// What shows best that the clock of an input is not that of others: frames of its own if there are any, else those
    /// of an input with the same clock.
    fn shows(&self, source: SourceId) -> Option<&Edge> {
        let clock = *self.clock_of.get(source.0 as usize)?;
        let of_clock = |edge: &Edge| edge.two.0 == clock || edge.two.1 == clock;
        let of_time = |edge: &Edge| [edge.two.0, edge.two.1].iter().any(|two| self.ahead[*two] == self.ahead[clock]);
        let differ = || self.edges.iter().filter(|edge| matches!(edge.fit, Fit::Differ(..)));
        differ().find(|edge| of_clock(edge)).or_else(|| differ().find(|edge| of_time(edge)))
    }

    fn seen(&self, source: SourceId, edge: &Edge, ahead: Option<i64>) -> Option<ClockSeen> {
        let &Bound { frames: (first, second), shown, .. } = edge.best_shown(source)?;
        let clock = *self.clock_of.get(source.0 as usize)?;
        let is_first = edge.two.0 == clock || edge.two.1 != clock && self.ahead[edge.two.0] == self.ahead[clock];
        let frames = if is_first { (first, second) } else { (second, first) };
        Some(ClockSeen { source, ahead, error: edge.error(), frames, shown, is_corrected: false })
    }
}
