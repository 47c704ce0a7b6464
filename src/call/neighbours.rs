//! What one call may want to know of others: the dialogs that it wants to replace, how many calls a peer had, which
//! probes were answered, who guessed passwords, who flooded, whose TLS failed.
//!
//! Is given single observations; gives tables that can be merged and serialised. Each is bounded. Deliberately does not
//! know what follows from them.

mod occupancy;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::call::checksums::Checksums;
use crate::call::dns::Lookups;
use crate::call::good_calls::GoodCalls;
use crate::call::key::call_key;
use crate::call::rings::Rings;
use crate::call::timeline::Decisions;
use crate::call::tracker::{AnsweredBefore, Leap, Retry};
use crate::capture::{Place, Timestamp};
use crate::keyed::{Table, each_in_order, in_order, ordered};
use crate::net::Path;
use crate::sip::digest::DigestFit;
use crate::sip::{StatusCode, first_letters};

pub use crate::call::neighbours::occupancy::{Occupancy, RefusedAt};

/// A dialog that an INVITE with Replaces or Join names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamedDialog {
    /// The tag of the UAC that opened it.
    pub caller_tag: String,
    /// The tag of the UAS.
    pub callee_tag: String,
    /// Where it was made, as far as that was captured.
    #[serde(default)]
    pub made: Option<Made>,
    /// The first BYE of it, if there was one before that INVITE.
    pub ended: Option<Place>,
}

/// Where a dialog was made (RFC 3261 §12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Made {
    /// The first response that carries both tags.
    pub place: Place,
    /// The host of the UAC, which got the response in the end.
    pub caller: IpAddr,
    /// The host of the UAS, from which it came first.
    pub callee: IpAddr,
    /// True once a 2xx confirmed it; else it is early.
    pub confirmed: bool,
}

impl Made {
    /// By a response that is seen here first.
    pub(crate) fn by(place: Place, path: Path, status: StatusCode) -> Made {
        Made { place, caller: path.destination.ip(), callee: path.source.ip(), confirmed: status.is_success() }
    }

    /// The same, when one more response is seen, or this one on another hop: a proxy passes it on towards the UAC.
    pub(crate) fn with(self, path: Path, status: StatusCode) -> Made {
        let confirmed = self.confirmed || status.is_success();
        match path.source.ip() == self.caller {
            true => Made { caller: path.destination.ip(), confirmed, ..self },
            false => Made { confirmed, ..self },
        }
    }
}

/// What was seen beside a call. Mergeable: commutative and associative as long as no table is full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Neighbours {
    /// Dialogs that an INVITE with Replaces or Join named, by the key of their Call-ID.
    dialogs: BTreeMap<u64, Vec<NamedDialog>>,
    /// How many calls were up when one was accepted or refused, by server and client.
    #[serde(serialize_with = "each_in_order")]
    occupancy: Table<IpAddr, Table<IpAddr, Occupancy>>,
    /// OPTIONS outside of dialogs, by server and client.
    probes: BTreeMap<IpAddr, BTreeMap<IpAddr, Probes>>,
    /// Sources whose credentials were refused.
    #[serde(serialize_with = "in_order")]
    guessing: Table<IpAddr, Guessing>,
    /// Sources of very many requests.
    floods: BTreeMap<IpAddr, Flood>,
    /// Requests whose credentials were checked against a secret, and how that came out, in order.
    digests: Vec<(Place, DigestFit)>,
    /// CANCELs just before which another call was answered, in order.
    answered_before: Vec<(Place, AnsweredBefore)>,
    /// Redirects after which the client sent an INVITE for the same user or number, in order.
    followed: Vec<Place>,
    /// Names that were looked up.
    lookups: Lookups,
    /// What INVITEs that were accepted looked like.
    good_calls: GoodCalls,
    /// What became of the calls of each address.
    decisions: Decisions,
    /// How long calls rang in vain.
    rings: Rings,
    /// Whose UDP checksums are odd.
    checksums: Checksums,
    /// Where the time leapt, in order.
    leaps: Vec<Leap>,
    /// Calls that were tried again at another server, with another Call-ID, in order of their first INVITE.
    retries: Vec<Retry>,
}

/// The probes from one address to another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Probes {
    /// Those that were sent, in order, with a key of each.
    pub sent: Vec<(Place, u64)>,
    /// The keys of those that got a final response, and where it stands.
    pub answered: Vec<(Place, u64)>,
    /// Of these, those that say that a call would get no further either: 408 and 503.
    #[serde(default)]
    pub turned_away: Vec<(Place, u64)>,
}

