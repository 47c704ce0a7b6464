//! Link layers of rings, leased lines and of one vendor's routers.
//!
//! Knows Token Ring, FDDI, Frame Relay, and the header of Juniper's routers before Ethernet. Is given a frame; says what comes
//! next. Deliberately knows of each only the way to IP.

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
    const SNAP: u8 = 0x80;
    const IPV4: u8 = 0xCC;
    const IPV6: u8 = 0x8E;
    let address = rest.bytes.iter().take(4).position(|byte| byte & 1 == 1)?.checked_add(1)?;
    let behind = rest.skip(address)?;
    if u8_at(behind.bytes, 0)? != UNNUMBERED {
        return Some((Layer::EtherType(u16_at(behind.bytes, 0)?), behind.skip(2)?));
    }
    let padding = usize::from(u8_at(behind.bytes, 1)? == 0);
    let named = behind.skip(padding.checked_add(1)?)?;
    match u8_at(named.bytes, 0)? {
        IPV4 | IPV6 => Some((Layer::Ip, named.skip(1)?)),
        SNAP => Some((Layer::EtherType(u16_at(named.bytes, 4)?), named.skip(6)?)),
        _ => None,
    }
}

/// Juniper's header: "MGC", flags, perhaps extensions with their length; then Ethernet, or four bytes and IP.
pub(super) fn juniper(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
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
    Some((Layer::Ethernet, behind))
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
            (&[0x18, 0x41, 8, 0], Layer::EtherType(0x0800)),
        ] {
            assert_eq!(found(frame_relay, head, b"E..."), Some((layer, b"E...".to_vec())), "{head:x?}");
        }
        assert_eq!(found(frame_relay, &[2; 6], b""), None);
    }

    #[test]
    fn juniper_with_and_without_extensions_and_link_layer() {
        let ip = frames::udp_v4(b"x");
        assert_eq!(found(juniper, b"MGC\x80\0\x03\x01\x01\x02", b"eth"), Some((Layer::Ethernet, b"eth".to_vec())));
        assert_eq!(found(juniper, b"MGC\x01", b"eth"), Some((Layer::Ethernet, b"eth".to_vec())));
        assert_eq!(found(juniper, b"MGC\x02\x02\0\0\0", &ip), Some((Layer::Ip, ip)));
        assert_eq!(found(juniper, b"MGB\0", b"eth"), None);
    }
}
