//! Frames that carry a payload from one address to another, made anew with right lengths and checksums.
//!
//! Is given a path and a payload; gives one Ethernet frame. Keeps nothing of the frame in which the payload came, so
//! that nothing of it can leak. Deliberately knows no fragments: a frame may be longer than any wire would carry.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::IpHeaders;
use etherparse::PacketBuilder;
use etherparse::PacketBuilderStep;

use crate::net::IcmpError;
use crate::net::Path;
use crate::net::bytes::to_u32;

/// Bytes of a payload that one IP packet has room for beside its headers.
const MOST: usize = 65_000;
/// Bytes of a payload that an ICMP error quotes (RFC 1812 §4.3.2.3).
const QUOTED: usize = 500;
/// Connections whose sequence numbers are remembered.
const MOST_CONNECTIONS: usize = 100_000;
/// The first sequence number of every direction.
const FIRST_SEQUENCE: u32 = 1000;
const WINDOW: u16 = 65_535;
const HOPS: u8 = 64;

/// Makes frames, and remembers how far the streams are.
#[derive(Debug, Clone, Default)]
pub struct Maker {
    sent: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

impl Maker {
    /// A frame with this payload: UDP where the path says so, else a segment of TCP. `None` if the two addresses are of
    /// different families.
    pub fn frame(&mut self, path: Path, payload: &[u8]) -> Option<Vec<u8>> {
        let payload = payload.get(..payload.len().min(MOST))?;
        let ip = between(path.source.ip(), path.destination.ip())?;
        let (from, to) = (path.source.port(), path.destination.port());
        if !path.transport.is_reliable() {
            return written(ip.udp(from, to), payload);
        }
        let own = self.sequence(path.source, path.destination);
        let other = self.sequence(path.destination, path.source);
        if let Some(sent) = self.sent.get_mut(&(path.source, path.destination)) {
            *sent = sent.wrapping_add(to_u32(payload.len()));
        }
        written_segment(ip.tcp(from, to, own, WINDOW).psh().ack(other), payload)
    }

    /// Leaves out so many bytes of a stream, of which nothing is known.
    pub fn lose(&mut self, path: Path, missing: u32) {
        if let Some(sent) = self.sent.get_mut(&(path.source, path.destination)) {
            *sent = sent.wrapping_add(missing);
        }
    }

    /// A frame with an ICMP error that quotes this payload of this path.
    pub fn icmp(error: &IcmpError<'_>, reporter: IpAddr, quoted: Path, payload: &[u8]) -> Option<Vec<u8>> {
        let payload = payload.get(..payload.len().min(QUOTED))?;
        let frame = Maker::default().frame(quoted, payload)?;
        // Behind the Ethernet header stands what is quoted.
        let packet = frame.get(14..)?;
        let ip = between(reporter, quoted.source.ip())?;
        let mtu = error.mtu.to_be_bytes();
        let mut out = Vec::new();
        match reporter {
            IpAddr::V4(_) => {
                let rest = [0, 0, *mtu.get(2)?, *mtu.get(3)?];
                ip.icmpv4_raw(error.what.kind, error.what.code, rest).write(&mut out, packet).ok()?;
            }
            IpAddr::V6(_) => {
                ip.icmpv6_raw(error.what.kind, error.what.code, mtu).write(&mut out, packet).ok()?;
            }
        }
        Some(out)
    }

    fn sequence(&mut self, from: SocketAddr, to: SocketAddr) -> u32 {
        if let Some(known) = self.sent.get(&(from, to)) {
            return *known;
        }
        if self.sent.len() >= MOST_CONNECTIONS {
            self.sent.clear();
        }
        self.sent.insert((from, to), FIRST_SEQUENCE);
        FIRST_SEQUENCE
    }
}

/// Ethernet and IP headers between two hosts. Their hardware addresses are made up and all the same.
fn between(source: IpAddr, destination: IpAddr) -> Option<PacketBuilderStep<IpHeaders>> {
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Some(ethernet.ipv4(source.octets(), destination.octets(), HOPS))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Some(ethernet.ipv6(source.octets(), destination.octets(), HOPS))
        }
        _ => None,
    }
}

fn written(step: PacketBuilderStep<etherparse::UdpHeader>, payload: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(step.size(payload.len()));
    step.write(&mut out, payload).ok()?;
    Some(out)
}

fn written_segment(step: PacketBuilderStep<etherparse::TcpHeader>, payload: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(step.size(payload.len()));
    step.write(&mut out, payload).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{LinkType, Packet, SourceId, Timestamp};
    use crate::net::{Decoder, Delivery, Transport};
    use crate::oddity::OddityLog;

    fn path(transport: Transport, source: &str, destination: &str) -> Path {
        Path { source: source.parse().unwrap(), destination: destination.parse().unwrap(), transport }
    }

    /// Payloads that the decoder finds in frames, and what it found odd.
    fn decoded(frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, OddityLog) {
        let (mut decoder, mut oddities, mut payloads) = (Decoder::default(), OddityLog::default(), Vec::new());
        for (number, bytes) in (1..).zip(frames) {
            let original_len = u32::try_from(bytes.len()).unwrap();
            let (time, source, link) = (Timestamp(number), SourceId(0), LinkType(1));
            let number = number.cast_unsigned();
            let packet = Packet { time, source, number, link, bytes, original_len };
            decoder.feed(&packet, &mut oddities, |delivery| match delivery {
                Delivery::Datagram(datagram) => payloads.push(datagram.bytes.to_vec()),
                Delivery::Segment(segment) => payloads.push(segment.bytes.to_vec()),
                _ => {}
            });
        }
        (payloads, oddities)
    }

    #[test]
    fn payloads_come_out_as_they_went_in() {
        let text = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n".to_vec();
        for (source, destination) in
            [("192.0.2.1:5060", "192.0.2.2:5062"), ("[2001:db8::1]:5060", "[2001:db8::2]:5062")]
        {
            for transport in [Transport::Udp, Transport::Tcp] {
                let path = path(transport, source, destination);
                let mut maker = Maker::default();
                let frames = [maker.frame(path, &text), maker.frame(path, &text)].map(Option::unwrap);
                let (payloads, oddities) = decoded(&frames);
                assert_eq!(payloads, [text.clone(), text.clone()]);
                assert!(oddities.is_empty(), "{oddities:?}");
            }
        }
    }

    #[test]
    fn a_stream_may_have_a_hole() {
        let path = path(Transport::Tcp, "192.0.2.1:5060", "192.0.2.2:5062");
        let mut maker = Maker::default();
        let first = maker.frame(path, b"BYE sip:a@b SIP/2.0\r\nl: 9\r\n\r\nx").unwrap();
        maker.lose(path, 8);
        let frames = [
            first,
            maker.frame(path, b"ACK sip:a@b").unwrap(),
            maker.frame(path.reversed(), b"SIP/2.0 200 OK\r\n").unwrap(),
        ];
        let (payloads, oddities) = decoded(&frames);
        assert_eq!(payloads.len(), 3);
        assert_eq!(oddities.of("stream-gap").unwrap().example, crate::oddity::Oddity::StreamGap { bytes: 8 });
    }

    #[test]
    fn families_are_not_mixed() {
        let path = path(Transport::Udp, "192.0.2.1:5060", "[2001:db8::2]:5062");
        assert_eq!(Maker::default().frame(path, b"x"), None);
    }
}
