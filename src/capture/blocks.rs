//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng): sections, interfaces, packets.
//!
//! Is given the bytes of the file; gives one packet after the other. What is no packet is skipped, except for what
//! tells of interfaces and drops, and secrets of TLS; comments are not looked at. Where a block cannot be right, it
//! looks for the next one that can. Deliberately does not know what is in a packet.

use std::io::Read;
use std::ops::ControlFlow;

use pcap_parser::pcapng::EnhancedPacketBlock;
use pcap_parser::pcapng::parse_enhancedpacketblock_be;
use pcap_parser::pcapng::parse_enhancedpacketblock_le;
use pcap_parser::pcapng::parse_sectionheaderblock;

use crate::capture::damage;
use crate::capture::damage::LOOKAHEAD;
use crate::capture::damage::PACKET_LIMIT;
use crate::capture::interface::Interface;
use crate::capture::interface::options_are_sound;
use crate::capture::ledger::Clock;
use crate::capture::ledger::Due;
use crate::capture::ledger::Ledger;
use crate::capture::order::Order;
use crate::capture::order::length;
use crate::capture::window::Window;
use crate::oddity::Oddity;

/// Interfaces of one section that are remembered.
const INTERFACES_LIMIT: usize = 65_536;

/// Bytes of secrets, names and the like in one block, beyond which its length is taken for damage.
const BLOCK_LIMIT: u32 = 64 << 20;

/// Bytes around the body of each block: type and length before it, the length again behind it.
const FRAME: usize = 12;

/// Byte-order magic of a section header, at its ninth byte.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const SYSTEMD_JOURNAL: u32 = 9;
const DECRYPTION_SECRETS: u32 = 10;
const CUSTOM: u32 = 0xbad;
/// The type of secrets that are a key log of TLS.
const TLS_KEY_LOG: u32 = 0x544c_534b;
const CUSTOM_NOT_COPIED: u32 = 0x4000_0bad;

/// Where in a pcapng file we are.
#[derive(Debug)]
pub(super) struct Blocks {
    order: Order,
    interfaces: Vec<Interface>,
    /// Packets that the capturing system says it dropped, on all interfaces of all sections so far.
    drops: u64,
}

/// Type and length of a block.
#[derive(Debug, Clone, Copy)]
struct Head {
    kind: u32,
    len: u32,
}

impl Blocks {
    /// True if a file that begins so is a pcapng file.
    pub(super) fn recognises(head: &[u8]) -> bool {
        Order::Little.u32(head, 0) == Some(SECTION_HEADER) && order_of_section(head).is_some()
    }

    /// A reader that stands at the first section header.
    pub(super) fn new() -> Blocks {
        Blocks { order: Order::Little, interfaces: Vec::new(), drops: 0 }
    }

    /// True if the next packet is wholly there, or something that is no block.
    pub(super) fn has_whole<R: Read>(&self, window: &mut Window<R>) -> bool {
        let (mut order, mut place) = (self.order, 0_usize);
        loop {
            if window.fill(place.saturating_add(FRAME)) < place.saturating_add(FRAME) {
                return false;
            }
            let bytes = window.bytes().get(place..).unwrap_or_default();
            if order.u32(bytes, 0) == Some(SECTION_HEADER) {
                order = order_of_section(bytes).unwrap_or(order);
            }
            let (Some(kind), Some(len)) = (order.u32(bytes, 0), order.u32(bytes, 4)) else { return false };
            if (Head { kind, len }).is_impossible().is_some() {
                return window.fill(LOOKAHEAD) >= LOOKAHEAD;
            }
            place = place.saturating_add(length(len));
            if window.fill(place) < place {
                return false;
            }
            if matches!(kind, ENHANCED_PACKET | OLD_PACKET | SIMPLE_PACKET) {
                return true;
            }
        }
    }

    /// The next packet, `None` at the end.
    #[inline]
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> Option<Due> {
        loop {
            if let Some(record) = self.enhanced_packet(window, ledger) {
                return Some(record);
            }
            match self.next_slowly(window, ledger) {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(record) => return record,
            }
        }
    }

