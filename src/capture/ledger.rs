//! What is written down of one input while it is read: the number and time of each packet, and what was odd.

use std::ops::Range;

use crate::capture::InputFacts;
use crate::capture::LinkType;
use crate::capture::place::Timestamp;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;

/// Link types that are listed of one input.
const LINK_TYPES_LISTED: usize = 256;

/// Bytes of secrets that are kept until they are handed on.
const SECRETS_LIMIT: usize = 64 << 20;

/// A packet without its bytes: where they stand in the window.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) time: Timestamp,
    pub(super) number: u64,
    pub(super) link: LinkType,
    pub(super) bytes: Range<usize>,
    pub(super) original_len: u32,
}

/// A packet was written down and is due at a time: the latest of its input up to here, by which inputs are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due(pub(super) Timestamp);

/// What a record says of its time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// It was measured.
    Measured(Timestamp),
    /// It was guessed from something that cannot be right.
    Doubtful(Timestamp),
    /// It cannot be right.
    OutOfRange,
    /// There is none.
    Missing,
}

/// What is known of one input so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    record: Option<Record>,
    number: u64,
    packets: u64,
    before: Option<Timestamp>,
    latest: Option<Timestamp>,
    earliest: Option<Timestamp>,
    last_link: Option<LinkType>,
    links: Vec<LinkType>,
    nanoseconds: bool,
    drops: u64,
    /// Those of the files before the one that is read.
    drops_before: u64,
    /// Of all drops, those of the interface itself.
    drops_of_interface: u64,
    oddities: OddityLog,
    /// Secrets of TLS that were found and not handed on.
    secrets: Vec<u8>,
}

impl Ledger {
    /// Writes down one packet: gives it its number and its time. Always inlined: most of it is handing numbers over.
    #[inline(always)]
    pub(super) fn admit(&mut self, clock: Clock, link: LinkType, bytes: Range<usize>, original_len: u32) -> Due {
        self.number = self.number.saturating_add(1);
        self.packets = self.packets.saturating_add(1);
        let time = match clock {
            Clock::Measured(time) => time,
            _ => self.time_without_clock(clock),
        };
        if let Clock::Measured(time) | Clock::Doubtful(time) = clock {
            self.clock_runs(time);
        }
        if self.last_link != Some(link) {
            self.note_link(link);
        }
        if original_len as usize != bytes.len() {
            self.note_lengths(bytes.len(), original_len);
        }
        // In place: a packet that is handed from floor to floor costs more than reading it does.
        self.record = Some(Record { time, number: self.number, link, bytes, original_len });
        Due(self.latest.unwrap_or_default())
    }

    /// The packet that was written down last.
    #[inline]
    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Counts a frame that is no packet of ours, so that the numbers stay those that Wireshark shows.
    pub(super) fn pass_over(&mut self) {
        self.number = self.number.saturating_add(1);
    }

    /// Keeps the text of a key log until it is handed on.
    pub(super) fn keep_secrets(&mut self, text: &[u8]) {
        if self.secrets.len().saturating_add(text.len()) > SECRETS_LIMIT {
            self.note(Oddity::BoundHit { bound: "secrets", value: SECRETS_LIMIT as u64, option: None });
            return;
        }
        self.secrets.extend_from_slice(text);
        self.secrets.push(b'\n');
    }

    /// True if there are secrets to be handed on.
    #[inline]
    pub(super) fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Hands them on.
    pub(super) fn take_secrets(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.secrets)
    }

    /// Notes what belongs to no frame.
    pub(super) fn note(&mut self, oddity: Oddity) {
        self.oddities.note(oddity, None);
    }

    /// Notes what belongs to the frame that comes next.
    pub(super) fn note_next_frame(&mut self, oddity: Oddity) {
        self.oddities.note(oddity, Some(self.number.saturating_add(1)));
    }

    /// Times of this input have more than microseconds.
    pub(super) fn has_nanoseconds(&mut self) {
        self.nanoseconds = true;
    }

    /// The capturing system dropped so many packets in all of this file.
    pub(super) fn set_drops(&mut self, drops: u64) {
        self.drops = self.drops_before.saturating_add(drops);
    }

    /// Another file comes, whose packets are written down behind those of the files before.
    pub(super) fn begin_next_file(&mut self) {
        self.drops_before = self.drops;
    }

    /// The kernel, and the interface before it, dropped so many packets more.
    #[cfg(have_libpcap)]
    pub(super) fn add_drops(&mut self, by_kernel: u64, by_interface: u64) {
        self.drops = self.drops.saturating_add(by_kernel).saturating_add(by_interface);
        self.drops_of_interface = self.drops_of_interface.saturating_add(by_interface);
    }

    /// What is known, in the form that others see.
    pub(super) fn facts(&self, name: String, format: String, sha256: Option<String>) -> InputFacts {
        let mut oddities = self.oddities.clone();
        // How many it is in all is known only now.
        if self.drops > 0 {
            oddities.note(Oddity::Drops { packets: self.drops }, None);
        }
        InputFacts {
            name,
            sha256,
            format,
            link_types: self.links.iter().map(LinkType::to_string).collect(),
            packets: self.packets,
            first_and_last: self.earliest.zip(self.latest),
            nanoseconds: self.nanoseconds,
            drops: self.drops,
            drops_of_interface: self.drops_of_interface,
            filtered_out: 0,
            oddities,
        }
    }

    #[inline]
    fn clock_runs(&mut self, time: Timestamp) {
        self.oddities.at(time.0);
        let before = self.before.replace(time);
        // Nearly every packet comes behind all others.
        if before == self.latest && before.is_some_and(|before| time >= before) {
            self.latest = Some(time);
            return;
        }
        if let Some(before) = before
            && time < before
        {
            self.note_time_went_back(before, time);
        }
        self.latest = self.latest.max(Some(time));
        self.earliest = Some(self.earliest.map_or(time, |earliest| time.min(earliest)));
    }

    #[cold]
    fn note_time_went_back(&mut self, before: Timestamp, time: Timestamp) {
        let nanoseconds = u64::try_from(before.since(time).as_nanos()).unwrap_or(u64::MAX);
        self.oddities.note(Oddity::TimeWentBack { nanoseconds }, Some(self.number));
    }

    #[cold]
    fn time_without_clock(&mut self, clock: Clock) -> Timestamp {
        let oddity = match clock {
            Clock::Missing => Oddity::NoTimestamp,
            _ => Oddity::TimestampOutOfRange,
        };
        self.oddities.note(oddity, Some(self.number));
        match clock {
            Clock::Measured(time) | Clock::Doubtful(time) => time,
            Clock::OutOfRange | Clock::Missing => self.before.unwrap_or_default(),
        }
    }

    #[cold]
    fn note_link(&mut self, link: LinkType) {
        self.last_link = Some(link);
        if self.links.len() < LINK_TYPES_LISTED && !self.links.contains(&link) {
            self.links.push(link);
        }
    }

    #[cold]
    fn note_lengths(&mut self, kept: usize, original_len: u32) {
        let had = u32::try_from(kept).unwrap_or(u32::MAX);
        let oddity = if had < original_len {
            Oddity::CutBySnapLength { wanted: original_len, had }
        } else {
            Oddity::LongerThanOnWire { wire: original_len, had }
        };
        self.oddities.note(oddity, Some(self.number));
    }
}
