//! Fragments of IP datagrams, put together.
//!
//! Knows positions. Is given fragments; gives whole datagrams. Deliberately does not know what a datagram carries, nor
//! how long to wait for it. A datagram with a hole is never handed on.

use std::net::IpAddr;

use crate::capture::Place;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::incomplete::Incomplete;
use crate::net::incomplete::IncompleteTable;
use crate::net::ip::Fragment;
use crate::net::ip::More;
use crate::net::pieces::Pieces;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;

/// The most that an IP datagram can carry.
const LONGEST: u64 = 65_535;

/// Which datagram a fragment belongs to (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct DatagramKey {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// What it carries. IPv6 does not need it, and the first fragment's is the only one that counts there, so 0.
    pub protocol: u8,
    /// Its number.
    pub id: u32,
    /// The virtual networks that it was seen in, 0 for none. Networks may have the same addresses, and then the same
    /// numbers; but the fragments of one datagram may also go through several of them.
    pub network: u32,
}

/// A datagram that was put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// Its payload, up to the first byte that the capture cut off.
    pub bytes: Vec<u8>,
    /// Bytes behind these.
    pub missing: u32,
    /// The protocol that its first fragment names.
    pub protocol: u8,
}

/// The datagrams of which pieces are there, bounded in bytes.
pub(super) type FragmentTable = IncompleteTable<DatagramKey, Unfinished>;

/// A datagram of which pieces are there.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    pieces: Pieces,
    /// Length of the whole, once its last piece was there.
    length: Option<u64>,
    /// The protocol that the first piece names.
    protocol: u8,
    /// The networks that the first piece was seen in.
    network: u32,
    /// Fragments since the last time it was whole.
    fragments: u32,
    /// True once it was whole; what comes then is a second copy, as a tap on two ports makes it.
    was_whole: bool,
    last: Place,
}

impl FragmentTable {
    /// Adds a fragment, and gives the datagram if it is whole now.
    pub(super) fn add(
        &mut self,
        key: DatagramKey,
        protocol: u8,
        fragment: Fragment,
        rest: Rest<'_>,
        place: Place,
        oddities: &mut OddityLog,
    ) -> Option<Whole> {
        let end = u64::from(fragment.offset).saturating_add(rest.on_wire() as u64);
        if end > LONGEST {
            oddities.note(Oddity::FragmentsOverlap, Some(place.frame));
            return None;
        }
        let network = key.network;
        let key = self.key_for(key, fragment, rest);
        self.take_in(key, place, oddities, |unfinished, oddities| {
            if unfinished.is_empty() {
                unfinished.network = network;
            }
            unfinished.add(protocol, fragment, rest, place, oddities);
            unfinished.whole()
        })
    }

    /// Fragments belong together whatever network they came through, until one comes through another one that
    /// contradicts.
    fn key_for(&self, key: DatagramKey, fragment: Fragment, rest: Rest<'_>) -> DatagramKey {
        let shared = DatagramKey { network: 0, ..key };
        let is_apart = key.network != 0 && self.get(&key).is_some_and(|apart| !apart.is_empty());
        let contradicts = |other: &Unfinished| other.network != key.network && !other.agrees(fragment, rest);
        if is_apart || self.get(&shared).is_some_and(contradicts) { key } else { shared }
    }
}

impl Incomplete for Unfinished {
    const OVERHEAD: usize = 256;
    const TAKEN_UP: usize = 64;

    fn weight(&self) -> usize {
        self.pieces.weight()
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn left_over(&self) -> u32 {
        if self.is_empty() || self.was_whole { 0 } else { self.fragments }
    }

    fn last(&self) -> Place {
        self.last
    }
}

impl Unfinished {
    /// What is there up to the first hole, with the protocol that the first fragment names and its place.
    pub(super) fn beginning(mut self) -> Option<(u8, Vec<u8>, Place)> {
        let place = self.pieces.first().filter(|first| first.at == 0)?.place;
        let mut bytes = Vec::new();
        for piece in self.pieces.take_all() {
            if piece.at > bytes.len() as u64 {
                break;
            }
            bytes.extend_from_slice(&piece.bytes);
        }
        Some((self.protocol, bytes, place))
    }

