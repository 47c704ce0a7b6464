//! Link layers of rings, leased lines, cables, and of what two vendors' devices write.
//!
//! Knows Token Ring, FDDI, Frame Relay, classical IP over ATM, DOCSIS, the header of Juniper's routers, and that of
//! Endace's cards. Is given a frame; says what comes next. Deliberately knows of each only the way to IP.

use crate::capture::LinkType;
use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::link::Layer;
use crate::net::link::guessed_ip;

/// IEEE 802.5: access and frame control, two addresses, perhaps a route, LLC. Frame control 01 carries LLC.
pub(super) fn token_ring(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const ROUTED: u8 = 0x80;
    if u8_at(rest.bytes, 1)? >> 6 != 1 {
        return None;
    }
    let behind = rest.skip(14)?;
    if u8_at(rest.bytes, 8)? & ROUTED == 0 {
        return Some((Layer::Llc, behind));
    }
    let route = usize::from(u8_at(behind.bytes, 0)? & 0x1F);
    Some((Layer::Llc, behind.skip(route.max(2))?))
}

/// ANSI X3.139: frame control, two addresses, LLC.
pub(super) fn fddi(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let carries_llc = u8_at(rest.bytes, 0)? & 0x30 == 0x10;
    Some((Layer::Llc, rest.skip(13)?)).filter(|_| carries_llc)
}

/// Frame Relay: an address of two to four bytes, the last of which is odd; then what RFC 2427 or Cisco puts behind it.
pub(super) fn frame_relay(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const UNNUMBERED: u8 = 0x03;
    let address = rest.bytes.iter().take(4).position(|byte| byte & 1 == 1)?.checked_add(1)?;
    let behind = rest.skip(address)?;
    if u8_at(behind.bytes, 0)? != UNNUMBERED {
        return Some((Layer::EtherType(u16_at(behind.bytes, 0)?), behind.skip(2)?));
    }
    let padding = usize::from(u8_at(behind.bytes, 1)? == 0);
    network_layer(behind.skip(padding.checked_add(1)?)?)
}

/// What a network layer's number (NLPID) names (RFC 2427 §4, RFC 2684 §5.1).
pub(super) fn network_layer(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const SNAP: u8 = 0x80;
    const IPV4: u8 = 0xCC;
    const IPV6: u8 = 0x8E;
    const PPP: u8 = 0xCF;
    match u8_at(rest.bytes, 0)? {
        IPV4 | IPV6 => Some((Layer::Ip, rest.skip(1)?)),
        PPP => Some((Layer::Ppp, rest.skip(1)?)),
        SNAP if rest.bytes.starts_with(&[SNAP, 0x00, 0x80, 0xC2]) => bridged(u16_at(rest.bytes, 4)?, rest.skip(6)?),
        SNAP => Some((Layer::EtherType(u16_at(rest.bytes, 4)?), rest.skip(6)?)),
        _ => None,
    }
}

/// A bridged frame, by the number that SNAP gives for it: Ethernet with or without its checksum.
pub(super) fn bridged(number: u16, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    matches!(number, 1 | 7).then_some((Layer::Ethernet, rest))
}

/// IP over ATM as Linux has it (RFC 2225): IP, or LLC before it.
pub(super) fn classical_ip(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    guessed_ip(rest).or(Some((Layer::Llc, rest)))
}

/// A packet of a cable modem's network: frame control, a parameter, a length, perhaps extensions as long as the
/// parameter says, a checksum; then Ethernet.
pub(super) fn docsis(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const NO_PACKET: u8 = 0xFE;
    const EXTENDED: u8 = 0x01;
    const HEADER: usize = 6;
    let [control, parameter] = *rest.bytes.first_chunk()?;
    if control & NO_PACKET != 0 {
        return None;
    }
    let extensions = if control & EXTENDED != 0 { usize::from(parameter) } else { 0 };
    Some((Layer::Ethernet, rest.skip(extensions.checked_add(HEADER)?)?))
}

/// A record of Endace's cards (ERF): sixteen bytes, of which one is its type; perhaps extensions of eight bytes, the
/// first bit of each of which says whether another one follows; then Ethernet behind two bytes, HDLC, AAL5 or IP.
pub(super) fn endace(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const MORE: u8 = 0x80;
    let kind = u8_at(rest.bytes, 8)?;
    let mut behind = rest.skip(16)?;
    let mut last = kind;
    while last & MORE != 0 {
        last = u8_at(behind.bytes, 0)?;
        behind = behind.skip(8)?;
    }
    match kind & !MORE {
        2 | 11 | 16 | 20 => Some((Layer::Ethernet, behind.skip(2)?)),
        1 | 10 | 15 | 19 => Some((Layer::Ppp, behind)),
        4 => Some((Layer::Llc, behind.skip(4)?)),
        22 | 23 => Some((Layer::Ip, behind)),
        _ => None,
    }
}

