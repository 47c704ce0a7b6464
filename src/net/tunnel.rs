//! Tunnels: what carries IP or Ethernet inside of IP, UDP or Ethernet.
//!
//! Knows PPP, PPPoE, L2TP, MPLS, GRE with ERSPAN, VXLAN, GENEVE, GTP-U, TZSP and ESP without encryption. Is given what is
//! behind the outer header; says what comes next. Deliberately takes a UDP payload for a tunnel only if port and
//! content agree: a phone may use the same port for RTP.

use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::ip::protocol;
use crate::net::link::Layer;
use crate::net::link::ether_type;

/// Ports of tunnels over UDP: VXLAN (RFC 7348), the same as Linux had it before, GENEVE (RFC 8926), GTP-U
/// (3GPP TS 29.281), TZSP, L2TP (RFC 2661).
const VXLAN: u16 = 4789;
const VXLAN_LINUX: u16 = 8472;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
const TZSP: u16 = 37_008;
const L2TP: u16 = 1701;

/// True where a tunnel may be behind a UDP header with this destination port.
pub(super) fn is_tunnel_port(port: u16) -> bool {
    matches!(port, VXLAN | VXLAN_LINUX | GENEVE | GTP_U | TZSP | L2TP)
}

/// What a UDP payload carries, if it is a tunnel.
pub(super) fn over_udp(destination_port: u16, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match destination_port {
        VXLAN | VXLAN_LINUX => vxlan(rest),
        GENEVE => geneve(rest),
        GTP_U => gtp(rest),
        TZSP => tzsp(rest),
        L2TP => l2tp(rest),
        _ => None,
    }
}

/// PPP: address and control may be left out, and the protocol may be one byte (RFC 1661 §6.5, §6.6).
pub(super) fn ppp(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let rest = match rest.bytes.first_chunk::<2>()? {
        [0xFF, 0x03] => rest.skip(2)?,
        // Cisco HDLC on the same link type: unicast or multicast, then an EtherType.
        [0x0F | 0x8F, 0x00] => return Some((Layer::EtherType(u16_at(rest.bytes, 2)?), rest.skip(4)?)),
        _ => rest,
    };
    let first = u8_at(rest.bytes, 0)?;
    let (number, rest) = match first & 1 {
        1 => (u16::from(first), rest.skip(1)?),
        _ => (u16_at(rest.bytes, 0)?, rest.skip(2)?),
    };
    match number {
        0x0021 | 0x0057 => Some((Layer::Ip, rest)),
        0x0031 => Some((Layer::Ethernet, rest.skip(2)?)),
        0x0281 | 0x0283 => Some((Layer::Mpls, rest)),
        _ => None,
    }
}

/// PPPoE: version and type, code 0 for data, session, length.
pub(super) fn pppoe(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    if u16_at(rest.bytes, 0)? != 0x1100 {
        return None;
    }
    let length = usize::from(u16_at(rest.bytes, 4)?);
    Some((Layer::Ppp, rest.skip(6)?.limit(length)))
}

/// MPLS: labels up to the one with the bottom bit; what is behind is told by its first half byte (RFC 4928 §3), and is
/// an Ethernet frame, with or without control word, if it is not IP.
pub(super) fn mpls(mut rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    loop {
        let bottom = u8_at(rest.bytes, 2)? & 1;
        rest = rest.skip(4)?;
        if bottom == 1 {
            break;
        }
    }
    match u8_at(rest.bytes, 0)? >> 4 {
        4 | 6 => Some((Layer::Ip, rest)),
        0 if u16_at(rest.bytes, 0)? == 0 => Some((Layer::Ethernet, rest.skip(4)?)),
        _ => Some((Layer::Ethernet, rest)),
    }
}

/// GRE, version 0 and the one of PPTP.
pub(super) fn gre(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const CHECKSUM_OR_ROUTING: u16 = 0xC000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    let flags = u16_at(rest.bytes, 0)?;
    let number = u16_at(rest.bytes, 2)?;
    let mut length: usize = 4;
    for flag in [CHECKSUM_OR_ROUTING, KEY, SEQUENCE] {
        length = length.checked_add(if flags & flag != 0 { 4 } else { 0 })?;
    }
    if flags & 7 == 1 && flags & ACKNOWLEDGMENT != 0 {
        length = length.checked_add(4)?;
    }
    let behind = rest.skip(length)?;
    match number {
        // Type I has no header of its own, and no sequence number; type II has eight bytes.
        ether_type::ERSPAN if flags & SEQUENCE == 0 => Some((Layer::Ethernet, behind)),
        ether_type::ERSPAN => Some((Layer::Ethernet, behind.skip(8)?)),
        ether_type::ERSPAN_3 => {
            let more = u8_at(behind.bytes, 11)? & 1 == 1;
            Some((Layer::Ethernet, behind.skip(if more { 20 } else { 12 })?))
        }
        _ => Some((Layer::EtherType(number), behind)),
    }
}