/// Credentials that a source showed and that were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guessing {
    /// How often they were refused.
    pub rejected: u64,
    /// The first refusal.
    pub first: Place,
    /// The first success after at least [`Guessing::MANY`] refusals, and the user of its From.
    pub accepted: Option<(Place, String)>,
    /// Calls after that success, with the number that was called, in order.
    pub called: Vec<(Place, String)>,
}

impl Guessing {
    /// Refusals that make a guesser.
    pub const MANY: u64 = 10;

    /// The user in From of the first success; `None` if nobody was let in, or nobody is named.
    pub fn user(&self) -> Option<&str> {
        self.accepted.as_ref().map(|(_, user)| user.as_str()).filter(|user| !user.is_empty())
    }

    /// Keeps the first success.
    fn let_in(&mut self, accepted: (Place, String)) {
        self.accepted = self.accepted.take().into_iter().chain([accepted]).min();
    }
}

/// A source that sent very many requests within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flood {
    /// The request with which its limit was passed first.
    pub first: Place,
    /// The most requests within a second.
    pub most: u32,
}

impl Neighbours {
    /// Calls to replace, and servers, clients and sources, that are kept of each kind.
    const MOST: usize = 1024;
    /// Entries that are kept of one of them.
    const MOST_OF_ONE: usize = 512;

    /// The dialogs of a Call-ID that an INVITE with Replaces or Join named.
    pub fn dialogs_to_replace(&self, call_id: &str) -> &[NamedDialog] {
        self.dialogs.get(&call_key(call_id.as_bytes())).map_or(&[], Vec::as_slice)
    }

    /// Notes a dialog that an INVITE wants to replace or to join.
    pub fn note_dialog(&mut self, call_id: &[u8], dialog: NamedDialog) {
        if let Some(known) = room(&mut self.dialogs, call_key(call_id), Neighbours::MOST) {
            add(known, dialog, 16);
        }
    }

    /// How busy the way from a client to a server was.
    pub fn occupancy(&self, client: IpAddr, server: IpAddr) -> Option<&Occupancy> {
        self.occupancy.get(&server)?.get(&client)
    }

    /// Each client of a server, with how busy the way between them was; in no order.
    pub fn occupancies_at(&self, server: IpAddr) -> impl Iterator<Item = (IpAddr, &Occupancy)> {
        self.occupancy.get(&server).into_iter().flatten().map(|(client, known)| (*client, known))
    }

    /// Each way with how busy it was: client, server; in order of the servers' addresses, and then of the clients'.
    pub fn occupancies(&self) -> impl Iterator<Item = (IpAddr, IpAddr, &Occupancy)> {
        let servers = ordered(&self.occupancy).into_iter();
        servers
            .flat_map(|(server, clients)| ordered(clients).into_iter().map(|(client, known)| (*client, *server, known)))
    }

    /// Notes that a call to somebody, known by a key, was accepted while so many others were up, by a response at this
    /// place.
    pub fn note_accepted(&mut self, hop: (IpAddr, IpAddr), others: u32, place: Place, callee: u64) {
        let Some(known) = self.occupancy_mut(hop.0, hop.1) else { return };
        known.note_accepted(others, place, callee);
    }

    /// Notes that a call to somebody, known by a key, was refused while so many others were up.
    pub fn note_refused(&mut self, hop: (IpAddr, IpAddr), code: u16, others: u32, place: Place, callee: u64) {
        let Some(known) = self.occupancy_mut(hop.0, hop.1) else { return };
        known.note_refused(code, others, place, callee);
    }

    fn occupancy_mut(&mut self, client: IpAddr, server: IpAddr) -> Option<&mut Occupancy> {
        if self.occupancy.len() >= Neighbours::MOST && !self.occupancy.contains_key(&server) {
            return None;
        }
        let clients = self.occupancy.entry(server).or_default();
        if clients.len() >= Neighbours::MOST_OF_ONE {
            return clients.get_mut(&client);
        }
        Some(clients.entry(client).or_default())
    }

    /// The probes from a client to a server.
    pub fn probes(&self, client: IpAddr, server: IpAddr) -> Option<&Probes> {
        self.probes.get(&server)?.get(&client)
    }

    /// The probes from a client, by the server.
    pub fn probes_of(&self, client: IpAddr) -> impl Iterator<Item = (IpAddr, &Probes)> {
        self.probes.iter().filter_map(move |(server, clients)| Some((*server, clients.get(&client)?)))
    }

