//! Something that is kept of each input.
//!
//! Is asked for it with each packet, and nearly every packet comes from the input that gave the one before.
//! Deliberately does not know what is kept.

use crate::capture::SourceId;

/// Something of each input that was asked for.
#[derive(Debug, Default)]
pub(super) struct BySource<T> {
    /// In order of the inputs.
    all: Vec<(SourceId, T)>,
    /// Where that of the input stands that was asked for last.
    last: usize,
}

impl<T: Default> BySource<T> {
    /// That of an input, which begins empty.
    #[inline]
    pub(super) fn of(&mut self, source: SourceId) -> &mut T {
        let is_last = self.all.get(self.last).is_some_and(|(known, _)| *known == source);
        if !is_last {
            self.last = self.find(source);
        }
        &mut self.all[self.last].1
    }

    /// That of an input, if it was asked for before.
    pub(super) fn get(&self, source: SourceId) -> Option<&T> {
        let at = self.all.binary_search_by_key(&source, |(known, _)| *known).ok()?;
        Some(&self.all[at].1)
    }

    #[cold]
    fn find(&mut self, source: SourceId) -> usize {
        self.all.binary_search_by_key(&source, |(known, _)| *known).unwrap_or_else(|at| {
            self.all.insert(at, (source, T::default()));
            at
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_keeps_its_own() {
        let mut counts = BySource::<u32>::default();
        for source in [7, 7, 3, 7, 9, 3, 3] {
            *counts.of(SourceId(source)) += 1;
        }
        assert_eq!([3, 7, 9].map(|source| counts.get(SourceId(source)).copied()), [Some(3), Some(3), Some(1)]);
        assert_eq!(counts.get(SourceId(8)), None);
    }
}