/// Ethernet in IP: a version of 3 in the first half byte (RFC 3378 §3).
pub(super) fn etherip(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match u16_at(rest.bytes, 0)? {
        0x3000 => Some((Layer::Ethernet, rest.skip(2)?)),
        _ => None,
    }
}

/// VXLAN: the flag for a valid identifier and perhaps that of a group policy, and zeros where zeros must be.
fn vxlan(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let flags = u8_at(rest.bytes, 0)?;
    if flags & 0x7F != 0x08 || u8_at(rest.bytes, 7)? != 0 {
        return None;
    }
    Some((Layer::Ethernet, rest.skip(8)?))
}

/// GENEVE: version 0, options in words of four bytes, an EtherType.
fn geneve(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let first = u8_at(rest.bytes, 0)?;
    let number = u16_at(rest.bytes, 2)?;
    if first >> 6 != 0 || u8_at(rest.bytes, 7)? != 0 {
        return None;
    }
    if !matches!(number, ether_type::BRIDGED | ether_type::IPV4 | ether_type::IPV6) {
        return None;
    }
    let options = usize::from(first & 0x3F).checked_mul(4)?;
    Some((Layer::EtherType(number), rest.skip(8)?.skip(options)?))
}

/// GTP-U: version 1, a message of type 255 (a user's packet), extension headers in words of four bytes.
fn gtp(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const ANY_OPTION: u8 = 0x07;
    let flags = u8_at(rest.bytes, 0)?;
    if flags & 0xF0 != 0x30 || u8_at(rest.bytes, 1)? != 255 {
        return None;
    }
    let length = usize::from(u16_at(rest.bytes, 2)?);
    let mut inner = rest.skip(8)?.limit(length);
    if flags & ANY_OPTION != 0 {
        let mut next = u8_at(inner.bytes, 3)?;
        inner = inner.skip(4)?;
        while next != 0 && flags & 0x04 != 0 {
            let words = usize::from(u8_at(inner.bytes, 0)?);
            let extension = words.checked_mul(4)?;
            next = u8_at(inner.bytes, extension.checked_sub(1)?)?;
            inner = inner.skip(extension)?;
        }
    }
    match u8_at(inner.bytes, 0)? >> 4 {
        4 | 6 => Some((Layer::Ip, inner)),
        _ => None,
    }
}

/// TZSP, by which routers mirror: version 1, type 0 or 1, Ethernet, then tags up to the end tag.
fn tzsp(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    if !matches!(rest.bytes.first_chunk::<4>()?, [1, 0 | 1, 0, 1]) {
        return None;
    }
    let mut tags = rest.skip(4)?;
    loop {
        match u8_at(tags.bytes, 0)? {
            0 => tags = tags.skip(1)?,
            1 => return Some((Layer::Ethernet, tags.skip(1)?)),
            _ => {
                let length = usize::from(u8_at(tags.bytes, 1)?);
                tags = tags.skip(length.checked_add(2)?)?;
            }
        }
    }
}

/// L2TP version 2: a message with user data, then PPP that leads to IP.
fn l2tp(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const RESERVED: u16 = 0x34F0;
    let flags = u16_at(rest.bytes, 0)?;
    if flags & (CONTROL | RESERVED) != 0 || flags & 0x0F != 2 {
        return None;
    }
    let mut behind = rest.skip(2)?;
    if flags & LENGTH != 0 {
        behind = rest.limit(usize::from(u16_at(rest.bytes, 2)?)).skip(4)?;
    }
    behind = behind.skip(4)?;
    if flags & SEQUENCE != 0 {
        behind = behind.skip(4)?;
    }
    if flags & OFFSET != 0 {
        let padding = usize::from(u16_at(behind.bytes, 0)?);
        behind = behind.skip(2)?.skip(padding)?;
    }
    match ppp(behind)? {
        (Layer::Ip, inner) => Some((Layer::Ip, inner)),
        _ => None,
    }
}

