//! Tunnels over UDP.
//!
//! Knows VXLAN, GENEVE, GTP, TZSP, L2TP, Teredo, LISP, CAPWAP, AYIYA, and MPLS and GRE in UDP. Is given a UDP payload
//! and its ports; says what is inside. Deliberately takes a payload for a tunnel only if port and content agree: a
//! phone may use the same port for SIP or RTP.

use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::ip::protocol;
use crate::net::link;
use crate::net::link::Layer;
use crate::net::link::ether_type;
use crate::net::sctp;
use crate::net::tunnel;
use crate::net::wireless;

/// Ports of tunnels over UDP: VXLAN (RFC 7348), the same as Linux had it before, GENEVE (RFC 8926), GTP-U
/// (3GPP TS 29.281), TZSP, L2TP (RFC 2661).
const VXLAN: u16 = 4789;
const VXLAN_LINUX: u16 = 8472;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
const TZSP: u16 = 37_008;
const L2TP: u16 = 1701;
/// VXLAN with a protocol of its own (draft-ietf-nvo3-vxlan-gpe), MPLS (RFC 7510), GRE (RFC 8086), Teredo (RFC 4380),
/// the data of LISP (RFC 9300), CAPWAP (RFC 5415), GTP version 0, ESP behind NAT (RFC 3948).
const VXLAN_GPE: u16 = 4790;
const MPLS: u16 = 6635;
const GRE: u16 = 4754;
const TEREDO: u16 = 3544;
const LISP: u16 = 4341;
const CAPWAP: u16 = 5247;
const GTP_0: u16 = 3386;
const ESP: u16 = 4500;
/// SCTP behind NAT (RFC 6951).
const SCTP: u16 = 9899;
/// Anything in anything (draft-massar-v6ops-ayiya), by which tunnel brokers gave IPv6.
const AYIYA: u16 = 5072;

/// True where a tunnel may be behind a UDP header with these ports.
#[inline]
pub(super) fn may_be_tunnel(source: u16, destination: u16) -> bool {
    is_port(destination) || is_answered_from(source) || matches!(source, ESP | SCTP)
}

/// Tunnels whose other end may have any port, and so is answered there.
#[inline]
fn is_answered_from(source: u16) -> bool {
    matches!(source, L2TP | TEREDO | CAPWAP | GTP_U | LISP | AYIYA)
}

#[inline]
fn is_port(destination: u16) -> bool {
    matches!(destination, VXLAN | VXLAN_LINUX | VXLAN_GPE | GENEVE | GTP_U | GTP_0 | TZSP | L2TP)
        || matches!(destination, MPLS | GRE | TEREDO | LISP | CAPWAP | ESP | SCTP | AYIYA)
}

/// A transport within UDP, for the sake of NAT: its number and its bytes. Told by port and content.
pub(super) fn transport(rest: Rest<'_>) -> Option<(u8, Rest<'_>)> {
    let ports = [u16_at(rest.bytes, 0)?, u16_at(rest.bytes, 2)?];
    if !ports.contains(&ESP) && !ports.contains(&SCTP) {
        return None;
    }
    let payload = rest.limit(usize::from(u16_at(rest.bytes, 4)?)).skip(8)?;
    if ports.contains(&SCTP) {
        return sctp::is_packet(payload).then_some((protocol::SCTP, payload));
    }
    // Where a key exchange would stand is zero (RFC 3948 §2.2).
    if payload.bytes.starts_with(&[0; 4]) { None } else { tunnel::esp_without_encryption(payload) }
}

/// What a UDP payload carries, if it is a tunnel.
pub(super) fn read(source: u16, destination: u16, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    // An answer goes to the port that the other end or a NAT took, and comes from the one of the tunnel.
    let port = if is_answered_from(source) { source } else { destination };
    match port {
        VXLAN | VXLAN_LINUX => vxlan(rest),
        VXLAN_GPE => vxlan_gpe(rest),
        GENEVE => geneve(rest),
        GTP_U => gtp(rest),
        GTP_0 => gtp_0(rest),
        TZSP => tzsp(rest),
        L2TP => l2tp(rest),
        MPLS => mpls(rest),
        GRE => gre(rest),
        TEREDO => teredo(rest),
        LISP => lisp(rest),
        CAPWAP => capwap(rest),
        AYIYA => ayiya(rest),
        _ => None,
    }
}

