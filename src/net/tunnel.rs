//! Tunnels: what carries IP or Ethernet inside of IP, UDP or Ethernet.
//!
//! Knows PPP, PPPoE, MPLS, GRE with ERSPAN, NSH, and ESP without encryption. Is given what is behind the outer header;
//! says what comes next. Tunnels over UDP have a file of their own.

use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::ip::protocol;
use crate::net::link::Layer;
use crate::net::link::ether_type;

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
        // Multilink (RFC 1990 §3): a number, and PPP again if the fragment is both the first and the last.
        0x003D => Some((Layer::Ppp, rest.skip(4)?)).filter(|_| u8_at(rest.bytes, 0).is_some_and(|bits| bits >> 6 == 3)),
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
        // MikroTik's Ethernet over IP: a length and a tunnel stand where the key would.
        ether_type::ETHERNET_OVER_IP => Some((Layer::Ethernet, behind)),
        ether_type::ERSPAN_3 => {
            let more = u8_at(behind.bytes, 11)? & 1 == 1;
            Some((Layer::Ethernet, behind.skip(if more { 20 } else { 12 })?))
        }
        _ => Some((Layer::EtherType(number), behind)),
    }
}

/// NSH (RFC 8300): its length in words of four bytes in six bits, then the number of what follows.
pub(super) fn nsh(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let length = usize::from(u8_at(rest.bytes, 1)? & 0x3F).checked_mul(4)?;
    if length < 8 {
        return None;
    }
    named(u8_at(rest.bytes, 3)?, rest.skip(length)?)
}

/// What a next protocol of NSH or of VXLAN-GPE names.
pub(super) fn named(next: u8, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match next {
        1 | 2 => Some((Layer::Ip, rest)),
        3 => Some((Layer::Ethernet, rest)),
        4 => Some((Layer::Nsh, rest)),
        5 => Some((Layer::Mpls, rest)),
        _ => None,
    }
}

/// Ethernet in IP: a version of 3 in the first half byte (RFC 3378 §3).
pub(super) fn etherip(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match u16_at(rest.bytes, 0)? {
        0x3000 => Some((Layer::Ethernet, rest.skip(2)?)),
        _ => None,
    }
}

/// ESP with null encryption (RFC 2410), as it stands between a phone and an IMS core (3GPP TS 33.203): the protocol and
/// the bytes that it protects. Told by a trailer that fits a checksum of 12 to 32 bytes (RFC 4868): padding that counts
/// up from 1 and a protocol whose header agrees with the length. Encrypted bytes hardly ever look so.
pub(super) fn esp_without_encryption(rest: Rest<'_>) -> Option<(u8, Rest<'_>)> {
    let bytes = rest.bytes;
    if rest.missing != 0 {
        return None;
    }
    for checksum in [12_usize, 16, 24, 32, 0] {
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
        let over_ip = with(&[0x20, 1, 0x64, 0, 0, 1, 7, 0], &[0xFF]);
        assert_eq!(read(gre(Rest::whole(&over_ip))), (Layer::Ethernet, vec![0xFF]));
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
    fn esp_is_read_if_it_is_not_encrypted() {
        let udp = frames::udp_v4(b"OPTIONS sip:a@b SIP/2.0")[20..].to_vec();
        let esp = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &udp, &[1, 2, 2, 17], &[0xCC; 12]].concat();
        assert_eq!(esp_without_encryption(Rest::whole(&esp)), Some((17, Rest::whole(&udp))));
        let scrambled: Vec<u8> = esp.iter().map(|byte| byte.wrapping_mul(91) ^ 0x5A).collect();
        assert_eq!(esp_without_encryption(Rest::whole(&scrambled)), None);
    }
}
