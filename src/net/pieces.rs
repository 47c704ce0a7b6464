//! Pieces of something longer, which came in any order, more than once, or overlapping.
//!
//! Knows positions and bytes. Is given pieces; gives them back in order, the first copy of each byte. Deliberately
//! does not know whether they are fragments of a datagram or segments of a stream.

use crate::capture::Place;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;

/// What a piece costs beside its bytes.
const OVERHEAD: usize = 64;

/// Pieces that do not overlap, in order of position.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    bytes: usize,
}

/// One piece.
#[derive(Debug)]
pub(super) struct Piece {
    /// Position of its first byte.
    pub at: u64,
    /// Its bytes.
    pub bytes: Box<[u8]>,
    /// Bytes behind these that belong to it, but were not captured.
    pub missing: u32,
    /// The frame that brought it.
    pub place: Place,
}

/// How much of a piece had been there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Overlap {
    /// Bytes that had been there.
    pub covered: u64,
    /// Captured bytes among them that differ from those that had been there.
    pub different: u32,
}

impl Piece {
    /// Position behind its last byte.
    pub(super) fn end(&self) -> u64 {
        end_of(self.at, Rest { bytes: &self.bytes, missing: self.missing })
    }
}

impl Pieces {
    /// True if there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Bytes of memory that they take.
    pub(super) fn weight(&self) -> usize {
        self.bytes.saturating_add(self.pieces.len().saturating_mul(OVERHEAD))
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<&Piece> {
        self.pieces.first()
    }

    /// Takes the first one out if it begins at or before `position`.
    pub(super) fn take_first_until(&mut self, position: u64) -> Option<Piece> {
        if self.pieces.first()?.at > position {
            return None;
        }
        let piece = self.pieces.remove(0);
        self.bytes = self.bytes.saturating_sub(piece.bytes.len());
        Some(piece)
    }

    /// Takes all of them out, in order.
    pub(super) fn take_all(&mut self) -> Vec<Piece> {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }

    /// Position up to which nothing is missing, counted from 0; the bytes cut from a piece count as there.
    pub(super) fn contiguous_end(&self) -> u64 {
        let mut end = 0;
        for piece in &self.pieces {
            if piece.at > end {
                break;
            }
            end = piece.end();
        }
        end
    }

    /// True if a piece is wholly new, or a copy of what is there.
    pub(super) fn agrees(&self, at: u64, rest: Rest<'_>) -> bool {
        let end = end_of(at, rest);
        let mut covered: u64 = 0;
        let first = self.pieces.partition_point(|piece| piece.end() <= at);
        for piece in self.pieces.iter().skip(first).take_while(|piece| piece.at < end) {
            let (from, until) = (piece.at.max(at), piece.end().min(end));
            let old = part(piece.at, Rest { bytes: &piece.bytes, missing: piece.missing }, from, until);
            if different(old.bytes, part(at, rest, from, until).bytes) > 0 {
                return false;
            }
            covered = covered.saturating_add(until.saturating_sub(from));
        }
        covered == 0 || covered == end.saturating_sub(at)
    }

    /// Adds what is new in a piece; where there were bytes before, those are kept.
    pub(super) fn insert(&mut self, at: u64, rest: Rest<'_>, place: Place) -> Overlap {
        let mut overlap = Overlap::default();
        let end = end_of(at, rest);
        let mut position = at;
        let mut index = self.pieces.partition_point(|piece| piece.end() <= at);
        while position < end {
            let Some(piece) = self.pieces.get(index).filter(|piece| piece.at < end) else {
                self.add(index, position, part(at, rest, position, end), place);
                break;
            };
            let (piece_at, piece_end) = (piece.at, piece.end());
            if position < piece_at {
                self.add(index, position, part(at, rest, position, piece_at), place);
                index = index.saturating_add(1);
                position = piece_at;
                continue;
            }
            let until = piece_end.min(end);
            overlap.covered = overlap.covered.saturating_add(until.saturating_sub(position));
            let old = part(piece_at, Rest { bytes: &piece.bytes, missing: piece.missing }, position, until);
            let differing = different(old.bytes, part(at, rest, position, until).bytes);
            overlap.different = overlap.different.saturating_add(differing);
            position = until;
            index = index.saturating_add(1);
        }
        overlap
    }

    fn add(&mut self, index: usize, at: u64, rest: Rest<'_>, place: Place) {
        self.bytes = self.bytes.saturating_add(rest.bytes.len());
        let index = index.min(self.pieces.len());
        self.pieces.insert(index, Piece { at, bytes: rest.bytes.into(), missing: rest.missing, place });
    }
}

/// Bytes that differ in place; what is longer in one of them does not count.
pub(super) fn different(one: &[u8], other: &[u8]) -> u32 {
    let length = one.len().min(other.len());
    if one.get(..length) == other.get(..length) {
        return 0;
    }
    to_u32(one.iter().zip(other).filter(|(a, b)| a != b).count())
}

/// Position behind the last byte of what begins at `at`.
fn end_of(at: u64, rest: Rest<'_>) -> u64 {
    at.saturating_add(rest.on_wire() as u64)
}

/// The part from `from` to `to` of what begins at `at`.
fn part(at: u64, rest: Rest<'_>, from: u64, to: u64) -> Rest<'_> {
    let skipped = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
    let length = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    Rest { bytes: rest.bytes.get(skipped..).unwrap_or_default(), missing: 0 }.limit(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(pieces: &Pieces) -> Vec<(u64, Vec<u8>)> {
        pieces.pieces.iter().map(|p| (p.at, p.bytes.to_vec())).collect()
    }

    #[test]
    fn the_first_copy_wins() {
        let mut pieces = Pieces::default();
        pieces.insert(10, Rest::whole(b"cde"), Place::default());
        let overlap = pieces.insert(8, Rest::whole(b"abCDEfg"), Place::default());
        assert_eq!(overlap, Overlap { covered: 3, different: 3 });
        assert_eq!(joined(&pieces), [(8, b"ab".to_vec()), (10, b"cde".to_vec()), (13, b"fg".to_vec())]);
        assert_eq!(pieces.insert(8, Rest::whole(b"abcdefg"), Place::default()), Overlap { covered: 7, different: 0 });
        assert_eq!(pieces.len(), 3);
    }

    #[test]
    fn cut_bytes_count_as_there() {
        let mut pieces = Pieces::default();
        pieces.insert(0, Rest { bytes: b"ab", missing: 3 }, Place::default());
        pieces.insert(5, Rest::whole(b"f"), Place::default());
        assert_eq!(pieces.contiguous_end(), 6);
        assert_eq!(pieces.insert(3, Rest::whole(b"d"), Place::default()).covered, 1);
    }

    #[test]
    fn a_piece_agrees_if_it_is_new_or_a_copy() {
        let mut pieces = Pieces::default();
        pieces.insert(10, Rest::whole(b"cde"), Place::default());
        pieces.insert(13, Rest::whole(b"fg"), Place::default());
        for (at, bytes, agrees) in
            [(10, &b"cde"[..], true), (11, b"def", true), (4, b"xyz", true), (10, b"cdE", false), (12, b"efgh", false)]
        {
            assert_eq!(pieces.agrees(at, Rest::whole(bytes)), agrees, "{bytes:?}");
        }
    }

    proptest! {
        /// Whatever comes, in whatever order: the pieces are what a plain array of first copies holds.
        #[test]
        fn like_an_array_of_first_copies(
            given in proptest::collection::vec((0..64u64, proptest::collection::vec(any::<u8>(), 1..16), 0..4u32), 0..40)
        ) {
            let mut pieces = Pieces::default();
            let mut array: Vec<Option<Option<u8>>> = vec![None; 128];
            for (at, bytes, missing) in &given {
                let (mut covered, mut differing) = (0, 0);
                let known = bytes.iter().map(|b| Some(*b)).chain((0..*missing).map(|_| None));
                for (offset, byte) in known.enumerate() {
                    let cell = &mut array[*at as usize + offset];
                    match cell {
                        None => *cell = Some(byte),
                        Some(old) => {
                            covered += 1;
                            differing += u32::from(old.is_some() && byte.is_some() && *old != byte);
                        }
                    }
                }
                let overlap = pieces.insert(*at, Rest { bytes, missing: *missing }, Place::default());
                prop_assert_eq!(overlap, Overlap { covered, different: differing });
            }
            let mut seen: Vec<Option<Option<u8>>> = vec![None; 128];
            let mut last_end = 0;
            for piece in pieces.take_all() {
                prop_assert!(piece.at >= last_end);
                last_end = piece.end();
                for position in piece.at..piece.end() {
                    seen[position as usize] = Some(piece.bytes.get((position - piece.at) as usize).copied());
                }
            }
            prop_assert_eq!(seen, array);
        }
    }
}
