//! ICMP and ICMPv6 errors.
//!
//! Knows which messages are errors and where they quote the packet at fault. Is given an ICMP message; gives the error
//! with the quoted packet's path. Deliberately never hands the quoted payload on as a message of its own.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::capture::Place;
use crate::net::IcmpError;
use crate::net::Path;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::ip;
use crate::net::ip::IpPacket;
use crate::net::ip::protocol;

/// The type and code of an ICMP error (RFC 792, RFC 1812 §5.2.7, RFC 4443 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IcmpCode {
    /// True for ICMPv6.
    pub version6: bool,
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
}

/// Why a packet did not arrive, as an ICMP error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// The host is there, and nothing listens on that port.
    PortUnreachable,
    /// The host is there, and does not take that transport protocol.
    ProtocolUnreachable,
    /// A filter rejects it.
    Prohibited,
    /// The one who reports has no route to that network.
    NoRoute,
    /// The one who reports has a route that rejects it.
    RejectRoute,
    /// The last router does not reach the host.
    HostUnreachable,
    /// It does not fit through the next link and must not be cut into fragments.
    TooBig,
    /// It went over too many hops, or its fragments were not all there in time.
    TimeExceeded,
    /// For another reason.
    Other,
}

impl IcmpCode {
    /// What it means for the packet that is quoted.
    pub fn meaning(self) -> Undelivered {
        match (self.version6, self.kind, self.code) {
            (false, 3, 3) | (true, 1, 4) => Undelivered::PortUnreachable,
            (false, 3, 2) => Undelivered::ProtocolUnreachable,
            (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5) => Undelivered::Prohibited,
            (false, 3, 0 | 6) | (true, 1, 0) => Undelivered::NoRoute,
            (true, 1, 6) => Undelivered::RejectRoute,
            (false, 3, 1 | 7) | (true, 1, 3) => Undelivered::HostUnreachable,
            (false, 3, 4) | (true, 2, _) => Undelivered::TooBig,
            (false, 11, _) | (true, 3, _) => Undelivered::TimeExceeded,
            _ => Undelivered::Other,
        }
    }

    /// What the RFCs call it; `None` for rare ones.
    pub fn name(self) -> Option<&'static str> {
        Some(match (self.version6, self.kind, self.code) {
            (false, 3, 0) => "network unreachable",
            (false, 3, 1) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 4) => "fragmentation needed",
            (false, 3, 6) => "network unknown",
            (false, 3, 7) => "host unknown",
            (false, 3, 9 | 10 | 13) | (true, 1, 1) => "administratively prohibited",
            (false, 11, _) | (true, 3, _) => "time exceeded",
            (true, 1, 0) => "no route",
            (true, 1, 3) => "address unreachable",
            (true, 1, 5) => "source address failed policy",
            (true, 1, 6) => "reject route",
            (true, 2, _) => "packet too big",
            _ => return None,
        })
    }

    /// The protocol, as display filters name it.
    pub fn protocol(self) -> &'static str {
        if self.version6 { "icmpv6" } else { "icmp" }
    }
}

/// Reads an ICMP message; `None` if it is no error. Redirects are none: the packet went on its way.
pub(super) fn read_v4<'a>(place: Place, outer: &IpPacket<'_>, rest: Rest<'a>) -> Option<IcmpError<'a>> {
    const UNREACHABLE: u8 = 3;
    const FRAGMENTATION_NEEDED: u8 = 4;
    let [kind, code, ..] = *rest.bytes.first_chunk::<4>()?;
    if !matches!(kind, UNREACHABLE | 4 | 11 | 12) {
        return None;
    }
    let mtu = match (kind, code) {
        (UNREACHABLE, FRAGMENTATION_NEEDED) => u32::from(u16_at(rest.bytes, 6).unwrap_or(0)),
        _ => 0,
    };
    // RFC 4884 §4.1: how long the quotation is, in words of four bytes, if something stands behind it.
    let words = usize::from(u8_at(rest.bytes, 5).unwrap_or(0));
    let quotation = quotation(rest, words.saturating_mul(4));
    let what = IcmpCode { version6: false, kind, code };
    Some(quoting(place, outer, what, mtu, quotation))
}

/// Reads an ICMPv6 message; `None` if it is no error.
pub(super) fn read_v6<'a>(place: Place, outer: &IpPacket<'_>, rest: Rest<'a>) -> Option<IcmpError<'a>> {
    const TOO_BIG: u8 = 2;
    let [kind, code, ..] = *rest.bytes.first_chunk::<4>()?;
    if !matches!(kind, 1..=4) {
        return None;
    }
    let mtu = if kind == TOO_BIG { u32_at(rest.bytes, 4).unwrap_or(0) } else { 0 };
    // RFC 4884 §4.2: in words of eight bytes, in what is otherwise unused.
    let words = if matches!(kind, 1 | 3) { usize::from(u8_at(rest.bytes, 4).unwrap_or(0)) } else { 0 };
    let quotation = quotation(rest, words.saturating_mul(8));
    let what = IcmpCode { version6: true, kind, code };
    Some(quoting(place, outer, what, mtu, quotation))
}

