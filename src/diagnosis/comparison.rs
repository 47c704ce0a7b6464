//! Beside a call that failed: the nearest one that was accepted on the same way, and in what its INVITE differs.
//!
//! A difference is a hint and no cause: nothing here explains an outcome.

use std::net::SocketAddr;

use crate::call::{CALLED_USER, Heard, Kind, Outcome, Sample, Trait};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::untrusted::Untrusted;

/// Differences that are told.
const MOST: usize = 8;

/// Codes about the offer (RFC 3261 §21.4.13, §21.4.26, §21.6.4; RFC 3312 §8).
const OF_OFFERS: [u16; 4] = [415, 488, 580, 606];
/// Codes about who was called, or that nobody answered, whatever was offered.
const OF_CALLEES: [u16; 12] = [404, 408, 410, 480, 484, 485, 486, 600, 603, 604, 607, 608];

/// The nearest call that was accepted, and what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Its INVITE.
    pub place: Place,
    /// Its Call-ID.
    pub call_id: Untrusted,
    /// Who sent the INVITE that failed, and to whom; the other one went between the same hosts.
    pub path: (SocketAddr, SocketAddr),
    /// What differs, what decides calls more often first.
    pub differences: Vec<Difference>,
}

/// A property in which two INVITEs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is a property of: `codecs`.
    pub what: String,
    /// What the call that failed has.
    pub here: Half,
    /// What the call that was accepted has.
    pub there: Half,
}

/// What one of two INVITEs has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// The INVITE.
    pub place: Place,
    /// In words: `PCMA PCMU`.
    pub has: Untrusted,
    /// The Wireshark field that shows it, and what that holds; `None` where no single field does.
    pub claim: Option<(String, Untrusted)>,
}

impl Half {
    /// What stands in place of a user, who is known by a hash alone, is given.
    fn of(place: Place, one: &Trait, user: &str) -> Half {
        let has = if one.what == CALLED_USER { user } else { &one.has };
        let claim = one.claim.as_ref().map(|(field, value)| (field.clone(), value.as_str().into()));
        Half { place, has: has.into(), claim }
    }
}

/// Compares a call that failed with the nearest one that was accepted: same hosts, same direction; of several the one
/// from the same software, with the fewest differences, nearest in time.
pub(crate) fn compare(case: &Case<'_>, outcome: Outcome) -> Option<Comparison> {
    if case.call.kind != Kind::Call || !matches!(outcome, Outcome::Failed | Outcome::Unanswered | Outcome::Redirected) {
        return None;
    }
    let invite = invite(case)?;
    let (client, server) = (invite.path.source, invite.path.destination);
    let good = case.surroundings.neighbours().good_calls().on(client.ip(), server.ip());
    if good.is_empty() {
        return None;
    }
    let here = Sample::of(&invite.message, invite.path, invite.place);
    let own = case.call.call_ids();
    let others = good.iter().filter(|sample| !own.contains(&sample.call_id.as_bytes()));
    let nearest = others.min_by_key(|sample| {
        let apart = sample.place.time.0.abs_diff(invite.place.time.0);
        (sample.software != here.software, differing(&here, sample).count(), apart, sample.place)
    })?;
    let mut telling: Vec<_> = differing(&here, nearest).collect();
    match case.failure().map(|failure| failure.status.get()) {
        Some(status) if OF_OFFERS.contains(&status) => telling.sort_by_key(|(own, _)| !own.is_of_offer()),
        Some(status) if OF_CALLEES.contains(&status) => telling.retain(|(own, _)| !own.is_of_offer()),
        _ => telling.sort_by_key(|(own, _)| own.is_of_offer()),
    }
    let told = telling.into_iter().map(|(own, other)| Difference {
        what: own.what.to_string(),
        here: Half::of(here.place, own, "the one called here"),
        there: Half::of(nearest.place, other, "another"),
    });
    let differences = registered_between(case, &here, nearest).into_iter().chain(told).take(MOST);
    Some(Comparison {
        place: nearest.place,
        call_id: nearest.call_id.as_str().into(),
        path: (client, server),
        differences: differences.collect(),
    })
}

/// That the same callee was registered only between the call that failed and the one that was accepted.
fn registered_between(case: &Case<'_>, here: &Sample, there: &Sample) -> Option<Difference> {
    let is_same_callee = differing(here, there).all(|(own, _)| own.what != CALLED_USER);
    let (_, granted) =
        case.registered_only_later().filter(|(_, granted)| is_same_callee && granted.place < there.place)?;
    let half = |place, has: &str, claim| Half { place, has: has.into(), claim };
    let claim = ("sip.CSeq.method".to_owned(), "REGISTER".into());
    Some(Difference {
        what: "registration of the one called".to_owned(),
        here: half(here.place, "none is seen before it", None),
        there: half(granted.place, "granted before it", Some(claim)),
    })
}

/// The INVITE that failed, on the hop where the failure arose; without a failure the last one of the caller.
fn invite<'a>(case: &Case<'a>) -> Option<&'a Heard> {
    let of_failure = case.failure().map(|failure| case.call.transaction(failure.transaction));
    let transaction = of_failure.filter(|known| known.is_initial_invite()).or_else(|| case.deciding())?;
    case.call.request_of(transaction).filter(|_| transaction.is_initial_invite())
}

/// The properties that both have and that are not alike.
fn differing<'s>(one: &'s Sample, other: &'s Sample) -> impl Iterator<Item = (&'s Trait, &'s Trait)> {
    one.traits.iter().filter_map(|own| {
        let theirs = other.traits.iter().find(|theirs| theirs.what == own.what)?;
        (own.has != theirs.has).then_some((own, theirs))
    })
}
