//! One TCP connection: both directions and what happens to it.
//!
//! Knows what the flags of a segment mean (RFC 9293 §3.1) and which of two directions it belongs to. Is given segments;
//! gives events, and the bytes to the direction that they belong to. Deliberately does not choose which connections
//! are kept.

use std::hash::Hash;
use std::hash::Hasher;
use std::net::IpAddr;
use std::net::SocketAddr;

use etherparse::TcpHeaderSlice;

use crate::capture::Place;
use crate::net::Connection;
use crate::net::ConnectionEvent;
use crate::net::Delivery;
use crate::net::Path;
use crate::net::Sink;
use crate::net::StreamId;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::content::Marks;
use crate::net::kept::Kept;
use crate::net::stream::Line;
use crate::net::stream::Stream;
use crate::net::stream::Told;

/// Two ends, the lower first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    low: End,
    high: End,
}

/// An address and a port: of what a [`SocketAddr`] has beside them nothing stands in a packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    ip: IpAddr,
    port: u16,
}

/// Which end sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The lower one.
    Low,
    /// The higher one.
    High,
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Both {
    /// Its number, in order of opening.
    pub number: u64,
    from_low: Stream,
    from_high: Stream,
    reset: Told,
    marks: Marks,
}

impl Sender {
    /// Who sends what a stream carries.
    pub(super) fn of(stream: StreamId) -> Sender {
        if stream.0 & 1 == 0 { Sender::Low } else { Sender::High }
    }

    /// The other one.
    pub(super) fn other(self) -> Sender {
        match self {
            Sender::Low => Sender::High,
            Sender::High => Sender::Low,
        }
    }
}

impl Hash for Pair {
    /// Two words for IPv4, where the derived one makes a dozen small writes for every packet.
    fn hash<H: Hasher>(&self, state: &mut H) {
        for end in [self.low, self.high] {
            match end.ip {
                IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 16 | u64::from(end.port)),
                IpAddr::V6(ip) => {
                    state.write_u128(ip.to_bits());
                    state.write_u16(end.port);
                }
            }
        }
    }
}

impl End {
    fn of(address: SocketAddr) -> End {
        End { ip: address.ip(), port: address.port() }
    }

    fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

impl Pair {
    /// The ends of a path, and which of them sends.
    pub(super) fn of(path: Path) -> (Pair, Sender) {
        if path.source <= path.destination {
            (Pair { low: End::of(path.source), high: End::of(path.destination) }, Sender::Low)
        } else {
            (Pair { low: End::of(path.destination), high: End::of(path.source) }, Sender::High)
        }
    }

    /// The path from an end to the other.
    pub(super) fn path(self, sender: Sender) -> Path {
        let (source, destination) = (self.low.address(), self.high.address());
        let path = Path { source, destination, transport: Transport::Tcp };
        match sender {
            Sender::Low => path,
            Sender::High => path.reversed(),
        }
    }
}

impl Both {
    /// A connection of which nothing was seen.
    pub(super) fn new(number: u64) -> Both {
        let id = number.saturating_mul(2);
        Both {
            number,
            from_low: Stream::new(StreamId(id)),
            from_high: Stream::new(StreamId(id | 1)),
            reset: Told::NotYet,
            marks: Marks::default(),
        }
    }

    /// What an end sends.
    pub(super) fn stream(&self, sender: Sender) -> &Stream {
        match sender {
            Sender::Low => &self.from_low,
            Sender::High => &self.from_high,
        }
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.from_low.weight().saturating_add(self.from_high.weight()).saturating_add(self.marks.weight())
    }

    /// Whether it has ended, by a reset or by both sides.
    pub(super) fn is_closed(&self) -> bool {
        let finished = [self.from_low.finished, self.from_high.finished];
        self.reset == Told::Already || finished == [Told::Already; 2]
    }

    /// Whether bytes wait behind a hole.
    pub(super) fn is_holding(&self) -> bool {
        self.from_low.is_waiting() || self.from_high.is_waiting()
    }

