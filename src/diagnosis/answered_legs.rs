//! The legs of an answered call, one behind the other.
//!
//! Knows that a B2BUA has an offer, an answer and media of its own on each of its legs. Is given a case;
//! gives its answered legs from the caller's on. Deliberately does not know what a rule makes of them.

use std::time::Duration;

use crate::call::{Heard, LinkedBy, Transaction};
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::sip::{Method, StatusCode};

/// Legs one behind the other that are looked at.
const MOST: usize = 32;

/// A B2BUA ends both its legs within this time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A leg with a Call-ID of its own on which the call was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsweredLeg<'a> {
    /// Its Call-ID.
    pub call_id: &'a [u8],
    /// The INVITE that opened it, on its first hop.
    pub invite: &'a Transaction,
    /// The 2xx to that.
    pub success: &'a Heard,
    /// True if only number and time say that it belongs to the legs before it.
    pub is_guessed: bool,
}

impl<'a> Case<'a> {
    /// The legs on which the call was answered, that of the caller first. Where one goes on as several that were
    /// answered, which of them the caller speaks with is not known, and the row ends before them.
    pub(crate) fn answered_legs(&self) -> Vec<AnsweredLeg<'a>> {
        let Some((mut invite, success)) = self.answer() else { return Vec::new() };
        let call_id = |known: &Transaction| &*self.call.leg(known.leg).call_id;
        let mut legs = vec![AnsweredLeg { call_id: call_id(invite), invite, success, is_guessed: false }];
        let is_success = |heard: &&Heard| heard.message.status().is_some_and(StatusCode::is_success);
        let is_guess = |known: &Transaction| self.call.leg(known.leg).linked_by == Some(LinkedBy::NumberAndTime);
        for _ in 0..MOST {
            let opened = self.call.downstream_of(invite.id).filter(|inner| inner.is_initial_invite());
            let mut answered = opened.filter_map(|inner| Some((inner, self.finals(inner).find(is_success)?)));
            let (Some((inner, success)), None) = (answered.next(), answered.next()) else { break };
            let Some(last) = legs.last().filter(|last| *last.call_id != *call_id(inner)) else {
                invite = inner;
                continue;
            };
            let is_guessed = last.is_guessed || is_guess(inner) || is_guess(last.invite);
            legs.push(AnsweredLeg { call_id: call_id(inner), invite: inner, success, is_guessed });
            invite = inner;
        }
        legs
    }

    /// The BYEs with which a B2BUA between two legs ended both, the first one first: it had got none itself, so neither
    /// party hung up on it.
    pub(crate) fn ended_between(&self) -> Option<[&'a Heard; 2]> {
        if self.call.unseen(&Method::Bye).next().is_some() {
            return None; // It may be the one that it got.
        }
        if let Some(between) = self.ended_inside() {
            return Some(between);
        }
        let legs = self.answered_legs();
        let between = legs.iter().zip(legs.iter().skip(1)).find_map(|(outer, inner)| {
            let hop = inner.invite.path.source.ip();
            let (one, other) = (self.bye_on(outer)?, self.bye_on(inner)?);
            let is_of_hop = [one, other].iter().all(|bye| bye.path.source.ip() == hop);
            let mut byes = self.asked(&Method::Bye).map(|asked| asked.request);
            let is_asked = byes.any(|bye| bye.path.destination.ip() == hop && bye.place < one.place.max(other.place));
            (is_of_hop && !is_asked && outer.invite.path.destination.ip() == hop).then_some([one, other])
        })?;
        let [one, other] = between;
        let is_at_once = one.place.time.0.abs_diff(other.place.time.0) <= AT_ONCE.as_nanos() as u64;
        is_at_once.then_some(if one.place <= other.place { [one, other] } else { [other, one] })
    }

    /// The BYEs with which a proxy ended a dialog that it stands in, one to each side and each in the name of the other:
    /// the same tags, turned round.
    fn ended_inside(&self) -> Option<[&'a Heard; 2]> {
        let first = self.first_bye()?.request;
        let hop = first.path.source.ip();
        let mut byes = self.asked_first(&Method::Bye).map(|asked| asked.request);
        let other = byes.find(|bye| {
            bye.path.source.ip() == hop
                && bye.path.destination.ip() != first.path.destination.ip()
                && bye.message.call_id() == first.message.call_id()
                && from_tag(bye).is_some()
                && (from_tag(bye), to_tag(bye)) == (to_tag(first), from_tag(first))
        })?;
        let is_at_once = other.place.time.since(first.place.time) <= AT_ONCE;
        let last = first.place.max(other.place);
        let is_asked = self
            .asked(&Method::Bye)
            .any(|asked| asked.request.path.destination.ip() == hop && asked.request.place < last);
        (is_at_once && !is_asked).then_some([first, other])
    }

    /// The last refusal of a leg behind the one who answered the call, if every leg that the capture shows there had
    /// been refused before: so the caller did not speak with anybody whom those legs had called.
    pub(crate) fn refused_behind_answer(&self) -> Option<&'a Heard> {
        let (invite, success) = self.answer()?;
        let last_of = |inner: &'a Transaction| self.finals(inner).last().filter(|last| last.place < success.place);
        let is_challenged = |inner: &&'a Transaction| {
            last_of(inner).and_then(|last| last.message.status()).is_some_and(StatusCode::is_challenge)
        };
        let refusal = |inner: &'a Transaction| {
            let last = last_of(inner)?;
            let is_other_leg = self.call.leg(inner.leg).call_id != self.call.leg(invite.leg).call_id;
            let is_refused = last.message.status().is_some_and(StatusCode::is_failure);
            (is_other_leg && is_refused && !self.is_own_cancel(inner)).then_some(last)
        };
        let behind = self.call.downstream_of(invite.id).filter(|inner| inner.is_initial_invite());
        let refusals: Option<Vec<&Heard>> = behind.filter(|inner| !is_challenged(inner)).map(refusal).collect();
        refusals?.into_iter().max_by_key(|refusal| refusal.place)
    }

    /// The BYE that ended a leg: the first of the call, if it was on this leg, else the first on it.
    pub(crate) fn bye_on(&self, leg: &AnsweredLeg<'a>) -> Option<&'a Heard> {
        let is_on_leg = |heard: &&'a Heard| self.call.leg(heard.leg).call_id.as_ref() == leg.call_id;
        let first = self.first_bye().map(|bye| bye.request).filter(is_on_leg);
        first.or_else(|| {
            let byes = self.asked(&Method::Bye).map(|asked| asked.request);
            byes.filter(is_on_leg).min_by_key(|bye| bye.place)
        })
    }
}
