//! What a TCP stream carries.
//!
//! Knows how WebSocket, TLS, HEP and HTTP begin and that SIP names its version in each start line. Is given the bytes
//! of a stream in order; hands on those that may be SIP, the messages inside of WebSocket and HEP, and TLS alerts.
//! Deliberately does not cut SIP messages.

use std::net::SocketAddr;
use std::ops::ControlFlow;

use memchr::memmem;

use crate::capture::Place;
use crate::net::bytes::{Rest, to_u32};
use crate::net::hep::{self, Hep};
use crate::net::preamble::{self, Preamble};
use crate::net::tls::{self, Channel, KeyLog};
use crate::net::websocket::{self, Reader};
use crate::net::{
    Connection, ConnectionEvent, Datagram, Delivery, Mirror, Path, Segment, Sink, StreamId, Transport, start_line,
};
use crate::oddity::Oddity;

/// Bytes without a start line after which a stream is only looked at segment by segment.
const LOOKED_ENOUGH: u32 = 64 << 10;
/// Segments shorter than this may cut a start line into pieces, so they prove nothing.
const TOO_SHORT_TO_TELL: usize = 64;
/// The longest HTTP head that is waited for.
const LONGEST_HEAD: usize = 16 << 10;

/// What one direction carries, as far as was seen.
#[derive(Debug)]
pub(super) enum Content {
    /// Not known yet; everything is handed on.
    Unknown {
        /// Bytes seen in which SIP would have shown itself.
        looked: u32,
        /// What is missing so far, worth a note only if it turns out to be SIP.
        missing: Option<Box<Missing>>,
    },
    /// SIP.
    Sip(Since),
    /// Nothing of ours for long.
    Passed,
    /// An HTTP head that may ask for WebSocket.
    Head(Vec<u8>),
    /// WebSocket frames.
    WebSocket(Box<websocket::Reader>),
    /// HEP3 packets, each with its length.
    Hep(Vec<u8>),
    /// The first bytes, too few to tell whether they begin a TLS record.
    Start(Vec<u8>),
    /// So many line ends, which were handed on: keep-alives, or the beginning of a preamble.
    LineEnds(usize),
    /// TLS records; the connection has the rest.
    Tls,
}

/// Where SIP was first seen in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// Where the first bytes begin: there is no other protocol around it.
    Begin,
    /// Further on, as where the first bytes stand within a frame of WebSocket.
    Within,
}

/// Bytes that are missing.
#[derive(Debug)]
pub(super) struct Missing {
    bytes: u32,
    /// Where the first of them were missing.
    since: Place,
}

/// What is known of a connection as a whole.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// What TLS carries, once its first record was seen.
    channel: Option<Box<Channel>>,
}

impl Marks {
    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.channel.as_ref().map_or(0, |channel| channel.weight())
    }

    /// Forgets what was begun and not finished in a direction.
    pub(super) fn forget(&mut self, stream: StreamId) {
        if let Some(channel) = &mut self.channel {
            channel.forget(stream);
        }
    }

    /// Notes who ended the connection first.
    pub(super) fn hear_end(&mut self, place: Place, by: SocketAddr, how: ConnectionEvent) {
        if let Some(channel) = &mut self.channel {
            channel.hear_end(tls::Ended { place, by, how });
        }
    }

    /// The connection has ended: tells what was seen of it.
    pub(super) fn end(&mut self, keys: &mut KeyLog, sink: &mut Sink<'_>) {
        if let Some(mut channel) = self.channel.take() {
            channel.end(keys, sink);
        }
    }
}

/// How a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Tls,
    Head,
    WebSocket,
    Hep,
    Sip,
    Unknown,
}

impl Since {
    fn of(bytes: &[u8]) -> Since {
        if start_line::begins(bytes) { Since::Begin } else { Since::Within }
    }
}

impl Default for Content {
    fn default() -> Content {
        Content::Unknown { looked: 0, missing: None }
    }
}

