//! What is known of the surroundings of a call: who was heard, who asked to be left alone, which software was seen.
//!
//! It is a value: it can be merged (commutative, associative, with [`Surroundings::default`] as identity) and
//! serialised, so that several runs, or several machines, can put together what each has seen.

mod back_off;
mod forget;
mod hops;
mod seen;
mod senders;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::call::accepted::Accepted;
use crate::call::connections::FailedConnections;
use crate::call::cut_short::CutShort;
use crate::call::media::Media;
use crate::call::model::Heard;
use crate::call::neighbours::Neighbours;
use crate::call::points::Points;
use crate::call::registrations::Registrations;
use crate::call::soft_states::SoftStates;
use crate::call::surroundings::hops::Hops;
use crate::call::surroundings::senders::Senders;
use crate::capture::{Place, Timestamp};
use crate::keyed::{Table, in_order};
use crate::net::IcmpCode;
use crate::sip::first_letters;
use crate::sparing::make_room;

pub use crate::call::surroundings::back_off::BackOff;
pub(crate) use crate::call::surroundings::hops::HopId;
pub use crate::call::surroundings::seen::Seen;

/// A row of REGISTERs with one Call-ID: a device keeps its Call-ID as long as it runs (RFC 3261 §10.2.4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Registering {
    /// For which address-of-record.
    pub address_of_record: String,
    /// The [`call_key`](crate::call::call_key) of its Call-ID.
    pub call_key: u64,
    /// The first REGISTER of it.
    pub place: Place,
}

/// An ICMP error that says that nothing arrives at a port, and that quotes no SIP: destination unreachable (RFC 792,
/// RFC 4443 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeadPort {
    /// The first such error.
    pub place: Place,
    /// Who sent it.
    pub reporter: IpAddr,
    /// Why nothing arrives.
    pub what: IcmpCode,
    /// How many there were.
    pub count: u64,
    /// When the last of them came.
    pub last: Timestamp,
}

/// What is known of the surroundings of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Surroundings {
    /// SIP seen on each hop, in one direction: from an address to another.
    hops: Hops,
    /// Acknowledgements by TCP of what may be SIP, on each hop on which such was sent, in the direction of that.
    #[serde(default)]
    received: Hops,
    /// From which ports SIP came.
    #[serde(default)]
    senders: Senders,
    /// Who asked to be left alone, by address, in order.
    back_offs: BTreeMap<IpAddr, Vec<BackOff>>,
    /// What User-Agent or Server each address showed first.
    software: BTreeMap<IpAddr, (Place, String)>,
    /// What clients showed and servers accepted.
    accepted: Accepted,
    /// Who registered where.
    registrations: Registrations,
    /// What was subscribed and published, and for how long.
    soft_states: SoftStates,
    /// Who registered, by address.
    #[serde(serialize_with = "in_order")]
    registering: Table<IpAddr, Vec<Registering>>,
    /// Ports on which nothing listens, by address and port.
    dead_ports: BTreeMap<SocketAddr, Vec<DeadPort>>,
    /// TCP connections that failed.
    failed_connections: FailedConnections,
    /// What else one call may want to know of others.
    neighbours: Neighbours,
    /// Messages of which fragments are missing.
    #[serde(default)]
    cut_short: CutShort,
    /// The media plane.
    media: Media,
    /// Hops that were captured at two points.
    #[serde(default)]
    points: Points,
    /// Hops that were not noted because the table was full.
    not_noted: u64,
}

impl Surroundings {
    /// Hops that are kept.
    const MOST_HOPS: usize = 20_000;
    /// Times that one server may ask to be left alone, as far as they are kept.
    const MOST_BACK_OFFS: usize = 64;
    /// Rows of REGISTERs that are kept of one address.
    const MOST_REGISTERING: usize = 64;
    /// Letters of a software's name that are kept.
    const LONGEST_NAME: usize = 200;

    /// Notes a SIP message on a hop.
    pub fn note_message(&mut self, from: IpAddr, to: IpAddr, time: Timestamp) {
        let hop = self.hop_id(from, to);
        self.note_on(hop, time);
    }

    /// Where a hop is counted.
    pub(crate) fn hop_id(&mut self, from: IpAddr, to: IpAddr) -> HopId {
        self.hops.id((from, to))
    }

