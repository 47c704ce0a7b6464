//! IPv4 and IPv6 headers.
//!
//! Knows both headers, options and extension headers. Is given what a link layer or a tunnel carried; gives addresses,
//! protocol and payload, and whether the payload is a fragment. Deliberately does not put fragments together.

use std::net::IpAddr;

use etherparse::IpAuthHeaderSlice;
use etherparse::Ipv4HeaderSlice;
use etherparse::Ipv6FragmentHeaderSlice;
use etherparse::Ipv6HeaderSlice;
use etherparse::Ipv6RawExtHeaderSlice;

use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;

/// Protocol numbers of <https://www.iana.org/assignments/protocol-numbers>.
pub(super) mod protocol {
    /// IPv6 hop-by-hop options (RFC 8200 §4.3).
    pub(in crate::net) const HOP_BY_HOP: u8 = 0;
    /// ICMP (RFC 792).
    pub(in crate::net) const ICMP: u8 = 1;
    /// IPv4 in IP (RFC 2003).
    pub(in crate::net) const IPV4: u8 = 4;
    /// TCP (RFC 9293).
    pub(in crate::net) const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub(in crate::net) const UDP: u8 = 17;
    /// IPv6 in IP (RFC 4213).
    pub(in crate::net) const IPV6: u8 = 41;
    /// IPv6 routing header (RFC 8200 §4.4).
    pub(in crate::net) const ROUTING: u8 = 43;
    /// IPv6 fragment header (RFC 8200 §4.5).
    pub(in crate::net) const FRAGMENT: u8 = 44;
    /// GRE (RFC 2784).
    pub(in crate::net) const GRE: u8 = 47;
    /// ESP (RFC 4303).
    pub(in crate::net) const ESP: u8 = 50;
    /// AH (RFC 4302).
    pub(in crate::net) const AUTHENTICATION: u8 = 51;
    /// ICMPv6 (RFC 4443).
    pub(in crate::net) const ICMPV6: u8 = 58;
    /// IPv6 destination options (RFC 8200 §4.6).
    pub(in crate::net) const DESTINATION: u8 = 60;
    /// Ethernet in IP (RFC 3378).
    pub(in crate::net) const ETHERIP: u8 = 97;
    /// L2TP version 3 without UDP (RFC 3931 §4.1.1).
    pub(in crate::net) const L2TP: u8 = 115;
    /// SCTP (RFC 9260).
    pub(in crate::net) const SCTP: u8 = 132;
    /// IPv6 mobility header (RFC 6275).
    pub(in crate::net) const MOBILITY: u8 = 135;
    /// UDP-Lite (RFC 3828).
    pub(in crate::net) const UDP_LITE: u8 = 136;
    /// MPLS in IP (RFC 4023).
    pub(in crate::net) const MPLS: u8 = 137;
    /// Host Identity Protocol (RFC 7401) and Shim6 (RFC 5533), headers of IPv6 by their form (RFC 7045 §4).
    pub(in crate::net) const HIP: u8 = 139;
    /// See above.
    pub(in crate::net) const SHIM6: u8 = 140;
    /// Ethernet in IP (RFC 8986 §4.9).
    pub(in crate::net) const ETHERNET: u8 = 143;
}

/// One IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IpPacket<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// What the payload is, behind all extension headers.
    pub protocol: u8,
    /// The payload; a part of it if `fragment` is there.
    pub payload: Rest<'a>,
    /// IPv4 identification, if it is not 0.
    pub id: Option<u16>,
    /// TTL or Hop Limit.
    pub hop_limit: u8,
    /// Which part, if it is one.
    pub fragment: Option<Fragment>,
    /// Whether its lengths agree with those of the layer below.
    pub lengths: Lengths,
}

/// Whether a header's length can be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    /// They agree, or are not set, as segmentation offload leaves them.
    Agree,
    /// The header claims more than there was on the wire, or less than itself.
    Broken,
}

/// Which part of a datagram this is (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The number that all parts of the datagram have.
    pub id: u32,
    /// Bytes of the datagram before this part.
    pub offset: u16,
    /// Whether it is the last part.
    pub more: More,
}

