//! The records of a snoop file (RFC 1761), which Solaris writes and some session border controllers export.

use std::io::Read;

use crate::capture::damage;
use crate::capture::damage::PACKET_LIMIT;
use crate::capture::ledger::Clock;
use crate::capture::ledger::Ledger;
use crate::capture::ledger::Record;
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
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> Option<Record> {
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