impl Content {
    /// True where only single segments are looked at.
    pub(super) fn is_passed(&self) -> bool {
        matches!(self, Content::Passed)
    }

    /// True where a contradiction is worth a note: it may be SIP.
    pub(super) fn matters(&self) -> bool {
        !matches!(self, Content::Passed | Content::Tls)
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        match self {
            Content::Head(bytes) | Content::Hep(bytes) => bytes.len(),
            Content::WebSocket(reader) => reader.weight(),
            _ => 0,
        }
    }

    /// Forgets what was begun and not finished.
    pub(super) fn forget(&mut self) {
        match self {
            Content::Head(_) => *self = Content::Passed,
            Content::Start(_) => *self = Content::default(),
            Content::Hep(packet) => packet.clear(),
            Content::WebSocket(reader) => reader.forget(),
            _ => {}
        }
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, segment: Segment<'_>, marks: &mut Marks, keys: &mut KeyLog, sink: &mut Sink<'_>) {
        let mut next = Some(segment);
        // Each turn leaves fewer bytes, or a content that the next turn takes.
        while let Some(segment) = next {
            next = match self {
                // Frames whose upgrade was not seen, and whose first segment began within one.
                Content::Sip(Since::Within) if websocket::begins_with_sip(segment.bytes) => {
                    *self = Content::default();
                    Some(segment)
                }
                Content::Sip(_) => {
                    note_gap(segment.gap, segment.place, sink);
                    sink.deliver(Delivery::Segment(segment));
                    None
                }
                Content::Unknown { .. } | Content::Passed => self.recognise(segment, marks, sink),
                Content::Head(_) if segment.gap == 0 => self.head(segment),
                Content::WebSocket(_) if segment.gap == 0 => self.web_socket(segment, sink),
                Content::Hep(_) if segment.gap == 0 => self.hep(segment, sink),
                Content::Head(_) | Content::WebSocket(_) | Content::Hep(_) => {
                    note_gap(segment.gap, segment.place, sink);
                    *self = Content::default();
                    Some(Segment { gap: 0, ..segment })
                }
                Content::Start(start) => {
                    let begun = if segment.gap == 0 { std::mem::take(start) } else { Vec::new() };
                    let joined = [&begun, segment.bytes].concat();
                    *self = Content::default();
                    return self.take(Segment { bytes: &joined, ..segment }, marks, keys, sink);
                }
                Content::LineEnds(bytes) => {
                    let joined = [preamble::line_ends(*bytes), segment.bytes].concat();
                    *self = Content::default();
                    if segment.gap == 0 && preamble::may_begin(&joined) {
                        *self = Content::LineEnds(joined.len());
                        sink.deliver(Delivery::Segment(segment));
                        return;
                    }
                    if segment.gap == 0 && Preamble::of(&joined) != Preamble::None {
                        return self.take(Segment { bytes: &joined, ..segment }, marks, keys, sink);
                    }
                    Some(segment)
                }
                Content::Tls => {
                    if let Some(channel) = &mut marks.channel {
                        channel.take(segment, keys, sink);
                    }
                    None
                }
            };
        }
    }

