//! How a rung of a ladder is marked: the same in every printer, each with its own signs for it.

use crate::report::record::{CallRecord, Rung};

/// What a rung is to the outcome of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It failed, or says that something cannot be reached.
    Failed,
    /// It looks like a failure and is a normal step.
    Normal,
    /// It is a success.
    Good,
    /// Nothing that stands out.
    Plain,
}

impl Mark {
    pub(crate) fn of(record: &CallRecord, rung: &Rung) -> Mark {
        match (record.failure_at(rung), rung.status) {
            (Some(failure), _) if failure.normal => Mark::Normal,
            (Some(_), _) => Mark::Failed,
            (None, Some(200..=299)) => Mark::Good,
            (None, _) if rung.is_icmp() => Mark::Failed,
            (None, _) => Mark::Plain,
        }
    }
}
