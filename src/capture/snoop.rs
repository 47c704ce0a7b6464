//! The records of a snoop file (RFC 1761), which Solaris writes and some SBCs export.

use std::io::Read;

use crate::capture::damage;
use crate::capture::damage::PACKET_LIMIT;
use crate::capture::ledger::Clock;
use crate::capture::ledger::Due;
use crate::capture::ledger::Ledger;
use crate::capture::link::LinkType;
use crate::capture::order::Order;
use crate::capture::order::length;
use crate::capture::place::Timestamp;
use crate::capture::window::Window;
use crate::oddity::Oddity;

/// Bytes of the file header: name, version, link type.
const FILE_HEADER: usize = 16;

/// Bytes before each packet: original, kept and record length, drops, seconds, microseconds.
const RECORD_HEADER: usize = 24;

/// A snoop file whose header was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snoop {
    link: LinkType,
}

impl Snoop {
    /// True if a file that begins so is a snoop file.
    pub(super) fn recognises(head: &[u8]) -> bool {
        head.starts_with(b"snoop\0\0\0")
    }

    /// Reads the file header; `None` if it is not whole.
    pub(super) fn open<R: Read>(window: &mut Window<R>, ledger: &mut Ledger) -> Option<Snoop> {
        window.fill(FILE_HEADER);
        let version = Order::Big.u32(window.bytes(), 8)?;
        let link = link_type(Order::Big.u32(window.bytes(), 12)?);
        window.consume(FILE_HEADER);
        if version != 2 {
            ledger.note(Oddity::UnknownVersion { major: u16::try_from(version).unwrap_or(u16::MAX), minor: 0 });
        }
        Some(Snoop { link })
    }

    /// The next record, `None` at the end. Its drops count from the start of the capture.
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> Option<Due> {
        if window.fill(RECORD_HEADER) < RECORD_HEADER {
            damage::note_end(window, ledger, RECORD_HEADER as u64);
            return None;
        }
        let [original_len, kept, record_len, drops, seconds, microseconds] =
            [0, 4, 8, 12, 16, 20].map(|at| Order::Big.u32(window.bytes(), at).unwrap_or_default());
        let needed = RECORD_HEADER.saturating_add(length(kept));
        if kept > PACKET_LIMIT || length(record_len) < needed || record_len > PACKET_LIMIT.saturating_mul(2) {
            let found = format!("corrupt: a record of {record_len} bytes for a packet of {kept}");
            ledger.note(Oddity::CaptureDamaged { offset: window.offset(), found });
            return None;
        }
        if window.fill(needed) < needed {
            damage::note_end(window, ledger, needed as u64);
            return None;
        }
        ledger.set_drops(drops.into());
        window.fill(length(record_len));
        let start = window.position().saturating_add(RECORD_HEADER);
        window.consume(length(record_len));
        let clock = match microseconds {
            0..1_000_000 => {
                Clock::Measured(Timestamp::from_parts(seconds.into(), u64::from(microseconds).saturating_mul(1000)))
            }
            _ => Clock::OutOfRange,
        };
        Some(ledger.admit(clock, self.link, start..start.saturating_add(length(kept)), original_len))
    }
}

/// The numbers of RFC 1761 in those of pcap; one that has no counterpart is marked by its upper half.
fn link_type(number: u32) -> LinkType {
    match number {
        0 | 4 => LinkType(1),
        1 | 2 => LinkType(6),
        8 => LinkType(10),
        26 => LinkType(0),
        other => LinkType(other | 0x5000_0000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kept: u32, second: u32, drops: u32, packet: &[u8]) -> Vec<u8> {
        let len = (24 + packet.len()).next_multiple_of(4);
        let head = [60, kept, u32::try_from(len).unwrap(), drops, second, 250_000].map(u32::to_be_bytes).concat();
        let mut record = [&head[..], packet].concat();
        record.resize(len, 0);
        record
    }

    fn read(file: &[u8]) -> (Vec<(i64, Vec<u8>)>, Ledger, LinkType) {
        let (mut window, mut ledger) = (Window::new(file, 64), Ledger::default());
        let mut snoop = Snoop::open(&mut window, &mut ledger).unwrap();
        let mut seen = Vec::new();
        while snoop.next(&mut window, &mut ledger).is_some() {
            let record = ledger.record().unwrap();
            seen.push((record.time.0, window.at(record.bytes.clone()).to_vec()));
        }
        (seen, ledger, snoop.link)
    }

    #[test]
    fn records_are_read_with_their_padding_and_drops() {
        let head = b"snoop\0\0\0\0\0\0\x02\0\0\0\x04";
        let file = [&head[..], &record(5, 7, 0, b"first"), &record(6, 8, 3, b"second")].concat();
        let (seen, ledger, link) = read(&file);
        assert_eq!(seen, [(7_250_000_000, b"first".to_vec()), (8_250_000_000, b"second".to_vec())]);
        assert_eq!((link, ledger.facts(String::new(), String::new(), None).drops), (LinkType(1), 3));
        let (some, ledger, _) = read(&file[..file.len() - 10]);
        assert_eq!(some, seen[..1]);
        assert!(ledger.facts(String::new(), String::new(), None).oddities.of("capture-cut").is_some());
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_reading_with_a_word() {
        let head = b"snoop\0\0\0\0\0\0\x02\0\0\0\x04";
        let file = [&head[..], &record(5, 7, 0, b"first"), &record(0xffff_fff0, 8, 0, b"second")].concat();
        let (seen, ledger, _) = read(&file);
        assert_eq!(seen.len(), 1);
        assert!(ledger.facts(String::new(), String::new(), None).oddities.of("capture-cut").is_some());
    }
}
