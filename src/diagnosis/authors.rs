//! Who wrote a message of a dialog and whom it reached, where proxies carry it over several hops of the capture.
//!
//! Who sends a message on one hop need not be a user agent: a proxy puts its Via into a request, takes it out of the
//! response, and leaves Call-ID and tags as they are (RFC 3261 §16.6, §16.7). So the user agent is the sender of the
//! first of these copies of a request, and its receiver is that of the last one. Deliberately does not know of hops
//! that the capture does not hold: there the neighbour is all that is known.

use std::net::SocketAddr;

use crate::call::{Heard, Transaction};
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::{from_tag, to_tag};

/// Hops that are followed.
const MOST_HOPS: usize = 32;

impl<'a> Case<'a> {
    /// A request as its author sent it, before any proxy of the capture carried it on.
    pub(crate) fn as_sent(&self, request: &'a Heard) -> &'a Heard {
        self.first_with(request, |before| is_carried(before, request))
    }

    /// A request as it came to the last host that it is seen to reach by way of proxies.
    pub(crate) fn as_arrived(&self, request: &'a Heard) -> &'a Heard {
        let mut last = request;
        for _ in 0..MOST_HOPS {
            let onwards = self.call.downstream_of(last.transaction).filter_map(|inner| self.call.request_of(inner));
            match onwards.filter(|after| is_carried(last, after)).last() {
                Some(after) => last = after,
                None => break,
            }
        }
        last
    }

    /// A response as its author sent it, before any proxy of the capture carried it back.
    pub(crate) fn as_made(&self, response: &'a Heard) -> &'a Heard {
        let mut first = response;
        for _ in 0..MOST_HOPS {
            let mut behind =
                self.call.downstream_of(first.transaction).flat_map(|inner| self.responses(inner)).collect::<Vec<_>>();
            behind.retain(|before| is_carried(first, before) && is_same_response(before, first));
            match behind.first() {
                Some(before) if before.place <= first.place => first = before,
                _ => break,
            }
        }
        first
    }

    /// A response as it came to the one who is answered by it, or to the last host on the way that the capture shows.
    pub(crate) fn as_told(&self, response: &'a Heard) -> &'a Heard {
        let mut last = response;
        for _ in 0..MOST_HOPS {
            let outer = self.call.transaction(last.transaction).upstream.map(|id| self.call.transaction(id));
            let copy = outer.and_then(|outer| {
                self.responses(outer).find(|after| is_carried(after, last) && is_same_response(after, last))
            });
            match copy {
                Some(after) => last = after,
                None => break,
            }
        }
        last
    }

    /// The address of the user agent that gets the requests of this one's author, by the response that made or
    /// renewed their dialog.
    pub(crate) fn peer_by(&self, success: &'a Heard, request: &'a Heard) -> SocketAddr {
        match from_tag(request) {
            author if author == from_tag(success) => self.as_made(success).path.source,
            author if author == to_tag(success) => self.as_told(success).path.destination,
            _ => self.as_arrived(request).path.destination,
        }
    }

    /// All responses of a transaction.
    fn responses(&self, transaction: &'a Transaction) -> impl Iterator<Item = &'a Heard> {
        self.provisionals(transaction).chain(self.finals(transaction))
    }
}

/// True if a proxy between two hops carried a message from the one to the other: the copy nearer to the UAS has one
/// more Via. A B2BUA writes a message of its own.
fn is_carried(outer: &Heard, inner: &Heard) -> bool {
    outer.message.call_id() == inner.message.call_id()
        && from_tag(outer) == from_tag(inner)
        && outer.message.via_count() < inner.message.via_count()
}

/// True if two copies on different hops are of one response.
fn is_same_response(one: &Heard, other: &Heard) -> bool {
    one.message.status() == other.message.status() && to_tag(one) == to_tag(other)
}
