//! SCTP (RFC 9260): the messages in its DATA chunks.
//!
//! Knows chunks, and which of them are parts of one message (§6.9). Is given SCTP packets; gives each message when all
//! of it is there. Deliberately does not know in which order the messages of a stream are meant to be read.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::capture::Place;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::incomplete::Incomplete;
use crate::net::incomplete::IncompleteTable;
use crate::oddity::OddityLog;

/// What a part costs beside its bytes.
const PART_OVERHEAD: usize = 64;
/// The longest message that is put together.
const LONGEST: usize = 1 << 20;
/// Messages that were put together last, of which further copies of parts are passed over.
const MOST_DONE: usize = 16;

/// The ports, the verification tag, then each DATA chunk in order.
pub(super) fn read<'a>(rest: Rest<'a>) -> Option<(u16, u16, u32, Chunks<'a>)> {
    let source = u16_at(rest.bytes, 0)?;
    let destination = u16_at(rest.bytes, 2)?;
    let tag = u32_at(rest.bytes, 4)?;
    Some((source, destination, tag, Chunks { rest: rest.skip(12)? }))
}

/// True if the first chunk is of a kind that there is, and no longer than the packet.
pub(super) fn is_packet(rest: Rest<'_>) -> bool {
    let kind = u8_at(rest.bytes, 12).is_some_and(|kind| matches!(kind, 0..=14 | 64 | 128..=132 | 192..=194));
    let length = u16_at(rest.bytes, 14).map_or(0, usize::from);
    kind && length >= 4 && length.saturating_add(12) <= rest.on_wire()
}

/// A DATA chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// Its number in the association (TSN).
    pub number: u32,
    /// Which part of a message it is.
    pub part: Part,
    /// What it carries.
    pub payload: Rest<'a>,
}

/// Which part of a message a chunk is (RFC 9260 §3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// Its beginning.
    First,
    /// Something between.
    Middle,
    /// Its end.
    Last,
}

/// The DATA chunks of one packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        const DATA: u8 = 0;
        loop {
            let kind = u8_at(self.rest.bytes, 0)?;
            let flags = u8_at(self.rest.bytes, 1)?;
            let length = usize::from(u16_at(self.rest.bytes, 2)?);
            let chunk = self.rest;
            let padded = length.max(4).checked_next_multiple_of(4)?;
            self.rest = chunk.skip(padded).unwrap_or(Rest::whole(&[]));
            if kind == DATA {
                let part = match flags & 3 {
                    3 => Part::Whole,
                    2 => Part::First,
                    1 => Part::Last,
                    _ => Part::Middle,
                };
                return Some(Chunk { number: u32_at(chunk.bytes, 4)?, part, payload: chunk.limit(length).skip(16)? });
            }
        }
    }
}

/// One direction of an association: from whom, to whom, and its verification tag.
pub(super) type Direction = (SocketAddr, SocketAddr, u32);

/// The directions in which parts of messages are there, bounded in bytes.
pub(super) type PartTable = IncompleteTable<Direction, Waiting>;

/// A message that was put together: its bytes up to the first one that the capture cut off, and how many are behind these.
pub(super) type Joined = (Vec<u8>, u32);

/// The parts of messages that came in one direction.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By their numbers.
    parts: BTreeMap<u32, Kept>,
    /// The first and the last number of messages that are done.
    done: VecDeque<(u32, u32)>,
    last: Place,
}

#[derive(Debug)]
struct Kept {
    part: Part,
    bytes: Box<[u8]>,
    missing: u32,
}

impl PartTable {
    /// Adds a part, and gives the message if it is whole now.
    pub(super) fn add(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        place: Place,
        oddities: &mut OddityLog,
    ) -> Option<Joined> {
        self.take_in(direction, place, oddities, |waiting, _| {
            waiting.add(chunk, place);
            waiting.take(chunk.number)
        })
    }
}

impl Incomplete for Waiting {
    const OVERHEAD: usize = PART_OVERHEAD;

    fn weight(&self) -> usize {
        let parts = self.parts.values().map(|kept| kept.bytes.len().saturating_add(PART_OVERHEAD));
        parts.fold(0, usize::saturating_add)
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn left_over(&self) -> u32 {
        to_u32(self.parts.len())
    }

    fn last(&self) -> Place {
        self.last
    }
}

impl Waiting {
    fn add(&mut self, chunk: Chunk<'_>, place: Place) {
        self.last = place;
        let number = chunk.number;
        if self.done.iter().any(|(first, last)| number.wrapping_sub(*first) <= last.wrapping_sub(*first)) {
            return;
        }
        let Rest { bytes, missing } = chunk.payload;
        self.parts.entry(number).or_insert_with(|| Kept { part: chunk.part, bytes: bytes.into(), missing });
    }

