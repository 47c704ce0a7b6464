//! How long calls rang before they were given up, by the address that ended them: a timer gives the same length again
//! and again, people do not.
//!
//! Is given calls that have ended; gives a table that can be merged and serialised. Deliberately does not know what
//! follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::model::{Call, Heard, Kind, Transaction};
use crate::capture::{Place, Timestamp};
use crate::sip::Method;

/// How a ringing call was ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RungUntil {
    /// By a CANCEL of the caller's side.
    Cancel,
    /// By 480 or 486 of the callee's side.
    Refusal,
    /// By 487 of the callee's side, without a CANCEL or BYE on any hop of the call.
    Termination,
}

/// One call that rang in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rung {
    /// What ended it.
    pub until: RungUntil,
    /// Where it was ended.
    pub end: Place,
    /// From the INVITE to the end, in milliseconds.
    pub asked_millis: u32,
    /// From the first ringing to the end, in milliseconds.
    pub rang_millis: u32,
}

/// The calls that rang in vain, by who ended them. Mergeable: commutative, and associative as long as no table is full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rings {
    of: BTreeMap<IpAddr, BTreeSet<Rung>>,
}

impl Rings {
    /// Addresses that are kept.
    const MOST: usize = 1024;
    /// Calls that are kept of one address.
    const MOST_OF_ONE: usize = 256;

    /// The calls that an address ended.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = &Rung> {
        self.of.get(&address).into_iter().flatten()
    }

    /// Notes a call that an address ended.
    pub fn note(&mut self, address: IpAddr, rung: Rung) {
        if self.of.len() >= Rings::MOST && !self.of.contains_key(&address) {
            return;
        }
        let known = self.of.entry(address).or_default();
        if known.len() < Rings::MOST_OF_ONE {
            known.insert(rung);
        }
    }

    /// Learns from a call that has ended.
    pub(crate) fn learn_call(&mut self, call: &Call) {
        // What was refused at once did not ring.
        let has_provisional = call.transactions.iter().any(|transaction| !transaction.provisionals.is_empty());
        if call.kind != Kind::Call || !has_provisional || call.is_answered() {
            return;
        }
        let Some(invite) = call.attempts().last() else { return };
        if let Some((end, rung)) = Rung::of(call, invite) {
            self.note(end.path.source.ip(), rung);
        }
    }

    /// Forgets calls that ended before this moment.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.of.retain(|_, rungs| {
            rungs.retain(|rung| rung.end.time >= before);
            !rungs.is_empty()
        });
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Rings) {
        for (address, rungs) in &other.of {
            rungs.iter().for_each(|rung| self.note(*address, *rung));
        }
    }
}

impl Rung {
    /// How an INVITE that rang was ended, and by which message on its own hop; `None` if it did not ring, or went on.
    pub fn of<'a>(call: &'a Call, invite: &Transaction) -> Option<(&'a Heard, Rung)> {
        let request = call.request_of(invite)?;
        let cancel = invite.cancelled_by.and_then(|cancel| call.request_of(call.transaction(cancel)));
        let refusal = || {
            let last = call.message(*invite.finals.last()?);
            last.message.status().is_some_and(|status| matches!(status.get(), 480 | 486)).then_some(last)
        };
        let is_end = |known: &Transaction| matches!(known.method, Method::Cancel | Method::Bye);
        let termination = || {
            let last = call.message(*invite.finals.last()?);
            let is_cancelled = invite.cancelled_by.is_some() || call.transactions.iter().any(is_end);
            let is_487 = last.message.status().is_some_and(|status| status.get() == 487);
            (is_487 && !is_cancelled).then_some(last)
        };
        let (until, end) = match (cancel, refusal()) {
            (Some(cancel), _) => (RungUntil::Cancel, cancel),
            (None, Some(refusal)) => (RungUntil::Refusal, refusal),
            (None, None) => (RungUntil::Termination, termination()?),
        };
        let is_ringing = |heard: &&Heard| heard.message.status().is_some_and(|status| matches!(status.get(), 180..190));
        let ring = invite.provisionals.iter().map(|id| call.message(*id)).find(is_ringing)?;
        let millis = |from: Place| u32::try_from(since(from, end.place).as_millis()).unwrap_or(u32::MAX);
        let rung = Rung { until, end: end.place, asked_millis: millis(request.place), rang_millis: millis(ring.place) };
        (ring.place < end.place).then_some((end, rung))
    }

    /// True if another call was ended in the same way after the same time, half a second more or less.
    pub fn is_like(&self, other: &Rung) -> bool {
        self.is_near(other, 500)
    }

    /// True if another call was ended in the same way after a time that differs by no more than this.
    pub fn is_near(&self, other: &Rung, millis: u32) -> bool {
        self.until == other.until
            && (self.asked_millis.abs_diff(other.asked_millis) <= millis
                || self.rang_millis.abs_diff(other.rang_millis) <= millis)
    }
}

fn since(from: Place, to: Place) -> Duration {
    to.time.since(from.time)
}
