//! The records of a pcap file, in all its byte orders and time resolutions.
//!
//! Is given the bytes behind the file header; gives one record after the other. Where a record cannot be right, it
//! looks for the next one that can. Deliberately does not know what is in a packet.

use std::io::Read;
use std::ops::ControlFlow;

use pcap_parser::PcapHeader;
use pcap_parser::parse_pcap_header;

use crate::capture::damage;
use crate::capture::damage::LOOKAHEAD;
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

/// Bytes of the file header.
pub(super) const FILE_HEADER: usize = 24;

/// Seconds by which a record that was searched for may be away from the last one that was read: 30 days.
const NEAR: i64 = 30 * 24 * 3600;

/// The magic number of Kuznetzov's modified tcpdump, and the same in the order of big-endian machines.
const MODIFIED: u32 = 0xa1b2_cd34;
const MODIFIED_SWAPPED: u32 = MODIFIED.swap_bytes();

/// Records that are looked at to tell how long their headers are, and bytes in which they are looked for.
const LOOKED_AT: usize = 4;
const LOOKED_THROUGH: usize = 16 << 10;

/// How a pcap file is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records {
    layout: Layout,
    order: Order,
    nanoseconds_per_unit: u32,
    link: LinkType,
    snaplen: u32,
    last_second: Option<u32>,
}

/// How long the header of a record is. Its first sixteen bytes are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Usual,
    /// Nokia's: four more bytes, under the usual magic number.
    Nokia,
    /// Magic 0xa1b2cd34: eight more bytes, interface, protocol and kind. RedHat's of 1999 have them under the usual
    /// number.
    Modified,
    /// SuSE's of 1999, under the same number: twelve more.
    Suse,
}

/// The numbers of a record's header.
#[derive(Debug, Clone, Copy)]
struct Header {
    second: u32,
    fraction: u32,
    kept: u32,
    original_len: u32,
}

impl Records {
    /// True if a file that begins so is a pcap file.
    pub(super) fn recognises(head: &[u8]) -> bool {
        let Some(magic) = Order::Little.u32(head, 0) else { return false };
        matches!(magic, 0xa1b2_c3d4 | 0xa1b2_3c4d | MODIFIED | 0xd4c3_b2a1 | 0x4d3c_b2a1 | MODIFIED_SWAPPED)
    }

    /// Reads the file header; `None` if it is not whole.
    pub(super) fn open<R: Read>(window: &mut Window<R>, ledger: &mut Ledger) -> Option<Records> {
        window.fill(FILE_HEADER);
        let (header, order) = file_header(window.bytes())?;
        window.consume(FILE_HEADER);
        if header.version_major != 2 {
            ledger.note(Oddity::UnknownVersion { major: header.version_major, minor: header.version_minor });
        }
        if header.is_nanosecond_precision() {
            ledger.has_nanoseconds();
        }
        Some(Records::of(&header, order))
    }

    /// Looks at the first records to tell how long their headers are: the magic number does not always say it.
    pub(super) fn look_ahead<R: Read>(&mut self, window: &mut Window<R>) {
        window.fill(LOOKED_THROUGH);
        let others: &[Layout] = match self.layout {
            Layout::Usual => &[Layout::Modified, Layout::Nokia],
            _ => &[Layout::Suse],
        };
        let seen = |layout: Layout| Records { layout, ..*self }.seen(window.bytes());
        if seen(self.layout).is_none()
            && let Some(layout) = others.iter().copied().find(|layout| seen(*layout) >= Some(2))
        {
            self.layout = layout;
        }
    }

    /// How many of the first records are here; `None` if one of them cannot be right.
    fn seen(&self, mut bytes: &[u8]) -> Option<usize> {
        let mut records = *self;
        let mut count: usize = 0;
        while let Some(header) = self.header(bytes).filter(|_| count < LOOKED_AT) {
            if !self.is_ordinary(header) || !records.is_near(header) {
                return None;
            }
            records.last_second = Some(header.second);
            count = count.saturating_add(1);
            bytes = bytes.get(self.record_len(header)..).unwrap_or_default();
        }
        Some(count)
    }

    fn of(header: &PcapHeader, order: Order) -> Records {
        Records {
            layout: if header.is_modified_format() { Layout::Modified } else { Layout::Usual },
            order,
            nanoseconds_per_unit: if header.is_nanosecond_precision() { 1 } else { 1000 },
            // The upper bits hold the length of a frame check sequence, if any.
            link: LinkType(header.network.0.cast_unsigned() & 0xffff),
            snaplen: header.snaplen,
            last_second: None,
        }
    }

