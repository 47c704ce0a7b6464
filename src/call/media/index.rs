//! Where a stream stands, by its path: a small table that is looked at for every packet, with exact ones behind it.

use crate::keyed::Table;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use crate::call::media::stream::Stream;
use crate::net::Path;

/// Slots of the small table: a power of two.
const SLOTS: usize = 1 << 14;
/// No stream.
const NONE: u32 = u32::MAX;

/// Finds streams.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// The stream of the path that last used the slot.
    slots: Vec<u32>,
    /// What nobody outside can foresee, so that nobody can fill one slot on purpose. Two paths in one slot cost time,
    /// and nothing else.
    seed: u64,
    by_path: Table<Path, u32>,
    to: Table<SocketAddr, Vec<u32>>,
    from: Table<SocketAddr, Vec<u32>>,
}

impl Default for Index {
    fn default() -> Index {
        let seed = RandomState::new().hash_one(0u8) | 1;
        Index { slots: Vec::new(), seed, by_path: Table::default(), to: Table::default(), from: Table::default() }
    }
}

impl Index {
    /// The index of these streams.
    pub(super) fn of(streams: &[Stream]) -> Index {
        let mut index = Index::default();
        for (at, stream) in streams.iter().enumerate() {
            index.add(&stream.path, at);
        }
        index
    }

    /// The stream that was last heard on a path.
    #[inline]
    pub(super) fn find(&mut self, path: &Path, streams: &[Stream]) -> Option<usize> {
        let slot = self.slot(path);
        let guess = *self.slots.get(slot)?;
        if streams.get(guess as usize).is_some_and(|stream| stream.path == *path) {
            return Some(guess as usize);
        }
        let known = *self.by_path.get(path)?;
        if let Some(place) = self.slots.get_mut(slot) {
            *place = known;
        }
        Some(known as usize)
    }

    /// Adds a stream.
    pub(super) fn add(&mut self, path: &Path, at: usize) {
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
        let slot = self.slot(path);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = number;
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
    fn slot(&self, path: &Path) -> usize {
        let ports = u64::from(path.source.port()) << 16 | u64::from(path.destination.port());
        let mixed = number(path.source.ip()).rotate_left(32) ^ number(path.destination.ip()) ^ ports.rotate_left(20);
        (mixed.wrapping_mul(self.seed) >> 50) as usize & (SLOTS - 1)
    }
}

#[inline]
fn number(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ bits as u64
        }
    }
}
