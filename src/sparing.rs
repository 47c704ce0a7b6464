//! Room for what lasts as long as a capture, taken in small steps.
//!
//! A vector that doubles holds half of its room empty, and copies of both sizes while it grows. That is the right price
//! for what is used and let go; not for rows of which there are thousands, and which stay.

/// Makes room for one more entry: where there is none, for a quarter more.
pub(crate) fn make_room<T>(row: &mut Vec<T>) {
    if row.len() == row.capacity() {
        row.reserve_exact(row.len() / 4 + 1);
    }
}

/// Entries of a piece of a long row.
const PIECE: usize = 64;

/// A long row in pieces: what is in it never moves, where a vector would hold two copies of all of it while it grows.
#[derive(Debug)]
pub(crate) struct Pieces<T>(Vec<Vec<T>>);

impl<T> Pieces<T> {
    /// An empty row.
    pub(crate) fn new() -> Pieces<T> {
        Pieces(Vec::new())
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    /// The entry of this number.
    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.0.get(number / PIECE)?.get(number % PIECE)
    }

    /// The same to change it.
    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.0.get_mut(number / PIECE)?.get_mut(number % PIECE)
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    /// Adds an entry at the end.
    pub(crate) fn push(&mut self, entry: T) {
        if self.0.last().is_none_or(|last| last.len() == PIECE) {
            // A short row takes no more room than it needs.
            let room = if self.0.is_empty() { 0 } else { PIECE };
            self.0.push(Vec::with_capacity(room));
        }
        if let Some(last) = self.0.last_mut() {
            last.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_in_pieces_is_a_row() {
        let mut row = Pieces::new();
        for number in 0..3 * PIECE + 1 {
            assert_eq!((row.len(), row.get(number)), (number, None));
            row.push(number);
            let first = row.get_mut(number / 2).map(std::mem::take);
            assert_eq!((first, row.get(number / 2)), (Some(number / 2), Some(&0)));
            *row.get_mut(number / 2).expect("an entry") = number / 2;
        }
        assert!(row.iter().copied().eq(0..row.len()));
    }

    #[test]
    fn a_row_grows_by_a_quarter() {
        let mut row = Vec::new();
        for entry in 0..1000 {
            make_room(&mut row);
            row.push(entry);
            assert!(row.capacity() <= row.len() + row.len() / 4 + 1, "{} of {}", row.len(), row.capacity());
        }
        assert_eq!(row.len(), 1000);
    }
}
