//! What the tracker learns beside its calls: from single messages, for the surroundings.

use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem::Finder;

use crate::call::checksums::ChecksumFault;
use crate::call::cut_short::Begun;
use crate::call::good_calls::Sample;
use crate::call::key::call_key;
use crate::call::media::Counted;
use crate::call::model::Arrival;
use crate::call::step::names_other_ground;
use crate::call::surroundings::{BackOff, Registering};
use crate::call::tracker::{MOST_ADDRESSES, Tracker};
use crate::call::transaction::Keys;
use crate::capture::{Place, Timestamp};
use crate::keyed::Table;
use crate::net::{DnsMessage, Ends, Fragmented, MediaPacket, Path, Rtp, TlsConnection};
use crate::sip::digest::Secrets;
use crate::sip::{Cut, HeaderName, Message, Method, Uri, auth, text, uri_of, user_of};

/// Requests of one source within a second that make a flood.
const FLOOD: u32 = 50;
/// The window in which they are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Messages of an address that are looked at for the name of its software.
const SOFTWARE_TRIES: u8 = 20;
/// Sources whose requests are counted at once.
const MOST_SOURCES: usize = 4096;

/// What all credentials have, whatever the header's case and blanks.
static CREDENTIALS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("nonce"));

/// Counts the requests of each source within the last second: when that began, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Rush {
    of: Table<IpAddr, (Timestamp, u32)>,
}

/// Whether the software of an address is known, or was looked for often enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    Found,
    NotYet,
}

impl Tracker {
    /// Takes in what keeps a NAT open between two hosts that exchange SIP: whoever sends it is there.
    pub fn keep_alive(&mut self, path: Path, time: Timestamp) {
        self.surroundings.note_alive(path.source.ip(), path.destination.ip(), time);
    }

    /// Takes in what became of a datagram that came in fragments.
    pub fn fragmented(&mut self, seen: &Fragmented<'_>) {
        let known = self.surroundings.cut_short_mut();
        let Some(beginning) = seen.beginning else { return known.note_whole(seen.place) };
        if let Some(message) = Message::read(beginning, Cut::Missing(1)) {
            known.note_begun(Begun::read(&message, seen));
        }
    }

    /// Takes in what was seen of a TLS connection.
    pub fn tls(&mut self, seen: &TlsConnection) {
        self.surroundings.failed_connections_mut().note_tls(seen);
    }

    /// A REGISTER with a Call-ID of its own: a client that begins anew may have been restarted.
    pub(super) fn note_registering(&mut self, message: &Message<'_>, arrival: &Arrival) {
        let to = message.header_bytes(HeaderName::To).map(|to| text(uri_of(to)).into_owned());
        let address_of_record = to.unwrap_or_default();
        let call_key = call_key(message.call_id());
        let row = Registering { address_of_record, call_key, place: arrival.place };
        self.surroundings.note_registering(arrival.path.source.ip(), row);
    }

    /// Notes the software that the sender names, in one of its first messages. A proxy passes on the name of another:
    /// only a message with one Via tells of the one who sends it.
    pub(super) fn note_software(&mut self, message: &Message<'_>, arrival: &Arrival) -> Sought {
        let address = arrival.path.source.ip();
        let full = self.looked_for_software.len() >= MOST_ADDRESSES;
        let tries = match self.looked_for_software.entry(address) {
            Entry::Occupied(tries) if *tries.get() >= SOFTWARE_TRIES => return Sought::Found,
            Entry::Vacant(_) if full => return Sought::NotYet,
            entry => entry.or_default(),
        };
        *tries += 1;
        if !message.second_branch().is_empty() {
            return Sought::NotYet;
        }
        let Some(name) = message.software() else { return Sought::NotYet };
        *tries = SOFTWARE_TRIES;
        self.surroundings.note_software(address, arrival.place, &name);
        self.note_twin(address, &name);
        Sought::Found
    }

    pub(super) fn note_back_off(&mut self, message: &Message<'_>, arrival: &Arrival) {
        if let Some(back_off) = BackOff::read(message, arrival) {
            self.surroundings.note_back_off(arrival.path.source.ip(), back_off);
        }
    }

