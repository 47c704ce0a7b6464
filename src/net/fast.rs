//! The short way for what most frames are: Ethernet, at most two VLAN tags, IP without options, whole UDP.
//!
//! Knows just enough of these headers. Is given a frame; gives what it carries, or nothing if anything about it is
//! unusual. Deliberately decides nothing: what it leaves goes the long way, with the same result.

use crate::capture::Packet;
use crate::net::Datagram;
use crate::net::Ends;
use crate::net::Mirror;
use crate::net::Rtp;
use crate::net::hep;
use crate::net::ip::protocol;
use crate::net::link::ether_type;
use crate::net::place_of;
use crate::net::rtp;
use crate::net::tunnel_udp;

/// What a plain frame carries.
pub(crate) struct Plain<'a> {
    /// Between whom it goes.
    pub(crate) ends: Ends,
    bytes: &'a [u8],
    ip_id: Option<u16>,
    hop_limit: u8,
    checksum: u16,
}

impl<'a> Plain<'a> {
    /// What a frame carries that is plain.
    #[inline(always)]
    pub(crate) fn of(packet: &Packet<'a>) -> Option<Plain<'a>> {
        if packet.link.0 != 1 {
            return None;
        }
        let (addresses, behind) = packet.bytes.split_first_chunk::<14>()?;
        let [.., high, low] = *addresses;
        let mut number = u16::from_be_bytes([high, low]);
        let mut rest = behind;
        for _ in 0..2 {
            if number != 0x8100 && number != 0x88A8 {
                break;
            }
            let ([_, _, high, low], behind) = rest.split_first_chunk::<4>()?;
            number = u16::from_be_bytes([*high, *low]);
            rest = behind;
        }
        match number {
            ether_type::IPV4 => ipv4(rest),
            ether_type::IPV6 => ipv6(rest),
            _ => None,
        }
    }

    /// Its datagram.
    #[inline(always)]
    pub(super) fn datagram(self, packet: &Packet<'a>) -> Datagram<'a> {
        let Plain { ends, bytes, ip_id, hop_limit, checksum } = self;
        let (place, path) = (place_of(packet), ends.path());
        Datagram { place, path, bytes, cut: 0, ip_id, hop_limit, mirrored: Mirror::Wire, checksum: Some(checksum) }
    }

    /// What its header says if it is RTP.
    #[inline]
    pub(crate) fn rtp(&self) -> Option<Rtp> {
        rtp::read_rtp(self.bytes)
    }
}

/// Looks at whole words: a byte of a header at a time would take twice as long as all the rest of it.
#[inline(always)]
fn ipv4(bytes: &[u8]) -> Option<Plain<'_>> {
    let words = bytes.first_chunk::<20>()?.as_chunks::<4>().0;
    let [first, second, third, source, destination] = words else { return None };
    let [first, second, third] = [first, second, third].map(|word| u32::from_be_bytes(*word));
    let (version_and_length, length) = (first >> 24, first & 0xFFFF);
    let (id, fragment) = ((second >> 16) as u16, second & 0x3FFF);
    let (hop_limit, number) = ((third >> 24) as u8, (third >> 16) as u8);
    if version_and_length != 0x45 || fragment != 0 || number != protocol::UDP {
        return None;
    }
    let datagram = bytes.get(20..length as usize)?;
    let ip_id = if id == 0 { None } else { Some(id) };
    udp(datagram, Addresses::V4(*source, *destination), (ip_id, hop_limit))
}

#[inline(never)]
fn ipv6(bytes: &[u8]) -> Option<Plain<'_>> {
    let (header, behind) = bytes.split_first_chunk::<40>()?;
    let [first, _, _, _, l0, l1, number, hop_limit, ..] = *header;
    if first >> 4 != 6 || number != protocol::UDP {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    udp(behind.get(..length)?, Addresses::V6(*source, *destination.first_chunk::<16>()?), (None, hop_limit))
}

/// Source and destination address, as they stand in a header.
enum Addresses {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

/// Always inlined, so that what it gives is made where it is looked at.
#[inline(always)]
fn udp(bytes: &[u8], addresses: Addresses, (ip_id, hop_limit): (Option<u16>, u8)) -> Option<Plain<'_>> {
    let [ports, behind] = bytes.first_chunk::<8>()?.as_chunks::<4>().0 else { return None };
    let [ports, behind] = [ports, behind].map(|word| u32::from_be_bytes(*word));
    let (ports, checksum) = (((ports >> 16) as u16, ports as u16), behind as u16);
    let bytes = bytes.get(8..(behind >> 16) as usize)?;
    if tunnel_udp::may_be_tunnel(ports.0, ports.1) || hep::may_begin(bytes) {
        return None;
    }
    let ends = match addresses {
        Addresses::V4(source, destination) => Ends::v4(source, destination, ports),
        Addresses::V6(source, destination) => {
            Ends::v6(u128::from_be_bytes(source), u128::from_be_bytes(destination), ports)
        }
    };
    Some(Plain { ends, bytes, ip_id, hop_limit, checksum })
}
