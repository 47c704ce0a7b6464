//! A table that knows which of its entries was used least recently.
//!
//! Knows keys and the order of their use. Is given entries; gives them back, and the oldest when there is no room.
//! Deliberately does not know what it holds. Nothing walks the hash table, so its order reaches no output.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use crate::keyed::Keyed;
use crate::sparing::Pieces;

/// No slot.
const NONE: u32 = u32::MAX;

/// Entries in the order of their last use. Looking one up, adding and dropping the oldest take constant time.
///
/// The table holds no more than the numbers of slots: a flood of new keys finds it in the processor's cache, and only
/// the slot that is meant is fetched from memory.
#[derive(Debug)]
pub(crate) struct Recent<K, V, S = Keyed> {
    hasher: S,
    slot_of: HashTable<u32>,
    slots: Pieces<Slot<K, V>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    hash: u64,
    older: u32,
    newer: u32,
}

impl<K: Hash + Eq + Copy, V, S: BuildHasher + Default> Recent<K, V, S> {
    /// An empty table.
    pub(crate) fn new() -> Recent<K, V, S> {
        let (slot_of, slots, free) = (HashTable::new(), Pieces::new(), Vec::new());
        Recent { hasher: S::default(), slot_of, slots, free, oldest: NONE, newest: NONE }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.slot_of.len()
    }