    /// Learns from a message that is new to the call at `index`, whose key is `call_id` ([`Tracker::key_of`]).
    pub(super) fn learn(
        &mut self,
        (index, call_id): (u32, u64),
        message: &Message<'_>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) {
        let (from, to) = (arrival.path.source.ip(), arrival.path.destination.ip());
        let opens = keys.is_request && keys.to_tag.is_empty() && keys.cseq.method != Method::Ack;
        if opens {
            self.count_request(from, arrival.place);
        }
        if keys.is_request && matches!(keys.cseq.method, Method::Invite | Method::Register) {
            self.surroundings.accepted_mut().learn_request(message, from, arrival.place.time);
        }
        if keys.cseq.method == Method::Register {
            self.surroundings.registrations_mut().learn(message, arrival);
        }
        if matches!(keys.cseq.method, Method::Subscribe | Method::Notify | Method::Publish) {
            self.surroundings.soft_states_mut().learn(message, arrival);
        }
        match (&keys.cseq.method, keys.is_request) {
            (Method::Options, true) if keys.to_tag.is_empty() => {
                let key = probe_key(message, keys);
                self.surroundings.neighbours_mut().note_probe(from, to, key, arrival.place);
            }
            (Method::Options, false) if keys.status.is_some_and(|status| !status.is_provisional()) => {
                let key = probe_key(message, keys);
                let neighbours = self.surroundings.neighbours_mut();
                neighbours.note_probe_answered(to, from, key, arrival.place);
                if keys.status.is_some_and(|status| matches!(status.get(), 408 | 503)) {
                    neighbours.note_probe_turned_away(to, from, key, arrival.place);
                }
            }
            (Method::Invite, true) if keys.is_attempt() => {
                self.note_named_dialog(message, arrival);
                self.note_asked(index, arrival.path);
                self.note_try(message, call_id, arrival);
                if self.surroundings.neighbours().was_let_in(from) {
                    let uri = Uri::read(&message.request_uri().unwrap_or_default());
                    self.surroundings.neighbours_mut().note_called(from, arrival.place, uri.bare_user());
                }
            }
            (Method::Invite, false) => {
                self.note_outcome((index, call_id), message, keys, arrival);
                self.note_try_answered(keys, call_id, arrival);
                self.note_redirect(index, message, keys, arrival);
            }
            (Method::Bye, true) => self.release(index),
            (Method::Cancel, true) => self.note_cancel(message, call_id, arrival),
            _ => {}
        }
        if !keys.is_request && matches!(keys.cseq.method, Method::Invite | Method::Register | Method::Message) {
            self.note_credentials(index, message, keys, arrival);
            self.note_challenge(index, message, keys, arrival);
        }
    }