/// Juniper's header: "MGC", flags, perhaps extensions with their length; then what the link type says, or four bytes
/// and IP.
pub(super) fn juniper(link: LinkType, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const EXTENDED: u8 = 0x80;
    const WITHOUT_LINK_LAYER: u8 = 0x02;
    let [b'M', b'G', b'C', flags] = *rest.bytes.first_chunk::<4>()? else { return None };
    let mut behind = rest.skip(4)?;
    if flags & EXTENDED != 0 {
        let extensions = usize::from(u16_at(behind.bytes, 0)?);
        behind = behind.skip(extensions.checked_add(2)?)?;
    }
    if flags & WITHOUT_LINK_LAYER != 0 {
        return guessed_ip(behind.skip(4)?);
    }
    match link.0 {
        // PPP, and Cisco's HDLC, which is told from it.
        179 | 181 => Some((Layer::Ppp, behind)),
        180 => frame_relay(behind),
        _ => Some((Layer::Ethernet, behind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;

    const SNAP: [u8; 8] = [0xAA, 0xAA, 3, 0, 0, 0, 8, 0];

    fn found(what: fn(Rest<'_>) -> Option<(Layer, Rest<'_>)>, head: &[u8], inner: &[u8]) -> Option<(Layer, Vec<u8>)> {
        let bytes = [head, inner].concat();
        what(Rest::whole(&bytes)).map(|(layer, rest)| (layer, rest.bytes.to_vec()))
    }

    #[test]
    fn rings_with_and_without_a_route() {
        let wanted = Some((Layer::Llc, SNAP.to_vec()));
        assert_eq!(found(token_ring, &[&[0x10, 0x40][..], &[2; 12]].concat(), &SNAP), wanted);
        let routed = [&[0x10, 0x40, 2, 2, 2, 2, 2, 2, 0x82, 2, 2, 2, 2, 2][..], &[0xC4, 0, 1, 2]].concat();
        assert_eq!(found(token_ring, &routed, &SNAP), wanted);
        assert_eq!(found(token_ring, &[0; 14], &SNAP), None);
        assert_eq!(found(fddi, &[&[0x57][..], &[2; 12]].concat(), &SNAP), wanted);
    }

    #[test]
    fn frame_relay_of_each_form() {
        for (head, layer) in [
            (&[0x18, 0x41, 3, 0xCC][..], Layer::Ip),
            (&[0x18, 0x40, 0x40, 0x41, 3, 0x8E], Layer::Ip),
            (&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], Layer::EtherType(0x0800)),
            (&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xC2, 0, 7], Layer::Ethernet),
            (&[0x18, 0x41, 3, 0xCF], Layer::Ppp),
            (&[0x18, 0x41, 8, 0], Layer::EtherType(0x0800)),
        ] {
            assert_eq!(found(frame_relay, head, b"E..."), Some((layer, b"E...".to_vec())), "{head:x?}");
        }
        assert_eq!(found(frame_relay, &[2; 6], b""), None);
    }

    #[test]
    fn juniper_with_and_without_extensions_and_link_layer() {
        let ip = frames::udp_v4(b"x");
        let of = |link: u32, head: &[u8], inner: &[u8]| {
            let bytes = [head, inner].concat();
            juniper(LinkType(link), Rest::whole(&bytes)).map(|(layer, rest)| (layer, rest.bytes.to_vec()))
        };
        assert_eq!(of(178, b"MGC\x80\0\x03\x01\x01\x02", b"eth"), Some((Layer::Ethernet, b"eth".to_vec())));
        assert_eq!(of(178, b"MGC\x01", b"eth"), Some((Layer::Ethernet, b"eth".to_vec())));
        assert_eq!(of(178, b"MGC\x02\x02\0\0\0", &ip), Some((Layer::Ip, ip)));
        assert_eq!(of(179, b"MGC\0", b"\xFF\x03"), Some((Layer::Ppp, b"\xFF\x03".to_vec())));
        assert_eq!(of(180, b"MGC\0\x18\x41\x03\xCC", b"E..."), Some((Layer::Ip, b"E...".to_vec())));
        assert_eq!(of(178, b"MGB\0", b"eth"), None);
    }

    #[test]
    fn endace_by_its_type_and_behind_its_extensions() {
        let record = |kind: u8, behind: &[u8]| [&[0; 8][..], &[kind, 4], &[0; 6], behind].concat();
        for (kind, behind, layer) in [
            (2, &b"\0\0eth"[..], Layer::Ethernet),
            (0x82, &b"\x03\0\0\0\0\0\0\0\0\0eth"[..], Layer::Ethernet),
            (0x82, &b"\x83\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0eth"[..], Layer::Ethernet),
            (1, &b"eth"[..], Layer::Ppp),
            (4, &b"\0\0\0\0eth"[..], Layer::Llc),
            (22, &b"eth"[..], Layer::Ip),
        ] {
            assert_eq!(found(endace, &record(kind, behind), b""), Some((layer, b"eth".to_vec())), "{kind}");
        }
        assert_eq!(found(endace, &record(27, b"eth"), b""), None);
    }

    #[test]
    fn cable_with_and_without_extensions() {
        let wanted = Some((Layer::Ethernet, b"eth".to_vec()));
        assert_eq!(found(docsis, &[0, 0, 0, 3, 0, 0], b"eth"), wanted);
        assert_eq!(found(docsis, &[1, 2, 0, 5, 9, 9, 0, 0], b"eth"), wanted);
        assert_eq!(found(docsis, &[0xC2, 0, 0, 3, 0, 0], b"eth"), None, "management");
    }
}
