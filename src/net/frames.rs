//! Frames for the tests of this floor, built by hand.

use crate::capture::LinkType;
use crate::capture::Packet;
use crate::capture::SourceId;
use crate::capture::Timestamp;

/// UDP from port 5060 to port 5062.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    udp_to(5062, payload)
}

/// UDP from port 5060.
pub fn udp_to(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap();
    [&5060_u16.to_be_bytes()[..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

/// IPv4 from 192.0.2.1 to 192.0.2.2 with identification 7.
pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
    let head = [0x45, 0, length[0], length[1], 0, 7, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    [&head[..], payload].concat()
}

/// The same, but a fragment: `offset` in bytes, `more` 1 or 0.
pub fn ipv4_part(protocol: u8, payload: &[u8], offset: u16, more: u16) -> Vec<u8> {
    let mut packet = ipv4(protocol, payload);
    packet[6..8].copy_from_slice(&(offset / 8 | more << 13).to_be_bytes());
    packet
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut head = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    for last in [1, 2] {
        head.extend([0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [&head[..], payload].concat()
}

/// UDP in IPv4.
pub fn udp_v4(payload: &[u8]) -> Vec<u8> {
    ipv4(17, &udp(payload))
}

/// UDP in IPv6.
pub fn udp_v6(payload: &[u8]) -> Vec<u8> {
    ipv6(17, &udp(payload))
}

/// An IP packet in Ethernet.
pub fn ethernet(ip: &[u8]) -> Vec<u8> {
    let number: [u8; 2] = if ip[0] >> 4 == 6 { [0x86, 0xDD] } else { [8, 0] };
    [&[2; 12][..], &number, ip].concat()
}

/// A frame as a source gives it; frame `number` was captured at that many seconds.
pub fn packet(link: u32, number: u64, bytes: &[u8]) -> Packet<'_> {
    Packet {
        time: Timestamp::from_parts(i64::try_from(number).unwrap(), 0),
        source: SourceId(0),
        number,
        link: LinkType(link),
        bytes,
        original_len: u32::try_from(bytes.len()).unwrap(),
    }
}
