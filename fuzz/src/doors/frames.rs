//! Frames of raw IP, made of bytes that an examiner invents.

use sipwhy::capture::LinkType;

/// LINKTYPE_RAW: a frame begins with IP.
pub const RAW: LinkType = LinkType(101);

/// Headers that are read one by one.
pub const HEADERS: [&str; 24] = [
    "Via",
    "From",
    "To",
    "Contact",
    "Call-ID",
    "CSeq",
    "Route",
    "Record-Route",
    "Content-Length",
    "Content-Type",
    "Reason",
    "Warning",
    "Retry-After",
    "WWW-Authenticate",
    "Authorization",
    "Proxy-Authorization",
    "Refer-To",
    "Session-Expires",
    "Supported",
    "Allow",
    "Event",
    "Max-Forwards",
    "P-Asserted-Identity",
    "Identity",
];

const CLIENT: [u8; 4] = [192, 0, 2, 10];
const SERVER: [u8; 4] = [192, 0, 2, 20];

/// The numbers of an IPv4 header that matter here.
struct Ip {
    protocol: u8,
    id: u16,
    flags: u16,
    from_server: bool,
}

fn ip(ip: &Ip, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend(ip.id.to_be_bytes());
    bytes.extend(ip.flags.to_be_bytes());
    bytes.extend([64, ip.protocol, 0, 0]);
    let (from, to) = if ip.from_server { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
    bytes.extend(from);
    bytes.extend(to);
    bytes.extend(payload);
    bytes
}

/// A datagram to a port; only as much of it as fits.
pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(65_000)];
    let mut bytes = 5060_u16.to_be_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    ip(&Ip { protocol: 17, id: 0, flags: 0x4000, from_server: false }, &bytes)
}

/// Fragments: for each two bytes of offset (in eights, 13 bits) and flags, one of the number of the datagram, one of
/// length, then its bytes.
pub fn fragments(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(([high, low, id, length], behind)) = bytes.split_first_chunk() {
        let (payload, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        let flags = u16::from_be_bytes([*high & 0x3f, *low]);
        let protocol = if id & 0x80 == 0 { 17 } else { 6 };
        frames.push(ip(&Ip { protocol, id: u16::from(id & 3), flags, from_server: id & 0x40 != 0 }, payload));
        bytes = behind;
    }
    frames
}

/// Segments: for each two bytes of place in the stream, one of direction and flags, one of length, then its bytes.
pub fn segments(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(([high, low, what, length], behind)) = bytes.split_first_chunk() {
        let (payload, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        let place = u16::from_be_bytes([*high, *low]);
        // So near the end of the numbers that a stream passes it.
        let sequence = 0xffff_8000_u32.wrapping_add(u32::from(place));
        frames.push(segment(5060, sequence, what & 0x17, *what & 0x80 != 0, payload));
        bytes = behind;
    }
    frames
}

/// A stream that was captured from its SYN on, in segments of some hundred bytes.
pub fn stream(port: u16, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![segment(port, 999, 2, false, &[]), segment(port, 4999, 0x12, true, &[])];
    let mut sequence = 1000;
    for piece in bytes.chunks(700) {
        frames.push(segment(port, sequence, 0x18, false, piece));
        sequence += piece.len() as u32;
    }
    frames
}

/// A connection in which both sides speak in turn: for each piece one byte of direction, two of length, then its bytes.
pub fn talk(port: u16, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![segment(port, 999, 2, false, &[]), segment(port, 4999, 0x12, true, &[])];
    let mut sequences = [1000, 5000];
    while let Some(([direction, high, low], behind)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high & 0x3f, *low])).min(behind.len());
        let (payload, behind) = behind.split_at(length);
        let from_server = direction & 1 == 1;
        let sequence = &mut sequences[usize::from(from_server)];
        frames.push(segment(port, *sequence, 0x18, from_server, payload));
        *sequence += payload.len() as u32;
        bytes = behind;
    }
    frames
}

fn segment(port: u16, sequence: u32, flags: u8, from_server: bool, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = if from_server { (port, 40_000) } else { (40_000, port) };
    let mut bytes = u16::to_be_bytes(source).to_vec();
    bytes.extend(u16::to_be_bytes(destination));
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    ip(&Ip { protocol: 6, id: 0, flags: 0x4000, from_server }, &bytes)
}
