//! Copies of SIP messages that a capture agent sends to its server: HEP versions 1, 2 and 3.
//!
//! Knows the chunks of HEP3 and the structures of its forerunners. Is given a UDP payload; gives the copied payload
//! with the addresses and the time that the agent saw; for a server, also what it must know before it takes the packet.
//! Deliberately does not know whether the same message was also seen on the wire: the delivery is marked, and the floor
//! above decides.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::capture::Place;
use crate::capture::Timestamp;
use crate::net::Datagram;
use crate::net::Delivery;
use crate::net::Mirror;
use crate::net::Path;
use crate::net::Sink;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::bytes::ipv4_at;
use crate::net::bytes::ipv6_at;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::inflate;
use crate::net::ip::protocol;
use crate::oddity::Oddity;

/// What a packet of version 3 begins with.
pub(super) const MARK: [u8; 4] = *b"HEP3";
/// The longest message that is unpacked.
const LONGEST: usize = 256 << 10;

/// What an agent copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hep<'a> {
    /// A SIP message.
    Sip(Copied<'a>),
    /// Something else: RTCP, logs, a keep-alive.
    Other,
}

/// A SIP message that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied<'a> {
    /// From whom to whom.
    pub path: Path,
    /// When the agent saw it, if it says so.
    pub time: Option<Timestamp>,
    /// The message, as it was sent.
    pub rest: Rest<'a>,
    /// Whether it is compressed.
    pub packing: Packing,
}

/// Whether the agent compressed a message (chunk 16 of version 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// It did not.
    None,
    /// With gzip, zlib or deflate.
    Deflated,
}

impl Copied<'_> {
    /// Hands on what a frame copied.
    pub(super) fn deliver(self, place: Place, sink: &mut Sink<'_>) {
        let place = Place { time: self.time.unwrap_or(place.time), ..place };
        self.deliver_as(Mirror::Hep, place, sink);
    }

    /// The same where it stands at this place, whatever it says.
    pub(super) fn deliver_as(self, mirrored: Mirror, place: Place, sink: &mut Sink<'_>) {
        let unpacked = match self.packing {
            Packing::None => None,
            Packing::Deflated => match inflate::packed(self.rest.bytes, LONGEST) {
                None => return sink.note(Oddity::Compressed, place),
                unpacked => unpacked,
            },
        };
        sink.deliver(Delivery::Datagram(Datagram {
            place,
            path: self.path,
            bytes: unpacked.as_deref().unwrap_or(self.rest.bytes),
            cut: if unpacked.is_some() { 0 } else { self.rest.missing },
            ip_id: None,
            hop_limit: 0,
            mirrored,
            checksum: None,
        }));
    }
}

/// What a server must know of a packet before it takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HepHead<'a> {
    /// When the agent saw what it copied, if it says so.
    pub time: Option<Timestamp>,
    /// What the agent proves itself with: the chunk 14 of version 3, which versions 1 and 2 lack.
    pub key: Option<&'a [u8]>,
    /// True if it copies a SIP message.
    pub is_sip: bool,
}

impl<'a> HepHead<'a> {
    /// Reads a packet of any version; `None` if it is none.
    pub fn read(bytes: &'a [u8]) -> Option<HepHead<'a>> {
        let (is_sip, time) = match read(Rest::whole(bytes))? {
            Hep::Sip(copied) => (true, copied.time),
            Hep::Other => (false, None),
        };
        Some(HepHead { time, key: key(bytes), is_sip })
    }

    /// The length of the packet of version 3 that a stream begins with; `None` if it begins with something else or is
    /// too short to tell.
    pub fn length_in_stream(bytes: &[u8]) -> Option<usize> {
        length_in_stream(bytes)
    }
}

/// Hands on what a UDP payload copies; false if it is no packet of HEP. Behind one of version 3 there may be more.
pub(super) fn deliver_all(payload: Rest<'_>, place: Place, sink: &mut Sink<'_>) -> bool {
    let mut next = Some(payload);
    let mut is_hep = false;
    while let Some((packet, rest)) = next.and_then(|rest| Some((read(rest)?, rest))) {
        is_hep = true;
        if let Hep::Sip(copied) = packet {
            copied.deliver(place, sink);
        }
        next = length_in_stream(rest.bytes).and_then(|length| rest.skip(length));
    }
    is_hep
}

/// The value of the chunk with the key, if there is one.
fn key(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = bytes.strip_prefix(&MARK)?.get(2..)?;
    loop {
        let (vendor, number) = (u16_at(chunks, 0)?, u16_at(chunks, 2)?);
        let length = usize::from(u16_at(chunks, 4)?);
        let value = chunks.get(6..length)?;
        if (vendor, number) == (0, chunk::KEY) {
            return Some(value);
        }
        chunks = chunks.get(length..)?;
    }
}

/// The length of the HEP3 packet that a stream begins with; `None` if it begins with something else or is too short.
pub(super) fn length_in_stream(bytes: &[u8]) -> Option<usize> {
    let length = usize::from(u16_at(bytes, 4)?);
    (bytes.starts_with(&MARK) && length >= 6).then_some(length)
}

/// True where it is worth calling [`read`]: all versions begin with one of these bytes.
pub(super) fn may_begin(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(b'H' | 1 | 2))
}

