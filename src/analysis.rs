//! The staircase: packets come in at the front door, calls that have ended come out.
//!
//! Nothing here opens, prints, waits or asks for the time: the only clock is the capture's. A file and an interface
//! differ only in that an interface also says [`Input::Quiet`].
//!
//! There are two doors. [`Analysis::feed`] takes packets. Beneath it, [`Analysis::deliver`] takes what a
//! [`Decoder`] gives, and [`Analysis::message`] takes one message with its path and place: for those who
//! decode elsewhere.

mod by_source;
mod census;
mod clocks;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::call::{self, Arrival, Call, ChecksumFault, ClockSeen, Ended, GoodCall, Surroundings, Tracker, Wanted};
use crate::capture::{self, Input, Packet, Place, Source, SourceId, Timestamp};
use crate::keyed::Counted;
use crate::net::{
    self, BadLine, ConnectionEvent, DNS_PORT, Datagram, Decoder, Delivery, DnsMessage, IcmpCode, IcmpError, KeyLog,
    MediaPacket, Mirror, Path, Plain, Segment, StreamId, Transport, place_of,
};
use crate::oddity::{Oddity, OddityLog};
use crate::recent::Recent;
use crate::sip::{self, CSeq, Cut, Framer, Message, Method, StatusCode};

use crate::analysis::by_source::BySource;
pub use crate::analysis::census::Census;

/// Every bound of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of messages on streams that are not whole yet, over all streams.
    pub unframed_bytes: usize,
    /// Those of one message on a stream.
    pub framing: sip::frame::Limits,
    /// Those of the decoder.
    pub net: net::Limits,
    /// Those of the tracker.
    pub call: call::Limits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unframed_bytes: 16 << 20,
            framing: sip::frame::Limits::default(),
            net: net::Limits::default(),
            call: call::Limits::default(),
        }
    }
}

/// What came out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message has been read ([`Analysis::hand_on_messages`]).
    Message(Box<MessageRead>),
    /// A call has ended, or the input has.
    Call(Box<Call>),
    /// A plain good call has ended that nobody wants whole ([`Wanted::Troubled`]).
    Good(GoodCall),
    /// A call was answered, or has failed as it stands now; it has not ended ([`Analysis::tell_early`]).
    SoFar(Box<Call>),
}

/// A message on the wire, as it was read: copies and retransmissions too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRead {
    /// Where it stands.
    pub place: Place,
    /// From where to where it went.
    pub path: Path,
    /// The method of a request.
    pub method: Option<Method>,
    /// The code of a response; `None` for one that is not SIP.
    pub status: Option<StatusCode>,
    /// The reason phrase of a response, as it was sent.
    pub reason_phrase: String,
    /// The Call-ID, bytes that are not UTF-8 replaced.
    pub call_id: String,
    /// The CSeq.
    pub cseq: Option<CSeq>,
    /// Whether it was itself on the wire, or is a copy that an agent sent over it.
    pub mirrored: Mirror,
    /// Its bytes as they came; empty unless [`Analysis::hand_on_bytes`] asked for them.
    pub bytes: Box<[u8]>,
}

/// What is handed on of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandedOn {
    Facts,
    FactsAndBytes,
}

impl MessageRead {
    fn new(message: &Message<'_>, arrival: &Arrival, mirrored: Mirror, bytes: &[u8]) -> MessageRead {
        MessageRead {
            mirrored,
            bytes: bytes.into(),
            place: arrival.place,
            path: arrival.path,
            method: message.method().cloned(),
            status: message.status(),
            reason_phrase: message.reason_phrase().into_owned(),
            call_id: String::from_utf8_lossy(message.call_id()).into_owned(),
            cseq: message.cseq().cloned(),
        }
    }
}

/// What was counted in one input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages on the wire: retransmissions and duplicates too, fragments as one, without those quoted in ICMP.
    pub sip_messages: u64,
    /// What was odd, of the network and of messages.
    pub oddities: OddityLog,
}

/// Follows a capture from packets to calls.
#[derive(Debug)]
pub struct Analysis {
    decoder: Decoder,
    /// Oddities of the network, by source.
    of_network: BySource<OddityLog>,
    stairs: Stairs,
    /// The latest time of any packet: until then the capture would have shown what is missing.
    latest: Timestamp,
    /// Inputs whose clocks are not those of the others.
    clocks: Vec<ClockSeen>,
}

