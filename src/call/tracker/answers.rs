//! What was answered just before a call was cancelled.
//!
//! An exchange that rings several telephones with a Call-ID for each cancels the others as soon as one answers, and
//! some do it without a Reason. Is given answers and CANCELs; notes of a CANCEL which answer came just before it.
//! Deliberately does not know whether the one led to the other.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::model::Arrival;
use crate::call::tracker::Tracker;
use crate::capture::Place;
use crate::keyed::{ByHash, Keyed, Table};
use crate::sip::{HeaderName, Message, Parameters, tag, user_of};

/// An answer of another call, just before a CANCEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AnsweredBefore {
    /// The sender of the CANCEL got this 200 to another INVITE, which it had sent for the same caller.
    ForTheSameCaller(Place),
    /// The sender of the CANCEL sent this 200 itself, to somebody who had dialled a code of its features: `*8` picks a
    /// call up in many exchanges.
    ToAFeatureCode(Place),
    /// The sender of the CANCEL sent this 200 itself, to an INVITE whose Replaces names the early dialog that it
    /// cancels: that is how a call is picked up (RFC 3891 §3).
    ToWhoReplacesIt {
        /// That INVITE.
        invite: Place,
        /// The 200.
        answer: Place,
    },
}

/// An INVITE that wants to take the place of an early dialog.
#[derive(Debug, Clone, Copy)]
struct Replacing {
    place: Place,
    /// The dialog, by its Call-ID, the tag of the one who is asked, and its address.
    dialog: u64,
}

/// A 200 to an INVITE that opened a call.
#[derive(Debug, Clone, Copy)]
struct Answer {
    place: Place,
    /// The Call-ID, as a hash.
    call_id: u64,
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct LastAnswers {
    /// By who got it and for which caller.
    to_caller: ByHash<Answer>,
    /// By who sent it to somebody who had dialled a code.
    of_host: Table<IpAddr, Answer>,
    /// INVITEs with Replaces, by their Call-ID and who is asked.
    replacing: ByHash<Replacing>,
    /// Dialogs whose place an INVITE took: it, and its answer.
    replaced: ByHash<(Place, Answer)>,
}

/// Answers that are kept of each kind.
const MOST: usize = 4096;
/// Who cancels because of an answer does it at once.
const AT_ONCE: Duration = Duration::from_millis(500);

impl Tracker {
    /// An INVITE that opens a call: the dialog whose place it wants to take.
    pub(super) fn note_replacing(&mut self, invite: &Message<'_>, replaces: &str, arrival: &Arrival) {
        let Some((call_id, parameters)) = replaces.split_once(';') else { return };
        let parameters = Parameters::read(parameters, b';');
        let Some(tag) = parameters.get("to-tag") else { return };
        let asked = arrival.path.destination.ip();
        let dialog = self.hasher.hash_one((asked, call_id.trim().as_bytes(), tag.as_bytes()));
        let key = self.hasher.hash_one((asked, invite.call_id()));
        keep(&mut self.answers.replacing, key, Replacing { place: arrival.place, dialog });
    }

    /// A 200 to an INVITE that opens a call. `call_id` is the hash of its Call-ID.
    pub(super) fn note_answer(&mut self, success: &Message<'_>, call_id: u64, arrival: &Arrival) {
        let answer = Answer { place: arrival.place, call_id };
        let (server, client) = (arrival.path.source.ip(), arrival.path.destination.ip());
        let answers = &mut self.answers;
        if !answers.replacing.is_empty()
            && let Some(replacing) = answers.replacing.remove(&self.hasher.hash_one((server, success.call_id())))
        {
            keep(&mut answers.replaced, replacing.dialog, (replacing.place, answer));
        }
        if has_feature_code(success) {
            keep(&mut answers.of_host, server, answer);
        }
        if let Some(caller) = caller(&self.hasher, success, client) {
            keep(&mut answers.to_caller, caller, answer);
        }
    }

    /// A CANCEL: whether another call was answered just before. `call_id` is the hash of its Call-ID.
    pub(super) fn note_cancel(&mut self, cancel: &Message<'_>, call_id: u64, arrival: &Arrival) {
        let source = arrival.path.source.ip();
        let just_before =
            |answer: &&Answer| answer.call_id != call_id && arrival.place.time.since(answer.place.time) <= AT_ONCE;
        let of_caller = caller(&self.hasher, cancel, source)
            .and_then(|caller| self.answers.to_caller.get(&caller))
            .filter(just_before);
        let of_host = self.answers.of_host.get(&source).filter(just_before);
        let own_tag = cancel.header_bytes(HeaderName::From).map(tag).unwrap_or_default();
        let dialog = self.hasher.hash_one((source, cancel.call_id(), own_tag));
        let replaced = self.answers.replaced.get(&dialog).filter(|(_, answer)| just_before(&answer));
        let before = match (of_caller, of_host) {
            _ if let Some((invite, answer)) = replaced => {
                AnsweredBefore::ToWhoReplacesIt { invite: *invite, answer: answer.place }
            }
            (Some(answer), _) => AnsweredBefore::ForTheSameCaller(answer.place),
            (None, Some(answer)) => AnsweredBefore::ToAFeatureCode(answer.place),
            (None, None) => return,
        };
        self.surroundings.neighbours_mut().note_answered_before(arrival.place, before);
    }
}

/// Keeps an answer. When there are too many, those before it are too old to matter.
fn keep<K: Eq + Hash, V, S: BuildHasher>(answers: &mut HashMap<K, V, S>, key: K, answer: V) {
    if answers.len() >= MOST {
        answers.clear();
    }
    answers.insert(key, answer);
}

/// True if what was dialled begins as codes of features do.
fn has_feature_code(message: &Message<'_>) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [b"*", b"#", b"%2A", b"%2a", b"%23"];
    let dialled = message.header_bytes(HeaderName::To).and_then(user_of).unwrap_or_default();
    BEGINNINGS.iter().any(|beginning| dialled.starts_with(beginning))
}

/// A host and the caller for whom it asks; `None` where nobody is named.
fn caller(hasher: &Keyed, message: &Message<'_>, client: IpAddr) -> Option<u64> {
    let from = user_of(message.header_bytes(HeaderName::From)?)?;
    let is_named = !from.eq_ignore_ascii_case(b"anonymous") && !from.eq_ignore_ascii_case(b"unknown");
    is_named.then(|| hasher.hash_one((client, from)))
}
