//! Finds bytes that are near. What every message is read by asks for line ends, colons and semicolons some fifty times
//! a message, and finds each within a few dozen bytes.
//!
//! Sixteen bytes at a time in a plain loop: for what is near, that takes a third of what a call of `memchr` takes to
//! begin. For what is far, `memchr` is the better one.

use wide::u8x16;

/// Bytes that are looked at together.
const LANES: usize = 16;

/// Where the first byte `WANTED` stands.
#[inline]
pub(super) fn first_of<const WANTED: u8>(bytes: &[u8]) -> Option<usize> {
    next_of::<WANTED>(bytes, 0)
}

/// Where the first byte `WANTED` stands from `from` on.
#[inline]
pub(super) fn next_of<const WANTED: u8>(bytes: &[u8], from: usize) -> Option<usize> {
    first_where(bytes, from, |block| block.simd_eq(u8x16::splat(WANTED)), |byte| byte == WANTED)
}

/// Where the first of two bytes stands.
#[inline]
pub(super) fn first_of_two<const ONE: u8, const TWO: u8>(bytes: &[u8]) -> Option<usize> {
    next_of_two::<ONE, TWO>(bytes, 0)
}

/// Where the first byte of a set stands. The fewer there are in it, the better.
#[inline]
pub(super) fn first_of_any<const N: usize>(bytes: &[u8], set: &[u8; N]) -> Option<usize> {
    next_of_any(bytes, 0, set)
}

/// Where the last byte `WANTED` stands.
#[inline]
pub(super) fn last_of<const WANTED: u8>(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    // Nothing here can wrap: every place is one in `bytes`.
    while let Some((before, block)) = rest.split_last_chunk::<LANES>() {
        let hits = u8x16::from(*block).simd_eq(u8x16::splat(WANTED)).to_bitmask();
        if let Some(highest) = hits.checked_ilog2() {
            return Some(before.len().wrapping_add(highest as usize));
        }
        rest = before;
    }
    rest.iter().rposition(|byte| *byte == WANTED)
}

/// Where the value of a parameter that begins at `from` ends: before the next one, the next in a list, a blank, or the
/// headers of a URI (RFC 3261 §25.1); at the end of the bytes if there is none of them.
#[inline]
pub(super) fn end_of_parameter(bytes: &[u8], from: usize) -> usize {
    next_of_any(bytes, from, b";, \t\r\n?").unwrap_or(bytes.len())
}

/// Where the first of two bytes stands from `from` on.
#[inline]
pub(super) fn next_of_two<const ONE: u8, const TWO: u8>(bytes: &[u8], from: usize) -> Option<usize> {
    let in_block = |block: u8x16| block.simd_eq(u8x16::splat(ONE)) | block.simd_eq(u8x16::splat(TWO));
    first_where(bytes, from, in_block, |byte| byte == ONE || byte == TWO)
}

/// Where the first byte that `in_block` tells stands between `from` and `end`, which lie within `bytes`. What stands
/// behind the end is looked at, too, so that what is short is found as quickly as what is long. Always inlined: what a
/// call takes is as much as the one or two turns that are enough for most values.
#[inline(always)]
pub(super) fn next_within(bytes: &[u8], from: usize, end: usize, in_block: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    let mut at = from;
    while at < end {
        let Some(block) = bytes.get(at..)?.first_chunk::<LANES>() else { return last_within(bytes, at, end, in_block) };
        let hits = in_block(u8x16::from(*block)).to_bitmask();
        if hits != 0 {
            // Nothing here can wrap: every place is one in `bytes`.
            return Some(at.wrapping_add(hits.trailing_zeros() as usize)).filter(|at| *at < end);
        }
        at = at.wrapping_add(LANES);
    }
    None
}

/// The same where less than a block is left.
#[cold]
fn last_within(bytes: &[u8], from: usize, end: usize, in_block: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    let rest = bytes.get(from..end)?;
    let mut block = [0; LANES];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    let hits = in_block(u8x16::from(block)).to_bitmask();
    let at = hits.trailing_zeros() as usize;
    (at < rest.len()).then(|| from.wrapping_add(at))
}