    /// Checks refused credentials against these secrets from now on.
    pub fn use_secrets(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// Takes in a DNS message.
    pub fn lookup(&mut self, message: &DnsMessage, path: Path, place: Place) {
        self.surroundings.neighbours_mut().lookups_mut().hear(message, path, place);
    }

    /// Takes in the checksum of a UDP datagram that carries SIP.
    pub fn checksum(&mut self, fault: ChecksumFault, path: Path, place: Place, held: u16) {
        self.surroundings.neighbours_mut().checksums_mut().note(fault, path.source.ip(), place, held);
    }

    /// Takes in a packet of RTP. False if it is none of the stream that was last heard between these ends: it is to be taken in
    /// as any packet of the media plane.
    #[inline]
    pub fn rtp(&mut self, rtp: &Rtp, ends: &Ends, place: Place) -> bool {
        self.surroundings.media_mut().hear_known(rtp, ends, place)
    }

    /// Takes in a packet of the media plane. False if there is no room for its stream.
    #[inline]
    pub fn media(&mut self, packet: &MediaPacket<'_>, path: Path, place: Place) -> bool {
        self.surroundings.media_mut().hear(packet, path, place) == Counted::Yes
    }

    /// Releases what a call occupies: it has ended.
    pub(super) fn release(&mut self, index: u32) {
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        for path in open.log.vacate_all() {
            vacate(&mut self.occupied, path);
        }
    }

    fn note_asked(&mut self, index: u32, path: Path) {
        let hop = (path.source.ip(), path.destination.ip());
        if self.occupied.len() >= MOST_SOURCES && !self.occupied.contains_key(&hop) {
            return;
        }
        let active = self.occupied.entry(hop).or_default();
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        if open.log.occupy(path, *active) {
            *active = active.saturating_add(1);
        }
    }

    /// A final response to an INVITE that opens a call: how many others were up when it was asked for.
    fn note_outcome(
        &mut self,
        (index, call_id): (u32, u64),
        message: &Message<'_>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) {
        let Some(status) = keys.status.filter(|status| !status.is_provisional()) else { return };
        let path = arrival.path.reversed();
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let (client, server) = (path.source.ip(), path.destination.ip());
        let neighbours = self.surroundings.neighbours_mut();
        let asked = open.log.request_place(keys, arrival.path).unwrap_or(arrival.place);
        if status.is_success() {
            let Some(ahead) = open.log.accepted_ahead(path) else { return };
            neighbours.note_accepted((client, server), ahead, arrival.place, callee_of(message));
            neighbours.decisions_mut().note_accepted(client, server, asked.time);
            if neighbours.good_calls().wants(client, server, asked.time)
                && let Some((_, bytes)) = open.log.request_of(keys, arrival.path, &self.pool)
                && let Some(invite) = Message::read(&bytes, Cut::Whole)
            {
                let sample = Sample::of_whole(&invite, path, asked).taken_by(path.destination, message);
                neighbours.good_calls_mut().note(client, server, sample);
            }
            if status.get() == 200 {
                self.note_answer(message, call_id, arrival);
            }
            return;
        }
        let Some(ahead) = open.log.vacate(path) else { return };
        vacate(&mut self.occupied, path);
        if !status.is_challenge() && !matches!(status.get(), 300..=399 | 487) {
            if !names_other_ground(message) {
                neighbours.note_refused((client, server), status.get(), ahead, arrival.place, callee_of(message));
            }
            neighbours.decisions_mut().note_refused(client, server, asked.time);
        }
    }

    /// Credentials that were refused, and those that were accepted after many refusals.
    fn note_credentials(&mut self, index: u32, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) {
        let Some(status) = keys.status.filter(|status| !status.is_provisional()) else { return };
        let source = arrival.path.destination.ip();
        if status.is_success() && !self.surroundings.neighbours().has_no_guesser() {
            let user = || text(message.header_bytes(HeaderName::From).and_then(user_of).unwrap_or_default());
            self.surroundings.neighbours_mut().note_let_in(source, arrival.place, user);
        }
        if !status.is_challenge() && (status.get() != 403 || self.secrets.is_empty()) {
            return;
        }
        let open = self.open_at(index);
        let request = open.and_then(|open| open.log.request_of(keys, arrival.path, &self.pool));
        let Some((place, request)) = request.filter(|(_, request)| CREDENTIALS.find(&request[..]).is_some()) else {
            return;
        };
        if !self.secrets.is_empty()
            && let Some(fit) = Message::read(&request, Cut::Whole).and_then(|request| self.secrets.check(&request))
        {
            self.surroundings.neighbours_mut().note_digest(place, fit);
        }
        if status.is_challenge() && !auth::challenges(message).iter().any(|challenge| challenge.stale) {
            self.surroundings.neighbours_mut().note_rejected(source, arrival.place);
        }
    }

    /// An INVITE that may want to replace or to join a call. Nearly none does, which is known without a look at the
    /// headers.
    fn note_named_dialog(&mut self, invite: &Message<'_>, arrival: &Arrival) {
        if invite.has_key(HeaderName::Replaces)
            && let Some(named) = invite.header("Replaces")
        {
            self.note_replaced(&named);
            self.note_replacing(invite, &named, arrival);
        } else if invite.may_hold("Join")
            && let Some(named) = invite.header("Join")
        {
            self.note_replaced(&named);
        }
    }

    /// An INVITE that wants to replace or to join a call: the dialogs of that call, as far as it is open.
    fn note_replaced(&mut self, named: &str) {
        let call_id = named.split(';').next().unwrap_or_default().trim().as_bytes();
        let index = self.by_call_id.get(&self.hasher.hash_one(call_id));
        let open = index.and_then(|index| self.open_at(*index));
        let Some(open) = open else { return };
        let dialogs = open.log.dialogs_of(call_id, &self.pool);
        for dialog in dialogs {
            self.surroundings.neighbours_mut().note_dialog(call_id, dialog);
        }
    }

    /// Counts requests that open something.
    fn count_request(&mut self, source: IpAddr, place: Place) {
        let rush = &mut self.rush;
        if rush.of.len() >= MOST_SOURCES && !rush.of.contains_key(&source) {
            rush.of.clear();
        }
        let known = rush.of.entry(source).or_insert((place.time, 0));
        if count(known, place.time) {
            let requests = known.1;
            self.surroundings.neighbours_mut().note_flood(source, place, requests);
        }
    }
}

/// Counts one more within the window; true from the one on that makes a flood.
fn count(known: &mut (Timestamp, u32), now: Timestamp) -> bool {
    if known.0 > now || now.since(known.0) >= WINDOW {
        *known = (now, 0);
    }
    known.1 = known.1.saturating_add(1);
    known.1 > FLOOD
}

fn vacate(occupied: &mut Table<(IpAddr, IpAddr), u32>, path: Path) {
    if let Entry::Occupied(mut active) = occupied.entry((path.source.ip(), path.destination.ip())) {
        *active.get_mut() = active.get().saturating_sub(1);
        if *active.get() == 0 {
            active.remove();
        }
    }
}

/// Who is called, as a key: the URI of To, which all legs of a call have.
fn callee_of(message: &Message<'_>) -> u64 {
    message.header_bytes(HeaderName::To).map(|to| call_key(uri_of(to))).unwrap_or_default()
}

fn probe_key(message: &Message<'_>, keys: &Keys<'_>) -> u64 {
    call_key(message.call_id()).wrapping_add(u64::from(keys.cseq.number)).rotate_left(17)
}
