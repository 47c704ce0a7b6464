//! From frames to payloads, layer by layer.
//!
//! Knows the order of the layers and how deep they may be nested. Is given packets; gives deliveries. Deliberately
//! leaves each layer to its own file.

use std::net::SocketAddr;

use crate::capture::Packet;
use crate::capture::Place;
use crate::capture::Timestamp;
use crate::net::Datagram;
use crate::net::Delivery;
use crate::net::Limits;
use crate::net::Mirror;
use crate::net::Path;
use crate::net::Sink;
use crate::net::Transport;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::bytes::u16_at;
use crate::net::fast;
use crate::net::fragments::DatagramKey;
use crate::net::fragments::FragmentTable;
use crate::net::hep;
use crate::net::hep::Hep;
use crate::net::icmp;
use crate::net::ip;
use crate::net::ip::Fragment;
use crate::net::ip::IpPacket;
use crate::net::ip::Lengths;
use crate::net::ip::protocol;
use crate::net::link;
use crate::net::link::Layer;
use crate::net::link::Start;
use crate::net::place_of;
use crate::net::sctp;
use crate::net::tcp::ConnectionTable;
use crate::net::tunnel;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;

/// Strips link, tunnel and IP layers, reassembles, and hands on payloads.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    fragments: FragmentTable,
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
            connections: ConnectionTable::new(limits),
            last: Place::default(),
        }
    }

    /// Decodes one packet and hands each payload to `deliver`, in order. What is odd goes into `oddities`.
    ///
    /// Bytes that waited behind a hole of a stream are handed on with the place of the frame that carried them, which
    /// may be earlier than places handed on before.
    #[inline]
    pub fn feed<F>(&mut self, packet: &Packet<'_>, oddities: &mut OddityLog, mut deliver: F)
    where
        F: FnMut(Delivery<'_>),
    {
        match fast::datagram(packet) {
            Some(datagram) => deliver(Delivery::Datagram(datagram)),
            None => self.feed_unusual(packet, &mut Sink { oddities, deliver: &mut deliver }),
        }
    }

    /// Says that it is `now` and nothing arrived: what has waited long enough is handed on or noted.
    pub fn advance<F>(&mut self, now: Timestamp, oddities: &mut OddityLog, mut deliver: F)
    where
        F: FnMut(Delivery<'_>),
    {
        self.fragments.expire(now, oddities);
        let place = Place { time: now, ..self.last };
        self.connections.look(place, &mut Sink { oddities, deliver: &mut deliver });
    }

    /// Says that the input has ended: what waited for missing pieces is handed on or noted.
    pub fn finish<F>(&mut self, oddities: &mut OddityLog, mut deliver: F)
    where
        F: FnMut(Delivery<'_>),
    {
        self.fragments.finish(oddities);
        self.connections.finish(self.last, &mut Sink { oddities, deliver: &mut deliver });
    }

    #[inline(never)]
    fn feed_unusual(&mut self, packet: &Packet<'_>, sink: &mut Sink<'_>) {
        let place = place_of(packet);
        self.last = place;
        let missing = packet.original_len.saturating_sub(to_u32(packet.bytes.len()));
        match link::start(packet.link, Rest { bytes: packet.bytes, missing }) {
            Start::Layer(layer, rest) => self.layers(place, layer, rest, 0, sink),
            Start::Nothing => {}
            Start::Unsupported => sink.note(Oddity::UnsupportedLinkType { link_type: packet.link.0 }, place),
        }
    }

    /// Goes inward until something was handed on, or nothing is left.
    fn layers(&mut self, place: Place, layer: Layer, rest: Rest<'_>, mut depth: u8, sink: &mut Sink<'_>) {
        let mut next = Some((layer, rest));
        while let Some((layer, rest)) = next {
            // Only these nest; every other layer is a header that is shorter than what it came in.
            if matches!(layer, Layer::Ip | Layer::Ethernet) {
                if depth >= self.limits.layers {
                    return sink.note(Oddity::TooDeep { layers: self.limits.layers }, place);
                }
                depth = depth.saturating_add(1);
            }
            next = match layer {
                Layer::Ip => self.ip(place, rest, depth, sink),
                other => link::step(other, rest),
            };
        }
    }

    fn ip<'a>(&mut self, place: Place, rest: Rest<'a>, depth: u8, sink: &mut Sink<'_>) -> Option<(Layer, Rest<'a>)> {
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
                self.fragment(place, &packet, fragment, depth, sink);
                None
            }
        }
    }

    fn fragment(&mut self, place: Place, packet: &IpPacket<'_>, fragment: Fragment, depth: u8, sink: &mut Sink<'_>) {
        let key = DatagramKey {
            source: packet.source,
            destination: packet.destination,
            protocol: if packet.source.is_ipv4() { packet.protocol } else { 0 },
            id: fragment.id,
        };
        let whole = self.fragments.add(key, packet.protocol, fragment, packet.payload, place, sink.oddities);
        let Some(whole) = whole else { return };
        let rest = Rest { bytes: &whole.bytes, missing: whole.missing };
        let (protocol, rest, _) = ip::skip_extensions(whole.protocol, rest);
        if let Some((layer, rest)) = self.transport(place, packet, protocol, rest, sink) {
            self.layers(place, layer, rest, depth, sink);
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
            number => (number, rest),
        };
        match number {
            protocol::UDP => return udp(place, packet, rest, sink),
            protocol::TCP => self.connections.take(place, packet.source, packet.destination, rest, sink),
            protocol::SCTP => sctp_messages(place, packet, rest, sink),
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
            _ => {}
        }
        None
    }
}

