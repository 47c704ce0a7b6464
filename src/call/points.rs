//! Hops that were captured at two points of their way.
//!
//! Is given datagrams that two inputs hold, with how many routers each of them may still pass there; gives which input
//! saw a direction of a hop first, and from when until when both of them saw it. Deliberately does not know which
//! datagrams only one of them holds.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::capture::{Place, SourceId, Timestamp};

/// Hops at two points.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<TwoPoints>", into = "Vec<TwoPoints>")]
pub struct Points {
    by_way: BTreeMap<(SocketAddr, SocketAddr, SourceId, SourceId), TwoPoints>,
}

/// One direction of a hop, seen at two points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TwoPoints {
    /// From whom.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// The first datagram that both points saw, at the point nearer to its sender: there more routers may still follow.
    pub near: AtPoint,
    /// The same at the other point.
    pub far: AtPoint,
    /// When both points saw a datagram first.
    pub first: Timestamp,
    /// When they did last.
    pub last: Timestamp,
    /// How many they both saw, as far as that was gathered.
    pub count: u64,
}

/// A datagram at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AtPoint {
    /// Where it stands.
    pub place: Place,
    /// TTL (RFC 791 §3.2) or Hop Limit (RFC 8200 §3): each router takes one off.
    pub hop_limit: u8,
}

impl Points {
    /// Directions that are kept.
    const MOST: usize = 1024;

    /// Notes a datagram that two points saw. Where no router stands between them, it is not known which one is nearer.
    pub fn note(&mut self, from: SocketAddr, to: SocketAddr, one: AtPoint, other: AtPoint) {
        let (near, far) = if one.hop_limit > other.hop_limit { (one, other) } else { (other, one) };
        if far.hop_limit == 0 || far.hop_limit == near.hop_limit {
            return;
        }
        let (first, last) = (near.place.time, near.place.time);
        self.add(TwoPoints { from, to, near, far, first, last, count: 1 });
    }

    fn add(&mut self, seen: TwoPoints) {
        let way = (seen.from, seen.to, seen.near.place.source, seen.far.place.source);
        if let Some(known) = self.by_way.get_mut(&way) {
            if (seen.near, seen.far) < (known.near, known.far) {
                (known.near, known.far) = (seen.near, seen.far);
            }
            (known.first, known.last) = (known.first.min(seen.first), known.last.max(seen.last));
            known.count = known.count.saturating_add(seen.count);
        } else if self.by_way.len() < Points::MOST {
            self.by_way.insert(way, seen);
        }
    }

    /// Where datagrams from one address to another were seen at this point first and at another one then. Points of
    /// which each was passed first by some of them are none.
    pub fn behind(&self, from: SocketAddr, to: SocketAddr, near: SourceId) -> impl Iterator<Item = &TwoPoints> {
        let ways = (from, to, near, SourceId(0))..=(from, to, near, SourceId(u32::MAX));
        let is_sure = move |far: SourceId| !self.by_way.contains_key(&(from, to, far, near));
        self.by_way.range(ways).map(|(_, seen)| seen).filter(move |seen| is_sure(seen.far.place.source))
    }

    /// From when until when two points saw the same datagrams between two addresses, in either direction.
    pub fn both_saw(&self, seen: &TwoPoints) -> (Timestamp, Timestamp) {
        let (near, far) = (seen.near.place.source, seen.far.place.source);
        let ways = [(seen.from, seen.to), (seen.to, seen.from)];
        let both = ways.iter().flat_map(|(from, to)| [(*from, *to, near, far), (*from, *to, far, near)]);
        both.filter_map(|way| self.by_way.get(&way))
            .fold((seen.first, seen.last), |(first, last), seen| (first.min(seen.first), last.max(seen.last)))
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Points) {
        for seen in other.by_way.values() {
            self.add(*seen);
        }
    }
}

impl From<Vec<TwoPoints>> for Points {
    fn from(all: Vec<TwoPoints>) -> Points {
        let mut points = Points::default();
        all.into_iter().for_each(|seen| points.add(seen));
        points
    }
}

impl From<Points> for Vec<TwoPoints> {
    fn from(points: Points) -> Vec<TwoPoints> {
        points.by_way.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: u32, frame: u64, hop_limit: u8) -> AtPoint {
        let place = Place { time: Timestamp(frame as i64), source: SourceId(source), frame, index: 0 };
        AtPoint { place, hop_limit }
    }

    fn ends() -> (SocketAddr, SocketAddr) {
        ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap())
    }

    #[test]
    fn the_point_with_more_hops_left_is_nearer_to_the_sender() {
        let (from, to) = ends();
        let mut points = Points::default();
        points.note(from, to, at(1, 20, 59), at(0, 10, 64));
        points.note(to, from, at(1, 21, 64), at(0, 11, 59));
        let behind: Vec<&TwoPoints> = points.behind(from, to, SourceId(0)).collect();
        assert_eq!((behind.len(), behind[0].far), (1, at(1, 20, 59)));
        assert_eq!(points.both_saw(behind[0]), (Timestamp(10), Timestamp(21)));
        assert_eq!(points.behind(from, to, SourceId(1)).count(), 0);
        // Seen the other way round as well: they are not on one way.
        points.note(from, to, at(1, 30, 64), at(0, 31, 59));
        assert_eq!(points.behind(from, to, SourceId(0)).count(), 0);
        let mut alike = Points::default();
        alike.note(from, to, at(0, 1, 64), at(1, 2, 64));
        assert_eq!(alike, Points::default());
    }

    #[test]
    fn merging_is_commutative_and_what_is_written_is_read() {
        let (from, to) = ends();
        let noted = |frames: &[u64]| {
            let mut points = Points::default();
            frames.iter().for_each(|frame| points.note(from, to, at(0, *frame, 64), at(1, frame + 1, 60)));
            points
        };
        let merged = |one: &[u64], other: &[u64]| {
            let mut one = noted(one);
            one.merge(&noted(other));
            one
        };
        assert_eq!(merged(&[3, 9], &[1, 5]), merged(&[1, 5], &[3, 9]));
        assert_eq!(merged(&[3, 9], &[1, 5]), noted(&[1, 3, 5, 9]));
        let text = serde_json::to_string(&noted(&[1, 5])).unwrap();
        assert_eq!(serde_json::from_str::<Points>(&text).unwrap(), noted(&[1, 5]));
    }
}
