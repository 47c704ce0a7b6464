//! TCP connections (RFC 9293).
//!
//! Knows which segments belong to one connection and one direction, and when a new one begins between the same ports.
//! Is given TCP packets; gives the bytes of each direction in order, and what happens to the connections. Deliberately
//! does not verify checksums: offloading leaves them unset.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
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
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::connection::Both;
use crate::net::connection::Pair;
use crate::net::connection::Sender;
use crate::net::ip::IpPacket;
use crate::net::kept::Kept;
use crate::net::stream::Stream;
use crate::net::tls::KeyLog;
use crate::oddity::Oddity;
use crate::recent::Recent;

/// How often holes are looked at that nothing new arrives behind.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Where there is no room, one part in so many of the connections is given up at once.
const GIVEN_UP_AT_ONCE: usize = 512;
/// How many of them at once. Times may jump to and fro, and then every frame is an occasion to look.
const LOOK_AT: usize = 256;

/// The connections that are followed, bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    connections: Recent<Pair, Both>,
    kept: Kept,
    /// Connections that hold bytes behind a hole, by number.
    holding: BTreeMap<u64, Pair>,
    bytes: usize,
    opened: u64,
    looked: Timestamp,
    /// The last connection that was looked at, 0 to begin with the first.
    looked_at: u64,
    limits: Limits,
}

impl ConnectionTable {
    /// A table without connections.
    pub(super) fn new(limits: Limits) -> ConnectionTable {
        ConnectionTable {
            connections: Recent::new(),
            kept: Kept::new(),
            holding: BTreeMap::new(),
            bytes: 0,
            opened: 0,
            looked: Timestamp(i64::MIN),
            looked_at: 0,
            limits,
        }
    }

    /// The secrets of TLS that are known.
    pub(super) fn keys(&mut self) -> &mut KeyLog {
        &mut self.kept.keys
    }

    /// Takes one TCP packet.
    pub(super) fn take(&mut self, place: Place, packet: &IpPacket<'_>, rest: Rest<'_>, sink: &mut Sink<'_>) {
        let Ok(header) = TcpHeaderSlice::from_slice(rest.bytes) else { return };
        let Some(payload) = rest.skip(header.slice().len()) else { return };
        let path = Path {
            source: SocketAddr::new(packet.source, header.source_port()),
            destination: SocketAddr::new(packet.destination, header.destination_port()),
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
            None => self.open(pair, place, sink),
        }
        let Some(both) = self.connections.get_mut(&pair) else { return };
        let before = both.weight();
        both.take(sender, path, place, packet.id, &header, payload, &mut self.kept, sink);
        let after = both.weight();
        if before != after {
            self.account(pair, before, place, sink);
        }
        if place.time.since(self.looked) > LOOK_EVERY || self.looked > place.time {
            self.look(place, sink);
        }
    }

    /// Looks whether what waits has waited long enough, each time at the next few.
    pub(super) fn look(&mut self, place: Place, sink: &mut Sink<'_>) {
        self.looked = place.time;
        let next = (Bound::Excluded(self.looked_at), Bound::Unbounded);
        let waiting: Vec<(u64, Pair)> = self.holding.range(next).take(LOOK_AT).map(|(n, pair)| (*n, *pair)).collect();
        self.looked_at = if waiting.len() < LOOK_AT { 0 } else { waiting.last().map_or(0, |(number, _)| *number) };
        for (_, pair) in waiting {
            let Some(both) = self.connections.peek_mut(&pair) else { continue };
            let before = both.weight();
            both.each(pair, place, &mut self.kept, sink, Stream::release);
            self.account(pair, before, place, sink);
        }
    }

    /// Hands on everything that waits.
    pub(super) fn finish(&mut self, place: Place, sink: &mut Sink<'_>) {
        while let Some((pair, mut both)) = self.connections.pop_oldest() {
            both.each(pair, place, &mut self.kept, sink, Stream::flush);
            both.end(&mut self.kept, sink);
        }
        self.connections = Recent::new(); // As much room as the calls that end now take.
        self.holding.clear();
        self.bytes = 0;
    }

