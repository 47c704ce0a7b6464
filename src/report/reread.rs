//! Reads captures a second time, for what is written packet by packet: which frames carry each message.
//!
//! Is given the inputs of a run; gives every message with its bytes and all frames that carried it, fragments and
//! segments too, every ICMP error, and what happened to connections.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::capture::{Error, Files, Input, Place, Reading, Source, Timestamp};
use crate::net::{
    self, ConnectionEvent, Datagram, Decoder, Delivery, FragmentOf, IcmpError, KeyLog, Path, Segment, StreamId,
    Transport, connection_of, fragment_of,
};
use crate::oddity::OddityLog;
use crate::sip::sdp::Sdp;
use crate::sip::{Cut, Framer, Message, Method, StatusCode};

/// Frames of unfinished messages that are remembered, over all streams and datagrams.
const MOST_PENDING: usize = 100_000;
/// Media addresses that are remembered.
const MOST_MEDIA: usize = 100_000;
/// How long before and after the calls media belongs to them.
const MARGIN: i64 = 2_000_000_000;

/// A frame: the rank of its input, and its number.
pub type FrameOf = (u32, u64);

/// A message, or a piece of one that an ICMP error quotes.
pub(crate) struct Seen<'a> {
    pub(crate) place: Place,
    pub(crate) path: Path,
    pub(crate) message: &'a Message<'a>,
    /// The frames that carried it.
    pub(crate) frames: &'a [FrameOf],
    /// The error that quotes it, if it is a quotation.
    pub(crate) icmp: Option<&'a IcmpError<'a>>,
}

/// One connection of which a message may come.
#[derive(Debug, Default)]
struct Stream {
    framer: Framer,
    pending: Vec<FrameOf>,
}

/// Reads all inputs again and hands on each message.
///
/// # Errors
/// What stops the source.
pub(crate) fn messages(again: &Again<'_>, mut each: impl FnMut(&Seen<'_>)) -> Result<(), Error> {
    let mut each_wanted = |seen: &Seen<'_>| {
        if again.wants(seen.message) {
            each(seen);
        }
    };
    read(again, &mut Memory::new(&mut each_wanted), &mut |_, _| {})
}

/// What is read a second time.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    /// The inputs.
    pub paths: &'a [PathBuf],
    /// How they are read.
    pub reading: Reading,
    /// Bounds of the decoder.
    pub limits: net::Limits,
    /// The secrets of TLS that the first reading knew in the end.
    pub keys: &'a RefCell<KeyLog>,
    /// The Call-IDs of the calls that were asked for; `None` for all.
    pub chosen: Option<&'a BTreeSet<String>>,
}

impl Again<'_> {
    /// True if a message is of a call that was asked for.
    pub(crate) fn wants(&self, message: &Message<'_>) -> bool {
        let call_id = String::from_utf8_lossy(message.call_id());
        // Where the capture cut a Call-ID off, the call has the whole of it from another message. Of a message that
        // ends before its Call-ID it is not known here whose it is: it is taken along.
        let is_part = |whole: &String| whole.starts_with(call_id.as_ref());
        self.chosen.is_none_or(|chosen| {
            chosen.contains(call_id.as_ref()) || message.has_cut_call_id() && chosen.iter().any(is_part)
        })
    }
}

/// Whether media belongs to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Signalling alone.
    Left,
    /// The media streams that its session descriptions name too.
    Taken,
}

/// The frames of the calls that were asked for: messages, fragments, segments, ICMP errors, beginnings and ends of
/// their connections; their media if that is wanted.
///
/// # Errors
/// What stops the source.
pub fn frames_of(again: &Again<'_>, media: Media) -> Result<BTreeSet<FrameOf>, Error> {
    let mut chosen: BTreeSet<FrameOf> = BTreeSet::new();
    let mut connections: BTreeSet<(SocketAddr, SocketAddr)> = BTreeSet::new();
    let mut whole: BTreeSet<(SocketAddr, SocketAddr)> = BTreeSet::new();
    let mut sessions = Sessions::default();
    let mut take = |seen: &Seen<'_>| {
        if !again.wants(seen.message) {
            return;
        }
        chosen.extend(seen.frames);
        if seen.path.transport.is_reliable() && connections.len() < MOST_PENDING {
            connections.insert(ends(seen.path));
            // Nothing of these can be read without what came before on the connection.
            if matches!(seen.path.transport, Transport::Tls | Transport::Ws | Transport::Wss) {
                whole.insert(ends(seen.path));
            }
        }
        if media == Media::Taken {
            sessions.hear(seen);
        }
    };
    let mut memory = Memory::new(&mut take);
    read(again, &mut memory, &mut |_, _| {})?;
    let opened = std::mem::take(&mut memory.connections);
    chosen.extend(opened.iter().filter(|(path, _)| connections.contains(&ends(*path))).map(|(_, frame)| *frame));
    if !whole.is_empty() {
        take_whole(again, &whole, &mut chosen)?;
    }
    if sessions.endpoints.is_empty() {
        return Ok(chosen);
    }
    let mut ignore = |_: &Seen<'_>| {};
    read(again, &mut Memory::new(&mut ignore), &mut |datagram, frame| {
        let (path, place) = (datagram.path, datagram.place);
        if sessions.has(path.source, place.time) || sessions.has(path.destination, place.time) {
            chosen.insert(frame);
        }
    })?;
    Ok(chosen)
}