fn quotation(rest: Rest<'_>, said: usize) -> Rest<'_> {
    let behind = rest.skip(8).unwrap_or(Rest::whole(&[]));
    if said == 0 { behind } else { behind.limit(said) }
}

/// The error with what it quotes.
fn quoting<'a>(place: Place, outer: &IpPacket<'_>, what: IcmpCode, mtu: u32, quotation: Rest<'a>) -> IcmpError<'a> {
    let (quoted, quoted_bytes) = match quoted(quotation) {
        Some((path, bytes)) => (Some(path), bytes),
        None => (None, &[][..]),
    };
    IcmpError { place, reporter: outer.source, told: outer.destination, what, mtu, quoted, quoted_bytes }
}

/// The path of the quoted packet and what is there of its payload.
fn quoted(quotation: Rest<'_>) -> Option<(Path, &[u8])> {
    let packet = ip::read(quotation)?;
    if packet.fragment.is_some_and(|fragment| fragment.offset != 0) {
        return None;
    }
    let bytes = packet.payload.bytes;
    let (transport, header) = match packet.protocol {
        protocol::UDP => (Transport::Udp, 8),
        protocol::TCP => (Transport::Tcp, usize::from(u8_at(bytes, 12).unwrap_or(0xF0) >> 4).saturating_mul(4)),
        _ => return None,
    };
    let path = Path {
        source: SocketAddr::new(packet.source, u16_at(bytes, 0)?),
        destination: SocketAddr::new(packet.destination, u16_at(bytes, 2)?),
        transport,
    };
    Some((path, bytes.get(header..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;

    fn error_v4(kind: u8, code: u8, second: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0][..], &second, quoted].concat()
    }

    #[test]
    fn the_quoted_packet_gives_the_path() {
        let quoted = frames::udp_v4(b"OPTIONS sip:a@b SIP/2.0");
        let icmp = error_v4(3, 3, [0; 4], &quoted[..40]);
        let outer = frames::ipv4(1, &icmp);
        let packet = ip::read(Rest::whole(&outer)).unwrap();
        let error = read_v4(Place::default(), &packet, packet.payload).unwrap();
        assert_eq!((error.what, error.mtu), (IcmpCode { version6: false, kind: 3, code: 3 }, 0));
        assert_eq!(error.reporter, packet.source);
        assert_eq!(error.quoted.unwrap().source, "192.0.2.1:5060".parse().unwrap());
        assert_eq!(error.quoted.unwrap().destination, "192.0.2.2:5062".parse().unwrap());
        assert_eq!(error.quoted_bytes, b"OPTIONS sip:");
    }

    #[test]
    fn the_mtu_of_the_next_hop() {
        let outer = frames::ipv4(1, &error_v4(3, 4, [0, 0, 5, 0x78], &frames::udp_v4(b"x")));
        let packet = ip::read(Rest::whole(&outer)).unwrap();
        assert_eq!(read_v4(Place::default(), &packet, packet.payload).unwrap().mtu, 1400);
        let six = [&[2, 0, 0, 0, 0, 0, 5, 0][..], &frames::udp_v6(b"x")].concat();
        let outer = frames::ipv6(58, &six);
        let packet = ip::read(Rest::whole(&outer)).unwrap();
        let error = read_v6(Place::default(), &packet, packet.payload).unwrap();
        assert_eq!((error.mtu, error.what.version6, error.quoted_bytes), (1280, true, &b"x"[..]));
    }

    #[test]
    fn what_stands_behind_the_quotation_is_not_quoted() {
        let mut quoted = frames::udp_v4(&[b'x'; 200]);
        quoted.truncate(128);
        let icmp = [error_v4(11, 0, [0, 32, 0, 0], &quoted), vec![0xEE; 16]].concat();
        let outer = frames::ipv4(1, &icmp);
        let packet = ip::read(Rest::whole(&outer)).unwrap();
        assert_eq!(read_v4(Place::default(), &packet, packet.payload).unwrap().quoted_bytes, [b'x'; 100]);
    }

    #[test]
    fn an_echo_is_no_error_and_a_short_quotation_no_path() {
        let outer = frames::ipv4(1, &error_v4(8, 0, [0; 4], &frames::udp_v4(b"x")));
        let packet = ip::read(Rest::whole(&outer)).unwrap();
        assert!(read_v4(Place::default(), &packet, packet.payload).is_none());
        let outer = frames::ipv4(1, &error_v4(3, 1, [0; 4], &frames::udp_v4(b"x")[..20]));
        let packet = ip::read(Rest::whole(&outer)).unwrap();
        assert_eq!(read_v4(Place::default(), &packet, packet.payload).unwrap().quoted, None);
    }
}