    /// Notes a probe.
    pub fn note_probe(&mut self, client: IpAddr, server: IpAddr, key: u64, place: Place) {
        let known = room(&mut self.probes, server, 256).and_then(|clients| room(clients, client, 16));
        if let Some(known) = known {
            add(&mut known.sent, (place, key), Neighbours::MOST_OF_ONE);
        }
    }

    /// Notes that a probe was answered.
    pub fn note_probe_answered(&mut self, client: IpAddr, server: IpAddr, key: u64, place: Place) {
        let known = self.probes.get_mut(&server).and_then(|clients| clients.get_mut(&client));
        if let Some(known) = known.filter(|known| !known.answered.iter().any(|(_, answered)| *answered == key)) {
            add(&mut known.answered, (place, key), Neighbours::MOST_OF_ONE);
        }
    }

    /// Notes that a probe was answered by a code with which a call would get no further either.
    pub fn note_probe_turned_away(&mut self, client: IpAddr, server: IpAddr, key: u64, place: Place) {
        if let Some(known) = self.probes.get_mut(&server).and_then(|clients| clients.get_mut(&client)) {
            add(&mut known.turned_away, (place, key), Neighbours::MOST_OF_ONE);
        }
    }

    /// What is known of the credentials of a source.
    pub fn guessing(&self, source: IpAddr) -> Option<&Guessing> {
        self.guessing.get(&source)
    }

    /// Each source whose credentials were refused, in order.
    pub fn guessers(&self) -> impl Iterator<Item = (&IpAddr, &Guessing)> {
        ordered(&self.guessing).into_iter()
    }

    /// Notes that credentials of a source were refused.
    pub fn note_rejected(&mut self, source: IpAddr, place: Place) {
        if self.guessing.len() >= 4 * Neighbours::MOST && !self.guessing.contains_key(&source) {
            return;
        }
        let fresh = || Guessing { rejected: 0, first: place, accepted: None, called: Vec::new() };
        let known = self.guessing.entry(source).or_insert_with(fresh);
        known.rejected = known.rejected.saturating_add(1);
        known.first = known.first.min(place);
    }