/// AYIYA: how long the sender's name and its signature are, an operation (1 hands on), a protocol, a time.
fn ayiya(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let [name, signature, operation, number] = *rest.bytes.first_chunk()?;
    if operation & 0x0F != 1 || !matches!(number, protocol::IPV4 | protocol::IPV6) {
        return None;
    }
    let name = 1_usize.checked_shl(u32::from(name >> 4))?;
    let signature = usize::from(signature >> 4).checked_mul(4)?;
    ip_header(rest.skip(8)?.skip(name)?.skip(signature)?)
}

/// MPLS whose first label leads to IP. A SIP message begins with letters, which make no such stack.
fn mpls(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    match tunnel::mpls(rest)? {
        (Layer::Ip, inner) => ip_header(inner),
        _ => None,
    }
}

/// GRE of version 0 that carries IP or Ethernet.
fn gre(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const RESERVED: u16 = 0x4FFF;
    let known = [ether_type::IPV4, ether_type::IPV6, ether_type::BRIDGED];
    if u16_at(rest.bytes, 0)? & RESERVED != 0 || !known.contains(&u16_at(rest.bytes, 2)?) {
        return None;
    }
    tunnel::gre(rest)
}

/// IPv6 in UDP: perhaps an authentication and an origin before the header (RFC 4380 §5.1.1).
fn teredo(mut rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const AUTHENTICATION: u16 = 1;
    const ORIGIN: u16 = 0;
    if u16_at(rest.bytes, 0)? == AUTHENTICATION {
        let identifier = usize::from(u8_at(rest.bytes, 2)?);
        let value = usize::from(u8_at(rest.bytes, 3)?);
        rest = rest.skip(identifier.checked_add(value)?.checked_add(13)?)?;
    }
    if u16_at(rest.bytes, 0)? == ORIGIN {
        rest = rest.skip(8)?;
    }
    ip_header(rest).filter(|_| u8_at(rest.bytes, 0).is_some_and(|first| first >> 4 == 6))
}

/// The data of LISP: eight bytes, of which the first are flags, then IP.
fn lisp(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    ip_header(rest.skip(8)?)
}

/// CAPWAP data in the clear: the length of its header in words of four bytes; then IEEE 802.11 or 802.3.
fn capwap(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let [0, length, kind, bits] = *rest.bytes.first_chunk::<4>()? else { return None };
    let length = usize::from(length >> 3).checked_mul(4)?;
    // A fragment is a part of a frame.
    if length < 8 || bits & 0x80 != 0 {
        return None;
    }
    let frame = rest.skip(length)?;
    if kind & 1 == 0 { Some((Layer::Ethernet, frame)) } else { wireless::tunnelled(frame) }
}

/// GTP version 0 (GSM 09.60): a header of twenty bytes, a user's packet.
fn gtp_0(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let [flags, 255] = *rest.bytes.first_chunk::<2>()? else { return None };
    if flags & 0xF0 != 0x10 {
        return None;
    }
    let length = usize::from(u16_at(rest.bytes, 2)?);
    ip_header(rest.skip(20)?.limit(length))
}

/// VXLAN that names its protocol.
fn vxlan_gpe(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let flags = u8_at(rest.bytes, 0)?;
    if flags & 0xFC != 0x0C || u16_at(rest.bytes, 1)? != 0 {
        return None;
    }
    let next = u8_at(rest.bytes, 3)?;
    tunnel::named(next, rest.skip(8)?)
}

