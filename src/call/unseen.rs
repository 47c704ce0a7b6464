//! What the captured messages of a call tell of those that the capture missed.
//!
//! A response tells of its request (RFC 3261 §17.1.3), and the ACK of an INVITE of the final response before it
//! (§17.1.1.3). Is given a call; says which requests it must have held. Deliberately does not know why they were
//! missed.

use crate::call::model::{Call, Heard, MessageId, Transaction};
use crate::call::transaction::NO_CSEQ;
use crate::sip::{Method, StatusCode};

impl Call {
    /// The transactions of a method whose request the capture missed.
    pub fn unseen<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = &'a Transaction> {
        self.transactions.iter().filter(move |known| known.method == *method && self.is_unseen(known))
    }

    /// True if only responses or ACKs of a transaction were captured, and no captured request has their branch, or their
    /// number and From tag: they belong to one that the capture missed. What has one of the two was changed on its way,
    /// or passed on.
    pub fn is_unseen(&self, transaction: &Transaction) -> bool {
        if transaction.request.is_some() || transaction.cseq == NO_CSEQ {
            return false;
        }
        let Some(first) = self.first_of(transaction).map(|id| self.message(id)) else { return false };
        !self.transactions.iter().filter(|known| known.method == transaction.method).any(|known| {
            self.request_of(known).is_some_and(|request| {
                let is_same = || request.message.tag_of_from() == first.message.tag_of_from();
                request.message.call_id() == first.message.call_id()
                    && (*known.branch == *transaction.branch || known.cseq == transaction.cseq && is_same())
            })
        })
    }

    /// True if only responses of a transaction were captured, and neither their branch nor, between the same two hosts,
    /// their number is that of a captured request: the INVITE went that way too, and the capture missed it there.
    pub(crate) fn is_unseen_hop(&self, transaction: &Transaction) -> bool {
        let hosts = |known: &Transaction| (known.path.source.ip(), known.path.destination.ip());
        let is_of = |known: &Transaction| {
            *known.branch == *transaction.branch || known.cseq == transaction.cseq && hosts(known) == hosts(transaction)
        };
        let call_id = &self.leg(transaction.leg).call_id;
        transaction.request.is_none()
            && transaction.cseq != NO_CSEQ
            && !self.transactions.iter().any(|known| {
                known.request.is_some()
                    && known.method == transaction.method
                    && self.leg(known.leg).call_id == *call_id
                    && is_of(known)
            })
    }

    /// The request of a transaction, or the first of its responses and ACKs where the capture missed it.
    pub(crate) fn first_of(&self, transaction: &Transaction) -> Option<MessageId> {
        let Transaction { provisionals, finals, acks, .. } = transaction;
        let firsts = [provisionals, finals, acks].map(|ids| ids.first().copied());
        transaction.request.or_else(|| firsts.into_iter().flatten().min())
    }

    /// True if a final response of a transaction was captured, or the ACK of one.
    pub fn is_concluded(&self, transaction: &Transaction) -> bool {
        !transaction.finals.is_empty() || !transaction.acks.is_empty()
    }

    /// True if the responses of a transaction answer a try that the capture missed: the same client had been refused,
    /// with the same Call-ID and a lower number, before the first of them came (RFC 3261 §8.1.3.4, §8.1.3.5).
    pub(crate) fn is_unseen_try(&self, transaction: &Transaction) -> bool {
        self.is_unseen(transaction) && self.transactions.iter().any(|before| self.is_tried_unseen(before, transaction))
    }

    /// True if a request was refused, and its client tried again in a request that the capture missed: its responses or
    /// its ACK are there.
    pub(crate) fn is_tried_again_unseen(&self, refused: &Transaction) -> bool {
        self.unseen(&refused.method).any(|next| self.is_tried_unseen(refused, next))
    }

    /// True if a transaction that the capture missed the request of may be the next try of this one, which was refused.
    pub(crate) fn is_tried_unseen(&self, refused: &Transaction, next: &Transaction) -> bool {
        let is_before = |heard: &Heard| self.first_of(next).is_some_and(|first| heard.id < first);
        let is_refusal = |heard: &Heard| heard.message.status().is_some_and(StatusCode::is_failure);
        // Of a lone ACK nothing tells whether a request further up was forwarded as the one that it is for.
        let is_lone_ack = next.provisionals.is_empty() && next.finals.is_empty();
        refused.request.is_some()
            && refused.method == next.method
            && (is_lone_ack || refused.upstream.is_none() == next.upstream.is_none())
            && refused.cseq < next.cseq
            && refused.path.source.ip() == next.path.source.ip()
            && self.leg(refused.leg).call_id == self.leg(next.leg).call_id
            && self.final_of(refused).is_some_and(|heard| is_refusal(heard) && is_before(heard))
    }
}
