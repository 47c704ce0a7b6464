//! By how much one clock is ahead of another, if all that is known of them allows for one difference.

use crate::call::clocks::shifts::Shown;
use crate::capture::Place;

/// Shorter than this is the usual disorder between packets.
pub(super) const HARMLESS_NS: i64 = 1_000_000;

/// A bound for the difference of two clocks, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) limit: Limit,
    pub(super) by: i64,
    /// The frames that show it, one of each.
    pub(super) frames: (Place, Place),
    pub(super) shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    AtLeast,
    AtMost,
}

impl Bound {
    /// By how much a difference is beyond it.
    pub(super) fn beyond(&self, difference: i64) -> i64 {
        match self.limit {
            Limit::AtLeast => self.by.saturating_sub(difference),
            Limit::AtMost => difference.saturating_sub(self.by),
        }
    }
}

/// What the bounds for two clocks come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// They may be equal: no order is violated. The difference may be anything between these.
    Equal(i64, i64),
    /// They differ by something between these.
    Differ(i64, i64),
    /// They differ, and not always by as much: one of them drifts, or was set.
    Unsteady,
    /// The bounds contradict each other.
    Unknown,
}

/// One in so many may contradict: a message that was late in one file, a call that went another way than it seems.
const ONE_IN: usize = 20;

/// What the bounds for two clocks come to.
pub(super) fn fit(bounds: &[Bound]) -> Fit {
    let needed = bounds.len() - bounds.len() / ONE_IN;
    let best = most_allowed(bounds);
    let equal = bounds.iter().filter(|bound| bound.beyond(0) <= HARMLESS_NS).count();
    match best {
        Some((_, least, most)) if equal >= needed && least <= HARMLESS_NS && -HARMLESS_NS <= most => {
            Fit::Equal(least.min(0), most.max(0))
        }
        _ if equal >= needed => Fit::Equal(0, 0),
        Some((count, least, most)) if count >= needed => Fit::Differ(least, most),
        // Many say that the clocks differ, and no difference is right for nearly all.
        _ if (bounds.len() - equal) * 5 >= bounds.len() && bounds.len() - equal >= 3 => Fit::Unsteady,
        _ => Fit::Unknown,
    }
}

/// The differences that most bounds allow: how many do, from where to where. `None` if there is no bound on one side.
fn most_allowed(bounds: &[Bound]) -> Option<(usize, i64, i64)> {
    let mut steps: Vec<(i64, Limit)> = bounds.iter().map(|bound| (bound.by, bound.limit)).collect();
    // At the same value the lower bound allows it and the upper one still does.
    steps.sort_unstable_by_key(|(by, limit)| (*by, *limit == Limit::AtMost));
    let mut count = bounds.iter().filter(|bound| bound.limit == Limit::AtMost).count();
    let mut best: Option<(usize, i64, i64)> = None;
    for (at, (by, limit)) in steps.iter().enumerate() {
        match limit {
            Limit::AtMost => count -= 1,
            Limit::AtLeast => {
                count += 1;
                let until = steps.get(at + 1).map_or(*by, |(next, _)| *next);
                if best.is_none_or(|(known, ..)| count > known) {
                    best = Some((count, *by, until));
                }
            }
        }
    }
    best.filter(|_| steps.iter().any(|(_, limit)| *limit == Limit::AtMost))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(bounds: &[(Limit, i64)]) -> Fit {
        let place = Place::default();
        let bound = |(limit, millis): &(Limit, i64)| Bound {
            limit: *limit,
            by: millis * 1_000_000,
            frames: (place, place),
            shown: Shown::SameDatagram,
        };
        fit(&bounds.iter().map(bound).collect::<Vec<_>>())
    }

    #[test]
    fn clocks_differ_if_no_bound_allows_that_they_are_equal() {
        use Limit::{AtLeast, AtMost};
        let millis = |least: i64, most: i64| (least * 1_000_000, most * 1_000_000);
        let equal = |(least, most)| Fit::Equal(least, most);
        let differ = |(least, most)| Fit::Differ(least, most);
        assert_eq!(fitted(&[(AtLeast, -60), (AtMost, 60)]), equal(millis(-60, 60)));
        assert_eq!(fitted(&[(AtLeast, 385), (AtMost, 415), (AtMost, 420), (AtLeast, 380)]), differ(millis(385, 415)));
        assert_eq!(fitted(&[(AtLeast, -415), (AtMost, -385)]), differ(millis(-415, -385)));
        assert_eq!(fitted(&[(AtLeast, 1), (AtMost, 3)]), equal(millis(0, 3)), "the usual disorder");
        assert_eq!(fitted(&[]), Fit::Equal(0, 0));
    }

    #[test]
    fn one_that_was_late_decides_nothing() {
        use Limit::{AtLeast, AtMost};
        let many = |least: i64, most: i64| (0..20).flat_map(move |_| [(AtLeast, least), (AtMost, most)]);
        let with = |odd: (Limit, i64), least, most| fitted(&many(least, most).chain([odd]).collect::<Vec<_>>());
        assert_eq!(with((AtLeast, 900), -5, 5), Fit::Equal(-5_000_000, 5_000_000));
        assert_eq!(with((AtMost, -900), 100, 120), Fit::Differ(100_000_000, 120_000_000));
    }

    #[test]
    fn what_drifts_has_no_difference() {
        let drifting: Vec<(Limit, i64)> =
            (0..20).flat_map(|step| [(Limit::AtLeast, 1000 + step * 50), (Limit::AtMost, 1010 + step * 50)]).collect();
        assert_eq!(fitted(&drifting), Fit::Unsteady);
        let odd = [(Limit::AtLeast, -5), (Limit::AtMost, 5), (Limit::AtLeast, 900), (Limit::AtMost, 905)];
        assert_eq!(fitted(&odd), Fit::Unknown, "too few to say that");
    }
}