/// ESP with null encryption (RFC 2410), as it stands between a phone and an IMS core (3GPP TS 33.203): the protocol
/// and the bytes that it protects. Told by a trailer that fits a checksum of 12 or 16 bytes: padding that counts up
/// from 1 and a protocol whose header agrees with the length. Encrypted bytes hardly ever look so.
pub(super) fn esp_without_encryption(rest: Rest<'_>) -> Option<(u8, Rest<'_>)> {
    let bytes = rest.bytes;
    if rest.missing != 0 {
        return None;
    }
    for checksum in [12_usize, 16, 0] {
        let Some(trailer) = bytes.len().checked_sub(checksum).and_then(|end| end.checked_sub(2)) else { continue };
        let (Some(padding), Some(number)) = (u8_at(bytes, trailer), u8_at(bytes, trailer.saturating_add(1))) else {
            continue;
        };
        let Some(end) = trailer.checked_sub(usize::from(padding)) else { continue };
        let Some(inner) = bytes.get(8..end) else { continue };
        let counts_up = bytes.get(end..trailer).is_some_and(|pad| pad.iter().zip(1_u8..).all(|(byte, n)| *byte == n));
        if counts_up && fits(number, inner) {
            return Some((number, Rest::whole(inner)));
        }
    }
    None
}