/// Whether parts follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// Others follow.
    Follow,
    /// This is the last one.
    Last,
}

/// Reads the header at the start of `rest`; `None` if it cannot be one.
pub(super) fn read(rest: Rest<'_>) -> Option<IpPacket<'_>> {
    match u8_at(rest.bytes, 0)? >> 4 {
        4 => read_ipv4(rest),
        6 => read_ipv6(rest),
        _ => None,
    }
}

/// Steps over extension headers, up to a payload or a fragment header. What ends within one is given as it is.
pub(super) fn skip_extensions(mut protocol: u8, mut rest: Rest<'_>) -> (u8, Rest<'_>, Option<Fragment>) {
    loop {
        let (next, length) = match protocol {
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6 => {
                let Ok(header) = Ipv6RawExtHeaderSlice::from_slice(rest.bytes) else { break };
                (header.next_header(), header.slice().len())
            }
            protocol::AUTHENTICATION => {
                let Ok(header) = IpAuthHeaderSlice::from_slice(rest.bytes) else { break };
                (header.next_header(), header.slice().len())
            }
            protocol::FRAGMENT => {
                let Ok(header) = Ipv6FragmentHeaderSlice::from_slice(rest.bytes) else { break };
                let Some(behind) = rest.skip(header.slice().len()) else { break };
                let part = Fragment {
                    id: header.identification(),
                    offset: header.fragment_offset().byte_offset(),
                    more: if header.more_fragments() { More::Follow } else { More::Last },
                };
                if header.is_fragmenting_payload() {
                    return (header.next_header().0, behind, Some(part));
                }
                (header.next_header(), header.slice().len())
            }
            _ => break,
        };
        let Some(behind) = rest.skip(length) else { break };
        protocol = next.0;
        rest = behind;
    }
    (protocol, rest, None)
}

fn read_ipv4(rest: Rest<'_>) -> Option<IpPacket<'_>> {
    let header = Ipv4HeaderSlice::from_slice(rest.bytes).ok()?;
    let header_length = header.slice().len();
    let said = usize::from(header.total_len());
    let (within, lengths) = match said {
        0 => (rest, Lengths::Agree),
        _ if said < header_length => (rest, Lengths::Broken),
        _ if said > rest.on_wire() => (rest.limit(said), Lengths::Broken),
        _ => (rest.limit(said), Lengths::Agree),
    };
    let payload = within.skip(header_length)?;
    let fragment = header.is_fragmenting_payload().then(|| Fragment {
        id: u32::from(header.identification()),
        offset: header.fragments_offset().byte_offset(),
        more: if header.more_fragments() { More::Follow } else { More::Last },
    });
    let (protocol, payload) = match (fragment, header.protocol().0) {
        (None, protocol::AUTHENTICATION) => {
            let (protocol, payload, _) = skip_extensions(protocol::AUTHENTICATION, payload);
            (protocol, payload)
        }
        (_, protocol) => (protocol, payload),
    };
    Some(IpPacket {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol,
        payload,
        id: Some(header.identification()).filter(|id| *id != 0),
        hop_limit: header.ttl(),
        fragment,
        lengths,
    })
}

fn read_ipv6(rest: Rest<'_>) -> Option<IpPacket<'_>> {
    let header = Ipv6HeaderSlice::from_slice(rest.bytes).ok()?;
    let behind = rest.skip(header.slice().len())?;
    let said = usize::from(header.payload_length());
    let (payload, lengths) = match said {
        // A jumbogram, or a packet that the network card was to cut.
        0 => (behind, Lengths::Agree),
        _ if said > behind.on_wire() => (behind.limit(said), Lengths::Broken),
        _ => (behind.limit(said), Lengths::Agree),
    };
    let (protocol, payload, fragment) = skip_extensions(header.next_header().0, payload);
    Some(IpPacket {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol,
        payload,
        id: None,
        hop_limit: header.hop_limit(),
        fragment,
        lengths,
    })
}