    fn open(&mut self, pair: Pair, place: Place, sink: &mut Sink<'_>) {
        let most = (self.limits.streams / 2).max(1);
        if self.connections.len() >= most {
            // Some at once: what waits in each takes the way of a message, and the processor keeps it in mind.
            let few = most.saturating_sub(most / GIVEN_UP_AT_ONCE);
            while self.connections.len() >= few.max(1) {
                self.forget_oldest(place, sink);
            }
        }
        self.opened = self.opened.saturating_add(1);
        self.connections.insert(pair, Both::new(self.opened));
    }

    fn forget_oldest(&mut self, place: Place, sink: &mut Sink<'_>) {
        let Some((pair, both)) = self.connections.pop_oldest() else { return };
        let is_closed = both.is_closed();
        let streams = [Sender::Low, Sender::High].map(|sender| (pair.path(sender), both.stream(sender).id));
        self.end(pair, both, place, sink);
        if is_closed {
            return;
        }
        sink.note(Oddity::LimitHit { limit: "streams", value: self.limits.streams as u64 }, place);
        for (path, stream) in streams {
            sink.deliver(Delivery::Connection(Connection { place, path, stream, what: ConnectionEvent::Forgotten }));
        }
    }

    /// Takes a connection out, and hands on what waits in it.
    fn close(&mut self, pair: Pair, place: Place, sink: &mut Sink<'_>) {
        if let Some(both) = self.connections.remove(&pair) {
            self.end(pair, both, place, sink);
        }
    }

    /// Hands on what waits in a connection that was taken out.
    fn end(&mut self, pair: Pair, mut both: Both, place: Place, sink: &mut Sink<'_>) {
        self.bytes = self.bytes.saturating_sub(both.weight());
        self.holding.remove(&both.number);
        both.each(pair, place, &mut self.kept, sink, Stream::flush);
        both.end(&mut self.kept, sink);
    }