    /// Notes a SIP message on a hop that was looked up.
    pub(crate) fn note_on(&mut self, hop: HopId, time: Timestamp) {
        match self.hops.seen.get_mut(hop.0 as usize) {
            Some(seen) => seen.note(time),
            None => self.not_noted = self.not_noted.saturating_add(1),
        }
    }

    /// Notes a sign of life that is no SIP message between hosts of which one sent such to the other before.
    pub(crate) fn note_alive(&mut self, from: IpAddr, to: IpAddr, time: Timestamp) {
        if self.hop(from, to).is_some()
            && let Some(seen) = self.hops.seen_mut((from, to))
        {
            seen.note_alive(time);
        }
    }

    /// Notes that TCP of one address acknowledged what may be SIP from another, which sent SIP to it before.
    pub(crate) fn note_received(&mut self, from: IpAddr, to: IpAddr, time: Timestamp) {
        if self.hop(from, to).is_some()
            && let Some(seen) = self.received.seen_mut((from, to))
        {
            seen.note(time);
        }
    }

    /// Notes that a server asked to be left alone.
    pub fn note_back_off(&mut self, server: IpAddr, back_off: BackOff) {
        if self.back_offs.len() >= Surroundings::MOST_HOPS && !self.back_offs.contains_key(&server) {
            return;
        }
        let known = self.back_offs.entry(server).or_default();
        if known.len() < Surroundings::MOST_BACK_OFFS && !known.contains(&back_off) {
            known.push(back_off);
            known.sort_unstable();
        }
    }

    /// Notes the software that an address names; the first name stays.
    pub fn note_software(&mut self, address: IpAddr, place: Place, name: &str) {
        let has_room = self.software.len() < Surroundings::MOST_HOPS;
        if let (Entry::Vacant(entry), true) = (self.software.entry(address), has_room) {
            entry.insert((place, first_letters(name, Surroundings::LONGEST_NAME).to_owned()));
        }
    }

    /// Notes a REGISTER; of each Call-ID the first stays.
    pub fn note_registering(&mut self, address: IpAddr, registering: Registering) {
        let has_room = self.registering.len() < Surroundings::MOST_HOPS;
        let known = match self.registering.get_mut(&address) {
            Some(known) => known,
            None if has_room => self.registering.entry(address).or_default(),
            None => return,
        };
        let is_same = |known: &Registering| {
            known.call_key == registering.call_key && known.address_of_record == registering.address_of_record
        };
        match known.iter().position(is_same) {
            Some(at) if known[at].place <= registering.place => return,
            Some(at) => known[at].place = registering.place,
            None if known.len() < Surroundings::MOST_REGISTERING => {
                make_room(known);
                known.push(registering);
            }
            None => return,
        }
        known.sort_unstable();
    }

    /// The REGISTER with which an address began anew between two moments: it had registered the same address-of-record
    /// before, with another Call-ID. A sign that it was restarted.
    pub fn registered_anew(&self, address: IpAddr, from: Timestamp, to: Timestamp) -> Option<&Registering> {
        let known = self.registering.get(&address)?;
        known.iter().find(|anew| {
            from < anew.place.time
                && anew.place.time < to
                && known
                    .iter()
                    .any(|before| before.address_of_record == anew.address_of_record && before.place.time <= from)
        })
    }

    /// Notes that nothing arrives at a port. Errors of one reporter and code within a span of [`Seen::CLOSE`] are
    /// counted together.
    pub fn note_dead_port(&mut self, port: SocketAddr, closed: DeadPort) {
        if self.dead_ports.len() >= Surroundings::MOST_HOPS && !self.dead_ports.contains_key(&port) {
            return;
        }
        let known = self.dead_ports.entry(port).or_default();
        // By fixed spans of time, so that the order of noting has no part in it.
        let span = |closed: &DeadPort| closed.place.time.0.div_euclid(Seen::CLOSE.as_nanos() as i64);
        let kind = |closed: &DeadPort| (closed.reporter, closed.what, span(closed));
        let is_same = |known: &DeadPort| kind(known) == kind(&closed);
        match known.iter().position(is_same) {
            Some(at) => {
                known[at].count = known[at].count.saturating_add(closed.count);
                known[at].place = known[at].place.min(closed.place);
                known[at].last = known[at].last.max(closed.last);
            }
            None if known.len() < Surroundings::MOST_REGISTERING => known.push(closed),
            None => return,
        }
        known.sort_unstable();
    }

