//! Link layers, and the tags and headers that stand between them and IP.
//!
//! Knows the link types of <https://www.tcpdump.org/linktypes.html> that carry IP, and EtherTypes. Is given the bytes
//! of a frame; says what comes next in it. Deliberately does not read IP.

use crate::capture::LinkType;
use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::older_link;
use crate::net::tunnel;
use crate::net::wireless;

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// An Ethernet frame, from the destination address on.
    Ethernet,
    /// What an EtherType announces.
    EtherType(u16),
    /// An IPv4 or IPv6 header.
    Ip,
    /// PPP, with or without address and control (RFC 1661, RFC 1662 §3.1).
    Ppp,
    /// PPPoE (RFC 2516).
    Pppoe,
    /// MPLS labels (RFC 3032).
    Mpls,
    /// GRE (RFC 2784, RFC 2890, RFC 2637 §4.1).
    Gre,
    /// IEEE 802.2 LLC, with SNAP behind it if it leads to IP.
    Llc,
    /// NSH (RFC 8300).
    Nsh,
    /// A frame of IEEE 802.11, from its frame control on.
    Wireless,
    /// An aggregate of such: one frame behind the other, each with its length.
    Aggregate,
}

/// How bytes of a link type begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start<'a> {
    /// With this layer.
    Layer(Layer, Rest<'a>),
    /// With something that carries no IP, or that is cut off.
    Nothing,
    /// We do not know this link type.
    Unsupported,
}

/// EtherTypes (<https://www.iana.org/assignments/ieee-802-numbers>).
pub(super) mod ether_type {
    /// IPv4.
    pub(in crate::net) const IPV4: u16 = 0x0800;
    /// IPv6.
    pub(in crate::net) const IPV6: u16 = 0x86DD;
    /// MPLS labels (RFC 3032).
    pub(in crate::net) const MPLS: u16 = 0x8847;
    /// Ethernet inside of a tunnel (RFC 1701).
    pub(in crate::net) const BRIDGED: u16 = 0x6558;
    /// PPP inside of GRE (RFC 2637).
    pub(in crate::net) const PPP: u16 = 0x880B;
    /// Ethernet inside of GRE, as MikroTik's routers tunnel it.
    pub(in crate::net) const ETHERNET_OVER_IP: u16 = 0x6400;
    /// A mirrored frame, ERSPAN types I and II.
    pub(in crate::net) const ERSPAN: u16 = 0x88BE;
    /// A mirrored frame, ERSPAN type III.
    pub(in crate::net) const ERSPAN_3: u16 = 0x22EB;
}