/// Tells the bytes up to `HIGHEST`.
#[inline]
pub(super) fn up_to<const HIGHEST: u8>(block: u8x16) -> u8x16 {
    block.min(u8x16::splat(HIGHEST)).simd_eq(block)
}

/// Tells the bytes from `LOWEST` to `HIGHEST`.
#[inline]
pub(super) fn between<const LOWEST: u8, const HIGHEST: u8>(block: u8x16) -> u8x16 {
    block.max(u8x16::splat(LOWEST)).simd_eq(block) & up_to::<HIGHEST>(block)
}

/// Tells one byte.
#[inline]
pub(super) fn is<const WANTED: u8>(block: u8x16) -> u8x16 {
    block.simd_eq(u8x16::splat(WANTED))
}

/// The places of every byte `WANTED`, one after the other. Sixty-four bytes are looked at together, so that a place
/// near the one before costs next to nothing.
pub(super) struct Every<'a, const WANTED: u8> {
    bytes: &'a [u8],
    /// Where the block that is looked at begins, and what was not looked at yet.
    block: usize,
    next_block: usize,
    /// A bit for each place in the block that is still to be given.
    hits: u64,
    /// Every byte so far, one over the other, and the lowest ones.
    union: u8x16,
    lowest: u8x16,
}

/// Bytes that are looked at together for the places of every one of them.
const BLOCK: usize = 4 * LANES;

impl<'a, const WANTED: u8> Every<'a, WANTED> {
    /// Those from `start` on.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Every<'a, WANTED> {
        let (union, lowest) = (u8x16::splat(0), u8x16::splat(u8::MAX));
        Every { bytes, block: start, next_block: start, hits: 0, union, lowest }
    }

    /// True only if no byte up to the last place is zero or beyond ASCII. Some bytes around are looked at, too.
    pub(super) fn saw_plain_text_only(&self) -> bool {
        (self.union | self.lowest.simd_eq(u8x16::splat(0))).to_bitmask() == 0
    }

    /// The next place.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.hits == 0 {
            self.look_at_next_block()?;
        }
        let place = self.block.wrapping_add(self.hits.trailing_zeros() as usize);
        self.hits &= self.hits.wrapping_sub(1);
        Some(place)
    }

    #[inline]
    fn look_at_next_block(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.next_block..)?;
        let Some(block) = rest.first_chunk::<BLOCK>() else { return self.look_at_the_rest(rest) };
        self.hits = self.look_at(block);
        self.block = self.next_block;
        self.next_block = self.next_block.wrapping_add(BLOCK);
        Some(())
    }

    /// Looks at what is less than a block, together with bytes before it whose places were given.
    #[inline]
    fn look_at_the_rest(&mut self, rest: &[u8]) -> Option<()> {
        if rest.is_empty() {
            return None;
        }
        let missing = BLOCK.wrapping_sub(rest.len());
        self.hits = match self.bytes.last_chunk::<BLOCK>() {
            Some(block) => self.look_at(block) >> missing,
            None => {
                let mut padded = [WANTED ^ 1; BLOCK];
                padded.get_mut(..rest.len())?.copy_from_slice(rest);
                self.look_at(&padded)
            }
        };
        self.block = self.next_block;
        self.next_block = self.bytes.len();
        Some(())
    }

    /// A bit for each place in a block.
    #[inline]
    fn look_at(&mut self, block: &[u8; BLOCK]) -> u64 {
        let (lanes, _) = block.as_chunks::<LANES>();
        lanes.iter().rev().fold(0, |hits, lane| {
            let lane = u8x16::from(*lane);
            self.union |= lane;
            self.lowest = self.lowest.min(lane);
            hits << LANES | u64::from(lane.simd_eq(u8x16::splat(WANTED)).to_bitmask())
        })
    }
}

/// Where the first byte of a set stands from `from` on.
#[inline]
pub(super) fn next_of_any<const N: usize>(bytes: &[u8], from: usize, set: &[u8; N]) -> Option<usize> {
    let in_block =
        |block: u8x16| set.iter().fold(u8x16::splat(0), |hits, wanted| hits | block.simd_eq(u8x16::splat(*wanted)));
    first_where(bytes, from, in_block, |byte| set.contains(&byte))
}

