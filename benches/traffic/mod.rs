//! Traffic to measure with: messages, frames and captures, the same at every run.
#![allow(dead_code)] // Each bench uses a part of it.

use std::net::{Ipv4Addr, SocketAddr};

use sipwhy::capture::{LinkType, Packet, SourceId, Timestamp};

/// Bytes of an Ethernet, an IPv4 and a UDP header.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;

/// A frame and when it was captured, in microseconds.
pub struct Frame {
    pub micros: u64,
    pub bytes: Vec<u8>,
}

/// The headers that every message of a call has.
fn common(call: u32, via: &str, from: &str, to: &str, cseq: &str) -> String {
    format!(
        "Via: SIP/2.0/UDP {via};branch=z9hG4bK{call:08x}{tail};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:+1202555{caller:04}@example.com>;tag=f{call:08x}\r\n\
         To: <sip:+1202556{caller:04}@example.com>{to}\r\n\
         Call-ID: {call:08x}-made-for-measuring@{from}\r\n\
         CSeq: {cseq}\r\n",
        caller = call % 10_000,
        tail = cseq.replace(' ', "").replace("ACK", "INVITE").replace("CANCEL", "INVITE"),
    )
}

/// A session description of ordinary length.
pub const SDP: &str = "v=0\r\no=- 20518 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

/// An INVITE of ordinary length, about 1 kB.
pub fn invite(call: u32) -> Vec<u8> {
    let head = common(call, "192.0.2.10:5060", "192.0.2.10", "", "1 INVITE");
    format!(
        "INVITE sip:+1202556{:04}@example.com SIP/2.0\r\n{head}\
         Contact: <sip:+1202555{:04}@192.0.2.10:5060;transport=udp>\r\n\
         User-Agent: Measured Phone 1.0\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY\r\n\
         Supported: replaces, timer, 100rel\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        call % 10_000,
        call % 10_000,
        SDP.len()
    )
    .into_bytes()
}

fn request(call: u32, method: &str, cseq: u32) -> Vec<u8> {
    let head = common(call, "192.0.2.10:5060", "192.0.2.10", ";tag=t1", &format!("{cseq} {method}"));
    format!("{method} sip:192.0.2.20 SIP/2.0\r\n{head}Content-Length: 0\r\n\r\n").into_bytes()
}

fn response(call: u32, status: &str, cseq: &str, more: &str) -> Vec<u8> {
    let head = common(call, "192.0.2.10:5060", "192.0.2.10", ";tag=t1", cseq);
    format!("SIP/2.0 {status}\r\n{head}{more}Server: Measured Server 1.0\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// The messages of one call: who sends (the caller first), milliseconds since its start, bytes. One in eight fails.
fn call(number: u32) -> Vec<(bool, u64, Vec<u8>)> {
    let begin = [(true, 0, invite(number)), (false, 2, response(number, "100 Trying", "1 INVITE", ""))];
    let rest = if number.is_multiple_of(8) {
        vec![
            (false, 30, response(number, "503 Service Unavailable", "1 INVITE", "Retry-After: 30\r\n")),
            (true, 31, request(number, "ACK", 1)),
        ]
    } else {
        vec![
            (false, 40, response(number, "180 Ringing", "1 INVITE", "")),
            (false, 900, response(number, "200 OK", "1 INVITE", "Contact: <sip:192.0.2.20>\r\n")),
            (true, 910, request(number, "ACK", 1)),
            (true, 9_000, request(number, "BYE", 2)),
            (false, 9_010, response(number, "200 OK", "2 BYE", "")),
        ]
    };
    begin.into_iter().chain(rest).collect()
}

/// Frames of so many calls, a hundred beginning each second, in order of time.
pub fn calls(count: u32) -> Vec<Frame> {
    let (caller, server) = (address(10, 5060), address(20, 5060));
    let mut frames: Vec<Frame> = Vec::new();
    for number in 0..count {
        for (from_caller, millis, bytes) in call(number) {
            let (source, destination) = if from_caller { (caller, server) } else { (server, caller) };
            let micros = (u64::from(number) * 10 + millis) * 1_000;
            frames.push(Frame { micros, bytes: udp(source, destination, &bytes) });
        }
    }
    frames.sort_by_key(|frame| frame.micros);
    frames
}

/// RTP in frames, a packet every 20 ms of each of so many streams.
pub fn rtp(streams: u16, packets: u32) -> Vec<Frame> {
    let mut frames = Vec::new();
    for number in 0..packets {
        for stream in 0..streams {
            let mut bytes = vec![0x80, 8];
            bytes.extend_from_slice(&(number as u16).to_be_bytes());
            bytes.extend_from_slice(&(number * 160).to_be_bytes());
            bytes.extend_from_slice(&u32::from(stream).to_be_bytes());
            bytes.resize(172, 0xd5);
            let frame = udp(address(10, 40_000 + 2 * stream), address(20, 30_000 + 2 * stream), &bytes);
            frames.push(Frame { micros: u64::from(number) * 20_000 + u64::from(stream), bytes: frame });
        }
    }
    frames
}

fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), port))
}

