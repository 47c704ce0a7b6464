//! Frames for the tests of this floor, built by hand.

use crate::capture::LinkType;
use crate::capture::Packet;
use crate::capture::SourceId;
use crate::capture::Timestamp;
use crate::net::Connection;
use crate::net::Datagram;
use crate::net::Decoder;
use crate::net::Delivery;
use crate::net::IcmpError;
use crate::net::Limits;
use crate::net::Segment;
use crate::oddity::OddityLog;

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
    packet[6..8].copy_from_slice(&((offset / 8) | (more << 13)).to_be_bytes());
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

/// One TCP segment in Ethernet, from the client (192.0.2.1:40000) or the server (192.0.2.2:5060).
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    pub sender: Sender,
    pub flags: u8,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub payload: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

impl Tcp<'_> {
    /// Bytes from the client.
    pub fn of(sequence: u32, payload: &[u8]) -> Tcp<'_> {
        Tcp { sender: Sender::Client, flags: ACK, sequence, acknowledgment: 0, payload }
    }

    /// The frame.
    pub fn frame(self) -> Vec<u8> {
        let mut ports = [40_000_u16.to_be_bytes(), 5060_u16.to_be_bytes()];
        if self.sender == Sender::Server {
            ports.reverse();
        }
        let mut tcp = ports.concat();
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.acknowledgment.to_be_bytes());
        tcp.extend([0x50, self.flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        tcp.extend(self.payload);
        let mut ip = ipv4(6, &tcp);
        if self.sender == Sender::Server {
            ip[15] = 2;
            ip[19] = 1;
        }
        ethernet(&ip)
    }
}

/// A decoder, and everything that it handed on and noted.
#[derive(Debug, Default)]
pub struct Bench {
    pub decoder: Decoder,
    pub log: OddityLog,
    pub datagrams: Vec<(Datagram<'static>, Vec<u8>)>,
    pub segments: Vec<(Segment<'static>, Vec<u8>)>,
    pub errors: Vec<(IcmpError<'static>, Vec<u8>)>,
    pub events: Vec<Connection>,
    frame: u64,
}

impl Bench {
    /// With these bounds.
    pub fn new(limits: Limits) -> Bench {
        Bench { decoder: Decoder::new(limits), ..Bench::default() }
    }

    /// Feeds the next frame, one second after the last one.
    pub fn feed(&mut self, link: u32, bytes: &[u8]) {
        self.feed_cut(link, bytes, bytes.len());
    }

    /// The same, of a frame that had `wire` bytes.
    pub fn feed_cut(&mut self, link: u32, bytes: &[u8], wire: usize) {
        self.frame += 1;
        self.feed_at(link, bytes, wire, self.frame as i64 * 1_000_000_000);
    }

    /// The same at a time in nanoseconds, for the frame that is the latest already.
    pub fn feed_at(&mut self, link: u32, bytes: &[u8], wire: usize, time: i64) {
        let packet = Packet {
            time: Timestamp(time),
            original_len: u32::try_from(wire).unwrap(),
            ..packet(link, self.frame, bytes)
        };
        let Bench { decoder, log, datagrams, segments, errors, events, .. } = self;
        decoder.feed(&packet, log, |delivery| keep(delivery, datagrams, segments, errors, events));
    }

    /// Feeds TCP segments.
    pub fn tcp(&mut self, list: &[Tcp<'_>]) {
        for segment in list {
            self.feed(1, &segment.frame());
        }
    }

    /// The handshake: the client's data begins at `sequence` + 1, the server's at 9001.
    pub fn handshake(&mut self, sequence: u32) {
        let syn = Tcp { flags: SYN, ..Tcp::of(sequence, b"") };
        let both = Tcp {
            sender: Sender::Server,
            flags: SYN | ACK,
            sequence: 9000,
            acknowledgment: sequence.wrapping_add(1),
            payload: b"",
        };
        self.tcp(&[syn, both, Tcp { acknowledgment: 9001, ..Tcp::of(sequence.wrapping_add(1), b"") }]);
    }

    /// The end of the input.
    pub fn finish(&mut self) {
        let Bench { decoder, log, datagrams, segments, errors, events, .. } = self;
        decoder.finish(log, |delivery| keep(delivery, datagrams, segments, errors, events));
    }

    /// Time passes.
    pub fn advance(&mut self, time: i64) {
        let Bench { decoder, log, datagrams, segments, errors, events, .. } = self;
        decoder.advance(Timestamp(time), log, |delivery| keep(delivery, datagrams, segments, errors, events));
    }

    /// What one direction carried, with `-` where bytes are missing.
    pub fn stream(&self, sender: Sender) -> String {
        let port = if sender == Sender::Client { 40_000 } else { 5060 };
        let mut text = String::new();
        for (segment, bytes) in self.segments.iter().filter(|(s, _)| s.path.source.port() == port) {
            if segment.gap > 0 {
                text.push('-');
            }
            text.push_str(&String::from_utf8_lossy(bytes));
        }
        text
    }

    /// The frames of each segment.
    pub fn segment_frames(&self) -> Vec<u64> {
        self.segments.iter().map(|(segment, _)| segment.place.frame).collect()
    }

    /// The payload of each datagram.
    pub fn payloads(&self) -> Vec<&[u8]> {
        self.datagrams.iter().map(|(_, bytes)| bytes.as_slice()).collect()
    }

    /// How often a kind of oddity was noted.
    pub fn noted(&self, kind: &str) -> u64 {
        self.log.of(kind).map_or(0, |noted| noted.count)
    }
}

fn keep(
    delivery: Delivery<'_>,
    datagrams: &mut Vec<(Datagram<'static>, Vec<u8>)>,
    segments: &mut Vec<(Segment<'static>, Vec<u8>)>,
    errors: &mut Vec<(IcmpError<'static>, Vec<u8>)>,
    events: &mut Vec<Connection>,
) {
    match delivery {
        Delivery::Datagram(Datagram { place, path, bytes, cut, ip_id, hop_limit, mirrored, checksum }) => {
            datagrams.push((
                Datagram { place, path, bytes: &[], cut, ip_id, hop_limit, mirrored, checksum },
                bytes.to_vec(),
            ));
        }
        Delivery::Segment(Segment { place, path, stream, gap, midstream, bytes }) => {
            segments.push((Segment { place, path, stream, gap, midstream, bytes: &[] }, bytes.to_vec()));
        }
        Delivery::Icmp(error) => {
            errors.push((IcmpError { quoted_bytes: &[], ..error }, error.quoted_bytes.to_vec()));
        }
        Delivery::Connection(connection) => events.push(connection),
        Delivery::Tls(_) | Delivery::Fragmented(_) => {}
    }
}
