//! A table that knows which of its entries was used least recently.
//!
//! Knows keys and the order of their use. Is given entries; gives them back, and the oldest when there is no room.
//! Deliberately does not know what it holds. Nothing walks the hash table, so its order reaches no output.

use std::hash::Hash;

use crate::keyed::Table;

/// No slot.
const NONE: usize = usize::MAX;

/// Entries in the order of their last use. Looking one up, adding and dropping the oldest take constant time.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    slot_of: Table<K, usize>,
    slots: Vec<Slot<K, V>>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
}

#[derive(Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    older: usize,
    newer: usize,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    /// An empty table.
    pub(crate) fn new() -> Recent<K, V> {
        Recent { slot_of: Table::default(), slots: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.slot_of.len()
    }

    /// The entry of a key, which becomes the most recent.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.slots.get(self.newest).and_then(|slot| slot.entry.as_ref()).is_some_and(|(newest, _)| newest == key) {
            // Frames of one connection come in rows: no need to hash.
            return self.slots.get_mut(self.newest)?.entry.as_mut().map(|(_, value)| value);
        }
        let slot = *self.slot_of.get(key)?;
        if self.newest != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
        self.slots.get_mut(slot)?.entry.as_mut().map(|(_, value)| value)
    }

    /// The entry of a key, whose age stays as it is.
    pub(crate) fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = *self.slot_of.get(key)?;
        self.slots.get_mut(slot)?.entry.as_mut().map(|(_, value)| value)
    }

    /// Adds an entry as the most recent, in place of the one that its key may have had.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot { entry: None, older: NONE, newer: NONE });
                self.slots.len().saturating_sub(1)
            }
        };
        if let Some(place) = self.slots.get_mut(slot) {
            place.entry = Some((key, value));
        }
        self.slot_of.insert(key, slot);
        self.link_newest(slot);
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.slot_of.remove(key)?;
        self.unlink(slot);
        self.free.push(slot);
        self.slots.get_mut(slot)?.entry.take().map(|(_, value)| value)
    }

    /// The entry that was not used for longest, left where it is.
    pub(crate) fn oldest(&self) -> Option<(&K, &V)> {
        self.slots.get(self.oldest)?.entry.as_ref().map(|(key, value)| (key, value))
    }

    /// Takes out the entry that was not used for longest.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let key = *self.oldest()?.0;
        self.remove(&key).map(|value| (key, value))
    }

    fn unlink(&mut self, slot: usize) {
        let Some((older, newer)) = self.slots.get(slot).map(|s| (s.older, s.newer)) else { return };
        match self.slots.get_mut(older) {
            Some(neighbour) => neighbour.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer) {
            Some(neighbour) => neighbour.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, slot: usize) {
        let newest = self.newest;
        if let Some(place) = self.slots.get_mut(slot) {
            place.older = newest;
            place.newer = NONE;
        }
        match self.slots.get_mut(newest) {
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
        let mut table = Recent::new();
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
            let mut table = Recent::new();
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (count, (what, key)) in steps.into_iter().enumerate() {
                let found = list.iter().position(|(k, _)| *k == key);
                match what {
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
