//! An interface as a pcapng file describes it: its link type, and how its clock counts.

use pcap_parser::pcapng::InterfaceDescriptionBlock;
use pcap_parser::pcapng::OptionCode;
use pcap_parser::pcapng::parse_interfacedescriptionblock_be;
use pcap_parser::pcapng::parse_interfacedescriptionblock_le;

use crate::capture::ledger::Clock;
use crate::capture::ledger::Ledger;
use crate::capture::link::LinkType;
use crate::capture::order::Order;
use crate::capture::place::Timestamp;
use crate::oddity::Oddity;

const NANOSECONDS: u64 = 1_000_000_000;

/// Option codes of interface descriptions and statistics.
const END_OF_OPTIONS: u16 = 0;
const IF_TSRESOL: u16 = OptionCode::IfTsresol.0;
const IF_TSOFFSET: u16 = OptionCode::IfTsoffset.0;
const ISB_IFDROP: u16 = OptionCode::IsbIfDrop.0;
const ISB_OSDROP: u16 = OptionCode::IsbOsDrop.0;

/// One interface of a section.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) link: LinkType,
    snaplen: u32,
    /// `None` if the file gives a resolution that no clock has.
    ticks_per_second: Option<u64>,
    offset_seconds: i64,
    drops: u64,
}

impl Interface {
    /// Reads an Interface Description Block; `None` if it is too short.
    pub(super) fn read(block: &[u8], order: Order, ledger: &mut Ledger) -> Option<Interface> {
        let mut interface = Interface {
            link: LinkType(u32::from(order.u16(block, 8)?)),
            snaplen: order.u32(block, 12)?,
            ticks_per_second: Some(1_000_000),
            offset_seconds: 0,
            drops: 0,
        };
        if let Some(parsed) = parse(block, order) {
            interface.link = LinkType(parsed.linktype.0.cast_unsigned());
            interface.snaplen = parsed.snaplen;
        }
        let options = block.get(16..block.len().saturating_sub(4)).unwrap_or_default();
        if !options_are_sound(options, order) {
            ledger.note(Oddity::BrokenOption);
        }
        for (code, value) in (Options { rest: options, order }) {
            match (code, value) {
                (IF_TSRESOL, [resolution, ..]) => interface.ticks_per_second = ticks_per_second(*resolution),
                (IF_TSOFFSET, value) => {
                    interface.offset_seconds = order.u64(value, 0).unwrap_or_default().cast_signed();
                }
                _ => {}
            }
        }
        if interface.ticks_per_second.is_some_and(|ticks| ticks > 1_000_000) {
            ledger.has_nanoseconds();
        }
        Some(interface)
    }

    /// The time of a packet of this interface.
    #[inline]
    pub(super) fn clock(&self, high: u32, low: u32) -> Clock {
        let ticks = u64::from(high) << 32 | u64::from(low);
        match (self.ticks_per_second, self.offset_seconds) {
            (Some(1_000_000), 0) => match i64::try_from(ticks.saturating_mul(1000)) {
                Ok(nanoseconds) => Clock::Measured(Timestamp(nanoseconds)),
                Err(_) => Clock::OutOfRange,
            },
            (Some(NANOSECONDS), 0) => match i64::try_from(ticks) {
                Ok(nanoseconds) => Clock::Measured(Timestamp(nanoseconds)),
                Err(_) => Clock::OutOfRange,
            },
            (Some(ticks_per_second), offset) => match nanoseconds(ticks, ticks_per_second, offset) {
                Some(nanoseconds) => Clock::Measured(Timestamp(nanoseconds)),
                None => Clock::OutOfRange,
            },
            // Ticks that are said to be of no possible length are most often the usual microseconds.
            (None, _) => match i64::try_from(ticks.saturating_mul(1000)) {
                Ok(nanoseconds) => Clock::Doubtful(Timestamp(nanoseconds)),
                Err(_) => Clock::OutOfRange,
            },
        }
    }

    /// Bytes that a Simple Packet Block keeps of a packet.
    pub(super) fn kept_of(&self, original_len: u32) -> u32 {
        match self.snaplen {
            0 => original_len,
            snaplen => original_len.min(snaplen),
        }
    }

