//! A redirect that is followed under a Call-ID of its own.
//!
//! RFC 3261 §8.1.3.4 recommends to keep the Call-ID when a redirect is followed, and allows a new one. What tells that
//! both are one call: the client, who calls, and a request for what the redirect named, a moment after it. An exchange
//! that is sent to a user or a number asks for it where that is registered, or at its trunk, and not at the host that
//! was named; so there the user alone counts, and the leg is a guess. What a network names with a 380 for a number of
//! emergency is the service itself (3GPP TS 24.229 §5.1.3.1).

use std::net::IpAddr;
use std::time::Duration;

use crate::call::link::Ties;
use crate::call::log::StepId;
use crate::call::model::Arrival;
use crate::call::number::{number_or_name, same_number};
use crate::call::tracker::Tracker;
use crate::call::transaction::Keys;
use crate::capture::{Place, Timestamp};
use crate::keyed::{ByHash, Table};
use crate::sip::identity::brings_identity;
use crate::sip::{AlternativeService, HeaderName, Message, NameAddr, Uri, user_of};

/// A call that was sent elsewhere.
#[derive(Debug, Clone, Copy)]
struct Redirected {
    index: u32,
    /// The number of the call that was at this place then.
    call: u32,
    /// Until when the client may follow.
    until: Timestamp,
}

/// A client that was sent to a user, at whatever host.
#[derive(Debug)]
struct SentTo {
    redirected: Redirected,
    /// The 3xx.
    place: Place,
    /// The number or name.
    callee: Box<str>,
    /// The one that the client had asked for.
    asked: Box<str>,
    /// The user that calls.
    caller: Box<[u8]>,
    /// True if the client goes on with what it got there, wherever its own way leads.
    brings_identity: bool,
}

/// Where each caller was sent.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    of: ByHash<Redirected>,
    /// The last redirects of each client.
    sent: Table<IpAddr, Vec<SentTo>>,
}

/// Redirects that are kept.
const MOST: usize = 4096;
/// Redirects that are kept of one client, at whatever host.
const MOST_OF_ONE: usize = 16;
/// Contacts of one response that are kept.
const MOST_CONTACTS: usize = 8;
/// A client follows a redirect this soon: later it may be a person who dials the other address.
const SOON: Duration = Duration::from_secs(5);
/// A device may have to look for another network and to register there before it calls for help, and nobody calls that
/// service by chance.
const HELP_IS_CALLED_WITHIN: Duration = Duration::from_secs(30);

impl Tracker {
    /// A response to an INVITE that opens a call: where it sends the caller.
    pub(super) fn note_redirect(&mut self, index: u32, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) {
        if !keys.status.is_some_and(|status| (300..400).contains(&status.get())) {
            return;
        }
        let Some(call) = self.open_at(index).map(|open| open.log.number) else { return };
        let client = arrival.path.destination.ip();
        let contacts = message.headers("Contact");
        let until = arrival.place.time.plus(SOON);
        // Who is sent to the same user may also ask for that one once more where it asked before; but not with what it
        // got.
        let (asked, brings_identity) = (asked_for(message), brings_identity(message));
        let caller = caller_of(message).unwrap_or_default();
        for contact in contacts.iter().take(MOST_CONTACTS) {
            let callee = number_or_name(&NameAddr::read(contact).uri).into_owned().into_boxed_str();
            if same_number(&callee, &asked) && !brings_identity {
                continue;
            }
            let redirected = Redirected { index, call, until };
            let (asked, caller) = (asked.as_str().into(), caller.into());
            let sent = SentTo { redirected, place: arrival.place, callee, asked, caller, brings_identity };
            self.redirects.note_sent(client, sent, arrival.place.time);
        }
        let contacts = contacts.iter().take(MOST_CONTACTS).map(|contact| (NameAddr::read(contact).parsed(), SOON));
        let names_emergency = AlternativeService::of(message) == Some(AlternativeService::Emergency);
        let help = names_emergency.then(|| (emergency_target(), HELP_IS_CALLED_WITHIN));
        for (target, patience) in contacts.chain(help) {
            let Some(key) = self.redirect_key(message, client, &target) else { return };
            if self.redirects.of.len() >= MOST {
                self.redirects.of.clear();
            }
            let until = arrival.place.time.plus(patience);
            self.redirects.of.insert(key, Redirected { index, call, until });
        }
    }

    /// The open call that an INVITE with a Call-ID of its own goes on with where a redirect sent it; with the step that
    /// it continues, if its client is an exchange that somebody called.
    pub(super) fn redirected_call(
        &mut self,
        message: &Message<'_>,
        arrival: &Arrival,
    ) -> Option<(u32, Option<StepId>)> {
        if self.redirects.of.is_empty() {
            return None;
        }
        let target = Uri::read(&message.request_uri()?);
        let target = if target.calls_for_help() { emergency_target() } else { target };
        let key = self.redirect_key(message, arrival.path.source.ip(), &target)?;
        // Who calls the same address once more after that makes a call of its own.
        let redirected = self.redirects.of.remove(&key).or_else(|| self.signed_call(message, arrival))?;
        let open = self.still_open(redirected.index, redirected.call)?;
        if arrival.place.time > redirected.until {
            return None;
        }
        Some((redirected.index, open.log.waiting_for(arrival.path.source.ip())))
    }

