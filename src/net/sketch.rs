//! To which datagram a fragment belongs, and a segment to which connection, told from one packet alone.
//!
//! Is given a packet; gives a key that all fragments of one datagram share, or both ends of a connection. Deliberately
//! keeps nothing.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::capture::Packet;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::bytes::u16_at;
use crate::net::ip;
use crate::net::ip::IpPacket;
use crate::net::link;
use crate::net::link::Layer;
use crate::net::link::Start;

/// Layers that are looked through at most.
const LAYERS: u8 = 16;

/// What the fragments of one datagram share (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentOf {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
}

/// The datagram of which a packet is a fragment, at whatever depth of tunnels without state.
pub fn fragment_of(packet: &Packet<'_>) -> Option<FragmentOf> {
    let packet = innermost(packet)?;
    let fragment = packet.fragment?;
    Some(FragmentOf { source: packet.source, destination: packet.destination, id: fragment.id })
}

/// Both ends of the TCP connection of which a packet is, the lower one first.
pub fn connection_of(packet: &Packet<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let packet = innermost(packet)?;
    if packet.fragment.is_some() || packet.protocol != ip::protocol::TCP {
        return None;
    }
    let source = SocketAddr::new(packet.source, u16_at(packet.payload.bytes, 0)?);
    let destination = SocketAddr::new(packet.destination, u16_at(packet.payload.bytes, 2)?);
    Some((source.min(destination), source.max(destination)))
}

/// The IP packet inside of all tunnels that need no state.
fn innermost<'a>(packet: &Packet<'a>) -> Option<IpPacket<'a>> {
    let missing = packet.original_len.saturating_sub(to_u32(packet.bytes.len()));
    let rest = Rest { bytes: packet.bytes, missing };
    let Start::Layer(mut layer, mut rest) = link::start(packet.link, rest) else { return None };
    for _ in 0..LAYERS {
        (layer, rest) = match layer {
            Layer::Ip => {
                let packet = ip::read(rest)?;
                match packet.protocol {
                    _ if packet.fragment.is_some() => return Some(packet),
                    ip::protocol::IPV4 | ip::protocol::IPV6 => (Layer::Ip, packet.payload),
                    ip::protocol::GRE => (Layer::Gre, packet.payload),
                    _ => return Some(packet),
                }
            }
            other => link::step(other, rest)?,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{LinkType, SourceId, Timestamp};
    use crate::net::frames;

    fn of(frame: &[u8]) -> Option<FragmentOf> {
        let len = u32::try_from(frame.len()).unwrap();
        let (time, source, link) = (Timestamp(0), SourceId(0), LinkType(1));
        fragment_of(&Packet { time, source, number: 1, link, bytes: frame, original_len: len })
    }

    #[test]
    fn only_fragments_have_a_key_and_those_of_one_datagram_the_same() {
        let whole = frames::ethernet(&frames::udp_v4(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"));
        assert_eq!(of(&whole), None);
        let (mut first, mut last) = (whole.clone(), whole);
        first[20] = 0x20;
        last[21] = 8;
        assert!(of(&first).is_some());
        assert_eq!(of(&first), of(&last));
    }
}
