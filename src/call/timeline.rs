//! How many of something there were until when, in little room.
//!
//! Counts stand in equal spans of a power of two of seconds: of one second at first, wider when there are too many.
//! What is counted does not matter here. Beside it: what became of the calls of each address, over time.
//!
//! There may be thousands of timelines, one for each address, and each fills in its own time. So that a run without end
//! takes no more memory after hours than after minutes, they are kept short there, and are full soon.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::capture::Timestamp;
use crate::keyed::{Table, in_order};

/// Counts over time. Mergeable: commutative and associative.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// A span lasts two to the power of this, in seconds.
    doublings: u32,
    /// Number and count of each span in which there was one, in order of time.
    counts: Vec<(i64, u64)>,
}

impl Timeline {
    /// Spans that are kept.
    const MOST: usize = 256;
    /// Spans that are kept in a run without end.
    const FEW: usize = 64;
    const SECOND: i64 = 1_000_000_000;

    /// Counts one more.
    pub fn note(&mut self, time: Timestamp) {
        self.add(self.span_of(time), 1);
        self.make_room();
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// How many there were before the second, or the wider span, of a moment.
    pub fn before(&self, time: Timestamp) -> u64 {
        let until = self.span_of(time);
        self.counts.iter().take_while(|(span, _)| *span < until).map(|(_, count)| count).sum()
    }

    /// True if it is known to the second.
    pub fn is_exact(&self) -> bool {
        self.doublings == 0
    }

    fn span_of(&self, time: Timestamp) -> i64 {
        time.0.div_euclid(Timeline::SECOND) >> self.doublings
    }

    fn make_room(&mut self) {
        while self.counts.len() > Timeline::MOST {
            self.widen();
        }
    }

    fn shorten(&mut self) {
        if self.counts.len() <= Timeline::FEW {
            return;
        }
        while self.counts.len() > Timeline::FEW {
            self.widen();
        }
        self.counts.shrink_to(Timeline::FEW);
    }

    fn widen(&mut self) {
        self.doublings += 1;
        self.counts.iter_mut().for_each(|(span, _)| *span >>= 1);
        self.counts.dedup_by(|(later, more), (span, count)| {
            let is_one = later == span;
            if is_one {
                *count += *more;
            }
            is_one
        });
    }

    fn add(&mut self, span: i64, count: u64) {
        // Most come in order.
        let at = match self.counts.last() {
            Some((last, _)) if *last < span => self.counts.len(),
            _ => self.counts.partition_point(|(known, _)| *known < span),
        };
        match self.counts.get_mut(at).filter(|(known, _)| *known == span) {
            Some((_, known)) => *known += count,
            None => self.counts.insert(at, (span, count)),
        }
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Timeline) {
        let mut other = other.clone();
        while self.doublings < other.doublings {
            self.widen();
        }
        while other.doublings < self.doublings {
            other.widen();
        }
        for (span, count) in other.counts {
            self.add(span, count);
        }
        self.make_room();
    }
}

/// What became of calls at one address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Decided {
    /// INVITEs that were accepted, by when they were sent.
    pub accepted: Timeline,
    /// Those that were refused; challenges, redirections and what was cancelled are left out.
    pub refused: Timeline,
}

/// As what an address took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It asked.
    Client,
    /// It was asked.
    Server,
}

/// What became of calls, by address. Mergeable: commutative, and associative as long as no table is full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Decisions {
    #[serde(serialize_with = "in_order")]
    of_servers: Table<IpAddr, Decided>,
    #[serde(serialize_with = "in_order")]
    of_clients: Table<IpAddr, Decided>,
}

impl Decisions {
    /// Addresses of each end.
    const MOST: usize = 1024;

    /// What became of the calls of an address.
    pub fn of(&self, address: IpAddr, end: End) -> Option<&Decided> {
        match end {
            End::Client => self.of_clients.get(&address),
            End::Server => self.of_servers.get(&address),
        }
    }

    /// Notes that an INVITE of this moment was accepted.
    pub fn note_accepted(&mut self, client: IpAddr, server: IpAddr, asked: Timestamp) {
        self.each(client, server, |decided| decided.accepted.note(asked));
    }

    /// Notes that an INVITE of this moment was refused.
    pub fn note_refused(&mut self, client: IpAddr, server: IpAddr, asked: Timestamp) {
        self.each(client, server, |decided| decided.refused.note(asked));
    }

    fn each(&mut self, client: IpAddr, server: IpAddr, note: impl Fn(&mut Decided)) {
        for (table, address) in [(&mut self.of_clients, client), (&mut self.of_servers, server)] {
            let has_room = table.len() < Decisions::MOST;
            match table.get_mut(&address) {
                Some(decided) => note(decided),
                None if has_room => note(table.entry(address).or_default()),
                None => {}
            }
        }
    }

    /// Keeps timelines as short as a run without end can afford.
    pub(crate) fn shorten(&mut self) {
        for decided in self.of_servers.values_mut().chain(self.of_clients.values_mut()) {
            decided.accepted.shorten();
            decided.refused.shorten();
        }
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Decisions) {
        let tables = [(&mut self.of_clients, &other.of_clients), (&mut self.of_servers, &other.of_servers)];
        for (own, theirs) in tables {
            for (address, decided) in theirs {
                let known = own.entry(*address).or_default();
                known.accepted.merge(&decided.accepted);
                known.refused.merge(&decided.refused);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: impl Iterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::default();
        seconds.for_each(|second| timeline.note(Timestamp(second * Timeline::SECOND + 5)));
        timeline
    }

    #[test]
    fn counts_stay_right_when_spans_widen() {
        let timeline = of(0..1000);
        assert_eq!(timeline.total(), 1000);
        assert!(!timeline.is_exact() && timeline.counts.len() <= Timeline::MOST);
        let before = timeline.before(Timestamp(500 * Timeline::SECOND));
        assert!((490..=500).contains(&before), "{before}");
        let mut short = timeline.clone();
        short.shorten();
        assert_eq!(short.total(), 1000);
        assert!(short.counts.capacity() <= Timeline::FEW, "it takes no more room than it may");
        let before = short.before(Timestamp(500 * Timeline::SECOND));
        assert!((484..=500).contains(&before), "{before}");
        assert_eq!(of([10, 20, 30].into_iter()).before(Timestamp(20 * Timeline::SECOND)), 1);
    }

    #[test]
    fn merging_is_commutative_and_associative() {
        let [a, b, c] = [of(0..300), of((0..200).map(|n| n * 7)), of(100..120)];
        let merged = |one: &Timeline, other: &Timeline| {
            let mut one = one.clone();
            one.merge(other);
            one
        };
        assert_eq!(merged(&a, &b), merged(&b, &a));
        assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        assert_eq!(merged(&a, &Timeline::default()), a);
    }
}