/// What stands above the decoder.
#[derive(Debug)]
struct Stairs {
    tracker: Tracker,
    streams: Recent<StreamId, Stream, Counted>,
    /// Bytes of messages on streams that are not whole yet, and how many there may be.
    unframed: usize,
    most_unframed: usize,
    framing: sip::frame::Limits,
    counts: BySource<Counts>,
    census: Census,
    /// The frame that last gave a message, and how many it gave.
    last_frame: (SourceId, u64, u32),
    /// The last ICMP error: when it came, and what it said to whom about what.
    last_icmp: Option<(Timestamp, IcmpSaid)>,
    /// Messages to be handed on, if that was asked for.
    read: Option<VecDeque<MessageRead>>,
    handed_on: HandedOn,
    /// Whether what is being delivered was itself on the wire.
    mirrored: Mirror,
}

/// Reporter, told one, what it says, path of the quoted packet.
type IcmpSaid = (IpAddr, IpAddr, IcmpCode, Option<Path>);

/// Within this time the same ICMP error again is a copy that a tap made: no host sends them so fast for SIP or media.
const TAP: Duration = Duration::from_millis(10);

/// One direction of a TCP connection.
#[derive(Debug)]
struct Stream {
    framer: Framer,
    path: Path,
    /// Where its last bytes stood.
    last: Place,
}

/// Feeds everything `source` gives, and hands on every event in order.
///
/// # Errors
/// What stops the source.
pub fn run(
    source: &mut dyn Source,
    analysis: &mut Analysis,
    mut on_event: impl FnMut(&Analysis, Event),
) -> Result<(), capture::Error> {
    while let Some(input) = source.next()? {
        match input {
            Input::Packet(packet) => analysis.feed(&packet),
            Input::Quiet(now) => analysis.advance(now),
            Input::Secrets(source, text) => analysis.secrets(source, text),
            Input::ClockSet(nanoseconds) => analysis.clock_set(nanoseconds),
        }
        while let Some(event) = analysis.next_event() {
            on_event(analysis, event);
        }
    }
    analysis.finish();
    while let Some(event) = analysis.next_event() {
        on_event(analysis, event);
    }
    Ok(())
}

impl Default for Analysis {
    fn default() -> Analysis {
        Analysis::new(Limits::default(), Wanted::default())
    }
}

impl Analysis {
    /// An analysis with these bounds.
    pub fn new(limits: Limits, wanted: Wanted) -> Analysis {
        Analysis {
            decoder: Decoder::new(limits.net),
            of_network: BySource::default(),
            stairs: Stairs {
                tracker: Tracker::new(limits.call, wanted),
                streams: Recent::new(),
                unframed: 0,
                most_unframed: limits.unframed_bytes,
                framing: limits.framing,
                counts: BySource::default(),
                census: Census::default(),
                last_frame: (SourceId::default(), 0, 0),
                last_icmp: None,
                read: None,
                handed_on: HandedOn::Facts,
                mirrored: Mirror::Wire,
            },
            latest: Timestamp(i64::MIN),
            clocks: Vec::new(),
        }
    }

    /// Asks for an event for each message that is read from now on.
    pub fn hand_on_messages(&mut self) {
        self.stairs.read.get_or_insert_default();
    }

    /// The same, with the bytes of each message.
    pub fn hand_on_bytes(&mut self) {
        self.hand_on_messages();
        self.stairs.handed_on = HandedOn::FactsAndBytes;
    }

    /// Asks for an event for each call that is answered or has failed, before it has ended.
    pub fn tell_early(&mut self) {
        self.stairs.tracker.tell_early();
    }

    /// Says that the input has no end: what is too old to explain a call is forgotten from time to time.
    pub fn run_for_ever(&mut self) {
        self.stairs.tracker.run_for_ever();
    }

    /// Says that the capture's clock was set by so many nanoseconds, and that nobody waited for them.
    pub fn clock_set(&mut self, nanoseconds: i64) {
        self.latest = Timestamp(self.latest.0.saturating_add(nanoseconds));
        self.stairs.tracker.clock_set(nanoseconds);
        let oddities = self.of_network.of(self.stairs.last_frame.0);
        oddities.note(Oddity::ClockSet { nanoseconds }, None);
    }

    /// Checks refused credentials against these secrets from now on.
    pub fn use_secrets(&mut self, secrets: sip::digest::Secrets) {
        self.stairs.tracker.use_secrets(secrets);
    }

    /// The secrets with which TLS is opened; more can be added at any time, for records that come later.
    pub fn keys(&mut self) -> &mut KeyLog {
        self.decoder.keys()
    }