/// Reads a UDP payload as HEP; `None` if it is none.
pub(super) fn read(rest: Rest<'_>) -> Option<Hep<'_>> {
    match rest.bytes.first()? {
        b'H' => read_chunks(rest),
        1 | 2 => read_old(rest),
        _ => None,
    }
}

/// Chunk types of the vendor 0, the only one that matters here.
pub(super) mod chunk {
    pub const FAMILY: u16 = 1;
    pub const PROTOCOL: u16 = 2;
    pub const SOURCE_V4: u16 = 3;
    pub const DESTINATION_V4: u16 = 4;
    pub const SOURCE_V6: u16 = 5;
    pub const DESTINATION_V6: u16 = 6;
    pub const SOURCE_PORT: u16 = 7;
    pub const DESTINATION_PORT: u16 = 8;
    pub const SECONDS: u16 = 9;
    pub const MICROSECONDS: u16 = 10;
    pub const KIND: u16 = 11;
    pub const AGENT: u16 = 12;
    pub const KEY: u16 = 14;
    pub const PAYLOAD: u16 = 15;
    pub const PACKED: u16 = 16;
    pub const CORRELATION: u16 = 17;
    pub const AGENT_NAME: u16 = 19;
}

/// Version 3: "HEP3", the length of everything, and chunks of vendor, type, length and value.
fn read_chunks(rest: Rest<'_>) -> Option<Hep<'_>> {
    const SIP: u8 = 1;
    if !rest.bytes.starts_with(&MARK) {
        return None;
    }
    let length = usize::from(u16_at(rest.bytes, 4)?);
    let mut chunks = rest.limit(length.min(rest.on_wire())).skip(6)?;
    let (mut source, mut destination) = (None, None);
    let (mut source_port, mut destination_port) = (0, 0);
    let (mut transport, mut kind) = (protocol::UDP, SIP);
    let (mut seconds, mut microseconds) = (None, 0);
    let mut payload = None;
    while let (Some(vendor), Some(number), Some(length)) =
        (u16_at(chunks.bytes, 0), u16_at(chunks.bytes, 2), u16_at(chunks.bytes, 4))
    {
        let Some(length) = usize::from(length).checked_sub(6) else { break };
        let Some(behind) = chunks.skip(6) else { break };
        let value = behind.limit(length);
        if vendor == 0 {
            match number {
                chunk::PROTOCOL => transport = u8_at(value.bytes, 0)?,
                chunk::SOURCE_V4 => source = ipv4_at(value.bytes, 0),
                chunk::DESTINATION_V4 => destination = ipv4_at(value.bytes, 0),
                chunk::SOURCE_V6 => source = ipv6_at(value.bytes, 0),
                chunk::DESTINATION_V6 => destination = ipv6_at(value.bytes, 0),
                chunk::SOURCE_PORT => source_port = u16_at(value.bytes, 0)?,
                chunk::DESTINATION_PORT => destination_port = u16_at(value.bytes, 0)?,
                chunk::SECONDS => seconds = u32_at(value.bytes, 0),
                chunk::MICROSECONDS => microseconds = u32_at(value.bytes, 0)?,
                chunk::KIND => kind = u8_at(value.bytes, 0)?,
                chunk::PAYLOAD => payload = Some((value, Packing::None)),
                chunk::PACKED if payload.is_none() => payload = Some((value, Packing::Deflated)),
                _ => {}
            }
        }
        let Some(next) = behind.skip(length) else { break };
        chunks = next;
    }
    let (SIP, Some(source), Some(destination), Some((rest, packing))) = (kind, source, destination, payload) else {
        return Some(Hep::Other);
    };
    let path = path((source, source_port), (destination, destination_port), transport);
    Some(Hep::Sip(Copied { path, time: time(seconds, microseconds), rest, packing }))
}

/// Versions 1 and 2: a fixed header, in version 2 with the time in the byte order of the agent, which is little-endian
/// wherever these are still in use. What follows must begin like a word, or it is something else.
fn read_old(rest: Rest<'_>) -> Option<Hep<'_>> {
    const IPV4: u8 = 2;
    const IPV6: [u8; 3] = [10, 28, 30];
    let [version, header, family, transport] = *rest.bytes.first_chunk::<4>()?;
    let (source, destination, addressed) = match family {
        IPV4 => (ipv4_at(rest.bytes, 8)?, ipv4_at(rest.bytes, 12)?, 16_usize),
        _ if IPV6.contains(&family) => (ipv6_at(rest.bytes, 8)?, ipv6_at(rest.bytes, 24)?, 40_usize),
        _ => return None,
    };
    let timed = addressed.checked_add(12)?;
    let said = usize::from(header);
    if said != addressed && said != timed || !matches!(transport, protocol::UDP | protocol::TCP | protocol::SCTP) {
        return None;
    }
    let (time, payload) = match version {
        1 => (None, rest.skip(addressed)?),
        _ => {
            let seconds = u32_at(rest.bytes, addressed)?.swap_bytes();
            let microseconds = u32_at(rest.bytes, addressed.checked_add(4)?)?.swap_bytes();
            (time(Some(seconds), microseconds), rest.skip(timed)?)
        }
    };
    if !payload.bytes.first()?.is_ascii_alphabetic() {
        return None;
    }
    let path = path((source, u16_at(rest.bytes, 4)?), (destination, u16_at(rest.bytes, 6)?), transport);
    Some(Hep::Sip(Copied { path, time, rest: payload, packing: Packing::None }))
}

fn path(source: (IpAddr, u16), destination: (IpAddr, u16), number: u8) -> Path {
    let transport = match number {
        protocol::TCP => Transport::Tcp,
        protocol::SCTP => Transport::Sctp,
        _ => Transport::Udp,
    };
    Path { source: SocketAddr::from(source), destination: SocketAddr::from(destination), transport }
}

fn time(seconds: Option<u32>, microseconds: u32) -> Option<Timestamp> {
    let seconds = seconds.filter(|seconds| *seconds != 0)?;
    Some(Timestamp::from_parts(i64::from(seconds), u64::from(microseconds).saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;
    use crate::net::frames::Bench;

    fn chunks(list: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (number, value) in list {
            body.extend([0, 0]);
            body.extend(number.to_be_bytes());
            body.extend((value.len() as u16 + 6).to_be_bytes());
            body.extend(*value);
        }
        [&b"HEP3"[..], &(body.len() as u16 + 6).to_be_bytes(), &body].concat()
    }

    #[test]
    fn version_3_with_all_that_matters() {
        let bytes = chunks(&[
            (1, &[2]),
            (2, &[6]),
            (3, &[192, 0, 2, 1]),
            (4, &[192, 0, 2, 2]),
            (7, &5060_u16.to_be_bytes()),
            (8, &5070_u16.to_be_bytes()),
            (9, &100_u32.to_be_bytes()),
            (10, &7_u32.to_be_bytes()),
            (11, &[1]),
            (15, b"BYE sip:a@b SIP/2.0\r\n\r\n"),
        ]);
        let Some(Hep::Sip(copied)) = read(Rest::whole(&bytes)) else { panic!("no SIP found") };
        assert_eq!(copied.path.source, "192.0.2.1:5060".parse().unwrap());
        assert_eq!(copied.path.destination, "192.0.2.2:5070".parse().unwrap());
        assert_eq!(copied.path.transport, Transport::Tcp);
        assert_eq!(copied.time, Some(Timestamp(100_000_007_000)));
        assert_eq!(copied.rest, Rest::whole(b"BYE sip:a@b SIP/2.0\r\n\r\n"));
    }

    #[test]
    fn what_a_server_asks_first() {
        let bytes = chunks(&[(14, b"secret"), (3, &[192, 0, 2, 1]), (4, &[192, 0, 2, 2]), (15, b"BYE sip:a@b")]);
        assert_eq!(HepHead::read(&bytes), Some(HepHead { time: None, key: Some(b"secret"), is_sip: true }));
        assert_eq!(HepHead::length_in_stream(&bytes), Some(bytes.len()));
        let log = chunks(&[(11, &[100]), (15, b"a line")]);
        assert_eq!(HepHead::read(&log), Some(HepHead { time: None, key: None, is_sip: false }));
        assert_eq!(HepHead::read(b"GET / HTTP/1.1"), None);
        assert_eq!(key(b"HEP3\x00\x0c\0\0\0\x0e\0\x02"), None, "a chunk shorter than its head");
    }

    #[test]
    fn a_datagram_may_hold_several_packets() {
        let sip = chunks(&[(3, &[192, 0, 2, 1]), (4, &[192, 0, 2, 2]), (15, b"BYE sip:a@b SIP/2.0")]);
        let other = chunks(&[(11, &[100]), (15, b"a line")]);
        let mut bench = Bench::default();
        bench.feed(1, &frames::ethernet(&frames::ipv4(17, &frames::udp_to(9060, &[&sip[..], &other, &sip].concat()))));
        assert_eq!(bench.payloads(), [b"BYE sip:a@b SIP/2.0"; 2]);
    }

    #[test]
    fn version_3_of_something_else() {
        assert_eq!(read(Rest::whole(&chunks(&[(11, &[5]), (15, b"rtcp")]))), Some(Hep::Other));
        assert_eq!(read(Rest::whole(b"HEP3\x00\x06")), Some(Hep::Other));
        assert_eq!(read(Rest::whole(b"HELLO sip:a@b SIP/2.0")), None);
    }

    #[test]
    fn a_cut_payload_says_what_is_missing() {
        let bytes = chunks(&[(3, &[192, 0, 2, 1]), (4, &[192, 0, 2, 2]), (15, b"BYE sip:a@b")]);
        let cut = Rest { bytes: &bytes[..bytes.len() - 4], missing: 4 };
        let Some(Hep::Sip(copied)) = read(cut) else { panic!("no SIP found") };
        assert_eq!(copied.rest, Rest { bytes: b"BYE sip", missing: 4 });
    }

    #[test]
    fn versions_1_and_2() {
        let head = [16, 2, 17, 0x13, 0xC4, 0x13, 0xCE, 192, 0, 2, 1, 192, 0, 2, 2];
        let first = [&[1][..], &head, b"ACK sip:a@b"].concat();
        let Some(Hep::Sip(copied)) = read(Rest::whole(&first)) else { panic!("no SIP found") };
        assert_eq!((copied.path.source.port(), copied.path.destination.port()), (5060, 5070));
        assert_eq!((copied.time, copied.rest.bytes), (None, &b"ACK sip:a@b"[..]));
        let second = [&[2][..], &head, &[100, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0], b"ACK sip:a@b"].concat();
        let Some(Hep::Sip(copied)) = read(Rest::whole(&second)) else { panic!("no SIP found") };
        assert_eq!((copied.time, copied.rest.bytes), (Some(Timestamp(100_000_007_000)), &b"ACK sip:a@b"[..]));
        assert_eq!(read(Rest::whole(&[1, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn a_compressed_copy_is_unpacked_or_named() {
        use std::io::Read;
        let text = b"BYE sip:a@b SIP/2.0\r\n\r\n";
        let mut packed = Vec::new();
        flate2::read::ZlibEncoder::new(&text[..], flate2::Compression::best()).read_to_end(&mut packed).unwrap();
        let ends = [(3, &[192, 0, 2, 1][..]), (4, &[192, 0, 2, 2])];
        for (bytes, wanted, noted) in [(&packed[..], Some(&text[..]), 0), (&packed[..packed.len() / 2], None, 1)] {
            let packet = chunks(&[ends[0], ends[1], (16, bytes)]);
            let Some(Hep::Sip(copied)) = read(Rest::whole(&packet)) else { panic!("no copy") };
            let (mut log, mut found) = (crate::oddity::OddityLog::default(), None);
            let mut keep = |delivery: Delivery<'_>| {
                if let Delivery::Datagram(datagram) = delivery {
                    found = Some(datagram.bytes.to_vec());
                }
            };
            copied.deliver(Place::default(), &mut Sink { oddities: &mut log, deliver: &mut keep });
            assert_eq!(found.as_deref(), wanted);
            assert_eq!(log.of("payload-unreadable").map_or(0, |noted| noted.count), noted);
        }
    }
}
