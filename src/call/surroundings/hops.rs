//! What was seen on each hop, in one direction.
//!
//! Knows addresses and moments. Is given from whom to whom something went, and when; gives what was seen there, in
//! order of addresses. Deliberately does not know what it was.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::call::surroundings::{Seen, Surroundings};
use crate::keyed::Table;

/// Where a hop is counted, so that it need not be looked up for every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HopId(pub(super) u32);

impl HopId {
    /// Not looked up yet.
    pub(crate) const UNKNOWN: HopId = HopId(u32::MAX);
    /// There is no room for it.
    const NO_ROOM: HopId = HopId(u32::MAX - 1);
}

/// The table of hops: what was seen on each, and where it stands. As a value it is the map from hop to what was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<((IpAddr, IpAddr), Seen)>", into = "Vec<((IpAddr, IpAddr), Seen)>")]
pub(super) struct Hops {
    pub(super) places: Table<(IpAddr, IpAddr), HopId>,
    pub(super) seen: Vec<Seen>,
}

impl Hops {
    pub(super) fn id(&mut self, hop: (IpAddr, IpAddr)) -> HopId {
        if self.seen.len() >= Surroundings::MOST_HOPS {
            return self.places.get(&hop).copied().unwrap_or(HopId::NO_ROOM);
        }
        *self.places.entry(hop).or_insert_with(|| {
            self.seen.push(Seen::default());
            HopId(self.seen.len() as u32 - 1)
        })
    }

    /// What was seen on a hop, to be added to; `None` if there is no room for another one.
    pub(super) fn seen_mut(&mut self, hop: (IpAddr, IpAddr)) -> Option<&mut Seen> {
        let id = self.id(hop);
        self.seen.get_mut(id.0 as usize)
    }

    pub(super) fn get(&self, hop: (IpAddr, IpAddr)) -> Option<&Seen> {
        self.seen.get(self.places.get(&hop)?.0 as usize)
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = (&(IpAddr, IpAddr), &Seen)> {
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_unstable();
        places.into_iter().filter_map(|(hop, id)| Some((hop, self.seen.get(id.0 as usize)?)))
    }
}

impl PartialEq for Hops {
    fn eq(&self, other: &Hops) -> bool {
        self.in_order().eq(other.in_order())
    }
}

impl Eq for Hops {}

impl From<Hops> for Vec<((IpAddr, IpAddr), Seen)> {
    fn from(hops: Hops) -> Self {
        hops.in_order().map(|(hop, seen)| (*hop, seen.clone())).collect()
    }
}

impl From<Vec<((IpAddr, IpAddr), Seen)>> for Hops {
    fn from(list: Vec<((IpAddr, IpAddr), Seen)>) -> Hops {
        let mut hops = Hops::default();
        for (hop, seen) in list {
            if let Some(known) = hops.seen_mut(hop) {
                *known = seen;
            }
        }
        hops
    }
}