    /// The first error that says that nothing arrives at a port, between two moments.
    pub fn dead_port(&self, port: SocketAddr, from: Timestamp, to: Timestamp) -> Option<&DeadPort> {
        self.dead_ports.get(&port)?.iter().find(|closed| from <= closed.place.time && closed.place.time <= to)
    }

    /// True if no error says of any port that nothing arrives there.
    pub(crate) fn has_no_dead_port(&self) -> bool {
        self.dead_ports.is_empty()
    }

    /// When the last error came that says that nothing arrives at a port, of those that began between two moments.
    pub fn last_dead(&self, port: SocketAddr, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let known = self.dead_ports.get(&port)?.iter();
        known.filter(|closed| from <= closed.place.time && closed.place.time <= to).map(|closed| closed.last).max()
    }

    /// True if any SIP went from one address to another within a minute of this span (`diagnosis` §0, visibility).
    pub fn is_visible(&self, from: IpAddr, to: IpAddr, start: Timestamp, end: Timestamp) -> bool {
        let (start, end) = a_minute_around(start, end);
        self.hops.get((from, to)).is_some_and(|seen| seen.surely_within(start, end))
    }

    /// True if SIP from one address to another was acknowledged by TCP within a minute of this span: what comes back on
    /// these connections is captured.
    pub fn is_way_back_visible(&self, from: IpAddr, to: IpAddr, start: Timestamp, end: Timestamp) -> bool {
        let (start, end) = a_minute_around(start, end);
        self.is_received(from, to, start, end)
    }

    /// True if SIP from one address to another was acknowledged by TCP between two moments.
    pub fn is_received(&self, from: IpAddr, to: IpAddr, start: Timestamp, end: Timestamp) -> bool {
        self.received.get((from, to)).is_some_and(|seen| seen.surely_within(start, end))
    }

    /// When the last SIP went from one address to another, if that was before this moment and none came after it.
    pub fn last_before(&self, from: IpAddr, to: IpAddr, moment: Timestamp) -> Option<Timestamp> {
        let (_, last) = self.hops.get((from, to))?.first_and_last()?;
        (last < moment).then_some(last)
    }

    /// Each hop in one direction, in order of addresses.
    pub fn hops(&self) -> impl Iterator<Item = (IpAddr, IpAddr, &Seen)> {
        self.hops.in_order().map(|((from, to), seen)| (*from, *to, seen))
    }

    /// How many messages an address sent.
    pub fn sent_by(&self, address: IpAddr) -> u64 {
        let sent = self.hops.places.iter().filter(|((from, _), _)| *from == address);
        sent.filter_map(|(_, id)| self.hops.seen.get(id.0 as usize)).map(|seen| seen.count).sum()
    }

    /// What is known of one hop in one direction.
    pub fn hop(&self, from: IpAddr, to: IpAddr) -> Option<&Seen> {
        self.hops.get((from, to))
    }

    /// The request of a server to be left alone that is in force for who sends this one, the newest of them.
    pub fn back_off_in_force(&self, request: &Heard) -> Option<&BackOff> {
        let (client, at) = (request.path.source, request.place.time);
        let known = self.back_offs.get(&request.path.destination.ip())?;
        let is_in_force = |asked: &&BackOff| asked.place.time < at && at < asked.until;
        known.iter().rev().filter(is_in_force).find(|asked| asked.concerns(client, &request.message))
    }

    /// Who registered where.
    pub fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    /// True if a REGISTER came from this host: it is a device.
    pub fn is_device(&self, host: IpAddr) -> bool {
        self.registrations.sources.iter().any(|source| source.ip() == host)
    }

    /// The same, to be added to.
    pub(crate) fn registrations_mut(&mut self) -> &mut Registrations {
        &mut self.registrations
    }

    /// What was subscribed and published, and for how long.
    pub fn soft_states(&self) -> &SoftStates {
        &self.soft_states
    }

    /// The same, to be added to.
    pub(crate) fn soft_states_mut(&mut self) -> &mut SoftStates {
        &mut self.soft_states
    }

    /// TCP connections that failed.
    pub fn failed_connections(&self) -> &FailedConnections {
        &self.failed_connections
    }

    /// The same, to be added to.
    pub(crate) fn failed_connections_mut(&mut self) -> &mut FailedConnections {
        &mut self.failed_connections
    }

