//! Where a stream stands: by the ends of its path in a small table that is looked at for every packet, with exact ones
//! behind it.

use crate::keyed::Table;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use crate::call::media::stream::Stream;
use crate::net::{Ends, Path};

/// Slots of the small table: a power of two.
const SLOTS: usize = 1 << 14;
/// No stream.
const NONE: u32 = u32::MAX;

/// Finds streams.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// The stream whose ends last used the slot.
    slots: Vec<u32>,
    /// What nobody outside can foresee, so that nobody can fill one slot on purpose. Two streams in one slot cost time,
    /// and nothing else.
    seed: u64,
    /// The ends of each stream; `None` if it does not go over UDP.
    all_ends: Vec<Option<Ends>>,
    by_path: Table<Path, u32>,
    to: Table<SocketAddr, Vec<u32>>,
    from: Table<SocketAddr, Vec<u32>>,
}

impl Default for Index {
    fn default() -> Index {
        let seed = RandomState::new().hash_one(0u8) | 1;
        let (slots, all_ends) = (Vec::new(), Vec::new());
        Index { slots, seed, all_ends, by_path: Table::default(), to: Table::default(), from: Table::default() }
    }
}

impl Index {
    /// The index of these streams.
    pub(super) fn of(streams: &[Stream]) -> Index {
        let mut index = Index::default();
        streams.iter().enumerate().for_each(|(at, stream)| index.add(&stream.path, at));
        index
    }

    /// The stream that was last heard on a path.
    pub(super) fn find(&self, path: &Path) -> Option<usize> {
        self.by_path.get(path).map(|known| *known as usize)
    }

    /// The stream that was last heard between these ends.
    #[inline]
    pub(super) fn find_ends(&mut self, ends: &Ends) -> Option<usize> {
        let slot = self.slot(ends);
        let guess = *self.slots.get(slot)? as usize;
        if self.all_ends.get(guess).is_some_and(|known| known.as_ref() == Some(ends)) {
            return Some(guess);
        }
        let known = *self.by_path.get(&ends.path())?;
        self.slots[slot] = known;
        Some(known as usize)
    }

    /// Adds a stream behind those that are known.
    pub(super) fn add(&mut self, path: &Path, at: usize) {
        self.all_ends.resize(at, None);
        self.all_ends.push(Ends::of(path));
        let Ok(number) = u32::try_from(at) else { return };
        self.to.entry(path.destination).or_default().push(number);
        self.from.entry(path.source).or_default().push(number);
        self.point(path, at);
    }

    /// Says that a stream is the one that is heard on its path now.
    pub(super) fn point(&mut self, path: &Path, at: usize) {
        if self.slots.is_empty() {
            self.slots = vec![NONE; SLOTS];
        }
        let Ok(number) = u32::try_from(at) else { return };
        self.by_path.insert(*path, number);
        if let Some(ends) = self.all_ends.get(at).copied().flatten() {
            let slot = self.slot(&ends);
            self.slots[slot] = number;
        }
    }

    /// The streams that were sent to an address.
    pub(super) fn to(&self, destination: SocketAddr) -> impl Iterator<Item = usize> {
        self.to.get(&destination).into_iter().flatten().map(|at| *at as usize)
    }

    /// The streams that were sent from an address.
    pub(super) fn from(&self, source: SocketAddr) -> impl Iterator<Item = usize> {
        self.from.get(&source).into_iter().flatten().map(|at| *at as usize)
    }

    #[inline]
    fn slot(&self, ends: &Ends) -> usize {
        (ends.mixed().wrapping_mul(self.seed) >> 50) as usize & (SLOTS - 1)
    }
}