/// The first layer of a frame.
pub(super) fn start(link: LinkType, rest: Rest<'_>) -> Start<'_> {
    let next = match link.0 {
        1 => Some((Layer::Ethernet, rest)),
        0 | 108 => null(rest),
        9 | 50 => Some((Layer::Ppp, rest)),
        51 => Some((Layer::Pppoe, rest)),
        12 | 14 | 101 | 228 | 229 => Some((Layer::Ip, rest)),
        // Solaris' taps between zones: 24 bytes, of which nothing is needed.
        226 => rest.skip(24).map(|rest| (Layer::Ip, rest)),
        104 => ether_typed(rest, 2),
        105 => wireless::frame(rest),
        113 => cooked(rest),
        117 => packet_filter_log(rest),
        119 | 163 => wireless::older_radio(rest),
        127 => wireless::radiotap(rest),
        // A direction in place of the address, or before the frame.
        166 => rest.skip(2).map(|rest| (Layer::Ppp, rest)),
        204 => rest.skip(1).map(|rest| (Layer::Ppp, rest)),
        205 => ether_typed(rest, 3),
        206 => rest.skip(1).and_then(older_link::frame_relay),
        219 => Some((Layer::Mpls, rest)),
        239 => netfilter_log(rest),
        // Four bytes of an analyser before the frame, or of a switch's chip; the preamble of a frame; or both.
        240 | 282 => rest.skip(4).map(|rest| (Layer::Ethernet, rest)),
        259 | 274 => rest.skip(8).map(|rest| (Layer::Ethernet, rest)),
        241 => rest.skip(12).map(|rest| (Layer::Ethernet, rest)),
        // What a switch's chip tells its processor, between the addresses and the EtherType.
        281 | 284 => numbered(rest, 16),
        285 => numbered(rest, 20),
        143 => older_link::docsis(rest),
        6 => older_link::token_ring(rest),
        10 => older_link::fddi(rest),
        100 => Some((Layer::Llc, rest)),
        107 => older_link::frame_relay(rest),
        109 => rest.skip(12).and_then(guessed_ip),
        122 => rest.skip(16).map(|rest| (Layer::Llc, rest)),
        123 => rest.skip(4).map(|rest| (Layer::Llc, rest)),
        19 | 106 => older_link::classical_ip(rest),
        138 => ether_typed(rest, 16),
        167 | 178..=181 => older_link::juniper(link, rest),
        197 => older_link::endace(rest),
        // The addresses of InfiniBand, then an EtherType and two bytes that are reserved (RFC 4391 §6).
        242 => ether_typed(rest, 40).and_then(|(layer, rest)| Some((layer, rest.skip(2)?))),
        192 => return per_packet(rest),
        258 => return packet_tap(rest),
        276 => cooked_2(rest),
        _ => return Start::Unsupported,
    };
    next.map_or(Start::Nothing, |(layer, rest)| Start::Layer(layer, rest))
}

/// What follows a layer other than IP; `None` where nothing follows that could carry SIP.
pub(super) fn step(layer: Layer, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match layer {
        Layer::Ethernet => ethernet(rest),
        Layer::EtherType(number) => ether_type(number, rest),
        Layer::Ip => Some((Layer::Ip, rest)),
        Layer::Ppp => tunnel::ppp(rest),
        Layer::Pppoe => tunnel::pppoe(rest),
        Layer::Mpls => tunnel::mpls(rest),
        Layer::Gre => tunnel::gre(rest),
        Layer::Llc => llc(rest),
        Layer::Nsh => tunnel::nsh(rest),
        Layer::Wireless => wireless::frame(rest),
        // Only the decoder goes into each of several frames.
        Layer::Aggregate => None,
    }
}

fn ethernet(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match rest.bytes.first_chunk::<5>()? {
        // Cisco's ISL: a header of 26 bytes, of which these are the destination, then the frame itself.
        [0x01 | 0x03, 0, 0x0C, 0, 0] => Some((Layer::Ethernet, rest.skip(26)?)),
        _ => numbered(rest, 12),
    }
}

/// Logical link control; SNAP names an EtherType (RFC 1042), or a frame that was bridged (RFC 2684 §5.2).
fn llc(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match rest.bytes.first_chunk::<6>()? {
        [0xAA, 0xAA, 0x03, 0x00, 0x80, 0xC2] => older_link::bridged(u16_at(rest.bytes, 6)?, rest.skip(10)?),
        [0xAA, 0xAA, 0x03, _, _, _] => ether_typed(rest, 6),
        [0x06, 0x06, 0x03, ..] => Some((Layer::Ip, rest.skip(3)?)),
        [0xFE, 0xFE, 0x03, ..] => older_link::network_layer(rest.skip(3)?),
        _ => None,
    }
}

fn ether_type(number: u16, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match number {
        ether_type::IPV4 | ether_type::IPV6 => Some((Layer::Ip, rest)),
        // Any number of tags.
        number if is_tag(number) => numbered(rest, 2),
        // IEEE 802.1ah: a service tag, then the customer's frame.
        0x88E7 => Some((Layer::Ethernet, rest.skip(4)?)),
        // VN-tag and Cisco metadata stand before another EtherType.
        0x8926 => ether_typed(rest, 4),
        0x8909 => ether_typed(rest, 6),
        // The tag of an extended bridge port (IEEE 802.1BR), and that of a redundant ring (IEC 62439-3).
        0x893F => ether_typed(rest, 6),
        0x892F => ether_typed(rest, 4),
        // Ethernet over routed bridges: TRILL with its options (RFC 6325 §3), and what Cisco calls FabricPath.
        0x22F3 => {
            let options = usize::from(u16_at(rest.bytes, 0)? >> 6 & 0x1F).checked_mul(4)?;
            Some((Layer::Ethernet, rest.skip(6)?.skip(options)?))
        }
        0x8903 => Some((Layer::Ethernet, rest.skip(2)?)),
        // Frame Relay in GRE, and what a router hands to a cache (WCCP), with or without four bytes before it.
        0x6559 => older_link::frame_relay(rest),
        0x883E => guessed_ip(rest).or_else(|| guessed_ip(rest.skip(4)?)),
        0x894F => Some((Layer::Nsh, rest)),
        0x88E5 => secured(rest),
        ether_type::MPLS | 0x8848 => Some((Layer::Mpls, rest)),
        0x8864 => Some((Layer::Pppoe, rest)),
        ether_type::PPP => Some((Layer::Ppp, rest)),
        ether_type::BRIDGED => Some((Layer::Ethernet, rest)),
        _ => None,
    }
}

/// IEEE 802.1Q and 802.1ad, and the numbers that were in use before these.
fn is_tag(number: u16) -> bool {
    matches!(number, 0x8100 | 0x88A8 | 0x9100 | 0x9200 | 0x9300)
}

/// The virtual networks that what is behind this layer is in: those before it, and the one that a tag names.
pub(super) fn network_behind(layer: Layer, rest: Rest<'_>, before: u32) -> u32 {
    const IDENTIFIER: u16 = 0x0FFF;
    match (layer, u16_at(rest.bytes, 0)) {
        (Layer::EtherType(number), Some(tag)) if is_tag(number) => {
            before.wrapping_mul(1 << 12).wrapping_add(u32::from(tag & IDENTIFIER))
        }
        _ => before,
    }
}

/// MACsec (IEEE 802.1AE) that protects and does not encrypt: six bytes, or eight more with the name of the channel.
fn secured(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const VERSION_ENCRYPTED_OR_CHANGED: u8 = 0x8C;
    const NAMES_CHANNEL: u8 = 0x20;
    let bits = u8_at(rest.bytes, 0)?;
    if bits & VERSION_ENCRYPTED_OR_CHANGED != 0 {
        return None;
    }
    ether_typed(rest, if bits & NAMES_CHANNEL != 0 { 14 } else { 6 })
}

/// An EtherType at `at`, as behind addresses or in a VLAN tag, or a length as in IEEE 802.3.
fn numbered(rest: Rest<'_>, at: usize) -> Option<(Layer, Rest<'_>)> {
    let number = u16_at(rest.bytes, at)?;
    let behind = rest.skip(at.checked_add(2)?)?;
    if number >= 0x0600 {
        return Some((Layer::EtherType(number), behind));
    }
    Some((Layer::Llc, behind.limit(usize::from(number))))
}

/// An EtherType at `at`, and what it announces behind it.
fn ether_typed(rest: Rest<'_>, at: usize) -> Option<(Layer, Rest<'_>)> {
    let number = u16_at(rest.bytes, at)?;
    Some((Layer::EtherType(number), rest.skip(at.checked_add(2)?)?))
}

/// BSD loopback: the address family in the byte order of the host (NULL) or of the network (LOOP).
fn null(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let family = u32_at(rest.bytes, 0)?;
    let behind = rest.skip(4)?;
    match family.min(family.swap_bytes()) {
        // IPv4; IPv6 on Linux, NetBSD and OpenBSD, FreeBSD, macOS, Windows.
        2 | 10 | 24 | 28 | 30 | 23 => Some((Layer::Ip, behind)),
        _ => guessed_ip(behind),
    }
}

/// Linux cooked capture: packet type, ARPHRD, address length, address, protocol.
fn cooked(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let hardware = u16_at(rest.bytes, 2)?;
    let number = u16_at(rest.bytes, 14)?;
    cooked_payload(hardware, number, rest.skip(16)?)
}

/// Linux cooked capture version 2: protocol, reserved, interface, ARPHRD, packet type, address length, address.
fn cooked_2(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let number = u16_at(rest.bytes, 0)?;
    let hardware = u16_at(rest.bytes, 8)?;
    cooked_payload(hardware, number, rest.skip(20)?)
}

fn cooked_payload(hardware: u16, number: u16, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    // `linux/if_arp.h`: netlink messages carry no EtherType, CAN and 802.15.4 seldom; 802.11 has a header of its own.
    match hardware {
        824 => return None,
        280 | 802 | 804 | 805 if number < 0x0600 => return None,
        801 => return wireless::frame(rest),
        803 => return wireless::radiotap(rest),
        _ => {}
    }
    match number {
        // ETH_P_802_2: an LLC header follows.
        0x0004 => Some((Layer::Llc, rest)),
        0..0x0600 => guessed_ip(rest),
        // ARPHRD_IPGRE names the protocol as GRE does.
        ether_type::ERSPAN if hardware == 778 => Some((Layer::Ethernet, rest.skip(8)?)),
        _ => Some((Layer::EtherType(number), rest)),
    }
}

/// IP, if the first half byte says 4 or 6 and the header has its least length.
pub(super) fn guessed_ip(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match u8_at(rest.bytes, 0)? {
        0x45..=0x4F if rest.bytes.len() >= 20 => Some((Layer::Ip, rest)),
        0x60..=0x6F if rest.bytes.len() >= 40 => Some((Layer::Ip, rest)),
        _ => None,
    }
}

/// OpenBSD's and FreeBSD's `pflog`: the first byte is the header's length, rounded up to four.
fn packet_filter_log(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let length = usize::from(u8_at(rest.bytes, 0)?);
    guessed_ip(rest.skip(length.checked_next_multiple_of(4)?)?)
}

/// Linux `nflog`: a header of four bytes, then attributes in the host's byte order; number 9 is the packet.
fn netfilter_log(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const PAYLOAD: u16 = 9;
    let mut attributes = rest.skip(4)?;
    loop {
        let said = u16_at(attributes.bytes, 0)?;
        let kind = u16_at(attributes.bytes, 2)?;
        let (length, kind) =
            if kind.swap_bytes() <= 255 { (said.swap_bytes(), kind.swap_bytes()) } else { (said, kind) };
        let length = usize::from(length);
        if length < 4 {
            return None;
        }
        if kind == PAYLOAD {
            return guessed_ip(attributes.skip(4)?.limit(length.checked_sub(4)?));
        }
        attributes = attributes.skip(length.checked_next_multiple_of(4)?)?;
    }
}

/// PPI: its own length, then the link type of what follows, both in little-endian order.
fn per_packet(rest: Rest<'_>) -> Start<'_> {
    let Some([_, _, low, high, l0, l1, l2, l3]) = rest.bytes.first_chunk().copied() else { return Start::Nothing };
    let (length, link) = (u16::from_le_bytes([low, high]), u32::from_le_bytes([l0, l1, l2, l3]));
    match rest.skip(usize::from(length.max(8))) {
        Some(behind) if link != 192 => start(LinkType(link), behind),
        _ => Start::Nothing,
    }
}

/// macOS `pktap`: its own length, then the link type of what follows, both in little-endian order.
fn packet_tap(rest: Rest<'_>) -> Start<'_> {
    let length = u32_at(rest.bytes, 0).map(u32::swap_bytes);
    let link = u32_at(rest.bytes, 8).map(u32::swap_bytes);
    let (Some(length), Some(link)) = (length, link) else { return Start::Nothing };
    let behind = usize::try_from(length).ok().filter(|length| *length >= 12).and_then(|length| rest.skip(length));
    match behind {
        // One level only: a tap in a tap does not exist.
        Some(behind) if link != 258 => start(LinkType(link), behind),
        _ => Start::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;

    /// Follows the layers up to IP.
    fn ip_of(link: u32, bytes: &[u8]) -> Option<Vec<u8>> {
        let Start::Layer(layer, rest) = start(LinkType(link), Rest::whole(bytes)) else { return None };
        let mut next = (layer, rest);
        while next.0 != Layer::Ip {
            next = step(next.0, next.1)?;
        }
        Some(next.1.bytes.to_vec())
    }

    fn with(head: &[u8], ip: &[u8]) -> Vec<u8> {
        [head, ip].concat()
    }

    #[test]
    fn ethernet_with_any_stack_of_tags() {
        let ip = frames::udp_v4(b"x");
        let tags: [u16; 4] = [0x88A8, 0x8100, 0x9100, 0x8100];
        for count in 0..=tags.len() {
            let mut frame = vec![2; 12];
            for tag in &tags[..count] {
                frame.extend(tag.to_be_bytes());
                frame.extend([0, 5]);
            }
            frame.extend([0x08, 0x00]);
            assert_eq!(ip_of(1, &with(&frame, &ip)), Some(ip.clone()), "{count} tags");
        }
    }

    #[test]
    fn snap_leads_to_ip() {
        let ip = frames::udp_v4(b"x");
        let mut frame = vec![2; 12];
        frame.extend(u16::try_from(ip.len() + 8).unwrap().to_be_bytes());
        frame.extend([0xAA, 0xAA, 3, 0, 0, 0, 8, 0]);
        let padded = [with(&frame, &ip), vec![0; 20]].concat();
        assert_eq!(ip_of(1, &padded), Some(ip));
    }

    #[test]
    fn null_in_either_byte_order() {
        let (four, six) = (frames::udp_v4(b"x"), frames::udp_v6(b"x"));
        for family in [24_u32, 28, 30, 10] {
            assert_eq!(ip_of(0, &with(&family.to_le_bytes(), &six)), Some(six.clone()));
            assert_eq!(ip_of(0, &with(&family.to_be_bytes(), &six)), Some(six.clone()));
        }
        assert_eq!(ip_of(0, &with(&2_u32.to_le_bytes(), &four)), Some(four.clone()));
        assert_eq!(ip_of(108, &with(&2_u32.to_be_bytes(), &four)), Some(four));
    }

    #[test]
    fn cooked_by_what_it_carries() {
        let ip = frames::udp_v4(b"x");
        for hardware in [1_u16, 512, 768, 772, 65_534] {
            let head = [&[0, 0][..], &hardware.to_be_bytes(), &[0; 10], &[8, 0]].concat();
            assert_eq!(ip_of(113, &with(&head, &ip)), Some(ip.clone()), "{hardware}");
            let head = [&[8, 0, 0, 0, 0, 0, 0, 3][..], &hardware.to_be_bytes(), &[0; 10]].concat();
            assert_eq!(ip_of(276, &with(&head, &ip)), Some(ip.clone()), "{hardware}");
        }
        let tagged = [&[0, 0, 0, 1][..], &[0; 10], &[0x81, 0, 0, 5, 8, 0]].concat();
        assert_eq!(ip_of(113, &with(&tagged, &ip)), Some(ip.clone()));
        let netlink = [&[0, 0][..], &824_u16.to_be_bytes(), &[0; 10], &[8, 0]].concat();
        assert_eq!(ip_of(113, &with(&netlink, &ip)), None);
    }

    #[test]
    fn wireless_frames_and_ppp_with_a_direction() {
        let ip = frames::udp_v4(b"x");
        let data = [&[0x88, 1][..], &[0; 24], &[0xAA, 0xAA, 3, 0, 0, 0, 8, 0], &ip].concat();
        assert_eq!(ip_of(105, &data), Some(ip.clone()));
        assert_eq!(ip_of(127, &with(&[0, 0, 8, 0, 0, 0, 0, 0], &data)), Some(ip.clone()));
        let cooked = [&[0, 0][..], &801_u16.to_be_bytes(), &[0; 10], &[0, 4], &data].concat();
        assert_eq!(ip_of(113, &cooked), Some(ip.clone()));
        assert_eq!(ip_of(204, &with(&[0, 0xFF, 3, 0, 0x21], &ip)), Some(ip.clone()));
        assert_eq!(ip_of(166, &with(&[1, 3, 0, 0x21], &ip)), Some(ip.clone()));
        assert_eq!(ip_of(205, &with(&[0, 0x0F, 0, 8, 0], &ip)), Some(ip.clone()));
        assert_eq!(ip_of(206, &with(&[0, 0x18, 0x41, 3, 0xCC], &ip)), Some(ip));
    }

    #[test]
    fn ethernet_with_something_before_it_or_in_it() {
        let ip = frames::udp_v4(b"x");
        let frame = frames::ethernet(&ip);
        let isl = [&[1, 0, 0x0C, 0, 0, 0][..], &[2; 6], &[0, 90, 0xAA, 0xAA, 3, 0, 0, 0x0C], &[0; 6]].concat();
        for (link, length) in [(240, 4), (282, 4), (259, 8), (274, 8), (241, 12)] {
            assert_eq!(ip_of(link, &with(&vec![0x55; length], &frame)), Some(ip.clone()), "{link}");
        }
        for (link, length) in [(281, 4), (284, 4), (285, 8)] {
            let tagged = [&frame[..12], &vec![0xDA; length], &frame[12..]].concat();
            assert_eq!(ip_of(link, &tagged), Some(ip.clone()), "{link}");
        }
        assert_eq!(ip_of(1, &with(&isl, &frame)), Some(ip.clone()));
        for head in
            [&[0x22, 0xF3, 0, 6, 0, 1, 0, 2][..], &[0x22, 0xF3, 0, 0x46, 0, 1, 0, 2, 9, 9, 9, 9], &[0x89, 3, 0, 5]]
        {
            assert_eq!(ip_of(1, &[&[2; 12][..], head, &frame].concat()), Some(ip.clone()), "{head:x?}");
        }
        let bridged = [0xAA, 0xAA, 3, 0, 0x80, 0xC2, 0, 7, 0, 0];
        assert_eq!(ip_of(100, &with(&bridged, &frame)), Some(ip));
    }

    #[test]
    fn links_with_addresses_of_their_own() {
        let ip = frames::udp_v4(b"x");
        assert_eq!(ip_of(138, &[&[1; 16][..], &[8, 0], &ip].concat()), Some(ip.clone()));
        assert_eq!(ip_of(242, &[&[1; 40][..], &[8, 0, 0, 0], &ip].concat()), Some(ip.clone()));
        assert_eq!(ip_of(226, &with(&[1; 24], &ip)), Some(ip.clone()));
        assert_eq!(ip_of(219, &with(&[0, 1, 1, 64], &ip)), Some(ip.clone()));
        for head in [&[][..], &[0xAA, 0xAA, 3, 0, 0, 0, 8, 0]] {
            assert_eq!(ip_of(106, &with(head, &ip)), Some(ip.clone()));
        }
        for head in [&[0xFE, 0xFE, 3, 0xCC][..], &[0xFE, 0xFE, 3, 0xCF, 0, 0x21]] {
            assert_eq!(ip_of(100, &with(head, &ip)), Some(ip.clone()));
        }
    }

    #[test]
    fn raw_logs_and_taps() {
        let ip = frames::udp_v4(b"x");
        for link in [12, 14, 101, 228] {
            assert_eq!(ip_of(link, &ip), Some(ip.clone()));
        }
        let mut pflog = vec![0; 64];
        pflog[0] = 61;
        assert_eq!(ip_of(117, &with(&pflog, &ip)), Some(ip.clone()));
        let length = u16::try_from(ip.len() + 4).unwrap().to_le_bytes();
        let nflog = [&[2, 0, 0, 0, 6, 0, 10, 0, 1, 2, 0, 0][..], &length, &[9, 0]].concat();
        assert_eq!(ip_of(239, &with(&nflog, &ip)), Some(ip.clone()));
        let pktap = [&[16, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0][..], &[0; 4]].concat();
        assert_eq!(ip_of(258, &with(&pktap, &ip)), Some(ip));
    }

    #[test]
    fn tags_that_protect_or_name_a_port_or_a_service() {
        let ip = frames::udp_v4(b"x");
        let nsh = [&[0x0F, 0xC2, 1, 1][..], &[0; 4]].concat();
        let tags: [(u16, &[u8], bool); 6] = [
            (0x88E5, &[0, 0, 0, 0, 0, 1, 8, 0], true),
            (0x88E5, &[0x20, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 0], true),
            (0x88E5, &[0x2C, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 0], false),
            (0x893F, &[0, 0, 0, 5, 0, 0, 8, 0], true),
            (0x892F, &[0, 30, 0, 7, 8, 0], true),
            (0x894F, &nsh, true),
        ];
        for (number, tag, is_read) in tags {
            let frame = [&[2; 12][..], &number.to_be_bytes(), tag, &ip].concat();
            assert_eq!(ip_of(1, &frame), is_read.then(|| ip.clone()), "{number:x}");
        }
    }

    #[test]
    fn radio_headers_and_what_names_its_link_type() {
        let ip = frames::udp_v4(b"x");
        let data = [&[8, 1][..], &[0; 22], &[0xAA, 0xAA, 3, 0, 0, 0, 8, 0], &ip].concat();
        let avs = [&0x8021_1001_u32.to_be_bytes()[..], &64_u32.to_be_bytes(), &[0; 56]].concat();
        let prism = [&0x44_u32.to_le_bytes()[..], &144_u32.to_le_bytes(), &[0; 136]].concat();
        for (link, head) in [(163, &avs), (119, &avs), (119, &prism)] {
            assert_eq!(ip_of(link, &with(head, &data)), Some(ip.clone()), "{link}");
        }
        assert_eq!(ip_of(192, &with(&[0, 0, 8, 0, 105, 0, 0, 0], &data)), Some(ip.clone()));
        assert_eq!(ip_of(192, &with(&[0, 0, 8, 0, 1, 0, 0, 0], &frames::ethernet(&ip))), Some(ip));
    }

    #[test]
    fn an_unknown_link_type_is_said_to_be_unknown() {
        assert_eq!(start(LinkType(147), Rest::whole(&[0; 60])), Start::Unsupported);
        assert_eq!(start(LinkType(113), Rest::whole(&[0; 6])), Start::Nothing);
    }
}
