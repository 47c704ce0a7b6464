//! A B2BUA that hunts: it calls over one leg after another, each with a Call-ID of its own, until one is answered.
//!
//! Knows which refusal says that the callee himself was reached, or does not exist: behind that no other way leads to
//! anybody else. Is given a case; gives the tries in order. Deliberately does not know what a rule makes of them.

use std::time::Duration;

use crate::call::{Failure, Heard, Transaction, is_same_callee};
use crate::diagnosis::case::{Case, ENOUGH_REPEATS};
use crate::diagnosis::words::length;
use crate::sip::{StatusCode, q850_cause};

/// One leg of a hunt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg<'a> {
    /// Its INVITE.
    pub request: &'a Heard,
    /// How it failed; `None` if nothing came back.
    pub failure: Option<&'a Failure>,
    /// The CANCEL with which it was given up: nothing but a 100 had come back.
    pub cancel: Option<&'a Heard>,
}

/// Who hunts begins the next leg within this time after a refusal.
const AT_ONCE: Duration = Duration::from_secs(2);

impl<'a> Case<'a> {
    /// The legs on which one callee was tried one after the other before this failure was told, in order: two or more,
    /// each of which was begun when the one before it had failed. Empty if it was otherwise.
    pub(crate) fn hunted(&self, told: &Failure) -> Vec<Leg<'a>> {
        let own = &self.call.leg(self.call.transaction(told.transaction).leg).call_id;
        let is_other = |inner: &Transaction| self.call.leg(inner.leg).call_id != *own;
        let legs = self.one_by_one(told, is_other, |inner| self.hunted_leg(inner));
        // A group is called one member after the other: that the first is busy says nothing of the next.
        let is_for_one = |pair: &[Leg<'a>]| {
            let [one, next] = pair else { return false };
            let uris = one.request.message.request_uri().zip(next.request.message.request_uri());
            uris.is_some_and(|(one, next)| is_same_callee(&one, &next))
        };
        if legs.windows(2).all(is_for_one) { legs } else { Vec::new() }
    }

    /// The same, or the branches that a proxy tried one after the other, if one before the last was silent: what each
    /// refusal was for tells the rule of its code.
    pub(crate) fn tried_one_by_one(&self, told: &Failure) -> Vec<Leg<'a>> {
        let legs = self.hunted(told);
        if !legs.is_empty() {
            return legs;
        }
        let own = &self.call.leg(self.call.transaction(told.transaction).leg).call_id;
        let is_branch = |inner: &Transaction| self.call.leg(inner.leg).call_id == *own;
        let read = |inner| self.hunted_leg(inner).or_else(|| self.given_up_leg(inner));
        let branches = self.one_by_one(told, is_branch, read);
        let before = branches.split_last().map(|(_, before)| before).unwrap_or_default();
        if before.iter().any(|leg| leg.failure.is_none()) { branches } else { Vec::new() }
    }

    /// What was sent on for a request, one after the other.
    fn one_by_one(
        &self,
        told: &Failure,
        is_wanted: impl Fn(&Transaction) -> bool,
        read: impl Fn(&'a Transaction) -> Option<Leg<'a>>,
    ) -> Vec<Leg<'a>> {
        let until = self.response(told).place;
        let behind = self.call.downstream_of(told.transaction).filter(|inner| inner.is_initial_invite());
        let legs = behind.filter(|inner| is_wanted(inner)).map(read).collect::<Option<Vec<_>>>();
        let Some(mut legs) = legs else { return Vec::new() };
        // What was asked of the B2BUA itself, and answered in the next INVITE of that leg, is no try.
        legs.retain(|leg| leg.failure.is_none_or(|failure| !failure.status.is_challenge()));
        legs.sort_by_key(|leg| leg.request.place);
        let is_next = |pair: &[Leg<'a>]| {
            let [one, next] = pair else { return false };
            let begun = next.request.place;
            match one.failure.map(|failure| self.response(failure).place).or(one.cancel.map(|cancel| cancel.place)) {
                Some(failed) => failed < begun && begun.time.since(failed.time) <= AT_ONCE,
                None => one.request.repeats.iter().filter(|copy| **copy < begun).count() >= ENOUGH_REPEATS as usize,
            }
        };
        let target = |leg: &Leg<'a>| (leg.request.path.destination, leg.request.message.request_uri());
        let is_hunt = legs.len() > 1
            && legs.windows(2).all(is_next)
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
        (is_silent || is_refused).then_some(Leg { request, failure, cancel: None })
    }

    /// A leg that its sender cancelled of itself after nothing but a 100 had come back.
    fn given_up_leg(&self, inner: &'a Transaction) -> Option<Leg<'a>> {
        let request = self.call.request_of(inner)?;
        let cancel = self.call.request_of(self.call.transaction(inner.cancelled_by?))?;
        let is_trying = |heard: &Heard| heard.message.status().is_some_and(|status| status.get() == 100);
        let is_silent = self.is_own_cancel(inner) && self.provisionals(inner).all(is_trying);
        is_silent.then_some(Leg { request, failure: None, cancel: Some(cancel) })
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
    match (leg.failure.map(|failure| failure.status), leg.cancel) {
        (Some(status), _) => format!("{status} from {server}"),
        (None, Some(cancel)) => {
            let waited = length(cancel.place.time.since(leg.request.place.time));
            format!("nothing but 100 from {server} within {waited} (then cancelled)")
        }
        (None, None) => format!("nothing from {server}, to {} copies of the INVITE", leg.request.repeated + 1),
    }
}

/// The code that a leg of a hunt ended with.
pub(crate) fn status_of(leg: &Leg<'_>) -> Option<StatusCode> {
    leg.failure.map(|failure| failure.status)
}
