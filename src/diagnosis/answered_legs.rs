//! The legs of an answered call, one behind the other.
//!
//! Knows that a B2BUA has an offer, an answer and media of its own on each of its legs. Is given a case;
//! gives its answered legs from the caller's on. Deliberately does not know what a rule makes of them.

use crate::call::{Heard, LinkedBy, Transaction};
use crate::diagnosis::case::Case;
use crate::sip::{Method, StatusCode};

/// Legs one behind the other that are looked at.
const MOST: usize = 32;

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
