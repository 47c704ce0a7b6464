//! The bytes of all open calls, in blocks of one size that the calls hand back and take again.
//!
//! Is given the bytes of messages; gives them back, in one piece. Deliberately does not know what they mean. A growing
//! vector for each call would move its bytes again and again, and leave holes of every size in the heap.

use std::borrow::Cow;

/// Bytes of a block: more than most messages take, and little to waste at the end of a call.
const BLOCK: usize = 1024;
/// Blocks that are asked of the system at once.
const AT_ONCE: usize = 64;
/// No block.
const NONE: u32 = u32::MAX;

/// Blocks, in use and free.
#[derive(Debug)]
pub(crate) struct Pool {
    slabs: Vec<Box<[[u8; BLOCK]]>>,
    /// The block that follows each: in its call, or in the list of free ones.
    next: Vec<u32>,
    free: u32,
}

/// The bytes of one call: a row of blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    first: u32,
    last: u32,
    /// Bytes in use of the last block.
    used: u16,
    blocks: u32,
}

/// Where a piece of a chain begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    block: u32,
    at: u16,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { first: NONE, last: NONE, used: 0, blocks: 0 }
    }
}

impl Chain {
    /// Bytes of memory that it takes.
    pub(crate) fn footprint(&self) -> usize {
        self.blocks as usize * BLOCK
    }
}

impl Default for Pool {
    fn default() -> Pool {
        Pool { slabs: Vec::new(), next: Vec::new(), free: NONE }
    }
}

impl Pool {
    /// Adds a piece at the end of a chain.
    pub(crate) fn append(&mut self, chain: &mut Chain, mut bytes: &[u8]) -> Spot {
        if chain.first == NONE || chain.used as usize == BLOCK {
            self.lengthen(chain);
        }
        let spot = Spot { block: chain.last, at: chain.used };
        loop {
            let used = chain.used as usize;
            let here = bytes.len().min(BLOCK - used);
            let (piece, rest) = bytes.split_at(here);
            self.block_mut(chain.last)[used..used + here].copy_from_slice(piece);
            chain.used += here as u16;
            if rest.is_empty() {
                return spot;
            }
            bytes = rest;
            self.lengthen(chain);
        }
    }

    /// Adds a piece that stands in another chain.
    pub(crate) fn append_anew(&mut self, chain: &mut Chain, spot: Spot, length: usize) -> Spot {
        let (mut block, mut at, mut left) = (spot.block, spot.at as usize, length);
        let begun = self.append(chain, &[]);
        while left > 0 {
            if chain.used as usize == BLOCK {
                self.lengthen(chain);
            }
            let used = chain.used as usize;
            let here = left.min(BLOCK - at).min(BLOCK - used);
            self.copy((block, at), (chain.last, used), here);
            (chain.used, left) = (chain.used + here as u16, left - here);
            (block, at) = if at + here == BLOCK { (self.next[block as usize], 0) } else { (block, at + here) };
        }
        begun
    }

    /// Copies bytes from a place in one block to a place in another.
    fn copy(&mut self, (from, at): (u32, usize), (to, used): (u32, usize), length: usize) {
        let slab = |block: u32| block as usize / AT_ONCE;
        let in_slab = |block: u32| block as usize % AT_ONCE;
        if slab(from) == slab(to) {
            if let Ok([from, to]) = self.slabs[slab(from)].get_disjoint_mut([in_slab(from), in_slab(to)]) {
                to[used..used + length].copy_from_slice(&from[at..at + length]);
            }
        } else if let Ok([one, other]) = self.slabs.get_disjoint_mut([slab(from), slab(to)]) {
            let from = &one[in_slab(from)][at..at + length];
            other[in_slab(to)][used..used + length].copy_from_slice(from);
        }
    }

