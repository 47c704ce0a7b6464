//! Some of what a source gave, as plain bytes one behind the other: they may stand in memory or in a file.
//!
//! Is given what a source gives; gives the same, in the same order. Deliberately does not know where it waits, nor for
//! whom. The bytes never leave the program that wrote them, so their form has no version.

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::LinkType;
use crate::capture::Notice;
use crate::capture::Packet;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::place::SourceId;
use crate::capture::place::Timestamp;

/// Bytes beyond which a batch takes nothing more in.
const FULL: usize = 256 << 10;

/// What stands next: the first byte of each.
const PACKET: u8 = 0;
const SECRETS: u8 = 1;
const QUIET: u8 = 2;
const CLOCK_SET: u8 = 3;

/// Some of what a source gave.
#[derive(Default)]
pub(super) struct Batch {
    /// What it gave, each behind the other.
    pub(super) bytes: Vec<u8>,
    /// Packets among it.
    pub(super) packets: u64,
    /// Where a moment of quiet stands that nothing stands behind.
    last_quiet: Option<usize>,
    /// What the source knew of its inputs when it had given all of it.
    pub(super) known: Option<Box<Known>>,
    pub(super) notices: Vec<Notice>,
    /// Nothing comes behind it.
    pub(super) end: Option<End>,
}

/// What a source knows of its inputs.
#[derive(Default)]
pub(super) struct Known {
    pub(super) inputs: Vec<InputFacts>,
    pub(super) progress: Progress,
}

/// How a source ended.
pub(super) enum End {
    /// There is nothing more, and why if that is before its time.
    Ended(Option<Error>),
    /// It could not go on.
    Failed(Error),
}

impl Batch {
    /// The most bytes of a batch that was ended as soon as it was full, if nothing in it is larger than a packet of IP.
    pub(super) const MOST: usize = FULL + (64 << 10);

    /// True if the next thing goes into another batch.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    pub(super) fn put_packet(&mut self, packet: &Packet<'_>) {
        let Packet { time, source, number, link, bytes, original_len } = *packet;
        self.begin(PACKET);
        self.bytes.extend_from_slice(&time.0.to_ne_bytes());
        self.bytes.extend_from_slice(&number.to_ne_bytes());
        self.bytes.extend_from_slice(&source.0.to_ne_bytes());
        self.bytes.extend_from_slice(&link.0.to_ne_bytes());
        self.bytes.extend_from_slice(&original_len.to_ne_bytes());
        self.put_bytes(bytes);
        self.packets = self.packets.saturating_add(1);
    }

    pub(super) fn put_secrets(&mut self, source: SourceId, text: &[u8]) {
        self.begin(SECRETS);
        self.bytes.extend_from_slice(&source.0.to_ne_bytes());
        self.put_bytes(text);
    }

    /// Nothing came until now: in place of the same if nothing stands between.
    pub(super) fn put_quiet(&mut self, now: Timestamp) {
        if let Some(before) = self.last_quiet {
            self.bytes.truncate(before);
        }
        self.begin(QUIET);
        self.last_quiet = self.bytes.len().checked_sub(1);
        self.bytes.extend_from_slice(&now.0.to_ne_bytes());
    }

    pub(super) fn put_clock_set(&mut self, by: i64) {
        self.begin(CLOCK_SET);
        self.bytes.extend_from_slice(&by.to_ne_bytes());
    }

    /// Notes what the source knows now, and hands on what it has to tell.
    pub(super) fn ask(&mut self, source: &mut dyn Source) {
        self.known = Some(Box::new(Known::of(source)));
        self.notices.extend(std::iter::from_fn(|| source.notice()));
    }

    /// What stands at a place, which is moved behind it; `None` if nothing does.
    pub(super) fn read(&self, at: &mut usize) -> Option<Input<'_>> {
        let mut reading = Reading { rest: self.bytes.get(*at..)? };
        let input = match reading.array::<1>()? {
            [PACKET] => Input::Packet(reading.packet()?),
            [SECRETS] => Input::Secrets(SourceId(reading.u32()?), reading.bytes()?),
            [QUIET] => Input::Quiet(Timestamp(reading.i64()?)),
            [CLOCK_SET] => Input::ClockSet(reading.i64()?),
            _ => return None,
        };
        *at = self.bytes.len().saturating_sub(reading.rest.len());
        Some(input)
    }

    /// One with nothing in it that uses the room of these bytes; if that is more than usual, some is given back.
    pub(super) fn empty(mut bytes: Vec<u8>) -> Batch {
        bytes.clear();
        bytes.shrink_to(Batch::MOST);
        Batch { bytes, ..Batch::default() }
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        *self = Batch::empty(std::mem::take(&mut self.bytes));
    }

    fn begin(&mut self, kind: u8) {
        if self.bytes.capacity() == 0 {
            // At once: a batch that grows is copied again and again.
            self.bytes.reserve_exact(Batch::MOST);
        }
        self.last_quiet = None;
        self.bytes.push(kind);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(&bytes.len().to_ne_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}

impl Known {
    pub(super) fn of(source: &dyn Source) -> Known {
        Known { inputs: source.inputs(), progress: source.progress() }
    }
}

/// What was not read of a batch.
struct Reading<'a> {
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    fn packet(&mut self) -> Option<Packet<'a>> {
        Some(Packet {
            time: Timestamp(self.i64()?),
            number: self.array().map(u64::from_ne_bytes)?,
            source: SourceId(self.u32()?),
            link: LinkType(self.u32()?),
            original_len: self.u32()?,
            bytes: self.bytes()?,
        })
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.array().map(usize::from_ne_bytes)?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read_again_in_order() {
        let mut batch = Batch::default();
        let packet = |number, bytes| Packet {
            time: Timestamp(-7),
            source: SourceId(3),
            number,
            link: LinkType(276),
            bytes,
            original_len: 70_000,
        };
        batch.put_packet(&packet(u64::MAX, b"INVITE"));
        batch.put_quiet(Timestamp(8));
        batch.put_quiet(Timestamp(9));
        batch.put_clock_set(-5);
        batch.put_quiet(Timestamp(10));
        batch.put_secrets(SourceId(1), b"CLIENT_RANDOM");
        batch.put_packet(&packet(2, b""));
        let mut at = 0;
        let read: Vec<String> = std::iter::from_fn(|| batch.read(&mut at).map(|input| format!("{input:?}"))).collect();
        let expected = [
            Input::Packet(packet(u64::MAX, b"INVITE")),
            Input::Quiet(Timestamp(9)),
            Input::ClockSet(-5),
            Input::Quiet(Timestamp(10)),
            Input::Secrets(SourceId(1), b"CLIENT_RANDOM"),
            Input::Packet(packet(2, b"")),
        ];
        assert_eq!(read, expected.map(|input| format!("{input:?}")));
        assert_eq!((batch.packets, at), (2, batch.bytes.len()));
    }

    #[test]
    fn a_batch_that_is_cut_gives_what_is_whole() {
        let mut batch = Batch::default();
        batch.put_quiet(Timestamp(1));
        batch.put_secrets(SourceId(1), b"CLIENT_RANDOM");
        for length in 0..batch.bytes.len() {
            let cut = Batch { bytes: batch.bytes[..length].to_vec(), ..Batch::default() };
            let mut at = 0;
            let whole = std::iter::from_fn(|| cut.read(&mut at).map(|_| ())).count();
            assert_eq!(whole, usize::from(length >= 9), "{length} bytes");
        }
    }
}
