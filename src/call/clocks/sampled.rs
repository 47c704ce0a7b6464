//! A bounded table that keeps a fair part of what it is given.
//!
//! Is given things by a fixed hash of what they are; keeps all of them, or of too many those whose hash falls into a
//! part that becomes smaller. So two files that show the same thing keep the same things, however far apart in time
//! they show it, and the same input keeps the same in each run and in any order.

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

/// A hash of bytes that is the same in each run and on each machine. Nobody gains by a collision: at worst a clock is
/// compared by what somebody sent, as it is by all that is sent.
pub(super) fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let begun = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(begun, |hash, word| step(hash, u64::from_le_bytes(*word)));
    // The last eight bytes hold what is left, and some once more: that takes less than to put them together.
    mixed(match bytes.last_chunk::<8>() {
        Some(last) => step(hash, u64::from_le_bytes(*last)),
        None => rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte))),
    })
}

/// The same of words.
pub(super) fn hash_of(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, word| mixed(hash ^ word))
}

/// Spreads each bit over all of them (the last steps of SplitMix64).
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_too_many_does_not_depend_on_their_order() {
        let hashes: Vec<u64> = (0..10_000).map(|number| hash_of(&[number])).collect();
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