    /// A piece of this length, as one.
    pub(crate) fn get(&self, spot: Spot, length: usize) -> Cow<'_, [u8]> {
        let mut pieces = self.pieces(spot, length);
        let first = pieces.next().unwrap_or_default();
        if first.len() == length {
            return Cow::Borrowed(first);
        }
        let mut whole = Vec::with_capacity(length);
        whole.extend_from_slice(first);
        pieces.for_each(|piece| whole.extend_from_slice(piece));
        Cow::Owned(whole)
    }

    /// True if these bytes stand there.
    pub(crate) fn equals(&self, spot: Spot, mut bytes: &[u8]) -> bool {
        self.pieces(spot, bytes.len()).all(|piece| {
            let (here, rest) = bytes.split_at(piece.len());
            bytes = rest;
            piece == here
        })
    }

    /// Takes the blocks of a chain back.
    pub(crate) fn give_back(&mut self, chain: Chain) {
        if chain.first == NONE {
            return;
        }
        self.next[chain.last as usize] = self.free;
        self.free = chain.first;
    }

    fn pieces(&self, spot: Spot, length: usize) -> impl Iterator<Item = &[u8]> {
        let (mut block, mut at, mut left) = (spot.block, spot.at as usize, length);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let here = left.min(BLOCK - at);
            let piece = &self.block(block)[at..at + here];
            (block, at, left) = (self.next[block as usize], 0, left - here);
            Some(piece)
        })
    }

    fn lengthen(&mut self, chain: &mut Chain) {
        let new = self.take();
        match chain.first {
            NONE => chain.first = new,
            _ => self.next[chain.last as usize] = new,
        }
        chain.last = new;
        chain.used = 0;
        chain.blocks += 1;
    }

    fn take(&mut self) -> u32 {
        if self.free == NONE {
            let start = self.next.len() as u32;
            self.slabs.push(vec![[0; BLOCK]; AT_ONCE].into_boxed_slice());
            self.next.extend((start + 1..).take(AT_ONCE - 1));
            self.next.push(NONE);
            self.free = start;
        }
        let block = self.free;
        self.free = self.next[block as usize];
        block
    }

    fn block(&self, block: u32) -> &[u8; BLOCK] {
        &self.slabs[block as usize / AT_ONCE][block as usize % AT_ONCE]
    }

    fn block_mut(&mut self, block: u32) -> &mut [u8; BLOCK] {
        &mut self.slabs[block as usize / AT_ONCE][block as usize % AT_ONCE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_added_is_given_back_and_blocks_are_used_again(
            pieces in prop::collection::vec((0usize..3, 0usize..3000), 1..40),
        ) {
            let mut pool = Pool::default();
            for _ in 0..2 {
                let mut chains = [Chain::default(); 3];
                let mut known: Vec<(Spot, Vec<u8>)> = Vec::new();
                for (number, (chain, length)) in pieces.iter().enumerate() {
                    let bytes: Vec<u8> = (0..*length).map(|at| (at * 7 + number) as u8).collect();
                    known.push((pool.append(&mut chains[*chain], &bytes), bytes));
                }
                let mut other = Chain::default();
                for (spot, bytes) in &known {
                    let again = pool.append_anew(&mut other, *spot, bytes.len());
                    prop_assert!(pool.equals(again, bytes));
                    let given = pool.get(*spot, bytes.len()).into_owned();
                    prop_assert_eq!(&given, bytes);
                    prop_assert!(pool.equals(*spot, bytes));
                    let other: Vec<u8> = bytes.iter().map(|byte| byte.wrapping_add(1)).collect();
                    prop_assert_eq!(pool.equals(*spot, &other), bytes.is_empty());
                }
                chains.into_iter().chain([other]).for_each(|chain| pool.give_back(chain));
            }
            let all: usize = pieces.iter().map(|(_, length)| length).sum();
            prop_assert!(pool.slabs.len() * AT_ONCE <= 2 * (all / BLOCK) + 4 + AT_ONCE);
        }
    }
}