    /// Finds out what this is. What is left for the content that was found is given back.
    fn recognise<'a>(&mut self, segment: Segment<'a>, marks: &mut Marks, sink: &mut Sink<'_>) -> Option<Segment<'a>> {
        let (gap, since) = match self {
            Content::Unknown { missing: Some(missing), .. } => {
                (missing.bytes.saturating_add(segment.gap), missing.since)
            }
            _ => (segment.gap, segment.place),
        };
        let is_first = matches!(self, Content::Unknown { looked: 0, missing: None }) && !segment.midstream && gap == 0;
        if is_first && let ControlFlow::Break(left) = self.pass_preamble(segment, sink) {
            return left;
        }
        match beginning(segment.bytes) {
            // Nothing is looked for in TLS that is itself within TLS.
            Beginning::Tls if segment.path.transport == Transport::Tls => {
                self.unknown(segment, sink);
                return None;
            }
            Beginning::Tls => {
                marks.channel.get_or_insert_with(|| {
                    tell(segment, ConnectionEvent::Encrypted, sink);
                    Box::new(Channel::new(&segment))
                });
                *self = Content::Tls;
            }
            Beginning::Head => *self = Content::Head(Vec::new()),
            Beginning::WebSocket => {
                note_gap(gap, since, sink);
                *self = Content::WebSocket(Box::default());
            }
            Beginning::Hep => {
                note_gap(gap, since, sink);
                *self = Content::Hep(Vec::new());
            }
            Beginning::Sip => {
                if let Some(channel) = &mut marks.channel {
                    channel.hear_clear(segment.path, segment.place);
                }
                note_gap(gap, since, sink);
                *self = Content::Sip(Since::of(segment.bytes));
                sink.deliver(Delivery::Segment(segment));
                return None;
            }
            Beginning::Unknown => {
                if is_first && may_become_more(segment.bytes) {
                    *self = Content::Start(segment.bytes.to_vec());
                } else {
                    self.unknown(segment, sink);
                }
                return None;
            }
        }
        Some(Segment { gap: 0, ..segment })
    }

    /// What may stand before the content of a stream: stops with what is left of the segment behind it, if anything.
    fn pass_preamble<'a>(&mut self, segment: Segment<'a>, sink: &mut Sink<'_>) -> ControlFlow<Option<Segment<'a>>> {
        match Preamble::of(segment.bytes) {
            Preamble::Whole(length) => {
                let behind = segment.bytes.get(length..).filter(|behind| !behind.is_empty());
                ControlFlow::Break(behind.map(|bytes| Segment { bytes, ..segment }))
            }
            Preamble::Begun => {
                *self = Content::Start(segment.bytes.to_vec());
                ControlFlow::Break(None)
            }
            Preamble::None if preamble::may_begin(segment.bytes) => {
                *self = Content::LineEnds(segment.bytes.len());
                sink.deliver(Delivery::Segment(segment));
                ControlFlow::Break(None)
            }
            Preamble::None => ControlFlow::Continue(()),
        }
    }

    fn unknown(&mut self, segment: Segment<'_>, sink: &mut Sink<'_>) {
        let Content::Unknown { looked, missing } = self else { return };
        if segment.gap > 0 {
            let missing = missing.get_or_insert_with(|| Box::new(Missing { bytes: 0, since: segment.place }));
            missing.bytes = missing.bytes.saturating_add(segment.gap);
        }
        if segment.midstream {
            // What follows stands no more at the beginning of the connection than this does.
            *looked = (*looked).max(1);
        }
        if segment.bytes.len() >= TOO_SHORT_TO_TELL {
            *looked = looked.saturating_add(to_u32(segment.bytes.len()));
        }
        if *looked > LOOKED_ENOUGH {
            *self = Content::Passed;
            return;
        }
        sink.deliver(Delivery::Segment(segment));
    }

