//! When and where in the input something stands: a total order that does not depend on how inputs were opened.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of the capture's clock: nanoseconds since 1970-01-01T00:00:00Z, the only clock there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds and nanoseconds; saturates at the ends of the range (years 1677 and 2262).
    pub fn from_parts(seconds: i64, nanoseconds: u64) -> Timestamp {
        let nanoseconds = i64::try_from(nanoseconds).unwrap_or(i64::MAX);
        Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let nanoseconds = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
    }

    /// This moment and a while; saturates.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This moment so many nanoseconds earlier; saturates.
    pub fn before(self, nanoseconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanoseconds))
    }

    /// RFC 3339 in UTC, with six digits after the point, or nine.
    pub fn rfc3339(self, digits: Digits) -> String {
        let nanoseconds = i128::from(self.0);
        match jiff::Timestamp::from_nanosecond(nanoseconds) {
            Ok(timestamp) => match digits {
                Digits::Micro => format!("{timestamp:.6}"),
                Digits::Nano => format!("{timestamp:.9}"),
            },
            Err(_) => format!("{}.{:09}", self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000)),
        }
    }
}

/// Digits after the point of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// Six.
    Micro,
    /// Nine, for captures that have nanoseconds.
    Nano,
}

/// One input among several: its rank by time of the first packet, then by name. The order in which inputs were
/// opened has no part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub u32);

/// The place of a message: a total order over everything that a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Place {
    /// When the frame was captured that completed the message.
    pub time: Timestamp,
    /// Which input.
    pub source: SourceId,
    /// The frame's number in that input, from 1, as Wireshark counts.
    pub frame: u64,
    /// Which message of the frame, from 0.
    pub index: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.frame)
    }
}
