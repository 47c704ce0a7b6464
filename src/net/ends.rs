//! Between whom a UDP datagram goes, in the few words in which a frame says it.
//!
//! Says the same as a [`Path`], and is made and compared in a fraction of the time: of most captures most packets are
//! media of a stream that is known, and nothing more is asked of them than which one it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::{Path, Transport};

/// From whom to whom a UDP datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Source and destination, the higher half of each first; of IPv4 the higher half is all.
    addresses: [u64; 4],
    source_port: u16,
    destination_port: u16,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

impl Ends {
    /// Between two addresses of IPv4.
    #[inline(always)]
    pub(super) fn v4(source: [u8; 4], destination: [u8; 4], (source_port, destination_port): (u16, u16)) -> Ends {
        let word = |address| u64::from(u32::from_be_bytes(address));
        let addresses = [word(source), 0, word(destination), 0];
        Ends { addresses, source_port, destination_port, version: Version::V4 }
    }

    /// Between two addresses of IPv6.
    #[inline]
    pub(super) fn v6(source: u128, destination: u128, (source_port, destination_port): (u16, u16)) -> Ends {
        let [high, low] = [|address: u128| (address >> 64) as u64, |address| address as u64];
        let addresses = [high(source), low(source), high(destination), low(destination)];
        Ends { addresses, source_port, destination_port, version: Version::V6 }
    }

    /// That of a path; `None` if the path is not one of UDP.
    pub(crate) fn of(path: &Path) -> Option<Ends> {
        let ports = (path.source.port(), path.destination.port());
        match (path.transport, path.source.ip(), path.destination.ip()) {
            (Transport::Udp, IpAddr::V4(source), IpAddr::V4(destination)) => {
                Some(Ends::v4(source.octets(), destination.octets(), ports))
            }
            (Transport::Udp, IpAddr::V6(source), IpAddr::V6(destination)) => {
                Some(Ends::v6(source.to_bits(), destination.to_bits(), ports))
            }
            _ => None,
        }
    }

    /// The path of it.
    #[inline]
    pub fn path(&self) -> Path {
        let [a, b, c, d] = self.addresses;
        let wide = |high, low| Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low));
        let (source, destination) = match self.version {
            Version::V4 => (Ipv4Addr::from_bits(a as u32).into(), Ipv4Addr::from_bits(c as u32).into()),
            Version::V6 => (wide(a, b).into(), wide(c, d).into()),
        };
        Path {
            source: SocketAddr::new(source, self.source_port),
            destination: SocketAddr::new(destination, self.destination_port),
            transport: Transport::Udp,
        }
    }

    /// True if one of the two ports is this one.
    #[inline]
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.source_port == port || self.destination_port == port
    }

    /// All of it in one word, in which different ends may be the same.
    #[inline]
    pub(crate) fn mixed(&self) -> u64 {
        let [a, b, c, d] = self.addresses;
        let ports = u64::from(self.source_port) << 16 | u64::from(self.destination_port);
        (a ^ b).rotate_left(32) ^ (c ^ d) ^ ports.rotate_left(20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_say_the_same_as_their_path() {
        for (source, destination) in [
            ("192.0.2.1:5060", "198.51.100.7:40000"),
            ("[2001:db8::1]:1", "[2001:db8:1:2:3:4:5:6]:65535"),
            ("[::ffff:192.0.2.1]:5060", "[::]:40000"),
        ] {
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            let path = Path { source, destination, transport: Transport::Udp };
            let ends = Ends::of(&path).unwrap();
            assert_eq!(ends.path(), path);
            assert_ne!(Ends::of(&path.reversed()), Some(ends));
            assert_eq!(Ends::of(&Path { transport: Transport::Sctp, ..path }), None);
        }
    }

    #[test]
    fn an_address_within_another_one_is_not_that_one() {
        let ends = |source: &str| {
            let (source, destination) = (source.parse().unwrap(), source.parse().unwrap());
            Ends::of(&Path { source, destination, transport: Transport::Udp })
        };
        assert_ne!(ends("0.0.0.1:9"), ends("[0:0:0:1::]:9"));
    }
}
