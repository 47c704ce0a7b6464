//! Tries of one request at one server after another (RFC 3263 §4.3, RFC 3261 §16.7).

use std::time::Duration;

use crate::call::{Heard, Transaction, is_same_callee};
use crate::diagnosis::case::Case;
use crate::sip::StatusCode;

/// A request that failed at one server and was sent to another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failover<'a> {
    /// The request to the first server.
    pub first: &'a Heard,
    /// What the first server answered; `None` for silence.
    pub refusal: Option<&'a Heard>,
    /// The request to the next server.
    pub next: &'a Heard,
    /// The answer of the next server that shows that it took the request.
    pub taken: &'a Heard,
}

impl Failover<'_> {
    /// What the first try cost.
    pub(crate) fn delay(&self) -> Duration {
        self.next.place.time.since(self.first.place.time)
    }
}

/// True for responses after which a client goes on to the next server (RFC 3263 §4.3, RFC 3261 §16.7 step 5).
pub(crate) fn asks_for_next_server(status: StatusCode) -> bool {
    matches!(status.get(), 408 | 430 | 500 | 502 | 503 | 504)
}

impl<'a> Case<'a> {
    /// The first failover of the request that opened the call: at the caller, or at a proxy on the way.
    pub(crate) fn failover(&self) -> Option<Failover<'a>> {
        let opening = &self.deciding()?.method;
        let own = || self.call.transactions.iter().filter(|known| known.method == *opening && !known.in_dialog);
        own().find_map(|first| own().find_map(|next| self.read_failover(first, next)))
    }

    fn read_failover(&self, first: &'a Transaction, next: &'a Transaction) -> Option<Failover<'a>> {
        let is_next = first.upstream == next.upstream
            && first.path.source.ip() == next.path.source.ip()
            && first.path.destination.ip() != next.path.destination.ip()
            && self.are_of_one_call(first, next);
        let (one, other) = (self.call.request_of(first)?, self.call.request_of(next)?);
        if !is_next || other.id <= one.id {
            return None;
        }
        let refusal = self.call.final_of(first).filter(|response| response.id < other.id);
        let failed = match refusal.and_then(|response| response.message.status()) {
            Some(status) => asks_for_next_server(status),
            // Copies were sent, and nothing came: the client gave this server up.
            None => {
                let was_waited_for = one.repeats.first().is_some_and(|copy| *copy < other.place);
                first.provisionals.is_empty() && first.finals.is_empty() && was_waited_for
            }
        };
        let is_taken = |status: StatusCode| (180..300).contains(&status.get());
        let taken = next
            .provisionals
            .iter()
            .chain(&next.finals)
            .map(|id| self.call.message(*id))
            .find(|heard| heard.message.status().is_some_and(is_taken))?;
        failed.then_some(Failover { first: one, refusal, next: other, taken })
    }

    /// True if two requests are tries of the same: under one Call-ID, or the legs that a B2BUA begins for one call to
    /// the same callee.
    fn are_of_one_call(&self, first: &Transaction, next: &Transaction) -> bool {
        let target = |known: &Transaction| self.call.request_of(known)?.message.request_uri();
        let is_for_same = || target(first).zip(target(next)).is_some_and(|(one, other)| is_same_callee(&one, &other));
        self.call.leg(first.leg).call_id == self.call.leg(next.leg).call_id || first.upstream.is_some() && is_for_same()
    }
}
