//! From frames to payloads, layer by layer.
//!
//! Knows the order of the layers and how deep they may be nested. Is given packets; gives deliveries. Deliberately
//! leaves each layer to its own file.

use std::net::SocketAddr;

use crate::capture::LinkType;
use crate::capture::Packet;
use crate::capture::Place;
use crate::capture::Timestamp;
use crate::net::Datagram;
use crate::net::Delivery;
use crate::net::Fragmented;
use crate::net::Limits;
use crate::net::Mirror;
use crate::net::Path;
use crate::net::Plain;
use crate::net::Sink;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::bytes::u16_at;
use crate::net::exported;
use crate::net::exported::Exported;
use crate::net::fragments::DatagramKey;
use crate::net::fragments::FragmentTable;
use crate::net::fragments::Whole;
use crate::net::hep;
use crate::net::hep::Hep;
use crate::net::icmp;
use crate::net::ip;
use crate::net::ip::IpPacket;
use crate::net::ip::Lengths;
use crate::net::ip::protocol;
use crate::net::link;
use crate::net::link::Layer;
use crate::net::link::Start;
use crate::net::place_of;
use crate::net::sctp;
use crate::net::tcp::ConnectionTable;
use crate::net::tls::KeyLog;
use crate::net::tunnel;
use crate::net::tunnel_udp;
use crate::net::wireless;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;

