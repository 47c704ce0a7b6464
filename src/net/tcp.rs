//! TCP connections (RFC 9293).
//!
//! Knows which segments belong to one connection and one direction, and when a new one begins between the same ports.
//! Is given TCP packets; gives the bytes of each direction in order, and what happens to the connections. Deliberately
//! does not verify checksums: offloading leaves them unset.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use etherparse::TcpHeaderSlice;

use crate::capture::Place;
use crate::capture::Timestamp;
use crate::net::Connection;
use crate::net::ConnectionEvent;
use crate::net::Delivery;
use crate::net::Limits;
use crate::net::Path;
use crate::net::Sink;
use crate::net::StreamId;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::content::Marks;
use crate::net::recent::Recent;
use crate::net::stream::Line;
use crate::net::stream::Stream;
use crate::net::stream::Tails;
use crate::net::stream::Told;
use crate::oddity::Oddity;

/// How often holes are looked at that nothing new arrives behind.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The connections that are followed, bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    connections: Recent<Pair, Both>,
    tails: Tails,
    /// Connections that hold bytes behind a hole, by number.
    holding: BTreeMap<u64, Pair>,
    bytes: usize,
    opened: u64,
    looked: Timestamp,
    limits: Limits,
}

/// Two ends, the lower first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    low: SocketAddr,
    high: SocketAddr,
}

/// Which end sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Low,
    High,
}

/// Both directions of a connection.
#[derive(Debug)]
struct Both {
    number: u64,
    from_low: Stream,
    from_high: Stream,
    reset: Told,
    marks: Marks,
}

impl ConnectionTable {
    /// A table without connections.
    pub(super) fn new(limits: Limits) -> ConnectionTable {
        ConnectionTable {
            connections: Recent::new(),
            tails: Tails::new(),
            holding: BTreeMap::new(),
            bytes: 0,
            opened: 0,
            looked: Timestamp(i64::MIN),
            limits,
        }
    }

    /// Takes one TCP packet.
    pub(super) fn take(
        &mut self,
        place: Place,
        source: IpAddr,
        destination: IpAddr,
        rest: Rest<'_>,
        sink: &mut Sink<'_>,
    ) {
        let Ok(header) = TcpHeaderSlice::from_slice(rest.bytes) else { return };
        let Some(payload) = rest.skip(header.slice().len()) else { return };
        let path = Path {
            source: SocketAddr::new(source, header.source_port()),
            destination: SocketAddr::new(destination, header.destination_port()),
            transport: Transport::Tcp,
        };
        let (pair, sender) = Pair::of(path);
        let follows = self.connections.get_mut(&pair).map(|both| both.follows(sender, &header, payload));
        match follows {
            Some(true) => {}
            Some(false) => {
                self.close(pair, place, sink);
                self.open(pair, place, sink);
            }
            // A reset of something that was never seen says nothing about any connection.
            None if header.rst() && payload.bytes.is_empty() => return,
            None => self.open(pair, place, sink),
        }
        let Some(both) = self.connections.get_mut(&pair) else { return };
        let before = both.weight();
        both.take(sender, path, place, &header, payload, &mut self.tails, sink);
        let after = both.weight();
        if before != after {
            self.account(pair, before, place, sink);
        }
        if place.time.since(self.looked) > LOOK_EVERY || self.looked > place.time {
            self.look(place, sink);
        }
    }

    /// Looks whether what waits has waited long enough.
    pub(super) fn look(&mut self, place: Place, sink: &mut Sink<'_>) {
        self.looked = place.time;
        let pairs: Vec<Pair> = self.holding.values().copied().collect();
        for pair in pairs {
            let Some(both) = self.connections.peek_mut(&pair) else { continue };
            let before = both.weight();
            both.each(pair, place, &mut self.tails, sink, Stream::release);
            self.account(pair, before, place, sink);
        }
    }

    /// Hands on everything that waits.
    pub(super) fn finish(&mut self, place: Place, sink: &mut Sink<'_>) {
        while let Some((pair, mut both)) = self.connections.pop_oldest() {
            both.each(pair, place, &mut self.tails, sink, Stream::flush);
        }
        self.holding.clear();
        self.bytes = 0;
    }

    fn open(&mut self, pair: Pair, place: Place, sink: &mut Sink<'_>) {
        while self.connections.len() >= (self.limits.streams / 2).max(1) {
            self.forget_oldest(place, sink);
        }
        self.opened = self.opened.saturating_add(1);
        self.connections.insert(pair, Both::new(self.opened));
    }

    fn forget_oldest(&mut self, place: Place, sink: &mut Sink<'_>) {
        let Some((&pair, both)) = self.connections.oldest() else { return };
        let events = match both.is_closed() {
            true => Vec::new(),
            false => [Sender::Low, Sender::High].map(|sender| (pair.path(sender), both.stream(sender).id)).to_vec(),
        };
        self.close(pair, place, sink);
        if !events.is_empty() {
            sink.note(Oddity::LimitHit { limit: "streams", value: self.limits.streams as u64 }, place);
        }
        for (path, stream) in events {
            sink.deliver(Delivery::Connection(Connection { place, path, stream, what: ConnectionEvent::Forgotten }));
        }
    }