    /// Whether a segment belongs to this connection, and not to a later one between the same ports.
    pub(super) fn follows(&self, sender: Sender, header: &TcpHeaderSlice<'_>, payload: Rest<'_>) -> bool {
        let own = self.stream(sender);
        if header.syn() {
            // What has ended does not begin again: a device may take the same number for each of its connections. One
            // that carried nothing was refused, and its SYN is repeated.
            if self.is_closed() && (self.from_low.has_carried() || self.from_high.has_carried()) {
                return false;
            }
            return own.may_begin(header.sequence_number());
        }
        payload.bytes.is_empty() || own.may_continue(header.sequence_number())
    }

    /// Does the same to both directions.
    pub(super) fn each(
        &mut self,
        pair: Pair,
        place: Place,
        kept: &mut Kept,
        sink: &mut Sink<'_>,
        what: impl Fn(&mut Stream, &mut Line<'_, '_>),
    ) {
        let marks = &mut self.marks;
        let path = pair.path(Sender::Low);
        let ip_id = None;
        what(&mut self.from_low, &mut Line { path, place, ip_id, kept, marks, sink });
        what(&mut self.from_high, &mut Line { path: path.reversed(), place, ip_id, kept, marks, sink });
    }

    /// Tells what was seen of it as a whole, now that it is taken out.
    pub(super) fn end(&mut self, kept: &mut Kept, sink: &mut Sink<'_>) {
        self.marks.end(&mut kept.keys, sink);
    }

    /// Takes one segment: what it says of the connection, of the other direction, and its bytes.
    #[expect(clippy::too_many_arguments, reason = "it is what one frame and its table are made of")]
    pub(super) fn take(
        &mut self,
        sender: Sender,
        path: Path,
        place: Place,
        ip_id: Option<u16>,
        header: &TcpHeaderSlice<'_>,
        payload: Rest<'_>,
        kept: &mut Kept,
        sink: &mut Sink<'_>,
    ) {
        let (own, other) = match sender {
            Sender::Low => (&mut self.from_low, &mut self.from_high),
            Sender::High => (&mut self.from_high, &mut self.from_low),
        };
        let marks = &mut self.marks;
        let sequence = header.sequence_number();
        let tell = |stream: StreamId, what: ConnectionEvent, sink: &mut Sink<'_>| {
            sink.deliver(Delivery::Connection(Connection { place, path, stream, what }));
        };
        if header.syn() {
            own.begin(sequence);
            if header.ack() {
                other.expect(header.acknowledgment_number());
            }
            tell(own.id, if header.ack() { ConnectionEvent::SynAck } else { ConnectionEvent::Syn }, sink);
        }
        if header.ack() {
            let mut line = Line { path: path.reversed(), place, ip_id, kept, marks, sink };
            other.acknowledge(header.acknowledgment_number(), &mut line);
            if payload.on_wire() > 0 {
                other.release_before_answer(&mut line);
            }
        }
        if header.rst() {
            let refused = other.has_begun() && !own.has_begun();
            if self.reset == Told::NotYet {
                own.flush(&mut Line { path, place, ip_id, kept, marks, sink });
                other.flush(&mut Line { path: path.reversed(), place, ip_id, kept, marks, sink });
                marks.hear_end(place, path.source, ConnectionEvent::Reset);
                tell(own.id, if refused { ConnectionEvent::Refused } else { ConnectionEvent::Reset }, sink);
            }
            self.reset = Told::Already;
            return;
        }
        let first = sequence.wrapping_add(u32::from(header.syn()));
        if payload.on_wire() > 0 {
            own.receive(first, payload, &mut Line { path, place, ip_id, kept, marks, sink });
        }
        if header.fin() && own.finished == Told::NotYet {
            marks.hear_end(place, path.source, ConnectionEvent::Fin);
            let end = first.wrapping_add(to_u32(payload.on_wire()));
            own.end(end, &mut Line { path, place, ip_id, kept, marks, sink });
        }
        own.end_if_all_is_there(&mut Line { path, place, ip_id, kept, marks, sink });
    }
}
