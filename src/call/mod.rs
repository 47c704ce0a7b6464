//! Transactions (RFC 3261 §17), dialogs (§12), legs, calls, and which of their responses are failures.
//!
//! Is given messages with their path and place; gives whole [`Call`]s when they have ended. Knows what belongs
//! together and what is a normal step. Deliberately does not know what to advise.

mod accepted;
mod agenda;
mod checksums;
mod clocks;
mod connections;
mod cut_short;
mod dns;
mod good_calls;
mod judge;
mod key;
mod link;
mod log;
mod media;
mod model;
mod neighbours;
mod number;
mod points;
mod registrations;
mod rings;
mod soft_states;
mod step;
mod surroundings;
mod timeline;
mod tracker;
mod transaction;
mod unseen;

pub use crate::call::accepted::{Accepted, NonceUse};
pub use crate::call::checksums::{ChecksumFault, Checksums, ChecksumsOf};
pub use crate::call::clocks::{ClockSeen, Shown};
pub use crate::call::connections::{FailedConnection, FailedConnections, HowFailed};
pub use crate::call::cut_short::{Begun, CutShort};
pub use crate::call::dns::{Lookup, Lookups};
pub use crate::call::good_calls::{CALLED_USER, GoodCalls, Sample, Taken, Trait, Traits};
pub use crate::call::judge::Outcome;
pub use crate::call::key::call_key;
pub use crate::call::link::LinkedBy;
pub use crate::call::media::{Check, Gap, Keypress, Media, Report, Stream, TypeSeen};
pub use crate::call::model::{
    Arrival, Call, Dialog, Failure, Heard, IcmpSeen, Kind, Leg, LegId, MessageId, Transaction, TransactionId,
};
pub use crate::call::neighbours::{Flood, Guessing, Made, NamedDialog, Neighbours, Occupancy, Probes, RefusedAt};
pub use crate::call::number::is_same_callee;
pub(crate) use crate::call::number::{form, same_number, sure_end, tail, whole_number};
pub use crate::call::points::{AtPoint, Points, TwoPoints};
pub use crate::call::registrations::{Asked, Denied, Granted, Registered, Registrations};
pub use crate::call::rings::{Rings, Rung, RungUntil};
pub use crate::call::soft_states::{Lease, SoftStates};
pub use crate::call::step::NormalStep;
pub(crate) use crate::call::step::is_other_ground;
pub use crate::call::surroundings::{BackOff, DeadPort, Registering, Seen, Surroundings};
pub use crate::call::timeline::{Decided, Decisions, End, Timeline};
pub(crate) use crate::call::tracker::names_version;
pub use crate::call::tracker::{AnsweredBefore, Ended, GoodCall, LEAP, Leap, Limits, Retry, Tracker, Wanted};

/// The timers of RFC 3261 §17 (table 4) that decide when something is overdue.
pub mod timer {
    use std::time::Duration;

    /// T1: the estimate of the round-trip time.
    pub const T1: Duration = Duration::from_millis(500);
    /// T2: the longest interval between repeats of non-INVITE requests and INVITE responses.
    pub const T2: Duration = Duration::from_secs(4);
    /// 64·T1: timers B, F, H and J; a request without any answer is given up after it.
    pub const GIVE_UP: Duration = Duration::from_secs(32);
    /// When a request may be called unanswered: its last copy goes out at 63·T1, and a capture that stops with it has
    /// seen the wait; a tenth of a second for the jitter of clocks.
    pub const OVERDUE: Duration = Duration::from_millis(31_400);
    /// When the last copy of an INVITE without any response goes out, at 63·T1; half a second for the jitter of clocks.
    pub const LAST_COPY: Duration = Duration::from_secs(31);
    /// Timer C: how long a proxy waits for the end of a ringing INVITE, at least (§16.6 step 11).
    pub const C: Duration = Duration::from_secs(180);
}