    /// The next block, if it is an enhanced packet of which all is as it should be.
    #[inline]
    fn enhanced_packet<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> Option<Due> {
        let bytes = window.bytes();
        if self.order.u32(bytes, 0)? != ENHANCED_PACKET {
            return None;
        }
        let (_, block) = match self.order {
            Order::Little => parse_enhancedpacketblock_le(bytes).ok()?,
            Order::Big => parse_enhancedpacketblock_be(bytes).ok()?,
        };
        let interface = self.interfaces.get(length(block.if_id))?;
        if block.block_len1 % 4 != 0 || block.caplen > PACKET_LIMIT || !sound(&block, bytes, self.order) {
            return None;
        }
        let clock = interface.clock(block.ts_high, block.ts_low);
        let start = window.position().saturating_add(28);
        let end = start.saturating_add(length(block.caplen));
        let (link, len, original_len) = (interface.link, block.block_len1, block.origlen);
        window.consume(length(len));
        Some(ledger.admit(clock, link, start..end, original_len))
    }

    /// Everything that is not an ordinary packet wholly in the window.
    #[cold]
    fn next_slowly<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> ControlFlow<Option<Due>> {
        if window.fill(FRAME) < FRAME {
            damage::note_end(window, ledger, FRAME as u64);
            return ControlFlow::Break(None);
        }
        let Some(head) = self.head(window.bytes()) else {
            return self.search("a section without a byte order".into(), window, ledger);
        };
        if let Some(found) = head.is_impossible() {
            return self.search(found, window, ledger);
        }
        if head.is_skipped() && length(head.len) > length(PACKET_LIMIT) {
            return skip(head, window, ledger);
        }
        let len = length(head.len);
        let here = window.fill(len);
        if here < len {
            if self.find(window).is_some() {
                let found = format!("a block of {len} bytes that reaches beyond the end of the file");
                return self.search(found, window, ledger);
            }
            damage::note_end(window, ledger, head.len.into());
            return ControlFlow::Break(None);
        }
        if self.order.u32(window.bytes(), len.saturating_sub(4)) != Some(head.len) {
            window.fill(len.saturating_add(FRAME));
            let found = format!("a block whose two lengths differ, the first being {len}");
            let holds_a_block = self.find_before(len, window).is_some();
            if holds_a_block || !self.may_follow(window.bytes().get(len..).unwrap_or_default()) {
                return self.search(found, window, ledger);
            }
            ledger.note(Oddity::CaptureDamaged { offset: window.offset(), found: format!("corrupt: {found}") });
        }
        self.read(head, window, ledger)
    }

    /// Type and length of the block that begins here. A section header also sets the order of bytes.
    fn head(&mut self, bytes: &[u8]) -> Option<Head> {
        let kind = self.order.u32(bytes, 0)?;
        if kind == SECTION_HEADER {
            self.order = order_of_section(bytes)?;
        }
        Some(Head { kind, len: self.order.u32(bytes, 4)? })
    }

    /// Reads a block that is wholly in the window.
    fn read<R: Read>(&mut self, head: Head, window: &mut Window<R>, ledger: &mut Ledger) -> ControlFlow<Option<Due>> {
        let len = length(head.len);
        match head.kind {
            SECTION_HEADER => self.begin_section(window.bytes(), ledger),
            INTERFACE_DESCRIPTION => self.describe_interface(window.bytes().get(..len).unwrap_or_default(), ledger),
            INTERFACE_STATISTICS => {
                self.read_statistics(window.bytes().get(..len).unwrap_or_default(), ledger);
            }
            ENHANCED_PACKET | OLD_PACKET | SIMPLE_PACKET => {
                let record = self.packet(head, window, ledger);
                window.consume(len);
                return match record {
                    Some(record) => ControlFlow::Break(Some(record)),
                    None => ControlFlow::Continue(()),
                };
            }
            DECRYPTION_SECRETS => self.read_secrets(window.bytes().get(..len).unwrap_or_default(), ledger),
            // Wireshark numbers these among the frames.
            SYSTEMD_JOURNAL | CUSTOM | CUSTOM_NOT_COPIED => ledger.pass_over(),
            _ => {}
        }
        window.consume(len);
        ControlFlow::Continue(())
    }

    fn begin_section(&mut self, bytes: &[u8], ledger: &mut Ledger) {
        self.interfaces.clear();
        // Where the parser refuses, because the two lengths differ or an option is broken, the version is unknown.
        if let Ok((_, section)) = parse_sectionheaderblock(bytes)
            && section.major_version != 1
        {
            ledger.note(Oddity::UnknownVersion { major: section.major_version, minor: section.minor_version });
        }
    }