    fn add(&mut self, protocol: u8, fragment: Fragment, rest: Rest<'_>, place: Place, oddities: &mut OddityLog) {
        let at = u64::from(fragment.offset);
        let length = rest.on_wire() as u64;
        let overlap = self.pieces.insert(at, rest, place);
        let is_copy = overlap.covered == length && overlap.different == 0;
        if overlap.covered > 0 && !is_copy {
            oddities.note(Oddity::FragmentsOverlap, Some(place.frame));
        }
        if !is_copy {
            self.fragments = self.fragments.saturating_add(1);
        }
        if at == 0 {
            self.protocol = protocol;
        }
        if fragment.more == More::Last && self.length.is_none() {
            self.length = Some(at.saturating_add(length));
        }
        self.last = place;
    }

    /// Whether a fragment can be one of this datagram: a part that is not there yet, or a copy of what is.
    fn agrees(&self, fragment: Fragment, rest: Rest<'_>) -> bool {
        let at = u64::from(fragment.offset);
        let end = at.saturating_add(rest.on_wire() as u64);
        let ends_here = fragment.more == More::Last;
        self.pieces.agrees(at, rest)
            && self.length.is_none_or(|length| if ends_here { end == length } else { end < length })
    }

    /// The datagram, if nothing is missing. What comes later begins anew.
    fn whole(&mut self) -> Option<Whole> {
        let length = self.length?;
        if self.pieces.contiguous_end() < length {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?);
        for piece in self.pieces.take_all() {
            bytes.extend_from_slice(&piece.bytes);
            if piece.missing > 0 {
                break;
            }
        }
        bytes.truncate(usize::try_from(length).ok()?);
        self.length = None;
        self.fragments = 0;
        self.was_whole = true;
        let missing = to_u32(usize::try_from(length).ok()?.saturating_sub(bytes.len()));
        Some(Whole { bytes, missing, protocol: self.protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Timestamp;
    use proptest::prelude::*;

    const KEY: DatagramKey = DatagramKey {
        source: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        destination: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
        protocol: 17,
        id: 7,
        network: 0,
    };

    fn place(frame: u64) -> Place {
        Place { frame, time: Timestamp::from_parts(frame as i64, 0), ..Place::default() }
    }

    fn part(offset: u16, more: More) -> Fragment {
        Fragment { id: 7, offset, more }
    }

    fn add(table: &mut FragmentTable, log: &mut OddityLog, f: Fragment, bytes: &[u8], frame: u64) -> Option<Whole> {
        table.add(KEY, 17, f, Rest::whole(bytes), place(frame), log)
    }

    #[test]
    fn a_hole_is_noted_and_nothing_is_made_up() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        assert_eq!(add(&mut table, &mut log, part(0, More::Follow), b"12345678", 1), None);
        assert_eq!(add(&mut table, &mut log, part(16, More::Last), b"abc", 2), None);
        table.finish(&mut log);
        assert_eq!(log.of("fragments-missing").unwrap().example, Oddity::FragmentsMissing { had: 2 });
        assert_eq!(log.of("fragments-missing").unwrap().frames, [2]);
        assert_eq!(table.bytes, 0);
    }

    #[test]
    fn what_waited_too_long_is_forgotten() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        add(&mut table, &mut log, part(0, More::Follow), b"12345678", 1);
        assert_eq!(add(&mut table, &mut log, part(8, More::Last), b"abc", 40), None);
        assert_eq!(log.of("fragments-missing").unwrap().count, 1);
        let given_up: Vec<_> =
            table.take_given_up().into_iter().map(|(_, unfinished)| unfinished.beginning()).collect();
        assert_eq!(given_up, [Some((17, b"12345678".to_vec(), place(1)))]);
        table.finish(&mut log);
        let given_up: Vec<_> =
            table.take_given_up().into_iter().map(|(_, unfinished)| unfinished.beginning()).collect();
        assert_eq!(given_up, [None], "a last fragment alone is no beginning");
    }

    #[test]
    fn a_second_copy_is_whole_again_and_half_a_copy_is_no_loss() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        for frame in [1, 3] {
            assert_eq!(add(&mut table, &mut log, part(0, More::Follow), b"12345678", frame), None);
            let whole = add(&mut table, &mut log, part(8, More::Last), b"abc", frame + 1).unwrap();
            assert_eq!(whole.bytes, b"12345678abc");
        }
        add(&mut table, &mut log, part(8, More::Last), b"abc", 5);
        table.finish(&mut log);
        assert!(log.is_empty());
    }

