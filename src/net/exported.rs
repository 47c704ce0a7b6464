//! Payloads that Wireshark exported (link type 252, "upper PDU"), as people do who decrypted TLS there.
//!
//! Knows the tags before such a payload. Is given a frame of that link type; gives the payload with its addresses, or
//! the packet that it is. Deliberately looks at the name of the dissector for no more than that: SIP is told by content
//! above.

use std::net::SocketAddr;

use crate::net::Path;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::bytes::ipv4_at;
use crate::net::bytes::ipv6_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::link::Layer;

/// `LINKTYPE_WIRESHARK_UPPER_PDU`.
pub(super) const LINK_TYPE: u32 = 252;

/// Numbers of the tags; each is followed by a length and so many bytes.
mod tag {
    pub const END: u16 = 0;
    pub const DISSECTOR: u16 = 12;
    pub const SOURCE_V4: u16 = 20;
    pub const DESTINATION_V4: u16 = 21;
    pub const SOURCE_V6: u16 = 22;
    pub const DESTINATION_V6: u16 = 23;
    pub const PORT_TYPE: u16 = 24;
    pub const SOURCE_PORT: u16 = 25;
    pub const DESTINATION_PORT: u16 = 26;
}

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exported<'a> {
    /// What TCP, UDP or another transport carried.
    Payload(Path, Rest<'a>),
    /// A packet or a frame.
    Packet(Layer, Rest<'a>),
}

/// Reads a frame; `None` for a payload without addresses, or if the tags do not end.
pub(super) fn read(rest: Rest<'_>) -> Option<Exported<'_>> {
    let mut packet = None;
    let (mut source, mut destination) = (None, None);
    let (mut source_port, mut destination_port) = (0, 0);
    let mut transport = Transport::Udp;
    let mut tags = rest;
    loop {
        let number = u16_at(tags.bytes, 0)?;
        let length = usize::from(u16_at(tags.bytes, 2)?);
        let behind = tags.skip(4)?;
        let value = behind.bytes.get(..length)?;
        tags = behind.skip(length)?;
        match number {
            tag::END => break,
            tag::DISSECTOR => packet = layer_of(value),
            tag::SOURCE_V4 => source = ipv4_at(value, 0),
            tag::DESTINATION_V4 => destination = ipv4_at(value, 0),
            tag::SOURCE_V6 => source = ipv6_at(value, 0),
            tag::DESTINATION_V6 => destination = ipv6_at(value, 0),
            tag::PORT_TYPE => {
                transport = match u32_at(value, 0)? {
                    1 => Transport::Sctp,
                    2 => Transport::Tcp,
                    _ => Transport::Udp,
                }
            }
            tag::SOURCE_PORT => source_port = u16::try_from(u32_at(value, 0)?).ok()?,
            tag::DESTINATION_PORT => destination_port = u16::try_from(u32_at(value, 0)?).ok()?,
            _ => {}
        }
    }
    if let Some(layer) = packet {
        return Some(Exported::Packet(layer, tags));
    }
    let path = Path {
        source: SocketAddr::new(source?, source_port),
        destination: SocketAddr::new(destination?, destination_port),
        transport,
    };
    Some(Exported::Payload(path, tags))
}

/// The layer that a dissector begins with, if it is one beneath the transport. Zeros fill the name up.
fn layer_of(dissector: &[u8]) -> Option<Layer> {
    let end = dissector.iter().position(|byte| *byte == 0).unwrap_or(dissector.len());
    match dissector.get(..end)? {
        b"ip" | b"ipv4" | b"ipv6" => Some(Layer::Ip),
        b"eth" | b"eth_withfcs" | b"eth_withoutfcs" | b"eth_maybefcs" => Some(Layer::Ethernet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tags: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        for (number, value) in tags {
            frame.extend(number.to_be_bytes());
            frame.extend((value.len() as u16).to_be_bytes());
            frame.extend(*value);
        }
        frame.extend(payload);
        frame
    }

    #[test]
    fn the_tags_give_the_path() {
        let bytes = frame(
            &[
                (12, b"sip.tcp\0"),
                (20, &[192, 0, 2, 1]),
                (21, &[192, 0, 2, 2]),
                (24, &2_u32.to_be_bytes()),
                (25, &40_000_u32.to_be_bytes()),
                (26, &5061_u32.to_be_bytes()),
                (0, &[]),
            ],
            b"BYE sip:a@b SIP/2.0",
        );
        let Some(Exported::Payload(path, rest)) = read(Rest::whole(&bytes)) else { panic!("no payload") };
        assert_eq!(path.source, "192.0.2.1:40000".parse().unwrap());
        assert_eq!(path.destination, "192.0.2.2:5061".parse().unwrap());
        assert_eq!((path.transport, rest.bytes), (Transport::Tcp, &b"BYE sip:a@b SIP/2.0"[..]));
    }

    #[test]
    fn a_packet_is_known_by_its_dissector() {
        for (name, layer) in [(&b"ip\0\0"[..], Layer::Ip), (b"ipv6", Layer::Ip), (b"eth_maybefcs\0", Layer::Ethernet)] {
            let bytes = frame(&[(12, name), (0, &[])], b"E...");
            assert_eq!(read(Rest::whole(&bytes)), Some(Exported::Packet(layer, Rest::whole(b"E..."))));
        }
    }

    #[test]
    fn without_addresses_or_an_end_there_is_nothing() {
        assert!(read(Rest::whole(&frame(&[(0, &[])], b"BYE sip:a@b SIP/2.0"))).is_none());
        assert!(read(Rest::whole(&frame(&[(20, &[192, 0, 2, 1])], b""))).is_none());
    }
}