    /// True if the next record is wholly there, and whatever must be seen behind it to believe it.
    pub(super) fn has_whole<R: Read>(&self, window: &mut Window<R>) -> bool {
        let header_len = self.header_len();
        if window.fill(header_len) < header_len {
            return false;
        }
        let wanted = match self.header(window.bytes()) {
            Some(header) if self.is_ordinary(header) => self.record_len(header),
            Some(header) if header.kept <= PACKET_LIMIT => self.record_len(header).saturating_add(header_len),
            _ => LOOKAHEAD,
        };
        window.fill(wanted) >= wanted
    }

    /// The next record, `None` at the end.
    #[inline]
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> Option<Due> {
        loop {
            if let Some(header) = self.whole_record(window.bytes())
                && self.is_ordinary(header)
            {
                return Some(self.take(header, window, ledger));
            }
            match self.next_slowly(window, ledger) {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(record) => return record,
            }
        }
    }

    /// The header of the record that begins here, if all of the record is here.
    #[inline]
    fn whole_record(&self, bytes: &[u8]) -> Option<Header> {
        self.header(bytes).filter(|header| bytes.len() >= self.record_len(*header))
    }

    /// True if nothing about the header gives reason to look twice.
    #[inline]
    fn is_ordinary(&self, header: Header) -> bool {
        header.kept <= header.original_len
            && header.kept <= PACKET_LIMIT
            && header.fraction.saturating_mul(self.nanoseconds_per_unit) < 1_000_000_000
            && (header.second != 0 || header.original_len != 0)
    }

    #[inline(always)]
    fn take<R: Read>(&mut self, header: Header, window: &mut Window<R>, ledger: &mut Ledger) -> Due {
        let start = window.position().saturating_add(self.header_len());
        let end = start.saturating_add(length(header.kept));
        window.consume(self.record_len(header));
        let nanoseconds = u64::from(header.fraction).saturating_mul(u64::from(self.nanoseconds_per_unit));
        let time = Timestamp::from_parts(i64::from(header.second), nanoseconds);
        let clock = match nanoseconds {
            0..1_000_000_000 => {
                self.last_second = Some(header.second);
                Clock::Measured(time)
            }
            // Somebody moved the time by adding to its fraction, and did not carry.
            1_000_000_000..2_000_000_000 => Clock::Doubtful(time),
            _ => Clock::OutOfRange,
        };
        ledger.admit(clock, self.link, start..end, header.original_len)
    }

    fn header_len(&self) -> usize {
        self.layout.header_len()
    }

    fn record_len(&self, header: Header) -> usize {
        self.header_len().saturating_add(length(header.kept))
    }

    /// What comes when the next record is not wholly here, or not beyond doubt.
    #[cold]
    fn next_slowly<R: Read>(&mut self, window: &mut Window<R>, ledger: &mut Ledger) -> ControlFlow<Option<Due>> {
        let header_len = self.header_len();
        if window.fill(header_len) < header_len {
            damage::note_end(window, ledger, header_len as u64);
            return ControlFlow::Break(None);
        }
        let Some(header) = self.header(window.bytes()) else { return ControlFlow::Break(None) };
        if header.kept > PACKET_LIMIT {
            let found = format!("a record of {} bytes, more than any packet has", header.kept);
            return self.search(Some(found).filter(|_| header.fraction < 1_000_000_000), window, ledger);
        }
        let record_len = self.record_len(header);
        let here = window.fill(record_len);
        if here < record_len {
            return self.cut(header, record_len, window, ledger);
        }
        if self.is_ordinary(header) {
            return ControlFlow::Continue(());
        }
        window.fill(record_len.saturating_add(header_len));
        if header.is_blank() || !self.is_possible(window.bytes(), record_len, Behind::MayEnd) {
            return self.search(None, window, ledger);
        }
        ControlFlow::Break(Some(self.take(header, window, ledger)))
    }

