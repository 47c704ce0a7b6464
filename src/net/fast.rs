//! The short way for what most frames are: Ethernet, at most two VLAN tags, IP without options, whole UDP.
//!
//! Knows just enough of these headers. Is given a frame; gives its datagram, or nothing if anything about it is
//! unusual. Deliberately decides nothing: what it leaves goes the long way, with the same result.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::capture::Packet;
use crate::net::Datagram;
use crate::net::Mirror;
use crate::net::Path;
use crate::net::Transport;
use crate::net::hep;
use crate::net::ip::protocol;
use crate::net::link::ether_type;
use crate::net::place_of;
use crate::net::tunnel_udp;

/// The datagram of a plain frame.
#[inline(always)]
pub(super) fn datagram<'a>(packet: &Packet<'a>) -> Option<Datagram<'a>> {
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
        ether_type::IPV4 => ipv4(packet, rest),
        ether_type::IPV6 => ipv6(packet, rest),
        _ => None,
    }
}

#[inline]
fn ipv4<'a>(packet: &Packet<'a>, bytes: &'a [u8]) -> Option<Datagram<'a>> {
    let (header, _) = bytes.split_first_chunk::<20>()?;
    let [first, _, l0, l1, i0, i1, f0, f1, hop_limit, number, _, _, a, b, c, d, e, f, g, h] = *header;
    let fragment = u16::from_be_bytes([f0, f1]) & 0x3FFF;
    if first != 0x45 || fragment != 0 || number != protocol::UDP {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let datagram = bytes.get(20..length)?;
    let id = u16::from_be_bytes([i0, i1]);
    let ip_id = if id == 0 { None } else { Some(id) };
    udp(packet, datagram, IpAddr::from([a, b, c, d]), IpAddr::from([e, f, g, h]), (ip_id, hop_limit))
}

#[inline]
fn ipv6<'a>(packet: &Packet<'a>, bytes: &'a [u8]) -> Option<Datagram<'a>> {
    let (header, behind) = bytes.split_first_chunk::<40>()?;
    let [first, _, _, _, l0, l1, number, hop_limit, ..] = *header;
    if first >> 4 != 6 || number != protocol::UDP {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, addresses) = addresses.split_first_chunk::<16>()?;
    let destination = addresses.first_chunk::<16>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    udp(packet, behind.get(..length)?, IpAddr::from(*source), IpAddr::from(*destination), (None, hop_limit))
}

/// Always inlined, so that a datagram is made where it is handed on.
#[inline(always)]
fn udp<'a>(
    packet: &Packet<'a>,
    bytes: &'a [u8],
    source: IpAddr,
    destination: IpAddr,
    (ip_id, hop_limit): (Option<u16>, u8),
) -> Option<Datagram<'a>> {
    let (header, _) = bytes.split_first_chunk::<8>()?;
    let [s0, s1, d0, d1, l0, l1, c0, c1] = *header;
    let payload = bytes.get(8..usize::from(u16::from_be_bytes([l0, l1])))?;
    let (source_port, destination_port) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    if tunnel_udp::may_be_tunnel(source_port, destination_port) || hep::may_begin(payload) {
        return None;
    }
    let path = Path {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
        transport: Transport::Udp,
    };
    let (mirrored, checksum) = (Mirror::Wire, Some(u16::from_be_bytes([c0, c1])));
    Some(Datagram { place: place_of(packet), path, bytes: payload, cut: 0, ip_id, hop_limit, mirrored, checksum })
}
