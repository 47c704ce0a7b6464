//! When a call has ended, as far as its own messages tell: until when more is to be expected.

use std::time::Duration;

use crate::call::model::{Call, Transaction};
use crate::capture::Timestamp;
use crate::sip::{Method, StatusCode};

/// How long a call that is settled is kept for late copies of its messages and a new try under another Call-ID.
const SETTLED: Duration = Duration::from_secs(5);
/// How long something that waits for its end is kept: timers B and F and a little more.
const WAITING: Duration = Duration::from_secs(40);
/// How long a ringing INVITE is kept: well beyond timer C.
const RINGING: Duration = Duration::from_secs(420);

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nothing: everything in it has its end.
    Settled,
    /// An answer, an ACK, or a retry.
    Waiting,
    /// A callee who rings.
    Ringing,
    /// The end of a conversation.
    Talking,
}

impl Call {
    /// What it waits for.
    pub(crate) fn phase(&self) -> Phase {
        let of_transactions = self.transactions.iter().map(|transaction| self.phase_of(transaction)).max();
        let talking = self.dialogs.iter().any(|dialog| dialog.confirmed.is_some() && dialog.bye.is_none());
        match of_transactions {
            _ if talking => Phase::Talking,
            Some(phase) => phase,
            None => Phase::Waiting,
        }
    }

    /// When it may be closed, if nothing more comes after `last`; `None` while a conversation lasts.
    pub(crate) fn deadline(&self, phase: Phase, last: Timestamp) -> Option<Timestamp> {
        let patience = match phase {
            Phase::Settled => SETTLED,
            Phase::Waiting => WAITING,
            Phase::Ringing => RINGING,
            Phase::Talking => return None,
        };
        Some(last.plus(patience))
    }

    fn phase_of(&self, transaction: &Transaction) -> Phase {
        let Some(status) = self.final_status_of(transaction) else {
            let rings = transaction.method == Method::Invite && !transaction.provisionals.is_empty();
            return if rings { Phase::Ringing } else { Phase::Waiting };
        };
        if status.is_challenge() && !self.has_later(transaction) {
            return Phase::Waiting;
        }
        let is_acked = transaction.method != Method::Invite || !transaction.acks.is_empty();
        let is_upstream_of_success = status.is_success() && transaction.upstream.is_some();
        if is_acked || is_upstream_of_success { Phase::Settled } else { Phase::Waiting }
    }

    fn has_later(&self, transaction: &Transaction) -> bool {
        self.transactions.iter().any(|later| later.id > transaction.id && later.method == transaction.method)
    }

    /// True if it has failed, as far as can be told before it is judged: such calls are dropped last.
    pub(crate) fn has_failed(&self) -> bool {
        !self.is_answered()
            && self.transactions.iter().any(|transaction| {
                self.final_status_of(transaction)
                    .is_some_and(|status: StatusCode| status.is_failure() && !status.is_challenge())
            })
    }
}
