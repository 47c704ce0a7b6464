//! SCTP (RFC 9260): the messages in its DATA and I-DATA chunks (RFC 8260).
//!
//! Knows chunks, and which of them are parts of one message (§6.9), by whichever paths of an association they come. Is
//! given SCTP packets; gives each message once, when all of it is there. Deliberately does not know in which order the
//! messages of a stream are meant to be read.

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
const PART_OVERHEAD: usize = 96;
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

/// A message that was put together: its bytes up to the first one that the capture cut off, and how many are behind
/// these.
pub(super) type Joined = (Vec<u8>, u32);

/// The parts of messages that came in one direction.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By their numbers.
    parts: BTreeMap<u32, Kept>,
    /// Bytes in them.
    bytes: usize,
    /// Parts of one message that follow each other, by the number of the first.
    runs: BTreeMap<u32, Run>,
    /// The first and the last number of messages that are done, one behind the other.
    done: VecDeque<(u32, u32)>,
    last: Place,
}

/// Parts without a hole between them.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The number of the last.
    last: u32,
    /// True if the message begins with the first of them.
    opens: bool,
    /// True if the message ends with the last of them.
    closes: bool,
    /// Bytes in them, at least one for each.
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
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
    const TAKEN_UP: usize = 0;

    fn weight(&self) -> usize {
        self.bytes.saturating_add(self.parts.len().saturating_mul(PART_OVERHEAD))
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
        if self.is_done(number) || self.parts.contains_key(&number) {
            return;
        }
        let Rest { bytes, missing } = chunk.payload;
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.parts.insert(number, Kept { bytes: bytes.into(), missing });
        let opens = matches!(chunk.part, Part::First | Part::Whole);
        let closes = matches!(chunk.part, Part::Last | Part::Whole);
        let run = Run { last: number, opens, closes, bytes: bytes.len().max(1) };
        self.join(number, run);
    }

    /// Joins a run with those of the same message right before and right behind it.
    fn join(&mut self, mut first: u32, mut run: Run) {
        let before = (!run.opens).then(|| self.run_up_to(first.wrapping_sub(1))).flatten();
        if let Some(before) = before.and_then(|start| Some((start, self.runs.remove(&start)?))) {
            first = before.0;
            run = Run { opens: before.1.opens, bytes: run.bytes.saturating_add(before.1.bytes), ..run };
        }
        let next = run.last.wrapping_add(1);
        let goes_on = !run.closes && self.runs.get(&next).is_some_and(|behind| !behind.opens);
        if let Some(behind) = goes_on.then(|| self.runs.remove(&next)).flatten() {
            run = Run { opens: run.opens, bytes: run.bytes.saturating_add(behind.bytes), ..behind };
        }
        self.runs.insert(first, run);
    }

    /// Where a run begins that ends with this number and is not the end of a message.
    fn run_up_to(&self, last: u32) -> Option<u32> {
        // The numbers begin anew at 0, so what ends there may have the largest start of all.
        let near = self.runs.range(..=last).next_back();
        let far = self.runs.iter().next_back();
        let fits = |(start, run): (&u32, &Run)| (run.last == last && !run.closes).then_some(*start);
        near.and_then(fits).or_else(|| far.and_then(fits))
    }

    /// Where the run begins in which this number is.
    fn run_with(&self, number: u32) -> Option<u32> {
        let near = self.runs.range(..=number).next_back();
        let far = self.runs.iter().next_back();
        let holds = |(start, run): (&u32, &Run)| {
            (number.wrapping_sub(*start) <= run.last.wrapping_sub(*start)).then_some(*start)
        };
        near.and_then(holds).or_else(|| far.and_then(holds))
    }

    /// The message that a part belongs to, if all of it is there. Parts have numbers one after the other.
    fn take(&mut self, number: u32) -> Option<Joined> {
        let first = self.run_with(number)?;
        let run = *self.runs.get(&first)?;
        if !run.opens || !run.closes || run.bytes > LONGEST {
            return None;
        }
        self.runs.remove(&first);
        let (mut bytes, mut missing) = (Vec::new(), 0_u32);
        for number in (0..=run.last.wrapping_sub(first)).map(|step| first.wrapping_add(step)) {
            let kept = self.parts.remove(&number)?;
            self.bytes = self.bytes.saturating_sub(kept.bytes.len());
            match missing {
                0 => bytes.extend_from_slice(&kept.bytes),
                _ => missing = missing.saturating_add(to_u32(kept.bytes.len())),
            }
            missing = missing.saturating_add(kept.missing);
        }
        self.note_done(first, run.last);
        Some((bytes, missing))
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
    fn parts_of_one_message_do_not_join_those_of_another() {
        // An end is missing, a beginning is missing, then both are there.
        let chunks = [
            numbered(2, 5, b"no end"),
            numbered(2, 6, b"a"),
            numbered(1, 7, b"b"),
            numbered(1, 8, b"no beginning"),
            numbered(0, 10, b"d"),
            numbered(2, 9, b"c"),
            numbered(1, 11, b"e"),
        ];
        let (messages, noted) = joined(&chunks, 4096);
        assert_eq!(messages, [(b"ab".to_vec(), 0), (b"cde".to_vec(), 0)]);
        assert_eq!(noted, ["fragments-missing"]);
    }

    #[test]
    fn ten_times_the_parts_take_ten_times_as_long() {
        let took = |count: u32| {
            let chunks: Vec<Vec<u8>> = (0..count).map(|n| numbered(if n == 0 { 2 } else { 0 }, n, b"x")).collect();
            let start = std::time::Instant::now();
            joined(&chunks, 64 << 20);
            start.elapsed()
        };
        let (few, many) = (took(3000), took(30_000));
        assert!(many < few * 40 + std::time::Duration::from_millis(200), "{few:?}, {many:?}");
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