/// Strips link, tunnel and IP layers, reassembles, and hands on payloads.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    fragments: FragmentTable,
    parts: sctp::PartTable,
    connections: ConnectionTable,
    /// The latest packet that went the long way.
    last: Place,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder with these bounds.
    pub fn new(limits: Limits) -> Decoder {
        Decoder {
            limits,
            fragments: FragmentTable::new(limits.fragment_bytes),
            parts: sctp::PartTable::new(limits.fragment_bytes),
            connections: ConnectionTable::new(limits),
            last: Place::default(),
        }
    }

    /// The secrets with which TLS is opened; more can be added at any time, for records that come later.
    pub fn keys(&mut self) -> &mut KeyLog {
        self.connections.keys()
    }

    /// Decodes one packet and hands each payload to `deliver`, in order. What is odd goes into `oddities`.
    ///
    /// Bytes that waited behind a hole of a stream are handed on with the place of the frame that carried them, which
    /// may be earlier than places handed on before.
    pub fn feed<F>(&mut self, packet: &Packet<'_>, oddities: &mut OddityLog, deliver: F)
    where
        F: FnMut(Delivery<'_>),
    {
        self.feed_read(packet, Plain::of(packet), oddities, deliver);
    }

    /// The same with what was read of the frame, if it is a plain one.
    #[inline]
    pub(crate) fn feed_read<'a>(
        &mut self,
        packet: &Packet<'a>,
        plain: Option<Plain<'a>>,
        oddities: &mut OddityLog,
        mut deliver: impl FnMut(Delivery<'_>),
    ) {
        match plain {
            Some(plain) => deliver(Delivery::Datagram(plain.datagram(packet))),
            None => self.feed_unusual(packet, &mut Sink { oddities, deliver: &mut deliver }),
        }
    }

    /// Says that it is `now` and nothing arrived: what has waited long enough is handed on or noted.
    pub fn advance<F>(&mut self, now: Timestamp, oddities: &mut OddityLog, mut deliver: F)
    where
        F: FnMut(Delivery<'_>),
    {
        self.fragments.expire(now, oddities);
        self.parts.expire(now, oddities);
        self.tell_cut_short(&mut Sink { oddities, deliver: &mut deliver });
        let place = Place { time: now, ..self.last };
        self.connections.look(place, &mut Sink { oddities, deliver: &mut deliver });
    }

    /// Says that the input has ended: what waited for missing pieces is handed on or noted.
    pub fn finish<F>(&mut self, oddities: &mut OddityLog, mut deliver: F)
    where
        F: FnMut(Delivery<'_>),
    {
        self.fragments.finish(oddities);
        self.parts.finish(oddities);
        self.tell_cut_short(&mut Sink { oddities, deliver: &mut deliver });
        self.connections.finish(self.last, &mut Sink { oddities, deliver: &mut deliver });
    }

    #[inline(never)]
    fn feed_unusual(&mut self, packet: &Packet<'_>, sink: &mut Sink<'_>) {
        let place = place_of(packet);
        self.last = place;
        let missing = packet.original_len.saturating_sub(to_u32(packet.bytes.len()));
        let rest = Rest { bytes: packet.bytes, missing };
        if packet.link.0 == exported::LINK_TYPE {
            match exported::read(rest) {
                Some(Exported::Payload(path, rest)) => {
                    sink.deliver(Delivery::Datagram(of_no_packet(place, path, rest)));
                }
                Some(Exported::Packet(layer, rest)) => self.layers(place, layer, rest, 0, sink),
                None => {}
            }
            return;
        }
        if packet.link == LinkType::HEP {
            if let Some(Hep::Sip(copied)) = hep::read(rest) {
                // It came from the agent itself, and with the time that the source found credible.
                copied.deliver_as(Mirror::Wire, place, sink);
            }
            return;
        }
        match link::start(packet.link, rest) {
            Start::Layer(layer, rest) => self.layers(place, layer, rest, 0, sink),
            Start::Nothing => {}
            Start::Unsupported => sink.note(Oddity::UnsupportedLinkType { link_type: packet.link.0 }, place),
        }
    }

    /// Goes inward until something was handed on, or nothing is left.
    fn layers(&mut self, place: Place, layer: Layer, rest: Rest<'_>, mut depth: u8, sink: &mut Sink<'_>) {
        let mut next = Some((layer, rest));
        let mut network = 0;
        while let Some((layer, rest)) = next {
            network = link::network_behind(layer, rest, network);
            // Only these nest; every other layer is a header that is shorter than what it came in.
            if matches!(layer, Layer::Ip | Layer::Ethernet) {
                if depth >= self.limits.layers {
                    return sink.note(Oddity::TooDeep { layers: self.limits.layers }, place);
                }
                depth = depth.saturating_add(1);
            }
            next = match layer {
                Layer::Ip => self.ip(place, rest, depth, network, sink),
                Layer::Aggregate => {
                    for frame in wireless::parts(rest) {
                        self.layers(place, Layer::Ethernet, frame, depth, sink);
                    }
                    None
                }
                other => link::step(other, rest),
            };
        }
    }

    fn ip<'a>(
        &mut self,
        place: Place,
        rest: Rest<'a>,
        depth: u8,
        network: u32,
        sink: &mut Sink<'_>,
    ) -> Option<(Layer, Rest<'a>)> {
        let Some(packet) = ip::read(rest) else {
            // A header that the capture cut off is not broken.
            if rest.missing == 0 {
                sink.note(Oddity::BrokenIpHeader, place);
            }
            return None;
        };
        if packet.lengths == Lengths::Broken {
            sink.note(Oddity::BrokenIpHeader, place);
        }
        match packet.fragment {
            None => self.transport(place, &packet, packet.protocol, packet.payload, sink),
            Some(fragment) => {
                let key = DatagramKey {
                    source: packet.source,
                    destination: packet.destination,
                    protocol: if packet.source.is_ipv4() { packet.protocol } else { 0 },
                    id: fragment.id,
                    network,
                };
                let whole = self.fragments.add(key, packet.protocol, fragment, packet.payload, place, sink.oddities);
                self.tell_cut_short(sink);
                if let Some(whole) = whole {
                    self.reassembled(place, &packet, &whole, depth, sink);
                }
                None
            }
        }
    }

    fn reassembled(&mut self, place: Place, packet: &IpPacket<'_>, whole: &Whole, depth: u8, sink: &mut Sink<'_>) {
        let rest = Rest { bytes: &whole.bytes, missing: whole.missing };
        let (protocol, rest, _) = ip::skip_extensions(whole.protocol, rest);
        if protocol == protocol::UDP {
            let (source, destination) = (packet.source, packet.destination);
            sink.deliver(Delivery::Fragmented(Fragmented { place, source, destination, beginning: None }));
        }
        if let Some((layer, rest)) = self.transport(place, packet, protocol, rest, sink) {
            self.layers(place, layer, rest, depth, sink);
        }
    }

    /// Tells how UDP datagrams begin whose other fragments did not come.
    fn tell_cut_short(&mut self, sink: &mut Sink<'_>) {
        for (key, unfinished) in self.fragments.take_given_up() {
            let Some((number, bytes, place)) = unfinished.beginning() else { continue };
            let (protocol, rest, _) = ip::skip_extensions(number, Rest { bytes: &bytes, missing: 0 });
            let payload = rest.bytes.get(UDP_HEADER..).filter(|_| protocol == protocol::UDP);
            if let Some(payload) = payload {
                let DatagramKey { source, destination, .. } = key;
                sink.deliver(Delivery::Fragmented(Fragmented { place, source, destination, beginning: Some(payload) }));
            }
        }
    }

    /// Hands on what an IP packet carries, or says what is inside of it.
    fn transport<'a>(
        &mut self,
        place: Place,
        packet: &IpPacket<'_>,
        number: u8,
        rest: Rest<'a>,
        sink: &mut Sink<'_>,
    ) -> Option<(Layer, Rest<'a>)> {
        let (number, rest) = match number {
            protocol::ESP => tunnel::esp_without_encryption(rest)?,
            protocol::UDP => tunnel_udp::transport(rest).unwrap_or((number, rest)),
            number => (number, rest),
        };
        match number {
            protocol::UDP => return udp(place, packet, rest, sink),
            protocol::TCP => self.connections.take(place, packet, rest, sink),
            protocol::SCTP => self.sctp_messages(place, packet, rest, sink),
            protocol::ICMP => {
                if let Some(error) = icmp::read_v4(place, packet, rest) {
                    sink.deliver(Delivery::Icmp(error));
                }
            }
            protocol::ICMPV6 => {
                if let Some(error) = icmp::read_v6(place, packet, rest) {
                    sink.deliver(Delivery::Icmp(error));
                }
            }
            protocol::IPV4 | protocol::IPV6 => return Some((Layer::Ip, rest)),
            protocol::GRE => return Some((Layer::Gre, rest)),
            protocol::MPLS => return Some((Layer::Mpls, rest)),
            protocol::ETHERNET => return Some((Layer::Ethernet, rest)),
            protocol::ETHERIP => return tunnel::etherip(rest),
            protocol::L2TP => return tunnel_udp::l2tp_3(rest),
            // Where UDP has its length, this has how much of it the checksum covers: it ends with the IP packet.
            protocol::UDP_LITE => return datagram_behind_header(place, packet, rest, sink),
            _ => {}
        }
        None
    }

    fn sctp_messages(&mut self, place: Place, packet: &IpPacket<'_>, rest: Rest<'_>, sink: &mut Sink<'_>) {
        let Some((source, destination, tag, chunks)) = sctp::read(rest) else { return };
        let direction = (source, destination, tag);
        let (source, destination) =
            (SocketAddr::new(packet.source, source), SocketAddr::new(packet.destination, destination));
        let path = Path { source, destination, transport: Transport::Sctp };
        for chunk in chunks {
            if chunk.part == sctp::Part::Whole {
                if self.parts.is_new(direction, chunk, place, sink.oddities) {
                    sink.deliver(Delivery::Datagram(datagram(place, path, chunk.payload, packet)));
                }
            } else if let Some((bytes, missing)) = self.parts.add(direction, chunk, place, sink.oddities) {
                let whole = Rest { bytes: &bytes, missing };
                sink.deliver(Delivery::Datagram(datagram(place, path, whole, packet)));
            }
        }
    }
}

/// Bytes of a UDP header (RFC 768).
const UDP_HEADER: usize = 8;

/// Hands on a UDP payload, or says what is inside of it.
fn udp<'a>(place: Place, packet: &IpPacket<'_>, rest: Rest<'a>, sink: &mut Sink<'_>) -> Option<(Layer, Rest<'a>)> {
    let said = u16_at(rest.bytes, 4)?;
    let had = rest.on_wire();
    let within = match usize::from(said) {
        // Not set, as segmentation offload leaves it.
        0 => rest,
        length if length < UDP_HEADER || length > had => {
            sink.note(Oddity::BrokenUdpLength { said, had: to_u32(had) }, place);
            if length < UDP_HEADER { rest } else { rest.limit(length) }
        }
        length => rest.limit(length),
    };
    datagram_behind_header(place, packet, within, sink)
}

