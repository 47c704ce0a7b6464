//! Which peers are counted under their own name: those with most calls. All others are one.
//!
//! Labels must not grow with the traffic, and a scanner must not push out a carrier: who is new has to be seen twice as
//! often as the least of those that have a name before it takes that place.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Peers with a name of their own.
pub(crate) const MOST_PEERS: usize = 20;
/// Peers that are watched beside them.
const MOST_WATCHED: usize = 1000;
/// Calls that a peer needs at least to take the place of another.
const LEAST: u64 = 10;

/// Counts peers.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    named: BTreeMap<IpAddr, u64>,
    watched: BTreeMap<IpAddr, u64>,
}

/// Under which name a call is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Its peer's own.
    Own,
    /// Its peer's own from now on, and this one has none any more.
    InPlaceOf(IpAddr),
    /// That of all others.
    Other,
}

impl Peers {
    /// Counts a call of a peer.
    pub(crate) fn count(&mut self, peer: IpAddr) -> Counted {
        if let Some(calls) = self.named.get_mut(&peer) {
            *calls += 1;
            return Counted::Own;
        }
        if self.named.len() < MOST_PEERS {
            self.named.insert(peer, 1);
            return Counted::Own;
        }
        if self.watched.len() >= MOST_WATCHED && !self.watched.contains_key(&peer) {
            self.forget_half();
        }
        let calls = self.watched.entry(peer).or_default();
        *calls += 1;
        let calls = *calls;
        let least = self.named.iter().min_by_key(|(_, calls)| **calls).map(|(peer, calls)| (*peer, *calls));
        match least {
            Some((least, of_least)) if calls > of_least * 2 + LEAST => {
                self.named.remove(&least);
                self.watched.remove(&peer);
                self.named.insert(peer, calls);
                self.watched.insert(least, of_least);
                Counted::InPlaceOf(least)
            }
            _ => Counted::Other,
        }
    }

    /// Makes room: what was seen seldom is forgotten.
    fn forget_half(&mut self) {
        self.watched.retain(|_, calls| {
            *calls /= 2;
            *calls > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0A00_0000 + number).into()
    }

    #[test]
    fn a_hundred_thousand_scanners_do_not_push_out_a_carrier() {
        let mut peers = Peers::default();
        for _ in 0..100 {
            assert_eq!(peers.count(peer(0)), Counted::Own);
        }
        for number in 1..100_000 {
            peers.count(peer(number));
        }
        assert_eq!(peers.count(peer(0)), Counted::Own);
        assert!(peers.named.len() == MOST_PEERS && peers.watched.len() <= MOST_WATCHED);
    }

    #[test]
    fn a_carrier_that_comes_late_takes_the_place_of_a_scanner() {
        let mut peers = Peers::default();
        for number in 1..=u32::try_from(MOST_PEERS).unwrap() {
            peers.count(peer(number));
        }
        let counted: Vec<Counted> = (0..20).map(|_| peers.count(peer(0))).collect();
        assert_eq!(counted[11], Counted::Other);
        assert!(matches!(counted[12], Counted::InPlaceOf(_)), "{counted:?}");
        assert_eq!(counted[13], Counted::Own);
        assert_eq!(peers.named.len(), MOST_PEERS);
    }
}