/// Hands on a UDP payload, or says what is inside of it.
fn udp<'a>(place: Place, packet: &IpPacket<'_>, rest: Rest<'a>, sink: &mut Sink<'_>) -> Option<(Layer, Rest<'a>)> {
    const HEADER: usize = 8;
    let source = u16_at(rest.bytes, 0)?;
    let destination = u16_at(rest.bytes, 2)?;
    let said = u16_at(rest.bytes, 4)?;
    let had = rest.on_wire();
    let within = match usize::from(said) {
        // Not set, as segmentation offload leaves it.
        0 => rest,
        length if length < HEADER || length > had => {
            sink.note(Oddity::BrokenUdpLength { said, had: to_u32(had) }, place);
            if length < HEADER { rest } else { rest.limit(length) }
        }
        length => rest.limit(length),
    };
    let payload = within.skip(HEADER)?;
    if let Some(inner) = tunnel::over_udp(destination, payload) {
        return Some(inner);
    }
    match hep::read(payload) {
        Some(Hep::Other) => return None,
        Some(Hep::Sip(copied)) => {
            sink.deliver(Delivery::Datagram(Datagram {
                place: Place { time: copied.time.unwrap_or(place.time), ..place },
                path: copied.path,
                bytes: copied.rest.bytes,
                cut: copied.rest.missing,
                ip_id: None,
                mirrored: Mirror::Hep,
            }));
            return None;
        }
        None => {}
    }
    sink.deliver(Delivery::Datagram(Datagram {
        place,
        path: Path {
            source: SocketAddr::new(packet.source, source),
            destination: SocketAddr::new(packet.destination, destination),
            transport: Transport::Udp,
        },
        bytes: payload.bytes,
        cut: payload.missing,
        ip_id: packet.id,
        mirrored: Mirror::Wire,
    }));
    None
}

fn sctp_messages(place: Place, packet: &IpPacket<'_>, rest: Rest<'_>, sink: &mut Sink<'_>) {
    let Some((source, destination, messages)) = sctp::read(rest) else { return };
    let path = Path {
        source: SocketAddr::new(packet.source, source),
        destination: SocketAddr::new(packet.destination, destination),
        transport: Transport::Sctp,
    };
    for message in messages {
        sink.deliver(Delivery::Datagram(Datagram {
            place,
            path,
            bytes: message.bytes,
            cut: message.missing,
            ip_id: packet.id,
            mirrored: Mirror::Wire,
        }));
    }
}