/// The same of a datagram that ends where these bytes do.
fn datagram_behind_header<'a>(
    place: Place,
    packet: &IpPacket<'_>,
    rest: Rest<'a>,
    sink: &mut Sink<'_>,
) -> Option<(Layer, Rest<'a>)> {
    let source = u16_at(rest.bytes, 0)?;
    let destination = u16_at(rest.bytes, 2)?;
    let payload = rest.skip(UDP_HEADER)?;
    if let Some(inner) = tunnel_udp::read(source, destination, payload) {
        return Some(inner);
    }
    if hep::deliver_all(payload, place, sink) {
        return None;
    }
    let path = Path {
        source: SocketAddr::new(packet.source, source),
        destination: SocketAddr::new(packet.destination, destination),
        transport: Transport::Udp,
    };
    let checksum = u16_at(rest.bytes, 6);
    sink.deliver(Delivery::Datagram(Datagram { checksum, ..datagram(place, path, payload, packet) }));
    None
}

/// A datagram that was on the wire.
fn datagram<'a>(place: Place, path: Path, rest: Rest<'a>, packet: &IpPacket<'_>) -> Datagram<'a> {
    Datagram { ip_id: packet.id, hop_limit: packet.hop_limit, ..of_no_packet(place, path, rest) }
}

/// A datagram of which no IP header is known.
fn of_no_packet(place: Place, path: Path, rest: Rest<'_>) -> Datagram<'_> {
    let (bytes, cut, mirrored) = (rest.bytes, rest.missing, Mirror::Wire);
    Datagram { place, path, bytes, cut, ip_id: None, hop_limit: 0, mirrored, checksum: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames;
    use crate::net::frames::Bench;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n";

    fn vxlan(ip: &[u8]) -> Vec<u8> {
        let head = [&[8, 0, 0, 0, 0, 0, 5, 0][..], &frames::ethernet(ip)].concat();
        frames::ipv4(17, &frames::udp_to(4789, &head))
    }

    #[test]
    fn udp_lite_reaches_as_far_as_its_packet() {
        for coverage in [0, 8, 20] {
            let mut udp = frames::udp(TEXT);
            udp[5] = coverage;
            let mut bench = Bench::default();
            bench.feed(1, &frames::ethernet(&frames::ipv4(136, &udp)));
            assert_eq!(bench.payloads(), [TEXT], "{coverage}");
            assert!(bench.log.is_empty());
        }
    }

    #[test]
    fn the_short_way_and_the_long_way_agree() {
        for ip in [frames::udp_v4(TEXT), frames::udp_v6(TEXT)] {
            let mut bench = Bench::default();
            bench.feed(1, &frames::ethernet(&ip));
            bench.feed(101, &ip);
            let mut tagged = frames::ethernet(&ip);
            tagged.splice(12..12, [0x81, 0, 0, 5]);
            bench.feed(1, &tagged);
            let first = bench.datagrams[0].clone();
            assert_eq!((first.1.as_slice(), first.0.cut), (TEXT, 0));
            assert_eq!(first.0.path.source.port(), 5060);
            assert_eq!(first.0.ip_id, ip[0].eq(&0x45).then_some(7));
            for (datagram, bytes) in &bench.datagrams {
                assert_eq!((datagram.path, datagram.ip_id, bytes), (first.0.path, first.0.ip_id, &first.1));
            }
            assert_eq!(bench.datagrams.len(), 3);
        }
    }

    #[test]
    fn tunnels_in_tunnels_up_to_the_limit() {
        let mut ip = frames::udp_v4(TEXT);
        for depth in 1..20 {
            let mut bench = Bench::default();
            bench.feed(101, &ip);
            let fits = depth <= 16;
            assert_eq!(bench.payloads().len(), usize::from(fits), "{depth} headers");
            assert_eq!(bench.noted("too-deep"), u64::from(!fits));
            ip = frames::ipv4(4, &ip);
        }
        let mut bench = Bench::default();
        bench.feed(101, &vxlan(&vxlan(&frames::ipv4(41, &frames::udp_v6(TEXT)))));
        assert_eq!(bench.payloads(), [TEXT]);
    }

    #[test]
    fn a_phone_may_use_the_port_of_a_tunnel() {
        let mut bench = Bench::default();
        for port in [4789, 8472, 6081, 2152, 37_008] {
            bench.feed(1, &frames::ethernet(&frames::ipv4(17, &frames::udp_to(port, TEXT))));
        }
        assert_eq!(bench.payloads(), [TEXT; 5]);
    }

    #[test]
    fn parts_of_an_sctp_message_over_the_whole_way() {
        let part = |flags: u8, number: u8, payload: &[u8]| {
            let head = [0x13, 0xC4, 0x13, 0xCE, 0, 0, 0, 1, 0, 0, 0, 0];
            let length = u8::try_from(payload.len() + 16).unwrap();
            frames::ipv4(132, &[&head[..], &[0, flags, 0, length, 0, 0, 0, number], &[0; 8], payload].concat())
        };
        let mut bench = Bench::default();
        for packet in [part(1, 3, &TEXT[16..]), part(2, 1, &TEXT[..8]), part(0, 2, &TEXT[8..16]), part(3, 4, TEXT)] {
            bench.feed(101, &packet);
        }
        assert_eq!(bench.payloads(), [TEXT; 2]);
        assert_eq!(bench.datagrams[0].0.path.transport, Transport::Sctp);
    }

    #[test]
    fn fragments_over_the_whole_way() {
        let udp = frames::udp(&TEXT.repeat(40));
        let (first, second) = udp.split_at(800);
        let mut bench = Bench::default();
        bench.feed(1, &frames::ethernet(&frames::ipv4_part(17, second, 800, 0)));
        bench.feed(1, &frames::ethernet(&frames::ipv4_part(17, first, 0, 1)));
        assert_eq!(bench.payloads(), [TEXT.repeat(40)]);
        assert_eq!((bench.datagrams[0].0.place.frame, bench.datagrams[0].0.ip_id), (2, Some(7)));
        for (part, offset, next) in [(first, 1_u16, 0), (second, 800, 0)] {
            let field = if offset == 1 { 1 } else { offset };
            let head = [&[17, next][..], &field.to_be_bytes(), &[0, 0, 0, 9]].concat();
            bench.feed(1, &frames::ethernet(&frames::ipv6(44, &[&head, part].concat())));
        }
        assert_eq!(bench.payloads().len(), 2);
        assert!(bench.log.is_empty());
    }

    #[test]
    fn forty_extension_headers() {
        let mut next = 17;
        let mut payload = frames::udp(TEXT);
        for kind in [60, 43, 0, 135].repeat(10) {
            payload = [&[next, 0, 1, 4, 0, 0, 0, 0][..], &payload].concat();
            next = kind;
        }
        let mut bench = Bench::default();
        bench.feed(101, &frames::ipv6(next, &payload));
        let authenticated = [&[17, 4, 0, 0][..], &[0; 20], &frames::udp(TEXT)].concat();
        bench.feed(101, &frames::ipv6(51, &authenticated));
        bench.feed(101, &frames::ipv4(51, &authenticated));
        assert_eq!(bench.payloads(), [TEXT; 3]);
    }

    #[test]
    fn lengths_that_cannot_be_right() {
        let mut bench = Bench::default();
        let good = frames::udp_v4(TEXT);
        let mut offloaded = good.clone();
        offloaded[2..4].copy_from_slice(&[0, 0]);
        bench.feed(1, &frames::ethernet(&offloaded));
        assert!(bench.log.is_empty());
        for (at, value) in [(2, [0, 10]), (2, [9, 9])] {
            let mut broken = good.clone();
            broken[at..at + 2].copy_from_slice(&value);
            bench.feed(1, &frames::ethernet(&broken));
        }
        assert_eq!(bench.noted("broken-ip-header"), 2);
        for value in [[0, 3], [9, 9]] {
            let mut broken = good.clone();
            broken[24..26].copy_from_slice(&value);
            bench.feed(1, &frames::ethernet(&broken));
        }
        assert_eq!(bench.noted("broken-udp-length"), 2);
        assert_eq!(bench.payloads(), [TEXT; 5]);
        assert_eq!(bench.datagrams[4].0.cut, 0x0909 - 8 - TEXT.len() as u32);
        let mut short = good.clone();
        short[0] = 0x43;
        bench.feed(1, &frames::ethernet(&short));
        assert_eq!((bench.noted("broken-ip-header"), bench.payloads().len()), (3, 5));
    }

    #[test]
    fn a_cut_frame_gives_what_is_there() {
        let frame = frames::ethernet(&frames::udp_v4(TEXT));
        let mut bench = Bench::default();
        bench.feed_cut(1, &frame[..frame.len() - 7], frame.len());
        assert_eq!(bench.payloads(), [&TEXT[..TEXT.len() - 7]]);
        assert_eq!(bench.datagrams[0].0.cut, 7);
        bench.feed_cut(1, &frame[..30], frame.len());
        assert!(bench.log.is_empty(), "the source notes what it cut");
    }

    #[test]
    fn copies_out_of_hep_are_marked() {
        let head = [1, 16, 2, 17, 0x13, 0xC4, 0x13, 0xCE, 10, 0, 0, 1, 10, 0, 0, 2];
        let mut bench = Bench::default();
        bench.feed(1, &frames::ethernet(&frames::udp_v4(&[&head[..], TEXT].concat())));
        bench.feed(1, &frames::ethernet(&frames::udp_v4(b"HELLO sip:a@b SIP/2.0")));
        let marks: Vec<Mirror> = bench.datagrams.iter().map(|(datagram, _)| datagram.mirrored).collect();
        assert_eq!(marks, [Mirror::Hep, Mirror::Wire]);
        assert_eq!(bench.datagrams[0].0.path.source, "10.0.0.1:5060".parse().unwrap());
        assert_eq!(bench.payloads()[0], TEXT);
    }

    #[test]
    fn what_icmp_quotes_is_no_datagram() {
        let icmp = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &frames::udp_v4(TEXT)].concat();
        let mut bench = Bench::default();
        bench.feed(1, &frames::ethernet(&frames::ipv4(1, &icmp)));
        assert!(bench.datagrams.is_empty());
        assert_eq!(bench.errors[0].1, TEXT);
        assert!(bench.log.is_empty());
    }

    #[test]
    fn an_unknown_link_type_is_noted() {
        let mut bench = Bench::default();
        bench.feed(147, &[0; 40]);
        let wanted = Oddity::UnsupportedLinkType { link_type: 147 };
        assert_eq!(bench.log.of("unsupported-link-type").unwrap().example, wanted);
    }

    const LINKS: [u32; 23] =
        [127, 166, 240, 0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 117, 228, 229, 239, 252, 258, 276, 147, 105];

    proptest! {
        /// Nothing that a frame may hold makes the decoder panic.
        #[test]
        fn random_bytes_do_no_harm(
            frames in proptest::collection::vec((0..LINKS.len(), proptest::collection::vec(any::<u8>(), 0..200)), 1..20)
        ) {
            let mut bench = Bench::default();
            for (link, bytes) in frames {
                bench.feed_cut(LINKS[link], &bytes, bytes.len() + 10);
            }
            bench.finish();
        }

        /// The same for good frames with some bytes changed, which reach deeper.
        #[test]
        fn damaged_frames_do_no_harm(
            damage in proptest::collection::vec((0..7usize, proptest::collection::vec((0..120usize, any::<u8>()), 0..6), 0..130usize), 1..30)
        ) {
            let udp = frames::udp(TEXT);
            let good = [
                frames::udp_v4(TEXT),
                frames::udp_v6(TEXT),
                vxlan(&frames::udp_v4(TEXT)),
                frames::ipv4_part(17, &udp[..16], 0, 1),
                frames::ipv6(44, &[&[17, 0, 0, 1, 0, 0, 0, 9][..], &udp].concat()),
                frames::ipv4(47, &[&[0x30, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &frames::udp_v4(TEXT)].concat()),
                frames::Tcp::of(7, TEXT).frame()[14..].to_vec(),
            ];
            let mut bench = Bench::default();
            for (which, changes, length) in damage {
                let mut frame = frames::ethernet(&good[which]);
                for (at, byte) in changes {
                    if let Some(place) = frame.get_mut(at) { *place = byte; }
                }
                let length = length.max(1).min(frame.len());
                bench.feed_cut(1, &frame[..length], frame.len());
            }
            bench.finish();
        }
    }
}