    /// What else one call may want to know of others.
    pub fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// The same, to be added to.
    pub fn neighbours_mut(&mut self) -> &mut Neighbours {
        &mut self.neighbours
    }

    /// Messages of which fragments are missing.
    pub fn cut_short(&self) -> &CutShort {
        &self.cut_short
    }

    /// The same, to be added to.
    pub(crate) fn cut_short_mut(&mut self) -> &mut CutShort {
        &mut self.cut_short
    }

    /// The media plane.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// The same, to be added to.
    pub(crate) fn media_mut(&mut self) -> &mut Media {
        &mut self.media
    }

    /// Hops that were captured at two points.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The same, to be added to.
    pub(crate) fn points_mut(&mut self) -> &mut Points {
        &mut self.points
    }

    /// What clients showed and servers accepted.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The same, to be added to.
    pub fn accepted_mut(&mut self) -> &mut Accepted {
        &mut self.accepted
    }

    /// The software that an address named.
    pub fn software(&self, address: IpAddr) -> Option<&str> {
        self.software.get(&address).map(|(_, name)| name.as_str())
    }

    /// Puts together what two readers have seen. Commutative and associative as long as no table is full.
    pub fn merge(&mut self, other: &Surroundings) {
        for (hop, seen) in other.hops.in_order() {
            match self.hops.seen_mut(*hop) {
                Some(known) => known.merge(seen),
                None => self.not_noted = self.not_noted.saturating_add(seen.count),
            }
        }
        self.senders.merge(&other.senders);
        self.cut_short.merge(&other.cut_short);
        for (hop, seen) in other.received.in_order() {
            if let Some(known) = self.received.seen_mut(*hop) {
                known.merge(seen);
            }
        }
        for (server, back_offs) in &other.back_offs {
            for back_off in back_offs {
                self.note_back_off(*server, *back_off);
            }
        }
        for (port, closed) in &other.dead_ports {
            for closed in closed {
                self.note_dead_port(*port, *closed);
            }
        }
        for (address, rows) in &other.registering {
            for row in rows {
                self.note_registering(*address, row.clone());
            }
        }
        for (address, named) in &other.software {
            let known = self.software.entry(*address).or_insert_with(|| named.clone());
            if (named.0, &named.1) < (known.0, &known.1) {
                *known = named.clone();
            }
        }
        self.accepted.merge(&other.accepted);
        self.registrations.merge(&other.registrations);
        self.soft_states.merge(&other.soft_states);
        self.failed_connections.merge(&other.failed_connections);
        self.neighbours.merge(&other.neighbours);
        self.media.merge(&other.media);
        self.points.merge(&other.points);
        self.not_noted = self.not_noted.saturating_add(other.not_noted);
    }
}