    /// Collects an HTTP head. If it asks for WebSocket or grants it, frames follow (RFC 6455 §4).
    fn head<'a>(&mut self, segment: Segment<'a>) -> Option<Segment<'a>> {
        let Content::Head(head) = self else { return None };
        let known = head.len();
        head.extend_from_slice(segment.bytes);
        let Some(end) = memmem::find(head, b"\r\n\r\n").map(|at| at.saturating_add(4)) else {
            if head.len() > LONGEST_HEAD {
                *self = Content::Passed;
            }
            return None;
        };
        let upgrades = head.get(..end).is_some_and(asks_for_web_socket);
        *self = if upgrades { Content::WebSocket(Box::new(Reader::behind_upgrade())) } else { Content::default() };
        let behind = segment.bytes.get(end.saturating_sub(known)..).filter(|behind| !behind.is_empty())?;
        Some(Segment { bytes: behind, ..segment })
    }

    fn web_socket<'a>(&mut self, segment: Segment<'a>, sink: &mut Sink<'_>) -> Option<Segment<'a>> {
        let Content::WebSocket(reader) = self else { return None };
        let transport = if segment.path.transport == Transport::Tls { Transport::Wss } else { Transport::Ws };
        let path = Path { transport, ..segment.path };
        let place = segment.place;
        let mut messages: u32 = 0;
        let outcome = reader.take(segment.bytes, |message| {
            messages = messages.saturating_add(1);
            match message {
                websocket::Message::Whole(bytes) => {
                    let mirrored = Mirror::Wire;
                    let (cut, ip_id, hop_limit, checksum) = (0, None, 0, None);
                    let datagram = Datagram { place, path, bytes, cut, ip_id, hop_limit, mirrored, checksum };
                    sink.deliver(Delivery::Datagram(datagram));
                }
                websocket::Message::Unreadable => sink.note(Oddity::Compressed, place),
            }
        });
        if outcome == websocket::Outcome::Read {
            return None;
        }
        *self = Content::default();
        // A refused upgrade goes on as HTTP. Not so what began as frames, which would be handed on twice.
        let is_other = messages == 0 && beginning(segment.bytes) != Beginning::WebSocket;
        is_other.then_some(segment)
    }

    /// Cuts a stream of HEP3 packets.
    fn hep<'a>(&mut self, segment: Segment<'a>, sink: &mut Sink<'_>) -> Option<Segment<'a>> {
        let Content::Hep(pending) = self else { return None };
        pending.extend_from_slice(segment.bytes);
        let mut rest = pending.as_slice();
        while let Some((packet, behind)) = hep::length_in_stream(rest).and_then(|length| rest.split_at_checked(length))
        {
            if let Some(Hep::Sip(copied)) = hep::read(Rest::whole(packet)) {
                copied.deliver(segment.place, sink);
            }
            rest = behind;
        }
        // Neither a header that is still coming nor one that is whole.
        if rest.len() >= 6 && hep::length_in_stream(rest).is_none() {
            *self = Content::default();
            return None;
        }
        let read = pending.len().saturating_sub(rest.len());
        pending.drain(..read);
        None
    }
}

/// What a head begins with that may ask for WebSocket or grant it.
const HEADS: [&[u8]; 2] = [b"GET ", b"HTTP/1.1 101"];

/// True where bytes are too few to tell, and more may make something else of them than SIP.
fn may_become_more(bytes: &[u8]) -> bool {
    tls::may_become(bytes) || HEADS.into_iter().chain([&hep::MARK[..]]).any(|whole| whole.starts_with(bytes))
}

fn beginning(bytes: &[u8]) -> Beginning {
    if tls::may_begin(bytes) {
        return Beginning::Tls;
    }
    if HEADS.iter().any(|head| bytes.starts_with(head)) {
        return Beginning::Head;
    }
    if websocket::begins_with_sip(bytes) {
        return Beginning::WebSocket;
    }
    if bytes.starts_with(&hep::MARK) {
        return Beginning::Hep;
    }
    if start_line::is_in(bytes) { Beginning::Sip } else { Beginning::Unknown }
}

/// Whether bytes from the middle of a stream begin nothing that is known: they may end what stands before them.
pub(super) fn begins_nothing(bytes: &[u8]) -> bool {
    beginning(bytes) == Beginning::Unknown
}

/// Whether a head has `Upgrade: websocket`; both words in any case (RFC 6455 §4.1).
fn asks_for_web_socket(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"upgrade") && value.eq_ignore_ascii_case(b"websocket")
    })
}

fn note_gap(bytes: u32, place: Place, sink: &mut Sink<'_>) {
    if bytes > 0 {
        sink.note(Oddity::StreamGap { bytes }, place);
    }
}