/// Takes every packet of these connections.
fn take_whole(
    again: &Again<'_>,
    whole: &BTreeSet<(SocketAddr, SocketAddr)>,
    chosen: &mut BTreeSet<FrameOf>,
) -> Result<(), Error> {
    let mut files = Files::open(again.paths, again.reading)?;
    while let Some(input) = files.next()? {
        let Input::Packet(packet) = input else { continue };
        if connection_of(&packet).is_some_and(|ends| whole.contains(&ends)) {
            chosen.insert((packet.source.0, packet.number));
        }
    }
    Ok(())
}

/// Both ends of a connection, whatever the direction.
fn ends(path: Path) -> (SocketAddr, SocketAddr) {
    (path.source.min(path.destination), path.source.max(path.destination))
}

/// When the sessions of the calls that were asked for had media, and where.
#[derive(Debug, Default)]
struct Sessions {
    /// Each address of media with the Call-IDs that named it, and when each did so first.
    endpoints: BTreeMap<SocketAddr, BTreeMap<Vec<u8>, Timestamp>>,
    calls: BTreeMap<Vec<u8>, Progress>,
}

/// How far the messages of one Call-ID had come.
#[derive(Debug, Default)]
struct Progress {
    latest: Timestamp,
    /// A BYE, or a failure of an INVITE, was seen.
    is_ended: bool,
    /// The tags of those who accepted an INVITE and whose dialog no BYE has ended (RFC 3261 §12.3).
    open: BTreeSet<Vec<u8>>,
}

impl Sessions {
    fn hear(&mut self, seen: &Seen<'_>) {
        let (message, time) = (seen.message, seen.place.time);
        let call_id = message.call_id().to_vec();
        if self.calls.len() < MOST_MEDIA || self.calls.contains_key(&call_id) {
            self.calls.entry(call_id.clone()).or_default().hear(message, time);
        }
        for endpoint in media_of(message) {
            if self.endpoints.len() < MOST_MEDIA || self.endpoints.contains_key(&endpoint) {
                let first = self.endpoints.entry(endpoint).or_default().entry(call_id.clone()).or_insert(time);
                *first = (*first).min(time);
            }
        }
    }

    /// True if media at this address belongs to one of the calls then: from the first session description that names it
    /// to the end of the call, and where that was not captured, to the end of the capture.
    fn has(&self, address: SocketAddr, time: Timestamp) -> bool {
        let goes_on = |call_id: &Vec<u8>| {
            let ended = self.calls.get(call_id).filter(|call| call.is_ended && call.open.is_empty());
            ended.is_none_or(|call| time.0 <= call.latest.0.saturating_add(MARGIN))
        };
        self.endpoints.get(&address).is_some_and(|calls| {
            calls.iter().any(|(call_id, first)| time.0 >= first.0.saturating_sub(MARGIN) && goes_on(call_id))
        })
    }
}

impl Progress {
    fn hear(&mut self, message: &Message<'_>, time: Timestamp) {
        self.latest = self.latest.max(time);
        let tags = || [message.tag_of_from(), message.tag_of_to()];
        match (message.status().map(StatusCode::get), message.cseq().map(|cseq| &cseq.method)) {
            (None, _) if message.method() == Some(&Method::Bye) => {
                self.is_ended = true;
                self.open.retain(|tag| !tags().contains(&tag.as_slice()));
            }
            // Of a re-INVITE by the callee the one who accepts is the caller: the dialog is the same.
            (Some(200..=299), Some(Method::Invite)) if !tags().iter().any(|tag| self.open.contains(*tag)) => {
                self.open.insert(message.tag_of_to().to_vec());
            }
            (Some(300..), Some(Method::Invite)) => self.is_ended = true,
            _ => {}
        }
    }
}

/// Where a session description wants its media, RTP and RTCP (RFC 3550 §11).
fn media_of(message: &Message<'_>) -> Vec<SocketAddr> {
    let Some(sdp) = Sdp::of(message) else { return Vec::new() };
    let mut found = Vec::new();
    for media in &sdp.media {
        let Ok(address) = sdp.address_of(media).parse() else { continue };
        if media.port > 0 {
            found.push(SocketAddr::new(address, media.port));
            found.push(SocketAddr::new(address, media.port.saturating_add(1)));
        }
    }
    found
}