/// Whether `inner` can be a packet of this protocol.
fn fits(number: u8, inner: &[u8]) -> bool {
    match number {
        protocol::UDP => u16_at(inner, 4).is_some_and(|length| usize::from(length) == inner.len()),
        protocol::TCP => {
            let offset = u8_at(inner, 12).map_or(0, |byte| usize::from(byte >> 4).saturating_mul(4));
            let reserved = u8_at(inner, 12).map_or(1, |byte| byte & 0x0E);
            (20..=inner.len()).contains(&offset) && reserved == 0
        }
        protocol::IPV4 => {
            u8_at(inner, 0) == Some(0x45) && u16_at(inner, 2).is_some_and(|said| usize::from(said) == inner.len())
        }
        protocol::IPV6 => {
            u8_at(inner, 0).is_some_and(|byte| byte >> 4 == 6)
                && u16_at(inner, 4).is_some_and(|said| usize::from(said).saturating_add(40) == inner.len())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;

    fn read(result: Option<(Layer, Rest<'_>)>) -> (Layer, Vec<u8>) {
        let (layer, rest) = result.expect("nothing found inside");
        (layer, rest.bytes.to_vec())
    }

    fn with(head: &[u8], inner: &[u8]) -> Vec<u8> {
        [head, inner].concat()
    }

    #[test]
    fn ppp_long_and_short() {
        for head in [&[0xFF, 3, 0, 0x21][..], &[0, 0x21], &[0x21], &[0xFF, 3, 0x21]] {
            assert_eq!(read(ppp(Rest::whole(&with(head, b"E...")))), (Layer::Ip, b"E...".to_vec()));
        }
        let hdlc = with(&[0x0F, 0, 8, 0], b"E...");
        assert_eq!(read(ppp(Rest::whole(&hdlc))), (Layer::EtherType(0x0800), b"E...".to_vec()));
    }

    #[test]
    fn pppoe_ends_where_it_says() {
        let bytes = with(&[0x11, 0, 0, 9, 0, 4], &[0, 0x21, 0x45, 0, 0xEE, 0xEE]);
        assert_eq!(read(pppoe(Rest::whole(&bytes))), (Layer::Ppp, vec![0, 0x21, 0x45, 0]));
        assert_eq!(pppoe(Rest::whole(&[0x11, 9, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn mpls_to_the_bottom() {
        let labels = [0, 1, 0, 64, 0, 2, 1, 64];
        assert_eq!(read(mpls(Rest::whole(&with(&labels, b"E123")))), (Layer::Ip, b"E123".to_vec()));
        let wire = with(&labels, &[0, 0, 0, 0, 2, 2]);
        assert_eq!(read(mpls(Rest::whole(&wire))), (Layer::Ethernet, vec![2, 2]));
        assert_eq!(mpls(Rest::whole(&[0, 1, 0, 64, 0, 2])), None);
    }

    #[test]
    fn gre_by_its_flags() {
        let plain = with(&[0, 0, 8, 0], b"E");
        assert_eq!(read(gre(Rest::whole(&plain))), (Layer::EtherType(0x0800), b"E".to_vec()));
        let all = with(&[0xB0, 0, 0x65, 0x58], &[[0; 12].as_slice(), b"\x02"].concat());
        assert_eq!(read(gre(Rest::whole(&all))), (Layer::EtherType(0x6558), vec![2]));
        let pptp = with(&[0x30, 0x81, 0x88, 0x0B], &[[0; 12].as_slice(), &[0xFF]].concat());
        assert_eq!(read(gre(Rest::whole(&pptp))), (Layer::EtherType(0x880B), vec![0xFF]));
    }

    #[test]
    fn erspan_of_three_types() {
        assert_eq!(read(gre(Rest::whole(&[0, 0, 0x88, 0xBE, 9]))), (Layer::Ethernet, vec![9]));
        let second = with(&[0x10, 0, 0x88, 0xBE, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(read(gre(Rest::whole(&second))), (Layer::Ethernet, vec![9]));
        let mut third = with(&[0x10, 0, 0x22, 0xEB, 0, 0, 0, 1], &[0; 20]);
        third[19] = 1;
        third.push(9);
        assert_eq!(read(gre(Rest::whole(&third))), (Layer::Ethernet, vec![9]));
    }

    #[test]
    fn vxlan_and_geneve_only_if_they_look_so() {
        let vxlan = with(&[8, 0, 0, 0, 0, 0, 5, 0], b"eth");
        assert_eq!(read(over_udp(4789, Rest::whole(&vxlan))), (Layer::Ethernet, b"eth".to_vec()));
        assert_eq!(read(over_udp(8472, Rest::whole(&vxlan))), (Layer::Ethernet, b"eth".to_vec()));
        assert_eq!(over_udp(4789, Rest::whole(b"OPTIONS sip:a@b SIP/2.0")), None);
        let geneve = with(&[1, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 1, 1, 1], b"eth");
        assert_eq!(read(over_udp(6081, Rest::whole(&geneve))), (Layer::EtherType(0x6558), b"eth".to_vec()));
        assert_eq!(over_udp(6081, Rest::whole(&[0x80, 0, 0x65, 0x58, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn gtp_with_extension_headers() {
        let plain = with(&[0x30, 255, 0, 2, 0, 0, 0, 1], &[0x45, 1, 0xEE]);
        assert_eq!(read(over_udp(2152, Rest::whole(&plain))), (Layer::Ip, vec![0x45, 1]));
        let extended = with(&[0x34, 255, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0x85], &[1, 0, 9, 0, 0x60, 1]);
        assert_eq!(read(over_udp(2152, Rest::whole(&extended))), (Layer::Ip, vec![0x60, 1]));
        let endless = with(&[0x34, 255, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0x85], &[0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(over_udp(2152, Rest::whole(&endless)), None);
    }

    #[test]
    fn tzsp_after_its_tags() {
        let bytes = [1, 0, 0, 1, 0, 10, 1, 7, 1, 0xAA];
        assert_eq!(read(over_udp(37_008, Rest::whole(&bytes))), (Layer::Ethernet, vec![0xAA]));
    }

    #[test]
    fn l2tp_with_and_without_its_options() {
        let short = with(&[0, 2, 0, 1, 0, 1], &[0xFF, 3, 0, 0x21, 0x45]);
        assert_eq!(read(over_udp(1701, Rest::whole(&short))), (Layer::Ip, vec![0x45]));
        let long = with(&[0x4A, 2, 0, 20, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 9], &[0xFF, 3, 0, 0x21, 0x45, 0xEE]);
        assert_eq!(read(over_udp(1701, Rest::whole(&long))), (Layer::Ip, vec![0x45]));
        assert_eq!(over_udp(1701, Rest::whole(&[0xC8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn esp_is_read_if_it_is_not_encrypted() {
        let udp = frames::udp_v4(b"OPTIONS sip:a@b SIP/2.0")[20..].to_vec();
        let esp = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &udp, &[1, 2, 2, 17], &[0xCC; 12]].concat();
        assert_eq!(esp_without_encryption(Rest::whole(&esp)), Some((17, Rest::whole(&udp))));
        let scrambled: Vec<u8> = esp.iter().map(|byte| byte.wrapping_mul(91) ^ 0x5A).collect();
        assert_eq!(esp_without_encryption(Rest::whole(&scrambled)), None);
    }
}