    /// The message that a part belongs to, if all of it is there. Parts have numbers one after the other.
    fn take(&mut self, number: u32) -> Option<Joined> {
        let first = self.end(number, Part::First, |number| number.wrapping_sub(1))?;
        let last = self.end(number, Part::Last, |number| number.wrapping_add(1))?;
        let (mut bytes, mut missing) = (Vec::new(), 0_u32);
        for number in (0..=last.wrapping_sub(first)).map(|step| first.wrapping_add(step)) {
            let kept = self.parts.remove(&number)?;
            match missing {
                0 => bytes.extend_from_slice(&kept.bytes),
                _ => missing = missing.saturating_add(to_u32(kept.bytes.len())),
            }
            missing = missing.saturating_add(kept.missing);
        }
        if self.done.len() >= MOST_DONE {
            self.done.pop_front();
        }
        self.done.push_back((first, last));
        Some((bytes, missing))
    }

    /// The number of the first or last part of a message, if all up to it are there.
    fn end(&self, from: u32, wanted: Part, step: impl Fn(u32) -> u32) -> Option<u32> {
        let (mut number, mut bytes) = (from, 0_usize);
        loop {
            let kept = self.parts.get(&number)?;
            bytes = bytes.saturating_add(kept.bytes.len().max(1));
            if bytes > LONGEST {
                return None;
            }
            if kept.part == wanted {
                return Some(number);
            }
            // Another message begins or ends where this one should go on.
            if number != from && kept.part != Part::Middle {
                return None;
            }
            number = step(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn chunk(flags: u8, payload: &[u8]) -> Vec<u8> {
        numbered(flags, 0, payload)
    }

    fn numbered(flags: u8, number: u32, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 16).unwrap().to_be_bytes();
        let mut chunk = [&[0, flags, length[0], length[1]][..], &number.to_be_bytes(), &[0; 8], payload].concat();
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    #[test]
    fn each_whole_message_of_a_packet() {
        let head = [0x13, 0xC4, 0x13, 0xCE, 0, 0, 0, 1, 0, 0, 0, 0];
        let sack = [3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let packet = [&head[..], &sack, &chunk(3, b"BYE x"), &chunk(2, b"half"), &chunk(3, b"ACK y")].concat();
        let (source, destination, tag, chunks) = read(Rest::whole(&packet)).unwrap();
        assert_eq!((source, destination, tag), (5060, 5070, 1));
        let whole: Vec<(Part, &[u8])> = chunks.map(|chunk| (chunk.part, chunk.payload.bytes)).collect();
        assert_eq!(whole, [(Part::Whole, &b"BYE x"[..]), (Part::First, b"half"), (Part::Whole, b"ACK y")]);
    }

    #[test]
    fn a_cut_chunk_says_what_is_missing() {
        let packet = [&[0; 12][..], &chunk(3, b"BYE sip:a@b")].concat();
        let cut = Rest { bytes: &packet[..packet.len() - 4], missing: 4 };
        assert_eq!(read(cut).unwrap().3.next().unwrap().payload, Rest { bytes: b"BYE sip:", missing: 3 });
    }

    /// What comes of these chunks, one in each packet, and what was noted.
    fn joined(chunks: &[Vec<u8>], limit: usize) -> (Vec<Joined>, Vec<String>) {
        let (mut table, mut oddities, mut all) = (PartTable::new(limit), OddityLog::default(), Vec::new());
        let end = SocketAddr::from(([192, 0, 2, 1], 5060));
        for chunk in chunks {
            let packet = [&[0; 12][..], chunk].concat();
            for chunk in read(Rest::whole(&packet)).unwrap().3 {
                all.extend(table.add((end, end, 0), chunk, Place::default(), &mut oddities));
            }
        }
        table.finish(&mut oddities);
        (all, oddities.iter().map(|(kind, _)| kind.to_owned()).collect())
    }

    #[test]
    fn a_message_whose_parts_do_not_come_is_noted() {
        let first = numbered(2, 7, b"INVITE sip:");
        assert_eq!(
            joined(&[first.clone(), numbered(1, 9, b"b")], 4096),
            (vec![], vec!["fragments-missing".to_owned()])
        );
        let long = [numbered(2, 7, &[b'x'; 5000]), numbered(1, 8, &[b'y'; 5000])];
        let (none, noted) = joined(&long, 4096);
        assert!(none.is_empty() && noted.contains(&"limit-hit".to_owned()), "{noted:?}");
    }

    proptest! {
        /// Two messages in parts, in any order and twice, with numbers that begin anew on the way: each is given once.
        #[test]
        fn parts_in_any_order_are_put_together(start in any::<u32>(), order in Just((0..14_u32).collect::<Vec<_>>()).prop_shuffle()) {
            let start = if start % 2 == 0 { u32::MAX - start % 8 } else { start };
            let chunks: Vec<Vec<u8>> = order.iter().map(|place| {
                let part = place % 7;
                let flags = match part { 0 | 3 => 2, 2 | 6 => 1, _ => 0 };
                numbered(flags, start.wrapping_add(part), &[b'a' + part as u8; 3])
            }).collect();
            let (mut messages, noted) = joined(&chunks, 1 << 16);
            messages.sort();
            prop_assert_eq!(messages, [(b"aaabbbccc".to_vec(), 0), (b"dddeeefffggg".to_vec(), 0)]);
            prop_assert!(noted.is_empty(), "{:?}", noted);
        }
    }
}
