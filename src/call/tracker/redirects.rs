//! A redirect that is followed under a Call-ID of its own.
//!
//! RFC 3261 §8.1.3.4 recommends to keep the Call-ID when a redirect is followed, and allows a new one. What tells that both
//! are one call: the client, who calls, and a request for what the redirect named, a moment after it. What a network names
//! with a 380 for a number of emergency is the service itself (3GPP TS 24.229 §5.1.3.1).

use std::net::IpAddr;
use std::time::Duration;

use crate::call::model::Arrival;
use crate::call::tracker::Tracker;
use crate::call::transaction::Keys;
use crate::capture::Timestamp;
use crate::keyed::ByHash;
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

/// Where each caller was sent.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    of: ByHash<Redirected>,
}

/// Redirects that are kept.
const MOST: usize = 4096;
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
        let contacts = message.headers("Contact");
        let contacts = contacts.iter().take(MOST_CONTACTS).map(|contact| (NameAddr::read(contact).parsed(), SOON));
        let names_emergency = AlternativeService::of(message) == Some(AlternativeService::Emergency);
        let help = names_emergency.then(|| (emergency_target(), HELP_IS_CALLED_WITHIN));
        for (target, patience) in contacts.chain(help) {
            let Some(key) = self.redirect_key(message, arrival.path.destination.ip(), &target) else { return };
            if self.redirects.of.len() >= MOST {
                self.redirects.of.clear();
            }
            let until = arrival.place.time.plus(patience);
            self.redirects.of.insert(key, Redirected { index, call, until });
        }
    }

    /// The open call that an INVITE with a Call-ID of its own goes on with where a redirect sent it.
    pub(super) fn redirected_call(&mut self, message: &Message<'_>, arrival: &Arrival) -> Option<u32> {
        if self.redirects.of.is_empty() {
            return None;
        }
        let target = Uri::read(&message.request_uri()?);
        let target = if target.calls_for_help() { emergency_target() } else { target };
        let key = self.redirect_key(message, arrival.path.source.ip(), &target)?;
        // Who calls the same address once more after that makes a call of its own.
        let redirected = self.redirects.of.remove(&key)?;
        let is_same = self.open_at(redirected.index).is_some_and(|open| open.log.number == redirected.call);
        (is_same && arrival.place.time <= redirected.until).then_some(redirected.index)
    }

    fn redirect_key(&self, message: &Message<'_>, client: IpAddr, target: &Uri) -> Option<u64> {
        let from = user_of(message.header_bytes(HeaderName::From)?)?;
        Some(self.hasher.hash_one((client, from, &target.user, &target.host)))
    }
}

/// The service of emergency, whatever kind of help is called (RFC 5031 §4.2).
fn emergency_target() -> Uri {
    Uri::read("urn:service:sos")
}
