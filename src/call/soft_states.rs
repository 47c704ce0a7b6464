//! What servers granted for a time beside registrations: subscriptions (RFC 6665) and published state (RFC 3903).
//!
//! Is given SUBSCRIBE, NOTIFY and PUBLISH with their responses, from the whole capture; gives until when each was
//! granted, and which subscription took the place of another. Deliberately does not know what was reported or
//! published.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::key::call_key;
use crate::call::model::Arrival;
use crate::capture::{Place, Timestamp};
use crate::sip::{HeaderName, Message, Method, StatusCode, text, uri_of};

/// A response that granted a subscription or published state for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// The response.
    pub place: Place,
    /// For how many seconds, as Expires says.
    pub seconds: u32,
    /// The number of its CSeq.
    pub cseq: u32,
}

impl Lease {
    /// Until when it lasts.
    pub fn until(&self) -> Timestamp {
        self.place.time.plus(Duration::from_secs(u64::from(self.seconds)))
    }
}

/// What is known of the subscriptions with one Call-ID.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Subscribed {
    /// [`call_key`] of who watches whom for which event, by the first SUBSCRIBE.
    watched: Option<u64>,
    /// Where its SUBSCRIBEs came from.
    sources: BTreeSet<IpAddr>,
    /// What was granted, the last of it.
    leases: BTreeSet<Lease>,
    /// Until when a NOTIFY said that it lasts.
    told: Option<Timestamp>,
    /// The CSeq numbers of its NOTIFYs with the [`call_key`] of their From tag, the last of them.
    reports: BTreeSet<(Place, u32, u64)>,
}

/// The subscriptions and the published states of a capture. Mergeable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SoftStates {
    /// By the [`call_key`] of the Call-ID.
    subscribed: BTreeMap<u64, Subscribed>,
    /// Who watches whom, with the key of each of its subscriptions.
    watches: BTreeSet<(u64, u64)>,
    /// By the [`call_key`] of the entity tag and of whose state it is, and the server that gave it.
    published: BTreeMap<(u64, IpAddr), Lease>,
}

impl SoftStates {
    /// Subscriptions and published states that are kept, each.
    const MOST: usize = 10_000;
    /// Leases and sources that are kept of one subscription.
    const MOST_ENTRIES: usize = 8;

    /// The last lease of a subscription before a moment, and until when it lasted by that and by all else that was
    /// said.
    pub fn subscribed(&self, call_id: &[u8], before: Place) -> Option<(Lease, Timestamp)> {
        let known = self.subscribed.get(&call_key(call_id))?;
        let mut earlier = known.leases.iter().filter(|lease| lease.place < before);
        let until = earlier.clone().map(Lease::until).max()?;
        Some((*earlier.next_back()?, known.told.map_or(until, |told| told.max(until))))
    }

    /// The lease with which the same watcher had subscribed anew to the same, with another Call-ID, that is in force at
    /// a moment: granted after the subscription of this Call-ID was, and not later than `until`.
    pub fn subscribed_anew(&self, call_id: &[u8], at: Timestamp, until: Timestamp) -> Option<Lease> {
        let key = call_key(call_id);
        let known = self.subscribed.get(&key)?;
        let watched = known.watched?;
        let first = known.leases.first().map(|lease| lease.place);
        let of_watch = self.watches.range((watched, 0)..=(watched, u64::MAX)).rev().take(SoftStates::MOST_ENTRIES);
        let others = of_watch.filter(|(_, other)| *other != key).filter_map(|(_, other)| self.subscribed.get(other));
        let of_watcher = others.filter(|row| !row.sources.is_disjoint(&known.sources));
        of_watcher
            .flat_map(|row| &row.leases)
            .filter(|lease| first.is_none_or(|first| first < lease.place))
            .filter(|lease| lease.seconds > 0 && lease.place.time <= until && lease.until() >= at)
            .min()
            .copied()
    }

    /// An earlier NOTIFY of the same dialog and side that has a higher CSeq number, and that number.
    pub fn reported_before(&self, notify: &Message<'_>, place: Place) -> Option<(Place, u32)> {
        let (number, of) = (notify.cseq()?.number, call_key(notify.tag_of_from()));
        let known = self.subscribed.get(&call_key(notify.call_id()))?;
        let higher = |(at, other, tag): &&(Place, u32, u64)| *at < place && *other > number && *tag == of;
        known.reports.iter().find(higher).map(|(at, other, _)| (*at, *other))
    }

    /// The response with which a server gave the entity tag that a PUBLISH names.
    pub fn published(&self, publish: &Message<'_>, server: IpAddr) -> Option<Lease> {
        let tag = publish.header("SIP-If-Match")?;
        self.published.get(&(state_key(publish, &tag), server)).copied()
    }