    /// Notes that a request of a source, with this user in From, was accepted; it counts only after many refusals.
    pub(crate) fn note_let_in<'a>(&mut self, source: IpAddr, place: Place, user: impl FnOnce() -> Cow<'a, str>) {
        if let Some(known) = self.guessing.get_mut(&source).filter(|known| known.rejected >= Guessing::MANY) {
            known.let_in((place, first_letters(&user(), 64).to_owned()));
        }
    }

    /// Notes a call of a source; it counts only if it has guessed a password.
    pub fn note_called(&mut self, source: IpAddr, place: Place, number: &str) {
        if let Some(known) = self.guessing.get_mut(&source).filter(|known| known.accepted.is_some()) {
            add(&mut known.called, (place, first_letters(number, 64).to_owned()), Neighbours::MOST_OF_ONE);
        }
    }

    /// True if credentials of this source were accepted after many refusals: what it calls is remembered.
    pub(crate) fn was_let_in(&self, source: IpAddr) -> bool {
        self.guessing.get(&source).is_some_and(|known| known.accepted.is_some())
    }

    /// True if nobody's credentials were refused so far.
    pub(crate) fn has_no_guesser(&self) -> bool {
        self.guessing.is_empty()
    }

    /// The flood of a source.
    pub fn flood(&self, source: IpAddr) -> Option<&Flood> {
        self.floods.get(&source)
    }

    /// Each source of a flood.
    pub fn floods(&self) -> impl Iterator<Item = (&IpAddr, &Flood)> {
        self.floods.iter()
    }

    /// Notes that a source sent so many requests within a second.
    pub fn note_flood(&mut self, source: IpAddr, place: Place, requests: u32) {
        if self.floods.len() >= Neighbours::MOST && !self.floods.contains_key(&source) {
            return;
        }
        let known = self.floods.entry(source).or_insert(Flood { first: place, most: requests });
        *known = Flood { first: known.first.min(place), most: known.most.max(requests) };
    }

    /// Whether the credentials of a request fit the secret of their user, if that is known.
    pub fn digest_fit(&self, request: Place) -> Option<DigestFit> {
        let at = self.digests.binary_search_by_key(&request, |(place, _)| *place).ok()?;
        self.digests.get(at).map(|(_, fit)| *fit)
    }

    /// Notes whether the credentials of a request fit.
    pub fn note_digest(&mut self, request: Place, fit: DigestFit) {
        add(&mut self.digests, (request, fit), 64 * Neighbours::MOST);
    }

    /// The answer of another call that came just before a CANCEL.
    pub fn answered_before(&self, cancel: Place) -> Option<AnsweredBefore> {
        let at = self.answered_before.binary_search_by_key(&cancel, |(place, _)| *place).ok()?;
        self.answered_before.get(at).map(|(_, before)| *before)
    }

    /// Notes the answer of another call that came just before a CANCEL.
    pub(crate) fn note_answered_before(&mut self, cancel: Place, before: AnsweredBefore) {
        add(&mut self.answered_before, (cancel, before), 16 * Neighbours::MOST);
    }

    /// True if the client of a redirect sent an INVITE for a user whom it names a moment after it, in whatever call.
    pub fn was_followed(&self, redirect: Place) -> bool {
        self.followed.binary_search(&redirect).is_ok()
    }

    /// Notes that.
    pub(crate) fn note_followed(&mut self, redirect: Place) {
        add(&mut self.followed, redirect, 16 * Neighbours::MOST);
    }

    /// Names that were looked up.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// The same, to be added to.
    pub fn lookups_mut(&mut self) -> &mut Lookups {
        &mut self.lookups
    }

    /// What INVITEs that were accepted looked like.
    pub fn good_calls(&self) -> &GoodCalls {
        &self.good_calls
    }

    /// The same, to be added to.
    pub fn good_calls_mut(&mut self) -> &mut GoodCalls {
        &mut self.good_calls
    }

    /// What became of the calls of each address.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The same, to be added to.
    pub fn decisions_mut(&mut self) -> &mut Decisions {
        &mut self.decisions
    }

    /// How long calls rang in vain.
    pub fn rings(&self) -> &Rings {
        &self.rings
    }

    /// How long calls rang in vain, to be added to.
    pub fn rings_mut(&mut self) -> &mut Rings {
        &mut self.rings
    }

    /// Calls that were tried again at another server, with another Call-ID.
    pub fn retries(&self) -> &[Retry] {
        &self.retries
    }

    /// Notes that a call was tried again.
    pub(crate) fn note_retry(&mut self, retry: Retry) {
        add(&mut self.retries, retry, Neighbours::MOST);
    }

    /// Notes what became of the next try, by the place of its INVITE.
    pub(crate) fn note_retried(&mut self, next: Place, code: u16) {
        if let Some(known) = self.retries.iter_mut().rev().find(|known| known.next == next) {
            known.outcome.get_or_insert(code);
        }
    }

    /// Where the time leapt, in order.
    pub fn leaps(&self) -> &[Leap] {
        &self.leaps
    }

    /// The first leap behind a moment.
    pub fn leap_after(&self, moment: Timestamp) -> Option<&Leap> {
        self.leaps.get(self.leaps.partition_point(|leap| leap.before < moment))
    }

    /// Notes a leap, or more of it.
    pub(crate) fn note_leap(&mut self, leap: Leap) {
        match self.leaps.binary_search_by_key(&(leap.before, leap.after), |known| (known.before, known.after)) {
            Ok(at) => {
                let spanned = self.leaps[at].spanned.into_iter().chain(leap.spanned).min();
                self.leaps[at].spanned = spanned;
            }
            Err(at) if self.leaps.len() < Neighbours::MOST_OF_ONE => self.leaps.insert(at, leap),
            Err(_) => {}
        }
    }

    /// Whose UDP checksums are odd.
    pub fn checksums(&self) -> &Checksums {
        &self.checksums
    }

    /// The same, to be added to.
    pub(crate) fn checksums_mut(&mut self) -> &mut Checksums {
        &mut self.checksums
    }

    /// Forgets what was last seen before this moment.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        for probes in self.probes.values_mut().flat_map(BTreeMap::values_mut) {
            probes.sent.retain(|(place, _)| place.time >= before);
            probes.answered.retain(|(place, _)| place.time >= before);
            probes.turned_away.retain(|(place, _)| place.time >= before);
        }
        self.probes.retain(|_, clients| {
            clients.retain(|_, probes| !probes.sent.is_empty());
            !clients.is_empty()
        });
        self.digests.retain(|(request, _)| request.time >= before);
        self.answered_before.retain(|(cancel, _)| cancel.time >= before);
        self.followed.retain(|redirect| redirect.time >= before);
        self.leaps.retain(|leap| leap.after >= before);
        self.retries.retain(|retry| retry.next.time >= before);
        self.lookups.forget(before);
        self.rings.forget(before);
        self.decisions.shorten();
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Neighbours) {
        for (key, dialogs) in &other.dialogs {
            let known = self.dialogs.entry(*key).or_default();
            dialogs.iter().for_each(|dialog| add(known, dialog.clone(), 16));
        }
        for (client, server, theirs) in other.occupancies() {
            let known = self.occupancy.entry(server).or_default().entry(client).or_default();
            known.merge(theirs);
        }
        for (server, clients) in &other.probes {
            for (client, theirs) in clients {
                let known = self.probes.entry(*server).or_default().entry(*client).or_default();
                theirs.sent.iter().for_each(|sent| add(&mut known.sent, *sent, Neighbours::MOST_OF_ONE));
                theirs.answered.iter().for_each(|one| add(&mut known.answered, *one, Neighbours::MOST_OF_ONE));
                theirs.turned_away.iter().for_each(|one| add(&mut known.turned_away, *one, Neighbours::MOST_OF_ONE));
            }
        }
        for (source, theirs) in &other.guessing {
            let fresh = || Guessing { rejected: 0, called: Vec::new(), ..theirs.clone() };
            let known = self.guessing.entry(*source).or_insert_with(fresh);
            known.rejected = known.rejected.saturating_add(theirs.rejected);
            known.first = known.first.min(theirs.first);
            theirs.accepted.iter().for_each(|accepted| known.let_in(accepted.clone()));
            theirs.called.iter().for_each(|call| add(&mut known.called, call.clone(), Neighbours::MOST_OF_ONE));
        }
        for (source, flood) in &other.floods {
            self.note_flood(*source, flood.first, flood.most);
        }
        other.digests.iter().for_each(|(place, fit)| self.note_digest(*place, *fit));
        other.followed.iter().for_each(|redirect| self.note_followed(*redirect));
        other.answered_before.iter().for_each(|(cancel, before)| self.note_answered_before(*cancel, *before));
        self.lookups.merge(&other.lookups);
        self.good_calls.merge(&other.good_calls);
        self.decisions.merge(&other.decisions);
        self.rings.merge(&other.rings);
        self.checksums.merge(&other.checksums);
        other.retries.iter().for_each(|retry| self.note_retry(*retry));
        other.leaps.iter().for_each(|leap| self.note_leap(*leap));
    }
}