    fn describe_interface(&mut self, block: &[u8], ledger: &mut Ledger) {
        if self.interfaces.len() >= INTERFACES_LIMIT {
            ledger.note(Oddity::BoundHit { bound: "interfaces", value: INTERFACES_LIMIT as u64, option: None });
            return;
        }
        let Some(interface) = Interface::read(block, self.order, ledger) else {
            ledger.note(Oddity::BrokenOption);
            return;
        };
        self.interfaces.push(interface);
    }

    fn read_statistics(&mut self, block: &[u8], ledger: &mut Ledger) {
        let Some(interface) = self.order.u32(block, 8) else { return };
        match self.interfaces.get_mut(length(interface)) {
            Some(described) => {
                self.drops = self.drops.saturating_add(described.read_statistics(block, self.order));
                ledger.set_drops(self.drops);
            }
            None => ledger.note(Oddity::UnknownInterface { interface }),
        }
    }

    /// Type and length of the secrets, then the secrets.
    fn read_secrets(&self, block: &[u8], ledger: &mut Ledger) {
        let text = self.order.u32(block, 12).and_then(|bytes| block.get(16..)?.get(..length(bytes)));
        match (self.order.u32(block, 8), text) {
            (Some(TLS_KEY_LOG), Some(text)) => ledger.keep_secrets(text),
            (Some(TLS_KEY_LOG), None) | (None, _) => ledger.note(Oddity::BrokenOption),
            // Secrets of other protocols.
            (Some(_), _) => {}
        }
    }

    /// A packet by its fixed fields, whatever else is wrong with its block.
    fn packet<R: Read>(&mut self, head: Head, window: &Window<R>, ledger: &mut Ledger) -> Option<Due> {
        let block = window.bytes().get(..length(head.len)).unwrap_or_default();
        let fields = Fields::read(head.kind, block, self.order)?;
        let Some(interface) = self.interfaces.get_mut(length(fields.interface)) else {
            ledger.note_next_frame(Oddity::UnknownInterface { interface: fields.interface });
            ledger.pass_over();
            return None;
        };
        if fields.drops > 0 {
            self.drops = self.drops.saturating_add(interface.count_drops(fields.drops));
            ledger.set_drops(self.drops);
        }
        let clock = fields.ticks.map_or(Clock::Missing, |(high, low)| interface.clock(high, low));
        let room = block.len().saturating_sub(fields.end).saturating_sub(4);
        let mut kept = length(fields.kept.unwrap_or_else(|| interface.kept_of(fields.original_len)));
        if kept > room {
            // A simple packet block may hold less than the snap length of its interface promises.
            if fields.kept.is_some() {
                let found = format!("corrupt: a packet of {kept} bytes in a block that has room for {room}");
                ledger.note(Oddity::CaptureDamaged { offset: window.offset(), found });
            }
            kept = room;
        }
        let options = fields.end.saturating_add(kept.next_multiple_of(4))..block.len().saturating_sub(4);
        if fields.kept.is_some() && !options_are_sound(block.get(options).unwrap_or_default(), self.order) {
            ledger.note_next_frame(Oddity::BrokenOption);
        }
        let start = window.position().saturating_add(fields.end);
        Some(ledger.admit(clock, interface.link, start..start.saturating_add(kept), fields.original_len))
    }

    /// Looks for the next block behind one that cannot be right, and says what was found and where.
    fn search<R: Read>(
        &mut self,
        found: String,
        window: &mut Window<R>,
        ledger: &mut Ledger,
    ) -> ControlFlow<Option<Due>> {
        let offset = window.offset();
        loop {
            window.fill(LOOKAHEAD);
            if let Some(skip) = self.find(window) {
                window.consume(skip);
                damage::note_gap(offset, window, Some(found), ledger);
                return ControlFlow::Continue(());
            }
            if window.has_ended() {
                window.consume(window.bytes().len());
                damage::note_rest(offset, window, Some(found), ledger);
                return ControlFlow::Break(None);
            }
            window.consume(damage::searchable(window).max(1));
        }
    }

    /// Bytes from here to the next thing that has a known type and the same length at both ends.
    fn find<R: Read>(&self, window: &Window<R>) -> Option<usize> {
        self.find_before(damage::searchable(window), window)
    }

    fn find_before<R: Read>(&self, end: usize, window: &Window<R>) -> Option<usize> {
        let bytes = window.bytes();
        (1..end).find(|skip| self.is_block(bytes.get(*skip..).unwrap_or_default()))
    }