/// A whole UDP datagram in one frame.
pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    ip(source, destination, 0x4000, &datagram(source, destination, payload))
}

/// A UDP datagram in fragments of so many bytes, a multiple of eight (RFC 791 §3.2).
pub fn fragments(payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (source, destination) = (address(10, 5060), address(20, 5060));
    let datagram = datagram(source, destination, payload);
    let pieces = datagram.chunks(size);
    let last = pieces.len() - 1;
    let flags = |index: usize| (index * size / 8) as u16 | if index == last { 0 } else { 0x2000 };
    pieces.enumerate().map(|(index, piece)| ip(source, destination, flags(index), piece)).collect()
}

fn datagram(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(UDP + payload.len());
    bytes.extend_from_slice(&source.port().to_be_bytes());
    bytes.extend_from_slice(&destination.port().to_be_bytes());
    bytes.extend_from_slice(&((UDP + payload.len()) as u16).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(payload);
    bytes
}

/// An Ethernet frame with an IPv4 packet; the flags and the offset of a fragment are one number.
fn ip(source: SocketAddr, destination: SocketAddr, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ETHERNET + IPV4 + payload.len());
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    bytes.extend_from_slice(&[0x45, 0]);
    bytes.extend_from_slice(&((IPV4 + payload.len()) as u16).to_be_bytes());
    bytes.extend_from_slice(&[0x12, 0x34]);
    bytes.extend_from_slice(&flags.to_be_bytes());
    bytes.extend_from_slice(&[64, 17, 0, 0]);
    for end in [source, destination] {
        if let SocketAddr::V4(address) = end {
            bytes.extend_from_slice(&address.ip().octets());
        }
    }
    let sum: u32 = bytes[ETHERNET..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    bytes[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame as a source would give it.
pub fn packet(number: u64, frame: &[u8]) -> Packet<'_> {
    Packet {
        time: Timestamp((number * 1_000) as i64),
        source: SourceId::default(),
        number,
        link: LinkType(1),
        bytes: frame,
        original_len: frame.len() as u32,
    }
}

/// The bytes of a capture file (pcap, microseconds, Ethernet).
pub fn capture(frames: &[Frame]) -> Vec<u8> {
    const START: u64 = 1_772_442_000;
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for frame in frames {
        let length = frame.bytes.len() as u32;
        let seconds = (START + frame.micros / 1_000_000) as u32;
        for word in [seconds, (frame.micros % 1_000_000) as u32, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&frame.bytes);
    }
    file
}

/// Requests of one Call-ID, each with a branch of its own, and none of them answered.
pub fn registrations(count: u32) -> Vec<Frame> {
    let frame = |number: u32| {
        let head = common(1, "192.0.2.10:5060", "192.0.2.10", "", &format!("{number} REGISTER"));
        let bytes = format!("REGISTER sip:example.com SIP/2.0\r\n{head}Content-Length: 0\r\n\r\n").into_bytes();
        Frame { micros: u64::from(number) * 1_000, bytes: udp(address(10, 5060), address(20, 5060), &bytes) }
    };
    (1..=count).map(frame).collect()
}
