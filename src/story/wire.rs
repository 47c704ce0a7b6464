//! From payloads to frames: UDP, TCP and ICMP in IPv4 and IPv6 in Ethernet, with right checksums.
//!
//! Knows header formats. Is given payloads with their paths, in order of time; gives frames. Deliberately does not
//! know SIP.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::net::Path;
use crate::story::script::{Answer, Checksum, Closing, IcmpKind};

/// One frame, and when it was captured: microseconds since the start of the story.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub time: i64,
    pub bytes: Vec<u8>,
}

/// What the network remembers between two packets.
#[derive(Debug, Default)]
pub(super) struct Wire {
    frames: Vec<Frame>,
    identifications: BTreeMap<IpAddr, u16>,
    /// The next sequence number of each direction of a TCP connection.
    sequences: BTreeMap<(SocketAddr, SocketAddr), u32>,
    /// The last IP packet from one address to another, for ICMP to quote.
    last: BTreeMap<(IpAddr, IpAddr), Vec<u8>>,
    /// What each address holds as UDP checksum.
    checksums: BTreeMap<SocketAddr, Checksum>,
}

const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const FRAGMENT: u8 = 44;

/// Bytes of an IP packet on Ethernet at most.
const MTU: usize = 1500;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Wire {
    /// A network between these addresses, with what each holds as UDP checksum.
    pub fn new(checksums: impl Iterator<Item = (SocketAddr, Checksum)>) -> Wire {
        Wire { checksums: checksums.collect(), ..Wire::default() }
    }

    /// Every frame in order of time.
    pub fn into_frames(mut self) -> Vec<Frame> {
        self.frames.sort_by_key(|frame| frame.time);
        self.frames
    }

    /// One datagram, in as many fragments as it needs.
    pub fn datagram(&mut self, time: i64, path: Path, payload: &[u8]) {
        let length = 8 + payload.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&path.source.port().to_be_bytes());
        bytes.extend_from_slice(&path.destination.port().to_be_bytes());
        bytes.extend_from_slice(&low16(length).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(payload);
        let (source, destination) = (path.source.ip(), path.destination.ip());
        let sum = match self.checksums.get(&path.source).copied().unwrap_or_default() {
            Checksum::LeftOut => 0,
            Checksum::NotYetWritten => fold(pseudo_header(source, destination, UDP, bytes.len())),
            Checksum::Right => match transport_checksum(source, destination, UDP, &bytes) {
                0 => 0xffff,
                sum => sum,
            },
        };
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        self.packet(time, path.source.ip(), path.destination.ip(), UDP, &bytes);
    }

    /// Bytes of a stream, cut into segments; opens the connection if there is none.
    pub fn stream(&mut self, time: i64, path: Path, payload: &[u8], segment: usize) {
        self.open(time, path, Shown::Yes);
        for (index, part) in payload.chunks(segment.max(1)).enumerate() {
            let time = time + 12 * i64::try_from(index).unwrap_or(0);
            self.segment(time, path, PSH | ACK, part);
            self.segment(time + 40, path.reversed(), ACK, &[]);
        }
    }

    /// The same without an acknowledgement: after these times the segments come again.
    pub fn unacknowledged_stream(&mut self, time: i64, path: Path, payload: &[u8], segment: usize, again: &[i64]) {
        self.open(time, path, Shown::Yes);
        let way = (path.source, path.destination);
        let first = self.sequences.get(&way).copied().unwrap_or(0);
        for later in std::iter::once(&0).chain(again) {
            self.sequences.insert(way, first);
            for (part, index) in payload.chunks(segment.max(1)).zip(0_i64..) {
                self.segment(time + later + 12 * index, path, PSH | ACK, part);
            }
        }
    }

    /// Bytes of a stream that the capture does not hold: only the numbers go on.
    pub fn missed_stream(&mut self, path: Path, payload: &[u8]) {
        self.open(0, path, Shown::No);
        self.advance(path, payload.len());
    }

    /// Asks for a connection that does not come about.
    pub fn knock(&mut self, time: i64, path: Path, answer: Answer) {
        let (way, back) = ((path.source, path.destination), (path.destination, path.source));
        let first = first_sequence(path);
        self.sequences.insert(way, first);
        self.segment(time, path, SYN, &[]);
        if answer == Answer::Refused {
            self.sequences.insert(way, first.wrapping_add(1));
            self.sequences.insert(back, 0);
            self.segment(time + 400, path.reversed(), RST | ACK, &[]);
        }
        self.sequences.remove(&way);
        self.sequences.remove(&back);
    }

    /// Ends a connection.
    pub fn close(&mut self, time: i64, path: Path, with: Closing) {
        match with {
            Closing::Reset => self.segment(time, path, RST | ACK, &[]),
            Closing::Fin => {
                self.segment(time, path, FIN | ACK, &[]);
                self.advance(path, 1);
                self.segment(time + 200, path.reversed(), FIN | ACK, &[]);
                self.advance(path.reversed(), 1);
                self.segment(time + 240, path, ACK, &[]);
            }
        }
        self.sequences.remove(&(path.source, path.destination));
        self.sequences.remove(&(path.destination, path.source));
    }

    /// An ICMP error that quotes the last packet from `told` to `about` (RFC 792, RFC 4443). False if there was none.
    #[must_use]
    pub fn icmp(&mut self, time: i64, reporter: IpAddr, kind: IcmpKind, told: IpAddr, about: IpAddr, mtu: u16) -> bool {
        let Some(quoted) = self.last.get(&(told, about)) else {
            return false;
        };
        let (protocol, kind, code, most) = match (told.is_ipv4(), kind) {
            (true, IcmpKind::Net) => (ICMP, 3, 0, 548),
            (true, IcmpKind::Host) => (ICMP, 3, 1, 548),
            (true, IcmpKind::Port) => (ICMP, 3, 3, 548),
            (true, IcmpKind::FragmentationNeeded) => (ICMP, 3, 4, 548),
            (true, IcmpKind::Prohibited) => (ICMP, 3, 13, 548),
            (true, IcmpKind::HopLimit) => (ICMP, 11, 0, 548),
            (false, IcmpKind::Net) => (ICMP6, 1, 0, 1232),
            (false, IcmpKind::Prohibited) => (ICMP6, 1, 1, 1232),
            (false, IcmpKind::Host) => (ICMP6, 1, 3, 1232),
            (false, IcmpKind::Port) => (ICMP6, 1, 4, 1232),
            (false, IcmpKind::FragmentationNeeded) => (ICMP6, 2, 0, 1232),
            (false, IcmpKind::HopLimit) => (ICMP6, 3, 0, 1232),
        };
        let mut bytes = vec![kind, code, 0, 0, 0, 0, 0, 0];
        if (protocol, kind, code) == (ICMP, 3, 4) || kind == 2 {
            bytes[6..8].copy_from_slice(&mtu.to_be_bytes());
        }
        bytes.extend_from_slice(&quoted[..quoted.len().min(most)]);
        let sum = match protocol {
            ICMP => !fold(sum(&bytes)),
            _ => transport_checksum(reporter, told, ICMP6, &bytes),
        };
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        self.packet(time, reporter, told, protocol, &bytes);
        true
    }

    /// The three segments that open a connection, shortly before `time`.
    fn open(&mut self, time: i64, path: Path, shown: Shown) {
        if self.sequences.contains_key(&(path.source, path.destination)) {
            return;
        }
        let back = path.reversed();
        for way in [path, back] {
            self.sequences.insert((way.source, way.destination), first_sequence(way));
        }
        if shown == Shown::Yes {
            self.segment(time - 300, path, SYN, &[]);
        }
        self.advance(path, 1);
        if shown == Shown::Yes {
            self.segment(time - 200, back, SYN | ACK, &[]);
        }
        self.advance(back, 1);
        if shown == Shown::Yes {
            self.segment(time - 100, path, ACK, &[]);
        }
    }

    fn segment(&mut self, time: i64, path: Path, flags: u8, payload: &[u8]) {
        let back = path.reversed();
        let sequence = self.sequences.get(&(path.source, path.destination)).copied().unwrap_or(0);
        let acknowledged = match flags & ACK {
            0 => 0,
            _ => self.sequences.get(&(back.source, back.destination)).copied().unwrap_or(0),
        };
        let mut bytes = Vec::with_capacity(20 + payload.len());
        bytes.extend_from_slice(&path.source.port().to_be_bytes());
        bytes.extend_from_slice(&path.destination.port().to_be_bytes());
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&acknowledged.to_be_bytes());
        bytes.extend_from_slice(&[0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        bytes.extend_from_slice(payload);
        let sum = transport_checksum(path.source.ip(), path.destination.ip(), TCP, &bytes);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        self.packet(time, path.source.ip(), path.destination.ip(), TCP, &bytes);
        self.advance(path, payload.len());
    }

    fn advance(&mut self, path: Path, bytes: usize) {
        if let Some(sequence) = self.sequences.get_mut(&(path.source, path.destination)) {
            *sequence = sequence.wrapping_add(u32::try_from(bytes).unwrap_or(0));
        }
    }

    /// One IP packet, in as many fragments as it needs.
    fn packet(&mut self, time: i64, source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) {
        let next = self.identifications.entry(source).or_insert(0x1000);
        *next = next.wrapping_add(1);
        let identification = *next;
        let header = if source.is_ipv4() { 20 } else { 40 };
        let whole = header + payload.len() <= MTU;
        // IPv6 says in a header of its own what IPv4 has in its first.
        let fragment_header = if source.is_ipv4() { 0 } else { 8 };
        let room = if whole { payload.len().max(1) } else { (MTU - header - fragment_header) / 8 * 8 };
        let mut offset = 0;
        for (index, part) in payload.chunks(room).enumerate() {
            let more = offset + part.len() < payload.len();
            let place = low16(offset) | u16::from(more);
            let packet = match (source, destination) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    let place = (low16(offset / 8)) | if more { 0x2000 } else { 0 };
                    let addresses = (source.octets(), destination.octets());
                    ipv4(addresses, identification, place, protocol, part)
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) if whole => {
                    ipv6(source.octets(), destination.octets(), protocol, part)
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    let mut fragment = vec![protocol, 0];
                    fragment.extend_from_slice(&place.to_be_bytes());
                    fragment.extend_from_slice(&u32::from(identification).to_be_bytes());
                    fragment.extend_from_slice(part);
                    ipv6(source.octets(), destination.octets(), FRAGMENT, &fragment)
                }
                // Paths of two families are refused when the story is read.
                _ => return,
            };
            let bytes = ethernet(source, destination, &packet);
            self.frames.push(Frame { time: time + i64::try_from(index).unwrap_or(0), bytes });
            if index == 0 {
                self.last.insert((source, destination), packet);
            }
            offset += part.len();
        }
    }
}