    /// The stream ends inside a record: that is all, unless the record's length is what is wrong.
    fn cut<R: Read>(
        &mut self,
        header: Header,
        record_len: usize,
        window: &mut Window<R>,
        ledger: &mut Ledger,
    ) -> ControlFlow<Option<Due>> {
        let credible = header.kept <= header.original_len
            && header.fraction.saturating_mul(self.nanoseconds_per_unit) < 1_000_000_000
            && (self.snaplen == 0 || header.kept <= self.snaplen.max(0xffff));
        if credible || self.find(window).is_none() {
            damage::note_end(window, ledger, record_len as u64);
            return ControlFlow::Break(None);
        }
        let found = format!("a record of {} bytes that reaches beyond the end of the file", header.kept);
        self.search(Some(found), window, ledger)
    }

    /// Looks for the next record behind one that cannot be right, and says where and, if it can be said, what it was.
    fn search<R: Read>(
        &mut self,
        found: Option<String>,
        window: &mut Window<R>,
        ledger: &mut Ledger,
    ) -> ControlFlow<Option<Due>> {
        let offset = window.offset();
        loop {
            window.fill(LOOKAHEAD);
            if let Some(skip) = self.find(window) {
                window.consume(skip);
                damage::note_gap(offset, window, found, ledger);
                return ControlFlow::Continue(());
            }
            if window.has_ended() {
                window.consume(window.bytes().len());
                damage::note_rest(offset, window, found, ledger);
                return ControlFlow::Break(None);
            }
            window.consume(damage::searchable(window).max(1));
        }
    }

    /// Bytes from here to the next thing that looks like a record and is followed by another one or by the end.
    fn find<R: Read>(&self, window: &Window<R>) -> Option<usize> {
        let bytes = window.bytes();
        let behind = if window.has_ended() { Behind::MayEnd } else { Behind::MustFollow };
        let places = bytes.windows(self.header_len()).enumerate().take(damage::searchable(window)).skip(1);
        let mut likely = places.filter_map(|(place, head)| Some((place, self.likely_header(head)?)));
        likely
            .find(|(place, header)| self.is_possible(bytes, place.saturating_add(self.record_len(*header)), behind))
            .map(|(place, _)| place)
    }

    /// The header of a record as most are: neither empty nor far in time from the last one.
    #[inline]
    fn likely_header(&self, bytes: &[u8]) -> Option<Header> {
        let header = self.header(bytes)?;
        let likely = header.original_len.wrapping_sub(1) < PACKET_LIMIT
            && header.kept <= header.original_len
            && header.fraction.saturating_mul(self.nanoseconds_per_unit) < 1_000_000_000
            && self.is_near(header);
        likely.then_some(header)
    }

    /// True if what stands `skip` bytes on can be a record, or is the end of the stream.
    fn is_possible(&self, bytes: &[u8], skip: usize, behind: Behind) -> bool {
        let Some(rest) = bytes.get(skip..) else { return false };
        match self.header(rest) {
            Some(next) => next.kept <= PACKET_LIMIT && next.original_len <= PACKET_LIMIT && !next.is_blank(),
            None => rest.is_empty() && behind == Behind::MayEnd,
        }
    }

    fn is_near(&self, header: Header) -> bool {
        match self.last_second {
            Some(last) => i64::from(header.second).abs_diff(i64::from(last)) <= NEAR.unsigned_abs(),
            None => header.second != 0,
        }
    }

    #[inline]
    fn header(&self, bytes: &[u8]) -> Option<Header> {
        let fields = bytes.get(..self.header_len())?.first_chunk::<16>()?;
        let ([second, fraction, kept, original_len], _) = fields.as_chunks::<4>() else { return None };
        let number = |field: &[u8; 4]| self.order.number(*field);
        Some(Header {
            second: number(second),
            fraction: number(fraction),
            kept: number(kept),
            original_len: number(original_len),
        })
    }
}

impl Layout {
    fn header_len(self) -> usize {
        match self {
            Layout::Usual => 16,
            Layout::Nokia => 20,
            Layout::Modified => 24,
            Layout::Suse => 28,
        }
    }
}

/// Reads the file header. The one number that its reader does not know is given to it in the other order, with the
/// rest.
fn file_header(bytes: &[u8]) -> Option<(PcapHeader, Order)> {
    const FIELDS: [usize; 7] = [4, 2, 2, 4, 4, 4, 4];
    if Order::Little.u32(bytes, 0) != Some(MODIFIED_SWAPPED) {
        let (_, header) = parse_pcap_header(bytes).ok()?;
        let order = if header.is_bigendian() { Order::Big } else { Order::Little };
        return Some((header, order));
    }
    let mut swapped = bytes.get(..FILE_HEADER)?.to_vec();
    let mut rest = swapped.as_mut_slice();
    for length in FIELDS {
        let (field, behind) = rest.split_at_mut_checked(length)?;
        field.reverse();
        rest = behind;
    }
    let (_, header) = parse_pcap_header(&swapped).ok()?;
    Some((header, Order::Big))
}