#[inline]
fn first_where(
    bytes: &[u8],
    from: usize,
    in_block: impl Fn(u8x16) -> u8x16,
    is_wanted: impl Fn(u8) -> bool,
) -> Option<usize> {
    let near = bytes.get(from..)?.first_chunk::<LANES>();
    let hits = near.map_or(0, |block| in_block(u8x16::from(*block)).to_bitmask());
    if hits != 0 {
        // Nothing here can wrap: every place is one in `bytes`.
        return Some(from.wrapping_add(hits.trailing_zeros() as usize));
    }
    first_farther(bytes, from.saturating_add(near.map_or(0, |block| block.len())), in_block, is_wanted)
}

/// The same for what is not within the next few bytes: apart, so that what is near is found without a loop.
#[inline(never)]
fn first_farther(
    bytes: &[u8],
    from: usize,
    in_block: impl Fn(u8x16) -> u8x16,
    is_wanted: impl Fn(u8) -> bool,
) -> Option<usize> {
    let mut rest = bytes.get(from..)?;
    while let Some((block, behind)) = rest.split_first_chunk::<LANES>() {
        let hits = in_block(u8x16::from(*block)).to_bitmask();
        if hits != 0 {
            return Some(bytes.len().wrapping_sub(rest.len()).wrapping_add(hits.trailing_zeros() as usize));
        }
        rest = behind;
    }
    // What is left, together with bytes before it that are passed by.
    let Some(last) = bytes.last_chunk::<LANES>() else {
        let at = rest.iter().position(|byte| is_wanted(*byte))?;
        return Some(bytes.len().wrapping_sub(rest.len()).wrapping_add(at));
    };
    let passed_by = LANES.wrapping_sub(rest.len());
    let hits = in_block(u8x16::from(*last)).to_bitmask() & u32::MAX.wrapping_shl(passed_by as u32);
    (hits != 0).then(|| bytes.len().wrapping_sub(LANES).wrapping_add(hits.trailing_zeros() as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_a_plain_search_finds(bytes in proptest::collection::vec(8u8..40, 0..80)) {
            prop_assert_eq!(first_of::<b'\n'>(&bytes), bytes.iter().position(|byte| *byte == b'\n'));
            let near = first_of_two::<b'\t', b' '>(&bytes);
            prop_assert_eq!(near, bytes.iter().position(|byte| matches!(byte, b'\t' | b' ')));
            let near = first_of_any(&bytes, b"\t\r ");
            prop_assert_eq!(near, bytes.iter().position(|byte| matches!(byte, b'\t' | b'\r' | b' ')));
            prop_assert_eq!(last_of::<b'\n'>(&bytes), bytes.iter().rposition(|byte| *byte == b'\n'));
        }

        #[test]
        fn it_is_found_from_a_place_on(bytes in proptest::collection::vec(8u8..64, 0..80), from in 0usize..90) {
            let first_from = |is_wanted: fn(&u8) -> bool| {
                bytes.iter().enumerate().skip(from).find(|(_, byte)| is_wanted(byte)).map(|(at, _)| at)
            };
            let near = first_from(|byte| matches!(byte, b';' | b','));
            prop_assert_eq!(next_of_two::<b';', b','>(&bytes, from), near);
            let end = first_from(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | b' ' | b';' | b',' | b'?'));
            prop_assert_eq!(end_of_parameter(&bytes, from), end.unwrap_or(bytes.len()));
        }

        #[test]
        fn every_place_is_given_once(bytes in proptest::collection::vec(0u8..140, 0..300), start in 0usize..80) {
            let mut every = Every::<b'\n'>::new(&bytes, start);
            let found: Vec<usize> = std::iter::from_fn(|| every.next()).collect();
            let places = (start..bytes.len()).filter(|at| bytes[*at] == b'\n');
            prop_assert_eq!(found, places.collect::<Vec<usize>>());
            let is_plain = |bytes: &[u8]| bytes.iter().all(|byte| (1..128).contains(byte));
            let rest = bytes.get(start..).unwrap_or_default();
            prop_assert!(every.saw_plain_text_only() <= is_plain(rest));
            prop_assert!(every.saw_plain_text_only() >= is_plain(&bytes));
        }
    }
}