    fn is_block(&self, bytes: &[u8]) -> bool {
        let Some(kind) = self.order.u32(bytes, 0) else { return false };
        if !is_known(kind) {
            return false;
        }
        let order = if kind == SECTION_HEADER { order_of_section(bytes) } else { Some(self.order) };
        let Some((order, len)) = order.and_then(|order| Some((order, order.u32(bytes, 4)?))) else { return false };
        let head = Head { kind, len };
        head.is_impossible().is_none() && order.u32(bytes, length(len).saturating_sub(4)) == Some(len)
    }

    /// True if a block may begin here, or the stream ends here.
    fn may_follow(&self, bytes: &[u8]) -> bool {
        match (self.order.u32(bytes, 0), self.order.u32(bytes, 4)) {
            (Some(SECTION_HEADER), Some(_)) => order_of_section(bytes).is_some(),
            (Some(kind), Some(len)) => is_known(kind) && Head { kind, len }.is_impossible().is_none(),
            _ => bytes.is_empty(),
        }
    }
}

/// The fixed fields of a packet block.
#[derive(Debug, Clone, Copy)]
struct Fields {
    interface: u32,
    /// Upper and lower half of the time; a simple packet has none.
    ticks: Option<(u32, u32)>,
    /// Bytes kept, where the block says so.
    kept: Option<u32>,
    original_len: u32,
    /// Packets lost before this one; only the obsolete block tells.
    drops: u16,
    /// Where the packet begins.
    end: usize,
}

impl Fields {
    fn read(kind: u32, block: &[u8], order: Order) -> Option<Fields> {
        if kind == SIMPLE_PACKET {
            let original_len = order.u32(block, 8)?;
            return Some(Fields { interface: 0, ticks: None, kept: None, original_len, drops: 0, end: 12 });
        }
        let (interface, drops) = match kind {
            OLD_PACKET => (order.u16(block, 8)?.into(), order.u16(block, 10)?),
            _ => (order.u32(block, 8)?, 0),
        };
        let ticks = Some((order.u32(block, 12)?, order.u32(block, 16)?));
        let (kept, original_len) = (Some(order.u32(block, 20)?), order.u32(block, 24)?);
        Some(Fields { interface, ticks, kept, original_len, drops, end: 28 })
    }
}

impl Head {
    /// What is wrong with a length, if anything is.
    fn is_impossible(self) -> Option<String> {
        let Head { kind, len } = self;
        let limit = if self.is_skipped() && is_known(kind) { BLOCK_LIMIT } else { PACKET_LIMIT };
        if length(len) < FRAME || length(len) < smallest(kind) {
            return Some(format!("a block of {len} bytes, too few for its type {kind:#x}"));
        }
        if len % 4 != 0 {
            return Some(format!("a block of {len} bytes, which is no multiple of 4"));
        }
        (len > limit).then(|| format!("a block of {len} bytes, too large for its type {kind:#x}"))
    }

    /// True if nothing of the block is read.
    fn is_skipped(self) -> bool {
        !matches!(
            self.kind,
            SECTION_HEADER
                | INTERFACE_DESCRIPTION
                | INTERFACE_STATISTICS
                | OLD_PACKET
                | SIMPLE_PACKET
                | ENHANCED_PACKET
        )
    }
}

/// Bytes that a block of a type has at least.
fn smallest(kind: u32) -> usize {
    match kind {
        SECTION_HEADER => 28,
        INTERFACE_DESCRIPTION => 20,
        OLD_PACKET | ENHANCED_PACKET => 32,
        SIMPLE_PACKET => 16,
        INTERFACE_STATISTICS => 24,
        _ => FRAME,
    }
}

fn is_known(kind: u32) -> bool {
    matches!(kind, SECTION_HEADER | INTERFACE_DESCRIPTION..=ENHANCED_PACKET | SYSTEMD_JOURNAL | DECRYPTION_SECRETS)
        || matches!(kind, CUSTOM | CUSTOM_NOT_COPIED)
}

