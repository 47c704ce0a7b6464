//! Things of which only parts have come, bounded in bytes.
//!
//! Knows how long to wait, and what gives way where there is no room. Is given parts, by the key of what they belong
//! to; gives what has become whole, and notes what stays incomplete. Deliberately does not know how parts make a whole.

use std::hash::Hash;
use std::time::Duration;

use crate::capture::Place;
use crate::capture::Timestamp;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;
use crate::recent::Recent;

/// How long a receiver keeps the pieces of a datagram (RFC 1122 §3.3.2 and RFC 8200 §4.5 say 60 s, Linux waits 30 s).
const PATIENCE: Duration = Duration::from_secs(30);

/// Something of which parts have come.
pub(super) trait Incomplete: Default {
    /// What it costs beside its parts.
    const OVERHEAD: usize;
    /// How many of those that never became whole wait to be taken up; what is given up beyond is forgotten.
    const TAKEN_UP: usize;

    /// Bytes of its parts, and what they cost beside these.
    fn weight(&self) -> usize;

    /// True if it holds no part.
    fn is_empty(&self) -> bool;

    /// How many parts of something that never became whole it holds; 0 if nothing is missing.
    fn left_over(&self) -> u32;

    /// Where its last part stands.
    fn last(&self) -> Place;
}

/// What is not whole yet, by its key. Where there is no room, what waits for longest gives way.
#[derive(Debug)]
pub(super) struct IncompleteTable<K, T> {
    of: Recent<K, T>,
    /// Bytes that are held.
    pub(super) bytes: usize,
    limit: usize,
    given_up: Vec<(K, T)>,
}

impl<K: Copy + Eq + Hash, T: Incomplete> IncompleteTable<K, T> {
    /// A table that holds `limit` bytes.
    pub(super) fn new(limit: usize) -> IncompleteTable<K, T> {
        IncompleteTable { of: Recent::new(), bytes: 0, limit, given_up: Vec::new() }
    }

    /// What is there of this key.
    pub(super) fn get(&self, key: &K) -> Option<&T> {
        self.of.peek(key)
    }

    /// Takes in a part: `add` adds it to what it belongs to, and gives what is whole now.
    pub(super) fn take_in<W>(
        &mut self,
        key: K,
        place: Place,
        oddities: &mut OddityLog,
        add: impl FnOnce(&mut T, &mut OddityLog) -> Option<W>,
    ) -> Option<W> {
        self.expire(place.time, oddities);
        if self.of.get_mut(&key).is_none() {
            self.bytes = self.bytes.saturating_add(T::OVERHEAD);
            self.of.insert(key, T::default());
        }
        let incomplete = self.of.get_mut(&key)?;
        let before = incomplete.weight();
        let whole = add(incomplete, oddities);
        let after = incomplete.weight();
        self.bytes = self.bytes.saturating_add(after).saturating_sub(before);
        self.make_room(place, oddities);
        whole
    }

    /// Takes up what was given up since the last time.
    pub(super) fn take_given_up(&mut self) -> Vec<(K, T)> {
        std::mem::take(&mut self.given_up)
    }

    /// Forgets what has waited too long, and notes what was missing.
    pub(super) fn expire(&mut self, now: Timestamp, oddities: &mut OddityLog) {
        while self.of.oldest().is_some_and(|(_, oldest)| now.since(oldest.last().time) > PATIENCE) {
            self.forget_oldest(oddities);
        }
    }

    /// Forgets everything, and notes what was missing.
    pub(super) fn finish(&mut self, oddities: &mut OddityLog) {
        while self.forget_oldest(oddities).is_some() {}
    }

    fn make_room(&mut self, place: Place, oddities: &mut OddityLog) {
        while self.bytes > self.limit {
            let value = self.limit as u64;
            if self.of.oldest().is_some_and(|(_, oldest)| !oldest.is_empty()) {
                oddities.note(Oddity::LimitHit { limit: "fragment-bytes", value }, Some(place.frame));
            }
            if self.forget_oldest(oddities).is_none() {
                return;
            }
        }
    }

    fn forget_oldest(&mut self, oddities: &mut OddityLog) -> Option<()> {
        let (key, oldest) = self.of.pop_oldest()?;
        self.bytes = self.bytes.saturating_sub(oldest.weight().saturating_add(T::OVERHEAD));
        let had = oldest.left_over();
        if had > 0 {
            oddities.note(Oddity::FragmentsMissing { had }, Some(oldest.last().frame));
            if self.given_up.len() < T::TAKEN_UP {
                self.given_up.push((key, oldest));
            }
        }
        Some(())
    }
}
