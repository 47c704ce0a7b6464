//! A call that is tried again at another server under a Call-ID of its own.
//!
//! RFC 3263 §4.3 lets a client go on to the next server, and RFC 3261 §8.1.3.5 keeps the Call-ID for that; many PBXs
//! take a new one. What tells that both are one call: the client, who calls whom, and that the first try had just
//! failed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::model::Arrival;
use crate::call::timer;
use crate::call::tracker::Tracker;
use crate::call::transaction::Keys;
use crate::capture::{Place, Timestamp};
use crate::keyed::{ByHash, Keyed};
use crate::sip::{HeaderName, Message, user_of};

/// A try of a call that failed, and the next one at another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Retry {
    /// The INVITE of the first try.
    pub first: Place,
    /// To whom it went.
    pub first_server: SocketAddr,
    /// How it was refused; `None` for silence.
    pub refusal: Option<(Place, u16)>,
    /// The INVITE of the next try.
    pub next: Place,
    /// To whom that went.
    pub next_server: SocketAddr,
    /// The final code that it got.
    pub outcome: Option<u16>,
}

/// An INVITE, and what became of it so far.
#[derive(Debug, Clone, Copy)]
struct Tried {
    place: Place,
    server: SocketAddr,
    /// A provisional response came, or a final one that says nothing of the server.
    is_taken: bool,
    refusal: Option<(Place, u16)>,
}

/// The last try of each caller to each callee.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// By its Call-ID and the client, by which its responses find it without a look at who calls whom.
    of: ByHash<Tried>,
    /// The key of the last one in that table, by the client, and who calls whom.
    last: ByHash<u64>,
}

/// Tries that are kept: as many as fill a table. Beyond, all are forgotten.
const MOST: usize = 3584;
/// A client goes on to the next server this soon after a refusal.
const SOON: Duration = Duration::from_secs(5);

impl Tracker {
    /// An INVITE that opens a call: the next try of one that has just failed, or a first one. `call_id` is the hash of
    /// its Call-ID.
    pub(super) fn note_try(&mut self, message: &Message<'_>, call_id: u64, arrival: &Arrival) {
        let Some(who) = who(&self.hasher, message, arrival.path.source.ip()) else { return };
        let (key, server) = (self.hasher.hash_one((call_id, arrival.path.source.ip())), arrival.path.destination);
        let tried = Tried { place: arrival.place, server, is_taken: false, refusal: None };
        let tries = &mut self.tries;
        if tries.last.len() >= MOST && !tries.last.contains_key(&who) {
            tries.last.clear();
            tries.of.clear();
        }
        let before = tries.last.insert(who, key);
        if before == Some(key) {
            // The same try again, with credentials or another branch: the first one counts.
            let first = tries.of.entry(key).or_insert(tried);
            *first = if first.server == server { Tried { is_taken: false, ..*first } } else { tried };
            return;
        }
        let before = before.and_then(|before| tries.of.remove(&before));
        tries.of.insert(key, tried);
        let Some(before) = before else { return };
        if before.server.ip() != tried.server.ip() && before.has_just_failed(tried.place.time) {
            self.surroundings.neighbours_mut().note_retry(Retry {
                first: before.place,
                first_server: before.server,
                refusal: before.refusal,
                next: tried.place,
                next_server: tried.server,
                outcome: None,
            });
        }
    }

    /// A response to an INVITE that opens a call.
    pub(super) fn note_try_answered(&mut self, keys: &Keys<'_>, call_id: u64, arrival: &Arrival) {
        let Some(status) = keys.status.filter(|status| status.get() != 100) else { return };
        let key = self.hasher.hash_one((call_id, arrival.path.destination.ip()));
        let Some(tried) = self.tries.of.get_mut(&key).filter(|tried| tried.server == arrival.path.source) else {
            return;
        };
        match status.get() {
            408 | 430 | 500 | 502 | 503 | 504 => tried.refusal = Some((arrival.place, status.get())),
            _ => tried.is_taken = !status.is_challenge(),
        }
        if !status.is_provisional() && !status.is_challenge() {
            let place = tried.place;
            self.surroundings.neighbours_mut().note_retried(place, status.get());
        }
    }
}

impl Tried {
    /// True if a client may go on from it now: it was refused a moment ago, or has waited in vain.
    fn has_just_failed(&self, now: Timestamp) -> bool {
        match self.refusal {
            Some((place, _)) => now.since(place.time) <= SOON,
            None => {
                let waited = now.since(self.place.time);
                !self.is_taken && waited >= timer::T1 && waited <= timer::GIVE_UP + SOON
            }
        }
    }
}

/// The client, the user that calls and the user that is called; `None` where nobody is named.
pub(super) fn who(hasher: &Keyed, message: &Message<'_>, client: IpAddr) -> Option<u64> {
    let from = user_of(message.header_bytes(HeaderName::From)?)?;
    let to = user_of(message.header_bytes(HeaderName::To)?)?;
    Some(hasher.hash_one((client, from, to)))
}