/// A span with a minute before and behind it.
fn a_minute_around(start: Timestamp, end: Timestamp) -> (Timestamp, Timestamp) {
    const MINUTE: i64 = 60_000_000_000;
    (Timestamp(start.0.saturating_sub(MINUTE)), Timestamp(end.0.saturating_add(MINUTE)))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::call::connections::{FailedConnection, HowFailed};
    use crate::call::cut_short::Begun;
    use crate::net::{Path, Transport};
    use crate::sip::auth::Credentials;

    #[derive(Debug, Clone)]
    enum Note {
        Message(u8, u8, u16),
        Received(u8, u8, u16),
        CutShort(u8, u8, u16),
        BackOff(u8, u8, u16),
        Software(u8, u16),
        Credentials(u8, u16),
        OtherDigestUri(u8, u8),
        Host(u8, u8),
        NonceCount(u8, u8, u16),
        Server(u8, u8),
        Registering(u8, u8, u16),
        DeadPort(u8, u8, u16),
        FailedConnection(u8, u8, u16),
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last % 4))
    }

    fn build(notes: &[Note]) -> Surroundings {
        let mut surroundings = Surroundings::default();
        let time = |seconds: u16| Timestamp(i64::from(seconds) * 1_000_000_000);
        for note in notes {
            match *note {
                Note::Message(from, to, at) => surroundings.note_message(address(from), address(to), time(at)),
                Note::CutShort(source, destination, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    let (source, destination) = (address(source), address(destination));
                    let begun = Begun { place, source, destination, method: None, call_id: String::new() };
                    surroundings.cut_short_mut().note_begun(begun);
                    surroundings.cut_short_mut().note_whole(place);
                }
                Note::Received(from, to, at) => {
                    surroundings.note_message(address(from), address(to), time(at));
                    surroundings.note_received(address(from), address(to), time(at));
                }
                Note::BackOff(server, asked, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    let back_off = BackOff {
                        place,
                        until: time(at.saturating_add(60)),
                        asked: address(asked),
                        of: 0,
                        port: 5060,
                        caller: 0,
                        is_plain: true,
                    };
                    surroundings.note_back_off(address(server), back_off);
                }
                Note::Credentials(who, at) => {
                    surroundings.accepted_mut().note_credentials(address(who), b"sip:a@b", time(at));
                }
                Note::OtherDigestUri(server, client) => {
                    surroundings.accepted_mut().note_other_digest_uri(address(server), address(client));
                }
                Note::Server(client, server) => {
                    let server = std::net::SocketAddr::new(address(server), 5060);
                    surroundings.accepted_mut().note_server(address(client), "example.com", server);
                }
                Note::NonceCount(server, nonce, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    let shown = Credentials {
                        nonce: format!("nonce{}", nonce % 2),
                        nonce_count: Some(u32::from(at % 3)),
                        ..Credentials::default()
                    };
                    let (client, server) = ((address(0), 5060 + at % 2).into(), (address(server), 5060).into());
                    let path = Path { source: client, destination: server, transport: Transport::Udp };
                    surroundings.accepted_mut().note_nonce_use(path, &shown, place);
                }
                Note::Host(server, host) => {
                    surroundings.accepted_mut().note_host(address(server), &format!("host{}", host % 4));
                }
                Note::DeadPort(who, reporter, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    let what = IcmpCode { version6: false, kind: 3, code: at as u8 % 2 * 3 };
                    let closed = DeadPort { place, reporter: address(reporter), what, count: 1, last: place.time };
                    surroundings.note_dead_port((address(who), 4000).into(), closed);
                }
                Note::FailedConnection(client, server, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    surroundings.failed_connections_mut().note(FailedConnection {
                        client: (address(client), 40_000).into(),
                        server: (address(server), 5060).into(),
                        how: HowFailed::Refused,
                        asked: place,
                        place,
                        copies: 1,
                        until: place.time,
                    });
                }
                Note::Registering(who, call_key, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    let row = Registering { address_of_record: "a".into(), call_key: u64::from(call_key % 3), place };
                    surroundings.note_registering(address(who), row);
                }
                Note::Software(who, at) => {
                    let place = Place { time: time(at), ..Place::default() };
                    surroundings.note_software(address(who), place, &format!("software {at}"));
                }
            }
        }
        surroundings
    }

    fn note() -> impl Strategy<Value = Note> {
        prop_oneof![
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, b, t)| Note::Message(a, b, t)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, b, t)| Note::BackOff(a, b, t)),
            (any::<u8>(), 0u16..600).prop_map(|(a, t)| Note::Software(a, t)),
            (any::<u8>(), 0u16..600).prop_map(|(a, t)| Note::Credentials(a, t)),
            (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Note::OtherDigestUri(a, b)),
            (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Note::Host(a, b)),
            (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Note::Server(a, b)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, b, t)| Note::NonceCount(a, b, t)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, k, t)| Note::Registering(a, k, t)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, r, t)| Note::DeadPort(a, r, t)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, b, t)| Note::FailedConnection(a, b, t)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, b, t)| Note::Received(a, b, t)),
            (any::<u8>(), any::<u8>(), 0u16..600).prop_map(|(a, b, t)| Note::CutShort(a, b, t)),
        ]
    }

    proptest! {
        #[test]
        fn merging_is_commutative_and_associative(
            a in prop::collection::vec(note(), 0..12),
            b in prop::collection::vec(note(), 0..12),
            c in prop::collection::vec(note(), 0..12),
        ) {
            let [a, b, c] = [a, b, c].map(|notes| build(&notes));
            let merged = |one: &Surroundings, other: &Surroundings| {
                let mut one = one.clone();
                one.merge(other);
                one
            };
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &Surroundings::default()), a.clone());
            let text = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(serde_json::from_str::<Surroundings>(&text).unwrap(), a);
        }
    }
}
