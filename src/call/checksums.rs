//! UDP checksums that are not those of what was sent (RFC 768), by sender.
//!
//! Is given the headers of datagrams that carry SIP; gives who leaves the checksum out, and whose packets were captured
//! before the network card had written it. Deliberately does not verify: a wrong checksum never reaches SIP.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::capture::Place;
use crate::net::Path;

/// What is odd about a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChecksumFault {
    /// It is 0: the sender did not compute it. IPv6 does not allow that (RFC 8200 §8.1).
    LeftOut,
    /// It holds the sum of the pseudo-header alone: the network card was to complete it, so the packet was captured on
    /// the sending host.
    NotYetWritten,
}

impl ChecksumFault {
    /// Judges the checksum of a datagram with a payload of this length in bytes; `None` if nothing is odd about it, as
    /// far as is known without adding up the payload.
    pub fn of(path: Path, payload: usize, checksum: u16) -> Option<ChecksumFault> {
        if checksum == 0 {
            return Some(ChecksumFault::LeftOut);
        }
        // Longer words give the same sum when they are folded (RFC 1071 §2), and take fewer additions.
        let of = |address: IpAddr| match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                folded((bits >> 64) as u64) + folded(bits as u64)
            }
        };
        let length = u32::try_from(payload).unwrap_or(0).saturating_add(8);
        let sum = folded(of(path.source.ip()) + of(path.destination.ip()) + 17 + u64::from(length));
        let once = |sum: u64| (sum & 0xffff) + (sum >> 16);
        // Of 34 bits 18 are left, then 17, then 16.
        let sum = once(once(once(sum)));
        (u64::from(checksum) == sum).then_some(ChecksumFault::NotYetWritten)
    }
}

/// A sum of longer words as one of few bits more than a word has.
fn folded(sum: u64) -> u64 {
    (sum & 0xffff_ffff) + (sum >> 32)
}

/// What was seen of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksumsOf {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Place,
    /// What its header held.
    pub held: u16,
}

/// Who sent what, by kind and sender. Mergeable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checksums {
    of: BTreeMap<ChecksumFault, BTreeMap<IpAddr, ChecksumsOf>>,
}

impl Checksums {
    /// Senders that are kept of each kind.
    const MOST: usize = 1024;

    /// The senders of one kind, in order of their addresses.
    pub fn of(&self, fault: ChecksumFault) -> impl Iterator<Item = (IpAddr, &ChecksumsOf)> {
        self.of.get(&fault).into_iter().flatten().map(|(sender, seen)| (*sender, seen))
    }

    /// Notes one datagram.
    pub(crate) fn note(&mut self, fault: ChecksumFault, sender: IpAddr, place: Place, held: u16) {
        self.join(fault, sender, ChecksumsOf { count: 1, first: place, held });
    }

    fn join(&mut self, fault: ChecksumFault, sender: IpAddr, seen: ChecksumsOf) {
        let senders = self.of.entry(fault).or_default();
        let has_room = senders.len() < Checksums::MOST;
        match senders.get_mut(&sender) {
            Some(known) => {
                known.count = known.count.saturating_add(seen.count);
                if seen.first < known.first {
                    (known.first, known.held) = (seen.first, seen.held);
                }
            }
            None if has_room => {
                senders.insert(sender, seen);
            }
            None => {}
        }
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Checksums) {
        for (fault, senders) in &other.of {
            senders.iter().for_each(|(sender, seen)| self.join(*fault, *sender, *seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Transport;

    #[test]
    fn a_sum_of_the_pseudo_header_alone_was_to_be_completed() {
        let path = |source: &str, destination: &str| Path {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            transport: Transport::Udp,
        };
        let path4 = path("192.0.2.10:5060", "192.0.2.20:5060");
        // 0xc000 + 0x020a + 0xc000 + 0x0214 + 17 + 8 + 300, carried around.
        let sum = 0xc000_u32 + 0x020a + 0xc000 + 0x0214 + 17 + 308;
        let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        assert_eq!(ChecksumFault::of(path4, 300, sum), Some(ChecksumFault::NotYetWritten));
        assert_eq!(ChecksumFault::of(path4, 301, sum), None);
        assert_eq!(ChecksumFault::of(path4, 300, 0), Some(ChecksumFault::LeftOut));
        let path6 = path("[2001:db8::10]:5060", "[2001:db8::20]:5060");
        let sum = 2 * (0x2001_u32 + 0x0db8) + 0x10 + 0x20 + 17 + 308;
        let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        assert_eq!(ChecksumFault::of(path6, 300, sum), Some(ChecksumFault::NotYetWritten));
    }
}