    /// Learns from a SUBSCRIBE, a NOTIFY or a PUBLISH, or from a response to one.
    pub(crate) fn learn(&mut self, message: &Message<'_>, arrival: &Arrival) {
        let Some(cseq) = message.cseq() else { return };
        let is_success = message.status().is_some_and(StatusCode::is_success);
        match cseq.method {
            Method::Subscribe if message.is_request() => {
                let Some(row) = self.row(message) else { return };
                if row.sources.len() < SoftStates::MOST_ENTRIES {
                    row.sources.insert(arrival.path.source.ip());
                }
                let is_first = message.to().is_some_and(|to| to.tag().is_none());
                row.watched = row.watched.max(is_first.then(|| watched(message)));
                if let Some(watched) = row.watched {
                    self.watches.insert((watched, call_key(message.call_id())));
                }
            }
            Method::Subscribe if is_success => {
                let lease = lease(message, arrival, cseq.number);
                if let (Some(lease), Some(row)) = (lease, self.row(message)) {
                    row.note(lease);
                }
            }
            Method::Notify if message.is_request() => {
                let until = told(message).map(|told| arrival.place.time.plus(told));
                // One without a To tag belongs to no subscription.
                if let Some(row) = (!message.tag_of_to().is_empty()).then(|| self.row(message)).flatten() {
                    row.told = row.told.max(until);
                    row.note_report((arrival.place, cseq.number, call_key(message.tag_of_from())));
                }
            }
            Method::Publish if is_success => {
                let Some(tag) = message.header("SIP-ETag") else { return };
                let key = (state_key(message, &tag), arrival.path.source.ip());
                if let Some(lease) = lease(message, arrival, cseq.number) {
                    self.note_published(key, lease);
                }
            }
            _ => {}
        }
    }

    fn row(&mut self, message: &Message<'_>) -> Option<&mut Subscribed> {
        let key = call_key(message.call_id());
        let has_room = self.subscribed.len() < SoftStates::MOST || self.subscribed.contains_key(&key);
        has_room.then(|| self.subscribed.entry(key).or_default())
    }

    fn note_published(&mut self, key: (u64, IpAddr), lease: Lease) {
        if self.published.len() < SoftStates::MOST || self.published.contains_key(&key) {
            let known = self.published.entry(key).or_insert(lease);
            *known = lease.max(*known);
        }
    }

    /// Forgets what had run out before this moment.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.published.retain(|_, lease| lease.until() >= before);
        self.subscribed.retain(|_, row| {
            row.told.is_some_and(|told| told >= before) || row.leases.iter().any(|lease| lease.until() >= before)
        });
        self.watches.retain(|(_, key)| self.subscribed.contains_key(key));
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &SoftStates) {
        self.watches.extend(&other.watches);
        for (key, row) in &other.subscribed {
            let known = self.subscribed.entry(*key).or_default();
            known.watched = known.watched.max(row.watched);
            known.told = known.told.max(row.told);
            known.sources.extend(&row.sources);
            row.leases.iter().for_each(|lease| known.note(*lease));
            row.reports.iter().for_each(|report| known.note_report(*report));
        }
        for (key, lease) in &other.published {
            self.note_published(*key, *lease);
        }
    }
}

impl Subscribed {
    fn note(&mut self, lease: Lease) {
        self.leases.insert(lease);
        if self.leases.len() > SoftStates::MOST_ENTRIES {
            self.leases.pop_first();
        }
    }

    fn note_report(&mut self, report: (Place, u32, u64)) {
        self.reports.insert(report);
        if self.reports.len() > SoftStates::MOST_ENTRIES {
            self.reports.pop_first();
        }
    }
}

fn uri(message: &Message<'_>, name: HeaderName) -> String {
    message.header_bytes(name).map(|value| text(uri_of(value)).into_owned()).unwrap_or_default()
}

/// An entity tag of somebody's state: servers may count for each anew.
fn state_key(message: &Message<'_>, tag: &str) -> u64 {
    call_key([tag.trim(), &uri(message, HeaderName::To)].join("\n").as_bytes())
}

/// Who watches whom, and for which event (RFC 6665 §4.1.2).
fn watched(message: &Message<'_>) -> u64 {
    let event = message.header("Event").unwrap_or_default();
    let package = event.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    call_key([uri(message, HeaderName::From), uri(message, HeaderName::To), package].join("\n").as_bytes())
}

/// What a 2xx grants. Nothing if Expires holds more than its number: then it could not be cited by its field.
fn lease(message: &Message<'_>, arrival: &Arrival, cseq: u32) -> Option<Lease> {
    let expires = message.header("Expires")?;
    let seconds = expires.parse::<u32>().ok().filter(|seconds| seconds.to_string() == *expires)?;
    Some(Lease { place: arrival.place, seconds, cseq })
}

/// How long a NOTIFY says that its subscription still lasts (RFC 6665 §8.4).
fn told(notify: &Message<'_>) -> Option<Duration> {
    let state = notify.header("Subscription-State")?;
    let seconds = state.split(';').find_map(|part| part.trim().strip_prefix("expires="))?;
    seconds.trim().parse().ok().map(|seconds: u32| Duration::from_secs(u64::from(seconds)))
}