/// Goes over a block that is too large to be held, and of which nothing is wanted.
fn skip<R: Read>(head: Head, window: &mut Window<R>, ledger: &mut Ledger) -> ControlFlow<Option<Due>> {
    let offset = window.offset();
    let had = window.skip(head.len.into());
    if had < u64::from(head.len) {
        if !damage::note_failure(window, ledger) {
            ledger.note(Oddity::CaptureCut { offset, wanted: head.len.into(), had });
        }
        return ControlFlow::Break(None);
    }
    if matches!(head.kind, SYSTEMD_JOURNAL | CUSTOM | CUSTOM_NOT_COPIED) {
        ledger.pass_over();
    }
    ControlFlow::Continue(())
}

/// The order of bytes in a section whose header begins here.
fn order_of_section(bytes: &[u8]) -> Option<Order> {
    [Order::Little, Order::Big].into_iter().find(|order| order.u32(bytes, 8) == Some(BYTE_ORDER_MAGIC))
}

/// True if the options of a packet, if there are any, fill their place.
#[inline]
fn sound(block: &EnhancedPacketBlock<'_>, bytes: &[u8], order: Order) -> bool {
    if block.options.is_empty() && length(block.block_len1) == FRAME.saturating_add(20).saturating_add(block.data.len())
    {
        return true;
    }
    let start = 28_usize.saturating_add(block.data.len());
    let end = length(block.block_len1).saturating_sub(4);
    options_are_sound(bytes.get(start..end).unwrap_or_default(), order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::written::Pcapng;
    use crate::capture::written::Seen;
    use crate::capture::written::options_in;
    use crate::capture::written::read_pcapng;

    const MICRO: u64 = 1_700_000_000_000_000;

    fn first_bytes(seen: &[Seen]) -> Vec<u8> {
        seen.iter().map(|it| it.bytes[0]).collect()
    }

    #[test]
    fn each_interface_has_its_own_clock_and_link_type() {
        let file = Pcapng::new()
            .interface(1, 0, &[(9, &[9])])
            .interface(101, 0, &[(9, &[0x94])])
            .interface(276, 0, &[(9, &[3]), (14, &3600_i64.to_le_bytes())])
            .packet(0, MICRO * 1000 + 7, b"a")
            .packet(1, 1_700_000_001 << 20 | 1 << 19, b"b")
            .packet(2, 1_700_000_002_003, b"c");
        let (seen, facts) = read_pcapng(&file.bytes);
        let times = seen.iter().map(|it| it.time).collect::<Vec<_>>();
        assert_eq!(times, [1_700_000_000_000_000_007, 1_700_000_001_500_000_000, 1_700_003_602_003_000_000]);
        assert_eq!(facts.link_types, ["EN10MB", "RAW", "LINUX_SLL2"]);
        assert!(facts.nanoseconds);
        assert!(facts.oddities.is_empty());
    }

    #[test]
    fn a_new_section_has_its_own_byte_order_and_interfaces() {
        let file = Pcapng::new().interface(101, 0, &[]).packet(0, MICRO, b"a").section(Order::Big);
        let file = file.interface(1, 0, &[(9, &[9])]).packet(0, MICRO * 1000, b"b").packet(1, 0, b"lost");
        let (seen, facts) = read_pcapng(&file.bytes);
        assert_eq!(first_bytes(&seen), *b"ab");
        assert_eq!(seen[0].time, seen[1].time);
        assert_eq!(facts.oddities.of("unknown-interface").map(|it| it.frames.clone()), Some(vec![3]));
    }

    #[test]
    fn drops_of_all_interfaces_and_sections_are_summed_and_told_once() {
        for order in [Order::Little, Order::Big] {
            let number = |drops: u64| match order {
                Order::Little => drops.to_le_bytes(),
                Order::Big => drops.to_be_bytes(),
            };
            let file = Pcapng::new().section(order).interface(1, 0, &[]).interface(1, 0, &[]);
            let file = file.statistics(0, &[(5, &number(10))]).statistics(0, &[(5, &number(30)), (7, &number(4))]);
            let file = file.statistics(1, &[(7, &number(200))]).section(order).interface(1, 0, &[]);
            let (_, facts) = read_pcapng(&file.statistics(0, &[(5, &number(1000))]).bytes);
            assert_eq!(facts.drops, 1234);
            assert_eq!(facts.oddities.of("capture-drops").map(|it| it.count), Some(1234));
        }
    }

    #[test]
    fn frames_are_numbered_as_wireshark_numbers_them() {
        let file = Pcapng::new().interface(1, 3, &[]).packet(0, MICRO, b"a").block(CUSTOM, &[0; 8]);
        let file = file.packet(0, MICRO, b"b").block(SYSTEMD_JOURNAL, b"A=1\n").block(DECRYPTION_SECRETS, &[0; 8]);
        let file = file.packet(0, MICRO, b"c").block(0x0bad_f00d, b"what").block(SIMPLE_PACKET, b"\x05\0\0\0defg");
        let old = [&[0, 0, 7, 0][..], &0_u64.to_le_bytes(), &4_u32.to_le_bytes(), &4_u32.to_le_bytes(), b"old."];
        let (seen, facts) = read_pcapng(&file.block(OLD_PACKET, &old.concat()).bytes);
        let numbers = seen.iter().map(|it| it.number).collect::<Vec<_>>();
        assert_eq!(numbers, [1, 3, 5, 6, 7]);
        assert_eq!(seen[3].bytes, b"def", "the snap length of the interface cuts a simple packet");
        assert_eq!(seen[4].bytes, b"old.");
        assert_eq!(facts.drops, 7);
        assert_eq!(facts.oddities.of("no-timestamp").map(|it| it.frames.clone()), Some(vec![6]));
    }

    #[test]
    fn a_block_that_cannot_be_right_costs_only_itself() {
        let enhanced = |len: u32| [6_u32.to_le_bytes(), len.to_le_bytes()].concat();
        for broken in [enhanced(0), enhanced(35), enhanced(0xffff_fffc), enhanced(1 << 30), enhanced(400_000), vec![9]]
        {
            let file = Pcapng::new().interface(1, 0, &[]).packet(0, MICRO, b"a").raw(&broken).raw(&[0; 27]);
            let (seen, facts) = read_pcapng(&file.packet(0, MICRO, b"b").packet(0, MICRO, b"c").bytes);
            assert_eq!(first_bytes(&seen), *b"abc", "{broken:?}");
            assert!(facts.oddities.of("capture-cut").is_some());
        }
    }

    #[test]
    fn a_broken_option_costs_no_packet() {
        let file = Pcapng::new().interface(1, 0, &[]).packet_with(0, MICRO, b"a", b"\x01\0\x60\xeaabcd");
        let sound = [options_in(Order::Little, &[(1, b"why?")]), vec![0; 4]].concat();
        let (seen, facts) = read_pcapng(&file.packet_with(0, MICRO, b"b", &sound).bytes);
        assert_eq!(first_bytes(&seen), *b"ab");
        assert_eq!(facts.oddities.of("broken-option").map(|it| it.frames.clone()), Some(vec![1]));
    }

    #[test]
    fn a_clock_that_cannot_be_gives_no_time_without_a_word() {
        let file = Pcapng::new().interface(1, 0, &[(9, &[0x7f])]).packet(0, MICRO, b"a");
        let (seen, facts) = read_pcapng(&file.packet(0, u64::MAX, b"b").bytes);
        assert_eq!(seen.len(), 2);
        assert_eq!(facts.oddities.of("timestamp-out-of-range").map(|it| it.count), Some(2));
    }

    #[test]
    fn interfaces_without_end_are_not_remembered() {
        let mut file = Pcapng::new();
        for _ in 0..INTERFACES_LIMIT + 2 {
            file = file.interface(1, 0, &[]);
        }
        let (_, facts) = read_pcapng(&file.bytes);
        assert_eq!(facts.oddities.of("limit-hit").map(|it| it.count), Some(2));
    }

    proptest! {
        #[test]
        fn a_file_cut_at_any_byte_gives_a_prefix_of_its_packets(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut file = Pcapng::new().interface(1, 0, &[(9, &[6])]);
            for packet in &packets {
                file = file.packet(0, MICRO, packet);
            }
            let (all, _) = read_pcapng(&file.bytes);
            prop_assert_eq!(all.len(), packets.len());
            let (some, _) = read_pcapng(&file.bytes[..cut.index(file.bytes.len())]);
            prop_assert_eq!(&some[..], &all[..some.len()]);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        ) {
            let mut file = Pcapng::new().interface(1, 0, &[(9, &[6])]);
            for number in 0..20 {
                file = file.packet(0, MICRO + number, &[7; 60]).statistics(0, &[(5, &[1; 8])]);
            }
            for (place, byte) in damage {
                let place = place.index(file.bytes.len());
                file.bytes[place] = byte;
            }
            let (seen, facts) = read_pcapng(&file.bytes);
            prop_assert_eq!(seen.len() as u64, facts.packets);
        }
    }
}