/// The sequence number with which one side begins: any will do, as long as the two differ.
fn first_sequence(path: Path) -> u32 {
    let ports = u32::from(path.source.port()) << 16 | u32::from(path.destination.port());
    ports.wrapping_mul(0x9e37_79b1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

fn ethernet(source: IpAddr, destination: IpAddr, packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + packet.len());
    frame.extend_from_slice(&hardware_address(destination));
    frame.extend_from_slice(&hardware_address(source));
    frame.extend_from_slice(if source.is_ipv4() { &[0x08, 0x00] } else { &[0x86, 0xdd] });
    frame.extend_from_slice(packet);
    frame
}

/// A locally administered address that ends as the IP address does.
fn hardware_address(address: IpAddr) -> [u8; 6] {
    let tail: [u8; 4] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            [octets[12], octets[13], octets[14], octets[15]]
        }
    };
    [2, 0, tail[0], tail[1], tail[2], tail[3]]
}

fn ipv4((source, destination): ([u8; 4], [u8; 4]), id: u16, place: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&low16(20 + payload.len()).to_be_bytes());
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&place.to_be_bytes());
    packet.extend_from_slice(&[64, protocol, 0, 0]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    let checksum = !fold(sum(&packet));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn ipv6(source: [u8; 16], destination: [u8; 16], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&low16(payload.len()).to_be_bytes());
    packet.extend_from_slice(&[protocol, 64]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    packet.extend_from_slice(payload);
    packet
}

/// The checksum over the pseudo-header and the bytes (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1).
fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    !fold(pseudo_header(source, destination, protocol, bytes.len()) + sum(bytes))
}

fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u32 {
    let of = |address: IpAddr| match address {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    };
    of(source) + of(destination) + u32::from(protocol) + u32::try_from(length).unwrap_or(0)
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))).sum()
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    low16(sum as usize)
}

/// The low 16 bits: lengths here fit, since a payload of more than 65507 bytes is refused when the story is read.
fn low16(number: usize) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or(0)
}
