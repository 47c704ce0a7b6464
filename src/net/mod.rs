//! From packets to payloads with their path.
//!
//! Knows link layers, tunnels, IP, fragments, UDP, TCP streams and ICMP errors. Is given [`Packet`]s; gives
//! [`Delivery`]s. Deliberately does not know SIP.
//!
//! The door of the `etherparse` crate is in this room and nowhere else. Nothing here indexes, unwraps or computes
//! what could overflow: the input may be hostile.

// The input may be hostile: what could panic is refused, outside tests.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod bytes;
mod connection;
mod content;
mod decoder;
mod dns;
mod ends;
mod exported;
mod fast;
mod fragments;
#[cfg(test)]
mod frames;
mod hep;
mod hep_record;
mod icmp;
mod incomplete;
mod inflate;
mod ip;
mod kept;
mod link;
mod made;
mod older_link;
mod pieces;
mod preamble;
mod rtp;
mod sctp;
mod sketch;
mod start_line;
mod stream;
mod tcp;
mod tls;
mod tunnel;
mod tunnel_udp;
mod websocket;
mod wireless;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::capture::Packet;
use crate::capture::Place;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;

pub use crate::net::decoder::Decoder;
pub(crate) use crate::net::dns::without_service;
pub use crate::net::dns::{DnsMessage, DnsRecord, PORT as DNS_PORT};
pub use crate::net::ends::Ends;
pub(crate) use crate::net::fast::Plain;
pub use crate::net::hep::HepHead;
pub use crate::net::hep_record::{HepRecord, RecordOf};
pub use crate::net::icmp::{IcmpCode, Undelivered};
pub use crate::net::made::Maker;
pub use crate::net::rtp::{DtlsAlert, MediaPacket, ReportBlock, Rtp, Stun, StunClass, TelephoneEvent, report_blocks};
pub use crate::net::sketch::{FragmentOf, connection_of, fragment_of};
pub use crate::net::tls::{Alert, BadLine, Certificate, Ended, HandshakeFailure, KeyLog, TlsConnection, version_name};

/// What carries a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Transport {
    /// UDP (RFC 768).
    #[serde(rename = "UDP")]
    Udp,
    /// TCP (RFC 9293).
    #[serde(rename = "TCP")]
    Tcp,
    /// TLS over TCP, decrypted (RFC 8446).
    #[serde(rename = "TLS")]
    Tls,
    /// SCTP (RFC 9260).
    #[serde(rename = "SCTP")]
    Sctp,
    /// WebSocket (RFC 7118).
    #[serde(rename = "WS")]
    Ws,
    /// WebSocket over TLS, decrypted.
    #[serde(rename = "WSS")]
    Wss,
}

impl Transport {
    /// True where the transport itself repeats what is lost, so that SIP does not (RFC 3261 §17.1.1.2).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// The token of a Via header (RFC 3261 §20.42).
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Sctp => "SCTP",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// From whom to whom, innermost addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// By what.
    pub transport: Transport,
}

impl Path {
    /// The way back.
    pub fn reversed(self) -> Path {
        Path { source: self.destination, destination: self.source, transport: self.transport }
    }

    /// True if a packet on one path can be one on the other before or behind a translation of addresses. A host that
    /// sends again from another port, or over another transport, has its own address on both.
    pub(crate) fn may_be_translated_to(self, other: Path) -> bool {
        let is_resent = self.source != other.source && self.source.ip() == other.source.ip();
        self != other && self.transport == other.transport && !is_resent
    }
}

