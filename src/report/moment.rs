//! A moment as it stands in a report.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::capture::{Digits, Timestamp};

/// A moment with the digits that its capture has: RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub time: Timestamp,
    /// How many digits follow the point of the second.
    pub digits: Digits,
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.time.rfc3339(self.digits))
    }
}

/// What stands behind the point of a time that is told in microseconds.
const MICROSECONDS: &str = "000000Z";

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let read: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let nanoseconds = i64::try_from(read.as_nanosecond()).map_err(D::Error::custom)?;
        let fraction = text.split_once('.').map_or(0, |(_, rest)| rest.len());
        let digits = if fraction > MICROSECONDS.len() { Digits::Nano } else { Digits::Micro };
        Ok(Moment { time: Timestamp(nanoseconds), digits })
    }
}

impl schemars::JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_the_round_trip_with_its_digits() {
        for (digits, text) in
            [(Digits::Micro, "\"2026-11-20T08:14:02.118000Z\""), (Digits::Nano, "\"2026-11-20T08:14:02.118000001Z\"")]
        {
            let moment: Moment = serde_json::from_str(text).unwrap();
            assert_eq!(moment.digits, digits);
            assert_eq!(serde_json::to_string(&moment).unwrap(), text);
        }
    }
}
