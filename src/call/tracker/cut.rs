//! The call of a message whose Call-ID the capture cut off.
//!
//! A snap length cuts each message at another place of its headers, so parts of one Call-ID would make calls of their
//! own. What stands before the Call-ID still tells them apart: the branches of the first two Vias, and the tags; of an
//! INVITE that a proxy sends on, who was before the proxy.

use std::net::IpAddr;

use crate::call::model::Arrival;
use crate::call::tracker::Tracker;
use crate::call::tracker::legs::only;
use crate::call::transaction::Keys;
use crate::keyed::{ByHash, Keyed};
use crate::sip::{Message, Via};

/// What tells the call of a message without its Call-ID. Kept only once a message was cut off within its headers.
#[derive(Debug, Default)]
pub(super) struct Clues {
    /// The call, by its index and number, of a branch or a pair of tags.
    of: ByHash<(u32, u32)>,
    is_needed: bool,
    /// Whether any message was cut inside of its Call-ID or before it: else each is known by that.
    are_asked: bool,
}

/// The clues of one message, as hashes.
pub(super) type Marks = [Option<u64>; 4];

/// Clues that are kept.
const MOST: usize = 50_000;

impl Tracker {
    /// By what the call of a message can be told; nothing as long as no message was cut off within its headers.
    pub(super) fn clues_of(&mut self, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> Marks {
        // Where bytes of a body are lacking, no other message need be cut before its Call-ID.
        self.clues.is_needed |= message.is_cut() && message.body().is_empty();
        self.clues.are_asked |= message.has_cut_call_id();
        if self.clues.is_needed { clues(&self.hasher, message, keys, arrival) } else { Marks::default() }
    }

    /// The call of a message that is cut inside of its Call-ID or before it, or that belongs to a call of such
    /// messages.
    pub(super) fn call_by_clues(&self, message: &Message<'_>, clues: Marks) -> Option<u32> {
        if !self.clues.are_asked {
            return None;
        }
        let is_cut = message.has_cut_call_id();
        let found = clues.into_iter().flatten();
        found.filter_map(|clue| self.clues.of.get(&clue)).find_map(|(index, number)| {
            let open = self.still_open(*index, *number)?;
            let fits = (is_cut || open.log.has_cut_call_ids) && open.log.fits_call_id(message, &self.pool);
            fits.then_some(*index)
        })
    }

    /// The call of an INVITE that is cut before its Call-ID, and behind the address in its second Via: that from there
    /// which its sender got a moment ago, if it is the only one (RFC 3261 §16.6).
    pub(super) fn call_before_proxy(&self, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> Option<u32> {
        if !keys.is_attempt() || !message.has_cut_call_id() {
            return None;
        }
        let from: IpAddr = message.second_via()?.host.parse().ok()?;
        let before = self.guesses.come_to(arrival.path.source.ip(), from, arrival.place.time);
        let (attempt, _) = only(before)?;
        let open = self.still_open(attempt.index, attempt.call)?;
        let fits = open.log.fits_call_id(message, &self.pool);
        fits.then_some(attempt.index)
    }

    /// Remembers by what the next messages of this call can be told.
    pub(super) fn note_clues(&mut self, index: u32, clues: Marks) {
        if !self.clues.is_needed || clues == Marks::default() {
            return;
        }
        let Some(number) = self.open_at(index).map(|open| open.log.number) else {
            return;
        };
        if self.clues.of.len() >= MOST {
            self.clues.of.clear();
        }
        for clue in clues.into_iter().flatten() {
            self.clues.of.insert(clue, (index, number));
        }
    }
}

/// The clues of a message, the surest first: its branch, that under which a proxy got it, both tags, the From tag
/// between two hosts.
fn clues(hasher: &Keyed, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> Marks {
    let of_branch = |branch: &[u8]| {
        let is_whole = branch.starts_with(Via::COOKIE.as_bytes()) && !message.ends_with(branch);
        is_whole.then(|| hasher.hash_one(branch))
    };
    let are_both_there = !keys.from_tag.is_empty() && !keys.to_tag.is_empty();
    let are_whole = are_both_there && !message.ends_with(keys.from_tag) && !message.ends_with(keys.to_tag);
    let tags = are_whole.then(|| hasher.hash_one((keys.from_tag.min(keys.to_tag), keys.from_tag.max(keys.to_tag))));
    let (from, to) = (arrival.path.source.ip(), arrival.path.destination.ip());
    let hosts = (from.min(to), from.max(to));
    let is_told = !keys.from_tag.is_empty() && !message.ends_with(keys.from_tag);
    [
        of_branch(keys.branch),
        of_branch(message.second_branch()),
        tags,
        is_told.then(|| hasher.hash_one((keys.from_tag, hosts))),
    ]
}