    /// Takes a connection out, and hands on what waits in it.
    fn close(&mut self, pair: Pair, place: Place, sink: &mut Sink<'_>) {
        let Some(mut both) = self.connections.remove(&pair) else { return };
        self.bytes = self.bytes.saturating_sub(both.weight());
        self.holding.remove(&both.number);
        both.each(pair, place, &mut self.tails, sink, Stream::flush);
    }

    fn account(&mut self, pair: Pair, before: usize, place: Place, sink: &mut Sink<'_>) {
        let Some(both) = self.connections.peek_mut(&pair) else { return };
        self.bytes = self.bytes.saturating_add(both.weight()).saturating_sub(before);
        if self.bytes > self.limits.stream_bytes {
            sink.note(Oddity::LimitHit { limit: "stream-bytes", value: self.limits.stream_bytes as u64 }, place);
            let weight = both.weight();
            both.each(pair, place, &mut self.tails, sink, Stream::flush);
            self.bytes = self.bytes.saturating_add(both.weight()).saturating_sub(weight);
        }
        if both.from_low.is_holding() || both.from_high.is_holding() {
            self.holding.insert(both.number, pair);
        } else {
            self.holding.remove(&both.number);
        }
    }
}

impl Pair {
    fn of(path: Path) -> (Pair, Sender) {
        if path.source <= path.destination {
            (Pair { low: path.source, high: path.destination }, Sender::Low)
        } else {
            (Pair { low: path.destination, high: path.source }, Sender::High)
        }
    }

    fn path(self, sender: Sender) -> Path {
        let path = Path { source: self.low, destination: self.high, transport: Transport::Tcp };
        match sender {
            Sender::Low => path,
            Sender::High => path.reversed(),
        }
    }
}

impl Both {
    fn new(number: u64) -> Both {
        let id = number.saturating_mul(2);
        Both {
            number,
            from_low: Stream::new(StreamId(id)),
            from_high: Stream::new(StreamId(id | 1)),
            reset: Told::NotYet,
            marks: Marks::default(),
        }
    }

    fn stream(&self, sender: Sender) -> &Stream {
        match sender {
            Sender::Low => &self.from_low,
            Sender::High => &self.from_high,
        }
    }

    fn weight(&self) -> usize {
        self.from_low.weight().saturating_add(self.from_high.weight())
    }

    fn is_closed(&self) -> bool {
        let finished = [self.from_low.finished, self.from_high.finished];
        self.reset == Told::Already || finished == [Told::Already; 2]
    }

    /// Whether a segment belongs to this connection, and not to a later one between the same ports.
    fn follows(&self, sender: Sender, header: &TcpHeaderSlice<'_>, payload: Rest<'_>) -> bool {
        let own = self.stream(sender);
        if header.syn() {
            return own.may_begin(header.sequence_number());
        }
        payload.bytes.is_empty() || own.may_continue(header.sequence_number())
    }

    /// Does the same to both directions.
    fn each(
        &mut self,
        pair: Pair,
        place: Place,
        tails: &mut Tails,
        sink: &mut Sink<'_>,
        what: impl Fn(&mut Stream, &mut Line<'_, '_>),
    ) {
        let marks = &mut self.marks;
        let path = pair.path(Sender::Low);
        what(&mut self.from_low, &mut Line { path, place, tails, marks, sink });
        what(&mut self.from_high, &mut Line { path: path.reversed(), place, tails, marks, sink });
    }

    #[expect(clippy::too_many_arguments, reason = "it is what one frame and its table are made of")]
    fn take(
        &mut self,
        sender: Sender,
        path: Path,
        place: Place,
        header: &TcpHeaderSlice<'_>,
        payload: Rest<'_>,
        tails: &mut Tails,
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
            let mut line = Line { path: path.reversed(), place, tails, marks, sink };
            other.acknowledge(header.acknowledgment_number(), &mut line);
        }
        if header.rst() {
            let refused = other.has_begun() && !own.has_begun();
            if self.reset == Told::NotYet {
                own.flush(&mut Line { path, place, tails, marks, sink });
                other.flush(&mut Line { path: path.reversed(), place, tails, marks, sink });
                tell(own.id, if refused { ConnectionEvent::Refused } else { ConnectionEvent::Reset }, sink);
            }
            self.reset = Told::Already;
            return;
        }
        let first = sequence.wrapping_add(u32::from(header.syn()));
        if payload.on_wire() > 0 {
            own.data(first, payload, &mut Line { path, place, tails, marks, sink });
        }
        if header.fin() && own.finished == Told::NotYet {
            own.finished = Told::Already;
            tell(own.id, ConnectionEvent::Fin, sink);
        }
    }
}