fn tell(segment: Segment<'_>, what: ConnectionEvent, sink: &mut Sink<'_>) {
    let Segment { place, path, stream, .. } = segment;
    sink.deliver(Delivery::Connection(Connection { place, path, stream, what }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames::Bench;
    use crate::net::frames::Sender;
    use crate::net::frames::Tcp;
    use proptest::prelude::*;

    const REQUEST: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: example.com\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
    const FRAME: &[u8] = b"\x81\x13BYE sip:a@b SIP/2.0";

    fn client(bytes: &[u8], size: usize) -> Bench {
        let mut bench = Bench::default();
        bench.handshake(100);
        let mut sequence = 101;
        for part in bytes.chunks(size) {
            bench.tcp(&[Tcp::of(sequence, part)]);
            sequence += part.len() as u32;
        }
        bench
    }

    #[test]
    fn web_socket_behind_its_upgrade() {
        let stream = [REQUEST, FRAME, FRAME].concat();
        for size in [4, 7, 50, 500] {
            let bench = client(&stream, size);
            assert_eq!(bench.payloads(), [&FRAME[2..], &FRAME[2..]], "in parts of {size}");
            assert!(bench.datagrams.iter().all(|(datagram, _)| datagram.path.transport == Transport::Ws));
            assert!(bench.segments.is_empty());
        }
    }

    #[test]
    fn web_socket_without_its_upgrade_and_after_a_gap() {
        let mut bench = Bench::default();
        bench.tcp(&[Tcp::of(100, FRAME), Tcp::of(200, FRAME)]);
        bench.finish();
        assert_eq!(bench.payloads(), [&FRAME[2..], &FRAME[2..]]);
        assert_eq!(bench.noted("stream-gap"), 1);
    }

    #[test]
    fn a_refused_upgrade_is_no_web_socket() {
        let bench = client(&[REQUEST, b"GET / HTTP/1.1\r\n\r\n", REQUEST, FRAME].concat(), 500);
        assert_eq!(bench.payloads(), [&FRAME[2..]]);
    }

    #[test]
    fn many_heads_in_one_segment_do_no_harm() {
        let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let bench = client(&head.repeat(1500), 64_000);
        assert!(bench.datagrams.is_empty());
    }

    #[test]
    fn copies_in_a_stream_of_hep() {
        let mut chunks = Vec::new();
        for (number, value) in [(3, &[10, 0, 0, 1][..]), (4, &[10, 0, 0, 2]), (15, b"BYE sip:a@b SIP/2.0")] {
            chunks.extend([0, 0, 0, number, 0, value.len() as u8 + 6]);
            chunks.extend(value);
        }
        let packet = [&b"HEP3"[..], &(chunks.len() as u16 + 6).to_be_bytes(), &chunks].concat();
        for size in [4, 9, 60, 500] {
            let bench = client(&packet.repeat(3), size);
            assert_eq!(bench.payloads(), [b"BYE sip:a@b SIP/2.0"; 3], "in parts of {size}");
            assert!(bench.datagrams.iter().all(|(datagram, _)| datagram.mirrored == Mirror::Hep));
        }
        let bench = client(&[&packet[..], b"HEP3\0\x01", &[0; 40]].concat(), 500);
        assert_eq!(bench.payloads().len(), 1);
    }

    #[test]
    fn behind_a_preamble_a_stream_begins() {
        let preamble =
            [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C"[..], b"\xC0\0\x02\x09\x0A\0\0\x02\x15\xB3\x13\x50"].concat();
        for size in [1, 2, 3, 4, 5, 13, 17, 30, 500] {
            let tls = client(&[&preamble, &[22, 3, 1, 0, 2, 1, 1, 21, 3, 3, 0, 2, 2, 40][..]].concat(), size);
            assert!(tls.events.iter().any(|event| event.what == ConnectionEvent::Encrypted), "in parts of {size}");
            let sip = client(&[&preamble, &b"BYE sip:a@b SIP/2.0\r\n\r\n"[..]].concat(), size);
            // Line ends alone are handed on: they may be keep-alives.
            assert_eq!(sip.stream(Sender::Client).trim_start(), "BYE sip:a@b SIP/2.0\r\n\r\n", "in parts of {size}");
        }
    }

    #[test]
    fn tls_is_told_once_with_its_alerts() {
        let bench = client(&[22, 3, 1, 0, 2, 1, 1, 21, 3, 3, 0, 2, 2, 40, 23, 3, 3, 0, 1, 0], 6);
        assert_eq!(bench.noted("payload-unreadable"), 0, "the hello of the other side may still come");
        let what: Vec<ConnectionEvent> = bench.events.iter().skip(2).map(|event| event.what).collect();
        let alert = ConnectionEvent::TlsAlert { level: 2, description: 40 };
        assert_eq!(what, [ConnectionEvent::Encrypted, alert]);
        assert!(bench.segments.is_empty());
        let mut bench = bench;
        bench.finish();
        assert_eq!(bench.log.of("payload-unreadable").unwrap().frames, [7]);
    }

    #[test]
    fn what_is_not_sip_for_long_is_passed_over_until_it_is() {
        let mut bench = client(&[b'x'; 80_000], 1000);
        let before = bench.segments.len();
        assert!(before < 80, "{before} segments handed on");
        bench.tcp(&[Tcp::of(90_000, b"garbage"), Tcp::of(90_101, b"BYE sip:a@b SIP/2.0\r\n")]);
        bench.tcp(&[Tcp::of(90_122, b"\r\n")]);
        let behind = &bench.segments[before..];
        assert_eq!(behind.len(), 2);
        assert_eq!((behind[0].0.midstream, behind[0].0.gap), (true, 0));
        assert_eq!(behind[1].1, b"\r\n");
        assert_eq!(bench.noted("stream-gap"), 0);
    }

    #[test]
    fn a_gap_is_noted_when_the_stream_turns_out_to_be_sip() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abc"), Tcp::of(110, b"def")]);
        let acknowledging = Tcp { sender: Sender::Server, acknowledgment: 113, ..Tcp::of(9001, b"") };
        bench.tcp(&[acknowledging]);
        assert_eq!((bench.stream(Sender::Client).as_str(), bench.noted("stream-gap")), ("abc-def", 0));
        bench.tcp(&[Tcp::of(113, b"SIP/2.0 200 OK\r\n\r\n")]);
        let noted = bench.log.of("stream-gap").unwrap();
        assert_eq!((&noted.example, noted.frames.as_slice()), (&Oddity::StreamGap { bytes: 6 }, &[5][..]));
    }

    #[test]
    fn a_body_that_looks_like_frames_is_none() {
        let request = b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 40\r\n\r\n";
        let mut bench = Bench::default();
        bench.tcp(&[Tcp::of(100, request), Tcp::of(100 + request.len() as u32, FRAME)]);
        assert_eq!((bench.payloads().len(), bench.segments.len()), (0, 2));
    }

    #[test]
    fn frames_whose_upgrade_was_not_seen_are_found_behind_half_a_frame() {
        let mut bench = Bench::default();
        bench.tcp(&[Tcp::of(100, b"BYE sip:a@b SIP/2.0"), Tcp::of(119, FRAME)]);
        assert_eq!(bench.payloads(), [&FRAME[2..]]);
    }

    proptest! {
        /// Streams that begin like something we know and go on at random do no harm.
        #[test]
        fn streams_that_break_off_do_no_harm(
            parts in proptest::collection::vec((0..6usize, proptest::collection::vec(any::<u8>(), 0..80), any::<bool>()), 1..30)
        ) {
            let beginnings: [&[u8]; 6] = [REQUEST, FRAME, b"HEP3\0\x40", &[21, 3, 3, 0, 2], b"SIP/2.0 200 OK\r\n", b"\xC1\x05"];
            let mut bench = Bench::default();
            bench.handshake(100);
            let mut sequence = 101_u32;
            for (beginning, bytes, lost) in &parts {
                let part = [beginnings[*beginning], bytes].concat();
                if !lost {
                    bench.tcp(&[Tcp::of(sequence, &part)]);
                }
                sequence += part.len() as u32;
            }
            bench.finish();
        }
    }
}