/// Whether the stream may end behind a record that was searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    MayEnd,
    MustFollow,
}

impl Header {
    /// True if all is zero, as in the tail of a file that was allocated and never written.
    fn is_blank(&self) -> bool {
        (self.second, self.fraction, self.kept, self.original_len) == (0, 0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::Reading;
    use crate::capture::written::Pcap;
    use crate::capture::written::T0;
    use crate::capture::written::read_files;
    use crate::capture::written::read_pcap;

    #[test]
    fn every_byte_order_and_resolution_is_read() {
        for (order, magic, fraction) in [
            (Order::Little, 0xa1b2_c3d4, 250_000),
            (Order::Big, 0xa1b2_c3d4, 250_000),
            (Order::Little, 0xa1b2_3c4d, 250_000_000),
            (Order::Big, 0xa1b2_3c4d, 250_000_000),
            (Order::Little, MODIFIED, 250_000),
            (Order::Big, MODIFIED, 250_000),
        ] {
            let file = Pcap::with(order, magic, 113).packet(T0, fraction, b"first").packet(T0 + 1, 0, b"second");
            let (seen, facts) = read_pcap(&file.bytes);
            assert_eq!(seen.len(), 2, "{magic:x} {order:?}");
            assert_eq!(seen[0].time, 1_700_000_000_250_000_000);
            assert_eq!((seen[1].bytes.as_slice(), seen[1].number), (&b"second"[..], 2));
            assert_eq!(facts.link_types, ["LINUX_SLL"]);
            assert_eq!(facts.nanoseconds, magic == 0xa1b2_3c4d);
            assert!(facts.oddities.is_empty());
        }
    }

    #[test]
    fn longer_headers_that_the_magic_number_does_not_tell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        let whole = |magic: u32, extra: usize| {
            let file = Pcap::with(Order::Little, magic, 1).with_longer_headers(extra);
            file.packet(T0, 1, &[1; 60]).packet(T0, 2, &[2; 50]).packet(T0 + 1, 0, &[3; 40]).bytes
        };
        for (magic, extra) in [(0xa1b2_c3d4, 0), (0xa1b2_c3d4, 4), (0xa1b2_c3d4, 8), (MODIFIED, 8), (MODIFIED, 12)] {
            std::fs::write(&path, whole(magic, extra)).unwrap();
            let (seen, facts) = read_files(std::slice::from_ref(&path), Reading::default());
            let bytes: Vec<_> = seen.iter().map(|it| (it.bytes[0], it.bytes.len())).collect();
            assert_eq!(bytes, [(1, 60), (2, 50), (3, 40)], "{magic:x} {extra}");
            assert!(facts[0].oddities.is_empty());
        }
        // What is left of a record may be as long as what another layout adds.
        for cut in 1..60 {
            let file = whole(0xa1b2_c3d4, 0);
            std::fs::write(&path, &file[..FILE_HEADER + 76 + cut]).unwrap();
            let (seen, _) = read_files(std::slice::from_ref(&path), Reading::default());
            assert_eq!(seen[0].bytes, [1; 60], "{cut}");
        }
    }

    #[test]
    fn a_length_that_no_packet_has_costs_one_record_and_no_memory() {
        let file = Pcap::new().packet(T0, 0, &[1; 40]).record([T0, 1, 0x7fff_ffff, 0x7fff_ffff], &[2; 60]);
        let file = file.packet(T0, 2, &[3; 50]).packet(T0, 3, &[4; 50]);
        let (seen, facts) = read_pcap(&file.bytes);
        assert_eq!(seen.iter().map(|it| it.bytes[0]).collect::<Vec<_>>(), [1, 3, 4]);
        let Some(noted) = facts.oddities.of("capture-cut") else { panic!("the damage is named") };
        assert!(matches!(noted.example, Oddity::CaptureDamaged { offset: 80, .. }), "{:?}", noted.example);
    }

    #[test]
    fn a_wrong_length_inside_the_file_is_noticed_at_the_next_record() {
        let file = Pcap::new().packet(T0, 0, &[1; 40]).record([T0, 1, 90, 60], &[2; 60]);
        let file = file.packet(T0, 2, &[3; 50]).packet(T0, 3, &[4; 50]);
        let (seen, facts) = read_pcap(&file.bytes);
        assert_eq!(seen.iter().map(|it| it.bytes[0]).collect::<Vec<_>>(), [1, 3, 4]);
        assert!(facts.oddities.of("capture-cut").is_some());
    }

    #[test]
    fn a_length_beyond_the_end_of_the_file_costs_one_record() {
        let file = Pcap::new().packet(T0, 0, &[1; 40]).record([T0, 1, 200_000, 60], &[2; 60]);
        let file = file.packet(T0, 2, &[3; 50]).packet(T0, 3, &[4; 50]);
        let (seen, _) = read_pcap(&file.bytes);
        assert_eq!(seen.iter().map(|it| it.bytes[0]).collect::<Vec<_>>(), [1, 3, 4]);
    }

    #[test]
    fn a_tail_that_was_never_written_is_no_packets() {
        let file = Pcap::new().packet(T0, 0, &[1; 40]).raw(&[0; 4096]);
        let (seen, facts) = read_pcap(&file.bytes);
        assert_eq!(seen.len(), 1);
        let noted = facts.oddities.of("capture-cut").map(|noted| noted.example.clone());
        assert_eq!(noted, Some(Oddity::TrailingBytes { offset: 80, bytes: 4096 }));
    }

    #[test]
    fn lengths_and_times_that_are_odd_are_noted_with_their_frame() {
        let file = Pcap::new().packet(T0, 0, &[1; 40]).record([T0 - 1, 0, 40, 100], &[2; 40]);
        let file = file.record([T0, 4_294_967_295, 40, 40], &[3; 40]).record([T0, 0, 40, 30], &[4; 40]);
        let (seen, facts) = read_pcap(&file.packet(T0, 1, b"end").record([T0, 1_000_002, 40, 40], &[5; 40]).bytes);
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[5].time, Timestamp::from_parts(i64::from(T0) + 1, 2_000).0, "a fraction of more than a second");
        assert_eq!(seen[2].time, seen[1].time, "a time that cannot be right is that of the packet before");
        for (kind, frames) in [
            ("capture-truncated", &[2][..]),
            ("clock-unsteady", &[2]),
            ("timestamp-out-of-range", &[3, 6]),
            ("longer-than-on-wire", &[4]),
        ] {
            assert_eq!(facts.oddities.of(kind).map(|it| it.frames.clone()).as_deref(), Some(frames), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn a_file_cut_at_any_byte_gives_a_prefix_of_its_packets(
            packets in prop::collection::vec((0u32..1_000_000, prop::collection::vec(any::<u8>(), 0..120)), 1..12),
            cut in any::<prop::sample::Index>(),
            big in any::<bool>(),
        ) {
            let order = if big { Order::Big } else { Order::Little };
            let mut file = Pcap::with(order, 0xa1b2_c3d4, 1);
            for (fraction, packet) in &packets {
                file = file.packet(T0, *fraction, packet);
            }
            let (all, _) = read_pcap(&file.bytes);
            prop_assert_eq!(all.len(), packets.len());
            let cut = FILE_HEADER + cut.index(file.bytes.len() - FILE_HEADER);
            let (some, facts) = read_pcap(&file.bytes[..cut]);
            prop_assert_eq!(&some[..], &all[..some.len()]);
            let whole = FILE_HEADER + some.iter().map(|it| 16 + it.bytes.len()).sum::<usize>();
            prop_assert_eq!(facts.oddities.of("capture-cut").is_some(), whole != cut);
            let next = all.get(some.len()).map_or(usize::MAX, |it| whole + 16 + it.bytes.len());
            prop_assert!(cut < next, "no whole packet was left out");
        }

        #[test]
        fn any_bytes_are_read_to_their_end(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        ) {
            let mut file = Pcap::new();
            for number in 0..20 {
                file = file.packet(T0, number, &[7; 60]);
            }
            for (place, byte) in damage {
                let place = FILE_HEADER + place.index(file.bytes.len() - FILE_HEADER);
                file.bytes[place] = byte;
            }
            let (seen, facts) = read_pcap(&file.bytes);
            prop_assert_eq!(seen.len() as u64, facts.packets);
        }
    }
}
