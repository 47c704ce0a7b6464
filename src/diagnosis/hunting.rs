//! A B2BUA that hunts: it calls over one leg after another, each with a Call-ID of its own, until one is answered.
//!
//! Knows which refusal says that the callee himself was reached, or does not exist: behind that no other way leads to
//! anybody else. Is given a case; gives the tries in order. Deliberately does not know what a rule makes of them.

use std::time::Duration;

use crate::call::{Failure, Heard, Transaction, is_same_callee};
use crate::diagnosis::case::{Case, ENOUGH_REPEATS};
use crate::sip::{StatusCode, q850_cause};

/// One leg of a hunt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg<'a> {
    /// Its INVITE.
    pub request: &'a Heard,
    /// How it failed; `None` if nothing came back.
    pub failure: Option<&'a Failure>,
}

/// Who hunts begins the next leg within this time after a refusal.
const AT_ONCE: Duration = Duration::from_secs(2);

impl<'a> Case<'a> {
    /// The legs on which one callee was tried one after the other before this failure was told, in order: two or more,
    /// each of which was begun when the one before it had failed. Empty if it was otherwise.
    pub(crate) fn hunted(&self, told: &Failure) -> Vec<Leg<'a>> {
        let own = self.call.transaction(told.transaction).leg;
        let until = self.response(told).place;
        let behind = self.call.downstream_of(told.transaction).filter(|inner| inner.is_initial_invite());
        let other_legs = behind.filter(|inner| self.call.leg(inner.leg).call_id != self.call.leg(own).call_id);
        let Some(mut legs) = other_legs.map(|inner| self.hunted_leg(inner)).collect::<Option<Vec<_>>>() else {
            return Vec::new();
        };
        // What was asked of the B2BUA itself, and answered in the next INVITE of that leg, is no try.
        legs.retain(|leg| leg.failure.is_none_or(|failure| !failure.status.is_challenge()));
        legs.sort_by_key(|leg| leg.request.place);
        let is_next = |pair: &[Leg<'a>]| {
            let [one, next] = pair else { return false };
            let begun = next.request.place;
            match one.failure.map(|failure| self.response(failure).place) {
                Some(failed) => failed < begun && begun.time.since(failed.time) <= AT_ONCE,
                None => one.request.repeats.iter().filter(|copy| **copy < begun).count() >= ENOUGH_REPEATS as usize,
            }
        };
        let target = |leg: &Leg<'a>| (leg.request.path.destination, leg.request.message.request_uri());
        // A group is called one member after the other: that the first is busy says nothing of the next.
        let is_for_one = |pair: &[Leg<'a>]| {
            let [one, next] = pair else { return false };
            let uris = one.request.message.request_uri().zip(next.request.message.request_uri());
            uris.is_some_and(|(one, next)| is_same_callee(&one, &next))
        };
        let is_hunt = legs.len() > 1
            && legs.windows(2).all(|pair| is_next(pair) && is_for_one(pair))
            && legs.windows(2).all(|pair| pair.first().map(target) != pair.last().map(target))
            && legs.iter().all(|leg| leg.request.place < until);
        if is_hunt { legs } else { Vec::new() }
    }

    /// A leg that was refused, or that nothing came back on; `None` if it ended otherwise.
    fn hunted_leg(&self, inner: &'a Transaction) -> Option<Leg<'a>> {
        let request = self.call.request_of(inner)?;
        let failure = self.call.failures.iter().rfind(|failure| failure.transaction == inner.id);
        let is_silent = failure.is_none() && !self.has_response(inner);
        let ends_cancelled = |failure: &Failure| failure.status.get() == 487 || failure.only_ends_cancelled();
        let is_refused = failure.is_some_and(|failure| !ends_cancelled(failure));
        (is_silent || is_refused).then_some(Leg { request, failure })
    }

    /// Of the legs of a hunt before its last one the first whose refusal is the word of the callee: it tells why nobody
    /// spoke, and what came of the ways that were tried after it does not.
    pub(crate) fn reached_before(&self, told: &Failure) -> Option<&'a Failure> {
        let legs = self.hunted(told);
        let (_, before) = legs.split_last()?;
        before.iter().filter_map(|leg| leg.failure).find(|failure| self.is_word_of_callee(failure))
    }

    /// The leg of a hunt that was begun after this failure.
    pub(crate) fn tried_after(&self, failure: &Failure) -> Option<Leg<'a>> {
        let upstream = self.call.transaction(failure.transaction).upstream?;
        let told = self.call.failures.iter().find(|told| told.transaction == upstream)?;
        let legs = self.hunted(told);
        let is_it = |leg: &Leg<'a>| leg.failure.is_some_and(|known| known.response == failure.response);
        let at = legs.iter().position(is_it)?;
        legs.get(at + 1).copied()
    }

    /// True if a refusal says that the callee is busy, does not answer or does not want the call, or that nobody has
    /// the number.
    fn is_word_of_callee(&self, failure: &Failure) -> bool {
        let cause = q850_cause(&self.response(failure).message);
        let rang = || self.alerting(failure.transaction).is_some();
        match failure.status.get() {
            486 | 600 => matches!(cause, None | Some(16 | 17)),
            603 | 607 => matches!(cause, None | Some(16 | 21)) && rang() || cause == Some(21),
            480 => matches!(cause, None | Some(16 | 18 | 19)) && rang(),
            404 | 410 | 604 => matches!(cause, Some(1 | 22)),
            _ => false,
        }
    }
}

/// How a leg of a hunt ended, as a word.
pub(crate) fn end_of(leg: &Leg<'_>) -> String {
    let server = leg.request.path.destination;
    match leg.failure.map(|failure| failure.status) {
        Some(status) => format!("{status} from {server}"),
        None => format!("nothing from {server}, to {} copies of the INVITE", leg.request.repeated + 1),
    }
}

/// The code that a leg of a hunt ended with.
pub(crate) fn status_of(leg: &Leg<'_>) -> Option<StatusCode> {
    leg.failure.map(|failure| failure.status)
}