    /// Takes in secrets of TLS that stand in an input: the text of a key log.
    pub fn secrets(&mut self, source: SourceId, text: &[u8]) {
        let keys = self.decoder.keys();
        let left_out = keys.left_out();
        let bad = keys.read(text);
        let is_full = keys.left_out() > left_out;
        let oddities = self.of_network.of(source);
        if is_full {
            oddities.note(Oddity::BoundHit { bound: "secrets", value: KeyLog::MOST as u64, option: None }, None);
        }
        for BadLine { line, why } in bad {
            oddities.note(Oddity::BadSecret { line, why }, None);
        }
    }

    /// Takes in one packet. Packets must come in order of their place.
    pub fn feed(&mut self, packet: &Packet<'_>) {
        let Analysis { decoder, of_network, stairs, latest, .. } = self;
        *latest = packet.time.max(*latest);
        let oddities = of_network.of(packet.source).at(packet.time.0);
        let plain = Plain::of(packet);
        if plain.as_ref().is_some_and(|plain| stairs.media_of_known_stream(plain, packet)) {
            return;
        }
        decoder.feed_read(packet, plain, oddities, |delivery: Delivery<'_>| stairs.deliver(&delivery));
    }

    /// The lower door: takes in what a [`Decoder`] gives.
    pub fn deliver(&mut self, delivery: &Delivery<'_>) {
        self.stairs.deliver(delivery);
    }

    /// Beside the lower door: what a [`Decoder`] found odd in the packets of an input, for the report.
    pub fn note_oddities(&mut self, source: SourceId, oddities: &OddityLog) {
        self.of_network.of(source).merge(oddities);
    }

    /// Notes that the program itself failed at a packet and was carried on with the next one.
    pub fn note_fault(&mut self, place: Place) {
        let oddities = self.of_network.of(place.source).at(place.time.0);
        oddities.note(Oddity::InternalFault, Some(place.frame));
    }

    /// The lowest door: takes in the bytes of one message. Bytes that do not start like SIP are counted in the census.
    pub fn message(&mut self, bytes: &[u8], path: Path, place: Place) {
        self.stairs.message(bytes, Cut::Whole, &Arrival { place, path, ip_id: None, hop_limit: 0 });
    }

    /// Says what time it is by the capture's clock.
    pub fn advance(&mut self, now: Timestamp) {
        let Analysis { decoder, of_network, stairs, latest, .. } = self;
        *latest = now.max(*latest);
        let oddities = of_network.of(stairs.last_frame.0);
        decoder.advance(now, oddities, |delivery: Delivery<'_>| stairs.deliver(&delivery));
        stairs.tracker.advance(now);
    }

    /// Says that the input has ended: what waits is taken as it is, and every call ends.
    pub fn finish(&mut self) {
        let Analysis { decoder, of_network, stairs, latest, .. } = self;
        let mut late = OddityLog::default();
        decoder.finish(&mut late, |delivery: Delivery<'_>| stairs.deliver(&delivery));
        if !late.is_empty() {
            of_network.of(stairs.last_frame.0).merge(&late);
        }
        stairs.finish(*latest);
    }

    /// True if there is an event to be told.
    #[inline]
    pub fn has_event(&self) -> bool {
        self.stairs.tracker.has_closed() || self.stairs.read.as_ref().is_some_and(|read| !read.is_empty())
    }

    /// The next event.
    pub fn next_event(&mut self) -> Option<Event> {
        if let Some(message) = self.stairs.read.as_mut().and_then(VecDeque::pop_front) {
            return Some(Event::Message(Box::new(message)));
        }
        self.stairs.tracker.next_closed().map(|ended| match ended {
            Ended::Call(call) => Event::Call(call),
            Ended::Good(good) => Event::Good(good),
            Ended::SoFar(call) => Event::SoFar(call),
        })
    }

    /// What is known of the surroundings so far.
    pub fn surroundings(&self) -> &Surroundings {
        self.stairs.tracker.surroundings()
    }

    /// The latest time that was seen.
    pub fn now(&self) -> Timestamp {
        self.stairs.tracker.now().max(self.latest)
    }

    /// What was counted in one input.
    pub fn counts(&self, source: SourceId) -> Counts {
        let mut counts = self.stairs.counts.get(source).cloned().unwrap_or_default();
        if let Some(oddities) = self.of_network.get(source) {
            counts.oddities.merge(oddities);
        }
        counts
    }

    /// What else the packets held.
    pub fn census(&self) -> &Census {
        &self.stairs.census
    }
}

fn is_dns(path: Path) -> bool {
    path.source.port() == DNS_PORT || path.destination.port() == DNS_PORT
}

impl Stairs {
    fn deliver(&mut self, delivery: &Delivery<'_>) {
        match delivery {
            Delivery::Datagram(datagram) => self.datagram(datagram),
            Delivery::Segment(segment) => self.segment(segment),
            Delivery::Icmp(error) => self.icmp(error),
            Delivery::Connection(connection) => {
                let ends = matches!(
                    connection.what,
                    ConnectionEvent::Fin | ConnectionEvent::Reset | ConnectionEvent::Forgotten
                );
                if ends && let Some(stream) = self.streams.remove(&connection.stream) {
                    self.end_of_stream(stream);
                }
                if connection.what == ConnectionEvent::Syn {
                    self.census.count(connection.path, |census| &mut census.asked);
                }
                self.tracker.connection(connection);
            }
            Delivery::Fragmented(seen) => self.tracker.fragmented(seen),
            Delivery::Tls(seen) => {
                self.census.note_tls(seen);
                self.tracker.tls(seen);
            }
        }
    }

    /// An ICMP error, unless it is a copy of the last one: a tap shows it twice, and counts would be doubled.
    fn icmp(&mut self, error: &IcmpError<'_>) {
        let (time, said) = (error.place.time, (error.reporter, error.told, error.what, error.quoted));
        let is_copy = self.last_icmp.is_some_and(|(last, known)| known == said && time.since(last) <= TAP);
        if !is_copy {
            self.last_icmp = Some((time, said));
            self.tracker.icmp(error);
        }
    }

    /// Counts a packet of RTP, if its stream is known; true if it is. Most packets of most captures are such, so they
    /// are told before anything else is.
    #[inline]
    fn media_of_known_stream(&mut self, plain: &Plain<'_>, packet: &Packet<'_>) -> bool {
        // A fourth of all identifiers make a look-up begin as RTP does.
        let may_be_rtp = self.census.is_full() && !plain.ends.has_port(DNS_PORT);
        may_be_rtp && plain.rtp().is_some_and(|rtp| self.tracker.rtp(&rtp, &plain.ends, place_of(packet)))
    }

    fn datagram(&mut self, datagram: &Datagram<'_>) {
        if datagram.mirrored == Mirror::Hep && self.tracker.holds(datagram.bytes) {
            return;
        }
        // A fourth of all identifiers make a look-up begin as RTP does.
        let media = MediaPacket::read(datagram.bytes).filter(|_| !is_dns(datagram.path));
        if let Some(packet) = media {
            return self.media(&packet, datagram.path, datagram.place);
        }
        let cut = if datagram.cut == 0 { Cut::Whole } else { Cut::Missing(datagram.cut) };
        self.mirrored = datagram.mirrored;
        // An agent may copy what a segment carried, which is more than one message.
        let is_of_stream = matches!(datagram.path.transport, Transport::Tcp | Transport::Tls);
        let (mut rest, mut is_sip) = (datagram.bytes, false);
        loop {
            let next = if is_of_stream { sip::frame::next_message(rest) } else { None };
            let (bytes, cut) = next.map_or((rest, cut), |next| (rest.get(..next).unwrap_or_default(), Cut::Whole));
            let place = self.next_in_frame(datagram.place);
            let Datagram { path, ip_id, hop_limit, .. } = *datagram;
            is_sip |= self.message(bytes, cut, &Arrival { place, path, ip_id, hop_limit });
            let Some(next) = next else { break };
            rest = rest.get(next..).unwrap_or_default();
        }
        self.mirrored = Mirror::Wire;
        let length = datagram.bytes.len().saturating_add(datagram.cut as usize);
        if is_sip
            && let Some(held) = datagram.checksum
            && let Some(fault) = ChecksumFault::of(datagram.path, length, held)
        {
            // Over IPv4 a sender may leave it out, and what the card was to write is no fault of the packet.
            if fault == ChecksumFault::LeftOut && datagram.path.source.is_ipv6() {
                let counts = self.counts.of(datagram.place.source);
                counts.oddities.note(Oddity::Checksum { held }, Some(datagram.place.frame));
            }
            self.tracker.checksum(fault, datagram.path, datagram.place, held);
        }
    }

    #[inline]
    fn media(&mut self, packet: &MediaPacket<'_>, path: Path, place: Place) {
        if !self.tracker.media(packet, path, place) {
            let limit =
                Oddity::BoundHit { bound: "media-streams", value: call::Media::MOST_STREAMS as u64, option: None };
            self.counts.of(place.source).oddities.note(limit, Some(place.frame));
        }
        self.not_sip(path);
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let (path, place) = (segment.path, segment.place);
        self.tracker.stream_carries(segment.stream);
        let known = self.streams.get_mut(&segment.stream);
        let taken = known.map(|stream| std::mem::take(&mut stream.framer));
        let begun = if segment.midstream { Framer::midstream } else { Framer::new };
        let mut framer = taken.unwrap_or_else(|| begun(self.framing));
        self.unframed = self.unframed.saturating_sub(framer.held());
        let mut oddities = OddityLog::default();
        oddities.at(place.time.0);
        if segment.gap > 0 {
            framer.gap(segment.gap, place, &mut |framed| self.framed(framed, path));
        }
        framer.push(segment.bytes, place, &mut oddities, &mut |framed| self.framed(framed, path));
        if !oddities.is_empty() {
            self.counts.of(place.source).oddities.merge(&oddities);
        }
        if framer.is_searching() && !segment.bytes.is_empty() {
            self.not_sip(path);
        }
        self.unframed += framer.held();
        self.streams.insert(segment.stream, Stream { framer, path, last: place });
        if self.unframed > self.most_unframed {
            self.make_room_for_unframed(place.source);
        }
    }

    /// Takes what waits on the idlest streams as it is, some of it at once: each takes the whole way of a message.
    fn make_room_for_unframed(&mut self, source: SourceId) {
        let enough = self.most_unframed - self.most_unframed / 64;
        while self.unframed > enough
            && let Some((_, idlest)) = self.streams.pop_oldest()
        {
            let limit = Oddity::LimitHit { limit: "unframed-bytes", value: self.most_unframed as u64 };
            self.counts.of(source).oddities.note(limit, Some(idlest.last.frame));
            self.end_of_stream(idlest);
        }
    }

    fn framed(&mut self, framed: sip::frame::Framed<'_>, path: Path) {
        let place = self.next_in_frame(framed.place);
        self.message(framed.bytes, framed.cut, &Arrival { place, path, ip_id: None, hop_limit: 0 });
    }

    /// Messages of one frame get rising indexes.
    fn next_in_frame(&mut self, place: Place) -> Place {
        let (source, frame, count) = self.last_frame;
        let index = if (source, frame) == (place.source, place.frame) { count } else { 0 };
        Place { index, ..place }
    }

    /// Takes in what may be a message; true if it is one.
    fn message(&mut self, bytes: &[u8], cut: Cut, arrival: &Arrival) -> bool {
        let message = &mut Message::unread(Message::readable(bytes));
        if !message.take_in(cut) {
            self.other(bytes, arrival);
            return false;
        }
        let place = arrival.place;
        #[cfg(test)]
        faults::fail_if_told(place.frame);
        self.last_frame = (place.source, place.frame, place.index.saturating_add(1));
        let counts = self.counts.of(place.source);
        counts.oddities.at(place.time.0);
        counts.sip_messages += 1;
        if let Some(read) = &mut self.read {
            let bytes = if self.handed_on == HandedOn::FactsAndBytes { bytes } else { &[] };
            read.push_back(MessageRead::new(message, arrival, self.mirrored, bytes));
        }
        for oddity in message.oddities() {
            counts.oddities.note(oddity.clone(), Some(place.frame));
        }
        self.tracker.message(message, cut, arrival, &mut counts.oddities);
        true
    }

    fn end_of_stream(&mut self, stream: Stream) {
        let Stream { mut framer, path, last } = stream;
        self.unframed = self.unframed.saturating_sub(framer.held());
        framer.finish(last, &mut |framed| self.framed(framed, path));
    }

    fn finish(&mut self, latest: Timestamp) {
        let mut waiting: Vec<StreamId> = self.streams.keys().copied().collect();
        waiting.sort_unstable();
        for id in waiting {
            if let Some(stream) = self.streams.remove(&id) {
                self.end_of_stream(stream);
            }
        }
        self.streams = Recent::new(); // As much room as the calls that end now take.
        self.tracker.advance(latest);
        self.tracker.finish();
    }

    /// A datagram that is no SIP: a packet of media, or a look-up of a name, may belong to a call.
    fn other(&mut self, bytes: &[u8], arrival: &Arrival) {
        let path = arrival.path;
        if is_dns(path)
            && let Some(message) = DnsMessage::read(bytes)
        {
            self.tracker.lookup(&message, path, arrival.place);
        } else if let Some(packet) = MediaPacket::read(bytes) {
            return self.media(&packet, path, arrival.place);
        } else if sip::frame::is_only_blank(bytes) {
            self.tracker.keep_alive(path, arrival.place.time);
        }
        self.not_sip(path);
    }

    fn not_sip(&mut self, path: Path) {
        self.census.count(path, |census| &mut census.ports);
    }
}

#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
mod tests;