    /// Reads an Interface Statistics Block; gives the drops that were not known before. Its numbers count from the
    /// start of the capture, so the largest holds.
    pub(super) fn read_statistics(&mut self, block: &[u8], order: Order) -> u64 {
        let options = block.get(20..block.len().saturating_sub(4)).unwrap_or_default();
        let reported = Options { rest: options, order }
            .filter(|(code, _)| matches!(*code, ISB_IFDROP | ISB_OSDROP))
            .filter_map(|(_, value)| order.u64(value, 0))
            .fold(0_u64, u64::saturating_add);
        let more = reported.saturating_sub(self.drops);
        self.drops = self.drops.max(reported);
        more
    }

    /// Counts the drops that an obsolete Packet Block tells of, and gives them; all ones means that they are not known.
    pub(super) fn count_drops(&mut self, drops: u16) -> u64 {
        let more = if drops == u16::MAX { 0 } else { u64::from(drops) };
        self.drops = self.drops.saturating_add(more);
        more
    }
}

/// True if options fill their place: each within it, and nothing behind the one that ends them.
pub(super) fn options_are_sound(bytes: &[u8], order: Order) -> bool {
    let mut options = Options { rest: bytes, order };
    for _ in options.by_ref() {}
    // The iterator stops before what it cannot read.
    options.rest.is_empty() || (order.u16(options.rest, 0) == Some(END_OF_OPTIONS))
}

/// Code and value of each option, up to the one that ends them or that does not fit.
struct Options<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let code = self.order.u16(self.rest, 0)?;
        let len = usize::from(self.order.u16(self.rest, 2)?);
        if code == END_OF_OPTIONS {
            return None;
        }
        let value = self.rest.get(4..len.saturating_add(4))?;
        self.rest = self.rest.get(len.next_multiple_of(4).saturating_add(4)..)?;
        Some((code, value))
    }
}

fn parse(block: &[u8], order: Order) -> Option<InterfaceDescriptionBlock<'_>> {
    let parsed = match order {
        Order::Little => parse_interfacedescriptionblock_le(block),
        Order::Big => parse_interfacedescriptionblock_be(block),
    };
    parsed.ok().map(|(_, block)| block)
}

/// What `if_tsresol` says: a negative power of 10, or of 2 if the upper bit is set.
fn ticks_per_second(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    match resolution & 0x80 {
        0 => 10_u64.checked_pow(exponent),
        _ => 1_u64.checked_shl(exponent),
    }
}

/// Nanoseconds since 1970, `None` if there is no number for them.
fn nanoseconds(ticks: u64, ticks_per_second: u64, offset_seconds: i64) -> Option<i64> {
    let seconds = i64::try_from(ticks.checked_div(ticks_per_second)?).ok()?.checked_add(offset_seconds)?;
    let rest = u128::from(ticks.checked_rem(ticks_per_second)?);
    let fraction = rest.checked_mul(u128::from(NANOSECONDS))?.checked_div(u128::from(ticks_per_second))?;
    seconds.checked_mul(1_000_000_000)?.checked_add(i64::try_from(fraction).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_of_both_bases_are_read() {
        assert_eq!(ticks_per_second(6), Some(1_000_000));
        assert_eq!(ticks_per_second(0x94), Some(1 << 20));
        assert_eq!(ticks_per_second(0), Some(1));
        assert_eq!(ticks_per_second(0x7f), None);
        assert_eq!(ticks_per_second(0xc0), None);
    }

    #[test]
    fn ticks_become_nanoseconds_without_loss() {
        assert_eq!(nanoseconds(3 << 19, 1 << 20, 0), Some(1_500_000_000));
        assert_eq!(nanoseconds(1_700_000_000_020, 1000, -3600), Some(1_699_996_400_020_000_000));
        assert_eq!(nanoseconds(u64::MAX, 1, 0), None);
        assert_eq!(nanoseconds(5, 10_000_000_000_000_000_000, 0), Some(0));
    }
}
