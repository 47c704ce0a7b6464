//! A bounded table that keeps a fair part of what it is given.
//!
//! Is given things by a fixed hash of what they are; keeps all of them, or of too many those whose hash falls into a
//! part that becomes smaller. So two files that show the same thing keep the same things, however far apart in time
//! they show it, and the same input keeps the same in each run and in any order.

use std::hash::{Hash, Hasher};

use twox_hash::XxHash64;

use crate::keyed::ByHash;

/// Things by their hash.
#[derive(Debug)]
pub(super) struct Sampled<V> {
    kept: ByHash<V>,
    most: usize,
    /// How many zeros stand before the others in [`rank`] of what is kept.
    zeros: u32,
}

/// What of a hash decides whether it is kept: bits by which a table does not look for its place.
const RANK: u64 = 0x0000_ffff_ffff_0000;

fn rank(hash: u64) -> u32 {
    ((hash & RANK) >> 16) as u32
}

/// A hash that is kept if the first is, and is told from others by the second.
pub(super) fn kept_like(hash: u64, own: u64) -> u64 {
    hash & RANK | own & !RANK
}

impl<V> Sampled<V> {
    /// A table of at most so many.
    pub(super) fn new(most: usize) -> Sampled<V> {
        Sampled { kept: ByHash::default(), most, zeros: 0 }
    }

    /// True if nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// True if what has this hash is kept.
    #[inline]
    pub(super) fn takes(&self, hash: u64) -> bool {
        rank(hash).leading_zeros() >= self.zeros
    }

    /// What is kept under this hash, if it is there.
    pub(super) fn get_mut(&mut self, hash: u64) -> Option<&mut V> {
        self.kept.get_mut(&hash)
    }

    /// What is kept under this hash, made if it is not there; `None` if it falls into the part that is not kept.
    pub(super) fn entry(&mut self, hash: u64, made: impl FnOnce() -> V) -> Option<&mut V> {
        if !self.takes(hash) {
            return None;
        }
        if self.kept.len() >= self.most && !self.kept.contains_key(&hash) {
            self.keep_fewer();
            if !self.takes(hash) {
                return None;
            }
        }
        Some(self.kept.entry(hash).or_insert_with(made))
    }

    #[cold]
    fn keep_fewer(&mut self) {
        while self.kept.len() >= self.most && self.zeros < u32::BITS {
            self.zeros += 1;
            let zeros = self.zeros;
            self.kept.retain(|hash, _| rank(*hash).leading_zeros() >= zeros);
        }
    }

    /// True if something is kept under this hash.
    pub(super) fn holds(&self, hash: u64) -> bool {
        self.kept.contains_key(&hash)
    }

    /// Everything that is kept, in the order of its hashes.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &V> {
        let mut kept: Vec<(&u64, &V)> = self.kept.iter().collect();
        kept.sort_unstable_by_key(|(hash, _)| **hash);
        kept.into_iter().map(|(_, value)| value)
    }
}

/// A hash that is the same in each run: what is kept of too many things is told. Nobody gains by a collision: at worst a
/// clock is compared by what somebody sent, as it is by all that is sent.
pub(super) fn hash_of(what: impl Hash) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_too_many_does_not_depend_on_their_order() {
        let hashes: Vec<u64> = (0..10_000).map(hash_of).collect();
        let kept = |hashes: &mut dyn Iterator<Item = &u64>| -> Vec<u64> {
            let mut sampled = Sampled::new(100);
            for hash in hashes {
                sampled.entry(*hash, || *hash);
            }
            sampled.in_order().copied().collect()
        };
        let forward = kept(&mut hashes.iter());
        assert_eq!(forward, kept(&mut hashes.iter().rev()));
        assert!((30..=100).contains(&forward.len()), "{}", forward.len());
    }
}