/// What a second reading remembers.
struct Memory<'e> {
    each: &'e mut dyn FnMut(&Seen<'_>),
    streams: HashMap<StreamId, Stream>,
    fragments: HashMap<FragmentOf, Vec<FrameOf>>,
    /// Datagrams of which fragments are remembered, the oldest first.
    ages: VecDeque<FragmentOf>,
    connections: Vec<(Path, FrameOf)>,
    pending: usize,
}

impl<'e> Memory<'e> {
    fn new(each: &'e mut dyn FnMut(&Seen<'_>)) -> Memory<'e> {
        Memory {
            each,
            streams: HashMap::new(),
            fragments: HashMap::new(),
            ages: VecDeque::new(),
            connections: Vec::new(),
            pending: 0,
        }
    }

    fn datagram(&mut self, datagram: &Datagram<'_>, fragment: Option<FragmentOf>) {
        let cut = if datagram.cut == 0 { Cut::Whole } else { Cut::Missing(datagram.cut) };
        let Some(message) = Message::read(datagram.bytes, cut) else { return };
        let mut frames = fragment.and_then(|key| self.fragments.remove(&key)).unwrap_or_default();
        frames.push(frame_of(datagram.place));
        let (place, path) = (datagram.place, datagram.path);
        (self.each)(&Seen { place, path, message: &message, frames: &frames, icmp: None });
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let mut stream = self.streams.remove(&segment.stream).unwrap_or_default();
        let mut oddities = OddityLog::default();
        let own = frame_of(segment.place);
        if stream.pending.len() < MOST_PENDING {
            stream.pending.push(own);
        }
        let mut has_ended_one = false;
        let Stream { framer, pending } = &mut stream;
        let each = &mut *self.each;
        let mut give = |framed: crate::sip::frame::Framed<'_>| {
            has_ended_one = true;
            let Some(message) = Message::read(framed.bytes, framed.cut) else { return };
            each(&Seen { place: framed.place, path: segment.path, message: &message, frames: pending, icmp: None });
        };
        if segment.gap > 0 {
            framer.gap(segment.gap, segment.place, &mut give);
        }
        framer.push(segment.bytes, segment.place, &mut oddities, &mut give);
        if has_ended_one || stream.framer.is_searching() {
            stream.pending.clear();
            if stream.framer.held() > 0 {
                stream.pending.push(own);
            }
        }
        self.streams.insert(segment.stream, stream);
    }

    fn icmp(&mut self, error: &IcmpError<'_>) {
        let Some(path) = error.quoted else { return };
        let Some(message) = Message::read(error.quoted_bytes, Cut::Missing(1)) else { return };
        let frames = [frame_of(error.place)];
        (self.each)(&Seen { place: error.place, path, message: &message, frames: &frames, icmp: Some(error) });
    }

    /// A fragment that completed nothing.
    fn remember(&mut self, key: FragmentOf, frame: FrameOf) {
        while self.pending >= MOST_PENDING {
            let Some(oldest) = self.ages.pop_front() else { break };
            self.pending = self.pending.saturating_sub(1);
            self.fragments.remove(&oldest);
        }
        self.pending = self.pending.saturating_add(1);
        self.ages.push_back(key);
        self.fragments.entry(key).or_default().push(frame);
    }
}

fn frame_of(place: Place) -> FrameOf {
    (place.source.0, place.frame)
}

fn read(
    again: &Again<'_>,
    memory: &mut Memory<'_>,
    other: &mut dyn FnMut(&Datagram<'_>, FrameOf),
) -> Result<(), Error> {
    let mut files = Files::open(again.paths, again.reading)?;
    let mut decoder = Decoder::new(again.limits);
    *decoder.keys() = again.keys.take();
    let mut oddities = OddityLog::default();
    while let Some(input) = files.next()? {
        let Input::Packet(packet) = input else { continue };
        let fragment = fragment_of(&packet);
        let frame = (packet.source.0, packet.number);
        let mut is_delivered = false;
        decoder.feed(&packet, &mut oddities, |delivery| {
            is_delivered |= !matches!(delivery, Delivery::Fragmented(_));
            match delivery {
                Delivery::Datagram(datagram) => {
                    other(&datagram, frame);
                    memory.datagram(&datagram, fragment);
                }
                Delivery::Segment(segment) => memory.segment(&segment),
                Delivery::Icmp(error) => memory.icmp(&error),
                Delivery::Tls(_) | Delivery::Fragmented(_) => {}
                Delivery::Connection(connection) => {
                    let is_step = connection.what != ConnectionEvent::Received;
                    if is_step && memory.connections.len() < MOST_PENDING {
                        memory.connections.push((connection.path, frame));
                    }
                }
            }
        });
        if let Some(key) = fragment.filter(|_| !is_delivered) {
            memory.remember(key, frame);
        }
    }
    again.keys.replace(std::mem::take(decoder.keys()).for_another_reading());
    decoder.finish(&mut oddities, |delivery| match delivery {
        Delivery::Datagram(datagram) => memory.datagram(&datagram, None),
        Delivery::Segment(segment) => memory.segment(&segment),
        _ => {}
    });
    Ok(())
}