    fn account(&mut self, pair: Pair, before: usize, place: Place, sink: &mut Sink<'_>) {
        let Some(both) = self.connections.peek_mut(&pair) else { return };
        self.bytes = self.bytes.saturating_add(both.weight()).saturating_sub(before);
        if self.bytes > self.limits.stream_bytes {
            sink.note(Oddity::LimitHit { limit: "stream-bytes", value: self.limits.stream_bytes as u64 }, place);
            let weight = both.weight();
            both.each(pair, place, &mut self.kept, sink, Stream::flush);
            self.bytes = self.bytes.saturating_add(both.weight()).saturating_sub(weight);
        }
        if both.is_holding() {
            self.holding.insert(both.number, pair);
        } else {
            self.holding.remove(&both.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames::ACK;
    use crate::net::frames::Bench;
    use crate::net::frames::FIN;
    use crate::net::frames::RST;
    use crate::net::frames::SYN;
    use crate::net::frames::Sender as From;
    use crate::net::frames::Tcp;
    use proptest::prelude::*;

    fn answer(sequence: u32, acknowledgment: u32, payload: &[u8]) -> Tcp<'_> {
        Tcp { sender: From::Server, flags: ACK, sequence, acknowledgment, payload }
    }

    fn events(bench: &Bench) -> Vec<(ConnectionEvent, u64, u64)> {
        bench.events.iter().map(|event| (event.what, event.place.frame, event.stream.0)).collect()
    }

    #[test]
    fn segments_in_reverse_order() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(107, b"ghi"), Tcp::of(104, b"def"), Tcp::of(101, b"abc")]);
        assert_eq!(bench.stream(From::Client), "abcdefghi");
        assert_eq!(bench.segment_frames(), [6, 6, 6], "the frame that filled the hole completes them");
        assert!(bench.log.is_empty());
        assert!(!bench.segments[0].0.midstream);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut bench = Bench::default();
        bench.handshake(u32::MAX - 3);
        bench.tcp(&[Tcp::of(1, b"ef"), Tcp::of(u32::MAX - 2, b"abcd"), Tcp::of(3, b"gh")]);
        assert_eq!(bench.stream(From::Client), "abcdefgh");
    }

    #[test]
    fn the_first_copy_wins_and_the_other_is_noted() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abcdef"), Tcp::of(103, b"cXXf"), Tcp::of(101, b"abcdef")]);
        assert_eq!(bench.stream(From::Client), "abcdef");
        let noted = bench.log.of("stream-conflict").unwrap();
        assert_eq!((noted.count, noted.frames.as_slice()), (1, &[5][..]));
        assert_eq!(noted.example, Oddity::StreamConflict { bytes: 2 });
    }

    #[test]
    fn a_conflict_among_what_waits_is_noted_too() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(104, b"def"), Tcp::of(101, b"abcDef")]);
        assert_eq!(bench.stream(From::Client), "abcdef");
        assert_eq!(bench.log.of("stream-conflict").unwrap().example, Oddity::StreamConflict { bytes: 1 });
    }

    #[test]
    fn what_has_ended_may_begin_again_with_the_same_number() {
        let reset = Tcp { flags: RST, ..Tcp::of(104, b"") };
        let closed = [
            Tcp { flags: FIN | ACK, ..Tcp::of(104, b"") },
            Tcp { sender: From::Server, flags: FIN | ACK, acknowledgment: 105, ..Tcp::of(9001, b"") },
        ];
        for end in [&[reset][..], &closed] {
            let mut bench = Bench::default();
            bench.handshake(100);
            bench.tcp(&[Tcp::of(101, b"abc")]);
            bench.tcp(end);
            bench.handshake(100);
            bench.tcp(&[Tcp::of(101, b"xyz")]);
            assert_eq!(bench.stream(From::Client), "abcxyz");
            assert!(bench.log.is_empty());
        }
    }

    #[test]
    fn a_refused_connection_is_refused_once_however_often_it_is_tried() {
        let mut bench = Bench::default();
        let refusal = Tcp { sender: From::Server, flags: RST | ACK, sequence: 0, acknowledgment: 101, payload: b"" };
        for _ in 0..3 {
            bench.tcp(&[Tcp { flags: SYN, ..Tcp::of(100, b"") }, refusal]);
        }
        let refused = events(&bench).into_iter().filter(|event| event.0 == ConnectionEvent::Refused).count();
        assert_eq!(refused, 1);
    }

    #[test]
    fn keep_alive_probes_are_no_data() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abc"), Tcp::of(103, b"\0"), Tcp::of(103, b""), Tcp::of(104, b"def")]);
        assert_eq!(bench.stream(From::Client), "abcdef");
        assert!(bench.log.is_empty());
    }

    #[test]
    fn an_acknowledged_hole_is_a_loss_of_the_capture() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abc"), Tcp::of(110, b"BYE sip:a SIP/2.0")]);
        assert_eq!(bench.stream(From::Client), "abc");
        bench.tcp(&[answer(9001, 127, b"SIP/2.0 200 OK")]);
        assert_eq!(bench.stream(From::Client), "abc-BYE sip:a SIP/2.0");
        assert_eq!(bench.segments[1].0.gap, 6);
        assert_eq!(bench.segment_frames(), [4, 5, 6], "before the answer, and at its own frame");
        assert_eq!(bench.log.of("stream-gap").unwrap().example, Oddity::StreamGap { bytes: 6 });
    }

    #[test]
    fn the_receiver_waits_and_so_do_we() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abc"), Tcp::of(107, b"ghi")]);
        bench.tcp(&[answer(9001, 104, b""); 10]);
        bench.tcp(&[Tcp::of(104, b"def")]);
        assert_eq!(bench.stream(From::Client), "abcdefghi");
    }

    #[test]
    fn an_end_that_overtakes_is_told_behind_what_it_ends() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abc"), Tcp { flags: FIN | ACK, ..Tcp::of(107, b"") }]);
        let ends = |bench: &Bench| events(bench).into_iter().filter(|event| event.0 == ConnectionEvent::Fin).count();
        assert_eq!(ends(&bench), 0);
        bench.tcp(&[Tcp::of(104, b"def")]);
        assert_eq!((bench.stream(From::Client).as_str(), ends(&bench)), ("abcdef", 1));
        bench.tcp(&[Tcp { flags: FIN | ACK, ..Tcp::of(107, b"") }]);
        assert_eq!(ends(&bench), 1, "told once");
    }

    #[test]
    fn an_end_behind_a_hole_is_told_when_the_receiver_has_it_or_nothing_more_comes() {
        for ends_by in ["acknowledgment", "time", "input"] {
            let mut bench = Bench::default();
            bench.handshake(100);
            bench.tcp(&[Tcp::of(101, b"abc"), Tcp { flags: FIN | ACK, ..Tcp::of(107, b"") }]);
            match ends_by {
                "acknowledgment" => bench.tcp(&[answer(9001, 108, b"")]),
                "time" => bench.advance(100_000_000_000),
                _ => bench.finish(),
            }
            let told = events(&bench).into_iter().filter(|event| event.0 == ConnectionEvent::Fin).count();
            assert_eq!(told, 1, "{ends_by}");
        }
    }

    #[test]
    fn without_the_receiver_patience_is_short() {
        let mut bench = Bench::default();
        bench.tcp(&[Tcp { flags: SYN, ..Tcp::of(100, b"") }, Tcp::of(104, b"SIP/2.0 200")]);
        bench.tcp(&[Tcp::of(115, b"x"); 5]);
        assert_eq!(bench.stream(From::Client), "-SIP/2.0 200x");
        assert_eq!(bench.noted("stream-gap"), 1);
    }

    #[test]
    fn time_that_passes_ends_a_wait() {
        let mut bench = Bench::default();
        bench.tcp(&[Tcp { flags: SYN, ..Tcp::of(100, b"") }, Tcp::of(104, b"SIP/2.0 200")]);
        bench.advance(4_000_000_000);
        assert_eq!(bench.stream(From::Client), "");
        bench.advance(6_000_000_000);
        assert_eq!(bench.stream(From::Client), "-SIP/2.0 200");
    }

    #[test]
    fn many_that_wait_are_looked_at_in_turns() {
        let mut bench = Bench::default();
        for port in 0..600_u16 {
            for segment in [Tcp { flags: SYN, ..Tcp::of(100, b"") }, Tcp::of(104, b"SIP/2.0 200")] {
                let mut frame = segment.frame();
                frame[34..36].copy_from_slice(&port.to_be_bytes());
                bench.feed_at(1, &frame, frame.len(), 1_000_000_000);
            }
        }
        for (turn, released) in [(1, 256), (2, 512), (3, 600)] {
            bench.advance(10_000_000_000);
            assert_eq!(bench.segments.len(), released, "turn {turn}");
        }
    }

    #[test]
    fn too_many_bytes_behind_a_hole_end_a_wait() {
        let mut bench = Bench::default();
        bench.handshake(100);
        let bytes = [b'x'; 1000];
        for count in 0..400_u32 {
            let segment = Tcp::of(200 + count * 1000, &bytes).frame();
            bench.feed_at(1, &segment, segment.len(), 4_000_000_000);
        }
        assert_eq!(bench.segments[0].0.gap, 99);
        let bytes: usize = bench.segments.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= 64_000 + 1000 || bytes == 400_000, "{bytes}");
    }

    #[test]
    fn a_start_in_mid_stream_is_said() {
        let mut bench = Bench::default();
        bench.tcp(&[Tcp::of(50, b"\0"), Tcp::of(51, b"def"), Tcp::of(54, b"ghi")]);
        bench.finish();
        assert_eq!(bench.stream(From::Client), "defghi");
        let midstream: Vec<bool> = bench.segments.iter().map(|(segment, _)| segment.midstream).collect();
        assert_eq!(midstream, [true, false]);
        let mut bench = Bench::default();
        bench.tcp(&[Tcp::of(50, b"I"), Tcp::of(51, b"NVITE sip:")]);
        bench.finish();
        assert_eq!(bench.stream(From::Client), "INVITE sip:");
    }

    #[test]
    fn halves_that_came_in_the_other_order_are_joined_though_no_handshake_was_seen() {
        let mut bench = Bench::default();
        let half = b"Call-ID: a\r\n\r\n";
        bench.tcp(&[Tcp::of(130, half), Tcp::of(101, b"BYE sip:a@example.com SIP/2.0"), Tcp::of(144, b"OPTIONS sip:")]);
        assert_eq!(bench.stream(From::Client), "BYE sip:a@example.com SIP/2.0Call-ID: a\r\n\r\nOPTIONS sip:");
        assert_eq!(bench.segment_frames(), [2, 2, 3]);
        assert!(bench.log.is_empty());
    }

    #[test]
    fn the_end_of_a_message_that_began_before_the_capture_waits_for_its_receiver() {
        let mut bench = Bench::default();
        bench.tcp(&[Tcp::of(130, b"Call-ID: a\r\n\r\n")]);
        assert_eq!(bench.stream(From::Client), "");
        bench.tcp(&[answer(9001, 144, b"SIP/2.0 200 OK\r\n\r\n")]);
        assert_eq!(bench.stream(From::Client), "Call-ID: a\r\n\r\n");
        assert_eq!(bench.segment_frames(), [1, 2], "at its own frame, before the answer");
        assert!(bench.log.is_empty());
    }

    #[test]
    fn a_message_from_before_the_first_bytes_is_told_for_itself() {
        let mut bench = Bench::default();
        let earlier = Tcp::of(80, b"SIP/2.0 100 Trying\r\n\r\n");
        bench.tcp(&[Tcp::of(102, b"SIP/2.0 180 Ringing\r\n\r\n"), earlier, earlier]);
        assert_eq!(bench.stream(From::Client), "SIP/2.0 180 Ringing\r\n\r\n");
        assert_eq!(bench.payloads(), [b"SIP/2.0 100 Trying\r\n\r\n"], "once, however often it is repeated");
        assert_eq!(bench.datagrams[0].0.path.transport, Transport::Tcp);
        bench.tcp(&[Tcp::of(70, b"l: 0\r\n\r\n")]);
        assert_eq!(bench.log.of("stream-bytes-late").unwrap().example, Oddity::StreamBytesLate { bytes: 8 });
    }

    #[test]
    fn an_acknowledgment_that_overtakes_what_it_acknowledges_ends_no_wait() {
        let mut bench = Bench::default();
        bench.handshake(100);
        let at = |bench: &mut Bench, segment: Tcp<'_>, nanoseconds| {
            let frame = segment.frame();
            bench.feed_at(1, &frame, frame.len(), nanoseconds);
        };
        at(&mut bench, Tcp::of(104, b"def"), 4_000_000_000);
        at(&mut bench, answer(9001, 107, b""), 4_000_010_000);
        at(&mut bench, Tcp::of(101, b"abc"), 4_000_100_000);
        assert_eq!(bench.stream(From::Client), "abcdef");
        at(&mut bench, Tcp::of(110, b"jkl"), 5_000_000_000);
        at(&mut bench, answer(9001, 113, b""), 5_000_010_000);
        assert_eq!(bench.stream(From::Client), "abcdef");
        at(&mut bench, answer(9001, 113, b""), 5_020_000_000);
        assert_eq!(bench.stream(From::Client), "abcdef-jkl");
    }

    #[test]
    fn a_segment_of_another_ip_packet_is_no_second_copy_of_the_capture() {
        for (id, duplicates, repeated) in [([0, 7], 1, 0), ([0, 8], 0, 1), ([0, 0], 1, 0)] {
            let mut bench = Bench::default();
            bench.handshake(100);
            let mut frame = Tcp::of(101, b"abc").frame();
            bench.feed_at(1, &frame, frame.len(), 4_000_000_000);
            frame[18..20].copy_from_slice(&id);
            bench.feed_at(1, &frame, frame.len(), 4_000_800_000);
            let told = events(&bench).into_iter().filter(|event| event.0 == ConnectionEvent::Repeated).count();
            assert_eq!((bench.noted("capture-duplicated"), told), (duplicates, repeated), "{id:?}");
        }
    }

    #[test]
    fn what_happens_to_a_connection() {
        let mut bench = Bench::default();
        let syn = Tcp { flags: SYN, ..Tcp::of(100, b"") };
        bench.tcp(&[syn, syn]);
        bench.tcp(&[Tcp { flags: RST | ACK, ..answer(0, 101, b"") }]);
        let wanted = [(ConnectionEvent::Syn, 1, 2), (ConnectionEvent::Syn, 2, 2), (ConnectionEvent::Refused, 3, 3)];
        assert_eq!(events(&bench), wanted);

        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp { flags: FIN | ACK, ..Tcp::of(101, b"bye") }, Tcp { flags: RST, ..answer(9001, 0, b"") }]);
        let wanted = [
            (ConnectionEvent::Syn, 1, 2),
            (ConnectionEvent::SynAck, 2, 3),
            (ConnectionEvent::Fin, 4, 2),
            (ConnectionEvent::Reset, 5, 3),
        ];
        assert_eq!(events(&bench), wanted);
        assert_eq!(bench.stream(From::Client), "bye");
    }

    #[test]
    fn a_new_connection_between_the_same_ports_has_a_new_number() {
        let mut bench = Bench::default();
        bench.handshake(100);
        bench.tcp(&[Tcp::of(101, b"abc")]);
        bench.handshake(5_000);
        bench.tcp(&[Tcp::of(5_001, b"def")]);
        let streams: Vec<u64> = bench.segments.iter().map(|(segment, _)| segment.stream.0).collect();
        assert_eq!(streams, [2, 4]);
        bench.tcp(&[Tcp::of(1_000_000_000, b"BYE sip:without.a.syn SIP/2.0\r\n")]);
        assert_eq!(bench.segments[2].0.stream.0, 6);
        assert!(bench.segments[2].0.midstream);
    }

    #[test]
    fn what_the_capture_cut_is_a_gap() {
        let mut bench = Bench::default();
        bench.handshake(100);
        let frame = Tcp::of(101, b"SIP/2.0 200 OK").frame();
        bench.feed_cut(1, &frame[..frame.len() - 3], frame.len());
        bench.tcp(&[Tcp::of(115, b"next")]);
        assert_eq!(bench.stream(From::Client), "SIP/2.0 200-next");
        assert_eq!(bench.segments[1].0.gap, 3);
    }

    #[test]
    fn the_oldest_connection_is_forgotten_and_it_is_said() {
        let mut bench = Bench::new(Limits { streams: 4, ..Limits::default() });
        for port in 0..4_u8 {
            let mut frame = Tcp::of(101, b"abc").frame();
            frame[35] = port;
            bench.feed(1, &frame);
        }
        assert_eq!(bench.noted("limit-hit"), 2);
        let forgotten: Vec<u64> = bench.events.iter().map(|event| event.stream.0).collect();
        assert_eq!(forgotten, [2, 3, 4, 5]);
        assert!(bench.events.iter().all(|event| event.what == ConnectionEvent::Forgotten));
    }

    #[test]
    fn bytes_that_wait_are_bounded_over_all_streams() {
        let mut bench = Bench::new(Limits { stream_bytes: 5_000, ..Limits::default() });
        let bytes = [b'x'; 1000];
        for port in 0..8_u8 {
            for segment in [Tcp { flags: SYN, ..Tcp::of(100, b"") }, Tcp::of(200, &bytes)] {
                let mut frame = segment.frame();
                frame[35] = port;
                bench.feed_at(1, &frame, frame.len(), 0);
            }
        }
        assert_eq!(bench.noted("limit-hit"), 4);
        bench.finish();
        assert_eq!(bench.segments.len(), 8);
    }

    proptest! {
        /// However a stream is cut, mixed within a window, repeated and overlapped: the bytes are the same.
        #[test]
        fn any_cutting_delivers_the_same_bytes(
            text in "[a-z]{1,900}",
            start in any::<u32>(),
            cuts in proptest::collection::vec((1..60usize, 0..20usize, 0..8u32, any::<bool>()), 1..200),
        ) {
            let bytes = text.as_bytes();
            let mut plan: Vec<(u32, usize, usize)> = Vec::new();
            let (mut at, mut turn) = (0, 0);
            for (length, overlap, delay, again) in cuts.iter().cycle() {
                if at >= bytes.len() { break; }
                let end = (at + length).min(bytes.len());
                let begin = at.saturating_sub(*overlap);
                plan.push((turn + delay, begin, end));
                if *again { plan.push((turn + delay + 3, begin, end)); }
                at = end;
                turn += 1;
            }
            plan.sort_by_key(|(turn, ..)| *turn);
            let mut bench = Bench::default();
            bench.handshake(start);
            for (_, begin, end) in plan {
                let segment = Tcp::of(start.wrapping_add(1 + begin as u32), &bytes[begin..end]).frame();
                bench.feed_at(1, &segment, segment.len(), 4_000_000_000);
            }
            prop_assert_eq!(bench.stream(From::Client), text);
            // Repeated within the same moment, a segment is a second copy; nothing else is odd.
            prop_assert!(bench.log.iter().all(|(kind, _)| kind == "capture-duplicated"));
        }
    }
}