/// One direction of one TCP connection. A new connection between the same ports has a new number; the two
/// directions differ in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What the decoder hands on.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Delivery<'a> {
    /// A whole datagram (UDP, reassembled if it was fragmented; one WebSocket or SCTP message).
    Datagram(Datagram<'a>),
    /// The next bytes of a stream, in order, each byte once.
    Segment(Segment<'a>),
    /// An ICMP or ICMPv6 error.
    Icmp(IcmpError<'a>),
    /// Something happened to a TCP connection.
    Connection(Connection),
    /// A TLS connection has ended, or the input has: what was seen of it.
    Tls(&'a TlsConnection),
    /// A UDP datagram that came in fragments: that it is whole, before it is delivered, or that it will not be.
    Fragmented(Fragmented<'a>),
}

/// What became of a UDP datagram that came in fragments.
#[derive(Debug, Clone, Copy)]
pub struct Fragmented<'a> {
    /// The frame that completed it; else that of its first fragment.
    pub place: Place,
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// `None` if it is whole, else the payload up to the first fragment that is missing.
    pub beginning: Option<&'a [u8]>,
}

/// A whole datagram.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The frame that completed it; `index` is 0. The time of a copy out of HEP is the one that HEP gives.
    pub place: Place,
    /// From whom to whom. What was one message of a stream when an agent copied it (HEP) or Wireshark exported it has
    /// TCP here.
    pub path: Path,
    /// The payload.
    pub bytes: &'a [u8],
    /// Bytes that the capture cut off (snap length), 0 if it is whole.
    pub cut: u32,
    /// The identification of the innermost IPv4 header; `None` for IPv6, for 0, which proves nothing, and for messages
    /// that no one packet carried.
    pub ip_id: Option<u16>,
    /// TTL or Hop Limit of the innermost IP header (RFC 791 §3.2, RFC 8200 §3); 0 where it is not known.
    pub hop_limit: u8,
    /// Whether it was on the wire here, or is a copy that an agent sent.
    pub mirrored: Mirror,
    /// What its UDP header holds as checksum (RFC 768); `None` where there is no such header.
    pub checksum: Option<u16>,
}

/// Whether a payload was itself on the wire, or is a copy inside a protocol for copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mirror {
    /// It was on the wire.
    Wire,
    /// It is a copy inside HEP. It counts only where it is the only one.
    Hep,
}

/// The next bytes of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// The frame that completed these bytes; `index` is 0.
    pub place: Place,
    /// From whom to whom.
    pub path: Path,
    /// Which direction of which connection.
    pub stream: StreamId,
    /// Bytes missing right before these; 0 if they follow what was delivered before. At a start in mid-stream, where
    /// nothing was delivered before, 0.
    pub gap: u32,
    /// True where bytes before these are unknown in number: at the first segment of a stream whose beginning (SYN) was
    /// not captured, and where a stream shows SIP that carried nothing of the kind for long and was passed over.
    pub midstream: bool,
    /// The bytes; none where only the gap is told, as soon as it is known.
    pub bytes: &'a [u8],
}

/// An ICMP or ICMPv6 error (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy)]
pub struct IcmpError<'a> {
    /// The frame that carried it.
    pub place: Place,
    /// Who sent the error.
    pub reporter: IpAddr,
    /// To whom.
    pub told: IpAddr,
    /// What it says.
    pub what: IcmpCode,
    /// The next hop's MTU where the error gives it (IPv4 type 3 code 4, IPv6 type 2), else 0.
    pub mtu: u32,
    /// The path of the quoted packet; `None` if it is neither UDP nor TCP or has no ports.
    pub quoted: Option<Path>,
    /// What is quoted of its payload; may be empty.
    pub quoted_bytes: &'a [u8],
}

/// Something happened to a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The frame in which it happened.
    pub place: Place,
    /// From whom to whom.
    pub path: Path,
    /// Which direction of which connection.
    pub stream: StreamId,
    /// What.
    pub what: ConnectionEvent,
}

/// What happened to a TCP connection (RFC 9293 §3.5–3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConnectionEvent {
    /// SYN without ACK. Repeated SYNs are told each time.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// FIN: this direction will send no more.
    Fin,
    /// RST in answer to a SYN: refused.
    Refused,
    /// RST of a connection that stood.
    Reset,
    /// Bytes of SIP once more, which the receiver has not acknowledged. Told each time.
    Repeated,
    /// The receiver acknowledges what was repeated.
    Acknowledged,
    /// The receiver acknowledges bytes that may be SIP, for the first time.
    Received,
    /// The tables were full, and this stream was forgotten.
    Forgotten,
    /// TLS records began. Told once for each connection.
    Encrypted,
    /// A TLS alert that could be read (RFC 8446 §6).
    TlsAlert {
        /// 1 for a warning, 2 for a fatal alert.
        level: u8,
        /// What is wrong, as <https://www.iana.org/assignments/tls-parameters> numbers it.
        description: u8,
    },
}

/// Bounds of the decoder. Each is settable by `--limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Layers of encapsulation.
    pub layers: u8,
    /// Bytes of IP fragments held, and of parts of SCTP messages.
    pub fragment_bytes: usize,
    /// Bytes of TCP segments held out of order, over all streams.
    pub stream_bytes: usize,
    /// TCP streams followed.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { layers: 16, fragment_bytes: 8 << 20, stream_bytes: 16 << 20, streams: 65_536 }
    }
}

/// Where what is found goes.
struct Sink<'s> {
    oddities: &'s mut OddityLog,
    deliver: &'s mut dyn FnMut(Delivery<'_>),
}

impl Sink<'_> {
    fn note(&mut self, oddity: Oddity, place: Place) {
        self.oddities.note(oddity, Some(place.frame));
    }

    /// Notes what belongs to a frame that may be an earlier one than that at hand.
    fn note_at(&mut self, oddity: Oddity, place: Place) {
        self.oddities.note_at(oddity, place.frame, place.time.0);
    }

    fn deliver(&mut self, delivery: Delivery<'_>) {
        (self.deliver)(delivery);
    }
}

/// The place of a packet's first message.
#[inline]
pub(crate) fn place_of(packet: &Packet<'_>) -> Place {
    Place { time: packet.time, source: packet.source, frame: packet.number, index: 0 }
}