/// The entry of a key, made if there is room for it.
fn room<K: Ord, V: Default>(table: &mut BTreeMap<K, V>, key: K, most: usize) -> Option<&mut V> {
    if table.len() >= most && !table.contains_key(&key) {
        return None;
    }
    Some(table.entry(key).or_default())
}

/// Adds to a sorted list without repeats, as long as there is room.
pub(crate) fn add<T: Ord>(list: &mut Vec<T>, one: T, most: usize) {
    if let Err(at) = list.binary_search(&one)
        && list.len() < most
    {
        list.insert(at, one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn merging_adds_and_keeps_extremes() {
        let place = |frame| Place { frame, ..Place::default() };
        let mut one = Neighbours::default();
        one.note_accepted((address(1), address(2)), 3, place(5), 21);
        one.note_refused((address(1), address(2)), 503, 4, place(9), 11);
        one.note_rejected(address(1), place(5));
        let mut other = Neighbours::default();
        other.note_accepted((address(1), address(2)), 1, place(2), 22);
        other.note_refused((address(1), address(2)), 503, 5, place(7), 12);
        other.note_rejected(address(1), place(2));
        let mut merged = one.clone();
        merged.merge(&other);
        other.merge(&one);
        assert_eq!(merged, other);
        let known = merged.occupancy(address(1), address(2)).unwrap();
        assert_eq!((known.most_when_accepted, known.accepted), (3, 2));
        assert_eq!((known.accepted_first.as_slice(), known.accepted_last), (&[place(2), place(5)][..], Some(place(5))));
        let refused = known.refused[&503];
        assert_eq!((refused.count, refused.fewest, refused.first), (2, 4, place(7)));
        assert!(refused.is_of_several() && known.is_for_several());
        assert_eq!(merged.guessing(address(1)).unwrap().rejected, 2);
        let text = serde_json::to_string(&merged).unwrap();
        assert_eq!(serde_json::from_str::<Neighbours>(&text).unwrap(), merged);
    }
}
