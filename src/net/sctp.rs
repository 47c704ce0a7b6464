//! SCTP (RFC 9260): the messages in its DATA and I-DATA chunks (RFC 8260).
//!
//! Knows chunks, and which of them are parts of one message (§6.9), by whichever paths of an association they come. Is given
//! SCTP packets; gives each message once, when all of it is there. Deliberately does not know in which order the messages
//! of a stream are meant to be read.

use std::collections::BTreeMap;
use std::collections::VecDeque;

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
/// Spans of numbers of messages that are done, of which further copies are passed over.
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
    /// The message that it is of, if the chunk names it: I-DATA.
    pub message: Option<MessageKey>,
    /// Which part of a message it is.
    pub part: Part,
    /// What it carries.
    pub payload: Rest<'a>,
}

/// A message that may be sent while others are: its stream, with the bit for messages without order, its number in it,
/// and the number of the part (RFC 8260 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MessageKey {
    stream: u32,
    number: u32,
    part: u32,
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
        const I_DATA: u8 = 64;
        const UNORDERED: u8 = 4;
        loop {
            let kind = u8_at(self.rest.bytes, 0)?;
            let flags = u8_at(self.rest.bytes, 1)?;
            let length = usize::from(u16_at(self.rest.bytes, 2)?);
            let chunk = self.rest;
            let padded = length.max(4).checked_next_multiple_of(4)?;
            self.rest = chunk.skip(padded).unwrap_or(Rest::whole(&[]));
            if kind == DATA || kind == I_DATA {
                let part = match flags & 3 {
                    3 => Part::Whole,
                    2 => Part::First,
                    1 => Part::Last,
                    _ => Part::Middle,
                };
                let number = u32_at(chunk.bytes, 4)?;
                let (message, header) = if kind == DATA {
                    (None, 16)
                } else {
                    let stream = u32::from(u16_at(chunk.bytes, 8)?) << 1 | u32::from(flags & UNORDERED != 0);
                    // In place of its number, which is 0, the first part has the protocol.
                    let of_part = if part == Part::First { 0 } else { u32_at(chunk.bytes, 16)? };
                    (Some(MessageKey { stream, number: u32_at(chunk.bytes, 12)?, part: of_part }), 20)
                };
                return Some(Chunk { number, message, part, payload: chunk.limit(length).skip(header)? });
            }
        }
    }
}

/// One direction of an association: its ports and its verification tag. Either end may have several addresses (§6.4).
pub(super) type Direction = (u16, u16, u32);

/// What parts are collected by: the direction, and the stream and number of a message that has them.
pub(super) type Collected = (Direction, Option<(u32, u32)>);

/// The directions in which parts of messages are there, bounded in bytes.
pub(super) type PartTable = IncompleteTable<Collected, Waiting>;

/// A message that was put together: its bytes up to the first one that the capture cut off, and how many are behind these.
pub(super) type Joined = (Vec<u8>, u32);

/// The parts of messages that came in one direction.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By their numbers.
    parts: BTreeMap<u32, Kept>,
    /// The first and the last number of messages that are done, one behind the other.
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
        let message = chunk.message.map(|message| (message.stream, message.number));
        self.take_in((direction, message), place, oddities, |waiting, _| {
            let number = chunk.message.map_or(chunk.number, |message| message.part);
            waiting.add(number, chunk, place);
            waiting.take(number)
        })
    }

    /// True if a message that came in one chunk is there for the first time, and is not repeated.
    pub(super) fn is_new(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        place: Place,
        oddities: &mut OddityLog,
    ) -> bool {
        let first = self.take_in((direction, None), place, oddities, |waiting, _| {
            waiting.last = place;
            let is_new = !waiting.is_done(chunk.number);
            if is_new {
                waiting.note_done(chunk.number, chunk.number);
            }
            is_new.then_some(())
        });
        first.is_some()
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
    fn is_done(&self, number: u32) -> bool {
        self.done.iter().any(|(first, last)| number.wrapping_sub(*first) <= last.wrapping_sub(*first))
    }

    /// Messages follow each other, so few spans hold the numbers of many.
    fn note_done(&mut self, first: u32, last: u32) {
        if let Some(before) = self.done.iter_mut().find(|(_, end)| end.wrapping_add(1) == first) {
            before.1 = last;
            return;
        }
        if self.done.len() >= MOST_DONE {
            self.done.pop_front();
        }
        self.done.push_back((first, last));
    }

    fn add(&mut self, number: u32, chunk: Chunk<'_>, place: Place) {
        self.last = place;
        if self.is_done(number) {
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
        self.note_done(first, last);
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
        for chunk in chunks {
            let packet = [&[0; 12][..], chunk].concat();
            for chunk in read(Rest::whole(&packet)).unwrap().3 {
                all.extend(table.add((5060, 5060, 0), chunk, Place::default(), &mut oddities));
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

    /// An I-DATA chunk of the first stream.
    fn interleaved(flags: u8, number: u32, message: u32, part: u32, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
        let mut chunk = [&[64, flags, length[0], length[1]][..], &number.to_be_bytes(), &[0, 1, 0, 0]].concat();
        chunk.extend([message.to_be_bytes(), part.to_be_bytes()].concat());
        chunk.extend(payload);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    #[test]
    fn messages_may_be_sent_among_each_other() {
        // The protocol stands where the first part of the first message would have its number.
        let chunks = [
            interleaved(2, 1, 0, 9, b"INVITE "),
            interleaved(2, 2, 1, 9, b"BYE "),
            interleaved(1, 3, 1, 1, b"sip:b"),
            interleaved(0, 4, 0, 1, b"sip:"),
            interleaved(1, 5, 0, 2, b"a"),
        ];
        let (messages, noted) = joined(&chunks, 4096);
        assert_eq!(messages, [(b"BYE sip:b".to_vec(), 0), (b"INVITE sip:a".to_vec(), 0)]);
        assert!(noted.is_empty(), "{noted:?}");
    }

    #[test]
    fn a_chunk_that_is_sent_again_is_no_second_message() {
        let (mut table, mut oddities) = (PartTable::new(4096), OddityLog::default());
        let mut is_new = |tag, number| {
            let packet = [&[0; 12][..], &numbered(3, number, b"BYE")].concat();
            let chunk = read(Rest::whole(&packet)).unwrap().3.next().unwrap();
            table.is_new((5060, 5060, tag), chunk, Place::default(), &mut oddities)
        };
        let numbers = [u32::MAX, 0, 1, 3, 2, 1, u32::MAX, 3, 4];
        let new: Vec<bool> = numbers.into_iter().map(|number| is_new(7, number)).collect();
        assert_eq!(new, [true, true, true, true, true, false, false, false, true]);
        assert!(is_new(8, 1), "of another association");
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