    /// The entry of a key, which becomes the most recent.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        // Frames of one connection come in rows: no need to hash.
        let slot = match self.is_at(self.newest, key) {
            true => self.newest,
            false => self.slot(key)?,
        };
        self.touch(slot);
        self.value_mut(slot)
    }

    /// The value of a key, which stays as recent as it is.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        let slot = self.slot(key)?;
        self.slots.get(slot as usize)?.entry.as_ref().map(|(_, value)| value)
    }

    /// The entry of a key, whose age stays as it is.
    pub(crate) fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = if self.is_at(self.newest, key) { self.newest } else { self.slot(key)? };
        self.value_mut(slot)
    }

    /// Adds an entry as the most recent, in place of the one that its key may have had.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let hash = self.hasher.hash_one(key);
        let known = if self.is_at(self.newest, &key) { Some(self.newest) } else { self.slot_of_hash(hash, &key) };
        if let Some(slot) = known {
            self.touch(slot);
            if let Some(known) = self.value_mut(slot) {
                *known = value;
            }
            return;
        }
        self.insert_new(hash, key, value);
    }

    /// Puts an entry into the place of the one that was not used for longest, and makes it the most recent: what that
    /// one held is given to `reuse`, which makes the value of the new one of it. Without any entry nothing is done. The
    /// key must not be there yet.
    pub(crate) fn replace_oldest(&mut self, key: K, reuse: impl FnOnce(&mut V)) {
        let (slot, hash) = (self.oldest, self.hasher.hash_one(key));
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let before = std::mem::replace(&mut place.hash, hash);
        if let Some((known, value)) = &mut place.entry {
            *known = key;
            reuse(value);
        }
        if let Ok(known) = self.slot_of.find_entry(before, |known| *known == slot) {
            known.remove();
        }
        let slots = &self.slots;
        self.slot_of.insert_unique(hash, slot, |slot| slots.get(*slot as usize).map_or(0, |slot| slot.hash));
        self.touch(slot);
    }

    fn insert_new(&mut self, hash: u64, key: K, value: V) {
        let filled = Slot { entry: Some((key, value)), hash, older: NONE, newer: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = filled;
                }
                slot
            }
            None => {
                // Every table of this kind has a bound far below the numbers that there are.
                let Ok(slot) = u32::try_from(self.slots.len()) else { return };
                self.slots.push(filled);
                slot
            }
        };
        let slots = &self.slots;
        self.slot_of.insert_unique(hash, slot, |slot| slots.get(*slot as usize).map_or(0, |slot| slot.hash));
        self.link_newest(slot);
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.slot(key)?;
        self.take_out(slot).map(|(_, value)| value)
    }

    /// The keys of all entries, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref().map(|(key, _)| key))
    }

    /// The entry that was not used for longest, left where it is.
    pub(crate) fn oldest(&self) -> Option<(&K, &V)> {
        self.slots.get(self.oldest as usize)?.entry.as_ref().map(|(key, value)| (key, value))
    }

    /// Takes out the entry that was not used for longest.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        self.take_out(self.oldest)
    }

    /// Where the entry of a key stands.
    fn slot(&self, key: &K) -> Option<u32> {
        self.slot_of_hash(self.hasher.hash_one(key), key)
    }

    fn slot_of_hash(&self, hash: u64, key: &K) -> Option<u32> {
        self.slot_of.find(hash, |slot| self.is_at(*slot, key)).copied()
    }

    /// Makes an entry the most recent.
    fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    fn is_at(&self, slot: u32, key: &K) -> bool {
        let entry = self.slots.get(slot as usize).and_then(|slot| slot.entry.as_ref());
        entry.is_some_and(|(known, _)| known == key)
    }

    fn value_mut(&mut self, slot: u32) -> Option<&mut V> {
        self.slots.get_mut(slot as usize)?.entry.as_mut().map(|(_, value)| value)
    }

    fn take_out(&mut self, slot: u32) -> Option<(K, V)> {
        let hash = self.slots.get(slot as usize)?.hash;
        if let Ok(known) = self.slot_of.find_entry(hash, |known| *known == slot) {
            known.remove();
        }
        self.unlink(slot);
        self.free.push(slot);
        self.slots.get_mut(slot as usize)?.entry.take()
    }

    fn unlink(&mut self, slot: u32) {
        let Some((older, newer)) = self.slots.get(slot as usize).map(|s| (s.older, s.newer)) else { return };
        match self.slots.get_mut(older as usize) {
            Some(neighbour) => neighbour.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(neighbour) => neighbour.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let newest = self.newest;
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.older = newest;
            place.newer = NONE;
        }
        match self.slots.get_mut(newest as usize) {
            Some(neighbour) => neighbour.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn use_makes_an_entry_recent() {
        let mut table: Recent<i32, i32> = Recent::new();
        for key in 1..=3 {
            table.insert(key, key * 10);
        }
        assert_eq!(table.get_mut(&1), Some(&mut 10));
        assert_eq!(table.pop_oldest(), Some((2, 20)));
        assert_eq!(table.pop_oldest(), Some((3, 30)));
        assert_eq!(table.pop_oldest(), Some((1, 10)));
        assert_eq!(table.pop_oldest(), None);
    }

    proptest! {
        /// The table behaves as a plain list that is searched from one end to the other.
        #[test]
        fn it_is_a_list_in_order_of_use(steps in proptest::collection::vec((0..4u8, 0..8u8), 0..200)) {
            let mut table: Recent<u8, usize> = Recent::new();
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (count, (what, key)) in steps.into_iter().enumerate() {
                let found = list.iter().position(|(k, _)| *k == key);
                match what {
                    0 if found.is_none() && !list.is_empty() && count % 2 == 0 => {
                        list.remove(0);
                        list.push((key, count));
                        table.replace_oldest(key, |value| *value = count);
                    }
                    0 => {
                        if let Some(at) = found { list.remove(at); }
                        list.push((key, count));
                        table.insert(key, count);
                    }
                    1 => {
                        if let Some(at) = found { let entry = list.remove(at); list.push(entry); }
                        prop_assert_eq!(table.get_mut(&key).copied(), found.map(|_| list.last().unwrap().1));
                    }
                    2 => {
                        let removed = found.map(|at| list.remove(at).1);
                        prop_assert_eq!(table.remove(&key), removed);
                    }
                    _ => {
                        let first = (!list.is_empty()).then(|| list.remove(0));
                        prop_assert_eq!(table.pop_oldest(), first);
                    }
                }
                prop_assert_eq!(table.len(), list.len());
            }
        }
    }
}