    #[test]
    fn networks_with_the_same_addresses_are_kept_apart() {
        for order in [[0, 1, 2, 3], [0, 1, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]] {
            let mut table = FragmentTable::new(1 << 20);
            let mut log = OddityLog::default();
            let parts = [
                (1, part(0, More::Follow), &b"12345678"[..]),
                (2, part(0, More::Follow), b"abcdefgh"),
                (1, part(8, More::Last), b"9"),
                (2, part(8, More::Last), b"ij"),
            ];
            let mut wholes: Vec<Vec<u8>> = Vec::new();
            for (network, fragment, bytes) in order.map(|index| parts[index]) {
                let key = DatagramKey { network, ..KEY };
                let whole = table.add(key, 17, fragment, Rest::whole(bytes), place(1), &mut log);
                wholes.extend(whole.map(|whole| whole.bytes));
            }
            wholes.sort();
            assert_eq!(wholes, [b"123456789".to_vec(), b"abcdefghij".to_vec()], "{order:?}");
            table.finish(&mut log);
            assert!(log.is_empty());
        }
    }

    #[test]
    fn fragments_of_one_datagram_may_take_several_networks() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        add(&mut table, &mut log, part(0, More::Follow), b"12345678", 1);
        let key = DatagramKey { network: 5, ..KEY };
        let whole = table.add(key, 17, part(8, More::Last), Rest::whole(b"9"), place(2), &mut log);
        assert_eq!(whole.map(|whole| whole.bytes), Some(b"123456789".to_vec()));
        assert!(log.is_empty());
    }

    #[test]
    fn the_first_copy_of_an_overlap_is_kept() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        add(&mut table, &mut log, part(0, More::Follow), b"12345678abcdefgh", 1);
        let whole = add(&mut table, &mut log, part(8, More::Last), b"ABCDEFGHIJ", 2).unwrap();
        assert_eq!(whole.bytes, b"12345678abcdefghIJ");
        assert_eq!(log.of("fragments-overlap").unwrap().frames, [2]);
    }

    #[test]
    fn nothing_reaches_beyond_64_k() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        assert_eq!(add(&mut table, &mut log, part(65_528, More::Last), &[0; 1400], 1), None);
        assert_eq!(log.of("fragments-overlap").unwrap().count, 1);
        table.finish(&mut log);
        assert_eq!(log.of("fragments-missing"), None);
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut table = FragmentTable::new(3_000);
        let mut log = OddityLog::default();
        for id in 0..10 {
            let key = DatagramKey { id, ..KEY };
            table.add(key, 17, part(0, More::Follow), Rest::whole(&[0; 800]), place(1), &mut log);
            assert!(table.bytes <= 3_000);
        }
        assert_eq!(log.of("limit-hit").unwrap().count, 8);
        let key = DatagramKey { id: 9, ..KEY };
        let whole = table.add(key, 17, part(800, More::Last), Rest::whole(b"end"), place(1), &mut log);
        assert_eq!(whole.unwrap().bytes.len(), 803);
    }

    #[test]
    fn a_cut_piece_gives_the_bytes_before_the_cut() {
        let mut table = FragmentTable::new(1 << 20);
        let mut log = OddityLog::default();
        let cut = Rest { bytes: b"1234", missing: 4 };
        table.add(KEY, 17, part(0, More::Follow), cut, place(1), &mut log);
        let whole = add(&mut table, &mut log, part(8, More::Last), b"abc", 2).unwrap();
        assert_eq!(whole, Whole { bytes: b"1234".to_vec(), missing: 7, protocol: 17 });
    }

    proptest! {
        /// Fragments in any order, with copies, give the datagram once.
        #[test]
        fn any_order_gives_the_datagram(
            bytes in proptest::collection::vec(any::<u8>(), 1..4000),
            size in 1..40usize,
            order in proptest::collection::vec(any::<u32>(), 600),
            copies in proptest::collection::vec(any::<bool>(), 600),
        ) {
            let parts: Vec<&[u8]> = bytes.chunks(size * 8).collect();
            let mut plan: Vec<(u32, usize)> = order.iter().copied().zip(0..parts.len()).collect();
            plan.sort();
            let mut table = FragmentTable::new(1 << 20);
            let mut log = OddityLog::default();
            let mut wholes = Vec::new();
            let last = plan.last().unwrap().1;
            for (_, index) in plan {
                let more = if index + 1 == parts.len() { More::Last } else { More::Follow };
                let fragment = part((index * size * 8) as u16, more);
                wholes.extend(add(&mut table, &mut log, fragment, parts[index], 1));
                if copies[index] && index != last {
                    wholes.extend(add(&mut table, &mut log, fragment, parts[index], 1));
                }
            }
            prop_assert_eq!(wholes.len(), 1);
            prop_assert_eq!(&wholes[0].bytes, &bytes);
            prop_assert!(log.is_empty());
        }
    }
}