    /// Where a service that signs calls sent the client of this INVITE a moment before, with what it goes on with to
    /// the same callee elsewhere. Only the next INVITE goes on with it.
    fn signed_call(&mut self, message: &Message<'_>, arrival: &Arrival) -> Option<Redirected> {
        let uri = message.request_uri()?;
        let (caller, called) = (caller_of(message)?, number_or_name(&uri));
        let sent = self.redirects.sent.get_mut(&arrival.path.source.ip())?;
        let fits =
            |sent: &mut SentTo| sent.brings_identity && *sent.caller == *caller && same_number(&sent.callee, &called);
        let found = sent.iter_mut().rev().find_map(|sent| fits(sent).then_some(sent))?;
        found.brings_identity = false;
        Some(found.redirected)
    }

    /// Notes each redirect as followed that sent the host of this INVITE to the same user or number a moment before.
    /// Gives the open call of somebody who waits for that host, with the step that the INVITE continues.
    pub(super) fn note_followed_callee(&mut self, ties: &Ties<'_>, arrival: &Arrival) -> Option<(u32, StepId)> {
        let (client, now) = (arrival.path.source.ip(), arrival.place.time);
        let sent = self.redirects.sent.get(&client)?;
        let fits = |sent: &&SentTo| now <= sent.redirected.until && same_number(&sent.callee, &ties.called);
        let followed: Vec<(Redirected, Place)> =
            sent.iter().filter(fits).map(|sent| (sent.redirected, sent.place)).collect();
        for (_, redirect) in &followed {
            self.surroundings.neighbours_mut().note_followed(*redirect);
        }
        let mut calls = followed.iter().rev().filter_map(|(redirected, _)| {
            let open = self.still_open(redirected.index, redirected.call)?;
            Some((redirected.index, open.log.waiting_for(client)?))
        });
        // A guess that fits two calls is none.
        let (index, step) = calls.next()?;
        calls.all(|(other, _)| other == index).then_some((index, step))
    }

    /// The open call that a response to an INVITE with a Call-ID of its own goes on with: the INVITE, which was not
    /// captured, was sent where a redirect had sent its client a moment before. Notes that redirect as followed.
    pub(super) fn redirected_call_of_response(&mut self, message: &Message<'_>, arrival: &Arrival) -> Option<u32> {
        let sent = self.redirects.sent.get(&arrival.path.destination.ip())?;
        let (caller, called) = (caller_of(message)?, asked_for(message));
        // Who follows may leave in To whom it asked for before (RFC 3261 §8.1.3.4).
        let fits = |sent: &&SentTo| {
            let is_called = same_number(&sent.callee, &called) || same_number(&sent.asked, &called);
            arrival.place.time <= sent.redirected.until && *sent.caller == *caller && is_called
        };
        let SentTo { redirected, place, .. } = sent.iter().rev().find(fits)?;
        let (redirected, place) = (*redirected, *place);
        self.surroundings.neighbours_mut().note_followed(place);
        self.still_open(redirected.index, redirected.call).map(|_| redirected.index)
    }

    fn redirect_key(&self, message: &Message<'_>, client: IpAddr, target: &Uri) -> Option<u64> {
        let from = caller_of(message)?;
        Some(self.hasher.hash_one((client, from, &target.user, &target.host)))
    }
}

impl Redirects {
    /// Notes where a client was sent; what is too old for it is forgotten.
    fn note_sent(&mut self, client: IpAddr, sent: SentTo, now: Timestamp) {
        if sent.callee.is_empty() {
            return;
        }
        if self.sent.len() >= MOST && !self.sent.contains_key(&client) {
            self.sent.clear();
        }
        let known = self.sent.entry(client).or_default();
        known.retain(|sent| now <= sent.redirected.until);
        if known.len() >= MOST_OF_ONE {
            known.remove(0);
        }
        known.push(sent);
    }
}

/// The user that calls.
fn caller_of<'a>(message: &'a Message<'_>) -> Option<&'a [u8]> {
    user_of(message.header_bytes(HeaderName::From)?)
}

/// The number or name in To; empty if there is none.
fn asked_for(message: &Message<'_>) -> String {
    message.to().map(|to| number_or_name(&to.uri).into_owned()).unwrap_or_default()
}

/// The service of emergency, whatever kind of help is called (RFC 5031 §4.2).
fn emergency_target() -> Uri {
    Uri::read("urn:service:sos")
}
