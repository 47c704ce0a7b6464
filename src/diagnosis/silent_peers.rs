//! Peers that did not answer the probes of a server when it refused a call, or turned them away.
//!
//! Is given a case; gives the last of their probes and the words for them. A server that probes takes a peer that stays
//! silent out of use, so a call that has to go there finds no way. Deliberately does not say that this one had to.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Failure, Probes};
use crate::capture::{Place, Timestamp};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Finding};

/// A peer that left the last probes before a refusal without an answer, or answered them with 408 or 503.
pub(in crate::diagnosis) struct SilentPeer {
    server: IpAddr,
    peer: IpAddr,
    count: usize,
    first: Place,
    /// How long before the call the first of them was sent.
    before: String,
    /// True if it answered any of them.
    has_answered: bool,
}

/// Probes in a row that are wanted before their silence counts.
const ENOUGH: usize = 2;
/// Whoever knows beforehand that it has no way says so within this time: it waits for nobody.
const AT_ONCE: Duration = Duration::from_millis(500);
/// A probe that waits for less than this may yet be answered.
const YOUNG: Duration = Duration::from_secs(1);
/// Who probes goes on with it: the last probe is no older than so many of their periods.
const PERIODS: u32 = 3;

impl SilentPeer {
    /// The one whose silence began last before a call that was refused at once, and sent nowhere.
    pub fn of(case: &Case<'_>, failure: &Failure) -> Option<SilentPeer> {
        if !case.arose_here(failure) || case.time_to(failure).is_none_or(|took| took > AT_ONCE) {
            return None;
        }
        let (request, response) = (case.request(failure)?, case.response(failure));
        let (server, at) = (response.path.source.ip(), request.place.time);
        let known = case.surroundings.neighbours().probes_of(server);
        // Of many telephones some are always off: who is called there is told by registrations.
        let is_other = |peer: IpAddr| peer != request.path.source.ip() && !case.surroundings.is_device(peer);
        let silent = known.filter(|(peer, _)| is_other(*peer)).filter_map(|(peer, probes)| {
            let (count, first) = silent_before(probes, at)?;
            let has_answered = probes.turned_away.iter().any(|(place, _)| first < *place && place.time < at);
            Some(SilentPeer { server, peer, count, first, before: length(at.since(first.time)), has_answered })
        });
        silent.max_by_key(|silent| silent.first)
    }

    /// What it is about, as a sentence of its own.
    pub fn words(&self) -> String {
        let (how, such) = match self.has_answered {
            true => (" (408, 503 or no answer)", "answers so"),
            false => ("", "stays silent"),
        };
        format!(
            " {} had sent {} its last {} probes (OPTIONS) in vain{how}, the first of them {} before this call: whoever \
             probes takes a peer that {such} out of use, and a call that has to go there finds no way.",
            self.server, self.peer, self.count, self.before
        )
    }

    /// The finding with what to do, before all else.
    pub fn told(&self, finding: Finding) -> Finding {
        let (how, first) = match self.has_answered {
            true => ("turns the probes of", "the first of the probes that were in vain"),
            false => ("answers no probe of", "the first of the probes that got no answer"),
        };
        let away = if self.has_answered { " away" } else { "" };
        finding
            .fix(format!(
                "If the call had to go to {}, look there, and at the way there: it {how} {}{away}.",
                self.peer, self.server
            ))
            .claim_at(self.first, "sip.Method", "OPTIONS", first)
    }
}

/// How many probes in a row had got no answer at a moment, or one that turns them away, and the first of them, if they
/// go on and are not young.
fn silent_before(probes: &Probes, at: Timestamp) -> Option<(usize, Place)> {
    let away: BTreeSet<u64> = probes.turned_away.iter().map(|(_, key)| *key).collect();
    let welcome = || probes.answered.iter().filter(|(place, key)| place.time < at && !away.contains(key));
    let answered: BTreeSet<u64> = welcome().map(|(_, key)| *key).collect();
    let is_answered = |key: &u64| answered.contains(key);
    let before: Vec<Place> = probes.sent.iter().filter(|(place, _)| place.time < at).map(|(place, _)| *place).collect();
    let sent = probes.sent.iter().filter(|(place, _)| place.time < at).rev();
    let silent: Vec<Place> = sent.take_while(|(_, key)| !is_answered(key)).map(|(place, _)| *place).collect();
    let [.., one, last] = before[..] else { return None };
    let goes_on = at.since(last.time) <= last.time.since(one.time) * PERIODS;
    let old = silent.iter().filter(|place| at.since(place.time) >= YOUNG).count();
    let first = silent.last().filter(|_| goes_on && old >= ENOUGH)?;
    // An answer that came to any probe since then shows that the peer is there.
    let is_heard = welcome().any(|(place, _)| first < place);
    (!is_heard).then_some((silent.len(), *first))
}