/// IP, if there are as many bytes as its header says. Text may begin as a header does, and then says a length of
/// thousands.
fn ip_header(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let said = match u8_at(rest.bytes, 0)? {
        0x45..=0x4F => usize::from(u16_at(rest.bytes, 2)?),
        0x60..=0x6F => usize::from(u16_at(rest.bytes, 4)?).checked_add(40)?,
        _ => return None,
    };
    (20..=rest.on_wire()).contains(&said).then_some((Layer::Ip, rest))
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
    if !matches!(number, ether_type::BRIDGED | ether_type::IPV4 | ether_type::IPV6 | ether_type::MPLS) {
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
    // A session of 5G may carry Ethernet.
    match u8_at(inner.bytes, 0)? >> 4 {
        4 | 6 => Some((Layer::Ip, inner)),
        _ => Some((Layer::Ethernet, inner)).filter(|(layer, inner)| lead_to_ip(*layer, *inner)),
    }
}

/// TZSP, by which routers and access points mirror: version 1, type 0 or 1, Ethernet or IEEE 802.11, then tags up to
/// the end tag.
fn tzsp(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let layer = match rest.bytes.first_chunk::<4>()? {
        [1, 0 | 1, 0, 1] => Layer::Ethernet,
        [1, 0 | 1, 0, 18] => Layer::Wireless,
        _ => return None,
    };
    let mut tags = rest.skip(4)?;
    loop {
        match u8_at(tags.bytes, 0)? {
            0 => tags = tags.skip(1)?,
            1 => return Some((layer, tags.skip(1)?)),
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
    const VERSION_3: u16 = 3;
    let flags = u16_at(rest.bytes, 0)?;
    if flags == VERSION_3 {
        return l2tp_3(rest.skip(4)?);
    }
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
    match tunnel::ppp(behind)? {
        (Layer::Ip, inner) => Some((Layer::Ip, inner)),
        _ => None,
    }
}

/// The data of L2TP version 3 (RFC 3931 §4.1): a session, perhaps a cookie of four or eight bytes and a sublayer of
/// four, and Ethernet, PPP or IP. Which of these were agreed on does not show: what leads to IP that fits tells it.
pub(super) fn l2tp_3(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const CONTROL: u32 = 0;
    if u32_at(rest.bytes, 0)? == CONTROL {
        return None;
    }
    [4, 8, 12, 16].into_iter().find_map(|length| {
        let inner = rest.skip(length)?;
        let layers = [Layer::Ip, Layer::Ethernet, Layer::Ppp];
        layers.into_iter().find(|layer| lead_to_ip(*layer, inner)).map(|layer| (layer, inner))
    })
}

/// True if these bytes, taken as this layer, lead to IP whose length fits.
fn lead_to_ip(mut layer: Layer, mut rest: Rest<'_>) -> bool {
    const TAGS: usize = 8;
    for _ in 0..TAGS {
        if layer == Layer::Ip {
            return ip_header(rest).is_some();
        }
        let Some(next) = link::step(layer, rest) else { return false };
        (layer, rest) = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;

    fn read_to(port: u16, rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
        read(40_000, port, rest)
    }

    fn found(result: Option<(Layer, Rest<'_>)>) -> (Layer, Vec<u8>) {
        let (layer, rest) = result.expect("nothing found inside");
        (layer, rest.bytes.to_vec())
    }

    fn with(head: &[u8], inner: &[u8]) -> Vec<u8> {
        [head, inner].concat()
    }

    #[test]
    fn vxlan_and_geneve_only_if_they_look_so() {
        let vxlan = with(&[8, 0, 0, 0, 0, 0, 5, 0], b"eth");
        assert_eq!(found(read_to(4789, Rest::whole(&vxlan))), (Layer::Ethernet, b"eth".to_vec()));
        assert_eq!(found(read_to(8472, Rest::whole(&vxlan))), (Layer::Ethernet, b"eth".to_vec()));
        assert_eq!(read_to(4789, Rest::whole(b"OPTIONS sip:a@b SIP/2.0")), None);
        let geneve = with(&[1, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 1, 1, 1], b"eth");
        assert_eq!(found(read_to(6081, Rest::whole(&geneve))), (Layer::EtherType(0x6558), b"eth".to_vec()));
        assert_eq!(read_to(6081, Rest::whole(&[0x80, 0, 0x65, 0x58, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn gtp_with_extension_headers() {
        let plain = with(&[0x30, 255, 0, 2, 0, 0, 0, 1], &[0x45, 1, 0xEE]);
        assert_eq!(found(read_to(2152, Rest::whole(&plain))), (Layer::Ip, vec![0x45, 1]));
        let extended = with(&[0x34, 255, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0x85], &[1, 0, 9, 0, 0x60, 1]);
        assert_eq!(found(read_to(2152, Rest::whole(&extended))), (Layer::Ip, vec![0x60, 1]));
        let endless = with(&[0x34, 255, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0x85], &[0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read_to(2152, Rest::whole(&endless)), None);
    }

    #[test]
    fn tzsp_after_its_tags() {
        let bytes = [1, 0, 0, 1, 0, 10, 1, 7, 1, 0xAA];
        assert_eq!(found(read_to(37_008, Rest::whole(&bytes))), (Layer::Ethernet, vec![0xAA]));
    }

    #[test]
    fn l2tp_with_and_without_its_options() {
        let short = with(&[0, 2, 0, 1, 0, 1], &[0xFF, 3, 0, 0x21, 0x45]);
        assert_eq!(found(read_to(1701, Rest::whole(&short))), (Layer::Ip, vec![0x45]));
        let long = with(&[0x4A, 2, 0, 20, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 9], &[0xFF, 3, 0, 0x21, 0x45, 0xEE]);
        assert_eq!(found(read_to(1701, Rest::whole(&long))), (Layer::Ip, vec![0x45]));
        assert_eq!(read_to(1701, Rest::whole(&[0xC8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn an_answer_through_nat_comes_from_the_port_of_the_tunnel() {
        let bytes = with(&[0, 2, 0, 1, 0, 1], &[0xFF, 3, 0, 0x21, 0x45]);
        assert_eq!(found(read(1701, 60_001, Rest::whole(&bytes))), (Layer::Ip, vec![0x45]));
        let teredo = frames::udp_v6(b"x");
        assert_eq!(found(read(3544, 60_001, Rest::whole(&teredo))), (Layer::Ip, teredo));
        assert_eq!(read(4789, 60_001, Rest::whole(&with(&[8, 0, 0, 0, 0, 0, 5, 0], b"eth"))), None);
        let capwap = with(&[0, 0x10, 0, 0, 0, 0, 0, 0], b"eth");
        assert_eq!(found(read(5247, 60_001, Rest::whole(&capwap))), (Layer::Ethernet, b"eth".to_vec()));
        let ip = frames::udp_v4(b"x");
        for (port, head) in [(2152, [0x30, 255, 0, 29, 0, 0, 0, 1]), (4341, [0x80, 0, 0, 1, 0, 0, 0, 1])] {
            assert_eq!(found(read(port, 60_001, Rest::whole(&with(&head, &ip)))), (Layer::Ip, ip.clone()), "{port}");
        }
    }

    #[test]
    fn l2tp_version_3_with_whatever_was_agreed_on() {
        let ip = frames::udp_v4(b"x");
        let frame = frames::ethernet(&ip);
        for between in [&b""[..], &[0; 4], b"ABCD", b"ABCDEFGH", b"ABCDEFGH\x40\0\0\x01"] {
            for (layer, inner) in
                [(Layer::Ethernet, &frame), (Layer::Ip, &ip), (Layer::Ppp, &with(&[0xFF, 3, 0, 0x21], &ip))]
            {
                let data = [&[0, 0, 0, 7][..], between, inner].concat();
                assert_eq!(found(l2tp_3(Rest::whole(&data))), (layer, inner.clone()), "{between:x?}");
                let in_udp = with(&[0, 3, 0, 0], &data);
                assert_eq!(found(read_to(1701, Rest::whole(&in_udp))), (layer, inner.clone()), "{between:x?}");
            }
        }
        assert_eq!(l2tp_3(Rest::whole(&[&[0; 4][..], &frame].concat())), None, "control");
        assert_eq!(l2tp_3(Rest::whole(&[&[0, 0, 0, 7][..], &[9; 60]].concat())), None);
    }

    #[test]
    fn a_session_of_5g_and_a_broker_of_ipv6() {
        let frame = frames::ethernet(&frames::udp_v4(b"x"));
        let length = u8::try_from(frame.len()).unwrap();
        let gtp = with(&[0x30, 255, 0, length, 0, 0, 0, 1], &frame);
        assert_eq!(found(read_to(2152, Rest::whole(&gtp))), (Layer::Ethernet, frame));
        assert_eq!(read_to(2152, Rest::whole(&with(&[0x30, 255, 0, 40, 0, 0, 0, 1], &[9; 40]))), None);
        let ip = frames::udp_v6(b"x");
        let head = [&[0x44, 0x52, 0x11, 41][..], &[0; 4], &[1; 16], &[2; 20]].concat();
        assert_eq!(found(read(40_000, 5072, Rest::whole(&with(&head, &ip)))), (Layer::Ip, ip.clone()));
        assert_eq!(found(read(5072, 40_000, Rest::whole(&with(&head, &ip)))), (Layer::Ip, ip));
    }

    #[test]
    fn teredo_with_what_may_stand_before_its_header() {
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        let authentication = [&[0, 1, 2, 1][..], &[9; 3], &[0; 9]].concat();
        for head in [&[][..], &origin, &authentication, &[&authentication[..], &origin].concat()] {
            let ip = frames::udp_v6(b"x");
            assert_eq!(found(read_to(3544, Rest::whole(&with(head, &ip)))), (Layer::Ip, ip));
        }
        assert_eq!(read_to(3544, Rest::whole(&frames::udp_v4(b"x"))), None);
    }

    #[test]
    fn each_other_tunnel_by_its_header() {
        let ip = frames::udp_v4(b"x");
        let capwap = |kind: u8| [0, 0x10, kind, 0, 0, 0, 0, 0];
        for (port, head, layer) in [
            (6635, &[0, 1, 1, 64][..], Layer::Ip),
            (4754, &[0, 0, 8, 0], Layer::EtherType(0x0800)),
            (4790, &[0x0C, 0, 0, 1, 0, 0, 5, 0], Layer::Ip),
            (4790, &[0x0C, 0, 0, 3, 0, 0, 5, 0], Layer::Ethernet),
            (4790, &[0x0C, 0, 0, 4, 0, 0, 5, 0], Layer::Nsh),
            (4341, &[0x80, 0, 0, 1, 0, 0, 0, 1], Layer::Ip),
            (5247, &capwap(0), Layer::Ethernet),
            (5247, &[&capwap(1)[..], &[1, 8], &[0; 22]].concat(), Layer::Llc),
            (3386, &[&[0x1E, 255, 0, 29][..], &[0; 16]].concat(), Layer::Ip),
            (37_008, &[1, 0, 0, 18, 1], Layer::Wireless),
            (6081, &[0, 0, 0x88, 0x47, 0, 0, 5, 0], Layer::EtherType(0x8847)),
        ] {
            assert_eq!(found(read_to(port, Rest::whole(&with(head, &ip)))), (layer, ip.clone()), "{port}");
        }
    }

    #[test]
    fn text_on_the_port_of_a_tunnel_is_none() {
        for port in (1..u16::MAX).filter(|port| is_port(*port)) {
            for text in ["OPTIONS sip:a@b SIP/2.0", "SIP/2.0 200 OK", "INVITE sip:a@b SIP/2.0", "ENVOI sip:a@b SIP/2.0"]
            {
                assert_eq!(read_to(port, Rest::whole(text.as_bytes())), None, "{port}");
                assert_eq!(transport(Rest::whole(&frames::udp_to(port, text.as_bytes()))), None, "{port}");
            }
        }
    }

    #[test]
    fn esp_and_sctp_behind_nat() {
        let udp = frames::udp_v4(b"OPTIONS sip:a@b SIP/2.0")[20..].to_vec();
        let esp = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &udp, &[1, 2, 2, 17], &[0xCC; 12]].concat();
        assert_eq!(transport(Rest::whole(&frames::udp_to(4500, &esp))), Some((17, Rest::whole(&udp))));
        let sctp =
            [&[0x13, 0xC4, 0x13, 0xC4, 0, 0, 0, 7, 0, 0, 0, 0][..], &[0, 3, 0, 17], &[0; 12], b"x\0\0\0"].concat();
        assert_eq!(transport(Rest::whole(&frames::udp_to(9899, &sctp))), Some((132, Rest::whole(&sctp))));
        assert_eq!(transport(Rest::whole(&frames::udp_to(5060, &sctp))), None);
    }
}
